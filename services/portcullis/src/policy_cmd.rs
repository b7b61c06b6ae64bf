//! `portcullis policy`: check a policy file, and explain what it says of a request.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use engine::Coverage;
use policy::{Destination, Subject};

use crate::cli::exit;
use crate::{config_files, out};

/// What `policy` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a policy file and point out what cannot have been meant.
    Check {
        /// The policy file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what the policy decides of a request from its head, and which line decides it.
    Explain {
        /// The policy file [default: the built-in policy `default`].
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// The request's method.
        #[arg(long, default_value = "GET")]
        method: String,
        /// The sandbox that sends.
        #[arg(long, default_value = "local")]
        sandbox: String,
        /// Where it goes: `https://host/path`.
        #[arg(value_name = "URL")]
        url: String,
    },
}

/// Runs the command. `check` with remarks, and `explain` of a denied request: 1.
///
/// # Errors
/// When the file cannot be read or is no policy.
pub(crate) fn run(command: PolicyCommand) -> Result<u8> {
    match command {
        PolicyCommand::Check { file } => {
            let policy = config_files::policy(Some(&file))?;
            let lints = policy.lints();
            lints.iter().try_for_each(|lint| out::line(&format!("{}: {lint}", file.display())))?;
            out::note(&format!(
                "{}: {}",
                file.display(),
                if lints.is_empty() { "fine".into() } else { format!("{} remarks", lints.len()) }
            ));
            Ok(if lints.is_empty() { exit::FINE } else { exit::FOUND })
        }
        PolicyCommand::Explain { policy, method, sandbox, url } => {
            let policy = config_files::policy(policy.as_deref())?;
            let explanation = policy.explain(&subject(&method, sandbox, &url)?, &[], Coverage::Complete);
            out::line(explanation.to_string().trim_end())?;
            Ok(if explanation.verdict.action == policy::Action::Deny { exit::FOUND } else { exit::FINE })
        }
    }
}

fn subject(method: &str, sandbox: String, url: &str) -> Result<Subject> {
    let (tls, rest) = match url.split_once("://") {
        Some(("https", rest)) => (true, rest),
        Some(("http", rest)) => (false, rest),
        _ => return Err(anyhow!("{url}: not an http or https URL")),
    };
    let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = rest[cut..].split(['?', '#']).next().filter(|p| !p.is_empty()).unwrap_or("/").to_owned();
    let destination = Destination::parse(&rest[..cut], tls).with_context(|| format!("{url}: the host"))?;
    Ok(Subject { sandbox, method: method.to_ascii_uppercase(), destination, path, upgrade: None, body_signed: false })
}
