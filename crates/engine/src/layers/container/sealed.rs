//! What is recognised and cannot be opened: encrypted content, and archives that nothing here unpacks.
//!
//! Signatures, certificates and public keys hide nothing. Encrypted text that is made to be published (Ansible vaults, SOPS, sealed secrets) and
//! opaque tokens (JWE, Fernet) are text like any other: they are no gaps.

use std::ops::{ControlFlow, Range};

use crate::Gap;
use crate::layers::sink::{Flow, Sink};

/// Magics that are long enough, or headers whose checksum is right, wherever they stand.
pub(super) fn anywhere(bytes: &[u8]) -> Option<Gap> {
    match bytes {
        [b'R', b'a', b'r', b'!', 0x1a, 7, 0, block @ ..] => rar4(block),
        [b'R', b'a', b'r', b'!', 0x1a, 7, 1, 0, block @ ..] => rar5(block),
        // lzop, with the version that wrote it.
        [0x89, b'L', b'Z', b'O', 0, b'\r', b'\n', 0x1a, b'\n', 0x09..=0x20, ..] => Some(Gap::Undecodable),
        // KeePass: both signatures.
        [0x03, 0xd9, 0xa2, 0x9a, 0x65..=0x67, 0xfb, 0x4b, 0xb5, ..] => Some(Gap::Encrypted),
        [b'L', b'U', b'K', b'S', 0xba, 0xbe, 0, 1 | 2, ..] => Some(Gap::Encrypted),
        [0, b'G', b'I', b'T', b'C', b'R', b'Y', b'P', b'T', 0, ..] => Some(Gap::Encrypted),
        _ => None,
    }
}

/// Magics that are believed only at the beginning of a view.
pub(super) fn first(bytes: &[u8]) -> Option<Gap> {
    const ENCRYPTED: [&[u8]; 2] = [b"age-encryption.org/v1\n", b"Salted__"];
    // Cabinet, WIM, lrzip, zpaq, ACE.
    const PACKED: [&[u8]; 4] = [b"MSCF\0\0\0\0", b"MSWIM\0\0\0", b"LRZI\0", b"7kSt\xa0\x31\x83\xd3\x8c\xb2\x28\xb0\xd3"];
    if ENCRYPTED.iter().any(|magic| bytes.starts_with(magic) && bytes.len() >= 16) {
        return Some(Gap::Encrypted);
    }
    if PACKED.iter().any(|magic| bytes.starts_with(magic)) || lha(bytes) || arj(bytes) || bytes.get(7..14) == Some(b"**ACE**") {
        return Some(Gap::Undecodable);
    }
    (office(bytes) || openpgp(bytes) || enveloped(bytes) || key_store(bytes)).then_some(Gap::Encrypted)
}

/// The header checksum, and whether headers are encrypted (RAR 4 technical note: CRC16, type, flags, size).
fn rar4(block: &[u8]) -> Option<Gap> {
    let [c0, c1, 0x73, f0, _, s0, s1, ..] = block else { return None };
    let header = block.get(2..usize::from(u16::from_le_bytes([*s0, *s1])))?;
    let sum = crc32fast::hash(header) & 0xffff;
    (sum == u32::from(u16::from_le_bytes([*c0, *c1]))).then_some(if f0 & 0x80 != 0 { Gap::Encrypted } else { Gap::Undecodable })
}

/// The same for RAR 5: CRC32, size, type; a header of type 4 says that all others are encrypted.
fn rar5(block: &[u8]) -> Option<Gap> {
    let (sum, rest) = block.split_first_chunk::<4>()?;
    // The size of what follows it, in a number of up to three bytes, low bits first.
    let digits = rest.iter().take(3).take_while(|b| **b & 0x80 != 0).count() + 1;
    let size = rest.get(..digits)?.iter().rev().fold(0_usize, |n, b| n << 7 | usize::from(b & 0x7f));
    let header = rest.get(..digits + size)?;
    let kind = header.get(digits)?;
    (crc32fast::hash(header) == u32::from_le_bytes(*sum)).then_some(if *kind == 4 { Gap::Encrypted } else { Gap::Undecodable })
}

/// `-lh5-` and its kin at the third byte (LHa's header).
fn lha(bytes: &[u8]) -> bool {
    matches!(bytes, [_, _, b'-', b'l', b'h' | b'z', b'0'..=b'7' | b's' | b'd', b'-', ..])
}

/// ARJ: its magic, and a basic header of at most 2600 bytes whose checksum is right.
fn arj(bytes: &[u8]) -> bool {
    let [0x60, 0xea, s0, s1, ..] = bytes else { return false };
    let size = usize::from(u16::from_le_bytes([*s0, *s1]));
    let header = (1..=2600).contains(&size).then(|| bytes.get(4..4 + size)).flatten();
    header.is_some_and(|h| bytes.get(4 + size..8 + size) == Some(&crc32fast::hash(h).to_le_bytes()[..]))
}

/// An OpenPGP message that is encrypted: session keys, then encrypted data (RFC 9580 section 10.3). A tag is one byte: all that follows it must fit.
fn openpgp(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for keys in 0..64 {
        let Some((tag, body)) = packet(rest) else { return false };
        let content = rest.get(body.start..).unwrap_or_default();
        let fits = match (tag, content) {
            // Version, key, algorithm (section 5.1); version, cipher, kind of the string-to-key specifier (section 5.3).
            (1, [3, _, _, _, _, _, _, _, _, 1 | 2 | 16 | 18 | 25 | 26, ..]) | (3, [4, 1..=13, 0 | 1 | 3 | 4, ..]) => body.len() >= 4,
            (1 | 3, [5 | 6, ..]) => body.len() >= 20,
            (9 | 20, _) => return keys > 0,
            // Of the beginning that is all there is, no more can be asked.
            (18, [1 | 2, ..] | []) => return keys > 0,
            _ => false,
        };
        match rest.get(body.end..) {
            Some(next) if fits => rest = next,
            _ => return false,
        }
    }
    true
}

