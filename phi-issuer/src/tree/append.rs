//! Appending: leaf hashes go in, changed tiles come out.
//!
//! Only the right edge of the tree is held, the partial tile of each level. Writing what comes out
//! in the same transaction as the leaves themselves is left to the caller.

use super::hash::{Hash, edge_hash, tree_hash};
use super::{MAX_SIZE, TILE_WIDTH, Tile, TileStore, TreeError};
use super::{growing, levels, read_tile, tile_width};

/// The right edge of a tree that grows.
///
/// [`push`](Self::push) as many leaves as there are, then write
/// [`take_changed`](Self::take_changed). It may be taken in between to bound memory, and an
/// appender whose tiles were committed may be kept for the next transaction.
#[derive(Clone, Debug)]
pub(crate) struct Appender {
    /// Leaves so far.
    size: u64,
    /// The partial tile of each level, lowest first.
    edge: Vec<Partial>,
    /// Tiles that were filled and not yet taken.
    full: Vec<Tile>,
}

/// The tile of a level that is not full yet, with fewer than 256 hashes.
#[derive(Clone, Debug, Default)]
struct Partial {
    hashes: Vec<Hash>,
    state: State,
}

/// Whether a partial tile has to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// It is stored as it is here, or empty.
    #[default]
    Stored,
    Changed,
}

impl Appender {
    /// A tree without leaves.
    pub(crate) fn empty() -> Self {
        Self {
            size: 0,
            edge: Vec::new(),
            full: Vec::new(),
        }
    }

    /// Continues the stored tree of `size` leaves: reads at most one tile per level.
    ///
    /// # Errors
    /// A tile of the edge cannot be read, is missing, or has another length than `size` says. That
    /// its hashes are right is not checked; [`root`](Self::root) tells.
    pub(crate) fn open<S: TileStore>(store: &S, size: u64) -> Result<Self, TreeError<S::Error>> {
        if size > MAX_SIZE {
            return Err(TreeError::TooLarge { size });
        }
        let load = |level| {
            let number = growing(size, level);
            let hashes = match tile_width(size, level, number) {
                0 => Vec::new(),
                width => read_tile(store, level, number, width)?,
            };
            let state = State::Stored;
            Ok(Partial { hashes, state })
        };
        let edge: Result<_, TreeError<S::Error>> = levels(size).map(load).collect();
        Ok(Self {
            size,
            edge: edge?,
            full: Vec::new(),
        })
    }

    /// Appends a leaf. About one more hash is computed for each.
    pub(crate) fn push(&mut self, leaf: Hash) {
        self.size += 1;
        let mut hash = leaf;
        // Ends, because a level has 256 times fewer hashes than the one below.
        for level in 0.. {
            let at = usize::from(level);
            if at == self.edge.len() {
                self.edge.push(Partial::default());
            }
            let partial = &mut self.edge[at];
            partial.hashes.push(hash);
            partial.state = State::Changed;
            if partial.hashes.len() < TILE_WIDTH {
                return;
            }
            let Partial { hashes, .. } = std::mem::take(partial);
            hash = tree_hash(&hashes);
            let number = growing(self.size, level) - 1;
            self.full.push(Tile {
                level,
                number,
                hashes,
            });
        }
    }

    /// The leaves so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree so far. Costs up to 255 hashes per level.
    pub(crate) fn root(&self) -> Hash {
        edge_hash(self.edge.iter().map(|partial| partial.hashes.as_slice()))
    }

    /// The tiles to write, each once: those that were filled and the partial ones that grew, since
    /// this was last called.
    pub(crate) fn take_changed(&mut self) -> Vec<Tile> {
        let mut tiles = self.take_full();
        for (partial, level) in self.edge.iter_mut().zip(0..) {
            if std::mem::take(&mut partial.state) == State::Changed {
                tiles.push(Tile {
                    level,
                    number: growing(self.size, level),
                    hashes: partial.hashes.clone(),
                });
            }
        }
        tiles
    }

    /// The tiles that were filled since this was last called.
    pub(super) fn take_full(&mut self) -> Vec<Tile> {
        std::mem::take(&mut self.full)
    }
}
