//! Signed lists that were cut short or changed: none of them is taken.

use phi_tests::{
    snakeoil,
    snapshots::{Minted, Snapshot, bloom, cascade, exact, ribbon, token_id},
};
use phi_verify::TrustState;

use crate::trust::{sign_list, taken};

/// A state, and a document that it takes.
fn cases() -> Vec<(TrustState, Vec<u8>)> {
    let before = Snapshot::first((0..40).map(|number| Minted::new(number, number / 4, 0)));
    let now = before.next(|next| {
        next.revoked = [token_id(3), token_id(8)].into();
        next.dead = [next.tokens[30].license].into();
    });
    let mut cases = Vec::new();
    for make in [exact, bloom, cascade, ribbon] {
        let base = before.full(None, make);
        let full = now.full(Some(&base), make);
        let delta = now.delta(&before, &base, &full, make);
        let mut state = snakeoil::trust();
        taken(&mut state, &sign_list(&base));
        cases.extend([
            (state.clone(), sign_list(&full)),
            (state, sign_list(&delta)),
        ]);
    }
    cases
}

#[test]
fn a_list_that_was_changed_by_a_bit_is_refused() {
    for (mut state, document) in cases() {
        let before = state.clone();
        for at in 0..8 * document.len() {
            let mut changed = document.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(state.import(&changed).is_err(), "bit {at}");
        }
        assert_eq!(state, before);
        taken(&mut state, &document);
    }
}

#[test]
fn a_list_that_was_cut_short_is_refused() {
    for (mut state, document) in cases() {
        let before = state.clone();
        for length in 0..document.len() {
            assert!(state.import(&document[..length]).is_err(), "{length} bytes");
        }
        let longer = [&document[..], &[0]].concat();
        assert!(state.import(&longer).is_err());
        assert_eq!(state, before);
    }
}
