//! Checkpoints: the note, its signatures, and what it says.

use ed25519_dalek::SigningKey;

use super::{Check, CheckpointView, Outcome, Trust, Vectors, base::trust_with};
use crate::{
    hex,
    log::{Log, ORIGIN, base64, key_id, line, signature_line, signed},
    snakeoil::{self, Seed, key, role},
};

pub(super) fn add(vectors: &mut Vectors) {
    good(vectors);
    bad_notes(vectors);
    bad_texts(vectors);
    thresholds(vectors);
    bad_signatures(vectors);
}

pub(super) fn view(log: &Log, size: usize) -> CheckpointView {
    CheckpointView {
        origin: ORIGIN.into(),
        size: size as u64,
        root: base64(&log.root(size)),
    }
}

fn check(checkpoint: impl Into<String>) -> Check {
    Check::Checkpoint {
        trust: trust_with(&[]),
        checkpoint: checkpoint.into(),
    }
}

/// A line of a witness that nobody here knows.
fn witness(name: &str, length: usize) -> String {
    line(name, &vec![7; 4 + length])
}

/// A text under a line of the ledger's key and these lines.
fn with_lines(text: &str, lines: &str) -> String {
    signed(text) + lines
}

fn good(vectors: &mut Vectors) {
    let log = Log::sample();
    let text = log.checkpoint_text(5);
    let valid = log.checkpoint(5);
    let own = signature_line(&text, ORIGIN, &Seed::Ledger.signing_key());
    let foreign = signature_line(&text, ORIGIN, &Seed::Foreign.signing_key());
    let id_of_own = key_id(ORIGIN, &Seed::Ledger.signing_key());
    for (name, shows, checkpoint) in [
        (
            "valid",
            "a checkpoint under the ledger's key",
            valid.clone(),
        ),
        (
            "valid-witnesses",
            "signatures of witnesses before and after, one of them post-quantum",
            {
                format!(
                    "{text}\n{}{own}{}",
                    witness("witness.example/w1", 76),
                    witness("witness.example/w2", 2420)
                )
            },
        ),
        (
            "valid-same-name",
            "a signature of an unknown key under the ledger's name",
            { format!("{text}\n{foreign}{own}") },
        ),
        (
            "valid-same-id",
            "a failing signature of the ledger's key id under another name",
            {
                with_lines(
                    &text,
                    &line("other.example/ledger", &[&id_of_own[..], &[0; 64]].concat()),
                )
            },
        ),
        (
            "valid-twice",
            "the same signature twice",
            format!("{valid}{own}"),
        ),
        ("valid-32-signatures", "thirty-two signatures", {
            with_lines(&text, &witness("witness.example", 76).repeat(31))
        }),
        (
            "valid-extension",
            "lines that this version does not know",
            { signed(&format!("{text}extension one\nextension two\n")) },
        ),
        ("valid-text-4096-bytes", "the longest text", {
            signed(&format!("{text}{}\n", "x".repeat(4095 - text.len())))
        }),
    ] {
        let outcome = Outcome::Checkpoint(view(&log, 5));
        vectors.accept(
            format!("checkpoint/{name}"),
            shows,
            check(checkpoint),
            outcome,
        );
    }
    let shows = "the checkpoint of the empty log";
    let outcome = Outcome::Checkpoint(view(&log, 0));
    vectors.accept(
        "checkpoint/valid-empty-log",
        shows,
        check(log.checkpoint(0)),
        outcome,
    );
    let root = base64(&log.root(5));
    let largest = signed(&format!("{ORIGIN}\n4611686018427387904\n{root}\n"));
    let outcome = Outcome::Checkpoint(CheckpointView {
        size: 1 << 62,
        ..view(&log, 5)
    });
    vectors.accept(
        "checkpoint/valid-largest",
        "the largest size",
        check(largest),
        outcome,
    );
}

