//! However leaves are cut into transactions, the same tiles come out.

use proptest::prelude::*;

use super::*;

/// One transaction, and the tiles that it writes as level, number and width.
#[track_caller]
fn check(old: u64, new: u64, expected: &[(u8, u64, usize)]) {
    let mut tiles = Tiles::of(old);
    tiles.reads.set(0);
    let changed = tiles.append(old, new);
    assert_eq!(shapes(&changed), expected);
    // What is in a tile is as in a tree that was built whole.
    let whole = Tiles::of(new);
    assert_eq!(tiles.rows, whole.rows);
    let tree = Tree::new(&whole, new).unwrap();
    assert_eq!(tree.root(new), Ok(tiles.root(new)));
}

#[test]
fn a_partial_tile_grows_until_it_is_full() {
    check(0, 1, &[(0, 0, 1)]);
    check(254, 255, &[(0, 0, 255)]);
    check(255, 256, &[(0, 0, 256), (1, 0, 1)]);
    check(256, 257, &[(0, 1, 1)]);
    check(255, 257, &[(0, 0, 256), (0, 1, 1), (1, 0, 1)]);
    check(511, 512, &[(0, 1, 256), (1, 0, 2)]);
    check(256, 256, &[]);
    check(300, 300, &[]);
}

#[test]
fn the_second_level_fills_as_the_first_does() {
    check(65_534, 65_535, &[(0, 255, 255)]);
    check(65_535, 65_536, &[(0, 255, 256), (1, 0, 256), (2, 0, 1)]);
    check(65_536, 65_537, &[(0, 256, 1)]);
    check(
        65_535,
        65_537,
        &[(0, 255, 256), (0, 256, 1), (1, 0, 256), (2, 0, 1)],
    );
}

#[test]
fn one_leaf_reads_the_edge_and_nothing_else() {
    let cases = [
        (70_000, 3),
        (65_536, 1),
        (65_535, 2),
        (300, 2),
        (256, 1),
        (255, 1),
        (0, 0),
    ];
    let tiles = Tiles::of(70_000);
    for (size, reads) in cases {
        let tiles = if size == 70_000 {
            tiles.clone()
        } else {
            Tiles::of(size)
        };
        tiles.reads.set(0);
        Appender::open(&tiles, size).unwrap();
        assert_eq!(tiles.reads.get(), reads, "{size}");
    }
}

#[test]
fn an_appender_goes_on_after_its_tiles_were_taken() {
    let mut tiles = Tiles::default();
    let mut appender = Appender::empty();
    assert_eq!(appender.take_changed(), []);
    for index in 0..66_000 {
        appender.push(leaf_hash(leaf(index).as_bytes()));
        // At sizes that fall before, at and after the ends of tiles.
        if index % 127 == 0 || index % 256 == 255 {
            tiles.write(&appender.take_changed());
            assert_eq!(appender.take_changed(), []);
        }
    }
    tiles.write(&appender.take_changed());
    assert_eq!(tiles.rows, Tiles::of(66_000).rows);
}

#[test]
fn a_damaged_edge_is_not_continued() {
    let tiles = Tiles::of(65_536 + 256 + 3);
    let size = 65_536 + 256 + 3;
    for (level, number, expected) in [(0, 257, 96), (1, 1, 32), (2, 0, 32)] {
        let mut missing = tiles.clone();
        missing.rows.remove(&(level, number));
        let error = Appender::open(&missing, size).unwrap_err();
        assert_eq!(error, TreeError::MissingTile { level, number });
        for length in [0, expected - 1, expected + 1, expected + 32] {
            let mut other = tiles.clone();
            let row = other.rows.get_mut(&(level, number)).unwrap();
            row.resize(length, 0);
            let error = Appender::open(&other, size).unwrap_err();
            let expected = TreeError::TileLength {
                level,
                number,
                length,
                expected,
            };
            assert_eq!(error, expected);
        }
    }
    let size = MAX_SIZE + 1;
    let error = Appender::open(&tiles, size).unwrap_err();
    assert_eq!(error, TreeError::TooLarge { size });
    // The largest one is asked for, and is only not there.
    let error = Appender::open(&tiles, MAX_SIZE).unwrap_err();
    assert_eq!(
        error,
        TreeError::MissingTile {
            level: 6,
            number: 0
        }
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn transactions_of_any_size_give_the_same_tree(
        chunks in prop::collection::vec(prop_oneof![0..4_u64, 0..600_u64, Just(256)], 0..12),
    ) {
        let (mut by_one, mut by_chunk) = (Tiles::default(), Tiles::default());
        let mut size = 0;
        for chunk in chunks {
            let changed = by_chunk.append(size, size + chunk);
            for index in size..size + chunk {
                by_one.append(index, index + 1);
            }
            let theirs = tlog_tiles::Tile::new_tiles(8, size, size + chunk);
            let mut expected: Vec<_> = theirs
                .iter()
                .map(|tile| (tile.level(), tile.level_index(), tile.width() as usize))
                .collect();
            expected.sort_unstable();
            prop_assert_eq!(shapes(&changed), expected);
            size += chunk;
        }
        let whole = Tiles::of(size);
        prop_assert_eq!(&by_one.rows, &whole.rows);
        prop_assert_eq!(&by_chunk.rows, &whole.rows);
        let tree = Tree::new(&whole, size).unwrap();
        prop_assert_eq!(tree.root(size), Ok(by_chunk.root(size)));
    }
}
