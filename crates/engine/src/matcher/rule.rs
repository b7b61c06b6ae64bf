//! One detector, compiled.

#[cfg(any(test, fuzzing))]
pub(super) mod oracle;

use std::ops::Range;
use std::sync::Arc;

use regex_automata::meta::Regex;
use regex_automata::nfa::thompson::NFA;
use regex_automata::util::captures::Captures;
use regex_automata::{Anchored, Input, util::syntax};
use rules::{Boundary, Confidence, Detector, Form};

use super::except::{Compiled, Except};
use super::opening::{Opening, Set};
use super::{assigned, boundary, checks};
use crate::CompileError;
use crate::layers::View;
use crate::layers::disguise::Disguise;

/// No pattern looks further than this around its anchor.
const MAX_REACH: usize = 64 << 10;
/// A shorter match is looked for inside one that was refused, so often.
const MAX_REFUSED: usize = 8;
/// Bytes before a secret in binary text that may be letters by chance: a tag and a length.
const MAX_TAGS: usize = 2;
/// Memory a compiled pattern may take.
const SIZE_LIMIT: usize = 16 << 20;

/// A match of the whole pattern and, if it passed, the secret in it.
type Confirmed = (Range<usize>, Option<Hit>);

/// A secret in a match.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// What is judged.
    pub(crate) secret: Range<usize>,
    /// What is reported: the secret, or more.
    pub(crate) span: Range<usize>,
    pub(crate) confidence: Confidence,
}

/// One detector, compiled.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) detector: Arc<Detector>,
    regex: Regex,
    /// What is let pass.
    except: Vec<Arc<Except>>,
    /// The words of the context, in every style of names.
    keywords: Vec<String>,
    /// The group that is the secret.
    secret: usize,
    /// The group that is reported.
    span: usize,
    /// The longest match.
    reach: usize,
    /// Whether the longest match is bounded by the pattern.
    bounded: bool,
    /// Whether every match begins with an anchor.
    prefix: bool,
    /// Whether the anchors count only as they are written.
    exact: bool,
    /// What the first bytes of a match may be, where every match begins with an anchor.
    opening: Opening,
    /// Whether that beginning is the provider's own: a match glued to other words may count too, a little less sure.
    unmistakable: bool,
    /// Whether it is so long that nobody writes it by chance, even inside other words.
    long: bool,
    /// Whether it is so short that long base64 has it by chance.
    short: bool,
}

fn parse(pattern: &str) -> Result<regex_syntax::hir::Hir, String> {
    regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern).map_err(|e| e.to_string())
}

