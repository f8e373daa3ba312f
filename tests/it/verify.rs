//! The checks of a license token, one case each, at the public boundary.

use phi_tests::snakeoil::{self, DAY, NOW, PRODUCT, START, Seed};
use phi_verify::{
    Binding, Claims, ClockPolicy, ClockVerdict, Error, Fingerprint, FlagCode, Freshness, License,
    Minimum, Reason, RevocationPolicy, Rule, RuleClass, Sections, Status, Subject, TrustState,
    UnixTime, Validity, Verifier,
};

fn verify_with(trust: &TrustState, token: &str, now: UnixTime) -> Result<License, Error> {
    Verifier::new(trust, PRODUCT, RevocationPolicy::Lenient).verify(token, now)
}

fn verify(claims: &Claims) -> Result<License, Error> {
    verify_with(&snakeoil::trust(), &Seed::License.mint(claims), NOW)
}

/// The code of the error with which the token is refused.
#[track_caller]
fn check(result: Result<License, Error>, code: &str) {
    assert_eq!(result.expect_err("the token is refused").code(), code);
}

fn trust_with(status: &Status) -> TrustState {
    let mut trust = snakeoil::trust();
    trust
        .import(&Seed::Status.sign(&status.unsigned()))
        .unwrap();
    trust
}

fn rule(subject: Subject) -> Rule {
    Rule {
        subject,
        issued_before: None,
        reason: Reason::Refund,
        since: START,
        ends: None,
    }
}

#[test]
fn a_license_is_read_as_it_was_minted() {
    let claims = snakeoil::claims();
    let license = verify(&claims).unwrap();
    assert_eq!(license.claims(), &claims);
    assert_eq!(license.plan(), "pro");
    assert!(license.has(FlagCode::new(2)));
    assert!(!license.has(FlagCode::new(3)));
    assert_eq!(license.validity(), Validity::Valid);
    assert_eq!(license.revocation().freshness, Freshness::Missing);
}

#[test]
fn keys_sign_only_in_their_state_and_window() {
    let mut claims = snakeoil::claims();
    let trust = snakeoil::trust();
    for (seed, code) in [
        (Seed::Foreign, "unknown-key"),
        (Seed::Staged, "key-not-active"),
        (Seed::Revoked, "key-revoked"),
        (Seed::Retired, "key-outside-window"),
        (Seed::Root, "unknown-key"),
    ] {
        check(verify_with(&trust, &seed.mint(&claims), NOW), code);
    }
    claims.issued_at = START.plus(DAY);
    check(verify(&claims), "key-outside-window");
    assert!(verify_with(&trust, &Seed::Retired.mint(&claims), NOW).is_ok());
}

#[test]
fn time_is_judged_by_the_second() {
    let claims = snakeoil::claims();
    let token = Seed::License.mint(&claims);
    let trust = snakeoil::trust();
    let expires = claims.expires.unwrap();
    let ends = expires.plus(claims.grace);
    assert_eq!(
        verify_with(&trust, &token, expires.minus(1))
            .unwrap()
            .validity(),
        Validity::Valid
    );
    let grace = Validity::Grace {
        expired: expires,
        ends,
    };
    assert_eq!(
        verify_with(&trust, &token, expires).unwrap().validity(),
        grace
    );
    assert_eq!(
        verify_with(&trust, &token, ends.minus(1))
            .unwrap()
            .validity(),
        grace
    );
    check(verify_with(&trust, &token, ends), "expired");
    let begins = claims.issued_at;
    check(
        verify_with(&trust, &token, begins.minus(301)),
        "not-yet-valid",
    );
    assert!(verify_with(&trust, &token, begins.minus(300)).is_ok());
}

#[test]
fn a_clock_that_is_behind_a_signature_is_overruled() {
    let token = Seed::License.mint(&snakeoil::claims());
    let trust = trust_with(&snakeoil::status());
    let floor = trust.signed_floor();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Balanced);
    let verdict = |now| verifier.verify(&token, now).unwrap().clock();
    assert_eq!(verdict(floor.minus(DAY)), ClockVerdict::Plausible);
    let behind = ClockVerdict::BehindSignature { floor };
    assert_eq!(verdict(floor.minus(DAY + 1)), behind);
    assert_eq!(verdict(UnixTime::EPOCH), behind);
}

