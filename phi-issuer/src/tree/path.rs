//! The names under which tiles and entry bundles are published.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::TILE_WIDTH;

/// The path of a published tile or entry bundle, [C2SP tlog-tiles].
///
/// ```text
/// tile/0/x001/x234/067         level 0, number 1234067, full
/// tile/1/004.p/17              level 1, number 4, the first 17 hashes
/// tile/entries/x001/x234/067   the leaves below the first
/// ```
///
/// [C2SP tlog-tiles]: https://c2sp.org/tlog-tiles#merkle-tree
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TilePath {
    content: Content,
    number: u64,
    /// From 1 to [`TILE_WIDTH`].
    width: usize,
}

/// What a published file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The hashes of a tile.
    Hashes {
        /// Its level.
        level: u8,
    },
    /// The data of leaves.
    Entries,
}

impl TilePath {
    /// The highest level there is a path for.
    pub(crate) const MAX_LEVEL: u8 = 63;

    /// The path of a tile of hashes.
    ///
    /// # Errors
    /// [`PathError::Level`] or [`PathError::Width`].
    pub(crate) fn hashes(level: u8, number: u64, width: usize) -> Result<Self, PathError> {
        if level > Self::MAX_LEVEL {
            return Err(PathError::Level { level });
        }
        Self::new(Content::Hashes { level }, number, width)
    }

    /// The path of an entry bundle.
    ///
    /// # Errors
    /// [`PathError::Width`].
    pub(crate) fn entries(number: u64, width: usize) -> Result<Self, PathError> {
        Self::new(Content::Entries, number, width)
    }

    fn new(content: Content, number: u64, width: usize) -> Result<Self, PathError> {
        if !(1..=TILE_WIDTH).contains(&width) {
            return Err(PathError::Width { width });
        }
        Ok(Self {
            content,
            number,
            width,
        })
    }

    /// What the file holds.
    #[cfg(test)]
    pub(crate) fn content(&self) -> Content {
        self.content
    }

    /// Which file of its level, from 0.
    #[cfg(test)]
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How many hashes or entries the file holds, from 1 to 256.
    #[cfg(test)]
    pub(crate) fn width(&self) -> usize {
        self.width
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.content {
            Content::Hashes { level } => write!(f, "tile/{level}/")?,
            Content::Entries => f.write_str("tile/entries/")?,
        }
        let groups = self.number.checked_ilog(GROUP).unwrap_or(0);
        for group in (1..=groups).rev() {
            write!(f, "x{:03}/", self.number / GROUP.pow(group) % GROUP)?;
        }
        write!(f, "{:03}", self.number % GROUP)?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl FromStr for TilePath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let read = read(path).ok_or(PathError::Malformed)?;
        // A path has one spelling, the one that is written.
        if read.to_string() == path {
            Ok(read)
        } else {
            Err(PathError::Malformed)
        }
    }
}

/// A number is written three digits at a time, so that no folder has many files.
const GROUP: u64 = 1000;

/// Reads a path in any spelling.
fn read(path: &str) -> Option<TilePath> {
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (groups, width) = match rest.split_once(".p/") {
        Some((groups, width)) => (groups, width.parse().ok()?),
        None => (rest, TILE_WIDTH),
    };
    let number = groups.split('/').try_fold(0_u64, |number, group| {
        let digits = group.strip_prefix('x').unwrap_or(group);
        number.checked_mul(GROUP)?.checked_add(digits.parse().ok()?)
    })?;
    match level {
        "entries" => TilePath::entries(number, width),
        level => TilePath::hashes(level.parse().ok()?, number, width),
    }
    .ok()
}

/// Why something is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum PathError {
    /// The level has no path.
    Level {
        /// The level given.
        level: u8,
    },
    /// No file has so few or so many hashes or entries.
    Width {
        /// The width given.
        width: usize,
    },
    /// The text is not the path of a tile as it is written.
    Malformed,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level { level } => {
                let highest = TilePath::MAX_LEVEL;
                write!(f, "level {level} is above {highest}, the highest of a tile")
            }
            Self::Width { width } => {
                write!(f, "a tile holds 1 to {TILE_WIDTH} hashes, not {width}")
            }
            Self::Malformed => f.write_str("not the path of a tile, such as tile/0/x001/234.p/5"),
        }
    }
}

impl Error for PathError {}

#[cfg(test)]
mod tests;
