//! Requests through the Inspector: what is decided, what is released, what never leaves.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use engine::{Engine, FingerprintKey, Limits, RuleSet};
use policy::{Action, Policy, Reason};
use portcullis_inspect::{AuditRecord, Facts, Head, HeadEdits, Header, Inspector, Opened, Outcome, Problem, Release, Snapshot, Step, Wire};
use proptest::prelude::*;
use rand::distr::{Alphanumeric, SampleString};

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn inspector(policy: &str, cache: u64) -> Inspector {
    let policy = Policy::from_yaml("test", policy).expect("a policy");
    let whole_bytes = policy.limits().buffer_bytes;
    let limits = Limits { whole_bytes, ..Limits::default() };
    let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, cache)
}

fn head(url: &str, headers: &[(&str, &str)], end: bool) -> Head {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').expect("a path");
    Head {
        request_id: "id".into(),
        sandbox: "box".into(),
        identity: portcullis_inspect::Identity::Given,
        at: 0,
        method: if end { "GET" } else { "POST" }.into(),
        tls: true,
        authority: authority.into(),
        path: Bytes::from(format!("/{path}")),
        headers: headers.iter().map(|(n, v)| Header { name: (*n).into(), value: Bytes::from((*v).to_owned()) }).collect(),
        end,
    }
}

/// What came of a request: the outcome, the edits of the head, and every body byte that was released.
struct Sent {
    outcome: Outcome,
    head: Option<HeadEdits>,
    body: Vec<u8>,
}

fn send(inspector: &Inspector, head: &Head, chunks: &[&[u8]]) -> Sent {
    let mut flow = match inspector.open(head) {
        Opened::Decided(outcome, edits) => return Sent { outcome, head: Some(edits), body: Vec::new() },
        Opened::Body(flow) => flow,
    };
    let (mut body, mut edits) = (BytesMut::new(), None);
    let mut take = |release: Release| {
        edits = edits.take().or(release.head);
        body.extend_from_slice(&release.body);
    };
    for chunk in chunks {
        match flow.push(Bytes::copy_from_slice(chunk)) {
            Step::Hold => {}
            Step::Release(release) => take(release),
            Step::Deny(outcome) => return Sent { outcome, head: edits, body: body.to_vec() },
        }
    }
    let (outcome, release) = flow.finish(&[]);
    take(release);
    Sent { outcome, head: edits, body: body.to_vec() }
}

fn length(body: &[u8]) -> String {
    body.len().to_string()
}

const OPEN: &str = "version: 1\n";
const LLM: &str = "https://api.anthropic.com/v1/messages";

#[test]
fn a_clean_body_travels_as_it_is_and_all_at_once() {
    let body = br#"{"hello": "world"}"#;
    let sent =
        send(&inspector(OPEN, 0), &head("https://a.example/", &[("content-length", &length(body))], false), &[&body[..5], &body[5..]]);
    assert_eq!((sent.outcome.verdict.action, sent.body.as_slice()), (Action::Allow, &body[..]));
    assert!(sent.head.expect("the head travels").is_empty());
}

