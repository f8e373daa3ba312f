//! `phi revoke`: take back a token, a license, a customer's licenses, a key or a feature.

use clap::{Args, Subcommand};
use phi_issuer::when::When;
use phi_issuer::{Issuer, RevokeRequest, Subject};
use phi_verify::{FlagCode, KeyId, LicenseId, Reason, RuleClass, TokenId, dangerous_inspect};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::Stamp;

/// Revoke a token, a license, a customer, a signing key or a feature
#[derive(Debug, Subcommand)]
#[command(
    long_about = "Revoke a token, a license, a customer, a signing key or a feature.\n\n\
        A revocation is recorded at once and cannot be taken back. Applications learn of it from \
        the next status document: phi status publish; that of a key from the next keyset as \
        well: phi keyset publish."
)]
pub(crate) enum Revoke {
    /// Revoke one token
    #[command(after_help = "Example:\n  phi revoke token 736e616b656f696c20746f6b656e2031")]
    Token {
        /// Its id, or the token itself
        #[arg(value_name = "ID", value_parser = token)]
        id: TokenId,
        #[command(flatten)]
        how: How,
    },
    /// Revoke a license with all its tokens
    #[command(after_help = "Example:\n  \
        phi revoke license 6c6963656e736531 --reason refund --dry-run")]
    License {
        /// Its id
        id: LicenseId,
        #[command(flatten)]
        cutoff: Cutoff,
        #[command(flatten)]
        how: How,
    },
    /// Revoke all licenses of a customer
    #[command(after_help = "Example:\n  \
        phi revoke customer globex --issued-before 2027-01-01 --reason nonpayment")]
    Customer {
        /// Its id
        id: String,
        #[command(flatten)]
        cutoff: Cutoff,
        #[command(flatten)]
        how: How,
    },
    /// Revoke a license key with all that it signed
    #[command(after_help = "Example:\n  phi revoke key 3q2-7wEjRWeJ --reason key-compromise")]
    Key {
        /// Its id
        #[arg(allow_hyphen_values = true)]
        id: KeyId,
        #[command(flatten)]
        how: How,
    },
    /// Revoke a feature in every token of a product; the licenses live on without it
    #[command(after_help = "Example:\n  phi revoke feature sso --reason issued-in-error")]
    Feature {
        /// Its name in the catalog
        name: String,
        /// The product [default: the only one]
        #[arg(long, value_name = "NAME")]
        product: Option<String>,
        #[command(flatten)]
        cutoff: Cutoff,
        #[command(flatten)]
        how: How,
    },
}

/// What every revocation says.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct How {
    /// Why: unspecified, key-compromise, nonpayment, refund, breach, superseded, issued-in-error
    #[arg(long, default_value = "unspecified", value_parser = reason)]
    reason: Reason,
    /// Say what would be revoked, and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// How far back a revocation reaches.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Cutoff {
    /// Only what was issued before this time
    #[arg(long, value_name = "TIME")]
    issued_before: Option<When>,
}

impl Revoke {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let (subject, issued_before, how) = self.resolve(&mut issuer)?;
        let before = issued_before.map(|time| time.beginning(session.now()));
        let request = RevokeRequest {
            subject,
            issued_before: before.transpose()?,
            reason: how.reason,
        };
        let reach = issuer.revocation_reach(&request, session.now())?;
        let class = request.subject.class();
        let mut answer = RevokeAnswer {
            dry_run: how.dry_run,
            class: class.name().to_owned(),
            subject: request.subject.id(),
            issued_before: request.issued_before.map(Stamp::from),
            reason: request.reason.name().to_owned(),
            since: None,
            live_tokens: reach,
        };
        if !how.dry_run {
            let revocation = issuer.revoke(&request, &session.context())?;
            answer.since = Some(revocation.since.into());
        }
        session.output().print(&answer)?;
        say(match (how.dry_run, class) {
            (true, _) => "phi: dry run: nothing was recorded",
            (false, RuleClass::Key) => "phi: next: phi keyset publish, then phi status publish",
            (false, _) => "phi: next: phi status publish",
        });
        Ok(())
    }

    fn resolve(self, issuer: &mut Issuer) -> Result<(Subject, Option<When>, How), Failure> {
        Ok(match self {
            Self::Token { id, how } => (Subject::Token(id), None, how),
            Self::License { id, cutoff, how } => (Subject::License(id), cutoff.issued_before, how),
            Self::Customer { id, cutoff, how } => {
                (Subject::Customer(id), cutoff.issued_before, how)
            }
            Self::Key { id, how } => (Subject::Key(id), None, how),
            Self::Feature {
                name,
                product,
                cutoff,
                how,
            } => {
                let (product, code) = flag(issuer, product.as_deref(), &name)?;
                let code = code.get();
                (
                    Subject::Feature { product, code },
                    cutoff.issued_before,
                    how,
                )
            }
        })
    }
}

/// The flag of this name in the recorded catalog.
fn flag(
    issuer: &mut Issuer,
    product: Option<&str>,
    name: &str,
) -> Result<(String, FlagCode), Failure> {
    let catalog = issuer.catalog(product)?;
    let found = catalog
        .terms()
        .flags
        .iter()
        .find(|(_, term)| term.name.as_str() == name);
    let (code, _) = found.ok_or_else(|| {
        let message = format!("the catalog of {} has no flag {name}", catalog.product());
        Failure::new("not-found", message).hint("phi catalog show lists the flags")
    })?;
    Ok((catalog.product().to_string(), FlagCode::new(*code)))
}

fn reason(word: &str) -> Result<Reason, String> {
    let names = Reason::ALL.map(Reason::name).join(", ");
    Reason::from_name(word).ok_or_else(|| format!("reasons are {names}"))
}

/// A token's id, or the id that stands in a token. Whether the store knows it is asked later.
fn token(text: &str) -> Result<TokenId, String> {
    if text.starts_with("v4.public.") {
        let read = dangerous_inspect::token(text);
        return read
            .map(|(_, claims)| claims.token_id)
            .map_err(|error| error.to_string());
    }
    text.parse()
        .map_err(|error: phi_verify::NotAnId| error.to_string())
}

/// A revocation.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi revoke")]
pub(crate) struct RevokeAnswer {
    /// Whether nothing was recorded.
    dry_run: bool,
    /// `token`, `license`, `customer`, `key` or `feature`.
    class: String,
    /// Its id; of a feature `product/code`.
    subject: String,
    /// Only what was issued before this time; null is everything.
    issued_before: Option<Stamp>,
    /// Why.
    reason: String,
    /// When it was recorded; null in a dry run.
    since: Option<Stamp>,
    /// Tokens that had not ended and are hit.
    live_tokens: u64,
}

impl Answer for RevokeAnswer {
    fn show(&self, page: &mut Page) {
        page.field("revoked", format!("{} {}", self.class, self.subject));
        if let Some(before) = &self.issued_before {
            page.field("issued before", before);
        }
        page.field("reason", &self.reason);
        page.field(
            "hits",
            match self.live_tokens {
                1 => "1 live token".to_owned(),
                count => format!("{count} live tokens"),
            },
        );
    }
}
