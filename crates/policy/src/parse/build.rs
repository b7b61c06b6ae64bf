//! From the file's form to a checked policy.

use std::time::Duration;

use engine::{Confidence, Place};
use serde_saphyr::Spanned;

use super::error::{Result, Wrong, wrong};
use super::file::{Blocklist, File, Findings, History, Home, Hosts, Identity, Limits, Mode, Permission, ProviderFetch};
use super::{Preset, read, rule};
use crate::address::Range;
use crate::fetch::FetchPolicy;
use crate::hosts::HostMap;
use crate::identity::{Senders, is_sandbox_name};
use crate::policy::{Actions, ExtraHome};
use crate::rules::Rules;
use crate::{Action, Policy, PolicyLimits, units};

const BLOCKLIST: &str = include_str!("../../presets/blocklist.yaml");

impl File {
    pub(super) fn into_policy(mut self) -> Result<Policy> {
        match &self.version {
            None => return Err(Wrong::new("line 1: version: is missing; expected version: 1")),
            Some(version) if version.value != 1 => {
                return Err(wrong(version, format!("version {} is not known; expected 1", version.value)));
            }
            Some(_) => {}
        }
        let mut policy = nothing()?;
        let mut done = Vec::new();
        let names = self.extends.take();
        let mut presets = Vec::new();
        for name in names.iter().flat_map(|names| &names.value.0) {
            let preset =
                Preset::named(name).map_err(|message| names.as_ref().map_or_else(|| Wrong::new(&message), |at| wrong(at, &message)))?;
            presets.push(preset);
        }
        layer(&mut policy, if presets.contains(&Preset::Strict) { Preset::Strict } else { Preset::Default }, &mut done)?;
        for preset in presets {
            layer(&mut policy, preset, &mut done)?;
        }
        self.lay_over(&mut policy, None)?;
        policy.rules.compile();
        policy.lints = crate::lint::lints(&policy);
        policy.id = identify(&policy);
        Ok(policy)
    }

    fn lay_over(self, policy: &mut Policy, preset: Option<&'static str>) -> Result<()> {
        hosts(self.hosts, policy)?;
        if let Some(methods) = self.methods {
            policy.methods = methods.into_iter().map(method).collect::<Result<_>>()?;
        }
        policy.findings = findings(&self.findings, policy.findings);
        for home in self.home.extra {
            policy.extra_homes.push(extra_home(home)?);
        }
        policy.partial = self.partial_coverage.map_or(policy.partial, Action::from);
        policy.private_addresses = self.private_addresses.map_or(policy.private_addresses, |p| p == Permission::Allow);
        for text in self.allow_private {
            policy.allow_private.push(
                Range::parse(&text.value)
                    .ok_or_else(|| wrong(&text, format!("{:?} is no address range; expected 10.0.0.0/8", text.value)))?,
            );
        }
        identity(self.identity, &mut policy.senders)?;
        rule::groups(self.groups, &mut policy.rules)?;
        rule::lay_over(self.rules, preset, &mut policy.rules)?;
        super::only::lay_over(self.only, policy)?;
        super::git::lay_over(self.git, policy)?;
        provider_fetch(self.provider_fetch, &mut policy.fetch)?;
        policy.history = history(self.history, policy.history)?;
        policy.limits = limits(self.limits, policy.limits)?;
        Ok(())
    }
}

/// Lays a preset over a policy, with what it extends itself, unless it is there already.
fn layer(policy: &mut Policy, preset: Preset, done: &mut Vec<Preset>) -> Result<()> {
    if done.contains(&preset) {
        return Ok(());
    }
    done.push(preset);
    let mut file = read(preset.source())?;
    for name in file.extends.take().map(|names| names.value.0).unwrap_or_default() {
        layer(policy, Preset::named(&name).map_err(Wrong::new)?, done)?;
    }
    file.lay_over(policy, Some(preset.name()))
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
        partial: Action::Deny,
        pins: Vec::new(),
        rules: Rules::default(),
        git: crate::git::GitPolicy { push: Vec::new(), memory_bytes: 64 << 20 },
        fetch: FetchPolicy::default(),
        history: crate::History { pieces: Duration::from_secs(3600), deny_on_loss: false },
        senders: Senders::default(),
        limits: PolicyLimits::default(),
        lints: Vec::new(),
    };
    shipped_blocklist(&mut policy)?;
    Ok(policy)
}

