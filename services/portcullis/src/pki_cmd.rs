//! `portcullis pki`: the certificates and keys of a gateway's own parts, as folders, as manifests, or straight into a cluster.
//!
//! What there should be is decided by [`certificates::pki`]; this is where it comes from and where it goes.

mod cluster;
mod folders;
mod kubernetes;
mod manifests;
mod objects;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use certificates::pki::{self, Group, Held, Item, Planned, Settings};
use clap::{Args, Subcommand, ValueEnum};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::cli::exit;
use crate::out;

/// What `pki` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum PkiCommand {
    /// Make and renew them as folders, one a part: run it again, daily, and what is due is made anew.
    Issue(IssueArgs),
    /// Print them as Kubernetes Secrets and ConfigMaps, for `kubectl apply --server-side -f -`. Private keys are part of it.
    Manifests(ManifestsArgs),
    /// Make and renew them in the cluster that this runs in, through its API and a service account.
    Apply(cluster::ApplyArgs),
}

/// What `pki issue` can be told.
#[derive(Debug, Args)]
pub(crate) struct IssueArgs {
    /// The folder, made at first use.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The namespace of the gateway's parts, for the names in their certificates.
    #[arg(long, value_name = "NAME", default_value = NAMESPACE, value_parser = namespace)]
    namespace: String,
    #[command(flatten)]
    common: Common,
}

/// What `pki manifests` can be told.
#[derive(Debug, Args)]
pub(crate) struct ManifestsArgs {
    /// A folder of `pki issue`: what is there is renewed where it is due, and printed [default: all is made anew, and kept nowhere].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The namespace of the gateway's parts.
    #[arg(long, value_name = "NAME", default_value = NAMESPACE, value_parser = namespace)]
    namespace: String,
    /// A namespace of sandboxes, which gets the bundle that they trust; may be given several times.
    #[arg(long, value_name = "NAME", default_value = SANDBOXES, value_parser = namespace)]
    sandbox_namespace: Vec<String>,
    #[command(flatten)]
    common: Common,
}

const NAMESPACE: &str = "portcullis";
const SANDBOXES: &str = "portcullis-sandboxes";

/// What all of `pki` can be told.
#[derive(Debug, Args)]
struct Common {
    /// Look after this only, and leave the rest to somebody else (cert-manager, trust-manager); may be given several times [default: all].
    #[arg(long, value_name = "WHAT")]
    only: Vec<Only>,
    /// The roots that sandboxes trust beside our CA, PEM [default: found on the system].
    #[arg(long, value_name = "FILE")]
    system_roots: Option<PathBuf>,
}

/// A group on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// The internal CA and the certificates of the gateway's parts.
    Internal,
    /// The CA of the leaves, and the bundle that sandboxes trust.
    Ca,
    /// The key of fingerprints.
    FingerprintKey,
}

impl Common {
    fn groups(&self) -> Vec<Group> {
        if self.only.is_empty() {
            return Group::ALL.to_vec();
        }
        let group = |only: &Only| match only {
            Only::Internal => Group::Internal,
            Only::Ca => Group::Ca,
            Only::FingerprintKey => Group::FingerprintKey,
        };
        self.only.iter().map(group).collect()
    }

    /// The certificates of the system's roots, without what else their file holds.
    fn roots(&self) -> Result<String> {
        if !self.groups().contains(&Group::Ca) {
            return Ok(String::new());
        }
        let path = self.system_roots.clone().map_or_else(certificates::find_system_roots, Ok)?;
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let roots = only_certificates(&String::from_utf8_lossy(&text));
        if roots.is_empty() {
            bail!("{} holds no certificates in PEM", path.display());
        }
        Ok(roots)
    }
}

/// Bundles have comments in all alphabets; clients need the certificates.
fn only_certificates(text: &str) -> String {
    let mut inside = false;
    let mut out = String::new();
    for line in text.lines().map(str::trim_end) {
        inside |= line == "-----BEGIN CERTIFICATE-----";
        if inside {
            out.push_str(line);
            out.push('\n');
        }
        inside &= line != "-----END CERTIFICATE-----";
    }
    out
}

