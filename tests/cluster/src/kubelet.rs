//! A small kubelet: gives each pod a host of its own, lays out its volumes, runs its containers, asks their probes, ends them in time.

mod container;
mod environment;
mod probes;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::host::Host;
use crate::objects::{Container, PodSpec};
use crate::state::{Phase, PodId, Shared};

pub(crate) use container::{Run, command};
pub(crate) use environment::environment;
pub(crate) use volumes::read;

/// How long Kubernetes lets a pod end where nothing is said.
pub(crate) const GRACE: u64 = 30;
/// How soon the objects a pod waits for must be there. Kubernetes waits for ever.
const OBJECTS_WITHIN: Duration = Duration::from_secs(600);
/// How soon policies must be in force.
const WALLS_WITHIN: Duration = Duration::from_secs(30);

/// The life of a pod that is in the state already. At its end its host is gone; the pod itself too, if it was told to end.
pub(crate) async fn run(shared: Arc<Shared>, id: PodId, mut end: watch::Receiver<Option<Duration>>) {
    let (namespace, name) = &id;
    let outcome = tokio::select! {
        outcome = live(&shared, &id, end.clone()) => outcome,
        // Only while it waits: containers end by themselves.
        () = ended_before_it_ran(&shared, &id, &mut end) => Ok(()),
    };
    if let Err(error) = outcome {
        shared.trouble(&format!("pod {namespace}/{name}"), &error);
        shared.update_pod(&id, |pod| pod.phase = Phase::Failed);
    }
    let host = shared.update(|state| {
        let pod = state.pods.get_mut(&id)?;
        pod.wire = None;
        pod.ready_since = None;
        let host = pod.host.take();
        if pod.is_ending() {
            state.pods.remove(&id);
        }
        host
    });
    // A test may still hold it; then it goes with the test.
    if let Some(host) = host.and_then(Arc::into_inner)
        && let Err(error) = host.remove()
    {
        shared.trouble(&format!("network of pod {namespace}/{name}"), &error);
    }
}

async fn ended_before_it_ran(shared: &Shared, id: &PodId, end: &mut watch::Receiver<Option<Duration>>) {
    loop {
        drop(end.wait_for(Option::is_some).await);
        let waits = shared.state().pods.get(id).is_none_or(|pod| matches!(pod.phase, Phase::Waiting(_)));
        if waits {
            return;
        }
        std::future::pending::<()>().await;
    }
}

async fn live(shared: &Arc<Shared>, id: &PodId, end: watch::Receiver<Option<Duration>>) -> Result<()> {
    let spec = shared.state().pods.get(id).map(|pod| Arc::clone(&pod.spec)).context("no such pod")?;
    let folder = crate::state::folder(id);
    std::fs::create_dir_all(&folder)?;
    attach(shared, id).await?;
    let _updates = volumes::mount(shared, id, &spec, OBJECTS_WITHIN).await?;
    shared.update_pod(id, |pod| pod.phase = Phase::Running);
    let always = spec.restart_policy.as_deref().unwrap_or("Always");
    let mut running = JoinSet::new();
    for container in &spec.init_containers {
        if container.restart_policy.as_deref() == Some("Always") {
            // One that stays: the next begins when this one has started.
            spawn(&mut running, shared, id, &spec, container, ("Always", &end));
            let started = |state: &crate::state::State| state.pods.get(id)?.containers.get(&container.name)?.started.then_some(());
            shared.wait(&format!("container {}", container.name), OBJECTS_WITHIN, started).await?;
        } else {
            let retry = if always == "Never" { "Never" } else { "OnFailure" };
            let mut one = JoinSet::new();
            spawn(&mut one, shared, id, &spec, container, (retry, &end));
            if one.join_next().await.context("an init container")??? != 0 {
                bail!("init container {} failed", container.name);
            }
        }
    }
    for container in &spec.containers {
        spawn(&mut running, shared, id, &spec, container, (always, &end));
    }
    let mut all_well = true;
    while let Some(ended) = running.join_next().await {
        all_well &= ended?? == 0;
    }
    shared.update_pod(id, |pod| pod.phase = if all_well { Phase::Succeeded } else { Phase::Failed });
    Ok(())
}

/// Makes the pod's host, and waits until what may reach it, and what it may reach, is in force.
async fn attach(shared: &Arc<Shared>, id: &PodId) -> Result<()> {
    let name = format!("{}.{}", id.0, id.1);
    let node = Arc::clone(shared);
    let (host, wire) = tokio::task::spawn_blocking(move || -> Result<_> {
        let host = Host::new(&name)?;
        let wire = node.node.wire(&host)?;
        Ok((host, wire))
    })
    .await??;
    shared.update_pod(id, |pod| {
        pod.host = Some(Arc::new(host));
        pod.wire = Some(wire);
    });
    shared.wait("the pod's policies", WALLS_WITHIN, |state| state.pods.get(id)?.walled.then_some(())).await
}

type Running = JoinSet<Result<i32>>;

fn spawn(
    running: &mut Running,
    shared: &Arc<Shared>,
    id: &PodId,
    spec: &Arc<PodSpec>,
    container: &Container,
    (policy, end): (&str, &watch::Receiver<Option<Duration>>),
) {
    let (shared, id, spec, container) = (Arc::clone(shared), id.clone(), Arc::clone(spec), container.clone());
    let (policy, end) = (policy.to_owned(), end.clone());
    running.spawn(async move { container::run(&shared, &id, &spec, &container, &policy, end).await });
}
