//! The bounds that stand in the manifests and in the Envoy configuration, read from there, so that what is computed follows them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Error;

/// What Envoy allows a cluster that says nothing of it, of connections, requests and requests that wait, each
/// (`envoy.config.cluster.v3.CircuitBreakers`).
const ENVOY_DEFAULT: f64 = 1024.0;

/// What bounds a replica, and how replicas grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Connections of sandboxes to one gateway.
    pub connections: f64,
    /// Tunnels through one gateway: connections of the cluster `inner`.
    pub tunnels: f64,
    /// Requests of one gateway under way to HTTPS upstreams, and connections to them: those of the cluster `upstream_tls`.
    pub upstream: f64,
    /// Requests of one gateway under way at scanners.
    pub gateway_streams: f64,
    /// Names in one gateway's DNS cache.
    pub names: f64,
    /// Envoy's heap, MiB.
    pub heap_mib: f64,
    /// The gateway.
    pub gateway: Tier,
    /// The scanner.
    pub scanner: Tier,
    /// Requests under way at which one more scanner is started.
    pub scanner_streams_target: f64,
}

/// What a replica of a tier asks for, and how the tier grows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tier {
    /// CPUs that a replica asks for.
    pub cpus: f64,
    /// Memory that a replica may have, MiB.
    pub memory_mib: f64,
    /// The utilisation of these CPUs that the autoscaler keeps, 0 to 1.
    pub target: f64,
    /// Fewest replicas.
    pub least: f64,
    /// Most replicas.
    pub most: f64,
}

impl Limits {
    /// Reads them from the files below `root`.
    ///
    /// # Errors
    /// A file cannot be read, or does not say what is looked for.
    pub fn read(root: &Path) -> Result<Limits, Error> {
        let envoy = File::read(root, "envoy/envoy.yaml")?;
        let autoscalers = File::read(root, "deploy/components/high-availability/autoscalers.yaml")?;
        let cluster = |name: &str, field: &str| {
            let clusters = envoy.at("/static_resources/clusters").and_then(Value::as_array).into_iter().flatten();
            let found = clusters.filter(|c| c["name"] == name).find_map(|c| c["circuit_breakers"]["thresholds"][0][field].as_f64());
            found.unwrap_or(ENVOY_DEFAULT)
        };
        let monitor = |field: &str| {
            let monitors = envoy.at("/overload_manager/resource_monitors").and_then(Value::as_array).into_iter().flatten();
            monitors.filter_map(|m| m["typed_config"][field].as_f64()).next()
        };
        let scanner = autoscalers.named("portcullis-scanner");
        let streams = scanner.and_then(|s| s["spec"]["metrics"][1]["pods"]["target"]["averageValue"].as_str()?.parse().ok());
        Ok(Limits {
            connections: envoy.needs("max_active_downstream_connections", monitor("max_active_downstream_connections"))?,
            tunnels: cluster("inner", "max_connections"),
            upstream: cluster("upstream_tls", "max_connections").min(cluster("upstream_tls", "max_requests")),
            gateway_streams: cluster("scanner", "max_requests"),
            names: envoy.needs("max_hosts of the DNS cache", find(&envoy.documents[0], "max_hosts").and_then(Value::as_f64))?,
            heap_mib: envoy.needs("max_heap_size_bytes", monitor("max_heap_size_bytes"))? / crate::costs::MIB,
            gateway: tier(root, &autoscalers, "gateway")?,
            scanner: tier(root, &autoscalers, "scanner")?,
            scanner_streams_target: autoscalers.needs("the requests under way of a scanner", streams)?,
        })
    }
}

fn tier(root: &Path, autoscalers: &File, name: &str) -> Result<Tier, Error> {
    let deployment = File::read(root, &format!("deploy/base/system/{name}/deployment.yaml"))?;
    let resources = deployment.at("/spec/template/spec/containers/0/resources").cloned().unwrap_or_default();
    let autoscaler = autoscalers.named(&format!("portcullis-{name}")).cloned().unwrap_or_default();
    let spec = &autoscaler["spec"];
    let target = spec["metrics"][0]["resource"]["target"]["averageUtilization"].as_f64();
    Ok(Tier {
        cpus: deployment.needs("the CPUs of its container", quantity(&resources["requests"]["cpu"]))?,
        memory_mib: deployment.needs("the memory of its container", quantity(&resources["limits"]["memory"]))? / crate::costs::MIB,
        target: autoscalers.needs("the utilisation to keep", target)? / 100.0,
        least: autoscalers.needs("the fewest replicas", spec["minReplicas"].as_f64())?,
        most: autoscalers.needs("the most replicas", spec["maxReplicas"].as_f64())?,
    })
}

/// A quantity of Kubernetes, in the units that occur here.
fn quantity(value: &Value) -> Option<f64> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (digits, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "Mi" => crate::costs::MIB,
        "Gi" => 1024.0 * crate::costs::MIB,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

/// The first value under a key, anywhere below.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key).or_else(|| map.values().find_map(|v| find(v, key))),
        Value::Array(list) => list.iter().find_map(|v| find(v, key)),
        _ => None,
    }
}

struct File {
    path: PathBuf,
    documents: Vec<Value>,
}

impl File {
    fn read(root: &Path, name: &str) -> Result<File, Error> {
        let path = root.join(name);
        let text = crate::read(&path)?;
        let parse = |document| serde_saphyr::from_str::<Value>(document).map_err(|_| Error::Limit { path: path.clone(), what: "YAML" });
        let documents = text.split("\n---\n").map(parse).collect::<Result<_, _>>()?;
        Ok(File { path, documents })
    }

    fn at(&self, pointer: &str) -> Option<&Value> {
        self.documents.first()?.pointer(pointer)
    }

    fn named(&self, name: &str) -> Option<&Value> {
        self.documents.iter().find(|d| d["metadata"]["name"] == name)
    }

    fn needs<T>(&self, what: &'static str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| Error::Limit { path: self.path.clone(), what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_of_kubernetes_are_read() {
        let read = ["2", "100m", "128Mi", "1Gi", "3X"].map(|text| quantity(&Value::String(text.into())));
        assert_eq!(read, [Some(2.0), Some(0.1), Some(134_217_728.0), Some(1_073_741_824.0), None]);
        assert_eq!(quantity(&Value::from(2)), Some(2.0));
    }
}
