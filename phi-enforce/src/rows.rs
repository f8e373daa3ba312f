//! Rows of any database, as what they stand for; and the queries that every database understands.

use std::time::Duration;

use phi_verify::{Allowance, LicenseId, LimitCode, Period, Quota, QuotaCode, UnixTime};

use crate::{
    clock::Wall,
    desk::signed,
    error::{Fault, StoreError},
    ledger::{Lent, Occupied, Room},
    period::Label,
    store::{Incarnation, Listed, Occupant, Place, Pool, QuotaKey, Seen, number_of},
    usage::{About, Act, PeriodUsage, SeatUsage, UsageEvent},
};

/// A seat, in the column `place`.
pub(crate) const ON_SEAT: i64 = 0;
/// A place in the queue.
pub(crate) const IN_QUEUE: i64 = 1;
/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// One row of an answer. What is not of the wanted type is damaged.
pub(crate) trait Row {
    fn int(&self, column: usize) -> Result<Option<i64>, StoreError>;
    fn text(&self, column: usize) -> Result<Option<String>, StoreError>;
    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError>;

    fn unsigned(&self, column: usize) -> Result<u64, StoreError> {
        let number = self.int(column)?.ok_or_else(unreadable)?;
        u64::try_from(number).map_err(|_| unreadable())
    }

    fn words(&self, column: usize) -> Result<String, StoreError> {
        self.text(column)?.ok_or_else(unreadable)
    }

    fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        let bytes = self.bytes(column)?.unwrap_or_default();
        bytes.try_into().map_err(|_| unreadable())
    }
}

fn unreadable() -> StoreError {
    StoreError::new(
        Fault::Damaged,
        "a row has a value that none is written with",
    )
}

/// The columns id, place, holder, session, incarnation, heard, lease and team.
pub(crate) fn occupied(row: &impl Row) -> Result<Occupied, StoreError> {
    Ok(Occupied {
        id: row.unsigned(0)?,
        place: place(row, 1)?,
        occupant: Occupant {
            holder: row.words(2)?,
            session: row.words(3)?,
        },
        incarnation: Incarnation::from_bytes(row.array(4)?),
        heard: row.unsigned(5)?,
        lease: Duration::from_millis(row.unsigned(6)?),
        group: Some(row.words(7)?).filter(|group| !group.is_empty()),
    })
}

pub(crate) fn listed(row: &impl Row) -> Result<Listed, StoreError> {
    let found = occupied(row)?;
    Ok(Listed {
        seen: seen(&found),
        occupant: found.occupant,
        group: found.group,
        place: found.place,
    })
}

pub(crate) const fn seen(found: &Occupied) -> Seen {
    Seen {
        id: found.id,
        heard: found.heard,
        lease: found.lease,
    }
}

fn place(row: &impl Row, column: usize) -> Result<Place, StoreError> {
    match row.unsigned(column)?.cast_signed() {
        ON_SEAT => Ok(Place::Seat),
        IN_QUEUE => Ok(Place::Queue),
        _ => Err(unreadable()),
    }
}

pub(crate) const fn place_number(place: Place) -> i64 {
    match place {
        Place::Seat => ON_SEAT,
        Place::Queue => IN_QUEUE,
    }
}

/// The columns id, holder, session, team, machine, since and until.
pub(crate) fn lent(row: &impl Row) -> Result<Lent, StoreError> {
    Ok(Lent {
        id: row.unsigned(0)?,
        occupant: Occupant {
            holder: row.words(1)?,
            session: row.words(2)?,
        },
        group: Some(row.words(3)?).filter(|group| !group.is_empty()),
        machine: row.bytes(4)?.ok_or_else(unreadable)?,
        since: row.unsigned(5)?,
        until: row.unsigned(6)?,
    })
}

/// The columns name and number.
pub(crate) fn counted(row: &impl Row) -> Result<(String, u64), StoreError> {
    Ok((row.words(0)?, row.unsigned(1)?))
}

/// The columns pool, revision, amount and taken.
pub(crate) fn room(row: &impl Row, first: usize) -> Result<Room, StoreError> {
    Ok(Room {
        row: row.unsigned(first)?,
        revision: row.unsigned(first + 1)?,
        seats: allowance(row, first + 2)?,
        taken: row.unsigned(first + 3)?,
    })
}

