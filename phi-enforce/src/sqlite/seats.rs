//! Seats: who has one, who waits, and who loses it. No clock is read for any of this: how long
//! someone was silent is for the node to measure that wants the place.

use std::time::Duration;

use phi_verify::Allowance;
use rusqlite::{Row, params};

use super::{
    desk::{Desk, Kind, millis, signed, unsigned},
    usage::{Act, Entry, Subject},
};
use crate::{
    error::{Fault, StoreError},
    store::{
        Caller, Claim, Incarnation, Listed, MAX_SEEN, Occupant, Outcome, Patience, Place, Pool,
        SeatAnswer, SeatOp, Seen,
    },
};

const ON_SEAT: i64 = 0;
const IN_QUEUE: i64 = 1;
/// Milliseconds in a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Someone in a pool.
struct Occupied {
    id: u64,
    place: Place,
    incarnation: Incarnation,
}

/// A pool as the file has it.
#[derive(Clone, Copy)]
struct Room {
    row: i64,
    seats: Allowance,
    taken: u64,
}

impl Room {
    fn free(self, extra: u64) -> Allowance {
        match self.seats {
            Allowance::Unlimited => Allowance::Unlimited,
            Allowance::Limited(seats) => {
                Allowance::Limited(seats.saturating_add(extra).saturating_sub(self.taken))
            }
        }
    }
}

pub(super) fn seats(
    desk: &mut Desk,
    caller: Caller,
    ops: &[SeatOp],
) -> Result<Outcome<Vec<SeatAnswer>>, StoreError> {
    desk.once(caller, Kind::Seats, |desk| {
        let answers = ops.iter().map(|op| step(desk, caller, op));
        let answers = answers.collect::<Result<Vec<_>, _>>()?;
        Ok(desk.done(answers))
    })
}

fn step(desk: &mut Desk, caller: Caller, op: &SeatOp) -> Result<SeatAnswer, StoreError> {
    match op {
        SeatOp::Acquire(claim) => acquire(desk, caller, claim),
        SeatOp::Renew { pool, fence } => renew(desk, caller, *pool, *fence),
        SeatOp::Release {
            pool,
            occupant,
            incarnation,
        } => release(desk, caller, *pool, occupant, *incarnation),
        SeatOp::Evict { pool, seen } => evict(desk, caller, *pool, *seen),
        SeatOp::List { pool } => list(desk, *pool),
    }
}

fn acquire(desk: &mut Desk, caller: Caller, claim: &Claim) -> Result<SeatAnswer, StoreError> {
    if claim.lease > desk.longest_lease() {
        let longest = desk.longest_lease();
        let problem = format!("a lease of {:?} is longer than {longest:?}", claim.lease);
        return Err(StoreError::new(Fault::Request, problem));
    }
    if let Some(wait) = desk.learning() {
        return Ok(SeatAnswer::Learning { wait });
    }
    let room = terms(desk, claim)?;
    let found = find(desk, room, &claim.occupant)?;
    if let Some(known) = found.as_ref().filter(|found| found.place == Place::Seat) {
        return again(desk, caller, claim, room, known);
    }
    let queued = found.as_ref().map(|found| found.id);
    if has_seat(desk, room, &claim.occupant.holder)? {
        return seat(desk, caller, claim, room, queued);
    }
    let ahead = ahead(desk, room, queued)?;
    if room.free(claim.extra).covers(ahead.saturating_add(1)) {
        return seat(desk, caller, claim, room, queued);
    }
    let queued = match claim.patience {
        Patience::Leave => None,
        Patience::Queue => Some(queue(desk, caller, claim, room, queued)?),
    };
    Ok(SeatAnswer::Full {
        ahead: queued.map(|_| ahead),
        silent: silent(desk, room, queued)?,
    })
}

/// How many the newest revision allows that the store has heard of, and how many are taken.
fn terms(desk: &Desk, claim: &Claim) -> Result<Room, StoreError> {
    let amount = match claim.seats {
        Allowance::Limited(seats) => Some(signed(seats)),
        Allowance::Unlimited => None,
    };
    let (license, code) = (claim.pool.license.as_bytes(), claim.pool.limit.get());
    desk.change(
        "INSERT INTO pools VALUES (NULL, ?1, ?2, ?3, ?4, 0)
         ON CONFLICT (license, code) DO UPDATE
         SET revision = excluded.revision, amount = excluded.amount
         WHERE revision < excluded.revision
            OR revision = excluded.revision AND amount IS NOT excluded.amount",
        params![license, code, signed(claim.revision), amount],
    )?;
    let room = find_room(desk, claim.pool)?;
    room.ok_or_else(|| StoreError::new(Fault::Damaged, "a pool is gone"))
}

