//! `phi status`: what is revoked, as applications know it.

mod check;
mod diff;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use phi_issuer::durable::{self, Mode};
use phi_issuer::{
    Filters, Gap, Issuer, Numbers, Padding, Publication, StatusReport, StatusRequest,
};
use phi_verify::dangerous_inspect::{self, Document};
use phi_verify::{DocumentKind, armor};
use schemars::JsonSchema;
use serde::Serialize;

pub(crate) use self::{check::CheckAnswer, diff::DiffAnswer};
use crate::failure::Failure;
use crate::fingerprint::write_qr;
use crate::output::{Answer, Page, say};
use crate::progress::Progress;
use crate::session::Session;
use crate::view::{StatusView, counted, shown};

/// Build, publish, show and compare the status document: what is revoked
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(Build),
    Publish(Publish),
    Show(Show),
    Check(check::Check),
    Diff(diff::Diff),
}

/// Make the status document that would be published now, with every check, and record nothing
#[derive(Debug, Args)]
#[command(
    long_about = "Make the status document that would be published now, with every check, and \
        record nothing.\n\nIt needs no key. What it says of sizes is so for the document that is \
        published next, to a few bytes: its salt is another.",
    after_help = "Examples:\n  phi status build\n  phi status build --compact --delta-from 12"
)]
pub(crate) struct Build {
    #[command(flatten)]
    making: Making,
}

/// Sign and publish a status document of everything revoked
#[derive(Debug, Args)]
#[command(
    long_about = "Sign and publish a status document of everything revoked, as the next epoch.\n\n\
        Before it is recorded it is asked about every live token: what the store revokes must be \
        revoked, and nothing else; and what the document before revokes must be revoked in it too, \
        unless phi unrevoke took it back. A delta is a small document for an application that has \
        an earlier full one; it lies beside it as published/status-BASE-to-EPOCH.phi.",
    after_help = "Examples:\n  \
        phi status publish\n  \
        phi status publish --compact\n  \
        phi status publish --delta-from 12 --qr delta.png --armor delta.txt"
)]
pub(crate) struct Publish {
    #[command(flatten)]
    making: Making,
    /// Write the delta, or without one the whole document, as QR code to a new file: PNG, or SVG
    /// if the file is called so
    #[arg(long, value_name = "FILE")]
    qr: Option<PathBuf>,
    /// Write the delta, or without one the whole document, as text to a new file
    #[arg(long, value_name = "FILE")]
    armor: Option<PathBuf>,
}

/// How the document is made.
#[derive(Debug, Args)]
struct Making {
    /// As small as it can be: ribbons instead of Bloom cascades [default: as phi.toml says]
    #[arg(long)]
    compact: bool,
    /// Show of the number of tokens no more than the next power of two [default: as phi.toml says]
    #[arg(long)]
    pad: bool,
    /// Make a delta as well, for applications that have the full document of this epoch; more
    /// than one can be asked for
    #[arg(long, value_name = "EPOCH")]
    delta_from: Vec<u64>,
    /// Make it though the one before has expired, and this one leaves out more than it keeps
    /// because that has ended: this machine's clock is right
    #[arg(long)]
    after_a_gap: bool,
}

/// Show the status document that is published
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi status show")]
pub(crate) struct Show {}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Build(build) => build.run(session),
            Self::Publish(publish) => publish.run(session),
            Self::Show(_) => show(session),
            Self::Check(check) => check.run(session),
            Self::Diff(diff) => diff.run(session),
        }
    }
}

impl Making {
    fn request(&self, issuer: &Issuer) -> StatusRequest {
        let mut request = StatusRequest::of(issuer.settings());
        if self.compact {
            request.filters = Filters::Compact;
        }
        if self.pad {
            request.padding = Padding::PowersOfTwo;
        }
        if self.after_a_gap {
            request.gap = Gap::Accept;
        }
        request.deltas_from.clone_from(&self.delta_from);
        request.deltas_from.sort_unstable();
        request.deltas_from.dedup();
        request
    }
}

impl Build {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let request = self.making.request(&issuer);
        let mut progress = Progress::of(0);
        let built = issuer.build_status(&request, session.now(), |step| {
            progress.reach(step.done, step.total);
        });
        progress.end();
        session.output().print(&BuildAnswer {
            report: ReportView::new(&built?),
        })?;
        say("phi: nothing was signed or recorded; next: phi status publish");
        Ok(())
    }
}

