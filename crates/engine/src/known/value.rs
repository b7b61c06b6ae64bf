//! Which values can be looked for without flagging what everybody writes, and in which readings.

use std::fmt;

use rules::Check;
use zeroize::Zeroizing;

use super::{MAX_TOTAL_BYTES, MAX_VALUE_BYTES, MAX_VALUES};
use crate::matcher::{entropy, holds};

/// Shorter values stand in anything by chance.
const MIN_BYTES: usize = 8;
/// Shorter ones must mix kinds of characters.
const EASY_BYTES: usize = 16;
/// Shorter ones must not be words.
const PHRASE_BYTES: usize = 20;
/// Longer ones are no placeholders, whatever words they hold.
const SURELY_RANDOM: usize = 64;
/// Fewer bits of Shannon entropy in a whole value are a word, a date, a pattern.
const MIN_BITS: f32 = 20.0;
/// Fewer bits a byte are a pattern, however long.
const MIN_RATE: f32 = 2.0;

/// Why a value is not looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Fewer than 8 bytes.
    TooShort,
    /// More than [`MAX_VALUE_BYTES`].
    TooLong,
    /// It repeats itself, or is a number.
    LowEntropy,
    /// Documentation writes such values.
    Placeholder,
    /// A word or a few, a host name, an address: others write it too.
    Plain,
    /// A certificate or a public key.
    Public,
    /// More than [`MAX_VALUES`].
    TooMany,
    /// More than [`MAX_TOTAL_BYTES`] together.
    TooMuch,
    /// It has no part of its own beside too many others that look like it.
    TooAlike,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::TooShort => write!(f, "shorter than {MIN_BYTES} bytes: it stands in harmless text by chance"),
            Refusal::TooLong => write!(f, "longer than {MAX_VALUE_BYTES} bytes"),
            Refusal::LowEntropy => f.write_str("too regular: a number, a date or a repetition that harmless text has too"),
            Refusal::Placeholder => f.write_str("a placeholder that documentation uses"),
            Refusal::Plain => f.write_str("a word, a name or an address that harmless text has too"),
            Refusal::Public => f.write_str("a certificate or a public key, which is no secret"),
            Refusal::TooMany => write!(f, "more than {MAX_VALUES} values"),
            Refusal::TooMuch => write!(f, "all values together are longer than {MAX_TOTAL_BYTES} bytes"),
            Refusal::TooAlike => f.write_str("no part of it differs from too many other values"),
        }
    }
}

/// Whether a value (without blanks around it) is fit to be looked for.
pub(super) fn judge(value: &[u8]) -> Result<(), Refusal> {
    if value.len() < MIN_BYTES {
        return Err(Refusal::TooShort);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(Refusal::TooLong);
    }
    let rate = entropy(value);
    let number = value.len() < EASY_BYTES && value.iter().all(|b| b.is_ascii_digit() || b.is_ascii_punctuation());
    if rate < MIN_RATE || rate * (value.len() as f32) < MIN_BITS || number {
        return Err(Refusal::LowEntropy);
    }
    if documented(value) {
        return Err(Refusal::Placeholder);
    }
    if public(value) {
        return Err(Refusal::Public);
    }
    if plain(value) { Err(Refusal::Plain) } else { Ok(()) }
}

/// What documentation writes. A random value may hold such a word by chance, but then one half of it is fit to be looked for by itself.
fn documented(value: &[u8]) -> bool {
    let (first, second) = value.split_at(value.len() / 2);
    let fit = |half: &[u8]| judge(half).is_ok();
    rules::documented::is_public(value)
        || (value.len() < SURELY_RANDOM && !holds(&Check::NotPlaceholder, value) && !fit(first) && !fit(second))
}

/// What others write too.
fn plain(value: &[u8]) -> bool {
    let words = value.split(u8::is_ascii_whitespace).count();
    let phrase = words >= 4 && value.len() >= PHRASE_BYTES;
    (!holds(&Check::NotWords, value) && !phrase) || (value.len() < EASY_BYTES && easy(value)) || host(value) || mail(value)
}

