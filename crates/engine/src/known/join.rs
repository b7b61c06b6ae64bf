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
    /// The pieces that say too much together: two or more that make up half of the value, or one that is three quarters of it.
    pub(crate) fn join(&self, placed: Vec<Placed>) -> Vec<Placed> {
        let mut by_value: BTreeMap<u32, Vec<Placed>> = BTreeMap::new();
        for piece in placed {
            by_value.entry(piece.value).or_default().push(piece);
        }
        by_value.into_iter().filter(|(value, pieces)| self.too_much(*value, pieces)).flat_map(|(_, pieces)| pieces).collect()
    }

    fn too_much(&self, value: u32, pieces: &[Placed]) -> bool {
        let mut parts: Vec<&Range<u32>> = pieces.iter().map(|p| &p.part).collect();
        parts.sort_by_key(|p| (p.start, p.end));
        let (mut covered, mut end, mut runs) = (0, 0, 0);
        for part in &parts {
            runs += u32::from(part.start >= end);
            covered += part.end.saturating_sub(part.start.max(end)) as usize;
            end = end.max(part.end);
        }
        let len = self.len_of(value);
        let longest = parts.iter().map(|p| p.len()).max().unwrap_or(0);
        longest * 4 >= len * 3 || (pieces.len() >= 2 && (runs >= 2 || covered > longest) && covered * 2 >= len)
    }
}
