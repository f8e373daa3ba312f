//! Publishing lists: what is refused, what is the same again, and what leaves the lists when.

use std::{collections::BTreeSet, fs};

use phi_issuer::{
    Filters, Gap, Issuer, ListName, NewLicense, Padding, RevokeRequest, StatusRequest, Subject,
};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{
    LicenseId, Reason, RevocationPolicy, RuleClass, Status, TokenId, UnixTime, Verdict, Verifier,
    dangerous_inspect::{self, Document},
};

on_every_store![
    a_list_is_a_function_of_ledger_salt_and_time,
    crlite_18_a_set_that_shrank_by_itself_is_not_published,
    what_has_ended_leaves_the_lists_later,
    an_unrevocation_stays_until_the_rule_would_have_ended,
    an_application_goes_on_with_a_delta,
    two_lists_are_compared_by_what_is_in_them,
];

const fn day(number: u64) -> UnixTime {
    START.plus(number * DAY)
}

fn issuer() -> (Home, Issuer) {
    issuer_on(Store::File)
}

fn issuer_on(store: Store) -> (Home, Issuer) {
    let home = Home::new(store);
    let issuer = home.furnished().unwrap();
    (home, issuer)
}

fn revoke(issuer: &mut Issuer, subject: Subject, now: UnixTime) {
    let request = RevokeRequest {
        subject,
        issued_before: None,
        cut: None,
        reason: Reason::Breach,
    };
    issuer.revoke(&request, &at(now)).unwrap();
}

fn request(deltas_from: &[u64]) -> StatusRequest {
    StatusRequest {
        filters: Filters::Cascade,
        padding: Padding::None,
        deltas_from: deltas_from.to_vec(),
        gap: Gap::Refuse,
    }
}

fn published(issuer: &mut Issuer, now: UnixTime) -> Status {
    let (publication, _) = issuer.publish_status(&passphrase(), &at(now)).unwrap();
    read(&publication.document)
}

fn read(document: &[u8]) -> Status {
    match dangerous_inspect::document(document).unwrap() {
        Document::Status(status) => status,
        _ => panic!("no list"),
    }
}

/// A license of which so many tokens are minted, until the time.
fn sold(issuer: &mut Issuer, count: usize, until: UnixTime) -> (LicenseId, Vec<(TokenId, String)>) {
    let order = NewLicense {
        expires: Some(until),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let license = issuer.issue_license(order, &at(day(1))).unwrap().id;
    let minted = workshop::mint(issuer, license, count, day(1)).unwrap();
    let minted = minted
        .into_iter()
        .map(|token| (token.token_id, token.token));
    (license, minted.collect())
}

#[track_caller]
fn refused(issuer: &mut Issuer, now: UnixTime, code: &str, said: &str) {
    let before = issuer
        .published(phi_verify::DocumentKind::Status, "")
        .unwrap();
    let error = issuer.publish_status(&passphrase(), &at(now)).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(said), "{error}");
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
    let built = issuer.build_status(&request(&[]), now, |_| {});
    assert_eq!(built.unwrap_err().code(), code);
    let after = issuer
        .published(phi_verify::DocumentKind::Status, "")
        .unwrap();
    assert_eq!(before, after, "nothing was published");
}

/// The same ledger, salt and time make the same bytes, and a ledger made again as well.
fn a_list_is_a_function_of_ledger_salt_and_time(store: Store) {
    let (_folder, mut issuer) = issuer_on(store);
    let (license, tokens) = sold(&mut issuer, 40, day(900));
    published(&mut issuer, day(2));
    for (token, _) in &tokens[..7] {
        revoke(&mut issuer, Subject::Token(*token), day(3));
    }
    revoke(&mut issuer, Subject::Customer("globex".into()), day(3));
    for filters in [Filters::Cascade, Filters::Compact] {
        for padding in [Padding::None, Padding::PowersOfTwo] {
            let asked = StatusRequest {
                filters,
                padding,
                ..request(&[1, 2])
            };
            let mut make = |salt| issuer.status_under_salt(&asked, salt, day(4)).unwrap();
            let made = make([7; 16]);
            assert_eq!(made.len(), 3);
            assert_eq!(made, make([7; 16]));
            assert_ne!(made, make([8; 16]));
            issuer.rebuild().unwrap();
            assert_eq!(
                made,
                issuer.status_under_salt(&asked, [7; 16], day(4)).unwrap()
            );
        }
    }
    assert_eq!(issuer.tokens_of(license).unwrap().len(), 40);
}

