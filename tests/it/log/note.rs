//! Signed notes and checkpoints, beside `signed_note` and `tlog_tiles`: row T5.

use ed25519_dalek::Signer as _;
use phi_tests::{
    log::{self, Log, ORIGIN},
    snakeoil::{self, Seed},
};
use phi_verify::{
    MAX_SIGNERS, RoleKeys,
    log::{
        Hash, MAX_NOTE, MAX_PROOF, MAX_SIGNATURES, MAX_SIZE, Origin, Proof, UnsignedCheckpoint,
        UnsignedNote, UntrustedNote, note_key_id,
    },
};
use proptest::prelude::*;
use signed_note::{Note, StandardVerifier, VerifierList};

use super::{origin, refused, root_of, sealed, verify};

/// Whether the peers take the note as a checkpoint under the ledger's key: its size and root.
fn peers(note: &str) -> Option<(u64, [u8; 32])> {
    let key = Seed::Ledger.public();
    let id = u32::from_be_bytes(note_key_id(ORIGIN, &key));
    let encoded = log::base64(&[&[1], &key.as_bytes()[..]].concat());
    let verifier = StandardVerifier::new(&format!("{ORIGIN}+{id:08x}+{encoded}")).unwrap();
    let note = Note::from_bytes(note.as_bytes()).ok()?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)]))
        .ok()?;
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).ok()?;
    (checkpoint.origin() == ORIGIN).then_some((checkpoint.size(), checkpoint.hash().0))
}

/// Whether phi-verify takes it.
fn ours(note: &str) -> Option<(u64, [u8; 32])> {
    let checkpoint = verify(note, &snakeoil::root()).ok()?;
    Some((checkpoint.size(), *checkpoint.root().as_bytes()))
}

#[test]
fn t5_what_we_sign_the_peers_verify() {
    let log = Log::sample();
    for size in 0..=5 {
        let note = sealed(size as u64, root_of(&log, size));
        assert_eq!(note, log.checkpoint(size));
        assert_eq!(peers(&note), Some((size as u64, log.root(size))));
        assert_eq!(peers(&note), ours(&note));
    }
}

#[test]
fn t5_a_change_of_any_character_refuses_the_note() {
    let note = Log::sample().checkpoint(5);
    let marks = [
        '\u{0}', '\t', '\n', '\r', ' ', '+', '0', 'A', '=', '\u{7f}', '\u{a0}', '\u{2014}',
    ];
    for (at, character) in note.char_indices() {
        let (before, after) = (&note[..at], &note[at + character.len_utf8()..]);
        assert_eq!(
            ours(&format!("{before}{after}")),
            None,
            "without the character at {at}"
        );
        for mark in marks {
            let inserted = format!("{before}{mark}{character}{after}");
            assert_eq!(ours(&inserted), None, "{mark:?} before {at}");
            if mark != character {
                let replaced = format!("{before}{mark}{after}");
                assert_eq!(ours(&replaced), None, "{mark:?} in the place of {at}");
            }
        }
    }
}

#[test]
fn t5_control_characters_are_refused_wherever_they_stand() {
    let text = Log::sample().checkpoint_text(5);
    for control in (0_u8..32).filter(|byte| *byte != b'\n').map(char::from) {
        for note in [
            log::signed(&format!("{text}extension{control}\n")),
            log::signed(&text) + &log::line(&format!("witness{control}"), &[7; 68]),
            log::signed(&text) + &control.to_string(),
        ] {
            refused(UntrustedNote::parse(&note), "note-invalid");
            assert_eq!(peers(&note), None);
        }
    }
    let kept = log::signed(&format!("{text}extension \u{7f}\u{85}\n"));
    assert_eq!(
        ours(&kept),
        peers(&kept),
        "C2SP forbids what is below U+0020 and nothing else"
    );
    assert!(ours(&kept).is_some());
}

