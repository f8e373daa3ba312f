//! `phi verify`: is this license good, here and now?

mod bundled;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use bundled::BundleVerifyAnswer;
use bundled::{Candidate, Choice};
use clap::{Args, ValueEnum};
use phi_issuer::machine::Component;
use phi_verify::{
    Bundle, BundledToken, ClockVerdict, Fingerprint, Freshness, License, LicenseId, PartReport,
    RevocationPolicy, TokenId, UnixTime, Validity, Verifier,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::bundle;
use crate::failure::Failure;
use crate::fingerprint::{of_machine, read_request};
use crate::input::Object;
use crate::output::{Answer, Page, Tone, say};
use crate::proof::{LoggedView, logged, read_proof};
use crate::session::Session;
use crate::trust::{Trust, TrustFolder};
use crate::view::{FlagView, LicenseView, Names, Stamp, flags, near, show_flags};

/// Verify a license, offline
#[derive(Debug, Args)]
#[command(
    long_about = "Verify a license, offline.\n\n\
        The trust folder holds the issuer's published documents: root-1.phi and its successors, \
        keyset.phi, and as far as there are any status.phi, a delta to it as \
        status-BASE-to-EPOCH.phi, and catalog-PRODUCT.phi. With --status a status document or a \
        delta comes from elsewhere, and with --store all is what an application keeps. With \
        --bundle \
        the documents are the bundle's, and so is the license unless one is named; what is \
        believed is still the anchor, which never comes from a bundle. Of several licenses in a \
        bundle one is chosen with --license, --token or --product, or each is verified with \
        --all. A bundle without a license is verified for its documents.",
    after_help = "Examples:\n  \
        phi verify license.txt\n  \
        phi verify license.txt --trust /etc/atlas/phi --this-machine\n  \
        phi verify license.txt --trust /etc/atlas/phi --status status-12-to-14.phi\n  \
        phi verify license.txt --proof license.tlog-proof\n  \
        phi verify --bundle globex.phi --anchor root-1.phi\n  \
        phi verify --bundle globex.phi --anchor root-1.phi --all\n  \
        phi verify - --product atlas --policy strict < license.txt"
)]
pub(crate) struct Verify {
    /// The license: a token, a file with one, or - for standard input
    #[arg(required_unless_present = "bundle")]
    license: Option<OsString>,
    /// A bundle with the documents, and the license if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Of a bundle: the license of this id
    #[arg(
        long = "license",
        value_name = "ID",
        requires = "bundle",
        conflicts_with = "license"
    )]
    license_id: Option<LicenseId>,
    /// Of a bundle: the license that is this token, by its id
    #[arg(
        long = "token",
        value_name = "ID",
        requires = "bundle",
        conflicts_with = "license"
    )]
    token_id: Option<TokenId>,
    /// Of a bundle: each license, or each of those chosen
    #[arg(long, requires = "bundle", conflicts_with_all = ["license", "proof"])]
    all: bool,
    /// The folder with the issuer's published documents [default: DIR/published]
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// The folder in which an application keeps its trust state, instead of a trust folder; twice,
    /// if it keeps the copies apart
    #[arg(
        long,
        value_name = "DIR",
        requires = "anchor",
        conflicts_with_all = ["bundle", "trust"]
    )]
    store: Vec<PathBuf>,
    /// A status document or a delta to import as well: a file, the text of a QR code, or -; more
    /// than one can be named
    #[arg(long, value_name = "DOCUMENT")]
    status: Vec<OsString>,
    /// The root document to believe [default: the first in the trust folder]
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// The product to be used [default: the one with a catalog in the trust folder]
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// What to ask of revocation
    #[arg(long, value_enum, default_value_t = Policy::Balanced)]
    policy: Policy,
    /// The machine, by its fingerprint request: text, a file or -
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["this_machine", "components"])]
    fingerprint: Option<OsString>,
    /// The machine is this one
    #[arg(long)]
    this_machine: bool,
    /// A component of the machine, such as a dongle's number
    #[arg(long = "component", value_name = "KIND=VALUE")]
    components: Vec<Component>,
    /// A proof that the license is in the issuer's ledger, which must hold
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

