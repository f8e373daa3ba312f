//! The tokens of a measurement: ids that anyone can make again, of which some are revoked.

use phi_verify::{
    TokenId,
    filter::{SaltedId, TokenHash},
};

/// The salt of every list here.
pub(crate) const SALT: [u8; 16] = *b"snakeoil salt 16";

/// Tokens, numbered in the order in which they were minted.
pub(crate) struct Tokens {
    ids: Vec<TokenId>,
    /// The numbers of those that are revoked, ascending.
    revoked: Vec<u32>,
    /// The salted ids of those that are revoked, then of the others.
    salted: Vec<SaltedId>,
}

impl Tokens {
    /// So many tokens, and so many of them revoked: drawn, the same ones each time.
    pub(crate) fn new(count: u32, revoked: u32) -> Self {
        let mut draw = Draw(u64::from(count) << 32 | u64::from(revoked));
        let ids: Vec<_> = (0..count)
            .map(|_| {
                let number = u128::from(draw.next()) << 64 | u128::from(draw.next());
                TokenId::from_bytes(number.to_le_bytes())
            })
            .collect();
        let mut chosen = vec![false; ids.len()];
        let mut left = revoked;
        while left > 0 {
            let place = &mut chosen[draw.below(ids.len())];
            if !*place {
                *place = true;
                left -= 1;
            }
        }
        let with = |wanted: bool| {
            let chosen = chosen
                .iter()
                .zip(0..)
                .filter(move |(chosen, _)| **chosen == wanted);
            chosen.map(|(_, number)| number)
        };
        let hash = TokenHash::new(&SALT);
        let salted = with(true).chain(with(false));
        let salted = salted.map(|number: u32| hash.of(ids[number as usize]));
        Self {
            salted: salted.collect(),
            revoked: with(true).collect(),
            ids,
        }
    }

    pub(crate) fn ids(&self) -> &[TokenId] {
        &self.ids
    }

    /// The numbers of the revoked tokens.
    pub(crate) fn revoked(&self) -> &[u32] {
        &self.revoked
    }

    /// The salted ids of the revoked tokens, and those of the others.
    pub(crate) fn salted(&self) -> (&[SaltedId], &[SaltedId]) {
        self.salted.split_at(self.revoked.len())
    }

    /// Whether each token is revoked, in order.
    pub(crate) fn standings(&self) -> impl Iterator<Item = bool> {
        let mut revoked = self.revoked.iter().peekable();
        (0..)
            .take(self.ids.len())
            .map(move |number: u32| revoked.next_if(|next| **next == number).is_some())
    }

    /// Numbers of tokens to ask about: of any, and of revoked ones.
    pub(crate) fn questions(&self, count: usize) -> [Vec<u32>; 2] {
        let mut draw = Draw(7);
        let any = (0..count).map(|_| u32::try_from(draw.below(self.ids.len())));
        let any = any
            .map(|number| number.expect("tokens are below 2^32"))
            .collect();
        let revoked = (0..count).map(|_| self.revoked[draw.below(self.revoked.len())]);
        [any, revoked.collect()]
    }
}

/// Numbers without a pattern: splitmix64.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    fn below(&mut self, range: usize) -> usize {
        let scaled = (u128::from(self.next()) * range as u128) >> 64;
        usize::try_from(scaled).expect("below a range of this machine")
    }
}
