//! Writes the seeds of every target: `cargo run --example seeds` in `phi-verify/fuzz`.
//!
//! The same program writes the same bytes, so a change of format shows as a change of seeds.

use std::path::Path;
use std::{fs, io};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use phi_verify::{
    Binding, BundleBuilder, DocumentKind, Extension, Fingerprint, FlagCode, Form, KeyState, Keyset,
    LicenseId, LicenseKey, ListId, Minimum, Reason, Rule, Scope, Sections, Status, Subject,
    TokenId, armor,
    filter::Filter,
    log::{ConsistencyProof, Hash, Leaf, Proof},
};
use sha2::{Digest as _, Sha256};

use phi_verify_fuzz::{checkpoint, leaf_hash, seal, snakeoil, token, tree_root};

fn main() -> io::Result<()> {
    tokens()?;
    documents()?;
    scoped()?;
    bundle()?;
    log()?;
    filters()?;
    let keyset = seal(DocumentKind::Keyset, &snakeoil::keyset().unsigned());
    let word = armor::document_to_text(&keyset).expect("a document");
    seed("armor", "word", word.as_bytes())?;
    seed("armor", "wrapped", armor::wrap("KEYSET", &word).as_bytes())?;
    let request = fingerprint().to_request().expect("two components");
    seed("fingerprint", "text", request.as_bytes())?;
    let object = request
        .strip_prefix("phi.fingerprint.")
        .expect("the prefix of a request");
    let object = URL_SAFE_NO_PAD.decode(object).expect("base64url");
    seed("fingerprint", "object", &object[..object.len() - 4])
}

fn tokens() -> io::Result<()> {
    let mut claims = snakeoil::claims();
    let body = claims.encode().expect("well formed");
    seed("token", "body", &body)?;
    seed("token", "text", token(&body).expect("short").as_bytes())?;
    claims.binding = Some(Binding::new(&fingerprint(), 1).expect("one of two"));
    (claims.expires, claims.grace) = (None, 0);
    claims.minimum = Minimum {
        keyset: 1,
        status: 0,
    };
    claims.max_status_age = Some(400 * snakeoil::DAY);
    claims
        .extensions
        .insert(-1, Extension::List(vec![Extension::Bool(true)]));
    seed(
        "token",
        "body-bound-perpetual",
        &claims.encode().expect("well formed"),
    )
}

fn documents() -> io::Result<()> {
    let mut root = snakeoil::root();
    root.version = 2;
    let documents = [
        (DocumentKind::Root, root.unsigned()),
        (DocumentKind::Keyset, snakeoil::keyset().unsigned()),
        (DocumentKind::Status, revoking().unsigned()),
        (DocumentKind::Catalog, snakeoil::catalog().unsigned()),
    ];
    for (kind, unsigned) in documents {
        let document = seal(kind, &unsigned);
        seed(kind.name(), "document", &document)?;
        seed(kind.name(), "payload", &payload(&document))?;
    }
    let document = seal(DocumentKind::Status, &delta().unsigned());
    seed("status", "payload-delta", &payload(&document))?;
    let reset = snakeoil::clock_reset().unsigned();
    let document = seal(DocumentKind::ClockReset, &reset);
    seed("clock_reset", "document", &document)?;
    seed("clock_reset", "payload", &payload(&document))?;
    state(&document)
}

