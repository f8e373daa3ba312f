//! What the targets share: the snakeoil issuer, whose every key is known, so that a fuzzer's
//! bytes reach the decoders behind the signature checks.

use std::sync::LazyLock;

use ciborium::Value;
use ed25519_dalek::{Signer, SigningKey};
use phi_verify::{
    DocumentKind, Error, Imported, KeyId, PublicKey, RevocationPolicy, TrustState,
    UnsignedDocument, UnsignedToken, Verifier,
    log::{Hash, Origin, UnsignedCheckpoint, UnsignedNote},
};

use sha2::{Digest as _, Sha256};

// The file, not its package: that one depends on the issuer, of which nothing is fuzzed here.
#[path = "../../../tests/src/snakeoil.rs"]
pub mod snakeoil;

use snakeoil::Seed;

/// A key with its id, which takes longer to compute than a signature.
struct Signing {
    key: SigningKey,
    id: KeyId,
}

impl Signing {
    fn of(seed: Seed) -> Self {
        Self {
            key: seed.signing_key(),
            id: seed.id(),
        }
    }
}

static ROOT: LazyLock<Signing> = LazyLock::new(|| Signing::of(Seed::Root));
static KEYSET: LazyLock<Signing> = LazyLock::new(|| Signing::of(Seed::Keyset));
static STATUS: LazyLock<Signing> = LazyLock::new(|| Signing::of(Seed::Status));
static LEDGER: LazyLock<(PublicKey, SigningKey)> =
    LazyLock::new(|| (Seed::Ledger.public(), Seed::Ledger.signing_key()));
static LICENSE: LazyLock<Signing> = LazyLock::new(|| Signing::of(Seed::License));

/// Everything a verifier can hold: the catalog aside, which no license check reads.
static TRUST: LazyLock<TrustState> = LazyLock::new(|| {
    let mut trust = snakeoil::trust();
    let status = snakeoil::status().unsigned();
    trust
        .import(&seal(DocumentKind::Status, &status))
        .expect("the status is signed");
    trust
});

/// Signs a document as its role does.
pub fn seal(kind: DocumentKind, document: &UnsignedDocument) -> Vec<u8> {
    let signing = match kind {
        DocumentKind::Root => &ROOT,
        DocumentKind::Keyset | DocumentKind::Catalog => &KEYSET,
        DocumentKind::Status | DocumentKind::ClockReset => &STATUS,
    };
    document.sealed(&[(signing.id, signing.key.sign(&document.message()).to_bytes())])
}

/// Signs any bytes as the body of a license; none if they are too many for a token.
pub fn token(body: &[u8]) -> Option<String> {
    let unsigned = UnsignedToken::with_body(LICENSE.id, body).ok()?;
    Some(unsigned.sealed(&LICENSE.key.sign(&unsigned.message()).to_bytes()))
}

/// The name of the snakeoil issuer's log.
pub fn origin() -> Origin {
    Origin::of_issuer(snakeoil::ISSUER)
}

/// The ledger's key with its signature over these bytes.
pub fn ledger_signature(message: &[u8]) -> (PublicKey, [u8; 64]) {
    let (public, key) = &*LEDGER;
    (public.clone(), key.sign(message).to_bytes())
}

/// Any text as a note of the log; none if it is not a note's text.
pub fn signed_note(text: &str) -> Option<String> {
    let unsigned = UnsignedNote::new(origin().to_string(), text.into()).ok()?;
    Some(unsigned.sealed(&[ledger_signature(unsigned.message())]))
}

/// A signed checkpoint of the log.
///
/// # Panics
/// If the size is beyond that of any log.
pub fn checkpoint(size: u64, root: Hash) -> String {
    let unsigned = UnsignedCheckpoint::new(&origin(), size, root).expect("a size of a log");
    unsigned.sealed(&[ledger_signature(unsigned.message())])
}

/// The hash of leaf `n` of the log that is fuzzed.
pub fn leaf_hash(n: u64) -> Hash {
    Hash::leaf(&n.to_be_bytes())
}

