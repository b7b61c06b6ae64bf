//! The tool itself, as it is started: short real runs, with real Envoys.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn loadtest(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest")).args(args).stdin(Stdio::null()).output().expect("the tool runs")
}

fn run(scenario: &str, target: &str, more: &[&str]) -> Value {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let json = file.path().display().to_string();
    let mut args = vec!["run", scenario, "--target", target, "--json", &json];
    args.extend(more);
    let output = loadtest(&args);
    assert!(output.status.success(), "{scenario} on {target}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "nothing but a terminal gets a live line: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(file.path()).expect("the figures")).expect("JSON")
}

#[test]
fn every_scenario_passes_the_gateway_without_an_error() {
    for scenario in ["get", "json-4k", "conversation", "upload-256k", "grpc", "git-push", "sandboxes", "mixed"] {
        // Closed, so that a slow machine makes fewer requests rather than late ones.
        let sample = run(scenario, "portcullis", &["--connections", "4", "--duration", "0.5"]);
        assert!(sample["requests"].as_u64().unwrap() > 0, "{scenario}");
        assert_eq!(sample["errors"], serde_json::json!({}), "{scenario}");
        for part in ["generator", "envoy", "scanner", "certificates"] {
            assert!(sample["resident_mib"][part].as_f64().unwrap() > 0.0, "{scenario}: {part}");
        }
    }
}

#[test]
fn the_floor_and_envoy_alone_take_the_same_requests() {
    for (target, roles) in [("envoy", &["envoy", "generator"][..]), ("floor", &["envoy", "floor", "generator"]), ("direct", &["generator"])]
    {
        for scenario in ["json-4k", "grpc"] {
            let sample = run(scenario, target, &["--rate", "20", "--duration", "1"]);
            assert_eq!((sample["requests"].as_u64(), &sample["errors"]), (Some(20), &serde_json::json!({})), "{scenario} on {target}");
            let measured: Vec<&String> = sample["cpu_s"].as_object().unwrap().keys().collect();
            assert_eq!(measured, roles, "{target}");
        }
    }
}

#[test]
fn a_comparison_is_measured_in_turns_and_reported() {
    let args = ["compare", "--quick", "--rounds", "1", "--scenario", "get"];
    let output =
        loadtest(&[&args[..], &["--target", "direct", "--target", "envoy", "--target", "floor", "--target", "portcullis"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for wanted in ["| get: requests/s, of floor |", "| get: p99 added, of floor's, at half of floor's peak |", "| get | portcullis |"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

#[test]
fn what_cannot_be_run_is_said_in_a_line() {
    for (args, said) in [
        (&["run", "nothing"][..], "no scenario nothing"),
        (&["run", "get", "--rate", "0"], "above zero"),
        (&["report", "/nothing", "/nothing"], "/nothing"),
    ] {
        let output = loadtest(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said) && error.lines().count() == 1, "{error}");
    }
}
