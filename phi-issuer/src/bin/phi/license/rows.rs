//! Licenses and tokens in lists, with what the store says of their revocation.

use std::collections::BTreeMap;

use phi_issuer::{Issuer, LicenseRecord, MintedToken, Revocation, State};
use phi_verify::{RuleClass, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::view::{Stamp, counted};

/// A minted token.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenRow {
    /// Its id, 32 hexadecimal digits.
    pub(crate) id: String,
    /// The license of which it was minted.
    pub(crate) license: String,
    /// The key that signed it.
    pub(crate) key: String,
    /// When it was minted.
    pub(crate) issued_at: Stamp,
    /// When it expires; null is never.
    pub(crate) expires: Option<Stamp>,
    /// Its length.
    pub(crate) characters: usize,
    /// The token itself.
    pub(crate) token: String,
    /// Why it is revoked, by itself or with its license, customer or key, or when it was cut with
    /// those issued before; null if it is not revoked.
    pub(crate) revoked: Option<String>,
}

impl TokenRow {
    /// The tokens of licenses of one customer.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) fn all(
        issuer: &mut Issuer,
        customer: &str,
        tokens: &[MintedToken],
    ) -> Result<Vec<Self>, Failure> {
        let revoked = Revoked::load(issuer)?;
        let row = |token: &MintedToken| {
            let seq = if revoked.has_cuts() {
                issuer.event_of_token(token.token_id)?
            } else {
                0
            };
            Ok(Self {
                id: token.token_id.to_string(),
                license: token.license.to_string(),
                key: token.key_id.to_string(),
                issued_at: token.issued_at.into(),
                expires: token.expires.map(Stamp::from),
                characters: token.token.len(),
                token: token.token.clone(),
                revoked: revoked.token(token, seq, customer),
            })
        };
        tokens.iter().map(row).collect()
    }
}

/// A license in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LicenseRow {
    /// Its id.
    license: String,
    /// The customer's id.
    customer: String,
    /// The product.
    product: String,
    /// The plan.
    plan: String,
    /// `draft`, `active`, `grace`, `suspended`, `expired`, `revoked` or `superseded`.
    state: String,
    /// When it was issued.
    issued_at: Stamp,
    /// When it expires; null is never.
    expires: Option<Stamp>,
    /// Why it is revoked; null if it is not.
    revoked: Option<String>,
}

impl LicenseRow {
    /// The licenses of a customer or a product, or all.
    pub(crate) fn all(
        issuer: &mut Issuer,
        customer: Option<&str>,
        product: Option<&str>,
        now: UnixTime,
    ) -> Result<Vec<Self>, Failure> {
        let revoked = Revoked::load(issuer)?;
        let row = |license: LicenseRecord| Self {
            license: license.id.to_string(),
            customer: license.customer.clone(),
            product: license.product.clone(),
            plan: license.plan.clone(),
            state: license.state(now).name().to_owned(),
            issued_at: license.issued_at.into(),
            expires: license.expires.map(Stamp::from),
            revoked: revoked.license(&license),
        };
        let licenses = issuer.licenses(customer, product)?.into_iter();
        Ok(licenses.map(|license| row(license.at(now))).collect())
    }

    /// Whether the license is in this state.
    pub(super) fn is(&self, state: State) -> bool {
        self.state == state.name()
    }

    pub(crate) fn show(rows: &[Self], page: &mut Page) {
        if rows.is_empty() {
            page.line("no licenses");
            return;
        }
        let row = |license: &Self| {
            let expires = license.expires.as_ref();
            [
                license.license.clone(),
                license.customer.clone(),
                license.product.clone(),
                license.plan.clone(),
                license.state.clone(),
                expires.map_or("never".into(), Stamp::to_string),
                license.revoked.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = rows.iter().map(row).collect();
        let columns = [
            "LICENSE", "CUSTOMER", "PRODUCT", "PLAN", "STATE", "EXPIRES", "REVOKED",
        ];
        page.table(columns, &rows);
    }
}

/// The licenses.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi license list")]
pub(crate) struct LicenseListAnswer {
    /// In the order of issue.
    pub(super) licenses: Vec<LicenseRow>,
}

impl Answer for LicenseListAnswer {
    fn show(&self, page: &mut Page) {
        LicenseRow::show(&self.licenses, page);
        if !self.licenses.is_empty() {
            page.gap();
            page.line(&counted(self.licenses.len(), "license"));
        }
    }
}

/// What the store says is revoked, whether or not it was published yet.
pub(crate) struct Revoked(BTreeMap<(RuleClass, String), Revocation>);

impl Revoked {
    pub(crate) fn load(issuer: &mut Issuer) -> Result<Self, Failure> {
        let entry = |revocation: Revocation| {
            let subject = &revocation.subject;
            ((subject.class(), subject.id()), revocation)
        };
        Ok(Self(issuer.revocations()?.into_iter().map(entry).collect()))
    }

    fn of(&self, class: RuleClass, id: &str) -> Option<&Revocation> {
        self.0.get(&(class, id.to_owned()))
    }

    /// Why the license is taken back. One whose tokens were cut is not.
    pub(super) fn license(&self, license: &LicenseRecord) -> Option<String> {
        let whole = |class, id: &str| {
            let found = self.of(class, id);
            found.filter(|revocation| revocation.issued_before.is_none())
        };
        let own = whole(RuleClass::License, &license.id.to_string());
        let own = own.map(|revocation| revocation.reason.name().to_owned());
        own.or_else(|| {
            let reason = whole(RuleClass::Customer, &license.customer)?.reason;
            Some(format!("{}, as all of the customer's", reason.name()))
        })
    }

    /// Up to when tokens of the license are taken back, whoever else's are as well.
    pub(super) fn cut_before(&self, license: &LicenseRecord) -> Option<UnixTime> {
        let own = self.of(RuleClass::License, &license.id.to_string());
        let all = self.of(RuleClass::Customer, &license.customer);
        let until = |revocation: &Revocation| revocation.issued_before;
        own.and_then(until).max(all.and_then(until))
    }

    /// Whether a key was revoked with a cut: then it counts which event minted a token.
    fn has_cuts(&self) -> bool {
        self.0.values().any(|revocation| revocation.cut.is_some())
    }

    /// Why the token of this event is taken back, by the narrowest of the revocations that reach
    /// it.
    fn token(&self, token: &MintedToken, seq: u64, customer: &str) -> Option<String> {
        let with = [
            (RuleClass::Token, token.token_id.to_string(), ""),
            (
                RuleClass::License,
                token.license.to_string(),
                ", with its license",
            ),
            (
                RuleClass::Customer,
                customer.to_owned(),
                ", with its customer",
            ),
            (RuleClass::Key, token.key_id.to_string(), ", with its key"),
        ];
        with.into_iter().find_map(|(class, id, with)| {
            let revocation = self.of(class, &id)?;
            if revocation.cut.is_some_and(|cut| seq <= cut) {
                return None;
            }
            let (reason, since) = (revocation.reason.name(), revocation.since);
            match revocation.issued_before {
                None => Some(format!("{reason}{with}")),
                Some(before) if token.issued_at < before => {
                    Some(format!("{reason}, cut at {since}"))
                }
                Some(_) => None,
            }
        })
    }
}
