//! Usage reports: what they say is counted here a second time, from the log and by other means.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Duration,
};

use phi_enforce::{
    About, Act, Ask, Claim, Fault, Label, Loan, MAX_REPORT_ROWS, Overage, Patience, Pool, QuotaKey,
    ReportedDay, ReportedPeriod, SeatAnswer, SeatOp, UsageEvent, UsageQuery, UsageReport, Wall,
};
use phi_tests::snakeoil::{DAY, NOW};
use phi_verify::{Allowance, LicenseId, LimitCode, Period, Quota, QuotaCode, UnixTime};
use sha2::{Digest as _, Sha256};

use crate::{
    client::{CALLS, Client, LICENSE, SEATS, ask, claim, occupant},
    dice::Dice,
    rig::Rig,
};

const OTHER: LicenseId = LicenseId::from_bytes(*b"license2");
const MINUTE: u64 = 60;
const MINUTES: u64 = DAY / MINUTE;
/// The days that the store is used on, and those of them that the report is of: who has a seat at
/// its beginning and at its end stands outside.
const DAYS: u64 = 5;
const FROM: UnixTime = NOW.plus(DAY + 7 * MINUTE);
const TO: UnixTime = NOW.plus(4 * DAY - 11 * MINUTE);

/// Everything that these tests do.
fn whole() -> UsageQuery {
    UsageQuery::new(UnixTime::EPOCH, NOW.plus(100 * DAY)).unwrap()
}

fn of_license(license: LicenseId) -> Pool {
    Pool { license, ..SEATS }
}

fn monthly(limit: u64, units: u64, revision: u64) -> Ask {
    Ask {
        revision,
        quota: Quota {
            allowance: Allowance::Limited(limit),
            period: Period::Month,
        },
        ..ask(limit, units)
    }
}

/// What nodes do in five days: everything that a log has, in the order of a seed.
fn use_the_store(rig: &mut dyn Rig) {
    let mut dice = Dice::new(6);
    let mut nodes = [1, 2].map(|name| Client::new(rig.store(), name));
    let mut revision = 1;
    let mut grants = Vec::new();
    let mut away = Vec::new();
    for _ in 0..DAYS * MINUTES / 20 {
        rig.pass(Duration::from_secs(MINUTE * (1 + dice.below(39))));
        let node = usize::from(dice.falls(500));
        let client = &mut nodes[node];
        let license = if dice.falls(300) { OTHER } else { LICENSE };
        let pool = of_license(license);
        let holder = ["ann", "bob", "cyd", "dan"][usize::try_from(dice.below(4)).unwrap()];
        let session = ["", "laptop"][usize::from(dice.falls(300))];
        let claim = Claim {
            pool,
            occupant: occupant(holder, session),
            patience: Patience::Queue,
            ..claim(3, holder)
        };
        match dice.below(9) {
            0 | 1 => {
                let key = QuotaKey { license, ..CALLS };
                let units = 1 + dice.below(5);
                let asked = Ask {
                    key,
                    overage: Overage::Allow(1000),
                    ..monthly(20 + revision, units, revision)
                };
                let daily = Ask {
                    key: QuotaKey {
                        quota: QuotaCode::new(1),
                        ..key
                    },
                    quota: Quota {
                        allowance: Allowance::Unlimited,
                        period: Period::Hour,
                    },
                    ..asked
                };
                client.grant(daily);
                grants.push((node, client.grant(asked)));
            }
            2 => {
                let own = grants.iter().position(|(of, _)| *of == node);
                if let Some((_, grant)) = own.map(|place| grants.swap_remove(place)) {
                    client.give_back(grant, dice.below(grant.units + 1));
                }
            }
            3 => revision += 1,
            4 | 5 => match client.acquire(claim) {
                SeatAnswer::Full { silent, .. } if dice.falls(500) => {
                    let seen = silent[0];
                    client.seat(SeatOp::Evict { pool, seen });
                }
                _ => {}
            },
            6 => {
                client.seat(SeatOp::Release {
                    pool,
                    occupant: claim.occupant,
                    incarnation: client.caller.incarnation,
                });
            }
            7 => {
                let loan = Loan {
                    claim,
                    machine: holder.into(),
                    longest: MINUTE * dice.below(2 * MINUTES),
                    until: UnixTime::MAX,
                    most: 2,
                };
                if let SeatAnswer::Borrowed { fence, .. } = client.seat(SeatOp::Borrow(loan)) {
                    away.push((pool, fence));
                }
            }
            _ => {
                if let Some((pool, fence)) = away.pop() {
                    client.seat(SeatOp::HandBack { pool, fence });
                }
            }
        }
    }
}

