//! What a license, a plan or an add-on grants, by name where a catalog is at hand.

use std::collections::BTreeMap;

use phi_issuer::catalog::{Meaning, Revision, Term};
use phi_verify::{Allowance, Catalog, FlagCode, LimitCode, Quota, QuotaCode, Terms};
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Page;

/// What the codes of a product are called; a code without a name is shown as a code.
#[derive(Debug, Default)]
pub(crate) struct Names {
    flags: BTreeMap<u16, String>,
    quotas: BTreeMap<u16, (String, Option<String>)>,
    limits: BTreeMap<u16, (String, Option<String>)>,
}

impl Names {
    /// The names in a catalog document.
    pub(crate) fn of_catalog(catalog: &Catalog) -> Self {
        let unit = |unit: &str| Some(unit.to_owned()).filter(|unit| !unit.is_empty());
        let counted = |name: &phi_verify::Name| (name.name.clone(), unit(&name.unit));
        let flags = catalog.flags.iter();
        let quotas = catalog.quotas.iter();
        let limits = catalog.limits.iter();
        Self {
            flags: flags
                .map(|(code, name)| (code.get(), name.name.clone()))
                .collect(),
            quotas: quotas
                .map(|(code, (name, _))| (code.get(), counted(name)))
                .collect(),
            limits: limits
                .map(|(code, name)| (code.get(), counted(name)))
                .collect(),
        }
    }

    /// The names in a recorded catalog, and the last names of what was removed from it.
    pub(crate) fn of_revision(revision: &Revision) -> Self {
        let counted = |term: &Term| {
            let unit = match &term.meaning {
                Meaning::Quota { unit, .. } | Meaning::Limit { unit } => unit.clone(),
                Meaning::Flag => None,
            };
            (term.name.to_string(), unit)
        };
        let (reserved, terms) = (revision.reserved(), revision.terms());
        let all = |of: fn(&phi_issuer::catalog::Terms) -> &BTreeMap<u16, Term>| {
            let entries = of(reserved).iter().chain(of(terms));
            entries
                .map(|(code, term)| (*code, counted(term)))
                .collect::<BTreeMap<_, _>>()
        };
        let flags = all(|terms| &terms.flags).into_iter();
        Self {
            flags: flags.map(|(code, (name, _))| (code, name)).collect(),
            quotas: all(|terms| &terms.quotas),
            limits: all(|terms| &terms.limits),
        }
    }
}

fn parts(entry: Option<&(String, Option<String>)>) -> (Option<String>, Option<String>) {
    let (name, unit) = entry.cloned().unzip();
    (name, unit.flatten())
}

/// What is granted, with names where the catalog at hand has them.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct TermsView {
    /// Features that are on.
    pub(crate) flags: Vec<FlagView>,
    /// Amounts per period.
    pub(crate) quotas: Vec<QuotaView>,
    /// How many at once.
    pub(crate) limits: Vec<LimitView>,
}

/// A feature.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FlagView {
    /// Its catalog code.
    pub(crate) code: u16,
    /// Its name, if the catalog at hand has it.
    pub(crate) name: Option<String>,
}

/// A quota.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct QuotaView {
    /// Its catalog code.
    pub(crate) code: u16,
    /// Its name, if the catalog at hand has it.
    pub(crate) name: Option<String>,
    /// The amount for one period; null is unlimited.
    pub(crate) amount: Option<u64>,
    /// `lifetime`, `hour`, `day`, `month` or `year`.
    pub(crate) period: String,
    /// What is counted.
    pub(crate) unit: Option<String>,
}

/// A concurrency limit.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LimitView {
    /// Its catalog code.
    pub(crate) code: u16,
    /// Its name, if the catalog at hand has it.
    pub(crate) name: Option<String>,
    /// How many at once; null is unlimited.
    pub(crate) amount: Option<u64>,
    /// What is held.
    pub(crate) unit: Option<String>,
}

impl TermsView {
    pub(crate) fn new(terms: &Terms, names: &Names) -> Self {
        let quota = |(code, quota): (&QuotaCode, &Quota)| {
            let (name, unit) = parts(names.quotas.get(&code.get()));
            QuotaView {
                code: code.get(),
                name,
                amount: amount(quota.allowance),
                period: quota.period.name().to_owned(),
                unit,
            }
        };
        let limit = |(code, allowance): (&LimitCode, &Allowance)| {
            let (name, unit) = parts(names.limits.get(&code.get()));
            LimitView {
                code: code.get(),
                name,
                amount: amount(*allowance),
                unit,
            }
        };
        Self {
            flags: flags(terms.flags.iter(), names),
            quotas: terms.quotas.iter().map(quota).collect(),
            limits: terms.limits.iter().map(limit).collect(),
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        show_flags("flags", &self.flags, page);
        page.each("quotas", self.quotas.iter().map(QuotaView::line));
        page.each("limits", self.limits.iter().map(LimitView::line));
    }
}

/// These flags with their names.
pub(crate) fn flags(flags: impl Iterator<Item = FlagCode>, names: &Names) -> Vec<FlagView> {
    let view = |code: FlagCode| FlagView {
        code: code.get(),
        name: names.flags.get(&code.get()).cloned(),
    };
    flags.map(view).collect()
}

/// A person reads a dozen names; more than that is for `--json`.
const FLAGS_SHOWN: usize = 12;

/// How many flags, and which.
pub(crate) fn show_flags(label: &str, flags: &[FlagView], page: &mut Page) {
    if flags.is_empty() {
        page.field(label, "none");
        return;
    }
    let mut names: Vec<String> = flags
        .iter()
        .take(FLAGS_SHOWN)
        .map(|flag| called(flag.name.as_deref(), flag.code))
        .collect();
    if flags.len() > FLAGS_SHOWN {
        let more = flags.len() - FLAGS_SHOWN;
        names.push(format!("and {more} more (--json has all)"));
    }
    page.field(label, format!("{}: {}", flags.len(), names.join(", ")));
}

impl QuotaView {
    fn line(&self) -> String {
        let name = called(self.name.as_deref(), self.code);
        let amount = spoken(self.amount, self.unit.as_deref());
        match self.period.as_str() {
            "lifetime" => format!("{name}: {amount} in all"),
            period => format!("{name}: {amount} per {period}"),
        }
    }
}

impl LimitView {
    fn line(&self) -> String {
        let name = called(self.name.as_deref(), self.code);
        format!(
            "{name}: {} at once",
            spoken(self.amount, self.unit.as_deref())
        )
    }
}

/// A name, or the code of what has no name here.
fn called(name: Option<&str>, code: u16) -> String {
    name.map_or_else(|| format!("code {code}"), ToOwned::to_owned)
}

fn spoken(amount: Option<u64>, unit: Option<&str>) -> String {
    let amount = amount.map_or_else(|| "unlimited".to_owned(), |amount| amount.to_string());
    match unit {
        Some(unit) => format!("{amount} {unit}"),
        None => amount,
    }
}

/// A number, or `None` for unlimited.
const fn amount(allowance: Allowance) -> Option<u64> {
    match allowance {
        Allowance::Limited(amount) => Some(amount),
        Allowance::Unlimited => None,
    }
}
