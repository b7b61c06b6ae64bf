//! What counts beyond one request: parts of known secrets, and what leaves slowly.

use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use engine::{Engine, FingerprintKey, Known, KnownKey, Limits, RuleSet};
use policy::{Action, Policy, Reason};
use portcullis_inspect::{Facts, Head, Header, Identity, Inspector, Opened, Outcome, Problem, Snapshot, Step, Wire};
use rand::distr::{Alphanumeric, SampleString};

fn inspector(policy: &str, secret: &str) -> Inspector {
    let policy = Policy::from_yaml("test", &format!("version: 1\n{policy}")).unwrap_or_else(|e| panic!("{e}"));
    let limits = Limits { whole_bytes: policy.limits().buffer_bytes, ..Limits::default() };
    let key = FingerprintKey([7; 32]);
    let (known, _) = Known::build([("TOKEN".to_owned(), secret)], &KnownKey([1; 32]), &key);
    let engine = Engine::compile(&RuleSet::default(), limits, key).expect("an engine").with_known(known);
    Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, 100)
}

fn head(sandbox: &str, at: u64, host: &str, path: &str, note: &str, end: bool) -> Head {
    Head {
        request_id: "id".into(),
        sandbox: sandbox.into(),
        identity: Identity::Given,
        at,
        method: if end { "GET" } else { "POST" }.into(),
        tls: true,
        authority: host.into(),
        path: Bytes::from(path.to_owned()),
        headers: vec![Header { name: "x-note".into(), value: Bytes::from(note.to_owned()) }],
        end,
    }
}

fn get(inspector: &Inspector, head: &Head) -> Outcome {
    match inspector.open(head) {
        Opened::Decided(outcome, _) => outcome,
        Opened::Body(_) => panic!("there is no body"),
    }
}

fn post(inspector: &Inspector, head: &Head, body: &str) -> Outcome {
    let Opened::Body(mut flow) = inspector.open(head) else { panic!("a body follows") };
    for chunk in body.as_bytes().chunks(10_000) {
        if let Step::Deny(outcome) = flow.push(Bytes::copy_from_slice(chunk)) {
            return outcome;
        }
    }
    flow.finish(&[]).0
}

const HOUR: u64 = 3_600_000;

#[test]
fn a_known_secret_in_parts_over_requests_places_hosts_and_encodings_is_found() {
    let secret = Alphanumeric.sample_string(&mut rand::rng(), 48);
    let (first, second) = secret.split_at(20);
    let filler = "some words\n".repeat(120_000);
    type Way<'a> = &'a dyn Fn(&Inspector, &str, u64, &str) -> Outcome;
    let ways: [(&str, Way<'_>); 5] = [
        ("header", &|i, who, at, part| get(i, &head(who, at, "a.example", "/", part, true))),
        ("query", &|i, who, at, part| get(i, &head(who, at, "b.example", &format!("/?q={part}"), "", true))),
        ("base64", &|i, who, at, part| get(i, &head(who, at, "c.example", "/", &BASE64.encode(part.as_bytes()), true))),
        ("body", &|i, who, at, part| post(i, &head(who, at, "d.example", "/", "", false), &format!("a note: {part}"))),
        ("long body", &|i, who, at, part| post(i, &head(who, at, "e.example", "/", "", false), &format!("{filler}{part}\n{filler}"))),
    ];
    for (name, one) in &ways {
        for (other_name, other) in &ways {
            let inspector = inspector("limits: {buffer: 64KiB}\n", &secret);
            assert_eq!(one(&inspector, "a", 0, first).verdict.reason, Reason::Clean, "{name}");
            assert_eq!(one(&inspector, "a", 10, first).verdict.reason, Reason::Clean, "{name}: the same again");
            assert_eq!(other(&inspector, "b", 20, second).verdict.reason, Reason::Clean, "{other_name}: somebody else");
            let outcome = other(&inspector, "a", HOUR, second);
            assert_eq!(outcome.verdict.reason, Reason::SecretFound, "{name}, then {other_name}");
            let trail = &outcome.findings[0].0.finding.trail;
            assert_eq!(trail.last(), Some(&"earlier-requests"), "{trail:?}");
        }
    }
    let (_, header) = ways[0];
    let later = inspector("", &secret);
    assert_eq!(header(&later, "a", 0, first).verdict.reason, Reason::Clean);
    assert_eq!(header(&later, "a", HOUR + 1, second).verdict.reason, Reason::Clean, "the window is over");
    let off = inspector("history: {pieces: 0s}\n", &secret);
    assert!([first, second].iter().all(|part| header(&off, "a", 0, part).verdict.reason == Reason::Clean));
}

#[test]
fn policy_judges_parts_like_any_finding_and_nothing_shows_them() {
    let secret = Alphanumeric.sample_string(&mut rand::rng(), 48);
    let (first, second) = secret.split_at(20);
    let lenient = inspector("rules: [{name: ours, hosts: [b.example], detectors: {'known-secret:TOKEN': allow}}]\n", &secret);
    get(&lenient, &head("a", 0, "a.example", "/", first, true));
    assert_eq!(get(&lenient, &head("a", 1, "b.example", "/", second, true)).verdict.action, Action::Allow);
    let head = head("a", 2, "c.example", "/", second, true);
    let outcome = get(&lenient, &head);
    assert_eq!(outcome.verdict.action, Action::Deny);
    let told = Problem::new(&Facts::of(&head), &outcome).answer(Wire::Text).body;
    assert!(!told.contains(second) && told.contains("known-secret"), "{told}");
}

#[test]
fn what_leaves_slowly_is_counted_by_place() {
    let inspector = inspector(
        "rules:
  - {name: chance, hosts: ['*.a.example'], budget: {window: 1h, opaque: 64B}}
  - {name: fresh, hosts: [b.example], budget: {window: 1h, new_host_bytes: 2KiB}}
",
        "",
    );
    let random = |len| Alphanumeric.sample_string(&mut rand::rng(), len);
    let ask = |at, host: &str, path: &str| get(&inspector, &head("s", at, host, path, "", true)).verdict.reason;
    for _ in 0..50 {
        assert_eq!(ask(0, "docs.a.example", "/guide/getting-started-with-the-gateway?lang=english&page=12"), Reason::Clean);
    }
    assert_eq!(ask(0, &format!("{}.a.example", random(32).to_lowercase()), "/"), Reason::Clean);
    assert_eq!(ask(1, "x.a.example", &format!("/d/{}", random(30))), Reason::Clean);
    assert_eq!(ask(2, "x.a.example", &format!("/?k={}", random(24))), Reason::VolumeExceeded);
    assert_eq!(ask(2, "x.a.example", "/plain"), Reason::Clean);

    let send = |at, bytes: usize| post(&inspector, &head("s", at, "b.example", "/", "", false), &"word ".repeat(bytes / 5));
    assert_eq!(send(0, 1000).verdict.reason, Reason::Clean);
    let over = send(HOUR / 2, 1500);
    assert_eq!((over.verdict.reason, over.rule.as_deref()), (Reason::VolumeExceeded, Some("fresh")));
    assert_eq!(over.retry_after, Some(1801));
    assert_eq!(send(HOUR + 10, 100_000).verdict.reason, Reason::Clean, "it is not new any more");
}
