//! The gateway of separate parts, who sends through it, and everything that is written down of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_e2e::{Client, PATIENCE, Pods, PodsOptions, binary};
use tokio::task::JoinSet;

use crate::harvest::Harvest;
use crate::ledger::{Account, Chapter, Kill};
use crate::life::{Page, Process};
use crate::memory::Memory;
use crate::planted::Planted;
use crate::worker::{self, Desk, Phase, Ways};

/// Workers, each with one request at a time.
pub(crate) const WORKERS: usize = 8;
const SANDBOXES: usize = 3;
const TICK: Duration = Duration::from_millis(25);
/// A name below which all is inside.
const INSIDE: &str = ".inside.example.net";

pub(crate) struct World {
    pub(crate) pods: Pods,
    pub(crate) desk: Arc<Desk>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) kills: Vec<Kill>,
    pub(crate) policy: PathBuf,
    pub(crate) planted: Arc<Planted>,
    harvest: Arc<Harvest>,
    /// The scanners that live, in the order of [`Pods::scanners`], and those that ended in this chapter.
    processes: Vec<Process>,
    started: usize,
    /// What parts said that are gone, and where secrets were found.
    said: String,
    leaks: Vec<String>,
    credentials: Vec<String>,
    folder: tempfile::TempDir,
    tasks: JoinSet<()>,
}

