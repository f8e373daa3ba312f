//! Issue, mint, rotate, revoke and publish Phi licenses.
