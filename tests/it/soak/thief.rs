//! What a thief tries with the keys that he has.

use ed25519_dalek::SigningKey;
use phi_tests::{
    log::{self, ORIGIN},
    snakeoil::{DAY, ISSUER, Seed, key, sign_all},
};
use phi_verify::{
    Bundle, Claims, Error, Form, KeyState, Keyset, LicenseKey, ProofPolicy, Scope, Sections,
    Status, UnixTime,
};

use super::{
    application::Application,
    vendor::{
        CUT, History, STATUS_THEFT, TERM, THIRD_ROOT, WEEK, claims, license_key, mint_under,
        public, week_begins,
    },
};

/// The license key that the thief has, of the number and the week: it retired long before.
const RETIRED: usize = 5;
const RETIRED_THEFT: usize = 40;
/// A time in the window of that key.
const RETIRED_WINDOW: usize = 20;

/// Everything that the thief has in this week.
pub(super) fn try_all(app: &mut Application<'_>, week: usize, truth: UnixTime) {
    if week >= RETIRED_THEFT {
        try_retired(app, truth);
    }
    if week >= CUT {
        try_cut(app, truth);
    }
    if week >= STATUS_THEFT && app.trust.root().version >= 2 {
        let list = forged_list(app, week);
        refuse_document(app, "refused: list of an old status key", &list, truth);
    }
    if week >= THIRD_ROOT && app.trust.root().version >= 3 {
        let keyset = forged_keyset(app, truth);
        refuse_document(app, "refused: keyset of an old keyset key", &keyset, truth);
    }
    try_refunds(app, truth);
    if app.dice.once_in(4) {
        replay(app, truth);
    }
}

/// While the status key that he has is in force, his list is taken, but where each list must speak
/// of the license: what is not covered there is denied, which is not what he is after.
pub(super) fn give_list(app: &mut Application<'_>, week: usize) {
    if app.poisoned || app.trust.root().version > 1 || app.is_strict() {
        return;
    }
    let list = forged_list(app, week);
    if app.trust.import(&list).is_ok() {
        app.poisoned = true;
        app.tally.count("thief's list taken before the root");
        app.news_came();
    }
}

/// A license key that retired, stolen afterwards: no cut, for nobody knows.
fn try_retired(app: &mut Application<'_>, truth: UnixTime) {
    let stolen = license_key(RETIRED);
    let state = state_of(app, &stolen);
    let then = week_begins(RETIRED_WINDOW);
    let mut tokens = vec![(
        "refused: retired key, backdated without limits",
        Claims {
            expires: Some(truth.plus(10 * TERM)),
            ..claims(then, "thief")
        },
    )];
    if !matches!(state, Some(KeyState::Active { .. })) {
        tokens.push(("refused: retired key, now", claims(truth, "thief")));
    }
    if app.proofs() == ProofPolicy::Required {
        tokens.push((
            "refused: retired key, backdated, proofs required",
            claims(then, "thief"),
        ));
    }
    for (what, claims) in tokens {
        let token = mint_under(&stolen, &claims);
        let proof = thiefs_proof(&token);
        refuse_token(app, what, &token, None, truth.max(then));
        refuse_token(app, what, &token, Some(&proof), truth.max(then));
    }
}

/// The key that was revoked with a cut, at an application that knows of it.
fn try_cut(app: &mut Application<'_>, truth: UnixTime) {
    let history = app.history;
    let revoked = match state_of(app, &history.cut_key) {
        None | Some(KeyState::Revoked { .. }) => true,
        Some(_) => false,
    };
    if !revoked {
        return;
    }
    let what = "refused: key with a cut";
    let before = week_begins(CUT).minus(WEEK);
    for issued_at in [before, truth] {
        let claims = Claims {
            expires: Some(truth.plus(30 * DAY)),
            issued_at,
            ..claims(issued_at, "thief with a cut key")
        };
        let token = mint_under(&history.cut_key, &claims);
        refuse_token(app, what, &token, None, truth);
        refuse_token(app, what, &token, Some(&thiefs_proof(&token)), truth);
        // The proof of an honest license under the same key is about that license.
        let id = public(&history.cut_key).id();
        let mut honest = history.minted.iter().flatten();
        let honest = honest.find(|minted| minted.key == id).unwrap();
        let proof = history.proof(honest, app.imported.max(CUT)).to_text();
        refuse_token(app, what, &token, Some(&proof), truth);
    }
}

/// Licenses that were taken back, at an application whose list says so.
fn try_refunds(app: &mut Application<'_>, truth: UnixTime) {
    let epoch = app.trust.status().map_or(0, |status| status.epoch);
    if app.poisoned {
        return;
    }
    let refunds = app.history.refunds.iter().rev();
    if let Some(refund) = refunds.into_iter().find(|refund| refund.epoch <= epoch) {
        let what = "refused: license taken back";
        refuse_token(app, what, &refund.token, None, truth);
    }
}

