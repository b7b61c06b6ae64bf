//! What the answer and the audit record need to know of a head after the inspector took it.

use policy::Destination;

use crate::{Head, Identity, normal};

/// What the client speaks, hence how a denial must be worded to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Anything that reads HTTP answers.
    Http,
    /// A client that shows the answer to a person as it is.
    Text,
    /// A gRPC client: wants a status in trailers.
    Grpc,
    /// A git client.
    Git(git::Service),
    /// A client that asks for a tunnel: shows at most the text.
    Connect,
}

/// Facts of a head, for [`crate::AuditRecord`] and [`crate::Problem`]. Never the path: it may hold secrets.
#[derive(Clone)]
pub struct Facts {
    /// The request's id.
    pub request_id: String,
    /// The sandbox's name.
    pub sandbox: String,
    /// How that is known.
    pub identity: Identity,
    /// The method, upper case; `(invalid)` if it has not the form of one.
    pub method: String,
    /// The host in normal form; `(invalid)` if there is none. Mask it before showing it: [`crate::AuditRecord`] does.
    pub host: String,
    /// The port; 0 if the host is invalid.
    pub port: u16,
    /// What the client speaks.
    pub wire: Wire,
}

const INVALID: &str = "(invalid)";

impl Facts {
    /// The facts of `head`.
    pub fn of(head: &Head) -> Facts {
        let method = if normal::is_method(&head.method) { head.method.to_ascii_uppercase() } else { INVALID.to_owned() };
        let (host, port) = match Destination::parse(&head.authority, head.tls) {
            Ok(destination) => (destination.host.to_string(), destination.port),
            Err(_) => (INVALID.to_owned(), 0),
        };
        Facts {
            request_id: head.request_id.clone(),
            sandbox: head.sandbox.clone(),
            identity: head.identity.clone(),
            wire: wire(head, &method),
            method,
            host,
            port,
        }
    }
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Facts")
            .field("sandbox", &self.sandbox)
            .field("method", &self.method)
            .field("wire", &self.wire)
            .finish_non_exhaustive()
    }
}

fn wire(head: &Head, method: &str) -> Wire {
    if method == "CONNECT" {
        return Wire::Connect;
    }
    let content_type = head.values("content-type").next().and_then(|value| std::str::from_utf8(value).ok());
    if normal::is_grpc(content_type) {
        return Wire::Grpc;
    }
    let path = String::from_utf8_lossy(&head.path);
    match git::Service::of(method, &path, content_type) {
        Ok(Some(asked)) => Wire::Git(asked.service),
        Ok(None) | Err(_) if shows_text(head) => Wire::Text,
        Ok(None) | Err(_) => Wire::Http,
    }
}

/// Whether a client wants text rather than JSON: what it prefers by `Accept` (RFC 9110 section 12.5.1), and of those that take anything, what
/// is known to print it on a terminal.
fn shows_text(head: &Head) -> bool {
    let mut best = [0_u16; 2];
    for range in head.values("accept").flat_map(|value| value.split(|b| *b == b',')) {
        let range = String::from_utf8_lossy(range).to_ascii_lowercase();
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let quality = parts.find_map(|p| p.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0_f32));
        let place = match kind {
            "text/plain" | "text/html" | "text/*" => &mut best[0],
            "application/problem+json" | "application/json" | "application/*" => &mut best[1],
            _ => continue,
        };
        // At most three decimals by the RFC; the cast saturates.
        *place = (*place).max((quality.clamp(0.0, 1.0) * 1000.0) as u16);
    }
    let [text, json] = best;
    let prints = |agent: &[u8]| agent.starts_with(b"curl/") || agent.starts_with(b"Wget/");
    text > json || (text == json && json == 0 && head.values("user-agent").any(prints))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Header;

    fn head(method: &str, path: &str, content_type: &str) -> Head {
        Head {
            request_id: "r".into(),
            sandbox: "s".into(),
            identity: Identity::Given,
            at: 0,
            method: method.into(),
            tls: true,
            authority: "example.com".into(),
            path: Bytes::from(path.to_owned()),
            headers: vec![Header { name: "content-type".into(), value: Bytes::from(content_type.to_owned()) }],
            end: true,
        }
    }

    #[test]
    fn the_wire_is_told_from_method_type_and_path() {
        let wire = |method, path, content_type| Facts::of(&head(method, path, content_type)).wire;
        assert_eq!(wire("GET", "/", "text/plain"), Wire::Http);
        assert_eq!(wire("POST", "/a.B/C", "application/grpc+proto; x=y"), Wire::Grpc);
        assert_eq!(wire("POST", "/a.B/C", "application/grpc-web"), Wire::Http);
        assert_eq!(wire("CONNECT", "", ""), Wire::Connect);
        assert_eq!(wire("GET", "/o/r.git/info/refs?service=git-upload-pack", ""), Wire::Git(git::Service::FetchRefs));
        assert_eq!(wire("GET", "/o/r.git/info/refs", ""), Wire::Http);
        assert_eq!(wire("POST", "/o/r.git/git-upload-pack", ""), Wire::Git(git::Service::Fetch));
        assert_eq!(wire("POST", "/o/r.git/git-receive-pack", ""), Wire::Git(git::Service::Push));
    }

    #[test]
    fn text_goes_to_who_shows_it() {
        let wire = |headers: &[(&str, &str)]| {
            let mut head = head("GET", "/", "");
            head.headers
                .extend(headers.iter().map(|(name, value)| Header { name: (*name).into(), value: Bytes::from((*value).to_owned()) }));
            Facts::of(&head).wire
        };
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for text in [
            &[("user-agent", "curl/8.5.0"), ("accept", "*/*")][..],
            &[("user-agent", "Wget/1.21.4"), ("accept", "*/*")],
            &[("user-agent", "curl/8.5.0")],
            &[("accept", "text/plain")],
            &[("accept", browser)],
            &[("accept", "application/json;q=0.5, Text/Plain; q=0.9")],
        ] {
            assert_eq!(wire(text), Wire::Text, "{text:?}");
        }
        for json in [
            &[][..],
            &[("accept", "*/*")],
            &[("accept", "application/json, text/plain, */*")],
            &[("user-agent", "curl/8.5.0"), ("accept", "application/json")],
            &[("accept", "application/json"), ("accept", "text/plain;q=0.1")],
            &[("accept", "text/plain;q=0")],
            &[("accept", "text/plain;q=x")],
            &[("user-agent", "python-requests/2.32"), ("accept", "*/*")],
        ] {
            assert_eq!(wire(json), Wire::Http, "{json:?}");
        }
    }

    #[test]
    fn a_method_that_is_none_is_not_repeated() {
        assert_eq!(Facts::of(&head("a b", "/", "")).method, "(invalid)");
    }
}
