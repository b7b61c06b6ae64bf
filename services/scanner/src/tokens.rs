//! The tokens by which sandboxes are known, as they are kept: hashes, never the tokens.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blake3::Hash;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

/// The form of the file that this code writes.
const VERSION: u32 = 1;
/// What a token begins with, so that people and scanners know it when they see one.
const PREFIX: &str = "pcs_";
/// Bytes of chance in a token, and in its id.
const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 5;
/// Bytes of chance that a new token takes.
pub const RANDOM_BYTES: usize = SECRET_BYTES + ID_BYTES;
/// Keeps these hashes apart from all others (BLAKE3's key derivation). The tokens hold 256 bits of chance: there is nothing to guess, and
/// so nothing for a slow hash to slow down.
const CONTEXT: &str = "portcullis 2026-11-24 sandbox token";
/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 32 << 20;
/// Tokens of all sandboxes, and of one: each is compared with what a request shows.
const MAX_TOKENS: usize = 65_536;
const MAX_OF_ONE: usize = 64;

/// Why tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The file cannot be read.
    #[error("cannot read the tokens {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others may write to the file: whoever can is every sandbox.
    #[error("the tokens {path} can be written by others (mode {mode:o}): chmod 600 it", path = .0.display(), mode = .1)]
    Open(PathBuf, u32),
    /// It is not what `portcullis sandbox token` writes.
    #[error("the tokens {path}: {what}", path = .0.display(), what = .1)]
    Form(PathBuf, String),
    /// A token that cannot be added.
    #[error("{0}")]
    Refused(String),
}

/// What is kept of a token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is called in lists, in audit records, and by `revoke`.
    pub id: String,
    /// Whose it is.
    pub sandbox: String,
    /// When it was made: RFC 3339.
    pub made: String,
    /// Whether `portcullis up` made it for one run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub of_run: bool,
    /// Hexadecimal.
    hash: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("id", &self.id).field("sandbox", &self.sandbox).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    tokens: Vec<Entry>,
}

/// All tokens of a gateway.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    entries: Vec<Entry>,
    /// By sandbox.
    hashes: HashMap<String, Vec<(Hash, Arc<str>)>>,
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Tokens) -> bool {
        self.entries == other.entries
    }
}

impl Tokens {
    /// Reads a file; one that is not there holds none.
    ///
    /// # Errors
    /// The file cannot be read, can be written by others, or is not what `portcullis sandbox token` writes.
    pub fn read(path: &Path) -> Result<Tokens, TokensError> {
        let failed = |source| TokensError::Read { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Tokens::default()),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(TokensError::Open(path.to_owned(), mode & 0o777));
        }
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Tokens::parse(&bytes).map_err(|what| TokensError::Form(path.to_owned(), what))
    }

    fn parse(bytes: &[u8]) -> Result<Tokens, String> {
        let form: Form = serde_json::from_slice(bytes).map_err(|e| format!("line {}: not what this program writes", e.line()))?;
        if form.version != VERSION {
            return Err(format!("version {} is not known; expected {VERSION}", form.version));
        }
        let mut tokens = Tokens::default();
        for entry in form.tokens {
            let hash = HEXLOWER.decode(entry.hash.as_bytes()).ok().and_then(|bytes| Hash::from_slice(&bytes).ok());
            let hash = hash.ok_or_else(|| format!("the token {}: no hash", entry.id))?;
            tokens.take(entry, hash)?;
        }
        Ok(tokens)
    }

    fn take(&mut self, entry: Entry, hash: Hash) -> Result<(), String> {
        if !policy::is_sandbox_name(&entry.sandbox) {
            return Err(format!("{:?} is no sandbox's name; expected at most 64 letters, digits, - _ .", entry.sandbox));
        }
        if self.entries.len() == MAX_TOKENS {
            return Err(format!("more than {MAX_TOKENS} tokens"));
        }
        let of_one = self.hashes.entry(entry.sandbox.clone()).or_default();
        if of_one.len() == MAX_OF_ONE {
            return Err(format!("{} has {MAX_OF_ONE} tokens already: revoke some", entry.sandbox));
        }
        of_one.push((hash, entry.id.as_str().into()));
        self.entries.push(entry);
        Ok(())
    }

    /// The file's content.
    ///
    /// # Errors
    /// None that can be made to happen: a list of texts can be written as JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, TokensError> {
        let form = Form { version: VERSION, tokens: self.entries.clone() };
        serde_json::to_vec_pretty(&form).map_err(|e| TokensError::Refused(e.to_string()))
    }

    /// What is kept of all tokens, in the order in which they were made.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Makes a token of chance for a sandbox: its id, and the token itself, which is kept nowhere.
    ///
    /// # Errors
    /// A name that no sandbox has, or too many tokens.
    pub fn add(&mut self, sandbox: &str, made: String, of_run: bool, random: [u8; RANDOM_BYTES]) -> Result<(String, String), TokensError> {
        let (secret, id) = random.split_at(SECRET_BYTES);
        let token = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(secret));
        let id = BASE32_NOPAD.encode(id).to_ascii_lowercase();
        if self.entries.iter().any(|entry| entry.id == id) {
            return Err(TokensError::Refused(format!("there is a token {id} already: try again")));
        }
        let hash = hash(&token);
        let entry = Entry { id: id.clone(), sandbox: sandbox.to_owned(), made, of_run, hash: hash.to_hex().to_string() };
        self.take(entry, hash).map_err(TokensError::Refused)?;
        Ok((id, token))
    }

    /// Forgets the tokens that are not to be kept; how many those were.
    pub fn retain(&mut self, keep: impl Fn(&Entry) -> bool) -> usize {
        let gone: Vec<Entry> = self.entries.extract_if(.., |entry| !keep(entry)).collect();
        for entry in &gone {
            if let Some(of_one) = self.hashes.get_mut(&entry.sandbox) {
                of_one.retain(|(_, id)| **id != *entry.id);
            }
        }
        gone.len()
    }

    /// The id of the token by which this sandbox is known; `None`: it is not its token.
    pub(crate) fn id_of(&self, sandbox: &str, token: &str) -> Option<Arc<str>> {
        // Hashed before anything is looked up, and compared with all of the sandbox's: `Hash` compares in constant time.
        let shown = hash(token);
        let of_one = self.hashes.get(sandbox)?;
        of_one.iter().fold(None, |found, (hash, id)| if *hash == shown { Some(id) } else { found }).cloned()
    }
}

fn hash(token: &str) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(token.as_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests;
