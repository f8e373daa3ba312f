//! The gate: what an application asks before it does something.

#[cfg(feature = "async")]
mod awaited;
mod borrow;
#[cfg(feature = "http")]
mod terms;

use std::{
    collections::BTreeMap,
    fmt,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use phi_verify::{
    Allowance, FlagCode, FlagSet, License, LicenseId, LimitCode, Quota, QuotaCode, UnixTime,
};

use crate::{
    agent::{Awaited, LeaseCell, SeatKey, SeatTerms, SeatView, Slot, Terms},
    clock::{Boot, evictor_wait},
    groups::Reserved,
    node::Hub,
    refusal::Refusal,
    slice::Spend,
    store::{MAX_NAME, MAX_SLICE, Occupant, Overage, Patience, Pool, QuotaKey},
};

/// A call that waits for the store waits this long: an application's own callers wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a seat is held without a renewal unless a policy says otherwise: a seat of a process
/// that died is free again a little later than this.
pub const LEASE: Duration = Duration::from_secs(10);

/// What an application adds to a license's terms. Everything that is not named is strict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    quotas: BTreeMap<QuotaCode, QuotaPolicy>,
    seats: BTreeMap<LimitCode, SeatPolicy>,
}

/// What happens near a quota's limit and beyond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaPolicy {
    /// From this much on in a period, decisions say so.
    pub soft: Option<u64>,
    /// What happens beyond the limit.
    pub overage: Overage,
}

/// How seats are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatPolicy {
    /// How long a seat is held without a renewal; the store has a longest.
    pub lease: Duration,
    /// How many more seats are given out beyond the limit.
    pub extra: u64,
    /// How many seats are kept for the holders of which group ([`Gate::of_group`]). They fill those
    /// first, and share the others with everybody.
    pub reserved: Reserved,
    /// Whether and how seats may be taken along ([`Gate::borrow`]); not at all unless said.
    pub borrowing: Option<Borrowing>,
}

/// How seats may be taken along by machines without a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borrowing {
    /// For how long at most.
    pub longest: Duration,
    /// How many of a hundred seats may be away at once, rounded down.
    pub percent: u8,
}

impl Default for SeatPolicy {
    fn default() -> Self {
        Self {
            lease: LEASE,
            extra: 0,
            reserved: Reserved::default(),
            borrowing: None,
        }
    }
}

impl Policy {
    /// With this policy for a quota.
    #[must_use]
    pub fn quota(mut self, quota: QuotaCode, policy: QuotaPolicy) -> Self {
        self.quotas.insert(quota, policy);
        self
    }

    /// With this policy for seats.
    #[must_use]
    pub fn seats(mut self, limit: LimitCode, policy: SeatPolicy) -> Self {
        self.seats.insert(limit, policy);
        self
    }
}

/// Units that were taken: the application may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How much is left of the period, here and in the store, as of its last answer.
    pub left: u64,
    /// When the period ends.
    pub resets: Option<UnixTime>,
    /// How the use so far lies to the limit, as of the store's last answer.
    pub standing: Standing,
}

/// How the use of a quota lies to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Within it.
    Within,
    /// Within it, and from the soft limit on.
    Soft,
    /// Beyond it, as the policy allows.
    Beyond,
}

/// A quota as decisions need it.
#[derive(Debug)]
struct Counted {
    slot: Arc<Slot>,
    quota: Quota,
    policy: QuotaPolicy,
}

/// Why units were not taken.
enum Untaken {
    Refused(Refusal),
    /// The store is asked for them.
    Awaits(Awaited),
}

impl From<Refusal> for Untaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Untaken> for Refusal {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Refused(refusal) => refusal,
            Untaken::Awaits(_) => Self::NotYet,
        }
    }
}

/// What holds at a moment: replaced as a whole, and never changed.
struct Snapshot {
    force: Force,
    revision: u64,
    flags: FlagSet,
    quotas: Vec<Option<Counted>>,
    limits: BTreeMap<LimitCode, Allowance>,
}

/// Whether there is a license.
enum Force {
    Until(Option<UnixTime>),
    Refused(&'static str),
}

/// The gate of one license. It is cheap to clone, and any number of threads may use it.
#[derive(Clone)]
pub struct Gate {
    ward: Arc<Ward>,
    /// Whose seats are asked for.
    group: Option<Arc<str>>,
}

struct Ward {
    hub: Arc<Hub>,
    license: LicenseId,
    policy: Policy,
    snapshot: ArcSwap<Snapshot>,
    /// The latest second that was seen: a wall clock that is set back revives nothing.
    latest: AtomicU64,
    /// One change at a time.
    changing: Mutex<()>,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("license", &self.ward.license)
            .finish_non_exhaustive()
    }
}

