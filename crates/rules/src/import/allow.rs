//! What the other tools' rules let pass.

use serde_json::{Value, json};
use toml::Table;

use super::{pattern, strings};

/// The allowlists of a table in our form, each with the rules it is for (none: all).
pub(super) fn all(table: &Table, notes: &mut Vec<String>) -> Vec<(Vec<String>, Value)> {
    let old = table.get("allowlist").into_iter();
    let new = table.get("allowlists").and_then(toml::Value::as_array).into_iter().flatten();
    old.chain(new).filter_map(|list| list.as_table()).filter_map(|list| one(list, notes)).collect()
}

fn one(list: &Table, notes: &mut Vec<String>) -> Option<(Vec<String>, Value)> {
    let both = list.get("condition").and_then(toml::Value::as_str).is_some_and(|c| c.eq_ignore_ascii_case("and") || c == "&&");
    for key in list.keys() {
        match key.as_str() {
            "description" | "condition" | "regexes" | "regexTarget" | "stopwords" | "targetRules" => {}
            "paths" | "commits" if both => {
                notes.push(format!("an allowlist is left out: it needs `{key}` too, which requests do not have"));
                return None;
            }
            "paths" | "commits" => notes.push(format!("allowlist: `{key}` is left out: requests have none")),
            _ => notes.push(format!("allowlist: `{key}` is left out: it has no counterpart")),
        }
    }
    let target = match list.get("regexTarget").and_then(toml::Value::as_str).unwrap_or("secret") {
        "match" => "match",
        "line" => "line",
        _ => "secret",
    };
    let (regexes, words) = (strings(list, "regexes", notes), strings(list, "stopwords", notes));
    let both = both && !regexes.is_empty() && !words.is_empty();
    let mut patterns = Vec::new();
    for regex in &regexes {
        match pattern::plain(regex) {
            Ok(pattern) if !pattern.is_empty() => patterns.push(pattern),
            Ok(_) => notes.push("allowlist: an empty regex is left out: it would let everything pass".to_owned()),
            Err(why) => notes.push(format!("allowlist: a regex is left out: {why}")),
        }
    }
    let words: Vec<String> = words.into_iter().filter(|w| !w.is_empty()).collect();
    if (patterns.is_empty() && words.is_empty()) || (both && (patterns.is_empty() || words.is_empty())) {
        return None;
    }
    let value = json!({"patterns": patterns, "in": target, "words": words, "both": both});
    Some((strings(list, "targetRules", notes), value))
}
