//! The statements: whole columns go to the server, and whole tables of rows come back, one
//! statement a table however many keys there are.

use std::time::Duration;

use phi_verify::{LicenseId, LimitCode, Period};

use super::{
    link::{Said, Value},
    wanted::Wanted,
};
use crate::{
    desk::{millis, signed},
    ledger::{Counter, Lent, Meta, Occupied, Room, Terms},
    period::Label,
    rows::{self, Logged},
    store::{Incarnation, Occupant, Pool, QuotaKey, number_of},
    usage::UsageEvent,
};

pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// The store's row. Its lock is the transaction's until the end.
pub(super) fn head() -> Said {
    said(
        "SELECT store, restores, seq, learning, longest_lease, version, system, timeline,
                ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint,
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint, latest
         FROM phi_enforce FOR UPDATE",
        vec![],
    )
}

pub(super) fn set_head(meta: Meta, system: i64, timeline: i64) -> Said {
    said(
        "UPDATE phi_enforce SET restores = $1, seq = $2, learning = $3, longest_lease = $4,
                                system = $5, timeline = $6, latest = $7",
        vec![
            Box::new(signed(meta.epoch.restores)),
            Box::new(signed(meta.seq)),
            Box::new(i64::from(meta.learning)),
            Box::new(millis(meta.longest_lease)),
            Box::new(system),
            Box::new(timeline),
            Box::new(signed(meta.latest)),
        ],
    )
}

pub(super) fn node(node: Incarnation) -> Said {
    said(
        "SELECT request, answer FROM nodes WHERE incarnation = $1",
        vec![Box::new(node.as_bytes().to_vec())],
    )
}

/// How many others were heard of no longer than this before the one that was heard of last.
pub(super) fn other_nodes(node: Incarnation, within: Duration) -> Said {
    said(
        "SELECT count(*) FROM nodes
         WHERE heard >= (SELECT max(heard) FROM nodes) - $2 AND incarnation <> $1",
        vec![Box::new(node.as_bytes().to_vec()), Box::new(millis(within))],
    )
}

pub(super) fn add_node(node: Incarnation, name: &str, since: i64) -> Said {
    said(
        "INSERT INTO nodes VALUES ($1, $2, $3, 0, NULL, $3) ON CONFLICT DO NOTHING",
        vec![
            Box::new(node.as_bytes().to_vec()),
            Box::new(name.to_owned()),
            Box::new(since),
        ],
    )
}

/// Notes when a node was heard of, and its answer if it has a new one.
pub(super) fn hear(node: Incarnation, now: i64, answer: Option<(u64, Vec<u8>)>) -> Said {
    let (request, answer) = answer.unzip();
    said(
        "UPDATE nodes SET heard = greatest(heard, $2), request = coalesce($3, request),
                          answer = coalesce($4, answer)
         WHERE incarnation = $1",
        vec![
            Box::new(node.as_bytes().to_vec()),
            Box::new(now),
            Box::new(request.map(signed)),
            Box::new(answer),
        ],
    )
}

/// What a set of wanted rows is fetched with; `None` where nothing is wanted.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) terms: Option<Said>,
    pub(super) newest: Option<Said>,
    pub(super) counters: Option<Said>,
    pub(super) pools: Option<Said>,
    pub(super) teams: Option<Said>,
    pub(super) holders: Option<Said>,
    pub(super) places: Option<Said>,
}

