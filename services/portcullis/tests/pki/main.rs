//! `portcullis pki` as a person, a CronJob or a script runs it.

mod api;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use api::Api;
use data_encoding::BASE64;
use serde_json::Value;

fn pki(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.arg("pki").args(args).env_remove("KUBERNETES_SERVICE_HOST").output().expect("the binary runs")
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// The lines of a run that succeeded, as outcome and item.
fn lines(output: &Output) -> Vec<(String, String)> {
    let (code, out, err) = said(output);
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains("PRIVATE") && !err.contains("PRIVATE"));
    let words = |line: &str| {
        let (outcome, rest) = line.split_once(' ').expect("two words");
        (outcome.to_owned(), rest.trim_start().split("  ").next().unwrap_or_default().to_owned())
    };
    out.lines().map(words).collect()
}

fn outcomes(output: &Output) -> BTreeMap<String, String> {
    lines(output).into_iter().map(|(outcome, what)| (what, outcome)).collect()
}

fn read(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// A working folder and the bundle of roots for it.
fn folder() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, "# Kořeny\n-----BEGIN CERTIFICATE-----\nUk9PVA==\n-----END CERTIFICATE-----\n").expect("written");
    let roots = text(&roots).to_owned();
    (folder, roots)
}

const FOLDERS: [&str; 8] = ["api-client", "ca", "ca-bundle", "certificates", "fingerprint-key", "gateway", "internal-ca", "scanner"];

