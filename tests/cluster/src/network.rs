//! Keeps the node's rules in step with objects and pods: policies, Services, and pods that are cut off.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use crate::objects::{ContainerPort, Labels};
use crate::policies::{self, Endpoint, Policy};
use crate::services::{self, Backend, Service};
use crate::state::{Pod, PodId, Shared, State};
use crate::{nft, objects};

/// Runs for ever.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut applied = String::new();
    let mut changes = shared.changes();
    loop {
        let version = *changes.borrow_and_update();
        let (rules, wired) = {
            let state = shared.state();
            let wired: Vec<PodId> = state.pods.iter().filter(|(_, pod)| pod.wire.is_some()).map(|(id, _)| id.clone()).collect();
            (rules(&state), wired)
        };
        let outcome = match rules {
            Ok(rules) if rules == applied => Ok(()),
            Ok(rules) => nft::apply(&rules).await.map(|()| applied = rules),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            shared.trouble("the node's rules", &error);
        } else {
            shared.in_force(version);
            wall(&shared, &wired);
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Lets pods begin whose policies are in force.
fn wall(shared: &Shared, wired: &[PodId]) {
    let new = |(id, pod): (&PodId, &Pod)| !pod.walled && wired.contains(id);
    let some = shared.state().pods.iter().any(new);
    if some {
        shared.update(|state| {
            for (_, pod) in state.pods.iter_mut().filter(|(id, _)| wired.contains(id)) {
                pod.walled = true;
            }
        });
    }
}

fn rules(state: &State) -> Result<String> {
    let policies = state.of_kind("NetworkPolicy").map(|object| {
        let spec = object.part("spec")?;
        Ok(Policy { namespace: object.namespace().to_owned(), name: object.name().to_owned(), spec })
    });
    let pods: Vec<Endpoint> = state.pods.iter().filter_map(|(id, pod)| endpoint(id, pod)).collect();
    let policies = policies::ruleset(&policies.collect::<Result<Vec<_>>>()?, &namespaces(state), &pods)?;
    let services = services::ruleset(&services(state)?, &backends(state))?;
    Ok(format!("{policies}{services}{}", lost(state)))
}

/// Drops everything of pods that are cut off, before anything else looks at it, and without an answer.
fn lost(state: &State) -> String {
    let (mut from, mut to) = (String::new(), String::new());
    for wire in &state.lost {
        from.push_str(&format!("    iifname {} drop\n", wire.interface));
        to.push_str(&format!("    ip daddr {} drop\n    ip6 daddr {} drop\n", wire.v4, wire.v6));
    }
    format!(
        "table inet lost\ndelete table inet lost\ntable inet lost {{\n  chain in {{\n    type filter hook prerouting priority -300; policy accept;\n{from}{to}  }}\n  \
         chain out {{\n    type filter hook output priority -300; policy accept;\n{to}  }}\n}}\n"
    )
}

/// The labels of all namespaces, with the one that Kubernetes adds.
fn namespaces(state: &State) -> BTreeMap<String, Labels> {
    let labelled = state.of_kind("Namespace").map(|namespace| {
        let mut labels = namespace.labels();
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.name().to_owned());
        (namespace.name().to_owned(), labels)
    });
    labelled.collect()
}

fn endpoint((namespace, _): &PodId, pod: &Pod) -> Option<Endpoint> {
    let wire = pod.wire.clone()?;
    let named = |port: ContainerPort| Some((port.name?, port.protocol.unwrap_or_else(|| "TCP".to_owned()), port.container_port));
    let ports = ports(pod).into_iter().filter_map(named).collect();
    Some(Endpoint { namespace: namespace.clone(), labels: pod.labels.clone(), interface: wire.interface, v4: wire.v4, v6: wire.v6, ports })
}

fn ports(pod: &Pod) -> Vec<ContainerPort> {
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    containers.flat_map(|container: &objects::Container| container.ports.clone()).collect()
}

/// All Services.
pub(crate) fn services(state: &State) -> Result<Vec<Service>> {
    let services = state.of_kind("Service").map(|object| {
        let spec = object.part("spec")?;
        Ok(Service { namespace: object.namespace().to_owned(), name: object.name().to_owned(), spec })
    });
    services.collect()
}

/// All pods as Services see them.
pub(crate) fn backends(state: &State) -> Vec<Backend> {
    let backend = |((namespace, _), pod): (&PodId, &Pod)| {
        let v4 = pod.wire.as_ref()?.v4;
        Some(Backend { namespace: namespace.clone(), labels: pod.labels.clone(), v4, ready: pod.is_ready(), ports: ports(pod) })
    };
    state.pods.iter().filter_map(backend).collect()
}
