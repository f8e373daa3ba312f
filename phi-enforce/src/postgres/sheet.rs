//! The rows of one transaction: fetched together before anything is decided, and written together
//! with the commit, so that a request of a thousand parts is two trips to the server.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use phi_verify::{Period, Quota};
use tokio_postgres::{Row as Record, error::SqlState, types::FromSql};

use super::{
    link::{Commit, Link, Said, Trouble},
    tables,
    wanted::Wanted,
};
use crate::{
    clock::{Moment, Wall},
    desk::signed,
    error::{Fault, StoreError},
    groups::Count,
    ledger::{Answered, Counter, LIVE, Ledger, Meta, Occupied, Room, Terms},
    period::Label,
    rows::{self, Row},
    store::{Epoch, Incarnation, Listed, Occupant, Place, Pool, QuotaKey, Seen},
    usage::UsageEvent,
};

/// What the server said about itself and the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) meta: Meta,
    pub(super) version: i64,
    /// The server and its timeline when the history was last looked at, and the timeline now.
    pub(super) system: i64,
    pub(super) timeline: i64,
    pub(super) timeline_now: i64,
    pub(super) wall: Wall,
}

/// A row as it is in the transaction, and whether the server has it so.
#[derive(Clone, Debug)]
struct Slot<T> {
    value: T,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Stored,
    Changed,
}

/// The rows that were looked at, and the connection to the others.
#[derive(Debug)]
pub(super) struct Sheet {
    /// None while there is no connection.
    link: Option<Link>,
    node: Incarnation,
    answered: Option<Answered>,
    others: u64,
    terms: BTreeMap<QuotaKey, Slot<Option<Terms>>>,
    newest: BTreeMap<(QuotaKey, Period), Option<u64>>,
    counters: BTreeMap<(QuotaKey, Label), Slot<Option<Counter>>>,
    holdings: BTreeMap<(QuotaKey, Label), Slot<u64>>,
    rooms: BTreeMap<Pool, Slot<Option<Room>>>,
    /// Which pool has which number; of those that are new, nobody is in the database.
    pools: BTreeMap<u64, Pool>,
    /// Holders of groups on seats, by the pool's number.
    teams: BTreeMap<(u64, String), Slot<u64>>,
    /// Pools in which somebody queues.
    queues: BTreeSet<u64>,
    /// Places by their number, with the pool's.
    places: BTreeMap<u64, Slot<Option<(u64, Occupied)>>>,
    /// The places of holders of which all are known.
    holders: BTreeMap<(u64, String), BTreeSet<u64>>,
    removed: BTreeSet<u64>,
    days: BTreeMap<(u64, u64), (u64, u64)>,
    events: Vec<UsageEvent>,
    /// A node that is new.
    added: Option<Said>,
    heard: Option<Wall>,
    answer: Option<(u64, Vec<u8>)>,
}

impl Row for Record {
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

fn value<'r, T: FromSql<'r>>(row: &'r Record, column: usize) -> Result<Option<T>, StoreError> {
    row.try_get(column)
        .map_err(|error| StoreError::new(Fault::Damaged, error.to_string()))
}

impl<T> Slot<T> {
    const fn stored(value: T) -> Self {
        Self {
            value,
            state: State::Stored,
        }
    }

    const fn changed(value: T) -> Self {
        Self {
            value,
            state: State::Changed,
        }
    }
}

/// Takes what has to be written, which is then as it is stored.
fn take_changed<K: Clone, T: Clone>(slots: &mut BTreeMap<K, Slot<T>>) -> Vec<(K, T)> {
    let changed = slots
        .iter_mut()
        .filter(|(_, slot)| slot.state == State::Changed);
    let taken = changed.map(|(key, slot)| {
        slot.state = State::Stored;
        (key.clone(), slot.value.clone())
    });
    taken.collect()
}

impl Sheet {
    pub(super) const fn new() -> Self {
        Self {
            link: None,
            node: Incarnation::from_bytes([0; 16]),
            answered: None,
            others: 0,
            terms: BTreeMap::new(),
            newest: BTreeMap::new(),
            counters: BTreeMap::new(),
            holdings: BTreeMap::new(),
            rooms: BTreeMap::new(),
            pools: BTreeMap::new(),
            teams: BTreeMap::new(),
            queues: BTreeSet::new(),
            places: BTreeMap::new(),
            holders: BTreeMap::new(),
            removed: BTreeSet::new(),
            days: BTreeMap::new(),
            events: Vec::new(),
            added: None,
            heard: None,
            answer: None,
        }
    }

