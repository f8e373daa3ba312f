//! How an issuer's folder begins: with a new issuer, or with one that is in a database already.
//!
//! Everything is made in a scratch folder and moved into place when it is whole; the settings come
//! last, as they are what makes a folder an issuer's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    CATALOG, Issuer, KEYS, PUBLISHED, SETTINGS, STORE, Settings, StatusTimes, check_issuer, system,
    use_store,
};
use crate::{
    Context,
    catalog::{self, Name},
    durable::{self, Mode},
    error::Error,
    event::Event,
    keyfile::{KdfStrength, SigningKey},
    keys,
    passphrase::Passphrase,
    publish,
    store::{Empty, Location, Store},
};

/// Everything is made in here and moved into place when it is whole.
pub(crate) const SCRATCH: &str = ".phi-init";

/// What a new issuer is.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// The issuer's stable name.
    pub issuer: String,
    /// The first product, for the catalog to begin with.
    pub product: String,
    /// How hard key files are to open by guessing.
    pub kdf: KdfStrength,
    /// Where its store is.
    pub store: StoreOptions,
    /// Who makes its first root.
    pub root: FirstRoot,
}

/// Who makes the first root of a new issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstRoot {
    /// It is made at once, with a root key in the folder.
    #[default]
    Here,
    /// Its holders make it in a ceremony: the issuer has no root key, and publishes nothing until
    /// there is a root.
    ByCeremony,
}

/// Where the store of a new folder is; in the folder itself unless a server is named.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// The `postgres://` URL of a database on a server, without a password.
    pub url: Option<String>,
    /// The certificate of the server's authority, if it is none of the system's.
    pub authority: Option<PathBuf>,
}

impl StoreOptions {
    /// Whether a store can be reached like this, as far as the words say.
    ///
    /// # Errors
    /// [`Error::Invalid`], which never repeats the URL: there may be a password in it.
    pub fn check(&self, folder: &Path) -> Result<(), Error> {
        let settings = self.clone().settings(String::new(), KdfStrength::Standard);
        settings.location(folder).map(drop)
    }

    pub(super) fn settings(self, issuer: String, kdf: KdfStrength) -> Settings {
        Settings {
            issuer,
            kdf,
            store: self.url,
            store_ca: self.authority,
            status: StatusTimes::default(),
        }
    }
}

impl Issuer {
    /// Makes an issuer in the folder: settings, keys of every role, a store, a catalog to begin
    /// with (unless there is one), and the first root, keyset and status documents; these wait if
    /// the root is made in a ceremony.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] if any of that is there already, [`Error::StoreInUse`] if the
    /// database holds an issuer; nothing is overwritten.
    pub fn init(
        folder: &Path,
        options: &InitOptions,
        passphrase: &Passphrase,
        context: &Context,
    ) -> Result<Self, Error> {
        let product = Name::new(&*options.product).map_err(|cause| Error::Invalid {
            what: "a product",
            problem: format!("has a bad name: {cause}"),
        })?;
        check_issuer(&options.issuer)?;
        let store = options.store.clone();
        let settings = store.settings(options.issuer.clone(), options.kdf);
        let location = settings.location(folder)?;
        check_free(folder, &[SETTINGS, STORE, KEYS, PUBLISHED, SCRATCH])?;
        // A database that cannot be had is found out before anything is made.
        let server = match settings.store {
            None => None,
            Some(_) => Some(Empty::connect(&location)?),
        };
        let begin = catalog::template(&product);
        in_scratch(folder, Some(&begin), |scratch| {
            let mut made = make(scratch, settings, options.root, passphrase, context)?;
            let Some(server) = server else {
                drop(made);
                return place(scratch, folder, &[KEYS, PUBLISHED, STORE]);
            };
            // The keys are in place before the database holds what they signed.
            place(scratch, folder, &[KEYS, PUBLISHED])?;
            let copied = server.fill(|take| made.store.each_entry(take));
            if matches!(&copied, Err(error) if !error.is_outcome_unknown()) {
                for name in [KEYS, PUBLISHED] {
                    let _ = fs::remove_dir_all(folder.join(name));
                }
            }
            copied.map(drop)
        })?;
        Self::open(folder)
    }

