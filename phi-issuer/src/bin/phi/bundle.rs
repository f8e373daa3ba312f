//! `phi bundle`: one file with everything that an application is to import.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use phi_issuer::durable::{self, Mode};
use phi_issuer::{Issuer, MintedToken, Proven};
use phi_verify::dangerous_inspect;
use phi_verify::{
    Bundle, BundleBuilder, DocumentKind, LicenseId, MAX_BUNDLE, TokenId, UnixTime, armor,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::read_file;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::trust::TrustFolder;
use crate::view::{Stamp, cell, counted, shown};

/// Write and show bundles: one file with everything that an application is to import
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Write(Write),
    Show(Show),
}

/// Write the published documents into one file, with tokens if they are asked for
#[derive(Debug, Args)]
#[command(
    long_about = "Write the published documents into one file, with tokens if they are asked for: \
        the roots, the keyset, the status document and the catalogs as they are published, and \
        the tokens of the newest minted revision that have not ended.\n\n\
        With --proofs each token travels with the proof that the ledger has it; a token whose key \
        was revoked with a cut is worth nothing without. A bundle with tokens is the owner's alone \
        (mode 0600).",
    after_help = "Examples:\n  \
        phi bundle write --out atlas.phi\n  \
        phi bundle write --out globex.phi --customer globex --proofs\n  \
        phi bundle write --out news.phi --only keyset,status"
)]
pub(crate) struct Write {
    /// The file, which must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    tokens: Tokens,
    /// Put the proof of its minting beside each token
    #[arg(long, requires = "Tokens")]
    proofs: bool,
    /// The kinds of documents to put in [default: all]
    #[arg(long, value_name = "KINDS", value_enum, value_delimiter = ',')]
    only: Vec<Kind>,
}

/// Whose tokens to put in.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Tokens {
    /// Put in the tokens of a license
    #[arg(long, value_name = "ID")]
    license: Option<LicenseId>,
    /// Put in a token
    #[arg(long, value_name = "ID")]
    token: Option<TokenId>,
    /// Put in the tokens of all licenses of a customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
}

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The roots, from the first to the newest
    Root,
    /// The keyset
    Keyset,
    /// The status document
    Status,
    /// The catalogs
    Catalog,
}

impl Kind {
    const fn of(kind: DocumentKind) -> Option<Self> {
        match kind {
            DocumentKind::Root => Some(Self::Root),
            DocumentKind::Keyset => Some(Self::Keyset),
            DocumentKind::Status => Some(Self::Status),
            DocumentKind::Catalog => Some(Self::Catalog),
            DocumentKind::ClockReset => None,
        }
    }
}

/// Show what a bundle has, without verifying it
#[derive(Debug, Args)]
#[command(
    long_about = "Show what a bundle has, without verifying it. A bundle is not signed: \
        what is in it counts for its own signatures, which phi verify --bundle checks.",
    after_help = "Example:\n  phi bundle show globex.phi"
)]
pub(crate) struct Show {
    /// The bundle
    file: PathBuf,
}

impl Command {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Write(command) => command.run(session),
            Self::Show(command) => {
                let bytes = read(&command.file)?;
                session.output().print(&view(&command.file, &bytes)?)
            }
        }
    }
}

impl Write {
    fn run(&self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        // What the ledger has and the folder lacks is written first.
        issuer.write_published()?;
        let folder = TrustFolder::open(&session.published())?;
        // What applications would refuse does not leave.
        folder.load(None)?;
        let mut builder = BundleBuilder::new();
        for (kind, bytes) in folder.documents()? {
            if self.only.is_empty() || Kind::of(kind).is_some_and(|kind| self.only.contains(&kind))
            {
                builder.document(&bytes)?;
            }
        }
        let tokens = self.tokens.of(&mut issuer, session.now())?;
        for token in &tokens {
            let proof = self
                .proofs
                .then(|| issuer.prove(Proven::Token(token.token_id)));
            let proof = proof.transpose()?.map(|entry| entry.proof);
            builder.token(&token.token, proof.as_ref());
        }
        let bytes = builder.build()?;
        let mode = if tokens.is_empty() {
            Mode::Public
        } else {
            Mode::Private
        };
        durable::create_new(&self.out, &bytes, mode)?;
        session.output().print(&view(&self.out, &bytes)?)?;
        if !session.output().is_json() {
            say(&format!(
                "phi: next: phi verify --bundle {}",
                shown(&self.out)
            ));
        }
        Ok(())
    }
}

