//! What the rules of a policy do to requests on their way: limits, budgets, styles, and rules that only watch.

use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, FingerprintKey, Limits, RuleSet};
use policy::{Action, Policy, Reason};
use portcullis_inspect::{AuditRecord, Facts, Head, Header, Identity, Inspector, Opened, Outcome, Problem, Snapshot, Step, Wire};
use rand::distr::{Alphanumeric, SampleString};

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn inspector(policy: &str) -> Inspector {
    let policy = Policy::from_yaml("test", &format!("version: 1\n{policy}")).unwrap_or_else(|e| panic!("{e}"));
    let limits = Limits { whole_bytes: policy.limits().buffer_bytes, ..Limits::default() };
    let engine = Engine::compile(RuleSet::builtin(), limits, FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, 0)
}

fn head(host: &str, at: u64, headers: &[(&str, &str)], end: bool) -> Head {
    Head {
        request_id: "id".into(),
        sandbox: "box".into(),
        identity: Identity::Given,
        at,
        method: if end { "GET" } else { "POST" }.into(),
        tls: true,
        authority: host.into(),
        path: Bytes::from_static(b"/"),
        headers: headers.iter().map(|(n, v)| Header { name: (*n).into(), value: Bytes::from((*v).to_owned()) }).collect(),
        end,
    }
}

fn get(inspector: &Inspector, host: &str, at: u64) -> Outcome {
    match inspector.open(&head(host, at, &[], true)) {
        Opened::Decided(outcome, _) => outcome,
        Opened::Body(_) => panic!("there is no body"),
    }
}

