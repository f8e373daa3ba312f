//! What others on the machine can see of an issuer's folder, and do to it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use phi_issuer::Issuer;
use phi_tests::{
    snakeoil::START,
    workshop::{self, at, passphrase},
};

/// The ledger holds every token and every customer; whoever opens the lock file can hold the lock.
#[test]
fn nobody_else_reads_the_ledger_or_holds_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    // Left open: the journal files are there as long as the store is.
    let _issuer = workshop::furnished(folder.path()).unwrap();
    for name in ["phi.db", "phi.db-wal", "phi.db-shm", "phi.lock"] {
        let metadata = fs::metadata(folder.path().join(name)).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} has mode {mode:o}");
    }
}

#[test]
fn a_lock_file_that_leads_elsewhere_empties_no_file() {
    let folder = tempfile::tempdir().unwrap();
    workshop::furnished(folder.path()).unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "kept").unwrap();
    let lock = folder.path().join("phi.lock");
    fs::remove_file(&lock).unwrap();
    symlink(&victim, &lock).unwrap();
    let mut issuer = Issuer::open(folder.path()).unwrap();
    let _ = issuer.publish_status(&passphrase(), &at(START));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
}
