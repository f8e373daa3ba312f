//! What a list is signed from is what the events say: the rows of tokens, licenses, keys,
//! revocations, suspensions and lists are held against the entries that made them.
//!
//! Whoever can write the store can change a row, and no signature would show it. All of the store
//! is `ledger`'s to verify, which takes as long as making it again; this reads every entry once and
//! makes nothing.

use std::collections::{BTreeMap, BTreeSet};

use ciborium::Value;
use phi_verify::{DocumentKind, KeyId, LicenseId, TokenId, UnixTime};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Divergence, Place,
    entry::{self, Entry},
    error::Error,
    event::{Event, Subject},
    keys,
    license::{LicenseRecord, State, fold},
    store::{Fact, LicenseFact, Query, TokenFact},
};

const MINTED: &str = "token-minted";
const SUSPENDED: &str = "license-suspended";
const REINSTATED: &str = "license-reinstated";
const REVOKED: &str = "revoked";
const UNREVOKED: &str = "unrevoked";
const PUBLISHED: &str = "document-published";
const WORDS: [&str; 9] = [
    "license-drafted",
    "license-issued",
    "trial-started",
    MINTED,
    SUSPENDED,
    REINSTATED,
    REVOKED,
    UNREVOKED,
    PUBLISHED,
];

/// Whether everything that a list is made of is what the events make it.
///
/// # Errors
/// [`Error::Diverged`] with the first row that is not.
pub(crate) fn check(query: &Query<'_>, now: UnixTime) -> Result<(), Error> {
    keys::check_rows(query)?;
    let mut seen = Seen::default();
    query.each_fact(&WORDS, |fact| seen.take(&fact))?;
    seen.check_counts(query)?;
    seen.check_revocations(query)?;
    seen.check_suspensions(query, now)?;
    seen.check_list(query)
}

/// What the events have said so far, as far as it is not compared at once.
#[derive(Default)]
struct Seen {
    tokens: u64,
    licenses: u64,
    /// The event that the row of each subject names.
    revocations: BTreeMap<(String, String), u64>,
    /// The suspensions that may last, by license and number.
    suspensions: BTreeMap<LicenseId, BTreeMap<u64, Option<UnixTime>>>,
    /// The newest full list, and its event.
    list: Option<(u64, u64)>,
}

/// What a list asks of a token.
#[derive(Deserialize)]
struct Minted {
    token_id: TokenId,
    license: LicenseId,
    key_id: KeyId,
    issued_at: UnixTime,
    ends: Option<UnixTime>,
    mint_epoch: u64,
}

#[derive(Deserialize)]
struct Begun {
    license: Issued,
}

/// What a list asks of a license.
#[derive(Deserialize)]
struct Issued {
    id: LicenseId,
    customer: String,
    product: String,
}

#[derive(Deserialize)]
struct Changed {
    license: LicenseId,
    #[serde(default)]
    effective: Option<UnixTime>,
}

impl Seen {
    fn take(&mut self, fact: &Fact) -> Result<(), Error> {
        match fact.word.as_str() {
            MINTED => self.minted(fact),
            SUSPENDED => {
                let Changed { license, effective } = read(fact)?;
                let of_license = self.suspensions.entry(license).or_default();
                of_license.insert(fact.seq, effective);
                Ok(())
            }
            REINSTATED => self.reinstated(fact),
            REVOKED | UNREVOKED => self.revoked(fact),
            PUBLISHED => self.published(fact),
            _ => self.begun(fact),
        }
    }

    fn minted(&mut self, fact: &Fact) -> Result<(), Error> {
        self.tokens += 1;
        let minted: Minted = read(fact)?;
        let made = TokenFact {
            token_id: minted.token_id,
            license: minted.license,
            key_id: minted.key_id,
            issued_at: minted.issued_at,
            ends: minted.ends,
            mint_epoch: minted.mint_epoch,
        };
        same("tokens", fact.seq, fact.token.as_ref(), &made)
    }

    fn begun(&mut self, fact: &Fact) -> Result<(), Error> {
        self.licenses += 1;
        let Begun { license } = read(fact)?;
        let made = LicenseFact {
            id: license.id,
            customer: license.customer,
            product: license.product,
        };
        same("licenses", fact.seq, fact.license.as_ref(), &made)
    }

    /// What waited when the license was reinstated may still come.
    fn reinstated(&mut self, fact: &Fact) -> Result<(), Error> {
        let Changed { license, effective } = read(fact)?;
        if effective.is_some() {
            return Ok(());
        }
        if let Some(of_license) = self.suspensions.get_mut(&license) {
            of_license.retain(|_, effective| effective.is_some());
            if of_license.is_empty() {
                self.suspensions.remove(&license);
            }
        }
        Ok(())
    }

    fn revoked(&mut self, fact: &Fact) -> Result<(), Error> {
        let (subject, seq) = match Entry::decode(&fact.entry)?.event {
            Event::Revoked(revocation) => (revocation.subject, fact.seq),
            Event::Unrevoked(unrevocation) => {
                let seq = unrevocation.keeps.unwrap_or(fact.seq);
                (unrevocation.subject, seq)
            }
            _ => return Err(other_word(fact)),
        };
        self.revocations.insert(named(&subject), seq);
        Ok(())
    }