    pub(super) fn use_link(&mut self, link: Option<Link>) {
        self.link = link;
    }

    pub(super) const fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    pub(super) fn link(&mut self) -> Result<&mut Link, Trouble> {
        self.link.as_mut().ok_or_else(|| {
            let problem = "the connection is gone";
            Trouble::Lost(StoreError::new(Fault::Unreachable, problem))
        })
    }

    fn trip(&mut self, first: Option<&str>, all: &[Said]) -> Result<Vec<Vec<Record>>, Trouble> {
        self.link()?.trip(first, all)
    }

    /// Asks for rows that nothing here changes.
    pub(super) fn read(&mut self, question: Said) -> Result<Vec<Record>, StoreError> {
        let answers = self.trip(None, &[question]);
        let mut answers = answers.map_err(Trouble::into_error)?;
        Ok(answers.pop().unwrap_or_default())
    }

    fn clear(&mut self, node: Incarnation) {
        self.node = node;
        self.answered = None;
        self.terms.clear();
        self.newest.clear();
        self.counters.clear();
        self.holdings.clear();
        self.rooms.clear();
        self.pools.clear();
        self.teams.clear();
        self.queues.clear();
        self.places.clear();
        self.holders.clear();
        self.removed.clear();
        self.days.clear();
        self.events.clear();
        (self.added, self.heard, self.answer) = (None, None, None);
    }

    /// Begins a transaction of a node's and fetches what it will look at. The store's row comes
    /// first: what is behind it was read when nobody else could write.
    pub(super) fn begin(&mut self, node: Incarnation, wanted: &Wanted) -> Result<Head, Trouble> {
        self.clear(node);
        let mut all = vec![
            tables::head(),
            tables::node(node),
            tables::other_nodes(node, LIVE),
        ];
        let plan = self.plan(wanted, &mut all);
        let mut answers = self.trip(Some(tables::BEGIN), &all)?.into_iter();
        let mut next = || answers.next().unwrap_or_default();
        let (found, known, live) = (next(), next(), next());
        let rest: Vec<_> = answers.collect();
        let read = || {
            let head = found.first().ok_or_else(gone)?;
            let answered = known.first().map(answered).transpose()?;
            let live = live.first().ok_or_else(gone)?.unsigned(0)?;
            Ok((head_of(head)?, answered, live))
        };
        let damaged = |error| Trouble::Refused(SqlState::DATA_CORRUPTED, error);
        let (head, answered, live) = read().map_err(damaged)?;
        self.answered = answered;
        self.others = live;
        self.know(wanted, &plan, rest).map_err(damaged)?;
        Ok(head)
    }

    /// The statements that fetch what is wanted, and what each of them is for.
    fn plan(&self, wanted: &Wanted, all: &mut Vec<Said>) -> Vec<Part> {
        let fetch = tables::fetch(self.node, wanted);
        let parts = [
            (Part::Terms, fetch.terms),
            (Part::Counters, fetch.newest),
            (Part::Counters, fetch.counters),
            (Part::Rooms, fetch.pools),
            (Part::Teams, fetch.teams),
            (Part::Places, fetch.holders),
            (Part::Places, fetch.places),
        ];
        let mut plan = Vec::new();
        for (part, said) in parts {
            if let Some(said) = said {
                all.push(said);
                plan.push(part);
            }
        }
        plan
    }

    /// Fetches what was not foreseen.
    fn fetch(&mut self, wanted: &Wanted) -> Result<(), StoreError> {
        let mut all = Vec::new();
        let plan = self.plan(wanted, &mut all);
        let answers = self.trip(None, &all).map_err(Trouble::into_error)?;
        self.know(wanted, &plan, answers)
    }

