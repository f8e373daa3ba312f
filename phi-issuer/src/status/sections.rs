//! Sections: which ids each filter of a list has to answer for, and what it has to say of each.
//!
//! Everything is streamed: of a token no more is held than its salted id, 16 bytes.

use std::collections::{BTreeMap, BTreeSet};

use phi_verify::{
    LicenseId, Sections, Status, UnixTime,
    filter::{Answer, Filter, SaltedId, TokenHash},
};
use sha2::{Digest as _, Sha256};

use super::{Numbers, Padding, Step};
use crate::{
    error::Error,
    filter::{self, Wanted},
    revoked::Revoked,
    store::{Query, TokenRow},
};

/// What a filter has to say of the ids that it is asked about.
#[derive(Default)]
struct Sets {
    members: Vec<SaltedId>,
    others: Vec<SaltedId>,
}

impl Sets {
    fn put(&mut self, id: SaltedId, member: bool) {
        let ids = if member {
            &mut self.members
        } else {
            &mut self.others
        };
        ids.push(id);
    }

    /// Ids that nobody has, so that the numbers are powers of two and say no more than that.
    fn pad(&mut self, salt: &[u8; 16], class: u8) {
        let members = self.members.len().next_power_of_two();
        let all = self.members.len() + self.others.len();
        let all = all.max(members + self.others.len()).next_power_of_two();
        let decoys = (0_u64..).map(|number| decoy(salt, class, number));
        let mut decoys = decoys.into_iter();
        let missing = members - self.members.len();
        self.members.extend(decoys.by_ref().take(missing));
        let missing = all - members - self.others.len();
        self.others.extend(decoys.take(missing));
    }

    fn filter(
        mut self,
        how: How<'_>,
        class: u8,
        numbers: &mut Numbers,
    ) -> Result<Option<Filter>, Error> {
        if how.padding == Padding::PowersOfTwo && self.members.len() + self.others.len() > 0 {
            self.pad(how.salt, class);
        }
        let built = filter::build(&self.members, &self.others, how.wanted);
        let Some(built) = built.map_err(Error::Filter)? else {
            return Ok(None);
        };
        let filter = Filter::parse(built.kind.number(), &built.body)
            .map_err(|error| super::refused(error.problem()))?;
        numbers.add(&built, self.members.len(), self.others.len());
        Ok(Some(filter))
    }
}

/// How filters are made.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) salt: &'a [u8; 16],
    pub(super) wanted: Wanted,
    pub(super) padding: Padding,
}

const TOKENS: u8 = 0;
const LICENSES: u8 = 1;

/// An id that is no token's and no license's, of a domain of its own under the list's salt.
fn decoy(salt: &[u8; 16], class: u8, number: u64) -> SaltedId {
    let hash = Sha256::new()
        .chain_update(b"phi/rev/decoy/v1\0")
        .chain_update(salt)
        .chain_update([class])
        .chain_update(number.to_be_bytes())
        .finalize();
    SaltedId::from_bytes(hash[..16].try_into().expect("a hash has thirty-two bytes"))
}

/// What the filters are asked about: the tokens of keys that the list covers, that ended no
/// earlier than this.
pub(super) struct Universe<'a> {
    pub(super) list: &'a Status,
    pub(super) since: UnixTime,
    pub(super) revoked: &'a Revoked,
    /// The licenses that are revoked in a section instead of rules.
    pub(super) licenses: &'a BTreeSet<LicenseId>,
}

impl Universe<'_> {
    fn each(
        &self,
        query: &Query<'_>,
        step: &mut Step<'_>,
        mut each: impl FnMut(&TokenRow),
    ) -> Result<(), Error> {
        query.each_token_page(self.since, |page| {
            step.done(page.len());
            page.iter()
                .filter(|token| knows(self.list, token))
                .for_each(&mut each);
            Ok(())
        })
    }

    /// The filters of a full list.
    pub(super) fn full(
        &self,
        query: &Query<'_>,
        how: How<'_>,
        step: &mut Step<'_>,
    ) -> Result<(Sections, Numbers), Error> {
        let hash = TokenHash::new(how.salt);
        let mut tokens = Sets::default();
        let mut seen = BTreeSet::new();
        self.each(query, step, |token| {
            let id = hash.of(token.id);
            tokens.put(id, self.revoked.names(token.id));
            if !self.licenses.is_empty() {
                seen.insert(token.license);
            }
        })?;
        // One that has no token is in it as well: a rule of the list before may name it.
        seen.extend(self.licenses);
        let mut licenses = Sets::default();
        for license in seen {
            let id = SaltedId::of_license(how.salt, license);
            licenses.put(id, self.licenses.contains(&license));
        }
        let mut numbers = Numbers::default();
        let sections = Sections {
            tokens: tokens.filter(how, TOKENS, &mut numbers)?,
            licenses: licenses.filter(how, LICENSES, &mut numbers)?,
        };
        Ok((sections, numbers))
    }

    /// The filters of a delta: what is added to the base, and what is removed from it. What the
    /// base says is asked of the base itself, so that it does not matter what it was made of.
    pub(super) fn delta(
        &self,
        query: &Query<'_>,
        base: &Status,
        how: How<'_>,
        step: &mut Step<'_>,
    ) -> Result<([Sections; 2], Numbers), Error> {
        let salt = base.salt();
        let says = |filter: &Option<Filter>, id: SaltedId| {
            filter
                .as_ref()
                .is_some_and(|filter| filter.contains(id) != Answer::No)
        };
        let (hash, base_hash) = (TokenHash::new(how.salt), TokenHash::new(&salt));
        let (mut added, mut removed) = (Sets::default(), Sets::default());
        // Of each license: whether it has tokens that the base knows, and such that it does not.
        let mut seen: BTreeMap<LicenseId, [bool; 2]> = BTreeMap::new();
        let has_licenses = !self.licenses.is_empty() || base.revoked.licenses.is_some();
        self.each(query, step, |token| {
            let (in_base, now) = (knows(base, token), self.revoked.names(token.id));
            let id = hash.of(token.id);
            let before = in_base && says(&base.revoked.tokens, base_hash.of(token.id));
            if before {
                removed.put(id, !now);
            } else {
                added.put(id, now);
            }
            if has_licenses {
                seen.entry(token.license).or_default()[usize::from(in_base)] = true;
            }
        })?;
        for license in self.licenses {
            seen.entry(*license).or_insert([true, false]);
        }
        let (mut more, mut fewer) = (Sets::default(), Sets::default());
        for (license, [out_of_base, in_base]) in seen {
            let now = self.licenses.contains(&license);
            let id = SaltedId::of_license(how.salt, license);
            let before = says(&base.revoked.licenses, SaltedId::of_license(&salt, license));
            if in_base && before {
                fewer.put(id, !now);
            }
            if out_of_base || (in_base && !before) {
                more.put(id, now);
            }
        }
        let mut numbers = Numbers::default();
        let added = Sections {
            tokens: added.filter(how, TOKENS, &mut numbers)?,
            licenses: more.filter(how, LICENSES, &mut numbers)?,
        };
        let removed = Sections {
            tokens: removed.filter(how, TOKENS, &mut numbers)?,
            licenses: fewer.filter(how, LICENSES, &mut numbers)?,
        };
        Ok(([added, removed], numbers))
    }
}

/// Whether a list can know the token.
pub(super) fn knows(list: &Status, token: &TokenRow) -> bool {
    token.epoch < list.epoch && list.covered_keys.binary_search(&token.key_id).is_ok()
}
