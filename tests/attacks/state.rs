//! What can happen to a trust state that is kept between runs (rows L6 and L7).

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
};

use ciborium::Value;
use phi_tests::{
    snakeoil::{self, DAY, MACHINE, NOW, START, Seed, key, role, sign_all},
    snapshots::{Minted, Snapshot, exact, token_id},
};
use phi_verify::{
    DocumentKind, Floors, RevocationPolicy, Root, StateError, TrustState, Verifier,
    store::{Disk, Files, Finding, Loaded, Place, Step, Store},
};
use sha2::{Digest as _, Sha256};

fn keyset(version: u64) -> Vec<u8> {
    let mut keyset = snakeoil::keyset();
    keyset.version = version;
    Seed::Keyset.sign(&keyset.unsigned())
}

fn status() -> Vec<u8> {
    Seed::Status.sign(&snakeoil::status().unsigned())
}

fn second_root(change: impl FnOnce(&mut Root)) -> (Root, Vec<u8>) {
    let mut root = Root {
        version: 2,
        ..snakeoil::root()
    };
    change(&mut root);
    let document = Seed::Root.sign(&root.unsigned());
    (root, document)
}

/// A state with one of everything.
fn full() -> TrustState {
    let mut trust = snakeoil::trust().with_installation(MACHINE);
    let (_, root) = second_root(|root| {
        root.floors = Floors {
            keyset: 1,
            status: 1,
        };
    });
    let catalog = Seed::Keyset.sign(&snakeoil::catalog().unsigned());
    for document in [&status(), &root, &catalog] {
        trust.import(document).unwrap();
    }
    trust.observe(NOW);
    trust.observe(NOW.plus(100 * DAY));
    trust.observe(NOW.minus(DAY + 1));
    trust.observe(NOW.plus(100 * DAY));
    let reset = phi_verify::ClockReset {
        to: Some(NOW),
        ..snakeoil::clock_reset()
    };
    let reset = Seed::Status.sign(&reset.unsigned());
    trust.reset_clock(&reset, NOW).unwrap();
    trust.observe(NOW.minus(2 * DAY));
    let token = Seed::License.mint(&snakeoil::claims());
    let verifier = Verifier::new(&trust, snakeoil::PRODUCT, RevocationPolicy::Lenient);
    let license = verifier.verify(&token, NOW).unwrap();
    trust.remember(&license).unwrap();
    trust
}

/// The same with a delta, and with a license that knows of a newer list.
fn full_with_delta() -> TrustState {
    let mut trust = full();
    let first = Snapshot::first([Minted::new(1, 1, 0)]);
    let second = first.next(|next| next.revoked.extend([token_id(1)]));
    let base = trust.status().unwrap().clone();
    let next = second.full(Some(&base), exact);
    let delta = second.delta(&first, &base, &next, exact);
    trust.import(&Seed::Status.sign(&delta.unsigned())).unwrap();
    let claims = Minted::new(2, 2, 7).claims();
    let verifier = Verifier::new(&trust, snakeoil::PRODUCT, RevocationPolicy::Lenient);
    let license = verifier.verify(&Seed::License.mint(&claims), NOW).unwrap();
    trust.remember(&license).unwrap();
    assert_eq!(trust.newer_list(), Some(7));
    trust
}

/// The state again, of which nothing is refused.
#[track_caller]
fn again(anchor: &[u8], bytes: &[u8]) -> TrustState {
    let restored = TrustState::from_bytes(anchor, bytes).unwrap();
    assert_eq!(restored.refused, []);
    restored.trust
}

