//! What targets share: text with pieces of the catalogue in it, which no fuzzer would come upon by itself, and the head of a request.

use std::sync::LazyLock;

use bytes::Bytes;
use engine::{Oracle, RuleSet};
use inspect::{Head, Header, Identity};

/// Longer texts only take longer.
const MAX_TEXT: usize = 2048;

static PIECES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| Oracle::pieces(RuleSet::builtin()));

/// The head of a `POST` over TLS.
pub fn head(authority: String, path: Bytes, headers: Vec<Header>, end: bool) -> Head {
    Head {
        request_id: "fuzz".into(),
        sandbox: "fuzz".into(),
        identity: Identity::Given,
        at: 0,
        method: "POST".into(),
        tls: true,
        authority,
        path,
        headers,
        end,
    }
}

/// The bytes as they are, but for those from 200 on: such a byte and the two behind it stand for a piece of the catalogue.
pub fn text(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = data.iter();
    while let Some(byte) = rest.next().filter(|_| text.len() < MAX_TEXT) {
        match (byte, rest.as_slice()) {
            (200.., [high, low, ..]) => {
                let piece = &PIECES[usize::from(u16::from_be_bytes([*high, *low])) % PIECES.len()];
                // From 228 on only a part of it, as long as the byte says.
                let part = if *byte < 228 { piece.len() } else { piece.len() * usize::from(*byte - 227) / 30 };
                text.extend_from_slice(&piece[..part]);
                rest = rest.as_slice()[2..].iter();
            }
            _ => text.push(*byte),
        }
    }
    text
}
