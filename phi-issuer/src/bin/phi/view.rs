//! Verified and unverified objects as answers: the same keys and the same words wherever an
//! object is shown.

use std::collections::BTreeMap;

use phi_verify::{
    Allowance, Binding, Catalog, Claims, Extension, FlagCode, KeyId, KeyState, Keyset, LimitCode,
    Quota, QuotaCode, Reason, RoleKeys, Root, Rule, Status, Subject, Terms, UnixTime,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::Page;
use crate::when::{Length, distance};

/// A time as RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Stamp(#[schemars(extend("format" = "date-time"))] String);

impl From<UnixTime> for Stamp {
    fn from(time: UnixTime) -> Self {
        Self(time.to_string())
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

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
    /// The view of these claims, with names from the catalog.
    pub(crate) fn new(claims: &Claims, key: KeyId, catalog: Option<&Catalog>) -> Self {
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
            terms: TermsView::new(&claims.terms, catalog),
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
        _ => serde_json::Value::Null,
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    pub(crate) fn new(terms: &Terms, catalog: Option<&Catalog>) -> Self {
        let quota = |(code, quota): (&QuotaCode, &Quota)| {
            let name = catalog.and_then(|catalog| catalog.quotas.get(code));
            QuotaView {
                code: code.get(),
                name: name.map(|(name, _)| name.name.clone()),
                amount: amount(quota.allowance),
                period: quota.period.name().to_owned(),
                unit: name.and_then(|(name, _)| present(&name.unit)),
            }
        };
        let limit = |(code, allowance): (&LimitCode, &Allowance)| {
            let name = catalog.and_then(|catalog| catalog.limits.get(code));
            LimitView {
                code: code.get(),
                name: name.map(|name| name.name.clone()),
                amount: amount(*allowance),
                unit: name.and_then(|name| present(&name.unit)),
            }
        };
        Self {
            flags: flags(terms.flags.iter(), catalog),
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
pub(crate) fn flags(
    flags: impl Iterator<Item = FlagCode>,
    catalog: Option<&Catalog>,
) -> Vec<FlagView> {
    let view = |code: FlagCode| FlagView {
        code: code.get(),
        name: catalog
            .and_then(|catalog| catalog.flags.get(&code))
            .map(|name| name.name.clone()),
    };
    flags.map(view).collect()
}

/// How many flags, and which.
pub(crate) fn show_flags(label: &str, flags: &[FlagView], page: &mut Page) {
    if flags.is_empty() {
        page.field(label, "none");
        return;
    }
    let names: Vec<String> = flags
        .iter()
        .map(|flag| called(flag.name.as_deref(), flag.code))
        .collect();
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

fn present(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
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
    fn new(binding: &Binding) -> Self {
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

/// A root document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RootView {
    /// The issuer's name.
    pub(crate) issuer: String,
    /// Its place in the chain of roots.
    pub(crate) version: u64,
    /// When it was made.
    pub(crate) issued_at: Stamp,
    /// Keys and threshold by role.
    pub(crate) roles: BTreeMap<String, RoleView>,
    /// The oldest keyset version that is still good; 0 is no floor.
    pub(crate) keyset_floor: u64,
    /// The oldest status epoch that is still good; 0 is no floor.
    pub(crate) status_floor: u64,
}

/// The keys of a role.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RoleView {
    /// How many must sign.
    pub(crate) threshold: usize,
    /// The keys, as PASERK `k4.public`, by id.
    pub(crate) keys: BTreeMap<String, String>,
}

impl RootView {
    pub(crate) fn new(root: &Root) -> Self {
        let roles = [
            ("root", &root.root),
            ("keyset", &root.keyset),
            ("status", &root.status),
            ("ledger", &root.ledger),
        ];
        Self {
            issuer: root.issuer.clone(),
            version: root.version,
            issued_at: root.issued_at.into(),
            roles: roles
                .into_iter()
                .map(|(role, keys)| (role.to_owned(), RoleView::new(keys)))
                .collect(),
            keyset_floor: root.floors.keyset,
            status_floor: root.floors.status,
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("version", self.version);
        page.field("made", &self.issued_at);
        for role in ["root", "keyset", "status", "ledger"] {
            let Some(keys) = self.roles.get(role) else {
                continue;
            };
            let ids: Vec<&str> = keys.keys.keys().map(String::as_str).collect();
            let line = format!("{} of {}: {}", keys.threshold, ids.len(), ids.join(", "));
            page.field(&format!("{role} keys"), line);
        }
        if self.keyset_floor > 0 || self.status_floor > 0 {
            page.field(
                "floors",
                format!(
                    "keyset version {}, status epoch {}",
                    self.keyset_floor, self.status_floor
                ),
            );
        }
    }
}

impl RoleView {
    fn new(keys: &RoleKeys) -> Self {
        let entry = |key: &phi_verify::PublicKey| (key.id().to_string(), key.to_paserk());
        Self {
            threshold: keys.threshold(),
            keys: keys.keys().iter().map(entry).collect(),
        }
    }
}

/// A keyset.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeysetView {
    /// The issuer's name.
    pub(crate) issuer: String,
    /// Rises with every change.
    pub(crate) version: u64,
    /// When it was made.
    pub(crate) issued_at: Stamp,
    /// The root version that it needs.
    pub(crate) root_version: u64,
    /// The license keys.
    pub(crate) keys: Vec<LicenseKeyView>,
}

/// A license key in a keyset.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LicenseKeyView {
    /// Its id.
    pub(crate) key: String,
    /// `staged`, `active`, `retired` or `revoked`.
    pub(crate) state: String,
    /// The first time of issue that is accepted.
    pub(crate) from: Option<Stamp>,
    /// The first time of issue that is no longer accepted.
    pub(crate) until: Option<Stamp>,
    /// The key, as PASERK `k4.public`.
    pub(crate) public: String,
}

impl KeysetView {
    pub(crate) fn new(keyset: &Keyset) -> Self {
        let key = |entry: &phi_verify::LicenseKey| {
            let (from, until) = match entry.state {
                KeyState::Staged | KeyState::Revoked => (None, None),
                KeyState::Active { from } => (Some(from), None),
                KeyState::Retired { from, until } => (Some(from), Some(until)),
            };
            LicenseKeyView {
                key: entry.key.id().to_string(),
                state: entry.state.name().to_owned(),
                from: from.map(Stamp::from),
                until: until.map(Stamp::from),
                public: entry.key.to_paserk(),
            }
        };
        Self {
            issuer: keyset.issuer.clone(),
            version: keyset.version,
            issued_at: keyset.issued_at.into(),
            root_version: keyset.root_version,
            keys: keyset.keys().iter().map(key).collect(),
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("version", self.version);
        page.field("made", &self.issued_at);
        page.field("root", format!("version {} at least", self.root_version));
        page.gap();
        let text = |stamp: &Option<Stamp>| stamp.as_ref().map(Stamp::to_string).unwrap_or_default();
        let row = |key: &LicenseKeyView| {
            [
                key.key.clone(),
                key.state.clone(),
                text(&key.from),
                text(&key.until),
            ]
        };
        let rows: Vec<_> = self.keys.iter().map(row).collect();
        page.table(["KEY", "STATE", "FROM", "UNTIL"], &rows);
    }
}

/// A status document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct StatusView {
    /// The issuer's name.
    pub(crate) issuer: String,
    /// Rises with every publication.
    pub(crate) epoch: u64,
    /// When the list was made.
    pub(crate) this_update: Stamp,
    /// When the next is due.
    pub(crate) next_update: Stamp,
    /// When the list is no longer good for anything but what it revokes.
    pub(crate) hard_expiry: Stamp,
    /// The keyset version that was the newest.
    pub(crate) keyset_version: u64,
    /// The license keys whose tokens the list knows.
    pub(crate) covered_keys: Vec<String>,
    /// What is revoked whole.
    pub(crate) rules: Vec<RuleView>,
    /// How many tokens are revoked one by one. The list holds salted hashes, not ids.
    pub(crate) revoked_tokens: usize,
}

/// The revocation of all that one name covers.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct RuleView {
    /// `license`, `customer`, `key` or `feature`.
    pub(crate) class: String,
    /// The id; for a customer a salted hash, for a feature `product/code`.
    pub(crate) subject: String,
    /// Only what was issued before this time; null is everything.
    pub(crate) issued_before: Option<Stamp>,
    /// Why.
    pub(crate) reason: String,
    /// When it was revoked.
    pub(crate) since: Stamp,
}

impl StatusView {
    pub(crate) fn new(status: &Status) -> Self {
        Self {
            issuer: status.issuer.clone(),
            epoch: status.epoch,
            this_update: status.this_update.into(),
            next_update: status.next_update.into(),
            hard_expiry: status.hard_expiry.into(),
            keyset_version: status.keyset.0,
            covered_keys: status.covered_keys.iter().map(KeyId::to_string).collect(),
            rules: status.rules.iter().map(RuleView::new).collect(),
            revoked_tokens: status.tokens.len(),
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("epoch", self.epoch);
        page.field("made", &self.this_update);
        page.field("next due", &self.next_update);
        page.field("hard expiry", &self.hard_expiry);
        page.field("keyset", format!("version {}", self.keyset_version));
        page.field(
            "covers",
            format!("tokens of keys {}", self.covered_keys.join(", ")),
        );
        page.field("revoked", revoked(self.revoked_tokens, self.rules.len()));
        if self.rules.is_empty() {
            return;
        }
        page.gap();
        let row = |rule: &RuleView| {
            let before = rule
                .issued_before
                .as_ref()
                .map_or("all".into(), Stamp::to_string);
            [
                rule.class.clone(),
                rule.subject.clone(),
                before,
                rule.reason.clone(),
                rule.since.to_string(),
            ]
        };
        let rows: Vec<_> = self.rules.iter().map(row).collect();
        page.table(
            ["REVOKED", "SUBJECT", "ISSUED BEFORE", "REASON", "SINCE"],
            &rows,
        );
    }
}

fn revoked(tokens: usize, rules: usize) -> String {
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    format!("{}, {}", plural(tokens, "token"), plural(rules, "rule"))
}

impl RuleView {
    fn new(rule: &Rule) -> Self {
        let subject = match &rule.subject {
            Subject::License(id) => id.to_string(),
            Subject::Customer(hash) => hex(hash),
            Subject::Key(id) => id.to_string(),
            Subject::Feature(product, code) => format!("{product}/{code}"),
        };
        Self {
            class: rule.subject.class().name().to_owned(),
            subject,
            issued_before: rule.issued_before.map(Stamp::from),
            reason: Reason::name(rule.reason).to_owned(),
            since: rule.since.into(),
        }
    }
}

/// A catalog.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CatalogView {
    /// The issuer's name.
    pub(crate) issuer: String,
    /// The product.
    pub(crate) product: String,
    /// Rises with every change.
    pub(crate) revision: u64,
    /// When it was made.
    pub(crate) issued_at: Stamp,
    /// What the codes are called.
    pub(crate) names: Vec<NameView>,
    /// What each plan grants.
    pub(crate) plans: BTreeMap<String, TermsView>,
    /// What each add-on adds.
    pub(crate) addons: BTreeMap<String, TermsView>,
}

/// What a code is called.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NameView {
    /// `flag`, `quota` or `limit`.
    pub(crate) kind: String,
    /// The code.
    pub(crate) code: u16,
    /// The name.
    pub(crate) name: String,
    /// What it means, for people.
    pub(crate) title: String,
    /// What is counted or held.
    pub(crate) unit: Option<String>,
    /// When a quota starts anew.
    pub(crate) period: Option<String>,
}

impl CatalogView {
    pub(crate) fn new(catalog: &Catalog) -> Self {
        let view = |kind: &str, code: u16, name: &phi_verify::Name, period: Option<&str>| NameView {
            kind: kind.to_owned(),
            code,
            name: name.name.clone(),
            title: name.title.clone(),
            unit: present(&name.unit),
            period: period.map(ToOwned::to_owned),
        };
        let flags = catalog.flags.iter();
        let quotas = catalog.quotas.iter();
        let limits = catalog.limits.iter();
        let terms = |plans: &BTreeMap<String, Terms>| {
            plans
                .iter()
                .map(|(name, terms)| (name.clone(), TermsView::new(terms, Some(catalog))))
                .collect()
        };
        Self {
            issuer: catalog.issuer.clone(),
            product: catalog.product.clone(),
            revision: catalog.revision,
            issued_at: catalog.issued_at.into(),
            names: flags
                .map(|(code, name)| view("flag", code.get(), name, None))
                .chain(quotas.map(|(code, (name, period))| {
                    view("quota", code.get(), name, Some(period.name()))
                }))
                .chain(limits.map(|(code, name)| view("limit", code.get(), name, None)))
                .collect(),
            plans: terms(&catalog.plans),
            addons: terms(&catalog.addons),
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("product", &self.product);
        page.field("revision", self.revision);
        page.field("made", &self.issued_at);
        page.gap();
        let row = |name: &NameView| {
            let kind = match &name.period {
                Some(period) => format!("{} per {period}", name.kind),
                None => name.kind.clone(),
            };
            [
                kind,
                name.code.to_string(),
                name.name.clone(),
                name.title.clone(),
            ]
        };
        let rows: Vec<_> = self.names.iter().map(row).collect();
        page.table(["KIND", "CODE", "NAME", "TITLE"], &rows);
        let offers = |word: &'static str, offers: &BTreeMap<String, TermsView>, page: &mut Page| {
            for (name, terms) in offers {
                page.gap();
                page.line(&format!("{word} {name}"));
                terms.show(page);
            }
        };
        offers("plan", &self.plans, page);
        offers("add-on", &self.addons, page);
    }
}

/// A time and how far it is.
pub(crate) fn near(now: UnixTime, time: UnixTime) -> String {
    format!("{time} ({})", distance(now, time))
}
