//! `phi catalog`: what is sold, and what its codes are called.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use phi_issuer::catalog::{self, Change, Lang, MAX_SOURCE_BYTES, Name, Revision, Source};
use phi_issuer::durable::{self, Mode};
use phi_issuer::{Issuer, Published};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::read_text;
use crate::output::{Answer, Page, Tone, print_bytes, say};
use crate::session::Session;
use crate::view::{CatalogView, counted, shown};

/// Check, compare and publish the catalog: flags, quotas, limits and plans
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Check),
    Diff(Diff),
    Publish(Publish),
    Show(Show),
    Codegen(Codegen),
    Import(Import),
}

/// Check a catalog.toml, by itself and against what was recorded before
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi catalog check")]
pub(crate) struct Check {
    /// The file, or - for standard input [default: DIR/catalog.toml]
    file: Option<PathBuf>,
}

/// Show what publishing a catalog.toml would change
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi catalog diff")]
pub(crate) struct Diff {
    /// The file, or - for standard input [default: DIR/catalog.toml]
    file: Option<PathBuf>,
}

/// Record a catalog.toml as the product's next revision, and publish it
#[derive(Debug, Args)]
#[command(
    long_about = "Record a catalog.toml as the product's next revision, and publish it.\n\n\
        New names get their codes now, for ever: look at phi catalog diff first.",
    after_help = "Examples:\n  phi catalog publish --dry-run\n  phi catalog publish"
)]
pub(crate) struct Publish {
    /// The file, or - for standard input [default: DIR/catalog.toml]
    file: Option<PathBuf>,
    /// Show what would change, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Show the recorded catalog: names, codes and plans
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi catalog show")]
pub(crate) struct Show {
    /// The product [default: the only one]
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
}

/// Write the recorded names and codes as constants for an application
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi catalog codegen --lang rust --out src/features.rs\n  \
    phi catalog codegen --lang typescript > features.ts")]
pub(crate) struct Codegen {
    /// rust, typescript or python
    #[arg(long)]
    lang: Lang,
    /// The product [default: the only one]
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// The file, which is replaced [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Make a catalog.toml of a feature list: lines of plan, feature and title
#[derive(Debug, Args)]
#[command(
    long_about = "Make a catalog.toml of a feature list. Each line has a plan, a feature and, if \
        you like, a title, with tabs between them; each plan holds those before it.",
    after_help = "Example:\n  phi catalog import features.tsv --product atlas --out catalog.toml"
)]
pub(crate) struct Import {
    /// The list, or - for standard input
    list: PathBuf,
    /// The product
    #[arg(long, value_name = "NAME")]
    product: String,
    /// The new file [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Check(command) => command.run(session),
            Self::Diff(command) => {
                let changes = Draft::read(command.file.as_deref(), session)?.changes(session)?;
                session.output().print(&changes)
            }
            Self::Publish(command) => command.run(session),
            Self::Show(command) => command.run(session),
            Self::Codegen(command) => command.run(session),
            Self::Import(command) => command.run(),
        }
    }
}

/// A catalog text that is not recorded yet.
struct Draft {
    file: String,
    text: String,
    source: Source,
}

impl Draft {
    fn read(file: Option<&Path>, session: &Session) -> Result<Self, Failure> {
        let default = session.dir().join("catalog.toml");
        let path = file.unwrap_or(&default);
        let text = read_text(path, MAX_SOURCE_BYTES as u64)?;
        let file = match path.to_str() {
            Some("-") => "standard input".to_owned(),
            _ => shown(path),
        };
        let source = Source::parse(&text).map_err(|found| Failure::of_text(&file, &found))?;
        Ok(Self { file, text, source })
    }

    /// The revision that this would be, and the one before it.
    fn next(&self, recorded: Option<&Revision>) -> Result<Revision, Failure> {
        let next = match recorded {
            Some(recorded) => recorded.next(&self.source),
            None => Revision::first(&self.source),
        };
        next.map_err(|found| Failure::of_text(&self.file, &found))
    }

