//! Verifying: everything that the store says is computed again from its events, and the first
//! thing that is not so is named.
//!
//! Whoever can write the store can write a whole new history. What stands against that is a
//! checkpoint that somebody else kept: hand it in.

use std::{collections::HashMap, error::Error as StdError, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phi_verify::{
    Binding, DocumentKind, KeyId, PublicKey, TrustState, UnixTime, UnsignedToken,
    dangerous_inspect,
    log::{Hash, LogState, Origin, UntrustedCheckpoint},
};

use crate::{
    Issuer, MintedToken, Publication, RevokeRequest,
    catalog::{Revision, Source},
    entry::{ENTRY_VERSION, Entry},
    error::Error,
    event::{Event, SignedCheckpoint},
    keys::Role,
    license::{self, Change, Issuance, LicenseChange, Times},
    mint::{license_claims, mintable},
    store::{RawRow, RowDifference, Shadow, Store, Tiles, hash_of},
    tree::{TILE_WIDTH, TileChecker, TileStore as _, TreeError},
};

/// What the ledger is, after all of it was found to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The events.
    pub events: u64,
    /// The licenses among them that were issued, drafted or started as trials.
    pub licenses: u64,
    /// The tokens.
    pub tokens: u64,
    /// The checkpoints.
    pub checkpoints: u64,
    /// The root of the Merkle tree over all of them.
    pub root: Hash,
    /// When the newest was recorded.
    pub newest: UnixTime,
    /// How many events a checkpoint covers that was handed in.
    pub held: Option<u64>,
}

/// The first thing in the store that is not what its events make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Where it is.
    pub place: Place,
    /// What is wrong there.
    pub problem: String,
}

/// A place in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The database itself, or its schema.
    Database,
    /// An event, by its number.
    Event(u64),
    /// A derived table, by the key of the row.
    Row {
        /// The table.
        table: &'static str,
        /// The row's key.
        key: String,
    },
    /// The tree of hashes.
    Tree,
    /// The history that a checkpoint of this size covers.
    Checkpoint(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("the database"),
            Self::Event(seq) => write!(f, "event {seq}"),
            Self::Row { table, key } => write!(f, "row {key} of table {table}"),
            Self::Tree => f.write_str("the tree of hashes"),
            Self::Checkpoint(size) => write!(f, "the first {size} events"),
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// How far a verification is: events that were looked at, and all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events that were looked at.
    pub done: u64,
    /// All of them.
    pub total: u64,
}

/// How often the progress is told: a thousand events take some hundredths of a second.
const STEP: u64 = 1024;

