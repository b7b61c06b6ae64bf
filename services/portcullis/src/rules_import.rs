//! `portcullis rules import`: rules of other tools in our form.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use engine::Engine;
use rules::{Imported, RuleSet};

use crate::cli::exit;
use crate::out;

/// Reads `file`, writes our form to `output` or standard output, and says what was lost.
///
/// # Errors
/// When a file cannot be read or written, or is no file of rules.
pub(crate) fn run(file: &Path, output: Option<&Path>) -> Result<u8> {
    let shown = file.display().to_string();
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let name = file.file_name().map_or_else(|| shown.clone(), |n| n.to_string_lossy().into_owned());
    let mut all = Imported::from_gitleaks(&name, &source).map_err(|e| anyhow!("{shown}: {e}"))?;
    let set = RuleSet::from_yaml("what was imported", &all.document())?;
    all.drop(Engine::refused(&set).into_iter().map(|error| (error.id, error.message)));
    let text = all.document();
    match output {
        Some(path) => std::fs::write(path, &text).with_context(|| format!("cannot write {}", path.display()))?,
        None => out::bytes(text.as_bytes())?,
    }
    for note in &all.notes {
        out::note(&format!("{shown}: {}: {}{}", note.rule, if note.dropped { "left out: " } else { "" }, note.message));
    }
    let dropped = all.notes.iter().filter(|n| n.dropped).count();
    out::note(&format!("{} rules imported, {dropped} left out", all.ids().count()));
    Ok(if all.notes.is_empty() { exit::FINE } else { exit::FOUND })
}
