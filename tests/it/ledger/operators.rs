//! Two operators on one ledger: of two who decided on the same revision one wins; a request that
//! is repeated is carried out once; and no clock writes into the past.

use std::{path::Path, sync::Barrier, thread};

use phi_issuer::{
    Amendment, ChangeRequest, Context, Customer, Error, Issuer, LicenseOrder, LicenseRecord,
    Machine, NewLicense, State,
};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at},
};
use phi_verify::{Allowance, Fingerprint, LicenseId, UnixTime};

/// When the operators act.
const NOW: UnixTime = START.plus(DAY);

/// What an operator can ask of a license that is there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Issue,
    Amend,
    Renew,
    Suspend,
    Reinstate,
    ConvertTrial,
    Rebind,
    Withdraw,
    Transfer,
}

use Kind::{Amend, ConvertTrial, Issue, Rebind, Reinstate, Renew, Suspend, Transfer, Withdraw};

const KINDS: [Kind; 9] = [
    Issue,
    Amend,
    Renew,
    Suspend,
    Reinstate,
    ConvertTrial,
    Rebind,
    Withdraw,
    Transfer,
];

fn more_calls() -> Amendment {
    Amendment {
        quotas: [("calls".into(), Allowance::Limited(7))].into(),
        ..Amendment::default()
    }
}

impl Kind {
    /// States in which it is allowed.
    fn states(self) -> &'static [State] {
        match self {
            Issue => &[State::Draft],
            Amend | Withdraw => &[State::Draft, State::Active, State::Suspended],
            Rebind => &[State::Draft, State::Active],
            Renew | Suspend | ConvertTrial | Transfer => &[State::Active],
            Reinstate => &[State::Suspended],
        }
    }

    /// Does it as an operator who has looked at this revision.
    fn act(self, issuer: &mut Issuer, license: LicenseId, base: u64) -> Result<(), Error> {
        let request = match self {
            Issue => ChangeRequest::Issue,
            Amend => ChangeRequest::Amend(more_calls()),
            Renew => ChangeRequest::Renew(Some(START.plus(5000 * DAY))),
            Suspend => ChangeRequest::Suspend,
            Reinstate => ChangeRequest::Reinstate,
            ConvertTrial => ChangeRequest::ConvertTrial {
                expires: Some(START.plus(5000 * DAY)),
                amendment: Amendment::default(),
            },
            Rebind => {
                let machine = Fingerprint::new(PRODUCT).with("board", "one");
                ChangeRequest::Rebind(Some(Machine::new(&machine, 1).unwrap()))
            }
            // The change that waits is the second revision.
            Withdraw => ChangeRequest::Withdraw(2),
            Transfer => {
                return issuer
                    .transfer_license(license, base, "initech", &at(NOW))
                    .map(drop);
            }
        };
        let order = LicenseOrder::new(license, base, request);
        issuer.change_license(&order, &at(NOW)).map(drop)
    }
}

fn two_customers(home: &Home) -> Issuer {
    let mut issuer = home.furnished().unwrap();
    let other = Customer {
        id: "initech".into(),
        ..workshop::customer()
    };
    issuer.add_customer(other, &at(START)).unwrap();
    issuer
}

/// A license in this state, with a change that waits.
fn license_in(issuer: &mut Issuer, state: State) -> LicenseRecord {
    let order = NewLicense {
        expires: Some(START.plus(1000 * DAY)),
        trial: state != State::Draft,
        ..NewLicense::new("globex", PRODUCT, "team")
    };
    let license = if state == State::Draft {
        issuer.draft_license(order, &at(NOW)).unwrap()
    } else {
        issuer.issue_license(order, &at(NOW)).unwrap()
    };
    let waits = LicenseOrder {
        effective: Some(START.plus(500 * DAY)),
        ..LicenseOrder::new(license.id, 1, ChangeRequest::Amend(more_calls()))
    };
    let license = issuer.change_license(&waits, &at(NOW)).unwrap();
    if state != State::Suspended {
        return license;
    }
    let suspend = LicenseOrder::new(license.id, 2, ChangeRequest::Suspend);
    issuer.change_license(&suspend, &at(NOW)).unwrap()
}

on_every_store![
    the_second_of_two_who_decided_on_one_revision_is_told_so,
    of_two_operators_at_once_one_wins,
    a_request_that_is_repeated_is_carried_out_once,
    a_name_is_free_again_if_nothing_came_of_its_request,
    many_at_once_are_carried_out_one_by_one_and_once,
    a_batch_that_is_run_again_answers_what_it_answered,
    a_clock_that_is_a_little_behind_is_lifted_to_the_newest_entry,
    a_clock_that_is_far_behind_writes_nothing,
];

