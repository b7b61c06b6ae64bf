//! Verdicts and their reasons.

/// What happens to a request. Ordered: combining is `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It travels as it is.
    Allow,
    /// It travels with placeholders instead of secrets.
    Redact,
    /// It does not travel.
    Deny,
}

impl Action {
    /// The word that reports and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Redact => "redact",
            Action::Deny => "deny",
        }
    }
}

/// Why: a closed set, used as `reason` in answers, audit records and metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing speaks against it.
    Clean,
    /// Findings, all at home.
    CredentialAtHome,
    /// Only findings below the acting confidence.
    LowConfidence,
    /// Secrets were replaced by placeholders.
    SecretRedacted,
    /// A secret where it does not belong.
    SecretFound,
    /// A secret that would have been redacted, but the place cannot be rewritten.
    RedactionImpossible,
    /// Something could not be looked into.
    PartialCoverage,
    /// The host is on a block list.
    HostBlocked,
    /// The host is not on the allow list.
    HostNotAllowed,
    /// The host is an IP address.
    IpLiteral,
    /// The address is private, link-local, loopback or a metadata service.
    PrivateAddress,
    /// The port is not allowed.
    PortNotAllowed,
    /// The method is not allowed.
    MethodNotAllowed,
    /// The request asks for a protocol that is not scanned.
    UpgradeNotAllowed,
    /// The request can be read in two ways (host, path, length, encoding).
    Ambiguous,
    /// A limit of the policy (size, time, memory) was reached.
    LimitExceeded,
    /// The scanner could not do its work.
    Internal,
}

impl Reason {
    /// The snake_case code.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Clean => "clean",
            Reason::CredentialAtHome => "credential_at_home",
            Reason::LowConfidence => "low_confidence",
            Reason::SecretRedacted => "secret_redacted",
            Reason::SecretFound => "secret_found",
            Reason::RedactionImpossible => "redaction_impossible",
            Reason::PartialCoverage => "partial_coverage",
            Reason::HostBlocked => "host_blocked",
            Reason::HostNotAllowed => "host_not_allowed",
            Reason::IpLiteral => "ip_literal",
            Reason::PrivateAddress => "private_address",
            Reason::PortNotAllowed => "port_not_allowed",
            Reason::MethodNotAllowed => "method_not_allowed",
            Reason::UpgradeNotAllowed => "upgrade_not_allowed",
            Reason::Ambiguous => "ambiguous_request",
            Reason::LimitExceeded => "limit_exceeded",
            Reason::Internal => "internal",
        }
    }
}

/// A decision with its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What happens.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

impl Verdict {
    /// Nothing speaks against it.
    pub const CLEAN: Verdict = Verdict { action: Action::Allow, reason: Reason::Clean };

    /// A denial.
    pub fn deny(reason: Reason) -> Verdict {
        Verdict { action: Action::Deny, reason }
    }

    /// The stricter of the two; of equals, the first.
    #[must_use]
    pub fn max(self, other: Verdict) -> Verdict {
        if other.action > self.action { other } else { self }
    }
}
