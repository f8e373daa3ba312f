//! Full lists and deltas: what stands in them, and which of them are taken after which. What they
//! may not leave out is in `missing.rs`, what they say of a token in `verdicts.rs`.

use phi_verify::{DocumentKind, Form, ListId, Status};

use super::{Check, Outcome, Trust, Vectors, base, documents::taken};
use crate::{
    hex,
    item::Item,
    snakeoil::{self, DAY, Seed},
    snapshots::{Make, Minted, Snapshot, bloom, cascade, exact, ribbon},
};

pub(super) fn add(vectors: &mut Vectors) {
    sections(vectors);
    fields(vectors);
    imports(vectors);
    floors(vectors);
    bundles(vectors);
}

const FORMS: [(&str, Make); 4] = [
    ("exact", exact),
    ("bloom", bloom),
    ("cascade", cascade),
    ("ribbon", ribbon),
];

/// Forty tokens of ten licenses, minted before the first list.
pub(super) fn first() -> Snapshot {
    let mut first = Snapshot::first((0..40).map(|number| Minted::new(number, number / 4, 0)));
    first.revoked = ids(&first, [3, 8, 21]);
    first.dead = [first.tokens[30].license].into();
    first
}

fn ids<const N: usize>(
    snapshot: &Snapshot,
    numbers: [usize; N],
) -> std::collections::BTreeSet<phi_verify::TokenId> {
    numbers.map(|number| snapshot.tokens[number].id).into()
}

/// The first list and what comes after it: one token revoked and one not any more, one license
/// less, and ten tokens more.
pub(super) fn second() -> Snapshot {
    first().next(|next| {
        let minted = (40..50).map(|number| Minted::new(number, number / 4, 1));
        next.tokens.extend(minted);
        next.revoked = ids(next, [3, 9, 21, 44]);
        next.dead = [next.tokens[48].license].into();
    })
}

/// The full lists of both, and the delta from the one to the other.
pub(super) fn lists(make: Make) -> [Status; 3] {
    let one = first().full(None, make);
    let two = second().full(Some(&one), make);
    let delta = second().delta(&first(), &one, &two, make);
    [one, two, delta]
}

pub(super) fn sign(status: &Status) -> Vec<u8> {
    Seed::Status.sign(&status.unsigned())
}

/// The state of anchor, keyset and these lists.
pub(super) fn state(lists: &[&Status]) -> Trust {
    let lists: Vec<_> = lists.iter().map(|list| sign(list)).collect();
    let keyset = base::keyset();
    let imports = [&keyset].into_iter().chain(&lists).map(Vec::as_slice);
    base::trust_with(&imports.collect::<Vec<_>>())
}

pub(super) fn into(lists: &[&Status], offered: &Status) -> Check {
    base::import_into(state(lists), &sign(offered))
}

pub(super) fn accept(
    vectors: &mut Vectors,
    name: &str,
    shows: &str,
    check: Check,
    outcome: Outcome,
) {
    vectors.accept(format!("delta/{name}"), shows, check, outcome);
}

pub(super) fn refuse(vectors: &mut Vectors, name: &str, shows: &str, check: Check, code: &str) {
    vectors.refuse(format!("delta/{name}"), shows, check, code);
}

/// A section of every class in every form.
fn sections(vectors: &mut Vectors) {
    for (form, make) in FORMS {
        let [one, _, delta] = lists(make);
        let shows = format!("tokens and licenses, each as {form}");
        let name = format!("status/valid-sections-{form}");
        vectors.accept(name, &shows, into(&[], &one), taken(&one));
        let shows = format!("a delta that adds and removes both, each as {form}");
        let name = format!("valid-sections-{form}");
        accept(vectors, &name, &shows, into(&[&one], &delta), taken(&delta));
    }
}

