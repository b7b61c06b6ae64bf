//! What clients saw, what arrived, what is on record and what was counted, held against each other request by request. Pure: [`Chapter::judge`] says
//! what does not agree.

#[path = "ledger/request.rs"]
mod request;
#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::kinds::{Kind, Print};
use crate::place::Place;

/// Microseconds since the Unix epoch, by the wall clock that all parts share.
pub(crate) type Moment = u64;

/// A killed scanner may not have written yet what it decided so shortly before (its records pass through a thread).
const UNWRITTEN: Moment = 250_000;

/// A scanner that is frozen between an answer and its record writes it when it thaws, when its client may have come to the same place again.
const LATE: Moment = 5_000_000;

/// What a client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A whole answer with this status.
    Answer(u16),
    /// No whole answer.
    Cut(String),
    /// Nothing: it went away.
    GaveUp,
}

/// A request as its client knows it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) number: u64,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// What must arrive, where that is known.
    pub(crate) print: Option<Print>,
    /// Who the scanner must take it for.
    pub(crate) sandbox: String,
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    pub(crate) seen: Seen,
    /// The id that a refusal told.
    pub(crate) id: Option<String>,
    /// The reason that a refusal told.
    pub(crate) reason: Option<String>,
}

/// A request as the origin saw it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) print: Print,
    /// Whether its body ended as it should.
    pub(crate) whole: bool,
}

/// An audit record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The process that wrote it.
    pub(crate) life: usize,
    pub(crate) time: Moment,
    pub(crate) id: String,
    /// `None`: its host is none of ours.
    pub(crate) place: Option<Place>,
    pub(crate) sandbox: String,
    pub(crate) verdict: String,
    pub(crate) reason: String,
}

/// Requests by verdict and reason.
pub(crate) type Counts = BTreeMap<(String, String), u64>;

/// How far what a process counted can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It lives, and nothing is under way.
    Lives,
    /// It was told to end; it was asked until it had, with so many requests under way the last time.
    Told { under_way: u64 },
    /// It was killed; it was asked right before.
    Killed,
}

/// What one scanner process counted in this chapter.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) number: usize,
    pub(crate) ending: Ending,
    pub(crate) counted: Counts,
    /// Records that it counted as lost.
    pub(crate) lost: u64,
    /// Lines of its file that are no records.
    pub(crate) torn: u64,
}

/// When a scanner was killed: what was under way may fail, and nothing else may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    pub(crate) from: Moment,
    pub(crate) to: Moment,
}

/// Everything between two moments at which nothing was under way.
#[derive(Default)]
pub(crate) struct Chapter {
    pub(crate) sent: Vec<Sent>,
    pub(crate) arrivals: Vec<Arrival>,
    pub(crate) records: Vec<Record>,
    pub(crate) lives: Vec<Life>,
    pub(crate) kills: Vec<Kill>,
    /// How many requests there are at a time at most.
    pub(crate) workers: u64,
}

/// The sums of a chapter, and what is wrong in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Requests by kind.
    pub(crate) kinds: BTreeMap<Kind, u64>,
    /// Requests with the outcome that their kind has.
    pub(crate) as_expected: u64,
    /// Requests that the scanner had no time for, and said so.
    pub(crate) overloaded: u64,
    /// Requests that failed because a scanner was killed.
    pub(crate) failed: u64,
    /// Answers with 2xx, as clients count.
    pub(crate) passed_clients: u64,
    /// Refusals of the scanner's, as clients count.
    pub(crate) refused_clients: u64,
    /// Whole requests, as the origin counts.
    pub(crate) arrived: u64,
    /// Beginnings of requests, as the origin counts.
    pub(crate) arrived_in_part: u64,
    /// Records.
    pub(crate) records: u64,
    /// Records of requests that passed (`allow`, `redact`).
    pub(crate) passed_records: u64,
    /// The same as the scanners count it; of killed ones as their files do.
    pub(crate) passed_counted: u64,
    /// Requests that passed the scanner and were refused by Envoy for their address.
    pub(crate) inside: u64,
    /// Requests that passed a scanner and did not arrive as a whole, because a scanner was killed.
    pub(crate) passed_and_lost: u64,
    /// Requests that arrived as a whole and whose record a killed scanner took with it.
    pub(crate) arrived_unrecorded: u64,
    /// Records beyond one of the same request, whose first scanner was killed before its answer was read.
    pub(crate) recorded_twice: u64,
    /// Records that were counted as lost.
    pub(crate) lost: u64,
    /// What does not agree.
    pub(crate) wrong: Vec<String>,
}

