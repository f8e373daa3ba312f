//! Passphrases: read from a file, a descriptor or the terminal, and wiped after use.
//!
//! Never from an argument or the environment, which other processes can read. Which source to
//! use is the caller's to decide.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::custody;

/// The longest passphrase, in bytes: far above what anyone types, and enough for any generated
/// secret. A longer file is most likely the wrong file.
pub const MAX_PASSPHRASE_LEN: usize = 1024;

/// A passphrase: 1 to [`MAX_PASSPHRASE_LEN`] bytes, none of them NUL.
///
/// It is wiped when dropped, cannot be cloned and does not show itself.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the bytes as they are, except for one line end at the end.
    ///
    /// # Errors
    /// [`PassphraseError::Empty`], [`PassphraseError::HasNul`] or [`PassphraseError::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PassphraseError> {
        let bytes = match bytes {
            [line @ .., b'\r', b'\n'] | [line @ .., b'\n'] => line,
            whole => whole,
        };
        if bytes.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if bytes.contains(&0) {
            return Err(PassphraseError::HasNul);
        }
        if bytes.len() > MAX_PASSPHRASE_LEN {
            return Err(PassphraseError::TooLong);
        }
        let secret = Zeroizing::new(bytes.to_vec());
        custody::keep_in_memory(secret.as_slice());
        Ok(Self(secret))
    }

    /// Reads a file whose whole contents are the passphrase, with or without a line end.
    ///
    /// The permissions of the file are not judged: secret stores mount theirs readable, and the
    /// key file that the passphrase opens is the owner's alone.
    ///
    /// # Errors
    /// As [`Passphrase::from_bytes`], and [`PassphraseError::Read`].
    pub fn from_file(path: &Path) -> Result<Self, PassphraseError> {
        let failed = |source| PassphraseError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        Self::read(file, path)
    }

    /// Reads an open descriptor to its end, as left by `3< file` or by a pipe.
    ///
    /// A descriptor that stands for a file is read from its beginning.
    ///
    /// # Errors
    /// As [`Passphrase::from_file`], and [`PassphraseError::Terminal`] if the descriptor is a
    /// terminal, which would show what is typed.
    #[cfg(unix)]
    pub fn from_fd(descriptor: u32) -> Result<Self, PassphraseError> {
        let path = PathBuf::from(format!("/dev/fd/{descriptor}"));
        let failed = |source| PassphraseError::Read {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(failed)?;
        if file.is_terminal() {
            return Err(PassphraseError::Terminal { descriptor });
        }
        Self::read(file, &path)
    }

    /// Asks for an existing passphrase on the terminal, which does not show it.
    ///
    /// # Errors
    /// As [`Passphrase::from_bytes`], and [`PassphraseError::Prompt`] if there is no terminal.
    pub fn prompt(label: &str) -> Result<Self, PassphraseError> {
        Self::ask(label, &mut |prompt| rpassword::prompt_password(prompt))
    }

    /// Asks for a new passphrase on the terminal, twice.
    ///
    /// # Errors
    /// As [`Passphrase::prompt`], and [`PassphraseError::Mismatch`] if the answers differ.
    pub fn prompt_new(label: &str) -> Result<Self, PassphraseError> {
        Self::ask_twice(label, &mut |prompt| rpassword::prompt_password(prompt))
    }

    /// The bytes, for key stretching.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn read(mut source: impl Read, path: &Path) -> Result<Self, PassphraseError> {
        // A buffer of fixed size: one that grows would leave copies behind. It holds the longest
        // passphrase, its line end, and one byte that tells it from a longer one.
        let mut buffer = Zeroizing::new([0; MAX_PASSPHRASE_LEN + 3]);
        let mut filled = 0;
        while filled < buffer.len() {
            match source.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(PassphraseError::Read {
                        path: path.to_owned(),
                        source,
                    });
                }
            }
        }
        if filled == buffer.len() {
            return Err(PassphraseError::TooLong);
        }
        Self::from_bytes(&buffer[..filled])
    }

    fn ask(label: &str, asker: &mut Asker<'_>) -> Result<Self, PassphraseError> {
        let mut answer = asker(&format!("{label}: ")).map_err(PassphraseError::Prompt)?;
        let passphrase = Self::from_bytes(answer.as_bytes());
        answer.zeroize();
        passphrase
    }

    fn ask_twice(label: &str, asker: &mut Asker<'_>) -> Result<Self, PassphraseError> {
        let first = Self::ask(label, asker)?;
        let second = match Self::ask(&format!("{label}, again"), asker) {
            // Nothing typed the second time is a difference, not another passphrase.
            Err(PassphraseError::Empty) => return Err(PassphraseError::Mismatch),
            answer => answer?,
        };
        if bool::from(first.as_bytes().ct_eq(second.as_bytes())) {
            Ok(first)
        } else {
            Err(PassphraseError::Mismatch)
        }
    }
}

