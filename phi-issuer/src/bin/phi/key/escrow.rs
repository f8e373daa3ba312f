//! `phi key export` and `phi key import`: keys for the safe, and from it.

use std::path::PathBuf;

use clap::Args;
use phi_issuer::custody::{Escrow, EscrowKey, MAX_ESCROW_LEN};
use phi_issuer::durable::{self, Mode};
use phi_issuer::passphrase::Passphrase;
use phi_verify::KeyId;
use schemars::JsonSchema;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyAnswer, find};
use crate::failure::Failure;
use crate::input::read_file;
use crate::output::{Answer, Page, say};
use crate::session::Session;
use crate::view::shown;

/// Give a key out for safekeeping, encrypted with age
#[derive(Debug, Args)]
#[command(
    long_about = "Give a key out for safekeeping, encrypted with age.\n\n\
        Whoever can open the file has the key, without the passphrase of the issuer: give it to \
        recipients whose secret half lies in a safe, or encrypt it under a passphrase of its own. \
        That it was given out is recorded. A key in a token stays there.",
    after_help = "Examples:\n  \
        phi key export 3q2-7wEjRWeJ --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p --out license.age\n  \
        phi key export 3q2-7wEjRWeJ --out license.age"
)]
pub(crate) struct Export {
    /// The key's id
    #[arg(allow_hyphen_values = true)]
    key: KeyId,
    /// Who can open it, each alone; without, a passphrase is asked for
    #[arg(long, value_name = "AGE1", conflicts_with = "escrow_passphrase_file")]
    recipient: Vec<String>,
    /// Read the passphrase of the file from a file, instead of asking
    #[arg(long, value_name = "FILE")]
    escrow_passphrase_file: Option<PathBuf>,
    /// The file to write, which must not be there
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Take a key back that was given out, into the folder of keys
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        phi key import license.age --identity safe.txt\n  \
        phi key import license.age")]
pub(crate) struct Import {
    /// The file
    file: PathBuf,
    /// The age identity that opens it; without, the passphrase of the file is asked for
    #[arg(long, value_name = "FILE", conflicts_with = "escrow_passphrase_file")]
    identity: Option<PathBuf>,
    /// Read the passphrase of the file from a file, instead of asking
    #[arg(long, value_name = "FILE")]
    escrow_passphrase_file: Option<PathBuf>,
}

impl Export {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        // What is recorded as given out is not to fail for a name that is taken.
        if self.out.exists() {
            let message = format!("{} already exists", self.out.display());
            return Err(Failure::new("file-exists", message));
        }
        let escrow = if self.recipient.is_empty() {
            Escrow::Passphrase(match &self.escrow_passphrase_file {
                Some(file) => Passphrase::from_file(file)?,
                None => Passphrase::prompt_new("new passphrase for the file in escrow")?,
            })
        } else {
            Escrow::Recipients(self.recipient)
        };
        let sealed = issuer.export_key(self.key, &escrow, session, &session.context())?;
        durable::create_new(&self.out, &sealed, Mode::Private)?;
        let key = find(&mut issuer, self.key, session)?;
        let file = shown(&self.out);
        session.output().print(&EscrowAnswer { key, file })?;
        say("phi: who opens this file has the key: keep it where nobody does alone");
        Ok(())
    }
}

impl Import {
    pub(super) fn run(self, session: &Session) -> Result<(), Failure> {
        let mut issuer = session.issuer()?;
        let sealed = read_file(&self.file, MAX_ESCROW_LEN)?;
        let with = match (&self.identity, &self.escrow_passphrase_file) {
            (Some(file), _) => {
                let lines = Zeroizing::new(durable::read_private(file, MAX_ESCROW_LEN)?);
                let text = str::from_utf8(&lines).map_err(|_| {
                    Failure::new("input-not-text", format!("{} is not text", file.display()))
                })?;
                EscrowKey::Identities(Zeroizing::new(text.to_owned()))
            }
            (None, Some(file)) => EscrowKey::Passphrase(Passphrase::from_file(file)?),
            (None, None) => EscrowKey::Passphrase(Passphrase::prompt("passphrase of the file")?),
        };
        let (key, _) = issuer.import_key(&sealed, &with, session)?;
        session.output().print(&find(&mut issuer, key, session)?)
    }
}

/// A key that was given out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "phi key export")]
pub(crate) struct EscrowAnswer {
    /// The key.
    key: KeyAnswer,
    /// The file with the key, encrypted.
    file: String,
}

impl Answer for EscrowAnswer {
    fn show(&self, page: &mut Page) {
        self.key.show(page);
        page.field("given out", &self.file);
    }
}
