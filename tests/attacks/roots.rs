//! R: roots, and what leads from one to the next.

use phi_tests::{
    item::Item,
    snakeoil::{self, NOW, PRODUCT, START, Seed, key, role},
};
use phi_verify::{
    Bundle, BundleBuilder, Claims, DocumentKind, Error, Imported, MAX_ROOT_CHAIN, Minimum,
    PartOutcome, RevocationPolicy, Root, TrustState, UnixTime, Verifier,
};

use super::rotations::{OF_ROOTS, Version};
use crate::trust::{refused, root, signed, taken};

/// The suite's keys are numbers; the seeds below a hundred are other tests'.
pub(super) fn seeds(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().map(|number| 100 + number).collect()
}

/// Each version of a chain after its anchor is taken or refused as the suite says, and what is in
/// force then is the last that was taken.
fn rotate(row: &str) {
    let document = |version: u64, step: &Version| {
        let root = root(version, &seeds(step.keys), step.threshold);
        signed(&root, &seeds(step.signers))
    };
    let rotations = OF_ROOTS.iter().filter(|rotation| rotation.row == row);
    let mut count = 0;
    for rotation in rotations {
        let (anchor, chain) = rotation.versions.split_first().unwrap();
        let mut state = TrustState::from_anchor(&document(1, anchor)).unwrap();
        for (version, step) in (2..).zip(chain) {
            let document = document(version, step);
            if step.taken {
                taken(&mut state, &document);
                assert_eq!(state.root().version, version, "{}", rotation.name);
            } else {
                refused(&mut state, &document, "signatures-missing");
            }
        }
        count += 1;
    }
    assert!(count > 0, "no rotation is of row {row}");
}

#[test]
fn r1_a_root_key_is_changed_by_old_and_new_and_then_by_the_new_alone() {
    rotate("R1");
}

#[test]
fn r2_signatures_of_strangers_do_no_harm() {
    rotate("R2");
}

#[test]
fn r3_any_three_of_five_may_sign_each_version() {
    rotate("R3");
}

#[test]
fn r4_keys_of_five_are_swapped_at_once_or_through_a_step_between() {
    rotate("R4");
}

#[test]
fn r5_thresholds_are_raised_and_lowered_by_enough_of_both() {
    rotate("R5");
}

#[test]
fn r6_a_root_needs_the_key_before_and_its_own() {
    rotate("R6");
}

#[test]
fn r7_a_root_needs_three_of_the_old_and_three_of_the_new() {
    rotate("R7");
}

#[test]
fn r8_a_root_needs_the_old_and_the_new_threshold() {
    rotate("R8");
}

#[test]
fn r9_a_root_is_the_very_next_or_refused() {
    let at = |version| signed(&root(version, &[41], 1), &[41]);
    let mut state = TrustState::from_anchor(&at(5)).unwrap();
    for version in [7, 8, u64::MAX] {
        refused(&mut state, &at(version), "root-gap");
    }
    for version in [1, 4] {
        refused(&mut state, &at(version), "rollback");
    }
    let unchanged = Ok(Imported::Unchanged(DocumentKind::Root));
    assert_eq!(state.import(&at(5)), unchanged);
    let other = Root {
        issued_at: START.plus(1),
        ..root(5, &[41], 1)
    };
    refused(&mut state, &signed(&other, &[41]), "equivocation");
    taken(&mut state, &at(6));
    let mut last = TrustState::from_anchor(&at(u64::MAX)).unwrap();
    refused(&mut last, &at(1), "rollback");
}

/// A bundle of these roots, under the versions that are stated.
fn chain_of(roots: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let part = |(version, root): &(u64, Vec<u8>)| {
        Item::Array(vec![Item::Uint(*version), Item::bytes(root)])
    };
    let roots = Item::Array(roots.iter().map(part).collect());
    let fields = vec![(Item::Uint(0), Item::Uint(9)), (Item::Uint(1), roots)];
    Item::Map(fields).encode()
}

