//! The issuer's store: an append-only ledger of events in SQLite, and the tables derived from it.
//!
//! Every change is one transaction that appends events and applies them to the tables; what was
//! committed survives a power cut, and two issuers on one store take turns.

mod apply;
mod begin;
mod engine;
mod facts;
mod fault;
mod migrate;
mod query;
mod shadow;
mod tiles;
mod tokens;
mod trail;

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
pub(crate) use begin::Empty;
pub(crate) use engine::Location;
use engine::{Access, Engine, Transaction, values};
pub(crate) use facts::{Fact, LicenseFact, TokenFact};
pub use fault::StoreError;
use phi_verify::UnixTime;
use query::CatalogCache;
pub(crate) use query::{KeyRow, Query};
use serde::Serialize;
pub(crate) use shadow::{RawRow, RowDifference, Shadow};
pub(crate) use tiles::{Tiles, damaged as damaged_tree, hash_of};
pub(crate) use tokens::TokenRow;
pub(crate) use trail::{TrailFilter, TrailRow};

use crate::{
    Context,
    entry::{self, ENTRY_VERSION, Entry},
    error::Error,
    event::{self, Event},
    license::{self, LicenseRecord},
    rule,
    tree::{Appender, Hash},
};

/// Version of the tables. A store of a newer version is refused, an older one is brought up to
/// date when it is opened.
const SCHEMA_VERSION: u32 = 2;
/// Leaves whose tiles are held before they are written: 2 MiB of them.
const LEAVES_IN_MEMORY: u64 = 1 << 16;

