//! `phi import`: customers and licenses of another system, from a file of rows and a map of it.

mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use phi_issuer::durable::{self, Mode};
use phi_issuer::{
    BatchMode, Error, ImportFile, ImportMap, MAX_MAP_BYTES, MAX_ROWS_BYTES, RowFormat, example_map,
};

pub(crate) use self::report::ImportAnswer;
use self::report::ReportForm;
use crate::batch;
use crate::export::Form;
use crate::failure::Failure;
use crate::input::{read_file, read_text};
use crate::output::say;
use crate::progress::Progress;
use crate::session::Session;
use crate::view::{counted, shown};

/// Bring customers and licenses over from a spreadsheet or another system
#[derive(Debug, Args)]
#[command(
    long_about = "Bring customers and licenses over from a spreadsheet or another system. Each row \
        is a customer with a license, or a customer; the map says which column is what and what \
        the words mean. A row is carried out whole or not at all, and once: its reference names \
        it, and running the file again makes nothing twice. Without a map the file is one that \
        phi export wrote.",
    after_help = "Examples:\n  \
        phi import old.csv --write-map old.toml\n  \
        phi import old.csv --map old.toml --dry-run\n  \
        phi import old.csv --map old.toml --report report.csv --refused refused.csv\n  \
        phi import everything.jsonl"
)]
pub(crate) struct Import {
    /// The rows: .csv with a header line, or .jsonl
    file: PathBuf,
    /// The map of the file [default: that of phi export]
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Show what would be made, and record nothing
    #[arg(long)]
    dry_run: bool,
    /// Write what became of each row to a new .csv, .jsonl or .json file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the rows that were refused to a new file, to be mended and imported again
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// The form of the rows [default: by the file's name]
    #[arg(long, value_name = "FORM")]
    format: Option<Form>,
    /// Write a map of the file's columns and words to begin with, and import nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["map", "dry_run", "report", "refused"])]
    write_map: Option<PathBuf>,
}

impl Import {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let format = match self.format {
            Some(form) => form.into(),
            None => batch::format(&self.file, "import-file")?,
        };
        if let Some(out) = &self.write_map {
            return self.begin_map(format, out, session);
        }
        let form = self.report.as_deref().map(ReportForm::of).transpose()?;
        // Refused before anything is recorded: what is recorded wants its report.
        for path in [&self.report, &self.refused].into_iter().flatten() {
            free(path)?;
        }
        let map = self.read_map()?;
        let bytes = read_file(&self.file, MAX_ROWS_BYTES)?;
        let file = ImportFile::read(format, &bytes, &map).map_err(|error| self.unread(error))?;
        let mode = if self.dry_run {
            BatchMode::Rehearse
        } else {
            BatchMode::Mint
        };
        let mut progress = Progress::of(file.len());
        let mut issuer = session.issuer()?;
        let results = issuer.import(&file, mode, &session.context(), |done| progress.at(done));
        progress.end();
        let results = results?;
        let answer = ImportAnswer::new(map.source(), &file, &results, mode);
        if let (Some(path), Some(form)) = (&self.report, form) {
            durable::create_new(path, &answer.to_file(form), Mode::Private)?;
        }
        if let Some(path) = &self.refused
            && answer.refused() > 0
        {
            durable::create_new(path, &file.refused(&results), Mode::Private)?;
        }
        session.output().print(&answer)?;
        say(&answer.summary());
        if let Some(note) = answer.unread() {
            say(&note);
        }
        if self.dry_run {
            say("phi: dry run: nothing was recorded");
        }
        match answer.refused() {
            0 => Ok(()),
            refused => Err(Failure {
                answered: true,
                ..Failure::new(
                    "import-rows",
                    format!("{} refused", counted(refused, "row")),
                )
            }),
        }
    }

    fn read_map(&self) -> Result<ImportMap, Failure> {
        let Some(path) = &self.map else {
            return Ok(ImportMap::of_export());
        };
        let text = read_text(path, MAX_MAP_BYTES)?;
        let refused = |found| Failure::of_places("import-map-invalid", &shown(path), &found);
        ImportMap::parse(&text).map_err(refused)
    }

    fn unread(&self, error: Error) -> Failure {
        match error {
            Error::BatchFile { problem } => {
                Failure::new("import-file", problem).about(shown(&self.file))
            }
            error => error.into(),
        }
    }

    fn begin_map(&self, format: RowFormat, out: &Path, session: &Session) -> Result<(), Failure> {
        let bytes = read_file(&self.file, MAX_ROWS_BYTES)?;
        // Without an issuer there is only no list of plans in the map.
        let catalog = session
            .issuer()
            .ok()
            .and_then(|mut issuer| issuer.catalog(None).ok());
        let map = example_map(format, &bytes, catalog.as_deref());
        let map = map.map_err(|error| self.unread(error))?;
        durable::create_new(out, map.as_bytes(), Mode::Private)?;
        let (file, out) = (shown(&self.file), shown(out));
        say(&format!("phi: a map of {file} is in {out}"));
        say(&format!(
            "phi: next: edit {out}, then run phi import {file} --map {out} --dry-run"
        ));
        Ok(())
    }
}

/// Whether a file can be made here, as far as that is known before.
fn free(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        let path = path.to_owned();
        return Err(durable::FileError::AlreadyExists { path }.into());
    }
    Ok(())
}