pub(super) fn a_report_is_what_the_log_comes_to(rig: &mut dyn Rig) {
    use_the_store(rig);
    let log = rig.log();
    let acts: BTreeSet<_> = log.iter().map(|event| event.act.name()).collect();
    for act in [
        Act::Granted,
        Act::Returned,
        Act::TermsSet,
        Act::SeatAcquired,
        Act::SeatTakenOver,
        Act::SeatReleased,
        Act::SeatEvicted,
        Act::SeatBorrowed,
        Act::SeatHandedBack,
    ] {
        assert!(acts.contains(act.name()), "the seed brings no {act:?}");
    }
    let report = rig.report(&UsageQuery::new(FROM, TO).unwrap()).unwrap();
    assert_eq!(report.log.first, Some(log[0].seq));
    assert_eq!(report.log.last, log.last().map(|event| event.seq));
    assert_eq!(report.log.events, log.len() as u64);
    assert_eq!(report.log.clock_set_back_ms, 0);
    assert_eq!(report.log.sha256, digest(&log));
    for license in [LICENSE, OTHER] {
        check_quotas(&report, &log, license);
        check_seats(&report, &log, license);
    }
    check_sums(&rig.report(&whole()).unwrap(), rig);
}

/// The lines of the log, as the documentation has them.
fn digest(log: &[UsageEvent]) -> String {
    let mut lines = String::new();
    for event in log {
        let (seq, at, node) = (event.seq, event.at.millis(), event.incarnation);
        let (request, act, license) = (event.request, event.act.name(), event.license());
        let _ = write!(
            lines,
            r#"{{"seq":{seq},"at":{at},"node":"{node}","request":{request},"act":"{act}","license":"{license}","#
        );
        let _ = match &event.about {
            About::Units { key, label, units } => write!(
                lines,
                r#""quota":{},"period":"{}","label":{},"units":{units}}}"#,
                key.quota.get(),
                label.period,
                label.number
            ),
            About::Terms {
                key,
                revision,
                quota,
            } => {
                let allowance = match quota.allowance {
                    Allowance::Limited(limit) => limit.to_string(),
                    Allowance::Unlimited => "\"unlimited\"".into(),
                };
                write!(
                    lines,
                    r#""quota":{},"period":"{}","revision":{revision},"allowance":{allowance}}}"#,
                    key.quota.get(),
                    quota.period
                )
            }
            About::Seat {
                pool,
                fence,
                occupant,
            } => write!(
                lines,
                r#""limit":{},"fence":{fence},"holder":"{}","session":"{}"}}"#,
                pool.limit.get(),
                occupant.holder,
                occupant.session
            ),
            About::Loan {
                pool,
                fence,
                occupant,
                until,
            } => write!(
                lines,
                r#""limit":{},"fence":{fence},"holder":"{}","session":"{}","until":{}}}"#,
                pool.limit.get(),
                occupant.holder,
                occupant.session,
                until.seconds()
            ),
        };
        lines.push('\n');
    }
    let digest = Sha256::digest(lines);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn check_quotas(report: &UsageReport, log: &[UsageEvent], license: LicenseId) {
    let mut expected: BTreeMap<(u16, Label), (u64, u64, Option<Allowance>)> = BTreeMap::new();
    let mut terms = BTreeMap::new();
    for event in log.iter().filter(|event| event.license() == license) {
        match &event.about {
            About::Terms { key, quota, .. } => {
                terms.insert(key.quota.get(), quota.allowance);
            }
            About::Units { key, label, units } => {
                let sum = expected.entry((key.quota.get(), *label)).or_default();
                if event.act == Act::Granted {
                    sum.0 += units;
                    sum.2 = terms.get(&key.quota.get()).copied();
                } else {
                    sum.1 += units;
                }
            }
            About::Seat { .. } | About::Loan { .. } => {}
        }
    }
    expected.retain(|(_, label), _| {
        label.ends().is_none_or(|ends| ends > FROM)
            && label.begins().is_none_or(|begins| begins < TO)
    });
    let found = report.licenses.iter().find(|of| of.license == license);
    let mut overage = 0;
    let mut rows = 0;
    for quota in &found.unwrap().quotas {
        for period in &quota.periods {
            let label = Label::at(period.period, Wall::from(period.begins.unwrap()));
            let (granted, returned, limit) = expected[&(quota.code, label)];
            let beyond = match limit.unwrap() {
                Allowance::Limited(limit) => (granted - returned).saturating_sub(limit),
                Allowance::Unlimited => 0,
            };
            let expected = ReportedPeriod {
                period: period.period,
                begins: label.begins(),
                ends: label.ends(),
                granted,
                returned,
                used: granted - returned,
                limit,
                overage: Some(beyond),
            };
            assert_eq!(*period, expected, "{license} {}", quota.code);
            overage += beyond;
            rows += 1;
        }
    }
    assert_eq!(rows, expected.len(), "{license}");
    assert!(overage > 0, "the seed goes beyond no limit of {license}");
}

/// Looks at the middle of every minute who had a seat, by all that happened before.
fn check_seats(report: &UsageReport, log: &[UsageEvent], license: LicenseId) {
    let log: Vec<_> = log
        .iter()
        .filter(|event| event.license() == license)
        .filter(|event| matches!(event.about, About::Seat { .. } | About::Loan { .. }))
        .collect();
    let mut seconds: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut on_seats, mut away, mut next) = (BTreeMap::new(), BTreeMap::new(), 0);
    for minute in 0..DAYS * MINUTES {
        let now = NOW.plus(minute * MINUTE + MINUTE / 2);
        while let Some(event) = log.get(next).filter(|event| event.at.second() < now) {
            match (&event.about, event.act) {
                (About::Seat { fence, .. }, Act::SeatReleased | Act::SeatEvicted) => {
                    on_seats.retain(|_, held| held != fence);
                }
                (
                    About::Seat {
                        fence, occupant, ..
                    },
                    _,
                ) => {
                    on_seats.insert(occupant.clone(), *fence);
                }
                (About::Loan { fence, until, .. }, Act::SeatBorrowed) => {
                    away.insert(*fence, *until);
                }
                (About::Loan { fence, .. }, _) => {
                    away.remove(fence);
                }
                _ => unreachable!("the others were left out"),
            }
            next += 1;
        }
        let holders: BTreeSet<_> = on_seats
            .keys()
            .map(|on: &phi_enforce::Occupant| &on.holder)
            .collect();
        let lent = away.values().filter(|until| **until > now).count();
        if now > FROM && now < TO {
            let day = now.minus(now.seconds() % DAY).seconds();
            *seconds.entry(day).or_default() += MINUTE * (holders.len() + lent) as u64;
        }
    }
    let found = report.licenses.iter().find(|of| of.license == license);
    let days = &found.unwrap().limits[0].days;
    let count = |day: &ReportedDay, act: Act| {
        let in_span = |event: &&&UsageEvent| (FROM..TO).contains(&event.at.second());
        let on_day = |event: &&&UsageEvent| {
            let at = event.at.second();
            at.minus(at.seconds() % DAY) == day.day
        };
        let events = log.iter().filter(in_span).filter(on_day);
        events.filter(|event| event.act == act).count() as u64
    };
    assert!(days.is_sorted_by_key(|day| day.day));
    let mut evicted = 0;
    for day in days {
        let expected = seconds.remove(&day.day.seconds()).unwrap_or(0);
        assert_eq!(day.seat_seconds, expected, "{license} {day:?}");
        assert_eq!(day.evicted, count(day, Act::SeatEvicted), "{license}");
        assert_eq!(day.borrowed, count(day, Act::SeatBorrowed), "{license}");
        assert!((1..=3).contains(&day.peak), "{license} {day:?}");
        evicted += day.evicted;
    }
    assert!(seconds.values().all(|rest| *rest == 0), "{seconds:?}");
    assert!(evicted > 0, "the seed evicts nobody of {license}");
}

