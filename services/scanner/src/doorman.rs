//! Who sends: by proxy credentials, by client certificate, by address, or nobody in particular.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use data_encoding::BASE64;
use inspect::{Identity, Inspector};
use telemetry::Watch;

use crate::extproc::translate::Seen;
use crate::metrics::Files;
use crate::{Metrics, Tokens, TokensError};

/// Longer credentials are nobody's; a name and a token take less than 200 bytes.
const MAX_CREDENTIALS: usize = 1024;
/// What a request is put down to whose credentials are nobody's; no sandbox has this name.
const NOBODY: &str = "(unknown)";

/// Names the sandbox of a request; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Doorman {
    inspector: Inspector,
    tokens: Arc<ArcSwap<Tokens>>,
    /// The name of all that nobody else is.
    others: Arc<str>,
}

impl Doorman {
    /// # Errors
    /// The file is there and cannot be used.
    pub(crate) fn new(inspector: Inspector, others: Arc<str>, tokens: Option<&Path>) -> Result<Doorman, TokensError> {
        let tokens = tokens.map_or_else(|| Ok(Tokens::default()), Tokens::read)?;
        Ok(Doorman { inspector, tokens: Arc::new(ArcSwap::from_pointee(tokens)), others })
    }

    /// Reads the file again when it changes, until the watch is dropped. A file that cannot be used keeps what was before.
    ///
    /// # Errors
    /// Its folder cannot be watched.
    pub(crate) fn follow(&self, path: &Path, metrics: Arc<Metrics>) -> io::Result<Watch> {
        let (tokens, path) = (Arc::clone(&self.tokens), path.to_owned());
        let files: [PathBuf; 1] = [path.clone()];
        Watch::files(&files, None, move || match Tokens::read(&path) {
            Ok(new) if new == **tokens.load() => metrics.unchanged(Files::Tokens),
            Ok(new) => {
                tokens.store(Arc::new(new));
                metrics.reloaded(Files::Tokens, true);
                tracing::info!("the tokens of sandboxes were loaded anew");
            }
            Err(error) => {
                metrics.reloaded(Files::Tokens, false);
                tracing::error!(%error, "the new tokens cannot be used; the old ones stay");
            }
        })
    }

    /// The sandbox's name, and how that is known. Whoever shows credentials is known by them or not at all.
    pub(crate) fn who(&self, seen: &Seen) -> (String, Identity) {
        if let Some(credentials) = &seen.credentials {
            let tokens = self.tokens.load();
            return match basic(credentials).and_then(|(name, token)| Some((tokens.id_of(&name, &token)?, name))) {
                Some((id, name)) => (name, Identity::Token(id)),
                None => (NOBODY.to_owned(), Identity::Refused),
            };
        }
        let snapshot = self.inspector.snapshot();
        if let Some(uri) = seen.certificate.as_deref().filter(|_| snapshot.policy.knows_certificates()) {
            return match snapshot.policy.sandbox_of_certificate(uri) {
                Some(name) => (name, Identity::Certificate),
                None => (NOBODY.to_owned(), Identity::Refused),
            };
        }
        let address = seen.source.as_ref().and_then(|text| text.parse::<IpAddr>().ok());
        match address.and_then(|address| snapshot.policy.sandbox_at(address)) {
            Some(name) => (name.to_owned(), Identity::Address),
            None => (self.others.as_ref().to_owned(), Identity::Unknown),
        }
    }
}

/// Name and password of Basic credentials (RFC 7617 section 2).
fn basic(credentials: &str) -> Option<(String, String)> {
    if credentials.len() > MAX_CREDENTIALS {
        return None;
    }
    let (scheme, value) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(value.trim().as_bytes()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
