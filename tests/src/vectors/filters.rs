//! Filters: bodies of sections, and what they say of ids.
//!
//! The answers are not phi-verify's. They come from a reader of its own here, written from
//! docs/spec.md as plainly as can be, which knows nothing of limits and does not need to.

use phi_issuer::filter::{self, Built};
use phi_verify::filter::SaltedId;
use sha2::{Digest as _, Sha256};

use super::{Check, Outcome, Vectors};
use crate::hex;

pub(super) fn add(vectors: &mut Vectors) {
    built(vectors);
    made(vectors);
    refused(vectors);
}

type Id = [u8; 16];

/// The salted id of anything: a hash is a hash.
fn id(number: u32) -> Id {
    let hash = Sha256::digest(number.to_be_bytes());
    hash[..16].try_into().expect("a hash has more")
}

fn check(kind: u64, body: &[u8], ids: &[Id]) -> Check {
    Check::Filter {
        kind,
        body: hex(body),
        ids: ids.iter().map(|id| hex(id)).collect(),
    }
}

/// Adds a body with what the reader below says of some ids: it must be right about the first of
/// them, which are listed or not as the issuer has it.
fn accept(vectors: &mut Vectors, name: &str, shows: &str, (kind, body): (u64, &[u8]), ids: &[Id]) {
    let answers = ids.iter().map(|id| model::ask(kind, body, *id).into());
    let outcome = Outcome::Answers(answers.collect());
    vectors.accept(
        format!("filter/{name}"),
        shows,
        check(kind, body, ids),
        outcome,
    );
}

fn salted(ids: &[Id]) -> Vec<SaltedId> {
    ids.iter().map(|id| SaltedId::from_bytes(*id)).collect()
}

type Builder = fn(&[SaltedId], &[SaltedId]) -> Result<Option<Built>, filter::BuildError>;

/// Filters that the issuer builds.
fn built(vectors: &mut Vectors) {
    let cascade: Builder = filter::cascade;
    let ribbon: Builder = filter::ribbon;
    for (name, shows, build, listed, others) in [
        (
            "valid-cascade",
            "a cascade of 40 ids among 400",
            cascade,
            40,
            360,
        ),
        (
            "valid-cascade-inverted",
            "a cascade in which most are listed",
            cascade,
            300,
            20,
        ),
        (
            "valid-cascade-tail-alone",
            "a cascade without layers",
            cascade,
            5,
            12,
        ),
        (
            "valid-cascade-everybody",
            "a cascade in which all are listed",
            cascade,
            30,
            0,
        ),
        (
            "valid-ribbon",
            "columns that are shorter than a window",
            ribbon,
            40,
            360,
        ),
        (
            "valid-ribbon-inverted",
            "a ribbon pair in which most are listed",
            ribbon,
            300,
            20,
        ),
        (
            "valid-ribbon-windows",
            "windows within columns, and beyond their ends",
            ribbon,
            600,
            2_000,
        ),
        (
            "valid-ribbon-rank-0",
            "a ribbon pair without a first stage",
            ribbon,
            30,
            33,
        ),
    ] {
        let ids: Vec<_> = (0..listed + others).map(id).collect();
        let (members, rest) = ids.split_at(listed as usize);
        let built = build(&salted(members), &salted(rest)).expect("hashes are told apart");
        let built = built.expect("some are listed");
        let kind = built.kind.number();
        for (ids, expected) in [(members, "yes"), (rest, "no")] {
            let wrong = ids
                .iter()
                .find(|id| model::ask(kind, &built.body, **id) != expected);
            assert_eq!(wrong, None, "{name}");
        }
        let some = members.iter().take(20).chain(rest.iter().take(20)).copied();
        let some: Vec<_> = some.chain((1_000_000..1_000_010).map(id)).collect();
        accept(vectors, name, shows, (kind, &built.body), &some);
    }
}

/// Bytes without a pattern.
fn noise(count: usize) -> Vec<u8> {
    let blocks = (0..).flat_map(|number: u32| Sha256::digest((!number).to_le_bytes()));
    blocks.take(count).collect()
}

