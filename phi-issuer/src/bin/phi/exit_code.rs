//! Exit codes: what a script may tell apart, listed in `phi --help` and the man page.

use std::fmt::Write as _;

/// The end of the command, as the system reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitCode(u8);

impl ExitCode {
    /// The command did what it was asked, or the license is good.
    pub(crate) const DONE: Self = Self(0);
    /// Something that the command has no name for, such as an output that cannot be written.
    pub(crate) const UNEXPECTED: Self = Self(1);
    /// The arguments do not make a command. The argument parser's own code, never a verdict.
    pub(crate) const USAGE: Self = Self(2);
    /// The license is not valid now: expired, not yet valid, or the clock is wrong.
    pub(crate) const NOT_VALID_NOW: Self = Self(10);
    /// The license, or what it was signed with or grants, is revoked.
    pub(crate) const REVOKED: Self = Self(11);
    /// The object is not trusted: malformed, badly signed, by an unknown key, or trust is stale.
    pub(crate) const NOT_TRUSTED: Self = Self(12);
    /// The license is good for another product or machine.
    pub(crate) const NOT_FOR_HERE: Self = Self(13);
    /// A file, catalog, request or other input cannot be used.
    pub(crate) const BAD_INPUT: Self = Self(14);
    /// The issuer's store refused: it is missing, busy, damaged, or says that the act is wrong.
    pub(crate) const STORE: Self = Self(20);
    /// A publication was recorded and not all of its files were written.
    pub(crate) const PUBLICATION: Self = Self(21);
    /// A key or a passphrase cannot be used.
    pub(crate) const KEY: Self = Self(22);
    /// A check-up found something that is wrong, or that runs out soon.
    pub(crate) const ATTENTION: Self = Self(30);

    /// Every code with its line of help.
    pub(crate) const ALL: [(Self, &str); 12] = [
        (Self::DONE, "done, or the license is good"),
        (Self::UNEXPECTED, "unexpected failure"),
        (Self::USAGE, "wrong usage"),
        (
            Self::NOT_VALID_NOW,
            "not valid now: expired, not yet valid, or a wrong clock",
        ),
        (Self::REVOKED, "revoked"),
        (
            Self::NOT_TRUSTED,
            "not trusted: malformed, signature, unknown key, stale trust",
        ),
        (
            Self::NOT_FOR_HERE,
            "good for another product or another machine",
        ),
        (
            Self::BAD_INPUT,
            "bad input: a file, a catalog, a request, a name",
        ),
        (Self::STORE, "the issuer's store refused"),
        (Self::PUBLICATION, "publication incomplete: publish again"),
        (Self::KEY, "key or passphrase"),
        (Self::ATTENTION, "phi doctor found what needs attention"),
    ];

    /// The list for `--help`.
    pub(crate) fn help() -> String {
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
