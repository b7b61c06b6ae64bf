//! Compressed streams and archives by their magic, and the question whether decoded bytes are worth a look.

mod archive;
mod bare;
mod git;
mod magic;
mod media;
mod pdf;
mod sealed;
mod sevenz;
mod wide;
mod zip;

pub(super) use bare::brotli_like;

use std::ops::{ControlFlow, Range};
use std::sync::LazyLock;

use memchr::memmem::Finder;
use simd::{Class, count, next_run};

use super::sink::{Flow, Sink};
use super::{Budget, Cut, census, cipher, coding, symbols};
use crate::Gap;
use magic::Form;

/// What one attempt to decode costs beside its output, in units of work.
const ATTEMPT: u64 = 64;

/// Units of work for each byte of a part.
const LEAF_COST: u64 = 4;
/// Bytes of a stream that are read for one unit of work.
const READ_PER_WORK: u64 = 8;

/// What beginning to decode costs, in units of work: some decoders make large tables first.
fn attempt(coding: &str) -> u64 {
    match coding {
        "bzip2" => 128 * ATTEMPT,
        "zstd-file" | "compress" => 16 * ATTEMPT,
        "xz" | "lzma" | "lzip" => 8 * ATTEMPT,
        "lz4" | "snappy" | "deflate64" => 4 * ATTEMPT,
        _ => ATTEMPT,
    }
}

/// A script before an archive that it extracts is at most this long.
const SELF_EXTRACTING: usize = 64 << 10;

/// What stands before each file in a ZIP archive.
static ZIP_ENTRY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"PK\x03\x04"));

/// A stream that decoded to this much is a stream, not garbage that looked like one.
const REAL: usize = 512;

/// Whether decoded bytes look like something: mostly printable, UTF-16 text, or a container's magic.
pub(in crate::layers) fn worth(bytes: &[u8]) -> bool {
    if packed(bytes) || ZIP_ENTRY.find(bytes.get(..SELF_EXTRACTING).unwrap_or(bytes)).is_some() {
        return true;
    }
    let sample = bytes.get(..4096).unwrap_or(bytes);
    let text = count(sample, &TEXT);
    let zeros = count(sample, &ZERO);
    let high = sample.len() - count(sample, &ASCII);
    // UTF-8 text has high bytes in company; random bytes have them everywhere.
    let utf8 = high > 0 && std::str::from_utf8(sample).map_or_else(|e| e.valid_up_to() + 4 > sample.len(), |_| true);
    let printable = text + if utf8 { high } else { 0 };
    printable * 100 >= sample.len() * 85
        || (zeros * 100 >= sample.len() * 40 && text * 100 >= sample.len() * 40)
        || next_run(bytes, 0, &PRINTABLE, MIN_PRINTABLE).is_some()
        // UTF-32, text under a key of one byte, EBCDIC, UTF-8 with more bytes than it needs.
        || (zeros * 100 >= sample.len() * 70 && text * 100 >= sample.len() * 22)
        || cipher::keyed(sample)
        || cipher::ebcdic(sample)
        || symbols::long(sample)
}

/// Whether bytes are text for the most part.
pub(super) fn texty(bytes: &[u8]) -> bool {
    let sample = bytes.get(..1024).unwrap_or(bytes);
    let text = sample.iter().filter(|b| (0x20..0x7f).contains(*b) || b.is_ascii_whitespace()).count();
    text * 10 >= sample.len() * 9
}

/// Whether bytes begin like a compressed stream, an archive, a document or something that cannot be opened.
pub(super) fn packed(bytes: &[u8]) -> bool {
    magic::possible(bytes) && (magic::certain(bytes).is_some() || magic::document(bytes))
}

/// Whether bytes may begin like one, as far as so few can tell.
pub(super) fn maybe_packed(head: &[u8]) -> bool {
    packed(head) || magic::weak(head).is_some()
}

/// A binary serialisation that holds something carries a printable run at least this long.
const MIN_PRINTABLE: usize = 20;

static PRINTABLE: Class = Class::of(&range::<0x5f>(b' '));
static TEXT: Class = PRINTABLE.and(b"\n\r\t");
static ASCII: Class = Class::of(&range::<0x80>(0));
static ZERO: Class = Class::of(&[0]);

/// So many characters, beginning with `first`.
pub(super) const fn range<const N: usize>(first: u8) -> [u8; N] {
    let mut characters = [first; N];
    let mut i = 0;
    while i < N {
        characters[i] += i as u8;
        i += 1;
    }
    characters
}

/// Content in armour; streams and archives anywhere in the view; what a view is as a whole.
pub(super) fn peel(sink: &mut Sink<'_, '_>) -> Flow {
    let bytes = sink.bytes();
    let declared = sink.view.kind.is_some_and(|k| !k.media.content_encoding.is_empty());
    if declared {
        return ControlFlow::Continue(());
    }
    sealed::armoured(sink)?;
    git::patches(sink)?;
    let mut known = pdf::peel(sink)?;
    // Text holds no stream; what is left of it is looked at by the text layers.
    let text = !sink.census.any(census::CONTROL) && (!sink.census.any(census::HIGH) || std::str::from_utf8(bytes).is_ok());
    if text {
        if let Some(gap) = sealed::first(bytes) {
            sink.budget.miss(0, gap);
        }
        return ControlFlow::Continue(());
    }
    // Bytes that are no text, of which a few happen to be characters that say less than they are: what is packed in them stands there as it is.
    if sink.view.layer == Some("unicode") {
        return ControlFlow::Continue(());
    }
    known.extend(archive::peel(sink)?);
    let found = forms(sink, &known)? || !known.is_empty();
    wide::peel(sink)?;
    if let Some((coding, at)) = sealed::compressed(bytes) {
        stream(sink, coding, at..bytes.len())?;
    }
    match bare::decode(bytes, texty(bytes), sink.budget) {
        Some((decoded, layer)) if !found => sink.unpacked(decoded, 0..bytes.len(), layer),
        _ => ControlFlow::Continue(()),
    }
}