/// An amount, of which NULL is unlimited.
pub(crate) fn allowance(row: &impl Row, column: usize) -> Result<Allowance, StoreError> {
    Ok(match row.int(column)? {
        Some(_) => Allowance::Limited(row.unsigned(column)?),
        None => Allowance::Unlimited,
    })
}

pub(crate) fn amount(allowance: Allowance) -> Option<i64> {
    match allowance {
        Allowance::Limited(limit) => Some(signed(limit)),
        Allowance::Unlimited => None,
    }
}

pub(crate) fn quota_key(row: &impl Row, column: usize) -> Result<QuotaKey, StoreError> {
    Ok(QuotaKey {
        license: LicenseId::from_bytes(row.array(column)?),
        quota: QuotaCode::checked(row.unsigned(column + 1)?).ok_or_else(unreadable)?,
    })
}

pub(crate) fn pool(row: &impl Row, column: usize) -> Result<Pool, StoreError> {
    Ok(Pool {
        license: LicenseId::from_bytes(row.array(column)?),
        limit: LimitCode::checked(row.unsigned(column + 1)?).ok_or_else(unreadable)?,
    })
}

pub(crate) fn period(row: &impl Row, column: usize) -> Result<Period, StoreError> {
    let position = usize::try_from(row.unsigned(column)?).map_err(|_| unreadable())?;
    Period::ALL.get(position).copied().ok_or_else(unreadable)
}

pub(crate) fn label(row: &impl Row, column: usize) -> Result<Label, StoreError> {
    Ok(Label {
        period: period(row, column)?,
        number: row.unsigned(column + 1)?,
    })
}

/// The usage log after an event, as many as wanted.
pub(crate) const LOG: &str =
    "SELECT seq, at, incarnation, request, act, license, code, period, label, units, fence,
            holder, session
     FROM usage WHERE seq > $1 ORDER BY seq LIMIT $2";

pub(crate) fn event(row: &impl Row) -> Result<UsageEvent, StoreError> {
    let act = Act::from_number(row.unsigned(4)?).ok_or_else(unreadable)?;
    let about = if row.int(10)?.is_some() {
        about_seat(row)?
    } else if act == Act::TermsSet {
        about_terms(row)?
    } else {
        About::Units {
            key: quota_key(row, 5)?,
            label: label(row, 7)?,
            units: row.unsigned(9)?,
        }
    };
    Ok(UsageEvent {
        seq: row.unsigned(0)?,
        at: Wall::from_millis(row.unsigned(1)?),
        incarnation: Incarnation::from_bytes(row.array(2)?),
        request: row.unsigned(3)?,
        act,
        about,
    })
}

/// Units of terms that are unlimited.
const WITHOUT_LIMIT: i64 = -1;

/// The revision stands where the number of a period does.
fn about_terms(row: &impl Row) -> Result<About, StoreError> {
    let allowance = match row.int(9)? {
        Some(WITHOUT_LIMIT) => Allowance::Unlimited,
        _ => Allowance::Limited(row.unsigned(9)?),
    };
    Ok(About::Terms {
        key: quota_key(row, 5)?,
        revision: row.unsigned(8)?,
        quota: Quota {
            allowance,
            period: period(row, 7)?,
        },
    })
}

/// What an event is about, in the columns of the log from `license` on.
#[derive(Debug)]
pub(crate) struct Logged<'a> {
    pub(crate) license: LicenseId,
    pub(crate) code: u16,
    pub(crate) period: Option<i64>,
    pub(crate) label: Option<i64>,
    pub(crate) units: i64,
    pub(crate) fence: Option<i64>,
    pub(crate) occupant: Option<&'a Occupant>,
}

impl<'a> Logged<'a> {
    pub(crate) fn of(event: &'a UsageEvent) -> Self {
        match &event.about {
            About::Units { key, label, units } => {
                Self::quota(*key, label.period, label.number, signed(*units))
            }
            About::Terms {
                key,
                revision,
                quota,
            } => {
                let units = amount(quota.allowance).unwrap_or(WITHOUT_LIMIT);
                Self::quota(*key, quota.period, *revision, units)
            }
            About::Seat {
                pool,
                fence,
                occupant,
            } => Self::seat(*pool, *fence, occupant, None),
            About::Loan {
                pool,
                fence,
                occupant,
                until,
            } => Self::seat(*pool, *fence, occupant, Some(*until)),
        }
    }

