//! The answer that tells a git client how to push, on its way back: with one word added, so that packs come whole (see [`git::Advertisement`]).

use bytes::Bytes;

use crate::{Facts, Head, HeadEdits, Wire};

/// Such an answer, as it comes.
#[derive(Debug)]
pub struct Advertised(git::Advertisement);

impl Advertised {
    /// For a request that asks where may be pushed; its `edits` keep the answer from coming compressed. `None` for all others: what comes back for
    /// them is not the gateway's business.
    pub fn asked_for(head: &Head, facts: &Facts, edits: &mut HeadEdits) -> Option<Advertised> {
        if head.method != "GET" || facts.wire != Wire::Git(git::Service::PushRefs) {
            return None;
        }
        let codings = head.headers.iter().enumerate().filter(|(_, header)| header.name == "accept-encoding");
        edits.headers.extend(codings.map(|(index, _)| (index, Bytes::from_static(b"identity"))));
        Some(Advertised(git::Advertisement::default()))
    }

    /// Takes the next bytes of the body (`end`: the last ones) and gives those that may go on.
    pub fn push(&mut self, bytes: &[u8], end: bool) -> Bytes {
        Bytes::from(self.0.push(bytes, end))
    }
}