/// One word with at most a number after it, whatever its case at the beginning.
fn easy(value: &[u8]) -> bool {
    let letters = value.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (word, rest) = value.split_at(letters);
    let one_case = |w: &[u8]| {
        w.iter().skip(1).all(u8::is_ascii_lowercase) || w.iter().all(u8::is_ascii_uppercase) || w.iter().all(u8::is_ascii_lowercase)
    };
    letters > 0 && one_case(word) && rest.iter().all(u8::is_ascii_digit)
}

/// Only PEM blocks that anybody may see, or a line of an OpenSSH public key file.
fn public(value: &[u8]) -> bool {
    let mut blocks = blocks(value).peekable();
    let shown = [&b"ssh-rsa AAAA"[..], b"ssh-ed25519 AAAA", b"ecdsa-sha2-", b"sk-ssh-ed25519@", b"sk-ecdsa-sha2-"];
    if blocks.peek().is_some() { blocks.all(|b| b.public) } else { shown.iter().any(|s| value.starts_with(s)) }
}

/// `db-7.eu-west-1.example.com`, with a port or without.
fn host(value: &[u8]) -> bool {
    let name = value.rsplitn(2, |b| *b == b':').last().unwrap_or(value);
    let fine = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let labels: Vec<&[u8]> = name.split(|b| *b == b'.').collect();
    let last = labels.last().copied().unwrap_or_default();
    labels.len() >= 2 && name.iter().all(fine) && labels.iter().all(|l| !l.is_empty() && l.len() <= 63) && last.len() <= 24 && {
        last.iter().all(u8::is_ascii_lowercase) || labels.iter().all(|l| l.iter().all(u8::is_ascii_digit))
    }
}

fn mail(value: &[u8]) -> bool {
    let mut parts = value.split(|b| *b == b'@');
    matches!((parts.next(), parts.next(), parts.next()), (Some(name), Some(at), None) if host(at)
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+')))
}

/// The bytes that are looked for.
pub(super) struct Reading {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether parts of it count: not where parts are harmless, as in a URL or a text.
    pub(super) pieces: bool,
}

/// What is looked for of a value: itself; of a PEM block (RFC 7468) its body, as text and as the bytes that it encodes; of a URL with a
/// password, the password too.
pub(super) fn readings(value: &[u8]) -> Vec<Reading> {
    let reading = |bytes: &[u8], pieces| Reading { bytes: Zeroizing::new(bytes.to_vec()), pieces };
    let mut all = Vec::new();
    for block in blocks(value).filter(|b| !b.public) {
        let text: Zeroizing<Vec<u8>> = Zeroizing::new(block.body.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect());
        if let Ok(der) = data_encoding::BASE64.decode(&text) {
            all.push(Reading { bytes: Zeroizing::new(der), pieces: false });
        }
        all.push(reading(block.body, false));
        let first = !all.iter().any(|r| r.pieces);
        all.push(Reading { bytes: text, pieces: first });
    }
    if !all.is_empty() {
        return all;
    }
    if let Some(password) = password(value) {
        let mut all = vec![reading(value, false)];
        if judge(password).is_ok() {
            all.push(reading(password, false));
        }
        return all;
    }
    let token = !value.iter().any(|b| b.is_ascii_whitespace() || matches!(b, b'/' | b'@')) || value.len() >= 64;
    let text = value.iter().any(u8::is_ascii_whitespace) || memchr::memmem::find(value, b"://").is_some();
    vec![reading(value, token && !text)]
}

/// A block between the lines `-----BEGIN label-----` and `-----END label-----`.
struct Block<'v> {
    /// Without headers (RFC 1421 section 4.6) and blanks around.
    body: &'v [u8],
    public: bool,
}

