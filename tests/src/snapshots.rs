//! What an issuer has minted and revoked at an epoch, and the lists that are to be made of it:
//! written from docs/spec.md ("Status", "Deltas") alone, beside the issuer's own code.

use std::{collections::BTreeSet, sync::LazyLock};

use phi_issuer::filter;
use phi_verify::{
    Claims, Form, KeyId, LicenseId, ListId, Rule, Sections, Status, Subject, TokenId,
    filter::{Answer, Filter, FilterKind, Layer, SaltedId},
};
use sha2::{Digest as _, Sha256};

use crate::snakeoil::{self, DAY, Seed};

/// A token, as far as lists are about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minted {
    /// Its id.
    pub id: TokenId,
    /// Its license.
    pub license: LicenseId,
    /// Its key.
    pub key_id: KeyId,
    /// The newest epoch when it was minted.
    pub mint_epoch: u64,
}

impl Minted {
    /// The token with this number, under the license key.
    pub fn new(number: u64, license: u64, mint_epoch: u64) -> Self {
        Self {
            id: token_id(number),
            license: LicenseId::from_bytes(license.to_be_bytes()),
            key_id: *LICENSE_KEY,
            mint_epoch,
        }
    }

    /// The claims of the token.
    pub fn claims(&self) -> Claims {
        Claims {
            token_id: self.id,
            license_id: self.license,
            mint_epoch: self.mint_epoch,
            ..snakeoil::claims()
        }
    }
}

/// Keys take longer to make than filters.
static LICENSE_KEY: LazyLock<KeyId> = LazyLock::new(|| Seed::License.id());

static LIST: LazyLock<Status> = LazyLock::new(snakeoil::status);

/// The token id with this number.
pub fn token_id(number: u64) -> TokenId {
    let hash = Sha256::digest(number.to_be_bytes());
    TokenId::from_bytes(hash[..16].try_into().expect("a hash has 32 bytes"))
}

/// The form of a filter: of these members, and of none of the others.
pub type Make = fn(&[SaltedId], &[SaltedId]) -> Option<Filter>;

/// The state of affairs at an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The epoch.
    pub epoch: u64,
    /// Every token that was minted before the epoch was counted up.
    pub tokens: Vec<Minted>,
    /// Those of them that are revoked.
    pub revoked: BTreeSet<TokenId>,
    /// Licenses that are revoked in a section.
    pub dead: BTreeSet<LicenseId>,
    /// The keys whose tokens are known.
    pub covered: BTreeSet<KeyId>,
    /// What is revoked by rules.
    pub rules: Vec<Rule>,
    /// What was revoked by a rule.
    pub unrevoked: Vec<Subject>,
}

impl Snapshot {
    /// The first epoch, of an issuer that has minted these.
    pub fn first(tokens: impl IntoIterator<Item = Minted>) -> Self {
        Self {
            epoch: 1,
            tokens: tokens.into_iter().collect(),
            revoked: BTreeSet::new(),
            dead: BTreeSet::new(),
            covered: LIST.covered_keys.iter().copied().collect(),
            rules: Vec::new(),
            unrevoked: Vec::new(),
        }
    }

    /// The next epoch, changed by the caller.
    #[must_use]
    pub fn next(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut next = self.clone();
        next.epoch += 1;
        change(&mut next);
        next
    }

    /// Whether a list of this epoch knows the token.
    pub fn knows(&self, token: &Minted) -> bool {
        token.mint_epoch < self.epoch && self.covered.contains(&token.key_id)
    }

    /// The full list. Its salt is the epoch's own.
    pub fn full(&self, previous: Option<&Status>, make: Make) -> Status {
        let salt: [u8; 16] = Sha256::digest(self.epoch.to_be_bytes())[..16]
            .try_into()
            .expect("a hash has 32 bytes");
        let known = || self.tokens.iter().filter(|token| self.knows(token));
        let tokens = known().map(|token| (token.id, self.revoked.contains(&token.id)));
        let licenses = known().map(|token| (token.license, self.dead.contains(&token.license)));
        let form = Form::Full {
            previous: previous.map(|list| list.unsigned().payload_hash()),
            salt,
        };
        let revoked = Sections {
            tokens: section(tokens, |id| SaltedId::of_token(&salt, id), make),
            licenses: section(licenses, |id| SaltedId::of_license(&salt, id), make),
        };
        self.list(form, revoked)
    }

