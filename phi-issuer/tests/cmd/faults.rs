//! Outputs and disks that fail, passphrases that are wrong: nothing is lost and all is said.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::run::{Folder, phi, refusal};

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new();
    let mut child = folder
        .command("completions bash")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn wrong_passphrases_change_nothing() {
    let (folder, license) = Folder::with_license();
    fs::write(folder.path("passphrase.txt"), "another\n").unwrap();
    let refused = folder.refused(&format!("mint {license}"));
    assert_eq!(refused, (22, "passphrase-wrong".into()));
    fs::write(folder.path("passphrase.txt"), "").unwrap();
    assert_eq!(folder.refused("key new"), (22, "passphrase-empty".into()));
    fs::remove_file(folder.path("passphrase.txt")).unwrap();
    assert_eq!(
        folder.refused("key new"),
        (22, "passphrase-unreadable".into())
    );
    let shown = folder.json("license-show", &format!("license show {license}"));
    assert_eq!(shown["tokens"].as_array().unwrap().len(), 0);
}

#[cfg(unix)]
#[test]
fn a_passphrase_comes_by_a_descriptor() {
    let (folder, license) = Folder::with_license();
    let mut child = Command::new(phi())
        .current_dir(folder.path(""))
        .args([
            "--now",
            "2026-06-01",
            "--passphrase-fd",
            "0",
            "mint",
            &license,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"snakeoil\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"v4.public."));
}

#[cfg(unix)]
#[test]
fn keys_open_to_others_and_missing_keys_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, license) = Folder::with_license();
    let entries = fs::read_dir(folder.path("keys")).unwrap();
    let key = entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().contains("license-"))
        .unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = folder.refused(&format!("mint {license}"));
    assert_eq!(refused, (22, "key-permissions".into()));
    fs::remove_file(&key).unwrap();
    let refused = folder.refused(&format!("mint {license}"));
    assert_eq!(refused, (22, "key-file-missing".into()));
}

#[cfg(unix)]
#[test]
fn paths_that_are_no_text_are_paths() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = Folder::new();
    let name = OsStr::from_bytes(b"\xff\xfe.txt");
    let output = crate::run::output_of(&folder, &["inspect".as_ref(), name]);
    assert_eq!(refusal(&output), (14, "file-missing".into()));
    fs::write(folder.path("").join(name), "v4.public.").unwrap();
    let output = crate::run::output_of(&folder, &["inspect".as_ref(), name]);
    assert_eq!(refusal(&output), (12, "token-shape".into()));
}

#[test]
fn a_damaged_store_is_refused() {
    let (folder, license) = Folder::with_license();
    fs::write(
        folder.path("phi.db"),
        "not a database, but long enough to be read as one",
    )
    .unwrap();
    for leftover in ["phi.db-wal", "phi.db-shm"] {
        let _ = fs::remove_file(folder.path(leftover));
    }
    let (exit, code) = folder.refused(&format!("license show {license}"));
    assert_eq!(exit, 20);
    assert!(code.starts_with("store-"), "{code}");
    fs::remove_file(folder.path("phi.db")).unwrap();
    assert_eq!(folder.refused("license list").0, 20);
}

/// `/dev/full` takes nothing, as a full disk does.
#[cfg(target_os = "linux")]
#[test]
fn a_token_that_cannot_be_printed_is_in_the_store() {
    let (folder, license) = Folder::with_license();
    let output = folder
        .command(&format!("mint {license}"))
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let hint = format!("the tokens are recorded: phi license show {license} --tokens");
    assert!(said.contains(&hint), "{said}");
    let tokens = folder.ok(&format!("license show {license} --tokens"));
    assert_eq!(tokens.lines().count(), 1);
}

/// A limit on the size of files stands for a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    let (folder, license) = Folder::with_license();
    let limited = |arguments: &str| {
        let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
        let command = folder.command(&format!("--json {arguments}"));
        Command::new("sh")
            .current_dir(folder.path(""))
            .args(["-c", script, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .output()
            .unwrap()
    };
    fs::write(folder.path("features.tsv"), "starter\tsso\n").unwrap();
    let import = "catalog import features.tsv --product other --out other.toml";
    assert_eq!(refusal(&limited(import)), (1, "disk-full".into()));
    assert!(!folder.path("other.toml").exists());
    let (exit, code) = refusal(&limited(&format!("mint {license}")));
    assert_eq!((exit, code.as_str()), (20, "store-unusable"));
    let shown = folder.json("license-show", &format!("license show {license}"));
    assert_eq!(shown["tokens"].as_array().unwrap().len(), 0);
    assert!(
        folder
            .ok(&format!("mint {license}"))
            .starts_with("v4.public.")
    );
}
