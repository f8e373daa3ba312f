//! What is judged after a license decodes: for whom, under which key, when, where, and whether it
//! was revoked.

use phi_verify::{
    Binding, Claims, Fingerprint, FlagCode, Freshness, Minimum, Reason, Rule, Sections, Status,
    Subject, UnixTime,
};

use super::{Check, Machine, Outcome, TokenCheck, Trust, Vectors, base, view::LicenseView};
use crate::snakeoil::{self, DAY, NOW, PRODUCT, START, Seed};

pub(super) fn add(vectors: &mut Vectors) {
    audience(vectors);
    keys(vectors);
    time(vectors);
    clock(vectors);
    machine(vectors);
    minimum(vectors);
    rules(vectors);
    tokens(vectors);
    policies(vectors);
    order(vectors);
}

/// A case of this area, changed by each function that needs it otherwise.
fn case(claims: &Claims) -> TokenCheck {
    base::token_check(&Seed::License.mint(claims))
}

fn view(claims: &Claims) -> LicenseView {
    LicenseView::of_claims(claims, Seed::License.id())
}

fn accept(vectors: &mut Vectors, name: &str, shows: &str, case: TokenCheck, view: LicenseView) {
    let outcome = Outcome::License(view);
    vectors.accept(
        format!("license/{name}"),
        shows,
        Check::Token(case),
        outcome,
    );
}

fn refuse(vectors: &mut Vectors, name: &str, shows: &str, case: TokenCheck, code: &str) {
    vectors.refuse(format!("license/{name}"), shows, Check::Token(case), code);
}

fn audience(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let other = Claims {
        issuer: "other.example".into(),
        ..claims.clone()
    };
    let shows = "another issuer's name under a trusted key";
    refuse(
        vectors,
        "issuer-other",
        shows,
        case(&other),
        "issuer-mismatch",
    );
    let other = Claims {
        product: "demo-apq".into(),
        ..claims.clone()
    };
    let shows = "a license of another product";
    refuse(
        vectors,
        "product-other",
        shows,
        case(&other),
        "product-mismatch",
    );
    let other = Claims {
        product: "Demo-App".into(),
        ..claims
    };
    let shows = "a product in other letters: names are compared byte by byte";
    refuse(
        vectors,
        "product-case",
        shows,
        case(&other),
        "product-mismatch",
    );
}

fn keys(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    for (name, shows, seed, code) in [
        (
            "key-staged",
            "a key that is announced only",
            Seed::Staged,
            "key-not-active",
        ),
        (
            "key-revoked",
            "a key that the keyset revokes",
            Seed::Revoked,
            "key-revoked",
        ),
        (
            "key-retired-after-window",
            "issued after the key retired",
            Seed::Retired,
            "key-outside-window",
        ),
    ] {
        let case = base::token_check(&seed.mint(&claims));
        refuse(vectors, name, shows, case, code);
    }
    let active_from = START.plus(30 * DAY);
    let issued = |issued_at| Claims {
        issued_at,
        ..snakeoil::claims()
    };
    let early = issued(active_from.minus(1));
    let shows = "issued a second before the key was active";
    refuse(
        vectors,
        "key-before-window",
        shows,
        case(&early),
        "key-outside-window",
    );
    let shows = "issued in the key's first second";
    let first = issued(active_from);
    accept(
        vectors,
        "valid-key-first-second",
        shows,
        case(&first),
        view(&first),
    );
    let retired = |claims: &Claims| base::token_check(&Seed::Retired.mint(claims));
    let shows = "issued in the last second of a key that retired";
    let view = LicenseView::of_claims(&early, Seed::Retired.id());
    accept(vectors, "valid-key-retired", shows, retired(&early), view);
    let shows = "issued in the second in which the key retired";
    refuse(
        vectors,
        "key-retired-at-end",
        shows,
        retired(&first),
        "key-outside-window",
    );
    let bare = TokenCheck {
        trust: base::trust_with(&[]),
        ..case(&claims)
    };
    let shows = "no keyset was imported";
    refuse(vectors, "keyset-missing", shows, bare, "keyset-missing");
}

