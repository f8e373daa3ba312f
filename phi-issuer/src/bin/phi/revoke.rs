//! `phi revoke`: take back a token, a license, a customer's licenses, a key or a feature.

use clap::Args;
use phi_issuer::{Issuer, RevokeRequest, Subject};
use phi_verify::{FlagCode, KeyId, LicenseId, Reason, RuleClass, TokenId, dangerous_inspect};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::Stamp;
use crate::when::When;

/// Revoke a token, a license, a customer, a signing key or a feature
#[derive(Debug, Args)]
#[command(
    long_about = "Revoke a token, a license, a customer, a signing key or a feature.\n\n\
        A revocation is recorded at once and cannot be taken back. Applications learn of it from \
        the next status document: phi status publish; that of a key from the next keyset as \
        well: phi keyset publish.",
    after_help = "Examples:\n  \
        phi revoke --license 6c6963656e736531 --reason refund --dry-run\n  \
        phi revoke --customer globex --issued-before 2027-01-01 --reason nonpayment\n  \
        phi revoke --feature sso --reason issued-in-error"
)]
pub(crate) struct Revoke {
    #[command(flatten)]
    subject: SubjectArgs,
    /// The product of the feature [default: the only one]
    #[arg(long, value_name = "NAME", requires = "feature")]
    product: Option<String>,
    /// Only what was issued before this time
    #[arg(long, value_name = "TIME")]
    issued_before: Option<When>,
    /// Why: unspecified, key-compromise, nonpayment, refund, breach, superseded, issued-in-error
    #[arg(long, default_value = "unspecified", value_parser = reason)]
    reason: Reason,
    /// Say what would be revoked, and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is to be revoked: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SubjectArgs {
    /// One token, by its id or by itself
    #[arg(long, value_name = "ID", value_parser = token)]
    token: Option<TokenId>,
    /// A license with all its tokens
    #[arg(long, value_name = "ID")]
    license: Option<LicenseId>,
    /// A customer with all its licenses
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// A license key with all that it signed
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    key: Option<KeyId>,
    /// A feature, by its name, in every token
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,
}

impl Revoke {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let dry_run = self.dry_run;
        let request = self.request(&mut issuer, session)?;
        let reach = issuer.revocation_reach(&request, session.now())?;
        let class = request.subject.class();
        let mut answer = RevokeAnswer {
            dry_run,
            class: class.name().to_owned(),
            subject: request.subject.id(),
            issued_before: request.issued_before.map(Stamp::from),
            reason: request.reason.name().to_owned(),
            since: None,
            live_tokens: reach,
        };
        if !dry_run {
            let revocation = issuer.revoke(&request, &session.context())?;
            answer.since = Some(revocation.since.into());
        }
        session.output().print(&answer)?;
        say(match (dry_run, class) {
            (true, _) => "phi: dry run: nothing was recorded",
            (false, RuleClass::Key) => "phi: next: phi keyset publish, then phi status publish",
            (false, _) => "phi: next: phi status publish",
        });
        Ok(())
    }

    fn request(self, issuer: &mut Issuer, session: &Session) -> Result<RevokeRequest, Failure> {
        let before = self.issued_before.map(|time| time.beginning(session.now()));
        Ok(RevokeRequest {
            subject: self.subject.resolve(issuer, self.product.as_deref())?,
            issued_before: before.transpose()?,
            reason: self.reason,
        })
    }
}

impl SubjectArgs {
    fn resolve(self, issuer: &mut Issuer, product: Option<&str>) -> Result<Subject, Failure> {
        Ok(match self {
            Self {
                token: Some(id), ..
            } => Subject::Token(id),
            Self {
                license: Some(id), ..
            } => Subject::License(id),
            Self {
                customer: Some(id), ..
            } => Subject::Customer(id),
            Self { key: Some(id), .. } => Subject::Key(id),
            Self { feature, .. } => {
                let name = feature.expect("the argument group has one of its members");
                let (product, code) = flag(issuer, product, &name)?;
                let code = code.get();
                Subject::Feature { product, code }
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
