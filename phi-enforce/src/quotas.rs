//! Slices of quotas: charged when they are given out, so that nothing that happens to a node can
//! exceed a limit.

use phi_verify::{Allowance, Period, Quota};

use crate::{
    clock::Wall,
    desk::{Desk, Kind},
    error::{Fault, StoreError},
    ledger::{Counter, Ledger, Terms},
    period::Label,
    store::{Ask, Caller, Grant, MAX_SLICE, Outcome, Overage, QuotaKey, Return},
    usage::{About, Act},
};

/// A node holds no more than a hundredth of a quota, so that what dies with it is little.
const SHARE: u64 = 100;
/// Databases count to 2^63 - 1.
const MAX_COUNT: u64 = i64::MAX.cast_unsigned();

pub(crate) fn grant<L: Ledger>(
    desk: &mut Desk<L>,
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

fn grant_one<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    ask: &Ask,
) -> Result<Grant, StoreError> {
    let quota = terms(desk, caller, ask)?;
    let now = desk.now().wall;
    let label = current_label(desk, ask.key, quota.period, now)?;
    let counter = counter(desk, ask, quota, label)?;
    let limit = match quota.allowance {
        Allowance::Limited(limit) => limit,
        Allowance::Unlimited => u64::MAX,
    };
    let due = limit.saturating_sub(counter.owed);
    let ceiling = due.saturating_add(ask.overage.extra()).min(MAX_COUNT);
    let remaining = ceiling.saturating_sub(counter.charged());
    let units = slice(ask, limit, remaining, desk.live_nodes()?);
    let charged = counter.charged() + units;
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
fn terms<L: Ledger>(desk: &mut Desk<L>, caller: Caller, ask: &Ask) -> Result<Quota, StoreError> {
    let said = Terms {
        revision: ask.revision.min(MAX_COUNT),
        quota: Quota {
            allowance: bounded(ask.quota.allowance),
            ..ask.quota
        },
    };
    match desk.ledger.terms(ask.key)? {
        Some(known) if known.revision > said.revision || known == said => Ok(known.quota),
        _ => {
            desk.ledger.set_terms(ask.key, said)?;
            let about = About::Terms {
                key: ask.key,
                revision: said.revision,
                quota: said.quota,
            };
            desk.log(caller, Act::TermsSet, about)?;
            Ok(said.quota)
        }
    }
}

/// An allowance that can be written down.
pub(crate) fn bounded(allowance: Allowance) -> Allowance {
    match allowance {
        Allowance::Limited(limit) => Allowance::Limited(limit.min(MAX_COUNT)),
        Allowance::Unlimited => Allowance::Unlimited,
    }
}

/// The period that the clock is in, or a later one that was charged already: a clock that is set
/// back does not open a period again.
fn current_label<L: Ledger>(
    desk: &mut Desk<L>,
    key: QuotaKey,
    period: Period,
    now: Wall,
) -> Result<Label, StoreError> {
    let label = Label::at(period, now);
    let newest = desk.ledger.newest_label(key, period)?.unwrap_or(0);
    Ok(Label {
        period,
        number: label.number.max(newest),
    })
}

fn counter<L: Ledger>(
    desk: &mut Desk<L>,
    ask: &Ask,
    quota: Quota,
    label: Label,
) -> Result<Counter, StoreError> {
    if let Some(counter) = desk.ledger.counter(ask.key, label)? {
        return Ok(counter);
    }
    let counter = Counter {
        owed: owed(desk, ask, quota, label)?,
        ..Counter::default()
    };
    desk.ledger.set_counter(ask.key, label, counter)?;
    Ok(counter)
}

/// What a burst of the period before leaves to be paid back.
fn owed<L: Ledger>(
    desk: &mut Desk<L>,
    ask: &Ask,
    quota: Quota,
    label: Label,
) -> Result<u64, StoreError> {
    let (Overage::Burst(_), Allowance::Limited(limit)) = (ask.overage, quota.allowance) else {
        return Ok(0);
    };
    let Some(before) = label.before() else {
        return Ok(0);
    };
    let before = desk.ledger.counter(ask.key, before)?;
    Ok(before.map_or(0, |before| {
        before
            .charged()
            .saturating_add(before.owed)
            .saturating_sub(limit)
            .min(MAX_COUNT)
    }))
}

/// How long the period still lasts, by the wall clock. One that has not begun by it lasts until
/// its own end.
fn lasts(label: Label, now: Wall) -> Option<std::time::Duration> {
    let ends = Wall::from(label.ends()?);
    let left = ends.millis().saturating_sub(now.millis());
    Some(std::time::Duration::from_millis(left))
}

fn charge<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    key: QuotaKey,
    label: Label,
    units: u64,
    act: Act,
) -> Result<(), StoreError> {
    let counter = known(desk, key, label)?;
    let granted = counter.granted.checked_add(units);
    let granted = granted.filter(|granted| *granted <= MAX_COUNT);
    let granted = granted.ok_or_else(|| too_many("the period counts no further"))?;
    desk.ledger
        .set_counter(key, label, Counter { granted, ..counter })?;
    let node = caller.incarnation;
    let holding = desk.ledger.holding(node, key, label)?.saturating_add(units);
    desk.ledger.set_holding(node, key, label, holding)?;
    desk.log(caller, act, About::Units { key, label, units })
}

fn discharge<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    key: QuotaKey,
    label: Label,
    units: u64,
    act: Act,
) -> Result<(), StoreError> {
    let counter = known(desk, key, label)?;
    let returned = counter.returned.saturating_add(units);
    desk.ledger.set_counter(
        key,
        label,
        Counter {
            returned,
            ..counter
        },
    )?;
    let node = caller.incarnation;
    let holding = desk.ledger.holding(node, key, label)?.saturating_sub(units);
    desk.ledger.set_holding(node, key, label, holding)?;
    desk.log(caller, act, About::Units { key, label, units })
}

fn known<L: Ledger>(
    desk: &mut Desk<L>,
    key: QuotaKey,
    label: Label,
) -> Result<Counter, StoreError> {
    let counter = desk.ledger.counter(key, label)?;
    counter.ok_or_else(|| StoreError::new(Fault::Damaged, "a counter is gone"))
}

pub(crate) fn give_back<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    returns: &[Return],
) -> Result<Outcome<Vec<u64>>, StoreError> {
    desk.once(caller, Kind::GiveBack, |desk| {
        let taken = returns.iter().map(|back| {
            // Nobody returns what it was not given.
            let held = desk
                .ledger
                .holding(caller.incarnation, back.key, back.label)?;
            let units = back.units.min(held);
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
pub(crate) fn reassert<L: Ledger>(
    desk: &mut Desk<L>,
    caller: Caller,
    says: Return,
) -> Result<(), StoreError> {
    if says.units > MAX_COUNT {
        return Err(too_many("nobody holds that many units"));
    }
    if desk.ledger.counter(says.key, says.label)?.is_none() {
        let none = Counter::default();
        desk.ledger.set_counter(says.key, says.label, none)?;
    }
    let known = desk
        .ledger
        .holding(caller.incarnation, says.key, says.label)?;
    let (more, less) = (
        says.units.saturating_sub(known),
        known.saturating_sub(says.units),
    );
    if more > 0 {
        charge(desk, caller, says.key, says.label, more, Act::Reasserted)?;
    }
    if less > 0 {
        discharge(desk, caller, says.key, says.label, less, Act::NeverArrived)?;
    }
    Ok(())
}

fn too_many(problem: &str) -> StoreError {
    StoreError::new(Fault::Request, problem)
}
