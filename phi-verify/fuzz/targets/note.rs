//! A signed note: as it comes, and as a text that the ledger's key has signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify::log::{UnsignedNote, UntrustedNote};
use phi_verify_fuzz::{ledger_signature, snakeoil::Seed};

const NAME: &str = "fuzz.example/ledger";

fuzz_target!(|text: &str| {
    if let Ok(note) = UntrustedNote::parse(text) {
        let _ = note.verify(NAME, &Seed::Ledger.role());
    }
    let Ok(unsigned) = UnsignedNote::new(NAME.into(), text.into()) else {
        return;
    };
    let sealed = unsigned.sealed(&[ledger_signature(unsigned.message())]);
    let note = UntrustedNote::parse(&sealed).expect("what was sealed is a note");
    assert_eq!(note.verify(NAME, &Seed::Ledger.role()), Ok(text));
});
