//! The trust state: what it takes after what it has. The attacks on it are in `tests/attacks/`,
//! which uses what is defined here.

use ed25519_dalek::SigningKey;
use phi_tests::snakeoil::{self, DAY, NOW, PRODUCT, START, Seed, key, role, sign_all};
use phi_verify::{
    DocumentKind, Error, Floors, Imported, KeyState, Keyset, LicenseKey, RevocationPolicy,
    RoleKeys, Root, SIGNED_LEAD, Scope, Status, TrustState, UnixTime, Verifier,
};

pub(crate) fn keys(seeds: &[u8]) -> Vec<SigningKey> {
    seeds.iter().map(|seed| key(*seed)).collect()
}

/// A root whose root role is `threshold` of these seeds.
pub(crate) fn root(version: u64, seeds: &[u8], threshold: usize) -> Root {
    Root {
        version,
        root: role(&keys(seeds), threshold),
        ..snakeoil::root()
    }
}

pub(crate) fn signed(root: &Root, signers: &[u8]) -> Vec<u8> {
    sign_all(&root.unsigned(), &keys(signers))
}

/// Imports a document that must be refused with this code and leave no trace.
#[track_caller]
pub(crate) fn refused(state: &mut TrustState, document: &[u8], code: &str) {
    let before = state.clone();
    let error = state.import(document).expect_err("the document is refused");
    assert_eq!(error.code(), code, "{error}");
    assert_eq!(*state, before, "a refused document left a trace");
}

/// Imports a document that must be taken, and taken as known the second time.
#[track_caller]
pub(crate) fn taken(state: &mut TrustState, document: &[u8]) {
    let Imported::Updated(kind) = state.import(document).expect("the document is taken") else {
        panic!("the document was known already");
    };
    let after = state.clone();
    assert_eq!(state.import(document), Ok(Imported::Unchanged(kind)));
    assert_eq!(*state, after, "an import without news changed the state");
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

pub(crate) fn keyset(version: u64) -> Vec<u8> {
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

pub(crate) fn list(epoch: u64, previous: Option<&Status>) -> Status {
    Status {
        epoch,
        form: snakeoil::full(previous.map(|status| status.unsigned().payload_hash())),
        ..snakeoil::status()
    }
}

pub(crate) fn sign_list(status: &Status) -> Vec<u8> {
    Seed::Status.sign(&status.unsigned())
}

#[test]
fn a_status_list_only_rises_and_a_refused_one_blocks_nothing() {
    let first = list(1, None);
    let second = list(2, Some(&first));
    let forged = Status {
        form: snakeoil::full(Some([9; 32])),
        ..second.clone()
    };
    let mut state = snakeoil::trust();
    taken(&mut state, &sign_list(&first));
    refused(&mut state, &sign_list(&forged), "equivocation");
    taken(&mut state, &sign_list(&second));
    refused(&mut state, &sign_list(&first), "rollback");
    let again = Status {
        hard_expiry: second.hard_expiry.plus(1),
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
pub(crate) fn next(change: impl FnOnce(&mut Root)) -> Vec<u8> {
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

/// A threshold of two that becomes one leaves one of two keys: too few of the old. So the root's
/// floor counts, and one that sets none lets old keysets in again.
#[test]
fn a_lowered_threshold_begins_at_the_roots_floor() {
    let two = Root {
        keyset: role(&keys(&[71, 72]), 2),
        ..snakeoil::root()
    };
    let by = |version, seeds: &[u8]| {
        let mut keyset = snakeoil::keyset();
        keyset.version = version;
        sign_all(&keyset.unsigned(), &keys(seeds))
    };
    for (floor, old) in [(0, Ok(())), (4, Err("rollback"))] {
        let mut state = TrustState::from_anchor(&Seed::Root.sign(&two.unsigned())).unwrap();
        taken(&mut state, &by(4, &[71, 72]));
        taken(
            &mut state,
            &next(|root| {
                root.keyset = role(&keys(&[71]), 1);
                root.floors.keyset = floor;
            }),
        );
        assert_eq!(state.keyset(), None);
        let imported = state.import(&by(1, &[71]));
        assert_eq!(imported.map(|_| ()).map_err(|error| error.code()), old);
        taken(&mut state, &by(5, &[71]));
    }
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
    assert_eq!(state.signed_floor(), START.plus(30 * DAY + SIGNED_LEAD));
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
