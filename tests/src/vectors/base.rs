//! What every area starts from: a trust state, a good object of every kind field by field, and
//! ways to sign what is not good.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use phi_verify::{Claims, DocumentKind, UnsignedDocument, UnsignedToken};

use super::{Check, Outcome, TokenCheck, Trust, view::LicenseView};
use crate::{
    hex,
    item::{Fields, Item},
    snakeoil::{self, DAY, ISSUER, NOW, PRODUCT, START, Seed},
};

/// The anchor and these documents.
pub(super) fn trust_with(imports: &[&[u8]]) -> Trust {
    Trust {
        anchor: hex(&snakeoil::anchor()),
        imports: imports.iter().map(|document| hex(document)).collect(),
    }
}

/// The signed snakeoil keyset.
pub(super) fn keyset() -> Vec<u8> {
    Seed::Keyset.sign(&snakeoil::keyset().unsigned())
}

/// The anchor and the keyset.
pub(super) fn trust() -> Trust {
    trust_with(&[&keyset()])
}

/// A token on its way to a lenient verifier that has no status list.
pub(super) fn token_check(token: &str) -> TokenCheck {
    TokenCheck {
        trust: trust(),
        product: PRODUCT.into(),
        now: NOW.seconds(),
        policy: "lenient".into(),
        clock: "deny".into(),
        observed: Vec::new(),
        machine: None,
        token: token.into(),
        proofs: None,
        proof: None,
    }
}

pub(super) fn token(token: &str) -> Check {
    Check::Token(token_check(token))
}

/// A token with this body under a good signature.
pub(super) fn sealed(body: &[u8]) -> String {
    let token = UnsignedToken::with_body(Seed::License.id(), body).expect("the body is short");
    Seed::License.seal(&token)
}

/// A license as a verifier without a status list must read it.
pub(super) fn license(claims: &Claims) -> Outcome {
    Outcome::License(LicenseView::of_claims(claims, Seed::License.id()))
}

/// An import into the state of anchor and keyset.
pub(super) fn import(document: &[u8]) -> Check {
    import_into(trust(), document)
}

pub(super) fn import_into(trust: Trust, document: &[u8]) -> Check {
    Check::Import {
        trust,
        document: hex(document),
    }
}

/// A document with this payload under a good signature of this key.
pub(super) fn document(kind: DocumentKind, payload: Vec<u8>, seed: Seed) -> Vec<u8> {
    seed.sign(&UnsignedDocument::with_payload(kind, payload))
}

