//! Slices of quotas: charged when they are given out, so that nothing that happens to a node can
//! exceed a limit.

use phi_verify::{Allowance, Period, Quota};
use rusqlite::params;

use super::{
    desk::{Desk, Kind, signed, unsigned},
    usage::{Act, Entry, Subject},
};
use crate::{
    clock::Wall,
    error::{Fault, StoreError},
    period::Label,
    store::{Ask, Caller, Grant, MAX_SLICE, Outcome, Overage, QuotaKey, Return, number_of},
};

/// A node holds no more than a hundredth of a quota, so that what dies with it is little.
const SHARE: u64 = 100;

/// What was given out in a period.
#[derive(Clone, Copy, Debug)]
struct Counter {
    charged: u64,
    owed: u64,
}

pub(super) fn grant(
    desk: &mut Desk,
    caller: Caller,
    asks: &[Ask],
) -> Result<Outcome<Vec<Grant>>, StoreError> {
    desk.once(caller, Kind::Grant, |desk| {
        if let Some(wait) = desk.learning() {
            return Ok(Outcome::Learning { wait });
        }
        let grants = asks.iter().map(|ask| grant_one(desk, caller, ask));
        let grants = grants.collect::<Result<Vec<_>, _>>()?;
        Ok(desk.done(grants))
    })
}

fn grant_one(desk: &mut Desk, caller: Caller, ask: &Ask) -> Result<Grant, StoreError> {
    let quota = terms(desk, ask)?;
    let now = desk.now().wall;
    let label = current_label(desk, ask.key, quota.period, now)?;
    let counter = counter(desk, ask, quota, label)?;
    let limit = match quota.allowance {
        Allowance::Limited(limit) => limit,
        Allowance::Unlimited => u64::MAX,
    };
    let due = limit.saturating_sub(counter.owed);
    // The file counts to 2^63 - 1.
    let ceiling = due.saturating_add(ask.overage.extra()).min(MAX_COUNT);
    let remaining = ceiling.saturating_sub(counter.charged);
    let units = slice(ask, limit, remaining, desk.live_nodes());
    let charged = counter.charged + units;
    if units > 0 {
        charge(desk, caller, ask.key, label, units, Act::Granted)?;
    }
    Ok(Grant {
        units,
        label,
        lasts: lasts(label, now),
        remaining: ceiling.saturating_sub(charged),
        beyond: charged.saturating_sub(due).min(units),
        limit: quota.allowance,
    })
}

const MAX_COUNT: u64 = i64::MAX.cast_unsigned();

/// How many units are given out: what is wanted, less than the last ones at once, and nothing
/// rather than too few.
fn slice(ask: &Ask, limit: u64, remaining: u64, nodes: u64) -> u64 {
    let at_most = ask.at_most.min(MAX_SLICE);
    if remaining < ask.at_least || at_most < ask.at_least {
        return 0;
    }
    let share = (limit / SHARE / nodes).min(remaining / nodes.saturating_mul(2));
    let room = share.saturating_sub(ask.in_hand);
    at_most.min(room.max(ask.at_least)).min(remaining)
}

/// What the newest revision says that the store has heard of.
fn terms(desk: &Desk, ask: &Ask) -> Result<Quota, StoreError> {
    let (license, quota) = (ask.key.license.as_bytes(), ask.key.quota.get());
    let amount = match ask.quota.allowance {
        Allowance::Limited(limit) => Some(signed(limit)),
        Allowance::Unlimited => None,
    };
    let period = number_of(ask.quota.period);
    desk.change(
        "INSERT INTO quotas VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (license, quota) DO UPDATE
         SET revision = excluded.revision, amount = excluded.amount, period = excluded.period
         WHERE revision < excluded.revision
            OR revision = excluded.revision
               AND (amount IS NOT excluded.amount OR period <> excluded.period)",
        params![license, quota, signed(ask.revision), amount, period],
    )?;
    let sql = "SELECT amount, period FROM quotas WHERE license = ?1 AND quota = ?2";
    let known = desk.one(sql, params![license, quota], |row| {
        Ok((row.get::<_, Option<i64>>(0)?, unsigned(row, 1)?))
    })?;
    let (amount, period) = known.ok_or_else(|| damaged("a quota is gone"))?;
    Ok(Quota {
        allowance: amount.map_or(Allowance::Unlimited, |amount| {
            Allowance::Limited(amount.cast_unsigned())
        }),
        period: period_of(period)?,
    })
}

