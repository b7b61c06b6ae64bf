//! Pods: what the mini-kubelet runs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// A number or a text, such as a port by number or by name.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(u16),
    /// A text.
    String(String),
}

/// A pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PodSpec {
    /// What runs.
    pub containers: Vec<Container>,
    /// What runs before, one after the other.
    #[serde(default)]
    pub init_containers: Vec<Container>,
    /// What is mounted.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// More names in `/etc/hosts`.
    #[serde(default)]
    pub host_aliases: Vec<HostAlias>,
    /// How long it may take to end.
    pub termination_grace_period_seconds: Option<u64>,
    /// `Always` where it is not written.
    pub restart_policy: Option<String>,
    /// What counts for all containers.
    #[serde(default)]
    pub security_context: SecurityContext,
    /// `None` as text: the pod gets no name server.
    pub dns_policy: Option<String>,
    /// Name servers where the policy is `None`.
    #[serde(default)]
    pub dns_config: DnsConfig,
    /// The identity it runs as.
    pub service_account_name: Option<String>,
    /// Whether it gets a token; yes where it is not written.
    pub automount_service_account_token: Option<bool>,
    /// The host's own things, which no pod gets here.
    #[serde(default)]
    pub host_network: bool,
    /// Likewise.
    #[serde(default, rename = "hostPID")]
    pub host_pid: bool,
    /// Likewise.
    #[serde(default, rename = "hostIPC")]
    pub host_ipc: bool,
    /// Whether containers see each other's processes; here they never do.
    #[serde(default)]
    pub share_process_namespace: bool,
    // Addresses of Services in the environment: nothing of ours reads them.
    #[serde(default)]
    _enable_service_links: Option<IgnoredAny>,
    // Placement on nodes: there is one.
    #[serde(default)]
    _affinity: Option<IgnoredAny>,
    #[serde(default)]
    _node_selector: Option<IgnoredAny>,
    #[serde(default)]
    _tolerations: Option<IgnoredAny>,
    #[serde(default)]
    _topology_spread_constraints: Option<IgnoredAny>,
    #[serde(default)]
    _priority_class_name: Option<IgnoredAny>,
    // Another kernel or a user namespace around the pod: bubblewrap stands for both.
    #[serde(default)]
    _runtime_class_name: Option<IgnoredAny>,
    #[serde(default)]
    _host_users: Option<IgnoredAny>,
}

impl PodSpec {
    /// Whether it asks for something that no pod gets here.
    ///
    /// # Errors
    /// It does.
    pub fn check(&self) -> anyhow::Result<()> {
        if self.host_network || self.host_pid || self.host_ipc || self.share_process_namespace {
            anyhow::bail!("a pod wants to share the host's network, processes or memory, or its own between containers");
        }
        Ok(())
    }
}

/// Name servers of a pod's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsConfig {
    /// Their addresses.
    #[serde(default)]
    pub nameservers: Vec<String>,
    /// What is appended to names.
    #[serde(default)]
    pub searches: Vec<String>,
    /// Options of the resolver.
    #[serde(default)]
    pub options: Vec<BTreeMap<String, String>>,
}

/// Names of an address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostAlias {
    /// The address.
    pub ip: String,
    /// Its names.
    pub hostnames: Vec<String>,
}

