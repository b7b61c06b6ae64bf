//! The scanner service.
