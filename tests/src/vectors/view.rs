//! How decoded objects stand in a vector: by claim names, with bytes as hexadecimal.

use std::collections::BTreeMap;

use phi_verify::{
    Allowance, Binding, Bundle, BundledToken, Catalog, Claims, ClockVerdict, Extension, FlagSet,
    Form, Freshness, KeyState, Keyset, License, Name, Quota, RoleKeys, Root, Rule, Scope, Sections,
    Status, Subject, Terms, TrustState, UnixTime, Validity,
    log::{Checkpoint, Leaf},
};
use serde::{Deserialize, Serialize};

use crate::hex;

/// What verification says of a license.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseView {
    /// What the token says.
    pub claims: ClaimsView,
    /// The key that signed.
    pub key_id: String,
    /// `null` within the license's time; in grace, when it expired and when grace ends.
    pub grace: Option<(u64, u64)>,
    /// How old the status list is: `fresh`, `stale`, `expired` or `missing`.
    pub freshness: String,
    /// What the status lists say, if there are any: `good`, `not-covered` or `probable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// The epoch of a status list that is newer than the one at hand, by the token's mint epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<u64>,
    /// Granted flags that the status list switches off.
    pub disabled_flags: Vec<u16>,
}

impl LicenseView {
    /// What an accepted license must look like: within its time, and without a status list.
    pub fn of_claims(claims: &Claims, key_id: phi_verify::KeyId) -> Self {
        Self {
            claims: claims.into(),
            key_id: key_id.to_string(),
            grace: None,
            freshness: Freshness::Missing.to_string(),
            verdict: None,
            newer: Some(claims.mint_epoch).filter(|epoch| *epoch > 0),
            disabled_flags: Vec::new(),
        }
    }
}

impl From<&License> for LicenseView {
    fn from(license: &License) -> Self {
        let grace = match license.validity() {
            Validity::Valid => None,
            Validity::Grace { expired, ends } => Some((expired.seconds(), ends.seconds())),
        };
        let revocation = license.revocation();
        let disabled = revocation.disabled.iter();
        Self {
            claims: license.claims().into(),
            key_id: license.key_id().to_string(),
            grace,
            freshness: revocation.freshness.to_string(),
            verdict: revocation.epoch.map(|_| revocation.verdict.to_string()),
            newer: revocation.newer,
            disabled_flags: disabled.map(phi_verify::FlagCode::get).collect(),
        }
    }
}

/// The claims of a license token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the claims are those of phi_verify::Claims")]
pub struct ClaimsView {
    pub issuer: String,
    pub customer: String,
    pub expires: Option<u64>,
    pub not_before: Option<u64>,
    pub issued_at: u64,
    pub token_id: String,
    pub product: String,
    pub plan: String,
    pub terms: TermsView,
    /// How many must match, and the digests.
    pub binding: Option<(usize, Vec<String>)>,
    pub grace: u64,
    pub license_id: String,
    pub license_revision: u64,
    pub catalog_revision: u64,
    /// Keyset version and status epoch.
    pub minimum: (u64, u64),
    pub max_status_age: Option<u64>,
    pub mint_epoch: u64,
    pub extensions: BTreeMap<i64, ExtensionView>,
}

impl From<&Claims> for ClaimsView {
    fn from(claims: &Claims) -> Self {
        let binding = |binding: &Binding| {
            let digests = binding.components().iter().map(|digest| hex(digest));
            (binding.required(), digests.collect())
        };
        let extensions = claims.extensions.iter();
        Self {
            issuer: claims.issuer.clone(),
            customer: claims.customer.clone(),
            expires: claims.expires.map(UnixTime::seconds),
            not_before: claims.not_before.map(UnixTime::seconds),
            issued_at: claims.issued_at.seconds(),
            token_id: claims.token_id.to_string(),
            product: claims.product.clone(),
            plan: claims.plan.clone(),
            terms: (&claims.terms).into(),
            binding: claims.binding.as_ref().map(binding),
            grace: claims.grace,
            license_id: claims.license_id.to_string(),
            license_revision: claims.license_revision,
            catalog_revision: claims.catalog_revision,
            minimum: (claims.minimum.keyset, claims.minimum.status),
            max_status_age: claims.max_status_age,
            mint_epoch: claims.mint_epoch,
            extensions: extensions
                .map(|(key, value)| (*key, value.into()))
                .collect(),
        }
    }
}

