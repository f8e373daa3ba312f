//! Units of quotas.

use std::time::Duration;

use phi_enforce::{Ask, Fault, MAX_BATCH, Outcome, Overage, Wall};
use phi_verify::{Allowance, Period, Quota};

use crate::{
    client::{Client, ask},
    rig::Rig,
};

const fn in_period(ask: Ask, period: Period) -> Ask {
    let quota = Quota {
        period,
        ..ask.quota
    };
    Ask { quota, ..ask }
}

pub(super) fn a_limit_is_never_exceeded(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    assert_eq!(one.units(ask(10, 7)), 7);
    let refused = other.grant(ask(10, 5));
    assert_eq!((refused.units, refused.remaining), (0, 3), "all or nothing");
    assert_eq!(other.units(ask(10, 3)), 3);
    for client in [&mut one, &mut other] {
        assert_eq!(client.units(ask(10, 1)), 0);
    }
    let other_license = Ask {
        key: phi_enforce::QuotaKey {
            license: phi_verify::LicenseId::from_bytes(*b"license2"),
            ..ask(10, 1).key
        },
        ..ask(10, 10)
    };
    assert_eq!(one.units(other_license), 10, "each license has its own");
}

pub(super) fn a_request_is_charged_once(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let first = client.try_grant(ask(10, 6));
    let caller = client.caller;
    for _ in 0..3 {
        assert_eq!(client.store.grant(caller, &[ask(10, 6)]).unwrap(), first);
    }
    rig.reopen();
    assert_eq!(rig.store().grant(caller, &[ask(10, 6)]).unwrap(), first);
    client.store = rig.store();
    assert_eq!(client.units(ask(10, 4)), 4);
    // One that was delayed comes after its node has gone on.
    let late = client.store.grant(caller, &[ask(10, 1)]).unwrap();
    assert_eq!(late, Outcome::Superseded);
    assert_eq!(client.units(ask(10, 1)), 0);
}

pub(super) fn a_number_means_one_request(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.grant(ask(10, 1));
    let error = client.store.seats(client.caller, &[]).unwrap_err();
    assert_eq!(error.fault(), Fault::Request);
}

pub(super) fn only_what_was_given_is_taken_back(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let grant = one.grant(ask(10, 8));
    assert_eq!(other.give_back(grant, 8), 0, "it was not its own");
    assert_eq!(one.give_back(grant, 5), 5);
    assert_eq!(one.give_back(grant, 5), 3, "it had no more");
    assert_eq!(other.units(ask(10, 10)), 10);
}

pub(super) fn a_period_ends_and_never_comes_again(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let start = rig.clock().as_ref();
    let start = phi_enforce::Clock::now(start).wall;
    for (period, length) in [
        (Period::Hour, 3600),
        (Period::Day, 86_400),
        (Period::Month, 31 * 86_400),
        (Period::Year, 366 * 86_400),
    ] {
        rig.clock().set_wall(start);
        let calls = in_period(ask(10, 10), period);
        let first = client.grant(calls);
        assert_eq!(first.units, 10);
        assert_eq!(client.units(calls), 0);
        let left = first.lasts.unwrap();
        assert!(left <= Duration::from_secs(length), "{period} {left:?}");
        rig.pass(left);
        let second = client.grant(calls);
        assert_eq!(
            (second.units, second.label.number),
            (10, first.label.number + 1)
        );
        rig.clock().set_wall(start);
        let again = client.grant(calls);
        assert_eq!((again.units, again.label), (0, second.label), "{period}");
        rig.clock()
            .set_wall(Wall::from_millis(start.millis() + 2 * length * 1000));
        assert_eq!(client.units(calls), 10);
    }
}

