//! Issue, mint, rotate, revoke and publish Phi licenses.

pub mod catalog;
