//! Reads objects that nobody verified, to explain them to a person.
//!
//! Nothing here is to be believed: anyone can write these bytes. It is apart, behind a feature,
//! so that no application reads a license without verifying it.

use crate::{
    Catalog, Claims, ClockReset, Error, KeyId, Keyset, Root, Status, UntrustedDocument,
    document::DocumentKind, token::UntrustedToken,
};

/// What a token says, whoever wrote it.
///
/// # Errors
/// Why the token does not decode.
pub fn token(text: &str) -> Result<(KeyId, Claims), Error> {
    let token = UntrustedToken::parse(text)?;
    let claims = Claims::decode(token.dangerous_body()).map_err(Error::License)?;
    Ok((token.key_id(), claims))
}

/// What a document says, whoever wrote it.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, to be shown"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// A root document.
    Root(Root),
    /// A keyset.
    Keyset(Keyset),
    /// A status document.
    Status(Status),
    /// A catalog.
    Catalog(Catalog),
    /// A clock reset.
    ClockReset(ClockReset),
}

/// What a document says, whoever wrote it.
///
/// # Errors
/// Why the document does not decode.
pub fn document(bytes: &[u8]) -> Result<Document, Error> {
    let document = UntrustedDocument::parse(bytes)?;
    payload(document.kind(), document.unverified_payload())
}

/// What the payload of a document says before anybody signs it.
///
/// # Errors
/// Why the payload does not decode.
pub fn payload(kind: DocumentKind, payload: &[u8]) -> Result<Document, Error> {
    Ok(match kind {
        DocumentKind::Root => Document::Root(Root::decode(payload)?),
        DocumentKind::Keyset => Document::Keyset(Keyset::decode(payload)?),
        DocumentKind::Status => Document::Status(Status::decode(payload)?),
        DocumentKind::Catalog => Document::Catalog(Catalog::decode(payload)?),
        DocumentKind::ClockReset => Document::ClockReset(ClockReset::decode(payload)?),
    })
}
