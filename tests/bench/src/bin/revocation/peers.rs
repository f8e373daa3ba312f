//! Other ways to say what is revoked: Mozilla's two, the IETF's, and the plainest.

use std::{
    error::Error,
    io::{Read as _, Write as _},
};

use clubcard::{
    AsQuery, Clubcard, Equation, Filterable, Queryable,
    builder::{ApproximateRibbon, ClubcardBuilder, ExactRibbon},
};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use phi_verify::{TokenId, filter::TokenHash};
use rust_cascade::{CascadeBuilder, HashAlgorithm};
use sha2::{Digest as _, Sha256};

use crate::{
    form::Form,
    tokens::{SALT, Tokens},
};

/// Words of a window, as in clubcard's own example and in `CRLite`.
const W: usize = 4;

/// A token as clubcard takes it: hashed once, as the window of its equations.
struct Card {
    hash: [u8; 32],
    revoked: bool,
}

impl Card {
    fn new(id: TokenId, revoked: bool) -> Self {
        let hash = Sha256::new().chain_update(SALT).chain_update(id.as_bytes());
        let hash = hash.finalize().into();
        Self { hash, revoked }
    }
}

impl AsQuery<W> for Card {
    fn as_query(&self, m: usize) -> Equation<W> {
        let (words, _) = self.hash.as_chunks();
        let mut window = [0; W];
        for (word, bytes) in window.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        let place = window[W - 1] % (m.max(1) as u64);
        window[0] |= 1;
        let place = usize::try_from(place).expect("below a number of columns");
        Equation::inhomogeneous(place, window, u8::from(!self.revoked))
    }

    fn block(&self) -> &[u8] {
        &[]
    }

    fn discriminant(&self) -> &[u8] {
        &self.hash
    }
}

impl Filterable<W> for Card {
    fn included(&self) -> bool {
        self.revoked
    }
}

impl Queryable<W> for Card {
    type UniverseMetadata = ();
    type PartitionMetadata = ();

    fn in_universe(&self, (): &()) -> bool {
        true
    }
}

pub(crate) fn clubcard(tokens: &Tokens) -> Form {
    let cards = || {
        let tokens = tokens.ids().iter().zip(tokens.standings());
        tokens.map(|(id, revoked)| Card::new(*id, revoked))
    };
    let mut builder = ClubcardBuilder::new();
    let mut approximate = builder.new_approx_builder(&[]);
    for card in cards().filter(|card| card.revoked) {
        approximate.insert(card);
    }
    approximate.set_universe_size(tokens.ids().len());
    builder.collect_approx_ribbons(vec![ApproximateRibbon::from(approximate)]);
    let mut exact = builder.new_exact_builder(&[]);
    for card in cards() {
        exact.insert(card);
    }
    builder.collect_exact_ribbons(vec![ExactRibbon::from(exact)]);
    let card: Clubcard<W, (), ()> = builder.build::<Card>((), ());
    let columns = card.approx_filter.iter().chain([&card.exact_filter]);
    let exceptions = card.index.values().flat_map(|entry| &entry.exceptions);
    let bytes = columns.map(|column| 8 * column.len()).sum::<usize>();
    Form {
        name: "clubcard 0.3.4",
        bytes: bytes + exceptions.map(Vec::len).sum::<usize>(),
        ask: Box::new(move |_, id| card.unchecked_contains(&Card::new(id, false))),
        check: None,
    }
}

pub(crate) fn rust_cascade(tokens: &Tokens) -> Result<Form, Box<dyn Error>> {
    let revoked = tokens.revoked().len();
    let good = tokens.ids().len() - revoked;
    let mut builder = CascadeBuilder::new(HashAlgorithm::Sha256, SALT.to_vec(), revoked, good);
    let of = |wanted: bool| {
        let ids = tokens.ids().iter().zip(tokens.standings());
        let ids = ids.filter(move |(_, revoked)| *revoked == wanted);
        ids.map(|(id, _)| id.as_bytes().to_vec())
    };
    let refused = |error: rust_cascade::CascadeError| format!("rust_cascade: {error}");
    for id in of(true) {
        builder.include(id).map_err(refused)?;
    }
    for id in of(false) {
        builder.exclude(id).map_err(refused)?;
    }
    let cascade = builder.finalize().map_err(refused)?;
    let bytes = cascade.to_bytes().map_err(refused)?.len();
    Ok(Form {
        name: "rust_cascade 1.5",
        bytes,
        ask: Box::new(move |_, id| cascade.has(id.as_bytes().to_vec())),
        check: None,
    })
}

/// The Token Status List of the IETF: a bit for each token, at the number that the token carries.
pub(crate) fn bitmap(tokens: &Tokens) -> Result<Form, Box<dyn Error>> {
    let mut bits = vec![0_u8; tokens.ids().len().div_ceil(8)];
    for number in tokens.revoked() {
        bits[*number as usize / 8] |= 1 << (number % 8);
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bits)?;
    let compressed = encoder.finish()?;
    let mut bits = Vec::new();
    ZlibDecoder::new(&compressed[..]).read_to_end(&mut bits)?;
    Ok(Form {
        name: "zlib bitmap (an index in each token)",
        bytes: compressed.len(),
        ask: Box::new(move |number, _| bits[number as usize / 8] >> (number % 8) & 1 == 1),
        check: None,
    })
}

/// The first 8 bytes of each salted hash, sorted.
pub(crate) fn hashes(tokens: &Tokens) -> Form {
    let (revoked, _) = tokens.salted();
    let mut hashes: Vec<_> = revoked.iter().map(|id| id.prefix()).collect();
    hashes.sort_unstable();
    let hash = TokenHash::new(&SALT);
    Form {
        name: "sorted 8-byte hashes",
        bytes: 8 * hashes.len(),
        ask: Box::new(move |_, id| {
            let prefix = hash.of(id).prefix();
            hashes.binary_search(&prefix).is_ok()
        }),
        check: None,
    }
}
