//! Where a gram of eight symbols may belong: a bitmap that says no at once, and keyed tags that say which value and where in it.

use std::collections::HashMap;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use zeroize::Zeroizing;

use super::KnownKey;
use crate::LayerId;

/// Symbols that the bitmap looks at.
pub(super) const GRAM: usize = 8;
/// Bits of the bitmap for each gram: small enough to stay near the processor, and one in a hundred passes by mistake.
const GRAM_BITS: usize = 16;
/// Symbols that a tag is made of: more than anybody could guess who reads the tables.
pub(super) const TAG: usize = 12;
/// How far apart the places are that a sweep looks at; so many grams in a row of each value are kept.
pub(super) const STRIDE: usize = 4;
/// The same where only whole values count, and most are long enough.
pub(super) const WIDE: usize = 8;
/// Shorter ones are looked for at every place, by a gram that is the tag.
pub(super) const LONG: usize = TAG + STRIDE - 1;
/// So many values may share a tag; a common beginning (`sk-proj-…`) tells nothing, and must cost nothing.
const MAX_ALIKE: u32 = 8;
/// Beyond so many symbols not every place is kept.
const DENSE: usize = 512;
/// Of longer ones, a group every so many symbols.
const SPARSE: usize = 32;

/// A value in one form.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) value: u32,
    pub(super) layer: Option<LayerId>,
    /// Symbols.
    pub(super) len: usize,
    /// Keyed hash of all symbols.
    pub(super) mac: [u8; 16],
    /// Whether parts of it count.
    pub(super) pieces: bool,
    /// The last place that is kept.
    pub(super) last: u16,
}

/// A tag: half of the keyed hash, where in which shape it belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    tag: u32,
    pub(super) shape: u32,
    pub(super) at: u16,
}

/// The keys of one index.
#[derive(Clone)]
struct Keys {
    mac: [u8; 32],
    tag: [u8; 16],
    mask: u64,
    factor: u64,
}

/// All values in one form. It has no `Debug` beyond its size.
pub(super) struct Index {
    keys: Keys,
    bitmap: Vec<u64>,
    shift: u32,
    /// For each bucket, where its places begin.
    starts: Vec<u32>,
    places: Vec<Place>,
    shapes: Vec<Shape>,
    tag: usize,
}

impl Index {
    pub(super) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// How many symbols a tag is made of.
    pub(super) fn tag_len(&self) -> usize {
        self.tag
    }

    /// Whether a gram may be one of a value's; most are not.
    #[inline]
    pub(super) fn may_hold(&self, gram: u64) -> bool {
        let (word, bits) = self.bits(gram);
        self.bitmap.get(word).is_some_and(|word| word & bits == bits)
    }

    /// The word of the bitmap that tells of a gram, and its two bits in there.
    #[inline]
    fn bits(&self, gram: u64) -> (usize, u64) {
        let hash = (gram ^ self.keys.mask).wrapping_mul(self.keys.factor);
        ((hash >> self.shift) as usize, 1 << (hash >> 26 & 63) | 1 << (hash >> 20 & 63))
    }

    /// Where the symbols belong, if anywhere.
    pub(super) fn places(&self, symbols: &[u8]) -> impl Iterator<Item = Place> {
        let hash = self.keys.hash(symbols);
        let bucket = self.bucket(hash);
        let range = match (self.starts.get(bucket), self.starts.get(bucket + 1)) {
            (Some(from), Some(to)) => *from as usize..*to as usize,
            _ => 0..0,
        };
        self.places.get(range).unwrap_or_default().iter().filter(move |p| p.tag == hash as u32).copied()
    }

    pub(super) fn shape(&self, shape: u32) -> Option<&Shape> {
        self.shapes.get(shape as usize)
    }

    /// Whether these are all symbols of a shape.
    pub(super) fn is_whole(&self, shape: &Shape, symbols: &[u8]) -> bool {
        symbols.len() == shape.len && self.keys.mac(symbols) == shape.mac
    }

    fn bucket(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.starts.len().saturating_sub(2)
    }
}

impl Keys {
    fn hash(&self, symbols: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.tag);
        hasher.write(symbols);
        hasher.finish()
    }

    fn mac(&self, symbols: &[u8]) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::keyed_hash(&self.mac, symbols).as_bytes()[..16]);
        short
    }
}

/// An index in the making. Holds symbols of values, and wipes them.
pub(super) struct Builder {
    keys: Keys,
    added: Vec<(Shape, Zeroizing<Vec<u8>>)>,
    tag: usize,
    group: usize,
}

impl Builder {
    /// Each form has keys of its own.
    pub(super) fn new(key: &KnownKey, domain: u8) -> Builder {
        let mut stream = blake3::Hasher::new_keyed(&key.0).update(b"known index").update(&[domain]).finalize_xof();
        let mut keys = Keys { mac: [0; 32], tag: [0; 16], mask: 0, factor: 0 };
        stream.fill(&mut keys.mac);
        stream.fill(&mut keys.tag);
        let mut word = [0; 8];
        stream.fill(&mut word);
        keys.mask = u64::from_le_bytes(word);
        stream.fill(&mut word);
        keys.factor = u64::from_le_bytes(word) | 1;
        Builder { keys, added: Vec::new(), tag: TAG, group: STRIDE }
    }