fn fields(vectors: &mut Vectors) {
    let [one, two, _] = lists(exact);
    let hash = |status: &Status| Item::bytes(&status.unsigned().payload_hash());
    let named = |epoch, status| Item::Array(vec![Item::Uint(epoch), hash(status)]);
    let delta = || {
        base::status_fields()
            .with(2, Item::Uint(2))
            .with(7, hash(&two))
            .without(8)
            .with(12, named(1, &one))
    };
    let section = |class, body: &[u8]| {
        let items = vec![Item::Uint(class), Item::Uint(0), Item::bytes(body)];
        Item::Array(items)
    };
    let sections = |classes: &[u64]| {
        let sections = classes.iter().map(|class| section(*class, &[7; 8]));
        Item::Array(sections.collect())
    };
    let unrevoked = |items: Vec<Item>| {
        let unrevoked = Item::Array(items);
        base::status_fields().with(13, unrevoked)
    };
    let entry = |class, id: &[u8]| Item::Array(vec![Item::Uint(class), Item::bytes(id)]);
    let license = |id: &[u8; 8]| entry(1, id);
    let kind = |kind| {
        let items = vec![Item::Uint(0), Item::Uint(kind), Item::bytes(&[7; 8])];
        base::status_fields().with(11, Item::Array(vec![Item::Array(items)]))
    };
    for (name, shows, fields, code) in [
        (
            "salt",
            "a delta with a salt",
            delta().with(8, Item::bytes(&[7; 16])),
            "field-invalid",
        ),
        (
            "full-missing",
            "a delta that stands for no list",
            delta().without(7),
            "field-missing",
        ),
        (
            "salt-missing",
            "a full list without a salt",
            base::status_fields().without(8),
            "field-missing",
        ),
        (
            "base-same-epoch",
            "a delta to a list of its own epoch",
            delta().with(12, named(2, &one)),
            "field-invalid",
        ),
        (
            "base-newer",
            "a delta to a list that is newer",
            delta().with(12, named(3, &one)),
            "field-invalid",
        ),
        (
            "base-zero",
            "a delta to epoch 0",
            delta().with(12, named(0, &one)),
            "field-invalid",
        ),
        (
            "base-hash-cut",
            "a base hash of 31 bytes",
            {
                let base = vec![Item::Uint(1), Item::bytes(&[7; 31])];
                delta().with(12, Item::Array(base))
            },
            "field-invalid",
        ),
        (
            "sections-out-of-order",
            "classes out of order",
            delta().with(11, sections(&[2, 0])),
            "field-invalid",
        ),
        (
            "section-class-twice",
            "a class twice",
            delta().with(11, sections(&[3, 3])),
            "field-invalid",
        ),
        (
            "section-class-4",
            "a class that does not exist",
            delta().with(11, sections(&[0, 4])),
            "field-invalid",
        ),
        (
            "section-kind-4",
            "an index set, which is reserved",
            kind(4),
            "field-invalid",
        ),
        (
            "section-kind-5",
            "a kind that does not exist",
            kind(5),
            "field-invalid",
        ),
        (
            "unrevoked-empty",
            "no un-revocation, which is to be left out",
            unrevoked(Vec::new()),
            "field-invalid",
        ),
        (
            "unrevoked-twice",
            "an un-revocation twice",
            unrevoked(vec![license(&[7; 8]), license(&[7; 8])]),
            "field-invalid",
        ),
        (
            "unrevoked-out-of-order",
            "un-revocations out of order",
            unrevoked(vec![license(&[8; 8]), license(&[7; 8])]),
            "field-invalid",
        ),
        (
            "unrevoked-token",
            "an un-revocation of a token",
            unrevoked(vec![entry(0, &[7; 16])]),
            "field-invalid",
        ),
        (
            "unrevoked-customer",
            "an un-revocation of a customer, whose hash is each list's own",
            unrevoked(vec![entry(2, &[7; 16])]),
            "field-invalid",
        ),
        (
            "unrevoked-class-5",
            "an un-revocation of a class that does not exist",
            unrevoked(vec![entry(5, &[7; 8])]),
            "field-invalid",
        ),
        (
            "unrevoked-id-of-other-class",
            "a license with a key's id",
            unrevoked(vec![entry(1, &[7; 9])]),
            "field-invalid",
        ),
    ] {
        let document = base::document(DocumentKind::Status, fields.encode(), Seed::Status);
        let check = base::import_into(state(&[&one]), &document);
        refuse(vectors, name, shows, check, code);
    }
    let document = base::document(DocumentKind::Status, delta().encode(), Seed::Status);
    let check = base::import_into(state(&[&one]), &document);
    let least = Status {
        epoch: 2,
        form: Form::Delta {
            base: ListId {
                epoch: 1,
                hash: one.unsigned().payload_hash(),
            },
            full: two.unsigned().payload_hash(),
            removed: phi_verify::Sections::default(),
        },
        ..snakeoil::status()
    };
    accept(
        vectors,
        "valid-empty",
        "a delta that changes nothing",
        check,
        taken(&least),
    );
}

