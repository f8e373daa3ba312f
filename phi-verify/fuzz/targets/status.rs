//! A status document, revocation list included, over anchor and keyset: as bytes, and as a payload that the right key has signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use phi_verify::{DocumentKind, TrustState};
use phi_verify_fuzz::{import_both_ways, snakeoil};

static BEFORE: LazyLock<TrustState> = LazyLock::new(snakeoil::trust);

fuzz_target!(|bytes: &[u8]| import_both_ways(DocumentKind::Status, bytes, &BEFORE));