fn blocks(value: &[u8]) -> impl Iterator<Item = Block<'_>> {
    const PUBLIC: [&str; 6] = ["CERTIFICATE", "PUBLIC KEY", "X509 CRL", "PARAMETERS", "PKCS7", "CMS"];
    let mut rest = value;
    std::iter::from_fn(move || {
        let label = rest.get(memchr::memmem::find(rest, b"-----BEGIN ")? + 11..)?;
        let line = memchr::memchr(b'\n', label)?;
        let end = line + memchr::memmem::find(label.get(line..)?, b"-----END ")?;
        let (name, body) = (label.get(..line)?, label.get(line..end)?.trim_ascii());
        rest = label.get(end..)?;
        let headers = memchr::memchr(b':', body).and_then(|_| memchr::memmem::rfind(body, b"\n\n"));
        let body = body.get(headers.map_or(0, |at| at + 2)..)?.trim_ascii();
        Some(Block { body, public: PUBLIC.iter().any(|p| memchr::memmem::find(name, p.as_bytes()).is_some()) })
    })
}

/// The password in `scheme://user:password@host` (RFC 3986 section 3.2.1).
fn password(value: &[u8]) -> Option<&[u8]> {
    let authority = memchr::memmem::find(value, b"://")? + 3;
    let rest = value.get(authority..)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let userinfo = rest.get(..memchr::memrchr(b'@', rest.get(..end)?)?)?;
    userinfo.get(memchr::memchr(b':', userinfo)? + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(value: &str) -> Option<Refusal> {
        judge(value.as_bytes()).err()
    }

    #[test]
    fn what_harmless_text_has_too_is_refused_with_a_reason() {
        for (value, why) in [
            ("hunt3r!", Refusal::TooShort),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", Refusal::LowEntropy),
            ("19840312", Refusal::LowEntropy),
            ("2026-11-23", Refusal::LowEntropy),
            ("ababababababababab", Refusal::LowEntropy),
            ("your-api-key-goes-here", Refusal::Placeholder),
            (concat!("AKIAIOSF", "ODNN7EXAMPLE"), Refusal::Placeholder),
            (concat!("sk-", "proj-xxxxxxxxxxxxxxxxxxxxxxxx"), Refusal::LowEntropy),
            ("changeme-changeme", Refusal::Placeholder),
            ("production", Refusal::Plain),
            ("Production2", Refusal::Plain),
            ("us-east-db-primary", Refusal::Plain),
            ("db-7.eu-west-1.corp.net", Refusal::Plain),
            ("10.20.130.40:5432", Refusal::Plain),
            ("service@corp-x7.net", Refusal::Plain),
        ] {
            assert_eq!(refused(value), Some(why), "{value}");
            assert!(!why.to_string().contains(value));
        }
        assert_eq!(refused(&"Xy7".repeat(10_000)), Some(Refusal::TooLong));
    }

    #[test]
    fn what_only_its_owner_has_is_taken() {
        for value in [
            "a8f3k2m9",
            "Tr0ub4dor&3",
            "correct horse battery staple",
            "q7Zr2mKtodoV9xW4nB8sL1",
            "q7Zr2mKv9xW4nB8sxxxxL1",
            "0d8f7c61a94be2535f06e7c8",
            "postgres://app:x9Kq2mPz@db.corp.net/app",
        ] {
            assert_eq!(refused(value), None, "{value}");
        }
    }

    #[test]
    fn a_url_is_looked_for_with_its_password_and_a_pem_block_by_its_body() {
        let of =
            |value: &str| readings(value.as_bytes()).iter().map(|r| String::from_utf8_lossy(&r.bytes).into_owned()).collect::<Vec<_>>();
        assert_eq!(of("postgres://app:x9Kq2mPz@db.corp.net/app")[1], "x9Kq2mPz");
        let pem = ["-----BEGIN ", "PRIVATE KEY-----\nAAECAwQF\nBgcICQoL\n-----END ", "PRIVATE KEY-----\n"].concat();
        let all = ["\0\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\t\n\u{b}", "AAECAwQF\nBgcICQoL", "AAECAwQFBgcICQoL"];
        assert_eq!(of(&pem), all);
        let shown = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2\n-----END CERTIFICATE-----\n";
        assert_eq!(refused(shown), Some(Refusal::Public));
        assert_eq!(of(&format!("{shown}{pem}")), all, "of a certificate with its key, the key");
        assert_eq!(refused("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@laptop"), Some(Refusal::Public));
    }
}
