//! The table of decisions (`tests/e2e/decisions/README.md`): each line through `portcullis replay`, and through a real Envoy.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "decisions/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use portcullis_e2e::{Client, Stack, binary};
use table::{Case, Table};

/// Fewer cases than the project promises would prove less than it says.
const AT_LEAST: usize = 150;

#[tokio::test]
async fn what_the_default_policy_decides() {
    hold("default").await;
}

#[tokio::test]
async fn what_the_presets_of_code_hosts_decide() {
    hold("github").await;
}

#[tokio::test]
async fn what_an_allowlist_of_registries_and_models_decides() {
    hold("registries").await;
}

#[tokio::test]
async fn what_rules_decide() {
    hold("rules").await;
}

#[tokio::test]
async fn what_is_decided_of_others_tenants() {
    hold("tenants").await;
}

#[test]
fn the_table_is_as_long_as_promised_and_says_nothing_twice() {
    let tables = ["default", "github", "registries", "rules", "tenants"].map(Table::read);
    let all: usize = tables.iter().map(|t| t.cases.len()).sum();
    assert!(all >= AT_LEAST, "{all} cases");
    for table in tables {
        let lines: BTreeSet<&str> = table.cases.iter().map(|c| c.line.as_str()).collect();
        assert_eq!(lines.len(), table.cases.len());
    }
}

/// Both ways must decide as the table says. All differences are told at once.
async fn hold(name: &str) {
    let table = Table::read(name);
    let known = tempfile::NamedTempFile::with_suffix(".env").unwrap();
    std::fs::write(known.path(), table::registry()).unwrap();
    let mut wrong = replayed(&table, known.path());
    wrong.extend(sent(&table, known.path()).await);
    assert!(wrong.is_empty(), "{} decisions of {name} are others:\n{}", wrong.len(), wrong.join("\n"));
}

fn replayed(table: &Table, known: &Path) -> Vec<String> {
    let record = |(id, case): (usize, &Case)| {
        let field = |(name, value): &(String, String)| serde_json::json!({"name": name, "value": value});
        let headers: Vec<_> = case.headers.iter().map(field).collect();
        let mut record = serde_json::json!({"id": id, "method": case.method, "url": case.url, "headers": headers});
        if let Some(body) = &case.body {
            record["body_base64"] = BASE64.encode(body).into();
        }
        if let Some(sandbox) = &case.sandbox {
            record["sandbox"] = sandbox.as_str().into();
        }
        format!("{record}\n")
    };
    let input: String = table.cases.iter().enumerate().map(record).collect();
    let mut replay = Command::new(binary().unwrap());
    replay.args(["replay", "-", "--policy"]).arg(&table.policy).arg("--known").arg(known).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = replay.spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = running.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let answers: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(answers.len(), table.cases.len());
    let differs = |(case, answer): (&Case, &serde_json::Value)| {
        let got = (answer["verdict"].as_str().unwrap(), answer["reason"].as_str().unwrap());
        (got != (&*case.verdict, &*case.reason)).then(|| format!("replay: {} {}, not {}", got.0, got.1, case.line))
    };
    table.cases.iter().zip(&answers).filter_map(differs).collect()
}

async fn sent(table: &Table, known: &Path) -> Vec<String> {
    let names: Vec<&str> = table.names.iter().map(String::as_str).collect();
    let policy = table.policy.display().to_string();
    let stack = Stack::start_with_names(&["--policy", &policy, "--known", &known.display().to_string()], &names).await;
    let mut wrong = Vec::new();
    let mut sandboxes: BTreeMap<&str, Client> = BTreeMap::new();
    for name in table.cases.iter().filter_map(|case| case.sandbox.as_deref()) {
        if !sandboxes.contains_key(name) {
            sandboxes.insert(name, stack.sandbox(name).await.2);
        }
    }
    for case in &table.cases {
        stack.origin.forget();
        let client = case.sandbox.as_deref().map_or(&stack.client, |name| &sandboxes[name]);
        let answer = client.send(&case.request()).await.unwrap();
        let arrived = stack.origin.requests();
        let reason =
            serde_json::from_slice::<serde_json::Value>(&answer.body).ok().and_then(|p| Some(p.get("reason")?.as_str()?.to_owned()));
        let redacted = arrived.iter().any(|r| memchr::memmem::find(&r.body, b"[portcullis:").is_some());
        let as_said = match &*case.verdict {
            "allow" => answer.status == 200 && arrived.len() == 1 && !redacted,
            "redact" => answer.status == 200 && arrived.len() == 1 && redacted && !stack.origin.saw(case.secret.as_bytes()),
            _ if case.at_envoy => answer.status != 200 && arrived.is_empty(),
            _ => answer.status >= 400 && arrived.is_empty() && reason.as_deref() == Some(&*case.reason),
        };
        if !as_said {
            let reason = reason.unwrap_or_default();
            wrong.push(format!("Envoy: {} {reason}, {} at the origin, not {}", answer.status, arrived.len(), case.line));
        }
    }
    wrong
}