/// What to ask of revocation.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// A fresh status document that knows the license
    Strict,
    /// A status document, which may be late up to its hard expiry
    Balanced,
    /// Nothing: only what a status document at hand revokes is refused
    Lenient,
}

impl Verify {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let bytes = self.bundle.as_deref().map(bundle::read).transpose()?;
        let bundle = bytes.as_deref().map(Bundle::parse).transpose()?;
        match &bundle {
            Some(bundle) if self.all => self.verify_all(bundle, session),
            Some(bundle) if self.license.is_none() && self.is_of_documents(bundle) => {
                let (trust, parts) = self.believe_bundle(bundle, session)?;
                BundleVerifyAnswer::new(bundle, &trust, parts).give(session.output())
            }
            bundle => self.verify_one(bundle.as_ref(), session),
        }
    }

    /// Whether nothing but documents can be meant.
    fn is_of_documents(&self, bundle: &Bundle<'_>) -> bool {
        bundle.tokens().is_empty() && self.license_id.is_none() && self.token_id.is_none()
    }

    fn verify_one(&self, bundle: Option<&Bundle<'_>>, session: &Session) -> Result<(), Failure> {
        let Wanted {
            token,
            proof: carried,
            product: stated,
        } = self.token(bundle)?;
        let named = self.proof.as_deref().map(read_proof).transpose()?;
        let trust = self.believe(session, bundle)?;
        let product = match (trust.product(self.product.as_deref()), &stated) {
            (Ok(product), _) => product,
            // It was chosen from a bundle that does not decide: what it says itself counts.
            (Err(_), Some(stated)) => stated,
            (Err(failure), None) => return Err(failure),
        };
        let machine = self.machine(product)?;
        let license = self.judge(
            &trust,
            product,
            machine.as_ref(),
            (&token, named.as_deref().or(carried.as_deref())),
            session.now(),
        )?;
        // The time by which it was judged: the clock's, or the newest signature's.
        let now = trust.state.effective_time(session.now());
        // Nothing is remembered of the clock here: a signature is all there is to hold against it.
        if let ClockVerdict::BehindSignature { .. } = license.clock() {
            let (clock, verdict) = (Stamp::from(session.now()), license.clock());
            say(&format!("phi: the clock reads {clock}: {verdict}"));
        }
        let mut answer = VerifyAnswer::new(&license, &trust, machine.as_ref(), now);
        if let Some(proof) = &named {
            answer.logged = Some(logged(proof, &token, trust.state.root())?);
        }
        session.output().print(&answer)
    }

    /// Each license of the bundle that is meant, for the product that it is of.
    fn verify_all(&self, bundle: &Bundle<'_>, session: &Session) -> Result<(), Failure> {
        let meant = self.choice().of(bundle)?;
        let (trust, parts) = self.believe_bundle(bundle, session)?;
        let mut answer = BundleVerifyAnswer::new(bundle, &trust, parts);
        let request = self.fingerprint.as_ref().map(read_request).transpose()?;
        let now = trust.state.effective_time(session.now());
        for one in meant {
            let product = one.claims.product.as_str();
            let machine = match &request {
                Some(request) => Some(request.clone()),
                None => self.machine(product)?,
            };
            let token = (one.entry.token(), one.entry.proof());
            let verdict = self.judge(&trust, product, machine.as_ref(), token, session.now());
            answer.judged(&one.claims, verdict, now);
        }
        answer.give(session.output())
    }

    /// The token that is named, or the bundle's.
    fn token(&self, bundle: Option<&Bundle<'_>>) -> Result<Wanted, Failure> {
        let bundled = bundle.map(Bundle::tokens).unwrap_or_default();
        let proof = |entry: &BundledToken<'_>| entry.proof().map(String::from);
        let Some(license) = &self.license else {
            let bundle = bundle.expect("the parser asks for a license or a bundle");
            let Candidate { entry, claims } = self.choice().one(bundle)?;
            return Ok(Wanted {
                token: entry.token().into(),
                proof: proof(&entry),
                product: Some(claims.product),
            });
        };
        let token = match Object::read(license)? {
            Object::Token(token) => token,
            other => return Err(not_a_license(&other)),
        };
        let entry = bundled.iter().find(|entry| entry.token() == token);
        Ok(Wanted {
            proof: entry.and_then(proof),
            token,
            product: None,
        })
    }

    fn choice(&self) -> Choice<'_> {
        Choice {
            license: self.license_id,
            token: self.token_id,
            product: self.product.as_deref(),
        }
    }

    /// What follows from the anchor: the trust folder, or the bundle.
    fn believe(&self, session: &Session, bundle: Option<&Bundle<'_>>) -> Result<Trust, Failure> {
        let Some(bundle) = bundle else {
            let anchor = self.anchor.as_deref();
            let mut trust = match anchor.filter(|_| !self.store.is_empty()) {
                Some(anchor) => self.believe_store(anchor)?,
                None => TrustFolder::open(&self.folder(session))?.load(anchor)?,
            };
            trust.import_status(&self.status)?;
            return Ok(trust);
        };
        let (trust, parts) = self.believe_bundle(bundle, session)?;
        bundled::warn(&parts);
        Ok(trust)
    }

    /// What a bundle makes of the anchor, and what became of its documents.
    fn believe_bundle(
        &self,
        bundle: &Bundle<'_>,
        session: &Session,
    ) -> Result<(Trust, Vec<PartReport>), Failure> {
        if self.trust.is_some() {
            let why = match self.anchor {
                Some(_) => "the documents are the bundle's, and the anchor is named",
                None => "the documents are the bundle's; of the folder the first root counts",
            };
            say(&format!("phi: warning: --trust beside --bundle: {why}"));
        }
        let (mut trust, parts) = match &self.anchor {
            Some(anchor) => Trust::of_bundle(anchor, bundle),
            None => Trust::of_bundle(
                TrustFolder::open(&self.folder(session))?.first_root()?,
                bundle,
            ),
        }?;
        trust.import_status(&self.status)?;
        Ok((trust, parts))
    }

    /// What an application keeps.
    fn believe_store(&self, anchor: &Path) -> Result<Trust, Failure> {
        let (trust, findings) = Trust::of_store(anchor, &self.store)?;
        for finding in findings {
            say(&format!("phi: warning: {finding}"));
        }
        Ok(trust)
    }

    fn folder(&self, session: &Session) -> PathBuf {
        self.trust.clone().unwrap_or_else(|| session.published())
    }

    fn judge(
        &self,
        trust: &Trust,
        product: &str,
        machine: Option<&Fingerprint>,
        (token, proof): (&str, Option<&str>),
        now: UnixTime,
    ) -> Result<License, Failure> {
        let policy = match self.policy {
            Policy::Strict => RevocationPolicy::Strict,
            Policy::Balanced => RevocationPolicy::Balanced,
            Policy::Lenient => RevocationPolicy::Lenient,
        };
        let verifier = Verifier::new(&trust.state, product, policy);
        let verifier = match machine {
            Some(machine) => verifier.on_machine(machine),
            None => verifier,
        };
        // Tokens of a key that was cut are good with their proof alone.
        Ok(match proof {
            Some(proof) => verifier.verify_with_proof(token, proof, now)?,
            None => verifier.verify(token, now)?,
        })
    }

    fn machine(&self, product: &str) -> Result<Option<Fingerprint>, Failure> {
        if let Some(request) = &self.fingerprint {
            return read_request(request).map(Some);
        }
        if !self.this_machine && self.components.is_empty() {
            return Ok(None);
        }
        Ok(Some(of_machine(
            product,
            self.this_machine,
            &self.components,
        )))
    }
}