fn the_second_of_two_who_decided_on_one_revision_is_told_so(store: Store) {
    let home = Home::new(store);
    let mut one = two_customers(&home);
    let mut two = home.open().unwrap();
    for first in KINDS {
        for second in KINDS {
            for state in first.states() {
                let license = license_in(&mut one, *state);
                first.act(&mut one, license.id, license.revision).unwrap();
                let found = one.license(license.id).unwrap();
                let refused = second.act(&mut two, license.id, license.revision);
                let case = format!("{first:?} and then {second:?} of {state}");
                let Err(Error::Conflict {
                    expected,
                    found: newest,
                    ..
                }) = refused
                else {
                    panic!("{case}: {refused:?}");
                };
                assert_eq!(
                    (expected, newest),
                    (license.revision, found.revision),
                    "{case}"
                );
                assert_eq!(two.license(license.id).unwrap(), found, "{case}");
            }
        }
    }
    one.verify_ledger(None, |_| {}).unwrap();
}

fn of_two_operators_at_once_one_wins(store: Store) {
    let home = Home::new(store);
    let mut one = two_customers(&home);
    let mut two = home.open().unwrap();
    let mut races = 0;
    for state in [State::Draft, State::Active, State::Suspended] {
        let allowed = || {
            KINDS
                .into_iter()
                .filter(|kind| kind.states().contains(&state))
        };
        for (first, second) in allowed().flat_map(|one| allowed().map(move |two| (one, two))) {
            let license = license_in(&mut one, state);
            let start = Barrier::new(2);
            let act = |kind: Kind, issuer: &mut Issuer| {
                start.wait();
                kind.act(issuer, license.id, license.revision)
            };
            let outcomes = thread::scope(|scope| {
                let other = scope.spawn(|| act(second, &mut two));
                [act(first, &mut one), other.join().unwrap()]
            });
            let codes = outcomes.map(|outcome| outcome.map_or_else(|e| e.code(), |()| "won"));
            let won = ["won", "revision-conflict"];
            assert!(
                codes == won || codes == [won[1], won[0]],
                "{first:?} and {second:?} of {state}: {codes:?}"
            );
            races += 1;
        }
    }
    // Four kinds fit a draft, seven a trial in force, three a license that is suspended.
    assert_eq!(races, 4 * 4 + 7 * 7 + 3 * 3);
    one.verify_ledger(None, |_| {}).unwrap();
}

/// How many events there are.
fn events(folder: &Path) -> i64 {
    Sql::open(folder).number("SELECT count(*) FROM events")
}

fn named(name: &str, now: UnixTime) -> Context {
    Context {
        idempotency_key: Some(name.into()),
        ..at(now)
    }
}

fn order(plan: &str) -> NewLicense {
    NewLicense {
        expires: Some(START.plus(1000 * DAY)),
        ..NewLicense::new("globex", PRODUCT, plan)
    }
}

/// Does it twice under one name; the second time nothing is recorded and the answer is the same.
#[track_caller]
fn twice<T: PartialEq + std::fmt::Debug>(folder: &Path, mut work: impl FnMut(UnixTime) -> T) -> T {
    let first = work(NOW);
    let recorded = events(folder);
    assert_eq!(work(NOW.plus(60)), first);
    assert_eq!(events(folder), recorded);
    first
}

#[track_caller]
fn conflicts<T: std::fmt::Debug>(folder: &Path, outcome: Result<T, Error>, before: i64) {
    assert_eq!(outcome.unwrap_err().code(), "idempotency-conflict");
    assert_eq!(events(folder), before);
}

fn a_request_that_is_repeated_is_carried_out_once(store: Store) {
    let home = Home::new(store);
    let mut issuer = two_customers(&home);
    let folder = home.path();
    let license = twice(folder, |now| {
        let outcome = issuer.issue_license(order("team"), &named("issue", now));
        outcome.unwrap()
    });
    let draft = twice(folder, |now| {
        let drafted = issuer.draft_license(order("team"), &named("draft", now));
        drafted.unwrap()
    });
    assert_ne!(license.id, draft.id);
    let change = LicenseOrder::new(license.id, 1, ChangeRequest::Amend(more_calls()));
    let changed = twice(folder, |now| {
        issuer
            .change_license(&change, &named("change", now))
            .unwrap()
    });
    assert_eq!(changed.revision, 2);
    let (_, new) = twice(folder, |now| {
        let named = named("transfer", now);
        issuer
            .transfer_license(license.id, 2, "initech", &named)
            .unwrap()
    });
    // Under one name there is one request, whatever it is.
    let recorded = events(folder);
    let again = issuer.issue_license(order("team"), &named("transfer", NOW));
    conflicts(folder, again, recorded);
    let other = NewLicense {
        grace: DAY,
        ..order("team")
    };
    conflicts(
        folder,
        issuer.issue_license(other, &named("issue", NOW)),
        recorded,
    );
    let drafted = issuer.draft_license(order("team"), &named("issue", NOW));
    conflicts(folder, drafted, recorded);
    let suspend = LicenseOrder::new(new.id, 1, ChangeRequest::Suspend);
    conflicts(
        folder,
        issuer.change_license(&suspend, &named("change", NOW)),
        recorded,
    );
    let back = issuer.transfer_license(new.id, 1, "globex", &named("transfer", NOW));
    conflicts(folder, back, recorded);
    issuer
        .change_license(&suspend, &named("suspend", NOW))
        .unwrap();
    assert_eq!(events(folder), recorded + 1);
}

