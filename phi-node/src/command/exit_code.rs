//! Exit codes: what a script may tell apart, listed in `phi-node --help` and the man page. Where
//! `phi` has the same, the number is the same.

use std::fmt::Write as _;

/// The end of the command, as the system reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitCode(u8);

/// The command did what it was asked; a node was stopped and gave everything back.
pub(crate) const DONE: ExitCode = ExitCode(0);

impl ExitCode {
    /// Something that the command has no name for.
    pub(super) const UNEXPECTED: Self = Self(1);
    /// The arguments do not make a command. The argument parser's own code.
    pub(super) const USAGE: Self = Self(2);
    /// The anchor is not trusted.
    pub(super) const NOT_TRUSTED: Self = Self(12);
    /// A file or a setting cannot be used.
    pub(super) const BAD_INPUT: Self = Self(14);
    /// The store cannot be used.
    pub(super) const STORE: Self = Self(20);
    /// The address cannot be listened on.
    pub(super) const LISTEN: Self = Self(23);
    /// A node was stopped, and cut off requests that did not end in time.
    pub(super) const CUT_OFF: Self = Self(24);

    const ALL: [(Self, &str); 8] = [
        (DONE, "done; a node was stopped and gave everything back"),
        (Self::UNEXPECTED, "unexpected failure"),
        (Self::USAGE, "wrong usage"),
        (Self::NOT_TRUSTED, "the anchor is not trusted"),
        (Self::BAD_INPUT, "bad input: a file, a setting, a name"),
        (Self::STORE, "the store cannot be used"),
        (Self::LISTEN, "the address cannot be listened on"),
        (Self::CUT_OFF, "stopped, and requests were cut off"),
    ];

    /// The list for `--help`.
    pub(super) fn help() -> String {
        let mut text = String::from("Exit codes:\n");
        for (code, meaning) in Self::ALL {
            let _ = writeln!(text, "  {:>2}  {meaning}", code.0);
        }
        text
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.0.into()
    }
}