impl Tokens {
    /// Tokens of the newest revision that have not ended: of those before, a newer one took the
    /// place.
    fn of(&self, issuer: &mut Issuer, now: UnixTime) -> Result<Vec<MintedToken>, Failure> {
        let licenses = match (&self.token, self.license, &self.customer) {
            (Some(token), ..) => return Ok(vec![issuer.token(*token)?]),
            (None, Some(license), _) => vec![issuer.license(license)?.id],
            (None, None, Some(customer)) => {
                let licenses = issuer.licenses(Some(customer), None)?;
                licenses.into_iter().map(|license| license.id).collect()
            }
            (None, None, None) => return Ok(Vec::new()),
        };
        let mut found = Vec::new();
        for license in licenses {
            let tokens = issuer.tokens_of(license)?;
            let newest = tokens.iter().map(|token| token.license_revision).max();
            found.extend(tokens.into_iter().filter(|token| {
                Some(token.license_revision) == newest && token.ends.is_none_or(|ends| now < ends)
            }));
        }
        if found.is_empty() {
            let message = "no token is left to put into the bundle";
            return Err(Failure::new("bundle-without-token", message));
        }
        Ok(found)
    }
}

/// Reads a bundle: its bytes or, where files must be text, a word or armored.
///
/// # Errors
/// `file-missing`, `file-failed`, `input-too-large`, or why the text is none.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    // Text is a third longer than the bytes that it stands for.
    let bytes = read_file(path, 2 * MAX_BUNDLE as u64)?;
    let text = std::str::from_utf8(&bytes).ok();
    // A map of up to 23 fields, as every bundle begins, is no text.
    let Some(text) = text.filter(|_| bytes.first().is_some_and(u8::is_ascii)) else {
        return Ok(bytes);
    };
    let word = armor::unwrap(text)?;
    Ok(armor::bundle_from_text(&word)?)
}

fn view(path: &Path, bytes: &[u8]) -> Result<BundleAnswer, Failure> {
    let bundle = Bundle::parse(bytes)?;
    let tokens = bundle.tokens().iter().map(|entry| {
        let (_, claims) = dangerous_inspect::token(entry.token())?;
        Ok(TokenView {
            license: claims.license_id.to_string(),
            customer: claims.customer,
            product: claims.product,
            expires: claims.expires.map(Stamp::from),
            proof: entry.proof().is_some(),
        })
    });
    Ok(BundleAnswer {
        file: shown(path),
        bytes: bytes.len(),
        parts: (bundle.parts())
            .map(|part| PartView {
                kind: part.kind.to_string(),
                product: part.product,
                version: part.version,
            })
            .collect(),
        tokens: tokens.collect::<Result<_, Failure>>()?,
        growth: bundle.growth().is_some(),
    })
}

/// What a bundle has. Nothing of it is verified.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi bundle write and phi bundle show")]
pub(crate) struct BundleAnswer {
    /// The file.
    file: String,
    /// Its length.
    bytes: usize,
    /// The documents, in the order in which they are imported.
    parts: Vec<PartView>,
    /// The tokens.
    tokens: Vec<TokenView>,
    /// Whether it has a checkpoint with the proof that the ledger grew to it.
    growth: bool,
}

/// A document, by what the bundle says of it.
#[derive(Debug, Serialize, JsonSchema)]
struct PartView {
    /// `root`, `keyset`, `status` or `catalog`.
    kind: String,
    /// The product, of a catalog.
    product: Option<String>,
    /// The version, epoch or revision.
    version: u64,
}

/// A token, by what it says.
#[derive(Debug, Serialize, JsonSchema)]
struct TokenView {
    /// The license.
    license: String,
    /// The customer.
    customer: String,
    /// The product.
    product: String,
    /// When it expires; null is never.
    expires: Option<Stamp>,
    /// Whether a proof of its minting is beside it.
    proof: bool,
}

impl Answer for BundleAnswer {
    fn show(&self, page: &mut Page) {
        page.field("file", &self.file);
        page.field("size", counted(self.bytes, "byte"));
        if self.growth {
            page.field("ledger", "a checkpoint, and the proof that it grew");
        }
        page.gap();
        let parts: Vec<_> = (self.parts.iter())
            .map(|part| {
                let product = part.product.clone().unwrap_or_default();
                [part.kind.clone(), part.version.to_string(), product]
            })
            .collect();
        page.table(["DOCUMENT", "VERSION", "PRODUCT"], &parts);
        if self.tokens.is_empty() {
            return;
        }
        page.gap();
        let tokens: Vec<_> = (self.tokens.iter())
            .map(|token| {
                let proof = if token.proof { "yes" } else { "no" };
                [
                    token.license.clone(),
                    token.customer.clone(),
                    token.product.clone(),
                    cell(token.expires.as_ref()),
                    proof.into(),
                ]
            })
            .collect();
        page.table(
            ["LICENSE", "CUSTOMER", "PRODUCT", "EXPIRES", "PROOF"],
            &tokens,
        );
    }
}
