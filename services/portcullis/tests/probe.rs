//! The probe in network namespaces of its own: without a way out, and with holes punched one by one.

#[path = "probe/cage.rs"]
mod cage;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use cage::{Cage, Row};

/// What is tried directly, with addresses of the test's own world.
const DIRECT: [&str; 7] = [
    "--skip=proxy",
    "--skip=secrets",
    "--target=198.18.0.1",
    "--target=2001:2::1",
    "--internal=10.77.5.5:9001",
    "--internal=portcullis-scanner.portcullis.svc:9001",
    // Not the proxy's port, and not tried: 10.77.0.1 is the router as well.
    "--proxy=http://10.77.0.1:3128",
];

fn of(rows: &BTreeSet<Row>, outcome: &str) -> BTreeSet<(String, String)> {
    rows.iter().filter(|row| row.2 == outcome).map(|(check, target, _)| (check.clone(), target.clone())).collect()
}

/// A rule that lets through what was sent to this port, and address if given, before it was redirected.
fn to(protocol: &str, address: &str, port: u16) -> String {
    let family = if address.contains(':') { "ip6" } else { "ip" };
    let address = if address.is_empty() { String::new() } else { format!("ct original {family} daddr {address}") };
    format!("meta l4proto {protocol} {address} ct original proto-dst {port} accept")
}

#[test]
fn without_a_route_everything_is_contained() {
    let cage = Cage::new();
    let (code, rows) = cage.probe("alone", &["--skip=proxy", "--skip=secrets"]);
    assert_eq!((code, of(&rows, "escaped"), of(&rows, "failed")), (0, BTreeSet::new(), BTreeSet::new()));
    assert!(rows.len() > 150, "only {} tries", rows.len());
}

#[test]
fn without_a_gateway_nothing_about_the_proxy_can_be_told() {
    let cage = Cage::new();
    let (code, rows) = cage.probe("alone", &["--only=proxy", "--only=secrets"]);
    assert_eq!((code, rows.len(), of(&rows, "failed").len()), (2, 1, 1), "no proxy is configured");
    let (code, rows) = cage.probe("alone", &["--only=proxy", "--only=secrets", "--proxy=http://10.77.0.1:3128"]);
    assert_eq!((code, of(&rows, "blocked"), of(&rows, "escaped")), (2, BTreeSet::new(), BTreeSet::new()), "the proxy is out of reach");
    assert!(rows.len() > 200, "only {} tries", rows.len());
}

#[test]
fn a_run_ends_in_time_where_everything_is_swallowed_without_a_word() {
    let cage = Cage::new();
    let (code, report) = cage.report("sandbox", &["--proxy=http://10.79.0.1:3128"]);
    assert_eq!((code, &report["counts"]["escaped"]), (2, &0.into()));
    assert!(report["seconds"].as_f64().unwrap() < 30.0, "{}", report["seconds"]);
    let failed = report["results"].as_array().unwrap().iter().filter(|row| row["outcome"] == "failed");
    for row in failed {
        let check = row["check"].as_str().unwrap();
        assert!(check == "secret" || check.starts_with("proxy-"), "{row}");
    }
}

/// What is opened, and all that escapes by it.
#[test]
fn each_hole_is_reported_by_its_checks_and_by_no_other() {
    let (v4, v6) = ("198.18.0.1", "2001:2::1");
    let holes: Vec<(String, Vec<(&str, &str)>)> = vec![
        (String::new(), vec![]),
        (to("tcp", v4, 22), vec![("tcp", "198.18.0.1:22")]),
        (to("tcp", v6, 9418), vec![("tcp", "[2001:2::1]:9418")]),
        (to("tcp", v4, 443), vec![("tcp", "198.18.0.1:443"), ("dns-https", "198.18.0.1:443")]),
        (to("tcp", v6, 853), vec![("tcp", "[2001:2::1]:853"), ("dns-tls", "[2001:2::1]:853")]),
        (to("udp", v4, 123), vec![("udp", "198.18.0.1:123 NTP")]),
        (to("udp", v6, 443), vec![("udp", "[2001:2::1]:443 QUIC")]),
        (to("udp", v4, 3478), vec![("udp", "198.18.0.1:3478 STUN")]),
        (to("udp", v4, 53), vec![("dns-udp", "198.18.0.1:53")]),
        (to("tcp", v6, 53), vec![("dns-tcp", "[2001:2::1]:53")]),
        (to("udp", "10.96.0.10", 53), vec![("dns-udp", "10.96.0.10:53")]),
        (to("tcp", "169.254.20.10", 53), vec![("dns-tcp", "169.254.20.10:53")]),
        ("icmp type echo-request accept".into(), vec![("icmp", v4)]),
        ("icmpv6 type echo-request accept".into(), vec![("icmp", v6)]),
        (to("tcp", "169.254.169.254", 80), vec![("metadata", "169.254.169.254:80")]),
        (to("tcp", "fd00:ec2::254", 80), vec![("metadata", "[fd00:ec2::254]:80")]),
        (to("tcp", "10.96.0.1", 443), vec![("api-server", "10.96.0.1:443")]),
        (to("tcp", "10.77.5.5", 9001), vec![("internal", "10.77.5.5:9001")]),
        (to("tcp", "10.77.0.1", 9901), vec![("gateway-port", "10.77.0.1:9901")]),
        (to("tcp", "10.77.0.1", 10250), vec![("gateway-port", "10.77.0.1:10250"), ("node", "10.77.0.1:10250")]),
        (to("tcp", "10.77.0.1", 3128), vec![]),
        ("ip daddr 224.0.0.251 udp dport 5353 accept".into(), vec![("dns-multicast", "224.0.0.251:5353 mDNS")]),
        ("ip daddr 224.0.0.252 udp dport 5355 accept".into(), vec![("dns-multicast", "224.0.0.252:5355 LLMNR")]),
    ];
    let cage = Cage::new();
    for (rule, expected) in holes {
        cage.open(&rule);
        let (code, rows) = cage.probe("sandbox", &DIRECT);
        let expected: BTreeSet<_> = expected.iter().map(|(check, target)| ((*check).to_owned(), (*target).to_owned())).collect();
        assert_eq!(of(&rows, "escaped"), expected, "{rule}");
        assert_eq!((of(&rows, "failed"), code), (BTreeSet::new(), i32::from(!expected.is_empty())), "{rule}");
    }
}