pub(super) fn fetch(node: Incarnation, wanted: &Wanted) -> Fetch {
    let node = || -> Value { Box::new(node.as_bytes().to_vec()) };
    Fetch {
        terms: (!wanted.terms.is_empty()).then(|| {
            let [license, quota] = keys(wanted.terms.iter().copied());
            said(
                "SELECT license, quota, revision, amount, period
                 FROM quotas JOIN unnest($1::bytea[], $2::bigint[]) AS k (license, quota)
                 USING (license, quota)",
                vec![license, quota],
            )
        }),
        newest: (!wanted.newest.is_empty()).then(|| {
            let [license, quota] = keys(wanted.newest.iter().map(|(key, _)| *key));
            let period = periods(wanted.newest.iter().map(|(_, period)| *period));
            said(
                "SELECT c.license, c.quota, c.period, c.label, c.granted, c.returned, c.owed,
                        coalesce(h.units, 0)
                 FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS k (license, quota, period)
                 CROSS JOIN LATERAL (
                     SELECT * FROM counters
                     WHERE license = k.license AND quota = k.quota AND period = k.period
                     ORDER BY label DESC LIMIT 2) AS c
                 LEFT JOIN holdings AS h
                     ON h.incarnation = $4 AND h.license = c.license AND h.quota = c.quota
                     AND h.period = c.period AND h.label = c.label",
                vec![license, quota, period, node()],
            )
        }),
        counters: (!wanted.counters.is_empty()).then(|| {
            let [license, quota] = keys(wanted.counters.iter().map(|(key, _)| *key));
            let [period, label] = labels(wanted.counters.iter().map(|(_, label)| *label));
            said(
                "SELECT c.license, c.quota, c.period, c.label, c.granted, c.returned, c.owed,
                        coalesce(h.units, 0)
                 FROM counters AS c
                 JOIN unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
                     AS k (license, quota, period, label)
                     USING (license, quota, period, label)
                 LEFT JOIN holdings AS h
                     ON h.incarnation = $5 AND h.license = c.license AND h.quota = c.quota
                     AND h.period = c.period AND h.label = c.label",
                vec![license, quota, period, label, node()],
            )
        }),
        pools: (!wanted.pools.is_empty()).then(|| {
            let [license, code] = pool_keys(wanted.pools.iter().copied());
            said(
                "SELECT license, code, pool, revision, amount, taken,
                        EXISTS (SELECT 1 FROM places
                                WHERE places.pool = pools.pool AND place = 1)::int::bigint,
                        EXISTS (SELECT 1 FROM loans WHERE loans.pool = pools.pool)::int::bigint
                 FROM pools JOIN unnest($1::bytea[], $2::bigint[]) AS k (license, code)
                 USING (license, code)",
                vec![license, code],
            )
        }),
        teams: (!wanted.pools.is_empty()).then(|| {
            let [license, code] = pool_keys(wanted.pools.iter().copied());
            said(
                "SELECT name, teams.taken, pool
                 FROM unnest($1::bytea[], $2::bigint[]) AS k (license, code)
                 JOIN pools USING (license, code) JOIN teams USING (pool)",
                vec![license, code],
            )
        }),
        holders: (!wanted.holders.is_empty()).then(|| {
            let [license, code] = pool_keys(wanted.holders.iter().map(|(pool, _)| *pool));
            let holders = wanted.holders.iter().map(|(_, holder)| holder.clone());
            let holder: Value = Box::new(holders.collect::<Vec<_>>());
            said(
                "SELECT id, place, p.holder, session, incarnation, heard, lease, team, p.pool
                 FROM unnest($1::bytea[], $2::bigint[], $3::text[]) AS k (license, code, holder)
                 JOIN pools USING (license, code)
                 JOIN places AS p ON p.pool = pools.pool AND p.holder = k.holder COLLATE \"C\"",
                vec![license, code, holder],
            )
        }),
        places: (!wanted.places.is_empty()).then(|| {
            let ids = wanted.places.iter().map(|id| signed(*id));
            said(
                "SELECT o.id, o.place, o.holder, o.session, o.incarnation, o.heard, o.lease, o.team,
                        o.pool
                 FROM places AS p JOIN places AS o ON o.pool = p.pool AND o.holder = p.holder
                 WHERE p.id = ANY ($1)",
                vec![Box::new(ids.collect::<Vec<_>>())],
            )
        }),
    }
}

