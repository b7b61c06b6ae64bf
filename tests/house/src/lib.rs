//! What the tests of the house share: the tree, and what cargo knows of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the tree is where the tests were built")
}

/// What `cargo metadata` says.
///
/// # Panics
/// When cargo does not run: these are tests.
pub fn metadata(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        // Only this platform's packages are on this machine.
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", env!("HOUSE_TARGET")])
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// All files below `dir` whose name ends with `suffix`.
pub fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && name != ".git" && name != "corpus" {
                found.extend(files(&path, suffix));
            }
        } else if name.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found
}
