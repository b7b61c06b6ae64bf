//! Expansion of example templates.
