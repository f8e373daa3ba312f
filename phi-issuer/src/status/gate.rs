//! The gate: no list is signed that phi-verify's own code does not read as the ledger means it.
//!
//! The bytes that are about to be signed are parsed again, and every token of the universe is
//! asked of the full list and of every delta with its base. The ledger is read page by page; two
//! threads or more ask. How the lists were made does not matter here, and nothing of it is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use phi_verify::{
    Claims, KeyId, LicenseId, Minimum, RuleClass, Status, StatusLists, Subject as WireSubject,
    Terms, TokenId, UnixTime, Verdict,
};

use super::Step;
use crate::{
    error::Error,
    event::Subject,
    revoked::Revoked,
    store::{Query, TokenRow},
};

/// What is asked, and what has to be the answer.
pub(super) struct Gate<'a> {
    /// The full list, and each delta with its base.
    pub(super) lists: Vec<StatusLists<'a>>,
    pub(super) revoked: &'a Revoked,
    /// The keys whose tokens a list has to know, in ascending order.
    pub(super) keys: Vec<KeyId>,
    /// The newest list before, and what has been taken back of it since.
    pub(super) before: Option<Before<'a>>,
    pub(super) now: UnixTime,
}

/// A list that applications hold.
pub(super) struct Before<'a> {
    /// The list without its rules.
    pub(super) list: StatusLists<'a>,
    /// What was revoked in it and is not any more, by an event since.
    pub(super) ended: &'a Ended,
}

/// Revocations that ended since a list.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) subjects: BTreeSet<(RuleClass, String)>,
    pub(super) suspensions: BTreeSet<LicenseId>,
}

impl Ended {
    pub(super) fn has(&self, subject: &Subject) -> bool {
        self.subjects.contains(&(subject.class(), subject.id()))
    }

    /// Whether an event ended what a list names so. Customers have no names there.
    pub(super) fn says(&self, subject: &WireSubject) -> bool {
        match subject {
            WireSubject::License(id) => {
                self.suspensions.contains(id) || self.has(&Subject::License(*id))
            }
            WireSubject::Feature(product, code) => self.has(&Subject::Feature {
                product: product.clone(),
                code: code.get(),
            }),
            WireSubject::Customer(_) | WireSubject::Key(_) => false,
        }
    }
}

/// What the gate found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Tokens that were asked about and had not ended.
    pub(super) live: u64,
    /// Those of them that are taken back.
    pub(super) revoked: u64,
    /// All that were asked about, each of every list.
    pub(super) asked: u64,
    /// What the list before took back, and no event since brought back.
    pub(super) lost: BTreeSet<(RuleClass, String)>,
    wrong: Option<Wrong>,
}

/// A token of which a list says what the ledger does not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wrong {
    token: TokenId,
    list: String,
    says: Verdict,
    ledger: Verdict,
}

/// Pages that wait for a thread: they bound what is held in memory.
const WAITING: usize = 4;
/// How many losses are kept: more than a person reads.
const MAX_LOST: usize = 100;

