//! The licenses of a node: what it believes, the tokens that it was given, and a gate for each
//! license.
//!
//! Whatever changes what is believed, or the time alone, has every token verified again; a gate is
//! then given its license anew or refused it, at once and without resetting any counter. The newest
//! revision of a license speaks for it. What is believed survives a restart.
//!
//! What signed bytes are is left to `intake.rs`; where they come from, to those who bring them.

mod held;
mod kept;
mod policies;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use phi_enforce::{Clock, Gate, Policy};
use phi_verify::{
    Bundle, Catalog, Error, FlagCode, Imported, License, LicenseId, LimitCode, PartName,
    PartOutcome, QuotaCode, Reason, RevocationPolicy, TrustState, UnixTime, UntrustedDocument,
    Verifier, dangerous_inspect,
};
use tracing::{info, warn};

pub use self::{
    held::{AGAIN, MAX_TOKENS},
    policies::{MAX_LOAN_DAYS, MAX_POLICY_FILE, Policies, PolicyError},
};
use self::{
    held::{Held, Judge, Spoken, Unheld, spoken},
    kept::Kept,
    policies::{MayFit, Misfit},
};
use crate::{
    intake::{Named, Object, Outcome, Part, Report},
    watch::imported,
};

/// The clock is noted down this often, in seconds, so that one that is set back is noticed.
const OBSERVED: u64 = 60 * 60;

/// What a node's licenses go by.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The root document that is believed without proof.
    pub anchor: Vec<u8>,
    /// The folder of the state.
    pub state: PathBuf,
    /// The products whose licenses are taken; without any, those that there are catalogs of.
    pub products: Vec<String>,
    /// What a missing or an old status list means.
    pub revocation: RevocationPolicy,
    /// What is added to the terms of licenses.
    pub policies: Policies,
}

/// Makes a gate: a node's, as long as it runs, or that of a simulation.
pub type MakeGate = Box<dyn Fn(&License, Policy) -> Option<Gate> + Send + Sync>;

/// The licenses of a node.
pub struct Licenses {
    terms: Terms,
    kept: Kept,
    clock: Arc<dyn Clock>,
    gate: MakeGate,
    /// Changed by one at a time.
    books: Mutex<Books>,
    /// Read by all, without waiting.
    shelf: ArcSwap<Shelf>,
}

impl fmt::Debug for Licenses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Licenses").finish_non_exhaustive()
    }
}

struct Books {
    trust: TrustState,
    tokens: Vec<Held>,
    observed: UnixTime,
    /// The policies that were told not to be in force; nothing is told before the start is over.
    told: Option<Vec<Misfit>>,
}

/// What there is at a moment: replaced as a whole, and never changed.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Every license, by its id.
    pub licenses: BTreeMap<LicenseId, Arc<Entry>>,
    /// What is believed.
    pub trust: Trust,
    /// Policies that are not in force, because it is not known what they are about.
    misfits: Vec<Misfit>,
}

/// What a node believes, in few words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The version of the root in force.
    pub root: u64,
    /// The version of the keyset.
    pub keyset: Option<u64>,
    /// The epoch of the newest status list.
    pub status: Option<u64>,
    /// How old that list is: `fresh`, `stale`, `expired` or `missing`.
    pub freshness: String,
}

/// A license of the node.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: LicenseId,
    /// The product.
    pub product: String,
    /// The revision that speaks for it.
    pub revision: u64,
    /// Whether it is in force.
    pub standing: Standing,
    /// Names of its flags, quotas and limits, if their catalog is here.
    pub catalog: Option<Arc<Catalog>>,
    gate: Option<Gate>,
    policy: Policy,
}

/// Whether a license is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was verified.
    InForce(Box<License>),
    /// It was refused, and why.
    Refused(Box<Error>),
}

impl Shelf {
    /// How many policies are not in force, because it is not known what they are about.
    pub const fn misfits(&self) -> usize {
        self.misfits.len()
    }
}

impl Entry {
    /// The gate, which answers for the license.
    ///
    /// # Errors
    /// The code of the verification error, if the license was never in force here, or of a node
    /// that is stopping.
    pub fn gate(&self) -> Result<&Gate, &'static str> {
        match (&self.gate, &self.standing) {
            (Some(gate), _) => Ok(gate),
            (None, Standing::Refused(error)) => Err(word(error)),
            (None, Standing::InForce(_)) => Err("node-stopping"),
        }
    }

    /// The flag of this name, or of this number.
    pub fn flag(&self, name: &str) -> Option<FlagCode> {
        let named = |catalog: &Arc<Catalog>| catalog.flag(name);
        code(name, FlagCode::checked).or_else(|| self.catalog.as_ref().and_then(named))
    }

    /// The quota of this name, or of this number.
    pub fn quota(&self, name: &str) -> Option<QuotaCode> {
        let named = |catalog: &Arc<Catalog>| catalog.quota(name);
        code(name, QuotaCode::checked).or_else(|| self.catalog.as_ref().and_then(named))
    }

    /// The concurrency limit of this name, or of this number.
    pub fn limit(&self, name: &str) -> Option<LimitCode> {
        let named = |catalog: &Arc<Catalog>| catalog.limit(name);
        code(name, LimitCode::checked).or_else(|| self.catalog.as_ref().and_then(named))
    }
}

