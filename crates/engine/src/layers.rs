//! The seam between the scan driver and what takes bytes apart.
//!
//! A *peeler* looks at one view of bytes and emits what it holds inside: leaves of a grammar (JSON strings, form values, multipart parts) and
//! decoded layers (base64, gzip, …). The driver (`scan.rs`) matches detectors on every view and recurses.

mod alphabets;
mod base64;
mod bounds;
mod census;
mod chance;
mod chars;
mod cipher;
pub(crate) mod coding;
mod columns;
mod container;
pub(crate) mod disguise;
mod dumps;
mod escapes;
mod form;
mod hex;
mod json;
mod marks;
mod markup;
mod multipart;
mod names;
mod numbers;
mod origins;
mod pieces;
mod radix;
mod root;
mod sink;
mod strides;
mod symbols;
mod table;
mod unicode;
mod utf16;
mod uu;

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use json::long_strings;

use crate::{Gap, Kind, LayerId, Location};

/// How offsets in peeled bytes map to offsets in the view they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Map {
    /// A slice of the parent that begins here: offsets move along one by one.
    Slice(usize),
    /// The decoded bytes cannot be told apart one by one: any part maps to this whole run of the parent.
    Run(Range<usize>),
    /// Character-wise escapes, and what else can be told apart byte by byte.
    Bytes(origins::Origins),
}

impl Map {
    /// The range of `parent` that carries `decoded` (not empty): the very bytes where they stand in one piece, else the encoded run.
    pub(crate) fn to_parent(&self, decoded: &Range<usize>, parent: &[u8]) -> Range<usize> {
        match self {
            Map::Slice(at) => decoded.start + at..decoded.end + at,
            Map::Run(run) => run.clone(),
            Map::Bytes(origins) => origins.to_parent(decoded, parent),
        }
    }
}

/// One view of bytes to take apart.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    /// The bytes.
    pub(crate) bytes: &'a [u8],
    /// What the outermost location is; `None` for anything inside a layer or leaf.
    pub(crate) kind: Option<&'a Kind>,
    /// The layer that gave this view, if any: a peeler need not undo its own kind twice for nothing.
    pub(crate) layer: Option<LayerId>,
    /// The nearest enclosing key.
    pub(crate) field: Option<Arc<str>>,
    /// Whether bytes of the same stream stand before this view (a window that does not begin at the beginning).
    pub(crate) clipped: bool,
    /// Where it begins in the window it is of, when it reaches to the end of that and more bytes follow.
    pub(crate) open: Option<usize>,
    /// Whether it is known that no word that detectors look for stands in it.
    pub(crate) quiet: bool,
    /// Whether it is known that no detector judges a value by the key it has.
    pub(crate) unnamed: bool,
}

impl<'a> View<'a> {
    /// Bytes of which nothing is known.
    pub(crate) fn of(bytes: &'a [u8]) -> View<'a> {
        View { bytes, kind: None, layer: None, field: None, clipped: false, open: None, quiet: false, unnamed: false }
    }

    /// What names these bytes: the nearest enclosing key, or the header whose value they are.
    pub(crate) fn name(&self) -> Option<&str> {
        let header = match self.kind.map(|k| &k.location) {
            Some(Location::Header(name) | Location::Trailer(name)) => Some(&**name),
            _ => None,
        };
        self.field.as_deref().or(header)
    }
}

/// What one layer or leaf holds.
#[derive(Debug, Clone)]
pub(crate) struct Peeled<'a> {
    /// The layer's or leaf's name.
    pub(crate) layer: LayerId,
    /// Its bytes, decoded.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Where they came from.
    pub(crate) map: Map,
    /// The nearest enclosing key, where the grammar has one.
    pub(crate) field: Option<Arc<str>>,
    /// What is still to be undone in them: what was seen before need not be.
    escapes: Option<chars::Escapes>,
}

impl Peeled<'_> {
    /// Whether the bytes are those of the view around them.
    pub(crate) fn is_slice(&self) -> bool {
        self.escapes.is_none() && matches!(self.map, Map::Slice(_))
    }

    /// With nothing left to undo in `parent`'s bytes; `None`: over budget, which is noted.
    pub(crate) fn undone(self, parent: &[u8], budget: &mut Budget) -> Option<Self> {
        let (Some(escapes), Map::Slice(at)) = (self.escapes, &self.map) else { return Some(self) };
        let chars = chars::Chars::undo(parent, *at..*at + self.bytes.len(), escapes);
        let length = chars.bytes.len() as u64;
        let paid = budget.take(length, *at) && budget.pay(sink::BYTE_COST * length, *at);
        paid.then_some(Peeled { bytes: Cow::Owned(chars.bytes), map: Map::Bytes(chars.origins), escapes: None, ..self })
    }
}