/// A container.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// What runs, instead of the image's entry point.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Where it runs.
    pub working_dir: Option<String>,
    /// Its environment.
    #[serde(default)]
    pub env: Vec<EnvVar>,
    /// More of its environment.
    #[serde(default)]
    pub env_from: Vec<EnvFrom>,
    /// Names of its ports.
    #[serde(default)]
    pub ports: Vec<ContainerPort>,
    /// What is mounted where.
    #[serde(default)]
    pub volume_mounts: Vec<VolumeMount>,
    /// Whether it is taken for ready.
    pub readiness_probe: Option<Probe>,
    /// Whether it is killed and started again.
    pub liveness_probe: Option<Probe>,
    /// What must have succeeded before the others are asked.
    pub startup_probe: Option<Probe>,
    /// What happens before its end.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// What it may do.
    #[serde(default)]
    pub security_context: SecurityContext,
    /// `Always` makes an init container one that stays.
    pub restart_policy: Option<String>,
    /// What it may use.
    #[serde(default)]
    pub resources: Resources,
    /// Where the reason of its end comes from.
    pub termination_message_policy: Option<String>,
    #[serde(default)]
    _termination_message_path: Option<IgnoredAny>,
    // There are no images to pull and no terminals to attach.
    #[serde(default)]
    _image_pull_policy: Option<IgnoredAny>,
    #[serde(default)]
    _stdin: Option<IgnoredAny>,
    #[serde(default)]
    _tty: Option<IgnoredAny>,
}

/// What a container may use. Not enforced; only told to containers that ask.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// What it may use at most.
    #[serde(default)]
    pub limits: BTreeMap<String, Quantity>,
    /// What is kept for it.
    #[serde(default)]
    pub requests: BTreeMap<String, Quantity>,
}

/// An amount such as `500m` or `1Gi`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// A whole number.
    Int(u64),
    /// With a unit.
    Text(String),
}

impl Quantity {
    /// The amount in whole units, rounded up, as a container is told it.
    #[must_use]
    pub fn whole(&self) -> Option<u64> {
        let text = match self {
            Self::Int(number) => return Some(*number),
            Self::Text(text) => text,
        };
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().ok()?;
        Some(match text.get(digits.len()..)? {
            "" => number,
            "m" => number.div_ceil(1000),
            "Ki" => number << 10,
            "Mi" => number << 20,
            "Gi" => number << 30,
            "k" => number * 1_000,
            "M" => number * 1_000_000,
            "G" => number * 1_000_000_000,
            _ => return None,
        })
    }
}

/// A variable of the environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<String>,
    /// Where its value comes from.
    pub value_from: Option<EnvSource>,
}

/// Where the value of a variable comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum EnvSource {
    /// The pod itself.
    #[serde(rename_all = "camelCase")]
    FieldRef {
        /// Such as `status.podIP`.
        field_path: String,
        /// Always `v1`.
        #[serde(default, rename = "apiVersion")]
        _api_version: Option<IgnoredAny>,
    },
    /// What the container may use.
    #[serde(rename_all = "camelCase")]
    ResourceFieldRef {
        /// Such as `limits.cpu`.
        resource: String,
        /// Whose; its own where it is not written.
        container_name: Option<String>,
        /// Divided by this; not known here.
        #[serde(default)]
        divisor: Option<Quantity>,
    },
    /// A key of a Secret.
    SecretKeyRef(KeyRef),
    /// A key of a ConfigMap.
    ConfigMapKeyRef(KeyRef),
}

/// A key of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRef {
    /// The object.
    pub name: String,
    /// The key.
    pub key: String,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// All keys of an object as variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnvFrom {
    /// What stands before each name.
    #[serde(default)]
    pub prefix: String,
    /// A ConfigMap.
    pub config_map_ref: Option<Optional>,
    /// A Secret.
    pub secret_ref: Option<Optional>,
}

/// An object that may be missing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optional {
    /// Its name.
    pub name: String,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// A port of a container.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ContainerPort {
    /// Its name.
    pub name: Option<String>,
    /// Its number.
    pub container_port: u16,
    /// `TCP` where it is not written.
    pub protocol: Option<String>,
}

/// A volume seen by a container.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VolumeMount {
    /// The volume.
    pub name: String,
    /// Where it is seen.
    pub mount_path: String,
    /// Whether it can only be read.
    #[serde(default)]
    pub read_only: bool,
    /// One file or folder of it; it does not follow changes.
    pub sub_path: Option<String>,
}

/// A volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// An empty folder for the life of the pod.
    pub empty_dir: Option<IgnoredAny>,
    /// The keys of a ConfigMap as files.
    pub config_map: Option<Projection>,
    /// The keys of a Secret as files.
    pub secret: Option<Projection>,
    /// Several sources in one folder.
    pub projected: Option<Projected>,
}