/// A code in digits, as it is written in print.
fn code<C>(text: &str, checked: fn(u64) -> Option<C>) -> Option<C> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then(|| checked(number))?
}

impl Licenses {
    /// What the last run left, or the anchor alone; and what was found wrong on the way, to be
    /// logged.
    ///
    /// # Errors
    /// Why the anchor is refused.
    pub fn open(
        terms: Terms,
        clock: Arc<dyn Clock>,
        gate: MakeGate,
    ) -> Result<(Self, Vec<String>), Error> {
        let kept = Kept::new(terms.anchor.clone(), terms.state.clone());
        let (trust, mut findings) = kept.trust()?;
        let licenses = Self {
            terms,
            kept,
            clock,
            gate,
            books: Mutex::new(Books {
                trust,
                tokens: Vec::new(),
                observed: UnixTime::EPOCH,
                told: None,
            }),
            shelf: ArcSwap::default(),
        };
        match licenses.kept.tokens() {
            Ok(Some(tokens)) => match licenses.import(&tokens) {
                Ok(report) => findings.extend(report.unkept),
                Err(error) => findings.push(format!("the tokens of the last run: {error}")),
            },
            Ok(None) => {}
            Err(problem) => findings.push(problem),
        }
        findings.extend(licenses.look_again());
        Ok((licenses, findings))
    }

    /// What there is now.
    pub fn shelf(&self) -> Arc<Shelf> {
        self.shelf.load_full()
    }

    /// Takes signed bytes, whichever way they came: a document, a bundle or a token, in any form.
    /// What holds is in force when this returns.
    ///
    /// It verifies and writes: an asynchronous program calls it where that may block.
    ///
    /// # Errors
    /// Why the bytes are no object of Phi. What becomes of its parts is in the report.
    pub fn import(&self, bytes: &[u8]) -> Result<Report, Error> {
        let object = Object::read(bytes)?;
        let mut books = self.books();
        let books = &mut *books;
        let mut parts = Vec::new();
        let mut tokens = Vec::new();
        let bundle_bytes;
        match object {
            Object::Document(document) => parts.push(import_document(&mut books.trust, &document)),
            Object::Bundle(bytes) => {
                bundle_bytes = bytes;
                let bundle = Bundle::parse(&bundle_bytes)?;
                parts = import_bundle(&mut books.trust, &bundle);
                for token in bundle.tokens() {
                    tokens.push((token.token().to_owned(), token.proof().map(str::to_owned)));
                }
            }
            Object::Token(token) => tokens.push((token, None)),
        }
        let before = books.tokens.len();
        for (token, proof) in tokens {
            let part = self.take(books, &token, proof.as_deref());
            parts.push(part);
        }
        let added = books.tokens.len() > before;
        let news = added || parts.iter().any(|part| part.outcome == Outcome::Updated);
        remember(books, before);
        self.judge(books);
        for part in &parts {
            imported(&part.outcome);
        }
        let mut unkept = Vec::new();
        if news {
            unkept = self.kept.keep_trust(&mut books.trust);
            unkept.extend(self.kept.keep_tokens(&books.tokens));
        }
        Ok(Report { parts, unkept })
    }

    /// Verifies every token again, because time has passed. What could not be written down is
    /// returned, to be logged.
    pub fn look_again(&self) -> Vec<String> {
        let mut books = self.books();
        let now = self.now();
        let mut unkept = Vec::new();
        if now.seconds().abs_diff(books.observed.seconds()) >= OBSERVED {
            books.trust.observe(now);
            books.observed = now;
            unkept = self.kept.keep_trust(&mut books.trust);
        }
        self.judge(&mut books);
        unkept
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        // Whoever panicked changed nothing halfway: documents are taken whole or not at all.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixTime {
        self.clock.wall().second()
    }

    fn judge_of<'a>(&'a self, trust: &'a TrustState) -> Judge<'a> {
        let catalogs = trust.catalogs().map(|catalog| catalog.product.as_str());
        let named = self.terms.products.iter().map(String::as_str);
        let products: Vec<&str> = if self.terms.products.is_empty() {
            catalogs.collect()
        } else {
            named.collect()
        };
        let revocation = self.terms.revocation;
        let verifiers = products.into_iter();
        let verifiers = verifiers.map(|product| Verifier::new(trust, product, revocation));
        Judge {
            verifiers: verifiers.collect(),
            now: self.now(),
        }
    }

