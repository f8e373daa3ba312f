//! The bytes that a trust state is kept as between runs of an application.
//!
//! `[format, SHA-256, body]`: deterministic CBOR, of which the hash finds every slip of a disk.
//! It keeps out nobody who can write the file, so nothing in it is believed: documents are kept
//! as they came, and are verified again from the anchor that is compiled in. Where the bytes are
//! kept, and how they survive a crash, is left to others.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{cmp::Ordering, fmt, ops::RangeInclusive};

use sha2::{Digest as _, Sha256};

use super::{Held, MAX_CATALOGS, TrustState, lists::HeldLists, replaced};
use crate::{
    InstallationId, UnixTime,
    cbor::{self, Fields, Item, MapBuilder, Value},
    clock::{Doubted, News, Run, Seen, USED_RESETS},
    document::{DocumentKind, UntrustedDocument},
    error::{Error, Malformed},
    key::KeyId,
    keyset::Keyset,
    root::{Floors, Root},
};

/// The formats that are read here. Every later one keeps the array of format, hash and body, so
/// that an older reader tells a newer state from a damaged one. A state is written in the oldest
/// format that has a place for what is in it: an older application can have it back.
const FORMATS: RangeInclusive<u64> = PLAIN..=WITH_DELTA;

/// Without a delta and without a known epoch.
const PLAIN: u64 = 1;

/// With either of them.
const WITH_DELTA: u64 = 2;

/// The most bytes that a state may have: catalogs take up to half of it, the largest lists and
/// keyset less than 9 MiB, and the rest has room for a thousand roots.
pub(crate) const MAX_STATE: usize = 64 << 20;

/// A trust state that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The state: as it was, but for what was refused.
    pub trust: TrustState,
    /// The stored documents that do not hold under the anchor at hand.
    pub refused: Vec<Refused>,
    /// The floors that roots and documents prove, without those that are merely stated.
    proved: Floors,
}

/// A stored document that does not hold any more, such as one under keys that a newer anchor
/// replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind of document.
    pub kind: DocumentKind,
    /// Why it is refused.
    pub error: Box<Error>,
}

/// Why a stored trust state cannot be read. The application goes on from its anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateError {
    /// The anchor is refused: a mistake in the build.
    Anchor(Box<Error>),
    /// The bytes are not what was written.
    Damaged(&'static str),
    /// A newer version of this crate wrote it.
    Newer {
        /// The format that it states.
        found: u64,
        /// The newest format that is known here.
        known: u64,
    },
}

impl StateError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Anchor(error) => error.code(),
            Self::Damaged(_) => "state-damaged",
            Self::Newer { .. } => "state-newer",
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anchor(error) => write!(f, "anchor is refused: {error}"),
            Self::Damaged(problem) => write!(f, "stored trust state {problem}"),
            Self::Newer { found, known } => write!(
                f,
                "stored trust state has format {found}, up to {known} is known here"
            ),
        }
    }
}

impl core::error::Error for StateError {}

mod field {
    pub(super) const GENERATION: u64 = 0;
    pub(super) const INSTALLATION: u64 = 1;
    pub(super) const ROOTS: u64 = 2;
    pub(super) const KEYSET: u64 = 3;
    pub(super) const STATUS: u64 = 4;
    pub(super) const CATALOGS: u64 = 5;
    pub(super) const FLOORS: u64 = 6;
    pub(super) const RUN: u64 = 7;
    pub(super) const OBSERVED: u64 = 8;
    pub(super) const DOUBTED: u64 = 9;
    pub(super) const LICENSE: u64 = 11;
    pub(super) const USED: u64 = 12;
    pub(super) const DELTA: u64 = 13;
    pub(super) const KNOWN_EPOCH: u64 = 14;
}

impl TrustState {
    /// The state as bytes, to be stored. They hold nothing secret.
    pub fn to_bytes(&self) -> Vec<u8> {
        let body = self.encode_body();
        let delta = self.lists.as_ref().and_then(|lists| lists.delta.as_ref());
        let format = match (delta, self.known_epoch) {
            (None, None) => PLAIN,
            _ => WITH_DELTA,
        };
        cbor::encode(&Value::Array(vec![
            format.into(),
            checksum(format, &body)[..].into(),
            Value::Bytes(body),
        ]))
    }

