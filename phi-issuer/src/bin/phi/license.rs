//! `phi license`: what binds a customer to a plan.

mod rows;

pub(crate) use rows::{LicenseListAnswer, LicenseRow, TokenRow};

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use phi_issuer::{Issuer, LicenseRecord, NewLicense};
use phi_verify::{Allowance, LicenseId, Terms, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use self::rows::Revoked;
use crate::failure::Failure;
use crate::output::{Answer, Page, print_bytes, say};
use crate::session::Session;
use crate::view::{Names, Stamp, TermsView};
use phi_issuer::when::{Length, When};

/// Issue, list and show licenses
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Issue(Box<Issue>),
    List(List),
    Show(Show),
}

/// Issue a license: bind a customer to a plan
#[derive(Debug, Args)]
#[command(
    long_about = "Issue a license: bind a customer to a plan. Tokens are minted of it with phi \
        mint.",
    after_help = "Examples:\n  \
        phi license issue --customer globex --plan pro --expires +1y --grace 14d\n  \
        phi license issue --customer globex --plan pro --expires 2031-01-04 \\\n      \
        --addon extra_seats --flag sso --quota api_calls=500000 --limit seats=unlimited"
)]
pub(crate) struct Issue {
    /// The customer's id
    #[arg(long, value_name = "ID")]
    customer: String,
    /// The plan
    #[arg(long, value_name = "NAME")]
    plan: String,
    /// When the license ends: a date (its last day), a time, a span ahead, or never
    #[arg(long, value_name = "TIME")]
    expires: When,
    /// The product [default: the only one]
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// When the license begins [default: now]
    #[arg(long, value_name = "TIME")]
    begins: Option<When>,
    /// How long it works after its end, with a warning
    #[arg(long, value_name = "LENGTH", default_value = "0s")]
    grace: Length,
    /// An add-on to the plan
    #[arg(long = "addon", value_name = "NAME")]
    addons: Vec<String>,
    /// A flag beyond the plan
    #[arg(long = "flag", value_name = "NAME")]
    flags: Vec<String>,
    /// A flag, quota or limit of the plan to leave out
    #[arg(long, value_name = "NAME")]
    without: Vec<String>,
    /// A quota with its amount, or unlimited
    #[arg(long = "quota", value_name = "NAME=AMOUNT", value_parser = amount)]
    quotas: Vec<(String, Allowance)>,
    /// A concurrency limit with its amount, or unlimited
    #[arg(long = "limit", value_name = "NAME=AMOUNT", value_parser = amount)]
    limits: Vec<(String, Allowance)>,
    /// The longest age of the status document under which its tokens are accepted
    #[arg(long, value_name = "LENGTH")]
    max_status_age: Option<Length>,
    /// A text for the application, under a negative number
    #[arg(long = "extension", value_name = "-N=TEXT", value_parser = extension, allow_hyphen_values = true)]
    extensions: Vec<(i64, String)>,
    /// Show what would be granted, and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// List the licenses in the order of issue
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  phi license list --customer globex")]
pub(crate) struct List {
    /// Those of a customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// Those for a product
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
}

/// Show a license, what it grants and the tokens minted of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    phi license show 6c6963656e736531\n  \
    phi license show 6c6963656e736531 --tokens")]
pub(crate) struct Show {
    /// The license's id
    license: LicenseId,
    /// Print the tokens themselves, one a line
    #[arg(long)]
    tokens: bool,
}

impl Command {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Issue(command) => command.run(session),
            Self::List(command) => {
                let (customer, product) = (command.customer.as_deref(), command.product.as_deref());
                let licenses = LicenseRow::all(&mut session.issuer()?, customer, product)?;
                session.output().print(&LicenseListAnswer { licenses })
            }
            Self::Show(command) => command.run(session),
        }
    }
}

