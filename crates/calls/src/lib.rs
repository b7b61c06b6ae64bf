//! What an API call asks for in its body, where that is more than its bytes: what a model's provider is told to fetch ([`Fetches`]), and the
//! operations of a GraphQL document ([`graphql`]).
//!
//! Bytes in, facts out: nothing here decides. It cannot fail on hostile input, keeps no more of a body than the strings that matter, has no
//! clock, no files and no logging. What cannot be read is said ([`Unreadable`]), never skipped.

mod fetches;
pub mod graphql;
mod json;
mod key;
mod url;

pub use fetches::{Fetches, Wanted};

/// The body is not what it would have to be to be read: an upstream may read it in a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;
