//! A body that is different each time at the price of a copy: the same text with a number in many places.
//!
//! The scanner remembers bodies, and parts of JSON from 512 bytes on, that held nothing. A load of equal bodies would measure that memory.

use bytes::Bytes;

use crate::words::{MARK, PLACEHOLDER};

/// Bytes with places for a number.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    marks: Vec<usize>,
}

impl Template {
    /// A template of a text in which each placeholder is a place for the number.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let place = PLACEHOLDER.as_bytes();
        let (mut marks, mut at) = (Vec::new(), 0);
        while at + MARK <= bytes.len() {
            if &bytes[at..at + MARK] == place {
                marks.push(at);
                at += MARK;
            } else {
                at += 1;
            }
        }
        Self { bytes, marks }
    }

    /// The bytes with this number in all places.
    pub(crate) fn numbered(&self, number: u64) -> Bytes {
        let digits = format!("{:0width$}", number % 10_u64.pow(16), width = MARK);
        let mut bytes = self.bytes.clone();
        for at in &self.marks {
            bytes[*at..at + MARK].copy_from_slice(digits.as_bytes());
        }
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_stands_in_every_place_and_the_length_stays() {
        let template = Template::new(format!("a {PLACEHOLDER} b {PLACEHOLDER}").into_bytes());
        let bytes = template.numbered(42);
        assert_eq!(&bytes[..], b"a 0000000000000042 b 0000000000000042");
        assert_eq!(template.numbered(u64::MAX).len(), bytes.len());
    }
}
