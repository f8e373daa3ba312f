//! The fields of status lists and catalogs.

use phi_verify::DocumentKind;

use super::{Vectors, base, documents::refuse};
use crate::{
    item::Item,
    snakeoil::{DAY, PRODUCT, START, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    statuses(vectors);
    catalogs(vectors);
}

fn statuses(vectors: &mut Vectors) {
    let fields = base::status_fields;
    let hash = || Item::bytes(&[7; 32]);
    let list = |items: Vec<Item>| Item::Array(items);
    let section = |class: u64, kind: u64, body: &[u8]| {
        list(vec![Item::Uint(class), Item::Uint(kind), Item::bytes(body)])
    };
    let sections = |sections: Vec<Item>| fields().with(11, list(sections));
    let id = |seed: Seed| Item::bytes(seed.id().as_bytes());
    let at = |days| Item::Uint(START.plus(days * DAY).seconds());
    let rule = |entries: Vec<(u64, Item)>| {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Item::Uint(key), value));
        Item::Map(entries.collect())
    };
    let plain = |class: u64, id: Item, reason: u64| {
        rule(vec![
            (0, Item::Uint(class)),
            (1, id),
            (3, Item::Uint(reason)),
            (4, at(1)),
        ])
    };
    let license = || plain(1, Item::bytes(b"license1"), 0);
    let rules = |rules: Vec<Item>| fields().with(10, list(rules));
    let covered = |seeds: [Seed; 2]| fields().with(9, list(seeds.map(id).to_vec()));
    let (low, high) = if Seed::License.id() < Seed::Retired.id() {
        (Seed::License, Seed::Retired)
    } else {
        (Seed::Retired, Seed::License)
    };
    for (name, shows, fields) in [
        ("epoch-zero", "epoch 0", fields().with(2, Item::Uint(0))),
        (
            "next-update-at-this",
            "due when it was made",
            fields().with(4, at(60)),
        ),
        (
            "hard-expiry-before-due",
            "expired before it is due",
            fields().with(5, at(89)),
        ),
        ("keyset-version-zero", "a keyset of version 0", {
            fields().with(6, list(vec![Item::Uint(0), hash()]))
        }),
        ("keyset-hash-31-bytes", "a keyset hash of 31 bytes", {
            fields().with(6, list(vec![Item::Uint(1), Item::bytes(&[7; 31])]))
        }),
        (
            "previous-of-first",
            "a first list with a list before",
            fields().with(7, hash()),
        ),
        (
            "previous-missing",
            "a second list without the list before",
            { fields().with(2, Item::Uint(2)) },
        ),
        (
            "salt-15-bytes",
            "a salt of 15 bytes",
            fields().with(8, Item::bytes(&[7; 15])),
        ),
        (
            "covered-out-of-order",
            "covered keys out of order",
            covered([high, low]),
        ),
        ("covered-twice", "a covered key twice", covered([low, low])),
        (
            "rules-out-of-order",
            "rules out of the order of their encodings",
            { rules(vec![plain(3, id(Seed::License), 0), license()]) },
        ),
        (
            "rule-twice",
            "a rule twice",
            rules(vec![license(), license()]),
        ),
        (
            "rule-class-0",
            "a rule for one token, which a section is for",
            { rules(vec![plain(0, Item::bytes(&[7; 16]), 0)]) },
        ),
        ("rule-class-5", "a rule of a class that does not exist", {
            rules(vec![plain(5, Item::bytes(&[7; 16]), 0)])
        }),
        ("rule-reason-8", "a reason that does not exist", {
            rules(vec![plain(1, Item::bytes(b"license1"), 8)])
        }),
        ("rule-id-of-other-class", "a license rule with a key id", {
            rules(vec![plain(1, id(Seed::License), 0)])
        }),
        ("rule-customer-in-clear", "a customer by name", {
            rules(vec![plain(2, Item::text("globex"), 0)])
        }),
        ("rule-feature-4096", "a feature beyond the code space", {
            let feature = list(vec![Item::text(PRODUCT), Item::Uint(4096)]);
            rules(vec![plain(4, feature, 0)])
        }),
        ("rule-entry-unknown", "an unknown entry in a rule", {
            let entries = vec![
                (0, Item::Uint(1)),
                (1, Item::bytes(b"license1")),
                (3, Item::Uint(0)),
                (4, at(1)),
                (6, Item::Uint(0)),
            ];
            rules(vec![rule(entries)])
        }),
        (
            "section-cascade",
            "a section of a kind to come",
            sections(vec![section(0, 2, &[7; 8])]),
        ),
        (
            "section-class-2",
            "a section that removes tokens, in a full list",
            sections(vec![section(2, 0, &[7; 8])]),
        ),
        ("section-empty", "an empty list, which is to be left out", {
            sections(vec![section(0, 0, &[])])
        }),
        (
            "section-cut",
            "a prefix of seven bytes",
            sections(vec![section(0, 0, &[7; 7])]),
        ),
        ("section-out-of-order", "prefixes out of order", {
            sections(vec![section(0, 0, &[[2; 8], [1; 8]].concat())])
        }),
        (
            "section-prefix-twice",
            "a prefix twice",
            sections(vec![section(0, 0, &[7; 16])]),
        ),
        (
            "section-class-4",
            "a section of a class that does not exist",
            sections(vec![section(4, 0, &[7; 8])]),
        ),
        ("sections-two", "two sections of one class", {
            sections(vec![section(0, 0, &[1; 8]), section(0, 0, &[2; 8])])
        }),
    ] {
        let document = base::document(DocumentKind::Status, fields.encode(), Seed::Status);
        refuse(
            vectors,
            &format!("status/{name}"),
            shows,
            &document,
            "field-invalid",
        );
    }
    let cut = rule(vec![
        (0, Item::Uint(1)),
        (1, Item::bytes(b"license1")),
        (3, Item::Uint(0)),
    ]);
    let document = base::document(
        DocumentKind::Status,
        rules(vec![cut]).encode(),
        Seed::Status,
    );
    let shows = "a rule without its date";
    refuse(
        vectors,
        "status/rule-without-since",
        shows,
        &document,
        "field-missing",
    );
}

