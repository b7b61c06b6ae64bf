//! How little a value looks like what people write: names, words, paths.

/// Classes of characters: small letters, capitals, digits, `_`, `-`, `.`, `/`, `+`, `=`, `:`, and all else.
const CLASSES: usize = 70;

/// What the second class of a pair costs after the first one, in sixteenths of a bit; written by `train` beside this file.
const TABLE: &[u8; CLASSES * CLASSES] = include_bytes!("surprise.bin");

fn class(byte: u8) -> usize {
    let offset = |from: u8, base: usize| usize::from(byte - from) + base;
    match byte {
        b'a'..=b'z' => offset(b'a', 0),
        b'A'..=b'Z' => offset(b'A', 26),
        b'0'..=b'9' => offset(b'0', 52),
        b'_' => 62,
        b'-' => 63,
        b'.' => 64,
        b'/' => 65,
        b'+' => 66,
        b'=' => 67,
        b':' => 68,
        _ => 69,
    }
}

/// Bits per pair of neighbours: identifiers and words have 3 to 5.5, random letters and digits 7 to 10, random hex 6 to 8.
pub(super) fn bits(value: &[u8]) -> f32 {
    let pairs = value.len().saturating_sub(1).max(1);
    let cost = |pair: &[u8]| match pair {
        [a, b] => TABLE.get(class(*a) * CLASSES + class(*b)).copied().map_or(0, u32::from),
        _ => 0,
    };
    value.windows(2).map(cost).sum::<u32>() as f32 / 16.0 / pairs as f32
}

#[cfg(test)]
mod tests {
    use super::bits;

    #[test]
    fn names_and_words_surprise_less_than_chance_does() {
        for plain in ["x25519_check_private_key_bytes", "self._decode_base64", "correcthorsebatterystaple", "prod/app1/db-credentials"] {
            assert!(bits(plain.as_bytes()) < 5.2, "{plain}");
        }
        let random: String = blake3::hash(b"surprise").to_hex().to_string();
        assert!(bits(random.as_bytes()) > 6.0);
        assert!(bits(data_encoding::BASE64_NOPAD.encode(blake3::hash(b"x").as_bytes()).as_bytes()) > 7.0);
    }

    #[test]
    fn nothing_surprises_nobody() {
        assert!(bits(b"") == 0.0 && bits(b"a") == 0.0);
        assert!(bits(&[0xff; 3]).is_finite());
    }
}
