//! `portcullis scan`: the engine on files, folders or standard input.

mod lines;
mod sarif;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use engine::{Confidence, Coverage, Engine, Finding, Kind, Media};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::exit;
use crate::{config_files, known_files, out};
use lines::Lines;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line a finding.
    Text,
    /// One JSON object a line.
    Json,
    /// One SARIF 2.1.0 document.
    Sarif,
}

/// What `scan` can be told.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    /// Files or folders; `-` or nothing: standard input.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How results are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Report findings of at least this confidence (low, medium, high, certain).
    #[arg(long, value_name = "LEVEL", default_value = "medium", value_parser = confidence)]
    min_confidence: Confidence,
    /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Actual secrets to look for in any form: a file that holds one, an env file (KEY=VALUE), or a folder with one a file, as Kubernetes
    /// mounts them; may be given several times.
    #[arg(long, value_name = "PATH")]
    known: Vec<PathBuf>,
    /// Policy whose limits apply [default: the built-in policy `default`].
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Key file that makes fingerprints comparable between runs [default: a key for this run].
    #[arg(long, value_name = "FILE")]
    fingerprint_key: Option<PathBuf>,
}

fn confidence(text: &str) -> Result<Confidence, String> {
    [Confidence::Low, Confidence::Medium, Confidence::High, Confidence::Certain]
        .into_iter()
        .find(|c| c.as_str() == text)
        .ok_or_else(|| "one of low, medium, high, certain".into())
}

/// One finding as it is written: where and what, never the secret.
#[derive(Debug, Serialize)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) detector: String,
    pub(crate) name: String,
    pub(crate) confidence: &'static str,
    pub(crate) trail: Vec<&'static str>,
    pub(crate) fingerprint: String,
}

impl Hit {
    fn new(path: &str, finding: &Finding, lines: &Lines) -> Hit {
        let (line, column) = lines.position(finding.span.start);
        Hit {
            path: path.to_owned(),
            line,
            column,
            start: finding.span.start,
            end: finding.span.end,
            detector: finding.detector.id.clone(),
            name: finding.detector.name.clone(),
            confidence: finding.confidence.as_str(),
            trail: finding.trail.clone(),
            fingerprint: finding.fingerprint.to_string(),
        }
    }

    fn text(&self) -> String {
        let through = if self.trail.is_empty() { String::new() } else { format!(" in {}", self.trail.join(" > ")) };
        let Hit { path, line, column, confidence, detector, name, start, end, fingerprint, .. } = self;
        format!(
            "{path}:{line}:{column}: {confidence} {detector}: {name}{through}, {} bytes masked [{fingerprint}]",
            end.saturating_sub(*start)
        )
    }
}

/// Scans and writes; finds nothing: 0, something: 1.
///
/// # Errors
/// When a path cannot be read.
pub(crate) fn run(args: &ScanArgs) -> Result<u8> {
    let policy = config_files::policy(args.policy.as_deref())?;
    let key = args.fingerprint_key.as_deref().map_or_else(config_files::random_key, config_files::fingerprint_key)?;
    let engine = config_files::engine(&config_files::rules(&args.rules)?, &policy, key.clone())?;
    let engine = known_files::Registry::new(&args.known)?.lay_over(engine, &key, &mut |line| out::note(&line))?;
    let inputs = inputs(&args.paths)?;
    let bar = progress(inputs.iter().map(|(_, size)| size).sum());
    let mut hits = Vec::new();
    let (mut found, mut partial) = (false, 0_u64);
    for (path, _) in &inputs {
        let shown = path.as_ref().map_or_else(|| "-".into(), |p| p.display().to_string());
        let coverage = scan_one(&engine, path.as_deref(), &bar, &mut |finding, lines| {
            if finding.confidence < args.min_confidence {
                return Ok(());
            }
            found = true;
            let hit = Hit::new(&shown, finding, lines);
            match args.format {
                Format::Text => bar.suspend(|| out::line(&hit.text())),
                Format::Json => bar.suspend(|| out::line(&serde_json::to_string(&hit)?)),
                Format::Sarif => {
                    hits.push(hit);
                    Ok(())
                }
            }
        })
        .with_context(|| format!("cannot read {shown}"))?;
        if let Coverage::Partial { at, gap } = coverage {
            partial += 1;
            bar.suspend(|| out::note(&format!("{shown}: not looked into from byte {at} ({})", gap.as_str())));
        }
    }
    bar.finish_and_clear();
    if args.format == Format::Sarif {
        out::line(&serde_json::to_string_pretty(&sarif::document(&hits))?)?;
    }
    if partial > 0 {
        out::note(&format!("{partial} of {} inputs could not be looked into completely", inputs.len()));
    }
    Ok(if found { exit::FOUND } else { exit::FINE })
}

/// Streams one input through the engine.
fn scan_one(
    engine: &Engine,
    path: Option<&Path>,
    bar: &ProgressBar,
    report: &mut dyn FnMut(&Finding, &Lines) -> Result<()>,
) -> Result<Coverage> {
    let mut reader: Box<dyn Read> = match path {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::stdin().lock()),
    };
    let mut stream = engine.stream(Kind::body(Media::default()));
    let mut lines = Lines::default();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        lines.take(&chunk[..read]);
        let progress = stream.push(&chunk[..read]);
        progress.findings.iter().try_for_each(|f| report(f, &lines))?;
        lines.forget(progress.clean_to);
        bar.inc(read as u64);
    }
    let last = stream.finish();
    last.findings.iter().try_for_each(|f| report(f, &lines))?;
    Ok(last.coverage)
}

/// All regular files below the paths, with their sizes; `None` is standard input. Links are not followed.
fn inputs(paths: &[PathBuf]) -> Result<Vec<(Option<PathBuf>, u64)>> {
    if paths.is_empty() {
        return Ok(vec![(None, 0)]);
    }
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push((None, 0));
            continue;
        }
        if !path.exists() {
            bail!("{}: no such file or folder", path.display());
        }
        for entry in walkdir::WalkDir::new(path).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() || (entry.depth() == 0 && entry.path().is_file()) {
                inputs.push((Some(entry.path().to_path_buf()), entry.metadata()?.len()));
            }
        }
    }
    Ok(inputs)
}

/// A bar on standard error; hidden by itself when that is no terminal.
fn progress(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        bar.set_style(style);
    }
    bar
}
