//! Proofs in the Merkle tree: that a leaf is in it, and that it grew out of an older one.
//!
//! Both algorithms are those of RFC 9162, line by line, and take one step a hash.

use super::Hash;
use crate::error::Error;

/// The most leaves a tree may have: 2^62, so that a consistency proof has at most the 63 hashes
/// that C2SP tlog-witness allows.
pub const MAX_SIZE: u64 = 1 << 62;

/// The most hashes in a proof of a tree of [`MAX_SIZE`]: bounds the work before a signature
/// is checked.
pub const MAX_PATH: usize = 63;

/// Whether the leaf with this hash is at `index` in the tree of this size and root: RFC 9162
/// section [2.1.3.2](https://www.rfc-editor.org/rfc/rfc9162.html#section-2.1.3.2).
///
/// Size and root must come from a verified [`Checkpoint`](super::Checkpoint): many paths lead to
/// a root under more than one size.
///
/// # Errors
/// [`Error::NotIncluded`].
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    path: &[Hash],
    size: u64,
    root: Hash,
) -> Result<(), Error> {
    let refused = Error::NotIncluded { index, size };
    if index >= size || path.len() > MAX_PATH {
        return Err(refused);
    }
    let (mut fn_, mut sn) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if sn == 0 {
            return Err(refused);
        }
        if fn_ & 1 == 1 || fn_ == sn {
            hash = Hash::node(*sibling, hash);
            while fn_ & 1 == 0 && fn_ != 0 {
                (fn_, sn) = (fn_ >> 1, sn >> 1);
            }
        } else {
            hash = Hash::node(hash, *sibling);
        }
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    if sn == 0 && hash == root {
        Ok(())
    } else {
        Err(refused)
    }
}

/// Whether the tree of size `new.0` and root `new.1` begins with all leaves of the tree of size
/// `old.0` and root `old.1`: RFC 9162 section
/// [2.1.4.2](https://www.rfc-editor.org/rfc/rfc9162.html#section-2.1.4.2).
///
/// The cases that the section leaves out have one answer each: every tree begins with the empty
/// one and with itself, and no proof may have hashes then.
///
/// # Errors
/// [`Error::NotConsistent`].
pub fn verify_consistency(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> Result<(), Error> {
    if is_consistent(old, new, path) {
        return Ok(());
    }
    let (old, new) = (old.0, new.0);
    Err(Error::NotConsistent { old, new })
}

fn is_consistent(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> bool {
    let ((first, first_hash), (second, second_hash)) = (old, new);
    if first == 0 {
        let whole = second != 0 || second_hash == Hash::EMPTY;
        return first_hash == Hash::EMPTY && whole && path.is_empty();
    }
    if first >= second || path.len() > MAX_PATH {
        return first == second && first_hash == second_hash && path.is_empty();
    }
    if path.is_empty() {
        return false;
    }
    // A complete tree is a node of the larger one: its root is known and not sent.
    let known = first.is_power_of_two().then_some(first_hash);
    let mut hashes = known.into_iter().chain(path.iter().copied());
    let (mut fn_, mut sn) = (first - 1, second - 1);
    while fn_ & 1 == 1 {
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    let Some(start) = hashes.next() else {
        return false;
    };
    let (mut old_root, mut new_root) = (start, start);
    for hash in hashes {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            old_root = Hash::node(hash, old_root);
            new_root = Hash::node(hash, new_root);
            while fn_ & 1 == 0 && fn_ != 0 {
                (fn_, sn) = (fn_ >> 1, sn >> 1);
            }
        } else {
            new_root = Hash::node(new_root, hash);
        }
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    sn == 0 && old_root == first_hash && new_root == second_hash
}
