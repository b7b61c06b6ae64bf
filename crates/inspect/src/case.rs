//! What is known of one request: scans go in, the verdict comes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine::{Coverage, Finding, Fingerprint, Kind, Location, Part, Report};
use policy::{
    Action, Carried, Details, Fetch, FetchRefusal, Judged, Located, PolicyLimits, Reason, Redaction, Settings, Subject, Terms, Verdict,
    Would,
};

use crate::chains::{self, Shard, When};
use crate::inspector::{Shared, Snapshot};
use crate::ledger::{Account, Asked, Over};
use crate::push::Refs;
use crate::{Head, Identity, Outcome};

/// So many findings are kept (and judged together); what comes after is judged batch by batch and counted.
const MAX_FINDINGS: usize = 1024;
/// Shorter head locations are scanned faster than they are hashed and looked up.
const MIN_CACHED_BYTES: usize = 64;

/// When to try again while counts cannot be shared, in milliseconds.
const ALONE_RETRY: u64 = 5000;
/// When to try again what was more than could be taken, in milliseconds.
const OVERLOAD_RETRY: u64 = 1000;

/// One request with its snapshot, what was found so far, and the verdict so far.
pub(crate) struct Case {
    pub(crate) shared: Arc<Shared>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) subject: Subject,
    /// The rules it falls under, what they set, and what those would set that only watch.
    terms: Terms,
    settings: Settings,
    watched: Option<Settings>,
    /// The budget that binds, and the one that is only watched.
    account: Option<Account>,
    watched_account: Option<(Arc<str>, Account)>,
    located: Vec<Located>,
    judged: Vec<Judged>,
    dropped: u64,
    verdict: Verdict,
    rule: Option<Arc<str>>,
    would: Option<Would>,
    /// Milliseconds after which what was denied may pass.
    retry: Option<u64>,
    coverage: Coverage,
    /// What became of the refs of a push.
    pub(crate) refs: Option<Arc<Refs>>,
    /// Where a provider was told to go and must not.
    fetch: Option<FetchRefusal>,
    /// Fingerprints of what policy lets travel: a rescan after redaction may find these again.
    tolerated: BTreeSet<Fingerprint>,
    pub(crate) body_bytes: u64,
    /// Whether the sender's requests belong together.
    remembers: bool,
    cacheable: u32,
    hits: u32,
}

impl Case {
    pub(crate) fn new(shared: Arc<Shared>, snapshot: Arc<Snapshot>, subject: Subject) -> Case {
        Case {
            shared,
            snapshot,
            subject,
            terms: Terms::default(),
            settings: Settings::default(),
            watched: None,
            account: None,
            watched_account: None,
            located: Vec::new(),
            judged: Vec::new(),
            dropped: 0,
            verdict: Verdict::CLEAN,
            rule: None,
            would: None,
            retry: None,
            coverage: Coverage::Complete,
            refs: None,
            fetch: None,
            tolerated: BTreeSet::new(),
            body_bytes: 0,
            remembers: true,
            cacheable: 0,
            hits: 0,
        }
    }

    /// A request that was refused before there was anything to judge.
    pub(crate) fn refused(shared: Arc<Shared>, snapshot: Arc<Snapshot>, head: &Head, reason: Reason) -> Case {
        let subject = Subject { sandbox: head.sandbox.clone(), at: head.at, ..Subject::default() };
        let mut case = Case::new(shared, snapshot, subject);
        case.deny(reason);
        case
    }

    pub(crate) fn limits(&self) -> PolicyLimits {
        self.snapshot.policy.limits()
    }

    /// Scans a whole location, through the cache where that pays.
    pub(crate) fn scan(&mut self, kind: &Kind, bytes: &[u8]) -> Arc<Report> {
        let engine = &self.snapshot.engine;
        let report = if bytes.len() < MIN_CACHED_BYTES && kind.location != Location::Body {
            Arc::new(engine.scan(kind, bytes))
        } else {
            let (report, hit) = self.shared.reports.report(engine.id(), kind, bytes, || engine.scan(kind, bytes));
            self.cacheable = self.cacheable.saturating_add(1);
            self.hits = self.hits.saturating_add(u32::from(hit));
            report
        };
        let more = self.assembled(&report.parts);
        if more.is_empty() {
            return report;
        }
        let findings = report.findings.iter().cloned().chain(more).collect();
        Arc::new(Report { findings, coverage: report.coverage, parts: Vec::new() })
    }

