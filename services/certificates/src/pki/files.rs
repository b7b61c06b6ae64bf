//! The files of one item.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// Files by name. `Debug` shows the names only, and what they hold is wiped when it goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Zeroizing<Vec<u8>>>);

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Files {
    /// These files.
    #[must_use]
    pub fn of<const N: usize>(files: [(&str, Vec<u8>); N]) -> Files {
        let mut all = Files::default();
        for (name, content) in files {
            all.put(name, content);
        }
        all
    }

    /// Adds a file, or replaces it.
    pub fn put(&mut self, name: &str, content: Vec<u8>) {
        self.0.insert(name.to_owned(), Zeroizing::new(content));
    }

    /// What a file holds.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|content| content.as_slice())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All files, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, content)| (name.as_str(), content.as_slice()))
    }

    /// A file as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|content| std::str::from_utf8(content).ok())
    }
}
