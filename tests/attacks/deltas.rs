//! S and L2 again, with deltas: a list that stands for another one and needs a third.

use phi_tests::{
    item::Item,
    snakeoil::{self, NOW, PRODUCT, Seed, key, role, sign_all},
    snapshots::{Minted, Snapshot, cascade, token_id},
};
use phi_verify::{
    Bundle, BundleBuilder, Claims, DocumentKind, Error, Floors, KeyState, Keyset, Minimum,
    PartOutcome, Reason, RevocationPolicy, Root, Rule, RuleClass, Status, Subject, TrustState,
    Verdict, Verifier,
};

use super::claims::log_of;
use crate::trust::{keys, keyset, next, refused, sign_list, taken};

/// Five epochs of an issuer that revokes one token more each time.
fn epochs() -> Vec<Snapshot> {
    let tokens = (0..9).map(|number| Minted::new(number, number, 0));
    let mut epochs = vec![Snapshot::first(tokens)];
    for number in 1..5 {
        let last = epochs.last().unwrap();
        epochs.push(last.next(|next| next.revoked.extend([token_id(number)])));
    }
    epochs
}

/// The full lists of these epochs.
fn fulls(epochs: &[Snapshot]) -> Vec<Status> {
    let mut lists: Vec<Status> = Vec::new();
    for epoch in epochs {
        lists.push(epoch.full(lists.last(), cascade));
    }
    lists
}

/// The lists, and the delta from the one place to the other.
struct Chain {
    epochs: Vec<Snapshot>,
    full: Vec<Status>,
}

impl Chain {
    fn new() -> Self {
        let epochs = epochs();
        let full = fulls(&epochs);
        Self { epochs, full }
    }

    fn delta(&self, from: usize, to: usize) -> Status {
        let (before, base) = (&self.epochs[from - 1], &self.full[from - 1]);
        self.epochs[to - 1].delta(before, base, &self.full[to - 1], cascade)
    }

    fn full(&self, epoch: usize) -> &Status {
        &self.full[epoch - 1]
    }

    /// A state with the full list of this epoch.
    fn state(&self, epoch: usize) -> TrustState {
        let mut state = snakeoil::trust();
        taken(&mut state, &sign_list(self.full(epoch)));
        state
    }
}

fn verdict(state: &TrustState, number: u64) -> Verdict {
    let claims = Minted::new(number, number, 0).claims();
    let lists = state.lists().unwrap();
    lists.verdict(&claims, Seed::License.id())
}

const REVOKED: Verdict = Verdict::Revoked {
    reason: Reason::Unspecified,
    rule: RuleClass::Token,
};

#[test]
fn s1_a_delta_that_is_older_than_the_state_is_refused() {
    let chain = Chain::new();
    let mut state = chain.state(1);
    taken(&mut state, &sign_list(&chain.delta(1, 4)));
    for older in [2, 3] {
        refused(&mut state, &sign_list(&chain.delta(1, older)), "rollback");
        refused(&mut state, &sign_list(chain.full(older)), "rollback");
    }
    let mut ahead = chain.state(5);
    refused(&mut ahead, &sign_list(&chain.delta(1, 4)), "rollback");
    assert_eq!(verdict(&state, 3), REVOKED);
}

/// Whatever speaks for an epoch names one full list; both hashes are told.
#[test]
fn s2_full_lists_and_deltas_of_one_epoch_speak_for_one_list() {
    let chain = Chain::new();
    let later = |status: &Status| Status {
        hard_expiry: status.hard_expiry.plus(1),
        ..status.clone()
    };
    let unlike = later(chain.full(3));
    let other = Chain {
        full: [&chain.full[..2], std::slice::from_ref(&unlike)].concat(),
        epochs: chain.epochs.clone(),
    };
    let error = Error::Equivocation {
        kind: DocumentKind::Status,
        version: 3,
        held: chain.full(3).unsigned().payload_hash(),
        offered: unlike.unsigned().payload_hash(),
    };
    for document in [&chain.delta(1, 3), chain.full(3)] {
        for offered in [&unlike, &other.delta(1, 3), &other.delta(2, 3)] {
            let mut state = chain.state(1);
            taken(&mut state, &sign_list(document));
            let before = state.clone();
            assert_eq!(state.import(&sign_list(offered)), Err(error.clone()));
            assert_eq!(state, before);
        }
    }
    // A delta may differ from another one of its epoch: what it stands for is the same.
    let mut state = chain.state(1);
    taken(&mut state, &sign_list(&chain.delta(1, 3)));
    let before = state.clone();
    state.import(&sign_list(&chain.delta(2, 3))).unwrap();
    assert_eq!(state, before);
    // The next list names another one before it than the delta stands for.
    let forked = chain.epochs[3].full(Some(&unlike), cascade);
    refused(&mut state, &sign_list(&forked), "equivocation");
}

