//! The services that can be pinned: their hosts, and what of them can be limited.

use super::tenants::{Asked, Told};
use super::{code_hosts, registries, storage};

/// A service whose credentials and tenants are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Service {
    Anthropic,
    Openai,
    Github,
    Gitlab,
    Npm,
    Pypi,
    AwsS3,
    Gcs,
    Slack,
}

/// What of a service can be limited beside its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Owners,
    Repositories,
    Packages,
    Buckets,
    Projects,
    Organizations,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Anthropic => "anthropic",
            Service::Openai => "openai",
            Service::Github => "github",
            Service::Gitlab => "gitlab",
            Service::Npm => "npm",
            Service::Pypi => "pypi",
            Service::AwsS3 => "aws-s3",
            Service::Gcs => "gcs",
            Service::Slack => "slack",
        }
    }

    /// What a pin of it may list.
    pub(crate) fn kinds(self) -> &'static [Kind] {
        match self {
            Service::Anthropic | Service::Pypi => &[],
            Service::Openai => &[Kind::Organizations, Kind::Projects],
            Service::Github | Service::Gitlab => &[Kind::Owners, Kind::Repositories],
            Service::Npm => &[Kind::Packages],
            Service::AwsS3 => &[Kind::Buckets],
            Service::Gcs => &[Kind::Buckets, Kind::Projects],
            Service::Slack => &[Kind::Organizations],
        }
    }

    /// Whether requests are signed by an account's key, so that the account is what can be registered.
    pub(crate) fn signs(self) -> bool {
        matches!(self, Service::AwsS3 | Service::Gcs)
    }

    /// Whether a host is one of the service's own.
    pub(crate) fn owns(self, host: &str) -> bool {
        let is = |name: &str| host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        match self {
            Service::Anthropic => is("api.anthropic.com"),
            Service::Openai => is("api.openai.com"),
            Service::Github => ["github.com", "githubusercontent.com", "ghcr.io"].into_iter().any(is),
            Service::Gitlab => is("gitlab.com"),
            Service::Npm => is("registry.npmjs.org"),
            Service::Pypi => is("pypi.org"),
            Service::AwsS3 => storage::is_s3(host),
            Service::Gcs => storage::is_gcs(host),
            Service::Slack => is("slack.com"),
        }
    }

    /// The tenants that a request names.
    pub(super) fn tenants(self, asked: &Asked<'_>) -> Told {
        match self {
            Service::Anthropic | Service::Pypi => Told::Nobody,
            Service::Openai => registries::openai(asked),
            Service::Github => code_hosts::github(asked),
            Service::Gitlab => code_hosts::gitlab(asked),
            Service::Npm => registries::npm(asked),
            Service::AwsS3 => storage::s3(asked),
            Service::Gcs => storage::gcs(asked),
            Service::Slack => registries::slack(asked),
        }
    }
}
