//! The whole life of a license through the issuer's library and phi-verify.

use phi_issuer::{
    Context, Error, Issuer, MintRequest, NewLicense, RevokeRequest, Role, Subject,
    passphrase::Passphrase,
};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::{DAY, START},
    workshop,
};
use phi_verify::{Reason, RevocationPolicy, UnixTime, Verifier};

struct Rig {
    issuer: Issuer,
    passphrase: Passphrase,
    now: UnixTime,
    home: Home,
}

impl Rig {
    fn new(store: Store) -> Self {
        let home = Home::new(store);
        Self {
            issuer: home.furnished().unwrap(),
            passphrase: workshop::passphrase(),
            now: START,
            home,
        }
    }

    fn context(&self) -> Context {
        workshop::at(self.now)
    }

    fn issue(&mut self) -> phi_verify::LicenseId {
        let order = NewLicense {
            expires: Some(self.now.plus(365 * DAY)),
            ..NewLicense::new("globex", "atlas", "team")
        };
        let context = self.context();
        self.issuer.issue_license(order, &context).unwrap().id
    }

    fn mint(&mut self, license: phi_verify::LicenseId) -> Result<String, Error> {
        let context = self.context();
        let request = MintRequest::new(license);
        let tokens = self.issuer.mint(&request, 1, &self.passphrase, &context)?;
        Ok(tokens[0].token.clone())
    }

    fn rotate(&mut self, role: Role, at: Option<UnixTime>) {
        let context = self.context();
        self.issuer
            .rotate_key(role, at, &self.passphrase, &context)
            .unwrap();
    }

    fn publish(&mut self) {
        let context = self.context();
        self.issuer
            .publish_keyset(&self.passphrase, &context)
            .unwrap();
        self.issuer
            .publish_status(&self.passphrase, &context)
            .unwrap();
    }

    #[track_caller]
    fn check(&mut self, token: &str, expected: &str) {
        let trust = self.issuer.trust_state().unwrap();
        let verifier = Verifier::new(&trust, "atlas", RevocationPolicy::Balanced);
        let found = verifier.verify(token, self.now);
        assert_eq!(
            found.map_or_else(|error| error.code(), |_| "accepted"),
            expected
        );
    }
}

on_every_store![
    a_license_lives_through_rotation_and_ends_by_revocation,
    every_role_can_be_rotated_and_old_licenses_stay_valid,
    a_scheduled_rotation_needs_one_publication,
    a_token_of_the_second_of_a_rotation_stays_valid,
    a_scheduled_key_can_be_brought_forward_when_the_old_one_is_stolen,
    a_retired_key_is_dropped_when_its_last_token_ends,
    the_tables_can_be_made_again_from_the_events,
    events_are_neither_changed_nor_deleted,
    nothing_is_revoked_as_suspended,
];

fn a_license_lives_through_rotation_and_ends_by_revocation(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    let first = rig.mint(license).unwrap();
    rig.check(&first, "accepted");

    rig.now = rig.now.plus(30 * DAY);
    rig.rotate(Role::License, None);
    let behind = rig.mint(license).unwrap_err();
    assert_eq!(behind.code(), "publication-behind");
    rig.publish();
    rig.now = rig.now.plus(1);
    let second = rig.mint(license).unwrap();
    rig.check(&first, "accepted");
    rig.check(&second, "accepted");

    let request = RevokeRequest {
        subject: Subject::License(license),
        issued_before: None,
        cut: None,
        reason: Reason::Refund,
    };
    assert_eq!(
        rig.issuer
            .revocation_reach(&request, rig.now)
            .unwrap()
            .tokens,
        2
    );
    let context = rig.context();
    rig.issuer.revoke(&request, &context).unwrap();
    rig.check(&second, "accepted");
    rig.publish();
    rig.check(&first, "revoked");
    rig.check(&second, "revoked");
    assert_eq!(rig.mint(license).unwrap_err().code(), "not-allowed");
}

fn every_role_can_be_rotated_and_old_licenses_stay_valid(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    let token = rig.mint(license).unwrap();
    for role in Role::ALL {
        rig.now = rig.now.plus(DAY);
        rig.rotate(role, None);
        rig.publish();
        rig.check(&token, "accepted");
        let fresh = rig.mint(license).unwrap();
        rig.check(&fresh, "accepted");
    }
    assert_eq!(rig.issuer.trust_state().unwrap().root().version, 5);
}

fn a_scheduled_rotation_needs_one_publication(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    let old = rig.mint(license).unwrap();
    let at = rig.now.plus(14 * DAY);
    rig.rotate(Role::License, Some(at));
    rig.publish();
    rig.now = at.minus(1);
    let last = rig.mint(license).unwrap();
    rig.now = at;
    let new = rig.mint(license).unwrap();
    let key = |token: &str| phi_verify::dangerous_inspect::token(token).unwrap().0;
    assert_eq!(key(&old), key(&last));
    assert_ne!(key(&last), key(&new));
    for token in [old, last, new] {
        rig.check(&token, "accepted");
    }
}

fn a_token_of_the_second_of_a_rotation_stays_valid(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    let token = rig.mint(license).unwrap();
    rig.rotate(Role::License, None);
    rig.publish();
    rig.check(&token, "accepted");
    let same_second = rig.mint(license).unwrap();
    rig.check(&same_second, "accepted");
}

