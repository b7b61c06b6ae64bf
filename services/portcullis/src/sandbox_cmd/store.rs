//! The file of tokens: changed by one process at a time, replaced as a whole.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use scanner::{RANDOM_BYTES, Tokens};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Place;
use crate::config_files;

/// The sandbox of whoever runs `up`, as the scanner calls those that nobody names.
const OWN: &str = "local";

/// The file of tokens.
#[derive(Debug, Clone)]
pub(crate) struct Store(PathBuf);

impl Store {
    /// Where `up` keeps it. In a folder of its own, so that no other file's change makes the scanner read it again.
    pub(crate) fn path_in(state: &Path) -> PathBuf {
        state.join("sandboxes").join("tokens.json")
    }

    /// The file in a state folder, with its folder made.
    ///
    /// # Errors
    /// When that cannot be made, or others may write to it.
    pub(crate) fn of_state(state: &Path) -> Result<Store> {
        let path = Store::path_in(state);
        path.parent().map_or(Ok(()), config_files::private_dir)?;
        Ok(Store(path))
    }

    pub(super) fn at(place: &Place) -> Result<Store> {
        match &place.tokens {
            Some(path) => Ok(Store(path.clone())),
            None => Store::of_state(&config_files::state_dir(place.state_dir.as_deref())?),
        }
    }

    pub(super) fn read(&self) -> Result<Tokens> {
        Ok(Tokens::read(&self.0)?)
    }

    /// Changes the tokens while nobody else does.
    ///
    /// # Errors
    /// When the file cannot be read or written, or `change` fails.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Tokens) -> Result<T>) -> Result<T> {
        let path = self.0.with_extension("lock");
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.with_context(|| format!("cannot open {}", path.display()))?;
        lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        let before = self.read()?;
        let mut tokens = before.clone();
        let changed = change(&mut tokens)?;
        if tokens != before {
            replace(&self.0, &tokens.to_json()?).with_context(|| format!("cannot write {}", self.0.display()))?;
        }
        Ok(changed)
    }

    /// Makes a token: its id and itself.
    ///
    /// # Errors
    /// As [`Store::change`], and for a name that no sandbox has.
    pub(super) fn add(&self, sandbox: &str) -> Result<(String, String)> {
        let (now, random) = chance()?;
        self.change(|tokens| Ok(tokens.add(sandbox, now, false, random)?))
    }
}

/// The present time, and what a token is made of.
fn chance() -> Result<(String, [u8; RANDOM_BYTES])> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("the system gives no random bytes: {e}"))?;
    let now = OffsetDateTime::from(SystemTime::now()).replace_nanosecond(0)?.format(&Rfc3339)?;
    Ok((now, random))
}

/// Replaces a file as a whole: a reader sees the old content or the new.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    // It may be there from a run that was killed.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// The token of whoever runs `up`; taken back when dropped.
#[derive(Debug)]
pub(crate) struct RunToken {
    store: Store,
    id: String,
    credentials: String,
}

impl RunToken {
    /// Makes one. Those of runs that were killed go.
    ///
    /// # Errors
    /// As [`Store::change`].
    pub(crate) fn make(store: Store) -> Result<RunToken> {
        let (now, random) = chance()?;
        let (id, token) = store.change(|tokens| {
            tokens.retain(|entry| !entry.of_run);
            Ok(tokens.add(OWN, now, true, random)?)
        })?;
        Ok(RunToken { store, id, credentials: format!("{OWN}:{token}") })
    }

    /// For the proxy's URL.
    pub(crate) fn credentials(&self) -> &str {
        &self.credentials
    }
}

impl Drop for RunToken {
    fn drop(&mut self) {
        // The gateway that knows it ends too; the next `up` tries again.
        drop(self.store.change(|tokens| Ok(tokens.retain(|entry| entry.id != self.id))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let state = tempfile::tempdir().expect("a folder");
        let store = Store::of_state(state.path()).expect("a store");
        (state, store)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn the_file_is_the_owners_alone_and_does_not_hold_the_token() {
        let (_state, store) = store();
        let (id, token) = store.add("agent-7").expect("a token");
        assert_eq!((mode(&store.0), mode(store.0.parent().expect("a folder"))), (0o600, 0o700));
        let text = fs::read_to_string(&store.0).expect("a file");
        assert!(text.contains(&id) && !text.contains(&token) && !text.contains(token.trim_start_matches("pcs_")), "{text}");
        let (other, _) = store.add("agent-7").expect("another");
        assert_eq!(store.change(|t| Ok(t.retain(|e| e.id != id))).expect("changed"), 1);
        assert_eq!(store.read().expect("read").entries().iter().map(|e| e.id.clone()).collect::<Vec<_>>(), [other]);
        fs::set_permissions(&store.0, fs::Permissions::from_mode(0o620)).expect("changed");
        assert!(store.read().expect_err("refused").to_string().contains("chmod 600"));
    }

    #[test]
    fn tokens_made_at_the_same_time_are_all_kept() {
        let (_state, store) = store();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let store = store.clone();
                scope.spawn(move || store.add(&format!("agent-{n}")).expect("a token"));
            }
        });
        assert_eq!(store.read().expect("read").entries().len(), 8);
    }

    #[test]
    fn the_token_of_a_run_ends_with_the_run_or_the_next_one() {
        let (_state, store) = store();
        let run = RunToken::make(store.clone()).expect("a token");
        assert!(run.credentials().starts_with("local:pcs_") && !format!("{store:?}").contains("pcs_"));
        std::mem::forget(run);
        let next = RunToken::make(store.clone()).expect("a token");
        assert_eq!(store.read().expect("read").entries().len(), 1, "the token of a killed run is still there");
        drop(next);
        assert!(store.read().expect("read").entries().is_empty());
    }
}
