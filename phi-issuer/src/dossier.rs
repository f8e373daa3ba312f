//! Everything that the ledger knows of a customer, at one moment and with its proofs.
//!
//! It is gathered in one transaction, so that its parts fit together; how it is laid out is left
//! to the caller.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use phi_verify::{LicenseId, Reason, RuleClass, UnixTime, log::Proof};

use crate::{
    AuditFilter, AuditRow, Customer, Event, Happening, Issuer, LicenseAt, LicenseRecord,
    MintedToken, Moment, Past, Revocation, SignedCheckpoint, State, Subject, Unrevocation, audit,
    catalog::Revision,
    customer,
    entry::Entry,
    error::Error,
    ledger::Prover,
    license::{self, CustomerRevocations, no_catalog},
    store::Query,
};

/// What a dossier is to have.
#[derive(Clone, Debug)]
pub struct DossierRequest {
    /// The customer.
    pub customer: String,
    /// Only what is about this product, and about the customer itself.
    pub product: Option<String>,
    /// Only what happened at this time or later.
    pub from: Option<UnixTime>,
    /// Only what happened before this time.
    pub to: Option<UnixTime>,
    /// The present.
    pub now: UnixTime,
}

/// What the ledger knows of a customer.
#[derive(Clone, Debug)]
pub struct Dossier {
    /// The customer as it is now.
    pub customer: Customer,
    /// The present: that of the request, or that of the newest event if it is a little later.
    pub now: UnixTime,
    /// How many events the ledger has.
    pub events: u64,
    /// The licenses in the order of issue.
    pub licenses: Vec<LicenseDossier>,
    /// What happened, in order.
    pub timeline: Vec<Occurrence>,
    /// The tokens that were minted, in order.
    pub tokens: Vec<TokenDossier>,
    /// The newest checkpoint.
    pub checkpoint: Option<SignedCheckpoint>,
}

/// What the ledger knows of a license.
#[derive(Clone, Debug)]
pub struct LicenseDossier {
    /// The license as it is now.
    pub present: LicenseAt,
    /// The catalog revision in which it is read, for names and titles.
    pub catalog: Arc<Revision>,
    /// What it granted and when, in order; only what reaches into the range.
    pub intervals: Vec<Interval>,
}

/// A time in which a license granted the same.
#[derive(Clone, Debug)]
pub struct Interval {
    /// Its first moment.
    pub from: UnixTime,
    /// The first moment after it; `None` is not over yet.
    pub to: Option<UnixTime>,
    /// The license at its beginning.
    pub at: LicenseAt,
    /// The catalog revision in which it was read then.
    pub catalog: Arc<Revision>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Occurrence {
    /// Somebody did it, and the ledger has it.
    Recorded(Box<AuditRow>),
    /// Time alone did it.
    ByTime {
        /// The license.
        license: LicenseId,
        /// What happened to it.
        moment: Box<Moment>,
    },
}

/// A token.
#[derive(Clone, Debug)]
pub struct TokenDossier {
    /// The number of the event that minted it.
    pub seq: u64,
    /// The token.
    pub token: MintedToken,
    /// Whether it is good now.
    pub standing: TokenStanding,
    /// That it is in the ledger; `None` if no checkpoint covers it yet.
    pub proof: Option<Proof>,
}

/// What the ledger says of a token now. Applications know of a revocation when they have a status
/// list that was published after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenStanding {
    /// It is good.
    Good,
    /// It is past its expiry and within its grace.
    Grace,
    /// It is past its expiry and its grace.
    Ended,
    /// Its license is suspended.
    Suspended,
    /// It is revoked: by itself, or with its license, its customer or its key.
    Revoked(RuleClass, Reason),
}

impl Occurrence {
    /// When it happened.
    pub const fn time(&self) -> UnixTime {
        match self {
            Self::Recorded(row) => row.recorded,
            Self::ByTime { moment, .. } => moment.time,
        }
    }

    const fn is_voided(&self) -> bool {
        match self {
            Self::Recorded(_) => false,
            Self::ByTime { moment, .. } => matches!(moment.happening, Happening::Voided(_)),
        }
    }

    /// The license that it is about.
    pub const fn license(&self) -> Option<LicenseId> {
        match self {
            Self::Recorded(row) => row.license,
            Self::ByTime { license, .. } => Some(*license),
        }
    }
}

impl Dossier {
    /// The events in it, in order.
    pub fn recorded(&self) -> impl Iterator<Item = &AuditRow> {
        self.timeline
            .iter()
            .filter_map(|occurrence| match occurrence {
                Occurrence::Recorded(row) => Some(&**row),
                Occurrence::ByTime { .. } => None,
            })
    }

    /// Whether the newest checkpoint covers the event with this number.
    pub fn covers(&self, seq: u64) -> bool {
        let checkpoint = self.checkpoint.as_ref();
        checkpoint.is_some_and(|checkpoint| seq <= checkpoint.size)
    }

