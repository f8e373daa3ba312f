//! What a node does for its clients, whatever protocol they speak.
//!
//! Every call takes the [`Client`] that makes it, and does nothing that its scopes do not allow.
//! Who a client is, and how answers are written, is left to the doors.

mod answers;
mod denied;
mod gauges;
mod loans;
mod repeats;
mod reports;

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use phi_enforce::{
    Clock, Counts, Gate, Health, MAX_NAME, MAX_SLICE, Node, Policy, Pool, RateLimit, Refusal,
    Rejection, SiteKey, StoreError,
};
use phi_verify::{License, LicenseId, UnixTime};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use self::repeats::{Begun, Repeats};
pub use self::{
    answers::{
        BorrowedAnswer, Checked, DocumentAnswer, LicenseAnswer, LicensesAnswer, LimitAnswer,
        Limited, LimitedBy, Occupied, PartAnswer, QuotaAnswer, Readiness, Reason, SeatAnswer,
        SeatDay, TakenAnswer, TrustAnswer, UsageAnswer, Used, Where,
    },
    denied::Denied,
    loans::Borrow,
    repeats::{MAX_KEY, MAX_REMEMBERED, MAX_REMEMBERED_EACH, REMEMBERED},
};
use crate::{
    clients::{Client, Right},
    engine::Engine,
    licenses::{Entry, Licenses, Shelf, Standing},
    sessions::{Claimed, NoSeat, Sessions, session_parts},
    watch::decided,
};

/// A claim waits in the queue at most this long: clients and what lies between give up after a
/// minute.
pub const MAX_WAIT: Duration = Duration::from_secs(60);
/// So many calls may wait for the store or for a seat at once: each has some kilobytes.
pub const MAX_WAITING: usize = 16 * 1024;
/// So many calls may read the store at once, beside what the node needs of it: a store reads for one
/// at a time.
const MAX_READING: usize = 2;
/// A list of seats has at most so many: a page for people.
pub const MAX_LISTED: usize = 1000;

/// A node's calls.
pub struct Service {
    licenses: Licenses,
    sessions: Sessions,
    repeats: Repeats,
    engine: Engine,
    node: Running,
    clock: Arc<dyn Clock>,
    waiting: Semaphore,
    reading: Arc<Semaphore>,
    /// What the store said when it was asked last.
    store: Mutex<Option<StoreError>>,
    draining: AtomicBool,
    /// What seats are lent with, if they are.
    site_key: Option<Arc<SiteKey>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

/// The node behind the gates, until it is closed.
#[derive(Clone, Debug)]
pub struct Running(Arc<Mutex<Option<Node>>>);

impl Running {
    /// This node.
    pub fn new(node: Node) -> Self {
        Self(Arc::new(Mutex::new(Some(node))))
    }

    /// A gate for the license, as long as the node runs.
    pub fn gate(&self, license: &License, policy: Policy) -> Option<Gate> {
        let node = self.node();
        node.as_ref().map(|node| node.gate(license, policy))
    }

    fn health(&self) -> Health {
        let health = self.node().as_ref().map(Node::health);
        health.unwrap_or(Health {
            fault: None,
            learning: None,
        })
    }

    fn counts(&self) -> Counts {
        self.node().as_ref().map(Node::counts).unwrap_or_default()
    }

    fn close(&self) {
        let node = self.node().take();
        // It is dropped when nobody waits for the lock.
        drop(node);
    }

    fn node(&self) -> MutexGuard<'_, Option<Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Units that are to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The license; it may be left out where the client has one.
    pub license: Option<String>,
    /// The name or the number of the quota.
    pub quota: String,
    /// How many.
    pub units: u64,
    /// A name for this call: whoever asks for the same under it again has the answer that it had.
    pub key: Option<String>,
}

impl Take {
    /// What is asked for, part by part.
    fn asked(&self) -> [Vec<u8>; 4] {
        let license = self.license.as_deref();
        [
            vec![u8::from(license.is_some())],
            license.unwrap_or_default().into(),
            self.quota.as_str().into(),
            self.units.to_le_bytes().into(),
        ]
    }
}

/// When units were given that a call asks for.
enum Given {
    Now(Limited<TakenAnswer>),
    Before(Arc<Limited<TakenAnswer>>),
}

/// A claim of a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The license; it may be left out where the client has one.
    pub license: Option<String>,
    /// The name or the number of the concurrency limit.
    pub limit: String,
    /// Who is counted: the client itself, unless said.
    pub holder: Option<String>,
    /// Of which group, for which a policy may keep seats: the client's, unless said.
    pub group: Option<String>,
    /// A name for this use of the seat. Whoever claims again with the same one has the same seat.
    pub session: String,
    /// How long to wait in the queue, if every seat is taken.
    pub wait: Option<Duration>,
}

