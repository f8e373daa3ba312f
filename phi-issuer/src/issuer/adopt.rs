//! Adopting a store: one that was restored or imported becomes the store of an issuer's folder.

use std::{ffi::OsString, fs, path::Path};

use super::{
    KEYS, LOCK, PUBLISHED, SETTINGS, STORE, Settings, StatusTimes, read_settings, settings_text,
    system,
};
use crate::{
    Replace,
    durable::{self, Mode},
    error::Error,
    event::Event,
    keyfile::KdfStrength,
    store::Store,
};

/// Puts a store, which is in a file of the folder, in the place where the settings have it; a
/// folder without settings gets those of the ledger's issuer.
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
    let settings = folder.join(SETTINGS);
    let fresh = !settings.exists();
    if !fresh {
        let ours = read_settings(folder)?.issuer;
        if ours != issuer {
            return Err(Error::Invalid {
                what: "the store",
                problem: format!("is of issuer {issuer}, and the folder of {ours}"),
            });
        }
    }
    for (name, mode) in [(KEYS, Mode::Private), (PUBLISHED, Mode::Public)] {
        durable::create_folders(&folder.join(name), mode)?;
    }
    let lock = durable::open_lock(&folder.join(LOCK))?;
    lock.lock().map_err(system("taking the lock"))?;
    // Closed, a store is one file.
    drop(store);
    let target = folder.join(STORE);
    if target.symlink_metadata().is_ok() {
        match replace {
            Replace::Refuse => return Err(Error::StoreInUse { path: target }),
            Replace::MoveAside => move_aside(&target)?,
        }
    }
    failpoint!("adopt-before-name");
    fs::rename(file, &target).map_err(system("moving the store into place"))?;
    failpoint!("adopt-after-name");
    durable::sync_folder_of(&target)?;
    if fresh {
        let text = settings_text(&Settings {
            issuer,
            kdf: KdfStrength::Standard,
            status: StatusTimes::default(),
        });
        durable::write(&settings, text.as_bytes(), Mode::Public)?;
    }
    Ok(())
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
