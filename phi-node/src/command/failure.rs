//! Why the command ends without its result: a stable code, a sentence, a next step, an exit code.

use std::{error::Error as _, fmt::Write as _, io::Write as _, path::Path};

use anstyle::{AnsiColor, Style};
use phi_enforce::{SiteKeyError, StoreError};
use phi_node::{
    clients::ClientsError, licenses::PolicyError, listener::ListenError, server::StartError,
    tls::TlsError, watch::WatchError,
};
use serde::Serialize;

use super::{exit_code::ExitCode, output};

/// A failure on its way to the person who ran the command.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    hint: Option<String>,
    pub(crate) exit: ExitCode,
}

#[derive(Serialize)]
struct Answer<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

impl Failure {
    pub(super) fn new(exit: ExitCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            exit,
        }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// A file or a setting that cannot be used.
    pub(super) fn input(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ExitCode::BAD_INPUT, code, message)
    }

    pub(super) fn unread(path: &Path, error: &std::io::Error) -> Self {
        let message = format!("cannot read {}: {error}", path.display());
        Self::input("file-failed", message).hint("name a file that this user may read")
    }

    /// Says it: on standard error for people and, with `--json`, on standard output.
    pub(crate) fn report(&self, json: bool) {
        let mut text = format!(
            "phi-node: {ERROR}error:{ERROR:#} {}\n",
            output::clean(&self.message)
        );
        if let Some(hint) = &self.hint {
            let _ = writeln!(
                text,
                "phi-node: {HINT}hint:{HINT:#} {}",
                output::clean(hint)
            );
        }
        // Nothing is left to tell it to if this fails.
        let _ = anstream::stderr().write_all(text.as_bytes());
        if json {
            let (code, message, hint) = (self.code, &*self.message, self.hint.as_deref());
            let error = Body {
                code,
                message,
                hint,
            };
            let _ = output::print_json(&Answer { error });
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(ExitCode::STORE, error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match error {
            StartError::Anchor(_) => ExitCode::NOT_TRUSTED,
            StartError::Policy(_) => ExitCode::BAD_INPUT,
            _ => ExitCode::STORE,
        };
        Self::new(exit, error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        Self::new(ExitCode::LISTEN, error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<WatchError> for Failure {
    fn from(error: WatchError) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}"));
        let message = format!("{error}{}", cause.unwrap_or_default());
        Self::input(error.code(), message).hint(error.hint())
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::input(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<SiteKeyError> for Failure {
    fn from(error: SiteKeyError) -> Self {
        Self::input(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::input(error.code(), error.to_string()).hint(error.hint())
    }
}

impl From<ClientsError> for Failure {
    fn from(error: ClientsError) -> Self {
        Self::input(error.code(), error.to_string()).hint(error.hint())
    }
}
