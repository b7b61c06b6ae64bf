//! Files that hold known secrets: read, handed to the engine, wiped.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use engine::known::{MAX_TOTAL_BYTES, Refused, env};
use engine::{Engine, FingerprintKey, Known, KnownKey};
use zeroize::Zeroizing;

use crate::config_files;

/// The largest file that is read.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// Folders inside folders that are looked into.
const MAX_DEPTH: usize = 4;
/// Files that are read.
const MAX_FILES: usize = 20_000;
/// The longest name that is shown.
const MAX_NAME: usize = 128;

/// The paths that were given, and the key of this process.
pub(crate) struct Registry {
    paths: Vec<PathBuf>,
    key: KnownKey,
}

impl Registry {
    /// A registry over files, env files and folders.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn new(paths: &[PathBuf]) -> Result<Registry> {
        Ok(Registry { paths: paths.to_vec(), key: KnownKey(config_files::random_key()?.0) })
    }

    /// The engine with what the files hold now. What is refused is told, by its name.
    ///
    /// # Errors
    /// When a path cannot be read, or an env file is none.
    pub(crate) fn lay_over(&self, engine: Engine, fingerprints: &FingerprintKey, tell: &mut dyn FnMut(String)) -> Result<Engine> {
        Ok(match self.load(fingerprints, tell)? {
            Some(known) => engine.with_known(known),
            None => engine,
        })
    }

    /// Reads the files only, to tell what is wrong with them.
    ///
    /// # Errors
    /// When a path cannot be read, or an env file is none.
    pub(crate) fn check(&self, tell: &mut dyn FnMut(String)) -> Result<()> {
        self.load(&config_files::random_key()?, tell).map(drop)
    }

    /// Reads the files; `None`: there are none. What is not taken is told.
    ///
    /// # Errors
    /// When a path cannot be read, or an env file is none.
    pub(crate) fn load(&self, fingerprints: &FingerprintKey, tell: &mut dyn FnMut(String)) -> Result<Option<Known>> {
        if self.paths.is_empty() {
            return Ok(None);
        }
        let mut values = Vec::new();
        for path in &self.paths {
            read(path, &mut values).with_context(|| format!("cannot read the known secrets {}", path.display()))?;
        }
        let (known, refused) = Known::build(values, &self.key, fingerprints);
        for Refused { name, why } in &refused {
            tell(format!("known secret {name} is not looked for: {why}"));
        }
        // A folder may be empty: that of a Secret which nobody has filled.
        if !refused.is_empty() || (known.is_empty() && self.paths.iter().any(|path| path.is_file())) {
            tell(format!("known secrets: {} are looked for, {} were refused", known.len(), refused.len()));
        }
        Ok(Some(known))
    }

    /// Files whose folders tell of a change: Kubernetes swaps the link `..data` in the folder of a Secret.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let folders = |path: &PathBuf| {
            let all = walkdir::WalkDir::new(path).max_depth(MAX_DEPTH).into_iter().filter_entry(|e| !is_swapped(e.path())).flatten();
            all.filter(|e| e.file_type().is_dir()).map(|e| e.path().join("..data")).collect::<Vec<_>>()
        };
        self.paths.iter().flat_map(|path| if path.is_dir() { folders(path) } else { vec![path.clone()] }).collect()
    }
}

/// Whether an entry belongs to the way in which Kubernetes swaps a Secret as a whole (`..data`, `..2026_11_23_…`): its files are seen through
/// links beside it.
fn is_swapped(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
}

