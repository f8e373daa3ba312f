//! `phi schema`: what the JSON of each command looks like.

use std::path::PathBuf;

use clap::Args;
use phi_issuer::durable::{self, Mode};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::failure::{Failure, FailureAnswer};
use crate::output::{say, to_json};
use crate::view::EventView;
use crate::{
    audit, batch, bundle, catalog, clock_reset, customer, diff, doctor, export, fingerprint,
    import, init, inspect, key, keyset, ledger, license, mint, proof, report, revoke, root, status,
    trust_import, trust_report, unrevoke, verify,
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
        ("error", of::<FailureAnswer>()),
        ("init", of::<init::InitAnswer>()),
        ("catalog-check", of::<catalog::CheckAnswer>()),
        ("catalog-diff", of::<catalog::DiffAnswer>()),
        ("catalog-publish", of::<catalog::DiffAnswer>()),
        ("catalog-show", of::<catalog::CatalogAnswer>()),
        ("key-new", of::<key::KeyAnswer>()),
        ("key-list", of::<key::KeyListAnswer>()),
        ("key-show", of::<key::KeyAnswer>()),
        ("key-check", of::<key::CheckAnswer>()),
        ("key-tokens", of::<key::TokensAnswer>()),
        ("key-export", of::<key::EscrowAnswer>()),
        ("key-import", of::<key::KeyAnswer>()),
        ("key-rotate", of::<key::RotationAnswer>()),
        ("key-rotate-plan", of::<key::PlanAnswer>()),
        ("key-reschedule", of::<key::RotationAnswer>()),
        ("key-retire", of::<key::KeyAnswer>()),
        ("key-revoke", of::<revoke::RevokeAnswer>()),
        ("key-timeline", of::<key::TimelineAnswer>()),
        ("root-holder-new", of::<root::HolderAnswer>()),
        ("root-init", of::<root::ProposalAnswer>()),
        ("root-propose", of::<root::ProposalAnswer>()),
        ("root-show", of::<root::ShowAnswer>()),
        ("root-sign", of::<root::SignAnswer>()),
        ("root-assemble", of::<root::AssembleAnswer>()),
        ("keyset-publish", of::<keyset::KeysetAnswer>()),
        ("keyset-show", of::<keyset::KeysetAnswer>()),
        ("status-publish", of::<status::StatusAnswer>()),
        ("status-build", of::<status::BuildAnswer>()),
        ("status-check", of::<status::CheckAnswer>()),
        ("status-diff", of::<status::DiffAnswer>()),
        ("status-show", of::<status::StatusAnswer>()),
        ("customer-add", of::<customer::CustomerAnswer>()),
        ("customer-change", of::<customer::CustomerAnswer>()),
        ("customer-list", of::<customer::CustomerListAnswer>()),
        ("customer-show", of::<customer::CustomerShowAnswer>()),
        ("audit-query", of::<audit::EventsAnswer>()),
        ("audit-show", of::<EventView>()),
        ("report", of::<report::ReportAnswer>()),
        ("doctor", of::<doctor::DoctorAnswer>()),
        ("ledger-checkpoint", of::<ledger::CheckpointAnswer>()),
        ("ledger-verify", of::<ledger::VerifiedAnswer>()),
        ("ledger-prove", of::<ledger::ProofAnswer>()),
        ("ledger-prove-kept-by", of::<ledger::KeptAnswer>()),
        ("ledger-backup", of::<ledger::BackupAnswer>()),
        ("ledger-restore", of::<ledger::VerifiedAnswer>()),
        ("ledger-export", of::<ledger::ExportAnswer>()),
        ("ledger-import", of::<ledger::VerifiedAnswer>()),
        ("bundle-write", of::<bundle::BundleAnswer>()),
        ("bundle-show", of::<bundle::BundleAnswer>()),
        ("clock-reset-issue", of::<clock_reset::ClockResetAnswer>()),
        ("trust-import", of::<trust_import::ImportAnswer>()),
        ("trust-report", of::<trust_report::ReportAnswer>()),
        ("proof-verify", of::<proof::ProofVerifyAnswer>()),
        ("ledger-correct-clock", of::<ledger::ClockAnswer>()),
        ("ledger-rebuild", of::<ledger::RebuildAnswer>()),
        ("license-issue", of::<license::IssueAnswer>()),
        ("license-list", of::<license::LicenseListAnswer>()),
        ("license-show", of::<license::LicenseShowAnswer>()),
        ("license-amend", of::<license::ChangeAnswer>()),
        ("license-renew", of::<license::ChangeAnswer>()),
        ("license-suspend", of::<license::ChangeAnswer>()),
        ("license-reinstate", of::<license::ChangeAnswer>()),
        ("license-convert", of::<license::ChangeAnswer>()),
        ("license-transfer", of::<license::TransferAnswer>()),
        ("license-rebind", of::<license::ChangeAnswer>()),
        ("license-withdraw", of::<license::ChangeAnswer>()),
        ("license-simulate", of::<license::SimulateAnswer>()),
        ("license-history", of::<license::HistoryAnswer>()),
        ("license-at", of::<license::AtAnswer>()),
        ("license-states", of::<license::StatesAnswer>()),
        ("diff", of::<diff::LicenseDiffAnswer>()),
        ("mint", of::<mint::MintAnswer>()),
        ("mint-batch", of::<batch::BatchRow>()),
        ("import", of::<import::ImportAnswer>()),
        ("export", of::<export::ExportAnswer>()),
        ("revoke", of::<revoke::RevokeAnswer>()),
        ("unrevoke", of::<unrevoke::UnrevokeAnswer>()),
        ("verify", of::<verify::VerifyAnswer>()),
        ("verify-bundle", of::<verify::BundleVerifyAnswer>()),
        ("inspect", of::<inspect::InspectAnswer>()),
        ("fingerprint", of::<fingerprint::FingerprintAnswer>()),
    ]
}

/// What is printed, rather than what could be read: every key that is always there is required.
fn of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<T>()
}
