//! What the answer and the audit record need to know of a head after the inspector took it.

use policy::Destination;

use crate::{Head, Identity, normal};

/// What the client speaks, hence how a denial must be worded to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Anything that reads HTTP answers.
    Http,
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
    /// The facts of `head`. Take them before [`crate::Inspector::open`], which consumes it.
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
        Ok(None) | Err(_) => Wire::Http,
    }
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
    fn a_method_that_is_none_is_not_repeated() {
        assert_eq!(Facts::of(&head("a b", "/", "")).method, "(invalid)");
    }
}
