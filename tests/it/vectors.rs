//! Every vector of `tests/vectors/`, given to the public API alone.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use phi_tests::{
    hex, unhex,
    vectors::{
        Check, CheckpointView, ClockCheck, ClockStep, ClockView, DocumentView, Expected,
        LicenseView, Machine, Outcome, TokenCheck, Trust, Vector,
    },
};
use phi_verify::{
    Bundle, ClockPolicy, DocumentKind, Error, Fingerprint, Imported, InstallationId, KeyId,
    Malformed, PartOutcome, ProofPolicy, PublicKey, RevocationPolicy, TrustState, UnixTime,
    Verifier, armor,
    filter::{Answer, Filter, SaltedId},
    log::{self, ConsistencyProof, Leaf, LogState, Origin, Proof, UntrustedCheckpoint},
};

pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(super) fn vectors() -> Vec<(String, Vector)> {
    let mut vectors = Vec::new();
    for area in fs::read_dir(repository().join("tests/vectors")).unwrap() {
        let area = area.unwrap().path();
        if area.is_dir() {
            for file in fs::read_dir(&area).unwrap() {
                let path = file.unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                vectors.push((
                    path.display().to_string(),
                    serde_json::from_str(&text).unwrap(),
                ));
            }
        }
    }
    vectors
}

