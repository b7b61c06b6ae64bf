//! What the cluster knows: objects as they were applied, and pods as they are. One lock, and a bell that rings at every change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;

use crate::host::Host;
use crate::node::{Node, Wire};
use crate::objects::{Labels, Object, PodSpec};

/// Where everything of a cluster lies: in memory, seen from inside only.
const FOLDER: &str = "/run/cluster";

/// Kind, namespace and name of an object.
pub(crate) type Key = (String, String, String);
/// Namespace and name of a pod.
pub(crate) type PodId = (String, String);

/// What the parts of the cluster share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: Node,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    /// Up to which change the node's rules are in force.
    in_force: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<Key, Object>,
    pub(crate) pods: BTreeMap<PodId, Pod>,
    /// Pods that are cut off: nothing reaches them, nothing comes from them.
    pub(crate) lost: Vec<Wire>,
    /// The tokens of service accounts, by namespace and name.
    pub(crate) tokens: BTreeMap<(String, String), String>,
    /// The CA of the API server, PEM.
    pub(crate) api_ca: String,
    /// What the harness itself could not do; tests fail with it.
    pub(crate) troubles: Vec<String>,
}

/// A pod as it is.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) labels: Labels,
    /// Kind and name of what it belongs to.
    pub(crate) owner: Option<(String, String)>,
    /// The template it was made from, by its hash.
    pub(crate) revision: String,
    pub(crate) spec: Arc<PodSpec>,
    pub(crate) phase: Phase,
    pub(crate) host: Option<Arc<Host>>,
    pub(crate) wire: Option<Wire>,
    /// Whether the policies that concern it are in force.
    pub(crate) walled: bool,
    pub(crate) containers: BTreeMap<String, ContainerState>,
    pub(crate) ready_since: Option<Instant>,
    /// Told how long it may take when the pod has to end.
    pub(crate) end: watch::Sender<Option<Duration>>,
}

/// Where a pod is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It cannot start yet, for this reason.
    Waiting(String),
    /// Its containers are run.
    Running,
    /// All its containers ended well.
    Succeeded,
    /// One did not, and is not tried again.
    Failed,
}

/// A container as it is.
#[derive(Clone, Debug, Default)]
pub struct ContainerState {
    /// Its first process, as the node sees it.
    pub pid: Option<u32>,
    /// Whether it started, as its startup probe sees it.
    pub started: bool,
    /// Whether it is ready, as its readiness probe sees it.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended the last time.
    pub last: Option<Ended>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; 128 and the signal, if it was killed.
    pub code: i32,
    /// The end of what it wrote.
    pub message: String,
}

impl Pod {
    pub(crate) fn is_ending(&self) -> bool {
        self.end.borrow().is_some()
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether Services lead to it.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_since.is_some() && !self.is_ending()
    }
}

impl State {
    /// The token of the account that a pod runs as, if it gets one; made when it is first asked for.
    pub(crate) fn token(&mut self, namespace: &str, spec: &PodSpec) -> Option<String> {
        let name = spec.service_account_name.as_deref().unwrap_or("default");
        let account = self.object("ServiceAccount", namespace, name);
        let by_account = account.and_then(|account| account.value()["automountServiceAccountToken"].as_bool());
        let given = spec.automount_service_account_token.or(by_account).unwrap_or(true);
        let key = (namespace.to_owned(), name.to_owned());
        given.then(|| self.tokens.entry(key).or_insert_with(|| portcullis_e2e::secret::random_token(40)).clone())
    }

    pub(crate) fn of_kind<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Object> {
        self.objects.iter().filter(move |((given, ..), _)| given == kind).map(|(_, object)| object)
    }

    pub(crate) fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<&Object> {
        self.objects.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }
}

impl Shared {
    pub(crate) fn new(node: Node) -> Result<Arc<Self>> {
        std::fs::create_dir_all(FOLDER)?;
        Ok(Arc::new(Self { node, state: Mutex::default(), changes: watch::Sender::new(0), in_force: watch::Sender::new(0) }))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and rings the bell.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
        changed
    }

    /// Changes a pod, if it is still there.
    pub(crate) fn update_pod(&self, id: &PodId, change: impl FnOnce(&mut Pod)) {
        self.update(|state| {
            if let Some(pod) = state.pods.get_mut(id) {
                change(pod);
            }
        });
    }

    /// Notes what the harness could not do.
    pub(crate) fn trouble(&self, what: &str, error: &anyhow::Error) {
        self.update(|state| state.troubles.push(format!("{what}: {error:#}")));
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Says that the node's rules are in force up to this change.
    pub(crate) fn in_force(&self, version: u64) {
        self.in_force.send_replace(version);
    }

    /// Waits until the node's rules follow from what is known now.
    ///
    /// # Errors
    /// They do not come into force within this time.
    pub(crate) async fn settled(&self, within: Duration) -> Result<()> {
        let now = *self.changes.borrow();
        let mut in_force = self.in_force.subscribe();
        let waiting = in_force.wait_for(|version| *version >= now);
        let waited = tokio::time::timeout(within, waiting).await;
        waited.with_context(|| format!("the node's rules are not in force after {} s", within.as_secs()))??;
        Ok(())
    }

    /// Waits until something is so, and gives what was asked for.
    ///
    /// # Errors
    /// It is not so within this time.
    pub(crate) async fn wait<T>(&self, what: &str, within: Duration, mut wanted: impl FnMut(&State) -> Option<T>) -> Result<T> {
        let mut changes = self.changes();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = wanted(&self.state()) {
                    return found;
                }
                // The sender lives as long as `self`.
                drop(changes.changed().await);
            }
        };
        tokio::time::timeout(within, waiting).await.with_context(|| format!("waited {} s for {what}", within.as_secs()))
    }
}

/// Where the files of a pod lie.
pub(crate) fn folder(id: &PodId) -> PathBuf {
    Path::new(FOLDER).join(&id.0).join(&id.1)
}

/// Where a container's output goes.
pub(crate) fn log(id: &PodId, container: &str) -> PathBuf {
    folder(id).join(format!("{container}.log"))
}