    /// Reads what [`TrustState::to_bytes`] gave. Every document is verified again, from this
    /// anchor on; of a stored root and the anchor the newer is in force. Floors are at least what
    /// was stored, unless an anchor replaced the keys that they are about.
    ///
    /// An application goes on from its anchor if this fails.
    ///
    /// # Errors
    /// [`StateError::Damaged`] or [`StateError::Newer`]; or why the anchor is refused.
    pub fn from_bytes(anchor: &[u8], bytes: &[u8]) -> Result<Restored, StateError> {
        let body = open(bytes)?;
        let anchored = Self::from_anchor(anchor);
        let trust = anchored.map_err(|error| StateError::Anchor(Box::new(error)))?;
        let stored = Stored::decode(body)
            .map_err(|_| StateError::Damaged("has a part that this format does not have"))?;
        Ok(stored.restore(trust))
    }

    /// Counts another time that the state is stored.
    #[cfg(feature = "std")]
    pub(crate) const fn count_generation(&mut self) {
        self.generation = self.generation.saturating_add(1);
    }

    /// How often the state was stored.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    fn encode_body(&self) -> Vec<u8> {
        let (clock, seen) = (&self.clock, self.clock.seen);
        let mut map = MapBuilder::default();
        map.put(field::GENERATION, self.generation);
        let installation = clock.installation.as_ref();
        map.put_some(
            field::INSTALLATION,
            installation.map(|id| &id.as_bytes()[..]),
        );
        let roots = self.roots.iter().map(|root| Value::Bytes(root.clone()));
        map.put(field::ROOTS, Value::Array(roots.collect()));
        map.put_some(field::KEYSET, self.keyset.as_ref().map(encode_held));
        let lists = self.lists.as_ref();
        map.put_some(field::STATUS, lists.map(|lists| encode_held(&lists.base)));
        let catalogs = self.catalogs.values().map(encode_held);
        map.put(field::CATALOGS, Value::Array(catalogs.collect()));
        map.put(field::FLOORS, pair(self.floors.keyset, self.floors.status));
        map.put_some(field::RUN, seen.run.map(encode_run));
        map.put_some(field::OBSERVED, seen.observed.map(UnixTime::seconds));
        let doubted = seen.doubted;
        map.put_some(
            field::DOUBTED,
            doubted.map(|doubted| {
                let numbers = [doubted.last.seconds(), doubted.days.into(), doubted.ran];
                Value::Array(numbers.map(Value::from).into())
            }),
        );
        let license = clock.license.as_ref();
        map.put_some(
            field::LICENSE,
            license.map(|(at, key_id)| pair(at.seconds(), &key_id.as_bytes()[..])),
        );
        let used = clock.used.iter();
        let used = used.map(|used| Value::Bytes(used.bytes.clone()));
        map.put(field::USED, Value::Array(used.collect()));
        let delta = lists.and_then(|lists| lists.delta.as_ref());
        map.put_some(field::DELTA, delta.map(encode_held));
        let known = self.known_epoch.as_ref();
        map.put_some(
            field::KNOWN_EPOCH,
            known.map(|(epoch, key_id)| pair(*epoch, &key_id.as_bytes()[..])),
        );
        map.encode()
    }
}

fn pair(first: impl Into<Value>, second: impl Into<Value>) -> Value {
    Value::Array(vec![first.into(), second.into()])
}

fn encode_run(run: Run) -> Value {
    let (last, steady) = (run.last.seconds(), run.steady.seconds());
    let numbers = [last, steady, run.lasting, run.twice];
    Value::Array(numbers.map(Value::from).into())
}

fn encode_held<T>(held: &Held<T>) -> Value {
    pair(held.under, &held.bytes[..])
}

fn checksum(format: u64, body: &[u8]) -> [u8; 32] {
    let hash = Sha256::new()
        .chain_update(b"phi-state\0")
        .chain_update(format.to_be_bytes())
        .chain_update(body);
    hash.finalize().into()
}

