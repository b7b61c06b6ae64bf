//! From the file's form to a checked policy.

use std::fmt::Display;
use std::time::Duration;

use engine::{Confidence, Place};
use serde_saphyr::Spanned;

use super::file::{Blocklist, File, Home, Hosts, Limits, Mode, Override as FileOverride, Permission};
use super::{DEFAULT, STRICT, read};
use crate::address::Range;
use crate::hosts::HostMap;
use crate::policy::{Actions, ExtraHome, Override};
use crate::{Action, Policy, PolicyLimits, units};

const BLOCKLIST: &str = include_str!("../../presets/blocklist.yaml");

type Result<T> = std::result::Result<T, String>;

/// An error at the value's place.
fn wrong<T>(at: &Spanned<T>, message: impl Display) -> String {
    format!("line {}, column {}: {message}", at.referenced.line(), at.referenced.column())
}

impl File {
    pub(super) fn into_policy(self) -> Result<Policy> {
        if self.version.value != 1 {
            return Err(wrong(&self.version, format!("version {} is not known; this Portcullis reads version 1", self.version.value)));
        }
        let mut policy = match &self.extends {
            None => base(DEFAULT)?,
            Some(name) => match name.value.as_str() {
                "default" => base(DEFAULT)?,
                "strict" => base(STRICT)?,
                other => return Err(wrong(name, format!("{other:?} is no preset (default, strict)"))),
            },
        };
        self.lay_over(&mut policy)?;
        policy.id = identify(&policy);
        Ok(policy)
    }

    fn lay_over(self, policy: &mut Policy) -> Result<()> {
        hosts(self.hosts, policy)?;
        if let Some(methods) = self.methods {
            policy.methods = methods.into_iter().map(method).collect::<Result<_>>()?;
        }
        let old = policy.findings;
        let of = |given: Option<Action>, confidence| given.unwrap_or_else(|| old.of(confidence));
        policy.findings = Actions::new(
            of(self.findings.certain, Confidence::Certain),
            of(self.findings.high, Confidence::High),
            of(self.findings.medium, Confidence::Medium),
            of(self.findings.low, Confidence::Low),
        );
        for home in self.home.extra {
            policy.extra_homes.push(extra_home(home)?);
        }
        if let Some(hosts) = self.redact.hosts {
            policy.redact = host_map(hosts)?;
        }
        policy.redact_from = self.redact.from.unwrap_or(policy.redact_from);
        policy.partial = self.partial_coverage.map_or(Ok(policy.partial), no_redaction)?;
        policy.private_addresses = self.private_addresses.map_or(policy.private_addresses, |p| p == Permission::Allow);
        for text in self.allow_private {
            policy
                .allow_private
                .push(Range::parse(&text.value).ok_or_else(|| wrong(&text, format!("{:?} is no address range (10.0.0.0/8)", text.value)))?);
        }
        for one in self.overrides {
            policy.overrides.push(over(one)?);
        }
        policy.limits = limits(self.limits, policy.limits)?;
        policy.lints.extend(lints(policy));
        Ok(())
    }
}

/// A preset's own file, or nothing at all for the one that extends nothing.
fn base(source: &str) -> Result<Policy> {
    let file = read(source)?;
    let mut policy = match &file.extends {
        Some(_) => base(DEFAULT)?,
        None => nothing()?,
    };
    file.lay_over(&mut policy)?;
    Ok(policy)
}

/// What a policy is before any file says anything: as strict as can be, with the shipped block list.
fn nothing() -> Result<Policy> {
    let mut policy = Policy {
        id: [0; 16],
        allowlist: true,
        allow: HostMap::default(),
        block: HostMap::default(),
        ip_literals: false,
        ports: vec![80, 443],
        methods: Vec::new(),
        private_addresses: false,
        allow_private: Vec::new(),
        findings: Actions::new(Action::Deny, Action::Deny, Action::Deny, Action::Deny),
        extra_homes: Vec::new(),
        redact: HostMap::default(),
        redact_from: Confidence::Medium,
        partial: Action::Deny,
        overrides: Vec::new(),
        limits: PolicyLimits::default(),
        lints: Vec::new(),
    };
    shipped_blocklist(&mut policy)?;
    Ok(policy)
}

