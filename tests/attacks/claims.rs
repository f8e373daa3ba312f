//! L: licenses, and the keys that signed them.

use phi_tests::{
    log::{self, Log, sha256},
    snakeoil::{self, DAY, ISSUER, NOW, PRODUCT, START, Seed},
};
use phi_verify::{
    Bundle, BundleBuilder, Claims, Error, Exceeded, FlagCode, KeyState, Keyset, LicenseKey,
    Minimum, PartOutcome, ProofPolicy, RevocationPolicy, Scope, TrustState, Verifier, log::Proof,
};

use crate::trust::{keyset, taken};

fn code(trust: &TrustState, token: &str) -> &'static str {
    let verifier = Verifier::new(trust, PRODUCT, RevocationPolicy::Lenient);
    let verdict = verifier.verify(token, NOW);
    verdict.map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn l1_a_key_signs_in_its_state_and_window() {
    let trust = snakeoil::trust();
    let issued = |days| Claims {
        issued_at: START.plus(days * DAY),
        ..snakeoil::claims()
    };
    for (seed, claims, expected) in [
        (Seed::Foreign, issued(45), "unknown-key"),
        (Seed::Staged, issued(45), "key-not-active"),
        (Seed::Retired, issued(29), "accepted"),
        (Seed::Retired, issued(30), "key-outside-window"),
        (Seed::License, issued(29), "key-outside-window"),
        (Seed::License, issued(30), "accepted"),
    ] {
        assert_eq!(code(&trust, &seed.mint(&claims)), expected, "{seed:?}");
    }
}

/// A trust state whose keyset, of version 2, has this key alone.
fn with_key(seed: Seed, state: KeyState, scope: Scope) -> TrustState {
    let key = LicenseKey {
        key: seed.public(),
        state,
        scope,
    };
    let keyset = Keyset::new(ISSUER.into(), 2, START.plus(DAY), 1, vec![key]).unwrap();
    let mut trust = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    taken(&mut trust, &Seed::Keyset.sign(&keyset.unsigned()));
    trust
}

/// A log of five entries, of which the fourth minted this token.
pub(super) fn log_of(token: &str) -> Log {
    let mut log = Log::sample();
    let subject = sha256(&[token.as_bytes()]);
    log.0[3] = log::leaf("token-minted", Some(subject), log::entry(4));
    log
}

/// The proof under a checkpoint that another key signed in the log's name.
fn forged_proof(token: &str, signer: Seed) -> String {
    let log = log_of(token);
    let text = log.checkpoint_text(5);
    let line = log::signature_line(&text, log::ORIGIN, &signer.signing_key());
    let proof = log.proof(3, 5);
    let (head, _) = proof.split_once("\n\n").unwrap();
    format!("{head}\n\n{text}\n{line}")
}

#[test]
fn l2_a_cut_spares_what_the_ledger_had_before_the_theft() {
    let token = Seed::Revoked.mint(&snakeoil::claims());
    let proof = log_of(&token).proof(3, 5);
    let revoked = |cut| with_key(Seed::Revoked, KeyState::Revoked { cut }, Scope::default());
    let verify = |trust: &TrustState, proof: &str| {
        let verifier = Verifier::new(trust, PRODUCT, RevocationPolicy::Lenient);
        verifier.verify_with_proof(&token, proof, NOW)
    };
    let before = revoked(Some(4));
    let key_id = Seed::Revoked.id();
    assert_eq!(code(&before, &token), "proof-needed");
    let license = verify(&before, &proof).unwrap();
    assert_eq!(license.inclusion().unwrap().index(), 3);
    for cut in [1, 3] {
        let after = Error::ProofAfterCut {
            key_id,
            index: 3,
            cut,
        };
        assert_eq!(verify(&revoked(Some(cut)), &proof), Err(after));
    }
    for thief in [Seed::Revoked, Seed::Foreign, Seed::Keyset] {
        let error = verify(&before, &forged_proof(&token, thief)).unwrap_err();
        assert_eq!(error.code(), "signatures-missing");
    }
    // Without a cut no proof helps.
    assert_eq!(
        verify(&revoked(None), &proof),
        Err(Error::KeyRevoked(key_id))
    );
    // A smaller index is not the token's.
    let moved = proof.replacen("index 3", "index 1", 1);
    assert_eq!(
        verify(&revoked(Some(3)), &moved).unwrap_err().code(),
        "not-included"
    );
}

