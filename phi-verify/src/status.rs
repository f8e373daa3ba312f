//! The status document: what is revoked, for which tokens it can speak, and until when.

use alloc::{string::String, vec, vec::Vec};
use core::{cell::LazyCell, fmt};

use sha2::{Digest as _, Sha256};

use crate::{
    Claims, UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    claims::{LicenseId, TokenId},
    document::{DocumentKind, PayloadHash, UnsignedDocument},
    error::{Error, Malformed},
    key::KeyId,
    terms::{FlagCode, FlagSet},
};

/// The payload of a status document (docs/spec.md, "Status").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The trust anchor's issuer.
    pub issuer: String,
    /// Rises with every publication, from 1.
    pub epoch: u64,
    /// When the list was made.
    pub this_update: UnixTime,
    /// When the next list is due: until then this one is fresh.
    pub next_update: UnixTime,
    /// When the list is no longer good for anything but what it revokes.
    pub hard_expiry: UnixTime,
    /// The newest keyset when the list was made: version and payload hash.
    pub keyset: (u64, PayloadHash),
    /// The payload hash of the list before; `None` for the first.
    pub previous: Option<PayloadHash>,
    /// Random bytes that keep the ids in this list from being compared with others.
    pub salt: [u8; 16],
    /// The license keys whose tokens the list knows, in ascending order.
    pub covered_keys: Vec<KeyId>,
    /// What is revoked whole, in the order of their encodings.
    pub rules: Vec<Rule>,
    /// The tokens that are revoked one by one.
    pub tokens: ExactList,
}

/// The revocation of everything that one name covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What is revoked.
    pub subject: Subject,
    /// Only what was issued before this time; `None` is everything, also in the future.
    pub issued_before: Option<UnixTime>,
    /// Why.
    pub reason: Reason,
    /// When it was revoked.
    pub since: UnixTime,
}

/// What a rule revokes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Every token of a license.
    License(LicenseId),
    /// Every token of a customer, by [`Status::customer_hash`].
    Customer([u8; 16]),
    /// Every token under a license key.
    Key(KeyId),
    /// One feature of a product, in every token: the license lives on without it.
    Feature(String, FlagCode),
}

impl Subject {
    /// The class of the subject.
    pub const fn class(&self) -> RuleClass {
        match self {
            Self::License(_) => RuleClass::License,
            Self::Customer(_) => RuleClass::Customer,
            Self::Key(_) => RuleClass::Key,
            Self::Feature(..) => RuleClass::Feature,
        }
    }
}

/// The classes of what can be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleClass {
    /// One token.
    Token,
    /// A license with all its tokens.
    License,
    /// A customer with all its licenses.
    Customer,
    /// A license key with all that it signed.
    Key,
    /// A feature of a product.
    Feature,
}

impl RuleClass {
    /// The class's word in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::License => "license",
            Self::Customer => "customer",
            Self::Key => "key",
            Self::Feature => "feature",
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Token => 0,
            Self::License => 1,
            Self::Customer => 2,
            Self::Key => 3,
            Self::Feature => 4,
        }
    }
}

impl fmt::Display for RuleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why something is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No reason is given.
    #[default]
    Unspecified = 0,
    /// A signing key was stolen or lost.
    KeyCompromise = 1,
    /// The customer did not pay.
    Nonpayment = 2,
    /// The sale was undone.
    Refund = 3,
    /// The customer broke the agreement.
    Breach = 4,
    /// Another license took its place.
    Superseded = 5,
    /// It should not have been issued.
    IssuedInError = 6,
    /// It is out of force for a while: a later list may not have it any more.
    Suspended = 7,
}

impl Reason {
    /// Every reason, in the order of its wire number.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::Nonpayment,
        Self::Refund,
        Self::Breach,
        Self::Superseded,
        Self::IssuedInError,
        Self::Suspended,
    ];

    /// The reason's word in commands and in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::Nonpayment => "nonpayment",
            Self::Refund => "refund",
            Self::Breach => "breach",
            Self::Superseded => "superseded",
            Self::IssuedInError => "issued-in-error",
            Self::Suspended => "suspended",
        }
    }

    /// The reason with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    const fn number(self) -> u64 {
        self as u64
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a status list says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The list knows the token and does not revoke it.
    Good,
    /// The token is revoked.
    Revoked {
        /// What was revoked.
        class: RuleClass,
        /// Why. A list of tokens carries no reasons.
        reason: Reason,
    },
    /// The list cannot know the token, and no rule revokes it.
    NotCovered,
}