/// Mozilla's `CRLite` once published a set that an outage upstream had emptied (crlite #18). Here a
/// revocation is lost in the store, and no event says that it was taken back.
fn crlite_18_a_set_that_shrank_by_itself_is_not_published(store: Store) {
    let (folder, mut issuer) = issuer_on(store);
    let (license, tokens) = sold(&mut issuer, 3, day(900));
    let (other, _) = sold(&mut issuer, 1, day(900));
    revoke(&mut issuer, Subject::Token(tokens[0].0), day(2));
    revoke(&mut issuer, Subject::License(other), day(2));
    revoke(&mut issuer, Subject::Customer("globex".into()), day(2));
    published(&mut issuer, day(3));
    let (sql, id) = (Sql::open(folder.path()), tokens[0].0.to_string());
    let other = other.to_string();
    let cases = [
        ("customer", "globex"),
        ("license", other.as_str()),
        ("token", id.as_str()),
    ];
    for (class, id) in cases {
        sql.run(&format!("DELETE FROM revocations WHERE class = '{class}'"))
            .unwrap();
        let said = format!("list 2 revokes: {class} {id}");
        refused(&mut issuer, day(4), "revocations-lost", &said);
        issuer.rebuild().unwrap();
    }
    published(&mut issuer, day(5));
    // What is taken back by an event goes.
    for subject in [
        Subject::Token(tokens[0].0),
        Subject::Customer("globex".into()),
    ] {
        issuer.unrevoke(&subject, &at(day(6))).unwrap();
    }
    let list = published(&mut issuer, day(6));
    assert_eq!(list.rules.len(), 1);
    assert_eq!(
        issuer.license(license).unwrap().state(day(6)).name(),
        "active"
    );
}

/// A store that is an older copy would use an epoch twice, and forget what was revoked since.
#[test]
fn an_older_copy_of_the_store_publishes_nothing() {
    let (folder, mut issuer) = issuer();
    let (_, tokens) = sold(&mut issuer, 2, day(900));
    drop(issuer);
    let (store, copy) = (folder.path().join("phi.db"), folder.path().join("copy"));
    fs::copy(&store, &copy).unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    revoke(&mut issuer, Subject::Token(tokens[0].0), day(2));
    published(&mut issuer, day(3));
    drop(issuer);
    for file in ["phi.db-wal", "phi.db-shm"] {
        let _ = fs::remove_file(folder.path().join(file));
    }
    fs::copy(&copy, &store).unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    refused(
        &mut issuer,
        day(4),
        "older-than-published",
        "status epoch 2 (here 1)",
    );
}

/// Whoever can write the published folder, and has no key, stops no list: what lies there is not
/// waited for, and what another issuer of the same name signed is not believed.
#[cfg(unix)]
#[test]
fn files_of_others_in_the_published_folder_stop_no_list() {
    let (folder, mut issuer) = issuer();
    sold(&mut issuer, 1, day(900));
    let (_elsewhere, mut stranger) = self::issuer();
    for number in 2..6 {
        published(&mut stranger, day(number));
    }
    let here = folder.path().join("published");
    for name in ["root-1.phi", "keyset.phi", "status.phi"] {
        fs::copy(stranger.published_folder().join(name), here.join(name)).unwrap();
    }
    assert_eq!(published(&mut issuer, day(3)).epoch, 2);
    let status = here.join("status.phi");
    for (number, name) in [(4, "fifo"), (5, "large")] {
        fs::remove_file(&status).unwrap();
        match name {
            "fifo" => {
                let made = std::process::Command::new("mkfifo").arg(&status).status();
                assert!(made.unwrap().success());
            }
            _ => fs::write(&status, vec![0; 9 << 20]).unwrap(),
        }
        assert_eq!(
            published(&mut issuer, day(number)).epoch,
            number - 1,
            "{name}"
        );
        assert!(status.metadata().unwrap().is_file(), "it is written anew");
    }
    // A folder in its place is told, and what was recorded is recorded.
    fs::remove_file(&status).unwrap();
    fs::create_dir(&status).unwrap();
    let error = issuer
        .publish_status(&passphrase(), &at(day(6)))
        .unwrap_err();
    let unwritten = matches!(error, phi_issuer::Error::PublicationUnwritten(_));
    assert!(unwritten, "{error}");
    fs::remove_dir(&status).unwrap();
    assert_eq!(published(&mut issuer, day(7)).epoch, 6);
}

