//! Seats of clients elsewhere: the node holds the lease, and a client has it for as long as the node
//! may promise.
//!
//! # Why no seat is had twice
//! Clocks run within a part `rho` of real time, and nobody reads another's. A client sends a claim
//! or a heartbeat at `s`; the node reads its clock at `t >= s` and answers `v`, what is left of its
//! own lease of length `L`, which it counts from its last request to the store, sent at `r`. The
//! client uses the seat until its own clock shows `v` after `s`.
//!
//! 1. By the node's clock `L - v` passed between `r` and `t`, so `t - r <= (L - v) / (1 - rho)`. The
//!    client stops by `s + v / (1 - rho) <= t + v / (1 - rho) <= r + L / (1 - rho)` in real time.
//!    That is when a holder inside the node would stop by itself, so whoever waits at the store
//!    (`docs/enforcement.md`, "Why they hold") waits long enough for the client too, whatever
//!    becomes of the node.
//! 2. The node gives the seat back no sooner than `v (1 + rho) / (1 - rho)` after `t` by its own
//!    clock, which is `v / (1 - rho)` or more in real time: the client has stopped. [`Lease::promise`]
//!    keeps that promise when the license is refused and when the node stops, too. Only a client
//!    that says it has stopped is not waited for.
//! 3. A claim that waited at the node is told what is left of the lease as of its answer, as any
//!    other. Counted from before it was sent, that may be over when the answer is there: such a
//!    client sends a heartbeat before it begins. One that counts from the answer instead is on the
//!    seat for as much longer as the answer was on its way, and no longer.
//!
//! # Whose a seat is
//! Its name has 128 random bits and is good for the client that claimed it alone. The same client
//! that claims for the same holder and session again has the same seat.
//!
//! Who may claim for whom is left to `service.rs`.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use phi_enforce::{Boot, Clock, Gate, Lease, Occupant, Pool, Refusal, evictor_wait};
use phi_verify::{LicenseId, LimitCode};
use tokio::sync::watch;

/// Seats whose clients are silent are looked for this often, all at once: a seat is free again this
/// much later at the most.
pub const SWEEP: Duration = Duration::from_millis(250);

/// Random bytes in the name of a seat.
const RANDOM: usize = 16;

/// What a client claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claimed {
    /// The client's name.
    pub client: String,
    /// Of this license.
    pub license: LicenseId,
    /// A seat of this limit.
    pub limit: LimitCode,
    /// Who is counted.
    pub holder: String,
    /// One use of the seat, by a name that the client gave.
    pub session: String,
}

impl Claimed {
    /// Who is on the seat, for the store. A session is its client's: another client's by the same
    /// name is another, on the same holder's seat. Names of clients have no slash.
    fn occupant(&self) -> Occupant {
        Occupant {
            holder: self.holder.clone(),
            session: client_session(&self.client, &self.session),
        }
    }

    const fn pool(&self) -> Pool {
        Pool {
            license: self.license,
            limit: self.limit,
        }
    }
}

/// A session as the store knows it: a client's own.
pub fn client_session(client: &str, session: &str) -> String {
    format!("{client}/{session}")
}

/// The client and the session in the words of a [`Claimed`] occupant; no client, if the seat was
/// taken by a program that enforces by itself.
pub fn session_parts(session: &str) -> (Option<&str>, &str) {
    match session.split_once('/') {
        Some((client, session)) => (Some(client), session),
        None => (None, session),
    }
}

/// A seat as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its name.
    pub id: String,
    /// Its number, which rises with every seat that is given out.
    pub fence: u64,
    /// How long the client may use it, from before it sent what this answers.
    pub valid_for: Duration,
    /// When it is due to ask again, from the same moment.
    pub renew_after: Duration,
    /// Of this pool.
    pub pool: Pool,
    /// Who is counted.
    pub holder: String,
    /// Which use of it this is.
    pub session: String,
}

/// Every seat of the node's clients.
pub struct Sessions {
    clock: Arc<dyn Clock>,
    all: RwLock<All>,
    draining: watch::Sender<bool>,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct All {
    by_id: HashMap<String, Session>,
    by_claim: HashMap<Claimed, String>,
}

struct Session {
    claimed: Claimed,
    lease: Lease,
    /// By then its client has stopped, if it does not ask again.
    silent: AtomicU64,
}

impl Session {
    /// Promises what is left of the lease.
    fn promise(&self, now: Boot) -> Result<Duration, Refusal> {
        let left = self.lease.promise()?;
        // The lease is not given back before what it was promised for; this says when to drop it.
        let silent = now.plus(evictor_wait(left)).nanos();
        self.silent.fetch_max(silent, Ordering::AcqRel);
        Ok(left)
    }

    fn seat(&self, id: &str, valid_for: Duration) -> Seat {
        Seat {
            id: id.into(),
            fence: self.lease.fence(),
            valid_for,
            renew_after: valid_for / 3,
            pool: self.claimed.pool(),
            holder: self.claimed.holder.clone(),
            session: self.claimed.session.clone(),
        }
    }