/// A stored state with its body changed, under the right hash.
fn altered(bytes: &[u8], format: u64, change: impl FnOnce(&mut Vec<(Value, Value)>)) -> Vec<u8> {
    let envelope: Value = ciborium::from_reader(bytes).unwrap();
    let [_, _, body] = envelope.into_array().unwrap().try_into().unwrap();
    let body: Value = ciborium::from_reader(&body.into_bytes().unwrap()[..]).unwrap();
    let mut fields = body.into_map().unwrap();
    change(&mut fields);
    let mut body = Vec::new();
    ciborium::into_writer(&Value::Map(fields), &mut body).unwrap();
    let hash = Sha256::new()
        .chain_update(b"phi-state\0")
        .chain_update(format.to_be_bytes())
        .chain_update(&body)
        .finalize();
    let envelope = Value::Array(vec![
        format.into(),
        Value::Bytes(hash.to_vec()),
        Value::Bytes(body),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&envelope, &mut bytes).unwrap();
    bytes
}

fn format(bytes: &[u8]) -> u64 {
    let envelope: Value = ciborium::from_reader(bytes).unwrap();
    let format = envelope.into_array().unwrap()[0].as_integer().unwrap();
    format.try_into().unwrap()
}

fn field(fields: &mut [(Value, Value)], number: u64) -> &mut Value {
    let entry = fields.iter_mut().find(|(key, _)| *key == number.into());
    &mut entry.unwrap().1
}

#[test]
fn a_state_is_what_it_was() {
    let anchor = snakeoil::anchor();
    let trust = full();
    assert_eq!(again(&anchor, &trust.to_bytes()), trust);
    let paired = full_with_delta();
    assert_eq!(again(&anchor, &paired.to_bytes()), paired);
    let alone = TrustState::from_anchor(&anchor).unwrap();
    assert_eq!(again(&anchor, &alone.to_bytes()), alone);
}

#[test]
fn l6_a_state_that_is_damaged_lost_or_newer_is_a_finding_and_no_more() {
    a_newer_format_is_told_from_damage();
    cut_short_at_every_length();
    flipped_at_every_byte();
    deleted_once_and_twice();
    written_by_a_newer_application();
}

fn a_newer_format_is_told_from_damage() {
    let (anchor, bytes) = (snakeoil::anchor(), full().to_bytes());
    // A state without a delta is one that applications of the first format have written and read.
    assert_eq!(
        (format(&bytes), format(&full_with_delta().to_bytes())),
        (1, 2)
    );
    let newer = altered(&bytes, 3, |_| ());
    let error = TrustState::from_bytes(&anchor, &newer).unwrap_err();
    assert_eq!(error, StateError::Newer { found: 3, known: 2 });
    assert_eq!(error.code(), "state-newer");
    let mut damaged = newer;
    *damaged.last_mut().unwrap() ^= 1;
    let error = TrustState::from_bytes(&anchor, &damaged).unwrap_err();
    assert_eq!(error.code(), "state-damaged");
    // A field of a later version, under the format that is known: not to be ignored.
    let unknown = altered(&bytes, 1, |fields| {
        fields.push((99.into(), 1.into()));
    });
    let error = TrustState::from_bytes(&anchor, &unknown).unwrap_err();
    assert_eq!(error.code(), "state-damaged");
}

fn cut_short_at_every_length() {
    let (anchor, bytes) = (snakeoil::anchor(), full_with_delta().to_bytes());
    for length in 0..bytes.len() {
        let error = TrustState::from_bytes(&anchor, &bytes[..length]).unwrap_err();
        assert_eq!(error.code(), "state-damaged", "at {length}");
    }
}

fn flipped_at_every_byte() {
    let (anchor, bytes) = (snakeoil::anchor(), full_with_delta().to_bytes());
    for index in 0..bytes.len() {
        for mask in [1, 0x80, 0xff] {
            let mut flipped = bytes.clone();
            flipped[index] ^= mask;
            let error = TrustState::from_bytes(&anchor, &flipped).unwrap_err();
            assert_eq!(error.code(), "state-damaged", "at {index}");
        }
    }
}

#[test]
fn a_document_that_was_put_into_a_state_is_verified() {
    let anchor = snakeoil::anchor();
    let mut forged = snakeoil::keyset();
    forged.version = 9;
    let forged = Seed::Foreign.sign(&forged.unsigned());
    let entry = Value::Array(vec![1.into(), Value::Bytes(forged)]);
    let bytes = altered(&full().to_bytes(), 1, |fields| {
        *field(fields, 3) = entry;
    });
    let restored = TrustState::from_bytes(&anchor, &bytes).unwrap();
    assert_eq!(restored.refused.len(), 1);
    assert_eq!(restored.refused[0].error.code(), "signatures-missing");
    assert_eq!(restored.trust.keyset(), None);
    // What it said is no floor to lock the right one out by, unless the version is lower.
    assert_eq!(restored.trust.status().map(|list| list.epoch), Some(1));
}

/// A delta is nothing without its base, and the base is not what its delta made of it.
#[test]
fn a_stored_delta_goes_with_its_base_and_is_verified() {
    let (anchor, bytes) = (snakeoil::anchor(), full_with_delta().to_bytes());
    let alone = altered(&bytes, 2, |fields| {
        fields.retain(|(key, _)| *key != 4.into());
    });
    let restored = TrustState::from_bytes(&anchor, &alone).unwrap();
    assert_eq!(restored.refused[0].error.code(), "delta-base");
    assert_eq!(restored.trust.status(), None);
    // What the delta said is not to be undone by losing its base.
    assert_eq!(restored.trust.floors().status, 2);
    let forged = altered(&bytes, 2, |fields| {
        let Value::Array(held) = field(fields, 13) else {
            panic!("a version and a document");
        };
        let document = held[1].as_bytes_mut().unwrap();
        *document.last_mut().unwrap() ^= 1;
    });
    let restored = TrustState::from_bytes(&anchor, &forged).unwrap();
    assert_eq!(restored.refused[0].error.code(), "signatures-missing");
    assert_eq!(restored.trust.status().map(|list| list.epoch), Some(1));
    let removed = altered(&bytes, 2, |fields| {
        fields.retain(|(key, _)| *key != 13.into());
    });
    assert_eq!(
        again(&anchor, &removed).status().map(|list| list.epoch),
        Some(1)
    );
}

/// Of two copies the newer pair counts, though its base is older than the other's list.
#[test]
fn a_copy_with_a_newer_delta_brings_its_older_base() {
    let first = Snapshot::first([Minted::new(1, 1, 0)]);
    let second = first.next(|_| ());
    let third = second.next(|next| next.revoked.extend([token_id(1)]));
    let one = first.full(None, exact);
    let two = second.full(Some(&one), exact);
    let three = third.full(Some(&two), exact);
    let delta = third.delta(&first, &one, &three, exact);
    let state = |lists: &[&phi_verify::Status]| {
        let mut trust = snakeoil::trust();
        for list in lists {
            trust.import(&Seed::Status.sign(&list.unsigned())).unwrap();
        }
        trust
    };
    let (pair, alone) = (state(&[&one, &delta]), state(&[&one, &two]));
    let mut absorbing = alone.clone();
    absorbing.absorb(&pair);
    assert_eq!(absorbing.lists(), pair.lists());
    let mut absorbing = pair.clone();
    absorbing.absorb(&alone);
    assert_eq!(absorbing.lists(), pair.lists());
    // A full list of the delta's epoch is as new, and stays.
    let mut newest = state(&[&one, &two, &three]);
    newest.absorb(&pair);
    assert_eq!(newest.lists().unwrap().base(), &three);
}

#[test]
fn floors_are_never_below_what_the_documents_give() {
    let anchor = snakeoil::anchor();
    let bytes = altered(&full().to_bytes(), 1, |fields| {
        *field(fields, 6) = Value::Array(vec![0.into(), 0.into()]);
    });
    let trust = again(&anchor, &bytes);
    assert_eq!(trust.floors(), full().floors());
    assert_eq!(trust.floors().keyset, 1);
}

#[test]
fn of_a_stored_root_and_the_anchor_the_newer_is_in_force() {
    let (first, bytes) = (snakeoil::anchor(), full().to_bytes());
    let (_, second) = second_root(|root| {
        root.floors = Floors {
            keyset: 1,
            status: 1,
        };
    });
    // The application was built anew with the root that the state has by now, ...
    let trust = again(&second, &bytes);
    assert_eq!(trust.root().version, 2);
    assert_eq!(
        (trust.keyset().is_some(), trust.status().is_some()),
        (true, true)
    );
    // ... with a later one that it never saw, ...
    let third = Root {
        version: 3,
        ..snakeoil::root()
    };
    let anchor = Seed::Root.sign(&third.unsigned());
    let trust = again(&anchor, &bytes);
    assert_eq!(trust.root().version, 3);
    assert_eq!(trust.floors(), full().floors());
    assert!(trust.keyset().is_some());
    // ... or with the first one, as it was.
    assert_eq!(again(&first, &bytes).root().version, 2);
}

#[test]
fn an_anchor_with_other_keys_lets_go_of_what_the_old_ones_signed() {
    let new = key(22);
    let root = Root {
        version: 3,
        keyset: role(std::slice::from_ref(&new), 1),
        ..snakeoil::root()
    };
    let anchor = Seed::Root.sign(&root.unsigned());
    let restored = TrustState::from_bytes(&anchor, &full().to_bytes()).unwrap();
    let refused: Vec<_> = restored
        .refused
        .iter()
        .map(|refused| refused.kind)
        .collect();
    assert_eq!(refused, [DocumentKind::Keyset, DocumentKind::Catalog]);
    let mut trust = restored.trust;
    // The keyset's floor went with its keys; the list and its floor stay.
    assert_eq!(trust.floors().keyset, 0);
    assert_eq!(trust.status().map(|list| list.epoch), Some(1));
    trust
        .import(&sign_all(&snakeoil::keyset().unsigned(), &[new]))
        .unwrap();
}

/// A root may ask for more signatures than what came before it has: that stays, and it has to
/// stay through a restart.
#[test]
fn what_a_newer_root_keeps_is_kept_through_a_restart() {
    let anchor = snakeoil::anchor();
    let mut trust = snakeoil::trust();
    trust.import(&status()).unwrap();
    let (_, root) = second_root(|root| {
        root.status = role(&[Seed::Status.signing_key(), key(22)], 2);
    });
    trust.import(&root).unwrap();
    assert!(trust.status().is_some());
    assert_eq!(again(&anchor, &trust.to_bytes()), trust);
    // A list whose keyset the root let go of.
    let (_, root) = second_root(|root| root.keyset = role(&[key(23)], 1));
    let mut trust = snakeoil::trust();
    trust.import(&status()).unwrap();
    trust.import(&root).unwrap();
    assert_eq!((trust.keyset(), trust.status().is_some()), (None, true));
    assert_eq!(again(&anchor, &trust.to_bytes()), trust);
}

/// Two folders on the disk.
struct Folders {
    root: tempfile::TempDir,
    anchor: Vec<u8>,
}

impl Folders {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            anchor: snakeoil::anchor(),
        }
    }

    fn store(&self) -> Store<'_> {
        let root = self.root.path();
        Store::new(&self.anchor, root.join("data"), root.join("user"))
    }

    fn file(&self, place: Place) -> PathBuf {
        let name = format!("phi-trust-{place}.state");
        self.root.path().join(place.name()).join(name)
    }

    /// Saves a state without findings, and gives it as it was saved.
    #[track_caller]
    fn save(&self, mut trust: TrustState) -> TrustState {
        assert_eq!(self.store().save(&mut trust), []);
        trust
    }

    fn load(&self) -> Loaded {
        self.store().load().unwrap()
    }
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(Finding::code).collect()
}

