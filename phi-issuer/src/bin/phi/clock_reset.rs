//! `phi clock-reset`: a machine whose clock ran ahead may forget that, once.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use phi_issuer::durable::{self, Mode};
use phi_issuer::when::{Length, When};
use phi_issuer::{Context, ResetRequest};
use phi_verify::dangerous_inspect::{self, Document};
use phi_verify::{InstallationId, armor};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::{ClockResetView, shown};

/// Let an installation forget, once, what its clock has shown
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Issue(Issue),
}

/// Sign a clock reset for one installation
#[derive(Debug, Args)]
#[command(
    long_about = "Sign a clock reset for one installation.\n\n\
        An application whose machine ran days ahead and was set right refuses its license, for \
        the clock was set back. With this document it forgets what the clock has shown, once; \
        the clock is set right first. The installation's id is in the report of the application. \
        Signed by the status role's keys and recorded. The next status document heals every \
        application that imports it, without a reset.",
    after_help = "Examples:\n  \
        phi clock-reset issue --installation 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --out reset.phi\n  \
        phi clock-reset issue --installation 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --to now \\\n    \
        --valid-for 2d --format armor --out reset.txt --reason \"ticket 512\""
)]
pub(crate) struct Issue {
    /// The installation's id, from the application's report
    #[arg(long, value_name = "ID")]
    installation: InstallationId,
    /// The time at which the clock begins again, now or before [default: what it shows when the
    /// reset is used]
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
    /// For how long it can be used, 90 days at most
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    valid_for: Length,
    /// How the reset is written
    #[arg(long, value_enum, default_value_t = Format::Phi)]
    format: Format,
    /// The new file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// How a reset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The document, as applications read it
    Phi,
    /// Text between BEGIN and END lines, for mail
    Armor,
}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Issue(command) => command.run(session),
        }
    }
}

impl Issue {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        // What is recorded as given out is not to fail for a name that is taken.
        if self.out.symlink_metadata().is_ok() {
            let message = format!("{} already exists", self.out.display());
            return Err(Failure::new("file-exists", message));
        }
        let to = self.to.map(|to| to.beginning(session.now())).transpose()?;
        let request = ResetRequest {
            installation: self.installation,
            valid_for: self.valid_for.0,
            to,
        };
        let context = Context {
            reason: self.reason.clone(),
            ..session.context()
        };
        let mut issuer = session.issuer()?;
        let made = issuer.issue_clock_reset(&request, session, &context)?;
        let written = match self.format {
            Format::Phi => made.document.clone(),
            Format::Armor => {
                let word = armor::document_to_text(&made.document)?;
                armor::wrap("CLOCK RESET", &word).into_bytes()
            }
        };
        durable::create_new(&self.out, &written, Mode::Public).map_err(|error| {
            let way = "it is recorded, and worth nothing to anybody else: run the command again \
                       with another --out";
            Failure::from(error).hint(way)
        })?;
        let Document::ClockReset(reset) = dangerous_inspect::document(&made.document)? else {
            unreachable!("the library hands out what was asked for");
        };
        session.output().print(&ClockResetAnswer {
            file: shown(&self.out),
            reset: ClockResetView::new(&reset),
        })?;
        if !session.output().is_json() {
            say("phi: next: send it; the machine's clock is set right before it is used");
        }
        Ok(())
    }
}

/// A clock reset that was given out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi clock-reset issue")]
pub(crate) struct ClockResetAnswer {
    /// Its file.
    file: String,
    /// What it says.
    reset: ClockResetView,
}

impl Answer for ClockResetAnswer {
    fn show(&self, page: &mut Page) {
        page.field("file", &self.file);
        self.reset.show(page);
    }
}
