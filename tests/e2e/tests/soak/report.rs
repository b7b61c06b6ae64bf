//! What a run leaves behind: JSON, of which tests/soak/render.py makes docs/soak.md.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::faults::Fault;
use crate::ledger::Account;
use crate::memory::{Series, floor, slope};

/// The figures of a run.
#[derive(Default)]
pub(crate) struct Report {
    /// Requests of each chapter, with the minute at which it ended.
    pub(crate) chapters: Vec<(f64, Account)>,
    pub(crate) total: Account,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Secrets that were sent.
    pub(crate) secrets: usize,
    /// Bytes that reached the origin.
    pub(crate) bytes: u64,
    pub(crate) minutes: f64,
    /// From where on slopes are taken, in minutes.
    pub(crate) warm: f64,
    /// The windows of which the least counts, in minutes.
    pub(crate) window: f64,
    pub(crate) series: Vec<Series>,
}

impl Report {
    pub(crate) fn requests(account: &Account) -> u64 {
        account.kinds.values().sum()
    }

    pub(crate) fn json(&self) -> Value {
        let sums = |account: &Account| {
            json!({
                "requests": Self::requests(account),
                "as_expected": account.as_expected,
                "overloaded": account.overloaded,
                "failed": account.failed,
                "passed_clients": account.passed_clients,
                "refused_clients": account.refused_clients,
                "arrived": account.arrived,
                "arrived_in_part": account.arrived_in_part,
                "records": account.records,
                "passed_records": account.passed_records,
                "passed_counted": account.passed_counted,
                "inside": account.inside,
                "passed_and_lost": account.passed_and_lost,
                "arrived_unrecorded": account.arrived_unrecorded,
                "recorded_twice": account.recorded_twice,
                "lost": account.lost,
                "wrong": account.wrong.len(),
            })
        };
        let chapter = |(minute, account): &(f64, Account)| json!({"minute": minute, "sums": sums(account)});
        let kinds: Vec<Value> = self.total.kinds.iter().map(|(kind, count)| json!({"kind": kind.name(), "requests": count})).collect();
        let faults: Vec<Value> = self.faults.iter().map(|(fault, count)| json!({"fault": fault.name(), "times": count})).collect();
        json!({
            "minutes": self.minutes,
            "warm": self.warm,
            "window": self.window,
            "total": sums(&self.total),
            "chapters": self.chapters.iter().map(chapter).collect::<Vec<_>>(),
            "kinds": kinds,
            "faults": faults,
            "secrets": self.secrets,
            "bytes": self.bytes,
            "series": self.series.iter().filter_map(|series| self.memory(series)).collect::<Vec<_>>(),
        })
    }

    fn memory(&self, series: &Series) -> Option<Value> {
        let ((from, first), (to, last)) = (series.points.first()?, series.points.last()?);
        let warm = series.after(self.warm);
        let spans = warm.first().zip(warm.last()).map_or(0.0, |(first, last)| last.0 - first.0);
        Some(json!({
            "part": series.part, "from": from, "to": to, "first": first, "last": last, "peak": series.peak(), "samples": series.points.len(),
            "warm_minutes": spans, "slope": slope(&warm), "floor": slope(&floor(&warm, self.window)),
            "points": series.points,
        }))
    }

    pub(crate) fn write(&self, file: &Path) {
        std::fs::write(file, format!("{:#}\n", self.json())).expect("written");
    }
}