fn history(given: History, old: crate::History) -> Result<crate::History> {
    let pieces = given.pieces.as_ref().map(|text| time(text, Duration::ZERO, Duration::from_secs(7 * 86_400))).transpose()?;
    Ok(crate::History {
        pieces: pieces.unwrap_or(old.pieces),
        deny_on_loss: given.on_loss.map_or(old.deny_on_loss, |permission| permission == Permission::Deny),
    })
}

fn provider_fetch(given: ProviderFetch, fetch: &mut FetchPolicy) -> Result<()> {
    for host in given.hosts {
        fetch.hosts.insert(&host.value, ()).map_err(|m| wrong(&host, m))?;
    }
    fetch.urls = given.urls.unwrap_or(fetch.urls);
    fetch.tools = given.tools.unwrap_or(fetch.tools);
    Ok(())
}

fn findings(given: &Findings, old: Actions) -> Actions {
    let of = |given: Option<Action>, confidence| given.unwrap_or_else(|| old.of(confidence));
    Actions::new(
        of(given.certain, Confidence::Certain),
        of(given.high, Confidence::High),
        of(given.medium, Confidence::Medium),
        of(given.low, Confidence::Low),
    )
}

fn shipped_blocklist(policy: &mut Policy) -> Result<()> {
    let list: Blocklist = serde_saphyr::from_str(BLOCKLIST).map_err(|e| Wrong::of(&e))?;
    for (name, hosts) in [("paste", list.paste), ("drop", list.drop), ("tunnel", list.tunnel), ("catcher", list.catcher)] {
        for host in hosts {
            policy.block.insert(&host, name.to_owned()).map_err(Wrong::new)?;
            policy.block.insert(&format!("*.{host}"), name.to_owned()).map_err(Wrong::new)?;
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
            return Err(wrong(zero, "0 is no port; expected 1 to 65535"));
        }
        policy.ports = ports.into_iter().map(|p| p.value).collect();
    }
    Ok(())
}

fn identity(given: Identity, senders: &mut Senders) -> Result<()> {
    senders.required = given.required.unwrap_or(senders.required);
    for one in given.certificates {
        let Some(uri) = &one.value.uri else { return Err(wrong(&one, "uri is missing; expected spiffe://corp.example/sandbox/*")) };
        let sandbox = one.value.sandbox.as_ref().map(|name| name.value.as_str());
        senders.add_certificate(&uri.value, sandbox).map_err(|message| wrong(uri, message))?;
    }
    for (name, ranges) in given.addresses {
        if !is_sandbox_name(&name) {
            let message = format!("identity.addresses: {name:?} is no sandbox's name; expected at most 64 letters, digits, - _ .");
            return Err(ranges.first().map_or_else(|| Wrong::new(&message), |range| wrong(range, &message)));
        }
        for text in ranges {
            senders.add(&name, &text.value).map_err(|message| wrong(&text, message))?;
        }
    }
    Ok(())
}

pub(super) fn host_map(hosts: Vec<Spanned<String>>) -> Result<HostMap<()>> {
    let mut map = HostMap::default();
    for host in hosts {
        map.insert(&host.value, ()).map_err(|m| wrong(&host, m))?;
    }
    Ok(map)
}

pub(super) fn method(text: Spanned<String>) -> Result<String> {
    if text.value.is_empty() || !text.value.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
        return Err(wrong(&text, format!("{:?} is no method; expected upper case: GET", text.value)));
    }
    Ok(text.value)
}

