//! The binary as a person or a script runs it: what it prints, and its exit codes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rand::distr::{Alphanumeric, SampleString};

/// A GitHub token with a right checksum, made at run time, so that no scanner flags this file.
fn token() -> String {
    let entropy = Alphanumeric.sample_string(&mut rand::rng(), 30);
    ["gh", "p_", &entropy, &rules::checksum::base62_crc32(entropy.as_bytes())].concat()
}

fn run(args: &[&str], input: &str) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(args)
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // A command that reads nothing may be gone already.
    let _written = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn mistakes_are_one_line_and_an_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = write(folder.path(), "bad.yaml", "version: 1\nhots: {}\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    for (args, code, words) in [
        (vec!["no-such-command"], 64, "no-such-command"),
        (vec!["scan", "--format", "xml"], 64, "xml"),
        (vec!["up", "--listen", "nowhere"], 64, "nowhere"),
        (vec!["policy", "check", "/no/such/file"], 2, "/no/such/file"),
        (vec!["policy", "check", &bad], 2, "line 2"),
        (vec!["scan", "/no/such/file"], 2, "/no/such/file"),
        (vec!["replay", "/no/such/file"], 2, "/no/such/file"),
        (vec!["rules", "check", "/no/such/file"], 2, "/no/such/file"),
        (vec!["ca", "show"], 2, "ca"),
        (vec!["up", "--envoy", "/no/such/envoy", "--listen", "127.0.0.1:0"], 2, "/no/such/envoy"),
        (vec!["scanner", "--listen", &taken], 2, &taken),
        (vec!["scanner", "--listen", "127.0.0.1:0", "--policy", &bad], 2, "line 2"),
        (vec!["certificates", "--listen", &taken], 2, &taken),
    ] {
        let (got, out, err) = said(&run(&args, ""));
        assert_eq!(got, Some(code), "{args:?}: {err}");
        assert!(err.contains(words) && out.is_empty(), "{args:?}: {err}");
        assert!(code == 64 || err.lines().filter(|l| l.starts_with("portcullis: ")).count() == 1, "{args:?}: {err}");
    }
}

#[test]
fn scan_finds_masks_and_says_so_in_three_formats() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = token();
    let file = write(folder.path(), "notes.txt", &format!("first line\nkey = {token}\n"));
    write(folder.path(), "clean.txt", "nothing\n");
    for format in ["text", "json", "sarif"] {
        let (code, out, err) = said(&run(&["scan", "--format", format, folder.path().to_str().expect("text")], ""));
        assert_eq!(code, Some(1), "{err}");
        assert!(out.contains("github-pat-classic") && out.contains("notes.txt") && !out.contains(&token), "{out}");
        if format == "sarif" {
            let sarif: serde_json::Value = serde_json::from_str(&out).expect("SARIF is JSON");
            assert_eq!(sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
        }
    }
    assert!(said(&run(&["scan", &file], "")).1.contains(":2:7:"));
    assert_eq!(said(&run(&["scan", "-"], &format!("x {token}"))).0, Some(1));
    assert_eq!(said(&run(&["scan", "-"], "nothing")).0, Some(0));
}

