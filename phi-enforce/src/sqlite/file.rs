//! The rows in the file: each is looked up and written by a statement of its own, because a
//! statement costs a few microseconds here.

use std::collections::HashMap;

use phi_verify::{Period, Quota};
use rusqlite::{Connection, OptionalExtension as _, Params, params, types::FromSql};

use super::open::failed;
use crate::{
    clock::{Boot, Moment, Wall},
    desk::{millis, signed},
    error::{Fault, StoreError},
    groups::Count,
    ledger::{Answered, Counter, LIVE, Ledger, Lent, Meta, Occupied, Room, Terms},
    period::Label,
    rows::{self, Logged, Row},
    store::{Epoch, Incarnation, Listed, MAX_SEEN, Occupant, Pool, QuotaKey, Seen, number_of},
    usage::UsageEvent,
};

/// The file, and which nodes were heard of.
#[derive(Debug)]
pub(super) struct File {
    connection: Connection,
    heard: HashMap<Incarnation, Boot>,
}

impl Row for rusqlite::Row<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        value(self, column)
    }

    fn text(&self, column: usize) -> Result<Option<String>, StoreError> {
        value(self, column)
    }

    fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        value(self, column)
    }
}

fn value<T: FromSql>(row: &rusqlite::Row<'_>, column: usize) -> Result<Option<T>, StoreError> {
    row.get(column)
        .map_err(|error| StoreError::new(Fault::Damaged, error.to_string()))
}

impl File {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            heard: HashMap::new(),
        }
    }

    /// The point that the store is at. A new one is made to be this one.
    pub(super) fn meta(&self, new: Meta) -> Result<Meta, StoreError> {
        self.change(
            "INSERT OR IGNORE INTO meta VALUES (1, ?1, 0, 0, 0, ?2, 0)",
            params![new.epoch.store, millis(new.longest_lease)],
        )?;
        let sql = "SELECT store, restores, seq, learning, longest_lease, latest FROM meta";
        let found = self.one(sql, [], |row| {
            Ok(Meta {
                epoch: Epoch {
                    store: row.array(0)?,
                    restores: row.unsigned(1)?,
                },
                seq: row.unsigned(2)?,
                learning: row.unsigned(3)? != 0,
                longest_lease: std::time::Duration::from_millis(row.unsigned(4)?),
                latest: row.unsigned(5)?,
            })
        })?;
        found.ok_or_else(|| StoreError::new(Fault::Damaged, "the table meta is empty"))
    }

    pub(super) fn note(&self, meta: Meta) -> Result<(), StoreError> {
        let sql = "UPDATE meta SET seq = ?1, restores = ?2, learning = ?3, longest_lease = ?4,
                                   latest = ?5
                   WHERE seq <> ?1 OR restores <> ?2 OR learning <> ?3 OR longest_lease <> ?4
                      OR latest <> ?5";
        let values = [
            signed(meta.seq),
            signed(meta.epoch.restores),
            i64::from(meta.learning),
            millis(meta.longest_lease),
            signed(meta.latest),
        ];
        self.change(sql, values).map(drop)
    }

    fn change(&self, sql: &str, values: impl Params) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map_err(failed)
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let found = statement.query_row(values, |row| Ok(read(row)));
        found.optional().map_err(failed)?.transpose()
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl Fn(&rusqlite::Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(values).map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// What contradicts what, in the rows and in the file.
    pub(super) fn audit(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for sql in rows::CONTRADICTIONS {
            found.extend(self.all(sql, [], |row| row.words(0))?);
        }
        let sql = "PRAGMA main.integrity_check(1)";
        let sound = self.one(sql, [], |row| row.words(0))?.unwrap_or_default();
        if sound != "ok" {
            found.push(sound);
        }
        Ok(found)
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

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.change("COMMIT", []).map(drop)
    }

    /// Undoes what has no commit. After some faults SQLite has done it by itself.
    pub(super) fn abandon(&self) {
        if !self.connection.is_autocommit() {
            // A file that cannot even be rolled back says so at the next request.
            let _ = self.change("ROLLBACK", []);
        }
    }
}

impl Ledger for File {
    fn hear(&mut self, node: Incarnation, now: Moment) {
        self.heard.insert(node, now.boot);
    }

