//! The list that the ledger makes at a moment, but for its filters: times, coverage, rules, and
//! what an earlier list had a rule for and this one has not.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use phi_verify::{
    DocumentKind, FlagCode, Form, KeyId, LicenseId, PayloadHash, Reason, Rule, RuleClass, Sections,
    Status, StatusLists, Subject as WireSubject, UnixTime,
};

use super::{Settled, decoded, gate::Ended};
use crate::{
    Settings,
    error::Error,
    event::{Publication, Revocation, Subject},
    keys,
    publish::payload_hash,
    store::{Query, TokenRow},
};

/// Whole licenses that stand in rules; where there are more they all go into a section, which
/// takes one to two bytes each instead of thirty, and has no reasons.
pub(super) const MAX_LICENSE_RULES: usize = 4096;

const DAY: u64 = 24 * 60 * 60;

/// How long after its end a token stays in the lists: an application whose clock was set back
/// still takes it for valid.
pub(super) fn stays(settings: &Settings) -> u64 {
    DAY + u64::from(settings.status.retention_days) * DAY
}

/// What is revoked whole, with what is known of the tokens that it reaches.
#[derive(Default)]
pub(super) struct Whole {
    rules: Vec<WholeRule>,
    licenses: HashMap<LicenseId, Vec<usize>>,
    customers: HashMap<String, Vec<usize>>,
    /// Features by their product.
    products: HashMap<String, Vec<usize>>,
}

struct WholeRule {
    subject: Subject,
    issued_before: Option<UnixTime>,
    reason: Reason,
    since: UnixTime,
    latest: Latest,
}

/// When the last of some tokens ends.
#[derive(Clone, Copy)]
enum Latest {
    At(UnixTime),
    Never,
}

impl Whole {
    /// What the ledger revokes whole and a list says: not the cut of a key, which is the keyset's,
    /// and not the revocation of a key that has left the keyset.
    pub(super) fn of(query: &Query<'_>, now: UnixTime) -> Result<Self, Error> {
        let gone: BTreeSet<KeyId> = query
            .keys()?
            .iter()
            .filter(|row| row.dropped)
            .map(|row| row.public.id())
            .collect();
        let mut whole = Self::default();
        for revocation in query.revocations()? {
            let stands = match &revocation.subject {
                Subject::Token(_) => false,
                Subject::Key(id) => revocation.cut.is_none() && !gone.contains(id),
                _ => true,
            };
            if stands {
                whole.add(revocation);
            }
        }
        for license in query.suspended(now)? {
            whole.add(Revocation {
                subject: Subject::License(license.id),
                issued_before: None,
                reason: Reason::Suspended,
                since: license.since(now),
                cut: None,
            });
        }
        Ok(whole)
    }

    fn add(&mut self, revocation: Revocation) {
        let place = self.rules.len();
        match &revocation.subject {
            Subject::License(id) => self.licenses.entry(*id).or_default().push(place),
            Subject::Customer(id) => self.customers.entry(id.clone()).or_default().push(place),
            Subject::Feature { product, .. } => {
                self.products
                    .entry(product.clone())
                    .or_default()
                    .push(place);
            }
            Subject::Token(_) | Subject::Key(_) => {}
        }
        self.rules.push(WholeRule {
            subject: revocation.subject,
            issued_before: revocation.issued_before,
            reason: revocation.reason,
            since: revocation.since,
            latest: Latest::At(revocation.since),
        });
    }

    /// Takes note of a token: what reaches it cannot end before it.
    pub(super) fn see(&mut self, token: &TokenRow) {
        let places = [
            self.licenses.get(&token.license),
            self.customers.get(&token.customer),
            self.products.get(&token.product),
        ];
        for place in places.into_iter().flatten().flatten() {
            let rule = &mut self.rules[*place];
            if rule
                .issued_before
                .is_none_or(|before| token.issued_at < before)
            {
                rule.latest = match (rule.latest, token.ends) {
                    (Latest::At(latest), Some(ends)) => Latest::At(latest.max(ends)),
                    _ => Latest::Never,
                };
            }
        }
    }

