//! `phi audit`: who changed what, when and why, asked of the ledger.

use std::io::{self, Write};
use std::num::NonZeroU64;

use clap::builder::{
    NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser,
};
use clap::{Args, Subcommand, ValueEnum};
use phi_issuer::when::When;
use phi_issuer::{AuditFilter, AuditOrder, Event, Issuer};
use phi_verify::{LicenseId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Output, Page, clean, harmless_json, one_line, say, settle, to_json};
use crate::session::Session;
use crate::view::{EventView, counted};

/// Ask the ledger who changed what, when and why
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Query(Box<Query>),
    Show(Show),
}

/// Find events in the ledger
#[derive(Debug, Args)]
#[command(
    long_about = "Find events in the ledger: all of them, or those that fit every option given.\n\n\
        A table and --json show at most 1000 events unless --limit says otherwise, and say where \
        the next ones begin; csv and jsonl have no such limit.\n\n\
        In csv, a cell that a spreadsheet would take for a formula (it begins with =, +, -, @, a \
        tab or a line end) has an apostrophe before it.",
    after_help = "Examples:\n  \
        phi audit query --customer globex --from 2026-01-01 --to 2026-03-31\n  \
        phi audit query --event license-amended revoked --by alice\n  \
        phi audit query --text \"invoice 4711\" --reverse --limit 10\n  \
        phi audit query --product atlas --format csv > atlas.csv"
)]
pub(crate) struct Query {
    /// About this license
    #[arg(long, value_name = "ID")]
    license: Option<LicenseId>,
    /// About this customer or one of its licenses
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// About this product or a license for it
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// Recorded by this actor
    #[arg(long = "by", value_name = "NAME")]
    by: Option<String>,
    /// Events of these kinds
    #[arg(
        long = "event",
        value_name = "WORD",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = words()
    )]
    events: Vec<String>,
    /// Recorded at this time or later: a date (from its beginning) or a time
    #[arg(long, value_name = "TIME")]
    from: Option<When>,
    /// Recorded before this time: a date (to its end) or a time
    #[arg(long, value_name = "TIME")]
    to: Option<When>,
    /// With this text in a name, an id, a reason or another word, in upper or lower case
    #[arg(long, value_name = "STRING", value_parser = NonEmptyStringValueParser::new())]
    text: Option<String>,
    /// No more than so many
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,
    /// After the event with this number, to go on where an answer ended
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// The newest first
    #[arg(long)]
    reverse: bool,
    /// How to print the events [default: table, or json with --json]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// Show one event in full
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi audit show 17")]
pub(crate) struct Show {
    /// The event's number
    seq: u64,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people
    Table,
    /// One JSON object with all of them
    Json,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values, with a line of column names
    Csv,
}

/// What is revoked is one event, whatever it is; some look for words of their own.
const REVOKED: &str = "revoked";
const OTHER_WORDS: [&str; 2] = ["key-revoked", "license-revoked"];

fn words() -> impl TypedValueParser<Value = String> {
    let word = |word: &'static str| match word {
        REVOKED => PossibleValue::new(word).aliases(OTHER_WORDS),
        _ => PossibleValue::new(word),
    };
    let parser = PossibleValuesParser::new(Event::WORDS.map(word));
    parser.map(|word| {
        if OTHER_WORDS.contains(&&*word) {
            REVOKED.to_owned()
        } else {
            word
        }
    })
}

/// What a person reads at once; more is for files.
const SHOWN: u64 = 1000;

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Query(command) => command.run(session),
            Self::Show(Show { seq }) => {
                let row = session.issuer()?.audit_entry(seq)?;
                session.output().print(&EventView::from(row))
            }
        }
    }
}

impl Query {
    fn run(self, session: &Session) -> Result<(), Failure> {
        if session.names_actor() {
            say("phi: --actor names who makes a change; events of an actor are found with --by");
        }
        let format = self.format(session)?;
        let filter = self.filter(format, session.now())?;
        let mut issuer = session.issuer()?;
        match format {
            Format::Table | Format::Json => {
                let answer = EventsAnswer::find(&mut issuer, &filter)?;
                Output::new(format == Format::Json).print(&answer)
            }
            Format::Jsonl => lines(&mut issuer, &filter),
            Format::Csv => table_of_values(&mut issuer, &filter),
        }
    }

    fn format(&self, session: &Session) -> Result<Format, Failure> {
        match (self.format, session.output().is_json()) {
            (Some(Format::Json) | None, true) => Ok(Format::Json),
            (format, false) => Ok(format.unwrap_or(Format::Table)),
            (Some(_), true) => {
                let failure = Failure::new("input-invalid", "--json and --format disagree");
                Err(failure.hint("leave one of them out"))
            }
        }
    }