#[test]
fn replay_judges_each_line_in_order() {
    let token = token();
    let body = data_encoding::BASE64.encode(format!(r#"{{"content": "{token}"}}"#).as_bytes());
    let line = |id: &str, url: &str| {
        format!(
            r#"{{"id": "{id}", "method": "POST", "url": "{url}", "headers": [{{"name": "Content-Type", "value": "application/json"}}], "body_base64": "{body}"}}"#
        )
    };
    let input = [
        line("a", "https://sink.example.net/"),
        line("b", "https://api.anthropic.com/v1/messages"),
        r#"{"id": 3, "method": "GET", "url": "https://example.com/", "headers": []}"#.to_owned(),
    ]
    .join("\n");
    let (code, out, err) = said(&run(&["replay", "--emit-redacted", "-"], &input));
    assert_eq!(code, Some(1), "{err}");
    let answers: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let verdicts: Vec<_> = answers.iter().map(|a| (a["id"].to_string(), a["verdict"].as_str().unwrap_or_default())).collect();
    assert_eq!(verdicts, [("\"a\"".to_owned(), "deny"), ("\"b\"".to_owned(), "redact"), ("3".to_owned(), "allow")]);
    assert_eq!(answers[0]["findings"][0]["span"], serde_json::json!([13, 53]));
    let redacted = data_encoding::BASE64.decode(answers[1]["redacted_body_base64"].as_str().expect("a body").as_bytes()).expect("base64");
    let redacted: serde_json::Value = serde_json::from_slice(&redacted).expect("valid JSON");
    assert!(redacted["content"].as_str().expect("text").starts_with("[portcullis:github-pat-classic:"));
    assert!(!out.contains(&token));
    let (code, _, err) = said(&run(&["replay", "-"], "{\"id\": 1}\n"));
    assert!(code == Some(2) && err.contains("line 1"), "{err}");
}

#[test]
fn policies_are_explained_and_detectors_check_themselves() {
    let (code, out, _) = said(&run(&["policy", "explain", "https://webhook.site/x"], ""));
    assert!(code == Some(1) && out.starts_with("deny: host_blocked"), "{out}");
    let (code, out, _) = said(&run(&["policy", "explain", "https://example.com/"], ""));
    assert!(code == Some(0) && out.starts_with("allow: clean"), "{out}");
    let (code, out, err) = said(&run(&["rules", "check"], ""));
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(said(&run(&["rules", "list"], "")).1.lines().count() >= 80);
    for shell in ["bash", "zsh", "fish"] {
        assert!(said(&run(&["completions", shell], "")).1.contains("portcullis"), "{shell}");
    }
}

/// The fenced blocks of a document: the language, what stands in the line before, and the text.
fn blocks(document: &str) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    let mut lines = document.lines();
    let mut before = String::new();
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            Some(language) => {
                let text: String = lines.by_ref().take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect();
                out.push((language.to_owned(), std::mem::take(&mut before), text));
            }
            None if line.is_empty() => {}
            None => line.clone_into(&mut before),
        }
    }
    out
}

#[test]
fn the_examples_of_the_policy_language_do_what_the_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (document, ran) = run_document("configuration.md", folder.path());
    assert_eq!(ran, 4);
    let wrong = write(folder.path(), "wrong.yaml", "version: 1\nhosts:\n  mode: open\n  alow: []\n");
    let (_, _, err) = said(&run(&["policy", "check", &wrong], ""));
    assert!(document.contains(&err.replace(&wrong, "policy.yaml")), "{err}");
    let (code, _, err) = said(&run(&["policy", "check", folder.path().join("policy.yaml").to_str().expect("text")], ""));
    assert!(code == Some(0) && err.contains("fine"), "{err}");
}

#[test]
fn the_examples_of_tenants_do_what_the_document_says() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(run_document("tenants.md", folder.path()).1, 2);
    let token = "a-service-credential-0123-wxyz";
    let (code, print, _) = said(&run(&["policy", "fingerprint"], token));
    assert_eq!(code, Some(0));
    let policy = format!("version: 1\nonly: [{{hosts: [a.example.com], credentials: ['{}']}}]\n", print.trim());
    let policy = write(folder.path(), "print.yaml", &policy);
    let explain = |header: &str| said(&run(&["policy", "explain", "--policy", &policy, "-H", header, "https://a.example.com/"], "")).1;
    assert!(explain(&format!("authorization: Bearer {token}")).starts_with("allow"));
    assert!(explain("authorization: Bearer another").starts_with("deny: credential_foreign"));
    let known = write(folder.path(), "app.env", "OWN=q7Zr2mKv9xW4nB8sL1\n");
    let named = write(folder.path(), "named.yaml", "version: 1\nonly: [{hosts: [a.example.com], credentials: ['known-secret:OWN']}]\n");
    for (value, answer) in [("q7Zr2mKv9xW4nB8sL1", "allow"), ("another", "deny: credential_foreign")] {
        let arguments = ["policy", "explain", "--policy", &named, "--known", &known, "-H", &format!("authorization: Bearer {value}")];
        let (_, out, err) = said(&run(&[&arguments[..], &["https://a.example.com/"]].concat(), ""));
        assert!(out.starts_with(answer), "{out}{err}");
    }
    let case = |value: &str, reason: &str| {
        format!(
            "  - {{name: c, request: {{url: 'https://a.example.com/', headers: {{authorization: 'Bearer {value}'}}}}, expect: {{{reason}}}}}\n"
        )
    };
    // At a place that has no home for it, what is registered is found all the same.
    let cases = case("q7Zr2mKv9xW4nB8sL1", "reason: secret_found") + &case("x", "reason: credential_foreign");
    let cases = write(folder.path(), "named-cases.yaml", &format!("cases:\n{cases}"));
    let (code, out, err) = said(&run(&["policy", "test", "--policy", &named, "--known", &known, &cases], ""));
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) = said(&run(&["policy", "fingerprint"], "hunter2"));
    assert!(code == Some(2) && out.is_empty() && !err.contains("hunter2"), "{err}");
}