#[test]
fn a_first_run_and_a_second_one_find_nothing_wrong() {
    let folders = Folders::new();
    let first = folders.load();
    assert_eq!((first.trust.generation(), first.findings), (0, Vec::new()));
    let saved = folders.save(full());
    let loaded = folders.load();
    assert_eq!((&loaded.trust, loaded.findings), (&saved, Vec::new()));
    assert_eq!(saved.generation(), 1);
    // Nothing new, nothing written.
    assert_eq!(folders.save(saved.clone()), saved);
}

#[cfg(unix)]
#[test]
fn a_state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folders = Folders::new();
    folders.save(full());
    for place in Place::ALL {
        let mode = fs::metadata(folders.file(place))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_damaged_copy_is_found_and_replaced_from_the_other() {
    for place in Place::ALL {
        for damage in [&b""[..], b"\x83\x01", &[0xff; 4096]] {
            let folders = Folders::new();
            let saved = folders.save(full());
            fs::write(folders.file(place), damage).unwrap();
            let mut loaded = folders.load();
            assert_eq!(codes(&loaded.findings), ["copy-damaged"]);
            assert_eq!(loaded.trust, saved);
            assert_eq!(folders.store().save(&mut loaded.trust), []);
            assert_eq!(folders.load().findings, []);
        }
    }
}

fn deleted_once_and_twice() {
    let folders = Folders::new();
    let saved = folders.save(full());
    fs::remove_file(folders.file(Place::Data)).unwrap();
    let loaded = folders.load();
    let place = Place::Data;
    assert_eq!(loaded.findings, [Finding::CopyMissing { place }]);
    assert_eq!(loaded.trust, saved);
    fs::remove_file(folders.file(Place::User)).unwrap();
    let mut lost = folders.load();
    assert_eq!(lost.findings, [Finding::StateLost]);
    // The anchor is what is left, and the id, by which the issuer knows the installation.
    assert_eq!(lost.trust.keyset(), None);
    assert_eq!(lost.trust.installation(), Some(MACHINE));
    lost.trust.import(&keyset(1)).unwrap();
    assert_eq!(folders.store().save(&mut lost.trust), []);
    assert_eq!(folders.load().findings, []);
}

fn written_by_a_newer_application() {
    let folders = Folders::new();
    let saved = folders.save(full());
    let newer = altered(&saved.to_bytes(), 3, |_| ());
    for place in Place::ALL {
        fs::write(folders.file(place), &newer).unwrap();
    }
    let mut loaded = folders.load();
    assert_eq!(codes(&loaded.findings), ["newer-format"; 2]);
    assert_eq!(loaded.trust.keyset(), None);
    loaded.trust.import(&keyset(1)).unwrap();
    let findings = folders.store().save(&mut loaded.trust);
    assert_eq!(codes(&findings), ["newer-format"; 2]);
    for place in Place::ALL {
        assert_eq!(fs::read(folders.file(place)).unwrap(), newer);
    }
}

#[test]
fn what_is_no_file_or_cannot_be_written_stops_nothing() {
    let folders = Folders::new();
    let saved = folders.save(full());
    fs::remove_file(folders.file(Place::Data)).unwrap();
    fs::create_dir_all(folders.file(Place::Data).join("full")).unwrap();
    let mut loaded = folders.load();
    assert_eq!(codes(&loaded.findings), ["copy-unreadable"]);
    assert_eq!(loaded.trust, saved);
    let findings = folders.store().save(&mut loaded.trust);
    assert!(matches!(
        findings[..],
        [Finding::Unwritable {
            place: Place::Data,
            step: Step::Replace,
            ..
        }]
    ));
    // A file where the folder should be.
    let root = tempfile::tempdir().unwrap();
    let blocked = root.path().join("blocked");
    fs::write(&blocked, b"").unwrap();
    let store = Store::new(&folders.anchor, &blocked, root.path().join("user"));
    let mut trust = full();
    assert_eq!(codes(&store.save(&mut trust)), ["unwritable"]);
    assert_eq!(store.load().unwrap().trust, trust);
}

/// An old copy beside the newest one, put there by hand: its floors are not lower than they were,
/// and neither are those that come of both.
#[test]
fn no_floor_falls_by_an_old_copy() {
    let folders = Folders::new();
    let old = folders.save(snakeoil::trust().with_installation(MACHINE));
    let saved = folders.save(full());
    assert_eq!(saved.generation(), old.generation() + 1);
    for place in Place::ALL {
        fs::write(folders.file(place), old.to_bytes()).unwrap();
        let loaded = folders.load();
        assert_eq!(loaded.findings, [Finding::CopyBehind { place }]);
        assert_eq!(loaded.trust, saved);
        fs::write(folders.file(place), saved.to_bytes()).unwrap();
    }
    // A copy that says it is newer and knows less.
    let forged = altered(&old.to_bytes(), 1, |fields| *field(fields, 0) = 99.into());
    fs::write(folders.file(Place::Data), forged).unwrap();
    let loaded = folders.load();
    assert_eq!(codes(&loaded.findings), ["copy-behind"]);
    assert_eq!(loaded.trust.floors(), saved.floors());
    assert_eq!(loaded.trust.status(), saved.status());
    assert_eq!(loaded.trust.root(), saved.root());
    assert_eq!(loaded.trust.observed_floor(), saved.observed_floor());
}

/// Two processes with one store: the one that saves last takes over what the other knows.
#[test]
fn of_two_processes_neither_undoes_what_the_other_knows() {
    let folders = Folders::new();
    let start = folders.save(snakeoil::trust());
    let (mut one, mut two) = (start.clone(), start);
    one.import(&keyset(2)).unwrap();
    two.import(&status()).unwrap();
    folders.save(one);
    let both = folders.save(two);
    assert_eq!(both.keyset().map(|keyset| keyset.version), Some(2));
    assert_eq!(both.status().map(|list| list.epoch), Some(1));
    assert_eq!(folders.load().trust, both);
}

/// A file system in memory that ends, or refuses, at a step of one's choice. It knows what has
/// reached the disk and what has not.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Contents>>);

#[derive(Clone, Default)]
struct Contents {
    /// Each file: its bytes, and those that have reached the disk.
    files: Vec<(Vec<u8>, Vec<u8>)>,
    names: BTreeMap<PathBuf, usize>,
    /// The names that have reached the disk.
    durable: BTreeMap<PathBuf, usize>,
    steps: usize,
    fault: Option<(usize, Fault)>,
    dead: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// The process ends before the step, or in the middle of writing.
    Kill,
    /// The system refuses the step.
    Refuse,
}

/// What is there after the end.
#[derive(Clone, Copy, Debug)]
enum Aftermath {
    /// The machine ran on: all that was done is there.
    Killed,
    /// The power went: what did not reach the disk is gone.
    PowerCut,
    /// The power went, and names had reached the disk before they had to.
    PowerCutWithNames,
}

impl Memory {
    fn step(&self) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        if contents.dead {
            return Err(io::ErrorKind::Other.into());
        }
        let step = contents.steps;
        contents.steps += 1;
        match contents.fault {
            Some((at, fault)) if at == step => {
                contents.dead = fault == Fault::Kill;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    fn after(&self, aftermath: Aftermath) -> Self {
        let mut contents = self.0.borrow().clone();
        (contents.dead, contents.fault, contents.steps) = (false, None, 0);
        if let Aftermath::PowerCut | Aftermath::PowerCutWithNames = aftermath {
            for (bytes, synced) in &mut contents.files {
                bytes.clone_from(synced);
            }
        }
        if let Aftermath::PowerCut = aftermath {
            contents.names = contents.durable.clone();
        }
        Self(Rc::new(RefCell::new(contents)))
    }

    fn with_fault(&self, at: usize, fault: Fault) -> Self {
        let memory = self.after(Aftermath::Killed);
        memory.0.borrow_mut().fault = Some((at, fault));
        memory
    }

    fn store<'a>(&self, anchor: &'a [u8]) -> Store<'a, Self> {
        Store::on(self.clone(), anchor, "data", "user")
    }
}

impl Files for Memory {
    type File = usize;
    type Lock = ();

    fn read(&self, path: &Path, _limit: u64) -> io::Result<Vec<u8>> {
        let contents = self.0.borrow();
        let file = contents.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(contents.files[*file].0.clone())
    }

    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        self.step()
    }

    fn lock(&self, _path: &Path) -> io::Result<()> {
        self.step()
    }

    fn create(&self, path: &Path) -> io::Result<usize> {
        self.step()?;
        let mut contents = self.0.borrow_mut();
        contents.files.push((Vec::new(), Vec::new()));
        let file = contents.files.len() - 1;
        contents.names.insert(path.into(), file);
        Ok(file)
    }

    fn write(&self, file: &mut usize, bytes: &[u8]) -> io::Result<()> {
        let step = self.step();
        let length = if step.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        self.0.borrow_mut().files[*file].0 = bytes[..length].into();
        step
    }

    fn sync(&self, file: &usize) -> io::Result<()> {
        self.step()?;
        let (bytes, synced) = &mut self.0.borrow_mut().files[*file];
        synced.clone_from(bytes);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        let mut contents = self.0.borrow_mut();
        let file = contents.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        contents.names.insert(to.into(), file);
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        let mut contents = self.0.borrow_mut();
        let Contents { names, durable, .. } = &mut *contents;
        durable.retain(|name, _| !name.starts_with(path));
        let synced = names.iter().filter(|(name, _)| name.starts_with(path));
        durable.extend(synced.map(|(name, file)| (name.clone(), *file)));
        Ok(())
    }
}

