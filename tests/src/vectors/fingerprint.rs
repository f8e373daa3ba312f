//! Fingerprint requests: the digests of a machine's components, as text that finds its own slips.

use phi_verify::Fingerprint;
use sha2::{Digest as _, Sha256};

use super::{Check, Machine, Outcome, Vectors, base::base64url};
use crate::{
    hex,
    item::{Fields, Item},
    snakeoil::PRODUCT,
};

pub(super) fn add(vectors: &mut Vectors) {
    made(vectors);
    read(vectors);
}

/// The digest of a component, as docs/spec.md says it is made.
fn digest(product: &str, kind: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| (text.len() as u64).to_le_bytes();
    let pieces = [
        &b"phi/fp/v1\0"[..],
        &length(product),
        product.as_bytes(),
        &length(kind),
        kind.as_bytes(),
        value.as_bytes(),
    ];
    Sha256::digest(pieces.concat())[..6].to_vec()
}

/// The fields of a request for these components, each a kind and a digest.
fn fields(components: &[(&str, Vec<u8>)]) -> Fields {
    let entry =
        |(kind, digest): &(&str, Vec<u8>)| Item::Array(vec![Item::text(kind), Item::bytes(digest)]);
    let components = components.iter().map(entry).collect();
    Fields(vec![
        (Item::Uint(0), Item::Uint(7)),
        (Item::Uint(8), Item::text(PRODUCT)),
        (Item::Uint(13), Item::Array(components)),
    ])
}

/// The request with this object, and its checksum.
fn request(object: &[u8]) -> String {
    let sum = &Sha256::digest(object)[..4];
    format!("phi.fingerprint.{}", base64url(&[object, sum].concat()))
}

fn machine(components: &[(&str, &str)]) -> Machine {
    Machine {
        product: PRODUCT.into(),
        components: components
            .iter()
            .map(|(kind, value)| ((*kind).into(), (*value).into()))
            .collect(),
    }
}

fn made(vectors: &mut Vectors) {
    let board = ("board-serial", digest(PRODUCT, "board-serial", "VM-0042"));
    let id = ("machine-id", digest(PRODUCT, "machine-id", "3f1c"));
    let good = request(&fields(&[board.clone(), id.clone()]).encode());
    let parts = [("machine-id", "3f1c"), ("board-serial", "VM-0042")];
    let check = Check::Fingerprint(machine(&parts));
    let shows = "two components, in the order of their kinds";
    vectors.accept(
        "fingerprint/valid-made",
        shows,
        check,
        Outcome::Text(good.clone()),
    );
    let twice = Check::Fingerprint(machine(&[parts[0], parts[1], parts[0]]));
    let shows = "a component that was given twice stands once";
    vectors.accept(
        "fingerprint/valid-made-twice",
        shows,
        twice,
        Outcome::Text(good.clone()),
    );
    let read = [&board, &id].map(|(kind, digest)| ((*kind).into(), hex(digest)));
    let outcome = Outcome::Components(read.to_vec());
    let check = Check::FingerprintRequest(good);
    vectors.accept(
        "fingerprint/valid",
        "a request of two components",
        check,
        outcome,
    );
    let many = (0..17).map(|n| ("part", n.to_string())).collect::<Vec<_>>();
    let many = many.iter().map(|(kind, value)| (*kind, value.as_str()));
    for (name, shows, components) in [
        ("made-of-nothing", "no component", Vec::new()),
        ("made-of-seventeen", "seventeen components", many.collect()),
        (
            "made-without-kind",
            "a component without a kind",
            vec![("", "x")],
        ),
        (
            "made-with-control",
            "a kind with a line end",
            vec![("a\nb", "x")],
        ),
    ] {
        let check = Check::Fingerprint(machine(&components));
        vectors.refuse(
            format!("fingerprint/{name}"),
            shows,
            check,
            "fingerprint-invalid",
        );
    }
}

fn read(vectors: &mut Vectors) {
    let one = ("a", vec![1; 6]);
    let two = ("b", vec![2; 6]);
    let good = fields(&[one.clone(), two.clone()]);
    let text = request(&good.encode());
    let mut slip = text.clone();
    slip.replace_range(30..31, if &text[30..31] == "A" { "B" } else { "A" });
    let extended = good.clone().ending(Item::negative(-1), Item::Bool(true));
    let seventeen: Vec<_> = (0..17).map(|n| ("a", vec![n; 6])).collect();
    for (name, shows, text) in [
        ("slip", "a character copied wrongly", slip),
        (
            "cut",
            "a request that is cut short",
            text[..text.len() - 4].into(),
        ),
        ("too-short", "three bytes", "phi.fingerprint.AAAA".into()),
        (
            "prefix",
            "another word",
            text.replace("fingerprint", "footprint"),
        ),
        ("padding", "base64 padding", format!("{text}=")),
        (
            "too-long",
            "4097 characters",
            "phi.fingerprint.".to_owned() + &"A".repeat(4081),
        ),
        (
            "out-of-order",
            "components out of order",
            request(&fields(&[two, one.clone()]).encode()),
        ),
        (
            "twice",
            "a component twice",
            request(&fields(&[one.clone(), one]).encode()),
        ),
        ("empty", "no component", request(&fields(&[]).encode())),
        (
            "seventeen",
            "seventeen components",
            request(&fields(&seventeen).encode()),
        ),
        ("digest-5-bytes", "a digest of five bytes", {
            request(&fields(&[("a", vec![1; 5])]).encode())
        }),
        (
            "kind-other",
            "another kind of object",
            request(&good.clone().with(0, Item::Uint(1)).encode()),
        ),
        (
            "field-unknown",
            "an unknown field",
            request(&good.clone().with(9, Item::Uint(1)).encode()),
        ),
        (
            "extension",
            "an extension, which requests do not have",
            request(&extended.encode()),
        ),
        ("not-deterministic", "a number in a longer form", {
            request(&good.with(0, Item::Raw(vec![0x18, 7])).encode())
        }),
    ] {
        let check = Check::FingerprintRequest(text);
        vectors.refuse(
            format!("fingerprint/{name}"),
            shows,
            check,
            "fingerprint-invalid",
        );
    }
    let empty = Fingerprint::new(PRODUCT);
    assert!(
        empty.to_request().is_err(),
        "a machine without components has no request"
    );
}
