//! Whether a database keeps what it was told to keep.

use super::Postgres;
use crate::error::Error;

/// The oldest server that is still kept up by its makers.
const OLDEST: i64 = 14;

/// Refuses a server that loses committed events, or whose answers may be of yesterday.
pub(super) fn check(engine: &Postgres) -> Result<(), Error> {
    let sql = "SELECT current_setting('server_version_num')::bigint / 10000,
                      pg_is_in_recovery(),
                      current_setting('fsync') = 'off',
                      current_setting('synchronous_commit') = 'off',
                      current_setting('default_transaction_read_only') = 'on',
                      current_setting('server_encoding') <> 'UTF8',
                      current_schema() IS NULL";
    let place = &engine.server.place;
    let unfit = |problem: &'static str, hint: &'static str| Error::StoreUnfit {
        place: place.clone(),
        problem,
        hint,
    };
    let problems = [
        (
            "is a standby, which may lag behind and records nothing",
            "name the primary server in phi.toml",
        ),
        (
            "has fsync off: it loses what was recorded when its machine stops",
            "set fsync = on in postgresql.conf",
        ),
        (
            "has synchronous_commit off: it loses what was recorded last when its machine stops",
            "run `ALTER ROLE ... SET synchronous_commit = on` for the role that phi has there",
        ),
        (
            "lets this user only read",
            "run `ALTER ROLE ... SET default_transaction_read_only = off` for phi's role",
        ),
        (
            "does not keep text in UTF-8",
            "make one with `CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`",
        ),
        (
            "has none of the schemas in this user's search_path, or does not let it in",
            "create the schema, and see the rights in docs/guides/postgresql.md",
        ),
    ];
    engine.one(sql, &[], |row| {
        if row.int(0)? < OLDEST {
            return Err(unfit(
                "has a version of PostgreSQL before 14",
                "move it to a newer server",
            ));
        }
        for (column, (problem, hint)) in (1..).zip(problems) {
            if row.truth(column)? {
                return Err(unfit(problem, hint));
            }
        }
        Ok(())
    })
}
