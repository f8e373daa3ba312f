//! The bytes of a filter: read from the front, each announced length held against what is there.

use super::FilterError;

/// A body, and how far it is read.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// A reader that goes on from a place where one has been.
    pub(super) const fn from(body: &'a [u8], at: usize) -> Self {
        Self { body, at }
    }

    /// How far the body is read.
    pub(super) const fn place(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, FilterError> {
        let byte = *self.body.get(self.at).ok_or(FilterError::CutShort)?;
        self.at += 1;
        Ok(byte)
    }

    /// A byte that is 0 or 1.
    pub(super) fn choice(&mut self) -> Result<bool, FilterError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FilterError::Choice),
        }
    }

    /// An unsigned LEB128 number in its shortest form, of at most 35 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, FilterError> {
        let mut number = 0;
        for place in 0..VARINT_BYTES {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                let shortest = byte != 0 || place == 0;
                return if shortest {
                    Ok(number)
                } else {
                    Err(FilterError::Varint)
                };
            }
        }
        Err(FilterError::Varint)
    }

    /// Passes over an array of so many bits, which ends with its byte: the bits after the last
    /// one are zero.
    pub(super) fn bits(&mut self, bits: u64) -> Result<(), FilterError> {
        self.skip(bits.div_ceil(8))?;
        let used = bits % 8;
        if used != 0 && self.body[self.at - 1] >> used != 0 {
            return Err(FilterError::Padding);
        }
        Ok(())
    }

    /// Passes over so many bytes.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), FilterError> {
        let left = self.body.len() - self.at;
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= left);
        self.at += bytes.ok_or(FilterError::CutShort)?;
        Ok(())
    }

    pub(super) fn end(self) -> Result<(), FilterError> {
        if self.at == self.body.len() {
            return Ok(());
        }
        Err(FilterError::Trailing)
    }
}

/// Seven bits each: more than any number here has.
const VARINT_BYTES: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &[u8], expected: Result<u64, FilterError>) {
        assert_eq!(Reader::new(body).varint(), expected);
    }

    #[test]
    fn a_number_has_one_form() {
        check(&[0], Ok(0));
        check(&[0x7f], Ok(127));
        check(&[0x80, 1], Ok(128));
        check(&[0x80, 0x80, 0x80, 0x80, 0x10], Ok(1 << 32));
        check(&[0xff, 0xff, 0xff, 0xff, 0x7f], Ok((1 << 35) - 1));
        check(&[0x80, 0], Err(FilterError::Varint));
        check(&[0xff, 0x80, 0], Err(FilterError::Varint));
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 1], Err(FilterError::Varint));
        check(&[], Err(FilterError::CutShort));
        check(&[0x80], Err(FilterError::CutShort));
    }

    #[test]
    fn an_array_ends_with_its_byte_and_with_zeros() {
        let bits = |body: &[u8], bits| Reader::new(body).bits(bits);
        assert_eq!(bits(&[0xff], 8), Ok(()));
        assert_eq!(bits(&[0xff, 1], 9), Ok(()));
        assert_eq!(bits(&[0xff, 2], 9), Err(FilterError::Padding));
        assert_eq!(bits(&[0xff], 9), Err(FilterError::CutShort));
        assert_eq!(bits(&[0xff], u64::MAX), Err(FilterError::CutShort));
    }
}