    fn live_nodes(&mut self, now: Moment) -> Result<u64, StoreError> {
        self.heard.retain(|_, at| now.boot.since(*at) < LIVE);
        Ok(u64::try_from(self.heard.len()).unwrap_or(u64::MAX))
    }

    fn node(&mut self, node: Incarnation) -> Result<Option<Answered>, StoreError> {
        let sql = "SELECT request, answer FROM nodes WHERE incarnation = ?1";
        self.one(sql, [node.as_bytes()], |row| {
            Ok(Answered {
                request: row.unsigned(0)?,
                answer: row.bytes(1)?,
            })
        })
    }

    fn add_node(&mut self, node: Incarnation, name: &str, since: Wall) -> Result<(), StoreError> {
        let sql = "INSERT INTO nodes VALUES (?1, ?2, ?3, 0, NULL) ON CONFLICT DO NOTHING";
        let values = params![node.as_bytes(), name, signed(since.millis())];
        self.change(sql, values).map(drop)
    }

    fn set_answer(
        &mut self,
        node: Incarnation,
        request: u64,
        answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE nodes SET request = ?2, answer = ?3 WHERE incarnation = ?1";
        let values = params![node.as_bytes(), signed(request), answer];
        self.change(sql, values).map(drop)
    }

    fn terms(&mut self, key: QuotaKey) -> Result<Option<Terms>, StoreError> {
        let sql = "SELECT revision, amount, period FROM quotas WHERE license = ?1 AND quota = ?2";
        self.one(
            sql,
            params![key.license.as_bytes(), key.quota.get()],
            |row| {
                Ok(Terms {
                    revision: row.unsigned(0)?,
                    quota: Quota {
                        allowance: rows::allowance(row, 1)?,
                        period: rows::period(row, 2)?,
                    },
                })
            },
        )
    }

    fn set_terms(&mut self, key: QuotaKey, terms: Terms) -> Result<(), StoreError> {
        let values = params![
            key.license.as_bytes(),
            key.quota.get(),
            signed(terms.revision),
            rows::amount(terms.quota.allowance),
            number_of(terms.quota.period)
        ];
        self.change("REPLACE INTO quotas VALUES (?1, ?2, ?3, ?4, ?5)", values)
            .map(drop)
    }

    fn newest_label(&mut self, key: QuotaKey, period: Period) -> Result<Option<u64>, StoreError> {
        let sql =
            "SELECT max(label) FROM counters WHERE license = ?1 AND quota = ?2 AND period = ?3";
        let values = params![key.license.as_bytes(), key.quota.get(), number_of(period)];
        let newest = self.one(sql, values, |row| row.int(0))?.flatten();
        Ok(newest.map(i64::cast_unsigned))
    }

    fn counter(&mut self, key: QuotaKey, label: Label) -> Result<Option<Counter>, StoreError> {
        let (license, quota) = (key.license.as_bytes(), key.quota.get());
        let (period, number) = (number_of(label.period), signed(label.number));
        self.one(
            "SELECT granted, returned, owed FROM counters
             WHERE license = ?1 AND quota = ?2 AND period = ?3 AND label = ?4",
            params![license, quota, period, number],
            |row| {
                Ok(Counter {
                    granted: row.unsigned(0)?,
                    returned: row.unsigned(1)?,
                    owed: row.unsigned(2)?,
                })
            },
        )
    }

    fn set_counter(
        &mut self,
        key: QuotaKey,
        label: Label,
        counter: Counter,
    ) -> Result<(), StoreError> {
        let values = params![
            key.license.as_bytes(),
            key.quota.get(),
            number_of(label.period),
            signed(label.number),
            signed(counter.granted),
            signed(counter.returned),
            signed(counter.owed)
        ];
        let sql = "REPLACE INTO counters VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.change(sql, values).map(drop)
    }

    fn holding(
        &mut self,
        node: Incarnation,
        key: QuotaKey,
        label: Label,
    ) -> Result<u64, StoreError> {
        let values = params![
            node.as_bytes(),
            key.license.as_bytes(),
            key.quota.get(),
            number_of(label.period),
            signed(label.number)
        ];
        let held = self.one(
            "SELECT units FROM holdings WHERE incarnation = ?1
             AND license = ?2 AND quota = ?3 AND period = ?4 AND label = ?5",
            values,
            |row| row.unsigned(0),
        )?;
        Ok(held.unwrap_or(0))
    }

