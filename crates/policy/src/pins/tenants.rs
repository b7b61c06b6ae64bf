//! Tenants: whose bucket, repository or package a request is about.

use super::Carried;
use super::path::is_plain;

/// A tenant that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tenant {
    /// An organisation, a user, a group.
    Owner(String),
    /// `owner/name`.
    Repository(String),
    /// `name`, `@scope/name`.
    Package(String),
    Bucket(String),
    /// The account that an access point belongs to.
    Account(String),
    Project(String),
    Organization(String),
}

/// What a request tells of its tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// It is about nobody's data, or about those whose credential it carries.
    Nobody,
    /// All of these.
    Named(Vec<Tenant>),
    /// It cannot be told from the head.
    Unclear,
    /// A name in a spelling that may be read as another one: no policy lets that pass.
    Odd,
}

impl Told {
    /// One tenant, if that is a name.
    pub(super) fn one(name: &str, tenant: impl Fn(String) -> Tenant) -> Told {
        if is_plain(name, false) { Told::Named(vec![tenant(name.to_owned())]) } else { Told::Odd }
    }

    /// A path of names.
    pub(super) fn path(name: &str, tenant: impl Fn(String) -> Tenant) -> Told {
        if is_plain(name, true) { Told::Named(vec![tenant(name.to_owned())]) } else { Told::Odd }
    }

    /// Both.
    pub(super) fn and(self, other: Told) -> Told {
        match (self, other) {
            (Told::Odd, _) | (_, Told::Odd) => Told::Odd,
            (Told::Unclear, _) | (_, Told::Unclear) => Told::Unclear,
            (Told::Nobody, told) | (told, Told::Nobody) => told,
            (Told::Named(mut a), Told::Named(b)) => {
                a.extend(b);
                Told::Named(a)
            }
        }
    }

    /// Nobody's data if the request only reads.
    pub(super) fn if_read(asked: &Asked<'_>) -> Told {
        if asked.read { Told::Nobody } else { Told::Unclear }
    }
}

/// A request, as services read it.
pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    /// Whether the host is the user's own rather than the service's.
    pub(super) custom: bool,
    /// Whether it only reads, by every method it names.
    pub(super) read: bool,
    pub(super) segments: &'a [&'a str],
    pub(super) carried: &'a Carried<'a>,
}
