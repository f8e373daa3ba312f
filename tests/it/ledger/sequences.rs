//! Random sequences of acts on licenses, allowed and forbidden ones, judged by the model.
//!
//! After every act the answer agrees with the model, what is stored is what a replay makes of
//! every prefix, and so are the states at later times; in the end the tables are what a rebuild
//! makes them.

use std::{cell::RefCell, collections::BTreeMap, fs, ops::Range, path::Path};

use phi_issuer::{
    Amendment, Context, Customer, Error, Issuer, LicenseAt, LicenseOrder, Machine, MintedToken,
    NewLicense, OldTokens, Past, RevokeRequest, Subject,
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, passphrase},
};
use phi_verify::{Allowance, Fingerprint, FlagCode, LicenseId, LimitCode, Reason, UnixTime};
use proptest::{
    collection, option,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::model::{Amend, Ask, License, Seats, Start};

/// Sequences of each test.
const SEQUENCES: u32 = 100;
/// Acts in a sequence.
const ACTS: Range<usize> = 8..28;

const CUSTOMERS: [&str; 2] = ["globex", "initech"];

/// What is done, with everything that depends on the moment left open.
#[derive(Clone, Debug)]
enum Deed {
    Begin {
        start: Start,
        expires: Option<u64>,
    },
    Change {
        ask: Ask,
        /// Seconds from now on; before now is asked for as well.
        expires: Option<i64>,
        effective: Option<i64>,
        base: Base,
        old_tokens: OldTokens,
    },
    Transfer {
        customer: usize,
        base: Base,
    },
    Revoke,
    RevokeCustomer(usize),
    Unrevoke,
    UnrevokeCustomer(usize),
    Mint,
    PublishCatalog,
}

/// What an operator had looked at.
#[derive(Clone, Copy, Debug)]
enum Base {
    Newest,
    Earlier,
    Later,
}

#[derive(Clone, Debug)]
struct Step {
    /// Seconds since the step before.
    passed: u64,
    /// Seconds by which the operator's clock is behind.
    behind: u64,
    license: usize,
    deed: Deed,
}

fn days(days: Range<i64>) -> impl Strategy<Value = i64> {
    let day = i64::try_from(DAY).unwrap();
    days.prop_map(move |days| days * day)
}

fn seconds(range: Range<i64>) -> impl Strategy<Value = u64> {
    days(range).prop_map(|seconds| u64::try_from(seconds).unwrap())
}

fn plan() -> impl Strategy<Value = &'static str> {
    prop_oneof![5 => Just("team"), 5 => Just("pro"), 2 => Just("gold")]
}

fn begin() -> impl Strategy<Value = Deed> {
    let kind =
        prop_oneof![1 => Just((true, false)), 2 => Just((false, false)), 2 => Just((false, true))];
    let grace = prop_oneof![2 => Just(0), 1 => seconds(1..12)];
    let expires = option::weighted(0.85, seconds(0..60));
    (kind, 0..CUSTOMERS.len(), plan(), expires, grace).prop_map(
        |((draft, trial), customer, plan, expires, grace)| {
            let start = Start {
                draft,
                trial,
                customer,
                plan,
                expires: None,
                grace,
            };
            Deed::Begin { start, expires }
        },
    )
}

fn amend() -> impl Strategy<Value = Amend> {
    let seats = prop_oneof![3 => (0..900_u64).prop_map(Seats::Agreed), 1 => Just(Seats::AsPlanned)];
    let grace = prop_oneof![Just(0), seconds(1..12)];
    (
        option::weighted(0.5, plan()),
        prop_oneof![3 => Just(0), 1 => 1..4_u64],
        prop_oneof![5 => Just(0), 1 => 1..3_u64],
        option::weighted(0.3, seats),
        option::weighted(0.2, grace),
    )
        .prop_map(|(plan, add, remove, seats, grace)| Amend {
            plan,
            add,
            remove,
            seats,
            grace,
        })
}

