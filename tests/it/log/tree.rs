//! Inclusion and consistency, beside ct-merkle and `tlog_tiles`: rows T1 to T3.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use phi_tests::{
    demo,
    log::{self, Log},
    snakeoil,
};
use phi_verify::log::{Hash, Leaf, Proof, verify_consistency, verify_inclusion};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::tlog;

use super::{hashes, refused, root_of, sealed};

/// Every tree up to this size is tried whole: past 64 a path has seven hashes.
const SIZES: usize = 70;

/// The same leaves in three implementations.
struct Oracles {
    log: Log,
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
    stored: Vec<tlog::Hash>,
}

/// What `tlog_tiles` reads its hashes from.
struct Stored<'a>(&'a [tlog::Hash]);

impl tlog::HashReader for Stored<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog_tiles::Error> {
        let at = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(at).collect())
    }
}

impl Oracles {
    fn of(size: usize) -> Self {
        let log = Log::of_numbers(size as u64);
        let mut oracles = Self {
            tree: MemoryBackedTree::new(),
            stored: Vec::new(),
            log: log.clone(),
        };
        for (n, leaf) in (0..).zip(log.0) {
            let more = tlog::stored_hashes(n, &leaf, &Stored(&oracles.stored)).unwrap();
            oracles.stored.extend(more);
            oracles.tree.push(leaf);
        }
        oracles
    }

    fn size(&self) -> usize {
        self.log.0.len()
    }

    fn root(&self) -> Hash {
        let root = root_of(&self.log, self.size());
        assert_eq!(root.as_bytes()[..], self.tree.root().as_bytes()[..]);
        let tiles = tlog::tree_hash(self.size() as u64, &Stored(&self.stored)).unwrap();
        assert_eq!(*root.as_bytes(), tiles.0);
        root
    }

    /// The path to a leaf, on which all three agree.
    fn path(&self, index: usize) -> Vec<Hash> {
        let path = hashes(&self.log.path(index, self.size()));
        let bytes: Vec<u8> = path.iter().flat_map(|hash| *hash.as_bytes()).collect();
        assert_eq!(self.tree.prove_inclusion(index).as_bytes(), bytes);
        let (size, index) = (self.size() as u64, index as u64);
        let tiles = tlog::prove_record(size, index, &Stored(&self.stored)).unwrap();
        assert_eq!(tiles, as_tiles(&path));
        path
    }

    /// The proof that the tree grew out of its first `old` leaves, on which all three agree.
    fn growth(&self, old: usize) -> Vec<Hash> {
        let path = hashes(&self.log.growth(old, self.size()));
        let bytes: Vec<u8> = path.iter().flat_map(|hash| *hash.as_bytes()).collect();
        let proof = self.tree.prove_consistency(self.size() - old);
        assert_eq!(proof.as_bytes(), bytes);
        let (size, old) = (self.size() as u64, old as u64);
        let tiles = tlog::prove_tree(size, old, &Stored(&self.stored)).unwrap();
        assert_eq!(tiles, as_tiles(&path));
        path
    }

    fn leaf(&self, index: usize) -> Hash {
        Hash::leaf(&self.log.0[index])
    }
}

fn as_tiles(path: &[Hash]) -> Vec<tlog::Hash> {
    path.iter()
        .map(|hash| tlog::Hash(*hash.as_bytes()))
        .collect()
}

/// The path with one thing wrong, in every way: a bit of a hash, a hash too few or too many.
fn mutations(path: &[Hash]) -> Vec<Vec<Hash>> {
    let mut mutations = Vec::new();
    for at in 0..path.len() {
        let mut bytes = *path[at].as_bytes();
        bytes[at % 32] ^= 1 << (at % 8);
        let mut flipped = path.to_vec();
        flipped[at] = Hash::from_bytes(bytes);
        let mut short = path.to_vec();
        short.remove(at);
        mutations.extend([flipped, short]);
    }
    for at in 0..=path.len() {
        let mut long = path.to_vec();
        long.insert(at, Hash::EMPTY);
        mutations.push(long);
    }
    mutations
}

#[test]
fn t1_every_leaf_of_every_small_tree_is_where_its_proof_says_and_nowhere_else() {
    for size in 1..=SIZES {
        let oracles = Oracles::of(size);
        let (root, whole) = (oracles.root(), size as u64);
        for index in 0..size {
            let (leaf, path) = (oracles.leaf(index), oracles.path(index));
            let at = index as u64;
            assert_eq!(verify_inclusion(leaf, at, &path, whole, root), Ok(()));
            for other in (0..size + 2).filter(|other| *other != index) {
                let other_index = verify_inclusion(leaf, other as u64, &path, whole, root);
                refused(other_index, "not-included");
                if other < size {
                    let leaf = oracles.leaf(other);
                    refused(
                        verify_inclusion(leaf, at, &path, whole, root),
                        "not-included",
                    );
                }
            }
            for path in mutations(&path) {
                refused(
                    verify_inclusion(leaf, at, &path, whole, root),
                    "not-included",
                );
            }
            refused(
                verify_inclusion(leaf, at, &path, whole, leaf_of_nothing()),
                "not-included",
            );
        }
    }
}

