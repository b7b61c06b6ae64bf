//! The program on a copy of what it writes.

use std::path::{Path, PathBuf};
use std::process::Command;

fn manifest() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(root: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queues"));
    command.arg("--root").arg(root).args(["--jobs", "1000", "--sandboxes"]).arg(manifest().join("sandboxes.toml"));
    command.arg("--capacity").arg(manifest().join("tests/fixture-invented-capacity.json")).args(arguments).output().expect("it runs")
}

/// A copy of what is read and written of the house.
fn house() -> tempfile::TempDir {
    let (copy, root) = (tempfile::tempdir().expect("a folder"), manifest().join("../.."));
    let files = [
        "docs/scaling.md",
        "envoy/envoy.yaml",
        "deploy/components/high-availability/autoscalers.yaml",
        "deploy/base/system/gateway/deployment.yaml",
        "deploy/base/system/scanner/deployment.yaml",
    ];
    for file in files {
        let to = copy.path().join(file);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        std::fs::copy(root.join(file), to).expect(file);
    }
    std::fs::create_dir_all(copy.path().join("docs/pictures")).expect("made");
    copy
}

#[test]
fn writing_twice_writes_the_same_and_only_between_the_markers() {
    let house = house();
    let read = |file: &str| std::fs::read_to_string(house.path().join(file)).expect(file);
    let prose = |text: &str| {
        let mut inside = false;
        let kept = text.lines().filter(|line| {
            let (opens, closes) = (line.starts_with("<!-- queues:"), line.starts_with("<!-- /queues:"));
            inside = (inside || opens) && !closes;
            !inside || opens
        });
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    let before = read("docs/scaling.md");
    let output = run(house.path(), &["--write"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (once, picture) = (read("docs/scaling.md"), read("docs/pictures/scaling.svg"));
    assert!(run(house.path(), &["--write"]).status.success());
    assert_eq!((once.clone(), picture.clone()), (read("docs/scaling.md"), read("docs/pictures/scaling.svg")));
    assert_eq!(prose(&before), prose(&once));
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
    assert!(once.contains("| 1,000,000 | scanner |") && !once.contains("NaN"), "{once}");
}

#[test]
fn what_is_printed_is_what_is_written_and_a_missing_marker_is_said() {
    let house = house();
    let printed = run(house.path(), &[]);
    assert!(printed.status.success() && String::from_utf8_lossy(&printed.stdout).contains("a fixture of tests: every figure is invented"));
    std::fs::write(house.path().join("docs/scaling.md"), "# Nothing\n").expect("written");
    let output = run(house.path(), &["--write"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("no one pair of markers for workload"));
    let lacking = run(&house.path().join("nowhere"), &[]);
    assert!(!lacking.status.success() && String::from_utf8_lossy(&lacking.stderr).contains("cannot read"));
}

#[test]
fn no_invented_figure_is_in_the_document() {
    let document = std::fs::read_to_string(manifest().join("../../docs/scaling.md")).expect("docs/scaling.md");
    assert!(!document.contains("invented"), "docs/scaling.md was written from the fixture of the tests");
}
