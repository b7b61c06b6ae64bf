//! A cluster: what a test, or a person, does with it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use portcullis_e2e::{Connection, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::controllers::{Controllers, end, replicas};
use crate::host::Host;
use crate::node::Node;
use crate::objects::{DeploymentSpec, Object};
use crate::state::{ContainerState, Phase, PodId, Shared, State, folder, log};
use crate::{PATIENCE, World, api, kubelet, network, system};

/// Kinds that are run.
const RUN: [&str; 9] =
    ["ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Job", "Namespace", "NetworkPolicy", "Pod", "Secret", "Service"];
/// Kinds that are kept and change nothing by themselves here.
const KEPT: [&str; 8] =
    ["CronJob", "PodDisruptionBudget", "PodMonitor", "PodTemplate", "PrometheusRule", "Role", "RoleBinding", "ServiceAccount"];

/// Namespace and name of a pod.
pub type PodName = (String, String);

/// A running cluster. Ends when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// What is around it.
    pub world: World,
    pub(crate) shared: Arc<Shared>,
    monitoring: Arc<Host>,
    _tasks: JoinSet<()>,
}

impl Cluster {
    /// A cluster with nothing of ours in it. To be called inside ([`crate::inside()`]).
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn new() -> Result<Self> {
        let node = Node::new()?;
        let world = World::new(&node).await?;
        let shared = Shared::new(node)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(network::keep(Arc::clone(&shared)));
        let dns = system::pod(&shared, "kube-system", "coredns", ("k8s-app", "kube-dns"))?;
        let monitoring = system::pod(&shared, "monitoring", "prometheus", ("app", "prometheus"))?;
        let (for_dns, names) = (Arc::clone(&shared), world.names());
        drop(dns.start(async move || {
            if let Err(error) = system::dns(Arc::clone(&for_dns), names).await {
                for_dns.trouble("cluster DNS", &error);
            }
        }));
        let api = system::pod(&shared, "default", "kube-apiserver", ("component", "kube-apiserver"))?;
        let (identity, ca) = api::identity()?;
        let for_api = Arc::clone(&shared);
        shared.update(|state| state.api_ca = ca);
        drop(api.start(async move || {
            if let Err(error) = api::serve(Arc::clone(&for_api), identity).await {
                for_api.trouble("API server", &error);
            }
        }));
        tasks.spawn(Controllers::new(&shared).keep());
        let cluster = Self { world, shared, monitoring, _tasks: tasks };
        cluster.apply(system::objects()?)?;
        Ok(cluster)
    }

    /// Takes objects over, as `kubectl apply` does.
    ///
    /// # Errors
    /// One is of a kind that is not known here.
    pub fn apply(&self, objects: impl IntoIterator<Item = Object>) -> Result<()> {
        let objects: Vec<Object> = objects.into_iter().collect();
        if let Some(object) = objects.iter().find(|object| !RUN.contains(&object.kind()) && !KEPT.contains(&object.kind())) {
            bail!("{object} is of a kind that is not known here");
        }
        self.shared.update(|state| state.objects.extend(objects.into_iter().map(|object| (key(&object), object))));
        Ok(())
    }

    /// Waits until policies and Services as they are now are in force.
    ///
    /// # Errors
    /// They are not in time.
    pub async fn settled(&self) -> Result<()> {
        self.shared.settled(PATIENCE).await
    }

