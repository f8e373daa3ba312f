//! What an event does to the derived tables: the one place that writes them.

use phi_verify::UnixTime;
use rusqlite::{Connection, params};

use crate::{error::Error, event::Event};

/// The derived tables, children before their parents.
pub(super) const TABLES: [&str; 7] = [
    "publications",
    "revocations",
    "tokens",
    "licenses",
    "customers",
    "catalogs",
    "keys",
];

/// Applies the event at `seq`.
pub(super) fn apply(connection: &Connection, seq: i64, event: &Event) -> Result<(), Error> {
    let execute = |sql, params: &[&dyn rusqlite::ToSql]| -> Result<(), Error> {
        connection.prepare_cached(sql)?.execute(params)?;
        Ok(())
    };
    match event {
        Event::IssuerCreated { .. } => Ok(()),
        Event::KeyAdded { role, public, from } => execute(
            "INSERT INTO keys (id, role, public, added, signs_from)
             SELECT ?1, ?2, ?3, time, ?4 FROM events WHERE seq = ?5",
            params![
                public.id().to_string(),
                role.name(),
                public.to_paserk(),
                from.map(sql),
                seq
            ],
        ),
        Event::KeyActivated { key_id, from } => execute(
            "UPDATE keys SET signs_from = ?2 WHERE id = ?1",
            params![key_id.to_string(), sql(*from)],
        ),
        Event::KeyRetired { key_id, until } => execute(
            "UPDATE keys SET until = ?2 WHERE id = ?1",
            params![key_id.to_string(), sql(*until)],
        ),
        Event::KeyDropped { key_id } => execute(
            "UPDATE keys SET dropped = 1 WHERE id = ?1",
            params![key_id.to_string()],
        ),
        Event::CatalogRecorded { revision, .. } => execute(
            "INSERT INTO catalogs (product, revision, seq) VALUES (?1, ?2, ?3)",
            params![
                revision.product().as_str(),
                revision.number().cast_signed(),
                seq
            ],
        ),
        Event::CustomerAdded { customer } => execute(
            "INSERT INTO customers (id, kind, name) VALUES (?1, ?2, ?3)",
            params![customer.id, customer.kind.name(), customer.name],
        ),
        Event::LicenseIssued { license } => execute(
            "INSERT INTO licenses (id, customer, product, seq) VALUES (?1, ?2, ?3, ?4)",
            params![
                license.id.to_string(),
                license.customer,
                license.product,
                seq
            ],
        ),
        Event::TokenMinted(token) => execute(
            "INSERT INTO tokens (id, license, key_id, issued_at, ends, epoch, seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                token.token_id.to_string(),
                token.license.to_string(),
                token.key_id.to_string(),
                sql(token.issued_at),
                token.ends.map(sql),
                token.mint_epoch.cast_signed(),
                seq
            ],
        ),
        Event::Revoked(revocation) => {
            let (class, id) = (revocation.subject.class().name(), revocation.subject.id());
            execute(
                "INSERT INTO revocations (class, id, issued_before, seq) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET issued_before = excluded.issued_before,
                                           seq = excluded.seq",
                params![class, id, revocation.issued_before.map(sql), seq],
            )?;
            execute(
                "UPDATE keys SET revoked = 1 WHERE id = ?1 AND ?2 = 'key' AND ?3 IS NULL",
                params![id, class, revocation.issued_before.map(sql)],
            )
        }
        Event::DocumentPublished(publication) => execute(
            "INSERT OR REPLACE INTO publications (kind, product, version, seq)
             VALUES (?1, ?2, ?3, ?4)",
            params![
                publication.kind.name(),
                publication.product,
                publication.version.cast_signed(),
                seq
            ],
        ),
    }
}

/// Times are below the year 9999, far within SQLite's integers.
fn sql(time: UnixTime) -> i64 {
    time.seconds().cast_signed()
}
