//! A bundle's documents on their way into a trust state, each for itself: one that is refused
//! takes nothing from the others.

use alloc::vec::Vec;

use super::{Bundle, Part, PartName};
use crate::{
    catalog::Catalog,
    document::{DocumentKind, UntrustedDocument},
    error::Error,
    keyset::Keyset,
    root::Root,
    status::Status,
    trust::{Imported, TrustState},
};

/// What became of a part of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartReport {
    /// What the bundle says that the part is.
    pub part: PartName,
    /// What became of it.
    pub outcome: PartOutcome,
}

/// What became of a document in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartOutcome {
    /// The state now holds the document.
    Updated,
    /// The state held the document already.
    Unchanged,
    /// A root that is older than the one in force, by what the bundle says of it: a chain that
    /// reaches further back than is needed. It was not looked at.
    Passed,
    /// The document was refused, and the state is as before.
    Refused(Error),
}

impl TrustState {
    /// Imports the documents of a bundle: roots, keyset, status, catalogs. Each changes the state
    /// or leaves it as it was, like [`TrustState::import`]; what becomes of each is reported, in
    /// this order.
    pub fn import_bundle(&mut self, bundle: &Bundle<'_>) -> Vec<PartReport> {
        let report = |part: &Part<'_>| PartReport {
            part: part.name(),
            outcome: self.import_part(part),
        };
        bundle.parts.iter().map(report).collect()
    }

    fn import_part(&mut self, part: &Part<'_>) -> PartOutcome {
        if part.kind == DocumentKind::Root && part.version < self.root().version {
            return PartOutcome::Passed;
        }
        let imported = self
            .check_index(part)
            .and_then(|()| self.import(part.document));
        match imported {
            Ok(Imported::Updated(_)) => PartOutcome::Updated,
            Ok(Imported::Unchanged(_)) => PartOutcome::Unchanged,
            Err(error) => PartOutcome::Refused(error),
        }
    }

    /// That the part is what the bundle says, by what its role signed: nothing else of it is read
    /// before the import proper.
    fn check_index(&self, part: &Part<'_>) -> Result<(), Error> {
        let document = UntrustedDocument::parse(part.document)?;
        let (expected, found) = (part.kind, document.kind());
        if expected != found {
            return Err(Error::DocumentKind { expected, found });
        }
        let root = self.root();
        let (product, version) = match found {
            DocumentKind::Root => (None, Root::decode(document.verify(&root.root)?)?.version),
            DocumentKind::Keyset => (
                None,
                Keyset::decode(document.verify(&root.keyset)?)?.version,
            ),
            DocumentKind::Status => {
                let status = Status::decode(document.verify(&root.status)?)?;
                let epoch = status.epoch;
                // A bundle is for applications that have nothing as well.
                if status.base().is_some() {
                    return Err(Error::DeltaInBundle { epoch });
                }
                (None, epoch)
            }
            DocumentKind::Catalog => {
                let catalog = Catalog::decode(document.verify(&root.keyset)?)?;
                (Some(catalog.product), catalog.revision)
            }
            kind @ DocumentKind::ClockReset => return Err(Error::DocumentNotImported(kind)),
        };
        let (stated, signed) = (
            part.name(),
            PartName {
                kind: found,
                product,
                version,
            },
        );
        if stated == signed {
            return Ok(());
        }
        Err(Error::IndexMismatch { stated, signed })
    }
}
