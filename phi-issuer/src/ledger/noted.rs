//! The note of the newest backup, for the check-up: a backup is no event, for it would not be in
//! the copy that it tells of.

use phi_verify::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{
    Issuer,
    durable::{self, FileError, Mode},
    error::Error,
};

/// In the issuer's folder, beside the store.
const NOTE: &str = "phi.backup";
/// Two lines.
const MAX_NOTE: u64 = 4 << 10;

/// The newest backup that was made from a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupNote {
    /// When it was made.
    pub(crate) made: UnixTime,
    /// How many events are in it.
    pub(crate) events: u64,
}

impl Issuer {
    /// Keeps in the folder that a backup was made, so that [`Issuer::check_up`] knows of it.
    ///
    /// # Errors
    /// [`Error::File`] if the folder cannot be written; the backup is as good.
    pub fn note_backup(&self, events: u64, now: UnixTime) -> Result<(), Error> {
        let note = BackupNote { made: now, events };
        let text = toml::to_string(&note).expect("two numbers have a TOML form");
        let path = self.folder.join(NOTE);
        durable::write(&path, text.as_bytes(), Mode::Private).map_err(Error::from)
    }

    /// The newest backup that the folder knows of. A note that does not read is none.
    pub(crate) fn noted_backup(&self) -> Result<Option<BackupNote>, Error> {
        let bytes = match durable::read_bounded(&self.folder.join(NOTE), MAX_NOTE) {
            Err(FileError::Missing { .. }) => return Ok(None),
            bytes => bytes?,
        };
        let text = str::from_utf8(&bytes).ok();
        Ok(text.and_then(|text| toml::from_str(text).ok()))
    }
}
