//! The wire form of a token: split and bounded here, and nothing in it believed.
//!
//! A token is a PASETO `v4.public` token whose payload is `{}` and whose signed footer is the
//! object (docs/spec.md, "Token").

use alloc::{string::String, vec, vec::Vec};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    error::Error,
    key::{KeyId, PublicKey},
    pae,
};

/// A token has at most this many characters: it fits an HTTP header and a QR code's capacity is
/// in sight, and a verifier's work on one token is bounded.
pub const MAX_TOKEN: usize = 4096;

const PREFIX: &str = "v4.public.";
const PAYLOAD: &[u8] = b"{}";
const SIGNATURE: usize = 64;
/// base64url characters of payload and signature.
const SIGNED_SEGMENT: usize = (PAYLOAD.len() + SIGNATURE) * 4 / 3;
/// CBOR array of two, byte string of nine: the key id stands at a fixed place.
const FOOTER_HEAD: [u8; 2] = [0x82, 0x49];
const BODY_AT: usize = FOOTER_HEAD.len() + KeyId::LENGTH;

/// Separates the kinds of token: PASETO's implicit assertion, signed and not sent.
const LICENSE_ASSERTION: &[u8] = b"phi.license.v1";

/// Where the footer stands in the signed message, after four lengths and three pieces.
const FOOTER_AT: usize = 8 + 8 + PREFIX.len() + 8 + PAYLOAD.len() + 8;
const MAX_FOOTER: usize = (MAX_TOKEN - PREFIX.len() - SIGNED_SEGMENT - 1) * 3 / 4;
const MAX_MESSAGE: usize = FOOTER_AT + MAX_FOOTER + 8 + LICENSE_ASSERTION.len();

/// A token that was split and decoded. It yields its key id and nothing else.
///
/// It lives on the stack: nothing is allocated for a token before its signature holds.
pub(crate) struct UntrustedToken {
    /// The signed message, with the footer decoded in its place.
    message: [u8; MAX_MESSAGE],
    footer_end: usize,
    signature: [u8; SIGNATURE],
}

impl UntrustedToken {
    /// Splits a token; nothing of its content is judged but the fixed head of the footer.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::TokenEmpty);
        }
        if text.len() > MAX_TOKEN {
            return Err(Error::TokenTooLong { length: text.len() });
        }
        let rest = text
            .as_bytes()
            .strip_prefix(PREFIX.as_bytes())
            .ok_or(Error::TokenPrefix)?;
        let (signed, footer) = rest
            .split_at_checked(SIGNED_SEGMENT)
            .ok_or(Error::TokenShape)?;
        let footer = footer.strip_prefix(b".").ok_or(Error::TokenShape)?;
        if footer.is_empty() || signed.contains(&b'.') || footer.contains(&b'.') {
            return Err(Error::TokenShape);
        }
        let mut token = Self {
            message: [0; MAX_MESSAGE],
            footer_end: 0,
            signature: decode_signed(signed)?,
        };
        token.decode_footer(footer)?;
        Ok(token)
    }

    fn decode_footer(&mut self, encoded: &[u8]) -> Result<(), Error> {
        let room = &mut self.message[FOOTER_AT..FOOTER_AT + MAX_FOOTER];
        let length = URL_SAFE_NO_PAD
            .decode_slice(encoded, room)
            .map_err(|_| Error::TokenEncoding)?;
        if length <= BODY_AT || room[..FOOTER_HEAD.len()] != FOOTER_HEAD {
            return Err(Error::TokenFooter);
        }
        self.footer_end = FOOTER_AT + length;
        Ok(())
    }

    /// The name of the key that should verify the token: a selector, not a statement.
    pub(crate) fn key_id(&self) -> KeyId {
        let mut id = [0; KeyId::LENGTH];
        id.copy_from_slice(&self.message[FOOTER_AT + FOOTER_HEAD.len()..FOOTER_AT + BODY_AT]);
        KeyId::from_bytes(id)
    }

    /// The body of a license token, if the signature holds under this key.
    pub(crate) fn verify_license(&mut self, key: &PublicKey) -> Result<&[u8], Error> {
        let footer = self.footer_end - FOOTER_AT;
        pae::write(&mut self.message, &[PREFIX.as_bytes(), PAYLOAD])
            .expect("the message has room for the header");
        // Four pieces are counted; the footer is already in its place behind its length.
        self.message[..8].copy_from_slice(&pae::length(4));
        self.message[FOOTER_AT - 8..FOOTER_AT].copy_from_slice(&pae::length(footer));
        let (_, tail) = self.message.split_at_mut(self.footer_end);
        tail[..8].copy_from_slice(&pae::length(LICENSE_ASSERTION.len()));
        tail[8..8 + LICENSE_ASSERTION.len()].copy_from_slice(LICENSE_ASSERTION);
        let end = self.footer_end + 8 + LICENSE_ASSERTION.len();
        if !key.verify(&self.message[..end], &self.signature) {
            return Err(Error::SignatureInvalid);
        }
        Ok(&self.message[FOOTER_AT + BODY_AT..self.footer_end])
    }

    /// The body, whoever signed it.
    #[cfg(feature = "inspect")]
    pub(crate) fn dangerous_body(&self) -> &[u8] {
        &self.message[FOOTER_AT + BODY_AT..self.footer_end]
    }
}

