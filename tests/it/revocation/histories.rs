//! Random histories of an issuer: what is minted, taken back, brought back and published, and what
//! applications with every full list and every delta then say of every token.
//!
//! The model beside it knows what is revoked and nothing of lists, filters or the ledger.

use std::collections::{BTreeMap, BTreeSet};

use phi_issuer::{
    ChangeRequest, Customer, Filters, Issuer, LicenseOrder, NewLicense, Padding, RevokeRequest,
    Role, StatusRequest, Subject,
};
use phi_tests::{
    snakeoil::{DAY, START},
    workshop::{self, PRODUCT, at, passphrase},
};
use phi_verify::{
    Claims, KeyId, LicenseId, Reason, RuleClass, Status, StatusLists, TokenId, UnixTime, Verdict,
    dangerous_inspect::{self, Document},
};

/// What a token of the ledger is in the model.
struct Token {
    key_id: KeyId,
    claims: Claims,
    ends: UnixTime,
}

/// What is revoked at a moment: up to when, or all of it.
#[derive(Clone, Default)]
struct Revoked {
    tokens: BTreeSet<TokenId>,
    licenses: BTreeMap<LicenseId, Option<UnixTime>>,
    customers: BTreeMap<String, Option<UnixTime>>,
    suspended: BTreeSet<LicenseId>,
    keys: BTreeSet<KeyId>,
}

impl Revoked {
    /// Whether a token is taken back with something larger than itself.
    fn whole(&self, key_id: KeyId, claims: &Claims) -> bool {
        let reaches = |until: Option<&Option<UnixTime>>| {
            until.is_some_and(|until| until.is_none_or(|until| claims.issued_at < until))
        };
        reaches(self.licenses.get(&claims.license_id))
            || reaches(self.customers.get(&claims.customer))
            || self.suspended.contains(&claims.license_id)
            || self.keys.contains(&key_id)
    }
}

/// A list that was published, and what was revoked then.
struct Published {
    list: Status,
    revoked: Revoked,
    now: UnixTime,
}

struct World {
    _folder: tempfile::TempDir,
    issuer: Issuer,
    random: u64,
    now: UnixTime,
    licenses: Vec<LicenseId>,
    tokens: Vec<Token>,
    revoked: Revoked,
    lists: Vec<Published>,
    /// Answers that were compared, and how many of them were of each kind.
    good: u64,
    taken_back: u64,
    not_covered: u64,
}

const CUSTOMERS: [&str; 4] = ["globex", "initech", "hooli", "umbrella"];

