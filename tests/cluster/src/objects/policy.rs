//! `networking.k8s.io/v1` NetworkPolicy.

use serde::Deserialize;

use super::IntOrString;
use crate::selector::Selector;

/// What a policy says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// The pods of the policy's namespace that it isolates.
    #[serde(default)]
    pub pod_selector: Selector,
    /// Which ways it isolates. Where it is not written: `Ingress`, and `Egress` if there are rules for it.
    #[serde(default)]
    pub policy_types: Vec<String>,
    /// Who may come in.
    #[serde(default)]
    pub ingress: Option<Vec<Rule>>,
    /// Where they may go.
    #[serde(default)]
    pub egress: Option<Vec<Rule>>,
}

/// One rule: any of the peers on any of the ports.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The peers; none is everybody. `from` of ingress, `to` of egress.
    #[serde(default, alias = "from", alias = "to")]
    pub peers: Vec<Peer>,
    /// The ports; none is every port of every protocol.
    #[serde(default)]
    pub ports: Vec<PolicyPort>,
}

/// A peer: pods, or addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Peer {
    /// Pods by their labels: of the policy's namespace, or of those of `namespace_selector`.
    pub pod_selector: Option<Selector>,
    /// Namespaces by their labels.
    pub namespace_selector: Option<Selector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
}

/// A range of addresses without some parts of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpBlock {
    /// The range.
    pub cidr: String,
    /// The parts that do not belong to it.
    #[serde(default)]
    pub except: Vec<String>,
}

/// Ports of one protocol.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicyPort {
    /// `TCP` where it is not written.
    pub protocol: Option<String>,
    /// A number, or the name of a port of the pod that is spoken to. None is all of the protocol.
    pub port: Option<IntOrString>,
    /// The last of a range that begins with `port`.
    pub end_port: Option<u16>,
}
