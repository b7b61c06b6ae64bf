//! Where the value of a name stands, in all the ways that code, configuration, markup, command lines and prose write it.

mod beside;

use std::ops::Range;

/// The longest value that is taken.
const MAX_VALUE: usize = 2049;
/// Blanks between a name, its sign and its value.
const MAX_BLANKS: usize = 16;
/// Quotes as markup writes them.
const ENTITIES: [&[u8]; 9] = [b"&quot;", b"&apos;", b"&#39;", b"&#039;", b"&#x27;", b"&#34;", b"&#x22;", b"%22", b"%27"];
/// Words before the value that say of what kind it is (RFC 9110 section 11).
const SCHEMES: [&[u8]; 3] = [b"bearer ", b"token ", b"basic "];
/// `is` and `to`, as people say it: English, German, French, Spanish, Portuguese, Italian, Polish, Swedish; Japanese, Chinese.
const VERBS: [&str; 15] =
    ["is", "to", "was", "ist", "lautet", "est", "es", "\u{e9}", "\u{e8}", "jest", "\u{e4}r", "era", "\u{306f}", "\u{662f}", "\u{70ba}"];

/// What stands between a name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// `=`, `:`, `=>`, `:=`.
    Assigned,
    /// `,` or `(`, or a blank: only a value in quotes follows.
    Quoted,
    /// The blank after `--name`, or ` is `.
    Word,
    /// The end of an opening tag.
    Tag,
    /// The slash of a path.
    Slash,
}

/// The value of the name at `name`.
pub(super) fn value(bytes: &[u8], name: &Range<usize>, in_path: bool) -> Option<Range<usize>> {
    let mut end = name.end;
    let mut tag = in_tag(bytes, name.start);
    let flag = bytes.get(name.clone())?.starts_with(b"-");
    if let Some(other) = paired(bytes, end) {
        tag = other.start > 0 && bytes.get(other.start - 1) == Some(&b'<');
        end = other.end;
    }
    let (sign, at) = match sign(bytes, end, tag, flag, in_path) {
        Some(found) => found,
        None => beside::sign(bytes, &(name.start..end))?,
    };
    // The result of a test, and no name of an environment.
    let tested = bytes.get(name.clone()).and_then(|n| n.strip_suffix(b"PASS")).is_some_and(|n| !matches!(n.last(), Some(b'_' | b'-')));
    if tested && matches!(bytes.get(end), Some(b':' | b' ' | b'\t')) {
        return None;
    }
    // A resource's name: `arn:aws:secretsmanager:eu:1:secret:name`.
    let before = name.start.checked_sub(1).and_then(|i| bytes.get(i));
    if sign == Sign::Assigned && matches!(before, Some(b':' | b'/')) && bytes.get(end) == Some(&b':') {
        return None;
    }
    match sign {
        Sign::Tag => tagged(bytes, at),
        Sign::Slash => run(bytes, at, |b| b != b'/' && b != b'?'),
        Sign::Quoted => quoted(bytes, prefixed(bytes, at)),
        Sign::Assigned | Sign::Word => {
            let at = scheme(bytes, typed(bytes, at));
            let at = if quote(bytes, at).is_some() { at } else { beside::wrapped(bytes, at) };
            quoted(bytes, prefixed(bytes, at)).or_else(|| if quote(bytes, at).is_some() { None } else { bare(bytes, at) })
        }
    }
}