#[test]
fn every_vector_is_judged_as_it_says() {
    let vectors = vectors();
    assert!(
        vectors.len() > 300,
        "only {} vectors were found",
        vectors.len()
    );
    let mut wrong = Vec::new();
    for (path, vector) in &vectors {
        let found = judge(&vector.check);
        if found != vector.expected {
            wrong.push(format!(
                "{path}\n  expected {:?}\n  found {found:?}",
                vector.expected
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every code stands in error.rs, in the specification and in a vector, and nowhere one more.
#[test]
fn every_error_code_has_a_vector_and_a_line_in_the_specification() {
    let written: BTreeSet<_> = include_str!("../../phi-verify/src/error.rs")
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\",")?.split_once("=> \""))
        .map(|(_, code)| code.to_owned())
        .filter(|code| {
            code.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit())
        })
        .collect();
    assert!(written.contains("key-weak") && written.contains("cbor-syntax"));
    let refused = vectors()
        .into_iter()
        .flat_map(|(_, vector)| match vector.expected {
            Expected::Refused(code) => vec![code],
            Expected::Accepted(outcome) => match *outcome {
                Outcome::Imported { parts, .. } => parts
                    .into_iter()
                    .map(|(_, code)| code)
                    .filter(|code| !["updated", "unchanged", "passed"].contains(&code.as_str()))
                    .collect(),
                _ => Vec::new(),
            },
        });
    assert_eq!(refused.collect::<BTreeSet<_>>(), written);
    let specification = fs::read_to_string(repository().join("docs/spec.md")).unwrap();
    let (_, table) = specification.split_once("\n## Errors\n").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    assert_eq!(
        rows.map(|(code, _)| code.to_owned())
            .collect::<BTreeSet<_>>(),
        written
    );
}

fn judge(check: &Check) -> Expected {
    match outcome(check) {
        Ok(outcome) => Expected::Accepted(Box::new(outcome)),
        Err(error) => Expected::Refused(error.code().into()),
    }
}

fn outcome(check: &Check) -> Result<Outcome, Error> {
    Ok(match check {
        Check::Token(check) => Outcome::License(verify(check)?),
        Check::Import { trust, document } => import(state(trust), &bytes(document))?,
        Check::Clock(check) => follow(check)?,
        Check::Anchor(anchor) => {
            let state = TrustState::from_anchor(&bytes(anchor))?;
            Outcome::Updated(state.root().into())
        }
        Check::Key(key) => {
            let key = PublicKey::from_bytes(&bytes(key).try_into().unwrap())?;
            assert_eq!(PublicKey::from_paserk(&key.to_paserk()).as_ref(), Ok(&key));
            Outcome::KeyId(key.id().to_string())
        }
        Check::Paserk(text) => {
            let key = PublicKey::from_paserk(text)?;
            assert_eq!(key.to_paserk(), *text);
            Outcome::KeyId(key.id().to_string())
        }
        Check::KeyId(text) => {
            let id: KeyId = text.parse()?;
            assert_eq!(id.to_string(), *text);
            Outcome::Bytes(hex(id.as_bytes()))
        }
        Check::Signature {
            key,
            message,
            signature,
        } => {
            let key = PublicKey::from_bytes(&bytes(key).try_into().unwrap())?;
            let signature = bytes(signature).try_into().unwrap();
            if !key.verify(&bytes(message), &signature) {
                return Err(Error::SignatureInvalid);
            }
            Outcome::Holds
        }
        Check::Armor(text) => Outcome::Text(armor::unwrap(text)?),
        Check::DocumentText(text) => {
            let document = armor::document_from_text(text)?;
            assert_eq!(armor::document_to_text(&document).as_ref(), Ok(text));
            Outcome::Bytes(hex(&document))
        }
        Check::Bundle(bundle) => Outcome::Bundle((&Bundle::parse(&bytes(bundle))?).into()),
        Check::BundleOfZeros(length) => {
            Outcome::Bundle((&Bundle::parse(&vec![0; *length])?).into())
        }
        Check::BundleText(text) => {
            let bundle = armor::bundle_from_text(text)?;
            assert_eq!(armor::bundle_to_text(&bundle).as_ref(), Ok(text));
            Outcome::Bytes(hex(&bundle))
        }
        Check::ImportBundle { trust, bundle } => import_bundle(state(trust), &bytes(bundle))?,
        Check::Fingerprint(machine) => Outcome::Text(fingerprint(machine).to_request()?),
        Check::FingerprintRequest(text) => components(&Fingerprint::from_request(text)?),
        Check::Filter { kind, body, ids } => answers(*kind, &bytes(body), ids)?,
        Check::Leaf(_)
        | Check::Inclusion { .. }
        | Check::Consistency { .. }
        | Check::Checkpoint { .. }
        | Check::TokenProof { .. }
        | Check::Advance { .. } => of_log(check)?,
    })
}

/// Reads a filter as the section of a status list that it is, and asks about ids.
fn answers(kind: u64, body: &[u8], ids: &[String]) -> Result<Outcome, Error> {
    let filter = Filter::parse(kind, body).map_err(|error| Error::Document {
        kind: DocumentKind::Status,
        cause: Malformed::Field {
            key: 11,
            problem: error.problem(),
        },
    })?;
    assert_eq!(filter.body(), body);
    let ids = ids
        .iter()
        .map(|id| SaltedId::from_bytes(bytes(id).try_into().unwrap()));
    let answers = ids.map(|id| match filter.contains(id) {
        Answer::No => "no",
        Answer::Yes => "yes",
        Answer::Probably => "probably",
    });
    Ok(Outcome::Answers(answers.map(Into::into).collect()))
}

fn of_log(check: &Check) -> Result<Outcome, Error> {
    let hash = |text: &String| text.parse::<log::Hash>().unwrap();
    Ok(match check {
        Check::Leaf(data) => {
            let leaf = Leaf::decode(&bytes(data))?;
            assert_eq!(hex(&leaf.encode()), *data);
            Outcome::Leaf((&leaf).into())
        }
        Check::Inclusion {
            leaf,
            index,
            path,
            size,
            root,
        } => {
            let path: Vec<_> = path.iter().map(hash).collect();
            log::verify_inclusion(hash(leaf), *index, &path, *size, hash(root))?;
            Outcome::Holds
        }
        Check::Consistency { old, new, path } => {
            let path: Vec<_> = path.iter().map(hash).collect();
            log::verify_consistency((old.0, hash(&old.1)), (new.0, hash(&new.1)), &path)?;
            Outcome::Holds
        }
        Check::Checkpoint { trust, checkpoint } => {
            let state = state(trust);
            let origin = Origin::of_issuer(&state.root().issuer);
            let checkpoint = UntrustedCheckpoint::parse(checkpoint)?;
            Outcome::Checkpoint((&checkpoint.verify(&state.root().ledger, &origin)?).into())
        }
        Check::TokenProof {
            trust,
            token,
            proof,
        } => {
            let parsed = Proof::parse(proof)?;
            assert_eq!(parsed.to_text(), *proof);
            let inclusion = parsed.verify_token(token, state(trust).root())?;
            Outcome::Included {
                index: inclusion.index(),
                checkpoint: inclusion.checkpoint().into(),
            }
        }
        Check::Advance {
            trust,
            state: held,
            proof,
        } => advance(held, proof, &state(trust))?,
        other => panic!("not a check of the log: {other:?}"),
    })
}

/// Brings a state forward; the one after must be its own text again.
fn advance(held: &str, proof: &str, trust: &TrustState) -> Result<Outcome, Error> {
    let held = LogState::restore(held).unwrap();
    let after = held.advance(proof, trust.root())?;
    let parsed = ConsistencyProof::parse(proof).unwrap();
    assert_eq!(parsed.to_text(), proof);
    assert_eq!(LogState::restore(after.as_str()).as_ref(), Ok(&after));
    assert_eq!(
        after.advance(proof, trust.root()).as_ref(),
        Ok(&after),
        "the second time"
    );
    let origin = Origin::of_issuer(&trust.root().issuer);
    Ok(Outcome::Checkpoint(CheckpointView {
        origin: origin.to_string(),
        size: after.size(),
        root: after.root().to_string(),
    }))
}

pub(super) fn bytes(text: &str) -> Vec<u8> {
    unhex(text).unwrap()
}

pub(super) fn state(trust: &Trust) -> TrustState {
    let mut state = TrustState::from_anchor(&bytes(&trust.anchor)).unwrap();
    for document in &trust.imports {
        state.import(&bytes(document)).unwrap();
    }
    state
}

pub(super) fn verify(check: &TokenCheck) -> Result<LicenseView, Error> {
    let mut state = state(&check.trust);
    let machine = check.machine.as_ref().map(fingerprint);
    let policy = match check.policy.as_str() {
        "strict" => RevocationPolicy::Strict,
        "balanced" => RevocationPolicy::Balanced,
        "lenient" => RevocationPolicy::Lenient,
        other => panic!("policy {other}"),
    };
    let clock = match check.clock.as_str() {
        "deny" => ClockPolicy::Deny,
        "warn" => ClockPolicy::Warn,
        other => {
            let seconds = other.strip_prefix("grace ").expect("a clock policy");
            let seconds = seconds.parse().unwrap();
            ClockPolicy::Grace { seconds }
        }
    };
    for observed in &check.observed {
        state.observe(UnixTime::new(*observed).unwrap());
    }
    let mut verifier = Verifier::new(&state, &check.product, policy).with_clock_policy(clock);
    if let Some(machine) = &machine {
        verifier = verifier.on_machine(machine);
    }
    match check.proofs.as_deref() {
        None => {}
        Some("required") => verifier = verifier.with_proof_policy(ProofPolicy::Required),
        Some(other) => panic!("proof policy {other}"),
    }
    let now = UnixTime::new(check.now).unwrap();
    let license = match &check.proof {
        Some(proof) => verifier.verify_with_proof(&check.token, proof, now)?,
        None => verifier.verify(&check.token, now)?,
    };
    Ok(LicenseView::from(&license))
}

fn fingerprint(machine: &Machine) -> Fingerprint {
    let parts = machine.components.iter();
    parts.fold(
        Fingerprint::new(&machine.product),
        |fingerprint, (kind, value)| fingerprint.with(kind, value),
    )
}

fn components(fingerprint: &Fingerprint) -> Outcome {
    let components = fingerprint.components();
    Outcome::Components(
        components
            .map(|(kind, digest)| (kind.into(), hex(&digest)))
            .collect(),
    )
}

/// Follows a machine's clock; a document that is refused must leave the state as it was.
fn follow(check: &ClockCheck) -> Result<Outcome, Error> {
    let mut state = state(&check.trust);
    if let Some(built) = check.built {
        state = state.built_at(UnixTime::new(built).unwrap());
    }
    if let Some(id) = &check.installation {
        let id = bytes(id).try_into().unwrap();
        state = state.with_installation(InstallationId::from_bytes(id));
    }
    let mut views = Vec::new();
    for step in &check.steps {
        let before = state.clone();
        let result = match step {
            ClockStep::Observe(now) => {
                let now = UnixTime::new(*now).unwrap();
                let verdict = state.observe(now);
                assert_eq!(before.clock(now), verdict);
                Ok(Some((now, verdict)))
            }
            ClockStep::Import(document) => state.import(&bytes(document)).map(|_| None),
            ClockStep::Reset { document, now } => {
                let now = UnixTime::new(*now).unwrap();
                state.reset_clock(&bytes(document), now).map(|_| None)
            }
        };
        if result.is_err() {
            assert_eq!(state, before, "a refused document changed the state");
        }
        views.push(ClockView::new(&state, result?));
    }
    Ok(Outcome::Clock(views))
}

/// Imports a document; a refused one must leave the state as it was.
fn import(mut state: TrustState, document: &[u8]) -> Result<Outcome, Error> {
    let before = state.clone();
    let imported = match state.import(document) {
        Ok(imported) => imported,
        Err(error) => {
            assert_eq!(state, before, "a refused document changed the state");
            return Err(error);
        }
    };
    let kind = match imported {
        Imported::Unchanged(_) => {
            assert_eq!(state, before);
            return Ok(Outcome::Unchanged);
        }
        Imported::Updated(kind) => kind,
    };
    assert_eq!(
        state.import(document),
        Ok(Imported::Unchanged(kind)),
        "the second time"
    );
    Ok(Outcome::Updated(match kind {
        DocumentKind::Root => state.root().into(),
        DocumentKind::Keyset => state.keyset().unwrap().into(),
        DocumentKind::Status => state.status().unwrap().into(),
        DocumentKind::Catalog => new_catalog(&before, &state),
        DocumentKind::ClockReset => unreachable!("a clock reset is not imported"),
    }))
}

/// Imports a bundle; a second time nothing changes any more.
pub(super) fn import_bundle(mut state: TrustState, bundle: &[u8]) -> Result<Outcome, Error> {
    let bundle = Bundle::parse(bundle)?;
    let reports = state.import_bundle(&bundle);
    let after = state.clone();
    for report in state.import_bundle(&bundle) {
        assert_ne!(report.outcome, PartOutcome::Updated, "{}", report.part);
    }
    assert_eq!(state, after, "the second time");
    let outcome = |outcome: &PartOutcome| match outcome {
        PartOutcome::Updated => "updated",
        PartOutcome::Unchanged => "unchanged",
        PartOutcome::Passed => "passed",
        PartOutcome::Refused(error) => error.code(),
    };
    let parts = reports.iter();
    let keyset = state.keyset().map_or(0, |keyset| keyset.version);
    let status = state.status().map_or(0, |status| status.epoch);
    Ok(Outcome::Imported {
        parts: parts
            .map(|report| (report.part.to_string(), outcome(&report.outcome).into()))
            .collect(),
        versions: (state.root().version, keyset, status),
    })
}

/// The catalog that one state has and the other has not.
fn new_catalog(before: &TrustState, after: &TrustState) -> DocumentView {
    let products = ["demo-app", "other"].into_iter();
    let mut changed = products.filter(|product| before.catalog(product) != after.catalog(product));
    after.catalog(changed.next().unwrap()).unwrap().into()
}
