//! What no writer of Phi could have written does not verify, although every hash fits: it is named
//! as the first divergence.

use std::path::Path;

use phi_issuer::{
    Amendment, Change, ChangeRequest, Customer, CustomerKind, Error, Event, IssuedReset, Issuer,
    LicenseChange, LicenseOrder, Machine, NewLicense, Place, ResetRequest, RevokeRequest, Role,
    Subject,
};
use phi_tests::{
    snakeoil::{self, DAY, MACHINE, START, Seed},
    workshop::{self, CATALOG, PRODUCT, at, passphrase},
};
use phi_verify::{ClockReset, Fingerprint, InstallationId, KeyId, LicenseId, Reason, UnixTime};

use super::forge::{append, append_as};

/// When somebody writes into the store.
const NOW: UnixTime = START.plus(10 * DAY);

/// Checks that the event, written into the store behind Phi's back, is where the ledger diverges.
#[track_caller]
fn refused(folder: &Path, event: &Event, problem: &str) {
    refused_as(folder, event, "mallory", problem);
}

#[track_caller]
fn refused_as(folder: &Path, event: &Event, actor: &str, problem: &str) {
    let copy = tempfile::tempdir().unwrap();
    workshop::copy_folder(folder, copy.path()).unwrap();
    let seq = append_as(copy.path(), event, NOW, actor);
    let mut issuer = Issuer::open(copy.path()).unwrap();
    match issuer.verify_ledger(None, |_| {}) {
        Err(Error::Diverged(divergence)) => {
            assert_eq!(divergence.place, Place::Event(seq), "{divergence}");
            assert!(divergence.problem.contains(problem), "{divergence}");
        }
        other => panic!("{event:?}: {other:?}"),
    }
}

/// The license keys, oldest first.
fn license_keys(issuer: &mut Issuer) -> Vec<KeyId> {
    let keys = issuer.keys().unwrap().into_iter();
    let keys = keys.filter(|key| key.role == Role::License);
    keys.map(|key| key.public.id()).collect()
}

#[test]
fn the_life_of_a_key_has_an_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    workshop::mint(&mut issuer, license, 1, START.plus(60)).unwrap();
    let rotate = |issuer: &mut Issuer, day| {
        let context = at(START.plus(day * DAY));
        let secret = passphrase();
        issuer
            .rotate_key(Role::License, None, &secret, &context)
            .unwrap();
        issuer.publish_keyset(&secret, &context).unwrap();
    };
    rotate(&mut issuer, 1);
    let stolen = license_keys(&mut issuer)[1];
    let request = RevokeRequest {
        subject: Subject::Key(stolen),
        issued_before: None,
        cut: None,
        reason: Reason::KeyCompromise,
    };
    issuer.revoke(&request, &at(START.plus(2 * DAY))).unwrap();
    rotate(&mut issuer, 3);
    let staged = issuer.new_key(Role::License, &passphrase(), &at(START.plus(4 * DAY)));
    let staged = staged.unwrap();
    let keys = license_keys(&mut issuer);
    let (retired, active) = (keys[0], keys[2]);
    drop(issuer);

    let activated = |key_id, from| Event::KeyActivated { key_id, from };
    let retire = |key_id, until| Event::KeyRetired { key_id, until };
    let prolonged = |key_id| Event::KeyProlonged {
        key_id,
        until: Some(NOW.plus(DAY)),
    };
    let (before, later) = (START.plus(5 * DAY), NOW.plus(DAY));
    for (event, problem) in [
        (activated(retired, later), "does not wait"),
        (activated(stolen, later), "does not wait"),
        (activated(active, later), "does not wait"),
        (activated(staged, before), "in the past"),
        (retire(staged, later), "no window"),
        (retire(stolen, later), "no window"),
        (retire(retired, later), "sign again"),
        (retire(active, before), "in the past"),
        (prolonged(retired), "sign again"),
        (prolonged(active), "no end"),
        (prolonged(stolen), "no end"),
        (Event::KeyDropped { key_id: retired }, "tokens under it"),
        (
            Event::KeyDropped { key_id: active },
            "before its window is over",
        ),
    ] {
        refused(folder.path(), &event, problem);
    }
    // The same at its time, as Phi itself does it.
    append(folder.path(), &activated(staged, NOW), NOW);
    append(folder.path(), &retire(active, NOW), NOW);
    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn a_key_is_not_added_to_sign_in_the_past() {
    let folder = tempfile::tempdir().unwrap();
    drop(workshop::furnished(folder.path()).unwrap());
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = workshop::init(elsewhere.path()).unwrap();
    let key = other.keys().unwrap().pop().unwrap();
    let added = Event::KeyAdded {
        role: Role::License,
        public: key.public,
        from: Some(START),
        holder: None,
        scope: None,
    };
    refused(folder.path(), &added, "before it was added");
}