    /// How many of the events in it no checkpoint covers yet.
    pub fn uncovered(&self) -> usize {
        let rows = self.recorded();
        rows.filter(|row| !self.covers(row.entry.seq)).count()
    }
}

impl Issuer {
    /// Gathers what the ledger knows of a customer.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown customer or product, [`Error::Invalid`] for a range that
    /// ends before it begins, [`Error::ClockBehind`] for a present that is before the past.
    pub fn dossier(&mut self, request: &DossierRequest) -> Result<Dossier, Error> {
        self.store
            .read(|query| Gathering::begin(query, request)?.finish())
    }
}

/// A dossier on its way.
struct Gathering<'q> {
    query: &'q Query<'q>,
    request: &'q DossierRequest,
    customer: Customer,
    now: UnixTime,
    events: u64,
    licenses: Vec<LicenseRecord>,
    revoked: HashMap<(RuleClass, String), Revocation>,
    of_customer: CustomerRevocations,
    checkpoint: Option<SignedCheckpoint>,
}

impl<'q> Gathering<'q> {
    fn begin(query: &'q Query<'q>, request: &'q DossierRequest) -> Result<Self, Error> {
        let id = &request.customer;
        let customer = query.customer(id)?.ok_or_else(|| customer::not_found(id))?;
        if let Some(product) = &request.product
            && query.newest_catalog(product)?.is_none()
        {
            return Err(no_catalog(product));
        }
        let revoked = query.revocations()?.into_iter().map(|revocation| {
            let subject = &revocation.subject;
            ((subject.class(), subject.id()), revocation)
        });
        Ok(Self {
            query,
            request,
            customer,
            now: query.lifted(request.now)?,
            events: query.size()?,
            licenses: query.licenses(Some(id), request.product.as_deref())?,
            revoked: revoked.collect(),
            of_customer: CustomerRevocations::of(query, id)?,
            checkpoint: query.newest_checkpoint()?,
        })
    }

    fn finish(self) -> Result<Dossier, Error> {
        let mut rows = self.rows()?;
        rows.extend(self.wide_revocations()?);
        rows.sort_by_key(|row| row.entry.seq);
        let mut licenses = Vec::new();
        let mut moments = Vec::new();
        for record in &self.licenses {
            let history = license::history_of(self.query, record.id, &self.of_customer, self.now)?;
            licenses.push(self.license(record, &history)?);
            let by_time = history.into_iter().filter(|moment| moment.entry.is_none());
            moments.extend(by_time.map(|moment| (record.id, moment)));
        }
        let tokens = self.tokens(&rows, &licenses)?;
        Ok(Dossier {
            timeline: self.timeline(rows, moments),
            customer: self.customer,
            now: self.now,
            events: self.events,
            licenses,
            tokens,
            checkpoint: self.checkpoint,
        })
    }

    fn within(&self, time: UnixTime) -> bool {
        let (from, to) = (self.request.from, self.request.to);
        from.is_none_or(|from| from <= time) && to.is_none_or(|to| time < to)
    }

    /// The events about the customer and its licenses.
    fn rows(&self) -> Result<Vec<AuditRow>, Error> {
        let filter = AuditFilter {
            customer: Some(self.customer.id.clone()),
            from: self.request.from,
            to: self.request.to,
            ..AuditFilter::default()
        };
        let mut rows = audit::collect(self.query, &filter)?;
        if let Some(product) = &self.request.product {
            rows.retain(|row| row.product.as_ref().is_none_or(|other| other == product));
        }
        Ok(rows)
    }

    /// The revocations of keys that signed the customer's tokens, and of features of its products.
    fn wide_revocations(&self) -> Result<Vec<AuditRow>, Error> {
        let keys = self
            .query
            .keys_of_customer(&self.customer.id, self.request.product.as_deref())?;
        let products: BTreeSet<_> = self.licenses.iter().map(|one| &one.product).collect();
        let concerns = |row: &AuditRow| match &row.entry.event {
            Event::Revoked(Revocation { subject, .. })
            | Event::Unrevoked(Unrevocation { subject, .. }) => match subject {
                Subject::Key(key) => keys.contains(key),
                Subject::Feature { product, .. } => products.contains(product),
                _ => false,
            },
            _ => false,
        };
        let rows = self.query.wide_revocations()?.into_iter();
        let rows = rows.map(AuditRow::from).filter(concerns);
        Ok(rows.filter(|row| self.within(row.recorded)).collect())
    }