/// What a clock showed before is held against it, as far as the application says.
#[test]
fn a_clock_that_was_set_back_is_judged_by_policy() {
    let token = Seed::License.mint(&snakeoil::claims());
    let mut trust = trust_with(&snakeoil::status());
    trust.observe(NOW);
    let verify = |trust: &TrustState, policy, now| {
        Verifier::new(trust, PRODUCT, RevocationPolicy::Balanced)
            .with_clock_policy(policy)
            .verify(&token, now)
    };
    let back = NOW.minus(2 * DAY);
    check(verify(&trust, ClockPolicy::Deny, back), "clock-rolled-back");
    let license = verify(&trust, ClockPolicy::Warn, back).unwrap();
    let verdict = |lasting| ClockVerdict::RolledBack {
        observed: NOW,
        lasting,
    };
    assert_eq!(license.clock(), verdict(0));
    let grace = ClockPolicy::Grace { seconds: 3 * DAY };
    assert!(verify(&trust, grace, back).is_ok());
    // What counts is how long it runs like that, however often it is set back.
    assert_eq!(trust.observe(back), verdict(0));
    let further = back.minus(30 * DAY);
    assert_eq!(trust.observe(further), verdict(0));
    assert_eq!(trust.observe(further.plus(DAY)), verdict(DAY));
    assert_eq!(trust.observe(further), verdict(DAY));
    assert_eq!(trust.observe(further.plus(DAY)), verdict(2 * DAY));
    assert!(verify(&trust, grace, further.plus(DAY)).is_ok());
    let later = further.plus(2 * DAY);
    check(verify(&trust, grace, later), "clock-rolled-back");
    // A clock that is right again is believed at once, and the grace comes back slowly.
    assert_eq!(trust.observe(further.plus(DAY)), verdict(2 * DAY));
    assert_eq!(trust.observe(NOW), ClockVerdict::Plausible);
    trust.observe(NOW.plus(DAY));
    let lasting = 2 * DAY - DAY / 12;
    let observed = NOW.plus(DAY);
    let verdict = ClockVerdict::RolledBack { observed, lasting };
    assert_eq!(trust.observe(back), verdict);
}

#[test]
fn a_bound_license_needs_enough_of_its_machine() {
    let machine = |parts: &[&str]| {
        parts
            .iter()
            .fold(Fingerprint::new(PRODUCT), |machine, part| {
                machine.with("part", part)
            })
    };
    let mut claims = snakeoil::claims();
    claims.binding = Some(Binding::new(&machine(&["a", "b", "c"]), 2).unwrap());
    check(verify(&claims), "machine-unknown");
    let (trust, token) = (snakeoil::trust(), Seed::License.mint(&claims));
    let on = |parts: &[&str]| {
        let machine = machine(parts);
        Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient)
            .on_machine(&machine)
            .verify(&token, NOW)
    };
    assert!(on(&["c", "a", "z"]).is_ok());
    check(on(&["a", "y", "z"]), "machine-mismatch");
    let elsewhere = Fingerprint::new("other")
        .with("part", "a")
        .with("part", "b");
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    check(
        verifier.on_machine(&elsewhere).verify(&token, NOW),
        "machine-mismatch",
    );
}

#[test]
fn issuer_product_and_trust_must_fit() {
    let mut claims = snakeoil::claims();
    claims.issuer = "other.example".into();
    check(verify(&claims), "issuer-mismatch");
    let mut claims = snakeoil::claims();
    claims.product = "other".into();
    check(verify(&claims), "product-mismatch");
    let mut claims = snakeoil::claims();
    claims.minimum = Minimum {
        keyset: 1,
        status: 0,
    };
    assert!(verify(&claims).is_ok());
    claims.minimum.status = 1;
    check(verify(&claims), "stale-trust");
    claims.minimum = Minimum {
        keyset: 2,
        status: 0,
    };
    check(verify(&claims), "stale-trust");
    let bare = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    check(
        verify_with(&bare, &Seed::License.mint(&claims), NOW),
        "keyset-missing",
    );
}

