//! A license token: as text, and as a body that the right key has signed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use phi_verify_fuzz::{snakeoil::NOW, token, verifier};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = phi_verify::dangerous_inspect::token(text);
        let _ = verifier().verify(text, NOW);
    }
    let Some(token) = token(bytes) else { return };
    if let Ok(license) = verifier().verify(&token, NOW) {
        let again = license.claims().encode();
        assert_eq!(again.as_deref(), Ok(bytes), "a license has one encoding");
    }
});