fn time(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let at = |now: UnixTime| TokenCheck {
        now: now.seconds(),
        ..case(&claims)
    };
    let expires = claims.expires.expect("a year");
    let ends = expires.plus(claims.grace);
    let grace = LicenseView {
        grace: Some((expires.seconds(), ends.seconds())),
        ..view(&claims)
    };
    let shows = "the last second before the expiry";
    accept(
        vectors,
        "valid-last-second",
        shows,
        at(expires.minus(1)),
        view(&claims),
    );
    accept(
        vectors,
        "valid-grace",
        "the second of the expiry",
        at(expires),
        grace.clone(),
    );
    let shows = "the last second of grace";
    accept(
        vectors,
        "valid-grace-last-second",
        shows,
        at(ends.minus(1)),
        grace,
    );
    refuse(
        vectors,
        "grace-over",
        "the second in which grace ends",
        at(ends),
        "expired",
    );
    let strict = Claims {
        grace: 0,
        ..claims.clone()
    };
    let case_strict = TokenCheck {
        now: expires.seconds(),
        ..case(&strict)
    };
    refuse(
        vectors,
        "expired",
        "the second of the expiry, without grace",
        case_strict,
        "expired",
    );
    let begins = claims.issued_at;
    let shows = "five minutes before the beginning: the leeway for clocks that disagree";
    accept(
        vectors,
        "valid-leeway",
        shows,
        at(begins.minus(300)),
        view(&claims),
    );
    let shows = "a second more than five minutes before the beginning";
    refuse(
        vectors,
        "not-yet-valid",
        shows,
        at(begins.minus(301)),
        "not-yet-valid",
    );
    let later = Claims {
        not_before: Some(NOW.plus(301)),
        ..claims.clone()
    };
    let shows = "issued already, and beginning later";
    refuse(vectors, "not-before", shows, case(&later), "not-yet-valid");
    let endless = Claims {
        grace: u64::MAX,
        expires: Some(UnixTime::MAX),
        ..claims.clone()
    };
    let last = TokenCheck {
        now: UnixTime::MAX.seconds(),
        ..case(&endless)
    };
    let shows = "the end of grace is bounded by the year 9999: at its last second it is over";
    refuse(vectors, "grace-bounded", shows, last, "expired");
}

fn clock(vectors: &mut Vectors) {
    // A license older than the floor, so that only the clock can refuse it.
    let claims = snakeoil::claims();
    let trust = with_status(&snakeoil::status());
    let floor = snakeoil::status().this_update;
    let case = |now: UnixTime, clock: &str, observed: &[UnixTime]| TokenCheck {
        trust: trust.clone(),
        now: now.seconds(),
        clock: clock.into(),
        observed: observed.iter().map(|time| time.seconds()).collect(),
        ..case(&claims)
    };
    let fresh = LicenseView {
        freshness: "fresh".into(),
        verdict: Some("good".into()),
        ..view(&claims)
    };
    let (back, doomsday) = (NOW.minus(DAY + 1), NOW.plus(70 * 365 * DAY));
    let grace = format!("grace {}", 2 * DAY);
    for (name, shows, case) in [
        (
            "valid-clock-tolerance",
            "a clock a day behind the status list",
            case(floor.minus(DAY), "deny", &[]),
        ),
        (
            "valid-clock-behind-signature",
            "a clock further behind the status list, whose time counts instead",
            case(floor.minus(DAY + 1), "deny", &[]),
        ),
        (
            "valid-clock-floor",
            "a clock at 1970, judged at the time of the status list",
            case(UnixTime::EPOCH, "deny", &[]),
        ),
        (
            "valid-clock-set-back-a-day",
            "a clock a day behind what it has shown before",
            case(NOW.minus(DAY), "deny", &[NOW]),
        ),
        (
            "valid-clock-rolled-back-warn",
            "a clock that was set back by over a day, of which the application warns",
            case(back, "warn", &[NOW]),
        ),
        (
            "valid-clock-rolled-back-grace",
            "a clock that was set back less than two days ago, under two days of grace",
            case(back.minus(DAY).plus(1), &grace, &[NOW, back.minus(2 * DAY)]),
        ),
        (
            "valid-clock-corrected",
            "a clock that was 70 years ahead once, and was corrected",
            case(NOW, "deny", &[doomsday]),
        ),
    ] {
        accept(vectors, name, shows, case, fresh.clone());
    }
    let shows = "a clock that was set back by a day and a second";
    let check = case(back, "deny", &[NOW]);
    refuse(
        vectors,
        "clock-rolled-back",
        shows,
        check,
        "clock-rolled-back",
    );
    let shows = "a clock that was set back two days ago, under two days of grace";
    let check = case(back, &grace, &[NOW, back.minus(2 * DAY), back.minus(DAY)]);
    let name = "clock-rolled-back-grace-over";
    refuse(vectors, name, shows, check, "clock-rolled-back");
    let shows = "a clock that was set back twice for a day each, under two days of grace";
    let again = [NOW, back.minus(DAY), back, back.minus(DAY)];
    let check = case(back, &grace, &again);
    let name = "clock-rolled-back-again";
    refuse(vectors, name, shows, check, "clock-rolled-back");
    let short = Claims {
        expires: Some(floor),
        grace: 0,
        ..claims.clone()
    };
    let shows = "a license that expired when the status list was made, at a clock behind it";
    let check = TokenCheck {
        token: Seed::License.mint(&short),
        ..case(floor.minus(DAY), "deny", &[])
    };
    refuse(vectors, "clock-behind-expiry", shows, check, "expired");
}