impl World {
    pub(crate) async fn start(sample: Duration) -> World {
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let (policy, tokens) = (folder.path().join("policy.yaml"), folder.path().join("tokens.json"));
        write_policy(&policy, 0);
        let credentials: Vec<String> = (0..SANDBOXES).map(|number| token(&tokens, &worker::sandbox(number))).collect();
        let access_log = folder.path().join("access.log").display().to_string();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let args = ["--policy", &at("policy.yaml"), "--tokens", &at("tokens.json"), "--audit", &at("{ip}.jsonl")];
        // Longer than Envoy takes to see that it ends. A small cache, so that it is full when memory is measured.
        let more = ["--lame-duck", "3", "--drain", "10", "--cache-entries", "20000"];
        let options = PodsOptions {
            scanners: 2,
            gateway: ["--lame-duck", "1", "--drain", "16"].map(str::to_owned).to_vec(),
            scanner: args.iter().chain(&more).map(|argument| (*argument).to_owned()).collect(),
            names: [".sink.example.net", ".model.example.net"].map(str::to_owned).to_vec(),
            changes: vec![("path: /dev/stdout".to_owned(), format!("path: {access_log}"))],
        };
        let pods = Pods::start(&options).await.unwrap_or_else(|error| panic!("{error:#}"));
        pods.dns.set(INSIDE, std::net::Ipv4Addr::new(10, 0, 0, 1));
        let planted = Arc::<Planted>::default();
        let (harvest, memory) = (Harvest::new(pods.origin.tap(), Arc::clone(&planted)), Memory::new());
        let desk = Desk::new(ways(&pods.client, &credentials), Arc::clone(&planted));
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&harvest).run());
        tasks.spawn(Arc::clone(&memory).run(sample));
        (0..WORKERS).for_each(|number| drop(tasks.spawn(worker::work(number, Arc::clone(&desk)))));
        memory.watch("certificates", pods.certificates_pid());
        let mut world = World {
            pods,
            desk,
            memory,
            kills: Vec::new(),
            policy,
            planted,
            harvest,
            processes: Vec::new(),
            started: 0,
            said: String::new(),
            leaks: Vec::new(),
            credentials,
            folder,
            tasks,
        };
        world.gateway_began();
        for number in 0..2 {
            world.scanner_began(number);
        }
        world
    }

    /// The gateway is another one from now on.
    pub(crate) fn gateway_began(&self) {
        let envoy = self.pods.gateway.child_pid().expect("an Envoy");
        self.memory.watch("Envoy", envoy);
        self.desk.ways.send_replace(ways(&self.pods.client, &self.credentials));
    }

    /// The scanner at this place of [`Pods::scanners`] is a new one.
    pub(crate) fn scanner_began(&mut self, place: usize) {
        let (ip, pod) = &self.pods.scanners[place];
        self.memory.watch(&format!("scanner {}", self.started), pod.pid());
        self.processes.push(Process::new(self.started, *ip, self.folder.path()));
        self.started += 1;
    }

    /// The process at an address.
    pub(crate) fn process(&mut self, ip: std::net::Ipv4Addr) -> &mut Process {
        let found = self.processes.iter_mut().find(|process| process.ip == ip && process.ended.is_none());
        found.expect("a scanner that was started here")
    }

    /// Keeps what a part said that is gone.
    pub(crate) fn keep(&mut self, said: &str) {
        self.said.push_str(said);
    }

    pub(crate) async fn page(&self, ip: std::net::Ipv4Addr) -> Page {
        Page::read(&self.pods.metrics_of(ip).await.unwrap_or_else(|error| panic!("metrics of a scanner: {error:#}\n{}", self.pods.logs())))
    }

    /// Bytes that reached the origin so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.harvest.bytes()
    }

    pub(crate) fn send(&self) {
        self.desk.phase.send_replace(Phase::Send);
    }

    /// Lets what is under way end, and holds everything since the last time against everything.
    pub(crate) async fn close(&mut self, last: bool) -> Account {
        self.desk.phase.send_replace(Phase::Wait);
        let mut waiting = self.desk.waiting.subscribe();
        let all = tokio::time::timeout(2 * PATIENCE, waiting.wait_for(|waiting| *waiting == WORKERS)).await;
        assert!(all.is_ok_and(|all| all.is_ok()), "workers do not come to rest\n{}", self.pods.logs());
        let pages = self.settle().await;
        let (arrivals, mut wrong) = self.harvest.take();
        let sent = self.desk.take_sent();
        let mut chapter = Chapter { sent, arrivals, workers: WORKERS as u64, ..Chapter::default() };
        chapter.kills = std::mem::take(&mut self.kills);
        let mut living = pages.into_iter();
        for process in &mut self.processes {
            let page = if process.ended.is_some() { Page::default() } else { living.next().unwrap_or_default() };
            let (life, records, bytes) = process.take(&page);
            if self.planted.is_in(&bytes) {
                wrong.push(format!("the audit log of scanner {} holds a secret", life.number));
            }
            chapter.lives.push(life);
            chapter.records.extend(records);
        }
        self.processes.retain(|process| process.ended.is_none());
        if last {
            self.desk.phase.send_replace(Phase::Stop);
        }
        wrong.extend(self.desk.take_leaks());
        wrong.append(&mut self.leaks);
        wrong.extend(self.written_secrets());
        let mut account = chapter.judge();
        account.wrong.extend(wrong);
        account
    }

    /// Waits until nothing is under way and everything is written, and gives what each scanner counts. What does not settle shows in the ledger.
    async fn settle(&self) -> Vec<Page> {
        let begun = Instant::now();
        loop {
            let mut pages = Vec::new();
            let mut settled = self.harvest.is_idle();
            for process in self.processes.iter().filter(|process| process.ended.is_none()) {
                let page = self.page(process.ip).await;
                settled &= page.under_way == 0 && process.waiting() >= process.counted_since(&page);
                pages.push(page);
            }
            if settled || begun.elapsed() > PATIENCE / 2 {
                return pages;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Which logs hold a secret.
    fn written_secrets(&self) -> Vec<String> {
        let access_log = std::fs::read(self.folder.path().join("access.log")).unwrap_or_default();
        let (logs, said) = (self.pods.logs(), &self.said);
        let all =
            [("the access log", access_log.as_slice()), ("a log", logs.as_bytes()), ("a log of a part that is gone", said.as_bytes())];
        all.into_iter().filter(|(_, bytes)| self.planted.is_in(bytes)).map(|(name, _)| format!("{name} holds a secret")).collect()
    }

    /// Waits for the workers.
    pub(crate) async fn stop(mut self) {
        self.desk.phase.send_replace(Phase::Stop);
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn ways(client: &Client, credentials: &[String]) -> Ways {
    let clients = credentials.iter().map(|credentials| client.clone().with_credentials(credentials)).collect();
    let stranger = client.clone().with_credentials(&format!("soak-0:pcs_{}", "A".repeat(43)));
    Ways { clients, stranger, ending: false }
}

/// A token for a sandbox, as `NAME:TOKEN`.
fn token(tokens: &Path, sandbox: &str) -> String {
    let mut command = Command::new(binary().expect("a binary"));
    let output = command.args(["sandbox", "token", "add", sandbox, "--tokens"]).arg(tokens).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    format!("{sandbox}:{}", String::from_utf8_lossy(&output.stdout).trim())
}

/// Writes the policy; each turn is another one.
pub(crate) fn write_policy(file: &Path, turn: u32) {
    replace(
        file,
        &format!(
            "version: 1\nextends: default\nidentity: {{required: true}}\nhosts: {{block: [turn-{turn}.example.org]}}\nrules:\n  - name: soak/models\n    \
             hosts: [\"*.model.example.net\"]\n    findings: {{certain: redact, high: redact, medium: redact}}\n"
        ),
    );
}

/// Replaces a file as a whole.
pub(crate) fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, file)).expect("written");
}
