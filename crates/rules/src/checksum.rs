//! Public checksums of token formats.
