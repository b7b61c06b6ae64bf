//! A registry in the making: what is taken, and in which forms.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::forms::{self, Plain, Printable, Shift, Turn, Xor};
use super::index::{self, Builder};
use super::spread::SpreadBuilder;
use super::{Entry, Known, KnownKey, MAX_TOTAL_BYTES, MAX_VALUES, Refusal, Refused, thinned, value};
use crate::{Fingerprint, FingerprintKey};

/// A registry in the making.
pub(super) struct Making<'k> {
    key: &'k KnownKey,
    entries: Vec<Entry>,
    /// Keyed hashes of the values so far.
    seen: HashSet<[u8; 16]>,
    owned: Vec<(blake3::Hash, Arc<str>)>,
    id: blake3::Hasher,
    bytes: usize,
    least: usize,
    plain: Builder,
    short: Builder,
    thinned: SpreadBuilder,
    near: SpreadBuilder,
    next: SpreadBuilder,
    far: SpreadBuilder,
    shift: SpreadBuilder,
    printable: SpreadBuilder,
    turn: SpreadBuilder,
}

impl<'k> Making<'k> {
    pub(super) fn new(key: &'k KnownKey) -> Making<'k> {
        let spread = |domain| SpreadBuilder::new(key, domain);
        Making {
            key,
            entries: Vec::new(),
            seen: HashSet::new(),
            owned: Vec::new(),
            id: blake3::Hasher::new(),
            bytes: 0,
            least: usize::MAX,
            plain: Builder::new(key, 0),
            short: Builder::new(key, 1).short(),
            thinned: spread(2),
            near: spread(4),
            next: spread(14),
            far: spread(6),
            shift: spread(8),
            printable: spread(10),
            turn: spread(12),
        }
    }

    pub(super) fn add(&mut self, name: &str, value: &[u8], fingerprints: &FingerprintKey) -> Result<(), Refusal> {
        let value = value.trim_ascii();
        value::judge(value)?;
        let mut mac = [0; 16];
        let hash = blake3::keyed_hash(&self.key.0, value);
        mac.copy_from_slice(&hash.as_bytes()[..16]);
        // By the key of fingerprints, which all replicas have: those that look for the same must be seen to.
        let shared = blake3::keyed_hash(&fingerprints.0, value);
        if self.seen.contains(&mac) {
            // Found under its first name, but whoever asks for the second means it too.
            self.owned.push((hash, name.into()));
            self.identify(&shared, name);
            return Ok(());
        }
        if self.entries.len() >= MAX_VALUES {
            return Err(Refusal::TooMany);
        }
        if self.bytes.saturating_add(value.len()) > MAX_TOTAL_BYTES {
            return Err(Refusal::TooMuch);
        }
        self.seen.insert(mac);
        self.owned.push((hash, name.into()));
        self.bytes += value.len();
        self.identify(&shared, name);
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&shared.as_bytes()[..8]);
        let readings = value::readings(value);
        self.entries.push(Entry {
            detector: OnceLock::new(),
            name: name.into(),
            fingerprint: Fingerprint(fingerprint),
            len: readings.iter().find(|r| r.pieces).map_or(u32::MAX, |r| u32::try_from(r.bytes.len()).unwrap_or(u32::MAX)),
        });
        for reading in readings {
            let least = if reading.pieces { reading.bytes.len().min(index::LONG) } else { reading.bytes.len() };
            self.least = self.least.min(least);
            self.forms(index, &reading.bytes, reading.pieces);
        }
        Ok(())
    }

    fn identify(&mut self, shared: &blake3::Hash, name: &str) {
        self.id.update(shared.as_bytes()).update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    }

    /// Every form of a reading of a value that is long enough for it.
    fn forms(&mut self, value: u32, bytes: &[u8], pieces: bool) {
        let backwards: Zeroizing<Vec<u8>> = Zeroizing::new(bytes.iter().rev().copied().collect());
        let mirrored: Zeroizing<Vec<u8>> = Zeroizing::new(bytes.iter().copied().map(forms::mirrored).collect());
        let straight = if bytes.len() < index::LONG { &mut self.short } else { &mut self.plain };
        straight.add(value, forms::symbols::<Plain>(bytes), None, pieces && bytes.len() >= index::LONG);
        straight.add(value, forms::symbols::<Plain>(&backwards), Some("reversed"), false);
        let thin = thinned::thin(bytes);
        let thin_backwards: Zeroizing<Vec<u8>> = Zeroizing::new(thin.iter().rev().copied().collect());
        self.thinned.add(value, forms::symbols::<Plain>(&thin), "separated");
        self.thinned.add(value, forms::symbols::<Plain>(&thin_backwards), "reversed");
        let (near, next) = (forms::symbols::<Xor<4>>(bytes), forms::symbols::<Xor<1>>(bytes));
        if near.len() < index::LONG {
            // Long enough for keys of one byte only.
            self.next.add(value, next, "xor");
        } else {
            self.near.add(value, near, "xor");
        }
        self.far.add(value, forms::symbols::<Xor<6>>(bytes), "xor");
        self.shift.add(value, forms::symbols::<Shift>(bytes), "shifted");
        self.printable.add(value, forms::symbols::<Printable>(bytes), "rotated");
        self.turn.add(value, forms::symbols::<Turn>(bytes), "rotated");
        self.turn.add(value, forms::symbols::<Turn>(&mirrored), "atbash");
    }

    pub(super) fn finish(self, refused: &mut Vec<Refused>) -> Known {
        let names: Vec<Arc<str>> = self.entries.iter().map(|e| Arc::clone(&e.name)).collect();
        let mut lost = Vec::new();
        let plain = self.plain.build(&mut lost);
        let short = self.short.build(&mut lost);
        // In another form it may still be found; that it stands nowhere as it is must be said.
        for value in lost {
            let name = names.get(value as usize).map(|n| n.to_string()).unwrap_or_default();
            refused.push(Refused { name, why: Refusal::TooAlike });
        }
        let mut id = [0; 16];
        id.copy_from_slice(&self.id.finalize().as_bytes()[..16]);
        Known {
            entries: self.entries,
            owned: self.owned,
            key: self.key.clone(),
            plain,
            short,
            thinned: self.thinned.build(),
            near: self.near.build(),
            next: self.next.build(),
            far: self.far.build(),
            shift: self.shift.build(),
            printable: self.printable.build(),
            turn: self.turn.build(),
            least: self.least,
            id,
        }
    }
}
