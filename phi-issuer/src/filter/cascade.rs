//! Bloom cascades, with the parameters of `CRLite`: the first layer as small as the ratio of the two
//! sides asks for, every later one a false positive in two, and a seed for the last eighteen ids.

use std::{borrow::Cow, f64::consts::SQRT_2};

use phi_verify::filter::{
    Layer, MAX_LAYER_BITS, MAX_LAYERS, MAX_PROBES, MIN_LAYER_BITS, SaltedId, tail_bit,
};

use super::{BuildError, estimate, put_varint, sets::Sets};

/// A seed that tells so many ids apart is found among some 2^18, in a millisecond, and takes three
/// bytes; layers would take more for fewer.
const TAIL_IDS: usize = 18;

/// Of 18 ids no seed below this is right once in 10^444.
const TAIL_SEEDS: u64 = 1 << 28;

/// The body of a cascade (docs/spec.md, "Bloom cascade").
pub(super) fn body(sets: &Sets) -> Result<Vec<u8>, BuildError> {
    let (smaller, larger, inverted) = sets.by_size();
    let mut layers = Vec::new();
    let mut arrays = Vec::new();
    let mut held = Cow::Borrowed(smaller);
    let mut against = Cow::Borrowed(larger);
    while !held.is_empty() && held.len() + against.len() > TAIL_IDS {
        let index = layers.len() as u64;
        if index == u64::from(MAX_LAYERS) {
            return Err(BuildError::Inseparable);
        }
        let layer = if index == 0 {
            first_layer(held.len(), against.len())
        } else {
            layer(held.len(), 0.5)
        };
        let array = array(layer, index, &held);
        let taken = against
            .iter()
            .filter(|id| layer.is_set(index, **id, &array));
        let taken: Vec<_> = taken.copied().collect();
        (held, against) = (Cow::Owned(taken), held);
        layers.push(layer);
        arrays.extend(array);
    }
    let of_smaller = layers.len() % 2 == 0;
    let tail = if held.is_empty() {
        None
    } else if of_smaller {
        Some(tail(&held, &against)?)
    } else {
        Some(tail(&against, &held)?)
    };
    let mut body = vec![inverted.into()];
    body.push(u8::try_from(layers.len()).expect("layers are at most 64"));
    for layer in layers {
        put_varint(&mut body, layer.bits());
        body.push(layer.probes());
    }
    body.extend(arrays);
    body.push(tail.is_some().into());
    if let Some(seed) = tail {
        put_varint(&mut body, seed);
    }
    Ok(body)
}

/// The layer of so many ids, against so many of the other side: a false positive for each 1.4 ids.
fn first_layer(ids: usize, against: usize) -> Layer {
    #[expect(clippy::cast_precision_loss, reason = "sets of ids are far below 2^52")]
    let (ids_f, against) = (ids as f64, against as f64);
    layer(ids, ids_f / (SQRT_2 * against))
}

/// The layer of so many ids that takes this share of all others for one of them.
fn layer(ids: usize, share: f64) -> Layer {
    #[expect(clippy::cast_precision_loss, reason = "sets of ids are far below 2^52")]
    let ids = ids as f64;
    let halvings = -estimate::ln(share) / std::f64::consts::LN_2;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "1 to 32"
    )]
    let probes = halvings.clamp(1.0, MAX_PROBES.into()).round() as u8;
    let of_one_probe = estimate::exp(estimate::ln(share) / f64::from(probes));
    let bits = -f64::from(probes) * ids / estimate::ln(1.0 - of_one_probe);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped after"
    )]
    let bits = (bits.ceil() as u64).clamp(MIN_LAYER_BITS, MAX_LAYER_BITS);
    Layer::new(bits, probes).expect("bits and probes are within their limits")
}

/// The bits of a layer that holds these ids.
fn array(layer: Layer, index: u64, ids: &[SaltedId]) -> Vec<u8> {
    let bytes = usize::try_from(layer.bytes()).expect("a layer fits memory");
    let mut array = vec![0; bytes];
    for bit in ids.iter().flat_map(|id| layer.places(index, *id)) {
        let byte = usize::try_from(bit / 8).expect("a bit of the array");
        array[byte] |= 1 << (bit % 8);
    }
    array
}

/// The first seed whose bit is 1 for all of `ones` and 0 for all of `zeros`.
fn tail(ones: &[SaltedId], zeros: &[SaltedId]) -> Result<u64, BuildError> {
    let tells_apart = |seed: &u64| {
        ones.iter().all(|id| tail_bit(*seed, *id)) && !zeros.iter().any(|id| tail_bit(*seed, *id))
    };
    (0..TAIL_SEEDS)
        .find(tells_apart)
        .ok_or(BuildError::Inseparable)
}
