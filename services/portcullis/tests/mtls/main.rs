//! The services as pods run them: with the certificates of `portcullis pki`, which are renewed under them.

mod peer;
mod service;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use peer::{Peer, served};
use service::Service;
use tonic_health::pb::health_check_response::ServingStatus;

/// The folders of `pki issue`.
struct Pki {
    folder: tempfile::TempDir,
}

impl Pki {
    fn new() -> Pki {
        let pki = Pki { folder: tempfile::tempdir().expect("a folder") };
        pki.issue();
        pki
    }

    fn dir(&self, part: &str) -> PathBuf {
        self.folder.path().join("pki").join(part)
    }

    fn issue(&self) {
        let roots = self.folder.path().join("roots.pem");
        std::fs::write(&roots, "-----BEGIN CERTIFICATE-----\nUk9PVA==\n-----END CERTIFICATE-----\n").expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.args(["pki", "issue", "--system-roots"]).arg(roots).arg("--dir").arg(self.dir(""));
        assert!(command.output().expect("it runs").status.success());
    }

    fn peer(&self, part: &str) -> Peer {
        Peer::of(&self.dir(part))
    }
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn arguments<'a>(role: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[role, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"], more].concat()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scanner_lets_in_whom_it_knows_by_listener_and_takes_renewed_certificates() {
    let pki = Pki::new();
    let tls = pki.dir("scanner");
    let scanner = Service::start(&arguments("scanner", &["--api-listen", "127.0.0.1:0", "--tls-dir", text(&tls)]));
    let (ext_proc, api) = (scanner.address("listen"), scanner.address("api"));
    for (part, at_ext_proc, at_api) in [("gateway", true, false), ("api-client", false, true), ("certificates", false, false)] {
        let peer = pki.peer(part);
        assert_eq!(peer.health(ext_proc, "portcullis-scanner").await.is_some(), at_ext_proc, "{part}");
        assert_eq!(peer.health(api, "portcullis-scanner").await.is_some(), at_api, "{part}");
    }
    let stranger = Pki::new();
    assert!(stranger.peer("gateway").health(ext_proc, "portcullis-scanner").await.is_none());
    assert!(pki.peer("gateway").health(ext_proc, "portcullis-certificates").await.is_none(), "the scanner is nobody else");