impl Issuer {
    /// Computes everything in the store again: entries, hashes, tree, checkpoints, states,
    /// tokens and documents with their signatures, catalogs, and every derived row. A checkpoint
    /// that somebody kept, or else the one that was published last, shows that nothing before it
    /// was edited.
    ///
    /// # Errors
    /// [`Error::Diverged`] with the first thing that is not so, or
    /// [`Error::ForeignCheckpoint`] for a checkpoint of another ledger.
    pub fn verify_ledger(
        &mut self,
        held: Option<&str>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Verified, Error> {
        // Without another one, the checkpoint that was published last is what was kept.
        let published = self.published_checkpoint();
        run(
            &mut self.store,
            held.or(published.as_deref()),
            &mut progress,
        )
    }
}

/// Verifies a store.
pub(super) fn run(
    store: &mut Store,
    held: Option<&str>,
    progress: &mut impl FnMut(Progress),
) -> Result<Verified, Error> {
    let held = held.map(|text| store.read(|query| super::held(query, text)));
    let (held, unjudged) = match held.transpose() {
        Ok(held) => (held, None),
        Err(error @ (Error::ForeignCheckpoint { .. } | Error::Invalid { .. })) => {
            return Err(error);
        }
        // The roots that judge a checkpoint do not read: why is found below.
        Err(error) => (None, Some(error)),
    };
    let shadow = Shadow::of(store).map_err(found)?;
    if let Some(problem) = shadow.unsound().map_err(found)? {
        return Err(diverged(Place::Database, problem));
    }
    shadow.at_one_moment(|shadow| {
        let total = shadow.rows().map_err(found)?;
        let tiles = shadow.tiles();
        let mut judge = Judge::new(shadow, &tiles, held);
        let judged = shadow.replay(|row| {
            let done = judge.size();
            if done.is_multiple_of(STEP) {
                progress(Progress { done, total });
            }
            judge.row(&row)
        });
        judged.map_err(found)?;
        let verified = judge.finish(total)?;
        progress(Progress { done: total, total });
        unjudged.map_or(Ok(verified), Err)
    })
}

/// A store that cannot be read as it should was changed from outside, or damaged.
fn found(error: Error) -> Error {
    match &error {
        Error::EventDamaged { problem } => diverged(Place::Database, problem.clone()),
        Error::Store(_) if error.code() == "store-damaged" => {
            diverged(Place::Database, chain(&error))
        }
        _ => error,
    }
}

fn diverged(place: Place, problem: impl Into<String>) -> Error {
    Error::Diverged(Divergence {
        place,
        problem: problem.into(),
    })
}

/// The ledger is not the one of which a checkpoint was signed.
pub(super) fn continues_another(size: u64) -> Error {
    diverged(
        Place::Checkpoint(size),
        "they are not those of which a checkpoint was signed",
    )
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Goes through the events and says of each whether it is right after those before it.
struct Judge<'s> {
    shadow: &'s Shadow,
    tiles: &'s Tiles<'s>,
    checker: TileChecker<'s, Tiles<'s>>,
    /// The tile of leaf hashes in which the next event's is.
    leaves: Vec<u8>,
    newest: UnixTime,
    /// The version of the entry before.
    version: u64,
    trust: Option<TrustState>,
    issuer: String,
    keys: HashMap<KeyId, (Role, PublicKey)>,
    /// The newest status epoch so far.
    epoch: u64,
    held: Option<LogState>,
    licenses: u64,
    tokens: u64,
    checkpoints: u64,
}

impl<'s> Judge<'s> {
    fn new(shadow: &'s Shadow, tiles: &'s Tiles<'s>, held: Option<LogState>) -> Self {
        Self {
            shadow,
            tiles,
            checker: TileChecker::new(tiles),
            leaves: Vec::new(),
            newest: UnixTime::EPOCH,
            version: 0,
            trust: None,
            issuer: String::new(),
            keys: HashMap::new(),
            epoch: 0,
            held,
            licenses: 0,
            tokens: 0,
            checkpoints: 0,
        }
    }

    fn size(&self) -> u64 {
        self.checker.size()
    }

    /// Judges the next row of the ledger.
    fn row(&mut self, row: &RawRow) -> Result<(), Error> {
        self.compare_held()?;
        let seq = self.size() + 1;
        if row.seq != seq.cast_signed() {
            let problem = format!("is missing: event {} stands in its place", row.seq);
            return Err(diverged(Place::Event(seq), problem));
        }
        let at_event = |error: Error| match found(error) {
            Error::Diverged(Divergence { place, problem }) => match place {
                Place::Database => diverged(Place::Event(seq), problem),
                place => diverged(place, problem),
            },
            error @ (Error::Store(_) | Error::System { .. }) => error,
            error => diverged(Place::Event(seq), chain(&error)),
        };
        let entry = Entry::decode(&row.entry).map_err(at_event)?;
        check_columns(row, &entry, seq).map_err(|problem| diverged(Place::Event(seq), problem))?;
        let leaf = hash_of(&entry, &row.entry);
        self.check_leaf(leaf)?;
        self.time(&entry).map_err(at_event)?;
        self.event(&entry).map_err(at_event)?;
        self.shadow.apply(&entry).map_err(at_event)?;
        self.checker.push(leaf).map_err(in_tree)
    }

