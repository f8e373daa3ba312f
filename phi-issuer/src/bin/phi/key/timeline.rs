//! `phi key timeline`: the lives of the keys, drawn.

use clap::Args;
use phi_issuer::KeyLife;
use phi_verify::{KeyState, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use super::state_at;
use crate::failure::Failure;
use crate::output::{Answer, Page, Tone};
use crate::session::Session;
use crate::view::Stamp;

/// Draw the lives of the keys
#[derive(Debug, Args)]
#[command(
    long_about = "Draw the lives of the keys: a bar for each, over the time from the first key to \
        the last token that is known to end.\n\n\
        = signs, - its tokens still count, . waits, x revoked; > goes on without an end that is \
        known; the mark in the first line is now.",
    after_help = "Example:\n  phi key timeline"
)]
pub(crate) struct Timeline {}

pub(super) fn run(session: &Session) -> Result<(), Failure> {
    let now = session.now();
    let lives = session.issuer()?.key_lives(now)?;
    session.output().print(&TimelineAnswer::new(&lives, now))
}

/// The lives of the keys.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key timeline")]
pub(crate) struct TimelineAnswer {
    /// Where the bars begin.
    from: Stamp,
    /// Where they end.
    to: Stamp,
    /// In the order in which they were made.
    keys: Vec<LifeView>,
    #[serde(skip)]
    now_at: usize,
}

/// The life of a key.
#[derive(Debug, Serialize, JsonSchema)]
struct LifeView {
    /// Its id.
    key: String,
    /// What it signs.
    role: String,
    /// `staged`, `scheduled`, `active`, `retired`, `revoked` or `dropped`, as of now.
    state: String,
    /// When it was made.
    added: Stamp,
    /// When it begins to sign; null if that is not decided.
    signs_from: Option<Stamp>,
    /// When it signs no more; null if that is not decided.
    signs_until: Option<Stamp>,
    /// When it was revoked; null if it was not.
    revoked: Option<Stamp>,
    /// Live tokens under it; of a key that was revoked, those that its cut keeps.
    live_tokens: u64,
    /// When the last of them ends; null if there are none, or if one never ends.
    last_ends: Option<Stamp>,
    #[serde(skip)]
    bar: String,
}

/// How wide the bars are: with the columns beside them they fit a terminal of 80.
const WIDTH: usize = 40;

/// A span of time in columns.
struct Scale {
    from: u64,
    to: u64,
}

impl Scale {
    fn of(lives: &[KeyLife], now: UnixTime) -> Self {
        let begins = lives.iter().map(|life| life.key.added.seconds());
        let ends = lives.iter().flat_map(|life| {
            let (from, until) = window(life);
            let known = [from, until, life.last_ends, life.revoked];
            known.into_iter().flatten().map(UnixTime::seconds)
        });
        let from = begins.min().unwrap_or(now.seconds()).min(now.seconds());
        let to = ends.max().unwrap_or(from).max(now.seconds()).max(from + 1);
        Self { from, to }
    }

    /// The column of a time.
    fn column(&self, time: UnixTime) -> usize {
        let (at, span) = (
            time.seconds().clamp(self.from, self.to) - self.from,
            self.to - self.from,
        );
        let last = WIDTH as u64 - 1;
        let column = u128::from(at) * u128::from(last) / u128::from(span);
        usize::try_from(column).expect("a column is less than the width")
    }
}

/// When a key begins to sign, and when it ends.
const fn window(life: &KeyLife) -> (Option<UnixTime>, Option<UnixTime>) {
    match life.key.state {
        None | Some(KeyState::Staged | KeyState::Revoked { .. }) => (None, None),
        Some(KeyState::Active { from }) => (Some(from), None),
        Some(KeyState::Retired { from, until }) => (Some(from), Some(until)),
    }
}

fn bar(life: &KeyLife, scale: &Scale) -> String {
    let mut cells = vec![' '; WIDTH];
    let mut fill = |from: UnixTime, to: Option<UnixTime>, mark: char| {
        let (from, end) = (
            scale.column(from),
            to.map_or(WIDTH - 1, |to| scale.column(to)),
        );
        cells[from..=end.max(from)].fill(mark);
        if to.is_none() {
            cells[WIDTH - 1] = '>';
        }
    };
    let (from, until) = window(life);
    match (life.revoked, from) {
        (Some(revoked), _) => {
            fill(life.key.added, Some(revoked), '=');
            if life.live > 0 {
                fill(revoked, life.last_ends, '-');
            }
            fill(revoked, Some(revoked), 'x');
        }
        (None, None) if life.key.state.is_some() => fill(life.key.added, None, '.'),
        // When it was dropped is no part of its record.
        (None, None) => fill(life.key.added, Some(life.key.added), ' '),
        (None, Some(from)) => {
            fill(life.key.added, Some(from), '.');
            if let Some(until) = until {
                if life.live > 0 {
                    fill(until, life.last_ends, '-');
                }
                fill(from, Some(until), '=');
            } else {
                fill(from, None, '=');
            }
        }
    }
    cells.into_iter().collect()
}

impl TimelineAnswer {
    fn new(lives: &[KeyLife], now: UnixTime) -> Self {
        let scale = Scale::of(lives, now);
        let time = |seconds| UnixTime::new(seconds).unwrap_or(UnixTime::MAX).into();
        let view = |life: &KeyLife| {
            let (from, until) = window(life);
            LifeView {
                key: life.key.public.id().to_string(),
                role: life.key.role.to_string(),
                state: state_at(life.key.state, now).to_owned(),
                added: life.key.added.into(),
                signs_from: from.map(Stamp::from),
                signs_until: until.map(Stamp::from),
                revoked: life.revoked.map(Stamp::from),
                live_tokens: life.live,
                last_ends: life.last_ends.map(Stamp::from),
                bar: bar(life, &scale),
            }
        };
        Self {
            from: time(scale.from),
            to: time(scale.to),
            keys: lives.iter().map(view).collect(),
            now_at: scale.column(now),
        }
    }
}

impl Answer for TimelineAnswer {
    fn show(&self, page: &mut Page) {
        let day = |stamp: &Stamp| stamp.to_string().chars().take(10).collect::<String>();
        let (from, to) = (day(&self.from), day(&self.to));
        let gap = WIDTH - from.len() - to.len();
        let left = format!("{:12}  {:7}  {:9}  ", "", "", "");
        page.line(&format!("{left}{from}{:gap$}{to}", ""));
        page.line(&format!("{left}{:>width$}", "v", width = self.now_at + 1));
        for key in &self.keys {
            let tone = match key.state.as_str() {
                "active" => Some(Tone::Good),
                "revoked" => Some(Tone::Warn),
                _ => None,
            };
            page.toned(&[
                (
                    None,
                    format!("{:12}  {:7}  {:9}  ", key.key, key.role, key.state),
                ),
                (tone, key.bar.trim_end().to_owned()),
            ]);
        }
        page.gap();
        page.line("= signs  - its tokens still count  . waits  x revoked  > no end known  v now");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_within_the_bar() {
        let time = |seconds| UnixTime::new(seconds).unwrap();
        let scale = Scale { from: 100, to: 139 };
        for (at, column) in [(0, 0), (100, 0), (119, 19), (139, 39), (9_999, 39)] {
            assert_eq!(scale.column(time(at)), column);
        }
        let (from, to) = (0, UnixTime::MAX.seconds());
        assert_eq!(Scale { from, to }.column(UnixTime::MAX), WIDTH - 1);
    }
}
