//! Entry bundles: the data of up to 256 leaves in one published file. Others read them; here only
//! tests do.

use std::error::Error;
use std::fmt;

use super::TILE_WIDTH;

/// Writes the entries of a bundle, each after its length in two bytes, high byte first.
///
/// # Errors
/// There is no entry or there are more than 256, or one is longer than 65,535 bytes.
pub(crate) fn write_bundle<'e>(
    entries: impl IntoIterator<Item = &'e [u8]>,
) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    let mut position = 0;
    for entry in entries {
        if position == TILE_WIDTH {
            return Err(BundleError::Width);
        }
        let length = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong {
            position,
            length: entry.len(),
        })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
        position += 1;
    }
    if position == 0 {
        return Err(BundleError::Width);
    }
    Ok(bytes)
}

/// The entries of a bundle that has `width` of them and nothing else.
///
/// # Errors
/// `width` is not from 1 to 256, the bytes end early, or some are left.
#[cfg(test)]
pub(crate) fn parse_bundle(bytes: &[u8], width: usize) -> Result<Vec<&[u8]>, BundleError> {
    if !(1..=TILE_WIDTH).contains(&width) {
        return Err(BundleError::Width);
    }
    let mut rest = bytes;
    let mut entries = Vec::with_capacity(width);
    for position in 0..width {
        let (entry, after) = split(rest).ok_or(BundleError::Truncated { position })?;
        entries.push(entry);
        rest = after;
    }
    if !rest.is_empty() {
        let left = rest.len();
        return Err(BundleError::Trailing { left, width });
    }
    Ok(entries)
}

/// The first entry and what follows it.
#[cfg(test)]
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// Why entries are not a bundle, or bytes not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum BundleError {
    /// A bundle has from 1 to 256 entries.
    Width,
    /// The length of an entry does not fit.
    TooLong {
        /// Which entry of the bundle, from 0.
        position: usize,
        /// Its bytes.
        length: usize,
    },
    /// The bytes end before an entry does.
    #[cfg(test)]
    Truncated {
        /// Which entry of the bundle, from 0.
        position: usize,
    },
    /// Bytes follow the last entry.
    #[cfg(test)]
    Trailing {
        /// How many.
        left: usize,
        /// The entries before them.
        width: usize,
    },
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Width => write!(f, "an entry bundle has 1 to {TILE_WIDTH} entries"),
            Self::TooLong { position, length } => write!(
                f,
                "entry {position} of the bundle has {length} bytes, and at most {} fit",
                u16::MAX
            ),
            #[cfg(test)]
            Self::Truncated { position } => {
                write!(f, "the bundle ends before its entry {position} does")
            }
            #[cfg(test)]
            Self::Trailing { left, width } => {
                write!(f, "{left} bytes follow the {width} entries of the bundle")
            }
        }
    }
}

impl Error for BundleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_follow_their_lengths() {
        let long = vec![7; 0x0102];
        let bytes = write_bundle([b"ab".as_slice(), b"", &long]).unwrap();
        assert_eq!(bytes[..8], [0, 2, b'a', b'b', 0, 0, 1, 2]);
        assert_eq!(bytes[8..], long);
        let entries = parse_bundle(&bytes, 3).unwrap();
        assert_eq!(entries, [b"ab".as_slice(), b"", &long]);
    }

    #[test]
    fn every_width_reads_back_and_no_other_does() {
        let all: Vec<Vec<u8>> = (0..=255)
            .map(|length| vec![length; length.into()])
            .collect();
        for width in [1, 2, 255, 256] {
            let bytes = write_bundle(all.iter().rev().take(width).map(Vec::as_slice)).unwrap();
            let read = parse_bundle(&bytes, width).unwrap();
            assert_eq!(write_bundle(read).unwrap(), bytes);
            let short = parse_bundle(&bytes, width + 1).unwrap_err();
            let expected = match width {
                256 => BundleError::Width,
                _ => BundleError::Truncated { position: width },
            };
            assert_eq!(short, expected);
        }
        let bytes = write_bundle(all.iter().map(Vec::as_slice)).unwrap();
        let left = 255 + 2;
        let expected = BundleError::Trailing { left, width: 255 };
        assert_eq!(parse_bundle(&bytes, 255), Err(expected));
    }

    #[test]
    fn a_bundle_cut_anywhere_is_refused() {
        let bytes = write_bundle([b"abc".as_slice(), b"", b"d"]).unwrap();
        for end in 0..bytes.len() {
            let position = match end {
                0..5 => 0,
                5..7 => 1,
                _ => 2,
            };
            let expected = BundleError::Truncated { position };
            assert_eq!(parse_bundle(&bytes[..end], 3), Err(expected), "at {end}");
        }
    }

    #[test]
    fn limits_hold() {
        let most = vec![1; 65_535];
        let bytes = write_bundle([most.as_slice()]).unwrap();
        assert_eq!(parse_bundle(&bytes, 1).unwrap(), [most]);
        let longer = vec![1; 65_536];
        let error = write_bundle([b"a".as_slice(), &longer]).unwrap_err();
        let message = "entry 1 of the bundle has 65536 bytes, and at most 65535 fit";
        assert_eq!(error.to_string(), message);
        assert_eq!(write_bundle([]), Err(BundleError::Width));
        let many = [b"a".as_slice(); 257];
        assert_eq!(write_bundle(many), Err(BundleError::Width));
        assert_eq!(parse_bundle(b"", 0), Err(BundleError::Width));
    }
}