/// Requests of a chapter with all that belongs to each.
struct Joined<'c> {
    arrivals: HashMap<u64, Vec<&'c Arrival>>,
    records: HashMap<u64, Vec<&'c Record>>,
}

impl Chapter {
    /// Holds everything against everything.
    pub(crate) fn judge(&self) -> Account {
        let mut account = Account { records: self.records.len() as u64, ..Account::default() };
        let joined = self.join(&mut account.wrong);
        for sent in &self.sent {
            *account.kinds.entry(sent.kind).or_default() += 1;
            let arrivals = joined.arrivals.get(&sent.number).map(Vec::as_slice).unwrap_or_default();
            let records = joined.records.get(&sent.number).map(Vec::as_slice).unwrap_or_default();
            if let Err(why) = request::Trial::new(sent, arrivals, records, &self.kills).judge(&mut account) {
                account.wrong.push(format!("request {} ({}, {:?}): {why}", sent.number, sent.kind.name(), sent.seen));
            }
        }
        account.passed_records = self.records.iter().filter(|record| passes(&record.verdict)).count() as u64;
        for life in &self.lives {
            self.judge_life(life, &mut account);
        }
        if self.records.iter().any(|record| !self.lives.iter().any(|life| life.number == record.life)) {
            account.wrong.push("there are records of a scanner that nobody knows".to_owned());
        }
        balance(&mut account);
        account
    }

    fn join(&self, wrong: &mut Vec<String>) -> Joined<'_> {
        let mut joined = Joined { arrivals: HashMap::new(), records: HashMap::new() };
        let mut at_place: BTreeMap<Place, Vec<(Moment, u64)>> = BTreeMap::new();
        for sent in &self.sent {
            at_place.entry(sent.place).or_default().push((sent.begun, sent.number));
            if joined.arrivals.insert(sent.number, Vec::new()).is_some() {
                wrong.push(format!("two requests have the number {}", sent.number));
            }
        }
        at_place.values_mut().for_each(|all| all.sort_unstable());
        for arrival in &self.arrivals {
            match joined.arrivals.get_mut(&arrival.number) {
                Some(all) => all.push(arrival),
                None => wrong.push(format!("request {} arrived and was never sent", arrival.number)),
            }
        }
        let mut ids = HashSet::new();
        for record in &self.records {
            if !ids.insert(record.id.as_str()) {
                wrong.push(format!("two records have the id {}", record.id));
            }
            let all = record.place.and_then(|place| at_place.get(&place));
            let last = all.and_then(|all| all.get(all.partition_point(|(begun, _)| *begun <= record.time).checked_sub(1)?));
            match last {
                Some((_, number)) => joined.records.entry(*number).or_default().push(record),
                None => wrong.push(format!("record {} ({} {}) is of no request", record.id, record.verdict, record.reason)),
            }
        }
        self.mend(&mut joined, &at_place);
        joined
    }

    /// Gives a late record to the request before at its place, where that one has none and the one after would have two.
    fn mend(&self, joined: &mut Joined<'_>, at_place: &BTreeMap<Place, Vec<(Moment, u64)>>) {
        let by_number: HashMap<u64, &Sent> = self.sent.iter().map(|sent| (sent.number, sent)).collect();
        for pair in at_place.values().flat_map(|all| all.windows(2)) {
            let &[(_, before), (_, after)] = pair else { continue };
            let waits = joined.records.get(&before).is_none_or(Vec::is_empty);
            let Some(sent) = by_number.get(&before).filter(|sent| waits && sent.kind.expected().verdict.is_some()) else { continue };
            let Some(doubled) = joined.records.get_mut(&after).filter(|records| records.len() == 2) else { continue };
            doubled.sort_by_key(|record| record.time);
            // A refusal says which record is its own.
            let own = |record: &&Record| {
                sent.id.as_ref().map_or(record.verdict.as_str() == sent.kind.expected().verdict.unwrap_or_default(), |id| *id == record.id)
            };
            let late = doubled.iter().position(|record| own(record) && record.time <= sent.ended + LATE);
            if let Some(late) = late {
                let record = doubled.remove(late);
                joined.records.insert(before, vec![record]);
            }
        }
    }

    fn judge_life(&self, life: &Life, account: &mut Account) {
        let mut written = Counts::new();
        for record in self.records.iter().filter(|record| record.life == life.number) {
            *written.entry((record.verdict.clone(), record.reason.clone())).or_default() += 1;
        }
        let sum = |counts: &Counts| counts.values().sum::<u64>();
        let name = format!("scanner {}", life.number);
        let exact = match life.ending {
            Ending::Lives => true,
            Ending::Told { under_way } => under_way == 0,
            Ending::Killed => false,
        };
        // What could not be counted to the end is counted by its file.
        let counts = if exact { &life.counted } else { &written };
        account.passed_counted += counts.iter().filter(|((verdict, _), _)| passes(verdict)).map(|(_, count)| count).sum::<u64>();
        account.lost += life.lost;
        if life.lost > 0 {
            account.wrong.push(format!("{name} lost {} records", life.lost));
        }
        if exact && life.counted != written {
            account.wrong.push(format!("{name} counted {:?} and wrote {written:?}", life.counted));
        }
        let bound = match life.ending {
            Ending::Lives => 0,
            Ending::Told { under_way } => under_way,
            Ending::Killed => self.workers,
        };
        if !exact && sum(&life.counted).abs_diff(sum(&written)) > bound {
            let text = format!("{name} counted {} and wrote {}, with {bound} under way at most", sum(&life.counted), sum(&written));
            account.wrong.push(text);
        }
        // A killed one may leave the beginning of its last line.
        if life.torn > u64::from(life.ending == Ending::Killed) {
            account.wrong.push(format!("{name} wrote {} lines that are no records", life.torn));
        }
    }
}