fn a_scheduled_key_can_be_brought_forward_when_the_old_one_is_stolen(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    rig.rotate(Role::License, Some(rig.now.plus(14 * DAY)));
    rig.publish();
    let stolen = rig.issuer.trust_state().unwrap();
    let signs = |entry: &&phi_verify::LicenseKey| entry.state.signs_at(START);
    let stolen = stolen
        .keyset()
        .unwrap()
        .keys()
        .iter()
        .find(signs)
        .unwrap()
        .key
        .id();
    let request = RevokeRequest {
        subject: Subject::Key(stolen),
        issued_before: None,
        cut: None,
        reason: Reason::KeyCompromise,
    };
    let context = rig.context();
    rig.issuer.revoke(&request, &context).unwrap();
    rig.now = rig.now.plus(DAY);
    rig.rotate(Role::License, None);
    rig.publish();
    let token = rig.mint(license).unwrap();
    rig.check(&token, "accepted");
    assert_eq!(rig.issuer.keys().unwrap().len(), 6);
}

fn a_retired_key_is_dropped_when_its_last_token_ends(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    rig.mint(license).unwrap();
    rig.rotate(Role::License, None);
    rig.publish();
    let keys = |rig: &mut Rig| {
        rig.issuer
            .trust_state()
            .unwrap()
            .keyset()
            .unwrap()
            .keys()
            .len()
    };
    assert_eq!(keys(&mut rig), 2);
    rig.now = rig.now.plus(365 * DAY);
    rig.publish();
    assert_eq!(keys(&mut rig), 1);
}

fn the_tables_can_be_made_again_from_the_events(store: Store) {
    let mut rig = Rig::new(store);
    let license = rig.issue();
    rig.mint(license).unwrap();
    rig.rotate(Role::Status, None);
    rig.publish();
    let before = Sql::open(rig.home.path()).tables();
    let events = rig.issuer.rebuild().unwrap();
    assert_eq!(before, Sql::open(rig.home.path()).tables());
    assert!(events > 10);
}

fn events_are_neither_changed_nor_deleted(store: Store) {
    let rig = Rig::new(store);
    let sql = Sql::open(rig.home.path());
    for change in [
        "UPDATE events SET actor = 'nobody'",
        "DELETE FROM events WHERE seq = 1",
        "INSERT INTO events SELECT seq + 5, time, actor, word, NULL, entry FROM events LIMIT 1",
    ] {
        assert!(sql.run(change).is_err(), "{change}");
    }
}

/// Suspended is a state, from which a license comes back; a revocation is for good.
fn nothing_is_revoked_as_suspended(store: Store) {
    let mut rig = Rig::new(store);
    let request = RevokeRequest {
        subject: Subject::License(rig.issue()),
        issued_before: None,
        cut: None,
        reason: Reason::Suspended,
    };
    let reach = rig.issuer.revocation_reach(&request, rig.now);
    assert_eq!(reach.unwrap_err().code(), "input-invalid");
    let context = rig.context();
    let refused = rig.issuer.revoke(&request, &context).unwrap_err();
    assert_eq!(refused.code(), "input-invalid");
    assert!(rig.issuer.revocations().unwrap().is_empty());
}

mod batch {
    use phi_issuer::{BatchMode, RowFormat, RowResult, read_rows};

    use super::*;

    impl Rig {
        fn batch(&mut self, csv: &str, mode: BatchMode) -> Vec<RowResult> {
            let context = self.context();
            let rows = read_rows(RowFormat::Csv, csv.as_bytes(), self.now).unwrap();
            self.issuer
                .mint_batch(&rows, mode, &self.passphrase, &context, |_| {})
                .unwrap()
        }
    }

    const ROWS: &str = "ref,customer,customer_name,plan,expires,quotas\n\
                        a,initech,Initech,team,+1y,calls=7\n\
                        b,globex,,team,never,\n\
                        c,globex,,gold,,\n\
                        d,hooli,,team,,\n\
                        b,globex,,team,,\n";

    fn outcomes(results: &[RowResult]) -> Vec<&str> {
        let outcome = |result: &RowResult| match &result.outcome {
            Ok(_) if result.repeated => "repeated",
            Ok(_) => "minted",
            Err(error) => error.code(),
        };
        results.iter().map(outcome).collect()
    }

    on_every_store![rows_are_carried_out_once_and_each_whole_or_not_at_all,];

    fn rows_are_carried_out_once_and_each_whole_or_not_at_all(store: Store) {
        let mut rig = Rig::new(store);
        let expected = [
            "minted",
            "minted",
            "entitlement-invalid",
            "not-found",
            "input-invalid",
        ];
        let rehearsed = rig.batch(ROWS, BatchMode::Rehearse);
        assert_eq!(outcomes(&rehearsed), expected);
        assert!(rig.issuer.licenses(None, None).unwrap().is_empty());
        assert_eq!(rig.issuer.customers().unwrap().len(), 1);

        let first = rig.batch(ROWS, BatchMode::Mint);
        assert_eq!(outcomes(&first), expected);
        assert_eq!(rig.issuer.licenses(None, None).unwrap().len(), 2);
        let token = |results: &[RowResult]| results[0].outcome.as_ref().unwrap().token.clone();
        rig.check(&token(&first), "accepted");

        rig.now = rig.now.plus(DAY);
        let second = rig.batch(ROWS, BatchMode::Mint);
        assert_eq!(outcomes(&second)[..2], ["repeated", "repeated"]);
        assert_eq!(token(&first), token(&second));
        let changed = ROWS.replace("calls=7", "calls=8");
        assert_eq!(
            outcomes(&rig.batch(&changed, BatchMode::Mint))[0],
            "batch-conflict"
        );
        assert_eq!(rig.issuer.licenses(None, None).unwrap().len(), 2);
    }
}
