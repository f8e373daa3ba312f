//! Where a key's signer is, when it is no encrypted file: a file of a few lines for people.
//!
//! ```toml
//! [pkcs11]
//! module = "/usr/lib/softhsm/libsofthsm2.so"
//! token = "issuer"
//! serial = "9f2c41d0a6e3b785"
//! id = "5d0e4c1b7a923f6885d2e1c09b7f4a63"
//! ```
//!
//! or
//!
//! ```toml
//! [exec]
//! argv = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "k.pem", "-in", "/dev/stdin"]
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use phi_verify::{KeyId, PublicKey};
use serde::{Deserialize, Serialize};

use super::SignerError;
use crate::durable::{self, FileError, Mode};

/// Where a key's signer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// In a PKCS#11 token, such as a hardware security module.
    Pkcs11(TokenKey),
    /// Behind a program.
    Exec(Program),
}

/// A key in a PKCS#11 token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// The module: the library that the token's maker supplies.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The token's serial number; `None` takes any token of that label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The key's `CKA_ID`.
    #[serde(with = "hex")]
    pub id: Vec<u8>,
}

/// A token to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundToken {
    /// Its label.
    pub label: String,
    /// Its serial number.
    pub serial: String,
    /// Its maker and model.
    pub model: String,
    /// Whether it makes Ed25519 keys and signs with them.
    pub ed25519: bool,
}

/// An Ed25519 key in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// Its `CKA_ID`, in hexadecimal.
    pub id: String,
    /// Its label.
    pub label: String,
    /// Its public half.
    pub public: PublicKey,
}

/// A program that signs: the message on its standard input, 64 bytes on its standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The program and its arguments, handed over as they are: no shell reads them.
    pub argv: Vec<String>,
}

/// A place is a few lines.
const MAX_PLACE_LEN: u64 = 64 << 10;
/// As long as any token's; the usual are 1 to 32 bytes.
const MAX_ID_LEN: usize = 255;
/// More than any command needs.
const MAX_ARGUMENTS: usize = 256;
const EXTENSION: &str = "signer.toml";

impl Place {
    /// The file in `folder` that says where the signer of a key is.
    pub(crate) fn path(folder: &Path, role: &str, key_id: KeyId) -> PathBuf {
        folder.join(format!("{role}-{key_id}.{EXTENSION}"))
    }

    /// Reads a place, from a file that is its owner's alone as key files are.
    ///
    /// # Errors
    /// [`SignerError::File`], or [`SignerError::Place`] with what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, SignerError> {
        let refused = |problem: String| SignerError::Place {
            path: path.into(),
            problem,
        };
        // Whoever can change it has Phi load a library, or run a program.
        let bytes = durable::read_private(path, MAX_PLACE_LEN)?;
        let text = str::from_utf8(&bytes).map_err(|_| refused("it is not UTF-8".into()))?;
        let place: Self = toml::from_str(text).map_err(|error| refused(on_one_line(&error)))?;
        place.check().map_err(|problem| refused(problem.into()))?;
        Ok(place)
    }

    /// Writes a place to `path`, which must not exist.
    ///
    /// # Errors
    /// [`SignerError::File`], or [`SignerError::Place`] if nothing can sign there.
    pub(crate) fn write(&self, path: &Path) -> Result<(), SignerError> {
        self.check().map_err(|problem| SignerError::Place {
            path: path.into(),
            problem: problem.into(),
        })?;
        let body = toml::to_string(self).expect("a place has a TOML form");
        durable::create_new(path, body.as_bytes(), Mode::Private).map_err(SignerError::from)
    }

    /// Whether something can sign there.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let line = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        match self {
            // A name alone is looked for in the linker's folders and in those of the environment.
            Self::Pkcs11(key) if !key.module.is_absolute() => {
                Err("module is the full path of a library")
            }
            Self::Pkcs11(key) if !line(&key.token) => Err("token is the label of a token"),
            Self::Pkcs11(key) if !key.serial.as_deref().is_none_or(line) => {
                Err("serial is the serial number of a token, or left out")
            }
            Self::Pkcs11(key) if key.id.is_empty() || key.id.len() > MAX_ID_LEN => {
                Err("id is a CKA_ID of 1 to 255 bytes")
            }
            Self::Exec(Program { argv }) if argv.first().is_none_or(String::is_empty) => {
                Err("argv names a program and its arguments")
            }
            Self::Exec(Program { argv }) if argv.len() > MAX_ARGUMENTS => {
                Err("argv has 1 to 256 words")
            }
            Self::Exec(Program { argv }) if argv.iter().any(|word| word.contains('\0')) => {
                Err("argv has a NUL, which no program can be given")
            }
            _ => Ok(()),
        }
    }
}

