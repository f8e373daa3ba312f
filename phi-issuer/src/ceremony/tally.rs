//! Counting signatures: a root is signed by enough keys of the root before and of its own.

use phi_verify::{KeyId, MAX_SIGNERS, PublicKey, RoleKeys};

use super::{proposal::Proposal, signature::RootSignature};
use crate::error::Error;

/// What one root asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The version of the root whose keys these are.
    pub version: u64,
    /// How many of them must sign.
    pub threshold: usize,
    /// Those that have.
    pub present: Vec<KeyId>,
    /// Those that have not.
    pub missing: Vec<KeyId>,
}

impl Need {
    fn of(version: u64, role: &RoleKeys, signed: &[(PublicKey, [u8; 64])]) -> Self {
        let (present, missing): (Vec<_>, Vec<_>) = role
            .keys()
            .iter()
            .partition(|key| signed.iter().any(|(signer, _)| signer == *key));
        let ids = |keys: Vec<&PublicKey>| keys.into_iter().map(PublicKey::id).collect();
        Self {
            version,
            threshold: role.threshold(),
            present: ids(present),
            missing: ids(missing),
        }
    }

    /// How many signatures are still needed.
    pub fn lacks(&self) -> usize {
        self.threshold.saturating_sub(self.present.len())
    }
}

/// The signatures of a proposal, of which each holds and each is of another key.
#[derive(Clone, Debug)]
pub struct Tally {
    signed: Vec<(PublicKey, [u8; 64])>,
    /// What the root before asks for, and then what the proposed one does.
    pub needs: Vec<Need>,
}

impl Tally {
    /// Checks every signature.
    ///
    /// # Errors
    /// [`Error::RootSignature`] for the first that does not count: of another proposal, of a key
    /// outside the two roots, one that does not hold, or a second one of a key.
    pub fn of(proposal: &Proposal, signatures: &[RootSignature]) -> Result<Self, Error> {
        let mut signed: Vec<(PublicKey, [u8; 64])> = Vec::new();
        let message = proposal.unsigned().message();
        for signature in signatures {
            let refused = |problem: &str| Error::RootSignature {
                key_id: signature.key_id(),
                problem: problem.into(),
            };
            signature.check_about(proposal)?;
            let key = proposal.keys().find(|key| key.id() == signature.key_id());
            let key = key
                .ok_or_else(|| refused("counts for nothing: the key is neither of the root before nor of the proposed one"))?;
            if !key.verify(&message, signature.bytes()) {
                return Err(refused(
                    "does not hold: it was changed, or made by another key",
                ));
            }
            if signed.iter().any(|(signer, _)| signer == key) {
                return Err(refused("is there twice: a key counts once"));
            }
            signed.push((key.clone(), *signature.bytes()));
        }
        let before = proposal.current();
        let before = before.map(|root| Need::of(root.version, &root.root, &signed));
        let own = Need::of(proposal.root().version, &proposal.root().root, &signed);
        Ok(Self {
            signed,
            needs: before.into_iter().chain([own]).collect(),
        })
    }

    /// The keys that signed.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signed.iter().map(|(key, _)| key.id())
    }

    /// Whether enough of them signed.
    pub fn is_enough(&self) -> bool {
        self.needs.iter().all(|need| need.lacks() == 0)
    }

    /// The root document.
    pub(super) fn document(&self, proposal: &Proposal) -> Result<Vec<u8>, Error> {
        if !self.is_enough() {
            let holders = proposal.holders().clone();
            let needs = self.needs.clone();
            return Err(Error::RootUnsigned { needs, holders });
        }
        let signatures: Vec<_> = self.that_fit(proposal).collect();
        Ok(proposal.unsigned().sealed(&signatures))
    }

    /// The signatures that a document has room for: those of keys of both roots first, and then
    /// as many of each as it still needs.
    fn that_fit(&self, proposal: &Proposal) -> impl Iterator<Item = (KeyId, [u8; 64])> {
        let places = |key: &PublicKey| {
            let old = proposal
                .current()
                .is_some_and(|root| root.root.contains(key));
            (old, proposal.root().root.contains(key))
        };
        let (mut chosen, rest): (Vec<_>, Vec<_>) = self
            .signed
            .iter()
            .partition(|(key, _)| places(key) == (true, true));
        let mut lacks: Vec<usize> = self
            .needs
            .iter()
            .map(|need| need.threshold.saturating_sub(chosen.len()))
            .collect();
        let own = lacks.len() - 1;
        let (mut needed, mut spare) = (Vec::new(), Vec::new());
        for entry in rest {
            let need = if places(&entry.0).1 { own } else { 0 };
            if lacks[need] > 0 {
                lacks[need] -= 1;
                needed.push(entry);
            } else {
                spare.push(entry);
            }
        }
        chosen.truncate(MAX_SIGNERS);
        chosen.extend(needed);
        chosen.extend(spare);
        chosen.truncate(MAX_SIGNERS);
        chosen
            .into_iter()
            .map(|(key, signature)| (key.id(), *signature))
    }
}
