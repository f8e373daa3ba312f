//! Changes of a license: what an operator asks for, and what the ledger keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::{Allowance, Fingerprint, LicenseId, UnixTime};
use serde::{Deserialize, Serialize};

use super::{Act, NewLicense};
use crate::error::Error;

/// A change of a license in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseChange {
    /// The license.
    pub license: LicenseId,
    /// The revision that this change makes: one more than the one it was decided on.
    pub revision: u64,
    /// When it takes effect; `None` is at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<UnixTime>,
    /// What changes.
    #[serde(flatten)]
    pub change: Change,
}

/// What changes about a license that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all_fields = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// A draft comes into force.
    #[serde(rename = "draft-issued")]
    Issue {
        /// The catalog revision in which it is read from now on.
        catalog_revision: u64,
    },
    /// What it grants changes.
    #[serde(rename = "license-amended")]
    Amend {
        /// The catalog revision in which it is read from then on.
        catalog_revision: u64,
        /// What changes.
        amendment: Amendment,
    },
    /// It expires later.
    #[serde(rename = "license-renewed")]
    Renew {
        /// The new expiry; `None` is never.
        expires: Option<UnixTime>,
    },
    /// It is out of force until it is reinstated.
    #[serde(rename = "license-suspended")]
    Suspend {
        /// The reinstatements that were waiting when it was decided, by their revisions: none of
        /// them knew of this suspension, and none lifts it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        voids: Vec<u64>,
    },
    /// It is in force again.
    #[serde(rename = "license-reinstated")]
    Reinstate,
    /// A trial becomes an ordinary license.
    #[serde(rename = "trial-converted")]
    ConvertTrial {
        /// The catalog revision in which it is read from now on.
        catalog_revision: u64,
        /// The new expiry; `None` is never.
        expires: Option<UnixTime>,
        /// What changes about what it grants.
        amendment: Amendment,
    },
    /// Another license takes its place.
    #[serde(rename = "license-transferred")]
    Transfer {
        /// The license that takes over.
        successor: LicenseId,
    },
    /// It is bound to another machine.
    #[serde(rename = "license-rebound")]
    Rebind {
        /// The machine; `None` is any.
        machine: Option<Machine>,
    },
    /// A change that waits is called off.
    #[serde(rename = "change-withdrawn")]
    Withdraw {
        /// The revision that the waiting change made.
        withdrawn: u64,
    },
}

impl Change {
    /// The event's word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Issue { .. } => "draft-issued",
            Self::Amend { .. } => "license-amended",
            Self::Renew { .. } => "license-renewed",
            Self::Suspend { .. } => "license-suspended",
            Self::Reinstate => "license-reinstated",
            Self::ConvertTrial { .. } => "trial-converted",
            Self::Transfer { .. } => "license-transferred",
            Self::Rebind { .. } => "license-rebound",
            Self::Withdraw { .. } => "change-withdrawn",
        }
    }

    /// What happens to the license.
    pub const fn act(&self) -> Act {
        match self {
            Self::Issue { .. } => Act::Issue,
            Self::Amend { .. } => Act::Amend,
            Self::Renew { .. } => Act::Renew,
            Self::Suspend { .. } => Act::Suspend,
            Self::Reinstate => Act::Reinstate,
            Self::ConvertTrial { .. } => Act::ConvertTrial,
            Self::Transfer { .. } => Act::Transfer,
            Self::Rebind { .. } => Act::Rebind,
            Self::Withdraw { .. } => Act::Withdraw,
        }
    }
}

/// What an amendment changes: plan, add-ons, overrides and terms that stand beside them.
///
/// It says what is different, not what is then: two amendments of which one waits for its time
/// both count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// Another plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Add-ons that are added; one that is there already counts once more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// Add-ons that are taken away, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// Flags granted beyond the plan.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub flags: BTreeSet<String>,
    /// Flags, quotas and limits of the plan that are left out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<String>,
    /// Quotas set to an amount.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<String, Allowance>,
    /// Limits set to an amount.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Allowance>,
    /// Flags, quotas and limits that are again as plan and add-ons have them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub reset: BTreeSet<String>,
    /// Seconds after the expiry in which it still works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<u64>,
    /// The longest age in seconds of the status list under which tokens are accepted; 0 asks for
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_status_age: Option<u64>,
}

impl Amendment {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether what it takes away is there: a slip in a name would change nothing unseen.
    pub(crate) fn check(&self, order: &NewLicense) -> Result<(), Error> {
        let refuse = |problem: String| {
            Err(Error::Invalid {
                what: "an amendment",
                problem,
            })
        };
        let mut addons = order.addons.clone();
        for name in &self.remove {
            let Some(at) = addons.iter().position(|addon| addon == name) else {
                return refuse(format!("removes the add-on {name}, which is not there"));
            };
            addons.remove(at);
        }
        let own = &order.overrides;
        let overridden = |name: &String| {
            own.flags.contains(name)
                || own.without.contains(name)
                || own.quotas.contains_key(name)
                || own.limits.contains_key(name)
        };
        match self.reset.iter().find(|name| !overridden(name)) {
            Some(name) => refuse(format!("resets {name}, which is as the plan has it")),
            None => Ok(()),
        }
    }

