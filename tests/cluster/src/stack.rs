//! The gateway in a cluster: an overlay of `deploy/`, rendered and running, and an agent's sandbox in it.

use std::fs;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::PATIENCE;
use crate::cluster::{Cluster, PodName};
use crate::objects::{self, Object};
use crate::sandbox::Sandbox;

/// The namespace of the gateway's parts.
pub const SYSTEM: &str = "portcullis";
/// The namespace of sandboxes.
pub const SANDBOXES: &str = "portcullis-sandboxes";
/// Where the gateway shows its statistics.
pub const GATEWAY_STATS: (u16, &str) = (9901, "/stats/prometheus");
/// Where all others show theirs.
pub const METRICS: (u16, &str) = (9090, "/metrics");
/// The Deployments of the gateway's parts.
const DEPLOYMENTS: [&str; 3] = ["portcullis-certificates", "portcullis-scanner", "portcullis-gateway"];

/// How often something without a bell of its own is looked at.
const TICK: Duration = Duration::from_millis(50);

/// An overlay of one's own, as a person writes it: the world's CA is trusted instead of the web's.
const OVERLAY: &str = r##"apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{overlay}]
components: [{components}]
configMapGenerator:
- name: portcullis-upstream-trust
  namespace: portcullis
  files: [ca.pem]
- name: upstream-trust
  files: [text]
  options: {annotations: {config.kubernetes.io/local-config: "true"}}
replacements:
- source: {kind: ConfigMap, name: upstream-trust, fieldPath: data.text}
  targets:
  - select: {kind: ConfigMap, name: portcullis-envoy}
    fieldPaths: ["data.[envoy.yaml]"]
    options: {delimiter: "#@upstream-trust", index: 1}
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: portcullis-gateway, namespace: portcullis}
    spec:
      template:
        spec:
          containers:
          - name: gateway
            volumeMounts: [{name: upstream-trust, mountPath: /etc/portcullis/upstream, readOnly: true}]
          volumes: [{name: upstream-trust, configMap: {name: portcullis-upstream-trust}}]
"##;
/// What stands at the marker then.
const TRUST: &str = "\n          validation_context: {trusted_ca: {filename: /etc/portcullis/upstream/ca.pem}}\n          ";

/// The root of the tree.
#[must_use]
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.ancestors().nth(2).unwrap_or(tests).to_owned()
}

/// Writes a figure among the test's output: `--success-output final` of nextest shows it.
pub fn figure(text: &str) {
    // A test that nobody listens to goes on.
    drop(writeln!(std::io::stdout().lock(), "figure: {text}"));
}

/// Renders an overlay of `deploy/overlays`, with components of `deploy/components` after a `+` each (`dev+fail-open`), changed as a person's
/// own overlay changes it. Two values are ours, so that tests end: pods
/// wait three seconds rather than fifteen for others to forget them, and ten rather than 660 for what is open; and an autoscaler's least is
/// `replicas`.
///
/// # Errors
/// It does not render.
pub fn render(overlay: &str, ca_pem: &str, replicas: usize) -> Result<Vec<Object>> {
    let folder = tempfile::tempdir()?;
    let here = folder.path().canonicalize()?;
    let at = |kind: &str, name: &str| -> Result<String> {
        Ok(relative(&here, &root().join("deploy").join(kind).join(name).canonicalize()?).display().to_string())
    };
    let (overlay, components) = overlay.split_once('+').unwrap_or((overlay, ""));
    let components: Result<Vec<_>> = components.split('+').filter(|c| !c.is_empty()).map(|c| at("components", c)).collect();
    let text = OVERLAY.replace("{overlay}", &at("overlays", overlay)?).replace("{components}", &components?.join(", "));
    for (name, text) in [("kustomization.yaml", text.as_str()), ("ca.pem", ca_pem), ("text", TRUST)] {
        fs::write(folder.path().join(name), text)?;
    }
    let mut objects = objects::render(folder.path())?;
    for object in &mut objects {
        if object.kind() == "HorizontalPodAutoscaler" {
            object.value_mut()["spec"]["minReplicas"] = replicas.into();
        }
        shorten(object.value_mut());
    }
    Ok(objects)
}