    /// Takes in the answers. What was changed here since is newer than what comes.
    fn know(
        &mut self,
        wanted: &Wanted,
        plan: &[Part],
        answers: Vec<Vec<Record>>,
    ) -> Result<(), StoreError> {
        for (part, rows) in plan.iter().zip(answers) {
            for row in &rows {
                match part {
                    Part::Terms => self.know_terms(row)?,
                    Part::Counters => self.know_counter(row)?,
                    Part::Rooms => self.know_room(row)?,
                    Part::Teams => self.know_team(row)?,
                    Part::Places => self.know_place(row)?,
                }
            }
        }
        self.know_absent(wanted);
        Ok(())
    }

    fn know_terms(&mut self, row: &Record) -> Result<(), StoreError> {
        let terms = Terms {
            revision: row.unsigned(2)?,
            quota: Quota {
                allowance: rows::allowance(row, 3)?,
                period: rows::period(row, 4)?,
            },
        };
        let key = rows::quota_key(row, 0)?;
        self.terms.entry(key).or_insert(Slot::stored(Some(terms)));
        Ok(())
    }

    fn know_counter(&mut self, row: &Record) -> Result<(), StoreError> {
        let (key, label) = (rows::quota_key(row, 0)?, rows::label(row, 2)?);
        let counter = Counter {
            granted: row.unsigned(4)?,
            returned: row.unsigned(5)?,
            owed: row.unsigned(6)?,
        };
        let counter = Slot::stored(Some(counter));
        self.counters.entry((key, label)).or_insert(counter);
        let held = Slot::stored(row.unsigned(7)?);
        self.holdings.entry((key, label)).or_insert(held);
        Ok(())
    }

    fn know_room(&mut self, row: &Record) -> Result<(), StoreError> {
        let (pool, room) = (rows::pool(row, 0)?, rows::room(row, 2)?);
        if row.unsigned(6)? != 0 {
            self.queues.insert(room.row);
        }
        self.pools.insert(room.row, pool);
        self.rooms.entry(pool).or_insert(Slot::stored(Some(room)));
        Ok(())
    }

    fn know_team(&mut self, row: &Record) -> Result<(), StoreError> {
        let ((name, holders), room) = (rows::counted(row)?, row.unsigned(2)?);
        self.teams
            .entry((room, name))
            .or_insert(Slot::stored(holders));
        Ok(())
    }

    fn know_place(&mut self, row: &Record) -> Result<(), StoreError> {
        let (found, room) = (rows::occupied(row)?, row.unsigned(8)?);
        let id = found.id;
        let holder = (room, found.occupant.holder.clone());
        self.holders.entry(holder).or_default().insert(id);
        let place = Slot::stored(Some((room, found)));
        self.places.entry(id).or_insert(place);
        Ok(())
    }

    /// What was asked for and did not come is not there.
    fn know_absent(&mut self, wanted: &Wanted) {
        for key in &wanted.terms {
            self.terms.entry(*key).or_insert(Slot::stored(None));
        }
        for (key, period) in &wanted.newest {
            let of_period = |number| {
                (
                    *key,
                    Label {
                        period: *period,
                        number,
                    },
                )
            };
            let range = of_period(0)..=of_period(u64::MAX);
            let known = self.counters.range(range).rev();
            let newest = known
                .filter(|(_, slot)| slot.value.is_some())
                .map(|((_, label), _)| label.number);
            let newest = newest.max();
            self.newest.entry((*key, *period)).or_insert(newest);
        }
        for known in &wanted.counters {
            self.counters.entry(*known).or_insert(Slot::stored(None));
        }
        for pool in &wanted.pools {
            self.rooms.entry(*pool).or_insert(Slot::stored(None));
        }
        for (pool, holder) in &wanted.holders {
            if let Some(Some(room)) = self.rooms.get(pool).map(|slot| slot.value) {
                self.holders.entry((room.row, holder.clone())).or_default();
            }
        }
        for id in &wanted.places {
            self.places.entry(*id).or_insert(Slot::stored(None));
        }
    }

