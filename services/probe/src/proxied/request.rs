//! A request, written byte for byte: a library would put in order what must not be.

/// A request of HTTP/1.1.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    /// Path and query, as they stand.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn post(content_type: &str, body: Vec<u8>) -> Self {
        Self { method: "POST", path: "/".into(), headers: vec![("Content-Type", content_type.to_owned())], body }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The bytes: `target` stands in the first line, `host` in the header, `more` is whole lines for the proxy.
    pub(crate) fn bytes(&self, target: &str, host: &str, more: &str) -> Vec<u8> {
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: {host}\r\n{more}User-Agent: {AGENT}\r\n", self.method);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    /// As it stands inside a tunnel, or to a server.
    pub(crate) fn origin_form(&self, host: &str) -> Vec<u8> {
        self.bytes(&self.path, host, "")
    }
}

/// Who asks.
pub(crate) const AGENT: &str = concat!("portcullis-probe/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_was_written() {
        let request = Request::post("text/plain", b"abc".to_vec()).header("X-A", "b");
        let text = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: {AGENT}\r\nContent-Type: text/plain\r\nX-A: b\r\nContent-Length: 3\r\n\r\nabc"
        );
        assert_eq!(request.origin_form("a"), text.as_bytes());
        let text = format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nP: q\r\nUser-Agent: {AGENT}\r\n\r\n");
        assert_eq!(Request::get("/").bytes("http://a/", "a", "P: q\r\n"), text.as_bytes());
    }
}
