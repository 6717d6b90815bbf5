//! Whole-system Rust tests live in the sibling files.
