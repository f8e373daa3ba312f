//! Seats: who has one, who waits, and who loses it. No clock is read for any of this: how long
//! someone was silent is for the node to measure that wants the place.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use phi_verify::{Allowance, UnixTime};

use crate::{
    desk::{Desk, Kind},
    error::{Fault, StoreError},
    groups::{Count, Crowd},
    ledger::{Ledger, Lent, Occupied, Room},
    quotas::bounded,
    store::{
        Caller, Claim, Incarnation, Loan, MAX_SEEN, Occupant, Outcome, Patience, Place, Pool,
        SeatAnswer, SeatOp, Seen,
    },
    usage::{About, Act},
};

/// Milliseconds in a day.
const DAY: u64 = 24 * 60 * 60 * 1000;
/// A seat that was taken along is free so long after its end: as much time as `phi-verify` lets a
/// clock live twice that is set back again and again, and an hour for clocks that differ.
pub const LOAN_MARGIN: Duration = Duration::from_secs((2 * 24 + 1) * 60 * 60);

impl Room {
    /// Whether no more are seated than may be.
    fn fits(self, extra: u64) -> bool {
        match self.seats {
            Allowance::Unlimited => true,
            Allowance::Limited(seats) => self.taken <= seats.saturating_add(extra),
        }
    }

    /// All seats, whoever is on them.
    const fn places(self, extra: u64) -> Allowance {
        match self.seats {
            Allowance::Unlimited => Allowance::Unlimited,
            Allowance::Limited(seats) => Allowance::Limited(seats.saturating_add(extra)),
        }
    }

    const fn free(self, extra: u64) -> Allowance {
        match self.places(extra) {
            Allowance::Unlimited => Allowance::Unlimited,
            Allowance::Limited(places) => Allowance::Limited(places.saturating_sub(self.taken)),
        }
    }
}

pub(crate) fn seats<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    ops: &[SeatOp],
) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
    desk.once(caller, Kind::Seats, |desk| {
        let mut told = Told::default();
        let answers = ops.iter().map(|op| step(desk, caller, op, &mut told));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        Ok(desk.done(answers))
    })
}

/// Of whom the answers to a request tell. A thousand claims of a pool that is full all see the same
/// others: they are looked for once, and told of once.
#[derive(Default)]
struct Told {
    /// By pool: the place in the queue before which everyone was looked for.
    before: HashMap<u64, u64>,
    seen: HashSet<u64>,
}

impl Told {
    /// Who was silent longest on seats and in the queue before this place, without those that an
    /// answer has told of.
    fn silent<L: Ledger>(
        &mut self,
        desk: &mut Desk<L>,
        room: Room,
        before: u64,
    ) -> Result<Vec<Seen>, StoreError> {
        match self.before.get(&room.row) {
            Some(known) if *known >= before => return Ok(Vec::new()),
            _ => self.before.insert(room.row, before),
        };
        let mut silent = desk.ledger.silent(room, before, MAX_SEEN)?;
        silent.retain(|seen| self.seen.insert(seen.id));
        Ok(silent)
    }
}

fn step<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    op: &SeatOp,
    told: &mut Told,
) -> Result<SeatAnswer, StoreError> {
    match op {
        SeatOp::Acquire(claim) => acquire(desk, caller, claim, told),
        SeatOp::Renew { pool, fence } => renew(desk, caller, *pool, *fence),
        SeatOp::Release {
            pool,
            occupant,
            incarnation,
        } => release(desk, caller, *pool, occupant, *incarnation),
        SeatOp::Evict { pool, seen } => evict(desk, caller, *pool, *seen),
        SeatOp::List { pool } => list(desk, *pool),
        SeatOp::Borrow(loan) => borrow(desk, caller, loan, told),
        SeatOp::HandBack { pool, fence } => hand_back(desk, caller, *pool, *fence),
    }
}