fn machine(vectors: &mut Vectors) {
    let parts = |product: &str, values: &[&str]| Machine {
        product: product.into(),
        components: values
            .iter()
            .map(|value| ("part".into(), (*value).into()))
            .collect(),
    };
    let bound_to = ["a", "b", "c"].iter();
    let machine = bound_to.fold(Fingerprint::new(PRODUCT), |machine, value| {
        machine.with("part", value)
    });
    let binding = Some(Binding::new(&machine, 2).expect("two of three"));
    let claims = Claims {
        binding,
        ..snakeoil::claims()
    };
    let on = |machine: Option<Machine>| TokenCheck {
        machine,
        ..case(&claims)
    };
    let shows = "two of three components match, and two must";
    let two = on(Some(parts(PRODUCT, &["c", "a", "z"])));
    accept(vectors, "valid-machine", shows, two, view(&claims));
    let one = on(Some(parts(PRODUCT, &["a", "y", "z"])));
    refuse(
        vectors,
        "machine-one-of-two",
        "one component matches",
        one,
        "machine-mismatch",
    );
    let one = on(Some(parts(PRODUCT, &["a", "a"])));
    let shows = "one component twice counts once";
    refuse(
        vectors,
        "machine-component-twice",
        shows,
        one,
        "machine-mismatch",
    );
    let other = on(Some(parts("other", &["a", "b", "c"])));
    let shows = "the same components under another product";
    refuse(
        vectors,
        "machine-other-product",
        shows,
        other,
        "machine-mismatch",
    );
    let kind = Machine {
        product: PRODUCT.into(),
        components: vec![("disk".into(), "a".into()), ("disk".into(), "b".into())],
    };
    let shows = "the same values in components of another kind";
    refuse(
        vectors,
        "machine-other-kind",
        shows,
        on(Some(kind)),
        "machine-mismatch",
    );
    let shows = "no machine was handed in";
    refuse(
        vectors,
        "machine-unknown",
        shows,
        on(None),
        "machine-unknown",
    );
}

fn minimum(vectors: &mut Vectors) {
    let demanding = |keyset, status| Claims {
        minimum: Minimum { keyset, status },
        ..snakeoil::claims()
    };
    let shows = "a keyset version that is at hand";
    let met = demanding(1, 0);
    accept(vectors, "valid-minimum", shows, case(&met), view(&met));
    let shows = "a keyset version that is not at hand";
    refuse(
        vectors,
        "minimum-keyset",
        shows,
        case(&demanding(2, 0)),
        "stale-trust",
    );
    let shows = "a status epoch, and no status list is at hand";
    refuse(
        vectors,
        "minimum-status",
        shows,
        case(&demanding(0, 1)),
        "stale-trust",
    );
}

fn with_status(status: &Status) -> Trust {
    let status = Seed::Status.sign(&status.unsigned());
    base::trust_with(&[&base::keyset(), &status])
}

fn rule(subject: Subject) -> Rule {
    Rule {
        subject,
        issued_before: None,
        reason: Reason::Refund,
        since: START.plus(50 * DAY),
        ends: None,
    }
}

/// A case under a status list.
fn under(status: &Status, claims: &Claims) -> TokenCheck {
    TokenCheck {
        trust: with_status(status),
        ..case(claims)
    }
}

fn under_rule(rule: Rule, claims: &Claims) -> TokenCheck {
    under(
        &Status {
            rules: vec![rule],
            ..snakeoil::status()
        },
        claims,
    )
}

