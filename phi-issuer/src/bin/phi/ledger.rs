//! `phi ledger`: the events from which everything else is derived, signed, proven and copied.

mod copies;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use copies::{Backup, Export, Import, Restore};
pub(crate) use copies::{BackupAnswer, ExportAnswer};
use indicatif::{ProgressBar, ProgressStyle};
use phi_issuer::durable::{self, Mode};
use phi_issuer::{
    Checkpointed, Issuer, Progress, Proven, SettledEarly, SignedCheckpoint, Verified,
};
use phi_verify::log::{Hash, MAX_NOTE};
use phi_verify::{KeyId, TokenId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::read_file;
use crate::license::detail;
use crate::output::{Answer, Page, Tone, print_text, say};
use crate::session::Session;
use crate::view::{Stamp, shown};

/// Sign, verify, prove and copy the ledger of events
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Checkpoint(Checkpoint),
    Verify(Verify),
    Prove(Prove),
    CorrectClock(CorrectClock),
    Rebuild(Rebuild),
    Backup(Backup),
    Restore(Restore),
    Export(Export),
    Import(Import),
}

/// Sign what the ledger is now
#[derive(Debug, Args)]
#[command(
    long_about = "Sign what the ledger is now: how many events it has, and the root of the hashes \
        over them.\n\n\
        The checkpoint is written to published/checkpoint. Whoever keeps a copy of it can show \
        later that no event before it was changed, taken away or put in.",
    after_help = "Example:\n  phi ledger checkpoint"
)]
pub(crate) struct Checkpoint {}

/// Compute everything in the store again, and name the first thing that is not so
#[derive(Debug, Args)]
#[command(
    long_about = "Compute everything in the store again from its events: hashes, checkpoints, \
        states of licenses, tokens and documents with their signatures, catalogs and all that \
        queries read. Ends with the first thing that is not so.\n\n\
        Whoever can write the store could write another history. Against that stands a checkpoint: \
        published/checkpoint if there is one, or better one that was kept elsewhere.",
    after_help = "Examples:\n  \
        phi ledger verify\n  \
        phi ledger verify --checkpoint /media/safe/checkpoint-2026-06"
)]
pub(crate) struct Verify {
    /// A checkpoint that was kept elsewhere [default: published/checkpoint, if there is one]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

/// Prove that a token or an event is in the ledger, or that the ledger only grew
#[derive(Debug, Args)]
#[command(
    long_about = "Prove that a token or an event is in the ledger that the newest checkpoint \
        covers (C2SP tlog-proof), or that this ledger continues the one of an older checkpoint.\n\n\
        A token's proof is checked offline, from the token alone: phi verify TOKEN --proof FILE.",
    after_help = "Examples:\n  \
        phi ledger prove --token 746f6b656e3030303030303030303031 --out license.tlog-proof\n  \
        phi ledger prove --event 17 --entry event-17.cbor\n  \
        phi ledger prove --since checkpoint-2026-06\n  \
        phi ledger prove --kept-by 3q2-7wEjRWeJ --folder proofs"
)]
#[group(skip)]
pub(crate) struct Prove {
    #[command(flatten)]
    what: What,
    /// The new file for the proof [default: standard output]
    #[arg(long, value_name = "FILE", conflicts_with = "kept_by")]
    out: Option<PathBuf>,
    /// With --kept-by: the folder for the proofs, TOKEN.tlog-proof each; it is made if it is not there
    #[arg(long, value_name = "FOLDER", requires = "kept_by")]
    folder: Option<PathBuf>,
    /// With --event: the new file for the event itself, of which the proof is
    #[arg(long, value_name = "FILE", requires = "event")]
    entry: Option<PathBuf>,
}

/// What is to be proven.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// That this token was recorded, by its id
    #[arg(long, value_name = "ID")]
    token: Option<TokenId>,
    /// That this event is in the ledger, by its number
    #[arg(long, value_name = "NUMBER")]
    event: Option<u64>,
    /// That nothing before this older checkpoint was changed
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// That the live tokens under this license key were recorded: of one that is revoked with a
    /// cut, those before it
    #[arg(
        long,
        value_name = "KEY",
        requires = "folder",
        allow_hyphen_values = true
    )]
    kept_by: Option<KeyId>,
}