/// What an application can tell two states apart by.
fn known(trust: &TrustState) -> (u64, Option<u64>, Option<u64>, Floors) {
    let keyset = trust.keyset().map(|keyset| keyset.version);
    let status = trust.status().map(|list| list.epoch);
    (trust.root().version, keyset, status, trust.floors())
}

/// Steps of a save that writes both copies: a folder and a lock, then five of a state, each twice.
const STEPS: usize = 14;

#[test]
fn l7_a_crash_at_every_step_leaves_the_old_state_or_the_new() {
    a_crash_at_every_step();
    a_process_killed_at_every_step_on_a_real_disk();
}

fn a_crash_at_every_step() {
    let anchor = snakeoil::anchor();
    let memory = Memory::default();
    let mut old = snakeoil::trust().with_installation(MACHINE);
    assert_eq!(memory.store(&anchor).save(&mut old), []);
    let new = full();
    let mut seen = [false; 2];
    for at in 0..STEPS {
        let crashing = memory.with_fault(at, Fault::Kill);
        let _ = crashing.store(&anchor).save(&mut new.clone());
        for aftermath in [
            Aftermath::Killed,
            Aftermath::PowerCut,
            Aftermath::PowerCutWithNames,
        ] {
            let after = crashing.after(aftermath);
            let store = after.store(&anchor);
            let mut loaded = store.load().unwrap();
            let found = known(&loaded.trust);
            let is_new = found == known(&new);
            assert!(
                is_new || found == known(&old),
                "{at} {aftermath:?}: {found:?}"
            );
            seen[usize::from(is_new)] = true;
            let codes = codes(&loaded.findings);
            assert!(codes.iter().all(|code| *code == "copy-behind"), "{codes:?}");
            // The next save writes both.
            loaded.trust.absorb(&new);
            assert_eq!(store.save(&mut loaded.trust), []);
            let again = store.load().unwrap();
            assert_eq!((again.trust, again.findings), (loaded.trust, Vec::new()));
        }
    }
    assert_eq!(seen, [true, true], "every crash came to the same");
    // There are no more steps than were tried.
    let whole = memory.with_fault(STEPS, Fault::Kill);
    assert_eq!(whole.store(&anchor).save(&mut new.clone()), []);
    assert_eq!(whole.0.borrow().steps, STEPS);
}

