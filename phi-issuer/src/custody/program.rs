//! A key behind a program: the way to every key service that has a command.
//!
//! The message is on the program's standard input, which is a file, so that a program may ask for
//! its size; the signature is 64 bytes on its standard output. The program runs in the issuer's
//! folder, with the environment of this process, and no shell reads its arguments.

use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use phi_verify::PublicKey;

use super::{Program, SignerError};
use crate::keyfile::{SignError, Signer, checked};

/// How long one signature may take: a person may have to touch a device.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// What is kept of either stream; a signature has 64 bytes, and an error says it in a few lines.
const OUTPUT_LIMIT: usize = 4 << 10;
/// How often a program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(2);
/// How long the streams of a program that has ended are waited for: what it wrote is there to be
/// read, but an agent that it started may hold them open for as long as it likes.
const DRAIN: Duration = Duration::from_secs(1);

/// A program that signs with one key.
pub(super) struct ProgramSigner {
    argv: Vec<String>,
    folder: PathBuf,
    public: PublicKey,
    time_limit: Duration,
}

impl ProgramSigner {
    pub(super) fn new(program: &Program, folder: &Path, public: &PublicKey) -> Self {
        Self {
            argv: program.argv.clone(),
            folder: folder.into(),
            public: public.clone(),
            time_limit: TIME_LIMIT,
        }
    }

    fn run(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        let (name, arguments) = self.argv.split_first().expect("a place names a program");
        let started = |source| SignerError::ProgramNotStarted {
            program: name.clone(),
            source,
        };
        let mut program = Command::new(name)
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::from(file_of(message).map_err(started)?))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(started)?;
        let deadline = Instant::now() + self.time_limit;
        let output = kept(program.stdout.take().expect("a pipe was asked for"));
        let said = kept(program.stderr.take().expect("a pipe was asked for"));
        let ended = wait(&mut program, &output, &said, deadline);
        let Some((status, output, said)) = ended else {
            // Whatever it still does, nothing of it is used. It has no process group of its own
            // to be ended with all that it started: from there it could ask for no PIN.
            let _ = program.kill();
            let _ = program.wait();
            return Err(SignerError::ProgramTimeout {
                program: name.clone(),
                seconds: self.time_limit.as_secs(),
            });
        };
        let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
        if !status.success() {
            return Err(SignerError::ProgramFailed {
                program: name.clone(),
                status: status.to_string(),
                said,
            });
        }
        <[u8; 64]>::try_from(output.as_slice()).map_err(|_| SignerError::ProgramOutput {
            program: name.clone(),
            length: output.len(),
            said,
        })
    }
}

impl Signer for ProgramSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        checked(&self.public, message, self.run(message)?)
    }
}

/// The bytes as a file without a name, read from its beginning.
fn file_of(bytes: &[u8]) -> io::Result<std::fs::File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// What a program writes: the beginning is kept, and the rest read so that the program does not
/// wait for a reader.
struct Kept {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Answers once the stream is closed.
    closed: Receiver<()>,
}

impl Kept {
    /// The beginning of what was written, which is all of it if the stream closes by then.
    fn by(&self, deadline: Instant) -> Vec<u8> {
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = self.closed.recv_timeout(left);
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut bytes)
    }
}

fn kept(mut stream: impl Read + Send + 'static) -> Kept {
    let (sender, closed) = mpsc::channel();
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&bytes);
    thread::spawn(move || {
        let mut piece = [0; OUTPUT_LIMIT];
        loop {
            let read = match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let mut bytes = to.lock().unwrap_or_else(PoisonError::into_inner);
            // One byte more than is kept tells what fits from what goes on.
            let room = (OUTPUT_LIMIT + 1).saturating_sub(bytes.len());
            bytes.extend_from_slice(&piece[..read.min(room)]);
        }
        // Nobody may be waiting any more.
        let _ = sender.send(());
    });
    Kept { bytes, closed }
}

