//! What the body of a request asks for beyond its bytes: what a provider would fetch, and GraphQL operations.

use std::fmt;

use calls::{Fetches, Unreadable, Wanted, graphql};
use engine::{Coverage, Decoding, Gap, Media};
use policy::{Fetch, Reason};

use crate::Head;
use crate::case::Case;

/// What reads the body of one request. By default nothing does.
#[derive(Default)]
pub(crate) struct Calls {
    fetches: Option<Reading>,
    /// The query of a GraphQL request.
    operations: Option<String>,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fetches, operations) = (self.fetches.is_some(), self.operations.is_some());
        f.debug_struct("Calls").field("fetches", &fetches).field("operations", &operations).finish()
    }
}

/// A body that is read as it comes.
struct Reading {
    fetches: Fetches,
    decoding: Decoding,
    /// Bytes as sent.
    at: u64,
}

impl Calls {
    /// For a head that was admitted.
    pub(crate) fn of(case: &mut Case, head: &Head, media: &Media) -> Calls {
        let operations = case.reads_graphql().then(|| {
            let query = head.path.iter().position(|b| *b == b'?').and_then(|at| head.path.get(at + 1..)).unwrap_or_default();
            String::from_utf8_lossy(query).into_owned()
        });
        if !case.snapshot.policy.reads_fetches(&case.subject) {
            return Calls { fetches: None, operations };
        }
        let kind = &case.subject.content_type;
        let json = kind == "application/json" || kind.ends_with("+json");
        let Some(decoding) = case.snapshot.engine.decoding(media) else {
            // The scan of the body says that too; what policy makes of it is the same.
            case.take(Vec::new(), Coverage::Partial { at: 0, gap: Gap::UnknownEncoding });
            return Calls { fetches: None, operations };
        };
        Calls { fetches: Some(Reading { fetches: Fetches::new(json), decoding, at: 0 }), operations }
    }

    /// Whether nothing of the body may travel before all of it is there.
    pub(crate) fn needs_all(&self) -> bool {
        self.operations.is_some()
    }

    /// Takes the next bytes of the body.
    pub(crate) fn push(&mut self, case: &mut Case, bytes: &[u8]) {
        let Some(Reading { fetches, decoding, at }) = &mut self.fetches else { return };
        *at = at.saturating_add(bytes.len() as u64);
        let mut wanted = Vec::new();
        let mut read = Ok(());
        let decoded = decoding.push(bytes, |bytes| match fetches.push(bytes) {
            Ok(more) if read.is_ok() => wanted.extend(more),
            Ok(_) => {}
            Err(error) => read = Err(error),
        });
        let gap = match (decoded, read) {
            (Err(gap), _) => Some(gap),
            (_, Err(Unreadable)) => Some(Gap::Undecodable),
            _ => None,
        };
        let at = *at;
        for one in &wanted {
            admit(case, one);
        }
        if let Some(gap) = gap {
            self.give_up(case, at, gap);
        }
    }

    /// The body is complete; `held` is all of it where [`Calls::needs_all`] asked for that.
    pub(crate) fn finish(&mut self, case: &mut Case, media: &Media, held: &[u8]) {
        if let Some(Reading { fetches, decoding, at }) = &self.fetches
            && (fetches.finish().is_err() || !decoding.finished())
        {
            let at = *at;
            self.give_up(case, at, Gap::Undecodable);
        }
        if let Some(query) = self.operations.take() {
            operations(case, &query, media, held);
        }
    }

    /// What cannot be read is not looked into: policy says whether it travels.
    fn give_up(&mut self, case: &mut Case, at: u64, gap: Gap) {
        self.fetches = None;
        case.take(Vec::new(), Coverage::Partial { at, gap });
    }
}

fn admit(case: &mut Case, wanted: &Wanted) {
    case.admit_fetch(match wanted {
        Wanted::Url { tls, authority, path } => Fetch::Url { tls: *tls, authority, path },
        Wanted::Domain(name) => Fetch::Domain(name),
        Wanted::Anywhere => Fetch::Anywhere,
    });
}

/// Judges the operations of a GraphQL request of which all is there.
fn operations(case: &mut Case, query: &str, media: &Media, held: &[u8]) {
    let mut body = Vec::new();
    let decoded = match case.snapshot.engine.decoding(media) {
        Some(mut decoding) => {
            decoding.push(held, |bytes| body.extend_from_slice(bytes)).is_ok() && (held.is_empty() || decoding.finished())
        }
        None => false,
    };
    let content_type = case.subject.content_type.clone();
    let fields = decoded.then(|| graphql::fields(graphql::Request { query, content_type: &content_type, body: &body }));
    case.admit_graphql(fields.and_then(Result::ok).as_deref());
}

/// Denies a GraphQL request of which not all can be held.
pub(crate) fn too_long(case: &mut Case) {
    case.deny(Reason::LimitExceeded);
}
