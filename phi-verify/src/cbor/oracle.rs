//! A second reader to hold the first against: ciborium, which takes more than the one encoding,
//! and behind it a walk over the value and an encoding of it that must give the same bytes.

use alloc::{vec, vec::Vec};

use proptest::{collection, prelude::*};

use super::{Item, Value, deterministic::DEPTH_LIMIT, encode};

/// The value that these bytes are the one encoding of, if they are.
fn decode(bytes: &[u8]) -> Option<Value> {
    let value: Value = ciborium::de::from_reader_with_recursion_limit(bytes, DEPTH_LIMIT).ok()?;
    (allowed(&value) && encode(&value) == bytes).then_some(value)
}

/// Only integers, strings, booleans, arrays, and maps whose keys strictly ascend.
fn allowed(value: &Value) -> bool {
    match value {
        Value::Integer(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) => true,
        Value::Array(items) => items.iter().all(allowed),
        Value::Map(entries) => {
            let ascending = |pair: &[(Value, Value)]| encode(&pair[0].0) < encode(&pair[1].0);
            let both = |(key, value): &(Value, Value)| allowed(key) && allowed(value);
            entries.windows(2).all(ascending) && entries.iter().all(both)
        }
        _ => false,
    }
}

fn value(item: Item) -> Value {
    match item {
        Item::Uint(number) => number.into(),
        Item::Nint(number) => {
            let number = (-1 - i128::from(number)).try_into();
            Value::Integer(number.expect("CBOR has this number"))
        }
        Item::Bytes(bytes) => bytes.into(),
        Item::Text(text) => text.into(),
        Item::Bool(truth) => truth.into(),
        Item::Array(items) => Value::Array(items.iter().map(value).collect()),
        Item::Map(items) => {
            let entries = items.entries();
            Value::Map(
                entries
                    .map(|(key, item)| (value(key), value(item)))
                    .collect(),
            )
        }
    }
}

/// Whether both accept, with the same value, or both refuse.
fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    let read = Item::decode(bytes).ok().map(value);
    prop_assert_eq!(read, decode(bytes), "{:02x?}", bytes);
    Ok(())
}

/// First bytes of every kind of head, and of every width; those below are lengths, too.
const BYTES: [u8; 28] = [
    0x00, 0x01, 0x02, 0x17, 0x18, 0x19, 0x1b, 0x1c, 0x1f, 0x20, 0x38, 0x41, 0x58, 0x5f, 0x61, 0x78,
    0x80, 0x81, 0x82, 0x9f, 0xa1, 0xa2, 0xbf, 0xc2, 0xf4, 0xf6, 0xf9, 0xff,
];

#[test]
fn short_inputs_are_judged_alike() {
    let mut inputs = vec![Vec::new()];
    for _ in 0..4 {
        inputs = inputs
            .iter()
            .flat_map(|input| BYTES.map(|byte| [&input[..], &[byte]].concat()))
            .collect();
        inputs.iter().try_for_each(|input| agree(input)).unwrap();
    }
    for pair in 0..=u16::MAX {
        agree(&pair.to_be_bytes()).unwrap();
    }
}

#[test]
fn nesting_is_bounded_alike() {
    for levels in 0..12 {
        for outer in [&[0x81][..], &[0xa1, 0x00]] {
            agree(&[&outer.repeat(levels)[..], &[0x00]].concat()).unwrap();
        }
        // In the place of a key.
        agree(&[vec![0xa1; levels], vec![0x00; levels + 1]].concat()).unwrap();
    }
}

#[test]
fn long_strings_are_judged_alike() {
    for length in [255, 256, 4095, 4096, 4097, 9000, 65_535, 65_536] {
        let text = "aé€😀".repeat(length / 10) + &"b".repeat(length % 10);
        for string in [Value::from(&text[..]), text.as_bytes().into()] {
            let mut bytes = encode(&string);
            agree(&bytes).unwrap();
            bytes.pop();
            agree(&bytes).unwrap();
            bytes.extend([0xff, 0xff]);
            agree(&bytes).unwrap();
        }
    }
}

/// Values of every type of CBOR, most of them allowed, up to ten levels deep.
fn values() -> impl Strategy<Value = Value> {
    let number = prop_oneof![0..30_u64, 250..260_u64, 65_530..65_540_u64, any::<u64>()];
    let leaf = prop_oneof![
        8 => number.clone().prop_map(Value::from),
        4 => number.prop_map(|number| (-1 - i128::from(number)).try_into().map(Value::Integer).unwrap()),
        4 => collection::vec(any::<u8>(), 0..30).prop_map(Value::Bytes),
        4 => "[a-é]{0,26}".prop_map(Value::Text),
        4 => any::<bool>().prop_map(Value::Bool),
        1 => Just(Value::Null),
        1 => any::<f64>().prop_map(Value::Float),
    ];
    leaf.prop_recursive(10, 24, 4, |inner| {
        prop_oneof![
            8 => collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            8 => (collection::vec((inner.clone(), inner.clone()), 0..4), any::<u8>()).prop_map(entries),
            1 => (any::<u64>(), inner).prop_map(|(tag, value)| Value::Tag(tag, value.into())),
        ]
    })
}

/// A map that is mostly in order.
fn entries((mut entries, disorder): (Vec<(Value, Value)>, u8)) -> Value {
    if disorder > 32 {
        entries.sort_by_cached_key(|(key, _)| encode(key));
        entries.dedup_by_key(|(key, _)| encode(key));
    }
    Value::Map(entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// About half a million inputs: every encoding, and everything that differs from it in a bit,
    /// a byte or its end.
    #[test]
    fn encodings_and_their_neighbors_are_judged_alike(value in values()) {
        let bytes = encode(&value);
        agree(&bytes)?;
        for at in 0..bytes.len() {
            let (head, tail) = bytes.split_at(at);
            agree(head)?;
            agree(&[head, &tail[1..]].concat())?;
            agree(&[head, &[tail[0]], tail].concat())?;
            for byte in [0x00, 0x18, 0x80, 0xff] {
                agree(&[head, &[byte], tail].concat())?;
            }
            for bit in 0..8 {
                agree(&[head, &[tail[0] ^ 1 << bit], &tail[1..]].concat())?;
            }
            // The head in its next longer form, if it is one.
            agree(&[head, &[tail[0] & 0xe0 | 0x18, tail[0] & 31], &tail[1..]].concat())?;
        }
        agree(&[&bytes[..], &[0]].concat())?;
    }

    #[test]
    fn any_bytes_are_judged_alike(bytes in collection::vec(any::<u8>(), 0..40)) {
        agree(&bytes)?;
    }
}
