//! The messages of a gRPC body.

/// Longer messages are refused: what gRPC implementations take by default (4 MiB, `GRPC_DEFAULT_MAX_RECV_MESSAGE_LENGTH`).
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Flag and length before each message (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) const PREFIX_BYTES: usize = 5;

/// What stands at the beginning of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// Not all of it is there.
    Incomplete,
    /// A whole message of so many bytes, prefix included.
    Message {
        /// Whether the payload is compressed.
        compressed: bool,
        /// Length with the prefix.
        len: usize,
    },
    /// This is no message, or one that is too long.
    Invalid,
}

/// Looks at the first message of `bytes`.
pub(crate) fn first(bytes: &[u8]) -> Frame {
    let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return match bytes.first() {
            Some(flag) if *flag > 1 => Frame::Invalid,
            _ => Frame::Incomplete,
        };
    };
    let [flag, a, b, c, d] = *prefix;
    let payload = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if flag > 1 || payload > MAX_MESSAGE_BYTES {
        return Frame::Invalid;
    }
    let len = PREFIX_BYTES + payload;
    if bytes.len() < len { Frame::Incomplete } else { Frame::Message { compressed: flag == 1, len } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_parts_and_nonsense() {
        assert_eq!(first(b""), Frame::Incomplete);
        assert_eq!(first(&[0, 0, 0, 0]), Frame::Incomplete);
        assert_eq!(first(&[0, 0, 0, 0, 0]), Frame::Message { compressed: false, len: 5 });
        assert_eq!(first(&[1, 0, 0, 0, 2, 7, 7, 9]), Frame::Message { compressed: true, len: 7 });
        assert_eq!(first(&[0, 0, 0, 0, 2, 7]), Frame::Incomplete);
        assert_eq!(first(&[2]), Frame::Invalid);
        assert_eq!(first(&[0, 0xff, 0, 0, 0]), Frame::Invalid);
    }
}
