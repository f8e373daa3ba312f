//! Files that say how the server is reached: read whole, and no further than they may be long.

use std::{fs::File, io::Read as _, path::Path};

use crate::error::{Fault, StoreError};

/// Reads a file of at most this many bytes.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    read(&open(path)?, path, limit)
}

/// Reads a file as [`read_bounded`] does, if it is its owner's alone; a file of root's may be read by
/// its group, as secrets are handed to a process that runs as another user.
pub(super) fn read_private(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let file = open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        // Asked of the open file: the name could lead elsewhere by now.
        let metadata = file.metadata().map_err(|error| failed(path, &error))?;
        let too_much = if metadata.uid() == 0 { 0o037 } else { 0o077 };
        if metadata.mode() & too_much != 0 {
            let problem = "others may do something with it; run `chmod 600` on it";
            return Err(failed(path, &problem));
        }
    }
    read(&file, path, limit)
}

fn open(path: &Path) -> Result<File, StoreError> {
    File::open(path).map_err(|error| failed(path, &error))
}

fn read(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(path, &error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        return Ok(bytes);
    }
    Err(failed(path, &format!("it has more than {limit} bytes")))
}

fn failed(path: &Path, problem: &dyn std::fmt::Display) -> StoreError {
    StoreError::new(Fault::Address, format!("{}: {problem}", path.display()))
}
