//! A root document, over the anchor: as bytes, and as a payload that the right key has signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use phi_verify::{DocumentKind, TrustState};
use phi_verify_fuzz::{anchor_only, import_both_ways};

static BEFORE: LazyLock<TrustState> = LazyLock::new(anchor_only);

fuzz_target!(|bytes: &[u8]| import_both_ways(DocumentKind::Root, bytes, &BEFORE));
