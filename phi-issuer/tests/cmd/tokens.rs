//! Keys in a real PKCS#11 token: SoftHSM, which keeps its tokens in a folder.
//!
//! Each command is a process of its own, so that each loads the module anew. SoftHSM never locks
//! a PIN, and gives in where hardware would not: it is a stand-in, and no example.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::run::{Folder, check, refusal};

/// The module; `cargo xtask test` sets it, or says what is missing.
const MODULE: &str = "PHI_TEST_PKCS11";

fn module() -> PathBuf {
    let usual = Path::new("/usr/lib/softhsm/libsofthsm2.so");
    match env::var_os(MODULE) {
        Some(module) => module.into(),
        None if usual.exists() => usual.into(),
        None => panic!("SoftHSM is needed: apt-get install softhsm2, or set {MODULE}"),
    }
}

/// An issuer with a license, and a token called `issuer` with the PIN 1234.
struct Vault {
    folder: Folder,
    license: String,
}

impl Vault {
    fn new() -> Self {
        let (folder, license) = Folder::with_license();
        let tokens = folder.path("tokens");
        fs::create_dir(&tokens).unwrap();
        let settings = format!("directories.tokendir = {}\n", tokens.display());
        fs::write(folder.path("softhsm2.conf"), settings).unwrap();
        fs::write(folder.path("pin"), "1234\n").unwrap();
        fs::write(folder.path("wrong"), "4321\n").unwrap();
        let vault = Self { folder, license };
        vault.make_token("issuer");
        vault
    }

