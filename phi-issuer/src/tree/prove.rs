//! Roots and proofs of the tree and of every tree it once was, read from its tiles.
//!
//! Which nodes make a proof is ct-merkle's to say; this finds them in the tiles. Tiles are taken
//! as they are, so a damaged hash gives a proof that does not verify; finding it is left to the
//! checker.

use std::cell::RefCell;
use std::collections::BTreeMap;

use ct_merkle::{indices_for_consistency_proof, indices_for_inclusion_proof};

use super::hash::{Hash, edge_hash};
use super::{MAX_SIZE, TILE_HEIGHT, TILE_WIDTH, TileStore, TreeError, read_tile, tile_width};

/// A stored tree.
#[derive(Debug)]
pub(crate) struct Tree<'s, S> {
    store: &'s S,
    /// The leaves that are stored.
    size: u64,
}

impl<'s, S: TileStore> Tree<'s, S> {
    /// The tree of `size` leaves whose tiles are in `store`.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`].
    pub(crate) fn new(store: &'s S, size: u64) -> Result<Self, TreeError<S::Error>> {
        if size > MAX_SIZE {
            return Err(TreeError::TooLarge { size });
        }
        Ok(Self { store, size })
    }

    /// The root of the tree when it had `size` leaves.
    ///
    /// # Errors
    /// The tree is not that large yet, or a tile is damaged or cannot be read.
    pub(crate) fn root(&self, size: u64) -> Result<Hash, TreeError<S::Error>> {
        Nodes::of(self, size)?.root()
    }

    /// The proof that leaf `index` is in the tree of `size` leaves, from the leaf upward.
    ///
    /// # Errors
    /// The tree is not that large yet, it has no such leaf, or a tile is damaged or cannot be
    /// read.
    pub(crate) fn inclusion(
        &self,
        index: u64,
        size: u64,
    ) -> Result<Vec<Hash>, TreeError<S::Error>> {
        let nodes = Nodes::of(self, size)?;
        if index >= size {
            return Err(TreeError::NoSuchLeaf { index, size });
        }
        nodes.all(&indices_for_inclusion_proof(size, index))
    }

    /// The proof that the tree of `old` leaves is the beginning of the one of `new` leaves; empty
    /// if there is nothing to prove, from no leaves or to as many.
    ///
    /// # Errors
    /// The tree is not that large yet, `old` is larger than `new`, or a tile is damaged or cannot
    /// be read.
    pub(crate) fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, TreeError<S::Error>> {
        let nodes = Nodes::of(self, new)?;
        if old > new {
            return Err(TreeError::Shrinks { old, new });
        }
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        nodes.all(&indices_for_consistency_proof(old, new - old))
    }
}

/// The nodes of the tree when it had `size` leaves, for one answer.
struct Nodes<'t, S> {
    tree: &'t Tree<'t, S>,
    size: u64,
    /// Tiles that were read: at most two per level, for an answer follows one or two paths.
    read: RefCell<BTreeMap<(u8, u64), Vec<Hash>>>,
}

impl<'t, S: TileStore> Nodes<'t, S> {
    fn of(tree: &'t Tree<'t, S>, size: u64) -> Result<Self, TreeError<S::Error>> {
        if size > tree.size {
            let stored = tree.size;
            return Err(TreeError::BeyondTree { size, stored });
        }
        let read = RefCell::default();
        Ok(Self { tree, size, read })
    }

    fn root(&self) -> Result<Hash, TreeError<S::Error>> {
        let height = u64::BITS - self.size.saturating_sub(1).leading_zeros();
        self.node(height, 0)
    }

    /// The nodes with these numbers, which ct-merkle gives as in a [tree in an array]: those of
    /// height `h` end in `h` ones.
    ///
    /// [tree in an array]: https://www.rfc-editor.org/rfc/rfc9420#name-array-based-trees
    fn all(&self, places: &[u64]) -> Result<Vec<Hash>, TreeError<S::Error>> {
        let node = |place: &u64| {
            let height = place.trailing_ones();
            self.node(height, place >> (height + 1))
        };
        places.iter().map(node).collect()
    }

    /// The node over the leaves from `number << height` that are in this tree, at most
    /// `1 << height` of them.
    fn node(&self, height: u32, number: u64) -> Result<Hash, TreeError<S::Error>> {
        let first = number << height;
        let end = self.size.min((number + 1) << height);
        let top = height / TILE_HEIGHT;
        let mut rows = Vec::new();
        for level in 0..=top {
            // Below the top level, only what no full tile covers: a node inside the tree has
            // nothing there, and one that reaches its right edge has the edge.
            let row_end = end >> (TILE_HEIGHT * level);
            let row_start = if level == top {
                first >> (TILE_HEIGHT * level)
            } else {
                row_end & !(TILE_WIDTH as u64 - 1)
            };
            let level = u8::try_from(level).expect("at most 48 / 8 levels");
            rows.push(self.row(level, row_start, row_end)?);
        }
        Ok(edge_hash(rows.iter().map(Vec::as_slice)))
    }

    /// The hashes of a level from `start` to before `end`, all of one tile.
    fn row(&self, level: u8, start: u64, end: u64) -> Result<Vec<Hash>, TreeError<S::Error>> {
        if start == end {
            return Ok(Vec::new());
        }
        let number = start >> TILE_HEIGHT;
        let mut read = self.read.borrow_mut();
        let tile = match read.entry((level, number)) {
            std::collections::btree_map::Entry::Occupied(tile) => tile.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let width = tile_width(self.tree.size, level, number);
                place.insert(read_tile(self.tree.store, level, number, width)?)
            }
        };
        let within = |place: u64| {
            usize::try_from(place - (number << TILE_HEIGHT)).expect("a place in a tile")
        };
        Ok(tile[within(start)..within(end)].to_vec())
    }
}
