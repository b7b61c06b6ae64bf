//! Replicas, by hand; and that the model of a sandbox and the bounds are what the house says.

use std::path::{Path, PathBuf};

use queues::sizing::{Allowed, plan};
use queues::{Activity, Capacity, Limits, Workload};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Invented figures, round ones.
fn capacity() -> Capacity {
    Capacity::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture-invented-capacity.json")).expect("a fixture")
}

fn workload() -> Workload {
    Workload::read(&root().join("loadtest/queues/sandboxes.toml")).expect("sandboxes.toml")
}

#[test]
fn the_model_of_a_sandbox_is_read_and_nonsense_is_not() {
    let load = workload();
    assert!(load.does.len() >= 5 && load.at_work() <= 1.0);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = std::fs::read_to_string(root().join("loadtest/queues/sandboxes.toml")).expect("sandboxes.toml");
    for (from, to) in [("duty = ", "duty = 1"), ("wait_p99_ms = ", "wait_p99_ms = -"), ("zones = 3", "zones = 1"), ("[around]", "[about]")]
    {
        assert!(text.contains(from), "{from}");
        std::fs::write(file.path(), text.replacen(from, to, 1)).expect("written");
        assert!(Workload::read(file.path()).is_err(), "{to}");
    }
}

#[test]
fn bounds_are_those_of_the_house() {
    let house = workload().house;
    let says = |file: &str, what: String| {
        let text = std::fs::read_to_string(root().join(file)).expect(file);
        assert!(text.contains(&what), "{file} does not say {what}");
    };
    let apart = |value: f64| format!("{},{:03}", value / 1000.0, value % 1000.0).replace(',', "_");
    says("services/scanner/src/config.rs", format!("streams: {},", apart(house.scanner_streams)));
    says("crates/policy/src/limits.rs", format!("memory_bytes: {} << 20", house.held_mib));
    let names = apart(house.names_per_gateway);
    says("services/certificates/src/server.rs", format!("names_per_stream: {names}, streams: {} }}", house.certificate_streams));
    says("services/certificates/src/mint.rs", format!("LEAF_LIFE: Duration = Duration::from_secs({} * 60 * 60)", house.leaf_life_h));
    says("services/scanner/src/shared_state.rs", format!("INTERVAL: Duration = Duration::from_millis({})", 1000.0 / house.exchanges_per_s));
    says("deploy/base/system/certificates/deployment.yaml", format!("replicas: {}", workload().around.certificate_replicas));
}

#[test]
fn what_the_manifests_bound_is_found_in_them() {
    let limits = Limits::read(&root()).expect("all bounds are there");
    assert_eq!((limits.connections, limits.gateway_streams, limits.names, limits.heap_mib), (20_000.0, 100_000.0, 4096.0, 1024.0));
    assert!(limits.tunnels >= 1024.0 && limits.upstream >= 1024.0, "no less than Envoy's default");
    for tier in [&limits.gateway, &limits.scanner] {
        assert!(tier.cpus >= 1.0 && tier.memory_mib >= 1024.0 && (0.1..1.0).contains(&tier.target) && tier.least < tier.most, "{tier:?}");
    }
    assert_eq!(limits.scanner_streams_target, 2000.0);
}

/// 1,000 sandboxes, half of them at work, each 3,600 requests an hour of 256 KiB: 500 requests a second.
fn simple() -> (Workload, Limits) {
    let mut load = workload();
    (load.duty, load.peak) = (0.25, 2.0);
    load.does = vec![Activity {
        name: "uploads".into(),
        per_hour: 3600.0,
        body_kib: 256.0,
        response_kib: 512.0,
        sending_s: 1.0,
        answering_s: 3.0,
        tunnels: 4.0,
        hosts: 1.0,
        like: "upload".into(),
        grows: false,
    }];
    let mut limits = Limits::read(&root()).expect("all bounds are there");
    (limits.tunnels, limits.upstream) = (1024.0, 1024.0);
    (limits.gateway.cpus, limits.scanner.cpus, limits.scanner.target, limits.gateway.target) = (2.0, 1.0, 0.6, 0.6);
    (limits.gateway.memory_mib, limits.scanner.memory_mib, limits.gateway.most, limits.scanner.most) = (1536.0, 1536.0, 30.0, 30.0);
    (limits, load) = (limits, load);
    (load, limits)
}

