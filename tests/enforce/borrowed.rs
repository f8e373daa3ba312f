//! Seats that machines take along: what the document says to whom, and for how long.

use std::{sync::Arc, time::Duration};

use phi_enforce::{
    About, Act, BorrowError, BorrowedSeat, Borrowing, Gate, HandClock, LOAN_MARGIN,
    MAX_BORROWED_SEAT, Node, Occupant, Policy, Refusal, SeatPolicy, SiteKey, borrowed_from_text,
    borrowed_to_text,
};
use phi_tests::snakeoil::{self, DAY, NOW, PRODUCT};
use phi_verify::{Binding, Claims, Fingerprint, LicenseId, Period, PublicKey, UnixTime};

use crate::{
    licenses::{SEATS, claims, limited, verify},
    rig::{Rig as _, SqliteRig},
};

/// A site that lends half of its seats for up to a week.
struct Site {
    node: Node,
    gate: Gate,
    key: SiteKey,
    rig: SqliteRig,
}

impl Site {
    fn new(seats: u64) -> Self {
        Self::with(&terms(seats), Some(LENT))
    }

    fn with(claims: &Claims, borrowing: Option<Borrowing>) -> Self {
        let rig = SqliteRig::new();
        let clock = Arc::<HandClock>::clone(rig.clock());
        let node = Node::start(rig.store(), clock, "node").unwrap();
        let policy = SeatPolicy {
            borrowing,
            ..SeatPolicy::default()
        };
        let policy = Policy::default().seats(SEATS, policy);
        Self {
            gate: node.gate(&verify(claims), policy),
            node,
            key: SiteKey::from_seed(&[7; 32].into()).unwrap(),
            rig,
        }
    }

    fn borrow(&self, holder: &str, days: u64) -> Result<Vec<u8>, Refusal> {
        let machine = Binding::new(&machine("laptop"), 2).unwrap();
        let until = NOW.plus(days * DAY);
        let occupant = occupant(holder);
        self.gate
            .borrow(SEATS, &occupant, &machine, until, &self.key)
    }

    fn open(&self, document: &[u8]) -> BorrowedSeat {
        BorrowedSeat::open(document, &self.keys()).unwrap()
    }

    fn keys(&self) -> [PublicKey; 1] {
        [self.key.public().clone()]
    }

    fn pass(&self, seconds: u64) {
        self.rig.pass(Duration::from_secs(seconds));
    }
}

const LENT: Borrowing = Borrowing {
    longest: Duration::from_secs(7 * DAY),
    percent: 50,
};

fn terms(seats: u64) -> Claims {
    claims(limited(1, Period::Lifetime), seats)
}

fn occupant(holder: &str) -> Occupant {
    Occupant {
        holder: holder.into(),
        session: "away".into(),
    }
}

fn machine(name: &str) -> Fingerprint {
    Fingerprint::new(PRODUCT)
        .with("machine-id", name)
        .with("disk", "1234")
        .with("board", name)
}

#[track_caller]
fn check(seat: &BorrowedSeat, name: &str, now: UnixTime) -> Result<(), BorrowError> {
    let license = verify(&terms(4));
    seat.check(&license, &machine(name), &snakeoil::trust(), now)
}

#[test]
fn a_seat_is_its_machines_for_its_time() {
    let site = Site::new(4);
    let document = site.borrow("ann", 3).unwrap();
    assert!(document.len() < MAX_BORROWED_SEAT / 2);
    let seat = site.open(&document);
    let word = borrowed_to_text(&document);
    assert_eq!(borrowed_from_text(&format!("{word}\n")), Ok(document));
    for text in [
        "",
        &word[1..],
        &word[..word.len() - 3],
        "phi.borrowed-seat.+",
    ] {
        let read = borrowed_from_text(text);
        let opened = read.and_then(|document| BorrowedSeat::open(&document, &site.keys()));
        assert_eq!(opened, Err(BorrowError::Malformed), "{text}");
    }
    assert_eq!((seat.occupant(), seat.limit()), (&occupant("ann"), SEATS));
    assert_eq!((seat.from(), seat.until()), (NOW, NOW.plus(3 * DAY)));
    assert_eq!(check(&seat, "laptop", NOW), Ok(()));
    assert_eq!(check(&seat, "laptop", NOW.plus(3 * DAY - 1)), Ok(()));
    let ended = Err(BorrowError::Ended(seat.until()));
    assert_eq!(check(&seat, "laptop", seat.until()), ended);
    let early = NOW.minus(301);
    assert_eq!(check(&seat, "laptop", early), Err(BorrowError::NotYet(NOW)));
    // A copy on another machine, which shares a component with the first.
    assert_eq!(check(&seat, "desk", NOW), Err(BorrowError::OtherMachine));
    let other = Claims {
        license_id: LicenseId::from_bytes([9; 8]),
        ..terms(4)
    };
    let trust = snakeoil::trust();
    let other = seat.check(&verify(&other), &machine("laptop"), &trust, NOW);
    assert_eq!(other, Err(BorrowError::OtherLicense(seat.license())));
    let without = verify(&terms(0));
    let without = seat.check(&without, &machine("laptop"), &trust, NOW);
    assert_eq!(without, Err(BorrowError::NotGranted));
}

