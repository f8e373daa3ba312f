//! Issuers that kill themselves at a durable step: at every one of each act, again and again.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use phi_issuer::{Exported, FAIL_POINTS, Issuer, Older, Replace};
use phi_tests::{
    home::{Home, Sql, Store},
    on_every_store,
    snakeoil::START,
    workshop,
};

use crate::aftermath::{check, check_mended};

/// An act and the points that it passes.
struct Act {
    name: &'static str,
    /// How often the victim does it.
    rounds: u64,
    points: &'static [&'static str],
    /// The visit of a point up to which each is tried; an act with fewer is tried at all of them.
    furthest: u64,
    /// How many kills there are at least.
    kills: usize,
}

const APPEND: &[&str] = &[
    "append-before-insert",
    "append-after-insert",
    "write-before-tiles",
    "write-before-commit",
    "write-after-commit",
];
const PUBLISH: &[&str] = &[
    "append-before-insert",
    "append-after-insert",
    "write-before-tiles",
    "write-before-commit",
    "write-after-commit",
    "publish-before-file",
    "file-empty",
    "file-written",
    "file-before-name",
    "file-after-name",
    "publish-after-file",
];
const BATCH: &[&str] = &[
    "append-before-insert",
    "append-after-insert",
    "write-before-tiles",
    "write-before-commit",
    "write-after-commit",
    "batch-between-chunks",
];
const REBUILD: &[&str] = &[
    "rebuild-after-delete",
    "derive-after-entry",
    "rebuild-before-commit",
    "rebuild-after-commit",
];
const BACKUP: &[&str] = &[
    "file-linked",
    "backup-copied",
    "backup-before-name",
    "backup-after-name",
];
const EXPORT: &[&str] = &[
    "file-empty",
    "file-written",
    "file-before-name",
    "file-after-name",
    "file-linked",
    "export-before-checkpoint",
];
const RESTORE: &[&str] = &[
    "file-linked",
    "restore-before-verification",
    "restore-before-place",
    "adopt-before-name",
    "adopt-after-name",
];
const IMPORT: &[&str] = &[
    "file-linked",
    "derive-after-entry",
    "restore-before-verification",
    "restore-before-place",
    "adopt-before-name",
    "adopt-after-name",
];
const INIT: &[&str] = &[
    "file-empty",
    "file-written",
    "file-before-name",
    "file-after-name",
    "file-linked",
    "append-after-insert",
    "write-after-commit",
    "init-before-move",
    "init-after-moves",
];
const MIGRATE: &[&str] = &[
    "migrate-begun",
    "migrate-after-entry",
    "migrate-after-drop",
    "derive-after-entry",
    "migrate-before-commit",
    "migrate-after-commit",
];

