//! Entitlements: what a license grants, as a pure function of the catalog revision and the license.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use phi_verify::{Allowance, Period};
use serde::{Deserialize, Serialize};

use super::revision::{Grants, Revision, Term};
use super::terms::{Kind, Meaning};

/// What one license changes about its plan and add-ons, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Flags granted as well.
    pub flags: BTreeSet<String>,
    /// Flags, quotas and limits taken away, if they were granted.
    pub without: BTreeSet<String>,
    /// Quotas set to an amount, whatever the plan says.
    pub quotas: BTreeMap<String, Allowance>,
    /// Limits set to an amount, whatever the plan says.
    pub limits: BTreeMap<String, Allowance>,
}

impl Overrides {
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// All that a license grants, by code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// Feature flags.
    pub flags: BTreeSet<u16>,
    /// Quotas with their periods.
    pub quotas: BTreeMap<u16, (Allowance, Period)>,
    /// Concurrency limits.
    pub limits: BTreeMap<u16, Allowance>,
}

/// Why a license cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntitlementError {
    /// The revision has no such plan.
    UnknownPlan {
        /// The name asked for.
        plan: String,
        /// The plans there are.
        known: Vec<String>,
    },
    /// The revision has no such add-on.
    UnknownAddon {
        /// The name asked for.
        addon: String,
        /// The add-ons there are.
        known: Vec<String>,
    },
    /// No flag, quota or limit has this name.
    UnknownName {
        /// The name asked for.
        name: String,
    },
    /// The name had another meaning in an earlier revision and is not in use.
    RetiredName {
        /// The name asked for.
        name: String,
        /// The name to use, if it was renamed; `None` if it was removed.
        now: Option<String>,
    },
    /// The name stands for something else.
    WrongKind {
        /// The name asked for.
        name: String,
        /// What it is.
        kind: Kind,
        /// What it was used as.
        wanted: Kind,
    },
    /// The overrides both grant the name and take it away.
    Contradiction {
        /// The name.
        name: String,
    },
    /// The amounts of plan and add-ons add up to more than can be counted.
    TooMuch {
        /// The quota or limit.
        name: String,
    },
    /// The revision grants a code it does not define: it was not made by this library.
    Inconsistent {
        /// What the code should be.
        kind: Kind,
        /// The code.
        code: u16,
    },
}

impl fmt::Display for EntitlementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPlan { plan, known } => {
                write!(f, "no plan is called {plan:?}; plans: {}", listed(known))
            }
            Self::UnknownAddon { addon, known } => {
                write!(
                    f,
                    "no add-on is called {addon:?}; add-ons: {}",
                    listed(known)
                )
            }
            Self::UnknownName { name } => write!(f, "no flag, quota or limit is called {name:?}"),
            Self::RetiredName {
                name,
                now: Some(now),
            } => {
                write!(f, "{name:?} is called {now:?} now")
            }
            Self::RetiredName { name, now: None } => {
                write!(f, "{name:?} was removed from the catalog")
            }
            Self::WrongKind { name, kind, wanted } => {
                write!(f, "{name:?} is a {kind}, not a {wanted}")
            }
            Self::Contradiction { name } => {
                write!(f, "the overrides both grant {name:?} and take it away")
            }
            Self::TooMuch { name } => {
                write!(
                    f,
                    "plan and add-ons grant more of {name:?} than can be counted"
                )
            }
            Self::Inconsistent { kind, code } => {
                write!(f, "the catalog grants {kind} {code} but does not define it")
            }
        }
    }
}

impl std::error::Error for EntitlementError {}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

impl Revision {
    /// What a license of `plan` with `addons` and `overrides` grants.
    ///
    /// Amounts of add-ons are added to those of the plan, so an add-on that is listed twice counts
    /// twice. Overrides come last: they set amounts, and take away what is left.
    ///
    /// # Errors
    ///
    /// [`EntitlementError`] names what the revision does not know, what contradicts itself and what
    /// cannot be counted.
    pub fn entitlements(
        &self,
        plan: &str,
        addons: &[String],
        overrides: &Overrides,
    ) -> Result<Entitlements, EntitlementError> {
        let plan = self
            .plan(plan)
            .ok_or_else(|| EntitlementError::UnknownPlan {
                plan: plan.to_owned(),
                known: self
                    .plans()
                    .iter()
                    .map(|plan| plan.name.to_string())
                    .collect(),
            })?;
        let mut grants = plan.grants.clone();
        for name in addons {
            let addon = self
                .addon(name)
                .ok_or_else(|| EntitlementError::UnknownAddon {
                    addon: name.clone(),
                    known: self
                        .addons()
                        .iter()
                        .map(|addon| addon.name.to_string())
                        .collect(),
                })?;
            self.add(&mut grants, &addon.grants)?;
        }
        self.apply(&mut grants, overrides)?;
        self.with_periods(grants)
    }

