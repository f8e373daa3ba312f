//! Decisions allocate nothing.
//!
//! A test binary of its own with one test: the allocator counts for the whole process.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps an error has failed"
)]

use std::{alloc::System, sync::Arc};

use phi_enforce::{
    HandClock, Incarnation, ManualNode, Moment, Occupant, Patience, Policy, Sqlite, SqliteOptions,
    Step, Wall,
};
use phi_verify::{
    FlagCode, LimitCode, QuotaCode, RevocationPolicy, TrustState, UnixTime, Verifier, armor,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// 2026-04-01T00:00:00Z: the demo license is perpetual.
const NOW: UnixTime = UnixTime::EPOCH.plus(1_775_001_600);
const CALLS: QuotaCode = QuotaCode::new(0);
const SEATS: LimitCode = LimitCode::new(0);

#[test]
fn decisions_allocate_nothing() {
    let mut trust = TrustState::from_anchor(include_bytes!("../../keys/demo/root-1.phi")).unwrap();
    trust
        .import(include_bytes!("../../keys/demo/keyset.phi"))
        .unwrap();
    let token = armor::unwrap(include_str!("../../keys/demo/license.txt")).unwrap();
    let license = Verifier::new(&trust, "demo-app", RevocationPolicy::Lenient)
        .verify(&token, NOW)
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(HandClock::at(Moment {
        wall: Wall::from(NOW),
        ..Moment::default()
    }));
    let options = SqliteOptions::new(Arc::<HandClock>::clone(&clock)).dangerous_on_any_disk();
    let store = Sqlite::open(&folder.path().join("store.db"), options).unwrap();
    let name = || Ok(Incarnation::from_bytes([1; 16]));
    let node = ManualNode::new(clock, "node", name).unwrap();
    let gate = node.gate(&license, Policy::default());
    let settle = || {
        while let Step::Send(request) = node.next() {
            node.answered(&request, request.send(&store));
        }
    };
    for _ in 0..2000 {
        if gate.try_take(CALLS, 1).is_err() {
            settle();
        }
    }
    settle();
    let ann = Occupant {
        holder: "ann".into(),
        session: "laptop".into(),
    };
    let _ = gate.try_lease(SEATS, &ann, Patience::Leave);
    settle();
    let lease = gate.try_lease(SEATS, &ann, Patience::Leave).unwrap();

    let region = Region::new(ALLOCATOR);
    for _ in 0..100 {
        gate.check(FlagCode::new(0)).unwrap();
        gate.check(FlagCode::new(4000)).unwrap_err();
        gate.try_take(CALLS, 1).unwrap();
        lease.check().unwrap();
    }
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, 0);

    drop(lease);
    let region = Region::new(ALLOCATOR);
    settle();
    assert!(region.change().allocations > 0, "the instrument counts");
}
