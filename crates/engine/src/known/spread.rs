//! Values in a form whose parts do not count: long ones are looked for at every eighth place, and only what is shorter at every fourth.

use zeroize::Zeroizing;

use super::forms::Form;
use super::index::{Builder, Index, STRIDE, WIDE};
use super::sweep::Sweep;
use super::{KnownKey, Seen};
use crate::LayerId;
use crate::layers::Budget;

/// Both indexes of a form.
pub(super) struct Spread {
    long: Index,
    short: Index,
}

impl Spread {
    pub(super) fn is_empty(&self) -> bool {
        self.long.is_empty() && self.short.is_empty()
    }

    /// All values in `bytes`.
    pub(super) fn sweep<F: Form>(&self, bytes: &[u8], budget: &mut Budget, seen: &mut Seen) {
        Sweep::<F, WIDE>::new(&self.long).run(bytes, budget, seen);
        Sweep::<F, STRIDE>::new(&self.short).run(bytes, budget, seen);
    }
}

/// Both in the making.
pub(super) struct SpreadBuilder {
    long: Builder,
    short: Builder,
}

impl SpreadBuilder {
    /// `domain` and the one after it have keys of their own.
    pub(super) fn new(key: &KnownKey, domain: u8) -> SpreadBuilder {
        SpreadBuilder { long: Builder::new(key, domain).wide(), short: Builder::new(key, domain + 1) }
    }

    /// Adds a value in this form; one that is too short for it is left out.
    pub(super) fn add(&mut self, value: u32, symbols: Zeroizing<Vec<u8>>, layer: LayerId) {
        let builder = if self.long.takes(symbols.len()) { &mut self.long } else { &mut self.short };
        builder.add(value, symbols, Some(layer), false);
    }

    pub(super) fn build(self) -> Spread {
        // In this form it is not found; as it stands it may be.
        let mut ignored = Vec::new();
        Spread { long: self.long.build(&mut ignored), short: self.short.build(&mut ignored) }
    }
}
