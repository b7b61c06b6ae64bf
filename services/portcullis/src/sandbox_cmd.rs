//! `portcullis sandbox token`: the tokens by which sandboxes are known.

mod store;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::cli::exit;
use crate::out;

pub(crate) use store::{RunToken, Store};

/// What `sandbox` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// The tokens for the proxy's URL.
    #[command(subcommand)]
    Token(TokenCommand),
}

/// What `sandbox token` can be told.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token for a sandbox, and print it: this once, for it is kept nowhere.
    Add {
        /// The sandbox's name: letters, digits, `-`, `_`, `.`
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List ids, sandboxes and when tokens were made; never the tokens.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Take a token back: a running gateway refuses it within a second, in open tunnels too.
    Revoke {
        /// The token's id, as `list` and audit records tell it.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the tokens are.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The file of tokens [default: `sandboxes/tokens.json` in the state folder].
    #[arg(long, value_name = "FILE", conflicts_with = "state_dir")]
    tokens: Option<PathBuf>,
    /// The state folder of `up` [default: $XDG_STATE_HOME/portcullis or ~/.local/state/portcullis].
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or written, or there is no such token.
pub(crate) fn run(command: &SandboxCommand) -> Result<u8> {
    let SandboxCommand::Token(command) = command;
    match command {
        TokenCommand::Add { name, place } => {
            let (id, token) = Store::at(place)?.add(name)?;
            out::note(&format!("token {id} for {name}; the proxy's URL is http://{name}:TOKEN@GATEWAY:PORT"));
            out::line(&token)?;
        }
        TokenCommand::List { place } => {
            for entry in Store::at(place)?.read()?.entries() {
                let of_run = if entry.of_run { "  (of a running `up`)" } else { "" };
                out::line(&format!("{}  {}  {}{of_run}", entry.id, entry.made, entry.sandbox))?;
            }
        }
        TokenCommand::Revoke { id, place } => {
            if Store::at(place)?.change(|tokens| Ok(tokens.retain(|entry| entry.id != *id)))? == 0 {
                bail!("there is no token {id}; `portcullis sandbox token list` tells the ids");
            }
        }
    }
    Ok(exit::FINE)
}
