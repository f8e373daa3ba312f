//! Files that are written whole or not at all, and read only within bounds.
//!
//! A writer here never leaves half a file: the bytes go to a temporary file in the same folder,
//! reach the disk, and only then take the name. Whoever reads sees the old file or the new one.
//! What the bytes mean is left to the callers.

use std::error::Error;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Who may read a file that is written here.
///
/// On systems without Unix permission bits both modes are those of the folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The owner alone: 0600, and 0700 for a folder.
    #[default]
    Private,
    /// Everybody, as far as the umask allows: 0644, and 0755 for a folder.
    Public,
}

/// Writes `bytes` to `path`, replacing what was there.
///
/// When this returns, the new contents survive a power cut. The mode of a replaced file is not
/// kept: the new one has `mode`.
///
/// # Errors
/// [`FileError::Io`] names the step that failed. Up to [`Step::Replace`] the old file is as it
/// was and no temporary file is left; at [`Step::SyncFolder`] the new contents are in place, but a
/// power cut may still bring back the old ones.
pub fn write(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let temporary = Temporary::create(path, bytes, mode)?;
    failpoint!("file-before-name");
    fs::rename(&temporary.path, path).map_err(FileError::at(path, Step::Replace))?;
    temporary.disarm();
    failpoint!("file-after-name");
    sync_folder_of(path)
}

/// Writes `bytes` to `path`, which must not exist.
///
/// Of two processes that create the same path, exactly one succeeds, and nobody sees a part of
/// its file; where the file system has no hard links, an empty one for a moment.
///
/// # Errors
/// [`FileError::AlreadyExists`] if there is anything at `path`, a dangling link included; else as
/// [`write()`].
pub fn create_new(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    create_new_by(path, bytes, mode, |from, to| fs::hard_link(from, to))
}

fn create_new_by(
    path: &Path,
    bytes: &[u8],
    mode: Mode,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<(), FileError> {
    let temporary = Temporary::create(path, bytes, mode)?;
    // A hard link is made whole and fails if the name is taken, which a rename does not.
    match link(&temporary.path, path) {
        Ok(()) => {
            failpoint!("file-linked");
            drop(temporary);
        }
        // The file systems of USB sticks have no hard links, and say that it is not permitted.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported
            ) =>
        {
            claim(path, mode)?;
            fs::rename(&temporary.path, path).map_err(|source| {
                // Nobody else made this one, and nothing is in it.
                let _ = fs::remove_file(path);
                not_created(path, source)
            })?;
            temporary.disarm();
        }
        Err(source) => return Err(not_created(path, source)),
    }
    sync_folder_of(path)
}

/// Takes a free name by an empty file, which of two processes only one can make.
fn claim(path: &Path, mode: Mode) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    set_mode(&mut options, mode);
    let claimed = options.open(path);
    claimed
        .map(drop)
        .map_err(|source| not_created(path, source))
}

fn not_created(path: &Path, source: io::Error) -> FileError {
    match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::AlreadyExists {
            path: path.to_owned(),
        },
        _ => FileError::Io {
            path: path.to_owned(),
            step: Step::Create,
            source,
        },
    }
}

/// Makes the folder `path`, which must not exist, inside one that does.
///
/// # Errors
/// [`FileError::AlreadyExists`], or [`FileError::Io`] naming the step that failed.
pub fn create_folder(path: &Path, mode: Mode) -> Result<(), FileError> {
    let created = folder_builder(mode).create(path);
    created.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::AlreadyExists {
            path: path.to_owned(),
        },
        _ => FileError::Io {
            path: path.to_owned(),
            step: Step::CreateFolder,
            source,
        },
    })?;
    sync_folder_of(path)
}

/// Makes the folder `path` and those above it, as far as they do not exist.
///
/// # Errors
/// [`FileError::Io`] naming the step that failed.
pub fn create_folders(path: &Path, mode: Mode) -> Result<(), FileError> {
    folder_builder(mode)
        .recursive(true)
        .create(path)
        .map_err(FileError::at(path, Step::CreateFolder))
}

fn folder_builder(mode: Mode) -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(match mode {
            Mode::Private => 0o700,
            Mode::Public => 0o755,
        });
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Opens a file to be locked, whatever is in it, and makes it if it does not exist.
///
/// A new one is the owner's alone: whoever can open a file can hold its lock.
///
/// # Errors
/// [`FileError::Io`].
pub(crate) fn open_lock(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    set_mode(&mut options, Mode::Private);
    options.open(path).map_err(FileError::at(path, Step::Open))
}

