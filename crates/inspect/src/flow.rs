//! One request on its way: bytes in, bytes that may travel out.
//!
//! A body is *gathered* up to the buffer limit and judged as a whole; a longer one, or one whose sender pauses, is *sliding*: what no
//! finding can still reach is released, the rest is held. gRPC bodies are cut at their own messages.

use std::fmt;

use bytes::{Bytes, BytesMut};
use engine::{Coverage, Gap, Kind, Location, Media, Stream};
use policy::{Action, Judged, Located, Reason, Redaction};

use crate::calls::{self, Calls};
use crate::case::Case;
use crate::chains;
use crate::fair::Share;
use crate::frames::{self, Frame};
use crate::push::Push;
use crate::redact::{self, Place, Replacement};
use crate::{HeadEdits, Header, Outcome};

/// What opening a flow gave.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a request without a body is the common case: it should not cost an allocation")]
pub enum Opened {
    /// Decided by the head alone: denied, or no body follows. The edits are what redaction changes.
    Decided(Outcome, HeadEdits),
    /// The body decides.
    Body(Box<Flow>),
}

/// Bytes that may travel. Its `Debug` shows their number.
#[derive(Clone, Default)]
pub struct Release {
    /// Set with the first release: the head may travel, with these edits.
    pub head: Option<HeadEdits>,
    /// Body bytes, judged and rewritten where needed.
    pub body: Bytes,
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").field("head", &self.head).field("body_bytes", &self.body.len()).finish()
    }
}

/// What follows from a chunk.
#[derive(Debug)]
pub enum Step {
    /// Nothing may travel yet.
    Hold,
    /// This may travel.
    Release(Release),
    /// The request is denied; the flow is over.
    Deny(Outcome),
}

/// What the head says of the body.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) media: Media,
    pub(crate) content_length: Option<u64>,
    /// For a gRPC request, its `grpc-encoding` (`None` inside: not given).
    pub(crate) grpc: Option<Option<String>>,
    /// For a push, the repository.
    pub(crate) repository: Option<String>,
    /// What reads what it asks for.
    pub(crate) calls: Calls,
}

/// How the body is looked at.
enum Mode {
    /// All of it is held.
    Gather,
    /// What was scanned and cannot be part of a finding any more is released.
    Slide(Box<Stream>),
    /// Message by message.
    Messages,
    /// Refs and objects of a push: what was looked at is released beyond the buffer, the end never before the verdict.
    Push(Box<Push>),
    /// A push was refused: the rest is taken and thrown away, since git reads no answer before it has sent all.
    Drain,
}

/// One request with a body on its way.
pub struct Flow {
    case: Case,
    edits: Option<HeadEdits>,
    body: Body,
    mode: Mode,
    /// Bytes that have not been released, from `base` on.
    held: BytesMut,
    base: u64,
    /// Replacements in held bytes.
    replacements: Vec<Replacement>,
    share: Share,
    over: bool,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("base", &self.base).field("held", &self.held.len()).field("over", &self.over).finish_non_exhaustive()
    }
}

/// Under pressure a hold is not made smaller than this.
const LEAST_HOLD: usize = 64 << 10;