/// Where the secrets come from that open signing keys: asked for when a key needs one, and not
/// before.
pub trait Unlock {
    /// The passphrase of the key files.
    ///
    /// # Errors
    /// [`PassphraseError`].
    fn passphrase(&self) -> Result<&Passphrase, PassphraseError>;

    /// The PIN of a PKCS#11 token, by the token's label.
    ///
    /// # Errors
    /// [`PassphraseError`].
    fn pin(&self, token: &str) -> Result<Passphrase, PassphraseError>;
}

/// A passphrase alone: no token is opened with it.
impl Unlock for Passphrase {
    fn passphrase(&self) -> Result<&Passphrase, PassphraseError> {
        Ok(self)
    }

    fn pin(&self, token: &str) -> Result<Passphrase, PassphraseError> {
        Err(PassphraseError::NoPin {
            token: token.into(),
        })
    }
}

/// Shows a prompt and reads one line without its end.
type Asker<'a> = dyn FnMut(&str) -> io::Result<String> + 'a;

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[passphrase elided]")
    }
}

/// Why there is no passphrase.
#[derive(Debug)]
#[non_exhaustive]
pub enum PassphraseError {
    /// There is nothing before the line end.
    Empty,
    /// There is a NUL byte, which no terminal can send: the source is not text.
    HasNul,
    /// There are more than [`MAX_PASSPHRASE_LEN`] bytes.
    TooLong,
    /// A token needs a PIN, and none can be asked for.
    NoPin {
        /// The token.
        token: String,
    },
    /// The two answers for a new passphrase differ.
    Mismatch,
    /// The descriptor is a terminal.
    Terminal {
        /// The descriptor's number.
        descriptor: u32,
    },
    /// The file or descriptor cannot be read.
    Read {
        /// The file, or the descriptor's name under `/dev/fd`.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The terminal cannot be asked.
    Prompt(io::Error),
}

impl PassphraseError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "passphrase-empty",
            Self::HasNul => "passphrase-not-text",
            Self::TooLong => "passphrase-too-long",
            Self::NoPin { .. } => "pin-missing",
            Self::Mismatch => "passphrase-mismatch",
            Self::Terminal { .. } => "passphrase-shown",
            Self::Read { .. } => "passphrase-unreadable",
            Self::Prompt(_) => "passphrase-no-terminal",
        }
    }
}

impl fmt::Display for PassphraseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the passphrase is empty"),
            Self::HasNul => f.write_str("the passphrase has a NUL byte"),
            Self::TooLong => {
                write!(
                    f,
                    "the passphrase is longer than {MAX_PASSPHRASE_LEN} bytes"
                )
            }
            Self::NoPin { token } => write!(f, "token {token} needs its PIN"),
            Self::Mismatch => f.write_str("the two passphrases differ"),
            Self::Terminal { descriptor } => write!(
                f,
                "descriptor {descriptor} is a terminal, which would show the passphrase"
            ),
            Self::Read { path, .. } => {
                write!(f, "cannot read a passphrase from {}", path.display())
            }
            Self::Prompt(_) => f.write_str("cannot ask for a passphrase on the terminal"),
        }
    }
}

