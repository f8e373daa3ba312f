//! The trust state under attack: the cases of roots, keys and status lists, one test each, by
//! what an attacker or an accident tries.

use ed25519_dalek::SigningKey;
use phi_tests::snakeoil::{self, DAY, NOW, PRODUCT, START, Seed, key, role, sign_all};
use phi_verify::{
    DocumentKind, Error, Floors, Imported, KeyState, Keyset, LicenseKey, RevocationPolicy,
    RoleKeys, Root, Scope, Status, TrustState, UnixTime, Verifier,
};

fn keys(seeds: &[u8]) -> Vec<SigningKey> {
    seeds.iter().map(|seed| key(*seed)).collect()
}

/// A root whose root role is `threshold` of these seeds.
fn root(version: u64, seeds: &[u8], threshold: usize) -> Root {
    Root {
        version,
        root: role(&keys(seeds), threshold),
        ..snakeoil::root()
    }
}

fn signed(root: &Root, signers: &[u8]) -> Vec<u8> {
    sign_all(&root.unsigned(), &keys(signers))
}

/// Imports a document that must be refused with this code and leave no trace.
#[track_caller]
fn refused(state: &mut TrustState, document: &[u8], code: &str) {
    let before = state.clone();
    let error = state.import(document).expect_err("the document is refused");
    assert_eq!(error.code(), code, "{error}");
    assert_eq!(*state, before, "a refused document left a trace");
}

/// Imports a document that must be taken, and taken as known the second time.
#[track_caller]
fn taken(state: &mut TrustState, document: &[u8]) {
    let Imported::Updated(kind) = state.import(document).expect("the document is taken") else {
        panic!("the document was known already");
    };
    let after = state.clone();
    assert_eq!(state.import(document), Ok(Imported::Unchanged(kind)));
    assert_eq!(*state, after, "an import without news changed the state");
}

fn from_root(root: &Root, signers: &[u8]) -> TrustState {
    TrustState::from_anchor(&signed(root, signers)).unwrap()
}

/// Takes a chain of roots, each with its signers, and then this version is in force.
#[track_caller]
fn follows(anchor: (&Root, &[u8]), chain: &[(Root, &[u8])]) {
    let mut state = from_root(anchor.0, anchor.1);
    for (root, signers) in chain {
        taken(&mut state, &signed(root, signers));
        assert_eq!(state.root(), root);
    }
}

#[test]
fn a_root_key_is_changed_by_old_and_new_and_then_by_the_new_alone() {
    let chain = [(root(2, &[2], 1), &[1, 2][..]), (root(3, &[2], 1), &[2])];
    let anchor = root(1, &[1], 1);
    // The snakeoil roles use seeds below 10: these chains have roles of their own.
    let apart = |root: &Root| Root {
        keyset: role(&keys(&[60]), 1),
        status: role(&keys(&[61]), 1),
        ledger: role(&keys(&[62]), 1),
        ..root.clone()
    };
    let chain = chain.map(|(root, signers)| (apart(&root), signers));
    follows((&apart(&anchor), &[1]), &chain);
}

#[test]
fn any_three_of_five_may_sign_each_version() {
    let five = [41, 42, 43, 44, 45];
    let chain = [
        (root(2, &five, 3), &[41, 42, 43][..]),
        (root(3, &five, 3), &[43, 44, 45]),
        (root(4, &five, 3), &[45, 41, 43, 42, 44]),
    ];
    follows((&root(1, &five, 3), &[41, 43, 45]), &chain);
}

#[test]
fn keys_of_five_are_swapped_one_by_one_or_through_a_step_between() {
    let old = root(1, &[41, 42, 43, 44, 45], 3);
    let one = root(2, &[41, 42, 43, 44, 46], 3);
    follows((&old, &[41, 42, 43]), &[(one, &[41, 42, 43])]);
    let all = root(2, &[51, 52, 53, 54, 55], 3);
    follows((&old, &[41, 42, 43]), &[(all, &[41, 42, 43, 51, 52, 53])]);
}

