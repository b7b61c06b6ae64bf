//! The names that Unicode has for the characters of ASCII, as `\\N{…}` writes them.

/// The punctuation of ASCII by name (The Unicode Standard, code chart U+0000 to U+007F).
const MARKS: [(&str, u8); 33] = [
    ("SPACE", b' '),
    ("EXCLAMATION MARK", b'!'),
    ("QUOTATION MARK", b'"'),
    ("NUMBER SIGN", b'#'),
    ("DOLLAR SIGN", b'$'),
    ("PERCENT SIGN", b'%'),
    ("AMPERSAND", b'&'),
    ("APOSTROPHE", b'\''),
    ("LEFT PARENTHESIS", b'('),
    ("RIGHT PARENTHESIS", b')'),
    ("ASTERISK", b'*'),
    ("PLUS SIGN", b'+'),
    ("COMMA", b','),
    ("HYPHEN-MINUS", b'-'),
    ("FULL STOP", b'.'),
    ("SOLIDUS", b'/'),
    ("COLON", b':'),
    ("SEMICOLON", b';'),
    ("LESS-THAN SIGN", b'<'),
    ("EQUALS SIGN", b'='),
    ("GREATER-THAN SIGN", b'>'),
    ("QUESTION MARK", b'?'),
    ("COMMERCIAL AT", b'@'),
    ("LEFT SQUARE BRACKET", b'['),
    ("REVERSE SOLIDUS", b'\\'),
    ("RIGHT SQUARE BRACKET", b']'),
    ("CIRCUMFLEX ACCENT", b'^'),
    ("LOW LINE", b'_'),
    ("GRAVE ACCENT", b'`'),
    ("LEFT CURLY BRACKET", b'{'),
    ("VERTICAL LINE", b'|'),
    ("RIGHT CURLY BRACKET", b'}'),
    ("TILDE", b'~'),
];

const DIGITS: [&str; 10] = ["ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"];

/// The character of ASCII that has this name.
pub(super) fn ascii(name: &str) -> Option<u8> {
    if let Some(digit) = name.strip_prefix("DIGIT ") {
        return (b'0'..).zip(DIGITS).find(|(_, n)| *n == digit).map(|(byte, _)| byte);
    }
    let letter = |rest: &str| match rest.as_bytes() {
        [only] if only.is_ascii_uppercase() => Some(*only),
        _ => None,
    };
    if let Some(rest) = name.strip_prefix("LATIN SMALL LETTER ") {
        return letter(rest).map(|b| b.to_ascii_lowercase());
    }
    if let Some(rest) = name.strip_prefix("LATIN CAPITAL LETTER ") {
        return letter(rest);
    }
    MARKS.iter().find(|(n, _)| *n == name).map(|(_, byte)| *byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_and_marks_have_names() {
        assert_eq!(ascii("LATIN SMALL LETTER G"), Some(b'g'));
        assert_eq!(ascii("DIGIT NINE"), Some(b'9'));
        assert_eq!(ascii("LOW LINE"), Some(b'_'));
        assert_eq!(ascii("LATIN SMALL LETTER AE"), None);
    }
}
