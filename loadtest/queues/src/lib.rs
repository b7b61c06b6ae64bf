//! Capacity on paper: from what one sandbox sends (`sandboxes.toml`) and what requests cost (`loadtest/results/capacity.json`, measured) to
//! replicas for any number of sandboxes, with the bounds that the manifests and the Envoy configuration set; and a simulation of the queues
//! in between, held against theory and against what was measured. It writes the tables of `docs/scaling.md`.

mod capacity;
pub mod costs;
mod limits;
pub mod report;
pub mod sim;
pub mod sizing;
pub mod theory;
pub mod tiers;
mod workload;
pub mod write;

use std::path::{Path, PathBuf};

pub use capacity::{Capacity, LoadPoint};
pub use limits::Limits;
pub use workload::{Activity, Workload};

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The measurements cannot be used.
    #[error("{path}: {why}")]
    Capacity {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The model of a sandbox cannot be used.
    #[error("{path}: {why}")]
    Workload {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A bound is not where it is looked for in a file of the house.
    #[error("{path} does not say {what}")]
    Limit {
        /// The file.
        path: PathBuf,
        /// What is looked for.
        what: &'static str,
    },
    /// A tier lacks the cost of `get`, or of any body.
    #[error("the measurements lack the cost at {tier} of `get`, or of any request with a body")]
    NoCost {
        /// The tier.
        tier: String,
    },
    /// The machine's description names no number of cores.
    #[error("how many cores the machine of the measurements has is not said there; say --cores")]
    Cores,
    /// A document lacks the markers of a table, or has them twice.
    #[error("{path} has no one pair of markers for {name}")]
    Marker {
        /// The document.
        path: PathBuf,
        /// The table.
        name: String,
    },
    /// The picture cannot be drawn.
    #[error("cannot draw: {0}")]
    Picture(String),
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}
