//! A gateway of separate parts over mutual TLS: its certificates exchanged, drained, killed; and the server of shared counts lost.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portcullis_e2e::{Answer, Connection, Pods, PodsOptions};

use crate::bodies::Body;
use crate::cells::{Cells, Way};
use crate::expectations::{Fault, Mode};
use crate::world::{HOST, World};

/// Longer than any test waits for the gateway to be killed.
const LONG: Duration = Duration::from_secs(90);

pub(crate) async fn cells(mode: Mode) -> Vec<String> {
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let policy = folder.path().join("policy.yaml");
    write_policy(&policy, "allow");
    let counts = Counts::start(folder.path());
    let args = |args: &[&str]| args.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
    let options = PodsOptions {
        gateway: args(&["--lame-duck", "1", "--drain", "16"]),
        scanner: args(&["--policy", &policy.display().to_string(), "--shared-state", &counts.url().display().to_string()]),
        changes: match mode {
            Mode::Closed => Vec::new(),
            Mode::Open => vec![("&fail_open false".to_owned(), "&fail_open true".to_owned())],
        },
        ..PodsOptions::default()
    };
    let pods = Pods::start(&options).await.unwrap_or_else(|error| panic!("{error:#}"));
    let mut part = Part { world: World::Pods(pods), cells: Cells::new(mode) };
    part.counts(counts, &policy).await;
    part.reloaded().await;
    part.drained().await;
    part.killed().await;
    part.cells.wrong
}

fn write_policy(file: &Path, on_loss: &str) {
    let rule = "{name: many, budget: {window: 1h, requests: 100000}}";
    std::fs::write(file, format!("version: 1\nextends: default\nhistory: {{on_loss: {on_loss}}}\nrules: [{rule}]\n")).expect("written");
}

/// A Redis server on a socket. Ends when dropped.
struct Counts {
    folder: PathBuf,
    child: Child,
}

impl Counts {
    fn start(folder: &Path) -> Counts {
        let socket = folder.join("redis.sock");
        std::fs::write(folder.join("url"), format!("redis+unix://{}\n", socket.display())).expect("written");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"]).arg(folder).arg("--unixsocket").arg(&socket);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("redis-server, which tests/setup installs");
        Counts { folder: folder.to_owned(), child }
    }

    fn url(&self) -> PathBuf {
        self.folder.join("url")
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

struct Part {
    world: World,
    cells: Cells,
}

impl Part {
    async fn is_fine(&mut self, fault: Fault) {
        for tunnel in [None, Some(HOST)] {
            let fine = self.world.is_fine(tunnel).await;
            self.cells.note(fault, fine);
        }
    }

    async fn shared(&self, up: u64) {
        let shared = async || self.world.metric("portcullis_shared_state_up").await == up;
        self.world.wait_until("the scanner knows whether counts are shared", shared).await;
    }

    async fn counts(&mut self, counts: Counts, policy: &Path) {
        self.shared(1).await;
        let folder = counts.folder.clone();
        drop(counts);
        self.shared(0).await;
        for body in Fault::CountsLostAllow.bodies(self.cells.mode) {
            self.cells.during(&self.world, Fault::CountsLostAllow, body, &Way::CLEAR).await;
        }
        let loaded = "portcullis_reloads_total{result=\"ok\"}";
        let before = self.world.metric(loaded).await;
        write_policy(policy, "deny");
        self.world.wait_until("the policy has been read", async || self.world.metric(loaded).await > before).await;
        for body in Fault::CountsLostDeny.bodies(self.cells.mode) {
            self.cells.during(&self.world, Fault::CountsLostDeny, body, &Way::CLEAR).await;
        }
        let _again = Counts::start(&folder);
        self.shared(1).await;
        self.is_fine(Fault::CountsLostDeny).await;
        // Nothing more is asked of it.
        let before = self.world.metric(loaded).await;
        write_policy(policy, "allow");
        self.world.wait_until("the policy has been read", async || self.world.metric(loaded).await > before).await;
    }

    /// New certificates of the gateway's own, which Envoy reads again.
    async fn reloaded(&mut self) {
        const READ: &str = "cluster.scanner.client_ssl_socket_factory.ssl_context_update_by_sds";
        for body in Fault::EnvoyReloaded.bodies(self.cells.mode) {
            let before = self.world.stat(READ).await;
            if let World::Pods(pods) = &mut self.world {
                let (certificate, key) = pods.ca.part("portcullis-gateway").expect("a certificate");
                pods.identity.set(&[("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", pods.ca.pem())]).expect("written");
            }
            self.world.wait_until("Envoy reads the new certificate", async || self.world.stat(READ).await > before).await;
            self.cells.during(&self.world, Fault::EnvoyReloaded, body, &Way::CLEAR).await;
        }
        self.is_fine(Fault::EnvoyReloaded).await;
    }

    async fn drained(&mut self) {
        let fault = Fault::EnvoyDrained;
        for body in fault.bodies(self.cells.mode) {
            let World::Pods(pods) = &self.world else { return };
            let terminate = || pods.gateway.terminate().expect("it runs");
            if body == Body::None {
                terminate();
                self.world.wait_until("readiness fails", async || status(pods).await == 503).await;
                self.cells.during(&self.world, fault, body, &Way::CLEAR).await;
            } else {
                self.cells.within(&self.world, fault, body, &Way::CLEAR, terminate).await;
            }
            self.restart(fault).await;
        }
    }

    async fn killed(&mut self) {
        let fault = Fault::EnvoyKilled;
        for body in fault.bodies(self.cells.mode) {
            let (World::Pods(pods), world) = (&self.world, &self.world) else { return };
            let kill = || pods.gateway.kill_child().expect("it runs");
            if body == Body::None {
                world.origin().answer(|_| Answer::default().delay(LONG));
                let once_it_waits = async {
                    world.wait_until("the request is under way", async || !world.origin().requests().is_empty()).await;
                    kill();
                };
                self.cells.with(world, fault, body, &Way::CLEAR, once_it_waits).await;
                world.origin().answer(|_| Answer::default());
            } else {
                self.cells.within(world, fault, body, &Way::CLEAR, kill).await;
            }
            self.restart(fault).await;
        }
    }

    /// The gateway has ended, or will have soon; the next one takes its place.
    async fn restart(&mut self, fault: Fault) {
        let World::Pods(pods) = &mut self.world else { return };
        let ended = pods.gateway.ended(portcullis_e2e::PATIENCE).await;
        let again = pods.restart_gateway().await;
        self.cells.note(fault, ended.and(again).map_err(|error| format!("{error:#}")));
        self.is_fine(fault).await;
    }
}

/// What the gateway's status listener says of its readiness; 0: nothing.
async fn status(pods: &Pods) -> u16 {
    let Ok(address) = pods.listener("status").await else { return 0 };
    let Ok(connection) = Connection::open(address).await else { return 0 };
    connection.page("GET", "/ready").await.map_or(0, |answer| answer.status)
}
