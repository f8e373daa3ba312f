//! Deterministic CBOR: bodies under a good signature, so that the decoder is reached.

use phi_verify::{Claims, Extension};

use super::{Vectors, base};
use crate::{
    item::{Fields, Item, head, wide_head},
    snakeoil,
};

pub(super) fn add(vectors: &mut Vectors) {
    longer_forms(vectors);
    key_order(vectors);
    forbidden_types(vectors);
    not_cbor(vectors);
    depth(vectors);
}

fn refuse(vectors: &mut Vectors, name: &str, shows: &str, body: &[u8], code: &str) {
    let check = base::token(&base::sealed(body));
    vectors.refuse(format!("cbor/{name}"), shows, check, code);
}

/// The license with this item as its issue time, or another field.
fn with(key: u64, raw: Vec<u8>) -> Vec<u8> {
    base::license_fields().with(key, Item::Raw(raw)).encode()
}

/// The license with this item as extension -1.
fn extended(raw: Vec<u8>) -> Vec<u8> {
    extended_with(Item::negative(-1), Item::Raw(raw))
}

fn extended_with(key: Item, value: Item) -> Vec<u8> {
    base::license_fields().ending(key, value).encode()
}

/// The bytes of the map's entries, without its head.
fn entries() -> Vec<u8> {
    base::license_fields().encode()[1..].to_vec()
}

fn longer_forms(vectors: &mut Vectors) {
    let code = "cbor-not-deterministic";
    let count = base::license_fields().0.len();
    let count = u8::try_from(count).expect("a short map");
    let long_key = Item::Raw(wide_head(0, &[19]));
    let mut fields = base::license_fields().without(19);
    fields = fields.ending(long_key, Item::Uint(0));
    let text = |bytes: &[u8]| [&[0x78, 3], bytes].concat();
    for (name, shows, body) in [
        (
            "int-one-byte",
            "a number below 24 in a byte of its own",
            with(16, wide_head(0, &[1])),
        ),
        (
            "int-two-bytes",
            "a number below 256 in two bytes",
            with(14, wide_head(0, &[0, 200])),
        ),
        (
            "int-eight-bytes",
            "a number in eight bytes that fits four",
            {
                let seconds = snakeoil::claims().issued_at.seconds();
                with(6, wide_head(0, &seconds.to_be_bytes()))
            },
        ),
        ("key-longer", "a map key in a longer form", fields.encode()),
        (
            "text-length-longer",
            "a text with a longer head",
            with(9, text(b"pro")),
        ),
        (
            "bytes-length-longer",
            "a byte string with a longer head",
            with(10, vec![0x58, 1, 7]),
        ),
        ("map-head-longer", "the map with a longer head", {
            [&wide_head(5, &[count])[..], &entries()].concat()
        }),
        ("map-indefinite", "the map without its length", {
            [&[0xbf], &entries()[..], &[0xff]].concat()
        }),
        ("array-indefinite", "an array without its length", {
            with(15, [&[0x9f, 0x48], &b"license1"[..], &[1, 0xff]].concat())
        }),
        (
            "text-indefinite",
            "a text in pieces",
            with(9, b"\x7f\x62pr\x61o\xff".to_vec()),
        ),
        (
            "bytes-indefinite",
            "a byte string in pieces",
            with(10, vec![0x5f, 0x41, 7, 0xff]),
        ),
        ("trailing-byte", "a byte after the map", {
            [&base::license_fields().encode()[..], &[0]].concat()
        }),
        ("trailing-object", "a second license after the first", {
            base::license_fields().encode().repeat(2)
        }),
    ] {
        refuse(vectors, name, shows, &body, code);
    }
}

fn key_order(vectors: &mut Vectors) {
    let code = "cbor-key-order";
    let swapped = {
        let mut fields = base::license_fields();
        fields.0.swap(1, 2);
        fields
    };
    let twice = base::license_fields().ending(Item::Uint(19), Item::Uint(0));
    let twice_unlike = base::license_fields().ending(Item::Uint(19), Item::Uint(1));
    let pair = |first: i64, second: i64| {
        let fields = base::license_fields().ending(Item::negative(first), Item::Bool(true));
        fields.ending(Item::negative(second), Item::Bool(true))
    };
    let early = {
        let mut fields = base::license_fields();
        fields.0.insert(0, (Item::negative(-1), Item::Bool(true)));
        fields
    };
    let quota = || Item::Array(vec![Item::Uint(5), Item::Uint(0)]);
    let quotas = vec![(Item::Uint(1), quota()), (Item::Uint(0), quota())];
    for (name, shows, fields) in [
        ("keys-swapped", "two keys out of order", swapped),
        ("key-twice", "a key twice with one value", twice),
        (
            "key-twice-other-value",
            "a key twice with two values",
            twice_unlike,
        ),
        (
            "extension-keys-swapped",
            "-2 before -1, whose encoding is smaller",
            pair(-2, -1),
        ),
        ("extension-key-twice", "an extension twice", pair(-1, -1)),
        (
            "extension-before-claims",
            "an extension before the claims",
            early,
        ),
        (
            "quota-codes-swapped",
            "codes out of order in an inner map",
            { base::license_fields().with(11, Item::Map(quotas)) },
        ),
    ] {
        refuse(vectors, name, shows, &fields.encode(), code);
    }
    let two = [(-1, Extension::Bool(true)), (-2, Extension::Bool(true))];
    let claims = Claims {
        extensions: two.into(),
        ..snakeoil::claims()
    };
    let check = base::token(&base::sealed(&pair(-1, -2).encode()));
    let shows = "-1 before -2: in the order of encodings";
    vectors.accept(
        "cbor/valid-extension-keys",
        shows,
        check,
        base::license(&claims),
    );
}

