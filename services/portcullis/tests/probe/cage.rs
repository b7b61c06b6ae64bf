//! Two network namespaces joined by a virtual cable: a sandbox, and a world that has every address and answers what its firewall lets in.
//!
//! Both live inside a network and a mount namespace of the test's own: nothing of the machine is changed, and all of it is gone with the
//! process that holds it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What holds the namespaces, and answers.
const WORLD: &str = include_str!("world.py");
/// Sets up both namespaces; `alone` is one without any route.
const SETUP: &str = "
    mount -t tmpfs none /run
    ip netns add sandbox
    ip netns add alone
    ip -n alone link set lo up
    ip link add world type veth peer name eth0 netns sandbox
    ip link set lo up
    ip addr add 10.77.0.1/24 dev world
    ip addr add fd77::1/64 dev world nodad
    ip link set world addrgenmode none up
    ip route add local default dev lo table main
    ip -6 route add local default dev lo table main
    ip -n sandbox link set lo up
    ip -n sandbox addr add 10.77.0.2/24 dev eth0
    ip -n sandbox addr add fd77::2/64 dev eth0 nodad
    ip -n sandbox link set eth0 up
    ip -n sandbox route add default via 10.77.0.1
    ip -n sandbox -6 route add default via fd77::1
    mount --bind \"$1/resolv.conf\" /etc/resolv.conf
    exec python3 \"$1/world.py\" world \"$1/ready\"
";
/// The longest wait for the world.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A row of a report: check, target, outcome.
pub(crate) type Row = (String, String, String);

/// The two namespaces.
pub(crate) struct Cage {
    holder: Child,
    files: PathBuf,
}

impl Cage {
    /// Makes them, with nothing let through. Its resolver is 10.78.0.53, in the world.
    pub(crate) fn new() -> Self {
        let files = std::env::temp_dir().join(format!("pc-cage-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir(&files).expect("a folder");
        std::fs::write(files.join("world.py"), WORLD).expect("written");
        std::fs::write(files.join("resolv.conf"), "nameserver 10.78.0.53\noptions timeout:1 attempts:1\n").expect("written");
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount"]);
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-e", "-c", SETUP, "sh"]).arg(&files).stdin(Stdio::null()).stderr(Stdio::piped());
        let holder = command.spawn().expect("unshare (util-linux) is installed: bash tests/setup");
        let mut cage = Self { holder, files };
        let begun = Instant::now();
        while !cage.files.join("ready").exists() {
            if cage.holder.try_wait().expect("a child").is_some() || begun.elapsed() > READY_WITHIN {
                drop(cage.holder.kill());
                let said = std::io::read_to_string(cage.holder.stderr.take().expect("piped")).unwrap_or_default();
                panic!("no namespaces (needs root or unprivileged user namespaces, iproute2, nftables, python3): {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        cage.open("");
        cage
    }

    /// A command inside the world's namespaces.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--mount"]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
    }

    /// Lets through what these rules of nftables say, and nothing else.
    pub(crate) fn open(&self, rules: &str) {
        let ruleset = format!(
            "flush ruleset
            table inet world {{
                chain every {{
                    type nat hook prerouting priority -100;
                    ip daddr 224.0.0.0/4 return
                    ip6 daddr ff00::/8 return
                    meta l4proto {{ tcp, udp }} redirect to :7;
                }}
                chain holes {{
                    type filter hook input priority 0; policy drop;
                    ct state established accept
                    iifname \"lo\" accept
                    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
                    {rules}
                }}
            }}\n"
        );
        let mut nft = self.command().args(["nft", "-f", "-"]).stdin(Stdio::piped()).spawn().expect("nsenter is installed");
        nft.stdin.take().expect("piped").write_all(ruleset.as_bytes()).expect("written");
        assert!(nft.wait().expect("a child").success(), "{ruleset}");
    }

    /// Runs a command of the shell as the host would.
    pub(crate) fn shell(&self, script: &str) {
        assert!(self.command().args(["sh", "-e", "-c", script]).status().expect("nsenter").success(), "{script}");
    }

    /// Runs the probe in a namespace (`sandbox` or `alone`), with short waits: its exit code, and its rows.
    pub(crate) fn probe(&self, namespace: &str, args: &[&str]) -> (i32, BTreeSet<Row>) {
        let (code, report) = self.report(namespace, &[&["--timeout=400ms"], args].concat());
        let text = |row: &serde_json::Value, key: &str| row[key].as_str().expect("a text").to_owned();
        let rows = report["results"].as_array().expect("results").iter();
        (code, rows.map(|row| (text(row, "check"), text(row, "target"), text(row, "outcome"))).collect())
    }

    /// The same with the whole report.
    pub(crate) fn report(&self, namespace: &str, args: &[&str]) -> (i32, serde_json::Value) {
        let mut command = self.command();
        command.args(["ip", "netns", "exec", namespace, env!("CARGO_BIN_EXE_portcullis"), "probe", "--format=json"]);
        for variable in ["HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE", "KUBERNETES_SERVICE_HOST", "NODE_IP"] {
            command.env_remove(variable);
        }
        let output = command.args(args).output().expect("nsenter");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().expect("an exit code"), report)
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
        drop(std::fs::remove_dir_all(&self.files));
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
