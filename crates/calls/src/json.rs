//! JSON (RFC 8259) as it comes, token by token.
//!
//! Libraries that can be fed keep every string whole; a body of 100 MB may be one. Of a string, this keeps its beginning.

use memchr::memchr2;

use crate::Unreadable;

/// So much of a string is kept, in bytes as sent: more than any URL that servers take.
const MAX_KEPT: usize = 8 << 10;
/// Deeper is not read: as deep as the usual parsers go.
const MAX_DEPTH: usize = 128;

/// One token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Object,
    Array,
    /// The end of the innermost object or array.
    End,
    Key(Raw<'a>),
    Text(Raw<'a>),
    /// A number, a boolean or null.
    Scalar,
}

/// A string as sent, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    /// Its beginning.
    pub(crate) bytes: &'a [u8],
    /// Whether that is all of it.
    pub(crate) whole: bool,
}

impl Raw<'_> {
    /// The string, its escapes undone; `None`: it is longer than what is kept, or no text.
    pub(crate) fn text(&self) -> Option<String> {
        if !self.whole {
            return None;
        }
        if !self.bytes.contains(&b'\\') {
            return std::str::from_utf8(self.bytes).ok().map(str::to_owned);
        }
        let quoted = [b"\"", self.bytes, b"\""].concat();
        serde_json::from_slice(&quoted).ok()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a value at the top: a document, or one more of several.
    Top,
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    /// After a comma in an object.
    Key,
    Colon,
    /// After a value.
    After,
    /// In a string, and after a backslash in it.
    Text {
        key: bool,
        escaped: bool,
    },
    Scalar,
}

/// Takes bytes, gives tokens.
#[derive(Debug)]
pub(crate) struct Lexer {
    state: State,
    /// Whether each open container is an object.
    open: Vec<bool>,
    kept: Vec<u8>,
    whole: bool,
    /// How much of a string is kept.
    most: usize,
}

impl Default for Lexer {
    fn default() -> Lexer {
        Lexer::keeping(MAX_KEPT)
    }
}

impl Lexer {
    /// A lexer that keeps so many bytes of a string.
    pub(crate) fn keeping(most: usize) -> Lexer {
        Lexer { state: State::Top, open: Vec::new(), kept: Vec::new(), whole: true, most }
    }

