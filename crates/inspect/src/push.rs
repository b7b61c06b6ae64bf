//! A push on its way: its refs judged, its objects looked into as they come.

mod gunzip;
mod pieces;

use std::fmt;

use engine::{Coverage, Engine, Finding, Gap, Kind, LayerId, Media};
use git::{Event, Miss, Object, Text};
use policy::{PolicyLimits, Reason, RefChange};

use crate::case::Case;
use gunzip::Gunzip;
use pieces::Pieces;

/// A frame of pkt-line before a line's text (gitprotocol-common).
const FRAME: u64 = 4;

/// What became of the refs of a push, for the answer. Its `Debug` shows no name.
#[derive(Clone)]
pub(crate) struct Refs {
    pub(crate) capabilities: git::Capabilities,
    pub(crate) refs: Vec<Ref>,
}

/// One ref of a push.
#[derive(Clone)]
pub(crate) struct Ref {
    pub(crate) name: String,
    /// Why it may not change like that, for itself.
    pub(crate) reason: Option<Reason>,
    /// Whether a secret is in its name.
    pub(crate) masked: bool,
}

impl fmt::Debug for Refs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refs").field("refs", &self.refs.len()).finish_non_exhaustive()
    }
}

/// A push.
pub(crate) struct Push {
    reader: git::Push,
    repository: String,
    gunzip: Option<Gunzip>,
    /// Whether there is one: while it runs it is not in its place.
    compressed: bool,
    media: Media,
    pieces: Option<Pieces>,
    /// One entry for each ref, as soon as the commands are complete.
    reasons: Vec<Option<Reason>>,
    judged: bool,
}

/// What the reader's events need.
struct Looking<'p> {
    engine: Engine,
    case: &'p mut Case,
    pieces: &'p mut Option<Pieces>,
    /// Where a compressed body ends so far: there the offsets of the reader are none of the body.
    compressed: Option<u64>,
}

impl Push {
    /// A push to `repository`, whose body has these codings.
    ///
    /// # Errors
    /// A coding that git does not read.
    pub(crate) fn new(repository: String, media: &Media, limits: &PolicyLimits, memory: usize) -> Result<Push, Reason> {
        let gunzip = match media.content_encoding.as_slice() {
            [] => None,
            [coding] if coding == "gzip" => Some(Gunzip::new(limits)),
            _ => return Err(Reason::Ambiguous),
        };
        let reader = git::Push::new(git::Limits { memory, grace: limits.decoded_bytes, ratio: limits.ratio });
        let compressed = gunzip.is_some();
        Ok(Push { reader, repository, gunzip, compressed, media: media.clone(), pieces: None, reasons: Vec::new(), judged: false })
    }

    /// Takes the next bytes of the body.
    pub(crate) fn take(&mut self, case: &mut Case, chunk: &[u8]) -> Result<(), Reason> {
        match self.gunzip.take() {
            None => self.read(case, chunk),
            Some(mut gunzip) => {
                let read = gunzip.feed(chunk, |bytes| self.read(case, bytes));
                self.gunzip = Some(gunzip);
                read
            }
        }
    }

    fn read(&mut self, case: &mut Case, bytes: &[u8]) -> Result<(), Reason> {
        if case.denied() {
            return Ok(());
        }
        let compressed = self.compressed.then_some(case.body_bytes);
        let mut looking = Looking { engine: case.snapshot.engine.clone(), case, pieces: &mut self.pieces, compressed };
        let read = self.reader.push(bytes, &mut |event| looking.event(event));
        read.map_err(|_| Reason::Ambiguous)?;
        self.judge(case);
        Ok(())
    }

    /// Judges the commands once they are complete.
    fn judge(&mut self, case: &mut Case) {
        if self.judged || !self.reader.decided() {
            return;
        }
        self.judged = true;
        let policy = &case.snapshot.policy;
        let commands = self.reader.commands();
        let change = |update: &git::Update| match (&update.old, &update.new) {
            (_, None) => RefChange::Delete,
            (None, _) => RefChange::Create,
            _ => RefChange::Update,
        };
        let judge = |update| policy.judge_ref(&case.subject, &self.repository, name(update), change(update), commands.signed).err();
        self.reasons = commands.updates.iter().map(judge).collect();
        if let Some(reason) = self.reasons.iter().find_map(|reason| *reason) {
            case.deny(reason);
        }
    }

    /// The body is complete: what is left is looked at (`held`: what was not released, from `base` on), and refs that move must be proven to lose nothing.
    pub(crate) fn finish(&mut self, case: &mut Case, held: &[u8], base: u64) -> Result<(), Reason> {
        if let Some(gunzip) = &self.gunzip
            && !gunzip.ended()
        {
            return Err(Reason::Ambiguous);
        }
        let compressed = self.compressed.then_some(case.body_bytes);
        let mut looking = Looking { engine: case.snapshot.engine.clone(), case, pieces: &mut self.pieces, compressed };
        let read = self.reader.finish(&mut |event| looking.event(event));
        read.map_err(|_| Reason::Ambiguous)?;
        if self.reader.broken() {
            // It may be anything to who receives it: it is looked at as any body is.
            let report = case.snapshot.engine.scan(&Kind::body(self.media.clone()), held);
            let mut looking = Looking { engine: case.snapshot.engine.clone(), case, pieces: &mut self.pieces, compressed };
            let moved = report.findings.into_iter().map(|mut finding| {
                finding.span = finding.span.start + base..finding.span.end + base;
                finding
            });
            looking.found(moved.collect(), report.coverage);
        }
        self.judge(case);
        if !case.snapshot.policy.may_force(&case.subject, &self.repository) {
            for (update, reason) in self.reader.commands().updates.iter().zip(&mut self.reasons) {
                let moves = update.old.is_some() && update.new.is_some();
                if moves && reason.is_none() && !self.reader.descends(update) {
                    *reason = Some(Reason::GitForcePush);
                    case.deny(Reason::GitForcePush);
                }
            }
        }
        Ok(())
    }

