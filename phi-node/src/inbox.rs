//! Files that are watched: bundles, documents and licenses that somebody puts beside the node.
//!
//! They are looked at each second, and taken when what is in them has changed. A file that was
//! refused for want of another is tried again when another was taken, so that files in a folder may
//! come in any order. What the bytes are is left to `intake.rs`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use phi_verify::store::{Disk, Files as _};
use sha2::{Digest as _, Sha256};

use crate::{
    intake::{MAX_INTAKE, Outcome, Report},
    licenses::Licenses,
};

/// How often files are looked at: a license that is suspended here is refused this much later.
pub const LOOK: Duration = Duration::from_secs(1);

/// A folder has at most so many files that are looked at.
const MAX_FILES: usize = 4096;

/// A file that was written a moment ago may be written again without showing it in its times.
const SETTLED: Duration = Duration::from_secs(2);

/// Files and folders that are watched.
#[derive(Debug)]
pub struct Inbox {
    paths: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, Seen>,
    /// What could not be read at the last look, so that it is said once.
    unread: BTreeMap<PathBuf, String>,
}

#[derive(Clone, Debug)]
struct Seen {
    stamp: Option<Stamp>,
    hash: [u8; 32],
    refused: bool,
}

/// What a file's times and length say; the same says that the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The file.
    pub path: PathBuf,
    /// What became of it.
    pub told: Told,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was read, and each part had its outcome.
    Taken(Report),
    /// It is no object of Phi.
    NotAnObject(Box<phi_verify::Error>),
    /// It cannot be read.
    Unread(String),
}

impl Inbox {
    /// Files, and folders of files.
    pub const fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            seen: BTreeMap::new(),
            unread: BTreeMap::new(),
        }
    }

    /// Takes what has changed since the last look. It reads and verifies, and may block.
    pub fn look(&mut self, licenses: &Licenses) -> Vec<News> {
        let mut news = Vec::new();
        let mut unread = BTreeMap::new();
        let files = self.files(&mut unread);
        self.seen.retain(|path, _| files.contains(path));
        let mut changed = Vec::new();
        for path in files {
            match self.read_if_changed(&path) {
                Ok(Some(bytes)) => changed.push((path, bytes)),
                Ok(None) => {}
                Err(error) => {
                    unread.insert(path, error.to_string());
                }
            }
        }
        let mut updated = self.take(licenses, changed, &mut news);
        // Each round takes at least one file that the one before did not.
        while updated {
            let again = self.refused();
            updated = self.take(licenses, again, &mut news);
        }
        for (path, problem) in &unread {
            if self.unread.get(path) != Some(problem) {
                let (path, told) = (path.clone(), Told::Unread(problem.clone()));
                news.push(News { path, told });
            }
        }
        self.unread = unread;
        news
    }

    fn files(&self, unread: &mut BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for path in &self.paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            match files_of(path) {
                Ok(found) => files.extend(found),
                Err(error) => {
                    unread.insert(path.clone(), error.to_string());
                }
            }
        }
        files
    }

    /// The bytes of a file that has others than at the last look.
    fn read_if_changed(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let stamp = Stamp::of(path)?;
        let seen = self.seen.get(path);
        if seen.is_some_and(|seen| seen.stamp == Some(stamp)) {
            return Ok(None);
        }
        let bytes = Disk.read(path, MAX_INTAKE as u64)?;
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        let (same, refused) = seen.map_or((false, false), |seen| (seen.hash == hash, seen.refused));
        let stamp = Some(stamp).filter(|stamp| stamp.is_settled());
        let now = Seen {
            stamp,
            hash,
            refused,
        };
        self.seen.insert(path.into(), now);
        Ok((!same).then_some(bytes))
    }

    fn refused(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let refused = self.seen.iter().filter(|(_, seen)| seen.refused);
        let read = |path: &PathBuf| Some((path.clone(), Disk.read(path, MAX_INTAKE as u64).ok()?));
        refused.filter_map(|(path, _)| read(path)).collect()
    }

    /// Whether anything is in force that was not before.
    fn take(
        &mut self,
        licenses: &Licenses,
        files: Vec<(PathBuf, Vec<u8>)>,
        news: &mut Vec<News>,
    ) -> bool {
        let mut updated = false;
        for (path, bytes) in files {
            let (told, refused) = match licenses.import(&bytes) {
                Ok(report) => {
                    let fresh = |part: &crate::intake::Part| part.outcome == Outcome::Updated;
                    updated |= report.parts.iter().any(fresh);
                    let refused = !report.is_good();
                    (Told::Taken(report), refused)
                }
                Err(error) => (Told::NotAnObject(Box::new(error)), false),
            };
            if let Some(seen) = self.seen.get_mut(&path) {
                seen.refused = refused;
            }
            news.retain(|news: &News| news.path != path);
            news.push(News { path, told });
        }
        updated
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            modified: metadata.modified()?,
            length: metadata.len(),
        })
    }

    fn is_settled(self) -> bool {
        let age = SystemTime::now().duration_since(self.modified);
        age.is_ok_and(|age| age > SETTLED)
    }
}

/// The files of a folder, in the order of their names. Hidden ones are being written, or are how a
/// cluster switches from one set of files to the next.
fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
        if files.len() > MAX_FILES {
            let problem = format!("the folder has more than {MAX_FILES} files");
            return Err(io::Error::other(problem));
        }
    }
    files.sort();
    Ok(files)
}
