//! The part of a page that a tool writes: between `<!-- NAME -->` and `<!-- /NAME -->`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Puts a text between the marks of this name in a page.
///
/// # Errors
/// The page cannot be read or written, or has no such marks.
pub(crate) fn write_part(page: &Path, name: &str, text: &str) -> Result<()> {
    let old = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let new = replaced(&old, name, text).with_context(|| format!("{} has no part {name}", page.display()))?;
    fs::write(page, new).with_context(|| page.display().to_string())
}

fn replaced(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{}\n{end}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let page = "# Page\n\n<!-- a -->\nold\n<!-- /a -->\n\n<!-- b -->\nkept\n<!-- /b -->\n";
        let new = replaced(page, "a", "new\n\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(replaced(&new, "a", "new").unwrap(), new);
        assert!(replaced(page, "c", "").is_none());
    }

    #[test]
    fn the_page_of_the_project_has_the_part() {
        let page = fs::read_to_string(crate::measured::root().join("docs/performance.md")).unwrap();
        assert!(replaced(&page, "gateway", "x").is_some() && replaced(&page, "engine", "x").is_some());
    }
}