/// Words in the styles of environments, headers and code: `acme_token`, `acme-token`, `acmetoken`.
fn styles(words: &[String]) -> Vec<String> {
    let inner = |word: &&String| word.trim_matches(['_', '-']).contains(['_', '-']);
    let others = words.iter().filter(inner).flat_map(|w| ["_", "-", ""].map(|s| w.replace(['_', '-'], s)));
    let mut all: Vec<String> = words.iter().cloned().chain(others.filter(|w| w.len() >= 8)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn opening(pattern: &str) -> Result<Opening, String> {
    let config = syntax::Config::new().unicode(false).utf8(false);
    NFA::compiler()
        .syntax(config)
        .configure(NFA::config().utf8(false))
        .build(pattern)
        .map(|nfa| Opening::of(&nfa))
        .map_err(|e| e.to_string())
}

impl Rule {
    pub(super) fn compile<'r>(detector: &'r Detector, compiled: &mut Compiled<'r>) -> Result<Rule, CompileError> {
        let error = |message: String| CompileError { id: detector.id.clone(), message };
        let except = compiled.all(&detector.except).map_err(error)?;
        let detector = Arc::new(detector.clone());
        let regex = Regex::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .configure(Regex::config().utf8_empty(false).nfa_size_limit(Some(SIZE_LIMIT)).onepass_size_limit(Some(1 << 20)))
            .build(&detector.pattern)
            .map_err(|e| error(e.to_string()))?;
        let group = |name: &str| regex.group_info().to_index(regex_automata::PatternID::ZERO, name);
        let secret = group("secret").unwrap_or(0);
        let span = group("span").unwrap_or(secret);
        let hir = parse(&detector.pattern).map_err(error)?;
        let longest = hir.properties().maximum_len();
        // In both cases the first literals are too many to be listed, and anchors are compared without regard to case anyway.
        let cased = detector.pattern.replace("(?i:", "(?:").replace("(?i)", "");
        let folded = cased != detector.pattern;
        let first = if folded { parse(&cased).unwrap_or_else(|_| hir.clone()) } else { hir.clone() };
        let prefixes = regex_syntax::hir::literal::Extractor::new().limit_total(500).extract(&first);
        let begins =
            |literal: &[u8]| detector.anchors.iter().any(|a| literal.get(..a.len()).is_some_and(|l| l.eq_ignore_ascii_case(a.as_bytes())));
        let prefix = prefixes.literals().is_some_and(|all| !all.is_empty() && all.iter().all(|l| begins(l.as_bytes())));
        let as_written = |literal: &[u8]| detector.anchors.iter().any(|a| literal.starts_with(a.as_bytes()));
        let exact = prefix && !folded && prefixes.literals().is_some_and(|all| all.iter().all(|l| as_written(l.as_bytes())));
        let opening = if prefix { opening(&detector.pattern).map_err(error)? } else { Opening::default() };
        let own = |anchor: &String| anchor.len() >= 4 && anchor.bytes().any(|b| !b.is_ascii_alphanumeric());
        let unmistakable = prefix && detector.confidence >= Confidence::High && detector.anchors.iter().all(own);
        let long = detector.anchors.iter().all(|a| a.len() >= 6);
        let short = prefix && detector.anchors.iter().any(|a| a.len() <= 5 && a.bytes().all(|b| b.is_ascii_alphanumeric()));
        let keywords = detector.context.iter().flat_map(|c| styles(&c.keywords)).collect();
        let by_name = detector.form != Form::Pattern;
        let reach = if by_name { assigned::REACH } else { longest.unwrap_or(MAX_REACH).min(MAX_REACH) };
        Ok(Rule {
            detector,
            regex,
            except,
            keywords,
            secret,
            span,
            reach,
            bounded: longest.is_some_and(|l| l <= MAX_REACH),
            prefix,
            exact,
            opening,
            unmistakable,
            long,
            short,
        })
    }

    /// What the prefilter looks for: the anchors, or without any the context's words.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = &str> {
        let words = if self.detector.anchors.is_empty() { &self.keywords } else { &self.detector.anchors };
        words.iter().map(String::as_str)
    }

    /// Whether the anchors count only as they are written.
    pub(crate) fn exact(&self) -> bool {
        self.exact
    }

    /// What may stand behind an anchor of this length.
    pub(crate) fn behind(&self, anchor: usize) -> Set {
        if self.by_name() {
            return assigned::behind();
        }
        self.opening.at(anchor)
    }

    /// How far around an anchor a match and its context may reach.
    pub(crate) fn around(&self) -> usize {
        self.reach + self.detector.context.as_ref().map_or(0, |c| c.within)
    }

    /// Whether the prefilter finds the context's words rather than a part of the match.
    pub(crate) fn by_context(&self) -> bool {
        self.detector.anchors.is_empty()
    }

    /// Whether a name tells, and there is no pattern.
    pub(crate) fn by_name(&self) -> bool {
        self.detector.form != Form::Pattern
    }

    /// The bytes in which a match that belongs to an anchor at `at` lies.
    pub(crate) fn window(&self, at: &Range<usize>, len: usize) -> Range<usize> {
        if let Some(context) = self.detector.context.as_ref().filter(|_| self.by_context()) {
            return at.end..(at.end + context.within + self.reach).min(len);
        }
        if self.by_name() {
            // Mostly no value follows, and no more than this is looked at.
            return at.start..(at.end + 32).min(len);
        }
        let start = if self.prefix { at.start } else { at.start.saturating_sub(self.reach) };
        start..(at.start + self.reach).min(len)
    }

    /// The leftmost match in `window` of the view.
    fn search(&self, view: &View<'_>, window: Range<usize>, anchored: bool) -> Option<Captures> {
        let mode = if anchored { Anchored::Yes } else { Anchored::No };
        let input = Input::new(view.bytes).span(window).anchored(mode);
        // Most hits are none: the cheap question first.
        self.regex.search_half(&input)?;
        let mut captures = self.regex.create_captures();
        self.regex.search_captures(&input, &mut captures);
        captures.is_match().then_some(captures)
    }

    /// Whether a match may begin with the anchor at `at`: the cheap question, of what stands right there.
    pub(crate) fn may_begin(&self, view: &View<'_>, at: &Range<usize>) -> bool {
        let needed = self.detector.boundary != Boundary::None
            && !(self.unmistakable && (self.long || self.detector.confidence == Confidence::Certain));
        !self.prefix
            || (self.opening.allows(view.bytes[at.start..].iter().copied())
                && (!needed || boundary::left(view.bytes, at.start) || boundary::may_be_counted(view.bytes, at.start)))
    }

    /// The same for an anchor in disguise.
    pub(crate) fn may_begin_disguised(&self, bytes: &[u8], at: &Range<usize>, disguise: Disguise) -> bool {
        !self.prefix
            || match disguise {
                Disguise::Reversed => self.opening.allows(bytes[..at.end].iter().rev().copied()),
                _ => self.opening.allows(bytes[at.start..].iter().map(|b| disguise.byte(*b))),
            }
    }

    /// Confirms an anchor at `at`; nothing before `from` is looked at again.
    pub(crate) fn confirm(&self, view: &View<'_>, at: &Range<usize>, from: usize) -> Option<Confirmed> {
        if self.by_name() {
            let span = assigned::find(self.detector.form, view, at)?;
            return Some((at.start..span.end, self.plain(view, span)));
        }
        let window = self.window(at, view.bytes.len());
        let mut start = window.start.max(from);
        let mut refused = 0;
        while start < window.end {
            let captures = self.search(view, start..window.end, self.prefix)?;
            let whole = captures.get_match()?.range();
            if let Some(context) = self.detector.context.as_ref().filter(|_| self.by_context()) {
                if whole.start > at.end + context.within {
                    return None;
                }
                if let Some(hit) = self.judge(view, &captures, &whole) {
                    return Some((whole, Some(hit)));
                }
                refused += 1;
                if refused <= MAX_TAGS {
                    // It may have taken a letter that is a length or a tag for the first of the secret.
                    start = whole.start + 1;
                    continue;
                }
            } else if whole.start > at.start {
                return None;
            } else if at.end <= whole.end {
                let hit = self.judge(view, &captures, &whole);
                if hit.is_none()
                    && let Some((whole, hit)) = self.counted(view, &whole)
                {
                    return Some((whole, Some(hit)));
                }
                refused += usize::from(hit.is_none());
                if self.prefix || hit.is_some() || refused > MAX_REFUSED {
                    return Some((whole, hit));
                }
                // `https://` in front of it may be optional, and glued to a word.
                start = whole.start + 1;
                continue;
            } else if refused < MAX_REFUSED {
                // It ends before the anchor does, and was none, or nothing before `from` were left of it.
                refused += 1;
                start = whole.start + 1;
                continue;
            }
            start = whole.end.max(whole.start + 1);
        }
        None
    }

    /// A match that took more than the length before it says: the tag of the next field, and its text.
    fn counted(&self, view: &View<'_>, whole: &Range<usize>) -> Option<(Range<usize>, Hit)> {
        if !self.prefix || !boundary::may_be_counted(view.bytes, whole.start) {
            return None;
        }
        boundary::lengths(view.bytes, whole.start).into_iter().flatten().filter(|n| *n > 0 && *n < whole.len()).find_map(|length| {
            let end = whole.start + length;
            let captures = self.search(view, whole.start..end, true)?;
            let part = captures.get_match()?.range();
            let hit = (part.end == end).then(|| self.judge(view, &captures, &part)).flatten()?;
            Some((part, hit))
        })
    }

    /// A match in a leaf whose key holds the context's word, at `word`.
    pub(crate) fn in_field(&self, view: &View<'_>, field: &str, word: &Range<usize>) -> Option<Hit> {
        if self.by_name() {
            let span = assigned::in_field(self.detector.form, view, field, word)?;
            return self.plain(view, span);
        }
        let mut start = 0;
        for _ in 0..8 {
            let captures = self.search(view, start..view.bytes.len(), false)?;
            let whole = captures.get_match()?.range();
            if let Some(hit) = self.judge(view, &captures, &whole) {
                return Some(hit);
            }
            start = whole.end.max(whole.start + 1);
            if start >= view.bytes.len() {
                return None;
            }
        }
        None
    }

    /// Boundaries, context and checks.
    fn judge(&self, view: &View<'_>, captures: &Captures, whole: &Range<usize>) -> Option<Hit> {
        let group = |index| captures.get_group(index).map_or_else(|| whole.clone(), |m| m.range());
        let (range, span) = (group(self.secret), group(self.span));
        let full = self.bounded && whole.len() >= self.reach;
        let judged = self.detector.boundary;
        let (mut left, mut right) = (judged == Boundary::None, judged != Boundary::Token);
        left |= boundary::left(view.bytes, whole.start);
        right |= boundary::right(view.bytes, whole.end, full);
        // In a serialisation a length that happens to be a letter stands before it, and a tag behind.
        if !left || !right {
            let counted = boundary::counted(view.bytes, whole);
            left |= counted || boundary::begins_counted(view.bytes, whole.start);
            right |= counted;
        }
        // Glued to more on its right, an unmistakable beginning is still one; on its left, if it is long or a checksum tells.
        let waived = self.unmistakable && (left || self.long || self.detector.confidence == Confidence::Certain);
        let secret = view.bytes.get(range.clone())?;
        // What stands before a clipped window is not known here; the window before it knew.
        let cut = view.clipped && whole.start == 0 && self.detector.boundary != Boundary::None;
        let chance = self.short && boundary::in_blob(view.bytes, whole);
        if cut || chance || !((left && right) || waived) || secret.is_empty() || !self.in_context(view, whole.start) {
            return None;
        }
        let passed = self.passed(secret) && !self.excepted(view, whole, &range);
        let confidence = if left && right { self.detector.confidence } else { self.detector.confidence.min(Confidence::High) };
        passed.then_some(Hit { secret: range, span, confidence })
    }

    /// A secret that a name announces.
    fn plain(&self, view: &View<'_>, secret: Range<usize>) -> Option<Hit> {
        let passed = self.passed(view.bytes.get(secret.clone())?) && !self.excepted(view, &secret, &secret);
        passed.then(|| Hit { span: secret.clone(), secret, confidence: self.detector.confidence })
    }

    fn excepted(&self, view: &View<'_>, whole: &Range<usize>, secret: &Range<usize>) -> bool {
        self.except.iter().any(|e| e.holds(view.bytes, whole, secret))
    }

    /// The checks of the detector, and that not all the world knows the value.
    fn passed(&self, secret: &[u8]) -> bool {
        self.detector.checks.iter().all(|c| checks::holds(c, secret)) && !rules::documented::is_public(secret)
    }

    /// Whether a word of the context stands near; anchors found by the context need no second look.
    fn in_context(&self, view: &View<'_>, start: usize) -> bool {
        let Some(context) = self.detector.context.as_ref().filter(|_| !self.by_context()) else { return true };
        let field = view.name().unwrap_or_default();
        let near = view.bytes[start.saturating_sub(context.within)..start].to_ascii_lowercase();
        self.keywords.iter().any(|k| field.contains(k.as_str()) || memchr::memmem::find(&near, k.as_bytes()).is_some())
    }
}