/// How the program ended and what it wrote, if it does so in time.
fn wait(
    program: &mut Child,
    output: &Kept,
    said: &Kept,
    deadline: Instant,
) -> Option<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let status = loop {
        match program.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            Ok(None) | Err(_) => return None,
        }
    };
    let drained = Instant::now() + DRAIN;
    Some((status, output.by(drained), said.by(drained)))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyfile::SigningKey;

    fn signer(argv: &[&str], public: &PublicKey) -> ProgramSigner {
        let argv = argv.iter().map(|&word| word.into()).collect();
        ProgramSigner::new(&Program { argv }, Path::new("/"), public)
    }

    #[track_caller]
    fn refused(argv: &[&str], code: &str, said: &str) {
        let key = SigningKey::generate().unwrap();
        let error = signer(argv, key.public()).sign(b"message").unwrap_err();
        assert_eq!(error.code(), code, "{argv:?}: {error}");
        assert!(error.to_string().contains(said), "{argv:?}: {error}");
    }

    #[test]
    fn what_a_program_signs_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap();
        let path = folder.path().join("signature");
        std::fs::write(&path, key.sign(b"message").unwrap()).unwrap();
        let signer = signer(&["cat", path.to_str().unwrap()], key.public());
        assert_eq!(
            signer.sign(b"message").unwrap(),
            key.sign(b"message").unwrap()
        );
        let error = signer.sign(b"another").unwrap_err();
        assert_eq!(error.code(), "sign-failed");
    }

    #[test]
    fn the_message_is_a_file_on_standard_input() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        let key = SigningKey::generate().unwrap();
        let message = vec![b'x'; 1 << 20];
        let argv = ["cp", "/dev/stdin", copy.to_str().unwrap()];
        let error = signer(&argv, key.public()).sign(&message).unwrap_err();
        assert_eq!(error.code(), "signer-program-output");
        assert_eq!(std::fs::read(copy).unwrap(), message);
    }

    #[test]
    fn programs_that_do_not_sign_are_told_apart() {
        refused(
            &["/nonexistent/sign"],
            "signer-program",
            "/nonexistent/sign",
        );
        refused(&["true"], "signer-program-output", "0 bytes");
        refused(
            &["printf", "%065d", "1"],
            "signer-program-output",
            "65 bytes",
        );
        refused(&["printf", "%064d", "1"], "sign-failed", "does not hold");
        refused(&["false"], "signer-program-failed", "exit status: 1");
        refused(
            &["cat", "/nonexistent"],
            "signer-program-failed",
            "nonexistent",
        );
        refused(
            &["sh", "-c", "kill -9 $$"],
            "signer-program-failed",
            "signal",
        );
        refused(
            &["head", "-c", "10000000", "/dev/zero"],
            "signer-program-output",
            "more than 4096 bytes",
        );
    }

    /// No argument is read by a shell, and an error is bounded.
    #[test]
    fn arguments_are_handed_over_as_they_are() {
        refused(
            &["cat", "/nonexistent; true"],
            "signer-program-failed",
            "; true",
        );
        let key = SigningKey::generate().unwrap();
        let long = "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1";
        let error = signer(&["sh", "-c", long], key.public())
            .sign(b"m")
            .unwrap_err();
        assert!(error.to_string().len() < 5000);
    }

    /// An agent that a program starts may live for days, and hold the streams open.
    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate().unwrap();
        let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
        let (signature, pipe) = (path("signature"), path("pipe"));
        std::fs::write(&signature, key.sign(b"message").unwrap()).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let script = "cat \"$0\" & cat \"$1\"";
        let signer = signer(&["sh", "-c", script, &pipe, &signature], key.public());
        signer.sign(b"message").unwrap();
        // Now it ends.
        std::fs::write(&pipe, b"").unwrap();
    }

    /// Nothing is timed here: the limit is over before the program can write.
    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let key = SigningKey::generate().unwrap();
        let mut signer = signer(&["cat", "/dev/zero"], key.public());
        signer.time_limit = Duration::ZERO;
        assert_eq!(
            signer.sign(b"m").unwrap_err().code(),
            "signer-program-timeout"
        );
    }
}
