//! A bundle: as it comes, and as a keyset that the right key has signed, under a version that the
//! bundle states.
#![no_main]

use std::sync::LazyLock;

use ciborium::Value;
use libfuzzer_sys::fuzz_target;
use phi_verify::{
    Bundle, DocumentKind, PartOutcome, TrustState, UnsignedDocument, armor, log::LogState,
};
use phi_verify_fuzz::{anchor_only, seal, snakeoil, verifier};

static BEFORE: LazyLock<TrustState> = LazyLock::new(anchor_only);

fuzz_target!(|bytes: &[u8]| {
    import(bytes);
    if let Some((version, payload)) = bytes.split_first() {
        let unsigned = UnsignedDocument::with_payload(DocumentKind::Keyset, payload.to_vec());
        let keyset = seal(DocumentKind::Keyset, &unsigned);
        let after = import(&of_keyset(*version, keyset)).unwrap_or_else(|| BEFORE.clone());
        if let Some(keyset) = after.keyset() {
            assert_eq!(
                keyset.version,
                u64::from(*version),
                "the index was believed"
            );
        }
    }
});

/// The state after a bundle, if it is one.
fn import(bytes: &[u8]) -> Option<TrustState> {
    let bundle = Bundle::parse(bytes).ok()?;
    let word = armor::bundle_to_text(bytes).expect("a bundle has a word");
    assert_eq!(armor::bundle_from_text(&word).as_deref(), Ok(bytes));
    let mut trust = BEFORE.clone();
    let reports = trust.import_bundle(&bundle);
    assert_eq!(reports.len(), bundle.parts().count());
    if reports
        .iter()
        .all(|report| report.outcome != PartOutcome::Updated)
    {
        assert_eq!(trust, *BEFORE, "what is not taken leaves no trace");
    }
    let after = trust.clone();
    trust.import_bundle(&bundle);
    assert_eq!(trust, after, "the second time");
    for token in bundle.tokens() {
        let _ = token.verify(&verifier(), snakeoil::NOW);
    }
    if let Ok(Some(state)) = bundle.advance(None, trust.root()) {
        assert_eq!(LogState::restore(state.as_str()), Ok(state));
    }
    Some(after)
}

fn of_keyset(version: u8, keyset: Vec<u8>) -> Vec<u8> {
    let part = Value::Array(vec![version.into(), Value::Bytes(keyset)]);
    let fields = Value::Map(vec![(0.into(), 9.into()), (2.into(), part)]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&fields, &mut bytes).expect("memory takes any bytes");
    bytes
}
