//! One pass over bytes in one form.

use std::marker::PhantomData;

use super::forms::{Form, symbol};
use super::index::{GRAM, Index, Shape, TAG};
use super::{Piece, Seen, Sighting};
use crate::Gap;
use crate::layers::Budget;

/// What a look into the tables costs, in units of work.
const LOOK_COST: u64 = 4;
/// Alignments that are remembered: those near by are asked for again at the next place.
const REMEMBERED: usize = 16;
/// Up to this the whole is hashed at once; beyond, its last place is asked first.
const SHORT: usize = 64;

/// A shape laid over the bytes at a place, and up to where that was looked at.
#[derive(Debug, Clone, Copy)]
struct Laid {
    shape: u32,
    start: i64,
    until: usize,
}

/// One pass, looking at every `STRIDE`th place.
pub(super) struct Sweep<'k, F, const STRIDE: usize> {
    index: &'k Index,
    laid: [Option<Laid>; REMEMBERED],
    next: usize,
    symbols: Vec<u8>,
    form: PhantomData<F>,
}

/// Nothing more may be looked at.
struct Spent;

impl<'k, F: Form, const STRIDE: usize> Sweep<'k, F, STRIDE> {
    pub(super) fn new(index: &'k Index) -> Self {
        Sweep { index, laid: [None; REMEMBERED], next: 0, symbols: Vec::new(), form: PhantomData }
    }

    /// All values in `bytes` that the index holds.
    pub(super) fn run(mut self, bytes: &[u8], budget: &mut Budget, seen: &mut Seen) {
        if self.index.is_empty() {
            return;
        }
        let mut at = 0;
        while let Some(window) = bytes.get(at..at + GRAM + F::DISTANCE) {
            if self.index.may_hold(gram::<F>(window)) && self.look(bytes, at, budget, seen).is_err() {
                budget.work = 0;
                budget.miss(at, Gap::Budget);
                return;
            }
            at += STRIDE;
        }
    }

    /// A gram at `at` may be a value's.
    fn look(&mut self, bytes: &[u8], at: usize, budget: &mut Budget, seen: &mut Seen) -> Result<(), Spent> {
        spend(budget, LOOK_COST)?;
        let mut tag = [0; TAG];
        let Some(tag) = tag_at::<F>(bytes, at, self.index.tag_len(), &mut tag) else { return Ok(()) };
        let index = self.index;
        for place in index.places(tag) {
            let Some(shape) = index.shape(place.shape) else { continue };
            let start = at as i64 - i64::from(place.at);
            if self.laid.iter().flatten().any(|l| l.shape == place.shape && l.start == start && at < l.until) {
                continue;
            }
            let until = self.lay(bytes, (shape, start, at), budget, seen)?;
            self.laid[self.next % REMEMBERED] = Some(Laid { shape: place.shape, start, until });
            self.next += 1;
        }
        Ok(())
    }

    /// Lays a shape over the bytes: the whole, or as much of it as is there. Gives up to where need not be looked at again.
    fn lay(
        &mut self,
        bytes: &[u8],
        (shape, start, at): (&Shape, i64, usize),
        budget: &mut Budget,
        seen: &mut Seen,
    ) -> Result<usize, Spent> {
        if let Ok(from) = usize::try_from(start)
            && self.is_whole(bytes, shape, from, budget)?
        {
            let span = from..from + shape.len + F::DISTANCE;
            seen.add(Sighting { value: shape.value, span, outer: None, layer: shape.layer });
            return Ok(from + shape.len);
        }
        if !shape.pieces {
            return Ok(usize::MAX);
        }
        let first = usize::try_from(at as i64 - start).unwrap_or(0);
        let end = self.extend(bytes, shape, (first, at), budget)?;
        let begin = self.extend_back(bytes, shape, (first, at), budget)?;
        let part = first - (at - begin)..first + (end - at);
        seen.pieces.push(Piece { value: shape.value, part: part.start as u32..part.end as u32, span: begin..end, outer: None });
        Ok(end.saturating_sub(self.index.tag_len()).max(at) + 1)
    }

    fn is_whole(&mut self, bytes: &[u8], shape: &Shape, from: usize, budget: &mut Budget) -> Result<bool, Spent> {
        let Some(run) = bytes.get(from..from + shape.len + F::DISTANCE) else { return Ok(false) };
        let last = usize::from(shape.last);
        if shape.len > SHORT && !self.belongs(bytes, shape, last, from + last, budget)? {
            return Ok(false);
        }
        spend(budget, LOOK_COST + shape.len as u64)?;
        self.symbols.clear();
        self.symbols.extend(run.iter().zip(run.get(F::DISTANCE..).unwrap_or_default()).map(|(a, b)| symbol::<F>(*a, *b)));
        Ok(self.index.is_whole(shape, &self.symbols))
    }

    /// Whether what stands at `at` is the part of the shape at `offset`.
    fn belongs(&self, bytes: &[u8], shape: &Shape, offset: usize, at: usize, budget: &mut Budget) -> Result<bool, Spent> {
        spend(budget, LOOK_COST)?;
        let mut tag = [0; TAG];
        let Some(tag) = tag_at::<F>(bytes, at, self.index.tag_len(), &mut tag) else { return Ok(false) };
        let mut places = self.index.places(tag);
        Ok(places.any(|p| usize::from(p.at) == offset && self.index.shape(p.shape).is_some_and(|s| std::ptr::eq(s, shape))))
    }

    /// The end of the piece that holds the shape's `offset` at `at`.
    fn extend(&self, bytes: &[u8], shape: &Shape, (offset, at): (usize, usize), budget: &mut Budget) -> Result<usize, Spent> {
        let mut last = at;
        for step in super::index::steps(shape.len, offset) {
            if !self.belongs(bytes, shape, offset + step, at + step, budget)? {
                break;
            }
            last = at + step;
        }
        Ok(last + self.index.tag_len())
    }

    /// The beginning of that piece.
    fn extend_back(&self, bytes: &[u8], shape: &Shape, (offset, at): (usize, usize), budget: &mut Budget) -> Result<usize, Spent> {
        let mut first = at;
        for step in super::index::steps_back(shape.len, offset) {
            if step > at || !self.belongs(bytes, shape, offset - step, at - step, budget)? {
                break;
            }
            first = at - step;
        }
        Ok(first)
    }
}

fn spend(budget: &mut Budget, units: u64) -> Result<(), Spent> {
    budget.work = budget.work.checked_sub(units).ok_or(Spent)?;
    Ok(())
}

/// The gram that begins a window of `GRAM + DISTANCE` bytes.
#[inline]
fn gram<F: Form>(window: &[u8]) -> u64 {
    let word = |from: usize| window.get(from..).and_then(|w| w.first_chunk()).map_or(0, |w| u64::from_le_bytes(*w));
    F::pair(word(0), word(F::DISTANCE))
}

/// The symbols of a tag at `at`, if there are enough bytes.
fn tag_at<'t, F: Form>(bytes: &[u8], at: usize, len: usize, tag: &'t mut [u8; TAG]) -> Option<&'t [u8]> {
    let window = bytes.get(at..at + len + F::DISTANCE)?;
    let seconds = window.get(F::DISTANCE..)?;
    for (to, (a, b)) in tag.iter_mut().zip(window.iter().zip(seconds)).take(len) {
        *to = symbol::<F>(*a, *b);
    }
    tag.get(..len)
}
