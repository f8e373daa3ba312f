//! The Bloom cascade: layers that in turn hold the members, those that the layer before takes for
//! members, those of the members that this one takes for such, and so on until few are left; a seed
//! tells the last of them apart.

use super::{
    FilterError, SaltedId,
    bloom::{Layer, seeds},
    bytes::Reader,
};

/// The most layers: two of them halve what is left, so that these are enough for any number of
/// ids that the largest layer holds.
pub const MAX_LAYERS: u8 = 64;

/// `u8 inverted | u8 layers | {varint bits | u8 probes}* | bits of each | u8 tail | varint seed?`.
///
/// The layers' measures are read again with every question, so that nothing is kept beside the
/// body; an answer seldom needs more than three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cascade {
    /// The layers hold those who are *not* members first.
    inverted: bool,
    layers: u8,
    /// The first layer, which nearly every question ends with.
    first: Option<Layer>,
    /// Where the bits of the first layer begin.
    bits_at: usize,
    tail: Option<u64>,
}

/// Where the layers' measures begin.
const LAYERS_AT: usize = 2;

impl Cascade {
    pub(super) fn parse(mut reader: Reader<'_>) -> Result<Self, FilterError> {
        let inverted = reader.choice()?;
        let layers = reader.byte()?;
        if layers > MAX_LAYERS {
            return Err(FilterError::Limit);
        }
        let mut headers = reader;
        for _ in 0..layers {
            Layer::parse(&mut reader)?;
        }
        let bits_at = reader.place();
        let mut first = None;
        for _ in 0..layers {
            let layer = Layer::parse(&mut headers)?;
            first.get_or_insert(layer);
            reader.bits(layer.bits())?;
        }
        let tail = if reader.choice()? {
            Some(reader.varint()?)
        } else {
            None
        };
        reader.end()?;
        // Without layers and tail it is of nobody, or inverted of everybody.
        if layers == 0 && tail.is_none() && !inverted {
            return Err(FilterError::Empty);
        }
        Ok(Self {
            inverted,
            layers,
            first,
            bits_at,
            tail,
        })
    }

    pub(super) fn contains(&self, body: &[u8], id: SaltedId) -> bool {
        self.holds(body, id) != self.inverted
    }

    /// Whether the id is among those whom the first layer was made for.
    fn holds(&self, body: &[u8], id: SaltedId) -> bool {
        let Some(first) = self.first else {
            return self.tail.is_some_and(|seed| tail_bit(seed, id));
        };
        if !first.is_set(0, id, &body[self.bits_at..]) {
            return false;
        }
        self.holds_after_first(body, id)
    }

    fn holds_after_first(&self, body: &[u8], id: SaltedId) -> bool {
        let mut headers = Reader::from(body, LAYERS_AT);
        let mut bits_at = self.bits_at;
        for index in 0..self.layers {
            let layer = Layer::parse(&mut headers).expect("the measures were read before");
            if index > 0 && !layer.is_set(index.into(), id, &body[bits_at..]) {
                // This layer holds all that are left of its kind: the id is of the other.
                return index % 2 == 1;
            }
            bits_at += usize::try_from(layer.bytes()).expect("the body holds the layer");
        }
        match self.tail {
            Some(seed) => tail_bit(seed, id),
            None => self.layers % 2 == 1,
        }
    }
}

/// The bit by which a tail with this seed tells ids apart: 1 for those whom the first layer was
/// made for.
pub const fn tail_bit(seed: u64, id: SaltedId) -> bool {
    let (_, bits) = seeds(MAX_LAYERS as u64 + seed, id);
    bits >> 63 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Answer, Filter};

    fn id(number: u64) -> SaltedId {
        SaltedId {
            low: number,
            high: !number,
        }
    }

    #[track_caller]
    fn refuse(body: &[u8], expected: FilterError) {
        assert_eq!(Filter::parse(2, body).unwrap_err(), expected);
    }

    #[test]
    fn nobody_is_left_out_and_everybody_is_three_bytes() {
        refuse(&[0, 0, 0], FilterError::Empty);
        let everybody = Filter::parse(2, &[1, 0, 0]).unwrap();
        assert_eq!(everybody.contains(id(5)), Answer::Yes);
    }

    #[test]
    fn a_tail_alone_tells_apart() {
        let filter = |inverted| Filter::parse(2, &[inverted, 0, 1, 9]).unwrap();
        for number in 0..64 {
            let plain = filter(0).contains(id(number)) == Answer::Yes;
            assert_eq!(plain, tail_bit(9, id(number)));
            assert_ne!(plain, filter(1).contains(id(number)) == Answer::Yes);
        }
    }

    /// Layers whose bits are all set say yes to every id: the next decides, and the last says
    /// yes for those that it holds.
    #[test]
    fn the_first_layer_to_say_no_decides() {
        let layer = [8, 1];
        for (bits, expected) in [
            (&[0][..], Answer::No),
            (&[0xff], Answer::Yes),
            (&[0xff, 0], Answer::Yes),
            (&[0xff, 0xff], Answer::No),
            (&[0xff, 0xff, 0], Answer::No),
            (&[0xff, 0xff, 0xff], Answer::Yes),
        ] {
            let count = u8::try_from(bits.len()).unwrap();
            let body = [&[0, count][..], &layer.repeat(bits.len()), bits, &[0]].concat();
            let filter = Filter::parse(2, &body).unwrap();
            assert_eq!(filter.contains(id(1)), expected, "{bits:?}");
        }
    }

    #[test]
    fn every_rule_of_a_body_is_held() {
        let good = [0, 1, 9, 2, 0xff, 1, 1, 5];
        assert!(Filter::parse(2, &good).is_ok());
        for end in 0..good.len() {
            refuse(&good[..end], FilterError::CutShort);
        }
        refuse(&[&good[..], &[0]].concat(), FilterError::Trailing);
        refuse(&[2, 1, 9, 2, 0xff, 1, 1, 5], FilterError::Choice);
        refuse(&[0, 1, 9, 2, 0xff, 1, 2, 5], FilterError::Choice);
        refuse(&[0, 65, 9, 2, 0xff, 1, 1, 5], FilterError::Limit);
        refuse(&[0, 1, 7, 2, 0xff, 1, 5], FilterError::Limit);
        refuse(&[0, 1, 9, 0, 0xff, 1, 1, 5], FilterError::Limit);
        refuse(&[0, 1, 9, 33, 0xff, 1, 1, 5], FilterError::Limit);
        refuse(&[0, 1, 9, 2, 0xff, 2, 1, 5], FilterError::Padding);
        refuse(&[0, 1, 0x89, 0, 2, 0xff, 1, 1, 5], FilterError::Varint);
        refuse(&[0, 1, 9, 2, 0xff, 1, 1, 0x85, 0], FilterError::Varint);
        // Four thousand million bits are announced and two bytes are there.
        let huge = [0, 1, 0x80, 0x80, 0x80, 0x80, 0x10, 1, 0, 0, 0];
        refuse(&huge, FilterError::CutShort);
        let beyond = [0, 1, 0x81, 0x80, 0x80, 0x80, 0x10, 1, 0, 0, 0];
        refuse(&beyond, FilterError::Limit);
    }
}
