//! `phi trust`: what an application believes, for a support ticket.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use phi_verify::{
    Bundle, DocumentReport, KeyReport, ListsReport, PartOutcome, RoleReport, SectionReport,
    TrustReport, TrustState,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::bundle;
use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::session::Session;
use crate::trust::{Trust, TrustFolder, read_document};
use crate::trust_import::Import;
use crate::view::{Stamp, shown};

/// Show what an application believes, and bring it what was published
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(Import),
    Report(Report),
}

/// Report versions, keys, ages, floors, and what is stale
#[derive(Debug, Args)]
#[command(
    long_about = "Report versions, keys, ages, floors, and what is stale: of the folders in which \
        an application keeps its trust state, of what a bundle makes of an anchor, or of a folder \
        of published documents. Nothing is written. The report names no customer and no license, \
        and nothing in it is secret: it can go into a support ticket.",
    after_help = "Examples:\n  \
        phi trust report --store /var/lib/atlas/phi --anchor root-1.phi\n  \
        phi trust report --bundle atlas.phi --anchor root-1.phi\n  \
        phi trust report --trust /etc/atlas/phi"
)]
pub(crate) struct Report {
    /// A folder in which the application keeps its state; twice, if it keeps the copies apart:
    /// first its data folder, then the user's
    #[arg(long, value_name = "DIR", requires = "anchor", conflicts_with_all = ["bundle", "trust"])]
    store: Vec<PathBuf>,
    /// A bundle to import
    #[arg(
        long,
        value_name = "FILE",
        requires = "anchor",
        conflicts_with = "trust"
    )]
    bundle: Option<PathBuf>,
    /// The folder with the issuer's published documents [default: DIR/published]
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// A status document or a delta to import as well: a file, the text of a QR code, or -; more
    /// than one can be named
    #[arg(long, value_name = "DOCUMENT")]
    status: Vec<OsString>,
    /// The root document that is compiled into the application [default: the first in the trust
    /// folder]
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Import(command) => command.run(session),
            Self::Report(command) => {
                let report = command.report(session)?;
                session.output().print(&ReportAnswer::new(report))
            }
        }
    }
}

impl Report {
    fn report(&self, session: &Session) -> Result<TrustReport, Failure> {
        let now = session.now();
        let anchor = self.anchor.as_deref();
        if let Some(anchor) = anchor.filter(|_| !self.store.is_empty()) {
            let (mut trust, findings) = Trust::of_store(anchor, &self.store)?;
            trust.import_status(&self.status)?;
            let mut report = trust.state.report(now);
            for finding in &findings {
                report = report.with_finding(finding.code(), finding);
            }
            return Ok(report);
        }
        let (Some(anchor), Some(file)) = (anchor, &self.bundle) else {
            let folder = self.trust.clone().unwrap_or_else(|| session.published());
            let mut trust = TrustFolder::open(&folder)?.load(anchor)?;
            trust.import_status(&self.status)?;
            return Ok(trust.state.report(now));
        };
        let mut trust = TrustState::from_anchor(&read_document(anchor)?)
            .map_err(|error| Failure::from(error).about(shown(anchor)))?;
        let bytes = bundle::read(file)?;
        let parts = trust.import_bundle(&Bundle::parse(&bytes)?);
        let mut trust = Trust::of_state(trust);
        trust.import_status(&self.status)?;
        let mut report = trust.state.report(now);
        for part in parts {
            if let PartOutcome::Refused(error) = part.outcome {
                let text = format!("{} is refused: {error}", part.part);
                report = report.with_finding(error.code(), text);
            }
        }
        Ok(report)
    }
}

/// What a trust state holds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi trust report")]
pub(crate) struct ReportAnswer {
    /// The issuer.
    issuer: String,
    /// The id of the installation; null if it has none.
    installation: Option<String>,
    /// SHA-256 of the anchor, in hexadecimal.
    anchor_sha256: String,
    /// How often the state was stored.
    generation: u64,
    /// The documents at hand.
    documents: Vec<DocumentView>,
    /// The keys of each role, as the root in force names them.
    roles: Vec<RoleView>,
    /// The keys that sign licenses.
    keys: Vec<KeyView>,
    /// The oldest keyset version that is still taken; 0 is no floor.
    keyset_floor: u64,
    /// The oldest status epoch that is still taken; 0 is no floor.
    status_floor: u64,
    /// `fresh`, `stale`, `expired` or `missing`.
    status: String,
    /// What the status lists are made of; null without any.
    lists: Option<ListsView>,
    /// The epoch of a newer status list, of which a remembered license tells; null without one.
    newer_list: Option<u64>,
    /// The machine's clock.
    clock: ClockView,
    /// What is stale or wrong, the most pressing first.
    findings: Vec<FindingView>,
    #[serde(skip)]
    text: String,
}

/// A document at hand.
#[derive(Debug, Serialize, JsonSchema)]
struct DocumentView {
    /// `root`, `keyset`, `status`, or `catalog` and its product.
    name: String,
    /// The version, epoch or revision.
    version: u64,
    /// When it was made.
    made: Stamp,
    /// Whole days since then.
    age_days: u64,
    /// When the next is due; null if it does not say so.
    next_due: Option<Stamp>,
    /// When it is good for nothing but what it revokes; null if it does not say so.
    expires: Option<Stamp>,
}

