use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use phi_verify::armor;
use proptest::prelude::*;

use super::*;
use crate::{
    FirstRoot, InitOptions, StoreOptions,
    event::encode,
    keyfile::{KdfStrength, SigningKey},
    passphrase::Passphrase,
};

struct Rig {
    issuer: Issuer,
    passphrase: Passphrase,
    context: Context,
    _folder: tempfile::TempDir,
}

/// A holder and the key.
type Hand = (Holder, SigningKey);

fn hand(name: &str) -> Hand {
    let key = SigningKey::generate().unwrap();
    let line = format!("{} {name}", key.public().to_paserk());
    (Holder::from_line(&line).unwrap(), key)
}

fn hands(names: &str) -> Vec<Hand> {
    names.split(' ').map(hand).collect()
}

fn all(hands: &[Hand], threshold: usize) -> [RootChange; 2] {
    let holders = hands.iter().map(|(holder, _)| holder.clone()).collect();
    [
        RootChange::Holders(holders),
        RootChange::Threshold(Role::Root, threshold),
    ]
}

fn sign<'h>(proposal: &Proposal, hands: impl IntoIterator<Item = &'h Hand>) -> Vec<RootSignature> {
    let signed = hands
        .into_iter()
        .map(|(_, key)| proposal.sign(key).unwrap());
    signed.collect()
}

impl Rig {
    fn new(issuer: &str, root: FirstRoot) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let passphrase = Passphrase::from_bytes(b"snakeoil").unwrap();
        let context = Context::new(UnixTime::new(1_900_000_000).unwrap(), "ann");
        let options = InitOptions {
            issuer: issuer.into(),
            product: "atlas".into(),
            kdf: KdfStrength::Fast,
            store: StoreOptions::default(),
            root,
        };
        let issuer = Issuer::init(folder.path(), &options, &passphrase, &context).unwrap();
        Self {
            issuer,
            passphrase,
            context,
            _folder: folder,
        }
    }

    /// An issuer whose first root is in these hands.
    fn held(hands: &[Hand], threshold: usize) -> Self {
        let mut rig = Self::new("atlas.example", FirstRoot::ByCeremony);
        let proposal = rig.propose(&all(hands, threshold)).unwrap();
        rig.assemble(&proposal, &sign(&proposal, hands)).unwrap();
        rig
    }

    fn propose(&mut self, changes: &[RootChange]) -> Result<Proposal, Error> {
        self.issuer.propose_root(changes, self.context.now)
    }

    fn assemble(
        &mut self,
        proposal: &Proposal,
        signatures: &[RootSignature],
    ) -> Result<Assembled, Error> {
        self.issuer
            .assemble_root(proposal, signatures, &self.context)
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: &str, words: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn any_two_of_three_in_any_order_make_the_next_root() {
    let hands = hands("alice bob carol");
    for (one, two) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        let mut rig = Rig::held(&hands, 2);
        let proposal = rig.propose(&[RootChange::StatusFloor(3)]).unwrap();
        let signed = sign(&proposal, [&hands[one], &hands[two]]);
        refused(
            rig.assemble(&proposal, &signed[..1]),
            "root-signatures-missing",
            "2 of the keys of root 1",
        );
        let assembled = rig.assemble(&proposal, &signed).unwrap();
        assert_eq!(assembled.root.version, 2);
        assert_eq!(rig.issuer.trust_state().unwrap().root().version, 2);
        refused(
            rig.assemble(&proposal, &signed),
            "proposal-behind",
            "already",
        );
        rig.issuer.verify_ledger(None, |_| {}).unwrap();
    }
}

