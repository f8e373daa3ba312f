//! Damage to stored tiles is found, and where it is.

use super::*;

type Found = Result<Hash, TreeError<Infallible>>;

/// Checks tiles against these leaves; gives the root.
fn run(tiles: &Tiles, leaves: &[Hash]) -> Found {
    let mut checker = TileChecker::new(tiles);
    for &leaf in leaves {
        checker.push(leaf)?;
    }
    assert_eq!(checker.size(), leaves.len() as u64);
    let root = checker.root();
    checker.finish().map(|()| root)
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size)
        .map(|index| leaf_hash(leaf(index).as_bytes()))
        .collect()
}

/// Flips a bit of a hash: the check names exactly it.
#[track_caller]
fn check_flip(tiles: &Tiles, leaves: &[Hash], at: (u8, u64), byte: usize) {
    let mut damaged = tiles.clone();
    damaged.rows.get_mut(&at).unwrap()[byte] ^= 1 << (byte % 8);
    let error = run(&damaged, leaves).unwrap_err();
    let (level, number) = at;
    let position = byte / 32;
    let expected = TreeError::TileDiffers {
        level,
        number,
        position,
    };
    assert_eq!(error, expected);
    let first = (number * 256 + position as u64) * 256_u64.pow(level.into());
    assert_eq!(error.first_leaf(), Some(first));
}

#[test]
fn whole_trees_pass() {
    let all = leaves(66_000);
    for size in [
        0, 1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000,
    ] {
        let tiles = Tiles::of(size);
        let root = Tree::new(&tiles, size).unwrap().root(size).unwrap();
        let leaves = &all[..usize::try_from(size).unwrap()];
        assert_eq!(run(&tiles, leaves), Ok(root), "{size}");
    }
}

#[test]
fn every_flipped_byte_is_found_where_it_is() {
    let (tiles, leaves) = (Tiles::of(100), leaves(100));
    for byte in 0..100 * 32 {
        check_flip(&tiles, &leaves, (0, 0), byte);
    }
}

#[test]
fn every_flipped_hash_is_found_where_it_is() {
    let (tiles, leaves) = (Tiles::of(300), leaves(300));
    assert_eq!(tiles.rows.len(), 3);
    for (&at, row) in &tiles.rows {
        // Each hash in another of its bytes.
        for byte in (0..row.len()).step_by(31) {
            check_flip(&tiles, &leaves, at, byte);
        }
    }
}

#[test]
fn a_flipped_byte_above_level_0_is_found_where_it_is() {
    let (tiles, leaves) = (Tiles::of(66_000), leaves(66_000));
    for at in [(0, 200), (0, 257), (1, 0), (1, 1), (2, 0)] {
        let last = tiles.rows[&at].len() - 1;
        for byte in [0, last / 2, last] {
            check_flip(&tiles, &leaves, at, byte);
        }
    }
}

#[test]
fn a_changed_leaf_is_named() {
    let tiles = Tiles::of(600);
    for index in [0, 1, 255, 256, 511, 512, 599] {
        let mut leaves = leaves(600);
        leaves[index] = leaf_hash(b"another");
        let error = run(&tiles, &leaves).unwrap_err();
        assert_eq!(error.first_leaf(), Some(index as u64));
    }
    // Of several, the first.
    let mut leaves = leaves(600);
    leaves.swap(300, 400);
    assert_eq!(run(&tiles, &leaves).unwrap_err().first_leaf(), Some(300));
}

#[test]
fn a_missing_tile_is_named() {
    let size = 65_536 + 256 + 44;
    let (tiles, leaves) = (Tiles::of(size), leaves(size));
    for at in [(0, 0), (0, 256), (0, 257), (1, 0), (1, 1), (2, 0)] {
        let mut missing = tiles.clone();
        missing.rows.remove(&at);
        let (level, number) = at;
        let expected = TreeError::MissingTile { level, number };
        assert_eq!(run(&missing, &leaves), Err(expected));
    }
}

#[test]
fn a_short_or_long_tile_is_named() {
    let (tiles, leaves) = (Tiles::of(556), leaves(556));
    assert_eq!(tiles.rows.len(), 4);
    for (&(level, number), row) in &tiles.rows {
        let expected = row.len();
        for length in [0, expected - 32, expected - 1, expected + 1, expected + 32] {
            let mut other = tiles.clone();
            let row = other.rows.get_mut(&(level, number)).unwrap();
            row.resize(length, 0);
            let expected = TreeError::TileLength {
                level,
                number,
                length,
                expected,
            };
            assert_eq!(run(&other, &leaves), Err(expected));
        }
    }
}

#[test]
fn tiles_that_no_leaf_leads_to_are_named() {
    for (size, at) in [
        (0, (0, 0)),
        (1, (0, 1)),
        (1, (1, 0)),
        (255, (1, 0)),
        (256, (0, 1)),
        (256, (1, 1)),
        (256, (2, 0)),
        (300, (0, 2)),
    ] {
        let mut tiles = Tiles::of(size);
        assert!(tiles.rows.insert(at, vec![0; 32]).is_none());
        let (level, number) = at;
        let expected = TreeError::UnexpectedTile { level, number };
        assert_eq!(run(&tiles, &leaves(size)), Err(expected), "{size}");
    }
    // The last leaf was removed, and its hash was left behind.
    let expected = TreeError::TileLength {
        level: 0,
        number: 1,
        length: 44 * 32,
        expected: 43 * 32,
    };
    assert_eq!(run(&Tiles::of(300), &leaves(299)), Err(expected));
}
