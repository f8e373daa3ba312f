//! Leaves of the log, and proofs in its tree as hashes alone.

use super::{Check, LeafView, Outcome, Vectors};
use crate::{
    hex,
    item::{self, Item},
    log::{self, Hash, Log, base64, sha256},
};

pub(super) fn add(vectors: &mut Vectors) {
    leaves(vectors);
    bad_leaves(vectors);
    inclusion(vectors);
    not_included(vectors);
    consistency(vectors);
    not_consistent(vectors);
}

fn leaves(vectors: &mut Vectors) {
    let (subject, entry) = (sha256(&[b"a token"]), sha256(&[b"an entry"]));
    for (name, shows, word, subject) in [
        (
            "valid",
            "the leaf of a token",
            "token-minted",
            Some(subject),
        ),
        (
            "valid-without-subject",
            "a leaf about no token or document",
            "revoked",
            None,
        ),
        (
            "valid-word-64-bytes",
            "the longest word",
            &"w".repeat(64),
            None,
        ),
    ] {
        let data = log::leaf(word, subject, entry);
        let view = LeafView {
            word: word.into(),
            subject: subject.map(|hash| base64(&hash)),
            entry: base64(&entry),
            hash: base64(&sha256(&[&[0], &data])),
        };
        let path = format!("leaf/{name}");
        vectors.accept(path, shows, Check::Leaf(hex(&data)), Outcome::Leaf(view));
    }
}

fn bad_leaves(vectors: &mut Vectors) {
    let hash = sha256(&[b"a token"]);
    let good = log::leaf("token-minted", Some(hash), hash);
    let of = |items: Vec<Item>| Item::Array(items).encode();
    let (one, word, bytes) = (
        Item::Uint(1),
        Item::text("token-minted"),
        Item::bytes(&hash),
    );
    let null = Item::Raw(vec![0xf6]);
    let raw = |bytes: &[u8]| Item::Raw(bytes.into());
    for (name, shows, data) in [
        ("empty", "no bytes", Vec::new()),
        (
            "version-2",
            "another version",
            of(vec![
                Item::Uint(2),
                word.clone(),
                null.clone(),
                bytes.clone(),
            ]),
        ),
        (
            "three",
            "three elements",
            of(vec![one.clone(), word.clone(), bytes.clone()]),
        ),
        (
            "map",
            "a map",
            Item::Map(vec![(one.clone(), word.clone())]).encode(),
        ),
        (
            "trailing-byte",
            "a byte after the leaf",
            [&good[..], &[0]].concat(),
        ),
        (
            "cut",
            "a leaf that is cut short",
            good[..good.len() - 1].into(),
        ),
        (
            "word-empty",
            "a word of no bytes",
            log::leaf("", None, hash),
        ),
        (
            "word-65-bytes",
            "a word that is too long",
            log::leaf(&"w".repeat(65), None, hash),
        ),
        (
            "word-control",
            "a line feed in the word",
            log::leaf("a\nb", None, hash),
        ),
        ("word-not-utf-8", "a word that is not UTF-8", {
            of(vec![
                one.clone(),
                raw(&[0x61, 0xff]),
                null.clone(),
                bytes.clone(),
            ])
        }),
        ("word-bytes", "a word that is a byte string", {
            of(vec![
                one.clone(),
                Item::bytes(b"revoked"),
                null.clone(),
                bytes.clone(),
            ])
        }),
        (
            "word-head-longer",
            "the length of the word in a longer form",
            {
                let word = [&item::wide_head(3, &[7])[..], b"revoked"].concat();
                of(vec![one.clone(), raw(&word), null.clone(), bytes.clone()])
            },
        ),
        ("word-of-2-62", "a word that the input does not have", {
            let word = item::head(3, 1 << 62);
            of(vec![one.clone(), raw(&word), null.clone(), bytes.clone()])
        }),
        ("subject-31-bytes", "a subject of 31 bytes", {
            of(vec![
                one.clone(),
                word.clone(),
                Item::bytes(&hash[1..]),
                bytes.clone(),
            ])
        }),
        ("subject-undefined", "undefined in the place of null", {
            of(vec![one.clone(), word.clone(), raw(&[0xf7]), bytes])
        }),
        (
            "entry-null",
            "no entry",
            of(vec![one, word, null.clone(), null]),
        ),
    ] {
        let path = format!("leaf/{name}");
        vectors.refuse(path, shows, Check::Leaf(hex(&data)), "leaf-invalid");
    }
}

