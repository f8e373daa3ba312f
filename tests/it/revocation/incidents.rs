//! What went wrong in other revocation systems, and must not here: each by its name.

use std::collections::BTreeSet;

use phi_tests::{
    snakeoil::{self, DAY, NOW, PRODUCT, Seed},
    snapshots::{Make, Minted, Snapshot, bloom, cascade, exact, token_id},
};
use phi_verify::{
    Error, Form, ListId, RevocationPolicy, Sections, Status, StatusLists, TrustState, Verdict,
    Verifier, filter::SaltedId,
};

use crate::trust::{refused, sign_list, taken};

fn claims(token: &Minted) -> phi_verify::Claims {
    token.claims()
}

fn is_revoked(lists: StatusLists<'_>, token: &Minted) -> bool {
    let verdict = lists.verdict(&claims(token), token.key_id);
    matches!(verdict, Verdict::Revoked { .. })
}

/// mozilla/crlite 367: a certificate was revoked before the filter covered it. The first filter did
/// not know it, and the delta left it out because it had been revoked already: it was good.
#[test]
fn crlite_367_what_was_revoked_before_it_was_covered_is_in_the_delta() {
    let mut token = Minted::new(1, 1, 0);
    token.key_id = Seed::Retired.id();
    let tokens = (2..40).map(|number| Minted::new(number, number, 0));
    let mut before = Snapshot::first(tokens.chain([token]));
    before.covered = [Seed::License.id()].into();
    before.revoked = [token.id].into();
    let now = before.next(|next| _ = next.covered.insert(Seed::Retired.id()));
    for make in [exact as Make, cascade] {
        let base = before.full(None, make);
        let full = now.full(Some(&base), make);
        let delta = now.delta(&before, &base, &full, make);
        let alone = StatusLists::new(&base, None).unwrap();
        let verdict = alone.verdict(&claims(&token), token.key_id);
        assert_eq!(verdict, Verdict::NotCovered);
        let pair = StatusLists::new(&base, Some(&delta)).unwrap();
        assert!(is_revoked(pair, &token));
        // As it was built then: without what was revoked at the time of the base, covered or not.
        let mut everywhere = before.clone();
        everywhere.covered.clone_from(&now.covered);
        let wrong = now.delta(&everywhere, &base, &full, make);
        let pair = StatusLists::new(&base, Some(&wrong)).unwrap();
        assert!(!is_revoked(pair, &token), "the mistake shows");
    }
}

/// rustls/upki 183: the first filter that covered a certificate was asked, and no other. An old base
/// that calls a token good says nothing against a delta that revokes it.
#[test]
fn upki_183_a_base_that_knows_a_token_does_not_end_the_search() {
    let before = Snapshot::first((0..40).map(|number| Minted::new(number, number, 0)));
    let now = before.next(|next| next.revoked = [token_id(7)].into());
    for make in [exact as Make, cascade] {
        let base = before.full(None, make);
        let full = now.full(Some(&base), make);
        let delta = now.delta(&before, &base, &full, make);
        let token = &now.tokens[7];
        let alone = StatusLists::new(&base, None).unwrap();
        let verdict = alone.verdict(&claims(token), token.key_id);
        assert_eq!(verdict, Verdict::Good);
        let pair = StatusLists::new(&base, Some(&delta)).unwrap();
        assert!(is_revoked(pair, token));
    }
}

/// What a section says of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    No,
    Yes,
    Probably,
}

use Says::{No, Probably, Yes};

/// A section of tokens that says this of the token, and something of another.
fn saying(says: Says, salt: &[u8; 16], token: &Minted) -> Sections {
    let (id, other) = (
        SaltedId::of_token(salt, token.id),
        SaltedId::of_token(salt, token_id(999)),
    );
    let tokens = match says {
        No => exact(&[other], &[]),
        Yes => exact(&[other, id], &[]),
        Probably => bloom(&[id], &[]),
    };
    Sections {
        tokens,
        licenses: None,
    }
}

