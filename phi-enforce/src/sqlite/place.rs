//! Where the file was when it was opened: another process that opens the same path has to find it
//! there, or both would give out the same.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::{Fault, StoreError};

/// A path, and which file it led to.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Option<Identity>,
}

/// A file system and a file in it.
type Identity = (u64, u64);

impl Place {
    /// The path as it is now, whatever the folder of the process will be.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let path = fs::canonicalize(path).map_err(|error| StoreError::unusable(&error))?;
        let file = identity(&path).map_err(|error| StoreError::unusable(&error))?;
        Ok(Self { path, file })
    }

    /// Whether the path leads to the same file still.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match identity(&self.path) {
            Ok(found) if found == self.file => Ok(()),
            _ => Err(StoreError::new(
                Fault::Moved,
                self.path.display().to_string(),
            )),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata(path)?;
    Ok(Some((found.dev(), found.ino())))
}

/// Elsewhere a file that is open is not moved.
#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Option<Identity>> {
    fs::metadata(path).map(|_| None)
}
