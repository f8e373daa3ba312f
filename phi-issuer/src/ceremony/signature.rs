//! A detached signature: what a holder hands back.

use phi_verify::{KeyId, PayloadHash};
use serde::{Deserialize, Serialize};

use super::{file::Form, proposal::Proposal};
use crate::error::Error;

const FORM: Form = Form {
    prefix: "phi.root-signature.",
    label: "ROOT SIGNATURE",
    what: "the signature",
};

/// What stands in the file. Issuer and version are for people; what counts is that the signature
/// holds over the proposal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    issuer: String,
    version: u64,
    #[serde(with = "serde_bytes")]
    proposal: [u8; 32],
    key: String,
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
}

/// A holder's signature over a proposal, which nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSignature {
    issuer: String,
    version: u64,
    proposal: PayloadHash,
    key_id: KeyId,
    signature: [u8; 64],
}

impl RootSignature {
    pub(super) fn new(proposal: &Proposal, key_id: KeyId, signature: [u8; 64]) -> Self {
        Self {
            issuer: proposal.root().issuer.clone(),
            version: proposal.root().version,
            proposal: proposal.hash(),
            key_id,
            signature,
        }
    }

    /// Reads a signature's file.
    ///
    /// # Errors
    /// [`Error::CeremonyFile`].
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let wire: Wire = FORM.read(text)?;
        let key_id = wire.key.parse().map_err(|_| Error::CeremonyFile {
            what: FORM.what,
            problem: "names no key".into(),
        })?;
        Ok(Self {
            issuer: wire.issuer,
            version: wire.version,
            proposal: wire.proposal,
            key_id,
            signature: wire.signature,
        })
    }

    /// The signature as a file.
    pub fn to_text(&self) -> String {
        FORM.write(
            &self.issuer,
            &Wire {
                issuer: self.issuer.clone(),
                version: self.version,
                proposal: self.proposal,
                key: self.key_id.to_string(),
                signature: self.signature,
            },
        )
    }

    /// The issuer of the root that it says it is for.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The version of that root.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The key that it says has signed.
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub(super) const fn bytes(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Whether it is of this proposal, as far as it says itself.
    pub(super) fn check_about(&self, proposal: &Proposal) -> Result<(), Error> {
        let root = proposal.root();
        let problem = if self.issuer != root.issuer {
            format!("is for a root of {}, not of {}", self.issuer, root.issuer)
        } else if self.version != root.version {
            format!(
                "is for root {}, not for root {}",
                self.version, root.version
            )
        } else if self.proposal != proposal.hash() {
            format!("is for another proposal of root {}", self.version)
        } else {
            return Ok(());
        };
        Err(Error::RootSignature {
            key_id: self.key_id,
            problem,
        })
    }
}
