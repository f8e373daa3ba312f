//! What a wrong clock, or someone who sets it, can do (rows C1 to C5).

use phi_tests::snakeoil::{self, DAY, MACHINE, NOW, PRODUCT, START, Seed, key, role, sign_all};
use phi_verify::{
    ClockReset, ClockVerdict, InstallationId, License, RevocationPolicy, Root, SIGNED_LEAD, Status,
    TrustState, UnixTime, Verifier,
};

/// The time of the snakeoil keyset, the newest that is signed.
const SIGNED: UnixTime = START.plus(30 * DAY);
const DOOMSDAY: UnixTime = START.plus(73 * 365 * DAY);

fn trust() -> TrustState {
    snakeoil::trust().with_installation(MACHINE)
}

fn verify(trust: &TrustState, now: UnixTime) -> Result<License, phi_verify::Error> {
    let token = Seed::License.mint(&snakeoil::claims());
    Verifier::new(trust, PRODUCT, RevocationPolicy::Lenient).verify(&token, now)
}

/// Shows the state a clock that is ahead for as many days as it takes to be believed.
fn ahead(trust: &mut TrustState, from: UnixTime) {
    for day in 0..3 {
        trust.observe(from.plus(day * DAY));
    }
    assert_eq!(trust.observed_floor(), Some(from.plus(2 * DAY)));
}

fn reset(nonce: u8) -> ClockReset {
    ClockReset {
        nonce: [nonce; 16],
        ..snakeoil::clock_reset()
    }
}

fn signed(reset: &ClockReset) -> Vec<u8> {
    Seed::Status.sign(&reset.unsigned())
}

/// Applies a reset that must be refused with this code and leave no trace.
#[track_caller]
fn refused(trust: &mut TrustState, document: &[u8], now: UnixTime, code: &str) {
    let before = trust.clone();
    let error = trust.reset_clock(document, now).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert_eq!(*trust, before, "a refused reset left a trace");
}

#[test]
fn c1_a_clock_set_back_is_tolerated_refused_or_overruled() {
    set_back_less_than_a_day();
    set_back_more_than_a_day();
    before_the_build_the_build_counts();
    before_the_signed_floor_the_floor_counts();
}

fn set_back_less_than_a_day() {
    let mut trust = trust();
    ahead(&mut trust, NOW.minus(2 * DAY));
    assert_eq!(trust.observe(NOW.minus(DAY)), ClockVerdict::Plausible);
    assert!(verify(&trust, NOW.minus(DAY)).is_ok());
}

fn set_back_more_than_a_day() {
    let mut trust = trust();
    ahead(&mut trust, NOW.minus(2 * DAY));
    let back = NOW.minus(DAY + 1);
    assert_eq!(
        trust.observe(back),
        ClockVerdict::RolledBack {
            observed: NOW,
            lasting: 0
        }
    );
    let error = verify(&trust, back).unwrap_err();
    assert_eq!(error.code(), "clock-rolled-back");
    // What is remembered does not fall by it, and the right time is good at once.
    assert_eq!(trust.observed_floor(), Some(NOW));
    assert!(verify(&trust, NOW).is_ok());
}

fn before_the_build_the_build_counts() {
    let built = snakeoil::claims().expires.unwrap().plus(14 * DAY);
    let trust = trust().built_at(built);
    assert_eq!(trust.effective_time(NOW), built);
    // The license was over when the application was built, whatever the clock shows.
    assert_eq!(verify(&trust, NOW).unwrap_err().code(), "expired");
    let early = trust.built_at(built.minus(1));
    let license = verify(&early, NOW).unwrap();
    let floor = built.minus(1);
    assert_eq!(license.clock(), ClockVerdict::BehindSignature { floor });
}

fn before_the_signed_floor_the_floor_counts() {
    let mut trust = trust();
    let license = verify(&trust, NOW).unwrap();
    trust.remember(&license).unwrap();
    let issued = snakeoil::claims().issued_at;
    assert_eq!(trust.signed_floor(), issued);
    assert_eq!(trust.effective_time(UnixTime::EPOCH), issued);
    let license = verify(&trust, UnixTime::EPOCH).unwrap();
    let floor = issued;
    assert_eq!(license.clock(), ClockVerdict::BehindSignature { floor });
}

#[test]
fn c2_a_clock_in_2099_that_is_corrected_locks_nobody_out() {
    let mut trust = trust();
    trust.observe(SIGNED.plus(DAY));
    assert_eq!(trust.observe(DOOMSDAY), ClockVerdict::Doubted { days: 1 });
    assert_eq!(verify(&trust, DOOMSDAY).unwrap_err().code(), "expired");
    // Through a restart in the middle.
    let anchor = snakeoil::anchor();
    let mut trust = TrustState::from_bytes(&anchor, &trust.to_bytes())
        .unwrap()
        .trust;
    assert_eq!(
        trust.observe(DOOMSDAY.plus(DAY)),
        ClockVerdict::Doubted { days: 2 }
    );
    let right = SIGNED.plus(16 * DAY);
    assert_eq!(trust.observe(right), ClockVerdict::Plausible);
    assert_eq!(trust.observed_floor(), Some(right));
    assert!(verify(&trust, right).is_ok());
    // What agreed before the correction counts for nothing after it.
    assert_eq!(
        trust.observe(DOOMSDAY.plus(2 * DAY)),
        ClockVerdict::Doubted { days: 1 }
    );
}

