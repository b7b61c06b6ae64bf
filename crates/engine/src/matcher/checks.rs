//! Tests beyond the pattern.

use data_encoding::BASE64URL_NOPAD;
use rules::{Check, checksum};

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

/// What documentation writes instead of a secret.
pub(crate) fn placeholder(secret: &[u8]) -> bool {
    const WORDS: [&str; 22] = [
        "example",
        "placeholder",
        "changeme",
        "change-me",
        "change_me",
        "your-",
        "your_",
        "yourtoken",
        "yourkey",
        "yoursecret",
        "replace",
        "redacted",
        "dummy",
        "insert",
        "notreal",
        "not-real",
        "fakekey",
        "xxxx",
        "****",
        "....",
        "todo",
        "sample",
    ];
    // Whole values that nobody keeps secret.
    const WHOLE: [&str; 24] = [
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "token",
        "apikey",
        "api_key",
        "username",
        "user",
        "admin",
        "root",
        "test",
        "testing",
        "guest",
        "default",
        "postgres",
        "mysql",
        "redis",
        "mongo",
        "rabbitmq",
        "mypassword",
        "my-password",
        "mysecretpassword",
    ];
    let lower = secret.to_ascii_lowercase();
    if WHOLE.iter().any(|w| lower == w.as_bytes()) {
        return true;
    }
    if WORDS.iter().any(|w| memchr::memmem::find(&lower, w.as_bytes()).is_some()) {
        return true;
    }
    if secret.contains(&b'<') || memchr::memmem::find(secret, b"${").is_some() || memchr::memmem::find(secret, b"{{").is_some() {
        return true;
    }
    // One run of the same or of counting bytes dominates ("aaaaaaaa", "0123456789", "abcdefgh").
    let longest = |step: u8| {
        let mut best = 1;
        let mut run = 1;
        for pair in lower.windows(2) {
            run = if pair[1].wrapping_sub(pair[0]) == step { run + 1 } else { 1 };
            best = best.max(run);
        }
        best
    };
    let len = secret.len();
    // Several of them do ("abc123def456", "1234567890abcdef" twice).
    let near = lower.windows(2).filter(|p| p[1].abs_diff(p[0]) <= 1).count();
    if len >= 12 && near * 5 > len * 3 {
        return true;
    }
    longest(0) * 3 > len || longest(1) * 2 > len
}
