//! Patterns of paths: `*` for any text without a slash, `**` for any text.

use std::fmt;

/// The longest pattern.
const MOST_BYTES: usize = 512;

/// A pattern of a branch or a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Part>);

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Char(c) => write!(f, "{c}"),
            Part::Segment => f.write_str("*"),
            Part::All => f.write_str("**"),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    /// `*`
    Segment,
    /// `**`
    All,
}

impl Glob {
    /// Reads a pattern; `Err` says why it is none.
    pub(crate) fn parse(text: &str) -> Result<Glob, String> {
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '[' | ']' | '\\' | '{' | '}');
        if text.is_empty() || text.len() > MOST_BYTES || text.contains("***") || text.contains(odd) {
            return Err(format!("{text:?} is no pattern; expected main, agent/* or team/**"));
        }
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' if chars.next_if_eq(&'*').is_some() => Part::All,
                '*' => Part::Segment,
                c => Part::Char(c),
            });
        }
        Ok(Glob(parts))
    }

    /// Whether it means this text. Time is the product of both lengths.
    pub(crate) fn matches(&self, text: &str) -> bool {
        // Which parts the text so far may have reached.
        let mut reached = vec![false; self.0.len() + 1];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        self.skip(&mut reached);
        for c in text.chars() {
            let mut next = vec![false; reached.len()];
            for (at, part) in self.0.iter().enumerate().filter(|(at, _)| reached.get(*at) == Some(&true)) {
                let to = match part {
                    Part::Char(wanted) if *wanted == c => at + 1,
                    Part::Segment if c != '/' => at,
                    Part::All => at,
                    _ => continue,
                };
                if let Some(slot) = next.get_mut(to) {
                    *slot = true;
                }
            }
            self.skip(&mut next);
            reached = next;
        }
        reached.last() == Some(&true)
    }

    /// A star may stand for nothing.
    fn skip(&self, reached: &mut [bool]) {
        for (at, part) in self.0.iter().enumerate() {
            let star = matches!(part, Part::Segment | Part::All) && reached.get(at) == Some(&true);
            if let Some(slot) = reached.get_mut(at + 1).filter(|_| star) {
                *slot = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_what_they_say() {
        let matches = |pattern: &str, text: &str| Glob::parse(pattern).expect("a pattern").matches(text);
        for (pattern, text) in [
            ("main", "main"),
            ("agent/*", "agent/x"),
            ("agent/*", "agent/"),
            ("**", "a/b/c"),
            ("a/**/z", "a/b/c/z"),
            ("*-fix", "bug-fix"),
            ("*/*", "o/r"),
            ("**x*", "a/b/xyz"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("main", "main2"), ("main", "Main"), ("agent/*", "agent/a/b"), ("agent/*", "agent"), ("*", "a/b"), ("*/*", "o")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(200), &"a/".repeat(2000)), "and soon");
        for bad in ["", "a b", "a?", "[a]", "a***", &"x".repeat(513)] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }
}
