//! `phi status check`: one token, as the ledger and the newest list have it.

use clap::Args;
use phi_issuer::{ByLedger, ByList, TokenCheck};
use phi_verify::{RevocationPolicy, RuleClass, Verdict};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, Tone, say};
use crate::revoke::{Named, token_named};
use crate::session::Session;
use crate::view::Stamp;

/// Say of a token what the ledger and the newest status document have of it
#[derive(Debug, Args)]
#[command(
    long_about = "Say of a token what the ledger and the newest status document have of it, and \
        whether an application that has everything published accepts it, under each policy.\n\n\
        A token that is handed in as text or as a file must be the very one that was minted: one \
        that was changed, or is signed by others, is refused. An id alone says nothing of the \
        text that somebody has.",
    after_help = "Examples:\n  \
        phi status check license.txt\n  \
        phi status check 746f6b656e2d6964746f6b656e2d6964 --json"
)]
pub(crate) struct Check {
    /// The token, its file, or its id
    token: String,
}

impl Check {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let named = token_named(&self.token, &mut issuer, session)?;
        let check = issuer.check_token(named.id(), session.now())?;
        let answer = CheckAnswer::new(&check, named);
        session.output().print(&answer)?;
        if !answer.agree {
            say("phi: the list is behind the ledger; next: phi status publish");
        }
        Ok(())
    }
}

/// A token, by the ledger and by the newest list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi status check")]
pub(crate) struct CheckAnswer {
    /// The token's id.
    token: String,
    /// Whether the text that was handed in is what was minted; null if only the id was.
    genuine: Option<bool>,
    /// Its license.
    license: String,
    /// The license's customer.
    customer: String,
    /// When it was minted.
    issued: Stamp,
    /// The newest status epoch when it was minted: later documents know it.
    mint_epoch: u64,
    /// When nothing accepts it any more; null is never.
    ends: Option<Stamp>,
    /// What the ledger says.
    ledger: Said,
    /// What the newest published document says; null if there is none.
    list: Option<ListSaid>,
    /// Whether the two say the same.
    agree: bool,
    /// What an application answers that has everything published, by its policy.
    policies: Vec<PolicyRow>,
}

/// A verdict.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Said {
    /// `good`, `revoked`, `not-covered` or `probable`.
    verdict: String,
    /// What was revoked: `token`, `license`, `customer` or `key`.
    rule: Option<String>,
    /// Why. A token that is revoked alone has no reason in a status document.
    reason: Option<String>,
    /// Since when, if the ledger says it.
    since: Option<Stamp>,
}

/// What a document says.
#[derive(Debug, Serialize, JsonSchema)]
struct ListSaid {
    /// Its epoch.
    epoch: u64,
    /// When it was made.
    this_update: Stamp,
    /// `fresh`, `stale` or `expired`.
    freshness: String,
    /// What it says of the token.
    #[serde(flatten)]
    said: Said,
}

/// The answer under a policy.
#[derive(Debug, Serialize, JsonSchema)]
struct PolicyRow {
    /// `strict`, `balanced` or `lenient`.
    policy: String,
    /// Whether the token is accepted.
    accepted: bool,
    /// The error's code, if it is not.
    code: Option<String>,
    /// The error in words, if it is not.
    because: Option<String>,
}

impl CheckAnswer {
    fn new(check: &TokenCheck, named: Named) -> Self {
        let list = check.list.as_ref().map(ListSaid::new);
        let ledger = Said::by_ledger(check.ledger);
        let revoked = |said: &Said| said.verdict == "revoked";
        let listed = list.as_ref().is_some_and(|list| revoked(&list.said));
        let policies = check.policies.iter();
        Self {
            token: check.token.to_string(),
            genuine: matches!(named, Named::Text(_)).then_some(true),
            license: check.license.to_string(),
            customer: check.customer.clone(),
            issued: check.issued_at.into(),
            mint_epoch: check.mint_epoch,
            ends: check.ends.map(Stamp::from),
            agree: listed == revoked(&ledger),
            ledger,
            list,
            policies: policies
                .map(|(policy, result)| PolicyRow {
                    policy: word(*policy).to_owned(),
                    accepted: result.is_ok(),
                    code: result.as_ref().err().map(|error| error.code().to_owned()),
                    because: result.as_ref().err().map(ToString::to_string),
                })
                .collect(),
        }
    }
}

impl Said {
    fn by_ledger(ledger: ByLedger) -> Self {
        match ledger {
            ByLedger::Good => Self::plain("good"),
            ByLedger::Revoked {
                rule,
                reason,
                since,
            } => Self {
                verdict: "revoked".into(),
                rule: Some(rule.name().to_owned()),
                reason: Some(reason.name().to_owned()),
                since: Some(since.into()),
            },
        }
    }

    fn by_list(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Revoked { reason, rule } => Self {
                verdict: "revoked".into(),
                rule: Some(rule.name().to_owned()),
                // Filters have no reasons.
                reason: (rule != RuleClass::Token).then(|| reason.name().to_owned()),
                since: None,
            },
            other => Self::plain(&other.to_string()),
        }
    }

    fn plain(verdict: &str) -> Self {
        Self {
            verdict: verdict.to_owned(),
            rule: None,
            reason: None,
            since: None,
        }
    }

    fn words(&self) -> String {
        let rule = self.rule.as_ref().filter(|rule| *rule != "token");
        let parts = [
            rule.map(|rule| format!(" with its {rule}")),
            self.since.as_ref().map(|since| format!(" since {since}")),
            self.reason.as_ref().map(|reason| format!(": {reason}")),
        ];
        let parts: String = parts.into_iter().flatten().collect();
        format!("{}{parts}", self.verdict)
    }
}

impl ListSaid {
    fn new(list: &ByList) -> Self {
        Self {
            epoch: list.epoch,
            this_update: list.this_update.into(),
            freshness: list.freshness.to_string(),
            said: Said::by_list(list.verdict),
        }
    }
}

const fn word(policy: RevocationPolicy) -> &'static str {
    match policy {
        RevocationPolicy::Strict => "strict",
        RevocationPolicy::Balanced => "balanced",
        RevocationPolicy::Lenient => "lenient",
    }
}

impl Answer for CheckAnswer {
    fn show(&self, page: &mut Page) {
        let word = self.ledger.verdict.to_uppercase();
        let tone = match self.ledger.verdict.as_str() {
            "good" => Tone::Good,
            _ => Tone::Warn,
        };
        page.headline(tone, &word, "by the ledger");
        page.gap();
        page.field("token", &self.token);
        page.field(
            "text",
            match self.genuine {
                Some(_) => "as it was minted",
                None => "not checked: the id alone was given",
            },
        );
        page.field("license", &self.license);
        page.field("customer", &self.customer);
        page.field(
            "minted",
            format!("{}, at epoch {}", self.issued, self.mint_epoch),
        );
        let ends = self.ends.as_ref();
        page.field("ends", ends.map_or("never".into(), Stamp::to_string));
        page.field("ledger", self.ledger.words());
        match &self.list {
            None => page.field("list", "none is published"),
            Some(list) => {
                let (epoch, made) = (list.epoch, &list.this_update);
                page.field("list", list.said.words());
                page.field(
                    "list is",
                    format!("{}, epoch {epoch} of {made}", list.freshness),
                );
            }
        }
        for row in &self.policies {
            let answer = match &row.because {
                None => "accepted".to_owned(),
                Some(because) => format!("refused: {because}"),
            };
            page.field(&row.policy, answer);
        }
    }
}
