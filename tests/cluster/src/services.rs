//! Services: the addresses behind a name, and rules of nftables that lead a Service's own address to them.

use std::fmt::Write;
use std::net::Ipv4Addr;

use anyhow::{Result, bail};

use crate::objects::{ContainerPort, IntOrString, Labels, ServiceSpec};
use crate::selector::includes;

/// Where Services have their addresses (kubeadm's default).
pub(crate) const SERVICES: &str = "10.96.0.0/12";

/// A Service and where it lives.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) spec: ServiceSpec,
}

/// A pod as Services see it.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its labels.
    pub(crate) labels: Labels,
    /// Its address.
    pub(crate) v4: Ipv4Addr,
    /// Whether it takes traffic.
    pub(crate) ready: bool,
    /// Its ports.
    pub(crate) ports: Vec<ContainerPort>,
}

impl Service {
    /// The pods that it leads to now.
    pub(crate) fn backends<'b>(&self, pods: &'b [Backend]) -> impl Iterator<Item = &'b Backend> {
        let (namespace, selector, all) = (self.namespace.clone(), self.spec.selector.clone(), self.spec.publish_not_ready_addresses);
        pods.iter()
            .filter(move |pod| !selector.is_empty() && pod.namespace == namespace && (pod.ready || all) && includes(&pod.labels, &selector))
    }

    /// Its own address; a headless Service has none.
    ///
    /// # Errors
    /// It is not an address, or it is written nowhere (nobody gives them out here).
    pub(crate) fn address(&self) -> Result<Option<Ipv4Addr>> {
        if self.spec.kind.as_deref().is_some_and(|kind| kind != "ClusterIP") {
            bail!("Service {}/{} is of another kind than ClusterIP", self.namespace, self.name);
        }
        match self.spec.cluster_ip.as_deref() {
            Some("None") => Ok(None),
            Some(address) => Ok(Some(address.parse()?)),
            None => bail!("Service {}/{} has no clusterIP", self.namespace, self.name),
        }
    }
}

/// The whole table, which takes the place of the one before in one transaction. `api` is where the API server's Service leads to.
///
/// # Errors
/// A Service says something that is not understood.
pub(crate) fn ruleset(services: &[Service], pods: &[Backend]) -> Result<String> {
    let mut rules = String::new();
    for service in services {
        let Some(address) = service.address()? else { continue };
        writeln!(rules, "    # {}/{}", service.namespace, service.name)?;
        for port in &service.spec.ports {
            let protocol = port.protocol.as_deref().unwrap_or("TCP").to_ascii_lowercase();
            let target = port.target_port.clone().unwrap_or(IntOrString::Int(port.port));
            let to: Vec<(Ipv4Addr, u16)> = service.backends(pods).filter_map(|pod| Some((pod.v4, number(&target, &pod.ports)?))).collect();
            if to.is_empty() {
                continue;
            }
            let turns: Vec<String> = to.iter().enumerate().map(|(turn, (pod, port))| format!("{turn} : {pod} . {port}")).collect();
            writeln!(
                rules,
                "    ip daddr {address} {protocol} dport {} dnat ip addr . port to numgen inc mod {} map {{ {} }}",
                port.port,
                to.len(),
                turns.join(", ")
            )?;
        }
    }
    // What is at a Service's address and led nowhere has nobody behind it; out in the world it must not look for them.
    Ok(format!(
        "table inet services\ndelete table inet services\ntable inet services {{\n  chain route {{\n{rules}  }}\n  chain prerouting {{\n    type nat hook \
         prerouting priority dstnat; policy accept;\n    jump route\n  }}\n  chain output {{\n    type nat hook output priority -100; policy \
         accept;\n    jump route\n  }}\n  chain forward {{\n    type filter hook forward priority -10; policy accept;\n    ip daddr {SERVICES} reject\n  }}\n}}\n"
    ))
}

/// A port of a pod by number or name.
fn number(port: &IntOrString, ports: &[ContainerPort]) -> Option<u16> {
    match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => ports.iter().find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(yaml: &str) -> Service {
        Service { namespace: "n".to_owned(), name: "s".to_owned(), spec: serde_saphyr::from_str(yaml).unwrap() }
    }

    fn pod(last: u8, app: &str, ready: bool, port: u16) -> Backend {
        let labels = Labels::from([("app".to_owned(), app.to_owned())]);
        let ports = vec![ContainerPort { name: Some("web".to_owned()), container_port: port, protocol: None }];
        Backend { namespace: "n".to_owned(), labels, v4: Ipv4Addr::new(10, 244, 1, last), ready, ports }
    }

    #[test]
    fn a_service_leads_to_the_ready_pods_of_its_namespace_at_the_port_they_call_so() {
        let service = service("{clusterIP: 10.96.0.128, selector: {app: a}, ports: [{port: 80, targetPort: web}]}");
        let other = Backend { namespace: "m".to_owned(), ..pod(4, "a", true, 80) };
        let pods = [pod(1, "a", true, 8080), pod(2, "a", false, 8080), pod(3, "b", true, 8080), other, pod(5, "a", true, 9090)];
        let rules = ruleset(&[service], &pods).unwrap();
        let route = rules.lines().find(|line| line.contains("dnat")).unwrap();
        assert_eq!(
            route.trim(),
            "ip daddr 10.96.0.128 tcp dport 80 dnat ip addr . port to numgen inc mod 2 map { 0 : 10.244.1.1 . 8080, 1 : 10.244.1.5 . 9090 }"
        );
    }

    #[test]
    fn a_headless_service_has_addresses_but_no_rules_and_one_without_selector_means_nobody() {
        let headless = service("{clusterIP: None, selector: {app: a}, ports: [{port: 80}]}");
        let pods = [pod(1, "a", true, 80)];
        assert_eq!(headless.backends(&pods).count(), 1);
        assert!(!ruleset(&[headless], &pods).unwrap().contains("dnat to"));
        assert_eq!(service("{clusterIP: 10.96.0.1, ports: [{port: 80}]}").backends(&pods).count(), 0);
        assert!(service("{type: LoadBalancer}").address().is_err());
    }
}
