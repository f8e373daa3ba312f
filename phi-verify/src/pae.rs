//! Pre-authentication encoding: the bytes that a signature covers (PASETO, Common.md, "PAE").

/// Writes `LE64(count)` and then each piece as `LE64(length) || piece` into `buffer`; the length
/// written, or `None` if the buffer is too small.
pub(crate) fn write(buffer: &mut [u8], pieces: &[&[u8]]) -> Option<usize> {
    let mut at = put(buffer, 0, &length(pieces.len()))?;
    for piece in pieces {
        at = put(buffer, at, &length(piece.len()))?;
        at = put(buffer, at, piece)?;
    }
    Some(at)
}

/// The bytes that [`write`] needs for these pieces.
pub(crate) fn size(pieces: &[&[u8]]) -> usize {
    pieces.iter().map(|piece| 8 + piece.len()).sum::<usize>() + 8
}

/// PASETO's LE64, whose top bit is never set.
pub(crate) fn length(count: usize) -> [u8; 8] {
    (count as u64 & (u64::MAX >> 1)).to_le_bytes()
}

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
    let end = at.checked_add(bytes.len())?;
    buffer.get_mut(at..end)?.copy_from_slice(bytes);
    Some(end)
}
