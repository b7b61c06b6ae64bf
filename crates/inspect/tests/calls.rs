//! What the body of a request asks for: what providers fetch, and GraphQL operations.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, FingerprintKey, Limits, RuleSet};
use policy::{Action, Policy, Reason};
use portcullis_inspect::{AuditRecord, Facts, Head, Header, Identity, Inspector, Opened, Outcome, Problem, Snapshot, Step, Wire};
use rand::distr::{Alphanumeric, SampleString};

const LISTED: &str = "extends: llm-apis\nhosts: {mode: allowlist, allow: [docs.example]}\nlimits: {buffer: 64KiB}\n";
const GITHUB: &str = "extends: github\nlimits: {buffer: 64KiB}\n";

fn inspector(policy: &str) -> Inspector {
    let policy = Policy::from_yaml("test", &format!("version: 1\n{policy}")).unwrap_or_else(|e| panic!("{e}"));
    let limits = Limits { whole_bytes: policy.limits().buffer_bytes, ..Limits::default() };
    let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, 0)
}

fn head(host: &str, path: &str, headers: &[(&str, &str)]) -> Head {
    Head {
        request_id: "id".into(),
        sandbox: "box".into(),
        identity: Identity::Given,
        at: 0,
        method: "POST".into(),
        tls: true,
        authority: host.into(),
        path: Bytes::from(path.to_owned()),
        headers: headers.iter().map(|(n, v)| Header { name: (*n).into(), value: Bytes::from((*v).to_owned()) }).collect(),
        end: false,
    }
}

/// The outcome, and the bytes that travelled.
fn send(inspector: &Inspector, head: &Head, body: &[u8], step: usize) -> (Outcome, Vec<u8>) {
    let mut flow = match inspector.open(head) {
        Opened::Decided(outcome, _) => return (outcome, Vec::new()),
        Opened::Body(flow) => flow,
    };
    let mut sent = Vec::new();
    for chunk in body.chunks(step) {
        match flow.push(Bytes::copy_from_slice(chunk)) {
            Step::Hold => {}
            Step::Release(release) => sent.extend_from_slice(&release.body),
            Step::Deny(outcome) => return (outcome, sent),
        }
    }
    let (outcome, release) = flow.finish(&[]);
    sent.extend_from_slice(&release.body);
    (outcome, sent)
}

fn model(headers: &[(&str, &str)]) -> Head {
    head("api.anthropic.com", "/v1/messages", headers)
}

