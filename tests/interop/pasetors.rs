//! pasetors, in this process.

use pasetors::Public;
use pasetors::errors::Error;
use pasetors::keys::{AsymmetricPublicKey, AsymmetricSecretKey};
use pasetors::paserk::{FormatAsPaserk, Id};
use pasetors::token::UntrustedToken;
use pasetors::version4::{PublicToken, V4};

use crate::sample::{ASSERTION, Sample};

pub(crate) fn verify(sample: &Sample, token: &str, assertion: &str) -> Result<(), Error> {
    let key = AsymmetricPublicKey::<V4>::from(&sample.public_key)?;
    let token = UntrustedToken::<Public, V4>::try_from(token)?;
    let assertion = Some(assertion.as_bytes());
    let trusted = PublicToken::verify(&key, &token, Some(&sample.footer), assertion)?;
    assert_eq!(trusted.payload(), "{}");
    assert_eq!(trusted.footer(), sample.footer);
    Ok(())
}

pub(crate) fn mint(sample: &Sample) -> String {
    let pair = [sample.seed, sample.public_key].concat();
    let key = AsymmetricSecretKey::<V4>::from(&pair).unwrap();
    PublicToken::sign(
        &key,
        b"{}",
        Some(&sample.footer),
        Some(ASSERTION.as_bytes()),
    )
    .unwrap()
}

/// The key's PASERK id, `k4.pid.` and 44 characters.
pub(crate) fn paserk_id(public_key: &[u8; 32]) -> String {
    let key = AsymmetricPublicKey::<V4>::from(public_key).unwrap();
    let mut id = String::new();
    Id::from(&key).fmt(&mut id).unwrap();
    id
}
