//! The envelope of a document: its shape, its signatures and its size.

use phi_verify::{DocumentKind, UnsignedDocument};

use super::{
    Check, Vectors, base,
    documents::{one_key_keyset, refuse, taken},
};
use crate::{
    hex,
    item::{Fields, Item, head, wide_head},
    snakeoil::{self, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    envelopes(vectors);
    signatures(vectors);
    sizes(vectors);
}

fn envelopes(vectors: &mut Vectors) {
    let payload_bytes = base::keyset_fields().encode();
    let good = base::document(DocumentKind::Keyset, payload_bytes.clone(), Seed::Keyset);
    let kind = &good[1..8];
    let entry = good[good.len() - 77..].to_vec();
    let signed = |count: &[u8], entries: &[&[u8]]| {
        envelope(kind, &payload_bytes, &[count, &entries.concat()].concat())
    };
    assert_eq!(
        signed(&[0x81], &[&entry]),
        good,
        "the pieces are those of a good envelope"
    );
    let with_kind =
        |kind: Vec<u8>| envelope(&kind, &payload_bytes, &[&[0x81], &entry[..]].concat());
    let long_payload = {
        let head = wide_head(
            2,
            &u32::try_from(payload_bytes.len())
                .expect("short")
                .to_be_bytes(),
        );
        [&[0x83], kind, &head, &payload_bytes, &[0x81], &entry].concat()
    };
    let changed = |at: usize, byte: u8| {
        let mut entry = entry.clone();
        entry[at] = byte;
        signed(&[0x81], &[&entry])
    };
    let sixteen = vec![&entry[..]; 17];
    for (name, shows, document) in [
        ("empty", "no bytes", Vec::new()),
        (
            "array-of-two",
            "an array of two",
            [&[0x82], &good[1..]].concat(),
        ),
        (
            "array-indefinite",
            "an array without its length",
            [&[0x9f], &good[1..], &[0xff]].concat(),
        ),
        (
            "text",
            "a document's word in the place of its bytes",
            b"phi.keyset.".to_vec(),
        ),
        ("token", "a token in the place of a document", {
            Seed::License.mint(&snakeoil::claims()).into_bytes()
        }),
        (
            "kind-unknown",
            "a kind that does not exist",
            with_kind(b"\x65delta".to_vec()),
        ),
        ("kind-number", "a kind that is a number", with_kind(vec![4])),
        (
            "kind-head-longer",
            "a kind with a longer head",
            with_kind(b"\x78\x06keyset".to_vec()),
        ),
        (
            "payload-head-longer",
            "a payload with a longer head",
            long_payload,
        ),
        ("payload-text", "a payload that is a text", {
            let mut document = good.clone();
            document[8] |= 0x20;
            document
        }),
        ("payload-of-2-62", "a payload that claims 2^62 bytes", {
            [&[0x83], kind, &wide_head(2, &(1_u64 << 62).to_be_bytes())].concat()
        }),
        ("payload-of-4-gib", "a payload that claims 4 GiB", {
            [&[0x83], kind, &wide_head(2, &[0xff; 4])].concat()
        }),
        ("cut-in-payload", "cut in the payload", good[..40].to_vec()),
        (
            "cut-before-signatures",
            "cut before the signatures",
            good[..good.len() - 78].to_vec(),
        ),
        (
            "cut-in-signature",
            "cut in the signature",
            good[..good.len() - 1].to_vec(),
        ),
        (
            "trailing-byte",
            "a byte after the signatures",
            [&good[..], &[0]].concat(),
        ),
        ("signatures-none", "no signature", signed(&[0x80], &[])),
        (
            "signatures-seventeen",
            "seventeen signatures",
            signed(&[0x91], &sixteen),
        ),
        (
            "signatures-claimed",
            "two signatures are claimed, one is there",
            signed(&[0x82], &[&entry]),
        ),
        (
            "signatures-head-longer",
            "a list of signatures with a longer head",
            { signed(&[0x98, 1], &[&entry]) },
        ),
        (
            "signatures-2-32",
            "four thousand million signatures are claimed",
            { signed(&wide_head(4, &[0xff; 4]), &[&entry]) },
        ),
        (
            "signature-entry-of-three",
            "an entry of three",
            changed(0, 0x83),
        ),
        (
            "signature-key-id-of-eight",
            "a key id of eight bytes",
            changed(1, 0x48),
        ),
        (
            "signature-of-65",
            "a signature of 65 bytes",
            changed(12, 0x41),
        ),
    ] {
        refuse(
            vectors,
            &format!("document/{name}"),
            shows,
            &document,
            "document-envelope",
        );
    }
}

/// An envelope piece by piece.
fn envelope(kind: &[u8], payload: &[u8], signatures: &[u8]) -> Vec<u8> {
    [
        &[0x83],
        kind,
        &head(2, payload.len() as u64),
        payload,
        signatures,
    ]
    .concat()
}

fn signatures(vectors: &mut Vectors) {
    let keyset = snakeoil::keyset().unsigned();
    let code = "signatures-missing";
    let payload = base::keyset_fields().encode();
    for (name, shows, document) in [
        (
            "signer-license-key",
            "a license key signs a keyset",
            Seed::License.sign(&keyset),
        ),
        (
            "signer-root-key",
            "a root key signs a keyset",
            Seed::Root.sign(&keyset),
        ),
        (
            "signer-status-key",
            "a status key signs a keyset",
            Seed::Status.sign(&keyset),
        ),
        (
            "signer-foreign",
            "a stranger signs a keyset",
            Seed::Foreign.sign(&keyset),
        ),
        ("signature-zeros", "a signature of zeros", {
            keyset.sealed(&[(Seed::Keyset.id(), [0; 64])])
        }),
        (
            "signature-of-other-domain",
            "signed as a catalog, sent as a keyset",
            {
                let signature = signature_of(DocumentKind::Catalog, payload.clone(), Seed::Keyset);
                sealed(
                    DocumentKind::Keyset,
                    payload.clone(),
                    &[(Seed::Keyset, signature)],
                )
            },
        ),
        (
            "signature-of-payload-alone",
            "signed over the payload without its domain",
            {
                let signature = sign(Seed::Keyset, &payload);
                sealed(
                    DocumentKind::Keyset,
                    payload.clone(),
                    &[(Seed::Keyset, signature)],
                )
            },
        ),
        (
            "key-id-borrowed",
            "a stranger's signature under the id of a trusted key",
            {
                let signature = signature_of(DocumentKind::Keyset, payload.clone(), Seed::Foreign);
                sealed(
                    DocumentKind::Keyset,
                    payload.clone(),
                    &[(Seed::Keyset, signature)],
                )
            },
        ),
    ] {
        refuse(vectors, &format!("document/{name}"), shows, &document, code);
    }
    let good = signature_of(DocumentKind::Keyset, payload.clone(), Seed::Keyset);
    let twice = [(Seed::Keyset, good), (Seed::Keyset, good)];
    let twice = sealed(DocumentKind::Keyset, payload.clone(), &twice);
    let shows = "one signature twice";
    refuse(
        vectors,
        "document/signature-twice",
        shows,
        &twice,
        "signature-duplicate",
    );
    let stranger = (Seed::Foreign, [9; 64]);
    let twice = [(Seed::Keyset, good), stranger, stranger];
    let twice = sealed(DocumentKind::Keyset, payload.clone(), &twice);
    let shows = "a stranger's id twice, beside enough good signatures";
    refuse(
        vectors,
        "document/signature-twice-of-stranger",
        shows,
        &twice,
        "signature-duplicate",
    );
    let more = sealed(
        DocumentKind::Keyset,
        payload,
        &[stranger, (Seed::Keyset, good)],
    );
    let shows = "a signature that does not hold beside one that does: it counts for nothing";
    let keyset = one_key_keyset();
    vectors.accept(
        "document/valid-extra-signature",
        shows,
        base::import(&more),
        taken(&keyset),
    );
}

fn sign(seed: Seed, message: &[u8]) -> [u8; 64] {
    ed25519_dalek::Signer::sign(&seed.signing_key(), message).to_bytes()
}

fn signature_of(kind: DocumentKind, payload: Vec<u8>, seed: Seed) -> [u8; 64] {
    let document = UnsignedDocument::with_payload(kind, payload);
    sign(seed, &document.message())
}

fn sealed(kind: DocumentKind, payload: Vec<u8>, signatures: &[(Seed, [u8; 64])]) -> Vec<u8> {
    let signatures = signatures
        .iter()
        .map(|(seed, signature)| (seed.id(), *signature));
    let document = UnsignedDocument::with_payload(kind, payload);
    document.sealed(&signatures.collect::<Vec<_>>())
}

fn sizes(vectors: &mut Vectors) {
    // An envelope is 1 + 5 bytes for the kind, a head of 3 for the payload, and 1 + 77.
    let payload = DocumentKind::Root.size_limit() - 87;
    let root = |length| {
        base::document(
            DocumentKind::Root,
            filled(&base::root_fields(), length),
            Seed::Root,
        )
    };
    let largest = root(payload);
    assert_eq!(
        largest.len(),
        DocumentKind::Root.size_limit(),
        "the largest root"
    );
    let check = Check::Anchor(hex(&largest));
    let shows = "a root of 16384 bytes";
    vectors.accept("root/valid-largest", shows, check, taken(&snakeoil::root()));
    let check = Check::Anchor(hex(&root(payload + 1)));
    vectors.refuse(
        "root/too-large",
        "a root of 16385 bytes",
        check,
        "document-too-large",
    );
    let mut keyset = b"\x83\x66keyset".to_vec();
    keyset.resize(DocumentKind::Keyset.size_limit() + 1, 0);
    let shows = "a byte more than the limit: refused before anything else is read";
    refuse(
        vectors,
        "keyset/too-large",
        shows,
        &keyset,
        "document-too-large",
    );
    let levels = [vec![0x81; 99_999], vec![0x80]].concat();
    let deep = base::catalog_fields()
        .ending(Item::negative(-1), Item::Raw(levels))
        .encode();
    let deep = base::document(DocumentKind::Catalog, deep, Seed::Keyset);
    let shows = "a hundred thousand levels of arrays, well signed";
    refuse(
        vectors,
        "catalog/nesting-100000",
        shows,
        &deep,
        "cbor-syntax",
    );
}

/// A payload of this many bytes: a good object and an extension that fills it.
fn filled(fields: &Fields, length: usize) -> Vec<u8> {
    let fill = |bytes: usize| {
        fields
            .clone()
            .ending(Item::negative(-1), Item::Bytes(vec![0; bytes]))
    };
    let fixed = fill(0x1_0000).encode().len() - 0x1_0000;
    if length < 0x1_0000 + fixed {
        fill(length + 2 - fixed).encode()
    } else {
        fill(length - fixed).encode()
    }
}
