//! Data → text. No decisions, no files: each function takes what is known and returns what is printed.

pub mod analysis;
pub mod ending;
pub mod exploration;
pub mod lanes;
pub mod names;
pub mod own;
pub mod style;
pub mod value;
