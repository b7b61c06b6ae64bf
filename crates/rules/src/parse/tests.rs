//! What the parser takes and what it refuses.

use super::{MAX_FILE_BYTES, RuleSet};
use crate::{Check, Place};

const GOOD: &str = "provider: acme\nname: Acme\nreference: https://acme.example\nhome:\n  - hosts: [api.acme.example, '*.acme.example']\n    places: ['header:X-Acme', path]\ndetectors:\n  - id: acme-key\n    confidence: high\n    pattern: 'acme_[0-9a-z]{20}'\n    anchors: [acme_]\n    checks: [not-placeholder, {entropy: 2.5}, {digits: 1}]\n    examples: ['acme_{alnumlower:20}']\n";

fn refused(change: (&str, &str), part: &str) {
    let source = GOOD.replace(change.0, change.1);
    assert_ne!(source, GOOD);
    let error = RuleSet::from_yaml("acme.yaml", &source).expect_err(part).to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn a_whole_file_is_read() {
    let set = RuleSet::from_yaml("acme.yaml", GOOD).expect("good");
    let d = &set.detectors()[0];
    assert_eq!((d.provider.as_str(), d.name.as_str()), ("acme", "Acme"));
    assert_eq!(d.checks, [Check::NotPlaceholder, Check::Entropy(2.5), Check::Digits(1)]);
    assert_eq!(d.home[0].places, [Place::Header("x-acme".to_owned()), Place::Path]);
    assert_eq!(d.examples[0].len(), 25);
}

#[test]
fn contradictions_are_refused() {
    refused(("id: acme-key", "id: Acme_Key"), "kebab");
    refused(("anchors: [acme_]", "anchors: []"), "neither");
    refused(("anchors: [acme_]", "anchors: [ac]"), "shorter");
    refused(("confidence: high", "confidence: high\n    form: password"), "no pattern");
    refused(("path]", "basement]"), "unknown place");
    refused(("{digits: 1}", "{checksum: nothing}"), "unknown checksum");
    refused(("checks: [", "except: [{words: []}]\n    checks: ["), "lacks");
    refused(("checks: [", "except: [{words: [x], both: true}]\n    checks: ["), "lacks");
    refused(("checks: [", "except: [{patterns: ['']}]\n    checks: ["), "everywhere");
    refused(("name: Acme\n", ""), "line 7: detector acme-key: neither the file nor the detector has a name");
    refused(("alnumlower", "runes"), "template");
    refused(("api.acme.example", "API.acme.example"), "host");
}

#[test]
fn syntax_errors_say_where() {
    refused(("confidence: high", "confidense: high"), "line 9");
    refused(("not-placeholder", "not-a-check"), "line 12");
}

#[test]
fn an_id_stands_once() {
    let twice = format!("{GOOD}{}", GOOD.split_once("detectors:\n").expect("has detectors").1);
    assert!(RuleSet::from_yaml("x", &twice).expect_err("twice").to_string().contains("twice"));
}

#[test]
fn an_oversize_file_is_refused() {
    assert!(RuleSet::from_yaml("x", &" ".repeat(MAX_FILE_BYTES + 1)).is_err());
}

#[test]
fn a_file_may_disable_detectors_and_hold_nothing_else() {
    let set = RuleSet::from_yaml("x", GOOD).expect("good");
    let other = RuleSet::from_yaml("x", "disable: [acme-key, other]").expect("good");
    assert_eq!(other.disabled().collect::<Vec<_>>(), ["acme-key", "other"]);
    assert!(set.overlay(other).detectors().is_empty());
}

#[test]
fn what_a_file_excepts_all_its_detectors_except() {
    let source = GOOD
        .replace("detectors:", "except: [{words: [test]}]\ndetectors:")
        .replace("checks:", "except: [{patterns: ['^x'], in: line}]\n    checks:");
    let set = RuleSet::from_yaml("x", &source).expect("good");
    let targets: Vec<_> = set.detectors()[0].except.iter().map(|e| e.target).collect();
    assert_eq!(targets, [crate::Target::Secret, crate::Target::Line]);
}

#[test]
fn an_overlay_replaces_by_id() {
    let set = RuleSet::from_yaml("x", GOOD).expect("good");
    let other = RuleSet::from_yaml("x", &GOOD.replace("confidence: high", "confidence: low")).expect("good");
    let both = set.overlay(other);
    assert_eq!(both.detectors().len(), 1);
    assert_eq!(both.detectors()[0].confidence, crate::Confidence::Low);
}
