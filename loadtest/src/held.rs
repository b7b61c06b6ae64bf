//! Memory of what is open: tunnels that are idle, and requests in the middle of their bodies.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::route::Route;
use crate::scenario::Protocol;
use crate::usage::Process;
use crate::words::Words;

/// Where tunnels and requests go.
const HOST: &str = "files.example.org";
/// What was sent has arrived everywhere after this.
const SETTLE: Duration = Duration::from_millis(800);

/// Growth of resident memory of some processes while so many connections are open, bytes for one of them.
///
/// `sent` bytes of a body that never ends are sent on each; none: the tunnels are idle.
///
/// # Errors
/// A connection fails, or a process is gone.
pub(crate) async fn growth(route: &Route, processes: &[Process], count: usize, sent: Option<usize>) -> Result<Vec<(&'static str, f64)>> {
    let before: Vec<u64> = processes.iter().map(Process::resident).collect::<Result<_>>()?;
    let mut open = Vec::with_capacity(count);
    for lane in 0..count {
        let mut stream = route.open(HOST, Protocol::Http1, lane).await?;
        if let Some(sent) = sent {
            begin(&mut stream, lane, sent).await.context("a request that is held")?;
        }
        open.push(stream);
    }
    tokio::time::sleep(SETTLE).await;
    let grown = processes
        .iter()
        .zip(before)
        .map(|(process, before)| Ok((process.role, (process.resident()? as f64 - before as f64) / count as f64)));
    let grown = grown.collect::<Result<_>>();
    drop(open);
    grown
}

/// Sends the head of a request and so many bytes of its body, which is one byte longer.
async fn begin(stream: &mut TlsStream<TcpStream>, number: usize, sent: usize) -> Result<()> {
    let mut text = Words::new(number as u64).marked(sent);
    text.truncate(sent);
    let head = format!("POST /v1/files HTTP/1.1\r\nhost: {HOST}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n", sent + 1);
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(text.as_bytes()).await?;
    Ok(stream.flush().await?)
}
