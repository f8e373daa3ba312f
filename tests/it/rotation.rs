//! Rotation and emergencies, from the issuer to an application: scoped keys, plans, cuts and
//! check-ups.

use phi_issuer::{
    Error, Issuer, KeyScope, KeyStep, MintRequest, NewLicense, Proven, RevokeRequest, Role,
    StepTime, Subject, Urgency,
    keyfile::{self, Signer as _},
};
use phi_tests::{
    home::{Home, Store},
    on_every_store,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{
    KeyId, KeyState, LicenseId, Reason, RevocationPolicy, TokenId, TrustState, UnixTime,
    UnsignedToken, Verifier, dangerous_inspect,
};

on_every_store![
    a_stolen_key_is_cut_and_honest_tokens_live_by_their_proofs,
    a_rotation_that_was_announced_needs_no_newer_bundle,
    the_narrowest_key_that_may_sign_does,
    a_plan_says_whom_dropping_a_key_would_hurt,
];

fn publish(issuer: &mut Issuer, now: UnixTime) {
    issuer.publish_keyset(&passphrase(), &at(now)).unwrap();
    issuer.publish_status(&passphrase(), &at(now)).unwrap();
}

fn license_key(issuer: &mut Issuer, now: UnixTime) -> KeyId {
    let keys = issuer.keys().unwrap().into_iter();
    let signs = |key: &phi_issuer::KeyRecord| {
        key.role == Role::License && key.state.is_some_and(|state| state.signs_at(now))
    };
    let mut keys = keys.filter(signs);
    keys.next_back().unwrap().public.id()
}

fn judge(trust: &TrustState, token: &str, proof: Option<&str>, now: UnixTime) -> &'static str {
    let verifier = Verifier::new(trust, PRODUCT, RevocationPolicy::Balanced);
    let found = match proof {
        Some(proof) => verifier.verify_with_proof(token, proof, now),
        None => verifier.verify(token, now),
    };
    found.map_or_else(|error| error.code(), |_| "accepted")
}

fn revocation(key: KeyId, cut: Option<u64>) -> RevokeRequest {
    RevokeRequest {
        subject: Subject::Key(key),
        issued_before: None,
        cut,
        reason: Reason::KeyCompromise,
    }
}

/// The thief has the key file and its passphrase, and writes a token as an honest one, with any
/// time of issue.
fn forged(home: &Home, key: KeyId, honest: &str) -> String {
    let path = home.path().join(format!("keys/license-{key}.key"));
    let stolen = keyfile::load(&path, &passphrase()).unwrap();
    let mut claims = dangerous_inspect::token(honest).unwrap().1;
    claims.token_id = TokenId::from_bytes([0xEE; 16]);
    claims.license_id = LicenseId::from_bytes([0xEE; 8]);
    let unsigned = UnsignedToken::license(key, &claims).unwrap();
    unsigned.sealed(&stolen.sign(&unsigned.message()).unwrap())
}

