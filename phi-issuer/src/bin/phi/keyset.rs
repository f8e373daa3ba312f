//! `phi keyset`: which keys sign licenses, as applications know it.

use clap::{Args, Subcommand};
use phi_issuer::Published;
use phi_verify::DocumentKind;
use phi_verify::dangerous_inspect::{self, Document};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::key::AcceptedKeys;
use crate::output::{Answer, Page};
use crate::session::Session;
use crate::view::{KeysetView, shown};

/// Publish and show the keyset: which keys sign licenses
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Publish(Publish),
    Show(Show),
}

/// Sign and publish the license keys as they are now
#[derive(Debug, Args)]
#[command(
    long_about = "Sign and publish the license keys as they are now.\n\n\
        A key that no keyset named before must be in keys/ of this folder: whoever can write the \
        store could have put it there. If another operator made it, ask, and name it with \
        --accept-key.",
    after_help = "Examples:\n  \
        phi keyset publish\n  \
        phi keyset publish --accept-key 3q2-7wEjRWeJ"
)]
pub(crate) struct Publish {
    #[command(flatten)]
    accepted: AcceptedKeys,
}

/// Show the keyset that is published
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi keyset show")]
pub(crate) struct Show {}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let (changed, publication) = match self {
            Self::Publish(command) => {
                command.accepted.tell(&mut issuer);
                match issuer.publish_keyset(session, &session.context())? {
                    Published::New(publication) => (Some(true), publication),
                    Published::Unchanged(publication) => (Some(false), publication),
                }
            }
            Self::Show(_) => (None, issuer.published(DocumentKind::Keyset, "")?),
        };
        let Document::Keyset(keyset) = dangerous_inspect::document(&publication.document)? else {
            unreachable!("the library hands out what was asked for");
        };
        let file = issuer.published_folder().join(publication.file_name());
        session.output().print(&KeysetAnswer {
            changed,
            file: shown(&file),
            keyset: KeysetView::new(&keyset),
        })
    }
}

/// The keyset.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi keyset publish and phi keyset show")]
pub(crate) struct KeysetAnswer {
    /// Whether there was something new to publish; null for `show`.
    changed: Option<bool>,
    /// Its file.
    file: String,
    /// What it says.
    keyset: KeysetView,
}

impl Answer for KeysetAnswer {
    fn show(&self, page: &mut Page) {
        if self.changed == Some(false) {
            page.line("nothing changed since the last publication");
        }
        page.field("file", &self.file);
        self.keyset.show(page);
    }
}
