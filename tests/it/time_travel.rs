//! Time travel: every golden token, document and bundle of the repository, judged one, five and
//! twenty years later.
//!
//! What must come of it is said by rule, from what the object says and what is true of it today:
//! - what is refused before its time is looked at stays refused for the same reason;
//! - then a license that is over, with its grace, is `expired`;
//! - then what is wrong with the machine, or taken back, stays so for the same reason;
//! - then a list that has grown older than the policy or the license allows is `status-too-old`;
//! - then what the list does not cover, or lacks, stays so;
//! - everything else is accepted.
//!
//! Documents know no time: they are imported as on the first day, and only the report tells that
//! they are old.

use std::{fs, path::Path};

use phi_tests::{
    demo,
    snakeoil::DAY,
    vectors::{Check, Expected, TokenCheck},
};
use phi_verify::{
    Bundle, Imported, PartOutcome, RevocationPolicy, Status, TrustState, UnixTime, Verifier, armor,
    dangerous_inspect,
};

use crate::vectors::{bytes, import_bundle, repository, state, vectors, verify};

const YEAR: u64 = 365 * DAY;
const YEARS: [u64; 3] = [1, 5, 20];

/// The reasons that are found at the license's time and after; every other is found before.
const BY_TIME: [&str; 3] = ["not-yet-valid", "expired", "clock-rolled-back"];
const AFTER_TIME: [&str; 3] = ["machine-unknown", "machine-mismatch", "revoked"];
const OF_THE_LIST: [&str; 4] = [
    "status-missing",
    "not-covered",
    "probably-revoked",
    "status-too-old",
];

