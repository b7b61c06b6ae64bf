//! `portcullis rules`: list detectors, and try them on their own examples.

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use engine::{Confidence, Engine, Kind, Limits, Media};
use serde_json::json;

use crate::cli::exit;
use crate::{config_files, out, rules_docs, rules_import};

/// What `rules` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// List all detectors.
    List {
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
        /// More detectors, laid over the built-in ones: a file, or a folder of `*.yaml`.
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
    /// Print the catalogue as a document in Markdown: docs/detectors.md.
    Docs,
    /// Turn rules of gitleaks or betterleaks (TOML) into a detector file. What could not be carried over is said on standard error, rule by
    /// rule, and the exit code is then 1.
    Import {
        /// The file of rules.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where to write [default: standard output].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check detector files: form, patterns, and each detector on its own examples through the real engine.
    Check {
        /// Files to check; none: the built-in catalogue.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or is no catalogue file.
pub(crate) fn run(command: RulesCommand) -> Result<u8> {
    match command {
        RulesCommand::List { json, rules } => list(&rules, json),
        RulesCommand::Docs => docs(),
        RulesCommand::Import { file, output } => rules_import::run(&file, output.as_deref()),
        RulesCommand::Check { files } => check(&files),
    }
}

fn compile(files: &[PathBuf]) -> Result<Engine> {
    Ok(Engine::compile(&config_files::rules(files)?, Limits::default(), config_files::random_key()?)?)
}

fn list(files: &[PathBuf], as_json: bool) -> Result<u8> {
    for detector in compile(files)?.detectors() {
        let hosts: Vec<&str> = detector.home.iter().flat_map(|h| h.hosts.iter().map(String::as_str)).collect();
        out::line(&if as_json {
            let value = json!({"id": detector.id, "provider": detector.provider, "name": detector.name, "confidence": detector.confidence.as_str(), "reference": detector.reference, "home": hosts});
            value.to_string()
        } else {
            format!("{:<40} {:<8} {}", detector.id, detector.confidence.as_str(), detector.name)
        })?;
    }
    Ok(exit::FINE)
}

fn docs() -> Result<u8> {
    let detectors: Vec<&rules::Detector> = rules::RuleSet::builtin().detectors().iter().collect();
    out::bytes(rules_docs::document(&detectors).as_bytes())?;
    Ok(exit::FINE)
}

fn check(files: &[PathBuf]) -> Result<u8> {
    let engine = compile(files)?;
    let kind = Kind::body(Media::default());
    let mut failures = 0;
    for detector in engine.detectors() {
        let found = |text: &str, least: Confidence| {
            engine.scan(&kind, text.as_bytes()).findings.iter().any(|f| f.detector.id == detector.id && f.confidence >= least)
        };
        let missed = detector
            .examples
            .iter()
            .enumerate()
            .filter(|(_, text)| !found(text, Confidence::Low))
            .map(|(i, _)| format!("example {} is not found", i + 1));
        let flagged = detector
            .counter_examples
            .iter()
            .enumerate()
            .filter(|(_, text)| found(text, Confidence::Medium))
            .map(|(i, _)| format!("counter-example {} is found", i + 1));
        for problem in missed.chain(flagged) {
            failures += 1;
            out::line(&format!("{}: {problem}", detector.id))?;
        }
    }
    out::note(&format!("{} detectors, {failures} problems", engine.detectors().len()));
    Ok(if failures == 0 { exit::FINE } else { exit::FOUND })
}