#[test]
fn what_is_revoked_is_refused_under_every_policy() {
    let claims = snakeoil::claims();
    let token = Seed::License.mint(&claims);
    let list = snakeoil::status();
    let customer = list.customer_hash(&claims.customer);
    let subjects = [
        (Subject::License(claims.license_id), RuleClass::License),
        (Subject::Customer(customer), RuleClass::Customer),
        (Subject::Key(Seed::License.id()), RuleClass::Key),
    ];
    for (subject, class) in subjects {
        let trust = trust_with(&Status {
            rules: vec![rule(subject)],
            ..list.clone()
        });
        for policy in [
            RevocationPolicy::Strict,
            RevocationPolicy::Balanced,
            RevocationPolicy::Lenient,
        ] {
            // However old the list is: what it revokes stays revoked.
            let result = Verifier::new(&trust, PRODUCT, policy).verify(&token, NOW.plus(200 * DAY));
            assert_eq!(
                result,
                Err(Error::Revoked {
                    class,
                    reason: Reason::Refund
                })
            );
        }
    }
    let revoked = Sections::exact(&list.salt(), [claims.token_id]);
    let trust = trust_with(&Status { revoked, ..list });
    check(verify_with(&trust, &token, NOW), "revoked");
}

#[test]
fn a_cutoff_spares_what_was_issued_after_it() {
    let claims = snakeoil::claims();
    let mut list = snakeoil::status();
    let rule = rule(Subject::License(claims.license_id));
    for (cutoff, revoked) in [(claims.issued_at, false), (claims.issued_at.plus(1), true)] {
        list.rules = vec![Rule {
            issued_before: Some(cutoff),
            ..rule.clone()
        }];
        let result = verify_with(&trust_with(&list), &Seed::License.mint(&claims), NOW);
        assert_eq!(result.is_err(), revoked);
    }
}

#[test]
fn a_revoked_feature_is_off_and_the_license_lives_on() {
    let feature = |product: &str| rule(Subject::Feature(product.into(), FlagCode::new(1)));
    let mut list = snakeoil::status();
    list.rules = vec![feature(PRODUCT), feature("other")];
    let license = verify_with(
        &trust_with(&list),
        &Seed::License.mint(&snakeoil::claims()),
        NOW,
    )
    .unwrap();
    assert!(!license.has(FlagCode::new(1)) && license.has(FlagCode::new(2)));
    assert_eq!(
        license.revocation().disabled.iter().collect::<Vec<_>>(),
        [FlagCode::new(1)]
    );
}

#[test]
fn policies_judge_freshness_and_coverage() {
    use RevocationPolicy::{Balanced, Lenient, Strict};
    let list = snakeoil::status();
    let (none, held) = (snakeoil::trust(), trust_with(&list));
    let verdict = |trust: &TrustState, policy, now, claims: &Claims| {
        let result = Verifier::new(trust, PRODUCT, policy).verify(&Seed::License.mint(claims), now);
        result.map_or_else(|error| error.code(), |_| "accepted")
    };
    let known = snakeoil::claims();
    let mut unknown = snakeoil::claims();
    unknown.mint_epoch = 1;
    let mut demanding = snakeoil::claims();
    demanding.max_status_age = Some(5 * DAY);
    let (due, end) = (list.next_update, list.hard_expiry);
    for (policy, expected) in [
        (
            Strict,
            [
                "status-missing",
                "accepted",
                "status-too-old",
                "status-too-old",
                "not-covered",
            ],
        ),
        (
            Balanced,
            [
                "status-missing",
                "accepted",
                "accepted",
                "status-too-old",
                "accepted",
            ],
        ),
        (
            Lenient,
            ["accepted", "accepted", "accepted", "accepted", "accepted"],
        ),
    ] {
        let found = [
            verdict(&none, policy, NOW, &known),
            verdict(&held, policy, due.minus(1), &known),
            verdict(&held, policy, due, &known),
            verdict(&held, policy, end, &known),
            verdict(&held, policy, NOW, &unknown),
        ];
        assert_eq!(found, expected, "{policy:?}");
        assert_eq!(verdict(&held, policy, NOW, &demanding), "status-too-old");
        assert_eq!(verdict(&none, policy, NOW, &demanding), "status-missing");
    }
}
