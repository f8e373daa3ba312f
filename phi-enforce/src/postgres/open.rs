//! Whether a server keeps what it is given, whether its tables are ours, and how they are made and
//! brought up to date.

use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::{
    Finding,
    link::{Link, Trouble},
    server::Server,
    tables::said,
};
use crate::{
    error::{Fault, StoreError},
    rows::Row as _,
    store::Incarnation,
};

/// The oldest server that is still kept up by its makers.
const OLDEST: u64 = 14;
/// What brings a store from each version to the next.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];
/// The newest version.
pub(super) const VERSION: i64 = 1;
/// Of two who make the tables at once, one fails and looks again.
const TRIES: usize = 3;

/// What a server says of itself.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name for its data, which copies of it share.
    pub(super) system: i64,
    pub(super) findings: Vec<Finding>,
}

/// Connects to a server that can hold a strict limit.
pub(super) fn connect(server: &Server, within: Duration) -> Result<(Link, Found), StoreError> {
    let mut link = Link::connect(server, within)?;
    let found = probe(&mut link)?;
    Ok((link, found))
}

/// Refuses a server that loses committed grants, or whose answers may be of yesterday.
fn probe(link: &mut Link) -> Result<Found, StoreError> {
    let sql = "SELECT current_setting('server_version_num')::bigint / 10000,
                      pg_is_in_recovery()::int::bigint,
                      (current_setting('fsync') = 'off')::int::bigint,
                      (current_setting('full_page_writes') = 'off')::int::bigint,
                      (current_setting('synchronous_commit') = 'off')::int::bigint,
                      (current_setting('server_encoding') <> 'UTF8')::int::bigint,
                      (current_schema() IS NULL)::int::bigint,
                      (current_setting('default_transaction_read_only') = 'on')::int::bigint,
                      (SELECT count(*) FROM pg_stat_replication),
                      (current_setting('synchronous_standby_names') = ''
                       OR current_setting('synchronous_commit') = 'local')::int::bigint,
                      system_identifier
               FROM pg_control_system()";
    let answer = link.trip(None, &[said(sql, vec![])]);
    let answer = answer.map_err(Trouble::into_error)?;
    let row = answer.iter().flatten().next().ok_or_else(silent)?;
    let unfit = |problem: &str| Err(StoreError::new(Fault::Unfit, problem));
    if row.unsigned(0)? < OLDEST {
        return unfit("the server is older than PostgreSQL 14");
    }
    let problems = [
        "the server is a standby, which may lag behind and records nothing",
        "fsync is off: the server loses what was granted when its machine stops",
        "full_page_writes is off: a page that was half written when the machine stopped stays so",
        "synchronous_commit is off: the server loses what was granted last when it stops",
        "the database does not keep text in UTF-8",
        "none of the schemas in this user's search_path is there, or lets it in",
    ];
    for (column, problem) in (1..).zip(problems) {
        if row.unsigned(column)? != 0 {
            return unfit(problem);
        }
    }
    if row.unsigned(7)? != 0 {
        let problem = "default_transaction_read_only is on for this user";
        return Err(StoreError::new(Fault::ReadOnly, problem));
    }
    let standbys = row.unsigned(8)?;
    let lonely = row.unsigned(9)? != 0 && standbys > 0;
    Ok(Found {
        system: row.int(10)?.unwrap_or_default(),
        findings: lonely
            .then_some(Finding::StandbysNotAwaited { standbys })
            .into_iter()
            .collect(),
    })
}

fn silent() -> StoreError {
    StoreError::new(Fault::Unusable, "the server says nothing of itself")
}

/// Makes the tables, or brings them up to date. Of several nodes that begin at once, one does.
pub(super) fn make_tables(link: &mut Link, system: i64) -> Result<(), StoreError> {
    let mut last = silent();
    for _ in 0..TRIES {
        let made = link
            .batch("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
            .and_then(|()| migrate(link, system))
            .and_then(|()| link.batch("COMMIT"));
        let trouble = match made {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        };
        // Where the connection is gone, the next look says so.
        let _ = link.batch("ROLLBACK");
        let raced = [
            SqlState::UNIQUE_VIOLATION,
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_OBJECT,
        ];
        match &trouble {
            Trouble::Refused(state, error) if raced.contains(state) => last = error.clone(),
            _ if trouble.gave_way() => last = trouble.into_error(),
            _ => return Err(trouble.into_error()),
        }
    }
    Err(last)
}

fn migrate(link: &mut Link, system: i64) -> Result<(), Trouble> {
    let mut version = version(link)?;
    if version > 0 && version < VERSION {
        // Nodes that run meanwhile wait, and then find the new version.
        link.batch("LOCK TABLE phi_enforce IN ACCESS EXCLUSIVE MODE")?;
        version = self::version(link)?;
    }
    if version > VERSION {
        let problem = format!("it has version {version}, and {VERSION} is the newest known here");
        return Err(not_ours(Fault::Newer, &problem));
    }
    let done = usize::try_from(version).expect("a small number");
    for step in &MIGRATIONS[done..] {
        link.batch(step)?;
    }
    if version == 0 {
        let name = Incarnation::random().map_err(|error| damaged(&error))?;
        let new = said(
            "INSERT INTO phi_enforce VALUES (1, 0, $1, $2,
                 ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint,
                 0, 0, 0, 0, 0)",
            vec![Box::new(name.as_bytes().to_vec()), Box::new(system)],
        );
        link.trip(None, &[new])?;
    }
    if version < VERSION {
        let note = said(
            "UPDATE phi_enforce SET version = $1",
            vec![Box::new(VERSION)],
        );
        link.trip(None, &[note])?;
    }
    Ok(())
}

/// The version of the tables, or 0 where there is nothing.
fn version(link: &mut Link) -> Result<i64, Trouble> {
    // Not by `to_regclass`: within a transaction it may go on denying what another has made since.
    let sql = "SELECT (SELECT count(*) FROM pg_class WHERE relname = 'phi_enforce'
                       AND relnamespace = current_schema()::regnamespace),
                      (SELECT count(*) FROM pg_class
                       WHERE relnamespace = current_schema()::regnamespace AND NOT EXISTS
                       (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass
                        AND objid = pg_class.oid AND deptype = 'e'))";
    let mut number = |sql, column| {
        let answer = link.trip(None, &[said(sql, vec![])])?;
        let row = answer.iter().flatten().next();
        let number = row.map_or(Ok(None), |row| row.int(column));
        number.map_err(|error| damaged(&error))
    };
    if number(sql, 0)? == Some(1) {
        let version = number("SELECT version FROM phi_enforce", 0)?;
        return version.ok_or_else(|| not_ours(Fault::Damaged, "the table phi_enforce is empty"));
    }
    if number(sql, 1)? == Some(0) {
        return Ok(0);
    }
    // They may have been made between the two looks.
    if number(sql, 0)? == Some(1) {
        return Err(Trouble::Refused(
            SqlState::DUPLICATE_TABLE,
            StoreError::new(Fault::Busy, "the tables are being made"),
        ));
    }
    let problem = "there are tables of something else; name an empty database or schema";
    Err(not_ours(Fault::Foreign, problem))
}

fn damaged(error: &StoreError) -> Trouble {
    not_ours(Fault::Damaged, &error.to_string())
}

fn not_ours(fault: Fault, problem: &str) -> Trouble {
    Trouble::Refused(SqlState::DATA_CORRUPTED, StoreError::new(fault, problem))
}
