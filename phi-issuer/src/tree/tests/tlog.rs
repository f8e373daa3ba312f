//! The tree as `tlog_tiles` reads it, an implementation for another log.

use std::collections::BTreeSet;

use tlog_tiles::{HashReader, TileHashReader, TileReader};

use super::*;

/// Their storage of single hashes, cut from our tiles.
impl HashReader for Tiles {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let hash = |&index: &u64| {
            let tile = tlog_tiles::Tile::from_index(8, index);
            let row = &self.rows[&(tile.level(), tile.level_index())];
            tile.hash_at_index(row, index)
        };
        indexes.iter().map(hash).collect()
    }
}

/// The files that a mirror has of a tree of one size, by our paths.
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn of(size: u64) -> Self {
        let mut tiles = Tiles::default();
        let changed = tiles.append(0, size);
        let file = |tile: &Tile| {
            let path = TilePath::hashes(tile.level, tile.number, tile.hashes.len()).unwrap();
            (path.to_string(), tile.bytes().to_vec())
        };
        Self(changed.iter().map(file).collect())
    }
}

impl TileReader for Files {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let file = self.0.get(&path);
            file.cloned().ok_or(tlog_tiles::Error::InvalidInput(path))
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

fn theirs(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().copied().map(tlog_tiles::Hash).collect()
}

/// Sizes around the ends of tiles and subtrees, to that of the specification's example.
fn sizes() -> BTreeSet<u64> {
    let ends = (0..17).step_by(2).map(|height| 1_u64 << height);
    let near = ends.flat_map(|end| [end - 1, end, end + 1]);
    near.chain([300, 511, 700, 65_792, 69_888, 70_000])
        .filter(|&size| size > 0)
        .collect()
}

#[test]
fn roots_and_proofs_are_theirs() {
    let tiles = Tiles::of(70_000);
    let tree = Tree::new(&tiles, 70_000).unwrap();
    let root = |size| tlog_tiles::Hash(tree.root(size).unwrap());
    for size in sizes() {
        assert_eq!(root(size), tlog_tiles::tree_hash(size, &tiles).unwrap());
        for old in sizes().range(..=size).copied() {
            let index = old - 1;
            let proof = theirs(&tree.inclusion(index, size).unwrap());
            assert_eq!(
                proof,
                tlog_tiles::prove_record(size, index, &tiles).unwrap()
            );
            let record = tlog_tiles::record_hash(leaf(index).as_bytes());
            tlog_tiles::check_record(&proof, size, root(size), index, record).unwrap();
            let proof = theirs(&tree.consistency(old, size).unwrap());
            assert_eq!(proof, tlog_tiles::prove_tree(size, old, &tiles).unwrap());
            tlog_tiles::check_tree(&proof, size, root(size), old, root(old)).unwrap();
        }
    }
}

#[test]
fn published_tiles_are_complete_and_authentic_to_a_client() {
    for size in [1, 255, 256, 257, 700, 65_536, 70_000] {
        let files = Files::of(size);
        let root = Tree::new(&Tiles::of(size), size)
            .unwrap()
            .root(size)
            .unwrap();
        let reader = TileHashReader::new(size, tlog_tiles::Hash(root), &files);
        for index in [0, size / 2, size - 1] {
            let stored = [tlog_tiles::stored_hash_index(0, index)];
            let hash = reader.read_hashes(&stored).unwrap();
            assert_eq!(hash, [tlog_tiles::record_hash(leaf(index).as_bytes())]);
        }
        // It refuses them below another root.
        let other = tlog_tiles::Hash(leaf_hash(b"another"));
        let reader = TileHashReader::new(size, other, &files);
        let stored = [tlog_tiles::stored_hash_index(0, 0)];
        assert!(reader.read_hashes(&stored).is_err());
    }
}

#[test]
fn the_files_are_those_of_the_specification() {
    // "a tree of size 70,000 will be represented by 273 full level 0 tiles, ..."
    let files = Files::of(70_000).0;
    let full = |prefix: &str| {
        let paths = files.keys().filter(|path| path.starts_with(prefix));
        paths.filter(|path| !path.contains(".p/")).count()
    };
    assert_eq!(
        [full("tile/0/"), full("tile/1/"), full("tile/2/")],
        [273, 1, 0]
    );
    let partial: Vec<&String> = files.keys().filter(|path| path.contains(".p/")).collect();
    let expected = ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"];
    assert_eq!(partial, expected);
    assert!(files.contains_key("tile/0/000") && files.contains_key("tile/0/272"));
    assert_eq!(files.len(), 273 + 1 + 3);
}