    /// Times never fall, except where somebody said that the clock was ahead.
    fn time(&mut self, entry: &Entry) -> Result<(), Error> {
        if let Event::ClockCorrected { newest } = entry.event {
            let right = newest == self.newest && entry.time < newest;
            self.newest = entry.time;
            return expect(right, "there was nothing to correct in the clock");
        }
        // Entries of the first version come first, and only their times may fall.
        expect(
            entry.version >= self.version,
            "it is of an older version than the event before it",
        )?;
        self.version = entry.version;
        let falls = entry.version >= ENTRY_VERSION && entry.time < self.newest;
        self.newest = self.newest.max(entry.time);
        expect(!falls, "it was recorded before the event before it")
    }

    /// Whether the stored tree has this hash for the next leaf: before anything that follows from
    /// the event is looked at, so that the event itself is named.
    fn check_leaf(&mut self, leaf: [u8; 32]) -> Result<(), Error> {
        let index = self.size();
        let width = TILE_WIDTH as u64;
        let (number, position) = (index / width, usize::try_from(index % width));
        let position = position.expect("a position in a tile");
        if position == 0 {
            let tile = self.tiles.tile(0, number).map_err(found)?;
            self.leaves = tile.unwrap_or_default();
        }
        let stored = self
            .leaves
            .get(position * leaf.len()..(position + 1) * leaf.len());
        if stored == Some(&leaf[..]) {
            return Ok(());
        }
        let problem = "its hash is not the one in the tree: one of the two was changed";
        Err(diverged(Place::Event(index + 1), problem))
    }

    /// Whether the events so far are those of the checkpoint that was handed in.
    fn compare_held(&self) -> Result<(), Error> {
        match &self.held {
            Some(held)
                if held.size() == self.size() && *held.root().as_bytes() != self.checker.root() =>
            {
                Err(continues_another(held.size()))
            }
            _ => Ok(()),
        }
    }

    /// Whether the event can have happened after those before it.
    fn event(&mut self, entry: &Entry) -> Result<(), Error> {
        let query = self.shadow.query();
        match &entry.event {
            Event::IssuerCreated { issuer } => {
                self.issuer.clone_from(issuer);
                expect(entry.seq == 1, "the issuer began before")
            }
            Event::KeyAdded { role, public, .. } => {
                let earlier = self.keys.insert(public.id(), (*role, public.clone()));
                expect(earlier.is_none(), "the key was there already")
            }
            Event::KeyActivated { key_id, .. }
            | Event::KeyRetired { key_id, .. }
            | Event::KeyDropped { key_id } => {
                expect(self.keys.contains_key(key_id), "there is no such key")
            }
            Event::CatalogRecorded { revision, source } => self.catalog(revision, source),
            Event::CustomerAdded { customer } => {
                let known = query.customer(&customer.id)?;
                expect(known.is_none(), "the customer was there already")
            }
            Event::CustomerChanged { customer } => {
                let known = query.customer(&customer.id)?;
                expect(known.is_some(), "there is no such customer")
            }
            Event::LicenseDrafted { license }
            | Event::LicenseIssued { license }
            | Event::TrialStarted { license } => self.issuance(license, entry.time),
            Event::LicenseChanged(change) => self.change(change, entry.time),
            Event::TokenMinted(token) => self.token(token, entry.time),
            Event::Revoked(revocation) => {
                expect(
                    revocation.since == entry.time,
                    "it was not revoked when it was recorded",
                )?;
                crate::revoke::check(
                    &query,
                    &RevokeRequest {
                        subject: revocation.subject.clone(),
                        issued_before: revocation.issued_before,
                        reason: revocation.reason,
                    },
                )
            }
            Event::ClockCorrected { .. } => Ok(()),
            Event::DocumentPublished(publication) => self.document(publication),
            Event::CheckpointSigned(checkpoint) => self.checkpoint(checkpoint),
        }
    }

    /// The recorded catalog is what its text makes of the one before.
    fn catalog(&self, revision: &Revision, source: &str) -> Result<(), Error> {
        let source = Source::parse(source)?;
        let before = self
            .shadow
            .query()
            .newest_catalog(source.product().as_str())?;
        let made = match before {
            None => Revision::first(&source)?,
            Some(before) => before.next(&source)?,
        };
        expect(
            made == *revision,
            "the catalog is not what its text makes it",
        )
    }