/// Terms, by code. Amounts are texts: `unlimited`, or a number of up to 64 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the terms are those of phi_verify::Terms")]
pub struct TermsView {
    pub flags: Vec<u16>,
    /// Amount and period.
    pub quotas: BTreeMap<u16, (String, String)>,
    pub limits: BTreeMap<u16, String>,
}

impl From<&Terms> for TermsView {
    fn from(terms: &Terms) -> Self {
        let quota = |quota: &Quota| (amount(quota.allowance), quota.period.to_string());
        Self {
            flags: terms.flags.iter().map(phi_verify::FlagCode::get).collect(),
            quotas: (terms.quotas.iter())
                .map(|(code, value)| (code.get(), quota(value)))
                .collect(),
            limits: (terms.limits.iter())
                .map(|(code, value)| (code.get(), amount(*value)))
                .collect(),
        }
    }
}

fn amount(allowance: Allowance) -> String {
    allowance.to_string()
}

/// The value of an extension claim. Integers are texts, for they can have 65 bits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the values are those of phi_verify::Extension")]
pub enum ExtensionView {
    Integer(String),
    Bytes(String),
    Text(String),
    Bool(bool),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl From<&Extension> for ExtensionView {
    fn from(extension: &Extension) -> Self {
        match extension {
            Extension::Integer(number) => Self::Integer(number.to_string()),
            Extension::Bytes(bytes) => Self::Bytes(hex(bytes)),
            Extension::Text(text) => Self::Text(text.clone()),
            Extension::Bool(truth) => Self::Bool(*truth),
            Extension::List(items) => Self::List(items.iter().map(Self::from).collect()),
            Extension::Map(entries) => Self::Map(
                (entries.iter())
                    .map(|(key, value)| (key.into(), value.into()))
                    .collect(),
            ),
        }
    }
}

/// The payload of a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of the structures")]
pub enum DocumentView {
    Root {
        issuer: String,
        version: u64,
        issued_at: u64,
        /// Each role's threshold and the ids of its keys: root, keyset, status, ledger.
        roles: [(usize, Vec<String>); 4],
        /// Keyset version and status epoch.
        floors: (u64, u64),
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refresh_by: Option<u64>,
    },
    Keyset {
        issuer: String,
        version: u64,
        issued_at: u64,
        root_version: u64,
        keys: Vec<KeyView>,
    },
    Status {
        issuer: String,
        epoch: u64,
        this_update: u64,
        next_update: u64,
        hard_expiry: u64,
        /// Keyset version and hash.
        keyset: (u64, String),
        /// The full list before, of a full list.
        previous: Option<String>,
        /// Of a delta: epoch and hash of its base, and the hash of the full list of its epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delta: Option<(u64, String, String)>,
        /// Of a delta the one that follows from it.
        salt: String,
        covered_keys: Vec<String>,
        rules: Vec<RuleView>,
        /// Class, kind and body.
        sections: Vec<(u64, u64, String)>,
        /// Class and id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unrevoked: Vec<(String, String)>,
    },
    Catalog {
        issuer: String,
        product: String,
        revision: u64,
        issued_at: u64,
        /// Name, title and unit.
        flags: BTreeMap<u16, [String; 3]>,
        /// Name, title and unit, and the period.
        quotas: BTreeMap<u16, ([String; 3], String)>,
        limits: BTreeMap<u16, [String; 3]>,
        plans: BTreeMap<String, TermsView>,
        addons: BTreeMap<String, TermsView>,
    },
}

/// A key of a keyset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of phi_verify::LicenseKey"
)]
pub struct KeyView {
    pub key_id: String,
    pub state: String,
    pub from: Option<u64>,
    pub until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<u64>,
}

/// What a key may sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeView {
    /// The flags of each product, `null` being every flag.
    pub products: BTreeMap<String, Option<Vec<u16>>>,
    /// How many seconds a license may last.
    pub longest: Option<u64>,
}

