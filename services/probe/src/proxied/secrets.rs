//! Secrets made up for each run: nobody has them, and they have the shape of those that somebody has.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use rand::Rng;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A secret and the name of its kind.
pub(super) struct Secret {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

/// One of each kind. The prefixes are put together here, so that no scanner takes this file for a find.
pub(super) fn all() -> Vec<Secret> {
    let secret = |kind, text| Secret { kind, text };
    vec![
        secret("GitHub token", github()),
        secret("npm token", format!("{}_{}", "npm", with_checksum())),
        secret("AWS key pair", aws()),
        secret("Anthropic key", format!("{}-ant-{}-{}AA", "sk", "api03", random(BASE62, 93))),
        secret("Slack token", slack()),
        secret("private key", private_key()),
        secret("JSON Web Token", jwt()),
        secret("database URL", format!("postgres://app:{}@db.corp.example:5432/shop", random(BASE62, 24))),
    ]
}

/// A classic personal access token with a right checksum, as GitHub documents it
/// (<https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>).
pub(super) fn github() -> String {
    format!("{}_{}", "ghp", with_checksum())
}

/// A bot's token.
pub(super) fn slack() -> String {
    format!("{}-{}-{}-{}", "xoxb", random(b"123456789", 12), random(b"123456789", 13), random(BASE62, 24))
}

/// 30 random characters and their CRC-32 in base 62.
fn with_checksum() -> String {
    let body = random(BASE62, 30);
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut digits = ['0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(BASE62[(rest % 62) as usize]);
        rest /= 62;
    }
    body + &digits.iter().collect::<String>()
}

fn aws() -> String {
    let id = random(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16);
    let key = BASE64.encode(&rand::random::<[u8; 30]>());
    format!("aws_access_key_id = {}{id}\naws_secret_access_key = {key}\n", "AKIA")
}

/// An Ed25519 key in PKCS #8 (RFC 8410 section 7): the fixed head and 32 random bytes.
fn private_key() -> String {
    let head = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let body = BASE64.encode(&[&head[..], &rand::random::<[u8; 32]>()].concat());
    let label = ["PRIVATE", "KEY"].join(" ");
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn jwt() -> String {
    let head = BASE64URL_NOPAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = format!(r#"{{"sub":"{}","iat":{}}}"#, random(BASE62, 16), rand::rng().random_range(1_700_000_000..1_800_000_000));
    format!("{head}.{}.{}", BASE64URL_NOPAD.encode(claims.as_bytes()), BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()))
}

fn random(alphabet: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    std::iter::repeat_with(|| char::from(alphabet[rng.random_range(0..alphabet.len())])).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_have_their_shape_and_are_others_each_time() {
        let (first, second) = (all(), all());
        for (a, b) in first.iter().zip(&second) {
            assert_eq!(a.kind, b.kind);
            assert_ne!(a.text, b.text, "{}", a.kind);
        }
        assert_eq!(github().len(), 40);
        assert_eq!(private_key().lines().nth(1).map(str::len), Some(64));
        assert_eq!(jwt().split('.').count(), 3);
        assert_eq!(aws().lines().map(str::len).collect::<Vec<_>>(), [40, 64]);
    }
}
