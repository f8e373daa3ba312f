//! `phi proof`: whether a proof shows what it is said to show, offline.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use phi_issuer::Entry;
use phi_verify::Root;
use phi_verify::log::{
    Inclusion, LogState, MAX_NOTE, MAX_PROOF, Origin, Proof, UntrustedCheckpoint,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::{Object, read_file};
use crate::output::{Answer, Page, Tone};
use crate::session::Session;
use crate::trust::{Trust, TrustFolder};
use crate::view::{Stamp, shown};

/// Check proofs about the ledger, offline
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Verify(Verify),
}

/// Verify that a token or an event is in the ledger, or that the ledger only grew
#[derive(Debug, Args)]
#[command(
    long_about = "Verify a proof that phi ledger prove made: that a token or an event is in the \
        ledger, or that the ledger continues the one of an older checkpoint. Nothing is asked of \
        the issuer's store: what is believed are the root documents of the trust folder.",
    after_help = "Examples:\n  \
        phi proof verify license.tlog-proof --token license.txt --trust /etc/atlas/phi\n  \
        phi proof verify event-17.tlog-proof --entry event-17.cbor\n  \
        phi proof verify growth.txt --checkpoint checkpoint-2026-06"
)]
#[group(skip)]
pub(crate) struct Verify {
    /// The proof
    proof: PathBuf,
    #[command(flatten)]
    what: What,
    /// The folder with the issuer's published documents [default: DIR/published]
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// The root document to believe [default: the first in the trust folder]
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

/// What the proof is about.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// The token: text, a file or -
    #[arg(long, value_name = "TOKEN")]
    token: Option<OsString>,
    /// The event, in the file that phi ledger prove --entry wrote
    #[arg(long, value_name = "FILE")]
    entry: Option<PathBuf>,
    /// The older checkpoint
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// An entry names documents and catalogs in full: the largest is a status list.
const MAX_ENTRY: u64 = 8 << 20;

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let Self::Verify(command) = self;
        command.run(session)
    }
}

impl Verify {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let folder = self.trust.clone().unwrap_or_else(|| session.published());
        let trust = TrustFolder::open(&folder)?.load(self.anchor.as_deref())?;
        let root = trust.state.root();
        let answer = match &self.what {
            What {
                token: Some(token), ..
            } => self.token(token, root)?,
            What {
                entry: Some(entry), ..
            } => self.entry(entry, root)?,
            What { checkpoint, .. } => {
                let older = checkpoint.as_deref();
                self.growth(older.expect("the parser asks for one of the three"), &trust)?
            }
        };
        session.output().print(&answer)
    }

    fn token(&self, token: &OsString, root: &Root) -> Result<ProofVerifyAnswer, Failure> {
        let Object::Token(token) = Object::read(token)? else {
            let message = "what is handed in as a token is none";
            return Err(Failure::new("wrong-kind", message));
        };
        let logged = logged(&read_proof(&self.proof)?, &token, root)?;
        Ok(ProofVerifyAnswer {
            about: "the token is in the ledger".into(),
            logged,
            event: None,
            grew_from: None,
        })
    }

    fn entry(&self, path: &Path, root: &Root) -> Result<ProofVerifyAnswer, Failure> {
        let bytes = read_file(path, MAX_ENTRY)?;
        let (entry, leaf) = Entry::parse(&bytes).map_err(|error| {
            let message = format!("{} is no entry of a ledger: {error}", shown(path));
            Failure::new("input-invalid", message)
        })?;
        let proof = Proof::parse(&read_text(&self.proof, MAX_PROOF)?)?;
        let inclusion = proof.verify_leaf(&leaf, root)?;
        Ok(ProofVerifyAnswer {
            about: "the event is in the ledger".into(),
            logged: LoggedView::new(&inclusion),
            event: Some(EventView {
                event: entry.event.name().into(),
                time: entry.time.into(),
                actor: entry.actor,
                reason: entry.reason,
            }),
            grew_from: None,
        })
    }

    fn growth(&self, path: &Path, trust: &Trust) -> Result<ProofVerifyAnswer, Failure> {
        let older = older(path, trust)?;
        let newer = older.advance(&read_text(&self.proof, MAX_PROOF)?, trust.state.root())?;
        let lines: Vec<_> = newer.as_str().lines().collect();
        Ok(ProofVerifyAnswer {
            about: "the ledger only grew".into(),
            logged: LoggedView {
                number: None,
                origin: lines.first().copied().unwrap_or_default().into(),
                ledger_events: newer.size(),
                root: newer.root().to_string(),
            },
            event: None,
            grew_from: Some(older.size()),
        })
    }
}

