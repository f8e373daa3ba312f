//! Questions to the store; what an event says is always read from the event itself.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use phi_verify::{DocumentKind, KeyId, LicenseId, PublicKey, RuleClass, TokenId, UnixTime};
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use crate::{
    catalog::Revision,
    customer::{Customer, CustomerKind},
    error::Error,
    event::{Event, MintedToken, Publication, Revocation},
    keys::Role,
    license::LicenseRecord,
};

/// The store at one moment.
pub(crate) struct Query<'c> {
    connection: &'c Connection,
    catalogs: &'c CatalogCache,
}

/// Catalog revisions that were read: a recorded revision never changes.
pub(crate) type CatalogCache = RefCell<HashMap<(String, u64), Arc<Revision>>>;

/// A key as the store has it.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) public: PublicKey,
    pub(crate) role: Role,
    pub(crate) added: UnixTime,
    pub(crate) from: Option<UnixTime>,
    pub(crate) until: Option<UnixTime>,
    pub(crate) revoked: bool,
    pub(crate) dropped: bool,
}

impl<'c> Query<'c> {
    pub(super) const fn new(connection: &'c Connection, catalogs: &'c CatalogCache) -> Self {
        Self {
            connection,
            catalogs,
        }
    }

    /// Reads every event in order; how many there are.
    pub(super) fn replay(
        &self,
        mut each: impl FnMut(i64, &Event) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut select = self
            .connection
            .prepare("SELECT seq, body FROM events ORDER BY seq")?;
        let mut rows = select.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            each(
                row.get(0)?,
                &Event::decode(row.get_ref(1)?.as_blob().map_err(wrong_type)?)?,
            )?;
            count += 1;
        }
        Ok(count)
    }

    /// The keys in the order in which the ledger has them.
    pub(crate) fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        let sql = "SELECT public, role, added, signs_from, until, revoked, dropped FROM keys
                   ORDER BY rowid";
        self.all(sql, [], |row| {
            let (public, role): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(KeyRow {
                public: PublicKey::from_paserk(&public).map_err(|_| damaged("a key"))?,
                role: Role::from_name(&role).ok_or_else(|| damaged("a key's role"))?,
                added: time(row.get(2)?)?,
                from: row.get::<_, Option<i64>>(3)?.map(time).transpose()?,
                until: row.get::<_, Option<i64>>(4)?.map(time).transpose()?,
                revoked: row.get(5)?,
                dropped: row.get(6)?,
            })
        })
    }

    /// Whether no token under the key can be accepted any more.
    pub(crate) fn all_ended_under(&self, key_id: KeyId, now: UnixTime) -> Result<bool, Error> {
        let sql = "SELECT NOT EXISTS
                   (SELECT 1 FROM tokens WHERE key_id = ?1 AND (ends IS NULL OR ends > ?2))";
        let mut select = self.connection.prepare_cached(sql)?;
        let params = params![key_id.to_string(), now.seconds().cast_signed()];
        Ok(select.query_row(params, |row| row.get(0))?)
    }

    /// When the latest token under the key was minted, by the clock of who minted it.
    pub(crate) fn last_issued_under(&self, key_id: KeyId) -> Result<Option<UnixTime>, Error> {
        let sql = "SELECT max(issued_at) FROM tokens WHERE key_id = ?1";
        let mut select = self.connection.prepare_cached(sql)?;
        let last: Option<i64> = select.query_row([key_id.to_string()], |row| row.get(0))?;
        last.map(time).transpose()
    }

    /// The products that have a catalog.
    pub(crate) fn products(&self) -> Result<Vec<String>, Error> {
        self.all(
            "SELECT DISTINCT product FROM catalogs ORDER BY product",
            [],
            |row| Ok(row.get(0)?),
        )
    }

    /// The newest catalog revision of a product.
    pub(crate) fn newest_catalog(&self, product: &str) -> Result<Option<Arc<Revision>>, Error> {
        let sql = "SELECT max(revision) FROM catalogs WHERE product = ?1";
        let mut select = self.connection.prepare_cached(sql)?;
        match select.query_row([product], |row| row.get::<_, Option<i64>>(0))? {
            None => Ok(None),
            Some(revision) => self.catalog(product, revision.cast_unsigned()),
        }
    }

    /// A catalog revision.
    pub(crate) fn catalog(
        &self,
        product: &str,
        revision: u64,
    ) -> Result<Option<Arc<Revision>>, Error> {
        let key = (product.to_owned(), revision);
        if let Some(known) = self.catalogs.borrow().get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let sql = "SELECT body FROM catalogs JOIN events USING (seq)
                   WHERE product = ?1 AND revision = ?2";
        let found = match self.one_event(sql, params![product, revision.cast_signed()])? {
            None => return Ok(None),
            Some(Event::CatalogRecorded { revision, .. }) => Arc::new(revision),
            Some(_) => return Err(damaged("a catalog")),
        };
        self.catalogs.borrow_mut().insert(key, Arc::clone(&found));
        Ok(Some(found))
    }

    pub(crate) fn customer(&self, id: &str) -> Result<Option<Customer>, Error> {
        let mut found = self.customers_where("id = ?1", [id])?;
        Ok(found.pop())
    }

    pub(crate) fn customers(&self) -> Result<Vec<Customer>, Error> {
        self.customers_where("true", [])
    }

    fn customers_where(&self, test: &str, params: impl Params) -> Result<Vec<Customer>, Error> {
        let sql = format!("SELECT id, kind, name FROM customers WHERE {test} ORDER BY id");
        self.all(&sql, params, |row| {
            let kind: String = row.get(1)?;
            let kind = CustomerKind::from_name(&kind).ok_or_else(|| damaged("a customer"))?;
            Ok(Customer {
                id: row.get(0)?,
                kind,
                name: row.get(2)?,
            })
        })
    }

    /// A license.
    pub(crate) fn license(&self, id: LicenseId) -> Result<Option<LicenseRecord>, Error> {
        let sql = "SELECT body FROM licenses JOIN events USING (seq) WHERE id = ?1";
        self.one_event(sql, [id.to_string()])?
            .map(license_of)
            .transpose()
    }

    /// The licenses, all or of a customer or a product, in the order of issue.
    pub(crate) fn licenses(
        &self,
        customer: Option<&str>,
        product: Option<&str>,
    ) -> Result<Vec<LicenseRecord>, Error> {
        let sql = "SELECT body FROM licenses JOIN events USING (seq)
                   WHERE (?1 IS NULL OR customer = ?1) AND (?2 IS NULL OR product = ?2)
                   ORDER BY seq";
        self.all(sql, params![customer, product], |row| {
            license_of(event(row, 0)?)
        })
    }

    /// A token.
    pub(crate) fn token(&self, id: TokenId) -> Result<Option<MintedToken>, Error> {
        let sql = "SELECT body FROM tokens JOIN events USING (seq) WHERE id = ?1";
        self.one_event(sql, [id.to_string()])?
            .map(token_of)
            .transpose()
    }

    /// The tokens of a license, in the order of minting.
    pub(crate) fn tokens_of(&self, license: LicenseId) -> Result<Vec<MintedToken>, Error> {
        let sql = "SELECT body FROM tokens JOIN events USING (seq) WHERE license = ?1 ORDER BY seq";
        self.all(sql, [license.to_string()], |row| token_of(event(row, 0)?))
    }

    /// Hands over every token that something could still accept at this time.
    pub(crate) fn each_live_token(
        &self,
        now: UnixTime,
        mut each: impl FnMut(MintedToken) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT body FROM tokens JOIN events USING (seq)
                   WHERE ends IS NULL OR ends > ?1 ORDER BY seq";
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query([now.seconds().cast_signed()])?;
        while let Some(row) = rows.next()? {
            each(token_of(event(row, 0)?)?)?;
        }
        Ok(())
    }

    /// How many live tokens there are of each of these: a token, a license, a customer's
    /// licenses, a key. A feature counts the product's tokens.
    pub(crate) fn count_live_tokens(
        &self,
        class: RuleClass,
        id: &str,
        now: UnixTime,
        issued_before: Option<UnixTime>,
    ) -> Result<u64, Error> {
        let test = match class {
            RuleClass::Token => "tokens.id = ?1",
            RuleClass::License => "license = ?1",
            RuleClass::Customer => "licenses.customer = ?1",
            RuleClass::Key => "key_id = ?1",
            RuleClass::Feature => "licenses.product = ?1",
        };
        let sql = format!(
            "SELECT count(*) FROM tokens JOIN licenses ON licenses.id = tokens.license
             WHERE {test} AND (ends IS NULL OR ends > ?2) AND (?3 IS NULL OR issued_at < ?3)"
        );
        let before = issued_before.map(|time| time.seconds().cast_signed());
        let count: i64 = self
            .connection
            .prepare_cached(&sql)?
            .query_row(params![id, now.seconds().cast_signed(), before], |row| {
                row.get(0)
            })?;
        Ok(count.cast_unsigned())
    }

    /// What is revoked, in the order of revocation.
    pub(crate) fn revocations(&self) -> Result<Vec<Revocation>, Error> {
        let sql = "SELECT body FROM revocations JOIN events USING (seq) ORDER BY seq";
        self.all(sql, [], |row| revocation_of(event(row, 0)?))
    }

    /// The revocation of one subject.
    pub(crate) fn revocation(
        &self,
        class: RuleClass,
        id: &str,
    ) -> Result<Option<Revocation>, Error> {
        let sql =
            "SELECT body FROM revocations JOIN events USING (seq) WHERE class = ?1 AND id = ?2";
        self.one_event(sql, [class.name(), id])?
            .map(revocation_of)
            .transpose()
    }

    /// The newest document of a kind, for catalogs that of a product.
    pub(crate) fn newest(
        &self,
        kind: DocumentKind,
        product: &str,
    ) -> Result<Option<Publication>, Error> {
        let sql = "SELECT body FROM publications JOIN events USING (seq)
                   WHERE kind = ?1 AND product = ?2 ORDER BY version DESC LIMIT 1";
        self.one_event(sql, [kind.name(), product])?
            .map(publication_of)
            .transpose()
    }

    /// Every root and the newest of everything else: what belongs into the published folder, in
    /// the order in which a verifier imports it.
    pub(crate) fn published(&self) -> Result<Vec<Publication>, Error> {
        let roots = "SELECT body FROM publications JOIN events USING (seq)
                     WHERE kind = 'root' ORDER BY version";
        let mut documents = self.all(roots, [], |row| publication_of(event(row, 0)?))?;
        for kind in [DocumentKind::Keyset, DocumentKind::Status] {
            documents.extend(self.newest(kind, "")?);
        }
        for product in self.products()? {
            documents.extend(self.newest(DocumentKind::Catalog, &product)?);
        }
        Ok(documents)
    }

    /// The event that answered a request, by the beginning of its idempotency key, and that key.
    pub(crate) fn answer_to(&self, key_prefix: &str) -> Result<Option<(String, Event)>, Error> {
        let sql = "SELECT idempotency_key, body FROM events
                   WHERE idempotency_key >= ?1 AND idempotency_key < ?2 LIMIT 1";
        // Keys are printable: the prefix and the highest character bound them all.
        let end = format!("{key_prefix}{}", char::MAX);
        let mut select = self.connection.prepare_cached(sql)?;
        let found = select
            .query_row([key_prefix, &end], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        found
            .map(|(key, body)| Ok((key, Event::decode(&body)?)))
            .transpose()
    }

    fn one_event(&self, sql: &str, params: impl Params) -> Result<Option<Event>, Error> {
        let mut select = self.connection.prepare_cached(sql)?;
        let body = select
            .query_row(params, |row| row.get::<_, Vec<u8>>(0))
            .optional()?;
        body.map(|body| Event::decode(&body)).transpose()
    }

    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut select = self.connection.prepare_cached(sql)?;
        let mut rows = select.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

fn event(row: &Row<'_>, column: usize) -> Result<Event, Error> {
    Event::decode(row.get_ref(column)?.as_blob().map_err(wrong_type)?)
}

fn license_of(event: Event) -> Result<LicenseRecord, Error> {
    match event {
        Event::LicenseIssued { license } => Ok(license),
        _ => Err(damaged("a license")),
    }
}

fn token_of(event: Event) -> Result<MintedToken, Error> {
    match event {
        Event::TokenMinted(token) => Ok(token),
        _ => Err(damaged("a token")),
    }
}

fn revocation_of(event: Event) -> Result<Revocation, Error> {
    match event {
        Event::Revoked(revocation) => Ok(revocation),
        _ => Err(damaged("a revocation")),
    }
}

fn publication_of(event: Event) -> Result<Publication, Error> {
    match event {
        Event::DocumentPublished(publication) => Ok(publication),
        _ => Err(damaged("a publication")),
    }
}

fn time(seconds: i64) -> Result<UnixTime, Error> {
    let time = u64::try_from(seconds).ok().and_then(UnixTime::new);
    time.ok_or_else(|| damaged("a time"))
}

/// A derived table that says what no event does: it was changed from outside.
fn damaged(what: &str) -> Error {
    Error::EventDamaged {
        problem: format!("{what} in a table is not what its event says"),
    }
}

fn wrong_type(_: rusqlite::types::FromSqlError) -> Error {
    damaged("a value")
}
