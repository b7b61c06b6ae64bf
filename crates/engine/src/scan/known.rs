//! Known secrets in the recursion over views.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Found, Path, Scanner, in_one_piece};
use crate::known::{Placed, name_of};
use crate::layers::{Budget, Map, View};
use crate::{Confidence, Detector, Finding, Gap, Part};

/// Parts of known secrets that are remembered.
const MAX_PIECES: usize = 4096;

impl Scanner<'_> {
    /// Known secrets in a view; whether there are any. A slice can hold only what the view around it holds: it is looked at for the key beside
    /// its value.
    pub(super) fn known(&self, view: &View<'_>, path: Option<&Path<'_>>, budget: &mut Budget, found: &mut Found) -> bool {
        let Some(known) = self.known else { return false };
        if path.is_some_and(|p| !p.known && matches!(p.map, Map::Slice(_))) {
            return false;
        }
        let seen = known.find(view, budget);
        let whole = !seen.is_empty() && in_one_piece(view);
        let place = |span: &std::ops::Range<usize>| {
            let at = Path::to_location(path, if whole { 0..view.bytes.len() } else { span.clone() });
            at.start as u64..at.end as u64
        };
        for sighting in &seen.whole {
            let (Some(detector), Some(fingerprint)) = (known.detector(sighting.value), known.fingerprint(sighting.value)) else { continue };
            let trail = Path::trail(path).into_iter().chain(sighting.outer).chain(sighting.layer).collect();
            let (span, field) = (place(&sighting.span), view.field.clone());
            found.add(Finding { confidence: detector.confidence, detector, span, trail, field, fingerprint });
        }
        for piece in &seen.pieces {
            if found.pieces.len() >= MAX_PIECES {
                budget.miss(piece.span.start, Gap::Budget);
                break;
            }
            let trail = Path::trail(path).into_iter().chain(piece.outer).collect();
            found.news += 1;
            found.pieces.push(Placed {
                value: piece.value,
                part: piece.part.clone(),
                span: place(&piece.span),
                trail,
                field: view.field.clone(),
            });
        }
        !seen.is_empty()
    }

    /// Known secrets whose pieces came together; gives the pieces that stay alone.
    pub(super) fn join(&self, found: &mut Found) -> Vec<Part> {
        let Some(known) = self.known.filter(|_| !found.pieces.is_empty()) else { return Vec::new() };
        let (joined, rest) = known.join(std::mem::take(&mut found.pieces));
        let finding = |Placed { value, span, mut trail, field, .. }: Placed| {
            trail.push("pieces");
            let (detector, fingerprint) = (known.detector(value)?, known.fingerprint(value)?);
            Some(Finding { confidence: Confidence::High, detector, span, trail, field, fingerprint })
        };
        for finding in joined.into_iter().filter_map(finding) {
            found.add(finding);
        }
        let part = |placed: Placed| {
            let (part, of) = (placed.part.clone(), known.len_of(placed.value));
            Some(Part { finding: finding(placed)?, part, of })
        };
        // Of what was found as a whole, parts say nothing new.
        let whole = |part: &Part| found.findings.values().any(|f| f.fingerprint == part.finding.fingerprint);
        rest.into_iter().filter_map(part).filter(|part| !whole(part)).collect()
    }
}

/// A known secret that a detector of the catalogue recognises belongs where that detector says: registering the key of an API must not keep it
/// from that API.
pub(super) fn inherit<K>(findings: &mut BTreeMap<K, Finding>) {
    if !findings.values().any(|f| name_of(&f.detector).is_some()) {
        return;
    }
    let homes: Vec<_> =
        findings.values().filter(|f| !f.detector.home.is_empty()).map(|f| (f.fingerprint, Arc::clone(&f.detector))).collect();
    for finding in findings.values_mut().filter(|f| name_of(&f.detector).is_some()) {
        let same = homes.iter().filter(|(fingerprint, _)| *fingerprint == finding.fingerprint);
        let home: Vec<_> = same.flat_map(|(_, detector)| detector.home.iter().cloned()).collect();
        if !home.is_empty() {
            finding.detector = Arc::new(Detector { home, ..Detector::clone(&finding.detector) });
        }
    }
}
