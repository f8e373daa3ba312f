//! A report, made of the log: event by event, with no more in memory than the report and who has a
//! seat. Nothing here knows a store.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use phi_verify::{Allowance, LicenseId, Quota, UnixTime};
use sha2::{Digest as _, Sha256};

use super::{
    About, Act, ReportFormat, ReportedDay, ReportedLicense, ReportedLimit, ReportedLog,
    ReportedPeriod, ReportedQuota, UsageEvent, UsageQuery, UsageReport,
};
use crate::{
    error::{Fault, StoreError},
    period::Label,
    store::{Epoch, MAX_BATCH, Occupant, Pool, QuotaKey},
};

/// The most periods and days in a report, together: some tens of megabytes, and more than ten years
/// of every hour.
pub const MAX_REPORT_ROWS: usize = 100_000;
/// Milliseconds in a day.
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Makes a report of the pages of a log: events after a number, as many as wanted. Others use the
/// store between two pages; what they add is not in the report. `point` is where the store is.
pub(crate) fn roll_up(
    query: &UsageQuery,
    point: impl Fn() -> Result<(Epoch, u64), StoreError>,
    page: impl Fn(u64, usize) -> Result<Vec<UsageEvent>, StoreError>,
) -> Result<UsageReport, StoreError> {
    let (epoch, newest) = point()?;
    let through = query.through.unwrap_or(newest).min(newest);
    let mut replay = Replay::new(query);
    let mut after = 0;
    while after < through {
        // As much as one request may bring: nobody waits longer for a report than for a batch.
        let events = page(after, MAX_BATCH)?;
        let known = events.iter().take_while(|event| event.seq <= through);
        for event in known.filter(|event| query.covers(event.license())) {
            replay.apply(event)?;
        }
        after = events.last().map_or(through, |last| last.seq);
    }
    if point()?.0 != epoch {
        let problem = "the store went back to an earlier state while the report was made";
        return Err(StoreError::new(Fault::Busy, problem));
    }
    replay.finish(epoch, through)
}

struct Replay<'a> {
    query: &'a UsageQuery,
    rows: usize,
    log: ReportedLog,
    digest: Sha256,
    newest: u64,
    terms: HashMap<QuotaKey, Quota>,
    periods: BTreeMap<(QuotaKey, Label), Sum>,
    pools: BTreeMap<Pool, Seating>,
}

/// What was charged to a period.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    granted: u64,
    returned: u64,
    limit: Option<Allowance>,
}

impl<'a> Replay<'a> {
    fn new(query: &'a UsageQuery) -> Self {
        Self {
            query,
            rows: 0,
            log: ReportedLog {
                first: None,
                last: None,
                through: 0,
                events: 0,
                sha256: String::new(),
                clock_set_back_ms: 0,
            },
            digest: Sha256::new(),
            newest: 0,
            terms: HashMap::new(),
            periods: BTreeMap::new(),
            pools: BTreeMap::new(),
        }
    }

    fn apply(&mut self, event: &UsageEvent) -> Result<(), StoreError> {
        self.note(event);
        match &event.about {
            About::Units { key, label, units } => {
                self.charge(event.act, *key, *label, *units);
            }
            About::Terms { key, quota, .. } => {
                self.terms.insert(*key, *quota);
            }
            About::Seat { pool, .. } | About::Loan { pool, .. } => {
                let span = Span::of(self.query);
                let seating = self.pools.entry(*pool).or_default();
                self.rows += seating.step(span, event);
            }
        }
        self.check_size()
    }

    fn note(&mut self, event: &UsageEvent) {
        let at = event.at.millis();
        let back = self.newest.saturating_sub(at);
        self.newest = at;
        let log = &mut self.log;
        log.first = log.first.or(Some(event.seq));
        log.last = Some(event.seq);
        log.events += 1;
        log.clock_set_back_ms = log.clock_set_back_ms.max(back);
        self.digest.update(event.to_line());
    }

