//! The catalog in the words of the wire format: what goes into tokens and the signed catalog
//! document. Signing is left to others.

use std::collections::BTreeMap;

use phi_verify::{
    Catalog, FlagCode, FlagSet, LimitCode, Name, Quota, QuotaCode, Terms as WireTerms, UnixTime,
};

use super::entitlements::{EntitlementError, Entitlements};
use super::revision::{Offer, Revision, Term};
use super::terms::{Kind, Meaning};

impl Entitlements {
    /// The entitlements as a token carries them.
    ///
    /// # Errors
    ///
    /// [`EntitlementError::Inconsistent`] if a code is beyond its code space.
    pub fn terms(&self) -> Result<WireTerms, EntitlementError> {
        let quota = |(&code, &(allowance, period)): (&u16, _)| {
            Ok((quota_code(code)?, Quota { allowance, period }))
        };
        let limit = |(&code, &allowance): (&u16, _)| Ok((limit_code(code)?, allowance));
        Ok(WireTerms {
            flags: self
                .flags
                .iter()
                .copied()
                .map(flag_code)
                .collect::<Result<FlagSet, _>>()?,
            quotas: self.quotas.iter().map(quota).collect::<Result<_, _>>()?,
            limits: self.limits.iter().map(limit).collect::<Result<_, _>>()?,
        })
    }
}

impl Revision {
    /// The catalog document of this revision, to be signed.
    ///
    /// # Errors
    ///
    /// [`EntitlementError::Inconsistent`] if the revision was not made by this library.
    pub fn document(&self, issuer: &str, issued_at: UnixTime) -> Result<Catalog, EntitlementError> {
        let terms = self.terms();
        let flag = |(&code, term): (&u16, &Term)| Ok((flag_code(code)?, name(term)));
        let limit = |(&code, term): (&u16, &Term)| Ok((limit_code(code)?, name(term)));
        let quota = |(&code, term): (&u16, &Term)| match &term.meaning {
            Meaning::Quota { period, .. } => Ok((quota_code(code)?, (name(term), *period))),
            _ => Err(EntitlementError::Inconsistent {
                kind: Kind::Quota,
                code,
            }),
        };
        Ok(Catalog {
            issuer: issuer.to_owned(),
            product: self.product().to_string(),
            revision: self.number(),
            issued_at,
            flags: terms.flags.iter().map(flag).collect::<Result<_, _>>()?,
            quotas: terms.quotas.iter().map(quota).collect::<Result<_, _>>()?,
            limits: terms.limits.iter().map(limit).collect::<Result<_, _>>()?,
            plans: self.offers(self.plans())?,
            addons: self.offers(self.addons())?,
        })
    }

    fn offers(&self, offers: &[Offer]) -> Result<BTreeMap<String, WireTerms>, EntitlementError> {
        let coded = |offer: &Offer| {
            let terms = self.with_periods(offer.grants.clone())?.terms()?;
            Ok((offer.name.to_string(), terms))
        };
        offers.iter().map(coded).collect()
    }
}

fn name(term: &Term) -> Name {
    let unit = match &term.meaning {
        Meaning::Flag => None,
        Meaning::Quota { unit, .. } | Meaning::Limit { unit } => unit.clone(),
    };
    let (name, title) = (term.name.to_string(), term.title.clone());
    Name {
        name,
        title,
        unit: unit.unwrap_or_default(),
    }
}

fn flag_code(code: u16) -> Result<FlagCode, EntitlementError> {
    let kind = Kind::Flag;
    FlagCode::checked(code.into()).ok_or(EntitlementError::Inconsistent { kind, code })
}

fn quota_code(code: u16) -> Result<QuotaCode, EntitlementError> {
    let kind = Kind::Quota;
    QuotaCode::checked(code.into()).ok_or(EntitlementError::Inconsistent { kind, code })
}

fn limit_code(code: u16) -> Result<LimitCode, EntitlementError> {
    let kind = Kind::Limit;
    LimitCode::checked(code.into()).ok_or(EntitlementError::Inconsistent { kind, code })
}

#[cfg(test)]
mod tests {
    use phi_verify::{Allowance, Period};

    use super::super::{Name as CatalogName, Overrides, Source, template};
    use super::*;

    fn revision() -> Revision {
        let text = template(&CatalogName::new("atlas").unwrap());
        Revision::first(&Source::parse(&text).unwrap()).unwrap()
    }

    #[test]
    fn the_document_says_what_the_revision_says() {
        let issued_at = UnixTime::new(7).unwrap();
        let catalog = revision().document("acme", issued_at).unwrap();
        assert_eq!((catalog.product.as_str(), catalog.revision), ("atlas", 1));
        assert_eq!(catalog.flag("audit_log"), Some(FlagCode::new(1)));
        let (name, period) = &catalog.quotas[&QuotaCode::new(0)];
        assert_eq!((name.unit.as_str(), *period), ("calls", Period::Month));
        let granted = revision()
            .entitlements("premium", &[], &Overrides::default())
            .unwrap();
        let premium = &catalog.plans["premium"];
        assert_eq!(granted.terms().unwrap(), *premium);
        assert!(premium.flags.contains(FlagCode::new(0)));
        assert_eq!(
            premium.quotas[&QuotaCode::new(0)].allowance,
            Allowance::Unlimited
        );
        assert_eq!(
            catalog.addons["extra_seats"].limits[&LimitCode::new(0)],
            Allowance::Limited(10)
        );
    }

    #[test]
    fn a_code_beyond_its_space_is_refused() {
        let entitlements = Entitlements {
            flags: [4096].into(),
            ..Entitlements::default()
        };
        let refused = EntitlementError::Inconsistent {
            kind: Kind::Flag,
            code: 4096,
        };
        assert_eq!(entitlements.terms(), Err(refused));
    }
}