/// Filters made by hand.
fn made(vectors: &mut Vectors) {
    let ids: Vec<_> = (0..40).map(id).collect();
    let mut prefixes: Vec<_> = ids[..12].iter().map(|id| id[..8].to_vec()).collect();
    prefixes.sort();
    accept(
        vectors,
        "valid-exact",
        "an exact list of 12 ids",
        (0, &prefixes.concat()),
        &ids,
    );
    let bloom = |bits: u64, probes: u8, listed: &[Id]| {
        let mut array = vec![0_u8; usize::try_from(bits.div_ceil(8)).expect("some bytes")];
        for place in listed
            .iter()
            .flat_map(|id| model::places(*id, 0, bits, probes))
        {
            array[place / 8] |= 1 << (place % 8);
        }
        let bits = u8::try_from(bits).expect("a varint of one byte");
        [&[bits, probes][..], &array].concat()
    };
    for (name, shows, body) in [
        (
            "valid-bloom",
            "a Bloom filter of 12 ids",
            bloom(101, 5, &ids[..12]),
        ),
        (
            "valid-bloom-smallest",
            "one byte of bits",
            bloom(8, 1, &ids[..2]),
        ),
        (
            "valid-bloom-most-probes",
            "32 probes",
            bloom(127, 32, &ids[..3]),
        ),
        (
            "valid-bloom-full",
            "everybody is in a filter of ones",
            vec![8, 1, 0xff],
        ),
    ] {
        accept(vectors, name, shows, (1, &body), &ids);
    }
    for (name, shows, body) in [
        (
            "valid-cascade-one-layer",
            "one layer and no tail",
            [&[0, 1, 24, 2][..], &noise(3), &[0]].concat(),
        ),
        (
            "valid-cascade-two-layers",
            "two layers and no tail",
            [&[0, 2, 8, 1, 16, 1][..], &noise(3), &[0]].concat(),
        ),
        (
            "valid-cascade-ends-odd",
            "all are in three layers",
            vec![0, 3, 8, 1, 8, 1, 8, 1, 0xff, 0xff, 0xff, 0],
        ),
        (
            "valid-cascade-ends-even",
            "all are in two layers, of an inverted cascade",
            vec![1, 2, 8, 1, 8, 1, 0xff, 0xff, 0],
        ),
        (
            "valid-cascade-many-layers",
            "64 layers of ones, and a tail of five bytes",
            [
                &[0, 64][..],
                &[8, 1].repeat(64),
                &[0xff; 64],
                &[1, 0xff, 0xff, 0xff, 0xff, 0x7f],
            ]
            .concat(),
        ),
    ] {
        accept(vectors, name, shows, (2, &body), &ids);
    }
    for (name, shows, body) in [
        (
            "valid-ribbon-shards",
            "two shards of another length",
            [
                &[0, 1, 2, 0xac, 4, 3, 65, 9, 0xac, 4, 255, 64, 0][..],
                &noise(556 + 65 + 556 + 64),
            ]
            .concat(),
        ),
        (
            "valid-ribbon-shard-of-nobody",
            "two shards, of which the first holds nobody",
            [&[0, 0, 2, 0, 0, 0x80, 8, 3][..], &noise(1024)].concat(),
        ),
        (
            "valid-ribbon-most-ranks",
            "32 columns of ones and zeros",
            [&[1, 32, 1, 1, 0, 1, 0][..], &noise(33)].concat(),
        ),
    ] {
        accept(vectors, name, shows, (3, &body), &ids);
    }
}

