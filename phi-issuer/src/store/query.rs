//! Questions to the store; what an event says is always read from the event itself.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use phi_verify::{DocumentKind, KeyId, LicenseId, PublicKey, RuleClass, TokenId, UnixTime};

use super::{
    apply,
    engine::{Engine, Row, Value, damaged, values},
    lift,
    tiles::Tiles,
};
use crate::{
    catalog::Revision,
    customer::{Customer, CustomerKind},
    entry::Entry,
    error::Error,
    event::{Event, MintedToken, Publication, Revocation, SignedCheckpoint, Subject, Unrevocation},
    keys::{KeyScope, Orphan, Orphans, Reach, Role},
    license::{LicenseRecord, State},
    revoked::Revoked,
};

/// Events that are read at once: a few hundred kilobytes of them.
const PAGE: i64 = 1024;

/// The store at one moment.
pub(crate) struct Query<'c> {
    pub(super) engine: &'c Engine,
    catalogs: &'c CatalogCache,
}

/// Catalog revisions that were read: a recorded revision never changes.
pub(crate) type CatalogCache = RefCell<HashMap<(String, u64), Arc<Revision>>>;

/// A key as the store has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyRow {
    pub(crate) public: PublicKey,
    pub(crate) role: Role,
    pub(crate) added: UnixTime,
    pub(crate) from: Option<UnixTime>,
    pub(crate) until: Option<UnixTime>,
    pub(crate) revoked: bool,
    /// How many events a revocation leaves to the key, if it leaves it any.
    pub(crate) cut: Option<u64>,
    pub(crate) dropped: bool,
    /// What it may sign, if not everything.
    pub(crate) scope: Option<KeyScope>,
}

impl<'c> Query<'c> {
    pub(super) const fn new(engine: &'c Engine, catalogs: &'c CatalogCache) -> Self {
        Self { engine, catalogs }
    }

    /// Reads every entry in order, with its bytes.
    pub(crate) fn replay(
        &self,
        each: impl FnMut(&Entry, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT seq, entry FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        self.pages(sql, &[], each)
    }

    /// The issuer's name.
    pub(crate) fn issuer(&self) -> Result<String, Error> {
        match self.one_event("SELECT entry FROM events WHERE seq = 1", &[])? {
            Some(Event::IssuerCreated { issuer }) => Ok(issuer),
            _ => Err(damaged("the first event")),
        }
    }

    /// The text of the catalog that was recorded last.
    pub(crate) fn catalog_text(&self) -> Result<Option<String>, Error> {
        let sql = "SELECT entry FROM catalogs JOIN events USING (seq) ORDER BY seq DESC LIMIT 1";
        match self.one_event(sql, &[])? {
            None => Ok(None),
            Some(Event::CatalogRecorded { source, .. }) => Ok(Some(source)),
            Some(_) => Err(damaged("a catalog")),
        }
    }

    /// The keys in the order in which the ledger has them.
    pub(crate) fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        let sql = "SELECT public, role, added, signs_from, until, revoked, dropped, entry
                   FROM keys JOIN events USING (seq) ORDER BY seq";
        let cuts = self.cuts()?;
        self.all(sql, &[], |row| {
            let public = PublicKey::from_paserk(row.text(0)?).map_err(|_| damaged("a key"))?;
            let Event::KeyAdded { scope, .. } = event(row, 7)? else {
                return Err(damaged("a key"));
            };
            Ok(KeyRow {
                cut: cuts.get(&public.id()).copied(),
                scope,
                public,
                role: Role::from_name(row.text(1)?).ok_or_else(|| damaged("a key's role"))?,
                added: time(row.int(2)?)?,
                from: row.opt_int(3)?.map(time).transpose()?,
                until: row.opt_int(4)?.map(time).transpose()?,
                revoked: row.truth(5)?,
                dropped: row.truth(6)?,
            })
        })
    }