/// PASETO's pre-authentication encoding.
pub(super) fn pae(pieces: &[&[u8]]) -> Vec<u8> {
    let mut message = (pieces.len() as u64).to_le_bytes().to_vec();
    for piece in pieces {
        message.extend((piece.len() as u64).to_le_bytes());
        message.extend(*piece);
    }
    message
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token piece by piece, well signed whatever the pieces are.
#[derive(Clone, Debug)]
pub(super) struct RawToken {
    pub(super) prefix: &'static str,
    pub(super) payload: Vec<u8>,
    pub(super) footer: Vec<u8>,
    pub(super) assertion: &'static [u8],
    pub(super) signer: Seed,
}

impl RawToken {
    pub(super) fn of_claims(claims: &Claims) -> Self {
        let body = claims.encode().expect("the claims are good");
        let head = [&[0x82, 0x49][..], Seed::License.id().as_bytes()].concat();
        Self {
            prefix: "v4.public.",
            payload: b"{}".to_vec(),
            footer: [head, body].concat(),
            assertion: b"phi.license.v1",
            signer: Seed::License,
        }
    }

    pub(super) fn message(&self) -> Vec<u8> {
        let prefix = self.prefix.as_bytes();
        pae(&[prefix, &self.payload, &self.footer, self.assertion])
    }

    pub(super) fn sealed(&self) -> String {
        let signature = self.signer.signing_key().sign(&self.message()).to_bytes();
        self.with_signature(&signature)
    }

    pub(super) fn with_signature(&self, signature: &[u8; 64]) -> String {
        let signed = base64url(&[&self.payload[..], signature].concat());
        format!("{}{signed}.{}", self.prefix, base64url(&self.footer))
    }
}

/// The body of the snakeoil license, field by field.
pub(super) fn license_fields() -> Fields {
    let issued_at = START.plus(45 * DAY).seconds();
    let uint = Item::Uint;
    let quota = |code, amount, period| (uint(code), Item::Array(vec![amount, uint(period)]));
    let quotas = vec![quota(0, uint(100_000), 3), quota(1, Item::Bool(true), 0)];
    fields([
        (0, uint(1)),
        (1, Item::text(ISSUER)),
        (2, Item::text("globex")),
        (4, uint(issued_at + 365 * DAY)),
        (6, uint(issued_at)),
        (7, Item::bytes(b"snakeoil token 1")),
        (8, Item::text(PRODUCT)),
        (9, Item::text("pro")),
        (10, Item::bytes(&[7])),
        (11, Item::Map(quotas)),
        (12, Item::Map(vec![(uint(0), uint(25))])),
        (14, uint(14 * DAY)),
        (15, Item::Array(vec![Item::bytes(b"license1"), uint(1)])),
        (16, uint(1)),
        (19, uint(0)),
    ])
}

/// The payload of the snakeoil root.
pub(super) fn root_fields() -> Fields {
    fields([
        (0, Item::Uint(3)),
        (1, Item::text(ISSUER)),
        (2, Item::Uint(1)),
        (3, Item::Uint(START.seconds())),
        (4, role(1, &[Seed::Root])),
        (5, role(1, &[Seed::Keyset])),
        (6, role(1, &[Seed::Status])),
        (7, role(1, &[Seed::Ledger])),
    ])
}

/// `[threshold, [+ key]]`.
pub(super) fn role(threshold: u64, keys: &[Seed]) -> Item {
    let keys = keys
        .iter()
        .map(|seed| Item::bytes(seed.public().as_bytes()));
    Item::Array(vec![Item::Uint(threshold), Item::Array(keys.collect())])
}

/// The payload of a keyset of version 2 with one active key.
pub(super) fn keyset_fields() -> Fields {
    let active = [Item::Uint(1), Item::Uint(START.seconds())];
    fields([
        (0, Item::Uint(4)),
        (1, Item::text(ISSUER)),
        (2, Item::Uint(2)),
        (3, Item::Uint(START.plus(DAY).seconds())),
        (4, Item::Uint(1)),
        (
            5,
            Item::Array(vec![key_entry(Seed::License.public().as_bytes(), active)]),
        ),
    ])
}

/// `{0 => key, 1 => state, ? 2 => from, ? 3 => until}`, of as many values as are given.
pub(super) fn key_entry(key: &[u8], values: impl IntoIterator<Item = Item>) -> Item {
    let values = (1..)
        .zip(values)
        .map(|(key, value)| (Item::Uint(key), value));
    let entries = [(Item::Uint(0), Item::bytes(key))]
        .into_iter()
        .chain(values);
    Item::Map(entries.collect())
}

/// The payload of the snakeoil status list.
pub(super) fn status_fields() -> Fields {
    let status = snakeoil::status();
    let covered = status.covered_keys.iter();
    let covered = covered.map(|id| Item::bytes(id.as_bytes())).collect();
    let keyset = vec![Item::Uint(1), Item::bytes(&status.keyset.1)];
    fields([
        (0, Item::Uint(5)),
        (1, Item::text(ISSUER)),
        (2, Item::Uint(1)),
        (3, Item::Uint(START.plus(60 * DAY).seconds())),
        (4, Item::Uint(START.plus(90 * DAY).seconds())),
        (5, Item::Uint(START.plus(150 * DAY).seconds())),
        (6, Item::Array(keyset)),
        (8, Item::bytes(b"snakeoil salt 16")),
        (9, Item::Array(covered)),
        (10, Item::Array(Vec::new())),
        (11, Item::Array(Vec::new())),
    ])
}

/// The payload of a clock reset.
pub(super) fn clock_reset_fields() -> Fields {
    fields([
        (0, Item::Uint(8)),
        (1, Item::text(ISSUER)),
        (2, Item::bytes(b"snakeoil machine")),
        (3, Item::bytes(b"snakeoil nonce 1")),
        (4, Item::Uint(NOW.plus(7 * DAY).seconds())),
        (6, Item::Uint(NOW.plus(7 * DAY).seconds())),
    ])
}

/// The payload of a small catalog.
pub(super) fn catalog_fields() -> Fields {
    let name = |name: &str, unit: &str| {
        Item::Array(vec![
            Item::text(name),
            Item::text("A title"),
            Item::text(unit),
        ])
    };
    let plan = Item::Map(vec![(Item::Uint(10), Item::bytes(&[1]))]);
    let quota = Item::Array(vec![name("calls", "calls"), Item::Uint(3)]);
    fields([
        (0, Item::Uint(6)),
        (1, Item::text(ISSUER)),
        (2, Item::text(PRODUCT)),
        (3, Item::Uint(1)),
        (4, Item::Uint(START.seconds())),
        (5, Item::Map(vec![(Item::Uint(0), name("export", ""))])),
        (6, Item::Map(vec![(Item::Uint(0), quota)])),
        (7, Item::Map(vec![(Item::Uint(0), name("seats", "seats"))])),
        (8, Item::Map(vec![(Item::text("free"), plan)])),
    ])
}

fn fields(entries: impl IntoIterator<Item = (u64, Item)>) -> Fields {
    let entries = entries
        .into_iter()
        .map(|(key, value)| (Item::Uint(key), value));
    Fields(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two writers that share no code write the same bytes.
    #[test]
    fn the_fields_are_those_of_phi_verify() {
        assert_eq!(
            license_fields().encode(),
            snakeoil::claims().encode().expect("good")
        );
        let payload = |fields: Fields, kind, seed| document(kind, fields.encode(), seed);
        assert_eq!(
            payload(root_fields(), DocumentKind::Root, Seed::Root),
            snakeoil::anchor()
        );
        assert_eq!(
            payload(status_fields(), DocumentKind::Status, Seed::Status),
            Seed::Status.sign(&snakeoil::status().unsigned())
        );
    }
}