/// The value that is all of `bytes`, blanks and quotes around it left out.
pub(super) fn all(bytes: &[u8]) -> Option<Range<usize>> {
    let around = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`');
    let start = bytes.iter().position(|b| !around(b))?;
    let end = bytes.iter().rposition(|b| !around(b))? + 1;
    (end - start < MAX_VALUE && bytes.get(start..end)?.iter().all(u8::is_ascii_graphic)).then_some(start..end)
}

/// Whether the name at `start` is that of a tag: `<name`, `<ns:name`.
fn in_tag(bytes: &[u8], start: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    // The name of a group in a regular expression.
    if before.ends_with(b"(?<") || before.ends_with(b"(?P<") {
        return false;
    }
    let Some(space) = before.strip_suffix(b":") else { return before.ends_with(b"<") };
    let prefix = space.iter().rev().take(32).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
    prefix > 0 && space.get(..space.len() - prefix).is_some_and(|s| s.ends_with(b"<"))
}

/// The word `value` that follows a name which is itself a value: `name: X, value: Y`, `key="X" value="Y"`, `<name>X</name><value>Y`.
fn paired(bytes: &[u8], end: usize) -> Option<Range<usize>> {
    let next = bytes.get(end)?;
    if !matches!(next, b'"' | b'\'' | b'\\' | b'\n' | b'\r' | b'<' | b'&' | b',') {
        return None;
    }
    let gap = bytes.get(end..bytes.len().min(end + 48))?;
    let word = gap.windows(5).position(|w| w.eq_ignore_ascii_case(b"value"))?;
    if gap.get(word + 5).is_none_or(u8::is_ascii_alphanumeric) {
        return None;
    }
    // `ParameterKey … ParameterValue`.
    let prefix = gap.get(..word)?.iter().rev().take(16).take_while(|b| b.is_ascii_alphabetic()).count();
    let between = gap.get(..word - prefix)?;
    let tags = between.starts_with(b"</") && between.ends_with(b"<");
    let glued = prefix > 0 && !matches!(between.last(), Some(b'"' | b'\'' | b'<' | b' ' | b'\t'));
    let letters = between.iter().enumerate().any(|(i, b)| b.is_ascii_alphanumeric() && between.get(i.wrapping_sub(1)) != Some(&b'\\'));
    (!glued && (tags || !(letters || between.contains(&b'=')))).then(|| end + word..end + word + 5)
}

/// The sign after the name that ends at `end`, and where what follows it begins.
fn sign(bytes: &[u8], end: usize, tag: bool, flag: bool, in_path: bool) -> Option<(Sign, usize)> {
    let closed = quote(bytes, end);
    let mut at = closed.as_ref().map_or(end, |q| q.end);
    if closed.is_some() && bytes.get(at) == Some(&b']') {
        at += 1;
    }
    if in_path && bytes.get(at) == Some(&b'/') {
        return Some((Sign::Slash, at + 1));
    }
    let blank = blanks(bytes, at);
    let rest = bytes.get(blank..)?;
    let (sign, length) = match rest {
        [b'=', b'=' | b'~', ..] | [b':', b':', ..] => return None,
        [b'=', b'>', ..] | [b':', b'=', ..] => (Sign::Assigned, 2),
        // `${NAME:-value}` of shells; `name ?? "value"`, `name || "value"` of code.
        [b':', b'-', ..] if blank == at => (Sign::Assigned, 2),
        [b'?', b'?', ..] | [b'|', b'|', ..] => (Sign::Quoted, 2),
        [b'=' | b':', ..] => (Sign::Assigned, 1),
        // The colon of Chinese and Japanese.
        [0xef, 0xbc, 0x9a, ..] => (Sign::Assigned, 3),
        // A list may go on in the next line.
        [b',', ..] if closed.is_some() => return Some((Sign::Quoted, beside::spaces(bytes, blank + 1))),
        // `<string name="x">value`.
        [b'>', ..] if closed.is_some() && blank == at => (Sign::Tag, 1),
        [b'(', ..] if blank == at => (Sign::Quoted, 1),
        _ if tag => return opened(bytes, at).map(|at| (Sign::Tag, at)),
        _ if let Some(length) = verb(rest, blank > at) => (Sign::Word, length),
        _ if flag && blank > at => (Sign::Word, 0),
        _ if blank > at && quote(bytes, blank).is_some() => (Sign::Quoted, 0),
        _ => return None,
    };
    Some((sign, blanks(bytes, blank + length)))
}

/// The length of a verb that says what a name stands for, with the colon behind it.
fn verb(rest: &[u8], apart: bool) -> Option<usize> {
    let ends = |v: &&&str| rest.starts_with(v.as_bytes()) && matches!(rest.get(v.len()), Some(b' ' | b':'));
    let verb = VERBS.iter().find(ends).filter(|v| apart || !v.is_ascii())?;
    let end = blanks(rest, verb.len());
    Some(if rest.get(end) == Some(&b':') { end + 1 } else { end })
}

fn blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes.get(at..).unwrap_or_default().iter().take(MAX_BLANKS).take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Behind the `>` of the tag whose name ends at `at`.
fn opened(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..bytes.len().min(at + 160))?;
    let close = rest.iter().position(|b| matches!(b, b'>' | b'<'))?;
    let attributes = rest.get(..close)?;
    let whole = rest.get(close) == Some(&b'>') && !attributes.ends_with(b"/") && attributes.first().is_none_or(u8::is_ascii_whitespace);
    let inner = at + close + 1;
    let data = bytes.get(inner..).is_some_and(|b| b.starts_with(b"<![CDATA["));
    whole.then_some(inner + if data { 9 } else { 0 })
}

/// The text of an element, without the blanks around it.
fn tagged(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let text = bytes.get(at..bytes.len().min(at + MAX_VALUE))?;
    let end = text.iter().position(|b| *b == b'<')?;
    let text = text.get(..end)?;
    let text = text.strip_suffix(b"]]>").unwrap_or(text);
    let start = text.iter().position(|b| !b.is_ascii_whitespace())?;
    let end = text.iter().rposition(|b| !b.is_ascii_whitespace())? + 1;
    Some(at + start..at + end)
}

/// Behind a type between the name's colon and its value: `: &str = "value"`.
fn typed(bytes: &[u8], at: usize) -> usize {
    // A reference, as markup writes it.
    let at = if bytes.get(at..).is_some_and(|b| b.starts_with(b"&amp;")) { at + 5 } else { at };
    let rest = bytes.get(at..bytes.len().min(at + 40)).unwrap_or_default();
    let type_like =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'&' | b'<' | b'>' | b'[' | b']' | b':' | b'|' | b'.' | b' ' | b'?');
    let length = rest.iter().take_while(|b| type_like(b)).count();
    if rest.get(length) != Some(&b'=') || length < 2 || rest.get(length - 1) != Some(&b' ') {
        return at;
    }
    let value = blanks(bytes, at + length + 1);
    if quote(bytes, prefixed(bytes, value)).is_some() { value } else { at }
}

/// Behind the word that says of what kind a login is.
fn scheme(bytes: &[u8], at: usize) -> usize {
    let begins = |s: &&&[u8]| bytes.get(at..at + s.len()).is_some_and(|b| b.eq_ignore_ascii_case(s));
    SCHEMES.iter().find(begins).map_or(at, |s| blanks(bytes, at + s.len()))
}

/// Behind the letters that some languages put before a quote: `r"`, `b'`, `@"`.
fn prefixed(bytes: &[u8], at: usize) -> usize {
    let letters = bytes.get(at..).unwrap_or_default().iter().take(2).take_while(|b| b"rbfuRBFULN@".contains(b)).count();
    if letters > 0 && quote(bytes, at + letters).is_some() { at + letters } else { at }
}

/// The quote at `at`, with the backslashes before it.
fn quote(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = bytes.get(at..)?;
    if let Some(entity) = ENTITIES.iter().find(|e| rest.get(..e.len()).is_some_and(|r| r.eq_ignore_ascii_case(e))) {
        return Some(at..at + entity.len());
    }
    let slashes = rest.iter().take(16).take_while(|b| **b == b'\\').count();
    matches!(rest.get(slashes), Some(b'"' | b'\'' | b'`')).then(|| at..at + slashes + 1)
}

