//! Volumes, laid out as kubelet does: the files of a Secret or ConfigMap are links into `..data`, itself a link to a folder of that moment,
//! which one rename moves on. Who reads sees all of the old or all of the new.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::environment::bytes;
use crate::objects::{Container, PodSpec, ProjectedSource, Projection, Volume};
use crate::state::{Phase, PodId, Shared, State};

/// The mode of files where nothing is said.
const MODE: u32 = 0o644;

/// The files of a volume: path, content, mode.
type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Where a volume lies.
pub(super) fn folder(id: &PodId, volume: &str) -> PathBuf {
    crate::state::folder(id).join("volumes").join(volume)
}

/// A file as a container sees it in one of its volumes.
///
/// # Errors
/// No volume is mounted there, or there is no such file.
pub(crate) fn read(id: &PodId, container: &Container, path: &Path) -> Result<Vec<u8>> {
    let mount = container.volume_mounts.iter().find(|mount| path.starts_with(&mount.mount_path)).context("no volume is mounted there")?;
    Ok(fs::read(folder(id, &mount.name).join(path.strip_prefix(&mount.mount_path)?))?)
}

/// Lays out all volumes, as soon as what they are made of is there, and follows its changes until the returned task set is dropped.
///
/// # Errors
/// Something is still missing after that time.
pub(super) async fn mount(shared: &Arc<Shared>, id: &PodId, spec: &Arc<PodSpec>, within: Duration) -> Result<JoinSet<()>> {
    let mut laid: BTreeMap<String, Files> = BTreeMap::new();
    let mut changes = shared.changes();
    let waiting = async {
        loop {
            changes.borrow_and_update();
            let missing = lay(shared, id, spec, &mut laid)?;
            let Some(missing) = missing else { return anyhow::Ok(()) };
            let waits = Phase::Waiting(missing);
            let told = shared.state().pods.get(id).is_some_and(|pod| pod.phase == waits);
            if !told {
                shared.update_pod(id, |pod| pod.phase = waits);
            }
            changes.changed().await.context("the cluster is gone")?;
        }
    };
    tokio::time::timeout(within, waiting).await.context("what the pod's volumes are made of is still missing")??;
    let mut following = JoinSet::new();
    let (shared, id, spec) = (Arc::clone(shared), id.clone(), Arc::clone(spec));
    following.spawn(async move {
        while changes.changed().await.is_ok() {
            // What was there and is gone stays as it was, as in Kubernetes.
            if let Err(error) = lay(&shared, &id, &spec, &mut laid) {
                shared.trouble("volumes", &error);
            }
        }
    });
    Ok(following)
}

/// Lays out what changed. What is missing is named, if something is.
fn lay(shared: &Shared, id: &PodId, spec: &PodSpec, laid: &mut BTreeMap<String, Files>) -> Result<Option<String>> {
    for volume in &spec.volumes {
        let folder = folder(id, &volume.name);
        if volume.empty_dir.is_some() {
            fs::create_dir_all(&folder)?;
            continue;
        }
        let files = match files(&shared.state(), &id.0, volume)? {
            Ok(files) => files,
            Err(missing) => return Ok(Some(missing)),
        };
        if laid.get(&volume.name) != Some(&files) {
            write(&folder, &files).with_context(|| folder.display().to_string())?;
            laid.insert(volume.name.clone(), files);
        }
    }
    Ok(None)
}

/// The files of a volume now, or what they lack.
fn files(state: &State, namespace: &str, volume: &Volume) -> Result<Result<Files, String>> {
    let mut files = Files::new();
    let mut sources: Vec<(&str, &Projection, Option<u32>)> = Vec::new();
    sources.extend(volume.config_map.iter().map(|source| ("ConfigMap", source, source.default_mode)));
    sources.extend(volume.secret.iter().map(|source| ("Secret", source, source.default_mode)));
    for source in volume.projected.iter().flat_map(|projected| projected.sources.iter().map(move |source| (source, projected.default_mode)))
    {
        sources.push(match source {
            (ProjectedSource::ConfigMap(projection), mode) => ("ConfigMap", projection, mode),
            (ProjectedSource::Secret(projection), mode) => ("Secret", projection, mode),
        });
    }
    for (kind, source, mode) in sources {
        let Some(object) = state.object(kind, namespace, &source.name) else {
            if source.optional {
                continue;
            }
            return Ok(Err(format!("{kind} {} is missing", source.name)));
        };
        let mut keys = bytes(object)?;
        let mode = mode.unwrap_or(MODE);
        if source.items.is_empty() {
            files.extend(keys.into_iter().map(|(key, content)| (key, (content, mode))));
            continue;
        }
        for item in &source.items {
            match keys.remove(&item.key) {
                Some(content) => drop(files.insert(item.path.clone(), (content, item.mode.unwrap_or(mode)))),
                None if source.optional => {}
                None => return Ok(Err(format!("{kind} {} has no {}", source.name, item.key))),
            }
        }
    }
    Ok(Ok(files))
}

/// Moves a folder on to these files.
fn write(folder: &Path, files: &Files) -> Result<()> {
    fs::create_dir_all(folder)?;
    let data = folder.join("..data");
    let before = fs::read_link(&data).ok();
    let moment = tempfile::Builder::new().prefix("..").tempdir_in(folder)?.keep();
    fs::set_permissions(&moment, Permissions::from_mode(0o755))?;
    for (path, (content, mode)) in files {
        let file = moment.join(path);
        fs::create_dir_all(file.parent().context("a file without a folder")?)?;
        fs::write(&file, content)?;
        fs::set_permissions(&file, Permissions::from_mode(*mode))?;
    }
    let next = folder.join("..data_tmp");
    symlink(moment.file_name().context("a folder without a name")?, &next)?;
    fs::rename(&next, &data)?;
    // Links for what is new at the top; those of what is gone go.
    let tops: Vec<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for top in &tops {
        let link = folder.join(top);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(top), link)?;
        }
    }
    for entry in fs::read_dir(folder)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !tops.contains(&&*name) {
            fs::remove_file(entry.path())?;
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(folder.join(before))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(path, content)| ((*path).to_owned(), (content.as_bytes().to_vec(), 0o440))).collect()
    }

    #[test]
    fn a_volume_moves_on_in_one_step_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files(&[("a", "1"), ("b/c", "1")])).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("b/c")).unwrap(), "1");
        // Who is in the middle of it keeps the old.
        let old = fs::canonicalize(folder.path().join("..data")).unwrap();
        let open = fs::File::open(folder.path().join("a")).unwrap();
        write(folder.path(), &files(&[("a", "2"), ("d", "2")])).unwrap();
        assert_eq!(std::io::read_to_string(open).unwrap(), "1");
        assert!(!old.exists());
        let mut names: Vec<String> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        assert!(
            names[0].starts_with("..") && names[1..] == ["..data", "a", "d"] || names[..1] == ["..data"] && names[2..] == ["a", "d"],
            "{names:?}"
        );
        assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), "2");
        assert_eq!(fs::metadata(folder.path().join("a")).unwrap().permissions().mode() & 0o777, 0o440);
    }
}
