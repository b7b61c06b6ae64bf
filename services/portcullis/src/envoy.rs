//! Envoy as the commands that run it see it: its binary, and its admin interface.

pub(crate) mod admin;
pub(crate) mod binary;

/// What every Envoy is started with, beside its configuration. Without `--disable-hot-restart` Envoy ties itself to its parent and to shared
/// memory of one gateway a machine. Its notes about parts of its API that are not final say nothing to whoever reads our logs.
pub(crate) const ARGS: [&str; 5] = ["--disable-hot-restart", "--log-level", "warning", "--component-log-level", "misc:error"];
