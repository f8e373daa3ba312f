//! A folder of published documents, and the trust state that they make.

use std::fs;
use std::path::{Path, PathBuf};

use phi_verify::{
    Bundle, Catalog, DocumentKind, Error, PartOutcome, PartReport, RoleKeys, TrustState, armor,
};

use crate::failure::Failure;
use crate::input::{MAX_OBJECT, read_file};
use crate::view::shown;

/// The documents of a folder: `root-1.phi`, `root-2.phi` and on, `keyset.phi`, `status.phi` and
/// `catalog-<product>.phi`.
pub(crate) struct TrustFolder {
    /// By version.
    roots: Vec<(u64, PathBuf)>,
    keyset: Option<PathBuf>,
    status: Option<PathBuf>,
    /// By product.
    catalogs: Vec<(String, PathBuf)>,
}

impl TrustFolder {
    /// Lists the documents of a folder.
    ///
    /// # Errors
    /// `trust-missing` if there is no such folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let missing = |error| {
            let message = format!("cannot read the trust folder {}: {error}", folder.display());
            Failure::new("trust-missing", message)
        };
        let mut found = Self {
            roots: Vec::new(),
            keyset: None,
            status: None,
            catalogs: Vec::new(),
        };
        for entry in fs::read_dir(folder).map_err(missing)? {
            found.add(entry.map_err(missing)?.path());
        }
        found.roots.sort();
        found.catalogs.sort();
        Ok(found)
    }

    /// The first root.
    ///
    /// # Errors
    /// `trust-missing` without one.
    pub(crate) fn first_root(&self) -> Result<&Path, Failure> {
        let first = self.roots.first().map(|(_, path)| path.as_path());
        first.ok_or_else(|| Failure::new("trust-missing", "the trust folder has no root document"))
    }

    fn add(&mut self, path: PathBuf) {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(stem) = name.and_then(|name| name.strip_suffix(".phi")) else {
            return;
        };
        if let Some(version) = stem.strip_prefix("root-").and_then(root_version) {
            self.roots.push((version, path));
        } else if stem == "keyset" {
            self.keyset = Some(path);
        } else if stem == "status" {
            self.status = Some(path);
        } else if let Some(product) = stem.strip_prefix("catalog-") {
            self.catalogs.push((product.to_owned(), path));
        }
    }

    /// The documents with their kinds by name, in the order in which they are imported.
    ///
    /// # Errors
    /// Why one cannot be read.
    pub(crate) fn documents(&self) -> Result<Vec<(DocumentKind, Vec<u8>)>, Failure> {
        let roots = self
            .roots
            .iter()
            .map(|(_, path)| (DocumentKind::Root, path));
        let catalogs = self.catalogs.iter();
        let catalogs = catalogs.map(|(_, path)| (DocumentKind::Catalog, path));
        let files = roots
            .chain(self.keyset.iter().map(|path| (DocumentKind::Keyset, path)))
            .chain(self.status.iter().map(|path| (DocumentKind::Status, path)))
            .chain(catalogs);
        files
            .map(|(kind, path)| Ok((kind, read_document(path)?)))
            .collect()
    }

    /// Begins with the anchor, or with the folder's first root, and imports what follows it.
    ///
    /// # Errors
    /// `trust-missing` without a root, or why a document is refused.
    pub(crate) fn load(&self, anchor: Option<&Path>) -> Result<Trust, Failure> {
        let path = match anchor {
            Some(anchor) => anchor,
            None => self.first_root()?,
        };
        let mut state = anchored_at(path)?;
        let anchored = state.root().version;
        let later = self.roots.iter().filter(|(version, _)| *version > anchored);
        let documents = later
            .map(|(_, path)| (DocumentKind::Root, path))
            .chain(self.keyset.iter().map(|path| (DocumentKind::Keyset, path)))
            .chain(self.status.iter().map(|path| (DocumentKind::Status, path)));
        let mut ledger_keys = vec![state.root().ledger.clone()];
        for (kind, path) in documents {
            import(&mut state, kind, path)?;
            if kind == DocumentKind::Root {
                ledger_keys.push(state.root().ledger.clone());
            }
        }
        let mut products = Vec::new();
        for (product, path) in &self.catalogs {
            import(&mut state, DocumentKind::Catalog, path)?;
            if state.catalog(product).is_none() {
                let message = format!("{}: catalog is of another product", path.display());
                return Err(Failure::new("wrong-kind", message)
                    .hint("name the file catalog-PRODUCT.phi, after its product"));
            }
            products.push(product.clone());
        }
        Ok(Trust {
            state,
            products,
            ledger_keys,
        })
    }
}

/// A root's version in the name of its file, as Phi writes it: from 1, in digits alone. A file of
/// another name must not take the place of the first root.
fn root_version(digits: &str) -> Option<u64> {
    let version: u64 = digits.parse().ok()?;
    Some(version).filter(|version| *version > 0 && version.to_string() == digits)
}

