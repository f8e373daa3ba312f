//! A log of known leaves, whose roots and proofs are written down as RFC 9162 defines them: by
//! recursion, with no code of the verifier's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use crate::{demo, item::Item, snakeoil::Seed};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// The log's name.
pub const ORIGIN: &str = "phi-demo.example/ledger";

/// SHA-256 of these pieces, one after the other.
pub fn sha256(pieces: &[&[u8]]) -> Hash {
    Sha256::digest(pieces.concat()).into()
}

/// A hash as it stands in the texts of a log.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The data of a leaf.
pub fn leaf(word: &str, subject: Option<Hash>, entry: Hash) -> Vec<u8> {
    let subject = subject.map_or(Item::Raw(vec![0xf6]), |hash| Item::bytes(&hash));
    let items = vec![
        Item::Uint(1),
        Item::text(word),
        subject,
        Item::bytes(&entry),
    ];
    Item::Array(items).encode()
}

/// A hash of an entry of the sample ledger: of the bytes `entry N`.
pub fn entry(number: u64) -> Hash {
    sha256(&[format!("entry {number}").as_bytes()])
}

/// The data of the leaves of a log.
#[derive(Clone, Debug, Default)]
pub struct Log(pub Vec<Vec<u8>>);

impl Log {
    /// The first five entries of the demo issuer, of which the fourth minted the demo token.
    pub fn sample() -> Self {
        let token = sha256(&[demo::token().as_bytes()]);
        let keyset = sha256(&[&demo::documents()["keyset.phi"]]);
        Self(vec![
            leaf("issuer-created", None, entry(1)),
            leaf("key-added", None, entry(2)),
            leaf("document-published", Some(keyset), entry(3)),
            leaf("token-minted", Some(token), entry(4)),
            leaf("license-issued", None, entry(5)),
        ])
    }

    /// A log of this size, its leaves being numbers.
    pub fn of_numbers(size: u64) -> Self {
        Self((0..size).map(|n| n.to_be_bytes().to_vec()).collect())
    }

    /// The root of the first `size` leaves.
    pub fn root(&self, size: usize) -> Hash {
        root(&self.0[..size])
    }

    /// The proof that leaf `index` is among the first `size`: from its sibling upward.
    pub fn path(&self, index: usize, size: usize) -> Vec<Hash> {
        path(index, &self.0[..size])
    }

    /// The proof that the first `size` leaves begin with the first `old`.
    pub fn growth(&self, old: usize, size: usize) -> Vec<Hash> {
        if old == 0 {
            return Vec::new();
        }
        subproof(old, &self.0[..size], true)
    }

    /// The text of the checkpoint of the first `size` leaves.
    pub fn checkpoint_text(&self, size: usize) -> String {
        format!("{ORIGIN}\n{size}\n{}\n", base64(&self.root(size)))
    }

    /// The checkpoint of the first `size` leaves, signed by the ledger's key.
    pub fn checkpoint(&self, size: usize) -> String {
        signed(&self.checkpoint_text(size))
    }

    /// The proof of the leaf at `index` among the first `size`, with the hash of its entry.
    pub fn proof(&self, index: usize, size: usize) -> String {
        let entry = base64(&entry(index as u64 + 1));
        let head = format!("c2sp.org/tlog-proof@v1\nextra {entry}\nindex {index}\n");
        head + &lines(&self.path(index, size)) + &self.checkpoint(size)
    }

    /// The proof that the log grew from `old` leaves to `size`.
    pub fn consistency(&self, old: usize, size: usize) -> String {
        format!("old {old}\n") + &lines(&self.growth(old, size)) + &self.checkpoint(size)
    }
}

/// Hashes, one a line, and an empty line.
pub fn lines(hashes: &[Hash]) -> String {
    let lines = hashes.iter().map(|hash| base64(hash) + "\n");
    lines.collect::<String>() + "\n"
}

/// RFC 9162 section 2.1.1: MTH.
fn root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// The largest power of two that is smaller than `size`.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// RFC 9162 section 2.1.3.1: PATH.
fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut hashes, sibling) = if index < at {
        (path(index, left), root(right))
    } else {
        (path(index - at, right), root(left))
    };
    hashes.push(sibling);
    hashes
}

/// RFC 9162 section 2.1.4.1: SUBPROOF, `whole` being its `b`.
fn subproof(old: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![root(leaves)]
        };
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut hashes, sibling) = if old <= at {
        (subproof(old, left, whole), root(right))
    } else {
        (subproof(old - at, right, false), root(left))
    };
    hashes.push(sibling);
    hashes
}

/// The id of a key in signed notes.
pub fn key_id(name: &str, key: &SigningKey) -> [u8; 4] {
    let digest = sha256(&[
        name.as_bytes(),
        &[0x0a, 0x01],
        key.verifying_key().as_bytes(),
    ]);
    [digest[0], digest[1], digest[2], digest[3]]
}

/// A signature's line under a text.
pub fn signature_line(text: &str, name: &str, key: &SigningKey) -> String {
    let signature = key.sign(text.as_bytes()).to_bytes();
    line(name, &[&key_id(name, key)[..], &signature].concat())
}

/// A line with these bytes for a key's id and a signature.
pub fn line(name: &str, bytes: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", base64(bytes))
}

/// The note of this text, signed by the ledger's key.
pub fn signed(text: &str) -> String {
    let key = Seed::Ledger.signing_key();
    format!("{text}\n{}", signature_line(text, ORIGIN, &key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snakeoil::ISSUER;

    #[test]
    fn the_origin_is_the_issuers() {
        assert_eq!(ORIGIN, format!("{ISSUER}/ledger"));
    }
}
