//! The usage log: everything that was given out and taken back, and what it comes to by period.

use phi_verify::{LicenseId, LimitCode, QuotaCode, UnixTime};
use rusqlite::{Row, params, types::Type};

use super::{
    desk::{Desk, signed, unsigned},
    quotas::period_of,
};
use crate::{
    clock::Wall,
    error::StoreError,
    period::Label,
    store::{Caller, Incarnation, Occupant, Pool, QuotaKey, number_of},
};

/// What was done, by its number in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Act {
    /// Units were charged and given to a node.
    Granted = 1,
    /// Units came back unspent.
    Returned = 2,
    /// Units that the store had forgotten were charged again.
    Reasserted = 3,
    /// Units whose grant never reached the node are free again.
    NeverArrived = 4,
    /// A seat was taken.
    SeatAcquired = 5,
    /// A seat was given up.
    SeatReleased = 6,
    /// A holder was silent for longer than its lease and lost the seat.
    SeatEvicted = 7,
    /// A holder came back by the same name, in another run of a node.
    SeatTakenOver = 8,
    /// A seat that the store had forgotten is taken again.
    SeatReasserted = 9,
}

impl Act {
    const ALL: [Self; 9] = [
        Self::Granted,
        Self::Returned,
        Self::Reasserted,
        Self::NeverArrived,
        Self::SeatAcquired,
        Self::SeatReleased,
        Self::SeatEvicted,
        Self::SeatTakenOver,
        Self::SeatReasserted,
    ];

    fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|act| *act as u64 == number)
    }
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Units of a quota.
    Units {
        /// The quota.
        key: QuotaKey,
        /// The period.
        label: Label,
        /// How many.
        units: u64,
    },
    /// A seat.
    Seat {
        /// In this pool.
        pool: Pool,
        /// Its number.
        fence: u64,
        /// Who was on it.
        occupant: Occupant,
    },
}

/// One event of the usage log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageEvent {
    /// Its place in the log: it rises, and not every number is there.
    pub seq: u64,
    /// When, by the store's wall clock.
    pub at: Wall,
    /// The run of the node that asked for it.
    pub incarnation: Incarnation,
    /// The request in which it did.
    pub request: u64,
    /// What was done.
    pub act: Act,
    /// To what.
    pub about: About,
}

/// What was used of a quota in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodUsage {
    /// The quota.
    pub key: QuotaKey,
    /// The period.
    pub label: Label,
    /// Units that were given out in all.
    pub granted: u64,
    /// Units of those that came back.
    pub returned: u64,
}

impl PeriodUsage {
    /// Units that count as used: spent, still in the hands of a node, or lost with one.
    pub const fn charged(&self) -> u64 {
        self.granted.saturating_sub(self.returned)
    }
}

/// How many seats of a pool were taken on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatUsage {
    /// The pool.
    pub pool: Pool,
    /// When the day began.
    pub day: UnixTime,
    /// The most at once.
    pub peak: u64,
    /// How often one was taken.
    pub acquired: u64,
}

pub(super) enum Subject<'a> {
    Quota {
        key: QuotaKey,
        label: Label,
    },
    Seat {
        pool: Pool,
        fence: u64,
        occupant: &'a Occupant,
    },
}

/// An event before it has its place.
pub(super) struct Entry<'a> {
    pub(super) act: Act,
    pub(super) subject: Subject<'a>,
    pub(super) units: u64,
}

pub(super) fn append(
    desk: &Desk,
    seq: u64,
    at: Wall,
    caller: Caller,
    entry: &Entry<'_>,
) -> Result<(), StoreError> {
    let node = caller.incarnation.as_bytes();
    let (seq, at, request) = (signed(seq), signed(at.millis()), signed(caller.request));
    let (act, units) = (entry.act as i64, signed(entry.units));
    let sql = "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    match &entry.subject {
        Subject::Quota { key, label } => {
            let (license, code) = (key.license.as_bytes(), key.quota.get());
            let (period, number) = (number_of(label.period), signed(label.number));
            let empty = None::<&str>;
            desk.change(
                sql,
                params![
                    seq, at, node, request, act, license, code, period, number, units, empty,
                    empty, empty
                ],
            )
        }
        Subject::Seat {
            pool,
            fence,
            occupant,
        } => {
            let (license, code) = (pool.license.as_bytes(), pool.limit.get());
            let (fence, empty) = (signed(*fence), None::<i64>);
            let (holder, session) = (&occupant.holder, &occupant.session);
            desk.change(
                sql,
                params![
                    seq, at, node, request, act, license, code, empty, empty, units, fence, holder,
                    session
                ],
            )
        }
    }
    .map(drop)
}

