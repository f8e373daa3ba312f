//! Copies that come back: byte for byte, and never behind what was published without a word.

use std::{fs, path::Path};

use phi_issuer::{
    Context, Error, Exported, Issuer, Older, Replace, RevokeRequest, Role, Subject, Verified,
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, CATALOG, PRODUCT, at, passphrase},
};
use phi_verify::{KeyState, Reason, RevocationPolicy, RuleClass, TrustState, UnixTime, Verifier};

/// When the store was lost.
const LOST: UnixTime = START.plus(20 * DAY);

fn restore(folder: &Path, older: Older<'_>) -> Result<Verified, Error> {
    let backup = folder.join("backup.db");
    Issuer::restore(folder, &backup, Replace::MoveAside, older, |_| {})
}

/// What an application believes that imports everything in the folder.
fn application(folder: &Path) -> TrustState {
    let read = |name: &str| fs::read(folder.join("published").join(name)).unwrap();
    let mut trust = TrustState::from_anchor(&read("root-1.phi")).unwrap();
    for name in ["keyset.phi", "status.phi", "catalog-atlas.phi"] {
        trust.import(&read(name)).unwrap();
    }
    trust
}

#[test]
fn the_bytes_of_an_import_are_those_that_were_signed() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    issuer
        .checkpoint(&passphrase(), &at(START.plus(DAY)))
        .unwrap();
    let export = folder.path().join("export");
    issuer
        .export_ledger(&export, Exported::Whole, |_| {})
        .unwrap();
    let events = export.join("events.cbor");
    let sound = fs::read(&events).unwrap();
    let import = |bytes: &[u8]| {
        fs::write(&events, bytes).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let into = elsewhere.path();
        Issuer::import_ledger(into, &export, Replace::Refuse, Older::Refuse, |_| {})
    };
    import(&sound).unwrap();
    // The same map, its length written in a longer way: it reads alike.
    assert_eq!(sound[0], 0xa5, "an entry without a reason is a map of five");
    let longer = [&[0xb8, 0x05], &sound[1..]].concat();
    let refused = import(&longer).unwrap_err();
    assert_eq!(refused.code(), "event-damaged");
    assert!(refused.to_string().contains("deterministic"), "{refused}");
    let refused = import(&[&sound[..], &[0xff]].concat()).unwrap_err();
    assert!(refused.to_string().contains("does not read"), "{refused}");
}

#[test]
fn a_bad_checkpoint_of_an_export_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    fs::create_dir(&export).unwrap();
    fs::write(export.join("checkpoint"), "no checkpoint\n").unwrap();
    let import = Issuer::import_ledger(
        folder.path(),
        &export,
        Replace::Refuse,
        Older::Refuse,
        |_| {},
    );
    let refused = import.unwrap_err();
    assert_eq!(refused.code(), "copy-invalid");
    assert!(
        refused.to_string().contains("export/checkpoint"),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("ledger export"));
}

/// A folder whose backup is older than its newest list, keyset and checkpoint.
fn behind(folder: &Path) -> (Issuer, Vec<phi_issuer::MintedToken>) {
    let mut issuer = workshop::furnished(folder).unwrap();
    let day = |number: u64| START.plus(number * DAY);
    let license = workshop::issue(&mut issuer, day(1)).unwrap();
    let tokens = workshop::mint(&mut issuer, license, 2, day(1)).unwrap();
    let other = workshop::issue(&mut issuer, day(1)).unwrap();
    issuer.checkpoint(&passphrase(), &at(day(1))).unwrap();
    issuer.backup(&folder.join("backup.db"), |_| {}).unwrap();
    for subject in [Subject::Token(tokens[0].token_id), Subject::License(other)] {
        let request = RevokeRequest {
            subject,
            issued_before: None,
            cut: None,
            reason: Reason::Refund,
        };
        issuer.revoke(&request, &at(day(2))).unwrap();
    }
    issuer.publish_status(&passphrase(), &at(day(3))).unwrap();
    issuer.publish_status(&passphrase(), &at(day(4))).unwrap();
    (issuer, tokens)
}

fn taking_up() -> Context {
    at(LOST)
}

#[test]
fn a_backup_that_is_older_than_what_was_published_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, _) = behind(folder.path());
    issuer
        .checkpoint(&passphrase(), &at(START.plus(5 * DAY)))
        .unwrap();
    drop(issuer);
    let before = fs::read(folder.path().join("phi.db")).unwrap();
    let refused = restore(folder.path(), Older::Refuse).unwrap_err();
    assert_eq!(refused.code(), "older-than-published");
    let said = refused.to_string();
    assert!(said.contains("status epoch 3 (here 1)"), "{said}");
    assert!(said.contains("a checkpoint of"), "{said}");
    assert!(refused.hint().unwrap().contains("--older-than-published"));
    assert_eq!(fs::read(folder.path().join("phi.db")).unwrap(), before);
    // A forgery counts for nothing.
    fs::write(folder.path().join("published/status.phi"), b"forged").unwrap();
    fs::remove_file(folder.path().join("published/checkpoint")).unwrap();
    restore(folder.path(), Older::Refuse).unwrap();
}

