//! Nothing is allocated for a token before its signature holds.
//!
//! A test binary of its own with one test: the allocator counts for the whole process.

use std::alloc::System;

use phi_tests::snakeoil::{self, NOW, PRODUCT, Seed};
use phi_verify::{Error, License, RevocationPolicy, TrustState, Verifier};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The verdict on a token and the number of allocations it took.
fn count(trust: &TrustState, token: &str) -> (Result<License, Error>, usize) {
    let verifier = Verifier::new(trust, PRODUCT, RevocationPolicy::Lenient);
    let region = Region::new(ALLOCATOR);
    let verdict = verifier.verify(token, NOW);
    let change = region.change();
    (verdict, change.allocations + change.reallocations)
}

#[test]
fn a_token_whose_signature_does_not_hold_costs_no_allocation() {
    let trust = snakeoil::trust();
    let token = Seed::License.mint(&snakeoil::claims());

    let (verdict, allocations) = count(&trust, &token);
    assert!(verdict.is_ok());
    assert!(
        allocations > 0,
        "the instrument counts: an accepted license is decoded"
    );

    let forged = Seed::Foreign.seal(
        &phi_verify::UnsignedToken::license(Seed::License.id(), &snakeoil::claims())
            .expect("claims keep the rules"),
    );
    let huge = "A".repeat(1 << 20);
    let padded = format!("{token}=");
    let foreign = Seed::Foreign.mint(&snakeoil::claims());
    for (token, code) in [
        ("", "token-empty"),
        (huge.as_str(), "token-too-long"),
        (&token[..50], "token-shape"),
        (&token[..token.len() - 4], "signature-invalid"),
        (&padded, "token-encoding"),
        (&foreign, "unknown-key"),
        (&forged, "signature-invalid"),
    ] {
        let (verdict, allocations) = count(&trust, token);
        assert_eq!(verdict.map_err(|error| error.code()).err(), Some(code));
        assert_eq!(allocations, 0, "{code}");
    }
}
