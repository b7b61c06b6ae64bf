use super::*;
use crate::{Action, Destination, Reason, Subject};

fn subject(authority: &str) -> Subject {
    Subject {
        sandbox: "box".into(),
        method: "GET".into(),
        destination: Destination::parse(authority, true).unwrap(),
        path: "/".into(),
        upgrade: None,
        body_signed: false,
    }
}

fn parse(source: &str) -> Policy {
    Policy::from_yaml("p.yaml", source).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(source: &str) -> String {
    Policy::from_yaml("p.yaml", source).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn both_presets_parse_and_are_strict_where_they_say_so() {
    let (open, strict) = (Policy::preset(Preset::Default), Policy::preset(Preset::Strict));
    assert_eq!(open.admit(&subject("example.com")).action, Action::Allow);
    assert_eq!(strict.admit(&subject("example.com")).reason, Reason::HostNotAllowed);
    assert_ne!(open.id(), strict.id());
    assert!(open.lints().is_empty(), "{:?}", open.lints());
}

#[test]
fn the_shipped_list_blocks_and_a_file_may_take_hosts_off_it() {
    let policy = Policy::preset(Preset::Default);
    for host in ["pastebin.com", "www.pastebin.com", "transfer.sh", "a-b-c.trycloudflare.com", "webhook.site", "x.ngrok-free.app"] {
        assert_eq!(policy.admit(&subject(host)).reason, Reason::HostBlocked, "{host}");
    }
    let named = parse("version: 1\nhosts: {allow: [transfer.sh]}\n");
    assert_eq!(named.admit(&subject("transfer.sh")).action, Action::Allow);
    assert_eq!(named.admit(&subject("pastebin.com")).action, Action::Deny);
    let none = parse("version: 1\nhosts: {shipped_blocklist: false}\n");
    assert_eq!(none.admit(&subject("pastebin.com")).action, Action::Allow);
    let both = parse("version: 1\nhosts: {allow: [a.example], block: [a.example]}\n");
    assert_eq!((both.admit(&subject("a.example")).reason, both.lints().len()), (Reason::HostBlocked, 1));
}

#[test]
fn mistakes_are_errors_with_their_line() {
    for (source, line, words) in [
        ("version: 1\nhots: {}\n", 2, "hots"),
        ("version: 1\nhosts:\n  mode: open\n  alow: []\n", 4, "alow"),
        ("version: 2\n", 1, "version 2"),
        ("version: 1\nextends: paranoid\n", 2, "paranoid"),
        ("version: 1\nhosts:\n  allow:\n    - good.example\n    - 'not a host'\n", 5, "not a host"),
        ("version: 1\nlimits:\n  buffer: 1MB\n", 3, "1MB"),
        ("version: 1\nlimits:\n  buffer: 1GiB\n", 3, "out of range"),
        ("version: 1\nlimits:\n  pause: 50\n", 3, "50"),
        ("version: 1\nlimits:\n  depth: 17\n", 3, "17"),
        ("version: 1\nfindings:\n  high: block\n", 3, "block"),
        ("version: 1\nallow_private: [10.0.0.1/8]\n", 2, "10.0.0.1/8"),
        ("version: 1\noverrides:\n  - hosts: [a.example]\n", 3, "changes nothing"),
        ("version: 1\noverrides:\n  - {detectors: [jwt], partial_coverage: allow}\n", 3, "two overrides"),
        ("version: 1\nhome:\n  extra:\n    - {detectors: ['git hub'], hosts: [a.example]}\n", 4, "git hub"),
        ("version: 1\nhome:\n  extra:\n    - {detectors: [jwt], hosts: [a.example], places: [cookie]}\n", 4, "cookie"),
        ("version: 1\nversion: 1\n", 2, "version"),
    ] {
        let error = refused(source);
        assert!(error.starts_with("p.yaml: "), "{error}");
        assert!(error.contains(&format!("line {line}")) && error.contains(words), "{source}\n{error}");
    }
    assert!(refused("").contains("line 1"));
    assert!(refused("version: 1\npartial_coverage: redact\n").contains("allow or deny"));
    assert!(refused(&" ".repeat(MAX_FILE_BYTES + 1)).contains("larger"));
}

#[test]
fn what_a_file_does_not_say_comes_from_the_preset() {
    let policy = parse("version: 1\nlimits: {buffer: 256KiB, hold_timeout: 2s}\n");
    let default = Policy::preset(Preset::Default).limits();
    assert_eq!(policy.limits().buffer_bytes, 256 << 10);
    assert_eq!(policy.limits().memory_bytes, default.memory_bytes);
    assert_eq!(policy.admit(&subject("webhook.site")).action, Action::Deny);
    let strict = parse("version: 1\nextends: strict\nhosts: {allow: ['*.example.com']}\n");
    assert_eq!(strict.admit(&subject("a.example.com")).action, Action::Allow);
    assert_eq!(strict.admit(&subject("example.com")).action, Action::Deny);
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
