//! What came and what went between two lists: rules by their names, tokens by their ids, which
//! the lists do not have and the ledger does.

use std::collections::{BTreeMap, HashMap};

use phi_verify::{
    LicenseId, Reason, RuleClass, Status, StatusLists, Subject as WireSubject, TokenId, UnixTime,
    Verdict,
};

use super::{Settled, delta, gate, list, read_document, refused};
use crate::{Issuer, error::Error, store::Query};

/// A list to compare.
#[derive(Clone, Debug)]
pub enum ListName {
    /// The full list of this epoch, as the ledger has it.
    Epoch(u64),
    /// A document. A delta is read with its base, as the ledger has it.
    Document(Vec<u8>),
}

/// What is different between two lists.
#[derive(Clone, Debug)]
pub struct ListDiff {
    /// The epochs of the two.
    pub epochs: [u64; 2],
    /// When the two were made.
    pub made: [UnixTime; 2],
    /// The rules, those of whole licenses in sections among them.
    pub rules: Vec<RuleChange>,
    /// The tokens that are revoked one by one.
    pub tokens: Vec<TokenChange>,
}

/// A rule that came, went or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// What it is about.
    pub class: RuleClass,
    /// Its id: of a customer the name, or the hash if the ledger has no such customer.
    pub id: String,
    /// What the lists say, the first and the second: up to when, and why.
    pub sides: [Option<Side>; 2],
}

/// A rule in one of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// Only what was issued before this time.
    pub issued_before: Option<UnixTime>,
    /// Why.
    pub reason: Reason,
}

/// A token that one of the lists revokes by itself and the other does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenChange {
    /// The token.
    pub token: TokenId,
    /// Its license.
    pub license: LicenseId,
    /// The license's customer.
    pub customer: String,
    /// Whether the second list is the one that revokes it.
    pub came: bool,
}

impl Issuer {
    /// Compares two lists.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a list that the ledger does not have, [`Error::Invalid`] for a
    /// document that is no list.
    pub fn diff_lists(&mut self, one: &ListName, other: &ListName) -> Result<ListDiff, Error> {
        let stays = list::stays(&self.settings);
        self.store.read(|query| {
            let (one, other) = (Pair::of(query, one)?, Pair::of(query, other)?);
            diff(query, [&one, &other], stays)
        })
    }
}

/// A full list, and the delta that was asked for, if it was one.
struct Pair {
    base: Settled,
    delta: Option<Status>,
}

impl Pair {
    fn of(query: &Query<'_>, name: &ListName) -> Result<Self, Error> {
        let bytes = match name {
            ListName::Epoch(epoch) => {
                let base = delta::base(query, *epoch, u64::MAX)?;
                return Ok(Self { base, delta: None });
            }
            ListName::Document(bytes) => bytes,
        };
        let read = read_document(bytes)?;
        if read.status.issuer != query.issuer()? {
            return Err(refused("is another issuer's"));
        }
        Ok(match read.status.base() {
            None => Self {
                base: read,
                delta: None,
            },
            Some(base) => Self {
                base: delta::base(query, base.epoch, read.status.epoch)?,
                delta: Some(read.status),
            },
        })
    }

    /// The filters alone: what is revoked one by one, whatever rules reach it as well.
    fn without_rules(&self) -> Self {
        let bare = |status: &Status| Status {
            rules: Vec::new(),
            ..status.clone()
        };
        match &self.delta {
            // Those of the delta count. The base is to be what the delta says that it is.
            Some(delta) => Self {
                base: self.base.clone(),
                delta: Some(bare(delta)),
            },
            None => Self {
                base: Settled {
                    status: bare(&self.base.status),
                    hash: self.base.hash,
                },
                delta: None,
            },
        }
    }

    fn lists(&self) -> Result<StatusLists<'_>, Error> {
        StatusLists::new(&self.base.status, self.delta.as_ref()).map_err(Error::NotVerified)
    }
}

fn diff(query: &Query<'_>, pairs: [&Pair; 2], stays: u64) -> Result<ListDiff, Error> {
    let lists = [pairs[0].lists()?, pairs[1].lists()?];
    let made = lists.map(|lists| lists.newest().this_update);
    let mut rules: BTreeMap<(RuleClass, String), [Option<Side>; 2]> = BTreeMap::new();
    for (side, lists) in lists.iter().enumerate() {
        let list = lists.newest();
        let customers = customers(query, list)?;
        for rule in &list.rules {
            let found = Side {
                issued_before: rule.issued_before,
                reason: rule.reason,
            };
            let name = (rule.subject.class(), id_of(&rule.subject, &customers));
            rules.entry(name).or_default()[side] = Some(found);
        }
    }
    let bare = [pairs[0].without_rules(), pairs[1].without_rules()];
    let lists = [bare[0].lists()?, bare[1].lists()?];
    let earliest = made[0].min(made[1]).seconds();
    let since = UnixTime::EPOCH.plus(earliest.saturating_sub(stays));
    let mut tokens = Vec::new();
    query.each_token_page(since, |page| {
        for token in &page {
            let mut one_by_one = [false; 2];
            for (side, lists) in lists.iter().enumerate() {
                // What has ended left the list, whose filters say nothing about it.
                let left = token
                    .ends
                    .is_some_and(|ends| ends.plus(stays) <= made[side]);
                if left {
                    continue;
                }
                match gate::verdict(lists, token) {
                    Verdict::Revoked {
                        rule: RuleClass::Token,
                        ..
                    } => one_by_one[side] = true,
                    Verdict::Revoked {
                        rule: RuleClass::License,
                        ..
                    } => {
                        let name = (RuleClass::License, token.license.to_string());
                        rules.entry(name).or_default()[side] = Some(Side {
                            issued_before: None,
                            reason: Reason::Unspecified,
                        });
                    }
                    _ => {}
                }
            }
            if one_by_one[0] != one_by_one[1] {
                tokens.push(TokenChange {
                    token: token.id,
                    license: token.license,
                    customer: token.customer.clone(),
                    came: one_by_one[1],
                });
            }
        }
        Ok(())
    })?;
    let changed = rules.into_iter().filter(|(_, sides)| sides[0] != sides[1]);
    let rules = changed.map(|((class, id), sides)| RuleChange { class, id, sides });
    Ok(ListDiff {
        epochs: lists.map(|lists| lists.newest().epoch),
        made,
        rules: rules.collect(),
        tokens,
    })
}

/// The customers of the ledger by their hashes in a list.
fn customers(query: &Query<'_>, list: &Status) -> Result<HashMap<[u8; 16], String>, Error> {
    let of_customer = |rule: &phi_verify::Rule| rule.subject.class() == RuleClass::Customer;
    if !list.rules.iter().any(of_customer) {
        return Ok(HashMap::new());
    }
    let customers = query.customers()?.into_iter();
    Ok(customers
        .map(|customer| (list.customer_hash(&customer.id), customer.id))
        .collect())
}

fn id_of(subject: &WireSubject, customers: &HashMap<[u8; 16], String>) -> String {
    match subject {
        WireSubject::License(id) => id.to_string(),
        WireSubject::Customer(hash) => customers.get(hash).cloned().unwrap_or_else(|| {
            let bytes = hash.iter().map(|byte| format!("{byte:02x}"));
            bytes.collect()
        }),
        WireSubject::Key(id) => id.to_string(),
        WireSubject::Feature(product, code) => format!("{product}/{code}"),
    }
}
