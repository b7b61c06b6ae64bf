//! A request as the inspector sees it; no wire type in sight.

use bytes::Bytes;

/// A header field.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, lower case.
    pub name: String,
    /// The value as sent.
    pub value: Bytes,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ({} bytes)", self.name, self.value.len())
    }
}

/// The head of a request.
#[derive(Debug, Clone)]
pub struct Head {
    /// An id for the audit record and the answer.
    pub request_id: String,
    /// The sandbox's name, already proven.
    pub sandbox: String,
    /// The method as sent.
    pub method: String,
    /// Whether the upstream is reached over TLS.
    pub tls: bool,
    /// `:authority` or `Host`.
    pub authority: String,
    /// Path and query as sent, still escaped.
    pub path: Bytes,
    /// All other headers, in order.
    pub headers: Vec<Header>,
    /// Whether no body follows.
    pub end: bool,
}

/// Changes to a head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadEdits {
    /// A new path and query.
    pub path: Option<Bytes>,
    /// New values of headers, by index in [`Head::headers`].
    pub headers: Vec<(usize, Bytes)>,
    /// A new content length.
    pub content_length: Option<u64>,
}