    /// Ends the transaction with all that was changed in it.
    pub(super) fn commit(&mut self, meta: Meta, system: i64, timeline: i64) -> Commit {
        let mut all = self.changes();
        all.extend(self.added.take());
        if let Some(heard) = self.heard {
            let now = signed(heard.millis());
            all.push(tables::hear(self.node, now, self.answer.take()));
        }
        // The last word of every transaction, also of one that only repeats an answer: its commit
        // waits for the standby, and so for everything before it.
        all.push(tables::set_head(meta, system, timeline));
        match self.link() {
            Ok(link) => link.commit(&all),
            Err(trouble) => Commit::Undone(trouble),
        }
    }

    pub(super) fn abandon(&mut self) -> Result<(), Trouble> {
        self.link()?.batch("ROLLBACK")
    }

    /// What is to be written, table by table.
    fn changes(&mut self) -> Vec<Said> {
        let mut all = Vec::new();
        let terms = take_changed(&mut self.terms);
        let terms: Vec<_> = there(terms);
        if !terms.is_empty() {
            all.push(tables::set_terms(&terms));
        }
        let counters = there(take_changed(&mut self.counters));
        if !counters.is_empty() {
            let flat = counters
                .into_iter()
                .map(|((key, label), counter)| (key, label, counter));
            all.push(tables::set_counters(&flat.collect::<Vec<_>>()));
        }
        let holdings = take_changed(&mut self.holdings);
        if !holdings.is_empty() {
            let flat = holdings
                .into_iter()
                .map(|((key, label), units)| (key, label, units));
            all.push(tables::set_holdings(self.node, &flat.collect::<Vec<_>>()));
        }
        let rooms = there(take_changed(&mut self.rooms));
        if !rooms.is_empty() {
            all.push(tables::set_rooms(&rooms));
        }
        let teams = take_changed(&mut self.teams);
        if !teams.is_empty() {
            all.push(tables::set_seated(&teams));
        }
        if !self.removed.is_empty() {
            let removed = std::mem::take(&mut self.removed);
            all.push(tables::remove_places(removed.into_iter()));
        }
        let places = there(take_changed(&mut self.places));
        if !places.is_empty() {
            let places: Vec<_> = places.into_iter().map(|(_, place)| place).collect();
            all.push(tables::set_places(&places));
        }
        if !self.days.is_empty() {
            let days = std::mem::take(&mut self.days).into_iter();
            let days = days.map(|((row, day), (peak, acquired))| (row, day, peak, acquired));
            all.push(tables::set_days(&days.collect::<Vec<_>>()));
        }
        if !self.events.is_empty() {
            all.push(tables::append(&std::mem::take(&mut self.events)));
        }
        all
    }

    /// Asks the server itself, which has to know what was changed before.
    fn ask(&mut self, question: Said) -> Result<Vec<Record>, StoreError> {
        let mut all = self.changes();
        all.push(question);
        let answers = self.trip(None, &all).map_err(Trouble::into_error)?;
        Ok(answers.into_iter().next_back().unwrap_or_default())
    }

    fn ids_of(&mut self, room: Room, holder: &str) -> Result<BTreeSet<u64>, StoreError> {
        let key = (room.row, holder.to_owned());
        if !self.holders.contains_key(&key)
            && let Some(pool) = self.pools.get(&room.row)
        {
            let mut wanted = Wanted::default();
            wanted.holders.insert((*pool, holder.to_owned()));
            self.fetch(&wanted)?;
        }
        Ok(self.holders.get(&key).cloned().unwrap_or_default())
    }

    fn places_of(&mut self, room: Room, holder: &str) -> Result<Vec<Occupied>, StoreError> {
        let ids = self.ids_of(room, holder)?;
        let places = ids
            .iter()
            .filter_map(|id| self.places.get(id)?.value.clone());
        Ok(places.map(|(_, found)| found).collect())
    }