#[test]
fn s3_a_refused_delta_blocks_nothing() {
    let chain = Chain::new();
    let mut state = chain.state(1);
    let far = Status {
        epoch: u64::MAX,
        ..chain.delta(1, 3)
    };
    let forged = Seed::Foreign.sign(&far.unsigned());
    refused(&mut state, &forged, "signatures-missing");
    refused(&mut state, &sign_list(&chain.delta(2, 3)), "delta-base");
    let ahead = Status {
        keyset: (9, [7; 32]),
        ..far
    };
    refused(&mut state, &sign_list(&ahead), "mix-and-match");
    taken(&mut state, &sign_list(&chain.delta(1, 2)));
    taken(&mut state, &sign_list(chain.full(3)));
    assert_eq!(verdict(&state, 2), REVOKED);
}

#[test]
fn s4_a_delta_goes_with_the_keyset_that_it_names() {
    let chain = Chain::new();
    let hash = snakeoil::keyset().unsigned().payload_hash();
    for keyset in [(1, [7; 32]), (2, [7; 32]), (2, hash)] {
        let delta = Status {
            keyset,
            ..chain.delta(1, 2)
        };
        refused(&mut chain.state(1), &sign_list(&delta), "mix-and-match");
    }
    let mut newer = chain.state(1);
    taken(&mut newer, &keyset(5));
    taken(&mut newer, &sign_list(&chain.delta(1, 2)));
}

/// A bundle is for who has nothing, too: it is neither made with a delta nor imported with one.
#[test]
fn s5_a_delta_has_no_place_in_a_bundle() {
    let chain = Chain::new();
    let delta = sign_list(&chain.delta(1, 2));
    let mut builder = BundleBuilder::new();
    let refusal = Error::DeltaInBundle { epoch: 2 };
    assert_eq!(builder.document(&delta), Err(refusal.clone()));
    // The document of a good bundle, with another in its place.
    let part = Item::Array(vec![Item::Uint(2), Item::bytes(&delta)]);
    let entry = |key, value| (Item::Uint(key), value);
    let kind = Item::Uint(9);
    let bundle = Item::Map(vec![entry(0, kind), entry(3, part)]).encode();
    for mut state in [chain.state(1), snakeoil::trust()] {
        let before = state.clone();
        let [report] = &state.import_bundle(&Bundle::parse(&bundle).unwrap())[..] else {
            panic!("the bundle has one part");
        };
        assert_eq!(report.outcome, PartOutcome::Refused(refusal.clone()));
        assert_eq!(state, before);
    }
}

fn license_rule(license: u64) -> Rule {
    Rule {
        subject: Subject::License(Minted::new(0, license, 0).license),
        issued_before: None,
        reason: Reason::Refund,
        since: snakeoil::START,
        ends: None,
    }
}