fn acquire<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    claim: &Claim,
    told: &mut Told,
) -> Result<SeatAnswer, StoreError> {
    if claim.lease > desk.longest_lease() {
        let longest = desk.longest_lease();
        let problem = format!("a lease of {:?} is longer than {longest:?}", claim.lease);
        return Err(StoreError::new(Fault::Request, problem));
    }
    if let Some(wait) = desk.learning() {
        return Ok(SeatAnswer::Learning { wait });
    }
    let mut room = terms(desk, claim)?;
    let mut queued = desk.ledger.place_of(room, &claim.occupant)?;
    // A store that went back has seats that were given up since. As long as there are too many, or
    // too few are left for a group, none of them is taken for that of whoever asks.
    let crowded = !room.fits(claim.extra) || !crowd(desk, claim, room, Count::new())?.fits();
    if let Some(known) = queued.take_if(|found| found.place == Place::Seat) {
        if !crowded {
            return again(desk, caller, claim, room, known);
        }
        if known.incarnation != caller.incarnation {
            // The other run may be on it.
            return full(desk, claim, room, (0, None), told);
        }
        // The run that asks for it is not.
        leave(desk, caller, claim.pool, room, &known, Act::SeatReleased)?;
        room = terms(desk, claim)?;
    }
    let joined = desk.ledger.seat_of(room, &claim.occupant.holder)?;
    if !crowded && joined.is_some() {
        return seat(desk, caller, claim, room, queued, joined);
    }
    let before = queued.as_ref().map_or(u64::MAX, |queued| queued.id);
    let ahead = desk.ledger.queued_before(room, before)?;
    let places_ahead = ahead.values().sum();
    if has_room(desk, claim, room, ahead)? {
        return seat(desk, caller, claim, room, queued, joined);
    }
    if end_loans(desk, caller, claim.pool, room)? == Ended::Some {
        return acquire(desk, caller, claim, told);
    }
    let queued = match claim.patience {
        Patience::Leave => None,
        Patience::Queue => Some(queue(desk, caller, claim, room, queued)?),
    };
    full(desk, claim, room, (places_ahead, queued), told)
}

/// Whether there is a seat for a holder of the claim's group, after those ahead of it that can be
/// seated: one that cannot holds up nobody.
fn has_room<L: Ledger>(
    desk: &mut Desk<L>,
    claim: &Claim,
    room: Room,
    ahead: Count,
) -> Result<bool, StoreError> {
    let crowd = crowd(desk, claim, room, ahead)?;
    Ok(crowd.seats(claim.group.as_deref()))
}

fn crowd<'a, L: Ledger>(
    desk: &mut Desk<L>,
    claim: &'a Claim,
    room: Room,
    ahead: Count,
) -> Result<Crowd<'a>, StoreError> {
    let seated = if claim.reserved.is_empty() {
        Count::new()
    } else {
        desk.ledger.seated(room)?
    };
    Ok(Crowd {
        seats: room.places(claim.extra),
        taken: room.taken,
        seated,
        ahead,
        reserved: &claim.reserved,
    })
}

fn full<L: Ledger>(
    desk: &mut Desk<L>,
    claim: &Claim,
    room: Room,
    (ahead, queued): (u64, Option<u64>),
    told: &mut Told,
) -> Result<SeatAnswer, StoreError> {
    Ok(SeatAnswer::Full {
        ahead: (claim.patience == Patience::Queue).then_some(ahead),
        silent: told.silent(desk, room, queued.unwrap_or(0))?,
    })
}

/// How many the newest revision allows that the store has heard of, and how many are taken.
fn terms<L: Ledger>(desk: &mut Desk<L>, claim: &Claim) -> Result<Room, StoreError> {
    let (revision, seats) = (claim.revision, bounded(claim.seats));
    let known = desk.ledger.room(claim.pool)?;
    let room = match known {
        Some(known) if known.revision > revision => return Ok(known),
        Some(known) => Room {
            revision,
            seats,
            ..known
        },
        None => Room {
            row: desk.next(),
            revision,
            seats,
            taken: 0,
        },
    };
    if known != Some(room) {
        desk.ledger.set_room(claim.pool, room)?;
    }
    Ok(room)
}

/// The occupant has its seat already: another run of a node takes it over with a new number, so
/// that the run before stops.
fn again<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    claim: &Claim,
    room: Room,
    known: Occupied,
) -> Result<SeatAnswer, StoreError> {
    let fence = if known.incarnation == caller.incarnation {
        let occupied = Occupied {
            heard: desk.next(),
            lease: known.lease.max(claim.lease),
            ..known
        };
        desk.ledger.set_place(room, &occupied)?;
        occupied.id
    } else {
        desk.ledger.remove_place(room, &known)?;
        let fence = insert(desk, caller, claim, room, (Place::Seat, known.group))?;
        log(
            desk,
            caller,
            Act::SeatTakenOver,
            claim.pool,
            fence,
            &claim.occupant,
        )?;
        fence
    };
    Ok(SeatAnswer::Held {
        fence,
        free: room.free(claim.extra),
    })
}