#[test]
fn three_days_that_agree_are_believed_and_reset_by_the_issuer() {
    let mut trust = trust();
    ahead(&mut trust, DOOMSDAY);
    assert_eq!(verify(&trust, NOW).unwrap_err().code(), "clock-rolled-back");
    let mut by_token = trust.clone();
    by_token.reset_clock(&signed(&reset(1)), NOW).unwrap();
    assert!(verify(&by_token, NOW).is_ok());
    let list = Seed::Status.sign(&snakeoil::status().unsigned());
    trust.import(&list).unwrap();
    assert!(verify(&trust, NOW).is_ok());
    // The same list once more is no news.
    ahead(&mut trust, DOOMSDAY);
    trust.import(&list).unwrap();
    assert_eq!(verify(&trust, NOW).unwrap_err().code(), "clock-rolled-back");
}

#[test]
fn c3_a_reset_that_is_not_for_here_and_now_is_refused() {
    for_another_installation();
    used_twice();
    that_is_over();
    kept_until_the_clock_has_run_for_longer();
    signed_by_another_role();
}

fn for_another_installation() {
    let other = ClockReset {
        installation: InstallationId::from_bytes([7; 16]),
        ..reset(1)
    };
    refused(&mut trust(), &signed(&other), NOW, "installation-mismatch");
    let mut nameless = snakeoil::trust();
    refused(
        &mut nameless,
        &signed(&reset(1)),
        NOW,
        "installation-mismatch",
    );
}

fn used_twice() {
    let mut trust = trust();
    trust.reset_clock(&signed(&reset(1)), NOW).unwrap();
    refused(&mut trust, &signed(&reset(1)), NOW, "clock-reset-used");
    // Not even after a restart, nor with the clock set back.
    let anchor = snakeoil::anchor();
    let mut again = TrustState::from_bytes(&anchor, &trust.to_bytes())
        .unwrap()
        .trust;
    refused(&mut again, &signed(&reset(1)), NOW, "clock-reset-used");
    refused(&mut again, &signed(&reset(1)), START, "clock-reset-used");
    trust.reset_clock(&signed(&reset(2)), NOW).unwrap();
}

fn that_is_over() {
    let end = reset(1).not_after;
    refused(
        &mut trust(),
        &signed(&reset(1)),
        end.plus(1),
        "clock-reset-expired",
    );
    trust().reset_clock(&signed(&reset(1)), end).unwrap();
    // The signed floor counts where the clock is set back.
    let over = ClockReset {
        not_after: SIGNED.minus(1),
        ..reset(1)
    };
    refused(&mut trust(), &signed(&over), START, "clock-reset-expired");
}

/// Good for a week, kept for a year: what it may forget it names.
fn kept_until_the_clock_has_run_for_longer() {
    let mut trust = trust();
    let week = reset(1);
    for hour in 0..24 * 6 {
        trust.observe(NOW.plus(hour * 3600));
    }
    trust
        .clone()
        .reset_clock(&signed(&week), NOW.plus(6 * DAY))
        .unwrap();
    for hour in 24 * 6..24 * 355 {
        trust.observe(NOW.plus(hour * 3600));
    }
    let back = NOW.plus(DAY);
    refused(&mut trust, &signed(&week), back, "clock-reset-outlived");
    // Not even for a machine that once showed the end of the century, which a reset named.
    ahead(&mut trust, DOOMSDAY);
    let list = Seed::Status.sign(&snakeoil::status().unsigned());
    trust.import(&list).unwrap();
    refused(&mut trust, &signed(&week), back, "clock-reset-outlived");
    assert_eq!(
        verify(&trust, back).unwrap_err().code(),
        "clock-rolled-back"
    );
}

fn signed_by_another_role() {
    for seed in [
        Seed::Root,
        Seed::Keyset,
        Seed::Ledger,
        Seed::License,
        Seed::Foreign,
    ] {
        let document = seed.sign(&reset(1).unsigned());
        refused(&mut trust(), &document, NOW, "signatures-missing");
    }
    // Another kind's bytes under the right key.
    let list = Seed::Status.sign(&snakeoil::status().unsigned());
    refused(&mut trust(), &list, NOW, "document-kind");
}

