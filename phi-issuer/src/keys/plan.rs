//! Plans: what the next steps in the lives of license keys are, and what they would take.
//!
//! Nothing here is recorded. A retired key's window never ends before its last token, and a key
//! is dropped when nothing under it is live any more: rules of the ledger see to both. What takes
//! live tokens from customers is dropping a key earlier, and revoking it.

use phi_verify::{KeyId, KeyState, LicenseId, RuleClass, TokenId, UnixTime};

use super::{DROP_LEEWAY, KeyRecord, Role, after_last_token, find};
use crate::{
    Issuer,
    error::Error,
    revoke::{self, RevokeRequest},
    store::Query,
};

/// The live licenses that a step would leave without a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// How many live tokens are lost.
    pub tokens: u64,
    /// Of how many licenses they are.
    pub licenses: u64,
    /// The first of these, in the order of their oldest token.
    pub first: Vec<Orphan>,
}

/// A license whose tokens would be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The license.
    pub license: LicenseId,
    /// Its customer.
    pub customer: String,
    /// Its product.
    pub product: String,
    /// How many of its live tokens.
    pub tokens: u64,
    /// When the last of them ends; `None` is never.
    pub ends: Option<UnixTime>,
}

/// Which live tokens of a key are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that events after this one minted.
    AfterEvent(u64),
    /// Those that end after this time.
    EndingAfter(UnixTime),
}

/// What revoking a license key would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationPlan {
    /// The size of the newest checkpoint: the latest cut that there can be.
    pub checkpoint: Option<u64>,
    /// Live tokens before the cut: each stays valid with a proof that it is in the ledger.
    pub kept: u64,
    /// Live tokens after it.
    pub lost: Orphans,
    /// How many of these no checkpoint covers: a new one would let a cut keep them.
    pub not_covered: u64,
}

/// A step in the life of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// The key is made and waits.
    Stage,
    /// A keyset or a root announces it to applications.
    Announce,
    /// It begins to sign.
    Activate,
    /// The key before it signs no more.
    Retire,
    /// The key before it leaves the keyset.
    Drop,
}

impl KeyStep {
    /// The step's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Announce => "announce",
            Self::Activate => "activate",
            Self::Retire => "retire",
            Self::Drop => "drop",
        }
    }
}

/// When a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepTime {
    /// It was, at this time.
    Done(UnixTime),
    /// It is due at this time.
    Due(UnixTime),
    /// It never is: a token that never ends holds it up.
    Never,
}

/// A step with its time and what it would take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStep {
    /// The step.
    pub step: KeyStep,
    /// The key; `None` is one that the rotation makes.
    pub key: Option<KeyId>,
    /// When.
    pub time: StepTime,
    /// What it would take.
    pub orphans: Orphans,
}

/// A rotation of license keys, step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationPlan {
    /// The key that takes over, if it was made already.
    pub new: Option<KeyId>,
    /// The key that it succeeds; a revoked one leaves none.
    pub old: Option<KeyId>,
    /// In the order of their times.
    pub steps: Vec<PlannedStep>,
}

impl RotationPlan {
    /// Whether applications were told of the key that takes over.
    pub fn is_announced(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.step == KeyStep::Announce && matches!(step.time, StepTime::Done(_)))
    }

    /// The live tokens that the steps would take together.
    pub fn orphaned(&self) -> u64 {
        self.steps.iter().map(|step| step.orphans.tokens).sum()
    }
}

/// A key with what is live under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLife {
    /// The key.
    pub key: KeyRecord,
    /// When it was revoked.
    pub revoked: Option<UnixTime>,
    /// Live tokens under it: of a key that was cut, those that its cut keeps, and of one that was
    /// revoked without a cut none.
    pub live: u64,
    /// When the last of them ends; `None` if there are none, or if one never ends.
    pub last_ends: Option<UnixTime>,
}

impl Issuer {
    /// What revoking a license key with this cut would do; the first `list` of the licenses that
    /// it would leave without a token.
    ///
    /// # Errors
    /// As [`Issuer::revoke`].
    pub fn plan_key_revocation(
        &mut self,
        request: &RevokeRequest,
        key_id: KeyId,
        list: usize,
        now: UnixTime,
    ) -> Result<RevocationPlan, Error> {
        self.store.read(|query| {
            revoke::check(query, request)?;
            let all = query.orphans(key_id, Reach::AfterEvent(0), now, 0)?.tokens;
            let after = Reach::AfterEvent(request.cut.unwrap_or(0));
            let orphans = query.orphans(key_id, after, now, list)?;
            let checkpoint = query.newest_checkpoint()?.map(|newest| newest.size);
            let covered = Reach::AfterEvent(checkpoint.unwrap_or(0));
            Ok(RevocationPlan {
                checkpoint,
                kept: all - orphans.tokens,
                lost: orphans,
                not_covered: query.orphans(key_id, covered, now, 0)?.tokens,
            })
        })
    }