    /// Makes a folder for an issuer that is in a database already: settings and published
    /// documents, and the catalog's text. The keys are brought by hand.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] if there is an issuer in the folder, [`Error::StoreMissing`] if there
    /// is none in the database.
    pub fn join(folder: &Path, store: StoreOptions, kdf: KdfStrength) -> Result<Self, Error> {
        let mut settings = store.settings(String::new(), kdf);
        let location = settings.location(folder)?;
        check_free(folder, &[SETTINGS, STORE, SCRATCH])?;
        let mut store = Store::open(&location)?;
        settings.issuer = store.read(|query| query.issuer())?;
        let text = store.read(|query| query.catalog_text())?;
        in_scratch(folder, text.as_deref(), |scratch| {
            write_settings(scratch, &settings)?;
            for (name, mode) in [(KEYS, Mode::Private), (PUBLISHED, Mode::Public)] {
                durable::create_folders(&folder.join(name), mode)?;
            }
            let mut joined = Self {
                folder: folder.into(),
                settings,
                store,
                accepted: Vec::new(),
                _in_use: None,
            };
            joined.write_published()
        })?;
        Self::open(folder)
    }
}

/// What would be overwritten is refused.
fn check_free(folder: &Path, names: &[&str]) -> Result<(), Error> {
    for name in names {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Error::FolderInUse { path });
        }
    }
    Ok(())
}

/// Does the work with a scratch folder that is gone afterwards, writes a catalog where there is
/// none, and then moves the settings that it made into place.
fn in_scratch(
    folder: &Path,
    text: Option<&str>,
    work: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let scratch = folder.join(SCRATCH);
    durable::create_folders(folder, Mode::Public)?;
    durable::create_folder(&scratch, Mode::Private)?;
    let made = work(&scratch).and_then(|()| finish(&scratch, folder, text));
    let removed = fs::remove_dir_all(&scratch).map_err(system("removing the scratch folder"));
    // Where something failed nothing was issued yet: what is half made can go.
    made.and(removed)?;
    Ok(durable::sync_folder_of(&scratch)?)
}

fn finish(scratch: &Path, folder: &Path, text: Option<&str>) -> Result<(), Error> {
    let catalog = folder.join(CATALOG);
    if let Some(text) = text.filter(|_| !catalog.exists()) {
        durable::create_new(&catalog, text.as_bytes(), Mode::Public)?;
    }
    // After a power cut there are no settings without all that they are for.
    durable::sync_folder_of(&catalog)?;
    failpoint!("init-before-move");
    let moved = fs::rename(scratch.join(SETTINGS), folder.join(SETTINGS));
    moved.map_err(system("moving into place"))?;
    failpoint!("init-after-moves");
    Ok(())
}

/// Makes the parts of an issuer in an empty folder, with a store in a file.
fn make(
    folder: &Path,
    settings: Settings,
    root: FirstRoot,
    passphrase: &Passphrase,
    context: &Context,
) -> Result<Issuer, Error> {
    durable::create_folder(&folder.join(KEYS), Mode::Private)?;
    durable::create_folder(&folder.join(PUBLISHED), Mode::Public)?;
    write_settings(folder, &settings)?;
    let store = Store::create(&Location::File(folder.join(STORE)))?;
    let mut issuer = Issuer {
        folder: folder.into(),
        settings,
        store,
        accepted: Vec::new(),
        _in_use: use_store(folder)?,
    };
    let created = Event::IssuerCreated {
        issuer: issuer.settings.issuer.clone(),
    };
    issuer
        .store
        .write(context, |writer| writer.append(&created))?;
    if root == FirstRoot::ByCeremony {
        keys::make_all(&mut issuer, None, passphrase, context)?;
        return Ok(issuer);
    }
    let key = SigningKey::generate()?;
    keys::make_all(&mut issuer, Some(&key), passphrase, context)?;
    publish::first_root(&mut issuer, &key, context)?;
    issuer.publish_keyset(passphrase, context)?;
    issuer.publish_status(passphrase, context)?;
    Ok(issuer)
}

/// Moves what was made into place.
fn place(scratch: &Path, folder: &Path, names: &[&str]) -> Result<(), Error> {
    for name in names {
        failpoint!("init-before-move");
        fs::rename(scratch.join(name), folder.join(name)).map_err(system("moving into place"))?;
    }
    Ok(())
}

/// Writes the settings of a folder.
pub(super) fn write_settings(folder: &Path, settings: &Settings) -> Result<(), Error> {
    let body = toml::to_string(settings).expect("settings are plain values");
    let text = format!(
        "# Settings of this Phi issuer. The name stands in everything it signs: keep it.\n{body}"
    );
    let path = folder.join(SETTINGS);
    Ok(durable::write(&path, text.as_bytes(), Mode::Public)?)
}
