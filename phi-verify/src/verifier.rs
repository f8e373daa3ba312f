//! The checks of a license token, in their order, and the license that only they can make.

use crate::{
    Claims, UnixTime,
    claims::{Extension, Minimum},
    clock::{ClockPolicy, ClockVerdict},
    document::{DocumentKind, same_issuer},
    error::Error,
    fingerprint::{Binding, Fingerprint},
    key::KeyId,
    keyset::{KeyState, LicenseKey},
    log::{Inclusion, Proof},
    status::{Freshness, Revocation, Status, Verdict},
    terms::{Allowance, FlagCode, FlagSet, LimitCode, Quota, QuotaCode},
    token::UntrustedToken,
    trust::TrustState,
};

/// How far a machine's clock may lie behind the issuer's for a license that just began.
pub const NOT_BEFORE_LEEWAY: u64 = 5 * 60;

/// What an application asks of revocation. There is no default: whoever embeds a verifier
/// decides what a missing or an old list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationPolicy {
    /// Only a license that a fresh list knows to be good is accepted.
    Strict,
    /// A list is needed and may be late, up to its hard expiry; a license that is newer than the
    /// list is accepted, and one that is [probably](Verdict::Probable) revoked is not.
    Balanced,
    /// Only what a list at hand surely revokes is refused; no list is needed.
    Lenient,
}

/// Which tokens must come with a proof that they are in the issuer's ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProofPolicy {
    /// Those under a key that is revoked with a cut. Of others a proof is not looked at.
    #[default]
    WhereCut,
    /// Every one: who has stolen a license key alone, and not the ledger's, mints nothing that is
    /// accepted.
    Required,
}

/// Checks the license tokens of one product.
///
/// It only reads: one verifier can serve any number of threads.
#[derive(Clone, Debug)]
pub struct Verifier<'a> {
    trust: &'a TrustState,
    product: &'a str,
    revocation: RevocationPolicy,
    clock: ClockPolicy,
    proofs: ProofPolicy,
    machine: Option<&'a Fingerprint>,
}

impl<'a> Verifier<'a> {
    /// A verifier for the licenses of this product.
    pub const fn new(
        trust: &'a TrustState,
        product: &'a str,
        revocation: RevocationPolicy,
    ) -> Self {
        Self {
            trust,
            product,
            revocation,
            clock: ClockPolicy::Deny,
            proofs: ProofPolicy::WhereCut,
            machine: None,
        }
    }

    /// The machine that the application runs on, for licenses that are bound to one.
    #[must_use]
    pub const fn on_machine(self, machine: &'a Fingerprint) -> Self {
        Self {
            machine: Some(machine),
            ..self
        }
    }

    /// What to do when the clock was set back.
    #[must_use]
    pub const fn with_clock_policy(self, clock: ClockPolicy) -> Self {
        Self { clock, ..self }
    }

    /// Which tokens must come with a proof.
    #[must_use]
    pub const fn with_proof_policy(self, proofs: ProofPolicy) -> Self {
        Self { proofs, ..self }
    }

    /// Checks a token at this time. Nothing is allocated before the signature holds.
    ///
    /// # Errors
    /// The first check that fails, in the order of docs/spec.md, "Order of checks".
    pub fn verify(&self, token: &str, now: UnixTime) -> Result<License, Error> {
        self.check(token, None, now)
    }

    /// Checks a token that came with the text of a [`Proof`], as [`Verifier::verify`] does.
    ///
    /// # Errors
    /// Those of [`Verifier::verify`], and why the proof is refused where one is needed.
    pub fn verify_with_proof(
        &self,
        token: &str,
        proof: &str,
        now: UnixTime,
    ) -> Result<License, Error> {
        self.check(token, Some(proof), now)
    }

    pub(crate) fn check(
        &self,
        text: &str,
        proof: Option<&str>,
        now: UnixTime,
    ) -> Result<License, Error> {
        let mut token = UntrustedToken::parse(text)?;
        let entry = self.usable_key(token.key_id())?;
        let body = token.verify_license(&entry.key)?;
        let claims = Claims::decode(body).map_err(Error::License)?;
        same_issuer(&self.trust.root().issuer, &claims.issuer)?;
        self.check_product(&claims)?;
        check_window(entry, claims.issued_at)?;
        check_scope(entry, &claims)?;
        let inclusion = self.check_proof(entry, text, proof)?;
        self.check_minimum(claims.minimum)?;
        let clock = self.trust.clock(now);
        self.clock.check(now, clock)?;
        let now = self.trust.effective_time(now);
        let validity = check_time(&claims, now)?;
        self.check_machine(claims.binding.as_ref())?;
        let key_id = entry.key.id();
        let revocation = self.check_revocation(&claims, key_id, now)?;
        Ok(License {
            claims,
            key_id,
            validity,
            revocation,
            inclusion,
            clock,
        })
    }

