//! What the lists at hand say of a token: a full list, or a full list and a delta to it.
//!
//! A delta says nothing alone, so nothing can be asked of a single [`Status`].

use core::cell::LazyCell;

use super::{
    Freshness, Reason, Sections, Status, Verdict,
    rule::{Rule, RuleClass, Subject},
    sections::ask,
    wire::field,
};
use crate::{
    Claims, UnixTime,
    document::DocumentKind,
    error::{Error, Malformed},
    filter::{Answer, Filter, SaltedId},
    key::KeyId,
    terms::FlagSet,
};

/// The lists at hand, which go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusLists<'a> {
    base: &'a Status,
    delta: Option<&'a Status>,
}

impl<'a> StatusLists<'a> {
    /// A full list, with a delta to it if there is one.
    ///
    /// # Errors
    /// [`Error::DeltaBase`] if the first is not the full list that the delta is to, or a delta
    /// itself; [`Error::Document`] if the second is no delta.
    pub fn new(base: &'a Status, delta: Option<&'a Status>) -> Result<Self, Error> {
        if let Some(needed) = base.base() {
            let (needed, held) = (needed.epoch, None);
            return Err(Error::DeltaBase { needed, held });
        }
        if let Some(delta) = delta {
            let needed = delta.base().ok_or(NO_DELTA)?;
            if needed != base.identity(base.unsigned().payload_hash()) {
                let (needed, held) = (needed.epoch, Some(base.epoch));
                return Err(Error::DeltaBase { needed, held });
            }
        }
        Ok(Self { base, delta })
    }

    /// Lists that are known to go together.
    pub(crate) const fn of(base: &'a Status, delta: Option<&'a Status>) -> Self {
        Self { base, delta }
    }

    /// The full list.
    pub const fn base(&self) -> &'a Status {
        self.base
    }

    /// The delta.
    pub const fn delta(&self) -> Option<&'a Status> {
        self.delta
    }

    /// The newest list: the delta, or else the full list. Its times, rules and covered keys count.
    pub const fn newest(&self) -> &'a Status {
        match self.delta {
            Some(delta) => delta,
            None => self.base,
        }
    }

    /// How old the newest list is.
    pub fn freshness(&self, now: UnixTime) -> Freshness {
        self.newest().freshness(now)
    }

    /// What the lists say of the token with these claims, signed by this key.
    pub fn verdict(&self, claims: &Claims, key_id: KeyId) -> Verdict {
        let newest = self.newest();
        if let Some(rule) = newest.rule_against(claims, key_id) {
            let (reason, rule) = (rule.reason, rule.subject.class());
            return Verdict::Revoked { reason, rule };
        }
        if !newest.knows(claims.mint_epoch, key_id) {
            return Verdict::NotCovered;
        }
        let in_base = self.base.knows(claims.mint_epoch, key_id);
        let license = self.revoked(in_base, LICENSES, |salt| {
            SaltedId::of_license(salt, claims.license_id)
        });
        let token = || {
            let id = |salt: &_| SaltedId::of_token(salt, claims.token_id);
            self.revoked(in_base, TOKENS, id)
        };
        let revoked = |rule| Verdict::Revoked {
            reason: Reason::Unspecified,
            rule,
        };
        match license {
            Answer::Yes => revoked(RuleClass::License),
            _ => match (license, token()) {
                (_, Answer::Yes) => revoked(RuleClass::Token),
                (Answer::No, Answer::No) => Verdict::Good,
                _ => Verdict::Probable,
            },
        }
    }

    /// The flags of the license that feature rules switch off.
    pub fn disabled_flags(&self, claims: &Claims) -> FlagSet {
        let rules = self.newest().rules.iter();
        let disabled = rules.filter_map(|rule| match &rule.subject {
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

    /// Whether a section revokes an id, by what base and delta each were made to answer: the base
    /// about what it knows, the delta's removed about what the base revokes, and its revoked
    /// about all else. Elsewhere the answers of a filter mean nothing (docs/spec.md, "Deltas").
    fn revoked(
        &self,
        in_base: bool,
        section: Section,
        id: impl Fn(&[u8; 16]) -> SaltedId,
    ) -> Answer {
        let by_base = if in_base {
            ask(section(&self.base.revoked), || id(&self.base.salt()))
        } else {
            Answer::No
        };
        let Some(delta) = self.delta else {
            return by_base;
        };
        let id = LazyCell::new(|| id(&delta.salt()));
        let stays = || match delta
            .removed()
            .map_or(Answer::No, |removed| ask(section(removed), || *id))
        {
            Answer::No => Answer::Yes,
            Answer::Yes => Answer::No,
            Answer::Probably => Answer::Probably,
        };
        let added = || ask(section(&delta.revoked), || *id);
        match by_base {
            Answer::Yes => stays(),
            Answer::No => added(),
            // Whichever of the two the truth is, the answer may be the same.
            Answer::Probably => Some(stays())
                .filter(|stays| *stays == added())
                .unwrap_or(Answer::Probably),
        }
    }

    /// Whether a license is in the license sections, whichever of them is to be asked.
    pub(super) fn lists_license(&self, id: crate::claims::LicenseId) -> bool {
        let id = |salt: &_| SaltedId::of_license(salt, id);
        [true, false]
            .into_iter()
            .any(|in_base| self.revoked(in_base, LICENSES, id) != Answer::No)
    }
}

/// One of the sections of a class.
type Section = fn(&Sections) -> Option<&Filter>;

const TOKENS: Section = |sections| sections.tokens.as_ref();
const LICENSES: Section = |sections| sections.licenses.as_ref();

const NO_DELTA: Error = Error::Document {
    kind: DocumentKind::Status,
    cause: Malformed::MissingField { key: field::BASE },
};

impl Status {
    /// The first rule that revokes the token.
    fn rule_against(&self, claims: &Claims, key_id: KeyId) -> Option<&Rule> {
        let customer = LazyCell::new(|| self.customer_hash(&claims.customer));
        self.rules.iter().find(|rule| {
            rule.applies_to(claims.issued_at)
                && match &rule.subject {
                    Subject::Key(id) => *id == key_id,
                    Subject::License(id) => *id == claims.license_id,
                    Subject::Customer(hash) => *hash == *customer,
                    Subject::Feature(..) => false,
                }
        })
    }
}
