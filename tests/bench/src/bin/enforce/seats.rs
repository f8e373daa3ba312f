//! Seats: claims, heartbeats, how the cost of a claim grows, and how soon a dead holder's is back.

use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use phi_enforce::{
    About, Act, Caller, Claim, Gate, Incarnation, Lease, MAX_BATCH, ManualNode, Node, Occupant,
    Outcome, Patience, Policy, Pool, Reserved, SeatAnswer, SeatOp, Sqlite, Step, Store,
    SystemClock,
};
use phi_verify::{Allowance, LicenseId};

use crate::{
    licenses::{SEATS, many},
    measure::{Figures, Timed, run},
};

const LEASE: Duration = Duration::from_secs(10);
/// More than any row here takes.
pub(crate) const ROOMY: u64 = 10_000_000;

/// A client that speaks with the store itself, one request at a time.
struct Direct {
    store: Arc<dyn Store>,
    caller: Caller,
}

impl Direct {
    fn new(store: Arc<dyn Store>) -> Self {
        let incarnation = Incarnation::random().expect("random bytes");
        let hello = store.hello(incarnation, "bench", None).expect("a store");
        Self {
            store,
            caller: Caller {
                incarnation,
                epoch: hello.epoch,
                request: 0,
                seen: hello.seq,
            },
        }
    }

    fn ask_all(&mut self, ops: &[SeatOp]) -> Vec<SeatAnswer> {
        self.caller.request += 1;
        match self.store.seats(self.caller, ops) {
            Ok(Outcome::Done(done)) => done.value,
            _ => Vec::new(),
        }
    }

    fn ask(&mut self, op: SeatOp) -> Option<SeatAnswer> {
        self.ask_all(&[op]).pop()
    }

    fn claim(&mut self, pool: Pool, holder: u64) -> Option<u64> {
        match self.ask(acquire(pool, holder)) {
            Some(SeatAnswer::Held { fence, .. }) => Some(fence),
            _ => None,
        }
    }

    /// Takes so many seats, which nobody renews: nobody claims them either, there is room.
    fn fill(&mut self, pool: Pool, count: u64, next: impl Fn() -> u64) {
        let mut left = count;
        while left > 0 {
            let batch = left.min(MAX_BATCH as u64);
            let ops: Vec<SeatOp> = (0..batch).map(|_| acquire(pool, next())).collect();
            let answers = self.ask_all(&ops);
            let held = |answer: &SeatAnswer| matches!(answer, SeatAnswer::Held { .. });
            assert!(answers.len() == ops.len() && answers.iter().all(held));
            left -= batch;
        }
    }
}

fn acquire(pool: Pool, holder: u64) -> SeatOp {
    SeatOp::Acquire(Claim {
        pool,
        revision: 1,
        seats: Allowance::Limited(ROOMY),
        extra: 0,
        reserved: Reserved::default(),
        occupant: occupant(holder),
        group: None,
        lease: LEASE,
        patience: Patience::Leave,
    })
}

fn occupant(holder: u64) -> Occupant {
    Occupant {
        holder: holder.to_string(),
        session: String::new(),
    }
}

fn pool(number: u64) -> Pool {
    Pool {
        license: LicenseId::from_bytes(number.to_be_bytes()),
        limit: SEATS,
    }
}

pub(crate) fn row(what: &str, how: &str, clients: usize, figures: &Figures) {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let millis = |per_mille| figures.within(per_mille) as f64 / 1e6;
    println!(
        "| {what} | {how} | {clients} | {:.0} | {:.2} | {:.2} | {:.2} | {} |",
        figures.per_second(),
        millis(500),
        millis(990),
        millis(999),
        figures.failed
    );
}