#[test]
fn a_threshold_is_raised_and_lowered_by_enough_of_both() {
    let one = root(1, &[41, 42], 1);
    let two = root(2, &[41, 42], 2);
    let back = root(3, &[41, 42], 1);
    follows((&one, &[41]), &[(two, &[41, 42]), (back, &[42, 41])]);
}

#[test]
fn a_root_needs_the_old_and_the_new_threshold() {
    let old = root(1, &[41, 42, 43], 2);
    let new = root(2, &[42, 43, 44], 2);
    let mut state = from_root(&old, &[41, 42]);
    for signers in [&[43, 44][..], &[41, 42], &[42], &[44], &[90, 91]] {
        refused(&mut state, &signed(&new, signers), "signatures-missing");
    }
    refused(&mut state, &signed(&new, &[42, 42]), "signature-duplicate");
    refused(
        &mut state,
        &signed(&new, &[42, 43, 43]),
        "signature-duplicate",
    );
    taken(&mut state, &signed(&new, &[42, 43]));
}

#[test]
fn a_root_is_the_very_next_or_refused() {
    let at = |version| signed(&root(version, &[41], 1), &[41]);
    let mut state = TrustState::from_anchor(&at(5)).unwrap();
    for version in [7, 8, u64::MAX] {
        refused(&mut state, &at(version), "root-gap");
    }
    for version in [1, 4] {
        refused(&mut state, &at(version), "rollback");
    }
    assert_eq!(
        state.import(&at(5)),
        Ok(Imported::Unchanged(DocumentKind::Root))
    );
    let other = Root {
        issued_at: START.plus(1),
        ..root(5, &[41], 1)
    };
    refused(&mut state, &signed(&other, &[41]), "equivocation");
    taken(&mut state, &at(6));
    let mut last = TrustState::from_anchor(&at(u64::MAX)).unwrap();
    refused(&mut last, &at(1), "rollback");
}

#[test]
fn a_chain_that_ends_early_keeps_its_last_good_step() {
    let mut state = from_root(&root(1, &[41], 1), &[41]);
    taken(&mut state, &signed(&root(2, &[42], 1), &[41, 42]));
    refused(&mut state, &signed(&root(4, &[42], 1), &[42]), "root-gap");
    assert_eq!(state.root().version, 2);
    taken(&mut state, &signed(&root(3, &[42], 1), &[42]));
}

#[test]
fn an_anchor_is_a_root_that_its_own_keys_signed() {
    let anchor = snakeoil::anchor();
    assert!(TrustState::from_anchor(&anchor).is_ok());
    let keyset = Seed::Keyset.sign(&snakeoil::keyset().unsigned());
    let code = |anchor: &[u8]| TrustState::from_anchor(anchor).unwrap_err().code();
    assert_eq!(code(&keyset), "document-kind");
    assert_eq!(code(&[]), "document-envelope");
    assert_eq!(code(&anchor[..anchor.len() - 1]), "document-envelope");
    let stranger = Seed::Foreign.sign(&snakeoil::root().unsigned());
    assert_eq!(code(&stranger), "signatures-missing");
    let two = root(1, &[41, 42], 2);
    assert_eq!(code(&signed(&two, &[41])), "signatures-missing");
    assert_eq!(code(&signed(&two, &[41, 41])), "signature-duplicate");
}

#[test]
fn thresholds_count_distinct_keys_of_every_role() {
    let two_of_three = Root {
        keyset: role(&keys(&[41, 42, 43]), 2),
        ..snakeoil::root()
    };
    let anchor = Seed::Root.sign(&two_of_three.unsigned());
    let mut state = TrustState::from_anchor(&anchor).unwrap();
    let keyset = snakeoil::keyset().unsigned();
    refused(
        &mut state,
        &sign_all(&keyset, &keys(&[42])),
        "signatures-missing",
    );
    refused(
        &mut state,
        &sign_all(&keyset, &keys(&[42, 90])),
        "signatures-missing",
    );
    refused(
        &mut state,
        &sign_all(&keyset, &keys(&[42, 42])),
        "signature-duplicate",
    );
    taken(&mut state, &sign_all(&keyset, &keys(&[90, 43, 41])));
}

