//! Interleaved timing: each round runs every candidate, so drift of the machine hits all.

use std::time::Instant;

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
    /// Median over rounds of this candidate's time by the first candidate's in that round.
    pub(crate) ratio: f64,
}

/// Measures all candidates; the first is the yardstick of the ratios.
pub(crate) fn measure(candidates: &[Candidate], effort: &Effort) -> Vec<Measurement> {
    for candidate in candidates {
        time(candidate, effort.checks); // warms caches, branch predictors and lazy statics
    }
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
    for _ in 0..effort.rounds {
        for (candidate, times) in candidates.iter().zip(&mut times) {
            times.push(time(candidate, effort.checks));
        }
    }
    let yardstick = times.first().cloned().unwrap_or_default();
    let pairs = candidates.iter().zip(times);
    pairs
        .map(|(candidate, times)| summarize(candidate, times, &yardstick))
        .collect()
}

/// Microseconds per check.
fn time(candidate: &Candidate, checks: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..checks {
        (candidate.check)();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(checks)
}

fn summarize(candidate: &Candidate, mut times: Vec<f64>, yardstick: &[f64]) -> Measurement {
    let mut ratios: Vec<f64> = times
        .iter()
        .zip(yardstick)
        .map(|(own, bare)| own / bare)
        .collect();
    times.sort_by(f64::total_cmp);
    ratios.sort_by(f64::total_cmp);
    Measurement {
        name: candidate.name,
        token_chars: candidate.token_chars,
        median_us: percentile(&times, 50),
        p5_us: percentile(&times, 5),
        p95_us: percentile(&times, 95),
        ratio: percentile(&ratios, 50),
    }
}

/// The nearest-rank percentile of sorted, non-empty `values`.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let last = values.len() - 1;
    values[(last * percent + 50) / 100]
}
