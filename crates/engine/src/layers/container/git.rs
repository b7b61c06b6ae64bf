//! Git's packs (gitformat-pack) and binary patches: objects whole or as deltas, of which what they add is looked at.

mod delta;
mod patch;

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use sha1::{Digest, Sha1};

use super::ATTEMPT;
use crate::Gap;
use crate::layers::coding;
use crate::layers::sink::{Flow, Sink};
use delta::Delta;
pub(super) use patch::peel as patches;

/// The header: magic, version, number of objects.
const HEADER: usize = 12;
/// Objects of one pack that are opened.
const MOST: u32 = 100_000;
/// The length of an object's id in a delta against one: SHA-1. Packs do not say which hash they use.
const ID: usize = 20;

/// What an object is.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Commit, tree, blob or tag, by its name in the id.
    Whole(&'static str),
    /// A delta against the object that begins at this offset.
    Behind(usize),
    /// A delta against the object with this id.
    Named([u8; ID]),
}

/// An object whose content is known.
struct Object {
    name: &'static str,
    bytes: Vec<u8>,
}

/// A delta whose base did not stand before it.
struct Waiting {
    at: usize,
    base: [u8; ID],
    run: Range<usize>,
    delta: Vec<u8>,
}

/// The pack at `at`; returns how far to go on.
pub(super) fn pack(sink: &mut Sink<'_, '_>, at: usize) -> ControlFlow<(), usize> {
    let bytes = sink.bytes();
    let count = bytes.get(at + 8..at + HEADER).and_then(|b| b.first_chunk::<4>()).map_or(0, |n| u32::from_be_bytes(*n));
    let mut pack = Pack::default();
    let mut next = at + HEADER;
    for number in 0..count {
        if number >= MOST {
            sink.budget.miss(next, Gap::Budget);
            break;
        }
        let Some((form, start)) = head(bytes, next) else { break };
        sink.work(ATTEMPT, next)?;
        let input = bytes.get(start..).unwrap_or_default();
        // An object that is cut or broken is looked at as the stream that it is, and so is what follows it.
        let Some(done) = coding::decode("zlib", input, next, sink.budget).filter(|done| done.gap.is_none()) else { break };
        let run = next..start + done.taken;
        sink.budget.earn(done.bytes.len());
        pack.object(sink, form, run.clone(), done.bytes)?;
        next = run.end;
    }
    pack.finish(sink)?;
    ControlFlow::Continue(next - at)
}

/// The form of the object at `at`, and where its stream begins.
fn head(bytes: &[u8], at: usize) -> Option<(Form, usize)> {
    let first = *bytes.get(at)?;
    let mut next = at + 1;
    let mut more = first & 0x80 != 0;
    // The size, which the stream says too.
    while more {
        more = bytes.get(next)? & 0x80 != 0;
        next += 1;
    }
    let form = match first >> 4 & 7 {
        1 => Form::Whole("commit"),
        2 => Form::Whole("tree"),
        3 => Form::Whole("blob"),
        4 => Form::Whole("tag"),
        6 => {
            let (mut distance, mut digits) = (0_usize, 0);
            loop {
                let byte = *bytes.get(next)?;
                next += 1;
                digits += 1;
                distance = distance.checked_shl(7)? | usize::from(byte & 0x7f);
                if byte & 0x80 == 0 {
                    break;
                }
                if digits > 8 {
                    return None;
                }
                distance += 1;
            }
            Form::Behind(at.checked_sub(distance)?)
        }
        7 => {
            let id = bytes.get(next..)?.first_chunk::<ID>()?;
            next += ID;
            Form::Named(*id)
        }
        _ => return None,
    };
    Some((form, next))
}

/// The objects of a pack so far.
#[derive(Default)]
struct Pack {
    /// By where they begin.
    objects: HashMap<usize, Object>,
    /// Ids of objects, made when the first delta asks for one.
    ids: HashMap<[u8; ID], usize>,
    waiting: Vec<Waiting>,
}

impl Pack {
    fn object(&mut self, sink: &mut Sink<'_, '_>, form: Form, run: Range<usize>, bytes: Vec<u8>) -> Flow {
        let at = run.start;
        match form {
            Form::Whole(name) => {
                sink.unpacked(bytes.clone(), run, "git-object")?;
                self.keep(at, Object { name, bytes });
                ControlFlow::Continue(())
            }
            Form::Behind(base) => self.delta(sink, at, Some(base), run, &bytes),
            Form::Named(base) => {
                self.waiting.push(Waiting { at, base, run, delta: bytes });
                ControlFlow::Continue(())
            }
        }
    }

    fn keep(&mut self, at: usize, object: Object) {
        if !self.ids.is_empty() {
            self.ids.insert(id(&object), at);
        }
        self.objects.insert(at, object);
    }

    /// What a delta adds to its base; alone, where the base is not in the pack: who receives it has that already.
    fn delta(&mut self, sink: &mut Sink<'_, '_>, at: usize, base: Option<usize>, run: Range<usize>, bytes: &[u8]) -> Flow {
        let Some(delta) = Delta::parse(bytes) else { return sink.unpacked(bytes.to_vec(), run, "git-delta") };
        let Some(base) = base.and_then(|at| self.objects.get(&at)) else {
            let added = delta.added();
            return sink.unpacked(added, run, "git-delta");
        };
        if !sink.budget.take(delta.length() as u64, at) {
            return ControlFlow::Continue(());
        }
        sink.work(delta.length() as u64 / 64, at)?;
        let Some(whole) = delta.apply(&base.bytes) else { return sink.unpacked(delta.added(), run, "git-delta") };
        let name = base.name;
        sink.unpacked(delta.around(&whole), run, "git-object")?;
        self.keep(at, Object { name, bytes: whole });
        ControlFlow::Continue(())
    }

    /// Deltas against ids: their bases may stand anywhere in the pack, and be deltas themselves.
    fn finish(&mut self, sink: &mut Sink<'_, '_>) -> Flow {
        if self.waiting.is_empty() {
            return ControlFlow::Continue(());
        }
        self.ids = self.objects.iter().map(|(at, object)| (id(object), *at)).collect();
        let mut waiting = std::mem::take(&mut self.waiting);
        loop {
            let before = waiting.len();
            let mut left = Vec::new();
            for one in waiting {
                match self.ids.get(&one.base) {
                    Some(base) => self.delta(sink, one.at, Some(*base), one.run, &one.delta)?,
                    None => left.push(one),
                }
            }
            waiting = left;
            // Each round costs a look at all that are left.
            sink.work(waiting.len() as u64, 0)?;
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        for one in waiting {
            self.delta(sink, one.at, None, one.run, &one.delta)?;
        }
        ControlFlow::Continue(())
    }
}

/// An object's id: the hash of its kind, its length and its content.
fn id(object: &Object) -> [u8; ID] {
    let mut hash = Sha1::new();
    hash.update(object.name);
    hash.update(format!(" {}\0", object.bytes.len()));
    hash.update(&object.bytes);
    hash.finalize().into()
}
