//! What a customer gains by setting the clock back again and again, in hours of use beyond those
//! of one who does not. Each run prints its numbers.

use phi_tests::snakeoil::{self, DAY, MACHINE, PRODUCT, START, Seed};
use phi_verify::{ClockPolicy, RevocationPolicy, Status, TrustState, UnixTime, Verifier};

const HOUR: u64 = 60 * 60;
const MINUTE: u64 = 60;

/// The first list; a new one comes every 30 days, and is good for 90.
const FIRST_LIST: UnixTime = START.plus(60 * DAY);

/// The day of the last second in which the license is good, its grace included.
const LICENSE_ENDS: UnixTime = START.plus((45 + 365 + 14) * DAY);

fn list(number: u64) -> (UnixTime, Vec<u8>) {
    let this_update = FIRST_LIST.plus(number * 30 * DAY);
    let status = Status {
        epoch: 10 * (number + 1),
        this_update,
        next_update: this_update.plus(30 * DAY),
        hard_expiry: this_update.plus(90 * DAY),
        form: snakeoil::full(Some(snakeoil::keyset().unsigned().payload_hash())),
        ..snakeoil::status()
    };
    (this_update, Seed::Status.sign(&status.unsigned()))
}

/// A machine whose clock shows what its owner likes, and the hours for which the license works.
struct Machine {
    trust: TrustState,
    token: String,
    clock: UnixTime,
    policy: ClockPolicy,
    lists: RevocationPolicy,
    used: u64,
}

impl Machine {
    fn new(policy: ClockPolicy, lists: RevocationPolicy) -> Self {
        let mut trust = snakeoil::trust().with_installation(MACHINE);
        trust.import(&list(0).1).unwrap();
        Self {
            trust,
            token: Seed::License.mint(&snakeoil::claims()),
            clock: FIRST_LIST.plus(DAY),
            policy,
            lists,
            used: 0,
        }
    }

    fn accepts(&self, now: UnixTime) -> bool {
        Verifier::new(&self.trust, PRODUCT, self.lists)
            .with_clock_policy(self.policy)
            .verify(&self.token, now)
            .is_ok()
    }

    /// Runs for so long, with a reading at the beginning and at the end: whether the license
    /// worked.
    fn run(&mut self, seconds: u64) -> bool {
        self.trust.observe(self.clock);
        let works = self.accepts(self.clock);
        if works {
            self.used += seconds;
        }
        self.clock = self.clock.plus(seconds);
        self.trust.observe(self.clock);
        works
    }

    /// Runs until the license is refused.
    fn run_out(&mut self) {
        while self.run(12 * HOUR) {}
    }

    const fn days(&self) -> u64 {
        self.used / DAY
    }
}

/// Days of use of a customer who imports each list as it comes.
fn honest(lists: RevocationPolicy) -> u64 {
    let mut machine = Machine::new(ClockPolicy::Deny, lists);
    let mut number = 1;
    while machine.run(12 * HOUR) {
        if machine.clock > list(number).0.plus(DAY) {
            machine.trust.import(&list(number).1).unwrap();
            number += 1;
        }
    }
    machine.days()
}

/// Days of use of one who keeps each list until the license is refused, and then sets the clock to
/// where it works again, beginning a day after that list.
fn withholding(lists: RevocationPolicy, jump: u64) -> (u64, u64) {
    let mut machine = Machine::new(ClockPolicy::Deny, lists);
    let mut resets = 0;
    for number in 1..=12 {
        machine.clock = machine.clock.plus(jump);
        machine.run_out();
        let shown = machine.clock;
        let (this_update, list) = list(number);
        machine.trust.import(&list).unwrap();
        let floor = machine.trust.observed_floor().unwrap();
        let tries = [this_update.plus(DAY), floor.minus(DAY), floor];
        let works = tries.into_iter().find(|now| machine.accepts(*now));
        machine.clock = works.unwrap_or(shown);
        resets += u64::from(machine.clock.plus(DAY) < shown);
    }
    machine.run_out();
    (machine.days(), resets)
}

/// A machine that jumped to the end of the century for a few days is set right and goes on with
/// the next list; what a list is worth to a customer who keeps it back is bounded all the same.
#[test]
fn withheld_lists_are_no_store_of_clock_resets() {
    for (name, policy) in [
        ("balanced", RevocationPolicy::Balanced),
        ("lenient", RevocationPolicy::Lenient),
    ] {
        let honest = honest(policy);
        for jump in [0, 36 * DAY] {
            let (days, resets) = withholding(policy, jump);
            println!(
                "{name}, jumps of {} days: honest {honest} days, withholding {days} days, the \
                 clock set back {resets} times",
                jump / DAY
            );
            assert!(days <= honest + 31, "{days} days instead of {honest}");
        }
    }
}