    /// The rules that have not ended, and the licenses that stand in a section instead. What the
    /// list before said of a rule's end stands: applications hold it to that.
    pub(super) fn settle(
        self,
        status: &Status,
        stays: u64,
        before: Option<&Status>,
    ) -> (Vec<Rule>, Vec<LicenseId>) {
        let said = Said::of(before);
        let now = status.this_update;
        let mut rules = Vec::new();
        let mut licenses = Vec::new();
        for rule in self.rules {
            let ends = said.end(&rule, rule.ends(now, stays));
            if ends.is_some_and(|ends| ends <= now) {
                continue;
            }
            if let Subject::License(id) = rule.subject
                && rule.issued_before.is_none()
                && rule.reason != Reason::Suspended
            {
                licenses.push((id, rules.len()));
            }
            rules.push(Rule {
                subject: on_wire(&rule.subject, status),
                issued_before: rule.issued_before,
                reason: rule.reason,
                since: rule.since,
                ends,
            });
        }
        if licenses.len() <= MAX_LICENSE_RULES {
            return (rules, Vec::new());
        }
        let places: BTreeSet<_> = licenses.iter().map(|(_, place)| *place).collect();
        let rules = rules.into_iter().enumerate();
        let rules = rules.filter(|(place, _)| !places.contains(place));
        (
            rules.map(|(_, rule)| rule).collect(),
            licenses.into_iter().map(|(id, _)| id).collect(),
        )
    }
}

/// What the list before says of the ends of its rules.
struct Said<'a> {
    list: Option<&'a Status>,
    rules: BTreeMap<&'a WireSubject, Vec<&'a Rule>>,
}

impl<'a> Said<'a> {
    fn of(list: Option<&'a Status>) -> Self {
        let mut rules: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for rule in list.iter().flat_map(|list| &list.rules) {
            rules.entry(&rule.subject).or_default().push(rule);
        }
        Self { list, rules }
    }

    /// The later of this end and those of the rules that the rule goes on.
    fn end(&self, rule: &WholeRule, ends: Option<UnixTime>) -> Option<UnixTime> {
        let Some(list) = self.list else {
            return ends;
        };
        let earlier = self.rules.get(&on_wire(&rule.subject, list));
        let goes_on = |earlier: &&&Rule| {
            rule.issued_before
                .is_none_or(|to| earlier.issued_before.is_some_and(|from| from <= to))
        };
        let earlier = earlier.into_iter().flatten().filter(goes_on);
        earlier.fold(ends, |ends, earlier| Some(ends?.max(earlier.ends?)))
    }
}

impl WholeRule {
    /// From when on no token that the rule reaches can be accepted, nor one be minted that it
    /// would reach.
    fn ends(&self, now: UnixTime, stays: u64) -> Option<UnixTime> {
        let open = match self.subject {
            // Whoever stole a key signs what never ends.
            Subject::Key(_) => true,
            // Of a product tokens are minted on, and those of before the cut-off are.
            Subject::Feature { .. } => self.issued_before.is_none_or(|before| before > now),
            _ => false,
        };
        match self.latest {
            Latest::At(latest) if !open => Some(latest.plus(stays)),
            _ => None,
        }
    }
}

/// A subject as this list names it.
pub(super) fn on_wire(subject: &Subject, status: &Status) -> WireSubject {
    match subject {
        Subject::License(id) => WireSubject::License(*id),
        Subject::Customer(id) => WireSubject::Customer(status.customer_hash(id)),
        Subject::Key(id) => WireSubject::Key(*id),
        Subject::Feature { product, code } => {
            WireSubject::Feature(product.clone(), FlagCode::new(*code))
        }
        Subject::Token(_) => unreachable!("tokens stand in sections"),
    }
}