#[test]
fn a_crash_in_the_very_first_save_leaves_the_anchor_or_the_state() {
    let anchor = snakeoil::anchor();
    let new = full();
    // Both states, and then a marker for each of them.
    let steps = STEPS + 10;
    for at in 0..steps {
        let crashing = Memory::default().with_fault(at, Fault::Kill);
        let _ = crashing.store(&anchor).save(&mut new.clone());
        for aftermath in [
            Aftermath::Killed,
            Aftermath::PowerCut,
            Aftermath::PowerCutWithNames,
        ] {
            let loaded = crashing.after(aftermath).store(&anchor).load().unwrap();
            let found = known(&loaded.trust);
            let fresh = known(&TrustState::from_anchor(&anchor).unwrap());
            assert!(found == known(&new) || found == fresh, "{at} {aftermath:?}");
            // Nothing was lost that had ever been there.
            assert!(
                !loaded.findings.contains(&Finding::StateLost),
                "{at} {aftermath:?}"
            );
        }
    }
    let whole = Memory::default().with_fault(steps, Fault::Kill);
    assert_eq!(whole.store(&anchor).save(&mut new.clone()), []);
    assert_eq!(whole.0.borrow().steps, steps);
}

#[test]
fn an_error_at_every_step_is_reported_and_healed_by_the_next_save() {
    let anchor = snakeoil::anchor();
    let memory = Memory::default();
    let mut old = snakeoil::trust().with_installation(MACHINE);
    assert_eq!(memory.store(&anchor).save(&mut old), []);
    for at in 0..STEPS {
        let failing = memory.with_fault(at, Fault::Refuse);
        let store = failing.store(&anchor);
        let mut new = full();
        let findings = store.save(&mut new);
        assert_eq!(codes(&findings), ["unwritable"], "step {at}");
        // The other copy was written all the same.
        assert_eq!(known(&store.load().unwrap().trust), known(&new));
        assert_eq!(store.save(&mut new), []);
        let again = store.load().unwrap();
        assert_eq!(
            (again.trust, again.findings),
            (new, Vec::new()),
            "step {at}"
        );
    }
}