    fn license(&self, record: &LicenseRecord, history: &[Moment]) -> Result<LicenseDossier, Error> {
        let changes = history.iter();
        let changes = changes.filter(|one| !matches!(one.happening, Happening::Minted(_)));
        let mut times: BTreeSet<UnixTime> = changes.map(|moment| moment.time).collect();
        let begun = times.first().copied().unwrap_or(self.now);
        times.extend(record.not_before);
        times.retain(|time| (begun..=self.now).contains(time));
        let mut intervals: Vec<Interval> = Vec::new();
        for time in times {
            let at = self.at(record.id, time)?;
            match intervals.last_mut() {
                Some(last) if same(&last.at, &at) => continue,
                Some(last) => last.to = Some(time),
                None => {}
            }
            intervals.push(Interval {
                from: time,
                to: None,
                catalog: self.catalog(&at)?,
                at,
            });
        }
        let (from, to) = (self.request.from, self.request.to);
        intervals.retain(|one| {
            let after = from.is_some_and(|from| one.to.is_some_and(|end| end <= from));
            let before = to.is_some_and(|to| to <= one.from);
            !after && !before
        });
        let present = self.at(record.id, self.now)?;
        Ok(LicenseDossier {
            catalog: self.catalog(&present)?,
            present,
            intervals,
        })
    }

    fn at(&self, license: LicenseId, time: UnixTime) -> Result<LicenseAt, Error> {
        let (record, time) = license::replayed(self.query, license, Past::Time(time))?;
        license::judged_of(self.query, &record, &self.of_customer, time)
    }

    fn catalog(&self, at: &LicenseAt) -> Result<Arc<Revision>, Error> {
        let license = &at.license;
        let found = self
            .query
            .catalog(&license.product, license.catalog_revision)?;
        found.ok_or_else(|| no_catalog(&license.product))
    }

    fn tokens(
        &self,
        rows: &[AuditRow],
        licenses: &[LicenseDossier],
    ) -> Result<Vec<TokenDossier>, Error> {
        let own = licenses.iter().map(|license| &license.present);
        let own: HashMap<_, _> = own
            .map(|present| (present.license.id, present.state))
            .collect();
        let checkpoint = self.checkpoint.as_ref();
        let prover = checkpoint.map(|_| Prover::new(self.query)).transpose()?;
        let mut tokens = Vec::new();
        for row in rows {
            let Event::TokenMinted(token) = &row.entry.event else {
                continue;
            };
            let seq = row.entry.seq;
            tokens.push(TokenDossier {
                seq,
                standing: self.standing(token, seq, own.get(&token.license).copied()),
                token: token.clone(),
                proof: prove(prover.as_ref(), &row.entry)?,
            });
        }
        Ok(tokens)
    }

    /// Where a token stands; `seq` is the number of its event.
    fn standing(&self, token: &MintedToken, seq: u64, license: Option<State>) -> TokenStanding {
        for subject in [
            Subject::Token(token.token_id),
            Subject::License(token.license),
            Subject::Customer(self.customer.id.clone()),
            Subject::Key(token.key_id),
        ] {
            let rule = self.revoked.get(&(subject.class(), subject.id()));
            let reaches = |revocation: &&Revocation| {
                let before = revocation.issued_before;
                let kept = revocation.cut.is_some_and(|cut| seq <= cut);
                !kept && before.is_none_or(|before| token.issued_at < before)
            };
            if let Some(revocation) = rule.filter(reaches) {
                return TokenStanding::Revoked(subject.class(), revocation.reason);
            }
        }
        let over = |time: Option<UnixTime>| time.is_some_and(|time| time <= self.now);
        if over(token.ends) {
            TokenStanding::Ended
        } else if license == Some(State::Suspended) {
            TokenStanding::Suspended
        } else if over(token.expires) {
            TokenStanding::Grace
        } else {
            TokenStanding::Good
        }
    }

    /// What was recorded and what time did, in one order: at one moment, time comes first, for it
    /// had done its work when somebody did something.
    fn timeline(&self, rows: Vec<AuditRow>, moments: Vec<(LicenseId, Moment)>) -> Vec<Occurrence> {
        let by_time = moments.into_iter().map(|(license, moment)| {
            let moment = Box::new(moment);
            Occurrence::ByTime { license, moment }
        });
        let by_time = by_time.filter(|occurrence| self.within(occurrence.time()));
        let recorded = rows.into_iter().map(Box::new).map(Occurrence::Recorded);
        let mut timeline: Vec<_> = by_time.chain(recorded).collect();
        // A stable sort: what was recorded in one second stays in its order, and what it left
        // nothing to do comes after it.
        timeline.sort_by_key(|occurrence| (occurrence.time(), occurrence.is_voided()));
        timeline
    }
}

/// The proof of an entry, if a checkpoint covers it.
fn prove(prover: Option<&Prover<'_>>, entry: &Entry) -> Result<Option<Proof>, Error> {
    let Some(prover) = prover else {
        return Ok(None);
    };
    match prover.prove(entry, &entry.encode()) {
        Ok(proof) => Ok(Some(proof)),
        Err(Error::NotCovered { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a license granted the same, in the same state.
fn same(one: &LicenseAt, other: &LicenseAt) -> bool {
    let granted = |at: &LicenseAt| at.entitled().then(|| at.terms.clone());
    one.state == other.state && granted(one) == granted(other)
}