fn seat<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    claim: &Claim,
    room: Room,
    queued: Option<Occupied>,
    joined: Option<Occupied>,
) -> Result<SeatAnswer, StoreError> {
    if let Some(queued) = queued {
        desk.ledger.remove_place(room, &queued)?;
    }
    let taken = match &joined {
        Some(_) => room.taken,
        None => room.taken + 1,
    };
    // The pool before who is in it.
    set_taken(desk, claim.pool, room, taken)?;
    let group = match joined {
        Some(joined) => joined.group,
        None => sits(desk, room, claim.group.clone())?,
    };
    let fence = insert(desk, caller, claim, room, (Place::Seat, group))?;
    log(
        desk,
        caller,
        Act::SeatAcquired,
        claim.pool,
        fence,
        &claim.occupant,
    )?;
    let free = Room { taken, ..room }.free(claim.extra);
    Ok(SeatAnswer::Held { fence, free })
}

/// Takes a place in the queue, or keeps it.
fn queue<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    claim: &Claim,
    room: Room,
    queued: Option<Occupied>,
) -> Result<u64, StoreError> {
    let Some(queued) = queued else {
        return insert(
            desk,
            caller,
            claim,
            room,
            (Place::Queue, claim.group.clone()),
        );
    };
    let occupied = Occupied {
        heard: desk.next(),
        incarnation: caller.incarnation,
        lease: claim.lease,
        group: claim.group.clone(),
        ..queued
    };
    desk.ledger.set_place(room, &occupied)?;
    Ok(occupied.id)
}

fn insert<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    claim: &Claim,
    room: Room,
    (place, group): (Place, Option<String>),
) -> Result<u64, StoreError> {
    let id = desk.next();
    let occupied = Occupied {
        id,
        place,
        occupant: claim.occupant.clone(),
        group,
        incarnation: caller.incarnation,
        heard: id,
        lease: claim.lease,
    };
    desk.ledger.set_place(room, &occupied)?;
    Ok(id)
}

/// One more holder of the group has a seat.
fn sits<L: Ledger>(
    desk: &mut Desk<L>,
    room: Room,
    group: Option<String>,
) -> Result<Option<String>, StoreError> {
    if let Some(group) = &group {
        let seated = desk.ledger.seated(room)?.get(group).copied();
        desk.ledger
            .set_seated(room, group, seated.unwrap_or(0) + 1)?;
    }
    Ok(group)
}

/// One less has.
fn rises<L: Ledger>(desk: &mut Desk<L>, room: Room, group: Option<&str>) -> Result<(), StoreError> {
    let Some(group) = group else {
        return Ok(());
    };
    let seated = desk.ledger.seated(room)?.get(group).copied();
    let left = seated.unwrap_or(0).saturating_sub(1);
    desk.ledger.set_seated(room, group, left)
}

/// Notes how many seats are taken, and the day's peak.
fn set_taken<L: Ledger>(
    desk: &mut Desk<L>,
    pool: Pool,
    room: Room,
    taken: u64,
) -> Result<(), StoreError> {
    desk.ledger.set_room(pool, Room { taken, ..room })?;
    let day = desk.now().wall.millis() / DAY;
    let acquired = u64::from(taken > room.taken);
    desk.ledger
        .note_day(room, day, taken.max(room.taken), acquired)
}

fn renew<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    pool: Pool,
    fence: u64,
) -> Result<SeatAnswer, StoreError> {
    let Some(room) = desk.ledger.room(pool)? else {
        return Ok(SeatAnswer::Lost);
    };
    let found = desk.ledger.place(fence)?;
    let own = |(row, found): &(u64, Occupied)| {
        let seat = *row == room.row && found.place == Place::Seat;
        seat && found.incarnation == caller.incarnation
    };
    let Some((_, found)) = found.filter(own) else {
        return Ok(SeatAnswer::Lost);
    };
    let heard = desk.next();
    desk.ledger.set_place(room, &Occupied { heard, ..found })?;
    Ok(SeatAnswer::Renewed)
}

