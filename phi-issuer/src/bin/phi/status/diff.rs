//! `phi status diff`: what came and went between two lists.

use std::ffi::OsStr;

use clap::Args;
use phi_issuer::{ListDiff, ListName, RuleChange, Side, TokenChange};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::Object;
use crate::output::{Answer, Page};
use crate::session::Session;
use crate::view::{Stamp, counted};

/// Say what came and what went between two status documents
#[derive(Debug, Args)]
#[command(
    long_about = "Say what came and what went between two status documents: rules by what they \
        are about, and by their ids the tokens that are revoked one by one. The documents have no \
        ids; the ledger does. Of a delta it is said what it makes of its base. A file is read as \
        it is: who signed it is what phi inspect says.",
    after_help = "Examples:\n  \
        phi status diff 11 12\n  \
        phi status diff 11 published/status-11-to-12.phi --json"
)]
pub(crate) struct Diff {
    /// An epoch, or the file of a document
    from: String,
    /// Another one
    to: String,
}

impl Diff {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (from, to) = (name(&self.from)?, name(&self.to)?);
        let diff = session.issuer()?.diff_lists(&from, &to)?;
        session.output().print(&DiffAnswer::new(&diff))
    }
}

/// Digits are an epoch: a file of such a name is given with its folder.
fn name(text: &str) -> Result<ListName, Failure> {
    if let Ok(epoch) = text.parse() {
        return Ok(ListName::Epoch(epoch));
    }
    match Object::read(OsStr::new(text))? {
        Object::Document(bytes) => Ok(ListName::Document(bytes)),
        other => {
            let message = format!("{text} is {}, not a status document", other.name());
            Err(Failure::new("wrong-kind", message))
        }
    }
}

/// What is different between two status documents.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi status diff")]
pub(crate) struct DiffAnswer {
    /// The first document.
    from: ListView,
    /// The second.
    to: ListView,
    /// Rules that came, went or changed.
    rules: Vec<RuleRow>,
    /// Tokens that one of the two revokes by itself.
    tokens: Vec<TokenRow>,
}

/// A document.
#[derive(Debug, Serialize, JsonSchema)]
struct ListView {
    /// Its epoch.
    epoch: u64,
    /// When it was made.
    this_update: Stamp,
}

/// A rule that is not the same in both.
#[derive(Debug, Serialize, JsonSchema)]
struct RuleRow {
    /// `came`, `went` or `changed`.
    change: String,
    /// `license`, `customer`, `key` or `feature`.
    class: String,
    /// The id; of a customer whom the ledger does not know the hash.
    subject: String,
    /// The rule in the first document.
    before: Option<SideView>,
    /// The rule in the second.
    after: Option<SideView>,
}

/// A rule in one of the documents.
#[derive(Debug, Serialize, JsonSchema)]
struct SideView {
    /// Only what was issued before this time; null is everything.
    issued_before: Option<Stamp>,
    /// Why.
    reason: String,
}

/// A token that one of the documents revokes by itself.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenRow {
    /// `came` or `went`.
    change: String,
    /// The token.
    token: String,
    /// Its license.
    license: String,
    /// The license's customer.
    customer: String,
}

impl DiffAnswer {
    fn new(diff: &ListDiff) -> Self {
        let view = |side: usize| ListView {
            epoch: diff.epochs[side],
            this_update: diff.made[side].into(),
        };
        Self {
            from: view(0),
            to: view(1),
            rules: diff.rules.iter().map(RuleRow::new).collect(),
            tokens: diff.tokens.iter().map(TokenRow::new).collect(),
        }
    }
}

impl RuleRow {
    fn new(rule: &RuleChange) -> Self {
        let [before, after] = rule.sides;
        let change = match (before, after) {
            (None, _) => "came",
            (_, None) => "went",
            _ => "changed",
        };
        Self {
            change: change.to_owned(),
            class: rule.class.name().to_owned(),
            subject: rule.id.clone(),
            before: before.map(SideView::new),
            after: after.map(SideView::new),
        }
    }
}

impl SideView {
    fn new(side: Side) -> Self {
        Self {
            issued_before: side.issued_before.map(Stamp::from),
            reason: side.reason.name().to_owned(),
        }
    }

    fn words(side: Option<&Self>) -> String {
        match side {
            None => "-".into(),
            Some(side) => match &side.issued_before {
                None => format!("all, {}", side.reason),
                Some(before) => format!("before {before}, {}", side.reason),
            },
        }
    }
}

impl TokenRow {
    fn new(token: &TokenChange) -> Self {
        Self {
            change: if token.came { "came" } else { "went" }.to_owned(),
            token: token.token.to_string(),
            license: token.license.to_string(),
            customer: token.customer.clone(),
        }
    }
}

impl Answer for DiffAnswer {
    fn show(&self, page: &mut Page) {
        for (label, list) in [("from", &self.from), ("to", &self.to)] {
            page.field(
                label,
                format!("epoch {} of {}", list.epoch, list.this_update),
            );
        }
        let (rules, tokens) = (self.rules.len(), self.tokens.len());
        page.field(
            "different",
            format!("{}, {}", counted(rules, "rule"), counted(tokens, "token")),
        );
        if rules > 0 {
            page.gap();
            let row = |row: &RuleRow| {
                [
                    row.change.clone(),
                    row.class.clone(),
                    row.subject.clone(),
                    SideView::words(row.before.as_ref()),
                    SideView::words(row.after.as_ref()),
                ]
            };
            let rows: Vec<_> = self.rules.iter().map(row).collect();
            page.table(["RULE", "CLASS", "SUBJECT", "BEFORE", "AFTER"], &rows);
        }
        if tokens > 0 {
            page.gap();
            let row = |row: &TokenRow| {
                [
                    row.change.clone(),
                    row.token.clone(),
                    row.license.clone(),
                    row.customer.clone(),
                ]
            };
            let rows: Vec<_> = self.tokens.iter().map(row).collect();
            page.table(["TOKEN", "ID", "LICENSE", "CUSTOMER"], &rows);
        }
    }
}
