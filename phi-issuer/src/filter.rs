//! Filters, built: which of all ids that there are are listed, in as few bytes as a form needs.
//!
//! What they are and how they are asked is phi-verify's ([`phi_verify::filter`]). Here it is chosen
//! what a filter is made of: the same ids give the same bytes, on every machine and in any order.

mod cascade;
mod estimate;
mod exact;
mod ribbon;
mod sets;

use std::{
    fmt, iter,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use phi_verify::filter::{Answer, Filter, FilterKind, SaltedId};

use self::sets::Sets;

/// How small a filter is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// The smaller of an exact list and a Bloom cascade.
    #[default]
    Smallest,
    /// The smallest of all forms that answer exactly.
    Compact,
}

/// A filter, and what it is a filter of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Its form.
    pub kind: FilterKind,
    /// The body of its section.
    pub body: Vec<u8>,
    /// How many ids it is exact for.
    pub universe: u64,
    /// How many of them are listed.
    pub members: u64,
}

/// Why a filter cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The id is to be listed and not to be listed.
    Contradiction(SaltedId),
    /// No filter of this form tells the ids apart, which happens to no salted hashes: another
    /// salt gives other ids.
    Inseparable,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradiction(_) => f.write_str("one id is to be listed and not to be listed"),
            Self::Inseparable => f.write_str("no filter tells these ids apart"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Builds the filter that lists `members` and no one of `others`; an id that is given twice counts
/// once. `None` if there is nothing to list: a section without members is left out.
///
/// # Errors
/// [`BuildError::Contradiction`] for an id in both, [`BuildError::Inseparable`] for ids that are no
/// hashes.
pub fn build(
    members: &[SaltedId],
    others: &[SaltedId],
    wanted: Wanted,
) -> Result<Option<Built>, BuildError> {
    let sets = Sets::new(members, others)?;
    if sets.members().is_empty() {
        return Ok(None);
    }
    let exact = exact::body(&sets).map(|body| sets.built(FilterKind::Exact, body));
    let cascade = Some(sets.built(FilterKind::Cascade, cascade::body(&sets)?));
    let ribbon = match wanted {
        Wanted::Smallest => None,
        Wanted::Compact => ribbon::body(&sets)?.map(|body| sets.built(FilterKind::Ribbon, body)),
    };
    Ok([exact, cascade, ribbon]
        .into_iter()
        .flatten()
        .min_by_key(|built| built.body.len()))
}

/// Builds a Bloom cascade, be it the smallest form or not; `None` if there is nothing to list.
///
/// # Errors
/// As [`build`].
pub fn cascade(members: &[SaltedId], others: &[SaltedId]) -> Result<Option<Built>, BuildError> {
    let sets = Sets::new(members, others)?;
    if sets.members().is_empty() {
        return Ok(None);
    }
    Ok(Some(sets.built(FilterKind::Cascade, cascade::body(&sets)?)))
}

/// Builds a ribbon pair, be it the smallest form or not; `None` if there is nothing to list or
/// nothing else.
///
/// # Errors
/// As [`build`].
pub fn ribbon(members: &[SaltedId], others: &[SaltedId]) -> Result<Option<Built>, BuildError> {
    let sets = Sets::new(members, others)?;
    let body = ribbon::body(&sets)?;
    Ok(body.map(|body| sets.built(FilterKind::Ribbon, body)))
}

/// Appends an unsigned LEB128 number.
fn put_varint(body: &mut Vec<u8>, mut number: u64) {
    loop {
        let [byte, ..] = (number & 0x7f).to_le_bytes();
        number >>= 7;
        if number == 0 {
            return body.push(byte);
        }
        body.push(byte | 0x80);
    }
}

/// How many of the ids a filter answers wrongly, on as many threads as there are processors.
pub fn wrong_answers(filter: &Filter, members: &[SaltedId], others: &[SaltedId]) -> u64 {
    let wrong = |ids: &[SaltedId], right: Answer| {
        let wrong = ids.iter().filter(|id| filter.contains(**id) != right);
        wrong.count() as u64
    };
    let parts = |ids: &[SaltedId], right: Answer| {
        let parts: Vec<_> = ids.chunks(PART).collect();
        let counts = parallel(parts.len(), |n| wrong(parts[n], right));
        counts.into_iter().sum::<u64>()
    };
    parts(members, Answer::Yes) + parts(others, Answer::No)
}

/// Ids that one thread asks about before it takes others.
const PART: usize = 1 << 16;

/// Does so many things, numbered from 0, on as many threads as there are processors. What comes of
/// them is in their order.
fn parallel<T: Send>(count: usize, run: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    if threads.min(count) < 2 {
        return (0..count).map(run).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let numbers = iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let numbers = numbers.take_while(|number| *number < count);
        numbers
            .map(|number| (number, run(number)))
            .collect::<Vec<_>>()
    };
    let mut results: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads.min(count)).map(|_| scope.spawn(work)).collect();
        let results = running.into_iter().flat_map(|thread| match thread.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    });
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

impl Built {
    /// The bits that tell which of the universe are members cannot be fewer: log2 of the number of
    /// ways to choose them.
    pub fn least_bits(&self) -> f64 {
        Self::least_bits_of(self.universe, self.members)
    }

    /// The same, of any universe and so many members.
    pub fn least_bits_of(universe: u64, members: u64) -> f64 {
        estimate::log2_choices(universe, members)
    }

    /// The body's bits by the fewest that there can be; infinite where there is nothing to tell.
    pub fn ratio(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let bits = self.body.len() as f64 * 8.0;
        bits / self.least_bits()
    }
}
