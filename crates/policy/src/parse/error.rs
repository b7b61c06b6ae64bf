//! Errors that say where, which key, and what was expected.

use std::fmt::Write as _;

use serde_saphyr::granit_parser::{Event, Parser};
use serde_saphyr::{Location, Spanned};

/// What is wrong with a file.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Line and column, from 1.
    at: Option<(u64, u64)>,
    message: String,
}

/// Keys that there were before the language was frozen, and what stands for them.
const MOVED: [(&str, &str); 2] = [
    ("overrides", " (now rules: each with a name, `detectors` as a table of actions)"),
    ("redact", " (now rules with findings: {high: redact}; the preset's is named default/llm-conversations)"),
];

pub(super) type Result<T> = std::result::Result<T, Wrong>;

/// An error at a value's place.
pub(super) fn wrong<T>(at: &Spanned<T>, message: impl Into<String>) -> Wrong {
    Wrong { at: place(at.referenced), message: message.into() }
}

fn place(location: Location) -> Option<(u64, u64)> {
    let (line, column) = (location.line(), location.column());
    (line > 0).then_some((line, column))
}

/// `; did you mean "x"?` where one of the words is near, else nothing.
pub(crate) fn meant(word: &str, words: &[&str]) -> String {
    let near = |other: &&&str| strsim::damerau_levenshtein(word, other) <= 1 + word.len().min(other.len()) / 4;
    let best = words.iter().filter(near).min_by_key(|other| strsim::damerau_levenshtein(word, other));
    best.map_or_else(String::new, |best| format!("; did you mean {best:?}?"))
}

fn list(words: &[&str]) -> String {
    words.join(", ")
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>) -> Wrong {
        Wrong { at: None, message: message.into() }
    }

    /// What serde says, in the words of the file.
    pub(super) fn of(error: &serde_saphyr::Error) -> Wrong {
        use serde_saphyr::Error;
        let message = match error.without_snippet() {
            Error::SerdeUnknownField { field, expected, .. } => {
                let moved = MOVED.iter().find(|(old, _)| old == field).map_or("", |(_, hint)| hint);
                format!("unknown key {field:?}{moved}{}; expected one of {}", meant(field, expected), list(expected))
            }
            Error::SerdeUnknownVariant { variant, expected, .. } => {
                format!("unknown value {variant:?}{}; expected {}", meant(variant, expected), list(expected))
            }
            Error::SerdeInvalidType { unexpected, expected, .. } | Error::SerdeInvalidValue { unexpected, expected, .. } => {
                format!("this is {unexpected}; expected {expected}")
            }
            Error::InvalidScalar { ty, .. } => match *ty {
                ty if ty.starts_with("bool") => "this is no bool; expected true or false".to_owned(),
                _ => "this is no such number; expected a whole number".to_owned(),
            },
            other => {
                let text = other.to_string();
                let text = text.lines().next().unwrap_or_default();
                // The place is said in front.
                text.rsplit_once(" at line ").map_or(text, |(front, _)| front).trim_start_matches("error: ").to_owned()
            }
        };
        Wrong { at: error.location().and_then(place), message }
    }

    /// The error with its place and key in the source.
    pub(super) fn within(&self, source: &str) -> String {
        let Some((line, column)) = self.at else { return self.message.clone() };
        let key = key_at(source, line, column);
        let key = if key.is_empty() { key } else { format!("{key}: ") };
        format!("line {line}, column {column}: {key}{}", self.message)
    }
}

/// A collection on the way to a place.
enum Level {
    /// The key whose value comes next; `None`: a key comes next.
    Map(Option<String>),
    List(usize),
}

/// The key that stands at a place, as a path: `rules[2].budget.window`. Empty where there is none.
fn key_at(source: &str, line: u64, column: u64) -> String {
    let mut levels: Vec<Level> = Vec::new();
    let mut found = String::new();
    for event in Parser::new_from_str(source) {
        let Ok((event, span)) = event else { break };
        let (at_line, at_column) = (span.start.line() as u64, span.start.col() as u64 + 1);
        if (at_line, at_column) > (line, column) && !found.is_empty() {
            break;
        }
        let here = (at_line, at_column) <= (line, column);
        let reached = (at_line, at_column) == (line, column);
        match event {
            Event::Scalar(text, ..) => {
                if let Some(Level::Map(key @ None)) = levels.last_mut() {
                    *key = Some(text.into_owned());
                    if here {
                        found = path(&levels);
                    }
                    continue;
                }
                if here {
                    found = path(&levels);
                }
                after(&mut levels);
            }
            Event::Alias(..) => after(&mut levels),
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if here && !levels.is_empty() {
                    found = path(&levels);
                    if reached {
                        break;
                    }
                }
                levels.push(if matches!(event, Event::MappingStart(..)) { Level::Map(None) } else { Level::List(0) });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                after(&mut levels);
            }
            _ => {}
        }
    }
    found
}

/// A value is over: the next key or entry comes.
fn after(levels: &mut [Level]) {
    match levels.last_mut() {
        Some(Level::Map(key)) => *key = None,
        Some(Level::List(index)) => *index += 1,
        None => {}
    }
}

fn path(levels: &[Level]) -> String {
    let mut text = String::new();
    for level in levels {
        // Writing to a String cannot fail.
        let _written = match level {
            Level::Map(Some(key)) if text.is_empty() => write!(text, "{key}"),
            Level::Map(Some(key)) => write!(text, ".{key}"),
            Level::List(index) => write!(text, "[{index}]"),
            Level::Map(None) => Ok(()),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_by_its_keys() {
        let source = "version: 1\nrules:\n  - name: a\n    budget: {window: 1x}\n  - name: b\n    hosts: [x, y]\nlimits:\n  buffer: 1\n";
        for (line, column, key) in [
            (1, 10, "version"),
            (3, 5, "rules[0]"),
            (4, 22, "rules[0].budget.window"),
            (6, 16, "rules[1].hosts[1]"),
            (8, 11, "limits.buffer"),
        ] {
            assert_eq!(key_at(source, line, column), key, "{line}:{column}");
        }
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        assert_eq!(meant("alow", &["allow", "block"]), "; did you mean \"allow\"?");
        assert_eq!(meant("hots", &["host", "hosts"]), "; did you mean \"host\"?");
        assert_eq!(meant("overrides", &["rules", "home"]), "");
    }
}
