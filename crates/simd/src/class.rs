//! Sets of ASCII characters in the form that a shuffle can look up.

/// A set of ASCII characters.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// For each low nibble, the high nibbles of members as bits.
    pub(crate) low: [u8; 16],
    /// Whether each byte is a member.
    members: [bool; 256],
}

impl Class {
    /// The class of these characters. Bytes beyond ASCII are left out.
    #[must_use]
    pub const fn of(characters: &[u8]) -> Class {
        Class { low: [0; 16], members: [false; 256] }.and(characters)
    }

    /// This class with more characters.
    #[must_use]
    pub const fn and(self, characters: &[u8]) -> Class {
        let mut class = self;
        let mut i = 0;
        while i < characters.len() {
            let byte = characters[i];
            if byte.is_ascii() {
                class.members[byte as usize] = true;
                class.low[(byte & 15) as usize] |= 1 << (byte >> 4);
            }
            i += 1;
        }
        class
    }

    /// Whether a byte is a member.
    #[must_use]
    #[inline(always)]
    pub const fn has(&self, byte: u8) -> bool {
        self.members[byte as usize]
    }
}