fn keyset(version: u64) -> Vec<u8> {
    let mut keyset = snakeoil::keyset();
    keyset.version = version;
    Seed::Keyset.sign(&keyset.unsigned())
}

#[test]
fn a_keyset_only_rises() {
    let mut state = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    taken(&mut state, &keyset(2));
    refused(&mut state, &keyset(1), "rollback");
    let mut other = snakeoil::keyset();
    (other.version, other.issued_at) = (2, START);
    refused(
        &mut state,
        &Seed::Keyset.sign(&other.unsigned()),
        "equivocation",
    );
    taken(&mut state, &keyset(u64::MAX));
    refused(&mut state, &keyset(3), "rollback");
}

fn list(epoch: u64, previous: Option<&Status>) -> Status {
    Status {
        epoch,
        previous: previous.map(|status| status.unsigned().payload_hash()),
        ..snakeoil::status()
    }
}

fn sign_list(status: &Status) -> Vec<u8> {
    Seed::Status.sign(&status.unsigned())
}

#[test]
fn a_status_list_only_rises_and_a_refused_one_blocks_nothing() {
    let first = list(1, None);
    let second = list(2, Some(&first));
    let forged = Status {
        previous: Some([9; 32]),
        ..second.clone()
    };
    let mut state = snakeoil::trust();
    taken(&mut state, &sign_list(&first));
    refused(&mut state, &sign_list(&forged), "equivocation");
    taken(&mut state, &sign_list(&second));
    refused(&mut state, &sign_list(&first), "rollback");
    let again = Status {
        salt: [1; 16],
        ..second.clone()
    };
    refused(&mut state, &sign_list(&again), "equivocation");
    // After a gap the list before is not at hand and cannot be compared.
    taken(&mut state, &sign_list(&Status { epoch: 9, ..forged }));
}

#[test]
fn a_status_list_goes_with_its_keyset() {
    let mut bare = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    refused(&mut bare, &sign_list(&list(1, None)), "keyset-missing");
    let mut state = snakeoil::trust();
    for keyset in [(1, [7; 32]), (2, [7; 32])] {
        let status = Status {
            keyset,
            ..list(1, None)
        };
        refused(&mut state, &sign_list(&status), "mix-and-match");
    }
    taken(&mut state, &keyset(5));
    taken(&mut state, &sign_list(&list(1, None)));
}

#[test]
fn a_catalog_only_rises_for_each_product() {
    let sign = |product: &str, revision| {
        let catalog = phi_verify::Catalog {
            product: product.into(),
            revision,
            ..snakeoil::catalog()
        };
        Seed::Keyset.sign(&catalog.unsigned())
    };
    let mut state = snakeoil::trust();
    taken(&mut state, &sign("a", 3));
    refused(&mut state, &sign("a", 2), "rollback");
    taken(&mut state, &sign("b", 1));
    assert_eq!(state.catalog("a").unwrap().revision, 3);
    assert_eq!(state.catalog("c"), None);
}

/// The root after the snakeoil root, changed by the caller.
fn next(change: impl FnOnce(&mut Root)) -> Vec<u8> {
    let mut root = Root {
        version: 2,
        issued_at: START.plus(DAY),
        ..snakeoil::root()
    };
    change(&mut root);
    Seed::Root.sign(&root.unsigned())
}

fn new_role() -> RoleKeys {
    role(&keys(&[70]), 1)
}

#[test]
fn a_thief_who_signed_the_last_epoch_is_undone_by_a_new_status_key() {
    let thief = Status {
        epoch: u64::MAX - 1,
        previous: Some([9; 32]),
        ..list(1, None)
    };
    let mut state = snakeoil::trust();
    taken(&mut state, &sign_list(&thief));
    refused(&mut state, &sign_list(&list(1, None)), "rollback");
    taken(
        &mut state,
        &next(|root| {
            root.status = new_role();
            root.floors.status = 2;
        }),
    );
    assert_eq!(state.status(), None);
    refused(&mut state, &sign_list(&thief), "signatures-missing");
    let by_new = |status: &Status| sign_all(&status.unsigned(), &keys(&[70]));
    refused(&mut state, &by_new(&list(1, None)), "rollback");
    taken(&mut state, &by_new(&list(2, Some(&thief))));
}

