//! Paths in normal form, and patterns for them.

use std::borrow::Cow;

/// How often a path is decoded in the reading of a server that decodes too much.
const MAX_DECODINGS: usize = 3;

/// A pattern: literal segments, `*` for one segment (or a part of one), `**` for any number of them, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    before: Vec<Segment>,
    /// What follows `**`; `None`: there is none.
    behind: Option<Vec<Segment>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// What stands before and behind the star.
    Star(String, String),
}

impl Segment {
    fn parse(text: &str) -> Option<Segment> {
        match text.split_once('*') {
            None => Some(Segment::Literal(text.to_owned())),
            Some((before, behind)) if !behind.contains('*') => Some(Segment::Star(before.to_owned(), behind.to_owned())),
            Some(_) => None,
        }
    }

    fn matches(&self, text: &str, fold: bool) -> bool {
        let same = |a: &[u8], b: &[u8]| if fold { a.eq_ignore_ascii_case(b) } else { a == b };
        let text = text.as_bytes();
        match self {
            Segment::Literal(literal) => same(literal.as_bytes(), text),
            Segment::Star(before, behind) => {
                let (before, behind) = (before.as_bytes(), behind.as_bytes());
                let long = text.len() >= before.len() + behind.len();
                long && same(before, &text[..before.len()]) && same(behind, &text[text.len() - behind.len()..])
            }
        }
    }
}

impl Pattern {
    /// Reads a pattern; `None` when it is none.
    pub(crate) fn parse(text: &str) -> Option<Pattern> {
        let rest = text.strip_prefix('/')?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let all: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
        if all.iter().any(|s| s.is_empty() || *s == "." || *s == ".." || s.contains(['%', '?', '#', ';', '\\'])) {
            return None;
        }
        let segments = |list: &[&str]| list.iter().map(|s| Segment::parse(s)).collect::<Option<Vec<_>>>();
        let (before, behind) = match all.iter().position(|s| *s == "**") {
            None => (segments(&all)?, None),
            Some(at) => (segments(&all[..at])?, Some(segments(&all[at + 1..])?)),
        };
        Some(Pattern { text: text.to_owned(), before, behind })
    }

