//! Puts what was made between the markers of a document: `<!-- queues:NAME -->` and `<!-- /queues:NAME -->`, each a line of its own.

use std::path::Path;

use crate::Error;
use crate::report::Part;

/// Writes all parts into the document, whose other lines stay as they are.
///
/// # Errors
/// It cannot be read or written, or lacks a pair of markers.
pub fn into_document(path: &Path, parts: &[Part]) -> Result<(), Error> {
    let mut text = crate::read(path)?;
    for part in parts {
        text = between(&text, part).ok_or_else(|| Error::Marker { path: path.into(), name: part.name.to_owned() })?;
    }
    std::fs::write(path, text).map_err(|source| Error::Read { path: path.into(), source })
}

fn between(text: &str, part: &Part) -> Option<String> {
    let (open, close) = (format!("<!-- queues:{} -->\n", part.name), format!("<!-- /queues:{} -->\n", part.name));
    let (before, rest) = text.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    let once = !rest.contains(&open) && !after.contains(&close);
    once.then(|| format!("{before}{open}\n{}\n\n{close}{after}", part.markdown.trim_end()))
}

/// Writes all parts and the picture into the house: `docs/scaling.md` and `docs/pictures/scaling.svg`.
///
/// # Errors
/// As [`into_document`].
pub fn all(root: &Path, parts: &[Part], picture: &str) -> Result<(), Error> {
    into_document(&root.join("docs/scaling.md"), parts)?;
    let path = root.join("docs/pictures/scaling.svg");
    std::fs::write(&path, picture).map_err(|source| Error::Read { path, source })
}
