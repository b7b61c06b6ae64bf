//! Engine, policy and cache composed: one [`Inspector`], one [`Flow`] a request.
//!
//! A flow is a pure, synchronous state machine: head in, chunks in, steps out. It owns the hold-back (nothing is released before it is judged),
//! the redaction edits, and the audit record. Deadlines and memory are the caller's clock and the shared [`Memory`].

mod flow;
mod inspector;
mod message;

pub use flow::{Flow, Opened, Outcome, Release, Step};
pub use inspector::{Inspector, Memory, Snapshot};
pub use message::{Head, HeadEdits, Header};