    /// Takes in parts of known secrets: those that say too much together with what the sandbox has sent before are findings.
    pub(crate) fn assembled(&mut self, parts: &[Part]) -> Vec<Finding> {
        let window = u64::try_from(self.snapshot.policy.history().pieces.as_millis()).unwrap_or(u64::MAX);
        if window == 0 || !self.remembers {
            return Vec::new();
        }
        let (ledger, subject) = (&self.shared.ledger, &self.subject);
        let too_much = |part: &&Part| ledger.sent(&subject.sandbox, part, subject.at, window);
        let found = parts.iter().filter(too_much).map(|part| {
            let mut finding = part.finding.clone();
            finding.trail.push("earlier-requests");
            finding
        });
        found.collect()
    }

    /// Takes in what was found and what was not looked into; says what policy makes of each finding, in order.
    pub(crate) fn take(&mut self, batch: Vec<Located>, coverage: Coverage) -> Vec<Judged> {
        let news = !batch.is_empty() || coverage != Coverage::Complete;
        self.coverage = self.coverage.and(coverage);
        if !news {
            return Vec::new();
        }
        let count = batch.len();
        let together = self.located.len().saturating_add(count) <= MAX_FINDINGS;
        let policy = &self.snapshot.policy;
        let mut judged = if together {
            self.located.extend(batch);
            let judgement = policy.judge(&self.subject, &self.terms, &self.located, self.coverage);
            self.raise(judgement.verdict, judgement.rule);
            self.would(judgement.would);
            judgement.findings
        } else {
            let judgement = policy.judge(&self.subject, &self.terms, &batch, self.coverage);
            self.raise(judgement.verdict, judgement.rule);
            self.would(judgement.would);
            let room = MAX_FINDINGS.saturating_sub(self.located.len()).min(count);
            self.dropped = self.dropped.saturating_add((count - room) as u64);
            self.located.extend(batch.into_iter().take(room));
            self.judged.extend(judgement.findings.iter().take(room));
            judgement.findings
        };
        if together {
            self.judged.clone_from(&judged);
            judged.drain(..judged.len().saturating_sub(count));
            let first = self.located.len().saturating_sub(count);
            let allowed = self.located.iter().skip(first).zip(&judged).filter(|(_, judged)| judged.action == Action::Allow);
            self.tolerated.extend(allowed.map(|(located, _)| located.finding.fingerprint));
        }
        judged
    }