    /// The live tokens of a key that its cut keeps, in the order of minting: those of which
    /// proofs are to be handed out.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such key.
    pub fn tokens_kept(&mut self, key_id: KeyId, now: UnixTime) -> Result<Vec<TokenId>, Error> {
        self.store.read(|query| {
            let cut = find(query, key_id)?.cut;
            query.live_tokens_under(key_id, cut, now)
        })
    }

    /// The keys that were cut, each with how many live tokens its cut keeps: those are good with a
    /// proof alone, which is to be made again when the ledger's keys are replaced.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn tokens_by_proof(&mut self, now: UnixTime) -> Result<Vec<(KeyId, u64)>, Error> {
        self.store.read(|query| {
            let mut kept = Vec::new();
            for row in query.keys()? {
                if let Some(KeyState::Revoked { cut: Some(cut) }) = row.state() {
                    let id = row.public.id();
                    let live = query.live_tokens_under(id, Some(cut), now)?.len();
                    kept.extend((live > 0).then_some((id, live as u64)));
                }
            }
            Ok(kept)
        })
    }

    /// The steps of a rotation of license keys at this time, of those with the scope of `like` or
    /// without one. `drop_at` asks what dropping the old key then would take, instead of when
    /// nothing is live under it any more; of what each step takes, the first `list` licenses.
    ///
    /// # Errors
    /// As [`Issuer::plan_rotation`].
    pub fn plan_license_rotation(
        &mut self,
        like: Option<KeyId>,
        at: UnixTime,
        drop_at: Option<UnixTime>,
        list: usize,
        now: UnixTime,
    ) -> Result<RotationPlan, Error> {
        let (new, old) = self.plan_rotation(Role::License, like, at, now)?;
        let announced = self.announced(new)?;
        self.store.read(|query| {
            let staged = match new {
                Some(key_id) => StepTime::Done(find(query, key_id)?.added),
                None => StepTime::Due(now),
            };
            let announced = announced.map_or(StepTime::Due(now), StepTime::Done);
            let mut steps = vec![
                step(KeyStep::Stage, new, staged),
                step(KeyStep::Announce, new, announced),
                step(KeyStep::Activate, new, StepTime::Due(at)),
            ];
            if let Some(key_id) = old {
                let until = after_last_token(query, key_id, at)?;
                steps.push(step(KeyStep::Retire, old, StepTime::Due(until)));
                steps.push(drop_step(query, key_id, until, drop_at, list, now)?);
            }
            Ok(RotationPlan { new, old, steps })
        })
    }

    /// When the published keyset was made, if it has the key.
    fn announced(&mut self, key_id: Option<KeyId>) -> Result<Option<UnixTime>, Error> {
        let Some(key_id) = key_id else {
            return Ok(None);
        };
        let trust = self.trust_state()?;
        let keyset = trust.keyset().filter(|keyset| keyset.key(key_id).is_some());
        Ok(keyset.map(|keyset| keyset.issued_at))
    }

    /// Every key with what is live under it, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn key_lives(&mut self, now: UnixTime) -> Result<Vec<KeyLife>, Error> {
        let keys = self.keys()?;
        self.store.read(|query| {
            let life = |key: KeyRecord| {
                let id = key.public.id();
                let up_to = match key.state {
                    Some(KeyState::Revoked { cut }) => cut.unwrap_or(0),
                    _ => u64::MAX,
                };
                let (live, last_ends) = query.live_under(id, up_to, now)?;
                let revoked = query.revocation(RuleClass::Key, &id.to_string())?;
                Ok(KeyLife {
                    key,
                    revoked: revoked.map(|revocation| revocation.since),
                    live,
                    last_ends,
                })
            };
            keys.into_iter().map(life).collect()
        })
    }
}

fn step(step: KeyStep, key: Option<KeyId>, time: StepTime) -> PlannedStep {
    PlannedStep {
        step,
        key,
        time,
        orphans: Orphans::default(),
    }
}

fn drop_step(
    query: &Query<'_>,
    key_id: KeyId,
    until: UnixTime,
    drop_at: Option<UnixTime>,
    list: usize,
    now: UnixTime,
) -> Result<PlannedStep, Error> {
    if let Some(at) = drop_at {
        return Ok(PlannedStep {
            orphans: query.orphans(key_id, Reach::EndingAfter(at), now, list)?,
            ..step(KeyStep::Drop, Some(key_id), StepTime::Due(at))
        });
    }
    let earliest = until.plus(DROP_LEEWAY);
    let time = match query.live_under(key_id, u64::MAX, now)? {
        (0, _) => StepTime::Due(earliest),
        (_, Some(ends)) => StepTime::Due(ends.max(earliest)),
        (_, None) => StepTime::Never,
    };
    Ok(step(KeyStep::Drop, Some(key_id), time))
}
