//! `phi trust import`: brings what was published into the state that an application keeps.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use phi_verify::dangerous_inspect::{self, Document};
use phi_verify::store::Store;
use phi_verify::{Bundle, Error, Imported, PartOutcome, TrustState};
use schemars::JsonSchema;
use serde::Serialize;

use crate::bundle;
use crate::failure::Failure;
use crate::input::Object;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::trust::{about, read_document};

/// Import documents into the state that an application keeps
#[derive(Debug, Args)]
#[command(
    long_about = "Import documents into the state that an application keeps, as the application \
        itself would: a delta or a full status document that came as a file, on paper or as the \
        text of a QR code, a keyset, a root, a catalog or a whole bundle. Each is taken or \
        refused for itself, roots first; what is refused leaves the state as it was. Of the \
        machine's clock nothing is remembered here.\n\n\
        Without a folder there yet, a state is begun with the anchor.",
    after_help = "Examples:\n  \
        phi trust import status-12-to-14.phi --store /var/lib/atlas/phi --anchor root-1.phi\n  \
        phi trust import - --store /var/lib/atlas/phi --anchor root-1.phi < scanned.txt\n  \
        phi trust import keyset.phi status.phi --store state --anchor root-1.phi"
)]
pub(crate) struct Import {
    /// Documents and bundles: files, the text of a QR code, or - for standard input
    #[arg(required = true, value_name = "DOCUMENT")]
    documents: Vec<OsString>,
    /// The folder in which the application keeps its state; twice, if it keeps the copies apart:
    /// first its data folder, then the user's
    #[arg(long, value_name = "DIR", required = true)]
    store: Vec<PathBuf>,
    /// The root document that is compiled into the application
    #[arg(long, value_name = "FILE")]
    anchor: PathBuf,
}

impl Import {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let anchor = read_document(&self.anchor)?;
        let [data, rest @ ..] = self.store.as_slice() else {
            return Err(Failure::new("trust-missing", "no folder was named"));
        };
        let store = Store::new(&anchor, data, rest.first().unwrap_or(data));
        let all = self.documents.iter().map(Handed::read);
        let mut all = all.collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(Handed::order);
        let mut loaded = store.load()?;
        for finding in &loaded.findings {
            say(&format!("phi: warning: {finding}"));
        }
        let mut rows = Vec::new();
        let mut failure = None;
        for handed in &all {
            handed.import(&mut loaded.trust, &mut rows, &mut failure)?;
        }
        // What was taken is kept, whatever was refused beside it.
        let unkept = store.save(&mut loaded.trust);
        for finding in &unkept {
            say(&format!("phi: warning: {finding}"));
        }
        let failure = failure.or_else(|| {
            let finding = unkept.first()?;
            Some(Failure::new("state-not-kept", finding.to_string()))
        });
        session.output().print(&ImportAnswer {
            documents: rows,
            epoch: loaded.trust.status().map(|status| status.epoch),
            kept: unkept.is_empty(),
        })?;
        failure.map_or(Ok(()), |failure| {
            Err(Failure {
                answered: true,
                ..failure
            })
        })
    }
}

/// Something that was handed in.
struct Handed {
    named: String,
    bytes: Vec<u8>,
    what: What,
}

/// What it is.
enum What {
    Bundle,
    Document(Named),
}

/// A document by what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    /// In which order documents are imported: each rests on those before it.
    rank: u8,
    kind: String,
    version: u64,
    base: Option<u64>,
}

impl Handed {
    fn read(argument: &OsString) -> Result<Self, Failure> {
        let named = about(argument);
        let object = Object::read(argument);
        if let Ok(Object::Document(bytes)) = object {
            let document = dangerous_inspect::document(&bytes);
            let document = document.map_err(|error| Failure::from(error).about(&named))?;
            let what = What::Document(Named::new(&document));
            return Ok(Self { named, bytes, what });
        }
        let path = Path::new(argument);
        if path.is_file()
            && let Ok(bytes) = bundle::read(path)
            && Bundle::parse(&bytes).is_ok()
        {
            let what = What::Bundle;
            return Ok(Self { named, bytes, what });
        }
        let message = format!(
            "{named}: this is {}, not a document or a bundle",
            object?.name()
        );
        Err(Failure::new("wrong-kind", message)
            .hint("hand in published documents; phi inspect explains any Phi object"))
    }

