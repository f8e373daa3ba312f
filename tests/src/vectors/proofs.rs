//! Proofs of tokens, and what an application's memory of a log takes.

use super::{Check, Outcome, Vectors, base::trust_with, checkpoints::view};
use crate::{
    demo,
    log::{self, Hash, Log, ORIGIN, base64, lines, sha256, signed},
    snakeoil::{self, Seed},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    not_included(vectors);
    bad_texts(vectors);
    grown(vectors);
    split_views(vectors);
    bad_growth(vectors);
}

fn check_of(token: &str, proof: String) -> Check {
    Check::TokenProof {
        trust: trust_with(&[]),
        token: token.into(),
        proof,
    }
}

fn check(proof: String) -> Check {
    check_of(&demo::token(), proof)
}

/// A log of one entry, which minted the demo token.
fn single() -> Log {
    let token = sha256(&[demo::token().as_bytes()]);
    Log(vec![log::leaf("token-minted", Some(token), log::entry(1))])
}

fn good(vectors: &mut Vectors) {
    let sample = Log::sample();
    let witness = log::line("witness.example", &[7; 80]);
    for (name, shows, log, index, proof) in [
        (
            "valid",
            "a token at index 3 of 5",
            &sample,
            3,
            sample.proof(3, 5),
        ),
        (
            "valid-last",
            "a token that is the last leaf",
            &Log(sample.0[..4].into()),
            3,
            sample.proof(3, 4),
        ),
        (
            "valid-alone",
            "the only leaf: no hashes",
            &single(),
            0,
            single().proof(0, 1),
        ),
        (
            "valid-witness",
            "a checkpoint that a witness signed too",
            &sample,
            3,
            sample.proof(3, 5) + &witness,
        ),
    ] {
        let outcome = Outcome::Included {
            index,
            checkpoint: view(log, log.0.len()),
        };
        vectors.accept(format!("token-proof/{name}"), shows, check(proof), outcome);
    }
}

fn not_included(vectors: &mut Vectors) {
    let sample = Log::sample();
    let proof = sample.proof(3, 5);
    let path = sample.path(3, 5);
    let of = |index: &str, path: &[Hash], checkpoint: &str| {
        let entry = base64(&log::entry(4));
        format!(
            "c2sp.org/tlog-proof@v1\nextra {entry}\nindex {index}\n{}{checkpoint}",
            lines(path)
        )
    };
    let checkpoint = sample.checkpoint(5);
    let mut flipped = path.clone();
    flipped[2][0] ^= 1;
    let longer = [&path[..], &[sample.root(5)]].concat();
    let mut larger = sample.clone();
    larger.0.push(log::leaf("revoked", None, log::entry(6)));
    for (name, shows, proof) in [
        ("entry-other", "the hash of another entry", {
            proof.replace(&base64(&log::entry(4)), &base64(&log::entry(3)))
        }),
        ("index-other", "another index", of("2", &path, &checkpoint)),
        (
            "index-beyond",
            "an index that the log does not have",
            of("5", &path, &checkpoint),
        ),
        ("index-largest", "the largest number that is read", {
            of("4611686018427387903", &path, &checkpoint)
        }),
        (
            "path-short",
            "the last hash is missing",
            of("3", &path[..2], &checkpoint),
        ),
        (
            "path-long",
            "a hash too many",
            of("3", &longer, &checkpoint),
        ),
        (
            "path-flipped",
            "a bit of a hash",
            of("3", &flipped, &checkpoint),
        ),
        (
            "checkpoint-larger",
            "the checkpoint of a larger log",
            of("3", &path, &larger.checkpoint(6)),
        ),
        (
            "checkpoint-empty",
            "the checkpoint of the empty log",
            of("3", &path, &sample.checkpoint(0)),
        ),
        (
            "document-as-token",
            "the proof of a document",
            sample.proof(2, 5),
        ),
    ] {
        vectors.refuse(
            format!("token-proof/{name}"),
            shows,
            check(proof),
            "not-included",
        );
    }
    let other = Seed::License.mint(&snakeoil::claims());
    let blank = demo::token() + "\n";
    for (name, shows, token, code) in [
        ("token-other", "another token", other, "not-included"),
        (
            "token-blank",
            "a line feed behind the token",
            blank,
            "not-included",
        ),
        (
            "token-too-long",
            "4097 characters",
            "v".repeat(4097),
            "token-too-long",
        ),
    ] {
        let check = check_of(&token, proof.clone());
        vectors.refuse(format!("token-proof/{name}"), shows, check, code);
    }
}

