//! Nothing is allocated for a token before its signature holds, for a filter beyond its bytes, and
//! for a question to it.
//!
//! A test binary of its own with one test: the allocator counts for the whole process.

use std::{alloc::System, hint::black_box};

use phi_tests::{
    snakeoil::{self, NOW, PRODUCT, Seed},
    unhex,
    vectors::{self, Check},
};
use phi_verify::{
    Error, License, RevocationPolicy, TrustState, Verifier,
    filter::{Filter, SaltedId},
};
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
fn nothing_is_allocated_that_need_not_be() {
    a_token_whose_signature_does_not_hold_costs_no_allocation();
    a_filter_costs_its_bytes_and_a_question_nothing();
}

/// What a filter may take beside a copy of its body: a table of shards, each for 1024 bytes.
const SHARD_ENTRY: usize = 32;

fn a_filter_costs_its_bytes_and_a_question_nothing() {
    let checks = vectors::all().checks();
    let filters: Vec<_> = checks
        .filter_map(|check| match check {
            Check::Filter { kind, body, ids } => Some((kind, unhex(&body)?, unhex(&ids[0])?)),
            _ => None,
        })
        .collect();
    assert!(filters.len() > 50);
    for (kind, body, id) in filters {
        let id = SaltedId::from_bytes(id.try_into().expect("an id has sixteen bytes"));
        let region = Region::new(ALLOCATOR);
        let filter = Filter::parse(kind, &body);
        let taken = region.change().bytes_allocated;
        let most = body.len() + SHARD_ENTRY * (1 + body.len() / 1024);
        assert!(taken <= most, "{taken} bytes of {}", body.len());
        if let Ok(filter) = filter {
            assert!(taken >= body.len(), "the instrument counts");
            let region = Region::new(ALLOCATOR);
            black_box(filter.contains(id));
            assert_eq!(region.change().allocations, 0);
        }
    }
}

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
