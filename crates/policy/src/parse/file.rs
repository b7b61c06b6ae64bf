//! The form of a policy file.

use engine::Confidence;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::Action;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) version: Spanned<u32>,
    pub(super) extends: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) hosts: Hosts,
    pub(super) methods: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) findings: Findings,
    #[serde(default)]
    pub(super) home: Homes,
    #[serde(default)]
    pub(super) redact: Redact,
    pub(super) partial_coverage: Option<Action>,
    pub(super) private_addresses: Option<Permission>,
    #[serde(default)]
    pub(super) allow_private: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) overrides: Vec<Spanned<Override>>,
    #[serde(default)]
    pub(super) limits: Limits,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Permission {
    Allow,
    Deny,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Open,
    Allowlist,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Hosts {
    pub(super) mode: Option<Mode>,
    #[serde(default)]
    pub(super) allow: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) block: Vec<Spanned<String>>,
    pub(super) shipped_blocklist: Option<bool>,
    pub(super) ip_literals: Option<Permission>,
    pub(super) ports: Option<Vec<Spanned<u16>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Findings {
    pub(super) certain: Option<Action>,
    pub(super) high: Option<Action>,
    pub(super) medium: Option<Action>,
    pub(super) low: Option<Action>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Homes {
    #[serde(default)]
    pub(super) extra: Vec<Home>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Home {
    pub(super) detectors: Vec<Spanned<String>>,
    pub(super) hosts: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) places: Vec<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Redact {
    pub(super) from: Option<Confidence>,
    pub(super) hosts: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    pub(super) hosts: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub(super) sandboxes: Vec<String>,
    #[serde(default)]
    pub(super) detectors: Vec<Spanned<String>>,
    pub(super) findings: Option<Action>,
    pub(super) partial_coverage: Option<Action>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) buffer: Option<Spanned<String>>,
    pub(super) memory: Option<Spanned<String>>,
    pub(super) decoded: Option<Spanned<String>>,
    pub(super) depth: Option<Spanned<u32>>,
    pub(super) ratio: Option<Spanned<u64>>,
    pub(super) stream_timeout: Option<Spanned<String>>,
    pub(super) pause: Option<Spanned<String>>,
    pub(super) hold_timeout: Option<Spanned<String>>,
}

/// The shipped list of hosts that take what anybody sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blocklist {
    pub(super) paste: Vec<String>,
    pub(super) drop: Vec<String>,
    pub(super) tunnel: Vec<String>,
    pub(super) catcher: Vec<String>,
}