    /// Adds the grants of an add-on.
    fn add(&self, grants: &mut Grants, addon: &Grants) -> Result<(), EntitlementError> {
        grants.flags.extend(&addon.flags);
        let sums = [
            (Kind::Quota, &mut grants.quotas, &addon.quotas),
            (Kind::Limit, &mut grants.limits, &addon.limits),
        ];
        for (kind, total, more) in sums {
            for (&code, &amount) in more {
                let amount = match total.get(&code) {
                    None => amount,
                    Some(&before) => before.checked_add(amount).ok_or_else(|| {
                        let name = self.terms().of(kind).get(&code);
                        let name = name.map_or_else(|| code.to_string(), |t| t.name.to_string());
                        EntitlementError::TooMuch { name }
                    })?,
                };
                total.insert(code, amount);
            }
        }
        Ok(())
    }

    fn apply(&self, grants: &mut Grants, overrides: &Overrides) -> Result<(), EntitlementError> {
        for name in &overrides.flags {
            grants.flags.insert(self.code_of(name, Kind::Flag)?);
        }
        for (name, &amount) in &overrides.quotas {
            grants
                .quotas
                .insert(self.code_of(name, Kind::Quota)?, amount);
        }
        for (name, &amount) in &overrides.limits {
            grants
                .limits
                .insert(self.code_of(name, Kind::Limit)?, amount);
        }
        for name in &overrides.without {
            let granted = overrides.flags.contains(name)
                || overrides.quotas.contains_key(name)
                || overrides.limits.contains_key(name);
            if granted {
                return Err(EntitlementError::Contradiction { name: name.clone() });
            }
            let (kind, code, _) = self.find(name)?;
            match kind {
                Kind::Flag => drop(grants.flags.remove(&code)),
                Kind::Quota => drop(grants.quotas.remove(&code)),
                Kind::Limit => drop(grants.limits.remove(&code)),
            }
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Result<(Kind, u16, &Term), EntitlementError> {
        self.terms().find(name).ok_or_else(|| {
            let name = name.to_owned();
            let renamed = self
                .terms()
                .iter()
                .find(|(_, _, term)| term.former.contains(&*name));
            let removed = self
                .reserved()
                .iter()
                .any(|(_, _, term)| *term.name == *name || term.former.contains(&*name));
            match renamed {
                Some((_, _, term)) => EntitlementError::RetiredName {
                    name,
                    now: Some(term.name.to_string()),
                },
                None if removed => EntitlementError::RetiredName { name, now: None },
                None => EntitlementError::UnknownName { name },
            }
        })
    }

    fn code_of(&self, name: &str, wanted: Kind) -> Result<u16, EntitlementError> {
        match self.find(name)? {
            (kind, code, _) if kind == wanted => Ok(code),
            (kind, _, _) => Err(EntitlementError::WrongKind {
                name: name.to_owned(),
                kind,
                wanted,
            }),
        }
    }

    /// Looks up the period of each quota, and that every code is defined.
    pub(super) fn with_periods(&self, grants: Grants) -> Result<Entitlements, EntitlementError> {
        let terms = self.terms();
        let undefined = |kind, code| EntitlementError::Inconsistent { kind, code };
        if let Some(&code) = grants
            .flags
            .iter()
            .find(|code| !terms.flags.contains_key(code))
        {
            return Err(undefined(Kind::Flag, code));
        }
        if let Some(&code) = grants
            .limits
            .keys()
            .find(|code| !terms.limits.contains_key(code))
        {
            return Err(undefined(Kind::Limit, code));
        }
        let mut quotas = BTreeMap::new();
        for (code, amount) in grants.quotas {
            let Some(Meaning::Quota { period, .. }) = terms.quotas.get(&code).map(|t| &t.meaning)
            else {
                return Err(undefined(Kind::Quota, code));
            };
            quotas.insert(code, (amount, *period));
        }
        Ok(Entitlements {
            flags: grants.flags,
            quotas,
            limits: grants.limits,
        })
    }
}

#[cfg(test)]
mod tests;
