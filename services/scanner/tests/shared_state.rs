//! Several scanners that count together, through a real Redis server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use engine::{Engine, FingerprintKey, Known, KnownKey, Limits as EngineLimits, RuleSet};
use inspect::{Head, Header, Identity, Inspector, Opened, Outcome, Snapshot};
use policy::{Policy, Reason};
use portcullis_scanner::{Config, Limits, Load, Scanner, SharedState};
use rand::distr::{Alphanumeric, SampleString};
use telemetry::{Address, Shutdown};
use tokio::sync::watch;

const ANY: Address = Address::Tcp(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0));
/// Long enough for any exchange, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Starts a server on a socket, and on a TLS port if there is a certificate.
fn server(folder: &Path, tls: Option<(u16, &Path, &Path)>) -> Server {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--requirepass", "pass"]).arg("--dir").arg(folder);
    command.arg("--unixsocket").arg(folder.join("redis.sock"));
    if let Some((port, certificate, key)) = tls {
        command.args(["--tls-port", &port.to_string(), "--bind", "127.0.0.1", "--tls-auth-clients", "no"]);
        command.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key).arg("--tls-ca-cert-file").arg(certificate);
    }
    Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server, which tests/setup installs"))
}

fn url(folder: &Path) -> PathBuf {
    let file = folder.join("url");
    std::fs::write(&file, format!("redis+unix://{}?pass=pass\n", folder.join("redis.sock").display())).expect("written");
    file
}

struct Running {
    inspector: Inspector,
    metrics: prometheus::Registry,
    stop: watch::Sender<bool>,
}

async fn start(state: &SharedState, policy: &str, secret: &str) -> Running {
    let (policy, secret) = (format!("version: 1\n{policy}"), secret.to_owned());
    let load = Load::new(move || {
        let key = FingerprintKey([7; 32]);
        let (known, _) = Known::build([("TOKEN".to_owned(), &secret)], &KnownKey(rand::random()), &key);
        let engine = Engine::compile(&RuleSet::default(), EngineLimits::default(), key)?.with_known(known);
        Ok(Snapshot { engine, policy: Policy::from_yaml("policy.yaml", &policy)?.into() })
    });
    let metrics = prometheus::Registry::new();
    let config = Config {
        listen: ANY,
        api_listen: None,
        tls: None,
        metrics_listen: None,
        audit: None,
        load,
        watch: Vec::new(),
        sandbox: "box".into(),
        tokens: None,
        shared_state: Some(state.clone()),
        limits: Limits::default(),
        registry: metrics.clone(),
    };
    let bound = Scanner::build(config).await.expect("the service is built");
    let inspector = bound.inspector().clone();
    let (stop, shutdown) = Shutdown::new();
    tokio::spawn(async move { bound.run(shutdown).await.expect("the service ends well") });
    Running { inspector, metrics, stop }
}

impl Running {
    fn send(&self, at: u64, host: &str, note: &str) -> Outcome {
        let head = Head {
            request_id: "id".into(),
            sandbox: "box".into(),
            identity: Identity::Given,
            at,
            method: "GET".into(),
            tls: true,
            authority: host.into(),
            path: Bytes::from_static(b"/"),
            headers: vec![Header { name: "x-note".into(), value: Bytes::from(note.to_owned()) }],
            end: true,
        };
        match self.inspector.open(&head) {
            Opened::Decided(outcome, _) => outcome,
            Opened::Body(_) => panic!("there is no body"),
        }
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.metrics.gather();
        let family = families.iter().find(|f| f.name() == name).unwrap_or_else(|| panic!("no {name}"));
        let one = &family.get_metric()[0];
        one.get_gauge().get_value() + one.get_counter().get_value()
    }

    async fn until(&self, name: &str, holds: impl Fn(f64) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds(self.metric(name)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{name} stays {}", self.metric(name)));
    }

    /// Waits for an exchange that begins from now on.
    async fn exchanged(&self) {
        let before = self.metric("portcullis_shared_state_exchanges_total");
        self.until("portcullis_shared_state_exchanges_total", |now| now >= before + 2.0).await;
    }
}

const BUDGET: &str = "rules: [{name: few, budget: {window: 1h, requests: 4}}]\n";

#[tokio::test(flavor = "multi_thread")]
async fn scanners_count_together_and_by_themselves_while_the_server_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = SharedState::read(&url(folder.path()), None).expect("a URL");
    let first = server(folder.path(), None);
    let (a, b) = (start(&state, BUDGET, "").await, start(&state, BUDGET, "").await);
    let strict = start(&state, &format!("{BUDGET}history: {{on_loss: deny}}\n"), "").await;
    for running in [&a, &b, &strict] {
        running.until("portcullis_shared_state_up", |up| up == 1.0).await;
    }
    for _ in 0..3 {
        assert_eq!(a.send(1000, "x.example", "").verdict.reason, Reason::Clean);
    }
    a.exchanged().await;
    assert_eq!(b.send(1001, "x.example", "").verdict.reason, Reason::Clean, "the fourth");
    b.exchanged().await;
    let refused = b.send(1002, "x.example", "");
    assert_eq!((refused.verdict.reason, refused.rule.as_deref()), (Reason::RateLimited, Some("few")));

