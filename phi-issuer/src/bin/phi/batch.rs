//! `phi mint --batch`: a license and a token for each row of a file.

use std::path::Path;

use phi_issuer::durable::{self, Mode};
use phi_issuer::{BatchMode, MAX_ROWS_BYTES, RowFormat, RowResult, read_rows};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::read_file;
use crate::output::{print_bytes, say};
use crate::progress::Progress;
use crate::session::Session;
use crate::view::{counted, shown};

/// Carries out the rows of a file and writes a line of JSON for each.
///
/// # Errors
/// What concerns the whole batch; `batch-rows` if rows were refused, after all lines are written.
pub(crate) fn run(
    rows: &Path,
    out: Option<&Path>,
    dry_run: bool,
    session: &Session,
) -> Result<(), Failure> {
    let format = format(rows, "batch-file")?;
    let bytes = read_file(rows, MAX_ROWS_BYTES)?;
    let rows = read_rows(format, &bytes, session.now())?;
    let mut issuer = session.issuer()?;
    let mode = if dry_run {
        BatchMode::Rehearse
    } else {
        BatchMode::Mint
    };
    let mut progress = Progress::of(rows.len());
    let context = session.context();
    let results = issuer.mint_batch(&rows, mode, session, &context, |done| {
        progress.at(done);
    });
    progress.end();
    let results: Vec<BatchRow> = results?
        .iter()
        .map(|result| BatchRow::new(result, mode))
        .collect();
    let again = "what was minted is recorded: run the same command again to have it written";
    // A rehearsal leaves the name free for the run that it rehearses.
    let out = out.filter(|_| mode == BatchMode::Mint);
    write(&results, out).map_err(|failure| failure.hint(again))?;
    conclude(&results, mode)
}

/// The form of a file of rows, by its name.
pub(crate) fn format(rows: &Path, code: &'static str) -> Result<RowFormat, Failure> {
    match rows.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(RowFormat::Csv),
        Some("jsonl" | "ndjson") => Ok(RowFormat::JsonLines),
        _ => {
            let message = format!("{} is neither .csv nor .jsonl", shown(rows));
            Err(Failure::new(code, message))
        }
    }
}

fn write(results: &[BatchRow], out: Option<&Path>) -> Result<(), Failure> {
    let mut text = String::new();
    for result in results {
        text += &serde_json::to_string(result).expect("answers have no failing parts");
        text.push('\n');
    }
    match out {
        Some(path) => Ok(durable::create_new(path, text.as_bytes(), Mode::Private)?),
        None => print_bytes(text.as_bytes()),
    }
}

fn conclude(results: &[BatchRow], mode: BatchMode) -> Result<(), Failure> {
    let count = |status: RowStatus| results.iter().filter(|row| row.status == status).count();
    let (minted, verb) = match mode {
        BatchMode::Mint => (count(RowStatus::Minted), "minted"),
        BatchMode::Rehearse => (count(RowStatus::WouldMint), "would be minted"),
    };
    let (repeated, refused) = (count(RowStatus::Repeated), count(RowStatus::Refused));
    say(&format!(
        "phi: {} {verb}, {repeated} minted before, {refused} refused",
        counted(minted, "row")
    ));
    if mode == BatchMode::Rehearse {
        say("phi: dry run: nothing was recorded");
    }
    if refused == 0 {
        return Ok(());
    }
    let message = format!("{} refused", counted(refused, "row"));
    Err(Failure::new("batch-rows", message))
}

/// What became of a row: a line of the output of `phi mint --batch`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "a line of phi mint --batch")]
pub(crate) struct BatchRow {
    /// The row's line in the file, from 1.
    line: usize,
    /// The row's `ref`, if it reads.
    r#ref: Option<String>,
    /// What became of it.
    status: RowStatus,
    /// The token's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The license.
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    /// The token itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<RowError>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum RowStatus {
    /// It was carried out now.
    Minted,
    /// It had been carried out before, and this is its token.
    Repeated,
    /// It is refused, and nothing of it was recorded.
    Refused,
    /// In a dry run: it would be carried out.
    WouldMint,
}

/// Why a row was refused.
#[derive(Debug, Serialize, JsonSchema)]
struct RowError {
    /// A stable word.
    code: String,
    /// A sentence for people.
    message: String,
}

impl BatchRow {
    fn new(result: &RowResult, mode: BatchMode) -> Self {
        let row = |status| Self {
            line: result.line,
            r#ref: result.reference.clone(),
            status,
            id: None,
            license: None,
            token: None,
            error: None,
        };
        match (&result.outcome, mode) {
            (Err(error), _) => Self {
                error: Some(RowError {
                    code: error.code().to_owned(),
                    message: error.to_string(),
                }),
                ..row(RowStatus::Refused)
            },
            // The token of a rehearsal is not in the store, and must not leave here.
            (Ok(_), BatchMode::Rehearse) if !result.repeated => row(RowStatus::WouldMint),
            (Ok(minted), _) => Self {
                id: Some(minted.token_id.to_string()),
                license: Some(minted.license.to_string()),
                token: Some(minted.token.clone()),
                ..row(if result.repeated {
                    RowStatus::Repeated
                } else {
                    RowStatus::Minted
                })
            },
        }
    }
}