fn change() -> impl Strategy<Value = Deed> {
    let ask = prop_oneof![
        2 => Just(Ask::Issue),
        8 => amend().prop_map(Ask::Amend),
        3 => Just(Ask::Renew(None)),
        3 => Just(Ask::Suspend),
        4 => Just(Ask::Reinstate),
        2 => amend().prop_map(|amend| Ask::Convert(None, amend)),
        2 => option::of(0..2_usize).prop_map(Ask::Rebind),
        2 => (0..3_u64).prop_map(Ask::Withdraw),
    ];
    let base =
        prop_oneof![18 => Just(Base::Newest), 1 => Just(Base::Earlier), 1 => Just(Base::Later)];
    let old = prop_oneof![4 => Just(OldTokens::Keep), 1 => Just(OldTokens::Cut)];
    let expires = option::weighted(0.9, days(-3..80));
    let effective = option::weighted(0.3, days(-1..40));
    (ask, expires, effective, base, old).prop_map(|(ask, expires, effective, base, old_tokens)| {
        Deed::Change {
            ask,
            expires,
            effective,
            base,
            old_tokens,
        }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let deed = prop_oneof![
        30 => begin(),
        160 => change(),
        8 => (0..CUSTOMERS.len(), prop_oneof![5 => Just(Base::Newest), 1 => Just(Base::Earlier)])
            .prop_map(|(customer, base)| Deed::Transfer { customer, base }),
        8 => Just(Deed::Revoke),
        2 => (0..CUSTOMERS.len()).prop_map(Deed::RevokeCustomer),
        6 => Just(Deed::Unrevoke),
        1 => (0..CUSTOMERS.len()).prop_map(Deed::UnrevokeCustomer),
        10 => Just(Deed::Mint),
        3 => Just(Deed::PublishCatalog),
    ];
    let passed = prop_oneof![2 => Just(0), 2 => 1..90_u64, 3 => seconds(1..20)];
    let behind = prop_oneof![6 => Just(0), 1 => 1..=300_u64];
    (passed, behind, 0..4_usize, deed).prop_map(|(passed, behind, license, deed)| Step {
        passed,
        behind,
        license,
        deed,
    })
}

/// A license, and what the model says of it after each of its changes.
struct Track {
    id: LicenseId,
    /// When each revision was made, and the license then.
    revisions: Vec<(u64, License)>,
    /// The tokens that were minted, and whether they were taken back since.
    tokens: Vec<(MintedToken, bool)>,
}

impl Track {
    fn newest(&self) -> &License {
        &self.revisions.last().unwrap().1
    }

    /// What the license was then, if it was there.
    fn at(&self, time: u64) -> Option<License> {
        let until = self.revisions.iter().rev();
        let mut until = until.skip_while(|(made, _)| *made > time);
        until.next().map(|(_, license)| license.at(time))
    }
}

struct World<'f> {
    folder: &'f Path,
    issuer: Issuer,
    now: u64,
    /// The time of the newest entry.
    newest: u64,
    catalogs: u64,
    /// When each customer was revoked and unrevoked, in turn.
    customers_revoked: [Vec<u64>; 2],
    tracks: Vec<Track>,
    /// How often each code was the answer.
    answers: BTreeMap<&'static str, u32>,
}

fn time(seconds: u64) -> UnixTime {
    START.plus(seconds)
}

fn catalog(revision: u64) -> String {
    format!(
        r#"
product = "atlas"
[flags]
sso = "Single sign-on"
audit = "Audit trail"
[limits]
seats = "Seats"
[plans.team]
flags = ["sso"]
limits = {{ seats = {} }}
[plans.pro]
extends = "team"
flags = ["audit"]
limits = {{ seats = {} }}
[addons.pack]
limits = {{ seats = 10 }}
"#,
        5 * revision,
        50 * revision
    )
}

fn template(folder: &Path) {
    let mut issuer = workshop::init(folder).unwrap();
    let context = workshop::at(START);
    let published = issuer.publish_catalog(&catalog(1), &passphrase(), &context);
    published.unwrap();
    for id in CUSTOMERS {
        let customer = Customer {
            id: id.into(),
            ..workshop::customer()
        };
        issuer.add_customer(customer, &context).unwrap();
    }
}

fn machine(number: usize) -> Machine {
    let fingerprint = Fingerprint::new(PRODUCT).with("board", &format!("board {number}"));
    Machine::new(&fingerprint, 1).unwrap()
}

fn amendment(amend: &Amend) -> Amendment {
    let pack = |count: u64| vec!["pack".to_owned(); usize::try_from(count).unwrap()];
    let mut amendment = Amendment {
        plan: amend.plan.map(str::to_owned),
        add: pack(amend.add),
        remove: pack(amend.remove),
        grace: amend.grace,
        ..Amendment::default()
    };
    match amend.seats {
        Some(Seats::Agreed(seats)) => {
            let seats = Allowance::Limited(seats);
            amendment.limits.insert("seats".into(), seats);
        }
        Some(Seats::AsPlanned) => {
            amendment.reset.insert("seats".into());
        }
        None => {}
    }
    amendment
}

fn request(ask: &Ask) -> phi_issuer::ChangeRequest {
    use phi_issuer::ChangeRequest;
    match ask {
        Ask::Issue => ChangeRequest::Issue,
        Ask::Amend(amend) => ChangeRequest::Amend(amendment(amend)),
        Ask::Renew(expires) => ChangeRequest::Renew(expires.map(time)),
        Ask::Suspend => ChangeRequest::Suspend,
        Ask::Reinstate => ChangeRequest::Reinstate,
        Ask::Convert(expires, amend) => ChangeRequest::ConvertTrial {
            expires: expires.map(time),
            amendment: amendment(amend),
        },
        Ask::Rebind(to) => ChangeRequest::Rebind(to.map(machine)),
        Ask::Withdraw(revision) => ChangeRequest::Withdraw(*revision),
    }
}

impl World<'_> {
    /// Does the step, and sees that the issuer answers as the model does.
    fn step(&mut self, step: &Step) {
        self.now += step.passed;
        let clock = self.now.saturating_sub(step.behind);
        let now = clock.max(self.newest);
        let context = workshop::at(time(clock));
        let place = step.license % self.tracks.len().max(1);
        if let Deed::Begin { start, expires } = &step.deed {
            return self.begin(start, *expires, now, &context);
        }
        if let Deed::PublishCatalog = step.deed {
            self.catalogs += 1;
            let text = catalog(self.catalogs);
            let published = self.issuer.publish_catalog(&text, &passphrase(), &context);
            published.unwrap();
            self.newest = now;
            return;
        }
        if let Deed::RevokeCustomer(customer) = step.deed {
            let revoked = self.customer_revoked(customer, now);
            let expected = if revoked { Err("not-allowed") } else { Ok(()) };
            let subject = Subject::Customer(CUSTOMERS[customer].into());
            let found = self.issuer.revoke(&revocation(subject), &context);
            if self.agree(found, expected, now).is_some() {
                self.customers_revoked[customer].push(now);
            }
            return;
        }
        if let Deed::UnrevokeCustomer(customer) = step.deed {
            let revoked = self.customer_revoked(customer, now);
            let expected = if revoked { Ok(()) } else { Err("not-allowed") };
            let subject = Subject::Customer(CUSTOMERS[customer].into());
            let found = self.issuer.unrevoke(&subject, &context);
            if self.agree(found, expected, now).is_some() {
                self.customers_revoked[customer].push(now);
            }
            return;
        }
        if place >= self.tracks.len() {
            return;
        }
        match &step.deed {
            Deed::Change { .. } => self.change(place, &step.deed, now, &context),
            Deed::Transfer { customer, base } => {
                self.transfer(place, *customer, *base, now, &context);
            }
            Deed::Revoke => {
                let expected = self.tracks[place].newest().revoked(now);
                let subject = Subject::License(self.tracks[place].id);
                let found = self.issuer.revoke(&revocation(subject), &context);
                if let Some((_, after)) = self.agree(found, expected, now) {
                    self.tracks[place].revisions.push((now, after));
                }
            }
            Deed::Unrevoke => {
                let expected = self.tracks[place].newest().unrevoked(now);
                let subject = Subject::License(self.tracks[place].id);
                let found = self.issuer.unrevoke(&subject, &context);
                if let Some((unrevoked, steps)) = self.agree(found, expected, now) {
                    let state = steps.last().unwrap().state(now);
                    assert_eq!(unrevoked.state.unwrap().name(), state);
                    let steps = steps.into_iter().map(|after| (now, after));
                    self.tracks[place].revisions.extend(steps);
                }
            }
            _ => self.mint(place, now),
        }
        self.check(place);
    }

    /// Whether a customer is taken back at a moment.
    fn customer_revoked(&self, customer: usize, moment: u64) -> bool {
        let turns = self.customers_revoked[customer].iter();
        turns.filter(|turn| **turn <= moment).count() % 2 == 1
    }

    /// The answer and the model's, if both accept; both refuse with the same code otherwise.
    fn agree<T, M>(
        &mut self,
        found: Result<T, Error>,
        expected: Result<M, &'static str>,
        now: u64,
    ) -> Option<(T, M)> {
        let code = found.as_ref().err().map_or("accepted", Error::code);
        let expected_code = expected.as_ref().err().copied().unwrap_or("accepted");
        assert_eq!(code, expected_code, "{:?}", found.err());
        *self.answers.entry(code).or_default() += 1;
        let both = found.ok().zip(expected.ok());
        if both.is_some() {
            self.newest = now;
        }
        both
    }

    fn begin(&mut self, start: &Start, expires: Option<u64>, now: u64, context: &Context) {
        let start = Start {
            expires: expires.map(|after| now + after),
            ..start.clone()
        };
        let order = NewLicense {
            expires: start.expires.map(time),
            grace: start.grace,
            trial: start.trial,
            ..NewLicense::new(CUSTOMERS[start.customer], PRODUCT, start.plan)
        };
        let found = if start.draft {
            self.issuer.draft_license(order, context)
        } else {
            self.issuer.issue_license(order, context)
        };
        let expected = License::begin(now, self.catalogs, &start);
        if let Some((record, license)) = self.agree(found, expected, now) {
            self.track(record.id, now, license);
        }
    }

    fn track(&mut self, id: LicenseId, now: u64, license: License) {
        self.tracks.push(Track {
            id,
            revisions: vec![(now, license)],
            tokens: Vec::new(),
        });
        self.check(self.tracks.len() - 1);
    }

    fn change(&mut self, place: usize, deed: &Deed, now: u64, context: &Context) {
        let Deed::Change {
            ask,
            expires,
            effective,
            base,
            old_tokens,
        } = deed
        else {
            return;
        };
        let later = |after: i64| now.saturating_add_signed(after);
        let track = &self.tracks[place];
        let newest = track.newest();
        let ask = match ask {
            Ask::Renew(_) => Ask::Renew(expires.map(later)),
            Ask::Convert(_, amend) => Ask::Convert(expires.map(later), amend.clone()),
            Ask::Withdraw(pick) => {
                let mut waiting = newest.waiting.iter().cycle();
                let picked = waiting.nth(usize::try_from(*pick).unwrap());
                Ask::Withdraw(picked.map_or(*pick, |waiting| waiting.revision))
            }
            ask => ask.clone(),
        };
        let (base, effective) = (base.of(newest), effective.map(later));
        let expected = newest.change(now, self.catalogs, base, &ask, effective);
        let cut = *old_tokens == OldTokens::Cut;
        let expected = match expected {
            Ok(_) if cut && effective.is_some() => Err("input-invalid"),
            expected => expected,
        };
        let order = LicenseOrder {
            effective: effective.map(time),
            old_tokens: *old_tokens,
            ..LicenseOrder::new(track.id, base, request(&ask))
        };
        let simulated = self.issuer.simulate_change(&order, time(now));
        let found = self.issuer.change_license(&order, context);
        if let Some((record, after)) = self.agree(found, expected, now) {
            assert_eq!(record, self.issuer.license(record.id).unwrap());
            let (_, then) = simulated.unwrap();
            let when = effective.unwrap_or(now);
            assert_eq!(record.at(time(when)), then.license, "as it was simulated");
            let track = &mut self.tracks[place];
            track.revisions.push((now, after));
            for (_, taken_back) in &mut track.tokens {
                *taken_back |= cut;
            }
        }
    }

    fn transfer(&mut self, place: usize, customer: usize, base: Base, now: u64, context: &Context) {
        let track = &self.tracks[place];
        let base = base.of(track.newest());
        let expected = track
            .newest()
            .transferred(now, self.catalogs, base, customer);
        let to = CUSTOMERS[customer];
        let found = self.issuer.transfer_license(track.id, base, to, context);
        if let Some(((_, record), [old, revoked, new])) = self.agree(found, expected, now) {
            let revisions = &mut self.tracks[place].revisions;
            revisions.extend([(now, old), (now, revoked)]);
            self.track(record.id, now, new);
        }
    }

    fn mint(&mut self, place: usize, now: u64) {
        let now = now.max(self.now);
        let track = &self.tracks[place];
        let license = track.newest();
        let customer = self.customer_revoked(license.customer, now);
        let expected = if license.state(now) == "active" && !customer {
            Ok(())
        } else {
            Err("not-allowed")
        };
        let found = workshop::mint(&mut self.issuer, track.id, 1, time(now));
        if let Some((tokens, ())) = self.agree(found, expected, now) {
            let licensed = self.tracks[place].newest().at(now);
            assert_eq!(tokens[0].license_revision, licensed.revision);
            assert_eq!(tokens[0].expires, licensed.expires.map(time));
            let tokens = tokens.into_iter().map(|token| (token, false));
            self.tracks[place].tokens.extend(tokens);
        }
    }

    /// What is stored of the license is what every prefix of its events makes it.
    fn check(&mut self, place: usize) {
        let track = &self.tracks[place];
        let stored = self.issuer.license(track.id).unwrap();
        let newest = track.newest();
        assert_eq!(stored.revision, newest.revision);
        for (made, license) in &track.revisions {
            let past = Past::Revision(license.revision);
            let found = self.issuer.license_at(track.id, past).unwrap();
            assert_eq!(found.time, time(*made));
            self.compare(&found, &license.at(*made), *made);
        }
        let last = self
            .issuer
            .license_at(track.id, Past::Revision(newest.revision));
        let last = last.unwrap();
        assert_eq!(
            stored.at(last.time),
            last.license,
            "the table and the replay"
        );
        let began = track.revisions[0].0;
        // Before it was there, at every change, between them, and at times to come.
        let moments = track
            .revisions
            .iter()
            .flat_map(|(made, _)| [*made, made + 40]);
        let waiting = newest.waiting.iter().map(|waiting| waiting.effective);
        let ends = newest.expires.into_iter().flat_map(|expires| {
            let over = expires + newest.grace;
            [expires - 1, expires, over, over + 1]
        });
        let moments = moments.chain(waiting).chain(ends);
        let moments = moments.chain([self.now, self.now + 7 * DAY, self.now + 200 * DAY]);
        for moment in moments.chain(began.checked_sub(1)) {
            let found = self.issuer.license_at(track.id, Past::Time(time(moment)));
            match track.at(moment) {
                None => assert_eq!(found.unwrap_err().code(), "not-there-then"),
                Some(license) => self.compare(&found.unwrap(), &license, moment),
            }
            if moment >= self.now {
                assert_eq!(stored.state(time(moment)).name(), newest.state(moment));
            }
        }
        self.check_history(place);
        self.check_tokens(place);
    }

    fn compare(&self, found: &LicenseAt, license: &License, moment: u64) {
        let record = &found.license;
        assert_eq!(found.state.name(), license.state(moment), "at {moment}");
        assert_eq!(record.revision, license.revision);
        assert_eq!(record.customer, CUSTOMERS[license.customer]);
        assert_eq!(record.plan, license.plan);
        assert_eq!(record.trial, license.trial);
        assert_eq!(record.catalog_revision, license.catalog);
        assert_eq!(record.expires, license.expires.map(time));
        assert_eq!(record.grace, license.grace);
        assert_eq!(record.machine, license.machine.map(machine));
        assert_eq!(
            record.addons,
            vec!["pack"; usize::try_from(license.packs).unwrap()]
        );
        let waiting = record.waiting.iter();
        let waiting = waiting.map(|waiting| (waiting.revision, waiting.effective));
        let expected = license.waiting.iter();
        assert!(waiting.eq(expected.map(|waiting| (waiting.revision, time(waiting.effective)))));
        let seats = found.terms.limits[&LimitCode::new(0)];
        assert_eq!(seats, Allowance::Limited(license.seats()));
        let audit = found.terms.flags.contains(FlagCode::new(1));
        assert_eq!(audit, license.plan == "pro");
        let revoked = self.customer_revoked(license.customer, moment);
        assert_eq!(found.customer_revoked.is_some(), revoked);
        let entitles = matches!(license.state(moment), "active" | "grace");
        assert_eq!(found.entitled(), entitles && !revoked);
    }

    /// Its history is in order, without a gap between states, and ends where the license is.
    fn check_history(&mut self, place: usize) {
        let track = &self.tracks[place];
        let history = self
            .issuer
            .license_history(track.id, time(self.now))
            .unwrap();
        assert_eq!(history[0].before, None);
        for pair in history.windows(2) {
            assert!(pair[0].time <= pair[1].time);
            assert_eq!(pair[1].before, Some(pair[0].after), "{pair:#?}");
            assert!(pair[0].revision <= pair[1].revision);
        }
        let last = history.last().unwrap();
        assert_eq!(last.after.name(), track.newest().state(self.now));
        assert_eq!(last.revision, track.newest().revision);
    }
}