/// The value in quotes at `at`, up to the same quote.
fn quoted(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let open = quote(bytes, at)?;
    let mark = bytes.get(open.clone())?;
    let text = bytes.get(open.end..bytes.len().min(open.end + MAX_VALUE + mark.len()))?;
    let closes = |i: &usize| {
        let slashes = text.get(..*i).unwrap_or_default().iter().rev().take_while(|b| **b == b'\\').count();
        mark.len() > 1 || slashes % 2 == 0
    };
    let end = memchr::memmem::find_iter(text, mark).find(closes)?;
    let value = text.get(..end)?;
    (!value.is_empty() && value.iter().all(u8::is_ascii_graphic)).then_some(open.end..open.end + end)
}

/// The value without quotes at `at`.
fn bare(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = bytes.get(at..bytes.len().min(at + MAX_VALUE + 64))?;
    let length = rest.iter().enumerate().position(|(i, b)| ends(*b, rest.get(i + 1..).unwrap_or_default())).unwrap_or(rest.len());
    let mut value = rest.get(..length)?;
    // What closes a sentence, a call or a list is no part of it.
    while let [inner @ .., last] = value {
        let unopened = |open: u8| !inner.contains(&open);
        match last {
            b',' | b';' | b'.' | b':' | b'\\' => value = inner,
            b')' if unopened(b'(') => value = inner,
            b']' if unopened(b'[') => value = inner,
            b'}' if unopened(b'{') => value = inner,
            _ => break,
        }
    }
    (!matches!(value.first(), None | Some(b'-' | b')' | b']' | b'}' | b','))).then(|| at..at + value.len())
}

/// The run of graphic bytes of a class at `at`.
fn run(bytes: &[u8], at: usize, class: impl Fn(u8) -> bool) -> Option<Range<usize>> {
    let length = bytes.get(at..)?.iter().take(MAX_VALUE).take_while(|b| b.is_ascii_graphic() && class(**b)).count();
    (length > 0).then(|| at..at + length)
}

