//! Files that say whom this node trusts: read whole, within bounds, and only if nobody else had a
//! hand in them.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// Who may read a file that is read here. None may be written by others than its owner, who is
/// the user of this process, or root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Everybody.
    Public,
    /// Its owner, and its group if root has it: that is how a cluster hands out secrets.
    Secret,
}

/// Why a file is not read.
#[derive(Debug)]
pub(crate) enum FileProblem {
    /// Others may read or write it.
    TooOpen(u32),
    /// It belongs to another user.
    NotOurs(u32),
    /// The system says so.
    Io(io::Error),
}

impl From<io::Error> for FileProblem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a file of at most this many bytes.
pub(crate) fn read(path: &Path, most: u64, secrecy: Secrecy) -> Result<Vec<u8>, FileProblem> {
    // A pipe in the file's place would make whoever opens it wait.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
    }
    let file = File::open(path)?;
    check(&file, secrecy)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return Ok(bytes);
    }
    Err(io::Error::from(io::ErrorKind::FileTooLarge).into())
}

/// The line of a text in which this byte is, from 1.
pub(crate) fn line(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(unix)]
fn check(file: &File, secrecy: Secrecy) -> Result<(), FileProblem> {
    use std::os::unix::fs::MetadataExt as _;
    // Asked of the open file: the name could lead elsewhere by now.
    let metadata = file.metadata()?;
    let mode = metadata.mode() & 0o777;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    let closed = match secrecy {
        Secrecy::Public => 0o022,
        Secrecy::Secret if owner == 0 => 0o037,
        Secrecy::Secret => 0o077,
    };
    if mode & closed != 0 {
        return Err(FileProblem::TooOpen(mode));
    }
    // Root may read the files of the node's own user.
    if owner != user && owner != 0 && user != 0 {
        return Err(FileProblem::NotOurs(owner));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(_: &File, _: Secrecy) -> Result<(), FileProblem> {
    Ok(())
}
