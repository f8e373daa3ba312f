//! What a license token says.

use std::collections::BTreeMap;

use phi_verify::{Binding, Claims, Extension, KeyId, UnixTime};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Names, Stamp, TermsView, hex};
use crate::output::Page;
use phi_issuer::when::Length;

/// What a license token says.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LicenseView {
    /// Who issued it.
    pub(crate) issuer: String,
    /// Whose license it is.
    pub(crate) customer: String,
    /// The product.
    pub(crate) product: String,
    /// The plan from which the terms were taken.
    pub(crate) plan: String,
    /// When the token was minted.
    pub(crate) issued_at: Stamp,
    /// When it begins.
    pub(crate) begins: Stamp,
    /// When it expires; null is never.
    pub(crate) expires: Option<Stamp>,
    /// Seconds after the expiry in which it still works.
    pub(crate) grace_seconds: u64,
    /// When the grace ends; null without an expiry.
    pub(crate) grace_ends: Option<Stamp>,
    /// What it grants.
    #[serde(flatten)]
    pub(crate) terms: TermsView,
    /// The machine to which it is bound.
    pub(crate) binding: Option<BindingView>,
    /// The license in the issuer's store, 16 hexadecimal digits.
    pub(crate) license: String,
    /// The revision of that license.
    pub(crate) license_revision: u64,
    /// The name of the token, 32 hexadecimal digits.
    pub(crate) token: String,
    /// The key that signed it, or that it says signed it.
    pub(crate) key: String,
    /// The catalog revision that it was minted from.
    pub(crate) catalog_revision: u64,
    /// The status epoch at which it was minted.
    pub(crate) mint_epoch: u64,
    /// The oldest keyset version that it accepts; 0 is any.
    pub(crate) minimum_keyset: u64,
    /// The oldest status epoch that it accepts; 0 is any.
    pub(crate) minimum_status: u64,
    /// The longest age in seconds of the status document that it accepts.
    pub(crate) max_status_age_seconds: Option<u64>,
    /// Claims that a verifier may ignore, by number.
    pub(crate) extensions: BTreeMap<String, serde_json::Value>,
}

impl LicenseView {
    /// The view of these claims, with these names.
    pub(crate) fn new(claims: &Claims, key: KeyId, names: &Names) -> Self {
        let ends = |expires: UnixTime| expires.plus(claims.grace).into();
        Self {
            issuer: claims.issuer.clone(),
            customer: claims.customer.clone(),
            product: claims.product.clone(),
            plan: claims.plan.clone(),
            issued_at: claims.issued_at.into(),
            begins: claims.begins().into(),
            expires: claims.expires.map(Stamp::from),
            grace_seconds: claims.grace,
            grace_ends: claims.expires.map(ends),
            terms: TermsView::new(&claims.terms, names),
            binding: claims.binding.as_ref().map(BindingView::new),
            license: claims.license_id.to_string(),
            license_revision: claims.license_revision,
            token: claims.token_id.to_string(),
            key: key.to_string(),
            catalog_revision: claims.catalog_revision,
            mint_epoch: claims.mint_epoch,
            minimum_keyset: claims.minimum.keyset,
            minimum_status: claims.minimum.status,
            max_status_age_seconds: claims.max_status_age,
            extensions: claims
                .extensions
                .iter()
                .map(|(number, value)| (number.to_string(), extension(value)))
                .collect(),
        }
    }

    /// Who may use what.
    pub(crate) fn show_subject(&self, page: &mut Page) {
        page.field("customer", &self.customer);
        page.field("product", &self.product);
        page.field("plan", &self.plan);
    }

    /// The times, without judging them.
    pub(crate) fn show_times(&self, page: &mut Page) {
        page.field("begins", &self.begins);
        match &self.expires {
            Some(expires) => page.field("expires", expires),
            None => page.field("expires", "never"),
        }
        if let (Some(ends), true) = (&self.grace_ends, self.grace_seconds > 0) {
            page.field(
                "grace",
                format!("{}, until {ends}", Length(self.grace_seconds)),
            );
        }
    }

    /// Where the token comes from, and what it asks of the trust documents.
    pub(crate) fn show_origin(&self, page: &mut Page) {
        page.field(
            "license",
            format!("{}, revision {}", self.license, self.license_revision),
        );
        page.field(
            "token",
            format!("{}, minted {}", self.token, self.issued_at),
        );
        page.field("issuer", &self.issuer);
        page.field("key", &self.key);
        page.field("catalog", format!("revision {}", self.catalog_revision));
        if self.minimum_keyset > 0 || self.minimum_status > 0 {
            page.field(
                "needs",
                format!(
                    "keyset version {} and status epoch {} at least",
                    self.minimum_keyset, self.minimum_status
                ),
            );
        }
        if let Some(age) = self.max_status_age_seconds {
            page.field("status age", format!("at most {}", Length(age)));
        }
        for (number, value) in &self.extensions {
            page.field("extension", format!("{number}: {value}"));
        }
    }
}

fn extension(value: &Extension) -> serde_json::Value {
    match value {
        Extension::Integer(number) => match (i64::try_from(*number), u64::try_from(*number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => number.to_string().into(),
        },
        Extension::Bytes(bytes) => serde_json::json!({ "bytes": hex(bytes) }),
        Extension::Text(text) => text.as_str().into(),
        Extension::Bool(truth) => (*truth).into(),
        Extension::List(items) => items.iter().map(extension).collect(),
        Extension::Map(entries) => entries
            .iter()
            .map(|(key, value)| serde_json::json!([extension(key), extension(value)]))
            .collect(),
    }
}

/// The machine to which a license is bound.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BindingView {
    /// How many components must match.
    pub(crate) required: usize,
    /// The components' digests, in hexadecimal.
    pub(crate) components: Vec<String>,
}

impl BindingView {
    pub(crate) fn new(binding: &Binding) -> Self {
        Self {
            required: binding.required(),
            components: binding
                .components()
                .iter()
                .map(|digest| hex(digest))
                .collect(),
        }
    }

    pub(crate) fn line(&self) -> String {
        format!(
            "bound: {} of {} components must match",
            self.required,
            self.components.len()
        )
    }
}
