//! `phi status`: what is revoked, as applications know it.

use clap::{Args, Subcommand};
use phi_verify::DocumentKind;
use phi_verify::dangerous_inspect::{self, Document};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::session::Session;
use crate::view::{StatusView, counted, shown};

/// Publish and show the status document: what is revoked
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Publish(Publish),
    Show(Show),
}

/// Sign and publish a status document of everything revoked
#[derive(Debug, Args)]
#[command(
    long_about = "Sign and publish a status document of everything revoked, as the next epoch.\n\n\
        Before it is recorded it is asked about every live token: what the store revokes must be \
        revoked, and nothing else.",
    after_help = "Example:\n  phi status publish"
)]
pub(crate) struct Publish {}

/// Show the status document that is published
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi status show")]
pub(crate) struct Show {}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let (publication, checked) = match self {
            Self::Publish(_) => {
                let (publication, report) = issuer.publish_status(session, &session.context())?;
                let checked = Checked {
                    live_tokens: report.checked,
                    revoked_tokens: report.revoked,
                };
                (publication, Some(checked))
            }
            Self::Show(_) => (issuer.published(DocumentKind::Status, "")?, None),
        };
        let Document::Status(status) = dangerous_inspect::document(&publication.document)? else {
            unreachable!("the library hands out what was asked for");
        };
        let file = issuer.published_folder().join(publication.file_name());
        session.output().print(&StatusAnswer {
            file: shown(&file),
            checked,
            status: StatusView::new(&status),
        })
    }
}

/// The status document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi status publish and phi status show")]
pub(crate) struct StatusAnswer {
    /// Its file.
    file: String,
    /// What it was asked before it was recorded; null for `show`.
    checked: Option<Checked>,
    /// What it says.
    status: StatusView,
}

/// The check of a status document against the store.
#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    /// Tokens that had not ended, and about which it was asked.
    live_tokens: u64,
    /// How many of them it revokes.
    revoked_tokens: u64,
}

impl Answer for StatusAnswer {
    fn show(&self, page: &mut Page) {
        page.field("file", &self.file);
        if let Some(checked) = &self.checked {
            page.field(
                "checked",
                format!(
                    "against {}, of which it revokes {}",
                    counted(
                        usize::try_from(checked.live_tokens).unwrap_or(usize::MAX),
                        "live token"
                    ),
                    checked.revoked_tokens
                ),
            );
        }
        self.status.show(page);
    }
}