/// Which list is taken after which.
fn imports(vectors: &mut Vectors) {
    let [one, two, delta] = lists(cascade);
    let after = |status: &Status, days| Status {
        this_update: status.this_update.plus(days * DAY),
        ..status.clone()
    };
    let unlike = after(&two, 1);
    let third = second().next(|next| next.revoked = ids(next, [3]));
    let three = third.full(Some(&two), cascade);
    let later = third.delta(&first(), &one, &three, cascade);
    let upon_two = third.delta(&second(), &two, &three, cascade);
    let upon_unlike = third.delta(&second(), &unlike, &three, cascade);
    let forked = Status {
        form: Form::Full {
            previous: Some([9; 32]),
            salt: snakeoil::SALT,
        },
        ..three.clone()
    };
    let of = |base: &Status, full| Status {
        form: Form::Delta {
            base: ListId {
                epoch: base.epoch,
                hash: base.unsigned().payload_hash(),
            },
            full,
            removed: phi_verify::Sections::default(),
        },
        ..delta.clone()
    };
    for (name, shows, held, offered) in [
        ("valid", "a delta to the list at hand", &[&one][..], &delta),
        (
            "valid-later",
            "a later delta to the same list: it takes the place of the one before",
            &[&one, &delta],
            &later,
        ),
        (
            "valid-skipping",
            "the same without the delta before",
            &[&one],
            &later,
        ),
        (
            "valid-full-after",
            "the next full list, after the delta of the list before it",
            &[&one, &delta],
            &three,
        ),
        (
            "valid-full-of-delta",
            "the full list that the delta stands for: later deltas are to it",
            &[&one, &delta],
            &two,
        ),
        (
            "valid-upon-full-of-delta",
            "a delta to that full list",
            &[&one, &delta, &two],
            &upon_two,
        ),
    ] {
        accept(vectors, name, shows, into(held, offered), taken(offered));
    }
    let full_hash = two.unsigned().payload_hash();
    let same = of(&one, full_hash);
    for (name, shows, held, offered) in [
        (
            "valid-again",
            "the delta at hand",
            &[&one, &delta][..],
            &delta,
        ),
        (
            "valid-base-again",
            "the full list under the delta at hand",
            &[&one, &delta],
            &one,
        ),
        (
            "valid-of-list-at-hand",
            "a delta that stands for the full list at hand",
            &[&two],
            &delta,
        ),
        (
            "valid-same-list",
            "another delta of the same epoch for the same full list",
            &[&one, &delta],
            &same,
        ),
    ] {
        accept(
            vectors,
            name,
            shows,
            into(held, offered),
            Outcome::Unchanged,
        );
    }
    for (name, shows, held, offered, code) in [
        (
            "alone",
            "a delta, and no list is at hand",
            &[][..],
            &delta,
            "delta-base",
        ),
        (
            "base-older",
            "a delta to a list that is older than the one at hand",
            &[&two],
            &later,
            "delta-base",
        ),
        (
            "base-not-yet",
            "a delta to a list that is newer than the one at hand",
            &[&one],
            &upon_two,
            "delta-base",
        ),
        (
            "base-delta",
            "a delta to the list for which the delta at hand stands, which is not at hand",
            &[&one, &delta],
            &upon_two,
            "delta-base",
        ),
        (
            "base-other",
            "a delta to another list of the epoch at hand",
            &[&two],
            &upon_unlike,
            "delta-base",
        ),
        (
            "rollback",
            "a delta that is older than the one at hand",
            &[&one, &later],
            &delta,
            "rollback",
        ),
        (
            "rollback-of-full",
            "a delta that is older than the full list at hand",
            &[&one, &two, &three],
            &delta,
            "rollback",
        ),
        (
            "full-rollback",
            "a full list that is older than the delta at hand",
            &[&one, &later],
            &two,
            "rollback",
        ),
        (
            "full-equivocation",
            "another full list of the delta's epoch",
            &[&one, &delta],
            &unlike,
            "equivocation",
        ),
        (
            "equivocation",
            "a delta of the same epoch that stands for another list",
            &[&one, &delta],
            &of(&one, [9; 32]),
            "equivocation",
        ),
        (
            "equivocation-of-full",
            "a delta of the epoch at hand that stands for another list",
            &[&two],
            &of(&one, [9; 32]),
            "equivocation",
        ),
        (
            "base-equivocation",
            "another full list of the base's epoch",
            &[&one, &delta],
            &after(&one, 1),
            "equivocation",
        ),
        (
            "full-forked",
            "the next full list, after another list than the delta stands for",
            &[&one, &delta],
            &forked,
            "equivocation",
        ),
    ] {
        refuse(vectors, name, shows, into(held, offered), code);
    }
    let other_keyset = Status {
        keyset: (2, [7; 32]),
        ..delta.clone()
    };
    let shows = "a delta that names a keyset to come";
    refuse(
        vectors,
        "keyset-other",
        shows,
        into(&[&one], &other_keyset),
        "mix-and-match",
    );
    let by_thief = base::import_into(state(&[&one]), &Seed::License.sign(&delta.unsigned()));
    let shows = "a delta signed by a license key";
    refuse(
        vectors,
        "signer-license-key",
        shows,
        by_thief,
        "signatures-missing",
    );
    let other = Status {
        issuer: "other.example".into(),
        ..delta
    };
    let shows = "another issuer's delta";
    refuse(
        vectors,
        "issuer-other",
        shows,
        into(&[&one], &other),
        "issuer-mismatch",
    );
}