fn asks(url: &str, filler: usize) -> String {
    let text = "some words of a conversation. ".repeat(filler / 30);
    format!(
        "{{\"messages\":[{{\"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}},{{\"type\":\"image\",\"source\":{{\"type\":\"url\",\"url\":\"{url}\"}}}}]}}]}}"
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

#[test]
fn what_a_provider_is_told_to_fetch_is_judged_in_bodies_of_any_length_and_coding() {
    let inspector = inspector(LISTED);
    let json = ("content-type", "application/json");
    for filler in [0, 1 << 20] {
        let (good, bad) = (asks("https://docs.example/a.png", filler), asks("https://evil.example/a.png", filler));
        for step in [997, 1 << 16] {
            let (outcome, sent) = send(&inspector, &model(&[json]), good.as_bytes(), step);
            assert_eq!(outcome.verdict.reason, Reason::Clean);
            assert_eq!(sent, good.as_bytes());
            let (outcome, sent) = send(&inspector, &model(&[json]), bad.as_bytes(), step);
            assert_eq!(outcome.verdict.reason, Reason::ProviderFetchDenied);
            assert!(!sent.windows(12).any(|w| w == b"evil.example"), "the URL has travelled");
        }
        for (text, reason) in [(&good, Reason::Clean), (&bad, Reason::ProviderFetchDenied)] {
            let body = gzip(text.as_bytes());
            assert_eq!(send(&inspector, &model(&[json, ("content-encoding", "gzip")]), &body, 997).0.verdict.reason, reason);
            let cut = &body[..body.len() - 12];
            assert_eq!(send(&inspector, &model(&[json, ("content-encoding", "gzip")]), cut, 997).0.verdict.action, Action::Deny);
        }
    }
    let unknown = send(&inspector, &model(&[json, ("content-encoding", "secret")]), b"{}", 10).0;
    assert_eq!(unknown.verdict.reason, Reason::PartialCoverage);
    let broken = send(&inspector, &model(&[json]), b"{\"a\": 1,}", 10).0;
    assert_eq!(broken.verdict.reason, Reason::PartialCoverage);
    // To other hosts it is text.
    let elsewhere = send(&inspector, &head("docs.example", "/", &[json]), asks("https://evil.example/", 0).as_bytes(), 100).0;
    assert_eq!(elsewhere.verdict.reason, Reason::Clean);
}

#[test]
fn the_answer_and_the_record_say_where_it_would_go_and_hold_no_secret() {
    let inspector = inspector(LISTED);
    let told = |body: &str| {
        let head = model(&[("content-type", "application/json")]);
        let facts = Facts::of(&head);
        let outcome = send(&inspector, &head, body.as_bytes(), 1000).0;
        let record = AuditRecord::new("now".into(), &facts, &outcome, 1);
        let problem = Problem::new(&facts, &outcome);
        let text = [Wire::Http, Wire::Text, Wire::Grpc].map(|wire| problem.answer(wire).body).join("\n");
        (serde_json::to_value(&record).expect("a record"), text)
    };
    let (record, text) = told(&asks("https://evil.example/x", 0));
    assert_eq!(record["provider_fetch"], serde_json::json!({"host": "evil.example", "reason": "host_not_allowed"}));
    assert_eq!(text.matches("evil.example").count(), 3, "{text}");
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    let token = ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat();
    let (record, text) = told(&asks(&format!("https://x.{token}.evil.example/{token}"), 0));
    assert!(!format!("{record}{text}").to_lowercase().contains(&token[4..].to_lowercase()));
}

#[test]
fn a_graphql_request_waits_for_its_end_and_is_read_through_its_coding() {
    let inspector = inspector(GITHUB);
    let json = ("content-type", "application/json");
    let clean = "{\"query\":\"{ viewer { login } }\"}";
    let merge = "{\"query\":\"mutation { mergePullRequest(input: {}) { clientMutationId } }\"}";
    for step in [1, 7, 1000] {
        for (body, reason) in [(clean, Reason::Clean), (merge, Reason::RuleDenied)] {
            let (outcome, sent) = send(&inspector, &head("api.github.com", "/graphql", &[json]), body.as_bytes(), step);
            assert_eq!(outcome.verdict.reason, reason);
            assert_eq!(sent.len(), if reason == Reason::Clean { body.len() } else { 0 });
            let coded = head("api.github.com", "/graphql", &[json, ("content-encoding", "gzip")]);
            assert_eq!(send(&inspector, &coded, &gzip(body.as_bytes()), step).0.verdict.reason, reason);
        }
    }
    let outcome = send(&inspector, &head("api.github.com", "/graphql", &[json]), merge.as_bytes(), 1000).0;
    assert_eq!(outcome.rule.as_deref(), Some("github/graphql"));

    let head = |headers: &[(&str, &str)]| head("api.github.com", "/graphql", headers);
    let Opened::Body(mut flow) = inspector.open(&head(&[json])) else { panic!("a body follows") };
    assert!(matches!(flow.push(Bytes::from_static(merge.as_bytes())), Step::Hold));
    assert!(!flow.holds() && matches!(flow.pause(), Step::Hold) && matches!(flow.expire(), Step::Hold));
    assert_eq!(flow.finish(&[]).0.verdict.reason, Reason::RuleDenied);

    let long = format!("{{\"query\":\"{{ viewer {{ login }} }}\",\"variables\":{{\"x\":\"{}\"}}}}", "a ".repeat(64 << 10));
    assert_eq!(send(&inspector, &head(&[json]), long.as_bytes(), 4096).0.verdict.reason, Reason::LimitExceeded);
    let frames = send(&inspector, &head(&[("content-type", "application/grpc")]), clean.as_bytes(), 100).0;
    assert_eq!(frames.verdict.reason, Reason::Ambiguous);
    let coded = send(&inspector, &head(&[json, ("content-encoding", "gzip")]), b"no gzip", 100).0;
    assert_eq!(coded.verdict.action, Action::Deny);
}