/// The machine's own file system, under a process that ends itself at a step.
struct Aborting {
    at: usize,
    steps: RefCell<usize>,
}

impl Aborting {
    fn step(&self) {
        let step = self.steps.replace_with(|steps| *steps + 1);
        if step == self.at {
            std::process::abort();
        }
    }
}

impl Files for Aborting {
    type File = fs::File;
    type Lock = fs::File;

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        Disk.read(path, limit)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.step();
        Disk.create_folder(path)
    }

    fn lock(&self, path: &Path) -> io::Result<fs::File> {
        self.step();
        Disk.lock(path)
    }

    fn create(&self, path: &Path) -> io::Result<fs::File> {
        self.step();
        Disk.create(path)
    }

    fn write(&self, file: &mut fs::File, bytes: &[u8]) -> io::Result<()> {
        Disk.write(file, &bytes[..bytes.len() / 2])?;
        self.step();
        Disk.write(file, &bytes[bytes.len() / 2..])
    }

    fn sync(&self, file: &fs::File) -> io::Result<()> {
        self.step();
        Disk.sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step();
        Disk.rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.step();
        Disk.sync_folder(path)
    }
}

/// The folder, and the step, of the child process below.
const CHILD: &str = "PHI_TEST_STATE_CHILD";

/// Not a case of its own: the process that the case below ends at each step.
#[test]
fn child_that_saves() {
    let Some(child) = std::env::var_os(CHILD) else {
        return;
    };
    let child = child.into_string().unwrap();
    let (at, folder) = child.split_once(' ').unwrap();
    let files = Aborting {
        at: at.parse().unwrap(),
        steps: RefCell::new(0),
    };
    let (folder, anchor) = (Path::new(folder), snakeoil::anchor());
    let store = Store::on(files, &anchor, folder.join("data"), folder.join("user"));
    store.save(&mut full());
}