#[test]
fn t5_a_failing_signature_of_a_known_key_rejects_the_note_and_an_unknown_one_does_not() {
    let text = Log::sample().checkpoint_text(5);
    let good = log::signed(&text);
    let (key, other) = (Seed::Ledger.public(), Seed::Status.public());
    let zeros = |name: &str, id: [u8; 4]| log::line(name, &[&id[..], &[0; 64]].concat());
    let failing = zeros(ORIGIN, note_key_id(ORIGIN, &key));
    refused(
        verify(&(good.clone() + &failing), &snakeoil::root()),
        "signature-invalid",
    );
    for line in [
        zeros(ORIGIN, note_key_id(ORIGIN, &other)),
        zeros("other.example", note_key_id(ORIGIN, &key)),
        log::line("witness.example", &vec![7; 5000]),
    ] {
        let note = good.clone() + &line;
        assert_eq!(ours(&note), ours(&good));
        assert_eq!(ours(&note), peers(&note));
    }
}

#[test]
fn t5_limits_are_where_they_are_said_to_be() {
    let text = Log::sample().checkpoint_text(5);
    let good = log::signed(&text);
    let witness = log::line("witness.example", &[7; 80]);
    let lines = |count: usize| good.clone() + &witness.repeat(count - 1);
    assert!(ours(&lines(MAX_SIGNATURES)).is_some());
    refused(
        UntrustedNote::parse(&lines(MAX_SIGNATURES + 1)),
        "note-invalid",
    );
    let of_bytes = |count: usize| {
        let head = "\u{2014} ".len() + " AAAAAAA=\n".len();
        let name = "n".repeat(count - good.len() - head);
        format!("{good}\u{2014} {name} AAAAAAA=\n")
    };
    assert_eq!(of_bytes(MAX_NOTE).len(), MAX_NOTE);
    assert!(ours(&of_bytes(MAX_NOTE)).is_some());
    refused(
        UntrustedNote::parse(&of_bytes(MAX_NOTE + 1)),
        "note-invalid",
    );
    let proof = Log::sample()
        .proof(3, 5)
        .replace(&good, &of_bytes(MAX_NOTE));
    assert!(Proof::parse(&proof).is_ok());
    let long = "x".repeat(MAX_PROOF + 1);
    refused(Proof::parse(&long), "proof-invalid");
    refused(
        phi_verify::log::ConsistencyProof::parse(&long),
        "proof-invalid",
    );
}

#[test]
fn t5_a_whole_role_signs_in_any_order() {
    let keys: Vec<_> = (30..).take(MAX_SIGNERS).map(snakeoil::key).collect();
    let mut root = snakeoil::root();
    root.ledger = snakeoil::role(&keys, MAX_SIGNERS);
    let unsigned = UnsignedCheckpoint::new(&origin(), 0, Hash::EMPTY).unwrap();
    let public = |keys: &RoleKeys| keys.keys().to_vec();
    let mut signatures: Vec<_> = public(&root.ledger)
        .into_iter()
        .zip(&keys)
        .map(|(public, key)| (public, key.sign(unsigned.message()).to_bytes()))
        .collect();
    signatures.reverse();
    assert_eq!(
        verify(&unsigned.sealed(&signatures), &root).unwrap().size(),
        0
    );
    signatures.pop();
    refused(
        verify(&unsigned.sealed(&signatures), &root),
        "signatures-missing",
    );
    signatures.push(signatures[0].clone());
    refused(
        verify(&unsigned.sealed(&signatures), &root),
        "signatures-missing",
    );
}

#[test]
fn an_origin_is_a_key_name_whatever_the_issuer_is_called() {
    for (issuer, expected) in [
        ("acme.example", "acme.example/ledger"),
        ("Acme + Co", "Acme%20%2B%20Co/ledger"),
        ("100%", "100%25/ledger"),
        ("a\u{a0}b\u{2003}", "a%C2%A0b%E2%80%83/ledger"),
        ("日本", "日本/ledger"),
        ("a\nb", "a%0Ab/ledger"),
    ] {
        let origin = Origin::of_issuer(issuer);
        assert_eq!(origin.as_str(), expected);
        assert!(signed_note::is_key_name_valid(origin.as_str()));
        assert!(UnsignedCheckpoint::new(&origin, 0, Hash::EMPTY).is_ok());
    }
    let longest = Origin::of_issuer(&"+".repeat(64));
    assert!(UnsignedCheckpoint::new(&longest, 0, Hash::EMPTY).is_ok());
    assert_ne!(
        Origin::of_issuer("a+"),
        Origin::of_issuer("a%2B"),
        "no two issuers share a log"
    );
}

