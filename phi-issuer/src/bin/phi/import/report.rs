//! What became of the rows of an import: for people, as JSON, and as a file.

use std::fmt::Write as _;
use std::path::Path;

use phi_issuer::{BatchMode, ImportFile, ImportResult, ImportWay, write_record};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, to_json};
use crate::view::{counted, shown};

/// Rows that are shown; a report has them all.
const MAX_SHOWN: usize = 50;

/// What became of the rows.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi import")]
pub(crate) struct ImportAnswer {
    /// The system that the rows come from, by the map.
    source: String,
    /// Whether nothing was recorded.
    dry_run: bool,
    /// How many rows came to what.
    counts: Counts,
    /// Columns of the file that the map does not read.
    unread_columns: Vec<String>,
    /// In the order of the file.
    rows: Vec<ImportRow>,
}

/// How many rows came to what.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Counts {
    /// Carried out now, or in a dry run: that would be.
    imported: usize,
    /// Carried out before.
    repeated: usize,
    /// Of a customer that is there already.
    unchanged: usize,
    /// Left aside, as the map says.
    skipped: usize,
    /// Refused.
    refused: usize,
}

/// What became of a row.
#[derive(Debug, Serialize, JsonSchema)]
struct ImportRow {
    /// The row's line in the file, from 1.
    line: usize,
    /// The row's reference, if it has one that reads.
    r#ref: Option<String>,
    /// What became of it.
    outcome: Outcome,
    /// The customer's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<String>,
    /// The license's id; a dry run makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    /// The license's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ImportError>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// It was carried out now.
    Imported,
    /// In a dry run: it would be carried out.
    WouldImport,
    /// It had been carried out before.
    Repeated,
    /// It is of a customer that is there already, as it says.
    Unchanged,
    /// The map says to leave it aside.
    Skipped,
    /// It is refused, and nothing of it was recorded.
    Refused,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::WouldImport => "would-import",
            Self::Repeated => "repeated",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }
}

/// Why a row was refused.
#[derive(Debug, Serialize, JsonSchema)]
struct ImportError {
    /// The column, as the file has it.
    column: Option<String>,
    /// A stable word.
    code: String,
    /// A sentence for people.
    message: String,
    /// The next step.
    hint: Option<String>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReportForm {
    Csv,
    JsonLines,
    Json,
}

impl ReportForm {
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("json") => Ok(Self::Json),
            _ => {
                let message = format!("{} is neither .csv, .jsonl nor .json", shown(path));
                Err(Failure::new("file-form", message))
            }
        }
    }
}

const REPORT_COLUMNS: [&str; 10] = [
    "line", "ref", "outcome", "customer", "license", "state", "column", "code", "message", "hint",
];

impl ImportAnswer {
    pub(super) fn new(
        source: &str,
        file: &ImportFile<'_>,
        results: &[ImportResult],
        mode: BatchMode,
    ) -> Self {
        let mut counts = Counts::default();
        let mut row = |result: &ImportResult| {
            let row = ImportRow::new(result, mode);
            match row.outcome {
                Outcome::Imported | Outcome::WouldImport => counts.imported += 1,
                Outcome::Repeated => counts.repeated += 1,
                Outcome::Unchanged => counts.unchanged += 1,
                Outcome::Skipped => counts.skipped += 1,
                Outcome::Refused => counts.refused += 1,
            }
            row
        };
        let rows = results.iter().map(&mut row).collect();
        Self {
            source: source.to_owned(),
            dry_run: mode == BatchMode::Rehearse,
            counts,
            unread_columns: file.unread_columns().into_iter().map(Into::into).collect(),
            rows,
        }
    }

    pub(super) const fn refused(&self) -> usize {
        self.counts.refused
    }

    /// A line for standard error about what the map leaves out.
    pub(super) fn unread(&self) -> Option<String> {
        let columns = &self.unread_columns;
        (!columns.is_empty()).then(|| {
            let listed: Vec<_> = columns.iter().take(MAX_SHOWN).map(String::as_str).collect();
            let more = columns.len() - listed.len();
            let end = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!(
                "phi: note: the map does not read {}: {}{end}",
                counted(columns.len(), "column"),
                listed.join(", ")
            )
        })
    }