/// The store counts too, in tables of its own.
fn check_sums(report: &UsageReport, rig: &dyn Rig) {
    let (periods, days) = rig.sums();
    for sum in periods {
        let of = |license: LicenseId| report.licenses.iter().find(|of| of.license == license);
        let quotas = &of(sum.key.license).unwrap().quotas;
        let quota = quotas.iter().find(|of| of.code == sum.key.quota.get());
        let mut periods = quota.unwrap().periods.iter();
        let found = periods.find(|of| of.period == sum.label.period && of.ends == sum.label.ends());
        let found = found.unwrap();
        assert_eq!((found.granted, found.returned), (sum.granted, sum.returned));
    }
    assert!(!days.is_empty());
    for sum in days {
        let mut licenses = report.licenses.iter();
        let license = licenses.find(|of| of.license == sum.pool.license).unwrap();
        let days = &license.limits[0].days;
        let found = days.iter().find(|of| of.day == sum.day).unwrap();
        assert_eq!((found.peak, found.acquired), (sum.peak, sum.acquired));
    }
}

fn bytes(report: &UsageReport) -> Vec<u8> {
    serde_json::to_vec(report).unwrap()
}

pub(super) fn a_report_is_made_again_to_the_byte(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.grant(monthly(100, 9, 1));
    client.fence(claim(2, "ann"));
    let query = UsageQuery::new(NOW, NOW.plus(3 * DAY)).unwrap();
    let report = rig.report(&query).unwrap();
    assert_eq!(bytes(&rig.report(&query).unwrap()), bytes(&report));
    rig.reopen();
    assert_eq!(bytes(&rig.report(&query).unwrap()), bytes(&report));
    let read: UsageReport = serde_json::from_slice(&bytes(&report)).unwrap();
    assert_eq!(read, report);
    // What happens later is not in it, where it is asked for as it was.
    client.hello(rig.store());
    client.grant(monthly(100, 9, 1));
    client.release("ann", "");
    let then = query.clone().through(report.log.through);
    assert_eq!(bytes(&rig.report(&then).unwrap()), bytes(&report));
    let now = rig.report(&query).unwrap();
    assert_eq!(now.licenses[0].quotas[0].periods[0].granted, 18);
    let days = &report.licenses[0].limits[0].days;
    let seconds: Vec<_> = days.iter().map(|day| day.seat_seconds).collect();
    assert_eq!(
        seconds, [DAY; 3],
        "who sits has the seat to the end of the span"
    );
}