const fn act(name: &'static str, points: &'static [&'static str], kills: usize) -> Act {
    Act {
        name,
        rounds: 1,
        points,
        furthest: 8,
        kills,
    }
}

const ISSUE: Act = Act {
    rounds: 8,
    ..act("issue", APPEND, 30)
};
const MINT: Act = Act {
    furthest: 20,
    ..act("mint", APPEND, 19)
};
const CHANGE: Act = Act {
    rounds: 8,
    ..act("change", APPEND, 30)
};
const BULK: Act = Act {
    furthest: 40,
    ..act("bulk", APPEND, 40)
};
const TRANSFER: Act = act("transfer", APPEND, 15);
const REVOKE: Act = act("revoke", APPEND, 10);
const STATUS: Act = act("status", PUBLISH, 11);
const CATALOG: Act = act("catalog", PUBLISH, 12);
const KEYSET: Act = act("keyset", PUBLISH, 20);
const ROTATE: Act = act("rotate", PUBLISH, 40);
const BATCHES: Act = Act {
    rounds: 1_100,
    furthest: 1,
    ..act("batches", BATCH, 6)
};
const REBUILDING: Act = Act {
    furthest: 32,
    ..act("rebuild", REBUILD, 10)
};
const CHECKPOINT: Act = act("checkpoint", PUBLISH, 12);
const BACKING_UP: Act = act("backup", BACKUP, 4);
const EXPORTING: Act = act("export", EXPORT, 10);
const RESTORING: Act = act("restore", RESTORE, 5);
const IMPORTING: Act = act("import", IMPORT, 10);
const MAKING: Act = Act {
    furthest: 16,
    ..act("init", INIT, 40)
};
const MIGRATING: Act = Act {
    furthest: 32,
    ..act("open", MIGRATE, 24)
};

const ACTS: [&Act; 19] = [
    &ISSUE,
    &MINT,
    &CHANGE,
    &BULK,
    &TRANSFER,
    &REVOKE,
    &STATUS,
    &CATALOG,
    &KEYSET,
    &ROTATE,
    &BATCHES,
    &REBUILDING,
    &CHECKPOINT,
    &BACKING_UP,
    &EXPORTING,
    &RESTORING,
    &IMPORTING,
    &MAKING,
    &MIGRATING,
];

#[test]
fn there_are_two_hundred_kills_and_every_point_is_among_them() {
    let kills: usize = ACTS.iter().map(|act| act.kills).sum();
    assert!(kills >= 200, "{kills}");
    let tried = ACTS.iter().flat_map(|act| act.points.iter().copied());
    let tried: BTreeSet<_> = tried.collect();
    assert_eq!(tried, FAIL_POINTS.iter().copied().collect());
}

/// What came of a victim.
enum Outcome {
    /// It killed itself, and had given out these tokens.
    Killed(Vec<String>),
    /// It never came to the point as often.
    Survived,
}

/// Lets the victim kill itself when it comes to the point for the time of this number.
fn run(folder: &Path, act: &Act, seconds: u64, point: &str, number: u64) -> Outcome {
    let numbers = [act.rounds, seconds].map(|number| number.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_issuer-victim"))
        .args([folder.as_os_str(), act.name.as_ref()])
        .args(numbers)
        .args([point, &number.to_string()])
        .output()
        .unwrap();
    if output.status.success() {
        return Outcome::Survived;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert_eq!(
        status.signal(),
        Some(9),
        "{} at {point}: {errors}",
        act.name
    );
    let text = String::from_utf8(output.stdout).unwrap();
    // A line without its end was cut by the kill: nobody was given that token.
    let lines = text.split_inclusive('\n');
    let whole = lines.filter_map(|line| line.strip_suffix('\n'));
    Outcome::Killed(whole.skip(1).map(str::to_owned).collect())
}

/// The first visits of a point one by one, then fewer and fewer.
fn visits(furthest: u64) -> impl Iterator<Item = u64> {
    let next = |number: &u64| Some(number + 1 + number / 4);
    std::iter::successors(Some(1), next).take_while(move |number| *number <= furthest)
}

/// Kills the act at every visit of each of its points. `folder` says where, for each time anew;
/// `after` looks at what is left.
fn kill(
    act: &Act,
    mut folder: impl FnMut() -> PathBuf,
    mut after: impl FnMut(&Path, &[String]),
) -> u64 {
    let (mut seconds, mut kills) = (0, 0);
    for point in act.points {
        for number in visits(act.furthest) {
            seconds += 100;
            let folder = folder();
            let Outcome::Killed(tokens) = run(&folder, act, seconds, point, number) else {
                assert!(number > 1, "{} never comes to {point}", act.name);
                break;
            };
            after(&folder, &tokens);
            kills += 1;
        }
    }
    println!("{}: killed {kills} times in the act", act.name);
    assert!(kills >= act.kills, "{}: {kills} kills", act.name);
    seconds
}

/// Kills the act in one folder that lives through all of it.
fn kill_again_and_again(store: Store, act: &Act) {
    let home = Home::new(store);
    let mut issuer = home.furnished().unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    workshop::mint(&mut issuer, license, 3, START).unwrap();
    drop(issuer);
    let here = || home.path().to_owned();
    let seconds = kill(act, here, |folder, tokens| {
        check(folder, tokens);
    });
    check_mended(home.path(), START.plus(seconds + 100));
}

/// A folder for each kill, made in `parent`.
fn copies(parent: &Path, make: impl Fn(&Path)) -> impl FnMut() -> PathBuf {
    let mut number = 0;
    move || {
        number += 1;
        let folder = parent.join(format!("{number}"));
        make(&folder);
        folder
    }
}

on_every_store![
    issuing_is_killed,
    minting_is_killed,
    changing_is_killed,
    changing_many_is_killed,
    transferring_is_killed,
    revoking_is_killed,
    publishing_a_status_list_is_killed,
    publishing_a_catalog_is_killed,
    rotating_the_license_key_is_killed,
    rotating_a_key_that_the_root_names_is_killed,
    signing_a_checkpoint_is_killed,
    a_rebuild_is_killed,
];

fn issuing_is_killed(store: Store) {
    kill_again_and_again(store, &ISSUE);
}

fn minting_is_killed(store: Store) {
    kill_again_and_again(store, &MINT);
}

fn changing_is_killed(store: Store) {
    kill_again_and_again(store, &CHANGE);
}

fn changing_many_is_killed(store: Store) {
    kill_again_and_again(store, &BULK);
}

fn transferring_is_killed(store: Store) {
    kill_again_and_again(store, &TRANSFER);
}

fn revoking_is_killed(store: Store) {
    kill_again_and_again(store, &REVOKE);
}

fn publishing_a_status_list_is_killed(store: Store) {
    kill_again_and_again(store, &STATUS);
}

fn publishing_a_catalog_is_killed(store: Store) {
    kill_again_and_again(store, &CATALOG);
}

fn rotating_the_license_key_is_killed(store: Store) {
    kill_again_and_again(store, &KEYSET);
}

fn rotating_a_key_that_the_root_names_is_killed(store: Store) {
    kill_again_and_again(store, &ROTATE);
}

fn signing_a_checkpoint_is_killed(store: Store) {
    kill_again_and_again(store, &CHECKPOINT);
}

/// Kills the act in a folder of its own each time, which has a backup and an export in it.
fn kill_in_copies(act: &Act, mut after: impl FnMut(&Path, &[String])) {
    let folders = tempfile::tempdir().unwrap();
    let furnished = folders.path().join("furnished");
    let mut issuer = workshop::furnished(&furnished).unwrap();
    let license = workshop::issue(&mut issuer, START).unwrap();
    workshop::mint(&mut issuer, license, 3, START).unwrap();
    let signed = issuer.checkpoint(&workshop::passphrase(), &workshop::at(START));
    signed.unwrap();
    let told = |_| {};
    issuer.backup(&furnished.join("backup.db"), told).unwrap();
    let export = furnished.join("export");
    issuer
        .export_ledger(&export, Exported::Whole, told)
        .unwrap();
    drop(issuer);
    let folder = copies(folders.path(), |folder| {
        workshop::copy_folder(&furnished, folder).unwrap();
    });
    kill(act, folder, |folder, tokens| {
        after(folder, tokens);
        fs::remove_dir_all(folder).unwrap();
    });
}

#[test]
fn a_batch_is_killed() {
    kill_in_copies(&BATCHES, |folder, tokens| {
        check(folder, tokens);
    });
}

#[test]
fn a_backup_is_killed() {
    let (mut there, mut absent) = (0, 0);
    kill_in_copies(&BACKING_UP, |folder, _| {
        check(folder, &[]);
        let made = folder.join("made.db");
        if made.exists() {
            there += 1;
        } else {
            absent += 1;
            // What is half made is in nobody's way.
            let mut issuer = Issuer::open(folder).unwrap();
            issuer.backup(&made, |_| {}).unwrap();
        }
        let elsewhere = folder.join("elsewhere");
        Issuer::restore(&elsewhere, &made, Replace::Refuse, Older::Refuse, |_| {}).unwrap();
        assert_eq!(Sql::open(&elsewhere).tables(), Sql::open(folder).tables());
    });
    assert!(there > 0 && absent > 0);
}

#[test]
fn an_export_is_killed() {
    kill_in_copies(&EXPORTING, |folder, _| {
        check(folder, &[]);
        let made = folder.join("made");
        let elsewhere = folder.join("elsewhere");
        let imported =
            Issuer::import_ledger(&elsewhere, &made, Replace::Refuse, Older::Refuse, |_| {});
        // The file that says what all the others are is written last.
        assert_eq!(imported.is_ok(), made.join("checkpoint").exists());
    });
}

/// A folder whose store was to be replaced has the old one or the new one, or neither: then both
/// are beside it, and the act can be done again.
fn replacing_is_killed(act: &Act, again: impl Fn(&Path)) {
    let mut missing = 0;
    kill_in_copies(act, |folder, _| {
        let store = folder.join("phi.db");
        if store.exists() {
            check(folder, &[]);
        } else {
            missing += 1;
            let refused = Issuer::open(folder).unwrap_err();
            assert_eq!(refused.code(), "store-missing");
        }
        again(folder);
        check(folder, &[]);
    });
    assert_eq!(missing, 1, "{}", act.name);
}

#[test]
fn restoring_is_killed() {
    replacing_is_killed(&RESTORING, |folder| {
        let backup = folder.join("backup.db");
        Issuer::restore(folder, &backup, Replace::MoveAside, Older::Refuse, |_| {}).unwrap();
    });
}

#[test]
fn importing_is_killed() {
    replacing_is_killed(&IMPORTING, |folder| {
        let export = folder.join("export");
        Issuer::import_ledger(folder, &export, Replace::MoveAside, Older::Refuse, |_| {}).unwrap();
    });
}

fn a_rebuild_is_killed(store: Store) {
    kill_again_and_again(store, &REBUILDING);
}

#[test]
fn making_an_issuer_is_killed() {
    let folders = tempfile::tempdir().unwrap();
    let (mut whole, mut half) = (0, 0);
    let folder = copies(folders.path(), |_| {});
    kill(&MAKING, folder, |folder, _| {
        if Issuer::open(folder).is_ok() {
            whole += 1;
            check(folder, &[]).trust_state().unwrap();
            return;
        }
        half += 1;
        match workshop::init(folder) {
            // Nothing was there yet, or nothing that could be in the way.
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), "folder-in-use", "{error:?}"),
        }
    });
    println!("{whole} whole issuers, {half} cut short");
    assert!(whole > 0 && half > 0);
}

#[test]
fn bringing_an_old_store_up_to_date_is_killed() {
    let folders = tempfile::tempdir().unwrap();
    let folder = copies(folders.path(), |folder| {
        workshop::copy_fixture("ledger-v1", folder).unwrap();
    });
    let mut tables = BTreeSet::new();
    kill(&MIGRATING, folder, |folder, tokens| {
        check(folder, tokens);
        tables.insert(Sql::open(folder).tables());
        fs::remove_dir_all(folder).unwrap();
    });
    assert_eq!(
        tables.len(),
        1,
        "a migration that was cut comes to the same"
    );
}