    fn take(&self, books: &mut Books, token: &str, proof: Option<&str>) -> Part {
        let judge = self.judge_of(&books.trust);
        if let Some(known) = books.tokens.iter_mut().find(|held| held.text == token) {
            let proved = known.proof.is_none() && proof.is_some();
            if proved {
                known.proof = proof.map(str::to_owned);
            }
            known.judge(&judge);
            let outcome = match &known.verdict {
                Ok(_) if proved => Outcome::Updated,
                Ok(_) => Outcome::Unchanged,
                Err(error) => Outcome::Waiting(error.clone()),
            };
            let name = Named::Token(Some((known.license, known.revision)));
            return Part { name, outcome };
        }
        let held = match Held::take(token, proof, &judge) {
            Ok(held) => held,
            Err(Unheld(error)) => {
                let (name, outcome) = (Named::Token(None), Outcome::Refused(error));
                return Part { name, outcome };
            }
        };
        let name = Named::Token(Some((held.license, held.revision)));
        let newer = |other: &Held| {
            other.license == held.license && other.revision > held.revision && other.verdict.is_ok()
        };
        let outcome = match &held.verdict {
            _ if books.tokens.iter().any(newer) => Outcome::Passed,
            _ if books.tokens.len() >= MAX_TOKENS => Outcome::NoRoom,
            Ok(_) => Outcome::Updated,
            Err(error) => Outcome::Waiting(error.clone()),
        };
        if !matches!(outcome, Outcome::NoRoom | Outcome::Passed) {
            books.tokens.push(held);
        }
        Part { name, outcome }
    }

    /// Verifies every token, and has every gate go by what came of it.
    fn judge(&self, books: &mut Books) {
        let judge = self.judge_of(&books.trust);
        for held in &mut books.tokens {
            held.judge(&judge);
        }
        let shelf = self.shelve(books);
        drop_superseded(&mut books.tokens, &shelf);
        if let Some(told) = &mut books.told
            && *told != shelf.misfits
        {
            told.clone_from(&shelf.misfits);
            tell(told);
        }
        compare(&self.shelf.load(), &shelf);
        self.shelf.store(Arc::new(shelf));
    }

    /// Looks at the policies, when everything is here that is there at the start: from here on it is
    /// told which are not in force.
    ///
    /// # Errors
    /// The first that no catalog to come can put in force.
    pub fn check_policies(&self) -> Result<(), PolicyError> {
        let mut books = self.books();
        let misfits = self.shelf().misfits.clone();
        if let Some(never) = misfits.iter().find(|misfit| misfit.may == MayFit::Never) {
            return Err(never.error.clone());
        }
        if !misfits.is_empty() {
            tell(&misfits);
        }
        books.told = Some(misfits);
        Ok(())
    }

    fn shelve(&self, books: &Books) -> Shelf {
        let before = self.shelf.load();
        let mut catalogs = BTreeMap::new();
        for catalog in books.trust.catalogs() {
            catalogs.insert(catalog.product.clone(), Arc::new(catalog.clone()));
        }
        let licenses = spoken(&books.tokens).into_iter().map(|(id, spoken)| {
            let known = before.licenses.get(&id);
            let entry = self.entry(id, spoken, known, &catalogs);
            (id, Arc::new(entry))
        });
        Shelf {
            licenses: licenses.collect(),
            trust: Trust::of(&books.trust, self.now()),
            misfits: self.terms.policies.misfits(&self.terms.products, &catalogs),
        }
    }

    fn entry(
        &self,
        id: LicenseId,
        spoken: Spoken<'_>,
        known: Option<&Arc<Entry>>,
        catalogs: &BTreeMap<String, Arc<Catalog>>,
    ) -> Entry {
        let (product, revision) = match spoken {
            Spoken::InForce(license) => {
                let claims = license.claims();
                (claims.product.clone(), claims.license_revision)
            }
            Spoken::Refused(held, _) => (held.product.clone(), held.revision),
        };
        let catalog = catalogs.get(&product).map(Arc::clone);
        let policy = self.terms.policies.of(&product, catalog.as_deref());
        // A gate keeps its policy; another one of the same license has the same counters.
        let gate = known.filter(|known| known.policy == policy);
        let gate = gate.and_then(|known| known.gate.clone());
        let (gate, standing) = match spoken {
            Spoken::InForce(license) => {
                let standing = Standing::InForce(Box::new(license.clone()));
                let gate = gate.filter(|gate| {
                    // It goes on without a word if nothing has changed.
                    let same = known.is_some_and(|known| known.standing == standing);
                    same || gate.replace(license).is_ok()
                });
                let gate = gate.or_else(|| (self.gate)(license, policy.clone()));
                (gate, standing)
            }
            Spoken::Refused(_, error) => {
                let gate = known.and_then(|known| known.gate.clone());
                if let Some(gate) = &gate {
                    gate.refuse(word(error));
                }
                (gate, Standing::Refused(Box::new(error.clone())))
            }
        };
        Entry {
            id,
            product,
            revision,
            standing,
            catalog,
            gate,
            policy,
        }
    }
}

