//! Every kind of event in one line, for people.

use phi_issuer::when::Length;
use phi_issuer::{
    Customer, Event, Issuance, LicenseChange, MintedToken, Publication, Revocation, Subject,
    Unrevocation,
};
use phi_verify::{Allowance, DocumentKind, UnixTime};

use super::{counted, scope_words};
use crate::license::{detail, done};

/// What happened, in one line. What is about a license does not name it: its id stands beside
/// the line.
pub(crate) fn summary(event: &Event) -> String {
    match event {
        Event::IssuerCreated { issuer } => format!("the issuer {issuer} began"),
        Event::KeyAdded {
            role,
            public,
            from,
            holder,
            scope,
        } => {
            let from = from.map_or("staged".into(), |from| format!("signs from {from}"));
            let holder = holder.as_ref().map(|name| format!(" of {name}"));
            let scope = scope.as_ref().map(scope_words);
            let scope = scope.map(|scope| format!(", for {scope}"));
            let (holder, scope) = (holder.unwrap_or_default(), scope.unwrap_or_default());
            let (role, id) = (role.name(), public.id());
            format!("{role} key {id}{holder} added, {from}{scope}")
        }
        Event::KeyActivated { key_id, from } => format!("key {key_id} signs from {from}"),
        Event::KeyRetired { key_id, until } => format!("key {key_id} signs until {until}"),
        Event::KeyProlonged { key_id, until } => match until {
            Some(until) => format!("key {key_id} signs for longer, until {until}"),
            None => format!("key {key_id} signs on, without an end"),
        },
        Event::KeyDropped { key_id } => format!("key {key_id} left the keyset"),
        Event::KeyExported { key_id, to } if to.is_empty() => {
            format!("key {key_id} given out under a passphrase")
        }
        Event::KeyExported { key_id, to } => {
            format!("key {key_id} given out to {}", to.join(", "))
        }
        Event::CatalogRecorded { revision, .. } => {
            let plans = counted(revision.plans().len(), "plan");
            let (product, number) = (revision.product(), revision.number());
            format!("catalog of {product}, revision {number}, with {plans}")
        }
        Event::CustomerAdded { customer } => format!("{} added", named(customer)),
        Event::CustomerChanged { customer } => format!("now {}", named(customer)),
        Event::LicenseDrafted { license } => format!("drafted: {}", issuance(license)),
        Event::LicenseIssued { license } => format!("issued: {}", issuance(license)),
        Event::TrialStarted { license } => format!("trial: {}", issuance(license)),
        Event::LicenseChanged(change) => changed(change),
        Event::TokenMinted(token) => minted(token),
        Event::Revoked(revocation) => revoked(revocation),
        Event::Unrevoked(unrevocation) => unrevoked(unrevocation),
        Event::DocumentPublished(publication) => published(publication),
        Event::CheckpointSigned(checkpoint) => {
            let events = usize::try_from(checkpoint.size).unwrap_or(usize::MAX);
            format!("the first {} signed", counted(events, "event"))
        }
        Event::ClockResetIssued(reset) => {
            let (installation, until) = (reset.installation, reset.not_after);
            let to = reset.to.map(|to| format!(", which then begins at {to}"));
            let to = to.unwrap_or_default();
            format!("installation {installation} may reset its clock until {until}{to}")
        }
        Event::ClockCorrected { newest } => {
            format!("the clock was ahead at {newest}; this is the right time")
        }
        // The library may have learnt another.
        other => other.name().replace('-', " "),
    }
}

fn named(customer: &Customer) -> String {
    let kind = customer.kind.name();
    match customer.name.as_str() {
        "" => format!("{kind} {}", customer.id),
        name => format!("{kind} {}, \"{name}\"", customer.id),
    }
}

fn issuance(license: &Issuance) -> String {
    let order = &license.order;
    let mut parts = vec![format!(
        "plan {} of {} for {}",
        order.plan, order.product, order.customer
    )];
    parts.extend(order.addons.iter().map(|name| format!("add-on {name}")));
    let overrides = &order.overrides;
    parts.extend(overrides.flags.iter().map(|name| format!("flag {name}")));
    parts.extend(overrides.without.iter().map(|name| format!("no {name}")));
    parts.extend(overrides.quotas.iter().map(|pair| amount("quota", pair)));
    parts.extend(overrides.limits.iter().map(|pair| amount("limit", pair)));
    parts.extend(order.not_before.map(|begins| format!("begins {begins}")));
    parts.push(expiry(order.expires));
    if order.grace > 0 {
        parts.push(format!("grace {}", Length(order.grace)));
    }
    let age = order.max_status_age;
    parts.extend(age.map(|age| format!("status age at most {}", Length(age))));
    let texts = order.extensions.keys();
    parts.extend(texts.map(|number| format!("extension {number}")));
    let earlier = license.supersedes;
    parts.extend(earlier.map(|earlier| format!("takes the place of {earlier}")));
    parts.join(", ")
}

fn changed(change: &LicenseChange) -> String {
    let act = done(change.change.act());
    let what = match detail(&change.change).as_str() {
        "" => act.to_owned(),
        detail => format!("{act}: {detail}"),
    };
    match change.effective {
        Some(effective) => format!("from {effective} on {what}"),
        None => what,
    }
}

fn minted(token: &MintedToken) -> String {
    let MintedToken {
        token_id, key_id, ..
    } = token;
    let expiry = expiry(token.expires);
    format!("token {token_id} under key {key_id}, {expiry}")
}

