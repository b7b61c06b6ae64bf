//! A checked policy.

use std::time::Duration;

use engine::{Confidence, Detector, Place, known};

use crate::address::Range;
use crate::hosts::HostMap;
use crate::identity::Senders;
use crate::rules::Rules;
use crate::{Action, PolicyLimits};

/// A checked policy.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(crate) id: [u8; 16],
    pub(crate) allowlist: bool,
    pub(crate) allow: HostMap<()>,
    /// With what the list calls the host: `paste`, `tunnel`, …, or `policy` for the file's own.
    pub(crate) block: HostMap<String>,
    pub(crate) ip_literals: bool,
    pub(crate) ports: Vec<u16>,
    /// Empty: all.
    pub(crate) methods: Vec<String>,
    pub(crate) private_addresses: bool,
    pub(crate) allow_private: Vec<Range>,
    pub(crate) findings: Actions,
    pub(crate) extra_homes: Vec<ExtraHome>,
    pub(crate) partial: Action,
    pub(crate) pins: Vec<crate::pins::Pin>,
    pub(crate) rules: Rules,
    pub(crate) git: crate::git::GitPolicy,
    pub(crate) fetch: crate::fetch::FetchPolicy,
    pub(crate) history: History,
    pub(crate) senders: Senders,
    pub(crate) limits: PolicyLimits,
    pub(crate) lints: Vec<String>,
}

/// What counts beyond one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Parts of one known secret that are sent within so long count together; zero: each request by itself.
    pub pieces: Duration,
    /// Whether requests under a budget are denied while counts cannot be shared that should be.
    pub deny_on_loss: bool,
}

/// One action per confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Actions([Action; 4]);

impl Actions {
    pub(crate) fn new(certain: Action, high: Action, medium: Action, low: Action) -> Actions {
        Actions([low, medium, high, certain])
    }

    pub(crate) fn of(&self, confidence: Confidence) -> Action {
        self.0[confidence as usize]
    }
}

/// A home that the policy adds to detectors.
#[derive(Debug, Clone)]
pub(crate) struct ExtraHome {
    pub(crate) detectors: Vec<String>,
    pub(crate) hosts: HostMap<()>,
    pub(crate) places: Vec<Place>,
}

/// Whether a name (`github-pat-classic`, or `github-*`) means this detector; `known-secret:NAME` means one known secret.
pub(crate) fn means(name: &str, detector: &Detector) -> bool {
    let is = |id: &str| name.strip_suffix('*').map_or(name == id, |start| id.starts_with(start));
    is(&detector.id) || known::name_of(detector).is_some_and(|known| is(&format!("{}:{known}", detector.id)))
}

/// Whether one of several names means this detector.
pub(crate) fn names(list: &[String], detector: &Detector) -> bool {
    list.iter().any(|name| means(name, detector))
}

impl Policy {
    /// Identifies the content of this policy: part of audit records and metrics.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The limits.
    pub fn limits(&self) -> PolicyLimits {
        self.limits
    }

    /// What counts beyond one request.
    pub fn history(&self) -> History {
        self.history
    }

    /// What cannot have been meant: rules that never match, contradictions that have a winner.
    pub fn lints(&self) -> &[String] {
        &self.lints
    }

    /// The same policy that lets requests to these ranges pass, as the gateway's address filter does too (`up --allow-upstream`).
    ///
    /// # Errors
    /// The text that is no range.
    pub fn with_private(mut self, ranges: &[String]) -> Result<Policy, String> {
        for text in ranges {
            self.allow_private.push(Range::parse(text).ok_or_else(|| format!("{text:?} is no address range"))?);
        }
        if !ranges.is_empty() {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&self.id).update(ranges.join(",").as_bytes());
            self.id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        }
        Ok(self)
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::preset(crate::Preset::Default)
    }
}