/// The body of a stored state, which is whole and of the format that is known here.
fn open(bytes: &[u8]) -> Result<&[u8], StateError> {
    if bytes.len() > MAX_STATE {
        return Err(StateError::Damaged("is larger than 64 MiB"));
    }
    let envelope = |bytes| {
        let [format, sum, body] = cbor::array(Item::decode(bytes)?, 0)?;
        let format = cbor::positive(format, 0)?;
        Ok((format, cbor::sized(sum, 0)?, cbor::bytes(body, 0)?))
    };
    let parsed: Result<(u64, [u8; 32], &[u8]), Malformed> = envelope(bytes);
    let (format, sum, body) =
        parsed.map_err(|_| StateError::Damaged("is cut short or not a trust state"))?;
    if checksum(format, body) != sum {
        return Err(StateError::Damaged("does not have the hash that it states"));
    }
    if !FORMATS.contains(&format) {
        return Err(StateError::Newer {
            found: format,
            known: *FORMATS.end(),
        });
    }
    Ok(body)
}

/// A stored document: its kind, the version of its root, and its bytes.
type StoredDocument<'a> = (DocumentKind, u64, &'a [u8]);

/// What a stored state says; nothing in it is verified yet.
struct Stored<'a> {
    generation: u64,
    installation: Option<InstallationId>,
    roots: Vec<&'a [u8]>,
    /// Keyset, status list, catalogs and the delta, in this order.
    documents: Vec<StoredDocument<'a>>,
    floors: Floors,
    seen: Seen,
    license: Option<(UnixTime, KeyId)>,
    /// The documents of the clock resets that were used.
    used: Vec<&'a [u8]>,
    known_epoch: Option<(u64, KeyId)>,
}

impl<'a> Stored<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of(Item::decode(body)?, 0)?;
        let generation = fields.uint(field::GENERATION)?;
        let installation = fields.take(field::INSTALLATION);
        let installation = installation.map(|id| cbor::sized(id, field::INSTALLATION));
        let mut stored = Self {
            generation,
            installation: installation.transpose()?.map(InstallationId::from_bytes),
            roots: decode_roots(&mut fields)?,
            documents: decode_documents(&mut fields)?,
            floors: decode_floors(&mut fields)?,
            seen: decode_seen(&mut fields)?,
            license: decode_license(&mut fields)?,
            used: decode_used(&mut fields)?,
            known_epoch: None,
        };
        if let Some(delta) = fields.take(field::DELTA) {
            let delta = decode_held(DocumentKind::Status, delta, field::DELTA)?;
            stored.documents.push(delta);
        }
        stored.known_epoch = decode_known(&mut fields)?;
        fields.end(field::KNOWN_EPOCH)?;
        Ok(stored)
    }
}

/// The roots, whose versions ascend as far as they have any.
fn decode_roots<'a>(fields: &mut Fields<'a>) -> Result<Vec<&'a [u8]>, Malformed> {
    let key = field::ROOTS;
    let (mut roots, mut last) = (Vec::new(), None);
    for item in cbor::list(fields.require(key)?, key)?.iter() {
        let root = cbor::bytes(item, key)?;
        let version = version_of_root(root);
        if version.is_some() && version <= last {
            let problem = "has a root that is not newer than the one before it";
            return Err(Malformed::Field { key, problem });
        }
        last = last.max(version);
        roots.push(root);
    }
    Ok(roots)
}

fn decode_documents<'a>(fields: &mut Fields<'a>) -> Result<Vec<StoredDocument<'a>>, Malformed> {
    let mut documents = Vec::new();
    for (kind, key) in [
        (DocumentKind::Keyset, field::KEYSET),
        (DocumentKind::Status, field::STATUS),
    ] {
        if let Some(item) = fields.take(key) {
            documents.push(decode_held(kind, item, key)?);
        }
    }
    let catalogs = cbor::list(fields.require(field::CATALOGS)?, field::CATALOGS)?;
    if catalogs.iter().nth(MAX_CATALOGS).is_some() {
        let problem = "has more catalogs than a trust state";
        return Err(Malformed::Field {
            key: field::CATALOGS,
            problem,
        });
    }
    for item in catalogs.iter() {
        documents.push(decode_held(DocumentKind::Catalog, item, field::CATALOGS)?);
    }
    Ok(documents)
}