impl Issue {
    fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let dry_run = self.dry_run;
        let order = self.order(&mut issuer, session.now())?;
        if dry_run {
            let terms = issuer.preview_license(&order, session.now())?;
            let answer = LicenseAnswer::new(None, &order, &terms, &mut issuer)?;
            session.output().print(&answer)?;
            say("phi: dry run: nothing was recorded");
            return Ok(());
        }
        let license = issuer.issue_license(order, &session.context())?;
        let answer = LicenseAnswer::of_record(&license, &mut issuer)?;
        session.output().print(&answer)?;
        let next = format!("phi: next: phi mint {}", license.id);
        say(&next);
        Ok(())
    }

    fn order(self, issuer: &mut Issuer, now: UnixTime) -> Result<NewLicense, Failure> {
        let product = issuer.product_or_only(self.product.as_deref())?;
        let mut order = NewLicense::new(&self.customer, &product, &self.plan);
        let begins = self
            .begins
            .map(|begins| begins.beginning(now))
            .transpose()?;
        // What begins now needs no beginning: it begins when it is issued.
        order.not_before = begins.filter(|begins| *begins != now);
        order.expires = self.expires.end(now)?;
        order.grace = self.grace.0;
        order.max_status_age = self.max_status_age.map(|age| age.0);
        order.addons = self.addons;
        order.overrides.flags = self.flags.into_iter().collect();
        order.overrides.without = self.without.into_iter().collect();
        order.overrides.quotas = unique("quota", self.quotas)?;
        order.overrides.limits = unique("limit", self.limits)?;
        order.extensions = unique("extension", self.extensions)?;
        Ok(order)
    }
}

/// Two amounts for one name are a slip, of which neither is to be preferred.
fn unique<K: Ord + ToString, V>(what: &str, pairs: Vec<(K, V)>) -> Result<BTreeMap<K, V>, Failure> {
    let mut map = BTreeMap::new();
    for (name, value) in pairs {
        let text = name.to_string();
        if map.insert(name, value).is_some() {
            let message = format!("{what} {text} is given twice");
            return Err(Failure::new("input-invalid", message));
        }
    }
    Ok(map)
}

/// `NAME=AMOUNT`.
fn amount(text: &str) -> Result<(String, Allowance), &'static str> {
    let (name, amount) = text.split_once('=').ok_or("write NAME=AMOUNT")?;
    let allowance = match amount {
        "unlimited" => Allowance::Unlimited,
        number => Allowance::Limited(
            number
                .parse()
                .map_err(|_| "an amount is a whole number or unlimited")?,
        ),
    };
    Ok((name.to_owned(), allowance))
}

/// `-N=TEXT`.
fn extension(text: &str) -> Result<(i64, String), &'static str> {
    let (number, text) = text.split_once('=').ok_or("write -N=TEXT")?;
    let number = number.parse().map_err(|_| "an extension has a number")?;
    Ok((number, text.to_owned()))
}

impl Show {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let license = issuer.license(self.license)?;
        let tokens = issuer.tokens_of(license.id)?;
        if self.tokens && !session.output().is_json() {
            let lines = lines(tokens.iter().map(|token| token.token.as_str()));
            return print_bytes(lines.as_bytes());
        }
        session.output().print(&LicenseShowAnswer {
            license: LicenseAnswer::of_record(&license, &mut issuer)?,
            tokens: TokenRow::all(&mut issuer, &tokens)?,
        })
    }
}

/// These texts, one a line.
pub(crate) fn lines<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    texts.flat_map(|text| [text, "\n"]).collect()
}

/// A license in the store.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license issue")]
pub(crate) struct LicenseAnswer {
    /// Its id, 16 hexadecimal digits; null in a dry run.
    license: Option<String>,
    /// Counts its changes.
    revision: Option<u64>,
    /// The customer's id.
    customer: String,
    /// The product.
    product: String,
    /// The plan.
    plan: String,
    /// Add-ons to the plan.
    addons: Vec<String>,
    /// When it was issued.
    issued_at: Option<Stamp>,
    /// When it begins, if that is later.
    begins: Option<Stamp>,
    /// When it expires; null is never.
    expires: Option<Stamp>,
    /// Seconds after the expiry in which it still works.
    grace_seconds: u64,
    /// The longest age in seconds of the status document that its tokens accept.
    max_status_age_seconds: Option<u64>,
    /// The catalog revision in which its plan is read.
    catalog_revision: Option<u64>,
    /// What it grants.
    #[serde(flatten)]
    terms: TermsView,
    /// Texts for the application, by number.
    extensions: BTreeMap<String, String>,
    /// Why it is revoked; null if it is not.
    revoked: Option<String>,
}