impl Gate {
    pub(crate) fn new(hub: Arc<Hub>, license: &License, policy: Policy) -> Self {
        let ward = Ward {
            license: license.claims().license_id,
            policy,
            snapshot: ArcSwap::from_pointee(Snapshot::refused("")),
            latest: AtomicU64::new(0),
            changing: Mutex::new(()),
            hub,
        };
        ward.replace(license);
        Self {
            ward: Arc::new(ward),
            group: None,
        }
    }

    /// The same gate for holders of a group, for which a policy may keep seats
    /// ([`SeatPolicy::reserved`]). A holder that has a seat stays of the group with which it took
    /// it. The empty name is no group.
    #[must_use]
    pub fn of_group(&self, group: &str) -> Self {
        Self {
            ward: Arc::clone(&self.ward),
            group: (!group.is_empty()).then(|| group.into()),
        }
    }

    /// Whether the feature is on. No store is asked, and nothing is allocated.
    ///
    /// # Errors
    /// [`Refusal::Unlicensed`], [`Refusal::Ended`] or [`Refusal::NotGranted`].
    pub fn check(&self, flag: FlagCode) -> Result<(), Refusal> {
        let snapshot = self.ward.snapshot.load();
        self.ward.in_force(&snapshot)?;
        if snapshot.flags.contains(flag) {
            Ok(())
        } else {
            Err(Refusal::NotGranted)
        }
    }

    /// Takes units of a quota, all of them or none. As a rule they are in the hand of the node;
    /// if they are not, the call waits for the store, for two seconds at most.
    ///
    /// # Errors
    /// Why it is not admitted. Nothing was taken.
    pub fn take(&self, quota: QuotaCode, units: u64) -> Result<Taken, Refusal> {
        let hub = &self.ward.hub;
        let mut until = None;
        loop {
            let awaited = match self.ward.take(quota, units) {
                Err(Untaken::Awaits(awaited)) => awaited,
                answer => return answer.map_err(Refusal::from),
            };
            let until = *until.get_or_insert_with(|| hub.clock.now().boot.plus(PATIENCE));
            match hub.judge(Err(Refusal::NotYet), until) {
                ControlFlow::Break(answer) => return answer,
                ControlFlow::Continue(most) => awaited.wait(most),
            }
        }
    }

    /// As [`Gate::take`], without waiting: [`Refusal::NotYet`] says to try again when the store
    /// has answered.
    ///
    /// # Errors
    /// Why it is not admitted. Nothing was taken.
    pub fn try_take(&self, quota: QuotaCode, units: u64) -> Result<Taken, Refusal> {
        self.ward.take(quota, units).map_err(Refusal::from)
    }

    /// Takes a seat, if one is free. The seat is held, and renewed by the node, until the lease
    /// and its clones are dropped.
    ///
    /// # Errors
    /// Why there is none.
    pub fn lease(&self, limit: LimitCode, occupant: &Occupant) -> Result<Lease, Refusal> {
        let until = self.ward.hub.clock.now().boot.plus(PATIENCE);
        let taken = self.waiting(until, || self.try_lease(limit, occupant, Patience::Leave));
        if taken.is_err() {
            self.abandon(limit, occupant);
        }
        taken
    }

    /// Takes a seat, or waits in the queue for one, at most this long.
    ///
    /// # Errors
    /// Why there was none.
    pub fn lease_within(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        most: Duration,
    ) -> Result<Lease, Refusal> {
        let until = self.ward.hub.clock.now().boot.plus(most);
        let taken = self.waiting(until, || self.try_lease(limit, occupant, Patience::Queue));
        if taken.is_err() {
            self.abandon(limit, occupant);
        }
        taken
    }

    /// Takes a seat without waiting: [`Refusal::NotYet`] says to try again, and so does
    /// [`Refusal::Full`] with a place in the queue. Whoever does not try again [abandons](Self::abandon)
    /// the claim.
    ///
    /// # Errors
    /// Why there is none, yet or at all.
    pub fn try_lease(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        patience: Patience,
    ) -> Result<Lease, Refusal> {
        let group = self.group.clone();
        self.ward.claim(limit, occupant, group, patience)
    }