fn find_room(desk: &Desk, pool: Pool) -> Result<Option<Room>, StoreError> {
    desk.one(
        "SELECT pool, amount, taken FROM pools WHERE license = ?1 AND code = ?2",
        params![pool.license.as_bytes(), pool.limit.get()],
        |row| {
            let seats = row.get::<_, Option<i64>>(1)?;
            Ok(Room {
                row: row.get(0)?,
                seats: seats.map_or(Allowance::Unlimited, |seats| {
                    Allowance::Limited(seats.cast_unsigned())
                }),
                taken: unsigned(row, 2)?,
            })
        },
    )
}

fn find(desk: &Desk, room: Room, occupant: &Occupant) -> Result<Option<Occupied>, StoreError> {
    desk.one(
        "SELECT id, place, incarnation FROM places
         WHERE pool = ?1 AND holder = ?2 AND session = ?3",
        params![room.row, occupant.holder, occupant.session],
        |row| {
            Ok(Occupied {
                id: unsigned(row, 0)?,
                place: place(row, 1)?,
                incarnation: Incarnation::from_bytes(row.get(2)?),
            })
        },
    )
}

fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<Place> {
    let place: i64 = row.get(column)?;
    Ok(if place == ON_SEAT {
        Place::Seat
    } else {
        Place::Queue
    })
}

