//! What can go wrong between a tree and its tiles.

use std::error::Error;
use std::fmt;

use super::{MAX_SIZE, TILE_HEIGHT};

/// Why a tree cannot be read from its tiles, or what is wrong with one of them.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum TreeError<E> {
    /// The store failed.
    Store(E),
    /// A tree of this size is beyond [`MAX_SIZE`].
    TooLarge {
        /// Its leaves.
        size: u64,
    },
    /// A tree was asked for that is larger than the stored one.
    BeyondTree {
        /// The leaves asked for.
        size: u64,
        /// The leaves that are stored.
        stored: u64,
    },
    /// The tree has no leaf with this index.
    NoSuchLeaf {
        /// The index, from 0.
        index: u64,
        /// The leaves of the tree.
        size: u64,
    },
    /// Consistency runs from a tree to one that is at least as large.
    Shrinks {
        /// The leaves of the tree it was asked from.
        old: u64,
        /// The leaves of the tree it was asked to.
        new: u64,
    },
    /// A tile that the tree has is not in the store.
    MissingTile {
        /// The level of the tile.
        level: u8,
        /// Its number in the level.
        number: u64,
    },
    /// A tile has more or less bytes than the size of the tree says.
    TileLength {
        /// The level of the tile.
        level: u8,
        /// Its number in the level.
        number: u64,
        /// The bytes it has.
        length: usize,
        /// The bytes it should have.
        expected: usize,
    },
    /// A hash in a tile is not the one that the leaves give.
    TileDiffers {
        /// The level of the tile.
        level: u8,
        /// Its number in the level.
        number: u64,
        /// Which of its hashes is the first that differs, from 0.
        position: usize,
    },
    /// A tile is in the store that the tree does not have.
    UnexpectedTile {
        /// The level of the tile.
        level: u8,
        /// Its number in the level.
        number: u64,
    },
}

impl<E> TreeError<E> {
    /// The index of the first leaf below the hash that differs. At level 0 it is the leaf itself.
    pub(crate) fn first_leaf(&self) -> Option<u64> {
        let &Self::TileDiffers {
            level,
            number,
            position,
        } = self
        else {
            return None;
        };
        Some(((number << TILE_HEIGHT) + position as u64) << (TILE_HEIGHT * u32::from(level)))
    }
}

impl<E> fmt::Display for TreeError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(_) => f.write_str("the tiles cannot be read"),
            Self::TooLarge { size } => {
                write!(f, "a tree has at most {MAX_SIZE} leaves, not {size}")
            }
            Self::BeyondTree { size, stored } => {
                write!(f, "the tree has {stored} leaves so far, not {size}")
            }
            Self::NoSuchLeaf { index, size } => {
                write!(f, "leaf {index} is not in a tree of {size} leaves")
            }
            Self::Shrinks { old, new } => write!(
                f,
                "a tree of {old} leaves cannot be the beginning of one of {new}"
            ),
            Self::MissingTile { level, number } => {
                write!(f, "tile {number} of level {level} is missing")
            }
            Self::TileLength {
                level,
                number,
                length,
                expected,
            } => write!(
                f,
                "tile {number} of level {level} has {length} bytes instead of {expected}"
            ),
            Self::TileDiffers {
                level,
                number,
                position,
            } => {
                write!(
                    f,
                    "hash {position} in tile {number} of level {level} is not that of "
                )?;
                match (level, self.first_leaf()) {
                    (1.., Some(first)) => {
                        let last = first + ((1 << (TILE_HEIGHT * u32::from(*level))) - 1);
                        write!(f, "leaves {first} to {last}")
                    }
                    (_, first) => write!(f, "leaf {}", first.unwrap_or_default()),
                }
            }
            Self::UnexpectedTile { level, number } => write!(
                f,
                "tile {number} of level {level} is stored, but no leaf leads to it"
            ),
        }
    }
}

impl<E: Error + 'static> Error for TreeError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
