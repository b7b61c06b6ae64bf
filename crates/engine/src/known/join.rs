//! Values that stand in pieces: when parts of one value come together in one location.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::Known;
use crate::LayerId;

/// A part of a value in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Index of the value.
    pub(crate) value: u32,
    /// Which bytes of the value.
    pub(crate) part: Range<u32>,
    /// Bytes of the view.
    pub(crate) span: Range<usize>,
    /// The encoding around it that only the registry undid.
    pub(crate) outer: Option<LayerId>,
}

/// A piece where it was found.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) value: u32,
    pub(crate) part: Range<u32>,
    /// Bytes of the location.
    pub(crate) span: Range<u64>,
    pub(crate) trail: Vec<LayerId>,
    pub(crate) field: Option<Arc<str>>,
}

impl Known {
    /// Divides pieces into those that say too much together and the rest.
    pub(crate) fn join(&self, placed: Vec<Placed>) -> (Vec<Placed>, Vec<Placed>) {
        let mut by_value: BTreeMap<u32, Vec<Placed>> = BTreeMap::new();
        for piece in placed {
            by_value.entry(piece.value).or_default().push(piece);
        }
        let (mut joined, mut rest) = (Vec::new(), Vec::new());
        for (value, pieces) in by_value {
            let parts: Vec<Range<u32>> = pieces.iter().map(|p| p.part.clone()).collect();
            let side = if says_too_much(&parts, self.len_of(value)) { &mut joined } else { &mut rest };
            side.extend(pieces);
        }
        (joined, rest)
    }
}

/// Whether parts of a value of `len` bytes say too much of it: two or more that make up half, or one that is three quarters.
pub fn says_too_much(parts: &[Range<u32>], len: u32) -> bool {
    let mut parts: Vec<&Range<u32>> = parts.iter().collect();
    parts.sort_by_key(|p| (p.start, p.end));
    let (mut covered, mut end, mut runs) = (0, 0, 0);
    for part in &parts {
        runs += u32::from(part.start >= end);
        covered += u64::from(part.end.saturating_sub(part.start.max(end)));
        end = end.max(part.end);
    }
    let len = u64::from(len);
    let longest = parts.iter().map(|p| p.len() as u64).max().unwrap_or(0);
    longest * 4 >= len * 3 || (parts.len() >= 2 && (runs >= 2 || covered > longest) && covered * 2 >= len)
}
