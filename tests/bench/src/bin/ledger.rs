//! How the ledger grows: licenses that are issued, changed and minted of, until there are a
//! million of them with five million events, measured on the way at ten and a hundred thousand.
//!
//! What is measured is what an issuer does: events with their tables and their Merkle tree, made
//! durable, and tokens with real signatures. Ids, customers and changes are spread over all the
//! licenses there are, so that no index is touched in order.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::Write as _,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Parser;
use phi_issuer::{
    Amendment, BatchMode, ChangeRequest, Customer, Issuer, LicenseOrder, LicenseRecord, NewLicense,
    Past, RowFormat, State, read_rows,
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{Allowance, LicenseId, UnixTime};

#[derive(Parser)]
#[command(name = "ledger", about = "Measure how the ledger grows")]
struct Options {
    /// Licenses in the end; there are five events to each
    #[arg(long, default_value_t = 1_000_000)]
    licenses: usize,
    /// The folder of the issuer, which is made and kept, or one that was kept, to be measured
    /// again as it is; otherwise a temporary one
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Sizes at which the ledger is measured, beside the last.
const MARKS: [usize; 2] = [10_000, 100_000];
/// Licenses and events of one transaction.
const CHUNK: usize = 1_000;
/// Chunks over which rates are taken, right before a mark.
const SAMPLE: usize = 10;
/// Events that are recorded one by one at each mark.
const SINGLES: usize = 500;
/// Licenses whose past is looked up at each mark.
const LOOKUPS: usize = 5_000;
/// Customers, of whom each has about a hundred licenses in the end.
const CUSTOMERS: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let scratch = tempfile::tempdir()?;
    let folder = options.dir.unwrap_or_else(|| scratch.path().join("issuer"));
    let mut marks: Vec<usize> = MARKS
        .into_iter()
        .filter(|m| *m < options.licenses)
        .collect();
    marks.push(options.licenses);
    let mut table = Table::default();
    if folder.exists() {
        table.add(Ledger::again(&folder)?.measure(None)?);
        table.print();
        return Ok(());
    }
    let mut ledger = Ledger::new(&folder)?;
    for mark in marks {
        let rates = ledger.grow(mark)?;
        table.add(ledger.measure(Some(&rates))?);
    }
    table.print();
    Ok(())
}

/// A license as the benchmark knows it.
#[derive(Clone, Copy)]
struct Known {
    id: LicenseId,
    revision: u32,
    suspended: bool,
}

struct Ledger {
    folder: PathBuf,
    issuer: Issuer,
    now: UnixTime,
    licenses: Vec<Known>,
    random: u64,
    chunks: usize,
}

/// What was done, and how long it took.
#[derive(Default)]
struct Rate {
    count: usize,
    taken: Duration,
}

impl Rate {
    fn add(&mut self, count: usize, begun: Instant) {
        self.count += count;
        self.taken += begun.elapsed();
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn per_second(&self) -> f64 {
        self.count as f64 / self.taken.as_secs_f64()
    }
}

#[derive(Default)]
struct Rates {
    appends: Rate,
    mints: Rate,
}

impl Ledger {
    fn new(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut issuer = workshop::furnished(folder)?;
        for number in 0..CUSTOMERS {
            let customer = Customer {
                id: customer(number),
                ..workshop::customer()
            };
            // One by one: it is a minute's work, and part of no figure.
            issuer.add_customer(customer, &at(START))?;
        }
        Ok(Self {
            folder: folder.into(),
            issuer,
            now: START.plus(60),
            licenses: Vec::new(),
            random: 1,
            chunks: 0,
        })
    }

    /// The ledger of an earlier run.
    fn again(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut issuer = Issuer::open(folder)?;
        let records = issuer.licenses(None, None)?;
        // Later than the last of its events.
        let newest = records.iter().map(|license| license.issued_at).max();
        let now = newest.ok_or("the folder has no licenses")?.plus(DAY);
        Ok(Self {
            folder: folder.into(),
            issuer,
            now,
            licenses: records.iter().map(|license| known(license, now)).collect(),
            random: 1,
            chunks: 0,
        })
    }

    /// A number below the limit, from a generator that is the same in every run (xorshift64).
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let limit = u64::try_from(limit).expect("a limit");
        usize::try_from(self.random % limit).expect("less than the limit")
    }

    /// Licenses in another order each time.
    fn some(&mut self, count: usize) -> Vec<usize> {
        let all = self.licenses.len();
        let mut some: Vec<usize> = (0..count).map(|_| self.below(all)).collect();
        some.sort_unstable();
        some.dedup();
        some
    }

    /// Adds licenses until there are so many, with four more events to each.
    fn grow(&mut self, licenses: usize) -> Result<Rates, Box<dyn Error>> {
        let mut rates = Rates::default();
        while self.licenses.len() < licenses {
            if licenses - self.licenses.len() == SAMPLE * CHUNK {
                rates = Rates::default();
            }
            self.issue(&mut rates.appends)?;
            for _ in 0..3 {
                self.change(&mut rates.appends)?;
            }
            self.mint(&mut rates.mints)?;
            self.chunks += 1;
            self.now = self.now.plus(600);
            eprint!("\r{} licenses ", self.licenses.len());
            io::stderr().flush()?;
        }
        eprintln!();
        Ok(rates)
    }

    fn issue(&mut self, rate: &mut Rate) -> Result<(), Box<dyn Error>> {
        let order = |ledger: &mut Self| NewLicense {
            expires: Some(ledger.now.plus(3650 * DAY)),
            grace: 14 * DAY,
            ..NewLicense::new(&customer(ledger.below(CUSTOMERS)), PRODUCT, "team")
        };
        let orders: Vec<_> = (0..CHUNK).map(|_| order(self)).collect();
        let begun = Instant::now();
        let issued = self.issuer.issue_licenses(orders, &at(self.now))?;
        rate.add(CHUNK, begun);
        for license in issued {
            self.licenses.push(known(&license?, self.now));
        }
        Ok(())
    }

    fn change(&mut self, rate: &mut Rate) -> Result<(), Box<dyn Error>> {
        let chosen = self.some(CHUNK);
        let orders: Vec<_> = chosen.iter().map(|place| self.order(*place)).collect();
        let begun = Instant::now();
        let changed = self.issuer.change_licenses(&orders, &at(self.now))?;
        rate.add(orders.len(), begun);
        for (place, license) in chosen.into_iter().zip(changed) {
            self.licenses[place] = known(&license?, self.now);
        }
        Ok(())
    }

    /// Half of the changes amend; the rest renew, suspend and reinstate.
    fn order(&mut self, place: usize) -> LicenseOrder {
        let license = self.licenses[place];
        let request = match self.below(100) {
            _ if license.suspended => ChangeRequest::Reinstate,
            0..20 => ChangeRequest::Suspend,
            20..50 => {
                let days = 3650 + 365 * u64::from(license.revision);
                ChangeRequest::Renew(Some(self.now.plus(days * DAY)))
            }
            roll => {
                let calls = Allowance::Limited(1_000 + u64::try_from(roll).expect("below 100"));
                ChangeRequest::Amend(Amendment {
                    quotas: BTreeMap::from([("calls".into(), calls)]),
                    ..Amendment::default()
                })
            }
        };
        LicenseOrder::new(license.id, license.revision.into(), request)
    }

    fn mint(&mut self, rate: &mut Rate) -> Result<(), Box<dyn Error>> {
        let mut text = String::from("ref,license\n");
        let mut count = 0;
        for place in self.some(CHUNK + CHUNK / 4) {
            let license = self.licenses[place];
            if !license.suspended && count < CHUNK {
                writeln!(text, "{}-{place},{}", self.chunks, license.id)?;
                count += 1;
            }
        }
        let rows = read_rows(RowFormat::Csv, text.as_bytes(), self.now)?;
        let (secret, context) = (passphrase(), at(self.now));
        let begun = Instant::now();
        let minted = self
            .issuer
            .mint_batch(&rows, BatchMode::Mint, &secret, &context, |_| {})?;
        rate.add(count, begun);
        for row in minted {
            row.outcome?;
        }
        Ok(())
    }

    /// All figures of the ledger as large as it is.
    fn measure(&mut self, rates: Option<&Rates>) -> Result<Figures, Box<dyn Error>> {
        let mut figures = Figures::default();
        if let Some(Rates { appends, mints }) = rates {
            figures.add("events/s, 1000 in a transaction", appends.per_second());
            figures.add("tokens/s in a batch", mints.per_second());
        }
        figures.add("events/s, one in a transaction", self.singles()?);
        let (median, last) = self.lookups(|issuer, license, now| {
            issuer.license_at(license, Past::Time(now)).map(drop)
        })?;
        figures.add("`at`, median, us", median);
        figures.add("`at`, 99 of 100, us", last);
        let (median, last) =
            self.lookups(|issuer, license, now| issuer.license_history(license, now).map(drop))?;
        figures.add("`history`, median, us", median);
        figures.add("`history`, 99 of 100, us", last);
        let begun = Instant::now();
        let verified = self.issuer.verify_ledger(None, |_| {})?;
        figures.add("`verify`, s", begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let events = self.issuer.rebuild()?;
        figures.add("`rebuild`, s", begun.elapsed().as_secs_f64());
        assert_eq!(events, verified.events, "every event was looked at");
        figures.licenses = self.licenses.len();
        figures.events = events;
        figures.add("bytes of phi.db per event", self.bytes_per_event(events)?);
        Ok(figures)
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    fn bytes_per_event(&mut self, events: u64) -> Result<f64, Box<dyn Error>> {
        // Opened anew, the store takes in what waits in its log.
        self.issuer = Issuer::open(&self.folder)?;
        let size = fs::metadata(self.folder.join("phi.db"))?.len();
        Ok(size as f64 / events as f64)
    }

    fn singles(&mut self) -> Result<f64, Box<dyn Error>> {
        let mut rate = Rate::default();
        for _ in 0..SINGLES {
            let place = self.below(self.licenses.len());
            let order = self.order(place);
            let begun = Instant::now();
            let license = self.issuer.change_license(&order, &at(self.now))?;
            rate.add(1, begun);
            self.licenses[place] = known(&license, self.now);
        }
        Ok(rate.per_second())
    }

    /// Microseconds of a look at one of the licenses: the median and the 99th of a hundred.
    fn lookups(
        &mut self,
        look: impl Fn(&mut Issuer, LicenseId, UnixTime) -> Result<(), phi_issuer::Error>,
    ) -> Result<(f64, f64), Box<dyn Error>> {
        let mut times = Vec::with_capacity(LOOKUPS);
        for _ in 0..LOOKUPS {
            let place = self.below(self.licenses.len());
            let license = self.licenses[place].id;
            let begun = Instant::now();
            look(&mut self.issuer, license, self.now)?;
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        times.sort_unstable_by(f64::total_cmp);
        Ok((times[LOOKUPS / 2], times[LOOKUPS * 99 / 100]))
    }
}

fn known(license: &LicenseRecord, now: UnixTime) -> Known {
    Known {
        id: license.id,
        revision: u32::try_from(license.revision).expect("a few changes"),
        suspended: license.state(now) == State::Suspended,
    }
}

fn customer(number: usize) -> String {
    format!("customer-{number}")
}

/// What was measured of a ledger of one size.
#[derive(Default)]
struct Figures {
    licenses: usize,
    events: u64,
    values: Vec<(&'static str, f64)>,
}

impl Figures {
    fn add(&mut self, name: &'static str, value: f64) {
        eprintln!("  {name}: {value:.1}");
        self.values.push((name, value));
    }
}

#[derive(Default)]
struct Table(Vec<Figures>);

impl Table {
    fn add(&mut self, figures: Figures) {
        self.0.push(figures);
    }

    /// A column for each size; in those after the first, the growth since the first.
    fn print(&self) {
        let Some(first) = self.0.first() else {
            return;
        };
        let cells = |cell: &dyn Fn(&Figures) -> String| {
            let cells: Vec<String> = self.0.iter().map(cell).collect();
            cells.join(" | ")
        };
        println!("| licenses | {} |", cells(&|one| one.licenses.to_string()));
        println!("| --- | {} |", cells(&|_| "---:".into()));
        println!("| events | {} |", cells(&|one| one.events.to_string()));
        for (row, (name, begun)) in first.values.iter().enumerate() {
            let cell = |one: &Figures| {
                let value = one.values[row].1;
                if one.licenses == first.licenses {
                    return format!("{value:.1}");
                }
                format!("{value:.1} ({:.2} x)", value / begun)
            };
            println!("| {name} | {} |", cells(&cell));
        }
    }
}
