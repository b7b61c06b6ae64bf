//! Finds words in text, thousands of them in one pass, without regard to case.
//!
//! At every second byte four bytes are hashed into a bitmap that fits the second-level cache; a word of five bytes or more is in it with one of
//! its four-byte grams for either parity, the rarest there is. A set bit leads to the words with that gram, which are then compared. Shorter
//! words stand in the bitmap with every byte that may follow or precede them.

mod grams;

use std::collections::BTreeMap;
use std::ops::Range;

use super::opening::{self, Set};
use grams::{Gram, common, fold};

/// log2 of the bits of the bitmap: 128 KiB, a part of the second-level cache.
const BITS: u32 = 20;
/// log2 of the number of buckets.
const BUCKETS: u32 = 14;
/// Text is looked at in pieces of this size, so that hits are kept for one piece only.
const PIECE: usize = 32 << 10;

/// A word to find.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    /// At least three bytes.
    pub(crate) text: Vec<u8>,
    /// Whether only this way of writing counts.
    pub(crate) exact: bool,
    /// What may stand before and behind it: a hint, that short words are rarer with.
    pub(crate) before: Set,
    pub(crate) behind: Set,
}

/// A word that is entered.
#[derive(Debug)]
struct Entry {
    /// In lower case.
    text: Box<[u8]>,
    /// As all its users want it, if they want it in one way of writing only.
    exact: Option<Box<[u8]>>,
}

/// Words and what each stands for.
#[derive(Debug)]
pub(crate) struct Prefilter<T> {
    bitmap: Box<[u64; 1 << (BITS - 6)]>,
    /// Where the grams of each bucket begin in `grams`.
    buckets: Vec<u32>,
    grams: Vec<Gram>,
    words: Vec<Entry>,
    /// For each word, what it stands for.
    targets: Vec<Vec<T>>,
    longest: usize,
}

impl<T: Ord> Prefilter<T> {
    /// Words with what they stand for. Those of less than three bytes are left out.
    pub(crate) fn new(words: impl Iterator<Item = (Word, T)>) -> Prefilter<T> {
        let mut by_text: BTreeMap<Vec<u8>, (Vec<Word>, Vec<T>)> = BTreeMap::new();
        for (word, target) in words.filter(|(w, _)| w.text.len() >= 3) {
            let (words, targets) = by_text.entry(word.text.to_ascii_lowercase()).or_default();
            words.push(word);
            targets.push(target);
        }
        let mut filter = Prefilter {
            bitmap: Box::new([0; 1 << (BITS - 6)]),
            buckets: Vec::new(),
            grams: Vec::new(),
            words: Vec::new(),
            longest: by_text.keys().map(Vec::len).max().unwrap_or(0),
            targets: Vec::new(),
        };
        for (text, (words, mut targets)) in by_text {
            targets.sort_unstable();
            targets.dedup();
            let union =
                |sets: fn(&Word) -> Set| words.iter().map(sets).fold([0; 4], |a, b| [a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]]);
            filter.enter(&text, &union(|w| w.before), &union(|w| w.behind));
            let first = &words[0].text;
            let exact = words.iter().all(|w| w.exact && w.text == *first).then(|| first.clone().into());
            filter.words.push(Entry { text: text.into(), exact });
            filter.targets.push(targets);
        }
        filter.grams.sort_by_key(|g| (bucket(g.folded), g.folded, g.word, g.offset));
        filter.grams.dedup_by_key(|g| (g.folded, g.word, g.offset));
        let starts = (0..=1_u32 << BUCKETS).map(|b| filter.grams.partition_point(|g| bucket(g.folded) < b as usize) as u32).collect();
        filter.buckets = starts;
        for gram in &filter.grams {
            let (word, [one, other]) = bits(gram.folded);
            filter.bitmap[word] |= 1 << one | 1 << other;
        }
        filter
    }

    /// Enters the grams of the next word: one for either parity.
    fn enter(&mut self, word: &[u8], before: &Set, behind: &Set) {
        let index = self.words.len() as u32;
        for parity in 0..2 {
            let all = word.windows(4).enumerate().skip(parity).step_by(2);
            let all = all.filter_map(|(offset, g)| Some((offset, *g.first_chunk::<4>()?)));
            if let Some((offset, gram)) = all.min_by_key(|(_, g)| common(*g)) {
                self.grams.push(Gram::of(gram, index, offset as i32, word));
                continue;
            }
            // Too short for this parity: the gram reaches over one byte before or behind the word.
            let offset = if parity == 0 || word.len() == 4 && count(behind) <= count(before) { parity as i32 } else { -1 };
            let hole = if offset < 0 { before } else { behind };
            let mut seen = [0; 4];
            for byte in (0..=u8::MAX).filter(|b| opening::has(hole, *b)).map(|b| b | 0x20) {
                if opening::has(&seen, byte) {
                    continue;
                }
                seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
                let at = |i: i32| usize::try_from(offset + i).ok().and_then(|i| word.get(i)).copied().unwrap_or(byte);
                self.grams.push(Gram::of([at(0), at(1), at(2), at(3)], index, offset, word));
            }
        }
    }

    /// Calls `visit` for each word and target, by where the word begins, until it says no; `false` then.
    pub(crate) fn each(&self, bytes: &[u8], visit: impl FnMut(Range<usize>, &T) -> bool) -> bool {
        self.each_but(bytes, &[], visit)
    }

    /// As [`Prefilter::each`], but for words in these parts of the text, which are given by where they begin.
    pub(crate) fn each_but(&self, bytes: &[u8], parts: &[Range<usize>], mut visit: impl FnMut(Range<usize>, &T) -> bool) -> bool {
        let mut hits: Vec<(usize, u32)> = Vec::new();
        let mut from = 0;
        // What two stretches of text could both find is not left out.
        let long = parts.iter().filter(|p| p.len() > 4 * (self.longest + 4));
        let ends = long.map(|p| (p.start, p.end)).chain([(bytes.len(), bytes.len())]);
        for (end, next) in ends {
            // A word that begins before the end may have its gram behind it.
            let stop = (end + self.longest).min(bytes.len());
            while from < stop {
                let to = (from + PIECE).min(stop);
                self.piece(bytes, from, to, &mut hits);
                hits.sort_unstable();
                hits.dedup();
                // A word that begins near the end of the piece may come after one that the next piece finds.
                let settled = if to == stop { usize::MAX } else { to.saturating_sub(self.longest + 4) };
                let ready = hits.partition_point(|(at, _)| *at < settled);
                for (at, word) in hits.drain(..ready) {
                    let range = at..at + self.words[word as usize].text.len();
                    if !self.targets[word as usize].iter().all(|t| visit(range.clone(), t)) {
                        return false;
                    }
                }
                from = to;
            }
            from = next.max(from);
        }
        true
    }

    /// The hits whose gram begins in `from..to`.
    fn piece(&self, bytes: &[u8], from: usize, to: usize, hits: &mut Vec<(usize, u32)>) {
        let text = &bytes[from..(to + 3).min(bytes.len())];
        simd::best(Grams { filter: self, bytes, from, text, hits });
        if to == bytes.len() {
            // The last bytes, as if blanks followed.
            for at in (bytes.len().saturating_sub(3).max(from)..bytes.len()).filter(|at| (at - from).is_multiple_of(2)) {
                let mut gram = [b' '; 4];
                gram.iter_mut().zip(&bytes[at..]).for_each(|(g, b)| *g = *b);
                self.look_up(bytes, at, fold(gram), hits);
            }
        }
    }

    /// Whether a gram may be entered, in the lowest bit; the others mean nothing.
    #[inline(always)]
    fn maybe(&self, folded: u32) -> u64 {
        let (word, [one, other]) = bits(folded);
        self.bitmap[word] >> one & self.bitmap[word] >> other
    }

    /// The words with this gram that stand around `at`.
    fn look_up(&self, bytes: &[u8], at: usize, folded: u32, hits: &mut Vec<(usize, u32)>) {
        let bucket = bucket(folded);
        let range = self.buckets[bucket] as usize..self.buckets[bucket + 1] as usize;
        let beside = grams::beside(bytes, at);
        for gram in self.grams[range].iter().filter(|g| g.folded == folded && g.fits(&beside)) {
            if let Some(start) = at.checked_add_signed(-gram.offset as isize) {
                self.compare(bytes, start, gram.word, hits);
            }
        }
    }

    fn compare(&self, bytes: &[u8], start: usize, word: u32, hits: &mut Vec<(usize, u32)>) {
        let Entry { text, exact } = &self.words[word as usize];
        let same = bytes.get(start..start + text.len()).is_some_and(|b| match exact {
            Some(exact) => b == &**exact,
            None => b.eq_ignore_ascii_case(text),
        });
        if same {
            hits.push((start, word));
        }
    }
}