    fn set_holding(
        &mut self,
        node: Incarnation,
        key: QuotaKey,
        label: Label,
        units: u64,
    ) -> Result<(), StoreError> {
        let values = params![
            node.as_bytes(),
            key.license.as_bytes(),
            key.quota.get(),
            number_of(label.period),
            signed(label.number),
            signed(units)
        ];
        let sql = "REPLACE INTO holdings VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.change(sql, values).map(drop)
    }

    fn room(&mut self, pool: Pool) -> Result<Option<Room>, StoreError> {
        let sql = "SELECT pool, revision, amount, taken FROM pools
                   WHERE license = ?1 AND code = ?2";
        let values = params![pool.license.as_bytes(), pool.limit.get()];
        self.one(sql, values, |row| rows::room(row, 0))
    }

    fn set_room(&mut self, pool: Pool, room: Room) -> Result<(), StoreError> {
        let values = params![
            signed(room.row),
            pool.license.as_bytes(),
            pool.limit.get(),
            signed(room.revision),
            rows::amount(room.seats),
            signed(room.taken)
        ];
        self.change(
            "INSERT INTO pools VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (pool) DO UPDATE
             SET revision = excluded.revision, amount = excluded.amount, taken = excluded.taken",
            values,
        )
        .map(drop)
    }

