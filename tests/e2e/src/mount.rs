//! A Secret as kubelet mounts it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// The folder of a mounted Secret. Its files are links into `..data`, itself a link to a folder with the data of the moment: that link is
/// moved, and so all files change at once.
#[derive(Debug)]
pub struct Mount {
    folder: PathBuf,
    generation: u32,
}

impl Mount {
    /// Makes the folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(folder: &Path, files: &[(&str, &str)]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut mount = Self { folder: folder.to_path_buf(), generation: 0 };
        mount.set(files)?;
        for (name, _) in files {
            symlink(Path::new("..data").join(name), folder.join(name))?;
        }
        Ok(mount)
    }

    /// Changes all files at once.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn set(&mut self, files: &[(&str, &str)]) -> Result<()> {
        let data = |generation: u32| format!("..data-{generation}");
        let next = self.folder.join(data(self.generation + 1));
        fs::create_dir(&next)?;
        for (name, text) in files {
            fs::write(next.join(name), text)?;
        }
        let link = self.folder.join("..data_tmp");
        symlink(data(self.generation + 1), &link)?;
        fs::rename(link, self.folder.join("..data"))?;
        if self.generation > 0 {
            fs::remove_dir_all(self.folder.join(data(self.generation)))?;
        }
        self.generation += 1;
        Ok(())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_change_at_once_and_what_was_before_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Mount::new(folder.path(), &[("a", "1"), ("b", "1")]).unwrap();
        for value in ["2", "3"] {
            mount.set(&[("a", value), ("b", value)]).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("a")).unwrap(), value);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "two links, `..data` and the folder it leads to");
    }
}