fn shipped_blocklist(policy: &mut Policy) -> Result<()> {
    let list: Blocklist = serde_saphyr::from_str(BLOCKLIST).map_err(|e| e.to_string())?;
    for (name, hosts) in [("paste", list.paste), ("drop", list.drop), ("tunnel", list.tunnel), ("catcher", list.catcher)] {
        for host in hosts {
            policy.block.insert(&host, name.to_owned())?;
            policy.block.insert(&format!("*.{host}"), name.to_owned())?;
        }
    }
    Ok(())
}

fn hosts(hosts: Hosts, policy: &mut Policy) -> Result<()> {
    policy.allowlist = hosts.mode.map_or(policy.allowlist, |m| m == Mode::Allowlist);
    if hosts.shipped_blocklist == Some(false) {
        policy.block = HostMap::default();
    }
    for host in hosts.block {
        policy.block.insert(&host.value, "hosts.block".to_owned()).map_err(|m| wrong(&host, m))?;
    }
    for host in hosts.allow {
        policy.allow.insert(&host.value, ()).map_err(|m| wrong(&host, m))?;
        // Who names a host of the shipped list means it; the file's own block list still wins.
        policy.block.remove_where(&host.value, |list| list != "hosts.block");
    }
    policy.ip_literals = hosts.ip_literals.map_or(policy.ip_literals, |p| p == Permission::Allow);
    if let Some(ports) = hosts.ports {
        if let Some(zero) = ports.iter().find(|p| p.value == 0) {
            return Err(wrong(zero, "0 is no port"));
        }
        policy.ports = ports.into_iter().map(|p| p.value).collect();
    }
    Ok(())
}

fn host_map(hosts: Vec<Spanned<String>>) -> Result<HostMap<()>> {
    let mut map = HostMap::default();
    for host in hosts {
        map.insert(&host.value, ()).map_err(|m| wrong(&host, m))?;
    }
    Ok(map)
}

fn method(text: Spanned<String>) -> Result<String> {
    if text.value.is_empty() || !text.value.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return Err(wrong(&text, format!("{:?} is no method (upper case: GET)", text.value)));
    }
    Ok(text.value)
}

fn detector(text: Spanned<String>) -> Result<String> {
    if text.value.strip_prefix("known-secret:").is_some_and(|name| !name.trim().is_empty()) {
        return Ok(text.value);
    }
    let stem = text.value.strip_suffix('*').unwrap_or(&text.value);
    if text.value.is_empty() || !stem.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(wrong(&text, format!("{:?} is no detector id (github-pat-classic, github-*, known-secret:NAME)", text.value)));
    }
    Ok(text.value)
}

fn place(text: Spanned<String>) -> Result<Place> {
    Ok(match text.value.split_once(':') {
        None if text.value == "credential-header" => Place::CredentialHeader,
        None if text.value == "path" => Place::Path,
        Some(("header", name)) if !name.is_empty() => Place::Header(name.to_ascii_lowercase()),
        Some(("query", name)) if !name.is_empty() => Place::Query(name.to_ascii_lowercase()),
        Some(("body", name)) if !name.is_empty() => Place::Body(name.to_ascii_lowercase()),
        _ => {
            return Err(wrong(
                &text,
                format!("{:?} is no place (credential-header, header:NAME, query:NAME, body:NAME, path)", text.value),
            ));
        }
    })
}

fn extra_home(home: Home) -> Result<ExtraHome> {
    let places = home.places.into_iter().map(place).collect::<Result<Vec<_>>>()?;
    Ok(ExtraHome {
        detectors: home.detectors.into_iter().map(detector).collect::<Result<_>>()?,
        hosts: host_map(home.hosts)?,
        places: if places.is_empty() { vec![Place::CredentialHeader] } else { places },
    })
}

