//! nftables, in the namespace it is called from.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Takes over a text of rules in one transaction: all of it or nothing.
///
/// # Errors
/// The text is refused; the error holds what nft said, and the text.
pub(crate) async fn apply(rules: &str) -> Result<()> {
    apply_with(Command::new("nft"), rules).await
}

/// The same with another way to run nft, such as on another host.
///
/// # Errors
/// As [`apply`].
pub(crate) async fn apply_with(mut nft: Command, rules: &str) -> Result<()> {
    nft.args(["--file", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = nft.spawn().context("cannot run nft")?;
    let mut stdin = running.stdin.take().context("no standard input")?;
    stdin.write_all(rules.as_bytes()).await?;
    drop(stdin);
    let output = running.wait_with_output().await?;
    if !output.status.success() {
        bail!("nft: {}\n{rules}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