    /// Gives up a claim of [`Gate::try_lease`] that was not answered with a lease.
    pub fn abandon(&self, limit: LimitCode, occupant: &Occupant) {
        let key = self.ward.seat_key(limit, occupant);
        let mut agent = self.ward.hub.agent();
        agent.seats.abandon(&key);
        drop(agent);
        self.ward.hub.wake();
    }

    /// Puts another verified license in place of this one: an amendment, a renewal, the same under
    /// another status list. It holds for every decision after this call, and every counter goes on.
    ///
    /// # Errors
    /// The id of the license, if it is not the one of this gate.
    pub fn replace(&self, license: &License) -> Result<(), LicenseId> {
        let found = license.claims().license_id;
        if found != self.ward.license {
            return Err(found);
        }
        self.ward.replace(license);
        Ok(())
    }

    /// Ends what the license allows, because verification refused it: revoked, suspended, expired.
    /// The code of that error goes into refusals. Seats are given up, and units that nobody spent
    /// go back. [`Gate::replace`] puts a license in force again.
    pub fn refuse(&self, code: &'static str) {
        self.ward.refuse(code);
    }

    /// Tries until it is answered, or until then.
    fn waiting<T>(
        &self,
        until: Boot,
        attempt: impl Fn() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let hub = &self.ward.hub;
        loop {
            let known = hub.answers();
            match hub.judge(attempt(), until) {
                ControlFlow::Break(answer) => return answer,
                ControlFlow::Continue(most) => hub.wait(known, most),
            }
        }
    }
}

impl Hub {
    /// Whether this is the answer for a caller who waits until then, or how long another one is
    /// waited for.
    fn judge<T>(
        &self,
        answer: Result<T, Refusal>,
        until: Boot,
    ) -> ControlFlow<Result<T, Refusal>, Duration> {
        let refusal = match answer {
            Err(refusal @ (Refusal::NotYet | Refusal::Full { ahead: Some(_) })) => refusal,
            answer => return ControlFlow::Break(answer),
        };
        let now = self.clock.now().boot;
        if now < until {
            return ControlFlow::Continue(until.since(now));
        }
        ControlFlow::Break(Err(match refusal {
            Refusal::NotYet => Refusal::Unavailable(self.agent().fault()),
            other => other,
        }))
    }
}

impl Snapshot {
    fn refused(code: &'static str) -> Self {
        Self {
            force: Force::Refused(code),
            revision: 0,
            flags: FlagSet::default(),
            quotas: Vec::new(),
            limits: BTreeMap::new(),
        }
    }
}

impl Counted {
    /// A decision, from what the store said last.
    fn taken(&self, left: u64) -> Taken {
        Taken {
            left,
            resets: self.resets(),
            standing: self.standing(left),
        }
    }

    fn resets(&self) -> Option<UnixTime> {
        // What does not end has a number that is no time.
        UnixTime::new(self.slot.resets.load(Ordering::Relaxed))
    }

    fn standing(&self, left: u64) -> Standing {
        let Allowance::Limited(limit) = self.quota.allowance else {
            return Standing::Within;
        };
        let extra = self.policy.overage.extra();
        let used = limit.saturating_add(extra).saturating_sub(left);
        if used > limit {
            Standing::Beyond
        } else if self.policy.soft.is_some_and(|soft| used >= soft) {
            Standing::Soft
        } else {
            Standing::Within
        }
    }
}

impl Ward {
    fn in_force(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        match snapshot.force {
            Force::Until(None) => Ok(()),
            Force::Until(Some(ends)) => {
                let now = self.hub.clock.wall().second().seconds();
                let latest = self.latest.load(Ordering::Relaxed);
                if now > latest {
                    self.latest.fetch_max(now, Ordering::Relaxed);
                }
                if now.max(latest) < ends.seconds() {
                    Ok(())
                } else {
                    Err(Refusal::Ended(ends))
                }
            }
            Force::Refused(code) => Err(Refusal::Unlicensed(code)),
        }
    }

    fn take(&self, quota: QuotaCode, units: u64) -> Result<Taken, Untaken> {
        let snapshot = self.snapshot.load();
        self.in_force(&snapshot)?;
        let counted = snapshot.quotas.get(usize::from(quota.get()));
        let counted = counted.and_then(Option::as_ref);
        let counted = counted.ok_or(Refusal::NotGranted)?;
        let now = self.hub.now().boot;
        let slot = &*counted.slot;
        match slot.slice.spend(units, now) {
            Spend::Done(left) => {
                if slot.is_low(left.in_hand) {
                    self.hub.refill(slot);
                }
                let in_all = left.in_all.unwrap_or_else(|| self.left_in_all(slot));
                Ok(counted.taken(in_all))
            }
            Spend::Short(_) | Spend::Late => self.ask_for(counted, units, now),
        }
    }

