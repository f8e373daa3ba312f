//! Somebody who can write the store and has keys of their own: what the issuer's operators sign
//! does not name them.

use std::path::Path;

use phi_issuer::{Event, Issuer, Published, RevokeRequest, Role, Subject};
use phi_tests::{
    home::Sql,
    snakeoil::{DAY, START},
    workshop::{self, at, passphrase},
};
use phi_verify::{KeyId, PublicKey, Reason, UnixTime};

use super::forge::append_as;

const NOW: UnixTime = START.plus(DAY);

/// A sound key that somebody else made.
fn foreign_key(role: Role) -> PublicKey {
    let folder = tempfile::tempdir().unwrap();
    let mut other = workshop::init(folder.path()).unwrap();
    let keys = other.keys().unwrap();
    let key = keys.into_iter().find(|key| key.role == role).unwrap();
    key.public
}

fn added(role: Role, public: PublicKey, from: Option<UnixTime>) -> Event {
    Event::KeyAdded {
        role,
        public,
        from,
        holder: None,
        scope: None,
    }
}

/// Writes a key into the store of the folder.
fn put_in(folder: &Path, role: Role, from: Option<UnixTime>) -> KeyId {
    let public = foreign_key(role);
    let id = public.id();
    append_as(folder, &added(role, public, from), NOW, "bob");
    id
}

#[test]
fn a_license_key_that_was_put_into_the_store_is_not_published() {
    for from in [Some(NOW), None] {
        let folder = tempfile::tempdir().unwrap();
        let mut issuer = workshop::furnished(folder.path()).unwrap();
        let id = put_in(folder.path(), Role::License, from);
        let refused = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap_err();
        assert_eq!(refused.code(), "key-not-known");
        let said = refused.to_string();
        for word in [&*id.to_string(), "license", "bob", &NOW.to_string()] {
            assert!(said.contains(word), "{said}");
        }
        assert!(refused.hint().unwrap().contains("--accept-key"));
        let trust = issuer.trust_state().unwrap();
        assert_eq!(trust.keyset().unwrap().version, 1);
        // Another key than the one that was asked about is not meant.
        let other = issuer.keys().unwrap().remove(0);
        issuer.accept_keys([other.public.id()]);
        let refused = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap_err();
        assert_eq!(refused.code(), "key-not-known");
    }
}

#[test]
fn the_key_of_another_operator_is_published_once_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let id = put_in(folder.path(), Role::License, None);
    issuer.accept_keys([id]);
    let published = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap();
    assert!(matches!(published, Published::New(_)));
    assert!(
        issuer
            .trust_state()
            .unwrap()
            .keyset()
            .unwrap()
            .key(id)
            .is_some()
    );
    // It is asked about once.
    drop(issuer);
    let mut issuer = Issuer::open(folder.path()).unwrap();
    issuer
        .new_key(Role::License, &passphrase(), &at(NOW))
        .unwrap();
    issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap();
    issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn a_keyset_that_was_put_into_the_store_makes_no_key_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut other = workshop::furnished(elsewhere.path()).unwrap();
    let key = other
        .new_key(Role::License, &passphrase(), &at(NOW))
        .unwrap();
    let Published::New(forged) = other.publish_keyset(&passphrase(), &at(NOW)).unwrap() else {
        panic!("the keyset has a key more");
    };
    let public = other.keys().unwrap().pop().unwrap().public;
    assert_eq!(public.id(), key);
    append_as(
        folder.path(),
        &added(Role::License, public, None),
        NOW,
        "bob",
    );
    append_as(folder.path(), &Event::DocumentPublished(forged), NOW, "bob");
    let refused = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap_err();
    assert_eq!(refused.code(), "key-not-known", "{refused}");
}

#[test]
fn a_new_root_does_not_name_a_key_that_was_put_into_the_store() {
    for role in [Role::Root, Role::Keyset, Role::Status, Role::Ledger] {
        let folder = tempfile::tempdir().unwrap();
        let mut issuer = workshop::furnished(folder.path()).unwrap();
        let id = put_in(folder.path(), role, Some(NOW));
        let rotated = match role {
            Role::Ledger => Role::Status,
            _ => Role::Ledger,
        };
        // Either nobody signs, or what is signed has nothing of it.
        let refused = issuer.rotate_key(rotated, None, &passphrase(), &at(NOW));
        let root = issuer.trust_state().unwrap().root().clone();
        for keys in [&root.root, &root.keyset, &root.status, &root.ledger] {
            assert!(keys.keys().iter().all(|key| key.id() != id), "{role}");
        }
        assert_eq!(refused.is_err(), root.version == 1, "{role}");
    }
}

#[test]
fn a_ledger_whose_beginning_was_replaced_publishes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    issuer
        .new_key(Role::License, &passphrase(), &at(NOW))
        .unwrap();
    let anchor = folder.path().join("published/root-1.phi");
    let elsewhere = tempfile::tempdir().unwrap();
    drop(workshop::init(elsewhere.path()).unwrap());
    let others = elsewhere.path().join("published/root-1.phi");
    std::fs::copy(others, anchor).unwrap();
    let refused = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap_err();
    assert_eq!(refused.code(), "copy-invalid");
}

