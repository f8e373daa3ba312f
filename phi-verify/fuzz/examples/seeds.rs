//! Writes the seeds of every target: `cargo run --example seeds` in `phi-verify/fuzz`.
//!
//! The same program writes the same bytes, so a change of format shows as a change of seeds.

use std::path::Path;
use std::{fs, io};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use phi_verify::{Binding, DocumentKind, Fingerprint, armor};
use phi_verify_fuzz::{WORLD, catalog, claims, keyset, root, seal, status, token, with_keyset};

fn main() -> io::Result<()> {
    let body = claims().encode().expect("well formed");
    seed("token", "body", &body)?;
    seed("token", "text", token(&body).expect("short").as_bytes())?;
    let mut bound = claims();
    bound.binding = Some(Binding::new(&fingerprint(), 1).expect("one of two"));
    bound.expires = None;
    bound.grace = 0;
    seed(
        "token",
        "body-bound-perpetual",
        &bound.encode().expect("well formed"),
    )?;

    let next = seal(DocumentKind::Root, &root(2).unsigned());
    let documents = [
        ("root", next),
        ("keyset", seal(DocumentKind::Keyset, &keyset(2).unsigned())),
        (
            "status",
            seal(DocumentKind::Status, &status(&with_keyset()).unsigned()),
        ),
        (
            "catalog",
            seal(DocumentKind::Catalog, &catalog().unsigned()),
        ),
    ];
    for (target, document) in &documents {
        seed(target, "document", document)?;
        seed(target, "payload", &payload(document))?;
    }

    let word = armor::document_to_text(&WORLD.keyset).expect("a document");
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
