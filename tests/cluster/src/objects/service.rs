//! `v1` Service.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{IntOrString, Labels};

/// What a Service says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Its address; `None` as text makes it headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    /// Only `ClusterIP` is run here.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The pods behind it.
    #[serde(default)]
    pub selector: Labels,
    /// Its ports.
    #[serde(default)]
    pub ports: Vec<ServicePort>,
    /// Whether pods that are not ready are among its addresses.
    #[serde(default)]
    pub publish_not_ready_addresses: bool,
    // One node, IPv4: these change nothing here.
    #[serde(default, rename = "clusterIPs")]
    _cluster_ips: Option<IgnoredAny>,
    #[serde(default)]
    _ip_family_policy: Option<IgnoredAny>,
    #[serde(default)]
    _ip_families: Option<IgnoredAny>,
    #[serde(default)]
    _internal_traffic_policy: Option<IgnoredAny>,
    #[serde(default)]
    _traffic_distribution: Option<IgnoredAny>,
}

/// A port of a Service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name.
    pub name: Option<String>,
    /// `TCP` where it is not written.
    pub protocol: Option<String>,
    /// The port at the Service's address.
    pub port: u16,
    /// The port of the pods, by number or name; where it is not written, the same.
    pub target_port: Option<IntOrString>,
    #[serde(default)]
    _app_protocol: Option<IgnoredAny>,
}
