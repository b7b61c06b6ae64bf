//! The certificates service.