/// Puts shorter times in the place of `--lame-duck` and `--drain`, wherever they stand.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with("--lame-duck=") => "--lame-duck=3".clone_into(text),
        Value::String(text) if text.starts_with("--drain=") => "--drain=10".clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(values) => values.values_mut().for_each(shorten),
        _ => {}
    }
}

/// The way from one folder to another; kustomize takes no other.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// A cluster with an overlay in it, and an agent's sandbox.
#[derive(Debug)]
pub struct Stack {
    /// The cluster.
    pub cluster: Cluster,
    /// The sandbox.
    pub sandbox: Sandbox,
}

impl Stack {
    /// Starts an overlay as it is, with so many gateways and scanners, and waits until everything is ready.
    ///
    /// # Errors
    /// Something did not start; the error holds the logs.
    pub async fn start(overlay: &str, replicas: usize) -> Result<Self> {
        Self::start_with(overlay, replicas, |_| Ok(())).await
    }

    /// The same with objects changed before they are applied.
    ///
    /// # Errors
    /// As [`Stack::start`].
    pub async fn start_with(overlay: &str, replicas: usize, change: impl FnOnce(&mut Vec<Object>) -> Result<()>) -> Result<Self> {
        let cluster = Cluster::new().await?;
        let mut objects = render(overlay, cluster.world.ca_pem(), replicas)?;
        change(&mut objects)?;
        cluster.apply(objects)?;
        if !cluster.job(SYSTEM, "portcullis-pki").await? {
            bail!("the Job portcullis-pki failed\n{}", cluster.report());
        }
        for deployment in DEPLOYMENTS {
            cluster.rolled_out(SYSTEM, deployment).await?;
        }
        let sandbox = cluster.sandbox("agent").await?;
        let stack = Self { cluster, sandbox };
        stack.every_gateway_knows_every_scanner().await?;
        Ok(stack)
    }

    /// Waits until every gateway knows every scanner: a gateway that came up before them asks for their addresses again every second.
    ///
    /// # Errors
    /// One does not come to know them.
    pub async fn every_gateway_knows_every_scanner(&self) -> Result<()> {
        let begun = Instant::now();
        for gateway in self.pods("gateway") {
            loop {
                let scanners = f64::from(u32::try_from(self.pods("scanner").len())?);
                let label = "envoy_cluster_name=\"scanner\"";
                let known = self.cluster.metric(&gateway, GATEWAY_STATS, "envoy_cluster_membership_healthy", label).await?;
                // Who is gone is known to be gone at the same moment.
                let all = self.cluster.metric(&gateway, GATEWAY_STATS, "envoy_cluster_membership_total", label).await?;
                #[expect(clippy::float_cmp, reason = "they are counts")]
                if known == scanners && all == scanners {
                    break;
                }
                if begun.elapsed() > PATIENCE {
                    bail!("{} knows {known} healthy of {all} scanners, not {scanners}\n{}", gateway.1, self.cluster.report());
                }
                tokio::time::sleep(TICK).await;
            }
        }
        Ok(())
    }

    /// The pods of a part: `gateway`, `scanner`, `certificates`.
    #[must_use]
    pub fn pods(&self, component: &str) -> Vec<PodName> {
        self.cluster.pods(SYSTEM, &format!("app.kubernetes.io/component={component}"))
    }

    /// One of the pods of a part.
    ///
    /// # Errors
    /// There is none.
    pub fn pod(&self, component: &str) -> Result<PodName> {
        self.pods(component).into_iter().next().with_context(|| format!("no pod of {component}"))
    }

    /// Asserts that nothing any container wrote holds the secret, and that the harness had no trouble.
    ///
    /// # Errors
    /// Something does; the error does not repeat it.
    pub fn check(&self, secrets: &[String]) -> Result<()> {
        for (pod, container, log) in self.cluster.all_logs() {
            if secrets.iter().any(|secret| log.contains(secret.as_str())) {
                bail!("the log of {container} in {} holds a secret", pod.1);
            }
        }
        let troubles = self.cluster.troubles();
        if !troubles.is_empty() {
            bail!("{}", troubles.join("\n"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_folders_goes_up_and_down() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to)).display().to_string();
        assert_eq!(way("/tmp/a", "/work/x/y"), "../../work/x/y");
        assert_eq!(way("/work/t", "/work/x"), "../x");
    }
}
