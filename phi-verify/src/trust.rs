//! What an application believes: the root, the keyset, the status list and the catalogs, each
//! the newest that was imported.
//!
//! An import either raises the state or leaves it as it was. `lists.rs` has the rules for status
//! lists, `time.rs` what the state knows of the machine's clock, `persist.rs` the bytes that it is
//! kept as between runs.

mod lists;
mod persist;
mod time;

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use sha2::{Digest as _, Sha256};

use self::lists::HeldLists;
#[cfg(feature = "std")]
pub(crate) use self::persist::MAX_STATE;
pub use self::persist::{Refused, Restored, StateError};
use crate::{
    bundle::MAX_BUNDLE_CATALOGS,
    catalog::Catalog,
    clock::Clock,
    document::{DocumentKind, PayloadHash, UntrustedDocument, same_issuer},
    error::Error,
    key::{KeyId, PublicKey, RoleKeys},
    keyset::Keyset,
    root::{Floors, Root},
    status::{Status, StatusLists},
};

/// A trust state has catalogs of at most this many products, as a bundle has.
const MAX_CATALOGS: usize = MAX_BUNDLE_CATALOGS;

/// The catalogs of a trust state have at most this many bytes: half of what can be stored.
const MAX_CATALOG_BYTES: usize = 32 << 20;

/// The trust state of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustState {
    root: Held<Root>,
    keyset: Option<Held<Keyset>>,
    lists: Option<HeldLists>,
    catalogs: BTreeMap<String, Held<Catalog>>,
    floors: Floors,
    /// The roots from the anchor to the one in force, as they came.
    roots: Vec<Vec<u8>>,
    clock: Clock,
    /// A status epoch above the list's, which there is by the word of a remembered license, and
    /// the license's key.
    known_epoch: Option<(u64, KeyId)>,
    /// How often the state was stored.
    generation: u64,
}

/// A verified document with the hash of its payload, and as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held<T> {
    document: T,
    hash: PayloadHash,
    bytes: Vec<u8>,
    /// The version of the root that was in force when the document was taken: a later one may ask
    /// for more signatures, and keeps what it does not rule out.
    under: u64,
}

impl<T> Held<T> {
    fn new(document: T, verified: &UntrustedDocument<'_>, under: u64) -> Self {
        Self {
            document,
            hash: verified.payload_hash(),
            bytes: verified.bytes().into(),
            under,
        }
    }
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The state now holds the document.
    Updated(DocumentKind),
    /// The state held the document already.
    Unchanged(DocumentKind),
}

impl TrustState {
    /// Begins with a trust anchor: a root document that is believed because it is compiled in.
    ///
    /// # Errors
    /// If the anchor is not a root document, or not signed by its own root keys.
    pub fn from_anchor(anchor: &[u8]) -> Result<Self, Error> {
        let document = UntrustedDocument::parse(anchor)?;
        if document.kind() != DocumentKind::Root {
            let (expected, found) = (DocumentKind::Root, document.kind());
            return Err(Error::DocumentKind { expected, found });
        }
        // The anchor is believed without proof; that its own keys signed it shows it is whole.
        let root = Root::decode(document.unverified_payload())?;
        document.verify(&root.root)?;
        let (floors, version) = (root.floors, root.version);
        Ok(Self {
            root: Held::new(root, &document, version),
            keyset: None,
            lists: None,
            catalogs: BTreeMap::new(),
            floors,
            roots: vec![anchor.into()],
            clock: Clock::default(),
            known_epoch: None,
            generation: 0,
        })
    }

    /// Imports a root, keyset, status or catalog document. On an error the state is as before.
    ///
    /// # Errors
    /// Why the document is refused.
    pub fn import(&mut self, bytes: &[u8]) -> Result<Imported, Error> {
        let document = UntrustedDocument::parse(bytes)?;
        let updated = match document.kind() {
            DocumentKind::Root => self.import_root(&document)?,
            DocumentKind::Keyset => self.import_keyset(&document)?,
            DocumentKind::Status => self.import_status(&document)?,
            DocumentKind::Catalog => self.import_catalog(&document)?,
            kind @ DocumentKind::ClockReset => return Err(Error::DocumentNotImported(kind)),
        };
        let kind = document.kind();
        Ok(if updated {
            Imported::Updated(kind)
        } else {
            Imported::Unchanged(kind)
        })
    }

