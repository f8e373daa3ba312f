//! Clusters in which everything fails, and an observer who counts what was admitted.
//!
//! A run is decided by its seed: nodes whose clocks run fast and slow, that are paused, frozen and
//! killed; requests and answers that are lost, late and repeated; a store that is killed and that
//! goes back. The observer stands outside, and knows real time.

mod world;

use std::time::Duration;

use self::world::{Belief, Plan, Report, SEAT_LIMIT, run};

/// Schedules of each kind in a test run; `PHI_TEST_SEEDS` asks for another number.
const SEEDS: u64 = 8;

fn seeds() -> u64 {
    let asked = std::env::var("PHI_TEST_SEEDS");
    asked.map_or(SEEDS, |asked| asked.parse().unwrap())
}

fn all(plan: Plan, belief: Belief) -> Vec<Report> {
    (1..=seeds()).map(|seed| run(seed, plan, belief)).collect()
}

fn sum(reports: &[Report], of: impl Fn(&Report) -> u64) -> u64 {
    reports.iter().map(of).sum()
}

#[track_caller]
fn check(plan: Plan) -> Vec<Report> {
    let reports = all(plan, Belief::Checked);
    for report in &reports {
        assert_eq!(report.wrong, Vec::<String>::new(), "seed {}", report.seed);
    }
    println!(
        "{} seeds: {} units and {} seats given out, {} calls refused; {} kills, {} jumps, {} \
         lost messages; {} units stranded, {} at most",
        reports.len(),
        sum(&reports, |report| report.admitted),
        sum(&reports, |report| report.seats),
        sum(&reports, |report| report.refused),
        sum(&reports, |report| report.kills),
        sum(&reports, |report| report.jumps),
        sum(&reports, |report| report.lost),
        sum(&reports, |report| report.stranded),
        sum(&reports, |report| report.bound),
    );
    reports
}

#[test]
fn a_calm_cluster_serves_all_and_strands_nothing() {
    let reports = check(Plan::CALM);
    assert_eq!(sum(&reports, |report| report.stranded), 0);
    assert!(
        sum(&reports, |report| report.refused) > 0,
        "limits were met"
    );
    let most = |of: fn(&Report) -> usize| reports.iter().map(of).max();
    assert_eq!(most(|report| report.most_seats), Some(SEAT_LIMIT));
    assert_eq!(
        most(|report| report.most_others),
        Some(SEAT_LIMIT - 1),
        "all but the seat that is kept"
    );
}

#[test]
fn nothing_is_exceeded_on_a_bad_network() {
    let reports = check(Plan::NETWORK);
    assert!(sum(&reports, |report| report.lost) > 10 * seeds());
    assert_eq!(sum(&reports, |report| report.stranded), 0, "all nodes live");
}

#[test]
fn nothing_is_exceeded_when_nodes_pause_and_die() {
    let reports = check(Plan::NODES);
    assert!(sum(&reports, |report| report.kills) >= seeds());
    assert!(sum(&reports, |report| report.jumps) > 0);
    assert!(sum(&reports, |report| report.stranded) > 0, "kills strand");
}

#[test]
fn nothing_is_exceeded_when_everything_fails_at_once() {
    check(Plan::ALL);
}

#[test]
fn nothing_is_exceeded_when_the_store_goes_back_under_live_nodes() {
    let reports = check(Plan::WENT_BACK);
    assert!(sum(&reports, |report| report.epochs) >= seeds() / 2);
}

/// The simulation bites: whoever holds on until a renewal fails is found out.
#[test]
fn a_holder_that_does_not_look_at_its_clock_is_one_too_many() {
    let reports = all(Plan::NODES, Belief::UntilToldOtherwise);
    let most = reports.iter().map(|report| report.most_seats).max();
    let exceeded = reports.iter().filter(|report| !report.wrong.is_empty());
    let exceeded = exceeded.count();
    println!(
        "the naive holder: {exceeded} of {} seeds over, at most {most:?} on {SEAT_LIMIT} seats",
        seeds()
    );
    assert!(exceeded >= 1);
}

#[test]
fn a_seed_decides_everything() {
    let again = || run(7, Plan::ALL, Belief::Checked);
    assert_eq!(again(), again());
    assert_ne!(
        again().admitted,
        run(8, Plan::ALL, Belief::Checked).admitted
    );
    assert!(again().lasted >= Duration::from_secs(60));
}
