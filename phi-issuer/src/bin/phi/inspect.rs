//! `phi inspect`: what any Phi object says, believed by nobody.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use phi_issuer::keyfile::KdfParameters;
use phi_issuer::{Proposal, RootSignature, Tally};
use phi_verify::dangerous_inspect::{self, Document};
use phi_verify::{Fingerprint, PublicKey, UntrustedDocument};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::fingerprint::{ComponentView, components};
use crate::input::Object;
use crate::output::{Answer, Page, Tone};
use crate::root::{Followed, ShowAnswer};
use crate::session::Session;
use crate::trust::TrustFolder;
use crate::view::{
    BindingView, CatalogView, ClockResetView, KeysetView, LicenseView, Names, RootView, StatusView,
    hex,
};

/// Explain any Phi object, without verifying it
#[derive(Debug, Args)]
#[command(
    long_about = "Explain any Phi object, without verifying it: a license token, a root, keyset, \
        status or catalog document, a fingerprint request, a sealed key or a public key.\n\n\
        No signature, time or revocation is checked: anyone can have written what is shown.",
    after_help = "Examples:\n  \
        phi inspect license.txt\n  \
        phi inspect published/keyset.phi\n  \
        phi inspect - < request.txt"
)]
pub(crate) struct Inspect {
    /// The object: text, a file, or - for standard input
    object: OsString,
    /// The folder whose catalogs give codes their names [default: DIR/published]
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
}

impl Inspect {
    pub(crate) fn run(self, session: &Session) -> Result<(), Failure> {
        let object = match Object::read(&self.object)? {
            Object::Token(token) => self.token(&token, session)?,
            Object::Document(bytes) => document(&bytes)?,
            Object::Fingerprint(request) => {
                let machine = Fingerprint::from_request(&request)?;
                Inspected::Fingerprint(FingerprintView {
                    product: machine.product().to_owned(),
                    components: components(&machine),
                })
            }
            Object::SealedKey(text) => Inspected::SealedKey(sealed_key(&text)?),
            Object::Ceremony(text) => ceremony(&text)?,
            Object::PublicKey(text) => {
                let key = PublicKey::from_paserk(&text)?;
                Inspected::PublicKey(PublicKeyView {
                    key: key.id().to_string(),
                    public: key.to_paserk(),
                })
            }
        };
        let verified = false;
        session.output().print(&InspectAnswer { verified, object })
    }

    fn token(&self, token: &str, session: &Session) -> Result<Inspected, Failure> {
        let (key, claims) = dangerous_inspect::token(token)?;
        let folder = self.trust.clone().unwrap_or_else(|| session.published());
        // Names are a courtesy: without a good catalog there are codes.
        let trust = TrustFolder::open(&folder).and_then(|folder| folder.load(None));
        let catalog = trust.ok().and_then(|trust| {
            trust
                .catalog(&claims.product)
                .filter(|catalog| catalog.issuer == claims.issuer)
                .map(Names::of_catalog)
        });
        let license = LicenseView::new(&claims, key, &catalog.unwrap_or_default());
        let characters = token.len();
        Ok(Inspected::License(Box::new(TokenView {
            characters,
            license,
        })))
    }
}

/// A proposal, or else a signature: of the two errors the first says what was to be expected.
fn ceremony(text: &str) -> Result<Inspected, Failure> {
    let signature = RootSignature::from_text(text);
    if let Ok(signature) = signature {
        return Ok(Inspected::RootSignature(RootSignatureView {
            issuer: signature.issuer().to_owned(),
            version: signature.version(),
            key: signature.key_id().to_string(),
        }));
    }
    let proposal = Proposal::from_text(text)?;
    let tally = Tally::of(&proposal, &[])?;
    let shown = ShowAnswer::new(&proposal, &tally, Followed::Said);
    Ok(Inspected::RootProposal(Box::new(shown)))
}

fn document(bytes: &[u8]) -> Result<Inspected, Failure> {
    let envelope = UntrustedDocument::parse(bytes)?;
    let frame = Frame {
        bytes: bytes.len(),
        payload_hash: hex(&envelope.payload_hash()),
        signers: envelope.signers().map(|id| id.to_string()).collect(),
    };
    Ok(match dangerous_inspect::document(bytes)? {
        Document::Root(root) => {
            let document = RootView::new(&root);
            Inspected::Root(DocumentView { frame, document })
        }
        Document::Keyset(keyset) => {
            let document = KeysetView::new(&keyset);
            Inspected::Keyset(DocumentView { frame, document })
        }
        Document::Status(status) => {
            let document = StatusView::new(&status);
            Inspected::Status(DocumentView { frame, document })
        }
        Document::Catalog(catalog) => {
            let document = CatalogView::new(&catalog);
            Inspected::Catalog(DocumentView { frame, document })
        }
        Document::ClockReset(reset) => {
            let document = ClockResetView::new(&reset);
            Inspected::ClockReset(DocumentView { frame, document })
        }
    })
}

fn sealed_key(text: &str) -> Result<SealedKeyView, Failure> {
    let parameters = KdfParameters::of_sealed(text)?;
    Ok(SealedKeyView {
        kdf: "argon2id".into(),
        memory_mib: parameters.memory_bytes >> 20,
        passes: parameters.passes,
        lanes: parameters.lanes,
    })
}