#[test]
fn issue_makes_folders_once_and_renews_only_what_is_due() {
    let (folder, roots) = folder();
    let dir = folder.path().join("pki");
    let issue = || outcomes(&pki(&["issue", "--dir", text(&dir), "--system-roots", &roots]));
    let first = issue();
    assert_eq!(first.keys().map(String::as_str).collect::<Vec<_>>(), FOLDERS);
    assert!(first.values().all(|outcome| outcome == "made"), "{first:?}");
    for part in ["gateway", "scanner", "certificates", "api-client"] {
        assert!(read(&dir, &format!("{part}/tls.key")).contains("PRIVATE KEY"));
        assert_eq!(read(&dir, &format!("{part}/ca.crt")), read(&dir, "internal-ca/tls.crt"));
        let mode = |name: &str| std::fs::metadata(dir.join(part).join(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(""), mode("tls.key"), mode("tls.crt")), (0o700, 0o600, 0o644));
    }
    let bundle = read(&dir, "ca-bundle/bundle.pem");
    assert!(bundle.contains("Uk9PVA==") && bundle.ends_with(&read(&dir, "ca/ca.pem")) && bundle.is_ascii());
    assert_eq!(std::fs::read(dir.join("fingerprint-key/fingerprint.key")).expect("a key").len(), 32);

    let before = read(&dir, "scanner/tls.crt");
    assert!(issue().values().all(|outcome| outcome == "kept"));
    assert_eq!(read(&dir, "scanner/tls.crt"), before);

    std::fs::remove_dir_all(dir.join("gateway")).expect("removed");
    std::fs::write(dir.join("scanner/tls.crt"), "garbage").expect("written");
    let third = issue();
    let changed: Vec<_> = third.iter().filter(|(_, outcome)| *outcome != "kept").map(|(what, how)| (what.as_str(), how.as_str())).collect();
    assert_eq!(changed, [("gateway", "made"), ("scanner", "renewed")]);
    assert!(read(&dir, "scanner/tls.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    let data = std::fs::read_dir(dir.join("scanner")).expect("a folder").count();
    assert_eq!(data, 3 + 2, "three links, ..data and what it points to: the old set is gone");
}

#[test]
fn what_is_broken_or_in_the_way_is_one_line_and_code_2() {
    let (folder, roots) = folder();
    let dir = folder.path().join("pki");
    let issue = |more: &[&str]| said(&pki(&[&["issue", "--dir", text(&dir), "--system-roots", &roots], more].concat()));
    assert_eq!(issue(&[]).0, Some(0));
    std::fs::write(dir.join("internal-ca/tls.key"), "sesame").expect("written");
    let none = folder.path().join("none.pem");
    std::fs::write(&none, "nothing").expect("written");
    for (args, code, words) in [
        (vec!["issue", "--dir", text(&dir), "--system-roots", &roots], 2, "internal-ca: tls.key: there is no private key"),
        (vec!["issue", "--dir", text(&none), "--system-roots", &roots], 2, "none.pem"),
        (vec!["manifests", "--system-roots", text(&none)], 2, "holds no certificates"),
        (vec!["manifests", "--namespace", "A/b"], 64, "namespace"),
        (vec!["manifests", "--only", "all"], 64, "fingerprint-key"),
        (vec!["issue"], 64, "--dir"),
        (vec!["apply"], 2, "does not run in a cluster"),
        (vec!["apply", "--server", "https://x"], 2, "serviceaccount/token"),
        (vec!["apply", "--server", "http://x", "--token-file", &roots, "--ca-file", &roots], 2, "is not the URL of a Kubernetes API"),
    ] {
        let (got, out, err) = said(&pki(&args));
        assert_eq!((got, out.as_str()), (Some(code), ""), "{args:?}: {err}");
        assert!(err.contains(words) && !err.contains("sesame"), "{args:?}: {err}");
        assert!(code == 64 || err.lines().count() == 1, "{args:?}: {err}");
    }
    // What is not asked for is not looked at.
    assert_eq!(issue(&["--only", "fingerprint-key"]).0, Some(0));
}

#[test]
fn a_ca_that_somebody_else_made_is_used_and_left_alone() {
    let (folder, roots) = folder();
    let dir = folder.path().join("pki");
    let ca = dir.join("ca");
    let made = Command::new(env!("CARGO_BIN_EXE_portcullis")).args(["ca", "init", "--ca-dir", text(&ca)]).output().expect("it runs");
    assert_eq!(said(&made).0, Some(0));
    let (before, key) = (read(&ca, "ca.pem"), read(&ca, "ca.key"));
    let (_, out, _) = said(&pki(&["issue", "--dir", text(&dir), "--system-roots", &roots]));
    assert!(out.lines().any(|l| l.starts_with("kept     ca  ") && l.ends_with("(made by somebody else)")), "{out}");
    assert_eq!((read(&ca, "ca.pem"), read(&ca, "ca.key")), (before.clone(), key));
    assert_eq!(read(&dir, "ca-bundle/ca.pem"), before);
}

/// Documents of manifests by kind, namespace and name.
fn documents(yaml: &str) -> BTreeMap<String, Value> {
    let parse = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap_or_else(|e| panic!("{e}"));
    let name = |object: &Value| {
        let [kind, namespace, name] = [&object["kind"], &object["metadata"]["namespace"], &object["metadata"]["name"]];
        [kind, namespace, name].map(|v| v.as_str().expect("text")).join("/")
    };
    format!("\n{yaml}").split("\n---\n").filter(|d| !d.is_empty()).map(parse).map(|object| (name(&object), object)).collect()
}

#[test]
fn manifests_are_the_objects_that_pods_mount() {
    let (folder, roots) = folder();
    let dir = folder.path().join("pki");
    let args = ["manifests", "--dir", text(&dir), "--system-roots", &roots, "--sandbox-namespace", "one", "--sandbox-namespace", "two"];
    let (code, yaml, err) = said(&pki(&args));
    assert!(code == Some(0) && err.lines().count() == FOLDERS.len(), "{err}");
    let all = documents(&yaml);
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ConfigMap/one/portcullis-ca-bundle",
            "ConfigMap/two/portcullis-ca-bundle",
            "Secret/portcullis/portcullis-api-client-tls",
            "Secret/portcullis/portcullis-ca",
            "Secret/portcullis/portcullis-certificates-tls",
            "Secret/portcullis/portcullis-fingerprint-key",
            "Secret/portcullis/portcullis-gateway-tls",
            "Secret/portcullis/portcullis-internal-ca",
            "Secret/portcullis/portcullis-scanner-tls",
        ]
    );
    for (name, folder, file) in [
        ("portcullis-scanner-tls", "scanner", "tls.key"),
        ("portcullis-ca", "ca", "ca.key"),
        ("portcullis-fingerprint-key", "fingerprint-key", "fingerprint.key"),
    ] {
        let object = &all[&format!("Secret/portcullis/{name}")];
        let content = BASE64.decode(object["data"][file].as_str().expect("text").as_bytes()).expect("base64");
        assert_eq!(content, std::fs::read(dir.join(folder).join(file)).expect("a file"), "{name}");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "portcullis-pki");
    }
    let bundle = &all["ConfigMap/two/portcullis-ca-bundle"]["data"];
    assert_eq!(bundle["bundle.pem"], read(&dir, "ca-bundle/bundle.pem"));
    assert_eq!(all["Secret/portcullis/portcullis-scanner-tls"]["type"], "kubernetes.io/tls");
    assert_eq!(said(&pki(&args)).1, yaml, "the same until something is due");
    let (_, other, err) = said(&pki(&["manifests", "--only", "fingerprint-key"]));
    assert!(documents(&other).keys().eq(["Secret/portcullis/portcullis-fingerprint-key"]) && err.is_empty());
}