#[test]
fn a_resolver_that_leads_out_is_reported_by_itself_and_by_the_system_that_uses_it() {
    let cage = Cage::new();
    cage.open(&to("udp", "10.78.0.53", 53));
    let (code, rows) = cage.probe("sandbox", &DIRECT);
    let escaped = of(&rows, "escaped");
    assert_eq!(code, 1);
    assert!(escaped.contains(&("dns-udp".into(), "10.78.0.53:53".into())), "{escaped:?}");
    let system: Vec<&String> = escaped.iter().filter(|(check, _)| check == "dns-system").map(|(_, name)| name).collect();
    assert!(system.len() == 2 && system.iter().any(|name| name.ends_with(".github.io")), "a name and a random one: {system:?}");
    assert!(escaped.iter().all(|(check, _)| check.starts_with("dns-")), "{escaped:?}");
}

#[test]
fn what_the_host_left_in_the_sandbox_is_reported() {
    let cage = Cage::new();
    cage.shell("mkdir -p /run/secrets/kubernetes.io/serviceaccount && : > /run/secrets/kubernetes.io/serviceaccount/token");
    cage.shell("ln -s /run/runtime.sock /run/docker.sock");
    let socket = ("host-socket".to_owned(), "/var/run/docker.sock".to_owned());
    let token = ("service-account".to_owned(), "/var/run/secrets/kubernetes.io/serviceaccount/token".to_owned());
    let (code, rows) = cage.probe("alone", &["--only=host"]);
    assert_eq!((code, of(&rows, "escaped")), (1, BTreeSet::from([socket.clone()])), "an empty token is none");
    cage.shell("echo token > /run/secrets/kubernetes.io/serviceaccount/token");
    assert_eq!(of(&cage.probe("alone", &["--only=host"]).1, "escaped"), BTreeSet::from([socket, token]));
}

#[test]
fn where_everything_is_open_every_kind_of_check_says_so() {
    let cage = Cage::new();
    cage.open("accept");
    // The usual targets are in this world too.
    let (code, rows) = cage
        .probe("sandbox", &["--skip=proxy", "--skip=secrets", "--skip=host", "--proxy=http://10.77.0.1:3128", "--internal=10.77.5.5:1"]);
    assert_eq!(code, 1);
    let checks: BTreeSet<&str> = rows.iter().filter(|row| row.2 == "escaped").map(|row| row.0.as_str()).collect();
    let all = [
        "api-server",
        "dns-https",
        "dns-multicast",
        "dns-system",
        "dns-tcp",
        "dns-tls",
        "dns-udp",
        "gateway-port",
        "icmp",
        "internal",
        "metadata",
        "node",
        "tcp",
        "udp",
    ];
    assert_eq!(checks, BTreeSet::from(all));
    assert!(of(&rows, "escaped").contains(&("tcp".into(), "192.0.2.1:443".into())), "an address that nobody has answers");
}

#[test]
fn a_watch_repeats_exports_logs_and_ends_when_told() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(["probe", "--only=host", "--every=1s", "--metrics-listen=127.0.0.1:0", "--format=json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let line: serde_json::Value = serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
    let address = line["listen"].as_str().unwrap().to_owned();
    let mut reports = BufReader::new(child.stdout.take().unwrap()).lines();
    let report = |line: Option<std::io::Result<String>>| serde_json::from_str::<serde_json::Value>(&line.unwrap().unwrap()).unwrap();
    let (first, second) = (report(reports.next()), report(reports.next()));
    assert_ne!(first["started"], second["started"]);
    let line: serde_json::Value = serde_json::from_str(&log.next().unwrap().unwrap()).unwrap();
    assert_eq!((&line["message"], &line["result"]), (&"a run of the probe ended".into(), &first["result"]));
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(get("/readyz").starts_with("HTTP/1.1 200"));
    let metrics = get("/metrics");
    let blocked = format!("portcullis_probe_checks{{result=\"blocked\"}} {}", first["counts"]["blocked"]);
    for wanted in [
        blocked.as_str(),
        "portcullis_probe_escapes ",
        "portcullis_probe_last_run_timestamp_seconds ",
        "portcullis_probe_check{check=\"secret\",result=\"escaped\"} 0",
    ] {
        assert!(metrics.contains(wanted), "{wanted}: {metrics}");
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_command_line_is_held_to_what_makes_sense() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        let output = command.arg("probe").args(args).env("HTTPS_PROXY", "socks5://agent:hunter2@gateway:1").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for bad in [
        "--only=nothing",
        "--timeout=1h",
        "--sink=https://192.0.2.1/",
        "--target=example.com",
        "--internal=name",
        "--metrics-listen=127.0.0.1:0",
    ] {
        assert_eq!(run(&[bad]).0, Some(64), "{bad}");
    }
    let (code, said) = run(&["--only=host"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("HTTPS_PROXY") && !said.contains("hunter2"), "{said}");
}
