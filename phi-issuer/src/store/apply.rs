//! What an entry does to the derived tables: the one place that writes them.

use phi_verify::{LicenseId, RuleClass, UnixTime};

use super::engine::{Engine, Value, damaged, values};
use crate::{
    Subject,
    entry::Entry,
    error::Error,
    event::{Event, MintedToken, Revocation, Unrevocation},
    license::{Issuance, LicenseRecord, fold},
};

/// The derived tables, children before their parents.
pub(super) const TABLES: [&str; 11] = [
    "tiles",
    "corrections",
    "checkpoints",
    "trail",
    "publications",
    "revocations",
    "tokens",
    "licenses",
    "customers",
    "catalogs",
    "keys",
];

/// What deltas are called in the table of publications.
pub(super) const DELTA: &str = "status-delta";

/// Applies an entry. The Merkle tree has its own way into its table: [`super::tiles`].
pub(super) fn apply(engine: &Engine, entry: &Entry) -> Result<(), Error> {
    let seq = entry.seq.cast_signed();
    let execute = |sql, values: &[Value<'_>]| one_row(engine, sql, values);
    match &entry.event {
        Event::IssuerCreated { .. } | Event::KeyExported { .. } | Event::ClockResetIssued(_) => {
            Ok(())
        }
        Event::KeyAdded {
            role, public, from, ..
        } => execute(
            "INSERT INTO keys (id, role, public, added, signs_from, seq)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![
                &public.id().to_string(),
                role.name(),
                &public.to_paserk(),
                sql(entry.time),
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
        Event::KeyProlonged { key_id, until } => execute(
            "UPDATE keys SET until = ?2 WHERE id = ?1",
            values![&key_id.to_string(), until.map(sql)],
        ),
        Event::KeyDropped { key_id } => execute(
            "UPDATE keys SET dropped = 1 WHERE id = ?1",
            values![&key_id.to_string()],
        ),
        Event::CatalogRecorded { revision, .. } => {
            let product = revision.product().as_str();
            execute(
                "INSERT INTO catalogs (product, revision, seq) VALUES (?1, ?2, ?3)",
                values![product, revision.number().cast_signed(), seq],
            )?;
            trail(engine, seq, None, Some(product))
        }
        Event::CustomerAdded { customer } => {
            execute(
                "INSERT INTO customers (id, kind, name) VALUES (?1, ?2, ?3)",
                values![&customer.id, customer.kind.name(), &customer.name],
            )?;
            trail(engine, seq, Some(&customer.id), None)
        }
        Event::CustomerChanged { customer } => {
            execute(
                "UPDATE customers SET kind = ?2, name = ?3 WHERE id = ?1",
                values![&customer.id, customer.kind.name(), &customer.name],
            )?;
            trail(engine, seq, Some(&customer.id), None)
        }
        Event::LicenseDrafted { license }
        | Event::LicenseIssued { license }
        | Event::TrialStarted { license } => begin(engine, entry, license),
        Event::LicenseChanged(change) => change_license(engine, entry, change.license),
        Event::TokenMinted(token) => mint(engine, seq, token),
        Event::Revoked(revocation) => revoke(engine, entry, revocation),
        Event::Unrevoked(unrevocation) => unrevoke(engine, entry, unrevocation),
        Event::DocumentPublished(publication) => {
            let base = publication.base.map(|base| base.to_string());
            // Deltas stand beside the lists, under the epoch of their base.
            let (kind, about) = match &base {
                None => (publication.kind.name(), publication.product.as_str()),
                Some(base) => (DELTA, base.as_str()),
            };
            let product = publication.product.as_str();
            execute(
                "INSERT INTO publications (kind, product, version, seq) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (kind, product, version) DO UPDATE SET seq = excluded.seq",
                values![kind, about, publication.version.cast_signed(), seq],
            )?;
            match product {
                "" => Ok(()),
                product => trail(engine, seq, None, Some(product)),
            }
        }
        Event::ClockCorrected { .. } => execute(
            "INSERT INTO corrections (seq, time) VALUES (?1, ?2)",
            values![seq, sql(entry.time)],
        ),
        Event::CheckpointSigned(checkpoint) => execute(
            "INSERT INTO checkpoints (seq, size) VALUES (?1, ?2)",
            values![seq, checkpoint.size.cast_signed()],
        ),
    }
}

fn begin(engine: &Engine, entry: &Entry, issuance: &Issuance) -> Result<(), Error> {
    let mut record = None;
    fold(&mut record, entry)?;
    let record = record.ok_or_else(|| damaged("a license"))?;
    let seq = entry.seq.cast_signed();
    one_row(
        engine,
        "INSERT INTO licenses (seq, id, customer, product, standing, due, record)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values![
            seq,
            issuance.id.as_bytes().as_slice(),
            &record.customer,
            &record.product,
            record.standing.name(),
            due(&record),
            &record.encode()
        ],
    )?;
    trail_of_license(engine, seq, issuance.id, true)
}

/// Folds the entry into the license's record.
fn change_license(engine: &Engine, entry: &Entry, id: LicenseId) -> Result<(), Error> {
    let sql = "SELECT record FROM licenses WHERE id = ?1";
    let found = engine.one(sql, values![id.as_bytes().as_slice()], |row| {
        LicenseRecord::decode(row.blob(0)?)
    });
    let mut record = found?;
    fold(&mut record, entry)?;
    let record = record.ok_or_else(|| damaged("a license"))?;
    one_row(
        engine,
        "UPDATE licenses SET standing = ?2, due = ?3, record = ?4 WHERE id = ?1",
        values![
            id.as_bytes().as_slice(),
            record.standing.name(),
            due(&record),
            &record.encode()
        ],
    )?;
    trail_of_license(engine, entry.seq.cast_signed(), id, true)
}

fn due(record: &LicenseRecord) -> Option<i64> {
    record.waiting.first().map(|first| sql(first.effective))
}

fn mint(engine: &Engine, seq: i64, token: &MintedToken) -> Result<(), Error> {
    one_row(
        engine,
        "INSERT INTO tokens (id, license, key_id, issued_at, ends, epoch, seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values![
            token.token_id.as_bytes().as_slice(),
            token.license.as_bytes().as_slice(),
            &token.key_id.to_string(),
            sql(token.issued_at),
            token.ends.map(sql),
            token.mint_epoch.cast_signed(),
            seq
        ],
    )?;
    trail_of_license(engine, seq, token.license, false)
}