impl Publish {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        self.check_files()?;
        let mut issuer = session.issuer()?;
        let request = self.making.request(&issuer);
        let context = session.context();
        let mut progress = Progress::of(0);
        let published = issuer.publish_status_as(&request, session, &context, |step| {
            progress.reach(step.done, step.total);
        });
        progress.end();
        let published = published?;
        let folder = issuer.published_folder();
        let file = |publication: &Publication| shown(&folder.join(publication.file_name()));
        let report = &published.report;
        session.output().print(&StatusAnswer {
            file: file(&published.list),
            bytes: published.list.document.len(),
            checked: Some(Checked::new(report)),
            report: Some(ReportView::new(report)),
            deltas: published
                .deltas
                .iter()
                .map(|delta| DeltaFile {
                    from: delta.base.unwrap_or_default(),
                    file: file(delta),
                    bytes: delta.document.len(),
                })
                .collect(),
            status: view(&published.list)?,
        })?;
        let small = published.deltas.first().unwrap_or(&published.list);
        self.carry(small).map_err(|failure| {
            let (path, bytes) = (file(small), small.document.len());
            let message = format!(
                "{path} is published, and not written again: {}",
                failure.message
            );
            // What was published was printed.
            Failure {
                answered: true,
                ..Failure::new("not-carried", message).hint(format!(
                    "send the file {path} of {bytes} bytes, and do not publish again for that; a \
                     QR code holds about 2,200 of them"
                ))
            }
        })
    }

    /// Refuses before anything is recorded what cannot be written.
    fn check_files(&self) -> Result<(), Failure> {
        if self.making.delta_from.len() > 1 && (self.qr.is_some() || self.armor.is_some()) {
            let message = "a QR code and a text are of one document, and several deltas are made";
            return Err(Failure::new("input-invalid", message)
                .hint("leave out all but one --delta-from, or carry the files"));
        }
        for path in [&self.qr, &self.armor].into_iter().flatten() {
            if path.symlink_metadata().is_ok() {
                let message = format!("{} already exists", path.display());
                return Err(Failure::new("file-exists", message));
            }
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                let message = format!("{} is in no folder that there is", path.display());
                return Err(Failure::new("file-missing", message));
            }
        }
        if self.qr.is_some() && self.qr == self.armor {
            let message = "--qr and --armor name one file";
            return Err(Failure::new("input-invalid", message).hint("give each its own"));
        }
        Ok(())
    }

    fn carry(&self, publication: &Publication) -> Result<(), Failure> {
        let word = armor::document_to_text(&publication.document)?;
        if let Some(path) = &self.armor {
            let text = armor::wrap("STATUS", &word);
            durable::create_new(path, text.as_bytes(), Mode::Public)?;
        }
        let Some(path) = self.qr.as_deref() else {
            return Ok(());
        };
        let svg = path.extension().is_some_and(|end| end == "svg");
        let (png, svg) = if svg {
            (None, Some(path))
        } else {
            (Some(path), None)
        };
        write_qr(&word, png, svg, Mode::Public)
    }
}

fn show(session: &Session) -> Result<(), Failure> {
    let mut issuer = session.issuer()?;
    let publication = issuer.published(DocumentKind::Status, "")?;
    let folder = issuer.published_folder();
    let deltas = issuer.deltas()?;
    let file = |publication: &Publication| shown(&folder.join(publication.file_name()));
    session.output().print(&StatusAnswer {
        file: file(&publication),
        bytes: publication.document.len(),
        checked: None,
        report: None,
        deltas: deltas
            .iter()
            .map(|delta| DeltaFile {
                from: delta.base.unwrap_or_default(),
                file: file(delta),
                bytes: delta.document.len(),
            })
            .collect(),
        status: view(&publication)?,
    })
}

fn view(publication: &Publication) -> Result<StatusView, Failure> {
    let Document::Status(status) = dangerous_inspect::document(&publication.document)? else {
        unreachable!("the library hands out what was asked for");
    };
    Ok(StatusView::new(&status))
}

/// The status document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi status publish and phi status show")]
pub(crate) struct StatusAnswer {
    /// Its file.
    file: String,
    /// How large it is, with its signatures.
    bytes: usize,
    /// What it was asked before it was recorded; null for `show`.
    checked: Option<Checked>,
    /// How it and its deltas were made; null for `show`.
    report: Option<ReportView>,
    /// The deltas to it.
    deltas: Vec<DeltaFile>,
    /// What it says.
    status: StatusView,
}

/// A status document that was made and not published.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi status build")]
pub(crate) struct BuildAnswer {
    /// How it was made.
    report: ReportView,
}

/// A delta in its file.
#[derive(Debug, Serialize, JsonSchema)]
struct DeltaFile {
    /// The epoch of the full document that it needs.
    from: u64,
    /// Its file.
    file: String,
    /// How large it is, with its signatures.
    bytes: usize,
}

/// The check of a status document against the store.
#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    /// Tokens that had not ended, and about which it was asked.
    live_tokens: u64,
    /// How many of them it revokes.
    revoked_tokens: u64,
}

