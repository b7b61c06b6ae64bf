//! What the documents say of the tree is so.

use portcullis_house::{files, root};

fn all_tests() -> String {
    let root = root();
    ["crates", "services", "tests", "loadtest/src", "loadtest/tests", "loadtest/queues"]
        .iter()
        .flat_map(|d| files(&root.join(d), ".rs"))
        .map(|f| std::fs::read_to_string(f).expect("readable"))
        .collect()
}

/// Each invariant of docs/architecture.md names the test that holds it: `Held by \`name\``.
#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let tests = all_tests();
    let mut held = 0;
    for paragraph in text.split("**Invariant:**").skip(1) {
        let end = paragraph.find("\n\n").unwrap_or(paragraph.len());
        let (_, after) =
            paragraph[..end].split_once("Held by ").unwrap_or_else(|| panic!("an invariant names no test: {}", &paragraph[..end]));
        for name in after.split('`').skip(1).step_by(2) {
            assert!(tests.contains(&format!("fn {name}(")), "docs/architecture.md names a test that does not exist: {name}");
            held += 1;
        }
    }
    assert!(held >= 8, "only {held} invariants");
}

/// Paths in backquotes in the README and in docs/ exist.
#[test]
fn paths_in_documents_exist() {
    let root = root();
    let mut documents = files(&root.join("docs"), ".md");
    documents.push(root.join("README.md"));
    for document in documents {
        let text = std::fs::read_to_string(&document).expect("readable");
        for word in text.split('`').skip(1).step_by(2) {
            let first = word.split('/').next().unwrap_or_default();
            if ["crates", "services", "envoy", "proto", "docs", "tests", "deploy"].contains(&first)
                && word.contains('/')
                && !word.contains([' ', '*', '{', ':'])
            {
                assert!(root.join(word).exists(), "{} names {word}", document.display());
            }
        }
    }
}

/// What stands above the matrix in docs/limits.md is written from a file of its own, and would be lost if it were changed in one place only.
#[test]
fn limits_begin_with_their_head() {
    let read = |path| std::fs::read_to_string(root().join(path)).expect("readable");
    let (limits, head) = (read("docs/limits.md"), read("tests/evasion/limits.head.md"));
    assert!(limits.starts_with(&head), "docs/limits.md and tests/evasion/limits.head.md differ above the matrix");
}

/// No scanner should flag our own tree: values of secrets are made at run time.
#[test]
fn no_test_is_ignored_and_none_expects_a_panic() {
    let root = root();
    for file in ["crates", "services", "tests", "loadtest/src", "loadtest/tests", "loadtest/queues"]
        .iter()
        .flat_map(|d| files(&root.join(d), ".rs"))
    {
        let text = std::fs::read_to_string(&file).expect("readable");
        for word in [concat!("#[", "ignore"), concat!("#[", "should_panic")] {
            assert!(!text.contains(word), "{} has {word}", file.display());
        }
    }
}
