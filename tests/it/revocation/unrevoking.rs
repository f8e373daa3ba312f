//! Taking revocations back: what comes back, what does not, and what applications are told.

use phi_issuer::{
    Amendment, ChangeRequest, Issuer, LicenseOrder, NewLicense, OldTokens, RevokeRequest, State,
    Subject,
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{Allowance, LicenseId, Reason, RevocationPolicy, TrustState, UnixTime, Verifier};

const fn day(number: u64) -> UnixTime {
    START.plus(number * DAY)
}

fn issuer() -> (tempfile::TempDir, Issuer) {
    let folder = tempfile::tempdir().unwrap();
    let issuer = workshop::furnished(folder.path()).unwrap();
    (folder, issuer)
}

fn revoke(issuer: &mut Issuer, subject: Subject, before: Option<UnixTime>, now: UnixTime) {
    let request = RevokeRequest {
        subject,
        issued_before: before,
        cut: None,
        reason: Reason::Breach,
    };
    issuer.revoke(&request, &at(now)).unwrap();
}

fn publish(issuer: &mut Issuer, now: UnixTime) -> Vec<u8> {
    issuer
        .publish_status(&passphrase(), &at(now))
        .unwrap()
        .0
        .document
}

#[track_caller]
fn check(trust: &TrustState, token: &str, now: UnixTime, expected: &str) {
    let verifier = Verifier::new(trust, PRODUCT, RevocationPolicy::Strict);
    let answer = verifier.verify(token, now);
    assert_eq!(
        answer.map_or_else(|error| error.code(), |_| "accepted"),
        expected
    );
}

#[track_caller]
fn refused(issuer: &mut Issuer, subject: &Subject, now: UnixTime, said: &str) {
    let error = issuer.unrevoke(subject, &at(now)).unwrap_err();
    assert_eq!(error.code(), "not-allowed", "{error}");
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
}

/// An application obeys the revocation and its end, whichever lists it has missed.
#[test]
fn what_is_unrevoked_is_accepted_again() {
    let (_folder, mut issuer) = issuer();
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    let token = workshop::mint(&mut issuer, license, 1, day(1))
        .unwrap()
        .remove(0);
    let subjects = [
        Subject::Token(token.token_id),
        Subject::License(license),
        Subject::Customer("globex".into()),
    ];
    let mut now = day(2);
    publish(&mut issuer, now);
    let mut trust = issuer.trust_state().unwrap();
    for subject in subjects {
        now = now.plus(DAY);
        revoke(&mut issuer, subject.clone(), None, now);
        trust.import(&publish(&mut issuer, now)).unwrap();
        check(&trust, &token.token, now, "revoked");
        let unrevoked = issuer.unrevoke(&subject, &at(now)).unwrap();
        assert_eq!((unrevoked.live_tokens, unrevoked.restored), (1, 1));
        assert_eq!(unrevoked.revocation.subject, subject);
        refused(&mut issuer, &subject, now, "is not revoked");
        // The list that brings it back is missed, and the one after it says so too.
        publish(&mut issuer, now);
        let mut late = trust.clone();
        late.import(&publish(&mut issuer, now.plus(1))).unwrap();
        check(&late, &token.token, now.plus(1), "accepted");
        trust = late;
    }
    issuer.verify_ledger(None, |_| {}).unwrap();
}

/// Each of two revocations is taken back alone.
#[test]
fn a_token_that_is_revoked_twice_stays_so() {
    let (_folder, mut issuer) = issuer();
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    let tokens = workshop::mint(&mut issuer, license, 3, day(1)).unwrap();
    revoke(
        &mut issuer,
        Subject::Token(tokens[0].token_id),
        None,
        day(2),
    );
    revoke(&mut issuer, Subject::License(license), None, day(2));
    let unrevoked = issuer
        .unrevoke(&Subject::License(license), &at(day(3)))
        .unwrap();
    assert_eq!((unrevoked.live_tokens, unrevoked.restored), (3, 2));
    assert_eq!(unrevoked.state, Some(State::Active));
    publish(&mut issuer, day(3));
    let trust = issuer.trust_state().unwrap();
    check(&trust, &tokens[0].token, day(3), "revoked");
    check(&trust, &tokens[1].token, day(3), "accepted");
}

/// A dry run says the same and changes nothing.
#[test]
fn a_preview_records_nothing() {
    let (folder, mut issuer) = issuer();
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    workshop::mint(&mut issuer, license, 2, day(1)).unwrap();
    revoke(&mut issuer, Subject::License(license), None, day(2));
    let before = workshop::tables(folder.path());
    let subject = Subject::License(license);
    let preview = issuer.preview_unrevoke(&subject, &at(day(3))).unwrap();
    assert_eq!(before, workshop::tables(folder.path()));
    assert_eq!(issuer.unrevoke(&subject, &at(day(3))).unwrap(), preview);
}

fn change(issuer: &mut Issuer, license: LicenseId, order: LicenseOrder, now: UnixTime) {
    let revision = issuer.license(license).unwrap().revision;
    let order = LicenseOrder {
        base: revision,
        ..order
    };
    issuer.change_license(&order, &at(now)).unwrap();
}

/// What a change replaced does not come back with the license.
#[test]
fn tokens_that_a_change_replaced_stay_revoked() {
    let (_folder, mut issuer) = issuer();
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    let old = workshop::mint(&mut issuer, license, 1, day(1))
        .unwrap()
        .remove(0);
    let calls = Amendment {
        quotas: [("calls".into(), Allowance::Limited(7))].into(),
        ..Amendment::default()
    };
    let cut = LicenseOrder {
        old_tokens: OldTokens::Cut,
        ..LicenseOrder::new(license, 1, ChangeRequest::Amend(calls))
    };
    change(&mut issuer, license, cut, day(2));
    let new = workshop::mint(&mut issuer, license, 1, day(3))
        .unwrap()
        .remove(0);
    let subject = Subject::License(license);
    refused(&mut issuer, &subject, day(3), "replaced");
    revoke(&mut issuer, subject.clone(), None, day(4));
    publish(&mut issuer, day(4));
    let unrevoked = issuer.unrevoke(&subject, &at(day(5))).unwrap();
    assert_eq!(unrevoked.kept_before, Some(day(2)));
    assert_eq!((unrevoked.live_tokens, unrevoked.restored), (2, 1));
    publish(&mut issuer, day(5));
    let trust = issuer.trust_state().unwrap();
    check(&trust, &old.token, day(5), "revoked");
    check(&trust, &new.token, day(5), "accepted");
    refused(&mut issuer, &subject, day(5), "replaced");
    issuer.verify_ledger(None, |_| {}).unwrap();
    let before = issuer.revocations().unwrap();
    issuer.rebuild().unwrap();
    assert_eq!(issuer.revocations().unwrap(), before);
}

#[test]
fn a_license_is_what_it_was_before() {
    let (_folder, mut issuer) = issuer();
    let order = || NewLicense {
        expires: Some(day(30)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let suspended = issuer.issue_license(order(), &at(day(1))).unwrap().id;
    let expired = issuer.issue_license(order(), &at(day(1))).unwrap().id;
    let draft = issuer.draft_license(order(), &at(day(1))).unwrap().id;
    let suspend = LicenseOrder::new(suspended, 1, ChangeRequest::Suspend);
    change(&mut issuer, suspended, suspend, day(2));
    for license in [suspended, expired, draft] {
        revoke(&mut issuer, Subject::License(license), None, day(3));
    }
    let back = |issuer: &mut Issuer, license, now| {
        issuer
            .unrevoke(&Subject::License(license), &at(now))
            .unwrap()
            .state
    };
    assert_eq!(back(&mut issuer, suspended, day(4)), Some(State::Suspended));
    assert_eq!(back(&mut issuer, expired, day(40)), Some(State::Expired));
    refused(&mut issuer, &Subject::License(draft), day(40), "draft");
    let error = issuer.license(draft).unwrap();
    assert_eq!(error.state(day(40)), State::Revoked);
    issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn what_was_handed_over_and_what_was_stolen_stay_revoked() {
    let (_folder, mut issuer) = issuer();
    let ann = phi_issuer::Customer {
        id: "ann".into(),
        ..workshop::customer()
    };
    issuer.add_customer(ann, &at(day(1))).unwrap();
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    let token = workshop::mint(&mut issuer, license, 1, day(1))
        .unwrap()
        .remove(0);
    issuer
        .transfer_license(license, 1, "ann", &at(day(2)))
        .unwrap();
    refused(
        &mut issuer,
        &Subject::License(license),
        day(3),
        "handed over",
    );
    refused(
        &mut issuer,
        &Subject::Token(token.token_id),
        day(3),
        "is not revoked",
    );
    let key = Subject::Key(token.key_id);
    refused(&mut issuer, &key, day(3), "is not revoked");
    revoke(&mut issuer, key.clone(), None, day(3));
    refused(&mut issuer, &key, day(4), "stays so");
    let unknown = Subject::Customer("nobody".into());
    let error = issuer.unrevoke(&unknown, &at(day(3))).unwrap_err();
    assert_eq!(error.code(), "not-found");
}

/// A change that cut its old tokens found them revoked up to a later time, and recorded nothing.
#[test]
fn a_cut_off_that_lay_ahead_stays_if_a_change_relied_on_it() {
    let (_folder, mut issuer) = issuer();
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    workshop::mint(&mut issuer, license, 1, day(1)).unwrap();
    let subject = Subject::License(license);
    revoke(&mut issuer, subject.clone(), Some(day(9)), day(2));
    let renew = ChangeRequest::Renew(None);
    let cut = LicenseOrder {
        old_tokens: OldTokens::Cut,
        ..LicenseOrder::new(license, 1, renew)
    };
    change(&mut issuer, license, cut, day(3));
    refused(&mut issuer, &subject, day(4), "lay ahead");
}
