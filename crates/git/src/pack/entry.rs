//! The head of an entry (gitformat-pack, "n-bit type and length").

use crate::hash::{Format, Id};

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// A commit: message, author, committer.
    Commit,
    /// A tree: names of files.
    Tree,
    /// A file's content.
    Blob,
    /// An annotated tag.
    Tag,
}

impl Object {
    /// Its name in the object's own name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Object::Commit => "commit",
            Object::Tree => "tree",
            Object::Blob => "blob",
            Object::Tag => "tag",
        }
    }
}

/// How an entry stands in the pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole(Object),
    /// A delta against the entry that begins so many bytes before.
    Behind(u64),
    /// A delta against the object of this name.
    Named(Id),
}

/// A head that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) form: Form,
    /// Bytes that the entry inflates to, as it claims.
    pub(crate) size: u64,
    /// Bytes of the head itself.
    pub(crate) len: usize,
}

/// The longest head: ten bytes of length, ten of distance or the longest name.
pub(crate) const LONGEST: usize = 42;

/// What stands at the beginning of `bytes`.
pub(crate) enum Read {
    Head(Head),
    /// More bytes are needed.
    Short,
    /// No head, or a number that does not fit or is written longer than it must be.
    Bad,
}

/// Reads a head.
pub(crate) fn read(bytes: &[u8], format: Format) -> Read {
    match head(bytes, format) {
        Ok(head) => Read::Head(head),
        Err(true) if bytes.len() < LONGEST => Read::Short,
        Err(_) => Read::Bad,
    }
}

/// `Err(true)`: the bytes end before the head does.
fn head(bytes: &[u8], format: Format) -> Result<Head, bool> {
    let mut at = 0;
    let mut next = || {
        let byte = bytes.get(at).copied().ok_or(true);
        at += 1;
        byte
    };
    let first = next()?;
    let mut size = u64::from(first & 0x0f);
    let (mut shift, mut byte) = (4, first);
    while byte & 0x80 != 0 {
        byte = next()?;
        let digits = u64::from(byte & 0x7f);
        // A last byte of zero says nothing: room for who wants to hide something.
        if shift > 60 || (shift == 60 && digits > 0x0f) || (byte == 0) {
            return Err(false);
        }
        size |= digits << shift;
        shift += 7;
    }
    let form = match first >> 4 & 7 {
        1 => Form::Whole(Object::Commit),
        2 => Form::Whole(Object::Tree),
        3 => Form::Whole(Object::Blob),
        4 => Form::Whole(Object::Tag),
        6 => {
            let mut byte = next()?;
            let mut distance = u64::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = next()?;
                let above = distance.checked_add(1).filter(|d| *d < 1 << 56).ok_or(false)?;
                distance = above << 7 | u64::from(byte & 0x7f);
            }
            Form::Behind(distance)
        }
        7 => {
            let id = bytes.get(at..at + format.bytes()).and_then(Id::raw).ok_or(true)?;
            at += format.bytes();
            Form::Named(id)
        }
        _ => return Err(false),
    };
    Ok(Head { form, size, len: at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<Head> {
        match read(bytes, Format::Sha1) {
            Read::Head(head) => Some(head),
            Read::Short | Read::Bad => None,
        }
    }

    #[test]
    fn lengths_and_distances_are_read() {
        assert_eq!(of(&[0x35]), Some(Head { form: Form::Whole(Object::Blob), size: 5, len: 1 }));
        assert_eq!(of(&[0x95, 0x0a]), Some(Head { form: Form::Whole(Object::Commit), size: 165, len: 2 }));
        assert_eq!(of(&[0x65, 0x81, 0x00]), Some(Head { form: Form::Behind(256), size: 5, len: 3 }));
        let named = [&[0x75][..], &[7; 20], b"rest"].concat();
        assert_eq!(of(&named).map(|h| (h.size, h.len)), Some((5, 21)));
    }

    #[test]
    fn what_ends_early_waits_and_what_is_none_is_refused() {
        assert!(matches!(read(&[], Format::Sha1), Read::Short));
        assert!(matches!(read(&[0x95], Format::Sha1), Read::Short));
        assert!(matches!(read(&[0x75, 1, 2], Format::Sha1), Read::Short));
        for bad in [
            &[0x05][..],
            &[0x55],
            &[0xb5, 0x80, 0x00],
            &[[0xff].as_slice(), &[0xff; 12]].concat(),
            &[[0x65].as_slice(), &[0xff; 12]].concat(),
        ] {
            assert!(matches!(read(bad, Format::Sha1), Read::Bad), "{bad:?}");
        }
    }
}
