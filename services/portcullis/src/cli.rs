//! The command line: what can be said, and which exit code comes of it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::out;
use crate::process::keep_memory_private;

/// Exit codes that tools rely on.
pub(crate) mod exit {
    /// All is fine.
    pub(crate) const FINE: u8 = 0;
    /// Something was found or denied.
    pub(crate) const FOUND: u8 = 1;
    /// The command could not run.
    pub(crate) const FAILED: u8 = 2;
    /// The command line is wrong (`EX_USAGE` of sysexits.h).
    pub(crate) const USAGE: u8 = 64;
}

/// The egress gateway for AI coding agents.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway on this machine: scanner, certificates and Envoy.
    Up(crate::up::UpArgs),
    /// Look for secrets in files, folders or standard input.
    Scan(crate::scan::ScanArgs),
    /// Judge recorded requests, one JSON object a line.
    Replay(crate::replay::ReplayArgs),
    /// List and check detectors.
    #[command(subcommand)]
    Rules(crate::rules_cmd::RulesCommand),
    /// Check a policy, or explain what it says of a request.
    #[command(subcommand)]
    Policy(crate::policy_cmd::PolicyCommand),
    /// Make, list and take back the tokens by which sandboxes are known.
    #[command(subcommand)]
    Sandbox(crate::sandbox_cmd::SandboxCommand),
    /// Make or show the certificate authority.
    #[command(subcommand)]
    Ca(crate::ca::CaCommand),
    /// Try every way out of the sandbox this runs in, and say what got out.
    Probe(crate::probe_cmd::ProbeArgs),
    /// Make and renew the certificates and keys by which the parts of a gateway know each other.
    #[command(subcommand)]
    Pki(crate::pki_cmd::PkiCommand),
    /// Run the scanner service.
    Scanner(crate::roles::ScannerArgs),
    /// Run Envoy on a configuration as it is, and let it finish what is under way when it is told to end.
    Gateway(crate::gateway::GatewayArgs),
    /// Run the certificates service.
    Certificates(crate::roles::CertificatesArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Parses the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes.
            let code = if error.use_stderr() { exit::USAGE } else { exit::FINE };
            // A closed standard output is the reader's choice.
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    let result = run_command(cli.command);
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if out::is_broken_pipe(&error) => ExitCode::from(exit::FINE),
        Err(error) => {
            out::error(&format!("{error:#}"));
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Runs a command; those that serve keep their memory to themselves first.
fn run_command(command: Command) -> Result<u8> {
    let serves = matches!(command, Command::Up(_) | Command::Scanner(_) | Command::Gateway(_) | Command::Certificates(_) | Command::Pki(_));
    if serves {
        keep_memory_private()?;
    }
    match command {
        Command::Up(args) => crate::up::run(args),
        Command::Scan(args) => crate::scan::run(&args),
        Command::Replay(args) => crate::replay::run(&args),
        Command::Rules(command) => crate::rules_cmd::run(command),
        Command::Policy(command) => crate::policy_cmd::run(command),
        Command::Sandbox(command) => crate::sandbox_cmd::run(&command),
        Command::Ca(command) => crate::ca::run(command),
        Command::Probe(args) => crate::probe_cmd::run(args),
        Command::Pki(command) => crate::pki_cmd::run(command),
        Command::Scanner(args) => crate::roles::scanner(args),
        Command::Gateway(args) => crate::gateway::run(&args),
        Command::Certificates(args) => crate::roles::certificates(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "portcullis", &mut script);
            out::bytes(&script).map(|()| exit::FINE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
