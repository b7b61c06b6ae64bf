//! `portcullis policy diff`: what another policy would decide of recorded traffic.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use inspect::Outcome;

use crate::cli::exit;
use crate::out;
use crate::replay::{Judge, each};

/// What `policy diff` can be told.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The policy as it is.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The policy as it would be.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Recorded requests, as `replay` takes them; `-`: standard input.
    #[arg(long, value_name = "FILE")]
    requests: PathBuf,
    /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Actual secrets to look for, as `replay` takes them; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
}

/// Judges every request twice and prints those that differ.
///
/// # Errors
/// When a file cannot be read or is not what it should be.
pub(crate) fn run(args: &DiffArgs) -> Result<u8> {
    let old = Judge::new(Some(&args.old), &args.rules, &args.known)?;
    let new = Judge::new(Some(&args.new), &args.rules, &args.known)?;
    let (mut all, mut changed) = (0_u64, 0_u64);
    each(Some(&args.requests), |request| {
        let id = request.id.clone();
        let (head, body) = request.into_message()?;
        let (before, _) = old.judge(head.clone(), body.clone());
        let (after, _) = new.judge(head, body);
        all += 1;
        let (before, after) = (said(&before), said(&after));
        if before != after {
            changed += 1;
            out::line(&format!("{}: {before} -> {after}", id.as_str().map_or_else(|| id.to_string(), str::to_owned)))?;
        }
        Ok(())
    })?;
    out::line(&format!("{changed} of {all} requests change"))?;
    Ok(if changed == 0 { exit::FINE } else { exit::FOUND })
}

/// `deny rule_denied (rule uploads)`.
fn said(outcome: &Outcome) -> String {
    let mut text = format!("{} {}", outcome.verdict.action.as_str(), outcome.verdict.reason.as_str());
    if let Some(rule) = &outcome.rule {
        text.push_str(&format!(" (rule {rule})"));
    }
    if let Some(would) = &outcome.would {
        text.push_str(&format!(", would {} {} (rule {})", would.verdict.action.as_str(), would.verdict.reason.as_str(), would.rule));
    }
    text
}
