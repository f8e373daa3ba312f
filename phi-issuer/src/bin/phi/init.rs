//! `phi init`: a new issuer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use phi_issuer::keyfile::KdfStrength;
use phi_issuer::{FirstRoot, InitOptions, Issuer, StoreOptions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::root::practice_name;
use crate::session::Session;
use crate::view::shown;

/// Make a new issuer: keys, store, a catalog to edit, and the first trust documents
#[derive(Debug, Args)]
#[command(
    long_about = "Make a new issuer in the folder: an encrypted key for every role, the store, a \
        catalog.toml to edit, and in published/ the first root, keyset and status documents. \
        Applications embed root-1.phi as their trust anchor.\n\n\
        The store is the file phi.db in the folder, for one machine, or with --store a database \
        on a PostgreSQL server, for several. With --join the folder becomes another one of an \
        issuer that is in such a database already: it gets settings and published documents, and \
        you bring the key files that you sign with.",
    after_help = "Examples:\n  \
        phi init --issuer phi.example.com --product atlas\n  \
        phi init --issuer phi.example.com --product atlas --store postgres://phi@db.example/phi\n  \
        phi init --issuer phi.example.com --product atlas --root-by-ceremony\n  \
        phi init --join --store postgres://phi@db.example/phi\n\n\
        The URL has no password: put it into ~/.pgpass. docs/guides/postgresql.md says more."
)]
pub(crate) struct Init {
    /// The issuer's stable name, in everything that it signs, such as a host name of yours
    #[arg(long, value_name = "NAME", required_unless_present = "join")]
    issuer: Option<String>,
    /// The first product
    #[arg(long, value_name = "NAME", required_unless_present = "join")]
    product: Option<String>,
    /// How hard the key files are to open by guessing: fast, standard or strong
    #[arg(long, value_name = "STRENGTH", default_value = "standard")]
    kdf: KdfStrength,
    /// A database on a PostgreSQL server, as `postgres://USER@HOST/DATABASE` without a password
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The certificate in PEM of the server's authority, if it is none of the system's
    #[arg(long, value_name = "FILE", requires = "store")]
    store_ca: Option<PathBuf>,
    /// Make no root key and no root: its holders make the first one, with phi root init
    #[arg(long, conflicts_with = "join")]
    root_by_ceremony: bool,
    /// Make an issuer to practice with, which no application is to trust
    #[arg(long, conflicts_with = "join")]
    practice: bool,
    /// Make a folder for the issuer that is in the database
    #[arg(long, requires = "store", conflicts_with_all = ["issuer", "product"])]
    join: bool,
}

impl Init {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let store = StoreOptions {
            url: self.store,
            // Where the command runs is not where the settings are.
            authority: self
                .store_ca
                .map(|path| std::path::absolute(&path).unwrap_or(path)),
        };
        // Before anybody is asked for a passphrase.
        store.check(session.dir())?;
        if self.join {
            let mut issuer = Issuer::join(session.dir(), store, self.kdf)?;
            session.output().print(&answer(session, &mut issuer)?)?;
            say(
                "phi: next: bring the files of the keys that you sign with into keys/; phi key \
                 list says which there are",
            );
            return Ok(());
        }
        let options = InitOptions {
            issuer: practice_name("an issuer", &self.issuer.unwrap_or_default(), self.practice)?,
            product: self.product.unwrap_or_default(),
            kdf: self.kdf,
            store,
            root: if self.root_by_ceremony {
                FirstRoot::ByCeremony
            } else {
                FirstRoot::Here
            },
        };
        let root = options.root;
        let passphrase = session.new_passphrase()?;
        let mut issuer = Issuer::init(session.dir(), &options, &passphrase, &session.context())?;
        session.output().print(&answer(session, &mut issuer)?)?;
        if root == FirstRoot::ByCeremony {
            say("phi: next: phi root init with the public files of the root's holders");
            return Ok(());
        }
        say(
            "phi: next: edit catalog.toml, then run phi catalog publish; keep the root key's file \
             offline",
        );
        Ok(())
    }
}

fn answer(session: &Session, issuer: &mut Issuer) -> Result<InitAnswer, Failure> {
    let keys = issuer.keys()?.into_iter();
    let anchor = issuer.published_folder().join("root-1.phi");
    Ok(InitAnswer {
        issuer: issuer.settings().issuer.clone(),
        folder: session.dir().display().to_string(),
        store: issuer.settings().store.clone(),
        // The newest of a role stands last.
        keys: keys
            .map(|key| (key.role.to_string(), key.public.id().to_string()))
            .collect(),
        trust_anchor: anchor.exists().then(|| shown(&anchor)),
        catalog: shown(&issuer.catalog_path()),
    })
}

/// A new issuer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi init")]
pub(crate) struct InitAnswer {
    /// Its name.
    issuer: String,
    /// Its folder.
    folder: String,
    /// The database that its store is in, if it is not in the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// The key ids by role.
    keys: BTreeMap<String, String>,
    /// The root document that applications embed; null until a ceremony has made it.
    trust_anchor: Option<String>,
    /// The catalog to edit.
    catalog: String,
}

impl Answer for InitAnswer {
    fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("folder", &self.folder);
        if let Some(store) = &self.store {
            page.field("store", store);
        }
        for (role, key) in &self.keys {
            page.field(&format!("{role} key"), key);
        }
        let none = "none yet: the root's holders make it";
        page.field("trust anchor", self.trust_anchor.as_deref().unwrap_or(none));
        page.field("catalog", &self.catalog);
    }
}