fn release<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    pool: Pool,
    occupant: &Occupant,
    incarnation: Incarnation,
) -> Result<SeatAnswer, StoreError> {
    let Some(room) = desk.ledger.room(pool)? else {
        return Ok(SeatAnswer::Released);
    };
    let found = desk.ledger.place_of(room, occupant)?;
    if let Some(found) = found.filter(|found| found.incarnation == incarnation) {
        leave(desk, caller, pool, room, &found, Act::SeatReleased)?;
    }
    Ok(SeatAnswer::Released)
}

/// The place is free; so is the seat, if nothing else of the holder's is on it.
fn leave<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    pool: Pool,
    room: Room,
    found: &Occupied,
    act: Act,
) -> Result<(), StoreError> {
    desk.ledger.remove_place(room, found)?;
    if found.place == Place::Queue {
        return Ok(());
    }
    if desk.ledger.seat_of(room, &found.occupant.holder)?.is_none() {
        rises(desk, room, found.group.as_deref())?;
        set_taken(desk, pool, room, room.taken.saturating_sub(1))?;
    }
    log(desk, caller, act, pool, found.id, &found.occupant)
}

/// Compare and swap: whoever was heard of since it was seen keeps the place.
fn evict<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    pool: Pool,
    seen: Seen,
) -> Result<SeatAnswer, StoreError> {
    // A node that just said what it holds may not be through with it.
    if desk.learning().is_some() {
        return Ok(SeatAnswer::Changed);
    }
    let Some(room) = desk.ledger.room(pool)? else {
        return Ok(SeatAnswer::Changed);
    };
    let found = desk.ledger.place(seen.id)?;
    let same = |(row, found): &(u64, Occupied)| *row == room.row && found.heard == seen.heard;
    let Some((_, found)) = found.filter(same) else {
        return Ok(SeatAnswer::Changed);
    };
    leave(desk, caller, pool, room, &found, Act::SeatEvicted)?;
    Ok(SeatAnswer::Evicted)
}

/// A seat of its own that no node renews: it is free again when it is handed back, or long after its
/// end by the store's clock.
fn borrow<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    loan: &Loan,
    told: &mut Told,
) -> Result<SeatAnswer, StoreError> {
    if let Some(wait) = desk.learning() {
        return Ok(SeatAnswer::Learning { wait });
    }
    let claim = &loan.claim;
    let mut room = terms(desk, claim)?;
    if end_loans(desk, caller, claim.pool, room)? == Ended::Some {
        room = terms(desk, claim)?;
    }
    let from = desk.lending_time();
    let until = loan.until.min(from.plus(loan.longest));
    let known = desk.ledger.loan_of(room, &claim.occupant, &loan.machine)?;
    if until <= from {
        return full(desk, claim, room, (0, None), told);
    }
    let lent = if let Some(known) = known {
        // The document that it has stays good, so the seat is kept for the longer of both.
        Lent {
            until: known.until.max(until.seconds()),
            ..known
        }
    } else {
        let ahead = desk.ledger.queued_before(room, u64::MAX)?;
        let away = desk.ledger.lent(room)?;
        if away >= loan.most {
            return Ok(SeatAnswer::LoansFull);
        }
        if !has_room(desk, claim, room, ahead)? {
            return full(desk, claim, room, (0, None), told);
        }
        set_taken(desk, claim.pool, room, room.taken + 1)?;
        Lent {
            id: desk.next(),
            occupant: claim.occupant.clone(),
            group: sits(desk, room, claim.group.clone())?,
            machine: loan.machine.clone(),
            since: from.seconds(),
            until: until.seconds(),
        }
    };
    desk.ledger.set_loan(room, &lent)?;
    log_loan(desk, caller, Act::SeatBorrowed, claim.pool, &lent)?;
    Ok(SeatAnswer::Borrowed {
        fence: lent.id,
        from: UnixTime::EPOCH.plus(lent.since),
        until: UnixTime::EPOCH.plus(lent.until),
    })
}

fn hand_back<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    pool: Pool,
    fence: u64,
) -> Result<SeatAnswer, StoreError> {
    if let Some(room) = desk.ledger.room(pool)?
        && let Some(lent) = desk.ledger.loan(room, fence)?
    {
        return_loan(desk, caller, Act::SeatHandedBack, pool, &lent)?;
    }
    Ok(SeatAnswer::Released)
}

