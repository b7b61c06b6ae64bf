//! One request: whether what its client saw, what arrived and what is on record belong together.

use super::{Account, Arrival, Kill, Moment, Record, Seen, Sent, UNWRITTEN, passes};

/// A request with all that belongs to it.
pub(super) struct Trial<'c> {
    sent: &'c Sent,
    arrivals: &'c [&'c Arrival],
    records: &'c [&'c Record],
    /// It was under way when a scanner was killed.
    under_way: bool,
    /// It was under way then, or ended so shortly before that its record may not have been written.
    unwritten: bool,
}

impl<'c> Trial<'c> {
    pub(super) fn new(sent: &'c Sent, arrivals: &'c [&'c Arrival], records: &'c [&'c Record], kills: &[Kill]) -> Self {
        let overlaps = |kill: &Kill, before: Moment| sent.begun <= kill.to && sent.ended + before >= kill.from;
        Trial {
            sent,
            arrivals,
            records,
            under_way: kills.iter().any(|kill| overlaps(kill, 0)),
            unwritten: kills.iter().any(|kill| overlaps(kill, UNWRITTEN)),
        }
    }

    pub(super) fn judge(&self, account: &mut Account) -> Result<(), String> {
        let whole = self.arrivals.iter().filter(|arrival| arrival.whole).count() as u64;
        account.arrived += whole;
        account.arrived_in_part += self.arrivals.len() as u64 - whole;
        self.arrivals()?;
        self.records()?;
        let expected = self.sent.kind.expected();
        let status = match self.sent.seen {
            Seen::Answer(status) => {
                account.passed_clients += u64::from((200..300).contains(&status));
                account.refused_clients += u64::from(self.sent.id.is_some());
                Some(status)
            }
            Seen::Cut(_) | Seen::GaveUp => None,
        };
        let passed = self.records.iter().filter(|record| passes(&record.verdict)).count() as u64;
        account.inside += u64::from(self.sent.kind == crate::kinds::Kind::Inside).min(passed);
        let is_expected = !matches!(self.sent.seen, Seen::Cut(_)) && status == expected.status;
        let overloaded = self.sent.reason.as_deref() == Some("overloaded");
        if is_expected {
            account.as_expected += 1;
            self.as_expected(whole)?;
        } else if overloaded {
            account.overloaded += 1;
            self.overloaded(whole)?;
        } else if self.under_way {
            account.failed += 1;
        } else {
            return Err(format!("it should have been {:?}; told reason: {:?}", expected.status, self.sent.reason));
        }
        let arrives = u64::from(self.sent.kind != crate::kinds::Kind::Inside);
        account.passed_and_lost += passed.min(1).saturating_sub(whole) * arrives;
        account.arrived_unrecorded += whole.saturating_sub(passed);
        account.recorded_twice += passed.saturating_sub(1);
        Ok(())
    }

    /// What holds of arrivals whatever went wrong.
    fn arrivals(&self) -> Result<(), String> {
        if self.arrivals.len() > 1 {
            return Err(format!("it arrived {} times", self.arrivals.len()));
        }
        let Some(arrival) = self.arrivals.first() else { return Ok(()) };
        if !self.sent.kind.may_arrive_in_part() || (arrival.whole && !self.sent.kind.expected().arrives) {
            return Err(format!("{} bytes of it arrived, whole: {}", arrival.print.length, arrival.whole));
        }
        match self.sent.print {
            Some(print) if arrival.whole && print != arrival.print => {
                Err(format!("other bytes arrived than were sent: {} instead of {}", arrival.print.length, print.length))
            }
            _ => Ok(()),
        }
    }

    /// What holds of records whatever went wrong.
    fn records(&self) -> Result<(), String> {
        let most = if self.under_way { 2 } else { 1 };
        if self.records.len() > most {
            return Err(format!("it is on record {} times", self.records.len()));
        }
        if let Some(record) = self.records.iter().find(|record| self.sent.sandbox != record.sandbox) {
            return Err(format!("on record it is from {} instead of {}", record.sandbox, self.sent.sandbox));
        }
        match &self.sent.id {
            Some(id) if !self.records.iter().any(|record| record.id == *id) && !self.unwritten => {
                Err(format!("its refusal {id} is not on record"))
            }
            _ => Ok(()),
        }
    }

    fn as_expected(&self, whole: u64) -> Result<(), String> {
        let expected = self.sent.kind.expected();
        if whole != u64::from(expected.arrives) {
            return Err("it was answered and did not arrive".to_owned());
        }
        if expected.verdict == Some("deny") && self.sent.id.is_none() {
            return Err("its refusal told no id".to_owned());
        }
        let Some(verdict) = expected.verdict else {
            return if self.records.is_empty() { Ok(()) } else { Err(format!("it was given up, and is on record: {}", self.told())) };
        };
        if self.records.is_empty() && !self.unwritten {
            return Err("it is not on record".to_owned());
        }
        if self.records.iter().any(|record| record.verdict != verdict) {
            return Err(format!("on record it is {} instead of {verdict}", self.told()));
        }
        Ok(())
    }

    /// Refused for want of time: decided, and on record as such.
    fn overloaded(&self, whole: u64) -> Result<(), String> {
        if whole > 0 {
            return Err("it was refused, and arrived".to_owned());
        }
        match self.records {
            [record] if record.verdict == "deny" && record.reason == "overloaded" => Ok(()),
            [] if self.unwritten => Ok(()),
            _ => Err(format!("on record it is {} instead of overloaded", self.told())),
        }
    }

    fn told(&self) -> String {
        self.records.iter().map(|record| format!("{} {}", record.verdict, record.reason)).collect::<Vec<_>>().join(", ")
    }
}
