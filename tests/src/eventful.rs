//! A ledger in which everything has happened that can happen, of which the ledgers in `fixtures`
//! are copies that were made once.

use std::path::Path;

use phi_issuer::custody::Escrow;
use phi_issuer::{
    Amendment, ChangeRequest, Customer, CustomerKind, Error, Issuer, KeyScope, LicenseOrder,
    LicenseRecord, Machine, NewLicense, OldTokens, ResetRequest, RevokeRequest, Role, Subject,
};
use phi_verify::{Allowance, Fingerprint, Reason, UnixTime};

use crate::{
    snakeoil::{DAY, MACHINE, START},
    workshop::{self, CATALOG, PRODUCT, at, passphrase},
};

/// Every word that an event has.
pub const WORDS: [&str; 29] = [
    "change-withdrawn",
    "checkpoint-signed",
    "clock-corrected",
    "clock-reset-issued",
    "customer-added",
    "customer-changed",
    "catalog-recorded",
    "document-published",
    "draft-issued",
    "issuer-created",
    "key-activated",
    "key-added",
    "key-dropped",
    "key-exported",
    "key-prolonged",
    "key-retired",
    "license-amended",
    "license-drafted",
    "license-issued",
    "license-rebound",
    "license-reinstated",
    "license-renewed",
    "license-suspended",
    "license-transferred",
    "revoked",
    "token-minted",
    "trial-converted",
    "trial-started",
    "unrevoked",
];

/// Who can open the key that is given out: the recipient of an age identity that nobody kept.
const SAFE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// When the last of it has happened.
pub const END: UnixTime = day(400);

const fn day(number: u64) -> UnixTime {
    START.plus(number * DAY)
}

/// Makes an issuer in the folder and lets everything happen to it.
///
/// # Errors
/// As the steps of it.
pub fn make(folder: &Path) -> Result<Issuer, Error> {
    let mut issuer = workshop::furnished(folder)?;
    let second = CATALOG.replace("calls = 1000", "calls = 2000");
    issuer.publish_catalog(&second, &passphrase(), &at(day(1)))?;
    customers(&mut issuer)?;
    checkpoint(&mut issuer, day(2))?;
    draft(&mut issuer)?;
    ordinary(&mut issuer)?;
    trial(&mut issuer)?;
    suspended_twice(&mut issuer)?;
    taken_back(&mut issuer)?;
    clock_ahead(&mut issuer)?;
    clock_reset(&mut issuer)?;
    checkpoint(&mut issuer, day(20))?;
    keys(&mut issuer)?;
    checkpoint(&mut issuer, END)?;
    Ok(issuer)
}

fn checkpoint(issuer: &mut Issuer, now: UnixTime) -> Result<(), Error> {
    issuer.checkpoint(&passphrase(), &at(now)).map(drop)
}

fn customers(issuer: &mut Issuer) -> Result<(), Error> {
    let customer = |name: &str| Customer {
        id: "ann".into(),
        kind: CustomerKind::User,
        name: name.into(),
    };
    issuer.add_customer(customer("Ann"), &at(day(2)))?;
    issuer.change_customer(customer("Ann Onymous"), &at(day(2)))
}

fn order() -> NewLicense {
    order_until(day(365))
}

fn order_until(expires: UnixTime) -> NewLicense {
    NewLicense {
        expires: Some(expires),
        grace: 14 * DAY,
        ..NewLicense::new("globex", PRODUCT, "team")
    }
}

/// The license after the change.
fn change(
    issuer: &mut Issuer,
    license: &LicenseRecord,
    request: ChangeRequest,
    effective: Option<UnixTime>,
    now: UnixTime,
) -> Result<LicenseRecord, Error> {
    let order = LicenseOrder {
        effective,
        ..LicenseOrder::new(license.id, license.revision, request)
    };
    let mut context = at(now);
    context.reason = Some(format!("case {}", license.revision));
    context.idempotency_key = Some(format!("{}/{}", license.id, license.revision));
    issuer.change_license(&order, &context)
}

