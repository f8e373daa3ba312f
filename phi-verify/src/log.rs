//! The offline side of the ledger's transparency log: was this token entered into the ledger
//! that the issuer shows to everyone, and does that ledger only grow?
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use phi_verify::{TrustState, armor, log::Proof};
//!
//! let trust = TrustState::from_anchor(include_bytes!("../../keys/demo/root-1.phi"))?;
//! let token = armor::unwrap(include_str!("../../keys/demo/license.txt"))?;
//!
//! let proof = Proof::parse(include_str!("../../keys/demo/license.tlog-proof"))?;
//! let inclusion = proof.verify_token(&token, trust.root())?;
//! assert_eq!(inclusion.index(), 3);
//! assert_eq!(inclusion.checkpoint().size(), 5);
//! # Ok(())
//! # }
//! ```
//!
//! The log is a Merkle tree (RFC 6962, RFC 9162) whose [`Leaf`] number `n` stands for entry
//! `n + 1` of the ledger. Its size and root are in a [`Checkpoint`], which the keys of the root's
//! ledger role sign. An application may keep the last checkpoint as a [`LogState`], which takes a
//! newer one only with a [`ConsistencyProof`]. The texts are those of C2SP: [signed-note],
//! [tlog-checkpoint], [tlog-proof] and the request of [tlog-witness]; docs/spec.md, "The ledger's
//! log", has the rules.
//!
//! A proof says nothing of whether a license is valid: that is [`Verifier`](crate::Verifier)'s
//! word, which asks for proofs where its [`ProofPolicy`](crate::ProofPolicy) or a key says so. Building trees and proofs is left to the issuer, and fetching them to the application.
//!
//! [signed-note]: https://c2sp.org/signed-note
//! [tlog-checkpoint]: https://c2sp.org/tlog-checkpoint
//! [tlog-proof]: https://c2sp.org/tlog-proof
//! [tlog-witness]: https://c2sp.org/tlog-witness

mod checkpoint;
mod consistency;
mod hash;
mod leaf;
mod lines;
mod merkle;
mod note;
mod origin;
mod proof;
mod state;

pub use checkpoint::{Checkpoint, UnsignedCheckpoint, UntrustedCheckpoint};
pub use consistency::ConsistencyProof;
pub use hash::{Hash, NotAHash};
pub use leaf::{DOCUMENT_PUBLISHED, Leaf, TOKEN_MINTED};
pub use merkle::{MAX_PATH, MAX_SIZE, verify_consistency, verify_inclusion};
pub use note::{MAX_NOTE, MAX_SIGNATURES, UnsignedNote, UntrustedNote, note_key_id};
pub use origin::Origin;
pub use proof::{Inclusion, MAX_PROOF, Proof};
pub use state::{Conflict, LogState, SplitView};