/// Say that the newest entries are of a clock that was ahead
#[derive(Debug, Args)]
#[command(
    long_about = "Say that the newest entries were recorded under a clock that was ahead of this \
        machine's, which is right.\n\n\
        The ledger's times never fall by themselves, so one wrong clock would keep everybody from \
        recording until its time has come. The correction is an event that every audit shows; \
        entries before it count as recorded no later than it.\n\n\
        What those entries did stands. Changes that waited for a later time and that they found \
        due stay in effect: they are listed, to be undone where that is not what is wanted.",
    after_help = "Example:\n  phi ledger correct-clock --reason \"build machine was set to 2062\""
)]
pub(crate) struct CorrectClock {
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Read every event and make the derived tables again from them
#[derive(Debug, Args)]
#[command(
    long_about = "Read every event and make the derived tables again from them.\n\n\
        Nothing is lost if an event does not read: the tables are then as before.",
    after_help = "Example:\n  phi ledger rebuild"
)]
pub(crate) struct Rebuild {}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Checkpoint(_) => checkpoint(session),
            Self::Verify(command) => command.run(session),
            Self::Prove(command) => command.run(session),
            Self::CorrectClock(command) => command.run(session),
            Self::Rebuild(_) => {
                let events = session.issuer()?.rebuild()?;
                session.output().print(&RebuildAnswer { events })
            }
            Self::Backup(command) => command.run(session),
            Self::Restore(command) => command.run(session),
            Self::Export(command) => command.run(session),
            Self::Import(command) => command.run(session),
        }
    }
}

fn checkpoint(session: &Session) -> Result<(), Failure> {
    let mut issuer = session.issuer()?;
    let made = issuer.checkpoint(session, &session.context())?;
    let file = issuer.published_folder().join("checkpoint");
    session.output().print(&CheckpointAnswer {
        file: shown(&file),
        changed: matches!(made, Checkpointed::New(_)),
        checkpoint: CheckpointView::new(made.checkpoint()),
    })?;
    if matches!(made, Checkpointed::Unchanged(_)) {
        say("phi: nothing happened since this checkpoint was signed");
    }
    Ok(())
}

impl Verify {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let held = self
            .checkpoint
            .as_deref()
            .map(read_checkpoint)
            .transpose()?;
        let bar = bar("events");
        let verified = issuer.verify_ledger(held.as_deref(), |at| tell(&bar, at));
        bar.finish_and_clear();
        session.output().print(&VerifiedAnswer::new(&verified?))
    }
}

impl CorrectClock {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut context = session.context();
        context.reason = Some(self.reason.clone());
        let correction = session.issuer()?.correct_clock(&context)?;
        session.output().print(&ClockAnswer {
            was: correction.ahead.into(),
            now: context.now.into(),
            settled_early: correction.settled.iter().map(EarlyRow::new).collect(),
        })?;
        if !correction.settled.is_empty() {
            say(
                "phi: next: undo what is not to be in effect yet with phi license amend, reinstate \
                 or suspend, and plan it again with --effective",
            );
        }
        Ok(())
    }
}

impl Prove {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        if let (Some(key), Some(folder)) = (self.what.kept_by, &self.folder) {
            return prove_kept(key, folder, &mut issuer, session);
        }
        let what = match (&self.what.since, self.what.event, self.what.token) {
            (Some(path), ..) => {
                let text = issuer.prove_growth(&read_checkpoint(path)?)?;
                return self.write(session, &text, &ProofAnswer::of_growth(&text));
            }
            (None, Some(seq), _) => Proven::Event(seq),
            (None, None, token) => {
                Proven::Token(token.expect("the parser asks for one of the three"))
            }
        };
        let proof = issuer.prove(what)?;
        if let Some(path) = &self.entry {
            durable::create_new(path, &proof.bytes, Mode::Private)?;
        }
        let text = proof.proof.to_text();
        let answer = ProofAnswer {
            event: Some(proof.entry.seq),
            entry_sha256: Some(crate::view::hex(Hash::of(&proof.bytes).as_bytes())),
            proof: text.clone(),
        };
        self.write(session, &text, &answer)
    }

    fn write(&self, session: &Session, text: &str, answer: &ProofAnswer) -> Result<(), Failure> {
        if let Some(path) = &self.out {
            durable::create_new(path, text.as_bytes(), Mode::Public)?;
        }
        if session.output().is_json() {
            return session.output().print(answer);
        }
        match &self.out {
            Some(path) => {
                say(&format!("phi: the proof is in {}", shown(path)));
                Ok(())
            }
            None => print_text(text),
        }
    }
}