#[test]
fn a_signature_that_does_not_count_is_refused_by_name() {
    let hands = hands("alice bob carol");
    let mut rig = Rig::held(&hands, 2);
    let proposal = rig.propose(&[RootChange::StatusFloor(3)]).unwrap();
    let good = sign(&proposal, &hands[..2]);
    let another = rig.propose(&[RootChange::StatusFloor(4)]).unwrap();
    let elsewhere = sign(&another, &hands[2..]).remove(0);
    let code = "root-signature-refused";
    let with = |signature: RootSignature| [good.clone(), vec![signature]].concat();
    refused(
        rig.assemble(&proposal, &with(elsewhere)),
        code,
        "another proposal of root 2",
    );
    refused(
        rig.assemble(&proposal, &with(good[0].clone())),
        code,
        "twice",
    );
    let (_, mallory) = hand("mallory");
    refused(proposal.sign(&mallory), "input-invalid", "nothing to sign");
    let forged = RootSignature::new(&proposal, mallory.key_id(), [7; 64]);
    refused(
        rig.assemble(&proposal, &with(forged)),
        code,
        "neither of the root before",
    );
    let changed = RootSignature::new(&proposal, hands[2].1.key_id(), [7; 64]);
    refused(
        rig.assemble(&proposal, &with(changed)),
        code,
        "does not hold",
    );
    let mut other = Rig::new("other.example", FirstRoot::ByCeremony);
    let foreign = other.propose(&all(&hands, 2)).unwrap();
    let foreign = sign(&foreign, &hands[2..]).remove(0);
    refused(
        rig.assemble(&proposal, &with(foreign)),
        code,
        "other.example",
    );
    refused(
        other.assemble(&proposal, &good),
        "proposal-invalid",
        "atlas.example",
    );
    rig.assemble(&proposal, &good).unwrap();
}

/// A document has room for sixteen signatures, and those that are needed come first.
#[test]
fn the_signatures_that_are_needed_find_room() {
    let old: Vec<_> = (0..10).map(|at| hand(&format!("old-{at}"))).collect();
    let new: Vec<_> = (0..10).map(|at| hand(&format!("new-{at}"))).collect();
    let mut rig = Rig::held(&old, 9);
    refused(rig.propose(&all(&new, 8)), "input-invalid", "17 signatures");
    let proposal = rig.propose(&all(&new, 7)).unwrap();
    let signed = sign(&proposal, old.iter().chain(&new));
    rig.assemble(&proposal, &signed).unwrap();
    let held = rig.issuer.published(phi_verify::DocumentKind::Root, "");
    let document = held.unwrap().document;
    let document = phi_verify::UntrustedDocument::parse(&document).unwrap();
    assert_eq!(document.signers().count(), phi_verify::MAX_SIGNERS);
}

#[test]
fn a_proposal_that_was_changed_is_refused() {
    let hands = hands("alice bob carol");
    let mut rig = Rig::held(&hands, 2);
    let proposal = rig.propose(&[RootChange::StatusFloor(3)]).unwrap();
    let text = proposal.to_text();
    let read = |text: &str| Proposal::from_text(text);
    assert_eq!(read(&text).unwrap().hash(), proposal.hash());

    // What a phi of today does not know would be signed without being shown.
    let extended = edited(&text, "root", |root| {
        let mut payload: Value = ciborium::from_reader(&**root).unwrap();
        payload
            .as_map_mut()
            .unwrap()
            .push(((-1).into(), "anything".into()));
        *root = encode(&payload);
    });
    refused(read(&extended), "proposal-invalid", "does not know");
    let skipping = edited(&text, "root", |root| {
        let mut payload: Value = ciborium::from_reader(&**root).unwrap();
        payload.as_map_mut().unwrap()[2].1 = 7.into();
        *root = encode(&payload);
    });
    refused(
        read(&skipping),
        "proposal-invalid",
        "is of version 7, and follows version 1",
    );
    let unsigned = edited(&text, "current", |current| {
        // The hundredth byte is one of a key, and of what was signed.
        current[100] ^= 1;
    });
    refused(read(&unsigned), "proposal-invalid", "no root");
    refused(read(&text[1..]), "ceremony-file", "BEGIN");
    refused(
        read(&sign(&proposal, &hands)[0].to_text()),
        "ceremony-file",
        "phi.root-proposal.",
    );

    // Another root in the place of the one that was read out is another proposal.
    let signed = sign(&proposal, &hands);
    let swapped = edited(&text, "root", |root| {
        let mut payload: Value = ciborium::from_reader(&**root).unwrap();
        payload.as_map_mut().unwrap()[3].1 = 1_900_000_001.into();
        *root = encode(&payload);
    });
    let swapped = read(&swapped).unwrap();
    assert_ne!(spoken(&swapped.hash()), spoken(&proposal.hash()));
    refused(
        rig.assemble(&swapped, &signed),
        "root-signature-refused",
        "another proposal",
    );
}

