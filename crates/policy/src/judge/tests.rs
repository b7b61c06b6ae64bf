use std::sync::Arc;

use engine::{Fingerprint, Gap, RuleSet};
use proptest::prelude::*;

use super::*;
use crate::Preset;

fn subject(authority: &str, tls: bool) -> Subject {
    Subject {
        sandbox: "box".into(),
        method: "POST".into(),
        destination: Destination::parse(authority, tls).unwrap(),
        path: "/".into(),
        ..Subject::default()
    }
}

fn finding(location: Location, confidence: Confidence) -> Located {
    let detector = RuleSet::builtin().detectors().iter().find(|d| d.id == "github-pat-classic").expect("a built-in detector");
    let finding = Finding {
        detector: Arc::new(detector.clone()),
        confidence,
        span: 0..40,
        trail: vec![],
        field: None,
        fingerprint: Fingerprint([0; 8]),
    };
    Located { location, finding }
}

fn judge(policy: &Policy, subject: &Subject, findings: &[Located]) -> (Action, Reason) {
    let verdict = judgement(policy, subject, findings, Coverage::Complete).verdict;
    (verdict.action, verdict.reason)
}

fn judgement(policy: &Policy, subject: &Subject, findings: &[Located], coverage: Coverage) -> Judgement {
    policy.judge(subject, &policy.terms(subject, Details::none()), findings, coverage)
}

fn admit(policy: &Policy, subject: &Subject) -> Verdict {
    policy.admit(subject, &policy.terms(subject, Details::none())).verdict
}

fn authorization() -> Location {
    Location::Header("authorization".into())
}

#[test]
fn a_token_travels_home_in_its_place_and_nowhere_else() {
    let policy = Policy::preset(Preset::Default);
    let in_header = [finding(authorization(), Confidence::Certain)];
    assert_eq!(judge(&policy, &subject("api.github.com", true), &in_header), (Action::Allow, Reason::CredentialAtHome));
    assert_eq!(
        judge(&policy, &subject("api.github.com", false), &in_header),
        (Action::Deny, Reason::CredentialMisdirected),
        "in clear text"
    );
    assert_eq!(judge(&policy, &subject("sink.example.net", true), &in_header), (Action::Deny, Reason::CredentialMisdirected));
    assert_eq!(judge(&policy, &subject("api.github.com.evil.example", true), &in_header).0, Action::Deny);
    for place in [Location::Body, Location::Query, Location::Path, Location::Header("x-note".into())] {
        assert_eq!(judge(&policy, &subject("api.github.com", true), &[finding(place, Confidence::Certain)]).0, Action::Deny);
    }
}

#[test]
fn the_policy_may_add_a_home() {
    let source = "version: 1\nhome:\n  extra:\n    - {detectors: ['github-*'], hosts: [ghe.example.com], places: ['header:x-token']}\n";
    let policy = Policy::from_yaml("p", source).unwrap();
    let at = |name: &str| judge(&policy, &subject("ghe.example.com", true), &[finding(Location::Header(name.into()), Confidence::High)]).0;
    assert_eq!((at("x-token"), at("authorization")), (Action::Allow, Action::Deny));
}

#[test]
fn llm_text_is_redacted_unless_it_cannot_be() {
    let policy = Policy::preset(Preset::Default);
    let mut llm = subject("api.anthropic.com", true);
    let body = [finding(Location::Body, Confidence::High)];
    assert_eq!(judge(&policy, &llm, &body), (Action::Redact, Reason::SecretRedacted));
    assert_eq!(judge(&policy, &llm, &[finding(Location::Body, Confidence::Low)]), (Action::Allow, Reason::LowConfidence));
    assert_eq!(judge(&policy, &llm, &[finding(authorization(), Confidence::High)]).0, Action::Deny, "another's login");
    llm.body_signed = true;
    assert_eq!(judge(&policy, &llm, &body), (Action::Deny, Reason::RedactionImpossible));
}

