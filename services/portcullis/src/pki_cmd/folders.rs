//! Folders, one an item, of the shape that Kubernetes gives to mounted Secrets: files are links through `..data`, which is swapped as a
//! whole, so that who watches them never sees half of two sets. A folder without `..data` was made by somebody else.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, bail};
use certificates::pki::{Files, Held, Item, Planned, Settings};
use zeroize::Zeroizing;

use super::{Line, Outcome};
use crate::config_files;

const DATA: &str = "..data";
const LARGEST_FILE: u64 = 4 << 20;

/// Reads the folder, and makes of it what it should be.
///
/// # Errors
/// A file cannot be read or written, a CA is broken, or the folder is in use.
pub(super) fn bring_up_to_date(dir: &Path, settings: &Settings<'_>) -> Result<(BTreeMap<Item, Planned>, Vec<Line>)> {
    config_files::private_dir(dir)?;
    let _lock = lock(dir)?;
    let mut held = BTreeMap::new();
    for item in settings.groups.iter().flat_map(|group| group.items()) {
        let folder = dir.join(item.folder());
        if let Some(found) = read(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            held.insert(item, found);
        }
    }
    let planned = super::plan(&held, settings).with_context(|| dir.display().to_string())?;
    let mut lines = Vec::new();
    for (item, plan) in &planned {
        let outcome = Outcome::of(held.get(item), plan);
        if matches!(outcome, Outcome::Made | Outcome::Renewed) {
            let folder = dir.join(item.folder());
            write(&folder, &plan.files).with_context(|| format!("cannot write {}", folder.display()))?;
        }
        lines.push(Line { outcome, what: item.folder().to_owned(), ends: plan.ends });
    }
    Ok((planned, lines))
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!("another `portcullis pki` uses {}", dir.display()),
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// What a folder holds; `None`: nothing.
fn read(folder: &Path) -> std::io::Result<Option<Held>> {
    let data = folder.join(DATA);
    let ours = fs::symlink_metadata(&data).is_ok();
    let entries = match fs::read_dir(if ours { &data } else { folder }) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut files = Files::default();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
        if let Some(name) = name.filter(|_| path.is_file()) {
            let mut content = Vec::with_capacity(usize::try_from(fs::metadata(&path)?.len().min(LARGEST_FILE)).unwrap_or_default() + 1);
            File::open(&path)?.take(LARGEST_FILE).read_to_end(&mut content)?;
            files.put(name, content);
        }
    }
    Ok((!files.is_empty()).then_some(Held { files, ours }))
}

/// Writes all files beside the old ones, then swaps.
fn write(folder: &Path, files: &Files) -> Result<()> {
    let mut private = DirBuilder::new();
    private.recursive(true).mode(0o700).create(folder)?;
    let before = fs::read_link(folder.join(DATA)).ok();
    let version = format!("..{:016x}", rand::random::<u64>());
    private.create(folder.join(&version))?;
    for (name, content) in files.iter() {
        let mode = if name.ends_with(".key") { 0o600 } else { 0o644 };
        let mut file = File::options().write(true).create_new(true).mode(mode).open(folder.join(&version).join(name))?;
        file.write_all(content)?;
        file.sync_all()?;
    }
    let swap = folder.join("..data_tmp");
    match fs::remove_file(&swap) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => symlink(&version, &swap)?,
    }
    fs::rename(&swap, folder.join(DATA))?;
    for (name, _) in files.iter() {
        let link = folder.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link)?;
        }
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let through_data = fs::read_link(&path).is_ok_and(|to| to.starts_with(DATA));
        if through_data && !path.exists() {
            fs::remove_file(&path)?;
        }
    }
    if let Some(before) = before.filter(|before| before.file_name().is_some_and(|name| before.as_os_str() == name)) {
        wipe(&folder.join(before))?;
    }
    Ok(())
}

/// Removes an old set. Keys are written over first, which is worth something where files are written in place.
fn wipe(old: &Path) -> Result<()> {
    for entry in fs::read_dir(old)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "key") {
            let length = usize::try_from(fs::metadata(&path)?.len().min(LARGEST_FILE)).unwrap_or_default();
            File::options().write(true).open(&path)?.write_all(&Zeroizing::new(vec![0; length]))?;
        }
    }
    Ok(fs::remove_dir_all(old)?)
}
