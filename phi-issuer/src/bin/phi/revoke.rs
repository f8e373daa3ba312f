//! `phi revoke`: take back a token, a license, a customer's licenses, a key or a feature.

use std::ffi::OsStr;

use clap::{Args, ValueEnum};
use phi_issuer::{Context, Issuer, RevokeRequest, Subject};
use phi_verify::{FlagCode, Reason, RuleClass, TokenId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::Object;
use crate::key::{LISTED, OrphansView, would_orphan};
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::{Stamp, counted};
use phi_issuer::when::When;

/// Revoke a token, a license, a customer, a signing key or a feature
#[derive(Debug, Args)]
#[command(
    long_about = "Revoke a token, a license, a customer, a signing key or a feature.\n\n\
        A revocation is recorded at once. Applications learn of it from the next status document: \
        phi status publish; that of a key from the next keyset as well: phi keyset publish. What \
        should not have been revoked comes back with phi unrevoke; a key never does.",
    after_help = "Examples:\n  \
        phi revoke license 6c6963656e736531 --reason refund --dry-run\n  \
        phi revoke license 6c6963656e736531 --reason breach --note \"case 12, letter of May 3\"\n  \
        phi revoke customer globex --issued-before 2027-01-01 --reason nonpayment\n  \
        phi revoke feature sso --reason issued-in-error\n  \
        phi revoke key 3q2-7wEjRWeJ --cut newest --reason key-compromise"
)]
pub(crate) struct Revoke {
    #[command(flatten)]
    target: Target,
    /// Only what was issued before this time
    #[arg(long, value_name = "TIME")]
    issued_before: Option<When>,
    #[command(flatten)]
    key: KeyOptions,
    #[command(flatten)]
    way: Way,
}

/// What is revoked, or not any more.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// What it is about
    #[arg(value_enum)]
    class: Class,
    /// Its id; of a feature its name or PRODUCT/CODE, of a token its id, the token itself, or its
    /// file
    #[arg(allow_hyphen_values = true)]
    id: String,
    /// The product of the feature [default: the only one]
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
}

/// Why something is revoked, and whether it is.
#[derive(Debug, Args)]
pub(crate) struct Way {
    /// Why: unspecified, key-compromise, nonpayment, refund, breach, superseded, issued-in-error
    #[arg(long, default_value = "unspecified", value_parser = reason)]
    reason: Reason,
    /// What the ledger keeps as the reason, in your words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Say what would be revoked, and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// What is asked where a key is revoked.
#[derive(Debug, Args)]
pub(crate) struct KeyOptions {
    /// Of a key: how many events of the ledger keep their tokens valid, or newest for those of
    /// the newest checkpoint
    #[arg(long, value_name = "EVENTS", value_parser = cut)]
    cut: Option<Cut>,
    /// Of a key: how many of the licenses that lose tokens are listed
    #[arg(long, value_name = "COUNT", default_value_t = LISTED)]
    list: usize,
    /// Revoke a key although live tokens are lost
    #[arg(long)]
    force: bool,
}

/// Where a key is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Where the newest checkpoint ends.
    Newest,
    /// After so many events.
    After(u64),
}

fn cut(text: &str) -> Result<Cut, String> {
    match text {
        "newest" => Ok(Cut::Newest),
        number => number
            .parse()
            .map(Cut::After)
            .map_err(|_| "write a number of events, or newest".into()),
    }
}

/// What can be revoked.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Class {
    /// One token
    Token,
    /// A license with all its tokens
    License,
    /// A customer with all its licenses
    Customer,
    /// A license key with all that it signed
    Key,
    /// A feature in every token, by its name
    Feature,
}

