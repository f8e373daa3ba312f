//! Disks of a test's own, to be filled and made read-only.

use std::{env, fs, io::Write as _, path::Path, process::Command};

/// Set in a process that may mount what it likes: nobody else sees it.
const INSIDE: &str = "PHI_TEST_INSIDE_NAMESPACE";

/// Runs a test of this binary in a mount namespace of its own. `true` inside of it.
///
/// # Panics
/// If the test fails inside.
pub fn alone(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount"]);
        command
    };
    let probe = unshare()
        .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: this system lets nobody mount a file system for a test");
        return false;
    }
    let mut inside = unshare();
    inside.arg(env::current_exe().expect("a test binary has a path"));
    inside
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1");
    let status = inside.status().expect("the probe ran");
    assert!(status.success(), "{test} failed inside");
    false
}

/// Mounts a disk in memory on the folder, with these options.
///
/// # Panics
/// If it cannot be mounted.
pub fn mount(options: &str, folder: &Path) {
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(folder);
    let status = mount.status().expect("mount is a program");
    assert!(status.success(), "mount -o {options}");
}

/// Takes all the room that there is but this much.
///
/// # Panics
/// If the file cannot be made.
pub fn fill(ballast: &Path, room: u64) {
    let mut file = fs::File::create(ballast).expect("a file can be made");
    while file.write_all(&[0; 4096]).is_ok() {}
    let size = file.metadata().expect("a file has a size").len();
    file.set_len(size.saturating_sub(room))
        .expect("a file can be cut");
}
