//! Git's smart HTTP on the wire (gitprotocol-http, gitprotocol-pack, gitformat-pack): bytes in, what stands in them out.
//!
//! [`Service::of`] says which service a request asks for and of which repository; [`Push`] reads the body of a push as it comes (ref commands,
//! push options, certificates, and the pack, object by object, with deltas undone as far as memory allows); [`Advertisement`] has clients send whole packs; [`refusal`] writes an answer that a
//! git client shows to the person, or the agent, in front of it.
//!
//! All input is hostile: memory, time and depth are bounded whatever a pack claims of itself, and nothing panics.

mod advertisement;
mod commands;
mod hash;
mod history;
mod pack;
mod push;
mod refusal;
mod service;

pub use advertisement::Advertisement;
pub use commands::{Capabilities, Commands, Update};
pub use hash::{Format, Id};
pub use pack::{Miss, Object};
pub use push::{Event, Limits, Malformed, Push, Text};
pub use refusal::{Refusal, RefusedRef, refusal};
pub use service::{Asked, Service, Unclear};
