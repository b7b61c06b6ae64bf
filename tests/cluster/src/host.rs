//! A host: a network namespace, and a thread that lives in it. What the thread opens is on that host.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::sync::{mpsc as async_mpsc, oneshot};
use tokio::task::{JoinHandle, LocalSet};

/// Where `ip netns` keeps them.
const NAMESPACES: &str = "/run/netns";

type Task = Box<dyn FnOnce() + Send>;

/// A host. Its tasks end when it is dropped; its namespace stays until [`Host::remove`].
#[derive(Debug)]
pub struct Host {
    name: String,
    tasks: async_mpsc::UnboundedSender<Task>,
}

impl Host {
    /// Makes a host with nothing but loopback.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(name: &str) -> Result<Self> {
        ip(&["netns", "add", name])?;
        ip(&["-netns", name, "link", "set", "lo", "up"])?;
        let (tasks, received) = async_mpsc::unbounded_channel::<Task>();
        let (entered, result) = mpsc::channel();
        let path = namespace(name);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || live(&path, &entered, received))?;
        result.recv().context("the thread of a host")??;
        Ok(Self { name: name.to_owned(), tasks })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a task on this host, and gives what comes out of it.
    ///
    /// # Errors
    /// It panicked, or the host is gone.
    pub async fn run<T: Send + 'static>(&self, task: impl AsyncFnOnce() -> T + Send + 'static) -> Result<T> {
        self.start(task).await.context("a task on a host did not end")
    }

    /// Starts a task on this host. What comes out of it can be waited for; nobody has to.
    pub fn start<T: Send + 'static>(&self, task: impl AsyncFnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        // A host that is gone runs nothing; who waits is told by the channel.
        drop(self.tasks.send(Box::new(move || {
            let running: JoinHandle<()> = tokio::task::spawn_local(async move {
                drop(done.send(task().await));
            });
            drop(running);
        })));
        result
    }

    /// A command that runs a program on this host.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace(&self.name).display())).arg("--").arg(program);
        command
    }

    /// Takes the host and its wires away.
    ///
    /// # Errors
    /// It is gone already.
    pub fn remove(self) -> Result<()> {
        ip(&["netns", "delete", &self.name])
    }
}

fn namespace(name: &str) -> PathBuf {
    PathBuf::from(NAMESPACES).join(name)
}

/// The life of a host's thread: enters the namespace, and runs what it is given.
fn live(path: &PathBuf, entered: &mpsc::Sender<Result<()>>, mut tasks: async_mpsc::UnboundedReceiver<Task>) {
    let enter = || -> Result<tokio::runtime::Runtime> {
        let namespace = File::open(path)?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
    };
    let runtime = match enter().with_context(|| format!("namespace {}", path.display())) {
        Ok(runtime) => runtime,
        Err(error) => return drop(entered.send(Err(error))),
    };
    drop(entered.send(Ok(())));
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async {
        while let Some(task) = tasks.recv().await {
            task();
        }
    }));
}

/// Runs `ip`.
///
/// # Errors
/// It fails; the error holds what it said.
pub(crate) fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot run ip")?;
    if !output.status.success() {
        anyhow::bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