    fn changes(&self, session: &Session) -> Result<DiffAnswer, Failure> {
        let recorded = recorded(&mut session.issuer()?, self.source.product())?;
        let next = self.next(recorded.as_deref())?;
        let before = recorded.unwrap_or_else(|| Arc::new(nothing(self.source.product())));
        Ok(DiffAnswer::new(&next, &catalog::diff(&before, &next)))
    }
}

/// The recorded catalog of a product, if it has one.
fn recorded(issuer: &mut Issuer, product: &Name) -> Result<Option<Arc<Revision>>, Failure> {
    match issuer.catalog(Some(product.as_str())) {
        Ok(revision) => Ok(Some(revision)),
        Err(phi_issuer::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The catalog of a product before anything is sold.
fn nothing(product: &Name) -> Revision {
    let text = format!("product = \"{product}\"");
    let source = Source::parse(&text).expect("a name is a catalog's product");
    Revision::first(&source).expect("an empty catalog names no past")
}

impl Check {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let draft = Draft::read(self.file.as_deref(), session)?;
        // A text can be checked by itself; an issuer's text must also fit what it recorded.
        let recorded = match session.issuer() {
            Ok(mut issuer) => recorded(&mut issuer, draft.source.product())?,
            Err(failure) if failure.code == "folder-missing" => None,
            Err(failure) => return Err(failure),
        };
        let next = draft.next(recorded.as_deref())?;
        let terms = next.terms();
        session.output().print(&CheckAnswer {
            product: next.product().to_string(),
            flags: terms.flags.len(),
            quotas: terms.quotas.len(),
            limits: terms.limits.len(),
            plans: next
                .plans()
                .iter()
                .map(|plan| plan.name.to_string())
                .collect(),
            addons: next
                .addons()
                .iter()
                .map(|addon| addon.name.to_string())
                .collect(),
            against_revision: recorded.map(|revision| revision.number()),
        })
    }
}

impl Publish {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let draft = Draft::read(self.file.as_deref(), session)?;
        let mut changes = draft.changes(session)?;
        if self.dry_run {
            session.output().print(&changes)?;
            say("phi: dry run: nothing was recorded");
            return Ok(());
        }
        let mut issuer = session.issuer()?;
        // Nothing to sign needs no key, and no question about its passphrase.
        if changes.changes.is_empty() {
            // A published file that went missing comes back all the same.
            issuer.write_published()?;
            return session.output().print(&changes);
        }
        let context = session.context();
        let (published, revision) = issuer.publish_catalog(&draft.text, session, &context)?;
        changes.revision = revision.number();
        changes.recorded = matches!(published, Published::New(_));
        let file = issuer
            .published_folder()
            .join(published.publication().file_name());
        changes.file = Some(shown(&file));
        session.output().print(&changes)
    }
}

impl Show {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let revision = issuer.catalog(self.product.as_deref())?;
        let name = issuer.settings().issuer.clone();
        let publication = issuer.published(
            phi_verify::DocumentKind::Catalog,
            revision.product().as_str(),
        )?;
        let document = revision
            .document(&name, publication.issued_at)
            .map_err(phi_issuer::Error::from)?;
        session.output().print(&CatalogAnswer {
            catalog: CatalogView::new(&document),
        })
    }
}

impl Codegen {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let revision = session.issuer()?.catalog(self.product.as_deref())?;
        let code = catalog::codegen(&revision, self.lang);
        match &self.out {
            Some(path) => Ok(durable::write(path, code.as_bytes(), Mode::Public)?),
            None => print_bytes(code.as_bytes()),
        }
    }
}

impl Import {
    fn run(&self) -> Result<(), Failure> {
        let product = Name::new(&*self.product)
            .map_err(|error| Failure::new("input-invalid", format!("a product name: {error}")))?;
        let list = read_text(&self.list, MAX_SOURCE_BYTES as u64)?;
        let file = shown(&self.list);
        let text =
            catalog::from_tsv(&product, &list).map_err(|found| Failure::of_text(&file, &found))?;
        match &self.out {
            Some(path) => Ok(durable::create_new(path, text.as_bytes(), Mode::Public)?),
            None => print_bytes(text.as_bytes()),
        }
    }
}