fn a_name_is_free_again_if_nothing_came_of_its_request(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let refused = issuer.issue_license(order("gold"), &named("issue", NOW));
    assert_eq!(refused.unwrap_err().code(), "entitlement-invalid");
    issuer
        .issue_license(order("team"), &named("issue", NOW))
        .unwrap();
}

fn many_at_once_are_carried_out_one_by_one_and_once(store: Store) {
    let home = Home::new(store);
    let mut issuer = two_customers(&home);
    let folder = home.path();
    let orders = || vec![order("team"), order("gold"), order("team")];
    let codes = |outcomes: Vec<Result<LicenseRecord, Error>>| {
        let code = |outcome: Result<LicenseRecord, Error>| match outcome {
            Ok(record) => record.id.to_string(),
            Err(error) => error.code().to_owned(),
        };
        outcomes.into_iter().map(code).collect::<Vec<_>>()
    };
    let answers = twice(folder, |now| {
        codes(
            issuer
                .issue_licenses(orders(), &named("many", now))
                .unwrap(),
        )
    });
    assert_eq!(answers[1], "entitlement-invalid");
    let licenses = issuer.licenses(None, None).unwrap();
    assert_eq!(licenses.len(), 2);
    let suspend =
        |license: &LicenseRecord, base| LicenseOrder::new(license.id, base, ChangeRequest::Suspend);
    // The second order finds what the first one did; the third has no license.
    let orders = [
        suspend(&licenses[0], 1),
        suspend(&licenses[0], 2),
        LicenseOrder::new(
            LicenseId::from_bytes(*b"nobody's"),
            1,
            ChangeRequest::Suspend,
        ),
        suspend(&licenses[1], 1),
    ];
    let changed = twice(folder, |now| {
        codes(
            issuer
                .change_licenses(&orders, &named("change", now))
                .unwrap(),
        )
    });
    assert_eq!(changed[1..3], ["transition-refused", "not-found"]);
    let recorded = events(folder);
    // The part at each place has a name of its own.
    let one = issuer.change_license(&orders[3], &named("change/0", NOW));
    conflicts(folder, one, recorded);
    let same = issuer
        .change_license(&orders[3], &named("change/3", NOW))
        .unwrap();
    assert_eq!(same.revision, 2);
    assert_eq!(events(folder), recorded);
    issuer.verify_ledger(None, |_| {}).unwrap();
}

fn a_batch_that_is_run_again_answers_what_it_answered(store: Store) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let tokens = twice(home.path(), |now| {
        let rows = workshop::batch(&mut issuer, "row", 30, now, |_| {}).unwrap();
        let tokens = rows.into_iter().map(|row| row.outcome.unwrap().token);
        tokens.collect::<Vec<_>>()
    });
    assert_eq!(tokens.len(), 30);
    // Rows have names of their own, which no other request takes away from them.
    let outcome = issuer.issue_license(order("team"), &named("row-0", NOW));
    outcome.unwrap();
}

/// A clock that stands so many seconds before the newest entry.
fn act_behind(store: Store, seconds: u64) -> (Result<LicenseRecord, Error>, i64) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    issuer.issue_license(order("team"), &at(NOW)).unwrap();
    let before = events(home.path());
    let outcome = issuer.issue_license(order("team"), &at(NOW.minus(seconds)));
    issuer.verify_ledger(None, |_| {}).unwrap();
    (outcome, events(home.path()) - before)
}

fn a_clock_that_is_a_little_behind_is_lifted_to_the_newest_entry(store: Store) {
    for behind in [1, 299, 300] {
        let (outcome, recorded) = act_behind(store, behind);
        assert_eq!(outcome.unwrap().issued_at, NOW);
        assert_eq!(recorded, 1);
    }
}

fn a_clock_that_is_far_behind_writes_nothing(store: Store) {
    for behind in [301, DAY] {
        let (outcome, recorded) = act_behind(store, behind);
        assert_eq!(outcome.unwrap_err().code(), "ledger-clock-behind");
        assert_eq!(recorded, 0);
    }
}