    fn usable_key(&self, key_id: KeyId) -> Result<&'a LicenseKey, Error> {
        let keyset = self.trust.keyset().ok_or(Error::KeysetMissing)?;
        let entry = keyset.key(key_id).ok_or(Error::UnknownKey(key_id))?;
        match entry.state {
            KeyState::Staged => Err(Error::KeyNotActive(key_id)),
            KeyState::Revoked { cut: None } => Err(Error::KeyRevoked(key_id)),
            KeyState::Active { .. } | KeyState::Retired { .. } | KeyState::Revoked { .. } => {
                Ok(entry)
            }
        }
    }

    fn check_product(&self, claims: &Claims) -> Result<(), Error> {
        if claims.product == self.product {
            return Ok(());
        }
        let (expected, found) = (self.product.into(), claims.product.clone());
        Err(Error::ProductMismatch { expected, found })
    }

    /// That the token is in the ledger, and before its key's cut if it has one. A proof that
    /// nobody asks for is not looked at: it would refuse what is good without it.
    fn check_proof(
        &self,
        entry: &LicenseKey,
        token: &str,
        proof: Option<&str>,
    ) -> Result<Option<Inclusion>, Error> {
        let cut = entry.state.cut();
        if cut.is_none() && self.proofs == ProofPolicy::WhereCut {
            return Ok(None);
        }
        let key_id = entry.key.id();
        let proof = proof.ok_or(Error::ProofNeeded { key_id, cut })?;
        let inclusion = Proof::parse(proof)?.verify_token(token, self.trust.root())?;
        let index = inclusion.index();
        match cut.filter(|cut| index >= *cut) {
            Some(cut) => Err(Error::ProofAfterCut { key_id, index, cut }),
            None => Ok(Some(inclusion)),
        }
    }

    fn check_minimum(&self, minimum: Minimum) -> Result<(), Error> {
        let keyset = self.trust.keyset().map_or(0, |keyset| keyset.version);
        let status = self.trust.status().map_or(0, |status| status.epoch);
        for (kind, current, needed) in [
            (DocumentKind::Keyset, keyset, minimum.keyset),
            (DocumentKind::Status, status, minimum.status),
        ] {
            if current < needed {
                return Err(Error::StaleTrust {
                    kind,
                    current,
                    needed,
                });
            }
        }
        Ok(())
    }

    fn check_machine(&self, binding: Option<&Binding>) -> Result<(), Error> {
        let Some(binding) = binding else {
            return Ok(());
        };
        let machine = self.machine.ok_or(Error::MachineUnknown)?;
        let (matched, required) = (binding.matched(machine), binding.required());
        if matched < required {
            let of = binding.components().len();
            return Err(Error::MachineMismatch {
                matched,
                required,
                of,
            });
        }
        Ok(())
    }

    fn check_revocation(
        &self,
        claims: &Claims,
        key_id: KeyId,
        now: UnixTime,
    ) -> Result<Revocation, Error> {
        let Some(lists) = self.trust.lists() else {
            let needed =
                self.revocation != RevocationPolicy::Lenient || claims.max_status_age.is_some();
            if needed {
                return Err(Error::StatusMissing);
            }
            return Ok(Revocation {
                verdict: Verdict::NotCovered,
                freshness: Freshness::Missing,
                epoch: None,
                disabled: FlagSet::default(),
                newer: Some(claims.mint_epoch).filter(|epoch| *epoch > 0),
            });
        };
        let (status, verdict) = (lists.newest(), lists.verdict(claims, key_id));
        if let Verdict::Revoked { reason, rule } = verdict {
            let class = rule;
            return Err(Error::Revoked { class, reason });
        }
        self.check_age(status, claims, now)?;
        self.revocation.check(verdict, claims, status)?;
        Ok(Revocation {
            verdict,
            freshness: status.freshness(now),
            epoch: Some(status.epoch),
            disabled: lists.disabled_flags(claims),
            newer: Some(claims.mint_epoch).filter(|epoch| *epoch > status.epoch),
        })
    }

    /// The stricter of the application's limit and the license's own.
    fn check_age(&self, status: &Status, claims: &Claims, now: UnixTime) -> Result<(), Error> {
        let own = claims.max_status_age;
        let own = own.map(|age| status.this_update.plus(age));
        let policy = match self.revocation {
            RevocationPolicy::Strict => Some(status.next_update),
            RevocationPolicy::Balanced => Some(status.hard_expiry),
            RevocationPolicy::Lenient => None,
        };
        match own.into_iter().chain(policy).min() {
            Some(limit) if limit <= now => Err(Error::StatusTooOld { now, limit }),
            _ => Ok(()),
        }
    }
}