    /// Takes an object away. Pods of it end.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        self.shared.update(|state| state.objects.remove(&(kind.to_owned(), namespace.to_owned(), name.to_owned())));
    }

    /// Changes an object.
    ///
    /// # Errors
    /// There is none.
    pub fn change(&self, kind: &str, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        self.shared.update(|state| {
            let object = state.objects.get_mut(&(kind.to_owned(), namespace.to_owned(), name.to_owned()));
            change(object.with_context(|| format!("no {kind} {namespace}/{name}"))?.value_mut());
            Ok(())
        })
    }

    /// An object as it is now.
    ///
    /// # Errors
    /// There is none.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Result<Object> {
        self.shared.state().object(kind, namespace, name).cloned().with_context(|| format!("no {kind} {namespace}/{name}"))
    }

    /// Exchanges all pods of a Deployment, as `kubectl rollout restart` does. Wait with [`Cluster::rolled_out`].
    ///
    /// # Errors
    /// There is none.
    pub fn restart(&self, namespace: &str, deployment: &str) -> Result<()> {
        self.change("Deployment", namespace, deployment, |object| {
            let turn = object["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].as_u64().unwrap_or(0);
            object["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"] = json!(turn + 1);
        })
    }

    /// Waits until a Deployment has all its replicas, ready and of its newest template, and no others, not even ending ones.
    ///
    /// # Errors
    /// It does not come to that; the error holds the logs of its pods.
    pub async fn rolled_out(&self, namespace: &str, deployment: &str) -> Result<()> {
        let wanted = |state: &State| {
            let object = state.object("Deployment", namespace, deployment)?;
            let spec: DeploymentSpec = object.part("spec").ok()?;
            let owner = Some(("Deployment".to_owned(), deployment.to_owned()));
            let pods: Vec<_> =
                state.pods.iter().filter(|((ns, _), pod)| ns == namespace && pod.owner == owner).map(|(_, pod)| pod).collect();
            let newest = crate::controllers::revision(&spec);
            let good = pods.iter().all(|pod| pod.is_ready() && pod.revision == newest);
            (good && pods.len() == replicas(state, object, &spec)).then_some(())
        };
        self.wait(&format!("Deployment {namespace}/{deployment}"), wanted).await
    }

    /// Waits until a Job is done, and says whether it went well.
    ///
    /// # Errors
    /// It does not end.
    pub async fn job(&self, namespace: &str, job: &str) -> Result<bool> {
        let owner = ("Job".to_owned(), job.to_owned());
        let over = |state: &State| {
            let pods = state.pods.iter().filter(|((ns, _), pod)| ns == namespace && pod.owner.as_ref() == Some(&owner));
            let phases: Vec<&Phase> = pods.map(|(_, pod)| &pod.phase).collect();
            let spec: crate::objects::JobSpec = state.object("Job", namespace, job)?.part("spec").ok()?;
            let failed = phases.iter().filter(|phase| ***phase == Phase::Failed).count();
            if phases.contains(&&Phase::Succeeded) {
                return Some(true);
            }
            (failed > usize::try_from(spec.backoff_limit.unwrap_or(6)).ok()?).then_some(false)
        };
        self.wait(&format!("Job {namespace}/{job}"), over).await
    }

    /// Makes a Job of a CronJob's template now, as `kubectl create job --from` does.
    ///
    /// # Errors
    /// There is no such CronJob.
    pub fn run_cron_job(&self, namespace: &str, cron_job: &str, job: &str) -> Result<()> {
        let template = self.object("CronJob", namespace, cron_job)?.value()["spec"]["jobTemplate"]["spec"].clone();
        self.apply([Object::new(json!({"kind": "Job", "metadata": {"name": job, "namespace": namespace}, "spec": template}))?])
    }

    /// The pods of a namespace that have this label (`key=value`) and are not ending.
    #[must_use]
    pub fn pods(&self, namespace: &str, label: &str) -> Vec<PodName> {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        let state = self.shared.state();
        let found = state.pods.iter().filter(|((ns, _), pod)| {
            ns == namespace && pod.labels.get(key).is_some_and(|given| given == value) && !pod.is_ending() && !pod.is_over()
        });
        found.map(|(id, _)| id.clone()).collect()
    }

    /// All pods.
    #[must_use]
    pub fn all_pods(&self) -> Vec<PodName> {
        self.shared.state().pods.keys().cloned().collect()
    }

    /// Waits until something is so of a pod, and gives it.
    ///
    /// # Errors
    /// It is not so in time, or the pod is gone.
    pub async fn pod_is<T>(&self, pod: &PodName, what: &str, mut wanted: impl FnMut(&PodView) -> Option<T>) -> Result<T> {
        let what = format!("{} {what}", pod.1);
        self.wait(&what, |state| wanted(&view(state, pod)?)).await
    }

    /// Waits until something is so of one of the pods of a namespace that have this label (`key=value`), ending ones too.
    ///
    /// # Errors
    /// It is not so in time.
    pub async fn some_pod_is<T>(
        &self,
        namespace: &str,
        label: &str,
        what: &str,
        mut wanted: impl FnMut(&PodView) -> Option<T>,
    ) -> Result<(PodName, T)> {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        self.wait(&format!("a pod {label} {what}"), |state| {
            let labelled =
                state.pods.iter().filter(|((ns, _), pod)| ns == namespace && pod.labels.get(key).is_some_and(|given| given == value));
            labelled.map(|(id, _)| id).find_map(|id| Some((id.clone(), wanted(&view(state, id)?)?)))
        })
        .await
    }

    /// A pod as it is now.
    ///
    /// # Errors
    /// It is gone.
    pub fn pod(&self, pod: &PodName) -> Result<PodView> {
        view(&self.shared.state(), pod).with_context(|| format!("pod {} is gone", pod.1))
    }

    /// Waits until a pod is gone.
    ///
    /// # Errors
    /// It stays.
    pub async fn gone(&self, pod: &PodName) -> Result<()> {
        self.wait(&format!("the end of {}", pod.1), |state| (!state.pods.contains_key(pod)).then_some(())).await
    }

    /// Kills the first process of a container, and with it all of them.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self, pod: &PodName, container: &str) -> Result<()> {
        let state = self.pod(pod)?.containers.remove(container).unwrap_or_default();
        let pid = state.pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).context("the container does not run")?;
        Ok(kill_process(pid, Signal::KILL)?)
    }

    /// Ends a pod, as `kubectl delete pod` does.
    pub fn end(&self, pod: &PodName) {
        self.shared.update(|state| end(state, pod, None));
    }

    /// Cuts a pod off: nothing reaches it, nothing comes from it, nobody is told. As when its machine dies.
    ///
    /// # Errors
    /// It has no network.
    pub async fn lose(&self, pod: &PodName) -> Result<()> {
        self.shared.update(|state| {
            let wire = state.pods.get(pod).and_then(|pod| pod.wire.clone()).context("a pod without network")?;
            state.lost.push(wire);
            anyhow::Ok(())
        })?;
        self.settled().await
    }

    /// Takes away a pod that was cut off, without a word to it, as when a node is given up.
    pub fn give_up(&self, pod: &PodName) {
        self.shared.update(|state| end(state, pod, Some(Duration::ZERO)));
    }

    /// Runs a program in a pod's container, as `kubectl exec` does: same files, same user, same environment, same network.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn exec(&self, pod: &PodName, argv: &[&str]) -> Result<Output> {
        let spec = self.shared.state().pods.get(pod).map(|pod| Arc::clone(&pod.spec)).with_context(|| format!("pod {} is gone", pod.1))?;
        let container = spec.containers.first().context("a pod without containers")?;
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let mut command = kubelet::command(&self.shared, pod, &spec, container, kubelet::Run::other(&argv))?;
        let running = command.stdin(std::process::Stdio::null()).output();
        Ok(tokio::time::timeout(PATIENCE, running).await.with_context(|| format!("{} did not end", argv.join(" ")))??)
    }

    /// Asks a pod by HTTP, from where Prometheus would, and gives status and body.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, pod: &PodName, port: u16, path: &str) -> Result<(u16, String)> {
        let address = SocketAddr::from((self.pod(pod)?.address.context("a pod without address")?, port));
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let asking = async move || -> Result<Response> {
            let mut connection = Connection::over(TcpStream::connect(address).await?);
            connection.send(request.as_bytes()).await?;
            connection.response("GET").await
        };
        let answer = self.monitoring.run(async move || tokio::time::timeout(PATIENCE, asking()).await).await??;
        let answer = answer.with_context(|| format!("{} at {address}{path}", pod.1))?;
        Ok((answer.status, answer.text()))
    }

    /// The sum of a pod's metrics of this name whose labels contain this text.
    ///
    /// # Errors
    /// It does not tell.
    pub async fn metric(&self, pod: &PodName, (port, path): (u16, &str), name: &str, labels: &str) -> Result<f64> {
        let (_, text) = self.ask(pod, port, path).await?;
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(labels));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// What a container wrote so far.
    #[must_use]
    pub fn logs(&self, pod: &PodName, container: &str) -> String {
        fs::read(log(pod, container)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What all containers ever wrote: pod, container and text.
    #[must_use]
    pub fn all_logs(&self) -> Vec<(PodName, String, String)> {
        let mut all = Vec::new();
        let entries = |folder: &std::path::Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let top = folder(&(String::new(), String::new()));
        for namespace in entries(&top) {
            for pod in entries(&namespace.path()) {
                let id = (name(&namespace), name(&pod));
                for file in entries(&pod.path()) {
                    if let Some(container) = name(&file).strip_suffix(".log") {
                        all.push((id.clone(), container.to_owned(), self.logs(&id, container)));
                    }
                }
            }
        }
        all
    }

    /// What the harness could not do so far; empty as it should be.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        self.shared.state().troubles.clone()
    }

    /// How everything stands, for the text of a failure.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = String::new();
        for trouble in self.troubles() {
            text.push_str(&format!("trouble: {trouble}\n"));
        }
        for (id, pod) in &self.shared.state().pods {
            text.push_str(&format!("{}/{}: {:?} ready {} ending {}", id.0, id.1, pod.phase, pod.is_ready(), pod.is_ending()));
            for (name, state) in &pod.containers {
                text.push_str(&format!(
                    "; {name}: pid {:?}, {} restarts, last {:?}",
                    state.pid,
                    state.restarts,
                    state.last.as_ref().map(|last| last.code)
                ));
            }
            text.push('\n');
        }
        for (id, container, log) in self.all_logs() {
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
            text.push_str(&format!("== {}/{} {container}\n{}\n", id.0, id.1, end.join("\n")));
        }
        text
    }

    /// Waits until something is so, or the harness is in trouble. The error holds how everything stands.
    async fn wait<T>(&self, what: &str, mut wanted: impl FnMut(&State) -> Option<T>) -> Result<T> {
        let wanted = |state: &State| match wanted(state) {
            None if state.troubles.is_empty() => None,
            found => Some(found.context("the harness is in trouble")),
        };
        let found = self.shared.wait(what, PATIENCE, wanted).await.and_then(|found| found);
        found.map_err(|error| anyhow::anyhow!("{error:#}\n{}", self.report()))
    }

    pub(crate) fn host_of(&self, pod: &PodName) -> Result<Arc<Host>> {
        self.shared.state().pods.get(pod).and_then(|pod| pod.host.clone()).with_context(|| format!("pod {} has no network", pod.1))
    }
}

/// A pod as it is at a moment.
#[derive(Clone, Debug)]
pub struct PodView {
    /// Where it is in its life.
    pub phase: Phase,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// Since when Services lead to it, if they do.
    pub ready_since: Option<Instant>,
    /// Its containers by name.
    pub containers: BTreeMap<String, ContainerState>,
}

fn view(state: &State, id: &PodId) -> Option<PodView> {
    let pod = state.pods.get(id)?;
    let ready_since = pod.ready_since.filter(|_| pod.is_ready());
    Some(PodView {
        phase: pod.phase.clone(),
        address: pod.wire.as_ref().map(|wire| wire.v4),
        ready_since,
        containers: pod.containers.clone(),
    })
}

fn key(object: &Object) -> (String, String, String) {
    (object.kind().to_owned(), object.namespace().to_owned(), object.name().to_owned())
}