pub(super) fn detector(text: Spanned<String>) -> Result<String> {
    if text.value.strip_prefix("known-secret:").is_some_and(|name| !name.trim().is_empty()) {
        return Ok(text.value);
    }
    let stem = text.value.strip_suffix('*').unwrap_or(&text.value);
    if text.value.is_empty() || !stem.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(wrong(&text, format!("{:?} is no detector; expected github-pat-classic, github-* or known-secret:NAME", text.value)));
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
                format!("{:?} is no place; expected credential-header, header:NAME, query:NAME, body:NAME or path", text.value),
            ));
        }
    })
}

fn extra_home(home: Spanned<Home>) -> Result<ExtraHome> {
    for (list, key) in [(&home.value.detectors, "detectors"), (&home.value.hosts, "hosts")] {
        if list.is_empty() {
            return Err(wrong(&home, format!("{key} is missing; expected a list")));
        }
    }
    let home = home.value;
    let places = home.places.into_iter().map(place).collect::<Result<Vec<_>>>()?;
    Ok(ExtraHome {
        detectors: home.detectors.into_iter().map(detector).collect::<Result<_>>()?,
        hosts: host_map(home.hosts)?,
        places: if places.is_empty() { vec![Place::CredentialHeader] } else { places },
    })
}

/// A size within bounds.
pub(super) fn size(text: &Spanned<String>, least: u64, most: u64) -> Result<u64> {
    match units::bytes(&text.value) {
        Some(n) if (least..=most).contains(&n) => Ok(n),
        Some(_) => Err(wrong(text, format!("{:?} is out of range; expected {least} to {most} bytes", text.value))),
        None => Err(wrong(text, format!("{:?} is no size; expected a number with B, KiB, MiB or GiB (64KiB)", text.value))),
    }
}

/// A duration within bounds.
pub(super) fn time(text: &Spanned<String>, least: Duration, most: Duration) -> Result<Duration> {
    match units::duration(&text.value) {
        Some(t) if (least..=most).contains(&t) => Ok(t),
        Some(_) => Err(wrong(text, format!("{:?} is out of range; expected {least:?} to {most:?}", text.value))),
        None => Err(wrong(text, format!("{:?} is no duration; expected a number with ms, s, m or h (50ms)", text.value))),
    }
}

fn limits(given: Limits, old: PolicyLimits) -> Result<PolicyLimits> {
    let size = |text: Option<Spanned<String>>, old, least, most| text.map_or(Ok(old), |text| size(&text, least, most));
    let time = |text: Option<Spanned<String>>, old, least, most| text.map_or(Ok(old), |text| time(&text, least, most));
    let number = |n: Option<Spanned<u64>>, old: u64, least: u64, most: u64| match n {
        None => Ok(old),
        Some(n) if (least..=most).contains(&n.value) => Ok(n.value),
        Some(n) => Err(wrong(&n, format!("{} is out of range; expected {least} to {most}", n.value))),
    };
    let usize_of = |n: u64| usize::try_from(n).map_err(|e| Wrong::new(e.to_string()));
    let depth = given.depth.map(|d| Spanned { value: u64::from(d.value), referenced: d.referenced, defined: d.defined });
    let seconds = Duration::from_secs;
    Ok(PolicyLimits {
        buffer_bytes: usize_of(size(given.buffer, old.buffer_bytes as u64, 64 << 10, 16 << 20)?)?,
        memory_bytes: usize_of(size(given.memory, old.memory_bytes as u64, 16 << 20, 1 << 40)?)?,
        decoded_bytes: size(given.decoded, old.decoded_bytes, 64 << 10, 16 << 30)?,
        depth: u32::try_from(number(depth, u64::from(old.depth), 1, 16)?).map_err(|e| Wrong::new(e.to_string()))?,
        ratio: number(given.ratio, old.ratio, 10, 100_000)?,
        stream_timeout: time(given.stream_timeout, old.stream_timeout, seconds(1), seconds(86_400))?,
        pause: time(given.pause, old.pause, Duration::from_millis(1), seconds(60))?,
        hold_timeout: time(given.hold_timeout, old.hold_timeout, Duration::from_millis(10), seconds(600))?,
    })
}

/// A hash of everything the policy says.
fn identify(policy: &Policy) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&blake3::hash(format!("{policy:?}").as_bytes()).as_bytes()[..16]);
    id
}