    /// What is left, without an answer that comes meanwhile.
    #[cold]
    fn left_in_all(&self, slot: &Slot) -> u64 {
        let _answers_wait = self.hub.agent();
        slot.slice.in_all()
    }

    /// What the hand does not have is asked of the store.
    #[cold]
    fn ask_for(&self, counted: &Counted, units: u64, now: Boot) -> Result<Taken, Untaken> {
        let slot = &counted.slot;
        let mut agent = self.hub.agent();
        if agent.is_stopping() {
            return Err(Refusal::Stopping.into());
        }
        // Units may have come while the lock was waited for.
        if let Spend::Done(left) = slot.slice.spend(units, now) {
            return Ok(counted.taken(left.in_all.unwrap_or_else(|| slot.slice.in_all())));
        }
        let exhausted = |retry_after| {
            Untaken::Refused(Refusal::Exhausted {
                left: slot.slice.in_all(),
                resets: counted.resets(),
                retry_after,
            })
        };
        if units > MAX_SLICE {
            return Err(exhausted(Duration::MAX));
        }
        if let Some(retry_after) = agent.quotas.account(slot).refused(units, now) {
            return Err(exhausted(retry_after));
        }
        if let Some(wait) = agent.learning(now) {
            return Err(Refusal::Learning { wait }.into());
        }
        if agent.fault().is_some() && agent.is_waiting() {
            return Err(Refusal::Unavailable(agent.fault()).into());
        }
        agent.quotas.account(slot).need(units);
        agent.quotas.want(slot);
        let awaited = Awaited::new(slot);
        drop(agent);
        self.hub.wake();
        Err(Untaken::Awaits(awaited))
    }

    fn seat_key(&self, limit: LimitCode, occupant: &Occupant) -> SeatKey {
        SeatKey {
            pool: Pool {
                license: self.license,
                limit,
            },
            occupant: occupant.clone(),
        }
    }

    fn claim(
        &self,
        limit: LimitCode,
        occupant: &Occupant,
        group: Option<Arc<str>>,
        patience: Patience,
    ) -> Result<Lease, Refusal> {
        let snapshot = self.snapshot.load();
        self.in_force(&snapshot)?;
        let seats = *snapshot.limits.get(&limit).ok_or(Refusal::NotGranted)?;
        let group_name = group.as_deref().unwrap_or_default();
        let names = [&occupant.holder, &occupant.session, group_name];
        if names.iter().any(|name| name.len() > MAX_NAME) {
            return Err(Refusal::NameTooLong);
        }
        let policy = self.policy.seats.get(&limit).cloned().unwrap_or_default();
        let terms = SeatTerms {
            revision: snapshot.revision,
            seats,
            extra: policy.extra,
            reserved: policy.reserved,
            group,
            lease: policy.lease.max(SHORTEST_LEASE),
        };
        let key = self.seat_key(limit, occupant);
        let now = self.hub.now().boot;
        let mut agent = self.hub.agent();
        if agent.is_stopping() {
            return Err(Refusal::Stopping);
        }
        let view = agent.seats.claim(&key, terms, patience);
        let learning = agent.learning(now);
        let fault = agent.fault().filter(|_| agent.is_waiting());
        match view {
            SeatView::Held(cell) => {
                let owner = agent.seats.owner(&key, || Owner {
                    hub: Arc::clone(&self.hub),
                    key: key.clone(),
                    cell: Arc::clone(&cell),
                });
                Ok(Lease { owner })
            }
            SeatView::Full(ahead) => Err(Refusal::Full { ahead }),
            SeatView::Pending => {
                drop(agent);
                self.hub.wake();
                Err(match (learning, fault) {
                    (Some(wait), _) if patience == Patience::Leave => Refusal::Learning { wait },
                    (None, Some(_)) => Refusal::Unavailable(fault),
                    _ => Refusal::NotYet,
                })
            }
        }
    }

