//! Running the command.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The binary under test.
pub(crate) fn phi() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_phi"))
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap().to_owned()
}

/// A folder for one test, with a passphrase in it.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("passphrase.txt"), "snakeoil\n").unwrap();
        Self(folder)
    }

    /// A folder with an issuer, a catalog, a customer and a license, whose id is returned.
    pub(crate) fn with_license() -> (Self, String) {
        let folder = Self::new();
        folder.ok("init --issuer phi.example.com --product atlas --kdf fast");
        folder.ok("catalog publish");
        folder.ok("customer add globex");
        let issued = folder.json(
            "license-issue",
            "license issue --customer globex --plan premium --expires +1y --grace 14d",
        );
        let license = issued["license"].as_str().unwrap().to_owned();
        (folder, license)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A pipe in the folder: who reads it waits until somebody writes.
    #[cfg(unix)]
    pub(crate) fn pipe(&self, name: &str) -> PathBuf {
        let pipe = self.path(name);
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        pipe
    }

    /// A command in the folder, at a time and with the passphrase.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(phi());
        command
            .current_dir(self.0.path())
            .args(["--now", "2026-06-01", "--actor", "alice"])
            .args(["--passphrase-file", "passphrase.txt"])
            .args(arguments.split_whitespace());
        command
    }

    /// A command that says its time itself.
    pub(crate) fn plain(&self, arguments: &str) -> Output {
        let mut command = Command::new(phi());
        command
            .current_dir(self.0.path())
            .args(["--actor", "alice", "--passphrase-file", "passphrase.txt"])
            .args(arguments.split_whitespace());
        command.output().unwrap()
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What the command prints, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "phi {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The JSON that the command prints, which must succeed and fit its schema.
    #[track_caller]
    pub(crate) fn json(&self, schema: &str, arguments: &str) -> Value {
        let value = serde_json::from_str(&self.ok(&format!("--json {arguments}"))).unwrap();
        check(schema, &value);
        value
    }

    /// The exit code and the stable code of the error of a command that must fail.
    #[track_caller]
    pub(crate) fn refused(&self, arguments: &str) -> (i32, String) {
        let output = self.run(&format!("--json {arguments}"));
        refusal(&output)
    }
}

/// The exit code and the stable code of a command that failed with `--json`.
#[track_caller]
pub(crate) fn refusal(output: &Output) -> (i32, String) {
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    check("error", &value);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("phi: error: "), "{said}");
    assert!(said.contains("phi: hint: "), "{said}");
    let code = value["error"]["code"].as_str().unwrap().to_owned();
    (output.status.code().unwrap(), code)
}

/// Checks a value against the schema of a command.
#[track_caller]
pub(crate) fn check(schema: &str, value: &Value) {
    let path = repository().join(format!("docs/cli/schema/{schema}.json"));
    let text = fs::read_to_string(&path).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}\n{value:#}");
}

/// An argument that may be no text.
pub(crate) fn output_of(folder: &Folder, arguments: &[&OsStr]) -> Output {
    folder.command("--json").args(arguments).output().unwrap()
}
