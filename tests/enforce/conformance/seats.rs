//! Seats.

use std::time::Duration;

use phi_enforce::{
    Claim, Fault, Held, LOAN_MARGIN, Loan, Patience, SeatAnswer, SeatOp, Seen, Wall,
};
use phi_tests::snakeoil::{DAY, NOW};
use phi_verify::{Allowance, UnixTime};

use crate::{
    client::{Client, LEASE, SEATS, claim, occupant},
    rig::Rig,
};

fn session(mut claim: Claim, session: &str) -> Claim {
    claim.occupant.session = session.into();
    claim
}

fn queued(claim: Claim) -> Claim {
    Claim {
        patience: Patience::Queue,
        ..claim
    }
}

pub(super) fn no_more_seats_than_there_are(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let first = one.fence(claim(2, "ann"));
    let held = other.acquire(claim(2, "bob"));
    let SeatAnswer::Held { fence, free } = held else {
        panic!("{held:?}");
    };
    assert!(fence > first, "fences rise");
    assert_eq!(free, Allowance::Limited(0));
    let (ahead, silent) = one.full(claim(2, "eve"));
    assert_eq!((ahead, silent.len()), (None, 2));
    other.release("bob", "");
    assert!(one.fence(claim(2, "eve")) > fence);
    assert_eq!(one.taken(), 2);
    // Another's release frees nothing.
    other.release("eve", "");
    assert_eq!(one.taken(), 2);
}