/// The license keys in the keyset: whose tokens a list knows.
pub(super) fn covered_keys(query: &Query<'_>) -> Result<Vec<KeyId>, Error> {
    let keys = keys::license_keys(query)?;
    let mut ids: Vec<_> = keys.iter().map(|entry| entry.key.id()).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// A full list that says nothing yet: who made it when, and for which tokens it can speak.
pub(super) fn begin(
    query: &Query<'_>,
    settings: &Settings,
    salt: [u8; 16],
    now: UnixTime,
) -> Result<Status, Error> {
    let keyset = query
        .newest(DocumentKind::Keyset, "")?
        .ok_or_else(|| Error::NotFound {
            what: "published document of kind",
            name: DocumentKind::Keyset.to_string(),
            hint: "run `phi keyset publish`",
        })?;
    let held = query.newest(DocumentKind::Status, "")?;
    let covered_keys = covered_keys(query)?;
    let times = settings.status;
    let after = |days: u32| now.plus(u64::from(days) * DAY);
    Ok(Status {
        issuer: settings.issuer.clone(),
        epoch: held.as_ref().map_or(1, |held| held.version + 1),
        this_update: now,
        next_update: after(times.next_update_days),
        hard_expiry: after(times.hard_expiry_days),
        keyset: (keyset.version, payload_hash(&keyset)?),
        form: Form::Full {
            previous: held.as_ref().map(payload_hash).transpose()?,
            salt,
        },
        covered_keys,
        rules: Vec::new(),
        revoked: Sections::default(),
        unrevoked: Vec::new(),
    })
}

/// The rules of the list before whose subjects the ledger does not know, and that have not ended:
/// what was lost with a store stays revoked, and nobody can take it back.
pub(super) fn strangers(
    query: &Query<'_>,
    before: &Status,
    list: &Status,
) -> Result<Vec<Rule>, Error> {
    let customers = customer_hashes(query, before)?;
    let mut strange = Vec::new();
    for rule in &before.rules {
        let known = match &rule.subject {
            WireSubject::License(id) => query.license(*id)?.is_some(),
            WireSubject::Customer(hash) => customers.contains(hash),
            WireSubject::Key(id) => query.entry_of_key(*id)?.is_some(),
            // A catalog is never lost: a store that lacks one is not taken up.
            WireSubject::Feature(..) => true,
        };
        if !known && rule.ends.is_none_or(|ends| ends > list.this_update) {
            strange.push(rule.clone());
        }
    }
    Ok(strange)
}

/// Whether the list revokes customers whom the ledger does not know. Their names are lost: they
/// can only be named as they were, under the same salt.
pub(super) fn names_strangers(query: &Query<'_>, list: &Status) -> Result<bool, Error> {
    let customers = customer_hashes(query, list)?;
    Ok(list.rules.iter().any(|rule| match &rule.subject {
        WireSubject::Customer(hash) => !customers.contains(hash),
        _ => false,
    }))
}

/// The customers of the ledger as the list names them, if it names any.
pub(super) fn customer_hashes(
    query: &Query<'_>,
    list: &Status,
) -> Result<BTreeSet<[u8; 16]>, Error> {
    let names = |rule: &Rule| rule.subject.class() == RuleClass::Customer;
    if !list.rules.iter().any(names) {
        return Ok(BTreeSet::new());
    }
    let customers = query.customers()?.into_iter();
    Ok(customers
        .map(|customer| list.customer_hash(&customer.id))
        .collect())
}

/// What earlier lists had a rule for and this one has not, or not as wide: what the list before
/// said of those before it, and what an event has brought back since. `stay` is the time since which tokens
/// have ended that are in the list still.
pub(super) fn unrevoked(
    query: &Query<'_>,
    list: &Status,
    ended: &Ended,
    stay: UnixTime,
) -> Result<Vec<WireSubject>, Error> {
    let Some(before) = query.full_list(list.epoch - 1)? else {
        return Ok(Vec::new());
    };
    let before = decoded(&before)?;
    let lists = StatusLists::new(list, None).map_err(Error::NotVerified)?;
    let missing = lists.missing(&before, None).map(|rule| &rule.subject);
    let by_event = missing.filter(|subject| ended.says(subject));
    let mut found: BTreeSet<_> = by_event.cloned().collect();
    // A section does not name its licenses: they are found by their events.
    if before.revoked.licenses.is_some() {
        for unrevocation in query.unrevoked_since(query.seq_of_list(before.epoch)?)? {
            if let Subject::License(id) = unrevocation.subject {
                found.insert(WireSubject::License(id));
            }
        }
    }
    found.extend(before.unrevoked);
    // A customer stands in every list under another salt; a key that is gone left the keyset too.
    found.retain(|subject| matches!(subject, WireSubject::License(_) | WireSubject::Feature(..)));
    for rule in &list.rules {
        if rule.issued_before.is_none() {
            found.remove(&rule.subject);
        }
    }
    for subject in over(query, list, stay, &found)? {
        found.remove(&subject);
    }
    Ok(found.into_iter().collect())
}

/// Those of which every rule has ended that a list ever had. The lists are read only where a
/// license has had neither tokens nor events for long enough.
fn over(
    query: &Query<'_>,
    list: &Status,
    stay: UnixTime,
    subjects: &BTreeSet<WireSubject>,
) -> Result<BTreeSet<WireSubject>, Error> {
    let mut over = BTreeSet::new();
    for subject in subjects {
        let WireSubject::License(id) = subject else {
            continue;
        };
        let live = query.count_live_tokens(&Subject::License(*id), stay, None)? > 0;
        if !live
            && query
                .trail_of_license(*id)?
                .iter()
                .all(|entry| entry.time <= stay)
        {
            over.insert(subject.clone());
        }
    }
    let mut epoch = list.epoch;
    while epoch > 1 && !over.is_empty() {
        epoch -= 1;
        let Some(earlier) = query.full_list(epoch)? else {
            break;
        };
        for rule in decoded(&earlier)?.rules {
            if rule.ends.is_none_or(|ends| ends > list.this_update) {
                over.remove(&rule.subject);
            }
        }
    }
    Ok(over)
}

/// A list that was published, with the hash of its payload.
pub(super) fn settled(publication: &Publication) -> Result<Settled, Error> {
    let hash: PayloadHash = payload_hash(publication)?;
    let status = decoded(publication)?;
    Ok(Settled { status, hash })
}