/// Bodies that are refused.
fn refused(vectors: &mut Vectors) {
    let varint_33 = [0x81, 0x80, 0x80, 0x80, 0x10];
    let cases: [(&str, &str, u64, Vec<u8>); 46] = [
        ("kind-4", "an index set, which is reserved", 4, vec![0; 8]),
        ("kind-5", "a kind that there is not", 5, vec![0; 8]),
        (
            "kind-256",
            "a kind that is not that of its last byte",
            256,
            vec![0; 8],
        ),
        ("exact-empty", "no prefix", 0, vec![]),
        ("exact-cut", "a prefix of seven bytes", 0, vec![0; 7]),
        ("exact-longer", "a byte after a prefix", 0, vec![0; 9]),
        ("exact-twice", "a prefix twice", 0, vec![7; 16]),
        (
            "exact-descends",
            "prefixes that descend",
            0,
            [[2; 8], [1; 8]].concat(),
        ),
        ("bloom-empty", "nothing", 1, vec![]),
        ("bloom-of-7-bits", "seven bits", 1, vec![7, 1, 0x55]),
        (
            "bloom-of-too-many-bits",
            "2^32 + 1 bits",
            1,
            [&varint_33[..], &[1, 0]].concat(),
        ),
        ("bloom-without-probes", "no probe", 1, vec![8, 0, 0x55]),
        ("bloom-33-probes", "33 probes", 1, vec![8, 33, 0x55]),
        ("bloom-cut", "nine bits in one byte", 1, vec![9, 1, 0x55]),
        (
            "bloom-longer",
            "a byte after the bits",
            1,
            vec![8, 1, 0x55, 0],
        ),
        (
            "bloom-padding",
            "the bit after the last is set",
            1,
            vec![9, 1, 0x55, 2],
        ),
        (
            "bloom-varint-longer",
            "eight in two bytes",
            1,
            vec![0x88, 0, 1, 0x55],
        ),
        (
            "bloom-varint-of-6-bytes",
            "a number of six bytes",
            1,
            vec![0x88, 0x80, 0x80, 0x80, 0x80, 0, 1],
        ),
        (
            "bloom-announced",
            "four thousand million bits in one byte",
            1,
            vec![0x80, 0x80, 0x80, 0x80, 0x10, 1, 0],
        ),
        ("cascade-empty", "nothing", 2, vec![]),
        (
            "cascade-of-nobody",
            "no layer and no tail",
            2,
            vec![0, 0, 0],
        ),
        (
            "cascade-inverted-2",
            "neither inverted nor not",
            2,
            vec![2, 0, 1, 5],
        ),
        (
            "cascade-65-layers",
            "65 layers",
            2,
            [&[0, 65][..], &[8, 1].repeat(65), &[0; 65], &[0]].concat(),
        ),
        (
            "cascade-layers-cut",
            "two layers are announced, and one is measured",
            2,
            vec![0, 2, 8, 1],
        ),
        (
            "cascade-bits-cut",
            "a layer without its bits",
            2,
            vec![0, 1, 8, 1],
        ),
        (
            "cascade-without-tail",
            "no choice of a tail",
            2,
            vec![0, 1, 8, 1, 0x55],
        ),
        (
            "cascade-tail-2",
            "neither a tail nor none",
            2,
            vec![0, 1, 8, 1, 0x55, 2],
        ),
        (
            "cascade-tail-cut",
            "a tail without its seed",
            2,
            vec![0, 1, 8, 1, 0x55, 1],
        ),
        (
            "cascade-seed-longer",
            "a seed in more bytes than it needs",
            2,
            vec![0, 0, 1, 0x85, 0],
        ),
        (
            "cascade-longer",
            "a byte after the seed",
            2,
            vec![0, 0, 1, 5, 0],
        ),
        (
            "cascade-longer-without-tail",
            "a seed without a tail",
            2,
            vec![0, 1, 8, 1, 0x55, 0, 5],
        ),
        (
            "cascade-padding",
            "a bit after a layer's last is set",
            2,
            vec![0, 1, 9, 1, 0x55, 4, 0],
        ),
        (
            "cascade-layer-7",
            "the second layer has seven bits",
            2,
            vec![0, 2, 8, 1, 7, 1, 0x55, 0x55, 0],
        ),
        ("ribbon-empty", "nothing", 3, vec![]),
        (
            "ribbon-inverted-2",
            "neither inverted nor not",
            3,
            vec![2, 0, 1, 1, 0, 0x55],
        ),
        (
            "ribbon-rank-33",
            "a rank of 33",
            3,
            [&[0, 33, 1, 1, 0, 1, 0][..], &[0x55; 34]].concat(),
        ),
        ("ribbon-without-shards", "no shard", 3, vec![0, 0, 0]),
        (
            "ribbon-shards-too-many",
            "two shards in less than 1024 bytes",
            3,
            vec![0, 0, 2, 1, 0, 1, 0, 0x55, 0x55],
        ),
        (
            "ribbon-of-nobody",
            "a shard that holds nobody, alone",
            3,
            vec![0, 1, 1, 0, 0, 0, 0],
        ),
        (
            "ribbon-first-stage-missing",
            "a second stage without a first",
            3,
            vec![0, 1, 1, 0, 0, 1, 0, 0x55],
        ),
        (
            "ribbon-second-stage-missing",
            "a first stage without a second",
            3,
            vec![0, 1, 1, 1, 0, 0, 0, 0x55],
        ),
        (
            "ribbon-seed-of-nothing",
            "a seed of a stage of no bytes",
            3,
            vec![0, 0, 1, 0, 1],
        ),
        (
            "ribbon-cut",
            "a column that is cut short",
            3,
            vec![0, 1, 1, 2, 0, 2, 0, 0x55, 0x55, 0x55],
        ),
        (
            "ribbon-longer",
            "a byte after the last column",
            3,
            vec![0, 0, 1, 1, 0, 0x55, 0],
        ),
        (
            "ribbon-varint-longer",
            "one shard in two bytes",
            3,
            vec![0, 0, 0x81, 0, 1, 0, 0x55],
        ),
        (
            "ribbon-column-too-long",
            "a column of 2^29 + 1 bytes",
            3,
            vec![0, 0, 1, 0x81, 0x80, 0x80, 0x80, 2, 0, 0x55],
        ),
    ];
    for (name, shows, kind, body) in cases {
        let check = check(kind, &body, &[id(0)]);
        vectors.refuse(format!("filter/{name}"), shows, check, "field-invalid");
    }
}

/// A reader of filters, written from the specification alone: slow, plain, and for good bodies.
mod model {
    use super::Id;

    const G: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(x: u64) -> u64 {
        let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ (x >> 33)
    }