impl World {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut issuer = workshop::furnished(folder.path()).unwrap();
        for id in &CUSTOMERS[1..] {
            let customer = Customer {
                id: (*id).into(),
                ..workshop::customer()
            };
            issuer.add_customer(customer, &at(START)).unwrap();
        }
        let mut world = Self {
            _folder: folder,
            issuer,
            random: seed,
            now: START.plus(DAY),
            licenses: Vec::new(),
            tokens: Vec::new(),
            revoked: Revoked::default(),
            lists: Vec::new(),
            good: 0,
            taken_back: 0,
            not_covered: 0,
        };
        world.publish();
        world
    }

    /// `SplitMix64`: every run of a seed is the same.
    fn below(&mut self, range: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % range as u64).unwrap()
    }

    fn step(&mut self) {
        let pass = [0, 1, 60, DAY, 9 * DAY][self.below(5)];
        self.now = self.now.plus(pass);
        match self.below(42) / 3 {
            _ if self.below(40) == 0 => self.compromise(),
            0..=2 => self.issue(),
            3..=5 => self.mint(),
            6 | 7 => self.revoke(),
            8 | 9 => self.unrevoke(),
            10 => self.suspend(),
            11 => self.reinstate(),
            _ => {
                self.publish();
                self.compare();
            }
        }
    }

    fn issue(&mut self) {
        let customer = CUSTOMERS[self.below(CUSTOMERS.len())];
        let days = [3, 40, 4000][self.below(3)];
        let order = NewLicense {
            expires: Some(self.now.plus(days * DAY)),
            grace: DAY,
            ..NewLicense::new(customer, PRODUCT, "team")
        };
        // A customer that is revoked buys nothing; that is another test's.
        if let Ok(license) = self.issuer.issue_license(order, &at(self.now)) {
            self.licenses.push(license.id);
            self.mint_of(license.id, 3);
        }
    }

    fn mint(&mut self) {
        if !self.licenses.is_empty() {
            let place = self.below(self.licenses.len());
            let license = self.licenses[place];
            self.mint_of(license, 1);
        }
    }

    fn mint_of(&mut self, license: LicenseId, count: usize) {
        // What is revoked, suspended or over has none minted, and waits for the next list.
        let Ok(minted) = workshop::mint(&mut self.issuer, license, count, self.now) else {
            return;
        };
        for token in minted {
            let (key_id, claims) = dangerous_inspect::token(&token.token).unwrap();
            let ends = token.ends.unwrap();
            self.tokens.push(Token {
                key_id,
                claims,
                ends,
            });
        }
    }

    fn subject(&mut self) -> Option<Subject> {
        if self.tokens.is_empty() {
            return None;
        }
        let place = self.below(self.tokens.len());
        let claims = &self.tokens[place].claims;
        let (token, license) = (claims.token_id, claims.license_id);
        Some(match self.below(8) {
            0..=4 => Subject::Token(token),
            5 | 6 => Subject::License(license),
            _ => Subject::Customer(CUSTOMERS[self.below(CUSTOMERS.len())].into()),
        })
    }

    fn revoke(&mut self) {
        let Some(subject) = self.subject() else {
            return;
        };
        let is_token = matches!(subject, Subject::Token(_));
        let until = match self.below(3) {
            0 if !is_token => Some(self.now),
            _ => None,
        };
        let request = RevokeRequest {
            subject: subject.clone(),
            issued_before: until,
            cut: None,
            reason: Reason::Refund,
        };
        if self.issuer.revoke(&request, &at(self.now)).is_err() {
            return;
        }
        match subject {
            Subject::Token(id) => drop(self.revoked.tokens.insert(id)),
            Subject::License(id) => {
                self.revoked.licenses.insert(id, until);
                // What is taken back for good is not suspended any more.
                if until.is_none() {
                    self.revoked.suspended.remove(&id);
                }
            }
            Subject::Customer(id) => drop(self.revoked.customers.insert(id, until)),
            _ => unreachable!(),
        }
    }

    fn unrevoke(&mut self) {
        let Some(mut subject) = self.subject() else {
            return;
        };
        // Most subjects were never revoked: half of the time one is chosen that was.
        let other = self.below(2) == 0;
        if let Some(id) = self.revoked.tokens.first().filter(|_| other) {
            subject = Subject::Token(*id);
        }
        let Ok(unrevoked) = self.issuer.unrevoke(&subject, &at(self.now)) else {
            return;
        };
        let suspended = unrevoked.state == Some(phi_issuer::State::Suspended);
        match subject {
            Subject::Token(id) => assert!(self.revoked.tokens.remove(&id)),
            Subject::License(id) => {
                assert!(self.revoked.licenses.remove(&id).is_some());
                if suspended {
                    self.revoked.suspended.insert(id);
                }
            }
            Subject::Customer(id) => assert!(self.revoked.customers.remove(&id).is_some()),
            _ => unreachable!(),
        }
    }

    /// The key that signs is stolen, and another takes over.
    fn compromise(&mut self) {
        let stolen = match self.tokens.last() {
            Some(token) if !self.revoked.keys.contains(&token.key_id) => token.key_id,
            _ => return,
        };
        let (secret, context) = (passphrase(), at(self.now));
        let rotated = self
            .issuer
            .rotate_key(Role::License, None, &secret, &context);
        rotated.unwrap();
        let request = RevokeRequest {
            subject: Subject::Key(stolen),
            issued_before: None,
            cut: None,
            reason: Reason::KeyCompromise,
        };
        self.issuer.revoke(&request, &context).unwrap();
        self.issuer.publish_keyset(&secret, &context).unwrap();
        self.revoked.keys.insert(stolen);
        let error = self.issuer.unrevoke(&Subject::Key(stolen), &context);
        assert_eq!(error.unwrap_err().code(), "not-allowed");
    }

    fn change(&mut self, request: ChangeRequest) -> Option<LicenseId> {
        if self.licenses.is_empty() {
            return None;
        }
        let place = self.below(self.licenses.len());
        let id = self.licenses[place];
        let revision = self.issuer.license(id).unwrap().revision;
        let order = LicenseOrder::new(id, revision, request);
        let changed = self.issuer.change_license(&order, &at(self.now));
        changed.is_ok().then_some(id)
    }

    fn suspend(&mut self) {
        let suspended = self.change(ChangeRequest::Suspend);
        self.revoked.suspended.extend(suspended);
    }

    fn reinstate(&mut self) {
        if let Some(id) = self.change(ChangeRequest::Reinstate) {
            self.revoked.suspended.remove(&id);
        }
    }

    fn publish(&mut self) {
        let filters = [Filters::Cascade, Filters::Compact][self.below(2)];
        let padding = [Padding::None, Padding::PowersOfTwo][self.below(2)];
        // Every full list that there is becomes a base.
        let request = StatusRequest {
            filters,
            padding,
            deltas_from: self.lists.iter().map(|list| list.list.epoch).collect(),
            ..StatusRequest::of(self.issuer.settings())
        };
        let published = self
            .issuer
            .publish_status_as(&request, &passphrase(), &at(self.now), |_| {})
            .unwrap();
        for (delta, before) in published.deltas.iter().zip(&self.lists) {
            let delta = read(&delta.document);
            let lists = StatusLists::new(&before.list, Some(&delta)).unwrap();
            let said = Said {
                lists,
                revoked: &self.revoked,
                now: self.now,
            };
            for token in &self.tokens {
                count(
                    said.check(token),
                    [&mut self.good, &mut self.taken_back, &mut self.not_covered],
                );
            }
        }
        self.lists.push(Published {
            list: read(&published.list.document),
            revoked: self.revoked.clone(),
            now: self.now,
        });
    }

    /// Every full list says what was revoked when it was made.
    fn compare(&mut self) {
        for published in &self.lists {
            let said = Said {
                lists: StatusLists::new(&published.list, None).unwrap(),
                revoked: &published.revoked,
                now: published.now,
            };
            for token in &self.tokens {
                count(
                    said.check(token),
                    [&mut self.good, &mut self.taken_back, &mut self.not_covered],
                );
            }
        }
    }
}