impl From<&Scope> for ScopeView {
    fn from(scope: &Scope) -> Self {
        let codes = |flags: &FlagSet| flags.iter().map(phi_verify::FlagCode::get).collect();
        let products = scope.products.iter();
        Self {
            products: products
                .map(|(product, flags)| (product.clone(), flags.as_ref().map(codes)))
                .collect(),
            longest: scope.longest,
        }
    }
}

/// A rule of a status list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of phi_verify::Rule")]
pub struct RuleView {
    pub class: String,
    pub subject: String,
    pub issued_before: Option<u64>,
    pub reason: String,
    pub since: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u64>,
}

impl From<&Root> for DocumentView {
    fn from(root: &Root) -> Self {
        let role = |role: &RoleKeys| {
            let ids = role.keys().iter().map(|key| key.id().to_string());
            (role.threshold(), ids.collect())
        };
        Self::Root {
            issuer: root.issuer.clone(),
            version: root.version,
            issued_at: root.issued_at.seconds(),
            roles: [&root.root, &root.keyset, &root.status, &root.ledger].map(role),
            floors: (root.floors.keyset, root.floors.status),
            refresh_by: root.refresh_by.map(UnixTime::seconds),
        }
    }
}

impl From<&Keyset> for DocumentView {
    fn from(keyset: &Keyset) -> Self {
        let key = |entry: &phi_verify::LicenseKey| {
            let (from, until) = match entry.state {
                KeyState::Staged | KeyState::Revoked { .. } => (None, None),
                KeyState::Active { from } => (Some(from.seconds()), None),
                KeyState::Retired { from, until } => (Some(from.seconds()), Some(until.seconds())),
            };
            KeyView {
                key_id: entry.key.id().to_string(),
                state: entry.state.to_string(),
                from,
                until,
                scope: (!entry.scope.is_unlimited()).then(|| (&entry.scope).into()),
                cut: entry.state.cut(),
            }
        };
        Self::Keyset {
            issuer: keyset.issuer.clone(),
            version: keyset.version,
            issued_at: keyset.issued_at.seconds(),
            root_version: keyset.root_version,
            keys: keyset.keys().iter().map(key).collect(),
        }
    }
}

impl From<&Status> for DocumentView {
    fn from(status: &Status) -> Self {
        Self::Status {
            issuer: status.issuer.clone(),
            epoch: status.epoch,
            this_update: status.this_update.seconds(),
            next_update: status.next_update.seconds(),
            hard_expiry: status.hard_expiry.seconds(),
            keyset: (status.keyset.0, hex(&status.keyset.1)),
            previous: match &status.form {
                Form::Full { previous, .. } => previous.as_ref().map(|hash| hex(hash)),
                Form::Delta { .. } => None,
            },
            delta: match &status.form {
                Form::Full { .. } => None,
                Form::Delta { base, full, .. } => Some((base.epoch, hex(&base.hash), hex(full))),
            },
            salt: hex(&status.salt()),
            covered_keys: status
                .covered_keys
                .iter()
                .map(ToString::to_string)
                .collect(),
            rules: status.rules.iter().map(RuleView::from).collect(),
            sections: sections(status),
            unrevoked: status.unrevoked.iter().map(subject).collect(),
        }
    }
}

fn sections(status: &Status) -> Vec<(u64, u64, String)> {
    let removed = match &status.form {
        Form::Full { .. } => None,
        Form::Delta { removed, .. } => Some(removed),
    };
    let of = |sections: &Sections| [sections.tokens.clone(), sections.licenses.clone()];
    let filters = [Some(&status.revoked), removed].into_iter().flatten();
    (0..)
        .zip(filters.flat_map(of))
        .filter_map(|(class, filter)| {
            let filter = filter?;
            Some((class, filter.kind().number(), hex(filter.body())))
        })
        .collect()
}

/// Class and id.
fn subject(subject: &Subject) -> (String, String) {
    let id = match subject {
        Subject::License(id) => id.to_string(),
        Subject::Customer(hash) => hex(hash),
        Subject::Key(id) => id.to_string(),
        Subject::Feature(product, flag) => format!("{product} {flag}"),
    };
    (subject.class().to_string(), id)
}