    fn published(&mut self, fact: &Fact) -> Result<(), Error> {
        let Event::DocumentPublished(publication) = Entry::decode(&fact.entry)?.event else {
            return Err(other_word(fact));
        };
        if publication.kind == DocumentKind::Status && publication.base.is_none() {
            self.list = self.list.max(Some((publication.version, fact.seq)));
        }
        Ok(())
    }

    /// A row more is as bad as a row less.
    fn check_counts(&self, query: &Query<'_>) -> Result<(), Error> {
        let [tokens, licenses] = query.count_facts()?;
        for (table, rows, events) in [
            ("tokens", tokens, self.tokens),
            ("licenses", licenses, self.licenses),
        ] {
            if rows != events {
                let problem = format!("there are {rows} and {events} events that make one");
                return Err(diverged(table, "count".into(), problem));
            }
        }
        Ok(())
    }

    fn check_revocations(&self, query: &Query<'_>) -> Result<(), Error> {
        let rows = query.revocation_facts()?.into_iter();
        let rows: BTreeMap<_, _> = rows.map(|(class, id, seq)| ((class, id), seq)).collect();
        if rows == self.revocations {
            return Ok(());
        }
        let both = rows.iter().chain(&self.revocations);
        let mut wrong = both.filter(|(key, _)| rows.get(*key) != self.revocations.get(*key));
        let key = wrong.next().map(|((class, id), _)| format!("{class} {id}"));
        Err(differs("revocations", key.unwrap_or_default()))
    }

    /// Whom the events suspend at this moment the rows suspend, and no suspension is missing among
    /// the events that are said to be a license's.
    fn check_suspensions(&self, query: &Query<'_>, now: UnixTime) -> Result<(), Error> {
        let rows = query.suspended(now)?.into_iter();
        let rows: BTreeSet<_> = rows.map(|license| license.id).collect();
        for (id, suspensions) in &self.suspensions {
            let mut record = None;
            let mut left: BTreeSet<_> = suspensions.keys().copied().collect();
            for entry in query.changes_of_license(*id)? {
                if license_of(&entry.event) != Some(*id) {
                    return Err(differs("trail", entry.seq.to_string()));
                }
                left.remove(&entry.seq);
                fold(&mut record, &entry)?;
            }
            if let Some(seq) = left.first() {
                return Err(differs("trail", seq.to_string()));
            }
            let state = record.map(|record: LicenseRecord| record.at(now).state(now));
            if state == Some(State::Suspended) && !rows.contains(id) {
                return Err(differs("licenses", id.to_string()));
            }
        }
        Ok(())
    }

    fn check_list(&self, query: &Query<'_>) -> Result<(), Error> {
        let newest = query.newest(DocumentKind::Status, "")?;
        let newest = newest.map(|newest| newest.version);
        let newest = newest.map(|epoch| Ok::<_, Error>((epoch, query.seq_of_list(epoch)?)));
        if newest.transpose()? == self.list {
            return Ok(());
        }
        let (epoch, _) = self.list.unwrap_or_default();
        Err(differs("publications", format!("status {epoch}")))
    }
}

/// The license that an entry of its trail changes.
fn license_of(event: &Event) -> Option<LicenseId> {
    match event {
        Event::LicenseDrafted { license }
        | Event::LicenseIssued { license }
        | Event::TrialStarted { license } => Some(license.id),
        Event::LicenseChanged(change) => Some(change.license),
        Event::Revoked(revocation) => license_in(&revocation.subject),
        Event::Unrevoked(unrevocation) => license_in(&unrevocation.subject),
        _ => None,
    }
}

const fn license_in(subject: &Subject) -> Option<LicenseId> {
    match subject {
        Subject::License(id) => Some(*id),
        _ => None,
    }
}

fn named(subject: &Subject) -> (String, String) {
    (subject.class().name().into(), subject.id())
}

/// What of an entry's event a list asks for, without the rest of it.
fn read<T: DeserializeOwned>(fact: &Fact) -> Result<T, Error> {
    let event = entry::event_in(&fact.entry)?;
    match event.deserialized() {
        Ok(read) if word(&event) == Some(&fact.word) => Ok(read),
        Ok(_) => Err(other_word(fact)),
        Err(error) => Err(Error::EventDamaged {
            problem: error.to_string(),
        }),
    }
}

fn word(event: &Value) -> Option<&str> {
    let fields = event.as_map()?;
    let field = fields
        .iter()
        .find(|(key, _)| key.as_text() == Some("event"));
    field?.1.as_text()
}

fn same<T: PartialEq>(
    table: &'static str,
    seq: u64,
    row: Option<&T>,
    made: &T,
) -> Result<(), Error> {
    match row {
        Some(row) if row == made => Ok(()),
        Some(_) => Err(differs(table, seq.to_string())),
        None => Err(diverged(table, seq.to_string(), "is missing".into())),
    }
}

fn other_word(fact: &Fact) -> Error {
    diverged(
        "events",
        fact.seq.to_string(),
        "has another word than its entry".into(),
    )
}

fn differs(table: &'static str, key: String) -> Error {
    diverged(table, key, "is not what its events make it".into())
}

fn diverged(table: &'static str, key: String, problem: String) -> Error {
    Error::Diverged(Divergence {
        place: Place::Row { table, key },
        problem,
    })
}