/// `pki apply` against a stand-in, with its token and CA.
struct Cluster {
    api: Api,
    folder: tempfile::TempDir,
    roots: String,
}

impl Cluster {
    fn start() -> Cluster {
        let (folder, roots) = folder();
        let api = Api::start(&["portcullis", "portcullis-sandboxes"]);
        std::fs::write(folder.path().join("ca.crt"), api.ca_pem()).expect("written");
        std::fs::write(folder.path().join("token"), format!("{}\n", api.token())).expect("written");
        Cluster { api, folder, roots }
    }

    fn command(&self) -> Command {
        let [ca, token] = ["ca.crt", "token"].map(|name| self.folder.path().join(name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["pki", "apply", "--server", &self.api.url(), "--namespace", "portcullis", "--system-roots", &self.roots]);
        command.arg("--ca-file").arg(ca).arg("--token-file").arg(token);
        command
    }

    fn apply(&self) -> Output {
        let output = self.command().output().expect("the binary runs");
        let (_, out, err) = said(&output);
        assert!(!format!("{out}{err}").contains(self.api.token()), "{out}{err}");
        output
    }
}

const GATEWAY: &str = "/api/v1/namespaces/portcullis/secrets/portcullis-gateway-tls";
const INTERNAL: &str = "/api/v1/namespaces/portcullis/secrets/portcullis-internal-ca";
const BUNDLE: &str = "/api/v1/namespaces/portcullis-sandboxes/configmaps/portcullis-ca-bundle";

fn file(object: &Value, name: &str) -> String {
    let content = BASE64.decode(object["data"][name].as_str().expect("text").as_bytes()).expect("base64");
    String::from_utf8(content).expect("text")
}

#[test]
fn apply_makes_everything_once_and_keeps_it() {
    let cluster = Cluster::start();
    let first = outcomes(&cluster.apply());
    assert_eq!(first.len(), FOLDERS.len());
    assert!(first.values().all(|outcome| outcome == "made"), "{first:?}");
    assert!(first.contains_key("ConfigMap portcullis-sandboxes/portcullis-ca-bundle"), "{first:?}");
    let before = cluster.api.objects();
    assert_eq!(file(&before[GATEWAY], "ca.crt"), file(&before[INTERNAL], "tls.crt"));
    assert!(before[BUNDLE]["data"]["bundle.pem"].as_str().expect("text").contains("Uk9PVA=="));
    let writes = cluster.api.writes();
    assert!(outcomes(&cluster.apply()).values().all(|outcome| outcome == "kept"));
    assert_eq!((cluster.api.objects(), cluster.api.writes()), (before, writes), "nothing was written");
}

#[test]
fn apply_renews_what_is_due_and_leaves_what_others_made() {
    let cluster = Cluster::start();
    cluster.apply();
    cluster.api.change(GATEWAY, |secret| {
        secret["data"]["tls.crt"] = "Z2FyYmFnZQ==".into();
        secret["metadata"]["annotations"]["team"] = "blue".into();
    });
    let foreign = "/api/v1/namespaces/portcullis/secrets/portcullis-scanner-tls";
    cluster.api.change(foreign, |secret| {
        secret["data"]["tls.crt"] = "Z2FyYmFnZQ==".into();
        secret["metadata"]["labels"] = serde_json::json!({"app.kubernetes.io/managed-by": "Helm"});
    });
    let outcomes = outcomes(&cluster.apply());
    let changed: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome != "kept").collect();
    assert_eq!(changed, [(&"Secret portcullis/portcullis-gateway-tls".to_owned(), &"renewed".to_owned())]);
    let objects = cluster.api.objects();
    assert!(file(&objects[GATEWAY], "tls.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(objects[GATEWAY]["metadata"]["annotations"]["team"], "blue", "what others noted stays");
    assert_eq!(file(&objects[foreign], "tls.crt"), "garbage");
}

#[test]
fn apply_begins_anew_when_somebody_else_was_faster() {
    // The objects that another Job would have made.
    let other = Cluster::start();
    other.apply();
    let theirs = other.api.objects();

    let cluster = Cluster::start();
    let internal = theirs[INTERNAL].clone();
    cluster.api.before_write("POST", INTERNAL, move |objects| drop(objects.insert(INTERNAL.to_owned(), internal)));
    let outcomes = outcomes(&cluster.apply());
    assert_eq!(outcomes["Secret portcullis/portcullis-internal-ca"], "kept");
    let objects = cluster.api.objects();
    assert_eq!(objects[INTERNAL], theirs[INTERNAL], "theirs was not written over");
    assert_eq!(file(&objects[GATEWAY], "ca.crt"), file(&theirs[INTERNAL], "tls.crt"), "and it signed the rest");

    // The same with an object that is there: between reading and writing somebody else renewed it.
    cluster.api.change(GATEWAY, |secret| secret["data"]["tls.crt"] = "Z2FyYmFnZQ==".into());
    let mut renewed = theirs[GATEWAY].clone();
    renewed["metadata"]["resourceVersion"] = "99999".into();
    let expected = renewed["data"].clone();
    cluster.api.before_write("PUT", GATEWAY, move |objects| drop(objects.insert(GATEWAY.to_owned(), renewed)));
    assert_eq!(said(&cluster.apply()).0, Some(0));
    assert_eq!(cluster.api.objects()[GATEWAY]["data"], expected, "theirs is good, and stays");
}

#[test]
fn two_jobs_at_once_end_with_one_set_that_fits() {
    let cluster = Cluster::start();
    let jobs: Vec<_> = (0..3).map(|_| cluster.command().stdout(std::process::Stdio::null()).spawn().expect("it runs")).collect();
    for mut job in jobs {
        assert!(job.wait().expect("it ends").success());
    }
    let objects = cluster.api.objects();
    assert_eq!(objects.len(), FOLDERS.len());
    for (path, object) in objects.iter().filter(|(path, _)| path.ends_with("-tls")) {
        assert_eq!(file(object, "ca.crt"), file(&objects[INTERNAL], "tls.crt"), "{path}");
    }
    assert!(outcomes(&cluster.apply()).values().all(|outcome| outcome == "kept"));
}

#[test]
fn apply_says_in_one_line_what_the_cluster_refuses() {
    let cluster = Cluster::start();
    let refused = |cluster: &Cluster, words: &str| {
        let (code, _, err) = said(&cluster.apply());
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(words) && err.lines().count() == 1, "{err}");
    };
    cluster.api.answer(GATEWAY, 403, "Forbidden", "secrets \"portcullis-gateway-tls\" is forbidden");
    refused(&cluster, "is forbidden");
    cluster.api.answer(GATEWAY, 422, "Invalid", "invalid value: sesame");
    let (_, _, err) = said(&cluster.apply());
    assert!(err.contains("422") && err.contains("Invalid") && !err.contains("sesame"), "{err}");
    cluster.api.answer(GATEWAY, 500, "InternalError", "");
    refused(&cluster, "gave up after");

    let nowhere = Cluster { api: Api::start(&["portcullis"]), ..Cluster::start() };
    std::fs::write(nowhere.folder.path().join("ca.crt"), nowhere.api.ca_pem()).expect("written");
    std::fs::write(nowhere.folder.path().join("token"), nowhere.api.token()).expect("written");
    refused(&nowhere, "there is no namespace portcullis-sandboxes");
    std::fs::write(nowhere.folder.path().join("token"), "another").expect("written");
    refused(&nowhere, "401");
    std::fs::write(nowhere.folder.path().join("ca.crt"), cluster.api.ca_pem()).expect("written");
    refused(&nowhere, "certificate");
}
