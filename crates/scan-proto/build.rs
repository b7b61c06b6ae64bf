//! Compiles the protocol: protox is a protobuf compiler in Rust, so nobody needs `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let file = root.join("portcullis/scan/v1/scan.proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let set = protox::compile([&file], [&root])?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin"), set.encode_to_vec())?;
    tonic_prost_build::configure().build_client(true).build_server(true).bytes(".").compile_fds(set)?;
    Ok(())
}
