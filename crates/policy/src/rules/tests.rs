use std::sync::Arc;

use engine::{Confidence, Coverage, Finding, Fingerprint, Location, RuleSet};

use crate::{Action, Destination, Details, Judgement, Located, Policy, Preset, Reason, Redaction, Ruling, Subject, Usage};

fn policy(source: &str) -> Policy {
    Policy::from_yaml("p", &format!("version: 1\n{source}")).unwrap_or_else(|error| panic!("{error}"))
}

fn to(method: &str, url: &str) -> Subject {
    let (host, path) = url.split_once('/').unwrap_or((url, ""));
    Subject {
        sandbox: "box".into(),
        method: method.into(),
        destination: Destination::parse(host, true).unwrap(),
        path: format!("/{path}"),
        ..Subject::default()
    }
}

fn admit(policy: &Policy, subject: &Subject) -> Ruling {
    policy.admit(subject, &policy.terms(subject, Details::none()))
}

fn reason(policy: &Policy, method: &str, url: &str) -> Reason {
    admit(policy, &to(method, url)).verdict.reason
}

fn judge(policy: &Policy, subject: &Subject, detector: &str, confidence: Confidence) -> Judgement {
    let detector = RuleSet::builtin().detectors().iter().find(|d| d.id == detector).expect("a built-in detector");
    let finding = Finding {
        detector: Arc::new(detector.clone()),
        confidence,
        span: 0..40,
        trail: vec![],
        field: None,
        fingerprint: Fingerprint([0; 8]),
    };
    let located = Located { location: Location::Body, finding };
    policy.judge(subject, &policy.terms(subject, Details::none()), &[located], Coverage::Complete)
}

