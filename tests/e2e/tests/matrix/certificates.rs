//! What the request does not wait for, or waits for before its first byte: the certificates service, its CA, the policy file, the collector of
//! traces.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use portcullis_e2e::{Client, Load, Pod, Request, Stack, binary};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cells::{Cells, Way};
use crate::expectations::{Fault, Mode};
use crate::world::{HOST, World};

/// How long a certificates service that is slow says nothing: shorter than what ends its connection (3.5 s).
const SLOW: Duration = Duration::from_millis(1500);
const POLICY: &str = "version: 1\nextends: default\n";

pub(crate) async fn cells(mode: Mode) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).expect("written");
    // Nobody listens here at first.
    let [a, b, c] = rand::random::<[u8; 3]>();
    let collector = std::net::SocketAddr::from(([127, a.max(1), b, c.clamp(1, 254)], 4317));
    let args = ["--policy", policy.to_str().expect("a path"), "--otlp", &format!("http://{collector}")];
    let stack = Stack::start(&[mode.args(), &args].concat()).await;
    let commands = stack.command("certificates");
    stack.without_supervision();
    let mut part = Part { world: World::Up(stack), command: commands, successor: None, cells: Cells::new(mode), names: 0 };
    part.traces(collector).await;
    part.policy(&policy).await;
    part.certificates().await;
    part.authority(folder.path()).await;
    part.cells.wrong
}

struct Part {
    world: World,
    command: Vec<OsString>,
    successor: Option<Pod>,
    cells: Cells,
    names: u32,
}

impl Part {
    fn stack(&self) -> &Stack {
        match &self.world {
            World::Up(stack) => stack,
            World::Pods(_) => unreachable!("this part runs on `up`"),
        }
    }

