//! The `only` section of a policy file.

use serde_saphyr::Spanned;

use super::build::host_map;
use super::error::{Result, meant, wrong};
use super::file::{Only, Permission};
use super::rule::{group, sandbox};
use crate::Policy;
use crate::git::Glob;
use crate::pins::{Anonymous, CredentialPrint, Kind, Pin, Registered, Service, Spot};
use crate::rules::Rules;

/// Each is asked of every request.
const MAX_PINS: usize = 256;
const SERVICES: [Service; 9] = [
    Service::Anthropic,
    Service::Openai,
    Service::Github,
    Service::Gitlab,
    Service::Npm,
    Service::Pypi,
    Service::AwsS3,
    Service::Gcs,
    Service::Slack,
];

/// Adds the entries of a file.
pub(super) fn lay_over(given: Vec<Spanned<Only>>, policy: &mut Policy) -> Result<()> {
    for one in given {
        if policy.pins.len() == MAX_PINS {
            return Err(wrong(&one, format!("only has more than {MAX_PINS} entries")));
        }
        let pin = pin(one, &policy.rules)?;
        policy.pins.push(pin);
    }
    Ok(())
}

fn pin(given: Spanned<Only>, rules: &Rules) -> Result<Pin> {
    let at = Spanned { value: (), referenced: given.referenced, defined: given.defined };
    let only = given.value;
    let service = only.service.map(service).transpose()?;
    if service.is_none() && only.hosts.is_empty() {
        return Err(wrong(&at, "service or hosts is missing; expected service: github, or hosts with credentials"));
    }
    if service == Some(Service::AwsS3)
        && let Some(host) = only.hosts.iter().find(|host| host.value.contains('*'))
    {
        return Err(wrong(host, "buckets in host names of your own cannot be told; expected the host of path-style addresses"));
    }
    let mut tenants = Vec::new();
    let lists = [
        (Kind::Owners, "owners", only.owners),
        (Kind::Repositories, "repositories", only.repositories),
        (Kind::Packages, "packages", only.packages),
        (Kind::Buckets, "buckets", only.buckets),
        (Kind::Projects, "projects", only.projects),
        (Kind::Organizations, "organizations", only.organizations),
    ];
    for (kind, key, names) in lists {
        if let Some(first) = names.first().filter(|_| !service.is_some_and(|service| service.kinds().contains(&kind))) {
            let whose = service.map_or("hosts without a service", Service::name);
            return Err(wrong(first, format!("{whose} cannot be limited to {key}: requests do not say them in their heads")));
        }
        for text in names {
            tenants.push((kind, glob(&text, matches!(kind, Kind::Owners | Kind::Repositories))?));
        }
    }
    let signs = service.is_some_and(Service::signs);
    let credentials = only.credentials.into_iter().map(|text| credential(text, service)).collect::<Result<Vec<_>>>()?;
    if let Some(first) = only.accounts.first().filter(|_| !signs && credentials.is_empty()) {
        return Err(wrong(first, "accounts are the users of Basic credentials here; expected credentials beside them"));
    }
    if credentials.is_empty() && only.accounts.is_empty() && tenants.is_empty() {
        return Err(wrong(&at, "the entry limits nothing; expected credentials, accounts, owners, repositories, packages, buckets, …"));
    }
    Ok(Pin {
        service,
        hosts: if only.hosts.is_empty() { None } else { Some(host_map(only.hosts)?) },
        groups: only.groups.into_iter().map(|text| group(text, rules)).collect::<Result<_>>()?,
        sandboxes: only.sandboxes.into_iter().map(sandbox).collect::<Result<_>>()?,
        credentials,
        places: only.places.into_iter().map(place).collect::<Result<_>>()?,
        accounts: only.accounts.into_iter().map(|text| text.value).collect(),
        anonymous: only.anonymous.unwrap_or(Anonymous::Deny),
        tenants,
        reads: only.reads == Some(Permission::Allow),
        unclear: only.unclear == Some(Permission::Allow),
    })
}

fn service(text: Spanned<String>) -> Result<Service> {
    let names = SERVICES.map(Service::name);
    let found = SERVICES.into_iter().find(|service| service.name() == text.value);
    found.ok_or_else(|| {
        let meant = meant(&text.value, &names);
        wrong(&text, format!("{:?} is no service that is known{meant}; expected one of {}, or hosts", text.value, names.join(", ")))
    })
}

fn credential(text: Spanned<String>, service: Option<Service>) -> Result<Registered> {
    if service == Some(Service::AwsS3) {
        return Err(wrong(&text, "secret keys do not travel to S3; expected accounts: access key ids, or numbers of accounts"));
    }
    if let Some(name) = text.value.strip_prefix("known-secret:").filter(|name| !name.trim().is_empty()) {
        return Ok(Registered::Named(name.to_owned()));
    }
    let expected = "expected known-secret:NAME, or fp: with 64 digits as `portcullis policy fingerprint` prints them \
                    (fingerprints of audit records are others)";
    // Not quoted: somebody may have written the credential itself.
    CredentialPrint::parse(&text.value)
        .map(Registered::Print)
        .ok_or_else(|| wrong(&text, format!("this is no registered credential; {expected}")))
}

fn place(text: Spanned<String>) -> Result<Spot> {
    match text.value.split_once(':') {
        Some(("header", name)) if !name.is_empty() => Ok(Spot::Header(name.to_ascii_lowercase())),
        Some(("query", name)) if !name.is_empty() => Ok(Spot::Query(name.to_ascii_lowercase())),
        _ => Err(wrong(&text, format!("{:?} is no place; expected header:NAME or query:NAME", text.value))),
    }
}

/// Names that are compared without regard to case are kept in lower case.
fn glob(text: &Spanned<String>, fold: bool) -> Result<Glob> {
    let name = if fold { text.value.to_ascii_lowercase() } else { text.value.clone() };
    Glob::parse(&name).map_err(|message| wrong(text, message))
}
