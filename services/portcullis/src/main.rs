//! The one binary of Portcullis.

mod ca;
mod cli;
mod config_files;
mod envoy;
mod gateway;
mod known_files;
mod out;
mod pki_cmd;
mod policy_cmd;
mod probe_cmd;
mod process;
mod replay;
mod roles;
mod rules_cmd;
mod rules_docs;
mod rules_import;
mod sandbox_cmd;
mod scan;
mod signals;
mod up;

use std::process::ExitCode;

/// What looks at bytes allocates and frees a great many small things, in all threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
