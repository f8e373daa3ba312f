//! `phi bundle`: one file with everything that an application is to import.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use phi_issuer::durable::{self, Mode};
use phi_issuer::{Issuer, KeyRecord, MintedToken, Proven};
use phi_verify::dangerous_inspect;
use phi_verify::log::ConsistencyProof;
use phi_verify::{
    Bundle, BundleBuilder, DocumentKind, KeyId, KeyState, LicenseId, MAX_BUNDLE, TokenId, UnixTime,
    armor,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Failure;
use crate::input::read_file;
use crate::ledger::read_checkpoint;
use crate::license::TokenRow;
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
        the tokens of the newest minted revision that have not ended. What is revoked, by itself or \
        with its key, is left out.\n\n\
        With --proofs each token travels with the proof that the ledger has it; a token whose key \
        was revoked with a cut is worth nothing without, and always does. With --checkpoint the \
        newest checkpoint of the ledger goes along, and with --since the proof that the ledger \
        continues the one of an older checkpoint. A bundle with tokens is the owner's alone \
        (mode 0600).",
    after_help = "Examples:\n  \
        phi bundle write --out atlas.phi\n  \
        phi bundle write --out globex.phi --customer globex --proofs\n  \
        phi bundle write --out news.phi --only keyset,status\n  \
        phi bundle write --out audit.phi --since checkpoint-2026-06"
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
    /// Put the newest checkpoint of the ledger in, for applications that have none yet
    #[arg(long, conflicts_with = "since")]
    checkpoint: bool,
    /// Put the newest checkpoint in, with the proof that the ledger of this older one only grew
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
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
        let cut = cut_keys(&mut issuer)?;
        for token in &tokens {
            let needed = cut.contains(&token.key_id);
            let proof = (self.proofs || needed)
                .then(|| issuer.prove(Proven::Token(token.token_id)))
                .transpose()?;
            if needed && !self.proofs {
                let (id, key) = (token.token_id, token.key_id);
                say(&format!(
                    "phi: token {id} goes with its proof: key {key} was cut, and it is worth \
                     nothing without"
                ));
            }
            builder.token(&token.token, proof.map(|entry| entry.proof).as_ref());
        }
        if let Some(growth) = self.growth(&mut issuer)? {
            builder.growth(&growth);
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

impl Write {
    /// The newest checkpoint as the bundle is to have it.
    fn growth(&self, issuer: &mut Issuer) -> Result<Option<ConsistencyProof>, Failure> {
        let older = match &self.since {
            Some(path) => read_checkpoint(path)?,
            // Whoever remembers nothing begins at it: there is nothing to prove.
            None if self.checkpoint => issuer.newest_checkpoint()?.note,
            None => return Ok(None),
        };
        let text = issuer.prove_growth(&older)?;
        Ok(Some(ConsistencyProof::parse(&text)?))
    }
}

/// The keys of which tokens count with their proof alone.
fn cut_keys(issuer: &mut Issuer) -> Result<BTreeSet<KeyId>, Failure> {
    let keys = issuer.keys()?.into_iter();
    let is_cut = |key: &KeyRecord| matches!(key.state, Some(KeyState::Revoked { cut: Some(_) }));
    Ok(keys.filter(is_cut).map(|key| key.public.id()).collect())
}

impl Tokens {
    /// Tokens of the newest revision that have not ended: of those before, a newer one took the
    /// place. What is revoked is left out.
    fn of(&self, issuer: &mut Issuer, now: UnixTime) -> Result<Vec<MintedToken>, Failure> {
        let mut found = Vec::new();
        match (&self.token, self.license, &self.customer) {
            (Some(token), ..) => found.push(issuer.token(*token)?),
            (None, Some(license), _) => {
                let license = issuer.license(license)?.id;
                found = newest_live(issuer.tokens_of(license)?, now);
            }
            (None, None, Some(customer)) => {
                for license in issuer.licenses(Some(customer), None)? {
                    found.extend(newest_live(issuer.tokens_of(license.id)?, now));
                }
            }
            (None, None, None) => return Ok(found),
        }
        without_revoked(issuer, &mut found)?;
        if found.is_empty() {
            let message = "no token is left to put into the bundle";
            return Err(Failure::new("bundle-without-token", message));
        }
        Ok(found)
    }
}

fn newest_live(mut tokens: Vec<MintedToken>, now: UnixTime) -> Vec<MintedToken> {
    let newest = tokens.iter().map(|token| token.license_revision).max();
    tokens.retain(|token| {
        Some(token.license_revision) == newest && token.ends.is_none_or(|ends| now < ends)
    });
    tokens
}

/// Leaves out, with a word each, what applications would refuse.
fn without_revoked(issuer: &mut Issuer, tokens: &mut Vec<MintedToken>) -> Result<(), Failure> {
    let mut revoked = BTreeMap::new();
    let licenses: BTreeSet<_> = tokens.iter().map(|token| token.license).collect();
    for id in licenses {
        let customer = issuer.license(id)?.customer.clone();
        let own = tokens.iter().filter(|token| token.license == id).cloned();
        for row in TokenRow::all(issuer, &customer, &own.collect::<Vec<_>>())? {
            revoked.extend(row.revoked.map(|reason| (row.id, reason)));
        }
    }
    tokens.retain(|token| {
        let (id, license) = (token.token_id, token.license);
        let reason = revoked.get(&id.to_string());
        if let Some(reason) = reason {
            say(&format!(
                "phi: left out: token {id} of license {license} is revoked: {reason}"
            ));
        }
        reason.is_none()
    });
    Ok(())
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
            token: claims.token_id.to_string(),
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
    /// The token's id.
    token: String,
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
            page.field(
                "ledger",
                "a checkpoint, with the proof that the ledger only grew",
            );
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
                    token.token.clone(),
                    token.customer.clone(),
                    token.product.clone(),
                    cell(token.expires.as_ref()),
                    proof.into(),
                ]
            })
            .collect();
        page.table(
            [
                "LICENSE", "TOKEN", "CUSTOMER", "PRODUCT", "EXPIRES", "PROOF",
            ],
            &tokens,
        );
    }
}
