//! Whether a value that a name announces is one that people or machines keep secret.

use rules::Form;

use super::super::checks;
use super::surprise::bits;

/// The shortest password, and the shortest value that a machine makes.
const LEAST: [usize; 2] = [8, 12];
/// Shorter values of machines have a sign that no identifier has.
const OPAQUE_LEAST: usize = 16;
/// The longest password, and the longest value that a machine makes; longer ones are ciphertext or have a shape of their own.
const MOST: [usize; 2] = [256, 2048];
/// Least surprise of a value of mixed letters and digits. Names and words have up to 5.6, one random value in a thousand less than this.
const OPAQUE: f32 = 6.2;
/// The same for values shorter than machines mostly make.
const SHORT: f32 = 7.2;
/// The same for hexadecimal digits alone, which have fewer kinds of pairs.
const HEX: f32 = 5.2;
/// A password with a sign that no identifier has needs no more than this.
const CHOSEN: f32 = 4.4;

/// Whether `value` is no reference, expression, name, hash of a password or placeholder, and surprises enough.
pub(super) fn is_secret(form: Form, value: &[u8]) -> bool {
    let least = LEAST[usize::from(form != Form::Password)];
    if value.contains(&b'\\') {
        // Escapes look like chance; what they stand for is seen where they are undone.
        let rest = unescaped(value);
        let quote = |b: &u8| matches!(b, b'"' | b'\'');
        let inner = rest.iter().position(|b| !quote(b)).zip(rest.iter().rposition(|b| !quote(b))).and_then(|(a, z)| rest.get(a..=z));
        return inner.is_some_and(|inner| inner.len() >= least && is_secret(form, inner));
    }
    if value.windows(3).any(|w| matches!(w, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())) {
        let rest = percent_decoded(value);
        // What decodes to no text was no escape.
        if std::str::from_utf8(&rest).is_ok() {
            return is_secret(form, &rest);
        }
    }
    if !(least..=MOST[usize::from(form != Form::Password)]).contains(&value.len())
        || !value.iter().all(u8::is_ascii_graphic)
        || refers(value)
        || checks::placeholder(value)
    {
        return false;
    }
    let digits = value.iter().filter(|b| b.is_ascii_digit()).count();
    if value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b':' | b'.' | b'T' | b'Z' | b'+' | b',' | b'/')) {
        return false;
    }
    // The token that documentation shows.
    let dots = value.iter().filter(|b| **b == b'.').count();
    if value.starts_with(b"eyJ") && dots == 2 && rules::checksum::verify("jwt-undocumented", value) == Some(false) {
        return false;
    }
    if let Some(text) = readable(value) {
        // Base64 of text is as secret as the text.
        // The head of a JWT is none, but other objects under such a name hold the secret in one of their strings.
        let object = text.starts_with(b"{") && memchr::memmem::find(&text, b"\"alg\"").is_none();
        let inside = object && text.split(|b| *b == b'"').any(|piece| is_secret(Form::Secret, piece));
        return (inside || is_secret(form, &text)) && !rules::documented::is_public(&text);
    }
    if value.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-') && digits >= 3 {
        return value.len() >= 16 && bits(value) >= HEX;
    }
    let surprise = bits(value);
    let letters = value.iter().filter(|b| b.is_ascii_alphanumeric()).count();
    match form {
        Form::Password => {
            (surprise >= OPAQUE - 0.4 && letters >= 8 && (digits > 0 || capitals(value))) || (chosen(value) && surprise >= CHOSEN)
        }
        _ if value.len() < OPAQUE_LEAST => {
            (chosen(value) && !value.contains(&b'@') && surprise >= OPAQUE)
                || (digits > 1 && capitals(value) && letters == value.len() && surprise >= SHORT)
        }
        _ => surprise >= OPAQUE && !checks::words(value) && (digits > 0 || mixed(value)),
    }
}

/// Whether something looks made by chance, whatever it is for: an identifier, a digest, a secret, data in disguise.
pub(crate) fn is_opaque(value: &[u8]) -> bool {
    let hex = value.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-') && value.iter().filter(|b| b.is_ascii_digit()).count() >= 3;
    value.len() >= OPAQUE_LEAST && bits(value) >= if hex { HEX } else { OPAQUE }
}