/// Whether any loan was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    None,
    Some,
}

/// Frees seats whose loans ended so long ago that no clock goes on with them.
fn end_loans<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    pool: Pool,
    room: Room,
) -> Result<Ended, StoreError> {
    let now = desk.now().wall.second();
    let over = now.minus(LOAN_MARGIN.as_secs()).seconds();
    let ended = desk.ledger.loans_ended(room, over)?;
    for lent in &ended {
        return_loan(desk, caller, Act::LoanEnded, pool, lent)?;
    }
    Ok(if ended.is_empty() {
        Ended::None
    } else {
        Ended::Some
    })
}

fn return_loan<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    act: Act,
    pool: Pool,
    lent: &Lent,
) -> Result<(), StoreError> {
    let Some(room) = desk.ledger.room(pool)? else {
        return Ok(());
    };
    desk.ledger.remove_loan(room, lent)?;
    rises(desk, room, lent.group.as_deref())?;
    set_taken(desk, pool, room, room.taken.saturating_sub(1))?;
    log_loan(desk, caller, act, pool, lent)
}

fn log_loan<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    act: Act,
    pool: Pool,
    lent: &Lent,
) -> Result<(), StoreError> {
    let about = About::Loan {
        pool,
        fence: lent.id,
        occupant: lent.occupant.clone(),
        until: UnixTime::EPOCH.plus(lent.until),
    };
    desk.log(caller, act, about)
}

fn list<L: Ledger>(desk: &mut Desk<L>, pool: Pool) -> Result<SeatAnswer, StoreError> {
    let Some(room) = desk.ledger.room(pool)? else {
        return Ok(SeatAnswer::Listed {
            taken: 0,
            occupants: Vec::new(),
        });
    };
    Ok(SeatAnswer::Listed {
        taken: room.taken,
        occupants: desk.ledger.list(room, MAX_SEEN)?,
    })
}

/// A node says that it holds a seat. One that the store may have forgotten is taken again, even if
/// that is one too many: its holder has it. A store that does not learn has forgotten nothing, and
/// may have given the seat to somebody else.
pub(crate) fn reassert<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    (pool, fence): (Pool, u64),
    occupant: &Occupant,
    group: Option<&str>,
    lease: Duration,
) -> Result<(), StoreError> {
    if renew(desk, caller, pool, fence)? == SeatAnswer::Renewed || desk.learning().is_none() {
        return Ok(());
    }
    // Of two histories that were lost, both gave this number out: it is whose it is now.
    if desk.ledger.place(fence)?.is_some() {
        return Ok(());
    }
    let room = match desk.ledger.room(pool)? {
        Some(room) => room,
        None => Room {
            row: desk.next(),
            revision: 0,
            seats: Allowance::Limited(0),
            taken: 0,
        },
    };
    let found = desk.ledger.place_of(room, occupant)?;
    // Another run took the place over, which the store remembers: that one has it.
    if found.as_ref().is_some_and(|found| found.id > fence) {
        return Ok(());
    }
    // Another seat of the same occupant, from before it was given this one, counts already.
    let joined = desk.ledger.seat_of(room, &occupant.holder)?;
    if let Some(found) = found {
        desk.ledger.remove_place(room, &found)?;
    }
    let taken = match &joined {
        Some(_) => room.taken,
        None => room.taken + 1,
    };
    set_taken(desk, pool, room, taken)?;
    let group = match joined {
        Some(joined) => joined.group,
        None => sits(desk, room, group.map(str::to_owned))?,
    };
    let occupied = Occupied {
        id: fence,
        place: Place::Seat,
        occupant: occupant.clone(),
        group,
        incarnation: caller.incarnation,
        heard: fence,
        lease,
    };
    desk.ledger.set_place(room, &occupied)?;
    log(desk, caller, Act::SeatReasserted, pool, fence, occupant)
}

fn log<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    act: Act,
    pool: Pool,
    fence: u64,
    occupant: &Occupant,
) -> Result<(), StoreError> {
    let about = About::Seat {
        pool,
        fence,
        occupant: occupant.clone(),
    };
    desk.log(caller, act, about)
}