fn rules(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let customer = |name: &str| Subject::Customer(snakeoil::status().customer_hash(name));
    let license = || Subject::License(claims.license_id);
    for (name, shows, subject) in [
        ("revoked-license", "a rule revokes the license", license()),
        (
            "revoked-customer",
            "a rule revokes the customer",
            customer("globex"),
        ),
        (
            "revoked-key",
            "a rule revokes the key",
            Subject::Key(Seed::License.id()),
        ),
    ] {
        refuse(
            vectors,
            name,
            shows,
            under_rule(rule(subject), &claims),
            "revoked",
        );
    }
    let fresh = LicenseView {
        freshness: "fresh".into(),
        verdict: Some("good".into()),
        ..view(&claims)
    };
    let other = under_rule(rule(customer("initech")), &claims);
    let shows = "a rule revokes another customer";
    accept(vectors, "valid-revoked-other", shows, other, fresh.clone());
    let cutoff = |at| Rule {
        issued_before: Some(at),
        ..rule(license())
    };
    let spared = under_rule(cutoff(claims.issued_at), &claims);
    let shows = "a rule revokes what was issued before this token";
    accept(
        vectors,
        "valid-revoked-before",
        shows,
        spared,
        fresh.clone(),
    );
    let caught = under_rule(cutoff(claims.issued_at.plus(1)), &claims);
    let shows = "a rule revokes what was issued up to this token's second";
    refuse(vectors, "revoked-before", shows, caught, "revoked");
    let expired = TokenCheck {
        now: START.plus(400 * DAY).seconds(),
        ..under_rule(rule(license()), &claims)
    };
    let shows = "what a list revokes stays revoked after the list's hard expiry";
    refuse(
        vectors,
        "revoked-by-expired-list",
        shows,
        expired,
        "revoked",
    );
    let newer = Claims {
        mint_epoch: 1,
        ..claims.clone()
    };
    let shows = "a rule revokes a token that the list does not cover";
    refuse(
        vectors,
        "revoked-not-covered",
        shows,
        under_rule(rule(license()), &newer),
        "revoked",
    );
    let feature = |product: &str| rule(Subject::Feature(product.into(), FlagCode::new(1)));
    let shows = "a rule switches off a feature, and the license lives on without it";
    let without = LicenseView {
        disabled_flags: vec![1],
        ..fresh.clone()
    };
    let case = under_rule(feature(PRODUCT), &claims);
    accept(vectors, "valid-feature-disabled", shows, case, without);
    let shows = "a rule switches off a feature of another product";
    let case = under_rule(feature("other"), &claims);
    accept(
        vectors,
        "valid-feature-of-other-product",
        shows,
        case,
        fresh,
    );
}

fn tokens(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let list = snakeoil::status();
    let revoking = Status {
        revoked: Sections::exact(&list.salt(), [claims.token_id]),
        ..list.clone()
    };
    let shows = "the token is in the exact list";
    refuse(
        vectors,
        "revoked-token",
        shows,
        under(&revoking, &claims),
        "revoked",
    );
    let fresh = |claims: &Claims, verdict: &str| LicenseView {
        freshness: "fresh".into(),
        verdict: Some(verdict.into()),
        newer: None,
        ..view(claims)
    };
    let other = Claims {
        token_id: phi_verify::TokenId::from_bytes(*b"snakeoil token 2"),
        ..claims.clone()
    };
    let shows = "another token is in the exact list";
    accept(
        vectors,
        "valid-token-not-listed",
        shows,
        under(&revoking, &other),
        fresh(&other, "good"),
    );
    let newer = Claims {
        mint_epoch: 1,
        ..claims.clone()
    };
    let shows = "the list was made before the token and cannot speak of it";
    accept(
        vectors,
        "valid-token-not-covered",
        shows,
        under(&revoking, &newer),
        fresh(&newer, "not-covered"),
    );
    let uncovered = Status {
        covered_keys: vec![Seed::Retired.id()],
        ..revoking
    };
    let shows = "the list does not cover the key and cannot speak of its tokens";
    accept(
        vectors,
        "valid-key-not-covered",
        shows,
        under(&uncovered, &claims),
        fresh(&claims, "not-covered"),
    );
}

