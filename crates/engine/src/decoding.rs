//! The declared codings of a body undone, for who needs to read what is in it.

use crate::layers::coding::Decoder;
use crate::{Engine, Gap, Media};

/// Bytes that a body may decode to for each byte sent, beyond the limit for one location.
const PER_SENT: u64 = 32;

/// Undoes the content codings of a body as it comes. A body without any passes as it is.
#[derive(Debug)]
pub struct Decoding {
    /// In the order in which they are undone.
    stages: Vec<Decoder>,
    sent: u64,
    out: u64,
    grace: u64,
}

impl Engine {
    /// For a body with these codings; `None`: one of them is not known.
    pub fn decoding(&self, media: &Media) -> Option<Decoding> {
        let stages = media.content_encoding.iter().rev().map(|coding| Decoder::new(coding)).collect::<Option<Vec<_>>>()?;
        Some(Decoding { stages, sent: 0, out: 0, grace: self.limits().decoded_bytes })
    }
}

impl Decoding {
    /// Takes the next bytes as sent; gives what they decode to, at most 64 KiB at a time.
    ///
    /// # Errors
    /// The bytes do not decode, or to more than the engine's limits let them.
    pub fn push(&mut self, bytes: &[u8], mut give: impl FnMut(&[u8])) -> Result<(), Gap> {
        self.sent = self.sent.saturating_add(bytes.len() as u64);
        let most = self.grace.saturating_add(self.sent.saturating_mul(PER_SENT));
        if self.stages.is_empty() {
            give(bytes);
            return Ok(());
        }
        decode(&mut self.stages, bytes, &mut |out: &[u8]| {
            self.out = self.out.saturating_add(out.len() as u64);
            if self.out > most {
                return Err(Gap::Budget);
            }
            give(out);
            Ok(())
        })
    }

    /// Whether every coding has come to its end.
    pub fn finished(&self) -> bool {
        self.stages.iter().all(Decoder::finished)
    }
}

fn decode(stages: &mut [Decoder], mut bytes: &[u8], give: &mut dyn FnMut(&[u8]) -> Result<(), Gap>) -> Result<(), Gap> {
    let Some((decoder, rest)) = stages.split_first_mut() else { return give(bytes) };
    loop {
        let mut out = Vec::new();
        let taken = decoder.feed(bytes, &mut out)?;
        bytes = bytes.get(taken..).unwrap_or_default();
        if taken == 0 && out.is_empty() {
            return if bytes.is_empty() { Ok(()) } else { Err(Gap::Undecodable) };
        }
        decode(rest, &out, give)?;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{FingerprintKey, Limits, RuleSet};

    fn engine(limits: Limits) -> Engine {
        Engine::compile(&RuleSet::default(), limits, FingerprintKey([0; 32])).expect("an engine")
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn decoded(engine: &Engine, codings: &[&str], bytes: &[u8], step: usize) -> Result<(Vec<u8>, bool), Gap> {
        let media = Media { content_encoding: codings.iter().map(|&c| c.into()).collect(), ..Media::default() };
        let mut decoding = engine.decoding(&media).ok_or(Gap::UnknownEncoding)?;
        let mut out = Vec::new();
        for part in bytes.chunks(step) {
            decoding.push(part, |bytes| out.extend_from_slice(bytes))?;
        }
        Ok((out, decoding.finished()))
    }

    #[test]
    fn codings_are_undone_in_order_however_the_body_is_cut() {
        let engine = engine(Limits::default());
        let text = b"{\"a\": \"text\"}".repeat(1000);
        let twice = gzip(&gzip(&text));
        for step in [1, 7, 100_000] {
            assert_eq!(decoded(&engine, &["gzip", "gzip"], &twice, step), Ok((text.clone(), true)));
            assert_eq!(decoded(&engine, &[], &text, step), Ok((text.clone(), true)));
        }
        assert!(!decoded(&engine, &["gzip"], &twice[..twice.len() - 20], 50).expect("so far").1);
        assert_eq!(decoded(&engine, &["gzip"], b"no gzip at all", 50), Err(Gap::Undecodable));
        assert_eq!(decoded(&engine, &["secret"], b"", 50), Err(Gap::UnknownEncoding));
    }

    #[test]
    fn what_decodes_to_too_much_is_a_gap() {
        let small = engine(Limits { decoded_bytes: 1 << 20, ..Limits::default() });
        assert!(decoded(&small, &["gzip"], &gzip(&vec![0; 1 << 20]), 4096).is_ok());
        assert_eq!(decoded(&small, &["gzip"], &gzip(&vec![0; 8 << 20]), 4096).err(), Some(Gap::Budget));
    }
}
