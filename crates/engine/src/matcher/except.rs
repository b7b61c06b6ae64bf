//! What a detector lets pass although it matches.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use rules::{Exception, Target};

/// Memory a compiled exception may take.
const SIZE_LIMIT: usize = 16 << 20;
/// A line is looked at so far on either side of a match.
const LINE: usize = 4096;

/// One exception, compiled.
#[derive(Debug)]
pub(super) struct Except {
    target: Target,
    /// All patterns.
    patterns: Option<Regex>,
    /// All words, in lower case.
    words: Option<Regex>,
    both: bool,
}

/// What many detectors except alike is compiled once.
#[derive(Debug, Default)]
pub(super) struct Compiled<'r>(HashMap<&'r Exception, Arc<Except>>);

impl<'r> Compiled<'r> {
    /// The exceptions of a detector.
    ///
    /// # Errors
    /// What is wrong with the first one that is invalid or too large.
    pub(super) fn all(&mut self, exceptions: &'r [Exception]) -> Result<Vec<Arc<Except>>, String> {
        let mut one = |e: &'r Exception| match self.0.get(e) {
            Some(known) => Ok(Arc::clone(known)),
            None => {
                let new = Arc::new(Except::compile(e)?);
                self.0.insert(e, Arc::clone(&new));
                Ok(new)
            }
        };
        exceptions.iter().map(&mut one).collect()
    }
}

impl Except {
    fn compile(exception: &Exception) -> Result<Except, String> {
        let build = |patterns: &[String]| {
            Regex::builder()
                .syntax(syntax::Config::new().unicode(false).utf8(false))
                .configure(Regex::config().utf8_empty(false).nfa_size_limit(Some(SIZE_LIMIT)).onepass_size_limit(Some(1 << 20)))
                .build_many(patterns)
                .map_err(|e| format!("an exception: {e}"))
        };
        let some = |patterns: &[String]| (!patterns.is_empty()).then(|| build(patterns)).transpose();
        let words: Vec<String> = exception.words.iter().map(|w| regex_syntax::escape(&w.to_ascii_lowercase())).collect();
        let words = if words.is_empty() { Vec::new() } else { vec![words.join("|")] };
        Ok(Except { target: exception.target, patterns: some(&exception.patterns)?, words: some(&words)?, both: exception.both })
    }

    /// Whether a match is let pass.
    pub(super) fn holds(&self, bytes: &[u8], whole: &Range<usize>, secret: &Range<usize>) -> bool {
        let of = |range: Range<usize>| bytes.get(range).unwrap_or_default();
        let target = of(match self.target {
            Target::Secret => secret.clone(),
            Target::Match => whole.clone(),
            Target::Line => line(bytes, whole),
        });
        let patterned = || self.patterns.as_ref().is_some_and(|p| p.is_match(target));
        let worded = || self.words.as_ref().is_some_and(|w| w.is_match(&of(secret.clone()).to_ascii_lowercase()));
        if self.both { patterned() && worded() } else { patterned() || worded() }
    }
}

/// The line in which a match begins, as far as it is near; all of the match.
fn line(bytes: &[u8], whole: &Range<usize>) -> Range<usize> {
    let near = whole.start.saturating_sub(LINE);
    let before = bytes.get(near..whole.start).unwrap_or_default();
    let start = memchr::memrchr(b'\n', before).map_or(near, |at| near + at + 1);
    let after = bytes.get(whole.end..).unwrap_or_default();
    let after = after.get(..LINE).unwrap_or(after);
    start..whole.end + memchr::memchr(b'\n', after).unwrap_or(after.len())
}