fn a_process_killed_at_every_step_on_a_real_disk() {
    let new = full();
    for at in 0..=STEPS {
        let folders = Folders::new();
        let old = folders.save(snakeoil::trust().with_installation(MACHINE));
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "attacks::state::child_that_saves"])
            .env(CHILD, format!("{at} {}", folders.root.path().display()))
            .output()
            .unwrap();
        assert_eq!(child.status.success(), at == STEPS, "step {at}");
        let mut loaded = folders.load();
        let found = known(&loaded.trust);
        assert!(found == known(&new) || found == known(&old), "step {at}");
        // The lock went with the process, and what it left half written is in nobody's way.
        loaded.trust.absorb(&new);
        assert_eq!(folders.store().save(&mut loaded.trust), []);
        assert_eq!(folders.load().findings, []);
    }
}

/// One copy in somebody else's reach: rewritten so that it says whatever he likes, under the right
/// hash and as the newest.
#[test]
fn what_one_copy_says_undoes_nothing_that_both_know() {
    type Change = fn(&mut Vec<(Value, Value)>);
    let folders = Folders::new();
    let mut trust = snakeoil::trust().with_installation(MACHINE);
    let reset = Seed::Status.sign(&snakeoil::clock_reset().unsigned());
    trust.reset_clock(&reset, NOW).unwrap();
    for hour in 0..24 * 40 {
        trust.observe(NOW.plus(hour * 3600));
    }
    let saved = folders.save(trust);
    let late = saved.observed_floor();
    let forged: [Change; 3] = [
        // Nothing was ever observed, and no reset was used.
        |fields| {
            fields.retain(|(key, _)| *key != 7.into() && *key != 8.into());
            *field(fields, 12) = Value::Array(Vec::new());
        },
        // As many resets were used as there is room for.
        |fields| *field(fields, 12) = Value::Array(vec![Value::Bytes(vec![0; 60]); 64]),
        // No keyset and no list is new enough any more.
        |fields| *field(fields, 6) = Value::Array(vec![u64::MAX.into(), u64::MAX.into()]),
    ];
    for forge in forged {
        let bytes = altered(&saved.to_bytes(), 1, |fields| {
            *field(fields, 0) = (1_u64 << 40).into();
            forge(fields);
        });
        fs::write(folders.file(Place::User), bytes).unwrap();
        let mut loaded = folders.load();
        assert!(codes(&loaded.findings).contains(&"copy-behind"));
        let judged = |mut trust: TrustState| {
            assert_eq!(trust.observed_floor(), late);
            let back = trust.reset_clock(&reset, NOW).unwrap_err();
            assert_eq!(back.code(), "clock-reset-used");
            assert_eq!(trust.floors(), saved.floors());
            assert!(trust.keyset().is_some());
            trust.import(&keyset(2)).unwrap();
        };
        judged(loaded.trust.clone());
        // What a process that runs has in memory is not undone by it either.
        let mut running = saved.clone();
        folders.store().save(&mut running);
        judged(running);
        folders.store().save(&mut loaded.trust);
        judged(folders.load().trust);
        fs::write(folders.file(Place::Data), saved.to_bytes()).unwrap();
    }
}

/// A copy that did not get the newest list or the reset has what the clock showed before: it does
/// not come back.
#[test]
fn what_a_list_or_a_reset_let_go_of_does_not_come_back_with_an_old_copy() {
    let mut wrong = snakeoil::trust().with_installation(MACHINE);
    let doomsday = NOW.plus(70 * 365 * DAY);
    for day in 0..3 {
        wrong.observe(doomsday.plus(day * DAY));
    }
    let mut by_list = wrong.clone();
    by_list.import(&status()).unwrap();
    let mut by_reset = wrong.clone();
    let reset = Seed::Status.sign(&snakeoil::clock_reset().unsigned());
    by_reset.reset_clock(&reset, NOW).unwrap();
    for healed in [by_list, by_reset] {
        let folders = Folders::new();
        folders.save(healed.clone());
        fs::write(folders.file(Place::Data), wrong.to_bytes()).unwrap();
        let loaded = folders.load().trust;
        assert_eq!(loaded.observed_floor(), healed.observed_floor());
        let mut late = wrong.clone();
        folders.store().save(&mut late);
        assert_eq!(late.observed_floor(), healed.observed_floor());
    }
}

