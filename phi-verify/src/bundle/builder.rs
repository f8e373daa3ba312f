//! Bundles as an issuer writes them: what stands in the index is read from the documents.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use super::{Bundle, KIND, field};
use crate::{
    catalog::Catalog,
    cbor::{self, MapBuilder, Value},
    document::{DocumentKind, UntrustedDocument},
    error::Error,
    keyset::Keyset,
    log::{ConsistencyProof, Proof},
    root::Root,
    status::Status,
};

/// A bundle that is being put together.
#[derive(Clone, Debug, Default)]
pub struct BundleBuilder {
    roots: BTreeMap<u64, Vec<u8>>,
    keyset: Option<Entry>,
    status: Option<Entry>,
    catalogs: BTreeMap<String, Entry>,
    tokens: Vec<Value>,
    growth: Option<String>,
}

/// A version and the document that has it.
type Entry = (u64, Vec<u8>);

impl BundleBuilder {
    /// A bundle without anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document. Of keysets, status lists and the catalogs of a product the newest stays;
    /// roots all stay. Signatures are not checked: that is for whoever imports the bundle.
    ///
    /// # Errors
    /// Why the bytes are not a document, or do not decode; [`Error::DeltaInBundle`].
    pub fn document(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let document = UntrustedDocument::parse(bytes)?;
        let payload = document.unverified_payload();
        let newest = |held: &mut Option<Entry>, version| {
            if held.as_ref().is_none_or(|(held, _)| *held <= version) {
                *held = Some((version, bytes.into()));
            }
        };
        match document.kind() {
            DocumentKind::Root => {
                self.roots
                    .insert(Root::decode(payload)?.version, bytes.into());
            }
            DocumentKind::Keyset => newest(&mut self.keyset, Keyset::decode(payload)?.version),
            DocumentKind::Status => {
                let status = Status::decode(payload)?;
                let epoch = status.epoch;
                if status.base().is_some() {
                    return Err(Error::DeltaInBundle { epoch });
                }
                newest(&mut self.status, epoch);
            }
            DocumentKind::Catalog => {
                let catalog = Catalog::decode(payload)?;
                let mut held = self.catalogs.remove(&catalog.product);
                newest(&mut held, catalog.revision);
                self.catalogs
                    .extend(held.map(|entry| (catalog.product, entry)));
            }
            kind @ DocumentKind::ClockReset => return Err(Error::DocumentNotImported(kind)),
        }
        Ok(())
    }

    /// Adds a token, and its proof if it is to travel with one.
    pub fn token(&mut self, token: &str, proof: Option<&Proof>) {
        let mut items = vec![token.into()];
        items.extend(proof.map(|proof| Value::from(proof.to_text())));
        self.tokens.push(Value::Array(items));
    }

    /// Puts in the newest checkpoint, with the proof that the log grew to it.
    pub fn growth(&mut self, proof: &ConsistencyProof) {
        self.growth = Some(proof.to_text());
    }

    /// The bundle.
    ///
    /// # Errors
    /// [`Error::BundleTooLarge`] or [`Error::Bundle`] if there is more in it than a reader takes.
    pub fn build(self) -> Result<Vec<u8>, Error> {
        let mut map = MapBuilder::of_kind(KIND);
        if !self.roots.is_empty() {
            let roots = self.roots.into_iter().map(part);
            map.put(field::ROOTS, Value::Array(roots.collect()));
        }
        map.put_some(field::KEYSET, self.keyset.map(part));
        map.put_some(field::STATUS, self.status.map(part));
        let mut catalogs: Vec<_> = self
            .catalogs
            .into_iter()
            .map(|(product, entry)| (Value::from(product), part(entry)))
            .collect();
        catalogs.sort_by_cached_key(|(product, _)| cbor::encode(product));
        map.put_nonempty(field::CATALOGS, catalogs);
        if !self.tokens.is_empty() {
            map.put(field::TOKENS, Value::Array(self.tokens));
        }
        map.put_some(field::GROWTH, self.growth);
        let bytes = map.encode();
        Bundle::parse(&bytes)?;
        Ok(bytes)
    }
}

fn part((version, document): Entry) -> Value {
    Value::Array(vec![version.into(), Value::Bytes(document)])
}