/// The value with its percent escapes undone, once.
fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut rest = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        let pair = value.get(at + 1).and_then(digit).zip(value.get(at + 2).and_then(digit)).filter(|_| *byte == b'%');
        let byte = if *byte == b'+' { &b' ' } else { byte };
        rest.push(pair.map_or(*byte, |(high, low)| high << 4 | low));
        at += if pair.is_some() { 3 } else { 1 };
    }
    rest
}

/// The value without its backslash escapes.
fn unescaped(value: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        at += match (byte, value.get(at + 1)) {
            (b'\\', Some(b'x')) => 4,
            (b'\\', Some(b'u')) => 6,
            (b'\\', Some(sign)) if sign.is_ascii_punctuation() && *sign != b'\\' => {
                rest.push(*sign);
                2
            }
            (b'\\', _) => 2,
            _ => {
                rest.push(*byte);
                1
            }
        };
    }
    rest
}

/// Whether there are capitals and small letters.
fn capitals(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_uppercase) && value.iter().any(u8::is_ascii_lowercase)
}

/// Small letters and capitals that are no mere beginnings of words.
fn mixed(value: &[u8]) -> bool {
    value.windows(2).filter(|w| w.first().is_some_and(u8::is_ascii_uppercase) && w.last().is_some_and(u8::is_ascii_uppercase)).count() > 1
        && value.iter().any(u8::is_ascii_lowercase)
}

/// Signs, letters and digits together, as people are told to choose: no identifier, path or word has them.
fn chosen(value: &[u8]) -> bool {
    let sign = value.iter().any(|b| matches!(b, b'!' | b'@' | b'#' | b'$' | b'^' | b'&' | b'*' | b'?' | b'~'));
    sign && value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic)
}

/// Whether the value says where a secret is, how it is made, or what it hashes to.
fn refers(value: &[u8]) -> bool {
    const BEGINS: [&[u8]; 32] = [
        b"$(", b"${", b"$argon2", b"$pbkdf2", b"$2a$", b"$2b$", b"$2y$", b"$scrypt", b"$1$", b"$5$", b"$6$", b"$y$", b"{SSHA", b"pbkdf2",
        b"arn:", b"urn:", b"data:", b"env:", b"vault:", b"/", b"./", b"../", b"~/", b"%(", b"{\"", b"[{", b"[\"", b"+",
        // What minifiers make of `true` and `false`.
        b"!0,", b"!1,", b"!0}", b"!1}",
    ];
    const HOLDS: [&[u8]; 33] = [
        b"://",
        b"{{",
        b"${",
        b"#{",
        b"<%",
        b"::",
        b"->",
        b"()",
        b"](",
        b".get(",
        b"process.env",
        b"os.environ",
        b"...",
        b"[REDACTED",
        b"%%",
        b"@{",
        b"ENC[",
        b"ENC(",
        b"{cipher}",
        b"$ANSIBLE_VAULT",
        b"aws4_request",
        b"=20",
        b"=3D",
        // Regular expressions, and rules of style sheets.
        b"[0-9",
        b"[a-z",
        b"[A-Z",
        b"[A-F",
        b"(?:",
        b"[^",
        b":url(",
        // Code and prose with a plus for every blank, as forms write them.
        b",+",
        b":+",
        b"+=+",
    ];
    // Public halves: SubjectPublicKeyInfo of RSA, of P-256 and of Ed25519 (RFC 5280, 5480, 8410), SSH (RFC 4253), age; keys for browsers;
    // digests.
    const PUBLIC: [&[u8]; 18] = [
        b"MIIBIjANBg",
        b"MIICIjANBg",
        b"MIGfMA0GCS",
        b"MFkwEwYHKoZI",
        b"MHYwEAYHKoZI",
        b"MCowBQYDK2Vw",
        b"AAAAB3NzaC1y",
        b"AAAAC3NzaC1l",
        b"AAAAE2VjZHNh",
        b"age1",
        b"pk_test_",
        b"pk_live_",
        b"phc_",
        b"sb_publishable_",
        b"pk.ey",
        b"sha1",
        b"sha256",
        b"sha512",
    ];
    // `$NAME`, `%NAME%`: a variable of a shell.
    let variable = |name: &[u8]| !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') && bits(name) < OPAQUE;
    let shell =
        value.strip_prefix(b"$").is_some_and(variable) || value.strip_prefix(b"%").and_then(|v| v.strip_suffix(b"%")).is_some_and(variable);
    let file = value.contains(&b'/') && value.iter().rev().take(6).skip_while(|b| b.is_ascii_alphanumeric()).take(1).any(|b| *b == b'.');
    // The address of an account or a contract.
    let address = value.strip_prefix(b"0x").is_some_and(|a| a.len() == 40 && a.iter().all(u8::is_ascii_hexdigit));
    shell
        || file
        || address
        || PUBLIC.iter().any(|p| value.starts_with(p))
        || BEGINS.iter().any(|b| value.starts_with(b))
        || HOLDS.iter().any(|h| memchr::memmem::find(value, h).is_some())
        || called(value)
}