/// Runs every command of a document in a folder with the files that it shows; the document, and how many there are.
fn run_document(name: &str, folder: &Path) -> (String, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let document = std::fs::read_to_string(path).expect("a document");
    let mut ran = 0;
    for (language, before, text) in blocks(&document) {
        if let Some(name) = before.strip_prefix('`').and_then(|b| b.strip_suffix("`:")) {
            write(folder, name, &text);
        }
        if language != "console" {
            continue;
        }
        for step in text.split("$ portcullis ").skip(1) {
            let (command, expected) = step.split_once('\n').expect("a line");
            let shell = format!("\"$PORTCULLIS\" {command}");
            let output = Command::new("sh")
                .args(["-c", &shell])
                .current_dir(folder)
                .env("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))
                .output()
                .expect("it runs");
            let (_, out, err) = said(&output);
            assert_eq!(out, expected, "portcullis {command}\n{err}");
            ran += 1;
        }
    }
    (document, ran)
}

#[test]
fn the_document_of_the_policy_language_is_the_one_that_the_types_give() {
    let (code, text, _) = said(&run(&["policy", "docs"], ""));
    assert_eq!(code, Some(0));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let written = std::fs::read_to_string(path).expect("docs/configuration.md");
    let (_, rest) = written.split_once("do not edit, run it again. -->\n").expect("the beginning");
    let (part, _) = rest.split_once("<!-- End of what").expect("the end");
    assert!(
        part.trim() == text.trim(),
        "docs/configuration.md is old: put the output of `portcullis policy docs` between its two comments"
    );
}

#[test]
fn the_page_of_denials_is_the_one_that_the_reasons_give() {
    let (code, text, _) = said(&run(&["policy", "denials"], ""));
    assert_eq!(code, Some(0));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/denials.md");
    let written = std::fs::read_to_string(path).expect("docs/denials.md");
    assert!(written == text, "docs/denials.md is old: write it again with `portcullis policy denials`");
}

#[test]
fn policies_are_compared_and_tested_with_exit_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let old = write(folder.path(), "old.yaml", "version: 1\n");
    let new = write(folder.path(), "new.yaml", "version: 1\nrules: [{name: no-posts, methods: [POST], action: deny, mode: monitor}]\n");
    let lines = "{\"id\": 7, \"method\": \"POST\", \"url\": \"https://a.example/\"}\n{\"id\": \"x\", \"method\": \"GET\", \"url\": \"https://a.example/\"}\n";
    let requests = write(folder.path(), "requests.jsonl", lines);
    let (code, out, err) = said(&run(&["policy", "diff", &old, &new, "--requests", &requests], ""));
    assert_eq!(
        (code, out.as_str()),
        (Some(1), "7: allow clean -> allow clean, would deny rule_denied (rule no-posts)\n1 of 2 requests change\n"),
        "{err}"
    );
    assert_eq!(said(&run(&["policy", "diff", &old, &old, "--requests", "-"], lines)).0, Some(0));

    let case = |expect: &str| format!("cases: [{{name: a, request: {{url: 'https://webhook.site/'}}, expect: {expect}}}]\n");
    for (expect, code, words) in [
        ("{verdict: deny, reason: host_blocked}", 0, "1 cases, 0 failures"),
        ("{verdict: allow}", 1, "FAIL a: verdict: expected allow, got deny"),
        ("{reason: host_bloked}", 2, "expect.reason"),
        ("{}", 2, "expect: is empty"),
        ("{verdict: deny, raeson: clean}", 2, "raeson"),
    ] {
        let file = write(folder.path(), "cases.yaml", &case(expect));
        let (got, out, err) = said(&run(&["policy", "test", &file], ""));
        assert!(got == Some(code) && (out.contains(words) || err.contains(words)), "{expect}: {out}{err}");
    }
    let rule = "{name: a, detectors: {github-pat-clasic: allow}, monitor_until: 2026-01-01T00:00:00Z}";
    let bad = write(folder.path(), "bad.yaml", &format!("version: 1\nrules: [{rule}]\n"));
    let (code, out, _) = said(&run(&["policy", "check", &bad], ""));
    assert!(out.contains("rule a: monitor_until is over"), "{out}");
    assert!(code == Some(1) && out.contains("did you mean \"github-pat-classic\"?"), "{out}");
}