pub(super) fn set_terms(all: &[(QuotaKey, Terms)]) -> Said {
    let [license, quota] = keys(all.iter().map(|(key, _)| *key));
    let revision = ints(all.iter().map(|(_, terms)| signed(terms.revision)));
    let amount = all
        .iter()
        .map(|(_, terms)| rows::amount(terms.quota.allowance));
    let amount: Value = Box::new(amount.collect::<Vec<_>>());
    let period = periods(all.iter().map(|(_, terms)| terms.quota.period));
    said(
        "INSERT INTO quotas SELECT * FROM
         unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
         ON CONFLICT (license, quota) DO UPDATE
         SET revision = excluded.revision, amount = excluded.amount, period = excluded.period",
        vec![license, quota, revision, amount, period],
    )
}

pub(super) fn set_counters(all: &[(QuotaKey, Label, Counter)]) -> Said {
    let [license, quota] = keys(all.iter().map(|(key, ..)| *key));
    let [period, label] = labels(all.iter().map(|(_, label, _)| *label));
    let granted = ints(all.iter().map(|(.., counter)| signed(counter.granted)));
    let returned = ints(all.iter().map(|(.., counter)| signed(counter.returned)));
    let owed = ints(all.iter().map(|(.., counter)| signed(counter.owed)));
    said(
        "INSERT INTO counters SELECT * FROM
         unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                $6::bigint[], $7::bigint[])
         ON CONFLICT (license, quota, period, label) DO UPDATE
         SET granted = excluded.granted, returned = excluded.returned, owed = excluded.owed",
        vec![license, quota, period, label, granted, returned, owed],
    )
}

pub(super) fn set_holdings(node: Incarnation, all: &[(QuotaKey, Label, u64)]) -> Said {
    let [license, quota] = keys(all.iter().map(|(key, ..)| *key));
    let [period, label] = labels(all.iter().map(|(_, label, _)| *label));
    let units = ints(all.iter().map(|(.., units)| signed(*units)));
    said(
        "INSERT INTO holdings SELECT $1::bytea, * FROM
         unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         ON CONFLICT (incarnation, license, quota, period, label) DO UPDATE
         SET units = excluded.units",
        vec![
            Box::new(node.as_bytes().to_vec()),
            license,
            quota,
            period,
            label,
            units,
        ],
    )
}

pub(super) fn set_rooms(all: &[(Pool, Room)]) -> Said {
    let row = ints(all.iter().map(|(_, room)| signed(room.row)));
    let [license, code] = pool_keys(all.iter().map(|(pool, _)| *pool));
    let revision = ints(all.iter().map(|(_, room)| signed(room.revision)));
    let amount = all.iter().map(|(_, room)| rows::amount(room.seats));
    let amount: Value = Box::new(amount.collect::<Vec<_>>());
    let taken = ints(all.iter().map(|(_, room)| signed(room.taken)));
    said(
        "INSERT INTO pools SELECT * FROM
         unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         ON CONFLICT (pool) DO UPDATE
         SET revision = excluded.revision, amount = excluded.amount, taken = excluded.taken",
        vec![row, license, code, revision, amount, taken],
    )
}

/// How many holders of a group have a seat.
pub(super) fn set_seated(all: &[((u64, String), u64)]) -> Said {
    let names = all.iter().map(|((_, name), _)| name.clone());
    said(
        "INSERT INTO teams SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])
         ON CONFLICT (pool, name) DO UPDATE SET taken = excluded.taken",
        vec![
            ints(all.iter().map(|((row, _), _)| signed(*row))),
            Box::new(names.collect::<Vec<_>>()),
            ints(all.iter().map(|(_, holders)| signed(*holders))),
        ],
    )
}

pub(super) fn remove_places(ids: impl Iterator<Item = u64>) -> Said {
    said(
        "DELETE FROM places WHERE id = ANY ($1)",
        vec![ints(ids.map(signed))],
    )
}