impl Revoke {
    /// The same request, of a key.
    pub(crate) const fn of_key(id: String, way: Way, key: KeyOptions) -> Self {
        Self {
            target: Target {
                class: Class::Key,
                id,
                product: None,
            },
            issued_before: None,
            key,
            way,
        }
    }

    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        if self.way.reason == Reason::Suspended {
            let message = "a revocation has no end, and a suspension is for a while";
            return Err(Failure::new("input-invalid", message)
                .hint("take a license out of force with phi license suspend"));
        }
        self.check_options()?;
        let mut issuer = session.issuer()?;
        let dry_run = self.way.dry_run;
        let request = self.request(&mut issuer, session)?;
        let reach = issuer.revocation_reach(&request, session.now())?;
        let class = request.subject.class();
        let loss = self.loss(&request, &mut issuer, session)?;
        let mut answer = RevokeAnswer {
            dry_run,
            class: class.name().to_owned(),
            subject: request.subject.id(),
            name: feature_name(&mut issuer, &request.subject)?,
            issued_before: request.issued_before.map(Stamp::from),
            reason: request.reason.name().to_owned(),
            since: None,
            live_tokens: loss.as_ref().map_or(reach.tokens, |loss| loss.lost.tokens),
            already_revoked: loss.is_none().then_some(reach.taken_back),
            key: loss,
        };
        if !dry_run {
            self.check_orphans(&answer)?;
            let context = Context {
                reason: self.way.note.clone(),
                ..session.context()
            };
            let revocation = issuer.revoke(&request, &context)?;
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

    /// Refuses what would be passed over, or be taken for something else later.
    fn check_options(&self) -> Result<(), Failure> {
        let invalid = |message: &str, hint: &str| {
            Err(Failure::new("input-invalid", message).hint(hint.to_owned()))
        };
        let is_key = matches!(self.target.class, Class::Key);
        if !is_key && (self.key.force || self.key.cut.is_some() || self.key.list != LISTED) {
            let message = "--cut, --force and --list are for keys";
            return invalid(message, "leave them out");
        }
        if self.target.product.is_some() && !matches!(self.target.class, Class::Feature) {
            return invalid("--product is for features", "leave it out");
        }
        if self.issued_before.is_some()
            && matches!(self.target.class, Class::License)
            && self.way.reason == Reason::Superseded
        {
            let message = "superseded with a cut-off is what a change of a license records, and it \
                           is not taken back";
            return invalid(
                message,
                "give another reason; your own words go into --note",
            );
        }
        Ok(())
    }

    /// What is lost with a key is lost knowingly.
    fn check_orphans(&self, answer: &RevokeAnswer) -> Result<(), Failure> {
        let Some(loss) = answer.key.as_ref().filter(|loss| loss.lost.tokens > 0) else {
            return Ok(());
        };
        if self.key.force {
            return Ok(());
        }
        let key = &answer.subject;
        let failure = would_orphan(loss.lost.tokens);
        Err(match (loss.cut, loss.checkpoint) {
            (None, Some(_)) => failure.hint(format!(
                "keep what was minted honestly: phi key revoke {key} --cut newest --dry-run"
            )),
            (Some(cut), _) => failure.hint(format!(
                "phi key revoke {key} --cut {cut} --dry-run lists their licenses, to be minted \
                 again; then the same with --force. What was minted honestly since the newest \
                 checkpoint is kept by a new one: phi ledger checkpoint"
            )),
            (None, None) => failure.hint(format!(
                "phi key revoke {key} --dry-run lists their licenses, to be minted again; then \
                 --force"
            )),
        })
    }

    /// What a key's revocation costs.
    fn loss(
        &self,
        request: &RevokeRequest,
        issuer: &mut Issuer,
        session: &Session,
    ) -> Result<Option<KeyLossView>, Failure> {
        let Subject::Key(key_id) = request.subject else {
            return Ok(None);
        };
        let plan = issuer.plan_key_revocation(request, key_id, self.key.list, session.now())?;
        Ok(Some(KeyLossView {
            cut: request.cut,
            checkpoint: plan.checkpoint,
            kept: plan.kept,
            lost: OrphansView::new(&plan.lost),
            not_covered: plan.not_covered,
        }))
    }

    fn request(&self, issuer: &mut Issuer, session: &Session) -> Result<RevokeRequest, Failure> {
        let before = self.issued_before.map(|time| time.beginning(session.now()));
        let cut = match self.key.cut {
            None => None,
            Some(Cut::After(events)) => Some(events),
            Some(Cut::Newest) => Some(issuer.newest_checkpoint()?.size),
        };
        Ok(RevokeRequest {
            subject: self.target.subject(issuer, session)?,
            issued_before: before.transpose()?,
            cut,
            reason: self.way.reason,
        })
    }
}

/// How a token was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its id alone.
    Id(TokenId),
    /// By its text, which is what was minted.
    Text(TokenId),
}

impl Named {
    pub(crate) const fn id(self) -> TokenId {
        match self {
            Self::Id(id) | Self::Text(id) => id,
        }
    }
}

/// A token by its id, which is taken as it is, or by its text, which has to be what was minted.
pub(crate) fn token_named(
    text: &str,
    issuer: &mut Issuer,
    session: &Session,
) -> Result<Named, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(Named::Id(id));
    }
    match Object::read(OsStr::new(text))? {
        Object::Token(text) => Ok(Named::Text(issuer.genuine_token(&text, session.now())?)),
        other => {
            let message = format!("this is {}, not a token", other.name());
            Err(Failure::new("wrong-kind", message))
        }
    }
}

