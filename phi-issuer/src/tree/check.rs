//! Checking: every tile is computed again from the leaves and compared with the stored one.
//!
//! Where the leaves come from, and that they are the right ones, is left to the caller.

use super::hash::Hash;
use super::{Appender, Tile, TileStore, TreeError};
use super::{growing, levels, read_tile, tile_width};

/// Compares stored tiles with the leaves as these come by; holds one partial tile per level.
#[derive(Debug)]
pub(crate) struct TileChecker<'s, S> {
    store: &'s S,
    computed: Appender,
}

impl<'s, S: TileStore> TileChecker<'s, S> {
    /// Begins at the first leaf.
    pub(crate) fn new(store: &'s S) -> Self {
        let computed = Appender::empty();
        Self { store, computed }
    }

    /// Takes the hash of the next leaf, and compares the tiles that it fills.
    ///
    /// # Errors
    /// The first difference: a tile is missing, has another length, or has a hash that the leaves
    /// do not give ([`TreeError::first_leaf`]). It ends the check.
    pub(crate) fn push(&mut self, leaf: Hash) -> Result<(), TreeError<S::Error>> {
        self.computed.push(leaf);
        // What was filled together comes lowest level first, so that the closest place is named.
        let full = self.computed.take_full();
        full.iter().try_for_each(|tile| self.compare(tile))
    }

    /// The leaves so far.
    pub(crate) fn size(&self) -> u64 {
        self.computed.size()
    }

    /// The root over the leaves so far.
    pub(crate) fn root(&self) -> Hash {
        self.computed.root()
    }

    /// Compares the partial tiles after the last leaf, and that no tile follows them.
    ///
    /// # Errors
    /// As for [`push`](Self::push), or [`TreeError::UnexpectedTile`].
    pub(crate) fn finish(mut self) -> Result<(), TreeError<S::Error>> {
        let partial = self.computed.take_changed();
        let size = self.size();
        for tile in &partial {
            self.compare(tile)?;
        }
        for level in levels(size) {
            let number = growing(size, level);
            let partial = tile_width(size, level, number) > 0;
            self.expect_none(level, number + u64::from(partial))?;
        }
        let above = levels(size).last().map_or(0, |highest| highest + 1);
        self.expect_none(above, 0)
    }

    fn compare(&self, tile: &Tile) -> Result<(), TreeError<S::Error>> {
        let &Tile { level, number, .. } = tile;
        let stored = read_tile(self.store, level, number, tile.hashes.len())?;
        let mut pairs = tile.hashes.iter().zip(&stored);
        match pairs.position(|(computed, stored)| computed != stored) {
            None => Ok(()),
            Some(position) => Err(TreeError::TileDiffers {
                level,
                number,
                position,
            }),
        }
    }

    fn expect_none(&self, level: u8, number: u64) -> Result<(), TreeError<S::Error>> {
        match self.store.tile(level, number).map_err(TreeError::Store)? {
            None => Ok(()),
            Some(_) => Err(TreeError::UnexpectedTile { level, number }),
        }
    }
}
