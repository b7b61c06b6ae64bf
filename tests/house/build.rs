//! Tells the tests for which platform they were built.

fn main() {
    println!("cargo::rustc-env=HOUSE_TARGET={}", std::env::var("TARGET").expect("cargo sets TARGET"));
}