/// How old a status list is, by its own three times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// The next list is not due yet.
    Fresh,
    /// The next list is due, and this one still serves.
    Stale,
    /// The list is past its hard expiry.
    Expired,
    /// There is no list.
    Missing,
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Expired => "expired",
            Self::Missing => "missing",
        })
    }
}

impl Status {
    /// What the list says of the token with these claims, signed by this key.
    pub fn verdict(&self, claims: &Claims, key_id: KeyId) -> Verdict {
        let customer = LazyCell::new(|| self.customer_hash(&claims.customer));
        let revokes = |rule: &&Rule| {
            rule.applies_to(claims.issued_at)
                && match &rule.subject {
                    Subject::Key(id) => *id == key_id,
                    Subject::License(id) => *id == claims.license_id,
                    Subject::Customer(hash) => *hash == *customer,
                    Subject::Feature(..) => false,
                }
        };
        if let Some(rule) = self.rules.iter().find(revokes) {
            return Verdict::Revoked {
                class: rule.subject.class(),
                reason: rule.reason,
            };
        }
        // A token minted at this epoch or later was not there when the list was made.
        let known =
            claims.mint_epoch < self.epoch && self.covered_keys.binary_search(&key_id).is_ok();
        if !known {
            Verdict::NotCovered
        } else if self.tokens.contains(&self.salt, claims.token_id) {
            Verdict::Revoked {
                class: RuleClass::Token,
                reason: Reason::Unspecified,
            }
        } else {
            Verdict::Good
        }
    }

    /// The flags of the license that feature rules switch off.
    pub fn disabled_flags(&self, claims: &Claims) -> FlagSet {
        let disabled = self.rules.iter().filter_map(|rule| match &rule.subject {
            Subject::Feature(product, flag)
                if *product == claims.product && rule.applies_to(claims.issued_at) =>
            {
                Some(*flag)
            }
            _ => None,
        });
        disabled
            .filter(|flag| claims.terms.flags.contains(*flag))
            .collect()
    }