    /// Bytes of the body before this may travel.
    pub(crate) fn clean_to(&self) -> u64 {
        match &self.pieces {
            _ if self.compressed => 0,
            Some(pieces) if !self.reader.broken() => pieces.clean_to(),
            _ => self.reader.told(),
        }
    }

    /// Whether what is still held can be released only at the end.
    pub(crate) fn whole(&self) -> bool {
        self.compressed || self.reader.broken()
    }

    /// Bytes held, about.
    pub(crate) fn memory(&self) -> usize {
        self.reader.memory() + self.pieces.as_ref().map_or(0, Pieces::memory)
    }

    /// What became of the refs, as far as they are known.
    pub(crate) fn refs(&self, case: &Case) -> Option<Refs> {
        let commands = self.reader.commands();
        let hit = |update: &git::Update| (self.compressed && case.found_in("git-ref")) || case.found_within("git-ref", &update.span);
        let reason = |at: usize| self.reasons.get(at).copied().flatten();
        let refs = commands.updates.iter().enumerate();
        let refs = refs.map(|(at, update)| Ref { name: update.name.clone(), reason: reason(at), masked: hit(update) }).collect();
        (!commands.updates.is_empty()).then_some(Refs { capabilities: commands.capabilities, refs })
    }
}

fn name(update: &git::Update) -> &str {
    &update.name
}

impl Looking<'_> {
    fn event(&mut self, event: Event<'_>) {
        if self.case.denied() {
            return;
        }
        match event {
            Event::Line { text, bytes, span } => {
                let layer = match text {
                    Text::Ref => "git-ref",
                    Text::Certificate => "git-push-certificate",
                    Text::Option => "git-push-option",
                };
                let from = span.start + FRAME;
                self.look(bytes, &[layer], |found| found.start + from..found.end + from);
            }
            Event::Object { object, bytes, span } => self.look(bytes, &["git-pack", layer(object)], |_| span.clone()),
            Event::Piece { object, bytes, start, at, last } => {
                let engine = &self.engine;
                let pieces = self.pieces.get_or_insert_with(|| Pieces::new(engine, layer(object), start));
                let (findings, coverage) = pieces.push(bytes, at);
                self.found(findings, coverage);
                if last && let Some(pieces) = self.pieces.take() {
                    let (findings, coverage) = pieces.finish();
                    self.found(findings, coverage);
                }
            }
            Event::Missed { at, miss } => {
                let gap = match miss {
                    Miss::Bound => Gap::Budget,
                    Miss::Broken => Gap::Undecodable,
                    Miss::Base => Gap::MissingBase,
                };
                self.found(Vec::new(), Coverage::Partial { at, gap });
            }
        }
    }

    /// Looks at a text; `place` says where in the body what was found in it stands.
    fn look(&mut self, bytes: &[u8], trail: &[LayerId], place: impl Fn(&std::ops::Range<u64>) -> std::ops::Range<u64>) {
        let report = self.engine.scan(&Kind::body(Media::default()), bytes);
        if report.findings.is_empty() && report.coverage == Coverage::Complete {
            return;
        }
        let findings = report.findings.into_iter().map(|mut finding| {
            finding.span = place(&finding.span);
            finding.trail.splice(0..0, trail.iter().copied());
            finding
        });
        let start = place(&(0..0)).start;
        let coverage = match report.coverage {
            Coverage::Partial { gap, .. } => Coverage::Partial { at: start, gap },
            Coverage::Complete => Coverage::Complete,
        };
        self.found(findings.collect(), coverage);
    }

    fn found(&mut self, mut findings: Vec<Finding>, coverage: Coverage) {
        if let Some(end) = self.compressed {
            for finding in &mut findings {
                finding.span = 0..end;
                finding.trail.insert(0, "gzip");
            }
        }
        let judged = self.case.take_body(findings, coverage);
        // Names of objects are hashes of their content: nothing in a pack can be replaced, and refs are what the agent says they are.
        if judged.iter().any(|judged| judged.action == policy::Action::Redact) {
            self.case.deny(Reason::RedactionImpossible);
        }
    }
}

fn layer(object: Option<Object>) -> LayerId {
    match object {
        Some(Object::Commit) => "git-commit",
        Some(Object::Tree) => "git-tree",
        Some(Object::Blob) => "git-blob",
        Some(Object::Tag) => "git-tag",
        None => "git-delta",
    }
}
