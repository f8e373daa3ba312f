//! One license minted by Phi, taken apart as the wire format describes it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use phi_tests::snakeoil::{self, NOW, PRODUCT, Seed};
use phi_verify::{Error, RevocationPolicy, Verifier};

/// What a license token is signed under; never on the wire.
pub(crate) const ASSERTION: &str = "phi.license.v1";

/// A token, the key it is signed with, and the footer that is its last segment.
pub(crate) struct Sample {
    pub(crate) seed: [u8; 32],
    pub(crate) public_key: [u8; 32],
    pub(crate) footer: Vec<u8>,
    pub(crate) token: String,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let token = Seed::License.mint(&snakeoil::claims());
        let (_, footer) = token.rsplit_once('.').unwrap();
        Self {
            seed: Seed::License.signing_key().to_bytes(),
            public_key: *Seed::License.public().as_bytes(),
            footer: URL_SAFE_NO_PAD.decode(footer).unwrap(),
            token,
        }
    }
}

/// Phi's verdict on a token that may come from anywhere.
pub(crate) fn phi_verifies(token: &str) -> Result<(), Error> {
    let trust = snakeoil::trust();
    let license = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient).verify(token, NOW)?;
    assert_eq!(license.claims(), &snakeoil::claims());
    Ok(())
}
