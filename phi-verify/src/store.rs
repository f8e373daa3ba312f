//! Keeps a trust state in two files, so that a crash, a bad disk or a careless hand costs neither
//! the state nor a floor, and never stops the application.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("phi-store-{}", std::process::id()));
//! # let (data, user) = (folder.join("data"), folder.join("user"));
//! # let now = phi_verify::UnixTime::from(std::time::SystemTime::now());
//! use phi_verify::store::Store;
//!
//! let store = Store::new(include_bytes!("../../keys/demo/root-1.phi"), &data, &user);
//! let mut loaded = store.load()?;
//! loaded.trust.observe(now);
//! // What came with the application may be older than what was imported since: no reason to stop.
//! if let Err(error) = loaded.trust.import(include_bytes!("../../keys/demo/keyset.phi")) {
//!     eprintln!("license trust: {error}");
//! }
//! for finding in loaded.findings.iter().chain(&store.save(&mut loaded.trust)) {
//!     eprintln!("license trust: {finding}");
//! }
//!
//! let again = store.load()?;
//! assert_eq!(again.trust, loaded.trust);
//! assert!(again.findings.is_empty());
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! A file is written under another name, brought to the disk and renamed, one after the other in
//! two folders: at every moment one of them has a whole state. What is found wrong is a
//! [`Finding`], to be logged; the state that comes with it is the best there is, and at the least
//! the anchor that is compiled in. What the bytes mean is `trust/persist.rs`'s.

mod disk;
mod finding;

use std::{
    boxed::Box,
    io,
    path::{Path, PathBuf},
    string::{String, ToString as _},
    vec::Vec,
};

pub use self::{
    disk::{Disk, Files},
    finding::{Finding, Place, Step},
};
use crate::{
    TrustState,
    error::Error,
    trust::{MAX_STATE, Restored, StateError},
};

/// Two folders that keep one trust state.
#[derive(Clone, Debug)]
pub struct Store<'a, F = Disk> {
    anchor: &'a [u8],
    data: PathBuf,
    user: PathBuf,
    files: F,
}

/// What a store has kept.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The state, to go on with.
    pub trust: TrustState,
    /// What was found wrong on the way, to be logged. None of it is a reason to stop.
    pub findings: Vec<Finding>,
}

/// What is in the place of a copy.
enum Held {
    Sound(Vec<u8>, Box<Restored>),
    Missing,
    /// Written by a newer application, which will want it back as it is.
    Newer(Finding),
    Bad(Finding),
}

impl<'a> Store<'a> {
    /// A store of the state that begins with this anchor, in two folders: one for the
    /// application's data, and one of the user's. They are made when they are needed.
    pub fn new(anchor: &'a [u8], data: impl Into<PathBuf>, user: impl Into<PathBuf>) -> Self {
        Self::on(Disk, anchor, data, user)
    }
}

impl<'a, F: Files> Store<'a, F> {
    /// A store in another file system than the machine's.
    pub fn on(
        files: F,
        anchor: &'a [u8],
        data: impl Into<PathBuf>,
        user: impl Into<PathBuf>,
    ) -> Self {
        Self {
            anchor,
            data: data.into(),
            user: user.into(),
            files,
        }
    }

    /// Reads the state: the newest copy that is sound, with the floors of both, or else the
    /// anchor.
    ///
    /// # Errors
    /// Why the anchor is refused, which is a mistake in the build. Nothing that is or is not in
    /// the folders is an error.
    pub fn load(&self) -> Result<Loaded, Error> {
        let anchor = TrustState::from_anchor(self.anchor)?;
        let mut findings = Vec::new();
        let (mut sound, mut missing, mut newer) = (Vec::new(), Vec::new(), false);
        for place in Place::ALL {
            match self.read(place) {
                Held::Sound(bytes, restored) => sound.push((place, bytes, restored)),
                Held::Missing => missing.push(Finding::CopyMissing { place }),
                Held::Newer(finding) => {
                    newer = true;
                    findings.push(finding);
                }
                Held::Bad(finding) => findings.push(finding),
            }
        }
        let marker = Place::ALL.into_iter().find_map(|place| self.marker(place));
        if sound.is_empty() {
            if !newer && (marker.is_some() || !findings.is_empty()) {
                findings.push(Finding::StateLost);
            }
        } else {
            findings.append(&mut missing);
        }
        let trust = newest(sound, &mut findings).unwrap_or(anchor);
        Ok(Loaded {
            trust: match marker.and_then(|id| id.parse().ok()) {
                Some(installation) => trust.with_installation(installation),
                None => trust,
            },
            findings,
        })
    }