fn revoke(engine: &Engine, entry: &Entry, revocation: &Revocation) -> Result<(), Error> {
    let seq = entry.seq.cast_signed();
    let (class, id) = (revocation.subject.class().name(), revocation.subject.id());
    one_row(
        engine,
        "INSERT INTO revocations (class, id, issued_before, seq) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (class, id) DO UPDATE SET issued_before = excluded.issued_before,
                                               seq = excluded.seq",
        values![class, &id, revocation.issued_before.map(sql), seq],
    )?;
    if revocation.subject.class() == RuleClass::Key && revocation.issued_before.is_none() {
        one_row(
            engine,
            "UPDATE keys SET revoked = 1 WHERE id = ?1",
            values![&id],
        )?;
    }
    match &revocation.subject {
        Subject::License(license) if revocation.issued_before.is_none() => {
            change_license(engine, entry, *license)
        }
        subject => trail_of_subject(engine, seq, subject),
    }
}

/// Ends the revocation, or puts the earlier one in its place that stays in force.
fn unrevoke(engine: &Engine, entry: &Entry, unrevocation: &Unrevocation) -> Result<(), Error> {
    let seq = entry.seq.cast_signed();
    let subject = &unrevocation.subject;
    let (class, id) = (subject.class().name(), subject.id());
    let asked = "SELECT issued_before FROM revocations WHERE class = ?1 AND id = ?2";
    let before = engine.one(asked, values![class, &id], |row| row.opt_int(0))?;
    match unrevocation.keeps {
        // The row stays and names this event: what was issued before the epoch is nothing.
        None => one_row(
            engine,
            "UPDATE revocations SET issued_before = 0, seq = ?3 WHERE class = ?1 AND id = ?2",
            values![class, &id, seq],
        )?,
        Some(kept) => {
            let kept = kept.cast_signed();
            let asked = "SELECT entry FROM events WHERE seq = ?1";
            let event = engine.one(asked, values![kept], |row| Entry::decode(row.blob(0)?))?;
            let cut_off = match event.map(|entry| entry.event) {
                Some(Event::Revoked(earlier)) => earlier.issued_before.map(sql),
                _ => return Err(damaged("a revocation that stays")),
            };
            one_row(
                engine,
                "UPDATE revocations SET issued_before = ?3, seq = ?4 WHERE class = ?1 AND id = ?2",
                values![class, &id, cut_off, kept],
            )?;
        }
    }
    match subject {
        // The license itself was taken back, not only tokens of it.
        Subject::License(license) if before == Some(None) => {
            change_license(engine, entry, *license)
        }
        subject => trail_of_subject(engine, seq, subject),
    }
}

/// The entry is about what is revoked, or not any more, and changes no license.
fn trail_of_subject(engine: &Engine, seq: i64, subject: &Subject) -> Result<(), Error> {
    match subject {
        Subject::License(license) => trail_of_license(engine, seq, *license, false),
        Subject::Token(token) => one_row(
            engine,
            "INSERT INTO trail (seq, license, customer, product, changes)
             SELECT ?1, licenses.id, customer, product, 0
             FROM tokens JOIN licenses ON licenses.id = tokens.license
             WHERE tokens.id = ?2",
            values![seq, token.as_bytes().as_slice()],
        ),
        Subject::Customer(customer) => trail(engine, seq, Some(customer), None),
        Subject::Feature { product, .. } => trail(engine, seq, None, Some(product)),
        Subject::Key(_) => Ok(()),
    }
}

/// The entry is about a license, and about its customer and product as they are now.
fn trail_of_license(
    engine: &Engine,
    seq: i64,
    license: LicenseId,
    changes: bool,
) -> Result<(), Error> {
    one_row(
        engine,
        "INSERT INTO trail (seq, license, customer, product, changes)
         SELECT ?1, id, customer, product, ?3 FROM licenses WHERE id = ?2",
        values![seq, license.as_bytes().as_slice(), i64::from(changes)],
    )
}

/// The entry is about a customer or a product.
fn trail(
    engine: &Engine,
    seq: i64,
    customer: Option<&str>,
    product: Option<&str>,
) -> Result<(), Error> {
    one_row(
        engine,
        "INSERT INTO trail (seq, customer, product, changes) VALUES (?1, ?2, ?3, 0)",
        values![seq, customer, product],
    )
}

/// Carries out a statement that makes or changes one row: what an event is about must be there.
fn one_row(engine: &Engine, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
    match engine.execute(sql, values)? {
        1 => Ok(()),
        _ => Err(Error::EventDamaged {
            problem: "what it is about is not there".into(),
        }),
    }
}

/// Times are below the year 9999, far within signed integers.
fn sql(time: UnixTime) -> i64 {
    time.seconds().cast_signed()
}