    /// How many events the revocations of keys leave to those that keep any.
    fn cuts(&self) -> Result<HashMap<KeyId, u64>, Error> {
        let sql = "SELECT entry FROM revocations JOIN events USING (seq) WHERE class = ?1";
        let class = values![RuleClass::Key.name()];
        let found = self.all(sql, class, |row| revocation_of(event(row, 0)?))?;
        let found = found.into_iter().flatten();
        let cut = |revocation: Revocation| match (revocation.subject, revocation.cut) {
            (Subject::Key(key_id), Some(cut)) => Some((key_id, cut)),
            _ => None,
        };
        Ok(found.filter_map(cut).collect())
    }

    /// The entry that a key is of.
    pub(crate) fn entry_of_key(&self, key_id: KeyId) -> Result<Option<Entry>, Error> {
        let sql = "SELECT entry FROM keys JOIN events USING (seq) WHERE id = ?1";
        let mut found = self.entries(sql, values![&key_id.to_string()])?;
        Ok(found.pop())
    }

    /// Every entry of the life of a key, and every revocation, in order. Nothing derived is asked.
    pub(crate) fn key_events(&self) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT entry FROM events WHERE word IN
                   ('key-added', 'key-activated', 'key-retired', 'key-prolonged', 'key-dropped',
                    'revoked')
                   ORDER BY seq";
        self.entries(sql, &[])
    }

    /// The events by which keys of a role were added, in order.
    pub(crate) fn keys_added(&self, role: Role) -> Result<Vec<Event>, Error> {
        let sql = "SELECT entry FROM keys JOIN events USING (seq) WHERE role = ?1 ORDER BY seq";
        self.all(sql, values![role.name()], |row| event(row, 0))
    }

    /// Whether no token under the key can be accepted any more.
    pub(crate) fn all_ended_under(&self, key_id: KeyId, now: UnixTime) -> Result<bool, Error> {
        let sql = "SELECT NOT EXISTS
                   (SELECT 1 FROM tokens WHERE key_id = ?1 AND (ends IS NULL OR ends > ?2))";
        let id = key_id.to_string();
        self.single(sql, values![&id, seconds(now)], |row| row.truth(0))
    }

    /// How many tokens under the key are live, and when the last of them ends; no time if there
    /// are none, or if one never ends.
    pub(crate) fn live_under(
        &self,
        key_id: KeyId,
        up_to: u64,
        now: UnixTime,
    ) -> Result<(u64, Option<UnixTime>), Error> {
        let sql = "SELECT count(*), count(ends), max(ends) FROM tokens
                   WHERE key_id = ?1 AND (ends IS NULL OR ends > ?2) AND seq <= ?3";
        let id = key_id.to_string();
        self.single(sql, values![&id, seconds(now), number(up_to)], |row| {
            let (all, ending) = (row.int(0)?, row.int(1)?);
            let last = row.opt_int(2)?.map(time).transpose()?;
            Ok((all.cast_unsigned(), last.filter(|_| all == ending)))
        })
    }

    /// The live tokens under the key that events up to this number minted, or all.
    pub(crate) fn live_tokens_under(
        &self,
        key_id: KeyId,
        up_to: Option<u64>,
        now: UnixTime,
    ) -> Result<Vec<TokenId>, Error> {
        let sql = "SELECT id FROM tokens
                   WHERE key_id = ?1 AND (ends IS NULL OR ends > ?2) AND seq <= ?3 ORDER BY seq";
        let (id, up_to) = (key_id.to_string(), number(up_to.unwrap_or(u64::MAX)));
        self.all(sql, values![&id, seconds(now), up_to], |row| {
            let id = <[u8; TokenId::LENGTH]>::try_from(row.blob(0)?);
            Ok(TokenId::from_bytes(id.map_err(|_| damaged("a token"))?))
        })
    }

    /// What of the live tokens under the key is within reach, of licenses that nothing else takes
    /// back for good; the first `list` of these.
    pub(crate) fn orphans(
        &self,
        key_id: KeyId,
        reach: Reach,
        now: UnixTime,
        list: usize,
    ) -> Result<Orphans, Error> {
        let (test, bound) = match reach {
            Reach::AfterEvent(seq) => ("tokens.seq > ?3", number(seq)),
            Reach::EndingAfter(time) => ("(ends IS NULL OR ends > ?3)", seconds(time)),
        };
        let sql = format!(
            "SELECT licenses.id, customer, product, count(*), count(ends), max(ends)
             FROM tokens JOIN licenses ON licenses.id = tokens.license
             WHERE key_id = ?1 AND (ends IS NULL OR ends > ?2) AND {test}
               AND standing <> 'revoked' AND standing <> 'superseded'
             GROUP BY licenses.id, customer, product ORDER BY min(tokens.seq)"
        );
        let mut orphans = Orphans::default();
        let id = key_id.to_string();
        self.engine
            .each(&sql, values![&id, seconds(now), bound], &mut |row| {
                let (all, ending) = (row.int(3)?, row.int(4)?);
                orphans.licenses += 1;
                orphans.tokens += all.cast_unsigned();
                if orphans.first.len() < list {
                    let license = <[u8; LicenseId::LENGTH]>::try_from(row.blob(0)?);
                    let license = license.map_err(|_| damaged("a license"))?;
                    let latest = row.opt_int(5)?.map(time).transpose()?;
                    orphans.first.push(Orphan {
                        license: LicenseId::from_bytes(license),
                        customer: row.text(1)?.into(),
                        product: row.text(2)?.into(),
                        tokens: all.cast_unsigned(),
                        ends: latest.filter(|_| all == ending),
                    });
                }
                Ok(())
            })?;
        Ok(orphans)
    }

    /// When the latest token under the key was minted, by the clock of who minted it.
    pub(crate) fn last_issued_under(&self, key_id: KeyId) -> Result<Option<UnixTime>, Error> {
        let sql = "SELECT max(issued_at) FROM tokens WHERE key_id = ?1";
        let id = key_id.to_string();
        let last = self.single(sql, values![&id], |row| row.opt_int(0))?;
        last.map(time).transpose()
    }

    /// The products that have a catalog.
    pub(crate) fn products(&self) -> Result<Vec<String>, Error> {
        self.all(
            "SELECT DISTINCT product FROM catalogs ORDER BY product",
            &[],
            |row| Ok(row.text(0)?.into()),
        )
    }

    /// The newest catalog revision of a product.
    pub(crate) fn newest_catalog(&self, product: &str) -> Result<Option<Arc<Revision>>, Error> {
        let sql = "SELECT max(revision) FROM catalogs WHERE product = ?1";
        match self.single(sql, values![product], |row| row.opt_int(0))? {
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
        let sql = "SELECT entry FROM catalogs JOIN events USING (seq)
                   WHERE product = ?1 AND revision = ?2";
        let found = match self.one_event(sql, values![product, revision.cast_signed()])? {
            None => return Ok(None),
            Some(Event::CatalogRecorded { revision, .. }) => Arc::new(revision),
            Some(_) => return Err(damaged("a catalog")),
        };
        self.catalogs.borrow_mut().insert(key, Arc::clone(&found));
        Ok(Some(found))
    }

    pub(crate) fn customer(&self, id: &str) -> Result<Option<Customer>, Error> {
        let mut found = self.customers_where("id = ?1", values![id])?;
        Ok(found.pop())
    }

    pub(crate) fn customers(&self) -> Result<Vec<Customer>, Error> {
        self.customers_where("1 = 1", &[])
    }

    fn customers_where(&self, test: &str, values: &[Value<'_>]) -> Result<Vec<Customer>, Error> {
        let sql = format!("SELECT id, kind, name FROM customers WHERE {test} ORDER BY id");
        self.all(&sql, values, |row| {
            let kind = CustomerKind::from_name(row.text(1)?);
            Ok(Customer {
                id: row.text(0)?.into(),
                kind: kind.ok_or_else(|| damaged("a customer"))?,
                name: row.text(2)?.into(),
            })
        })
    }

    /// A license.
    pub(crate) fn license(&self, id: LicenseId) -> Result<Option<LicenseRecord>, Error> {
        let sql = "SELECT record FROM licenses WHERE id = ?1";
        let id = values![id.as_bytes().as_slice()];
        self.engine
            .one(sql, id, |row| LicenseRecord::decode(row.blob(0)?))
    }

    /// The licenses, all or of a customer or a product, in the order of issue.
    pub(crate) fn licenses(
        &self,
        customer: Option<&str>,
        product: Option<&str>,
    ) -> Result<Vec<LicenseRecord>, Error> {
        let sql = "SELECT record FROM licenses
                   WHERE (CAST(?1 AS TEXT) IS NULL OR customer = ?1)
                     AND (CAST(?2 AS TEXT) IS NULL OR product = ?2)
                   ORDER BY seq";
        self.all(sql, values![customer, product], |row| {
            LicenseRecord::decode(row.blob(0)?)
        })
    }

    /// Hands over the licenses, all or of a customer or a product, in the order of issue.
    pub(crate) fn each_license(
        &self,
        customer: Option<&str>,
        product: Option<&str>,
        mut each: impl FnMut(LicenseRecord) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT seq, record FROM licenses
                   WHERE seq > ?1
                     AND (CAST(?3 AS TEXT) IS NULL OR customer = ?3)
                     AND (CAST(?4 AS TEXT) IS NULL OR product = ?4)
                   ORDER BY seq LIMIT ?2";
        let mut after = 0;
        loop {
            let mut page = Vec::new();
            let asked = values![after, PAGE, customer, product];
            self.engine.each(sql, asked, &mut |row| {
                page.push((row.int(0)?, LicenseRecord::decode(row.blob(1)?)?));
                Ok(())
            })?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = *last;
            for (_, license) in page {
                each(license)?;
            }
        }
    }

    /// The licenses that are suspended at this time, in the order of issue.
    pub(crate) fn suspended(&self, now: UnixTime) -> Result<Vec<LicenseRecord>, Error> {
        let sql = "SELECT record FROM licenses
                   WHERE standing = 'suspended' OR due <= ?1 ORDER BY seq";
        let mut found = self.all(sql, values![seconds(now)], |row| {
            Ok(LicenseRecord::decode(row.blob(0)?)?.at(now))
        })?;
        found.retain(|license| license.state(now) == State::Suspended);
        Ok(found)
    }

    /// The entries that changed a license, in order.
    pub(crate) fn changes_of_license(&self, id: LicenseId) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT entry FROM trail JOIN events USING (seq)
                   WHERE license = ?1 AND changes = 1 ORDER BY seq";
        self.entries(sql, values![id.as_bytes().as_slice()])
    }

    /// The number of the newest correction of the clock; 0 if there was none.
    pub(crate) fn newest_correction(&self) -> Result<u64, Error> {
        let sql = "SELECT coalesce(max(seq), 0) FROM corrections";
        let seq = self.single(sql, &[], |row| row.int(0))?;
        Ok(seq.cast_unsigned())
    }

    /// The licenses that entries after this number and of clocks after this time changed, in the
    /// order in which they did.
    pub(crate) fn licenses_changed(
        &self,
        after: u64,
        clock: UnixTime,
    ) -> Result<Vec<LicenseId>, Error> {
        let sql = "SELECT license FROM trail JOIN events USING (seq)
                   WHERE seq > ?1 AND time > ?2 AND changes = 1
                   GROUP BY license ORDER BY min(seq)";
        self.all(sql, values![after.cast_signed(), seconds(clock)], |row| {
            let id = <[u8; LicenseId::LENGTH]>::try_from(row.blob(0)?);
            Ok(LicenseId::from_bytes(id.map_err(|_| damaged("a license"))?))
        })
    }

    /// The time of a change that is made now by this clock: that of the newest entry, if the clock
    /// is a little behind it.
    ///
    /// # Errors
    /// [`Error::ClockBehind`] if it is further behind.
    pub(crate) fn lifted(&self, clock: UnixTime) -> Result<UnixTime, Error> {
        let sql = "SELECT time FROM events ORDER BY seq DESC LIMIT 1";
        let newest = self.engine.one(sql, &[], |row| time(row.int(0)?))?;
        lift(clock, newest.unwrap_or(UnixTime::EPOCH))
    }

    /// Every entry that is about a license, in order.
    pub(crate) fn trail_of_license(&self, id: LicenseId) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT entry FROM trail JOIN events USING (seq)
                   WHERE license = ?1 ORDER BY seq";
        self.entries(sql, values![id.as_bytes().as_slice()])
    }

    /// The revocations of a customer and what took them back, in order.
    pub(crate) fn revocations_of_customer(&self, customer: &str) -> Result<Vec<Entry>, Error> {
        let sql = "SELECT entry FROM trail JOIN events USING (seq)
                   WHERE customer = ?1 AND license IS NULL AND word IN ('revoked', 'unrevoked')
                   ORDER BY seq";
        self.entries(sql, values![customer])
    }

    /// The tokens of a license and when they were issued, in the order of minting.
    pub(crate) fn issued_of(&self, id: LicenseId) -> Result<Vec<(TokenId, UnixTime)>, Error> {
        let sql = "SELECT id, issued_at FROM tokens WHERE license = ?1 ORDER BY seq";
        self.all(sql, values![id.as_bytes().as_slice()], |row| {
            let id = <[u8; TokenId::LENGTH]>::try_from(row.blob(0)?);
            let id = TokenId::from_bytes(id.map_err(|_| damaged("a token"))?);
            Ok((id, time(row.int(1)?)?))
        })
    }

    /// The keys that signed tokens of a customer, all or of a product.
    pub(crate) fn keys_of_customer(
        &self,
        customer: &str,
        product: Option<&str>,
    ) -> Result<BTreeSet<KeyId>, Error> {
        let sql = "SELECT DISTINCT key_id FROM tokens JOIN licenses ON licenses.id = tokens.license
                   WHERE licenses.customer = ?1
                     AND (CAST(?2 AS TEXT) IS NULL OR licenses.product = ?2)";
        let keys = self.all(sql, values![customer, product], |row| {
            row.text(0)?.parse().map_err(|_| damaged("a key"))
        })?;
        Ok(keys.into_iter().collect())
    }

    /// A token.
    pub(crate) fn token(&self, id: TokenId) -> Result<Option<MintedToken>, Error> {
        let sql = "SELECT entry FROM tokens JOIN events USING (seq) WHERE id = ?1";
        self.one_event(sql, values![id.as_bytes().as_slice()])?
            .map(token_of)
            .transpose()
    }

    /// The tokens of a license, in the order of minting.
    pub(crate) fn tokens_of(&self, license: LicenseId) -> Result<Vec<MintedToken>, Error> {
        let sql =
            "SELECT entry FROM tokens JOIN events USING (seq) WHERE license = ?1 ORDER BY seq";
        self.all(sql, values![license.as_bytes().as_slice()], |row| {
            token_of(event(row, 0)?)
        })
    }

    /// How many live tokens there are of each of these: a token, a license, a customer's
    /// licenses, a key. A feature counts the product's tokens.
    pub(crate) fn count_live_tokens(
        &self,
        subject: &Subject,
        now: UnixTime,
        issued_before: Option<UnixTime>,
    ) -> Result<u64, Error> {
        let key_id;
        let (test, id) = match subject {
            Subject::Token(id) => ("tokens.id = ?1", Value::Blob(id.as_bytes())),
            Subject::License(id) => ("license = ?1", Value::Blob(id.as_bytes())),
            Subject::Customer(id) => ("licenses.customer = ?1", Value::Text(id)),
            Subject::Key(id) => {
                key_id = id.to_string();
                ("key_id = ?1", Value::Text(&key_id))
            }
            Subject::Feature { product, .. } => ("licenses.product = ?1", Value::Text(product)),
        };
        let sql = format!(
            "SELECT count(*) FROM tokens JOIN licenses ON licenses.id = tokens.license
             WHERE {test} AND (ends IS NULL OR ends > ?2) AND (CAST(?3 AS BIGINT) IS NULL OR issued_at < ?3)"
        );
        let values = values![id, seconds(now), issued_before.map(seconds)];
        let count = self.single(&sql, values, |row| row.int(0))?;
        Ok(count.cast_unsigned())
    }

    /// How many live tokens of a subject are taken back, by whatever: themselves, their license
    /// or its customer, their key whole, or a suspension.
    pub(crate) fn count_revoked_tokens(
        &self,
        subject: &Subject,
        now: UnixTime,
    ) -> Result<u64, Error> {
        let revoked = Revoked::load(self, now)?;
        let mut count = 0;
        self.each_token_of(subject, now, |token| {
            count += u64::from(revoked.reaches(token).is_some());
            Ok(())
        })?;
        Ok(count)
    }

    /// What is revoked, in the order of revocation.
    pub(crate) fn revocations(&self) -> Result<Vec<Revocation>, Error> {
        let sql = "SELECT entry FROM revocations JOIN events USING (seq) ORDER BY seq";
        let found = self.all(sql, &[], |row| revocation_of(event(row, 0)?))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The revocation of one subject.
    pub(crate) fn revocation(
        &self,
        class: RuleClass,
        id: &str,
    ) -> Result<Option<Revocation>, Error> {
        let sql =
            "SELECT entry FROM revocations JOIN events USING (seq) WHERE class = ?1 AND id = ?2";
        let newest = self.one_event(sql, values![class.name(), id])?;
        Ok(newest.map(revocation_of).transpose()?.flatten())
    }

    /// The newest entry about a subject that was revoked: it may say that it is not any more.
    pub(crate) fn entry_of_revocation(&self, subject: &Subject) -> Result<Option<Entry>, Error> {
        let sql =
            "SELECT entry FROM revocations JOIN events USING (seq) WHERE class = ?1 AND id = ?2";
        let id = subject.id();
        let mut found = self.entries(sql, values![subject.class().name(), &id])?;
        Ok(found.pop())
    }

    /// The newest document of a kind, for catalogs that of a product.
    pub(crate) fn newest(
        &self,
        kind: DocumentKind,
        product: &str,
    ) -> Result<Option<Publication>, Error> {
        let sql = "SELECT entry FROM publications JOIN events USING (seq)
                   WHERE kind = ?1 AND product = ?2 ORDER BY version DESC LIMIT 1";
        self.one_event(sql, values![kind.name(), product])?
            .map(publication_of)
            .transpose()
    }

    /// The full status list of an epoch.
    pub(crate) fn full_list(&self, epoch: u64) -> Result<Option<Publication>, Error> {
        let sql = "SELECT entry FROM publications JOIN events USING (seq)
                   WHERE kind = ?1 AND product = '' AND version = ?2";
        let kind = DocumentKind::Status.name();
        self.one_event(sql, values![kind, epoch.cast_signed()])?
            .map(publication_of)
            .transpose()
    }

    /// The number of the event by which the full status list of an epoch was published.
    pub(crate) fn seq_of_list(&self, epoch: u64) -> Result<u64, Error> {
        let sql = "SELECT seq FROM publications
                   WHERE kind = ?1 AND product = '' AND version = ?2";
        let kind = DocumentKind::Status.name();
        let seq = self
            .engine
            .one(sql, values![kind, epoch.cast_signed()], |row| row.int(0))?;
        Ok(seq.ok_or_else(|| damaged("a publication"))?.cast_unsigned())
    }

    /// The deltas to the newest full status list, in the order in which they were made.
    pub(crate) fn deltas(&self) -> Result<Vec<Publication>, Error> {
        let sql = "SELECT entry FROM publications JOIN events USING (seq)
                   WHERE kind = ?1 AND version =
                         (SELECT max(version) FROM publications WHERE kind = ?2)
                   ORDER BY seq";
        let kinds = values![apply::DELTA, DocumentKind::Status.name()];
        self.all(sql, kinds, |row| publication_of(event(row, 0)?))
    }

    /// What was unrevoked after the event with this number.
    pub(crate) fn unrevoked_since(&self, seq: u64) -> Result<Vec<Unrevocation>, Error> {
        let sql = "SELECT entry FROM events WHERE seq > ?1 AND word = 'unrevoked' ORDER BY seq";
        self.all(sql, values![seq.cast_signed()], |row| {
            match event(row, 0)? {
                Event::Unrevoked(unrevocation) => Ok(unrevocation),
                _ => Err(damaged("an event")),
            }
        })
    }

    /// The newest checkpoint.
    pub(crate) fn newest_checkpoint(&self) -> Result<Option<SignedCheckpoint>, Error> {
        let sql = "SELECT entry FROM checkpoints JOIN events USING (seq)
                   ORDER BY seq DESC LIMIT 1";
        self.one_event(sql, &[])?.map(checkpoint_of).transpose()
    }

    /// When an entry was recorded, as far as the clock is known: entries that were recorded under
    /// one that was ahead count as recorded when it was corrected.
    pub(crate) fn recorded(&self, entry: &Entry) -> Result<UnixTime, Error> {
        let sql = "SELECT min(time) FROM corrections WHERE seq > ?1";
        let seq = values![entry.seq.cast_signed()];
        let corrected = self.single(sql, seq, |row| row.opt_int(0))?;
        let corrected = corrected.map(time).transpose()?;
        Ok(corrected.map_or(entry.time, |corrected| corrected.min(entry.time)))
    }

    /// How many events there are.
    pub(crate) fn size(&self) -> Result<u64, Error> {
        let sql = "SELECT coalesce(max(seq), 0) FROM events";
        let size = self.single(sql, &[], |row| row.int(0))?;
        Ok(size.cast_unsigned())
    }

    /// An entry and its bytes.
    pub(crate) fn entry(&self, seq: u64) -> Result<Option<(Entry, Vec<u8>)>, Error> {
        let sql = "SELECT entry FROM events WHERE seq = ?1";
        self.engine.one(sql, values![seq.cast_signed()], |row| {
            let bytes = row.blob(0)?;
            Ok((Entry::decode(bytes)?, bytes.to_vec()))
        })
    }

    /// The number of the event that minted a token.
    pub(crate) fn seq_of_token(&self, id: TokenId) -> Result<Option<u64>, Error> {
        let sql = "SELECT seq FROM tokens WHERE id = ?1";
        let id = values![id.as_bytes().as_slice()];
        self.engine
            .one(sql, id, |row| Ok(row.int(0)?.cast_unsigned()))
    }

    /// The tiles of the Merkle tree.
    pub(crate) const fn tiles(&self) -> Tiles<'c> {
        Tiles(self.engine)
    }

    /// Every root and the newest of everything else: what belongs into the published folder, in
    /// the order in which a verifier imports it.
    pub(crate) fn published(&self) -> Result<Vec<Publication>, Error> {
        let roots = "SELECT entry FROM publications JOIN events USING (seq)
                     WHERE kind = 'root' ORDER BY version";
        let mut documents = self.all(roots, &[], |row| publication_of(event(row, 0)?))?;
        for kind in [DocumentKind::Keyset, DocumentKind::Status] {
            documents.extend(self.newest(kind, "")?);
        }
        for product in self.products()? {
            documents.extend(self.newest(DocumentKind::Catalog, &product)?);
        }
        Ok(documents)
    }

    /// The entry that answered a request, by the beginning of its idempotency key, and that key.
    pub(crate) fn answer_to(&self, key_prefix: &str) -> Result<Option<(String, Entry)>, Error> {
        let sql = "SELECT idempotency_key, entry FROM events
                   WHERE idempotency_key >= ?1 AND idempotency_key < ?2
                   ORDER BY idempotency_key LIMIT 1";
        // Keys are printable: the prefix and the highest character bound them all.
        let end = format!("{key_prefix}{}", char::MAX);
        self.engine.one(sql, values![key_prefix, &end], |row| {
            Ok((row.text(0)?.into(), Entry::decode(row.blob(1)?)?))
        })
    }

    fn one_event(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<Event>, Error> {
        self.engine.one(sql, values, |row| event(row, 0))
    }

    /// The one row of an answer that always has one.
    fn single<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let found = self.engine.one(sql, values, read)?;
        found.ok_or_else(|| damaged("a count"))
    }

    fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        self.engine.each(sql, values, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    fn entries(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Entry>, Error> {
        self.all(sql, values, |row| Entry::decode(row.blob(0)?))
    }

    /// Hands over the entries of a long answer with their bytes. The statement begins after the
    /// number `?1` and ends with `LIMIT ?2`; its own values follow.
    fn pages(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Entry, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let head = [after.into(), PAGE.into()];
            let mut page = Vec::new();
            self.engine
                .each(sql, &[&head, values].concat(), &mut |row| {
                    page.push((row.int(0)?, row.blob(1)?.to_vec()));
                    Ok(())
                })?;
            let Some((last, _)) = page.last() else {
                return Ok(());
            };
            after = *last;
            for (_, bytes) in page {
                each(&Entry::decode(&bytes)?, &bytes)?;
            }
        }
    }
}

