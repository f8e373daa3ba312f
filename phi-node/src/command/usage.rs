//! `phi-node usage`: what was used, from the store itself.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use phi_enforce::{
    Clock as _, LONGEST_LEASE, ReportedDay, ReportedPeriod, SystemClock, UsageQuery, UsageReport,
    parse_time,
};
use phi_node::{
    engine::{Address, Engine, History, Opening},
    licenses::Shelf,
    server::StartError,
    service::{SeatDay, UsageAnswer, Used},
};
use phi_verify::{Allowance, Period, UnixTime};

use super::{failure::Failure, output};

/// Print what was used of quotas and seats, from a store that no node has open in a file
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  phi-node usage --store sqlite:usage.db --period month\n  phi-node usage --store sqlite:usage.db --from 2031-01-01 --to 2031-02-01 --json\n\nA node that runs has its file to itself: ask it, GET /v1/usage or /v1/usage/report?from=TIME."
)]
pub(super) struct Usage {
    /// The store: sqlite:FILE or `postgres://USER@HOST/DATABASE`
    #[arg(long, value_name = "STORE")]
    store: Address,
    /// The certificate of the authority of the store's server [default: those of the system]
    #[arg(long, value_name = "FILE")]
    store_ca: Option<PathBuf>,
    /// Quotas of this period alone: lifetime, hour, day, month or year
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    period: Option<Period>,
    /// A report of what was used from then on: 2031-01-04, or 2031-01-04T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "period")]
    from: Option<UnixTime>,
    /// And before then [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "from")]
    to: Option<UnixTime>,
    /// Take a disk that is in memory or on a network
    #[arg(long)]
    dangerous_on_any_disk: bool,
}

fn period(text: &str) -> Result<Period, &'static str> {
    Period::from_name(text).ok_or("a period is lifetime, hour, day, month or year")
}

impl Usage {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        if let Address::Sqlite(path) = &self.store
            && !path.exists()
        {
            let message = format!("there is no store at {}", path.display());
            return Err(Failure::input("store-missing", message)
                .hint("name the file that `phi-node run --store` has"));
        }
        let opening = Opening {
            address: self.store.clone(),
            authority: self.store_ca.clone(),
            longest_lease: LONGEST_LEASE,
            history: History::Unbroken,
            any_disk: self.dangerous_on_any_disk,
        };
        let engine = Engine::open(&opening, Arc::new(SystemClock));
        let engine = engine.map_err(StartError::from)?;
        if let Some(from) = self.from {
            // The second that it is now is in it.
            let now = SystemClock.wall().second().plus(1);
            let query = UsageQuery::new(from, self.to.unwrap_or(now));
            return print_report(&engine.report(&query?)?, json);
        }
        let answer = self.answer(&engine)?;
        if json {
            return output::print_json(&answer);
        }
        let mut table = vec![
            ["LICENSE", "QUOTA", "PERIOD", "ENDS", "CHARGED"]
                .map(String::from)
                .to_vec(),
        ];
        table.extend(answer.quotas.iter().map(|used| {
            vec![
                used.license.to_string(),
                used.quota.clone(),
                used.period.to_string(),
                used.ends.clone().unwrap_or_else(|| "never".into()),
                used.charged.to_string(),
            ]
        }));
        let mut text = output::table(&table);
        if !answer.seats.is_empty() {
            let heads = ["LICENSE", "SEATS", "DAY", "PEAK", "TAKEN"].map(String::from);
            let mut table = vec![heads.to_vec()];
            table.extend(answer.seats.iter().map(|day| {
                let (peak, acquired) = (day.peak.to_string(), day.acquired.to_string());
                vec![
                    day.license.to_string(),
                    day.limit.clone(),
                    day.day.clone(),
                    peak,
                    acquired,
                ]
            }));
            text.push('\n');
            text.push_str(&output::table(&table));
        }
        output::print(&text)
    }

    fn answer(&self, engine: &Engine) -> Result<UsageAnswer, Failure> {
        let unnamed = Shelf::default();
        let quotas = engine.period_usage()?.into_iter();
        let wanted =
            quotas.filter(|used| self.period.is_none_or(|period| used.label.period == period));
        let seats = engine.seat_usage()?;
        Ok(UsageAnswer {
            quotas: wanted.map(|used| Used::of(&used, &unnamed)).collect(),
            seats: seats.iter().map(|day| SeatDay::of(day, &unnamed)).collect(),
        })
    }
}

fn print_report(report: &UsageReport, json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(report);
    }
    let heads = [
        "LICENSE", "QUOTA", "PERIOD", "BEGINS", "USED", "LIMIT", "BEYOND",
    ];
    let mut quotas = vec![heads.map(String::from).to_vec()];
    let heads = [
        "LICENSE",
        "SEATS",
        "DAY",
        "PEAK",
        "TAKEN",
        "SECONDS",
        "EVICTED",
        "TAKEN ALONG",
    ];
    let mut seats = vec![heads.map(String::from).to_vec()];
    for used in &report.licenses {
        let row = |code: u16, cells: Vec<String>| {
            let first = [used.license.to_string(), code.to_string()];
            first.into_iter().chain(cells).collect::<Vec<_>>()
        };
        for quota in &used.quotas {
            quotas.extend(
                quota
                    .periods
                    .iter()
                    .map(|of| row(quota.code, period_row(of))),
            );
        }
        for limit in &used.limits {
            seats.extend(limit.days.iter().map(|of| row(limit.code, day_row(of))));
        }
    }
    let mut text = output::table(&quotas);
    if seats.len() > 1 {
        text.push('\n');
        text.push_str(&output::table(&seats));
    }
    output::print(&text)
}

fn period_row(of: &ReportedPeriod) -> Vec<String> {
    let begins = of.begins.map(|begins| begins.to_string());
    let limit = of.limit.map(|limit| match limit {
        Allowance::Limited(limit) => limit.to_string(),
        Allowance::Unlimited => "none".into(),
    });
    let beyond = of.overage.map(|overage| overage.to_string());
    let or = |text: Option<String>, other: &str| text.unwrap_or_else(|| other.into());
    vec![
        of.period.to_string(),
        or(begins, "-"),
        of.used.to_string(),
        or(limit, "unknown"),
        or(beyond, "-"),
    ]
}

fn day_row(of: &ReportedDay) -> Vec<String> {
    let numbers = [
        of.peak,
        of.acquired,
        of.seat_seconds,
        of.evicted,
        of.borrowed,
    ];
    let numbers = numbers.iter().map(u64::to_string);
    std::iter::once(of.day.to_string()).chain(numbers).collect()
}
