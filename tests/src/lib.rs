//! Cross-crate tests of Phi; see `it/`.
