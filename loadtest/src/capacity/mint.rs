//! What a leaf costs the certificates service.

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::route::Route;
use crate::scenario::Protocol;
use crate::usage::{Meter, Process};

/// Names that are asked for at the same time.
const AT_A_TIME: usize = 8;

/// Processor time for one leaf of a name that was never asked for, µs: a TLS handshake through a tunnel asks for one.
///
/// # Errors
/// A handshake fails.
pub(super) async fn cost(route: &Route, certificates: &Process, leaves: usize) -> Result<f64> {
    let meter = Meter::start(std::slice::from_ref(certificates))?;
    let mut workers = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let route = route.clone();
        workers.spawn(async move {
            for number in (worker..leaves).step_by(AT_A_TIME) {
                route.open(&format!("n{number}.mint.example.org"), Protocol::Http1, 0).await?;
            }
            anyhow::Ok(())
        });
    }
    workers.join_all().await.into_iter().collect::<Result<()>>()?;
    let used = meter.stop()?;
    let (_, seconds) = used.first().context("a process")?;
    Ok(seconds * 1e6 / leaves as f64)
}
