//! In the place of `token`, where this was built without PKCS#11.

use std::path::Path;

use phi_verify::PublicKey;

use super::{FoundKey, FoundToken, NewInToken, SignerError, TokenKey};
use crate::keyfile::Signer;
use crate::passphrase::Unlock;

pub(super) fn open(
    _: &TokenKey,
    _: &PublicKey,
    _: &dyn Unlock,
) -> Result<Box<dyn Signer>, SignerError> {
    Err(SignerError::NotBuiltIn)
}

/// The tokens that a module has.
///
/// # Errors
/// [`SignerError::NotBuiltIn`].
pub fn find_tokens(_: &Path) -> Result<Vec<FoundToken>, SignerError> {
    Err(SignerError::NotBuiltIn)
}

/// The Ed25519 keys in a token.
///
/// # Errors
/// [`SignerError::NotBuiltIn`].
pub fn find_keys(_: &Path, _: &str, _: Option<&str>) -> Result<Vec<FoundKey>, SignerError> {
    Err(SignerError::NotBuiltIn)
}

pub(super) fn generate(
    _: &Path,
    _: &str,
    _: Option<&str>,
    _: &str,
    _: &dyn Unlock,
) -> Result<NewInToken, SignerError> {
    Err(SignerError::NotBuiltIn)
}

pub(super) fn existing(
    _: &Path,
    _: &str,
    _: Option<&str>,
    _: Vec<u8>,
    _: &dyn Unlock,
) -> Result<NewInToken, SignerError> {
    Err(SignerError::NotBuiltIn)
}