    fn issuance(&mut self, issuance: &Issuance, time: UnixTime) -> Result<(), Error> {
        self.licenses += 1;
        let query = self.shadow.query();
        expect(issuance.revision == 1, "a license begins with revision 1")?;
        expect(
            issuance.issued_at == time,
            "the license was not issued when it was recorded",
        )?;
        if let Some(before) = issuance.supersedes {
            license::find(&query, before)?;
        }
        // Licenses that were brought over from elsewhere keep the times that they had there.
        let (catalog, _) = license::check(&query, &issuance.order, time, Times::AsTheyWere)?;
        expect(
            issuance.catalog_revision == catalog.number(),
            "the license is not read in the newest catalog",
        )
    }

    fn change(&self, change: &LicenseChange, time: UnixTime) -> Result<(), Error> {
        let query = self.shadow.query();
        let license = license::find(&query, change.license)?;
        if let Change::Transfer { successor } = change.change {
            let successor = license::find(&query, successor)?;
            expect(
                successor.supersedes == Some(change.license),
                "the license that takes over does not say so",
            )?;
        }
        license::changed(&query, &license, change, time).map(drop)
    }

    /// The token says what its license was, and its key signed it.
    fn token(&mut self, minted: &MintedToken, time: UnixTime) -> Result<(), Error> {
        self.tokens += 1;
        let query = self.shadow.query();
        let license = license::find(&query, minted.license)?.at(time);
        mintable(&query, &license, time)?;
        let (key_id, claims) =
            dangerous_inspect::token(&minted.token).map_err(Error::NotVerified)?;
        let terms = license::terms(&query, &license)?;
        let expected = phi_verify::Claims {
            token_id: minted.token_id,
            binding: claims.binding.clone(),
            minimum: claims.minimum,
            mint_epoch: self.epoch,
            ..license_claims(&self.issuer, &license, terms, time)
        };
        expect(
            claims == expected,
            "the token does not say what its license was",
        )?;
        let bound = match &license.machine {
            None => None,
            Some(machine) => {
                let (machine, required) = machine.fingerprint()?;
                Some(Binding::new(&machine, required).map_err(Error::NotVerified)?)
            }
        };
        expect(
            bound.is_none() || bound == claims.binding,
            "the token is not bound to the license's machine",
        )?;
        let said = MintedToken {
            token_id: claims.token_id,
            license: license.id,
            license_revision: license.revision,
            key_id,
            issued_at: time,
            expires: claims.expires,
            ends: claims.expires.map(|expires| expires.plus(claims.grace)),
            mint_epoch: self.epoch,
            token: minted.token.clone(),
        };
        expect(
            said == *minted,
            "the event does not say what its token says",
        )?;
        let signed = match self.keys.get(&key_id) {
            Some((Role::License, public)) => is_signed(&minted.token, key_id, &claims, public),
            _ => false,
        };
        expect(signed, "no license key of the ledger signed the token")
    }

    /// The document follows those before it, under the keys that the newest root names.
    fn document(&mut self, publication: &Publication) -> Result<(), Error> {
        match &mut self.trust {
            Some(trust) => drop(
                trust
                    .import(&publication.document)
                    .map_err(Error::NotVerified)?,
            ),
            none => {
                let anchor = TrustState::from_anchor(&publication.document);
                *none = Some(anchor.map_err(Error::NotVerified)?);
            }
        }
        let (kind, product, version, issued_at) = described(&publication.document)?;
        let same = kind == publication.kind
            && product == publication.product
            && version == publication.version
            && issued_at == publication.issued_at;
        expect(same, "the event does not say what its document says")?;
        if kind == DocumentKind::Status {
            self.epoch = version;
        }
        Ok(())
    }