#[test]
fn used_resets_are_bounded_and_a_newer_list_lets_go_of_them() {
    let mut trust = trust();
    for nonce in 0..64 {
        trust.reset_clock(&signed(&reset(nonce)), NOW).unwrap();
    }
    refused(
        &mut trust,
        &signed(&reset(64)),
        NOW,
        "clock-resets-too-many",
    );
    let list = Status {
        this_update: NOW.plus(8 * DAY),
        next_update: NOW.plus(30 * DAY),
        hard_expiry: NOW.plus(30 * DAY),
        ..snakeoil::status()
    };
    trust.import(&Seed::Status.sign(&list.unsigned())).unwrap();
    let later = ClockReset {
        not_after: NOW.plus(9 * DAY),
        ..reset(64)
    };
    trust.reset_clock(&signed(&later), NOW).unwrap();
    refused(&mut trust, &signed(&reset(1)), NOW, "clock-reset-expired");
}

/// A status list that a thief signed, as late as there is time.
fn thief() -> Status {
    Status {
        this_update: UnixTime::MAX.minus(2),
        next_update: UnixTime::MAX.minus(1),
        hard_expiry: UnixTime::MAX,
        ..snakeoil::status()
    }
}

#[test]
fn c4_a_time_far_in_the_future_is_capped_and_undone() {
    a_status_moves_the_clock_no_further_than_the_cap();
    a_reset_is_capped_and_undone_by_a_list();
    a_license_counts_until_its_key_is_revoked();
}

fn a_status_moves_the_clock_no_further_than_the_cap() {
    let mut trust = trust();
    trust
        .import(&Seed::Status.sign(&thief().unsigned()))
        .unwrap();
    assert_eq!(trust.signed_floor(), SIGNED.plus(SIGNED_LEAD));
    // The root takes the status key away, and with it what the thief gained.
    let new = key(22);
    let root = Root {
        version: 2,
        status: role(std::slice::from_ref(&new), 1),
        ..snakeoil::root()
    };
    trust.import(&Seed::Root.sign(&root.unsigned())).unwrap();
    assert_eq!(trust.signed_floor(), SIGNED);
    assert!(verify(&trust, NOW).is_ok());
    let list = sign_all(&snakeoil::status().unsigned(), &[new]);
    trust.import(&list).unwrap();
    assert_eq!(trust.signed_floor(), snakeoil::status().this_update);
}

fn a_reset_is_capped_and_undone_by_a_list() {
    let mut trust = trust();
    let far = ClockReset {
        not_after: UnixTime::MAX,
        to: Some(UnixTime::MAX),
        ..reset(1)
    };
    trust.reset_clock(&signed(&far), NOW).unwrap();
    assert_eq!(trust.observed_floor(), Some(SIGNED.plus(SIGNED_LEAD)));
    let list = Seed::Status.sign(&snakeoil::status().unsigned());
    trust.import(&list).unwrap();
    assert_eq!(trust.observed_floor(), None);
    assert!(verify(&trust, NOW).is_ok());
}

fn a_license_counts_until_its_key_is_revoked() {
    let mut trust = trust();
    let claims = phi_verify::Claims {
        issued_at: DOOMSDAY,
        expires: None,
        grace: 0,
        ..snakeoil::claims()
    };
    let token = Seed::License.mint(&claims);
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let license = verifier.verify(&token, DOOMSDAY).unwrap();
    trust.remember(&license).unwrap();
    assert_eq!(trust.signed_floor(), SIGNED.plus(SIGNED_LEAD));
    let keyset = snakeoil::keyset();
    let keys = keyset.keys().iter().cloned().map(|mut entry| {
        if entry.key.id() == Seed::License.id() {
            entry.state = phi_verify::KeyState::Revoked { cut: None };
        }
        entry
    });
    let issuer = keyset.issuer.clone();
    let revoking = phi_verify::Keyset::new(issuer, 2, SIGNED.plus(DAY), 1, keys.collect());
    let revoking = Seed::Keyset.sign(&revoking.unwrap().unsigned());
    trust.import(&revoking).unwrap();
    assert_eq!(trust.signed_floor(), SIGNED.plus(DAY));
}

/// Documented and not found out: everything on the machine says that it is the day before. What
/// helps is outside it, such as a counter in a TPM, or news: a list is as new as it is.
#[test]
fn c5_a_machine_put_back_with_its_clock_is_not_noticed() {
    let anchor = snakeoil::anchor();
    let mut trust = trust();
    let early = SIGNED.plus(20 * DAY);
    trust.observe(early);
    let snapshot = trust.to_bytes();
    let late = snakeoil::claims().expires.unwrap().plus(14 * DAY);
    ahead(&mut trust, late);
    let expired = verify(&trust, late.plus(2 * DAY)).unwrap_err();
    assert_eq!(expired.code(), "expired");
    let mut restored = TrustState::from_bytes(&anchor, &snapshot).unwrap().trust;
    assert_eq!(restored.observe(early), ClockVerdict::Plausible);
    assert!(verify(&restored, early).is_ok());
    // With the clock put back and not the state, it is.
    assert!(matches!(
        trust.clock(early),
        ClockVerdict::RolledBack { .. }
    ));
}
