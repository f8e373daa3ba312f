//! The data of a leaf of the log.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify::log::Leaf;

fuzz_target!(|data: &[u8]| {
    if let Ok(leaf) = Leaf::decode(data) {
        assert_eq!(leaf.encode(), data, "a leaf has one encoding");
    }
});
