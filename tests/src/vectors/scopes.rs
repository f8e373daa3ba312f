//! What a license key may sign, and which tokens need a proof that they are in the ledger.

use phi_verify::{
    Claims, DocumentKind, FlagCode, FlagSet, KeyState, Keyset, LicenseKey, Scope, UnixTime,
};

use super::{
    Check, Outcome, TokenCheck, Vectors,
    base::{self, trust_with},
    documents::{refuse, taken},
    view::LicenseView,
};
use crate::{
    item::Item,
    log::{self, Log, sha256},
    snakeoil::{self, DAY, ISSUER, PRODUCT, START, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    good_entries(vectors);
    bad_scopes(vectors);
    bad_cuts(vectors);
    scopes(vectors);
    proofs(vectors);
}

/// A keyset of this one key, version 2.
fn keyset(seed: Seed, state: KeyState, scope: Scope) -> Keyset {
    let key = LicenseKey {
        key: seed.public(),
        state,
        scope,
    };
    Keyset::new(ISSUER.into(), 2, START.plus(DAY), 1, vec![key]).expect("one key")
}

fn signed(keyset: &Keyset) -> Vec<u8> {
    Seed::Keyset.sign(&keyset.unsigned())
}

fn flags(codes: &[u16]) -> FlagSet {
    codes.iter().copied().map(FlagCode::new).collect()
}

fn products(products: &[(&str, Option<FlagSet>)]) -> Scope {
    let products = products.iter().cloned();
    Scope {
        products: products
            .map(|(product, flags)| (product.into(), flags))
            .collect(),
        longest: None,
    }
}

fn longest(seconds: u64) -> Scope {
    Scope {
        longest: Some(seconds),
        ..Scope::default()
    }
}

const ACTIVE: KeyState = KeyState::Active { from: START };

fn good_entries(vectors: &mut Vectors) {
    let all = Scope {
        longest: Some(366 * DAY),
        ..products(&[
            ("zz", Some(flags(&[0, 7, 4095]))),
            ("aaa", None),
            ("b", Some(FlagSet::default())),
        ])
    };
    for (name, shows, keyset) in [
        (
            "valid-scope",
            "a key for three products, of which one has all flags and one has none",
            keyset(Seed::License, ACTIVE, all),
        ),
        (
            "valid-scope-longest",
            "a key for licenses of a second",
            keyset(Seed::License, ACTIVE, longest(1)),
        ),
        (
            "valid-cut",
            "a revoked key with a cut",
            keyset(
                Seed::Revoked,
                KeyState::Revoked { cut: Some(1) },
                Scope::default(),
            ),
        ),
        (
            "valid-scope-and-cut",
            "a revoked key with a scope and the last cut there is",
            keyset(
                Seed::Revoked,
                KeyState::Revoked {
                    cut: Some(u64::MAX),
                },
                longest(1),
            ),
        ),
    ] {
        let check = base::import_into(trust_with(&[]), &signed(&keyset));
        vectors.accept(format!("keyset/{name}"), shows, check, taken(&keyset));
    }
}

/// A keyset whose one key has these entries behind its key.
fn entry(entries: Vec<(u64, Item)>) -> Vec<u8> {
    let key = (0, Item::bytes(Seed::License.public().as_bytes()));
    let entries = [key].into_iter().chain(entries);
    let entries = entries.map(|(key, value)| (Item::Uint(key), value));
    let keys = Item::Array(vec![Item::Map(entries.collect())]);
    let payload = base::keyset_fields().with(5, keys).encode();
    base::document(DocumentKind::Keyset, payload, Seed::Keyset)
}

fn map(entries: Vec<(u64, Item)>) -> Item {
    let entries = entries.into_iter();
    Item::Map(
        entries
            .map(|(key, value)| (Item::Uint(key), value))
            .collect(),
    )
}

fn bad_scopes(vectors: &mut Vectors) {
    let active = |scope: Item| {
        let from = Item::Uint(START.seconds());
        entry(vec![(1, Item::Uint(1)), (2, from), (4, scope)])
    };
    let of_flags = |flags: Item| {
        let products = Item::Map(vec![(Item::text(PRODUCT), flags)]);
        active(map(vec![(0, products)]))
    };
    let codes = |codes: &[u64]| Item::Array(codes.iter().copied().map(Item::Uint).collect());
    for (name, shows, document) in [
        (
            "scope-empty",
            "a scope without bounds, which is to be left out",
            active(map(Vec::new())),
        ),
        (
            "scope-without-products",
            "an empty map of products",
            active(map(vec![(0, Item::Map(Vec::new()))])),
        ),
        (
            "scope-longest-zero",
            "a longest validity of zero",
            active(map(vec![(1, Item::Uint(0))])),
        ),
        (
            "scope-unknown-entry",
            "an unknown entry in a scope",
            active(map(vec![(1, Item::Uint(1)), (2, Item::Uint(1))])),
        ),
        (
            "scope-array",
            "a scope that is no map",
            active(Item::Array(vec![Item::Uint(1)])),
        ),
        (
            "scope-product-empty",
            "a product without a name",
            active(map(vec![(
                0,
                Item::Map(vec![(Item::text(""), Item::Bool(true))]),
            )])),
        ),
        (
            "scope-flags-false",
            "flags that are neither a list nor true",
            of_flags(Item::Bool(false)),
        ),
        (
            "scope-flags-out-of-order",
            "flags out of order",
            of_flags(codes(&[1, 0])),
        ),
        ("scope-flag-twice", "a flag twice", of_flags(codes(&[1, 1]))),
        (
            "scope-flag-4096",
            "a flag beyond the code space",
            of_flags(codes(&[4096])),
        ),
    ] {
        let name = format!("keyset/{name}");
        refuse(vectors, &name, shows, &document, "field-invalid");
    }
    let shows = "null, which no object has, for every flag";
    let null = of_flags(Item::Raw(vec![0xf6]));
    let name = "keyset/scope-flags-null";
    refuse(vectors, name, shows, &null, "cbor-forbidden-type");
}

fn bad_cuts(vectors: &mut Vectors) {
    let time = || Item::Uint(START.seconds());
    let state = |state: u64, rest: Vec<(u64, Item)>| {
        let mut entries = vec![(1, Item::Uint(state))];
        entries.extend(rest);
        entry(entries)
    };
    for (name, shows, document) in [
        (
            "cut-zero",
            "a cut of zero, which is to be left out",
            state(3, vec![(5, Item::Uint(0))]),
        ),
        (
            "cut-of-active",
            "a cut of an active key",
            state(1, vec![(2, time()), (5, Item::Uint(1))]),
        ),
        (
            "cut-of-retired",
            "a cut of a retired key",
            state(2, vec![(2, time()), (3, time()), (5, Item::Uint(1))]),
        ),
        (
            "cut-of-staged",
            "a cut of a staged key",
            state(0, vec![(5, Item::Uint(1))]),
        ),
        (
            "cut-with-window",
            "a revoked key with a cut and a window",
            state(3, vec![(2, time()), (5, Item::Uint(1))]),
        ),
    ] {
        let name = format!("keyset/{name}");
        refuse(vectors, &name, shows, &document, "field-invalid");
    }
}

/// A license under a key of this scope.
fn under(scope: Scope, claims: &Claims) -> TokenCheck {
    TokenCheck {
        trust: trust_with(&[&signed(&keyset(Seed::License, ACTIVE, scope))]),
        ..base::token_check(&Seed::License.mint(claims))
    }
}

fn scopes(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let lasts = (365 + 14) * DAY;
    let earlier = Claims {
        not_before: Some(claims.issued_at.minus(DAY)),
        ..claims.clone()
    };
    let later = Claims {
        not_before: Some(claims.issued_at.plus(DAY)),
        ..claims.clone()
    };
    let perpetual = Claims {
        expires: None,
        grace: 0,
        ..claims.clone()
    };
    let without_flags = Claims {
        terms: phi_verify::Terms {
            flags: FlagSet::default(),
            ..claims.terms.clone()
        },
        ..claims.clone()
    };
    for (name, shows, scope, claims) in [
        (
            "valid-scope-product",
            "a product that the key may sign for",
            products(&[("other", None), (PRODUCT, None)]),
            &claims,
        ),
        (
            "valid-scope-flags",
            "no flag but those that the key may grant",
            products(&[(PRODUCT, Some(flags(&[0, 1, 2, 3])))]),
            &claims,
        ),
        (
            "valid-scope-no-flags",
            "no flag under a key that may grant none",
            products(&[(PRODUCT, Some(FlagSet::default()))]),
            &without_flags,
        ),
        (
            "valid-scope-longest",
            "a license that lasts, with its grace, as long as it may",
            longest(lasts),
            &claims,
        ),
        (
            "valid-scope-longest-later",
            "a license that begins later is measured from its issue",
            longest(lasts),
            &later,
        ),
        (
            "valid-scope-perpetual",
            "a perpetual license under a key whose scope has no longest validity",
            products(&[(PRODUCT, None)]),
            &perpetual,
        ),
    ] {
        let check = Check::Token(under(scope, claims));
        vectors.accept(
            format!("license/{name}"),
            shows,
            check,
            base::license(claims),
        );
    }
    for (name, shows, scope, claims) in [
        (
            "scope-product",
            "a product that the key may not sign for",
            products(&[("demo-apq", None)]),
            &claims,
        ),
        (
            "scope-flag",
            "a flag that the key may not grant",
            products(&[(PRODUCT, Some(flags(&[0, 2, 3])))]),
            &claims,
        ),
        (
            "scope-longest",
            "a license that lasts, with its grace, a second longer than it may",
            longest(lasts - 1),
            &claims,
        ),
        (
            "scope-longest-earlier",
            "a license that begins before its issue is measured from its beginning",
            longest(lasts),
            &earlier,
        ),
        (
            "scope-longest-perpetual",
            "a perpetual license under a key with a longest validity",
            longest(u64::MAX),
            &perpetual,
        ),
    ] {
        let check = Check::Token(under(scope, claims));
        vectors.refuse(format!("license/{name}"), shows, check, "key-scope");
    }
    order(vectors);
}

/// Two checks fail at once: the scope stands behind the window and before the minimum.
fn order(vectors: &mut Vectors) {
    let early = Claims {
        issued_at: START.minus(1),
        ..snakeoil::claims()
    };
    let check = under(products(&[("other", None)]), &early);
    vectors.refuse(
        "license/order-window-scope",
        "outside the window and the scope",
        Check::Token(check),
        "key-outside-window",
    );
    let ahead = Claims {
        minimum: phi_verify::Minimum {
            keyset: 9,
            status: 0,
        },
        ..snakeoil::claims()
    };
    let mut check = under(products(&[("other", None)]), &ahead);
    check.proofs = Some("required".into());
    vectors.refuse(
        "license/order-scope-proof",
        "beyond the scope and without a proof",
        Check::Token(check),
        "key-scope",
    );
    let mut check = under(Scope::default(), &ahead);
    check.proofs = Some("required".into());
    vectors.refuse(
        "license/order-proof-minimum",
        "without a proof, and in need of a newer keyset",
        Check::Token(check),
        "proof-needed",
    );
}

/// A log of five entries, of which the fourth minted this token.
fn log_of(token: &str) -> Log {
    let mut log = Log::sample();
    let subject = sha256(&[token.as_bytes()]);
    log.0[3] = log::leaf("token-minted", Some(subject), log::entry(4));
    log
}

/// A token under a revoked key with this cut.
fn cut_at(cut: u64, claims: &Claims) -> TokenCheck {
    let state = KeyState::Revoked { cut: Some(cut) };
    let keyset = keyset(Seed::Revoked, state, Scope::default());
    TokenCheck {
        trust: trust_with(&[&signed(&keyset)]),
        ..base::token_check(&Seed::Revoked.mint(claims))
    }
}

fn proofs(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let token = Seed::Revoked.mint(&claims);
    let proof = || log_of(&token).proof(3, 5);
    let with = |check: TokenCheck, proof: String| TokenCheck {
        proof: Some(proof),
        ..check
    };
    let required = |check: TokenCheck| TokenCheck {
        proofs: Some("required".into()),
        ..check
    };
    let plain = Seed::License.mint(&claims);
    let by_revoked = Outcome::License(LicenseView::of_claims(&claims, Seed::Revoked.id()));
    // The thief's time of issue is before all windows: what counts is the place in the log.
    let ancient = Claims {
        issued_at: UnixTime::EPOCH,
        ..claims.clone()
    };
    let ancient_token = Seed::Revoked.mint(&ancient);
    for (name, shows, check, outcome) in [
        (
            "valid-cut-before",
            "under a revoked key, at index 3 of the log, the cut being 4",
            with(cut_at(4, &claims), proof()),
            by_revoked,
        ),
        (
            "valid-cut-any-time",
            "a key with a cut has no window",
            with(cut_at(4, &ancient), log_of(&ancient_token).proof(3, 5)),
            Outcome::License(LicenseView::of_claims(&ancient, Seed::Revoked.id())),
        ),
        (
            "valid-proof-required",
            "a proof that the application asks for",
            with(
                required(base::token_check(&plain)),
                log_of(&plain).proof(3, 5),
            ),
            base::license(&claims),
        ),
        (
            "valid-proof-not-asked-for",
            "a proof of another token that nobody asks for",
            with(base::token_check(&plain), proof()),
            base::license(&claims),
        ),
        (
            "valid-proof-not-looked-at",
            "a text that is no proof, for which nobody asks",
            with(base::token_check(&plain), "none".into()),
            base::license(&claims),
        ),
    ] {
        vectors.accept(
            format!("license/{name}"),
            shows,
            Check::Token(check),
            outcome,
        );
    }
    let other_role = {
        let text = log_of(&token).checkpoint_text(5);
        let line = log::signature_line(&text, log::ORIGIN, &Seed::Revoked.signing_key());
        let good = proof();
        let (head, _) = good.split_once("\n\n").expect("an empty line");
        format!("{head}\n\n{text}\n{line}")
    };
    for (name, shows, check, code) in [
        (
            "cut-without-proof",
            "under a revoked key with a cut, without a proof",
            cut_at(4, &claims),
            "proof-needed",
        ),
        (
            "cut-at",
            "at the index of the cut",
            with(cut_at(3, &claims), proof()),
            "proof-after-cut",
        ),
        (
            "cut-after",
            "after the cut",
            with(cut_at(1, &claims), proof()),
            "proof-after-cut",
        ),
        (
            "cut-other-token",
            "with the proof of another token",
            with(cut_at(4, &claims), log_of(&plain).proof(3, 5)),
            "not-included",
        ),
        (
            "cut-other-index",
            "with an index that was changed",
            with(
                cut_at(3, &claims),
                proof().replacen("index 3", "index 2", 1),
            ),
            "not-included",
        ),
        (
            "cut-other-ledger",
            "with a checkpoint that the stolen license key signed",
            with(cut_at(4, &claims), other_role),
            "signatures-missing",
        ),
        (
            "cut-no-proof-text",
            "with a text that is no proof",
            with(cut_at(4, &claims), "none".into()),
            "proof-invalid",
        ),
        (
            "proof-required-missing",
            "without a proof that the application asks for",
            required(base::token_check(&plain)),
            "proof-needed",
        ),
        (
            "proof-required-other",
            "with the proof of another token",
            with(required(base::token_check(&plain)), proof()),
            "not-included",
        ),
    ] {
        vectors.refuse(format!("license/{name}"), shows, Check::Token(check), code);
    }
    let forged = cut_at(4, &claims);
    let token = Seed::Foreign.seal(
        &phi_verify::UnsignedToken::license(Seed::Revoked.id(), &claims).expect("good claims"),
    );
    vectors.refuse(
        "license/order-signature-proof",
        "a bad signature under a key with a cut, without a proof",
        Check::Token(TokenCheck { token, ..forged }),
        "signature-invalid",
    );
}