/// A compressed stream that begins in a window and goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Where it begins in the window.
    pub(crate) at: usize,
    /// Its coding, as [`coding::Decoder`] knows it.
    pub(crate) coding: &'static str,
}

/// Units of work for each byte of a compressed stream: what taking it apart costs, and as much again for what is found in it.
const WORK_PER_UNPACKED: u64 = 8;

/// What a location may still cost. Deducted by every layer, never reset.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    /// Decoded bytes left.
    pub(crate) decoded: u64,
    /// Decoded bytes allowed per encoded byte of one compressed layer beyond a grace of 1 MiB.
    pub(crate) ratio: u64,
    /// Units of work left: about one a byte looked at by a regex, 16 a candidate.
    pub(crate) work: u64,
    /// Units of work that what is unpacked may still add: compressed text is as long as it is.
    pub(crate) earned: u64,
    /// Compressed streams that go on behind the window.
    pub(crate) cuts: Vec<Cut>,
    /// The first thing in the present view that could not be looked into: offset in that view, and why. The driver maps and clears it.
    pub(crate) gap: Option<(usize, Gap)>,
}

impl Budget {
    /// Takes `n` decoded bytes; on `false` the gap is noted at `at` and the layer must stop.
    #[must_use]
    pub(crate) fn take(&mut self, n: u64, at: usize) -> bool {
        if self.decoded < n {
            self.decoded = 0;
            self.miss(at, Gap::Budget);
            return false;
        }
        self.decoded -= n;
        true
    }

    /// Adds the work for `unpacked` bytes of a compressed stream, as far as there is any to add.
    pub(crate) fn earn(&mut self, unpacked: usize) {
        let units = (unpacked as u64).saturating_mul(WORK_PER_UNPACKED).min(self.earned);
        self.earned -= units;
        self.work = self.work.saturating_add(units);
    }

    /// Deducts `units` of work; on `false` there are not so many left, which is noted at `at`, and all must stop.
    #[must_use]
    pub(crate) fn pay(&mut self, units: u64, at: usize) -> bool {
        if self.work < units {
            self.work = 0;
            self.miss(at, Gap::Budget);
            return false;
        }
        self.work -= units;
        true
    }

    /// Notes that something at `at` could not be looked into; the first one in a view stands.
    pub(crate) fn miss(&mut self, at: usize, gap: Gap) {
        if self.gap.is_none_or(|(first, _)| at < first) {
            self.gap = Some((at, gap));
        }
    }
}

/// Receives what was peeled; `Break` means stop.
pub(crate) type Emit<'e, 'a> = &'e mut dyn FnMut(Peeled<'a>, &mut Budget) -> ControlFlow<()>;

/// Takes `view` apart by every grammar and decoder that fits it. Grammars come first: what they hand on as leaves is not decoded twice.
/// `long` is what [`long_strings`] gave.
pub(crate) fn peel<'a>(
    view: &View<'a>,
    disguised: &[(Range<usize>, disguise::Disguise)],
    long: &[Range<usize>],
    budget: &mut Budget,
    emit: Emit<'_, 'a>,
) -> ControlFlow<()> {
    // Identifiers, mostly.
    if let Some(cost) = radix::number_only(view).filter(|_| disguised.is_empty()) {
        return if budget.pay(cost, 0) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    }
    let mut sink = sink::Sink::new(view, long, budget, emit);
    root::peel(&mut sink)?;
    json::peel(&mut sink)?;
    form::peel(&mut sink)?;
    multipart::peel(&mut sink)?;
    table::peel(&mut sink)?;
    escapes::peel(&mut sink)?;
    markup::peel(&mut sink)?;
    unicode::peel(&mut sink)?;
    utf16::peel(&mut sink)?;
    container::peel(&mut sink)?;
    base64::peel(&mut sink)?;
    hex::peel(&mut sink)?;
    radix::peel(&mut sink)?;
    alphabets::peel(&mut sink)?;
    numbers::peel(&mut sink)?;
    pieces::peel(&mut sink)?;
    strides::peel(&mut sink)?;
    columns::peel(&mut sink)?;
    symbols::peel(&mut sink)?;
    cipher::peel(&mut sink)?;
    disguise::peel(&mut sink, disguised)
}
