//! Rules that a later list lacks, keeps, or says that it took back.

use phi_verify::{
    FlagCode, KeyState, Keyset, LicenseKey, Reason, Rule, Scope, Status, Subject, UnixTime,
};

use super::{
    Vectors, base,
    deltas::{self, accept, first, into, refuse, second, sign},
    documents::taken,
};
use crate::{
    hex,
    snakeoil::{self, DAY, PRODUCT, START, Seed},
    snapshots::{cascade, exact},
};

/// Rules that a later list lacks, keeps, or says that it took back.
pub(super) fn add(vectors: &mut Vectors) {
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
        let mut trust = deltas::state(&[&one]);
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
