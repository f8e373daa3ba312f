//! The issuer's folder: settings, store, keys and published documents.

mod adopt;
mod init;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use phi_verify::{
    DocumentKind, Error as VerifyError, KeyId, TrustState, UnixTime,
    log::{LogState, MAX_NOTE},
};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::Revision,
    durable::{self, Mode},
    error::Error,
    keyfile::KdfStrength,
    license::no_catalog,
    line, root,
    store::{Location, Query, Store},
};

pub(crate) use adopt::{adopt, check_anchor};
pub(crate) use init::SCRATCH;
pub use init::{FirstRoot, InitOptions, StoreOptions};

/// An open issuer folder.
#[derive(Debug)]
pub struct Issuer {
    pub(crate) folder: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    /// Keys for which the operator answers: their private halves are elsewhere.
    pub(crate) accepted: Vec<KeyId>,
    /// Held, with others, for as long as the issuer is open: a store in use is not replaced.
    pub(crate) _in_use: Option<File>,
}

/// Who makes a change, and when: the clock is the caller's.
#[derive(Clone, Debug)]
pub struct Context {
    /// The time of the change.
    pub now: UnixTime,
    /// Who makes it, for the audit trail.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// The caller's name of this request. A request that is repeated under its name changes
    /// nothing and gets the first one's answer.
    pub idempotency_key: Option<String>,
}

impl Context {
    /// A change by this actor at this time, without a reason.
    pub fn new(now: UnixTime, actor: impl Into<String>) -> Self {
        Self {
            now,
            actor: actor.into(),
            reason: None,
            idempotency_key: None,
        }
    }

    /// Whether it can stand in the ledger: what is read as a line is one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let fields = [
            ("a reason", self.reason.as_ref(), MAX_REASON),
            (
                "an idempotency key",
                self.idempotency_key.as_ref(),
                MAX_IDEMPOTENCY_KEY,
            ),
        ];
        let is_line = |text: &str, limit: usize| {
            !text.trim().is_empty() && text.len() <= limit && line::shows_itself(text)
        };
        for (what, text, limit) in fields {
            if text.is_some_and(|text| !is_line(text, limit)) {
                return Err(Error::Invalid {
                    what,
                    problem: format!("is one line of 1 to {limit} bytes {}", line::RULE),
                });
            }
        }
        if !line::shows_itself(&self.actor) {
            return Err(Error::Invalid {
                what: "the actor",
                problem: format!("is one line {}: --actor NAME", line::RULE),
            });
        }
        check_lines(&self.actor, None)
    }
}

/// Whether an entry of this actor and reason can be in a ledger: those that hide something were
/// taken once.
pub(crate) fn check_lines(actor: &str, reason: Option<&str>) -> Result<(), Error> {
    if actor.trim().is_empty() || actor.chars().any(char::is_control) {
        return Err(Error::Invalid {
            what: "the actor",
            problem: "is one line that names somebody: --actor NAME".into(),
        });
    }
    if reason.is_some_and(|reason| reason.chars().any(char::is_control)) {
        return Err(Error::Invalid {
            what: "a reason",
            problem: "is one line".into(),
        });
    }
    Ok(())
}

/// A reason is a sentence or two, in every report about the license.
const MAX_REASON: usize = 1000;
/// A request's name is an order number or a UUID, and stands in an index.
const MAX_IDEMPOTENCY_KEY: usize = 200;

/// The settings in `phi.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The issuer's stable name, in everything that it signs.
    pub issuer: String,
    /// How hard key files are to open by guessing.
    #[serde(with = "strength")]
    pub kdf: KdfStrength,
    /// The store, if it is a database on a server: a `postgres://` URL without a password. Else it
    /// is the file `phi.db`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// The certificate of the authority that the server's certificate is from, in PEM, if it is
    /// none of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_ca: Option<PathBuf>,
    /// How long status lists serve, and how they are made.
    #[serde(default)]
    pub status: StatusTimes,
}

impl Settings {
    /// Where the store of the issuer in this folder is.
    fn location(&self, folder: &Path) -> Result<Location, Error> {
        match &self.store {
            None => Ok(Location::File(folder.join(STORE))),
            Some(url) => Location::server(url, self.store_ca.as_deref(), folder),
        }
    }
}

/// How long a status list serves, in days, and how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusTimes {
    /// Days until the next list is due.
    pub next_update_days: u32,
    /// Days until the list is past its hard expiry.
    pub hard_expiry_days: u32,
    /// Days for which what has ended stays in the lists: an application whose clock was set back
    /// may still take it for valid.
    #[serde(default = "retention_days")]
    pub retention_days: u32,
    /// Whether lists are made as small as they can be, with ribbons instead of Bloom cascades.
    #[serde(default)]
    pub compact: bool,
    /// Whether lists show of the number of tokens no more than the next power of two.
    #[serde(default)]
    pub padding: bool,
}