#[test]
fn replay_goes_by_the_time_of_the_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = write(
        folder.path(),
        "p.yaml",
        "version: 1\nrules:\n  - {name: few, budget: {window: 1m, requests: 1}}\n  - {name: later, paths: [/x], action: deny, monitor_until: 2026-01-02T00:00:00Z}\n",
    );
    let line = |time: &str, path: &str| {
        format!("{{\"id\": 1, \"method\": \"GET\", \"url\": \"https://a.example{path}\", \"time\": \"{time}\"}}\n")
    };
    let input = [
        line("2026-01-01T00:00:00Z", "/"),
        line("2026-01-01T00:00:30Z", "/"),
        line("2026-01-01T00:02:00Z", "/x"),
        line("2026-01-02T00:00:00Z", "/x"),
    ]
    .concat();
    let (_, out, err) = said(&run(&["replay", "--policy", &policy], &input));
    let answers: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let reasons: Vec<_> = answers.iter().map(|a| a["reason"].as_str().unwrap_or_default()).collect();
    assert_eq!(reasons, ["clean", "rate_limited", "clean", "rule_denied"], "{err}");
    assert_eq!((answers[1]["rule"].as_str(), answers[1]["retry_after"].as_u64()), (Some("few"), Some(34)));
    assert_eq!((answers[2]["would"]["reason"].as_str(), answers[3]["rule"].as_str()), (Some("rule_denied"), Some("later")));
}

#[test]
fn tokens_are_printed_once_listed_by_id_and_taken_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state").display().to_string();
    let sandbox = |args: &[&str]| said(&run(&[&["sandbox", "token"], args, &["--state-dir", &state]].concat(), ""));
    let (code, token, notes) = sandbox(&["add", "agent-7"]);
    assert!(code == Some(0) && token.starts_with("pcs_") && token.len() == 48 && !notes.contains(token.trim()), "{notes}");
    let (_, list, _) = sandbox(&["list"]);
    assert!(list.ends_with("  agent-7\n") && !list.contains(token.trim()), "{list}");
    let id = list.split_whitespace().next().expect("an id");
    for wrong in [["revoke", "nobody"], ["add", "a:b"], ["add", ""]] {
        let (code, out, error) = sandbox(&wrong);
        assert!(code == Some(2) && out.is_empty() && error.lines().count() == 1, "{wrong:?}: {error}");
    }
    assert_eq!(sandbox(&["revoke", id]).0, Some(0));
    assert_eq!(sandbox(&["list"]), (Some(0), String::new(), String::new()));
    // Elsewhere, as for a cluster's Secret.
    let file = folder.path().join("tokens.json").display().to_string();
    assert_eq!(said(&run(&["sandbox", "token", "add", "x", "--tokens", &file], "")).0, Some(0));
    assert!(std::fs::read_to_string(&file).expect("a file").contains("\"x\""));
}

