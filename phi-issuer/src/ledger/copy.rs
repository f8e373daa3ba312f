//! Copies of the ledger: backups and their restoring, exports that others can read and check.
//!
//! Whatever comes back is made into a store of its own first, verified there from its first event
//! to its last, and only then put in place.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Read, Write as _},
    path::{Path, PathBuf},
};

use phi_verify::log::LogState;
use serde::de::IgnoredAny;

use super::{Older, Progress, Verified, ahead::Ahead, verify};
use crate::{
    Issuer,
    durable::{self, FileError, Mode},
    error::Error,
    event::SignedCheckpoint,
    issuer::{self, CHECKPOINT, system},
    store::{Location, Store, damaged_tree, files_of},
    tree::{Hash, TILE_WIDTH, TilePath, TileStore as _, Tree, tile_width, write_bundle},
};

/// What of the ledger is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exported {
    /// Checkpoint and tiles, which name nobody: fit for a web server.
    Public,
    /// The events as well, from which the ledger can be made again.
    Whole,
}

/// What an export came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// The checkpoint that covers it.
    pub checkpoint: SignedCheckpoint,
    /// Events after that checkpoint, which are not in it.
    pub left_out: u64,
    /// Tiles and bundles that were written.
    pub files: u64,
}

/// The entries as a sequence of CBOR items (RFC 8742).
const EVENTS: &str = "events.cbor";
const WHOLE_EXPORT: &str =
    "name the folder that `phi ledger export` wrote, whole and as it was written";
/// A store is made here before it takes its place.
const SCRATCH: &str = ".phi-restore.db";

impl Issuer {
    /// Writes a copy of the store as it is now into a new file, while others go on working. The
    /// copy is a store in a file, also of a store on a server.
    ///
    /// # Errors
    /// If the file is there already or cannot be written; nothing is left behind then.
    pub fn backup(
        &mut self,
        path: &Path,
        mut progress: impl FnMut(Progress),
    ) -> Result<u64, Error> {
        refuse_existing(path)?;
        let scratch = beside(path);
        remove_store(&scratch)?;
        let written = self.write_backup(&scratch, &mut progress);
        let placed = written.and_then(|size| {
            refuse_existing(path)?;
            failpoint!("backup-before-name");
            fs::rename(&scratch, path).map_err(system("moving the backup into place"))?;
            failpoint!("backup-after-name");
            durable::sync_folder_of(path)?;
            Ok(size)
        });
        if placed.is_err() {
            remove_store(&scratch)?;
        }
        placed
    }

    fn write_backup(
        &mut self,
        path: &Path,
        progress: &mut impl FnMut(Progress),
    ) -> Result<u64, Error> {
        if !self.store.copy_file(path)? {
            let source = &mut self.store;
            let total = source.read(|query| query.size())?;
            let location = Location::File(path.into());
            Store::create_from(&location, |each| {
                source.read(|query| {
                    query.replay(|entry, bytes| {
                        progress(Progress {
                            done: entry.seq,
                            total,
                        });
                        each(bytes)
                    })
                })
            })?;
        }
        failpoint!("backup-copied");
        let file = File::open(path).and_then(|file| file.sync_all());
        file.map_err(system("making the backup durable"))?;
        let mut copy = Store::open(&Location::File(path.into()))?;
        copy.read(|query| {
            let tiles = query.tiles();
            let size = query.size()?;
            // Root and tiles fit: what is in the copy is whole.
            let tree = Tree::new(&tiles, size).map_err(damaged_tree)?;
            tree.root(size).map_err(damaged_tree)?;
            Ok(size)
        })
    }

    /// Brings a backup back into the folder of an issuer, after all of it was verified.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the backup is not what its events make it,
    /// [`Error::StoreInUse`] if there is a store that is not to be replaced,
    /// [`Error::OlderThanPublished`] if numbers that the folder has published would be used twice.
    pub fn restore(
        folder: &Path,
        backup: &Path,
        replace: Replace,
        older: Older<'_>,
        progress: impl FnMut(Progress),
    ) -> Result<Verified, Error> {
        let scratch = folder.join(SCRATCH);
        into_place(folder, (replace, older), progress, None, |_| {
            check_source(backup)?;
            let mut from = durable::open(backup)?;
            let mut copy = private_file(&scratch)?;
            let copied = io::copy(&mut from, &mut copy).and_then(|_| copy.flush());
            copied.map_err(system("copying the backup"))?;
            Store::open(&Location::File(scratch.clone())).map_err(|error| match error {
                Error::StoreForeign { hint, .. } => Error::StoreForeign {
                    place: backup.display().to_string(),
                    hint,
                },
                error => error,
            })
        })
    }