    fn note_day(
        &mut self,
        room: Room,
        day: u64,
        taken: u64,
        acquired: u64,
    ) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO seat_days VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE
             SET peak = max(peak, excluded.peak), acquired = acquired + excluded.acquired",
            [room.row, day, taken, acquired].map(signed),
        )
        .map(drop)
    }

    fn place(&mut self, id: u64) -> Result<Option<(u64, Occupied)>, StoreError> {
        let sql = "SELECT id, place, holder, session, incarnation, heard, lease, team, pool
                   FROM places WHERE id = ?1";
        self.one(sql, [signed(id)], |row| {
            Ok((row.unsigned(8)?, rows::occupied(row)?))
        })
    }

    fn place_of(
        &mut self,
        room: Room,
        occupant: &Occupant,
    ) -> Result<Option<Occupied>, StoreError> {
        let sql = "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
                   WHERE pool = ?1 AND holder = ?2 AND session = ?3";
        let values = params![signed(room.row), occupant.holder, occupant.session];
        self.one(sql, values, |row| rows::occupied(row))
    }

    fn seat_of(&mut self, room: Room, holder: &str) -> Result<Option<Occupied>, StoreError> {
        // The plus keeps away the index by place, which would lead through everyone on a seat.
        let sql = "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
                   WHERE pool = ?1 AND holder = ?2 AND +place = ?3 LIMIT 1";
        let values = params![signed(room.row), holder, rows::ON_SEAT];
        self.one(sql, values, |row| rows::occupied(row))
    }

    fn queued_before(&mut self, room: Room, id: u64) -> Result<Count, StoreError> {
        let sql = "SELECT team, count(*) FROM places WHERE pool = ?1 AND place = ?2 AND id < ?3
                   GROUP BY team";
        let values = [signed(room.row), rows::IN_QUEUE, signed(id)];
        let counted = self.all(sql, values, |row| rows::counted(row))?;
        Ok(counted.into_iter().collect())
    }

    fn seated(&mut self, room: Room) -> Result<Count, StoreError> {
        let sql = "SELECT name, taken FROM teams WHERE pool = ?1";
        let counted = self.all(sql, [signed(room.row)], |row| rows::counted(row))?;
        Ok(counted.into_iter().collect())
    }

    fn set_seated(&mut self, room: Room, group: &str, holders: u64) -> Result<(), StoreError> {
        let values = params![signed(room.row), group, signed(holders)];
        self.change("REPLACE INTO teams VALUES (?1, ?2, ?3)", values)
            .map(drop)
    }

    fn set_place(&mut self, room: Room, occupied: &Occupied) -> Result<(), StoreError> {
        let values = params![
            signed(occupied.id),
            signed(room.row),
            rows::place_number(occupied.place),
            occupied.occupant.holder,
            occupied.occupant.session,
            occupied.incarnation.as_bytes(),
            signed(occupied.heard),
            millis(occupied.lease),
            occupied.group.as_deref().unwrap_or_default()
        ];
        self.change(
            "INSERT INTO places VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, heard = excluded.heard,
                 lease = excluded.lease, team = excluded.team",
            values,
        )
        .map(drop)
    }

    fn remove_place(&mut self, _: Room, occupied: &Occupied) -> Result<(), StoreError> {
        self.change("DELETE FROM places WHERE id = ?1", [signed(occupied.id)])
            .map(drop)
    }

    fn silent(&mut self, room: Room, before: u64, most: usize) -> Result<Vec<Seen>, StoreError> {
        let sql = "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
                   WHERE pool = ?1 AND (place = ?2 OR id < ?3) ORDER BY heard LIMIT ?4";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let values = [signed(room.row), rows::ON_SEAT, signed(before), most];
        self.all(sql, values, |row| Ok(rows::seen(&rows::occupied(row)?)))
    }

    fn list(&mut self, room: Room, most: usize) -> Result<Vec<Listed>, StoreError> {
        let sql = "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
                   WHERE pool = ?1 ORDER BY heard LIMIT ?2";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.all(sql, [signed(room.row), most], |row| rows::listed(row))
    }

    fn loan(&mut self, room: Room, id: u64) -> Result<Option<Lent>, StoreError> {
        let sql = "SELECT id, holder, session, team, machine, since, ends FROM loans
                   WHERE pool = ?1 AND id = ?2";
        let values = [signed(room.row), signed(id)];
        self.one(sql, values, |row| rows::lent(row))
    }

    fn loan_of(
        &mut self,
        room: Room,
        occupant: &Occupant,
        machine: &[u8],
    ) -> Result<Option<Lent>, StoreError> {
        let sql = "SELECT id, holder, session, team, machine, since, ends FROM loans
                   WHERE pool = ?1 AND holder = ?2 AND session = ?3 AND machine = ?4";
        let (holder, session) = (&occupant.holder, &occupant.session);
        let values = params![signed(room.row), holder, session, machine];
        self.one(sql, values, |row| rows::lent(row))
    }

    fn lent(&mut self, room: Room) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM loans WHERE pool = ?1";
        let lent = self.one(sql, [signed(room.row)], |row| row.unsigned(0))?;
        Ok(lent.unwrap_or(0))
    }

    fn loans_ended(&mut self, room: Room, at: u64) -> Result<Vec<Lent>, StoreError> {
        let sql = "SELECT id, holder, session, team, machine, since, ends FROM loans
                   WHERE pool = ?1 AND ends <= ?2 ORDER BY ends LIMIT ?3";
        let most = i64::try_from(MAX_SEEN).unwrap_or(i64::MAX);
        let values = [signed(room.row), signed(at), most];
        self.all(sql, values, |row| rows::lent(row))
    }

    fn set_loan(&mut self, room: Room, loan: &Lent) -> Result<(), StoreError> {
        let values = params![
            signed(loan.id),
            signed(room.row),
            loan.occupant.holder,
            loan.occupant.session,
            loan.group.as_deref().unwrap_or_default(),
            loan.machine,
            signed(loan.since),
            signed(loan.until)
        ];
        let sql = "REPLACE INTO loans VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        self.change(sql, values).map(drop)
    }

    fn remove_loan(&mut self, _: Room, loan: &Lent) -> Result<(), StoreError> {
        self.change("DELETE FROM loans WHERE id = ?1", [signed(loan.id)])
            .map(drop)
    }

    fn append(&mut self, event: &UsageEvent) -> Result<(), StoreError> {
        let logged = Logged::of(event);
        let occupant = logged.occupant;
        self.change(
            "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                signed(event.seq),
                signed(event.at.millis()),
                event.incarnation.as_bytes(),
                signed(event.request),
                event.act as i64,
                logged.license.as_bytes(),
                logged.code,
                logged.period,
                logged.label,
                logged.units,
                logged.fence,
                occupant.map(|occupant| &occupant.holder),
                occupant.map(|occupant| &occupant.session)
            ],
        )
        .map(drop)
    }
}
