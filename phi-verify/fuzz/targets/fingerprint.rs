//! A fingerprint request: as text, and as an object under a right checksum.
#![no_main]

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use phi_verify::Fingerprint;
use sha2::{Digest as _, Sha256};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check(text);
    }
    let mut object = bytes.to_vec();
    object.extend_from_slice(&Sha256::digest(bytes)[..4]);
    check(&format!(
        "phi.fingerprint.{}",
        URL_SAFE_NO_PAD.encode(object)
    ));
});

fn check(text: &str) {
    if let Ok(fingerprint) = Fingerprint::from_request(text) {
        assert_eq!(
            fingerprint.to_request().as_deref(),
            Ok(text),
            "a request has one form"
        );
    }
}
