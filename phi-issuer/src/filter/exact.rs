//! Exact lists: the smallest form for a handful of ids.

use phi_verify::filter::PREFIX_BYTES;

use super::sets::Sets;

/// The prefixes of the members; `None` if one of the others has the prefix of a member, which of a
/// million ids happens once in ten million lists.
pub(super) fn body(sets: &Sets) -> Option<Vec<u8>> {
    let others = sets.others();
    let taken = |prefix: [u8; PREFIX_BYTES]| {
        let number = u64::from_le_bytes(prefix);
        let next = others.partition_point(|id| u64::from_le_bytes(id.prefix()) < number);
        others.get(next).is_some_and(|id| id.prefix() == prefix)
    };
    let mut prefixes: Vec<_> = sets.members().iter().map(|id| id.prefix()).collect();
    if prefixes.iter().any(|prefix| taken(*prefix)) {
        return None;
    }
    prefixes.sort_unstable();
    prefixes.dedup();
    Some(prefixes.concat())
}
