//! Which bytes may stand at each place of a match, from its beginning on.
//!
//! A detector whose match begins with its anchor is asked this before its regular expression is run: most hits fail at the next bytes.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

/// Places that are looked at.
const PLACES: usize = 24;
/// A pattern with more states than this is not looked at.
const MAX_STATES: usize = 4096;

/// A set of bytes.
pub(super) type Set = [u64; 4];

/// Every byte.
pub(super) const ANY: Set = [u64::MAX; 4];

/// Whether `byte` is in `set`.
pub(super) fn has(set: &Set, byte: u8) -> bool {
    set[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
}

/// Takes `byte` out of `set`.
pub(super) fn remove(set: &mut Set, byte: u8) {
    set[usize::from(byte >> 6)] &= !(1 << (byte & 63));
}

/// The sets of the first places.
#[derive(Debug, Clone, Default)]
pub(super) struct Opening(Vec<Set>);

impl Opening {
    /// Follows all ways through the automaton at once, up to the shortest match.
    pub(super) fn of(nfa: &NFA) -> Opening {
        let mut sets = Vec::new();
        if nfa.states().len() > MAX_STATES {
            return Opening(sets);
        }
        let mut now = closure(nfa, vec![nfa.start_anchored()]);
        while sets.len() < PLACES && !now.iter().any(|s| matches!(nfa.state(*s), State::Match { .. })) {
            let mut set = [0; 4];
            let mut next = Vec::new();
            for state in &now {
                each_transition(nfa.state(*state), &mut |start, end, to| {
                    (start..=end).for_each(|b| set[usize::from(b >> 6)] |= 1 << (b & 63));
                    next.push(to);
                });
            }
            sets.push(set);
            now = closure(nfa, next);
        }
        Opening(sets)
    }

    /// Whether a match may begin with these bytes.
    pub(super) fn allows(&self, bytes: impl ExactSizeIterator<Item = u8>) -> bool {
        bytes.len() >= self.0.len() && self.0.iter().zip(bytes).all(|(set, b)| has(set, b))
    }

    /// What may stand at a place; anything, where that is not known.
    pub(super) fn at(&self, place: usize) -> Set {
        self.0.get(place).copied().unwrap_or(ANY)
    }
}

fn each_transition(state: &State, each: &mut dyn FnMut(u8, u8, StateID)) {
    match state {
        State::ByteRange { trans } => each(trans.start, trans.end, trans.next),
        State::Sparse(sparse) => sparse.transitions.iter().for_each(|t| each(t.start, t.end, t.next)),
        State::Dense(dense) => (0..=u8::MAX).zip(dense.transitions.iter()).for_each(|(byte, to)| {
            if *to != StateID::ZERO {
                each(byte, byte, *to);
            }
        }),
        _ => {}
    }
}

/// All states that are reached without a byte; assertions count as true.
fn closure(nfa: &NFA, from: Vec<StateID>) -> Vec<StateID> {
    let mut seen = vec![false; nfa.states().len()];
    let mut reached = Vec::new();
    let mut stack = from;
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut seen[id.as_usize()], true) {
            continue;
        }
        match nfa.state(id) {
            State::Union { alternates } => stack.extend(alternates.iter().copied()),
            State::BinaryUnion { alt1, alt2 } => stack.extend([*alt1, *alt2]),
            State::Look { next, .. } | State::Capture { next, .. } => stack.push(*next),
            _ => reached.push(id),
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_automata::util::syntax;

    fn opening(pattern: &str) -> Opening {
        let config = syntax::Config::new().unicode(false).utf8(false);
        Opening::of(&NFA::compiler().syntax(config).build(pattern).unwrap())
    }

    #[test]
    fn what_the_pattern_refuses_is_refused_at_once() {
        let token = opening("ab_[0-9]{3}(?:x|yz)");
        assert!(token.allows(b"ab_123x".iter().copied()));
        assert!(token.allows(b"ab_123yz".iter().copied()));
        assert!(!token.allows(b"ab_12".iter().copied()), "too short");
        assert!(!token.allows(b"ab_12ax".iter().copied()));
        assert!(!token.allows(b"ab_123q".iter().copied()));
    }

    #[test]
    fn what_may_be_left_out_is_no_demand() {
        assert!(opening("a?b?c?").allows(b"".iter().copied()));
        assert!(opening(r"\bkey(?:-[a-z]+)?=").allows(b"key=".iter().copied()));
    }
}
