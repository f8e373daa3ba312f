//! K: keys and signatures, and how they are counted.

use ed25519_dalek::Signer as _;
use phi_tests::{
    item::{Fields, Item},
    snakeoil::{self, DAY, ISSUER, NOW, PRODUCT, START, Seed},
    vectors::malleated,
};
use phi_verify::{
    DocumentKind, KeyError, KeyId, PublicKey, RevocationPolicy, Root, TrustState, UnsignedDocument,
    UnsignedToken, Verifier,
};

use crate::trust::{refused, root, signed, taken};

fn two_of_three(version: u64) -> Root {
    root(version, &[41, 42, 43], 2)
}

fn state() -> TrustState {
    TrustState::from_anchor(&signed(&two_of_three(1), &[41, 42])).unwrap()
}

/// The document with these signatures, whoever made them.
fn sealed(document: &UnsignedDocument, signatures: &[(u8, [u8; 64])]) -> Vec<u8> {
    let id = |seed: u8| {
        let key = phi_tests::snakeoil::key(seed).verifying_key().to_bytes();
        PublicKey::from_bytes(&key).unwrap().id()
    };
    let signatures = signatures.iter().map(|(seed, bytes)| (id(*seed), *bytes));
    document.sealed(&signatures.collect::<Vec<_>>())
}

fn signature(document: &UnsignedDocument, seed: u8) -> [u8; 64] {
    snakeoil::key(seed).sign(&document.message()).to_bytes()
}

#[test]
fn k1_one_signature_many_times_is_not_a_threshold() {
    let next = two_of_three(2);
    for signers in [&[41, 41][..], &[41, 41, 41], &[43, 41, 43]] {
        refused(&mut state(), &signed(&next, signers), "signature-duplicate");
    }
}

/// Ids are computed, so one key under two ids is one key in two encodings, or listed twice.
#[test]
fn k2_one_key_under_two_names_is_refused() {
    let key = Item::bytes(Seed::License.public().as_bytes());
    let keyset = |keys: Vec<Item>| {
        let staged = |key| Item::Map(vec![(Item::Uint(0), key), (Item::Uint(1), Item::Uint(0))]);
        let keys = Item::Array(keys.into_iter().map(staged).collect());
        signed_keyset(&keyset_fields().with(5, keys))
    };
    let mut state = snakeoil::trust();
    let twice = keyset(vec![key.clone(), key.clone()]);
    refused(&mut state, &twice, "key-duplicate");
    // y = p + 1 decodes to the identity's y in readers that do not check.
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xee, 0x7f);
    let odd = keyset(vec![Item::bytes(&beyond)]);
    refused(&mut state, &odd, "key-not-canonical");
    taken(&mut state, &keyset(vec![key]));
    let same = snakeoil::root().keyset.keys().to_vec();
    let twice = phi_verify::RoleKeys::new([same.clone(), same].concat(), 1);
    assert_eq!(twice, Err(KeyError::Duplicate));
}

#[test]
fn k3_a_key_named_twice_is_refused_even_if_enough_others_signed() {
    let next = two_of_three(2);
    refused(
        &mut state(),
        &signed(&next, &[41, 42, 42]),
        "signature-duplicate",
    );
    refused(
        &mut state(),
        &signed(&next, &[41, 42, 90, 90]),
        "signature-duplicate",
    );
    let document = next.unsigned();
    let good = |seed| (seed, signature(&document, seed));
    let once_bad = sealed(&document, &[good(41), good(42), (42, [0; 64])]);
    refused(&mut state(), &once_bad, "signature-duplicate");
    taken(&mut state(), &signed(&next, &[41, 42]));
}