fn forbidden_types(vectors: &mut Vectors) {
    let code = "cbor-forbidden-type";
    for (name, shows, body) in [
        (
            "tag-on-int",
            "a tag on a number",
            with(6, [&[0xc1], &head(0, 1_771_113_600)[..]].concat()),
        ),
        ("tag-on-object", "the tag that says CBOR", {
            [&[0xd9, 0xd9, 0xf7], &base::license_fields().encode()[..]].concat()
        }),
        (
            "bignum-small",
            "a tagged number of eight bytes or less",
            with(16, vec![0xc2, 0x41, 1]),
        ),
        ("bignum", "a tagged number of nine bytes", {
            with(14, [&[0xc2, 0x49], &[1; 9][..]].concat())
        }),
        (
            "float-16",
            "a half-precision number",
            with(14, vec![0xf9, 0x3c, 0]),
        ),
        ("float-64", "a double-precision number", {
            with(14, [&[0xfb], &1.1_f64.to_be_bytes()[..]].concat())
        }),
        ("null", "null", with(14, vec![0xf6])),
        ("undefined", "undefined", with(14, vec![0xf7])),
        (
            "null-in-extension",
            "null inside an extension",
            extended(vec![0x81, 0xf6]),
        ),
        (
            "float-in-extension",
            "a float inside an extension",
            extended(vec![0xf9, 0x3c, 0]),
        ),
        (
            "key-text",
            "a map key that is a text",
            extended_with(Item::text("x"), Item::Uint(1)),
        ),
        ("key-below-64-bits", "an extension key below -2^63", {
            extended_with(Item::Nint(1 << 63), Item::Uint(1))
        }),
    ] {
        refuse(vectors, name, shows, &body, code);
    }
}

fn not_cbor(vectors: &mut Vectors) {
    let code = "cbor-syntax";
    let body = base::license_fields().encode();
    let claim = |major: u8| wide_head(major, &(1_u64 << 62).to_be_bytes());
    for (name, shows, body) in [
        (
            "cut-short",
            "a map that is cut short",
            body[..body.len() - 1].to_vec(),
        ),
        (
            "break-alone",
            "a break without a beginning",
            with(14, vec![0xff]),
        ),
        (
            "reserved-head",
            "a head that CBOR reserves",
            with(14, vec![0x1c]),
        ),
        (
            "simple-value",
            "a simple value without a meaning",
            with(14, vec![0xf0]),
        ),
        (
            "text-not-utf-8",
            "a text that is not UTF-8",
            with(9, vec![0x63, b'p', 0xff, b'o']),
        ),
        (
            "bytes-of-2-62",
            "a byte string that claims 2^62 bytes",
            with(10, claim(2)),
        ),
        (
            "text-of-2-62",
            "a text that claims 2^62 bytes",
            with(9, claim(3)),
        ),
        (
            "array-of-2-62",
            "an array that claims 2^62 items",
            with(15, claim(4)),
        ),
        (
            "map-of-2-62",
            "a map that claims 2^62 entries",
            with(11, claim(5)),
        ),
        (
            "object-of-2-62",
            "an object that claims 2^62 fields",
            claim(5),
        ),
    ] {
        refuse(vectors, name, shows, &body, code);
    }
    for (name, shows, body) in [
        (
            "object-array",
            "an array in the place of the object",
            vec![0x80],
        ),
        ("object-int", "a number in the place of the object", vec![1]),
    ] {
        refuse(vectors, name, shows, &body, "field-invalid");
    }
    let empty = Fields(Vec::new()).encode();
    refuse(
        vectors,
        "object-empty",
        "a map without fields",
        &empty,
        "field-missing",
    );
}

/// Arrays in arrays, as the value of an extension: the object's map is the first level.
fn nested(levels: usize) -> Vec<u8> {
    [vec![0x81; levels - 1], vec![0x80]].concat()
}

fn depth(vectors: &mut Vectors) {
    let mut deepest = Extension::List(Vec::new());
    for _ in 2..DEEPEST {
        deepest = Extension::List(vec![deepest]);
    }
    let claims = Claims {
        extensions: [(-1, deepest)].into(),
        ..snakeoil::claims()
    };
    let check = base::token(&base::sealed(&extended(nested(DEEPEST - 1))));
    let shows = "eight levels, the object's map being the first";
    vectors.accept("cbor/valid-nesting-8", shows, check, base::license(&claims));
    refuse(
        vectors,
        "nesting-9",
        "nine levels",
        &extended(nested(DEEPEST)),
        "cbor-syntax",
    );
    refuse(
        vectors,
        "nesting-300",
        "301 levels",
        &extended(nested(300)),
        "cbor-syntax",
    );
    refuse(
        vectors,
        "nesting-unclosed",
        "2800 arrays that never close",
        &[0x81; 2800],
        "cbor-syntax",
    );
}

/// Levels of arrays and maps, the object's own map included.
const DEEPEST: usize = 8;