/// The older checkpoint, which ledger keys must have signed that a root names, or once named.
fn older(path: &Path, trust: &Trust) -> Result<LogState, Failure> {
    let text = read_text(path, MAX_NOTE)?;
    let checkpoint = UntrustedCheckpoint::parse(&text)?;
    let origin = Origin::of_issuer(&trust.state.root().issuer);
    let mut keys = trust.ledger_keys.iter();
    let verified = keys.find_map(|keys| checkpoint.verify(keys, &origin).ok());
    match verified {
        Some(checkpoint) => Ok(LogState::begin(checkpoint)),
        // Why the newest keys do not take it.
        None => Ok(LogState::begin(
            checkpoint.verify(&trust.state.root().ledger, &origin)?,
        )),
    }
}

/// What a proof shows of a token.
///
/// # Errors
/// Why the proof does not show that it is in the ledger.
pub(crate) fn logged(proof: &str, token: &str, root: &Root) -> Result<LoggedView, Failure> {
    let proof = Proof::parse(proof)?;
    Ok(LoggedView::new(&proof.verify_token(token, root)?))
}

/// The text of a proof's file.
///
/// # Errors
/// As [`read_file`], and `proof-invalid`.
pub(crate) fn read_proof(path: &Path) -> Result<String, Failure> {
    read_text(path, MAX_PROOF)
}

fn read_text(path: &Path, limit: usize) -> Result<String, Failure> {
    let bytes = read_file(path, limit as u64)?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{} is not UTF-8", shown(path));
        Failure::new("proof-invalid", message)
    })
}

/// Where in the ledger something stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoggedView {
    /// The number of the event, from 1; null for a proof that the ledger grew.
    number: Option<u64>,
    /// The log of which the checkpoint is.
    origin: String,
    /// How many events the checkpoint covers.
    ledger_events: u64,
    /// The root of the hashes over them, in base64.
    root: String,
}

impl LoggedView {
    fn new(inclusion: &Inclusion) -> Self {
        let checkpoint = inclusion.checkpoint();
        Self {
            number: Some(inclusion.index() + 1),
            origin: checkpoint.origin().into(),
            ledger_events: checkpoint.size(),
            root: checkpoint.root().to_string(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let (events, origin) = (self.ledger_events, &self.origin);
        match self.number {
            Some(number) => format!("event {number} of {events} in {origin}"),
            None => format!("{events} events in {origin}"),
        }
    }
}

/// What the event of a proof is.
#[derive(Debug, Serialize, JsonSchema)]
struct EventView {
    /// The event's word.
    event: String,
    /// When it was recorded.
    time: Stamp,
    /// Who recorded it.
    actor: String,
    /// Why, in the actor's words.
    reason: Option<String>,
}

/// A proof that holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi proof verify")]
pub(crate) struct ProofVerifyAnswer {
    /// What it shows.
    about: String,
    #[serde(flatten)]
    logged: LoggedView,
    /// The event; null if the proof is about something else.
    event: Option<EventView>,
    /// How many events the older checkpoint covers; null if the proof is about something else.
    grew_from: Option<u64>,
}

impl Answer for ProofVerifyAnswer {
    fn show(&self, page: &mut Page) {
        page.headline(Tone::Good, "VERIFIED", &self.about);
        page.gap();
        page.field("ledger", self.logged.line());
        page.field("root", &self.logged.root);
        if let Some(older) = self.grew_from {
            page.field("grew from", format!("{older} events"));
        }
        if let Some(event) = &self.event {
            page.field("event", &event.event);
            page.field("recorded", &event.time);
            page.field("by", &event.actor);
            if let Some(reason) = &event.reason {
                page.field("reason", reason);
            }
        }
    }
}
