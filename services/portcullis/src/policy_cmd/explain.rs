//! `portcullis policy explain`: which rule decides, and why.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use engine::Coverage;
use inspect::{Head, Header, Identity};
use policy::{Action, Details};

use crate::cli::exit;
use crate::replay::{now, split_url};
use crate::{config_files, known_files, out};

/// What `policy explain` can be told.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The policy file [default: the built-in policy `default`].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The request's method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The sandbox that sends.
    #[arg(long, default_value = "local")]
    sandbox: String,
    /// A header, `name: value`; may be given several times.
    #[arg(long, short = 'H', value_name = "HEADER")]
    header: Vec<String>,
    /// Known secrets, which `only` compares credentials with, as `scanner --known` takes them; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
    /// Where it goes: `https://host/path`.
    #[arg(value_name = "URL")]
    url: String,
}

/// Explains; a denial: 1.
///
/// # Errors
/// When the policy cannot be read, or what is given is no request.
pub(crate) fn run(args: &ExplainArgs) -> Result<u8> {
    let policy = config_files::policy(args.policy.as_deref())?;
    let (tls, authority, path) = split_url(&args.url).with_context(|| args.url.clone())?;
    let header = |text: &String| {
        let (name, value) = text.split_once(':').with_context(|| format!("{text:?} is no header (name: value)"))?;
        Ok(Header { name: name.trim().to_ascii_lowercase(), value: Bytes::from(value.trim().to_owned()) })
    };
    let headers = args.header.iter().map(header).collect::<Result<Vec<_>>>()?;
    let head = Head {
        request_id: String::new(),
        sandbox: args.sandbox.clone(),
        identity: Identity::Given,
        at: now(),
        method: args.method.clone(),
        tls,
        authority,
        path: Bytes::from(path),
        end: !headers.iter().any(|h| h.name == "content-length" || h.name == "transfer-encoding"),
        headers,
    };
    let subject = match head.subject() {
        Ok(subject) => subject,
        Err(reason) => {
            out::line(&format!("deny: {}\n  before any rule is asked", reason.as_str()))?;
            return Ok(exit::FOUND);
        }
    };
    let path = String::from_utf8_lossy(&head.path).into_owned();
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let headers = || head.headers.iter().map(|h| (h.name.clone(), String::from_utf8_lossy(&h.value).into_owned())).collect();
    let known = known_files::Registry::new(&args.known)?.load(&config_files::random_key()?, &mut |line| out::note(&line))?;
    let explanation = policy.explain(&subject, Details { query, headers: &headers }, known.as_ref(), &[], Coverage::Complete);
    out::line(explanation.to_string().trim_end())?;
    Ok(if explanation.verdict.action == Action::Deny { exit::FOUND } else { exit::FINE })
}