/// The file with one of its byte strings changed.
fn edited(text: &str, field: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let word = armor::unwrap(text).unwrap();
    let prefix = "phi.root-proposal.";
    let bytes = URL_SAFE_NO_PAD
        .decode(word.strip_prefix(prefix).unwrap())
        .unwrap();
    let mut value: Value = ciborium::from_reader(&*bytes).unwrap();
    let entries = value.as_map_mut().unwrap().iter_mut();
    let found = entries
        .filter(|(key, _)| key.as_text() == Some(field))
        .map(|(_, value)| value);
    change(found.last().unwrap().as_bytes_mut().unwrap());
    let word = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(encode(&value)));
    armor::wrap("ROOT PROPOSAL", &word)
}

/// A holder who has a root compares it with the one that comes with the proposal.
#[test]
fn a_proposal_follows_the_root_at_hand() {
    let hands = hands("alice bob");
    let mut rig = Rig::held(&hands, 2);
    let mut forger = Rig::held(&hands[..1], 1);
    let root = |rig: &mut Rig| {
        let held = rig.issuer.published(phi_verify::DocumentKind::Root, "");
        held.unwrap().document
    };
    let (ours, theirs) = (root(&mut rig), root(&mut forger));
    let proposal = rig.propose(&[RootChange::StatusFloor(3)]).unwrap();
    proposal.check_follows(&ours, &[]).unwrap();
    refused(
        proposal.check_follows(&theirs, &[]),
        "proposal-invalid",
        "forged",
    );
    rig.assemble(&proposal, &sign(&proposal, &hands)).unwrap();
    let newer = root(&mut rig);
    refused(
        proposal.check_follows(&newer, &[]),
        "proposal-invalid",
        "yours is root 2",
    );
    let next = rig.propose(&[RootChange::StatusFloor(4)]).unwrap();
    refused(
        next.check_follows(&ours, &[]),
        "proposal-invalid",
        "hand in those since",
    );
    next.check_follows(&ours, std::slice::from_ref(&newer))
        .unwrap();
    let theirs = forger.propose(&[RootChange::StatusFloor(3)]).unwrap();
    let signed = sign(&theirs, &hands[..1]);
    forger.assemble(&theirs, &signed).unwrap();
    let forged = forger.propose(&[RootChange::StatusFloor(4)]).unwrap();
    for since in [
        vec![root(&mut forger)],
        vec![ours.clone()],
        vec![b"no".to_vec()],
    ] {
        refused(
            forged.check_follows(&ours, &since),
            "proposal-invalid",
            "is not the root that follows it",
        );
    }
    refused(
        rig.assemble(&theirs, &sign(&theirs, &hands[..1])),
        "proposal-behind",
        "another",
    );
}

#[test]
fn a_practice_and_the_real_thing_never_meet() {
    let (real, practice) = (hands("alice bob"), hands("PRACTICE-alice practice-bob"));
    let mut rig = Rig::new("atlas.example", FirstRoot::ByCeremony);
    let mut scratch = Rig::new("PRACTICE-atlas.example", FirstRoot::ByCeremony);
    refused(rig.propose(&all(&practice, 1)), "input-invalid", "practice");
    refused(scratch.propose(&all(&real, 1)), "input-invalid", "practice");
    let proposal = scratch.propose(&all(&practice, 2)).unwrap();
    assert!(proposal.is_practice());
    assert!(
        proposal
            .to_text()
            .starts_with("-----BEGIN PHI PRACTICE ROOT PROPOSAL-----")
    );
    let signed = sign(&proposal, &practice);
    assert!(
        signed[0]
            .to_text()
            .starts_with("-----BEGIN PHI PRACTICE ROOT SIGNATURE-----")
    );
    refused(
        rig.assemble(&proposal, &signed),
        "proposal-invalid",
        "PRACTICE-atlas.example",
    );
    let assembled = scratch.assemble(&proposal, &signed).unwrap();
    let real = rig.propose(&all(&real, 1)).unwrap();
    refused(
        real.check_follows(&assembled.root.document, &[]),
        "proposal-invalid",
        "first root",
    );
}

