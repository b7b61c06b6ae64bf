//! GraphQL over HTTP: the operations of a request, by the names of their first fields.
//!
//! Read as the servers of code hosts do (GraphQL over HTTP, and Rails, which mixes query and body): a document may stand in the query, in
//! JSON, in a list of such (a batch), in a form, or be the body. All operations of a document count, whichever is named to be run.

mod document;

use crate::Unreadable;
use crate::json::{Lexer, Token};

/// The longest document that is read, in bytes as sent.
const MAX_DOCUMENT: usize = 1 << 20;
/// More fields at the top of a request than this nobody means.
const MAX_FIELDS: usize = 1000;

/// A request to a GraphQL endpoint.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The query of the URL, as sent.
    pub query: &'a str,
    /// Type and subtype of the body, lower case; empty if not said.
    pub content_type: &'a str,
    /// The body, decoded; empty if there is none.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("content_type", &self.content_type).field("body", &self.body.len()).finish_non_exhaustive()
    }
}

/// The first fields of all operations of a request, with the kind of the operation: `mutation.mergePullRequest`. Aliases are undone, fragments
/// looked up.
///
/// # Errors
/// The request is no GraphQL, or none that is read: without a document (a stored one is asked for), with files, too long, too deep.
pub fn fields(request: Request<'_>) -> Result<Vec<String>, Unreadable> {
    let mut documents = Vec::new();
    form(request.query.as_bytes(), &mut documents)?;
    let body = request.body.trim_ascii();
    match request.content_type {
        _ if body.is_empty() => {}
        "application/json" | "application/graphql+json" => json(body, &mut documents)?,
        "application/x-www-form-urlencoded" => {
            let before = documents.len();
            form(body, &mut documents)?;
            if documents.len() == before {
                return Err(Unreadable);
            }
        }
        "application/graphql" => documents.push(std::str::from_utf8(body).map_err(|_| Unreadable)?.to_owned()),
        // Some servers read JSON whatever it is called.
        kind if !kind.starts_with("multipart/") && matches!(body.first(), Some(b'{' | b'[')) => json(body, &mut documents)?,
        _ => return Err(Unreadable),
    }
    let mut fields = Vec::new();
    for document in documents {
        document::fields(&document, &mut fields)?;
        if fields.len() > MAX_FIELDS {
            return Err(Unreadable);
        }
    }
    Ok(fields)
}

/// The documents of a query, or of a form.
fn form(bytes: &[u8], documents: &mut Vec<String>) -> Result<(), Unreadable> {
    for (key, value) in form_urlencoded::parse(bytes) {
        // `query[]` and `query[x]` are lists and maps to Rails.
        let name = key.split('[').next().unwrap_or_default();
        match name {
            "query" if name == key => documents.push(value.into_owned()),
            "query" | "_json" | "operations" => return Err(Unreadable),
            _ => {}
        }
    }
    Ok(())
}

/// One open object or array of a body.
struct Frame {
    array: bool,
    /// What the last key in it is.
    key: Name,
    /// Everything in it is a variable: no document.
    data: bool,
    /// It must hold a document: a request, alone or in a batch.
    request: bool,
    found: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Query,
    Data,
    Other,
}

/// The documents of a JSON body: whatever stands under `query`, twice or in a list, outside of variables.
fn json(body: &[u8], documents: &mut Vec<String>) -> Result<(), Unreadable> {
    let mut lexer = Lexer::keeping(MAX_DOCUMENT);
    let mut frames: Vec<Frame> = Vec::new();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    lexer.push(body, |token| {
        let query = frames.last().is_some_and(|f| !f.array && f.key == Name::Query && !f.data);
        match token {
            Token::Object | Token::Array if query => return Err(Unreadable),
            Token::Object | Token::Array => {
                let array = token == Token::Array;
                let outer = frames.last();
                let data = outer.is_some_and(|f| f.data || (!f.array && f.key == Name::Data));
                let request = !array && (outer.is_none() || (frames.len() == 1 && outer.is_some_and(|f| f.array)));
                frames.push(Frame { array, key: Name::Other, data, request, found: false });
            }
            Token::End => {
                let frame = frames.pop().ok_or(Unreadable)?;
                if frame.request && !frame.found {
                    return Err(Unreadable);
                }
                if let Some(outer) = frames.last_mut() {
                    outer.found |= frame.found;
                }
            }
            Token::Key(raw) => {
                let name = raw.text().ok_or(Unreadable)?;
                if let Some(frame) = frames.last_mut() {
                    frame.key = if name.eq_ignore_ascii_case("query") {
                        Name::Query
                    } else if name.eq_ignore_ascii_case("variables") || name.eq_ignore_ascii_case("extensions") {
                        Name::Data
                    } else {
                        Name::Other
                    };
                }
            }
            Token::Text(raw) if query => {
                documents.push(raw.text().ok_or(Unreadable)?);
                if let Some(frame) = frames.last_mut() {
                    frame.found = true;
                }
            }
            Token::Scalar if query => return Err(Unreadable),
            Token::Text(_) | Token::Scalar => {}
        }
        Ok(())
    })?;
    if lexer.complete() && !documents.is_empty() { Ok(()) } else { Err(Unreadable) }
}

#[cfg(test)]
mod tests;
