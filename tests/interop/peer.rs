//! The libraries on the other side, behind one interface.

use std::env;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use phi_tests::snakeoil::Seed;
use phi_verify::Claims;

use crate::sample::{ASSERTION, Sample, description};
use crate::{pasetors, sample};

/// A PASETO implementation of someone else's.
pub(crate) enum Peer {
    Pasetors,
    Script(Script),
}

impl Peer {
    pub(crate) fn all() -> [Self; 3] {
        [
            Self::Pasetors,
            Self::Script(Script::python()),
            Self::Script(Script::node()),
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pasetors => "pasetors",
            Self::Script(script) => script.name,
        }
    }

    pub(crate) fn verify(
        &mut self,
        sample: &Sample,
        token: &str,
        assertion: &str,
    ) -> Result<(), String> {
        match self {
            Self::Pasetors => {
                pasetors::verify(sample, token, assertion).map_err(|error| format!("{error:?}"))
            }
            Self::Script(script) => {
                let answer = script.ask(&json!({
                    "op": "verify",
                    "token": token,
                    "public_key_hex": hex(&sample.public_key),
                    "assertion": assertion,
                    "footer_cbor_hex": hex(&sample.footer),
                }));
                if answer["ok"] == true {
                    Ok(())
                } else {
                    Err(answer["error"].to_string())
                }
            }
        }
    }

    /// Signs these footer bytes with the snakeoil license key.
    pub(crate) fn sign(&mut self, footer: &[u8]) -> String {
        match self {
            Self::Pasetors => pasetors::sign(footer),
            Self::Script(script) => script.make(json!({
                "op": "mint",
                "footer_cbor_hex": hex(footer),
            })),
        }
    }

    /// Mints a license with these claims, in the peer's own CBOR, from the format's description.
    pub(crate) fn mint(&mut self, claims: &Claims) -> String {
        match self {
            Self::Pasetors => pasetors::sign(&pasetors::footer(claims)),
            Self::Script(script) => script.make(json!({
                "op": "issue",
                "key_id_hex": hex(&sample::snakeoil_key_id()),
                "license": description(claims),
            })),
        }
    }
}

/// A script beside this file: a request a line in, an answer a line out.
pub(crate) struct Script {
    name: &'static str,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    fn python() -> Self {
        Self::start("pyseto", &installed("PHI_INTEROP_PYTHON"), "check.py")
    }

    fn node() -> Self {
        // The script reads the folder of packages from the same variable.
        installed("PHI_INTEROP_NODE_MODULES");
        Self::start("npm paseto", Path::new("node"), "check.mjs")
    }

    fn start(name: &'static str, program: &Path, script: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop");
        let mut child = Command::new(program)
            .arg(folder.join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            name,
            child,
            requests,
            answers,
        }
    }

    /// Asks for a token under the snakeoil license key.
    fn make(&mut self, mut request: Value) -> String {
        request["seed_hex"] = hex(&Seed::License.signing_key().to_bytes()).into();
        request["public_key_hex"] = hex(Seed::License.public().as_bytes()).into();
        request["assertion"] = ASSERTION.into();
        let answer = self.ask(&request);
        let token = answer["token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests, "{request}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{} answered `{answer}`: {error}", self.name))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The script has answered all it was asked; nothing is lost, and an error here
        // means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn installed(variable: &str) -> PathBuf {
    let Some(path) = env::var_os(variable) else {
        panic!("{variable} is not set: run `cargo xtask test --only interop`, which installs it")
    };
    path.into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
