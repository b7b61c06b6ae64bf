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
    /// A credential that has a home, and this is not it.
    CredentialMisdirected,
    /// A secret that would have been redacted, but the place cannot be rewritten.
    RedactionImpossible,
    /// A credential that `only` does not list, or none where one is needed.
    CredentialForeign,
    /// An account, organisation, repository, bucket or project that `only` does not list, or one that cannot be told.
    TenantForeign,
    /// The upstream is told to fetch something from where the sandbox may not go.
    ProviderFetchDenied,
    /// It is not known who sends, and the policy wants to know.
    IdentityRequired,
    /// The credentials for the gateway are nobody's.
    IdentityUnknown,
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
    /// Nothing may be pushed to the repository.
    GitRepositoryNotAllowed,
    /// The branch, or another ref, may not be pushed.
    GitRefNotAllowed,
    /// A push that is not proven to lose no commit.
    GitForcePush,
    /// A push that deletes a ref.
    GitDeletion,
    /// A push of a tag.
    GitTag,
    /// A push without a certificate where one is required.
    GitUnsigned,
    /// The request can be read in two ways (host, path, length, encoding).
    Ambiguous,
    /// A rule denies it.
    RuleDenied,
    /// The condition of a rule could not be evaluated.
    RuleError,
    /// More requests than the budget of a rule has.
    RateLimited,
    /// More bytes than the budget of a rule has.
    VolumeExceeded,
    /// More different hosts than the budget of a rule has.
    TooManyHosts,
    /// The body is larger than a rule lets it be.
    BodyTooLarge,
    /// A limit of the policy (size, time, memory) was reached.
    LimitExceeded,
    /// More than the scanner can take now, or more than this sandbox's part of it.
    Overloaded,
    /// What other scanners have counted is not known, and the policy wants it known.
    StateUnavailable,
    /// The scanner could not do its work.
    Internal,
}

impl Reason {
    /// Every reason, the verdict it comes with, and when: the table of the documentation.
    pub const ALL: &[(Reason, &str, &str)] = &[
        (Reason::Clean, "allow", "nothing speaks against it"),
        (Reason::CredentialAtHome, "allow", "a credential where it belongs"),
        (Reason::LowConfidence, "allow", "findings that policy lets pass"),
        (Reason::SecretRedacted, "redact", "secrets were replaced by placeholders"),
        (Reason::SecretFound, "deny", "a secret where it does not belong"),
        (Reason::CredentialMisdirected, "deny", "a credential that belongs to other hosts, to another place of the request, or behind TLS"),
        (Reason::RedactionImpossible, "deny", "it would be replaced, but the place is signed, compressed, binary or a host name"),
        (Reason::CredentialForeign, "deny", "[`only`](tenants.md): a credential that is not registered, or none where one is needed"),
        (Reason::TenantForeign, "deny", "[`only`](tenants.md): a bucket, repository, … that is not registered, or that cannot be told"),
        (
            Reason::ProviderFetchDenied,
            "deny",
            "[`provider_fetch`](#what-providers-fetch): the request tells a provider to fetch something from where the sandbox may not go itself",
        ),
        (Reason::PartialCoverage, "deny (or allow)", "something could not be looked into"),
        (
            Reason::IdentityRequired,
            "deny, 407",
            "`identity.required`, and neither a token nor an address says who sends (403 inside a tunnel)",
        ),
        (Reason::IdentityUnknown, "deny, 407", "credentials for the gateway that are nobody's: wrong, or revoked (403 inside a tunnel)"),
        (Reason::HostBlocked, "deny", "the host is on a block list"),
        (Reason::HostNotAllowed, "deny", "`hosts.mode` is `allowlist`, and neither `hosts.allow` nor a rule allows it"),
        (Reason::IpLiteral, "deny", "an address instead of a name"),
        (Reason::PrivateAddress, "deny", "a special-purpose address or a private name"),
        (Reason::PortNotAllowed, "deny", "the port is not in `hosts.ports`"),
        (Reason::MethodNotAllowed, "deny", "the method is not in `methods`"),
        (Reason::UpgradeNotAllowed, "deny", "a protocol that is not scanned"),
        (Reason::GitRepositoryNotAllowed, "deny", "no rule of `git.push` is for this sandbox and repository"),
        (Reason::GitRefNotAllowed, "deny", "a branch or another ref that the rule does not name"),
        (Reason::GitForcePush, "deny", "a ref would move to what is not proven to contain what it was"),
        (Reason::GitDeletion, "deny", "a ref would be deleted"),
        (Reason::GitTag, "deny", "a tag"),
        (Reason::GitUnsigned, "deny", "no push certificate where one is required"),
        (
            Reason::Ambiguous,
            "deny",
            "host, path, length or encoding can be read in two ways; or a rule fits one reading of path or method and not the other",
        ),
        (Reason::RuleDenied, "deny", "a rule with `action: deny`"),
        (Reason::RuleError, "deny", "the `when` of a rule could not be evaluated (a header that is not there, say)"),
        (Reason::RateLimited, "deny, 429", "`budget.requests`; `Retry-After` says when one fits again"),
        (Reason::VolumeExceeded, "deny, 429", "`budget.bytes`, `new_host_bytes` or `opaque`; `Retry-After` too"),
        (Reason::TooManyHosts, "deny, 429", "`budget.new_hosts`; `Retry-After` too"),
        (Reason::BodyTooLarge, "deny, 413", "`max_body`"),
        (Reason::LimitExceeded, "deny", "time or memory"),
        (
            Reason::Overloaded,
            "deny, 503",
            "the scanner has more to do than it can, or this sandbox more than its part of it; `Retry-After` says when to try again",
        ),
        (
            Reason::StateUnavailable,
            "deny, 503",
            "`history.on_loss: deny`, and counts cannot be shared; `Retry-After` says when to try again",
        ),
        (Reason::Internal, "deny, 503", "the scanner could not do its work"),
    ];

