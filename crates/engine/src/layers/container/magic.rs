//! What the first bytes of a stream, an archive or a document say it is.

use super::media::{self, Media};
use super::sealed;

/// What begins at some byte of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A compressed stream in a coding that [`crate::layers::coding`] knows.
    Stream(&'static str),
    /// A pack of git objects.
    Pack,
    /// A local header of a zip archive.
    Zip,
    /// A picture or sound.
    Media(Media),
    /// A 7-Zip archive.
    SevenZip,
    /// Something that cannot be opened here.
    Sealed(crate::Gap),
}

/// The first bytes of everything that [`form`] knows.
static BEGINNINGS: [bool; 256] = {
    let mut first = [false; 256];
    let firsts = [0x1f, 0x28, 0x78, b'B', 0xfd, 0x04, 0x02, 0x5d, b'P', b'L', 0xff, 0x89, b'7', b'R', 0x03, 0x00];
    let mut i = 0;
    while i < firsts.len() {
        first[firsts[i] as usize] = true;
        i += 1;
    }
    first
};

/// Where the next byte stands that a magic begins with.
pub(super) fn beginning(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| BEGINNINGS[usize::from(*b)])
}

/// As [`beginning`], where the second byte is of that magic too.
pub(super) fn likely_beginning(bytes: &[u8]) -> Option<usize> {
    let goes_on = |pair: &[u8]| {
        matches!(
            pair,
            [0x1f, 0x8b | 0x9d]
                | [0x28, 0xb5]
                | [0x78, _]
                | [b'B', b'Z']
                | [0xfd, b'7']
                | [0x04, 0x22]
                | [0x02, 0x21]
                | [0x5d, 0 | 0x2a]
                | [b'P', b'A' | b'K' | 0x2a]
                | [b'L', b'Z' | b'U']
                | [0xff, 0x06]
                | [0x89, b'P' | b'L']
                | [b'7', b'z']
                | [b'R', b'a']
                | [0x03, 0xd9]
                | [0x00, b'G']
        )
    };
    bytes.windows(2).position(|pair| BEGINNINGS[usize::from(pair[0])] && goes_on(pair))
}

/// What bytes with this beginning are.
pub(super) fn form(bytes: &[u8]) -> Option<Form> {
    let coding = match bytes {
        // No reserved flag, method deflate (RFC 1952 section 2.3.1).
        [0x1f, 0x8b, 8, flags, ..] if flags & 0xe0 == 0 => "gzip",
        // Codes of 9 to 16 bits, and the flag of the block mode; the other flags are reserved (ncompress).
        [0x1f, 0x9d, flags, ..] if flags & 0x60 == 0 && matches!(flags & 0x1f, 9..=16) => "compress",
        // A frame, or one to be skipped (RFC 8878 section 3.1.2).
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => "zstd-file",
        // Header checksum of RFC 1950 section 2.2.
        [0x78, second, ..] if (0x7800 + u16::from(*second)).is_multiple_of(31) && second & 0x20 == 0 => "zlib",
        // Block size, and the magic of the first block (pi) or of the end (its root).
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => "bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => "xz",
        // Version 1 (lzip's manual, "File format").
        [b'L', b'Z', b'I', b'P', 1, ..] => "lzip",
        [0x04, 0x22, 0x4d, 0x18, ..] => "lz4",
        [0x02, 0x21, 0x4c, 0x18, ..] => "lz4-legacy",
        // The stream identifier (snappy's framing_format.txt section 4.1).
        [0xff, 0x06, 0, 0, b's', b'N', b'a', b'P', b'p', b'Y', ..] => "snappy",
        [0x5d, 0, 0, ..] if lzma(bytes) => "lzma",
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => return Some(Form::Media(Media::Png)),
        [b'P', b'A', b'C', b'K', 0, 0, 0, 2 | 3, _, _, _, _, ..] => return Some(Form::Pack),
        [b'P', b'K', 3, 4, ..] => return Some(Form::Zip),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => return Some(Form::SevenZip),
        _ => return sealed::anywhere(bytes).map(Form::Sealed),
    };
    Some(Form::Stream(coding))
}

/// What a view is that begins like this: what [`form`] knows, and what has too short a magic to be believed anywhere else.
pub(super) fn first(bytes: &[u8]) -> Option<Form> {
    certain(bytes).or_else(|| match weak(bytes) {
        Some((coding, 0)) => Some(Form::Stream(coding)),
        _ => None,
    })
}

/// The coding of a stream, and where it begins, behind a header of so few bits that only decoding it shows whether it is one: zlib with a window of
/// less than 32 KiB, and compressed OpenPGP messages.
pub(super) fn weak(bytes: &[u8]) -> Option<(&'static str, usize)> {
    let zlib = |cmf: u8, flags: u8| cmf & 0x0f == 8 && cmf >> 4 < 7 && (u16::from(cmf) << 8 | u16::from(flags)).is_multiple_of(31);
    match bytes {
        [cmf, flags, ..] if zlib(*cmf, *flags) && flags & 0x20 == 0 => Some(("zlib", 0)),
        _ => sealed::compressed(bytes),
    }
}

