//! The matcher against the naive way: every pattern at every byte, over text with pieces of the catalogue.
#![no_main]

use std::sync::LazyLock;

use engine::{Oracle, RuleSet};
use libfuzzer_sys::fuzz_target;

static ORACLE: LazyLock<Oracle> = LazyLock::new(|| Oracle::new(RuleSet::builtin()).expect("the catalogue compiles"));

fuzz_target!(|data: &[u8]| {
    let differences = ORACLE.differences(&portcullis_fuzz::text(data));
    assert!(differences.is_empty(), "{differences:#?}");
});
