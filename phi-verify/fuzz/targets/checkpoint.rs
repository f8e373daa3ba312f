//! A checkpoint: as it comes, and as a text that the ledger's key has signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify::log::{LogState, UntrustedCheckpoint};
use phi_verify_fuzz::{checkpoint, origin, signed_note, snakeoil::Seed};

fuzz_target!(|text: &str| {
    check(text);
    if let Some(note) = signed_note(text) {
        check(&note);
    }
});

fn check(note: &str) {
    let _ = LogState::restore(note);
    let Ok(untrusted) = UntrustedCheckpoint::parse(note) else {
        return;
    };
    let Ok(verified) = untrusted.verify(&Seed::Ledger.role(), &origin()) else {
        return;
    };
    assert_eq!(verified.origin(), origin().as_str());
    assert_eq!(verified.as_str(), note);
    let again = checkpoint(verified.size(), verified.root());
    let again = UntrustedCheckpoint::parse(&again).expect("what was sealed is a checkpoint");
    let again = again
        .verify(&Seed::Ledger.role(), &origin())
        .expect("signed");
    assert_eq!(
        (again.size(), again.root()),
        (verified.size(), verified.root())
    );
    let state = LogState::begin(verified.clone());
    assert_eq!(LogState::restore(state.as_str()), Ok(state));
}
