//! The bundle: a file in which everything that an application is to import travels together.
//!
//! A bundle is not signed. What is in it is trusted for its own signatures alone, and what the
//! bundle says of a part must be what was signed (docs/spec.md, "Bundle"). `builder.rs` writes
//! bundles, `import.rs` gives one to a trust state; tokens are left to the application.

mod builder;
mod import;

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;

pub use self::{
    builder::BundleBuilder,
    import::{PartOutcome, PartReport},
};
use crate::{
    UnixTime,
    cbor::{self, Fields, Item},
    document::DocumentKind,
    error::{Error, Malformed},
    log::LogState,
    root::Root,
    verifier::{License, Verifier},
};

/// A bundle has at most this many bytes: three times the largest documents of every kind, for
/// catalogs, tokens and proofs. The bound on work before anything is looked at.
pub const MAX_BUNDLE: usize = 16 << 20;

/// A bundle has at most this many roots: five years of a root a month. An application that is
/// further behind takes two bundles.
pub const MAX_ROOT_CHAIN: usize = 64;

/// A bundle has catalogs of at most this many products: each costs a check of its signatures.
pub const MAX_BUNDLE_CATALOGS: usize = 256;

/// A bundle has at most this many tokens: as many as fit with the shortest proofs.
pub const MAX_BUNDLE_TOKENS: usize = 1 << 15;

/// Field 0.
const KIND: u64 = 9;

mod field {
    pub(super) const ROOTS: u64 = 1;
    pub(super) const KEYSET: u64 = 2;
    pub(super) const STATUS: u64 = 3;
    pub(super) const CATALOGS: u64 = 4;
    pub(super) const TOKENS: u64 = 5;
    pub(super) const GROWTH: u64 = 6;
}

/// A bundle that was split. Nothing in it is believed: documents are imported by
/// [`TrustState::import_bundle`](crate::TrustState::import_bundle), tokens verified after that.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    parts: Vec<Part<'a>>,
    tokens: Vec<BundledToken<'a>>,
    growth: Option<&'a str>,
}

/// A document in a bundle, with what the bundle says of it.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    kind: DocumentKind,
    product: Option<&'a str>,
    version: u64,
    document: &'a [u8],
}

/// Which document a part of a bundle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartName {
    /// The kind of document.
    pub kind: DocumentKind,
    /// The product, of a catalog.
    pub product: Option<String>,
    /// The root's or keyset's version, the status list's epoch, the catalog's revision.
    pub version: u64,
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(product) = &self.product {
            write!(f, " of {product:?}")?;
        }
        write!(f, " version {}", self.version)
    }
}

/// A token in a bundle, with its proof if it came with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundledToken<'a> {
    token: &'a str,
    proof: Option<&'a str>,
}

impl<'a> BundledToken<'a> {
    /// The token.
    pub const fn token(&self) -> &'a str {
        self.token
    }

    /// The text of its proof.
    pub const fn proof(&self) -> Option<&'a str> {
        self.proof
    }

    /// Checks the token, with its proof if it came with one.
    ///
    /// # Errors
    /// Those of [`Verifier::verify_with_proof`].
    pub fn verify(&self, verifier: &Verifier<'_>, now: UnixTime) -> Result<License, Error> {
        verifier.check(self.token, self.proof, now)
    }
}

impl<'a> Bundle<'a> {
    /// Splits a bundle. Its documents are not read.
    ///
    /// # Errors
    /// [`Error::BundleTooLarge`] or [`Error::Bundle`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BUNDLE {
            let length = bytes.len();
            return Err(Error::BundleTooLarge { length });
        }
        Self::split(bytes).map_err(Error::Bundle)
    }

    fn split(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(bytes, KIND)?;
        let mut parts = Vec::new();
        if let Some(roots) = fields.take(field::ROOTS) {
            parts = decode_roots(roots)?;
        }
        for (key, kind) in [
            (field::KEYSET, DocumentKind::Keyset),
            (field::STATUS, DocumentKind::Status),
        ] {
            if let Some(item) = fields.take(key) {
                parts.push(Part::decode(kind, None, item, key)?);
            }
        }
        if let Some(catalogs) = fields.take(field::CATALOGS) {
            decode_catalogs(catalogs, &mut parts)?;
        }
        let tokens = match fields.take(field::TOKENS) {
            Some(tokens) => decode_tokens(tokens)?,
            None => Vec::new(),
        };
        let growth = fields.take(field::GROWTH);
        let growth = growth.map(|text| cbor::any_text(text, field::GROWTH));
        let growth = growth.transpose()?;
        fields.extensions()?;
        Ok(Self {
            parts,
            tokens,
            growth,
        })
    }

    /// What the bundle says that its documents are, in the order in which they are imported.
    pub fn parts(&self) -> impl Iterator<Item = PartName> + '_ {
        self.parts.iter().map(Part::name)
    }

    /// The tokens, in the order in which they stand.
    pub fn tokens(&self) -> &[BundledToken<'a>] {
        &self.tokens
    }

    /// The text of the proof that the log grew, with its newest checkpoint, if the bundle has one.
    pub const fn growth(&self) -> Option<&'a str> {
        self.growth
    }

    /// What an application remembers of the log after this bundle: `held` brought forward, or the
    /// bundle's checkpoint if nothing is remembered yet. Without a checkpoint in the bundle it is
    /// what was held.
    ///
    /// # Errors
    /// Those of [`LogState::advance`]; what was held stays good then.
    pub fn advance(&self, held: Option<&LogState>, root: &Root) -> Result<Option<LogState>, Error> {
        match (self.growth, held) {
            (None, held) => Ok(held.cloned()),
            (Some(growth), Some(held)) => held.advance(growth, root).map(Some),
            (Some(growth), None) => LogState::begin_at(growth, root).map(Some),
        }
    }
}