/// A path in a tree, to be changed in one place.
#[derive(Clone)]
struct Inclusion {
    leaf: Hash,
    index: u64,
    path: Vec<Hash>,
    size: u64,
    root: Hash,
}

impl Inclusion {
    fn of(index: usize, size: usize) -> Self {
        let log = Log::of_numbers(size as u64);
        Self {
            leaf: sha256(&[&[0], &log.0[index]]),
            index: index as u64,
            path: log.path(index, size),
            size: size as u64,
            root: log.root(size),
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut path = self.clone();
        change(&mut path);
        path
    }

    fn check(&self) -> Check {
        Check::Inclusion {
            leaf: base64(&self.leaf),
            index: self.index,
            path: self.path.iter().map(|hash| base64(hash)).collect(),
            size: self.size,
            root: base64(&self.root),
        }
    }
}

fn inclusion(vectors: &mut Vectors) {
    for (index, size) in [
        (0, 1),
        (1, 2),
        (2, 3),
        (0, 5),
        (3, 5),
        (4, 5),
        (5, 7),
        (6, 7),
        (7, 8),
        (64, 65),
    ] {
        let path = format!("merkle/valid-{index}-of-{size}");
        let shows = format!("leaf {index} of {size}");
        vectors.accept(
            path,
            &shows,
            Inclusion::of(index, size).check(),
            Outcome::Holds,
        );
    }
    let other = Inclusion::of(0, 3).with(|path| path.size = 4);
    let shows =
        "a path holds for more than one size: the size is the checkpoint's, never the proof's";
    vectors.accept(
        "merkle/valid-size-other",
        shows,
        other.check(),
        Outcome::Holds,
    );
}

fn not_included(vectors: &mut Vectors) {
    let good = Inclusion::of(5, 7);
    let leaves = Log::of_numbers(8);
    let hash = |n: usize| sha256(&[&[0], &leaves.0[n]]);
    let nodes = (
        sha256(&[&[1], &hash(0), &hash(1)]),
        sha256(&[&[1], &hash(2), &hash(3)]),
    );
    for (name, shows, path) in [
        (
            "leaf-other",
            "another leaf",
            good.with(|path| path.leaf = hash(4)),
        ),
        (
            "index-other",
            "another index",
            good.with(|path| path.index = 4),
        ),
        (
            "index-beyond",
            "an index that the tree does not have",
            good.with(|path| path.index = 7),
        ),
        (
            "path-short",
            "the last hash is missing",
            good.with(|path| path.path.truncate(2)),
        ),
        (
            "path-long",
            "a hash too many",
            good.with(|path| path.path.push(path.root)),
        ),
        ("path-empty", "no hash", good.with(|path| path.path.clear())),
        (
            "path-flipped",
            "a bit of a hash",
            good.with(|path| path.path[1][31] ^= 1),
        ),
        (
            "path-swapped",
            "two hashes in each other's place",
            good.with(|path| path.path.swap(0, 1)),
        ),
        (
            "path-64",
            "more hashes than any tree is high",
            good.with(|path| path.path = vec![[0; 32]; 64]),
        ),
        (
            "size-smaller",
            "the size of another tree",
            good.with(|path| path.size = 6),
        ),
        (
            "size-zero",
            "the empty tree, which has no leaf",
            Inclusion::of(0, 1).with(|path| path.size = 0),
        ),
        (
            "root-other",
            "another root",
            good.with(|path| path.root = leaves.root(8)),
        ),
        ("node-as-leaf", "an inner node in the place of a leaf", {
            let mut path = Inclusion::of(0, 4);
            (path.leaf, path.path) = (nodes.0, vec![nodes.1]);
            path
        }),
        (
            "node-data-as-leaf",
            "a leaf whose data are two hashes of the tree",
            {
                let data = [&hash(0)[..], &hash(1)].concat();
                let mut path = Inclusion::of(0, 4);
                (path.leaf, path.path) = (sha256(&[&[0], &data]), vec![nodes.1]);
                path
            },
        ),
    ] {
        vectors.refuse(
            format!("merkle/{name}"),
            shows,
            path.check(),
            "not-included",
        );
    }
}

/// Two trees and the path between them, to be changed in one place.
#[derive(Clone)]
struct Growth {
    old: (u64, Hash),
    new: (u64, Hash),
    path: Vec<Hash>,
}

impl Growth {
    fn of(old: usize, new: usize) -> Self {
        let log = Log::of_numbers(new as u64);
        Self {
            old: (old as u64, log.root(old)),
            new: (new as u64, log.root(new)),
            path: log.growth(old, new),
        }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut growth = self.clone();
        change(&mut growth);
        growth
    }