#[test]
fn the_first_rule_that_matches_decides() {
    let policy = policy(
        "rules:
  - {name: read, hosts: [a.example], methods: [GET], action: allow}
  - {name: docs, hosts: [a.example], paths: [/docs/**], action: allow}
  - {name: rest, hosts: [a.example, '*.a.example'], action: deny}
",
    );
    let ruling = admit(&policy, &to("GET", "a.example/x"));
    assert_eq!((ruling.verdict.action, ruling.rule.as_deref()), (Action::Allow, Some("read")));
    assert_eq!(admit(&policy, &to("POST", "a.example/docs/x")).rule.as_deref(), Some("docs"));
    let ruling = admit(&policy, &to("POST", "a.example/x"));
    assert_eq!((ruling.verdict.reason, ruling.rule.as_deref()), (Reason::RuleDenied, Some("rest")));
    assert_eq!(reason(&policy, "GET", "b.a.example/"), Reason::RuleDenied);
    assert_eq!(reason(&policy, "GET", "b.example/"), Reason::Clean);
}

#[test]
fn rules_go_by_group_sandbox_type_and_condition() {
    let policy = policy(
        "groups: {ci: ['ci-*', nightly]}
rules:
  - {name: named, when: \"'ci' in groups && port == 8443\", action: deny}
  - {name: ci, groups: [ci], action: deny}
  - {name: one, sandboxes: ['*-eu'], methods: [PUT], action: deny}
  - {name: zip, content_types: [application/zip, 'image/*'], action: deny}
  - {name: big, when: 'content_length > 100 && path.startsWith(\"/up\")', action: deny}
",
    );
    let decide = |change: &dyn Fn(&mut Subject)| {
        let mut subject = to("PUT", "a.example/up/x");
        change(&mut subject);
        admit(&policy, &subject).rule.as_deref().map(str::to_owned)
    };
    assert_eq!(decide(&|s| s.sandbox = "ci-7".into()).as_deref(), Some("ci"));
    assert_eq!(decide(&|s| s.sandbox = "nightly".into()).as_deref(), Some("ci"));
    let at_a_port = |s: &mut Subject| (s.sandbox, s.destination.port) = ("ci-7".into(), 8443);
    assert_eq!(decide(&at_a_port).as_deref(), Some("named"));
    assert_eq!(decide(&|s| s.sandbox = "box-eu".into()).as_deref(), Some("one"));
    assert_eq!(decide(&|s| s.content_type = "image/png".into()).as_deref(), Some("zip"));
    assert_eq!(decide(&|s| s.content_length = Some(101)).as_deref(), Some("big"));
    assert_eq!(decide(&|_| {}), None);
}

#[test]
fn every_key_is_taken_from_the_first_rule_that_says_it() {
    let policy = policy(
        "rules:
  - {name: a, hosts: [a.example], detectors: {'github-*': allow}, max_body: 10B}
  - {name: b, hosts: [a.example], findings: {high: redact}, redaction: fixed-length, max_body: 20B, budget: {window: 1m, requests: 2}}
",
    );
    let subject = to("POST", "a.example/");
    assert_eq!(judge(&policy, &subject, "github-pat-classic", Confidence::High).verdict.action, Action::Allow);
    let redacted = judge(&policy, &subject, "slack-bot-token", Confidence::High);
    assert_eq!((redacted.verdict.reason, redacted.rule.as_deref()), (Reason::SecretRedacted, Some("b")));
    assert_eq!(judge(&policy, &subject, "slack-bot-token", Confidence::Certain).rule, None, "no rule says anything of it");
    let settings = policy.settings(&policy.terms(&subject, Details::none()));
    assert_eq!(settings.max_body.map(|(rule, n)| (rule.to_string(), n)), Some(("a".into(), 10)));
    assert_eq!(settings.redaction, Redaction::FixedLength);
    let (rule, budget) = settings.budget.unwrap();
    assert_eq!(&*rule, "b");
    assert_eq!(budget.admits(Usage { requests: 1, ..Usage::default() }, 9, 0), Ok(()));
    assert_eq!(budget.admits(Usage { requests: 2, ..Usage::default() }, 9, 0), Err(Reason::RateLimited));
}

#[test]
fn a_rule_that_only_watches_decides_nothing_and_says_what_it_would_have_done() {
    let policy = policy(
        "rules:
  - {name: soon, hosts: [a.example], action: deny, monitor_until: '1970-01-01T00:00:02Z'}
  - {name: lax, hosts: [b.example], findings: {certain: allow}, mode: monitor}
  - {name: low, hosts: [b.example], findings: {low: deny}, mode: monitor}
  - {name: open, hosts: [pastebin.com], action: allow, mode: monitor}
",
    );
    let mut subject = to("GET", "a.example/");
    subject.at = 1_999;
    let ruling = admit(&policy, &subject);
    assert_eq!(ruling.verdict.action, Action::Allow);
    let would = ruling.would.unwrap();
    assert_eq!((would.verdict.reason, &*would.rule), (Reason::RuleDenied, "soon"));
    subject.at = 2_000;
    let ruling = admit(&policy, &subject);
    assert_eq!((ruling.verdict.reason, ruling.would), (Reason::RuleDenied, None));

    let subject = to("POST", "b.example/");
    let certain = judge(&policy, &subject, "github-pat-classic", Confidence::Certain);
    assert_eq!((certain.verdict.action, certain.would), (Action::Deny, None), "watching never lets anything pass");
    let low = judge(&policy, &subject, "github-pat-classic", Confidence::Low);
    assert_eq!((low.verdict.action, low.would.unwrap().verdict.reason), (Action::Allow, Reason::CredentialMisdirected));
    assert_eq!(reason(&policy, "GET", "pastebin.com/"), Reason::HostBlocked);
}

#[test]
fn a_condition_that_cannot_be_evaluated_denies() {
    let policy = policy("rules: [{name: ticket, when: 'headers[\"x-ticket\"] != \"\"', action: allow}]\n");
    let subject = to("GET", "a.example/");
    let with = |name: &str| {
        let headers = || vec![(name.to_owned(), "7".to_owned())];
        policy.admit(&subject, &policy.terms(&subject, Details { query: "", headers: &headers }))
    };
    assert_eq!(with("X-Ticket").verdict.action, Action::Allow);
    let ruling = with("x-other");
    assert_eq!((ruling.verdict.reason, ruling.rule.as_deref()), (Reason::RuleError, Some("ticket")));
    let asked = |rule: &str| {
        self::policy(&format!("rules:\n  - {{name: first, action: allow}}\n  - {{name: x, when: 'headers.x == \"\"', {rule}}}\n"))
    };
    assert_eq!(admit(&asked("action: deny"), &subject).verdict.action, Action::Allow, "decided before");
    assert_eq!(admit(&asked("action: deny, max_body: 1B"), &subject).verdict.reason, Reason::RuleError);
}

#[test]
fn another_method_in_a_header_neither_dodges_a_denial_nor_earns_a_permission() {
    let policy =
        policy("extends: strict\nrules:\n  - {name: w, methods: [DELETE], action: deny}\n  - {name: r, methods: [GET], action: allow}\n");
    let mut subject = to("GET", "a.example/");
    assert_eq!(admit(&policy, &subject).verdict.reason, Reason::Clean);
    subject.other_method = Some("DELETE".into());
    assert_eq!(admit(&policy, &subject).verdict.reason, Reason::RuleDenied);
    subject.other_method = Some("PUT".into());
    assert_eq!(admit(&policy, &subject).verdict.reason, Reason::Ambiguous);
}

#[test]
fn a_rule_that_fits_one_reading_only_is_not_dodged_and_not_earned() {
    let policy = policy("rules: [{name: up, hosts: [a.example], paths: [/up/**], max_body: 10B, findings: {high: allow}}]\n");
    for path in ["x/..;/up/1", "x/%2e%2e/up/1", "up/../x", "x%2f..%2fup/1"] {
        let ruling = admit(&policy, &to("POST", &format!("a.example/{path}")));
        assert_eq!((ruling.verdict.reason, ruling.rule.as_deref()), (Reason::Ambiguous, Some("up")), "{path}");
    }
    for path in ["up/%31", "x/%2e%2e/y", "up/a%2fb", "up/./1"] {
        assert_eq!(reason(&policy, "POST", &format!("a.example/{path}")), Reason::Clean, "{path}");
    }
    let elsewhere = admit(&policy, &to("POST", "b.example/x/%2e%2e/up/1"));
    assert_eq!(elsewhere.verdict.action, Action::Allow);
}

#[test]
fn presets_compose() {
    let policy = policy("extends: [strict, llm-apis, package-registries, github]\nhosts: {allow: [api.github.com]}\n");
    for (method, url, expected) in [
        ("POST", "api.anthropic.com/v1/messages", Reason::Clean),
        ("POST", "bedrock-runtime.eu-west-1.amazonaws.com/model/x/invoke", Reason::Clean),
        ("POST", "myteam.openai.azure.com/x", Reason::Clean),
        ("GET", "registry.npmjs.org/left-pad", Reason::Clean),
        ("POST", "registry.npmjs.org/-/npm/v1/security/audits/quick", Reason::Clean),
        ("PUT", "registry.npmjs.org/left-pad", Reason::RuleDenied),
        ("POST", "upload.pypi.org/legacy/", Reason::RuleDenied),
        ("GET", "example.com/", Reason::HostNotAllowed),
        ("GET", "api.github.com/repos/o/r/pulls/1", Reason::Clean),
        ("POST", "api.github.com/repos/o/r/pulls", Reason::Clean),
        ("PUT", "api.github.com/repos/o/r/pulls/1/merge", Reason::RuleDenied),
        ("PUT", "api.github.com/repos/o/r/pulls/1/%6Derge", Reason::RuleDenied),
        ("PUT", "api.github.com/x/../repos/o/r/pulls/1/merge", Reason::RuleDenied),
        ("DELETE", "api.github.com/repos/o/r", Reason::RuleDenied),
        ("DELETE", "api.github.com/repositories/7", Reason::RuleDenied),
        ("DELETE", "api.github.com/repos/o/r/git/refs/heads/a/b", Reason::RuleDenied),
        ("DELETE", "api.github.com/repos/o/r/branches/main/protection", Reason::RuleDenied),
        ("GET", "api.github.com/repos/o/r/branches/main", Reason::Clean),
        ("GET", "api.github.com/repos/o/r/actions/secrets", Reason::RuleDenied),
        ("GET", "api.github.com/repos/o/r/actions/secrets/public-key", Reason::RuleDenied),
        ("POST", "api.github.com/repos/o/r/hooks", Reason::RuleDenied),
        ("POST", "api.github.com/repos/o/r/keys", Reason::RuleDenied),
        ("PUT", "api.github.com/repos/o/r/collaborators/me", Reason::RuleDenied),
        ("POST", "api.github.com/repos/o/r/actions/workflows/ci.yml/dispatches", Reason::RuleDenied),
        ("GET", "api.github.com/repos/o/r/actions/runs", Reason::Clean),
        ("POST", "api.github.com/repos/o/r/releases", Reason::RuleDenied),
    ] {
        assert_eq!(reason(&policy, method, url), expected, "{method} {url}");
    }
    let gitlab = self::policy("extends: [gitlab, bitbucket]\n");
    for (method, url, expected) in [
        ("PUT", "gitlab.com/api/v4/projects/g%2Fp/merge_requests/3/merge", Reason::RuleDenied),
        ("POST", "gitlab.com/api/v4/projects/g%2Fp/merge_requests", Reason::Clean),
        ("GET", "gitlab.com/api/v4/projects/7/variables", Reason::RuleDenied),
        ("POST", "api.bitbucket.org/2.0/repositories/w/r/pullrequests/1/merge", Reason::RuleDenied),
        ("POST", "api.bitbucket.org/2.0/repositories/w/r/pullrequests", Reason::Clean),
    ] {
        assert_eq!(reason(&gitlab, method, url), expected, "{method} {url}");
    }
    let own = self::policy("extends: github\nrules: [{name: bot, sandboxes: [box], paths: [/repos/o/r/**], action: allow}]\n");
    assert_eq!(reason(&own, "PUT", "api.github.com/repos/o/r/pulls/1/merge"), Reason::Clean, "the file's own rules come first");
    assert_eq!(reason(&own, "PUT", "api.github.com/repos/o/other/pulls/1/merge"), Reason::RuleDenied);
    let instead = self::policy("extends: github\nrules: [{name: github/merge, hosts: [api.github.com], max_body: 1MiB}]\n");
    assert_eq!(reason(&instead, "PUT", "api.github.com/repos/o/r/pulls/1/merge"), Reason::Clean, "the preset's rule was replaced");
    let copy = Policy::from_yaml("copy", Preset::Default.source()).unwrap();
    assert_eq!(judge(&copy, &to("POST", "api.openai.com/"), "slack-bot-token", Confidence::High).verdict.action, Action::Redact);
    assert_ne!(Policy::preset(Preset::Github).id(), Policy::preset(Preset::Default).id());
}

#[test]
fn lints_point_out_what_cannot_have_been_meant() {
    for (source, words) in [
        (
            "rules:\n  - {name: a, hosts: ['*.x.example'], action: deny}\n  - {name: b, hosts: [y.x.example], methods: [GET], action: allow}\n",
            "rule b never decides: rule a",
        ),
        (
            "rules:\n  - {name: a, paths: [/a/**], action: allow}\n  - {name: b, paths: [/a/b/*], action: deny}\n",
            "rule b never decides: rule a",
        ),
        ("rules: [{name: a, hosts: [pastebin.com], action: allow}]\n", "pastebin.com can never match: it is on the block list"),
        ("extends: strict\nrules: [{name: a, hosts: [a.example], max_body: 1B}]\n", "a.example can never match: hosts.mode is allowlist"),
        ("rules: [{name: a, hosts: [printer.local], action: allow}]\n", "printer.local can never match: it is a private name"),
        ("rules: [{name: a, hosts: [10.0.0.1], action: allow}]\n", "can never match: addresses are not allowed"),
        ("home: {extra: [{detectors: [jwt], hosts: [webhook.site]}]}\n", "home.extra: webhook.site can never match"),
        ("home: {extra: [{detectors: ['*'], hosts: [a.example]}]}\n", "nothing that is found there is ever stopped"),
        ("groups: {a: [], b: [x]}\n", "groups.a is empty"),
        ("groups: {b: [x]}\n", "groups.b is named by no rule"),
        ("hosts: {ports: []}\n", "nothing can be reached"),
    ] {
        let lints = policy(source).lints().join("\n");
        assert!(lints.contains(words), "{source}\n{lints}");
    }
    for fine in [
        "rules:\n  - {name: a, hosts: [x.example], action: allow}\n  - {name: b, hosts: [x.example], max_body: 1KiB}\n",
        "rules:\n  - {name: a, when: 'tls', action: allow}\n  - {name: b, action: deny}\n",
        "rules:\n  - {name: a, action: deny, mode: monitor}\n  - {name: b, action: deny, hosts: [x.example]}\n",
        "extends: strict\nhosts: {allow: [x.a.example]}\nrules: [{name: a, hosts: ['*.a.example'], max_body: 1B}]\n",
        "extends: strict\nrules:\n  - {name: a, hosts: ['*.a.example'], action: allow}\n  - {name: b, hosts: [x.a.example], max_body: 1B}\n",
        "hosts: {allow: [printer.local]}\nrules: [{name: a, hosts: [printer.local], action: allow}]\n",
    ] {
        assert!(policy(fine).lints().is_empty(), "{fine}\n{:?}", policy(fine).lints());
    }
    let detectors: Vec<&engine::Detector> = RuleSet::builtin().detectors().iter().collect();
    let said = policy("rules: [{name: a, hosts: [api.github.com], detectors: {github-pat-clasic: allow, github-pat-classic: deny}}]\n");
    let lints = said.detector_lints(&detectors).join("\n");
    assert!(lints.contains("there is no detector \"github-pat-clasic\"; did you mean \"github-pat-classic\"?"), "{lints}");
    assert!(lints.contains("is at home there"), "{lints}");
}

#[test]
fn an_explanation_names_the_rules_and_why_others_do_not_match() {
    let policy = policy("extends: github\nrules: [{name: a, hosts: [api.github.com], sandboxes: [other], max_body: 1KiB}]\n");
    let text =
        policy.explain(&to("PUT", "api.github.com/repos/o/r/pulls/1/merge"), Details::none(), None, &[], Coverage::Complete).to_string();
    assert!(text.starts_with("deny: rule_denied (rule github/merge)\n  rule github/merge denies it\n"), "{text}");
    assert!(text.contains("rule a does not match: box is none of its sandboxes"), "{text}");
    assert!(text.contains("rule github/repository does not match: PUT is none of its methods"), "{text}");
    assert!(text.contains("rule github/keys does not match: the path is none of its paths"), "{text}");
}

/// The index is an index: what it leaves out would not have matched.
#[test]
fn looking_rules_up_gives_what_looking_at_all_of_them_gives() {
    let hosts = ["a.example", "*.a.example", "b.*.example", "*-x.example", "c.a.example", "10.1.2.3", "x.b.*"];
    let mut source = String::from("groups: {g: [box], h: [other]}\nhosts: {ip_literals: allow}\nallow_private: [10.0.0.0/8]\nrules:\n");
    for n in 0..60_usize {
        let host = hosts[n % hosts.len()];
        let narrow =
            ["methods: [GET]", "paths: [/p/**]", "groups: [g]", "groups: [h]", "sandboxes: ['b*']", "paths: [/p, /q]", "methods: [PUT]"];
        let hosts = if n.is_multiple_of(9) { String::new() } else { format!("hosts: ['{host}'], ") };
        source.push_str(&format!("  - {{name: r{n}, {hosts}{}, max_body: {n}B}}\n", narrow[n % 6 + usize::from(n.is_multiple_of(5))]));
    }
    let policy = policy(&source);
    for host in ["a.example", "c.a.example", "b.q.example", "y-x.example", "10.1.2.3", "x.b.c", "z.example"] {
        for (method, path) in [("GET", "p"), ("PUT", "q"), ("GET", "p/x"), ("POST", "")] {
            let subject = to(method, &format!("{host}/{path}"));
            let found: Vec<u32> = policy.terms(&subject, Details::none()).matched.iter().map(|(n, _)| *n).collect();
            let fits = |rule: &super::Rule, number: usize| {
                let hosts = rule.hosts.is_empty()
                    || rule.hosts.iter().any(|p| crate::hosts::matches_one(p, &subject.destination.host) || p == host);
                hosts && policy.rules.miss(number, &subject, Details::none()).is_none()
            };
            let all: Vec<u32> = policy.rules.list.iter().zip(0_u32..).filter(|(r, n)| fits(r, *n as usize)).map(|(_, n)| n).collect();
            assert_eq!(found, all, "{method} {host}/{path}");
            assert!(host == "z.example" || !found.is_empty());
        }
    }
}
