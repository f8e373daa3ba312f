//! Stores that start again, and stores that went back.

use phi_enforce::{Grant, Held, Incarnation, Outcome, Return, SeatAnswer};

use crate::{
    client::{CALLS, Client, LEASE, SEATS, ask, claim, occupant},
    rig::{Rig, SqliteRig},
};

const fn held(grant: Grant, units: u64) -> Held {
    Held::Units(Return {
        key: CALLS,
        label: grant.label,
        units,
    })
}

pub(super) fn a_stranger_has_to_introduce_itself(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.caller.incarnation = Incarnation::from_bytes([9; 16]);
    assert_eq!(client.try_grant(ask(10, 1)), Outcome::StaleEpoch);
    client.hello(rig.store());
    client.caller.epoch.restores += 7;
    client.caller.seen = 0;
    let mut other = client.clone();
    other.caller.epoch.store = [0; 16];
    assert_eq!(other.try_grant(ask(10, 1)), Outcome::StaleEpoch);
    assert_eq!(client.try_grant(ask(10, 1)), Outcome::StaleEpoch);
}

pub(super) fn a_store_that_starts_again_knows_everything(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.grant(ask(10, 6));
    let fence = client.fence(claim(1, "ann"));
    rig.reopen();
    let epoch = client.caller.epoch;
    let hello = client.hello(rig.store());
    assert_eq!((hello.epoch, hello.learning), (epoch, None));
    assert_eq!(client.units(ask(10, 5)), 0);
    assert_eq!(client.renew(fence), SeatAnswer::Renewed);
    assert_eq!(client.units(ask(10, 4)), 4);
}

pub(super) fn a_store_that_went_back_learns(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    one.grant(ask(10, 3));
    rig.back_up();
    one.store = rig.store();
    other.store = rig.store();
    let grant = one.grant(ask(10, 6));
    rig.roll_back();
    // The one that saw nothing of it cannot know.
    other.store = rig.store();
    // The one that did tells, with its next request.
    one.store = rig.store();
    assert_eq!(one.try_grant(ask(10, 1)), Outcome::StaleEpoch);
    assert_eq!(other.try_grant(ask(10, 1)), Outcome::StaleEpoch);
    let hello = one.hello(rig.store());
    assert!(hello.epoch.restores > 0);
    assert!(hello.learning.is_some());
    other.hello(rig.store());
    assert!(matches!(
        other.try_grant(ask(10, 1)),
        Outcome::Learning { .. }
    ));
    one.reassert(&[held(grant, 9)]);
    rig.learned();
    assert_eq!(other.units(ask(10, 2)), 0);
    assert_eq!(other.units(ask(10, 1)), 1);
}

/// Put back twice to the same state, it begins two epochs: whoever is of the first has to introduce
/// itself to the second, however much the store has counted by then.
pub(super) fn a_store_that_goes_back_twice_has_two_epochs(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    rig.back_up();
    rig.restore();
    one.hello(rig.store());
    rig.learned();
    one.grant(ask(10, 6));
    rig.restore();
    other.hello(rig.store());
    rig.learned();
    for _ in 0..4 {
        other.grant(ask(10, 1));
    }
    assert_ne!(one.caller.epoch, other.caller.epoch);
    assert_eq!(one.try_grant(ask(10, 1)), Outcome::StaleEpoch);
}

pub(super) fn a_store_that_went_back_is_told_of_seats(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    rig.back_up();
    one.hello(rig.store());
    let fence = one.fence(claim(1, "ann"));
    rig.roll_back();
    one.hello(rig.store());
    other.hello(rig.store());
    assert!(matches!(
        other.acquire(claim(1, "bob")),
        SeatAnswer::Learning { .. }
    ));
    one.reassert(&[Held::Seat {
        pool: SEATS,
        fence,
        occupant: occupant("ann", ""),
        group: None,
        lease: LEASE,
    }]);
    assert_eq!(one.renew(fence), SeatAnswer::Renewed);
    rig.learned();
    let (_, seen) = other.full(claim(1, "bob"));
    assert_eq!(one.renew(fence), SeatAnswer::Renewed);
    assert_eq!(other.evict(seen[0]), SeatAnswer::Changed);
    one.release("ann", "");
    assert!(other.fence(claim(1, "bob")) > fence, "fences still rise");
}