/// The list held stays, and what it revokes stays revoked; a list that says what it takes back is
/// taken, by those as well who have missed the list that said so first.
#[test]
fn s6_a_revocation_that_is_left_out_in_silence_is_refused() {
    let mut chain = Chain::new();
    let rule = license_rule(7);
    chain.epochs[0].rules = vec![rule.clone()];
    chain.epochs[1].rules = vec![rule.clone()];
    let unrevoked = |chain: &mut Chain, from: usize| {
        for epoch in &mut chain.epochs[from..] {
            epoch.unrevoked = vec![rule.subject.clone()];
        }
    };
    chain.full = fulls(&chain.epochs);
    let silent = [chain.full(3).clone(), chain.delta(1, 3)];
    unrevoked(&mut chain, 2);
    chain.full = fulls(&chain.epochs);
    let open = [chain.full(3).clone(), chain.delta(1, 3)];
    for (silent, open) in silent.iter().zip(&open) {
        let mut state = chain.state(1);
        let before = state.clone();
        let missing = Error::RevocationMissing {
            subject: Box::new(rule.subject.clone()),
        };
        assert_eq!(state.import(&sign_list(silent)), Err(missing));
        assert_eq!(state, before);
        let revoked = Verdict::Revoked {
            reason: Reason::Refund,
            rule: RuleClass::License,
        };
        assert_eq!(verdict(&state, 7), revoked);
        taken(&mut state, &sign_list(open));
        assert_eq!(verdict(&state, 7), Verdict::Good);
    }
    // Who was away from epoch 1 to 5 hears of it as well.
    let mut away = chain.state(1);
    taken(&mut away, &sign_list(&chain.delta(1, 5)));
    assert_eq!(verdict(&away, 7), Verdict::Good);
}

#[test]
fn s7_a_fast_forward_by_a_delta_is_undone_alike() {
    let chain = Chain::new();
    let mut state = chain.state(1);
    let thief = Status {
        epoch: u64::MAX - 1,
        ..chain.delta(1, 2)
    };
    taken(&mut state, &sign_list(&thief));
    refused(&mut state, &sign_list(chain.full(3)), "rollback");
    refused(&mut state, &sign_list(&chain.delta(1, 3)), "rollback");
    let recovery = Root {
        version: 2,
        status: role(&[key(70)], 1),
        floors: Floors {
            keyset: 0,
            status: 3,
        },
        ..snakeoil::root()
    };
    taken(&mut state, &Seed::Root.sign(&recovery.unsigned()));
    assert_eq!(state.lists(), None);
    let by_new = |status: &Status| sign_all(&status.unsigned(), &keys(&[70]));
    refused(&mut state, &sign_list(&thief), "signatures-missing");
    refused(&mut state, &by_new(chain.full(2)), "rollback");
    refused(&mut state, &by_new(&chain.delta(1, 4)), "delta-base");
    taken(&mut state, &by_new(chain.full(3)));
    taken(&mut state, &by_new(&chain.delta(3, 4)));
}

#[test]
fn s8_a_root_that_keeps_the_status_key_opens_no_door_to_old_deltas() {
    let chain = Chain::new();
    let mut state = chain.state(1);
    taken(&mut state, &sign_list(&chain.delta(1, 4)));
    taken(&mut state, &next(|_| {}));
    assert_eq!(verdict(&state, 3), REVOKED);
    refused(&mut state, &sign_list(&chain.delta(1, 3)), "rollback");
    refused(&mut state, &sign_list(chain.full(2)), "rollback");
}

/// A floor above the base and not above the delta rules out neither; above both it does.
#[test]
fn s9_a_floor_is_about_the_newest_of_the_lists() {
    let chain = Chain::new();
    let raised = |floor| next(|root| root.floors.status = floor);
    let pair = || {
        let mut state = chain.state(1);
        taken(&mut state, &sign_list(&chain.delta(1, 4)));
        state
    };
    let mut between = pair();
    taken(&mut between, &raised(4));
    assert_eq!(verdict(&between, 3), REVOKED);
    taken(&mut between, &sign_list(&chain.delta(1, 5)));
    let mut above = pair();
    taken(&mut above, &raised(5));
    assert_eq!(above.lists(), None);
    refused(&mut above, &sign_list(&chain.delta(1, 5)), "delta-base");
    refused(&mut above, &sign_list(chain.full(1)), "rollback");
    taken(&mut above, &sign_list(chain.full(5)));
}

#[test]
fn s10_a_delta_needs_the_threshold_as_well() {
    let chain = Chain::new();
    let two_of_three = next(|root| root.status = role(&keys(&[70, 71, 72]), 2));
    let mut state = snakeoil::trust();
    taken(&mut state, &two_of_three);
    let by = |status: &Status, signers: &[u8]| sign_all(&status.unsigned(), &keys(signers));
    taken(&mut state, &by(chain.full(1), &[70, 72]));
    let delta = chain.delta(1, 2);
    for (signers, code) in [
        (&[71][..], "signatures-missing"),
        (&[71, 90], "signatures-missing"),
        (&[71, 71], "signature-duplicate"),
    ] {
        refused(&mut state, &by(&delta, signers), code);
    }
    taken(&mut state, &by(&delta, &[71, 72]));
}