#[test]
fn customers_are_what_phi_takes() {
    let folder = tempfile::tempdir().unwrap();
    drop(workshop::furnished(folder.path()).unwrap());
    let customer = |id: &str, name: &str| Customer {
        id: id.into(),
        kind: CustomerKind::User,
        name: name.into(),
    };
    let added = |id: &str, name: &str| Event::CustomerAdded {
        customer: customer(id, name),
    };
    let globex = workshop::customer();
    let long = "x".repeat(201);
    for (event, problem) in [
        (added("glo bex", ""), "without blanks"),
        (added("", ""), "1 to 64 bytes"),
        (added("new", "two\nlines"), "one line"),
        (added("new", &long), "at most 200 bytes"),
        (
            Event::CustomerChanged { customer: globex },
            "changes nothing",
        ),
    ] {
        refused(folder.path(), &event, problem);
    }
    refused_as(folder.path(), &added("new", ""), " ", "names somebody");
    refused_as(
        folder.path(),
        &added("new", ""),
        "a\u{1b}[2J",
        "names somebody",
    );
}

/// Names that look like others were taken once: their ledgers verify, and new ones are refused.
#[test]
fn names_that_hide_something_are_kept_and_not_taken_any_more() {
    let folder = tempfile::tempdir().unwrap();
    drop(workshop::furnished(folder.path()).unwrap());
    let turned = |name: &str| Customer {
        id: "initech".into(),
        kind: CustomerKind::Organization,
        name: name.into(),
    };
    let customer = turned("\u{202e}hcetinI");
    append(folder.path(), &Event::CustomerAdded { customer }, NOW);
    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
    for name in [
        "\u{202e}hcetinI!",
        "Ini\u{200b}tech",
        "\u{feff}Initech",
        "Ini\u{2066}tech",
    ] {
        let refused = issuer.change_customer(turned(name), &at(NOW)).unwrap_err();
        assert_eq!(refused.code(), "input-invalid", "{name:?}");
        let mut new = turned(name);
        new.id = "new".into();
        let refused = issuer.add_customer(new, &at(NOW)).unwrap_err();
        assert!(refused.to_string().contains("nobody sees"), "{refused}");
    }
    let mut id = turned("Initech");
    id.id = "ini\u{200d}tech".into();
    issuer.add_customer(id, &at(NOW)).unwrap_err();
    let mut context = at(NOW);
    context.actor = "al\u{202e}ice".into();
    let refused = issuer
        .change_customer(turned("Initech"), &context)
        .unwrap_err();
    assert!(refused.to_string().contains("the actor"), "{refused}");
    let mut context = at(NOW);
    context.reason = Some("order \u{2067}4711".into());
    let refused = issuer
        .change_customer(turned("Initech"), &context)
        .unwrap_err();
    assert!(refused.to_string().contains("a reason"), "{refused}");
    issuer.change_customer(turned("Initech"), &at(NOW)).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
}

/// A folder with two catalog revisions and a license that is read in the second.
fn licensed(folder: &Path) -> LicenseId {
    let mut issuer = workshop::furnished(folder).unwrap();
    let edited = CATALOG.replace("calls = 1000", "calls = 2000");
    let day = START.plus(DAY);
    issuer
        .publish_catalog(&edited, &passphrase(), &at(day))
        .unwrap();
    let license = workshop::issue(&mut issuer, day).unwrap();
    let order = LicenseOrder::new(license, 1, ChangeRequest::Amend(more()));
    issuer.change_license(&order, &at(day)).unwrap();
    license
}

