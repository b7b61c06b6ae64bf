//! Repositories of the outside world: `git http-backend`, git's own server, behind an origin.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::origin::Answer;
use crate::record::{BodyEnd, Recorded};

/// A folder of bare repositories, served to everybody who asks.
#[derive(Debug)]
pub struct GitServer {
    root: tempfile::TempDir,
}

impl GitServer {
    /// An empty folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Self { root: tempfile::tempdir()? })
    }

    /// Makes a bare repository that takes pushes of any kind: what is refused is refused by the gateway.
    ///
    /// # Errors
    /// Git fails.
    pub fn repository(&self, name: &str) -> Result<PathBuf> {
        let path = self.root.path().join(name);
        for args in [
            vec!["init", "-q", "--bare", "-b", "main", &path.display().to_string()],
            vec!["-C", &path.display().to_string(), "config", "http.receivepack", "true"],
            vec!["-C", &path.display().to_string(), "config", "receive.advertisePushOptions", "true"],
        ] {
            checked(Command::new("git").args(args).output()?)?;
        }
        Ok(path)
    }

    /// What an origin answers with this folder behind it.
    pub fn script(&self) -> impl Fn(&Recorded) -> Answer + Send + Sync + 'static {
        let root = self.root.path().to_path_buf();
        move |request| match request.end {
            // Asked before the body has come.
            BodyEnd::Open => Answer::default(),
            BodyEnd::Clean | BodyEnd::Broken => backend(&root, request).unwrap_or_else(|error| {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Answer { status, headers: HeaderMap::new(), body: format!("{error:#}").into(), ..Answer::default() }
            }),
        }
    }
}

/// Runs `git http-backend` for a request (git-http-backend(1), RFC 3875). A body that broke off is handed over as far as it came, as a server does.
fn backend(root: &Path, request: &Recorded) -> Result<Answer> {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1").env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", root);
    command.env("REQUEST_METHOD", &request.method).env("PATH_INFO", path).env("QUERY_STRING", query).env("REMOTE_ADDR", "127.0.0.1");
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("git http-backend")?;
    let mut stdin = child.stdin.take().context("its input")?;
    let body = request.body.clone();
    // It may answer before it has read all, and then reads no more.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&body)));
    let output = child.wait_with_output()?;
    drop(writer.join());
    let end = output.stdout.windows(4).position(|w| w == b"\r\n\r\n").context("no head in what it answers")?;
    let mut answer = Answer { headers: HeaderMap::new(), body: output.stdout[end + 4..].to_vec().into(), ..Answer::default() };
    for line in String::from_utf8_lossy(&output.stdout[..end]).lines() {
        let (name, value) = line.split_once(':').context("a header")?;
        if name.eq_ignore_ascii_case("status") {
            answer.status = value.split_whitespace().next().context("a status")?.parse()?;
        } else {
            answer.headers.append(HeaderName::try_from(name)?, HeaderValue::from_str(value.trim())?);
        }
    }
    Ok(answer)
}

/// Everything in a bare repository: refs, and the content of every object, in quarantine or not.
///
/// # Errors
/// Git fails, or something was left half done.
pub fn everything_in(repository: &Path) -> Result<Vec<u8>> {
    let git =
        |args: &[&str]| -> Result<Vec<u8>> { Ok(checked(Command::new("git").arg("-C").arg(repository).args(args).output()?)?.stdout) };
    let mut all = git(&["for-each-ref"])?;
    all.extend(git(&["cat-file", "--batch-all-objects", "--batch", "--unordered"])?);
    for entry in std::fs::read_dir(repository.join("objects"))? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with("tmp_objdir") {
            bail!("{} was left behind", name.display());
        }
    }
    Ok(all)
}

fn checked(output: Output) -> Result<Output> {
    if !output.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}