/// A DNS label (RFC 1123), which the name of a namespace is.
fn namespace(text: &str) -> Result<String, String> {
    let fine = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let ends = [text.bytes().next(), text.bytes().last()];
    if text.len() <= 63 && text.bytes().all(fine) && ends.iter().all(|end| end.is_some_and(|c| c != b'-')) {
        return Ok(text.to_owned());
    }
    Err("expected a namespace: at most 63 lower-case letters, digits and -".to_owned())
}

/// Runs the command.
///
/// # Errors
/// When what there is cannot be read or is broken, or what there should be cannot be written.
pub(crate) fn run(command: PkiCommand) -> Result<u8> {
    match command {
        PkiCommand::Issue(args) => {
            let roots = args.common.roots()?;
            let settings = Settings { groups: &args.common.groups(), namespace: &args.namespace, roots: &roots };
            for line in folders::bring_up_to_date(&args.dir, &settings)?.1 {
                out::line(&line.to_string())?;
            }
        }
        PkiCommand::Manifests(args) => {
            let roots = args.common.roots()?;
            let settings = Settings { groups: &args.common.groups(), namespace: &args.namespace, roots: &roots };
            let planned = match &args.dir {
                None => plan(&BTreeMap::new(), &settings)?,
                Some(dir) => {
                    let (planned, lines) = folders::bring_up_to_date(dir, &settings)?;
                    // Standard output is the manifests'.
                    lines.iter().for_each(|line| out::note(&line.to_string()));
                    planned
                }
            };
            let objects = objects::of(&planned, &args.namespace, &args.sandbox_namespace);
            out::bytes(manifests::yaml(&objects).as_bytes())?;
        }
        PkiCommand::Apply(args) => cluster::apply(&args)?,
    }
    Ok(exit::FINE)
}

fn plan(held: &BTreeMap<Item, Held>, settings: &Settings<'_>) -> Result<BTreeMap<Item, Planned>> {
    Ok(pki::plan(held, settings, SystemTime::now(), &mut rand::random)?)
}

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// There was none.
    Made,
    /// It was due, or what it depends on changed.
    Renewed,
    /// It is as it should be.
    Kept,
    /// Somebody else made it.
    Left,
}

impl Outcome {
    fn of(held: Option<&Held>, planned: &Planned) -> Outcome {
        match held {
            None => Outcome::Made,
            Some(held) if !held.ours => Outcome::Left,
            Some(held) if held.files == planned.files => Outcome::Kept,
            Some(_) => Outcome::Renewed,
        }
    }
}

/// What is printed of one item.
#[derive(Debug)]
struct Line {
    outcome: Outcome,
    what: String,
    ends: Option<SystemTime>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, note) = match self.outcome {
            Outcome::Made => ("made", ""),
            Outcome::Renewed => ("renewed", ""),
            Outcome::Kept => ("kept", ""),
            Outcome::Left => ("kept", "  (made by somebody else)"),
        };
        write!(f, "{word:<8} {}", self.what)?;
        let day = self.ends.map(|ends| OffsetDateTime::from(ends).format(format_description!("[year]-[month]-[day]")));
        if let Some(Ok(day)) = day {
            write!(f, "  until {day}")?;
        }
        f.write_str(note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_bundle_only_the_certificates_are_taken() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let text = format!("# Základní\r\n{}x\n{certificate}", certificate.replace('\n', "\r\n"));
        assert_eq!(only_certificates(&text), certificate.repeat(2));
        assert_eq!(only_certificates("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "");
    }

    #[test]
    fn a_namespace_is_a_label() {
        for good in ["a", "portcullis-sandboxes", "0a"] {
            assert!(namespace(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "a b", &"a".repeat(64)] {
            assert!(namespace(bad).is_err(), "{bad}");
        }
    }
}