fn bad_texts(vectors: &mut Vectors) {
    let sample = Log::sample();
    let proof = sample.proof(3, 5);
    let entry = base64(&log::entry(4));
    let extra = format!("extra {entry}\n");
    let hash = base64(&sample.path(3, 5)[0]);
    let spare = format!("{}{}=", &entry[..42], char::from(entry.as_bytes()[42] + 1));
    for (name, shows, text) in [
        ("empty", "no text at all", String::new()),
        (
            "header-other",
            "another version",
            proof.replacen("@v1", "@v2", 1),
        ),
        (
            "header-missing",
            "no first line",
            proof.replacen("c2sp.org/tlog-proof@v1\n", "", 1),
        ),
        ("line-ends", "carriage returns", proof.replace('\n', "\r\n")),
        (
            "extra-missing",
            "no hash of the entry",
            proof.replacen(&extra, "", 1),
        ),
        (
            "extra-twice",
            "two hashes of entries",
            proof.replacen(&extra, &extra.repeat(2), 1),
        ),
        (
            "extra-empty",
            "an empty hash",
            proof.replacen(&extra, "extra \n", 1),
        ),
        (
            "extra-31-bytes",
            "a hash of 31 bytes",
            proof.replacen(&entry, &base64(&[1; 31]), 1),
        ),
        ("extra-without-padding", "a hash without padding", {
            proof.replacen(&entry, entry.trim_end_matches('='), 1)
        }),
        (
            "extra-spare-bits",
            "spare bits that are not zero",
            proof.replacen(&entry, &spare, 1),
        ),
        (
            "index-leading-zero",
            "a leading zero",
            proof.replacen("index 3", "index 03", 1),
        ),
        (
            "index-sign",
            "a sign",
            proof.replacen("index 3", "index +3", 1),
        ),
        ("index-2-62", "an index that no log has", {
            proof.replacen("index 3", "index 4611686018427387904", 1)
        }),
        (
            "index-missing",
            "no index",
            proof.replacen("index 3\n", "", 1),
        ),
        (
            "hash-blank",
            "a blank before a hash",
            proof.replacen(&hash, &format!(" {hash}"), 1),
        ),
        (
            "hash-cut",
            "a hash that is cut short",
            proof.replacen(&hash, &hash[..40], 1),
        ),
        ("hashes-64", "more hashes than any tree is high", {
            proof.replacen(&hash, vec![hash.as_str(); 62].join("\n").as_str(), 1)
        }),
        ("checkpoint-missing", "no empty line and no checkpoint", {
            proof.split_inclusive('\n').take(6).collect()
        }),
        (
            "cut-in-head",
            "a first line alone",
            "c2sp.org/tlog-proof@v1\n".into(),
        ),
    ] {
        vectors.refuse(
            format!("token-proof/{name}"),
            shows,
            check(text),
            "proof-invalid",
        );
    }
    for (name, shows, from, to, code) in [
        (
            "checkpoint-unsigned",
            "a checkpoint without a signature",
            "\u{2014} ",
            "",
            "note-invalid",
        ),
        (
            "checkpoint-size-changed",
            "a size that was not signed",
            "\n5\n",
            "\n6\n",
            "signature-invalid",
        ),
        (
            "checkpoint-of-other-log",
            "the checkpoint of another log",
            { "\n\nphi-demo.example/ledger\n" },
            "\n\nother.example/ledger\n",
            "origin-mismatch",
        ),
    ] {
        let text = proof.replacen(from, to, 1);
        vectors.refuse(format!("token-proof/{name}"), shows, check(text), code);
    }
    let text = sample.checkpoint_text(5).replacen("\n5\n", "\n05\n", 1);
    let text = proof.replacen(&sample.checkpoint(5), &signed(&text), 1);
    let shows = "a checkpoint that breaks its rules under a good signature";
    let path = "token-proof/checkpoint-size-leading-zero";
    vectors.refuse(path, shows, check(text), "checkpoint-invalid");
}

fn advance(state: String, proof: String) -> Check {
    Check::Advance {
        trust: trust_with(&[]),
        state,
        proof,
    }
}