/// The status lists at hand: a full one, or a full one and a delta to it.
#[derive(Debug, Serialize, JsonSchema)]
struct ListsView {
    /// The newest epoch.
    epoch: u64,
    /// The epoch of the full list; null if there is no delta.
    base: Option<u64>,
    /// How many bytes the documents have.
    bytes: usize,
    /// How many rules revoke something whole.
    rules: usize,
    /// How much was revoked by a rule once and is not any more.
    unrevoked: usize,
    /// What is revoked one by one.
    sections: Vec<SectionView>,
}

/// A section of a status list.
#[derive(Debug, Serialize, JsonSchema)]
struct SectionView {
    /// `full` or `delta`.
    list: String,
    /// `tokens`, `licenses`, `tokens-removed` or `licenses-removed`.
    class: String,
    /// The form of its filter.
    kind: String,
    /// How many bytes the filter has.
    bytes: usize,
}

/// The keys of a role.
#[derive(Debug, Serialize, JsonSchema)]
struct RoleView {
    /// `root`, `keyset`, `status` or `ledger`.
    role: String,
    /// How many must sign.
    threshold: usize,
    /// The ids of the keys.
    keys: Vec<String>,
}

/// A key that signs licenses.
#[derive(Debug, Serialize, JsonSchema)]
struct KeyView {
    /// The id of the key.
    key: String,
    /// `staged`, `active`, `retired` or `revoked`.
    state: String,
    /// The first time of issue that is accepted; null without a window.
    from: Option<Stamp>,
    /// The first time of issue that is no longer accepted; null without an end.
    until: Option<Stamp>,
    /// The index in the ledger's log from which nothing is accepted; null without a cut.
    cut: Option<u64>,
    /// The products for which alone the key may sign; empty is every one.
    products: Vec<String>,
    /// How many seconds a license may last; null without a bound.
    longest: Option<u64>,
}

/// The machine's clock.
#[derive(Debug, Serialize, JsonSchema)]
struct ClockView {
    /// What it shows.
    now: Stamp,
    /// The time by which licenses are judged.
    judged_at: Stamp,
    /// `plausible`, `behind-signature`, `doubted` or `rolled-back`.
    verdict: String,
    /// The newest time that a trusted signature proves to be past.
    signed_floor: Stamp,
    /// The latest time that it has shown and that is believed; null if there is none.
    observed_floor: Option<Stamp>,
    /// How far it has come by running, for a clock reset; null before its first reading.
    steady_floor: Option<Stamp>,
}

/// Something that is stale or wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct FindingView {
    /// A stable word.
    code: String,
    /// A sentence for people.
    text: String,
}

impl ReportAnswer {
    fn new(report: TrustReport) -> Self {
        let text = report.to_string();
        let clock = report.clock;
        let findings = report.findings.into_iter().map(|finding| FindingView {
            code: finding.code,
            text: finding.text,
        });
        Self {
            text,
            issuer: report.issuer,
            installation: report.installation,
            anchor_sha256: report.anchor_sha256,
            generation: report.generation,
            documents: report.documents.into_iter().map(document).collect(),
            roles: report.roles.iter().map(role).collect(),
            keys: report.keys.into_iter().map(key).collect(),
            keyset_floor: report.keyset_floor,
            status_floor: report.status_floor,
            status: report.status,
            lists: report.lists.map(lists),
            newer_list: report.newer_list,
            clock: ClockView {
                now: clock.now.into(),
                judged_at: clock.judged_at.into(),
                verdict: clock.verdict.into(),
                signed_floor: clock.signed_floor.into(),
                observed_floor: clock.observed_floor.map(Stamp::from),
                steady_floor: clock.steady_floor.map(Stamp::from),
            },
            findings: findings.collect(),
        }
    }
}

fn document(report: DocumentReport) -> DocumentView {
    DocumentView {
        name: report.name,
        version: report.version,
        made: report.made.into(),
        age_days: report.age_days,
        next_due: report.next_due.map(Stamp::from),
        expires: report.expires.map(Stamp::from),
    }
}

fn lists(report: ListsReport) -> ListsView {
    let section = |section: SectionReport| SectionView {
        list: section.list.into(),
        class: section.class.into(),
        kind: section.kind.into(),
        bytes: section.bytes,
    };
    ListsView {
        epoch: report.epoch,
        base: report.base,
        bytes: report.bytes,
        rules: report.rules,
        unrevoked: report.unrevoked,
        sections: report.sections.into_iter().map(section).collect(),
    }
}

fn role(report: &RoleReport) -> RoleView {
    RoleView {
        role: report.role.into(),
        threshold: report.threshold,
        keys: report.keys.iter().map(ToString::to_string).collect(),
    }
}

fn key(report: KeyReport) -> KeyView {
    KeyView {
        key: report.key.to_string(),
        state: report.state.into(),
        from: report.from.map(Stamp::from),
        until: report.until.map(Stamp::from),
        cut: report.cut,
        products: report.products,
        longest: report.longest,
    }
}

impl Answer for ReportAnswer {
    fn show(&self, page: &mut Page) {
        page.raw(&self.text);
    }
}
