//! Many changes in one transaction come to the very ledger that the same changes make one by one.

use phi_issuer::{Amendment, ChangeRequest, Issuer, LicenseOrder, LicenseRecord, NewLicense};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at},
};
use phi_verify::Allowance;

use super::sequences::in_memory;

/// Enough for several tiles of the Merkle tree.
const LICENSES: usize = 150;

fn orders(licenses: &[LicenseRecord], round: u64) -> Vec<LicenseOrder> {
    let order = |(place, license): (usize, &LicenseRecord)| {
        let roll = (u64::try_from(place).unwrap() * 7 + round) % 5;
        let request = match roll {
            0 => ChangeRequest::Suspend,
            1 => ChangeRequest::Reinstate,
            2 => ChangeRequest::Renew(Some(START.plus((400 + 100 * round) * DAY))),
            _ => ChangeRequest::Amend(Amendment {
                quotas: [("calls".into(), Allowance::Limited(round + roll))].into(),
                ..Amendment::default()
            }),
        };
        // Some have looked at an older revision.
        let stale = u64::from(place % 17 == 0);
        LicenseOrder::new(license.id, license.revision - stale, request)
    };
    licenses.iter().enumerate().map(order).collect()
}

#[test]
fn many_changes_at_once_are_the_same_changes_one_by_one() {
    let scratch = in_memory();
    let [one, two] = ["one", "two"].map(|name| scratch.path().join(name));
    let mut issuer = workshop::furnished(&one).unwrap();
    let order = || NewLicense {
        expires: Some(START.plus(300 * DAY)),
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let outcome = issuer.issue_licenses(vec![order(); LICENSES], &at(START));
    assert!(outcome.unwrap().iter().all(Result::is_ok));
    drop(issuer);
    workshop::copy_folder(&one, &two).unwrap();
    let mut bulk = Issuer::open(&one).unwrap();
    let mut single = Issuer::open(&two).unwrap();
    let (mut changed, mut refused) = (0, 0);
    for round in 1..5 {
        let context = at(START.plus(round * DAY));
        let orders = orders(&bulk.licenses(None, None).unwrap(), round);
        let outcomes = bulk.change_licenses(&orders, &context).unwrap();
        for (order, outcome) in orders.iter().zip(outcomes) {
            match (outcome, single.change_license(order, &context)) {
                (Ok(many), Ok(one)) => {
                    assert_eq!(many, one);
                    changed += 1;
                }
                (Err(many), Err(one)) => {
                    assert_eq!(many.to_string(), one.to_string());
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(changed > 400 && refused > 50, "{changed} and {refused}");
    assert_eq!(workshop::tables(&one), workshop::tables(&two));
    let [one, two] = [bulk, single].map(|mut issuer| issuer.verify_ledger(None, |_| {}).unwrap());
    assert_eq!(one, two);
}