    fn know_of(&mut self, key: QuotaKey, label: Label) -> Result<(), StoreError> {
        if self.counters.contains_key(&(key, label)) {
            return Ok(());
        }
        // Of a period whose latest are known, no later one is there.
        let newest = self.newest.get(&(key, label.period));
        if newest.is_some_and(|newest| newest.is_none_or(|newest| label.number > newest)) {
            self.counters.insert((key, label), Slot::stored(None));
            return Ok(());
        }
        let mut wanted = Wanted::default();
        wanted.counters.insert((key, label));
        self.fetch(&wanted)
    }
}

/// What a statement's rows are.
#[derive(Clone, Copy, Debug)]
enum Part {
    Terms,
    Counters,
    Rooms,
    Teams,
    Places,
}

fn there<K, T>(all: Vec<(K, Option<T>)>) -> Vec<(K, T)> {
    let there = all
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    there.collect()
}

fn gone() -> StoreError {
    StoreError::new(Fault::Damaged, "the table phi_enforce is empty")
}

fn head_of(row: &Record) -> Result<Head, StoreError> {
    let int = |column| row.int(column).map(Option::unwrap_or_default);
    Ok(Head {
        meta: Meta {
            epoch: Epoch {
                store: row.array(0)?,
                restores: row.unsigned(1)?,
            },
            seq: row.unsigned(2)?,
            learning: row.unsigned(3)? != 0,
            longest_lease: Duration::from_millis(row.unsigned(4)?),
        },
        version: int(5)?,
        system: int(6)?,
        timeline: int(7)?,
        timeline_now: int(8)?,
        wall: Wall::from_millis(row.unsigned(9)?),
    })
}

fn answered(row: &Record) -> Result<Answered, StoreError> {
    Ok(Answered {
        request: row.unsigned(0)?,
        answer: row.bytes(1)?,
    })
}

impl Ledger for Sheet {
    fn hear(&mut self, _: Incarnation, now: Moment) {
        self.heard = Some(now.wall);
    }

    fn live_nodes(&mut self, _: Moment) -> Result<u64, StoreError> {
        Ok(self.others + 1)
    }

    fn node(&mut self, _: Incarnation) -> Result<Option<Answered>, StoreError> {
        Ok(self.answered.take())
    }

    fn add_node(&mut self, node: Incarnation, name: &str, since: Wall) -> Result<(), StoreError> {
        let since = signed(since.millis());
        self.added = Some(tables::add_node(node, name, since));
        Ok(())
    }

    fn set_answer(
        &mut self,
        _: Incarnation,
        request: u64,
        answer: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.answer = Some((request, answer));
        Ok(())
    }

    fn terms(&mut self, key: QuotaKey) -> Result<Option<Terms>, StoreError> {
        if !self.terms.contains_key(&key) {
            let mut wanted = Wanted::default();
            wanted.terms.insert(key);
            self.fetch(&wanted)?;
        }
        Ok(self.terms.get(&key).and_then(|slot| slot.value))
    }

    fn set_terms(&mut self, key: QuotaKey, terms: Terms) -> Result<(), StoreError> {
        self.terms.insert(key, Slot::changed(Some(terms)));
        Ok(())
    }

    fn newest_label(&mut self, key: QuotaKey, period: Period) -> Result<Option<u64>, StoreError> {
        if !self.newest.contains_key(&(key, period)) {
            let mut wanted = Wanted::default();
            wanted.newest.insert((key, period));
            self.fetch(&wanted)?;
        }
        Ok(self.newest.get(&(key, period)).copied().flatten())
    }

    fn counter(&mut self, key: QuotaKey, label: Label) -> Result<Option<Counter>, StoreError> {
        self.know_of(key, label)?;
        Ok(self.counters.get(&(key, label)).and_then(|slot| slot.value))
    }

    fn set_counter(
        &mut self,
        key: QuotaKey,
        label: Label,
        counter: Counter,
    ) -> Result<(), StoreError> {
        self.counters
            .insert((key, label), Slot::changed(Some(counter)));
        if let Some(newest) = self.newest.get_mut(&(key, label.period)) {
            *newest = Some(newest.map_or(label.number, |newest| newest.max(label.number)));
        }
        Ok(())
    }

    fn holding(&mut self, _: Incarnation, key: QuotaKey, label: Label) -> Result<u64, StoreError> {
        self.know_of(key, label)?;
        let held = self.holdings.get(&(key, label));
        Ok(held.map_or(0, |slot| slot.value))
    }

    fn set_holding(
        &mut self,
        _: Incarnation,
        key: QuotaKey,
        label: Label,
        units: u64,
    ) -> Result<(), StoreError> {
        self.holdings.insert((key, label), Slot::changed(units));
        Ok(())
    }