    fn filter(self, format: Format, now: UnixTime) -> Result<AuditFilter, Failure> {
        let shown = matches!(format, Format::Table | Format::Json).then_some(SHOWN);
        let to = self.to.map(|to| to.end(now)).transpose()?;
        Ok(AuditFilter {
            license: self.license,
            customer: self.customer,
            product: self.product,
            actor: self.by,
            events: self.events,
            from: self.from.map(|from| from.beginning(now)).transpose()?,
            to: to.flatten(),
            text: self.text,
            after: self.after,
            limit: self.limit.map(NonZeroU64::get).or(shown),
            order: if self.reverse {
                AuditOrder::NewestFirst
            } else {
                AuditOrder::OldestFirst
            },
        })
    }
}

/// Events that were found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi audit query")]
pub(crate) struct EventsAnswer {
    /// In the order asked for.
    events: Vec<EventView>,
    /// The last of them, if there are more: go on with --after.
    more_after: Option<u64>,
}

impl EventsAnswer {
    fn find(issuer: &mut Issuer, filter: &AuditFilter) -> Result<Self, Failure> {
        let mut events = Vec::new();
        let more_after = issuer.audit(filter, |row| {
            events.push(EventView::from(row));
            Ok::<_, Failure>(())
        })?;
        Ok(Self { events, more_after })
    }
}

impl Answer for EventsAnswer {
    fn show(&self, page: &mut Page) {
        if self.events.is_empty() {
            page.line("no events");
            return;
        }
        let row = |event: &EventView| {
            [
                event.seq.to_string(),
                event.time.to_string(),
                one_line(&event.actor),
                event.event.clone(),
                one_line(&event.about()),
                one_line(&event.what()),
            ]
        };
        let rows: Vec<_> = self.events.iter().map(row).collect();
        page.table(["SEQ", "TIME", "ACTOR", "EVENT", "ABOUT", "WHAT"], &rows);
        page.gap();
        page.line(&counted(self.events.len(), "event"));
        if let Some(last) = self.more_after {
            page.line(&format!("there are more: go on with --after {last}"));
        }
    }
}

impl Answer for EventView {
    fn show(&self, page: &mut Page) {
        page.field("event", format!("{} {}", self.seq, self.event));
        page.field("time", &self.time);
        if let Some(time) = &self.counts_as {
            page.field("counts as", format!("{time}: the clock was ahead"));
        }
        page.field("actor", &self.actor);
        for (label, value) in [
            ("reason", &self.reason),
            ("license", &self.license),
            ("customer", &self.customer),
            ("product", &self.product),
            ("request", &self.idempotency_key),
        ] {
            if let Some(value) = value {
                page.field(label, one_line(value));
            }
        }
        page.field("what", &self.summary);
        page.field("leaf index", self.leaf_index);
        page.field("entry hash", &self.entry_hash);
        page.gap();
        page.raw(&to_json(&self.details));
    }
}

/// Prints events as they are found, one JSON object a line.
fn lines(issuer: &mut Issuer, filter: &AuditFilter) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    streamed(issuer, filter, |event| {
        let text = serde_json::to_string(event).map_err(io::Error::other)?;
        writeln!(out, "{}", harmless_json(&text))
    })?;
    settle(out.flush())
}

/// The columns of csv; they are added to, and never renamed.
const COLUMNS: [&str; 11] = [
    "seq",
    "time",
    "actor",
    "event",
    "license",
    "customer",
    "product",
    "summary",
    "reason",
    "leaf_index",
    "entry_hash",
];

/// Prints events as they are found, as comma-separated values.
fn table_of_values(issuer: &mut Issuer, filter: &AuditFilter) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(io::stdout().lock());
    let mut begun = false;
    streamed(issuer, filter, |event| {
        if !begun {
            begun = true;
            out.write_record(COLUMNS)?;
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            event.seq.to_string(),
            event.time.to_string(),
            event.actor.clone(),
            event.event.clone(),
            text(&event.license),
            text(&event.customer),
            text(&event.product),
            event.summary.clone(),
            text(&event.reason),
            event.leaf_index.to_string(),
            event.entry_hash.clone(),
        ];
        out.write_record(cells.iter().map(|cell| inert(&clean(cell))))?;
        Ok(())
    })?;
    if !begun {
        settle(out.write_record(COLUMNS).map_err(io::Error::from))?;
    }
    settle(out.flush())
}

/// A cell that no spreadsheet takes for a formula.
fn inert(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        return format!("'{cell}");
    }
    cell.to_owned()
}

/// Why printing ends: a failure, or a reader who has what it wanted.
enum End {
    Failed(Failure),
    Written(io::Error),
}

impl From<phi_issuer::Error> for End {
    fn from(error: phi_issuer::Error) -> Self {
        Self::Failed(error.into())
    }
}

fn streamed(
    issuer: &mut Issuer,
    filter: &AuditFilter,
    mut print: impl FnMut(&EventView) -> io::Result<()>,
) -> Result<(), Failure> {
    let printed = issuer.audit(filter, |row| {
        print(&EventView::from(row)).map_err(End::Written)
    });
    match printed {
        Ok(_) => Ok(()),
        Err(End::Written(error)) => settle(Err(error)),
        Err(End::Failed(failure)) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx"] {
            assert_eq!(inert(cell), format!("'{cell}"));
        }
        for cell in ["", "a=1", "'=1", "2026"] {
            assert_eq!(inert(cell), cell);
        }
    }
}
