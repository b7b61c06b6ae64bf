//! The controllers of Deployments and Jobs.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::kubelet;
use crate::objects::{DeploymentSpec, HpaSpec, JobSpec, Labels, Object, PodSpec, PodTemplate};
use crate::state::{Phase, Pod, PodId, Shared, State};

/// How often a controller looks although nothing changed: pods become available by time too.
const TICK: Duration = Duration::from_millis(250);

/// Makes and ends pods.
#[derive(Debug)]
pub(crate) struct Controllers {
    shared: Arc<Shared>,
    pods: JoinSet<()>,
    made: u64,
}

impl Controllers {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), pods: JoinSet::new(), made: 0 }
    }

    /// Runs for ever.
    pub(crate) async fn keep(mut self) {
        let mut changes = self.shared.changes();
        loop {
            changes.borrow_and_update();
            if let Err(error) = self.reconcile() {
                self.shared.trouble("controllers", &error);
                return;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(TICK) => {}
                Some(ended) = self.pods.join_next() => if let Err(error) = ended {
                    self.shared.trouble("a pod", &error.into());
                }
            }
        }
    }

    fn reconcile(&mut self) -> Result<()> {
        let objects: Vec<Object> = {
            let state = self.shared.state();
            ["Deployment", "Job", "Pod"].iter().flat_map(|kind| state.of_kind(kind)).cloned().collect()
        };
        for object in &objects {
            match object.kind() {
                "Deployment" => self.deployment(object)?,
                "Job" => self.job(object)?,
                _ => self.single(object)?,
            }
        }
        // Pods of a workload that was taken away go with it.
        let orphans: Vec<PodId> = {
            let state = self.shared.state();
            let lives = |id: &PodId, (kind, name): &(String, String)| state.object(kind, &id.0, name).is_some();
            let orphan = |(id, pod): (&PodId, &Pod)| (!pod.owner.as_ref().is_none_or(|owner| lives(id, owner))).then(|| id.clone());
            state.pods.iter().filter_map(orphan).collect()
        };
        for id in orphans {
            self.end(&id);
        }
        Ok(())
    }

    fn deployment(&mut self, object: &Object) -> Result<()> {
        let spec: DeploymentSpec = object.part("spec")?;
        let revision = revision(&spec);
        let (replicas, mine) = {
            let state = self.shared.state();
            (replicas(&state, object, &spec), pods_of(&state, object))
        };
        let (most, fewest) = spec.strategy.bounds(replicas);
        let waited = Duration::from_secs(spec.min_ready_seconds);
        let (new, old): (Vec<&Mine>, Vec<&Mine>) = mine.iter().partition(|pod| pod.revision == revision);
        let mut available = mine.iter().filter(|pod| pod.available(waited)).count();
        for _ in 0..replicas.saturating_sub(new.len()).min(most.saturating_sub(mine.len())) {
            self.make(object, &spec.template, &revision)?;
        }
        // The oldest that never were ready go first; the others as far as enough stay. Beyond the replicas, new ones go too.
        let surplus = new.len().saturating_sub(replicas);
        let mut going: Vec<&Mine> = old;
        going.extend(new.iter().take(surplus));
        going.sort_by_key(|pod| pod.available(waited));
        for pod in going {
            if pod.available(waited) {
                if available <= fewest {
                    break;
                }
                available -= 1;
            }
            self.end(&pod.id);
        }
        Ok(())
    }

    fn job(&mut self, object: &Object) -> Result<()> {
        let spec: JobSpec = object.part("spec")?;
        let tried: Vec<Phase> = {
            let state = self.shared.state();
            let mine = |pod: &&Pod| pod.owner.as_ref().is_some_and(|(kind, name)| kind == "Job" && name == object.name());
            state
                .pods
                .iter()
                .filter(|((namespace, _), _)| namespace == object.namespace())
                .map(|(_, pod)| pod)
                .filter(mine)
                .map(|pod| pod.phase.clone())
                .collect()
        };
        let failed = tried.iter().filter(|phase| **phase == Phase::Failed).count();
        let done = tried.len() > failed || failed > usize::try_from(spec.backoff_limit.unwrap_or(6))?;
        if !done {
            self.make(object, &spec.template, &hash(&spec.template))?;
        }
        Ok(())
    }

    /// A pod that belongs to nothing.
    fn single(&mut self, object: &Object) -> Result<()> {
        let id = (object.namespace().to_owned(), object.name().to_owned());
        if self.shared.state().pods.contains_key(&id) {
            return Ok(());
        }
        self.add(id, object.labels(), object.part("spec")?, Some(("Pod".to_owned(), object.name().to_owned())), String::new())
    }

    fn make(&mut self, object: &Object, template: &Value, revision: &str) -> Result<()> {
        let template = PodTemplate::deserialize(template).with_context(|| format!("template of {object}"))?;
        self.made += 1;
        let id = (object.namespace().to_owned(), format!("{}-{}-{}", object.name(), revision.get(..5).unwrap_or_default(), self.made));
        let labels = template.metadata["labels"].as_object().into_iter().flatten();
        let mut labels: Labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        labels.insert("pod-template-hash".to_owned(), revision.to_owned());
        self.add(id, labels, template.spec, Some((object.kind().to_owned(), object.name().to_owned())), revision.to_owned())
    }

    fn add(&mut self, id: PodId, labels: Labels, spec: PodSpec, owner: Option<(String, String)>, revision: String) -> Result<()> {
        spec.check()?;
        let (end, told) = watch::channel(None);
        let pod = Pod {
            labels,
            owner,
            revision,
            spec: Arc::new(spec),
            phase: Phase::Waiting("it was just made".to_owned()),
            host: None,
            wire: None,
            walled: false,
            containers: std::collections::BTreeMap::new(),
            ready_since: None,
            end,
        };
        self.shared.update(|state| state.pods.insert(id.clone(), pod));
        self.pods.spawn(kubelet::run(Arc::clone(&self.shared), id, told));
        Ok(())
    }

    fn end(&self, id: &PodId) {
        self.shared.update(|state| end(state, id, None));
    }
}