#[test]
fn an_older_backup_goes_on_after_what_was_published() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, tokens) = behind(folder.path());
    let stolen = issuer.keys().unwrap();
    let stolen = stolen.iter().find(|key| key.role == Role::License);
    let stolen = stolen.unwrap().public.id();
    let request = RevokeRequest {
        subject: Subject::Key(stolen),
        issued_before: None,
        cut: None,
        reason: Reason::KeyCompromise,
    };
    let day = at(START.plus(5 * DAY));
    issuer.revoke(&request, &day).unwrap();
    issuer
        .rotate_key(Role::License, None, &passphrase(), &day)
        .unwrap();
    issuer.publish_keyset(&passphrase(), &day).unwrap();
    issuer.publish_status(&passphrase(), &day).unwrap();
    issuer.checkpoint(&passphrase(), &day).unwrap();
    drop(issuer);
    let mut customer = application(folder.path());
    let context = taking_up();
    restore(folder.path(), Older::TakeUp(&context)).unwrap();

    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
    // What was taken back stays so, and Phi knows of it.
    let revoked = issuer.revocations().unwrap();
    let subjects: Vec<_> = revoked.iter().map(|found| &found.subject).collect();
    assert_eq!(subjects.len(), 3, "{subjects:?}");
    assert!(subjects.contains(&&Subject::Token(tokens[0].token_id)));
    assert!(subjects.contains(&&Subject::Key(stolen)));
    let later = at(LOST.plus(60));
    issuer
        .rotate_key(Role::License, None, &passphrase(), &later)
        .unwrap();
    issuer.publish_keyset(&passphrase(), &later).unwrap();
    let (list, report) = issuer.publish_status(&passphrase(), &later).unwrap();
    assert_eq!(list.version, 5);
    assert_eq!((report.checked, report.revoked), (2, 2));
    // Whoever had the newest of everything goes on with what is published now.
    let read = |name: &str| fs::read(folder.path().join("published").join(name)).unwrap();
    customer.import(&read("keyset.phi")).unwrap();
    customer.import(&read("status.phi")).unwrap();
    let keyset = customer.keyset().unwrap();
    assert_eq!(keyset.version, 3);
    assert!(matches!(
        keyset.key(stolen).unwrap().state,
        KeyState::Revoked { .. }
    ));
    // The checkpoint of the other history is kept, and this one has its own again.
    let kept = fs::read_dir(folder.path()).unwrap();
    let kept = kept.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("checkpoint.")
    });
    assert_eq!(kept.count(), 1);
    issuer.checkpoint(&passphrase(), &later).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
}

/// Licenses and customers that are lost with a store can be named again, and stay revoked.
#[test]
fn what_was_revoked_of_what_is_lost_stays_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let (mut issuer, _) = behind(folder.path());
    let day = |number| at(START.plus(number * DAY));
    let mut late = workshop::customer();
    late.id = "late".into();
    issuer.add_customer(late, &day(5)).unwrap();
    let license = workshop::issue(&mut issuer, START.plus(5 * DAY)).unwrap();
    let tokens = workshop::mint(&mut issuer, license, 2, START.plus(5 * DAY)).unwrap();
    let revoke = |issuer: &mut Issuer, subject, now: &Context| {
        let request = RevokeRequest {
            subject,
            issued_before: None,
            cut: None,
            reason: Reason::Refund,
        };
        issuer.revoke(&request, now).unwrap();
    };
    revoke(&mut issuer, Subject::License(license), &day(6));
    revoke(&mut issuer, Subject::Customer("late".into()), &day(6));
    issuer.publish_status(&passphrase(), &day(6)).unwrap();
    drop(issuer);
    let held = application(folder.path());
    let context = taking_up();
    restore(folder.path(), Older::TakeUp(&context)).unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
    for number in 1..3 {
        let later = at(LOST.plus(number * DAY));
        let (list, _) = issuer.publish_status(&passphrase(), &later).unwrap();
        let mut customer = held.clone();
        customer.import(&list.document).unwrap();
        let status = customer.status().unwrap();
        let classes: Vec<_> = status
            .rules
            .iter()
            .map(|rule| rule.subject.class())
            .collect();
        assert!(classes.contains(&RuleClass::Customer), "{classes:?}");
        let verifier = Verifier::new(&customer, PRODUCT, RevocationPolicy::Strict);
        let refused = verifier.verify(&tokens[0].token, later.now).unwrap_err();
        assert_eq!(refused.code(), "revoked");
    }
    issuer.verify_ledger(None, |_| {}).unwrap();
    drop(issuer);
}