/// What was shown once is past: neither a day back, which is tolerated of licenses, nor more gains
/// anything.
#[test]
fn a_clock_that_is_set_back_gains_nothing() {
    let site = Site::new(4);
    let seat = site.open(&site.borrow("ann", 3).unwrap());
    let license = verify(&terms(4));
    let mut trust = snakeoil::trust();
    let mut at = |seconds: u64| {
        let now = NOW.plus(seconds);
        trust.observe(now);
        seat.check(&license, &machine("laptop"), &trust, now)
    };
    for hour in 0..72 {
        assert_eq!(at(hour * 3600), Ok(()));
    }
    let ended = Err(BorrowError::Ended(seat.until()));
    assert_eq!(at(72 * 3600), ended);
    assert_eq!(at(60 * 3600), ended, "half a day back");
    assert_eq!(at(3600), Err(BorrowError::ClockRolledBack));
}

#[test]
fn a_document_is_whole_and_the_sites_own() {
    let site = Site::new(4);
    let document = site.borrow("ann", 3).unwrap();
    let keys = site.keys();
    for at in 0..document.len() {
        let mut altered = document.clone();
        altered[at] ^= 1;
        assert!(BorrowedSeat::open(&altered, &keys).is_err(), "byte {at}");
        assert!(BorrowedSeat::open(&document[..at], &keys).is_err());
    }
    let longer = [&document[..], &[0]].concat();
    assert!(BorrowedSeat::open(&longer, &keys).is_err());
    assert!(BorrowedSeat::open(&[0x83; 4096], &keys).is_err());
    let thief = SiteKey::from_seed(&[8; 32].into()).unwrap();
    let unknown = BorrowError::UnknownKey(site.key.public().id());
    let pinned = [thief.public().clone()];
    assert_eq!(BorrowedSeat::open(&document, &pinned), Err(unknown));
}

#[test]
fn lent_seats_are_taken_and_no_more_than_the_policy_says_are_lent() {
    let site = Site::new(4);
    let first = site.borrow("ann", 1).unwrap();
    site.borrow("bob", 30).unwrap();
    let away = Refusal::LoansFull { most: 2 };
    assert_eq!(site.borrow("cyd", 1).unwrap_err(), away);
    // Ann's other sessions, and whoever comes, have the two that are left.
    let ann = site.gate.lease(SEATS, &occupant("ann")).unwrap();
    let cyd = site.gate.lease(SEATS, &occupant("cyd")).unwrap();
    let dan = || site.gate.lease(SEATS, &occupant("dan"));
    let full = Refusal::Full { ahead: None };
    assert_eq!(dan().unwrap_err(), full);
    // For longer, and the same one again; not for less than it was told.
    let longer = site.open(&site.borrow("ann", 2).unwrap());
    assert_eq!(longer.until(), NOW.plus(2 * DAY));
    assert_eq!(longer.fence(), site.open(&first).fence());
    let shorter = site.open(&site.borrow("ann", 1).unwrap());
    assert_eq!(shorter, longer);
    site.gate.hand_back(&longer).unwrap();
    site.gate.hand_back(&longer).unwrap();
    let dan = dan().unwrap();
    assert_eq!(site.borrow("ann", 1).unwrap_err(), full, "it was given up");
    drop((ann, cyd, dan, site.node));
    let log = site.rig.sqlite().usage(0, 100).unwrap();
    let loans = log.iter().filter_map(|event| match &event.about {
        About::Loan { until, .. } => Some((event.act, until.seconds() / DAY)),
        _ => None,
    });
    let day = NOW.seconds() / DAY;
    let lent = |days| (Act::SeatBorrowed, day + days);
    let back = (Act::SeatHandedBack, day + 2);
    assert_eq!(
        loans.collect::<Vec<_>>(),
        [lent(1), lent(7), lent(2), lent(2), back]
    );
    assert_eq!(site.rig.audit(), Vec::<String>::new());
}

#[test]
fn a_lent_seat_comes_back_long_after_its_end_and_not_before() {
    let site = Site::new(2);
    let lent = site.open(&site.borrow("ann", 1).unwrap());
    let bob = site.gate.lease(SEATS, &occupant("bob")).unwrap();
    let cyd = || site.gate.lease(SEATS, &occupant("cyd"));
    site.pass(DAY + LOAN_MARGIN.as_secs() - 5);
    assert!(cyd().is_err());
    site.pass(5);
    let cyd = cyd().unwrap();
    assert!(cyd.fence() > lent.fence());
    // Who comes with the old document frees nothing of the others'.
    site.gate.hand_back(&lent).unwrap();
    assert!(site.gate.lease(SEATS, &occupant("dan")).is_err());
    drop((bob, cyd));
    assert_eq!(site.rig.audit(), Vec::<String>::new());
}

#[test]
fn a_loan_ends_with_the_license_and_is_the_policys_to_allow() {
    let ends = NOW.plus(2 * DAY);
    let soon = Claims {
        expires: Some(ends),
        grace: 0,
        ..terms(2)
    };
    let site = Site::with(&soon, Some(LENT));
    let seat = site.open(&site.borrow("ann", 6).unwrap());
    assert_eq!(seat.until(), ends);
    assert_eq!(site.borrow("ann", 0), Err(Refusal::NotBorrowable));
    site.gate.refuse("revoked");
    assert_eq!(site.borrow("ann", 1), Err(Refusal::Unlicensed("revoked")));
    let strict = Site::with(&terms(2), None);
    assert_eq!(strict.borrow("ann", 1), Err(Refusal::NotBorrowable));
    // Half of one seat is none.
    let single = Site::new(1);
    assert_eq!(single.borrow("ann", 1), Err(Refusal::NotBorrowable));
}
