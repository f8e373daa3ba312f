//! Filters, built: which of all ids that there are are listed, in as few bytes as a form needs.
//!
//! What they are and how they are asked is phi-verify's ([`phi_verify::filter`]). Here it is chosen
//! what a filter is made of: the same ids give the same bytes, on every machine and in any order.

mod cascade;
mod estimate;
mod exact;
mod sets;

use std::fmt;

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
    let cascade = sets.built(FilterKind::Cascade, cascade::body(&sets)?);
    let exact = exact::body(&sets).map(|body| sets.built(FilterKind::Exact, body));
    let forms = match wanted {
        Wanted::Smallest | Wanted::Compact => [exact, Some(cascade)],
    };
    Ok(forms
        .into_iter()
        .flatten()
        .min_by_key(|built| built.body.len()))
}

/// Builds a Bloom cascade, be it the smallest form or not.
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
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong = |ids: &[SaltedId], right: Answer| {
        let wrong = ids.iter().filter(|id| filter.contains(**id) != right);
        wrong.count() as u64
    };
    std::thread::scope(|scope| {
        let parts = [(members, Answer::Yes), (others, Answer::No)];
        let parts = parts.into_iter().flat_map(|(ids, right)| {
            let part = ids.len().div_ceil(threads).max(1);
            ids.chunks(part).map(move |ids| (ids, right))
        });
        let running: Vec<_> = parts
            .map(|(ids, right)| scope.spawn(move || wrong(ids, right)))
            .collect();
        let counts = running.into_iter().map(|thread| thread.join());
        counts
            .map(|count| count.expect("counting does not panic"))
            .sum()
    })
}

impl Built {
    /// The bits that tell which of the universe are members cannot be fewer: log2 of the number of
    /// ways to choose them.
    pub fn least_bits(&self) -> f64 {
        estimate::log2_choices(self.universe, self.members)
    }

    /// The body's bits by the fewest that there can be; infinite where there is nothing to tell.
    pub fn ratio(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let bits = self.body.len() as f64 * 8.0;
        bits / self.least_bits()
    }
}
