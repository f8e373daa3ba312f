//! Keys: how they are read and named, and which are refused wherever they stand.

use phi_verify::DocumentKind;

use super::{
    Check, Outcome, Vectors, base,
    edge::{self, Signer},
};
use crate::{
    hex,
    item::Item,
    snakeoil::{DAY, START, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    let bad = bad_keys();
    alone(vectors, &bad);
    in_documents(vectors, &bad);
    names(vectors);
}

/// Keys that no document may hold: name, what is wrong, bytes and code.
fn bad_keys() -> [(&'static str, &'static str, [u8; 32], &'static str); 9] {
    let mixed = Signer::of_seed(Seed::License as u8).mixed().key;
    let mut minus_zero = edge::IDENTITY;
    minus_zero[31] = 0x80;
    let mut no_point = [0; 32];
    no_point[0] = 2;
    [
        ("identity", "the identity", edge::IDENTITY, "key-weak"),
        (
            "order-2",
            "a point of order 2",
            edge::of_order(2),
            "key-weak",
        ),
        (
            "order-4",
            "a point of order 4",
            edge::of_order(4),
            "key-weak",
        ),
        (
            "order-8",
            "a point of order 8",
            edge::of_order(8),
            "key-weak",
        ),
        (
            "mixed-order",
            "a good key and a point of order 8",
            mixed,
            "key-mixed-order",
        ),
        (
            "identity-non-canonical",
            "the identity written as y = p + 1",
            edge::beyond_field(1),
            "key-not-canonical",
        ),
        (
            "non-canonical",
            "y = p + 3",
            edge::beyond_field(3),
            "key-not-canonical",
        ),
        (
            "sign-of-zero",
            "x = 0 with the sign bit set",
            minus_zero,
            "key-not-canonical",
        ),
        (
            "not-a-point",
            "no point of the curve",
            no_point,
            "key-not-a-point",
        ),
    ]
}

type BadKey = (&'static str, &'static str, [u8; 32], &'static str);

fn alone(vectors: &mut Vectors, bad: &[BadKey]) {
    let good = Seed::License.public();
    let outcome = || Outcome::KeyId(good.id().to_string());
    let shows = "a key and its id: the first 9 bytes of BLAKE2b-264 over k4.pid. and its PASERK";
    vectors.accept(
        "key/valid",
        shows,
        Check::Key(hex(good.as_bytes())),
        outcome(),
    );
    let paserk = good.to_paserk();
    let shows = "a key in its PASERK form";
    vectors.accept(
        "key/valid-paserk",
        shows,
        Check::Paserk(paserk.clone()),
        outcome(),
    );
    for (name, shows, key, code) in bad {
        vectors.refuse(format!("key/{name}"), shows, Check::Key(hex(key)), code);
    }
    let mixed = Signer::of_seed(Seed::License as u8).mixed().key;
    let mixed = format!("k4.public.{}", base::base64url(&mixed));
    let shows = "a bad key in its PASERK form";
    vectors.refuse(
        "key/paserk-mixed-order",
        shows,
        Check::Paserk(mixed),
        "key-mixed-order",
    );
    let encoded = &paserk["k4.public.".len()..];
    for (name, shows, text) in [
        (
            "paserk-version",
            "another version",
            format!("k2.public.{encoded}"),
        ),
        (
            "paserk-secret",
            "another type",
            format!("k4.secret.{encoded}"),
        ),
        ("paserk-padding", "base64 padding", format!("{paserk}=")),
        (
            "paserk-short",
            "a key of 31 bytes",
            paserk[..paserk.len() - 2].into(),
        ),
        ("paserk-newline", "a line end", format!("{paserk}\n")),
    ] {
        vectors.refuse(
            format!("key/{name}"),
            shows,
            Check::Paserk(text),
            "key-not-paserk",
        );
    }
}

/// The same keys as a license key of a keyset and in a role of a root.
fn in_documents(vectors: &mut Vectors, bad: &[BadKey]) {
    for (name, shows, key, code) in bad {
        let values = [Item::Uint(1), Item::Uint(START.plus(DAY).seconds())];
        let keys = Item::Array(vec![base::key_entry(key, values)]);
        let payload = base::keyset_fields().with(5, keys).encode();
        let document = base::document(DocumentKind::Keyset, payload, Seed::Keyset);
        let path = format!("keyset/key-{name}");
        vectors.refuse(
            path,
            &format!("a keyset with {shows}"),
            base::import(&document),
            code,
        );
        let role = vec![Item::Uint(1), Item::Array(vec![Item::bytes(key)])];
        let payload = base::root_fields().with(6, Item::Array(role)).encode();
        let anchor = base::document(DocumentKind::Root, payload, Seed::Root);
        let path = format!("root/key-{name}");
        let check = Check::Anchor(hex(&anchor));
        vectors.refuse(
            path,
            &format!("a root whose status key is {shows}"),
            check,
            code,
        );
    }
}

fn names(vectors: &mut Vectors) {
    let id = Seed::License.id();
    let outcome = Outcome::Bytes(hex(id.as_bytes()));
    vectors.accept(
        "key/valid-id",
        "a key id",
        Check::KeyId(id.to_string()),
        outcome,
    );
    for (name, shows, text) in [
        (
            "id-short",
            "a key id of 11 characters",
            id.to_string()[..11].to_owned(),
        ),
        (
            "id-whole-paserk",
            "a whole PASERK id",
            format!("k4.pid.{id}"),
        ),
        (
            "id-alphabet",
            "a key id with a character of base64",
            "AAAAAAAAAAA+".into(),
        ),
        ("id-empty", "an empty key id", String::new()),
    ] {
        vectors.refuse(
            format!("key/{name}"),
            shows,
            Check::KeyId(text),
            "key-id-invalid",
        );
    }
}
