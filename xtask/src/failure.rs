//! Why a step failed and what the developer does next.

use std::fmt;

/// A failed step: what is wrong, and the way out when the step knows one.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Gives the hint of the step when the failure has no closer one of its own.
    pub(crate) fn or_hint(mut self, hint: &str) -> Self {
        self.hint.get_or_insert_with(|| hint.to_owned());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "xtask: error: {}", self.what)?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\nxtask: hint: {hint}")?;
        }
        Ok(())
    }
}
