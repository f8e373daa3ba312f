//! Entries beside the rows that they made: what status lists are made of, to be compared.

use phi_verify::{KeyId, LicenseId, TokenId, UnixTime};

use super::{
    engine::{Row, Value, damaged, values},
    query::{Query, time},
};
use crate::error::Error;

/// Entries that are read at once: some megabytes of them.
const PAGE: i64 = 1 << 12;

/// An entry with the rows that bear its number.
pub(crate) struct Fact {
    pub(crate) seq: u64,
    pub(crate) word: String,
    pub(crate) entry: Vec<u8>,
    pub(crate) token: Option<TokenFact>,
    pub(crate) license: Option<LicenseFact>,
}

/// What a row has of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenFact {
    pub(crate) token_id: TokenId,
    pub(crate) license: LicenseId,
    pub(crate) key_id: KeyId,
    pub(crate) issued_at: UnixTime,
    pub(crate) ends: Option<UnixTime>,
    pub(crate) mint_epoch: u64,
}

/// What a row has of a license, and no change of it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LicenseFact {
    pub(crate) id: LicenseId,
    pub(crate) customer: String,
    pub(crate) product: String,
}

/// A revocation's row: class, id, and the event that it names.
pub(crate) type RevocationFact = (String, String, u64);

impl Query<'_> {
    /// Hands over every entry that has one of these words, in order, with the rows of tokens and
    /// licenses that bear its number.
    pub(crate) fn each_fact(
        &self,
        words: &[&str],
        mut each: impl FnMut(Fact) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let places: Vec<_> = (3..3 + words.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "SELECT events.seq, word, entry, tokens.id, license, key_id, issued_at, ends, epoch,
                    licenses.id, customer, product
             FROM events LEFT JOIN tokens ON tokens.seq = events.seq
                         LEFT JOIN licenses ON licenses.seq = events.seq
             WHERE events.seq > ?1 AND word IN ({})
             ORDER BY events.seq LIMIT ?2",
            places.join(", ")
        );
        let mut after = 0;
        loop {
            let mut asked = values![after, PAGE].to_vec();
            asked.extend(words.iter().map(|word| Value::Text(word)));
            let mut page = Vec::new();
            self.engine.each(&sql, &asked, &mut |row| {
                after = row.int(0)?;
                page.push(fact(row)?);
                Ok(())
            })?;
            if page.is_empty() {
                return Ok(());
            }
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    /// How many rows there are of tokens and of licenses.
    pub(crate) fn count_facts(&self) -> Result<[u64; 2], Error> {
        let count = |sql| self.engine.one(sql, &[], |row| row.int(0));
        let tokens = count("SELECT count(*) FROM tokens")?;
        let licenses = count("SELECT count(*) FROM licenses")?;
        Ok([tokens, licenses].map(|count| count.unwrap_or_default().cast_unsigned()))
    }

    /// Every row of a revocation, and of one that was taken back.
    pub(crate) fn revocation_facts(&self) -> Result<Vec<RevocationFact>, Error> {
        let sql = "SELECT class, id, seq FROM revocations ORDER BY class, id";
        let mut found = Vec::new();
        self.engine.each(sql, &[], &mut |row| {
            let seq = row.int(2)?.cast_unsigned();
            found.push((row.text(0)?.into(), row.text(1)?.into(), seq));
            Ok(())
        })?;
        Ok(found)
    }
}

fn fact(row: &Row<'_>) -> Result<Fact, Error> {
    let token = row.opt_blob(3)?.map(|_| token(row)).transpose()?;
    let license = row.opt_blob(9)?.map(|_| license(row)).transpose()?;
    Ok(Fact {
        seq: row.int(0)?.cast_unsigned(),
        word: row.text(1)?.into(),
        entry: row.blob(2)?.into(),
        token,
        license,
    })
}

fn token(row: &Row<'_>) -> Result<TokenFact, Error> {
    let id = <[u8; TokenId::LENGTH]>::try_from(row.blob(3)?);
    Ok(TokenFact {
        token_id: TokenId::from_bytes(id.map_err(|_| damaged("a token"))?),
        license: license_id(row.blob(4)?)?,
        key_id: row.text(5)?.parse().map_err(|_| damaged("a key"))?,
        issued_at: time(row.int(6)?)?,
        ends: row.opt_int(7)?.map(time).transpose()?,
        mint_epoch: row.int(8)?.cast_unsigned(),
    })
}

fn license(row: &Row<'_>) -> Result<LicenseFact, Error> {
    Ok(LicenseFact {
        id: license_id(row.blob(9)?)?,
        customer: row.text(10)?.into(),
        product: row.text(11)?.into(),
    })
}

fn license_id(bytes: &[u8]) -> Result<LicenseId, Error> {
    let id = <[u8; LicenseId::LENGTH]>::try_from(bytes);
    Ok(LicenseId::from_bytes(id.map_err(|_| damaged("a license"))?))
}