/// Writes the proofs that keep the tokens of a key that was cut.
fn prove_kept(
    key: KeyId,
    folder: &Path,
    issuer: &mut Issuer,
    session: &Session,
) -> Result<(), Failure> {
    let mut made = Vec::new();
    for token in issuer.tokens_kept(key, session.now())? {
        made.push((token, issuer.prove(Proven::Token(token))?.proof.to_text()));
    }
    // What cannot all be proven leaves no folder with some of it.
    durable::create_folders(folder, Mode::Public)?;
    let mut proofs = Vec::new();
    for (token, proof) in made {
        let path = folder.join(format!("{token}.tlog-proof"));
        durable::write(&path, proof.as_bytes(), Mode::Public)?;
        let token = token.to_string();
        proofs.push(KeptView {
            token,
            file: shown(&path),
        });
    }
    session.output().print(&KeptAnswer { proofs })
}

/// Reads a checkpoint that somebody kept.
///
/// # Errors
/// As [`read_file`], and `checkpoint-invalid`.
pub(crate) fn read_checkpoint(path: &Path) -> Result<String, Failure> {
    let bytes = read_file(path, MAX_NOTE as u64)?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{} is not UTF-8", shown(path));
        Failure::new("checkpoint-invalid", message)
    })
}

/// Shown on a terminal only.
fn bar(what: &str) -> ProgressBar {
    let template = format!("{{bar:40}} {{human_pos}}/{{human_len}} {what}, {{eta}} left");
    let style = ProgressStyle::with_template(&template).expect("the template is well formed");
    ProgressBar::new(0).with_style(style)
}

fn tell(bar: &ProgressBar, at: Progress) {
    bar.set_length(at.total);
    bar.set_position(at.done);
}

/// The proofs that keep a key's tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger prove --kept-by")]
pub(crate) struct KeptAnswer {
    /// In the order of minting.
    proofs: Vec<KeptView>,
}

/// A proof in a file.
#[derive(Debug, Serialize, JsonSchema)]
struct KeptView {
    /// The token's id.
    token: String,
    /// The file with its proof.
    file: String,
}

impl Answer for KeptAnswer {
    fn show(&self, page: &mut Page) {
        let row = |proof: &KeptView| [proof.token.clone(), proof.file.clone()];
        let rows: Vec<_> = self.proofs.iter().map(row).collect();
        page.table(["TOKEN", "PROOF"], &rows);
    }
}

/// A clock that was corrected.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger correct-clock")]
pub(crate) struct ClockAnswer {
    /// The time of the newest entry until then.
    was: Stamp,
    /// The time from which the ledger goes on.
    now: Stamp,
    /// Changes that waited for a later time than that, and that the entries of the wrong clock
    /// found due: they stay as they were settled.
    settled_early: Vec<EarlyRow>,
}

/// A change that was settled before its time.
#[derive(Debug, Serialize, JsonSchema)]
struct EarlyRow {
    /// The license.
    license: String,
    /// Its customer.
    customer: String,
    /// The revision that the change made when it was recorded.
    revision: u64,
    /// `amend`, `suspend` or `reinstate`.
    act: String,
    /// What it changes, in words; empty if the act says all.
    detail: String,
    /// The time for which it was planned.
    effective: Stamp,
    /// Whether it is in effect; else it was void.
    in_effect: bool,
    /// The state in which the license is now.
    state: String,
}