impl Error for PassphraseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Read { source, .. } | Self::Prompt(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[u8], &str>) {
        let from_bytes = Passphrase::from_bytes(bytes);
        let from_reader = Passphrase::read(bytes, Path::new("test"));
        for result in [from_bytes, from_reader] {
            match (result, expected) {
                (Ok(passphrase), Ok(expected)) => assert_eq!(passphrase.as_bytes(), expected),
                (Err(error), Err(code)) => assert_eq!(error.code(), code),
                (result, expected) => panic!("{result:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn one_line_end_is_not_part_of_it() {
        check(b"secret", Ok(b"secret"));
        check(b"secret\n", Ok(b"secret"));
        check(b"secret\r\n", Ok(b"secret"));
        check(b"secret\n\n", Ok(b"secret\n"));
        check(b"secret\r", Ok(b"secret\r"));
        check(b" two words ", Ok(b" two words "));
        check(b"\xff\xfe", Ok(b"\xff\xfe"));
    }

    #[test]
    fn empty_long_and_binary_are_refused() {
        for empty in [&b""[..], b"\n", b"\r\n"] {
            check(empty, Err("passphrase-empty"));
        }
        check(b"se\0cret", Err("passphrase-not-text"));
        let longest = [b'x'; MAX_PASSPHRASE_LEN];
        check(&longest, Ok(&longest));
        check(&[&longest[..], b"\n"].concat(), Ok(&longest));
        check(&[&longest[..], b"\r\n"].concat(), Ok(&longest));
        check(&[&longest[..], b"x"].concat(), Err("passphrase-too-long"));
        check(
            &[&longest[..], b"x\r\n"].concat(),
            Err("passphrase-too-long"),
        );
        check(&vec![b'x'; 100_000], Err("passphrase-too-long"));
    }

    #[test]
    fn short_reads_and_interruptions_are_normal() {
        struct Slow(Vec<u8>, bool);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                let Some(byte) = self.0.pop() else {
                    return Ok(0);
                };
                buffer[0] = byte;
                Ok(1)
            }
        }
        let slow = Slow(b"\nterces".to_vec(), false);
        let passphrase = Passphrase::read(slow, Path::new("test")).unwrap();
        assert_eq!(passphrase.as_bytes(), b"secret");
    }

    #[test]
    fn files_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passphrase");
        std::fs::write(&path, "correct horse\n").unwrap();
        assert_eq!(
            Passphrase::from_file(&path).unwrap().as_bytes(),
            b"correct horse"
        );
        for unreadable in [folder.path(), &folder.path().join("missing")] {
            let error = Passphrase::from_file(unreadable).unwrap_err();
            assert_eq!(error.code(), "passphrase-unreadable");
            assert!(
                error
                    .to_string()
                    .ends_with(&unreadable.display().to_string())
            );
            assert!(error.source().is_some());
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn descriptors_are_read_to_their_end() {
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;
        let descriptor = |raw: i32| u32::try_from(raw).unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"correct horse\n").unwrap();
        drop(writer);
        let passphrase = Passphrase::from_fd(descriptor(reader.as_raw_fd())).unwrap();
        assert_eq!(passphrase.as_bytes(), b"correct horse");

        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"battery staple").unwrap();
        let passphrase = Passphrase::from_fd(descriptor(file.as_raw_fd())).unwrap();
        assert_eq!(passphrase.as_bytes(), b"battery staple");

        let error = Passphrase::from_fd(1_000_000).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read a passphrase from /dev/fd/1000000"
        );
    }

    /// Answers the prompts of `ask_twice` from a list.
    fn ask_twice(answers: &[&str]) -> (Result<Passphrase, PassphraseError>, Vec<String>) {
        let mut prompts = Vec::new();
        let mut answers = answers.iter();
        let result = Passphrase::ask_twice("new passphrase", &mut |prompt| {
            prompts.push(prompt.to_owned());
            answers
                .next()
                .map(|&answer| answer.to_owned())
                .ok_or(io::ErrorKind::NotFound.into())
        });
        (result, prompts)
    }

    #[test]
    fn a_new_passphrase_is_asked_twice() {
        let (result, prompts) = ask_twice(&["secret", "secret"]);
        assert_eq!(result.unwrap().as_bytes(), b"secret");
        assert_eq!(prompts, ["new passphrase: ", "new passphrase, again: "]);
        for (answers, code) in [
            (&["secret", "Secret"][..], "passphrase-mismatch"),
            (&["secret", "secret "], "passphrase-mismatch"),
            (&["secret", ""], "passphrase-mismatch"),
            (&["", ""], "passphrase-empty"),
            (&["secret"], "passphrase-no-terminal"),
            (&[], "passphrase-no-terminal"),
        ] {
            assert_eq!(
                ask_twice(answers).0.unwrap_err().code(),
                code,
                "{answers:?}"
            );
        }
    }

    #[test]
    fn nothing_shows_it() {
        let passphrase = Passphrase::from_bytes(b"secret").unwrap();
        assert_eq!(format!("{passphrase:?}"), "[passphrase elided]");
        assert_eq!(
            format!("{:?}", Some(passphrase)),
            "Some([passphrase elided])"
        );
    }
}
