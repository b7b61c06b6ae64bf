//! A head, judged: admission, what its parts hold, and what redaction makes of it.

use std::sync::Arc;

use bytes::Bytes;
use engine::{Coverage, Kind, Location};
use policy::{Action, Located, Reason, Redaction, Subject};

use crate::calls::Calls;
use crate::case::Case;
use crate::chains;
use crate::flow::{Body, Flow, Opened};
use crate::inspector::{Shared, Snapshot};
use crate::normal::{self, Normal};
use crate::redact::{self, Place, Replacement};
use crate::{Head, HeadEdits, Outcome};

/// Names that are long enough to carry a secret are scanned like values.
const MIN_NAME_BYTES: usize = 16;
/// Headers that frame the message: numbers and codings, checked by their grammar when the head was read.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "te"];

/// Where a part of the head stands in it.
enum Part {
    Host,
    Path,
    Query,
    Header(usize),
    Name,
}

/// Judges who asks for a tunnel. What the tunnel carries is judged request by request.
pub(crate) fn tunnel(shared: Arc<Shared>, snapshot: Arc<Snapshot>, head: &Head) -> Outcome {
    let subject = Subject { sandbox: head.sandbox.clone(), at: head.at, ..Subject::default() };
    let mut case = Case::new(shared, snapshot, subject);
    if let Some(reason) = head.identity.refusal(&case.snapshot.policy) {
        case.deny(reason);
    }
    case.outcome()
}

/// Judges a head; without a body that is all, else the flow takes the body.
pub(crate) fn open(shared: Arc<Shared>, snapshot: Arc<Snapshot>, head: &Head) -> Opened {
    if let Some(reason) = head.identity.refusal(&snapshot.policy) {
        return Opened::Decided(Case::refused(shared, snapshot, head, reason).outcome(), HeadEdits::default());
    }
    let normal = match normal::normal(head) {
        Ok(normal) => normal,
        Err(reason) => return Opened::Decided(Case::refused(shared, snapshot, head, reason).outcome(), HeadEdits::default()),
    };
    let Normal { subject, media, content_length, head_signed, grpc, git } = normal;
    let mut case = Case::new(shared, snapshot, subject);
    case.admit(head);
    let pushed = git.filter(|asked| asked.service.pushes());
    if let Some(asked) = &pushed {
        case.admit_push(&asked.repository);
    }
    if case.denied() {
        return Opened::Decided(case.outcome(), HeadEdits::default());
    }
    let edits = parts(&mut case, head, head_signed);
    if !case.denied() {
        let found = case.chained(&chains::of_head(head));
        // The rest is elsewhere: there is nothing to put in its place.
        if case.take(found, Coverage::Complete).iter().any(|judged| judged.action == Action::Redact) {
            case.deny(Reason::RedactionImpossible);
        }
    }
    if case.denied() {
        return Opened::Decided(case.outcome(), edits);
    }
    let mut calls = Calls::of(&mut case, head, &media);
    if head.end {
        calls.finish(&mut case, &media, &[]);
    }
    if head.end || case.denied() {
        return Opened::Decided(case.outcome(), edits);
    }
    let repository = pushed.filter(|asked| asked.service == git::Service::Push).map(|asked| asked.repository);
    let body = Body { media, content_length, grpc, repository, calls };
    match Flow::new(case, edits, body) {
        Ok(flow) => Opened::Body(Box::new(flow)),
        Err(outcome) => Opened::Decided(*outcome, HeadEdits::default()),
    }
}

/// Scans every part; returns the edits that redaction asks for.
fn parts(case: &mut Case, head: &Head, signed: bool) -> HeadEdits {
    let mut edits = HeadEdits::default();
    let (path, query) = split(&head.path);
    let mut rewritten_path = None;
    let mut rewritten_query = None;
    let mut list: Vec<(Part, Location, &[u8])> =
        vec![(Part::Host, Location::Host, head.authority.as_bytes()), (Part::Path, Location::Path, path)];
    list.extend(query.map(|query| (Part::Query, Location::Query, query)));
    for (index, header) in head.headers.iter().enumerate() {
        let name = header.name.to_ascii_lowercase();
        if name.len() >= MIN_NAME_BYTES {
            // Not under its own name: it may be the secret.
            list.push((Part::Name, Location::Header("(name)".into()), header.name.as_bytes()));
        }
        if !FRAMING.contains(&name.as_str()) {
            list.push((Part::Header(index), Location::Header(name.into()), &header.value));
        }
    }
    for (part, location, bytes) in list {
        let kind = Kind::of(location.clone());
        let Some(new) = part_of(case, &part, &kind, bytes, signed) else { continue };
        match part {
            Part::Path => rewritten_path = Some(new),
            Part::Query => rewritten_query = Some(new),
            Part::Header(index) => edits.headers.push((index, Bytes::from(new))),
            Part::Host | Part::Name => case.deny(Reason::RedactionImpossible),
        }
    }
    if rewritten_path.is_some() || rewritten_query.is_some() {
        let mut whole = rewritten_path.unwrap_or_else(|| path.to_vec());
        if let Some(query) = rewritten_query.as_deref().or(query) {
            whole.push(b'?');
            whole.extend_from_slice(query);
        }
        edits.path = Some(Bytes::from(whole));
    }
    edits
}

/// Scans one part; returns its bytes as they should travel when something is redacted.
fn part_of(case: &mut Case, part: &Part, kind: &Kind, bytes: &[u8], signed: bool) -> Option<Vec<u8>> {
    let report = case.scan(kind, bytes);
    if report.findings.is_empty() && report.coverage == Coverage::Complete {
        return None;
    }
    let located: Vec<Located> =
        report.findings.iter().map(|finding| Located { location: kind.location.clone(), finding: finding.clone() }).collect();
    let judged = case.take(located, report.coverage);
    let redacted: Vec<Replacement> = report
        .findings
        .iter()
        .zip(&judged)
        .filter(|(_, j)| j.action == Action::Redact)
        .map(|(finding, _)| Replacement::of(finding))
        .collect();
    if redacted.is_empty() || case.denied() {
        return None;
    }
    let place = match (matches!(part, Part::Header(_)), case.redaction()) {
        (true, Redaction::Placeholder) => Place::Header,
        (true, Redaction::FixedLength) => Place::Exact,
        (false, Redaction::Placeholder) => Place::Escaped,
        (false, Redaction::FixedLength) => Place::ExactEscaped,
    };
    match redact::rewrite(bytes, 0, &redacted, place) {
        Some(new) if !signed && case.clean_again(kind, &new, true) => Some(new),
        _ => {
            case.deny(Reason::RedactionImpossible);
            None
        }
    }
}

/// Path and query; the question mark belongs to neither.
fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|b| *b == b'?') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..)),
        None => (path, None),
    }
}
