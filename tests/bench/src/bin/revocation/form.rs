//! One form of a list, and how it is measured.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use phi_verify::TokenId;

use crate::{memory, tokens::Tokens};

/// A list that was built.
pub(crate) struct Form {
    pub(crate) name: &'static str,
    /// What is sent: without a signature, and without a salt where it is the document's.
    pub(crate) bytes: usize,
    /// Whether a token is revoked, from its number and id alone: hashes are made anew.
    pub(crate) ask: Ask,
    /// How many tokens of all are answered wrongly, if the form has a faster way to tell than to
    /// ask about one after the other.
    pub(crate) check: Option<Check>,
}

type Ask = Box<dyn Fn(u32, TokenId) -> bool>;
type Check = Box<dyn Fn(&Tokens) -> u64>;

/// What was measured.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
    pub(crate) build: Duration,
    pub(crate) check: Duration,
    /// Of any token, and of revoked ones.
    pub(crate) asked: [Asked; 2],
    /// The most that was held beside the tokens, in bytes.
    pub(crate) memory: u64,
}

/// Nanoseconds of a question.
pub(crate) struct Asked {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// Questions that are timed together: a clock takes about as long to read as a list to ask.
const BATCH: usize = 16;
const BATCH_F: f64 = 16.0;
/// Batches of a measurement.
const BATCHES: usize = 20_000;

/// Builds a form, asks it about every token, and times it.
pub(crate) fn measure(
    tokens: &Tokens,
    make: impl Fn(&Tokens) -> Result<Form, Box<dyn Error>>,
) -> Result<Measured, Box<dyn Error>> {
    let before = memory::begin();
    let started = Instant::now();
    let form = make(tokens)?;
    let build = started.elapsed();
    let memory = memory::peak().saturating_sub(before);
    let started = Instant::now();
    let wrong = form
        .check
        .as_ref()
        .map_or_else(|| wrong(&form, tokens), |check| check(tokens));
    let check = started.elapsed();
    if wrong > 0 {
        return Err(format!("{}: {wrong} wrong answers", form.name).into());
    }
    let asked = tokens
        .questions(BATCH * BATCHES)
        .map(|numbers| ask(&form, tokens, &numbers));
    let Form { name, bytes, .. } = form;
    Ok(Measured {
        name,
        bytes,
        build,
        check,
        asked,
        memory,
    })
}

/// How many tokens the form answers wrongly, asked one after the other.
fn wrong(form: &Form, tokens: &Tokens) -> u64 {
    let answers = tokens.standings().zip(0..).zip(tokens.ids());
    let wrong = answers.filter(|((revoked, number), id)| (form.ask)(*number, **id) != *revoked);
    wrong.count() as u64
}

/// Times questions about the tokens with these numbers, twice over: the first time warms up.
fn ask(form: &Form, tokens: &Tokens, numbers: &[u32]) -> Asked {
    let questions: Vec<_> = numbers
        .iter()
        .map(|n| (*n, tokens.ids()[*n as usize]))
        .collect();
    let mut times = Vec::new();
    for _ in 0..2 {
        times = questions
            .chunks(BATCH)
            .map(|batch| {
                let started = Instant::now();
                for (number, id) in batch {
                    black_box((form.ask)(*number, *id));
                }
                started.elapsed().as_secs_f64() * 1e9 / BATCH_F
            })
            .collect();
    }
    times.sort_by(f64::total_cmp);
    Asked {
        median: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}
