//! Interleaved timing: each round runs every candidate, so drift of the machine hits all.
//!
//! Where the stack happens to lie changes the time of one and the same signature check by a fifth
//! (its vectors of 32 bytes are spilled there), and differs from process to process. So each round
//! runs at another depth of the stack: a candidate's median is over places, not of one place.

use std::{hint::black_box, time::Instant};

/// One way to check a license.
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// Length of the token as one would paste it; none where there is no token.
    pub(crate) token_chars: Option<usize>,
    /// One whole check, which panics if the license is not accepted.
    pub(crate) check: Box<dyn Fn()>,
}

/// How long to measure.
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) checks: u32,
}

/// Times of one candidate, per check, over all rounds.
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    pub(crate) token_chars: Option<usize>,
    pub(crate) median_us: f64,
    pub(crate) p5_us: f64,
    pub(crate) p95_us: f64,
    /// This candidate's median by the first candidate's.
    pub(crate) ratio: f64,
}

/// Measures all candidates; the first is the yardstick of the ratios.
pub(crate) fn measure(candidates: &[Candidate], effort: &Effort) -> Vec<Measurement> {
    for candidate in candidates {
        time(candidate, effort.checks); // warms caches, branch predictors and lazy statics
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
    for round in 0..effort.rounds {
        for (candidate, times) in candidates.iter().zip(&mut times) {
            let depth = round * STRIDE % DEPTHS;
            times.push(deeper(depth, &|| time(candidate, effort.checks)));
        }
    }
    let measurements = candidates.iter().zip(times);
    let mut measurements: Vec<_> = measurements
        .map(|(candidate, times)| summarize(candidate, times))
        .collect();
    let yardstick = measurements.first().map_or(1.0, |first| first.median_us);
    for one in &mut measurements {
        one.ratio = one.median_us / yardstick;
    }
    measurements
}

/// Frames of some 64 bytes: enough of them to pass over four pages of the stack.
const DEPTHS: usize = 256;
/// Odd, so that the rounds visit every depth, the next one far from the last.
const STRIDE: usize = 101;

/// Runs it this many frames further down the stack.
#[inline(never)]
fn deeper(frames: usize, run: &dyn Fn() -> f64) -> f64 {
    if frames == 0 {
        return run();
    }
    // What is held across the call keeps it a call, and its frame a frame.
    let held = black_box([frames; 2]);
    let result = deeper(frames - 1, run);
    black_box(held);
    result
}

/// Microseconds per check.
fn time(candidate: &Candidate, checks: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..checks {
        (candidate.check)();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(checks)
}

fn summarize(candidate: &Candidate, mut times: Vec<f64>) -> Measurement {
    times.sort_by(f64::total_cmp);
    Measurement {
        name: candidate.name,
        token_chars: candidate.token_chars,
        median_us: percentile(&times, 50),
        p5_us: percentile(&times, 5),
        p95_us: percentile(&times, 95),
        ratio: 1.0,
    }
}

/// The nearest-rank percentile of sorted, non-empty `values`.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let last = values.len() - 1;
    values[(last * percent + 50) / 100]
}
