use super::*;
use crate::{Action, Destination, Details, Reason, Subject, Verdict};

fn subject(authority: &str) -> Subject {
    Subject {
        sandbox: "box".into(),
        method: "GET".into(),
        destination: Destination::parse(authority, true).unwrap(),
        path: "/".into(),
        ..Subject::default()
    }
}

fn admit(policy: &Policy, host: &str) -> Verdict {
    let subject = subject(host);
    policy.admit(&subject, &policy.terms(&subject, Details::none())).verdict
}

fn parse(source: &str) -> Policy {
    Policy::from_yaml("p.yaml", source).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(source: &str) -> String {
    Policy::from_yaml("p.yaml", source).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn presets_parse_and_are_strict_where_they_say_so() {
    let (open, strict) = (Policy::preset(Preset::Default), Policy::preset(Preset::Strict));
    assert_eq!(admit(&open, "example.com").action, Action::Allow);
    assert_eq!(admit(&strict, "example.com").reason, Reason::HostNotAllowed);
    assert_ne!(open.id(), strict.id());
    for preset in Preset::ALL {
        assert!(Policy::preset(preset).lints().is_empty(), "{:?}", Policy::preset(preset).lints());
    }
}

#[test]
fn the_shipped_list_blocks_and_a_file_may_take_hosts_off_it() {
    let policy = Policy::preset(Preset::Default);
    for host in ["pastebin.com", "www.pastebin.com", "transfer.sh", "a-b-c.trycloudflare.com", "webhook.site", "x.ngrok-free.app"] {
        assert_eq!(admit(&policy, host).reason, Reason::HostBlocked, "{host}");
    }
    let named = parse("version: 1\nhosts: {allow: [transfer.sh]}\n");
    assert_eq!(admit(&named, "transfer.sh").action, Action::Allow);
    assert_eq!(admit(&named, "pastebin.com").action, Action::Deny);
    let none = parse("version: 1\nhosts: {shipped_blocklist: false}\n");
    assert_eq!(admit(&none, "pastebin.com").action, Action::Allow);
    let both = parse("version: 1\nhosts: {allow: [a.example], block: [a.example]}\n");
    assert_eq!((admit(&both, "a.example").reason, both.lints().len()), (Reason::HostBlocked, 1));
}

#[test]
fn mistakes_are_errors_with_their_line() {
    for (source, line, words) in [
        ("version: 1\nhots: {}\n", 2, &["\"hots\"", "did you mean \"hosts\"?"][..]),
        (
            "version: 1\nhosts:\n  mode: open\n  alow: []\n",
            4,
            &["hosts.alow: unknown key", "did you mean \"allow\"?", "expected one of mode"],
        ),
        ("version: 2\n", 1, &["version: version 2 is not known", "expected 1"]),
        ("version: 1\nextends: paranoid\n", 2, &["extends: \"paranoid\" is no preset", "expected one of default"]),
        ("version: 1\nextends: [strict, llm-api]\n", 2, &["did you mean \"llm-apis\"?"]),
        ("version: 1\nhosts:\n  allow:\n    - good.example\n    - 'not a host'\n", 5, &["hosts.allow[1]: \"not a host\""]),
        ("version: 1\nlimits:\n  buffer: 1MB\n", 3, &["limits.buffer: \"1MB\" is no size; expected"]),
        ("version: 1\nlimits:\n  buffer: 1GiB\n", 3, &["limits.buffer", "out of range; expected 65536 to"]),
        ("version: 1\nlimits:\n  pause: 50\n", 3, &["limits.pause: \"50\" is no duration; expected"]),
        ("version: 1\nlimits:\n  depth: 17\n", 3, &["limits.depth: 17 is out of range; expected 1 to 16"]),
        ("version: 1\nlimits:\n  depth: deep\n", 3, &["limits.depth: this is no such number; expected a whole number"]),
        ("version: 1\nhosts: {shipped_blocklist: maybe}\n", 2, &["hosts.shipped_blocklist: this is no bool; expected true or false"]),
        ("version: 1\nrules:\n  - name: a\n    action: deny\n   bad: [\n", 5, &[]),
        ("version: 1\nrules: {name: a}\n", 2, &["rules", "expected"]),
        ("version: 1\nfindings:\n  high: block\n", 3, &["findings.high: unknown value \"block\"", "expected allow, redact, deny"]),
        ("version: 1\nallow_private: [10.0.0.1/8]\n", 2, &["allow_private[0]: \"10.0.0.1/8\"", "expected 10.0.0.0/8"]),
        ("version: 1\noverrides: []\n", 2, &["unknown key \"overrides\" (now rules"]),
        ("version: 1\npartial_coverage: redact\n", 2, &["partial_coverage", "expected allow, deny"]),
        (
            "version: 1\nhome:\n  extra:\n    - {detectors: ['git hub'], hosts: [a.example]}\n",
            4,
            &["home.extra[0].detectors[0]: \"git hub\""],
        ),
        ("version: 1\nhome:\n  extra:\n    - {detectors: [jwt], hosts: [a.example], places: [cookie]}\n", 4, &["places[0]: \"cookie\""]),
        ("version: 1\nhome:\n  extra:\n    - {detectors: [jwt]}\n", 4, &["home.extra[0]: hosts is missing"]),
        ("version: 1\nversion: 1\n", 2, &["version"]),
        ("version: 1\nrules:\n  - action: deny\n", 3, &["rules[0]: name is missing"]),
        ("version: 1\nrules:\n  - name: a\n    hosts: [a.example]\n", 3, &["rule \"a\" changes nothing; expected action"]),
        ("version: 1\nrules:\n  - {name: a, action: deny}\n  - {name: a, action: deny}\n", 4, &["rules[1]: there is a rule \"a\" already"]),
        ("version: 1\nrules:\n  - {name: 'a b', action: deny}\n", 3, &["rules[0].name: \"a b\" is no name"]),
        (
            "version: 1\nrules:\n  - name: a\n    action: redact\n",
            4,
            &["rules[0].action: unknown value \"redact\"", "expected allow, deny"],
        ),
        ("version: 1\nrules:\n  - name: a\n    actoin: deny\n", 4, &["rules[0].actoin: unknown key", "did you mean \"action\"?"]),
        (
            "version: 1\ngroups: {ci: [a]}\nrules: [{name: a, groups: [cl], action: deny}]\n",
            3,
            &["\"cl\" is no group; did you mean \"ci\"?"],
        ),
        ("version: 1\nrules: [{name: a, paths: [a/b], action: deny}]\n", 2, &["rules[0].paths[0]: \"a/b\" is no path pattern"]),
        ("version: 1\nrules: [{name: a, content_types: [json], action: deny}]\n", 2, &["content_types[0]: \"json\""]),
        ("version: 1\nrules: [{name: a, methods: [get], action: deny}]\n", 2, &["rules[0].methods[0]: \"get\"", "upper case"]),
        (
            "version: 1\nrules:\n  - name: a\n    when: hots == 'x'\n    action: deny\n",
            4,
            &["rules[0].when: names \"hots\"", "did you mean \"host\"?"],
        ),
        ("version: 1\nrules: [{name: a, budget: {requests: 1}}]\n", 2, &["rules[0].budget: window is missing"]),
        ("version: 1\nrules: [{name: a, budget: {window: 1h}}]\n", 2, &["rules[0].budget: the budget limits nothing"]),
        ("version: 1\nrules: [{name: a, budget: {window: 8d, requests: 1}}]\n", 2, &["rules[0].budget.window: \"8d\" is no duration"]),
        ("version: 1\nrules: [{name: a, max_body: big}]\n", 2, &["rules[0].max_body: \"big\" is no size"]),
        (
            "version: 1\nrules: [{name: a, action: deny, monitor_until: tomorrow}]\n",
            2,
            &["monitor_until: \"tomorrow\" is no time; expected RFC 3339"],
        ),
        ("version: 1\nrules: [{name: a, action: deny, mode: enforce, monitor_until: '2027-01-01T00:00:00Z'}]\n", 2, &["contradict"]),
        ("version: 1\nrules: [{name: a, detectors: {'x y': deny}}]\n", 2, &["rules[0].detectors.x y: \"x y\" is no detector"]),
    ] {
        let error = refused(source);
        assert!(error.starts_with("p.yaml: "), "{error}");
        assert!(error.contains(&format!("line {line}")), "{source}\n{error}");
        for word in words {
            assert!(error.contains(word), "{source}\n{error}\nlacks {word}");
        }
    }
    assert!(refused("").contains("version: is missing"));
    assert!(refused(&" ".repeat(MAX_FILE_BYTES + 1)).contains("larger"));
}

#[test]
fn what_a_file_does_not_say_comes_from_the_preset() {
    let policy = parse("version: 1\nlimits: {buffer: 256KiB, hold_timeout: 2s}\n");
    let default = Policy::preset(Preset::Default).limits();
    assert_eq!(policy.limits().buffer_bytes, 256 << 10);
    assert_eq!(policy.limits().memory_bytes, default.memory_bytes);
    assert_eq!(admit(&policy, "webhook.site").action, Action::Deny);
    let strict = parse("version: 1\nextends: strict\nhosts: {allow: ['*.example.com']}\n");
    assert_eq!(admit(&strict, "a.example.com").action, Action::Allow);
    assert_eq!(admit(&strict, "example.com").action, Action::Deny);
}

#[test]
fn what_is_said_changes_the_id_and_how_it_is_written_does_not() {
    let id = |source| parse(source).id();
    assert_eq!(id("version: 1\nhosts: {ports: [443]}\n"), id("# a comment\nversion: 1\nhosts:\n  ports:\n  - 443\n"));
    assert_ne!(id("version: 1\nhosts: {ports: [443]}\n"), id("version: 1\nhosts: {ports: [444]}\n"));
    assert_eq!(id("version: 1\n"), id("version: 1\n"));
    let policy = parse("version: 1\n");
    assert_ne!(policy.clone().with_private(&["10.0.0.0/8".into()]).unwrap().id(), policy.id());
}