/// Lists, and what was revoked when the newest of them was made.
struct Said<'a> {
    lists: StatusLists<'a>,
    revoked: &'a Revoked,
    now: UnixTime,
}

impl Said<'_> {
    /// What the lists say of a token that could still be accepted: it must be right.
    #[track_caller]
    fn check(&self, token: &Token) -> Option<Verdict> {
        // A day, and the thirty of the settings.
        if token.ends.plus(31 * DAY) <= self.now {
            return None;
        }
        // A key leaves the keyset when all that it signed has ended.
        let covered = &self.lists.newest().covered_keys;
        if covered.binary_search(&token.key_id).is_err() && token.ends <= self.now {
            return None;
        }
        let claims = &token.claims;
        let verdict = self.lists.verdict(claims, token.key_id);
        let newest = self.lists.newest().epoch;
        let whole = self.revoked.whole(token.key_id, claims);
        let alone = self.revoked.tokens.contains(&claims.token_id);
        let right = match verdict {
            Verdict::Revoked { rule, .. } => match rule {
                RuleClass::Token => alone && claims.mint_epoch < newest,
                _ => whole,
            },
            Verdict::Good => !whole && !alone && claims.mint_epoch < newest,
            // A rule that had ended left the list; what was minted later was brought back first.
            Verdict::NotCovered => claims.mint_epoch >= newest,
            Verdict::Probable => false,
        };
        let (token, base) = (claims.token_id, self.lists.base().epoch);
        assert!(right, "{token}: {verdict:?} by {base} and {newest}");
        Some(verdict)
    }
}

fn count(verdict: Option<Verdict>, [good, revoked, other]: [&mut u64; 3]) {
    match verdict {
        None => {}
        Some(Verdict::Good) => *good += 1,
        Some(Verdict::Revoked { .. }) => *revoked += 1,
        Some(_) => *other += 1,
    }
}

fn read(document: &[u8]) -> Status {
    match dangerous_inspect::document(document).unwrap() {
        Document::Status(status) => status,
        _ => panic!("no list"),
    }
}

fn run(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    // The histories are worth something: all answers were given, and the ledger verifies.
    let (good, taken_back, not_covered) = (world.good, world.taken_back, world.not_covered);
    println!("{good} good, {taken_back} revoked, {not_covered} not covered");
    assert!(good > 500 && taken_back > 200 && not_covered > 20);
    let mut issuer = world.issuer;
    issuer.verify_ledger(None, |_| {}).unwrap();
}

#[test]
fn every_application_says_what_was_revoked() {
    run(1, 120);
}

#[test]
fn every_application_says_what_was_revoked_in_other_histories() {
    run(2, 120);
}
