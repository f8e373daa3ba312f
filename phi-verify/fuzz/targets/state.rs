//! A stored trust state: as bytes, and as a body under the hash that goes with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify_fuzz::{restore, stored};

fuzz_target!(|bytes: &[u8]| {
    restore(bytes);
    restore(&stored(bytes));
});
