//! Signers outside the issuer's memory: keys in a PKCS#11 token, and keys behind a program.
//!
//! Where a key's signer is stands in a file of the keys folder, the [`Place`]; the public half is
//! never taken from it. A key in an encrypted file is left to `keyfile`.

mod error;
#[cfg(feature = "escrow")]
mod escrow;
mod keys;
mod place;
mod process;
mod program;
#[cfg(feature = "pkcs11")]
mod token;
#[cfg(not(feature = "pkcs11"))]
#[path = "custody/no_token.rs"]
mod token;

use std::path::Path;

use phi_verify::PublicKey;

use crate::{
    keyfile::{SignError, Signer},
    passphrase::Unlock,
};

pub use error::SignerError;
#[cfg(feature = "escrow")]
pub use escrow::{Escrow, EscrowKey, MAX_ESCROW_LEN};
pub use keys::{NewKey, public_half};
pub use place::{FoundKey, FoundToken, Place, Program, TokenKey};
pub(crate) use process::keep_in_memory;
pub use process::seclude;
pub use token::{find_keys, find_tokens};

/// A key in a token that the ledger does not have yet, opened.
struct NewInToken {
    place: TokenKey,
    signer: Box<dyn Signer>,
}

/// Opens the signer at a place. What it signs is checked against `public`, the public half that
/// the ledger has.
///
/// # Errors
/// [`SignerError`]: the place does not answer, or has another key.
pub(crate) fn open(
    place: &Place,
    folder: &Path,
    public: &PublicKey,
    unlock: &dyn Unlock,
) -> Result<Box<dyn Signer>, SignerError> {
    match place {
        Place::Exec(program) => Ok(Box::new(program::ProgramSigner::new(
            program, folder, public,
        ))),
        Place::Pkcs11(key) => token::open(key, public, unlock),
    }
}

/// Has a signer sign a message of no use to anyone, which shows that it has the key.
///
/// # Errors
/// [`SignError`] if there is no signature, or one that does not hold.
pub(crate) fn check(signer: &dyn Signer) -> Result<(), SignError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| SignError::Randomness(error.into()))?;
    signer.sign(&challenge(&nonce)).map(drop)
}

/// The message that [`check`] has signed: two pieces like a document's, of a kind that no
/// document has. A token's message has four pieces, and a checkpoint begins with text.
fn challenge(nonce: &[u8; 32]) -> Vec<u8> {
    let pieces: [&[u8]; 2] = [b"phi.key-check.v1", nonce];
    let mut message = (pieces.len() as u64).to_le_bytes().to_vec();
    for piece in pieces {
        message.extend_from_slice(&(piece.len() as u64).to_le_bytes());
        message.extend_from_slice(piece);
    }
    message
}

#[cfg(test)]
mod tests {
    use phi_verify::DocumentKind;

    use super::*;

    #[test]
    fn a_challenge_is_no_document_and_no_token() {
        let message = challenge(&[7; 32]);
        assert_eq!(message[..8], 2_u64.to_le_bytes());
        assert_eq!(message[16..32], *b"phi.key-check.v1");
        assert_eq!(message.len(), 8 + 8 + 16 + 8 + 32);
        for kind in DocumentKind::ALL {
            assert_ne!(kind.name(), "key-check");
        }
    }
}