/// An object that nobody verified.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi inspect")]
pub(crate) struct InspectAnswer {
    /// Always false: anyone can have written this.
    verified: bool,
    #[serde(flatten)]
    object: Inspected,
}

/// The object by its kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", content = "object", rename_all = "kebab-case")]
enum Inspected {
    /// A license token.
    License(Box<TokenView>),
    /// A root document.
    Root(DocumentView<RootView>),
    /// A keyset document.
    Keyset(DocumentView<KeysetView>),
    /// A status document.
    Status(DocumentView<StatusView>),
    /// A catalog document.
    Catalog(DocumentView<CatalogView>),
    /// A clock-reset document.
    ClockReset(DocumentView<ClockResetView>),
    /// A fingerprint request.
    Fingerprint(FingerprintView),
    /// A signing key under a passphrase.
    SealedKey(SealedKeyView),
    /// A public key.
    PublicKey(PublicKeyView),
    /// A proposal of a root.
    RootProposal(Box<ShowAnswer>),
    /// A holder's signature of a proposal.
    RootSignature(RootSignatureView),
}

/// A token.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenView {
    /// Its length.
    characters: usize,
    /// What it says.
    #[serde(flatten)]
    license: LicenseView,
}

/// A document.
#[derive(Debug, Serialize, JsonSchema)]
struct DocumentView<T> {
    #[serde(flatten)]
    frame: Frame,
    /// What it says.
    #[serde(flatten)]
    document: T,
}

/// What every document has around its payload.
#[derive(Debug, Serialize, JsonSchema)]
struct Frame {
    /// Its length.
    bytes: usize,
    /// SHA-256 of its payload, in hexadecimal.
    payload_hash: String,
    /// The keys that it says signed it.
    signers: Vec<String>,
}

/// A fingerprint request.
#[derive(Debug, Serialize, JsonSchema)]
struct FingerprintView {
    /// The product for which it was made.
    product: String,
    /// The components in it.
    components: Vec<ComponentView>,
}

/// What a sealed key says without its passphrase.
#[derive(Debug, Serialize, JsonSchema)]
struct SealedKeyView {
    /// The function that stretches the passphrase.
    kdf: String,
    /// The memory that a guess takes, in MiB.
    memory_mib: u64,
    /// How often it is gone over.
    passes: u32,
    /// How many lanes run side by side.
    lanes: u32,
}

/// A public key.
#[derive(Debug, Serialize, JsonSchema)]
struct PublicKeyView {
    /// Its id.
    key: String,
    /// The key, as PASERK `k4.public`.
    public: String,
}

/// A signature of a proposal.
#[derive(Debug, Serialize, JsonSchema)]
struct RootSignatureView {
    /// The issuer's name.
    issuer: String,
    /// The version of the proposed root.
    version: u64,
    /// The key that it says has signed.
    key: String,
}

impl Answer for InspectAnswer {
    fn show(&self, page: &mut Page) {
        let checked = "no signature, time or revocation was checked: anyone can have written this";
        page.headline(Tone::Warn, "NOT VERIFIED", checked);
        page.gap();
        self.object.show(page);
    }
}

impl Inspected {
    fn show(&self, page: &mut Page) {
        match self {
            Self::License(token) => {
                let text = format!("license token, {} characters", token.characters);
                page.field("object", text);
                let license = &token.license;
                license.show_subject(page);
                license.show_times(page);
                license.terms.show(page);
                let binding = license.binding.as_ref();
                page.field("machine", binding.map_or("any".into(), BindingView::line));
                license.show_origin(page);
            }
            Self::Root(root) => {
                root.frame.show("root document", page);
                root.document.show(page);
            }
            Self::Keyset(keyset) => {
                keyset.frame.show("keyset document", page);
                keyset.document.show(page);
            }
            Self::Status(status) => {
                status.frame.show("status document", page);
                status.document.show(page);
            }
            Self::Catalog(catalog) => {
                catalog.frame.show("catalog document", page);
                catalog.document.show(page);
            }
            Self::ClockReset(reset) => {
                reset.frame.show("clock-reset document", page);
                reset.document.show(page);
            }
            Self::Fingerprint(request) => {
                page.field("object", "fingerprint request, which nobody signs");
                page.field("product", &request.product);
                let line = |view: &ComponentView| format!("{} {}", view.kind, view.digest);
                page.each("components", request.components.iter().map(line));
            }
            Self::SealedKey(key) => {
                page.field("object", "signing key under a passphrase");
                let kdf = format!(
                    "{}, {} MiB of memory, {} passes",
                    key.kdf, key.memory_mib, key.passes
                );
                page.field("stretching", kdf);
            }
            Self::RootProposal(proposal) => {
                page.field("object", "proposal of a root: phi root show compares it");
                page.gap();
                proposal.show_on(page);
            }
            Self::RootSignature(signature) => {
                page.field("object", "signature of a proposal of a root");
                page.field("issuer", &signature.issuer);
                page.field("version", signature.version);
                page.field("says signed", &signature.key);
            }
            Self::PublicKey(key) => {
                page.field("object", "public key");
                page.field("key", &key.key);
                page.field("public", &key.public);
            }
        }
    }
}

impl Frame {
    fn show(&self, name: &str, page: &mut Page) {
        page.field("object", format!("{name}, {} bytes", self.bytes));
        page.field("says signed", self.signers.join(", "));
        page.field("payload", &self.payload_hash);
    }
}