    fn make_token(&self, label: &str) {
        let mut util = Command::new("softhsm2-util");
        util.args(["--init-token", "--free", "--label", label]);
        util.args(["--pin", "1234", "--so-pin", "567890"]);
        let made = self.in_vault(util).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    fn in_vault(&self, mut command: Command) -> Command {
        command.env("SOFTHSM2_CONF", self.folder.path("softhsm2.conf"));
        command
    }

    /// A command with the module's path in the place of `MODULE`.
    fn command(&self, arguments: &str) -> Command {
        let arguments = arguments.replace("MODULE", module().to_str().unwrap());
        self.in_vault(self.folder.command(&arguments))
    }

    #[track_caller]
    fn json(&self, schema: &str, arguments: &str) -> Value {
        let output = self
            .command(&format!("--json --pin-file pin {arguments}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "phi {arguments}: {output:?}");
        let value = serde_json::from_slice(&output.stdout).unwrap();
        check(schema, &value);
        value
    }

    #[track_caller]
    fn refused(&self, arguments: &str, code: &str) -> Output {
        let output = self
            .command(&format!("--json {arguments}"))
            .output()
            .unwrap();
        assert_eq!(refusal(&output), (22, code.into()), "{arguments}");
        output
    }

    /// A key in the token, by its id.
    fn key(&self) -> String {
        let made = self.json("key-new", "key new --pkcs11 MODULE --token issuer");
        assert_eq!(made["signer"]["kind"], "token");
        assert_eq!(made["signer"]["name"], "issuer");
        made["key"].as_str().unwrap().into()
    }

    fn place(&self, key: &str) -> PathBuf {
        self.folder.path(&format!("keys/license-{key}.signer.toml"))
    }

    /// Changes what is said of where a key is.
    fn edit(&self, key: &str, change: impl FnOnce(&str) -> String) {
        let path = self.place(key);
        let text = fs::read_to_string(&path).unwrap();
        let changed = change(&text);
        assert_ne!(text, changed);
        fs::write(path, changed).unwrap();
    }
}

#[test]
fn licenses_are_signed_in_a_token() {
    let vault = Vault::new();
    let key = vault.key();
    let listed = vault.json("key-tokens", "key tokens --pkcs11 MODULE --token issuer");
    assert_eq!(listed["keys"][0]["key"], *key);
    let tokens = vault.json("key-tokens", "key tokens --pkcs11 MODULE");
    assert_eq!(tokens["tokens"][0]["label"], "issuer");
    assert_eq!(tokens["tokens"][0]["ed25519"], true);
    let checked = vault.json("key-check", &format!("key check {key}"));
    assert_eq!(checked["signs"], true);
    vault.json("keyset-publish", "keyset publish");
    let rotated = vault.json("key-rotate", "key rotate");
    assert_eq!(rotated["new"], *key);
    vault.json("keyset-publish", "keyset publish");

    // The passphrase of the key files is not asked for.
    let mut mint = Command::new(crate::run::phi());
    mint.current_dir(vault.folder.path("")).args([
        "--json",
        "--now=2026-06-01",
        "--passphrase-file=none",
        "--pin-file=pin",
        "mint",
        &vault.license,
    ]);
    let minted = vault.in_vault(mint).output().unwrap();
    assert!(minted.status.success(), "{minted:?}");
    let minted: Value = serde_json::from_slice(&minted.stdout).unwrap();
    assert_eq!(minted["tokens"][0]["key"], *key, "{minted}");
    let token = minted["tokens"][0]["token"].as_str().unwrap();
    let verified = vault.json("verify", &format!("verify {token}"));
    assert_eq!(verified["verified"], true, "{verified}");

    let export = format!("key export {key} --recipient {SAFE} --out key.age");
    let (exit, code) = refusal(&vault.command(&format!("--json {export}")).output().unwrap());
    assert_eq!((exit, &*code), (20, "not-allowed"));
    assert!(!vault.folder.path("key.age").exists());
}

const SAFE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[test]
fn a_key_that_is_in_the_token_already_is_taken() {
    let vault = Vault::new();
    let key = vault.key();
    let text = fs::read_to_string(vault.place(&key)).unwrap();
    let id = text
        .lines()
        .find_map(|line| line.strip_prefix("id = \""))
        .unwrap();
    let new = "key new --pkcs11 MODULE --token issuer --id";
    let again = format!("--json --pin-file pin {new} {}", id.trim_end_matches('"'));
    let output = vault.command(&again).output().unwrap();
    assert_eq!(refusal(&output), (14, "already-exists".into()));
    vault.refused(&format!("--pin-file pin {new} 00ff"), "token-key-missing");
}

#[test]
fn what_is_wrong_with_a_token_is_said() {
    let vault = Vault::new();
    let (one, other) = (vault.key(), vault.key());
    let check = format!("--pin-file pin key check {one}");
    for _ in 0..7 {
        vault.refused(&format!("--pin-file wrong key check {one}"), "pin-wrong");
    }
    vault.json("key-check", &format!("key check {one}"));
    vault.refused(
        &format!("--pin-file none key check {one}"),
        "passphrase-unreadable",
    );
    // An empty PIN is none, and is no passphrase.
    fs::write(vault.folder.path("empty"), "").unwrap();
    let said = vault.refused(&format!("--pin-file empty key check {one}"), "pin-missing");
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("needs its PIN"),
        "{said:?}"
    );

    let new = "--pin-file pin key new --token issuer --pkcs11";
    vault.refused(&format!("{new} /nonexistent/module.so"), "token-module");
    vault.refused(&format!("{new} passphrase.txt"), "token-module");
    let said = vault.refused(
        "--pin-file pin key new --pkcs11 MODULE --token other",
        "token-missing",
    );
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("issuer ("),
        "{said:?}"
    );

    let place = fs::read_to_string(vault.place(&one)).unwrap();
    let others = fs::read_to_string(vault.place(&other)).unwrap();
    vault.edit(&one, |_| others);
    vault.refused(&check, "token-key-mismatch");
    vault.edit(&one, |_| place.replace("id = \"", "id = \"00"));
    vault.refused(&check, "token-key-missing");
    vault.edit(&one, |_| place.replace("serial = \"", "serial = \"00"));
    vault.refused(&check, "token-missing");
    vault.edit(&one, |_| format!("{place}pin = \"1234\"\n"));
    vault.refused(&check, "signer-place");
    let listed = vault.json("key-list", "key list");
    let keys = listed["keys"].as_array().unwrap();
    let unreadable = keys.iter().find(|key| key["key"] == *one).unwrap();
    assert_eq!(unreadable["signer"]["kind"], "unreadable");
    vault.edit(&one, |_| place);
    let file = vault.folder.path(&format!("keys/license-{one}.key"));
    fs::write(&file, "").unwrap();
    vault.refused(&check, "signer-twice");
    fs::remove_file(file).unwrap();
    vault.json("key-check", &format!("key check {one}"));

    vault.make_token("issuer");
    vault.refused(
        "--pin-file pin key new --pkcs11 MODULE --token issuer",
        "token-ambiguous",
    );
    // The serial number of its token stands with the key.
    vault.json("key-check", &format!("key check {one}"));
}

/// The command has found the token and a session is open when it asks for the PIN.
#[cfg(unix)]
#[test]
fn a_token_that_is_taken_out_in_the_middle_is_said_to_be_gone() {
    let vault = Vault::new();
    let key = vault.key();
    let pipe = vault.folder.pipe("pipe");
    let check = format!("--json --pin-file pipe key check {key}");
    let running = vault
        .command(&check)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It opens when the command does.
    let mut pin = File::options().write(true).open(&pipe).unwrap();
    fs::rename(vault.folder.path("tokens"), vault.folder.path("gone")).unwrap();
    pin.write_all(b"1234\n").unwrap();
    drop(pin);
    let output = running.wait_with_output().unwrap();
    assert_eq!(refusal(&output), (22, "token-removed".into()), "{output:?}");
    fs::rename(vault.folder.path("gone"), vault.folder.path("tokens")).unwrap();
    vault.json("key-check", &format!("key check {key}"));
}
