//! Options that several verbs of `phi license` share.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use clap::{Args, ValueEnum};
use phi_issuer::{Amendment, Context, Issuer, Machine, OldTokens, majority};
use phi_verify::{Allowance, LicenseId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::fingerprint::read_request;
use crate::output::say;
use crate::session::Session;
use crate::view::Stamp;
use phi_issuer::when::Length;

/// What an amendment changes.
#[derive(Debug, Args)]
pub(super) struct AmendOptions {
    /// Another plan
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// An add-on more
    #[arg(long = "addon", value_name = "NAME")]
    addons: Vec<String>,
    /// An add-on less
    #[arg(long = "remove-addon", value_name = "NAME")]
    remove: Vec<String>,
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
    /// A flag, quota or limit that is again as plan and add-ons have it
    #[arg(long, value_name = "NAME")]
    reset: Vec<String>,
    /// How long it works after its end, with a warning
    #[arg(long, value_name = "LENGTH")]
    grace: Option<Length>,
    /// The longest age of the status document under which its tokens are accepted; 0s asks for
    /// none
    #[arg(long, value_name = "LENGTH")]
    max_status_age: Option<Length>,
}

impl AmendOptions {
    /// The amendment.
    ///
    /// # Errors
    /// `input-invalid` if a flag, quota or limit is named twice.
    pub(super) fn amendment(self) -> Result<Amendment, Failure> {
        let plain = [&self.flags, &self.without, &self.reset];
        let amounts = self.quotas.iter().chain(&self.limits);
        let amounts = amounts.map(|(name, _)| name);
        let mut seen = BTreeSet::new();
        for name in plain.into_iter().flatten().chain(amounts) {
            if !seen.insert(name) {
                let message = format!("{name} is named twice");
                return Err(Failure::new("input-invalid", message));
            }
        }
        Ok(Amendment {
            plan: self.plan,
            add: self.addons,
            remove: self.remove,
            flags: self.flags.into_iter().collect(),
            without: self.without.into_iter().collect(),
            quotas: self.quotas.into_iter().collect(),
            limits: self.limits.into_iter().collect(),
            reset: self.reset.into_iter().collect(),
            grace: self.grace.map(|grace| grace.0),
            max_status_age: self.max_status_age.map(|age| age.0),
        })
    }
}

/// What the ledger keeps beside a change.
#[derive(Clone, Debug, Args)]
pub(super) struct Record {
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
    /// Your name for this request: repeated under it, it is not carried out twice
    #[arg(long, value_name = "KEY")]
    pub(super) idempotency_key: Option<String>,
}

impl Record {
    /// Who acts, when and why.
    pub(super) fn context(&self, session: &Session) -> Context {
        Context {
            reason: self.reason.clone(),
            idempotency_key: self.idempotency_key.clone(),
            ..session.context()
        }
    }

    /// When this request was carried out before, if it was. Spans ahead in it count from then,
    /// so that it is the same request.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn carried_out(&self, issuer: &mut Issuer) -> Result<Option<UnixTime>, Failure> {
        match &self.idempotency_key {
            Some(key) => Ok(issuer.answered_at(key)?),
            None => Ok(None),
        }
    }
}

/// Whether an answer is to a request that was carried out before.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Repetition {
    /// Whether it was carried out before, under the same idempotency key. The license is then shown
    /// as it is now.
    pub(super) repeated: bool,
    /// When it was carried out, if that was before.
    first_carried_out: Option<Stamp>,
}

impl Repetition {
    pub(super) fn of(earlier: Option<UnixTime>) -> Self {
        Self {
            repeated: earlier.is_some(),
            first_carried_out: earlier.map(Stamp::from),
        }
    }

    /// Says that nothing was done, if that is so.
    pub(super) fn say(&self) {
        if let Some(earlier) = &self.first_carried_out {
            say(&format!(
                "phi: this was done at {earlier} and is not done again; the license is shown as it \
                 is now"
            ));
        }
    }
}

/// How a change of a license is decided and recorded.
#[derive(Clone, Debug, Args)]
pub(super) struct ChangeOptions {
    #[command(flatten)]
    pub(super) record: Record,
    /// Change nothing unless the license has this revision [default: the one it has now]
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
    /// Show what would be different, and record nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ChangeOptions {
    /// Of a change that is decided on what the license is now.
    pub(super) const fn new(record: Record, dry_run: bool) -> Self {
        Self {
            record,
            if_revision: None,
            dry_run,
        }
    }

    /// The revision on which the change is decided.
    ///
    /// # Errors
    /// `not-found`.
    pub(super) fn base(&self, license: LicenseId, issuer: &mut Issuer) -> Result<u64, Failure> {
        match self.if_revision {
            Some(revision) => Ok(revision),
            None => Ok(issuer.license(license)?.revision),
        }
    }
}

/// What becomes of tokens.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Tokens {
    /// They serve until they expire
    Keep,
    /// The next status document takes them back
    Cut,
}

impl From<Tokens> for OldTokens {
    fn from(tokens: Tokens) -> Self {
        match tokens {
            Tokens::Keep => Self::Keep,
            Tokens::Cut => Self::Cut,
        }
    }
}

/// The machine of a fingerprint request.
///
/// # Errors
/// `fingerprint-invalid`, or `input-invalid` if so many components cannot match.
pub(super) fn machine(request: &OsString, required: Option<usize>) -> Result<Machine, Failure> {
    let fingerprint = read_request(request)?;
    let required = required.unwrap_or_else(|| majority(&fingerprint));
    Ok(Machine::new(&fingerprint, required)?)
}

/// Two amounts for one name are a slip, of which neither is to be preferred.
pub(super) fn unique<K: Ord + ToString, V>(
    what: &str,
    pairs: Vec<(K, V)>,
) -> Result<BTreeMap<K, V>, Failure> {
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
pub(super) fn amount(text: &str) -> Result<(String, Allowance), &'static str> {
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
pub(super) fn extension(text: &str) -> Result<(i64, String), &'static str> {
    let (number, text) = text.split_once('=').ok_or("write -N=TEXT")?;
    let number = number.parse().map_err(|_| "an extension has a number")?;
    Ok((number, text.to_owned()))
}
