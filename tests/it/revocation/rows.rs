//! A store whose rows somebody changed without a key: nothing that it revokes counts again.

use phi_issuer::{Issuer, NewLicense, RevokeRequest, Subject};
use phi_tests::{
    home::Sql,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{DocumentKind, LicenseId, Reason, RevocationPolicy, TokenId, UnixTime, Verifier};

const fn day(number: u64) -> UnixTime {
    START.plus(number * DAY)
}

fn sold(issuer: &mut Issuer, customer: &str) -> (LicenseId, TokenId, String) {
    let order = NewLicense {
        expires: Some(day(900)),
        ..NewLicense::new(customer, PRODUCT, "team")
    };
    let license = issuer.issue_license(order, &at(day(1))).unwrap().id;
    let token = workshop::mint(issuer, license, 1, day(1))
        .unwrap()
        .remove(0);
    (license, token.token_id, token.token)
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

fn suspend(issuer: &mut Issuer, license: LicenseId, now: UnixTime) {
    let base = issuer.license(license).unwrap().revision;
    let request = phi_issuer::ChangeRequest::Suspend;
    let order = phi_issuer::LicenseOrder::new(license, base, request);
    issuer.change_license(&order, &at(now)).unwrap();
}

fn epoch(issuer: &mut Issuer) -> u64 {
    issuer.published(DocumentKind::Status, "").unwrap().version
}

/// Rows are changed in every way that could let a revoked token count again. Nothing is signed, the
/// check-up says so, and made again from the events everything stays revoked.
#[test]
fn rows_that_were_changed_are_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let mut other = workshop::customer();
    other.id = "initech".into();
    issuer.add_customer(other, &at(day(1))).unwrap();
    let (_, token, one) = sold(&mut issuer, "globex");
    let (license, _, two) = sold(&mut issuer, "globex");
    let (_, _, three) = sold(&mut issuer, "initech");
    let (suspended, _, four) = sold(&mut issuer, "globex");
    let (late, late_token, five) = sold(&mut issuer, "globex");
    sold(&mut issuer, "globex");
    revoke(&mut issuer, Subject::Token(token), day(2));
    revoke(&mut issuer, Subject::License(license), day(2));
    revoke(&mut issuer, Subject::Customer("initech".into()), day(2));
    suspend(&mut issuer, suspended, day(2));
    issuer.publish_status(&passphrase(), &at(day(3))).unwrap();
    let held = issuer.trust_state().unwrap();
    // What no list says yet is taken back all the same.
    revoke(&mut issuer, Subject::License(late), day(4));
    revoke(&mut issuer, Subject::Token(late_token), day(4));
    let changes = [
        "UPDATE tokens SET ends = 1".to_owned(),
        format!("UPDATE tokens SET ends = 1 WHERE license = x'{license}'"),
        "DELETE FROM tokens".into(),
        format!("DELETE FROM tokens WHERE license = x'{late}'"),
        "UPDATE tokens SET epoch = 99".into(),
        format!("UPDATE tokens SET issued_at = issued_at + 1 WHERE license = x'{license}'"),
        format!("UPDATE tokens SET license = x'{license}' WHERE license = x'{late}'"),
        "UPDATE licenses SET customer = 'globex' WHERE customer = 'initech'".into(),
        format!("UPDATE licenses SET product = 'nothing' WHERE id = x'{late}'"),
        format!("UPDATE licenses SET standing = 'active' WHERE id = x'{suspended}'"),
        format!("DELETE FROM trail WHERE license = x'{suspended}' AND changes = 1"),
        format!("DELETE FROM revocations WHERE id = '{late}'"),
        format!(
            "UPDATE revocations SET seq = (SELECT max(seq) FROM revocations WHERE id <> '{late}')
             WHERE id = '{late}'"
        ),
        "UPDATE keys SET dropped = 1 WHERE role = 'license'".into(),
    ];
    for change in changes {
        {
            let sql = Sql::open(folder.path());
            sql.run(&format!("PRAGMA foreign_keys = OFF; {change}"))
                .unwrap();
        }
        let published = issuer.publish_status(&passphrase(), &at(day(5)));
        let code = published
            .map_err(|error| error.code().to_owned())
            .unwrap_err();
        assert!(
            ["ledger-diverged", "revocations-lost", "list-wrong"].contains(&code.as_str()),
            "{change}: {code}"
        );
        assert_eq!(epoch(&mut issuer), 2, "{change}");
        let found = issuer.check_up(day(30), day(5)).unwrap();
        let found = found.iter().any(|finding| finding.code == "rows-changed");
        assert!(found, "{change}");
        issuer.rebuild().unwrap();
    }
    let found = issuer.check_up(day(30), day(5)).unwrap();
    assert!(found.iter().all(|finding| finding.code != "rows-changed"));
    let (publication, _) = issuer.publish_status(&passphrase(), &at(day(5))).unwrap();
    let mut trust = held;
    trust.import(&publication.document).unwrap();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Strict);
    for token in [one, two, three, four, five] {
        let refused = verifier.verify(&token, day(5)).unwrap_err();
        assert_eq!(refused.code(), "revoked");
    }
}

/// A list keeps what the one before it said of a rule's end, whatever is said now of how long
/// what has ended stays.
#[test]
fn a_rule_stays_until_the_end_that_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut issuer = workshop::furnished(folder.path()).unwrap();
    let (license, ..) = sold(&mut issuer, "globex");
    revoke(&mut issuer, Subject::License(license), day(2));
    let (first, _) = issuer.publish_status(&passphrase(), &at(day(3))).unwrap();
    drop(issuer);
    let settings = folder.path().join("phi.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    assert!(text.contains("retention_days = 30"), "{text}");
    let text = text.replace("retention_days = 30", "retention_days = 0");
    std::fs::write(&settings, text).unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    let mut held = issuer.trust_state().unwrap();
    let list = |document: &[u8]| match phi_verify::dangerous_inspect::document(document).unwrap() {
        phi_verify::dangerous_inspect::Document::Status(status) => status,
        _ => panic!("no list"),
    };
    let said = list(&first.document).rules[0].ends;
    for now in [10, 902, 930] {
        let (next, _) = issuer.publish_status(&passphrase(), &at(day(now))).unwrap();
        let next_list = list(&next.document);
        assert_eq!(next_list.rules[0].ends, said, "day {now}");
        held.import(&next.document).unwrap();
    }
    let (last, _) = issuer.publish_status(&passphrase(), &at(day(931))).unwrap();
    let last_list = list(&last.document);
    assert!(last_list.rules.is_empty() && last_list.unrevoked.is_empty());
    held.import(&last.document).unwrap();
}