    fn is_silent(&self, now: Boot) -> bool {
        now.nanos() >= self.silent.load(Ordering::Acquire)
    }
}

/// Why a client has no seat of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// There is none, or it is another client's.
    Unknown,
    /// It is not held any more.
    Refused(Refusal),
}

impl Sessions {
    /// No seats yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            all: RwLock::default(),
            draining: watch::Sender::new(false),
        }
    }

    /// Takes a seat, or waits in the queue for one at most this long; a claim that was made before
    /// has the seat that it has.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn claim(
        &self,
        gate: &Gate,
        claimed: Claimed,
        most: Option<Duration>,
    ) -> Result<Seat, Refusal> {
        if self.is_draining() {
            return Err(Refusal::Stopping);
        }
        let occupant = claimed.occupant();
        let lease = async {
            match most {
                None => gate.lease_async(claimed.limit, &occupant).await,
                Some(most) => {
                    gate.lease_within_async(claimed.limit, &occupant, most)
                        .await
                }
            }
        };
        let mut draining = self.draining.subscribe();
        let lease = tokio::select! {
            lease = lease => lease?,
            _ = draining.wait_for(|draining| *draining) => return Err(Refusal::Stopping),
        };
        self.seat(claimed, lease)
    }

    /// Notes a lease for a claim.
    fn seat(&self, claimed: Claimed, lease: Lease) -> Result<Seat, Refusal> {
        let fresh = name()?;
        let mut all = self.write();
        // Whoever drains waits for the seats that are there: none may come after it has looked.
        if self.is_draining() {
            return Err(Refusal::Stopping);
        }
        let now = self.clock.now().boot;
        let id = all.by_claim.get(&claimed).cloned().unwrap_or(fresh);
        let session = Session {
            claimed: claimed.clone(),
            lease,
            silent: AtomicU64::new(0),
        };
        let left = session.promise(now)?;
        let seat = session.seat(&id, left);
        all.by_claim.insert(claimed, id.clone());
        all.by_id.insert(id, session);
        Ok(seat)
    }

    /// A sign of life, if the client still may have what it claimed. It is answered from memory: the
    /// node renews its own lease by itself.
    ///
    /// # Errors
    /// [`NoSeat`]: the client has to stop, and may claim again.
    pub fn renew(
        &self,
        client: &str,
        id: &str,
        may: impl FnOnce(&Claimed) -> bool,
    ) -> Result<Seat, NoSeat> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let session = all.by_id.get(id).ok_or(NoSeat::Unknown)?;
        if session.claimed.client != client || !may(&session.claimed) {
            return Err(NoSeat::Unknown);
        }
        if self.is_draining() {
            return Err(NoSeat::Refused(Refusal::Stopping));
        }
        let left = session.promise(self.clock.now().boot);
        let left = left.map_err(NoSeat::Refused)?;
        Ok(session.seat(id, left))
    }

    /// The client has stopped: the seat is given back at once.
    ///
    /// # Errors
    /// [`NoSeat::Unknown`].
    pub fn release(&self, client: &str, id: &str) -> Result<(), NoSeat> {
        let mut all = self.write();
        let known = all.by_id.get(id).ok_or(NoSeat::Unknown)?;
        if known.claimed.client != client {
            return Err(NoSeat::Unknown);
        }
        if let Some(session) = all.remove(id) {
            session.lease.take_back();
        }
        Ok(())
    }

    /// Drops the seats of clients that were silent for so long that they have stopped. To be called
    /// every [`SWEEP`].
    pub fn sweep(&self) {
        let now = self.clock.now().boot;
        let silent: Vec<String> = {
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            let silent = all
                .by_id
                .iter()
                .filter(|(_, session)| session.is_silent(now));
            silent.map(|(id, _)| id.clone()).collect()
        };
        if silent.is_empty() {
            return;
        }
        let mut all = self.write();
        for id in silent {
            // It may have been heard of meanwhile.
            if all
                .by_id
                .get(&id)
                .is_some_and(|session| session.is_silent(now))
            {
                all.remove(&id);
            }
        }
    }

    /// From here on nobody is given a seat or more time on one. What was promised is kept:
    /// [`Sessions::is_empty`] says when every client has stopped, or said so.
    pub fn drain(&self) {
        let _all = self.write();
        self.draining.send_replace(true);
    }

    /// Whether no client can be on a seat any more.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many seats clients have.
    pub fn len(&self) -> usize {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.by_id.len()
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, All> {
        // Both maps are changed by steps that cannot panic.
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl All {
    fn remove(&mut self, id: &str) -> Option<Session> {
        let session = self.by_id.remove(id)?;
        self.by_claim.remove(&session.claimed);
        Some(session)
    }
}

/// A name that nobody can guess.
fn name() -> Result<String, Refusal> {
    let mut bytes = [0; RANDOM];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Unavailable(None))?;
    let mut text = String::with_capacity(2 * RANDOM);
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    Ok(text)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests;