/// A delta meets a license's minimum like a list. A license that is newer than the lists proves
/// that there is another, and one of a key that is revoked later has proven nothing.
#[test]
fn s11_a_list_that_is_kept_from_a_machine_is_told_by_newer_licenses() {
    let chain = Chain::new();
    let mut state = chain.state(1);
    taken(&mut state, &sign_list(&chain.delta(1, 3)));
    let license = |state: &TrustState, mint_epoch| {
        let claims = Claims {
            minimum: Minimum {
                keyset: 0,
                status: 3,
            },
            ..Minted::new(8, 8, mint_epoch).claims()
        };
        let verifier = Verifier::new(state, PRODUCT, RevocationPolicy::Balanced);
        verifier.verify(&Seed::License.mint(&claims), NOW)
    };
    let needed = license(&chain.state(1), 0).unwrap_err();
    assert_eq!(needed.code(), "stale-trust");
    for (mint_epoch, newer) in [(0, None), (2, None), (3, None), (4, Some(4))] {
        let license = license(&state, mint_epoch).unwrap();
        assert_eq!(license.revocation().newer, newer, "minted at {mint_epoch}");
        state.remember(&license).unwrap();
        assert_eq!(state.newer_list(), newer);
        let codes: Vec<_> = state.report(NOW).findings;
        let behind = codes.iter().any(|finding| finding.code == "status-behind");
        assert_eq!(behind, newer.is_some());
    }
    let mut honest = state.clone();
    taken(&mut honest, &sign_list(chain.full(4)));
    assert_eq!(honest.newer_list(), None);
    let mut revoked = snakeoil::keyset();
    let keys = revoked.keys().iter().cloned().map(|mut entry| {
        if entry.key.id() == Seed::License.id() {
            entry.state = KeyState::Revoked { cut: None };
        }
        entry
    });
    let (issuer, made) = (revoked.issuer.clone(), revoked.issued_at);
    revoked = Keyset::new(issuer, 2, made, 1, keys.collect()).unwrap();
    taken(&mut state, &Seed::Keyset.sign(&revoked.unsigned()));
    assert_eq!(state.newer_list(), None);
}

/// The rule revoked the key whole; the cut spares what the ledger had, and the rule has to go.
#[test]
fn l2_a_rule_for_a_key_gives_way_to_its_cut() {
    let mut chain = Chain::new();
    let key_id = Seed::Retired.id();
    chain.epochs[0].rules = vec![Rule {
        subject: Subject::Key(key_id),
        ..license_rule(0)
    }];
    chain.full = fulls(&chain.epochs);
    let claims = Claims {
        issued_at: snakeoil::START,
        ..snakeoil::claims()
    };
    let token = Seed::Retired.mint(&claims);
    let proof = log_of(&token).proof(3, 5);
    let mut state = chain.state(1);
    let verify = |state: &TrustState| {
        let verifier = Verifier::new(state, PRODUCT, RevocationPolicy::Balanced);
        let license = verifier.verify_with_proof(&token, &proof, NOW);
        license.map(|license| license.inclusion().is_some())
    };
    assert_eq!(verify(&state).unwrap_err().code(), "revoked");
    let delta = sign_list(&chain.delta(1, 2));
    refused(&mut state, &delta, "revocation-missing");
    let mut cut = snakeoil::keyset();
    let keys = cut.keys().iter().cloned().map(|mut entry| {
        if entry.key.id() == key_id {
            entry.state = KeyState::Revoked { cut: Some(4) };
        }
        entry
    });
    cut = Keyset::new(cut.issuer.clone(), 2, cut.issued_at, 1, keys.collect()).unwrap();
    taken(&mut state, &Seed::Keyset.sign(&cut.unsigned()));
    assert_eq!(verify(&state).unwrap_err().code(), "revoked");
    taken(&mut state, &delta);
    assert_eq!(verify(&state), Ok(true));
}
