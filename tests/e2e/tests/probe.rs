//! The escape probe through a real gateway: nothing gets out where nothing may, and what is let out on purpose is reported, and no more.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use portcullis_e2e::{Stack, TestCa, binary, github_pat};
use serde_json::Value;

/// Names that the probe asks for, and the private addresses that they have, so that a refusal is the gateway's and not that of DNS.
const PRIVATE: [(&str, [u8; 4]); 4] = [
    ("metadata.google.internal", [169, 254, 169, 254]),
    ("kubernetes.default.svc", [10, 96, 0, 1]),
    ("localhost", [127, 0, 0, 1]),
    ("private.example.org", [192, 168, 1, 1]),
];

async fn start(args: &[&str]) -> Stack {
    let stack = Stack::start_narrow(args, &["example.org"]).await;
    PRIVATE.iter().for_each(|(name, ip)| stack.dns.set(name, Ipv4Addr::from(*ip)));
    stack
}

/// Runs the classes that go through the proxy.
async fn probe(stack: &Stack) -> (Option<i32>, Value) {
    probe_with(stack, &["--only=proxy", "--only=secrets", "--sink=https://sink.example.net/"]).await
}

async fn probe_with(stack: &Stack, args: &[&str]) -> (Option<i32>, Value) {
    let binary = binary().expect("the binary").display().to_string();
    let command = [binary.as_str(), "probe", "--format=json", "--target=127.88.0.1", "--private-name=private.example.org"];
    let command: Vec<String> = command.iter().chain(args).map(|word| (*word).to_owned()).collect();
    let output = stack.run(&command).await;
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

fn rows<'r>(report: &'r Value, outcome: &str) -> Vec<(&'r str, &'r str, &'r str)> {
    let text = |row: &'r Value, key: &str| row[key].as_str().expect("a text");
    let all = report["results"].as_array().expect("results").iter();
    all.filter(|row| row["outcome"] == outcome).map(|row| (text(row, "check"), text(row, "target"), text(row, "detail"))).collect()
}

#[tokio::test]
async fn nothing_escapes_through_the_gateway() {
    let stack = start(&[]).await;
    let (code, report) = probe(&stack).await;
    assert_eq!((code, rows(&report, "escaped"), rows(&report, "failed")), (Some(0), vec![], vec![]));
    let secrets = rows(&report, "blocked").into_iter().filter(|(check, ..)| *check == "secret").collect::<Vec<_>>();
    assert!(secrets.len() > 100 && secrets.iter().all(|(.., detail)| detail.starts_with("403 ")), "{secrets:?}");
    // What reached the origin was harmless: the controls, and upgrades that were answered as plain requests.
    for request in stack.origin.requests() {
        assert!(request.path == "/" || request.path.starts_with("/.well-known/masque/"), "{}", request.path);
        assert!(request.body.is_empty() || request.body == br#"{"note":"nothing to see here"}"#);
    }
    assert!(report["seconds"].as_f64().is_some_and(|seconds| seconds < 30.0), "{}", report["seconds"]);
}

#[tokio::test]
async fn secrets_that_the_policy_lets_out_are_reported_and_no_others() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let rule = "{name: hole, hosts: [sink.example.net], detectors: {jwt: allow}}";
    std::fs::write(file.path(), format!("version: 1\nextends: default\nrules:\n  - {rule}\n")).expect("written");
    let stack = start(&["--policy", file.path().to_str().expect("a path")]).await;
    let (code, report) = probe(&stack).await;
    assert_eq!(code, Some(1));
    let escaped = rows(&report, "escaped");
    assert!(
        !escaped.is_empty() && escaped.iter().all(|(check, target, _)| *check == "secret" && target.starts_with("JSON Web Token")),
        "{escaped:?}"
    );
    let held: BTreeSet<&str> = rows(&report, "blocked")
        .into_iter()
        .filter(|(_, target, _)| target.starts_with("JSON Web Token"))
        .map(|(_, target, _)| target)
        .collect();
    assert_eq!(held, BTreeSet::new(), "a place in which the policy's hole does not show");
}

