//! What a run found, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::check::{Check, Outcome};

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was tried.
    pub check: Check,
    /// On what.
    pub target: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why.
    pub detail: String,
}

/// How many there are of each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Met a wall.
    pub blocked: usize,
    /// Could not be told.
    pub failed: usize,
    /// Got out.
    pub escaped: usize,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// `contained`, `escaped` or `unclear`.
    pub result: &'static str,
    /// How many of each.
    pub counts: Counts,
    /// All that was tried, in the order of checks.
    pub results: Vec<Row>,
}

impl Report {
    /// A report of these rows.
    #[must_use]
    pub fn new(started: OffsetDateTime, took: Duration, mut results: Vec<Row>) -> Self {
        results.sort_by_key(|row| row.check);
        let count = |outcome| results.iter().filter(|row| row.outcome == outcome).count();
        let counts = Counts { blocked: count(Outcome::Blocked), failed: count(Outcome::Failed), escaped: count(Outcome::Escaped) };
        let result = match (counts.escaped, counts.failed) {
            // A run that tried nothing tells nothing.
            (0, 0) if counts.blocked > 0 => "contained",
            (0, _) => "unclear",
            _ => "escaped",
        };
        // A time of day that cannot be written is left out; the years 0 to 9999 can.
        let started = started.format(&Rfc3339).unwrap_or_default();
        Self { started, seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0, result, counts, results }
    }

    /// 0: contained, 1: something escaped, 2: nothing did, but not all could be told.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.result {
            "contained" => 0,
            "escaped" => 1,
            _ => 2,
        }
    }

    /// How many rows there are of a check and an outcome.
    #[must_use]
    pub fn count(&self, check: Check, outcome: Outcome) -> usize {
        self.results.iter().filter(|row| row.check == check && row.outcome == outcome).count()
    }

    /// The table: escapes and failures one by one, and last what was blocked, one line for each check and reason; with `all`, everything
    /// one by one.
    #[must_use]
    pub fn table(&self, all: bool) -> String {
        let mut lines: Vec<[String; 4]> = Vec::new();
        for outcome in [Outcome::Escaped, Outcome::Failed] {
            lines.extend(self.of(outcome).map(line));
        }
        if all {
            lines.extend(self.of(Outcome::Blocked).map(line));
        } else {
            lines.extend(self.grouped());
        }
        let mut text = columns(&lines);
        let Counts { blocked, failed, escaped } = self.counts;
        let verdict = match self.result {
            "contained" => "contained: nothing got out",
            "escaped" => "ESCAPED: this sandbox is not contained",
            _ => "unclear: nothing got out, but not everything could be told",
        };
        text.push_str(&format!("\n{escaped} escaped, {failed} failed, {blocked} blocked in {:.1} s. {verdict}.", self.seconds));
        text
    }

    fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Row> {
        self.results.iter().filter(move |row| row.outcome == outcome)
    }

    fn grouped(&self) -> impl Iterator<Item = [String; 4]> {
        let mut groups: BTreeMap<(Check, &str), Vec<&Row>> = BTreeMap::new();
        for row in self.of(Outcome::Blocked) {
            groups.entry((row.check, &row.detail)).or_default().push(row);
        }
        groups.into_values().filter_map(|rows| {
            let [check, mut target, outcome, detail] = line(rows.first()?);
            if rows.len() > 1 {
                target = format!("{target} and {} more", rows.len() - 1);
            }
            Some([check, target, outcome, detail])
        })
    }
}

fn line(row: &Row) -> [String; 4] {
    [row.check.name().to_owned(), short(&row.target), row.outcome.name().to_owned(), row.detail.clone()]
}

/// As much of a target as a table has room for.
fn short(target: &str) -> String {
    match target.char_indices().nth(WIDEST) {
        Some((at, _)) => format!("{}…", target.get(..at).unwrap_or_default()),
        None => target.to_owned(),
    }
}

/// Characters of a target in a table.
const WIDEST: usize = 60;

/// Rows under a head, each column as wide as its widest cell.
fn columns(lines: &[[String; 4]]) -> String {
    let head = ["CHECK", "TARGET", "OUTCOME", "DETAIL"].map(str::to_owned);
    let widths: [usize; 3] =
        [0, 1, 2].map(|column| lines.iter().chain([&head]).map(|cells| cells[column].chars().count()).max().unwrap_or_default());
    let mut text = String::new();
    for [check, target, outcome, detail] in [&head].into_iter().chain(lines) {
        let [a, b, c] = widths;
        text.push_str(&format!("{check:a$}  {target:b$}  {outcome:c$}  {detail}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[(Check, &str, Outcome, &str)]) -> Report {
        let rows = rows.iter().map(|(check, target, outcome, detail)| Row {
            check: *check,
            target: (*target).to_owned(),
            outcome: *outcome,
            detail: (*detail).to_owned(),
        });
        Report::new(OffsetDateTime::UNIX_EPOCH, Duration::from_millis(1234), rows.collect())
    }

    #[test]
    fn one_escape_is_enough_and_a_failure_is_not_contained() {
        let [b, f, e] = Outcome::ALL.map(|outcome| (Check::Tcp, "x", outcome, "y"));
        for (rows, code) in [(vec![b], 0), (vec![b, f], 2), (vec![b, f, e], 1), (vec![f], 2), (vec![e], 1), (vec![], 2)] {
            assert_eq!(report(&rows).exit_code(), code, "{rows:?}");
        }
    }

    #[test]
    fn the_table_tells_escapes_first_and_puts_walls_together() {
        let rows = [
            (Check::Tcp, "192.0.2.1:80", Outcome::Blocked, "refused"),
            (Check::Tcp, "192.0.2.1:22", Outcome::Blocked, "refused"),
            (Check::Udp, "192.0.2.1:443", Outcome::Escaped, "answered"),
            (Check::Tcp, "192.0.2.1:25", Outcome::Blocked, "no route"),
        ];
        let report = report(&rows);
        assert_eq!(
            report.table(false).lines().collect::<Vec<_>>(),
            [
                "CHECK  TARGET                   OUTCOME  DETAIL",
                "udp    192.0.2.1:443            escaped  answered",
                "tcp    192.0.2.1:25             blocked  no route",
                "tcp    192.0.2.1:80 and 1 more  blocked  refused",
                "",
                "1 escaped, 0 failed, 3 blocked in 1.2 s. ESCAPED: this sandbox is not contained.",
            ]
        );
        assert_eq!(report.table(true).lines().count(), rows.len() + 3);
        assert_eq!((short(&"ä".repeat(60)), short(&"ä".repeat(61))), ("ä".repeat(60), format!("{}…", "ä".repeat(60))));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["started"], &json["result"]), (&"1970-01-01T00:00:00Z".into(), &"escaped".into()));
        assert_eq!(
            json["results"][3],
            serde_json::json!({"check": "udp", "target": "192.0.2.1:443", "outcome": "escaped", "detail": "answered"})
        );
    }
}
