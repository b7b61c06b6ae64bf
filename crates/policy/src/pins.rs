//! Whose: services limited to registered credentials and tenants, the `only` section of a policy.
//!
//! It goes by what stands in a service's own places, not by what detectors make of it: an unknown credential is foreign too.

mod carried;
mod code_hosts;
mod path;
mod print;
mod registries;
mod service;
mod storage;
mod tenants;

use std::sync::Arc;

use engine::{Known, Location};

use crate::git::{Glob, is};
use crate::hosts::HostMap;
use crate::place::CREDENTIAL_HEADERS;
use crate::{Host, Policy, Reason, Subject};
use carried::Value;
use path::Segments;
use tenants::{Asked, Tenant, Told};

pub use carried::Carried;
pub(crate) use carried::Spot;
pub use print::{CredentialPrint, TooWeak};
pub(crate) use service::{Kind, Service};

/// Users of `Basic` that mean that the password says all (documentation of GitHub, GitLab, PyPI).
const USERS: [&str; 7] = ["x-access-token", "x-oauth-basic", "oauth2", "git", "gitlab-ci-token", "__token__", "token"];

/// What a request may do that carries no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Anonymous {
    Allow,
    Reads,
    Deny,
}

/// A registered credential.
#[derive(Debug, Clone)]
pub(crate) enum Registered {
    /// The name of known secrets; a star at its end means any ending.
    Named(String),
    Print(CredentialPrint),
}

/// One entry of `only`.
#[derive(Debug, Clone)]
pub(crate) struct Pin {
    pub(crate) service: Option<Service>,
    /// Hosts of the user's own; without them the service's.
    pub(crate) hosts: Option<HostMap<()>>,
    pub(crate) groups: Vec<String>,
    pub(crate) sandboxes: Vec<String>,
    pub(crate) credentials: Vec<Registered>,
    pub(crate) places: Vec<Spot>,
    pub(crate) accounts: Vec<String>,
    pub(crate) anonymous: Anonymous,
    pub(crate) tenants: Vec<(Kind, Glob)>,
    pub(crate) reads: bool,
    pub(crate) unclear: bool,
}

/// Why a request is not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    Credential,
    Anonymous,
    Tenant,
    Unclear,
    Ambiguous,
}

impl Foreign {
    fn reason(self) -> Reason {
        match self {
            Foreign::Credential | Foreign::Anonymous => Reason::CredentialForeign,
            Foreign::Tenant | Foreign::Unclear => Reason::TenantForeign,
            Foreign::Ambiguous => Reason::Ambiguous,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Foreign::Credential => "it carries a credential that is none of its own",
            Foreign::Anonymous => "it carries no credential in the head",
            Foreign::Tenant => "it names what is none of its own",
            Foreign::Unclear => "whose data it is about cannot be told from the head",
            Foreign::Ambiguous => "the path can be read in two ways",
        }
    }
}

impl Policy {
    /// Whether `only` says anything of requests there: ask [`Policy::admit_owned`] then.
    pub fn is_pinned(&self, subject: &Subject) -> bool {
        self.pins_of(subject).next().is_some()
    }

    /// Whether credentials and tenants are registered, where that is asked for: one of the entries for sandbox and host must hold.
    ///
    /// # Errors
    /// The reason why not, and the first entry that says so: `only[2]`, counted from 0.
    pub fn admit_owned(&self, subject: &Subject, carried: &Carried<'_>) -> Result<(), (Reason, Arc<str>)> {
        let mut first = None;
        for (number, pin) in self.pins_of(subject) {
            match pin.admits(subject, carried) {
                Ok(()) => return Ok(()),
                Err(foreign) => first = first.or(Some((number, foreign))),
            }
        }
        first.map_or(Ok(()), |(number, foreign)| Err((foreign.reason(), format!("only[{number}]").into())))
    }

    /// What `only` says, in words for people: an entry that holds, or all that do not.
    pub(crate) fn explain_owned(&self, subject: &Subject, carried: &Carried<'_>) -> (Option<Reason>, Vec<String>) {
        let mut lines = Vec::new();
        let mut reason = None;
        for (number, pin) in self.pins_of(subject) {
            match pin.admits(subject, carried) {
                Ok(()) => return (None, vec![format!("only[{number}] ({}) holds", pin.name())]),
                Err(foreign) => {
                    reason = reason.or(Some(foreign.reason()));
                    lines.push(format!("only[{number}] ({}) does not hold: {}", pin.name(), foreign.why()));
                }
            }
        }
        (reason, lines)
    }

