//! `phi-node usage`: what was used, from the store itself.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use phi_enforce::{LONGEST_LEASE, SystemClock};
use phi_node::{
    engine::{Address, Engine, History, Opening},
    licenses::Shelf,
    server::StartError,
    service::{SeatDay, UsageAnswer, Used},
};
use phi_verify::Period;

use super::{failure::Failure, output};

/// Print what was used of quotas and seats, from a store that no node has open in a file
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  phi-node usage --store sqlite:usage.db --period month\n\nA node that runs has its file to itself: ask it, GET /v1/usage."
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