fn calls(count: u64) -> ChangeRequest {
    ChangeRequest::Amend(Amendment {
        quotas: [("calls".into(), Allowance::Limited(count))].into(),
        ..Amendment::default()
    })
}

/// A draft that is amended and issued.
fn draft(issuer: &mut Issuer) -> Result<(), Error> {
    let license = issuer.draft_license(order(), &at(day(3)))?;
    let license = change(issuer, &license, calls(5), None, day(3))?;
    let license = change(issuer, &license, ChangeRequest::Issue, None, day(4))?;
    workshop::mint(issuer, license.id, 1, day(4)).map(drop)
}

/// A license that is suspended, reinstated, bound, renewed and handed over, with changes that
/// wait: one that takes effect, one that is called off.
fn ordinary(issuer: &mut Issuer) -> Result<(), Error> {
    let license = issuer.issue_license(order(), &at(day(5)))?;
    workshop::mint(issuer, license.id, 2, day(5))?;
    let license = change(issuer, &license, calls(6), Some(day(7)), day(5))?;
    let license = change(issuer, &license, calls(7), Some(day(30)), day(6))?;
    let withdraw = ChangeRequest::Withdraw(license.revision);
    let license = change(issuer, &license, withdraw, None, day(6))?;
    let license = change(issuer, &license, ChangeRequest::Suspend, None, day(8))?;
    let license = change(issuer, &license, ChangeRequest::Reinstate, None, day(9))?;
    let board = Fingerprint::new(PRODUCT).with("board", "one");
    let rebind = ChangeRequest::Rebind(Some(Machine::new(&board, 1)?));
    let license = change(issuer, &license, rebind, None, day(9))?;
    let renew = ChangeRequest::Renew(Some(day(700)));
    let license = change(issuer, &license, renew, None, day(10))?;
    let cut = LicenseOrder {
        old_tokens: OldTokens::Cut,
        ..LicenseOrder::new(license.id, license.revision, calls(8))
    };
    let license = issuer.change_license(&cut, &at(day(11)))?;
    let handed_over = at(day(12));
    let (_, new) = issuer.transfer_license(license.id, license.revision, "ann", &handed_over)?;
    workshop::mint(issuer, new.id, 1, day(12)).map(drop)
}

/// A trial that becomes an ordinary license, and one whose time is up.
fn trial(issuer: &mut Issuer) -> Result<(), Error> {
    let trial = || NewLicense {
        expires: Some(day(40)),
        grace: 0,
        trial: true,
        ..order()
    };
    issuer.issue_license(trial(), &at(day(13)))?;
    let license = issuer.issue_license(trial(), &at(day(13)))?;
    let convert = ChangeRequest::ConvertTrial {
        expires: None,
        amendment: Amendment::default(),
    };
    change(issuer, &license, convert, None, day(14)).map(drop)
}

/// A suspension that voids a reinstatement that was to come.
fn suspended_twice(issuer: &mut Issuer) -> Result<(), Error> {
    let license = issuer.issue_license(order(), &at(day(14)))?;
    let license = change(
        issuer,
        &license,
        ChangeRequest::Suspend,
        Some(day(50)),
        day(14),
    )?;
    let license = change(
        issuer,
        &license,
        ChangeRequest::Reinstate,
        Some(day(60)),
        day(14),
    )?;
    change(issuer, &license, ChangeRequest::Suspend, None, day(15)).map(drop)
}

/// A license, a token and a customer that are revoked.
fn taken_back(issuer: &mut Issuer) -> Result<(), Error> {
    let license = issuer.issue_license(order(), &at(day(15)))?.id;
    let token = workshop::mint(issuer, license, 1, day(15))?.remove(0);
    let subjects = [
        Subject::Token(token.token_id),
        Subject::License(license),
        Subject::Customer("ann".into()),
    ];
    for subject in subjects {
        let request = RevokeRequest {
            subject,
            issued_before: None,
            cut: None,
            reason: Reason::Refund,
        };
        issuer.revoke(&request, &at(day(16)))?;
    }
    issuer.unrevoke(&Subject::License(license), &at(day(16)))?;
    issuer.publish_status(&passphrase(), &at(day(17))).map(drop)
}

