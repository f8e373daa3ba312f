//! The objects that transcripts verify are those of the test vectors and of `keys/demo`.

use std::fs;

use serde_json::Value;

use crate::run::repository;

/// Files of `verify.in` and the vectors whose tokens they hold.
const TOKENS: [(&str, &str); 12] = [
    ("announced-key", "license/key-staged"),
    ("bound", "license/valid-machine"),
    ("cut-short", "token/cut-in-signature"),
    ("foreign-key", "signature/role-keyset"),
    ("license", "license/valid-balanced-fresh"),
    ("lost-key", "license/key-revoked"),
    ("needs-newer", "license/minimum-keyset"),
    ("no-grace", "license/expired"),
    ("not-yet", "license/not-before"),
    ("old-key", "license/key-retired-after-window"),
    ("other-issuer", "license/issuer-other"),
    ("other-product", "license/product-other"),
];

fn vector(name: &str) -> Value {
    let path = repository().join(format!("tests/vectors/{name}.json"));
    let vector: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    vector["check"]["token"].clone()
}

#[test]
fn tokens_are_those_of_the_vectors() {
    for (file, name) in TOKENS {
        let found = fs::read_to_string(format!("tests/cmd/verify.in/{file}.txt")).unwrap();
        let expected = vector(name)["token"].as_str().unwrap().to_owned();
        assert_eq!(found, format!("{expected}\n"), "{file}.txt is not {name}");
    }
}

#[test]
fn the_changed_token_differs_in_one_character() {
    let read = |file: &str| fs::read_to_string(format!("tests/cmd/verify.in/{file}.txt")).unwrap();
    let (changed, license) = (read("changed"), read("license"));
    let differing = changed.chars().zip(license.chars()).filter(|(a, b)| a != b);
    assert_eq!((differing.count(), changed.len()), (1, license.len()));
}

#[test]
fn documents_are_those_of_the_demo_and_the_vectors() {
    for folder in ["trust", "revoked", "switched-off"] {
        for file in ["root-1.phi", "keyset.phi", "catalog-demo-app.phi"] {
            let found = fs::read(format!("tests/cmd/verify.in/{folder}/{file}")).unwrap();
            let expected = fs::read(repository().join("keys/demo").join(file)).unwrap();
            assert!(
                found == expected,
                "{folder}/{file} is not that of keys/demo"
            );
        }
    }
    for (folder, name) in [
        ("revoked", "license/revoked-license"),
        ("switched-off", "license/valid-feature-disabled"),
    ] {
        let found = fs::read(format!("tests/cmd/verify.in/{folder}/status.phi")).unwrap();
        let expected = vector(name)["trust"]["imports"][1].clone();
        let digits = expected.as_str().unwrap().as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        assert!(
            digits.map(byte).eq(found),
            "{folder}/status.phi is not that of {name}"
        );
    }
}