pub(super) fn period_of(number: u64) -> Result<Period, StoreError> {
    let position = usize::try_from(number).unwrap_or(usize::MAX);
    let period = Period::ALL.get(position).copied();
    period.ok_or_else(|| damaged("a period has an unknown number"))
}

fn damaged(problem: &str) -> StoreError {
    StoreError::new(Fault::Damaged, problem)
}

/// The period that the clock is in, or a later one that was charged already: a clock that is set
/// back does not open a period again.
fn current_label(
    desk: &Desk,
    key: QuotaKey,
    period: Period,
    now: Wall,
) -> Result<Label, StoreError> {
    let label = Label::at(period, now);
    let sql = "SELECT max(label) FROM counters WHERE license = ?1 AND quota = ?2 AND period = ?3";
    let values = params![key.license.as_bytes(), key.quota.get(), number_of(period)];
    let newest: Option<i64> = desk.one(sql, values, |row| row.get(0))?.flatten();
    let newest = newest.map_or(0, i64::cast_unsigned);
    Ok(Label {
        period,
        number: label.number.max(newest),
    })
}

fn counter(desk: &Desk, ask: &Ask, quota: Quota, label: Label) -> Result<Counter, StoreError> {
    if let Some(counter) = find(desk, ask.key, label)? {
        return Ok(counter);
    }
    let owed = owed(desk, ask, quota, label)?;
    create(desk, ask.key, label, owed)?;
    Ok(Counter { charged: 0, owed })
}

fn create(desk: &Desk, key: QuotaKey, label: Label, owed: u64) -> Result<(), StoreError> {
    let (license, quota) = (key.license.as_bytes(), key.quota.get());
    let (period, number) = (number_of(label.period), signed(label.number));
    desk.change(
        "INSERT INTO counters VALUES (?1, ?2, ?3, ?4, 0, 0, ?5) ON CONFLICT DO NOTHING",
        params![license, quota, period, number, signed(owed)],
    )?;
    Ok(())
}

/// What a burst of the period before leaves to be paid back.
fn owed(desk: &Desk, ask: &Ask, quota: Quota, label: Label) -> Result<u64, StoreError> {
    let (Overage::Burst(_), Allowance::Limited(limit)) = (ask.overage, quota.allowance) else {
        return Ok(0);
    };
    let Some(before) = label.before() else {
        return Ok(0);
    };
    let before = find(desk, ask.key, before)?;
    Ok(before.map_or(0, |before| {
        before
            .charged
            .saturating_add(before.owed)
            .saturating_sub(limit)
    }))
}

fn find(desk: &Desk, key: QuotaKey, label: Label) -> Result<Option<Counter>, StoreError> {
    let (license, quota) = (key.license.as_bytes(), key.quota.get());
    let (period, number) = (number_of(label.period), signed(label.number));
    desk.one(
        "SELECT granted - returned, owed FROM counters
         WHERE license = ?1 AND quota = ?2 AND period = ?3 AND label = ?4",
        params![license, quota, period, number],
        |row| {
            Ok(Counter {
                charged: unsigned(row, 0)?,
                owed: unsigned(row, 1)?,
            })
        },
    )
}

/// How long the period still lasts, by the wall clock. One that has not begun by it lasts until
/// its own end.
fn lasts(label: Label, now: Wall) -> Option<std::time::Duration> {
    let ends = Wall::from(label.ends()?);
    let left = ends.millis().saturating_sub(now.millis());
    Some(std::time::Duration::from_millis(left))
}