    /// The root in force.
    pub const fn root(&self) -> &Root {
        &self.root.document
    }

    /// The newest keyset.
    pub fn keyset(&self) -> Option<&Keyset> {
        self.keyset.as_ref().map(|held| &held.document)
    }

    /// The newest status list: the delta if there is one, which says what is revoked only
    /// together with its base ([`TrustState::lists`]).
    pub fn status(&self) -> Option<&Status> {
        self.lists.as_ref().map(|held| &held.newest().document)
    }

    /// The status lists, to be asked about a token.
    pub fn lists(&self) -> Option<StatusLists<'_>> {
        self.lists.as_ref().map(HeldLists::as_lists)
    }

    /// The newest catalog of a product.
    pub fn catalog(&self, product: &str) -> Option<&Catalog> {
        self.catalogs.get(product).map(|held| &held.document)
    }

    /// The newest catalog of each product.
    pub fn catalogs(&self) -> impl Iterator<Item = &Catalog> {
        self.catalogs.values().map(|held| &held.document)
    }

    /// The oldest versions that are still taken.
    pub const fn floors(&self) -> Floors {
        self.floors
    }

    /// SHA-256 of the trust anchor, as it is compiled in.
    pub fn anchor_hash(&self) -> [u8; 32] {
        let anchor = self.roots.first().expect("the anchor is the first root");
        Sha256::digest(anchor).into()
    }

    /// The N/N+1 rule of TUF (specification, section 5.3): the next root is signed by this root's
    /// keys and by its own, and is the very next.
    fn import_root(&mut self, document: &UntrustedDocument<'_>) -> Result<bool, Error> {
        let current = self.root();
        let root = Root::decode(document.verify(&current.root)?)?;
        same_issuer(&current.issuer, &root.issuer)?;
        let (kind, held) = (DocumentKind::Root, (current.version, self.root.hash));
        if !newer(kind, root.version, document.payload_hash(), Some(held))? {
            return Ok(false);
        }
        if root.version != current.version + 1 {
            return Err(Error::RootGap {
                current: current.version,
                offered: root.version,
            });
        }
        document.verify(&root.root)?;
        let version = root.version;
        self.enter(Held::new(root, document, version));
        Ok(true)
    }

    /// Takes a new root into force. Where too few of a role's keys remain, what the role signed
    /// is forgotten and the root's floor counts: so a thief's fast-forward can be undone. Where
    /// they remain, floors only rise: so an ordinary change opens no door to old documents.
    fn enter(&mut self, root: Held<Root>) {
        let (old, new) = (self.root.document.clone(), &root.document);
        if replaced(&old.keyset, &new.keyset) {
            self.keyset = None;
            self.catalogs.clear();
            self.floors.keyset = new.floors.keyset;
        }
        if replaced(&old.status, &new.status) {
            self.lists = None;
            self.floors.status = new.floors.status;
        }
        self.floors.keyset = self.floors.keyset.max(new.floors.keyset);
        self.floors.status = self.floors.status.max(new.floors.status);
        self.roots.push(root.bytes.clone());
        self.root = root;
        let role = self.root.document.status.clone();
        // What the role would not sign today cannot be used again.
        self.clock.used.retain(|used| used.is_signed_by(&role));
        self.drop_refused();
    }

    /// Lets go of what the root in force would refuse as an import: its floors and its keys judge
    /// a document alike, whether it came before the root or after.
    fn drop_refused(&mut self) {
        let (root, floors) = (&self.root.document, &mut self.floors);
        if let Some(held) = &self.keyset
            && shared_key(root, &held.document).is_some()
        {
            // What it ruled out stays ruled out.
            floors.keyset = floors.keyset.max(held.document.version.saturating_add(1));
            self.keyset = None;
        }
        self.keyset
            .take_if(|held| held.document.version < floors.keyset);
        self.lists
            .take_if(|held| held.newest().document.epoch < floors.status);
    }

    fn import_keyset(&mut self, document: &UntrustedDocument<'_>) -> Result<bool, Error> {
        let root = self.root();
        let keyset = Keyset::decode(document.verify(&root.keyset)?)?;
        same_issuer(&root.issuer, &keyset.issuer)?;
        if keyset.root_version > root.version {
            let (current, needed) = (root.version, keyset.root_version);
            return Err(Error::RootTooOld { current, needed });
        }
        if let Some(key_id) = shared_key(root, &keyset) {
            return Err(Error::KeyInTwoRoles(key_id));
        }
        let (version, hash) = (keyset.version, document.payload_hash());
        at_least(DocumentKind::Keyset, version, self.floors.keyset)?;
        let held = self
            .keyset
            .as_ref()
            .map(|held| (held.document.version, held.hash));
        if !newer(DocumentKind::Keyset, version, hash, held)? {
            return Ok(false);
        }
        self.keyset = Some(Held::new(keyset, document, self.root().version));
        Ok(true)
    }

    fn import_catalog(&mut self, document: &UntrustedDocument<'_>) -> Result<bool, Error> {
        let root = self.root();
        let catalog = Catalog::decode(document.verify(&root.keyset)?)?;
        same_issuer(&root.issuer, &catalog.issuer)?;
        let hash = document.payload_hash();
        let held = self.catalogs.get(&catalog.product);
        let held = held.map(|held| (held.document.revision, held.hash));
        if !newer(DocumentKind::Catalog, catalog.revision, hash, held)? {
            return Ok(false);
        }
        self.room_for_catalog(&catalog.product, document.bytes().len())?;
        let (product, version) = (catalog.product.clone(), self.root().version);
        self.catalogs
            .insert(product, Held::new(catalog, document, version));
        Ok(true)
    }

    fn room_for_catalog(&self, product: &str, length: usize) -> Result<(), Error> {
        let others = self.catalogs.iter().filter(|(other, _)| *other != product);
        let lengths = others.map(|(_, held)| held.bytes.len());
        let (count, bytes) = lengths.fold((1, length), |(count, bytes), length| {
            (count + 1, bytes + length)
        });
        if count > MAX_CATALOGS || bytes > MAX_CATALOG_BYTES {
            let product = product.into();
            return Err(Error::CatalogsTooMany { product });
        }
        Ok(())
    }
}