/// A signature that does not hold counts for nothing. One without its 64 bytes makes another
/// shape, and that no document.
#[test]
fn k4_a_bad_signature_beside_enough_good_ones_does_no_harm() {
    let document = two_of_three(2).unsigned();
    let good = |seed| (seed, signature(&document, seed));
    let one_bad = sealed(&document, &[(41, [0; 64]), good(42), good(43)]);
    taken(&mut state(), &one_bad);
    let two_bad = sealed(&document, &[(41, [0; 64]), (42, good(43).1), good(43)]);
    refused(&mut state(), &two_bad, "signatures-missing");
    let mut short = sealed(&document, &[good(42), good(43)]);
    short.pop();
    refused(&mut state(), &short, "document-envelope");
}

#[test]
fn k5_an_id_is_computed_and_never_believed() {
    let document = two_of_three(2).unsigned();
    let (first, second) = (signature(&document, 41), signature(&document, 42));
    // Good signatures, under each other's names.
    refused(
        &mut state(),
        &sealed(&document, &[(41, second), (42, first)]),
        "signatures-missing",
    );
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let claims = snakeoil::claims();
    for (id, code) in [
        (KeyId::from_bytes([7; 9]), "unknown-key"),
        (Seed::Foreign.id(), "unknown-key"),
        (Seed::Retired.id(), "signature-invalid"),
    ] {
        let token = Seed::License.seal(&UnsignedToken::license(id, &claims).unwrap());
        assert_eq!(verifier.verify(&token, NOW).unwrap_err().code(), code);
    }
}

#[test]
fn k6_edge_cases_of_the_curve_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for (key, error) in [
        (identity, KeyError::Weak),
        (minus_one, KeyError::Weak),
        ([0; 32], KeyError::Weak),
        ([0xff; 32], KeyError::NotCanonical),
    ] {
        assert_eq!(PublicKey::from_bytes(&key), Err(error), "{key:?}");
    }
    let document = two_of_three(2).unsigned();
    let (first, second) = (signature(&document, 41), signature(&document, 42));
    let larger = sealed(&document, &[(41, malleated(&first)), (42, second)]);
    refused(&mut state(), &larger, "signatures-missing");
    let mut small_order = first;
    small_order[..32].copy_from_slice(&identity);
    let small = sealed(&document, &[(41, small_order), (42, second)]);
    refused(&mut state(), &small, "signatures-missing");
    taken(
        &mut state(),
        &sealed(&document, &[(41, first), (42, second)]),
    );
}

const ROLES: [Seed; 5] = [
    Seed::Root,
    Seed::Keyset,
    Seed::Status,
    Seed::Ledger,
    Seed::License,
];

#[test]
fn k7_a_key_signs_what_its_role_signs_and_nothing_else() {
    let next = Root {
        version: 2,
        ..snakeoil::root()
    };
    let mut keyset = snakeoil::keyset();
    keyset.version = 2;
    let documents = [
        (Seed::Root, next.unsigned()),
        (Seed::Keyset, keyset.unsigned()),
        (Seed::Status, snakeoil::status().unsigned()),
        (Seed::Keyset, snakeoil::catalog().unsigned()),
    ];
    for (own, document) in &documents {
        for other in ROLES.into_iter().filter(|role| role != own) {
            let mut state = snakeoil::trust();
            refused(&mut state, &other.sign(document), "signatures-missing");
        }
        taken(&mut snakeoil::trust(), &own.sign(document));
    }
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let claims = snakeoil::claims();
    for role in [Seed::Root, Seed::Keyset, Seed::Status, Seed::Ledger] {
        let own_name = verifier.verify(&role.mint(&claims), NOW).unwrap_err();
        assert_eq!(own_name.code(), "unknown-key");
        let token = UnsignedToken::license(Seed::License.id(), &claims).unwrap();
        let other_name = verifier.verify(&role.seal(&token), NOW).unwrap_err();
        assert_eq!(other_name.code(), "signature-invalid");
    }
}

/// A keyset of version 2 without keys.
fn keyset_fields() -> Fields {
    let values = [
        Item::Uint(4),
        Item::text(ISSUER),
        Item::Uint(2),
        Item::Uint(START.plus(DAY).seconds()),
        Item::Uint(1),
        Item::Array(Vec::new()),
    ];
    let fields = (0..).zip(values);
    Fields(fields.map(|(key, item)| (Item::Uint(key), item)).collect())
}

