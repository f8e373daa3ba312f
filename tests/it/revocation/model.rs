//! Random histories of an issuer against a plain model of it: every token is asked about under
//! every full list and every pair of a full list and a later delta, and must be told what a set of
//! revoked ids for each epoch tells.
//!
//! The lists go through their bytes. The filters are those that the issuer builds; which ids they
//! are built of is `snapshots.rs`'s.

use phi_tests::{
    snakeoil::{START, Seed},
    snapshots::{Make, Minted, Snapshot, cascade, exact, ribbon},
};
use phi_verify::{
    Claims, KeyId, Reason, Rule, RuleClass, Status, StatusLists, Subject, Verdict,
    dangerous_inspect::{self, Document},
    filter::{Answer, Filter, SaltedId},
};

/// How many answers are compared at least.
const CHECKS: u64 = 5_000_000;

/// Epochs of a history: so there are twelve full lists and sixty-six pairs.
const EPOCHS: u64 = 12;

/// Numbers that are the same in every run (Steele, Lea, Flood: `SplitMix64`).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// An issuer at work: what it has minted and revoked, and its last list.
struct History {
    dice: Dice,
    now: Snapshot,
    minted: u64,
    epochs: Vec<Snapshot>,
    /// A second license key, which lists cover from some epoch on.
    second_key: KeyId,
}

impl History {
    /// Lives through all epochs.
    fn new(seed: u64) -> Self {
        let mut now = Snapshot::first([]);
        now.epoch = 0;
        now.covered = [Seed::License.id()].into();
        let mut history = Self {
            dice: Dice(seed),
            now,
            minted: 0,
            epochs: Vec::new(),
            second_key: Seed::Retired.id(),
        };
        for epoch in 1..=EPOCHS {
            history.live();
            // The epoch is counted up first: what is minted from here on is not in the list.
            history.now.epoch = epoch;
            history.epochs.push(history.now.clone());
        }
        history.live();
        history
    }

    /// Some acts between one list and the next.
    fn live(&mut self) {
        self.mint();
        for _ in 0..40 {
            self.revoke();
        }
        let licenses: Vec<_> = self.now.dead.iter().copied().collect();
        if self.dice.one_in(2) {
            let license = self.token().license;
            self.now.dead.insert(license);
        }
        if !licenses.is_empty() && self.dice.one_in(3) {
            let at = self.dice.below(licenses.len() as u64);
            self.now
                .dead
                .remove(&licenses[usize::try_from(at).unwrap()]);
        }
        self.change_rules();
        if self.dice.one_in(4) {
            self.now.covered.insert(self.second_key);
        }
    }

    /// Mints tokens of licenses that are sold, old and new, under both keys.
    fn mint(&mut self) {
        for _ in 0..300 {
            let (number, epoch) = (self.minted, self.now.epoch);
            let license = self.dice.below(number / 4 + 8);
            let mut token = Minted::new(number, license, epoch);
            if self.dice.one_in(4) {
                token.key_id = self.second_key;
            }
            if !self.now.dead.contains(&token.license) {
                self.now.tokens.push(token);
            }
            self.minted += 1;
        }
    }

    fn token(&mut self) -> Minted {
        let count = self.now.tokens.len() as u64;
        self.now.tokens[usize::try_from(self.dice.below(count)).unwrap()]
    }

    /// Revokes a token, old or of this very epoch, or takes a revocation back.
    fn revoke(&mut self) {
        let token = self.token().id;
        if self.dice.one_in(3) {
            let revoked: Vec<_> = self.now.revoked.iter().copied().collect();
            if !revoked.is_empty() {
                let at = self.dice.below(revoked.len() as u64);
                self.now
                    .revoked
                    .remove(&revoked[usize::try_from(at).unwrap()]);
            }
        } else {
            self.now.revoked.insert(token);
        }
    }

    /// A license or a key is revoked by a rule, and now and then the rule is taken back.
    fn change_rules(&mut self) {
        let subject = match self.dice.below(10) {
            0 => Subject::License(self.token().license),
            1 => Subject::Key(self.second_key),
            2 if !self.now.rules.is_empty() => {
                let rule = self.now.rules.remove(0);
                if !self.now.unrevoked.contains(&rule.subject) {
                    self.now.unrevoked.push(rule.subject);
                }
                return;
            }
            _ => return,
        };
        let known = self.now.rules.iter().any(|rule| rule.subject == subject);
        if !known {
            self.now.rules.push(Rule {
                subject,
                issued_before: None,
                reason: Reason::Breach,
                since: START,
                ends: None,
            });
        }
    }
}

/// What the model says of a token at an epoch: a set of revoked ids, and no filter.
fn expected(at: &Snapshot, token: &Minted) -> Verdict {
    let applies = |rule: &&Rule| match &rule.subject {
        Subject::License(license) => *license == token.license,
        Subject::Key(key_id) => *key_id == token.key_id,
        Subject::Customer(_) | Subject::Feature(..) => false,
    };
    // Several rules that apply have one reason here, and a license's rules come first.
    let mut classes = at
        .rules
        .iter()
        .filter(applies)
        .map(|rule| rule.subject.class());
    if let Some(rule) = classes
        .next()
        .map(|first| classes.fold(first, RuleClass::min))
    {
        let reason = Reason::Breach;
        return Verdict::Revoked { reason, rule };
    }
    let revoked = |rule| Verdict::Revoked {
        reason: Reason::Unspecified,
        rule,
    };
    if !at.knows(token) {
        Verdict::NotCovered
    } else if at.dead.contains(&token.license) {
        revoked(RuleClass::License)
    } else if at.revoked.contains(&token.id) {
        revoked(RuleClass::Token)
    } else {
        Verdict::Good
    }
}

