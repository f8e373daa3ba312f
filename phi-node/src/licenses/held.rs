//! Tokens that a node has, and which of them speak for their licenses.

use std::{collections::BTreeMap, time::Duration};

use phi_verify::{Error, License, LicenseId, UnixTime, Verifier, dangerous_inspect};

/// A node has at most this many tokens: all of them are verified again within a fraction of
/// [`AGAIN`].
pub const MAX_TOKENS: usize = 4096;

/// Tokens are verified again this often without any other reason: lists grow old and licenses
/// begin. What a license ends at is known to its gate to the second.
pub const AGAIN: Duration = Duration::from_secs(10);

/// A token whose signature held, with its proof if it came with one.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) text: String,
    pub(super) proof: Option<String>,
    pub(super) license: LicenseId,
    pub(super) revision: u64,
    pub(super) product: String,
    pub(super) verdict: Result<Box<License>, Box<Error>>,
}

/// Why there is no token to hold.
pub(super) struct Unheld(pub(super) Box<Error>);

impl Held {
    /// Takes a token whose signature holds, whatever else is said of it.
    pub(super) fn take(text: &str, proof: Option<&str>, judge: &Judge<'_>) -> Result<Self, Unheld> {
        let (license, revision, product, verdict) = match judge.verify(text, proof) {
            Ok(license) => {
                let claims = license.claims();
                let (id, revision) = (claims.license_id, claims.license_revision);
                let product = claims.product.clone();
                (id, revision, product, Ok(Box::new(license)))
            }
            Err(error) if is_after_the_signature(&error) => {
                // It is read although it is refused, because its signature held: who it speaks
                // for is known, and that this license has none that is good.
                let read = dangerous_inspect::token(text);
                let (_, claims) = read.map_err(|error| Unheld(Box::new(error)))?;
                let (id, revision) = (claims.license_id, claims.license_revision);
                (id, revision, claims.product, Err(Box::new(error)))
            }
            Err(error) => return Err(Unheld(Box::new(error))),
        };
        Ok(Self {
            text: text.into(),
            proof: proof.map(str::to_owned),
            license,
            revision,
            product,
            verdict,
        })
    }

    /// Verifies it again.
    pub(super) fn judge(&mut self, judge: &Judge<'_>) {
        let verdict = judge.verify(&self.text, self.proof.as_deref());
        self.verdict = verdict.map(Box::new).map_err(Box::new);
    }
}

/// What tokens are verified with.
pub(super) struct Judge<'a> {
    pub(super) verifiers: Vec<Verifier<'a>>,
    pub(super) now: UnixTime,
}

impl Judge<'_> {
    /// By the verifier of the token's product, of which there is one.
    fn verify(&self, text: &str, proof: Option<&str>) -> Result<License, Error> {
        let mut refused = Error::KeysetMissing;
        for verifier in &self.verifiers {
            let verdict = match proof {
                Some(proof) => verifier.verify_with_proof(text, proof, self.now),
                None => verifier.verify(text, self.now),
            };
            match verdict {
                Err(error @ Error::ProductMismatch { .. }) => refused = error,
                verdict => return verdict,
            }
        }
        Err(refused)
    }
}

/// Whether a token is refused by a check that comes after that of its signature, its issuer and its
/// product, for a reason that time or a document may end.
const fn is_after_the_signature(error: &Error) -> bool {
    matches!(
        error,
        Error::ClockRolledBack { .. }
            | Error::Expired { .. }
            | Error::MachineMismatch { .. }
            | Error::MachineUnknown
            | Error::NotCovered { .. }
            | Error::NotYetValid { .. }
            | Error::ProbablyRevoked
            | Error::ProofNeeded { .. }
            | Error::Revoked { .. }
            | Error::StaleTrust { .. }
            | Error::StatusMissing
            | Error::StatusTooOld { .. }
    )
}

/// What a license comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spoken<'a> {
    InForce(&'a License),
    Refused(&'a Held, &'a Error),
}

/// What each license comes to, by its tokens.
///
/// The newest revision decides: an amendment that is revoked does not bring back what it amended. A
/// revision that has not begun decides nothing yet.
pub(super) fn spoken(tokens: &[Held]) -> BTreeMap<LicenseId, Spoken<'_>> {
    let mut all: Vec<&Held> = tokens.iter().collect();
    // The newest revision first, and of one revision what is in force.
    all.sort_by_key(|held| {
        (
            held.license,
            u64::MAX - held.revision,
            held.verdict.is_err(),
        )
    });
    let mut found = BTreeMap::new();
    for held in all {
        let spoken = match &held.verdict {
            Ok(license) => Spoken::InForce(license),
            Err(error) => Spoken::Refused(held, error),
        };
        let known = found.entry(held.license).or_insert(spoken);
        let not_begun =
            |spoken: &Spoken<'_>| matches!(spoken, Spoken::Refused(_, Error::NotYetValid { .. }));
        if not_begun(known) && !not_begun(&spoken) {
            *known = spoken;
        }
    }
    found
}