    /// The delta from another snapshot, whose full list is `base`, to this one, whose full list is
    /// `full`.
    pub fn delta(&self, before: &Self, base: &Status, full: &Status, make: Make) -> Status {
        let full = full.unsigned().payload_hash();
        let salt: [u8; 16] = full[..16].try_into().expect("a hash has 32 bytes");
        let (mut added, mut removed) = (BTreeSet::new(), BTreeSet::new());
        let (mut license_added, mut license_removed) = (BTreeSet::new(), BTreeSet::new());
        for token in self.tokens.iter().filter(|token| self.knows(token)) {
            let (in_base, revoked) = (before.knows(token), self.revoked.contains(&token.id));
            if in_base && before.revoked.contains(&token.id) {
                removed.insert((token.id, !revoked));
            } else {
                added.insert((token.id, revoked));
            }
            // A license is asked about through its tokens: by those that the base knows in the
            // base, by the others in the delta alone.
            let (license, dead) = (token.license, self.dead.contains(&token.license));
            if in_base && before.dead.contains(&license) {
                license_removed.insert((license, !dead));
            } else {
                license_added.insert((license, dead));
            }
        }
        let token = |id| SaltedId::of_token(&salt, id);
        let license = |id| SaltedId::of_license(&salt, id);
        let form = Form::Delta {
            base: ListId {
                epoch: base.epoch,
                hash: base.unsigned().payload_hash(),
            },
            full,
            removed: Sections {
                tokens: section(removed, token, make),
                licenses: section(license_removed, license, make),
            },
        };
        let revoked = Sections {
            tokens: section(added, token, make),
            licenses: section(license_added, license, make),
        };
        self.list(form, revoked)
    }

    fn list(&self, form: Form, revoked: Sections) -> Status {
        let (list, days) = (LIST.clone(), self.epoch * DAY);
        Status {
            epoch: self.epoch,
            this_update: list.this_update.plus(days),
            next_update: list.next_update.plus(days),
            hard_expiry: list.hard_expiry.plus(days),
            form,
            covered_keys: self.covered.iter().copied().collect(),
            rules: self.rules.clone(),
            revoked,
            unrevoked: self.unrevoked.clone(),
            ..list
        }
    }
}

/// A section of the ids that are marked, and of none of the others.
fn section<T: Ord>(
    ids: impl IntoIterator<Item = (T, bool)>,
    salted: impl Fn(T) -> SaltedId,
    make: Make,
) -> Option<Filter> {
    let ids: BTreeSet<_> = ids.into_iter().collect();
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for (id, is_member) in ids {
        let set = if is_member { &mut members } else { &mut others };
        set.push(salted(id));
    }
    (!members.is_empty()).then(|| make(&members, &others).expect("there are members"))
}

/// An exact list.
///
/// # Panics
/// Never: sorted prefixes are an exact list.
pub fn exact(members: &[SaltedId], _: &[SaltedId]) -> Option<Filter> {
    let prefixes: BTreeSet<_> = members.iter().map(|id| id.prefix()).collect();
    let body: Vec<_> = prefixes.into_iter().flatten().collect();
    Some(Filter::parse(FilterKind::Exact.number(), &body).expect("prefixes ascend"))
}

/// A Bloom cascade.
///
/// # Panics
/// If no cascade tells the ids apart, which happens to no hashes.
pub fn cascade(members: &[SaltedId], others: &[SaltedId]) -> Option<Filter> {
    let built = filter::cascade(members, others).expect("hashes are told apart")?;
    Some(Filter::parse(built.kind.number(), &built.body).expect("it was built"))
}

/// A ribbon pair, or an exact list where there is nothing to tell the members from.
///
/// # Panics
/// If no ribbons tell the ids apart, which happens to no hashes.
pub fn ribbon(members: &[SaltedId], others: &[SaltedId]) -> Option<Filter> {
    let Some(built) = filter::ribbon(members, others).expect("hashes are told apart") else {
        return exact(members, others);
    };
    Some(Filter::parse(built.kind.number(), &built.body).expect("it was built"))
}

/// A Bloom filter of so few bits that it takes many others for members.
///
/// # Panics
/// Never: eight bits are a layer.
pub fn bloom(members: &[SaltedId], _: &[SaltedId]) -> Option<Filter> {
    let bits = u32::try_from(members.len()).map_or(64, |count| count.max(1) * 2 + 6);
    let layer = Layer::new(bits.into(), 2).expect("two probes of a few bits");
    let mut array = vec![0_u8; bits.div_ceil(8) as usize];
    for id in members {
        for bit in layer.places(0, *id) {
            array[usize::try_from(bit / 8).expect("few bits")] |= 1 << (bit % 8);
        }
    }
    assert!(bits < 0x80, "a number of one byte");
    let body = [&[u8::try_from(bits).expect("below 128"), 2], &array[..]].concat();
    let filter = Filter::parse(FilterKind::Bloom.number(), &body).expect("a layer and its bits");
    let missed = |id: &&SaltedId| filter.contains(**id) == Answer::No;
    assert_eq!(
        members.iter().find(missed),
        None,
        "a Bloom filter forgets none"
    );
    Some(filter)
}
