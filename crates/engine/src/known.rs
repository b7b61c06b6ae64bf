//! Known secrets: actual values that their owner registered, found in whatever form a view of bytes shows them.
//!
//! No value is kept. What stays of each is a keyed hash (BLAKE3) of the whole and keyed, truncated hashes (SipHash) of pieces of twelve
//! symbols, under a key that is made for the process. A *form* is what a value looks like after a simple change: as it stands, backwards,
//! with separators in it, or as the differences of neighbours, which no rotation or repeated key changes. Encodings are not its business: the
//! driver asks again for each layer that was peeled.

mod blind;
pub mod env;
mod forms;
mod index;
mod join;
mod making;
mod spread;
mod sweep;
mod thinned;
mod value;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::layers::{Budget, View};
use crate::{Fingerprint, FingerprintKey, Gap, LayerId};
use forms::{Plain, Printable, Shift, Turn, Xor};
use index::Index;
use making::Making;
use rules::{Boundary, Confidence, Detector, Form as Way};
use spread::Spread;
use sweep::Sweep;

pub use join::says_too_much;
pub(crate) use join::{Piece, Placed};
pub use value::Refusal;

/// The most values a registry holds.
pub const MAX_VALUES: usize = 10_000;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 16 << 10;
/// All values together, in bytes.
pub const MAX_TOTAL_BYTES: usize = 32 << 20;
/// The detector that every finding of a known secret names.
pub const DETECTOR_ID: &str = "known-secret";
/// What the name of such a finding begins with; the registered name follows.
pub const NAME_PREFIX: &str = "Known secret ";

/// The key of a registry: random, made once a process, never written down. Its `Debug` shows nothing.
#[derive(Clone)]
pub struct KnownKey(pub [u8; 32]);

impl fmt::Debug for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownKey(..)")
    }
}

/// A value that was not taken, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name it was given with.
    pub name: String,
    /// Why.
    pub why: Refusal,
}

/// One registered value, without the value.
struct Entry {
    detector: OnceLock<Arc<Detector>>,
    name: Arc<str>,
    fingerprint: Fingerprint,
    /// Bytes of the reading whose pieces count.
    len: u32,
}

/// Registered values. Cheap to share, immutable; `Debug` shows how many there are.
pub struct Known {
    entries: Vec<Entry>,
    /// Keyed hashes of whole values, each with a name it was given with.
    owned: Vec<(blake3::Hash, Arc<str>)>,
    key: KnownKey,
    plain: Index,
    short: Index,
    thinned: Spread,
    near: Spread,
    next: Spread,
    far: Spread,
    shift: Spread,
    printable: Spread,
    turn: Spread,
    /// Fewer bytes hold no value and no piece that counts.
    least: usize,
    id: [u8; 16],
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("values", &self.entries.len()).finish_non_exhaustive()
    }
}

/// A whole value in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sighting {
    /// Index of the value.
    pub(crate) value: u32,
    /// Bytes of the view.
    pub(crate) span: Range<usize>,
    /// The encoding around it that only the registry undid.
    pub(crate) outer: Option<LayerId>,
    /// The form it has, if not as it stands.
    pub(crate) layer: Option<LayerId>,
}

/// What one view shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) whole: Vec<Sighting>,
    pub(crate) pieces: Vec<Piece>,
}

impl Known {
    /// Takes values with their names. What is not fit to be looked for is not taken, and said; the same value under a second name keeps its
    /// first one. `fingerprints` is the engine's own key: a known secret has the fingerprint that any detector gives it.
    ///
    /// The caller wipes its own copies; all that are made here are wiped.
    pub fn build<V: AsRef<[u8]>>(
        values: impl IntoIterator<Item = (String, V)>,
        key: &KnownKey,
        fingerprints: &FingerprintKey,
    ) -> (Known, Vec<Refused>) {
        let mut making = Making::new(key);
        let mut refused = Vec::new();
        for (name, value) in values {
            if let Err(why) = making.add(&name, value.as_ref(), fingerprints) {
                refused.push(Refused { name, why });
            }
        }
        let known = making.finish(&mut refused);
        (known, refused)
    }

