//! What the documents say: root, keyset, status, catalog and clock reset.

use std::collections::BTreeMap;

use phi_issuer::KeyScope;
use phi_verify::{
    Catalog, ClockReset, Form, KeyId, KeyState, Keyset, LicenseKey, Reason, RoleKeys, Root, Rule,
    Status, Subject, Terms, UnixTime,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Names, ScopeView, Stamp, TermsView, cell, counted, hex};
use crate::output::Page;

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
    /// When the next root should come, if that was said; nothing is refused after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_by: Option<Stamp>,
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
            refresh_by: root.refresh_by.map(Stamp::from),
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
        if let Some(time) = &self.refresh_by {
            page.field("refresh by", time);
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
    /// What it may sign; null is everything.
    pub(crate) scope: Option<ScopeView>,
    /// Of a key that was cut: how many events of the ledger, from the first, keep its tokens good,
    /// each with a proof.
    pub(crate) cut: Option<u64>,
    /// The key, as PASERK `k4.public`.
    pub(crate) public: String,
}

impl LicenseKeyView {
    /// What bounds it, in words.
    fn bounds(&self) -> String {
        let cut = self
            .cut
            .map(|cut| format!("its tokens of the first {cut} events"));
        let scope = self.scope.as_ref().map(|scope| scope.words.clone());
        let bounds: Vec<_> = scope.into_iter().chain(cut).collect();
        bounds.join("; ")
    }
}

/// The keys in the order in which they sign; those without a time last.
fn in_order(keyset: &Keyset) -> Vec<&LicenseKey> {
    let mut keys: Vec<_> = keyset.keys().iter().collect();
    keys.sort_by_key(|entry| match entry.state {
        KeyState::Active { from } | KeyState::Retired { from, .. } => from,
        KeyState::Staged | KeyState::Revoked { .. } => UnixTime::MAX,
    });
    keys
}

impl KeysetView {
    pub(crate) fn new(keyset: &Keyset) -> Self {
        let key = |entry: &LicenseKey| {
            let (from, until) = match entry.state {
                KeyState::Staged | KeyState::Revoked { .. } => (None, None),
                KeyState::Active { from } => (Some(from), None),
                KeyState::Retired { from, until } => (Some(from), Some(until)),
            };
            LicenseKeyView {
                key: entry.key.id().to_string(),
                state: entry.state.name().to_owned(),
                from: from.map(Stamp::from),
                until: until.map(Stamp::from),
                scope: (!entry.scope.is_unlimited())
                    .then(|| ScopeView::new(&KeyScope::from_wire(&entry.scope))),
                cut: entry.state.cut(),
                public: entry.key.to_paserk(),
            }
        };
        Self {
            issuer: keyset.issuer.clone(),
            version: keyset.version,
            issued_at: keyset.issued_at.into(),
            root_version: keyset.root_version,
            keys: in_order(keyset).into_iter().map(key).collect(),
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("version", self.version);
        page.field("made", &self.issued_at);
        page.field("root", format!("version {} at least", self.root_version));
        page.gap();
        let row = |key: &LicenseKeyView| {
            [
                key.key.clone(),
                key.state.clone(),
                cell(key.from.as_ref()),
                cell(key.until.as_ref()),
                key.bounds(),
            ]
        };
        let rows: Vec<_> = self.keys.iter().map(row).collect();
        let bounded = rows.iter().any(|row| !row[4].is_empty());
        let bounds = if bounded { "ONLY" } else { "" };
        page.table(["KEY", "STATE", "FROM", "UNTIL", bounds], &rows);
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
    /// What of it is in filters: what is revoked one by one, and in a delta what is not any more.
    pub(crate) sections: Vec<SectionView>,
    /// How many tokens are revoked one by one, where the filter tells: an exact list does. The
    /// list holds salted hashes, not ids.
    pub(crate) revoked_tokens: Option<usize>,
    /// What an earlier list had a rule for and this one has not.
    pub(crate) unrevoked: Vec<String>,
    /// Of a delta: the epoch of the full list that it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<u64>,
}

/// A filter of a list.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SectionView {
    /// `tokens` or `licenses`; in a delta also `tokens removed` and `licenses removed`.
    pub(crate) class: String,
    /// `exact`, `bloom`, `cascade` or `ribbon`.
    pub(crate) kind: String,
    /// Its size.
    pub(crate) bytes: usize,
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
    /// When nothing that it reaches is valid any more, and lists may leave it out; null is never.
    pub(crate) ends: Option<Stamp>,
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
            sections: sections(status),
            revoked_tokens: status.revoked.count_tokens(),
            unrevoked: status.unrevoked.iter().map(Subject::to_string).collect(),
            base: status.base().map(|base| base.epoch),
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
        if let Some(base) = self.base {
            page.field("delta", format!("to the full list of epoch {base}"));
        }
        let tokens = match self.revoked_tokens {
            Some(count) => counted(count, "token"),
            None => "tokens in a filter".into(),
        };
        page.field(
            "revoked",
            format!("{tokens}, {}", counted(self.rules.len(), "rule")),
        );
        for section in &self.sections {
            let SectionView { class, kind, bytes } = section;
            page.field("filter", format!("{class}: {kind}, {bytes} bytes"));
        }
        page.each("not any more", self.unrevoked.iter().cloned());
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

fn sections(status: &Status) -> Vec<SectionView> {
    let removed = match &status.form {
        Form::Full { .. } => None,
        Form::Delta { removed, .. } => Some(removed),
    };
    let all = [("", Some(&status.revoked)), (" removed", removed)];
    let mut sections = Vec::new();
    for (end, one) in all {
        let Some(one) = one else { continue };
        let filters = [("tokens", &one.tokens), ("licenses", &one.licenses)];
        for (class, filter) in filters {
            if let Some(filter) = filter {
                sections.push(SectionView {
                    class: format!("{class}{end}"),
                    kind: filter.kind().name().to_owned(),
                    bytes: filter.body().len(),
                });
            }
        }
    }
    sections
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
            ends: rule.ends.map(Stamp::from),
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
        let view =
            |kind: &str, code: u16, name: &phi_verify::Name, period: Option<&str>| NameView {
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
        let names = Names::of_catalog(catalog);
        let terms = |plans: &BTreeMap<String, Terms>| {
            plans
                .iter()
                .map(|(name, terms)| (name.clone(), TermsView::new(terms, &names)))
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

fn present(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// A clock-reset document.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClockResetView {
    /// The issuer's name.
    pub(crate) issuer: String,
    /// The installation that it is for.
    pub(crate) installation: String,
    /// By which it is told from others, in hexadecimal: it works once.
    pub(crate) nonce: String,
    /// The last second in which it can be used.
    pub(crate) not_after: Stamp,
    /// The time at which the clock begins again; null for the time at which it is read next.
    pub(crate) to: Option<Stamp>,
}

impl ClockResetView {
    pub(crate) fn new(reset: &ClockReset) -> Self {
        Self {
            issuer: reset.issuer.clone(),
            installation: reset.installation.to_string(),
            nonce: hex(&reset.nonce),
            not_after: reset.not_after.into(),
            to: reset.to.map(Stamp::from),
        }
    }

    pub(crate) fn show(&self, page: &mut Page) {
        page.field("issuer", &self.issuer);
        page.field("installation", &self.installation);
        page.field("nonce", &self.nonce);
        page.field("not after", &self.not_after);
        if let Some(to) = &self.to {
            page.field("begins at", to);
        }
    }
}