impl EarlyRow {
    fn new(early: &SettledEarly) -> Self {
        let waited = &early.settled.waited;
        Self {
            license: early.license.to_string(),
            customer: early.customer.clone(),
            revision: waited.revision,
            act: waited.change.act().name().to_owned(),
            detail: detail(&waited.change),
            effective: waited.effective.into(),
            in_effect: early.settled.after.is_some(),
            state: early.state.name().to_owned(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let change = match self.detail.as_str() {
            "" => self.act.clone(),
            detail => format!("{}: {detail}", self.act),
        };
        let outcome = if self.in_effect { "in effect" } else { "void" };
        [
            self.license.clone(),
            self.customer.clone(),
            change,
            self.effective.to_string(),
            outcome.to_owned(),
            self.state.clone(),
        ]
    }
}

impl Answer for ClockAnswer {
    fn show(&self, page: &mut Page) {
        page.field("was ahead at", &self.was);
        page.field("goes on from", &self.now);
        if self.settled_early.is_empty() {
            return;
        }
        page.gap();
        page.line("the wrong clock settled changes before their time, which stay as they are:");
        let rows: Vec<_> = self.settled_early.iter().map(EarlyRow::cells).collect();
        let columns = [
            "LICENSE",
            "CUSTOMER",
            "CHANGE",
            "PLANNED FOR",
            "IS",
            "LICENSE IS",
        ];
        page.table(columns, &rows);
    }
}

/// A rebuild.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger rebuild")]
pub(crate) struct RebuildAnswer {
    /// How many events were read.
    events: u64,
}

impl Answer for RebuildAnswer {
    fn show(&self, page: &mut Page) {
        page.field("events", self.events);
    }
}

/// A signed checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
struct CheckpointView {
    /// How many events it covers.
    events: u64,
    /// The root of the hashes over them, in base64.
    root: String,
    /// The signed note.
    note: String,
}

impl CheckpointView {
    fn new(checkpoint: &SignedCheckpoint) -> Self {
        Self {
            events: checkpoint.size,
            root: checkpoint.note.lines().nth(2).unwrap_or_default().into(),
            note: checkpoint.note.clone(),
        }
    }
}

/// A checkpoint that was signed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger checkpoint")]
pub(crate) struct CheckpointAnswer {
    /// The file that it was written to.
    file: String,
    /// Whether it is new; else nothing happened since.
    changed: bool,
    #[serde(flatten)]
    checkpoint: CheckpointView,
}

impl Answer for CheckpointAnswer {
    fn show(&self, page: &mut Page) {
        page.field("events", self.checkpoint.events);
        page.field("root", &self.checkpoint.root);
        page.field("file", &self.file);
    }
}

/// A ledger that was verified.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger verify")]
pub(crate) struct VerifiedAnswer {
    /// How many events it has.
    events: u64,
    /// How many licenses.
    licenses: u64,
    /// How many tokens.
    tokens: u64,
    /// How many checkpoints were signed.
    checkpoints: u64,
    /// When the newest event was recorded.
    newest: Stamp,
    /// The root of the hashes over all events, in base64.
    root: String,
    /// How many events the checkpoint covers that was handed in; null if none was.
    held_checkpoint_events: Option<u64>,
}

impl VerifiedAnswer {
    pub(super) fn new(verified: &Verified) -> Self {
        Self {
            events: verified.events,
            licenses: verified.licenses,
            tokens: verified.tokens,
            checkpoints: verified.checkpoints,
            newest: verified.newest.into(),
            root: verified.root.to_string(),
            held_checkpoint_events: verified.held,
        }
    }
}

impl Answer for VerifiedAnswer {
    fn show(&self, page: &mut Page) {
        page.headline(
            Tone::Good,
            "VERIFIED",
            "everything is what its events make it",
        );
        page.gap();
        page.field("events", self.events);
        page.field("newest", &self.newest);
        page.field("licenses", self.licenses);
        page.field("tokens", self.tokens);
        page.field("checkpoints", self.checkpoints);
        page.field("root", &self.root);
        if let Some(held) = self.held_checkpoint_events {
            let text = format!("the first {held} events are those that it was signed for");
            page.field("kept checkpoint", text);
        }
    }
}

/// A proof.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi ledger prove")]
pub(crate) struct ProofAnswer {
    /// The number of the event; null for a proof that the ledger grew.
    event: Option<u64>,
    /// SHA-256 of the event's entry, in hexadecimal; null for a proof that the ledger grew.
    entry_sha256: Option<String>,
    /// The proof: C2SP tlog-proof, or the body of C2SP tlog-witness for growth.
    proof: String,
}

impl ProofAnswer {
    fn of_growth(text: &str) -> Self {
        Self {
            event: None,
            entry_sha256: None,
            proof: text.into(),
        }
    }
}

impl Answer for ProofAnswer {
    fn show(&self, page: &mut Page) {
        page.raw(&self.proof);
    }
}