/// Tells a pod to end, within this time or what it asks for itself. One that is over already just goes.
pub(crate) fn end(state: &mut State, id: &PodId, grace: Option<Duration>) {
    let Some(pod) = state.pods.get(id) else { return };
    if pod.is_over() {
        state.pods.remove(id);
    } else if !pod.is_ending() {
        let own = Duration::from_secs(pod.spec.termination_grace_period_seconds.unwrap_or(kubelet::GRACE));
        pod.end.send_replace(Some(grace.unwrap_or(own)));
    }
}

/// A pod of a workload, as its controller sees it.
#[derive(Clone, Debug)]
struct Mine {
    id: PodId,
    revision: String,
    ready_since: Option<Instant>,
}

impl Mine {
    fn available(&self, waited: Duration) -> bool {
        self.ready_since.is_some_and(|since| since.elapsed() >= waited)
    }
}

fn pods_of(state: &State, object: &Object) -> Vec<Mine> {
    let owner = (object.kind().to_owned(), object.name().to_owned());
    let mine = state.pods.iter().filter(|((namespace, _), pod)| {
        namespace == object.namespace() && pod.owner.as_ref() == Some(&owner) && !pod.is_ending() && !pod.is_over()
    });
    mine.map(|(id, pod)| Mine { id: id.clone(), revision: pod.revision.clone(), ready_since: pod.ready_since }).collect()
}

/// How many pods there shall be: what is written, or the least an autoscaler leaves.
pub(crate) fn replicas(state: &State, object: &Object, spec: &DeploymentSpec) -> usize {
    let written = spec.replicas.unwrap_or(1);
    let scalers = state.of_kind("HorizontalPodAutoscaler").filter(|scaler| scaler.namespace() == object.namespace());
    let scaled = scalers
        .filter_map(|scaler| scaler.part::<HpaSpec>("spec").ok())
        .find(|scaler| scaler.scale_target_ref["kind"] == object.kind() && scaler.scale_target_ref["name"] == object.name());
    scaled.map_or(written, |scaler| written.max(scaler.min_replicas))
}

/// The revision of a Deployment's newest template.
pub(crate) fn revision(spec: &DeploymentSpec) -> String {
    hash(&spec.template)
}

/// A short name of a template.
fn hash(template: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    template.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