    fn scaled(x: u64, n: u64) -> usize {
        let scaled = (u128::from(x) * u128::from(n)) >> 64;
        usize::try_from(scaled).expect("below n")
    }

    fn half(id: Id, at: usize) -> u64 {
        u64::from_le_bytes(id[at..at + 8].try_into().expect("eight bytes"))
    }

    fn begin(id: Id, i: u64) -> u64 {
        mix(half(id, 0).wrapping_add((i + 1).wrapping_mul(G)))
    }

    fn step(id: Id, i: u64) -> u64 {
        mix(half(id, 8) ^ begin(id, i)) | 1
    }

    pub(super) fn places(id: Id, i: u64, bits: u64, probes: u8) -> Vec<usize> {
        let mut a = begin(id, i);
        let mut places = Vec::new();
        for _ in 0..probes {
            places.push(scaled(a, bits));
            a = a
                .wrapping_mul(0x5851_f42d_4c95_7f2d)
                .wrapping_add(step(id, i));
        }
        places
    }

    fn bit(array: &[u8], place: usize) -> bool {
        array[place / 8] >> (place % 8) & 1 == 1
    }

    fn is_in(id: Id, i: u64, (bits, probes): (u64, u8), array: &[u8]) -> bool {
        let places = places(id, i, bits, probes);
        places.into_iter().all(|place| bit(array, place))
    }

    fn take<'a>(body: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = body.split_at(count);
        *body = rest;
        taken
    }

    fn byte(body: &mut &[u8]) -> u8 {
        take(body, 1)[0]
    }

    fn varint(body: &mut &[u8]) -> u64 {
        let (mut number, mut place) = (0, 0);
        loop {
            let byte = byte(body);
            number |= u64::from(byte & 0x7f) << place;
            place += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn layer(body: &mut &[u8]) -> (u64, u8) {
        (varint(body), byte(body))
    }

    pub(super) fn ask(kind: u64, mut body: &[u8], id: Id) -> &'static str {
        let listed = match kind {
            0 => body.chunks(8).any(|prefix| prefix == &id[..8]),
            1 => {
                let layer = layer(&mut body);
                return if is_in(id, 0, layer, body) {
                    "probably"
                } else {
                    "no"
                };
            }
            2 => (byte(&mut body) == 1) != cascade(body, id),
            3 => (byte(&mut body) == 1) != ribbon(body, id),
            other => panic!("kind {other}"),
        };
        if listed { "yes" } else { "no" }
    }

    fn cascade(mut body: &[u8], id: Id) -> bool {
        let n = byte(&mut body);
        let layers: Vec<_> = (0..n).map(|_| layer(&mut body)).collect();
        for (i, layer) in (0_u64..).zip(layers) {
            let bytes = usize::try_from(layer.0.div_ceil(8)).expect("bytes of a body");
            let array = take(&mut body, bytes);
            if !is_in(id, i, layer, array) {
                return i % 2 == 1;
            }
        }
        match byte(&mut body) {
            0 => n % 2 == 1,
            _ => step(id, 64 + varint(&mut body)) >> 63 == 1,
        }
    }

    fn ribbon(mut body: &[u8], id: Id) -> bool {
        let rank = byte(&mut body);
        let shards = varint(&mut body);
        let mut measures = Vec::new();
        for _ in 0..shards {
            let mut stage = || {
                let bytes = usize::try_from(varint(&mut body)).expect("bytes of a body");
                (bytes, u64::from(byte(&mut body)))
            };
            let first = if rank > 0 { stage() } else { (0, 0) };
            measures.push((first, stage()));
        }
        let mine = scaled(half(id, 0), shards);
        for ((bytes1, _), (bytes2, _)) in &measures[..mine] {
            take(&mut body, bytes1 * usize::from(rank) + bytes2);
        }
        let ((bytes1, seed1), (bytes2, seed2)) = measures[mine];
        if bytes2 == 0 {
            return false;
        }
        for j in 0..rank {
            let expected = mix(step(id, seed1)) >> j & 1 == 1;
            if sum(take(&mut body, bytes1), seed1, id) != expected {
                return false;
            }
        }
        sum(take(&mut body, bytes2), 256 + seed2, id)
    }

    /// Bit by bit.
    fn sum(column: &[u8], i: u64, id: Id) -> bool {
        let b = column.len();
        let start = if b < 64 {
            0
        } else {
            (scaled(begin(id, i), b as u64 + 1).max(32) - 32).min(b - 64)
        };
        let words = (1..=8_u64).map(|k| mix(step(id, i).wrapping_add(k.wrapping_mul(G))));
        let window: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let mut sum = false;
        for place in 0..512 {
            let at = start * 8 + place;
            sum ^= at < b * 8 && bit(&window, place) && bit(column, at);
        }
        sum
    }
}
