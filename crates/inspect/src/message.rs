//! A request as the inspector sees it; no wire type in sight.

use std::fmt;

use bytes::Bytes;

use crate::Identity;

/// A header field. Its `Debug` shows lengths only: a name can carry a secret as well as a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, lower case.
    pub name: String,
    /// The value as sent.
    pub value: Bytes,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes): ({} bytes)", self.name.len(), self.value.len())
    }
}

/// The head of a request. Its `Debug` shows neither host nor path nor any header.
#[derive(Clone)]
pub struct Head {
    /// An id for the audit record and the answer.
    pub request_id: String,
    /// The sandbox's name.
    pub sandbox: String,
    /// How that is known.
    pub identity: Identity,
    /// When it came, in milliseconds since the Unix epoch: the caller's clock, by which budgets and schedules go.
    pub at: u64,
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

impl Head {
    /// What policy asks about a request, in normal form.
    ///
    /// # Errors
    /// The reason to deny it: it can be read in two ways, or is no request.
    pub fn subject(&self) -> Result<policy::Subject, policy::Reason> {
        crate::normal::normal(self).map(|normal| normal.subject)
    }

    /// The values of the header `name` (lower case), in order.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value.as_ref())
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("sandbox", &self.sandbox)
            .field("tls", &self.tls)
            .field("path_bytes", &self.path.len())
            .field("headers", &self.headers.len())
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Changes to a head. Its `Debug` shows what is changed, not to what: the rest of an edited value is still the sender's.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HeadEdits {
    /// A new path and query.
    pub path: Option<Bytes>,
    /// New values of headers, by index in [`Head::headers`].
    pub headers: Vec<(usize, Bytes)>,
    /// A new content length, in bytes; set only where the request had one and the body changed.
    pub content_length: Option<u64>,
}

impl HeadEdits {
    /// Whether the head travels as it came.
    pub fn is_empty(&self) -> bool {
        self.path.is_none() && self.headers.is_empty() && self.content_length.is_none()
    }
}

impl fmt::Debug for HeadEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadEdits")
            .field("path", &self.path.is_some())
            .field("headers", &self.headers.iter().map(|(index, _)| *index).collect::<Vec<_>>())
            .field("content_length", &self.content_length)
            .finish()
    }
}
