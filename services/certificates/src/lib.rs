//! The certificates service: the only process that holds the key of the certificate authority.
//!
//! Envoy asks for one leaf per server name over delta ADS ([`sds`]); the pure module [`mint`] signs it; [`authority`] keeps the
//! key on disk; [`pki`] says which certificates and keys the parts of a gateway need, and when each is made anew. Names come from the TLS hellos of sandboxes, so every one of them is hostile until [`name::HostName`] says otherwise.

pub mod authority;
pub mod bundle;
pub mod cache;
pub mod error;
pub mod metrics;
pub mod mint;
pub mod name;
pub mod pki;
mod rotation;
pub mod sds;
pub mod server;
mod subscriptions;

pub use authority::{Authority, KeyAccess};
pub use bundle::{find_system_roots, write_bundle};
pub use error::CertificatesError;
pub use name::HostName;
pub use server::{Bound, Certificates, Config, Limits, TlsConfig};
pub use telemetry::Address;