    /// Writes the ledger, as far as a checkpoint covers it, into a new folder of files: those of
    /// C2SP tlog-tiles and, if all of it is exported, the events.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no checkpoint, [`Error::FolderInUse`] if the folder is not
    /// empty.
    pub fn export_ledger(
        &mut self,
        folder: &Path,
        what: Exported,
        mut progress: impl FnMut(Progress),
    ) -> Result<Export, Error> {
        let checkpoint = self.newest_checkpoint()?;
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::FolderInUse {
                path: folder.into(),
            });
        }
        let mode = match what {
            Exported::Public => Mode::Public,
            Exported::Whole => Mode::Private,
        };
        durable::create_folders(folder, mode)?;
        let size = checkpoint.size;
        let mut files = 0;
        let left_out = self.store.read(|query| {
            let tiles = query.tiles();
            files += write_tiles(folder, size, |level, number| tiles.tile(level, number))?;
            let mut events = match what {
                Exported::Public => None,
                Exported::Whole => Some(private_file(&folder.join(EVENTS))?),
            };
            let mut bundle = Bundle::new(folder, size);
            query.replay(|entry, bytes| {
                if entry.seq > size {
                    return Ok(());
                }
                progress(Progress {
                    done: entry.seq,
                    total: size,
                });
                files += bundle.push(entry.leaf(bytes).encode())?;
                match &mut events {
                    None => Ok(()),
                    Some(file) => file.write_all(bytes).map_err(writing_events),
                }
            })?;
            if let Some(file) = events {
                let file = file.into_inner().map_err(|error| error.into_error());
                file.and_then(|file| file.sync_all())
                    .map_err(writing_events)?;
            }
            Ok(query.size()? - size)
        })?;
        failpoint!("export-before-checkpoint");
        // Last: it says what all the others are.
        let path = folder.join(CHECKPOINT);
        durable::write(&path, checkpoint.note.as_bytes(), mode)?;
        Ok(Export {
            checkpoint,
            left_out,
            files,
        })
    }

    /// Makes the store of an issuer's folder out of an export, after all of it was verified.
    ///
    /// # Errors
    /// [`Error::Diverged`] if the events are not those of the export's checkpoint,
    /// [`Error::StoreInUse`] if there is a store that is not to be replaced,
    /// [`Error::OlderThanPublished`] if numbers that the folder has published would be used twice.
    pub fn import_ledger(
        folder: &Path,
        export: &Path,
        replace: Replace,
        older: Older<'_>,
        progress: impl FnMut(Progress),
    ) -> Result<Verified, Error> {
        let limit = phi_verify::log::MAX_NOTE as u64;
        let path = export.join(CHECKPOINT);
        let unreadable = |problem: String| Error::BadCopy {
            what: path.display().to_string(),
            problem,
            hint: WHOLE_EXPORT,
        };
        let checkpoint = durable::read_bounded(&path, limit)?;
        let checkpoint = String::from_utf8(checkpoint);
        let checkpoint = checkpoint.map_err(|_| unreadable("is not UTF-8".into()))?;
        let total = LogState::restore(&checkpoint)
            .map_err(|cause| unreadable(format!("is no checkpoint: {cause}")))?
            .size();
        let events = durable::open(&export.join(EVENTS)).map_err(|error| match error {
            FileError::Missing { .. } => Error::BadCopy {
                what: export.display().to_string(),
                problem: format!("has no {EVENTS}: it was made to be published"),
                hint: "export it again without --public: what is published has no events",
            },
            error => error.into(),
        })?;
        let mut events = BufReader::new(events);
        let location = Location::File(folder.join(SCRATCH));
        into_place(
            folder,
            (replace, older),
            progress,
            Some(&checkpoint),
            |told| {
                Store::create_from(&location, |each| {
                    let mut done = 0;
                    while let Some(bytes) = next_entry(&mut events, done)? {
                        done += 1;
                        told(Progress { done, total });
                        each(&bytes)?;
                    }
                    Ok(())
                })
            },
        )
    }
}

/// What becomes of a store that is in the folder already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It stays, and nothing is done.
    Refuse,
    /// It is moved aside, under a name that says so.
    MoveAside,
}

/// Makes a store in the scratch file, verifies it, and puts it where the folder's settings say.
fn into_place<P: FnMut(Progress)>(
    folder: &Path,
    (replace, older): (Replace, Older<'_>),
    mut progress: P,
    checkpoint: Option<&str>,
    make: impl FnOnce(&mut P) -> Result<Store, Error>,
) -> Result<Verified, Error> {
    durable::create_folders(folder, Mode::Public)?;
    let scratch = folder.join(SCRATCH);
    remove_store(&scratch)?;
    let placed = make(&mut progress).and_then(|mut store| {
        failpoint!("restore-before-verification");
        let verified = verify::run(&mut store, checkpoint, &mut progress)?;
        store.read(|query| issuer::check_anchor(folder, query))?;
        let ahead = Ahead::of(folder, &mut store)?;
        ahead.settle(&mut store, older)?;
        failpoint!("restore-before-place");
        issuer::adopt(folder, store, &scratch, replace)?;
        ahead.keep_checkpoint(folder)?;
        Ok(verified)
    });
    remove_store(&scratch)?;
    let verified = placed?;
    Issuer::open(folder)?.write_published()?;
    Ok(verified)
}

/// Writes the tiles of a tree of this size; how many.
fn write_tiles(
    folder: &Path,
    size: u64,
    tile: impl Fn(u8, u64) -> Result<Option<Vec<u8>>, Error>,
) -> Result<u64, Error> {
    let mut files = 0;
    for level in (0..).take_while(|level| tile_width(size, *level, 0) > 0) {
        for number in (0..).take_while(|number| tile_width(size, level, *number) > 0) {
            let width = tile_width(size, level, number);
            let path = TilePath::hashes(level, number, width).map_err(no_path)?;
            let hashes = tile(level, number)?.unwrap_or_default();
            // Tiles grow: a part of what is stored now is what was there then.
            let hashes =
                hashes
                    .get(..width * size_of::<Hash>())
                    .ok_or_else(|| Error::EventDamaged {
                        problem: format!("tile {number} of level {level} is too short"),
                    })?;
            write_public(&folder.join(path.to_string()), hashes)?;
            files += 1;
        }
    }
    Ok(files)
}

/// Collects the leaves of a bundle and writes it when it is full, or when there are no more.
struct Bundle<'f> {
    folder: &'f Path,
    size: u64,
    seen: u64,
    leaves: Vec<Vec<u8>>,
}

