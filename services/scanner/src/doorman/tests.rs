use std::fs;

use engine::{Engine, FingerprintKey, Limits};
use inspect::Snapshot;
use policy::Policy;
use rules::RuleSet;

use super::*;

fn doorman(policy: &str) -> (tempfile::TempDir, Doorman, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.json");
    let mut tokens = Tokens::default();
    let (_, token) = tokens.add("agent-7", String::new(), false, rand::random()).expect("a token");
    fs::write(&path, tokens.to_json().expect("json")).expect("written");
    let engine = Engine::compile(&RuleSet::default(), Limits::default(), FingerprintKey([7; 32])).expect("an engine");
    let policy = Policy::from_yaml("p", &format!("version: 1\n{policy}")).expect("a policy");
    let inspector = Inspector::new(Snapshot { engine, policy: policy.into() }, 0);
    (folder, Doorman::new(inspector, "local".into(), Some(&path)).expect("a doorman"), token)
}

fn seen(credentials: Option<&str>, certificate: Option<&str>, source: Option<&str>) -> Seen {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Seen { credentials: owned(credentials), certificate: owned(certificate), source: owned(source), ..Seen::default() }
}

fn basic_of(text: &str) -> String {
    format!("Basic {}", BASE64.encode(text.as_bytes()))
}

#[test]
fn credentials_count_before_the_address_and_wrong_ones_count_too() {
    let (_folder, doorman, token) = doorman("identity: {addresses: {net: [10.0.0.0/8]}}\n");
    let who = |credentials: Option<&str>, source: Option<&str>| doorman.who(&seen(credentials, None, source));
    let known = who(Some(&basic_of(&format!("agent-7:{token}"))), Some("10.0.0.1"));
    assert!(known.0 == "agent-7" && matches!(known.1, Identity::Token(_)), "{known:?}");
    assert_eq!(who(None, Some("10.0.0.1")), ("net".to_owned(), Identity::Address));
    assert_eq!(who(None, Some("11.0.0.1")), ("local".to_owned(), Identity::Unknown));
    assert_eq!(who(None, None), ("local".to_owned(), Identity::Unknown));
    let spellings = [format!("BASIC  {}", BASE64.encode(format!("agent-7:{token}").as_bytes()))];
    assert!(spellings.iter().all(|s| matches!(who(Some(s), None).1, Identity::Token(_))));
    for wrong in [
        basic_of("agent-7:"),
        basic_of(&format!("agent-8:{token}")),
        basic_of(&format!("agent-7:{token} ")),
        basic_of(&token),
        basic_of(&format!("agent-7:{}", "x".repeat(4000))),
        format!("Bearer {token}"),
        token.clone(),
        "Basic".to_owned(),
        "Basic %%%".to_owned(),
        format!("Basic {}", BASE64.encode(&[0xff, b':', 0xfe])),
    ] {
        assert_eq!(who(Some(&wrong), Some("10.0.0.1")), (NOBODY.to_owned(), Identity::Refused), "{} bytes", wrong.len());
    }
}

#[test]
fn a_certificate_counts_after_credentials_and_before_the_address() {
    let certificates = "certificates: [{uri: 'spiffe://corp.example/sandbox/*'}, {uri: 'spiffe://corp.example/ci', sandbox: ci}]";
    let (_folder, doorman, token) = doorman(&format!("identity: {{addresses: {{net: [10.0.0.0/8]}}, {certificates}}}\n"));
    let who = |credentials: Option<&str>, certificate: Option<&str>| doorman.who(&seen(credentials, certificate, Some("10.0.0.1")));
    let named = |name: &str| (name.to_owned(), Identity::Certificate);
    assert_eq!(who(None, Some("spiffe://corp.example/sandbox/agent-9")), named("agent-9"));
    assert_eq!(who(None, Some("spiffe://corp.example/ci")), named("ci"));
    assert_eq!(who(None, None).1, Identity::Address);
    let credentials = basic_of(&format!("agent-7:{token}"));
    assert_eq!(who(Some(&credentials), Some("spiffe://corp.example/ci")).0, "agent-7");
    let two = "spiffe://corp.example/ci,spiffe://corp.example/sandbox/x";
    for wrong in ["spiffe://evil.example/sandbox/agent-9", "spiffe://corp.example/sandbox/a/b", "spiffe://corp.example/sandbox/", two] {
        assert_eq!(who(None, Some(wrong)), (NOBODY.to_owned(), Identity::Refused), "{wrong}");
    }
    let (_folder, indifferent, _) = self::doorman("identity: {addresses: {net: [10.0.0.0/8]}}\n");
    let seen = seen(None, Some("spiffe://corp.example/ci"), Some("10.0.0.1"));
    assert_eq!(indifferent.who(&seen).1, Identity::Address, "the policy does not ask for certificates");
}

#[test]
fn a_doorman_does_not_begin_with_a_file_that_cannot_be_used() {
    let (folder, doorman, _) = doorman("");
    let path = folder.path().join("tokens.json");
    fs::write(&path, "{").expect("written");
    assert!(Doorman::new(doorman.inspector, "local".into(), Some(&path)).is_err());
}