    /// Takes in the short values of a part of the request: secrets that they make together with what the sandbox has sent before.
    pub(crate) fn chained(&mut self, shards: &[Shard<'_>]) -> Vec<Located> {
        let window = u64::try_from(self.snapshot.policy.history().pieces.as_millis()).unwrap_or(u64::MAX);
        if window == 0 || !self.remembers {
            return chains::within(&self.snapshot.engine, shards);
        }
        let when = When { sandbox: &self.subject.sandbox, at: self.subject.at, window };
        self.shared.chains.send(&self.snapshot.engine, when, shards)
    }

    /// Takes in findings of the body.
    pub(crate) fn take_body(&mut self, findings: Vec<Finding>, coverage: Coverage) -> Vec<Judged> {
        self.take(findings.into_iter().map(|finding| Located { location: Location::Body, finding }).collect(), coverage)
    }

    /// Never milder; a denial keeps its first reason.
    fn raise(&mut self, verdict: Verdict, rule: Option<Arc<str>>) {
        if self.verdict.action != Action::Deny && verdict.action >= self.verdict.action {
            if verdict.action > self.verdict.action || rule.is_some() {
                self.rule = rule;
            }
            self.verdict = verdict;
        }
    }

    /// Notes what a rule that only watches would have done: the strictest, the first of them.
    fn would(&mut self, would: Option<Would>) {
        let harder = |new: &Would| self.would.as_ref().is_none_or(|old| new.verdict.action > old.verdict.action);
        if let Some(would) = would.filter(harder) {
            self.would = Some(would);
        }
    }

    pub(crate) fn deny(&mut self, reason: Reason) {
        if reason == Reason::Overloaded && !self.denied() {
            self.retry = Some(OVERLOAD_RETRY);
        }
        self.raise(Verdict::deny(reason), None);
    }

    fn deny_by(&mut self, reason: Reason, rule: Arc<str>, retry: Option<u64>) {
        if !self.denied() {
            self.retry = retry;
        }
        self.raise(Verdict::deny(reason), Some(rule));
    }

    /// Admission, and then what the rules set: how large the body may be, and how much the sandbox may send.
    pub(crate) fn admit(&mut self, head: &Head) {
        self.remembers = head.identity != Identity::Unrelated;
        let query = head.path.iter().position(|b| *b == b'?').and_then(|at| head.path.get(at + 1..)).unwrap_or_default();
        let query = String::from_utf8_lossy(query);
        let headers = || head.headers.iter().map(|h| (h.name.clone(), String::from_utf8_lossy(&h.value).into_owned())).collect();
        let policy = Arc::clone(&self.snapshot.policy);
        self.terms = policy.terms(&self.subject, Details { query: &query, headers: &headers });
        let ruling = policy.admit(&self.subject, &self.terms);
        self.raise(ruling.verdict, ruling.rule);
        self.would(ruling.would);
        if self.denied() {
            return;
        }
        if policy.is_pinned(&self.subject) {
            let headers: Vec<(&str, &[u8])> = head.headers.iter().map(|h| (h.name.as_str(), h.value.as_ref())).collect();
            let carried = Carried { query: &query, headers: &headers, known: self.snapshot.engine.known() };
            if let Err((reason, entry)) = policy.admit_owned(&self.subject, &carried) {
                return self.deny_by(reason, entry, None);
            }
        }
        self.settings = policy.settings(&self.terms);
        self.watched = policy.watched_settings(&self.terms);
        if let Some(length) = self.subject.content_length.filter(|_| self.subject.has_body) {
            self.body_fits(length);
        }
        if !self.denied() {
            self.charge(head);
        }
    }

    /// Takes the request into the books of its budgets.
    fn charge(&mut self, head: &Head) {
        let Case { shared, subject, settings, watched, .. } = &*self;
        let enforced = settings.budget.as_ref();
        let watched = watched.as_ref().and_then(|w| w.budget.as_ref()).filter(|(rule, _)| enforced.is_none_or(|(other, _)| other != rule));
        if enforced.is_none() && watched.is_none() {
            return;
        }
        if let Some((rule, _)) = enforced.filter(|_| shared.ledger.is_alone() && self.snapshot.policy.history().deny_on_loss) {
            let rule = Arc::clone(rule);
            return self.deny_by(Reason::StateUnavailable, rule, Some(ALONE_RETRY));
        }
        let limited = [enforced, watched].into_iter().flatten().any(|(_, budget)| budget.opaque.is_some());
        let account =
            |(rule, budget): &(Arc<str>, Arc<policy::Budget>)| (Arc::clone(rule), shared.ledger.account(rule, &subject.sandbox, budget));
        let (enforced, watched) = (enforced.map(account), watched.map(account));
        let bytes = head.headers.iter().map(|h| h.name.len() + h.value.len()).sum::<usize>() + head.path.len();
        let (at, host) = (subject.at, subject.destination.host.to_string());
        let opaque = if limited { opaque(&host, &head.path) } else { 0 };
        let asked = Asked { host: &host, bytes: bytes as u64, opaque };
        let whole = asked.bytes.saturating_add(subject.content_length.unwrap_or(0));
        if let Some((rule, account)) = watched {
            match account.affords(at, &host, whole).and_then(|()| account.admit(at, asked)) {
                Ok(()) => self.watched_account = Some((rule, account)),
                Err(over) => self.would(Some(Would { verdict: Verdict::deny(over.reason), rule })),
            }
        }
        if let Some((rule, account)) = enforced {
            // A body whose length is known is refused before it comes.
            match account.affords(at, &host, whole).and_then(|()| account.admit(at, asked)) {
                Ok(()) => self.account = Some(account),
                Err(Over { reason, retry }) => self.deny_by(reason, rule, retry),
            }
        }
    }

    /// Whether the body may be so long: denies the request if not.
    fn body_fits(&mut self, length: u64) {
        let over = |settings: &Settings| settings.max_body.as_ref().filter(|(_, most)| length > *most).map(|(rule, _)| Arc::clone(rule));
        if let Some(rule) = self.watched.as_ref().and_then(over) {
            self.would(Some(Would { verdict: Verdict::deny(Reason::BodyTooLarge), rule }));
        }
        if let Some(rule) = over(&self.settings) {
            self.deny_by(Reason::BodyTooLarge, rule, None);
        }
    }

    /// Takes in the length of more of the body: denies the request where that is more than rules let it be.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.body_bytes = self.body_bytes.saturating_add(bytes as u64);
        self.body_fits(self.body_bytes);
        if self.account.is_none() && self.watched_account.is_none() {
            return;
        }
        let (at, host) = (self.subject.at, self.subject.destination.host.to_string());
        if let Some((rule, over)) =
            self.watched_account.as_ref().and_then(|(rule, a)| Some((Arc::clone(rule), a.spend(at, &host, bytes as u64).err()?)))
        {
            self.would(Some(Would { verdict: Verdict::deny(over.reason), rule }));
        }
        if let (false, Some(Err(over))) = (self.denied(), self.account.as_ref().map(|a| a.spend(at, &host, bytes as u64))) {
            let rule = self.settings.budget.as_ref().map(|(rule, _)| Arc::clone(rule)).unwrap_or_default();
            self.deny_by(over.reason, rule, over.retry);
        }
    }

