//! Any sequence of Envoy's messages and alarms: never a panic, and the rules of the session hold.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| scanner::fuzzing::play(data));