    /// How old the list is.
    pub fn freshness(&self, now: UnixTime) -> Freshness {
        if now < self.next_update {
            Freshness::Fresh
        } else if now < self.hard_expiry {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }

    /// The customer's name as a rule holds it: under this list's salt.
    pub fn customer_hash(&self, customer: &str) -> [u8; 16] {
        salted(&self.salt, RuleClass::Customer, customer.as_bytes())
    }

    /// The document, to be signed by the status role.
    pub fn unsigned(&self) -> UnsignedDocument {
        let mut map = MapBuilder::of_kind(DocumentKind::Status.number());
        map.put(field::ISSUER, self.issuer.as_str());
        map.put(field::EPOCH, self.epoch);
        map.put(field::THIS_UPDATE, self.this_update.seconds());
        map.put(field::NEXT_UPDATE, self.next_update.seconds());
        map.put(field::HARD_EXPIRY, self.hard_expiry.seconds());
        let (version, hash) = self.keyset;
        map.put(field::KEYSET, vec![version.into(), Value::from(&hash[..])]);
        map.put_some(
            field::PREVIOUS,
            self.previous.as_ref().map(|hash| &hash[..]),
        );
        map.put(field::SALT, &self.salt[..]);
        let keys = self
            .covered_keys
            .iter()
            .map(|id| Value::from(&id.as_bytes()[..]));
        map.put(field::COVERED_KEYS, Value::Array(keys.collect()));
        map.put(field::RULES, Value::Array(self.sorted_rules()));
        map.put(field::SECTIONS, Value::Array(self.tokens.encode()));
        UnsignedDocument::with_payload(DocumentKind::Status, map.encode())
    }

    /// Rules in the order of their encodings, so that one set of rules has one document.
    fn sorted_rules(&self) -> Vec<Value> {
        let mut rules: Vec<_> = self.rules.iter().map(Rule::encode).collect();
        rules.sort_by_cached_key(cbor::encode);
        rules
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        let invalid = |cause| Error::Document {
            kind: DocumentKind::Status,
            cause,
        };
        Self::decode_fields(payload).map_err(invalid)
    }

    fn decode_fields(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(payload, DocumentKind::Status.number())?;
        let status = Self {
            issuer: fields.text(field::ISSUER)?,
            epoch: fields.positive(field::EPOCH)?,
            this_update: fields.time(field::THIS_UPDATE)?,
            next_update: fields.time(field::NEXT_UPDATE)?,
            hard_expiry: fields.time(field::HARD_EXPIRY)?,
            keyset: decode_keyset(&mut fields)?,
            previous: fields
                .take(field::PREVIOUS)
                .map(|hash| cbor::sized(hash, field::PREVIOUS))
                .transpose()?,
            salt: fields.bytes(field::SALT)?,
            covered_keys: decode_covered(&mut fields)?,
            rules: decode_rules(&mut fields)?,
            tokens: ExactList::decode(&mut fields)?,
        };
        fields.extensions()?;
        let ordered =
            status.this_update < status.next_update && status.next_update <= status.hard_expiry;
        if !ordered {
            let problem = "is not after this update and before the hard expiry";
            return Err(Malformed::Field {
                key: field::NEXT_UPDATE,
                problem,
            });
        }
        if status.previous.is_some() != (status.epoch > 1) {
            let problem = "names the list before, which every list but the first has";
            return Err(Malformed::Field {
                key: field::PREVIOUS,
                problem,
            });
        }
        Ok(status)
    }
}

mod field {
    pub(super) const ISSUER: u64 = 1;
    pub(super) const EPOCH: u64 = 2;
    pub(super) const THIS_UPDATE: u64 = 3;
    pub(super) const NEXT_UPDATE: u64 = 4;
    pub(super) const HARD_EXPIRY: u64 = 5;
    pub(super) const KEYSET: u64 = 6;
    pub(super) const PREVIOUS: u64 = 7;
    pub(super) const SALT: u64 = 8;
    pub(super) const COVERED_KEYS: u64 = 9;
    pub(super) const RULES: u64 = 10;
    pub(super) const SECTIONS: u64 = 11;
}

fn decode_keyset(fields: &mut Fields) -> Result<(u64, PayloadHash), Malformed> {
    let [version, hash] = cbor::array(fields.require(field::KEYSET)?, field::KEYSET)?;
    Ok((
        cbor::positive(version, field::KEYSET)?,
        cbor::sized(hash, field::KEYSET)?,
    ))
}

fn decode_covered(fields: &mut Fields) -> Result<Vec<KeyId>, Malformed> {
    let key = field::COVERED_KEYS;
    let ids = cbor::list(fields.require(key)?, key)?
        .iter()
        .map(|id| cbor::sized(id, key).map(KeyId::from_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    ascending(&ids, key)?;
    Ok(ids)
}

fn decode_rules(fields: &mut Fields) -> Result<Vec<Rule>, Malformed> {
    let rules = cbor::list(fields.require(field::RULES)?, field::RULES)?;
    let encodings: Vec<_> = rules.encodings().collect();
    ascending(&encodings, field::RULES)?;
    rules.iter().map(Rule::decode).collect()
}

fn ascending<T: Ord>(items: &[T], key: u64) -> Result<(), Malformed> {
    if items.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(());
    }
    Err(Malformed::Field {
        key,
        problem: "is not in strictly ascending order",
    })
}

impl Rule {
    fn applies_to(&self, issued_at: UnixTime) -> bool {
        self.issued_before.is_none_or(|cutoff| issued_at < cutoff)
    }

    /// `{0 => class, 1 => id, ? 2 => issued before, 3 => reason, 4 => since}`.
    fn decode(item: Item) -> Result<Self, Malformed> {
        let key = field::RULES;
        let mut entry = Fields::of(item, key)?;
        let subject = match (entry.uint(0)?, entry.require(1)?) {
            (1, id) => Subject::License(LicenseId::from_bytes(cbor::sized(id, key)?)),
            (2, id) => Subject::Customer(cbor::sized(id, key)?),
            (3, id) => Subject::Key(KeyId::from_bytes(cbor::sized(id, key)?)),
            (4, id) => {
                let [product, code] = cbor::array(id, key)?;
                let flag = FlagCode::checked(cbor::uint(code, key)?);
                let problem = "names a flag beyond the code space";
                let flag = flag.ok_or(Malformed::Field { key, problem })?;
                Subject::Feature(cbor::text(product, key)?, flag)
            }
            _ => {
                return Err(Malformed::Field {
                    key,
                    problem: "has a rule of unknown class",
                });
            }
        };
        let issued_before = entry.optional_time(2)?;
        let reason = entry.uint(3)?;
        let rule = Self {
            subject,
            issued_before,
            reason: Reason::ALL
                .into_iter()
                .find(|known| known.number() == reason)
                .ok_or(Malformed::Field {
                    key,
                    problem: "has a rule with an unknown reason",
                })?,
            since: entry.time(4)?,
        };
        entry.end(key)?;
        Ok(rule)
    }

    fn encode(&self) -> Value {
        let mut map = MapBuilder::default();
        map.put(0, self.subject.class().number());
        match &self.subject {
            Subject::License(id) => map.put(1, &id.as_bytes()[..]),
            Subject::Customer(hash) => map.put(1, &hash[..]),
            Subject::Key(id) => map.put(1, &id.as_bytes()[..]),
            Subject::Feature(product, flag) => {
                map.put(
                    1,
                    Value::Array(vec![product.as_str().into(), flag.get().into()]),
                );
            }
        }
        map.put_some(2, self.issued_before.map(UnixTime::seconds));
        map.put(3, self.reason.number());
        map.put(4, self.since.seconds());
        map.value()
    }
}

/// The exact list of revoked tokens: the first 8 bytes of each token's salted hash, ascending.
///
/// The builder makes sure, with this very code, that no token which is not revoked is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExactList(Vec<[u8; 8]>);

/// The section's class (tokens) and kind (exact list); other kinds are to come, and until then
/// a list that has them is refused whole.
const TOKENS: u64 = 0;
const EXACT: u64 = 0;

impl ExactList {
    /// The list of these tokens under this salt.
    pub fn new(salt: &[u8; 16], tokens: impl IntoIterator<Item = TokenId>) -> Self {
        let mut list: Vec<_> = tokens
            .into_iter()
            .map(|token| prefix(salt, token))
            .collect();
        list.sort_unstable();
        list.dedup();
        Self(list)
    }

    /// Whether the token is in the list.
    pub fn contains(&self, salt: &[u8; 16], token: TokenId) -> bool {
        !self.0.is_empty() && self.0.binary_search(&prefix(salt, token)).is_ok()
    }

    /// How many tokens are in the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no token is in the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sections of a status document: `[class, kind, body]`, or none for an empty list.
    fn encode(&self) -> Vec<Value> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let body = Value::Bytes(self.0.concat());
        vec![Value::Array(vec![TOKENS.into(), EXACT.into(), body])]
    }

    fn decode(fields: &mut Fields) -> Result<Self, Malformed> {
        let key = field::SECTIONS;
        let mut sections = cbor::list(fields.require(key)?, key)?;
        let Some(section) = sections.take() else {
            return Ok(Self::default());
        };
        if !sections.is_empty() {
            return Err(Malformed::Field {
                key,
                problem: "has too many sections",
            });
        }
        let [class, kind, body] = cbor::array(section, key)?;
        if (cbor::uint(class, key)?, cbor::uint(kind, key)?) != (TOKENS, EXACT) {
            return Err(Malformed::Field {
                key,
                problem: "has a section of unknown kind",
            });
        }
        let body = cbor::bytes(body, key)?;
        let (prefixes, []) = body.as_chunks() else {
            return Err(Malformed::Field {
                key,
                problem: "has a list of another shape",
            });
        };
        if prefixes.is_empty() {
            return Err(Malformed::Field {
                key,
                problem: "has an empty list: leave it out",
            });
        }
        ascending(prefixes, key)?;
        Ok(Self(prefixes.to_vec()))
    }
}

fn prefix(salt: &[u8; 16], token: TokenId) -> [u8; 8] {
    let hash = salted(salt, RuleClass::Token, token.as_bytes());
    hash[..8].try_into().expect("a hash has sixteen bytes")
}

/// `SHA-256("phi/rev/v1\0" || salt || class || id)`, its first 16 bytes.
fn salted(salt: &[u8; 16], class: RuleClass, id: &[u8]) -> [u8; 16] {
    let class = u8::try_from(class.number()).expect("classes are below 256");
    let hash = Sha256::new()
        .chain_update(b"phi/rev/v1\0")
        .chain_update(salt)
        .chain_update([class])
        .chain_update(id)
        .finalize();
    hash[..16].try_into().expect("a hash has thirty-two bytes")
}
