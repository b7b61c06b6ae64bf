//! `portcullis ca`: the certificate authority of this machine.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Result;
use certificates::{Authority, KeyAccess};
use clap::Subcommand;

use crate::cli::exit;
use crate::{config_files, out};

/// What `ca` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum CaCommand {
    /// Make the CA if there is none yet, and the bundle of the system's roots and ours.
    Init {
        /// The folder of the CA [default: `ca` in the state folder].
        #[arg(long, value_name = "DIR")]
        ca_dir: Option<PathBuf>,
    },
    /// Print the CA's certificate (never its key).
    Show {
        /// The folder of the CA [default: `ca` in the state folder].
        #[arg(long, value_name = "DIR")]
        ca_dir: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// When the CA cannot be made or read; one line says which file is at fault.
pub(crate) fn run(command: CaCommand) -> Result<u8> {
    match command {
        CaCommand::Init { ca_dir } => {
            let dir = folder(ca_dir)?;
            let authority = Authority::load_or_create(&dir, KeyAccess::OwnerOnly, SystemTime::now())?;
            let bundle = dir.join("bundle.pem");
            certificates::write_bundle(&certificates::find_system_roots()?, authority.certificate_pem(), &bundle)?;
            out::line(&format!("CA:     {}", dir.join("ca.pem").display()))?;
            out::line(&format!("bundle: {}", bundle.display()))?;
        }
        CaCommand::Show { ca_dir } => {
            let authority = Authority::load(&folder(ca_dir)?, KeyAccess::OwnerOnly, SystemTime::now())?;
            out::bytes(authority.certificate_pem().as_bytes())?;
        }
    }
    Ok(exit::FINE)
}

fn folder(given: Option<PathBuf>) -> Result<PathBuf> {
    Ok(match given {
        Some(dir) => dir,
        None => config_files::state_dir(None)?.join("ca"),
    })
}