#[test]
fn a_thief_of_the_keyset_key_is_undone_by_a_new_one() {
    let mut state = snakeoil::trust();
    taken(&mut state, &keyset(u64::MAX));
    taken(
        &mut state,
        &Seed::Keyset.sign(&snakeoil::catalog().unsigned()),
    );
    taken(&mut state, &next(|root| root.keyset = new_role()));
    assert_eq!((state.keyset(), state.catalog(PRODUCT)), (None, None));
    refused(&mut state, &keyset(u64::MAX), "signatures-missing");
    let keyset = snakeoil::keyset().unsigned();
    taken(&mut state, &sign_all(&keyset, &keys(&[70])));
}

#[test]
fn a_root_that_keeps_a_key_opens_no_door_to_old_documents() {
    let second = list(2, Some(&list(1, None)));
    let mut state = snakeoil::trust();
    taken(&mut state, &keyset(4));
    taken(&mut state, &sign_list(&second));
    taken(&mut state, &next(|_| {}));
    refused(&mut state, &sign_list(&list(1, None)), "rollback");
    refused(&mut state, &keyset(3), "rollback");
}

#[test]
fn an_overlapping_rotation_raises_the_floor() {
    let both = |root: &mut Root| {
        let keys = [Seed::Status.signing_key(), key(70)];
        root.status = role(&keys, 1);
        root.floors = Floors {
            keyset: 0,
            status: 2,
        };
    };
    let mut state = snakeoil::trust();
    taken(&mut state, &next(both));
    refused(&mut state, &sign_list(&list(1, None)), "rollback");
    let second = list(2, Some(&list(1, None)));
    taken(&mut state, &sign_all(&second.unsigned(), &keys(&[70])));
}

#[test]
fn a_floor_also_drops_what_is_held() {
    let mut state = snakeoil::trust();
    taken(&mut state, &sign_list(&list(1, None)));
    taken(
        &mut state,
        &next(|root| {
            root.floors = Floors {
                keyset: 2,
                status: 2,
            }
        }),
    );
    assert_eq!((state.keyset(), state.status()), (None, None));
    let token = Seed::License.mint(&snakeoil::claims());
    let verifier = Verifier::new(&state, PRODUCT, RevocationPolicy::Lenient);
    assert_eq!(verifier.verify(&token, NOW), Err(Error::KeysetMissing));
    refused(&mut state, &keyset(1), "rollback");
    taken(&mut state, &keyset(2));
}

#[test]
fn a_root_that_takes_a_license_key_into_a_role_drops_the_keyset() {
    let mut state = snakeoil::trust();
    taken(&mut state, &next(|root| root.ledger = Seed::License.role()));
    assert_eq!(state.keyset(), None);
    refused(&mut state, &keyset(1), "key-in-two-roles");
    let mut without = snakeoil::keyset();
    without = Keyset::new(without.issuer, 1, without.issued_at, 1, Vec::new()).unwrap();
    refused(
        &mut state,
        &Seed::Keyset.sign(&without.unsigned()),
        "rollback",
    );
    without.version = 2;
    taken(&mut state, &Seed::Keyset.sign(&without.unsigned()));
}

