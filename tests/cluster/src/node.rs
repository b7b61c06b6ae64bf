//! The one node: the namespace that the test itself lives in. It routes between its pods and the world.
//!
//! Every pod hangs on a wire of its own, a veth pair with single addresses at both ends, so that everything between two pods is routed and
//! passes the hook where policies are enforced; there is no bridge.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};

use crate::host::{Host, ip};

/// The node as its pods see it. Also what kubelet asks from.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Where pods are.
pub(crate) const PODS: &str = "10.244.0.0/16";
const PODS6: &str = "fd00:244::/64";
/// The wire to the world: the node's end, the world's end.
const NODE_OUTSIDE: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 1);
const WORLD: Ipv4Addr = Ipv4Addr::new(172, 31, 0, 2);
const NODE_OUTSIDE6: &str = "fd00:31::1";
const WORLD6: &str = "fd00:31::2";
/// The node's end of every pod's wire, in IPv6.
const GATEWAY6: &str = "fe80::1";

/// The node.
#[derive(Debug)]
pub struct Node {
    pods: AtomicU16,
}

/// A pod's wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The node's end.
    pub interface: String,
    /// The pod's address.
    pub v4: Ipv4Addr,
    /// The pod's other address.
    pub v6: Ipv6Addr,
}

impl Node {
    /// Makes this process's namespace the node. It must be inside ([`crate::inside()`]).
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new() -> Result<Self> {
        // A /run of our own, for the names of namespaces among others.
        rustix::mount::mount("tmpfs", "/run", "tmpfs", rustix::mount::MountFlags::empty(), None).context("a /run of our own")?;
        ip(&["link", "set", "lo", "up"])?;
        ip(&["address", "add", &format!("{NODE}/32"), "dev", "lo"])?;
        for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            std::fs::write(format!("/proc/sys/net/{switch}"), "1").with_context(|| switch.to_owned())?;
        }
        Ok(Self { pods: AtomicU16::new(0) })
    }

    /// Lays a pod's wire, with the next addresses. No address is ever given twice.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn wire(&self, pod: &Host) -> Result<Wire> {
        let number = self.pods.fetch_add(1, Ordering::Relaxed) + 1;
        // The first 256 addresses are the node's.
        let [high, low] = (number + 256).to_be_bytes();
        let (v4, v6) = (Ipv4Addr::new(10, 244, high, low), Ipv6Addr::new(0xfd00, 0x244, 0, 0, 0, 0, 0, number + 256));
        let interface = format!("pod{number}");
        veth(&interface, "eth0", pod)?;
        ip(&["address", "add", &format!("{GATEWAY6}/64"), "dev", &interface, "nodad"])?;
        ip(&["route", "add", &format!("{v4}/32"), "dev", &interface, "src", &NODE.to_string()])?;
        ip(&["-6", "route", "add", &format!("{v6}/128"), "dev", &interface])?;
        let of = |arguments: &[&str]| ip(&[&["-netns", pod.name()], arguments].concat());
        of(&["address", "add", &format!("{v4}/32"), "dev", "eth0"])?;
        of(&["address", "add", &format!("{v6}/128"), "dev", "eth0", "nodad"])?;
        of(&["route", "add", "default", "via", &NODE.to_string(), "dev", "eth0", "onlink"])?;
        of(&["-6", "route", "add", "default", "via", GATEWAY6, "dev", "eth0"])?;
        Ok(Wire { interface, v4, v6 })
    }

    /// Makes a host the world: everything that is not a pod or the node is there, whatever its address.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn attach_world(&self, world: &Host) -> Result<()> {
        veth("world", "eth0", world)?;
        ip(&["address", "add", &format!("{NODE_OUTSIDE}/30"), "dev", "world"])?;
        ip(&["address", "add", &format!("{NODE_OUTSIDE6}/64"), "dev", "world", "nodad"])?;
        ip(&["route", "add", "default", "via", &WORLD.to_string()])?;
        ip(&["-6", "route", "add", "default", "via", WORLD6])?;
        let of = |arguments: &[&str]| ip(&[&["-netns", world.name()], arguments].concat());
        of(&["address", "add", &format!("{WORLD}/30"), "dev", "eth0"])?;
        of(&["address", "add", &format!("{WORLD6}/64"), "dev", "eth0", "nodad"])?;
        of(&["route", "add", PODS, "via", &NODE_OUTSIDE.to_string()])?;
        of(&["-6", "route", "add", PODS6, "via", NODE_OUTSIDE6])?;
        // In the main table, which is asked after what is really local, and where the routes above are narrower.
        of(&["route", "add", "local", "default", "dev", "lo", "table", "main"])?;
        of(&["-6", "route", "add", "local", "default", "dev", "lo", "table", "main"])
    }
}

/// A wire between the node and a host.
fn veth(here: &str, there: &str, host: &Host) -> Result<()> {
    ip(&["link", "add", here, "type", "veth", "peer", "name", there, "netns", host.name()])?;
    ip(&["link", "set", here, "up"])?;
    ip(&["-netns", host.name(), "link", "set", there, "up"])
}
