//! What every request passes: is the node known, is its history ours, was it answered before.

use std::{collections::HashMap, time::Duration};

use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{History, SqliteOptions, open::failed, quotas, seats, usage};
use crate::{
    clock::{Boot, Moment, evictor_wait},
    error::{Fault, StoreError},
    store::{Caller, Done, Epoch, Held, Hello, Incarnation, Outcome},
};

/// A node that was silent for this long is not counted when slices are cut: it decides how large
/// they are, and nothing else.
const LIVE: Duration = Duration::from_secs(60);

/// The file, and what is known of it between commits.
#[derive(Debug)]
pub(super) struct Desk {
    connection: Connection,
    options: SqliteOptions,
    epoch: Epoch,
    seq: u64,
    learning: Option<Boot>,
    longest_lease: Duration,
    heard: HashMap<Incarnation, Boot>,
}

/// Which kind of request an answer is kept for: another kind under the same number is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Grant = 1,
    GiveBack = 2,
    Reassert = 3,
    Seats = 4,
}

impl Desk {
    pub(super) fn new(connection: Connection, options: SqliteOptions) -> Result<Self, StoreError> {
        let lease = millis(options.longest_lease);
        let mut desk = Self {
            connection,
            epoch: Epoch {
                store: *Incarnation::random()?.as_bytes(),
                restores: 0,
            },
            seq: 0,
            learning: None,
            longest_lease: options.longest_lease,
            heard: HashMap::new(),
            options,
        };
        desk.change(
            "INSERT OR IGNORE INTO meta VALUES (1, ?1, 0, 0, 0, ?2)",
            params![desk.epoch.store, lease],
        )?;
        // A lease that was given out before is waited for, whatever is given out from now on.
        desk.change(
            "UPDATE meta SET longest_lease = max(longest_lease, ?1)",
            [lease],
        )?;
        let sql = "SELECT store, restores, seq, learning, longest_lease FROM meta";
        let (store, restores, seq, learning, lease) = desk
            .one(sql, [], |row| {
                let lease: i64 = row.get(4)?;
                Ok((
                    row.get(0)?,
                    unsigned(row, 1)?,
                    unsigned(row, 2)?,
                    row.get::<_, bool>(3)?,
                    lease.cast_unsigned(),
                ))
            })?
            .ok_or_else(|| StoreError::new(Fault::Damaged, "the table meta is empty"))?;
        desk.epoch = Epoch { store, restores };
        desk.seq = seq;
        desk.longest_lease = Duration::from_millis(lease);
        if desk.options.history == History::Restored {
            desk.raise_epoch();
        } else if learning {
            desk.learning = Some(desk.learned_at());
        }
        desk.note()?;
        Ok(desk)
    }

    pub(super) fn now(&self) -> Moment {
        self.options.clock.now()
    }

    pub(super) const fn longest_lease(&self) -> Duration {
        self.options.longest_lease
    }

    /// The next number of the store's counter.
    pub(super) const fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// Nodes that were heard of lately, and at least the one that asks.
    pub(super) fn live_nodes(&mut self) -> u64 {
        let now = self.now().boot;
        self.heard.retain(|_, at| now.since(*at) < LIVE);
        u64::try_from(self.heard.len()).unwrap_or(u64::MAX).max(1)
    }

    /// How long the store still learns.
    pub(super) fn learning(&mut self) -> Option<Duration> {
        let now = self.now().boot;
        self.learning = self.learning.filter(|until| now < *until);
        self.learning.map(|until| until.since(now))
    }

    fn learned_at(&self) -> Boot {
        self.now().boot.plus(evictor_wait(self.longest_lease))
    }

    /// The store went back: what it gave out since is not in it.
    fn raise_epoch(&mut self) {
        self.epoch.restores += 1;
        self.learning = Some(self.learned_at());
    }

    pub(super) fn hello(
        &mut self,
        incarnation: Incarnation,
        name: &str,
        seen: Option<(Epoch, u64)>,
    ) -> Result<Hello, StoreError> {
        if let Some((epoch, seq)) = seen {
            self.compare(epoch, seq);
            // A node that holds something of a store that is no more.
            if epoch.store != self.epoch.store && self.learning.is_none() {
                self.raise_epoch();
            }
        }
        let since = signed(self.now().wall.millis());
        self.change(
            "INSERT INTO nodes VALUES (?1, ?2, ?3, 0, NULL) ON CONFLICT DO NOTHING",
            params![incarnation.as_bytes(), name, since],
        )?;
        self.heard.insert(incarnation, self.now().boot);
        Ok(Hello {
            epoch: self.epoch,
            seq: self.seq,
            learning: self.learning(),
            longest_lease: self.longest_lease(),
        })
    }

    /// Whoever saw more than there is saw what was lost.
    fn compare(&mut self, epoch: Epoch, seen: u64) {
        let ahead = epoch.restores > self.epoch.restores || seen > self.seq;
        if epoch.store == self.epoch.store && ahead {
            self.seq = self.seq.max(seen);
            self.epoch.restores = self.epoch.restores.max(epoch.restores);
            self.raise_epoch();
        }
    }

