//! From Envoy's messages to events.

use std::collections::HashMap;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::HeaderMap;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, ProcessingRequest};
use envoy_types::pb::google::protobuf::{Struct, value::Kind};
use inspect::{Head, Header, Identity};
use policy::Host;

use super::session::{Arrival, Event};

/// The filter's name, under which its attributes come.
const FILTER: &str = "envoy.filters.http.ext_proc";
/// Names of envoy/envoy.yaml.
const CHAIN: &str = "xds.filter_chain_name";
const CHAIN_TLS: &str = "tunnel_tls";
const CHAIN_PLAIN: &str = "tunnel_plain";
const SOURCE: &str = "filter_state['egress.source']";
const CREDENTIALS: &str = "filter_state['egress.user']";
const CERTIFICATE: &str = "filter_state['egress.certificate']";
/// What Envoy puts where there is nothing.
const NOTHING: &str = "-";
const SERVER_NAME: &str = "connection.requested_server_name";

/// What the gateway saw of who sends: `Proxy-Authorization`, the URI of a verified client certificate, and the address.
pub(crate) struct Seen<'a> {
    pub(crate) credentials: Option<&'a str>,
    pub(crate) certificate: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
}

/// The event of a message; `None` for messages that say nothing about the request (responses, flow control). `who` names the sandbox.
pub(crate) fn event(
    message: ProcessingRequest,
    who: impl FnOnce(&Seen<'_>) -> (String, Identity),
    request_id: impl FnOnce() -> String,
) -> Option<Event> {
    let ProcessingRequest { request, attributes, .. } = message;
    Some(match request? {
        Request::RequestHeaders(headers) => Event::Head(Box::new(arrival(headers, &attributes, who, request_id()))),
        Request::RequestBody(body) => Event::Body { bytes: Bytes::from(body.body), end: body.end_of_stream },
        Request::RequestTrailers(trailers) => Event::Trailers(headers_of(trailers.trailers)),
        Request::ResponseHeaders(_) | Request::ResponseBody(_) | Request::ResponseTrailers(_) => return None,
    })
}

fn arrival(
    message: HttpHeaders,
    attributes: &HashMap<String, Struct>,
    who: impl FnOnce(&Seen<'_>) -> (String, Identity),
    request_id: String,
) -> Arrival {
    let attribute = |name: &str| attributes.get(FILTER).and_then(|all| all.fields.get(name)).and_then(|value| text_of(value.kind.as_ref()));
    let said = |name: &str| attribute(name).filter(|text| !text.is_empty() && *text != NOTHING);
    // Only what the gateway saw itself: within a tunnel no header of the agent's says anything about who it is.
    let (sandbox, identity) = who(&Seen { credentials: said(CREDENTIALS), certificate: said(CERTIFICATE), source: said(SOURCE) });
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
    head.tls = attribute(CHAIN).map_or(scheme == "https", |chain| chain == CHAIN_TLS);
    let fronted = attribute(SERVER_NAME).filter(|name| !name.is_empty() && head.tls).is_some_and(|name| !same_host(name, &head.authority));
    let tunnelled = attribute(CHAIN).is_some_and(|chain| chain == CHAIN_TLS || chain == CHAIN_PLAIN);
    Arrival { head, fronted, tunnelled }
}

/// Envoy checks that tunnel and request name the same host; this is the third name, the one the certificate was made for.
fn same_host(server_name: &str, authority: &str) -> bool {
    let host = policy::Destination::parse(authority, true).map(|d| d.host);
    host.is_ok() && host == Host::parse(server_name)
}

fn text_of(kind: Option<&Kind>) -> Option<&str> {
    match kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

fn headers_of(map: Option<HeaderMap>) -> Vec<Header> {
    let one = |h: envoy_types::pb::envoy::config::core::v3::HeaderValue| {
        let value = if h.raw_value.is_empty() { h.value.into_bytes() } else { h.raw_value };
        Header { name: h.key.to_ascii_lowercase(), value: Bytes::from(value) }
    };
    map.map(|map| map.headers.into_iter().map(one).collect()).unwrap_or_default()
}
