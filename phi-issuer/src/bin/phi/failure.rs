//! Why the command ends without its result: a stable code, a sentence, a next step, an exit code.

use std::error::Error;
use std::fmt::{self, Display};

use phi_issuer::ErrorClass;
use phi_issuer::catalog::{Diagnostic, Diagnostics};
use schemars::JsonSchema;
use serde::Serialize;

use crate::advice::advice;
use crate::exit_code::ExitCode;
use crate::view::counted;
use phi_issuer::when::WhenError;

/// A failure on its way to the person who ran the command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) exit: ExitCode,
    /// What is wrong in several places, one a line.
    pub(crate) details: Vec<Detail>,
    /// Whether what `--json` prints was printed before, and says it all.
    pub(crate) answered: bool,
}

/// One of several things that are wrong with a text.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Detail {
    /// The file.
    file: String,
    /// The line, from 1.
    line: usize,
    /// The character in the line, from 1.
    column: usize,
    /// What it is.
    message: String,
    /// The way out, when it is known.
    hint: Option<String>,
}

impl Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
            hint,
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        match hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl Failure {
    /// A failure with the class and the hint that its code has in the table.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        let advice = advice(code);
        Self {
            code,
            message: message.into(),
            hint: advice.map(|advice| advice.hint.to_owned()),
            exit: advice.map_or(ExitCode::UNEXPECTED, |advice| advice.exit),
            details: Vec::new(),
            answered: false,
        }
    }

    /// A catalog that is refused in one place or several.
    pub(crate) fn of_text(file: &str, found: &Diagnostics) -> Self {
        Self::of_places("catalog-invalid", file, found)
    }

    /// A text that is refused in one place or several.
    pub(crate) fn of_places(code: &'static str, file: &str, found: &Diagnostics) -> Self {
        let problems = counted(found.len(), "problem");
        let detail = |diagnostic: &Diagnostic| Detail {
            file: file.to_owned(),
            line: diagnostic.position.line,
            column: diagnostic.position.column,
            message: diagnostic.message.clone(),
            hint: diagnostic.hint.clone(),
        };
        Self {
            details: found.iter().map(detail).collect(),
            ..Self::new(code, format!("{file} has {problems}"))
        }
    }

    /// A failure whose sentence is an error's, with its causes.
    pub(crate) fn of(code: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self::new(code, chain(error))
    }

    /// With another hint than the code's own.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// With the thing that it is about before the sentence.
    pub(crate) fn about(self, subject: impl Display) -> Self {
        Self {
            message: format!("{subject}: {}", self.message),
            ..self
        }
    }

    /// The object that `--json` prints.
    pub(crate) fn to_answer(&self) -> FailureAnswer {
        FailureAnswer {
            error: FailureBody {
                code: self.code.to_owned(),
                message: self.message.clone(),
                hint: self.hint.clone(),
                details: self.details.clone(),
            },
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What every command prints with `--json` when it fails.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FailureAnswer {
    /// The failure.
    error: FailureBody,
}

/// A failure for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct FailureBody {
    /// A stable word, such as `expired`.
    code: String,
    /// A sentence for people; its wording may change.
    message: String,
    /// What to do next, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Every place in a text that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail>,
}

impl From<phi_issuer::Error> for Failure {
    fn from(error: phi_issuer::Error) -> Self {
        if let phi_issuer::Error::Catalog(found) = &error {
            return Self::of_text("catalog.toml", found);
        }
        let failure = Self::of(error.code(), &error);
        let exit = match error.class() {
            ErrorClass::Input => ExitCode::BAD_INPUT,
            ErrorClass::Key => ExitCode::KEY,
            ErrorClass::Publication => ExitCode::PUBLICATION,
            ErrorClass::Store => ExitCode::STORE,
            // The code says more than that the machine refused.
            ErrorClass::System => failure.exit,
        };
        let hint = error.hint().or(failure.hint);
        Self {
            hint,
            exit,
            ..failure
        }
    }
}

macro_rules! from {
    ($($error:ty)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.code(), &error)
            }
        }
    )*};
}

from! {
    phi_issuer::durable::FileError
    phi_issuer::keyfile::KeyError
    phi_issuer::passphrase::PassphraseError
    phi_issuer::qr::QrError
    phi_verify::Error
    phi_verify::KeyError
}

impl From<WhenError> for Failure {
    fn from(error: WhenError) -> Self {
        Self::of("time-invalid", &error)
    }
}