impl World<'_> {
    /// What was cut is taken back, and what was minted since is not.
    fn check_tokens(&mut self, place: usize) {
        let revocations = self.issuer.revocations().unwrap();
        let track = &self.tracks[place];
        let over = matches!(track.newest().state(self.now), "revoked" | "superseded");
        for (token, taken_back) in &track.tokens {
            let reaches = |one: &phi_issuer::Revocation| match &one.subject {
                Subject::Token(id) => *id == token.token_id,
                Subject::License(id) if *id == track.id => one
                    .issued_before
                    .is_none_or(|before| token.issued_at < before),
                _ => false,
            };
            assert_eq!(revocations.iter().any(reaches), *taken_back || over);
        }
    }
}

impl Base {
    fn of(self, license: &License) -> u64 {
        match self {
            Self::Newest => license.revision,
            Self::Earlier => license.revision - 1,
            Self::Later => license.revision + 1,
        }
    }
}

fn revocation(subject: Subject) -> RevokeRequest {
    RevokeRequest {
        subject,
        issued_before: None,
        cut: None,
        reason: Reason::Refund,
    }
}

#[test]
fn the_ledger_says_what_the_model_says() {
    try_sequences(1);
}

#[test]
fn the_ledger_says_what_the_model_says_of_others() {
    try_sequences(2);
}

