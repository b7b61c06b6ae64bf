//! Any text as a policy file: refused or taken, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    drop(policy::Policy::from_yaml("fuzz", text));
});
