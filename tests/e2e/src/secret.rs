//! Secrets made at run time, so that no scanner has a reason to flag this tree.

use rand::Rng;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random letters and digits.
#[must_use]
pub fn random_token(length: usize) -> String {
    let mut rng = rand::rng();
    std::iter::repeat_with(|| char::from(BASE62[rng.random_range(0..BASE62.len())])).take(length).collect()
}

/// A classic personal access token of GitHub with a right checksum: `ghp_`, 30 random characters, and the CRC-32 of these in base 62,
/// six characters with leading zeros (<https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/>).
#[must_use]
pub fn github_pat() -> String {
    let random = random_token(30);
    format!("{}_{random}{}", "ghp", base62(crc32fast::hash(random.as_bytes())))
}

/// Six digits, the most significant first; 62^6 is more than 2^32.
fn base62(mut number: u32) -> String {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(number % 62) as usize];
        number /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_has_six_digits_of_base_62() {
        assert_eq!(base62(0), "000000");
        assert_eq!(base62(61), "00000z");
        assert_eq!(base62(62), "000010");
        assert_eq!(base62(u32::MAX), "4gfFC3");
        assert_eq!(github_pat().len(), 40);
        assert_ne!(github_pat(), github_pat());
    }
}