/// A catalog that is in order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi catalog check")]
pub(crate) struct CheckAnswer {
    /// The product.
    product: String,
    /// How many flags it defines.
    flags: usize,
    /// How many quotas.
    quotas: usize,
    /// How many concurrency limits.
    limits: usize,
    /// The plans.
    plans: Vec<String>,
    /// The add-ons.
    addons: Vec<String>,
    /// The recorded revision that it continues; null if there is none.
    against_revision: Option<u64>,
}

impl Answer for CheckAnswer {
    fn show(&self, page: &mut Page) {
        page.headline(
            Tone::Good,
            "OK",
            &format!("the catalog of {}", self.product),
        );
        page.gap();
        page.field(
            "defines",
            format!(
                "{}, {}, {}",
                counted(self.flags, "flag"),
                counted(self.quotas, "quota"),
                counted(self.limits, "limit")
            ),
        );
        page.field("plans", self.plans.join(", "));
        if !self.addons.is_empty() {
            page.field("add-ons", self.addons.join(", "));
        }
        page.field(
            "continues",
            match self.against_revision {
                Some(number) => format!("revision {number}"),
                None => "no recorded revision".into(),
            },
        );
    }
}

/// What differs between the recorded catalog and a text.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi catalog diff and phi catalog publish")]
pub(crate) struct DiffAnswer {
    /// The product.
    product: String,
    /// The revision that the text is or would be.
    revision: u64,
    /// Whether it was recorded now.
    recorded: bool,
    /// The published file, if it was recorded now.
    file: Option<String>,
    /// What differs; empty if nothing does.
    changes: Vec<ChangeView>,
}

/// One difference.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangeView {
    /// The difference as a line of text.
    line: String,
    /// What happened, such as `added` or `amount-changed`, and its particulars.
    #[serde(flatten)]
    particulars: serde_json::Map<String, serde_json::Value>,
}

impl DiffAnswer {
    fn new(next: &Revision, changes: &[Change]) -> Self {
        let particulars = |change: &Change| match serde_json::to_value(change) {
            Ok(serde_json::Value::Object(map)) => map,
            other => unreachable!("a change is an object: {other:?}"),
        };
        let view = |change: &Change| ChangeView {
            line: change.to_string(),
            particulars: particulars(change),
        };
        Self {
            product: next.product().to_string(),
            revision: next.number(),
            recorded: false,
            file: None,
            changes: changes.iter().map(view).collect(),
        }
    }
}

/// How many changes of a recorded catalog a person is shown.
const RECORDED_SHOWN: usize = 20;

impl Answer for DiffAnswer {
    fn show(&self, page: &mut Page) {
        if self.changes.is_empty() {
            page.line("nothing changed since the recorded revision");
            return;
        }
        // Before publishing every line counts; afterwards a large catalog is only a confirmation.
        let shown = match self.file {
            Some(_) => RECORDED_SHOWN,
            None => self.changes.len(),
        };
        for change in self.changes.iter().take(shown) {
            page.line(&change.line);
        }
        if let Some(more) = self
            .changes
            .len()
            .checked_sub(shown)
            .filter(|more| *more > 0)
        {
            page.line(&format!("and {more} more (--json has all)"));
        }
        if let Some(file) = &self.file {
            page.gap();
            page.field(
                "recorded",
                format!("{} revision {}", self.product, self.revision),
            );
            page.field("file", file);
        }
    }
}

/// A recorded catalog.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi catalog show")]
pub(crate) struct CatalogAnswer {
    #[serde(flatten)]
    catalog: CatalogView,
}

impl Answer for CatalogAnswer {
    fn show(&self, page: &mut Page) {
        self.catalog.show(page);
    }
}