    /// The snake_case code.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Clean => "clean",
            Reason::CredentialAtHome => "credential_at_home",
            Reason::LowConfidence => "low_confidence",
            Reason::SecretRedacted => "secret_redacted",
            Reason::SecretFound => "secret_found",
            Reason::CredentialMisdirected => "credential_misdirected",
            Reason::RedactionImpossible => "redaction_impossible",
            Reason::PartialCoverage => "partial_coverage",
            Reason::CredentialForeign => "credential_foreign",
            Reason::TenantForeign => "tenant_foreign",
            Reason::ProviderFetchDenied => "provider_fetch_denied",
            Reason::IdentityRequired => "identity_required",
            Reason::IdentityUnknown => "identity_unknown",
            Reason::HostBlocked => "host_blocked",
            Reason::HostNotAllowed => "host_not_allowed",
            Reason::IpLiteral => "ip_literal",
            Reason::PrivateAddress => "private_address",
            Reason::PortNotAllowed => "port_not_allowed",
            Reason::MethodNotAllowed => "method_not_allowed",
            Reason::UpgradeNotAllowed => "upgrade_not_allowed",
            Reason::GitRepositoryNotAllowed => "git_repository_not_allowed",
            Reason::GitRefNotAllowed => "git_ref_not_allowed",
            Reason::GitForcePush => "git_force_push",
            Reason::GitDeletion => "git_deletion",
            Reason::GitTag => "git_tag",
            Reason::GitUnsigned => "git_unsigned",
            Reason::Ambiguous => "ambiguous_request",
            Reason::RuleDenied => "rule_denied",
            Reason::RuleError => "rule_error",
            Reason::RateLimited => "rate_limited",
            Reason::VolumeExceeded => "volume_exceeded",
            Reason::TooManyHosts => "too_many_hosts",
            Reason::BodyTooLarge => "body_too_large",
            Reason::LimitExceeded => "limit_exceeded",
            Reason::Overloaded => "overloaded",
            Reason::StateUnavailable => "state_unavailable",
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
