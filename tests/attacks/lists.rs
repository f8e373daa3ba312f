//! S: status lists and keysets, which only rise.

use phi_tests::snakeoil::{self, DAY, NOW, PRODUCT, Seed, key, role, sign_all};
use phi_verify::{
    Bundle, BundleBuilder, Claims, DocumentKind, Error, Floors, KeyError, Minimum, PartOutcome,
    RevocationPolicy, RoleKeys, Root, Status, TrustState, Verifier,
};

use super::{roots::seeds, rotations::OF_ROLES};
use crate::trust::{keys, keyset, list, next, refused, sign_list, taken};

/// A state with the keyset and the first two lists of this chain.
fn state() -> (TrustState, [Status; 3]) {
    let first = list(1, None);
    let second = list(2, Some(&first));
    let third = list(3, Some(&second));
    let mut state = snakeoil::trust();
    taken(&mut state, &sign_list(&first));
    taken(&mut state, &sign_list(&second));
    (state, [first, second, third])
}

#[test]
fn s1_what_is_older_than_the_state_is_refused() {
    let (mut state, [first, ..]) = state();
    refused(&mut state, &sign_list(&first), "rollback");
    taken(&mut state, &keyset(5));
    for version in [1, 4] {
        refused(&mut state, &keyset(version), "rollback");
    }
}

#[test]
fn s2_one_version_is_one_document_and_both_hashes_are_told() {
    let (mut state, [_, second, _]) = state();
    let before = state.clone();
    state.import(&sign_list(&second)).unwrap();
    assert_eq!(state, before);
    let unlike = Status {
        hard_expiry: second.hard_expiry.plus(1),
        ..second.clone()
    };
    let error = Error::Equivocation {
        kind: DocumentKind::Status,
        version: 2,
        held: second.unsigned().payload_hash(),
        offered: unlike.unsigned().payload_hash(),
    };
    assert_eq!(state.import(&sign_list(&unlike)), Err(error));
    assert_eq!(state, before);
    // The list that comes next names another one before it than is held.
    let forked = list(3, Some(&unlike));
    let error = Error::Equivocation {
        kind: DocumentKind::Status,
        version: 2,
        held: second.unsigned().payload_hash(),
        offered: unlike.unsigned().payload_hash(),
    };
    assert_eq!(state.import(&sign_list(&forked)), Err(error));
    assert_eq!(state, before);
    let mut keyset = snakeoil::keyset();
    keyset.issued_at = keyset.issued_at.plus(1);
    refused(
        &mut state,
        &Seed::Keyset.sign(&keyset.unsigned()),
        "equivocation",
    );
}

#[test]
fn s3_a_refused_list_blocks_nothing() {
    let (mut state, [_, second, third]) = state();
    let far = list(u64::MAX, Some(&second));
    refused(
        &mut state,
        &Seed::Foreign.sign(&far.unsigned()),
        "signatures-missing",
    );
    let other_keyset = Status {
        keyset: (9, [7; 32]),
        ..far
    };
    refused(&mut state, &sign_list(&other_keyset), "mix-and-match");
    taken(&mut state, &sign_list(&third));
}

#[test]
fn s4_a_list_goes_with_the_keyset_that_it_names() {
    let hash = snakeoil::keyset().unsigned().payload_hash();
    for named in [(1, [7; 32]), (2, [7; 32]), (2, hash)] {
        let status = Status {
            keyset: named,
            ..list(1, None)
        };
        refused(&mut snakeoil::trust(), &sign_list(&status), "mix-and-match");
    }
    taken(&mut snakeoil::trust(), &sign_list(&list(1, None)));
}

/// The list is refused and the keyset that came with it is not; what was held stays usable.
#[test]
fn s5_a_list_whose_keyset_is_not_in_the_bundle_is_refused() {
    let (mut state, [_, second, third]) = state();
    let ahead = Status {
        keyset: (5, [7; 32]),
        ..third
    };
    for older in [None, Some(keyset(4))] {
        let mut builder = BundleBuilder::new();
        builder.document(&sign_list(&ahead)).unwrap();
        let mut expected = Vec::new();
        if let Some(keyset) = older {
            builder.document(&keyset).unwrap();
            expected.push(PartOutcome::Updated);
        }
        expected.push(PartOutcome::Refused(Error::MixAndMatch { version: 5 }));
        let bundle = builder.build().unwrap();
        let reports = state.import_bundle(&Bundle::parse(&bundle).unwrap());
        let outcomes: Vec<_> = reports.into_iter().map(|report| report.outcome).collect();
        assert_eq!(outcomes, expected);
        assert_eq!(state.status(), Some(&second));
        let verifier = Verifier::new(&state, PRODUCT, RevocationPolicy::Strict);
        let token = Seed::License.mint(&snakeoil::claims());
        assert!(verifier.verify(&token, NOW).is_ok());
    }
}

