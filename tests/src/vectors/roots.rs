//! The fields of roots and keysets: who may sign what.

use phi_verify::{DocumentKind, Keyset};

use super::{
    Check, Vectors, base,
    documents::{refuse, taken},
};
use crate::{
    hex,
    item::{Fields, Item},
    snakeoil::{self, DAY, ISSUER, START, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    roots(vectors);
    keysets(vectors);
}

fn roots(vectors: &mut Vectors) {
    let fields = base::root_fields;
    let floors = |keyset, status| Item::Array(vec![Item::Uint(keyset), Item::Uint(status)]);
    for (name, shows, fields, code) in [
        (
            "threshold-zero",
            "a threshold of zero",
            { fields().with(6, base::role(0, &[Seed::Status])) },
            "key-threshold",
        ),
        (
            "threshold-beyond",
            "a threshold beyond the number of keys",
            { fields().with(6, base::role(2, &[Seed::Status])) },
            "key-threshold",
        ),
        (
            "threshold-2-62",
            "a threshold of 2^62",
            { fields().with(6, base::role(1 << 62, &[Seed::Status])) },
            "key-threshold",
        ),
        (
            "role-without-keys",
            "a role without keys",
            fields().with(6, base::role(1, &[])),
            { "key-threshold" },
        ),
        (
            "role-of-seventeen",
            "seventeen keys in a role",
            {
                let keys = (100..117)
                    .map(|seed| Item::bytes(&snakeoil::key(seed).verifying_key().to_bytes()));
                fields().with(
                    6,
                    Item::Array(vec![Item::Uint(1), Item::Array(keys.collect())]),
                )
            },
            "key-threshold",
        ),
        (
            "key-twice",
            "a key twice in a role",
            { fields().with(6, base::role(1, &[Seed::Status, Seed::Status])) },
            "key-duplicate",
        ),
        (
            "key-in-two-roles",
            "a key in two roles",
            { fields().with(6, base::role(1, &[Seed::Keyset])) },
            "key-in-two-roles",
        ),
        (
            "key-31-bytes",
            "a key of 31 bytes",
            {
                let role = vec![Item::Uint(1), Item::Array(vec![Item::bytes(&[1; 31])])];
                fields().with(6, Item::Array(role))
            },
            "field-invalid",
        ),
        (
            "version-zero",
            "version 0",
            fields().with(2, Item::Uint(0)),
            "field-invalid",
        ),
        (
            "role-missing",
            "no ledger role",
            fields().without(7),
            "field-missing",
        ),
        (
            "floors-none",
            "floors that set none, which are to be left out",
            { fields().with(8, floors(0, 0)) },
            "field-invalid",
        ),
        (
            "refresh-by-beyond-9999",
            "advice for a time after the year 9999",
            fields().with(9, Item::Uint(253_402_300_800)),
            "field-invalid",
        ),
        (
            "floors-of-one",
            "a floor for the keyset alone",
            { fields().with(8, Item::Array(vec![Item::Uint(1)])) },
            "field-invalid",
        ),
    ] {
        anchor(vectors, name, shows, &fields, code);
    }
    let stranger = base::document(DocumentKind::Root, fields().encode(), Seed::Foreign);
    let shows = "an anchor that its own keys did not sign";
    let check = Check::Anchor(hex(&stranger));
    vectors.refuse(
        "root/anchor-not-self-signed",
        shows,
        check,
        "signatures-missing",
    );
}

fn anchor(vectors: &mut Vectors, name: &str, shows: &str, fields: &Fields, code: &str) {
    let anchor = base::document(DocumentKind::Root, fields.encode(), Seed::Root);
    vectors.refuse(
        format!("root/{name}"),
        shows,
        Check::Anchor(hex(&anchor)),
        code,
    );
}

fn keysets(vectors: &mut Vectors) {
    let entry = |seed: Seed, values: &[u64]| {
        let values = values.iter().map(|value| Item::Uint(*value));
        base::key_entry(seed.public().as_bytes(), values)
    };
    let two =
        |first: Seed, second: Seed| Item::Array(vec![entry(first, &[0]), entry(second, &[0])]);
    let (low, high) = if Seed::License.id() < Seed::Retired.id() {
        (Seed::License, Seed::Retired)
    } else {
        (Seed::Retired, Seed::License)
    };
    let one = |values: &[u64]| Item::Array(vec![entry(Seed::License, values)]);
    let at = START.seconds();
    let Item::Map(mut odd) = entry(Seed::License, &[1, at]) else {
        unreachable!("an entry is a map")
    };
    odd.push((Item::Uint(6), Item::Uint(0)));
    for (name, shows, keys, code) in [
        (
            "keys-out-of-order",
            "keys out of the order of their ids",
            two(high, low),
            "field-invalid",
        ),
        ("key-twice", "a key twice", two(low, low), "key-duplicate"),
        (
            "staged-with-window",
            "a staged key with a window",
            one(&[0, at]),
            "field-invalid",
        ),
        (
            "active-without-window",
            "an active key without a window",
            one(&[1]),
            "field-invalid",
        ),
        (
            "active-with-end",
            "an active key with an end",
            one(&[1, at, at]),
            "field-invalid",
        ),
        (
            "retired-without-end",
            "a retired key without an end",
            one(&[2, at]),
            "field-invalid",
        ),
        (
            "retired-backward",
            "a window that ends before it begins",
            { one(&[2, at, at - 1]) },
            "field-invalid",
        ),
        (
            "revoked-with-window",
            "a revoked key with a window",
            one(&[3, at]),
            "field-invalid",
        ),
        (
            "state-4",
            "a state that does not exist",
            one(&[4]),
            "field-invalid",
        ),
        (
            "key-entry-unknown",
            "an unknown entry beside a key",
            { Item::Array(vec![Item::Map(odd)]) },
            "field-invalid",
        ),
        (
            "key-31-bytes",
            "a key of 31 bytes",
            { Item::Array(vec![base::key_entry(&[1; 31], [Item::Uint(0)])]) },
            "field-invalid",
        ),
        (
            "key-in-two-roles",
            "a license key that is the status key",
            { Item::Array(vec![entry(Seed::Status, &[0])]) },
            "key-in-two-roles",
        ),
    ] {
        let payload = base::keyset_fields().with(5, keys).encode();
        let document = base::document(DocumentKind::Keyset, payload, Seed::Keyset);
        refuse(vectors, &format!("keyset/{name}"), shows, &document, code);
    }
    for (name, shows, key, value, code) in [
        ("version-zero", "version 0", 2, 0, "field-invalid"),
        ("root-version-zero", "root version 0", 4, 0, "field-invalid"),
        (
            "root-version-ahead",
            "signed under a root to come",
            4,
            2,
            "root-too-old",
        ),
    ] {
        let payload = base::keyset_fields().with(key, Item::Uint(value)).encode();
        let document = base::document(DocumentKind::Keyset, payload, Seed::Keyset);
        refuse(vectors, &format!("keyset/{name}"), shows, &document, code);
    }
    let none = base::keyset_fields()
        .with(5, Item::Array(Vec::new()))
        .encode();
    let document = base::document(DocumentKind::Keyset, none, Seed::Keyset);
    let issued_at = START.plus(DAY);
    let keyset = Keyset::new(ISSUER.into(), 2, issued_at, 1, Vec::new());
    let keyset = keyset.expect("no key is there twice");
    let shows = "a keyset without keys: nothing is accepted under it";
    vectors.accept(
        "keyset/valid-no-keys",
        shows,
        base::import(&document),
        taken(&keyset),
    );
}