    /// How secrets are replaced here.
    pub(crate) fn redaction(&self) -> Redaction {
        self.settings.redaction
    }

    pub(crate) fn admit_push(&mut self, repository: &str) {
        if let Err(reason) = self.snapshot.policy.admit_push(&self.subject, repository) {
            self.deny(reason);
        }
    }

    /// Whether a provider may be told to fetch something.
    pub(crate) fn admit_fetch(&mut self, fetch: Fetch<'_>) {
        let ruling = self.snapshot.policy.admit_fetch(&self.subject, fetch);
        self.would(ruling.would);
        if let Some(mut refusal) = ruling.refusal {
            self.raise(Verdict::deny(Reason::ProviderFetchDenied), refusal.rule.clone());
            // The host is told before the body was looked into: it may be what a secret was hidden in.
            let secret = |host: &String| !self.snapshot.engine.scan(&Kind::of(Location::Host), host.as_bytes()).findings.is_empty();
            if refusal.host.as_ref().is_some_and(secret) {
                refusal.host = Some("(masked)".to_owned());
            }
            self.fetch.get_or_insert(refusal);
        }
    }

    /// Whether rules are about GraphQL operations in this request.
    pub(crate) fn reads_graphql(&self) -> bool {
        self.snapshot.policy.reads_graphql(&self.terms)
    }

    /// Whether GraphQL operations are allowed; `None`: they cannot be read.
    pub(crate) fn admit_graphql(&mut self, fields: Option<&[String]>) {
        let ruling = self.snapshot.policy.admit_graphql(&self.terms, fields);
        if ruling.verdict.action == Action::Deny {
            self.raise(ruling.verdict, ruling.rule);
        }
        self.would(ruling.would);
    }

    /// Whether something was found through `layer`.
    pub(crate) fn found_in(&self, layer: &str) -> bool {
        self.located.iter().any(|located| located.finding.trail.contains(&layer))
    }

    /// Whether something was found through `layer` that touches `span` of the body.
    pub(crate) fn found_within(&self, layer: &str, span: &std::ops::Range<u64>) -> bool {
        let touches = |finding: &Finding| finding.span.start < span.end && span.start < finding.span.end;
        self.located.iter().any(|located| located.finding.trail.first().is_some_and(|first| *first == layer) && touches(&located.finding))
    }

    pub(crate) fn denied(&self) -> bool {
        self.verdict.action == Action::Deny
    }

    /// Whether rewritten bytes may travel: scanned again, nothing is left that policy acts on. In a part of a body (`whole` false) what
    /// was judged harmless in its context may stand without it.
    pub(crate) fn clean_again(&self, kind: &Kind, bytes: &[u8], whole: bool) -> bool {
        let report = self.snapshot.engine.scan(kind, bytes);
        let locate = |finding: &Finding| Located { location: kind.location.clone(), finding: finding.clone() };
        let known = |finding: &&Finding| whole || !self.tolerated.contains(&finding.fingerprint);
        let located: Vec<Located> = report.findings.iter().filter(known).map(locate).collect();
        // A part is cut where the whole was not: only the whole answers for coverage.
        let coverage = if whole { report.coverage } else { Coverage::Complete };
        let judgement = self.snapshot.policy.judge(&self.subject, &self.terms, &located, coverage);
        judgement.verdict.action == Action::Allow && judgement.findings.iter().all(|judged| judged.action == Action::Allow)
    }

    fn groups(&self) -> Vec<String> {
        match self.verdict.reason {
            Reason::IdentityRequired | Reason::IdentityUnknown => Vec::new(),
            _ => self.snapshot.policy.groups_of(&self.subject.sandbox),
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        Outcome {
            verdict: self.verdict,
            rule: self.rule.clone(),
            would: self.would.clone().filter(|would| would.verdict.action > self.verdict.action),
            retry_after: self.retry.filter(|_| self.denied()).map(|ms| ms.div_ceil(1000)),
            groups: self.groups(),
            coverage: self.coverage,
            findings: self.located.iter().cloned().zip(self.judged.iter().copied()).collect(),
            findings_dropped: self.dropped,
            body_bytes: self.body_bytes,
            cached: self.cacheable > 0 && self.hits == self.cacheable,
            policy: self.snapshot.policy.id(),
            engine: self.snapshot.engine.id(),
            refs: self.refs.clone(),
            fetch: self.fetch.clone(),
        }
    }
}

/// Bytes of host labels, path segments and values of the query that look made by chance.
fn opaque(host: &str, path: &[u8]) -> u64 {
    let parts = host.as_bytes().split(|b| *b == b'.').chain(path.split(|b| matches!(b, b'/' | b'?' | b'&' | b'=' | b';')));
    parts.filter(|part| engine::is_opaque(part)).map(|part| part.len() as u64).sum()
}
