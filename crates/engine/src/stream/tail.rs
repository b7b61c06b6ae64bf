//! Which tail of a paused stream a secret may still be growing in.

/// The opening of a block that ends with a line of its own (RFC 7468).
const PEM: &[u8] = b"-----BEGIN ";

/// Where the claimed tail of `held` begins: the last run of bytes that a token or an encoding is made of, an open PEM block, an open key.
/// At most `most` bytes are claimed.
pub(super) fn claimed(held: &[u8], most: usize) -> usize {
    let floor = held.len().saturating_sub(most);
    let run = held.iter().rposition(|b| !member(*b)).map_or(0, |i| i + 1);
    let open = memchr::memmem::rfind(held, PEM).filter(|at| memchr::memmem::find(&held[*at..], b"-----END ").is_none());
    run.min(open.unwrap_or(run)).max(floor)
}

/// Bytes that tokens, encodings and escapes are made of.
fn member(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-.:%\\@~&#;,$!".contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::claimed;

    #[test]
    fn a_line_that_ended_claims_nothing_and_an_open_token_itself() {
        assert_eq!(claimed(b"data: {\"a\":1}\n\n", 100), 15);
        assert_eq!(claimed(b"key is ghp", 100), 7);
        assert_eq!(claimed(b"abcdefgh", 3), 5);
        assert_eq!(claimed(b"x -----BEGIN KEY-----\nabc\n", 100), 2);
    }
}
