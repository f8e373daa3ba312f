//! Adopting a store: one that was restored or imported becomes the store of an issuer's folder.

use std::{ffi::OsString, fs, path::Path};

use super::{
    KEYS, LOCK, PUBLISHED, SETTINGS, STORE, StoreOptions, init::write_settings, read_settings,
    system,
};
use crate::{
    Replace,
    durable::{self, Mode},
    error::Error,
    event::Event,
    keyfile::KdfStrength,
    store::{Empty, Store},
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

fn place_file(file: &Path, target: &Path, replace: Replace) -> Result<(), Error> {
    if target.symlink_metadata().is_ok() {
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
    let named = |end: &str, number: u32| {
        let mut name = OsString::from(store);
        name.push(format!(".replaced-{number}{end}"));
        name
    };
    let taken = |number: &u32| Path::new(&named("", *number)).exists();
    let number = (1..=u32::MAX).find(|number| !taken(number));
    let number = number.expect("there are more numbers than files");
    // The journals go first: without them nobody takes the store for whole.
    for end in ["-wal", "-shm", ""] {
        let mut name = OsString::from(store);
        name.push(end);
        if Path::new(&name).exists() {
            fs::rename(&name, named(end, number)).map_err(system("moving the old store aside"))?;
        }
    }
    Ok(())
}