    fn room(&mut self, pool: Pool) -> Result<Option<Room>, StoreError> {
        if !self.rooms.contains_key(&pool) {
            let mut wanted = Wanted::default();
            wanted.pools.insert(pool);
            self.fetch(&wanted)?;
        }
        Ok(self.rooms.get(&pool).and_then(|slot| slot.value))
    }

    fn set_room(&mut self, pool: Pool, room: Room) -> Result<(), StoreError> {
        self.rooms.insert(pool, Slot::changed(Some(room)));
        Ok(())
    }

    fn note_day(
        &mut self,
        room: Room,
        day: u64,
        taken: u64,
        acquired: u64,
    ) -> Result<(), StoreError> {
        let noted = self.days.entry((room.row, day)).or_default();
        *noted = (noted.0.max(taken), noted.1 + acquired);
        Ok(())
    }

    fn place(&mut self, id: u64) -> Result<Option<(u64, Occupied)>, StoreError> {
        if !self.places.contains_key(&id) {
            let mut wanted = Wanted::default();
            wanted.places.insert(id);
            self.fetch(&wanted)?;
        }
        Ok(self.places.get(&id).and_then(|slot| slot.value.clone()))
    }

    fn place_of(
        &mut self,
        room: Room,
        occupant: &Occupant,
    ) -> Result<Option<Occupied>, StoreError> {
        let mut places = self.places_of(room, &occupant.holder)?.into_iter();
        Ok(places.find(|found| found.occupant.session == occupant.session))
    }

    fn seat_of(&mut self, room: Room, holder: &str) -> Result<Option<Occupied>, StoreError> {
        let mut places = self.places_of(room, holder)?.into_iter();
        Ok(places.find(|found| found.place == Place::Seat))
    }

    fn queued_before(&mut self, room: Room, id: u64) -> Result<Count, StoreError> {
        if !self.queues.contains(&room.row) {
            return Ok(Count::new());
        }
        let counted = self.ask(tables::queued_before(room.row, id))?;
        counted.iter().map(rows::counted).collect()
    }

    /// They came with the pool.
    fn seated(&mut self, room: Room) -> Result<Count, StoreError> {
        let of_room = (room.row, String::new())..(room.row + 1, String::new());
        let seated = self.teams.range(of_room);
        Ok(seated
            .map(|((_, name), slot)| (name.clone(), slot.value))
            .collect())
    }

    fn set_seated(&mut self, room: Room, group: &str, holders: u64) -> Result<(), StoreError> {
        let team = (room.row, group.to_owned());
        self.teams.insert(team, Slot::changed(holders));
        Ok(())
    }

    fn set_place(&mut self, room: Room, occupied: &Occupied) -> Result<(), StoreError> {
        if occupied.place == Place::Queue {
            self.queues.insert(room.row);
        }
        // All others of the holder have to be known beside it.
        self.ids_of(room, &occupied.occupant.holder)?;
        let holder = (room.row, occupied.occupant.holder.clone());
        self.holders.entry(holder).or_default().insert(occupied.id);
        let place = Slot::changed(Some((room.row, occupied.clone())));
        self.places.insert(occupied.id, place);
        Ok(())
    }

    fn remove_place(&mut self, room: Room, occupied: &Occupied) -> Result<(), StoreError> {
        let holder = (room.row, occupied.occupant.holder.clone());
        if let Some(places) = self.holders.get_mut(&holder) {
            places.remove(&occupied.id);
        }
        self.places.insert(occupied.id, Slot::stored(None));
        self.removed.insert(occupied.id);
        Ok(())
    }

    fn silent(&mut self, room: Room, before: u64, most: usize) -> Result<Vec<Seen>, StoreError> {
        let found = self.ask(tables::silent(room.row, before, most))?;
        let seen = found
            .iter()
            .map(|row| Ok(rows::seen(&rows::occupied(row)?)));
        seen.collect()
    }

    fn list(&mut self, room: Room, most: usize) -> Result<Vec<Listed>, StoreError> {
        let found = self.ask(tables::list(room.row, most))?;
        found.iter().map(rows::listed).collect()
    }

    fn append(&mut self, event: &UsageEvent) -> Result<(), StoreError> {
        self.events.push(event.clone());
        Ok(())
    }
}