fn decode_held(
    kind: DocumentKind,
    item: Item<'_>,
    key: u64,
) -> Result<StoredDocument<'_>, Malformed> {
    let [under, bytes] = cbor::array(item, key)?;
    Ok((kind, cbor::uint(under, key)?, cbor::bytes(bytes, key)?))
}

fn decode_floors(fields: &mut Fields) -> Result<Floors, Malformed> {
    let key = field::FLOORS;
    let [keyset, status] = cbor::array(fields.require(key)?, key)?;
    Ok(Floors {
        keyset: cbor::uint(keyset, key)?,
        status: cbor::uint(status, key)?,
    })
}

fn decode_seen(fields: &mut Fields) -> Result<Seen, Malformed> {
    Ok(Seen {
        run: decode_run(fields)?,
        observed: fields.optional_time(field::OBSERVED)?,
        doubted: decode_doubted(fields)?,
    })
}

fn decode_run(fields: &mut Fields) -> Result<Option<Run>, Malformed> {
    let key = field::RUN;
    let Some(item) = fields.take(key) else {
        return Ok(None);
    };
    let [last, steady, lasting, twice] = cbor::array(item, key)?;
    Ok(Some(Run {
        last: cbor::time(cbor::uint(last, key)?, key)?,
        steady: cbor::time(cbor::uint(steady, key)?, key)?,
        lasting: cbor::uint(lasting, key)?,
        twice: cbor::uint(twice, key)?,
    }))
}

fn decode_doubted(fields: &mut Fields) -> Result<Option<Doubted>, Malformed> {
    let key = field::DOUBTED;
    let Some(item) = fields.take(key) else {
        return Ok(None);
    };
    let [last, days, ran] = cbor::array(item, key)?;
    Ok(Some(Doubted {
        last: cbor::time(cbor::uint(last, key)?, key)?,
        days: u8::try_from(cbor::uint(days, key)?).unwrap_or(u8::MAX),
        ran: cbor::uint(ran, key)?,
    }))
}

fn decode_license(fields: &mut Fields) -> Result<Option<(UnixTime, KeyId)>, Malformed> {
    let key = field::LICENSE;
    let Some(item) = fields.take(key) else {
        return Ok(None);
    };
    let [time, id] = cbor::array(item, key)?;
    let time = cbor::time(cbor::uint(time, key)?, key)?;
    Ok(Some((time, KeyId::from_bytes(cbor::sized(id, key)?))))
}

fn decode_known(fields: &mut Fields) -> Result<Option<(u64, KeyId)>, Malformed> {
    let key = field::KNOWN_EPOCH;
    let Some(item) = fields.take(key) else {
        return Ok(None);
    };
    let [epoch, id] = cbor::array(item, key)?;
    let id = KeyId::from_bytes(cbor::sized(id, key)?);
    Ok(Some((cbor::uint(epoch, key)?, id)))
}

fn decode_used<'a>(fields: &mut Fields<'a>) -> Result<Vec<&'a [u8]>, Malformed> {
    let key = field::USED;
    let used = cbor::list(fields.require(key)?, key)?;
    let used = used.iter().take(USED_RESETS);
    used.map(|item| cbor::bytes(item, key)).collect()
}

/// Stored documents, imported again in the order of their roots.
struct Replay<'a> {
    trust: TrustState,
    documents: &'a [StoredDocument<'a>],
    refused: Vec<Refused>,
}

impl<'a> Replay<'a> {
    /// Begins with an anchored state.
    fn of(
        trust: TrustState,
        roots: impl IntoIterator<Item = &'a [u8]>,
        documents: &'a [StoredDocument<'a>],
    ) -> Self {
        let first = trust.root().version;
        let mut replay = Self {
            trust,
            documents,
            refused: Vec::new(),
        };
        replay.documents_under(0..=first);
        for root in roots {
            // What is older than the anchor has led to it.
            if version_of_root(root).is_some_and(|version| version < first) {
                continue;
            }
            if let Err(error) = replay.trust.import(root) {
                replay.refuse(DocumentKind::Root, error);
                break;
            }
            let version = replay.trust.root().version;
            if version > first {
                replay.documents_under(version..=version);
            }
        }
        // Under a root that is not to be had any more.
        let last = replay.trust.root().version;
        replay.documents_under(last.saturating_add(1)..=u64::MAX);
        replay
    }

    fn documents_under(&mut self, roots: RangeInclusive<u64>) {
        for (kind, under, bytes) in self.documents {
            if roots.contains(under)
                && let Err(error) = self.trust.take_again(bytes)
            {
                self.refuse(*kind, error);
            }
        }
    }

    fn refuse(&mut self, kind: DocumentKind, error: Error) {
        let error = Box::new(error);
        self.refused.push(Refused { kind, error });
    }
}