fn bad_notes(vectors: &mut Vectors) {
    let text = Log::sample().checkpoint_text(5);
    let valid = signed(&text);
    let own = signature_line(&text, ORIGIN, &Seed::Ledger.signing_key());
    let encoded = own.trim_end().rsplit(' ').next().unwrap_or_default();
    // 68 bytes leave one character of padding; the last before it has two spare bits.
    let last = encoded.as_bytes()[encoded.len() - 2];
    let spare = format!("{}{}=", &encoded[..encoded.len() - 2], char::from(last + 1));
    for (name, shows, note) in [
        ("empty", "no text at all", String::new()),
        (
            "unsigned",
            "a text without an empty line and signatures",
            text.clone(),
        ),
        (
            "signatures-none",
            "an empty line and no signature",
            format!("{text}\n"),
        ),
        ("signatures-33", "thirty-three signatures", {
            with_lines(&text, &witness("witness.example", 76).repeat(32))
        }),
        ("text-4097-bytes", "a text that is too long", {
            signed(&format!("{text}{}\n", "x".repeat(4096 - text.len())))
        }),
        (
            "end-missing",
            "no line feed at the end",
            valid.trim_end().into(),
        ),
        (
            "end-twice",
            "an empty line at the end",
            format!("{valid}\n"),
        ),
        ("line-ends", "carriage returns", valid.replace('\n', "\r\n")),
        (
            "control-in-text",
            "a tab in the text",
            signed(&text.replacen('\n', "\t\n", 1)),
        ),
        (
            "control-in-signature",
            "a control character in a line of a witness",
            { with_lines(&text, &witness("witness\u{1b}.example", 76)) },
        ),
        (
            "dash-hyphen",
            "a hyphen in the place of the em dash",
            valid.replace('\u{2014}', "-"),
        ),
        (
            "dash-without-space",
            "no space after the em dash",
            valid.replace("\u{2014} ", "\u{2014}"),
        ),
        (
            "name-empty",
            "a signature without a name",
            valid.replace(&format!(" {ORIGIN} "), "  "),
        ),
        (
            "name-plus",
            "a plus in the name of a witness",
            with_lines(&text, &witness("a+b", 76)),
        ),
        ("name-blank", "a Unicode space in the name of a witness", {
            with_lines(&text, &witness("a\u{a0}b", 76))
        }),
        (
            "signature-missing",
            "a name without a signature",
            with_lines(&text, "\u{2014} witness\n"),
        ),
        (
            "signature-without-padding",
            "a signature without padding",
            { format!("{text}\n{}", own.replace("=\n", "\n")) },
        ),
        ("signature-alphabet", "a signature in base64url", {
            with_lines(&text, "\u{2014} witness.example AAAAAP_-\n")
        }),
        (
            "signature-spare-bits",
            "spare bits that are not zero",
            valid.replace(encoded, &spare),
        ),
        (
            "signature-space",
            "a space behind a signature",
            format!("{text}\n{}", own.replace("=\n", "= \n")),
        ),
        (
            "signature-of-no-bytes",
            "a key id and no signature",
            with_lines(&text, &witness("w", 0)),
        ),
        (
            "signature-of-key-id-cut",
            "three bytes",
            with_lines(&text, &line("w", &[1, 2, 3])),
        ),
    ] {
        vectors.refuse(
            format!("checkpoint/{name}"),
            shows,
            check(note),
            "note-invalid",
        );
    }
}

/// Texts under good signatures: what is wrong is in the text.
fn bad_texts(vectors: &mut Vectors) {
    let root = base64(&Log::sample().root(5));
    let text = |size: &str, root: &str| format!("{ORIGIN}\n{size}\n{root}\n");
    let spare = root.replace(
        &root[42..],
        &format!("{}=", char::from(root.as_bytes()[42] + 1)),
    );
    for (name, shows, text) in [
        ("size-leading-zero", "a leading zero", text("05", &root)),
        ("size-zeros", "zero in two digits", text("00", &root)),
        ("size-plus", "a sign", text("+5", &root)),
        ("size-minus", "a negative size", text("-5", &root)),
        ("size-blank", "a blank before the size", text(" 5", &root)),
        (
            "size-hexadecimal",
            "a size that is not decimal",
            text("0x5", &root),
        ),
        (
            "size-other-digits",
            "digits that are not ASCII",
            text("\u{665}", &root),
        ),
        (
            "size-empty",
            "an empty line in the place of the size",
            text("", &root),
        ),
        (
            "size-beyond",
            "2^62 + 1",
            text("4611686018427387905", &root),
        ),
        ("size-2-64", "2^64", text("18446744073709551616", &root)),
        ("size-missing", "an origin alone", format!("{ORIGIN}\n")),
        ("root-missing", "no root", format!("{ORIGIN}\n5\n")),
        (
            "root-without-padding",
            "a root without padding",
            text("5", root.trim_end_matches('=')),
        ),
        (
            "root-spare-bits",
            "spare bits of the root that are not zero",
            text("5", &spare),
        ),
        (
            "root-31-bytes",
            "a root of 31 bytes",
            text("5", &base64(&[1; 31])),
        ),
        (
            "root-hexadecimal",
            "a root in hexadecimal",
            text("5", &hex(&[1; 32])),
        ),
        (
            "root-blank",
            "a blank behind the root",
            text("5", &format!("{root} ")),
        ),
        (
            "root-of-empty-log-other",
            "size zero with the root of another tree",
            text("0", &root),
        ),
        (
            "extension-empty",
            "an empty line after the root",
            text("5", &format!("{root}\n\nmore")),
        ),
        (
            "extension-empty-last",
            "an empty line at the end of the text",
            text("5", &format!("{root}\n")),
        ),
        ("origin-empty", "no origin", format!("\n5\n{root}\n")),
        ("origin-257-bytes", "an origin that is too long", {
            format!("{}\n5\n{root}\n", "o".repeat(257))
        }),
    ] {
        let note = signed(&text);
        vectors.refuse(
            format!("checkpoint/{name}"),
            shows,
            check(note),
            "checkpoint-invalid",
        );
    }
    let other = format!("other.example/ledger\n5\n{root}\n");
    let shows = "a checkpoint of another log, signed by the same key under both names";
    let key = Seed::Ledger.signing_key();
    let note = signed(&other) + &signature_line(&other, "other.example/ledger", &key);
    vectors.refuse(
        "checkpoint/origin-other",
        shows,
        check(note),
        "origin-mismatch",
    );
}

