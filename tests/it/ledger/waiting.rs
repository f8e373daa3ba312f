//! Changes that wait for their time: what may wait, what voids it, and what a wrong clock makes of
//! it.

use phi_issuer::{
    Act, Amendment, Change, ChangeRequest, Error, Happening, Issuance, Issuer, LicenseChange,
    LicenseOrder, LicenseRecord, Misfit, NewLicense, OldTokens, State,
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at},
};
use phi_verify::{Allowance, LicenseId, UnixTime};

fn day(days: u64) -> UnixTime {
    START.plus(days * DAY)
}

/// An issuer with a license that was issued on day 1 and expires on day 100.
fn licensed(folder: &tempfile::TempDir) -> (Issuer, LicenseId) {
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let order = NewLicense {
        expires: Some(day(100)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let license = issuer.issue_license(order, &at(day(1))).unwrap().id;
    (issuer, license)
}

/// Changes the license as it is, on this day, now or from another day on.
fn change(
    issuer: &mut Issuer,
    license: LicenseId,
    today: u64,
    request: ChangeRequest,
    effective: Option<u64>,
) -> Result<LicenseRecord, Error> {
    let order = LicenseOrder {
        effective: effective.map(day),
        ..LicenseOrder::new(license, issuer.license(license)?.revision, request)
    };
    let simulated = issuer.simulate_change(&order, day(today)).map(drop);
    let found = issuer.change_license(&order, &at(day(today)));
    let code = |error: &Error| error.code();
    assert_eq!(
        simulated.as_ref().err().map(code),
        found.as_ref().err().map(code)
    );
    found
}

fn seats(seats: u64) -> ChangeRequest {
    ChangeRequest::Amend(Amendment {
        limits: [("seats".into(), Allowance::Limited(seats))].into(),
        ..Amendment::default()
    })
}

/// What happened, with the day on which it did.
fn history(issuer: &mut Issuer, license: LicenseId, until: u64) -> Vec<(u64, String)> {
    let moments = issuer.license_history(license, day(until)).unwrap();
    let told = moments.iter().map(|moment| {
        let what = match &moment.happening {
            Happening::Began(act) => act.to_string(),
            Happening::Changed(change) => change.act().to_string(),
            Happening::Scheduled { change, .. } => format!("planned {}", change.act()),
            Happening::CameDue(settled) => match settled.after {
                Some(after) => format!("due {}: {after}", settled.waited.change.act()),
                None => format!("void {}", settled.waited.change.act()),
            },
            Happening::Voided(waiting) => format!("voided {}", waiting.revision),
            Happening::Revoked(_) => "revoked".into(),
            other => panic!("{other:?}"),
        };
        ((moment.time.seconds() - START.seconds()) / DAY, what)
    });
    told.collect()
}

fn told(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let each = expected.iter();
    each.map(|(day, what)| (*day, (*what).to_owned())).collect()
}

fn sound(folder: &tempfile::TempDir, issuer: &mut Issuer) {
    let tables = workshop::tables(folder.path());
    issuer.rebuild().unwrap();
    assert_eq!(tables, workshop::tables(folder.path()));
    issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn a_planned_reinstatement_lifts_no_suspension_recorded_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    change(&mut issuer, license, 2, ChangeRequest::Suspend, Some(20)).unwrap();
    change(&mut issuer, license, 3, ChangeRequest::Reinstate, Some(30)).unwrap();
    let suspended = change(&mut issuer, license, 10, ChangeRequest::Suspend, None).unwrap();
    let waiting: Vec<_> = suspended.waiting.iter().map(|one| one.revision).collect();
    assert_eq!(
        waiting,
        [2],
        "the reinstatement of revision 3 does not wait any more"
    );
    assert_eq!(
        issuer.license(license).unwrap().state(day(40)),
        State::Suspended
    );
    let expected = told(&[
        (1, "issue"),
        (2, "planned suspend"),
        (3, "planned reinstate"),
        (10, "suspend"),
        (10, "voided 3"),
        (20, "void suspend"),
    ]);
    assert_eq!(history(&mut issuer, license, 40), expected);
    // One that is planned with the suspension known lifts it.
    change(&mut issuer, license, 41, ChangeRequest::Reinstate, Some(50)).unwrap();
    assert_eq!(
        issuer.license(license).unwrap().state(day(50)),
        State::Active
    );
    sound(&folder, &mut issuer);
}

#[test]
fn a_suspension_that_waits_voids_when_it_takes_effect() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    change(&mut issuer, license, 2, ChangeRequest::Suspend, Some(20)).unwrap();
    change(&mut issuer, license, 3, ChangeRequest::Reinstate, Some(30)).unwrap();
    let record = change(&mut issuer, license, 4, ChangeRequest::Suspend, Some(15)).unwrap();
    assert_eq!(record.waiting.len(), 3);
    assert_eq!(record.at(day(15)).waiting.len(), 1);
    assert_eq!(record.state(day(99)), State::Suspended);
    let found = history(&mut issuer, license, 40).split_off(4);
    let expected = told(&[
        (15, "due suspend: suspended"),
        (15, "voided 3"),
        (20, "void suspend"),
    ]);
    assert_eq!(found, expected);
    // Called off in time, it voids nothing.
    change(&mut issuer, license, 5, ChangeRequest::Withdraw(4), None).unwrap();
    assert_eq!(
        issuer.license(license).unwrap().state(day(30)),
        State::Active
    );
    sound(&folder, &mut issuer);
}

#[test]
fn what_ends_a_license_voids_what_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    change(&mut issuer, license, 2, seats(9), Some(50)).unwrap();
    issuer
        .add_customer(
            phi_issuer::Customer {
                id: "initech".into(),
                ..workshop::customer()
            },
            &at(day(2)),
        )
        .unwrap();
    let to = issuer.transfer_license(license, 2, "initech", &at(day(3)));
    to.unwrap();
    let found = history(&mut issuer, license, 60).split_off(2);
    assert_eq!(
        found,
        told(&[(3, "transfer"), (3, "voided 2"), (3, "revoked")])
    );
}