/// A license that was issued under a clock of years to come.
fn clock_ahead(issuer: &mut Issuer) -> Result<(), Error> {
    issuer.issue_license(order_until(day(9_000)), &at(day(5_000)))?;
    issuer.correct_clock(&at(day(18))).map(drop)
}

/// An installation whose clock was ahead, and that may forget it.
fn clock_reset(issuer: &mut Issuer) -> Result<(), Error> {
    let request = ResetRequest {
        installation: MACHINE,
        valid_for: 7 * DAY,
        to: Some(day(19)),
    };
    let mut context = at(day(19));
    context.reason = Some("ticket 512".into());
    issuer
        .issue_clock_reset(&request, &passphrase(), &context)
        .map(drop)
}

/// A key that waits and takes over, one that is dropped, and those that the root names anew.
fn keys(issuer: &mut Issuer) -> Result<(), Error> {
    let secret = passphrase();
    let staged = issuer.new_key(Role::License, &secret, &at(day(21)))?;
    issuer.rotate_key(Role::License, None, &secret, &at(day(22)))?;
    issuer.publish_keyset(&secret, &at(day(22)))?;
    let waits = issuer.new_key(Role::License, &secret, &at(day(23)))?;
    let escrow = Escrow::Recipients(vec![SAFE.into()]);
    issuer.export_key(waits, &escrow, &secret, &at(day(23)))?;
    issuer.retire_key(waits, &at(day(23)))?;
    moved_keys(issuer)?;
    for role in [Role::Ledger, Role::Status, Role::Keyset] {
        issuer.rotate_key(role, None, &secret, &at(day(24)))?;
    }
    issuer.publish_keyset(&secret, &at(day(24)))?;
    issuer.publish_status(&secret, &at(day(24)))?;
    let license = issuer.issue_license(order(), &at(day(25)))?.id;
    let token = workshop::mint(issuer, license, 1, day(25))?.remove(0);
    debug_assert_eq!(token.key_id, staged, "the key that waited signs");
    cut_key(issuer)?;
    // All that the first key signed has ended.
    issuer.publish_keyset(&secret, &at(END)).map(drop)
}

/// A key that may sign little, and one that is to take over, later than it was, and then not.
fn moved_keys(issuer: &mut Issuer) -> Result<(), Error> {
    let (secret, now) = (passphrase(), at(day(23)));
    let scope = KeyScope {
        products: [(PRODUCT.to_owned(), Some([1].into()))].into(),
        longest: Some(DAY),
    };
    let narrow = issuer.new_scoped_key(Role::License, Some(scope), &secret, &now)?;
    issuer.rotate_key_like(narrow, None, &secret, &now)?;
    let scheduled = issuer.rotate_key(Role::License, Some(day(26)), &secret, &now)?;
    issuer.reschedule_key(scheduled.new, day(30), &now)?;
    issuer.retire_key(scheduled.new, &now)
}

/// The first license key, of which what the ledger had at its newest checkpoint stays good.
fn cut_key(issuer: &mut Issuer) -> Result<(), Error> {
    let keys = issuer.keys()?.into_iter();
    let mut license_keys = keys.filter(|key| key.role == Role::License);
    let first = license_keys.next().expect("an issuer has a license key");
    let request = RevokeRequest {
        subject: Subject::Key(first.public.id()),
        issued_before: None,
        cut: Some(issuer.newest_checkpoint()?.size),
        reason: Reason::KeyCompromise,
    };
    issuer.revoke(&request, &at(day(26)))?;
    issuer.publish_keyset(&passphrase(), &at(day(26))).map(drop)
}
