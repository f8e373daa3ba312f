//! Adopting a store: one that was restored or imported becomes the store of an issuer's folder.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::{
    ANCHOR, IN_USE, KEYS, LOCK, PUBLISHED, SETTINGS, STORE, StoreOptions, init::write_settings,
    read_settings, system,
};
use crate::{
    Replace,
    durable::{self, Mode},
    error::Error,
    event::Event,
    keyfile::KdfStrength,
    store::{Empty, Location, Query, Store, files_of},
};

/// Puts a store, which is in a file of the folder, in the place where the settings have it, which
/// may be an empty database on a server; a folder without settings gets those of the ledger's issuer.
pub(crate) fn adopt(
    folder: &Path,
    mut store: Store,
    file: &Path,
    replace: Replace,
) -> Result<(), Error> {
    let first = store
        .read(|query| query.entry(1))?
        .map(|(entry, _)| entry.event);
    let Some(Event::IssuerCreated { issuer }) = first else {
        return Err(Error::EventDamaged {
            problem: "the ledger does not begin with its issuer".into(),
        });
    };
    store.read(|query| check_anchor(folder, query))?;
    let fresh = !folder.join(SETTINGS).exists();
    let settings = if fresh {
        StoreOptions::default().settings(issuer, KdfStrength::Standard)
    } else {
        let settings = read_settings(folder)?;
        if settings.issuer != issuer {
            let ours = settings.issuer;
            return Err(Error::Invalid {
                what: "the store",
                problem: format!("is of issuer {issuer}, and the folder of {ours}"),
            });
        }
        settings
    };
    for (name, mode) in [(KEYS, Mode::Private), (PUBLISHED, Mode::Public)] {
        durable::create_folders(&folder.join(name), mode)?;
    }
    let lock = durable::open_lock(&folder.join(LOCK))?;
    lock.lock().map_err(system("taking the lock"))?;
    // Whoever has the old store open would go on writing into it, out of sight.
    let in_use = durable::open_lock(&folder.join(IN_USE))?;
    if in_use.try_lock().is_err() {
        return Err(Error::NotAllowed {
            what: "the store".into(),
            problem: "is in use by another phi",
            hint: "wait until it is done, and try again",
        });
    }
    if settings.store.is_some() {
        // What is in a database is not moved aside: it must be empty.
        let server = Empty::connect(&settings.location(folder)?)?;
        server.fill(|take| store.each_entry(take))?;
    } else {
        // Closed, a store is one file.
        drop(store);
        place_file(file, &folder.join(STORE), replace)?;
    }
    if fresh {
        write_settings(folder, &settings)?;
    }
    Ok(())
}

/// A folder keeps the trust anchor that it published: applications have it compiled in.
pub(crate) fn check_anchor(folder: &Path, query: &Query<'_>) -> Result<(), Error> {
    let documents = query.published()?;
    let Some(anchor) = documents.first() else {
        return Ok(());
    };
    // Always the first root, whatever version the store's says that it has.
    let path = folder.join(PUBLISHED).join(ANCHOR);
    match fs::read(&path) {
        Ok(published) if published != anchor.document => Err(Error::BadCopy {
            what: "the store".into(),
            problem: format!(
                "is of another issuer: its trust anchor is not {}",
                path.display()
            ),
            hint: "name the folder of its issuer with --dir; if this is it, keep the store for the \
                   inquiry: its beginning was replaced",
        }),
        _ => Ok(()),
    }
}

fn place_file(file: &Path, target: &Path, replace: Replace) -> Result<(), Error> {
    // A journal without its store would be taken for that of the new one.
    let is_there = |file: &PathBuf| file.symlink_metadata().is_ok();
    if files_of(target).iter().any(is_there) {
        match replace {
            Replace::Refuse => {
                return Err(Error::StoreInUse {
                    place: target.display().to_string(),
                    hint: "pass --replace to move it aside",
                });
            }
            Replace::MoveAside => move_aside(target)?,
        }
    }
    failpoint!("adopt-before-name");
    fs::rename(file, target).map_err(system("moving the store into place"))?;
    failpoint!("adopt-after-name");
    Ok(durable::sync_folder_of(target)?)
}

/// Gives a store and its journals names under which nobody opens them.
fn move_aside(store: &Path) -> Result<(), Error> {
    // Opened and closed, a sound store is one file, with all that was committed.
    drop(Store::open(&Location::File(store.into())));
    let aside = |number: u32| {
        let mut name = OsString::from(store);
        name.push(format!(".replaced-{number}"));
        PathBuf::from(name)
    };
    let number = (1..=u32::MAX).find(|number| !aside(*number).exists());
    let number = number.expect("there are more numbers than files");
    for (from, to) in files_of(store).iter().zip(files_of(&aside(number))) {
        if from.symlink_metadata().is_ok() {
            fs::rename(from, to).map_err(system("moving the old store aside"))?;
        }
    }
    Ok(())
}