/// Tag and body of a packet (RFC 9580 section 4.2).
fn packet(bytes: &[u8]) -> Option<(u8, Range<usize>)> {
    let (first, rest) = bytes.split_first()?;
    let (tag, head, length) = match (first >> 6, rest) {
        (3, [n @ 0..=191, ..]) => (first & 0x3f, 2, usize::from(*n)),
        (3, [a @ 192..=223, b, ..]) => (first & 0x3f, 3, (usize::from(*a) - 192) * 256 + usize::from(*b) + 192),
        // Of a body in parts the first part says enough.
        (3, [n @ 224..=254, ..]) => (first & 0x3f, 2, 1 << (n & 0x1f)),
        (3, [255, a, b, c, d, ..]) => (first & 0x3f, 6, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        (2, [n, ..]) if first & 3 == 0 => (first >> 2 & 0x0f, 2, usize::from(*n)),
        (2, [a, b, ..]) if first & 3 == 1 => (first >> 2 & 0x0f, 3, usize::from(u16::from_be_bytes([*a, *b]))),
        (2, [a, b, c, d, ..]) if first & 3 == 2 => (first >> 2 & 0x0f, 5, u32::from_be_bytes([*a, *b, *c, *d]) as usize),
        (2, _) if first & 3 == 3 => (first >> 2 & 0x0f, 1, usize::MAX - 1),
        _ => return None,
    };
    Some((tag, head..head + length))
}

/// The coding of an OpenPGP message that is compressed and not encrypted, as `gpg --sign` makes it, and where the stream begins.
pub(super) fn compressed(bytes: &[u8]) -> Option<(&'static str, usize)> {
    let (8, body) = packet(bytes)? else { return None };
    let coding = match bytes.get(body.start)? {
        1 => "raw-deflate",
        2 => "zlib",
        3 => "bzip2",
        _ => return None,
    };
    Some((coding, body.start + 1))
}

/// CMS content that is encrypted (RFC 5652 sections 6 and 8, in BER or DER), and PKCS #12 stores (RFC 7292 section 4).
fn enveloped(bytes: &[u8]) -> bool {
    let [0x30, length, rest @ ..] = bytes else { return false };
    let more = if length & 0x80 == 0 { 0 } else { usize::from(length & 0x7f) };
    let Some(content) = rest.get(more..).filter(|_| more <= 4) else { return false };
    // id-envelopedData, id-encryptedData and id-ct-authData.
    const CMS: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07";
    let cms = content.starts_with(CMS) && matches!(content.get(CMS.len()), Some(3 | 6));
    cms || (content.starts_with(&[2, 1, 3, 0x30]) && memchr::memmem::find(content.get(..64).unwrap_or(content), CMS).is_some())
}

/// A compound file with the stream that an encrypted Office document is in (MS-OFFCRYPTO section 2.3.4.4).
fn office(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
        && memchr::memmem::find(bytes, b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0").is_some()
}

/// A Java key store that begins with a private key rather than a certificate.
fn key_store(bytes: &[u8]) -> bool {
    matches!(bytes, [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 1 | 2, _, _, _, _, 0, 0, 0, 1, ..])
}

/// What armour begins with (RFC 9580 section 6.2, age's armored format, RFC 7468 section 10).
const ARMOUR: [&[u8]; 4] = [b"PGP MESSAGE", b"AGE ENCRYPTED FILE", b"PKCS7", b"CMS"];

static BEGIN: std::sync::LazyLock<memchr::memmem::Finder<'static>> =
    std::sync::LazyLock::new(|| memchr::memmem::Finder::new(b"-----BEGIN "));

/// No armour is shorter.
const LEAST: usize = 64;

/// Content in armour: handed on without it.
pub(super) fn armoured(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    if bytes.len() < LEAST {
        return ControlFlow::Continue(());
    }
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| BEGIN.find(rest)).map(|i| from + i) {
        from = at + 11;
        let rest = bytes.get(from..).unwrap_or_default();
        let Some(label) = ARMOUR.iter().find(|label| rest.starts_with(label)) else { continue };
        let body = from + label.len();
        let end = memchr::memmem::find(rest, b"-----END ").map_or(bytes.len(), |i| from + i);
        let Some(decoded) = bytes.get(body..end).and_then(unarmoured) else { continue };
        sink.run(decoded, at..end, "armour", None)?;
        from = end;
    }
    ControlFlow::Continue(())
}

/// The bytes behind `-----`, header lines and a blank line; a checksum at the end does no harm.
fn unarmoured(body: &[u8]) -> Option<Vec<u8>> {
    let body = body.strip_prefix(b"-----")?;
    let blank = [&b"\n\n"[..], b"\r\n\r\n", b"\\n\\n"].into_iter().find_map(|b| memchr::memmem::find(body, b).map(|i| i + b.len()));
    // Without header lines the first line is data.
    let start = blank.filter(|i| memchr::memchr(b':', body.get(..*i).unwrap_or_default()).is_some() || *i <= 4).unwrap_or(0);
    let data = body.get(start..)?;
    let end = memchr::memmem::find(data, b"\n=").unwrap_or(data.len());
    crate::layers::base64::decode(data.get(..end)?).filter(|decoded| decoded.len() >= 16)
}
