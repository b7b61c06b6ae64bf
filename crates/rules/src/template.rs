//! Expansion of example templates, so that no file of ours holds a token that another scanner would flag.
//!
//! `{class:len}` gives random-looking characters, the same for the same template; `{crc}`, `{jwt}`, `{uuid}`, `{b64:TEXT}` see below.

use data_encoding::{BASE64, BASE64URL_NOPAD};

use crate::checksum;

/// The longest run one placeholder gives.
const MAX_RUN: usize = 4096;
/// The longest expanded text.
const MAX_TEXT: usize = 64 << 10;

/// Expands `template`; the error is one line for people.
pub(crate) fn expand(template: &str) -> Result<String, String> {
    let mut seed = blake3::Hasher::new_derive_key("portcullis 2026 example templates").update(template.as_bytes()).finalize_xof();
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        if let Some(escaped) = after.strip_prefix('{') {
            out.push('{');
            rest = escaped;
            continue;
        }
        let (word, tail) = after.split_once('}').ok_or("template: `{` without `}` (write `{{` for the character)")?;
        let piece = placeholder(word, &out, &mut seed)?;
        out.push_str(&piece);
        rest = tail;
        if out.len() > MAX_TEXT {
            return Err(format!("template: longer than {MAX_TEXT} bytes"));
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn placeholder(word: &str, before: &str, seed: &mut blake3::OutputReader) -> Result<String, String> {
    match word.split_once(':') {
        None if word == "crc" => Ok(checksum::base62_crc32(entropy_part(before).as_bytes())),
        None if word == "uuid" => {
            let h = run(HEX, 32, seed);
            let part = |from: usize, to: usize| h.get(from..to).unwrap_or_default();
            Ok(format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32)))
        }
        None if word == "jwt" => {
            let header = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
            let claims =
                BASE64URL_NOPAD.encode(format!(r#"{{"sub":"{}","iat":17{}}}"#, run(HEX, 16, seed), run(DIGITS, 8, seed)).as_bytes());
            Ok(format!("{header}.{claims}.{}", run(BASE64URL, 43, seed)))
        }
        Some(("b64", text)) => Ok(BASE64.encode(text.as_bytes())),
        Some((class, length)) => {
            let alphabet = alphabet(class).ok_or_else(|| format!("template: unknown class `{class}`"))?;
            let length = length.parse().ok().filter(|n| *n <= MAX_RUN);
            Ok(run(alphabet, length.ok_or_else(|| format!("template: `{word}` is not a length of at most {MAX_RUN}"))?, seed))
        }
        None => Err(format!("template: unknown placeholder `{word}`")),
    }
}

const DIGITS: &[u8] = b"0123456789";
const HEX: &[u8] = b"0123456789abcdef";
const BASE64URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn alphabet(class: &str) -> Option<&'static [u8]> {
    Some(match class {
        "base62" | "alnum" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "lower" => b"abcdefghijklmnopqrstuvwxyz",
        "upper" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "alnumlower" => b"0123456789abcdefghijklmnopqrstuvwxyz",
        "word" => b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_",
        "digits" => DIGITS,
        "hex" => HEX,
        "HEX" => b"0123456789ABCDEF",
        "base64" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "base64url" => BASE64URL,
        "base58" => b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz",
        "base32" => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        _ => return None,
    })
}

/// `length` characters; the second is a digit and the third a letter where the alphabet has both, and `-`, `_`, `+`, `/` never stand
/// at the ends (a scanner's boundary would fall inside), so that a short run looks random too.
fn run(alphabet: &[u8], length: usize, seed: &mut blake3::OutputReader) -> String {
    let digits: Vec<u8> = alphabet.iter().copied().filter(u8::is_ascii_digit).collect();
    let letters: Vec<u8> = alphabet.iter().copied().filter(u8::is_ascii_alphabetic).collect();
    let ends: Vec<u8> = alphabet.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
    let mut bytes = vec![0u8; length.saturating_mul(2)];
    seed.fill(&mut bytes);
    let pick = |(at, pair): (usize, &[u8])| {
        let from: &[u8] = match at {
            1 if !digits.is_empty() => &digits,
            2 if !letters.is_empty() => &letters,
            _ if at == 0 || at + 1 == length => &ends,
            _ => alphabet,
        };
        let number = pair.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
        from.get(number % from.len().max(1)).map_or('x', |b| char::from(*b))
    };
    bytes.chunks(2).enumerate().map(pick).collect()
}

/// What `{crc}` is computed over: the token that ends here, after its last underscore.
fn entropy_part(before: &str) -> &str {
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
    before.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::expand;
    use crate::checksum;

    #[test]
    fn the_same_template_gives_the_same_text() {
        assert_eq!(expand("a {base62:20} {uuid}"), expand("a {base62:20} {uuid}"));
        assert_ne!(expand("{base62:20}"), expand("{base62:20} "));
    }

    #[test]
    fn a_crc_closes_a_github_token() {
        let text = expand(concat!("gh", "p_{base62:30}{crc}")).expect("expands");
        assert_eq!(text.len(), 40);
        assert!(checksum::github(text.as_bytes()));
    }

    #[test]
    fn a_double_brace_is_the_character() {
        assert_eq!(expand("{{\"a\":1}").as_deref(), Ok("{\"a\":1}"));
    }

    #[test]
    fn what_is_unknown_or_too_long_is_an_error() {
        for bad in ["{nope}", "{nope:3}", "{hex:4097}", "{hex:-1}", "{hex", "{hex:99999999999999999999}"] {
            assert!(expand(bad).is_err(), "{bad}");
        }
    }
}