/// A trust state, and the products whose catalogs it holds.
pub(crate) struct Trust {
    pub(crate) state: TrustState,
    products: Vec<String>,
    /// The ledger keys of each root, from the anchor on: what they signed stays signed.
    pub(crate) ledger_keys: Vec<RoleKeys>,
}

impl Trust {
    /// What a bundle makes of an anchor, and what became of each part: one that is refused takes
    /// nothing from the others.
    ///
    /// # Errors
    /// Why the anchor is refused; `bundle-foreign` if nothing of the bundle holds under it.
    pub(crate) fn of_bundle(
        anchor: &Path,
        bundle: &Bundle<'_>,
    ) -> Result<(Self, Vec<PartReport>), Failure> {
        let mut state = anchored_at(anchor)?;
        let anchored = state.root().version;
        let parts = state.import_bundle(bundle);
        check_not_foreign(anchor, anchored, &state, &parts)?;
        let products = bundle.parts().filter_map(|part| part.product);
        let products = products.filter(|product| state.catalog(product).is_some());
        let trust = Self {
            products: products.collect(),
            ledger_keys: vec![state.root().ledger.clone()],
            state,
        };
        Ok((trust, parts))
    }

    /// The product that was named, or the only one there is.
    ///
    /// # Errors
    /// `product-unknown`.
    pub(crate) fn product<'a>(&'a self, named: Option<&'a str>) -> Result<&'a str, Failure> {
        match (named, self.products.as_slice()) {
            (Some(product), _) => Ok(product),
            (None, [product]) => Ok(product),
            (None, []) => Err(Failure::new(
                "product-unknown",
                "no product was named, and the trust folder has no catalog",
            )),
            _ => Err(Failure::new(
                "product-unknown",
                format!("which product: {}", self.products.join(", ")),
            )),
        }
    }

    /// The newest catalog of a product.
    pub(crate) fn catalog(&self, product: &str) -> Option<&Catalog> {
        self.state.catalog(product)
    }
}

/// A bundle of which nothing holds under the anchor is another issuer's, or lacks the roots
/// between.
fn check_not_foreign(
    anchor: &Path,
    anchored: u64,
    state: &TrustState,
    parts: &[PartReport],
) -> Result<(), Failure> {
    let is_refused = |report: &&PartReport| matches!(report.outcome, PartOutcome::Refused(_));
    if parts.is_empty() || !parts.iter().all(|report| is_refused(&report)) {
        return Ok(());
    }
    let (issuer, anchor) = (&state.root().issuer, shown(anchor));
    let roots = parts.iter().map(|report| &report.part);
    let mut roots = roots.filter(|part| part.kind == DocumentKind::Root);
    let message = if roots.any(|part| part.version <= anchored + 1) {
        format!("the bundle is of another trust anchor than {anchor} of {issuer}")
    } else {
        format!(
            "nothing of the bundle holds under {anchor}, root {anchored} of {issuer}: it is of \
             another trust anchor, or lacks the roots between"
        )
    };
    Err(Failure::new("bundle-foreign", message))
}

/// The state of an anchor alone.
fn anchored_at(path: &Path) -> Result<TrustState, Failure> {
    TrustState::from_anchor(&read_document(path)?).map_err(|error| refused(path, error))
}

/// Reads a document: it is kept as bytes or, where files must be text, as a word or armored.
///
/// # Errors
/// As [`read_file`], or why the text is no document.
pub(crate) fn read_document(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_file(path, MAX_OBJECT)?;
    let Some(text) = std::str::from_utf8(&bytes)
        .ok()
        .filter(|_| bytes.first() != Some(&0x83))
    else {
        return Ok(bytes);
    };
    armor::unwrap(text)
        .and_then(|word| armor::document_from_text(&word))
        .map_err(|error| refused(path, error))
}

fn import(state: &mut TrustState, kind: DocumentKind, path: &Path) -> Result<(), Failure> {
    let bytes = read_document(path)?;
    let found = phi_verify::UntrustedDocument::parse(&bytes)
        .map_err(|error| refused(path, error))?
        .kind();
    if found != kind {
        let expected = kind;
        return Err(refused(path, Error::DocumentKind { expected, found }));
    }
    let imported = state.import(&bytes);
    imported.map_err(|error| refused(path, error)).map(|_| ())
}

fn refused(path: &Path, error: Error) -> Failure {
    Failure::from(error).about(shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An application begins with root 1, whatever else lies beside it.
    #[test]
    fn no_file_takes_the_place_of_the_first_root() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "root-0", "root-01", "root-+1", "root-1", "root-2", "root-10",
        ];
        for name in names {
            fs::write(folder.path().join(format!("{name}.phi")), b"").unwrap();
        }
        let found = TrustFolder::open(folder.path()).unwrap();
        let versions: Vec<_> = found.roots.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, [1, 2, 10]);
        assert!(found.first_root().unwrap().ends_with("root-1.phi"));
    }
}