    /// Runs a request once. Its answer is kept for whoever asks again.
    pub(super) fn once<T: Serialize + DeserializeOwned>(
        &mut self,
        caller: Caller,
        kind: Kind,
        run: impl FnOnce(&mut Self) -> Result<Outcome<T>, StoreError>,
    ) -> Result<Outcome<T>, StoreError> {
        self.compare(caller.epoch, caller.seen);
        let node = caller.incarnation.as_bytes();
        let sql = "SELECT request, answer FROM nodes WHERE incarnation = ?1";
        let known = self.one(sql, [node], |row| {
            Ok((unsigned(row, 0)?, row.get::<_, Option<Vec<u8>>>(1)?))
        })?;
        let Some((last, answer)) = known.filter(|_| caller.epoch == self.epoch) else {
            return Ok(Outcome::StaleEpoch);
        };
        self.heard.insert(caller.incarnation, self.now().boot);
        match (caller.request.cmp(&last), answer) {
            (std::cmp::Ordering::Less, _) => return Ok(Outcome::Superseded),
            (std::cmp::Ordering::Equal, Some(answer)) => {
                return Ok(Outcome::Done(read(&answer, kind)?));
            }
            _ => {}
        }
        let outcome = run(self)?;
        if let Outcome::Done(done) = &outcome {
            self.change(
                "UPDATE nodes SET request = ?2, answer = ?3 WHERE incarnation = ?1",
                params![node, signed(caller.request), written(done, kind)?],
            )?;
        }
        Ok(outcome)
    }

    /// The end of a request.
    pub(super) const fn done<T>(&mut self, value: T) -> Outcome<T> {
        let seq = self.next();
        Outcome::Done(Done { seq, value })
    }

    pub(super) fn reassert(
        &mut self,
        caller: Caller,
        held: &[Held],
    ) -> Result<Outcome<()>, StoreError> {
        self.once(caller, Kind::Reassert, |desk| {
            for held in held {
                match held {
                    Held::Units(held) => quotas::reassert(desk, caller, *held)?,
                    Held::Seat {
                        pool,
                        fence,
                        occupant,
                        lease,
                    } => seats::reassert(desk, caller, *pool, *fence, occupant, *lease)?,
                }
            }
            Ok(desk.done(()))
        })
    }

    /// Writes an event into the usage log.
    pub(super) fn log(
        &mut self,
        caller: Caller,
        event: &usage::Entry<'_>,
    ) -> Result<(), StoreError> {
        let (seq, at) = (self.next(), self.now().wall);
        usage::append(self, seq, at, caller, event)
    }

    pub(super) fn change(&self, sql: &str, values: impl Params) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(failed)
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, read).optional())
            .map_err(failed)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let rows = statement.query_map(values, read).map_err(failed)?;
        rows.collect::<Result<_, _>>().map_err(failed)
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.change("BEGIN IMMEDIATE", []).map(drop)
    }

    pub(super) fn savepoint(&self) -> Result<(), StoreError> {
        self.change("SAVEPOINT request", []).map(drop)
    }

    pub(super) fn release_savepoint(&self) -> Result<(), StoreError> {
        self.change("RELEASE request", []).map(drop)
    }

    pub(super) fn undo_to_savepoint(&self) -> Result<(), StoreError> {
        self.change("ROLLBACK TO request", [])?;
        self.release_savepoint()
    }

    /// Writes down what is known of the store, so that no number is given out twice.
    pub(super) fn note(&self) -> Result<(), StoreError> {
        let (seq, restores) = (signed(self.seq), signed(self.epoch.restores));
        let learning = i64::from(self.learning.is_some());
        let sql = "UPDATE meta SET seq = ?1, restores = ?2, learning = ?3
                   WHERE seq <> ?1 OR restores <> ?2 OR learning <> ?3";
        self.change(sql, [seq, restores, learning]).map(drop)
    }

    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
    }

    /// Undoes what has no commit. After some faults SQLite has done it by itself.
    pub(super) fn abandon(&self) {
        if !self.connection.is_autocommit() {
            // A file that cannot even be rolled back says so at the next request.
            let _ = self.change("ROLLBACK", []);
        }
    }
}

/// An amount as SQLite has it: the greatest stands for all beyond.
pub(super) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn written<T: Serialize>(done: &Done<T>, kind: Kind) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![kind as u8];
    ciborium::into_writer(done, &mut bytes).map_err(|error| StoreError::unusable(&error))?;
    Ok(bytes)
}

fn read<T: DeserializeOwned>(answer: &[u8], kind: Kind) -> Result<Done<T>, StoreError> {
    match answer.split_first() {
        Some((found, body)) if *found == kind as u8 => ciborium::from_reader(body)
            .map_err(|error| StoreError::new(Fault::Damaged, error.to_string())),
        _ => Err(StoreError::new(
            Fault::Request,
            "its number was used for another kind of request",
        )),
    }
}