pub(super) fn a_holder_has_one_seat(rig: &mut dyn Rig) {
    let (mut one, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let laptop = one.fence(session(claim(1, "ann"), "laptop"));
    let desk = other.fence(session(claim(1, "ann"), "desk"));
    assert!(desk > laptop);
    assert_eq!(one.taken(), 1);
    one.release("ann", "laptop");
    one.full(claim(1, "bob"));
    other.release("ann", "desk");
    one.fence(claim(1, "bob"));
}

pub(super) fn who_comes_back_takes_its_place_again(rig: &mut dyn Rig) {
    let (mut before, mut after) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let first = before.fence(claim(1, "ann"));
    assert_eq!(before.fence(claim(1, "ann")), first, "the same run");
    let second = after.fence(claim(1, "ann"));
    assert!(second > first);
    assert_eq!(after.taken(), 1, "there is no second seat");
    assert_eq!(before.renew(first), SeatAnswer::Lost);
    assert_eq!(before.release("ann", ""), SeatAnswer::Released);
    assert_eq!(after.renew(second), SeatAnswer::Renewed);
    assert_eq!(before.renew(second), SeatAnswer::Lost, "it is another's");
}

pub(super) fn only_who_is_silent_is_evicted(rig: &mut dyn Rig) {
    let (mut holder, mut waiter) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let fence = holder.fence(claim(1, "ann"));
    let (_, seen) = waiter.full(claim(1, "bob"));
    assert_eq!((seen[0].id, seen[0].lease), (fence, LEASE));
    assert_eq!(holder.renew(fence), SeatAnswer::Renewed);
    assert_eq!(waiter.evict(seen[0]), SeatAnswer::Changed);
    let (_, seen) = waiter.full(claim(1, "bob"));
    assert_eq!(waiter.evict(seen[0]), SeatAnswer::Evicted);
    assert_eq!(waiter.evict(seen[0]), SeatAnswer::Changed);
    assert_eq!(holder.renew(fence), SeatAnswer::Lost);
    assert!(waiter.fence(claim(1, "bob")) > fence);
    holder.full(claim(1, "ann"));
}

pub(super) fn the_queue_is_served_in_its_order(rig: &mut dyn Rig) {
    let mut clients: Vec<Client> = (1..=4).map(|name| Client::new(rig.store(), name)).collect();
    clients[0].fence(claim(1, "ann"));
    for (place, (client, name)) in (0..).zip([(1, "bob"), (2, "cyd"), (3, "dan")]) {
        let (ahead, _) = clients[client].full(queued(claim(1, name)));
        assert_eq!(ahead, Some(place));
    }
    clients[0].release("ann", "");
    let (ahead, _) = clients[0].full(claim(1, "eve"));
    assert_eq!(ahead, None, "nobody overtakes the queue");
    let (ahead, _) = clients[2].full(queued(claim(1, "cyd")));
    assert_eq!(ahead, Some(1), "asking again keeps the place");
    // The first in the queue is dead: whoever is behind sees it, and evicts it.
    let (_, silent) = clients[3].full(queued(claim(1, "dan")));
    let first = silent[0];
    assert_eq!(clients[3].evict(first), SeatAnswer::Evicted);
    clients[3].full(queued(claim(1, "dan")));
    clients[2].fence(queued(claim(1, "cyd")));
    clients[2].release("cyd", "");
    clients[3].fence(queued(claim(1, "dan")));
    assert_eq!(clients[3].taken(), 1);
}

pub(super) fn a_license_that_changes_keeps_its_seats(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let revised = |revision, seats, holder| Claim {
        revision,
        ..claim(seats, holder)
    };
    let ann = client.fence(revised(1, 2, "ann"));
    client.fence(revised(1, 2, "bob"));
    client.full(revised(2, 1, "cyd"));
    client.full(revised(1, 9, "cyd"));
    assert_eq!(client.renew(ann), SeatAnswer::Renewed, "who sits stays");
    client.release("bob", "");
    client.full(revised(2, 1, "cyd"));
    client.fence(revised(3, 2, "cyd"));
}

pub(super) fn extra_seats_are_given_out_beyond(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let over = |holder| Claim {
        extra: 1,
        ..claim(1, holder)
    };
    client.fence(over("ann"));
    client.fence(over("bob"));
    client.full(over("cyd"));
    client.release("ann", "");
    client.full(claim(1, "dan"));
}

/// A claim of a holder of the group, which has this many of the seats for itself.
fn grouped(seats: u64, kept: u64, group: &str, holder: &str) -> Claim {
    Claim {
        reserved: [("a", kept)].into_iter().collect(),
        group: Some(group.to_owned()).filter(|group| !group.is_empty()),
        ..claim(seats, holder)
    }
}

pub(super) fn the_last_seats_are_kept_for_a_group(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.fence(grouped(3, 2, "", "ann"));
    client.full(grouped(3, 2, "", "bob"));
    client.full(grouped(3, 2, "b", "bob"));
    client.fence(grouped(3, 2, "a", "cyd"));
    client.full(grouped(3, 2, "", "bob"));
    client.fence(grouped(3, 2, "a", "dan"));
    client.full(grouped(3, 2, "a", "eve"));
    client.release("dan", "");
    client.full(grouped(3, 2, "", "bob"));
    client.release("ann", "");
    client.fence(grouped(3, 2, "", "bob"));
    // Another session of a holder needs no seat, and is of the group of the first.
    client.fence(session(grouped(3, 2, "a", "bob"), "desk"));
    client.release("bob", "");
    client.full(grouped(3, 2, "", "ann"));
    client.release("bob", "desk");
    client.fence(grouped(3, 2, "", "ann"));
    assert_eq!(client.taken(), 2);
}

pub(super) fn a_group_fills_its_own_seats_first(rig: &mut dyn Rig) {
    let (mut client, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    client.fence(grouped(4, 2, "a", "ann"));
    client.fence(grouped(4, 2, "a", "bob"));
    client.fence(grouped(4, 2, "a", "cyd"));
    client.fence(grouped(4, 2, "", "dan"));
    // Who leaves makes room for the one of the group that is on an open seat.
    client.release("ann", "");
    client.fence(grouped(4, 2, "", "eve"));
    client.full(grouped(4, 2, "", "fay"));
    client.full(grouped(4, 2, "a", "gus"));
    // Who comes back in another run, and says another group, is still of the first.
    other.fence(grouped(4, 2, "", "bob"));
    other.release("eve", "");
    client.release("eve", "");
    client.fence(grouped(4, 2, "", "fay"));
    client.full(grouped(4, 2, "a", "gus"));
}

pub(super) fn who_cannot_be_seated_holds_up_nobody(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.fence(grouped(2, 1, "", "ann"));
    let (ahead, _) = client.full(queued(grouped(2, 1, "", "bob")));
    assert_eq!(ahead, Some(0));
    client.fence(queued(grouped(2, 1, "a", "cyd")));
    let (ahead, _) = client.full(queued(grouped(2, 1, "a", "dan")));
    assert_eq!(ahead, Some(1));
    // An open seat is the one's who was first; the group's own is the group's.
    client.release("ann", "");
    client.full(queued(grouped(2, 1, "a", "dan")));
    client.fence(queued(grouped(2, 1, "", "bob")));
    client.full(grouped(2, 1, "a", "eve"));
    client.release("cyd", "");
    client.full(grouped(2, 1, "a", "eve"));
    client.fence(queued(grouped(2, 1, "a", "dan")));
}

pub(super) fn reservations_that_change_take_nobodys_seat(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let ann = client.fence(grouped(3, 0, "", "ann"));
    let bob = client.fence(grouped(3, 0, "", "bob"));
    client.full(grouped(3, 9, "", "cyd"));
    assert_eq!(client.renew(ann), SeatAnswer::Renewed);
    assert_eq!(client.renew(bob), SeatAnswer::Renewed);
    // More are kept than there are: the group has what is left, and no more.
    client.fence(grouped(3, 9, "a", "dan"));
    client.full(grouped(3, 9, "a", "eve"));
    assert_eq!(client.taken(), 3);
    client.release("ann", "");
    client.full(grouped(3, 9, "", "ann"));
    client.fence(grouped(3, 0, "", "ann"));
}

pub(super) fn a_store_that_went_back_is_told_of_groups(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    rig.back_up();
    client.hello(rig.store());
    let fence = client.fence(grouped(2, 1, "a", "ann"));
    rig.restore();
    client.hello(rig.store());
    client.reassert(&[Held::Seat {
        pool: SEATS,
        fence,
        occupant: occupant("ann", ""),
        group: Some("a".into()),
        lease: LEASE,
    }]);
    rig.learned();
    client.fence(grouped(2, 1, "", "bob"));
    client.full(grouped(2, 1, "a", "cyd"));
}

/// What the store remembers of those who left must not be another's way onto the group's seat.
pub(super) fn a_store_that_went_back_keeps_the_seat_of_a_group(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    client.fence(grouped(3, 1, "", "ann"));
    let cyd = client.fence(grouped(3, 1, "", "cyd"));
    client.fence(grouped(3, 1, "a", "dan"));
    rig.back_up();
    client.hello(rig.store());
    client.release("ann", "");
    client.release("dan", "");
    let bob = client.fence(grouped(3, 1, "", "bob"));
    rig.restore();
    client.hello(rig.store());
    let held = |fence, holder| Held::Seat {
        pool: SEATS,
        fence,
        occupant: occupant(holder, ""),
        group: None,
        lease: LEASE,
    };
    client.reassert(&[held(cyd, "cyd"), held(bob, "bob")]);
    rig.learned();
    client.release("dan", "");
    client.full(grouped(3, 1, "", "ann"));
    client.fence(grouped(3, 1, "a", "dan"));
    assert_eq!(client.taken(), 3);
}

fn loan(claim: Claim, until: UnixTime) -> SeatOp {
    SeatOp::Borrow(Loan {
        claim,
        machine: b"a machine".to_vec(),
        longest: 7 * DAY,
        until,
        most: 2,
    })
}

#[track_caller]
fn borrowed(client: &mut Client, claim: Claim, until: UnixTime) -> (u64, UnixTime) {
    match client.seat(loan(claim, until)) {
        SeatAnswer::Borrowed { fence, from, .. } => (fence, from),
        other => panic!("{other:?}"),
    }
}

pub(super) fn a_seat_that_is_away_is_taken(rig: &mut dyn Rig) {
    let (mut client, mut other) = (Client::new(rig.store(), 1), Client::new(rig.store(), 2));
    let until = NOW.plus(DAY);
    let (fence, _) = borrowed(&mut client, grouped(3, 1, "a", "ann"), until);
    client.fence(grouped(3, 1, "", "bob"));
    borrowed(&mut client, grouped(3, 1, "", "cyd"), until);
    let (_, silent) = other.full(grouped(3, 1, "a", "dan"));
    assert_eq!(silent.len(), 1, "nobody waits for who is away");
    let seen = Seen {
        id: fence,
        heard: fence,
        lease: LEASE,
    };
    assert_eq!(other.evict(seen), SeatAnswer::Changed);
    assert_eq!(client.renew(fence), SeatAnswer::Lost);
    client.release("ann", "");
    rig.reopen();
    client.hello(rig.store());
    let full = client.seat(loan(grouped(9, 1, "", "eve"), until));
    assert_eq!(full, SeatAnswer::LoansFull, "two are away");
    client.seat(SeatOp::HandBack { pool: SEATS, fence });
    client.full(grouped(3, 1, "", "dan"));
    client.fence(grouped(3, 1, "a", "dan"));
    // All are taken; the other comes back by itself, two days and an hour after its end.
    rig.pass(Duration::from_secs(DAY - 1) + LOAN_MARGIN);
    client.full(grouped(3, 1, "", "eve"));
    rig.pass(Duration::from_secs(1));
    client.fence(grouped(3, 1, "", "eve"));
    assert_eq!(client.taken(), 3);
}

pub(super) fn a_clock_that_is_set_back_lends_nothing_of_the_past(rig: &mut dyn Rig) {
    let mut client = Client::new(rig.store(), 1);
    let (_, from) = borrowed(&mut client, claim(3, "ann"), NOW.plus(DAY));
    rig.reopen();
    rig.clock().set_wall(Wall::from(NOW.minus(30 * DAY)));
    client.hello(rig.store());
    let (_, again) = borrowed(&mut client, claim(3, "bob"), NOW.plus(DAY));
    assert_eq!((from, again), (NOW, NOW));
    let past = client.seat(loan(claim(3, "cyd"), NOW));
    assert!(matches!(past, SeatAnswer::Full { .. }));
}

pub(super) fn a_claim_keeps_to_the_rules(rig: &mut dyn Rig) {
    let client = Client::new(rig.store(), 1);
    let long = Claim {
        lease: LEASE + Duration::from_millis(1),
        ..claim(1, "ann")
    };
    let short = Claim {
        lease: Duration::from_millis(99),
        ..claim(1, "ann")
    };
    let name = "n".repeat(257);
    for claim in [
        long,
        short,
        claim(1, &name),
        session(claim(1, "ann"), &name),
        grouped(1, 1, &name, "ann"),
        Claim {
            group: Some(String::new()),
            ..claim(1, "ann")
        },
        Claim {
            reserved: (0..65).map(|number| (number.to_string(), 1)).collect(),
            ..claim(1, "ann")
        },
    ] {
        let mut caller = client.caller;
        caller.request = 1;
        let refused = client.store.seats(caller, &[SeatOp::Acquire(claim)]);
        assert_eq!(refused.unwrap_err().fault(), Fault::Request);
    }
    let mut client = client;
    let unknown = SeatOp::List { pool: SEATS };
    assert!(matches!(
        client.seat(unknown),
        SeatAnswer::Listed { taken: 0, .. }
    ));
}