/// Whether the value begins like a call or an index: `get_secret("x")`, `config[KEY]`.
fn called(value: &[u8]) -> bool {
    let name = value.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'$')).count();
    let (word, rest) = value.split_at(name);
    // `match$2[0]`: whatever compilers call it, it is a place in a list.
    let numbered = || rest.strip_prefix(b"[").and_then(|r| r.strip_suffix(b"]")).is_some_and(|i| matches!(i, [b'0'..=b'9']));
    name >= 3 && ((matches!(rest.first(), Some(b'(' | b'[')) && bits(word) < OPAQUE) || numbered())
}

/// What the value is as base64, where that is text.
fn readable(value: &[u8]) -> Option<Vec<u8>> {
    let text = value.strip_suffix(b"==").or_else(|| value.strip_suffix(b"=")).unwrap_or(value);
    if text.len() < 12 || text.iter().any(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))) {
        return None;
    }
    let whole = text.get(..text.len() / 4 * 4)?;
    let decoded = data_encoding::BASE64_NOPAD.decode(text).or_else(|_| data_encoding::BASE64.decode(whole)).ok()?;
    decoded.iter().all(|b| b.is_ascii_graphic() || *b == b' ' || *b == b'\n').then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: &str, length: usize) -> String {
        let mut out = vec![0; length];
        blake3::Hasher::new_derive_key("assigned value tests").update(seed.as_bytes()).finalize_xof().fill(&mut out);
        data_encoding::BASE64_NOPAD.encode(&out).replace(['+', '/'], "a").chars().take(length).collect()
    }

    #[test]
    fn random_values_are_secrets() {
        for i in 0..200 {
            let value = random(&i.to_string(), 24);
            assert!(is_secret(Form::Secret, value.as_bytes()), "{i}");
            assert!(is_secret(Form::Password, &value.as_bytes()[..12]), "{i}");
        }
    }

    #[test]
    fn code_names_references_and_hashes_are_none() {
        for value in [
            "x25519_check_private_key_bytes",
            "ed25519.Ed25519PrivateKey.from_private_bytes",
            "base64.b16encode(random_bytes[8:])",
            "Curve25519SeedBin",
            "TLS13_CHACHA20_POLY1305_SHA256_INTERNAL",
            "$argon2id$v=19$m=65536,t=3,p=4$C29tZXNhbHQ$eW91bGxORXZlckd1ZXNz",
            "arn:aws:kms:us-west-2:417498243647:key/c9fe2447-0795-4fda-af26-12",
            "https://graph.facebook.com/v2.9/oauth/access_token",
            "${{secrets.DEPLOY_TOKEN_2}}",
            "_XRegExp$exec2[0]",
            "!0,image:!0})b.pseudos[e]=B(e);for(e",
            "$MY_PASSWORD_12",
            "2016-09-08T21:47:36Z",
            "bm90IG15IHJlYWwgcGFzc3dvcmQ=",
        ] {
            assert!(!is_secret(Form::Secret, value.as_bytes()) && !is_secret(Form::Password, value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn a_chosen_password_is_one() {
        assert!(is_secret(Form::Password, concat!("Sum", "mer!2031").as_bytes()));
        assert!(!is_secret(Form::Password, b"utf8_to_utf16_dup"));
    }
}
