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

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn github_pat() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn catalogue(policy: &str) -> Inspector {
    let policy = Policy::from_yaml("test", &format!("version: 1\n{policy}")).unwrap_or_else(|e| panic!("{e}"));
    let engine = Engine::compile(RuleSet::builtin(), Limits::default(), FingerprintKey([7; 32])).expect("the catalogue compiles");
    Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, 0)
}

#[test]
fn a_secret_that_nobody_registered_is_found_in_parts_that_follow_each_other() {
    let token = github_pat();
    let (first, second) = token.split_at(17);
    let (third, fourth) = second.split_at(9);
    type Way<'a> = &'a dyn Fn(&Inspector, &str, u64, &str) -> Outcome;
    let json = |i: &Inspector, who: &str, at, part: &str| {
        let mut head = head(who, at, "d.example", "/", "", false);
        head.headers.push(Header { name: "content-type".into(), value: Bytes::from_static(b"application/json") });
        post(i, &head, &format!("{{\"id\": 7, \"note\": \"{part}\", \"words\": \"some more of them\"}}"))
    };
    let ways: [(&str, Way<'_>); 5] = [
        ("query", &|i, who, at, part| get(i, &head(who, at, "a.example", &format!("/p?page={at}&q={part}&lang=english"), "", true))),
        ("path", &|i, who, at, part| get(i, &head(who, at, "b.example", &format!("/x/{part}"), "", true))),
        ("header", &|i, who, at, part| get(i, &head(who, at, "c.example", "/", part, true))),
        ("json", &json),
        ("body", &|i, who, at, part| post(i, &head(who, at, "e.example", "/", "", false), part)),
    ];
    for (name, way) in &ways {
        let inspector = catalogue("");
        for (at, part) in [(1, first), (2, first), (3, third)] {
            assert_eq!(way(&inspector, "a", at, part).verdict.reason, Reason::Clean, "{name}");
        }
        assert_eq!(way(&inspector, "b", 4, fourth).verdict.reason, Reason::Clean, "{name}: somebody else's");
        let outcome = way(&inspector, "a", 5, fourth);
        assert_eq!(outcome.verdict.action, Action::Deny, "{name}");
        assert_eq!(outcome.findings[0].0.finding.trail, ["pieces", "earlier-requests"], "{name}");
        assert!(outcome.findings[0].0.finding.detector.id.starts_with("github"), "{name}");
        let late = catalogue("");
        for (at, part) in [(1, first), (2, third), (HOUR + 10, fourth)] {
            assert_eq!(way(&late, "a", at, part).verdict.reason, Reason::Clean, "{name}: that was long ago");
        }
    }
    // Over places and hosts, in one request and in two.
    let inspector = catalogue("");
    let one = get(&inspector, &head("c", 1, "a.example", &format!("/?a={first}&b={third}&c={fourth}"), "", true));
    assert_eq!(one.verdict.action, Action::Deny);
    get(&inspector, &head("d", 1, "a.example", &format!("/?a={first}"), "", true));
    get(&inspector, &head("d", 2, "b.example", &format!("/{third}"), "", true));
    assert_eq!(get(&inspector, &head("d", 3, "c.example", "/", fourth, true)).verdict.action, Action::Deny);
    let off = catalogue("history: {pieces: 0s}\n");
    let one = get(&off, &head("a", 1, "a.example", &format!("/{first}?b={third}"), fourth, true));
    assert_eq!((one.verdict.action, one.findings[0].0.finding.trail.clone()), (Action::Deny, vec!["pieces"]));
    assert!(
        [first, third, fourth]
            .iter()
            .all(|part| get(&off, &head("a", 1, "a.example", &format!("/{part}"), "", true)).verdict.reason == Reason::Clean)
    );
}

#[test]
fn what_stands_beside_a_whole_secret_makes_no_other_one() {
    let inspector = catalogue("");
    let token = github_pat();
    let mut at_home = head("a", 1, "api.github.com", "/user", "", true);
    at_home.headers.push(Header { name: "authorization".into(), value: Bytes::from(format!("Bearer {token}")) });
    // A place that is home, by policy; and a place where it is denied.
    assert_eq!(get(&inspector, &at_home).verdict.reason, Reason::CredentialAtHome);
    assert_eq!(get(&inspector, &head("a", 2, "x.example", &format!("/{token}"), "", true)).verdict.action, Action::Deny);
    let lax = catalogue("rules: [{name: lax, hosts: [x.example], detectors: {'github-*': allow}}]\n");
    assert_eq!(get(&lax, &head("a", 1, "x.example", &format!("/{token}"), "", true)).verdict.action, Action::Allow);
    for (at, word) in (2..).zip(["chat.postMessage2", "Abc123", "x7"]) {
        assert_eq!(get(&lax, &head("a", at, "y.example", &format!("/{word}"), "", true)).verdict.reason, Reason::Clean, "{word}");
    }
    for note in ["Abc123", "v1.2-rc3"] {
        get(&lax, &head("a", 9, "y.example", "/", note, true));
        let outcome = get(&lax, &head("a", 10, "x.example", "/", &token, true));
        assert!(outcome.findings.iter().all(|(located, _)| located.finding.trail.is_empty()), "{outcome:?}");
    }
}

#[test]
fn what_programs_send_all_day_makes_no_secret_together() {
    use rand::RngCore;
    let inspector = catalogue("");
    let mut rng = rand::rng();
    let mut hex = |len: usize| {
        let mut bytes = vec![0; len / 2];
        rng.fill_bytes(&mut bytes);
        data_encoding::HEXLOWER.encode(&bytes)
    };
    for at in 0..400 {
        let uuid = format!("{}-{}-4{}-a{}-{}", hex(8), hex(4), &hex(4)[1..], &hex(4)[1..], hex(12));
        let path = format!(
            "/repos/acme/shop/commits/{}?page={at}&per_page=100&cursor={}&id={uuid}&since=2026-11-24T10:{:02}:00Z",
            hex(40),
            hex(24),
            at % 60
        );
        let outcome = get(&inspector, &head("a", at, "api.example", &path, &hex(32), true));
        assert_eq!(outcome.verdict.reason, Reason::Clean, "{path}: {outcome:?}");
    }
}
