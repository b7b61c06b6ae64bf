//! From Envoy's messages to events.

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, ProcessingRequest};
use inspect::{Head, Header, Identity};
use policy::Host;
use tonic::metadata::MetadataMap;

use super::session::{Arrival, Event};

/// What envoy/envoy.yaml says with each stream. Not attributes of ext_proc: each of those is an expression that Envoy evaluates anew for
/// every request.
const CHAIN: &str = "x-portcullis-chain";
const SERVER_NAME: &str = "x-portcullis-server-name";
const SOURCE: &str = "x-portcullis-source";
const CREDENTIALS: &str = "x-portcullis-credentials";
const CERTIFICATE: &str = "x-portcullis-certificate";
/// Names of filter chains there.
const CHAIN_TLS: &str = "tunnel_tls";
const CHAIN_PLAIN: &str = "tunnel_plain";
/// What Envoy puts where there is nothing.
const NOTHING: &str = "-";

/// What the gateway itself saw of a request: where it came in, and who sends.
// No `Debug`: credentials are in it.
#[derive(Default)]
pub(crate) struct Seen {
    /// The filter chain: that of a tunnel, or none.
    pub(crate) chain: Option<String>,
    /// The name that the handshake within the tunnel asked for.
    pub(crate) server_name: Option<String>,
    /// `Proxy-Authorization` of the tunnel, or of the request outside of one.
    pub(crate) credentials: Option<String>,
    /// The URI of a verified client certificate.
    pub(crate) certificate: Option<String>,
    pub(crate) source: Option<String>,
}

impl Seen {
    /// From the metadata of a stream, which Envoy alone writes: no header of an agent's comes there.
    pub(crate) fn of(metadata: &MetadataMap) -> Seen {
        let said = |key: &str| {
            let text = String::from_utf8_lossy(metadata.get(key)?.as_encoded_bytes()).into_owned();
            Some(text).filter(|text| !text.is_empty() && text != NOTHING)
        };
        Seen {
            chain: said(CHAIN),
            server_name: said(SERVER_NAME),
            credentials: said(CREDENTIALS),
            certificate: said(CERTIFICATE),
            source: said(SOURCE),
        }
    }
}

/// The event of a message; `None` for messages that say nothing (flow control). `who` names the sandbox.
/// What was seen goes with the head: credentials are kept no longer.
pub(crate) fn event(
    message: ProcessingRequest,
    seen: &mut Seen,
    who: impl FnOnce(&Seen) -> (String, Identity),
    request_id: impl FnOnce() -> String,
) -> Option<Event> {
    Some(match message.request? {
        Request::RequestHeaders(headers) => Event::Head(Box::new(arrival(headers, &std::mem::take(seen), who, request_id()))),
        Request::RequestBody(body) => Event::Body { bytes: Bytes::from(body.body), end: body.end_of_stream },
        Request::RequestTrailers(trailers) => Event::Trailers(headers_of(trailers.trailers)),
        Request::ResponseHeaders(headers) => Event::AnswerHead { end: headers.end_of_stream },
        Request::ResponseBody(body) => Event::AnswerBody { bytes: Bytes::from(body.body), end: body.end_of_stream },
        Request::ResponseTrailers(_) => Event::AnswerTrailers,
    })
}

fn arrival(message: HttpHeaders, seen: &Seen, who: impl FnOnce(&Seen) -> (String, Identity), request_id: String) -> Arrival {
    // Only what the gateway saw itself: within a tunnel no header of the agent's says anything about who it is.
    let (sandbox, identity) = who(seen);
    let mut head = Head {
        request_id,
        sandbox,
        identity,
        at: crate::record::milliseconds(),
        method: String::new(),
        tls: false,
        authority: String::new(),
        path: Bytes::new(),
        headers: Vec::new(),
        end: message.end_of_stream,
    };
    let mut scheme = String::new();
    for header in headers_of(message.headers) {
        let text = || String::from_utf8_lossy(&header.value).into_owned();
        match header.name.as_str() {
            ":method" => head.method = text(),
            ":authority" => head.authority = text(),
            ":scheme" => scheme = text(),
            ":path" => head.path = header.value,
            // Between agent and gateway: it never travels on.
            "proxy-authorization" => {}
            name if name.starts_with(':') => {}
            _ => head.headers.push(header),
        }
    }
    let chain = seen.chain.as_deref();
    head.tls = chain.map_or(scheme == "https", |chain| chain == CHAIN_TLS);
    let fronted = seen.server_name.as_ref().filter(|_| head.tls).is_some_and(|name| !same_host(name, &head.authority));
    let tunnelled = chain.is_some_and(|chain| chain == CHAIN_TLS || chain == CHAIN_PLAIN);
    Arrival { head, fronted, tunnelled }
}

/// Envoy checks that tunnel and request name the same host; this is the third name, the one the certificate was made for.
fn same_host(server_name: &str, authority: &str) -> bool {
    let host = policy::Destination::parse(authority, true).map(|d| d.host);
    host.is_ok() && host == Host::parse(server_name)
}

fn headers_of(map: Option<HeaderMap>) -> Vec<Header> {
    let one = |h: envoy_types::pb::envoy::config::core::v3::HeaderValue| {
        let value = if h.raw_value.is_empty() { h.value.into_bytes() } else { h.raw_value };
        Header { name: h.key.to_ascii_lowercase(), value: Bytes::from(value) }
    };
    map.map(|map| map.headers.into_iter().map(one).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_envoy_says_is_taken_and_what_it_has_nothing_for_is_not() {
        let mut metadata = MetadataMap::new();
        metadata.insert(CHAIN, CHAIN_TLS.parse().unwrap());
        metadata.insert(SOURCE, "-".parse().unwrap());
        metadata.insert(CERTIFICATE, "".parse().unwrap());
        metadata.insert(CREDENTIALS, tonic::metadata::MetadataValue::try_from(&b"Basic \xff"[..]).unwrap());
        let seen = Seen::of(&metadata);
        assert_eq!((seen.chain.as_deref(), seen.source, seen.certificate, seen.server_name), (Some(CHAIN_TLS), None, None, None));
        // Bytes that are no text are credentials all the same: of nobody.
        assert!(seen.credentials.is_some_and(|text| text.starts_with("Basic ")));
    }
}
