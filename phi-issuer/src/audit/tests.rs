use phi_verify::Reason;

use super::*;
use crate::{
    Amendment, ChangeRequest, Context, Customer, CustomerKind, LicenseOrder, NewLicense,
    Revocation, RevokeRequest, Settings, StatusTimes, Subject,
    catalog::{Revision, Source},
    keyfile::KdfStrength,
    store::{Location, Store},
};

const CATALOG: &str = r#"
product = "atlas"
[flags.sso]
title = "Single sign-on"
[plans.free]
[plans.pro]
flags = ["sso"]
"#;

/// An issuer without keys, for what needs no signature, and the licenses of its two customers.
struct Office {
    issuer: Issuer,
    globex: LicenseId,
    initech: LicenseId,
    _folder: tempfile::TempDir,
}

fn time(seconds: u64) -> UnixTime {
    UnixTime::new(seconds).unwrap()
}

fn context(seconds: u64, actor: &str, reason: Option<&str>) -> Context {
    Context {
        reason: reason.map(str::to_owned),
        ..Context::new(time(seconds), actor)
    }
}

fn office() -> Office {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(&Location::File(folder.path().join("phi.db"))).unwrap();
    let mut issuer = Issuer {
        folder: folder.path().into(),
        settings: Settings {
            issuer: "acme.example".into(),
            store: None,
            store_ca: None,
            kdf: KdfStrength::Fast,
            status: StatusTimes::default(),
        },
        store,
        accepted: Vec::new(),
        _in_use: None,
    };
    let revision = Revision::first(&Source::parse(CATALOG).unwrap()).unwrap();
    let recorded = Event::CatalogRecorded {
        revision,
        source: CATALOG.into(),
    };
    let ann = context(100, "ann", None);
    let append = |issuer: &mut Issuer, event: &Event| {
        let written = issuer.store.write(&ann, |writer| writer.append(event));
        written.unwrap();
    };
    let created = Event::IssuerCreated {
        issuer: "acme.example".into(),
    };
    append(&mut issuer, &created);
    append(&mut issuer, &recorded);
    let mut licenses = Vec::new();
    for (at, id, name) in [(200, "globex", "Globex GmbH"), (300, "initech", "Initech")] {
        let customer = Customer {
            id: id.into(),
            kind: CustomerKind::Organization,
            name: name.into(),
        };
        let bob = context(at, "bob", None);
        issuer.add_customer(customer, &bob).unwrap();
        let order = NewLicense::new(id, "atlas", "free");
        licenses.push(issuer.issue_license(order, &bob).unwrap().id);
    }
    let upgrade = ChangeRequest::Amend(Amendment {
        plan: Some("pro".into()),
        ..Amendment::default()
    });
    let order = LicenseOrder::new(licenses[0], 1, upgrade);
    let why = context(400, "ann", Some("Bestellung ÄNDERUNG 4711"));
    issuer.change_license(&order, &why).unwrap();
    let request = RevokeRequest {
        subject: Subject::Customer("initech".into()),
        issued_before: None,
        cut: None,
        reason: Reason::Refund,
    };
    issuer.revoke(&request, &context(500, "ann", None)).unwrap();
    Office {
        issuer,
        globex: licenses[0],
        initech: licenses[1],
        _folder: folder,
    }
}

/// The numbers of the entries that are found, and that after which there are more.
fn find(issuer: &mut Issuer, filter: &AuditFilter) -> Result<(Vec<u64>, Option<u64>), Error> {
    let mut found = Vec::new();
    let more = issuer.audit(filter, |row| {
        found.push(row.entry.seq);
        Ok::<_, Error>(())
    })?;
    Ok((found, more))
}

#[track_caller]
fn check(issuer: &mut Issuer, filter: &AuditFilter, expected: &[u64]) {
    assert_eq!(find(issuer, filter).unwrap(), (expected.to_vec(), None));
    let backward = AuditFilter {
        order: AuditOrder::NewestFirst,
        ..filter.clone()
    };
    let reversed: Vec<u64> = expected.iter().rev().copied().collect();
    assert_eq!(find(issuer, &backward).unwrap(), (reversed, None));
}