#[test]
fn what_may_wait_is_what_the_state_at_its_time_allows() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    let refused = |outcome: Result<LicenseRecord, Error>| match outcome.unwrap_err() {
        Error::Transition {
            state, act, then, ..
        } => (state, act, then),
        error => panic!("{error}"),
    };
    // It is active and will be: there is nothing to reinstate.
    let found = refused(change(
        &mut issuer,
        license,
        2,
        ChangeRequest::Reinstate,
        Some(20),
    ));
    assert_eq!(found, (State::Active, Act::Reinstate, Some(day(20))));
    // It will have expired.
    let found = refused(change(
        &mut issuer,
        license,
        2,
        ChangeRequest::Suspend,
        Some(100),
    ));
    assert_eq!(found, (State::Expired, Act::Suspend, Some(day(100))));
    // A downgrade at renewal is planned for the very expiry.
    change(&mut issuer, license, 2, seats(2), Some(100)).unwrap();
    // Suspended now, and in force again before another suspension begins.
    change(&mut issuer, license, 3, ChangeRequest::Suspend, None).unwrap();
    let found = refused(change(
        &mut issuer,
        license,
        3,
        ChangeRequest::Suspend,
        Some(30),
    ));
    assert_eq!(found, (State::Suspended, Act::Suspend, Some(day(30))));
    change(&mut issuer, license, 4, ChangeRequest::Reinstate, Some(20)).unwrap();
    change(&mut issuer, license, 5, ChangeRequest::Suspend, Some(30)).unwrap();
    let record = issuer.license(license).unwrap();
    assert_eq!(
        [10, 20, 30].map(|days| record.state(day(days))),
        [State::Suspended, State::Active, State::Suspended]
    );
    sound(&folder, &mut issuer);
}

/// What an earlier Phi accepted is what it is, whatever is accepted today.
#[test]
fn the_ledger_of_an_earlier_version_is_replayed_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let issuance = Issuance {
        id: LicenseId::from_bytes([7; 8]),
        revision: 1,
        issued_at: day(1),
        catalog_revision: 1,
        supersedes: None,
        order: NewLicense::new("globex", PRODUCT, "team"),
    };
    let event = |revision, effective: Option<u64>, change| LicenseChange {
        license: issuance.id,
        revision,
        effective: effective.map(day),
        change,
    };
    let mut record = LicenseRecord::begin(&issuance, Act::Issue);
    // A reinstatement that will find nothing to do, and suspensions that say nothing about it.
    let suspend = || Change::Suspend { voids: Vec::new() };
    record
        .apply(day(2), &event(2, Some(30), Change::Reinstate))
        .unwrap();
    record.apply(day(3), &event(3, None, suspend())).unwrap();
    record
        .apply(day(4), &event(4, None, Change::Reinstate))
        .unwrap();
    record.apply(day(5), &event(5, None, suspend())).unwrap();
    assert_eq!(record.state(day(29)), State::Suspended);
    assert_eq!(
        record.state(day(30)),
        State::Active,
        "as it was decided then"
    );
    // A suspension voids nothing but reinstatements that wait.
    let wrong = event(6, None, Change::Suspend { voids: vec![9] });
    let misfit = record.at(day(30)).apply(day(31), &wrong).unwrap_err();
    assert!(matches!(misfit, Misfit::Rule(_)), "{misfit:?}");
    // Neither does the entry of a suspension without one look different.
    let (mut issuer, license) = licensed(&folder);
    change(&mut issuer, license, 2, ChangeRequest::Suspend, None).unwrap();
    let mut entries = Vec::new();
    let all = phi_issuer::AuditFilter::default();
    let each = |row: phi_issuer::AuditRow| {
        entries.push(serde_json::to_string(&row.entry.event).unwrap());
        Ok::<_, Error>(())
    };
    issuer.audit(&all, each).unwrap();
    let newest = entries.pop().unwrap();
    assert!(
        newest.contains("license-suspended") && !newest.contains("voids"),
        "{newest}"
    );
}

