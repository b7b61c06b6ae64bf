//! A pack as it streams (gitformat-pack): objects whole, deltas undone as far as memory allows, else what they add.

mod delta;
mod entries;
mod entry;
mod objects;
mod tree;
mod undo;

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use crate::hash::{Format, Hasher, Id};
use crate::history::History;
use crate::push::{Event, Limits};
use entries::Raw;
pub use entry::Object;
use entry::{Form, Read};
use undo::Undo;

/// Why something was not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// A bound of memory or work was reached.
    Bound,
    /// It is not what it claims to be: a length, a number, a checksum, a stream.
    Broken,
    /// A delta's base is not in the pack: only its receiver knows what comes of it.
    Base,
}

/// Magic, version, number of objects.
const HEADER: usize = 12;
/// Bytes inflated at a time.
const STEP: usize = 32 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Head,
    Inflate,
    Trailer,
    End,
    /// From here on it is no pack, or not one that we can read further.
    Broken(u64),
}

/// The entry under way.
struct Entry {
    /// Where it begins in the request.
    at: u64,
    form: Form,
    size: u64,
    made: u64,
    /// Its content; for one that is too long to be held, always empty.
    content: Vec<u8>,
    hash: Option<Hasher>,
    held: bool,
    /// Its stream as it came, unless that is too long.
    stream: Option<Vec<u8>>,
}

impl Entry {
    /// Keeps a part of its stream, while that is short.
    fn keep(&mut self, part: &[u8]) {
        match &mut self.stream {
            Some(stream) if stream.len() + part.len() <= entries::LONGEST => stream.extend_from_slice(part),
            stream => *stream = None,
        }
    }
}

/// Reads a pack.
pub(crate) struct Pack {
    format: Format,
    limits: Limits,
    state: State,
    /// A part of a header, a head or a trailer.
    part: Vec<u8>,
    left: u32,
    /// Where the next byte stands in the request, and where the pack begins.
    at: u64,
    begin: u64,
    hash: Hasher,
    inflate: Decompress,
    scratch: Vec<u8>,
    entry: Option<Entry>,
    undo: Undo,
    history: Option<History>,
    /// Bytes made of those taken: inflated, and by deltas.
    made: u64,
}

impl std::fmt::Debug for Pack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pack").field("state", &self.state).field("at", &self.at).field("left", &self.left).finish_non_exhaustive()
    }
}