    fn replace(&self, license: &License) {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = license.claims();
        let revision = claims.license_revision;
        let before = self.snapshot.load_full();
        let mut agent = self.hub.agent();
        let mut quotas: Vec<Option<Counted>> = Vec::new();
        for (code, quota) in &claims.terms.quotas {
            let policy = self.policy.quotas.get(code).copied().unwrap_or_default();
            let terms = Terms {
                revision,
                quota: *quota,
                overage: policy.overage,
            };
            let slot = agent.quotas.open(self.quota_key(*code), terms);
            let index = usize::from(code.get());
            quotas.resize_with(index + 1, || None);
            quotas[index] = Some(Counted {
                slot,
                quota: *quota,
                policy,
            });
        }
        for code in before.codes() {
            if !claims.terms.quotas.contains_key(&code) {
                agent.quotas.close(self.quota_key(code), revision);
            }
        }
        self.snapshot.store(Arc::new(Snapshot {
            force: Force::Until(license.expires().map(|ends| ends.plus(claims.grace))),
            revision,
            flags: license.flags().collect(),
            quotas,
            limits: claims.terms.limits.clone(),
        }));
        drop(agent);
        drop(changing);
        self.hub.wake();
    }

    fn refuse(&self, code: &'static str) {
        let changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.load_full();
        let mut agent = self.hub.agent();
        self.snapshot.store(Arc::new(Snapshot::refused(code)));
        for counted in before.quotas.iter().flatten() {
            agent.quotas.return_slot(&counted.slot);
        }
        agent.seats.leave_license(self.license);
        drop(agent);
        drop(changing);
        self.hub.wake();
    }

    const fn quota_key(&self, quota: QuotaCode) -> QuotaKey {
        QuotaKey {
            license: self.license,
            quota,
        }
    }
}

impl Snapshot {
    fn codes(&self) -> impl Iterator<Item = QuotaCode> + '_ {
        let codes = (0..).zip(&self.quotas);
        codes.filter_map(|(code, counted)| {
            counted.as_ref()?;
            QuotaCode::checked(code)
        })
    }
}

/// A lease is not shorter than this, or a busy machine would lose it between two renewals.
const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// The node holds a seat as long as somebody has this.
#[derive(Debug)]
pub(crate) struct Owner {
    hub: Arc<Hub>,
    key: SeatKey,
    cell: Arc<LeaseCell>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut agent = self.hub.agent();
        agent.seats.leave(&self.key, &self.cell);
        drop(agent);
        self.hub.wake();
    }
}

/// A seat that is held.
///
/// The node renews it. If it cannot, the seat ends by the node's own clock before anyone else is
/// given it: [`Lease::check`] says so.
#[derive(Clone, Debug)]
pub struct Lease {
    owner: Arc<Owner>,
}

impl Lease {
    /// Whether the seat is held at this moment. Ask before each thing that only a holder may do.
    ///
    /// # Errors
    /// [`Refusal::SeatLost`] or [`Refusal::SeatLate`].
    pub fn check(&self) -> Result<(), Refusal> {
        let now = self.owner.hub.now().boot;
        let cell = &self.owner.cell;
        if now < cell.until() {
            Ok(())
        } else if cell.is_lost() {
            Err(Refusal::SeatLost)
        } else {
            Err(Refusal::SeatLate)
        }
    }

    /// For how long somebody else may use the seat, who measures it by a clock of its own, from
    /// before it asked. Whatever happens here, the seat is not given back before the slowest clock
    /// has shown that much: not when this is dropped, nor when the license is refused or the node
    /// stops.
    ///
    /// # Errors
    /// As [`Lease::check`]; nothing is promised then.
    pub fn promise(&self) -> Result<Duration, Refusal> {
        let now = self.owner.hub.now().boot;
        let cell = &self.owner.cell;
        let left = cell.until().since(now);
        if !left.is_zero() {
            cell.promise(now.plus(evictor_wait(left)));
        }
        self.check()?;
        Ok(left)
    }

    /// Whoever was [promised](Self::promise) the seat has stopped: when this is dropped, the seat
    /// is given back at once.
    pub fn take_back(&self) {
        self.owner.cell.take_back();
    }

    /// The number of the seat. It rises with every seat that is given out: whatever the holder
    /// writes to elsewhere refuses a number that is lower than one it has seen.
    pub fn fence(&self) -> u64 {
        self.owner.cell.fence.load(Ordering::Acquire)
    }

    /// Who is on it.
    pub fn occupant(&self) -> &Occupant {
        &self.owner.key.occupant
    }
}