/// A root's floor is about the newest of the lists.
fn floors(vectors: &mut Vectors) {
    let [one, _, delta] = lists(exact);
    let mut root = snakeoil::root();
    (root.version, root.floors.status) = (2, 2);
    let root = Seed::Root.sign(&root.unsigned());
    let mut above = state(&[&one, &delta]);
    above.imports.push(hex(&root));
    let shows = "the pair stays under a floor between its epochs";
    accept(
        vectors,
        "valid-floor-between",
        shows,
        base::import_into(above.clone(), &sign(&delta)),
        Outcome::Unchanged,
    );
    let mut below = state(&[&one]);
    below.imports.push(hex(&root));
    let shows = "a delta to a list that a floor ruled out";
    refuse(
        vectors,
        "floor-above-base",
        shows,
        base::import_into(below.clone(), &sign(&delta)),
        "delta-base",
    );
    let shows = "a list below the floor, though a delta to it would be above";
    refuse(
        vectors,
        "floor-full",
        shows,
        base::import_into(below, &sign(&one)),
        "rollback",
    );
}

fn bundles(vectors: &mut Vectors) {
    let [one, _, delta] = lists(exact);
    let part = Item::Array(vec![Item::Uint(2), Item::bytes(&sign(&delta))]);
    let bundle = Item::Map(vec![(Item::Uint(0), Item::Uint(9)), (Item::Uint(3), part)]);
    let check = Check::ImportBundle {
        trust: state(&[&one]),
        bundle: hex(&bundle.encode()),
    };
    let outcome = Outcome::Imported {
        parts: vec![("status version 2".into(), "delta-in-bundle".into())],
        versions: (1, 1, 1),
    };
    let shows = "a delta in a bundle, in the place of a full list";
    vectors.accept("bundle/import-delta", shows, check, outcome);
}
