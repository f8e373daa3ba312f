//! Status lists: what the ledger revokes, made into a full list and deltas, checked, signed and
//! published.
//!
//! `list` has the rules, `sections` the filters, `gate` asks phi-verify about all of it and
//! `shrink` what may not vanish. What a token is told by the lists is `check`'s, and what came and
//! went between two lists `diff`'s.

mod check;
mod delta;
mod diff;
pub(crate) mod facts;
mod gate;
mod list;
mod sections;
mod shrink;

use std::collections::BTreeSet;

pub use check::{ByLedger, ByList, PolicyAnswer, TokenCheck};
pub use diff::{ListDiff, ListName, RuleChange, Side, TokenChange};
use phi_verify::{
    DocumentKind, Form, PayloadHash, RuleClass, Status, StatusLists, UnixTime, UnsignedDocument,
    dangerous_inspect::{self, Document},
};

pub(crate) use self::gate::verdict;
use self::{
    gate::{Before, Ended, Gate, Passed},
    list::Whole,
    sections::{How, Universe},
};
use crate::{
    Context, Issuer, Progress, Settings,
    error::Error,
    event::{Event, Publication},
    filter::{Built, Wanted},
    issuer::random,
    keys::Role,
    ledger,
    passphrase::Unlock,
    publish::{import, import_base, import_delta, sealed},
    revoked::Revoked,
    store::Query,
};

/// How a list is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRequest {
    /// The filters of the full list.
    pub filters: Filters,
    /// Whether the numbers of tokens show.
    pub padding: Padding,
    /// The epochs of earlier full lists to which deltas are made.
    pub deltas_from: Vec<u64>,
    /// Whether it may come long after the list before.
    pub gap: Gap,
}

/// What becomes of a list that is made after the one before it expired, and leaves out more than
/// it keeps because that has ended: a clock that is ahead once makes such a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gap {
    /// It is refused.
    #[default]
    Refuse,
    /// It is made.
    Accept,
}

/// The filters of a full list. A delta has the smallest form that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filters {
    /// Bloom cascades.
    #[default]
    Cascade,
    /// Ribbons: two thirds of the bytes, more work to make.
    Compact,
}

/// What a list shows of how many tokens there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// About how many there are, and how many are revoked one by one.
    #[default]
    None,
    /// The next power of two of each, and nothing more.
    PowersOfTwo,
}

impl StatusRequest {
    /// What the settings say, without deltas.
    pub fn of(settings: &Settings) -> Self {
        let status = settings.status;
        Self {
            filters: if status.compact {
                Filters::Compact
            } else {
                Filters::Cascade
            },
            padding: if status.padding {
                Padding::PowersOfTwo
            } else {
                Padding::None
            },
            deltas_from: Vec::new(),
            gap: Gap::default(),
        }
    }
}

/// What was made, in numbers; that none of it is wrong is why it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusReport {
    /// The epoch of the list.
    pub epoch: u64,
    /// Live tokens that the list was asked about.
    pub checked: u64,
    /// Those of them that it revokes.
    pub revoked: u64,
    /// Rules in it.
    pub rules: usize,
    /// All the questions that the gate asked, of every token that stays in the lists, of the list
    /// and of every delta.
    pub asked: u64,
    /// The full list.
    pub full: Numbers,
    /// Each delta, with the epoch of its base.
    pub deltas: Vec<(u64, Numbers)>,
}

/// A list in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// Ids that its filters answer for, decoys among them.
    pub universe: u64,
    /// Ids that its filters say yes to, decoys among them.
    pub members: u64,
    /// Bytes of its filters.
    pub filter_bytes: u64,
    /// Bytes without which nobody can tell such members in such a universe.
    pub bound_bytes: f64,
    /// Bytes of the document without its signatures.
    pub bytes: u64,
    /// The kinds of its filters.
    pub kinds: BTreeSet<&'static str>,
}

impl Eq for Numbers {}

impl Numbers {
    fn add(&mut self, built: &Built, members: usize, others: usize) {
        let all = members + others;
        self.universe += all as u64;
        self.members += members as u64;
        self.filter_bytes += built.body.len() as u64;
        self.bound_bytes += built.least_bits() / 8.0;
        self.kinds.insert(built.kind.name());
    }

    /// How many times the least that is possible the filters take; none if there are none.
    pub fn ratio(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
        let ratio = self.filter_bytes as f64 / self.bound_bytes;
        ratio.is_finite().then_some(ratio)
    }
}

/// What was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusPublished {
    /// The full list.
    pub list: Publication,
    /// The deltas to it.
    pub deltas: Vec<Publication>,
    /// How they were made.
    pub report: StatusReport,
}

/// A document with what it says, as it was read again.
#[derive(Clone)]
pub(crate) struct Settled {
    status: Status,
    hash: PayloadHash,
}