fn catalogs(vectors: &mut Vectors) {
    let fields = base::catalog_fields;
    let name = |name: &str, title: &str| {
        Item::Array(vec![Item::text(name), Item::text(title), Item::text("")])
    };
    let map = |code: u64, value: Item| Item::Map(vec![(Item::Uint(code), value)]);
    let plan = |name: &str, terms: Item| Item::Map(vec![(Item::text(name), terms)]);
    let long = "x".repeat(257);
    let flags = Item::Map(vec![
        (Item::Uint(0), name("a", "")),
        (Item::Uint(1), name("a", "")),
    ]);
    for (label, shows, fields) in [
        (
            "revision-zero",
            "revision 0",
            fields().with(3, Item::Uint(0)),
        ),
        (
            "flags-empty",
            "no flag, which is to be left out",
            fields().with(5, Item::Map(Vec::new())),
        ),
        (
            "flag-code-4096",
            "a flag beyond the code space",
            fields().with(5, map(4096, name("a", ""))),
        ),
        (
            "flag-name-empty",
            "a flag without a name",
            fields().with(5, map(0, name("", ""))),
        ),
        (
            "flag-name-twice",
            "one name for two flags",
            fields().with(5, flags),
        ),
        ("name-of-two-kinds", "one name for a flag and a limit", {
            fields().with(5, map(0, name("seats", "")))
        }),
        (
            "title-257-bytes",
            "a title of 257 bytes",
            fields().with(5, map(0, name("a", &long))),
        ),
        (
            "title-control",
            "a title with a line end",
            fields().with(5, map(0, name("a", "b\nc"))),
        ),
        ("quota-code-256", "a quota beyond the code space", {
            let quota = Item::Array(vec![name("a", ""), Item::Uint(0)]);
            fields().with(6, map(256, quota))
        }),
        ("quota-period-5", "a period that does not exist", {
            let quota = Item::Array(vec![name("a", ""), Item::Uint(5)]);
            fields().with(6, map(0, quota))
        }),
        ("limit-code-256", "a limit beyond the code space", {
            fields().with(7, map(256, name("a", "")))
        }),
        ("plan-name-empty", "a plan without a name", {
            fields().with(8, plan("", Item::Map(Vec::new())))
        }),
        ("plan-entry-unknown", "an unknown entry in a plan", {
            fields().with(8, plan("free", map(13, Item::Uint(0))))
        }),
        ("plan-flags-empty", "an empty bitmap in a plan", {
            fields().with(8, plan("free", map(10, Item::bytes(&[]))))
        }),
        ("addon-entry-unknown", "an unknown entry in an add-on", {
            fields().with(9, plan("more", map(13, Item::Uint(0))))
        }),
    ] {
        let document = base::document(DocumentKind::Catalog, fields.encode(), Seed::Keyset);
        refuse(
            vectors,
            &format!("catalog/{label}"),
            shows,
            &document,
            "field-invalid",
        );
    }
    let document = base::document(DocumentKind::Catalog, fields().encode(), Seed::Status);
    let shows = "a status key signs a catalog";
    refuse(
        vectors,
        "catalog/signer-status-key",
        shows,
        &document,
        "signatures-missing",
    );
}
