//! A [`Revision`]: the recorded state of a product's catalog, from which licenses, documents and
//! generated code are derived. How codes are given is left to `codes`, what a license grants to
//! `entitlements`.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::Allowance;
use serde::{Deserialize, Serialize};

use super::codes;
use super::diagnostic::{Diagnostic, Diagnostics};
use super::name::Name;
use super::plans::{Granted, Offered};
use super::source::Source;
use super::terms::{Kind, Meaning};

/// A recorded catalog. Codes in it are given once: no later revision gives them another meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    product: Name,
    number: u64,
    title: Option<String>,
    terms: Terms,
    reserved: Terms,
    plans: Vec<Offer>,
    addons: Vec<Offer>,
}

/// Flags, quotas and limits by code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Feature flags.
    pub flags: BTreeMap<u16, Term>,
    /// Quotas.
    pub quotas: BTreeMap<u16, Term>,
    /// Concurrency limits.
    pub limits: BTreeMap<u16, Term>,
}

/// A flag, quota or limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Its name now, or the last one it had.
    pub name: Name,
    /// Its title, for people.
    pub title: String,
    /// What its code means, for ever.
    pub meaning: Meaning,
    /// Names it had before; nothing else may have them.
    pub former: BTreeSet<Name>,
}

/// A plan or an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its name.
    pub name: Name,
    /// Its title, for people.
    pub title: Option<String>,
    /// All it grants, inheritance resolved.
    pub grants: Grants,
}

/// What a plan or add-on grants, by code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// Feature flags.
    pub flags: BTreeSet<u16>,
    /// Quotas.
    pub quotas: BTreeMap<u16, Allowance>,
    /// Concurrency limits.
    pub limits: BTreeMap<u16, Allowance>,
}

impl Revision {
    /// Records a catalog for the first time.
    ///
    /// # Errors
    ///
    /// What the text says about a past that is not there.
    pub fn first(source: &Source) -> Result<Self, Diagnostics> {
        Self::after(None, source)
    }

    /// Records an edited catalog: names keep their codes, renamed ones too (`was`), new ones get the
    /// next free code, removed ones leave theirs reserved.
    ///
    /// The number grows by one even if nothing changed; [`diff`](super::diff) of the two is empty
    /// then, and there is nothing to record.
    ///
    /// # Errors
    ///
    /// Every edit that would give a code or a name another meaning, with its place in the text.
    pub fn next(&self, source: &Source) -> Result<Self, Diagnostics> {
        if source.product.value != self.product {
            let message = format!("this is the catalog of `{}`", self.product);
            let hint = format!(
                "a product keeps its name: write product = \"{}\", or start another folder",
                self.product
            );
            let refused = Diagnostic::new(source.product.position, message).hint(hint);
            Diagnostics::check(vec![refused])?;
        }
        Self::after(Some(self), source)
    }

    fn after(before: Option<&Self>, source: &Source) -> Result<Self, Diagnostics> {
        let nothing = Terms::default();
        let (old, old_reserved) = before.map_or((&nothing, &nothing), |before| {
            (&before.terms, &before.reserved)
        });
        let (terms, reserved) = codes::assign(old, old_reserved, source)?;
        let codes = terms.codes_by_name();
        let offers = |all: &[Offered]| all.iter().map(|one| Offer::coded(one, &codes)).collect();
        Ok(Self {
            product: source.product.value.clone(),
            number: before.map_or(1, |before| before.number.saturating_add(1)),
            title: source.title.clone(),
            plans: offers(&source.plans),
            addons: offers(&source.addons),
            terms,
            reserved,
        })
    }

    /// The product.
    pub fn product(&self) -> &Name {
        &self.product
    }

    /// The revision's number: 1 for the first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The product's title, for people.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// The terms that can be granted.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The terms that were removed; their codes and names stay theirs.
    pub fn reserved(&self) -> &Terms {
        &self.reserved
    }

    /// What a code is called, or was called last; the code itself if nothing ever had it.
    pub fn name_of(&self, kind: Kind, code: u16) -> String {
        let known = [self.terms(), self.reserved()];
        let term = known
            .into_iter()
            .find_map(|terms| terms.of(kind).get(&code));
        term.map_or_else(|| code.to_string(), |term| term.name.to_string())
    }

    /// The plans, in the order of the text.
    pub fn plans(&self) -> &[Offer] {
        &self.plans
    }

    /// The add-ons, in the order of the text.
    pub fn addons(&self) -> &[Offer] {
        &self.addons
    }

    /// The plan of that name.
    pub fn plan(&self, name: &str) -> Option<&Offer> {
        self.plans.iter().find(|plan| plan.name.as_str() == name)
    }

    /// The add-on of that name.
    pub fn addon(&self, name: &str) -> Option<&Offer> {
        self.addons.iter().find(|addon| addon.name.as_str() == name)
    }
}

impl Terms {
    /// The terms of one kind.
    pub fn of(&self, kind: Kind) -> &BTreeMap<u16, Term> {
        match kind {
            Kind::Flag => &self.flags,
            Kind::Quota => &self.quotas,
            Kind::Limit => &self.limits,
        }
    }

    pub(super) fn of_mut(&mut self, kind: Kind) -> &mut BTreeMap<u16, Term> {
        match kind {
            Kind::Flag => &mut self.flags,
            Kind::Quota => &mut self.quotas,
            Kind::Limit => &mut self.limits,
        }
    }

    /// Every term with its kind and code.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u16, &Term)> {
        let of = |kind| {
            self.of(kind)
                .iter()
                .map(move |(&code, term)| (kind, code, term))
        };
        Kind::ALL.into_iter().flat_map(of)
    }

    /// The term of that name.
    pub fn find(&self, name: &str) -> Option<(Kind, u16, &Term)> {
        self.iter().find(|(_, _, term)| term.name.as_str() == name)
    }

    fn codes_by_name(&self) -> BTreeMap<&Name, u16> {
        self.iter()
            .map(|(_, code, term)| (&term.name, code))
            .collect()
    }
}

impl Offer {
    fn coded(offered: &Offered, codes: &BTreeMap<&Name, u16>) -> Self {
        let code = |name: &Name| *codes.get(name).expect("a source grants what it defines");
        let amounts = |by_name: &BTreeMap<Name, Allowance>| {
            by_name
                .iter()
                .map(|(name, &amount)| (code(name), amount))
                .collect()
        };
        let Granted {
            flags,
            quotas,
            limits,
        } = &offered.granted;
        Self {
            name: offered.name.clone(),
            title: offered.title.clone(),
            grants: Grants {
                flags: flags.iter().map(code).collect(),
                quotas: amounts(quotas),
                limits: amounts(limits),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_revision_reads_back_the_same() {
        let text = super::super::template(&Name::new("atlas").unwrap());
        let revision = Revision::first(&Source::parse(&text).unwrap()).unwrap();
        let mut cbor = Vec::new();
        ciborium::into_writer(&revision, &mut cbor).unwrap();
        assert_eq!(
            ciborium::from_reader::<Revision, _>(&cbor[..]).unwrap(),
            revision
        );
        let json = serde_json::to_string(&revision).unwrap();
        assert_eq!(serde_json::from_str::<Revision>(&json).unwrap(), revision);
    }

    #[test]
    fn another_product_is_refused_at_its_name() {
        let atlas = Source::parse("product = \"atlas\"").unwrap();
        let other = Source::parse("\n  product = \"other\"").unwrap();
        let refused = Revision::first(&atlas).unwrap().next(&other).unwrap_err();
        assert!(
            refused
                .to_string()
                .starts_with("2:13: this is the catalog of `atlas`")
        );
    }
}