impl Stored<'_> {
    fn restore(&self, anchored: TrustState) -> Restored {
        let roots = self.roots.iter().copied();
        let Replay {
            mut trust, refused, ..
        } = Replay::of(anchored, roots, &self.documents);
        let proved = trust.floors;
        self.raise_floors(&mut trust);
        let used = self.used.iter();
        let used = used.filter_map(|document| trust.verified_reset(document).ok());
        trust.clock.used = used.collect();
        let clock = &mut trust.clock;
        (clock.seen, clock.license) = (self.seen, self.license);
        clock.installation = self.installation;
        trust.known_epoch = self.known_epoch;
        trust.generation = self.generation;
        Restored {
            trust,
            refused,
            proved,
        }
    }

    /// The floors that were stored, and the versions of what was stored, as far as they are about
    /// keys that are still in force.
    fn raise_floors(&self, trust: &mut TrustState) {
        let last = self.roots.last().and_then(|root| decode_root(root));
        let Some(root) = last else { return };
        let mut floors = self.floors;
        for (kind, _, bytes) in &self.documents {
            match (kind, version_of(*kind, bytes)) {
                (DocumentKind::Keyset, Some(version)) if trust.keyset.is_none() => {
                    floors.keyset = floors.keyset.max(version);
                }
                (DocumentKind::Status, Some(epoch)) if trust.lists.is_none() => {
                    floors.status = floors.status.max(epoch);
                }
                _ => {}
            }
        }
        trust.raise_floors(floors, &root);
    }
}

impl TrustState {
    /// Takes a stored document again. A status list need not go with the keyset any more: a root
    /// may have let go of that and kept the list.
    pub(super) fn take_again(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let document = UntrustedDocument::parse(bytes)?;
        if document.kind() != DocumentKind::Status {
            self.import(bytes)?;
        } else if let Some(status) = self.newer_status(&document)? {
            self.hold_status(status, &document);
        }
        Ok(())
    }

    /// Raises the floors to those that held under another root, as far as that root's keys are
    /// still in force.
    fn raise_floors(&mut self, floors: Floors, under: &Root) {
        let root = &self.root.document;
        if !replaced(&under.keyset, &root.keyset) {
            self.floors.keyset = self.floors.keyset.max(floors.keyset);
        }
        if !replaced(&under.status, &root.status) {
            self.floors.status = self.floors.status.max(floors.status);
        }
        self.drop_refused();
    }

    /// Takes over what another copy of this state knows: documents, and what its clock has shown.
    /// Nothing falls by it that no signature lowered. Of floors it takes those that documents
    /// prove: a number in a file is anybody's.
    pub fn absorb(&mut self, other: &Self) {
        let mut theirs = other.clone();
        if other.roots.last() != self.roots.last() {
            let longer = if other.root().version > self.root().version {
                other
            } else {
                &*self
            };
            let roots = longer.roots.clone();
            theirs = self.replayed(other, &roots);
            let mut ours = self.replayed(self, &roots);
            if ours.root().version >= self.root().version {
                ours.raise_floors(self.floors, self.root());
                (self.root, self.roots, self.floors) = (ours.root, ours.roots, ours.floors);
                (self.keyset, self.catalogs) = (ours.keyset, ours.catalogs);
                self.lists = ours.lists;
            }
        }
        self.absorb_clock(&theirs, other);
        self.take_newer(theirs);
        if let Some(license) = other.clock.license {
            self.raise_license_floor(license);
        }
        if let Some(known) = other.known_epoch {
            self.raise_known_epoch(known);
        }
        self.generation = self.generation.max(other.generation);
    }