/// What has a magic, wherever it stands; whether there was anything.
fn forms(sink: &mut Sink<'_, '_>, known: &[Range<usize>]) -> ControlFlow<(), bool> {
    let bytes = sink.bytes();
    let (mut at, mut found) = (0, false);
    let mut form = magic::first(bytes);
    while at < bytes.len() {
        let taken = match form {
            Some(Form::Stream(coding)) => stream(sink, coding, at..bytes.len())?,
            Some(Form::Pack) => git::pack(sink, at)?,
            Some(Form::Zip) => zip::entry(sink, at)?,
            Some(Form::Media(media)) => media::file(sink, media, at)?,
            Some(Form::SevenZip) => sevenz::archive(sink, at)?,
            Some(Form::Sealed(gap)) => {
                sink.budget.miss(at, gap);
                2
            }
            None => 1,
        };
        found |= taken > 1;
        at += taken;
        // A byte inside of what was opened leads out of it, whatever begins there.
        let next = if known.is_empty() { magic::likely_beginning } else { magic::beginning };
        let Some(step) = bytes.get(at..).and_then(next) else { break };
        at += step;
        // What a document's own grammar has opened.
        let inside = known.get(known.partition_point(|r| r.end <= at)).filter(|r| r.start <= at);
        if let Some(range) = inside {
            (at, form) = (range.end, None);
            continue;
        }
        form = magic::form(bytes.get(at..).unwrap_or_default());
    }
    ControlFlow::Continue(found)
}

/// Whether bytes behind a text encoding are worth a view: for what they look like, or as a stream without a magic.
pub(super) fn worth_a_view(bytes: &[u8], budget: &mut Budget) -> bool {
    // A last block, as all short deflated streams are.
    let deflated = bytes.first().is_some_and(|b| b & 1 == 1);
    if worth(bytes) {
        return true;
    }
    if let Some((coding, at)) = magic::weak(bytes)
        && let Some(stream) = bytes.get(at..)
        && bare::whole(coding, stream, budget).is_some()
    {
        return true;
    }
    !texty(bytes) && ((deflated && bare::deflated(bytes, budget).is_some()) || bare::brotli(bytes, budget).is_some())
}

/// Decodes the stream that begins with `part`; returns how far to go on.
fn stream(sink: &mut Sink<'_, '_>, coding: &'static str, part: Range<usize>) -> ControlFlow<(), usize> {
    let (at, end, length) = (part.start, part.end, sink.bytes().len());
    sink.work(attempt(coding), at)?;
    let input = sink.bytes().get(part).unwrap_or_default();
    let Some(done) = coding::decode(coding, input, at, sink.budget) else { return ControlFlow::Continue(1) };
    // Some forms go on for long without giving anything.
    sink.work(done.taken.max(done.read) as u64 / READ_PER_WORK, at)?;
    let taken = done.taken.min(input.len()).max(1);
    if done.cut
        && let Some(base) = sink.view.open.filter(|_| end == length)
        && let Some(coding) = streamed(coding)
    {
        sink.budget.cuts.push(Cut { at: base + at, coding });
        return ControlFlow::Continue(input.len());
    }
    // In the middle of other bytes much looks like a beginning (the split stream of a PNG is one): what it decodes to is looked at as far as it
    // goes, and nobody else gets further.
    let broken = done.gap == Some(Gap::Undecodable);
    let inside = at > 0 || done.bytes.len() < REAL;
    if broken && inside && (done.bytes.len() < 16 || !worth(&done.bytes)) {
        if done.bytes.is_empty() && coding == "xz" && xz(input) {
            sink.budget.miss(at, Gap::Undecodable);
        }
        return ControlFlow::Continue(1);
    }
    if let Some(gap) = done.gap.filter(|gap| *gap == Gap::Budget || (done.bytes.len() >= REAL && !(broken && inside))) {
        sink.budget.miss(at, gap);
    }
    sink.budget.earn(done.bytes.len());
    let layer = match coding {
        "raw-deflate" => "deflate",
        "zstd-file" => "zstd",
        other => other,
    };
    sink.unpacked(done.bytes, at..at + taken, layer)?;
    ControlFlow::Continue(taken)
}

/// The decoder of a coding that takes a stream window by window.
fn streamed(coding: &'static str) -> Option<&'static str> {
    match coding {
        "gzip" | "zlib" | "raw-deflate" | "bzip2" | "xz" => Some(coding),
        "zstd-file" => Some("zstd"),
        _ => None,
    }
}

/// Hands on a part of the view as it stands. Parts may hold parts, or one another where lengths lie: each is paid like what is decoded.
fn leaf(sink: &mut Sink<'_, '_>, part: Range<usize>, layer: crate::LayerId) -> Flow {
    sink.work(LEAF_COST * part.len() as u64, part.start)?;
    sink.slice(part, layer, None)
}

/// Whether the header of an xz stream has its checksum: what follows is one, and only lacks a decoder (a filter or a dictionary that is refused).
fn xz(input: &[u8]) -> bool {
    let flags = input.get(6..8).map(crc32fast::hash);
    flags.is_some_and(|sum| input.get(8..12) == Some(&sum.to_le_bytes()[..]))
}
