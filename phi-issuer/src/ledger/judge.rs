//! The judge: goes through the entries in order and says of each whether a writer of Phi could
//! have recorded it after those before it.
//!
//! The rules are the writers' own. What they are asked of, and what becomes of a divergence, is
//! `verify`'s.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phi_verify::{
    Binding, DocumentKind, Imported, KeyId, PublicKey, TrustState, UnixTime, UnsignedToken,
    dangerous_inspect,
    log::{Hash, LogState, Origin, UntrustedCheckpoint},
};

use super::verify::{Divergence, Place, Verified, chain, continues_another, diverged, found};
use crate::{
    MintedToken, Publication, RevokeRequest,
    catalog::{Revision, Source},
    clock_reset,
    entry::{ENTRY_VERSION, Entry},
    error::Error,
    event::{Event, IssuedReset, SignedCheckpoint},
    keys::Role,
    license::{self, Change, Issuance, LicenseChange, Times},
    mint::{license_claims, mintable},
    rule, status,
    store::{RawRow, RowDifference, Shadow, Tiles, hash_of},
    tree::{TILE_WIDTH, TileChecker, TileStore as _, TreeError},
};

/// Goes through the events and says of each whether it is right after those before it.
pub(super) struct Judge<'s> {
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
    pub(super) fn new(shadow: &'s Shadow, tiles: &'s Tiles<'s>, held: Option<LogState>) -> Self {
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

    pub(super) fn size(&self) -> u64 {
        self.checker.size()
    }

    /// Judges the next row of the ledger.
    pub(super) fn row(&mut self, row: &RawRow) -> Result<(), Error> {
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
            Error::NotVerified(cause) => {
                let problem = format!("what it records does not verify: {cause}");
                diverged(Place::Event(seq), problem)
            }
            error => diverged(Place::Event(seq), chain(&error)),
        };
        let entry = Entry::decode(&row.entry).map_err(at_event)?;
        check_columns(row, &entry, seq).map_err(|problem| diverged(Place::Event(seq), problem))?;
        let leaf = hash_of(&entry, &row.entry);
        self.check_leaf(leaf)?;
        self.time(&entry).map_err(at_event)?;
        rule::check(&self.shadow.query(), &entry).map_err(at_event)?;
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
                Ok(())
            }
            Event::KeyAdded { role, public, .. } => {
                self.keys.insert(public.id(), (*role, public.clone()));
                Ok(())
            }
            Event::CatalogRecorded { revision, source } => self.catalog(revision, source),
            Event::LicenseDrafted { license }
            | Event::LicenseIssued { license }
            | Event::TrialStarted { license } => {
                let trial = matches!(entry.event, Event::TrialStarted { .. });
                let issued = matches!(entry.event, Event::LicenseIssued { .. });
                expect(
                    !(trial || issued) || license.order.trial == trial,
                    "a trial is started, and what is started is a trial",
                )?;
                self.issuance(license, entry.time)
            }
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
                        cut: revocation.cut,
                        reason: revocation.reason,
                    },
                )
            }
            Event::Unrevoked(unrevocation) => {
                expect(
                    unrevocation.since == entry.time,
                    "it was not unrevoked when it was recorded",
                )?;
                let decided = crate::unrevoke::check(&query, &unrevocation.subject)?;
                expect(
                    decided.keeps == unrevocation.keeps,
                    "it does not leave in force what a change took back",
                )
            }
            // What there is to know of these the rules said.
            Event::KeyActivated { .. }
            | Event::KeyExported { .. }
            | Event::KeyRetired { .. }
            | Event::KeyProlonged { .. }
            | Event::KeyDropped { .. }
            | Event::CustomerAdded { .. }
            | Event::CustomerChanged { .. }
            | Event::ClockCorrected { .. } => Ok(()),
            Event::DocumentPublished(publication) => self.document(publication),
            Event::CheckpointSigned(checkpoint) => self.checkpoint(checkpoint),
            Event::ClockResetIssued(reset) => self.clock_reset(reset, entry.time),
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
        let keyset = self.trust.as_ref().and_then(TrustState::keyset);
        let published = keyset.and_then(|keyset| keyset.key(key_id));
        expect(
            published.is_some_and(|entry| entry.state.signs_at(time)),
            "no published keyset lets the token's key sign then",
        )?;
        let signed = match self.keys.get(&key_id) {
            Some((Role::License, public)) => is_signed(&minted.token, key_id, &claims, public),
            _ => false,
        };
        expect(signed, "no license key of the ledger signed the token")
    }

    /// The document follows those before it, under the keys that the newest root names.
    fn document(&mut self, publication: &Publication) -> Result<(), Error> {
        if publication.base.is_some() {
            return status::check_delta(&self.shadow.query(), publication);
        }
        match &mut self.trust {
            Some(trust) => {
                let imported = trust.import(&publication.document);
                expect(
                    imported.map_err(Error::NotVerified)? == Imported::Updated(publication.kind),
                    "the document was published before",
                )?;
            }
            none => {
                let anchor = TrustState::from_anchor(&publication.document);
                let anchor = anchor.map_err(Error::NotVerified)?;
                expect(
                    anchor.root().issuer == self.issuer,
                    "the trust anchor is another issuer's",
                )?;
                *none = Some(anchor);
            }
        }
        let said = described(publication.document.clone()).map_err(Error::NotVerified)?;
        expect(
            said == *publication,
            "the event does not say what its document says",
        )?;
        if publication.kind == DocumentKind::Status {
            self.epoch = publication.version;
        }
        Ok(())
    }

    /// An installation that had imported everything published would have taken it.
    fn clock_reset(&self, issued: &IssuedReset, time: UnixTime) -> Result<(), Error> {
        let trust = self.trust.as_ref();
        let trust = trust.ok_or(Error::NotVerified(phi_verify::Error::KeysetMissing))?;
        let taken = clock_reset::try_on(trust, issued, time).map_err(Error::NotVerified)?;
        expect(
            (taken.not_after, taken.to) == (issued.not_after, issued.to),
            "the event does not say what its document says",
        )
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
    pub(super) fn finish(self, total: u64) -> Result<Verified, Error> {
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

/// A document with what it says of itself: kind, product, version and time.
pub(super) fn described(document: Vec<u8>) -> Result<Publication, phi_verify::Error> {
    use dangerous_inspect::Document;
    let none = String::new();
    let mut base = None;
    let (kind, product, version, issued_at) = match dangerous_inspect::document(&document)? {
        Document::Root(root) => (DocumentKind::Root, none, root.version, root.issued_at),
        Document::Keyset(keyset) => (DocumentKind::Keyset, none, keyset.version, keyset.issued_at),
        Document::Status(list) => {
            base = list.base().map(|base| base.epoch);
            (DocumentKind::Status, none, list.epoch, list.this_update)
        }
        Document::Catalog(catalog) => {
            let (revision, issued_at) = (catalog.revision, catalog.issued_at);
            (DocumentKind::Catalog, catalog.product, revision, issued_at)
        }
        Document::ClockReset(_) => {
            let kind = DocumentKind::ClockReset;
            return Err(phi_verify::Error::DocumentNotImported(kind));
        }
    };
    Ok(Publication {
        kind,
        product,
        version,
        base,
        issued_at,
        document,
    })
}
