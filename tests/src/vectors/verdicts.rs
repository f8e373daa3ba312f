//! What a full list, and a full list and a delta, say of a token: every verdict under every policy.

use phi_verify::{
    Status,
    filter::{Answer, SaltedId},
};

use super::{
    Check, Outcome, TokenCheck, Vectors, base,
    deltas::{first, lists, second, state},
    view::LicenseView,
};
use crate::{
    snakeoil::{NOW, Seed},
    snapshots::{Minted, Snapshot, bloom, cascade, exact},
};

pub(super) fn add(vectors: &mut Vectors) {
    verdicts(vectors);
    pairs(vectors);
    aggregated(vectors);
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
        let id = SaltedId::of_token(&salt, token.id);
        !snapshot.revoked.contains(&token.id) && filter.contains(id) != Answer::No
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
