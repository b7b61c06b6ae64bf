//! Who may import whom (docs/architecture.md): one-way arrows, and libraries that touch nothing but bytes.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_house::{files, metadata, root};

/// For each crate of the house, the crates of the house it may depend on outside tests.
const ARROWS: [(&str, &[&str]); 18] = [
    ("portcullis-simd", &[]),
    ("portcullis-git", &[]),
    ("portcullis-calls", &[]),
    ("portcullis-rules", &[]),
    ("portcullis-engine", &["portcullis-rules", "portcullis-simd"]),
    ("portcullis-policy", &["portcullis-engine"]),
    ("portcullis-inspect", &["portcullis-calls", "portcullis-engine", "portcullis-git", "portcullis-policy", "portcullis-rules"]),
    ("portcullis-scan-proto", &[]),
    ("portcullis-telemetry", &[]),
    (
        "portcullis-scanner",
        &[
            "portcullis-engine",
            "portcullis-inspect",
            "portcullis-policy",
            "portcullis-rules",
            "portcullis-scan-proto",
            "portcullis-telemetry",
        ],
    ),
    ("portcullis-certificates", &["portcullis-telemetry"]),
    ("portcullis-probe", &["portcullis-telemetry"]),
    (
        "portcullis",
        &[
            "portcullis-certificates",
            "portcullis-engine",
            "portcullis-inspect",
            "portcullis-policy",
            "portcullis-probe",
            "portcullis-rules",
            "portcullis-scanner",
            "portcullis-telemetry",
        ],
    ),
    ("portcullis-house", &[]),
    // Arithmetic on what was measured: it knows nothing of the house but its files.
    ("queues", &[]),
    ("portcullis-e2e", &["portcullis-rules", "portcullis-scan-proto"]),
    ("portcullis-cluster", &["portcullis-e2e"]),
    ("loadtest", &["portcullis-e2e"]),
];

/// Crates of the pure core, and what none of them may bring in by name.
const PURE: [&str; 6] =
    ["portcullis-simd", "portcullis-git", "portcullis-calls", "portcullis-rules", "portcullis-engine", "portcullis-policy"];
const IMPURE: [&str; 8] = ["tokio", "tonic", "prost", "tracing", "log", "hyper", "envoy-types", "notify"];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().expect("packages");
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|d| d["kind"] != "dev" && d["kind"] != "build").map(|d| d["name"].as_str().expect("name").to_owned()).collect()
    };
    packages.iter().map(|p| (p["name"].as_str().expect("name").to_owned(), of(p))).collect()
}

#[test]
fn arrows_between_crates_go_one_way() {
    let dependencies = dependencies();
    for (name, used) in &dependencies {
        let (_, allowed) = ARROWS.iter().find(|(n, _)| n == name).unwrap_or_else(|| panic!("{name} is not in the list of arrows"));
        for other in used.iter().filter(|d| dependencies.contains_key(*d)) {
            assert!(allowed.contains(&other.as_str()), "{name} must not depend on {other}");
        }
    }
}

#[test]
fn the_pure_core_knows_no_wire_and_no_runtime() {
    let dependencies = dependencies();
    for name in PURE {
        for impure in IMPURE {
            assert!(!dependencies[name].contains(impure), "{name} must not depend on {impure}");
        }
    }
}

#[test]
fn the_pure_core_has_no_clock_no_files_and_no_network() {
    for name in ["simd", "git", "calls", "rules", "engine", "policy"] {
        for file in files(&root().join("crates").join(name).join("src"), ".rs") {
            let text = std::fs::read_to_string(&file).expect("readable");
            for word in ["SystemTime::now", "Instant::now", "std::fs", "std::net::Tcp", "std::net::Udp", "std::env::var", "std::process"] {
                assert!(!text.contains(word), "{} uses {word}", file.display());
            }
        }
    }
}

#[test]
fn envoy_types_stop_at_the_scanner() {
    let dependencies = dependencies();
    let users: Vec<&String> = dependencies.iter().filter(|(_, used)| used.contains("envoy-types")).map(|(name, _)| name).collect();
    // The end-to-end tests speak it too: they stand in for a scanner that fails. So does the load test: for one that does nothing.
    assert_eq!(users, ["loadtest", "portcullis-certificates", "portcullis-e2e", "portcullis-scanner"]);
}

#[test]
fn unsafe_stands_in_one_file() {
    let root = root();
    let mut users = Vec::new();
    for file in ["crates", "services", "tests", "loadtest/src", "loadtest/tests", "loadtest/queues"]
        .iter()
        .flat_map(|d| files(&root.join(d), ".rs"))
    {
        let text = std::fs::read_to_string(&file).expect("readable");
        if text.contains(concat!("unsafe", " {")) || text.contains(concat!("unsafe", " fn")) || text.contains(concat!("unsafe", " impl")) {
            users.push(file.strip_prefix(&root).expect("below the root").to_owned());
        }
    }
    assert_eq!(users, [std::path::Path::new("crates/simd/src/avx2.rs")]);
}

#[test]
fn the_engine_cannot_be_serialised() {
    for file in files(&root().join("crates/engine/src"), ".rs") {
        let text = std::fs::read_to_string(&file).expect("readable");
        assert!(!text.contains("Serialize"), "{}", file.display());
    }
}