/// The forms that answer exactly: each list has its sections in one of them, and more often in the one
/// that is made the fastest.
const FORMS: [Make; 4] = [exact, cascade, exact, ribbon];

/// The list, as a verifier reads it.
fn read(list: &Status) -> Status {
    let unsigned = list.unsigned();
    let kind = phi_verify::DocumentKind::Status;
    match dangerous_inspect::payload(kind, unsigned.payload()).unwrap() {
        Document::Status(status) => status,
        other => panic!("not a status list: {other:?}"),
    }
}

/// How a token is judged under lists.
type Judge = fn(StatusLists<'_>, &Claims, KeyId) -> Verdict;

/// What came of a history.
#[derive(Default)]
struct Tally {
    checks: u64,
    wrong: u64,
    /// How often each verdict was the right one: good, revoked, not covered.
    seen: [u64; 3],
}

/// Asks about every token under every list and pair of a history.
fn ask(history: &mut History, judge: Judge, tally: &mut Tally) {
    let tokens = history.now.tokens.clone();
    let tokens: Vec<_> = tokens.iter().map(|token| (token, token.claims())).collect();
    let mut lists: Vec<Status> = Vec::new();
    for epoch in &history.epochs {
        let make = FORMS[usize::try_from(history.dice.below(4)).unwrap()];
        let list = read(&epoch.full(lists.last(), make));
        lists.push(list);
    }
    for (at, now) in history.epochs.iter().enumerate() {
        let right: Vec<_> = tokens
            .iter()
            .map(|(token, _)| expected(now, token))
            .collect();
        let mut compare = |lists: StatusLists<'_>| {
            for ((token, claims), right) in tokens.iter().zip(&right) {
                tally.checks += 1;
                tally.wrong += u64::from(judge(lists, claims, token.key_id) != *right);
                tally.seen[match right {
                    Verdict::Revoked { .. } => 1,
                    Verdict::NotCovered => 2,
                    _ => 0,
                }] += 1;
            }
        };
        compare(StatusLists::new(&lists[at], None).unwrap());
        for (before, base) in history.epochs[..at].iter().zip(&lists) {
            let make = FORMS[usize::try_from(history.dice.below(4)).unwrap()];
            let delta = read(&now.delta(before, base, &lists[at], make));
            compare(StatusLists::new(base, Some(&delta)).unwrap());
        }
    }
}

#[test]
fn every_token_under_every_pair_is_judged_as_by_the_model() {
    let mut tally = Tally::default();
    let mut seed = 0;
    while tally.checks < CHECKS {
        ask(
            &mut History::new(seed),
            |lists, claims, key_id| lists.verdict(claims, key_id),
            &mut tally,
        );
        assert_eq!(tally.wrong, 0, "history {seed}");
        seed += 1;
    }
    let [good, revoked, not_covered] = tally.seen;
    assert!(
        good.min(revoked).min(not_covered) > CHECKS / 20,
        "{:?}",
        tally.seen
    );
}

/// What is wrong with asking every filter about every token, as others did: the test above would
/// find it.
#[test]
fn asking_every_filter_about_every_token_is_wrong() {
    let naive: Judge = |lists, claims, key_id| {
        let right = lists.verdict(claims, key_id);
        if matches!(
            right,
            Verdict::Revoked {
                reason: Reason::Breach,
                ..
            }
        ) {
            return right;
        }
        let listed = |list: &Status| {
            let (salt, sections) = (list.salt(), &list.revoked);
            let yes = |filter: &Option<Filter>, id| {
                let filter = filter.as_ref();
                filter.is_some_and(|filter| filter.contains(id) == Answer::Yes)
            };
            let license = yes(
                &sections.licenses,
                SaltedId::of_license(&salt, claims.license_id),
            );
            let token = yes(&sections.tokens, SaltedId::of_token(&salt, claims.token_id));
            (license, token)
        };
        let base = listed(lists.base());
        let delta = lists.delta().map_or((false, false), listed);
        let revoked = |rule| Verdict::Revoked {
            reason: Reason::Unspecified,
            rule,
        };
        match (base.0 || delta.0, base.1 || delta.1) {
            (true, _) => revoked(RuleClass::License),
            (false, true) => revoked(RuleClass::Token),
            (false, false) => match right {
                // Of what is not covered it says nothing wrong by calling it that.
                Verdict::NotCovered => right,
                _ => Verdict::Good,
            },
        }
    };
    let mut tally = Tally::default();
    ask(&mut History::new(0), naive, &mut tally);
    assert!(tally.wrong > tally.checks / 100, "{}", tally.wrong);
}