    drop(first);
    a.until("portcullis_shared_state_up", |up| up == 0.0).await;
    strict.until("portcullis_shared_state_up", |up| up == 0.0).await;
    assert!(a.metric("portcullis_shared_state_errors_total") >= 1.0);
    let alone = strict.send(1003, "x.example", "");
    assert_eq!((alone.verdict.reason, alone.retry_after), (Reason::StateUnavailable, Some(5)));
    assert_eq!(b.send(1003, "x.example", "").verdict.reason, Reason::RateLimited, "what was known stays known");

    let _second = server(folder.path(), None);
    strict.until("portcullis_shared_state_up", |up| up == 1.0).await;
    assert_eq!(strict.send(1004, "x.example", "").verdict.reason, Reason::Clean);
    for running in [a, b, strict] {
        running.stop.send_replace(true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_secret_that_go_through_different_scanners_come_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = SharedState::read(&url(folder.path()), None).expect("a URL");
    let _server = server(folder.path(), None);
    let secret = Alphanumeric.sample_string(&mut rand::rng(), 48);
    let (a, b) = (start(&state, "", &secret).await, start(&state, "", &secret).await);
    a.until("portcullis_shared_state_up", |up| up == 1.0).await;
    b.until("portcullis_shared_state_up", |up| up == 1.0).await;
    let (head, tail) = secret.split_at(22);
    assert_eq!(a.send(1000, "x.example", head).verdict.reason, Reason::Clean);
    a.exchanged().await;
    // Its first part makes b ask what else there is.
    assert_eq!(b.send(1001, "y.example", head).verdict.reason, Reason::Clean);
    b.exchanged().await;
    let outcome = b.send(1002, "z.example", tail);
    assert_eq!(outcome.verdict.reason, Reason::SecretFound);
    assert_eq!(outcome.findings[0].0.finding.trail.last(), Some(&"earlier-requests"));
    a.exchanged().await;
    assert_eq!(a.send(1003, "w.example", tail).verdict.reason, Reason::SecretFound);

    // What the server keeps names nobody and holds nothing of it.
    let redis = |arguments: &[&str]| {
        let socket = folder.path().join("redis.sock");
        let output = Command::new("redis-cli").arg("-s").arg(socket).args(["--no-auth-warning", "-a", "pass"]).args(arguments).output();
        String::from_utf8(output.expect("redis-cli").stdout).expect("text")
    };
    let mut kept = redis(&["KEYS", "*"]);
    for key in kept.clone().lines() {
        kept += &redis(&["HGETALL", key]);
        assert!(redis(&["PTTL", key]).trim().parse::<i64>().expect("a number") > 0, "it is forgotten in time");
    }
    assert!(kept.starts_with("portcullis:1:"), "{kept}");
    for word in [&secret[..8], &secret[30..38], "box", "TOKEN", "example"] {
        assert!(!kept.contains(word), "{kept}");
    }
    for running in [a, b] {
        running.stop.send_replace(true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_spoken_to_by_tls_where_the_url_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |name: &str| folder.path().join(name);
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=redis"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(made("key.pem"))
        .arg("-out")
        .arg(made("cert.pem"))
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("openssl").success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let _server = server(folder.path(), Some((port, &made("cert.pem"), &made("key.pem"))));
    std::fs::write(made("url"), format!("rediss://:pass@127.0.0.1:{port}/")).expect("written");
    let trusted = start(&SharedState::read(&made("url"), Some(&made("cert.pem"))).expect("a URL"), BUDGET, "").await;
    let other = start(&SharedState::read(&made("url"), None).expect("a URL"), BUDGET, "").await;
    trusted.until("portcullis_shared_state_up", |up| up == 1.0).await;
    other.until("portcullis_shared_state_errors_total", |errors| errors >= 1.0).await;
    assert_eq!(other.metric("portcullis_shared_state_exchanges_total"), 0.0, "a certificate that nobody trusts");
    for running in [trusted, other] {
        running.stop.send_replace(true);
    }
}

#[test]
fn what_is_no_url_is_refused_without_quoting_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("url");
    for text in ["", "http://:hunter2secret@h/", "redis//:hunter2secret@h", "rediss://:hunter2secret@:x/"] {
        std::fs::write(&file, text).expect("written");
        let error = SharedState::read(&file, None).expect_err("refused");
        let error = format!("{error:?} {error}");
        assert!(error.contains("url") && !error.contains("hunter2"), "{error}");
    }
    assert!(SharedState::read(&folder.path().join("none"), None).is_err());
    std::fs::write(&file, "rediss://h/").expect("written");
    assert!(SharedState::read(&file, Some(&file)).is_err(), "no certificate");
}
