//! What both services can be told of mutual TLS.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use telemetry::Address;

/// Mutual TLS on TCP addresses.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Mutual TLS on TCP addresses, with the tls.crt, tls.key and ca.crt of this folder; read again when they change. Unix sockets are
    /// guarded by their mode [default: no TLS].
    #[arg(long, value_name = "DIR")]
    pub(super) tls_dir: Option<PathBuf>,
    /// A DNS name of which the gateway's certificate must have one; may be given several times.
    #[arg(long, value_name = "NAME", requires = "tls_dir", default_value = "portcullis-gateway")]
    pub(super) tls_peer: Vec<String>,
}

impl TlsArgs {
    /// Says what traffic would cross the network in the clear, or that there is none that TLS could guard.
    ///
    /// # Errors
    /// There is a folder of certificates, and no TCP address.
    pub(super) fn check<'a>(&self, listen: impl IntoIterator<Item = Option<&'a Address>>) -> Result<()> {
        let tcp: Vec<_> = listen
            .into_iter()
            .flatten()
            .filter_map(|address| match address {
                Address::Tcp(address) => Some(address),
                Address::Unix(_) => None,
            })
            .collect();
        if self.tls_dir.is_some() && tcp.is_empty() {
            bail!("--tls-dir is for TCP addresses, and there is none: a Unix socket is guarded by its mode");
        }
        if self.tls_dir.is_none() {
            for address in tcp.iter().filter(|address| !address.ip().is_loopback()) {
                tracing::warn!(%address, "no --tls-dir: what travels to and from this address is readable on the network");
            }
        }
        Ok(())
    }
}