/// A stored state that has seen a bit of everything.
fn state(reset: &[u8]) -> io::Result<()> {
    let mut trust = snakeoil::trust().with_installation(snakeoil::MACHINE);
    let status = seal(DocumentKind::Status, &revoking().unsigned());
    let catalog = seal(DocumentKind::Catalog, &snakeoil::catalog().unsigned());
    let base = revoking();
    let mut upon = delta();
    upon.rules.clone_from(&base.rules);
    if let Form::Delta { base: named, .. } = &mut upon.form {
        named.hash = base.unsigned().payload_hash();
    }
    let upon = seal(DocumentKind::Status, &upon.unsigned());
    for document in [status, upon, catalog] {
        trust.import(&document).expect("the document is signed");
    }
    trust
        .reset_clock(reset, snakeoil::NOW)
        .expect("the reset is for this installation");
    for days in [0, 200, 0] {
        trust.observe(snakeoil::NOW.plus(days * snakeoil::DAY));
    }
    trust.observe(snakeoil::START);
    let bytes = trust.to_bytes();
    let envelope: Value = ciborium::from_reader(&bytes[..]).expect("a state is CBOR");
    let items = envelope.into_array().expect("a state is an array");
    seed("state", "stored", &bytes)?;
    seed(
        "state",
        "body",
        items[2].as_bytes().expect("a body is bytes"),
    )
}

/// A key with a scope, and a revoked one with a cut.
fn scoped() -> io::Result<()> {
    let flags = [0, 9].map(FlagCode::new).into_iter().collect();
    let products = [(snakeoil::PRODUCT.into(), Some(flags)), ("b".into(), None)];
    let scope = Scope {
        products: products.into(),
        longest: Some(400 * snakeoil::DAY),
    };
    let key = |seed: snakeoil::Seed, state| LicenseKey {
        key: seed.public(),
        state,
        scope: scope.clone(),
    };
    let from = snakeoil::START;
    let keys = vec![
        key(snakeoil::Seed::License, KeyState::Active { from }),
        key(snakeoil::Seed::Revoked, KeyState::Revoked { cut: Some(9) }),
    ];
    let keyset = Keyset::new(snakeoil::ISSUER.into(), 1, from, 1, keys).expect("two keys");
    let document = seal(DocumentKind::Keyset, &keyset.unsigned());
    seed("keyset", "payload-scoped", &payload(&document))
}

/// A part of every kind, and a keyset's payload behind the version that a bundle states.
fn bundle() -> io::Result<()> {
    let mut builder = BundleBuilder::new();
    let keyset = seal(DocumentKind::Keyset, &snakeoil::keyset().unsigned());
    let catalog = seal(DocumentKind::Catalog, &snakeoil::catalog().unsigned());
    let status = seal(DocumentKind::Status, &snakeoil::status().unsigned());
    for document in [&snakeoil::anchor(), &keyset, &catalog, &status] {
        builder.document(document).expect("a good document");
    }
    let body = snakeoil::claims().encode().expect("well formed");
    let token = token(&body).expect("short");
    let note = checkpoint(5, tree_root(5));
    let proof = Proof::new(0, Vec::new(), Some(Hash::EMPTY), &note).expect("no hashes");
    builder.token(&token, Some(&proof));
    builder.growth(&ConsistencyProof::new(0, Vec::new(), &note).expect("no hashes"));
    seed("bundle", "full", &builder.build().expect("few parts"))?;
    let stated = [&[1], &payload(&keyset)[..]].concat();
    seed("bundle", "stated", &stated)
}

/// The texts of the log: the log of three leaves that grew to five, and a token's proof.
fn log() -> io::Result<()> {
    let with_subject = Leaf::of_token("v4.public.fuzz", Hash::EMPTY);
    let without = Leaf {
        subject: None,
        ..with_subject.clone()
    };
    seed("leaf", "subject", &with_subject.encode())?;
    seed("leaf", "null", &without.encode())?;
    let note = checkpoint(5, tree_root(5));
    let (text, _) = note.split_once("\n\n").expect("a note has an empty line");
    for target in ["note", "checkpoint"] {
        seed(target, "signed", note.as_bytes())?;
        seed(target, "text", format!("{text}\n").as_bytes())?;
    }
    let pair = Hash::node(leaf_hash(0), leaf_hash(1));
    let path = vec![leaf_hash(2), leaf_hash(3), pair, leaf_hash(4)];
    let growth = ConsistencyProof::new(3, path.clone(), &note).expect("four hashes");
    seed("consistency_proof", "growth", growth.to_text().as_bytes())?;
    let proof = |path| Proof::new(0, path, Some(Hash::EMPTY), &note).expect("few hashes");
    seed(
        "token_proof",
        "alone",
        proof(Vec::new()).to_text().as_bytes(),
    )?;
    seed("token_proof", "path", proof(path).to_text().as_bytes())
}