    /// For what is too short for tags and strides: every place is looked at.
    pub(super) fn short(self) -> Builder {
        Builder { tag: GRAM, group: 1, ..self }
    }

    /// For long values in forms whose parts do not count.
    pub(super) fn wide(self) -> Builder {
        Builder { group: WIDE, ..self }
    }

    /// Whether a value of so many symbols is long enough.
    pub(super) fn takes(&self, symbols: usize) -> bool {
        symbols >= self.tag + self.group - 1 && u16::try_from(symbols).is_ok()
    }

    /// Adds a value in this form; one that is too short for it is left out.
    pub(super) fn add(&mut self, value: u32, symbols: Zeroizing<Vec<u8>>, layer: Option<LayerId>, pieces: bool) {
        if self.takes(symbols.len()) {
            let mac = self.keys.mac(&symbols);
            self.added.push((Shape { value, layer, len: symbols.len(), mac, pieces, last: 0 }, symbols));
        }
    }

    /// `lost` gets the values no place of which is their own.
    pub(super) fn build(self, lost: &mut Vec<u32>) -> Index {
        let Builder { keys, added, tag, group } = self;
        let mut count: HashMap<u64, u32> = HashMap::new();
        for (_, symbols) in &added {
            for at in candidates(symbols.len(), tag, group) {
                *count.entry(keys.hash(&symbols[at..at + tag])).or_default() += 1;
            }
        }
        let mut index = Index { keys, bitmap: Vec::new(), shift: 0, starts: Vec::new(), places: Vec::new(), shapes: Vec::new(), tag };
        let mut places: Vec<(u64, Place)> = Vec::new();
        let mut grams: Vec<u64> = Vec::new();
        for (mut shape, symbols) in added {
            let own = |at: &usize| {
                let hash = index.keys.hash(&symbols[*at..*at + tag]);
                count.get(&hash).is_some_and(|n| *n <= MAX_ALIKE)
            };
            let kept = choose(&shape, tag, group, own);
            let Some(last) = kept.last() else {
                lost.push(shape.value);
                continue;
            };
            shape.last = u16::try_from(*last).unwrap_or(u16::MAX);
            let number = u32::try_from(index.shapes.len()).unwrap_or(u32::MAX);
            for at in kept {
                let hash = index.keys.hash(&symbols[at..at + tag]);
                places.push((hash, Place { tag: hash as u32, shape: number, at: u16::try_from(at).unwrap_or(u16::MAX) }));
                let mut gram = [0; GRAM];
                gram.copy_from_slice(&symbols[at..at + GRAM]);
                grams.push(u64::from_le_bytes(gram));
            }
            index.shapes.push(shape);
        }
        index.fill(places, &grams);
        index
    }
}

impl Index {
    fn fill(&mut self, mut places: Vec<(u64, Place)>, grams: &[u64]) {
        if places.is_empty() {
            return;
        }
        let words = (grams.len() * GRAM_BITS / 64).next_power_of_two().clamp(1 << 6, 1 << 21);
        self.shift = 64 - words.trailing_zeros();
        self.bitmap = vec![0; words];
        for gram in grams {
            let (word, bits) = self.bits(*gram);
            self.bitmap[word] |= bits;
        }
        let buckets = places.len().next_power_of_two();
        self.starts = vec![0; buckets + 1];
        places.sort_by_key(|(hash, place)| (self.bucket(*hash), place.tag, place.shape, place.at));
        for (hash, _) in &places {
            let bucket = self.bucket(*hash);
            self.starts[bucket + 1] += 1;
        }
        for i in 1..self.starts.len() {
            self.starts[i] += self.starts[i - 1];
        }
        self.places = places.into_iter().map(|(_, place)| place).collect();
    }
}

/// Places of a shape that may be kept, in order.
fn candidates(len: usize, tag: usize, group: usize) -> impl Iterator<Item = usize> {
    (0..=len - tag).filter(move |at| len <= DENSE || at % SPARSE < group)
}

/// The places to keep: all, where pieces count; else the first group of places in a row that are its own, from the middle on, where
/// values differ most.
fn choose(shape: &Shape, tag: usize, group: usize, own: impl Fn(&usize) -> bool) -> Vec<usize> {
    let all: Vec<usize> = candidates(shape.len, tag, group).filter(|at| own(at)).collect();
    let in_row = |w: &[usize]| w.last().zip(w.first()).is_some_and(|(last, first)| last - first + 1 == group);
    let mut groups: Vec<&[usize]> = all.windows(group).filter(|w| in_row(w)).collect();
    if shape.pieces {
        return if groups.is_empty() { Vec::new() } else { all };
    }
    let middle = (shape.len - tag) / 2;
    groups.sort_by_key(|w| w.first().map_or(usize::MAX, |first| first.abs_diff(middle)));
    groups.first().map(|w| w.to_vec()).unwrap_or_default()
}

/// Steps from `offset` to the places after it that may be kept.
pub(super) fn steps(len: usize, offset: usize) -> impl Iterator<Item = usize> {
    (offset + 1..=len - TAG).filter(move |at| len <= DENSE || at % SPARSE < STRIDE).map(move |at| at - offset)
}

/// The same backwards.
pub(super) fn steps_back(len: usize, offset: usize) -> impl Iterator<Item = usize> {
    (0..offset).rev().filter(move |at| len <= DENSE || at % SPARSE < STRIDE).map(move |at| offset - at)
}