impl Target {
    /// The subject, by its name.
    pub(crate) fn subject(
        &self,
        issuer: &mut Issuer,
        session: &Session,
    ) -> Result<Subject, Failure> {
        let not_an_id = |error: phi_verify::NotAnId| {
            Failure::new("input-invalid", format!("{}: {error}", self.id))
        };
        Ok(match self.class {
            Class::Token => Subject::Token(token_named(&self.id, issuer, session)?.id()),
            Class::License => Subject::License(self.id.parse().map_err(not_an_id)?),
            Class::Customer => Subject::Customer(self.id.clone()),
            Class::Key => Subject::Key(self.id.parse()?),
            Class::Feature => {
                // As it stands in answers and lists, or by its name.
                let numbered = self.id.split_once('/');
                let numbered =
                    numbered.and_then(|(product, code)| Some((product, code.parse().ok()?)));
                let (product, code) = if let Some((product, code)) = numbered {
                    (product.to_owned(), code)
                } else {
                    let (product, code) = flag(issuer, self.product.as_deref(), &self.id)?;
                    (product, code.get())
                };
                Subject::Feature { product, code }
            }
        })
    }
}

/// The flag of this name in the recorded catalog.
pub(crate) fn flag(
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

/// The name of a feature by its catalog; of nothing else there is one.
///
/// # Errors
/// If there is no catalog of its product.
pub(crate) fn feature_name(
    issuer: &mut Issuer,
    subject: &Subject,
) -> Result<Option<String>, Failure> {
    let Subject::Feature { product, code } = subject else {
        return Ok(None);
    };
    let catalog = issuer.catalog(Some(product))?;
    let term = catalog.terms().flags.get(code);
    Ok(term.map(|term| term.name.to_string()))
}

/// What an answer is about: a feature by its name as well.
pub(crate) fn about(class: &str, subject: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{class} {name} ({subject})"),
        None => format!("{class} {subject}"),
    }
}

fn reason(word: &str) -> Result<Reason, String> {
    let for_good = Reason::ALL
        .into_iter()
        .filter(|one| *one != Reason::Suspended);
    let names: Vec<_> = for_good.map(Reason::name).collect();
    Reason::from_name(word).ok_or_else(|| {
        format!(
            "reasons are {}; your own words go into --note",
            names.join(", ")
        )
    })
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
    /// Of a feature: its name in the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Only what was issued before this time; null is everything.
    issued_before: Option<Stamp>,
    /// Why.
    reason: String,
    /// When it was recorded; null in a dry run.
    since: Option<Stamp>,
    /// Tokens that had not ended and are hit; of a feature those that grant it.
    live_tokens: u64,
    /// How many of them are taken back by something else already; of a key this is not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    already_revoked: Option<u64>,
    /// Of a key: what its cut keeps and what is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<KeyLossView>,
}

/// What revoking a key costs.
#[derive(Debug, Serialize, JsonSchema)]
struct KeyLossView {
    /// How many events of the ledger keep their tokens valid; null is none.
    cut: Option<u64>,
    /// How many events the newest checkpoint covers: the latest cut there can be.
    checkpoint: Option<u64>,
    /// Live tokens before the cut: each needs a proof beside it.
    kept: u64,
    /// Live tokens after it.
    lost: OrphansView,
    /// How many of these no checkpoint covers: a new one first would let a cut keep them.
    not_covered: u64,
}

impl KeyLossView {
    fn show(&self, key: &str, page: &mut Page) {
        match (self.cut, self.checkpoint) {
            (Some(cut), _) => page.field("cut", format!("after event {cut}")),
            (None, Some(size)) => page.field("cut", format!("none; the newest can be {size}")),
            (None, None) => page.field("cut", "none; there is no checkpoint"),
        }
        let tokens =
            |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "live token");
        page.field(
            "keeps",
            format!("{}, each with its proof", tokens(self.kept)),
        );
        page.field("loses", tokens(self.lost.tokens));
        if self.not_covered > 0 {
            let signed = self.checkpoint.map(|size| format!(" (event {size})"));
            let (lost, signed) = (self.not_covered, signed.unwrap_or_default());
            let way = "phi ledger checkpoint first, and --cut newest keeps what is honest of them";
            page.field(
                "of these",
                format!("{lost} since the newest checkpoint{signed}: {way}"),
            );
        }
        if self.kept > 0 {
            let command = format!("phi ledger prove --kept-by {key} --folder FOLDER");
            page.field("proofs", format!("once it is recorded: {command}"));
        }
        self.lost.show(page);
    }
}

impl Answer for RevokeAnswer {
    fn show(&self, page: &mut Page) {
        let about = about(&self.class, &self.subject, self.name.as_deref());
        page.field("revoked", about);
        if let Some(before) = &self.issued_before {
            page.field("issued before", before);
        }
        page.field("reason", &self.reason);
        if let Some(loss) = &self.key {
            return loss.show(&self.subject, page);
        }
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let tokens = counted(count(self.live_tokens), "live token");
        page.field(
            "hits",
            match self.already_revoked {
                Some(already) if already > 0 => {
                    let left = self.live_tokens.saturating_sub(already);
                    format!("{left} of {tokens}; {already} taken back already")
                }
                _ => tokens,
            },
        );
    }
}