pub(super) fn a_report_of_one_license_has_nothing_of_others(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.grant(ask(100, 9));
    let alone = rig.report(&whole()).unwrap();
    client.grant(Ask {
        key: QuotaKey {
            license: OTHER,
            ..CALLS
        },
        ..ask(100, 5)
    });
    client.fence(Claim {
        pool: of_license(OTHER),
        ..claim(2, "ann")
    });
    let report = rig.report(&whole().of([LICENSE])).unwrap();
    assert_eq!(report.licenses, alone.licenses);
    assert_eq!(report.log.sha256, alone.log.sha256);
    assert_eq!(report.log.last, alone.log.last);
    assert!(report.log.through > alone.log.through);
    assert_eq!(rig.report(&whole()).unwrap().licenses.len(), 2);
    let nobody = rig.report(&whole().of([])).unwrap();
    assert_eq!((nobody.licenses.len(), nobody.log.first), (0, None));
}

pub(super) fn the_limit_of_a_period_is_the_one_it_was_charged_under(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let beyond = Ask {
        overage: Overage::Allow(10),
        ..monthly(5, 8, 1)
    };
    assert_eq!(client.units(beyond), 8);
    rig.pass(Duration::from_secs(40 * DAY));
    // An amendment, in a later month: the invoice of the month before stays as it was.
    client.grant(monthly(100, 8, 2));
    let report = rig.report(&whole()).unwrap();
    let periods = &report.licenses[0].quotas[0].periods;
    let limits: Vec<_> = periods.iter().map(|of| (of.limit, of.overage)).collect();
    let limited = |limit| Some(Allowance::Limited(limit));
    assert_eq!(limits, [(limited(5), Some(3)), (limited(100), Some(0))]);
    let first = UsageQuery::new(NOW, NOW.plus(DAY)).unwrap();
    let report = rig.report(&first).unwrap();
    assert_eq!(report.licenses[0].quotas[0].periods, periods[..1]);
}