fn a_stolen_key_is_cut_and_honest_tokens_live_by_their_proofs(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    publish(&mut issuer, START);
    let key = license_key(&mut issuer, START);
    let honest = workshop::mint(&mut issuer, license, 1, START)
        .unwrap()
        .remove(0);
    let uncovered = issuer
        .revoke(&revocation(key, Some(3)), &at(START))
        .unwrap_err();
    assert_eq!(uncovered.code(), "input-invalid", "{uncovered}");
    let now = START.plus(DAY);
    let cut = issuer
        .checkpoint(&passphrase(), &at(now))
        .unwrap()
        .checkpoint()
        .size;
    let late = workshop::mint(&mut issuer, license, 1, now.plus(1))
        .unwrap()
        .remove(0);
    let theft = forged(&home, key, &honest.token);
    let before = issuer.trust_state().unwrap();
    assert_eq!(
        judge(&before, &theft, None, now),
        "accepted",
        "that is the emergency"
    );

    let now = now.plus(DAY);
    let request = revocation(key, Some(cut));
    let beyond = revocation(key, Some(cut + 1));
    let beyond = issuer
        .plan_key_revocation(&beyond, key, 10, now)
        .unwrap_err();
    assert_eq!(beyond.code(), "input-invalid", "{beyond}");
    let plan = issuer.plan_key_revocation(&request, key, 10, now).unwrap();
    assert_eq!((plan.kept, plan.lost.tokens, plan.lost.licenses), (1, 1, 1));
    assert_eq!(plan.lost.first[0].license, license);
    assert_eq!(plan.checkpoint, Some(cut));
    issuer.revoke(&request, &at(now)).unwrap();
    issuer
        .rotate_key(Role::License, None, &passphrase(), &at(now))
        .unwrap();
    publish(&mut issuer, now);
    issuer.checkpoint(&passphrase(), &at(now)).unwrap();

    let trust = issuer.trust_state().unwrap();
    let state = trust.keyset().unwrap().key(key).unwrap().state;
    assert_eq!(state, KeyState::Revoked { cut: Some(cut) });
    let prove = |issuer: &mut Issuer, token| issuer.prove(Proven::Token(token)).unwrap();
    let proof = prove(&mut issuer, honest.token_id).proof.to_text();
    let too_late = prove(&mut issuer, late.token_id).proof.to_text();
    assert_eq!(issuer.tokens_kept(key, now).unwrap(), [honest.token_id]);
    for (token, proof, expected) in [
        (&honest.token, Some(&proof), "accepted"),
        (&honest.token, None, "proof-needed"),
        (&late.token, Some(&too_late), "proof-after-cut"),
        (&theft, None, "proof-needed"),
        (&theft, Some(&proof), "not-included"),
    ] {
        let found = judge(&trust, token, proof.map(String::as_str), now);
        assert_eq!(found, expected);
    }
    // What was lost is minted again, under the key that took over.
    let again = workshop::mint(&mut issuer, license, 1, now.plus(1)).unwrap();
    assert_eq!(
        judge(&trust, &again[0].token, None, now.plus(1)),
        "accepted"
    );

    // A cut may come earlier and never later.
    let later = issuer.revoke(&request, &at(now.plus(2))).unwrap_err();
    assert_eq!(later.code(), "not-allowed", "{later}");
    issuer
        .revoke(&revocation(key, Some(cut - 1)), &at(now.plus(2)))
        .unwrap();
    issuer
        .revoke(&revocation(key, None), &at(now.plus(3)))
        .unwrap();
    publish(&mut issuer, now.plus(3));
    let trust = issuer.trust_state().unwrap();
    let found = judge(&trust, &honest.token, Some(&proof), now.plus(3));
    assert_ne!(found, "accepted");
    issuer.verify_ledger(None, |_| {}).unwrap();
    issuer.rebuild().unwrap();
    let keys = issuer.keys().unwrap().into_iter();
    let mut states = keys
        .filter(|record| record.public.id() == key)
        .map(|record| record.state);
    assert_eq!(
        states.next().unwrap(),
        Some(KeyState::Revoked { cut: None })
    );
}

/// The application's bundle is older than the day on which the key takes over.
fn a_rotation_that_was_announced_needs_no_newer_bundle(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    publish(&mut issuer, START);
    let oldest = issuer.trust_state().unwrap();
    let first = workshop::mint(&mut issuer, license, 1, START)
        .unwrap()
        .remove(0);

    let takes_over = START.plus(14 * DAY);
    let plan = |issuer: &mut Issuer| {
        let plan = issuer.plan_license_rotation(None, takes_over, None, 10, START);
        plan.unwrap()
    };
    assert!(!plan(&mut issuer).is_announced());
    let rotation = issuer.rotate_key(Role::License, Some(takes_over), &passphrase(), &at(START));
    let rotation = rotation.unwrap();
    publish(&mut issuer, START);
    let announced = issuer.trust_state().unwrap();

    let last = takes_over.plus(DAY);
    let second = workshop::mint(&mut issuer, license, 1, last)
        .unwrap()
        .remove(0);
    assert_eq!(second.key_id, rotation.new);
    for (trust, token, expected) in [
        (&announced, &first.token, "accepted"),
        (&announced, &second.token, "accepted"),
        (&oldest, &first.token, "accepted"),
        (&oldest, &second.token, "unknown-key"),
    ] {
        assert_eq!(judge(trust, token, None, last), expected);
    }
}

fn scope(products: &[&str], flags: Option<&[u16]>, longest: Option<u64>) -> KeyScope {
    let flags = flags.map(|flags| flags.iter().copied().collect());
    let product = |name: &&str| ((*name).to_owned(), flags.clone());
    KeyScope {
        products: products.iter().map(product).collect(),
        longest,
    }
}

/// Makes a key of this scope and brings it in.
fn bring_in(issuer: &mut Issuer, scope: KeyScope) -> KeyId {
    let context = at(START);
    let key = issuer.new_scoped_key(Role::License, Some(scope), &passphrase(), &context);
    let key = key.unwrap();
    let rotation = issuer
        .rotate_key_like(key, None, &passphrase(), &context)
        .unwrap();
    assert_eq!((rotation.new, rotation.old), (key, None));
    key
}