impl<'a> Part<'a> {
    /// `[version, document]`.
    fn decode(
        kind: DocumentKind,
        product: Option<&'a str>,
        item: Item<'a>,
        key: u64,
    ) -> Result<Self, Malformed> {
        let [version, document] = cbor::array(item, key)?;
        Ok(Self {
            kind,
            product,
            version: cbor::positive(version, key)?,
            document: cbor::bytes(document, key)?,
        })
    }

    fn name(&self) -> PartName {
        PartName {
            kind: self.kind,
            product: self.product.map(|product| product.to_string()),
            version: self.version,
        }
    }
}

fn decode_roots(item: Item<'_>) -> Result<Vec<Part<'_>>, Malformed> {
    let key = field::ROOTS;
    let mut roots: Vec<Part<'_>> = Vec::new();
    for item in cbor::list(item, key)?.iter() {
        let root = Part::decode(DocumentKind::Root, None, item, key)?;
        if roots
            .last()
            .is_some_and(|last| last.version >= root.version)
        {
            let problem = "has roots that do not ascend";
            return Err(Malformed::Field { key, problem });
        }
        bounded(roots.len(), MAX_ROOT_CHAIN, key)?;
        roots.push(root);
    }
    not_empty(roots.is_empty(), key)?;
    Ok(roots)
}

fn decode_catalogs<'a>(item: Item<'a>, parts: &mut Vec<Part<'a>>) -> Result<(), Malformed> {
    let key = field::CATALOGS;
    let entries = cbor::map(item, key)?;
    not_empty(entries.is_empty(), key)?;
    for (count, (product, item)) in entries.entries().enumerate() {
        bounded(count, MAX_BUNDLE_CATALOGS, key)?;
        let product = cbor::any_text(product, key)?;
        cbor::text_rule(product, key)?;
        parts.push(Part::decode(
            DocumentKind::Catalog,
            Some(product),
            item,
            key,
        )?);
    }
    Ok(())
}

/// `[+ [token, ? proof]]`.
fn decode_tokens(item: Item<'_>) -> Result<Vec<BundledToken<'_>>, Malformed> {
    let key = field::TOKENS;
    let mut tokens = Vec::new();
    for item in cbor::list(item, key)?.iter() {
        bounded(tokens.len(), MAX_BUNDLE_TOKENS, key)?;
        let mut items = cbor::list(item, key)?;
        let mut text = || items.take().map(|item| cbor::any_text(item, key));
        let problem = "has an entry without a token";
        let token = text().ok_or(Malformed::Field { key, problem })??;
        let proof = text().transpose()?;
        if !items.is_empty() {
            let problem = "has an entry of more than a token and its proof";
            return Err(Malformed::Field { key, problem });
        }
        tokens.push(BundledToken { token, proof });
    }
    not_empty(tokens.is_empty(), key)?;
    Ok(tokens)
}

const fn bounded(count: usize, limit: usize, key: u64) -> Result<(), Malformed> {
    let problem = "has more parts than a bundle may have";
    if count < limit {
        Ok(())
    } else {
        Err(Malformed::Field { key, problem })
    }
}

const fn not_empty(empty: bool, key: u64) -> Result<(), Malformed> {
    let problem = "is empty: leave it out";
    if empty {
        Err(Malformed::Field { key, problem })
    } else {
        Ok(())
    }
}