    /// How many values it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The names, in the order they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|e| &*e.name)
    }

    /// Whether this is, byte for byte, a registered value that has a name of which `named` holds. Only keyed hashes are compared, in constant
    /// time.
    pub fn holds(&self, value: &[u8], named: impl Fn(&str) -> bool) -> bool {
        let hash = blake3::keyed_hash(&self.key.0, value.trim_ascii());
        // `Hash` compares in constant time; all are compared.
        self.owned.iter().filter(|(_, name)| named(name)).fold(false, |found, (own, _)| found | (*own == hash))
    }

    /// A hash of names and fingerprints: part of the engine's id, and the same in every process with the same key of fingerprints.
    pub(crate) fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The detector that stands for all of them in lists.
    pub(crate) fn listed() -> Arc<Detector> {
        Arc::new(detector("Known secret".to_owned()))
    }

    /// The detector that a finding of this value names.
    pub(crate) fn detector(&self, value: u32) -> Option<Arc<Detector>> {
        let entry = self.entries.get(value as usize)?;
        let named = || Arc::new(detector(format!("{NAME_PREFIX}{}", entry.name)));
        Some(Arc::clone(entry.detector.get_or_init(named)))
    }

    /// The fingerprint of a value, whatever form it was found in.
    pub(crate) fn fingerprint(&self, value: u32) -> Option<Fingerprint> {
        self.entries.get(value as usize).map(|e| e.fingerprint)
    }

    /// How long a value is whose pieces count, in bytes.
    pub(crate) fn len_of(&self, value: u32) -> u32 {
        self.entries.get(value as usize).map_or(u32::MAX, |e| e.len)
    }

    /// All values in a view. Work is deducted; when it runs out the gap is noted and the rest is not looked at.
    pub(crate) fn find(&self, view: &View<'_>, budget: &mut Budget) -> Seen {
        let mut seen = Seen::default();
        self.forms(view.bytes, budget, &mut seen);
        for run in blind::runs(view.bytes, self.least) {
            let cost = run.len() as u64;
            if budget.work < cost {
                budget.work = 0;
                budget.miss(run.start, Gap::Budget);
                break;
            }
            budget.work -= cost;
            for (decoded, outer) in blind::decode(view.bytes.get(run.clone()).unwrap_or_default(), self.least) {
                let mut inner = Seen::default();
                let outside = budget.gap.take();
                self.forms(&decoded, budget, &mut inner);
                let spent = std::mem::replace(&mut budget.gap, outside).is_some();
                for sighting in inner.whole {
                    seen.add(Sighting { span: run.clone(), outer: Some(outer), ..sighting });
                }
                let placed = |piece: Piece| Piece { span: run.clone(), outer: Some(outer), ..piece };
                seen.pieces.extend(inner.pieces.into_iter().map(placed));
                if spent {
                    budget.miss(run.start, Gap::Budget);
                }
            }
        }
        seen
    }

    /// All values in bytes as they are, in every form.
    fn forms(&self, bytes: &[u8], budget: &mut Budget, seen: &mut Seen) {
        Sweep::<Plain, { index::STRIDE }>::new(&self.plain).run(bytes, budget, seen);
        Sweep::<Plain, 1>::new(&self.short).run(bytes, budget, seen);
        if !self.thinned.is_empty() && bytes.len() >= index::TAG {
            let thin = thinned::Thinned::of(bytes);
            let mut found = Seen::default();
            self.thinned.sweep::<Plain>(&thin.bytes, budget, &mut found);
            for sighting in found.whole {
                let span = thin.to_view(bytes, &sighting.span);
                seen.add(Sighting { span, ..sighting });
            }
        }
        self.near.sweep::<Xor<4>>(bytes, budget, seen);
        self.next.sweep::<Xor<1>>(bytes, budget, seen);
        self.far.sweep::<Xor<6>>(bytes, budget, seen);
        self.shift.sweep::<Shift>(bytes, budget, seen);
        self.printable.sweep::<Printable>(bytes, budget, seen);
        self.turn.sweep::<Turn>(bytes, budget, seen);
    }
}

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.pieces.is_empty()
    }

    /// The first form in which a value is seen at a place says all: with the key nought a cipher changes nothing.
    fn add(&mut self, new: Sighting) {
        let overlaps = |old: &Sighting| old.span.start < new.span.end && new.span.start < old.span.end;
        if !self.whole.iter().rev().take(64).any(|old| old.value == new.value && overlaps(old)) {
            self.whole.push(new);
        }
    }
}

/// The registered name of a known secret, if that is what a detector stands for.
pub fn name_of(detector: &Detector) -> Option<&str> {
    if detector.id == DETECTOR_ID { detector.name.strip_prefix(NAME_PREFIX) } else { None }
}

fn detector(name: String) -> Detector {
    Detector {
        id: DETECTOR_ID.to_owned(),
        provider: "known".to_owned(),
        name,
        reference: String::new(),
        confidence: Confidence::Certain,
        form: Way::Pattern,
        pattern: String::new(),
        anchors: Vec::new(),
        boundary: Boundary::None,
        context: None,
        checks: Vec::new(),
        except: Vec::new(),
        home: Vec::new(),
        examples: Vec::new(),
        counter_examples: Vec::new(),
    }
}
