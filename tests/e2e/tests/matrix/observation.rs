//! What was observed in one cell, and where it is written down.

use std::io::Write;

use serde_json::json;

use crate::bodies::Body;
use crate::expectations::{Expected, Fault, Mode};

/// What one request came to.
pub(crate) struct Observation {
    pub(crate) fault: Fault,
    pub(crate) mode: Mode,
    pub(crate) body: Body,
    /// The status; `None`: there was no answer, or it was cut.
    pub(crate) status: Option<u16>,
    /// Nothing came for as long as the client was ready to wait.
    pub(crate) hung: bool,
    /// Whether the answer says that the request was not scanned.
    pub(crate) marked: bool,
    /// From the fault, or from the beginning of the request where the fault was there before, to the answer.
    pub(crate) milliseconds: u128,
    pub(crate) origin_requests: u64,
    /// Bytes of bodies at the origin.
    pub(crate) origin_bytes: u64,
    /// Requests at the origin whose head no scanner let pass.
    pub(crate) unscanned_requests: u64,
    /// Bytes of bodies at the origin that no scanner let pass.
    pub(crate) unscanned_bytes: u64,
    /// Envoy's `failure_mode_allowed`.
    pub(crate) failed_open: u64,
    /// Envoy's count of requests that came beyond ext_proc without a verdict.
    pub(crate) without_verdict: u64,
    /// Envoy's `streams_failed` and `message_timeouts`.
    pub(crate) streams_failed: u64,
    pub(crate) message_timeouts: u64,
    /// Audit records written, and counted as lost.
    pub(crate) audited: u64,
    pub(crate) audit_lost: u64,
    /// What the client was told, or why it was not.
    pub(crate) said: String,
}

impl Observation {
    pub(crate) fn seen(&self) -> Expected {
        match self.status {
            None => Expected::Cut,
            Some(200) if self.marked => Expected::Marked,
            Some(200) => Expected::Scanned,
            Some(status) => Expected::Refused(status),
        }
    }

    /// Appends it to the file that the environment names.
    pub(crate) fn write_down(&self) {
        let Some(path) = std::env::var_os("PORTCULLIS_MATRIX_RECORD") else { return };
        let line = json!({
            "place": self.fault.place(),
            "fault": self.fault.name(),
            "mode": self.mode.name(),
            "body": self.body.name(),
            "status": self.status,
            "marked": self.marked,
            "milliseconds": u64::try_from(self.milliseconds).unwrap_or(u64::MAX),
            "origin_requests": self.origin_requests,
            "origin_bytes": self.origin_bytes,
            "unscanned_requests": self.unscanned_requests,
            "unscanned_bytes": self.unscanned_bytes,
            "failed_open": self.failed_open,
            "without_verdict": self.without_verdict,
            "streams_failed": self.streams_failed,
            "message_timeouts": self.message_timeouts,
            "audited": self.audited,
            "audit_lost": self.audit_lost,
        });
        // One write a line: several tests append to the same file.
        let written = std::fs::File::options().create(true).append(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

impl std::fmt::Display for Observation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = self.status.map_or_else(|| "cut".to_owned(), |status| status.to_string());
        write!(
            f,
            "{} × {} × {}: {status}{} after {} ms; origin {} requests, {} B, of these unscanned {}, {} B; failed_open {}, without_verdict {}, \
             streams_failed {}, message_timeouts {}, audited {}, lost {}; {}",
            self.fault.name(),
            self.mode.name(),
            self.body.name(),
            if self.marked { " marked" } else { "" },
            self.milliseconds,
            self.origin_requests,
            self.origin_bytes,
            self.unscanned_requests,
            self.unscanned_bytes,
            self.failed_open,
            self.without_verdict,
            self.streams_failed,
            self.message_timeouts,
            self.audited,
            self.audit_lost,
            self.said.chars().take(300).collect::<String>(),
        )
    }
}
