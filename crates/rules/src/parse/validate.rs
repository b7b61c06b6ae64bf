//! What a detector must hold beyond its form.

use crate::{Check, Detector, Form, checksum};

const MAX_PATTERN_BYTES: usize = 64 << 10;
const MIN_ANCHOR_BYTES: usize = 3;
const MAX_WITHIN: usize = 256;

/// What is wrong with a detector, if anything.
pub(super) fn detector(d: &Detector) -> Option<String> {
    id(d)
        .or_else(|| named(d))
        .or_else(|| pattern(d))
        .or_else(|| anchors(d))
        .or_else(|| context(d))
        .or_else(|| checks(d))
        .or_else(|| except(d))
}

fn named(d: &Detector) -> Option<String> {
    let missing = [("provider", &d.provider), ("name", &d.name), ("reference", &d.reference)].into_iter().find(|(_, text)| text.is_empty());
    missing.map(|(what, _)| format!("neither the file nor the detector has a {what}"))
}

fn id(d: &Detector) -> Option<String> {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (d.id.len() > 100 || !d.id.split('-').all(part)).then(|| "the id is not kebab-case of at most 100 characters".to_owned())
}

fn pattern(d: &Detector) -> Option<String> {
    match (d.form, d.pattern.trim().is_empty()) {
        (Form::Pattern, true) => return Some("the pattern is empty".to_owned()),
        (Form::Password | Form::Secret, false) => return Some("a detector of this form has no pattern".to_owned()),
        (Form::Password | Form::Secret, true) if d.anchors.is_empty() || d.context.is_some() => {
            return Some("a detector of this form has anchors and no context".to_owned());
        }
        _ => {}
    }
    (d.pattern.len() > MAX_PATTERN_BYTES).then(|| format!("the pattern is longer than {MAX_PATTERN_BYTES} bytes"))
}

fn except(d: &Detector) -> Option<String> {
    d.except.iter().find_map(|e| {
        let (patterns, words) = (e.patterns.is_empty(), e.words.is_empty());
        if (patterns && words) || (e.both && (patterns || words)) {
            return Some("an exception lacks patterns or words".to_owned());
        }
        let long = e.patterns.iter().map(String::len).sum::<usize>() + e.words.iter().map(String::len).sum::<usize>() > MAX_PATTERN_BYTES;
        let empty = e.patterns.iter().chain(&e.words).any(String::is_empty);
        match (long, empty) {
            (true, _) => Some(format!("an exception is longer than {MAX_PATTERN_BYTES} bytes")),
            (_, true) => Some("an exception holds an empty text, which is everywhere".to_owned()),
            _ => None,
        }
    })
}

fn anchors(d: &Detector) -> Option<String> {
    if d.anchors.is_empty() && d.context.is_none() {
        return Some("neither anchors nor context".to_owned());
    }
    let short = d.anchors.iter().find(|a| a.len() < MIN_ANCHOR_BYTES);
    short.map(|a| format!("the anchor `{a}` is shorter than {MIN_ANCHOR_BYTES} bytes"))
}

fn context(d: &Detector) -> Option<String> {
    let context = d.context.as_ref()?;
    if context.keywords.is_empty() {
        return Some("a context without keywords".to_owned());
    }
    if context.within == 0 || context.within > MAX_WITHIN {
        return Some(format!("`within` is not in 1 to {MAX_WITHIN}"));
    }
    let bad = context.keywords.iter().find(|k| k.bytes().any(|b| b.is_ascii_uppercase()) || k.len() < MIN_ANCHOR_BYTES);
    bad.map(|k| format!("the keyword `{k}` is not lower case or shorter than {MIN_ANCHOR_BYTES} bytes"))
}

fn checks(d: &Detector) -> Option<String> {
    d.checks.iter().find_map(|check| match check {
        Check::Checksum(name) if checksum::verify(name, b"").is_none() => Some(format!("unknown checksum `{name}`")),
        Check::Entropy(bits) if !(0.0..=8.0).contains(bits) => Some("entropy is not in 0 to 8 bits".to_owned()),
        Check::Surprise(bits) if !(0.0..=16.0).contains(bits) => Some("surprise is not in 0 to 16 bits".to_owned()),
        _ => None,
    })
}