fn charge(
    desk: &mut Desk,
    caller: Caller,
    key: QuotaKey,
    label: Label,
    units: u64,
    act: Act,
) -> Result<(), StoreError> {
    let (license, quota) = (key.license.as_bytes(), key.quota.get());
    let (period, number) = (number_of(label.period), signed(label.number));
    desk.change(
        "UPDATE counters SET granted = granted + ?5
         WHERE license = ?1 AND quota = ?2 AND period = ?3 AND label = ?4",
        params![license, quota, period, number, signed(units)],
    )?;
    let node = caller.incarnation.as_bytes();
    desk.change(
        "INSERT INTO holdings VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET units = units + excluded.units",
        params![node, license, quota, period, number, signed(units)],
    )?;
    log(desk, caller, act, key, label, units)
}

fn discharge(
    desk: &mut Desk,
    caller: Caller,
    key: QuotaKey,
    label: Label,
    units: u64,
    act: Act,
) -> Result<(), StoreError> {
    let (license, quota) = (key.license.as_bytes(), key.quota.get());
    let (period, number) = (number_of(label.period), signed(label.number));
    desk.change(
        "UPDATE counters SET returned = returned + ?5
         WHERE license = ?1 AND quota = ?2 AND period = ?3 AND label = ?4",
        params![license, quota, period, number, signed(units)],
    )?;
    desk.change(
        "UPDATE holdings SET units = units - ?6 WHERE incarnation = ?1
         AND license = ?2 AND quota = ?3 AND period = ?4 AND label = ?5",
        params![
            caller.incarnation.as_bytes(),
            license,
            quota,
            period,
            number,
            signed(units)
        ],
    )?;
    log(desk, caller, act, key, label, units)
}

fn log(
    desk: &mut Desk,
    caller: Caller,
    act: Act,
    key: QuotaKey,
    label: Label,
    units: u64,
) -> Result<(), StoreError> {
    let subject = Subject::Quota { key, label };
    let entry = Entry {
        act,
        subject,
        units,
    };
    desk.log(caller, &entry)
}

/// What a node has of a period, spent or not.
fn held(desk: &Desk, caller: Caller, key: QuotaKey, label: Label) -> Result<u64, StoreError> {
    let held = desk.one(
        "SELECT units FROM holdings WHERE incarnation = ?1
         AND license = ?2 AND quota = ?3 AND period = ?4 AND label = ?5",
        params![
            caller.incarnation.as_bytes(),
            key.license.as_bytes(),
            key.quota.get(),
            number_of(label.period),
            signed(label.number)
        ],
        |row| unsigned(row, 0),
    )?;
    Ok(held.unwrap_or(0))
}

pub(super) fn give_back(
    desk: &mut Desk,
    caller: Caller,
    returns: &[Return],
) -> Result<Outcome<Vec<u64>>, StoreError> {
    desk.once(caller, Kind::GiveBack, |desk| {
        let taken = returns.iter().map(|back| {
            // Nobody returns what it was not given.
            let units = back.units.min(held(desk, caller, back.key, back.label)?);
            if units > 0 {
                discharge(desk, caller, back.key, back.label, units, Act::Returned)?;
            }
            Ok(units)
        });
        let taken = taken.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(desk.done(taken))
    })
}

/// Brings what the store knows of a node's holding to what the node says. It may go beyond the
/// limit: what was spent was spent.
pub(super) fn reassert(desk: &mut Desk, caller: Caller, says: Return) -> Result<(), StoreError> {
    if says.units > MAX_COUNT {
        return Err(StoreError::new(
            Fault::Request,
            "nobody holds that many units",
        ));
    }
    create(desk, says.key, says.label, 0)?;
    let known = held(desk, caller, says.key, says.label)?;
    let (more, less) = (
        says.units.saturating_sub(known),
        known.saturating_sub(says.units),
    );
    if more > 0 {
        let charged = find(desk, says.key, says.label)?.map_or(0, |counter| counter.charged);
        if more > MAX_COUNT - charged.min(MAX_COUNT) {
            return Err(StoreError::new(
                Fault::Request,
                "nobody holds that many units",
            ));
        }
        charge(desk, caller, says.key, says.label, more, Act::Reasserted)?;
    }
    if less > 0 {
        discharge(desk, caller, says.key, says.label, less, Act::NeverArrived)?;
    }
    Ok(())
}