pub(super) fn a_license_that_changes_keeps_its_count(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let revised = |revision, limit, units| Ask {
        revision,
        ..ask(limit, units)
    };
    let grant = client.grant(revised(1, 10, 8));
    let lowered = client.grant(revised(2, 5, 1));
    assert_eq!(
        (lowered.units, lowered.remaining, lowered.limit),
        (0, 0, Allowance::Limited(5))
    );
    // A node with the license of before is told what holds now.
    let before = client.grant(revised(1, 10, 1));
    assert_eq!(
        (before.units, before.limit),
        (0, Allowance::Limited(5)),
        "an older revision raises nothing"
    );
    assert_eq!(client.units(revised(3, 20, 12)), 12);
    assert_eq!(client.units(revised(3, 20, 1)), 0);
    // An ask for nothing tells the terms.
    assert_eq!(client.units(revised(4, 2, 0)), 0);
    client.give_back(grant, 8);
    assert_eq!(client.units(revised(1, 20, 1)), 0);
}

pub(super) fn what_is_beyond_the_limit_is_told(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let calls = |units| Ask {
        overage: Overage::Allow(3),
        ..ask(10, units)
    };
    assert_eq!(client.grant(calls(9)).beyond, 0);
    let over = client.grant(calls(3));
    assert_eq!((over.units, over.beyond, over.remaining), (3, 2, 1));
    assert_eq!(client.units(calls(2)), 0);
    assert_eq!(client.units(ask(10, 1)), 0, "who allows none has none");
    assert_eq!(client.grant(calls(1)).beyond, 1);
}

pub(super) fn a_burst_is_paid_back(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let calls = |units| Ask {
        overage: Overage::Burst(4),
        ..in_period(ask(10, units), Period::Hour)
    };
    let hour = Duration::from_secs(3600);
    assert_eq!(client.units(calls(14)), 14);
    assert_eq!(client.units(calls(1)), 0);
    rig.pass(hour);
    let second = client.grant(calls(10));
    assert_eq!((second.units, second.beyond), (10, 4));
    assert_eq!(client.units(calls(1)), 0, "ten and four, less four");
    rig.pass(hour);
    assert_eq!(client.units(calls(10)), 10, "it still owes four");
    rig.pass(2 * hour);
    assert_eq!(client.units(calls(14)), 14, "an hour without use paid all");
}

pub(super) fn slices_shrink_to_the_last_unit(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    other.grant(ask(10_000, 0));
    one.grant(ask(10_000, 0));
    let greedy = |least| Ask {
        at_least: least,
        at_most: 100_000,
        ..ask(10_000, 0)
    };
    assert_eq!(one.units(greedy(0)), 50, "a hundredth, for two nodes");
    assert_eq!(one.units(greedy(80)), 80, "what is needed at once is given");
    let more = Ask {
        in_hand: 30,
        ..greedy(0)
    };
    assert_eq!(one.units(more), 20, "with what it has");
    let (mut given, mut smallest) = (150, u64::MAX);
    while given < 10_000 {
        let client = if given % 2 == 0 { &mut one } else { &mut other };
        let grant = client.grant(greedy(1));
        assert!(grant.units >= 1 && grant.units <= 50);
        given += grant.units;
        smallest = grant.units;
        assert_eq!(grant.remaining, 10_000 - given);
    }
    assert_eq!((given, smallest), (10_000, 1));
    assert_eq!(one.units(greedy(1)), 0);
}

pub(super) fn what_is_unlimited_is_counted(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let quota = Quota {
        allowance: Allowance::Unlimited,
        period: Period::Lifetime,
    };
    let calls = Ask {
        quota,
        ..ask(0, 1_000_000)
    };
    assert_eq!(client.units(calls), 1_000_000);
    let limited = Ask {
        revision: 2,
        ..ask(1_000_001, 2)
    };
    assert_eq!(client.units(limited), 0, "what was used counts");
}

pub(super) fn a_request_keeps_to_the_rules(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let asks = vec![ask(10, 1); MAX_BATCH + 1];
    client.caller.request = 1;
    let refused = client.store.grant(client.caller, &asks).unwrap_err();
    assert_eq!(refused.fault(), Fault::Request);
    assert_eq!(client.units(ask(10, 10)), 10, "nothing of it was charged");
    assert_eq!(client.units(ask(u64::MAX, u64::MAX)), 0);
    let name = "n".repeat(257);
    let refused = client
        .store
        .hello(client.caller.incarnation, &name, None)
        .unwrap_err();
    assert_eq!(refused.fault(), Fault::Request);
}
