//! What every service needs around its own work: listening, logs, traces, the metrics endpoint, the audit sink, shutdown.

mod audit;
mod endpoint;
mod listen;
mod logging;
mod process;
mod shutdown;

pub use audit::{AuditError, AuditSink};
pub use endpoint::{Endpoint, Readiness};
pub use listen::{Address, AddressError, Listener};
pub use logging::{LogError, LogGuard, TraceParent, init, parent_of};
pub use shutdown::{Shutdown, signal};
