//! Rotation soak: five years of a vendor's life, and 500 applications that live through it offline.
//!
//! The vendor (`vendor.rs`) mints every week, changes its license key every four weeks, changes its
//! root twice (the first takes a stolen status key out of force, the second replaces the keyset and
//! the ledger key as well), and revokes a stolen license key with a cut. Applications
//! (`application.rs`) install in the first three years, import bundles that were carried for up to
//! three weeks, two thirds of them only with renewals, and have clocks that drift, jump and go back.
//! A thief (`thief.rs`) tries at each of them what his keys are good for. Documents, tokens, proofs
//! and bundles are real ones, and the trust state is phi-verify's own; no clock is read, and a seed
//! always gives the same five years.
//!
//! **Honest** is a license check with a license that the vendor minted and has not taken back,
//! within its time. What a customer imports is his own bundle as of some week: all documents, his
//! newest token, and a proof of its minting where his application or the keyset asks for one. A
//! renewal asks for the keyset and the list that were published before it, and drags its bundle
//! along: the bundle is imported first, and the token is the bundle's. So `stale-trust` and
//! `key-unknown` are never excused. Neither is the refusal of a document in such a bundle.
//!
//! **Excused** is a refusal that the machine's wrong clock explains, and nothing else:
//! - `expired` and `status-too-old`, if the time that ran out by the clock has not by the truth;
//! - `clock-rolled-back`, if the application chose `ClockPolicy::Deny` and the clock is over 24 hours
//!   behind what it has shown, and was to be believed to show, since the last news or reset.
//!
//! Once the clock is right again, nothing is excused but the last, and that only until help came
//! (the newest bundle, or a clock reset by the status role): then the license must be accepted.
//!
//! **Forgeries** must be refused from the moment at which the application has imported what says so:
//! a retired key after the keyset that retires it, a key with a cut after the keyset that cuts, a
//! role's old key after the root without it, a refund after the list that has it. Before that no
//! offline application can know. A backdated license within the window and the scope of a stolen,
//! retired key is the residual risk of row L3: refused where proofs are required, and asked only
//! there; without limits it is refused everywhere. While the thief has the status key in force, some
//! applications take his list. He could deny them service; what is shown is that the next root mends
//! them.
//!
//! Two seeds run by default; `PHI_SOAK_SEEDS=50` runs fifty.

mod application;
mod thief;
mod vendor;

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::Mutex,
    thread::{available_parallelism, scope},
};

use application::{Application, Plan};
use vendor::History;

/// Applications in each run.
const APPLICATIONS: usize = 500;

/// Seeds that are run if the environment asks for no other number: each takes forty seconds of
/// processor time in a build without optimization.
const SEEDS: u64 = 2;

/// How many seeds to run, as a number.
const SEEDS_VARIABLE: &str = "PHI_SOAK_SEEDS";

/// Numbers that are the same in every run (xorshift64).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64, player: u64) -> Self {
        let mixed = (seed << 20 | player).wrapping_add(1);
        let mut dice = Self(mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = dice.below(2));
        dice
    }

    /// A number below the limit.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// A number from one to another.
    fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below(last - first + 1)
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// What happened, counted by name, and what should not have.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
}

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.wrong.extend(other.wrong);
    }
}

/// Everything that the soak is to meet, so that it cannot hold for want of occasions.
const MET: [&str; 18] = [
    "license accepted",
    "license accepted with a proof, under the key with a cut",
    "license accepted under a clock that was set back",
    "bundle imported",
    "state restored",
    "excused: expired",
    "excused: clock-rolled-back",
    "helped by a bundle",
    "helped by a reset",
    "thief's list taken before the root",
    "refused: retired key, now",
    "refused: retired key, backdated without limits",
    "refused: retired key, backdated, proofs required",
    "refused: key with a cut",
    "refused: list of an old status key",
    "refused: keyset of an old keyset key",
    "refused: license taken back",
    "refused: old bundle",
];

#[test]
fn no_honest_license_is_refused_and_no_forgery_accepted_in_five_years() {
    let seeds = std::env::var(SEEDS_VARIABLE).map_or(SEEDS, |seeds| {
        seeds.parse().expect("PHI_SOAK_SEEDS is a number of seeds")
    });
    for seed in 1..=seeds {
        let tally = run(seed);
        let first: Vec<_> = tally.wrong.iter().take(20).collect();
        assert!(
            tally.wrong.is_empty(),
            "seed {seed}, {} wrong: {first:#?}",
            tally.wrong.len()
        );
        println!("seed {seed}: {:#?}", tally.counts);
        for what in MET {
            assert!(tally.counts.contains_key(what), "seed {seed}: no {what}");
        }
    }
}

/// Five years. Applications know nothing of each other: each thread has its share.
fn run(seed: u64) -> Tally {
    let plans: Vec<_> = (0..APPLICATIONS)
        .map(|number| Plan::new(seed, number))
        .collect();
    let history = History::write(&plans);
    let tally = Mutex::new(Tally::default());
    let threads = available_parallelism().map_or(1, NonZero::get);
    scope(|threads_of_run| {
        for share in plans.chunks(APPLICATIONS.div_ceil(threads)) {
            let (history, tally) = (&history, &tally);
            threads_of_run.spawn(move || {
                for plan in share {
                    let lived = Application::install(plan, history).live();
                    tally.lock().unwrap().add(lived);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}
