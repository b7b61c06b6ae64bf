//! `portcullis replay`: recorded requests in, verdicts out, through the same Inspector as live traffic.

mod record;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use clap::Args;
use engine::FingerprintKey;
use inspect::{Inspector, Opened, Outcome, Release, Snapshot, Step};
use policy::Action;

use crate::cli::exit;
use crate::{config_files, known_files, out};
use record::Answer;

pub(crate) use record::{Request, now, split_url};

/// What `replay` can be told.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Requests, one JSON object a line; `-` or nothing: standard input.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The policy file [default: the built-in policy `default`].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Actual secrets to look for in any form: a file that holds one, an env file (KEY=VALUE), or a folder with one a file, as Kubernetes
    /// mounts them; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
    /// Key file that makes fingerprints comparable between runs [default: a key for this run].
    #[arg(long, value_name = "FILE")]
    fingerprint_key: Option<PathBuf>,
    /// Add `redacted_body_base64` to the answers of redacted requests.
    #[arg(long)]
    emit_redacted: bool,
}

/// A line may be this long: a body of 256 MiB in base64, and its head.
const MAX_LINE: u64 = 384 << 20;

/// Judges every request of the file, in order. Something denied or redacted: 1, else 0.
///
/// # Errors
/// When the file cannot be read, or a line is no request.
pub(crate) fn run(args: &ReplayArgs) -> Result<u8> {
    let key = args.fingerprint_key.as_deref().map_or_else(config_files::random_key, config_files::fingerprint_key)?;
    let judge = Judge::with_key(args.policy.as_deref(), &args.rules, &args.known, key)?;
    let mut stopped = false;
    each(args.file.as_deref(), |request| {
        let id = request.id.clone();
        let (head, body) = request.into_message()?;
        let begun = Instant::now();
        let (outcome, redacted) = judge.judge(head, body);
        stopped |= outcome.verdict.action != Action::Allow;
        let mut answer = Answer::new(id, &outcome, begun.elapsed());
        if args.emit_redacted && outcome.verdict.action == Action::Redact {
            answer.redacted(&redacted);
        }
        out::line(&serde_json::to_string(&answer)?)
    })?;
    Ok(if stopped { exit::FOUND } else { exit::FINE })
}

/// Takes every request of a file (`-` or none: standard input), in order.
///
/// # Errors
/// When the file cannot be read, a line is no request, or `take` fails.
pub(crate) fn each(file: Option<&Path>, mut take: impl FnMut(Request) -> Result<()>) -> Result<()> {
    let mut reader: Box<dyn BufRead> = match file {
        Some(path) if path.as_os_str() != "-" => {
            Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?))
        }
        _ => Box::new(io::stdin().lock()),
    };
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if io::Read::take(&mut reader, MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if line.len() as u64 >= MAX_LINE {
            bail!("line {number}: longer than {MAX_LINE} bytes");
        }
        let request: Request = serde_json::from_slice(&line).with_context(|| format!("line {number}: not a request"))?;
        take(request).with_context(|| format!("line {number}"))?;
    }
    Ok(())
}

/// Judges requests as live traffic is judged.
pub(crate) struct Judge {
    inspector: Inspector,
}

impl Judge {
    /// With fingerprints that are good for this run.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub(crate) fn new(policy: Option<&Path>, rules: &[PathBuf], known: &[PathBuf]) -> Result<Judge> {
        Judge::with_key(policy, rules, known, config_files::random_key()?)
    }

    fn with_key(policy: Option<&Path>, rules: &[PathBuf], known: &[PathBuf], key: FingerprintKey) -> Result<Judge> {
        let policy = config_files::policy(policy)?;
        let engine = config_files::engine(&config_files::rules(rules)?, &policy, key.clone())?;
        let engine = known_files::Registry::new(known)?.lay_over(engine, &key, &mut |line| out::note(&line))?;
        Ok(Judge { inspector: Inspector::new(Snapshot { engine, policy: Arc::new(policy) }, 0) })
    }

    /// One request, and the body as it would travel.
    pub(crate) fn judge(&self, head: inspect::Head, body: Bytes) -> (Outcome, Bytes) {
        judge(&self.inspector, head, body)
    }
}

/// One request through the Inspector, in chunks as a gateway sees them.
fn judge(inspector: &Inspector, head: inspect::Head, mut body: Bytes) -> (Outcome, Bytes) {
    let mut flow = match inspector.open(&head) {
        Opened::Decided(outcome, _) => return (outcome, Bytes::new()),
        Opened::Body(flow) => flow,
    };
    let mut sent = BytesMut::new();
    while !body.is_empty() {
        let chunk = body.split_to(body.len().min(64 << 10));
        match flow.push(chunk) {
            Step::Hold => {}
            Step::Release(Release { body, .. }) => sent.extend_from_slice(&body),
            Step::Deny(outcome) => return (outcome, Bytes::new()),
        }
    }
    let (outcome, last) = flow.finish(&[]);
    sent.extend_from_slice(&last.body);
    (outcome, sent.freeze())
}
