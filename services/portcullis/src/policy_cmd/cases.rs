//! `portcullis policy test`: a policy against its owner's own cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use inspect::Outcome;
use serde::Deserialize;

use crate::cli::exit;
use crate::out;
use crate::replay::{Judge, Request};

/// What `policy test` can be told.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The cases: a YAML file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The policy file [default: the one that the cases name, else the built-in policy `default`].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Actual secrets to look for, as `replay` takes them; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// The policy file, seen from the folder of this one.
    policy: Option<PathBuf>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    request: Sent,
    expect: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    sandbox: Option<String>,
    time: Option<String>,
    /// The request is sent so often; the last outcome counts.
    #[serde(default = "once")]
    times: u32,
}

fn get() -> String {
    "GET".to_owned()
}

fn once() -> u32 {
    1
}

/// What must be so; what is not named does not matter.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    verdict: Option<String>,
    reason: Option<String>,
    rule: Option<String>,
    /// The reason that a rule in monitor mode would have given.
    would: Option<String>,
}

impl Expected {
    fn check(&self, known: &[&str]) -> Result<()> {
        let words =
            [("verdict", &self.verdict, &["allow", "redact", "deny"][..]), ("reason", &self.reason, known), ("would", &self.would, known)];
        for (key, word, among) in words {
            if let Some(word) = word.as_deref().filter(|word| !among.contains(word)) {
                bail!("expect.{key}: {word:?} is none; expected one of {}", among.join(", "));
            }
        }
        if self.verdict.is_none() && self.reason.is_none() && self.rule.is_none() && self.would.is_none() {
            bail!("expect: is empty; expected verdict, reason, rule or would");
        }
        Ok(())
    }

    /// What is not as expected.
    fn unlike(&self, outcome: &Outcome) -> Vec<String> {
        let would = outcome.would.as_ref().map(|w| w.verdict.reason.as_str());
        let pairs = [
            ("verdict", &self.verdict, Some(outcome.verdict.action.as_str())),
            ("reason", &self.reason, Some(outcome.verdict.reason.as_str())),
            ("rule", &self.rule, outcome.rule.as_deref()),
            ("would", &self.would, would),
        ];
        let differs = pairs.into_iter().filter(|(_, expected, got)| expected.as_deref().is_some_and(|e| Some(e) != *got));
        let quoted = |text: Option<&str>| text.unwrap_or("none").to_owned();
        differs.map(|(key, expected, got)| format!("{key}: expected {}, got {}", quoted(expected.as_deref()), quoted(got))).collect()
    }
}

/// Runs the cases in order.
///
/// # Errors
/// When a file cannot be read or is not what it should be.
pub(crate) fn run(args: &TestArgs) -> Result<u8> {
    let source = fs::read_to_string(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let cases: Cases = serde_saphyr::from_str(&source).with_context(|| args.file.display().to_string())?;
    let beside = cases.policy.map(|p| args.file.parent().unwrap_or(Path::new("")).join(p));
    let judge = Judge::new(args.policy.as_deref().or(beside.as_deref()), &args.rules, &args.known)?;
    let reasons: Vec<&str> = policy::Reason::ALL.iter().map(|(reason, _, _)| reason.as_str()).collect();
    let (count, mut failures) = (cases.cases.len(), 0);
    for case in cases.cases {
        let place = || format!("{}: case {:?}", args.file.display(), case.name);
        case.expect.check(&reasons).with_context(place)?;
        let Sent { method, url, headers, body, sandbox, time, times } = case.request;
        let request = Request::new(case.name.clone(), method, url).with_body(headers, body.as_deref()).sent_by(sandbox, time);
        let (head, body) = request.into_message().with_context(place)?;
        let mut outcome = judge.judge(head.clone(), body.clone()).0;
        for _ in 1..times.min(100_000) {
            outcome = judge.judge(head.clone(), body.clone()).0;
        }
        let unlike = case.expect.unlike(&outcome);
        if !unlike.is_empty() {
            failures += 1;
            out::line(&format!("FAIL {}: {}", case.name, unlike.join("; ")))?;
        }
    }
    out::line(&format!("{count} cases, {failures} failures"))?;
    Ok(if failures == 0 { exit::FINE } else { exit::FOUND })
}
