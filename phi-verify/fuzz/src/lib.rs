//! What the targets share: the snakeoil issuer, whose every key is known, so that a fuzzer's
//! bytes reach the decoders behind the signature checks.

use std::sync::LazyLock;

use ed25519_dalek::{Signer, SigningKey};
use phi_verify::{
    DocumentKind, Imported, KeyId, RevocationPolicy, TrustState, UnsignedDocument, UnsignedToken,
    Verifier,
};

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
        DocumentKind::Status => &STATUS,
    };
    document.sealed(&[(signing.id, signing.key.sign(&document.message()).to_bytes())])
}

/// Signs any bytes as the body of a license; none if they are too many for a token.
pub fn token(body: &[u8]) -> Option<String> {
    let unsigned = UnsignedToken::with_body(LICENSE.id, body).ok()?;
    Some(unsigned.sealed(&LICENSE.key.sign(&unsigned.message()).to_bytes()))
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