/// Documents that passed the gate and are signed by nobody yet.
struct Made {
    full: UnsignedDocument,
    deltas: Vec<(u64, UnsignedDocument)>,
    report: StatusReport,
}

impl Issuer {
    /// Publishes a status list of everything revoked as the next epoch, made as the settings say.
    ///
    /// # Errors
    /// As [`Issuer::publish_status_as`].
    pub fn publish_status(
        &mut self,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<(Publication, StatusReport), Error> {
        let request = StatusRequest::of(&self.settings);
        let published = self.publish_status_as(&request, unlock, context, |_| {})?;
        Ok((published.list, published.report))
    }

    /// Publishes a status list as the next epoch, and deltas to it. Before anything is recorded it
    /// is read back with phi-verify and asked about every token; the ledger is held for as long as
    /// that takes, so that no token is minted in between.
    ///
    /// # Errors
    /// If the status key cannot be opened, [`Error::NotFound`] for a base that was never
    /// published, [`Error::RevocationsLost`] if the list would not take back what the one before
    /// did, [`Error::OlderThanPublished`] if the ledger is behind its folder,
    /// [`Error::ListWrong`], or [`Error::PublicationUnwritten`].
    pub fn publish_status_as(
        &mut self,
        request: &StatusRequest,
        unlock: &dyn Unlock,
        context: &Context,
        mut progress: impl FnMut(Progress),
    ) -> Result<StatusPublished, Error> {
        ledger::check_not_behind(&self.folder, &mut self.store)?;
        let signers = self.signers(Role::Status, unlock)?;
        let settings = self.settings.clone();
        let published = self.store.write(context, |writer| {
            signers.still_in_force(&writer.query())?;
            let (salt, now) = (random()?, writer.now());
            let made = make(
                &writer.query(),
                &settings,
                request,
                salt,
                now,
                &mut progress,
            )?;
            let document = |unsigned: &UnsignedDocument, base| {
                Ok::<_, Error>(Publication {
                    kind: DocumentKind::Status,
                    product: String::new(),
                    version: made.report.epoch,
                    base,
                    issued_at: now,
                    document: sealed(unsigned, &signers.all())?,
                })
            };
            let list = document(&made.full, None)?;
            import(&writer.query(), &list)?;
            let mut deltas = Vec::new();
            for (base, unsigned) in &made.deltas {
                let delta = document(unsigned, Some(*base))?;
                import_delta(&writer.query(), &delta)?;
                deltas.push(delta);
            }
            for publication in [&list].into_iter().chain(&deltas) {
                writer.append(&Event::DocumentPublished(publication.clone()))?;
            }
            let report = made.report;
            Ok(StatusPublished {
                list,
                deltas,
                report,
            })
        })?;
        self.write_published()?;
        Ok(published)
    }

    /// Makes the list that [`Issuer::publish_status_as`] would publish now, with the gate and all,
    /// and neither signs nor records it.
    ///
    /// # Errors
    /// As [`Issuer::publish_status_as`], but those of keys.
    pub fn build_status(
        &mut self,
        request: &StatusRequest,
        now: UnixTime,
        mut progress: impl FnMut(Progress),
    ) -> Result<StatusReport, Error> {
        ledger::check_not_behind(&self.folder, &mut self.store)?;
        let settings = self.settings.clone();
        let salt = random()?;
        self.store.read(|query| {
            let now = query.lifted(now)?;
            for base in &request.deltas_from {
                import_base(query, Some(*base))?;
            }
            let made = make(query, &settings, request, salt, now, &mut progress)?;
            Ok(made.report)
        })
    }

    /// The documents that would be published, unsigned: the same for the same ledger, time and
    /// salt.
    ///
    /// # Errors
    /// As [`Issuer::build_status`].
    pub fn status_under_salt(
        &mut self,
        request: &StatusRequest,
        salt: [u8; 16],
        now: UnixTime,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let settings = self.settings.clone();
        self.store.read(|query| {
            let made = make(query, &settings, request, salt, now, &mut |_| {})?;
            let deltas = made.deltas.iter().map(|(_, delta)| delta);
            let documents = [&made.full].into_iter().chain(deltas);
            Ok(documents
                .map(|document| document.payload().to_vec())
                .collect())
        })
    }
}

/// Makes the documents, and lets them pass the gate.
fn make(
    query: &Query<'_>,
    settings: &Settings,
    request: &StatusRequest,
    salt: [u8; 16],
    now: UnixTime,
    progress: &mut dyn FnMut(Progress),
) -> Result<Made, Error> {
    let stays = list::stays(settings);
    let since = UnixTime::EPOCH.plus(now.seconds().saturating_sub(stays));
    let passes = 3 + request.deltas_from.len() as u64;
    let step = &mut Step {
        done: 0,
        total: passes * query.count_tokens(since)?,
        progress,
    };
    let revoked = Revoked::load(query, now)?;
    let before = query.newest(DocumentKind::Status, "")?;
    let before = before.as_ref().map(list::settled).transpose()?;
    if let (Some(before), Gap::Refuse) = (&before, request.gap) {
        shrink::check_gap(query, before, &revoked, (now, stays))?;
    }
    let salt = match &before {
        Some(before) if list::names_strangers(query, &before.status)? => before.status.salt(),
        _ => salt,
    };
    let mut full = list::begin(query, settings, salt, now)?;
    let ended = match &before {
        Some(before) => shrink::ended_since(query, before, &full)?,
        None => Ended::default(),
    };
    let mut whole = Whole::of(query, now)?;
    query.each_token_page(since, |page| {
        step.done(page.len());
        for token in &page {
            whole.see(token);
        }
        Ok(())
    })?;
    let held = before.as_ref().map(|before| &before.status);
    let (rules, licenses) = whole.settle(&full, stays, held);
    full.rules = rules;
    if let Some(held) = held {
        let strange = list::strangers(query, held, &full)?;
        full.rules.extend(strange);
    }
    let licenses = licenses.into_iter().collect();
    let mut made = Vec::new();
    let mut report = StatusReport {
        epoch: full.epoch,
        rules: full.rules.len(),
        ..StatusReport::default()
    };
    {
        let universe = Universe {
            list: &full,
            since,
            revoked: &revoked,
            licenses: &licenses,
        };
        let (sections, numbers) = universe.full(query, How::of(request, &salt), step)?;
        full.revoked = sections;
        report.full = numbers;
    }
    full.unrevoked = list::unrevoked(query, &full, &ended, since)?;
    let unsigned = full.unsigned();
    report.full.bytes = unsigned.payload().len() as u64;
    let full = read_again(&unsigned)?;
    for epoch in &request.deltas_from {
        let base = delta::base(query, *epoch, full.status.epoch)?;
        let universe = Universe {
            list: &full.status,
            since,
            revoked: &revoked,
            licenses: &licenses,
        };
        let (numbers, unsigned) = make_delta(query, &universe, [&full, &base], request, step)?;
        report.deltas.push((*epoch, numbers));
        made.push((*epoch, base, read_again(&unsigned)?, unsigned));
    }
    let before = before.as_ref().map(|before| (before, &ended));
    let passed = gate(query, &full, &made, &revoked, before, (since, step))?;
    // Last, so that what is lost or wrong is named as that first.
    facts::check(query, now)?;
    (report.checked, report.revoked, report.asked) = (passed.live, passed.revoked, passed.asked);
    Ok(Made {
        full: unsigned,
        deltas: made
            .into_iter()
            .map(|(epoch, _, _, unsigned)| (epoch, unsigned))
            .collect(),
        report,
    })
}

/// The delta from a base to the full list of the universe.
fn make_delta(
    query: &Query<'_>,
    universe: &Universe<'_>,
    [full, base]: [&Settled; 2],
    request: &StatusRequest,
    step: &mut Step<'_>,
) -> Result<(Numbers, UnsignedDocument), Error> {
    let mut list = delta::begin(query, full, base)?;
    let salt = list.salt();
    let how = How::of_delta(request, &salt);
    let ([added, removed], mut numbers) = universe.delta(query, &base.status, how, step)?;
    list.revoked = added;
    list.form = match list.form {
        Form::Delta { base, full, .. } => Form::Delta {
            base,
            full,
            removed,
        },
        form @ Form::Full { .. } => form,
    };
    let unsigned = list.unsigned();
    numbers.bytes = unsigned.payload().len() as u64;
    Ok((numbers, unsigned))
}

/// A delta on its way: the epoch of its base, its base, itself, and its bytes.
type Delta = (u64, Settled, Settled, UnsignedDocument);

fn gate(
    query: &Query<'_>,
    full: &Settled,
    deltas: &[Delta],
    revoked: &Revoked,
    before: Option<(&Settled, &Ended)>,
    (since, step): (UnixTime, &mut Step<'_>),
) -> Result<Passed, Error> {
    let alone = lists(&full.status, None)?;
    let mut all = vec![alone];
    for (_, base, delta, _) in deltas {
        all.push(lists(&base.status, Some(&delta.status))?);
    }
    // What the list itself says that it brings back is no event of the ledger.
    let silent = Status {
        unrevoked: Vec::new(),
        ..full.status.clone()
    };
    let mut lost = match before {
        Some((held, ended)) => shrink::lost_rules(query, held, &lists(&silent, None)?, ended)?,
        None => BTreeSet::new(),
    };
    let bare = before.map(|(held, ended)| {
        let bare = Status {
            rules: Vec::new(),
            ..held.status.clone()
        };
        (bare, ended)
    });
    let last = bare.as_ref().map(|(bare, ended)| {
        let list = lists(bare, None)?;
        Ok::<_, Error>(Before { list, ended })
    });
    let gate = Gate {
        lists: all,
        revoked,
        keys: list::covered_keys(query)?,
        before: last.transpose()?,
        now: full.status.this_update,
    };
    let mut passed = gate.pass(query, since, step)?;
    lost.append(&mut passed.lost);
    if lost.is_empty() {
        return Ok(passed);
    }
    let named = |(class, id): &(RuleClass, String)| format!("{class} {id}");
    Err(Error::RevocationsLost {
        epoch: before.map_or(0, |(held, _)| held.status.epoch),
        count: lost.len(),
        first: lost.iter().take(MAX_NAMED).map(named).collect(),
    })
}

/// Whether a delta in the ledger is one to the list that was published before it: signed by the
/// status role, from a full list of the ledger, and in all but its filters what the full list is.
pub(crate) fn check_delta(query: &Query<'_>, publication: &Publication) -> Result<(), Error> {
    let damaged = |problem: &str| Error::EventDamaged {
        problem: problem.into(),
    };
    import_delta(query, publication)?;
    let delta = list::settled(publication)?;
    let full = query.newest(DocumentKind::Status, "")?;
    let full = full.ok_or_else(|| damaged("a delta follows no list"))?;
    let base = delta::base(query, publication.base.unwrap_or_default(), full.version)?;
    let mut expected = delta::begin(query, &list::settled(&full)?, &base)?;
    expected.revoked.clone_from(&delta.status.revoked);
    if let (Form::Delta { removed, .. }, Form::Delta { removed: said, .. }) =
        (&mut expected.form, &delta.status.form)
    {
        removed.clone_from(said);
    }
    let said = Publication {
        product: String::new(),
        version: full.version,
        issued_at: full.issued_at,
        ..publication.clone()
    };
    // Rules are written in the order of their encodings, which is not that of the full list.
    let same = expected.unsigned().payload_hash() == delta.hash;
    if same && said == *publication {
        return Ok(());
    }
    Err(damaged("a delta does not say what its list says"))
}

/// How many lost revocations an error names.
const MAX_NAMED: usize = 5;

fn lists<'a>(base: &'a Status, delta: Option<&'a Status>) -> Result<StatusLists<'a>, Error> {
    StatusLists::new(base, delta).map_err(Error::NotVerified)
}

/// What the bytes say that are about to be signed.
fn read_again(unsigned: &UnsignedDocument) -> Result<Settled, Error> {
    let read = dangerous_inspect::payload(DocumentKind::Status, unsigned.payload());
    match read.map_err(Error::NotVerified)? {
        Document::Status(status) => Ok(Settled {
            status,
            hash: unsigned.payload_hash(),
        }),
        _ => Err(refused("is read as something else")),
    }
}

/// What a published list says.
pub(crate) fn decoded(publication: &Publication) -> Result<Status, Error> {
    match dangerous_inspect::document(&publication.document).map_err(Error::NotVerified)? {
        Document::Status(status) => Ok(status),
        _ => Err(refused("is a document of another kind")),
    }
}

/// What a document says that somebody handed in.
fn read_document(bytes: &[u8]) -> Result<Settled, Error> {
    let document = phi_verify::UntrustedDocument::parse(bytes).map_err(Error::NotVerified)?;
    let hash = document.payload_hash();
    match dangerous_inspect::document(bytes).map_err(Error::NotVerified)? {
        Document::Status(status) => Ok(Settled { status, hash }),
        _ => Err(refused("is a document of another kind")),
    }
}

fn refused(problem: &str) -> Error {
    Error::Invalid {
        what: "the status list",
        problem: problem.into(),
    }
}

impl<'a> How<'a> {
    /// How a delta is made: it is read from paper and put into codes, so that every byte counts,
    /// and its filters are made in no time.
    fn of_delta(request: &StatusRequest, salt: &'a [u8; 16]) -> Self {
        Self {
            wanted: Wanted::Compact,
            ..Self::of(request, salt)
        }
    }

    fn of(request: &StatusRequest, salt: &'a [u8; 16]) -> Self {
        Self {
            salt,
            wanted: match request.filters {
                Filters::Cascade => Wanted::Smallest,
                Filters::Compact => Wanted::Compact,
            },
            padding: request.padding,
        }
    }
}

/// How far the work is: the tokens are gone through several times.
struct Step<'p> {
    done: u64,
    total: u64,
    progress: &'p mut dyn FnMut(Progress),
}

impl Step<'_> {
    fn done(&mut self, tokens: usize) {
        self.done += tokens as u64;
        (self.progress)(Progress {
            done: self.done,
            total: self.total,
        });
    }
}

#[cfg(test)]
mod tests;