impl Service {
    /// The calls of this node.
    pub fn new(licenses: Licenses, engine: Engine, node: Running, clock: Arc<dyn Clock>) -> Self {
        Self {
            licenses,
            sessions: Sessions::new(Arc::clone(&clock)),
            repeats: Repeats::new(Arc::clone(&clock)),
            engine,
            node,
            clock,
            waiting: Semaphore::new(MAX_WAITING),
            reading: Arc::new(Semaphore::new(MAX_READING)),
            store: Mutex::new(None),
            draining: AtomicBool::new(false),
            site_key: None,
        }
    }

    /// With the key of the site, with which seats are lent.
    #[must_use]
    pub fn with_site_key(mut self, key: Arc<SiteKey>) -> Self {
        self.site_key = Some(key);
        self
    }

    /// Whether a flag is on.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn check(
        &self,
        client: &Client,
        license: Option<&str>,
        flag: &str,
    ) -> Result<Checked, Denied> {
        let answer = self.check_flag(client, license, flag);
        decided("check", &answer);
        answer
    }

    fn check_flag(
        &self,
        client: &Client,
        license: Option<&str>,
        flag: &str,
    ) -> Result<Checked, Denied> {
        allowed(client, Right::Check)?;
        let entry = self.entry(client, license)?;
        let code = entry
            .flag(flag)
            .ok_or_else(|| Denied::unknown("flag", flag))?;
        let gate = entry
            .gate()
            .map_err(|code| self.refused(Refusal::Unlicensed(code)))?;
        gate.check(code).map_err(|refusal| self.refused(refusal))?;
        Ok(Checked {
            license: entry.id,
            flag: flag.into(),
            code: code.get(),
        })
    }

    /// Takes units of a quota, all of them or none; under a key once, at this node.
    ///
    /// # Errors
    /// [`Denied`]: nothing was taken.
    pub async fn take(&self, client: &Client, take: &Take) -> Result<Limited<TakenAnswer>, Denied> {
        let answer = match self.take_once(client, take).await {
            Ok(Given::Before(answer)) => return Ok((*answer).clone()),
            Ok(Given::Now(answer)) => Ok(answer),
            Err(denied) => Err(denied),
        };
        decided("take", &answer);
        if answer.is_ok() {
            metrics::counter!("phi_node_units_taken_total").increment(take.units);
        }
        answer
    }

    async fn take_once(&self, client: &Client, take: &Take) -> Result<Given, Denied> {
        allowed(client, Right::Take)?;
        let Some(key) = &take.key else {
            return self.take_units(client, take).await.map(Given::Now);
        };
        match self.repeats.begin(client.name(), key, &take.asked())? {
            Begun::Again(answer) => Ok(Given::Before(answer)),
            Begun::First(turn) => {
                // Whoever goes away here has taken nothing: units are taken with the last step.
                let answer = self.take_units(client, take).await?;
                turn.answered(&answer);
                Ok(Given::Now(answer))
            }
        }
    }

    async fn take_units(
        &self,
        client: &Client,
        take: &Take,
    ) -> Result<Limited<TakenAnswer>, Denied> {
        let (quota, units) = (&*take.quota, take.units);
        if units == 0 || units > MAX_SLICE {
            return Err(Denied::invalid("units", "are from 1 to 2^40"));
        }
        let entry = self.entry(client, take.license.as_deref())?;
        let code = entry
            .quota(quota)
            .ok_or_else(|| Denied::unknown("quota", quota))?;
        let gate = entry
            .gate()
            .map_err(|code| self.refused(Refusal::Unlicensed(code)))?;
        let taken = match gate.try_take(code, units) {
            Err(Refusal::NotYet) => {
                let _waits = self.may_wait()?;
                gate.take_async(code, units).await
            }
            taken => taken,
        };
        let limit = gate.rate_limit(code, quota, &taken);
        match taken {
            Ok(taken) => Ok(Limited {
                answer: TakenAnswer::of(entry.id, quota, code, units, taken),
                limit,
            }),
            Err(refusal) => Err(self.limited(refusal, limit)),
        }
    }

    /// Takes a seat. The same claim again has the same seat.
    ///
    /// # Errors
    /// [`Denied`]: there is none.
    pub async fn claim(&self, client: &Client, claim: &Claim) -> Result<SeatAnswer, Denied> {
        let answer = self.claim_seat(client, claim).await;
        decided("claim", &answer);
        answer
    }

    async fn claim_seat(&self, client: &Client, claim: &Claim) -> Result<SeatAnswer, Denied> {
        allowed(client, Right::Seats)?;
        let holder = claim.holder.as_deref().unwrap_or(client.name());
        check_name("holder", holder)?;
        check_name("session", &claim.session)?;
        if claim.wait.is_some_and(|wait| wait > MAX_WAIT) {
            return Err(Denied::invalid("wait", "is a minute at most"));
        }
        if !client.may_hold_as(holder) {
            return Err(Denied::Holder(holder.into()));
        }
        let group = group_of(client, claim.group.as_deref())?;
        let entry = self.entry(client, claim.license.as_deref())?;
        let code = entry.limit(&claim.limit);
        let limit = code.ok_or_else(|| Denied::unknown("limit", &claim.limit))?;
        let gate = entry
            .gate()
            .map_err(|code| self.refused(Refusal::Unlicensed(code)))?;
        let claimed = Claimed {
            client: client.name().into(),
            license: entry.id,
            limit,
            holder: holder.into(),
            session: claim.session.clone(),
        };
        let _waits = self.may_wait()?;
        let wait = claim.wait.filter(|wait| !wait.is_zero());
        let gate = of_group(gate, group);
        let seat = self.sessions.claim(&gate, claimed, wait).await;
        let seat = seat.map_err(|refusal| self.refused(refusal))?;
        Ok(SeatAnswer::of(seat, &entry))
    }

    /// A sign of life from whoever has a seat.
    ///
    /// # Errors
    /// [`Denied`]: the client has to stop using the seat.
    pub fn renew(&self, client: &Client, seat: &str) -> Result<SeatAnswer, Denied> {
        let answer = self.renew_seat(client, seat);
        decided("renew", &answer);
        answer
    }

    fn renew_seat(&self, client: &Client, seat: &str) -> Result<SeatAnswer, Denied> {
        allowed(client, Right::Seats)?;
        // What a client may do can have become less since it claimed.
        let may = |claimed: &Claimed| {
            client.scopes().cover(claimed.license) && client.may_hold_as(&claimed.holder)
        };
        let seat = self.sessions.renew(client.name(), seat, may);
        let seat = seat.map_err(|none| self.no_seat(none))?;
        match self.licenses.shelf().licenses.get(&seat.pool.license) {
            Some(entry) => Ok(SeatAnswer::of(seat, entry)),
            None => Err(self.refused(Refusal::SeatLost)),
        }
    }

    /// Gives a seat back: the client has stopped using it.
    ///
    /// # Errors
    /// [`Denied`]: there is no such seat of this client.
    pub fn release(&self, client: &Client, seat: &str) -> Result<(), Denied> {
        allowed(client, Right::Seats)?;
        let released = self.sessions.release(client.name(), seat);
        released.map_err(|none| self.no_seat(none))
    }

    /// Who is on the seats of a limit, at any node, and who waits.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn seats(
        &self,
        client: &Client,
        license: Option<&str>,
        limit: &str,
    ) -> Result<Vec<Occupied>, Denied> {
        allowed(client, Right::Read)?;
        let entry = self.entry(client, license)?;
        let code = entry
            .limit(limit)
            .ok_or_else(|| Denied::unknown("limit", limit))?;
        let pool = Pool {
            license: entry.id,
            limit: code,
        };
        let listed = self
            .ask_store(move |engine| engine.occupants(pool, MAX_LISTED))
            .await?;
        let occupied = listed.into_iter().map(|listed| {
            let (client, session) = session_parts(&listed.occupant.session);
            Occupied {
                holder: listed.occupant.holder,
                client: client.map(str::to_owned),
                session: session.into(),
                group: listed.group,
                place: listed.place.into(),
                fence: listed.seen.id,
                lease_ms: millis(listed.seen.lease),
            }
        });
        Ok(occupied.collect())
    }

    /// Every license that the client may use.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn licenses(&self, client: &Client) -> Result<LicensesAnswer, Denied> {
        allowed(client, Right::Read)?;
        let shelf = self.licenses.shelf();
        let covered = covered(client, &shelf);
        Ok(LicensesAnswer {
            trust: TrustAnswer::of(&shelf.trust),
            licenses: covered.map(|entry| LicenseAnswer::of(entry)).collect(),
        })
    }

    /// One license.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn license(&self, client: &Client, id: &str) -> Result<LicenseAnswer, Denied> {
        allowed(client, Right::Read)?;
        self.entry(client, Some(id))
            .map(|entry| LicenseAnswer::of(&entry))
    }

    /// Takes signed bytes: documents, bundles and tokens, in any form. What holds is in force when
    /// this returns.
    ///
    /// # Errors
    /// [`Denied`]: the bytes are no object of Phi. What became of its parts is in the answer.
    pub async fn import(
        self: &Arc<Self>,
        client: &Client,
        bytes: Vec<u8>,
    ) -> Result<DocumentAnswer, Denied> {
        allowed(client, Right::Push)?;
        let service = Arc::clone(self);
        let report = blocking(move || service.licenses.import(&bytes)).await;
        let report = report.map_err(|error| Denied::NotAnObject(Box::new(error)))?;
        for part in &report.parts {
            let (client, name, outcome) = (client.name(), &part.name, part.outcome.name());
            if let Some(error) = part.outcome.error() {
                warn!("{client} handed in {name}: {outcome}: {error}");
            } else {
                info!("{client} handed in {name}: {outcome}");
            }
        }
        Ok(DocumentAnswer::of(&report))
    }

    /// What was used of the licenses that the client may use.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn usage(&self, client: &Client) -> Result<UsageAnswer, Denied> {
        allowed(client, Right::Usage)?;
        let read = |engine: Engine| Ok((engine.period_usage()?, engine.seat_usage()?));
        let (periods, days) = self.ask_store(read).await?;
        let shelf = self.licenses.shelf();
        let covers = |license: LicenseId| client.scopes().cover(license);
        Ok(UsageAnswer {
            quotas: periods
                .iter()
                .filter(|used| covers(used.key.license))
                .map(|used| Used::of(used, &shelf))
                .collect(),
            seats: days
                .iter()
                .filter(|day| covers(day.pool.license))
                .map(|day| SeatDay::of(day, &shelf))
                .collect(),
        })
    }

    /// Whether this node can serve, and why not.
    pub fn ready(&self) -> Readiness {
        let shelf = self.licenses.shelf();
        let mut reasons = Vec::new();
        let mut say = |code: &str, message: String| {
            let code = code.into();
            reasons.push(Reason { code, message });
        };
        if self.draining.load(Ordering::Acquire) {
            say("node-stopping", "the node is stopping".into());
        }
        if shelf.trust.keyset.is_none() {
            say(
                "keyset-missing",
                "there is no keyset: import a bundle".into(),
            );
        }
        let in_force = |entry: &Arc<Entry>| self.is_in_force(entry);
        if !shelf.licenses.values().any(in_force) {
            say("no-license", "no license is in force".into());
        }
        let health = self.node.health();
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &*store {
            say(error.code(), error.to_string());
        } else if let Some(fault) = health.fault {
            say(fault.code(), Refusal::Unavailable(Some(fault)).to_string());
        }
        if let Some(wait) = health.learning {
            let refusal = Refusal::Learning { wait };
            say(refusal.code(), refusal.to_string());
        }
        Readiness {
            ready: reasons.is_empty(),
            reasons,
        }
    }

    /// The licenses, for whoever brings documents to this node from elsewhere.
    pub const fn books(&self) -> &Licenses {
        &self.licenses
    }

    /// The seats of clients.
    pub const fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Asks the store whether it is there, for [`Service::ready`]. It may block.
    pub fn probe(&self) {
        let answer = self.engine.probe().err();
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*store, &answer) {
            (None, Some(error)) => warn!("the store is away: {error}; {}", error.hint()),
            (Some(_), None) => info!("the store is there again"),
            _ => {}
        }
        *store = answer;
    }

    /// From here on this node is not ready, gives out no seat, and no more time on one.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.sessions.drain();
    }

    /// Gives back what the node has and nobody spent. Nothing is admitted any more. It waits for
    /// the store, two seconds at most.
    pub fn close(&self) {
        self.node.close();
    }

    /// The time on the node's wall clock.
    pub fn now(&self) -> UnixTime {
        self.clock.wall().second()
    }

    /// The license that is meant, if the client may use it. One that it may not use is as if it
    /// were not there.
    fn entry(&self, client: &Client, named: Option<&str>) -> Result<Arc<Entry>, Denied> {
        let shelf = self.licenses.shelf();
        let Some(named) = named else {
            return only(client, &shelf);
        };
        let unknown = || Denied::unknown("license", named);
        let id: LicenseId = named.parse().map_err(|_| unknown())?;
        if !client.scopes().cover(id) {
            return Err(unknown());
        }
        shelf.licenses.get(&id).cloned().ok_or_else(unknown)
    }

    fn is_in_force(&self, entry: &Entry) -> bool {
        let Standing::InForce(license) = &entry.standing else {
            return false;
        };
        let ends = license.expires();
        ends.is_none_or(|ends| self.now() < ends.plus(license.claims().grace))
    }

    /// A node that stops gives out no seat.
    fn gives_out(&self) -> Result<(), Denied> {
        if self.draining.load(Ordering::Acquire) {
            return Err(self.refused(Refusal::Stopping));
        }
        Ok(())
    }

    fn may_wait(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Denied> {
        self.waiting.try_acquire().map_err(|_| Denied::Busy)
    }

    fn refused(&self, refusal: Refusal) -> Denied {
        Denied::Refused(Rejection::new(refusal, self.now()))
    }

    fn limited(&self, refusal: Refusal, limit: Option<RateLimit>) -> Denied {
        Denied::Refused(Rejection::new(refusal, self.now()).with_rate_limit(limit))
    }

    fn no_seat(&self, none: NoSeat) -> Denied {
        match none {
            NoSeat::Unknown => Denied::NoSeat,
            NoSeat::Refused(refusal) => self.refused(refusal),
        }
    }

    async fn ask_store<T: Send + 'static>(
        &self,
        ask: impl FnOnce(Engine) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Denied> {
        let _waits = self.may_wait()?;
        let turn = Arc::clone(&self.reading).acquire_owned().await;
        let engine = self.engine.clone();
        let asked = blocking(move || {
            // It ends with the work, and not with a caller that hangs up.
            let _turn = turn;
            ask(engine)
        });
        asked.await.map_err(Denied::Store)
    }
}