    /// The order as amended. Every amendment can be applied to every order; whether the catalog
    /// has what comes out is asked afterwards.
    pub(crate) fn apply(&self, order: &mut NewLicense) {
        if let Some(plan) = &self.plan {
            order.plan.clone_from(plan);
        }
        for name in &self.remove {
            if let Some(at) = order.addons.iter().position(|addon| addon == name) {
                order.addons.remove(at);
            }
        }
        order.addons.extend(self.add.iter().cloned());
        self.override_terms(order);
        if let Some(grace) = self.grace {
            order.grace = grace;
        }
        if let Some(age) = self.max_status_age {
            order.max_status_age = Some(age).filter(|age| *age > 0);
        }
    }

    /// What is named here replaces whatever the overrides said of it.
    fn override_terms(&self, order: &mut NewLicense) {
        let overrides = &mut order.overrides;
        let named = [&self.flags, &self.without, &self.reset]
            .into_iter()
            .flatten();
        let amounts = self.quotas.keys().chain(self.limits.keys());
        for name in named.chain(amounts) {
            overrides.flags.remove(name);
            overrides.without.remove(name);
            overrides.quotas.remove(name);
            overrides.limits.remove(name);
        }
        overrides.flags.extend(self.flags.iter().cloned());
        overrides.without.extend(self.without.iter().cloned());
        let pairs = |map: &BTreeMap<String, Allowance>| map.clone().into_iter();
        overrides.quotas.extend(pairs(&self.quotas));
        overrides.limits.extend(pairs(&self.limits));
    }
}

/// The machine to which a license is bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The machine's fingerprint request, as `phi fingerprint` prints it.
    request: String,
    /// How many of its components must match.
    required: u64,
}

impl Machine {
    /// The machine of this fingerprint.
    ///
    /// # Errors
    /// [`Error::Invalid`] if so many components cannot match, or if the fingerprint has none.
    pub fn new(fingerprint: &Fingerprint, required: usize) -> Result<Self, Error> {
        let invalid = |cause: &phi_verify::Error| Error::Invalid {
            what: "the machine binding",
            problem: format!("is refused: {cause}"),
        };
        phi_verify::Binding::new(fingerprint, required).map_err(|cause| invalid(&cause))?;
        let request = fingerprint.to_request().map_err(|cause| invalid(&cause))?;
        Ok(Self {
            request,
            required: required as u64,
        })
    }

    /// The fingerprint, and how many of its components must match.
    ///
    /// # Errors
    /// [`Error::EventDamaged`] if the ledger's text is not a request.
    pub fn fingerprint(&self) -> Result<(Fingerprint, usize), Error> {
        let damaged = || Error::EventDamaged {
            problem: "a license's machine is not a fingerprint request".into(),
        };
        let machine = Fingerprint::from_request(&self.request).map_err(|_| damaged())?;
        let required = usize::try_from(self.required).map_err(|_| damaged())?;
        Ok((machine, required))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> NewLicense {
        let mut order = NewLicense::new("globex", "atlas", "team");
        order.addons = vec!["seats".into(), "seats".into()];
        order.overrides.without.insert("sso".into());
        let calls = ("calls".into(), Allowance::Limited(5));
        order.overrides.quotas.extend([calls]);
        order
    }

    #[test]
    fn what_an_amendment_names_replaces_what_was_said_of_it() {
        let mut amended = order();
        let amendment = Amendment {
            plan: Some("pro".into()),
            add: vec!["support".into()],
            remove: vec!["seats".into(), "unknown".into()],
            flags: ["sso".into()].into(),
            reset: ["calls".into()].into(),
            max_status_age: Some(0),
            ..Amendment::default()
        };
        amendment.apply(&mut amended);
        assert_eq!(amended.plan, "pro");
        assert_eq!(amended.addons, ["seats", "support"]);
        assert!(amended.overrides.flags.contains("sso"));
        assert!(amended.overrides.without.is_empty());
        assert!(amended.overrides.quotas.is_empty());
    }

    #[test]
    fn what_an_amendment_takes_away_must_be_there() {
        let remove = |names: &[&str]| Amendment {
            remove: names.iter().map(ToString::to_string).collect(),
            ..Amendment::default()
        };
        remove(&["seats", "seats"]).check(&order()).unwrap();
        for names in [&["support"][..], &["seats", "seats", "seats"]] {
            let error = remove(names).check(&order()).unwrap_err();
            assert_eq!(error.code(), "input-invalid", "{error}");
        }
        let reset = |name: &str| Amendment {
            reset: [name.into()].into(),
            ..Amendment::default()
        };
        reset("sso").check(&order()).unwrap();
        reset("calls").check(&order()).unwrap();
        let error = reset("seats").check(&order()).unwrap_err();
        assert!(error.to_string().contains("as the plan has it"), "{error}");
    }

    #[test]
    fn an_empty_amendment_changes_nothing() {
        let mut amended = order();
        Amendment::default().apply(&mut amended);
        assert_eq!(amended, order());
        assert!(Amendment::default().is_empty());
    }
}