/// An issuer whose license key was stolen, and revoked with a cut; that key.
fn revoked(folder: &Path) -> (Issuer, KeyId) {
    let mut issuer = workshop::furnished(folder).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    workshop::mint(&mut issuer, license, 1, START).unwrap();
    issuer.checkpoint(&passphrase(), &at(START)).unwrap();
    let stolen = issuer
        .rotate_key(Role::License, None, &passphrase(), &at(NOW))
        .unwrap()
        .old
        .unwrap();
    let request = RevokeRequest {
        subject: Subject::Key(stolen),
        issued_before: None,
        cut: Some(3),
        reason: Reason::KeyCompromise,
    };
    issuer.revoke(&request, &at(NOW)).unwrap();
    (issuer, stolen)
}

/// Nothing is signed after a change of the store, and the refusal names the key.
#[track_caller]
fn nothing_is_signed(issuer: &mut Issuer, folder: &Path, sql: &str, key: KeyId, now: UnixTime) {
    let before = issuer.trust_state().unwrap().keyset().unwrap().version;
    Sql::open(folder).run(sql).unwrap();
    let refused = issuer.publish_keyset(&passphrase(), &at(now)).unwrap_err();
    assert_eq!(refused.code(), "ledger-diverged", "{sql}: {refused}");
    let said = refused.to_string();
    assert!(said.contains(&key.to_string()), "{sql}: {said}");
    assert!(said.contains("phi ledger verify"), "{sql}: {said}");
    let after = issuer.trust_state().unwrap().keyset().unwrap().version;
    assert_eq!(after, before, "{sql}");
}

/// A thief of a key who can also write the store has the revocation forgotten, before it is
/// published or afterwards.
#[test]
fn a_revocation_that_was_taken_out_of_the_store_is_not_forgotten() {
    for published in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut issuer, stolen) = revoked(folder.path());
        if published {
            issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap();
        }
        for change in [
            "UPDATE keys SET revoked = 0, until = NULL WHERE id = 'KEY'",
            "UPDATE keys SET revoked = 0, until = NULL WHERE id = 'KEY';
             DELETE FROM revocations WHERE id = 'KEY'",
            "UPDATE keys SET revoked = 0 WHERE id = 'KEY'",
            "DELETE FROM revocations WHERE id = 'KEY'",
            "UPDATE keys SET until = until + 86400 WHERE id = 'KEY'",
            "UPDATE keys SET dropped = 1 WHERE id = 'KEY'",
        ] {
            let sql = change.replace("KEY", &stolen.to_string());
            nothing_is_signed(&mut issuer, folder.path(), &sql, stolen, NOW);
            issuer.rebuild().unwrap();
        }
        issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap();
    }
}

/// Nor does a key come back that was dropped when nothing under it could be valid any more.
#[test]
fn a_key_that_was_dropped_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let rotated = issuer.rotate_key(Role::License, None, &passphrase(), &at(NOW));
    let old = rotated.unwrap().old.unwrap();
    let later = NOW.plus(DAY);
    issuer.publish_keyset(&passphrase(), &at(later)).unwrap();
    let keyset = issuer.trust_state().unwrap().keyset().unwrap().clone();
    assert!(keyset.key(old).is_none());
    let sql = format!("UPDATE keys SET dropped = 0, until = NULL WHERE id = '{old}'");
    nothing_is_signed(&mut issuer, folder.path(), &sql, old, later);
}

/// What was published counts even where the events say otherwise, and so does the file of the
/// folder where the store forgot what it published.
#[test]
fn events_that_were_taken_out_of_the_store_do_not_undo_a_published_keyset() {
    const UNBOUND: &str = "DROP TRIGGER events_keep_update; DROP TRIGGER events_keep_delete;";
    for forgotten in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut issuer, stolen) = revoked(folder.path());
        issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap();
        let forget = if forgotten {
            "DELETE FROM publications WHERE kind = 'keyset' AND version > 1;"
        } else {
            ""
        };
        let sql = format!(
            "{UNBOUND} {forget} DELETE FROM revocations WHERE id = '{stolen}';
             UPDATE keys SET revoked = 0 WHERE id = '{stolen}';
             UPDATE events SET word = 'forgotten' WHERE word = 'revoked'"
        );
        Sql::open(folder.path()).run(&sql).unwrap();
        let refused = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap_err();
        assert_eq!(refused.code(), "ledger-diverged", "{refused}");
        assert!(refused.to_string().contains(&stolen.to_string()));
    }
}

/// A store that forgot its newest keyset would use its number twice.
#[test]
fn a_keyset_that_the_store_forgot_is_not_published_anew_under_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    issuer
        .new_key(Role::License, &passphrase(), &at(NOW))
        .unwrap();
    issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap();
    let sql = "DELETE FROM publications WHERE kind = 'keyset' AND version = 2";
    Sql::open(folder.path()).run(sql).unwrap();
    let refused = issuer.publish_keyset(&passphrase(), &at(NOW)).unwrap_err();
    assert_eq!(refused.code(), "older-than-published", "{refused}");
}