/// A bundle that is older than what was imported changes nothing.
fn replay(app: &mut Application<'_>, truth: UnixTime) {
    let week = usize::try_from(app.dice.below(app.imported as u64 + 1)).unwrap();
    let bytes = app.history.weeks[week].documents.clone().build().unwrap();
    let before = app.trust.clone();
    let reports = app.trust.import_bundle(&Bundle::parse(&bytes).unwrap());
    if app.trust != before {
        app.wrong(truth, &format!("week {week} replayed: {reports:?}"));
    }
    app.tally.count("refused: old bundle");
}

fn state_of(app: &Application<'_>, key: &SigningKey) -> Option<KeyState> {
    let keyset = app.trust.keyset()?;
    Some(keyset.key(public(key).id())?.state)
}

/// A proof under the thief's own checkpoint.
fn thiefs_proof(token: &str) -> String {
    let subject = log::sha256(&[token.as_bytes()]);
    let leaf = log::leaf("token-minted", Some(subject), log::entry(1));
    let root = log::base64(&log::sha256(&[&[0], &leaf]));
    let text = format!("{ORIGIN}\n1\n{root}\n");
    let line = log::signature_line(&text, ORIGIN, &Seed::Foreign.signing_key());
    let entry = log::base64(&log::entry(1));
    format!("c2sp.org/tlog-proof@v1\nextra {entry}\nindex 0\n\n{text}\n{line}")
}

/// The last list there can be, which takes nothing back and says so: a rule that a list leaves out
/// without a word is missed.
fn forged_list(app: &Application<'_>, week: usize) -> Vec<u8> {
    let keyset = app.trust.keyset().expect("imported when it was installed");
    let published = app.history.weeks[..=app.imported].iter().rev();
    let mut published = published.map(|week| &week.keyset);
    let held = published.find(|held| held.version == keyset.version);
    let hash = held.unwrap().unsigned().payload_hash();
    let this_update = week_begins(week);
    let held_rules = app.trust.status().into_iter().flat_map(|list| &list.rules);
    let status = Status {
        issuer: ISSUER.into(),
        epoch: u64::MAX - 1,
        this_update,
        next_update: this_update.plus(10 * TERM),
        hard_expiry: this_update.plus(10 * TERM),
        keyset: (keyset.version, hash),
        form: Form::Full {
            previous: Some(hash),
            salt: *b"the thief's salt",
        },
        covered_keys: keyset.keys().iter().map(|entry| entry.key.id()).collect(),
        rules: Vec::new(),
        revoked: Sections::default(),
        unrevoked: held_rules.map(|rule| rule.subject.clone()).collect(),
    };
    sign_all(&status.unsigned(), &[History::status_key(1)])
}

/// A keyset with a key of the thief's.
fn forged_keyset(app: &Application<'_>, truth: UnixTime) -> Vec<u8> {
    let root = app.trust.root().version;
    let entry = LicenseKey {
        key: public(&key(99)),
        state: KeyState::Active {
            from: UnixTime::EPOCH,
        },
        scope: Scope::default(),
    };
    let keyset = Keyset::new(ISSUER.into(), 1 << 20, truth, root, vec![entry]).unwrap();
    sign_all(&keyset.unsigned(), &[History::keyset_key(1)])
}

fn refuse_document(
    app: &mut Application<'_>,
    what: &'static str,
    document: &[u8],
    truth: UnixTime,
) {
    let before = app.trust.clone();
    match app.trust.import(document) {
        Err(Error::SignaturesMissing { .. }) if app.trust == before => app.tally.count(what),
        other => app.wrong(truth, &format!("not {what}: {other:?}")),
    }
}

fn refuse_token(
    app: &mut Application<'_>,
    what: &'static str,
    token: &str,
    proof: Option<&str>,
    truth: UnixTime,
) {
    // The thief sets the clock so that nothing is wrong with it.
    let clock = app
        .trust
        .observed_floor()
        .map_or(truth, |seen| truth.max(seen));
    let verifier = app.verifier();
    let result = match proof {
        Some(proof) => verifier.verify_with_proof(token, proof, clock),
        None => verifier.verify(token, clock),
    };
    match result {
        // What has run out anyway shows nothing.
        Err(Error::Expired { .. }) => app.tally.count("refused: out of its time"),
        // Neither the clock nor an old list may be what saves the day.
        Err(
            error @ (Error::ClockRolledBack { .. }
            | Error::NotYetValid { .. }
            | Error::StatusTooOld { .. }
            | Error::NotCovered { .. }),
        ) => app.wrong(truth, &format!("not {what}, but {error}")),
        Err(_) => app.tally.count(what),
        Ok(license) => app.wrong(truth, &format!("not {what}: {:?}", license.claims())),
    }
}