/// The state is the same whether documents came as they were published or all at once.
#[test]
fn the_order_of_roots_and_other_documents_is_of_no_account() {
    let roots = [
        next(|_| {}),
        next(|root| {
            root.floors = Floors {
                keyset: 1,
                status: 1,
            }
        }),
        next(|root| {
            root.floors = Floors {
                keyset: 2,
                status: 0,
            }
        }),
        next(|root| root.status = new_role()),
    ];
    for root in roots {
        let documents = [keyset(1), sign_list(&list(1, None))];
        let mut first = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
        first.import(&root).unwrap();
        let mut last = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
        for document in &documents {
            let _ = first.import(document);
            last.import(document).unwrap();
        }
        last.import(&root).unwrap();
        assert_eq!(first.keyset(), last.keyset());
        let replaced = first.root().status != snakeoil::root().status;
        let floor = first.root().floors.keyset == 2;
        // A list stays where only its keyset went: what it revokes stays revoked.
        assert_eq!(last.status().is_some(), !replaced);
        assert_eq!(first.status().is_some(), !replaced && !floor);
    }
}

#[test]
fn the_signed_floor_is_the_newest_time_that_is_still_trusted() {
    let mut state = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    assert_eq!(state.signed_floor(), START);
    taken(&mut state, &keyset(1));
    assert_eq!(state.signed_floor(), START.plus(30 * DAY));
    let far = UnixTime::MAX.minus(9);
    let thief = Status {
        this_update: far,
        next_update: far.plus(1),
        hard_expiry: far.plus(2),
        ..list(1, None)
    };
    taken(&mut state, &sign_list(&thief));
    assert_eq!(state.signed_floor(), far);
    taken(&mut state, &next(|root| root.status = new_role()));
    assert_eq!(state.signed_floor(), START.plus(30 * DAY));
}

#[test]
fn a_keyset_under_a_root_to_come_waits_for_it() {
    let mut keyset = snakeoil::keyset();
    keyset.root_version = 2;
    let keyset = Seed::Keyset.sign(&keyset.unsigned());
    let mut state = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    refused(&mut state, &keyset, "root-too-old");
    taken(&mut state, &next(|_| {}));
    taken(&mut state, &keyset);
}

#[test]
fn documents_of_one_kind_are_nothing_under_another() {
    let documents = [
        ("keyset", Seed::Keyset.sign(&snakeoil::keyset().unsigned())),
        (
            "catalog",
            Seed::Keyset.sign(&snakeoil::catalog().unsigned()),
        ),
        ("status", Seed::Status.sign(&snakeoil::status().unsigned())),
        ("root", snakeoil::anchor()),
    ];
    let mut state = snakeoil::trust();
    for (kind, document) in &documents {
        for (other, _) in documents.iter().filter(|(other, _)| other != kind) {
            let head = u8::try_from(0x60 + other.len()).unwrap();
            let rest = &document[2 + kind.len()..];
            let renamed = [&[0x83, head], other.as_bytes(), rest].concat();
            refused(&mut state, &renamed, "signatures-missing");
        }
    }
}

#[test]
fn sizes_are_bounded_before_any_signature() {
    let mut state = snakeoil::trust();
    for kind in DocumentKind::ALL {
        let name = kind.name().as_bytes();
        let mut huge = [&[0x83, 0x60 + u8::try_from(name.len()).unwrap()], name].concat();
        huge.resize(kind.size_limit() + 1, 0);
        refused(&mut state, &huge, "document-too-large");
        huge.pop();
        refused(&mut state, &huge, "document-envelope");
    }
}

/// A license key in every state, beside the states' windows.
#[test]
fn a_keyset_orders_its_keys_and_knows_no_key_twice() {
    let entry = |seed: Seed| LicenseKey {
        key: seed.public(),
        state: KeyState::Staged,
        scope: Scope::default(),
    };
    let make = |seeds: &[Seed]| {
        let keys = seeds.iter().map(|seed| entry(*seed)).collect();
        Keyset::new("issuer".into(), 1, START, 1, keys)
    };
    let one = make(&[Seed::License, Seed::Retired, Seed::Foreign]).unwrap();
    let other = make(&[Seed::Foreign, Seed::License, Seed::Retired]).unwrap();
    assert_eq!(one, other);
    assert_eq!(
        one.key(Seed::Retired.id()).unwrap().key,
        Seed::Retired.public()
    );
    assert_eq!(one.key(Seed::Root.id()), None);
    assert!(make(&[Seed::License, Seed::License]).is_err());
}
