//! A bar for work that takes longer than a moment, on a terminal only.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work of so many rows.
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
}

/// Shorter work is done before anybody could read a bar.
const MOMENT: Duration = Duration::from_secs(1);

impl Progress {
    pub(crate) fn of(rows: usize) -> Self {
        let style =
            ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} rows, {eta} left");
        let bar = ProgressBar::with_draw_target(Some(rows as u64), ProgressDrawTarget::hidden());
        Self {
            bar: bar.with_style(style.expect("the template is well formed")),
            begun: Instant::now(),
        }
    }

    /// So many of the rows are done.
    pub(crate) fn at(&mut self, done: usize) {
        if self.bar.is_hidden() && self.begun.elapsed() > MOMENT {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(done as u64);
    }

    /// So much of so much is done, where the whole is known as late as this.
    pub(crate) fn reach(&mut self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.at(usize::try_from(done).unwrap_or(usize::MAX));
    }

    /// The work is over, however it went.
    pub(crate) fn end(self) {
        self.bar.finish_and_clear();
    }
}
