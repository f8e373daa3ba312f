//! What an event does to the derived tables: the one place that writes them.

use phi_verify::{RuleClass, UnixTime};

use super::engine::{Engine, Value, values};
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
pub(super) fn apply(engine: &Engine, seq: i64, event: &Event) -> Result<(), Error> {
    let execute = |sql, values: &[Value<'_>]| engine.execute(sql, values).map(drop);
    match event {
        Event::IssuerCreated { .. } => Ok(()),
        Event::KeyAdded { role, public, from } => execute(
            "INSERT INTO keys (id, role, public, added, signs_from, seq)
             SELECT ?1, ?2, ?3, time, ?4, seq FROM events WHERE seq = ?5",
            values![
                &public.id().to_string(),
                role.name(),
                &public.to_paserk(),
                from.map(sql),
                seq
            ],
        ),
        Event::KeyActivated { key_id, from } => execute(
            "UPDATE keys SET signs_from = ?2 WHERE id = ?1",
            values![&key_id.to_string(), sql(*from)],
        ),
        Event::KeyRetired { key_id, until } => execute(
            "UPDATE keys SET until = ?2 WHERE id = ?1",
            values![&key_id.to_string(), sql(*until)],
        ),
        Event::KeyDropped { key_id } => execute(
            "UPDATE keys SET dropped = 1 WHERE id = ?1",
            values![&key_id.to_string()],
        ),
        Event::CatalogRecorded { revision, .. } => execute(
            "INSERT INTO catalogs (product, revision, seq) VALUES (?1, ?2, ?3)",
            values![
                revision.product().as_str(),
                revision.number().cast_signed(),
                seq
            ],
        ),
        Event::CustomerAdded { customer } => execute(
            "INSERT INTO customers (id, kind, name) VALUES (?1, ?2, ?3)",
            values![&customer.id, customer.kind.name(), &customer.name],
        ),
        Event::LicenseIssued { license } => execute(
            "INSERT INTO licenses (id, customer, product, seq) VALUES (?1, ?2, ?3, ?4)",
            values![
                &license.id.to_string(),
                &license.customer,
                &license.product,
                seq
            ],
        ),
        Event::TokenMinted(token) => execute(
            "INSERT INTO tokens (id, license, key_id, issued_at, ends, epoch, seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                &token.token_id.to_string(),
                &token.license.to_string(),
                &token.key_id.to_string(),
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
                 ON CONFLICT (class, id) DO UPDATE SET issued_before = excluded.issued_before,
                                           seq = excluded.seq",
                values![class, &id, revocation.issued_before.map(sql), seq],
            )?;
            if revocation.subject.class() == RuleClass::Key && revocation.issued_before.is_none() {
                execute("UPDATE keys SET revoked = 1 WHERE id = ?1", values![&id])?;
            }
            Ok(())
        }
        Event::DocumentPublished(publication) => execute(
            "INSERT INTO publications (kind, product, version, seq) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, product, version) DO UPDATE SET seq = excluded.seq",
            values![
                publication.kind.name(),
                &publication.product,
                publication.version.cast_signed(),
                seq
            ],
        ),
    }
}

/// Times are below the year 9999, far within signed integers.
fn sql(time: UnixTime) -> i64 {
    time.seconds().cast_signed()
}
