//! What the tests of several crates share: an issuer whose keys anyone can make, and the test
//! vectors that are made with it.

use std::fmt::Write as _;

pub mod demo;
pub mod disk;
pub mod eventful;
pub mod home;
pub mod item;
pub mod log;
pub mod postgres;
pub mod proxy;
pub mod snakeoil;
pub mod snapshots;
pub mod spec;
pub mod vectors;
pub mod workshop;

/// Bytes in lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of a hexadecimal text, or `None` if it is none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