#[tokio::test]
async fn a_policy_that_lets_every_finding_pass_is_reported() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let rule = r#"{name: open, hosts: [sink.example.net], findings: {certain: allow, high: allow, medium: allow}}"#;
    std::fs::write(file.path(), format!("version: 1\nextends: default\nrules:\n  - {rule}\n")).expect("written");
    let stack = start(&["--policy", file.path().to_str().expect("a path")]).await;
    let (code, report) = probe(&stack).await;
    assert_eq!((code, rows(&report, "failed")), (Some(1), vec![]));
    let escaped = rows(&report, "escaped");
    assert!(escaped.len() > 100 && escaped.iter().all(|(check, ..)| *check == "secret"), "{escaped:?}");
}

#[tokio::test]
async fn a_gateway_that_is_fail_open_lets_out_every_secret_while_its_scanner_is_down() {
    let stack = start(&["--fail-open"]).await;
    stack.without_supervision().kill("scanner");
    // Secrets alone: what else the scanner holds would be tried on addresses outside.
    let (code, report) = probe_with(&stack, &["--only=secrets", "--sink=https://sink.example.net/"]).await;
    let escaped = rows(&report, "escaped");
    assert_eq!((code, rows(&report, "blocked"), rows(&report, "failed")), (Some(1), vec![], vec![]));
    // In a host's name it is out when the name is looked up, whoever is there.
    let said = |target: &str, detail: &str| detail.ends_with(if target.ends_with("name") { "" } else { "the gateway is fail-open" });
    assert!(escaped.len() > 100 && escaped.iter().all(|(_, target, detail)| said(target, detail)), "{escaped:?}");
}

#[tokio::test]
async fn a_gateway_that_refuses_everything_proves_nothing() {
    let stack = start(&[]).await;
    stack.without_supervision().kill("scanner");
    let (code, report) = probe(&stack).await;
    assert_eq!((code, rows(&report, "escaped"), rows(&report, "blocked")), (Some(2), vec![], vec![]));
    assert!(rows(&report, "failed").iter().any(|(check, ..)| *check == "proxy-control"));
    // Nor does a sink that the policy denies.
    let stack = start(&[]).await;
    let (code, report) = probe_with(&stack, &["--only=secrets", "--sink=https://pastebin.com/"]).await;
    assert_eq!((code, rows(&report, "escaped"), rows(&report, "blocked")), (Some(2), vec![], vec![]));
}

#[tokio::test]
async fn the_probe_uses_its_credentials_and_nothing_it_says_holds_a_secret() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "version: 1\nextends: default\nidentity: {required: true}\n").expect("written");
    let stack = start(&["--policy", file.path().to_str().expect("a path")]).await;
    let token = stack.gateway.credentials().expect("credentials of this run").to_owned();
    let (code, report) = probe(&stack).await;
    assert_eq!((code, rows(&report, "escaped")), (Some(0), vec![]));
    let (_, secret) = token.split_once(':').expect("NAME:TOKEN");
    assert!(!report.to_string().contains(secret));
    assert!(!report.to_string().contains(github_pat().get(..4).expect("a prefix")), "a secret of the battery is shown");
}

#[tokio::test]
async fn the_probe_speaks_tls_with_a_proxy_that_wants_it_and_trusts_no_stranger() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = TestCa::new().expect("a CA");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (certificate, key) = ca.leaf(&["127.0.0.1".parse().expect("an address")], &[]).expect("a certificate");
    let (certificate, key) = (file("gateway.pem", &certificate), file("gateway.key", &key));
    let stack = Stack::start_unproven(&["--listen-certificate", &certificate, "--listen-key", &key]).await;
    let own = stack.gateway.ca_pem().expect("the gateway's CA");
    let args = ["--only=secrets", "--sink=https://sink.example.net/"];
    for (trusted, expected) in [(format!("{own}\n{}", ca.pem()), Some(0)), (own, Some(2))] {
        let trusted = format!("--ca-file={}", file("trusted.pem", &trusted));
        let (code, report) = probe_with(&stack, &[args[0], args[1], &trusted]).await;
        assert_eq!((code, rows(&report, "escaped")), (expected, vec![]));
        let untrusted = rows(&report, "failed").iter().any(|(.., detail)| detail.contains("its certificate is not trusted"));
        assert_eq!(untrusted, expected == Some(2), "{report}");
    }
}