/// A clock that is ahead once makes a list from which everything has ended: it is asked about.
#[test]
fn a_list_from_which_most_has_ended_is_asked_about_after_a_gap() {
    let (_folder, mut issuer) = issuer();
    let (license, tokens) = sold(&mut issuer, 2, day(100));
    let (kept, _) = sold(&mut issuer, 1, day(9000));
    revoke(&mut issuer, Subject::Token(tokens[0].0), day(2));
    revoke(&mut issuer, Subject::License(license), day(2));
    revoke(&mut issuer, Subject::License(kept), day(2));
    published(&mut issuer, day(3));
    refused(
        &mut issuer,
        day(1000),
        "not-allowed",
        "leaves out more than it keeps",
    );
    let asked = StatusRequest {
        gap: Gap::Accept,
        ..request(&[])
    };
    let report = issuer.build_status(&asked, day(1000), |_| {}).unwrap();
    assert_eq!(report.rules, 1);
    // Late alone is no reason to ask, and neither is what ends from one list to the next.
    published(&mut issuer, day(4));
    published(&mut issuer, day(100));
    published(&mut issuer, day(125));
    assert_eq!(published(&mut issuer, day(150)).rules.len(), 1);
}

/// Mozilla's blocklist crashed with a thousand blocked add-ons and one that was not (#7492).
#[test]
fn mozilla_7492_more_tokens_may_be_revoked_than_not() {
    let (_folder, mut issuer) = issuer();
    let (_, tokens) = sold(&mut issuer, 101, day(900));
    published(&mut issuer, day(2));
    for (token, _) in &tokens[1..] {
        revoke(&mut issuer, Subject::Token(*token), day(2));
    }
    for filters in [Filters::Cascade, Filters::Compact] {
        let asked = StatusRequest {
            filters,
            ..request(&[1, 2])
        };
        let published = issuer.publish_status_as(&asked, &passphrase(), &at(day(3)), |_| {});
        let report = published.unwrap().report;
        assert_eq!(
            (report.checked, report.revoked, report.asked),
            (101, 100, 303)
        );
        assert_eq!((report.full.universe, report.full.members), (101, 100));
    }
    let trust = issuer.trust_state().unwrap();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Strict);
    verifier.verify(&tokens[0].1, day(3)).unwrap();
    assert_eq!(
        verifier.verify(&tokens[1].1, day(3)).unwrap_err().code(),
        "revoked"
    );
}

/// The same subject twice does not make the list longer (Mozilla #15261): what is revoked again,
/// or with its license, stands in it once.
#[test]
fn mozilla_15261_what_is_revoked_twice_stands_once() {
    let (_folder, mut issuer) = issuer();
    let (license, tokens) = sold(&mut issuer, 20, day(900));
    let id = Subject::Token(tokens[0].0);
    revoke(&mut issuer, id.clone(), day(2));
    issuer.unrevoke(&id, &at(day(2))).unwrap();
    revoke(&mut issuer, id, day(2));
    let cut = RevokeRequest {
        subject: Subject::License(license),
        issued_before: Some(day(2)),
        cut: None,
        reason: Reason::Refund,
    };
    issuer.revoke(&cut, &at(day(2))).unwrap();
    revoke(&mut issuer, Subject::License(license), day(2));
    let (publication, report) = issuer.publish_status(&passphrase(), &at(day(3))).unwrap();
    assert_eq!(read(&publication.document).rules.len(), 1);
    assert_eq!((report.full.universe, report.full.members), (20, 1));
}