#[test]
fn a_redacted_conversation_is_valid_stable_and_of_the_right_length() {
    let token = token();
    let body = format!(r#"{{"messages": [{{"role": "user", "content": "my key is {token}, \"ok\"?"}}]}}"#);
    let inspector = inspector(OPEN, 0);
    let headers = [("content-type", "application/json"), ("content-length", &length(body.as_bytes()))];
    let once = send(&inspector, &head(LLM, &headers, false), &[body.as_bytes()]);
    let again = send(&inspector, &head(LLM, &headers, false), &[body.as_bytes()]);
    assert_eq!(once.outcome.verdict.action, Action::Redact);
    assert_eq!(once.body, again.body, "the placeholder is the same each time");
    let text = String::from_utf8(once.body).expect("text");
    assert!(!text.contains(&token) && text.contains("[portcullis:github-pat-classic"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert!(json["messages"][0]["content"].as_str().expect("a string").ends_with(", \"ok\"?"));
    assert_eq!(once.head.and_then(|h| h.content_length), Some(text.len() as u64));
}

#[test]
fn redaction_knows_forms_queries_headers_and_multipart() {
    let token = token();
    let inspector = inspector(OPEN, 0);
    let form = format!("a=1&key={token}&b=2");
    let sent = send(&inspector, &head(LLM, &[("content-type", "application/x-www-form-urlencoded")], false), &[form.as_bytes()]);
    let text = String::from_utf8(sent.body).expect("text");
    assert!(text.starts_with("a=1&key=%5Bportcullis%3A") && text.ends_with("%5D&b=2"), "{text}");

    let sent = send(&inspector, &head(&format!("{LLM}?a=1&k={token}"), &[("x-note", &format!("it is {token}!"))], true), &[]);
    let edits = sent.head.expect("edits");
    let path = String::from_utf8(edits.path.expect("a new path").to_vec()).expect("text");
    assert!(path.starts_with("/v1/messages?a=1&k=%5Bportcullis%3A") && !path.contains(&token), "{path}");
    let (index, value) = &edits.headers[0];
    assert!(*index == 0 && value.starts_with(b"it is [portcullis:") && value.ends_with(b"]!"));

    let part = format!("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\nkey {token}\r\n--b--\r\n");
    let sent = send(&inspector, &head(LLM, &[("content-type", "multipart/form-data; boundary=b")], false), &[part.as_bytes()]);
    let text = String::from_utf8(sent.body).expect("text");
    assert!(text.contains("key [portcullis:") && text.ends_with("\r\n--b--\r\n") && !text.contains(&token), "{text}");
}

#[test]
fn what_cannot_be_rewritten_is_denied() {
    let token = token();
    let inspector = inspector(OPEN, 0);
    let body = format!("key {token}");
    for headers in [&[("content-md5", "x")][..], &[("authorization", "AWS4-HMAC-SHA256 Credential=a")], &[("digest", "sha-256=x")]] {
        let sent = send(&inspector, &head(LLM, headers, false), &[body.as_bytes()]);
        assert_eq!(sent.outcome.verdict.reason, Reason::RedactionImpossible, "{headers:?}");
        assert!(sent.body.is_empty());
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, body.as_bytes()).expect("in memory");
    let packed = packed.finish().expect("in memory");
    let sent = send(&inspector, &head(LLM, &[("content-encoding", "gzip")], false), &[&packed]);
    assert_eq!(sent.outcome.verdict.reason, Reason::RedactionImpossible);
}

#[test]
fn a_long_body_slides_and_is_redacted_without_changing_its_length() {
    let token = token();
    let inspector = inspector("version: 1\nlimits: {buffer: 64KiB}\n", 0);
    let mut body = "line of text, nothing else\n".repeat(40_000).into_bytes();
    let at = body.len() / 2;
    body.splice(at..at, format!("\nkey {token}\n").into_bytes());
    let chunks: Vec<&[u8]> = body.chunks(16_000).collect();
    let headers = [("content-length", length(&body))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let sent = send(&inspector, &head(LLM, &headers, false), &chunks);
    assert_eq!(sent.outcome.verdict.action, Action::Redact);
    assert_eq!(sent.body.len(), body.len());
    let text = String::from_utf8(sent.body).expect("text");
    assert!(!text.contains(&token) && text.contains("[portcullis:"));
    // The same body elsewhere is denied, and no byte of the token was released.
    let sent = send(&inspector, &head("https://a.example/", &headers, false), &chunks);
    assert_eq!(sent.outcome.verdict.reason, Reason::CredentialMisdirected);
    assert!(memchr::memmem::find(&sent.body, &token.as_bytes()[..8]).is_none() && sent.body.len() < body.len());
}

#[test]
fn a_pause_releases_the_head_and_what_is_clean_but_no_claimed_tail() {
    let inspector = inspector(OPEN, 0);
    let Opened::Body(mut flow) = inspector.open(&head("https://a.example/", &[], false)) else { panic!("a body follows") };
    assert!(matches!(flow.push(Bytes::from_static(b"data: one\n\ndata: gh")), Step::Hold));
    let Step::Release(release) = flow.pause() else { panic!("a pause releases") };
    assert!(release.head.is_some());
    assert_eq!(release.body, "data: one\n\ndata: ");
    assert!(flow.holds());
    let rest = format!("{}\n\n", &token()[2..]);
    let step = flow.push(Bytes::from(rest));
    let outcome = match step {
        Step::Deny(outcome) => outcome,
        _ => flow.finish(&[]).0,
    };
    assert_eq!(outcome.verdict.reason, Reason::CredentialMisdirected, "the claimed tail grew into a token");

    let Opened::Body(mut flow) = inspector.open(&head("https://a.example/", &[], false)) else { panic!("a body follows") };
    flow.push(Bytes::from_static(b"abcdef"));
    flow.pause();
    let Step::Deny(outcome) = flow.expire() else { panic!("an unfinished word is not let through unseen") };
    assert_eq!(outcome.verdict.reason, Reason::PartialCoverage);
}

#[test]
fn a_secret_whose_beginning_a_pause_let_go_does_not_travel_to_its_end() {
    let inspector = inspector(OPEN, 0);
    // Found as a whole string, since that holds an escape: it began before the run of characters that the pause held back.
    let key: String = token().bytes().map(|byte| format!("{:x}", byte % 16)).collect::<Vec<_>>().concat();
    let body = format!(r#"{{"messages":[{{"content":"https://a.example/robot/send?access_token={key}5c64\u0016","role":"user"}}]}}"#);
    assert_eq!(
        send(&inspector, &head(LLM, &[("content-type", "application/json")], false), &[body.as_bytes()]).outcome.verdict.action,
        Action::Redact
    );
    for chunk in 1..body.len() {
        let Opened::Body(mut flow) = inspector.open(&head(LLM, &[("content-type", "application/json")], false)) else {
            panic!("a body follows")
        };
        let mut sent = Vec::new();
        let mut stopped = false;
        'parts: for part in body.as_bytes().chunks(chunk) {
            let pushed = flow.push(Bytes::copy_from_slice(part));
            for step in [pushed, flow.pause()] {
                match step {
                    Step::Hold => {}
                    Step::Release(release) => sent.extend_from_slice(&release.body),
                    Step::Deny(_) => {
                        stopped = true;
                        break 'parts;
                    }
                }
            }
        }
        if !stopped {
            sent.extend_from_slice(&flow.finish(&[]).1.body);
        }
        assert!(memchr::memmem::find(&sent, key.as_bytes()).is_none(), "in parts of {chunk}: {}", String::from_utf8_lossy(&sent));
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let inspector = inspector(OPEN, 0);
    for body in [&b"short"[..], b"longer than it said it would be"] {
        let sent = send(&inspector, &head("https://a.example/", &[("content-length", "10")], false), &[body]);
        assert_eq!(sent.outcome.verdict.reason, Reason::Ambiguous);
        assert!(sent.body.is_empty());
    }
}

#[test]
fn grpc_messages_are_scanned_one_by_one_and_released_as_they_come() {
    let inspector = inspector(OPEN, 0);
    let message = |payload: &[u8]| [&[0_u8][..], &u32::try_from(payload.len()).expect("short").to_be_bytes(), payload].concat();
    let grpc = head("https://a.example/p.S/M", &[("content-type", "application/grpc")], false);
    let Opened::Body(mut flow) = inspector.open(&grpc) else { panic!("a body follows") };
    let first = message(b"\x0a\x05hello");
    let Step::Release(release) = flow.push(Bytes::from(first.clone())) else { panic!("a whole message is released at once") };
    assert_eq!(release.body, first);
    let second = message(format!("\x0a\x28{}", token()).as_bytes());
    assert!(matches!(flow.push(Bytes::copy_from_slice(&second[..20])), Step::Hold));
    let Step::Deny(outcome) = flow.push(Bytes::copy_from_slice(&second[20..])) else { panic!("a token in a message") };
    assert_eq!(outcome.verdict.reason, Reason::CredentialMisdirected);
    let sent = send(&inspector, &grpc, &[b"this is no message"]);
    assert_eq!(sent.outcome.verdict.reason, Reason::Ambiguous);
}

#[test]
fn a_known_body_is_judged_anew_for_each_destination() {
    let inspector = inspector(OPEN, 1000);
    let body = format!("the token is {}, keep it", token());
    let elsewhere = head("https://a.example/", &[], false);
    let llm = head(LLM, &[], false);
    assert_eq!(send(&inspector, &elsewhere, &[body.as_bytes()]).outcome.verdict.action, Action::Deny);
    let again = send(&inspector, &llm, &[body.as_bytes()]).outcome;
    assert_eq!((again.verdict.action, again.cached), (Action::Redact, true));
    assert!(inspector.cache_stats().hits >= 1);
}

#[test]
fn memory_that_is_used_up_stops_new_bytes_and_is_given_back() {
    let inspector = inspector("version: 1\nlimits: {memory: 16MiB, buffer: 8MiB}\n", 0);
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let mut flows = Vec::new();
    let mut denied = 0;
    for _ in 0..8 {
        let Opened::Body(mut flow) = inspector.open(&head("https://a.example/", &[], false)) else { panic!("a body follows") };
        for _ in 0..3 {
            denied += usize::from(matches!(flow.push(chunk.clone()), Step::Deny(_)));
        }
        assert!(inspector.memory().used() <= 16 << 20);
        flows.push(flow);
    }
    assert!(denied > 0);
    drop(flows);
    assert_eq!(inspector.memory().used(), 0);
}

#[test]
fn nothing_that_is_written_down_holds_the_secret() {
    let token = token();
    let inspector = inspector(OPEN, 0);
    let head = head(
        &format!("https://{}.a.example/{token}?k={token}", token.to_lowercase().replace('_', "-")),
        &[("x-note", &token), ("cookie", &format!("s={token}"))],
        false,
    );
    let facts = Facts::of(&head);
    let sent = send(&inspector, &head, &[token.as_bytes()]);
    assert_eq!(sent.outcome.verdict.action, Action::Deny);
    let problem = Problem::new(&facts, &sent.outcome);
    let mut written = format!("{head:?} {facts:?} {:?} {problem:?}", sent.outcome);
    written += &serde_json::to_string(&AuditRecord::new("now".into(), &facts, &sent.outcome, 1)).expect("a record");
    for wire in [Wire::Http, Wire::Text, Wire::Grpc, Wire::Connect] {
        written += &problem.answer(wire).body;
    }
    assert!(!written.contains(&token[4..]), "{}", written.replace(&token[4..], "***"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However a body is cut, the same is found and the same bytes travel.
    #[test]
    fn chunks_change_nothing(seed in any::<u64>(), cuts in prop::collection::vec(1_usize..5000, 1..12), long in any::<bool>(), secret in any::<bool>()) {
        use rand::SeedableRng;
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let inspector = inspector("version: 1\nlimits: {buffer: 64KiB}\n", 0);
        let mut body = String::new();
        let lines = if long { 6000 } else { 40 };
        for _ in 0..lines {
            body.push_str(&Alphanumeric.sample_string(&mut rng, 12));
            body.push_str(" = some text\n");
        }
        if secret {
            let at = body.find('\n').map_or(0, |i| i + 1);
            body.insert_str(at, &format!("key {}\n", token()));
        }
        let head = head(LLM, &[], false);
        let whole = send(&inspector, &head, &[body.as_bytes()]);
        let mut chunks: Vec<&[u8]> = Vec::new();
        let mut rest = body.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, more) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = more;
        }
        let cut = send(&inspector, &head, &chunks);
        let spans = |sent: &Sent| sent.outcome.findings.iter().map(|(l, _)| (l.finding.detector.id.clone(), l.finding.span.clone())).collect::<Vec<_>>();
        prop_assert_eq!(spans(&whole), spans(&cut));
        prop_assert_eq!(whole.outcome.verdict.action, cut.outcome.verdict.action);
        prop_assert_eq!(whole.body, cut.body);
    }
}