/// Full lists and deltas that say everything there is to say of one token. The lists are made by
/// hand: no issuer would make most of them.
fn said(base: (u64, Says), delta: Option<(u64, Says, Says)>, token: &Minted) -> Verdict {
    let (epoch, says) = base;
    let list = Status {
        epoch,
        form: snakeoil::full(Some([1; 32]).filter(|_| epoch > 1)),
        revoked: saying(says, &snakeoil::SALT, token),
        ..snakeoil::status()
    };
    let delta = delta.map(|(epoch, added, removed)| {
        let full = [9; 32];
        let salt = full[..16].try_into().unwrap();
        let hash = list.unsigned().payload_hash();
        Status {
            epoch,
            form: Form::Delta {
                base: ListId {
                    epoch: list.epoch,
                    hash,
                },
                full,
                removed: saying(removed, &salt, token),
            },
            revoked: saying(added, &salt, token),
            ..snakeoil::status()
        }
    });
    let lists = StatusLists::new(&list, delta.as_ref()).unwrap();
    lists.verdict(&claims(token), token.key_id)
}

/// rustls-crlite, in its beginning: Good meant "ask the next one", so that nothing was ever good.
/// The whole truth table: what the base knows and says, what the delta adds and removes.
#[test]
fn rustls_crlite_the_truth_table_of_a_base_and_a_delta() {
    // Minted at epoch 4: unknown to lists up to 4.
    let token = Minted::new(1, 1, 4);
    let revoked = Verdict::Revoked {
        reason: phi_verify::Reason::Unspecified,
        rule: phi_verify::RuleClass::Token,
    };
    let (good, not_covered, probable) = (Verdict::Good, Verdict::NotCovered, Verdict::Probable);
    for (says, verdict) in [(No, good), (Yes, revoked), (Probably, probable)] {
        assert_eq!(said((4, says), None, &token), not_covered);
        assert_eq!(said((5, says), None, &token), verdict);
        for (added, removed) in pairs() {
            // A delta that does not know the token has nothing to say, and its base cannot.
            let unknown = said((2, says), Some((4, added, removed)), &token);
            assert_eq!(unknown, not_covered);
            // Known to the delta alone: what is added counts, whatever a filter of the base says.
            let alone = said((4, says), Some((5, added, removed)), &token);
            let expected = match added {
                No => good,
                Yes => revoked,
                Probably => probable,
            };
            assert_eq!(alone, expected, "base {says:?}, {added:?}, {removed:?}");
        }
    }
    // Known to both: base, added, removed.
    for (base, added, removed, expected) in [
        (No, No, No, good),
        (No, No, Yes, good),
        (No, No, Probably, good),
        (No, Yes, No, revoked),
        (No, Yes, Yes, revoked),
        (No, Yes, Probably, revoked),
        (No, Probably, No, probable),
        (No, Probably, Yes, probable),
        (No, Probably, Probably, probable),
        (Yes, No, No, revoked),
        (Yes, No, Yes, good),
        (Yes, No, Probably, probable),
        (Yes, Yes, No, revoked),
        (Yes, Yes, Yes, good),
        (Yes, Yes, Probably, probable),
        (Yes, Probably, No, revoked),
        (Yes, Probably, Yes, good),
        (Yes, Probably, Probably, probable),
        (Probably, No, No, probable),
        (Probably, No, Yes, good),
        (Probably, No, Probably, probable),
        (Probably, Yes, No, revoked),
        (Probably, Yes, Yes, probable),
        (Probably, Yes, Probably, probable),
        (Probably, Probably, No, probable),
        (Probably, Probably, Yes, probable),
        (Probably, Probably, Probably, probable),
    ] {
        let found = said((5, base), Some((6, added, removed)), &token);
        assert_eq!(found, expected, "base {base:?}, {added:?}, {removed:?}");
    }
}

fn pairs() -> impl Iterator<Item = (Says, Says)> {
    let all = [No, Yes, Probably];
    all.into_iter()
        .flat_map(move |added| all.into_iter().map(move |removed| (added, removed)))
}

/// Three epochs: token 1 is revoked in the first, 2 in the second, 3 in the third.
struct History {
    epochs: [Snapshot; 3],
    full: [Status; 3],
}

impl History {
    fn new() -> Self {
        let with = |count: u64| (1..=count).map(token_id).collect::<BTreeSet<_>>();
        let mut one = Snapshot::first((0..40).map(|number| Minted::new(number, number, 0)));
        one.revoked = with(1);
        let two = one.next(|next| next.revoked = with(2));
        let three = two.next(|next| next.revoked = with(3));
        let first = one.full(None, cascade);
        let second = two.full(Some(&first), cascade);
        let third = three.full(Some(&second), cascade);
        Self {
            epochs: [one, two, three],
            full: [first, second, third],
        }
    }