/// The root of the first `size` leaves, for the sizes that the targets have.
///
/// # Panics
/// For other sizes.
pub fn tree_root(size: u64) -> Hash {
    let pair = |n| Hash::node(leaf_hash(n), leaf_hash(n + 1));
    match size {
        2 => pair(0),
        3 => Hash::node(pair(0), leaf_hash(2)),
        5 => Hash::node(Hash::node(pair(0), pair(2)), leaf_hash(4)),
        other => panic!("no target has a log of {other} leaves"),
    }
}

/// A verifier that trusts the snakeoil issuer.
pub fn verifier() -> Verifier<'static> {
    Verifier::new(&TRUST, snakeoil::PRODUCT, RevocationPolicy::Lenient)
}

/// Imports `bytes` as they are, then as the payload of a document of this kind that the right
/// key has signed.
///
/// # Panics
/// If the document changes the state and is refused, or is accepted and then not known.
pub fn import_both_ways(kind: DocumentKind, bytes: &[u8], before: &TrustState) {
    let _ = phi_verify::dangerous_inspect::document(bytes);
    import(bytes, before);
    let unsigned = UnsignedDocument::with_payload(kind, bytes.to_vec());
    import(&seal(kind, &unsigned), before);
}

fn import(document: &[u8], before: &TrustState) {
    let mut trust = before.clone();
    match trust.import(document) {
        Ok(Imported::Updated(kind)) => {
            let after = trust.clone();
            assert_eq!(trust.import(document), Ok(Imported::Unchanged(kind)));
            assert_eq!(trust, after);
        }
        Ok(Imported::Unchanged(_)) | Err(_) => assert_eq!(&trust, before),
    }
}

/// Applies `bytes` as a clock reset as they are, then as the payload of one that the right key
/// has signed.
///
/// # Panics
/// If a reset changes the state and is refused, or is taken twice.
pub fn reset_both_ways(bytes: &[u8]) {
    let _ = phi_verify::dangerous_inspect::document(bytes);
    let unsigned = UnsignedDocument::with_payload(DocumentKind::ClockReset, bytes.to_vec());
    for document in [bytes, &seal(DocumentKind::ClockReset, &unsigned)] {
        let mut trust = TRUST.clone().with_installation(snakeoil::MACHINE);
        let before = trust.clone();
        match trust.reset_clock(document, snakeoil::NOW) {
            Ok(_) => {
                let again = trust.reset_clock(document, snakeoil::NOW);
                assert_eq!(again, Err(Error::ClockResetUsed));
            }
            Err(_) => assert_eq!(trust, before),
        }
    }
}

/// Reads `bytes` as a stored state: what is read is written again as the same bytes and comes to
/// the same state.
///
/// # Panics
/// If a state that was read is not what it was when it is read once more.
pub fn restore(bytes: &[u8]) {
    let anchor = snakeoil::anchor();
    if let Ok(restored) = TrustState::from_bytes(&anchor, bytes) {
        let again = TrustState::from_bytes(&anchor, &restored.trust.to_bytes());
        let again = again.expect("a state that was written");
        assert_eq!(again.refused, []);
        assert_eq!(again.trust, restored.trust);
    }
}

/// A stored state with this body, under the hash that goes with it.
pub fn stored(body: &[u8]) -> Vec<u8> {
    let hash = Sha256::new()
        .chain_update(b"phi-state\0")
        .chain_update(1_u64.to_be_bytes())
        .chain_update(body)
        .finalize();
    let envelope = Value::Array(vec![
        1.into(),
        Value::Bytes(hash.to_vec()),
        Value::Bytes(body.to_vec()),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&envelope, &mut bytes).expect("memory takes every byte");
    bytes
}

/// The state of an application that has its anchor alone.
pub fn anchor_only() -> TrustState {
    TrustState::from_anchor(&snakeoil::anchor()).expect("the anchor is signed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_license_is_accepted() {
        let claims = snakeoil::claims();
        let token = token(&claims.encode().expect("well formed")).expect("short");
        let license = verifier().verify(&token, snakeoil::NOW).expect("valid");
        assert_eq!(license.claims(), &claims);
    }
}