    fn charge(&mut self, act: Act, key: QuotaKey, label: Label, units: u64) {
        let from = label.begins().unwrap_or(UnixTime::EPOCH);
        let past = label.ends().is_some_and(|ends| ends <= self.query.from);
        if past || from >= self.query.to {
            return;
        }
        let rows = &mut self.rows;
        let sum = self.periods.entry((key, label)).or_insert_with(|| {
            *rows += 1;
            Sum::default()
        });
        if matches!(act, Act::Granted | Act::Reasserted) {
            sum.granted = sum.granted.saturating_add(units);
            let terms = self.terms.get(&key);
            let terms = terms.filter(|terms| terms.period == label.period);
            sum.limit = terms.map(|terms| terms.allowance).or(sum.limit);
        } else {
            sum.returned = sum.returned.saturating_add(units);
        }
    }

    fn check_size(&self) -> Result<(), StoreError> {
        if self.rows <= MAX_REPORT_ROWS {
            return Ok(());
        }
        let problem = format!(
            "the report has more than {MAX_REPORT_ROWS} periods and days: ask for a shorter span, \
             or for some of the licenses"
        );
        Err(StoreError::new(Fault::Request, problem))
    }

    fn finish(mut self, epoch: Epoch, through: u64) -> Result<UsageReport, StoreError> {
        let span = Span::of(self.query);
        for seating in self.pools.values_mut() {
            self.rows += seating.end(span);
        }
        self.check_size()?;
        let mut licenses = BTreeMap::new();
        for ((key, label), sum) in &self.periods {
            let license = of(&mut licenses, key.license);
            let code = key.quota.get();
            if license.quotas.last().is_none_or(|last| last.code != code) {
                license.quotas.push(ReportedQuota {
                    code,
                    name: None,
                    periods: Vec::new(),
                });
            }
            let quota = license.quotas.last_mut().expect("one was pushed");
            quota.periods.push(reported_period(*label, *sum));
        }
        for (pool, seating) in &self.pools {
            if seating.days.is_empty() {
                continue;
            }
            of(&mut licenses, pool.license).limits.push(ReportedLimit {
                code: pool.limit.get(),
                name: None,
                days: seating.days.iter().map(reported_day).collect(),
            });
        }
        Ok(UsageReport {
            format: ReportFormat::V1,
            store: hex(&epoch.store),
            epoch: epoch.restores,
            from: self.query.from,
            to: self.query.to,
            log: ReportedLog {
                through,
                sha256: hex(&self.digest.finalize()),
                ..self.log
            },
            licenses: licenses.into_values().collect(),
        })
    }
}

fn of(
    licenses: &mut BTreeMap<LicenseId, ReportedLicense>,
    license: LicenseId,
) -> &mut ReportedLicense {
    licenses.entry(license).or_insert_with(|| ReportedLicense {
        license,
        quotas: Vec::new(),
        limits: Vec::new(),
    })
}

fn reported_period(label: Label, sum: Sum) -> ReportedPeriod {
    let used = sum.granted.saturating_sub(sum.returned);
    ReportedPeriod {
        period: label.period,
        begins: label.begins(),
        ends: label.ends(),
        granted: sum.granted,
        returned: sum.returned,
        used,
        limit: sum.limit,
        overage: sum.limit.map(|limit| match limit {
            Allowance::Limited(limit) => used.saturating_sub(limit),
            Allowance::Unlimited => 0,
        }),
    }
}

fn reported_day((day, tally): (&u64, &Tally)) -> ReportedDay {
    ReportedDay {
        day: UnixTime::EPOCH.plus(day * (DAY / 1000)),
        peak: tally.peak,
        acquired: tally.acquired,
        seat_seconds: tally.millis / 1000,
        evicted: tally.evicted,
        borrowed: tally.borrowed,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The span in milliseconds.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    to: u64,
}

impl Span {
    const fn of(query: &UsageQuery) -> Self {
        Self {
            from: query.from.seconds() * 1000,
            to: query.to.seconds() * 1000,
        }
    }

    /// What of a time is in the span, day by day.
    fn days(self, from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
        let (from, to) = (from.max(self.from), to.min(self.to));
        let days = if from < to {
            from / DAY..to.div_ceil(DAY)
        } else {
            0..0
        };
        days.map(move |day| {
            let (begins, ends) = (from.max(day * DAY), to.min((day + 1) * DAY));
            (day, ends - begins)
        })
    }
}

/// Who has a seat of a pool, and what became of it day by day.
#[derive(Debug, Default)]
struct Seating {
    sessions: HashMap<Occupant, u64>,
    /// How many sessions each holder has.
    holders: HashMap<String, u64>,
    loans: HashMap<u64, Away>,
    /// Up to when the days have been filled in.
    at: u64,
    days: BTreeMap<u64, Tally>,
}

/// A seat that was taken along, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Away {
    since: u64,
    until: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    peak: u64,
    acquired: u64,
    millis: u64,
    evicted: u64,
    borrowed: u64,
}

