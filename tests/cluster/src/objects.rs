//! Kubernetes objects, as far as the harness understands them. What it does not understand is an error and never silence: a field that
//! is passed over would be a test that proves nothing.

mod pod;
mod policy;
mod service;
mod workload;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use pod::{
    Container, ContainerPort, DnsConfig, EnvFrom, EnvSource, EnvVar, Exec, Handler, HostAlias, HttpGet, IntOrString, KeyRef, KeyToPath,
    Lifecycle, Optional, PodSpec, Probe, Projected, ProjectedSource, Projection, Quantity, Resources, SecurityContext, Sleep, TcpSocket,
    Volume, VolumeMount,
};
pub use policy::{IpBlock, NetworkPolicySpec, Peer, PolicyPort, Rule};
pub use service::{ServicePort, ServiceSpec};
pub use workload::{DeploymentSpec, HpaSpec, JobSpec, PodTemplate, RollingUpdate, Strategy};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// One object, as it was rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Value);

impl Object {
    /// An object from its JSON form.
    ///
    /// # Errors
    /// It has no kind or no name.
    pub fn new(value: Value) -> Result<Self> {
        let object = Self(value);
        if object.kind().is_empty() || object.name().is_empty() {
            bail!("an object without kind or name: {}", object.0);
        }
        Ok(object)
    }

    /// Its kind, such as `Deployment`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// Its namespace; `default` where none is written. It means nothing for kinds that have none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0["metadata"]["namespace"].as_str().unwrap_or("default")
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> Labels {
        strings(&self.0["metadata"]["labels"])
    }

    /// A member at the top, such as `data`, as strings.
    #[must_use]
    pub fn strings(&self, member: &str) -> BTreeMap<String, String> {
        strings(&self.0[member])
    }

    /// A member at the top, such as `spec`, as what it means.
    ///
    /// # Errors
    /// It holds something that the harness does not know.
    pub fn part<T: DeserializeOwned>(&self, member: &str) -> Result<T> {
        T::deserialize(&self.0[member]).with_context(|| format!("{member} of {self}"))
    }

    /// Its JSON form.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// Its JSON form, to be changed.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind(), self.namespace(), self.name())
    }
}

fn strings(value: &Value) -> BTreeMap<String, String> {
    let members = value.as_object().into_iter().flatten();
    members.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// The objects of a YAML stream.
///
/// # Errors
/// It is not YAML, or one of them is no object.
pub fn parse(yaml: &str) -> Result<Vec<Object>> {
    // kubectl reads 0440 as YAML 1.1 does.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(yaml, options).context("rendered YAML")?;
    documents.into_iter().filter(|document| !document.is_null()).map(Object::new).collect()
}

/// What `kubectl kustomize` (or `kustomize build`) makes of a folder.
///
/// # Errors
/// Neither tool is there, or the folder does not render; the error says why.
pub fn render(folder: &Path) -> Result<Vec<Object>> {
    // The last is where tests/setup puts it on a machine that has neither.
    let installed = portcullis_e2e::client_tool_path("python/bin/kubectl");
    for (program, verb) in [(Path::new("kubectl"), "kustomize"), (Path::new("kustomize"), "build"), (&installed, "kustomize")] {
        let output = match Command::new(program).arg(verb).arg(folder).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            output => output.with_context(|| format!("cannot run {}", program.display()))?,
        };
        if !output.status.success() {
            bail!("{} {verb} {}: {}", program.display(), folder.display(), String::from_utf8_lossy(&output.stderr));
        }
        return parse(std::str::from_utf8(&output.stdout)?);
    }
    bail!("neither kubectl nor kustomize is here; run: bash tests/setup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_taken_apart_and_empty_documents_are_nothing() {
        let objects =
            parse("kind: A\nmetadata: {name: a, namespace: m, labels: {x: \"1\"}}\n---\n---\nkind: B\nmetadata: {name: b}\n").unwrap();
        assert_eq!(objects.iter().map(ToString::to_string).collect::<Vec<_>>(), ["A m/a", "B default/b"]);
        assert_eq!(objects[0].labels()["x"], "1");
        let mode = parse("kind: A\nmetadata: {name: a}\nmode: 0440").unwrap()[0].value()["mode"].as_u64();
        assert_eq!(mode, Some(0o440));
        assert!(parse("metadata: {name: a}").is_err());
    }

    #[test]
    fn a_field_that_the_harness_does_not_know_is_an_error() {
        let object = parse("kind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}, egressDeny: []}").unwrap().remove(0);
        let error = format!("{:#}", object.part::<NetworkPolicySpec>("spec").unwrap_err());
        assert!(error.contains("egressDeny") && error.contains("NetworkPolicy default/a"), "{error}");
    }
}