/// What nothing accepts any more leaves the lists, but not before an application whose clock was
/// set back by a month would take it for valid.
fn what_has_ended_leaves_the_lists_later(store: Store) {
    let (_folder, mut issuer) = issuer_on(store);
    let (license, _) = sold(&mut issuer, 3, day(10));
    let (_, tokens) = sold(&mut issuer, 3, day(10));
    revoke(&mut issuer, Subject::License(license), day(2));
    revoke(&mut issuer, Subject::Token(tokens[0].0), day(2));
    let sizes = |list: &Status| (list.rules.len(), list.revoked.tokens.is_some());
    for now in [3, 11, 40] {
        let list = published(&mut issuer, day(now));
        assert_eq!(sizes(&list), (1, true), "day {now}");
        // The tokens end on day 10, and the day and the thirty of retention come after.
        assert_eq!(list.rules[0].ends, Some(day(41)));
    }
    let list = published(&mut issuer, day(41));
    assert_eq!(sizes(&list), (0, false));
    assert!(
        list.unrevoked.is_empty(),
        "it ended, and nobody took it back"
    );
}

/// What was unrevoked stands in the lists for as long as somebody can hold the rule.
fn an_unrevocation_stays_until_the_rule_would_have_ended(store: Store) {
    let (_folder, mut issuer) = issuer_on(store);
    let (license, _) = sold(&mut issuer, 1, day(10));
    revoke(&mut issuer, Subject::License(license), day(2));
    published(&mut issuer, day(2));
    let mut old = issuer.trust_state().unwrap();
    issuer
        .unrevoke(&Subject::License(license), &at(day(3)))
        .unwrap();
    for (now, expected) in [(3, 1), (20, 1), (40, 1), (41, 0), (42, 0)] {
        let (publication, _) = issuer.publish_status(&passphrase(), &at(day(now))).unwrap();
        let list = read(&publication.document);
        assert_eq!(list.unrevoked.len(), expected, "day {now}");
        // Whichever list it is that comes first, it is taken.
        old.clone().import(&publication.document).unwrap();
    }
    let (publication, _) = issuer.publish_status(&passphrase(), &at(day(43))).unwrap();
    old.import(&publication.document).unwrap();
}

/// Whoever has an older list takes a delta to it, and no other.
fn an_application_goes_on_with_a_delta(store: Store) {
    let (folder, mut issuer) = issuer_on(store);
    let (license, tokens) = sold(&mut issuer, 50, day(900));
    revoke(&mut issuer, Subject::Token(tokens[0].0), day(2));
    published(&mut issuer, day(2));
    let mut away = issuer.trust_state().unwrap();
    published(&mut issuer, day(3));
    let mut home = issuer.trust_state().unwrap();
    issuer
        .unrevoke(&Subject::Token(tokens[0].0), &at(day(4)))
        .unwrap();
    revoke(&mut issuer, Subject::Token(tokens[1].0), day(4));
    let late = workshop::mint(&mut issuer, license, 1, day(4))
        .unwrap()
        .remove(0);
    let published = issuer
        .publish_status_as(&request(&[2]), &passphrase(), &at(day(5)), |_| {})
        .unwrap();
    let file = folder.path().join("published/status-2-to-4.phi");
    let delta = fs::read(file).unwrap();
    assert_eq!(delta, published.deltas[0].document);
    assert!(delta.len() < 400, "{} bytes", delta.len());
    assert_eq!(home.import(&delta).unwrap_err().code(), "delta-base");
    away.import(&delta).unwrap();
    home.import(&published.list.document).unwrap();
    for trust in [&away, &home] {
        let verifier = Verifier::new(trust, PRODUCT, RevocationPolicy::Strict);
        let code = |token: &str| {
            verifier
                .verify(token, day(5))
                .err()
                .map(|error| error.code())
        };
        assert_eq!(code(&tokens[0].1), None);
        assert_eq!(code(&tokens[1].1), Some("revoked"));
        assert_eq!(code(&tokens[2].1), None);
        assert_eq!(code(&late.token), None);
    }
    issuer.verify_ledger(None, |_| {}).unwrap();
    assert_eq!(issuer.deltas().unwrap(), published.deltas);
    for base in [4, 9] {
        let asked = request(&[base]);
        let built = issuer.build_status(&asked, day(6), |_| {});
        let expected = if base == 9 { Some("not-found") } else { None };
        assert_eq!(built.err().map(|error| error.code()), expected);
    }
}