/// The files of a store in a file: itself and its journals, which go with it.
pub(crate) fn files_of(store: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|end| {
        let mut name = store.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    engine: Engine,
    location: Location,
    catalogs: CatalogCache,
}

impl Store {
    /// Makes a store where there is none.
    pub(crate) fn create(location: &Location) -> Result<Self, Error> {
        Empty::connect(location)?.fill(|_| Ok(()))
    }

    /// Opens a store that is there.
    pub(crate) fn open(location: &Location) -> Result<Self, Error> {
        let store = Self::on(Engine::open(location)?, location);
        store.migrate()?;
        Ok(store)
    }

    /// Makes a store of entries that are there already. `source` hands over the bytes of each, in
    /// order; all of it is made, or nothing.
    pub(crate) fn create_from(
        location: &Location,
        source: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Empty::connect(location)?.fill(source)
    }

    /// Hands over the bytes of every entry, in order.
    pub(crate) fn each_entry(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.read(|query| query.replay(|_, bytes| each(bytes)))
    }

    /// Copies the file of the store into an empty one, as it is now. A store on a server has
    /// none, and nothing is done.
    pub(crate) fn copy_file(&mut self, path: &Path) -> Result<bool, Error> {
        self.engine.copy_file(path)
    }

    fn on(engine: Engine, location: &Location) -> Self {
        Self {
            engine,
            location: location.clone(),
            catalogs: CatalogCache::default(),
        }
    }

    /// Brings the tables to the newest version: in one step, or not at all.
    fn migrate(&self) -> Result<(), Error> {
        if self.engine.version()? == SCHEMA_VERSION {
            return Ok(());
        }
        let transaction = self.engine.begin(Access::Write)?;
        // Asked again: another issuer may have been first.
        if self.engine.version()? == SCHEMA_VERSION {
            return Ok(());
        }
        failpoint!("migrate-begun");
        migrate::to_version_2(&self.engine)?;
        self.derive()?;
        self.engine.note_version(SCHEMA_VERSION)?;
        failpoint!("migrate-before-commit");
        transaction.commit()?;
        failpoint!("migrate-after-commit");
        Ok(())
    }

    /// Fills the empty derived tables from the events; how many there are.
    fn derive(&self) -> Result<u64, Error> {
        let mut tree = Appender::empty();
        Query::new(&self.engine, &self.catalogs)
            .replay(|entry, bytes| self.derive_from(entry, bytes, &mut tree))?;
        tiles::write(&self.engine, &mut tree)?;
        Ok(tree.size())
    }

    /// Applies an entry that is in the ledger already.
    fn derive_from(&self, entry: &Entry, bytes: &[u8], tree: &mut Appender) -> Result<(), Error> {
        apply::apply(&self.engine, entry)?;
        tree.push(tiles::hash_of(entry, bytes));
        failpoint!("derive-after-entry");
        // What is full need not wait in memory.
        if tree.size().is_multiple_of(LEAVES_IN_MEMORY) {
            tiles::write(&self.engine, tree)?;
        }
        Ok(())
    }

    /// Reads the store as it is at one moment.
    pub(crate) fn read<T>(
        &mut self,
        work: impl FnOnce(&Query<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.engine.begin(Access::Read)?;
        let result = work(&Query::new(&self.engine, &self.catalogs))?;
        transaction.commit()?;
        Ok(result)
    }

    /// Changes the store in one transaction: all of it is durable when this returns, or none of
    /// it happened.
    pub(crate) fn write<T>(
        &mut self,
        context: &Context,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let clock = |newest| lift(context.now, newest).map(drop);
        self.transact(context, clock, work, |transaction| transaction.commit())
    }

    /// Records that the newest entries are of a clock that was ahead of the caller's. What `ask`
    /// finds out before is the answer, with the time of the newest entry.
    pub(crate) fn correct_clock<T>(
        &mut self,
        context: &Context,
        ask: impl FnOnce(&Query<'_>) -> Result<T, Error>,
    ) -> Result<(UnixTime, T), Error> {
        let ahead = |newest: UnixTime| {
            let now = context.now;
            if now < newest {
                return Ok(());
            }
            Err(Error::ClockRight { now, newest })
        };
        let correct = |writer: &mut Writer<'_>| {
            let found = ask(&writer.query())?;
            let newest = writer.newest.time;
            writer.newest.time = context.now;
            writer.append(&Event::ClockCorrected { newest })?;
            Ok((newest, found))
        };
        self.transact(context, ahead, correct, |transaction| transaction.commit())
    }

    /// Does what [`Store::write`] does, and then undoes it.
    pub(crate) fn rehearse<T>(
        &mut self,
        context: &Context,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let clock = |newest| lift(context.now, newest).map(drop);
        let result = self.transact(context, clock, work, |transaction| transaction.rollback());
        self.catalogs.get_mut().clear();
        result
    }

    /// `clock` says whether the caller's clock goes with the time of the newest entry.
    fn transact<T>(
        &mut self,
        context: &Context,
        clock: impl FnOnce(UnixTime) -> Result<(), Error>,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, Error>,
        end: impl FnOnce(Transaction<'_>) -> Result<(), Error>,
    ) -> Result<T, Error> {
        context.check()?;
        let transaction = self.engine.begin(Access::Write)?;
        let newest = self.newest()?;
        clock(newest.time)?;
        let mut writer = self.writer(context, newest);
        let result = work(&mut writer).and_then(|result| {
            failpoint!("write-before-tiles");
            tiles::append(&self.engine, writer.size, &writer.leaves)?;
            failpoint!("write-before-commit");
            end(transaction)?;
            failpoint!("write-after-commit");
            Ok(result)
        });
        if result.is_err() {
            // What was read within a transaction that is undone was never recorded.
            self.catalogs.get_mut().clear();
        }
        result
    }

    fn writer<'c>(&'c self, context: &'c Context, newest: Newest) -> Writer<'c> {
        Writer {
            engine: &self.engine,
            size: newest.seq,
            newest,
            leaves: Vec::new(),
            request: context.idempotency_key.clone(),
            answers: None,
            explanation: None,
            catalogs: &self.catalogs,
            context,
        }
    }

    /// The newest entry.
    fn newest(&self) -> Result<Newest, Error> {
        let sql = "SELECT seq, time FROM events ORDER BY seq DESC LIMIT 1";
        let found = self.engine.one(sql, &[], |row| {
            Ok(Newest {
                seq: row.int(0)?.cast_unsigned(),
                time: query::time(row.int(1)?)?,
            })
        })?;
        Ok(found.unwrap_or(Newest {
            seq: 0,
            time: UnixTime::EPOCH,
        }))
    }

    /// When a request was answered under the caller's name for it, if one was.
    pub(crate) fn answered_at(&mut self, key: &str) -> Result<Option<UnixTime>, Error> {
        let found = self.read(|query| query.answer_to(&request_prefix(key)))?;
        Ok(found.map(|(_, entry)| entry.time))
    }

    /// Makes the derived tables again from the events.
    pub(crate) fn rebuild(&mut self) -> Result<u64, Error> {
        let transaction = self.engine.begin(Access::Write)?;
        for table in apply::TABLES {
            self.engine.execute(&format!("DELETE FROM {table}"), &[])?;
        }
        failpoint!("rebuild-after-delete");
        let count = self.derive()?;
        failpoint!("rebuild-before-commit");
        transaction.commit()?;
        failpoint!("rebuild-after-commit");
        Ok(count)
    }
}

/// How far behind the newest entry a clock may be: clocks of operators who share a store differ
/// by seconds, and by minutes if nobody sets them.
pub(crate) const CLOCK_TOLERANCE: u64 = 5 * 60;

/// The time of the newest entry, if the clock is a little behind it; else the clock's.
fn lift(now: UnixTime, newest: UnixTime) -> Result<UnixTime, Error> {
    if now.plus(CLOCK_TOLERANCE) < newest {
        return Err(Error::ClockBehind { now, newest });
    }
    Ok(now.max(newest))
}

/// A transaction that appends events.
pub(crate) struct Writer<'c> {
    engine: &'c Engine,
    newest: Newest,
    /// How many events there were before the transaction.
    size: u64,
    /// Leaves of the events of the transaction, for the Merkle tree.
    leaves: Vec<Hash>,
    /// The caller's name of the request.
    request: Option<String>,
    /// What the next event answers.
    answers: Option<String>,
    /// What the ledger says beside the caller's reason.
    explanation: Option<String>,
    catalogs: &'c CatalogCache,
    context: &'c Context,
}

/// The newest entry: there is no other writer.
#[derive(Clone, Copy)]
struct Newest {
    seq: u64,
    time: UnixTime,
}

impl Writer<'_> {
    /// The time of the change: that of the caller's clock, or that of the newest entry if the
    /// clock is a little behind it.
    pub(crate) fn now(&self) -> UnixTime {
        self.context.now.max(self.newest.time)
    }

    /// Appends an event and applies it to the tables.
    pub(crate) fn append(&mut self, event: &Event) -> Result<(), Error> {
        let answers = self.answers.take();
        self.append_keyed(event, answers.as_deref())
    }

    /// Appends an event that answers the request with this idempotency key.
    pub(crate) fn append_keyed(&mut self, event: &Event, key: Option<&str>) -> Result<(), Error> {
        let entry = Entry {
            version: ENTRY_VERSION,
            seq: self.newest.seq + 1,
            time: self.now(),
            actor: self.context.actor.clone(),
            reason: self.reason(),
            idempotency_key: key.map(str::to_owned),
            event: event.clone(),
        };
        rule::check(&self.query(), &entry)?;
        let bytes = entry.encode();
        failpoint!("append-before-insert");
        insert(self.engine, &entry, &bytes)?;
        failpoint!("append-after-insert");
        apply::apply(self.engine, &entry)?;
        self.leaves.push(tiles::hash_of(&entry, &bytes));
        self.newest = Newest {
            seq: entry.seq,
            time: entry.time,
        };
        Ok(())
    }

    /// The state within the transaction.
    pub(crate) fn query(&self) -> Query<'_> {
        Query::new(self.engine, self.catalogs)
    }

    /// What the request was answered with, if it was made before under the caller's name for it.
    ///
    /// # Errors
    /// [`Error::IdempotencyConflict`] if another request was.
    pub(crate) fn repeated(&self, request: &impl Serialize) -> Result<Option<Answer>, Error> {
        let Some(key) = &self.request else {
            return Ok(None);
        };
        let Some((found, entry)) = self.query().answer_to(&request_prefix(key))? else {
            return Ok(None);
        };
        if found == request_key(key, request) {
            return Ok(Some(Answer(entry.event)));
        }
        Err(Error::IdempotencyConflict { key: key.clone() })
    }

    /// The next event that is appended answers this request.
    pub(crate) fn answers(&mut self, request: &impl Serialize) {
        let key = self.request.as_ref();
        self.answers = key.map(|key| request_key(key, request));
    }

    /// The next event that is appended answers the request with this idempotency key.
    pub(crate) fn answer_under(&mut self, key: String) {
        self.answers = Some(key);
    }

    /// From here on the ledger says this beside the caller's reason.
    pub(crate) fn explain(&mut self, explanation: Option<&str>) {
        self.explanation = explanation.map(str::to_owned);
    }

    fn reason(&self) -> Option<String> {
        let parts = [&self.context.reason, &self.explanation];
        let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
        Some(parts.join("; ")).filter(|text| !text.is_empty())
    }

    /// What follows is the part at this place of a request with many.
    pub(crate) fn part(&mut self, place: usize) {
        let key = self.context.idempotency_key.as_ref();
        self.request = key.map(|key| format!("{key}/{place}"));
    }

    /// Carries out a part of the transaction that may fail alone. Where the store itself fails,
    /// the whole of it does.
    pub(crate) fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, Error> {
        self.engine.batch("SAVEPOINT attempt")?;
        let (newest, leaves) = (self.newest, self.leaves.len());
        let result = match work(self) {
            Err(error @ (Error::Store(_) | Error::EventDamaged { .. })) => return Err(error),
            result => result,
        };
        if result.is_err() {
            self.engine.batch("ROLLBACK TO attempt")?;
            self.newest = newest;
            self.leaves.truncate(leaves);
        }
        // An answer that no event gave goes with the part that it was for.
        self.answers = None;
        self.engine.batch("RELEASE attempt")?;
        Ok(result)
    }
}