fn revoked(revocation: &Revocation) -> String {
    let reason = revocation.reason.name();
    let subject = &revocation.subject;
    let (class, id) = (subject.class().name(), subject.id());
    if let Some(cut) = revocation.cut {
        return format!("{class} {id} revoked from event {} on: {reason}", cut + 1);
    }
    match (subject, revocation.issued_before) {
        (_, None) => format!("{class} {id} revoked: {reason}"),
        (Subject::License(_), Some(before)) => {
            format!("its tokens of before {before} revoked: {reason}")
        }
        (_, Some(before)) => {
            format!("the tokens of {class} {id} of before {before} revoked: {reason}")
        }
    }
}

fn unrevoked(unrevocation: &Unrevocation) -> String {
    let subject = &unrevocation.subject;
    let what = format!(
        "{} {} is not revoked any more",
        subject.class(),
        subject.id()
    );
    match unrevocation.keeps {
        None => what,
        Some(seq) => format!("{what}; the cut-off of event {seq} stays"),
    }
}

fn published(publication: &Publication) -> String {
    let version = publication.version;
    match publication.kind {
        DocumentKind::Root => format!("root document, version {version}"),
        DocumentKind::Keyset => format!("keyset, version {version}"),
        DocumentKind::Status => format!("status list, epoch {version}"),
        DocumentKind::Catalog => {
            format!("catalog of {}, revision {version}", publication.product)
        }
        DocumentKind::ClockReset => format!("clock reset, version {version}"),
    }
}

fn amount(kind: &str, (name, allowance): (&String, &Allowance)) -> String {
    format!("{kind} {name} {allowance}")
}

fn expiry(expires: Option<UnixTime>) -> String {
    expires.map_or("never expires".into(), |time| format!("expires {time}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use phi_issuer::{Amendment, Change, CustomerKind, NewLicense, SignedCheckpoint};
    use phi_verify::{LicenseId, Reason, TokenId};

    use super::*;

    #[track_caller]
    fn check(event: &Event, expected: &str) {
        assert_eq!(summary(event), expected);
    }

    fn time(seconds: u64) -> UnixTime {
        UnixTime::new(seconds).unwrap()
    }

    fn change(effective: Option<UnixTime>, change: Change) -> Event {
        Event::LicenseChanged(LicenseChange {
            license: LicenseId::from_bytes([1; 8]),
            revision: 2,
            effective,
            change,
        })
    }

    #[test]
    fn an_issuance_says_all_that_was_ordered() {
        let mut order = NewLicense::new("globex", "atlas", "pro");
        order.addons = vec!["seats".into()];
        order.overrides.flags.insert("sso".into());
        order.overrides.without.insert("audit_log".into());
        order.overrides.quotas = [("calls".into(), Allowance::Limited(5))].into();
        order.overrides.limits = [("nodes".into(), Allowance::Unlimited)].into();
        order.not_before = Some(time(86_400));
        order.grace = 3_600;
        order.max_status_age = Some(86_400);
        order.extensions = BTreeMap::from([(-1, "blue".into())]);
        let license = Issuance {
            id: LicenseId::from_bytes([1; 8]),
            revision: 1,
            issued_at: time(0),
            catalog_revision: 1,
            supersedes: Some(LicenseId::from_bytes([2; 8])),
            order,
        };
        check(
            &Event::LicenseIssued { license },
            "issued: plan pro of atlas for globex, add-on seats, flag sso, no audit_log, quota calls \
             5, limit nodes unlimited, begins 1970-01-02T00:00:00Z, never expires, grace 1h, status \
             age at most 1d, extension -1, takes the place of 0202020202020202",
        );
    }

    #[test]
    fn an_amendment_says_what_changes_and_when() {
        let amendment = Amendment {
            plan: Some("pro".into()),
            ..Amendment::default()
        };
        let amend = Change::Amend {
            catalog_revision: 1,
            amendment,
        };
        check(&change(None, amend.clone()), "amended: plan pro");
        check(
            &change(Some(time(0)), amend),
            "from 1970-01-01T00:00:00Z on amended: plan pro",
        );
    }

    #[test]
    fn other_events_are_told_apart() {
        check(
            &change(None, Change::Suspend { voids: vec![] }),
            "suspended",
        );
        check(
            &change(None, Change::Suspend { voids: vec![2] }),
            "suspended: voids the reinstatement of revision 2",
        );
        let license = LicenseId::from_bytes([2; 8]);
        let revoked = |subject, issued_before| {
            Event::Revoked(Revocation {
                subject,
                issued_before,
                reason: Reason::Refund,
                since: time(0),
                cut: None,
            })
        };
        check(
            &revoked(Subject::Token(TokenId::from_bytes([3; 16])), None),
            "token 03030303030303030303030303030303 revoked: refund",
        );
        check(
            &revoked(Subject::Customer("globex".into()), Some(time(0))),
            "the tokens of customer globex of before 1970-01-01T00:00:00Z revoked: refund",
        );
        check(
            &revoked(Subject::License(license), Some(time(0))),
            "its tokens of before 1970-01-01T00:00:00Z revoked: refund",
        );
        let customer = Customer {
            id: "globex".into(),
            kind: CustomerKind::Organization,
            name: "Globex Corporation".into(),
        };
        check(
            &Event::CustomerAdded { customer },
            "organization globex, \"Globex Corporation\" added",
        );
        let note = String::new();
        check(
            &Event::CheckpointSigned(SignedCheckpoint { size: 1, note }),
            "the first 1 event signed",
        );
    }
}