impl LicenseAnswer {
    fn of_record(license: &LicenseRecord, issuer: &mut Issuer) -> Result<Self, Failure> {
        let terms = issuer.terms_of(license)?;
        Self::new(Some(license), license, &terms, issuer)
    }

    fn new(
        record: Option<&LicenseRecord>,
        order: &NewLicense,
        terms: &Terms,
        issuer: &mut Issuer,
    ) -> Result<Self, Failure> {
        let catalog = issuer.catalog(Some(&order.product))?;
        let names = Names::of_revision(&catalog);
        let revoked = Revoked::load(issuer)?;
        let texts = order.extensions.iter();
        Ok(Self {
            license: record.map(|license| license.id.to_string()),
            revision: record.map(|license| license.revision),
            customer: order.customer.clone(),
            product: order.product.clone(),
            plan: order.plan.clone(),
            addons: order.addons.clone(),
            issued_at: record.map(|license| license.issued_at.into()),
            begins: order.not_before.map(Stamp::from),
            expires: order.expires.map(Stamp::from),
            grace_seconds: order.grace,
            max_status_age_seconds: order.max_status_age,
            catalog_revision: record.map(|license| license.catalog_revision),
            terms: TermsView::new(terms, &names),
            extensions: texts
                .map(|(number, text)| (number.to_string(), text.clone()))
                .collect(),
            revoked: record.and_then(|license| revoked.license(license)),
        })
    }
}

impl Answer for LicenseAnswer {
    fn show(&self, page: &mut Page) {
        if let Some(license) = &self.license {
            page.field("license", license);
        }
        page.field("customer", &self.customer);
        page.field("product", &self.product);
        page.field("plan", &self.plan);
        if !self.addons.is_empty() {
            page.field("add-ons", self.addons.join(", "));
        }
        if let Some(issued) = &self.issued_at {
            page.field("issued", issued);
        }
        if let Some(begins) = &self.begins {
            page.field("begins", begins);
        }
        page.field(
            "expires",
            self.expires
                .as_ref()
                .map_or("never".into(), Stamp::to_string),
        );
        if self.grace_seconds > 0 {
            page.field("grace", Length(self.grace_seconds));
        }
        if let Some(age) = self.max_status_age_seconds {
            page.field("status age", format!("at most {}", Length(age)));
        }
        if let Some(revision) = self.catalog_revision {
            page.field("catalog", format!("revision {revision}"));
        }
        self.terms.show(page);
        for (number, text) in &self.extensions {
            page.field("extension", format!("{number}: {text}"));
        }
        if let Some(revoked) = &self.revoked {
            page.field("revoked", revoked);
        }
    }
}

/// A license and its tokens.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license show")]
pub(crate) struct LicenseShowAnswer {
    #[serde(flatten)]
    license: LicenseAnswer,
    /// The tokens minted of it, in the order of minting.
    tokens: Vec<TokenRow>,
}

impl Answer for LicenseShowAnswer {
    fn show(&self, page: &mut Page) {
        self.license.show(page);
        page.gap();
        if self.tokens.is_empty() {
            page.line("no token was minted of it");
            return;
        }
        let row = |token: &TokenRow| {
            [
                token.id.clone(),
                token.key.clone(),
                token.issued_at.to_string(),
                token.revoked.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = self.tokens.iter().map(row).collect();
        page.table(["TOKEN", "KEY", "MINTED", "REVOKED"], &rows);
    }
}
