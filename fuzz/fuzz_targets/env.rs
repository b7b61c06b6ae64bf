//! Any bytes as an env file: refused or taken, never a panic; and whatever was taken can be registered.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pairs) = engine::known::env::parse(bytes) {
        drop(engine::Known::build(pairs, &engine::KnownKey([1; 32]), &engine::FingerprintKey([2; 32])));
    }
});