fn leaf_of_nothing() -> Hash {
    Hash::leaf(&[])
}

#[test]
fn t1_every_small_tree_grew_out_of_every_smaller_one_and_out_of_no_other() {
    for size in 1..=SIZES {
        let oracles = Oracles::of(size);
        let new = (size as u64, oracles.root());
        for smaller in 1..=size {
            let old = (smaller as u64, root_of(&oracles.log, smaller));
            let path = oracles.growth(smaller);
            assert_eq!(verify_consistency(old, new, &path), Ok(()));
            if smaller < size {
                refused(verify_consistency(new, old, &path), "not-consistent");
            }
            for path in mutations(&path) {
                refused(verify_consistency(old, new, &path), "not-consistent");
            }
            for (wrong_old, wrong_new) in [
                ((old.0, Hash::EMPTY), new),
                (old, (new.0, Hash::EMPTY)),
                ((old.0, new.1), (new.0, leaf_of_nothing())),
            ] {
                refused(
                    verify_consistency(wrong_old, wrong_new, &path),
                    "not-consistent",
                );
            }
        }
    }
}

/// What one implementation takes for another size, the other takes too: no more, no less.
#[test]
fn t1_verdicts_on_wrong_sizes_are_those_of_tlog_tiles() {
    let (mut taken, mut refused) = (0, 0);
    for size in 1..=20 {
        let oracles = Oracles::of(size);
        let root = oracles.root();
        let tiles_root = tlog::Hash(*root.as_bytes());
        for index in 0..size {
            let (leaf, path) = (oracles.leaf(index), oracles.path(index));
            for other in 0..40 {
                for at in 0..40 {
                    let ours = verify_inclusion(leaf, at, &path, other, root).is_ok();
                    let leaf = tlog::Hash(*leaf.as_bytes());
                    let theirs = tlog::check_record(&as_tiles(&path), other, tiles_root, at, leaf);
                    assert_eq!(
                        ours,
                        theirs.is_ok(),
                        "leaf {index} of {size} as {at} of {other}"
                    );
                    *(if ours { &mut taken } else { &mut refused }) += 1;
                }
            }
        }
    }
    assert!(
        taken > 210 && refused > 210,
        "{taken} taken, {refused} refused"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn t1_leaves_of_larger_trees_are_where_their_proofs_say(
        (size, index, old) in (71_usize..3000).prop_flat_map(|size| (Just(size), 0..size, 1..size)),
    ) {
        let oracles = Oracles::of(size);
        let (root, whole) = (oracles.root(), size as u64);
        let (leaf, path) = (oracles.leaf(index), oracles.path(index));
        prop_assert_eq!(verify_inclusion(leaf, index as u64, &path, whole, root), Ok(()));
        for path in mutations(&path) {
            prop_assert!(verify_inclusion(leaf, index as u64, &path, whole, root).is_err());
        }
        let (older, newer) = ((old as u64, root_of(&oracles.log, old)), (whole, root));
        let path = oracles.growth(old);
        prop_assert_eq!(verify_consistency(older, newer, &path), Ok(()));
        for path in mutations(&path) {
            prop_assert!(verify_consistency(older, newer, &path).is_err());
        }
    }

    /// Bytes that are no proof at all: both implementations refuse the same.
    #[test]
    fn t1_nonsense_is_judged_as_tlog_tiles_judges_it(
        sizes in (0_u64..1 << 40, 0_u64..1 << 40),
        path in prop::collection::vec(any::<[u8; 32]>(), 0..64),
    ) {
        let (old, new) = sizes;
        let path: Vec<_> = path.into_iter().map(Hash::from_bytes).collect();
        let root = Hash::leaf(&[1]);
        let tiles = tlog::Hash(*root.as_bytes());
        let ours = verify_inclusion(root, old, &path, new, root).is_ok();
        let theirs = tlog::check_record(&as_tiles(&path), new, tiles, old, tiles).is_ok();
        prop_assert_eq!(ours, theirs);
        let ours = verify_consistency((old, root), (new, root), &path).is_ok();
        // The empty tree is no business of theirs.
        let theirs = old > 0 && tlog::check_tree(&as_tiles(&path), new, tiles, old, tiles).is_ok();
        prop_assert_eq!(ours, theirs);
    }
}

/// A path holds under several sizes, so nothing but the signed checkpoint may say the size.
#[test]
fn t2_the_size_is_the_checkpoints_and_a_proof_has_no_place_for_one() {
    let log = Log::sample();
    let (leaf, path) = (Hash::leaf(&log.0[0]), hashes(&log.path(0, 3)));
    let root = root_of(&log, 3);
    assert_eq!(
        verify_inclusion(leaf, 0, &path, 4, root),
        Ok(()),
        "the danger is real"
    );

    let text = log.proof(3, 5);
    let trusted = snakeoil::root();
    for (from, to) in [
        ("index 3\n", "index 3\nsize 6\n"),
        ("index 3\n", "index 3 6\n"),
        ("index 3\n", "size 6\nindex 3\n"),
    ] {
        refused(Proof::parse(&text.replacen(from, to, 1)), "proof-invalid");
    }
    let larger = Proof::parse(&text.replacen("\n5\n", "\n6\n", 1)).unwrap();
    refused(
        larger.verify_token(&demo::token(), &trusted),
        "signature-invalid",
    );
    let inclusion = Proof::parse(&text)
        .unwrap()
        .verify_token(&demo::token(), &trusted)
        .unwrap();
    assert_eq!((inclusion.index(), inclusion.checkpoint().size()), (3, 5));
}

/// A node's two hashes are offered as the data of a leaf, with what is left of a path.
#[test]
fn t3_no_inner_node_passes_for_a_leaf() {
    for size in 2..=32 {
        let log = Log::of_numbers(size as u64);
        let root = root_of(&log, size);
        for index in 0..size {
            let path = hashes(&log.path(index, size));
            let mut node = Hash::leaf(&log.0[index]);
            for height in 0..path.len() {
                let pairs = [(node, path[height]), (path[height], node)];
                for (left, right) in pairs {
                    let data = [*left.as_bytes(), *right.as_bytes()].concat();
                    assert_ne!(Hash::leaf(&data), Hash::node(left, right));
                    for at in 0..size as u64 {
                        let rest = &path[height + 1..];
                        let as_leaf =
                            verify_inclusion(Hash::leaf(&data), at, rest, size as u64, root);
                        refused(as_leaf, "not-included");
                        // Even the node's own hash is at no leaf's depth under the true size.
                        let as_hash =
                            verify_inclusion(Hash::node(left, right), at, rest, size as u64, root);
                        refused(as_hash, "not-included");
                    }
                }
                let at = index >> height;
                node = if at & 1 == 1 {
                    Hash::node(path[height], node)
                } else {
                    Hash::node(node, path[height])
                };
            }
        }
    }
}

/// Leaf data that begin with the byte of a node, and a leaf of another kind with the same token.
#[test]
fn t3_a_leaf_speaks_of_one_event_only() {
    let log = Log::sample();
    let token = demo::token();
    let subject = Hash::of(&token);
    let entry = Hash::from_bytes(log::entry(4));
    let leaf = Leaf::of_token(&token, entry);
    assert_eq!(leaf.encode(), log.0[3]);
    let proof = Proof::parse(&log.proof(3, 5)).unwrap();
    let trusted = snakeoil::root();
    assert_eq!(proof.verify_leaf(&leaf, &trusted).unwrap().index(), 3);
    let keyset = &demo::files()["keyset.phi"];
    let document = Leaf::of_document(keyset, Hash::from_bytes(log::entry(3)));
    let published = Proof::parse(&log.proof(2, 5)).unwrap();
    assert_eq!(
        published.verify_leaf(&document, &trusted).unwrap().index(),
        2
    );
    refused(proof.verify_leaf(&document, &trusted), "not-included");
    // The extra line is not signed: one that names another entry is no proof of this one.
    let text = log.proof(3, 5);
    let extra = text.lines().nth(1).unwrap();
    let lying = text.replace(extra, &format!("extra {subject}"));
    let lying = Proof::parse(&lying).unwrap();
    refused(lying.verify_leaf(&leaf, &trusted), "proof-invalid");
    let silent = Proof::parse(&text.replace(&format!("{extra}\n"), "")).unwrap();
    assert_eq!(silent.verify_leaf(&leaf, &trusted).unwrap().index(), 3);
    for other in [
        Leaf {
            word: "revoked".into(),
            ..leaf.clone()
        },
        Leaf {
            subject: None,
            ..leaf.clone()
        },
        Leaf {
            subject: Some(entry),
            entry: subject,
            ..leaf.clone()
        },
        Leaf {
            entry: Hash::EMPTY,
            ..leaf
        },
    ] {
        refused(proof.verify_leaf(&other, &trusted), "not-included");
    }
}

#[test]
fn t1_a_proof_of_the_largest_log_is_verified_in_63_steps() {
    let size = phi_verify::log::MAX_SIZE;
    let path = vec![Hash::EMPTY; 62];
    let root = path
        .iter()
        .fold(Hash::leaf(&[]), |hash, next| Hash::node(hash, *next));
    assert_eq!(
        verify_inclusion(Hash::leaf(&[]), 0, &path, size, root),
        Ok(())
    );
    let (first, second) = ((1, Hash::leaf(&[])), (size, root));
    assert_eq!(verify_consistency(first, second, &path), Ok(()));
    let checkpoint = sealed(size, root);
    let proof = Proof::new(0, path, None, &checkpoint).unwrap();
    let entry = phi_verify::log::ConsistencyProof::new(0, Vec::new(), &checkpoint);
    assert!(entry.is_ok());
    refused(
        proof.verify_token("token", &snakeoil::root()),
        "proof-invalid",
    );
}