pub(super) fn a_store_that_went_back_says_so(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.grant(ask(100, 9));
    rig.back_up();
    let before = rig.report(&whole()).unwrap();
    client.hello(rig.store());
    client.grant(ask(100, 9));
    rig.restore();
    let after = rig.report(&whole()).unwrap();
    assert_eq!(before.epoch, 0);
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.store, before.store);
    assert_eq!(after.licenses, before.licenses, "nine are forgotten");
}

pub(super) fn a_clock_that_was_set_is_told(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.fence(claim(2, "ann"));
    rig.clock().set_wall(Wall::from(NOW.minus(7)));
    client.fence(claim(2, "bob"));
    rig.pass(Duration::from_secs(10));
    client.release("ann", "");
    let report = rig.report(&UsageQuery::new(NOW.minus(60), NOW.plus(5)).unwrap());
    let report = report.unwrap();
    assert_eq!(report.log.clock_set_back_ms, 7_000);
    let days = &report.licenses[0].limits[0].days;
    let seconds: u64 = days.iter().map(|day| day.seat_seconds).sum();
    assert_eq!(seconds, 2 * 10 + 2, "both for ten seconds, and one for two");
    let acquired: u64 = days.iter().map(|day| day.acquired).sum();
    assert_eq!(
        (acquired, days.iter().map(|day| day.peak).max()),
        (2, Some(2))
    );
}

pub(super) fn a_span_keeps_to_the_rules(rig: &mut dyn Rig) {
    let backwards = UsageQuery::new(NOW, NOW).unwrap_err();
    assert_eq!(backwards.fault(), Fault::Request);
    assert_eq!(backwards.code(), "store-request");
    let report = rig.report(&whole()).unwrap();
    assert_eq!((report.log.events, report.licenses.len()), (0, 0));
    assert_eq!(report.log.sha256, digest(&[]));
    // A seat that nobody gives up is held for thousands of years.
    let mut client = Client::new(rig.store(), 1);
    client.fence(claim(2, "ann"));
    let forever = UsageQuery::new(NOW, UnixTime::MAX).unwrap();
    let long = rig.report(&forever).unwrap_err();
    assert_eq!(long.fault(), Fault::Request);
    assert!(long.to_string().contains(&MAX_REPORT_ROWS.to_string()));
    assert_eq!(SEATS.limit, LimitCode::new(0));
}
