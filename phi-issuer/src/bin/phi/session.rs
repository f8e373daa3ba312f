//! What a command runs with: the folder, the time, the actor, the secrets and the output.

use std::cell::OnceCell;
use std::env;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use phi_issuer::passphrase::{Passphrase, PassphraseError, Unlock};
use phi_issuer::{Context, Issuer};
use phi_verify::UnixTime;

use crate::app::{Color, Global};
use crate::failure::Failure;
use crate::output::{Output, say};

/// The global options, resolved.
#[derive(Debug)]
pub(crate) struct Session {
    dir: PathBuf,
    now: UnixTime,
    actor: Option<String>,
    output: Output,
    passphrase_file: Option<PathBuf>,
    passphrase_fd: Option<u32>,
    /// Asked for once, by the first key that needs it.
    passphrase: OnceCell<Passphrase>,
    pin_file: Option<PathBuf>,
    pin_fd: Option<u32>,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        let color = match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        };
        color.write_global();
        Self {
            dir: global.dir,
            now: global
                .now
                .unwrap_or_else(|| UnixTime::from(SystemTime::now())),
            actor: global.actor,
            output: Output::new(global.json),
            passphrase_file: global.passphrase_file,
            passphrase_fd: global.passphrase_fd,
            passphrase: OnceCell::new(),
            pin_file: global.pin_file,
            pin_fd: global.pin_fd,
        }
    }

    /// The issuer's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The time at which the command acts.
    pub(crate) const fn now(&self) -> UnixTime {
        self.now
    }

    /// Where results go.
    pub(crate) const fn output(&self) -> Output {
        self.output
    }

    /// The folder with the issuer's published documents.
    pub(crate) fn published(&self) -> PathBuf {
        self.dir.join("published")
    }

    /// Opens the issuer's folder.
    ///
    /// # Errors
    /// `folder-missing`, or why the store cannot be used.
    pub(crate) fn issuer(&self) -> Result<Issuer, Failure> {
        Issuer::open(&self.dir).map_err(Failure::from)
    }

    /// Who acts, and when.
    pub(crate) fn context(&self) -> Context {
        Context::new(self.now, self.actor())
    }

    /// Who acts: the one named, or the user. That nobody is known is said: the ledger keeps it.
    pub(crate) fn actor(&self) -> String {
        let known = self.actor.clone().or_else(user);
        known.unwrap_or_else(|| {
            say("phi: warning: who acts is not known, and the ledger will say so: --actor NAME");
            "unknown".to_owned()
        })
    }

    /// Whether somebody is named who acts.
    pub(crate) const fn names_actor(&self) -> bool {
        self.actor.is_some()
    }

    /// A passphrase for new keys, asked twice if it is asked.
    ///
    /// # Errors
    /// `passphrase-...`.
    pub(crate) fn new_passphrase(&self) -> Result<Passphrase, Failure> {
        given(self.passphrase_file.as_deref(), self.passphrase_fd)
            .unwrap_or_else(|| Passphrase::prompt_new("new passphrase for the keys"))
            .map_err(Failure::from)
    }
}

/// The secrets of keys that exist, from where the options say or from the terminal.
impl Unlock for Session {
    fn passphrase(&self) -> Result<&Passphrase, PassphraseError> {
        if let Some(known) = self.passphrase.get() {
            return Ok(known);
        }
        let passphrase = given(self.passphrase_file.as_deref(), self.passphrase_fd)
            .unwrap_or_else(|| Passphrase::prompt("passphrase of the keys"))?;
        Ok(self.passphrase.get_or_init(|| passphrase))
    }

    fn pin(&self, token: &str) -> Result<Passphrase, PassphraseError> {
        let pin = given(self.pin_file.as_deref(), self.pin_fd)
            .unwrap_or_else(|| Passphrase::prompt(&format!("PIN of token {token}")));
        pin.map_err(|error| match error {
            // A PIN is no passphrase, and is handed in by other options.
            PassphraseError::Prompt(_) | PassphraseError::Empty => PassphraseError::NoPin {
                token: token.into(),
            },
            error => error,
        })
    }
}

/// A secret from a file or a descriptor, if either is named.
fn given(
    file: Option<&Path>,
    descriptor: Option<u32>,
) -> Option<Result<Passphrase, PassphraseError>> {
    match file {
        Some(file) => Some(Passphrase::from_file(file)),
        None => descriptor.map(from_descriptor),
    }
}

#[cfg(unix)]
fn from_descriptor(descriptor: u32) -> Result<Passphrase, PassphraseError> {
    Passphrase::from_fd(descriptor)
}

/// Descriptors have no names elsewhere; a file does the same there.
#[cfg(not(unix))]
fn from_descriptor(descriptor: u32) -> Result<Passphrase, PassphraseError> {
    Err(PassphraseError::Read {
        path: descriptor.to_string().into(),
        source: std::io::ErrorKind::Unsupported.into(),
    })
}

/// The user's name as the system's shells know it, or the number that the system has of it.
fn user() -> Option<String> {
    let names = ["USER", "LOGNAME", "USERNAME"].into_iter();
    let name = names
        .filter_map(|name| env::var(name).ok())
        .find(|name| !name.trim().is_empty());
    #[cfg(unix)]
    let name = name.or_else(|| Some(format!("uid-{}", rustix::process::getuid().as_raw())));
    name
}
