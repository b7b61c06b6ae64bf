//! What every built-in detector must hold.

use regex::bytes::{Regex, RegexBuilder};

use super::load;
use crate::{Check, Detector, Form, RuleSet, checksum};

fn compile(detector: &Detector) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&detector.pattern).unicode(false).size_limit(64 << 20).build()
}

/// The texts of the secret parts of all matches that pass the checks this crate can make by itself.
fn secrets<'t>(detector: &Detector, pattern: &Regex, text: &'t str) -> Vec<&'t [u8]> {
    let passes = |secret: &[u8]| {
        detector.checks.iter().all(|check| match check {
            Check::GithubCrc32 => checksum::github(secret),
            Check::Checksum(name) => checksum::verify(name, secret) == Some(true),
            Check::Digits(least) => secret.iter().filter(|b| b.is_ascii_digit()).count() >= *least as usize,
            _ => true,
        })
    };
    let whole = pattern.captures_iter(text.as_bytes());
    whole.filter_map(|c| c.name("secret").or_else(|| c.get(0))).map(|m| m.as_bytes()).filter(|s| passes(s)).collect()
}

fn failures(check: impl Fn(&Detector) -> Vec<String>) -> Vec<String> {
    RuleSet::builtin().detectors().iter().flat_map(|d| check(d).into_iter().map(move |m| format!("{}: {m}", d.id))).collect()
}

#[test]
fn the_catalogue_parses() {
    if let Err(error) = load() {
        panic!("{error}");
    }
}

#[test]
fn every_pattern_compiles() {
    assert_eq!(failures(|d| compile(d).err().map(|e| e.to_string()).into_iter().collect()), Vec::<String>::new());
}

#[test]
fn every_detector_has_an_example() {
    assert_eq!(failures(|d| if d.examples.is_empty() { vec!["none".to_owned()] } else { Vec::new() }), Vec::<String>::new());
}

#[test]
fn every_example_is_matched() {
    let missed = failures(|d| match compile(d) {
        // The engine's tests look at what has no pattern.
        Ok(_) if d.form != Form::Pattern => Vec::new(),
        Ok(p) => d.examples.iter().filter(|e| secrets(d, &p, e).is_empty()).cloned().collect(),
        Err(e) => vec![e.to_string()],
    });
    assert_eq!(missed, Vec::<String>::new());
}

#[test]
fn every_example_holds_an_anchor_or_a_keyword() {
    let missing = failures(|d| {
        let words: Vec<&String> =
            if d.anchors.is_empty() { d.context.iter().flat_map(|c| &c.keywords).collect() } else { d.anchors.iter().collect() };
        let holds = |text: &String| words.iter().any(|w| text.to_ascii_lowercase().contains(&w.to_ascii_lowercase()));
        d.examples.iter().filter(|e| !holds(e)).cloned().collect()
    });
    assert_eq!(missing, Vec::<String>::new());
}

/// Placeholder, entropy and boundary are the engine's to judge (its tests do); here: pattern, keyword and checksum.
#[test]
fn no_counter_example_is_matched_without_a_check_of_the_engine() {
    let engine_judges = |d: &Detector| {
        d.form != Form::Pattern
            || d.boundary != crate::Boundary::None
            || d.checks.iter().any(|c| matches!(c, Check::NotPlaceholder | Check::Entropy(_) | Check::Surprise(_) | Check::Jwt))
    };
    let found = failures(|d| match compile(d) {
        Ok(p) if !engine_judges(d) => {
            let near = |t: &str| d.context.as_ref().is_none_or(|c| c.keywords.iter().any(|k| t.to_ascii_lowercase().contains(k)));
            d.counter_examples.iter().filter(|e| near(e) && !secrets(d, &p, e).is_empty()).cloned().collect()
        }
        Ok(_) => Vec::new(),
        Err(e) => vec![e.to_string()],
    });
    assert_eq!(found, Vec::<String>::new());
}