    /// Whether a finding there stands where no entry looks, though credentials are limited: then it is not at home.
    pub(crate) fn overlooked(&self, subject: &Subject, location: &Location, field: Option<&str>) -> bool {
        let mut limited = self.pins_of(subject).map(|(_, pin)| pin).filter(|pin| !pin.credentials.is_empty()).peekable();
        limited.peek().is_some()
            && !limited.any(|pin| match location {
                Location::Header(name) => {
                    CREDENTIAL_HEADERS.contains(&name.as_ref())
                        || &**name == "cookie"
                        || pin.places.iter().any(|spot| matches!(spot, Spot::Header(own) if **own == **name))
                }
                Location::Query => field.is_some_and(|field| carried::reads_query(field, &pin.places)),
                Location::Path => pin.service == Some(Service::Slack),
                _ => false,
            })
    }

    fn pins_of<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = (usize, &'a Pin)> {
        let there = self.pins.iter().enumerate().filter(|(_, pin)| pin.is_at(&subject.destination.host));
        there.filter(|(_, pin)| self.is_for(pin, &subject.sandbox))
    }

    fn is_for(&self, pin: &Pin, sandbox: &str) -> bool {
        let groups = &self.rules.groups;
        let member = |name: &String| groups.number(name).is_some_and(|group| groups.of(sandbox).has(group));
        (pin.groups.is_empty() || pin.groups.iter().any(member))
            && (pin.sandboxes.is_empty() || pin.sandboxes.iter().any(|name| is(name, sandbox)))
    }
}

impl Pin {
    /// What it is about, in the words of the file.
    pub(crate) fn name(&self) -> String {
        match (&self.service, &self.hosts) {
            (Some(service), _) => service.name().to_owned(),
            (None, Some(hosts)) => hosts.patterns().collect::<Vec<_>>().join(", "),
            (None, None) => String::new(),
        }
    }

    fn is_at(&self, host: &Host) -> bool {
        match (&self.hosts, host.name()) {
            (Some(hosts), _) => hosts.get(host).is_some(),
            (None, Some(name)) => self.service.is_some_and(|service| service.owns(name)),
            (None, None) => false,
        }
    }

    pub(crate) fn limits_credentials(&self) -> bool {
        !self.credentials.is_empty() || !self.accounts.is_empty()
    }

    /// Whether a list of this kind is given.
    fn lists(&self, kind: Kind) -> bool {
        self.tenants.iter().any(|(own, _)| *own == kind)
    }

    fn admits(&self, subject: &Subject, carried: &Carried<'_>) -> Result<(), Foreign> {
        let reading = |method: &str| matches!(method, "GET" | "HEAD");
        let read = reading(&subject.method) && subject.other_method.as_deref().is_none_or(reading);
        if self.limits_credentials() {
            let values = carried.credentials(self.service, &self.places, &subject.path);
            match (values.is_empty(), self.anonymous) {
                (true, Anonymous::Deny) => return Err(Foreign::Anonymous),
                (true, Anonymous::Reads) if !read => return Err(Foreign::Anonymous),
                _ => {}
            }
            if !values.iter().all(|value| self.knows(value, carried.known)) {
                return Err(Foreign::Credential);
            }
        }
        if self.tenants.is_empty() {
            return Ok(());
        }
        if self.reads && (read || self.fetches(subject)) && Segments::of(&subject.path).is_some() {
            return Ok(());
        }
        self.owns(subject, carried, read)
    }

    fn owns(&self, subject: &Subject, carried: &Carried<'_>, read: bool) -> Result<(), Foreign> {
        let (Some(service), Some(host)) = (self.service, subject.destination.host.name()) else { return Err(Foreign::Unclear) };
        let segments = Segments::of(&subject.path).ok_or(Foreign::Ambiguous)?;
        let asked = Asked { host, custom: self.hosts.is_some(), read, segments: &segments.all(), carried };
        // Objects may have any name. Elsewhere the words before names must be plain too, or a server may see other ones.
        if !service.signs() && !segments.are_plain() {
            return Err(Foreign::Ambiguous);
        }
        match service.tenants(&asked) {
            Told::Nobody => Ok(()),
            Told::Named(all) if all.iter().all(|tenant| self.has(tenant)) => Ok(()),
            Told::Named(_) => Err(Foreign::Tenant),
            Told::Odd => Err(Foreign::Ambiguous),
            Told::Unclear if self.unclear => Ok(()),
            Told::Unclear => Err(Foreign::Unclear),
        }
    }

