//! Roots and proofs beside those of ct-merkle, which verifies them too.

use std::collections::BTreeSet;

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use proptest::prelude::*;

use super::*;

/// Places in a tree of `size` leaves: the ends of it and of tiles, and some between.
fn places(size: u64) -> Vec<u64> {
    let near = [0, 1, 127, 128, 255, 256, 257, 511, 512, 65_535, 65_536];
    let between = [
        size / 3,
        size / 2,
        size.saturating_sub(2),
        size.saturating_sub(1),
    ];
    let places: BTreeSet<u64> = near.into_iter().chain(between).collect();
    places.into_iter().filter(|&place| place < size).collect()
}

fn as_root(hash: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(hash.into(), size)
}

/// Every kind of proof, in the tree `peer` is now and in tiles that may go further.
#[track_caller]
fn check(tree: &Tree<'_, Tiles>, peer: &Peer, roots: &BTreeMap<u64, Hash>, places: &[u64]) {
    let size = peer.len();
    let root = as_root(tree.root(size).unwrap(), size);
    assert_eq!(root, peer.root());
    for &place in places {
        let proof = tree.inclusion(place, size).unwrap();
        let index = usize::try_from(place).unwrap();
        let theirs = peer.prove_inclusion(index);
        assert_eq!(
            proof.as_flattened(),
            theirs.as_bytes(),
            "leaf {place} of {size}"
        );
        let proof = InclusionProof::try_from_bytes(proof.concat()).unwrap();
        root.verify_inclusion(&leaf(place), place, &proof).unwrap();
    }
    for &old in places.iter().filter(|place| roots.contains_key(place)) {
        let proof = tree.consistency(old, size).unwrap();
        let theirs = peer.prove_consistency(usize::try_from(size - old).unwrap());
        assert_eq!(proof.as_flattened(), theirs.as_bytes(), "{old} to {size}");
        let old_root = as_root(roots[&old], old);
        let proof = ConsistencyProof::try_from_bytes(proof.concat()).unwrap();
        root.verify_consistency(&old_root, &proof).unwrap();
    }
}

#[test]
fn every_size_to_700() {
    let (mut now, mut peer, mut roots) = (Tiles::default(), Peer::new(), BTreeMap::new());
    let after = Tiles::of(700);
    for size in 0..=700 {
        // Every place of the small trees, and every other of the rest in turn.
        let places: Vec<u64> = if size < 40 {
            (0..size).collect()
        } else {
            let turn = usize::from(size % 4 < 2);
            places(size).into_iter().skip(turn).step_by(2).collect()
        };
        // The same answers come from tiles that have grown since.
        if size % 2 == 0 {
            let tree = Tree::new(&after, 700).unwrap();
            check(&tree, &peer, &roots, &places);
        }
        let tree = Tree::new(&now, size).unwrap();
        if size % 2 == 1 || size < 40 {
            check(&tree, &peer, &roots, &places);
        }
        if size > 0 {
            roots.insert(size, tree.root(size).unwrap());
        }
        now.append(size, size + 1);
        peer.push(leaf(size));
    }
}

#[test]
fn sizes_to_70_000() {
    // Fixed numbers without a pattern, and the ends of tiles of the second level.
    let mut sizes: BTreeSet<u64> = (1..30).map(|step| step * 40_503 % 69_997 + 3).collect();
    sizes.extend([
        65_279, 65_280, 65_535, 65_536, 65_537, 65_792, 65_793, 70_000,
    ]);
    let tiles = Tiles::of(70_000);
    let tree = Tree::new(&tiles, 70_000).unwrap();
    let (mut peer, mut roots) = (Peer::new(), BTreeMap::new());
    for index in 0..70_000 {
        peer.push(leaf(index));
        let size = index + 1;
        if sizes.contains(&size) || size.is_power_of_two() {
            let known = sizes.range(..size).step_by(2);
            let places: Vec<u64> = known.copied().chain(places(size)).collect();
            check(&tree, &peer, &roots, &places);
            roots.insert(size, tree.root(size).unwrap());
        }
    }
}

#[test]
fn answers_read_few_tiles() {
    let tiles = Tiles::of(70_000);
    let tree = Tree::new(&tiles, 70_000).unwrap();
    let reads = |answer: &dyn Fn()| {
        tiles.reads.set(0);
        answer();
        tiles.reads.get()
    };
    let most = 2 * levels(70_000).count();
    for place in places(70_000) {
        assert!(reads(&|| drop(tree.root(place))) <= most, "root of {place}");
        assert!(
            reads(&|| drop(tree.inclusion(place, 70_000))) <= most,
            "leaf {place}"
        );
        assert!(
            reads(&|| drop(tree.consistency(place, 69_999))) <= most,
            "from {place}"
        );
    }
    assert_eq!(reads(&|| drop(tree.root(70_000))), 3);
}