impl Gate<'_> {
    /// Asks every list about every token that ended no earlier than this.
    pub(super) fn pass(
        &self,
        query: &Query<'_>,
        since: UnixTime,
        step: &mut Step<'_>,
    ) -> Result<Passed, Error> {
        let threads = thread::available_parallelism()
            .map_or(2, NonZero::get)
            .max(2);
        let passed = thread::scope(|scope| {
            let (sender, receiver) = sync_channel::<Vec<TokenRow>>(WAITING);
            let receiver = Arc::new(Mutex::new(receiver));
            let work = |_| {
                let receiver = Arc::clone(&receiver);
                scope.spawn(move || self.ask(&receiver))
            };
            let workers: Vec<_> = (0..threads).map(work).collect();
            // With no receiver left the workers ended early, and the reading ends as well.
            drop(receiver);
            let read = hand_out(query, since, step, &sender);
            drop(sender);
            let mut passed = Passed::default();
            for worker in workers {
                passed.add(worker.join().expect("asking a list does not panic"));
            }
            read.map(|()| passed)
        })?;
        match &passed.wrong {
            None => Ok(passed),
            Some(wrong) => Err(Error::ListWrong {
                list: wrong.list.clone(),
                token: wrong.token,
                says: wrong.says.to_string(),
                ledger: wrong.ledger.to_string(),
            }),
        }
    }

    fn ask(&self, pages: &Mutex<Receiver<Vec<TokenRow>>>) -> Passed {
        let mut passed = Passed::default();
        let mut claims = template();
        loop {
            let page = match pages.lock() {
                Ok(pages) => pages.recv(),
                Err(_) => return passed,
            };
            let Ok(page) = page else {
                return passed;
            };
            for token in &page {
                self.ask_about(token, &mut claims, &mut passed);
            }
            if passed.wrong.is_some() {
                return passed;
            }
        }
    }

    fn ask_about(&self, token: &TokenRow, claims: &mut Claims, passed: &mut Passed) {
        fill(claims, token);
        let revoked = self.revoked.reaches(token);
        for lists in &self.lists {
            passed.asked += 1;
            let says = lists.verdict(claims, token.key_id);
            let right = match (revoked, says) {
                (Some(_), Verdict::Revoked { .. }) | (None, Verdict::Good) => true,
                // Nobody accepts what a key signed that has left the keyset.
                (_, Verdict::NotCovered) => self.keys.binary_search(&token.key_id).is_err(),
                _ => false,
            };
            if !right {
                let ledger = match revoked {
                    None => Verdict::Good,
                    Some((rule, taken)) => Verdict::Revoked {
                        reason: taken.reason,
                        rule,
                    },
                };
                passed.wrong.get_or_insert(Wrong {
                    token: token.id,
                    list: named(lists),
                    says,
                    ledger,
                });
                return;
            }
        }
        if token.ends.is_none_or(|ends| ends > self.now) {
            passed.live += 1;
            passed.revoked += u64::from(revoked.is_some());
            self.compare(token, claims, passed);
        }
    }

    /// What the list before took back one by one is taken back, or that was ended since. What it
    /// took back by rules is compared by rules.
    fn compare(&self, token: &TokenRow, claims: &Claims, passed: &mut Passed) {
        let Some(before) = &self.before else {
            return;
        };
        let Verdict::Revoked { rule, .. } = before.list.verdict(claims, token.key_id) else {
            return;
        };
        let (subject, stays) = match rule {
            RuleClass::License => (
                Subject::License(token.license),
                self.revoked.has_whole(token.license),
            ),
            _ => (Subject::Token(token.id), self.revoked.names(token.id)),
        };
        if !stays && !before.ended.has(&subject) && passed.lost.len() < MAX_LOST {
            passed.lost.insert((subject.class(), subject.id()));
        }
    }
}

impl Passed {
    fn add(&mut self, other: Self) {
        self.live += other.live;
        self.revoked += other.revoked;
        self.asked += other.asked;
        self.lost.extend(other.lost);
        // The same token is named however the pages fell to the threads.
        self.wrong = [self.wrong.take(), other.wrong]
            .into_iter()
            .flatten()
            .min_by_key(|wrong| wrong.token);
    }
}

fn hand_out(
    query: &Query<'_>,
    since: UnixTime,
    step: &mut Step<'_>,
    pages: &SyncSender<Vec<TokenRow>>,
) -> Result<(), Error> {
    query.each_token_page(since, |page| {
        step.done(page.len());
        // Nobody takes it when a token was wrong already.
        let _ = pages.send(page);
        Ok(())
    })
}

fn named(lists: &StatusLists<'_>) -> String {
    let newest: &Status = lists.newest();
    match newest.base() {
        None => format!("list {}", newest.epoch),
        Some(base) => format!("delta from list {} to list {}", base.epoch, newest.epoch),
    }
}

/// Claims of which a list looks at few: the rest is empty.
fn template() -> Claims {
    Claims {
        issuer: String::new(),
        customer: String::new(),
        expires: None,
        not_before: None,
        issued_at: UnixTime::EPOCH,
        token_id: TokenId::from_bytes([0; 16]),
        product: String::new(),
        plan: String::new(),
        terms: Terms::default(),
        binding: None,
        grace: 0,
        license_id: LicenseId::from_bytes([0; 8]),
        license_revision: 1,
        catalog_revision: 1,
        minimum: Minimum::default(),
        max_status_age: None,
        mint_epoch: 0,
        extensions: BTreeMap::default(),
    }
}

fn fill(claims: &mut Claims, token: &TokenRow) {
    claims.token_id = token.id;
    claims.license_id = token.license;
    claims.customer.clone_from(&token.customer);
    claims.product.clone_from(&token.product);
    claims.issued_at = token.issued_at;
    claims.mint_epoch = token.epoch;
}

/// A token's verdict by some lists.
pub(crate) fn verdict(lists: &StatusLists<'_>, token: &TokenRow) -> Verdict {
    let mut claims = template();
    fill(&mut claims, token);
    lists.verdict(&claims, token.key_id)
}