/// A search for grams that begin in `text`, which is at `from` in `bytes`.
struct Grams<'g, T> {
    filter: &'g Prefilter<T>,
    bytes: &'g [u8],
    from: usize,
    text: &'g [u8],
    hits: &'g mut Vec<(usize, u32)>,
}

impl<T: Ord> simd::Work for Grams<'_, T> {
    type Answer = ();

    /// Many grams at a time: whether one is entered no processor can guess, but which of many are it is told without a guess.
    #[inline(always)]
    fn run(mut self) {
        let at = self.groups::<32>(0);
        let at = self.groups::<4>(at);
        for (i, gram) in self.text.get(at..).unwrap_or_default().windows(4).step_by(2).enumerate() {
            let folded = fold([gram[0], gram[1], gram[2], gram[3]]);
            if self.filter.maybe(folded) & 1 == 1 {
                self.filter.look_up(self.bytes, self.from + at + 2 * i, folded, self.hits);
            }
        }
    }
}

impl<T: Ord> Grams<'_, T> {
    /// Takes `N` grams at a time from `at` on; returns where less than so many are left.
    #[inline(always)]
    fn groups<const N: usize>(&mut self, mut at: usize) -> usize {
        while let Some(group) = self.text.get(at..at + 2 * N + 2) {
            let gram = |i: usize| fold([group[2 * i], group[2 * i + 1], group[2 * i + 2], group[2 * i + 3]]);
            let mut entered = (0..N).fold(0, |entered, i| entered | (self.filter.maybe(gram(i)) & 1) << i);
            while entered != 0 {
                let i = entered.trailing_zeros() as usize;
                entered &= entered - 1;
                self.filter.look_up(self.bytes, self.from + at + 2 * i, gram(i), self.hits);
            }
            at += 2 * N;
        }
        at
    }
}

/// The word of the bitmap that a gram has its bits in, and which those are: two, which few other grams share.
#[inline(always)]
fn bits(folded: u32) -> (usize, [u64; 2]) {
    let hash = hash(folded);
    ((hash >> (70 - BITS)) as usize, [hash >> 40 & 63, hash >> 34 & 63])
}

#[inline(always)]
fn hash(folded: u32) -> u64 {
    u64::from(folded).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn count(set: &Set) -> u32 {
    set.iter().map(|s| s.count_ones()).sum()
}

fn bucket(folded: u32) -> usize {
    (hash(folded ^ folded >> 15) >> (64 - BUCKETS)) as usize
}

#[cfg(test)]
mod tests;