/// One process imports a keyset that one signature was enough for, another the root that asks for
/// two from then on.
#[test]
fn a_keyset_from_before_a_root_is_absorbed_after_it() {
    let (_, root) = second_root(|root| {
        root.keyset = role(&[Seed::Keyset.signing_key(), key(22)], 2);
    });
    let folders = Folders::new();
    let start = folders.save(snakeoil::trust());
    for order in [[0, 1], [1, 0]] {
        let mut both = [start.clone(), start.clone()];
        both[0].import(&keyset(5)).unwrap();
        both[1].import(&root).unwrap();
        let (mut first, second) = (both[order[0]].clone(), &both[order[1]]);
        first.absorb(second);
        assert_eq!(first.root().version, 2);
        assert_eq!(first.keyset().map(|keyset| keyset.version), Some(5));
        assert_eq!(again(&folders.anchor, &first.to_bytes()), first);
    }
}

/// What could not be read again is not taken, and not written.
#[test]
fn a_state_does_not_outgrow_its_reader() {
    let catalog = |number: usize, padding: usize| {
        let mut catalog = snakeoil::catalog();
        catalog.product = format!("product-{number}");
        for flag in 0..padding {
            let name = phi_verify::Name {
                name: format!("flag-{flag}"),
                title: "x".repeat(256),
                unit: String::new(),
            };
            let code = phi_verify::FlagCode::new(10 + u16::try_from(flag).unwrap());
            catalog.flags.insert(code, name);
        }
        Seed::Keyset.sign(&catalog.unsigned())
    };
    let mut trust = snakeoil::trust();
    for number in 0..256 {
        trust.import(&catalog(number, 0)).unwrap();
    }
    let error = trust.import(&catalog(256, 0)).unwrap_err();
    assert_eq!(error.code(), "catalogs-too-many");
    assert_eq!(again(&snakeoil::anchor(), &trust.to_bytes()), trust);
    let mut trust = snakeoil::trust();
    let refused = (0..64).find_map(|number| trust.import(&catalog(number, 3500)).err());
    assert_eq!(refused.unwrap().code(), "catalogs-too-many");
    assert!(trust.catalogs().count() > 30);
    assert!(trust.to_bytes().len() < 40 << 20);
}

/// Millions of entries, and one good root again and again.
#[test]
fn a_hostile_state_is_damaged_and_costs_little() {
    let anchor = snakeoil::anchor();
    let entry = Value::Array(vec![0.into(), Value::Bytes(Vec::new())]);
    let catalogs = altered(&full().to_bytes(), 1, |fields| {
        *field(fields, 5) = Value::Array(vec![entry; 257]);
    });
    let (_, root) = second_root(|_| ());
    let roots = altered(&full().to_bytes(), 1, |fields| {
        let root = Value::Bytes(root);
        *field(fields, 2) = Value::Array(vec![root; 2]);
    });
    for bytes in [catalogs, roots] {
        let error = TrustState::from_bytes(&anchor, &bytes).unwrap_err();
        assert_eq!(error.code(), "state-damaged");
    }
}

#[cfg(unix)]
#[test]
fn what_stands_in_the_place_of_a_lock_stops_nothing() {
    let folders = Folders::new();
    let mut trust = folders.save(full());
    let lock = folders.file(Place::Data).with_extension("lock");
    fs::remove_file(&lock).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&lock).status();
    assert!(made.unwrap().success());
    trust.observe(NOW.plus(DAY));
    let findings = folders.store().save(&mut trust);
    assert_eq!(codes(&findings), ["unwritable"]);
}

#[test]
fn a_copy_that_another_process_writes_is_busy() {
    let folders = Folders::new();
    let mut trust = folders.save(full());
    let lock = folders.file(Place::Data).with_extension("lock");
    let held = Disk.lock(&lock).unwrap();
    trust.observe(NOW.plus(DAY));
    let findings = folders.store().save(&mut trust);
    let place = Place::Data;
    assert_eq!(findings, [Finding::Busy { place }]);
    assert_eq!(findings[0].code(), "busy");
    drop(held);
    assert_eq!(folders.store().save(&mut trust), []);
}

/// What a state tells the support desk.
#[test]
fn a_report_says_what_is_at_hand_and_what_is_stale() {
    let mut trust = full();
    trust.observe(NOW);
    let late = snakeoil::status().next_update;
    let report = trust.report(late);
    let text = report.to_string();
    for line in [
        "issuer        phi-demo.example",
        "installation  736e616b656f696c206d616368696e65",
        "root          version 2 of 2026-01-01T00:00:00Z, 90 days old",
        "finding       status-stale: a newer status list was due at 2026-04-01T00:00:00Z",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let hash = Sha256::digest(snakeoil::anchor());
    assert_eq!(report.anchor_sha256, phi_tests::hex(&hash));
    assert!(text.contains(&format!("{} active from", Seed::License.id())));
    assert!(!text.contains("globex"), "a customer's name in a report");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["documents"][0]["name"], "root");
    assert_eq!(json["clock"]["observed_floor"], NOW.seconds());
    assert_eq!(json["findings"][0]["code"], "status-stale");
    let rolled = trust.report(START);
    assert_eq!(rolled.findings[0].code, "clock-rolled-back");
    assert_eq!(report.keys.len(), snakeoil::keyset().keys().len());
    let bare = TrustState::from_anchor(&snakeoil::anchor()).unwrap();
    let codes = |trust: &TrustState| -> Vec<_> {
        let findings = trust.report(START).findings;
        findings.into_iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes(&bare), ["keyset-missing", "status-missing"]);
}
