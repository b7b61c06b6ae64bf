//! A request as a test writes it down.

use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A request: what to send, and how.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) chunks: Option<Vec<usize>>,
    pub(crate) pause: Duration,
    pub(crate) http2: bool,
    pub(crate) tunnel: bool,
    pub(crate) inner_host: Option<String>,
}

impl Request {
    /// A request with this method and absolute URL, without headers or body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            chunks: None,
            pause: Duration::ZERO,
            http2: false,
            tunnel: false,
            inner_host: None,
        }
    }

    /// A GET request.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A POST request.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header, byte for byte; in HTTP/2 the name goes in lower case and connection headers are left out by the protocol.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body. Its length is announced unless [`Request::chunks`] is used.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body without announcing its length, in chunks of these sizes, each written by itself; what is left is the last chunk.
    #[must_use]
    pub fn chunks(mut self, sizes: &[usize]) -> Self {
        self.chunks = Some(sizes.to_vec());
        self
    }

    /// Waits this many milliseconds before each chunk but the first.
    #[must_use]
    pub fn pause_ms(mut self, milliseconds: u64) -> Self {
        self.pause = Duration::from_millis(milliseconds);
        self
    }

    /// Uses HTTP/2 (over TLS only).
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Sends an `http` URL through a CONNECT tunnel instead of in absolute form. An `https` URL always goes through one.
    #[must_use]
    pub fn tunnel(mut self) -> Self {
        self.tunnel = true;
        self
    }

    /// Names another host inside the tunnel than the tunnel leads to (domain fronting).
    #[must_use]
    pub fn inner_host(mut self, host: &str) -> Self {
        self.inner_host = Some(host.to_owned());
        self
    }

    /// The pieces in which the body is written.
    pub(crate) fn pieces(&self) -> Vec<&[u8]> {
        let mut rest = self.body.as_slice();
        let mut pieces = Vec::new();
        for size in self.chunks.iter().flatten() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        // An empty chunk would end a chunked body.
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }

    /// Whether a length is announced: for a body, and for methods that usually have one.
    pub(crate) fn announces_length(&self) -> bool {
        let given = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        self.chunks.is_none() && !given && (!self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH"))
    }

    pub(crate) fn target(&self) -> Result<Target<'_>> {
        Target::parse(&self.url)
    }
}

/// The parts of a URL, taken apart as text so that nothing is normalised.
#[derive(Debug)]
pub(crate) struct Target<'u> {
    pub(crate) tls: bool,
    /// Host, and port if one was written.
    pub(crate) authority: &'u str,
    pub(crate) host: &'u str,
    pub(crate) port: u16,
    /// Path and query as written; `/` if there is none.
    pub(crate) path: &'u str,
}

impl<'u> Target<'u> {
    fn parse(url: &'u str) -> Result<Self> {
        let (tls, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => bail!("not an absolute http or https URL: {url}"),
        };
        let (authority, path) = rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().with_context(|| format!("the port of {url}"))?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        Ok(Self { tls, authority, host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_cut_where_asked_and_never_into_nothing() {
        let request = Request::post("http://a/").body("abcdef");
        assert_eq!(request.clone().pieces(), [b"abcdef"]);
        assert_eq!(request.clone().chunks(&[1, 0, 2]).pieces(), [&b"a"[..], b"bc", b"def"]);
        assert_eq!(request.chunks(&[6, 9]).pieces(), [b"abcdef"]);
    }

    #[test]
    fn urls_are_taken_apart_and_nothing_else() {
        let target = Target::parse("https://a.test:8443/%41?b=+").unwrap();
        assert_eq!(
            (target.tls, target.authority, target.host, target.port, target.path),
            (true, "a.test:8443", "a.test", 8443, "/%41?b=+")
        );
        let target = Target::parse("http://[::1]").unwrap();
        assert_eq!((target.tls, target.authority, target.host, target.port, target.path), (false, "[::1]", "[::1]", 80, "/"));
        assert!(Target::parse("ftp://a/").is_err());
    }
}