    /// A line for standard error.
    pub(super) fn summary(&self) -> String {
        let Counts {
            imported,
            repeated,
            unchanged,
            skipped,
            refused,
        } = self.counts;
        let verb = if self.dry_run {
            "would be imported"
        } else {
            "imported"
        };
        let mut text = format!("phi: {} {verb}", counted(imported, "row"));
        for (count, what) in [
            (repeated, "imported before"),
            (unchanged, "of customers that are there"),
            (skipped, "skipped"),
            (refused, "refused"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        text
    }

    /// The report as a file.
    pub(super) fn to_file(&self, form: ReportForm) -> Vec<u8> {
        match form {
            ReportForm::Json => to_json(self).into_bytes(),
            ReportForm::JsonLines => {
                let mut text = Vec::new();
                for row in &self.rows {
                    let line = serde_json::to_vec(row).expect("answers have no failing parts");
                    text.extend(line);
                    text.push(b'\n');
                }
                text
            }
            ReportForm::Csv => {
                let mut text = Vec::new();
                write_record(&mut text, REPORT_COLUMNS.map(str::to_owned));
                for row in &self.rows {
                    write_record(&mut text, row.cells());
                }
                text
            }
        }
    }
}

impl ImportRow {
    fn new(result: &ImportResult, mode: BatchMode) -> Self {
        let mut row = Self {
            line: result.line,
            r#ref: result.reference.clone(),
            outcome: Outcome::Refused,
            customer: None,
            license: None,
            state: None,
            error: None,
        };
        let imported = match &result.outcome {
            Ok(imported) => imported,
            Err(problem) => {
                row.error = Some(ImportError {
                    column: problem.column.clone(),
                    code: problem.code.to_owned(),
                    message: problem.message.clone(),
                    hint: problem.hint.clone(),
                });
                return row;
            }
        };
        row.outcome = match (imported.way, mode) {
            (ImportWay::CarriedOut, BatchMode::Mint) => Outcome::Imported,
            (ImportWay::CarriedOut, BatchMode::Rehearse) => Outcome::WouldImport,
            (ImportWay::Repeated, _) => Outcome::Repeated,
            (ImportWay::Unchanged, _) => Outcome::Unchanged,
            (ImportWay::Skipped, _) => Outcome::Skipped,
        };
        row.customer.clone_from(&imported.customer);
        if let Some((license, state)) = imported.license {
            // The id of a rehearsal is not the one that the license will have.
            row.license = (row.outcome != Outcome::WouldImport).then(|| license.to_string());
            row.state = Some(state.name().to_owned());
        }
        row
    }

    fn cells(&self) -> [String; 10] {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let error = self.error.as_ref();
        let of_error = |part: fn(&ImportError) -> Option<&String>| {
            error.and_then(part).cloned().unwrap_or_default()
        };
        [
            self.line.to_string(),
            text(&self.r#ref),
            self.outcome.name().to_owned(),
            text(&self.customer),
            text(&self.license),
            text(&self.state),
            of_error(|error| error.column.as_ref()),
            of_error(|error| Some(&error.code)),
            of_error(|error| Some(&error.message)),
            of_error(|error| error.hint.as_ref()),
        ]
    }

    /// Why it was refused, with the place.
    fn complaint(&self) -> Option<(String, Option<&String>)> {
        let error = self.error.as_ref()?;
        let column = error.column.as_ref();
        let column = column.map_or_else(String::new, |column| format!(", column {column:?}"));
        let text = format!("line {}{column}: {}", self.line, error.message);
        Some((text, error.hint.as_ref()))
    }
}

impl Answer for ImportAnswer {
    fn show(&self, page: &mut Page) {
        let all = self.rows.len() <= MAX_SHOWN;
        let wanted = |row: &&ImportRow| all || row.outcome == Outcome::Refused;
        let shown: Vec<_> = self.rows.iter().filter(wanted).take(MAX_SHOWN).collect();
        let cells = |row: &&ImportRow| {
            let [line, reference, outcome, customer, license, state, ..] = row.cells();
            [line, reference, outcome, customer, license, state]
        };
        if !shown.is_empty() {
            let rows: Vec<_> = shown.iter().map(cells).collect();
            page.table(
                ["LINE", "REF", "OUTCOME", "CUSTOMER", "LICENSE", "STATE"],
                &rows,
            );
        }
        if shown.len() < self.rows.len() {
            let rest = counted(self.rows.len() - shown.len(), "row");
            page.line(&format!("{rest} not shown: --report FILE writes them all"));
        }
        if self.refused() > 0 {
            page.gap();
        }
        let mut last = None;
        for (complaint, hint) in shown.iter().filter_map(|row| row.complaint()) {
            page.line(&complaint);
            // What holds for many rows is said once.
            if let Some(hint) = hint
                && last != Some(hint)
            {
                page.line(&format!("  hint: {hint}"));
            }
            last = hint;
        }
    }
}
