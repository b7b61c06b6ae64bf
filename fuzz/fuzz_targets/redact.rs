//! Secrets on their way to a model, in text, JSON and forms: what travels holds none of them, and JSON stays JSON.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use engine::{Confidence, Engine, Finding, FingerprintKey, Kind, Limits, Media, RuleSet};
use inspect::{Header, Inspector, Opened, Snapshot, Step};
use libfuzzer_sys::fuzz_target;
use policy::Policy;

const TYPES: [&str; 4] = ["application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"];

static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).expect("the catalogue compiles"));

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(|| {
    let policy = Policy::from_yaml("fuzz", "version: 1\npartial_coverage: allow\n").expect("a policy");
    Inspector::new(Snapshot { engine: ENGINE.clone(), policy: Arc::new(policy) }, 0)
});

fuzz_target!(|data: &[u8]| {
    let [choice, chunk, data @ ..] = data else { return };
    let mut body = portcullis_fuzz::text(data);
    let content_type = TYPES[usize::from(choice % 4)];
    if choice & 4 != 0 {
        // A conversation, whatever the text is.
        body = serde_json::json!({"messages": [{"role": "user", "content": String::from_utf8_lossy(&body)}]}).to_string().into_bytes();
    }
    let (of_known_length, pauses) = (choice & 8 != 0, choice & 16 != 0);
    let Some(sent) = send(&body, content_type, of_known_length, pauses, usize::from(*chunk).max(1)) else { return };
    assert!(!of_known_length || !pauses || sent.len() == body.len(), "the length that the head tells");
    let kind = Kind::body(Media { content_type: Some(content_type.to_owned()), content_encoding: Vec::new() });
    // Where the sender pauses, a value is judged before all that stands around it has come: only what is known by its own form must be found.
    let least = if pauses { Confidence::High } else { Confidence::Medium };
    let before: Vec<Finding> = ENGINE.scan(&kind, &body).findings.into_iter().filter(|f| f.confidence >= least).collect();
    for finding in ENGINE.scan(&kind, &sent).findings {
        let same = before.iter().any(|b| b.fingerprint == finding.fingerprint);
        assert!(!same || finding.confidence < least, "{} travels", finding.detector.id);
    }
    let is_json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).is_ok();
    assert!(pauses || !is_json(&body) || is_json(&sent), "no JSON any more");
});

/// What travels of a body: all at once, or piece by piece where the sender pauses. `None`: it is denied.
fn send(body: &[u8], content_type: &str, of_known_length: bool, pauses: bool, chunk: usize) -> Option<Vec<u8>> {
    let header = |name: &str, value: String| Header { name: name.to_owned(), value: value.into() };
    let mut headers = vec![header("content-type", content_type.to_owned())];
    headers.extend(of_known_length.then(|| header("content-length", body.len().to_string())));
    let head = portcullis_fuzz::head("api.anthropic.com".into(), Bytes::from_static(b"/v1/messages"), headers, false);
    let Opened::Body(mut flow) = INSPECTOR.open(&head) else { return None };
    let mut sent = Vec::new();
    for part in body.chunks(chunk) {
        let steps = [Some(flow.push(Bytes::copy_from_slice(part))), pauses.then(|| flow.pause())];
        for step in steps.into_iter().flatten() {
            match step {
                Step::Hold => {}
                Step::Release(release) => sent.extend_from_slice(&release.body),
                Step::Deny(_) => return None,
            }
        }
    }
    let (outcome, release) = flow.finish(&[]);
    sent.extend_from_slice(&release.body);
    (outcome.verdict.action != policy::Action::Deny).then_some(sent)
}