    /// A name that no leaf was minted for so far.
    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("n{}.{HOST}", self.names)
    }

    async fn clear(&mut self, fault: Fault) {
        for body in fault.bodies(self.cells.mode) {
            self.cells.during(&self.world, fault, body, &Way::CLEAR).await;
        }
    }

    async fn traces(&mut self, collector: std::net::SocketAddr) {
        self.clear(Fault::TracesRefused).await;
        // A collector that takes connections and answers nothing.
        let listener = TcpListener::bind(collector).await.expect("an address of our own");
        let (taken, mut connections) = watch::channel(0_usize);
        let hanging = tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((connection, _)) = listener.accept().await {
                held.push(connection);
                taken.send_replace(held.len());
            }
        });
        let connected = tokio::time::timeout(portcullis_e2e::PATIENCE, connections.wait_for(|taken| *taken > 0)).await;
        self.cells.note(Fault::TracesHang, connected.map(|_| ()).map_err(|_| "the collector was not spoken to".to_owned()));
        self.clear(Fault::TracesHang).await;
        hanging.abort();
        let fine = self.world.is_fine(Some(HOST)).await;
        self.cells.note(Fault::TracesHang, fine);
    }

    async fn policy(&mut self, file: &Path) {
        let in_force = async |world: &World, expected: u64| {
            let metric = "portcullis_last_reload_successful{what=\"policy\"}";
            world.wait_until("the policy has been read", async || world.metric(metric).await == expected).await;
        };
        std::fs::write(file, "version: 1\nrules: [\n").expect("written");
        in_force(&self.world, 0).await;
        self.clear(Fault::PolicyBroken).await;
        // What it refused before, it refuses still.
        let fine = self.world.is_fine(None).await;
        self.cells.note(Fault::PolicyBroken, fine);
        std::fs::write(file, POLICY).expect("written");
        in_force(&self.world, 1).await;
        let fine = self.world.is_fine(None).await;
        self.cells.note(Fault::PolicyBroken, fine);
    }

    fn kill(&mut self) {
        self.stack().kill("certificates");
        self.successor = None;
    }

    async fn start_again(&mut self) {
        self.successor = Some(self.stack().start_again("certificates", &self.command));
        self.connected().await;
    }

    async fn connected(&self) {
        let connected = async || self.world.stat("control_plane.connected_state").await > 0;
        self.world.wait_until("Envoy speaks to the certificates service", connected).await;
    }

    async fn is_fine(&mut self, fault: Fault) {
        let name = self.new_name();
        for name in [HOST, &name] {
            let fine = self.world.is_fine(Some(name)).await;
            self.cells.note(fault, fine);
        }
    }

    async fn certificates(&mut self) {
        let mode = self.cells.mode;
        self.kill();
        for body in Fault::CertificatesDownKnownName.bodies(mode) {
            let way = Way { tunnel: Some(HOST), fake: None };
            self.cells.during(&self.world, Fault::CertificatesDownKnownName, body, &way).await;
        }
        for body in Fault::CertificatesDownNewName.bodies(mode) {
            let name = self.new_name();
            let way = Way { tunnel: Some(&name), fake: None };
            self.cells.during(&self.world, Fault::CertificatesDownNewName, body, &way).await;
        }
        self.start_again().await;
        self.is_fine(Fault::CertificatesDownNewName).await;
        for body in Fault::CertificatesSlow.bodies(mode) {
            let name = self.new_name();
            let way = Way { tunnel: Some(&name), fake: None };
            let World::Up(stack) = &self.world else { return };
            let pulse = async {
                stack.freeze("certificates");
                tokio::time::sleep(SLOW).await;
                stack.thaw("certificates");
            };
            self.cells.with(&self.world, Fault::CertificatesSlow, body, &way, pulse).await;
        }
        self.is_fine(Fault::CertificatesSlow).await;
        for body in Fault::CertificatesRestarted.bodies(mode) {
            let name = self.new_name();
            self.kill();
            let way = Way { tunnel: Some(&name), fake: None };
            let World::Up(stack) = &self.world else { return };
            let (command, mut started) = (&self.command, None);
            let start = async { started = Some(stack.start_again("certificates", command)) };
            self.cells.with(&self.world, Fault::CertificatesRestarted, body, &way, start).await;
            self.successor = started;
        }
        self.connected().await;
        self.is_fine(Fault::CertificatesRestarted).await;
    }

    /// Another CA in the folder, while clients that trust both send requests.
    async fn authority(&mut self, folder: &Path) {
        let made = folder.join("ca");
        let output = Command::new(binary().expect("built")).args(["ca", "init", "--ca-dir"]).arg(&made).output().expect("run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let pem = std::fs::read_to_string(made.join("ca.pem")).expect("readable");
        let proxy = self.stack().gateway.proxy();
        if let World::Up(stack) = &mut self.world {
            stack.client = stack.client.clone().and_trusts(&pem).expect("a certificate");
        }
        let load = Load::start(self.world.client(), 2, &[Request::get(&format!("https://{HOST}/"))]);
        for file in ["ca.key", "ca.pem"] {
            std::fs::rename(made.join(file), self.stack().gateway.state_dir().join("ca").join(file)).expect("the folder of the CA");
        }
        let only_new = Client::new(proxy, &pem).expect("a certificate");
        let begun = std::time::Instant::now();
        loop {
            let name = self.new_name();
            if only_new.tls(&format!("{name}:443"), &name).await.is_ok() {
                break;
            }
            assert!(begun.elapsed() < portcullis_e2e::PATIENCE, "leaves are of the old CA still\n{}", self.world.logs());
        }
        let outcomes = load.stop().await;
        let failed: Vec<_> = outcomes.iter().filter(|outcome| outcome.status != 200).collect();
        let fine = if failed.is_empty() && !outcomes.is_empty() { Ok(()) } else { Err(format!("of {}: {failed:?}", outcomes.len())) };
        self.cells.note(Fault::AuthorityChanged, fine);
        for body in Fault::AuthorityChanged.bodies(self.cells.mode) {
            let name = self.new_name();
            self.cells.during(&self.world, Fault::AuthorityChanged, body, &Way { tunnel: Some(&name), fake: None }).await;
        }
        self.is_fine(Fault::AuthorityChanged).await;
    }
}
