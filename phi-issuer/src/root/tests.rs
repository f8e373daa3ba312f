use std::fs;

use phi_verify::{KeyId, PublicKey, UntrustedDocument};

use super::*;
use crate::{
    Context, FirstRoot, InitOptions, Issuer, Published, StoreOptions, keyfile::KdfStrength,
    passphrase::Passphrase, publish,
};

struct Rig {
    issuer: Issuer,
    passphrase: Passphrase,
    context: Context,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::from_bytes(b"snakeoil").unwrap();
        let context = Context::new(UnixTime::new(1_900_000_000).unwrap(), "ann");
        let options = InitOptions {
            issuer: "atlas.example".into(),
            product: "atlas".into(),
            kdf: KdfStrength::Fast,
            store: StoreOptions::default(),
            root: FirstRoot::Here,
        };
        let issuer = Issuer::init(folder.path(), &options, &passphrase, &context).unwrap();
        Self {
            issuer,
            passphrase,
            context,
            folder,
        }
    }

    fn stage(&mut self, role: Role) -> KeyId {
        self.issuer
            .new_key(role, &self.passphrase, &self.context)
            .unwrap()
    }

    fn rotate(&mut self, role: Role) -> Result<KeyId, Error> {
        let rotation = self
            .issuer
            .rotate_key(role, None, &self.passphrase, &self.context)?;
        Ok(rotation.new)
    }

    fn named(&mut self, role: Role) -> Vec<KeyId> {
        let named = self.issuer.store.read(|query| named(query, role)).unwrap();
        named.keys().iter().map(PublicKey::id).collect()
    }

    /// Names every key of the role that waits, beside those in force.
    fn widen(&mut self, role: Role, threshold: usize) -> Root {
        let signers = self.issuer.signers(Role::Root, &self.passphrase).unwrap();
        let rows = self.issuer.store.read(|query| query.keys()).unwrap();
        let rows = rows.into_iter().filter(|row| row.role == role);
        let keys = rows.filter(|row| row.until.is_none()).map(|row| row.public);
        let keys = role_keys(keys.collect(), threshold).unwrap();
        let known = self.issuer.known_keys();
        let work = |writer: &mut Writer<'_>| {
            let query = writer.query();
            let next = next(&query, &newest(&query)?, &[(role, keys)], writer.now())?;
            let document = publish::sealed(&next.unsigned(), &signers.all())?;
            record(writer, &next, document, None, &known)?;
            Ok(next)
        };
        self.issuer.store.write(&self.context, work).unwrap()
    }

    fn publish_keyset(&mut self) -> Result<Published, Error> {
        self.issuer.publish_keyset(&self.passphrase, &self.context)
    }
}

fn signers(published: &Published) -> usize {
    let document = &published.publication().document;
    UntrustedDocument::parse(document)
        .unwrap()
        .signers()
        .count()
}

#[test]
fn a_key_that_waits_is_the_next_of_its_role() {
    let mut rig = Rig::new();
    for role in NAMED {
        let before = rig.named(role);
        let (first, second) = (rig.stage(role), rig.stage(role));
        assert_eq!(
            rig.named(role),
            before,
            "{role}: a key that waits is not in force"
        );
        assert_eq!(rig.rotate(role).unwrap(), first);
        assert_eq!(rig.named(role), [first]);
        rig.issuer.retire_key(second, &rig.context).unwrap();
        let made = rig.rotate(role).unwrap();
        assert_ne!(made, second, "{role}: what was taken back does not come");
        assert_eq!(rig.named(role), [made]);
    }
    rig.publish_keyset().unwrap();
    let status = rig.issuer.publish_status(&rig.passphrase, &rig.context);
    status.unwrap();
    assert!(rig.issuer.checkpoint(&rig.passphrase, &rig.context).is_ok());
    rig.issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn a_publication_has_the_signature_of_every_key_at_hand() {
    let mut rig = Rig::new();
    let second = rig.stage(Role::Keyset);
    let third = rig.stage(Role::Keyset);
    rig.widen(Role::Keyset, 2);
    let published = rig.publish_keyset().unwrap();
    assert_eq!(signers(&published), 3);
    let again = rig.publish_keyset().unwrap();
    assert!(matches!(again, Published::Unchanged(_)));
    fs::remove_file(rig.issuer.key_path(Role::Keyset, third)).unwrap();
    rig.stage(Role::License);
    assert_eq!(signers(&rig.publish_keyset().unwrap()), 2);
    fs::remove_file(rig.issuer.key_path(Role::Keyset, second)).unwrap();
    let error = rig.publish_keyset().unwrap_err();
    assert_eq!(error.code(), "signers-missing");
    let said = error.to_string();
    assert!(
        said.contains(&second.to_string()) && said.contains(&third.to_string()),
        "{said}"
    );
    drop(rig.folder);
}

#[test]
fn of_several_keys_the_oldest_is_replaced() {
    let mut rig = Rig::new();
    let first = rig.named(Role::Ledger)[0];
    let second = rig.stage(Role::Ledger);
    rig.widen(Role::Ledger, 2);
    let plan = rig
        .issuer
        .plan_rotation(Role::Ledger, None, rig.context.now, rig.context.now)
        .unwrap();
    assert_eq!(plan, (None, Some(first)));
    let third = rig.rotate(Role::Ledger).unwrap();
    assert_eq!(rig.named(Role::Ledger), [third, second]);
    let fourth = rig.rotate(Role::Ledger).unwrap();
    assert_eq!(rig.named(Role::Ledger), [third, fourth]);
    assert!(rig.issuer.checkpoint(&rig.passphrase, &rig.context).is_ok());
}

/// A list that too few keys had signed for the old threshold must not do for the new one.
#[test]
fn the_floor_of_a_role_rises_with_any_change_of_it() {
    let mut rig = Rig::new();
    rig.stage(Role::Status);
    assert_eq!(
        rig.widen(Role::Status, 2).floors,
        Floors {
            keyset: 0,
            status: 1
        }
    );
    let status = rig.issuer.publish_status(&rig.passphrase, &rig.context);
    assert_eq!(status.unwrap().0.version, 2);
    assert_eq!(
        rig.widen(Role::Ledger, 1).floors,
        Floors {
            keyset: 0,
            status: 1
        }
    );
    assert_eq!(
        rig.widen(Role::Status, 1).floors,
        Floors {
            keyset: 0,
            status: 2
        }
    );
}

#[test]
fn a_key_that_was_replaced_does_not_come_back() {
    let mut rig = Rig::new();
    let rows = rig.issuer.store.read(|query| query.keys()).unwrap();
    let is_status = |row: &&crate::store::KeyRow| row.role == Role::Status;
    let old = rows.iter().find(is_status).unwrap().public.clone();
    rig.rotate(Role::Status).unwrap();
    let signers = rig.issuer.signers(Role::Root, &rig.passphrase).unwrap();
    for role in [Role::Status, Role::Keyset] {
        let keys = role_keys(vec![old.clone()], 1).unwrap();
        let known = rig.issuer.known_keys();
        let work = |writer: &mut Writer<'_>| {
            let query = writer.query();
            let next = next(&query, &newest(&query)?, &[(role, keys)], writer.now())?;
            let document = publish::sealed(&next.unsigned(), &signers.all())?;
            record(writer, &next, document, None, &known)
        };
        let refused = rig.issuer.store.write(&rig.context, work).unwrap_err();
        assert_eq!(refused.code(), "not-allowed", "{role}");
    }
}
