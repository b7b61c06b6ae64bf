//! Env files: `KEY=VALUE` lines, with `export`, quotes and comments as shells, Docker and the dotenv libraries write them.
//!
//! Variables in values are not expanded: what is looked for is what the file says.

use zeroize::Zeroizing;

/// The longest key.
const MAX_KEY: usize = 128;

/// A key with its value, which is wiped when it is dropped.
pub type Pair = (String, Zeroizing<Vec<u8>>);

/// What is wrong with an env file. The line is not shown: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not KEY=VALUE")]
pub struct EnvError {
    /// Counted from 1.
    pub line: usize,
}

/// The pairs of an env file, in order. A quoted value may span lines. A key without a value has an empty one.
///
/// # Errors
/// Names the first line that is neither a pair nor a comment.
pub fn parse(text: &[u8]) -> Result<Vec<Pair>, EnvError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut cursor = Cursor { text, at: 0, line: 1, never: [false; 2] };
    let mut pairs = Vec::new();
    while let Some(line) = cursor.rest().split(|b| *b == b'\n').next().filter(|_| cursor.at < text.len()) {
        let said = line.trim_ascii_start();
        if said.is_empty() || said.starts_with(b"#") {
            cursor.skip(line.len() + 1);
            continue;
        }
        let (key, value_at) = key(line).ok_or(EnvError { line: cursor.line })?;
        cursor.skip(value_at);
        pairs.push((String::from_utf8_lossy(key).into_owned(), cursor.value()));
    }
    Ok(pairs)
}

/// Whether a text is an env file rather than one value: it holds pairs only, and all of them say something. What ends with `=` only is base64.
pub fn is_env(text: &[u8]) -> bool {
    let says = |(_, value): &Pair| value.iter().any(|b| *b != b'=');
    parse(text).is_ok_and(|pairs| !pairs.is_empty() && pairs.iter().all(says))
}

/// The key of a line, and where its value begins.
fn key(line: &[u8]) -> Option<(&[u8], usize)> {
    let equals = memchr::memchr(b'=', line)?;
    let key = line.get(..equals)?.trim_ascii();
    let key = key.strip_prefix(b"export ").unwrap_or(key).trim_ascii_start();
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let fine = key.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') && key.len() <= MAX_KEY && key.iter().all(fits);
    let blanks = line.get(equals + 1..)?.iter().take_while(|b| b.is_ascii_whitespace()).count();
    fine.then_some((key, equals + 1 + blanks))
}

struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
    /// Whether no single, no double quote ends a line from here on.
    never: [bool; 2],
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        let rest = self.rest();
        let skipped = rest.get(..bytes).unwrap_or(rest);
        self.line += memchr::memchr_iter(b'\n', skipped).count();
        self.at += skipped.len();
    }

    /// The value that begins here; the cursor goes to the next line.
    fn value(&mut self) -> Zeroizing<Vec<u8>> {
        let rest = self.rest();
        let value = match rest.split_first() {
            Some((quote @ (b'\'' | b'"'), inner)) => self.closing(*quote, inner).and_then(|end| inner.get(..end)).map(|v| (*quote, v)),
            _ => None,
        };
        let (value, length) = match value {
            Some((b'"', quoted)) => (unescaped(quoted), quoted.len() + 2),
            Some((_, quoted)) => (Zeroizing::new(quoted.to_vec()), quoted.len() + 2),
            None => {
                let line = rest.split(|b| *b == b'\n').next().unwrap_or_default();
                // An unquoted value ends where a comment begins.
                let end = memchr::memmem::find(line, b" #").unwrap_or(line.len());
                (Zeroizing::new(line.get(..end).unwrap_or_default().trim_ascii_end().to_vec()), end)
            }
        };
        let comment = rest.get(length..).unwrap_or_default();
        self.skip(length + memchr::memchr(b'\n', comment).map_or(comment.len(), |end| end + 1));
        value
    }

    /// Where the quote is closed: nothing but a comment may follow it in its line.
    fn closing(&mut self, quote: u8, inner: &[u8]) -> Option<usize> {
        let never = self.never.get_mut(usize::from(quote == b'"'))?;
        if *never {
            return None;
        }
        let closes = |at: usize| {
            let escapes = inner.get(..at).unwrap_or_default().iter().rev().take_while(|b| **b == b'\\').count();
            let after = inner.get(at + 1..).unwrap_or_default();
            let next = after.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r'));
            (quote == b'\'' || escapes % 2 == 0) && matches!(next, None | Some(b'\n' | b'#'))
        };
        let found = memchr::memchr_iter(quote, inner).find(|at| closes(*at));
        *never = found.is_none();
        found
    }
}

/// Backslashes of a double-quoted value undone.
fn unescaped(quoted: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(quoted.len()));
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        let next = bytes.clone().next();
        let (said, both) = match (byte, next) {
            (b'\\', Some(b @ (b'\\' | b'"' | b'$' | b'`'))) => (b, true),
            (b'\\', Some(b'n')) => (b'\n', true),
            _ => (byte, false),
        };
        out.push(said);
        if both {
            bytes.next();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let pairs = parse(text.as_bytes()).expect("an env file");
        pairs.into_iter().map(|(k, v)| (k, String::from_utf8_lossy(&v).into_owned())).collect()
    }

    #[test]
    fn an_env_file_is_read_as_shells_read_it() {
        let text = "\u{feff}# comment\n\nA=one two\nexport B='x # y'\nC=\"a\\\"b\\nc\"\r\nD=v # why\nE=\n f.g-h = 1";
        let expected = [("A", "one two"), ("B", "x # y"), ("C", "a\"b\nc"), ("D", "v"), ("E", ""), ("f.g-h", "1")];
        assert_eq!(read(text), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_quoted_value_spans_lines_and_a_quote_that_is_never_closed_is_a_character() {
        let text = "KEY=\"line one\nline=two\" # why\nB=don't\nC=\"x\"y\nD='p";
        let expected = [("KEY", "line one\nline=two"), ("B", "don't"), ("C", "\"x\"y"), ("D", "'p")];
        assert_eq!(read(text), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        for (text, line) in [("A=1\nnot a pair\n", 2), ("A='x\ny'\n\n1A=b", 4), ("=x", 1)] {
            let error = parse(text.as_bytes()).expect_err("wrong");
            assert_eq!(error, EnvError { line }, "{text}");
            assert_eq!(error.to_string(), format!("line {line} is not KEY=VALUE"));
        }
    }

    #[test]
    fn one_value_is_no_env_file() {
        assert!(is_env(b"A=1\nB=2\n"));
        for value in [&b"c2VjcmV0=="[..], b"c2VjcmV0=", b"plain", b"A=1\nplain\n", b"", b"#only\n"] {
            assert!(!is_env(value));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[A-C=#'\"\\\\ \nx]{0,200}") {
            if let Ok(pairs) = parse(text.as_bytes()) {
                prop_assert!(pairs.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>() <= text.len());
            }
        }

        #[test]
        fn what_is_written_in_quotes_is_read_again(values in prop::collection::vec("[ -&(-~\n]{0,40}", 1..8)) {
            let text: String = values.iter().enumerate().map(|(i, v)| format!("K{i}='{v}'\n")).collect();
            prop_assert_eq!(read(&text).into_iter().map(|(_, v)| v).collect::<Vec<_>>(), values);
        }
    }
}
