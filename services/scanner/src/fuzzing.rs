//! The way of Envoy's messages through translation, session and replies, for the fuzz target `extproc`.

use std::sync::LazyLock;

use engine::{Engine, FingerprintKey, Limits, RuleSet};
use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest};
use inspect::{Inspector, Snapshot};
use policy::Policy;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};

use crate::doorman::Doorman;
use crate::extproc::session::{Event, Reply, Session};
use crate::extproc::{replies, translate};

const POLICY: &str = "version: 1
limits: {buffer: 64KiB}
identity: {certificates: [{uri: 'spiffe://a.example/*'}], addresses: {laptop: ['fd00::7', 10.1.2.0/24]}}
";

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(|| {
    let policy = Policy::from_yaml("fuzz", POLICY).expect("a policy");
    let limits = Limits { whole_bytes: 1024, block_bytes: 512, overlap_bytes: 256, ..Limits::default() };
    let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: policy.into() }, 0)
});

static DOORMAN: LazyLock<Doorman> = LazyLock::new(|| Doorman::new(INSPECTOR.clone(), "others".into(), None).expect("no file"));

/// Plays `data` as a sequence of messages and alarms: one byte says which, two bytes say how long its content is.
///
/// # Panics
/// When a rule of the session is broken: something follows the end, the head comes late or twice, or an end leaves the session open.
pub fn play(mut data: &[u8]) {
    let mut session = Session::new(INSPECTOR.clone());
    let (mut head, mut over) = (false, false);
    while let [kind, high, low, rest @ ..] = data {
        let length = (usize::from(*high) << 8 | usize::from(*low)).min(rest.len());
        let (content, next) = rest.split_at(length);
        data = next;
        let event = match kind % 12 {
            0 => Some(Event::Pause),
            1 => Some(Event::HoldExpired),
            2 => Some(Event::StreamExpired),
            n => translate::event(
                message(n, content),
                &mut translate::Seen::of(&metadata(content)),
                |seen| DOORMAN.who(seen),
                || "id".to_owned(),
            ),
        };
        let Some(event) = event else { continue };
        for reply in session.on(event) {
            assert!(!over, "something follows the end");
            match &reply {
                Reply::Head { .. } => {
                    assert!(!head, "a second head");
                    head = true;
                }
                Reply::Body { end, .. } => {
                    assert!(head, "a body before the head");
                    over = *end;
                }
                Reply::Trailers | Reply::Deny(_) | Reply::Broken(_) | Reply::AnswerTrailers => over = true,
                Reply::AnswerBody { end, .. } => over = *end,
                Reply::WantBody | Reply::AnswerHead => {}
            }
            // Every reply has messages, or ends the stream with an error.
            drop(replies::messages(reply, session.headers(), session.request_id()));
        }
        assert!(!over || session.over(), "the end leaves the session open");
    }
}

fn message(kind: u8, content: &[u8]) -> ProcessingRequest {
    let request = match kind {
        3 | 4 => {
            Request::RequestHeaders(HttpHeaders { headers: Some(headers(content)), end_of_stream: kind == 3, ..HttpHeaders::default() })
        }
        5 | 6 => Request::RequestBody(HttpBody { body: content.to_vec(), end_of_stream: kind == 5, ..HttpBody::default() }),
        7 => Request::RequestTrailers(HttpTrailers { trailers: Some(headers(content)) }),
        8 => Request::ResponseHeaders(HttpHeaders { headers: Some(headers(content)), ..HttpHeaders::default() }),
        9 | 10 => Request::ResponseBody(HttpBody { body: content.to_vec(), end_of_stream: kind == 9, ..HttpBody::default() }),
        _ => Request::ResponseTrailers(HttpTrailers { trailers: None }),
    };
    ProcessingRequest { request: Some(request), ..ProcessingRequest::default() }
}

/// The same lines as what Envoy says with a stream.
fn metadata(content: &[u8]) -> MetadataMap {
    let mut all = MetadataMap::new();
    for (key, value) in lines(content) {
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key), MetadataValue::try_from(value)) {
            all.insert(key, value);
        }
    }
    all
}

/// Lines of `name: value`; the usual head goes before them.
fn headers(content: &[u8]) -> HeaderMap {
    let usual = [(":method", "POST"), (":authority", "a.example"), (":path", "/"), (":scheme", "https")];
    let usual = usual.map(|(key, value)| HeaderValue { key: key.into(), raw_value: value.into(), ..HeaderValue::default() });
    let header = |(key, value): (&[u8], &[u8])| HeaderValue {
        key: String::from_utf8_lossy(key).into_owned(),
        raw_value: value.to_vec(),
        ..HeaderValue::default()
    };
    HeaderMap { headers: usual.into_iter().chain(lines(content).map(header)).collect() }
}

fn lines(content: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    content.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let colon = line.iter().skip(1).position(|b| *b == b':').map_or(line.len(), |at| at + 1);
        let (key, value) = line.split_at(colon);
        (key, value.strip_prefix(b":").unwrap_or(value))
    })
}