pub(super) fn a_grant_that_never_arrived_is_free_again(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let grant = client.grant(ask(10, 4));
    // The answer to this one is lost, and then the connection.
    client.try_grant(ask(10, 6));
    client.reassert(&[held(grant, 4)]);
    assert_eq!(client.units(ask(10, 6)), 6);
    assert_eq!(client.units(ask(10, 1)), 0);
}

pub(super) fn learning_goes_on_after_a_start(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    rig.back_up();
    client.hello(rig.store());
    client.grant(ask(10, 1));
    rig.roll_back();
    client.hello(rig.store());
    rig.pass(LEASE);
    rig.reopen();
    let hello = client.hello(rig.store());
    assert!(hello.epoch.restores > 0);
    rig.pass(LEASE);
    assert!(
        matches!(client.try_grant(ask(10, 1)), Outcome::Learning { .. }),
        "the window began again"
    );
    rig.learned();
    assert_eq!(client.units(ask(10, 1)), 1);
    rig.reopen();
    assert_eq!(client.hello(rig.store()).learning, None);
}

pub(super) fn a_seat_is_reasserted_only_while_the_store_learns(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let fence = one.fence(claim(1, "ann"));
    let (_, seen) = other.full(claim(1, "bob"));
    other.evict(seen[0]);
    other.fence(claim(1, "bob"));
    one.reassert(&[Held::Seat {
        pool: SEATS,
        fence,
        occupant: occupant("ann", ""),
        group: None,
        lease: LEASE,
    }]);
    assert_eq!(one.taken(), 1, "the seat is another's by now");
    assert_eq!(one.renew(fence), SeatAnswer::Lost);
}

pub(super) fn a_new_store_learns_from_nodes_of_the_old_one(rig: &mut dyn Rig) {
    let old = SqliteRig::new();
    let mut client = Client::new(old.store(), 1);
    let grant = client.grant(ask(10, 8));
    let mut other = Client::new(rig.store(), 2);
    assert!(client.hello(rig.store()).learning.is_some());
    client.reassert(&[held(grant, 8)]);
    other.hello(rig.store());
    rig.learned();
    assert_eq!(other.units(ask(10, 3)), 0);
    assert_eq!(other.units(ask(10, 2)), 2);
}

/// Nobody who remembers is needed when the store is told.
pub(super) fn a_store_that_is_said_to_be_restored_gives_nothing_out(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    rig.back_up();
    let grant = one.grant(ask(10, 9));
    let fence = one.fence(claim(1, "ann"));
    rig.restore();
    // The one that saw nothing of it asks first.
    assert_eq!(other.try_grant(ask(10, 2)), Outcome::StaleEpoch);
    other.hello(rig.store());
    assert!(matches!(
        other.try_grant(ask(10, 2)),
        Outcome::Learning { .. }
    ));
    one.hello(rig.store());
    one.reassert(&[held(grant, 9)]);
    one.caller.seen = 0;
    rig.learned();
    assert_eq!(other.units(ask(10, 2)), 0);
    assert!(other.fence(claim(1, "bob")) > fence, "fences still rise");
}

/// A store that went back has a seat again that was given up, beside the one that was given instead.
pub(super) fn a_seat_that_was_given_up_does_not_come_back(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    one.fence(claim(1, "ann"));
    rig.back_up();
    one.release("ann", "");
    let fence = other.fence(claim(1, "bob"));
    rig.restore();
    one.hello(rig.store());
    other.hello(rig.store());
    other.reassert(&[Held::Seat {
        pool: SEATS,
        fence,
        occupant: occupant("bob", ""),
        group: None,
        lease: LEASE,
    }]);
    rig.learned();
    // The same holder on another machine is no way around it.
    let mut third = Client::new(rig.store(), 3);
    third.full(claim(1, "ann"));
    one.full(claim(1, "ann"));
    assert_eq!(other.renew(fence), SeatAnswer::Renewed);
    assert_eq!(other.taken(), 1);
}
