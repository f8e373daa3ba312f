//! The exact list: the first 8 bytes of every salted id, ascending.

use super::{FilterError, SaltedId};

/// How much of a salted id an exact list has.
pub const PREFIX_BYTES: usize = 8;

pub(super) fn check(body: &[u8]) -> Result<(), FilterError> {
    let (prefixes, []) = body.as_chunks::<PREFIX_BYTES>() else {
        return Err(FilterError::CutShort);
    };
    if prefixes.is_empty() {
        return Err(FilterError::Empty);
    }
    if prefixes.windows(2).all(|pair| pair[0] < pair[1]) {
        return Ok(());
    }
    Err(FilterError::Order)
}

pub(super) fn contains(body: &[u8], id: SaltedId) -> bool {
    let (prefixes, _) = body.as_chunks::<PREFIX_BYTES>();
    prefixes.binary_search(&id.prefix()).is_ok()
}

impl SaltedId {
    /// The id as an exact list has it.
    pub const fn prefix(self) -> [u8; PREFIX_BYTES] {
        self.low.to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn prefixes_strictly_ascend() {
        let list = |prefixes: &[u64]| {
            let bytes: Vec<_> = prefixes
                .iter()
                .flat_map(|prefix| prefix.to_be_bytes())
                .collect();
            check(&bytes)
        };
        assert_eq!(list(&[1, 2]), Ok(()));
        assert_eq!(list(&[2, 1]), Err(FilterError::Order));
        assert_eq!(list(&[1, 1]), Err(FilterError::Order));
        assert_eq!(list(&[]), Err(FilterError::Empty));
        assert_eq!(check(&[0; 7]), Err(FilterError::CutShort));
    }
}
