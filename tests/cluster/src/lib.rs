//! A cluster on one machine, for tests.
//!
//! A [`Cluster`] takes objects as `kubectl kustomize` renders them and runs them. Every pod is a network namespace, every container a
//! bubblewrap; a small kubelet lays out volumes, asks probes and ends pods in time; small controllers keep Deployments and Jobs; Services
//! are DNS names and destination translation; and what may speak to what is nftables, derived from the rendered NetworkPolicies. Around it
//! is a [`World`] that records what reaches it. All of it lives in namespaces of the test's own ([`inside()`]) and ends with it.
//!
//! What it is not: it has one node and no cgroups, so nothing here tells about limits, placement or eviction.

mod api;
mod cluster;
mod controllers;
mod host;
mod image;
mod inside;
mod kubelet;
mod load;
mod network;
mod nft;
mod node;
pub mod objects;
mod policies;
mod sandbox;
mod selector;
mod services;
pub mod stack;
mod state;
mod system;
mod world;

use std::time::Duration;

pub use cluster::{Cluster, PodName, PodView};
pub use host::Host;
pub use inside::{enter, inside, is_inside};
pub use load::{Load, Report, Sent};
pub use sandbox::Sandbox;
pub use stack::Stack;
pub use state::{ContainerState, Ended, Phase};
pub use world::{Contact, ORIGIN, World};

/// The longest time without any progress before a wait of the harness is an error.
pub const PATIENCE: Duration = Duration::from_secs(60);
