//! The hash by which a policy names a credential that it does not hold.

use std::fmt;

/// Under a context of its own, a hash made here means nothing anywhere else (BLAKE3 section 6.2).
const CONTEXT: &str = "Portcullis 2026-11-24 policy only.credentials";
/// Shorter values can be guessed from their hash.
const LEAST_BYTES: usize = 20;
/// A value that repeats few characters can be guessed too.
const LEAST_DISTINCT: usize = 10;
const PREFIX: &str = "fp:";

/// A credential's hash, as `only` lists it: `fp:` and 64 hexadecimal digits. Compared in constant time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CredentialPrint(blake3::Hash);

/// Why there is no hash of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too short or too regular: its hash could be guessed; expected a random credential of at least {LEAST_BYTES} bytes \
     (register others with --known and name them known-secret:NAME)"
)]
pub struct TooWeak;

impl CredentialPrint {
    /// The hash of a credential, for a policy file.
    ///
    /// # Errors
    /// [`TooWeak`] for what could be guessed from its hash.
    pub fn make(credential: &[u8]) -> Result<CredentialPrint, TooWeak> {
        let credential = credential.trim_ascii();
        let mut seen = [false; 256];
        let distinct = credential.iter().filter(|b| !std::mem::replace(&mut seen[usize::from(**b)], true)).count();
        if credential.len() < LEAST_BYTES || distinct < LEAST_DISTINCT {
            return Err(TooWeak);
        }
        Ok(CredentialPrint::of(credential))
    }

    /// The hash of what a request carries.
    pub(super) fn of(value: &[u8]) -> CredentialPrint {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(value.trim_ascii());
        CredentialPrint(hasher.finalize())
    }

    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<CredentialPrint> {
        let hex = text.strip_prefix(PREFIX)?;
        let lower = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        blake3::Hash::from_hex(hex).ok().filter(|_| lower).map(CredentialPrint)
    }
}

impl fmt::Display for CredentialPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.to_hex())
    }
}

impl fmt::Debug for CredentialPrint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
