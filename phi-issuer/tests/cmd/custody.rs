//! Keys behind programs and in escrow, and the process that opens keys.

use std::fs;
use std::process::{Command, Stdio};

use age::secrecy::ExposeSecret as _;

use crate::run::Folder;

const SIGN: &str = "openssl pkeyutl -sign -rawin -inkey key.pem -in /dev/stdin";

fn openssl(folder: &Folder, arguments: &str) {
    let mut openssl = Command::new("openssl");
    openssl.current_dir(folder.path(""));
    let made = openssl.args(arguments.split_whitespace()).output();
    let made = made.expect("openssl 3 is needed: apt-get install openssl");
    assert!(made.status.success(), "{made:?}");
}

/// An issuer with a license, and a key that OpenSSL has in `key.pem` and `public.pem`.
fn with_openssl() -> (Folder, String) {
    let (folder, license) = Folder::with_license();
    openssl(&folder, "genpkey -algorithm ed25519 -out key.pem");
    openssl(&folder, "pkey -in key.pem -pubout -out public.pem");
    (folder, license)
}

#[test]
fn licenses_are_signed_by_a_program() {
    let (folder, license) = with_openssl();
    let made = folder.json(
        "key-new",
        &format!("key new --public public.pem --exec {SIGN}"),
    );
    let key = made["key"].as_str().unwrap();
    assert_eq!(made["signer"]["kind"], "program");
    assert_eq!(made["signer"]["name"], "openssl");
    folder.json("key-check", &format!("key check {key}"));
    folder.ok("keyset publish");
    folder.ok("key rotate");
    folder.ok("keyset publish");
    let minted = folder.json("mint", &format!("mint {license}"));
    assert_eq!(minted["tokens"][0]["key"], *key);
    let token = minted["tokens"][0]["token"].as_str().unwrap();
    folder.ok(&format!("verify {token}"));

    fs::rename(folder.path("key.pem"), folder.path("away.pem")).unwrap();
    let check = format!("key check {key}");
    assert_eq!(folder.refused(&check), (22, "signer-program-failed".into()));
    let said = folder.run(&check);
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("key.pem"),
        "{said:?}"
    );
    // Another key signs: nothing of it is given out.
    openssl(&folder, "genpkey -algorithm ed25519 -out key.pem");
    assert_eq!(folder.refused(&check), (22, "sign-failed".into()));
    assert_eq!(
        folder.refused(&format!("mint {license}")),
        (22, "sign-failed".into())
    );
}

/// Whoever can change the file has Phi run a program.
#[cfg(unix)]
#[test]
fn a_signer_that_others_can_change_is_not_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, _) = with_openssl();
    let new = format!("key new --public public.pem --exec {SIGN}");
    let made = folder.json("key-new", &new);
    let check = format!("key check {}", made["key"].as_str().unwrap());
    folder.ok(&check);
    let signer = folder.path(made["file"].as_str().unwrap());
    fs::set_permissions(&signer, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(folder.refused(&check), (22, "file-permissions".into()));
}

/// Nobody writes to the pipe: who waited for that would wait for ever.
#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_key_file_is_refused() {
    let (folder, license) = Folder::with_license();
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["role"] == "license").unwrap();
    let file = key["file"].as_str().unwrap();
    fs::remove_file(folder.path(file)).unwrap();
    folder.pipe(file);
    for command in [
        format!("key check {}", key["key"].as_str().unwrap()),
        format!("mint {license}"),
    ] {
        assert_eq!(folder.refused(&command).1, "key-malformed");
    }
}

#[test]
fn a_program_without_the_key_is_not_added() {
    let (folder, _) = with_openssl();
    let before = folder.json("key-list", "key list");
    let new = "key new --public public.pem --exec";
    assert_eq!(
        folder.refused(&format!("{new} true")).1,
        "signer-program-output"
    );
    assert_eq!(
        folder.refused(&format!("{new} /nonexistent/sign")).1,
        "signer-program"
    );
    let swapped = "key new --public key.pem --exec true";
    assert_eq!(folder.refused(swapped), (14, "input-invalid".into()));
    assert_eq!(folder.json("key-list", "key list"), before);
    let files = fs::read_dir(folder.path("keys")).unwrap();
    assert!(files.into_iter().all(|file| {
        let path = file.unwrap().path();
        path.extension().is_some_and(|extension| extension == "key")
    }));
}

#[test]
fn keys_go_into_escrow_and_come_back() {
    let (folder, license) = Folder::with_license();
    let identity = age::x25519::Identity::generate();
    let safe = folder.path("safe.txt");
    phi_issuer::durable::create_new(
        &safe,
        identity.to_string().expose_secret().as_bytes(),
        phi_issuer::durable::Mode::Private,
    )
    .unwrap();
    fs::write(folder.path("escrow.txt"), "battery staple\n").unwrap();
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["role"] == "license").unwrap();
    let (id, file) = (key["key"].as_str().unwrap(), key["file"].as_str().unwrap());
    let recipient = identity.to_public();
    let export = format!("key export {id} --recipient {recipient} --out license.age");
    folder.json("key-export", &export);
    assert_eq!(folder.refused(&export), (14, "file-exists".into()));
    folder.ok(&format!(
        "key export {id} --escrow-passphrase-file escrow.txt --out passphrase.age"
    ));
    let trail = folder.ok("audit query --event key-exported");
    assert!(trail.contains(&recipient.to_string()), "{trail}");
    assert!(trail.contains("under a passphrase"), "{trail}");

    let import = "key import license.age --identity safe.txt";
    assert_eq!(folder.refused(import), (14, "already-exists".into()));
    for import in [
        import,
        "key import passphrase.age --escrow-passphrase-file escrow.txt",
    ] {
        fs::remove_file(folder.path(file)).unwrap();
        assert_eq!(
            folder.refused(&format!("mint {license}")).1,
            "key-file-missing"
        );
        let wrong = "key import passphrase.age --escrow-passphrase-file passphrase.txt";
        assert_eq!(folder.refused(wrong), (14, "input-invalid".into()));
        let back = folder.json("key-import", import);
        assert_eq!(back["key"], id);
        folder.ok(&format!("mint {license}"));
    }
    // A key of another issuer is not taken.
    let (other, _) = Folder::with_license();
    fs::copy(folder.path("license.age"), other.path("license.age")).unwrap();
    fs::copy(&safe, other.path("safe.txt")).unwrap();
    assert_eq!(other.refused(import), (14, "not-found".into()));
}

/// The process has opened no key yet when it waits for the passphrase, and is closed already.
#[cfg(target_os = "linux")]
#[test]
fn the_process_that_opens_keys_is_not_dumped() {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    let (folder, license) = Folder::with_license();
    let pipe = folder.pipe("pipe");
    let mut command = Command::new(crate::run::phi());
    command.current_dir(folder.path("")).stdout(Stdio::null());
    command.args([
        "--now=2026-06-01",
        "--passphrase-file=pipe",
        "mint",
        &license,
    ]);
    let mut running = command.spawn().unwrap();
    // It opens when the command does.
    let mut passphrase = fs::File::options().write(true).open(&pipe).unwrap();
    let process = format!("/proc/{}", running.id());
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let numbers: Vec<_> = core.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"], "{limits}");
    // The files of a process that may be dumped are its user's, and else root's. Of a process of
    // root's it shows in no file; that is left to the test beside the code.
    let owner = fs::metadata(format!("{process}/environ")).unwrap().uid();
    assert_eq!(owner, 0);
    passphrase.write_all(b"snakeoil\n").unwrap();
    drop(passphrase);
    assert!(running.wait().unwrap().success());
}
