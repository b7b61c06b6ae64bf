//! Tests beyond the pattern.

mod placeholder;

use data_encoding::BASE64URL_NOPAD;
use rules::{Check, checksum};

pub(crate) use placeholder::placeholder;

/// Whether `secret` passes a check.
pub(crate) fn holds(check: &Check, secret: &[u8]) -> bool {
    match check {
        Check::GithubCrc32 => checksum::github(secret),
        Check::Jwt => jwt(secret),
        Check::Entropy(least) => entropy(secret) >= *least,
        Check::Surprise(least) => super::assigned::surprise(secret) >= *least,
        Check::Digits(least) => secret.iter().filter(|b| b.is_ascii_digit()).count() >= *least as usize,
        Check::NotPlaceholder => !placeholder(secret),
        Check::NotWords => !words(secret),
        Check::Checksum(name) => checksum::verify(name, secret).unwrap_or(false),
    }
}

/// Shannon entropy in bits per byte.
pub(crate) fn entropy(bytes: &[u8]) -> f32 {
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let len = bytes.len() as f32;
    counts.iter().filter(|c| **c > 0).map(|c| *c as f32 / len).map(|p| -p * p.log2()).sum()
}

/// Whether the first part of a token decodes to a JSON object that names an algorithm (RFC 7519 section 5, RFC 7515 section 4.1.1).
fn jwt(token: &[u8]) -> bool {
    let header = token.split(|b| *b == b'.').next().unwrap_or_default();
    let Ok(json) = BASE64URL_NOPAD.decode(header) else { return false };
    json.starts_with(b"{") && memchr::memmem::find(&json, b"\"alg\"").is_some()
}

/// Whether the value is two or more words and numbers with separators between them: `projects/12345/secrets/db-password`.
pub(crate) fn words(secret: &[u8]) -> bool {
    let pieces = || secret.split(|b| !b.is_ascii_alphanumeric()).filter(|p| !p.is_empty());
    let word = |piece: &[u8]| {
        let rest = piece.get(1..).unwrap_or_default();
        piece.iter().all(u8::is_ascii_digit)
            || piece.iter().all(u8::is_ascii_uppercase)
            || (piece[0].is_ascii_alphabetic() && rest.iter().all(u8::is_ascii_lowercase))
    };
    pieces().nth(1).is_some() && pieces().all(word)
}