/// The outcome, and the bytes that travelled.
fn post(inspector: &Inspector, head: &Head, body: &[u8]) -> (Outcome, Vec<u8>) {
    let mut flow = match inspector.open(head) {
        Opened::Decided(outcome, _) => return (outcome, Vec::new()),
        Opened::Body(flow) => flow,
    };
    let mut sent = Vec::new();
    for chunk in body.chunks(1000) {
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

#[test]
fn a_body_larger_than_a_rule_lets_it_be_is_denied_before_or_while_it_comes() {
    let inspector = inspector("rules: [{name: small, max_body: 5000B}]\n");
    let fine = post(&inspector, &head("a.example", 0, &[], false), &[b'a'; 5000]).0;
    assert_eq!(fine.verdict.action, Action::Allow);
    let (unknown, sent) = post(&inspector, &head("a.example", 0, &[], false), &[b'a'; 5001]);
    assert_eq!((unknown.verdict.reason, unknown.rule.as_deref(), sent.len()), (Reason::BodyTooLarge, Some("small"), 0));
    let Opened::Decided(known, _) = inspector.open(&head("a.example", 0, &[("content-length", "5001")], false)) else {
        panic!("undecided")
    };
    assert_eq!(known.verdict.reason, Reason::BodyTooLarge);
    let told = Problem::new(&Facts::of(&head("a.example", 0, &[], false)), &known).answer(Wire::Http);
    assert_eq!((told.status, told.retry_after), (413, None));
}

#[test]
fn budgets_are_kept_per_sandbox_and_say_when_to_come_again() {
    let inspector =
        inspector("rules: [{name: few, hosts: ['*.example'], budget: {window: 16s, requests: 2, new_hosts: 2, bytes: 10KiB}}]\n");
    assert_eq!(get(&inspector, "a.example", 1000).verdict.action, Action::Allow);
    assert_eq!(get(&inspector, "b.example", 1000).verdict.action, Action::Allow);
    assert_eq!(get(&inspector, "c.org", 1000).verdict.action, Action::Allow, "not under the rule");
    let outcome = get(&inspector, "a.example", 2000);
    assert_eq!((outcome.verdict.reason, outcome.rule.as_deref(), outcome.retry_after), (Reason::RateLimited, Some("few"), Some(16)));
    let facts = Facts::of(&head("a.example", 0, &[], true));
    let told = Problem::new(&facts, &outcome).answer(Wire::Http);
    assert_eq!((told.status, told.retry_after), (429, Some(16)));
    let body: serde_json::Value = serde_json::from_str(&told.body).expect("JSON");
    assert_eq!((body["retry"].as_bool(), body["retry_after"].as_u64(), body["rule"].as_str()), (Some(true), Some(16), Some("few")));
    assert_eq!(Problem::new(&facts, &outcome).answer(Wire::Grpc).grpc_status, Some(8), "RESOURCE_EXHAUSTED");
    let mut other = head("a.example", 2000, &[], true);
    other.sandbox = "other".into();
    assert!(matches!(inspector.open(&other), Opened::Decided(outcome, _) if outcome.verdict.action == Action::Allow));
    assert_eq!(get(&inspector, "a.example", 18_000).verdict.action, Action::Allow, "after the window");
}

#[test]
fn new_hosts_and_bytes_are_budgets_too() {
    let inspector = inspector(
        "rules:\n  - {name: hosts, hosts: ['*.example'], budget: {window: 1m, new_hosts: 1}}\n  - {name: bytes, budget: {window: 1m, bytes: 6000B}}\n",
    );
    assert_eq!(get(&inspector, "a.example", 0).verdict.action, Action::Allow);
    assert_eq!(get(&inspector, "b.example", 0).verdict.reason, Reason::TooManyHosts);
    assert_eq!(get(&inspector, "a.example", 0).verdict.action, Action::Allow);
    let (outcome, sent) = post(&inspector, &head("up.org", 0, &[], false), &[b'a'; 7000]);
    assert_eq!((outcome.verdict.reason, sent.len()), (Reason::VolumeExceeded, 0));
    assert!(outcome.retry_after.is_some_and(|s| (1..=64).contains(&s)));
    let Opened::Decided(known, _) = inspector.open(&head("up.org", 0, &[("content-length", "5000")], false)) else { panic!("undecided") };
    assert_eq!(known.verdict.reason, Reason::VolumeExceeded, "the first body took most of it");
}

#[test]
fn a_rule_that_only_watches_changes_nothing_and_is_written_down() {
    let inspector = inspector(
        "rules:
  - {name: no-posts, methods: [POST], action: deny, monitor_until: '1970-01-01T00:01:00Z'}
  - {name: small, hosts: [b.example], max_body: 10B, mode: monitor}
  - {name: few, hosts: [c.example], budget: {window: 1m, requests: 1}, mode: monitor}
  - {name: low, hosts: [d.example], findings: {certain: deny}, mode: monitor}
",
    );
    let watched = |host: &str, at: u64| {
        let request = head(host, at, &[], false);
        let (outcome, _) = post(&inspector, &request, b"a body of more than ten bytes");
        let facts = Facts::of(&request);
        let record = AuditRecord::new(String::new(), &facts, &outcome, 0);
        let json: serde_json::Value = serde_json::to_value(record).expect("JSON");
        (outcome.verdict.action, json["would"]["reason"].as_str().map(str::to_owned), json["would"]["rule"].as_str().map(str::to_owned))
    };
    assert_eq!(watched("a.example", 0), (Action::Allow, Some("rule_denied".into()), Some("no-posts".into())));
    assert_eq!(watched("a.example", 60_000), (Action::Deny, None, None), "from then on it is enforced");
    let inspected = |host: &str| {
        let outcome = get(&inspector, host, 0);
        (outcome.verdict.action, outcome.would.map(|w| w.verdict.reason))
    };
    assert_eq!(inspected("c.example"), (Action::Allow, None));
    assert_eq!(inspected("c.example"), (Action::Allow, Some(Reason::RateLimited)));
    let token = token();
    let (outcome, sent) = post(&inspector, &head("d.example", 60_000, &[], false), token.as_bytes());
    assert_eq!((outcome.verdict.action, sent.len()), (Action::Deny, 0), "watching never lets anything pass");
}

#[test]
fn fixed_length_keeps_the_length_of_what_is_redacted() {
    let inspector = inspector("rules: [{name: fixed, findings: {certain: redact, high: redact}, redaction: fixed-length}]\n");
    let token = token();
    for (content_type, body) in [
        ("application/json", format!(r#"{{"a": "{token}", "b": 1}}"#)),
        ("application/x-www-form-urlencoded", format!("a=1&key={token}&b=2")),
        ("text/plain", format!("key {token}\n")),
    ] {
        let (outcome, sent) = post(&inspector, &head("a.example", 0, &[("content-type", content_type)], false), body.as_bytes());
        let text = String::from_utf8(sent).expect("text");
        assert_eq!((outcome.verdict.action, text.len()), (Action::Redact, body.len()), "{text}");
        assert!(!text.contains(&token) && text.contains("portcullis"), "{text}");
        assert!(!content_type.contains("form") || !text.contains(['[', ':']), "{text}");
    }
    let mut request = head("a.example", 0, &[("x-note", &token)], true);
    request.path = Bytes::from(format!("/?k={token}"));
    let Opened::Decided(outcome, edits) = inspector.open(&request) else { panic!("there is no body") };
    assert_eq!(outcome.verdict.action, Action::Redact);
    assert_eq!(edits.path.map(|p| p.len()), Some(request.path.len()));
    assert_eq!(edits.headers[0].1.len(), token.len());
}

#[test]
fn a_method_in_a_header_does_not_get_around_a_rule() {
    let inspector = inspector("rules: [{name: no-delete, methods: [DELETE], action: deny}]\n");
    for (headers, path) in [(&[("x-http-method-override", "delete")][..], "/"), (&[], "/?a=1&_method=DELETE")] {
        let mut request = head("a.example", 0, headers, true);
        request.path = Bytes::from(path);
        let Opened::Decided(outcome, _) = inspector.open(&request) else { panic!("there is no body") };
        assert_eq!(outcome.verdict.reason, Reason::RuleDenied);
    }
}