fn document(kind: DocumentKind, payload: Vec<u8>) -> UnsignedDocument {
    UnsignedDocument::with_payload(kind, payload)
}

fn signed_keyset(fields: &Fields) -> Vec<u8> {
    Seed::Keyset.sign(&document(DocumentKind::Keyset, fields.encode()))
}

#[test]
fn k8_an_object_of_one_type_is_nothing_under_another() {
    let mut trust = snakeoil::trust();
    let claims = snakeoil::claims();
    let license = claims.encode().unwrap();
    let as_keyset = Seed::Keyset.sign(&document(DocumentKind::Keyset, license));
    refused(&mut trust, &as_keyset, "kind-mismatch");
    refused(
        &mut trust,
        Seed::License.mint(&claims).as_bytes(),
        "document-envelope",
    );
    let keyset = snakeoil::keyset().unsigned();
    let mut renamed = Seed::Keyset.sign(&keyset);
    renamed[2..8].copy_from_slice(b"status");
    refused(&mut trust, &renamed, "signatures-missing");
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let body = UnsignedToken::with_body(Seed::License.id(), &keyset_fields().encode()).unwrap();
    let as_license = verifier
        .verify(&Seed::License.seal(&body), NOW)
        .unwrap_err();
    assert_eq!(as_license.code(), "kind-mismatch");
    // A keyset's signature, by a license key that one was fooled to make, in a token.
    let signed = snakeoil::key(5).sign(&keyset.message()).to_bytes();
    let as_license = verifier.verify(&body.sealed(&signed), NOW).unwrap_err();
    assert_eq!(as_license.code(), "signature-invalid");
}

#[test]
fn k9_what_may_be_ignored_is_kept_and_what_may_not_is_refused() {
    let extended = keyset_fields().ending(Item::negative(-1), Item::text("later"));
    let unlike = keyset_fields().ending(Item::negative(-1), Item::text("other"));
    let mut state = snakeoil::trust();
    taken(&mut state, &signed_keyset(&extended));
    // It is a part of the document: another one is another document.
    refused(&mut state, &signed_keyset(&unlike), "equivocation");
    refused(&mut state, &signed_keyset(&keyset_fields()), "equivocation");
    let critical = keyset_fields()
        .with(2, Item::Uint(3))
        .with(6, Item::Uint(0));
    refused(&mut state, &signed_keyset(&critical), "field-unknown");
}

#[test]
fn k10_signatures_are_over_bytes_and_an_object_has_one_encoding() {
    let good = keyset_fields().encode();
    let swapped = {
        let mut fields = keyset_fields();
        fields.0.swap(1, 2);
        fields.encode()
    };
    let longer = keyset_fields().with(2, Item::Raw(vec![0x18, 2])).encode();
    let trailing = [&good[..], &[0]].concat();
    let unsigned = |payload: &[u8]| document(DocumentKind::Keyset, payload.to_vec());
    let signature = snakeoil::key(2).sign(&unsigned(&good).message()).to_bytes();
    let mut state = snakeoil::trust();
    for (payload, code) in [
        (swapped, "cbor-key-order"),
        (longer, "cbor-not-deterministic"),
        (trailing, "cbor-not-deterministic"),
    ] {
        let altered = unsigned(&payload).sealed(&[(Seed::Keyset.id(), signature)]);
        refused(&mut state, &altered, "signatures-missing");
        refused(&mut state, &Seed::Keyset.sign(&unsigned(&payload)), code);
    }
    taken(
        &mut state,
        &unsigned(&good).sealed(&[(Seed::Keyset.id(), signature)]),
    );
    // The same for a token: other characters are other bytes, or none.
    let token = Seed::License.mint(&snakeoil::claims());
    let verifier = Verifier::new(&state, PRODUCT, RevocationPolicy::Lenient);
    let padded = verifier.verify(&format!("{token}="), NOW).unwrap_err();
    assert_eq!(padded.code(), "token-encoding");
}