#[test]
fn partial_coverage_is_denied_and_may_be_allowed_for_a_host() {
    let source = "version: 1\nrules:\n  - {name: a, hosts: [a.example], partial_coverage: allow}\n  - {name: b, sandboxes: [trusted], findings: {certain: allow}}\n";
    let policy = Policy::from_yaml("p", source).unwrap();
    let partial = Coverage::Partial { at: 0, gap: Gap::Encrypted };
    let of = |host| judgement(&policy, &subject(host, true), &[], partial).verdict;
    assert_eq!((of("a.example").action, of("b.example").action), (Action::Allow, Action::Deny));
    assert_eq!(of("b.example").reason, Reason::PartialCoverage);
    let mut trusted = subject("b.example", true);
    trusted.sandbox = "trusted".into();
    assert_eq!(judge(&policy, &trusted, &[finding(Location::Body, Confidence::Certain)]).0, Action::Allow);
}

#[test]
fn the_head_alone_refuses_what_no_content_can_excuse() {
    let policy = Policy::preset(Preset::Default);
    let admit_to = |authority: &str| admit(&policy, &subject(authority, true)).reason;
    assert_eq!(admit_to("example.com"), Reason::Clean);
    assert_eq!(admit_to("1.1.1.1"), Reason::IpLiteral);
    for private in [
        "127.0.0.1",
        "2130706433",
        "[::1]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "localhost",
        "metadata.google.internal",
        "printer",
        "kubernetes.default.svc",
        "168.63.129.16",
    ] {
        assert_eq!(admit_to(private), Reason::PrivateAddress, "{private}");
    }
    assert_eq!(admit_to("example.com:22"), Reason::PortNotAllowed);
    let upgrade = Subject { upgrade: Some("websocket".into()), ..subject("example.com", true) };
    assert_eq!(admit(&policy, &upgrade).reason, Reason::UpgradeNotAllowed);
    let only = Policy::from_yaml("p", "version: 1\nmethods: [GET]\n").unwrap();
    assert_eq!(admit(&only, &subject("example.com", true)).reason, Reason::MethodNotAllowed);
    let mirror = policy.with_private(&["10.0.0.0/8".into()]).unwrap();
    assert_eq!(admit(&mirror, &subject("mirror.internal", true)).reason, Reason::Clean);
    assert_eq!(admit(&mirror, &subject("127.0.0.1", true)).reason, Reason::PrivateAddress);
}

#[test]
fn an_explanation_names_what_decides() {
    let policy = Policy::preset(Preset::Default);
    let text = policy.explain(&subject("webhook.site", true), Details::none(), None, &[], Coverage::Complete).to_string();
    assert!(text.contains("deny: host_blocked") && text.contains("catcher"), "{text}");
    let text = policy
        .explain(
            &subject("api.anthropic.com", true),
            Details::none(),
            None,
            &[finding(Location::Body, Confidence::High)],
            Coverage::Complete,
        )
        .to_string();
    assert!(text.contains("redact: secret_redacted") && text.contains("github-pat-classic (high) in body: not at home, redact"), "{text}");
}

proptest! {
    /// More findings never make the verdict milder, and order does not matter for the action.
    #[test]
    fn judging_is_monotone(picks in prop::collection::vec((0_usize..5, 0_usize..4), 0..8), host in 0_usize..3, signed in any::<bool>()) {
        let policy = Policy::preset(Preset::Default);
        let host = ["api.github.com", "api.anthropic.com", "sink.example.net"][host];
        let subject = Subject { body_signed: signed, ..subject(host, true) };
        let make = |&(place, sure): &(usize, usize)| {
            let place = [Location::Body, Location::Path, Location::Host, authorization(), Location::Query][place].clone();
            finding(place, [Confidence::Low, Confidence::Medium, Confidence::High, Confidence::Certain][sure])
        };
        let all: Vec<Located> = picks.iter().map(make).collect();
        let mut before = Action::Allow;
        for n in 0..=all.len() {
            let now = judgement(&policy, &subject, &all[..n], Coverage::Complete).verdict.action;
            prop_assert!(now >= before);
            before = now;
        }
        let reversed: Vec<Located> = all.iter().rev().cloned().collect();
        prop_assert_eq!(judgement(&policy, &subject, &reversed, Coverage::Complete).verdict.action, before);
    }
}
