//! What an application remembers of a log: row T4.

use phi_tests::{
    log::{self, Log},
    snakeoil::{self, Seed},
};
use phi_verify::{
    Error,
    log::{Conflict, ConsistencyProof, LogState, SplitView},
};

use super::{hashes, refused, root_of, sealed, verify};

/// A state that holds the checkpoint of the first `size` leaves.
fn state(log: &Log, size: usize) -> LogState {
    let checkpoint = verify(&log.checkpoint(size), &snakeoil::root()).unwrap();
    LogState::begin(checkpoint)
}

/// Offers a proof that must be evidence of a split view.
#[track_caller]
fn split_view(state: &LogState, proof: &str) -> SplitView {
    let before = state.clone();
    let Err(Error::SplitView(view)) = state.advance(proof, &snakeoil::root()) else {
        panic!("not taken for a split view");
    };
    assert_eq!(*state, before);
    assert_eq!(
        (view.held.as_str(), view.held_size),
        (state.as_str(), state.size())
    );
    let offered = verify(&view.offered, &snakeoil::root()).unwrap();
    assert_eq!(offered.size(), view.offered_size);
    assert!(proof.ends_with(&view.offered));
    *view
}

/// The same log, in which one leaf was changed.
fn fork(log: &Log, leaf: usize) -> Log {
    let mut fork = log.clone();
    fork.0[leaf] = b"another history".to_vec();
    fork
}

#[test]
fn t4_a_log_only_grows() {
    let log = Log::of_numbers(20);
    let trusted = snakeoil::root();
    for old in 0..=20 {
        for new in old..=20 {
            let proof = log.consistency(old, new);
            let after = state(&log, old).advance(&proof, &trusted).unwrap();
            assert_eq!(after, state(&log, new));
            assert_eq!(LogState::restore(after.as_str()), Ok(after.clone()));
            assert_eq!(
                after.advance(&proof, &trusted),
                Ok(after),
                "the second time"
            );
        }
    }
}

#[test]
fn t4_a_smaller_log_is_a_split_view() {
    let log = Log::of_numbers(20);
    for new in 0..20 {
        let view = split_view(&state(&log, 20), &log.consistency(new, new));
        assert_eq!(view.conflict, Conflict::Shrunk);
    }
}

#[test]
fn t4_another_root_at_the_same_size_is_a_split_view() {
    let log = Log::of_numbers(20);
    for leaf in 0..20 {
        let proof = fork(&log, leaf).consistency(20, 20);
        assert_eq!(
            split_view(&state(&log, 20), &proof).conflict,
            Conflict::Forked
        );
    }
}

#[test]
fn t4_growth_out_of_another_history_is_a_split_view() {
    let log = Log::of_numbers(20);
    for held in 1..20 {
        for leaf in 0..held {
            let proof = fork(&log, leaf).consistency(held, 20);
            let view = split_view(&state(&log, held), &proof);
            assert_eq!(view.conflict, Conflict::Unproven);
        }
        // A change behind what was seen is no change.
        let proof = fork(&log, held).consistency(held, 20);
        assert!(state(&log, held).advance(&proof, &snakeoil::root()).is_ok());
    }
}

#[test]
fn t4_a_log_that_nobody_signed_is_no_evidence() {
    let log = Log::of_numbers(20);
    let held = state(&log, 10);
    let trusted = snakeoil::root();
    let text = fork(&log, 3).checkpoint_text(20);
    let foreign = log::signature_line(&text, log::ORIGIN, &Seed::Foreign.signing_key());
    let proof = format!("old 10\n\n{text}\n{foreign}");
    refused(held.advance(&proof, &trusted), "signatures-missing");
    refused(
        held.advance(&log.consistency(9, 20), &trusted),
        "proof-base",
    );
    refused(
        held.advance(&log.consistency(0, 20), &trusted),
        "proof-base",
    );
}

/// The keys of the ledger change, its history does not: a stored state outlives its signer.
#[test]
fn t4_a_new_key_of_the_ledger_does_not_make_a_log_forgotten() {
    let log = Log::of_numbers(20);
    let stored = state(&log, 10).as_str().to_owned();
    let mut trusted = snakeoil::root();
    trusted.ledger = Seed::Foreign.role();
    let sign = |log: &Log| {
        let text = log.checkpoint_text(20);
        let line = log::signature_line(&text, log::ORIGIN, &Seed::Foreign.signing_key());
        format!("old 10\n{}{text}\n{line}", log::lines(&log.growth(10, 20)))
    };
    refused(verify(&stored, &trusted), "signatures-missing");
    let held = LogState::restore(&stored).unwrap();
    assert_eq!(held.advance(&sign(&log), &trusted).unwrap().size(), 20);
    refused(held.advance(&sign(&fork(&log, 3)), &trusted), "split-view");
}

#[test]
fn t4_what_the_builders_write_is_what_the_state_takes() {
    let log = Log::of_numbers(20);
    let checkpoint = sealed(20, root_of(&log, 20));
    assert_eq!(checkpoint, log.checkpoint(20));
    let proof = ConsistencyProof::new(7, hashes(&log.growth(7, 20)), &checkpoint).unwrap();
    assert_eq!(proof.to_text(), log.consistency(7, 20));
    assert_eq!(ConsistencyProof::parse(&proof.to_text()), Ok(proof));
    let hash = vec![root_of(&log, 1)];
    refused(
        ConsistencyProof::new(0, hash.clone(), &checkpoint),
        "proof-invalid",
    );
    refused(
        ConsistencyProof::new(7, hash.repeat(64), &checkpoint),
        "proof-invalid",
    );
    refused(
        ConsistencyProof::new(u64::MAX, hash, &checkpoint),
        "proof-invalid",
    );
    refused(
        ConsistencyProof::new(7, Vec::new(), "old 7\n"),
        "note-invalid",
    );
    for size in [0, 1, 20] {
        let text = log.checkpoint_text(size);
        let verified = verify(&log::signed(&text), &snakeoil::root()).unwrap();
        assert_eq!(
            (verified.size(), verified.origin()),
            (size as u64, log::ORIGIN)
        );
        assert_eq!(verified.root(), root_of(&log, size));
    }
}
