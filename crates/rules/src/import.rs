//! Rules of gitleaks and betterleaks, as users have them in TOML, in our form.

mod allow;
mod literals;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::{Value, json};
use toml::Table;

use crate::RuleSet;

/// Files larger than this are refused.
const MAX_BYTES: usize = 4 << 20;
/// Files of more rules are refused, as are files of our form with more detectors.
const MAX_RULES: usize = 10_000;
/// Files with more allowlists for all rules are refused: each is written into every rule it is for.
const MAX_GLOBALS: usize = 1_000;
/// The most bytes that all rules may take in our form, those that are refused counted too: with the head, what [`RuleSet::from_yaml`] reads.
const MAX_WRITTEN: usize = (4 << 20) - (64 << 10);
/// Characters of an id that notes repeat.
const MAX_SHOWN: usize = 100;

/// What a file says of all rules: the rules it is for (none: all), and what they let pass.
type Globals = Vec<(HashSet<String>, Value)>;

/// What of a rule, or of the file, could not be carried over as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The rule's id, or `the file`.
    pub rule: String,
    /// What, and why.
    pub message: String,
    /// The whole rule is missing.
    pub dropped: bool,
}

/// A file of rules in our form.
#[derive(Debug, Clone, Default)]
pub struct Imported {
    /// A file name and its like, for `reference`.
    reference: String,
    detectors: Vec<(String, Value)>,
    /// What was lost.
    pub notes: Vec<Note>,
}

impl Imported {
    /// Reads TOML in the form of gitleaks and betterleaks. `file` names it.
    ///
    /// # Errors
    /// Why the text is no such file, in words.
    pub fn from_gitleaks(file: &str, source: &str) -> Result<Imported, String> {
        if source.len() > MAX_BYTES {
            return Err(format!("larger than {MAX_BYTES} bytes"));
        }
        let table: Table = toml::from_str(source).map_err(|e| e.to_string())?;
        let mut all = Imported { reference: format!("imported from {file}"), ..Imported::default() };
        let globals = all.file(&table);
        let Some(rules) = table.get("rules").map_or(Some(&[][..]), |r| r.as_array().map(Vec::as_slice)) else {
            return Err("`rules` is no array of tables".to_owned());
        };
        if rules.len() > MAX_RULES {
            return Err(format!("more than {MAX_RULES} rules"));
        }
        if globals.len() > MAX_GLOBALS {
            return Err(format!("more than {MAX_GLOBALS} allowlists for all rules"));
        }
        let mut seen = HashSet::new();
        let mut room = MAX_WRITTEN;
        for (at, rule) in rules.iter().enumerate() {
            let Some(rule) = rule.as_table() else { return Err(format!("rule {} is no table", at + 1)) };
            let own = rule.get("id").and_then(toml::Value::as_str).map_or_else(|| format!("rule {}", at + 1), str::to_owned);
            let shown: String = own.chars().take(MAX_SHOWN).collect();
            let mut notes = Vec::new();
            let result = read(&own, rule, &globals, &mut notes).and_then(|(id, detector)| {
                let written = entry(&detector);
                room = room.saturating_sub(written.len());
                usable(&id, &written, room, &mut seen).map(|()| (id, detector))
            });
            all.notes.extend(notes.into_iter().map(|message| Note { rule: shown.clone(), message, dropped: false }));
            match result {
                Ok((id, detector)) => all.detectors.push((id, detector)),
                Err(message) => all.notes.push(Note { rule: shown, message, dropped: true }),
            }
            if room == 0 {
                return Err(format!(
                    "its rules take more than {MAX_WRITTEN} bytes in our form, with what all rules let pass written into each"
                ));
            }
        }
        Ok(all)
    }

    /// The ids that came over.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.detectors.iter().map(|(id, _)| id.as_str())
    }

    /// Takes out the rules that cannot be used, each with why.
    pub fn drop(&mut self, refused: impl IntoIterator<Item = (String, String)>) {
        let mut ids = HashSet::new();
        for (rule, message) in refused {
            ids.insert(rule.clone());
            self.notes.push(Note { rule, message, dropped: true });
        }
        self.detectors.retain(|(own, _)| !ids.contains(own));
    }

    /// The file in our form: JSON on one line for each detector, which is YAML.
    pub fn document(&self) -> String {
        let head =
            format!("# Written by `portcullis rules import`.\nprovider: custom\nname: Custom\nreference: {}\n", json!(self.reference));
        let mut text = if self.detectors.is_empty() { format!("{head}detectors: []\n") } else { format!("{head}detectors:\n") };
        for (_, detector) in &self.detectors {
            text.push_str(&entry(detector));
        }
        text
    }

    /// What stands outside rules: what all rules let pass, with the rules it is for (none: all).
    fn file(&mut self, table: &Table) -> Globals {
        let mut notes = Vec::new();
        for key in table
            .keys()
            .filter(|k| !["title", "description", "rules", "allowlist", "allowlists", "extend", "minVersion"].contains(&k.as_str()))
        {
            notes.push(format!("`{key}` has no counterpart"));
        }
        let extend = table.get("extend").and_then(toml::Value::as_table);
        for (key, value) in extend.into_iter().flatten() {
            match (key.as_str(), value) {
                ("useDefault", toml::Value::Boolean(true)) => notes.push(
                    "extend.useDefault: the other tool's own rules are not copied; the file is laid over the built-in catalogue instead"
                        .to_owned(),
                ),
                ("useDefault", _) => {
                    notes.push("extend.useDefault = false: the file is laid over the built-in catalogue all the same".to_owned())
                }
                ("disabledRules", _) => {
                    notes.push(
                        "extend.disabledRules: names rules of the other tool; see `portcullis rules list` and write `disable: [ID]`"
                            .to_owned(),
                    );
                }
                _ => notes.push(format!("extend.{key}: other files are not read; import them by themselves")),
            }
        }
        let globals = allow::all(table, &mut notes);
        self.notes.extend(notes.into_iter().map(|message| Note { rule: "the file".to_owned(), message, dropped: false }));
        globals.into_iter().map(|(of, value)| (of.into_iter().collect(), value)).collect()
    }
}

