//! Threads that do one thing for a while, and how long each time took.

use std::{
    error::Error,
    fs,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// One in so many times is timed, where a look at the clock would cost as much as what is measured.
const SAMPLED: u64 = 64;

/// What was done, by everyone together.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) lasted: Duration,
    /// Nanoseconds, in order.
    times: Vec<u64>,
}

impl Figures {
    /// Notes what took this long, and whether it came to anything.
    pub(crate) fn note(&mut self, took: Duration, done: bool) {
        if done {
            self.done += 1;
        } else {
            self.failed += 1;
        }
        self.times
            .push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds what another did meanwhile.
    pub(crate) fn join(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.times.extend(other.times);
    }

    /// All of it took this long.
    pub(crate) fn end(&mut self, lasted: Duration) {
        self.lasted = lasted;
        self.times.sort_unstable();
    }

    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(crate) fn per_second(&self) -> f64 {
        self.done as f64 / self.lasted.as_secs_f64()
    }

    /// The time within which so many of a thousand were done, in nanoseconds.
    pub(crate) fn within(&self, per_mille: usize) -> u64 {
        let last = self.times.len().saturating_sub(1);
        let index = (self.times.len() * per_mille / 1000).min(last);
        self.times.get(index).copied().unwrap_or_default()
    }
}

/// What is worth timing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timed {
    Each,
    Some,
}

/// Runs threads, of which each makes its step from its number and repeats it. A step says whether
/// it came to anything; one that says `None` has nothing left to do.
pub(crate) fn run<S>(
    threads: usize,
    seconds: f64,
    timed: Timed,
    make: impl Fn(usize) -> S + Sync,
) -> Figures
where
    S: FnMut() -> Option<bool>,
{
    let (over, ready) = (AtomicBool::new(false), Barrier::new(threads + 1));
    let work = |number| {
        let mut step = make(number);
        let mut figures = Figures::default();
        ready.wait();
        let mut round = 0_u64;
        while !over.load(Ordering::Relaxed) {
            round += 1;
            let begun = (timed == Timed::Each || round.is_multiple_of(SAMPLED)).then(Instant::now);
            match step() {
                None => break,
                Some(true) => figures.done += 1,
                Some(false) => figures.failed += 1,
            }
            if let Some(begun) = begun {
                let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                figures.times.push(nanos);
            }
        }
        (figures, Instant::now())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        ready.wait();
        let begun = Instant::now();
        while begun.elapsed().as_secs_f64() < seconds
            && threads.iter().any(|thread| !thread.is_finished())
        {
            thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::Relaxed);
        let (mut all, mut last) = (Figures::default(), begun);
        for thread in threads {
            let (one, ended) = thread.join().expect("a step does not panic");
            all.join(one);
            last = last.max(ended);
        }
        all.end(last - begun);
        all
    })
}

/// How busy the machine is, by its own word.
pub(crate) fn load() -> Result<String, Box<dyn Error>> {
    let all = fs::read_to_string("/proc/loadavg")?;
    Ok(all.split(' ').next().unwrap_or_default().to_owned())
}

/// Numbers at random: Marsaglia's xorshift.
pub(crate) fn random(seed: usize) -> impl FnMut(usize) -> usize {
    let mut word = seed as u64 * 2 + 0x9e37_79b9_7f4a_7c15;
    move |bound| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        usize::try_from(word % bound as u64).expect("below a usize")
    }
}