/// A license that is to be verified.
struct Wanted {
    token: String,
    /// The proof that the bundle has for it.
    proof: Option<String>,
    /// The product that it says itself, if it is the bundle's.
    product: Option<String>,
}

fn not_a_license(object: &Object) -> Failure {
    let message = format!("this is {}, not a license token", object.name());
    Failure::new("wrong-kind", message)
        .hint("hand in the license; phi inspect explains any Phi object")
}

/// A good license.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi verify")]
pub(crate) struct VerifyAnswer {
    /// Always true: a license that is refused is an error.
    verified: bool,
    /// `valid`, or `grace` after the expiry.
    validity: String,
    /// The time by which the license was judged.
    judged_at: Stamp,
    /// What the license says; flags that the status document switched off are not in it.
    license: LicenseView,
    /// Flags that were granted and are switched off by the status document.
    disabled_flags: Vec<FlagView>,
    /// How the machine matches; null for a license that is not bound.
    machine: Option<MachineView>,
    /// The status document by which the license was judged; null if there is none.
    status: Option<StatusAnswer>,
    /// Where it stands in the ledger; null if no proof was handed in.
    logged: Option<LoggedView>,
    #[serde(skip)]
    validity_line: String,
}

/// How a machine matches a license.
#[derive(Debug, Serialize, JsonSchema)]
struct MachineView {
    /// Components that match.
    matched: usize,
    /// Components that must.
    required: usize,
    /// Components that the license names.
    of: usize,
}

