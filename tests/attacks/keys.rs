//! Keys, revocations and licenses that do not fit together.

use phi_issuer::{ChangeRequest, Issuer, LicenseOrder, NewLicense, RevokeRequest, Role, Subject};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::Reason;

/// With three keys in a row, taking out the middle one would leave a time in which none signs,
/// and a window that ends before it begins, which no verifier takes. So there are never three, and
/// taking out the second gives its time back to the first.
#[test]
fn a_key_that_has_not_begun_is_not_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let rotate = |issuer: &mut Issuer, days| {
        let takes_over = Some(START.plus(days * DAY));
        issuer.rotate_key(Role::License, takes_over, &passphrase(), &at(START))
    };
    let scheduled = rotate(&mut issuer, 10).unwrap().new;
    let error = rotate(&mut issuer, 20).unwrap_err();
    assert_eq!(error.code(), "not-allowed", "{error}");
    let now = at(START.plus(DAY));
    issuer.retire_key(scheduled, &now).unwrap();
    issuer.publish_keyset(&passphrase(), &now).unwrap();
    let license = workshop::issue(&mut issuer, now.now).unwrap();
    workshop::mint(&mut issuer, license, 1, START.plus(11 * DAY)).unwrap();
}

/// A cut-off that lies ahead revokes what is minted until then.
#[test]
fn no_token_is_minted_that_is_revoked_already() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    let request = RevokeRequest {
        subject: Subject::Customer("globex".into()),
        issued_before: Some(START.plus(DAY)),
        cut: None,
        reason: Reason::Nonpayment,
    };
    issuer.revoke(&request, &at(START)).unwrap();
    let error = workshop::mint(&mut issuer, license, 1, START.plus(DAY - 1)).unwrap_err();
    assert_eq!(error.code(), "not-allowed", "{error}");
    workshop::mint(&mut issuer, license, 1, START.plus(DAY)).unwrap();
}

/// Who has the list that suspended the license would refuse its new token.
#[test]
fn a_license_that_was_reinstated_is_minted_of_after_the_next_list() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    let now = at(START.plus(10));
    for (base, request) in [(1, ChangeRequest::Suspend), (2, ChangeRequest::Reinstate)] {
        issuer
            .change_license(&LicenseOrder::new(license, base, request), &now)
            .unwrap();
        if base == 1 {
            issuer.publish_status(&passphrase(), &now).unwrap();
        }
    }
    let error = workshop::mint(&mut issuer, license, 1, now.now).unwrap_err();
    assert_eq!(error.code(), "publication-behind", "{error}");
    issuer.publish_status(&passphrase(), &now).unwrap();
    workshop::mint(&mut issuer, license, 1, now.now).unwrap();
}

/// A license is refused when it is issued rather than whenever a token is minted of it.
#[test]
fn no_license_is_issued_that_cannot_be_minted() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let mut order = NewLicense::new("globex", PRODUCT, "team");
    order.max_status_age = Some(0);
    let error = issuer.issue_license(order.clone(), &at(START)).unwrap_err();
    assert_eq!(error.code(), "input-invalid", "{error}");
    order.max_status_age = Some(1);
    issuer.issue_license(order, &at(START)).unwrap();
}

/// The numbers below are kept for later versions of the format (docs/spec.md, "Extending").
#[test]
fn the_formats_own_extensions_are_not_for_issuers() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let mut order = NewLicense::new("globex", PRODUCT, "team");
    order.extensions = [(-65_536, "last".into())].into();
    issuer.issue_license(order.clone(), &at(START)).unwrap();
    order.extensions = [(-65_537, "kept".into())].into();
    let error = issuer.issue_license(order, &at(START)).unwrap_err();
    assert_eq!(error.code(), "input-invalid", "{error}");
}