#[test]
fn golden_tokens_are_judged_by_rule_in_years_to_come() {
    let (mut accepted, mut refused) = (0, 0);
    for (path, vector) in vectors() {
        let Check::Token(mut check) = vector.check else {
            continue;
        };
        let today = match vector.expected {
            Expected::Refused(code) => Some(code),
            Expected::Accepted(_) => None,
        };
        let then = UnixTime::new(check.now).unwrap();
        for years in YEARS {
            check.now = then.plus(years * YEAR).seconds();
            let expected = by_rule(&check, today.as_deref());
            let found = verify(&check).err().map(|error| error.code().to_owned());
            assert_eq!(found, expected, "{path} {years} years later");
            if found.is_none() {
                accepted += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert!(accepted > 10 && refused > 100, "{accepted}, {refused}");
}

/// The code of the refusal, or `None` for a license that is accepted.
fn by_rule(check: &TokenCheck, today: Option<&str>) -> Option<String> {
    let stays = |codes: &[&str]| today.filter(|code| codes.contains(code));
    let known = [&BY_TIME[..], &AFTER_TIME, &OF_THE_LIST].concat();
    if let Some(code) = today.filter(|code| !known.contains(code)) {
        return Some(code.into());
    }
    let trust = state(&check.trust);
    let (_, claims) = dangerous_inspect::token(&check.token).unwrap();
    let now = trust.effective_time(UnixTime::new(check.now).unwrap());
    let end = claims.expires.map(|expires| expires.plus(claims.grace));
    if end.is_some_and(|end| end <= now) {
        return Some("expired".into());
    }
    if let Some(code) = stays(&AFTER_TIME) {
        return Some(code.into());
    }
    if let Some(status) = trust.status() {
        let limits = [
            policy_limit(&check.policy, status),
            claims
                .max_status_age
                .map(|age| status.this_update.plus(age)),
        ];
        if limits.into_iter().flatten().any(|limit| limit <= now) {
            return Some("status-too-old".into());
        }
    }
    stays(&OF_THE_LIST).map(str::to_owned)
}

fn policy_limit(policy: &str, status: &Status) -> Option<UnixTime> {
    match policy {
        "strict" => Some(status.next_update),
        "balanced" => Some(status.hard_expiry),
        _ => None,
    }
}

#[test]
fn golden_bundles_and_documents_are_imported_as_on_the_first_day() {
    let (mut bundles, mut documents) = (0, 0);
    for (path, vector) in vectors() {
        let (trust, is_bundle, object) = match &vector.check {
            Check::ImportBundle { trust, bundle } => (trust, true, bytes(bundle)),
            Check::Import { trust, document } => (trust, false, bytes(document)),
            _ => continue,
        };
        for years in YEARS {
            let mut trust = state(trust);
            let later = trust.signed_floor().plus(years * YEAR);
            // Three days: by then even the wildest clock is believed.
            (0..3).for_each(|day| _ = trust.observe(later.plus(day * DAY)));
            let found = if is_bundle {
                import_bundle(trust, &object).map(Some)
            } else {
                trust.import(&object).map(|_| None)
            };
            match (&vector.expected, found) {
                (Expected::Accepted(today), Ok(Some(later))) => {
                    assert_eq!(**today, later, "{path} {years} years later");
                }
                (Expected::Accepted(_), Ok(None)) => {}
                (Expected::Refused(code), Err(error)) => assert_eq!(code, error.code(), "{path}"),
                (expected, found) => panic!("{path}: {expected:?}, later {found:?}"),
            }
        }
        *(if is_bundle {
            &mut bundles
        } else {
            &mut documents
        }) += 1;
    }
    assert!(bundles > 10 && documents > 100, "{bundles}, {documents}");
}

/// The bundles that are in the vectors as texts are the demo issuer's.
#[test]
fn golden_bundles_bring_tokens_that_are_judged_by_their_time() {
    let anchor = fs::read(repository().join("keys/demo/root-1.phi")).unwrap();
    let mut judged = 0;
    for (path, vector) in vectors() {
        let (Check::BundleText(text), Expected::Accepted(_)) = (&vector.check, &vector.expected)
        else {
            continue;
        };
        let bundle = armor::bundle_from_text(text).unwrap();
        let bundle = Bundle::parse(&bundle).unwrap();
        let mut trust = TrustState::from_anchor(&anchor).unwrap();
        for report in trust.import_bundle(&bundle) {
            let taken = [PartOutcome::Updated, PartOutcome::Unchanged].contains(&report.outcome);
            assert!(taken, "{path}: {report:?}");
        }
        for entry in bundle.tokens() {
            let (_, claims) = dangerous_inspect::token(entry.token()).unwrap();
            let verifier = Verifier::new(&trust, &claims.product, RevocationPolicy::Lenient);
            let today = entry.verify(&verifier, claims.issued_at.max(trust.signed_floor()));
            for years in YEARS {
                let now = claims.issued_at.plus(years * YEAR);
                let end = claims.expires.map(|expires| expires.plus(claims.grace));
                let over = end.is_some_and(|end| end <= trust.effective_time(now));
                let found = entry.verify(&verifier, now).map(|_| ());
                let found = found.map_err(|error| error.code());
                let expected = match &today {
                    Ok(_) if over => Err("expired"),
                    Ok(_) => Ok(()),
                    Err(error) => Err(error.code()),
                };
                assert_eq!(found, expected, "{path} {years} years later");
                judged += 1;
            }
        }
    }
    assert!(judged > 0);
}

/// The documents that are kept in the tree as an issuer publishes them.
#[test]
fn published_folders_are_believed_in_twenty_years_and_said_to_be_old() {
    for folder in [
        "keys/demo",
        "tests/fixtures/ledger-v1/published",
        "tests/fixtures/ledger-v2/published",
        "phi-issuer/tests/cmd/verify.in/trust",
        "phi-issuer/tests/cmd/verify.in/revoked",
        "phi-issuer/tests/cmd/verify.in/switched-off",
    ] {
        let folder = repository().join(folder);
        for years in [0].into_iter().chain(YEARS) {
            let trust = believed(&folder, years);
            let status = trust.status().unwrap();
            let now = trust.signed_floor().plus(years * YEAR);
            let expected = if now < status.next_update {
                "fresh"
            } else if now < status.hard_expiry {
                "stale"
            } else {
                "expired"
            };
            let report = trust.report(now);
            assert_eq!(report.status, expected, "{}", folder.display());
            let told = report
                .findings
                .iter()
                .any(|finding| finding.code == format!("status-{expected}"));
            assert_eq!(told, expected != "fresh", "{}", folder.display());
        }
    }
}

/// The trust state of a folder's documents at an application whose clock is so many years later.
fn believed(folder: &Path, years: u64) -> TrustState {
    let read = |name: String| fs::read(folder.join(name));
    let mut trust = TrustState::from_anchor(&read("root-1.phi".into()).unwrap()).unwrap();
    let later = trust.signed_floor().plus(years * YEAR);
    trust.observe(later);
    let roots = (2..).map_while(|version| read(format!("root-{version}.phi")).ok());
    let rest = ["keyset.phi", "status.phi"].map(|name| read(name.into()).unwrap());
    let catalogs = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name()?.to_str()?;
        name.starts_with("catalog-")
            .then(|| fs::read(&path).unwrap())
    });
    for document in roots.chain(rest).chain(catalogs) {
        let imported = trust.import(&document);
        assert!(matches!(imported, Ok(Imported::Updated(_))), "{imported:?}");
    }
    trust
}

#[test]
fn the_demo_license_works_for_a_century() {
    let trust = believed(&repository().join("keys/demo"), 0);
    let verifier = Verifier::new(&trust, "demo-app", RevocationPolicy::Strict);
    for years in YEARS.into_iter().chain([90]) {
        let now = trust.signed_floor().plus(years * YEAR);
        let license = verifier.verify(&demo::token(), now).unwrap();
        assert_eq!(license.expires(), None);
    }
}