fn import(state: &mut TrustState, bundle: &[u8]) -> Vec<PartOutcome> {
    let reports = state.import_bundle(&Bundle::parse(bundle).unwrap());
    reports.into_iter().map(|report| report.outcome).collect()
}

#[test]
fn r10_what_a_bundle_says_of_a_part_is_what_was_signed() {
    let at = |version| signed(&root(version, &[41], 1), &[41]);
    let mut state = TrustState::from_anchor(&at(1)).unwrap();
    let before = state.clone();
    let outcomes = import(&mut state, &chain_of(&[(3, at(2))]));
    let [PartOutcome::Refused(Error::IndexMismatch { stated, signed })] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!((stated.version, signed.version), (3, 2));
    assert_eq!(state, before);
    let outcomes = import(&mut state, &chain_of(&[(2, at(2))]));
    assert_eq!(outcomes, [PartOutcome::Updated]);
}

/// A withheld root cannot be found out offline; a license that needs what came with it says so.
#[test]
fn r11_a_chain_that_was_cut_keeps_its_last_good_step() {
    let step = |version| {
        let keys = [key(41)];
        let change = Root {
            version,
            root: role(&keys, 1),
            ..snakeoil::root()
        };
        signed(&change, &[41])
    };
    let anchor = step(1);
    let mut state = TrustState::from_anchor(&anchor).unwrap();
    let bundle = chain_of(&[(1, anchor), (2, step(2)), (4, step(4))]);
    let outcomes = import(&mut state, &bundle);
    assert_eq!(
        outcomes[..2],
        [PartOutcome::Unchanged, PartOutcome::Updated]
    );
    let gap = Error::RootGap {
        current: 2,
        offered: 4,
    };
    assert_eq!(outcomes[2], PartOutcome::Refused(gap));
    assert_eq!(state.root().version, 2);
    taken(
        &mut state,
        &Seed::Keyset.sign(&snakeoil::keyset().unsigned()),
    );
    let claims = Claims {
        minimum: Minimum {
            keyset: 2,
            status: 0,
        },
        ..snakeoil::claims()
    };
    let verifier = Verifier::new(&state, PRODUCT, RevocationPolicy::Lenient);
    let needs_newer = Error::StaleTrust {
        kind: DocumentKind::Keyset,
        current: 1,
        needed: 2,
    };
    let token = Seed::License.mint(&claims);
    assert_eq!(verifier.verify(&token, NOW), Err(needs_newer));
    let token = Seed::License.mint(&snakeoil::claims());
    assert!(verifier.verify(&token, NOW).is_ok());
    taken(&mut state, &step(3));
}

#[test]
fn r12_work_is_bounded_before_any_signature() {
    // The documents are none: whoever looked at them would say so.
    let chain = |length: u64| chain_of(&(1..=length).map(|n| (n, Vec::new())).collect::<Vec<_>>());
    let cap = MAX_ROOT_CHAIN as u64;
    assert!(Bundle::parse(&chain(cap)).is_ok());
    let error = Bundle::parse(&chain(cap + 1)).unwrap_err();
    assert_eq!(error.code(), "bundle-invalid", "{error}");
    let mut builder = BundleBuilder::new();
    for version in 1..=cap + 1 {
        let root = root(version, &[41], 1);
        builder.document(&signed(&root, &[41])).unwrap();
    }
    assert_eq!(builder.build().unwrap_err().code(), "bundle-invalid");

    let mut state = snakeoil::trust();
    let mut large = signed(&root(2, &[41], 1), &[41]);
    large.resize(DocumentKind::Root.size_limit() + 1, 0);
    refused(&mut state, &large, "document-too-large");
    // As many signatures as a status document has room for; the head says 100 000.
    let mut many = [&[0x83, 0x66], &b"status"[..], &[0x40, 0x9a]].concat();
    many.extend(100_000_u32.to_be_bytes());
    many.resize(DocumentKind::Status.size_limit(), 0);
    refused(&mut state, &many, "document-envelope");
    let root = root(2, &[41], 1);
    let seventeen: Vec<u8> = (100..117).collect();
    refused(&mut state, &signed(&root, &seventeen), "document-envelope");
}