    let gateway = pki.peer("gateway");
    let open = gateway.channel(ext_proc, "portcullis-scanner").await.expect("a connection");
    let before = served(&gateway, ext_proc).await;
    // A broken set, swapped in as Kubernetes does it; then `pki issue` makes a good one of it.
    let names = ["tls.key", "ca.crt"].map(|name| (name, std::fs::read_to_string(tls.join(name)).expect("text")));
    swap(&tls, "..broken", &[("tls.crt", "garbage".to_owned())].into_iter().chain(names).collect::<Vec<_>>());
    let counted =
        async |result: &str| scanner.page("/metrics").await.1.contains(&format!("portcullis_tls_reloads_total{{result=\"{result}\"}} 1"));
    eventually("the broken certificate is counted", async || counted("error").await).await;
    assert_eq!(served(&gateway, ext_proc).await, before, "the one before stays");
    assert_eq!(scanner.page("/readyz").await.0, 200);
    pki.issue();
    eventually("the renewed certificate", async || served(&gateway, ext_proc).await != before).await;
    assert!(counted("ok").await && peer::status(&open).await.is_some(), "what is open goes on");
    let page = scanner.page("/metrics").await.1;
    for name in
        ["portcullis_tls_certificate_expiry_timestamp_seconds 1", "portcullis_build_info{version=\"", "portcullis_policy_info{engine=\""]
    {
        assert!(page.contains(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_is_told_to_end_says_so_and_still_serves_for_a_while() {
    let pki = Pki::new();
    let tls = pki.dir("scanner");
    let mut scanner = Service::start(&arguments("scanner", &["--tls-dir", text(&tls), "--lame-duck", "3", "--drain", "1"]));
    let (address, gateway) = (scanner.address("listen"), pki.peer("gateway"));
    let open = gateway.channel(address, "portcullis-scanner").await.expect("a connection");
    assert_eq!(peer::status(&open).await, Some(ServingStatus::Serving));
    assert_eq!(scanner.page("/readyz").await.0, 200);

    let told = Instant::now();
    scanner.terminate();
    eventually("health says so", async || peer::status(&open).await == Some(ServingStatus::NotServing)).await;
    assert_eq!(scanner.page("/readyz").await.0, 503);
    assert_eq!(gateway.health(address, "portcullis-scanner").await, Some(ServingStatus::NotServing), "a new connection is served");
    assert!(told.elapsed() < Duration::from_secs(3), "the test was too slow to tell");
    drop(open);
    assert_eq!(scanner.wait().await, Some(0));
    assert!(told.elapsed() >= Duration::from_secs(3));
}

/// Puts files into a folder as Kubernetes mounts them: links through `..data`, which is swapped; the group may read, nobody may write.
fn swap(dir: &Path, version: &str, files: &[(&str, String)]) {
    let data = dir.join(version);
    std::fs::create_dir_all(&data).expect("made");
    for (name, content) in files {
        std::fs::write(data.join(name), content).expect("written");
        std::fs::set_permissions(data.join(name), std::fs::Permissions::from_mode(0o440)).expect("set");
        if std::fs::symlink_metadata(dir.join(name)).is_err() {
            symlink(Path::new("..data").join(name), dir.join(name)).expect("linked");
        }
    }
    symlink(version, dir.join("..data_tmp")).expect("linked");
    std::fs::rename(dir.join("..data_tmp"), dir.join("..data")).expect("swapped");
}

fn mount(dir: &Path, version: &str, from: &Path) {
    let files = ["ca.pem", "ca.key"].map(|name| (name, std::fs::read_to_string(from.join(name)).expect("text")));
    swap(dir, version, &files);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificates_service_takes_a_mounted_ca_and_the_next_one_and_writes_nothing() {
    let (pki, other, folder) = (Pki::new(), Pki::new(), tempfile::tempdir().expect("a folder"));
    let (ca, tls) = (folder.path().join("ca"), pki.dir("certificates"));
    mount(&ca, "..1", &pki.dir("ca"));
    let entries = || std::fs::read_dir(&ca).expect("a folder").count();
    let before = entries();
    let service = Service::start(&arguments("certificates", &["--ca-dir", text(&ca), "--ca-read-only", "--tls-dir", text(&tls)]));
    let address = service.address("listen");
    assert!(pki.peer("gateway").health(address, "portcullis-certificates").await.is_some());
    for part in ["scanner", "api-client"] {
        assert!(pki.peer(part).health(address, "portcullis-certificates").await.is_none(), "{part} has no business with keys");
    }
    assert_eq!(entries(), before, "nothing is written");
    let page = service.page("/metrics").await.1;
    for name in ["portcullis_certificates_ca_expiry_timestamp_seconds 1", "portcullis_build_info{version=\""] {
        assert!(page.contains(name), "{name}: {page}");
    }
    mount(&ca, "..2", &other.dir("ca"));
    eventually("the next CA", async || {
        service.page("/metrics").await.1.contains("portcullis_certificates_ca_reloads_total{result=\"ok\"} 1")
    })
    .await;
    assert_eq!(service.page("/readyz").await.0, 200);
}

#[test]
fn what_is_missing_or_expired_at_start_is_one_line_and_code_2() {
    let pki = Pki::new();
    let (scanner, ca) = (pki.dir("scanner"), pki.dir("ca"));
    let empty = pki.folder.path().join("empty");
    std::fs::create_dir(&empty).expect("made");
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_portcullis")).args(args).output().expect("it runs");
    let socket = format!("unix:{}", text(&pki.folder.path().join("s")));
    for (args, code, words) in [
        (arguments("scanner", &["--tls-dir", text(&empty)]), 2, "empty/tls.crt"),
        (arguments("certificates", &["--ca-dir", text(&ca), "--tls-dir", text(&empty)]), 2, "empty/tls.crt"),
        (arguments("certificates", &["--ca-dir", text(&empty), "--ca-read-only"]), 2, "empty/ca.pem"),
        (vec!["scanner", "--listen", &socket, "--tls-dir", text(&scanner)], 2, "--tls-dir is for TCP"),
        (vec!["scanner", "--tls-peer", "a"], 64, "--tls-dir"),
        (vec!["scanner", "--api-tls-peer", "a"], 64, "--tls-dir"),
        (vec!["certificates", "--ca-read-only"], 64, "--ca-dir"),
    ] {
        let output = run(&args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(words), "{args:?}: {err}");
        assert!(code == 64 || err.lines().count() == 1, "{args:?}: {err}");
    }
    assert_eq!(std::fs::read_dir(&empty).expect("a folder").count(), 0);
}
