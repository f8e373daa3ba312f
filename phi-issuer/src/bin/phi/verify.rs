//! `phi verify`: is this license good, here and now?

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use phi_issuer::machine::Component;
use phi_verify::{
    Bundle, BundledToken, ClockVerdict, Fingerprint, Freshness, License, RevocationPolicy,
    UnixTime, Validity, Verifier,
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
use crate::view::{FlagView, LicenseView, Names, Stamp, counted, flags, near, show_flags};

/// Verify a license, offline
#[derive(Debug, Args)]
#[command(
    long_about = "Verify a license, offline.\n\n\
        The trust folder holds the issuer's published documents: root-1.phi and its successors, \
        keyset.phi, and as far as there are any status.phi and catalog-PRODUCT.phi. With --bundle \
        the documents are the bundle's, and so is the license unless one is named; what is \
        believed is still the anchor, which never comes from a bundle.",
    after_help = "Examples:\n  \
        phi verify license.txt\n  \
        phi verify license.txt --trust /etc/atlas/phi --this-machine\n  \
        phi verify license.txt --proof license.tlog-proof\n  \
        phi verify --bundle globex.phi --anchor root-1.phi\n  \
        phi verify - --product atlas --policy strict < license.txt"
)]
pub(crate) struct Verify {
    /// The license: a token, a file with one, or - for standard input
    #[arg(required_unless_present = "bundle")]
    license: Option<OsString>,
    /// A bundle with the documents, and the license if none is named
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The folder with the issuer's published documents [default: DIR/published]
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
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
        let (token, carried) = self.token(bundle.as_ref())?;
        let named = self.proof.as_deref().map(read_proof).transpose()?;
        let trust = self.believe(session, bundle.as_ref())?;
        let product = trust.product(self.product.as_deref())?;
        let machine = self.machine(product)?;
        let license = self.judge(
            &trust,
            product,
            machine.as_ref(),
            (&token, named.as_ref().or(carried.as_ref())),
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

    /// The token that is named, or the bundle's, with the proof that the bundle has for it.
    fn token(&self, bundle: Option<&Bundle<'_>>) -> Result<(String, Option<String>), Failure> {
        let bundled = bundle.map(Bundle::tokens).unwrap_or_default();
        let Some(license) = &self.license else {
            let [only] = bundled else {
                let found = counted(bundled.len(), "token");
                let message = format!("the bundle has {found}, and no license was named");
                return Err(Failure::new("bundle-choice", message));
            };
            return Ok((only.token().into(), only.proof().map(String::from)));
        };
        let token = match Object::read(license)? {
            Object::Token(token) => token,
            other => return Err(not_a_license(&other)),
        };
        let entry = bundled.iter().find(|entry| entry.token() == token);
        let proof = entry.and_then(BundledToken::proof).map(String::from);
        Ok((token, proof))
    }

    /// What follows from the anchor: the trust folder, or the bundle.
    fn believe(&self, session: &Session, bundle: Option<&Bundle<'_>>) -> Result<Trust, Failure> {
        let folder = self.trust.clone().unwrap_or_else(|| session.published());
        match (bundle, &self.anchor) {
            (Some(bundle), Some(anchor)) => Trust::of_bundle(anchor, bundle),
            (Some(bundle), None) => {
                let folder = TrustFolder::open(&folder)?;
                Trust::of_bundle(folder.first_root()?, bundle)
            }
            (None, anchor) => TrustFolder::open(&folder)?.load(anchor.as_deref()),
        }
    }

    fn judge(
        &self,
        trust: &Trust,
        product: &str,
        machine: Option<&Fingerprint>,
        (token, proof): (&str, Option<&String>),
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