/// In a word or two, for lists.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pkcs11(key) => write!(f, "token {}", key.token),
            Self::Exec(program) => {
                let name = program.argv.first().map_or("", String::as_str);
                let name = Path::new(name).file_name().unwrap_or_default();
                write!(f, "program {}", name.to_string_lossy())
            }
        }
    }
}

impl From<FileError> for SignerError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// TOML's errors draw the line that they are about; a message here is one line.
fn on_one_line(error: &toml::de::Error) -> String {
    error.message().trim().replace('\n', "; ")
}

/// Bytes in lowercase hexadecimal.
pub(super) mod hex {
    use std::fmt::Write as _;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// The digits of some bytes.
    pub(in crate::custody) fn encode(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The bytes of a text of digits, or `None` if it is none.
    pub(in crate::custody) fn decode(text: &str) -> Option<Vec<u8>> {
        let digits = text.as_bytes();
        if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
        digits.chunks(2).map(byte).collect()
    }

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text).ok_or_else(|| D::Error::custom("hexadecimal digits in pairs are expected"))
    }
}

impl TokenKey {
    /// Reads a `CKA_ID` as people write it, in hexadecimal.
    pub fn parse_id(text: &str) -> Option<Vec<u8>> {
        hex::decode(text).filter(|id| !id.is_empty() && id.len() <= MAX_ID_LEN)
    }

    /// The `CKA_ID` in hexadecimal.
    pub fn id_text(&self) -> String {
        hex::encode(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, problem: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("license-x.signer.toml");
        durable::create_new(&path, text.as_bytes(), Mode::Private).unwrap();
        let error = Place::read(&path).unwrap_err();
        assert_eq!(error.code(), "signer-place", "{text}");
        let said = error.to_string();
        assert!(said.contains(problem), "{text}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let places = [
            Place::Pkcs11(TokenKey {
                module: "/usr/lib/softhsm/libsofthsm2.so".into(),
                token: "issuer \"one\"".into(),
                serial: Some("9f2c".into()),
                id: vec![0, 0xab, 0xff],
            }),
            Place::Exec(Program {
                argv: vec!["/usr/bin/sign".into(), "two words".into(), String::new()],
            }),
        ];
        for (number, place) in places.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            place.write(&path).unwrap();
            assert_eq!(Place::read(&path).unwrap(), *place);
            assert_eq!(place.write(&path).unwrap_err().code(), "file-exists");
        }
        assert_eq!(places[0].to_string(), "token issuer \"one\"");
        assert_eq!(places[1].to_string(), "program sign");
    }

    #[cfg(unix)]
    #[test]
    fn a_place_that_others_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("license-x.signer.toml");
        let text = "[exec]\nargv = [\"sign\"]\n";
        durable::create_new(&path, text.as_bytes(), Mode::Public).unwrap();
        assert_eq!(Place::read(&path).unwrap_err().code(), "file-permissions");
    }

    #[test]
    fn what_is_no_place_is_refused() {
        const TOKEN: &str = "[pkcs11]\nmodule = \"/m.so\"\ntoken = \"t\"\nid = \"0a\"\n";
        refused("", "");
        refused("pkcs11 = 1", "");
        refused("[keychain]\nname = \"x\"", "keychain");
        refused(&format!("{TOKEN}pin = \"1234\"\n"), "pin");
        refused(&format!("{TOKEN}[exec]\nargv = [\"sign\"]\n"), "");
        refused(&TOKEN.replace("/m.so", "m.so"), "full path");
        refused(&TOKEN.replace("\"t\"", "\"\""), "label");
        refused(&TOKEN.replace("0a", "0"), "hexadecimal");
        refused(&TOKEN.replace("0a", "+a"), "hexadecimal");
        refused(&TOKEN.replace("0a", ""), "CKA_ID");
        refused(&TOKEN.replace("0a", &"00".repeat(256)), "CKA_ID");
        refused("[exec]\nargv = []", "names a program");
        refused("[exec]\nargv = [\"\"]", "names a program");
        refused("[exec]\nargv = [\"a\\u0000\"]", "NUL");
        refused("[exec]\nargv = \"openssl pkeyutl\"", "");
        refused(
            "[exec]\nargv = [\"a\"]\npublic = \"k4.public.AA\"",
            "public",
        );
        refused("\u{fffd}", "");
    }
}
