//! Object names: SHA-1, or SHA-256 for repositories that say so.

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// Which hash a repository uses (`object-format` of gitprotocol-capabilities).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// 20 bytes; what is meant where nothing is said.
    #[default]
    Sha1,
    /// 32 bytes.
    Sha256,
}

impl Format {
    /// Bytes of an object's name.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Format::Sha1 => 20,
            Format::Sha256 => 32,
        }
    }
}

/// An object's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    bytes: [u8; 32],
    /// For `Eq`: the first 20 bytes of a SHA-256 are no SHA-1.
    len: u8,
}

impl Id {
    /// From 20 or 32 raw bytes.
    pub(crate) fn raw(bytes: &[u8]) -> Option<Id> {
        let len = u8::try_from(bytes.len()).ok().filter(|n| matches!(n, 20 | 32))?;
        let mut id = Id { bytes: [0; 32], len };
        id.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(id)
    }

    /// From 40 or 64 hexadecimal digits.
    pub(crate) fn hex(text: &[u8]) -> Option<Id> {
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let bytes: Option<Vec<u8>> = text.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect();
        Id::raw(&bytes?)
    }

    /// The name that stands for no object: what a ref was before it was made, and is after it was deleted.
    pub(crate) fn is_zero(&self) -> bool {
        self.bytes.iter().all(|b| *b == 0)
    }

    pub(crate) fn format(&self) -> Format {
        if self.len == 20 { Format::Sha1 } else { Format::Sha256 }
    }

    /// The first eight bytes: enough to suspect that two names are one.
    pub(crate) fn short(&self) -> u64 {
        self.bytes.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b))
    }
}

/// A hash under way.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn new(format: Format) -> Hasher {
        match format {
            Format::Sha1 => Hasher::Sha1(Sha1::new()),
            Format::Sha256 => Hasher::Sha256(Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha1(hash) => hash.update(bytes),
            Hasher::Sha256(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Option<Id> {
        match self {
            Hasher::Sha1(hash) => Id::raw(&hash.finalize()),
            Hasher::Sha256(hash) => Id::raw(&hash.finalize()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_length_of_its_hash() {
        let id = Id::hex(b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").expect("the empty blob");
        let mut hash = Hasher::new(Format::Sha1);
        hash.update(b"blob 0\0");
        assert_eq!(hash.finish(), Some(id));
        assert_eq!(id.format(), Format::Sha1);
        assert!(Id::hex(&[b'0'; 64]).is_some_and(|id| id.is_zero() && id.format() == Format::Sha256));
        for bad in [&b""[..], b"0", &[b'0'; 39], &[b'0'; 41], &[b'g'; 40]] {
            assert_eq!(Id::hex(bad), None);
        }
        assert_ne!(Id::hex(&[b'0'; 40]), Id::hex(&[b'0'; 64]));
    }
}
