//! What every service needs around its own work: listening, mutual TLS, logs, traces, the metrics endpoint, the audit sink, files that
//! change, shutdown.

mod audit;
mod endpoint;
mod incoming;
mod listen;
mod logging;
mod process;
mod seldom;
mod shutdown;
mod tls;
mod version;
mod watch;

pub use audit::{AuditError, AuditSink};
pub use endpoint::{Endpoint, Readiness};
pub use incoming::{Connection, Incoming};
pub use listen::{Address, AddressError, Listener};
pub use logging::{LogError, LogGuard, TraceParent, init, parent_of};
pub use shutdown::{Shutdown, signal};
pub use tls::{Guard, Tls, TlsError};
pub use version::build_info;
pub use watch::Watch;