impl From<&Rule> for RuleView {
    fn from(rule: &Rule) -> Self {
        let (class, subject) = subject(&rule.subject);
        Self {
            class,
            subject,
            issued_before: rule.issued_before.map(UnixTime::seconds),
            reason: rule.reason.to_string(),
            since: rule.since.seconds(),
            ends: rule.ends.map(UnixTime::seconds),
        }
    }
}

impl From<&Catalog> for DocumentView {
    fn from(catalog: &Catalog) -> Self {
        let name = |name: &Name| [name.name.clone(), name.title.clone(), name.unit.clone()];
        let plans = |plans: &BTreeMap<String, Terms>| {
            let view = |(name, terms): (&String, &Terms)| (name.clone(), terms.into());
            plans.iter().map(view).collect()
        };
        Self::Catalog {
            issuer: catalog.issuer.clone(),
            product: catalog.product.clone(),
            revision: catalog.revision,
            issued_at: catalog.issued_at.seconds(),
            flags: (catalog.flags.iter())
                .map(|(code, entry)| (code.get(), name(entry)))
                .collect(),
            quotas: (catalog.quotas.iter())
                .map(|(code, (entry, period))| (code.get(), (name(entry), period.to_string())))
                .collect(),
            limits: (catalog.limits.iter())
                .map(|(code, entry)| (code.get(), name(entry)))
                .collect(),
            plans: plans(&catalog.plans),
            addons: plans(&catalog.addons),
        }
    }
}

/// What a machine's clock is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockView {
    /// `plausible`, `behind-signature`, `doubted` or `rolled-back`; after an import or a reset
    /// there is none.
    pub verdict: Option<String>,
    /// The time by which a license is judged at this reading.
    pub judged_at: Option<u64>,
    /// The observed floor afterwards.
    pub observed: Option<u64>,
    /// The signed floor afterwards.
    pub signed: u64,
}

impl ClockView {
    /// What a state says after a reading of the clock, or after something else.
    pub fn new(trust: &TrustState, reading: Option<(UnixTime, ClockVerdict)>) -> Self {
        let judged = |(now, _)| trust.effective_time(now).seconds();
        Self {
            verdict: reading.map(|(_, verdict)| verdict.name().into()),
            judged_at: reading.map(judged),
            observed: trust.observed_floor().map(UnixTime::seconds),
            signed: trust.signed_floor().seconds(),
        }
    }
}

/// A leaf of the log. Hashes are base64, as in the texts of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of phi_verify::log::Leaf")]
pub struct LeafView {
    pub word: String,
    pub subject: Option<String>,
    pub entry: String,
    /// The hash of the leaf in the tree.
    pub hash: String,
}

impl From<&Leaf> for LeafView {
    fn from(leaf: &Leaf) -> Self {
        Self {
            word: leaf.word.clone(),
            subject: leaf.subject.map(|hash| hash.to_string()),
            entry: leaf.entry.to_string(),
            hash: leaf.hash().to_string(),
        }
    }
}

/// A bundle that was split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleView {
    /// What the bundle says that its documents are.
    pub parts: Vec<String>,
    /// The tokens, each with the text of its proof.
    pub tokens: Vec<(String, Option<String>)>,
    /// The text of the consistency proof.
    pub growth: Option<String>,
}

impl From<&Bundle<'_>> for BundleView {
    fn from(bundle: &Bundle<'_>) -> Self {
        let token =
            |token: &BundledToken<'_>| (token.token().into(), token.proof().map(Into::into));
        Self {
            parts: bundle.parts().map(|part| part.to_string()).collect(),
            tokens: bundle.tokens().iter().map(token).collect(),
            growth: bundle.growth().map(Into::into),
        }
    }
}

/// A checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of phi_verify::log::Checkpoint"
)]
pub struct CheckpointView {
    pub origin: String,
    pub size: u64,
    pub root: String,
}

impl From<&Checkpoint> for CheckpointView {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin().into(),
            size: checkpoint.size(),
            root: checkpoint.root().to_string(),
        }
    }
}