/// Whether any session of the holder is on a seat.
fn has_seat(desk: &Desk, room: Room, holder: &str) -> Result<bool, StoreError> {
    let found = desk.one(
        "SELECT 1 FROM places WHERE pool = ?1 AND holder = ?2 AND place = ?3 LIMIT 1",
        params![room.row, holder, ON_SEAT],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// How many were in the queue before.
fn ahead(desk: &Desk, room: Room, queued: Option<u64>) -> Result<u64, StoreError> {
    let before = signed(queued.unwrap_or(u64::MAX));
    let ahead = desk.one(
        "SELECT count(*) FROM places WHERE pool = ?1 AND place = ?2 AND id < ?3",
        [room.row, IN_QUEUE, before],
        |row| unsigned(row, 0),
    )?;
    Ok(ahead.unwrap_or(0))
}

/// The occupant has its seat already: another run of a node takes it over with a new number, so
/// that the run before stops.
fn again(
    desk: &mut Desk,
    caller: Caller,
    claim: &Claim,
    room: Room,
    known: &Occupied,
) -> Result<SeatAnswer, StoreError> {
    let mut fence = known.id;
    if known.incarnation == caller.incarnation {
        let heard = signed(desk.next());
        let lease = millis(claim.lease);
        desk.change(
            "UPDATE places SET heard = ?2, lease = max(lease, ?3) WHERE id = ?1",
            [signed(fence), heard, lease],
        )?;
    } else {
        remove(desk, known.id)?;
        fence = insert(desk, caller, claim, room, Place::Seat)?;
        log(
            desk,
            caller,
            Act::SeatTakenOver,
            claim.pool,
            fence,
            &claim.occupant,
        )?;
    }
    Ok(SeatAnswer::Held {
        fence,
        free: room.free(claim.extra),
    })
}

fn seat(
    desk: &mut Desk,
    caller: Caller,
    claim: &Claim,
    room: Room,
    queued: Option<u64>,
) -> Result<SeatAnswer, StoreError> {
    if let Some(queued) = queued {
        remove(desk, queued)?;
    }
    let joined = has_seat(desk, room, &claim.occupant.holder)?;
    let taken = if joined { room.taken } else { room.taken + 1 };
    let fence = insert(desk, caller, claim, room, Place::Seat)?;
    set_taken(desk, room, taken)?;
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
fn queue(
    desk: &mut Desk,
    caller: Caller,
    claim: &Claim,
    room: Room,
    queued: Option<u64>,
) -> Result<u64, StoreError> {
    let Some(id) = queued else {
        return insert(desk, caller, claim, room, Place::Queue);
    };
    let heard = signed(desk.next());
    desk.change(
        "UPDATE places SET heard = ?2, incarnation = ?3, lease = ?4 WHERE id = ?1",
        params![
            signed(id),
            heard,
            caller.incarnation.as_bytes(),
            millis(claim.lease)
        ],
    )?;
    Ok(id)
}

fn insert(
    desk: &mut Desk,
    caller: Caller,
    claim: &Claim,
    room: Room,
    place: Place,
) -> Result<u64, StoreError> {
    let id = desk.next();
    write(desk, id, caller, room, place, &claim.occupant, claim.lease)?;
    Ok(id)
}

fn write(
    desk: &Desk,
    id: u64,
    caller: Caller,
    room: Room,
    place: Place,
    occupant: &Occupant,
    lease: Duration,
) -> Result<(), StoreError> {
    let place = match place {
        Place::Seat => ON_SEAT,
        Place::Queue => IN_QUEUE,
    };
    desk.change(
        "INSERT INTO places VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            signed(id),
            room.row,
            place,
            occupant.holder,
            occupant.session,
            caller.incarnation.as_bytes(),
            signed(id),
            millis(lease)
        ],
    )?;
    Ok(())
}

fn remove(desk: &Desk, id: u64) -> Result<(), StoreError> {
    desk.change("DELETE FROM places WHERE id = ?1", [signed(id)])
        .map(drop)
}

/// Notes how many seats are taken, and the day's peak.
fn set_taken(desk: &Desk, room: Room, taken: u64) -> Result<(), StoreError> {
    desk.change(
        "UPDATE pools SET taken = ?2 WHERE pool = ?1",
        [room.row, signed(taken)],
    )?;
    let acquired = i64::from(taken > room.taken);
    let day = signed(desk.now().wall.millis() / DAY);
    desk.change(
        "INSERT INTO seat_days VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE
         SET peak = max(peak, excluded.peak), acquired = acquired + excluded.acquired",
        [room.row, day, signed(taken.max(room.taken)), acquired],
    )?;
    Ok(())
}

/// Those that were silent longest: on seats, and in the queue before the one that asks.
fn silent(desk: &Desk, room: Room, queued: Option<u64>) -> Result<Vec<Seen>, StoreError> {
    let before = signed(queued.unwrap_or(0));
    let most = i64::try_from(MAX_SEEN).expect("a small number");
    desk.all(
        "SELECT id, heard, lease FROM places
         WHERE pool = ?1 AND (place = ?2 OR id < ?3) ORDER BY heard LIMIT ?4",
        [room.row, ON_SEAT, before, most],
        seen,
    )
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    Ok(Seen {
        id: unsigned(row, 0)?,
        heard: unsigned(row, 1)?,
        lease: Duration::from_millis(unsigned(row, 2)?),
    })
}

fn renew(
    desk: &mut Desk,
    caller: Caller,
    pool: Pool,
    fence: u64,
) -> Result<SeatAnswer, StoreError> {
    let Some(room) = find_room(desk, pool)? else {
        return Ok(SeatAnswer::Lost);
    };
    let heard = signed(desk.next());
    let renewed = desk.change(
        "UPDATE places SET heard = ?4
         WHERE id = ?1 AND pool = ?2 AND place = 0 AND incarnation = ?3",
        params![
            signed(fence),
            room.row,
            caller.incarnation.as_bytes(),
            heard
        ],
    )?;
    Ok(if renewed == 1 {
        SeatAnswer::Renewed
    } else {
        SeatAnswer::Lost
    })
}

fn release(
    desk: &mut Desk,
    caller: Caller,
    pool: Pool,
    occupant: &Occupant,
    incarnation: Incarnation,
) -> Result<SeatAnswer, StoreError> {
    let Some(room) = find_room(desk, pool)? else {
        return Ok(SeatAnswer::Released);
    };
    let found = find(desk, room, occupant)?;
    if let Some(found) = found.filter(|found| found.incarnation == incarnation) {
        leave(
            desk,
            caller,
            pool,
            room,
            &found,
            occupant,
            Act::SeatReleased,
        )?;
    }
    Ok(SeatAnswer::Released)
}

/// The place is free; so is the seat, if nothing else of the holder's is on it.
fn leave(
    desk: &mut Desk,
    caller: Caller,
    pool: Pool,
    room: Room,
    found: &Occupied,
    occupant: &Occupant,
    act: Act,
) -> Result<(), StoreError> {
    remove(desk, found.id)?;
    if found.place == Place::Queue {
        return Ok(());
    }
    if !has_seat(desk, room, &occupant.holder)? {
        set_taken(desk, room, room.taken.saturating_sub(1))?;
    }
    log(desk, caller, act, pool, found.id, occupant)
}

/// Compare and swap: whoever was heard of since it was seen keeps the place.
fn evict(
    desk: &mut Desk,
    caller: Caller,
    pool: Pool,
    seen: Seen,
) -> Result<SeatAnswer, StoreError> {
    // A node that just said what it holds may not be through with it.
    if desk.learning().is_some() {
        return Ok(SeatAnswer::Changed);
    }
    let Some(room) = find_room(desk, pool)? else {
        return Ok(SeatAnswer::Changed);
    };
    let silent = desk.one(
        "SELECT place, incarnation, holder, session FROM places
         WHERE id = ?1 AND pool = ?2 AND heard = ?3",
        [signed(seen.id), room.row, signed(seen.heard)],
        |row| {
            let found = Occupied {
                id: seen.id,
                place: place(row, 0)?,
                incarnation: Incarnation::from_bytes(row.get(1)?),
            };
            let (holder, session) = (row.get(2)?, row.get(3)?);
            Ok((found, Occupant { holder, session }))
        },
    )?;
    let Some((found, occupant)) = silent else {
        return Ok(SeatAnswer::Changed);
    };
    leave(
        desk,
        caller,
        pool,
        room,
        &found,
        &occupant,
        Act::SeatEvicted,
    )?;
    Ok(SeatAnswer::Evicted)
}

fn list(desk: &Desk, pool: Pool) -> Result<SeatAnswer, StoreError> {
    let Some(room) = find_room(desk, pool)? else {
        return Ok(SeatAnswer::Listed {
            taken: 0,
            occupants: Vec::new(),
        });
    };
    let most = i64::try_from(MAX_SEEN).expect("a small number");
    let occupants = desk.all(
        "SELECT id, heard, lease, place, holder, session FROM places
         WHERE pool = ?1 ORDER BY heard LIMIT ?2",
        [room.row, most],
        |row| {
            Ok(Listed {
                seen: seen(row)?,
                place: place(row, 3)?,
                occupant: Occupant {
                    holder: row.get(4)?,
                    session: row.get(5)?,
                },
            })
        },
    )?;
    Ok(SeatAnswer::Listed {
        taken: room.taken,
        occupants,
    })
}

/// A node says that it holds a seat. One that the store may have forgotten is taken again, even if
/// that is one too many: its holder has it. A store that does not learn has forgotten nothing, and
/// may have given the seat to somebody else.
pub(super) fn reassert(
    desk: &mut Desk,
    caller: Caller,
    pool: Pool,
    fence: u64,
    occupant: &Occupant,
    lease: Duration,
) -> Result<(), StoreError> {
    if renew(desk, caller, pool, fence)? == SeatAnswer::Renewed || desk.learning().is_none() {
        return Ok(());
    }
    desk.change(
        "INSERT INTO pools VALUES (NULL, ?1, ?2, 0, 0, 0) ON CONFLICT DO NOTHING",
        params![pool.license.as_bytes(), pool.limit.get()],
    )?;
    let Some(room) = find_room(desk, pool)? else {
        return Err(StoreError::new(Fault::Damaged, "a pool is gone"));
    };
    let found = find(desk, room, occupant)?;
    // Another run took the place over, which the store remembers: that one has it.
    if found.as_ref().is_some_and(|found| found.id > fence) {
        return Ok(());
    }
    if let Some(found) = found {
        remove(desk, found.id)?;
    }
    let taken = if has_seat(desk, room, &occupant.holder)? {
        room.taken
    } else {
        room.taken + 1
    };
    write(desk, fence, caller, room, Place::Seat, occupant, lease)?;
    set_taken(desk, room, taken)?;
    log(desk, caller, Act::SeatReasserted, pool, fence, occupant)
}

fn log(
    desk: &mut Desk,
    caller: Caller,
    act: Act,
    pool: Pool,
    fence: u64,
    occupant: &Occupant,
) -> Result<(), StoreError> {
    let subject = Subject::Seat {
        pool,
        fence,
        occupant,
    };
    let entry = Entry {
        act,
        subject,
        units: 1,
    };
    desk.log(caller, &entry)
}