fn over(one: Spanned<FileOverride>) -> Result<Override> {
    if one.value.findings.is_none() && one.value.partial_coverage.is_none() {
        return Err(wrong(&one, "an override changes nothing: give it `findings` or `partial_coverage`"));
    }
    if one.value.partial_coverage.is_some() && !one.value.detectors.is_empty() {
        return Err(wrong(&one, "`partial_coverage` is about a request, not about `detectors`: make two overrides of it"));
    }
    let place = wrong(&one, "`partial_coverage` is allow or deny");
    let FileOverride { hosts, sandboxes, detectors, findings, partial_coverage } = one.value;
    Ok(Override {
        hosts: hosts.map(host_map).transpose()?,
        sandboxes,
        detectors: detectors.into_iter().map(detector).collect::<Result<_>>()?,
        findings,
        partial: partial_coverage.map(no_redaction).transpose().map_err(|_| place)?,
    })
}

/// What was not looked into cannot be redacted.
fn no_redaction(action: Action) -> Result<Action> {
    if action == Action::Redact { Err("`partial_coverage` is allow or deny".to_owned()) } else { Ok(action) }
}

fn limits(given: Limits, old: PolicyLimits) -> Result<PolicyLimits> {
    let size = |text: Option<Spanned<String>>, old: u64, least: u64, most: u64| match text {
        None => Ok(old),
        Some(text) => match units::bytes(&text.value) {
            Some(n) if (least..=most).contains(&n) => Ok(n),
            Some(_) => Err(wrong(&text, format!("{:?} is out of range ({least} to {most} bytes)", text.value))),
            None => Err(wrong(&text, format!("{:?} is no size (64KiB, 1MiB)", text.value))),
        },
    };
    let time = |text: Option<Spanned<String>>, old: Duration, least: Duration, most: Duration| match text {
        None => Ok(old),
        Some(text) => match units::duration(&text.value) {
            Some(t) if (least..=most).contains(&t) => Ok(t),
            Some(_) => Err(wrong(&text, format!("{:?} is out of range ({least:?} to {most:?})", text.value))),
            None => Err(wrong(&text, format!("{:?} is no duration (50ms, 10s, 5m)", text.value))),
        },
    };
    let number = |n: Option<Spanned<u64>>, old: u64, least: u64, most: u64| match n {
        None => Ok(old),
        Some(n) if (least..=most).contains(&n.value) => Ok(n.value),
        Some(n) => Err(wrong(&n, format!("{} is out of range ({least} to {most})", n.value))),
    };
    let usize_of = |n: u64| usize::try_from(n).map_err(|e| e.to_string());
    let depth = given.depth.map(|d| Spanned { value: u64::from(d.value), referenced: d.referenced, defined: d.defined });
    let seconds = Duration::from_secs;
    Ok(PolicyLimits {
        buffer_bytes: usize_of(size(given.buffer, old.buffer_bytes as u64, 64 << 10, 16 << 20)?)?,
        memory_bytes: usize_of(size(given.memory, old.memory_bytes as u64, 16 << 20, 1 << 40)?)?,
        decoded_bytes: size(given.decoded, old.decoded_bytes, 64 << 10, 16 << 30)?,
        depth: u32::try_from(number(depth, u64::from(old.depth), 1, 16)?).map_err(|e| e.to_string())?,
        ratio: number(given.ratio, old.ratio, 10, 100_000)?,
        stream_timeout: time(given.stream_timeout, old.stream_timeout, seconds(1), seconds(86_400))?,
        pause: time(given.pause, old.pause, Duration::from_millis(1), seconds(60))?,
        hold_timeout: time(given.hold_timeout, old.hold_timeout, Duration::from_millis(10), seconds(600))?,
    })
}

/// What cannot have been meant.
fn lints(policy: &Policy) -> Vec<String> {
    let mut lints = Vec::new();
    for pattern in policy.allow.patterns().filter(|p| policy.block.has(p)) {
        lints.push(format!("{pattern} is in hosts.allow and in hosts.block: it is blocked"));
    }
    if policy.findings.of(Confidence::Certain) < policy.findings.of(Confidence::High)
        || policy.findings.of(Confidence::High) < policy.findings.of(Confidence::Medium)
    {
        lints.push("surer findings are treated more mildly than less sure ones".to_owned());
    }
    if policy.ports.is_empty() {
        lints.push("hosts.ports is empty: nothing can be reached".to_owned());
    }
    lints
}

/// A hash of everything the policy says.
fn identify(policy: &Policy) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(format!("{policy:?}").as_bytes()).as_bytes()[..16]);
    id
}
