//! The four bodies, cut where a fault may come in between.

use std::time::Duration;

const PIECE: usize = 8 << 10;
const PIECES: usize = 8;

/// A body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// None: a GET.
    None,
    /// 4 KiB: withheld until it has been seen as a whole.
    Small,
    /// 3 MiB: beyond the buffer limit, so that its beginning is released before its end has come.
    Large,
    /// 64 KiB of unknown length, in chunks with pauses longer than those after which what came is released.
    Streaming,
}

impl Body {
    pub(crate) const ALL: [Body; 4] = [Body::None, Body::Small, Body::Large, Body::Streaming];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Body::None => "none",
            Body::Small => "small",
            Body::Large => "large",
            Body::Streaming => "streaming",
        }
    }

    /// Its pieces as they are written, without framing. The secret, if any, ends the last.
    fn pieces(self, secret: Option<&str>) -> Vec<Vec<u8>> {
        let sizes = match self {
            Body::None => vec![],
            Body::Small => vec![2 << 10, 2 << 10],
            Body::Large => vec![2 << 20, 1 << 20],
            Body::Streaming => vec![PIECE; PIECES],
        };
        let mut pieces: Vec<Vec<u8>> = sizes.into_iter().map(prose).collect();
        if let (Some(secret), Some(last)) = (secret, pieces.last_mut()) {
            let end = format!(" the key is {secret}\n");
            last.truncate(last.len() - end.len());
            last.extend_from_slice(end.as_bytes());
        }
        pieces
    }

    /// The pause before each piece but the first.
    pub(crate) fn pause(self) -> Duration {
        if self == Body::Streaming { Duration::from_millis(100) } else { Duration::ZERO }
    }

    /// Before which piece a fault comes that comes within the body.
    pub(crate) fn gate(self) -> usize {
        if self == Body::Streaming { PIECES / 2 } else { 1 }
    }

    /// How many bytes were sent before the gate.
    pub(crate) fn before_the_gate(self) -> u64 {
        self.pieces(None).iter().take(self.gate()).map(|piece| piece.len() as u64).sum()
    }

    /// Whether the scanner lets something of it pass before its end has come.
    pub(crate) fn is_released_early(self) -> bool {
        matches!(self, Body::Large | Body::Streaming)
    }

    /// The request in the bytes of HTTP/1.1, the head with the first piece. The secret ends the body, or stands in a header where there is none.
    pub(crate) fn request(self, target: &str, host: &str, secret: Option<&str>) -> (&'static str, Vec<Vec<u8>>) {
        let method = if self == Body::None { "GET" } else { "POST" };
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        let mut pieces = self.pieces(secret);
        match self {
            Body::None => {
                if let Some(secret) = secret {
                    head.push_str(&format!("X-Note: {secret}\r\n"));
                }
            }
            Body::Small | Body::Large => {
                let length: usize = pieces.iter().map(Vec::len).sum();
                head.push_str(&format!("Content-Type: text/plain\r\nContent-Length: {length}\r\n"));
            }
            Body::Streaming => {
                head.push_str("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n");
                for piece in &mut pieces {
                    *piece = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                }
                if let Some(last) = pieces.last_mut() {
                    last.extend_from_slice(b"0\r\n\r\n");
                }
            }
        }
        head.push_str("\r\n");
        match pieces.first_mut() {
            Some(first) => *first = [head.as_bytes(), first].concat(),
            None => pieces.push(head.into_bytes()),
        }
        (method, pieces)
    }
}

/// Lines that look like nothing in particular.
fn prose(length: usize) -> Vec<u8> {
    b"a line of text that says nothing in particular\n".iter().copied().cycle().take(length).collect()
}
