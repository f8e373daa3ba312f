//! A clock reset, over a state that it is for: as bytes, and as a payload that the right key has
//! signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify_fuzz::reset_both_ways;

fuzz_target!(|bytes: &[u8]| reset_both_ways(bytes));
