//! What of a bundle is to be verified, and what was, where that is not one license.

use phi_verify::dangerous_inspect;
use phi_verify::log::LogState;
use phi_verify::{
    Bundle, BundledToken, Claims, License, LicenseId, PartOutcome, PartReport, TokenId,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::validity_line;
use crate::failure::Failure;
use crate::output::{Answer, Page, Tone, say};
use crate::trust::Trust;
use crate::view::{Stamp, counted};

/// Which tokens of a bundle are meant.
#[derive(Debug, Default)]
pub(super) struct Choice<'a> {
    pub(super) license: Option<LicenseId>,
    pub(super) token: Option<TokenId>,
    pub(super) product: Option<&'a str>,
}

/// A token of a bundle, with what it says of itself.
pub(super) struct Candidate<'b> {
    pub(super) entry: BundledToken<'b>,
    pub(super) claims: Claims,
}

/// A bundle may have thousands of tokens: more than these do not help anybody to choose.
const LISTED: usize = 8;

impl Choice<'_> {
    /// The tokens that are meant, of which there is one at least.
    ///
    /// # Errors
    /// `bundle-choice` if there is none, or why one does not read.
    pub(super) fn of<'b>(&self, bundle: &Bundle<'b>) -> Result<Vec<Candidate<'b>>, Failure> {
        let read = |entry: &BundledToken<'b>| {
            let (_, claims) = dangerous_inspect::token(entry.token())?;
            Ok(Candidate {
                entry: *entry,
                claims,
            })
        };
        let all = bundle.tokens().iter().map(read);
        let all = all.collect::<Result<Vec<_>, Failure>>()?;
        if all.is_empty() {
            return Err(Failure::new("bundle-choice", "the bundle has no license"));
        }
        let (meant, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| self.means(&one.claims));
        if meant.is_empty() {
            let message = format!("the bundle has no such license; it has {}", list(&others));
            return Err(Failure::new("bundle-choice", message));
        }
        Ok(meant)
    }

    /// The only token that is meant.
    ///
    /// # Errors
    /// As [`Choice::of`]; `bundle-choice` if it is not the only one.
    pub(super) fn one<'b>(&self, bundle: &Bundle<'b>) -> Result<Candidate<'b>, Failure> {
        let mut meant = self.of(bundle)?;
        if meant.len() == 1 {
            return Ok(meant.remove(0));
        }
        let (tokens, list) = (counted(meant.len(), "token"), list(&meant));
        let message = format!("the bundle has {tokens} that can be meant: {list}");
        Err(Failure::new("bundle-choice", message))
    }

    fn means(&self, claims: &Claims) -> bool {
        self.license.is_none_or(|id| claims.license_id == id)
            && self.token.is_none_or(|id| claims.token_id == id)
            && self.product.is_none_or(|name| claims.product == name)
    }
}

fn list(candidates: &[Candidate<'_>]) -> String {
    let line = |one: &Candidate<'_>| {
        let Claims {
            token_id,
            license_id,
            customer,
            product,
            ..
        } = &one.claims;
        format!("token {token_id} of license {license_id} ({product} of {customer})")
    };
    let mut lines: Vec<_> = candidates.iter().take(LISTED).map(line).collect();
    if candidates.len() > LISTED {
        lines.push(format!("and {} more", candidates.len() - LISTED));
    }
    lines.join(", ")
}

/// Says which documents of a bundle are refused.
pub(super) fn warn(parts: &[PartReport]) {
    for report in parts {
        if let PartOutcome::Refused(error) = &report.outcome {
            let part = &report.part;
            say(&format!(
                "phi: warning: {part} of the bundle is refused: {error}"
            ));
        }
    }
}

/// What a bundle has, verified.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi verify --bundle, with --all or without a license")]
pub(crate) struct BundleVerifyAnswer {
    /// Whether everything that was looked at is good.
    verified: bool,
    /// The documents.
    documents: Vec<PartView>,
    /// How many events the checkpoint in the bundle covers; null if there is none.
    ledger_events: Option<u64>,
    /// The licenses that were verified.
    licenses: Vec<LicenseRow>,
    #[serde(skip)]
    failure: Option<Failure>,
}

/// What became of a document.
#[derive(Debug, Serialize, JsonSchema)]
struct PartView {
    /// `root`, `keyset`, `status` or `catalog`.
    kind: String,
    /// The product, of a catalog.
    product: Option<String>,
    /// The version, epoch or revision, as the bundle says.
    version: u64,
    /// `good`, `older` than the anchor and not needed, or `refused`.
    outcome: String,
    /// Why it is refused; null if it is not.
    problem: Option<String>,
}