fn issue(issuer: &mut Issuer, days: Option<u64>) -> LicenseId {
    let order = NewLicense {
        expires: days.map(|days| START.plus(days * DAY)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    issuer.issue_license(order, &at(START)).unwrap().id
}

fn the_narrowest_key_that_may_sign_does(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let unlimited = license_key(&mut issuer, START);
    let year = bring_in(&mut issuer, scope(&[PRODUCT], None, Some(365 * DAY)));
    let month = bring_in(&mut issuer, scope(&[PRODUCT], None, Some(31 * DAY)));
    let other = bring_in(&mut issuer, scope(&["boreas"], None, None));
    publish(&mut issuer, START);
    let signer = |issuer: &mut Issuer, days| {
        let license = issue(issuer, days);
        let minted = workshop::mint(issuer, license, 1, START.plus(1))
            .unwrap()
            .remove(0);
        let trust = issuer.trust_state().unwrap();
        let found = judge(&trust, &minted.token, None, START.plus(1));
        assert_eq!(found, "accepted");
        minted.key_id
    };
    assert_eq!(signer(&mut issuer, Some(30)), month);
    assert_eq!(signer(&mut issuer, Some(300)), year);
    assert_eq!(signer(&mut issuer, Some(400)), unlimited);
    assert_eq!(signer(&mut issuer, None), unlimited);

    // A batch has all of them open.
    let rows = workshop::batch(&mut issuer, "row", 1, START.plus(2), |_| {}).unwrap();
    assert_eq!(rows[0].outcome.as_ref().unwrap().key_id, unlimited);

    // A rotation succeeds the key of the scope and leaves the others alone.
    let rotation = issuer
        .rotate_key_like(year, None, &passphrase(), &at(START.plus(3)))
        .unwrap();
    assert_eq!(rotation.old, Some(year));
    publish(&mut issuer, START.plus(3));
    assert_eq!(
        license_scope(&mut issuer, rotation.new),
        license_scope(&mut issuer, year)
    );
    let license = issue(&mut issuer, Some(300));
    let minted = workshop::mint(&mut issuer, license, 1, START.plus(4))
        .unwrap()
        .remove(0);
    assert_eq!(minted.key_id, rotation.new);

    // Without the key that may sign everything, some licenses have none.
    issuer
        .revoke(&revocation(unlimited, None), &at(START.plus(5)))
        .unwrap();
    publish(&mut issuer, START.plus(5));
    let perpetual = issue(&mut issuer, None);
    let error = workshop::mint(&mut issuer, perpetual, 1, START.plus(6)).unwrap_err();
    let Error::NoKeyFits { beyond } = &error else {
        panic!("{error}");
    };
    assert_eq!(error.code(), "no-key-fits");
    let beyond: Vec<_> = beyond.iter().map(|(key, _)| *key).collect();
    assert_eq!(beyond, [rotation.new, other, month]);
    issuer
        .preview_mint(&MintRequest::new(perpetual), START.plus(6))
        .unwrap_err();
    issuer.verify_ledger(None, |_| {}).unwrap();
}

fn license_scope(issuer: &mut Issuer, key: KeyId) -> phi_verify::Scope {
    let trust = issuer.trust_state().unwrap();
    trust.keyset().unwrap().key(key).unwrap().scope.clone()
}

#[test]
fn a_scope_that_no_keyset_could_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let keys = issuer.keys().unwrap().len();
    for (role, scope) in [
        (Role::License, scope(&[], None, None)),
        (Role::License, scope(&[], None, Some(0))),
        (Role::License, scope(&[PRODUCT], Some(&[4096]), None)),
        (Role::Status, scope(&[PRODUCT], None, None)),
    ] {
        let made = issuer.new_scoped_key(role, Some(scope), &passphrase(), &at(START));
        assert_eq!(made.unwrap_err().code(), "not-allowed");
    }
    assert_eq!(issuer.keys().unwrap().len(), keys);
}

fn a_plan_says_whom_dropping_a_key_would_hurt(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    publish(&mut issuer, START);
    let old = license_key(&mut issuer, START);
    let short = issue(&mut issuer, Some(100));
    let long = issue(&mut issuer, Some(500));
    for license in [short, long] {
        workshop::mint(&mut issuer, license, 2, START).unwrap();
    }
    let takes_over = START.plus(10 * DAY);
    let mut plan = |drop_at| {
        let drop_at: Option<u64> = drop_at;
        let drop_at = drop_at.map(|days| START.plus(days * DAY));
        let plan = issuer.plan_license_rotation(None, takes_over, drop_at, 1, START);
        plan.unwrap()
    };
    let natural = plan(None);
    assert_eq!(
        (natural.new, natural.old, natural.orphaned()),
        (None, Some(old), 0)
    );
    let steps: Vec<_> = natural
        .steps
        .iter()
        .map(|step| (step.step, step.time))
        .collect();
    let due = StepTime::Due;
    assert_eq!(
        steps,
        [
            (KeyStep::Stage, due(START)),
            (KeyStep::Announce, due(START)),
            (KeyStep::Activate, due(takes_over)),
            (KeyStep::Retire, due(takes_over)),
            (KeyStep::Drop, due(START.plus(500 * DAY))),
        ]
    );
    let late = plan(Some(200));
    assert_eq!(late.orphaned(), 2);
    assert_eq!(late.steps[4].orphans.first[0].license, long);
    let early = plan(Some(50)).steps.remove(4).orphans;
    assert_eq!((early.tokens, early.licenses, early.first.len()), (4, 2, 1));

    // A token without an end holds its key in the keyset for ever.
    let perpetual = issue(&mut issuer, None);
    workshop::mint(&mut issuer, perpetual, 1, START).unwrap();
    let plan = issuer
        .plan_license_rotation(None, takes_over, None, 1, START)
        .unwrap();
    assert_eq!(plan.steps[4].time, StepTime::Never);
}

/// What the check-up finds that is not a note.
fn urgent(issuer: &mut Issuer, days: u64, now: UnixTime) -> Vec<(&'static str, Urgency)> {
    let found = issuer
        .check_up(now.plus(days * DAY), now)
        .unwrap()
        .into_iter();
    let urgent = found.filter(|finding| finding.urgency != Urgency::Note);
    urgent
        .map(|finding| (finding.code, finding.urgency))
        .collect()
}

#[test]
fn a_check_up_finds_what_is_wrong_and_what_runs_out() {
    use Urgency::{Soon, Wrong};
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    publish(&mut issuer, START);
    assert_eq!(urgent(&mut issuer, 1, START), []);
    assert_eq!(
        urgent(&mut issuer, 1, START.plus(8 * DAY)),
        [("checkpoint-missing", Wrong)]
    );
    issuer.checkpoint(&passphrase(), &at(START)).unwrap();
    assert_eq!(urgent(&mut issuer, 1, START), []);

    // The list is due in a month and expires in three: nobody needs to do anything about it today,
    // however far ahead is looked.
    let status = issuer.trust_state().unwrap().status().unwrap().clone();
    assert_eq!(urgent(&mut issuer, 3650, START), []);
    assert_eq!(
        urgent(&mut issuer, 90, status.next_update.minus(10 * DAY)),
        [("status-due", Soon)]
    );
    assert_eq!(
        urgent(&mut issuer, 5, status.next_update.minus(10 * DAY)),
        []
    );
    assert_eq!(
        urgent(&mut issuer, 90, status.hard_expiry.minus(10 * DAY)),
        [("status-due", Wrong), ("status-expires", Soon)]
    );
    let overdue = urgent(&mut issuer, 0, status.next_update);
    assert_eq!(overdue, [("status-due", Wrong)]);
    let expired = urgent(&mut issuer, 0, status.hard_expiry);
    assert_eq!(expired, [("status-due", Wrong), ("status-expires", Wrong)]);

    // What was recorded and not published.
    let key = license_key(&mut issuer, START);
    let now = START.plus(10);
    issuer
        .rotate_key(Role::License, None, &passphrase(), &at(now))
        .unwrap();
    let behind = [("keyset-behind", Wrong), ("keyset-behind", Wrong)];
    assert_eq!(urgent(&mut issuer, 0, now), behind);
    issuer.publish_keyset(&passphrase(), &at(now)).unwrap();
    assert_eq!(urgent(&mut issuer, 0, now), [("status-behind", Wrong)]);
    publish(&mut issuer, now);
    assert_eq!(urgent(&mut issuer, 0, now), []);
    issuer
        .revoke(&revocation(key, None), &at(now.plus(1)))
        .unwrap();
    let found = urgent(&mut issuer, 0, now.plus(1));
    assert_eq!(found, [("keyset-behind", Wrong), ("status-behind", Wrong)]);
    publish(&mut issuer, now.plus(1));

    // A week in which nothing was signed, and a file that somebody changed.
    let later = now.plus(8 * DAY);
    publish(&mut issuer, later);
    assert_eq!(
        urgent(&mut issuer, 0, later),
        [("checkpoint-behind", Wrong)]
    );
    issuer.checkpoint(&passphrase(), &at(later)).unwrap();
    std::fs::write(folder.path().join("published/status.phi"), b"old").unwrap();
    assert_eq!(urgent(&mut issuer, 0, later), [("file-behind", Wrong)]);
}
