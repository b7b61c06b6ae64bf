//! What stands for images: the built binary and the real Envoy for ours, the machine's own programs for everything else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The roots of the web that images bring along.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// An image: what is seen where, and what runs.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Files and folders of the machine, and where they are seen. All can only be read.
    pub(crate) files: Vec<(PathBuf, PathBuf)>,
    /// Links, and what they lead to.
    pub(crate) links: Vec<(&'static str, &'static str)>,
    /// What runs where the manifest says nothing.
    pub(crate) entry_point: Option<&'static str>,
    /// Who runs it where the manifest says nothing.
    pub(crate) user: u32,
}

impl Image {
    /// The image of this name.
    ///
    /// # Errors
    /// Envoy or the binary is missing; the error says how to get it.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let repository = name.split('@').next().unwrap_or(name);
        if repository.rsplit('/').next().is_some_and(|last| last.split(':').next() == Some("portcullis")) {
            return ours();
        }
        let usr = PathBuf::from("/usr");
        Ok(Self {
            files: vec![(usr.clone(), usr), (ROOTS.into(), ROOTS.into())],
            links: vec![("usr/bin", "/bin"), ("usr/sbin", "/sbin"), ("usr/lib", "/lib"), ("usr/lib64", "/lib64")],
            entry_point: None,
            user: 0,
        })
    }
}

/// Our image: two programs, the libraries they are linked to, and the roots of the web.
fn ours() -> Result<Image> {
    static FILES: OnceLock<Result<Vec<(PathBuf, PathBuf)>, String>> = OnceLock::new();
    let files = FILES.get_or_init(|| find().map_err(|error| format!("{error:#}")));
    let files = files.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?.clone();
    Ok(Image { files, links: Vec::new(), entry_point: Some("/usr/local/bin/portcullis"), user: 65532 })
}

fn find() -> Result<Vec<(PathBuf, PathBuf)>> {
    let programs = [(portcullis_e2e::binary()?, "portcullis"), (envoy()?, "envoy")];
    let mut libraries = BTreeSet::new();
    for (program, _) in &programs {
        libraries.extend(linked(program)?);
    }
    let mut files: Vec<(PathBuf, PathBuf)> = libraries.into_iter().map(|path| (path.clone(), path)).collect();
    files.extend(programs.map(|(program, name)| (program, Path::new("/usr/local/bin").join(name))));
    files.push((ROOTS.into(), ROOTS.into()));
    Ok(files)
}

/// The libraries that a program is linked to, as the loader finds them.
fn linked(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("cannot run ldd")?;
    let text = String::from_utf8(output.stdout)?;
    // `libc.so.6 => /lib/…/libc.so.6 (0x…)`, or the loader itself: `/lib64/ld-linux-x86-64.so.2 (0x…)`. Of a static program, nothing.
    Ok(text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/'))).map(PathBuf::from).collect())
}

/// Envoy where `portcullis up` keeps it, or where `PORTCULLIS_ENVOY` says.
fn envoy() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PORTCULLIS_ENVOY") {
        return Ok(path.into());
    }
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let folder = cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("portcullis");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("envoy-"))
        .map(|entry| entry.path().join("envoy"))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    match found.pop() {
        Some(envoy) => Ok(envoy),
        None => bail!("Envoy is not in {}; run: bash tests/setup target/debug/portcullis", folder.display()),
    }
}
