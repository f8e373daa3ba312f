//! Full lists and deltas: what stands in them, which of them are taken after which, and what a
//! pair says of a token.

use phi_verify::{
    DocumentKind, FlagCode, Form, KeyState, Keyset, LicenseKey, ListId, Reason, Rule, Scope,
    Status, Subject, UnixTime,
};

use super::{
    Check, Outcome, TokenCheck, Trust, Vectors, base, documents::taken, view::LicenseView,
};
use crate::{
    hex,
    item::Item,
    snakeoil::{self, DAY, NOW, PRODUCT, START, Seed},
    snapshots::{Make, Minted, Snapshot, bloom, cascade, exact},
};

pub(super) fn add(vectors: &mut Vectors) {
    sections(vectors);
    fields(vectors);
    imports(vectors);
    floors(vectors);
    missing(vectors);
    bundles(vectors);
    verdicts(vectors);
    pairs(vectors);
    aggregated(vectors);
}

const FORMS: [(&str, Make); 3] = [("exact", exact), ("bloom", bloom), ("cascade", cascade)];

/// Forty tokens of ten licenses, minted before the first list.
fn first() -> Snapshot {
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
fn second() -> Snapshot {
    first().next(|next| {
        let minted = (40..50).map(|number| Minted::new(number, number / 4, 1));
        next.tokens.extend(minted);
        next.revoked = ids(next, [3, 9, 21, 44]);
        next.dead = [next.tokens[48].license].into();
    })
}

/// The full lists of both, and the delta from the one to the other.
fn lists(make: Make) -> [Status; 3] {
    let one = first().full(None, make);
    let two = second().full(Some(&one), make);
    let delta = second().delta(&first(), &one, &two, make);
    [one, two, delta]
}

fn sign(status: &Status) -> Vec<u8> {
    Seed::Status.sign(&status.unsigned())
}

/// The state of anchor, keyset and these lists.
fn state(lists: &[&Status]) -> Trust {
    let lists: Vec<_> = lists.iter().map(|list| sign(list)).collect();
    let keyset = base::keyset();
    let imports = [&keyset].into_iter().chain(&lists).map(Vec::as_slice);
    base::trust_with(&imports.collect::<Vec<_>>())
}

fn into(lists: &[&Status], offered: &Status) -> Check {
    base::import_into(state(lists), &sign(offered))
}

fn accept(vectors: &mut Vectors, name: &str, shows: &str, check: Check, outcome: Outcome) {
    vectors.accept(format!("delta/{name}"), shows, check, outcome);
}

fn refuse(vectors: &mut Vectors, name: &str, shows: &str, check: Check, code: &str) {
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

/// A rule of everything that a license is.
fn rule(subject: Subject) -> Rule {
    Rule {
        subject,
        issued_before: None,
        reason: Reason::Refund,
        since: START.plus(50 * DAY),
        ends: None,
    }
}

/// Rules that a later list lacks, keeps, or says that it took back.
fn missing(vectors: &mut Vectors) {
    let license = first().tokens[12].license;
    let made = first().full(None, exact).this_update;
    let until = |issued_before: UnixTime| Rule {
        issued_before: Some(issued_before),
        ..rule(Subject::License(license))
    };
    let whole = rule(Subject::License(license));
    let ending = |ends: UnixTime| Rule {
        ends: Some(ends),
        ..whole.clone()
    };
    let feature = || Subject::Feature(PRODUCT.into(), FlagCode::new(1));
    let key = || Subject::Key(Seed::Retired.id());
    let (early, late) = (START.plus(40 * DAY), START.plus(41 * DAY));
    // The second list is made a day after the first.
    let next = made.plus(DAY);
    for (name, shows, before, after, unrevoked, good) in [
        (
            "license",
            "a license",
            whole.clone(),
            Vec::new(),
            Vec::new(),
            false,
        ),
        ("key", "a key", rule(key()), Vec::new(), Vec::new(), false),
        (
            "feature",
            "a feature",
            rule(feature()),
            Vec::new(),
            Vec::new(),
            false,
        ),
        (
            "suspension",
            "a suspension",
            Rule {
                reason: Reason::Suspended,
                ..whole.clone()
            },
            Vec::new(),
            Vec::new(),
            false,
        ),
        (
            "narrower",
            "a license, from an earlier cut-off on",
            until(late),
            vec![until(early)],
            Vec::new(),
            false,
        ),
        (
            "cut-off",
            "a license, where all of it was revoked",
            whole.clone(),
            vec![until(late)],
            Vec::new(),
            false,
        ),
        (
            "not-ended",
            "a rule that ends a second after the list is made",
            ending(next.plus(1)),
            Vec::new(),
            Vec::new(),
            false,
        ),
        (
            "other-unrevoked",
            "a license, and takes back a feature",
            whole.clone(),
            Vec::new(),
            vec![feature()],
            false,
        ),
        (
            "valid-license-unrevoked",
            "a license, and says so",
            whole.clone(),
            Vec::new(),
            vec![Subject::License(license)],
            true,
        ),
        (
            "valid-key-unrevoked",
            "a key, and says so",
            rule(key()),
            Vec::new(),
            vec![key()],
            true,
        ),
        (
            "valid-feature-unrevoked",
            "a feature, and says so",
            rule(feature()),
            Vec::new(),
            vec![feature()],
            true,
        ),
        (
            "valid-narrower-unrevoked",
            "a license in part, and says so",
            whole.clone(),
            vec![until(late)],
            vec![Subject::License(license)],
            true,
        ),
        (
            "valid-ended",
            "a rule that ends when the list is made",
            ending(next),
            Vec::new(),
            Vec::new(),
            true,
        ),
        (
            "valid-wider",
            "no rule: this one reaches further",
            until(early),
            vec![until(late)],
            Vec::new(),
            true,
        ),
        (
            "valid-widest",
            "no rule: this one has no cut-off any more",
            until(early),
            vec![whole.clone()],
            Vec::new(),
            true,
        ),
        (
            "valid-two-rules",
            "no rule: one of two reaches as far",
            until(late),
            vec![until(early), until(late)],
            Vec::new(),
            true,
        ),
        (
            "valid-customer",
            "a customer: its hash is under another salt",
            rule(Subject::Customer([7; 16])),
            Vec::new(),
            Vec::new(),
            true,
        ),
    ] {
        let one = Status {
            rules: vec![before],
            ..first().full(None, exact)
        };
        let two = Status {
            rules: after,
            unrevoked,
            ..second().full(Some(&one), exact)
        };
        let delta = Status {
            rules: two.rules.clone(),
            unrevoked: two.unrevoked.clone(),
            ..second().delta(&first(), &one, &two, exact)
        };
        for (form, offered) in [("full", &two), ("delta", &delta)] {
            let (name, shows) = (
                format!("missing-{form}-{name}"),
                format!("a later {form} list lacks {shows}"),
            );
            let name = match name.split_once("valid-") {
                Some((before, after)) => format!("valid-{before}{after}"),
                None => name,
            };
            let check = into(&[&one], offered);
            if good {
                accept(vectors, &name, &shows, check, taken(offered));
            } else {
                refuse(vectors, &name, &shows, check, "revocation-missing");
            }
        }
    }
    into_section(vectors, &whole);
    of_revoked_key(vectors);
}

/// A license that stood in a rule stands in a section now.
fn into_section(vectors: &mut Vectors, whole: &Rule) {
    let Subject::License(license) = whole.subject else {
        unreachable!("the rule is about a license");
    };
    let one = Status {
        rules: vec![whole.clone()],
        ..first().full(None, cascade)
    };
    let now = second().next(|next| {
        next.epoch = 2;
        next.dead.insert(license);
    });
    let two = now.full(Some(&one), cascade);
    let delta = now.delta(&first(), &one, &two, cascade);
    for (form, offered) in [("full", &two), ("delta", &delta)] {
        let name = format!("valid-missing-{form}-in-section");
        let shows = format!("a later {form} list has the license in its section");
        accept(
            vectors,
            &name,
            &shows,
            into(&[&one], offered),
            taken(offered),
        );
    }
}

/// A rule for a key may go once the keyset revokes the key, or does not know it.
fn of_revoked_key(vectors: &mut Vectors) {
    let keyset = |version, state: Option<KeyState>| {
        let mut keys: Vec<_> = snakeoil::keyset().keys().to_vec();
        keys.retain(|entry| entry.key.id() != Seed::Retired.id());
        keys.extend(state.map(|state| LicenseKey {
            key: Seed::Retired.public(),
            state,
            scope: Scope::default(),
        }));
        let from = START.plus(30 * DAY);
        let keyset = Keyset::new(snakeoil::ISSUER.into(), version, from, 1, keys);
        Seed::Keyset.sign(&keyset.expect("the keys differ").unsigned())
    };
    let one = Status {
        rules: vec![rule(Subject::Key(Seed::Retired.id()))],
        ..first().full(None, exact)
    };
    let two = second().full(Some(&one), exact);
    for (name, shows, state) in [
        (
            "revoked",
            "the keyset at hand revokes the key",
            Some(KeyState::Revoked { cut: None }),
        ),
        (
            "cut",
            "the keyset at hand revokes the key with a cut",
            Some(KeyState::Revoked { cut: Some(9) }),
        ),
        ("dropped", "the keyset at hand does not have the key", None),
    ] {
        let mut trust = state_of(&one);
        trust.imports.push(hex(&keyset(2, state)));
        let check = base::import_into(trust, &sign(&two));
        let shows = format!("a later list lacks a key's rule: {shows}");
        accept(
            vectors,
            &format!("valid-missing-key-{name}"),
            &shows,
            check,
            taken(&two),
        );
    }
}

fn state_of(list: &Status) -> Trust {
    state(&[list])
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

/// A case of this area: the token, under these lists.
fn asked(lists: &[&Status], token: &Minted, policy: &str) -> TokenCheck {
    TokenCheck {
        trust: state(lists),
        now: NOW.seconds(),
        policy: policy.into(),
        ..base::token_check(&Seed::License.mint(&token.claims()))
    }
}

fn judged(
    vectors: &mut Vectors,
    name: &str,
    shows: &str,
    case: TokenCheck,
    view: Result<LicenseView, &str>,
) {
    match view {
        Ok(view) => vectors.accept(
            format!("license/valid-{name}"),
            shows,
            Check::Token(case),
            Outcome::License(view),
        ),
        Err(code) => vectors.refuse(format!("license/{name}"), shows, Check::Token(case), code),
    }
}

fn good(token: &Minted, verdict: &str) -> LicenseView {
    LicenseView {
        freshness: "fresh".into(),
        verdict: Some(verdict.into()),
        newer: None,
        ..LicenseView::of_claims(&token.claims(), Seed::License.id())
    }
}

const POLICIES: [&str; 3] = ["strict", "balanced", "lenient"];

/// Every verdict under every policy.
fn verdicts(vectors: &mut Vectors) {
    let snapshot = Snapshot {
        dead: std::collections::BTreeSet::new(),
        ..first()
    };
    let list = snapshot.full(None, bloom);
    let (salt, filter) = (
        list.salt(),
        list.revoked.tokens.as_ref().expect("three tokens"),
    );
    let taken_for_one = snapshot.tokens.iter().find(|token| {
        let id = phi_verify::filter::SaltedId::of_token(&salt, token.id);
        !snapshot.revoked.contains(&token.id)
            && filter.contains(id) != phi_verify::filter::Answer::No
    });
    let probable = taken_for_one.expect("a filter of few bits errs");
    let cascaded = snapshot.full(None, cascade);
    let newer = Minted::new(99, 99, 1);
    let unseen = Minted::new(99, 99, 7);
    let of_dead = first().full(None, cascade);
    for (name, shows, list, token, verdicts) in [
        (
            "probable",
            "a Bloom filter takes the token for a revoked one",
            &list,
            probable,
            [
                Err("probably-revoked"),
                Err("probably-revoked"),
                Ok("probable"),
            ],
        ),
        (
            "probable-revoked",
            "a Bloom filter has the revoked token",
            &list,
            &snapshot.tokens[3],
            [
                Err("probably-revoked"),
                Err("probably-revoked"),
                Ok("probable"),
            ],
        ),
        (
            "cascade-good",
            "a cascade does not have the token",
            &cascaded,
            probable,
            [Ok("good"); 3],
        ),
        (
            "cascade-revoked",
            "a cascade has the token",
            &cascaded,
            &snapshot.tokens[3],
            [Err("revoked"); 3],
        ),
        (
            "cascade-not-covered",
            "a cascade was made before the token",
            &cascaded,
            &newer,
            [Err("not-covered"), Ok("not-covered"), Ok("not-covered")],
        ),
        (
            "cascade-license",
            "a cascade has the license",
            &of_dead,
            &first().tokens[30],
            [Err("revoked"); 3],
        ),
        (
            "newer-list",
            "the token was minted when there was a newer list",
            &cascaded,
            &unseen,
            [Err("not-covered"), Ok("not-covered"), Ok("not-covered")],
        ),
    ] {
        for (policy, verdict) in POLICIES.into_iter().zip(verdicts) {
            let shows = format!("{shows}, under policy {policy}");
            let view = verdict.map(|verdict| LicenseView {
                newer: Some(token.mint_epoch).filter(|epoch| *epoch > list.epoch),
                ..good(token, verdict)
            });
            judged(
                vectors,
                &format!("{policy}-{name}"),
                &shows,
                asked(&[list], token, policy),
                view,
            );
        }
    }
}

/// What a full list and a delta say of a token together, under policy strict.
fn pairs(vectors: &mut Vectors) {
    let (now, [one, _, delta]) = (second(), lists(cascade));
    let pair = [&one, &delta];
    let at = |number: usize| &now.tokens[number];
    let newer = Minted::new(99, 99, 2);
    for (name, shows, token, verdict) in [
        ("good", "neither list has the token", at(0), Ok("good")),
        (
            "stays-revoked",
            "the full list has the token, and the delta does not remove it",
            at(3),
            Err("revoked"),
        ),
        (
            "removed",
            "the full list has the token, and the delta removes it",
            at(8),
            Ok("good"),
        ),
        (
            "added",
            "the delta adds a token that the full list knows",
            at(9),
            Err("revoked"),
        ),
        (
            "new-good",
            "a token that the delta alone knows, and does not add",
            at(43),
            Ok("good"),
        ),
        (
            "new-added",
            "a token that the delta alone knows, and adds",
            at(44),
            Err("revoked"),
        ),
        (
            "license-removed",
            "the full list has the license, and the delta removes it",
            at(30),
            Ok("good"),
        ),
        (
            "license-added",
            "the delta adds a license",
            at(48),
            Err("revoked"),
        ),
        (
            "not-covered",
            "a token that was minted after the delta",
            &newer,
            Err("not-covered"),
        ),
    ] {
        let view = verdict.map(|verdict| good(token, verdict));
        judged(
            vectors,
            &format!("delta-{name}"),
            shows,
            asked(&pair, token, "strict"),
            view,
        );
    }
    let token = at(0);
    let expired = TokenCheck {
        now: delta.hard_expiry.seconds(),
        ..asked(&pair, token, "balanced")
    };
    let shows = "the delta is past its hard expiry: the full list does not take its place";
    judged(
        vectors,
        "delta-expired",
        shows,
        expired,
        Err("status-too-old"),
    );
    let short = Status {
        next_update: delta.this_update.plus(1),
        hard_expiry: delta.this_update.plus(1),
        ..delta
    };
    let expired = TokenCheck {
        now: short.hard_expiry.seconds(),
        ..asked(&[&one, &short], token, "balanced")
    };
    let shows = "a delta that expires before its base, whose time does not count any more";
    judged(
        vectors,
        "delta-expired-first",
        shows,
        expired,
        Err("status-too-old"),
    );
    let old = Status {
        next_update: one.this_update.plus(1),
        hard_expiry: one.this_update.plus(1),
        ..one
    };
    let full = second().full(Some(&old), cascade);
    let fresh = second().delta(&first(), &old, &full, cascade);
    let shows = "a fresh delta to a list that expired";
    let case = asked(&[&old, &fresh], token, "strict");
    judged(vectors, "delta-fresh", shows, case, Ok(good(token, "good")));
}

/// What several sections that may err say together.
fn aggregated(vectors: &mut Vectors) {
    let (before, now) = (first(), second());
    let one = before.full(None, bloom);
    let two = now.full(Some(&one), exact);
    let delta = now.delta(&before, &one, &two, exact);
    let lists = [&one, &delta];
    // The base has a Bloom filter, of which the delta settles what it lists.
    let at = |number: usize| &now.tokens[number];
    for (name, shows, token, verdict) in [
        (
            "bloom-base-added",
            "the delta adds the token, whatever the full list takes it for",
            at(9),
            Err("revoked"),
        ),
        (
            "bloom-base-revoked",
            "the full list probably has the token, and the delta says nothing",
            at(3),
            Err("probably-revoked"),
        ),
        (
            "bloom-base-removed",
            "the full list probably has the token, and the delta removes it",
            at(8),
            Ok("good"),
        ),
    ] {
        let view = verdict.map(|verdict| good(token, verdict));
        judged(vectors, name, shows, asked(&lists, token, "strict"), view);
    }
}