/// One rule in our form, with its id.
fn read(own: &str, rule: &Table, globals: &[(HashSet<String>, Value)], notes: &mut Vec<String>) -> Result<(String, Value), String> {
    let text = |key: &str| match rule.get(key) {
        None => Ok(None),
        Some(toml::Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("`{key}` is no text")),
    };
    let id = kebab(text("id")?.ok_or("it has no id")?).ok_or("the id holds no ASCII letter or digit")?;
    if id != own {
        notes.push(format!("the id is now `{id}`: ids are kebab-case"));
    }
    if rule.get("skipReport").and_then(toml::Value::as_bool) == Some(true) {
        return Err("skipReport: it only helps other rules, which is not supported".to_owned());
    }
    let regex = text("regex")?.ok_or("it has no regex: requests have no paths to look at")?;
    let group = rule
        .get("secretGroup")
        .map_or(Ok(0), |v| v.as_integer().and_then(|n| u32::try_from(n).ok()).ok_or("`secretGroup` is no number of a group"))?;
    let pattern = pattern::translate(regex, group, notes)?;
    let keywords = strings(rule, "keywords", notes);
    let mut detector = json!({"id": id, "name": text("description")?.filter(|d| !d.is_empty()).unwrap_or(&id), "confidence": "high", "boundary": "none", "pattern": pattern});
    literals::announce(&mut detector, &pattern, &keywords, notes)?;
    if let Some(entropy) = rule.get("entropy") {
        let bits = entropy.as_float().or_else(|| entropy.as_integer().map(|n| n as f64)).ok_or("`entropy` is no number")?;
        if bits > 0.0 {
            detector["checks"] = json!([{"entropy": bits}]);
        }
    }
    let mut except: Vec<Value> = allow::all(rule, notes).into_iter().map(|(_, value)| value).collect();
    except.extend(globals.iter().filter(|(of, _)| of.is_empty() || of.contains(own)).map(|(_, value)| value.clone()));
    if !except.is_empty() {
        detector["except"] = Value::Array(except);
    }
    for (key, why) in [("path", "requests have no paths: the rule holds everywhere"), ("tags", "there is no place for them")] {
        if rule.contains_key(key) {
            notes.push(format!("`{key}` is left out: {why}"));
        }
    }
    const KNOWN: [&str; 12] = [
        "id",
        "description",
        "regex",
        "path",
        "secretGroup",
        "entropy",
        "keywords",
        "allowlist",
        "allowlists",
        "tags",
        "skipReport",
        "name",
    ];
    for key in rule.keys().filter(|k| !KNOWN.contains(&k.as_str())) {
        notes.push(format!("`{key}` is left out: it has no counterpart"));
    }
    Ok((id, detector))
}

/// Whether a rule, as it would be written, is one that can be read back, and the first of its id.
fn usable(id: &str, written: &str, room: usize, seen: &mut HashSet<String>) -> Result<(), String> {
    if room > 0 {
        let alone = format!("provider: custom\nname: Custom\nreference: x\ndetectors:\n{written}");
        RuleSet::from_yaml("it", &alone).map_err(|e| e.to_string())?;
    }
    if !seen.insert(id.to_owned()) {
        return Err(format!("the id `{id}` is used twice"));
    }
    Ok(())
}

/// JSON is YAML, but for some characters that JSON leaves as they are.
fn entry(detector: &Value) -> String {
    let mut text = String::from("  - ");
    for c in detector.to_string().chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            c => text.push(c),
        }
    }
    text.push('\n');
    text
}

/// An id in our style.
fn kebab(id: &str) -> Option<String> {
    let lower = id.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|p| !p.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("-"))
}

/// The texts of a key.
fn strings(table: &Table, key: &str, notes: &mut Vec<String>) -> Vec<String> {
    let Some(value) = table.get(key) else { return Vec::new() };
    let texts = value.as_array().map(|all| all.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect::<Vec<_>>());
    if texts.as_ref().is_none_or(|t| Some(t.len()) != value.as_array().map(Vec::len)) {
        notes.push(format!("`{key}` is no list of texts: what is no text is left out"));
    }
    texts.unwrap_or_default()
}
