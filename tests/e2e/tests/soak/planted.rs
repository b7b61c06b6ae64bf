//! The secrets that were sent, and where their bytes must not be.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// How all of them begin. A literal would look like one to a scanner of this tree.
const BEGIN: &str = concat!("gh", "p_");
/// So much of one is enough to be known by: 8 characters of chance.
const KNOWN_BY: usize = 12;

/// Every secret that was sent so far.
#[derive(Debug, Default)]
pub(crate) struct Planted(Mutex<HashSet<Vec<u8>>>);

impl Planted {
    /// How many bytes of what came before must be looked at with what comes next.
    pub(crate) const OVERLAP: usize = KNOWN_BY - 1;

    pub(crate) fn add(&self, secret: &str) {
        assert!(secret.starts_with(BEGIN), "a secret of another kind");
        let known_by = secret.as_bytes().get(..KNOWN_BY).expect("a long secret").to_vec();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(known_by);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether the bytes hold the beginning of one.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let mut begins = memchr::memmem::find_iter(bytes, BEGIN).peekable();
        if begins.peek().is_none() {
            return false;
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begins.any(|at| bytes.get(at..at + KNOWN_BY).is_some_and(|begin| known.contains(begin)))
    }
}

#[test]
fn the_beginning_of_a_secret_is_enough_and_other_text_is_none() {
    let (planted, secret) = (Planted::default(), portcullis_e2e::github_pat());
    planted.add(&secret);
    assert_eq!(planted.count(), 1);
    assert!(planted.is_in(format!("a log with {secret} in it").as_bytes()));
    assert!(planted.is_in(&secret.as_bytes()[..KNOWN_BY]));
    assert!(!planted.is_in(&secret.as_bytes()[..KNOWN_BY - 1]));
    assert!(!planted.is_in(portcullis_e2e::github_pat().as_bytes()));
}