/// A clock that is wrong by more than a month is noticed.
const fn retention_days() -> u32 {
    30
}

impl Default for StatusTimes {
    /// A monthly list that may come two months late: what reaches an air-gapped site by courier.
    fn default() -> Self {
        Self {
            next_update_days: 30,
            hard_expiry_days: 90,
            retention_days: retention_days(),
            compact: false,
            padding: false,
        }
    }
}

mod strength {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::keyfile::KdfStrength;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        strength: &KdfStrength,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(strength)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<KdfStrength, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

const SETTINGS: &str = "phi.toml";
const STORE: &str = "phi.db";
const LOCK: &str = "phi.lock";
/// Locked by everyone who has the store open.
const IN_USE: &str = "phi.in-use";
const CATALOG: &str = "catalog.toml";
pub(crate) const KEYS: &str = "keys";
pub(crate) const PUBLISHED: &str = "published";
/// The first root, which applications have compiled in.
pub(crate) const ANCHOR: &str = "root-1.phi";
/// The newest keyset.
pub(crate) const KEYSET: &str = "keyset.phi";
/// The newest checkpoint of the ledger, beside the published documents and in an export.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// Settings are a few lines.
const MAX_SETTINGS: u64 = 64 << 10;

impl Issuer {
    /// Opens the issuer in the folder.
    ///
    /// # Errors
    /// [`Error::FolderMissing`], or why the settings or the store cannot be used.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let settings = read_settings(folder)?;
        let in_use = use_store(folder)?;
        let store = Store::open(&settings.location(folder)?)?;
        Ok(Self {
            folder: folder.into(),
            settings,
            store,
            accepted: Vec::new(),
            _in_use: in_use,
        })
    }

