//! Verified and unverified objects as answers: the same keys and the same words wherever an
//! object is shown.

mod document;
mod event;
mod license;
mod scope;
mod summary;
mod terms;

pub(crate) use document::{CatalogView, ClockResetView, KeysetView, RootView, StatusView};
pub(crate) use event::EventView;
pub(crate) use license::{BindingView, LicenseView};
pub(crate) use scope::{ScopeView, scope_words};
pub(crate) use summary::summary;
pub(crate) use terms::{FlagView, Names, TermsView, flags, show_flags};

use std::fmt::{self, Write as _};
use std::path::Path;

use phi_verify::UnixTime;
use schemars::JsonSchema;
use serde::Serialize;

use phi_issuer::when::distance;

/// A time as RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Stamp(#[schemars(extend("format" = "date-time"))] String);

impl From<UnixTime> for Stamp {
    fn from(time: UnixTime) -> Self {
        Self(time.to_string())
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A time in a table, where an empty cell is none.
pub(crate) fn cell(stamp: Option<&Stamp>) -> String {
    stamp.map(Stamp::to_string).unwrap_or_default()
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A time and how far it is.
pub(crate) fn near(now: UnixTime, time: UnixTime) -> String {
    format!("{time} ({})", distance(now, time))
}

/// A path as people write it: without the folder that they are in.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// A count with its word, in the plural where it is one.
pub(crate) fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}
