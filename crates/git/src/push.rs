//! The body of a push as it comes (gitprotocol-pack, "Pushing Data To a Server").

use std::fmt;
use std::ops::Range;

use gix_packetline::PacketLineRef;
use gix_packetline::decode::{self, Stream};

use crate::commands::{Commands, Reader, Update};
use crate::pack::{Miss, Object, Pack};

/// What a push may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of objects that are kept, since deltas may be against them. A single object up to a quarter of it is looked at as a whole and may be
    /// a base; a longer one is looked at as it comes.
    pub memory: usize,
    /// Bytes that a pack may inflate to, deltas undone included, beyond what its length allows.
    pub grace: u64,
    /// Bytes for each byte of the pack.
    pub ratio: u64,
}

impl Limits {
    pub(crate) fn object(&self) -> usize {
        self.memory / 4
    }
}

/// What a line before the pack is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// The command for a ref, capabilities included.
    Ref,
    /// A line of a push certificate.
    Certificate,
    /// A push option.
    Option,
}

/// What was read.
pub enum Event<'b> {
    /// A line before the pack.
    Line {
        /// What it is.
        text: Text,
        /// Its bytes.
        bytes: &'b [u8],
        /// Where it stands in the request.
        span: Range<u64>,
    },
    /// A whole object: for a tree the names in it; for one that a delta makes, what is new with what stands around it.
    Object {
        /// What it is; `None` for what a delta adds, where its base is not in the pack.
        object: Option<Object>,
        /// Its text.
        bytes: &'b [u8],
        /// Where its entry stands in the request.
        span: Range<u64>,
    },
    /// A part of an object that is too long to be held. Parts follow one another without anything in between.
    Piece {
        /// What it is; `None`: a delta as it stands.
        object: Option<Object>,
        /// The next bytes.
        bytes: &'b [u8],
        /// Where it begins in the request.
        start: u64,
        /// Up to where the request was taken to make them.
        at: u64,
        /// Whether these are the last.
        last: bool,
    },
    /// Something was not looked into.
    Missed {
        /// Where it begins in the request.
        at: u64,
        /// Why.
        miss: Miss,
    },
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Line { text, bytes, span } => write!(f, "Line({text:?}, {} bytes, {span:?})", bytes.len()),
            Event::Object { object, bytes, span } => write!(f, "Object({object:?}, {} bytes, {span:?})", bytes.len()),
            Event::Piece { object, bytes, start, at, last } => write!(f, "Piece({object:?}, {} bytes, {start}..{at}, {last})", bytes.len()),
            Event::Missed { at, miss } => write!(f, "Missed({at}, {miss:?})"),
        }
    }
}

/// What comes is no push, or one that can be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

enum State {
    Commands,
    Pack(Box<Pack>),
    /// All was read: nothing may follow.
    End,
}

/// Reads a push. What it tells depends on the bytes alone, not on how they were cut (pieces apart, which may be cut elsewhere).
pub struct Push {
    state: State,
    reader: Reader,
    limits: Limits,
    /// A part of a packet, and where it begins in the request.
    part: Vec<u8>,
    at: u64,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("at", &self.at).field("commands", &self.reader.commands).finish_non_exhaustive()
    }
}

impl Push {
    /// Nothing was read yet.
    pub fn new(limits: Limits) -> Push {
        Push { state: State::Commands, reader: Reader::new(), limits, part: Vec::new(), at: 0 }
    }

    /// Takes the next bytes, and tells what is in them.
    ///
    /// # Errors
    /// [`Malformed`] for what is no push. What is wrong with the pack alone is told as an event.
    pub fn push(&mut self, bytes: &[u8], visit: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        match &mut self.state {
            State::Pack(pack) => {
                pack.feed(bytes, visit);
                return Ok(());
            }
            State::End if bytes.is_empty() => return Ok(()),
            State::End => return Err(Malformed),
            State::Commands => {}
        }
        self.part.extend_from_slice(bytes);
        let part = std::mem::take(&mut self.part);
        let mut used = 0;
        while matches!(self.state, State::Commands) {
            let rest = part.get(used..).unwrap_or_default();
            match decode::streaming(rest).map_err(|_| Malformed)? {
                Stream::Incomplete { .. } => break,
                Stream::Complete { line, bytes_consumed } => {
                    let span = self.at..self.at + bytes_consumed as u64;
                    used += bytes_consumed;
                    self.at = span.end;
                    self.packet(line, span, visit)?;
                }
            }
        }
        let rest = part.get(used..).unwrap_or_default();
        match self.state {
            State::Commands => {
                self.part = rest.to_vec();
                Ok(())
            }
            _ => self.push(rest, visit),
        }
    }

    fn packet(&mut self, line: PacketLineRef<'_>, span: Range<u64>, visit: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        match line {
            PacketLineRef::Data(payload) => {
                let text = match self.reader.decided() {
                    true => Text::Option,
                    false if self.reader.commands.signed => Text::Certificate,
                    false => Text::Ref,
                };
                visit(Event::Line { text, bytes: payload, span: span.clone() });
                self.reader.line(payload, span)?;
            }
            PacketLineRef::Flush => self.reader.flush()?,
            PacketLineRef::Delimiter | PacketLineRef::ResponseEnd => return Err(Malformed),
        }
        if self.reader.ended() {
            let commands = &self.reader.commands;
            // Only what changes a ref that is there can be a forced push.
            let history = commands.updates.iter().any(|update| update.old.is_some() && update.new.is_some());
            self.state = if commands.want_pack() {
                State::Pack(Box::new(Pack::new(self.at, commands.capabilities.format, self.limits, history)))
            } else {
                State::End
            };
        }
        Ok(())
    }

    /// No more bytes: tells what is left.
    ///
    /// # Errors
    /// [`Malformed`] when the commands are not complete.
    pub fn finish(&mut self, visit: &mut dyn FnMut(Event<'_>)) -> Result<(), Malformed> {
        match &mut self.state {
            State::Commands => Err(Malformed),
            State::Pack(pack) => {
                pack.finish(visit);
                Ok(())
            }
            State::End => Ok(()),
        }
    }

    /// The commands as far as they were read; complete as soon as [`Push::decided`] says so.
    pub fn commands(&self) -> &Commands {
        &self.reader.commands
    }

    /// Whether the commands are complete.
    pub fn decided(&self) -> bool {
        self.reader.decided()
    }

    /// Whether the commits of the pack prove that what `update` wants is a descendant of what is there: no fast-forward without such a proof.
    pub fn descends(&self, update: &Update) -> bool {
        match (&self.state, update.new, update.old) {
            (_, Some(new), Some(old)) if new == old => true,
            (State::Pack(pack), Some(new), Some(old)) => pack.descends(new, old),
            _ => false,
        }
    }

    /// Whether the pack is none that we can read: from [`Push::told`] on nothing is told, and it may be anything to who receives it.
    pub fn broken(&self) -> bool {
        matches!(&self.state, State::Pack(pack) if pack.broken_at().is_some())
    }

    /// Everything before this offset of the request was told in events, but for pieces of an object under way. It never reaches the end of a pack:
    /// without its checksum a pack is not taken by who receives it.
    pub fn told(&self) -> u64 {
        match &self.state {
            State::Pack(pack) => pack.safe(),
            State::Commands | State::End => self.at,
        }
    }

    /// Bytes held, about.
    pub fn memory(&self) -> usize {
        let pack = if let State::Pack(pack) = &self.state { pack.memory() } else { 0 };
        let lines: usize = self.reader.commands.updates.iter().map(|update| update.name.len() + 128).sum();
        pack + lines + self.part.capacity()
    }
}
