//! What a folder has published beyond a store that is about to become its store: an older backup
//! would use numbers twice that applications have seen, and forget what was taken back since.

use std::{collections::BTreeSet, fs, path::Path};

use phi_verify::{
    DocumentKind, Error as VerifyError, KeyState, Reason, RuleClass, Status, StatusLists,
    Subject as WireSubject, UnixTime, Verdict,
    dangerous_inspect::{self, Document},
    log::LogState,
};

use super::judge::described;
use crate::{
    Context, Publication, RevokeRequest, Subject,
    durable::{self, FileError},
    error::Error,
    event::Event,
    issuer::{CHECKPOINT, PUBLISHED, system},
    keys::Reach,
    revoke, root, status,
    store::{Query, Store, TokenRow, Writer},
};

/// What becomes of a backup or an export that is older than what its folder has published.
#[derive(Clone, Copy, Debug)]
pub enum Older<'c> {
    /// It is refused.
    Refuse,
    /// It takes up the published keyset and status list, by whom and when this says: what is
    /// published next has numbers above theirs, and what they take back stays taken back.
    /// [`NotAllowed`](Error::NotAllowed) if the list is seen to revoke tokens that the backup lacks.
    /// Where the cut of a key is beyond what the ledger's own checkpoints cover, and tokens that it
    /// keeps would be lost, it is refused as well.
    TakeUp(&'c Context),
    /// As [`Older::TakeUp`], and what is lost with a cut is lost, and tokens that the list revokes
    /// and the backup lacks count again.
    TakeUpAndLose(&'c Context),
}

/// What becomes of a published file that cannot be read.
#[derive(Clone, Copy)]
enum Unread {
    /// It is nothing: what is published next is written over it.
    PassOver,
    /// Nothing is done.
    Refuse,
}

/// A document is never larger (docs/spec.md, "Documents").
const MAX_DOCUMENT: u64 = 8 << 20;

/// What was published beyond a store.
pub(super) struct Ahead {
    /// Documents with a higher number than the store's, in the order in which they are imported.
    documents: Vec<Publication>,
    /// How many events the published checkpoint covers, if the store does not continue it.
    checkpoint: Option<u64>,
    /// What of it there is, in words.
    words: Vec<String>,
}

/// Makes sure that the store knows the newest status list of its folder: the next one would
/// have its number.
pub(crate) fn check_not_behind(folder: &Path, store: &mut Store) -> Result<(), Error> {
    let mut ahead = Ahead::read(folder, store, Unread::PassOver)?;
    let lists = |publication: &Publication| publication.kind == DocumentKind::Status;
    if !ahead.documents.iter().any(lists) {
        return Ok(());
    }
    Err(Error::OlderThanPublished {
        ahead: std::mem::take(&mut ahead.words).join(", "),
        fixed: None,
    })
}

impl Ahead {
    /// Compares a store with what is in the published folder of the issuer's folder. What does
    /// not verify under the store's own roots is not this issuer's, and it does not count.
    pub(super) fn of(folder: &Path, store: &mut Store) -> Result<Self, Error> {
        Self::read(folder, store, Unread::Refuse)
    }

    fn read(folder: &Path, store: &mut Store, unread: Unread) -> Result<Self, Error> {
        let published = folder.join(PUBLISHED);
        let mut ahead = Self {
            documents: Vec::new(),
            checkpoint: None,
            words: Vec::new(),
        };
        store.read(|query| {
            for publication in published_in(&published, query, unread)? {
                let (kind, product) = (publication.kind, publication.product.as_str());
                let held = query.newest(kind, product)?.map_or(0, |held| held.version);
                if publication.version > held {
                    ahead.words.push(said(&publication, held));
                    ahead.documents.push(publication);
                }
            }
            if let Some(size) = unfinished(&published, query)? {
                let held = query.size()?;
                let words = format!("a checkpoint of {size} events (here {held}, or others)");
                ahead.words.push(words);
                ahead.checkpoint = Some(size);
            }
            Ok(())
        })?;
        Ok(ahead)
    }

    /// Lets the store go on after what was published, or refuses it.
    ///
    /// # Errors
    /// [`Error::OlderThanPublished`], [`Error::NotAllowed`].
    pub(super) fn settle(&self, store: &mut Store, older: Older<'_>) -> Result<(), Error> {
        if self.words.is_empty() {
            return Ok(());
        }
        // Roots and catalogs rest on keys and texts that only their own entries have.
        let rests = |publication: &&Publication| {
            matches!(publication.kind, DocumentKind::Root | DocumentKind::Catalog)
        };
        let fixed = self
            .documents
            .iter()
            .find(rests)
            .map(Publication::file_name);
        let context = match (older, fixed) {
            (Older::TakeUp(context), None) => {
                store.read(|query| self.check_known(query))?;
                context
            }
            (Older::TakeUpAndLose(context), None) => context,
            (_, fixed) => {
                return Err(Error::OlderThanPublished {
                    ahead: self.words.join(", "),
                    fixed,
                });
            }
        };
        let mut context = context.clone();
        let reason = format!("taken up from published/: {}", self.words.join(", "));
        context.reason.get_or_insert(reason);
        store.write(&context, |writer| {
            for publication in &self.documents {
                writer.append(&Event::DocumentPublished(publication.clone()))?;
            }
            for publication in &self.documents {
                if matches!(older, Older::TakeUp(_)) {
                    check_cuts(&writer.query(), publication, context.now)?;
                }
                keep_taken_back(writer, publication)?;
            }
            Ok(())
        })
    }

    /// Refuses a list that revokes tokens which the store lacks: it cannot take them back again, for
    /// a list does not name them.
    fn check_known(&self, query: &Query<'_>) -> Result<(), Error> {
        for publication in &self.documents {
            if publication.kind != DocumentKind::Status {
                continue;
            }
            let list = status::decoded(publication)?;
            if !revokes_unknown(query, &list)? {
                continue;
            }
            return Err(Error::NotAllowed {
                what: format!(
                    "a ledger that lacks tokens which list {} revokes",
                    list.epoch
                ),
                problem: "cannot take that list up: they would count again",
                hint: "bring a newer backup; if there is none, add --force, and \
                       then cut every license key (`phi key revoke ID --cut newest`), so that \
                       only tokens of this ledger count",
            });
        }
        Ok(())
    }

    /// Moves a checkpoint aside that the store does not continue, as evidence of the ledger that
    /// it was signed for.
    pub(super) fn keep_checkpoint(&self, folder: &Path) -> Result<(), Error> {
        let Some(size) = self.checkpoint else {
            return Ok(());
        };
        let name = |number: u32| folder.join(format!("{CHECKPOINT}.{size}-{number}"));
        let number = (1..=u32::MAX).find(|number| !name(*number).exists());
        let number = number.expect("there are more numbers than files");
        let moved = fs::rename(folder.join(PUBLISHED).join(CHECKPOINT), name(number));
        moved.map_err(system("keeping the published checkpoint"))
    }
}

fn said(publication: &Publication, held: u64) -> String {
    let version = publication.version;
    let what = match publication.kind {
        DocumentKind::Root => "root version".into(),
        DocumentKind::Keyset => "keyset version".into(),
        DocumentKind::Status => "status epoch".into(),
        DocumentKind::Catalog => format!("{} catalog revision", publication.product),
        DocumentKind::ClockReset => "clock reset".into(),
    };
    format!("{what} {version} (here {held})")
}

/// Whether the list is seen to revoke tokens that the ledger lacks. Of all filters an exact list
/// alone tells how many they are; in any other there is at least one.
fn revokes_unknown(query: &Query<'_>, list: &Status) -> Result<bool, Error> {
    let listed = list.revoked.count_tokens().unwrap_or(1);
    let one_by_one = Status {
        rules: Vec::new(),
        ..list.clone()
    };
    let lists = StatusLists::new(&one_by_one, None).map_err(Error::NotVerified)?;
    let mut known = 0;
    query.each_token_page(UnixTime::EPOCH, |page| {
        let revoked =
            |token: &&TokenRow| matches!(status::verdict(&lists, token), Verdict::Revoked { .. });
        known += page.iter().filter(revoked).count();
        Ok(())
    })?;
    Ok(known < listed)
}

/// The documents of the published folder that verify under the store's roots and the roots that
/// follow these, in the order in which an application imports them.
fn published_in(
    folder: &Path,
    query: &Query<'_>,
    unread: Unread,
) -> Result<Vec<Publication>, Error> {
    let read = |name: &str| match durable::read_regular(&folder.join(name), MAX_DOCUMENT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(_) if matches!(unread, Unread::PassOver) => Ok(None),
        Err(error) => Err(Error::from(error)),
    };
    let mut found = Vec::new();
    let Some(mut trust) = root::chain(query)? else {
        return Ok(found);
    };
    let next = trust.root().version.saturating_add(1);
    let mut import = |document: Vec<u8>| {
        trust.import(&document)?;
        let publication = described(document)?;
        found.push(publication);
        Ok::<_, VerifyError>(())
    };
    for version in next..=u64::MAX {
        match read(&format!("root-{version}.phi"))?.map(&mut import) {
            Some(Ok(())) => {}
            _ => break,
        }
    }
    let catalogs = query.products()?.into_iter();
    let catalogs = catalogs.map(|product| format!("catalog-{product}.phi"));
    let names = ["keyset.phi".to_owned(), "status.phi".to_owned()];
    for name in names.into_iter().chain(catalogs) {
        // Nobody accepts what does not import.
        let _ = read(&name)?.map(&mut import);
    }
    Ok(found)
}

/// How many events the published checkpoint covers, if the ledger of the store does not continue
/// the one that it was signed for.
fn unfinished(folder: &Path, query: &Query<'_>) -> Result<Option<u64>, Error> {
    let limit = phi_verify::log::MAX_NOTE as u64;
    let note = durable::read_regular(&folder.join(CHECKPOINT), limit).ok();
    let note = note.and_then(|note| String::from_utf8(note).ok());
    let Some(state) = note.and_then(|note| LogState::restore(&note).ok()) else {
        return Ok(None);
    };
    match super::check_continues(query, &state) {
        Ok(()) => Ok(None),
        Err(Error::Diverged(_)) => Ok(Some(state.size())),
        Err(error) => Err(error),
    }
}

/// What a published document takes back of what the ledger has is taken back in the ledger too.
fn keep_taken_back(writer: &mut Writer<'_>, publication: &Publication) -> Result<(), Error> {
    let mut requests = Vec::new();
    match dangerous_inspect::document(&publication.document).map_err(Error::NotVerified)? {
        Document::Keyset(keyset) => {
            for entry in keyset.keys() {
                if let KeyState::Revoked { cut } = entry.state {
                    let subject = Subject::Key(entry.key.id());
                    requests.push(RevokeRequest {
                        cut: covered(&writer.query(), cut)?,
                        ..request(subject, None, Reason::KeyCompromise)
                    });
                }
            }
        }
        Document::Status(list) => requests = taken_back(&writer.query(), &list)?,
        Document::Root(_) | Document::Catalog(_) | Document::ClockReset(_) => {}
    }
    for request in requests {
        // What the ledger does not know, or takes back already, needs nothing.
        match writer.attempt(|writer| revoke::record(writer, &request))? {
            Ok(_) | Err(Error::NotFound { .. } | Error::NotAllowed { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the ledger can keep all the tokens that the cuts of a published keyset keep.
fn check_cuts(query: &Query<'_>, publication: &Publication, now: UnixTime) -> Result<(), Error> {
    let document = dangerous_inspect::document(&publication.document);
    let Document::Keyset(keyset) = document.map_err(Error::NotVerified)? else {
        return Ok(());
    };
    for entry in keyset.keys() {
        let KeyState::Revoked { cut: Some(cut) } = entry.state else {
            continue;
        };
        let key_id = entry.key.id();
        let covered = covered(query, Some(cut))?.unwrap_or(0);
        let live_after = |event| {
            let orphans = query.orphans(key_id, Reach::AfterEvent(event), now, 0)?;
            Ok::<_, Error>(orphans.tokens)
        };
        let tokens = live_after(covered)?.saturating_sub(live_after(cut)?);
        if tokens > 0 {
            return Err(Error::CutLost {
                key_id,
                cut,
                covered,
                tokens,
            });
        }
    }
    Ok(())
}

/// The cut, or what of it this ledger's checkpoints cover: of events that are not in it, nothing
/// can be proven.
fn covered(query: &Query<'_>, cut: Option<u64>) -> Result<Option<u64>, Error> {
    let newest = query.newest_checkpoint()?;
    let size = newest.map_or(0, |checkpoint| checkpoint.size);
    Ok(cut.map(|cut| cut.min(size)).filter(|cut| *cut > 0))
}

/// What a status list takes back for good, as requests to this ledger.
fn taken_back(query: &Query<'_>, list: &Status) -> Result<Vec<RevokeRequest>, Error> {
    let mut requests = Vec::new();
    let customers = query.customers()?;
    for rule in list
        .rules
        .iter()
        .filter(|rule| rule.reason != Reason::Suspended)
    {
        let subject = match &rule.subject {
            WireSubject::License(id) => Subject::License(*id),
            WireSubject::Key(id) => Subject::Key(*id),
            WireSubject::Feature(product, code) => Subject::Feature {
                product: product.clone(),
                code: code.get(),
            },
            WireSubject::Customer(hash) => {
                let known = |customer: &&crate::Customer| list.customer_hash(&customer.id) == *hash;
                match customers.iter().find(known) {
                    Some(customer) => Subject::Customer(customer.id.clone()),
                    None => continue,
                }
            }
        };
        requests.push(request(subject, rule.issued_before, rule.reason));
    }
    // What is revoked one by one, whatever rules reach it as well.
    let one_by_one = Status {
        rules: Vec::new(),
        ..list.clone()
    };
    let lists = StatusLists::new(&one_by_one, None).map_err(Error::NotVerified)?;
    let mut licenses = BTreeSet::new();
    query.each_token_page(list.this_update, |page| {
        for token in &page {
            let subject = match status::verdict(&lists, token) {
                Verdict::Revoked {
                    rule: RuleClass::Token,
                    ..
                } => Subject::Token(token.id),
                Verdict::Revoked {
                    rule: RuleClass::License,
                    reason: Reason::Unspecified,
                } if licenses.insert(token.license) => Subject::License(token.license),
                _ => continue,
            };
            requests.push(request(subject, None, Reason::Unspecified));
        }
        Ok(())
    })?;
    Ok(requests)
}

const fn request(
    subject: Subject,
    issued_before: Option<UnixTime>,
    reason: Reason,
) -> RevokeRequest {
    RevokeRequest {
        subject,
        issued_before,
        cut: None,
        reason,
    }
}