/// Whether a value without quotes ends before `byte`, behind which `rest` stands.
fn ends(byte: u8, rest: &[u8]) -> bool {
    match byte {
        b'"' | b'\'' | b'`' | b'<' | b'>' => true,
        b'\\' => matches!(rest.first(), None | Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'\\' | b'u')),
        b',' | b';' => matches!(rest.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'\\')) || assigns(rest),
        b'&' => {
            assigns(rest)
                || rest.starts_with(b"#")
                || [&b"quot;"[..], b"lt;", b"gt;", b"apos;", b"nbsp;"].iter().any(|e| rest.starts_with(e))
        }
        _ => !byte.is_ascii_graphic(),
    }
}

/// Whether another name and its sign begin here.
fn assigns(rest: &[u8]) -> bool {
    let name = rest.iter().take(40).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' ')).count();
    name > 0 && rest.get(name) == Some(&b'=') && rest.first() != Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of the name `word` in `text`.
    fn of<'t>(text: &'t str, word: &str, in_path: bool) -> Option<&'t str> {
        let at = text.find(word).unwrap_or_else(|| panic!("{text} holds no {word}"));
        value(text.as_bytes(), &(at..at + word.len()), in_path).map(|v| &text[v])
    }

    #[test]
    fn every_notation_gives_its_value() {
        for text in [
            "pw=V4lue!x",
            "pw = 'V4lue!x'",
            "pw: V4lue!x\n",
            r#""pw": "V4lue!x","#,
            r#"\"pw\":\"V4lue!x\","#,
            "pw => \"V4lue!x\"",
            "pw := `V4lue!x`",
            "<pw>V4lue!x</pw>",
            "<ns:pw type=\"a\"> V4lue!x </ns:pw>",
            "<pw><![CDATA[V4lue!x]]></pw>",
            "pw: &quot;V4lue!x&quot;",
            "const pw: &str = \"V4lue!x\";",
            "x[\"pw\"] = \"V4lue!x\"",
            "set(\"pw\", \"V4lue!x\")",
            "pw(\"V4lue!x\")",
            "Server=a;pw=V4lue!x;Database=b",
            "a=b&pw=V4lue!x&c=d",
            "the pw is V4lue!x.",
            "\"name\": \"pw\", \"value\": \"V4lue!x\"",
            "- name: pw\n  value: V4lue!x",
            "<add key=\"pw\" value=\"V4lue!x\"/>",
            "<name>pw</name><value>V4lue!x</value>",
            "pw: Bearer V4lue!x",
            "pw=b'V4lue!x'",
            "{pw: V4lue!x}",
            "pw=V4lue!x\\nnext=1",
            "PASSWORD pw 'V4lue!x'",
            "set -gx pw V4lue!x",
            "  pw V4lue!x\nnext",
            "<key>pw</key>\n<string>V4lue!x</string>",
            "<td><b>pw</b></td> <td>V4lue!x</td>",
            "<string name=\"pw\">V4lue!x</string>",
            "pw: Some(\"V4lue!x\")",
            "${pw:-V4lue!x}",
            "x.pw ?? \"V4lue!x\"",
            "pw { get; set; } = \"V4lue!x\"",
            "variable \"pw\" {\n  type = string\n  default = \"V4lue!x\"",
            "| pw | V4lue!x |",
            "**pw**: `V4lue!x`",
            "set pw to V4lue!x and",
            "das pw lautet V4lue!x, bitte",
            "le pw est : V4lue!x",
            "pw：V4lue!x",
            "pwは V4lue!x です",
            "pw for the weather service: V4lue!x",
            "\"--pw\",\n  \"V4lue!x\"",
            "pw = N'V4lue!x'",
            "key,value\npw,V4lue!x\n",
            "\"ParameterKey\": \"pw\", \"ParameterValue\": \"V4lue!x\"",
        ] {
            assert_eq!(of(text, "pw", false), Some("V4lue!x"), "{text}");
        }
        assert_eq!(of("x --pw V4lue!x -h", "--pw", false), Some("V4lue!x"));
        assert_eq!(of("/set/pw/V4lue!x/y", "pw", true), Some("V4lue!x"));
    }

    #[test]
    fn prose_comparisons_and_resources_have_none() {
        for text in [
            "the pw stands here",
            "if pw == \"V4lue!x\"",
            "a:pw:V4lue!x",
            "pw::new",
            "pw\n",
            "pw",
            "<pw/>x<",
            "pw=",
            "x, pw V4lue!x",
            "x pw V4lue!x y",
        ] {
            assert_eq!(of(text, "pw", false), None, "{text}");
        }
    }
}