impl Checked {
    const fn new(report: &StatusReport) -> Self {
        Self {
            live_tokens: report.checked,
            revoked_tokens: report.revoked,
        }
    }

    fn words(&self) -> String {
        let tokens = counted(
            usize::try_from(self.live_tokens).unwrap_or(usize::MAX),
            "live token",
        );
        format!(
            "against {tokens}, of which it revokes {}",
            self.revoked_tokens
        )
    }
}

/// How a status document and its deltas were made.
#[derive(Debug, Serialize, JsonSchema)]
struct ReportView {
    /// The epoch.
    epoch: u64,
    /// Tokens that had not ended, and about which it was asked.
    live_tokens: u64,
    /// How many of them it revokes.
    revoked_tokens: u64,
    /// Rules in it.
    rules: usize,
    /// All the questions that were asked of the documents before they were signed.
    questions: u64,
    /// How many were answered otherwise than the ledger does. It is 0, or nothing is made.
    wrong: u64,
    /// The full document.
    full: NumbersView,
    /// The deltas.
    deltas: Vec<DeltaNumbers>,
}

/// A delta in numbers.
#[derive(Debug, Serialize, JsonSchema)]
struct DeltaNumbers {
    /// The epoch of the full document that it needs.
    from: u64,
    /// The delta.
    #[serde(flatten)]
    numbers: NumbersView,
}

/// A document in numbers.
#[derive(Debug, Serialize, JsonSchema)]
struct NumbersView {
    /// Ids that its filters answer for (n); decoys count.
    n: u64,
    /// Ids that its filters list (r); decoys count.
    r: u64,
    /// Bytes of its filters.
    filter_bytes: u64,
    /// Bytes without which nobody can tell r ids among n.
    bound_bytes: f64,
    /// The first by the second; null where there is nothing to tell.
    ratio: Option<f64>,
    /// Bytes of the document before it is signed.
    bytes: u64,
    /// The kinds of its filters.
    kinds: Vec<String>,
}

impl ReportView {
    fn new(report: &StatusReport) -> Self {
        let deltas = report.deltas.iter();
        Self {
            epoch: report.epoch,
            live_tokens: report.checked,
            revoked_tokens: report.revoked,
            rules: report.rules,
            questions: report.asked,
            wrong: 0,
            full: NumbersView::new(&report.full),
            deltas: deltas
                .map(|(from, numbers)| DeltaNumbers {
                    from: *from,
                    numbers: NumbersView::new(numbers),
                })
                .collect(),
        }
    }

    fn show(&self, page: &mut Page) {
        page.field("report", self.full.words());
        for delta in &self.deltas {
            page.field(&format!("from {}", delta.from), delta.numbers.words());
        }
    }
}

impl NumbersView {
    fn new(numbers: &Numbers) -> Self {
        let kinds = numbers.kinds.iter();
        Self {
            n: numbers.universe,
            r: numbers.members,
            filter_bytes: numbers.filter_bytes,
            bound_bytes: rounded(numbers.bound_bytes),
            ratio: numbers.ratio().map(rounded),
            bytes: numbers.bytes,
            kinds: kinds.map(|kind| (*kind).to_owned()).collect(),
        }
    }

    /// The line that says of a list what there is to measure.
    fn words(&self) -> String {
        let filters = match self.kinds.as_slice() {
            [] => "no filter".to_owned(),
            kinds => format!("{} of {} bytes", kinds.join(" and "), self.filter_bytes),
        };
        let ratio = self.ratio.map(|ratio| format!(", {ratio:.2} x the bound"));
        let ratio = ratio.unwrap_or_default();
        let (n, r, bytes) = (self.n, self.r, self.bytes);
        format!("n {n}, r {r}, {filters}{ratio}, {bytes} bytes unsigned, wrong 0")
    }
}

/// A figure in hundredths.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

impl Answer for StatusAnswer {
    fn show(&self, page: &mut Page) {
        page.field("file", format!("{}, {} bytes", self.file, self.bytes));
        for delta in &self.deltas {
            let DeltaFile { from, file, bytes } = delta;
            page.field("delta", format!("from {from}: {file}, {bytes} bytes"));
        }
        if let Some(checked) = &self.checked {
            page.field("checked", checked.words());
        }
        if let Some(report) = &self.report {
            report.show(page);
        }
        self.status.show(page);
    }
}

impl Answer for BuildAnswer {
    fn show(&self, page: &mut Page) {
        let report = &self.report;
        let checked = Checked {
            live_tokens: report.live_tokens,
            revoked_tokens: report.revoked_tokens,
        };
        page.field("epoch", report.epoch);
        page.field("checked", checked.words());
        page.field("rules", report.rules);
        report.show(page);
    }
}