impl Flow {
    /// A flow, or how the request ended before its body came.
    pub(crate) fn new(mut case: Case, edits: HeadEdits, mut body: Body) -> Result<Flow, Box<Outcome>> {
        let mode = match body.repository.take() {
            Some(repository) => {
                let policy = &case.snapshot.policy;
                match Push::new(repository, &body.media, &policy.limits(), policy.git_memory_bytes()) {
                    Ok(push) => Mode::Push(Box::new(push)),
                    Err(reason) => {
                        case.deny(reason);
                        return Err(Box::new(case.outcome()));
                    }
                }
            }
            // What reads JSON and what reads messages cannot both be right.
            None if body.grpc.is_some() && body.calls.needs_all() => {
                case.deny(Reason::Ambiguous);
                return Err(Box::new(case.outcome()));
            }
            None if body.grpc.is_some() => Mode::Messages,
            None => Mode::Gather,
        };
        let share = case.shared.memory.share(&case.subject.sandbox);
        Ok(Flow { case, edits: Some(edits), body, mode, held: BytesMut::new(), base: 0, replacements: Vec::new(), share, over: false })
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, chunk: Bytes) -> Step {
        if self.over {
            return self.denied();
        }
        self.case.count(chunk.len());
        if matches!(self.mode, Mode::Drain) {
            return Step::Hold;
        }
        if self.case.denied() {
            return if self.pushes() { self.drain() } else { self.denied() };
        }
        if self.body.content_length.is_some_and(|length| self.case.body_bytes > length) {
            return self.deny(Reason::Ambiguous);
        }
        self.body.calls.push(&mut self.case, &chunk);
        if self.case.denied() {
            return self.denied();
        }
        let limits = self.case.limits();
        self.make_room(chunk.len(), limits.buffer_bytes);
        self.held.extend_from_slice(&chunk);
        if matches!(self.mode, Mode::Push(_)) {
            return self.push_on(&chunk);
        }
        // The engine keeps a copy of what it still looks at.
        if !self.share.resize(self.held.len().saturating_mul(2), limits.memory_bytes) {
            return self.deny(Reason::Overloaded);
        }
        match &mut self.mode {
            Mode::Messages => self.messages(),
            Mode::Slide(stream) => {
                let progress = stream.push(&chunk);
                self.advance(progress)
            }
            Mode::Gather => {
                let allowance = self.case.shared.memory.allowance(limits.memory_bytes, limits.buffer_bytes, LEAST_HOLD);
                if self.held.len() <= allowance { Step::Hold } else { self.slide(allowance) }
            }
            Mode::Push(_) | Mode::Drain => Step::Hold,
        }
    }

    /// Makes room for a body whose length is known at once rather than by doubling, as soon as so much has come that it is no mere claim.
    fn make_room(&mut self, more: usize, most: usize) {
        let (held, next) = (self.held.len(), self.held.len().saturating_add(more));
        if next > self.held.capacity()
            && next > LEAST_HOLD
            && let Some(length) = self.body.content_length
        {
            let whole = usize::try_from(length).unwrap_or(usize::MAX).min(most).max(next);
            self.held.reserve(whole - held);
        }
    }

    /// The next bytes of a push, which are held already.
    fn push_on(&mut self, chunk: &[u8]) -> Step {
        let Mode::Push(push) = &mut self.mode else { return Step::Hold };
        let limits = self.case.limits();
        if let Err(reason) = push.take(&mut self.case, chunk) {
            self.case.deny(reason);
        }
        let allowance = self.case.shared.memory.allowance(limits.memory_bytes, limits.buffer_bytes, LEAST_HOLD);
        let long = self.held.len() > allowance || self.base > 0;
        if self.held.len() > allowance && push.whole() {
            self.case.deny(Reason::LimitExceeded);
        } else if !self.share.resize(self.held.len().saturating_add(push.memory()), limits.memory_bytes) {
            self.case.deny(Reason::Overloaded);
        }
        if self.case.denied() {
            return self.drain();
        }
        let clean = usize::try_from(push.clean_to().saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.held.len());
        if long && clean > 0 { Step::Release(self.cut(clean)) } else { Step::Hold }
    }

    /// Throws away what is held and what comes.
    fn drain(&mut self) -> Step {
        self.name_refs();
        self.mode = Mode::Drain;
        self.held = BytesMut::new();
        let _shrunk = self.share.resize(0, usize::MAX);
        Step::Hold
    }

    /// Whether this is a push, whose sender may think for as long as it likes.
    fn pushes(&self) -> bool {
        matches!(self.mode, Mode::Push(_) | Mode::Drain)
    }