    /// The first segment, where it is one text.
    pub(crate) fn first(&self) -> Option<&str> {
        match self.before.first() {
            Some(Segment::Literal(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether it matches a path; `fold`: in any case.
    fn matches(&self, path: &[Cow<'_, str>], fold: bool) -> bool {
        let all = |pattern: &[Segment], path: &[Cow<'_, str>]| pattern.iter().zip(path).all(|(p, s)| p.matches(s, fold));
        match &self.behind {
            None => self.before.len() == path.len() && all(&self.before, path),
            Some(behind) => {
                path.len() >= self.before.len() + behind.len() && all(&self.before, path) && all(behind, &path[path.len() - behind.len()..])
            }
        }
    }

    /// Whether every path that `other` matches is matched by this pattern too, as far as that is easily seen.
    pub(crate) fn covers(&self, other: &Pattern) -> bool {
        if self == other {
            return true;
        }
        let Some(behind) = &self.behind else { return false };
        behind.is_empty()
            && other.before.len() >= self.before.len()
            && self
                .before
                .iter()
                .zip(&other.before)
                .all(|(a, b)| a == b || matches!(a, Segment::Star(x, y) if x.is_empty() && y.is_empty()))
    }
}

/// A path as servers read it. Nearly all have one reading.
#[derive(Debug, Clone)]
pub(crate) struct Readings<'a> {
    /// Segments between slashes, each decoded once.
    one: Vec<Cow<'a, str>>,
    /// What a server makes of it that decodes before it splits, drops parameters and follows dots; `None`: the same.
    other: Option<Vec<Cow<'a, str>>>,
}

impl<'a> Readings<'a> {
    /// The readings of a path without its query.
    pub(crate) fn of(path: &'a str) -> Readings<'a> {
        let rest = path.strip_prefix('/').unwrap_or(path);
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut one: Vec<Cow<'a, str>> = if rest.is_empty() { Vec::new() } else { rest.split('/').map(Cow::Borrowed).collect() };
        let plain = |s: &str| !s.is_empty() && s != "." && s != ".." && !s.contains(['%', ';', '\\']);
        if one.iter().all(|s| plain(s)) {
            return Readings { one, other: None };
        }
        for segment in &mut one {
            if segment.contains('%') {
                *segment = Cow::Owned(decoded(segment));
            }
        }
        let other = eager(path);
        let other = if one == other { None } else { Some(other) };
        Readings { one, other }
    }

    /// The first segments of the readings.
    pub(crate) fn firsts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.one).chain(&self.other).map(|r| r.first().map_or("", AsRef::as_ref))
    }

    /// Whether one of the patterns matches: for a rule that denies (`strict`) any reading, in any case; else the path as written, and `None`
    /// where the readings differ.
    pub(crate) fn match_any(&self, patterns: &[Pattern], strict: bool) -> Option<bool> {
        let hit = |reading: &Vec<Cow<'a, str>>| patterns.iter().any(|p| p.matches(reading, strict));
        let one = hit(&self.one);
        let other = self.other.as_ref().map_or(one, hit);
        if strict { Some(one || other) } else { (one == other).then_some(one) }
    }

    /// The first reading as text.
    pub(crate) fn text(&self) -> String {
        format!("/{}", self.one.join("/"))
    }
}

fn eager<'a>(path: &str) -> Vec<Cow<'a, str>> {
    let mut text = path.to_owned();
    for _ in 0..MAX_DECODINGS {
        if !text.contains('%') {
            break;
        }
        text = decoded(&text);
    }
    let text = text.replace('\\', "/");
    let mut out: Vec<Cow<'a, str>> = Vec::new();
    for segment in text.split('/').map(|s| s.split(';').next().unwrap_or_default()) {
        match segment {
            "" | "." => {}
            ".." => drop(out.pop()),
            _ => out.push(Cow::Owned(segment.to_owned())),
        }
    }
    out
}

/// Percent escapes taken out once (RFC 3986 section 2.1); what is no escape stays.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    while let Some((&first, after)) = rest.split_first() {
        let escape = match after {
            [high, low, ..] if first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        rest = match escape {
            Some((high, low)) => {
                out.push(high << 4 | low);
                after.get(2..).unwrap_or_default()
            }
            None => {
                out.push(first);
                after
            }
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pattern: &str, path: &str, strict: bool) -> bool {
        Readings::of(path).match_any(&[Pattern::parse(pattern).unwrap()], strict) == Some(true)
    }

    #[test]
    fn patterns_match_segments_and_rests() {
        for (pattern, path) in [
            ("/", "/"),
            ("/a/*/c", "/a/b/c"),
            ("/a/*/c", "/a/b/c/"),
            ("/a/**", "/a"),
            ("/a/**", "/a/b/c"),
            ("/**/x", "/a/b/x"),
            ("/*.git/info", "/r.git/info"),
            ("/repos/*/*/pulls/*/merge", "/repos/o/r/pulls/1/merge"),
        ] {
            assert!(hit(pattern, path, false) && hit(pattern, path, true), "{pattern} {path}");
        }
        for (pattern, path) in [("/a", "/a/b"), ("/a/*", "/a"), ("/a/**/z", "/a/b"), ("/*.git", "/git"), ("/A", "/a")] {
            assert!(!hit(pattern, path, false), "{pattern} {path}");
        }
        for bad in ["a", "/a//b", "/a/../b", "/a%2fb", "/**/x/**", "/a*b*c", "/a?b", "/a;b", ""] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn tricks_with_paths_do_not_get_around_a_denial_and_do_not_earn_a_permission() {
        let pattern = "/repos/*/*/merge";
        for path in [
            "/repos/o/r/%6derge",
            "/repos/o/r/x/../merge",
            "/repos/o/r/./merge",
            "/repos//o/r/merge",
            "/repos/o/r/merge;a=b",
            "/repos/o/r/%256derge",
            "/repos/o%2Fr/merge",
            "\\repos\\o\\r\\merge",
            "/REPOS/o/r/Merge",
            "/x/%2e%2e/repos/o/r/merge",
        ] {
            assert!(hit(pattern, path, true), "{path}");
        }
        assert!(hit(pattern, "/repos/o/r/%6derge", false), "one reading only");
        for path in ["/repos/o/r/x/../merge", "/repos/o%2Fr/merge", "/repos/o/r/merge;a=b", "/repos/o/../merge"] {
            assert_eq!(Readings::of(path).match_any(&[Pattern::parse(pattern).unwrap()], false), None, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_panics(path in "[/a%2eEfF;.\\\\\u{e9}]{0,40}") {
            let readings = Readings::of(&path);
            let _hit = readings.match_any(&[Pattern::parse("/a/**/e").unwrap()], true);
            proptest::prop_assert!(readings.text().starts_with('/'));
        }
    }
}