/// No list can name a token again that is lost; one that revokes none of those that are left shows
/// that there is such a token.
#[test]
fn a_lost_token_that_was_revoked_is_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let day = |number: u64| at(START.plus(number * DAY));
    let license = workshop::issue(&mut issuer, START.plus(DAY)).unwrap();
    issuer
        .backup(&folder.path().join("backup.db"), |_| {})
        .unwrap();
    let tokens = workshop::mint(&mut issuer, license, 2, START.plus(DAY)).unwrap();
    let request = RevokeRequest {
        subject: Subject::Token(tokens[0].token_id),
        issued_before: None,
        cut: None,
        reason: Reason::Refund,
    };
    issuer.revoke(&request, &day(2)).unwrap();
    issuer.publish_status(&passphrase(), &day(3)).unwrap();
    drop(issuer);
    let before = fs::read(folder.path().join("phi.db")).unwrap();
    let context = taking_up();
    let refused = restore(folder.path(), Older::TakeUp(&context)).unwrap_err();
    assert_eq!(refused.code(), "not-allowed", "{refused}");
    assert!(refused.hint().unwrap().contains("--cut"), "{refused}");
    assert_eq!(fs::read(folder.path().join("phi.db")).unwrap(), before);
    restore(folder.path(), Older::TakeUpAndLose(&context)).unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    let later = at(LOST.plus(DAY));
    issuer.publish_status(&passphrase(), &later).unwrap();
}

#[test]
fn what_rests_on_lost_entries_is_not_taken_up() {
    type Act = fn(&mut Issuer, &Context);
    let day = || at(START.plus(5 * DAY));
    let acts: [(Act, &str); 2] = [
        (
            |issuer, context| {
                let edited = CATALOG.replace("calls = 1000", "calls = 2000");
                issuer
                    .publish_catalog(&edited, &passphrase(), context)
                    .unwrap();
            },
            "catalog-atlas.phi",
        ),
        (
            |issuer, context| {
                let secret = passphrase();
                issuer
                    .rotate_key(Role::Status, None, &secret, context)
                    .unwrap();
            },
            "root-2.phi",
        ),
    ];
    for (act, file) in acts {
        let folder = tempfile::tempdir().unwrap();
        let (mut issuer, _) = behind(folder.path());
        act(&mut issuer, &day());
        drop(issuer);
        let context = taking_up();
        let refused = restore(folder.path(), Older::TakeUp(&context)).unwrap_err();
        assert_eq!(refused.code(), "older-than-published");
        assert!(refused.hint().unwrap().contains(file), "{refused}");
    }
}

/// A cut that was published keeps the honest tokens before it, and a backup without the checkpoint
/// that it was made at cannot: that is no reason to take them all back in silence.
#[test]
fn a_cut_does_not_become_a_whole_revocation_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let day = |number: u64| at(START.plus(number * DAY));
    let license = workshop::issue(&mut issuer, START.plus(DAY)).unwrap();
    workshop::mint(&mut issuer, license, 2, START.plus(DAY)).unwrap();
    let early = folder.path().join("backup.db");
    issuer.backup(&early, |_| {}).unwrap();
    issuer.checkpoint(&passphrase(), &day(2)).unwrap();
    let cut = issuer.newest_checkpoint().unwrap().size;
    let late = folder.path().join("late.db");
    issuer.backup(&late, |_| {}).unwrap();
    let stolen = issuer.keys().unwrap();
    let stolen = stolen.iter().find(|key| key.role == Role::License);
    let stolen = stolen.unwrap().public.id();
    let request = RevokeRequest {
        subject: Subject::Key(stolen),
        issued_before: None,
        cut: Some(cut),
        reason: Reason::KeyCompromise,
    };
    issuer.revoke(&request, &day(3)).unwrap();
    issuer.publish_keyset(&passphrase(), &day(3)).unwrap();
    drop(issuer);
    let before = fs::read(folder.path().join("phi.db")).unwrap();

    let context = taking_up();
    let refused = restore(folder.path(), Older::TakeUp(&context)).unwrap_err();
    assert_eq!(refused.code(), "would-orphan");
    assert!(refused.to_string().contains("2 live tokens"), "{refused}");
    assert_eq!(fs::read(folder.path().join("phi.db")).unwrap(), before);

    let cuts = || {
        let mut issuer = Issuer::open(folder.path()).unwrap();
        let revoked = issuer.revocations().unwrap();
        revoked.iter().map(|one| one.cut).collect::<Vec<_>>()
    };
    restore(folder.path(), Older::TakeUpAndLose(&context)).unwrap();
    assert_eq!(cuts(), [None]);
    // One that has the checkpoint keeps the cut.
    fs::copy(&late, &early).unwrap();
    restore(folder.path(), Older::TakeUp(&context)).unwrap();
    assert_eq!(cuts(), [Some(cut)]);
}