#[test]
fn replay_takes_the_sandbox_as_given_and_asks_for_it_where_policy_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "version: 1\nidentity: {required: true}\ngroups: {ci: [ci-1]}\nrules: [{name: r, groups: [ci], action: deny}]\n";
    let policy = write(folder.path(), "p.yaml", text);
    let requests = r#"{"id": 1, "method": "GET", "url": "https://a.example/", "sandbox": "ci-1"}
{"id": 2, "method": "GET", "url": "https://a.example/", "sandbox": "dev"}
{"id": 3, "method": "GET", "url": "https://a.example/"}
"#;
    let (_, out, error) = said(&run(&["replay", "--policy", &policy], requests));
    let reasons: Vec<serde_json::Value> =
        out.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["reason"].clone()).collect();
    assert_eq!(reasons, ["rule_denied", "clean", "identity_required"], "{error}");
}

#[test]
fn a_ca_is_made_once_and_shown_without_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("ca");
    let dir = dir.to_str().expect("text");
    let (code, out, err) = said(&run(&["ca", "init", "--ca-dir", dir], ""));
    assert!(code == Some(0) && out.contains("bundle.pem"), "{err}");
    let shown = said(&run(&["ca", "show", "--ca-dir", dir], "")).1;
    assert!(shown.starts_with("-----BEGIN CERTIFICATE-----") && !shown.contains("PRIVATE"));
    assert_eq!(said(&run(&["ca", "init", "--ca-dir", dir], "")).0, Some(0));
    assert_eq!(said(&run(&["ca", "show", "--ca-dir", dir], "")).1, shown, "the CA stays");
}

/// A value that no detector knows.
fn value() -> String {
    format!("7{}", Alphanumeric.sample_string(&mut rand::rng(), 27))
}

#[test]
fn known_secrets_are_found_by_the_names_they_are_registered_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, in_env, mounted) = (value(), value(), value());
    let file = write(folder.path(), "signing-key", &format!("{plain}\n"));
    let env = write(folder.path(), "app.env", &format!("# app\nexport DB_PASSWORD='{in_env}'\nPORT=8080\nSTAGE=production\n"));
    // As Kubernetes mounts a Secret: files are links through `..data` into a folder that is swapped as a whole.
    let secret = folder.path().join("mounted");
    std::fs::create_dir_all(secret.join("..2026_11_23")).expect("made");
    write(&secret.join("..2026_11_23"), "api-token", &mounted);
    std::os::unix::fs::symlink("..2026_11_23", secret.join("..data")).expect("linked");
    std::os::unix::fs::symlink("..data/api-token", secret.join("api-token")).expect("linked");
    let secret = secret.to_str().expect("text").to_owned();
    let known = ["--known", &file, "--known", &env, "--known", &secret];
    let encoded = data_encoding::BASE64.encode(format!("x={in_env}").as_bytes());
    let input = format!("a {plain} b\n{encoded}\n{}\n", mounted.chars().rev().collect::<String>());
    let (code, out, err) = said(&run(&[&["scan", "--format", "json"][..], &known, &["-"]].concat(), &input));
    assert_eq!(code, Some(1), "{err}");
    let found: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let known_ones: Vec<_> = found
        .iter()
        .filter(|f| f["detector"] == "known-secret")
        .map(|f| (f["name"].as_str().unwrap_or_default(), f["line"].as_u64()))
        .collect();
    let expected = [("Known secret signing-key", Some(1)), ("Known secret DB_PASSWORD", Some(2)), ("Known secret api-token", Some(3))];
    assert_eq!(known_ones, expected, "{out}");
    assert!(err.contains("PORT is not looked for") && err.contains("STAGE is not looked for"), "{err}");
    assert!(err.contains("3 are looked for, 2 were refused"), "{err}");
    for shown in [&out, &err] {
        assert!(![&plain, &in_env, &mounted].iter().any(|v| shown.contains(v.as_str())));
    }

    let body = data_encoding::BASE64.encode(format!(r#"{{"note": "{plain}"}}"#).as_bytes());
    let line = |header: &str| {
        format!(
            r#"{{"id": 1, "method": "POST", "url": "https://api.example.com/", "headers": [{{"name": "Authorization", "value": "Bearer {header}"}}], "body_base64": "{body}"}}"#
        )
    };
    let out = said(&run(&[&["replay"][..], &known, &["-"]].concat(), &line("none"))).1;
    let answer: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&answer["verdict"], &answer["findings"][0]["known"]), (&"deny".into(), &"signing-key".into()));
}