impl RevocationPolicy {
    /// Whether a token may be accepted of which the lists say this.
    fn check(self, verdict: Verdict, claims: &Claims, status: &Status) -> Result<(), Error> {
        match (self, verdict) {
            (Self::Strict | Self::Balanced, Verdict::Probable) => Err(Error::ProbablyRevoked),
            (Self::Strict, Verdict::NotCovered) => {
                let (mint_epoch, epoch) = (claims.mint_epoch, status.epoch);
                Err(Error::NotCovered { mint_epoch, epoch })
            }
            _ => Ok(()),
        }
    }
}

/// A key with a cut has no window: the thief writes the time of issue.
fn check_window(entry: &LicenseKey, issued_at: UnixTime) -> Result<(), Error> {
    if entry.state.signs_at(issued_at) || entry.state.cut().is_some() {
        return Ok(());
    }
    let key_id = entry.key.id();
    Err(match entry.state {
        KeyState::Active { from } => Error::KeyOutsideWindow {
            key_id,
            issued_at,
            from,
            until: None,
        },
        KeyState::Retired { from, until } => Error::KeyOutsideWindow {
            key_id,
            issued_at,
            from,
            until: Some(until),
        },
        KeyState::Staged => Error::KeyNotActive(key_id),
        KeyState::Revoked { .. } => Error::KeyRevoked(key_id),
    })
}

fn check_scope(entry: &LicenseKey, claims: &Claims) -> Result<(), Error> {
    let key_id = entry.key.id();
    let beyond = |exceeded| Error::KeyScope { key_id, exceeded };
    entry.scope.check(claims).map_err(beyond)
}

fn check_time(claims: &Claims, now: UnixTime) -> Result<Validity, Error> {
    let not_before = claims.begins();
    if now < not_before.minus(NOT_BEFORE_LEEWAY) {
        return Err(Error::NotYetValid { now, not_before });
    }
    let Some(expires) = claims.expires.filter(|expires| *expires <= now) else {
        return Ok(Validity::Valid);
    };
    let ends = expires.plus(claims.grace);
    if now < ends {
        return Ok(Validity::Grace {
            expired: expires,
            ends,
        });
    }
    let grace_ends = Some(ends).filter(|_| claims.grace > 0);
    Err(Error::Expired {
        now,
        expires,
        grace_ends,
    })
}

/// Whether a license is within its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Within its time.
    Valid,
    /// Past its expiry and still working: warn, and ask for the renewal.
    Grace {
        /// When the license expired.
        expired: UnixTime,
        /// When it stops working.
        ends: UnixTime,
    },
}

/// A verified license. It exists only as the result of [`Verifier::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    claims: Claims,
    key_id: KeyId,
    validity: Validity,
    revocation: Revocation,
    inclusion: Option<Inclusion>,
    clock: ClockVerdict,
}

impl License {
    /// Whether the feature is on: granted, and not revoked by the status list.
    pub fn has(&self, flag: FlagCode) -> bool {
        self.claims.terms.flags.contains(flag) && !self.revocation.disabled.contains(flag)
    }

    /// The features that are on, in ascending order of their codes.
    pub fn flags(&self) -> impl Iterator<Item = FlagCode> + '_ {
        self.claims
            .terms
            .flags
            .iter()
            .filter(|flag| !self.revocation.disabled.contains(*flag))
    }

    /// The quota, if any is granted.
    pub fn quota(&self, quota: QuotaCode) -> Option<Quota> {
        self.claims.terms.quotas.get(&quota).copied()
    }

    /// The concurrency limit, if any is granted.
    pub fn limit(&self, limit: LimitCode) -> Option<Allowance> {
        self.claims.terms.limits.get(&limit).copied()
    }

    /// The plan.
    pub fn plan(&self) -> &str {
        &self.claims.plan
    }

    /// The customer.
    pub fn customer(&self) -> &str {
        &self.claims.customer
    }

    /// When the license expires; `None` is a perpetual license.
    pub const fn expires(&self) -> Option<UnixTime> {
        self.claims.expires
    }

    /// Whether the license is within its time, or in grace.
    pub const fn validity(&self) -> Validity {
        self.validity
    }

    /// What the status lists said when the license was accepted, and how old they were.
    pub const fn revocation(&self) -> &Revocation {
        &self.revocation
    }

    /// What the clock was worth when the license was accepted.
    pub const fn clock(&self) -> ClockVerdict {
        self.clock
    }

    /// The extension claim of this negative number.
    pub fn extension(&self, number: i64) -> Option<&Extension> {
        self.claims.extensions.get(&number)
    }

    /// The key that signed the token.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// Where the ledger has the token, if a proof was [needed](ProofPolicy).
    pub const fn inclusion(&self) -> Option<&Inclusion> {
        self.inclusion.as_ref()
    }

    /// Everything that the token says. What a status list took away is still in there: ask
    /// [`License::has`] for features.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }
}
