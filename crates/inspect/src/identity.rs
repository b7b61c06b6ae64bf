//! How it is known who sends.

use std::sync::Arc;

use policy::{Policy, Reason};

/// How it is known that a request is the sandbox's in whose name it is judged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Identity {
    /// It is not known: nothing was presented.
    #[default]
    Unknown,
    /// It is not known, and nothing says that such requests are of one sender: records and calls that name no sandbox. What one of them holds
    /// says nothing of the next.
    Unrelated,
    /// Credentials were presented, and they are nobody's.
    Refused,
    /// By the token of this id.
    Token(Arc<str>),
    /// By the URI of a client certificate that the gateway has verified.
    Certificate,
    /// By the address it came from.
    Address,
    /// The caller says so: `replay` and the Scan API.
    Given,
}

impl Identity {
    /// The word that audit records use.
    pub fn as_str(&self) -> &'static str {
        match self {
            Identity::Unknown | Identity::Unrelated => "unknown",
            Identity::Refused => "refused",
            Identity::Token(_) => "token",
            Identity::Certificate => "certificate",
            Identity::Address => "address",
            Identity::Given => "given",
        }
    }

    /// The id of the token; never the token.
    pub fn token(&self) -> Option<&str> {
        match self {
            Identity::Token(id) => Some(id),
            _ => None,
        }
    }

    /// Why a request is refused that comes with this; `None`: it is not.
    pub(crate) fn refusal(&self, policy: &Policy) -> Option<Reason> {
        match self {
            // Who shows a token that was taken back must not go on as nobody in particular.
            Identity::Refused => Some(Reason::IdentityUnknown),
            Identity::Unknown | Identity::Unrelated if policy.identity_required() => Some(Reason::IdentityRequired),
            _ => None,
        }
    }
}