pub(super) fn log(desk: &Desk, after: u64, most: usize) -> Result<Vec<UsageEvent>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    desk.all(
        "SELECT seq, at, incarnation, request, act, license, code, period, label, units, fence,
                holder, session
         FROM usage WHERE seq > ?1 ORDER BY seq LIMIT ?2",
        [signed(after), most],
        event,
    )
}

fn event(row: &Row<'_>) -> rusqlite::Result<UsageEvent> {
    let act = Act::from_number(unsigned(row, 4)?).ok_or_else(|| unreadable(4))?;
    let about = match row.get::<_, Option<i64>>(10)? {
        None => About::Units {
            key: quota_key(row, 5)?,
            label: label(row, 7)?,
            units: unsigned(row, 9)?,
        },
        Some(fence) => About::Seat {
            pool: pool(row, 5)?,
            fence: fence.cast_unsigned(),
            occupant: Occupant {
                holder: row.get(11)?,
                session: row.get(12)?,
            },
        },
    };
    Ok(UsageEvent {
        seq: unsigned(row, 0)?,
        at: Wall::from_millis(unsigned(row, 1)?),
        incarnation: Incarnation::from_bytes(row.get(2)?),
        request: unsigned(row, 3)?,
        act,
        about,
    })
}

fn unreadable(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "an unknown number".into(), Type::Integer)
}

fn quota_key(row: &Row<'_>, column: usize) -> rusqlite::Result<QuotaKey> {
    let code = unsigned(row, column + 1)?;
    Ok(QuotaKey {
        license: LicenseId::from_bytes(row.get(column)?),
        quota: QuotaCode::checked(code).ok_or_else(|| unreadable(column + 1))?,
    })
}

fn pool(row: &Row<'_>, column: usize) -> rusqlite::Result<Pool> {
    let code = unsigned(row, column + 1)?;
    Ok(Pool {
        license: LicenseId::from_bytes(row.get(column)?),
        limit: LimitCode::checked(code).ok_or_else(|| unreadable(column + 1))?,
    })
}

fn label(row: &Row<'_>, column: usize) -> rusqlite::Result<Label> {
    let period = period_of(unsigned(row, column)?).map_err(|_| unreadable(column))?;
    Ok(Label {
        period,
        number: unsigned(row, column + 1)?,
    })
}

pub(super) fn periods(desk: &Desk) -> Result<Vec<PeriodUsage>, StoreError> {
    desk.all(
        "SELECT license, quota, period, label, granted, returned FROM counters
         ORDER BY license, quota, period, label",
        [],
        |row| {
            Ok(PeriodUsage {
                key: quota_key(row, 0)?,
                label: label(row, 2)?,
                granted: unsigned(row, 4)?,
                returned: unsigned(row, 5)?,
            })
        },
    )
}

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

pub(super) fn seat_days(desk: &Desk) -> Result<Vec<SeatUsage>, StoreError> {
    desk.all(
        "SELECT license, code, day, peak, acquired FROM seat_days JOIN pools USING (pool)
         ORDER BY license, code, day",
        [],
        |row| {
            Ok(SeatUsage {
                pool: pool(row, 0)?,
                day: UnixTime::EPOCH.plus(unsigned(row, 2)?.saturating_mul(DAY)),
                peak: unsigned(row, 3)?,
                acquired: unsigned(row, 4)?,
            })
        },
    )
}

/// Each finds rows that contradict others, and says so in its one column.
const CONTRADICTIONS: [&str; 3] = [
    "SELECT 'a counter of quota ' || quota || ' is not what the log comes to'
     FROM counters AS c
     WHERE granted - returned <> (
         SELECT coalesce(sum(CASE WHEN act IN (1, 3) THEN units ELSE -units END), 0)
         FROM usage AS u
         WHERE u.license = c.license AND u.code = c.quota AND u.fence IS NULL
           AND u.period = c.period AND u.label = c.label)",
    "SELECT 'a counter of quota ' || quota || ' is not what nodes hold'
     FROM counters AS c
     WHERE granted - returned <> (
         SELECT coalesce(sum(units), 0) FROM holdings AS h
         WHERE h.license = c.license AND h.quota = c.quota
           AND h.period = c.period AND h.label = c.label)",
    "SELECT 'pool ' || code || ' has ' || taken || ' seats taken, and other holders'
     FROM pools
     WHERE taken <> (
         SELECT count(DISTINCT holder) FROM places
         WHERE places.pool = pools.pool AND place = 0)",
];

pub(super) fn audit(desk: &Desk) -> Result<Vec<String>, StoreError> {
    let found = CONTRADICTIONS.map(|sql| desk.all(sql, [], |row| row.get(0)));
    let found = found.into_iter().collect::<Result<Vec<Vec<String>>, _>>()?;
    let mut found = found.concat();
    let sound: String = desk
        .one("PRAGMA main.integrity_check(1)", [], |row| row.get(0))?
        .unwrap_or_default();
    if sound != "ok" {
        found.push(sound);
    }
    Ok(found)
}
