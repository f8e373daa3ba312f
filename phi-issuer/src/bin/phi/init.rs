//! `phi init`: a new issuer.

use std::collections::BTreeMap;

use clap::Args;
use phi_issuer::keyfile::KdfStrength;
use phi_issuer::{InitOptions, Issuer};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::shown;

/// Make a new issuer: keys, store, a catalog to edit, and the first trust documents
#[derive(Debug, Args)]
#[command(
    long_about = "Make a new issuer in the folder: an encrypted key for every role, the store, a \
        catalog.toml to edit, and in published/ the first root, keyset and status documents. \
        Applications embed root-1.phi as their trust anchor.",
    after_help = "Example:\n  phi init --issuer phi.example.com --product atlas"
)]
pub(crate) struct Init {
    /// The issuer's stable name, in everything that it signs, such as a host name of yours
    #[arg(long, value_name = "NAME")]
    issuer: String,
    /// The first product
    #[arg(long, value_name = "NAME")]
    product: String,
    /// How hard the key files are to open by guessing: fast, standard or strong
    #[arg(long, value_name = "STRENGTH", default_value = "standard")]
    kdf: KdfStrength,
}

impl Init {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let options = InitOptions {
            issuer: self.issuer,
            product: self.product,
            kdf: self.kdf,
        };
        let passphrase = session.new_passphrase()?;
        let mut issuer = Issuer::init(session.dir(), &options, &passphrase, &session.context())?;
        let keys = issuer.keys()?.into_iter();
        let anchor = issuer.published_folder().join("root-1.phi");
        session.output().print(&InitAnswer {
            issuer: options.issuer,
            folder: session.dir().display().to_string(),
            keys: keys
                .map(|key| (key.role.to_string(), key.public.id().to_string()))
                .collect(),
            trust_anchor: shown(&anchor),
            catalog: shown(&issuer.catalog_path()),
        })?;
        say(
            "phi: next: edit catalog.toml, then run phi catalog publish; keep the root key's file \
             offline",
        );
        Ok(())
    }
}

/// A new issuer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi init")]
pub(crate) struct InitAnswer {
    /// Its name.
    issuer: String,
    /// Its folder.
    folder: String,
    /// The key ids by role.
    keys: BTreeMap<String, String>,
    /// The root document that applications embed.
    trust_anchor: String,
    /// The catalog to edit.
    catalog: String,
}

impl Answer for InitAnswer {
    fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("folder", &self.folder);
        for (role, key) in &self.keys {
            page.field(&format!("{role} key"), key);
        }
        page.field("trust anchor", &self.trust_anchor);
        page.field("catalog", &self.catalog);
    }
}