    /// Takes the next bytes. Several documents may follow each other.
    ///
    /// # Errors
    /// They are not JSON, or deeper than is read.
    pub(crate) fn push(&mut self, bytes: &[u8], mut take: impl FnMut(Token<'_>) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Text { key, escaped: false } => {
                    let end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    let (part, after) = rest.split_at(end);
                    self.keep(part);
                    let Some((&byte, after)) = after.split_first() else { break };
                    rest = after;
                    if byte == b'\\' {
                        self.keep(b"\\");
                        self.state = State::Text { key, escaped: true };
                    } else {
                        let raw = Raw { bytes: &self.kept, whole: self.whole };
                        take(if key { Token::Key(raw) } else { Token::Text(raw) })?;
                        self.state = if key { State::Colon } else { self.after() };
                    }
                    continue;
                }
                State::Text { key, escaped: true } => {
                    self.keep(&[byte]);
                    self.state = State::Text { key, escaped: false };
                }
                State::Scalar if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => {}
                State::Scalar => {
                    self.state = self.after();
                    continue;
                }
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => {}
                state => self.token(state, byte, &mut take)?,
            }
            rest = after;
        }
        Ok(())
    }

    /// Whether a document may end here.
    pub(crate) fn complete(&self) -> bool {
        self.open.is_empty() && matches!(self.state, State::Top | State::Scalar)
    }

    fn token(&mut self, state: State, byte: u8, take: &mut impl FnMut(Token<'_>) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        let value = matches!(state, State::Top | State::Value | State::ValueOrEnd);
        match (byte, state) {
            (b'{' | b'[', _) if value => {
                if self.open.len() >= MAX_DEPTH {
                    return Err(Unreadable);
                }
                let object = byte == b'{';
                take(if object { Token::Object } else { Token::Array })?;
                self.open.push(object);
                self.state = if object { State::KeyOrEnd } else { State::ValueOrEnd };
            }
            (b'"', _) if value => self.begin(false),
            (b'"', State::KeyOrEnd | State::Key) => self.begin(true),
            (b':', State::Colon) => self.state = State::Value,
            (b',', State::After) => self.state = if self.open.last() == Some(&true) { State::Key } else { State::Value },
            (b'}', State::KeyOrEnd | State::After) if self.open.last() == Some(&true) => self.end(take)?,
            (b']', State::ValueOrEnd | State::After) if self.open.last() == Some(&false) => self.end(take)?,
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', _) if value => {
                take(Token::Scalar)?;
                self.state = State::Scalar;
            }
            _ => return Err(Unreadable),
        }
        Ok(())
    }

    fn end(&mut self, take: &mut impl FnMut(Token<'_>) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        self.open.pop();
        self.state = self.after();
        take(Token::End)
    }

    fn begin(&mut self, key: bool) {
        self.kept.clear();
        self.whole = true;
        self.state = State::Text { key, escaped: false };
    }

    fn keep(&mut self, part: &[u8]) {
        let room = self.most.saturating_sub(self.kept.len());
        self.whole &= part.len() <= room;
        self.kept.extend_from_slice(part.get(..room).unwrap_or(part));
    }

    fn after(&self) -> State {
        if self.open.is_empty() { State::Top } else { State::After }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(parts: &[&[u8]]) -> Result<(Vec<String>, bool), Unreadable> {
        let (mut lexer, mut out) = (Lexer::default(), Vec::new());
        for part in parts {
            lexer.push(part, |token| {
                out.push(match token {
                    Token::Key(raw) => format!("{}:", raw.text().unwrap_or_default()),
                    Token::Text(raw) => format!("{:?}/{}", raw.text(), raw.whole),
                    other => format!("{other:?}"),
                });
                Ok(())
            })?;
        }
        Ok((out, lexer.complete()))
    }

    #[test]
    fn what_is_no_json_is_unreadable() {
        for bad in [
            "}",
            "{]",
            "[}",
            "{,}",
            "{1:2}",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "[1 2]",
            "// x\n{}",
            "{'a':1}",
            "[\u{0}]",
            "{\"a\":}",
            "[,1]",
            "]",
        ] {
            assert_eq!(tokens(&[bad.as_bytes()]), Err(Unreadable), "{bad}");
        }
        let deep = "[".repeat(MAX_DEPTH + 1);
        assert_eq!(tokens(&[deep.as_bytes()]), Err(Unreadable));
        for cut in ["{", "[1", "\"a", "{\"a\":", "{\"a\":1"] {
            assert!(!tokens(&[cut.as_bytes()]).unwrap().1, "{cut}");
        }
        for whole in ["", " ", "1", "null", "{}", "[[]] \n", "{}\n{}\n", "\"a\\\"b\"", "[1,-2.5e+3,true,false,null]"] {
            assert!(tokens(&[whole.as_bytes()]).unwrap().1, "{whole}");
        }
    }

    #[test]
    fn escapes_are_undone_and_long_strings_cut() {
        let (out, _) = tokens(&[br#"{"\u0061":"x\/y","b":["\ud800"]}"#]).unwrap();
        assert_eq!(out, ["Object", "a:", "Some(\"x/y\")/true", "b:", "Array", "None/true", "End", "End"]);
        let long = format!("[\"{}\"]", "a".repeat(MAX_KEPT + 1));
        assert_eq!(tokens(&[long.as_bytes()]).unwrap().0[1], "None/false");
        let most = format!("[\"{}\"]", "a".repeat(MAX_KEPT));
        assert!(tokens(&[most.as_bytes()]).unwrap().0[1].ends_with("true"));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into)
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into())
            ]
        })
    }

    proptest! {
        /// What serde_json writes is read, however it is cut.
        #[test]
        fn every_document_is_read_however_it_is_cut(value in json(), pretty in any::<bool>(), at in any::<prop::sample::Index>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.expect("JSON");
            let whole = tokens(&[text.as_bytes()]).expect("read");
            prop_assert!(whole.1);
            let (a, b) = text.as_bytes().split_at(at.index(text.len()));
            prop_assert_eq!(tokens(&[a, b]).expect("read"), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _read = tokens(&[&bytes]);
        }
    }
}
