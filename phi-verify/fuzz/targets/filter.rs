//! The body of a filter, whose kind is the first byte: what is read is asked about some ids.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify::filter::{Answer, Filter, FilterKind, SaltedId};

fuzz_target!(|data: &[u8]| {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let Ok(filter) = Filter::parse(u64::from(*kind), body) else {
        return;
    };
    assert_eq!(filter.kind().number(), u64::from(*kind));
    assert_eq!(filter.body(), body, "a filter has one encoding");
    for byte in 0..=15_u8 {
        // Ids at the ends of what there is, and some that the body names.
        let mut id = [byte.wrapping_mul(17); 16];
        for (place, from) in id
            .iter_mut()
            .zip(body.iter().skip(usize::from(byte)))
            .step_by(2)
        {
            *place ^= *from;
        }
        let answer = filter.contains(SaltedId::from_bytes(id));
        let probable = answer == Answer::Probably;
        assert!(!probable || filter.kind() == FilterKind::Bloom);
    }
});