    /// The sender pauses: releases the clean head and what no live candidate claims. Not for bodies whose length is known: they are awaited.
    pub fn pause(&mut self) -> Step {
        if self.over {
            return self.denied();
        }
        if self.pushes() || self.body.calls.needs_all() {
            return Step::Hold;
        }
        if self.held.is_empty() {
            return match self.edits.take() {
                Some(edits) => Step::Release(Release { head: Some(edits), body: Bytes::new() }),
                None => Step::Hold,
            };
        }
        if matches!(self.mode, Mode::Gather) {
            let first = self.slide(self.case.limits().buffer_bytes);
            if matches!(first, Step::Deny(_)) {
                return first;
            }
        }
        match &mut self.mode {
            Mode::Slide(stream) => {
                let progress = stream.settle();
                self.advance(progress)
            }
            Mode::Gather | Mode::Messages | Mode::Push(_) | Mode::Drain => Step::Hold,
        }
    }

    /// How long the body is, if the head says so.
    pub fn expected(&self) -> Option<u64> {
        self.body.content_length
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many bytes the next `more` bytes of the body make the engine look at, about; `last`: nothing follows them.
    pub fn work(&self, more: usize, last: bool) -> usize {
        let all = self.held.len().saturating_add(more);
        match self.mode {
            Mode::Gather if last || all > self.case.limits().buffer_bytes => all,
            Mode::Gather | Mode::Drain => 0,
            Mode::Slide(_) if !last => more,
            Mode::Slide(_) | Mode::Messages | Mode::Push(_) => all,
        }
    }

    /// Whether bytes, or the head, are held that no release has covered yet.
    pub fn holds(&self) -> bool {
        !self.over && !self.pushes() && !self.body.calls.needs_all() && (self.edits.is_some() || !self.held.is_empty())
    }

    /// A claimed tail was held for as long as it may be: it counts as not looked into, and policy says whether it travels.
    pub fn expire(&mut self) -> Step {
        if self.over {
            return self.denied();
        }
        if self.pushes() || self.body.calls.needs_all() {
            return Step::Hold;
        }
        self.case.take(Vec::new(), Coverage::Partial { at: self.base, gap: Gap::Budget });
        if self.case.denied() {
            return self.denied();
        }
        self.release(self.held.len())
    }

    /// Ends the flow: something outside of it went wrong.
    pub fn fail(mut self: Box<Self>, reason: Reason) -> Outcome {
        self.case.deny(reason);
        self.name_refs();
        self.case.outcome()
    }

    /// For a push, what became of its refs.
    fn name_refs(&mut self) {
        if let Mode::Push(push) = &self.mode {
            self.case.refs = push.refs(&self.case).map(Into::into);
        }
    }

    /// The body is complete (with `trailers`). The last release, unless denied.
    pub fn finish(mut self: Box<Self>, trailers: &[Header]) -> (Outcome, Release) {
        let short = self.body.content_length.is_some_and(|length| self.case.body_bytes != length);
        if short {
            self.case.deny(Reason::Ambiguous);
        }
        if !self.over && !self.case.denied() {
            self.trailers(trailers);
        }
        if !self.over && !self.case.denied() && !self.pushes() {
            self.body.calls.finish(&mut self.case, &self.body.media, &self.held);
        }
        let release = if self.over || self.case.denied() { None } else { self.rest() };
        self.name_refs();
        let outcome = self.case.outcome();
        match release {
            Some(release) if !self.case.denied() => (outcome, release),
            _ => (outcome, Release::default()),
        }
    }

    fn trailers(&mut self, trailers: &[Header]) {
        for trailer in trailers {
            let kind = Kind::of(Location::Trailer(trailer.name.to_ascii_lowercase().into()));
            for bytes in [trailer.value.as_ref(), trailer.name.as_bytes()] {
                let report = self.case.scan(&kind, bytes);
                let located =
                    report.findings.iter().map(|finding| Located { location: kind.location.clone(), finding: finding.clone() }).collect();
                let judged = self.case.take(located, report.coverage);
                // A trailer arrives when the head has long gone: nobody expects it to be rewritten.
                if judged.iter().any(|j| j.action == Action::Redact) {
                    self.case.deny(Reason::RedactionImpossible);
                }
            }
        }
    }

    /// What is still held when the body ends.
    fn rest(&mut self) -> Option<Release> {
        match std::mem::replace(&mut self.mode, Mode::Gather) {
            Mode::Gather => self.whole(),
            Mode::Push(mut push) => {
                if let Err(reason) = push.finish(&mut self.case, &self.held, self.base) {
                    self.case.deny(reason);
                }
                self.case.refs = push.refs(&self.case).map(Into::into);
                if self.case.denied() { None } else { Some(self.cut(self.held.len())) }
            }
            Mode::Drain => None,
            Mode::Messages if self.held.is_empty() => Some(self.cut(0)),
            Mode::Messages => {
                self.case.deny(Reason::Ambiguous);
                None
            }
            Mode::Slide(stream) => {
                let mut report = stream.finish();
                report.findings.extend(self.case.assembled(&report.parts));
                self.found(report.findings, report.coverage);
                if self.case.denied() { None } else { self.rewritten(self.held.len()) }
            }
        }
    }

    /// The whole body at once: the only form in which lengths may change under a content length, and in which structure is checked.
    fn whole(&mut self) -> Option<Release> {
        let kind = Kind::body(self.body.media.clone());
        let report = self.case.scan(&kind, &self.held);
        self.found(report.findings.clone(), report.coverage);
        if self.case.denied() {
            return None;
        }
        if self.body.media.content_encoding.is_empty() {
            let content_type = self.case.subject.content_type.clone();
            let found = self.case.chained(&chains::of_body(&content_type, &self.held));
            self.found(found.into_iter().map(|located| located.finding).collect(), Coverage::Complete);
            if self.case.denied() {
                return None;
            }
        }
        if self.replacements.is_empty() {
            return Some(self.cut(self.held.len()));
        }
        let place = self.place(false);
        let new = redact::rewrite(&self.held, self.base, &self.replacements, place).filter(|new| {
            let valid = |bytes: &[u8]| serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
            (!valid(&self.held) || valid(new)) && self.case.clean_again(&kind, new, true)
        });
        let Some(new) = new else {
            self.case.deny(Reason::RedactionImpossible);
            return None;
        };
        let mut release = self.cut(self.held.len());
        if let (Some(head), Some(_)) = (&mut release.head, self.body.content_length) {
            head.content_length = Some(new.len() as u64);
        }
        release.body = Bytes::from(new);
        Some(release)
    }

    /// How a secret in the body is replaced; `fixed`: the length must stay.
    fn place(&self, fixed: bool) -> Place {
        let form = is_form(&self.body.media);
        match (fixed || self.case.redaction() == Redaction::FixedLength, form) {
            (true, true) => Place::ExactEscaped,
            (true, false) => Place::Exact,
            (false, true) => Place::Escaped,
            (false, false) => Place::Text,
        }
    }

    /// From gathering to sliding: the engine gets what was gathered.
    fn slide(&mut self, whole_bytes: usize) -> Step {
        if self.body.calls.needs_all() {
            calls::too_long(&mut self.case);
            return self.denied();
        }
        let mut stream = Box::new(self.case.snapshot.engine.stream_within(Kind::body(self.body.media.clone()), whole_bytes));
        let progress = stream.push(&self.held);
        self.mode = Mode::Slide(stream);
        self.advance(progress)
    }

    fn advance(&mut self, mut progress: engine::Progress) -> Step {
        progress.findings.extend(self.case.assembled(&progress.parts));
        self.found(progress.findings, progress.coverage);
        if self.case.denied() {
            return self.denied();
        }
        let clean = usize::try_from(progress.clean_to.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.held.len());
        if clean == 0 { Step::Hold } else { self.release(clean) }
    }

    /// Every complete message, each scanned on its own.
    fn messages(&mut self) -> Step {
        let mut clean = 0;
        loop {
            let rest = self.held.get(clean..).unwrap_or_default();
            match frames::first(rest) {
                Frame::Incomplete => break,
                Frame::Invalid => return self.deny(Reason::Ambiguous),
                Frame::Message { compressed, len } => {
                    let coding = match &self.body.grpc {
                        Some(Some(coding)) if compressed => vec![coding.clone()],
                        _ if compressed => vec!["(not declared)".to_owned()],
                        _ => Vec::new(),
                    };
                    let payload = rest.get(frames::PREFIX_BYTES..len).unwrap_or_default();
                    let kind = Kind::body(Media { content_type: Some("application/protobuf".into()), content_encoding: coding });
                    let report = self.case.scan(&kind, payload);
                    let at = self.base + (clean + frames::PREFIX_BYTES) as u64;
                    let moved = report.findings.iter().cloned().map(|mut f| {
                        f.span = f.span.start + at..f.span.end + at;
                        f
                    });
                    self.found(moved.collect(), report.coverage);
                    // Lengths inside a message are its sender's: no text is exchanged in it.
                    if !self.replacements.is_empty() {
                        self.case.deny(Reason::RedactionImpossible);
                    }
                    if self.case.denied() {
                        return self.denied();
                    }
                    clean += len;
                }
            }
        }
        if clean == 0 { Step::Hold } else { self.release(clean) }
    }

    /// Takes findings in, and notes what is to be replaced.
    fn found(&mut self, findings: Vec<engine::Finding>, coverage: Coverage) {
        let replacements: Vec<Replacement> = findings.iter().map(Replacement::of).collect();
        let judged: Vec<Judged> = self.case.take_body(findings, coverage);
        self.replacements.extend(replacements.into_iter().zip(judged).filter(|(_, j)| j.action == Action::Redact).map(|(r, _)| r));
    }

    /// Releases the first `clean` held bytes, rewritten.
    fn release(&mut self, clean: usize) -> Step {
        match self.rewritten(clean) {
            Some(release) => Step::Release(release),
            None => self.denied(),
        }
    }

    /// The first `clean` held bytes, rewritten; with a known length the replacements keep it.
    fn rewritten(&mut self, clean: usize) -> Option<Release> {
        let until = self.base + clean as u64;
        let (due, later): (Vec<Replacement>, Vec<Replacement>) = self.replacements.drain(..).partition(|r| r.span.start < until);
        self.replacements = later;
        if due.is_empty() {
            return Some(self.cut(clean));
        }
        let place = self.place(self.body.content_length.is_some());
        let part = self.held.get(..clean).unwrap_or_default();
        let kind = Kind::body(Media { content_encoding: Vec::new(), ..self.body.media.clone() });
        let new = redact::rewrite(part, self.base, &due, place).filter(|new| self.case.clean_again(&kind, new, false));
        let Some(new) = new else {
            self.case.deny(Reason::RedactionImpossible);
            return None;
        };
        let mut release = self.cut(clean);
        release.body = Bytes::from(new);
        Some(release)
    }

    /// Takes bytes out of the hold, as they came, and the head with the first of them.
    fn cut(&mut self, clean: usize) -> Release {
        let body = self.held.split_to(clean.min(self.held.len())).freeze();
        self.base += body.len() as u64;
        // Giving memory back always succeeds.
        let _shrunk = self.share.resize(self.held.len().saturating_mul(2), usize::MAX);
        Release { head: self.edits.take(), body }
    }

    fn deny(&mut self, reason: Reason) -> Step {
        self.case.deny(reason);
        self.denied()
    }

    /// The flow is over; nothing held ever travels.
    fn denied(&mut self) -> Step {
        self.over = true;
        self.held.clear();
        Step::Deny(self.case.outcome())
    }
}

fn is_form(media: &Media) -> bool {
    media.content_type.as_deref().is_some_and(|t| t.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"))
}
