//! `phi report`: what the ledger knows of a customer, as one page for people who judge it.
//!
//! What it says is the library's dossier; `report/` lays it out. The page loads nothing and runs
//! nothing: everything is in the one file.

mod evidence;
mod license;
mod page;
mod parts;

use std::path::PathBuf;

use clap::Args;
use phi_issuer::durable::{self, Mode};
use phi_issuer::when::When;
use phi_issuer::{Dossier, DossierRequest};
use schemars::JsonSchema;
use serde::Serialize;

use self::page::Frame;
use crate::failure::Failure;
use crate::output::{Answer, Page, Tone, clean, say};
use crate::session::Session;
use crate::view::{counted, shown};

/// Write a report on a customer: what it was entitled to, who changed it and why, with proofs
#[derive(Debug, Args)]
#[command(
    long_about = "Write a report on a customer, for a legal reader: its licenses, everything that \
        happened to them, what they granted and when, the tokens, and the proofs that all of it is \
        in the ledger.\n\n\
        It is one HTML file that loads nothing: read it in a browser, or print it to PDF from \
        there. Sign the ledger first with phi ledger checkpoint, so that a checkpoint covers \
        everything in it.",
    after_help = "Examples:\n  \
        phi report globex --out globex.html\n  \
        phi report globex --product atlas --from 2026-01-01 --to 2026-12-31 --out globex-2026.html"
)]
pub(crate) struct Report {
    /// The customer's id
    customer: String,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only what happened at this time or later: a date (from its beginning) or a time
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    /// Only what happened before this time: a date (to its end) or a time
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
    /// Only what is about this product, or about the customer itself
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
}

impl Report {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let now = session.now();
        let to = self.to.map(|to| to.end(now)).transpose()?;
        let request = DossierRequest {
            customer: self.customer,
            product: self.product,
            from: self.from.map(|from| from.beginning(now)).transpose()?,
            to: to.flatten(),
            now,
        };
        let mut issuer = session.issuer()?;
        let dossier = issuer.dossier(&request)?;
        let frame = Frame {
            issuer: &issuer.settings().issuer,
            author: &session.actor(),
            request: &request,
        };
        // Whatever people wrote is text in the page; this makes sure that it also stays in its
        // place and in its order.
        let html = clean(&page::html(&dossier, &frame).into_string());
        // It tells what a customer bought: the file is its owner's.
        durable::create_new(&self.out, html.as_bytes(), Mode::Private)?;
        session
            .output()
            .print(&ReportAnswer::new(&dossier, shown(&self.out)))?;
        if dossier.uncovered() > 0 {
            say("phi: next: phi ledger checkpoint, then make the report again in another file");
        }
        Ok(())
    }
}

/// A report that was written.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi report")]
pub(crate) struct ReportAnswer {
    /// The file.
    file: String,
    /// The customer's id.
    customer: String,
    /// How many licenses are in it.
    licenses: usize,
    /// How many events.
    events: usize,
    /// How many of them no checkpoint covers yet.
    uncovered_events: usize,
    /// How many tokens.
    tokens: usize,
    /// How many events the newest checkpoint covers; null if there is none.
    checkpoint_events: Option<u64>,
}

impl ReportAnswer {
    fn new(dossier: &Dossier, file: String) -> Self {
        let checkpoint = dossier.checkpoint.as_ref();
        Self {
            file,
            customer: dossier.customer.id.clone(),
            licenses: dossier.licenses.len(),
            events: dossier.recorded().count(),
            uncovered_events: dossier.uncovered(),
            tokens: dossier.tokens.len(),
            checkpoint_events: checkpoint.map(|checkpoint| checkpoint.size),
        }
    }
}

impl Answer for ReportAnswer {
    fn show(&self, page: &mut Page) {
        page.field("report", &self.file);
        page.field("customer", &self.customer);
        page.field("licenses", self.licenses);
        page.field("events", self.events);
        page.field("tokens", self.tokens);
        if self.uncovered_events > 0 {
            let events = counted(self.uncovered_events, "event");
            let about = format!("no checkpoint covers {events} in it yet");
            page.headline(Tone::Warn, "NOT COVERED", &about);
        }
    }
}
