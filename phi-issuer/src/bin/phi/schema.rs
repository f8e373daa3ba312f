//! `phi schema`: what the JSON of each command looks like.

use std::path::PathBuf;

use clap::Args;
use phi_issuer::durable::{self, Mode};
use schemars::{Schema, schema_for};

use crate::failure::{Failure, FailureAnswer};
use crate::output::{say, to_json};
use crate::{
    batch, catalog, customer, fingerprint, init, inspect, key, keyset, ledger, license, mint,
    revoke, status, verify,
};

/// Write the JSON schemas of what --json prints, one file a command
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi schema docs/cli/schema")]
pub(crate) struct SchemaCommand {
    /// The folder, which must be there; schemas in it are replaced
    folder: PathBuf,
}

impl SchemaCommand {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let schemas = all();
        for (name, schema) in &schemas {
            let text = to_json(schema);
            let path = self.folder.join(format!("{name}.json"));
            durable::write(&path, text.as_bytes(), Mode::Public)?;
        }
        let folder = self.folder.display();
        say(&format!("phi: {} schemas in {folder}", schemas.len()));
        Ok(())
    }
}

/// The schemas by the names of their commands.
fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("error", schema_for!(FailureAnswer)),
        ("init", schema_for!(init::InitAnswer)),
        ("catalog-check", schema_for!(catalog::CheckAnswer)),
        ("catalog-diff", schema_for!(catalog::DiffAnswer)),
        ("catalog-publish", schema_for!(catalog::DiffAnswer)),
        ("catalog-show", schema_for!(catalog::CatalogAnswer)),
        ("key-new", schema_for!(key::KeyAnswer)),
        ("key-list", schema_for!(key::KeyListAnswer)),
        ("key-show", schema_for!(key::KeyAnswer)),
        ("key-rotate", schema_for!(key::RotationAnswer)),
        ("key-retire", schema_for!(key::KeyAnswer)),
        ("keyset-publish", schema_for!(keyset::KeysetAnswer)),
        ("keyset-show", schema_for!(keyset::KeysetAnswer)),
        ("status-publish", schema_for!(status::StatusAnswer)),
        ("status-show", schema_for!(status::StatusAnswer)),
        ("customer-add", schema_for!(customer::CustomerAnswer)),
        ("customer-list", schema_for!(customer::CustomerListAnswer)),
        ("customer-show", schema_for!(customer::CustomerShowAnswer)),
        ("ledger-rebuild", schema_for!(ledger::RebuildAnswer)),
        ("license-issue", schema_for!(license::LicenseAnswer)),
        ("license-list", schema_for!(license::LicenseListAnswer)),
        ("license-show", schema_for!(license::LicenseShowAnswer)),
        ("mint", schema_for!(mint::MintAnswer)),
        ("mint-batch", schema_for!(batch::BatchRow)),
        ("revoke", schema_for!(revoke::RevokeAnswer)),
        ("verify", schema_for!(verify::VerifyAnswer)),
        ("inspect", schema_for!(inspect::InspectAnswer)),
        ("fingerprint", schema_for!(fingerprint::FingerprintAnswer)),
    ]
}