impl<'f> Bundle<'f> {
    const fn new(folder: &'f Path, size: u64) -> Self {
        Self {
            folder,
            size,
            seen: 0,
            leaves: Vec::new(),
        }
    }

    /// How many files it wrote.
    fn push(&mut self, leaf: Vec<u8>) -> Result<u64, Error> {
        self.leaves.push(leaf);
        self.seen += 1;
        if self.leaves.len() < TILE_WIDTH && self.seen < self.size {
            return Ok(0);
        }
        let number = (self.seen - 1) / TILE_WIDTH as u64;
        let path = TilePath::entries(number, self.leaves.len()).map_err(no_path)?;
        let bytes = write_bundle(self.leaves.iter().map(Vec::as_slice));
        let bytes = bytes.map_err(|error| Error::Invalid {
            what: "a bundle of leaves",
            problem: format!("cannot be written: {error}"),
        })?;
        write_public(&self.folder.join(path.to_string()), &bytes)?;
        self.leaves.clear();
        Ok(1)
    }
}

fn no_path(error: crate::tree::PathError) -> Error {
    Error::Invalid {
        what: "a tile",
        problem: format!("has no path: {error}"),
    }
}

fn write_public(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        durable::create_folders(folder, Mode::Public)?;
    }
    Ok(durable::write(path, bytes, Mode::Public)?)
}

/// A new file that only its owner can read.
fn private_file(path: &Path) -> Result<BufWriter<File>, Error> {
    durable::create_new(path, b"", Mode::Private)?;
    let file = OpenOptions::new().append(true).open(path);
    file.map(BufWriter::new)
        .map_err(system("opening a private file"))
}

fn writing_events(source: io::Error) -> Error {
    Error::System {
        step: "writing the events",
        source,
    }
}

/// The bytes of the next entry of a sequence of CBOR items, after so many: as they are, for the
/// checkpoint is of them.
fn next_entry(events: &mut BufReader<File>, done: u64) -> Result<Option<Vec<u8>>, Error> {
    let rest = events.fill_buf().map_err(system("reading the events"))?;
    if rest.is_empty() {
        return Ok(None);
    }
    let mut item = Recorded {
        source: events,
        bytes: Vec::new(),
    };
    let read: Result<IgnoredAny, _> = ciborium::from_reader(&mut item);
    read.map_err(|error| Error::EventDamaged {
        problem: format!("{EVENTS} does not read after event {done}: {error}"),
    })?;
    Ok(Some(item.bytes))
}

/// Keeps what is read from the source.
struct Recorded<'s, R> {
    source: &'s mut R,
    bytes: Vec<u8>,
}

impl<R: Read> Read for Recorded<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(into)?;
        self.bytes.extend_from_slice(&into[..count]);
        Ok(count)
    }
}

/// A backup is one regular file: a store with a journal beside it is not whole without it.
fn check_source(backup: &Path) -> Result<(), Error> {
    let invalid = |problem: &str| {
        Err(Error::BadCopy {
            what: backup.display().to_string(),
            problem: problem.into(),
            hint: "name one file that `phi ledger backup` wrote",
        })
    };
    if fs::metadata(backup).is_ok_and(|file| !file.is_file()) {
        return invalid("is no regular file");
    }
    let [_, journal, ..] = files_of(backup);
    if fs::metadata(&journal).is_ok_and(|file| file.len() > 0) {
        return invalid("has a journal beside it (-wal): it is a store, and no backup");
    }
    Ok(())
}

/// Names that are taken are not given away.
fn refuse_existing(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(FileError::AlreadyExists { path: path.into() }.into()),
    }
}

/// A name in the same folder, for what is not whole yet.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Removes a store in a file with its journals, if it is there.
fn remove_store(path: &Path) -> Result<(), Error> {
    for file in files_of(path) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(system("removing a part of a store")(error));
            }
            _ => {}
        }
    }
    Ok(())
}
