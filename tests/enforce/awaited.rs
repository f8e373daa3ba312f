//! Calls that a task awaits: on one thread, so that whatever blocks it never ends.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use phi_enforce::{BorrowedSeat, Borrowing, Patience, Policy, Refusal, SeatPolicy, SiteKey, Step};
use phi_tests::snakeoil::{DAY, NOW, PRODUCT};
use phi_verify::{Binding, Fingerprint};

use crate::{
    client::Client,
    gate::{Desk, calls, occupant, threaded},
    licenses::{CALLS, SEATS, verify},
    rig::{Rig as _, SqliteRig},
};

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// Runs everything on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

/// Polls once. What comes later wakes nobody.
fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_task_that_waits_lets_others_of_its_thread_go_on() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(100));
    let ann = occupant("ann");
    block_on(async {
        let carry = async {
            // The other future waits by now.
            desk.settle();
        };
        let (taken, ()) = tokio::join!(gate.take_async(CALLS, 3), carry);
        assert_eq!(taken.unwrap().left, 97);
        let carry = async { desk.settle() };
        let (lease, ()) = tokio::join!(gate.lease_async(SEATS, &ann), carry);
        let lease = lease.unwrap();
        assert_eq!((lease.check(), lease.occupant()), (Ok(()), &ann));
    });
}

#[test]
fn what_is_in_the_hand_is_not_waited_for() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(100_000));
    for _ in 0..300 {
        if gate.try_take(CALLS, 1).is_err() {
            desk.settle();
        }
    }
    desk.settle();
    assert!(matches!(
        poll(gate.take_async(CALLS, 1)),
        Poll::Ready(Ok(_))
    ));
    let unknown = phi_verify::QuotaCode::new(7);
    let refused = Poll::Ready(Err(Refusal::NotGranted));
    assert_eq!(poll(gate.take_async(unknown, 1)), refused);
}

/// Polled once in a runtime, and dropped.
fn begin_and_drop<T>(future: impl Future<Output = T>) {
    block_on(async {
        tokio::select! {
            biased;
            _ = future => panic!("it waits"),
            () = std::future::ready(()) => {}
        }
    });
}

#[test]
fn a_claim_that_nobody_awaits_any_more_is_given_up() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(1));
    let mut other = Client::new(desk.rig.store(), 9);
    // Before the store has heard of it.
    begin_and_drop(gate.lease_async(SEATS, &occupant("ann")));
    desk.settle();
    assert_eq!(other.taken(), 0);
    // After it was given a seat that nobody collected.
    block_on(async {
        let ann = occupant("ann");
        let claim = gate.lease_within_async(SEATS, &ann, LONG);
        tokio::select! {
            biased;
            _ = claim => panic!("the answer comes with the other branch"),
            () = async { desk.settle() } => {}
        }
    });
    assert_eq!(other.taken(), 1);
    desk.settle();
    assert_eq!(other.taken(), 0);
    // From the queue.
    let held: Vec<_> = ["bob", "cid"]
        .iter()
        .map(|name| {
            let claim = || gate.try_lease(SEATS, &occupant(name), Patience::Queue);
            claim().unwrap_err();
            desk.settle();
            claim().unwrap()
        })
        .collect();
    block_on(async {
        let (ann, dan) = (occupant("ann"), occupant("dan"));
        let first = gate.lease_within_async(SEATS, &ann, LONG);
        tokio::select! {
            biased;
            _ = first => panic!("every seat is taken"),
            () = async { desk.settle() } => {}
        }
        let second = gate.lease_within_async(SEATS, &dan, LONG);
        let carry = async {
            desk.settle();
            drop(held);
            desk.settle();
            desk.rig.pass(Duration::from_secs(1));
            desk.settle();
        };
        let (lease, ()) = tokio::join!(second, carry);
        lease.unwrap().check().unwrap();
    });
    desk.settle();
    assert_eq!(other.taken(), 0, "the lease was dropped too");
}

#[test]
fn units_of_a_call_that_was_dropped_are_not_taken() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    begin_and_drop(gate.take_async(CALLS, 5));
    desk.settle();
    assert_eq!(gate.try_take(CALLS, 5).unwrap().left, 0);
}

/// A seat that is taken along, awaited; and one whose caller went away while the store was asked,
/// who has the same one by asking again.
#[test]
fn a_task_borrows_a_seat_and_hands_it_back() {
    let desk = Desk::new();
    let lent = SeatPolicy {
        borrowing: Some(Borrowing {
            longest: Duration::from_secs(DAY),
            percent: 50,
        }),
        ..SeatPolicy::default()
    };
    let policy = Policy::default().seats(SEATS, lent);
    let gate = desk.node.gate(&verify(&calls(1)), policy);
    let key = SiteKey::from_seed(&[7; 32].into()).unwrap();
    let machine = Fingerprint::new(PRODUCT).with("machine-id", "laptop");
    let machine = Binding::new(&machine, 1).unwrap();
    let ann = occupant("ann");
    let borrow = || gate.borrow_async(SEATS, &ann, &machine, NOW.plus(DAY), &key);
    block_on(async {
        tokio::select! {
            biased;
            _ = borrow() => panic!("the answer comes with the other branch"),
            () = async { desk.settle() } => {}
        }
    });
    let mut other = Client::new(desk.rig.store(), 9);
    assert_eq!(other.taken(), 1);
    let carry = async { desk.settle() };
    let (document, ()) = block_on(async { tokio::join!(borrow(), carry) });
    let document = document.unwrap();
    assert_eq!(other.taken(), 1, "it is the same seat");
    let seat = BorrowedSeat::open(&document, &[key.public().clone()]).unwrap();
    assert_eq!(seat.occupant(), &ann);
    let carry = async { desk.settle() };
    let (back, ()) = block_on(async { tokio::join!(gate.hand_back_async(&seat), carry) });
    assert_eq!((back, other.taken()), (Ok(()), 0));
}

#[test]
fn patience_ends_by_the_nodes_clock() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let late = async {
        let Step::Send(request) = desk.node.next() else {
            panic!("the task asks for units");
        };
        desk.rig.pass(Duration::from_secs(3));
        // An answer that nobody waits for makes everyone look again.
        let answer = request.send(&*desk.rig.store());
        desk.node.answered(&request, answer);
    };
    let (taken, ()) = block_on(async { tokio::join!(gate.take_async(CALLS, 5), late) });
    assert_eq!(taken, Err(Refusal::Unavailable(None)));
}

#[test]
fn threads_and_tasks_of_one_node_are_all_answered() {
    let rig = SqliteRig::new();
    let node = Arc::new(threaded(&rig, "node"));
    let gate = node.gate(&verify(&calls(400)), Policy::default());
    let taken = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..50).filter(|_| gate.take(CALLS, 1).is_ok()).count()))
            .collect();
        let tasks = scope.spawn(|| {
            block_on(async {
                let task = || async {
                    let mut taken = 0;
                    for _ in 0..50 {
                        taken += usize::from(gate.take_async(CALLS, 1).await.is_ok());
                    }
                    taken
                };
                let (a, b, c, d) = tokio::join!(task(), task(), task(), task());
                a + b + c + d
            })
        });
        let threads: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        threads + tasks.join().unwrap()
    });
    assert_eq!(taken, 400);
    assert!(gate.take(CALLS, 1).is_err());
}