fn read(path: &Path, values: &mut Vec<env::Pair>) -> Result<()> {
    if !path.is_dir() {
        let bytes = contents(path)?;
        return file(path, &shown(path.file_name().unwrap_or(path.as_os_str())), bytes, env::is_env, values);
    }
    let entries = walkdir::WalkDir::new(path).follow_links(true).max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
    for (count, entry) in entries.filter_entry(|e| e.depth() == 0 || !is_swapped(e.path())).enumerate() {
        let entry = entry?;
        if count > MAX_FILES {
            bail!("more than {MAX_FILES} files");
        }
        if entry.file_type().is_file() {
            let name = shown(entry.path().strip_prefix(path).unwrap_or(entry.path()).as_os_str());
            let bytes = contents(entry.path()).with_context(|| format!("the file {name}"))?;
            // In a folder a file is a value, whatever it looks like, unless its name says otherwise.
            file(entry.path(), &name, bytes, |_| false, values).with_context(|| format!("the file {name}"))?;
        }
        if values.iter().map(|(_, v)| v.len()).sum::<usize>() > 2 * MAX_TOTAL_BYTES {
            bail!("more than {MAX_TOTAL_BYTES} bytes");
        }
    }
    Ok(())
}

/// The values of one file.
fn file(path: &Path, name: &str, bytes: Zeroizing<Vec<u8>>, is_env: fn(&[u8]) -> bool, values: &mut Vec<env::Pair>) -> Result<()> {
    let named_env = path.extension().is_some_and(|e| e == "env") || path.file_name().is_some_and(|n| n == ".env");
    if named_env || is_env(&bytes) {
        values.extend(env::parse(&bytes)?.into_iter().filter(|(_, value)| !value.is_empty()));
        return Ok(());
    }
    values.push((name.to_owned(), bytes));
    Ok(())
}

/// A file's bytes, in one buffer that is wiped.
fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let file = fs::File::open(path)?;
    let len = file.metadata()?.len();
    if len > MAX_FILE_BYTES {
        bail!("larger than {MAX_FILE_BYTES} bytes");
    }
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(len)? + 1));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        bail!("larger than {MAX_FILE_BYTES} bytes");
    }
    Ok(bytes)
}

/// A name as it may be written to a terminal or a log.
fn shown(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn id(registry: &Registry) -> Result<engine::EngineId> {
        let key = FingerprintKey([7; 32]);
        let engine = Engine::compile(&rules::RuleSet::default(), engine::Limits::default(), key.clone())?;
        Ok(registry.lay_over(engine, &key, &mut |_| {})?.id())
    }

    /// As the kubelet does it: a new folder, and a link that is renamed over the old one.
    fn swap(mount: &Path, version: &str, value: &str) {
        fs::create_dir(mount.join(version)).expect("made");
        fs::write(mount.join(version).join("token"), value).expect("written");
        symlink(version, mount.join("..new")).expect("linked");
        fs::rename(mount.join("..new"), mount.join("..data")).expect("swapped");
    }

    #[test]
    fn a_mounted_secret_that_is_swapped_is_read_anew_and_watched_where_that_happens() {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = folder.path().join("mount");
        fs::create_dir(&mount).expect("made");
        swap(&mount, "..1", "q7Zr2mKv9xW4nB8sL1");
        symlink("..data/token", mount.join("token")).expect("linked");
        let registry = Registry::new(std::slice::from_ref(&mount)).expect("a registry");
        let first = id(&registry).expect("read");
        assert_eq!(id(&registry).expect("read"), first, "nothing changed");
        swap(&mount, "..2", "Lw3Xz8Tn5Rb1Vq6Yc0");
        assert_ne!(id(&registry).expect("read"), first);
        assert!(registry.watched().contains(&mount.join("..data")));
    }

    #[test]
    fn a_file_that_is_gone_or_no_longer_an_env_file_is_an_error_that_quotes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.env");
        let registry = Registry::new(std::slice::from_ref(&path)).expect("a registry");
        fs::write(&path, "A=q7Zr2mKv9xW4nB8sL1\n").expect("written");
        id(&registry).expect("read");
        fs::write(&path, "A=q7Zr2mKv9xW4nB8sL1\nhalf of a li").expect("written");
        let error = format!("{:#}", id(&registry).expect_err("refused"));
        assert!(error.contains("app.env") && error.contains("line 2") && !error.contains("half"), "{error}");
        fs::remove_file(&path).expect("gone");
        id(&registry).expect_err("refused");
    }
}
