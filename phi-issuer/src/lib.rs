//! Issue, mint, rotate, revoke and publish Phi licenses.

pub mod durable;
pub mod keyfile;
pub mod machine;
pub mod passphrase;
pub mod qr;