/// What became of a license.
#[derive(Debug, Serialize, JsonSchema)]
struct LicenseRow {
    /// The token.
    token: String,
    /// The license.
    license: String,
    /// The customer.
    customer: String,
    /// The product.
    product: String,
    /// When it expires; null is never.
    expires: Option<Stamp>,
    /// `good`, or the code of the error for which it is refused.
    outcome: String,
    /// Until when it is good, or why it is refused, in words.
    says: String,
}

impl BundleVerifyAnswer {
    pub(super) fn new(bundle: &Bundle<'_>, trust: &Trust, parts: Vec<PartReport>) -> Self {
        let mut answer = Self {
            verified: true,
            documents: Vec::new(),
            ledger_events: None,
            licenses: Vec::new(),
            failure: None,
        };
        for PartReport { part, outcome } in parts {
            let (word, problem) = match &outcome {
                PartOutcome::Updated | PartOutcome::Unchanged => ("good", None),
                PartOutcome::Passed => ("older", None),
                PartOutcome::Refused(error) => ("refused", Some(error.to_string())),
            };
            answer.documents.push(PartView {
                kind: part.kind.to_string(),
                product: part.product.clone(),
                version: part.version,
                outcome: word.into(),
                problem,
            });
            if let PartOutcome::Refused(error) = outcome {
                answer.fail(Failure::from(error).about(format!("{part} of the bundle")));
            }
        }
        match bundle.advance(None, trust.state.root()) {
            Ok(checkpoint) => answer.ledger_events = checkpoint.as_ref().map(LogState::size),
            Err(error) => answer.fail(Failure::from(error).about("the bundle's checkpoint")),
        }
        answer
    }

    /// Adds the verdict on a license, and the time by which it was judged.
    pub(super) fn judged(
        &mut self,
        claims: &Claims,
        verdict: Result<License, Failure>,
        now: phi_verify::UnixTime,
    ) {
        let (outcome, says) = match &verdict {
            Ok(license) => ("good", validity_line(license, now)),
            Err(failure) => (failure.code, failure.message.clone()),
        };
        self.licenses.push(LicenseRow {
            token: claims.token_id.to_string(),
            license: claims.license_id.to_string(),
            customer: claims.customer.clone(),
            product: claims.product.clone(),
            expires: claims.expires.map(Stamp::from),
            outcome: outcome.into(),
            says,
        });
        if let Err(failure) = verdict {
            self.fail(failure.about(format!("license {}", claims.license_id)));
        }
    }

    /// What is wrong first is what the command ends with.
    fn fail(&mut self, failure: Failure) {
        self.verified = false;
        self.failure.get_or_insert(failure);
    }

    /// Prints it, and fails if something is refused.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn give(mut self, output: crate::output::Output) -> Result<(), Failure> {
        let failure = self.failure.take();
        output.print(&self)?;
        failure.map_or(Ok(()), |failure| {
            Err(Failure {
                answered: true,
                ..failure
            })
        })
    }
}

impl Answer for BundleVerifyAnswer {
    fn show(&self, page: &mut Page) {
        let documents = counted(self.documents.len(), "document");
        let about = match self.licenses.len() {
            0 => format!("{documents}, and no license"),
            count => format!("{documents} and {}", counted(count, "license")),
        };
        if self.verified {
            page.headline(Tone::Good, "VERIFIED", &about);
        } else {
            page.headline(
                Tone::Warn,
                "NOT VERIFIED",
                &format!("not all of {about} is good"),
            );
        }
        page.gap();
        let document = |part: &PartView| {
            [
                part.kind.clone(),
                part.version.to_string(),
                part.product.clone().unwrap_or_default(),
                part.problem.clone().unwrap_or_else(|| part.outcome.clone()),
            ]
        };
        let rows: Vec<_> = self.documents.iter().map(document).collect();
        page.table(["DOCUMENT", "VERSION", "PRODUCT", "IS"], &rows);
        if let Some(events) = self.ledger_events {
            page.gap();
            page.line(&format!(
                "the checkpoint of the ledger's first {events} events is good"
            ));
        }
        if self.licenses.is_empty() {
            return;
        }
        page.gap();
        let license = |row: &LicenseRow| {
            let verdict = match row.outcome.as_str() {
                "good" => format!("good {}", row.says),
                _ => row.says.clone(),
            };
            [
                row.license.clone(),
                row.token.clone(),
                row.customer.clone(),
                row.product.clone(),
                verdict,
            ]
        };
        let rows: Vec<_> = self.licenses.iter().map(license).collect();
        page.table(["LICENSE", "TOKEN", "CUSTOMER", "PRODUCT", "IS"], &rows);
    }
}