fn decode_signed(segment: &[u8]) -> Result<[u8; SIGNATURE], Error> {
    let mut signed = [0; PAYLOAD.len() + SIGNATURE];
    URL_SAFE_NO_PAD
        .decode_slice(segment, &mut signed)
        .map_err(|_| Error::TokenEncoding)?;
    let (payload, signature) = signed.split_at(PAYLOAD.len());
    if payload != PAYLOAD {
        return Err(Error::TokenPayload);
    }
    Ok(signature.try_into().expect("the rest is the signature"))
}

/// A license token before it is signed: what an issuer signs and seals.
#[derive(Clone, Debug)]
pub struct UnsignedToken {
    footer: Vec<u8>,
}

impl UnsignedToken {
    /// A license token of these claims, to be signed by the key that `key_id` names.
    ///
    /// # Errors
    /// [`Error::License`] if the claims break a rule of the format, and [`Error::TokenTooLong`].
    pub fn license(key_id: KeyId, claims: &crate::Claims) -> Result<Self, Error> {
        Self::with_body(key_id, &claims.encode().map_err(Error::License)?)
    }

    /// A license token with any bytes as its body, to test what a verifier refuses.
    ///
    /// # Errors
    /// [`Error::TokenTooLong`].
    pub fn with_body(key_id: KeyId, body: &[u8]) -> Result<Self, Error> {
        let mut footer = Vec::with_capacity(BODY_AT + body.len());
        footer.extend_from_slice(&FOOTER_HEAD);
        footer.extend_from_slice(key_id.as_bytes());
        footer.extend_from_slice(body);
        let length = PREFIX.len() + SIGNED_SEGMENT + 1 + (footer.len() * 4).div_ceil(3);
        if length > MAX_TOKEN {
            Err(Error::TokenTooLong { length })
        } else {
            Ok(Self { footer })
        }
    }

    /// The bytes to sign with pure Ed25519.
    pub fn message(&self) -> Vec<u8> {
        let pieces = [PREFIX.as_bytes(), PAYLOAD, &self.footer, LICENSE_ASSERTION];
        let mut message = vec![0; pae::size(&pieces)];
        pae::write(&mut message, &pieces).expect("the buffer has the size of the pieces");
        message
    }

    /// The token with its signature, as text.
    pub fn sealed(&self, signature: &[u8; SIGNATURE]) -> String {
        let mut signed = Vec::with_capacity(PAYLOAD.len() + SIGNATURE);
        signed.extend_from_slice(PAYLOAD);
        signed.extend_from_slice(signature);
        let mut token = String::from(PREFIX);
        URL_SAFE_NO_PAD.encode_string(signed, &mut token);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(&self.footer, &mut token);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verifier lays the message out by offsets, the issuer by pieces: they must agree.
    #[test]
    fn offsets_agree_with_the_pieces() {
        let id = KeyId::from_bytes(*b"nine byte");
        let unsigned = UnsignedToken::with_body(id, b"body").expect("short");
        let mut token = UntrustedToken::parse(&unsigned.sealed(&[7; 64])).expect("well formed");
        assert_eq!(token.key_id(), id);
        let key = PublicKey::from_bytes(&crate::tests::snakeoil(1).verifying_key().to_bytes())
            .expect("a good key");
        assert_eq!(token.verify_license(&key), Err(Error::SignatureInvalid));
        let message = unsigned.message();
        assert_eq!(&token.message[..message.len()], &message[..]);
    }
}