/// Whether the version is newer than the one held: an older one is refused, the same one must
/// be the same document.
fn newer(
    kind: DocumentKind,
    offered: u64,
    hash: PayloadHash,
    held: Option<(u64, PayloadHash)>,
) -> Result<bool, Error> {
    let Some((current, current_hash)) = held else {
        return Ok(true);
    };
    at_least(kind, offered, current)?;
    match (offered == current, hash == current_hash) {
        (true, true) => Ok(false),
        (true, false) => Err(Error::Equivocation {
            kind,
            version: offered,
            held: current_hash,
            offered: hash,
        }),
        (false, _) => Ok(true),
    }
}

fn at_least(kind: DocumentKind, offered: u64, at_least: u64) -> Result<(), Error> {
    if offered >= at_least {
        Ok(())
    } else {
        Err(Error::Rollback {
            kind,
            offered,
            at_least,
        })
    }
}

/// A license key that has a role in the root as well.
fn shared_key(root: &Root, keyset: &Keyset) -> Option<KeyId> {
    let mut keys = keyset.keys().iter().map(|entry| &entry.key);
    keys.find(|key| root.names(key)).map(PublicKey::id)
}

/// Whether fewer of the old keys remain than the old threshold asked for.
fn replaced(old: &RoleKeys, new: &RoleKeys) -> bool {
    old.keys().iter().filter(|key| new.contains(key)).count() < old.threshold()
}
