//! What is different between two states of a license, as a table.

use phi_issuer::{Difference, DifferenceSubject, Direction, Issuer, LicenseAt, direction};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Page;

/// One thing that is different.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DifferenceRow {
    /// `license` for a part of the license itself, or `flag`, `quota`, `limit`.
    kind: String,
    /// The part, or the name of the flag, quota or limit.
    name: String,
    /// What it was; null is nothing.
    before: Option<String>,
    /// What it is then; null is nothing.
    after: Option<String>,
    /// `up` if the customer has more of it, `down` if less, `level` if neither.
    direction: String,
}

impl DifferenceRow {
    /// What is different.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn all(
        issuer: &mut Issuer,
        before: &LicenseAt,
        after: &LicenseAt,
    ) -> Result<Vec<Self>, Failure> {
        let found = issuer.differences(before, after)?;
        Ok(found.into_iter().map(Self::new).collect())
    }

    pub(crate) fn new(difference: Difference) -> Self {
        let (kind, name) = match difference.subject {
            DifferenceSubject::License(part) => ("license".to_owned(), part.to_owned()),
            DifferenceSubject::Term(kind, name) => (kind.to_string(), name),
        };
        Self {
            kind,
            name,
            before: difference.before,
            after: difference.after,
            direction: difference.direction.name().to_owned(),
        }
    }

    /// Whether a token that is minted now says something else than one minted before.
    pub(super) fn is_in_tokens(&self) -> bool {
        let beside = ["state", "trial", "waiting", "catalog"];
        self.kind != "license" || !beside.contains(&self.name.as_str())
    }

    fn subject(&self) -> String {
        match self.kind.as_str() {
            "license" => self.name.clone(),
            kind => format!("{kind} {}", self.name),
        }
    }
}

/// The differences, one a line.
pub(crate) fn show_differences(rows: &[DifferenceRow], page: &mut Page) {
    if rows.is_empty() {
        page.line("nothing is different");
        return;
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let row = |row: &DifferenceRow| [row.subject(), text(&row.before), text(&row.after)];
    let rows: Vec<_> = rows.iter().map(row).collect();
    page.table(["DIFFERENT", "BEFORE", "AFTER"], &rows);
}

/// What the differences come to for the customer, in a word.
pub(crate) fn verdict(differences: &[Difference]) -> &'static str {
    match direction(differences) {
        Direction::Up => "upgrade",
        Direction::Down => "downgrade",
        Direction::Both => "both",
        Direction::Level => "neither",
    }
}