/// A license that is over soon.
fn short(folder: &Path) -> LicenseId {
    let order = NewLicense {
        expires: Some(START.plus(3 * DAY)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let mut issuer = Issuer::open(folder).unwrap();
    let license = issuer.issue_license(order, &at(START.plus(2 * DAY)));
    license.unwrap().id
}

fn more() -> Amendment {
    Amendment {
        quotas: [("calls".into(), phi_verify::Allowance::Limited(7))].into(),
        ..Amendment::default()
    }
}

#[test]
fn changes_of_licenses_are_what_phi_decides() {
    let folder = tempfile::tempdir().unwrap();
    let license = licensed(folder.path());
    let changed = |change| {
        Event::LicenseChanged(LicenseChange {
            license,
            revision: 3,
            effective: None,
            change,
        })
    };
    let amended = |catalog_revision, amendment| {
        changed(Change::Amend {
            catalog_revision,
            amendment,
        })
    };
    let board = Fingerprint::new("other").with("board", "one");
    let machine = Some(Machine::new(&board, 1).unwrap());
    let unknown = Amendment {
        remove: vec!["support".into()],
        ..Amendment::default()
    };
    for (event, problem) in [
        (amended(1, more()), "the newest is 2"),
        (amended(3, more()), "the newest is 2"),
        (amended(2, Amendment::default()), "changes nothing"),
        (amended(2, unknown), "which is not there"),
        (changed(Change::Rebind { machine }), "is for product other"),
    ] {
        refused(folder.path(), &event, problem);
    }
    // A renewal of what is over, to a time that is past as well.
    let renewed = LicenseChange {
        license: short(folder.path()),
        revision: 2,
        effective: None,
        change: Change::Renew {
            expires: Some(START.plus(5 * DAY)),
        },
    };
    let renewed = Event::LicenseChanged(renewed);
    refused(folder.path(), &renewed, "in the past");
    append(folder.path(), &amended(2, more()), NOW);
    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn a_document_is_published_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let keyset = issuer
        .published(phi_verify::DocumentKind::Keyset, "")
        .unwrap();
    drop(issuer);
    refused(
        folder.path(),
        &Event::DocumentPublished(keyset),
        "published before",
    );
}

#[test]
fn a_token_is_of_a_key_that_a_keyset_lets_sign() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    let copy = tempfile::tempdir().unwrap();
    workshop::copy_folder(folder.path(), copy.path()).unwrap();
    // Somebody has a copy of the key, and goes on with it after it was replaced.
    let mut thief = Issuer::open(copy.path()).unwrap();
    let token = workshop::mint(&mut thief, license, 1, NOW)
        .unwrap()
        .remove(0);
    let context = at(START.plus(DAY));
    issuer
        .rotate_key(Role::License, None, &passphrase(), &context)
        .unwrap();
    issuer.publish_keyset(&passphrase(), &context).unwrap();
    drop(issuer);
    refused(
        folder.path(),
        &Event::TokenMinted(token),
        "lets the token's key sign",
    );
}

#[test]
fn a_trial_begins_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let copy = tempfile::tempdir().unwrap();
    workshop::copy_folder(folder.path(), copy.path()).unwrap();
    let order = NewLicense {
        trial: true,
        expires: Some(NOW.plus(DAY)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let mut other = Issuer::open(copy.path()).unwrap();
    other.issue_license(order, &at(NOW)).unwrap();
    other.checkpoint(&passphrase(), &at(NOW)).unwrap();
    let seq = issuer.verify_ledger(None, |_| {}).unwrap().events + 1;
    let Event::TrialStarted { license } = other
        .prove(phi_issuer::Proven::Event(seq))
        .unwrap()
        .entry
        .event
    else {
        panic!("the trial is the newest event");
    };
    drop(issuer);
    refused(
        folder.path(),
        &Event::LicenseIssued { license },
        "a trial is started",
    );
}

#[test]
fn a_clock_reset_is_signed_by_the_status_role_and_says_what_its_event_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let request = ResetRequest {
        installation: MACHINE,
        valid_for: 20 * DAY,
        to: None,
        steady: START,
    };
    let good = issuer
        .issue_clock_reset(&request, &passphrase(), &at(START.plus(DAY)))
        .unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
    drop(issuer);
    let foreign = ClockReset {
        issuer: "atlas.example".into(),
        ..snakeoil::clock_reset()
    };
    let forged = IssuedReset {
        not_after: foreign.not_after,
        document: Seed::Status.sign(&foreign.unsigned()),
        ..good.clone()
    };
    let longer = IssuedReset {
        not_after: good.not_after.plus(DAY),
        ..good.clone()
    };
    let other = IssuedReset {
        installation: InstallationId::from_bytes([7; 16]),
        ..good
    };
    for (reset, problem) in [
        (forged, "signature"),
        (longer, "what its document says"),
        (other, "installation"),
    ] {
        refused(folder.path(), &Event::ClockResetIssued(reset), problem);
    }
}