#[test]
fn keys_of_other_roles_come_and_go_by_proposal() {
    let hands = hands("alice bob");
    let mut rig = Rig::held(&hands, 2);
    rig.issuer
        .publish_keyset(&rig.passphrase, &rig.context)
        .unwrap();
    rig.issuer
        .publish_status(&rig.passphrase, &rig.context)
        .unwrap();
    let second = rig
        .issuer
        .new_key(Role::Status, &rig.passphrase, &rig.context)
        .unwrap();
    let changes = [
        RootChange::AddKey(second),
        RootChange::Threshold(Role::Status, 2),
    ];
    refused(
        rig.propose(&[changes[0].clone(), changes[0].clone()]),
        "input-invalid",
        "twice",
    );
    let proposal = rig.propose(&changes).unwrap();
    assert_eq!(proposal.root().floors.status, 1);
    rig.assemble(&proposal, &sign(&proposal, &hands)).unwrap();
    refused(rig.propose(&changes[..1]), "not-allowed", "does not wait");
    let status = rig
        .issuer
        .publish_status(&rig.passphrase, &rig.context)
        .unwrap()
        .0;
    let document = phi_verify::UntrustedDocument::parse(&status.document).unwrap();
    assert_eq!(document.signers().count(), 2);
    let lower = [
        RootChange::StatusFloor(1),
        RootChange::Threshold(Role::Status, 1),
    ];
    refused(rig.propose(&lower), "input-invalid", "floor 2");
    let proposal = rig
        .propose(&[lower[1].clone(), RootChange::RemoveKey(second)])
        .unwrap();
    rig.assemble(&proposal, &sign(&proposal, &hands)).unwrap();
    refused(
        rig.propose(&[RootChange::RemoveKey(second)]),
        "not-found",
        "key in the root",
    );
}

#[test]
fn a_key_that_was_taken_back_is_not_assembled() {
    let hands = hands("alice bob");
    let mut rig = Rig::held(&hands, 1);
    let key = rig
        .issuer
        .new_key(Role::Ledger, &rig.passphrase, &rig.context)
        .unwrap();
    let proposal = rig.propose(&[RootChange::AddKey(key)]).unwrap();
    rig.issuer.retire_key(key, &rig.context).unwrap();
    let assembled = rig.assemble(&proposal, &sign(&proposal, &hands));
    refused(assembled, "not-allowed", "taken back");
}

#[test]
fn names_have_one_holder_each() {
    let hands = hands("alice bob");
    let mut rig = Rig::held(&hands, 1);
    let (other, _) = hand("alice");
    refused(
        rig.propose(&[RootChange::AddHolder(Box::new(other.clone()))]),
        "input-invalid",
        "another has",
    );
    let replaced = [
        RootChange::RemoveHolder("alice".into()),
        RootChange::AddHolder(Box::new(other)),
    ];
    rig.propose(&replaced).unwrap();
    let by_id = hands[1].0.key().id().to_string();
    rig.propose(&[RootChange::RemoveHolder(by_id)]).unwrap();
    refused(
        rig.propose(&[RootChange::RemoveHolder("carol".into())]),
        "not-found",
        "carol",
    );
    refused(rig.propose(&[]), "input-invalid", "nothing");
    let (past, ahead) = (rig.context.now, rig.context.now.plus(1));
    refused(
        rig.propose(&[RootChange::RefreshBy(past)]),
        "input-invalid",
        "past",
    );
    let refreshed = rig.propose(&[RootChange::RefreshBy(ahead)]).unwrap();
    let read = Proposal::from_text(&refreshed.to_text()).unwrap();
    assert_eq!(read.root().refresh_by, Some(ahead));
    let nobody = RootChange::Holders(Vec::new());
    refused(rig.propose(&[nobody]), "input-invalid", "no root key");
    for line in ["", "alice", "k4.public.AA alice", "k4.secret.AA alice"] {
        assert_eq!(
            Holder::from_line(line).unwrap_err().code(),
            "input-invalid",
            "{line:?}"
        );
    }
    let key = hands[0].0.key().to_paserk();
    for name in [
        "",
        " ",
        ".alice",
        "a b",
        "a/b",
        "-a",
        "a\u{202e}",
        &"a".repeat(65),
    ] {
        let line = format!("{key} {name}");
        assert_eq!(
            Holder::from_line(&line).unwrap_err().code(),
            "input-invalid",
            "{name:?}"
        );
    }
}

