//! `portcullis policy`: check a policy, explain, compare and test what it decides.

mod cases;
mod diff;
mod explain;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Subcommand;
use engine::Detector;
use zeroize::Zeroizing;

use crate::cli::exit;
use crate::{config_files, out};

/// The longest credential that `fingerprint` reads, in bytes.
const MAX_CREDENTIAL: usize = 16 << 10;

/// What `policy` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy file and point out what cannot have been meant.
    Check {
        /// The policy file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; may be given several times.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
    /// Say what the policy decides of a request from its head, and which rule decides it.
    Explain(explain::ExplainArgs),
    /// Judge recorded requests by two policies and say what changes. Something changes: 1, else 0.
    Diff(diff::DiffArgs),
    /// Run cases: requests, and what the policy must decide of them. One fails: 1, else 0.
    Test(cases::TestArgs),
    /// Read a credential from standard input and print the hash by which `only` in a policy names it.
    Fingerprint,
    /// Print the reference of the policy language in Markdown: a part of docs/configuration.md.
    Docs,
    /// Print what every denial means in Markdown: docs/denials.md.
    Denials,
}

/// Runs the command. `check` with remarks, `explain` of a denied request, `diff` with changes and `test` with failures: 1.
///
/// # Errors
/// When a file cannot be read or is not what it should be.
pub(crate) fn run(command: PolicyCommand) -> Result<u8> {
    match command {
        PolicyCommand::Check { file, rules } => check(&file, &rules),
        PolicyCommand::Explain(args) => explain::run(&args),
        PolicyCommand::Diff(args) => diff::run(&args),
        PolicyCommand::Test(args) => cases::run(&args),
        PolicyCommand::Fingerprint => fingerprint(),
        PolicyCommand::Denials => {
            out::bytes(inspect::denials().as_bytes())?;
            Ok(exit::FINE)
        }
        PolicyCommand::Docs => {
            out::bytes(policy::reference().as_bytes())?;
            Ok(exit::FINE)
        }
    }
}

/// The hash of what stands on standard input, without blanks around it.
fn fingerprint() -> Result<u8> {
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut credential = Zeroizing::new(Vec::with_capacity(MAX_CREDENTIAL + 1));
    io::stdin().take(MAX_CREDENTIAL as u64 + 1).read_to_end(&mut credential)?;
    if credential.len() > MAX_CREDENTIAL {
        bail!("standard input is longer than {MAX_CREDENTIAL} bytes: expected one credential");
    }
    out::line(&policy::CredentialPrint::make(&credential)?.to_string())?;
    Ok(exit::FINE)
}

fn check(file: &Path, rules: &[PathBuf]) -> Result<u8> {
    let policy = config_files::policy(Some(file))?;
    let rules = config_files::rules(rules)?;
    let detectors: Vec<&Detector> = rules.detectors().iter().collect();
    let lints: Vec<String> =
        policy.lints().iter().cloned().chain(policy.detector_lints(&detectors)).chain(policy.overdue_lints(crate::replay::now())).collect();
    lints.iter().try_for_each(|lint| out::line(&format!("{}: {lint}", file.display())))?;
    let said = if lints.is_empty() { "fine".into() } else { format!("{} remarks", lints.len()) };
    out::note(&format!("{}: {said}", file.display()));
    Ok(if lints.is_empty() { exit::FINE } else { exit::FOUND })
}