impl Seating {
    /// Takes the next event, and says how many days are new.
    fn step(&mut self, span: Span, event: &UsageEvent) -> usize {
        let known = self.days.len();
        let at = event.at.millis();
        self.pass(span, at);
        let before = self.taken();
        self.change(span, event);
        let after = self.taken();
        if (span.from..span.to).contains(&at) {
            let tally = self.days.entry(at / DAY).or_default();
            tally.peak = tally.peak.max(before).max(after);
            tally.acquired += u64::from(after > before);
            tally.evicted += u64::from(event.act == Act::SeatEvicted);
            tally.borrowed += u64::from(event.act == Act::SeatBorrowed);
        }
        self.days.len() - known
    }

    /// The end of the span: whoever has a seat has it until then.
    fn end(&mut self, span: Span) -> usize {
        let known = self.days.len();
        if self.at < span.to {
            self.pass(span, span.to);
        }
        for (_, loan) in std::mem::take(&mut self.loans) {
            self.was_away(span, loan, span.to);
        }
        self.days.len() - known
    }

    /// Nothing changed up to this moment. A clock that was set back is believed from then on.
    fn pass(&mut self, span: Span, to: u64) {
        let (taken, held) = (self.taken(), self.holders.len() as u64);
        if taken > 0 {
            for (day, millis) in span.days(self.at, to) {
                let tally = self.days.entry(day).or_default();
                tally.peak = tally.peak.max(taken);
                tally.millis = tally.millis.saturating_add(millis.saturating_mul(held));
                if self.days.len() > MAX_REPORT_ROWS {
                    break;
                }
            }
        }
        self.at = to;
    }

    fn taken(&self) -> u64 {
        (self.holders.len() + self.loans.len()) as u64
    }

    fn change(&mut self, span: Span, event: &UsageEvent) {
        let at = event.at.millis();
        match (&event.about, event.act) {
            (
                About::Seat {
                    fence, occupant, ..
                },
                Act::SeatReleased | Act::SeatEvicted,
            ) => self.leave(*fence, occupant),
            (
                About::Seat {
                    fence, occupant, ..
                },
                _,
            ) => self.sit(*fence, occupant),
            (About::Loan { fence, until, .. }, Act::SeatBorrowed) => {
                let until = until.seconds() * 1000;
                let since = self.loans.get(fence).map_or(at, |known| known.since);
                self.loans.insert(*fence, Away { since, until });
            }
            (About::Loan { fence, .. }, _) => {
                if let Some(loan) = self.loans.remove(fence) {
                    self.was_away(span, loan, at);
                }
            }
            (About::Units { .. } | About::Terms { .. }, _) => {}
        }
    }

    fn sit(&mut self, fence: u64, occupant: &Occupant) {
        if self.sessions.insert(occupant.clone(), fence).is_none() {
            *self.holders.entry(occupant.holder.clone()).or_default() += 1;
        }
    }

    /// Whoever has the seat by another number by now keeps it.
    fn leave(&mut self, fence: u64, occupant: &Occupant) {
        if self.sessions.get(occupant) != Some(&fence) {
            return;
        }
        self.sessions.remove(occupant);
        if let Some(sessions) = self.holders.get_mut(&occupant.holder) {
            *sessions -= 1;
            if *sessions == 0 {
                self.holders.remove(&occupant.holder);
            }
        }
    }

    /// A seat that is away is held until its end, however long it stays taken after that.
    fn was_away(&mut self, span: Span, loan: Away, ended: u64) {
        for (day, millis) in span.days(loan.since, ended.min(loan.until)) {
            let tally = self.days.entry(day).or_default();
            tally.millis = tally.millis.saturating_add(millis);
        }
    }
}