#[test]
fn the_ledger_says_what_the_model_says_of_others_again() {
    try_sequences(3);
}

/// The sequences of a seed are the same every time.
fn try_sequences(seed: u8) {
    let scratch = in_memory();
    let made = scratch.path().join("template");
    template(&made);
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let answers = RefCell::new(BTreeMap::<&str, u32>::new());
    let sequences = collection::vec(step(), ACTS);
    let outcome = TestRunner::new_with_rng(config, rng).run(&sequences, |steps| {
        let folder = scratch.path().join("issuer");
        let _ = fs::remove_dir_all(&folder);
        workshop::copy_folder(&made, &folder).unwrap();
        let found = run(&folder, &steps);
        for (code, count) in found {
            *answers.borrow_mut().entry(code).or_default() += count;
        }
        Ok(())
    });
    outcome.unwrap();
    let answers = answers.into_inner();
    println!("{answers:?}");
    // Every answer that there is came up.
    for code in [
        "accepted",
        "entitlement-invalid",
        "input-invalid",
        "not-allowed",
        "revision-conflict",
        "transition-refused",
        "waiting-misfit",
    ] {
        assert!(answers.contains_key(code), "{code}");
    }
}

/// A folder that no disk has to be waited for, where the system has one: this is about what is
/// recorded, not about what survives.
pub(super) fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn run(folder: &Path, steps: &[Step]) -> BTreeMap<&'static str, u32> {
    let mut world = World {
        folder,
        issuer: Issuer::open(folder).unwrap(),
        now: 0,
        newest: 0,
        catalogs: 1,
        customers_revoked: [Vec::new(), Vec::new()],
        tracks: Vec::new(),
        answers: BTreeMap::new(),
    };
    for step in steps {
        world.step(step);
    }
    for place in 0..world.tracks.len() {
        world.check(place);
    }
    let before = workshop::tables(world.folder);
    world.issuer.rebuild().unwrap();
    assert_eq!(before, workshop::tables(world.folder));
    world.answers
}
