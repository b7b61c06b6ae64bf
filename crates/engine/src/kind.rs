//! Where bytes come from and what they claim to be.

use std::fmt;
use std::sync::Arc;

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Location {
    /// The host name of the destination.
    Host,
    /// The path, as sent (still escaped), without the query.
    Path,
    /// The query, as sent (still escaped), without the question mark.
    Query,
    /// The value of the header with this lower-case name.
    Header(Arc<str>),
    /// The body.
    Body,
    /// The value of the trailer with this lower-case name.
    Trailer(Arc<str>),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Host => f.write_str("host"),
            Location::Path => f.write_str("path"),
            Location::Query => f.write_str("query"),
            Location::Header(name) => write!(f, "header:{name}"),
            Location::Body => f.write_str("body"),
            Location::Trailer(name) => write!(f, "trailer:{name}"),
        }
    }
}

/// What a body claims to be. Claims are hints: a lying content type hides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Media {
    /// `Content-Type` as sent, parameters included.
    pub content_type: Option<String>,
    /// `Content-Encoding` codings in the order they were applied, lower case, `identity` left out.
    pub content_encoding: Vec<String>,
}

/// A location with what its bytes claim to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kind {
    /// Where the bytes stand.
    pub location: Location,
    /// Claims about a body; empty for other locations.
    pub media: Media,
}

impl Kind {
    /// A kind without media claims.
    pub fn of(location: Location) -> Kind {
        Kind { location, media: Media::default() }
    }

    /// A body with its claims.
    pub fn body(media: Media) -> Kind {
        Kind { location: Location::Body, media }
    }
}