/// Several sources in one folder.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Projected {
    /// The sources.
    pub sources: Vec<ProjectedSource>,
    /// The mode of files.
    pub default_mode: Option<u32>,
}

/// One source of a projected volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum ProjectedSource {
    /// A ConfigMap.
    ConfigMap(Projection),
    /// A Secret.
    Secret(Projection),
}

/// The keys of an object as files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Projection {
    /// The object (`secretName` of a Secret volume).
    #[serde(alias = "secretName")]
    pub name: String,
    /// Which keys, and as what files; all where it is not written.
    #[serde(default)]
    pub items: Vec<KeyToPath>,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
    /// The mode of files, 0644 where it is not written.
    pub default_mode: Option<u32>,
}

/// A key as a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyToPath {
    /// The key.
    pub key: String,
    /// The file.
    pub path: String,
    /// Its mode.
    pub mode: Option<u32>,
}

/// What a pod or a container may do.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecurityContext {
    /// The user.
    pub run_as_user: Option<u32>,
    /// Its group.
    pub run_as_group: Option<u32>,
    /// Whether it may be root.
    pub run_as_non_root: Option<bool>,
    /// Whether the container's own files can be written.
    pub read_only_root_filesystem: Option<bool>,
    /// Whether it may win rights.
    pub allow_privilege_escalation: Option<bool>,
    // The tests of the manifests hold these to Pod Security `restricted`. Here every container has no capabilities and cannot win any,
    // and every file of a volume is its user's own.
    #[serde(default)]
    _capabilities: Option<IgnoredAny>,
    #[serde(default)]
    _seccomp_profile: Option<IgnoredAny>,
    #[serde(default)]
    _fs_group: Option<IgnoredAny>,
    #[serde(default)]
    _fs_group_change_policy: Option<IgnoredAny>,
    #[serde(default)]
    _privileged: Option<IgnoredAny>,
}

/// How a container is asked for its state.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Probe {
    /// By HTTP.
    pub http_get: Option<HttpGet>,
    /// By a connection.
    pub tcp_socket: Option<TcpSocket>,
    /// When it is first asked.
    #[serde(default)]
    pub initial_delay_seconds: u64,
    /// How often.
    #[serde(default = "ten")]
    pub period_seconds: u64,
    /// How long an answer may take.
    #[serde(default = "one")]
    pub timeout_seconds: u64,
    /// How often it must succeed.
    #[serde(default = "one")]
    pub success_threshold: u64,
    /// How often it must fail.
    #[serde(default = "three")]
    pub failure_threshold: u64,
}

fn one() -> u64 {
    1
}

fn three() -> u64 {
    3
}

fn ten() -> u64 {
    10
}

/// A question by HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpGet {
    /// The path.
    #[serde(default = "slash")]
    pub path: String,
    /// The port, by number or by name.
    pub port: IntOrString,
    /// `HTTP`; nothing else is asked here.
    pub scheme: Option<String>,
}

fn slash() -> String {
    "/".to_owned()
}

/// A question by a connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpSocket {
    /// The port, by number or by name.
    pub port: IntOrString,
}

/// What happens around a container's life.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Lifecycle {
    /// Before it is told to end.
    pub pre_stop: Option<Handler>,
}

/// What is done at such a moment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Handler {
    /// Waits.
    pub sleep: Option<Sleep>,
    /// Runs a command in the container.
    pub exec: Option<Exec>,
}

/// A wait.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// How long.
    pub seconds: u64,
}

/// A command.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The command and its arguments.
    pub command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up_to_whole_units() {
        let whole = |text: &str| Quantity::Text(text.to_owned()).whole();
        assert_eq!(
            [whole("2"), whole("1500m"), whole("500m"), whole("512Mi"), whole("1 cup")],
            [Some(2), Some(2), Some(1), Some(512 << 20), None]
        );
    }
}