/// A padded list shows powers of two, whatever is in it.
#[test]
fn a_padded_list_shows_powers_of_two() {
    let (_folder, mut issuer) = issuer();
    let (_, tokens) = sold(&mut issuer, 40, day(900));
    for (token, _) in &tokens[..5] {
        revoke(&mut issuer, Subject::Token(*token), day(2));
    }
    let asked = StatusRequest {
        padding: Padding::PowersOfTwo,
        ..request(&[1])
    };
    let report = issuer.build_status(&asked, day(3), |_| {}).unwrap();
    assert_eq!((report.full.universe, report.full.members), (64, 8));
    // The decoys of another list are others: nobody tells them by comparing.
    let one = issuer.status_under_salt(&asked, [1; 16], day(3)).unwrap();
    let other = issuer.status_under_salt(&asked, [2; 16], day(3)).unwrap();
    assert_ne!(one, other);
}

#[test]
fn a_token_is_checked_by_ledger_list_and_policy() {
    let (_folder, mut issuer) = issuer();
    let (license, tokens) = sold(&mut issuer, 2, day(900));
    let id = tokens[0].0;
    let accepted = |issuer: &mut Issuer, now| {
        let check = issuer.check_token(id, now).unwrap();
        let list = check.list.unwrap();
        let policies = check.policies.iter();
        let policies: Vec<_> = policies.map(|(_, answer)| answer.is_ok()).collect();
        (check.ledger, list.verdict, policies)
    };
    let (_, verdict, policies) = accepted(&mut issuer, day(1));
    assert_eq!(verdict, Verdict::NotCovered);
    assert_eq!(policies, [false, true, true]);
    published(&mut issuer, day(2));
    let (_, verdict, policies) = accepted(&mut issuer, day(2));
    assert_eq!((verdict, policies), (Verdict::Good, vec![true; 3]));
    let (_, _, policies) = accepted(&mut issuer, day(2 + 31));
    assert_eq!(policies, [false, true, true], "it is stale");
    revoke(&mut issuer, Subject::License(license), day(3));
    let (ledger, verdict, policies) = accepted(&mut issuer, day(3));
    assert_eq!((verdict, policies), (Verdict::Good, vec![true; 3]));
    let expected = phi_issuer::ByLedger::Revoked {
        rule: RuleClass::License,
        reason: Reason::Breach,
        since: day(3),
    };
    assert_eq!(ledger, expected);
    published(&mut issuer, day(4));
    let (_, verdict, policies) = accepted(&mut issuer, day(4));
    assert!(matches!(verdict, Verdict::Revoked { .. }));
    assert_eq!(policies, vec![false; 3]);
}

fn two_lists_are_compared_by_what_is_in_them(store: Store) {
    let (_folder, mut issuer) = issuer_on(store);
    let (license, tokens) = sold(&mut issuer, 3, day(900));
    revoke(&mut issuer, Subject::Token(tokens[0].0), day(2));
    revoke(&mut issuer, Subject::Customer("globex".into()), day(2));
    published(&mut issuer, day(2));
    issuer
        .unrevoke(&Subject::Token(tokens[0].0), &at(day(3)))
        .unwrap();
    issuer
        .unrevoke(&Subject::Customer("globex".into()), &at(day(3)))
        .unwrap();
    revoke(&mut issuer, Subject::Token(tokens[1].0), day(3));
    revoke(&mut issuer, Subject::License(license), day(3));
    let asked = request(&[2]);
    let made = issuer.publish_status_as(&asked, &passphrase(), &at(day(3)), |_| {});
    let delta = ListName::Document(made.unwrap().deltas.remove(0).document);
    for other in [ListName::Epoch(3), delta] {
        let diff = issuer.diff_lists(&ListName::Epoch(2), &other).unwrap();
        assert_eq!(diff.epochs, [2, 3]);
        let rules: BTreeSet<_> = diff
            .rules
            .iter()
            .map(|rule| (rule.class, rule.id.clone(), rule.sides[1].is_some()))
            .collect();
        let expected = [
            (RuleClass::License, license.to_string(), true),
            (RuleClass::Customer, "globex".to_owned(), false),
        ];
        assert_eq!(rules, BTreeSet::from(expected));
        let changed: Vec<_> = diff
            .tokens
            .iter()
            .map(|one| (one.token, one.came))
            .collect();
        assert_eq!(changed, [(tokens[0].0, false), (tokens[1].0, true)]);
    }
    let unknown = issuer.diff_lists(&ListName::Epoch(1), &ListName::Epoch(77));
    assert_eq!(unknown.unwrap_err().code(), "not-found");
}
