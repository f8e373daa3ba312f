//! The hashes of RFC 6962 over rows of subtrees. That of a node is phi-verify's; tests hold both
//! against ct-merkle's.

use phi_verify::log;

/// A SHA-256 hash in the tree.
pub(crate) type Hash = [u8; 32];

/// The hash over a row of subtrees, all of one size but for the last, which may be smaller: the
/// Merkle Tree Hash. That of nothing is the hash of the empty string.
pub(super) fn tree_hash(row: &[Hash]) -> Hash {
    match row {
        [] => *log::Hash::EMPTY.as_bytes(),
        [only] => *only,
        _ => {
            // The left side takes the largest power of two that leaves something to the right.
            let left = 1 << (row.len() - 1).ilog2();
            node_hash(&tree_hash(&row[..left]), &tree_hash(&row[left..]))
        }
    }
}

/// The hash over the rows of the right edge, lowest level first, of which each stands left of the
/// one before it.
pub(super) fn edge_hash<'r>(rows: impl IntoIterator<Item = &'r [Hash]>) -> Hash {
    let mut below = None;
    for row in rows.into_iter().filter(|row| !row.is_empty()) {
        below = Some(match below {
            None => tree_hash(row),
            Some(below) => tree_hash(&[row, &[below]].concat()),
        });
    }
    below.unwrap_or_else(|| tree_hash(&[]))
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let [left, right] = [left, right].map(|hash| log::Hash::from_bytes(*hash));
    *log::Hash::node(left, right).as_bytes()
}