pub(super) fn set_places(all: &[(u64, Occupied)]) -> Said {
    let text = |text: fn(&Occupied) -> &String| -> Value {
        let texts = all.iter().map(|(_, found)| text(found).clone());
        Box::new(texts.collect::<Vec<_>>())
    };
    let teams = all
        .iter()
        .map(|(_, found)| found.group.clone().unwrap_or_default());
    let node = all
        .iter()
        .map(|(_, found)| found.incarnation.as_bytes().to_vec());
    said(
        "INSERT INTO places SELECT * FROM
         unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[],
                $7::bigint[], $8::bigint[], $9::text[])
         ON CONFLICT (id) DO UPDATE
         SET incarnation = excluded.incarnation, heard = excluded.heard, lease = excluded.lease,
             team = excluded.team",
        vec![
            ints(all.iter().map(|(_, found)| signed(found.id))),
            ints(all.iter().map(|(row, _)| signed(*row))),
            ints(all.iter().map(|(_, found)| rows::place_number(found.place))),
            text(|found| &found.occupant.holder),
            text(|found| &found.occupant.session),
            Box::new(node.collect::<Vec<_>>()),
            ints(all.iter().map(|(_, found)| signed(found.heard))),
            ints(all.iter().map(|(_, found)| millis(found.lease))),
            Box::new(teams.collect::<Vec<_>>()),
        ],
    )
}

/// How many of which pool were taken on which day, and how many more than before.
pub(super) fn set_days(all: &[(u64, u64, u64, u64)]) -> Said {
    said(
        "INSERT INTO seat_days SELECT * FROM
         unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])
         ON CONFLICT (pool, day) DO UPDATE
         SET peak = greatest(seat_days.peak, excluded.peak),
             acquired = seat_days.acquired + excluded.acquired",
        vec![
            ints(all.iter().map(|day| signed(day.0))),
            ints(all.iter().map(|day| signed(day.1))),
            ints(all.iter().map(|day| signed(day.2))),
            ints(all.iter().map(|day| signed(day.3))),
        ],
    )
}

pub(super) fn queued_before(row: u64, id: u64) -> Said {
    said(
        "SELECT team, count(*) FROM places WHERE pool = $1 AND place = 1 AND id < $2 GROUP BY team",
        vec![Box::new(signed(row)), Box::new(signed(id))],
    )
}

pub(super) fn silent(row: u64, before: u64, most: usize) -> Said {
    said(
        "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
         WHERE pool = $1 AND (place = 0 OR id < $2) ORDER BY heard LIMIT $3",
        vec![
            Box::new(signed(row)),
            Box::new(signed(before)),
            Box::new(i64::try_from(most).unwrap_or(i64::MAX)),
        ],
    )
}

pub(super) fn list(row: u64, most: usize) -> Said {
    said(
        "SELECT id, place, holder, session, incarnation, heard, lease, team FROM places
         WHERE pool = $1 ORDER BY heard LIMIT $2",
        vec![
            Box::new(signed(row)),
            Box::new(i64::try_from(most).unwrap_or(i64::MAX)),
        ],
    )
}

pub(super) fn loan(row: u64, id: u64) -> Said {
    said(
        "SELECT id, holder, session, team, machine, since, ends FROM loans
         WHERE pool = $1 AND id = $2",
        vec![Box::new(signed(row)), Box::new(signed(id))],
    )
}

pub(super) fn loan_of(row: u64, occupant: &Occupant, machine: &[u8]) -> Said {
    said(
        "SELECT id, holder, session, team, machine, since, ends FROM loans
         WHERE pool = $1 AND holder = $2 AND session = $3 AND machine = $4",
        vec![
            Box::new(signed(row)),
            Box::new(occupant.holder.clone()),
            Box::new(occupant.session.clone()),
            Box::new(machine.to_vec()),
        ],
    )
}

pub(super) fn lent(row: u64) -> Said {
    said(
        "SELECT count(*) FROM loans WHERE pool = $1",
        vec![Box::new(signed(row))],
    )
}

