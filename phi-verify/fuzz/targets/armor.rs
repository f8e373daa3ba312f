//! Text forms: between markers, and as one word.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify::armor;

fuzz_target!(|text: &str| {
    let Ok(word) = armor::unwrap(text) else {
        return;
    };
    let Ok(document) = armor::document_from_text(&word) else {
        return;
    };
    assert_eq!(
        armor::document_to_text(&document).as_ref(),
        Ok(&word),
        "a document has one word"
    );
    assert_eq!(armor::unwrap(&armor::wrap("DOCUMENT", &word)), Ok(word));
});
