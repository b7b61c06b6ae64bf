//! The two questions policy answers.

use std::time::Duration;

use engine::{Coverage, Finding, Location};

use crate::{Action, Destination, Verdict};

/// Who sends what where, as far as the head tells.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The sandbox's name.
    pub sandbox: String,
    /// The method, upper case.
    pub method: String,
    /// Where it goes.
    pub destination: Destination,
    /// The path as sent, without query.
    pub path: String,
    /// The protocol of an `Upgrade` header or extended CONNECT, lower case.
    pub upgrade: Option<String>,
    /// Whether the body's bytes are signed or digested in the head (SigV4, `Digest`, `Content-Digest`, `Content-MD5`): it cannot be rewritten.
    pub body_signed: bool,
}

/// A finding with the location it stands in.
#[derive(Debug, Clone)]
pub struct Located {
    /// Where in the request.
    pub location: Location,
    /// What.
    pub finding: Finding,
}

/// What policy says of one finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Whether the credential is at home here.
    pub home: bool,
    /// What should happen to it.
    pub action: Action,
}

/// What policy says of a request.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// The decision.
    pub verdict: Verdict,
    /// One entry a finding, in the order given.
    pub findings: Vec<Judged>,
}

/// The limits a policy sets; the scanner enforces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Bodies up to this are held until the verdict; beyond, a sliding hold (64 KiB to 16 MiB).
    pub buffer_bytes: usize,
    /// Bytes that all holds of a process share.
    pub memory_bytes: usize,
    /// Decoded bytes per location.
    pub decoded_bytes: u64,
    /// Layers inside layers.
    pub depth: u32,
    /// Decoded bytes per encoded byte of a compressed layer beyond a grace.
    pub ratio: u64,
    /// How long a whole request may take to arrive.
    pub stream_timeout: Duration,
    /// How long a body of unknown length may pause before its clean head is released.
    pub pause: Duration,
    /// How long a claimed tail may be held after a pause.
    pub hold_timeout: Duration,
}

impl Default for PolicyLimits {
    fn default() -> PolicyLimits {
        PolicyLimits {
            buffer_bytes: 1 << 20,
            memory_bytes: 512 << 20,
            decoded_bytes: 64 << 20,
            depth: 8,
            ratio: 200,
            stream_timeout: Duration::from_secs(600),
            pause: Duration::from_millis(50),
            hold_timeout: Duration::from_secs(10),
        }
    }
}

/// A checked policy.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    limits: PolicyLimits,
}

impl Policy {
    /// Identifies the content of this policy: part of audit records and metrics.
    pub fn id(&self) -> [u8; 16] {
        [0; 16]
    }

    /// The limits.
    pub fn limits(&self) -> PolicyLimits {
        self.limits
    }

    /// From the head alone: hosts, ports, methods, addresses, upgrades.
    pub fn admit(&self, _subject: &Subject) -> Verdict {
        Verdict::CLEAN
    }

    /// On what was found. Total, and monotone: more findings never make the verdict milder.
    pub fn judge(&self, _subject: &Subject, findings: &[Located], _coverage: Coverage) -> Judgement {
        Judgement { verdict: Verdict::CLEAN, findings: findings.iter().map(|_| Judged { home: false, action: Action::Allow }).collect() }
    }
}