/// Reads all of `path`, which may hold at most `limit` bytes.
///
/// Pipes and devices are read as well, to their end.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::TooLarge`], or [`FileError::Io`] naming the step.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    read_open(open(path)?, path, limit)
}

/// Reads all of `path` like [`read_bounded`], if it is a regular file: a pipe that nobody writes to
/// is not waited for.
///
/// # Errors
/// [`FileError::NotAFile`]; else as [`read_bounded`].
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let file = open_by(path, &mut at_once())?;
    let metadata = file
        .metadata()
        .map_err(FileError::at(path, Step::Inspect))?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile {
            path: path.to_owned(),
        });
    }
    read_open(file, path, limit)
}

/// Reads all of `path` like [`read_bounded`], if it is a regular file of the owner alone, who is
/// the user of this process or root.
///
/// # Errors
/// [`FileError::TooOpen`] or [`FileError::NoPermissions`] if the group or others may do anything
/// with it, [`FileError::NotOurs`], [`FileError::NotAFile`]; else as [`read_bounded`].
pub fn read_private(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let file = open_by(path, &mut at_once())?;
    // Asked of the open file: the name could lead elsewhere by now.
    let metadata = file
        .metadata()
        .map_err(FileError::at(path, Step::Inspect))?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile {
            path: path.to_owned(),
        });
    }
    #[cfg(unix)]
    check_private(&file, &metadata, path)?;
    read_open(file, path, limit)
}

/// How to open a file that is regular, or else refused: a pipe is opened without waiting for
/// whoever writes to it.
fn at_once() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options
}

#[cfg(unix)]
fn check_private(file: &File, metadata: &fs::Metadata, path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(match without_permissions(file) {
            Some(file_system) => FileError::NoPermissions { path, file_system },
            None => FileError::TooOpen { path, mode },
        });
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        let path = path.to_owned();
        return Err(FileError::NotOurs { path, owner });
    }
    Ok(())
}

/// The file system of an open file, if it is one that keeps no permissions: those that its files
/// seem to have are said when it is mounted.
#[cfg(target_os = "linux")]
fn without_permissions(file: &File) -> Option<&'static str> {
    // The numbers of linux/magic.h.
    match rustix::fs::fstatfs(file).ok()?.f_type {
        0x4d44 => Some("vfat"),
        0x2011_bab0 => Some("exfat"),
        0x5346_544e | 0x7366_746e => Some("ntfs"),
        _ => None,
    }
}

/// Other systems are not asked.
#[cfg(all(unix, not(target_os = "linux")))]
const fn without_permissions(_: &File) -> Option<&'static str> {
    None
}

/// Opens a file to be read.
///
/// # Errors
/// [`FileError::Missing`], or [`FileError::Io`].
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    open_by(path, OpenOptions::new().read(true))
}

fn open_by(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    options.open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => FileError::Missing {
            path: path.to_owned(),
        },
        _ => FileError::Io {
            path: path.to_owned(),
            step: Step::Open,
            source,
        },
    })
}

fn read_open(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that fits from one that goes on.
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(FileError::at(path, Step::Read))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes)
    } else {
        Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        })
    }
}

/// A file with all its bytes on the disk and a name nobody looks for, removed when dropped.
struct Temporary {
    path: PathBuf,
    armed: bool,
}

impl Temporary {
    fn create(target: &Path, bytes: &[u8], mode: Mode) -> Result<Self, FileError> {
        let path = folder_of(target).join(temporary_name(target)?);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        set_mode(&mut options, mode);
        let mut file = options
            .open(&path)
            .map_err(FileError::at(target, Step::CreateTemporary))?;
        let temporary = Self { path, armed: true };
        failpoint!("file-empty");
        file.write_all(bytes)
            .map_err(FileError::at(target, Step::Write))?;
        failpoint!("file-written");
        file.sync_all().map_err(FileError::at(target, Step::Sync))?;
        Ok(temporary)
    }

    /// The temporary name is gone: there is nothing to remove.
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.armed {
            // Best effort: the error that brought us here is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The mode of a file to be made. It is set at creation: a later chmod would leave a moment in
/// which others can open it.
fn set_mode(options: &mut OpenOptions, mode: Mode) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(match mode {
            Mode::Private => 0o600,
            Mode::Public => 0o644,
        });
    }
    #[cfg(not(unix))]
    let _ = (options, mode);
}