/// A filter of each form, its kind in front. What they list is nobody's.
fn filters() -> io::Result<()> {
    let noise = |count| {
        let blocks = (0..).flat_map(|number: u32| Sha256::digest(number.to_be_bytes()));
        blocks.take(count).collect::<Vec<_>>()
    };
    let two_layers = [2, 1, 2, 24, 3, 9, 1];
    let two_shards = [3, 0, 2, 2, 70, 5, 0x84, 3, 6, 70, 7, 0x84, 3, 8];
    for (name, body) in [
        ("exact", [&[0][..], &[1; 8], &[2; 8]].concat()),
        ("bloom", [&[1, 40, 3][..], &noise(5)].concat()),
        (
            "cascade",
            [&two_layers[..], &noise(4), &[1, 1, 0xac, 2]].concat(),
        ),
        ("cascade-tail", vec![2, 0, 0, 1, 7]),
        (
            "ribbon",
            [&[3, 1, 3, 1, 2, 9, 4, 1][..], &noise(3 * 2 + 4)].concat(),
        ),
        (
            "ribbon-shards",
            [&two_shards[..], &noise(2 * (2 * 70 + 388))].concat(),
        ),
    ] {
        seed("filter", name, &body)?;
    }
    Ok(())
}

/// A status with a rule of each class and a token on its list.
fn revoking() -> Status {
    let mut status = snakeoil::status();
    let subjects = [
        Subject::License(LicenseId::from_bytes([8; 8])),
        Subject::Customer([7; 16]),
        Subject::Key(snakeoil::Seed::Retired.id()),
        Subject::Feature(snakeoil::PRODUCT.into(), FlagCode::new(1)),
    ];
    let rule = |subject| Rule {
        subject,
        issued_before: Some(snakeoil::NOW),
        reason: Reason::Unspecified,
        since: snakeoil::START,
        ends: None,
    };
    status.rules = subjects.map(rule).into();
    status.revoked = Sections::exact(&status.salt(), [TokenId::from_bytes([1; 16])]);
    status
}

/// A delta to the snakeoil list, with a section of every class, in two forms.
fn delta() -> Status {
    let base = snakeoil::status();
    let exact = |byte| Filter::parse(0, &[byte; 8]).expect("a prefix");
    let bloom = |byte| Filter::parse(1, &[8, 2, byte]).expect("eight bits and two probes");
    let sections = |byte| Sections {
        tokens: Some(exact(byte)),
        licenses: Some(bloom(byte)),
    };
    let rule = |subject, ends| Rule {
        subject,
        issued_before: None,
        reason: Reason::Suspended,
        since: snakeoil::START,
        ends,
    };
    let license = Subject::License(LicenseId::from_bytes([8; 8]));
    Status {
        epoch: 2,
        form: Form::Delta {
            base: ListId {
                epoch: 1,
                hash: base.unsigned().payload_hash(),
            },
            full: [7; 32],
            removed: sections(0x11),
        },
        rules: vec![rule(license, Some(snakeoil::NOW))],
        revoked: sections(0x81),
        unrevoked: vec![
            Subject::Key(snakeoil::Seed::Retired.id()),
            Subject::Feature(snakeoil::PRODUCT.into(), FlagCode::new(1)),
        ],
        ..base
    }
}

fn fingerprint() -> Fingerprint {
    Fingerprint::new("editor")
        .with("machine-id", "0123")
        .with("board", "4567")
}

/// The payload of a document: the second item of its envelope.
fn payload(document: &[u8]) -> Vec<u8> {
    let envelope: Value = ciborium::from_reader(document).expect("a document is CBOR");
    let items = envelope.into_array().expect("an envelope is an array");
    items[1].as_bytes().expect("a payload is bytes").clone()
}

fn seed(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