/// The residual risk, and what closes it: the thief has the license key and not the ledger's.
#[test]
fn l3_a_backdated_license_of_a_stolen_key_needs_the_ledger_too() {
    let trust = snakeoil::trust();
    let backdated = Claims {
        issued_at: START.plus(DAY),
        ..snakeoil::claims()
    };
    let token = Seed::Retired.mint(&backdated);
    assert_eq!(code(&trust, &token), "accepted");
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient)
        .with_proof_policy(ProofPolicy::Required);
    let needed = Error::ProofNeeded {
        key_id: Seed::Retired.id(),
        cut: None,
    };
    assert_eq!(verifier.verify(&token, NOW), Err(needed));
    let forged = forged_proof(&token, Seed::Retired);
    let error = verifier
        .verify_with_proof(&token, &forged, NOW)
        .unwrap_err();
    assert_eq!(error.code(), "signatures-missing");
    let honest = log_of(&token).proof(3, 5);
    assert!(verifier.verify_with_proof(&token, &honest, NOW).is_ok());
}

#[test]
fn l4_a_key_signs_within_its_scope() {
    let flags = |codes: &[u16]| codes.iter().copied().map(FlagCode::new).collect();
    let product = |name: &str, codes| Scope {
        products: [(name.into(), codes)].into(),
        longest: None,
    };
    let longest = |days: u64| Scope {
        longest: Some(days * DAY),
        ..Scope::default()
    };
    let verify = |scope: &Scope, claims: &Claims| {
        let active = KeyState::Active { from: START };
        let trust = with_key(Seed::License, active, scope.clone());
        let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
        let verdict = verifier.verify(&Seed::License.mint(claims), NOW);
        verdict.map(|_| ()).map_err(|error| match error {
            Error::KeyScope { exceeded, .. } => exceeded,
            other => panic!("{other}"),
        })
    };
    let claims = snakeoil::claims();
    for (scope, expected) in [
        (
            product("other", None),
            Err(Exceeded::Product(PRODUCT.into())),
        ),
        (product(PRODUCT, None), Ok(())),
        (
            product(PRODUCT, Some(flags(&[0, 2]))),
            Err(Exceeded::Flag(FlagCode::new(1))),
        ),
        (product(PRODUCT, Some(flags(&[0, 1, 2, 9]))), Ok(())),
        (longest(365 + 14), Ok(())),
        (
            longest(365),
            Err(Exceeded::Validity {
                longest: 365 * DAY,
                found: Some((365 + 14) * DAY),
            }),
        ),
    ] {
        assert_eq!(verify(&scope, &claims), expected);
    }
    // What a thief would try: no end, a long grace, an issue that lies ahead of the beginning.
    let long = [
        Claims {
            expires: None,
            grace: 0,
            ..claims.clone()
        },
        Claims {
            grace: u64::MAX,
            ..claims.clone()
        },
        Claims {
            issued_at: START.plus(3650 * DAY),
            not_before: Some(START),
            expires: Some(START.plus(3651 * DAY)),
            ..claims
        },
    ];
    for claims in long {
        let exceeded = verify(&longest(400), &claims).unwrap_err();
        assert!(matches!(exceeded, Exceeded::Validity { .. }), "{exceeded}");
    }
}

#[test]
fn l5_an_older_keyset_beside_a_license_does_not_displace_a_newer_one() {
    let mut trust = snakeoil::trust();
    taken(&mut trust, &keyset(5));
    let claims = Claims {
        minimum: Minimum {
            keyset: 5,
            status: 0,
        },
        ..snakeoil::claims()
    };
    let token = Seed::License.mint(&claims);
    let proof = Proof::parse(&log_of(&token).proof(3, 5)).unwrap();
    let mut builder = BundleBuilder::new();
    builder.document(&keyset(4)).unwrap();
    builder.token(&token, Some(&proof));
    let bundle = builder.build().unwrap();
    let bundle = Bundle::parse(&bundle).unwrap();
    let before = trust.clone();
    let [report] = &trust.import_bundle(&bundle)[..] else {
        panic!("one part");
    };
    let PartOutcome::Refused(error) = &report.outcome else {
        panic!("{report:?}");
    };
    assert_eq!(error.code(), "rollback");
    assert_eq!(trust, before);
    for policy in [ProofPolicy::WhereCut, ProofPolicy::Required] {
        let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
        let verifier = verifier.with_proof_policy(policy);
        let license = bundle.tokens()[0].verify(&verifier, NOW).unwrap();
        assert_eq!(license.claims(), &claims);
    }
}