/// Runs what may block where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    // It is not cancelled, and whatever panics in it would have panicked here.
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn allowed(client: &Client, right: Right) -> Result<(), Denied> {
    if client.scopes().allow(right) {
        Ok(())
    } else {
        Err(Denied::Scope(right))
    }
}

fn covered<'a>(client: &Client, shelf: &'a Shelf) -> impl Iterator<Item = &'a Arc<Entry>> {
    let scopes = client.scopes().clone();
    let all = shelf.licenses.values();
    all.filter(move |entry| scopes.cover(entry.id))
}

/// The one license of the client. One that has expired does not count beside another: what is used
/// is never charged to a license that happened to be left over for any other reason.
fn only(client: &Client, shelf: &Shelf) -> Result<Arc<Entry>, Denied> {
    let is_over = |entry: &Arc<Entry>| match &entry.standing {
        Standing::Refused(error) => error.code() == "expired",
        Standing::InForce(_) => false,
    };
    let all: Vec<_> = covered(client, shelf).collect();
    let going: Vec<_> = all
        .iter()
        .copied()
        .filter(|entry| !is_over(entry))
        .collect();
    match (&going[..], &all[..]) {
        ([only], _) | ([], [only]) => Ok(Arc::clone(only)),
        (_, []) => Err(Denied::NoLicense),
        _ => Err(Denied::Ambiguous),
    }
}

/// Of which group a claim of this client is. It may name one that the client is entitled to, and
/// never another.
fn group_of<'a>(client: &'a Client, named: Option<&'a str>) -> Result<Option<&'a str>, Denied> {
    let Some(group) = named else {
        return Ok(client.scopes().group());
    };
    check_name("group", group)?;
    if !client.may_claim_of(group) {
        return Err(Denied::Group(group.into()));
    }
    Ok(Some(group))
}

fn of_group<'g>(gate: &'g Gate, group: Option<&str>) -> Cow<'g, Gate> {
    match group {
        None => Cow::Borrowed(gate),
        Some(group) => Cow::Owned(gate.of_group(group)),
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), Denied> {
    if name.is_empty() {
        return Err(Denied::invalid(what, "is empty"));
    }
    if name.len() > MAX_NAME {
        return Err(Denied::invalid(what, "has more than 256 bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(Denied::invalid(what, "has a control character"));
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