/// A name independent of the target's, which may already be as long as a name can be.
fn temporary_name(target: &Path) -> Result<String, FileError> {
    let random = getrandom::u64()
        .map_err(|error| FileError::at(target, Step::CreateTemporary)(error.into()))?;
    Ok(format!(".phi-{random:016x}.tmp"))
}

/// Makes the entries of the folder that holds `path` survive a power cut.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    // Elsewhere a folder cannot be opened as a file, and renaming is the system's to keep.
    #[cfg(unix)]
    {
        let sync = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
        match sync {
            // The file system says that it has no such operation.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other.map_err(FileError::at(path, Step::SyncFolder)),
        }
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What can go wrong with a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    Missing {
        /// The file asked for.
        path: PathBuf,
    },
    /// There is such a file already, and it is not replaced.
    AlreadyExists {
        /// The file or folder to be made.
        path: PathBuf,
    },
    /// A file holds more than it can rightly hold.
    TooLarge {
        /// The file read.
        path: PathBuf,
        /// The most bytes it may have.
        limit: u64,
    },
    /// A private file can be used by others than its owner.
    TooOpen {
        /// The file refused.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A private file is on a file system that keeps no permissions, and was mounted for others
    /// as well.
    NoPermissions {
        /// The file refused.
        path: PathBuf,
        /// The file system.
        file_system: &'static str,
    },
    /// A private file is another user's, who can change it.
    NotOurs {
        /// The file refused.
        path: PathBuf,
        /// The number of that user.
        owner: u32,
    },
    /// A private file is a pipe, a device or a folder.
    NotAFile {
        /// The path refused.
        path: PathBuf,
    },
    /// The system refused a step.
    Io {
        /// The file asked for; a temporary file beside it may be the one refused.
        path: PathBuf,
        /// What was being done.
        step: Step,
        /// What the system said.
        source: io::Error,
    },
}

impl FileError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "file-missing",
            Self::AlreadyExists { .. } => "file-exists",
            Self::TooLarge { .. } => "file-too-large",
            Self::TooOpen { .. } => "file-permissions",
            Self::NoPermissions { .. } => "file-system-permissions",
            Self::NotOurs { .. } => "file-owner",
            Self::NotAFile { .. } => "file-not-regular",
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => "disk-full",
                _ => "file-failed",
            },
        }
    }

    fn at(path: &Path, step: Step) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            step,
            source,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "{} does not exist", path.display()),
            Self::AlreadyExists { path } => write!(f, "{} already exists", path.display()),
            Self::TooLarge { path, limit } => {
                write!(f, "{} is larger than {limit} bytes", path.display())
            }
            Self::TooOpen { path, mode } => write!(
                f,
                "{path} is open to others than its owner (mode {mode:04o}), run: chmod 600 {path}",
                path = path.display()
            ),
            Self::NoPermissions { path, file_system } => write!(
                f,
                "{} is open to others than its owner: it is on {file_system}, which keeps no \
                 permissions, and was mounted for everybody",
                path.display()
            ),
            Self::NotOurs { path, owner } => write!(
                f,
                "{} belongs to another user (number {owner}), who can change it",
                path.display()
            ),
            Self::NotAFile { path } => write!(f, "{} is not a regular file", path.display()),
            Self::Io { path, step, .. } => write!(f, "cannot {step} {}", path.display()),
        }
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What was being done to a file when the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Opening it to read.
    Open,
    /// Asking for its kind and permissions.
    Inspect,
    /// Reading it.
    Read,
    /// Making the temporary file beside it.
    CreateTemporary,
    /// Writing the temporary file.
    Write,
    /// Waiting for the temporary file to reach the disk.
    Sync,
    /// Giving the temporary file its name, in place of the old file.
    Replace,
    /// Giving the temporary file its name, which was free.
    Create,
    /// Making a folder.
    CreateFolder,
    /// Waiting for the folder's entry to reach the disk.
    SyncFolder,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Inspect => "inspect",
            Self::Read => "read",
            Self::CreateTemporary => "create a temporary file for",
            Self::Write => "write the temporary file for",
            Self::Sync => "sync the temporary file for",
            Self::Replace => "replace",
            Self::Create => "create",
            Self::CreateFolder => "create folder",
            Self::SyncFolder => "sync the folder of",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in a folder, hidden ones included.
    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    fn mode_of(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn write_replaces_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old", Mode::Public).unwrap();
        write(&path, b"new and longer", Mode::Public).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new and longer");
        write(&path, b"", Mode::Public).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn create_new_never_overwrites() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        create_new(&path, b"first", Mode::Private).unwrap();
        let error = create_new(&path, b"second", Mode::Private).unwrap_err();
        assert!(matches!(&error, FileError::AlreadyExists { path: at } if *at == path));
        assert_eq!(error.code(), "file-exists");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn of_many_creators_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let won: Vec<u8> = std::thread::scope(|scope| {
            let path = &path;
            let threads: Vec<_> = (0..8_u8)
                .map(|n| {
                    scope.spawn(move || create_new(path, &[n; 4096], Mode::Public).map(|()| n))
                })
                .collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap().ok())
                .collect()
        });
        assert_eq!(won.len(), 1);
        assert_eq!(fs::read(&path).unwrap(), [won[0]; 4096]);
        assert_eq!(names(folder.path()), ["a"]);
    }

    /// The file systems of USB sticks have no hard links.
    #[test]
    fn without_hard_links_create_new_never_overwrites_either() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a");
            let create =
                |bytes: &[u8]| create_new_by(&path, bytes, Mode::Private, |_, _| Err(kind.into()));
            create(b"first").unwrap();
            let error = create(b"second").unwrap_err();
            assert_eq!(error.code(), "file-exists");
            assert_eq!(fs::read(&path).unwrap(), b"first");
            assert_eq!(names(folder.path()), ["a"]);
            #[cfg(unix)]
            assert_eq!(mode_of(&path), 0o600);
        }
        let folder = tempfile::tempdir().unwrap();
        let full = |_: &Path, _: &Path| Err(io::ErrorKind::StorageFull.into());
        let error = create_new_by(&folder.path().join("a"), b"", Mode::Private, full);
        assert_eq!(error.unwrap_err().code(), "disk-full");
        assert!(names(folder.path()).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn modes_are_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        write(&path("private"), b"", Mode::Private).unwrap();
        create_new(&path("private-new"), b"", Mode::Private).unwrap();
        create_folder(&path("folder"), Mode::Private).unwrap();
        write(&path("was-open"), b"", Mode::Public).unwrap();
        write(&path("was-open"), b"", Mode::Private).unwrap();
        write(&path("public"), b"", Mode::Public).unwrap();
        assert_eq!(mode_of(&path("private")), 0o600);
        assert_eq!(mode_of(&path("private-new")), 0o600);
        assert_eq!(mode_of(&path("folder")), 0o700);
        assert_eq!(mode_of(&path("was-open")), 0o600);
        assert_eq!(mode_of(&path("public")) & 0o600, 0o600);
        assert_eq!(mode_of(&path("public")) & 0o133, 0);
        let again = create_folder(&path("folder"), Mode::Private).unwrap_err();
        assert!(matches!(again, FileError::AlreadyExists { .. }));
    }

    #[test]
    fn a_failed_replacement_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"kept").unwrap();
        let error = write(&path, b"new", Mode::Public).unwrap_err();
        assert!(
            matches!(
                error,
                FileError::Io {
                    step: Step::Replace,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.source().is_some());
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(names(&path), ["inside"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("no").join("a");
        let error = write(&path, b"new", Mode::Public).unwrap_err();
        assert!(matches!(
            error,
            FileError::Io {
                step: Step::CreateTemporary,
                ..
            }
        ));
        let message = error.to_string();
        assert_eq!(
            message,
            format!("cannot create a temporary file for {}", path.display())
        );
    }

    #[test]
    fn reads_stop_at_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read_bounded(&path, 100).unwrap(), [7; 100]);
        assert_eq!(read_bounded(&path, u64::MAX).unwrap(), [7; 100]);
        let error = read_bounded(&path, 99).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { limit: 99, .. }));
        assert_eq!(
            error.to_string(),
            format!("{} is larger than 99 bytes", path.display())
        );
        let missing = read_bounded(&folder.path().join("b"), 99).unwrap_err();
        assert!(matches!(missing, FileError::Missing { .. }));
        let not_readable = read_bounded(folder.path(), 99).unwrap_err();
        assert!(matches!(not_readable, FileError::Io { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_device_is_refused() {
        let error = read_bounded(Path::new("/dev/zero"), 1000).unwrap_err();
        assert!(matches!(error, FileError::TooLarge { limit: 1000, .. }));
        let error = read_private(Path::new("/dev/null"), 1000).unwrap_err();
        assert!(matches!(error, FileError::NotAFile { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn private_reads_refuse_open_files() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"secret", Mode::Private).unwrap();
        assert_eq!(read_private(&path, 6).unwrap(), b"secret");
        for mode in [0o640, 0o604, 0o610, 0o620, 0o602, 0o601, 0o644, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read_private(&path, 6).unwrap_err();
            assert!(matches!(&error, FileError::TooOpen { mode: found, .. } if *found == mode));
            assert!(
                error
                    .to_string()
                    .ends_with(&format!("chmod 600 {}", path.display()))
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(read_private(&path, 6).unwrap(), b"secret");
        let missing = read_private(&folder.path().join("b"), 6).unwrap_err();
        assert!(matches!(missing, FileError::Missing { .. }));
    }

    /// Nobody writes to the pipe: who waited for that would wait for ever.
    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_a_private_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = read_private(&pipe, 6).unwrap_err();
        assert_eq!(error.code(), "file-not-regular");
    }

    /// Only root can give files away: elsewhere nothing is left to be refused.
    #[cfg(unix)]
    #[test]
    fn private_reads_refuse_the_files_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"secret", Mode::Private).unwrap();
        if std::os::unix::fs::chown(&path, Some(65534), None).is_ok() {
            let error = read_private(&path, 6).unwrap_err();
            assert_eq!(error.code(), "file-owner");
            assert!(error.to_string().contains("65534"), "{error}");
        }
    }

    /// The folder in which the child process of the two tests below must run out of room.
    const FULL_DISK: &str = "PHI_TEST_FULL_DISK_FOLDER";

    /// Not a case of its own: the body that the two cases below run in a child process that
    /// cannot write a megabyte.
    #[test]
    fn child_full_disk() {
        let Some(folder) = std::env::var_os(FULL_DISK) else {
            return;
        };
        let folder = PathBuf::from(folder);
        let path = folder.join("a");
        write(&path, b"old", Mode::Private).unwrap();
        let much = vec![1; 1 << 20];
        let replaced = write(&path, &much, Mode::Private).unwrap_err();
        let created = create_new(&folder.join("b"), &much, Mode::Private).unwrap_err();
        for error in [replaced, created] {
            let step = matches!(
                error,
                FileError::Io {
                    step: Step::Write | Step::Sync,
                    ..
                }
            );
            assert!(step, "{error:?}");
            assert_eq!(error.code(), "disk-full", "{error:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(&folder), ["a"]);
        // With room again, the same call succeeds.
        write(&path, b"new", Mode::Private).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        fs::write(folder.join("done"), b"").unwrap();
    }

    /// Runs `child_full_disk` with `script` around it; `"$@"` in the script is the child.
    #[cfg(unix)]
    fn run_child(program: &str, arguments: &[&str], folder: &Path) -> std::process::Output {
        std::process::Command::new(program)
            .args(arguments)
            .arg("sh")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "durable::tests::child_full_disk"])
            .env(FULL_DISK, folder)
            .output()
            .unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn at_the_file_size_limit_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        // Without the trap the kernel ends the process instead of failing the write.
        let script = r#"trap "" XFSZ && ulimit -f 64 && exec "$@""#;
        let output = run_child("sh", &["-c", script], folder.path());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        assert_eq!(names(folder.path()), ["a", "done"]);
    }

    /// Needs a private mount, which not every system grants: there the case above stands alone.
    #[cfg(target_os = "linux")]
    #[test]
    fn on_a_full_disk_the_old_file_stays() {
        let granted = std::process::Command::new("unshare")
            .args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"])
            .output()
            .is_ok_and(|output| output.status.success());
        if !granted {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            r#"mount -t tmpfs -o size=64k none "${FULL_DISK}" && "$@" && ls "${FULL_DISK}""#
        );
        let output = run_child("unshare", &["-rm", "sh", "-c", &script], folder.path());
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{stdout}");
        assert!(stdout.ends_with("a\ndone\n"), "{stdout}");
    }
}