/// Why a license is not in force, in a word: what is out of force for a while is not told as if it
/// were lost.
const fn word(error: &Error) -> &'static str {
    match error {
        Error::Revoked {
            reason: Reason::Suspended,
            ..
        } => "suspended",
        error => error.code(),
    }
}

/// Puts into the log what is in force now and was not, and the other way round.
fn compare(before: &Shelf, now: &Shelf) {
    for (id, entry) in &now.licenses {
        let known = before.licenses.get(id);
        let was = known.filter(|known| matches!(known.standing, Standing::InForce(_)));
        let revision = entry.revision;
        match (&entry.standing, was) {
            (Standing::InForce(_), Some(was)) if was.revision == revision => {}
            (Standing::InForce(_), _) => {
                info!(
                    "license {id} revision {revision} of {} is in force",
                    entry.product
                );
            }
            (Standing::Refused(error), Some(_)) => {
                warn!("license {id} is not in force any more: {error}");
            }
            (Standing::Refused(_), None) => {}
        }
    }
}

/// Puts into the log which policies are not in force.
fn tell(misfits: &[Misfit]) {
    for misfit in misfits {
        warn!("{}; what it says is not in force", misfit.error);
    }
    if misfits.is_empty() {
        info!("every policy is in force");
    }
}

impl Trust {
    fn of(trust: &TrustState, now: UnixTime) -> Self {
        let now = trust.effective_time(now);
        let freshness = trust.status().map(|status| status.freshness(now));
        Self {
            root: trust.root().version,
            keyset: trust.keyset().map(|keyset| keyset.version),
            status: trust.status().map(|status| status.epoch),
            freshness: freshness
                .map_or_else(|| "missing".into(), |freshness| freshness.to_string()),
        }
    }
}

/// Lets licenses that were just taken raise what is known to be past.
fn remember(books: &mut Books, before: usize) {
    for held in books.tokens.iter().skip(before) {
        if let Ok(license) = &held.verdict {
            // It was verified under this state, so it is of its issuer.
            let _ = books.trust.remember(license);
        }
    }
}

/// Lets go of revisions below one that is in force: they will never speak again.
fn drop_superseded(tokens: &mut Vec<Held>, shelf: &Shelf) {
    tokens.retain(|held| {
        let entry = shelf.licenses.get(&held.license);
        let in_force = entry.filter(|entry| matches!(entry.standing, Standing::InForce(_)));
        in_force.is_none_or(|entry| held.revision >= entry.revision)
    });
}

fn import_document(trust: &mut TrustState, bytes: &[u8]) -> Part {
    let outcome = match trust.import(bytes) {
        Ok(Imported::Updated(_)) => Outcome::Updated,
        Ok(Imported::Unchanged(_)) => Outcome::Unchanged,
        Err(error) => refused(error),
    };
    let name = named(bytes).map_or(Named::Unread, Named::Document);
    Part { name, outcome }
}

/// What a document says that it is, believed or not: for the report alone.
fn named(bytes: &[u8]) -> Option<PartName> {
    let kind = UntrustedDocument::parse(bytes).ok()?.kind();
    let (product, version) = match dangerous_inspect::document(bytes).ok()? {
        dangerous_inspect::Document::Root(root) => (None, root.version),
        dangerous_inspect::Document::Keyset(keyset) => (None, keyset.version),
        dangerous_inspect::Document::Status(status) => (None, status.epoch),
        dangerous_inspect::Document::Catalog(catalog) => (Some(catalog.product), catalog.revision),
        dangerous_inspect::Document::ClockReset(_) => (None, 0),
    };
    Some(PartName {
        kind,
        product,
        version,
    })
}

fn import_bundle(trust: &mut TrustState, bundle: &Bundle<'_>) -> Vec<Part> {
    let reports = trust.import_bundle(bundle).into_iter();
    let parts = reports.map(|report| Part {
        name: Named::Document(report.part),
        outcome: match report.outcome {
            PartOutcome::Updated => Outcome::Updated,
            PartOutcome::Unchanged => Outcome::Unchanged,
            PartOutcome::Passed => Outcome::Passed,
            PartOutcome::Refused(error) => refused(error),
        },
    });
    parts.collect()
}

/// A file that is read again is older than what was imported since: nothing is wrong with it.
fn refused(error: Error) -> Outcome {
    match error {
        Error::Rollback { .. } => Outcome::Passed,
        error => Outcome::Refused(Box::new(error)),
    }
}