type Visit<'v> = &'v mut dyn FnMut(Event<'_>);

impl Pack {
    /// A pack that begins at `at` of the request; `history`: whether commits are remembered.
    pub(crate) fn new(at: u64, format: Format, limits: Limits, history: bool) -> Pack {
        Pack {
            format,
            limits,
            state: State::Header,
            part: Vec::new(),
            left: 0,
            at,
            begin: at,
            hash: Hasher::new(format),
            inflate: Decompress::new(true),
            scratch: vec![0; STEP],
            entry: None,
            undo: Undo::new(format, limits.memory),
            history: history.then(History::default),
            made: 0,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, mut input: &[u8], visit: Visit<'_>) {
        while !input.is_empty() {
            let used = match self.state {
                State::Header => self.header(input, visit),
                State::Head => self.head(input, visit),
                State::Inflate => self.content(input, visit),
                State::Trailer => self.trailer(input, visit),
                State::End => {
                    self.broken(self.at, visit);
                    0
                }
                State::Broken(_) => {
                    self.at += input.len() as u64;
                    input.len()
                }
            };
            input = input.get(used..).unwrap_or_default();
        }
    }

    /// No more bytes.
    pub(crate) fn finish(&mut self, visit: Visit<'_>) {
        match self.state {
            State::End | State::Broken(_) => {}
            _ => self.broken(self.safe(), visit),
        }
    }

    /// Whether `new` is proven to descend from `old`.
    pub(crate) fn descends(&self, new: Id, old: Id) -> bool {
        self.state == State::End && self.history.as_ref().is_some_and(|history| history.descends(new, old))
    }

    /// Up to here all was told in events, other than pieces of an object under way.
    pub(crate) fn safe(&self) -> u64 {
        match &self.entry {
            Some(entry) => entry.at,
            None => self.broken_at().unwrap_or(self.at - self.part.len() as u64),
        }
    }

    /// Where it stops being a pack, if it does.
    pub(crate) fn broken_at(&self) -> Option<u64> {
        match self.state {
            State::Broken(at) => Some(at),
            _ => None,
        }
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        let entry = self.entry.as_ref().map_or(0, |entry| entry.content.capacity());
        entry + self.undo.memory() + self.history.as_ref().map_or(0, History::memory) + 2 * STEP
    }

    /// Takes bytes into `part` until there are `wanted`; how many were taken, and whether it is full.
    fn collect(&mut self, input: &[u8], wanted: usize) -> (usize, bool) {
        let taken = input.len().min(wanted.saturating_sub(self.part.len()));
        self.part.extend_from_slice(input.get(..taken).unwrap_or_default());
        self.at += taken as u64;
        (taken, self.part.len() >= wanted)
    }

    fn header(&mut self, input: &[u8], visit: Visit<'_>) -> usize {
        let (taken, full) = self.collect(input, HEADER);
        if full {
            let part = std::mem::take(&mut self.part);
            self.hash.update(&part);
            match *part.as_slice() {
                [b'P', b'A', b'C', b'K', 0, 0, 0, 2 | 3, a, b, c, d] => {
                    self.left = u32::from_be_bytes([a, b, c, d]);
                    self.next();
                }
                _ => self.broken(self.begin, visit),
            }
        }
        taken
    }

    fn next(&mut self) {
        self.state = if self.left == 0 { State::Trailer } else { State::Head };
    }

    fn head(&mut self, input: &[u8], visit: Visit<'_>) -> usize {
        let before = self.part.len();
        let start = self.at - before as u64;
        let (taken, _) = self.collect(input, entry::LONGEST);
        match entry::read(&self.part, self.format) {
            Read::Short => taken,
            Read::Bad => {
                self.broken(start, visit);
                taken
            }
            Read::Head(head) => {
                self.hash.update(self.part.get(..head.len).unwrap_or_default());
                // What was read beyond the head is given back.
                let used = head.len.saturating_sub(before);
                self.at = start + head.len as u64;
                self.part.clear();
                let whole = match head.form {
                    Form::Whole(object) => Some(object),
                    _ => None,
                };
                let hash = whole.map(|object| {
                    let mut hash = Hasher::new(self.format);
                    hash.update(format!("{} {}\0", object.word(), head.size).as_bytes());
                    hash
                });
                let held = head.size <= self.limits.object() as u64;
                self.entry = Some(Entry {
                    at: start,
                    form: head.form,
                    size: head.size,
                    made: 0,
                    content: Vec::new(),
                    hash,
                    held,
                    stream: held.then(Vec::new),
                });
                self.inflate.reset(true);
                self.state = State::Inflate;
                used
            }
        }
    }

    fn content(&mut self, input: &[u8], visit: Visit<'_>) -> usize {
        let Some(mut entry) = self.entry.take() else { return 0 };
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(rest, &mut self.scratch, FlushDecompress::None);
            let taken = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(usize::MAX).min(rest.len());
            let made = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(usize::MAX).min(self.scratch.len());
            self.hash.update(rest.get(..taken).unwrap_or_default());
            entry.keep(rest.get(..taken).unwrap_or_default());
            used += taken;
            self.at += taken as u64;
            self.made += made as u64;
            entry.made += made as u64;
            let bytes = self.scratch.get(..made).unwrap_or_default();
            if let Some(hash) = &mut entry.hash {
                hash.update(bytes);
            }
            let ended = matches!(status, Ok(Status::StreamEnd));
            if entry.held {
                entry.content.extend_from_slice(bytes);
            } else {
                visit(Event::Piece { object: object_of(entry.form), bytes, start: entry.at, at: self.at, last: ended });
            }
            let lies = entry.made > entry.size || (ended && entry.made != entry.size);
            let stuck = taken == 0 && made == 0 && !rest.is_empty();
            if status.is_err() || lies || (stuck && !ended) || !self.affordable(0) {
                let miss = if self.affordable(0) { Miss::Broken } else { Miss::Bound };
                self.cut(&entry, miss, visit);
                return used;
            }
            if ended {
                self.whole(entry, visit);
                return used;
            }
            if input.len() == used && made < self.scratch.len() {
                self.entry = Some(entry);
                return used;
            }
        }
    }

    /// An entry that is not what it claims.
    fn cut(&mut self, entry: &Entry, miss: Miss, visit: Visit<'_>) {
        if !entry.held {
            visit(Event::Piece { object: object_of(entry.form), bytes: &[], start: entry.at, at: self.at, last: true });
        }
        visit(Event::Missed { at: entry.at, miss });
        self.state = State::Broken(entry.at);
    }

    /// An entry is complete.
    fn whole(&mut self, mut entry: Entry, visit: Visit<'_>) {
        self.left -= 1;
        let span = entry.at..self.at;
        let stream = entry.stream.take();
        let (at, size) = (entry.at, entry.content.len());
        let form = match entry.form {
            Form::Whole(object) => Some(Ok(object)),
            Form::Behind(distance) => Some(Err(entry.at.saturating_sub(distance))),
            Form::Named(_) => None,
        };
        match entry.form {
            Form::Whole(object) => {
                let name = entry.hash.and_then(Hasher::finish);
                if entry.held {
                    self.told(object, &entry.content, span, None, visit);
                }
                if let (Object::Commit, Some(history), Some(name)) = (object, &mut self.history, name) {
                    history.add(name, &entry.content);
                }
                let content = entry.held.then_some(entry.content);
                self.made(object, content, name, entry.at, visit);
            }
            Form::Behind(distance) => {
                let base = entry.at.checked_sub(distance).filter(|base| *base >= self.begin + HEADER as u64 && distance > 0);
                match base {
                    Some(base) if entry.held => {
                        let base = self.base_at(base);
                        self.delta(entry.at, base, &entry.content, span, visit);
                    }
                    Some(_) => visit(Event::Missed { at: entry.at, miss: Miss::Bound }),
                    None => {
                        visit(Event::Object { object: None, bytes: &entry.content, span });
                        visit(Event::Missed { at: entry.at, miss: Miss::Broken });
                    }
                }
            }
            Form::Named(name) if entry.held => self.named(entry.at, name, entry.content, span, visit),
            // Too long to be looked at as what it is.
            Form::Named(_) => visit(Event::Missed { at: entry.at, miss: Miss::Bound }),
        }
        if let (Some(form), Some(stream)) = (form, stream) {
            self.undo.entries.keep(at, Raw { form, size, stream });
        }
        self.catch_up(visit);
        self.next();
    }

    /// Tells an object; of one made by a delta, what is new in it.
    fn told(&self, object: Object, bytes: &[u8], span: Range<u64>, delta: Option<&delta::Delta<'_>>, visit: Visit<'_>) {
        match (object, delta) {
            (Object::Tree, delta) => {
                let changed = delta.map(|delta| delta.changed(delta::AROUND));
                let names = tree::names(bytes, self.format, changed.as_deref());
                visit(Event::Object { object: Some(object), bytes: &names, span });
            }
            (_, Some(delta)) => visit(Event::Object { object: Some(object), bytes: &delta.around(bytes), span }),
            (_, None) => visit(Event::Object { object: Some(object), bytes, span }),
        }
    }

    fn trailer(&mut self, input: &[u8], visit: Visit<'_>) -> usize {
        let (taken, full) = self.collect(input, self.format.bytes());
        if full {
            let part = std::mem::take(&mut self.part);
            let hash = std::mem::replace(&mut self.hash, Hasher::new(self.format));
            if hash.finish() == Id::raw(&part) {
                // Not told to the end: it is kept as a part.
                self.part = part;
                self.state = State::End;
                if let Some(at) = self.undo.unmet() {
                    visit(Event::Missed { at, miss: Miss::Base });
                }
            } else {
                self.broken(self.at - part.len() as u64, visit);
            }
        }
        taken
    }

    fn broken(&mut self, at: u64, visit: Visit<'_>) {
        if let Some(entry) = self.entry.take() {
            return self.cut(&entry, Miss::Broken, visit);
        }
        visit(Event::Missed { at, miss: Miss::Broken });
        self.state = State::Broken(at);
    }

    /// Whether so many more bytes may be made of those that came.
    fn affordable(&self, more: u64) -> bool {
        let taken = self.at.saturating_sub(self.begin);
        let most = self.limits.grace.saturating_add(taken.saturating_mul(self.limits.ratio));
        self.made.saturating_add(more) <= most
    }
}

fn object_of(form: Form) -> Option<Object> {
    match form {
        Form::Whole(object) => Some(object),
        Form::Behind(_) | Form::Named(_) => None,
    }
}