pub(super) fn loans_ended(row: u64, at: u64, most: usize) -> Said {
    said(
        "SELECT id, holder, session, team, machine, since, ends FROM loans
         WHERE pool = $1 AND ends <= $2 ORDER BY ends LIMIT $3",
        vec![
            Box::new(signed(row)),
            Box::new(signed(at)),
            Box::new(i64::try_from(most).unwrap_or(i64::MAX)),
        ],
    )
}

pub(super) fn set_loan(row: u64, loan: &Lent) -> Said {
    said(
        "INSERT INTO loans VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET ends = excluded.ends",
        vec![
            Box::new(signed(loan.id)),
            Box::new(signed(row)),
            Box::new(loan.occupant.holder.clone()),
            Box::new(loan.occupant.session.clone()),
            Box::new(loan.group.clone().unwrap_or_default()),
            Box::new(loan.machine.clone()),
            Box::new(signed(loan.since)),
            Box::new(signed(loan.until)),
        ],
    )
}

pub(super) fn remove_loan(id: u64) -> Said {
    said(
        "DELETE FROM loans WHERE id = $1",
        vec![Box::new(signed(id))],
    )
}

pub(super) fn append(all: &[UsageEvent]) -> Said {
    let node = all
        .iter()
        .map(|event| event.incarnation.as_bytes().to_vec());
    let logged: Vec<_> = all.iter().map(Logged::of).collect();
    let text = |text: fn(&Occupant) -> &String| -> Value {
        let texts = logged.iter().map(|event| event.occupant.map(text).cloned());
        Box::new(texts.collect::<Vec<_>>())
    };
    let maybe = |number: fn(&Logged<'_>) -> Option<i64>| -> Value {
        Box::new(logged.iter().map(number).collect::<Vec<_>>())
    };
    said(
        "INSERT INTO usage SELECT * FROM
         unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bytea[],
                $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
                $12::text[], $13::text[])",
        vec![
            ints(all.iter().map(|event| signed(event.seq))),
            ints(all.iter().map(|event| signed(event.at.millis()))),
            Box::new(node.collect::<Vec<_>>()),
            ints(all.iter().map(|event| signed(event.request))),
            ints(all.iter().map(|event| event.act as i64)),
            licenses(logged.iter().map(|event| event.license)),
            ints(logged.iter().map(|event| i64::from(event.code))),
            maybe(|event| event.period),
            maybe(|event| event.label),
            ints(logged.iter().map(|event| event.units)),
            maybe(|event| event.fence),
            text(|occupant| &occupant.holder),
            text(|occupant| &occupant.session),
        ],
    )
}

pub(super) const fn said(sql: &'static str, values: Vec<Value>) -> Said {
    Said { sql, values }
}

fn ints(all: impl Iterator<Item = i64>) -> Value {
    Box::new(all.collect::<Vec<_>>())
}

fn licenses(all: impl Iterator<Item = LicenseId>) -> Value {
    Box::new(
        all.map(|license| license.as_bytes().to_vec())
            .collect::<Vec<_>>(),
    )
}

fn keys(all: impl Iterator<Item = QuotaKey> + Clone) -> [Value; 2] {
    let codes = all.clone().map(|key| i64::from(key.quota.get()));
    [licenses(all.map(|key| key.license)), ints(codes)]
}

fn pool_keys(all: impl Iterator<Item = Pool> + Clone) -> [Value; 2] {
    let code = |code: LimitCode| i64::from(code.get());
    let codes = all.clone().map(|pool| code(pool.limit));
    [licenses(all.map(|pool| pool.license)), ints(codes)]
}

fn periods(all: impl Iterator<Item = Period>) -> Value {
    ints(all.map(number_of))
}

fn labels(all: impl Iterator<Item = Label> + Clone) -> [Value; 2] {
    let numbers = all.clone().map(|label| signed(label.number));
    [periods(all.map(|label| label.period)), ints(numbers)]
}