/// A trust state whose ledger role is two of three keys.
fn two_of_three() -> (Trust, [SigningKey; 3]) {
    let keys = [key(21), key(22), key(23)];
    let mut root = snakeoil::root();
    root.ledger = role(&keys, 2);
    let trust = Trust {
        anchor: hex(&Seed::Root.sign(&root.unsigned())),
        imports: Vec::new(),
    };
    (trust, keys)
}

fn thresholds(vectors: &mut Vectors) {
    let log = Log::sample();
    let text = log.checkpoint_text(5);
    let (trust, keys) = two_of_three();
    let [first, second, third] = keys
        .each_ref()
        .map(|key| signature_line(&text, ORIGIN, key));
    let failing = signature_line("another text\n", ORIGIN, &keys[2]);
    let check = |lines: &str| Check::Checkpoint {
        trust: trust.clone(),
        checkpoint: format!("{text}\n{lines}"),
    };
    for (name, shows, lines) in [
        (
            "valid-two-of-three",
            "two of three keys",
            format!("{third}{first}"),
        ),
        (
            "valid-three-of-three",
            "three of three keys",
            format!("{first}{second}{third}"),
        ),
    ] {
        let outcome = Outcome::Checkpoint(view(&log, 5));
        vectors.accept(format!("checkpoint/{name}"), shows, check(&lines), outcome);
    }
    for (name, shows, lines, code) in [
        (
            "threshold-one",
            "one of three keys, where two are needed",
            first.clone(),
            "signatures-missing",
        ),
        (
            "threshold-one-twice",
            "one key twice, where two are needed",
            first.repeat(2),
            "signatures-missing",
        ),
        (
            "threshold-third-fails",
            "two good signatures, and one of a known key that does not hold",
            { format!("{first}{second}{failing}") },
            "signature-invalid",
        ),
    ] {
        vectors.refuse(format!("checkpoint/{name}"), shows, check(&lines), code);
    }
}

fn bad_signatures(vectors: &mut Vectors) {
    let text = Log::sample().checkpoint_text(5);
    let ledger = Seed::Ledger.signing_key();
    let id = key_id(ORIGIN, &ledger);
    let own = signature_line(&text, ORIGIN, &ledger);
    let of = |lines: &str| format!("{text}\n{lines}");
    let borrowed = {
        let foreign = ed25519_dalek::Signer::sign(&Seed::Foreign.signing_key(), text.as_bytes());
        line(ORIGIN, &[&id[..], &foreign.to_bytes()].concat())
    };
    for (name, shows, note, code) in [
        (
            "text-changed",
            "a text that was changed after it was signed",
            { of(&own).replacen("\n5\n", "\n6\n", 1) },
            "signature-invalid",
        ),
        (
            "text-without-line-feed",
            "a signature over the text without its last line feed",
            { of(&signature_line(text.trim_end(), ORIGIN, &ledger)) },
            "signature-invalid",
        ),
        (
            "key-id-borrowed",
            "another key's signature under the ledger's key id",
            of(&borrowed),
            "signature-invalid",
        ),
        (
            "signature-known-key-first-fails",
            "a failing signature of the ledger's key before a good one",
            { of(&(line(ORIGIN, &[&id[..], &[0; 64]].concat()) + &own)) },
            "signature-invalid",
        ),
        (
            "signature-known-key-last-fails",
            "a failing signature of the ledger's key after a good one",
            { of(&(own.clone() + &line(ORIGIN, &[&id[..], &[0; 64]].concat()))) },
            "signature-invalid",
        ),
        (
            "signature-63-bytes",
            "a signature of the ledger's key of 63 bytes",
            { of(&line(ORIGIN, &[&id[..], &[1; 63]].concat())) },
            "signature-invalid",
        ),
        (
            "signer-foreign",
            "a key that the root does not name",
            { of(&signature_line(&text, ORIGIN, &Seed::Foreign.signing_key())) },
            "signatures-missing",
        ),
        (
            "signer-status-key",
            "a key of another role",
            { of(&signature_line(&text, ORIGIN, &Seed::Status.signing_key())) },
            "signatures-missing",
        ),
        (
            "key-name-other",
            "the ledger's key under another name",
            { of(&signature_line(&text, "other.example/ledger", &ledger)) },
            "signatures-missing",
        ),
        (
            "key-id-of-other-type",
            "the key id of the same key as a witness",
            {
                let digest = crate::log::sha256(&[
                    ORIGIN.as_bytes(),
                    &[0x0a, 0x04],
                    ledger.verifying_key().as_bytes(),
                ]);
                let signature = ed25519_dalek::Signer::sign(&ledger, text.as_bytes()).to_bytes();
                of(&line(ORIGIN, &[&digest[..4], &signature].concat()))
            },
            "signatures-missing",
        ),
    ] {
        vectors.refuse(format!("checkpoint/{name}"), shows, check(note), code);
    }
}
