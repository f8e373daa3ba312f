//! The tokens of the ledger as rows: what is asked of all of them reads no entry and keeps none.

use phi_verify::{KeyId, LicenseId, TokenId, UnixTime};

use super::{
    engine::{Row, Value, damaged, values},
    query::{Query, minted, time},
};
use crate::{
    error::Error,
    event::{MintedToken, Subject},
};

/// Rows that are read at once: about a megabyte of them.
const PAGE: i64 = 1 << 13;

/// Rows that are read at once with their entries: about a megabyte of them as well.
const ENTRIES: i64 = 1 << 10;

/// A token with what can revoke it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) id: TokenId,
    pub(crate) license: LicenseId,
    pub(crate) customer: String,
    pub(crate) product: String,
    pub(crate) key_id: KeyId,
    pub(crate) issued_at: UnixTime,
    pub(crate) ends: Option<UnixTime>,
    /// Lists of a later epoch know the token.
    pub(crate) epoch: u64,
}

impl Query<'_> {
    /// How many tokens had not ended at this time.
    pub(crate) fn count_tokens(&self, since: UnixTime) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM tokens WHERE ends IS NULL OR ends > ?1";
        let since = values![since.seconds().cast_signed()];
        let count = self.engine.one(sql, since, |row| row.int(0))?;
        Ok(count.unwrap_or_default().cast_unsigned())
    }

    /// Hands over every token that had not ended at this time, page by page, in the order of
    /// minting.
    pub(crate) fn each_token_page(
        &self,
        since: UnixTime,
        each: impl FnMut(Vec<TokenRow>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.token_pages("1 = 1", None, since, each)
    }

    /// Hands over the tokens of a subject that have not ended; of a feature those of its product.
    pub(crate) fn each_token_of(
        &self,
        subject: &Subject,
        now: UnixTime,
        mut each: impl FnMut(&TokenRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let key_id;
        let (test, id) = match subject {
            Subject::Token(id) => ("tokens.id = ?4", Value::Blob(id.as_bytes())),
            Subject::License(id) => ("license = ?4", Value::Blob(id.as_bytes())),
            Subject::Customer(id) => ("licenses.customer = ?4", Value::Text(id)),
            Subject::Key(id) => {
                key_id = id.to_string();
                ("key_id = ?4", Value::Text(&key_id))
            }
            Subject::Feature { product, .. } => ("licenses.product = ?4", Value::Text(product)),
        };
        self.token_pages(test, Some(id), now, |page| {
            page.iter().try_for_each(&mut each)
        })
    }

    /// Hands over the tokens of a product that have not ended, with what was minted: what a token
    /// grants stands in itself alone.
    pub(crate) fn each_minted_of(
        &self,
        product: &str,
        now: UnixTime,
        mut each: impl FnMut(&TokenRow, &MintedToken) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT tokens.seq, tokens.id, license, customer, product, key_id, issued_at,
                          ends, epoch, entry
                   FROM tokens JOIN licenses ON licenses.id = tokens.license
                        JOIN events ON events.seq = tokens.seq
                   WHERE tokens.seq > ?1 AND (ends IS NULL OR ends > ?3) AND licenses.product = ?4
                   ORDER BY tokens.seq LIMIT ?2";
        let now = now.seconds().cast_signed();
        let mut after = 0;
        loop {
            let mut page = Vec::new();
            self.engine
                .each(sql, values![after, ENTRIES, now, product], &mut |row| {
                    after = row.int(0)?;
                    page.push((read(row)?, minted(row, 9)?));
                    Ok(())
                })?;
            if page.is_empty() {
                return Ok(());
            }
            for (row, token) in &page {
                each(row, token)?;
            }
        }
    }

    fn token_pages(
        &self,
        test: &str,
        id: Option<Value<'_>>,
        since: UnixTime,
        mut each: impl FnMut(Vec<TokenRow>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT tokens.seq, tokens.id, license, customer, product, key_id, issued_at, ends,
                    epoch
             FROM tokens JOIN licenses ON licenses.id = tokens.license
             WHERE tokens.seq > ?1 AND (ends IS NULL OR ends > ?3) AND {test}
             ORDER BY tokens.seq LIMIT ?2"
        );
        let mut after = 0;
        loop {
            let mut page = Vec::new();
            let head = values![after, PAGE, since.seconds().cast_signed()];
            let asked = [head, id.as_slice()].concat();
            self.engine.each(&sql, &asked, &mut |row| {
                after = row.int(0)?;
                page.push(read(row)?);
                Ok(())
            })?;
            if page.is_empty() {
                return Ok(());
            }
            each(page)?;
        }
    }
}

fn read(row: &Row<'_>) -> Result<TokenRow, Error> {
    let id = <[u8; TokenId::LENGTH]>::try_from(row.blob(1)?);
    let license = <[u8; LicenseId::LENGTH]>::try_from(row.blob(2)?);
    Ok(TokenRow {
        id: TokenId::from_bytes(id.map_err(|_| damaged("a token"))?),
        license: LicenseId::from_bytes(license.map_err(|_| damaged("a license"))?),
        customer: row.text(3)?.into(),
        product: row.text(4)?.into(),
        key_id: row.text(5)?.parse().map_err(|_| damaged("a key"))?,
        issued_at: time(row.int(6)?)?,
        ends: row.opt_int(7)?.map(time).transpose()?,
        epoch: row.int(8)?.cast_unsigned(),
    })
}