    fn checkpoint(&mut self, signed: &SignedCheckpoint) -> Result<(), Error> {
        self.checkpoints += 1;
        expect(
            signed.size == self.size(),
            "a checkpoint covers every event before it",
        )?;
        let trust = self.trust.as_ref();
        let root = trust
            .ok_or(Error::NotVerified(phi_verify::Error::KeysetMissing))?
            .root();
        let checkpoint = UntrustedCheckpoint::parse(&signed.note).map_err(Error::NotVerified)?;
        let verified = checkpoint.verify(&root.ledger, &Origin::of_issuer(&root.issuer));
        let verified = verified.map_err(Error::NotVerified)?;
        let same =
            verified.size() == signed.size && *verified.root().as_bytes() == self.checker.root();
        if same {
            return Ok(());
        }
        Err(continues_another(signed.size))
    }

    /// What is to be right after the last event.
    fn finish(self, total: u64) -> Result<Verified, Error> {
        self.compare_held()?;
        let (size, root) = (self.size(), self.checker.root());
        let held = self.held.as_ref().map(LogState::size);
        if let Some(covered) = held.filter(|covered| *covered > size) {
            let problem = format!("there are only {size}: the last ones were taken away");
            return Err(diverged(Place::Checkpoint(covered), problem));
        }
        if total != size {
            let problem = format!("{} rows of the ledger have no place in it", total - size);
            return Err(diverged(Place::Database, problem));
        }
        self.checker.finish().map_err(in_tree)?;
        if !self.shadow.has_tiles_for(size).map_err(found)? {
            return Err(diverged(Place::Tree, "it has tiles that no event makes"));
        }
        let difference = self.shadow.first_difference().map_err(found)?;
        if let Some(RowDifference {
            table,
            key,
            problem,
        }) = difference
        {
            return Err(diverged(Place::Row { table, key }, problem.to_string()));
        }
        Ok(Verified {
            events: size,
            licenses: self.licenses,
            tokens: self.tokens,
            checkpoints: self.checkpoints,
            root: Hash::from_bytes(root),
            newest: self.newest,
            held,
        })
    }
}

fn expect(holds: bool, problem: &str) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::EventDamaged {
        problem: problem.into(),
    })
}

/// What stands beside the entry for queries is what the entry says.
fn check_columns(row: &RawRow, entry: &Entry, seq: u64) -> Result<(), String> {
    let columns = [
        ("number", entry.seq == seq),
        ("time", row.time == Some(entry.time)),
        ("actor", row.actor == entry.actor),
        ("word", row.word == entry.event.name()),
        (
            "idempotency key",
            row.idempotency_key == entry.idempotency_key,
        ),
    ];
    match columns.into_iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((column, _)) => Err(format!("its {column} is not what its entry says")),
    }
}

fn in_tree(error: TreeError<Error>) -> Error {
    match error {
        TreeError::Store(error) => found(error),
        error => diverged(Place::Tree, error.to_string()),
    }
}

/// Whether the key signed the token, which says these claims.
fn is_signed(token: &str, key_id: KeyId, claims: &phi_verify::Claims, key: &PublicKey) -> bool {
    let signature = token.split('.').nth(2).and_then(|payload| {
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        payload.last_chunk::<64>().copied()
    });
    let unsigned = UnsignedToken::license(key_id, claims);
    signature
        .zip(unsigned.ok())
        .is_some_and(|(signature, unsigned)| {
            unsigned.sealed(&signature) == token && key.verify(&unsigned.message(), &signature)
        })
}

/// What a document says of itself: kind, product, version and time.
fn described(document: &[u8]) -> Result<(DocumentKind, String, u64, UnixTime), Error> {
    use dangerous_inspect::Document;
    let document = dangerous_inspect::document(document).map_err(Error::NotVerified)?;
    Ok(match document {
        Document::Root(root) => (
            DocumentKind::Root,
            String::new(),
            root.version,
            root.issued_at,
        ),
        Document::Keyset(keyset) => {
            let (version, issued_at) = (keyset.version, keyset.issued_at);
            (DocumentKind::Keyset, String::new(), version, issued_at)
        }
        Document::Status(list) => {
            let (epoch, made) = (list.epoch, list.this_update);
            (DocumentKind::Status, String::new(), epoch, made)
        }
        Document::Catalog(catalog) => {
            let (revision, issued_at) = (catalog.revision, catalog.issued_at);
            (DocumentKind::Catalog, catalog.product, revision, issued_at)
        }
    })
}
