//! Envoy's admin interface over its socket.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::net::UnixStream;

use crate::connection::Connection;

/// The body of the answer to a GET.
///
/// # Errors
/// It does not answer 200.
pub async fn get(socket: &Path, path: &str) -> Result<String> {
    let connection = Connection::new(UnixStream::connect(socket).await.context("admin socket")?);
    let response = connection.page("GET", path).await?;
    if response.status != 200 {
        bail!("admin {path}: {}", response.status);
    }
    Ok(response.text())
}

/// Where a listener of this name listens.
///
/// # Errors
/// There is none, or the admin interface does not answer.
pub async fn listener(socket: &Path, name: &str) -> Result<SocketAddr> {
    let all: Value = serde_json::from_str(&get(socket, "/listeners?format=json").await?)?;
    let mut all = all["listener_statuses"].as_array().into_iter().flatten();
    let found = all.find(|listener| listener["name"] == name).with_context(|| format!("no listener {name}"))?;
    let address = &found["local_address"]["socket_address"];
    let port = address["port_value"].as_u64().and_then(|port| u16::try_from(port).ok()).context("no port")?;
    Ok(SocketAddr::new(address["address"].as_str().context("no address")?.parse()?, port))
}

/// The sum of all statistics whose name contains `name`.
///
/// # Errors
/// The admin interface does not answer.
pub async fn counter(socket: &Path, name: &str) -> Result<u64> {
    let stats = get(socket, "/stats").await?;
    let values = stats.lines().filter_map(|line| line.split_once(": ")).filter(|(stat, _)| stat.contains(name));
    Ok(values.filter_map(|(_, value)| value.trim().parse::<u64>().ok()).sum())
}