fn insert(engine: &Engine, entry: &Entry, bytes: &[u8]) -> Result<(), Error> {
    engine.execute(
        "INSERT INTO events (seq, time, actor, word, idempotency_key, entry)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![
            entry.seq.cast_signed(),
            entry.time.seconds().cast_signed(),
            &entry.actor,
            entry.event.name(),
            entry.idempotency_key.as_deref(),
            bytes
        ],
    )?;
    Ok(())
}

/// The event that answered a request before.
pub(crate) struct Answer(Event);

impl Answer {
    /// The license that the request issued or changed.
    pub(crate) fn license(self, writer: &Writer<'_>) -> Result<LicenseRecord, Error> {
        let id = match self.0 {
            Event::LicenseDrafted { license }
            | Event::LicenseIssued { license }
            | Event::TrialStarted { license } => license.id,
            Event::LicenseChanged(change) => change.license,
            _ => return Err(engine::damaged("an answer")),
        };
        license::find(&writer.query(), id)
    }
}

/// Under the caller's name of a request stands what was asked, as a digest.
fn request_key(key: &str, request: &impl Serialize) -> String {
    let digest = entry::digest(&event::encode_sorted(request));
    let digest = URL_SAFE_NO_PAD.encode(digest);
    format!("{}{digest}", request_prefix(key))
}

fn request_prefix(key: &str) -> String {
    format!("request\n{key}\n")
}

#[cfg(test)]
mod tests;
