//! Commits of a pack and their parents: whether one descends from another.

use std::collections::{HashMap, HashSet};

use crate::hash::Id;

/// Commits that are remembered (some 100 bytes each).
const MOST: usize = 200_000;
/// Parents of one commit that are. Git's own merges of many ("octopus") have a dozen.
const MOST_PARENTS: usize = 64;

/// What a pack says of its commits.
#[derive(Debug, Default)]
pub(crate) struct History {
    parents: HashMap<Id, Vec<Id>>,
    links: usize,
}

impl History {
    /// Takes in a commit (its content as git stores it). Beyond the bound nothing is taken: what is not known to descend does not.
    pub(crate) fn add(&mut self, id: Id, commit: &[u8]) {
        if self.parents.len() >= MOST {
            return;
        }
        let lines = commit.split(|b| *b == b'\n').take_while(|line| !line.is_empty());
        // `tree`, then the parents, then `author`: a `parent` line further down is none (fsck calls it an error, git itself does not read it).
        let parents: Vec<Id> = lines.skip(1).map_while(|line| line.strip_prefix(b"parent ").and_then(Id::hex)).take(MOST_PARENTS).collect();
        self.links += parents.len();
        self.parents.insert(id, parents);
    }

    /// Whether `new` is `old` or descends from it, as far as the commits that were taken in show.
    pub(crate) fn descends(&self, new: Id, old: Id) -> bool {
        let (mut open, mut seen) = (vec![new], HashSet::from([new]));
        while let Some(id) = open.pop() {
            if id == old {
                return true;
            }
            open.extend(self.parents.get(&id).into_iter().flatten().filter(|parent| seen.insert(**parent)));
        }
        false
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        self.parents.len() * 96 + self.links * size_of::<Id>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id::raw(&[n; 20]).expect("20 bytes")
    }

    fn commit(parents: &[u8]) -> Vec<u8> {
        let hex = |n: u8| format!("{n:02x}").repeat(20);
        let parents: String = parents.iter().map(|p| format!("parent {}\n", hex(*p))).collect();
        format!("tree {}\n{parents}author a <a@b> 1 +0000\nparent {}\n\nparent {}\n", hex(9), hex(8), hex(7)).into_bytes()
    }

    #[test]
    fn descent_is_proven_by_parents_alone() {
        let mut history = History::default();
        for (n, parents) in [(4, &[3][..]), (3, &[2, 1]), (5, &[4])] {
            history.add(id(n), &commit(parents));
        }
        assert!(history.descends(id(5), id(1)) && history.descends(id(5), id(2)) && history.descends(id(3), id(3)));
        assert!(!history.descends(id(1), id(5)) && !history.descends(id(6), id(1)));
        for other in [7, 8, 9] {
            assert!(!history.descends(id(5), id(other)), "neither trees nor lines further down are parents");
        }
    }
}