/// The status document at hand.
#[derive(Debug, Serialize, JsonSchema)]
struct StatusAnswer {
    /// `fresh`, `stale` or `expired`.
    freshness: String,
    /// Its epoch.
    epoch: u64,
    /// When it was made.
    this_update: Stamp,
    /// When the next is due.
    next_update: Stamp,
}

impl VerifyAnswer {
    fn new(license: &License, trust: &Trust, machine: Option<&Fingerprint>, now: UnixTime) -> Self {
        let claims = license.claims();
        let names = trust.catalog(&claims.product).map(Names::of_catalog);
        let names = names.unwrap_or_default();
        let mut view = LicenseView::new(claims, license.key_id(), &names);
        view.terms.flags = flags(license.flags(), &names);
        let matched = |binding: &phi_verify::Binding| MachineView {
            matched: machine.map_or(0, |machine| binding.matched(machine)),
            required: binding.required(),
            of: binding.components().len(),
        };
        let status = trust.state.status().map(|status| StatusAnswer {
            freshness: license.revocation().freshness.to_string(),
            epoch: status.epoch,
            this_update: status.this_update.into(),
            next_update: status.next_update.into(),
        });
        Self {
            verified: true,
            validity: match license.validity() {
                Validity::Valid => "valid".into(),
                Validity::Grace { .. } => "grace".into(),
            },
            judged_at: now.into(),
            disabled_flags: flags(license.revocation().disabled.iter(), &names),
            license: view,
            machine: claims.binding.as_ref().map(matched),
            status: status.filter(|_| license.revocation().freshness != Freshness::Missing),
            logged: None,
            validity_line: validity_line(license, now),
        }
    }
}

fn validity_line(license: &License, now: UnixTime) -> String {
    match (license.validity(), license.expires()) {
        (Validity::Grace { expired, ends }, _) => format!(
            "in grace: expired {}, works until {}",
            near(now, expired),
            near(now, ends)
        ),
        (Validity::Valid, Some(expires)) => format!("until {}", near(now, expires)),
        (Validity::Valid, None) => "for ever".into(),
    }
}

impl Answer for VerifyAnswer {
    fn show(&self, page: &mut Page) {
        let license = &self.license;
        let about = format!("{} of {}", license.product, license.customer);
        match self.validity.as_str() {
            "grace" => page.headline(Tone::Warn, "VERIFIED, IN GRACE", &about),
            _ => page.headline(Tone::Good, "VERIFIED", &about),
        }
        page.gap();
        license.show_subject(page);
        page.field("valid", &self.validity_line);
        license.show_times(page);
        license.terms.show(page);
        if !self.disabled_flags.is_empty() {
            show_flags("switched off", &self.disabled_flags, page);
        }
        page.field(
            "machine",
            match &self.machine {
                Some(machine) => format!(
                    "{} of {} components match, {} must",
                    machine.matched, machine.of, machine.required
                ),
                None => "any".into(),
            },
        );
        page.field(
            "status",
            match &self.status {
                Some(status) => format!(
                    "{}, epoch {} of {}, next due {}",
                    status.freshness, status.epoch, status.this_update, status.next_update
                ),
                None => "no document: revocation was not checked".into(),
            },
        );
        if let Some(logged) = &self.logged {
            page.field("logged", logged.line());
        }
        license.show_origin(page);
    }
}