    /// Bundles first, then documents as they rest on each other: a delta after its base.
    fn order(&self) -> (u8, bool, u64) {
        match &self.what {
            What::Bundle => (0, false, 0),
            What::Document(named) => (named.rank, named.base.is_some(), named.version),
        }
    }

    fn import(
        &self,
        trust: &mut TrustState,
        rows: &mut Vec<ImportRow>,
        failure: &mut Option<Failure>,
    ) -> Result<(), Failure> {
        let mut row = |kind: String, version, base, result: Result<&'static str, Error>| {
            let (outcome, problem) = match result {
                Ok(outcome) => (outcome, None),
                Err(error) => {
                    let problem = error.to_string();
                    failure.get_or_insert_with(|| Failure::from(error).about(&self.named));
                    ("refused", Some(problem))
                }
            };
            rows.push(ImportRow {
                from: self.named.clone(),
                kind,
                version,
                base,
                outcome: outcome.to_owned(),
                problem,
            });
        };
        match &self.what {
            What::Bundle => {
                for report in trust.import_bundle(&Bundle::parse(&self.bytes)?) {
                    let part = report.part;
                    let result = match report.outcome {
                        PartOutcome::Updated => Ok("taken"),
                        PartOutcome::Unchanged => Ok("known"),
                        PartOutcome::Passed => Ok("older"),
                        PartOutcome::Refused(error) => Err(error),
                    };
                    row(part.kind.to_string(), part.version, None, result);
                }
            }
            What::Document(named) => {
                let result = trust.import(&self.bytes).map(|imported| match imported {
                    Imported::Updated(_) => "taken",
                    Imported::Unchanged(_) => "known",
                });
                row(named.kind.clone(), named.version, named.base, result);
            }
        }
        Ok(())
    }
}

impl Named {
    fn new(document: &Document) -> Self {
        let (rank, kind, version, base) = match document {
            Document::Root(root) => (1, "root", root.version, None),
            Document::Keyset(keyset) => (2, "keyset", keyset.version, None),
            Document::Status(status) => {
                let base = status.base().map(|base| base.epoch);
                (3, "status", status.epoch, base)
            }
            Document::Catalog(catalog) => (4, "catalog", catalog.revision, None),
            Document::ClockReset(_) => (5, "clock reset", 0, None),
        };
        Self {
            rank,
            kind: kind.to_owned(),
            version,
            base,
        }
    }
}

/// What became of the documents that were handed in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi trust import")]
pub(crate) struct ImportAnswer {
    /// Each document, in the order in which they were imported.
    documents: Vec<ImportRow>,
    /// The epoch of the newest status list that the application has now; null without any.
    epoch: Option<u64>,
    /// Whether the state was written to every folder.
    kept: bool,
}

/// What became of a document.
#[derive(Debug, Serialize, JsonSchema)]
struct ImportRow {
    /// Where it came from.
    from: String,
    /// `root`, `keyset`, `status` or `catalog`.
    kind: String,
    /// The version, epoch or revision.
    version: u64,
    /// Of a delta: the epoch of the full list to which it is one.
    base: Option<u64>,
    /// `taken`, `known` already, `older` than what is at hand and not needed, or `refused`.
    outcome: String,
    /// Why it is refused; null if it is not.
    problem: Option<String>,
}

impl Answer for ImportAnswer {
    fn show(&self, page: &mut Page) {
        let row = |row: &ImportRow| {
            let what = match row.base {
                Some(base) => format!("{} {}, delta to {base}", row.kind, row.version),
                None => format!("{} {}", row.kind, row.version),
            };
            let outcome = match &row.problem {
                Some(problem) => format!("refused: {problem}"),
                None => row.outcome.clone(),
            };
            [row.from.clone(), what, outcome]
        };
        let rows: Vec<_> = self.documents.iter().map(row).collect();
        page.table(["FROM", "DOCUMENT", "IS"], &rows);
        page.gap();
        let epoch = self.epoch.map(|epoch| format!("of epoch {epoch}"));
        page.field("newest list", epoch.unwrap_or_else(|| "none".into()));
    }
}