    /// Writes the state into both folders, if it is not there already. What another process has
    /// written since is taken over first.
    ///
    /// To be called at the end of every change: after an import, after
    /// [`observe`](TrustState::observe). What the folders have is compared first, so that a call
    /// without news writes nothing.
    ///
    /// The findings say what was not written, and why; the state in memory is good regardless. A
    /// copy of a newer application is left as it is.
    pub fn save(&self, trust: &mut TrustState) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut places = Vec::new();
        for place in Place::ALL {
            match self.open(place) {
                Ok(lock) => places.push((place, lock)),
                Err(finding) => findings.push(finding),
            }
        }
        let mut present = Vec::new();
        places.retain(|(place, _)| match self.read(*place) {
            Held::Sound(bytes, restored) => {
                trust.absorb(&restored.trust);
                present.push(bytes);
                true
            }
            Held::Newer(finding) => {
                findings.push(finding);
                false
            }
            Held::Missing | Held::Bad(_) => true,
        });
        let bytes = trust.to_bytes();
        if bytes.len().saturating_add(GENERATION_GROWS) > MAX_STATE {
            // No load would take it back, and what is there is better than nothing.
            findings.push(Finding::TooLarge { bytes: bytes.len() });
        } else if present.len() < places.len() || present.iter().any(|present| *present != bytes) {
            trust.count_generation();
            let bytes = trust.to_bytes();
            for (place, _lock) in &places {
                let written = self.replace(*place, State, &bytes);
                findings.extend(written.err());
            }
        }
        let id = trust.installation().map(|id| id.to_string());
        let id = id.unwrap_or_default();
        for (place, _lock) in &places {
            if self.marker(*place).as_ref() != Some(&id) {
                findings.extend(self.replace(*place, Marker, id.as_bytes()).err());
            }
        }
        findings
    }

    /// Makes the folder of a copy, and keeps other processes from writing there meanwhile.
    fn open(&self, place: Place) -> Result<F::Lock, Finding> {
        let failed = |step| move |error| Finding::unwritable(place, step, &error);
        let folder = self.folder(place);
        let made = self.files.create_folder(folder);
        made.map_err(failed(Step::CreateFolder))?;
        let lock = self.files.lock(&self.path(place, Lock));
        lock.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Finding::Busy { place },
            _ => Finding::unwritable(place, Step::Lock, &error),
        })
    }

    /// Writes a file so that it is there whole or as it was before.
    fn replace(&self, place: Place, name: Name, bytes: &[u8]) -> Result<(), Finding> {
        let failed = |step| move |error| Finding::unwritable(place, step, &error);
        let (temporary, target) = (self.path(place, Temporary), self.path(place, name));
        let mut file = (self.files.create(&temporary)).map_err(failed(Step::Create))?;
        (self.files.write(&mut file, bytes)).map_err(failed(Step::Write))?;
        // From here on the new bytes survive a power cut, under a name that nobody reads.
        self.files.sync(&file).map_err(failed(Step::Sync))?;
        drop(file);
        (self.files.rename(&temporary, &target)).map_err(failed(Step::Replace))?;
        // From here on they survive one under the right name.
        (self.files.sync_folder(self.folder(place))).map_err(failed(Step::SyncFolder))
    }

    fn read(&self, place: Place) -> Held {
        let limit = u64::try_from(MAX_STATE).unwrap_or(u64::MAX);
        let bytes = match self.files.read(&self.path(place, State), limit) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Held::Missing,
            Err(error) => {
                let kind = error.kind();
                return Held::Bad(Finding::CopyUnreadable { place, kind });
            }
        };
        match TrustState::from_bytes(self.anchor, &bytes) {
            Ok(restored) => Held::Sound(bytes, Box::new(restored)),
            Err(StateError::Newer { found, known }) => Held::Newer(Finding::NewerFormat {
                place,
                found,
                known,
            }),
            Err(error) => Held::Bad(Finding::CopyDamaged { place, error }),
        }
    }

    /// The installation's id, or an empty text if it had none; `None` if there was never a state.
    fn marker(&self, place: Place) -> Option<String> {
        let bytes = self.files.read(&self.path(place, Marker), MARKER_LIMIT);
        let text = String::from_utf8(bytes.ok()?).unwrap_or_default();
        Some(text.trim().into())
    }

    fn folder(&self, place: Place) -> &Path {
        match place {
            Place::Data => &self.data,
            Place::User => &self.user,
        }
    }

    /// Names are plain, and differ between the places: both may be one folder.
    fn path(&self, place: Place, name: Name) -> PathBuf {
        let ending = match name {
            State => "state",
            Marker => "installed",
            Temporary => "tmp",
            Lock => "lock",
        };
        let name = std::format!("phi-trust-{}.{ending}", place.name());
        self.folder(place).join(name)
    }
}

/// The files of a copy.
#[derive(Clone, Copy)]
enum Name {
    /// The state.
    State,
    /// Says that there was a state, and the installation's id.
    Marker,
    /// What is to become one of the two.
    Temporary,
    /// Held by whoever writes.
    Lock,
}

use Name::{Lock, Marker, State, Temporary};

/// By how much a state grows at most when it is counted.
const GENERATION_GROWS: usize = 8;

/// An id has 32 characters; a marker that someone edited may have a few blanks.
const MARKER_LIMIT: u64 = 64;

/// The newest of the copies, with what the other one knows.
fn newest(
    mut copies: Vec<(Place, Vec<u8>, Box<Restored>)>,
    findings: &mut Vec<Finding>,
) -> Option<TrustState> {
    // The last of those that are equal is the first place's.
    copies.reverse();
    copies.sort_by_key(|(.., restored)| restored.trust.generation());
    let (_, bytes, newest) = copies.pop()?;
    let refused = newest.refused.iter().cloned();
    findings.extend(refused.map(Finding::DocumentRefused));
    let mut merged = *newest;
    for (place, other, restored) in copies {
        if other != bytes {
            findings.push(Finding::CopyBehind { place });
            merged = merged.merged(&restored);
        }
    }
    Some(merged.trust)
}
