//! Older stores: how each is brought to the version after it.

use super::{
    Engine, apply,
    engine::{self, values},
    insert,
    query::time,
};
use crate::{
    entry::{Entry, FIRST_VERSION},
    error::Error,
    event::Event,
};

/// Rows that are read at once.
const PAGE: i64 = 1024;

/// Version 1 had the event in one column and what stands beside it in others. Version 2 has both
/// in one entry, which the Merkle log can cover. Only SQLite has stores of version 1.
pub(super) fn to_version_2(engine: &Engine) -> Result<(), Error> {
    for table in apply::TABLES {
        engine.batch(&format!("DROP TABLE IF EXISTS {table}"))?;
    }
    for trigger in ["events_keep_update", "events_keep_delete", "events_append"] {
        engine.batch(&format!("DROP TRIGGER {trigger}"))?;
    }
    engine.batch("ALTER TABLE events RENAME TO events_1")?;
    engine.create_tables(engine::LEDGER)?;
    let mut after = 0;
    loop {
        let page = page_of_version_1(engine, after)?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.seq.cast_signed();
        for entry in &page {
            insert(engine, entry, &entry.encode())?;
            failpoint!("migrate-after-entry");
        }
    }
    engine.batch("DROP TABLE events_1")?;
    failpoint!("migrate-after-drop");
    engine.create_triggers()?;
    engine.create_tables(engine::DERIVED)
}

fn page_of_version_1(engine: &Engine, after: i64) -> Result<Vec<Entry>, Error> {
    let sql = "SELECT seq, time, actor, idempotency_key, body FROM events_1
               WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    let mut page = Vec::new();
    engine.each(sql, values![after, PAGE], &mut |row| {
        page.push(Entry {
            version: FIRST_VERSION,
            seq: row.int(0)?.cast_unsigned(),
            time: time(row.int(1)?)?,
            actor: row.text(2)?.into(),
            reason: None,
            idempotency_key: row.opt_text(3)?.map(str::to_owned),
            event: Event::decode(row.blob(4)?)?,
        });
        Ok(())
    })?;
    Ok(page)
}