#[test]
fn a_builder_makes_nothing_that_its_reader_would_refuse() {
    let root = Hash::leaf(&[]);
    refused(
        UnsignedCheckpoint::new(&origin(), MAX_SIZE + 1, root),
        "checkpoint-invalid",
    );
    refused(
        UnsignedCheckpoint::new(&origin(), 0, root),
        "checkpoint-invalid",
    );
    let long = Origin::of_issuer(&"+".repeat(90));
    refused(
        UnsignedCheckpoint::new(&long, 1, root),
        "checkpoint-invalid",
    );
    for (name, text) in [
        ("", "text\n"),
        ("a b", "text\n"),
        ("a+b", "text\n"),
        ("a\u{1}b", "text\n"),
        ("name", "text"),
        ("name", ""),
        ("name", "te\txt\n"),
        ("name", &("x".repeat(4096) + "\n")),
    ] {
        refused(UnsignedNote::new(name.into(), text.into()), "note-invalid");
    }
    let note = UnsignedNote::new("name".into(), "a\n\nb\n".into()).unwrap();
    let key = Seed::Ledger.signing_key();
    let sealed = note.sealed(&[(Seed::Ledger.public(), key.sign(note.message()).to_bytes())]);
    let read = UntrustedNote::parse(&sealed).unwrap();
    assert_eq!(read.verify("name", &Seed::Ledger.role()), Ok("a\n\nb\n"));
    refused(
        read.verify("other", &Seed::Ledger.role()),
        "signatures-missing",
    );
    let deep = vec![root; 64];
    refused(
        Proof::new(0, deep, None, &Log::sample().checkpoint(5)),
        "proof-invalid",
    );
    refused(
        Proof::new(MAX_SIZE, Vec::new(), None, &Log::sample().checkpoint(5)),
        "proof-invalid",
    );
    refused(
        Proof::new(0, Vec::new(), None, "checkpoint"),
        "note-invalid",
    );
}

/// A piece of a note, good or bad, and what may stand between two of them.
fn piece() -> impl Strategy<Value = String> {
    let text = Log::sample().checkpoint_text(5);
    let key = Seed::Ledger.signing_key();
    let own = log::signature_line(&text, ORIGIN, &key);
    let pieces = [
        text.clone(),
        "\n".into(),
        own,
        log::line("witness.example", &[7; 80]),
        log::line(ORIGIN, &[7; 68]),
        "extension\n".into(),
        "\u{2014} name AAAA\n".into(),
        "\u{2014} name AAAAAAA=\n".into(),
        log::signed(&text),
    ];
    prop::sample::select(pieces.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Stricter than the peers at times, never laxer, and never of another opinion on content.
    #[test]
    fn t5_what_we_take_the_peers_take(pieces in prop::collection::vec(piece(), 1..6)) {
        let note = pieces.concat();
        if let Some(found) = ours(&note) {
            prop_assert_eq!(peers(&note), Some(found));
        }
    }

    #[test]
    fn t5_signed_texts_are_judged_as_the_peers_judge_them(
        size in "[0-9+ -]{0,4}",
        root in prop_oneof![Just(log::base64(&[1; 32])), "[A-Za-z0-9+/=]{42,45}"],
        extension in "[a-z\n]{0,3}",
    ) {
        let note = log::signed(&format!("{ORIGIN}\n{size}\n{root}\n{extension}\n"));
        // Theirs takes the empty tree with any root.
        if size != "0" {
            prop_assert_eq!(ours(&note), peers(&note));
        }
    }
}
