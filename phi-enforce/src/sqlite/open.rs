//! Opening the file: whose it is, whether it and its disk keep what they are given, and how an
//! older one is brought up to date.

use std::{fs, io, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi::SQLITE_IOERR_SHMSIZE};

use super::Disk;
use crate::error::{Fault, StoreError};

/// What marks an enforcement store: the letters `PhiE`.
const APPLICATION: u32 = 0x5068_6945;
/// What brings a store from each version to the next.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("schema-2.sql")];
/// More statements than there are in the source: each is compiled once.
const STATEMENTS: usize = 64;
/// Pages of the file that are kept in memory, in KiB: those of fifty thousand seats, with their
/// indexes.
const CACHE: i64 = 32 * 1024;
/// The write-ahead log is folded back after this many pages; each is 4 KiB.
const CHECKPOINT_PAGES: u32 = 4000;

pub(super) fn open(path: &Path, disk: Disk) -> Result<Connection, StoreError> {
    create(path)?;
    if disk == Disk::Lasting {
        check_disk(path)?;
    }
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // Who has the file has it for good: there is nothing to wait for.
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    check_owner(&connection)?;
    configure(&connection)?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// An empty file is a store that was never finished. Names of holders are in it: it is its
/// owner's, and its journals take after it.
fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let fault = match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    Fault::ReadOnly
                }
                io::ErrorKind::StorageFull => Fault::Full,
                _ => Fault::Unusable,
            };
            Err(StoreError::new(
                fault,
                format!("{}: {error}", path.display()),
            ))
        }
    }
}

/// File systems that forget in a power cut, or on which locks and syncs are another machine's.
/// <https://man7.org/linux/man-pages/man2/statfs.2.html>
#[cfg(target_os = "linux")]
fn check_disk(path: &Path) -> Result<(), StoreError> {
    const UNFIT: [(u64, &str); 6] = [
        (0x0102_1994, "tmpfs, which is in memory"),
        (0x8584_58f6, "ramfs, which is in memory"),
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x0102_1997, "9p"),
    ];
    let found = rustix::fs::statfs(path).map_err(|error| StoreError::unusable(&error))?;
    // The kernel's numbers have 32 bits, whatever the type's width and sign.
    let kind = u64::try_from(found.f_type & 0xffff_ffff).unwrap_or_default();
    match UNFIT.iter().find(|(unfit, _)| *unfit == kind) {
        None => Ok(()),
        Some((_, name)) => Err(StoreError::new(
            Fault::Unfit,
            format!("{} is on {name}", path.display()),
        )),
    }
}

#[cfg(not(target_os = "linux"))]
fn check_disk(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Looks before anything is changed.
fn check_owner(connection: &Connection) -> Result<(), StoreError> {
    let number = |pragma| -> Result<u32, StoreError> {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .map_err(failed)
    };
    let (owner, version) = (number("application_id")?, number("user_version")?);
    let empty = owner == 0 && version == 0 && number("schema_version")? == 0;
    if owner != APPLICATION && !empty {
        return Err(StoreError::new(Fault::Foreign, ""));
    }
    let newest = newest();
    if version > newest {
        let problem = format!("it has version {version}, and {newest} is the newest known here");
        return Err(StoreError::new(Fault::Newer, problem));
    }
    Ok(())
}

fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).expect("some versions")
}

/// The probe: each setting is read back, because SQLite answers what it cannot do with what it
/// does instead.
fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let set = |pragma: &str, value: &str| {
        connection
            .pragma_update(None, pragma, value)
            .map_err(failed)
    };
    if connection.is_readonly("main").map_err(failed)? {
        return Err(StoreError::new(Fault::ReadOnly, ""));
    }
    // The lock is the process's until it ends, however it ends.
    set("locking_mode", "EXCLUSIVE")?;
    set("journal_mode", "WAL")?;
    set("synchronous", "FULL")?;
    set("fullfsync", "true")?;
    set("checkpoint_fullfsync", "true")?;
    set("trusted_schema", "false")?;
    set("foreign_keys", "true")?;
    connection
        .pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .and_then(|()| connection.pragma_update(None, "cache_size", -CACHE))
        .map_err(failed)?;
    connection
        .execute_batch("BEGIN IMMEDIATE; COMMIT")
        .map_err(failed)?;
    for (pragma, needed) in [
        ("locking_mode", "exclusive"),
        ("journal_mode", "wal"),
        ("synchronous", "2"),
    ] {
        let found: rusqlite::types::Value = connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .map_err(failed)?;
        let found = match found {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => format!("{other:?}"),
        };
        if found != needed {
            let problem = format!("{pragma} is {found}, and {needed} is needed");
            return Err(StoreError::new(Fault::Unfit, problem));
        }
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let migration = connection.transaction().map_err(failed)?;
    let version: u32 = migration
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    let done = usize::try_from(version).expect("a small number");
    for step in &MIGRATIONS[done..] {
        migration.execute_batch(step).map_err(failed)?;
    }
    let marked = migration
        .pragma_update(None, "application_id", APPLICATION)
        .and_then(|()| migration.pragma_update(None, "user_version", newest()));
    marked.map_err(failed)?;
    migration.commit().map_err(failed)
}

/// What SQLite's refusal means.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where an error is mapped"
)]
pub(super) fn failed(error: rusqlite::Error) -> StoreError {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    let fault = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::InUse,
        // A table that contradicts its own rules was changed from outside.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation) => Fault::Damaged,
        Some(ErrorCode::NotADatabase) => Fault::Foreign,
        Some(ErrorCode::DiskFull) => Fault::Full,
        // The index of the write-ahead log cannot grow.
        Some(ErrorCode::SystemIoFailure) if extended == Some(SQLITE_IOERR_SHMSIZE) => Fault::Full,
        // The write-ahead log needs a folder in which files can be made.
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Fault::ReadOnly
        }
        _ => Fault::Unusable,
    };
    StoreError::new(fault, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_store_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let first = Connection::open(&path).unwrap();
        first.execute_batch(MIGRATIONS[0]).unwrap();
        first
            .execute_batch("INSERT INTO meta VALUES (1, zeroblob(16), 0, 7, 0, 30000, 0)")
            .unwrap();
        first
            .pragma_update(None, "application_id", APPLICATION)
            .unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        drop(first);

        let store = open(&path, Disk::Any).unwrap();
        let row = |sql: &str| -> String { store.query_row(sql, [], |row| row.get(0)).unwrap() };
        let version: u32 = store
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        assert_eq!(version, newest());
        assert_eq!(row("SELECT CAST(seq AS TEXT) FROM meta"), "7");
        let new = Connection::open_in_memory().unwrap();
        for step in MIGRATIONS {
            new.execute_batch(step).unwrap();
        }
        let index = "SELECT sql FROM sqlite_schema WHERE name = 'places_in_queue'";
        let made: String = new.query_row(index, [], |row| row.get(0)).unwrap();
        assert_eq!(row(index), made);
    }
}
