//! Two issuers, each with a folder of its own, at work on one server at once: thousands of
//! operations on the same licenses, and in the end the tables are what a rebuild makes them.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use phi_issuer::{
    Amendment, ChangeRequest, Customer, Error, Issuer, LicenseOrder, LicenseRecord, Machine,
    NewLicense, OldTokens, RevokeRequest, Subject,
};
use phi_tests::{
    home::{Home, Sql, Store},
    postgres,
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{Allowance, Fingerprint, LicenseId, Reason, UnixTime};

/// Operations of each of the two issuers.
const OPERATIONS: u64 = 10_000;

/// What an operator is told who acts on what the other changed meanwhile, or on what his act does
/// not fit.
const REFUSALS: [&str; 6] = [
    "input-invalid",
    "not-allowed",
    "publication-behind",
    "revision-conflict",
    "transition-refused",
    "waiting-misfit",
];

#[test]
fn two_issuers_do_twenty_thousand_operations_on_one_server() {
    if !postgres::is_there() {
        return;
    }
    let home = Home::new(Store::Server);
    let mut issuer = home.furnished().unwrap();
    let initech = Customer {
        id: "initech".into(),
        ..workshop::customer()
    };
    issuer.add_customer(initech, &at(START)).unwrap();
    let other = tempfile::tempdir().unwrap();
    workshop::copy_folder(home.path(), other.path()).unwrap();

    let (shared, start) = (Shared::default(), Barrier::new(2));
    let work = |folder, seed| Operator::new(folder, seed, &shared).work(&start);
    let [one, two] = thread::scope(|scope| {
        let two = scope.spawn(|| work(other.path(), 2));
        [work(home.path(), 1), two.join().unwrap()]
    });
    println!("{one:?}\n{two:?}");
    for answers in [one, two] {
        assert_eq!(answers.values().sum::<u64>(), OPERATIONS);
        assert!(answers["done"] > OPERATIONS / 2);
        assert!(answers.contains_key("revision-conflict"), "they never met");
        let known = |answer: &&str| *answer == "done" || REFUSALS.contains(answer);
        assert!(answers.keys().all(known));
    }

    let sql = Sql::open(home.path());
    assert_eq!(sql.number("SELECT max(seq) - count(*) FROM events"), 0);
    let verified = issuer.verify_ledger(None, |_| {}).unwrap();
    let before = workshop::tables(home.path());
    assert_eq!(issuer.rebuild().unwrap(), verified.events);
    assert_eq!(before, workshop::tables(home.path()));
}

/// Operations of both to a second: a machine that lets one of them wait long must not make its
/// clock look set back by more than is tolerated.
const OPERATIONS_A_SECOND: u64 = 4;

/// What the operators have in common beside the server.
#[derive(Default)]
struct Shared {
    licenses: Mutex<Vec<LicenseId>>,
    /// Operations that were begun: the time passes with them.
    begun: AtomicU64,
}

/// One issuer's operator, who works on licenses that the other's works on as well.
struct Operator<'s> {
    issuer: Issuer,
    shared: &'s Shared,
    now: UnixTime,
    random: u64,
}

impl<'s> Operator<'s> {
    fn new(folder: &Path, seed: u64, shared: &'s Shared) -> Self {
        Self {
            issuer: Issuer::open(folder).unwrap(),
            shared,
            now: START.plus(60),
            random: seed,
        }
    }

    /// How often there was which answer.
    fn work(mut self, start: &Barrier) -> BTreeMap<&'static str, u64> {
        let mut answers = BTreeMap::new();
        start.wait();
        for _ in 0..OPERATIONS {
            let begun = self.shared.begun.fetch_add(1, Ordering::Relaxed);
            self.now = START.plus(60 + begun / OPERATIONS_A_SECOND);
            let answer = self.act().map_or_else(|error| error.code(), |()| "done");
            *answers.entry(answer).or_default() += 1;
        }
        answers
    }

    /// A number below the limit, from a generator that is the same in every run (xorshift64).
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    fn act(&mut self) -> Result<(), Error> {
        let context = at(self.now);
        // One in ten is new: both operators often have the same few before them.
        let Some(license) = self.a_license().filter(|_| !self.random.is_multiple_of(10)) else {
            let license = self.issuer.issue_license(self.order(), &context)?.id;
            self.shared.licenses.lock().unwrap().push(license);
            return Ok(());
        };
        match self.below(100) {
            0..5 => {
                workshop::mint(&mut self.issuer, license, 1, self.now)?;
            }
            5 => {
                self.issuer.publish_status(&passphrase(), &context)?;
            }
            6..8 => {
                let base = self.issuer.license(license)?.revision;
                self.issuer
                    .transfer_license(license, base, "initech", &context)?;
            }
            8 => {
                let request = RevokeRequest {
                    subject: Subject::License(license),
                    issued_before: None,
                    cut: None,
                    reason: Reason::Breach,
                };
                self.issuer.revoke(&request, &context)?;
            }
            _ => {
                let record = self.issuer.license(license)?;
                let order = self.change(&record);
                self.issuer.change_license(&order, &context)?;
            }
        }
        Ok(())
    }

    /// One of the newest, where the other operator is at work too.
    fn a_license(&mut self) -> Option<LicenseId> {
        let back = self.below(20);
        let licenses = self.shared.licenses.lock().unwrap();
        let place = licenses
            .len()
            .checked_sub(1 + usize::try_from(back).unwrap())?;
        Some(licenses[place])
    }

    fn order(&self) -> NewLicense {
        NewLicense {
            expires: Some(self.now.plus(1000 * DAY)),
            trial: self.random.is_multiple_of(3),
            ..NewLicense::new("globex", PRODUCT, "team")
        }
    }

    fn change(&mut self, license: &LicenseRecord) -> LicenseOrder {
        let amendment = Amendment {
            quotas: [("calls".into(), Allowance::Limited(self.below(1000)))].into(),
            ..Amendment::default()
        };
        let later = self.now.plus((2000 + self.below(1000)) * DAY);
        let request = match self.below(10) {
            0..4 => ChangeRequest::Amend(amendment),
            4 => ChangeRequest::Renew(Some(later)),
            5 => ChangeRequest::Suspend,
            6 => ChangeRequest::Reinstate,
            7 => ChangeRequest::ConvertTrial {
                expires: Some(later),
                amendment,
            },
            8 => {
                let machine = Fingerprint::new(PRODUCT).with("board", "one");
                ChangeRequest::Rebind(Some(Machine::new(&machine, 1).unwrap()))
            }
            _ => ChangeRequest::Withdraw(license.waiting.first().map_or(1, |first| first.revision)),
        };
        LicenseOrder {
            // Some wait for a moment that comes while both are at work, some for longer.
            effective: (self.below(5) == 0).then(|| self.now.plus(self.random % 4000)),
            old_tokens: [OldTokens::Keep, OldTokens::Cut]
                [usize::from(self.random.is_multiple_of(7))],
            ..LicenseOrder::new(license.id, license.revision, request)
        }
    }
}