#[test]
fn a_known_secret_has_the_home_that_policy_gives_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let (own, other) = (value(), value());
    let env = write(folder.path(), ".env", &format!("OWN_KEY={own}\nOTHER_KEY={other}\n"));
    let home = "home:\n  extra:\n    - {detectors: [\"known-secret:OWN_*\"], hosts: [api.example.com]}\n";
    let policy = write(folder.path(), "policy.yaml", &format!("version: 1\nextends: default\n{home}"));
    let verdict = |key: &str, host: &str| {
        let line = format!(
            r#"{{"id": 1, "method": "GET", "url": "https://{host}/", "headers": [{{"name": "Authorization", "value": "Bearer {key}"}}]}}"#
        );
        let (_, out, err) = said(&run(&["replay", "--known", &env, "--policy", &policy, "-"], &line));
        let answer: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{err}"));
        answer["verdict"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(verdict(&own, "api.example.com"), "allow");
    assert_eq!(verdict(&own, "elsewhere.example.com"), "deny");
    assert_eq!(verdict(&other, "api.example.com"), "deny");
}

#[test]
fn known_files_that_cannot_be_read_stop_the_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = write(folder.path(), "bad.env", "A=1\nthis is no pair\n");
    for (path, words) in [("/no/such/secret", "/no/such/secret"), (bad.as_str(), "line 2")] {
        for command in [&["scan", "-"][..], &["replay", "-"], &["scanner", "--listen", "127.0.0.1:0"], &["up", "--listen", "127.0.0.1:0"]] {
            let (code, _, err) = said(&run(&[command, &["--known", path]].concat(), ""));
            assert!(code == Some(2) && err.contains(words) && !err.contains("no pair"), "{command:?}: {err}");
        }
    }
}

#[test]
fn the_document_of_detectors_is_the_catalogue() {
    let (code, text, _) = said(&run(&["rules", "docs"], ""));
    assert_eq!(code, Some(0));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/detectors.md");
    let written = std::fs::read_to_string(path).expect("docs/detectors.md");
    assert!(text == written, "docs/detectors.md is old: cargo run -p portcullis -- rules docs > docs/detectors.md");
}

#[test]
fn imported_rules_are_found_and_what_is_lost_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let theirs = "[[rules]]\nid = 'acme-x'\nregex = 'acmex-([a-z0-9]{16})'\nkeywords = ['acmex-']\n[[rules]]\nid = 'files'\npath = 'key'\n";
    let theirs = write(folder.path(), "theirs.toml", theirs);
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).expect("a folder");
    let (ours, laid) = (rules.join("ours.yaml").display().to_string(), rules.display().to_string());
    let (code, _, err) = said(&run(&["rules", "import", &theirs, "--output", &ours], ""));
    assert!(code == Some(1) && err.contains("files: left out: it has no regex"), "{err}");
    let key = ["acmex", "-q7zr2mkvabc1x9w4"].concat();
    let (code, out, err) = said(&run(&["scan", "--rules", &laid, "-"], &key));
    assert!(code == Some(1) && out.contains("acme-x"), "{out} {err}");
    write(&rules, "zz.yaml", "disable: [acme-x]");
    let (_, out, err) = said(&run(&["scan", "--rules", &laid, "-"], &key));
    assert!(!out.contains("acme-x"), "{out} {err}");
    let bad = write(folder.path(), "bad.toml", "rules = 1");
    assert_eq!(said(&run(&["rules", "import", &bad], "")).0, Some(2));
}

#[test]
fn the_examples_of_the_document_of_rules_load_and_hold() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md")).expect("docs/rules.md");
    let folder = tempfile::tempdir().expect("a folder");
    let examples: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2);
    for (at, example) in examples.iter().enumerate() {
        let path = write(folder.path(), &format!("{at}.yaml"), example);
        let (code, out, err) = said(&run(&["rules", "check", &path], ""));
        assert_eq!(code, Some(0), "{out} {err}");
    }
}
