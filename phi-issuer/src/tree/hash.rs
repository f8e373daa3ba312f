//! The hashes of RFC 6962: of a leaf, of a node, of a row of subtrees.
//!
//! ct-merkle keeps its own of these to itself; tests hold the two together.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash in the tree.
pub(crate) type Hash = [u8; 32];

/// Keeps leaves and nodes apart, so that neither is ever taken for the other.
const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The hash of a leaf with this data.
pub(crate) fn leaf_hash(data: &[u8]) -> Hash {
    let hasher = Sha256::new_with_prefix([LEAF]).chain_update(data);
    hasher.finalize().into()
}

/// The hash over a row of subtrees, all of one size but for the last, which may be smaller: the
/// Merkle Tree Hash. That of nothing is the hash of the empty string.
pub(super) fn tree_hash(row: &[Hash]) -> Hash {
    match row {
        [] => Sha256::digest([]).into(),
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
    let mut node = [NODE; 1 + 2 * size_of::<Hash>()];
    node[1..33].copy_from_slice(left);
    node[33..].copy_from_slice(right);
    Sha256::digest(node).into()
}
