#![expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
//! Tells the tests for which platform they were built.

fn main() {
    println!("cargo::rustc-env=HOUSE_TARGET={}", std::env::var("TARGET").expect("cargo sets TARGET"));
}