fn policies(vectors: &mut Vectors) {
    let claims = snakeoil::claims();
    let newer = Claims {
        mint_epoch: 1,
        ..claims.clone()
    };
    let list = snakeoil::status();
    let (due, end) = (list.next_update, list.hard_expiry);
    let listed = |claims, now: UnixTime| TokenCheck {
        now: now.seconds(),
        ..under(&list, claims)
    };
    let situations = [
        (
            "missing",
            "no list",
            case(&claims),
            ["status-missing", "status-missing", "missing"],
        ),
        (
            "fresh",
            "a fresh list",
            listed(&claims, due.minus(1)),
            ["fresh", "fresh", "fresh"],
        ),
        (
            "stale",
            "a list that is due",
            listed(&claims, due),
            ["status-too-old", "stale", "stale"],
        ),
        (
            "expired",
            "a list past its hard expiry",
            listed(&claims, end),
            { ["status-too-old", "status-too-old", "expired"] },
        ),
        (
            "not-covered",
            "a list that does not know the token",
            listed(&newer, NOW),
            { ["not-covered", "fresh", "fresh"] },
        ),
    ];
    let fresh = [
        Freshness::Fresh,
        Freshness::Stale,
        Freshness::Expired,
        Freshness::Missing,
    ];
    for (name, shows, case, verdicts) in situations {
        for (policy, verdict) in ["strict", "balanced", "lenient"].into_iter().zip(verdicts) {
            let case = TokenCheck {
                policy: policy.into(),
                ..case.clone()
            };
            let shows = format!("{shows}, under policy {policy}");
            if fresh.iter().any(|fresh| fresh.to_string() == verdict) {
                let (claims, says) = match name {
                    "missing" => (&claims, None),
                    "not-covered" => (&newer, Some("not-covered")),
                    _ => (&claims, Some("good")),
                };
                let view = LicenseView {
                    freshness: verdict.into(),
                    verdict: says.map(String::from),
                    newer: None,
                    ..view(claims)
                };
                accept(
                    vectors,
                    &format!("valid-{policy}-{name}"),
                    &shows,
                    case,
                    view,
                );
            } else {
                refuse(vectors, &format!("{policy}-{name}"), &shows, case, verdict);
            }
        }
    }
    let demanding = Claims {
        max_status_age: Some(10 * DAY),
        ..claims.clone()
    };
    let limit = list.this_update.plus(10 * DAY);
    let shows = "the second before the age that the license accepts";
    let fresh = LicenseView {
        freshness: "fresh".into(),
        verdict: Some("good".into()),
        ..view(&demanding)
    };
    accept(
        vectors,
        "valid-status-age",
        shows,
        listed(&demanding, limit.minus(1)),
        fresh,
    );
    let shows = "a list of the age that the license does not accept, under policy lenient";
    refuse(
        vectors,
        "status-age",
        shows,
        listed(&demanding, limit),
        "status-too-old",
    );
    let shows = "no list, and the license asks for one, under policy lenient";
    refuse(
        vectors,
        "status-age-missing",
        shows,
        case(&demanding),
        "status-missing",
    );
}

/// Where two things are wrong, the check that comes first speaks.
fn order(vectors: &mut Vectors) {
    let wrong = Claims {
        issuer: "other.example".into(),
        product: "other".into(),
        expires: Some(snakeoil::claims().issued_at.plus(1)),
        grace: 0,
        minimum: Minimum {
            keyset: 9,
            status: 0,
        },
        issued_at: START,
        not_before: Some(snakeoil::claims().issued_at),
        ..snakeoil::claims()
    };
    let known = snakeoil::claims();
    let product = Claims {
        issuer: known.issuer.clone(),
        ..wrong.clone()
    };
    let window = Claims {
        product: known.product.clone(),
        ..product.clone()
    };
    let stale = Claims {
        issued_at: known.issued_at,
        not_before: None,
        ..window.clone()
    };
    let revoked = Claims {
        minimum: Minimum::default(),
        ..stale.clone()
    };
    let status = Status {
        rules: vec![rule(Subject::License(known.license_id))],
        ..snakeoil::status()
    };
    for (name, shows, claims, code) in [
        ("issuer", "issuer before product", &wrong, "issuer-mismatch"),
        (
            "product",
            "product before the key's window",
            &product,
            "product-mismatch",
        ),
        (
            "window",
            "the key's window before the minimum",
            &window,
            "key-outside-window",
        ),
        ("minimum", "the minimum before time", &stale, "stale-trust"),
        ("time", "time before revocation", &revoked, "expired"),
    ] {
        refuse(
            vectors,
            &format!("order-{name}"),
            shows,
            under(&status, claims),
            code,
        );
    }
}
