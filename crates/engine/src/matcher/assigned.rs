//! The generic detector: a value that a name announces as a credential, in whatever notation.
//!
//! `name = value` of code, environments, INI and properties; `"name": "value"`; `name: value`; `<name>value</name>` and `name="value"`;
//! `--name value`; `name=value;` of connection strings; `name=value&` of forms; `set("name", "value")`; `"name": NAME, "value": value`.
//! What the name means, where the value ends and whether it surprises are judged apart; a hit costs a few dozen bytes either way.

mod name;
mod notation;
mod surprise;
mod value;

use std::ops::Range;

use rules::Form;

use super::opening::{self, Set};
use crate::Location;
use crate::layers::View;
pub(crate) use value::is_opaque;

/// The longest name.
const MAX_NAME: usize = 64;
/// Names up to this long stand in noise by chance.
const SHORT: usize = 4;
/// A name and its value lie within so many bytes of its word: what a hit may cost.
pub(super) const REACH: usize = 2304;

/// What may stand behind a word of a name: a small letter makes it another word, but for the plural and for `secretkey` and `accesstoken`.
pub(super) fn behind() -> Set {
    let mut set = opening::ANY;
    for byte in (b'a'..=b'z').filter(|b| !matches!(b, b's' | b'k' | b't')) {
        opening::remove(&mut set, byte);
    }
    set
}

/// Whether a short name is written as people write one: in one case, behind what may stand before a name. Noise has such words by chance.
fn stands_alone(bytes: &[u8], name: &Range<usize>) -> bool {
    let shown = bytes.get(name.clone()).unwrap_or_default();
    let rest = shown.get(1..).unwrap_or_default();
    let one_case = rest.iter().all(u8::is_ascii_lowercase) || shown.iter().all(|b| !b.is_ascii_lowercase());
    let before = name.start.checked_sub(1).and_then(|i| bytes.get(i));
    one_case && before.is_none_or(|b| b.is_ascii_whitespace() || b"\"'`<{([,;&?-+:>*|$@/%#n".contains(b))
}

/// The value announced by the name in which a word of the detector stands at `at`.
pub(super) fn find(form: Form, view: &View<'_>, at: &Range<usize>) -> Option<Range<usize>> {
    let bytes = view.bytes;
    let name = whole_name(bytes, at)?;
    let shown = bytes.get(name.clone())?;
    if name.len() <= SHORT && !stands_alone(bytes, &name) {
        return None;
    }
    let word = at.start - name.start..at.end - name.start;
    // What stands behind the name is the cheaper question, and mostly the answer.
    let in_path = matches!(view.kind, Some(kind) if kind.location == Location::Path);
    let value = notation::value(bytes, &name, in_path)?;
    (name::announces(shown, &word) && value::is_secret(form, bytes.get(value.clone())?)).then_some(value)
}

/// The value of a field whose key holds `word`: the whole view, or nothing.
pub(super) fn in_field(form: Form, view: &View<'_>, field: &str, word: &Range<usize>) -> Option<Range<usize>> {
    let login = matches!(view.kind, Some(kind) if matches!(&kind.location, Location::Header(name) if !name::is_no_login(name)));
    if login || !name::announces(field.as_bytes(), word) {
        return None;
    }
    let value = notation::all(view.bytes)?;
    value::is_secret(form, view.bytes.get(value.clone())?).then_some(value)
}

/// Bits per pair of neighbours: how little a value looks like what people write.
pub(super) fn surprise(value: &[u8]) -> f32 {
    surprise::bits(value)
}

/// The name around a word.
fn whole_name(bytes: &[u8], word: &Range<usize>) -> Option<Range<usize>> {
    let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let before = bytes.get(..word.start)?.iter().rev().take(MAX_NAME).take_while(part).count();
    let after = bytes.get(word.end..)?.iter().take(MAX_NAME).take_while(part).count();
    let name = word.start - before..word.end + after;
    (name.len() <= MAX_NAME).then_some(name)
}