#[test]
fn a_corrected_clock_says_what_it_had_brought_into_effect() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    change(&mut issuer, license, 2, seats(2), Some(50)).unwrap();
    change(&mut issuer, license, 2, seats(7), Some(90)).unwrap();
    let other = workshop::issue(&mut issuer, day(3)).unwrap();
    change(&mut issuer, other, 3, seats(9), Some(50)).unwrap();
    // The clock is ahead: what waited for day 50 is found due, and for one license nothing is
    // recorded.
    change(&mut issuer, license, 60, ChangeRequest::Rebind(None), None).unwrap();
    let correction = issuer.correct_clock(&at(day(10))).unwrap();
    assert_eq!(correction.ahead, day(60));
    let [early] = &correction.settled[..] else {
        panic!("{correction:?}");
    };
    assert_eq!((early.license, early.state), (license, State::Active));
    assert_eq!(early.settled.waited.revision, 2);
    assert_eq!(early.settled.after, Some(State::Active));
    // It stays in effect, and the history says since when.
    let limit = |issuer: &mut Issuer, license, time| {
        let record = issuer.license(license).unwrap().at(time);
        record.overrides.limits.get("seats").copied()
    };
    assert_eq!(
        limit(&mut issuer, license, day(11)),
        Some(Allowance::Limited(2))
    );
    assert_eq!(limit(&mut issuer, other, day(11)), None);
    let found = history(&mut issuer, license, 12).split_off(3);
    assert_eq!(found, told(&[(10, "due amend: active"), (10, "rebind")]));
    // A later correction does not say it again.
    change(&mut issuer, other, 40, ChangeRequest::Rebind(None), None).unwrap();
    let correction = issuer.correct_clock(&at(day(20))).unwrap();
    assert_eq!(correction.settled, []);
    sound(&folder, &mut issuer);
}

#[test]
fn tokens_are_minted_in_the_second_in_which_others_were_cut() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    let mut old = workshop::mint(&mut issuer, license, 2, day(2)).unwrap();
    old.extend(workshop::mint(&mut issuer, license, 2, day(3)).unwrap());
    let order = LicenseOrder {
        old_tokens: OldTokens::Cut,
        ..LicenseOrder::new(license, 1, seats(3))
    };
    issuer.change_license(&order, &at(day(3))).unwrap();
    let new = workshop::mint(&mut issuer, license, 2, day(3)).unwrap();
    issuer
        .publish_status(&workshop::passphrase(), &at(day(3)))
        .unwrap();
    let trust = issuer.trust_state().unwrap();
    let verifier =
        phi_verify::Verifier::new(&trust, PRODUCT, phi_verify::RevocationPolicy::Lenient);
    for token in &old {
        let error = verifier.verify(&token.token, day(3)).unwrap_err();
        assert_eq!(error.code(), "revoked", "{error}");
    }
    for token in &new {
        verifier.verify(&token.token, day(3)).unwrap();
    }
    // Cut once more, there is nothing left to take back twice.
    let again = LicenseOrder {
        base: 2,
        request: seats(4),
        ..order
    };
    issuer.change_license(&again, &at(day(3))).unwrap();
    workshop::mint(&mut issuer, license, 1, day(3)).unwrap();
    sound(&folder, &mut issuer);
}

#[test]
fn a_preview_is_judged_at_the_time_that_the_token_would_get() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, license) = licensed(&folder);
    change(&mut issuer, license, 2, ChangeRequest::Suspend, Some(20)).unwrap();
    // Another operator's clock is a minute ahead of this one, past the suspension.
    issuer
        .add_customer(
            phi_issuer::Customer {
                id: "initech".into(),
                ..workshop::customer()
            },
            &at(day(20).plus(30)),
        )
        .unwrap();
    let clock = UnixTime::new(day(20).seconds() - 30).unwrap();
    let request = phi_issuer::MintRequest::new(license);
    let preview = issuer.preview_mint(&request, clock).unwrap_err();
    let mint = workshop::mint(&mut issuer, license, 1, clock).unwrap_err();
    assert_eq!(preview.to_string(), mint.to_string());
    assert_eq!(preview.code(), "not-allowed");
    let behind = issuer.preview_mint(&request, day(19)).unwrap_err();
    assert_eq!(behind.code(), "ledger-clock-behind");
}
