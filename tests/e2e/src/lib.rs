//! The harness of the end-to-end tests: everything real, on one machine, on loopback.
//!
//! A [`Stack`] is the usual set: an [`Origin`] that records what reaches it, a [`Dns`] server that knows its names, a [`Gateway`] (the
//! real binary with a real Envoy) and a [`Client`] behind it. Assertions are made on the bytes at the origin, not on our own verdict.
//!
//! Each origin listens on ports 443 and 80 of a loopback address of its own, so that URLs, policy and Envoy configuration are those of
//! real life and tests can run side by side. Binding them takes root, or `sysctl -w net.ipv4.ip_unprivileged_port_start=80`.
//!
//! Every wait is for an event, under [`PATIENCE`].

pub mod admin;
mod authority;
mod client;
mod connection;
mod dns;
mod fake;
mod gateway;
pub mod git;
mod h2;
mod load;
mod mount;
mod origin;
mod pods;
pub mod processes;
mod record;
mod request;
pub mod secret;
mod stack;

use std::time::Duration;

pub use authority::TestCa;
pub use client::Client;
pub use connection::{Connection, Response};
pub use dns::{Dns, dns_reply};
pub use fake::{FakeScanner, RunningFake};
pub use gateway::{Gateway, GatewayOptions, binary};
pub use h2::{H2, H2Stream};
pub use load::{Load, Outcome};
pub use mount::Mount;
pub use origin::{Answer, Origin, Tap, When, listen};
pub use pods::{Pod, Pods, PodsOptions, envoy_binary, validate};
pub use record::{BodyEnd, Recorded, Scheme};
pub use request::Request;
pub use secret::github_pat;
pub use stack::{Stack, client_tool, client_tool_path};

/// The longest time without any progress before a wait of the harness is an error.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a future under [`PATIENCE`].
pub(crate) async fn patiently<F: Future>(what: &str, future: F) -> anyhow::Result<F::Output> {
    tokio::time::timeout(PATIENCE, future).await.map_err(|_| anyhow::anyhow!("waited {} s for {what}", PATIENCE.as_secs()))
}