#[test]
fn nothing_to_prove_is_an_empty_proof() {
    let tiles = Tiles::of(300);
    let tree = Tree::new(&tiles, 300).unwrap();
    assert_eq!(tree.consistency(0, 0), Ok(Vec::new()));
    assert_eq!(tree.consistency(0, 300), Ok(Vec::new()));
    assert_eq!(tree.consistency(300, 300), Ok(Vec::new()));
    assert_eq!(tree.inclusion(0, 1), Ok(Vec::new()));
}

#[test]
fn what_the_tree_does_not_have() {
    let tiles = Tiles::of(300);
    let tree = Tree::new(&tiles, 300).unwrap();
    for size in [301, 512, MAX_SIZE + 1, u64::MAX] {
        let beyond = TreeError::BeyondTree { size, stored: 300 };
        assert_eq!(tree.root(size).unwrap_err(), beyond);
        assert_eq!(tree.inclusion(0, size).unwrap_err(), beyond);
        assert_eq!(tree.consistency(1, size).unwrap_err(), beyond);
        let (old, new) = (size, 300);
        let shrinks = TreeError::Shrinks { old, new };
        assert_eq!(tree.consistency(old, new).unwrap_err(), shrinks);
    }
    for (index, size) in [(0, 0), (1, 1), (300, 300), (u64::MAX, 300)] {
        let error = tree.inclusion(index, size).unwrap_err();
        assert_eq!(error, TreeError::NoSuchLeaf { index, size });
    }
    let size = MAX_SIZE + 1;
    let error = Tree::new(&tiles, size).unwrap_err();
    assert_eq!(error, TreeError::TooLarge { size });
    let largest = Tree::new(&tiles, MAX_SIZE).unwrap();
    let error = largest.inclusion(MAX_SIZE - 1, MAX_SIZE).unwrap_err();
    let (level, number) = (0, (MAX_SIZE - 1) / 256);
    assert_eq!(error, TreeError::MissingTile { level, number });
}

#[test]
fn a_damaged_tile_is_named() {
    let tiles = Tiles::of(70_000);
    for (level, number, expected) in [(0, 3, 8192), (0, 273, 3584), (1, 0, 8192), (1, 1, 544)] {
        let mut missing = tiles.clone();
        missing.rows.remove(&(level, number));
        let tree = Tree::new(&missing, 70_000).unwrap();
        let leaf = number << (8 * (u32::from(level) + 1));
        let error = tree.inclusion(leaf, 70_000).unwrap_err();
        assert_eq!(error, TreeError::MissingTile { level, number });
        for length in [0, expected - 1, expected + 1, expected - 32, expected + 32] {
            let mut other = tiles.clone();
            other
                .rows
                .get_mut(&(level, number))
                .unwrap()
                .resize(length, 0);
            let tree = Tree::new(&other, 70_000).unwrap();
            let error = tree.inclusion(leaf, 70_000).unwrap_err();
            let expected = TreeError::TileLength {
                level,
                number,
                length,
                expected,
            };
            assert_eq!(error, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked of tiles that may be those of another size: an answer is right, and there
    /// is one if the size is.
    #[test]
    fn an_answer_is_right_or_an_error(
        stored in prop_oneof![Just(700), 0..=700_u64, any::<u64>()],
        size in prop_oneof![0..=700_u64, any::<u64>()],
        other in prop_oneof![0..=700_u64, any::<u64>()],
    ) {
        let tiles = Tiles::of(700);
        let right = Tree::new(&tiles, 700).unwrap();
        let Ok(tree) = Tree::new(&tiles, stored) else {
            prop_assert!(stored > MAX_SIZE);
            return Ok(());
        };
        prop_assert!(stored != 700 || tree.root(size).is_ok() == (size <= 700));
        for (answer, right) in [
            (tree.root(size).map(|root| vec![root]), right.root(size).map(|root| vec![root])),
            (tree.inclusion(other, size), right.inclusion(other, size)),
            (tree.consistency(other, size), right.consistency(other, size)),
        ] {
            prop_assert!(answer.is_err() || answer == right, "{answer:?} {right:?}");
        }
    }
}