#[test]
fn entries_are_found_by_whom_and_what_they_are_about() {
    let Office {
        mut issuer,
        globex,
        initech,
        _folder,
    } = office();
    let all = AuditFilter::default();
    check(&mut issuer, &all, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let by = |change: &dyn Fn(&mut AuditFilter)| {
        let mut filter = AuditFilter::default();
        change(&mut filter);
        filter
    };
    let license = by(&|filter| filter.license = Some(globex));
    check(&mut issuer, &license, &[4, 7]);
    let license = by(&|filter| filter.license = Some(initech));
    check(&mut issuer, &license, &[6]);
    let customer = by(&|filter| filter.customer = Some("initech".into()));
    check(&mut issuer, &customer, &[5, 6, 8]);
    let product = by(&|filter| filter.product = Some("atlas".into()));
    check(&mut issuer, &product, &[2, 4, 6, 7]);
    let actor = by(&|filter| filter.actor = Some("bob".into()));
    check(&mut issuer, &actor, &[3, 4, 5, 6]);
    let events = by(&|filter| filter.events = vec!["revoked".into(), "license-issued".into()]);
    check(&mut issuer, &events, &[4, 6, 8]);
    let every = by(&|filter| {
        filter.customer = Some("globex".into());
        filter.license = Some(globex);
        filter.product = Some("atlas".into());
        filter.actor = Some("ann".into());
        filter.events = vec!["license-amended".into()];
        filter.from = Some(time(400));
        filter.to = Some(time(401));
        filter.text = Some("4711".into());
    });
    check(&mut issuer, &every, &[7]);
}

#[test]
fn a_range_has_its_beginning_and_not_its_end() {
    let mut office = office();
    for (from, to, expected) in [
        (Some(0), None, &[1, 2, 3, 4, 5, 6, 7, 8][..]),
        (Some(200), Some(400), &[3, 4, 5, 6]),
        (Some(201), Some(301), &[5, 6]),
        (None, Some(100), &[]),
        (None, Some(101), &[1, 2]),
        (Some(500), None, &[8]),
        (Some(501), None, &[]),
        (None, Some(501), &[1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        let filter = AuditFilter {
            from: from.map(time),
            to: to.map(time),
            ..AuditFilter::default()
        };
        check(&mut office.issuer, &filter, expected);
    }
}

#[test]
fn what_a_clock_ahead_recorded_counts_as_of_its_correction() {
    let mut office = office();
    let act = |issuer: &mut Issuer, at: u64, id: &str| {
        let customer = Customer {
            id: id.into(),
            kind: CustomerKind::User,
            name: String::new(),
        };
        issuer.add_customer(customer, &context(at, "ann", None))
    };
    act(&mut office.issuer, 1_000_000, "early").unwrap();
    let corrected = context(600, "ann", None);
    office.issuer.correct_clock(&corrected).unwrap();
    act(&mut office.issuer, 700, "late").unwrap();
    for (from, to, expected) in [
        (550, 650, &[9, 10][..]),
        (600, 601, &[9, 10]),
        (601, 2_000_000, &[11]),
        (0, 600, &[1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        let filter = AuditFilter {
            from: Some(time(from)),
            to: Some(time(to)),
            ..AuditFilter::default()
        };
        check(&mut office.issuer, &filter, expected);
    }
    let row = office.issuer.audit_entry(9).unwrap();
    assert_eq!((row.recorded, row.entry.time), (time(600), time(1_000_000)));
}

#[test]
fn text_is_found_in_either_case_in_what_people_wrote() {
    let mut office = office();
    let globex = office.globex.to_string();
    for (text, expected) in [
        ("änderung", &[7][..]),
        ("GLOBEX gmbh", &[3]),
        ("Refund", &[8]),
        ("PRO", &[2, 7]),
        ("license-", &[4, 6, 7]),
        ("Single SIGN-on", &[2]),
        (&globex, &[4, 7]),
        ("nobody wrote this", &[]),
    ] {
        let filter = AuditFilter {
            text: Some(text.into()),
            ..AuditFilter::default()
        };
        let found = find(&mut office.issuer, &filter).unwrap().0;
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_limit_says_where_to_go_on() {
    let mut office = office();
    let mut filter = AuditFilter {
        customer: Some("initech".into()),
        limit: Some(2),
        ..AuditFilter::default()
    };
    let first = find(&mut office.issuer, &filter).unwrap();
    assert_eq!(first, (vec![5, 6], Some(6)));
    filter.after = first.1;
    assert_eq!(find(&mut office.issuer, &filter).unwrap(), (vec![8], None));
    filter.order = AuditOrder::NewestFirst;
    filter.after = Some(8);
    let rest = find(&mut office.issuer, &filter).unwrap();
    assert_eq!(rest, (vec![6, 5], None));
    filter.after = Some(u64::MAX);
    let rest = find(&mut office.issuer, &filter).unwrap();
    assert_eq!(rest, (vec![8, 6], Some(6)));
    filter.limit = Some(0);
    assert!(find(&mut office.issuer, &filter).unwrap().0.is_empty());
}

#[test]
fn answers_are_longer_than_a_page() {
    let mut office = office();
    let ann = context(600, "ann", None);
    let token = |n: u32| {
        Event::Revoked(Revocation {
            subject: Subject::Customer(format!("globex-{n}")),
            issued_before: None,
            cut: None,
            reason: Reason::Refund,
            since: time(600),
        })
    };
    office
        .issuer
        .store
        .write(&ann, |writer| {
            (0..600).try_for_each(|n| writer.append(&token(n)))
        })
        .unwrap();
    let all: Vec<u64> = (1..=608).collect();
    check(&mut office.issuer, &AuditFilter::default(), &all);
    let rare = AuditFilter {
        text: Some("GLOBEX-599".into()),
        limit: Some(1),
        ..AuditFilter::default()
    };
    check(&mut office.issuer, &rare, &[608]);
}

#[test]
fn what_nothing_has_is_refused() {
    let mut office = office();
    let by = |change: &dyn Fn(&mut AuditFilter)| {
        let mut filter = AuditFilter::default();
        change(&mut filter);
        filter
    };
    for (filter, code, said) in [
        (
            by(&|filter| filter.license = Some(LicenseId::from_bytes([9; 8]))),
            "not-found",
            "license 0909090909090909",
        ),
        (
            by(&|filter| filter.customer = Some("umbrella".into())),
            "not-found",
            "customer umbrella",
        ),
        (
            by(&|filter| filter.product = Some("boreas".into())),
            "not-found",
            "boreas",
        ),
        (
            by(&|filter| filter.events = vec!["mint".into()]),
            "input-invalid",
            "token-minted",
        ),
        (
            by(&|filter| (filter.from, filter.to) = (Some(time(5)), Some(time(5)))),
            "input-invalid",
            "is empty",
        ),
    ] {
        let error = find(&mut office.issuer, &filter).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(said), "{error}");
    }
    for seq in [0, 9, u64::MAX] {
        let error = office.issuer.audit_entry(seq).unwrap_err();
        assert_eq!(error.code(), "not-found");
    }
}

#[test]
fn a_row_has_what_is_in_the_log() {
    let mut office = office();
    let row = office.issuer.audit_entry(7).unwrap();
    assert_eq!(row.hash, Hash::of(row.entry.encode()));
    assert_eq!((row.leaf_index(), row.license), (6, Some(office.globex)));
    assert_eq!(row.customer.as_deref(), Some("globex"));
    assert_eq!(row.product.as_deref(), Some("atlas"));
}

#[test]
fn every_word_is_that_of_an_event() {
    let words: std::collections::BTreeSet<_> = Event::WORDS.into();
    assert_eq!(words.len(), Event::WORDS.len());
    let mut office = office();
    let mut seen = Vec::new();
    let all = AuditFilter::default();
    let audited = office.issuer.audit(&all, |row| {
        seen.push(row.entry.event.name());
        Ok::<_, Error>(())
    });
    audited.unwrap();
    assert!(seen.iter().all(|word| words.contains(word)), "{seen:?}");
}