    /// Whether it is the POST by which git fetches and clones (gitprotocol-http).
    fn fetches(&self, subject: &Subject) -> bool {
        matches!(self.service, Some(Service::Github | Service::Gitlab))
            && subject.method == "POST"
            && subject.other_method.is_none()
            && subject.content_type == "application/x-git-upload-pack-request"
            && subject.path.ends_with("/git-upload-pack")
            && !subject.path.starts_with("/api/")
            && subject.destination.host.name().is_some_and(|host| !host.starts_with("api.") && !host.starts_with("uploads."))
    }

    /// Whether a credential is registered.
    fn knows(&self, value: &Value, known: Option<&Known>) -> bool {
        match value {
            Value::Unclear => false,
            Value::Secret(bytes) => self.registered(bytes, known),
            Value::AnyOf(forms) => forms.iter().any(|form| self.registered(form, known)),
            Value::Account(name) if self.service.is_some_and(Service::signs) => self.account(name),
            Value::Account(name) => USERS.contains(&name.as_str()) || self.account(name) || self.registered(name.as_bytes(), known),
        }
    }

    fn registered(&self, value: &[u8], known: Option<&Known>) -> bool {
        let print = CredentialPrint::of(value);
        let printed = self.credentials.iter().fold(false, |found, own| found | matches!(own, Registered::Print(own) if *own == print));
        let named = |name: &str| {
            let means = |own: &str| own.strip_suffix('*').map_or(own == name, |start| name.starts_with(start));
            self.credentials.iter().any(|own| matches!(own, Registered::Named(own) if means(own)))
        };
        printed | known.is_some_and(|known| known.holds(value, named))
    }

    /// Whether an account is listed: by its own name, or for an access key's id by the number of its account.
    fn account(&self, name: &str) -> bool {
        self.accounts.iter().any(|own| own == name) || aws_account(name).is_some_and(|number| self.accounts.contains(&number))
    }

    /// Whether a tenant is registered; one of a kind of which there is no list is not limited.
    fn has(&self, tenant: &Tenant) -> bool {
        let fits = |kind, name: &str| self.tenants.iter().any(|(own, glob)| *own == kind && glob.matches(name));
        let lower = |name: &str| name.to_ascii_lowercase();
        match tenant {
            Tenant::Owner(name) => {
                // A group below one of ours is ours.
                lower(name)
                    .match_indices('/')
                    .map(|(at, _)| at)
                    .chain([name.len()])
                    .any(|end| lower(name).get(..end).is_some_and(|start| fits(Kind::Owners, start)))
            }
            Tenant::Repository(path) => {
                let path = lower(path);
                let owners = path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|start| fits(Kind::Owners, start)));
                owners || fits(Kind::Repositories, &path)
            }
            Tenant::Package(name) => fits(Kind::Packages, name),
            Tenant::Bucket(name) => !self.lists(Kind::Buckets) || fits(Kind::Buckets, name),
            Tenant::Account(number) => self.accounts.contains(number),
            Tenant::Project(name) => !self.lists(Kind::Projects) || fits(Kind::Projects, name),
            Tenant::Organization(name) => !self.lists(Kind::Organizations) || fits(Kind::Organizations, name),
        }
    }
}

/// The number of the account in an access key's id: bits 1 to 40 of what follows the first four letters, in base32, where bit 0 says that it
/// is there (found by measurement: T. Be'ery, "A short note on AWS KEY ID"; WithSecure, "A bitwise analysis of AWS access key identifiers").
fn aws_account(id: &str) -> Option<String> {
    if id.len() != 20 || !(id.starts_with("AKIA") || id.starts_with("ASIA")) {
        return None;
    }
    let bytes = data_encoding::BASE32.decode(id.get(4..)?.as_bytes()).ok()?;
    let number = bytes.get(..6)?.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let there = number >> 47 & 1 == 1;
    there.then(|| format!("{:012}", number >> 7 & 0xff_ffff_ffff))
}

#[cfg(test)]
mod tests;
