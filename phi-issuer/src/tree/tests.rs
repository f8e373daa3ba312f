//! The tree against ct-merkle's, against the tiles of another implementation, and damaged.

mod append;
mod check;
mod prove;
mod tlog;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use super::bundle::{BundleError, parse_bundle};
use super::path::Content;
use super::*;

fn leaf_hash(data: &[u8]) -> Hash {
    *phi_verify::log::Hash::leaf(data).as_bytes()
}

/// The leaf of the tests with this index.
fn leaf(index: u64) -> String {
    format!("leaf {index}")
}

/// The tree of ct-merkle over the same leaves.
type Peer = MemoryBackedTree<Sha256, String>;

/// Tiles in memory, and how often they were read.
#[derive(Clone, Debug, Default)]
struct Tiles {
    rows: BTreeMap<(u8, u64), Vec<u8>>,
    reads: Cell<usize>,
}

impl TileStore for Tiles {
    type Error = Infallible;

    fn tile(&self, level: u8, number: u64) -> Result<Option<Vec<u8>>, Infallible> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.rows.get(&(level, number)).cloned())
    }
}

impl Tiles {
    /// The tiles of the first `size` leaves.
    fn of(size: u64) -> Self {
        let mut tiles = Self::default();
        tiles.append(0, size);
        tiles
    }

    /// Appends the leaves from `old` to before `new` in one transaction: gives what was written.
    fn append(&mut self, old: u64, new: u64) -> Vec<Tile> {
        let mut appender = Appender::open(self, old).unwrap();
        for index in old..new {
            appender.push(leaf_hash(leaf(index).as_bytes()));
        }
        assert_eq!(appender.size(), new);
        let changed = appender.take_changed();
        self.write(&changed);
        changed
    }

    /// The root of the first `size` leaves, as the edge gives it.
    fn root(&self, size: u64) -> Hash {
        Appender::open(self, size).unwrap().root()
    }

    fn write(&mut self, changed: &[Tile]) {
        for tile in changed {
            let row = ((tile.level, tile.number), tile.bytes().to_vec());
            self.rows.extend([row]);
        }
    }
}

/// Level, number and width of tiles.
fn shapes(tiles: &[Tile]) -> Vec<(u8, u64, usize)> {
    let shape = |tile: &Tile| (tile.level, tile.number, tile.hashes.len());
    let mut shapes: Vec<_> = tiles.iter().map(shape).collect();
    shapes.sort_unstable();
    shapes
}

#[test]
fn widths_of_the_tiles_of_the_specification() {
    // "a tree of size 70,000 will be represented by ..."
    let widths = |level, numbers: [u64; 3]| numbers.map(|n| tile_width(70_000, level, n));
    assert_eq!(widths(0, [272, 273, 274]), [256, 112, 0]);
    assert_eq!(widths(1, [0, 1, 2]), [256, 17, 0]);
    assert_eq!(widths(2, [0, 1, u64::MAX]), [1, 0, 0]);
    assert_eq!(widths(3, [0, 1, 2]), [0, 0, 0]);
    assert_eq!(tile_width(u64::MAX, 255, 0), 0);
    assert_eq!(tile_width(0, 0, 0), 0);
}

#[test]
fn leaves_and_nodes_are_hashed_apart() {
    let mut peer = Peer::new();
    assert_eq!(Appender::empty().root()[..], peer.root().as_bytes()[..]);
    peer.push(String::from("a"));
    assert_eq!(leaf_hash(b"a")[..], peer.root().as_bytes()[..]);
}

#[test]
fn entries_of_a_bundle_hash_to_the_tile_beside_it() {
    let tiles = Tiles::of(300);
    for (path, first) in [("tile/entries/000", 0), ("tile/entries/001.p/44", 256)] {
        let path: TilePath = path.parse().unwrap();
        assert_eq!(path.content(), Content::Entries);
        assert_eq!(path.width(), tile_width(300, 0, path.number()));
        let data: Vec<String> = (first..300).take(256).map(leaf).collect();
        let bytes = write_bundle(data.iter().map(String::as_bytes)).unwrap();
        let entries = parse_bundle(&bytes, path.width()).unwrap();
        let hashes: Vec<Hash> = entries.into_iter().map(leaf_hash).collect();
        assert_eq!(hashes.concat(), tiles.rows[&(0, path.number())]);
    }
    assert_eq!(write_bundle([]), Err(BundleError::Width));
    assert_eq!(TilePath::entries(2, 0), Err(PathError::Width { width: 0 }));
}

#[test]
fn errors_say_which_tile() {
    let (level, number) = (1, 2);
    let position = 3;
    let differs = |level| TreeError::<Infallible>::TileDiffers {
        level,
        number,
        position,
    };
    let message = differs(0).to_string();
    assert_eq!(
        message,
        "hash 3 in tile 2 of level 0 is not that of leaf 515"
    );
    let message = differs(1).to_string();
    assert_eq!(
        message,
        "hash 3 in tile 2 of level 1 is not that of leaves 131840 to 132095"
    );
    let missing = TreeError::<Infallible>::MissingTile { level, number };
    assert_eq!(missing.to_string(), "tile 2 of level 1 is missing");
    assert_eq!(missing.first_leaf(), None);
}

#[test]
fn a_failing_store_is_the_source() {
    struct Failing;
    impl TileStore for Failing {
        type Error = std::fmt::Error;

        fn tile(&self, _: u8, _: u64) -> Result<Option<Vec<u8>>, std::fmt::Error> {
            Err(std::fmt::Error)
        }
    }
    let error = Appender::open(&Failing, 1).unwrap_err();
    assert_eq!(error.to_string(), "the tiles cannot be read");
    assert!(std::error::Error::source(&error).is_some());
    let error = Tree::new(&Failing, 1).unwrap().root(1).unwrap_err();
    assert_eq!(error, TreeError::Store(std::fmt::Error));
    let checker = TileChecker::new(&Failing);
    assert_eq!(checker.finish(), Err(TreeError::Store(std::fmt::Error)));
}
