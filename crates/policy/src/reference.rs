//! The documentation of the policy language, made of the types that read it.

use std::fmt::Write as _;

use crate::parse::file::PARTS;
use crate::rules::{FUNCTIONS, VARIABLES};
use crate::{Preset, Reason};

/// One key of a policy file.
#[derive(Debug)]
pub(crate) struct Key {
    /// Where it stands: `hosts.mode`, `rules[].name`.
    pub(crate) path: &'static str,
    /// What it may say.
    pub(crate) values: &'static str,
    /// What counts without it.
    pub(crate) default: &'static str,
    /// What it means.
    pub(crate) meaning: &'static str,
    /// A value it may have.
    pub(crate) example: &'static str,
}

/// The reference of the policy language in Markdown: every key, the presets, what conditions may name, and the reasons.
pub fn reference() -> String {
    let mut text = String::from("### Keys\n");
    table(&mut text, |key| !key.path.starts_with("rules[]"));
    text.push_str("\n### Keys of a rule\n");
    table(&mut text, |key| key.path.starts_with("rules[]"));
    text.push_str("\n### Presets\n\n| preset | is |\n|---|---|\n");
    for preset in Preset::ALL {
        let about: Vec<&str> = preset.source().lines().map_while(|l| l.strip_prefix('#')).map(str::trim).collect();
        let about = about.join(" ");
        let first = about.split_inclusive(". ").next().unwrap_or_default();
        row(&mut text, &[&format!("`{}`", preset.name()), first.trim().trim_end_matches([':', '.'])]);
    }
    text.push_str("\n### What `when` may name\n\n| name | is |\n|---|---|\n");
    for (name, is) in VARIABLES {
        row(&mut text, &[&format!("`{name}`"), is]);
    }
    let functions: Vec<String> = FUNCTIONS.iter().map(|f| format!("`{f}`")).collect();
    // Writing to a String cannot fail.
    let _written = write!(
        text,
        "\nBeside these: the operators of CEL, `in`, `has`, lists and maps, {}. At most 2048 bytes, 200 parts, 24 deep; no `all`, `exists`, \
         `map`, `filter`.\n",
        functions.join(", ")
    );
    text.push_str("\n### Reasons\n\nThe code in answers, audit records and `portcullis_requests_total`.\n\n| reason | verdict | when |\n|---|---|---|\n");
    for (reason, verdict, when) in Reason::ALL {
        row(&mut text, &[&format!("`{}`", reason.as_str()), verdict, when]);
    }
    text
}

fn table(text: &mut String, of: impl Fn(&Key) -> bool) {
    text.push_str("\n| key | values | without it | meaning | example |\n|---|---|---|---|---|\n");
    // What has keys of its own is not a row.
    for key in PARTS.iter().flat_map(|part| part.iter()).filter(|key| of(key) && !key.values.is_empty()) {
        let path = key.path.strip_prefix("rules[].").unwrap_or(key.path);
        row(text, &[&format!("`{path}`"), key.values, key.default, key.meaning, &format!("`{}`", key.example)]);
    }
}

fn row(text: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|c| c.replace('|', "\\|")).collect();
    // Writing to a String cannot fail.
    let _written = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    /// The key in a file that says nothing else, with a value.
    fn file(key: &Key, value: &str) -> String {
        let mut parts: Vec<&str> = key.path.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        let mut yaml = match (key.path, last) {
            ("version", _) => return format!("version: {value}\n"),
            ("groups", _) => format!("groups: {value}"),
            _ => format!("{last}: {value}"),
        };
        for part in parts.iter().rev() {
            yaml = match part.strip_suffix("[]") {
                Some("rules") => format!("rules: [{{{}{}{yaml}}}]", if last == "name" { "" } else { "name: x, " }, said(key)),
                Some("push") if last == "repositories" => format!("push: [{{{yaml}}}]"),
                Some("push") => format!("push: [{{repositories: ['**'], {yaml}}}]"),
                Some("only") => only(last, &yaml),
                Some("certificates") if last == "uri" => format!("certificates: [{{{yaml}}}]"),
                Some("certificates") => format!("certificates: [{{uri: 'spiffe://a/b', {yaml}}}]"),
                Some("extra") if last == "detectors" => format!("extra: [{{{yaml}, hosts: [a.example]}}]"),
                Some("extra") if last == "hosts" => format!("extra: [{{{yaml}, detectors: [jwt]}}]"),
                Some("extra") => format!("extra: [{{{yaml}, detectors: [jwt], hosts: [a.example]}}]"),
                _ if *part == "budget" && last == "window" => format!("budget: {{{yaml}, requests: 1}}"),
                _ if *part == "budget" => format!("budget: {{window: 1h, {yaml}}}"),
                _ => format!("{part}: {{{yaml}}}"),
            };
        }
        let groups = if key.path.ends_with("[].groups") { "groups: {ci: [a]}\n" } else { "" };
        format!("version: 1\n{groups}{yaml}\n")
    }

    /// An entry of `only` with a service that has the key, and something that is limited.
    fn only(key: &str, yaml: &str) -> String {
        let rest = match key {
            "service" => "owners: [a]",
            "hosts" => "service: github, owners: [a]",
            "owners" | "repositories" => "service: gitlab",
            "packages" => "service: npm",
            "buckets" | "projects" => "service: gcs",
            "organizations" => "service: slack",
            "credentials" => "service: pypi",
            _ => "service: pypi, credentials: ['known-secret:A']",
        };
        format!("only: [{{{yaml}, {rest}}}]")
    }

    /// A rule must say something.
    fn said(key: &Key) -> &'static str {
        match key.path {
            "rules[].action" => "",
            "rules[].graphql" => "action: deny, paths: [/graphql], ",
            _ => "action: deny, ",
        }
    }

    #[test]
    fn every_example_of_the_reference_is_a_policy() {
        for key in PARTS.iter().flat_map(|part| part.iter()) {
            let source = file(key, key.example);
            if let Err(error) = Policy::from_yaml("example", &source) {
                panic!("{}: {error}\n{source}", key.path);
            }
        }
    }

    #[test]
    fn what_the_reference_calls_the_default_is_the_default() {
        let bare = Policy::from_yaml("bare", "version: 1\n").expect("a policy").id();
        let mut tried = 0;
        for key in PARTS.iter().flat_map(|part| part.iter()).filter(|k| !k.path.contains("[]")) {
            let Some(value) = key.default.strip_prefix('`').and_then(|d| d.strip_suffix('`')) else { continue };
            let source = file(key, value);
            let policy = Policy::from_yaml("default", &source).unwrap_or_else(|error| panic!("{error}\n{source}"));
            assert_eq!(policy.id(), bare, "{source}");
            tried += 1;
        }
        assert!(tried > 18, "{tried}");
    }
}