    /// From here on publications may name these keys for the first time although their private
    /// halves are not in the folder: somebody else, whom the operator asked, made them.
    pub fn accept_keys(&mut self, keys: impl IntoIterator<Item = KeyId>) {
        self.accepted.extend(keys);
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The folder with the published documents.
    pub fn published_folder(&self) -> PathBuf {
        self.folder.join(PUBLISHED)
    }

    /// The catalog text that people edit.
    pub fn catalog_path(&self) -> PathBuf {
        self.folder.join(CATALOG)
    }

    pub(crate) fn keys_folder(&self) -> PathBuf {
        self.folder.join(KEYS)
    }

    /// The newest recorded catalog of a product, or of the only product.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, or more than one and none is named.
    pub fn catalog(&mut self, product: Option<&str>) -> Result<Arc<Revision>, Error> {
        let product = self.product_or_only(product)?;
        self.store.read(|query| {
            query
                .newest_catalog(&product)?
                .ok_or_else(|| no_catalog(&product))
        })
    }

    /// The named product, or the only one that has a catalog.
    ///
    /// # Errors
    /// [`Error::NotFound`] if none is named and there is not exactly one.
    pub fn product_or_only(&mut self, product: Option<&str>) -> Result<String, Error> {
        if let Some(product) = product {
            return Ok(product.into());
        }
        match <[String; 1]>::try_from(self.store.read(|query| query.products())?) {
            Ok([only]) => Ok(only),
            Err(none) if none.is_empty() => Err(no_catalog("(none is recorded)")),
            Err(several) => Err(Error::NotFound {
                what: "single product; there are",
                name: several.join(", "),
                hint: "name one with --product",
            }),
        }
    }

    /// What an application believes that imported everything published.
    ///
    /// # Errors
    /// [`Error::PublicationBehind`] if the documents do not make a whole.
    pub fn trust_state(&mut self) -> Result<TrustState, Error> {
        self.store.read(trust_state)
    }

    /// Makes the derived tables again from the events; how many events there are.
    ///
    /// # Errors
    /// If an event does not read; the tables are then as before.
    pub fn rebuild(&mut self) -> Result<u64, Error> {
        self.store.rebuild()
    }

    /// Writes every published document, and the newest checkpoint, that the folder does not have
    /// as the ledger has it.
    ///
    /// # Errors
    /// [`Error::PublicationUnwritten`]: run it again when the folder can be written.
    pub fn write_published(&mut self) -> Result<(), Error> {
        // Two publishers must not put an older file over a newer one.
        let lock = durable::open_lock(&self.folder.join(LOCK))?;
        lock.lock().map_err(system("taking the lock"))?;
        let (documents, checkpoint) = self.store.read(|query| {
            let mut documents = query.published()?;
            documents.extend(query.deltas()?);
            Ok((documents, query.newest_checkpoint()?))
        })?;
        for publication in documents {
            self.bring(&publication.file_name(), &publication.document)?;
        }
        match checkpoint {
            // What was published of a longer ledger is not taken back without a word.
            Some(checkpoint) if self.published_size() <= Some(checkpoint.size) => {
                self.bring(CHECKPOINT, checkpoint.note.as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// The checkpoint in the published folder, if there is one that is text.
    pub(crate) fn published_checkpoint(&self) -> Option<String> {
        let path = self.published_folder().join(CHECKPOINT);
        let bytes = durable::read_regular(&path, MAX_NOTE as u64).ok()?;
        String::from_utf8(bytes).ok()
    }

    fn published_size(&self) -> Option<u64> {
        let state = LogState::restore(&self.published_checkpoint()?).ok()?;
        Some(state.size())
    }

    /// Writes a file of the published folder, unless it is as it should be.
    fn bring(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.published_folder().join(name);
        let same = |found: Vec<u8>| found == bytes;
        if durable::read_regular(&path, bytes.len() as u64).is_ok_and(same) {
            return Ok(());
        }
        failpoint!("publish-before-file");
        durable::write(&path, bytes, Mode::Public).map_err(Error::PublicationUnwritten)?;
        failpoint!("publish-after-file");
        Ok(())
    }
}

fn read_settings(folder: &Path) -> Result<Settings, Error> {
    let path = folder.join(SETTINGS);
    if !path.exists() {
        return Err(Error::FolderMissing {
            folder: folder.into(),
        });
    }
    let text = durable::read_bounded(&path, MAX_SETTINGS)?;
    let invalid = |problem: String| Error::Invalid {
        what: SETTINGS,
        problem,
    };
    let text = str::from_utf8(&text).map_err(|_| invalid("is not UTF-8".into()))?;
    let settings: Settings =
        toml::from_str(text).map_err(|e| invalid(format!("is refused: {e}")))?;
    check_issuer(&settings.issuer)?;
    let times = settings.status;
    if times.next_update_days == 0 || times.hard_expiry_days < times.next_update_days {
        return Err(invalid("has status times out of order".into()));
    }
    Ok(settings)
}

/// Says that the store of the folder is in use, until the file is closed. Where no file can be
/// made the store cannot be opened either, and it says so better.
fn use_store(folder: &Path) -> Result<Option<File>, Error> {
    let Ok(in_use) = durable::open_lock(&folder.join(IN_USE)) else {
        return Ok(None);
    };
    in_use.lock_shared().map_err(system("using the store"))?;
    Ok(Some(in_use))
}

pub(crate) fn trust_state(query: &Query<'_>) -> Result<TrustState, Error> {
    let behind = |cause: VerifyError| Error::PublicationBehind {
        problem: format!("the published documents do not fit together: {cause}"),
        hint: "run `phi keyset publish` and then `phi status publish`",
    };
    let mut documents = query.published()?.into_iter();
    let anchor = documents.next().ok_or_else(root::none)?;
    let mut trust = TrustState::from_anchor(&anchor.document).map_err(behind)?;
    for publication in documents {
        match trust.import(&publication.document) {
            // A list that waits for its successor is no reason not to mint: lists are for
            // revocation, and tokens are not judged by one that does not import.
            Err(_) if publication.kind == DocumentKind::Status => {}
            result => {
                result.map_err(behind)?;
            }
        }
    }
    Ok(trust)
}

/// The issuer's name is a claim of every token.
pub(crate) fn check_issuer(issuer: &str) -> Result<(), Error> {
    let bad = |c: char| c.is_control() || c.is_whitespace();
    if issuer.is_empty() || issuer.len() > 64 || issuer.chars().any(bad) {
        let problem = "is 1 to 64 bytes without blanks".into();
        return Err(Error::Invalid {
            what: "an issuer name",
            problem,
        });
    }
    Ok(())
}

pub(crate) fn system(step: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::System { step, source }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::System {
        step: "drawing random bytes",
        source: std::io::Error::other(error),
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key with a line end would be the beginning of another key.
    #[test]
    fn reasons_and_keys_are_lines() {
        let context = |reason: &str, key: &str| Context {
            reason: Some(reason.into()),
            idempotency_key: Some(key.into()),
            ..Context::new(UnixTime::EPOCH, "alice")
        };
        context("order 4711, ö", "order-4711").check().unwrap();
        let long = "x".repeat(MAX_REASON + 1);
        for (reason, key) in [
            ("", "key"),
            ("why", " "),
            ("why", "a\nb"),
            ("two\nlines", "key"),
            (&long, "key"),
            ("why", &long[..=MAX_IDEMPOTENCY_KEY]),
        ] {
            let error = context(reason, key).check().unwrap_err();
            assert_eq!(error.code(), "input-invalid", "{reason:?} {key:?}");
        }
    }
}