    fn quota(key: QuotaKey, period: Period, number: u64, units: i64) -> Self {
        Self {
            license: key.license,
            code: key.quota.get(),
            period: Some(number_of(period)),
            label: Some(signed(number)),
            units,
            fence: None,
            occupant: None,
        }
    }

    fn seat(pool: Pool, fence: u64, occupant: &'a Occupant, until: Option<UnixTime>) -> Self {
        Self {
            license: pool.license,
            code: pool.limit.get(),
            period: None,
            label: until.map(|until| signed(until.seconds())),
            units: 1,
            fence: Some(signed(fence)),
            occupant: Some(occupant),
        }
    }
}

/// Of a loan its end stands where the period of units does.
fn about_seat(row: &impl Row) -> Result<About, StoreError> {
    let (pool, fence) = (pool(row, 5)?, row.unsigned(10)?);
    let occupant = Occupant {
        holder: row.words(11)?,
        session: row.words(12)?,
    };
    if row.int(8)?.is_none() {
        return Ok(About::Seat {
            pool,
            fence,
            occupant,
        });
    }
    Ok(About::Loan {
        pool,
        fence,
        occupant,
        until: UnixTime::new(row.unsigned(8)?).ok_or_else(unreadable)?,
    })
}

pub(crate) const PERIODS: &str =
    "SELECT license, quota, period, label, granted, returned FROM counters
     ORDER BY license, quota, period, label";

pub(crate) fn period_usage(row: &impl Row) -> Result<PeriodUsage, StoreError> {
    Ok(PeriodUsage {
        key: quota_key(row, 0)?,
        label: label(row, 2)?,
        granted: row.unsigned(4)?,
        returned: row.unsigned(5)?,
    })
}

pub(crate) const SEAT_DAYS: &str =
    "SELECT license, code, day, peak, acquired FROM seat_days JOIN pools USING (pool)
     ORDER BY license, code, day";

pub(crate) fn seat_usage(row: &impl Row) -> Result<SeatUsage, StoreError> {
    Ok(SeatUsage {
        pool: pool(row, 0)?,
        day: UnixTime::EPOCH.plus(row.unsigned(2)?.saturating_mul(DAY)),
        peak: row.unsigned(3)?,
        acquired: row.unsigned(4)?,
    })
}

/// Everyone in a pool, as many as wanted: on seats first, and those first that were silent longest.
pub(crate) const OCCUPANTS: &str =
    "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
     WHERE pool = (SELECT pool FROM pools WHERE license = $1 AND code = $2)
     ORDER BY place, heard LIMIT $3";

/// Each finds rows that contradict others, and says so in its one column.
pub(crate) const CONTRADICTIONS: [&str; 5] = [
    "SELECT 'a counter of quota ' || quota || ' is not what the log comes to'
     FROM counters AS c
     WHERE granted - returned <> (
         SELECT coalesce(sum(CASE WHEN act IN (1, 3) THEN units ELSE -units END), 0)
         FROM usage AS u
         WHERE u.license = c.license AND u.code = c.quota AND u.act <= 4
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
         WHERE places.pool = pools.pool AND place = 0)
         + (SELECT count(*) FROM loans WHERE loans.pool = pools.pool)",
    "SELECT 'pool ' || code || ' has other holders of group ' || g.name || ' than are counted'
     FROM (SELECT pool, team AS name FROM places WHERE place = 0 AND team <> ''
           UNION SELECT pool, team FROM loans WHERE team <> ''
           UNION SELECT pool, name FROM teams) AS g
     JOIN pools USING (pool) LEFT JOIN teams AS t ON t.pool = g.pool AND t.name = g.name
     WHERE coalesce(t.taken, 0) <> (
         SELECT count(DISTINCT holder) FROM places AS p
         WHERE p.pool = g.pool AND p.place = 0 AND p.team = g.name)
         + (SELECT count(*) FROM loans AS l WHERE l.pool = g.pool AND l.team = g.name)",
    "SELECT 'loan ' || id || ' is not what the log says'
     FROM loans WHERE NOT EXISTS (
         SELECT 1 FROM usage WHERE act = 10 AND fence = loans.id AND label = loans.ends)",
];
