//! Public checksums of token formats.
//!
//! GitHub and npm: <https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>.

/// Whether `secret` ends with the six-character base62 CRC-32 of what stands between its last underscore and that checksum (GitHub).
pub fn github(secret: &[u8]) -> bool {
    let start = secret.iter().rposition(|b| *b == b'_').map_or(0, |at| at.saturating_add(1));
    let part = secret.get(start..).unwrap_or_default();
    part.split_last_chunk::<6>().is_some_and(|(entropy, sum)| !entropy.is_empty() && base62_crc32(entropy).as_bytes() == sum)
}

/// The same for npm, which took over GitHub's scheme.
pub fn npm(secret: &[u8]) -> bool {
    github(secret)
}

/// Whether the last digit of `secret` (digits, spaces and hyphens) is right by Luhn (ISO/IEC 7812-1).
pub fn luhn(secret: &[u8]) -> bool {
    let digits: Option<Vec<u8>> =
        secret.iter().filter(|b| !matches!(b, b' ' | b'-')).map(|b| b.is_ascii_digit().then(|| b.wrapping_sub(b'0'))).collect();
    let Some(digits) = digits.filter(|d| (2..=32).contains(&d.len())) else { return false };
    let weigh = |(at, digit): (usize, &u8)| match (at % 2, digit * 2) {
        (0, _) => u32::from(*digit),
        (_, twice) if twice > 9 => u32::from(twice - 9),
        (_, twice) => u32::from(twice),
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// Whether a Grafana service account token (`glsa_` + 32 characters + `_` + 8 hex) carries the CRC-32 of what stands before it.
///
/// Source: `pkg/components/satokengen` of grafana/grafana.
pub fn grafana(secret: &[u8]) -> bool {
    let Some((body, sum)) = secret.split_last_chunk::<8>() else { return false };
    let Some(key) = body.strip_suffix(b"_") else { return false };
    format!("{:08x}", crc32fast::hash(key)).as_bytes() == sum
}

/// Whether a JSON Web Token is not one of documentation: the claims of jwt.io, RFC 7519 §3.1 and the README of PyJWT stand for nobody.
pub fn jwt_undocumented(secret: &[u8]) -> bool {
    // `{"sub":"1234567890","name":"John Doe"`, `{"iss":"joe",\r\n "exp":1300819380` and `{"some":"payload"}`.
    const DOCUMENTED: [&[u8]; 3] =
        [b"eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9l", b"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODA", b"eyJzb21lIjoicGF5bG9hZCJ9"];
    let Some(claims) = secret.split(|b| *b == b'.').nth(1) else { return false };
    !DOCUMENTED.iter().any(|d| claims.starts_with(d))
}

/// Runs the checksum called `name` (`github`, `npm`, `luhn`, `grafana`, `jwt-undocumented`) over `secret`; `None`: there is no such checksum.
pub fn verify(name: &str, secret: &[u8]) -> Option<bool> {
    Some(match name {
        "github" => github(secret),
        "npm" => npm(secret),
        "luhn" => luhn(secret),
        "grafana" => grafana(secret),
        "jwt-undocumented" => jwt_undocumented(secret),
        _ => return None,
    })
}

/// The CRC-32 (IEEE) of `bytes` in base62 (digits, upper case, lower case), padded with `0` to six characters.
pub fn base62_crc32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(bytes);
    let mut out = ['0'; 6];
    for place in out.iter_mut().rev() {
        *place = ALPHABET.get(rest as usize % 62).map_or('0', |b| char::from(*b));
        rest /= 62;
    }
    out.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::{base62_crc32, github, grafana, luhn, verify};

    #[test]
    fn a_github_token_holds_and_a_changed_one_does_not() {
        let entropy = "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o";
        let token = format!("{}_{entropy}{}", "ghp", base62_crc32(entropy.as_bytes()));
        assert!(github(token.as_bytes()));
        assert!(!github(token.replace("1a2B", "1a2C").as_bytes()));
    }

    #[test]
    fn a_small_sum_is_padded() {
        assert_eq!(base62_crc32(b"").as_str(), "000000");
    }

    #[test]
    fn luhn_knows_the_test_number_of_iso() {
        assert!(luhn(b"4111 1111 1111 1111"));
        assert!(!luhn(b"4111 1111 1111 1112"));
        assert!(!luhn(b"x"));
    }

    #[test]
    fn a_grafana_token_holds() {
        let body = format!("{}_{}", "glsa", "a1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6");
        let token = format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()));
        assert!(grafana(token.as_bytes()));
        assert!(!grafana(body.as_bytes()));
    }

    #[test]
    fn the_token_of_jwt_io_is_documentation() {
        let documented = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0", "abc"].join(".");
        assert_eq!(verify("jwt-undocumented", documented.as_bytes()), Some(false));
        assert_eq!(verify("jwt-undocumented", b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.abc"), Some(true));
    }

    #[test]
    fn an_unknown_name_and_any_short_input_never_panic() {
        assert_eq!(verify("nothing", b"x"), None);
        for name in ["github", "npm", "luhn", "grafana", "jwt-undocumented"] {
            assert_eq!(verify(name, b""), Some(false));
        }
    }
}