/// Claims and heartbeats, each a request of its own; and through the gate of one node.
pub(crate) fn table(
    what: &str,
    store: &Arc<dyn Store>,
    seconds: f64,
) -> Result<(), Box<dyn Error>> {
    println!("\n| {what} | how | clients | a second | p50, ms | p99, ms | p99.9, ms | failed |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let holders = AtomicU64::new(1);
    let next = || holders.fetch_add(1, Ordering::Relaxed);
    for clients in [1, 16, 128, 1024] {
        let claims = run(clients, seconds, Timed::Each, |_| {
            let mut direct = Direct::new(Arc::clone(store));
            move || Some(direct.claim(pool(1), next()).is_some())
        });
        row("claims", "a request each", clients, &claims);
        let beats = run(clients, seconds, Timed::Each, |_| {
            let mut direct = Direct::new(Arc::clone(store));
            let fence = direct.claim(pool(1), next()).expect("a seat");
            move || {
                let renew = SeatOp::Renew {
                    pool: pool(1),
                    fence,
                };
                Some(direct.ask(renew) == Some(SeatAnswer::Renewed))
            }
        });
        row("heartbeats", "a request each", clients, &beats);
    }
    let node = Node::start(Arc::clone(store), Arc::new(SystemClock), "bench")?;
    let license = many(1, Allowance::Limited(1), ROOMY).remove(0);
    let gate = node.gate(&license, Policy::default());
    for clients in [128, 1024] {
        let claims = run(clients, seconds, Timed::Each, |_| {
            let (gate, next) = (&gate, &next);
            move || {
                let lease = gate.lease(SEATS, &occupant(next()));
                Some(lease.is_ok())
            }
        });
        row("claims, given up at once", "one gate", clients, &claims);
    }
    Ok(())
}

/// What a claim costs when so many seats are taken already; and beside the renewals of as many.
pub(crate) fn growth(
    taken: &[u64],
    seconds: f64,
    open: impl Fn(&str) -> Result<Arc<Sqlite>, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!("\n| seats taken | claims by | claims/s | p50, ms | p99, ms | x first |");
    println!("| ---: | --- | ---: | ---: | ---: | ---: |");
    let license = many(1, Allowance::Limited(1), ROOMY).remove(0);
    let mut first = [None; 3];
    for &taken in taken {
        let store = open(&format!("growth-{taken}.db"))?;
        let node = Node::start(Arc::clone(&store) as _, Arc::new(SystemClock), "bench")?;
        let gate = node.gate(&license, Policy::default());
        let holders = AtomicU64::new(0);
        let next = || holders.fetch_add(1, Ordering::Relaxed);
        Direct::new(Arc::clone(&store) as _).fill(pool(1), taken, next);
        let direct = run(16, seconds, Timed::Each, |_| {
            let mut direct = Direct::new(Arc::clone(&store) as _);
            move || Some(direct.claim(pool(1), next()).is_some())
        });
        grown(taken, "a request each", &direct, &mut first[0]);
        let claim_by_gate = || {
            run(128, seconds, Timed::Each, |_| {
                let (gate, next) = (&gate, &next);
                move || Some(gate.lease(SEATS, &occupant(next())).is_ok())
            })
        };
        let gated = claim_by_gate();
        grown(taken, "one gate", &gated, &mut first[1]);
        let kept = keep(&gate, taken, &next);
        let busy = claim_by_gate();
        grown(taken, "one gate that renews as many", &busy, &mut first[2]);
        drop(kept);
        records(&store, 2 * taken + direct.done + gated.done + busy.done)?;
    }
    Ok(())
}

fn grown(taken: u64, by: &str, figures: &Figures, first: &mut Option<f64>) {
    let first = *first.get_or_insert(figures.per_second());
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let millis = |per_mille| figures.within(per_mille) as f64 / 1e6;
    println!(
        "| {taken} | {by} | {:.0} | {:.2} | {:.2} | {:.2} |",
        figures.per_second(),
        millis(500),
        millis(990),
        figures.per_second() / first
    );
}

/// Takes seats, and keeps them.
fn keep(gate: &Gate, count: u64, next: &(impl Fn() -> u64 + Sync)) -> Vec<Lease> {
    let kept = Mutex::new(Vec::new());
    let wanted = AtomicU64::new(0);
    run(64, 120.0, Timed::Some, |_| {
        let (kept, wanted) = (&kept, &wanted);
        move || {
            if wanted.fetch_add(1, Ordering::Relaxed) >= count {
                return None;
            }
            let lease = gate.lease(SEATS, &occupant(next())).expect("there is room");
            kept.lock().expect("nobody panics").push(lease);
            Some(true)
        }
    });
    kept.into_inner().expect("nobody panics")
}

/// Every seat that was given out has its record.
pub(crate) fn records(store: &Sqlite, given: u64) -> Result<(), Box<dyn Error>> {
    let log = store.usage(0, usize::MAX)?;
    let acquired = |about: &About| matches!(about, About::Seat { .. });
    let found = log
        .iter()
        .filter(|event| event.act == Act::SeatAcquired && acquired(&event.about));
    let found = found.count() as u64;
    println!("{given} seats given out, {found} records of it.");
    assert_eq!(found, given, "every grant has its record");
    assert_eq!(store.audit()?, Vec::<String>::new());
    Ok(())
}

/// How long after its last sign of life a dead holder's seat is another's who waits.
pub(crate) fn dead_holder(store: Arc<Sqlite>) -> Result<(), Box<dyn Error>> {
    let license = many(1, Allowance::Limited(1), 1).remove(0);
    let clock = Arc::new(SystemClock);
    let dead = ManualNode::new(Arc::clone(&clock) as _, "dead", Incarnation::random)?;
    let gate = dead.gate(&license, Policy::default());
    let lease = loop {
        if let Ok(lease) = gate.try_lease(SEATS, &occupant(1), Patience::Leave) {
            break lease;
        }
        if let Step::Send(request) = dead.next() {
            dead.answered(&request, request.send(&*store));
        }
    };
    // From here on nobody carries its requests.
    let last_heard = Instant::now();
    let node = Node::start(store as _, clock, "alive")?;
    let gate = node.gate(&license, Policy::default());
    let next = gate.lease_within(SEATS, &occupant(2), 3 * LEASE)?;
    let waited = last_heard.elapsed();
    assert!(lease.check().is_err() && next.check().is_ok(), "one has it");
    println!(
        "\nA dead holder's seat, of a lease of {} s, was the next one's after {:.2} s: {:.3} x.",
        LEASE.as_secs(),
        waited.as_secs_f64(),
        waited.as_secs_f64() / LEASE.as_secs_f64()
    );
    Ok(())
}
