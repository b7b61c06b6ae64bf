//! Envoy's admin interface over its socket.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio::net::UnixStream;

use crate::connection::Connection;

/// The body of the answer to a GET.
///
/// # Errors
/// It does not answer 200.
pub(crate) async fn get(socket: &Path, path: &str) -> Result<String> {
    let connection = Connection::new(UnixStream::connect(socket).await.context("admin socket")?);
    let response = connection.page("GET", path).await?;
    if response.status != 200 {
        bail!("admin {path}: {}", response.status);
    }
    Ok(response.text())
}

/// The sum of all statistics whose name contains `name`.
///
/// # Errors
/// The admin interface does not answer.
pub(crate) async fn counter(socket: &Path, name: &str) -> Result<u64> {
    let stats = get(socket, "/stats").await?;
    let values = stats.lines().filter_map(|line| line.split_once(": ")).filter(|(stat, _)| stat.contains(name));
    Ok(values.filter_map(|(_, value)| value.trim().parse::<u64>().ok()).sum())
}