#[test]
fn a_machine_that_jumped_is_healed_by_the_next_list() {
    for (wrong, days) in [(73 * 365, 1), (73 * 365, 3), (73 * 365, 20), (20, 6)] {
        let mut machine = Machine::new(ClockPolicy::Deny, RevocationPolicy::Balanced);
        for _ in 0..24 * 25 {
            assert!(machine.run(HOUR));
        }
        let right = machine.clock;
        machine.clock = right.plus(wrong * DAY);
        for _ in 0..days * 24 {
            machine.run(HOUR);
        }
        machine.clock = right.plus(days * DAY + HOUR);
        assert_eq!(
            machine.run(HOUR),
            days == 1,
            "wrong by {wrong} for {days} days"
        );
        machine.trust.import(&list(1).1).unwrap();
        assert!(machine.run(HOUR), "wrong by {wrong} for {days} days");
    }
}

/// Two days at a time far ahead, and one reading of the right time before the third: nobody is
/// locked out by that, and nobody gets the days for nothing.
#[test]
fn days_far_ahead_that_are_corrected_are_counted() {
    let mut machine = Machine::new(ClockPolicy::Deny, RevocationPolicy::Lenient);
    let start = machine.clock;
    for _ in 0..100 {
        machine.clock = start;
        machine.run(0);
        machine.clock = start.plus(200 * DAY);
        for _ in 0..47 {
            machine.run(HOUR);
        }
    }
    println!("far ahead: {} of {} days", machine.days(), 100 * 47 / 24);
    assert!(machine.days() <= 14, "{} days", machine.days());
}

#[test]
fn a_grace_runs_out_though_the_clock_is_right_once_a_week() {
    let policy = ClockPolicy::Grace { seconds: 7 * DAY };
    let mut machine = Machine::new(policy, RevocationPolicy::Lenient);
    let wrong = machine.clock;
    // The license is over, and the clock is set back to a time at which it was not.
    let mut right = LICENSE_ENDS.plus(DAY);
    for _ in 0..4 {
        machine.clock = right;
        machine.run(0);
        right = right.plus(DAY);
    }
    machine.used = 0;
    for week in 0..20 {
        machine.clock = wrong.plus(week * 7 * DAY);
        for _ in 0..168 {
            machine.run(HOUR);
        }
        right = right.plus(7 * DAY);
        machine.clock = right;
        machine.run(0);
    }
    let hours = machine.used / HOUR;
    println!("a grace of 168 hours, right once a week: {hours} of 3360 hours");
    assert!((168..=200).contains(&hours), "{hours} hours");
}

#[test]
fn a_grace_runs_out_in_loops_of_less_than_an_hour() {
    let policy = ClockPolicy::Grace { seconds: 7 * DAY };
    let mut machine = Machine::new(policy, RevocationPolicy::Lenient);
    let wrong = machine.clock;
    for day in 0..4 {
        machine.clock = LICENSE_ENDS.plus(day * DAY);
        machine.run(0);
    }
    machine.used = 0;
    for _ in 0..1000 {
        machine.clock = wrong;
        machine.run(55 * MINUTE);
    }
    let hours = machine.used / HOUR;
    println!("a grace of 168 hours, in loops of 55 minutes: {hours} of 916 hours");
    assert!((167..=170).contains(&hours), "{hours} hours");
}

#[test]
fn the_last_day_before_the_end_does_not_come_again_and_again() {
    let policy = ClockPolicy::Deny;
    let mut machine = Machine::new(policy, RevocationPolicy::Lenient);
    for day in 0..11 {
        machine.clock = LICENSE_ENDS.minus((11 - day) * 30 * DAY);
        machine.run(0);
    }
    machine.used = 0;
    for _ in 0..100 {
        machine.clock = LICENSE_ENDS.minus(DAY);
        for _ in 0..24 {
            machine.run(HOUR);
        }
    }
    let hours = machine.used / HOUR;
    println!("the last day before the end, 100 times: {hours} of 2400 hours");
    assert!((24..=96).contains(&hours), "{hours} hours");
}

/// From day to day the floor advances a little, and what was lived twice still adds up.
#[test]
fn small_steps_back_add_up() {
    for (name, step, every) in [
        ("four hours back every eight hours", 4 * HOUR, 8 * HOUR),
        ("23 hours back every day", 23 * HOUR, DAY),
    ] {
        let mut machine = Machine::new(ClockPolicy::Deny, RevocationPolicy::Lenient);
        let begin = machine.clock;
        while machine.clock < LICENSE_ENDS && machine.used < 3 * 365 * DAY {
            let before = machine.used;
            for _ in 0..every / (4 * HOUR) {
                machine.run(4 * HOUR);
            }
            let back = machine.clock.minus(step);
            // Where that is refused, the customer leaves the clock as it is.
            if machine.used > before && machine.accepts(back) {
                machine.clock = back;
            }
        }
        let honest = (LICENSE_ENDS.seconds() - begin.seconds()) / DAY;
        println!("{name}: {} days, honest {honest}", machine.days());
        assert!(machine.days() <= honest + 40, "{} days", machine.days());
    }
}
