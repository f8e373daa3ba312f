//! Flags, and units of quotas that the node has in its hand.

use std::{collections::HashMap, error::Error, hint::black_box, sync::Arc, sync::RwLock};

use phi_enforce::{Gate, Node, Policy, Store, SystemClock};
use phi_verify::{Allowance, FlagCode, License, QuotaCode};

use crate::{
    licenses::{QUOTAS, many},
    measure::{Figures, Timed, random, run},
};

const THREADS: [usize; 4] = [1, 2, 4, 16];
/// A node is given a hundredth of a quota in advance.
const SLICE: u64 = 1_000;
const LIMIT: u64 = 100 * SLICE;
/// Of each quota so much is spent: what comes after it is given out in ever smaller slices.
const SPENT: u64 = LIMIT / 10 * 9;

/// So often each of many keys is used before it is measured: slices grow with use, and begin with one
/// unit.
const WARM: usize = 100;

fn node(store: Arc<dyn Store>) -> Result<Node, Box<dyn Error>> {
    Ok(Node::start(store, Arc::new(SystemClock), "bench")?)
}

fn row(what: &str, threads: usize, figures: &Figures) {
    let (p50, p99) = (figures.within(500), figures.within(990));
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let p999 = figures.within(999) as f64 / 1000.0;
    println!(
        "| {what} | {threads} | {:.0} | {p50} | {p99} | {p999:.1} |",
        figures.per_second()
    );
}

/// Whether a feature is on; and a decision about one quota of unlimited allowance.
pub(crate) fn flags(store: Arc<dyn Store>, seconds: f64) -> Result<(), Box<dyn Error>> {
    let node = node(store)?;
    let licenses = many(1, Allowance::Unlimited, 0);
    let gate = node.gate(&licenses[0], Policy::default());
    println!("| one key | threads | decisions/s | p50, ns | p99, ns | p99.9, us |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for threads in THREADS {
        let check = |_| || Some(black_box(&gate).check(black_box(FlagCode::new(1))).is_ok());
        row("flag", threads, &run(threads, seconds, Timed::Some, check));
    }
    for threads in THREADS {
        let take = |_| || Some(gate.take(QuotaCode::new(0), 1).is_ok());
        row("quota", threads, &run(threads, seconds, Timed::Some, take));
    }
    Ok(())
}

/// Decisions over many keys, by a map as a server would have it.
pub(crate) fn many_keys(
    store: Arc<dyn Store>,
    keys: usize,
    seconds: f64,
) -> Result<(), Box<dyn Error>> {
    let node = node(store)?;
    let quotas = usize::from(QUOTAS);
    let licenses = many(keys.div_ceil(quotas), Allowance::Unlimited, 0);
    let gates = licenses.iter().enumerate();
    let gates = gates.map(|(number, license)| (number, node.gate(license, Policy::default())));
    let gates: RwLock<HashMap<usize, Gate>> = RwLock::new(gates.collect());
    let take = |key: usize| {
        let gates = gates.read().expect("nobody writes");
        let code = u16::try_from(key % quotas).expect("a code");
        gates[&(key / quotas)].take(QuotaCode::new(code), 1).is_ok()
    };
    // Slices grow with use: for a while everything is asked of the store.
    let warm = |number| {
        let mut key = number;
        let take = &take;
        move || {
            key += 16;
            (key < WARM * keys).then(|| take(key % keys))
        }
    };
    run(16, 60.0, Timed::Some, warm);
    println!("\n| {keys} keys | threads | decisions/s | p50, ns | p99, ns | p99.9, us |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for threads in THREADS {
        let step = |number| {
            let (mut random, take) = (random(number), &take);
            move || Some(take(random(keys)))
        };
        let figures = run(threads, seconds, Timed::Some, step);
        row("flag and quota of a license", threads, &figures);
        assert_eq!(figures.failed, 0, "nothing is refused");
    }
    Ok(())
}

/// Quotas that give out slices of a thousand at most, spent one after the other.
pub(crate) fn slices(
    what: &str,
    store: &Arc<dyn Store>,
    seconds: f64,
) -> Result<(), Box<dyn Error>> {
    let mut licenses = many(2000, Allowance::Limited(LIMIT), 0).into_iter();
    for threads in THREADS {
        let own: Vec<License> = licenses.by_ref().take(30 * threads.max(4)).collect();
        let node = node(Arc::clone(store))?;
        let gates: Vec<Gate> = own
            .iter()
            .map(|license| node.gate(license, Policy::default()))
            .collect();
        let step = |number| {
            let gates = &gates;
            let mut keys = (number..gates.len() * usize::from(QUOTAS)).step_by(threads);
            let (mut key, mut spent) = (keys.next(), 0);
            move || {
                if spent == SPENT {
                    (key, spent) = (keys.next(), 0);
                }
                let found = key?;
                let code = u16::try_from(found % usize::from(QUOTAS)).expect("a code");
                let gate = &gates[found / usize::from(QUOTAS)];
                spent += 1;
                Some(gate.take(QuotaCode::new(code), 1).is_ok())
            }
        };
        let figures = run(threads, seconds, Timed::Some, step);
        row(what, threads, &figures);
        assert_eq!(figures.failed, 0, "nothing is refused");
    }
    Ok(())
}
