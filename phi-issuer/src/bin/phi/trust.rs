//! The trust state that published documents make: those of a folder, of a bundle, or those that an
//! application keeps.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use phi_verify::store::{Finding, Store};
use phi_verify::{
    Bundle, Catalog, DocumentKind, Error, PartOutcome, PartReport, RoleKeys, TrustState, armor,
};

use crate::failure::Failure;
use crate::input::{MAX_OBJECT, Object, read_file};
use crate::output::say;
use crate::view::shown;

/// The documents of a folder: `root-1.phi`, `root-2.phi` and on, `keyset.phi`, `status.phi`, the
/// deltas `status-<base>-to-<epoch>.phi` and `catalog-<product>.phi`.
pub(crate) struct TrustFolder {
    /// By version.
    roots: Vec<(u64, PathBuf)>,
    keyset: Option<PathBuf>,
    status: Option<PathBuf>,
    deltas: Vec<Delta>,
    /// By product.
    catalogs: Vec<(String, PathBuf)>,
    /// Files of other names.
    others: Vec<PathBuf>,
}

/// A delta, by the name of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Delta {
    base: u64,
    epoch: u64,
    path: PathBuf,
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
            deltas: Vec::new(),
            catalogs: Vec::new(),
            others: Vec::new(),
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
            self.others.push(path);
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
        } else if let Some((base, epoch)) = stem.strip_prefix("status-").and_then(delta_epochs) {
            self.deltas.push(Delta { base, epoch, path });
        } else {
            self.others.push(path);
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
        self.import_delta(&mut state)?;
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

impl TrustFolder {
    /// Imports the newest of the deltas to the full list. One that the full list has overtaken says
    /// nothing new; of what an application would want another full list for, it is said so.
    fn import_delta(&self, state: &mut TrustState) -> Result<(), Failure> {
        let full = state.status().map_or(0, |status| status.epoch);
        let newer = || self.deltas.iter().filter(|delta| delta.epoch > full);
        let fits = newer().filter(|delta| delta.base == full);
        let newest = fits.max_by_key(|delta| delta.epoch);
        if let Some(delta) = newest {
            import(state, DocumentKind::Status, &delta.path)?;
        }
        let held = newest.map_or(full, |delta| delta.epoch);
        for delta in newer().filter(|delta| delta.base != full && delta.epoch > held) {
            let (path, base) = (shown(&delta.path), delta.base);
            let at_hand = match full {
                0 => "there is none".to_owned(),
                full => format!("status.phi is of epoch {full}"),
            };
            say(&format!(
                "phi: warning: {path} is not used: it is a delta to the list of epoch {base}, and \
                 {at_hand}"
            ));
        }
        for path in self.others.iter().filter(|path| is_status(path)) {
            let path = shown(path);
            say(&format!(
                "phi: warning: {path} is a status document and is not used: --status {path} \
                 imports it"
            ));
        }
        Ok(())
    }
}

/// The epochs in the name of a delta's file, as Phi writes it: `BASE-to-EPOCH`.
fn delta_epochs(name: &str) -> Option<(u64, u64)> {
    let (base, epoch) = name.split_once("-to-")?;
    Some((root_version(base)?, root_version(epoch)?))
}

/// Whether a file is a status document, by its first bytes.
fn is_status(path: &Path) -> bool {
    const ARMORED: &[u8] = b"-----BEGIN PHI STATUS-----";
    const WORD: &[u8] = b"phi.status.";
    const BINARY: u8 = 0x83;
    if !path.is_file() {
        return false;
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(64).read_to_end(&mut head));
    let is_text = head.starts_with(ARMORED) || head.starts_with(WORD);
    if read.is_err() || !(is_text || head.first() == Some(&BINARY)) {
        return false;
    }
    let document = read_document(path).ok();
    document.is_some_and(|bytes| {
        let parsed = phi_verify::UntrustedDocument::parse(&bytes);
        parsed.is_ok_and(|document| document.kind() == DocumentKind::Status)
    })
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

    /// A state as it is.
    pub(crate) fn of_state(state: TrustState) -> Self {
        let products = state.catalogs();
        Self {
            products: products.map(|catalog| catalog.product.clone()).collect(),
            ledger_keys: vec![state.root().ledger.clone()],
            state,
        }
    }

    /// What an application keeps in its folders: its data, and the user's if that is apart.
    ///
    /// # Errors
    /// `trust-missing` if there is no such folder, or why the anchor is refused.
    pub(crate) fn of_store(
        anchor: &Path,
        folders: &[PathBuf],
    ) -> Result<(Self, Vec<Finding>), Failure> {
        let [data, rest @ ..] = folders else {
            return Err(Failure::new("trust-missing", "no folder was named"));
        };
        let user = rest.first().unwrap_or(data);
        // Of two copies one may be lost, which is for the findings to say.
        if !data.is_dir() && !user.is_dir() {
            let message = format!("there is no folder {}", data.display());
            return Err(Failure::new("trust-missing", message)
                .hint("name the folder in which the application keeps its trust state"));
        }
        let bytes = read_document(anchor)?;
        let loaded = Store::new(&bytes, data, user).load();
        let loaded = loaded.map_err(|error| refused(anchor, error))?;
        Ok((Self::of_state(loaded.trust), loaded.findings))
    }

    /// Imports status documents that were handed in: full ones or deltas, as files, as the text of
    /// a QR code, or `-`.
    ///
    /// # Errors
    /// Why one cannot be read or is refused.
    pub(crate) fn import_status(&mut self, named: &[OsString]) -> Result<(), Failure> {
        for argument in named {
            let bytes = read_status(argument)?;
            let imported = self.state.import(&bytes);
            imported.map_err(|error| Failure::from(error).about(about(argument)))?;
        }
        Ok(())
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

/// A status document as it was handed in.
fn read_status(argument: &OsStr) -> Result<Vec<u8>, Failure> {
    let expected = DocumentKind::Status;
    match Object::read(argument)? {
        Object::Document(bytes) => {
            let document = phi_verify::UntrustedDocument::parse(&bytes);
            let found = document
                .map_err(|error| Failure::from(error).about(about(argument)))?
                .kind();
            if found == expected {
                return Ok(bytes);
            }
            Err(Failure::from(Error::DocumentKind { expected, found }).about(about(argument)))
        }
        other => {
            let message = format!("this is {}, not a status document", other.name());
            Err(Failure::new("wrong-kind", message)
                .hint("hand in status.phi, or a delta: its file or the text of its QR code"))
        }
    }
}

/// What was handed in, in a few words: the text of a document is long.
pub(crate) fn about(argument: &OsStr) -> String {
    match argument.to_str() {
        Some("-") => "standard input".into(),
        Some(text) if !Path::new(argument).exists() => {
            let start: String = text.trim().chars().take(24).collect();
            format!("{start}...")
        }
        _ => shown(Path::new(argument)),
    }
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
