//! Why the command ends without its result: a stable code, a sentence, a next step, an exit code.

use std::error::Error;
use std::fmt::Display;

use schemars::JsonSchema;
use serde::Serialize;

use crate::advice::advice;
use crate::exit_code::ExitCode;

/// A failure on its way to the person who ran the command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) exit: ExitCode,
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
}

impl From<phi_verify::Error> for Failure {
    fn from(error: phi_verify::Error) -> Self {
        Self::of(error.code(), &error)
    }
}

impl From<phi_verify::KeyError> for Failure {
    fn from(error: phi_verify::KeyError) -> Self {
        Self::of(error.code(), &error)
    }
}