/// A file of each form, with an accepted proposal behind both.
fn files() -> (String, String) {
    let hands = hands("alice bob");
    let mut rig = Rig::held(&hands, 1);
    let proposal = rig.propose(&[RootChange::StatusFloor(3)]).unwrap();
    let signature = sign(&proposal, &hands[..1]).remove(0);
    (proposal.to_text(), signature.to_text())
}

/// Reads a text as every file of a ceremony; what is accepted is what would be written.
fn read_as_all(text: &str) {
    if let Ok(proposal) = Proposal::from_text(text) {
        assert_eq!(armor::unwrap(&proposal.to_text()), armor::unwrap(text));
    }
    if let Ok(signature) = RootSignature::from_text(text) {
        assert_eq!(armor::unwrap(&signature.to_text()), armor::unwrap(text));
    }
    let _ = Holder::from_line(text);
}

#[test]
fn no_change_of_a_byte_makes_a_panic_or_a_second_encoding() {
    let (proposal, signature) = files();
    for text in [&proposal, &signature] {
        let word = armor::unwrap(text).unwrap();
        let (prefix, encoded) = word.split_at(word.rfind('.').unwrap() + 1);
        let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
        for at in 0..bytes.len() {
            for change in [0x01, 0x20, 0x80] {
                let mut bytes = bytes.clone();
                bytes[at] ^= change;
                read_as_all(&format!("{prefix}{}", URL_SAFE_NO_PAD.encode(&bytes)));
            }
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..at]);
            let cut = format!("{prefix}{cut}");
            assert!(Proposal::from_text(&cut).is_err() && RootSignature::from_text(&cut).is_err());
        }
    }
    let long = "a".repeat(MAX_CEREMONY_FILE + 1);
    refused(Proposal::from_text(&long), "ceremony-file", "larger");
}

proptest! {
    #[test]
    fn nothing_that_is_read_makes_a_panic(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        read_as_all(&text);
        for prefix in ["phi.root-proposal.", "phi.root-signature."] {
            read_as_all(&format!("{prefix}{}", URL_SAFE_NO_PAD.encode(&bytes)));
        }
    }
}

#[test]
fn a_hash_is_read_out_whole() {
    let mut hash = [0; 32];
    assert_eq!(spoken(&hash).len(), 16 * 5 + 12 + 3 * 2);
    hash[0] = 0xff;
    hash[1] = 0xff;
    hash[31] = 9;
    assert!(spoken(&hash).starts_with("65535 00000 00000 00000  00000 "));
    assert!(spoken(&hash).ends_with(" 00009"));
}

/// Applications would refuse everything that ends before the time of the root.
#[test]
fn a_root_that_was_made_tomorrow_is_not_assembled() {
    const DAY: u64 = 24 * 60 * 60;
    let hands = hands("alice bob");
    let mut rig = Rig::held(&hands, 2);
    let mut propose = |seconds| {
        let later = rig.context.now.plus(seconds);
        rig.issuer
            .propose_root(&[RootChange::StatusFloor(3)], later)
    };
    let (soon, late) = (propose(DAY).unwrap(), propose(DAY + 1).unwrap());
    let signed = sign(&late, &hands);
    refused(
        rig.assemble(&late, &signed),
        "proposal-ahead",
        "was made at",
    );
    rig.assemble(&soon, &sign(&soon, &hands)).unwrap();
}