/// A root does not expire: that it was to be replaced is said, and never held against anyone.
#[test]
fn r13_no_root_is_refused_for_its_age() {
    let dated = |version| Root {
        version,
        refresh_by: Some(START),
        ..snakeoil::root()
    };
    let sign = |root: &Root| Seed::Root.sign(&root.unsigned());
    let mut state = TrustState::from_anchor(&sign(&dated(1))).unwrap();
    taken(&mut state, &sign(&dated(2)));
    let fresh = Root {
        refresh_by: Some(UnixTime::MAX),
        ..dated(3)
    };
    taken(&mut state, &sign(&fresh));
    taken(&mut state, &sign(&dated(4)));
    taken(
        &mut state,
        &Seed::Keyset.sign(&snakeoil::keyset().unsigned()),
    );
    let claims = Claims {
        expires: None,
        grace: 0,
        ..snakeoil::claims()
    };
    let verifier = Verifier::new(&state, PRODUCT, RevocationPolicy::Lenient);
    let token = Seed::License.mint(&claims);
    assert!(verifier.verify(&token, UnixTime::MAX).is_ok());
}

#[test]
fn r14_an_anchor_that_contradicts_itself_is_refused_when_it_is_loaded() {
    let bytes = |seed: Seed| Item::bytes(seed.public().as_bytes());
    let role = |threshold: u64, seeds: &[Seed]| {
        let keys = seeds.iter().map(|seed| bytes(*seed)).collect();
        Item::Array(vec![Item::Uint(threshold), Item::Array(keys)])
    };
    let anchor = |roles: [Item; 4]| {
        let head = [
            Item::Uint(3),
            Item::text(snakeoil::ISSUER),
            Item::Uint(1),
            Item::Uint(START.seconds()),
        ];
        let fields = (0..).zip(head.into_iter().chain(roles));
        let map = Item::Map(fields.map(|(key, item)| (Item::Uint(key), item)).collect());
        let kind = DocumentKind::Root;
        Seed::Root.sign(&phi_verify::UnsignedDocument::with_payload(
            kind,
            map.encode(),
        ))
    };
    let with_root = |root: Item| {
        let rest = [Seed::Keyset, Seed::Status, Seed::Ledger].map(|seed| role(1, &[seed]));
        let [keyset, status, ledger] = rest;
        anchor([root, keyset, status, ledger])
    };
    let good = with_root(role(1, &[Seed::Root]));
    assert_eq!(good, snakeoil::anchor());
    let code = |anchor: &[u8]| TrustState::from_anchor(anchor).unwrap_err().code();
    for (root, expected) in [
        (role(0, &[Seed::Root]), "key-threshold"),
        (role(2, &[Seed::Root]), "key-threshold"),
        (role(1, &[]), "key-threshold"),
        (role(1, &[Seed::Root, Seed::Root]), "key-duplicate"),
        (role(1, &[Seed::Root, Seed::Status]), "key-in-two-roles"),
        (role(1, &[Seed::Foreign]), "signatures-missing"),
        (role(2, &[Seed::Root, Seed::Foreign]), "signatures-missing"),
    ] {
        assert_eq!(code(&with_root(root)), expected);
    }
    assert_eq!(code(&[]), "document-envelope");
    assert_eq!(code(&good[..good.len() - 1]), "document-envelope");
    let keyset = Seed::Keyset.sign(&snakeoil::keyset().unsigned());
    assert_eq!(code(&keyset), "document-kind");
    let two = root(1, &[41, 42], 2);
    assert!(TrustState::from_anchor(&signed(&two, &[41, 42])).is_ok());
    assert_eq!(code(&signed(&two, &[41])), "signatures-missing");
    assert_eq!(code(&signed(&two, &[41, 41])), "signature-duplicate");
}