    fn delta(&self, from: usize, to: usize) -> Status {
        let (before, base) = (&self.epochs[from - 1], &self.full[from - 1]);
        self.epochs[to - 1].delta(before, base, &self.full[to - 1], cascade)
    }

    fn revokes(&self, state: &TrustState, number: usize) -> bool {
        is_revoked(state.lists().unwrap(), &self.epochs[0].tokens[number])
    }
}

/// openssl/openssl 31044: a delta was taken for a base, and with it went every older revocation.
#[test]
fn openssl_31044_a_delta_is_not_a_base() {
    let history = History::new();
    let (first, second) = (history.delta(1, 2), history.delta(2, 3));
    let mut state = snakeoil::trust();
    refused(&mut state, &sign_list(&first), "delta-base");
    taken(&mut state, &sign_list(&history.full[0]));
    taken(&mut state, &sign_list(&first));
    // To the list for which the delta at hand stands, and to the delta itself.
    refused(&mut state, &sign_list(&second), "delta-base");
    let mut upon_delta = second.clone();
    if let Form::Delta { base, .. } = &mut upon_delta.form {
        base.hash = first.unsigned().payload_hash();
    }
    refused(&mut state, &sign_list(&upon_delta), "delta-base");
    assert!(history.revokes(&state, 1) && history.revokes(&state, 2));
    let error = StatusLists::new(&first, None).unwrap_err();
    assert_eq!(error.code(), "delta-base");
    let error = StatusLists::new(&first, Some(&second)).unwrap_err();
    assert_eq!(error.code(), "delta-base");
    let error = StatusLists::new(&history.full[0], Some(&history.full[1])).unwrap_err();
    assert!(
        matches!(error, Error::Document { .. }),
        "a full list is no delta"
    );
}

/// openssl/openssl 31303: an expired delta was passed over, and the base alone was believed.
#[test]
fn openssl_31303_an_expired_delta_is_not_passed_over() {
    let history = History::new();
    let made = history.full[0].this_update;
    let base = Status {
        next_update: made.plus(300 * DAY),
        hard_expiry: made.plus(300 * DAY),
        ..history.full[0].clone()
    };
    let full = history.epochs[1].full(Some(&base), cascade);
    let delta = history.epochs[1].delta(&history.epochs[0], &base, &full, cascade);
    let end = delta.hard_expiry;
    assert!(end < base.next_update, "the base alone is fresh for longer");
    let mut state = snakeoil::trust();
    taken(&mut state, &sign_list(&base));
    taken(&mut state, &sign_list(&delta));
    let verify = |number: usize, now, policy| {
        let token = &history.epochs[0].tokens[number];
        let verifier = Verifier::new(&state, PRODUCT, policy);
        let verdict = verifier.verify(&Seed::License.mint(&claims(token)), now);
        verdict.map_or_else(|error| error.code(), |_| "accepted")
    };
    for policy in [RevocationPolicy::Strict, RevocationPolicy::Balanced] {
        assert_eq!(verify(0, NOW, policy), "accepted");
        assert_eq!(verify(0, end, policy), "status-too-old");
    }
    assert_eq!(verify(0, end, RevocationPolicy::Lenient), "accepted");
    // What it revokes stays revoked, under every policy and at every time.
    for now in [NOW, end, end.plus(100 * DAY)] {
        for number in [1, 2] {
            assert_eq!(verify(number, now, RevocationPolicy::Lenient), "revoked");
        }
    }
}

/// firezone/firezone 14604: a delta that was older than the base was laid over it.
#[test]
fn firezone_14604_a_delta_is_newer_than_its_base() {
    let history = History::new();
    let mut state = snakeoil::trust();
    for list in &history.full[..2] {
        taken(&mut state, &sign_list(list));
    }
    let mut older = history.delta(1, 2);
    let hash = history.full[1].unsigned().payload_hash();
    if let Form::Delta { base, .. } = &mut older.form {
        *base = ListId { epoch: 2, hash };
    }
    for epoch in [1, 2] {
        older.epoch = epoch;
        refused(&mut state, &sign_list(&older), "field-invalid");
    }
    taken(&mut state, &sign_list(&history.full[2]));
    refused(&mut state, &sign_list(&history.delta(1, 2)), "rollback");
    assert!((1..=3).all(|number| history.revokes(&state, number)));
}