/// A thief of the status key published the last epoch but one.
#[test]
fn s7_a_fast_forward_is_undone_by_a_root_with_a_new_status_key() {
    let (mut state, [first, second, third]) = state();
    let thief = list(u64::MAX - 1, Some(&second));
    taken(&mut state, &sign_list(&thief));
    refused(&mut state, &sign_list(&third), "rollback");
    // A lower floor under the same keys undoes nothing.
    taken(&mut state, &next(|root| root.floors.status = 3));
    refused(&mut state, &sign_list(&third), "rollback");
    let recovery = Root {
        version: 3,
        status: role(&[key(70)], 1),
        floors: Floors {
            keyset: 0,
            status: 3,
        },
        ..snakeoil::root()
    };
    taken(&mut state, &Seed::Root.sign(&recovery.unsigned()));
    let by_new = |status: &Status| sign_all(&status.unsigned(), &keys(&[70]));
    refused(&mut state, &sign_list(&thief), "signatures-missing");
    for old in [&first, &second] {
        refused(&mut state, &by_new(old), "rollback");
    }
    taken(&mut state, &by_new(&third));
}

#[test]
fn s8_a_root_that_keeps_the_status_key_opens_no_door_to_old_lists() {
    let (mut state, [first, ..]) = state();
    taken(&mut state, &next(|_| {}));
    refused(&mut state, &sign_list(&first), "rollback");
    refused(
        &mut state,
        &Seed::Foreign.sign(&first.unsigned()),
        "signatures-missing",
    );
}

/// Where keys overlap nothing is forgotten, and who has nothing is held to the root's floor.
#[test]
fn s9_a_rotation_with_overlap_raises_the_floor() {
    let both = |root: &mut Root| {
        root.status = role(&[Seed::Status.signing_key(), key(70)], 1);
        root.floors.status = 2;
    };
    let (mut held, [first, second, third]) = state();
    taken(&mut held, &next(both));
    assert_eq!(held.status(), Some(&second));
    let mut fresh = snakeoil::trust();
    taken(&mut fresh, &next(both));
    for state in [&mut held, &mut fresh] {
        refused(state, &sign_list(&first), "rollback");
        taken(state, &sign_all(&third.unsigned(), &keys(&[70])));
    }
}

/// The ten role rotations of TUF's conformance suite, for each document of a role.
#[test]
fn s10_a_role_signs_with_its_threshold_of_its_keys() {
    for step in OF_ROLES {
        let role = role(&keys(&seeds(step.keys)), step.threshold);
        let change = |root: &mut Root| {
            root.keyset = role.clone();
            root.status = role.clone();
        };
        // One key may not stand in two roles: each role is changed alone.
        let keyset_only = next(|root| root.keyset = role.clone());
        let status_only = next(|root| root.status = role.clone());
        let mut shared = snakeoil::trust();
        refused(&mut shared, &next(change), "key-in-two-roles");
        let signers = keys(&seeds(step.signers));
        let sign = |document: &phi_verify::UnsignedDocument| sign_all(document, &signers);
        for (root, document) in [
            (&keyset_only, sign(&snakeoil::keyset().unsigned())),
            (&keyset_only, sign(&snakeoil::catalog().unsigned())),
            (&status_only, sign(&snakeoil::status().unsigned())),
        ] {
            let mut state = snakeoil::trust();
            taken(&mut state, root);
            if step.taken {
                taken(&mut state, &document);
            } else {
                refused(&mut state, &document, "signatures-missing");
            }
        }
    }
    for threshold in [0, 2] {
        let role = RoleKeys::new(vec![Seed::Status.public()], threshold);
        assert_eq!(role, Err(KeyError::Threshold));
    }
}

#[test]
fn s11_who_imports_nothing_new_is_found_out_by_the_license() {
    let (state, _) = state();
    let claims = |change: fn(&mut Claims)| {
        let mut claims = snakeoil::claims();
        change(&mut claims);
        Seed::License.mint(&claims)
    };
    let verify = |token: &str, policy, now| {
        let verifier = Verifier::new(&state, PRODUCT, policy);
        verifier.verify(token, now).map(|_| ())
    };
    let ahead = claims(|claims| {
        claims.minimum = Minimum {
            keyset: 0,
            status: 3,
        };
    });
    let needs_newer = Error::StaleTrust {
        kind: DocumentKind::Status,
        current: 2,
        needed: 3,
    };
    assert_eq!(
        verify(&ahead, RevocationPolicy::Lenient, NOW),
        Err(needs_newer)
    );
    let met = claims(|claims| {
        claims.minimum = Minimum {
            keyset: 1,
            status: 2,
        };
    });
    assert_eq!(verify(&met, RevocationPolicy::Lenient, NOW), Ok(()));
    // Else the license's own limit counts, whatever the policy, and then the policy's.
    let limited = claims(|claims| claims.max_status_age = Some(9 * DAY));
    let limit = snakeoil::status().this_update.plus(9 * DAY);
    let late = Error::StatusTooOld { now: limit, limit };
    assert_eq!(
        verify(&limited, RevocationPolicy::Lenient, limit),
        Err(late)
    );
    assert_eq!(
        verify(&limited, RevocationPolicy::Lenient, limit.minus(1)),
        Ok(())
    );
    let plain = claims(|_| {});
    let due = snakeoil::status().next_update;
    let late = Err(Error::StatusTooOld {
        now: due,
        limit: due,
    });
    assert_eq!(verify(&plain, RevocationPolicy::Strict, due), late);
    assert_eq!(verify(&plain, RevocationPolicy::Balanced, due), Ok(()));
}