    /// What the documents of a state come to under these roots, from this state's anchor on. Each
    /// is judged under the root that it was taken under, whichever copy had that one first.
    fn replayed(&self, of: &Self, roots: &[Vec<u8>]) -> Self {
        let anchor = self.roots.first().expect("the anchor is the first root");
        let anchored = Self::from_anchor(anchor).expect("the state began with this anchor");
        let documents = of.stored_documents();
        let roots = roots.iter().map(Vec::as_slice);
        Replay::of(anchored, roots, &documents).trust
    }

    fn stored_documents(&self) -> Vec<StoredDocument<'_>> {
        let keyset = self.keyset.iter().map(|held| (held.under, &held.bytes));
        let keyset = keyset.map(|(under, bytes)| (DocumentKind::Keyset, under, &bytes[..]));
        let lists = self.lists.iter().flat_map(HeldLists::held);
        let lists = lists.map(|held| (DocumentKind::Status, held.under, &held.bytes[..]));
        let catalogs = self.catalogs.values();
        let catalogs = catalogs.map(|held| (DocumentKind::Catalog, held.under, &held.bytes[..]));
        keyset.chain(lists).chain(catalogs).collect()
    }

    fn absorb_clock(&mut self, theirs: &Self, other: &Self) {
        let epoch = |state: &Self| state.status().map_or(0, |status| status.epoch);
        let news = match epoch(self).cmp(&epoch(theirs)) {
            Ordering::Greater => News::Ours,
            Ordering::Less => News::Theirs,
            Ordering::Equal => News::None,
        };
        let mut clock = other.clock.clone();
        clock
            .used
            .retain(|used| self.verified_reset(&used.bytes).is_ok());
        let times = (self.signed_floor(), self.lead());
        self.clock.absorb(clock, news, times);
    }

    /// Takes over what is newer in a state under the same root.
    fn take_newer(&mut self, other: Self) {
        let version =
            |keyset: &Option<Held<Keyset>>| keyset.as_ref().map_or(0, |held| held.document.version);
        if version(&other.keyset) > version(&self.keyset) {
            self.keyset = other.keyset;
        }
        for (product, theirs) in other.catalogs {
            let ours = self.catalogs.get(&product);
            let newer = ours.is_none_or(|ours| ours.document.revision < theirs.document.revision);
            if newer && self.room_for_catalog(&product, theirs.bytes.len()).is_ok() {
                self.catalogs.insert(product, theirs);
            }
        }
        if let Some(lists) = other.lists {
            self.take_newer_lists(lists);
        }
        self.drop_refused();
    }
}

impl Restored {
    /// What two copies are together. A floor that documents do not prove counts if both copies
    /// state it: one of them may be in somebody else's reach.
    #[cfg(feature = "std")]
    pub(crate) fn merged(mut self, other: &Self) -> Self {
        let (ours, theirs) = (self.trust.floors, other.trust.floors);
        let stated = Floors {
            keyset: ours.keyset.min(theirs.keyset),
            status: ours.status.min(theirs.status),
        };
        self.trust.floors = self.proved;
        self.trust.absorb(&other.trust);
        let root = self.trust.root().clone();
        self.trust.raise_floors(stated, &root);
        self
    }
}

/// The root in a stored document, whoever signed it.
fn decode_root(bytes: &[u8]) -> Option<Root> {
    let document = UntrustedDocument::parse(bytes).ok()?;
    let is_root = document.kind() == DocumentKind::Root;
    let root = Root::decode(document.unverified_payload());
    root.ok().filter(|_| is_root)
}

fn version_of_root(bytes: &[u8]) -> Option<u64> {
    decode_root(bytes).map(|root| root.version)
}

/// The version of a stored keyset or status list, whoever signed it.
fn version_of(kind: DocumentKind, bytes: &[u8]) -> Option<u64> {
    let document = UntrustedDocument::parse(bytes).ok()?;
    let payload = document.unverified_payload();
    match kind {
        DocumentKind::Keyset => Keyset::decode(payload).ok().map(|keyset| keyset.version),
        DocumentKind::Status => crate::Status::decode(payload)
            .ok()
            .map(|status| status.epoch),
        _ => None,
    }
}
