//! The scanner: Envoy's external processor and the Scan API, over one [`inspect::Inspector`].
//!
//! Only `extproc` and `api` know a wire. `extproc::session` is a pure state machine; `extproc::driver` is the loop around it that reads,
//! writes and keeps the time.

mod api;
mod config;
mod doorman;
mod extproc;
#[cfg(fuzzing)]
pub mod fuzzing;
mod metrics;
mod record;
mod reload;
mod service;
mod shared_state;
mod tokens;
mod turns;
mod workers;

pub use config::{Config, Limits, TlsConfig};
pub use metrics::Metrics;
pub use reload::Load;
pub use service::{Bound, Scanner, ScannerError};
pub use shared_state::{SharedState, SharedStateError};
pub use tokens::{Entry, RANDOM_BYTES, Tokens, TokensError};