fn grown(vectors: &mut Vectors) {
    let log = Log::sample();
    for (name, shows, held, proof, size) in [
        ("valid", "from 3 leaves to 5", 3, log.consistency(3, 5), 5),
        (
            "valid-complete",
            "from a complete tree of 4 leaves to 5",
            4,
            log.consistency(4, 5),
            5,
        ),
        (
            "valid-from-empty",
            "from the empty log: no hashes",
            0,
            log.consistency(0, 5),
            5,
        ),
        (
            "valid-same",
            "the checkpoint at hand",
            5,
            log.consistency(5, 5),
            5,
        ),
        (
            "valid-same-from-elsewhere",
            "the checkpoint at hand, with a proof from another size",
            { 5 },
            log.consistency(3, 5),
            5,
        ),
    ] {
        let check = advance(log.checkpoint(held), proof);
        let outcome = Outcome::Checkpoint(view(&log, size));
        vectors.accept(format!("log-state/{name}"), shows, check, outcome);
    }
    let root = base64(&log.root(3));
    let old_keys = format!("{ORIGIN}\n3\n{root}\n\n{}", log::line(ORIGIN, &[7; 68]));
    let check = advance(old_keys, log.consistency(3, 5));
    let shows = "a state that keys signed which the root no longer names";
    let outcome = Outcome::Checkpoint(view(&log, 5));
    vectors.accept("log-state/valid-after-rotation", shows, check, outcome);
}

fn split_views(vectors: &mut Vectors) {
    let log = Log::sample();
    let mut fork = log.clone();
    fork.0[1] = log::leaf("revoked", None, log::entry(2));
    let good = log.consistency(3, 5);
    let first = base64(&log.growth(3, 5)[0]);
    let without = good.replacen(&format!("{first}\n"), "", 1);
    for (name, shows, held, proof) in [
        ("smaller", "a smaller log", 5, log.consistency(3, 4)),
        ("smaller-empty", "the empty log", 5, log.consistency(0, 0)),
        (
            "same-size-other-root",
            "another root at the same size",
            5,
            fork.consistency(3, 5),
        ),
        (
            "growth-of-fork",
            "a log that grew out of another",
            3,
            fork.consistency(3, 5),
        ),
        (
            "growth-flipped",
            "another hash in the proof",
            3,
            good.replacen(&first, &base64(&[1; 32]), 1),
        ),
        ("growth-short", "a hash that is missing", 3, without),
        (
            "growth-without-hashes",
            "no hashes",
            3,
            "old 3\n\n".to_owned() + &log.checkpoint(5),
        ),
    ] {
        let check = advance(log.checkpoint(held), proof);
        vectors.refuse(format!("log-state/{name}"), shows, check, "split-view");
    }
}

fn bad_growth(vectors: &mut Vectors) {
    let log = Log::sample();
    let good = log.consistency(3, 5);
    let first = base64(&log.growth(3, 5)[0]);
    for (name, shows, proof, code) in [
        (
            "proof-from-elsewhere",
            "a proof from another size",
            log.consistency(2, 5),
            "proof-base",
        ),
        (
            "proof-from-empty",
            "a proof from the empty log",
            log.consistency(0, 5),
            "proof-base",
        ),
        (
            "old-leading-zero",
            "a leading zero",
            good.replacen("old 3", "old 03", 1),
            "proof-invalid",
        ),
        (
            "old-missing",
            "no old size",
            good.replacen("old 3\n", "", 1),
            "proof-invalid",
        ),
        (
            "old-empty-with-hash",
            "hashes from the empty log",
            good.replacen("old 3", "old 0", 1),
            "proof-invalid",
        ),
        (
            "hashes-64",
            "more hashes than any proof has",
            { good.replacen(&first, vec![first.as_str(); 62].join("\n").as_str(), 1) },
            "proof-invalid",
        ),
        (
            "hash-spare-bits",
            "spare bits that are not zero",
            {
                let spare = format!("{}{}=", &first[..42], char::from(first.as_bytes()[42] + 1));
                good.replacen(&first, &spare, 1)
            },
            "proof-invalid",
        ),
        ("empty", "no text at all", String::new(), "proof-invalid"),
        (
            "checkpoint-changed",
            "a size that was not signed",
            good.replacen("\n5\n", "\n6\n", 1),
            "signature-invalid",
        ),
    ] {
        let check = advance(log.checkpoint(3), proof);
        vectors.refuse(format!("log-state/{name}"), shows, check, code);
    }
    let other = format!("other.example/ledger\n3\n{}\n", base64(&log.root(3)));
    let check = advance(signed(&other), good);
    let shows = "a state of another log";
    vectors.refuse(
        "log-state/state-of-other-log",
        shows,
        check,
        "origin-mismatch",
    );
}