    fn check(&self) -> Check {
        Check::Consistency {
            old: (self.old.0, base64(&self.old.1)),
            new: (self.new.0, base64(&self.new.1)),
            path: self.path.iter().map(|hash| base64(hash)).collect(),
        }
    }
}

fn consistency(vectors: &mut Vectors) {
    for (old, new) in [
        (0, 0),
        (0, 5),
        (1, 2),
        (2, 5),
        (3, 7),
        (4, 7),
        (5, 5),
        (6, 8),
        (7, 8),
        (64, 65),
        (65, 130),
    ] {
        let path = format!("merkle/valid-{old}-to-{new}");
        let shows = format!("from {old} leaves to {new}");
        vectors.accept(path, &shows, Growth::of(old, new).check(), Outcome::Holds);
    }
}

fn not_consistent(vectors: &mut Vectors) {
    let good = Growth::of(3, 7);
    let other = Log::of_numbers(8).root(8);
    for (name, shows, growth) in [
        (
            "growth-empty",
            "no hash",
            good.with(|growth| growth.path.clear()),
        ),
        ("growth-of-two-empty", "no hash, from a complete tree", {
            Growth::of(4, 7).with(|growth| growth.path.clear())
        }),
        (
            "growth-short",
            "the last hash is missing",
            good.with(|growth| growth.path.truncate(3)),
        ),
        (
            "growth-long",
            "a hash too many",
            good.with(|growth| growth.path.push(other)),
        ),
        (
            "growth-flipped",
            "a bit of a hash",
            good.with(|growth| growth.path[0][0] ^= 0x80),
        ),
        (
            "growth-64",
            "more hashes than any proof has",
            good.with(|growth| growth.path = vec![[0; 32]; 64]),
        ),
        (
            "growth-old-other",
            "another old root",
            good.with(|growth| growth.old.1 = other),
        ),
        (
            "growth-new-other",
            "another new root",
            good.with(|growth| growth.new.1 = other),
        ),
        ("growth-backward", "from the larger tree to the smaller", {
            good.with(|growth| std::mem::swap(&mut growth.old, &mut growth.new))
        }),
        (
            "growth-from-empty-with-hash",
            "a hash where none is needed",
            { Growth::of(0, 5).with(|growth| growth.path.push(other)) },
        ),
        (
            "growth-from-empty-other",
            "an empty tree of another root",
            { Growth::of(0, 5).with(|growth| growth.old.1 = other) },
        ),
        ("growth-to-empty-other", "an empty tree of two roots", {
            Growth::of(0, 0).with(|growth| growth.new.1 = other)
        }),
        ("growth-same-other", "two roots of one size", {
            Growth::of(5, 5).with(|growth| growth.new.1 = other)
        }),
        (
            "growth-same-with-hash",
            "a hash between a tree and itself",
            { Growth::of(5, 5).with(|growth| growth.path.push(other)) },
        ),
    ] {
        vectors.refuse(
            format!("merkle/{name}"),
            shows,
            growth.check(),
            "not-consistent",
        );
    }
}