fn passes(verdict: &str) -> bool {
    matches!(verdict, "allow" | "redact")
}

/// The counters of the scanners and the origin's own count, to the request.
fn balance(account: &mut Account) {
    let counted = account.passed_counted + account.arrived_unrecorded;
    let explained = account.arrived + account.inside + account.passed_and_lost + account.recorded_twice;
    if counted != explained {
        let Account { passed_counted, arrived_unrecorded, arrived, inside, passed_and_lost, recorded_twice, .. } = *account;
        account.wrong.push(format!(
            "the scanners count {passed_counted} that passed, and {arrived_unrecorded} arrived unrecorded; the origin counts {arrived}, {inside} \
             were refused for their address, {passed_and_lost} were lost and {recorded_twice} are on record twice"
        ));
    }
}

impl Account {
    /// Adds the sums of another chapter.
    pub(crate) fn add(&mut self, other: &Account) {
        for (kind, count) in &other.kinds {
            *self.kinds.entry(*kind).or_default() += count;
        }
        for (mine, theirs) in [
            (&mut self.as_expected, other.as_expected),
            (&mut self.overloaded, other.overloaded),
            (&mut self.failed, other.failed),
            (&mut self.passed_clients, other.passed_clients),
            (&mut self.refused_clients, other.refused_clients),
            (&mut self.arrived, other.arrived),
            (&mut self.arrived_in_part, other.arrived_in_part),
            (&mut self.records, other.records),
            (&mut self.passed_records, other.passed_records),
            (&mut self.passed_counted, other.passed_counted),
            (&mut self.inside, other.inside),
            (&mut self.passed_and_lost, other.passed_and_lost),
            (&mut self.arrived_unrecorded, other.arrived_unrecorded),
            (&mut self.recorded_twice, other.recorded_twice),
            (&mut self.lost, other.lost),
        ] {
            *mine += theirs;
        }
        self.wrong.extend(other.wrong.iter().cloned());
    }
}