#[test]
fn replicas_by_hand() {
    let (load, limits) = simple();
    let plan = plan(1000.0, &load, &capacity(), &limits, Allowed { gateway: 0.8, scanner: 0.5 }).expect("all costs are there");
    let need = |tier: &queues::sizing::Sized, what: &str| tier.needs.iter().find(|n| n.what.starts_with(what)).expect(what).replicas;
    // 500/s × 5,050 µs; at half of a CPU each: 5.05; a third of them may go: 6 × 3/2.
    assert!((plan.scanner.cpus - 2.525).abs() < 1e-9, "{}", plan.scanner.cpus);
    assert_eq!((need(&plan.scanner, "CPU"), plan.scanner.first(), plan.scanner.replicas), (6.0, "CPU", 9.0));
    // 500 under way, each with 10 KiB; and 125 MiB of bodies, of 512 MiB of which 80 % are planned with.
    assert_eq!((need(&plan.scanner, "memory"), need(&plan.scanner, "held"), need(&plan.scanner, "requests")), (1.0, 1.0, 1.0));
    // 500/s × (600 µs for the request and 0.5 MiB × 2 ms for the answer).
    assert!((plan.gateway.cpus - 0.8).abs() < 1e-9, "{}", plan.gateway.cpus);
    // 2,000 tunnels at 80 % of 1,024; 2,000 requests that last 4 s; 2,000 × (100 + 50) KiB in 90 % of 1 GiB without 40 MiB.
    let needs = ["CPU", "tunnels", "requests under way upstream", "connections", "memory"].map(|what| need(&plan.gateway, what));
    assert_eq!((needs, plan.gateway.replicas), ([1.0, 3.0, 3.0, 1.0, 1.0], 5.0));
    // 2.525 CPUs on 9; and on the 6 that a lost zone leaves.
    let (all, left) = plan.scanner.utilisation;
    assert!((all - 2.525 / 9.0).abs() < 1e-9 && (left - 2.525 / 6.0).abs() < 1e-9, "{all} {left}");
    assert_eq!((plan.cells, plan.cells_for), (1.0, ""));
    // 250 requests a second on average, each a record.
    let records = 250.0 * 86_400.0 * load.around.audit_bytes / f64::from(1 << 30);
    assert!((plan.around.audit_gib_per_day - records).abs() < 1e-9, "{}", plan.around.audit_gib_per_day);
    assert_eq!(plan.around.exchanges_per_s, 36.0);
}

#[test]
fn more_sandboxes_never_need_less_and_cells_come_when_the_autoscaler_ends() {
    let (load, limits) = simple();
    let allowed = Allowed { gateway: 0.8, scanner: 0.5 };
    let sizes = [1.0, 10.0, 100.0, 1000.0, 3000.0, 10_000.0, 1e6];
    let plans = sizes.map(|n| plan(n, &load, &capacity(), &limits, allowed).expect("all costs are there"));
    for two in plans.windows(2) {
        let grown = |of: fn(&queues::sizing::Plan) -> f64| of(&two[0]) <= of(&two[1]);
        assert!(grown(|p| p.gateway.replicas) && grown(|p| p.scanner.replicas) && grown(|p| p.cells) && grown(|p| p.around.series));
    }
    assert_eq!((plans[0].gateway.replicas, plans[0].scanner.replicas, plans[0].cells), (3.0, 3.0, 1.0));
    // 10,000: 51 scanners for CPU, 77 with a zone in reserve; 30 are the most of one autoscaler.
    assert_eq!((plans[5].scanner.replicas, plans[5].cells, plans[5].cells_for), (77.0, 3.0, "the scanners' autoscaler"));
}
