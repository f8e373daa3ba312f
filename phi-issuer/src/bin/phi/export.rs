//! `phi export`: customers and licenses as rows that `phi import` reads again.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use phi_issuer::durable::{self, Mode};
use phi_issuer::{ExportFilter, RowFormat, State};
use schemars::JsonSchema;
use serde::Serialize;

use crate::batch;
use crate::failure::Failure;
use crate::output::{Answer, Page, print_bytes};
use crate::session::Session;
use crate::view::{counted, shown};

/// Write customers and licenses to a file of rows
#[derive(Debug, Args)]
#[command(
    long_about = "Write customers and licenses to a file of rows: licenses in the order of issue \
        with their customers, then the customers without a license. phi import reads it without \
        a map. A file is the owner's alone (mode 0600); in CSV, a cell that a spreadsheet would \
        take for a formula begins with an apostrophe.",
    after_help = "Examples:\n  \
        phi export --out everything.csv\n  \
        phi export --product atlas --state active --out active.jsonl\n  \
        phi export --customers --out customers.csv"
)]
pub(crate) struct Export {
    /// Those of a customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Licenses for a product
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// Licenses in a state
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<State>,
    /// Customers only, without their licenses
    #[arg(long, conflicts_with_all = ["product", "state"])]
    customers: bool,
    /// The form of the rows [default: by the file's name, or csv]
    #[arg(long, value_name = "FORM")]
    format: Option<Form>,
    /// Write to a file, which must not exist, instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The form of a file of rows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Form {
    /// Comma-separated values with a header line
    Csv,
    /// One JSON object a line
    Jsonl,
}

impl From<Form> for RowFormat {
    fn from(form: Form) -> Self {
        match form {
            Form::Csv => Self::Csv,
            Form::Jsonl => Self::JsonLines,
        }
    }
}

fn state(word: &str) -> Result<State, String> {
    State::from_name(word).ok_or_else(|| {
        let words = State::ALL.map(State::name).join(", ");
        format!("the states are {words}")
    })
}

impl Export {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let format = match (self.format, &self.out) {
            (Some(form), _) => form.into(),
            (None, Some(out)) => batch::format(out, "file-form")?,
            (None, None) => RowFormat::Csv,
        };
        let filter = ExportFilter {
            customer: self.customer,
            product: self.product,
            state: self.state,
        };
        let mut issuer = session.issuer()?;
        let exported = if self.customers {
            issuer.export_customers(&filter, format, session.now())?
        } else {
            issuer.export(&filter, format, session.now())?
        };
        let Some(out) = self.out else {
            return print_bytes(&exported.bytes);
        };
        durable::create_new(&out, &exported.bytes, Mode::Private)?;
        session.output().print(&ExportAnswer {
            file: shown(&out),
            licenses: exported.licenses,
            customers: exported.customers,
        })
    }
}

/// What was exported.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi export --out")]
pub(crate) struct ExportAnswer {
    /// The file.
    file: String,
    /// How many rows are licenses.
    licenses: usize,
    /// How many rows are customers without one, or customers only.
    customers: usize,
}

impl Answer for ExportAnswer {
    fn show(&self, page: &mut Page) {
        page.field("file", &self.file);
        page.field("licenses", counted(self.licenses, "row"));
        page.field("customers", counted(self.customers, "row"));
    }
}
