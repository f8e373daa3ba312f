//! What the texts of the log have in common: lines that end in a line feed, numbers and hashes
//! in their one form.

use alloc::{string::String, vec::Vec};

use super::{
    Hash,
    merkle::{MAX_PATH, MAX_SIZE},
};

/// Takes the next line, without its line feed.
pub(super) fn take<'a>(text: &mut &'a str) -> Option<&'a str> {
    let (line, rest) = text.split_once('\n')?;
    *text = rest;
    Some(line)
}

/// A number of leaves, in decimal digits without a leading zero.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (text.starts_with('0') && text != "0") {
        return None;
    }
    text.parse().ok().filter(|size| *size <= MAX_SIZE)
}

/// Takes hashes, one a line, and the empty line after them.
pub(super) fn hashes(text: &mut &str) -> Result<Vec<Hash>, &'static str> {
    let mut hashes = Vec::new();
    loop {
        match take(text).ok_or("is cut short")? {
            "" => return Ok(hashes),
            _ if hashes.len() == MAX_PATH => return Err("has more than 63 hashes"),
            line => hashes.push(
                line.parse()
                    .map_err(|_| "has a line that is not a hash in base64")?,
            ),
        }
    }
}

/// Writes hashes, one a line, and the empty line after them.
pub(super) fn push_hashes(hashes: &[Hash], text: &mut String) {
    for hash in hashes {
        hash.push_to(text);
        text.push('\n');
    }
    text.push('\n');
}