fn event(row: &Row<'_>, column: usize) -> Result<Event, Error> {
    Ok(Entry::decode(row.blob(column)?)?.event)
}

/// The token that an entry in a column is of.
pub(super) fn minted(row: &Row<'_>, column: usize) -> Result<MintedToken, Error> {
    token_of(event(row, column)?)
}

fn token_of(event: Event) -> Result<MintedToken, Error> {
    match event {
        Event::TokenMinted(token) => Ok(token),
        _ => Err(damaged("a token")),
    }
}

/// The revocation, unless it was taken back.
fn revocation_of(event: Event) -> Result<Option<Revocation>, Error> {
    match event {
        Event::Revoked(revocation) => Ok(Some(revocation)),
        Event::Unrevoked(_) => Ok(None),
        _ => Err(damaged("a revocation")),
    }
}

fn checkpoint_of(event: Event) -> Result<SignedCheckpoint, Error> {
    match event {
        Event::CheckpointSigned(checkpoint) => Ok(checkpoint),
        _ => Err(damaged("a checkpoint")),
    }
}

fn publication_of(event: Event) -> Result<Publication, Error> {
    match event {
        Event::DocumentPublished(publication) => Ok(publication),
        _ => Err(damaged("a publication")),
    }
}

pub(super) fn time(seconds: i64) -> Result<UnixTime, Error> {
    let time = u64::try_from(seconds).ok().and_then(UnixTime::new);
    time.ok_or_else(|| damaged("a time"))
}

/// Numbers beyond all that a store can have stand for the last one.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn seconds(time: UnixTime) -> i64 {
    time.seconds().cast_signed()
}