/// What a view certainly is that begins like this.
pub(super) fn certain(bytes: &[u8]) -> Option<Form> {
    form(bytes).or_else(|| media::kind(bytes).map(Form::Media)).or_else(|| sealed::first(bytes).map(Form::Sealed))
}

/// Whether bytes may be anything that [`certain`] or [`document`] knows: the cheap question.
pub(super) fn possible(bytes: &[u8]) -> bool {
    static FIRST: [bool; 256] = {
        let mut first = BEGINNINGS;
        let mut i = 0;
        while i < 256 {
            // zstd's skippable frames, OpenPGP's session keys, and the first characters of the other magics.
            first[i] |= matches!(i, 0x50..=0x5f | 0x84..=0x87 | 0x8c..=0x8f | 0xc1 | 0xc3 | 0x60 | 0x30 | 0x7f | 0xd0 | 0xfe);
            first[i] |= matches!(i as u8, b'G' | b'R' | b'a' | b'S' | b'M' | b'L' | b'7' | b'%' | b'b' | b'!' | b'I' | b'O');
            i += 1;
        }
        first
    };
    bytes.first().is_some_and(|b| FIRST[usize::from(*b)])
        || bytes.get(2..4) == Some(b"-l")
        || bytes.get(7..9) == Some(b"**")
        || bytes.get(257..262) == Some(b"ustar")
}

/// Whether bytes are a document or a picture that may hold text in parts of its own.
pub(super) fn document(bytes: &[u8]) -> bool {
    const MAGICS: [&[u8]; 16] = [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF87a",
        b"GIF89a",
        b"RIFF",
        b"%PDF-",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"PACK\0\0\0",
        b"SQLite format 3\0",
        b"bplist0",
        b"!<arch>\n",
        b"\x7fELF",
        b"\0asm",
        b"ID3",
        b"Obj\x01",
        b"PAR1",
    ];
    MAGICS.iter().any(|magic| bytes.starts_with(magic)) || bytes.get(257..262) == Some(b"ustar")
}

/// The header of `.lzma` has no magic: lc 3, lp 0, pb 2, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and a length that is unknown or less than
/// 256 GiB, as `xz` itself asks for.
fn lzma(bytes: &[u8]) -> bool {
    let Some((header, _)) = bytes.split_first_chunk::<13>() else { return false };
    let [_, a, b, c, d, length @ ..] = *header;
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let shape = dictionary >> dictionary.trailing_zeros().min(31);
    let length = u64::from_le_bytes(length);
    matches!(shape, 1 | 3) && (length == u64::MAX || length < 1 << 38)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn what_has_a_form_is_likely(mut bytes in prop::collection::vec(any::<u8>(), 2..40), first in 0..16_usize, header in any::<bool>()) {
            let firsts = [0x1f, 0x28, 0x78, b'B', 0xfd, 0x04, 0x02, 0x5d, b'P', b'L', 0xff, 0x89, b'7', b'R', 0x03, 0x00];
            let magics: [&[u8]; 21] = [
                b"\x1f\x8b\x08\0", b"\x1f\x9d\x90", b"\x28\xb5\x2f\xfd", b"P\x2a\x4d\x18", b"\x5d\x2a\x4d\x18", b"\x78\x9c", b"BZh91AY&SY", b"\xfd7zXZ\0", b"LZIP\x01",
                b"\x04\x22\x4d\x18", b"\x02\x21\x4c\x18", b"\xff\x06\0\0sNaPpY", b"\x89PNG\r\n\x1a\n", b"PACK\0\0\0\x02", b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c",
                b"\x89LZO\0\r\n\x1a\n\x09", b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5", b"LUKS\xba\xbe\0\x01", b"\0GITCRYPT\0", b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff",
            ];
            bytes[0] = firsts[first];
            let whole = if header { [magics[(usize::from(bytes[1])) % magics.len()], &bytes].concat() } else { bytes };
            prop_assert!(form(&whole).is_none() || !BEGINNINGS[usize::from(whole[0])] || likely_beginning(&whole) == Some(0));
        }

        #[test]
        fn what_is_known_is_possible(start in any::<[u8; 4]>(), second in 0..64_u8, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let magics: [&[u8]; 8] = [b"", b"\x1f\x8b\x08\0", b"xx-lh5-", b"1234567**ACE**", b"MSCF\0\0\0\0", b"age-encryption.org/v1\n1234567", b"0\x03\x02\x01\x03\x30", b"SQLite format 3\0"];
            for magic in magics {
                for mut text in [[magic, &bytes].concat(), [&start[..], &bytes].concat(), [&start[..1], &[second], &[3, 9, 9, 9, 9, 9, 9, 9, 9, 1], &bytes].concat()] {
                    prop_assert!(possible(&text) || !(certain(&text).is_some() || document(&text)));
                    if text.len() > 262 {
                        text[257..262].copy_from_slice(b"ustar");
                        prop_assert!(possible(&text));
                    }
                }
            }
        }
    }
}
