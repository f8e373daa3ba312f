//! The Merkle tree over the ledger, cut into tiles: appended to, proven from, checked.
//!
//! Hashing is that of [RFC 6962], the cut that of [C2SP tlog-tiles]: level 0 holds the hashes of
//! the leaves, 256 to a tile, and a hash of a level above stands for one full tile below it. What
//! a leaf says, where tiles are kept and who signs a root is left to the callers.
//!
//! [RFC 6962]: https://www.rfc-editor.org/rfc/rfc6962#section-2.1
//! [C2SP tlog-tiles]: https://c2sp.org/tlog-tiles

mod append;
mod bundle;
mod check;
mod error;
mod hash;
mod path;
mod prove;

pub(crate) use append::Appender;
pub(crate) use bundle::write_bundle;
pub(crate) use check::TileChecker;
pub(crate) use error::TreeError;
pub(crate) use hash::Hash;
pub(crate) use path::{PathError, TilePath};
pub(crate) use prove::Tree;

/// Hashes in a full tile, and entries in a full bundle.
pub(crate) const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// The most leaves of a tree: a thousand a second for 8,900 years. It keeps every number below
/// within 64 bits, and within what ct-merkle takes, without a check at each step.
pub(crate) const MAX_SIZE: u64 = 1 << 48;

/// Levels of the binary tree that a level of tiles spans.
const TILE_HEIGHT: u32 = 8;

/// Where tiles are kept.
pub(crate) trait TileStore {
    /// Why a tile cannot be read.
    type Error;

    /// The hashes of a tile, 32 bytes each, or `None` if there is no such tile. A partial tile is
    /// shorter than a full one and has no other difference.
    fn tile(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// A tile to be written, over the shorter one with the same level and number if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    /// 0 for the hashes of leaves.
    pub(crate) level: u8,
    /// Which tile of its level, from 0.
    pub(crate) number: u64,
    /// From 1 to 256 hashes.
    pub(crate) hashes: Vec<Hash>,
}

impl Tile {
    /// The tile as a [`TileStore`] returns it and as it is published.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.hashes.as_flattened()
    }
}

/// How many hashes a tile has in a tree of `size` leaves; 0 if the tree has no such tile.
pub(crate) fn tile_width(size: u64, level: u8, number: u64) -> usize {
    let hashes = size.checked_shr(TILE_HEIGHT * u32::from(level));
    let before = number.saturating_mul(TILE_WIDTH as u64);
    let from_here = hashes.unwrap_or(0).saturating_sub(before);
    usize::try_from(from_here).map_or(TILE_WIDTH, |width| width.min(TILE_WIDTH))
}

/// The levels that have a tile in a tree of `size` leaves, lowest first.
fn levels(size: u64) -> impl Iterator<Item = u8> {
    (0..).take_while(move |&level| tile_width(size, level, 0) > 0)
}

/// The number of the tile of a level in which a tree of `size` leaves grows: a partial one, or the
/// one after the last full one.
fn growing(size: u64, level: u8) -> u64 {
    size.checked_shr(TILE_HEIGHT * (u32::from(level) + 1))
        .unwrap_or(0)
}

/// Reads a tile that must have `width` hashes.
fn read_tile<S: TileStore>(
    store: &S,
    level: u8,
    number: u64,
    width: usize,
) -> Result<Vec<Hash>, TreeError<S::Error>> {
    let bytes = store.tile(level, number).map_err(TreeError::Store)?;
    let bytes = bytes.ok_or(TreeError::MissingTile { level, number })?;
    let (hashes, rest) = bytes.as_chunks();
    if hashes.len() != width || !rest.is_empty() {
        return Err(TreeError::TileLength {
            level,
            number,
            length: bytes.len(),
            expected: width * size_of::<Hash>(),
        });
    }
    Ok(hashes.to_vec())
}

#[cfg(test)]
mod tests;
