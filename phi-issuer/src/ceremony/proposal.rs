//! A proposal: a root that waits for its signatures, with the root that it follows.

use std::{collections::BTreeMap, fmt::Write as _};

use phi_verify::{
    DocumentKind, KeyId, PayloadHash, PublicKey, RoleKeys, Root, TrustState, UnixTime,
    UnsignedDocument, UntrustedDocument,
    dangerous_inspect::{self, Document},
};
use serde::{Deserialize, Serialize};

use super::{
    file::Form,
    holder::{check_name, is_practice},
    signature::RootSignature,
};
use crate::{error::Error, keyfile::Signer};

const FORM: Form = Form {
    prefix: "phi.root-proposal.",
    label: "ROOT PROPOSAL",
    what: "the proposal",
};

/// The version of the format.
const FORMAT: u64 = 1;

/// How far ahead of a clock a proposal may have been made: what applications tolerate as well.
const MADE_TOLERANCE: u64 = 24 * 60 * 60;

/// What stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: u64,
    /// The payload that is to be signed.
    #[serde(with = "serde_bytes")]
    root: Vec<u8>,
    /// The document of the root before it; the first root has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<serde_bytes::ByteBuf>,
    /// Names of holders, by the ids of their keys.
    holders: BTreeMap<String, String>,
}

/// A root that waits for its signatures.
///
/// It carries the root that it follows and the names of holders so that it can be read alone.
/// Neither is signed: whoever signs compares the root with the one at hand
/// ([`Proposal::check_follows`]), and keys rather than names.
#[derive(Clone, Debug)]
pub struct Proposal {
    root: Root,
    payload: Vec<u8>,
    current: Option<(Root, Vec<u8>)>,
    holders: BTreeMap<KeyId, String>,
}

impl Proposal {
    /// A proposal of this root, to follow the one with this document.
    pub(super) fn new(
        root: &Root,
        current: Option<(Root, Vec<u8>)>,
        mut holders: BTreeMap<KeyId, String>,
    ) -> Result<Self, Error> {
        holders.retain(|key_id, _| {
            let held = |root: &Root| root.root.keys().iter().any(|key| key.id() == *key_id);
            held(root) || current.as_ref().is_some_and(|(current, _)| held(current))
        });
        let proposal = Self {
            root: root.clone(),
            payload: root.unsigned().payload().to_vec(),
            current,
            holders,
        };
        proposal.check()?;
        Ok(proposal)
    }

    /// Reads a proposal's file.
    ///
    /// # Errors
    /// [`Error::CeremonyFile`] if it does not read, [`Error::ProposalInvalid`] if it is none.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let wire: Wire = FORM.read(text)?;
        if wire.format != FORMAT {
            return Err(invalid(format!(
                "is of format {}, this phi reads {FORMAT}",
                wire.format
            )));
        }
        let unreadable = |cause: phi_verify::Error| invalid(format!("has no root in it: {cause}"));
        let root =
            dangerous_inspect::payload(DocumentKind::Root, &wire.root).map_err(unreadable)?;
        let current = wire
            .current
            .map(|bytes| current(bytes.into_vec()))
            .transpose()?;
        let named = wire.holders.into_iter().map(|(key_id, name)| {
            let key_id = key_id.parse();
            let key_id = key_id.map_err(|_| invalid("names a holder without a key".into()))?;
            check_name(&name)?;
            Ok((key_id, name))
        });
        let Document::Root(root) = root else {
            return Err(invalid("has another document in it".into()));
        };
        let proposal = Self {
            root,
            payload: wire.root,
            current,
            holders: named.collect::<Result<_, Error>>()?,
        };
        proposal.check()?;
        Ok(proposal)
    }

    /// The proposal as a file.
    pub fn to_text(&self) -> String {
        let holders = self.holders.iter();
        FORM.write(
            &self.root.issuer,
            &Wire {
                format: FORMAT,
                root: self.payload.clone(),
                current: self
                    .current
                    .as_ref()
                    .map(|(_, document)| serde_bytes::ByteBuf::from(document.clone())),
                holders: holders
                    .map(|(id, name)| (id.to_string(), name.clone()))
                    .collect(),
            },
        )
    }

    /// Whether it hangs together: what a holder is shown is all that there is to sign.
    fn check(&self) -> Result<(), Error> {
        // An extension field would be signed without being shown.
        if self.root.unsigned().payload() != self.payload {
            return Err(invalid("says something that this phi does not know".into()));
        }
        let version = self.current.as_ref().map_or(0, |(root, _)| root.version);
        if Some(self.root.version) != version.checked_add(1) {
            return Err(invalid(format!(
                "is of version {}, and follows version {version}",
                self.root.version
            )));
        }
        let issuer = &self.root.issuer;
        if let Some((current, _)) = &self.current
            && current.issuer != *issuer
        {
            let problem = format!("is of {issuer}, and follows a root of {}", current.issuer);
            return Err(invalid(problem));
        }
        let other = self
            .holders
            .values()
            .find(|name| is_practice(name) != is_practice(issuer));
        match other {
            None => Ok(()),
            Some(name) if is_practice(name) => Err(invalid(format!(
                "is of the real issuer {issuer}, and {name} is a practice holder"
            ))),
            Some(name) => Err(invalid(format!(
                "is a practice, and {name} is no practice holder"
            ))),
        }
    }

    /// The proposed root.
    pub const fn root(&self) -> &Root {
        &self.root
    }

    /// The root that it follows, as the proposal has it.
    pub fn current(&self) -> Option<&Root> {
        self.current.as_ref().map(|(root, _)| root)
    }

    /// The names of the holders, as whoever proposed knows them.
    pub const fn holders(&self) -> &BTreeMap<KeyId, String> {
        &self.holders
    }

    /// Whether this is a practice.
    pub fn is_practice(&self) -> bool {
        is_practice(&self.root.issuer)
    }

    /// SHA-256 of what is to be signed: what makes this proposal this one.
    pub fn hash(&self) -> PayloadHash {
        self.unsigned().payload_hash()
    }

    pub(super) fn unsigned(&self) -> UnsignedDocument {
        UnsignedDocument::with_payload(DocumentKind::Root, self.payload.clone())
    }

    /// Whether the proposal follows the root that a holder kept, or the last of those that came
    /// since, each of which must be the very next and signed by the one before: a root that is
    /// not proven so is only what somebody says.
    ///
    /// # Errors
    /// [`Error::ProposalInvalid`] if it follows another, or begins where there is one already.
    pub fn check_follows(&self, kept: &[u8], since: &[Vec<u8>]) -> Result<(), Error> {
        let mut trust = TrustState::from_anchor(kept).map_err(|cause| {
            invalid(format!("cannot be compared with what is no root: {cause}"))
        })?;
        for document in since {
            let before = trust.root().version;
            let next = trust.import(document);
            if next.is_err() || trust.root().version == before {
                let why = next.err().map(|cause| format!(": {cause}"));
                return Err(invalid(format!(
                    "cannot be compared: what you handed in after root {before} is not the root \
                     that follows it{}",
                    why.unwrap_or_default()
                )));
            }
        }
        let (root, document) = (trust.root(), since.last().map_or(kept, Vec::as_slice));
        let Some((carried, theirs)) = &self.current else {
            return Err(invalid(format!(
                "is of a first root, and yours is version {} of {}",
                root.version, root.issuer
            )));
        };
        if carried.issuer != root.issuer {
            return Err(invalid(format!(
                "is of {}, and your root of {}",
                carried.issuer, root.issuer
            )));
        }
        if carried.version > root.version {
            return Err(invalid(format!(
                "follows root {}, and yours is root {}: hand in those since, after yours",
                carried.version, root.version
            )));
        }
        if carried.version < root.version {
            return Err(invalid(format!(
                "follows root {}, and yours is root {}",
                carried.version, root.version
            )));
        }
        if hash_of(theirs)? != hash_of(document)? {
            return Err(invalid(format!(
                "follows another root {} than yours: one of the two is forged",
                root.version
            )));
        }
        Ok(())
    }

    /// Whether it was made by now, as far as clocks agree: applications take the time of a root
    /// for one that has been, and refuse everything that ends before it.
    ///
    /// # Errors
    /// [`Error::ProposalAhead`].
    pub fn check_made(&self, now: UnixTime) -> Result<(), Error> {
        let made = self.root.issued_at;
        if made <= now.plus(MADE_TOLERANCE) {
            return Ok(());
        }
        Err(Error::ProposalAhead { made, now })
    }

    pub(super) fn check_issuer(&self, issuer: &str) -> Result<(), Error> {
        if self.root.issuer == issuer {
            return Ok(());
        }
        Err(invalid(format!(
            "is of {}, and this issuer is {issuer}",
            self.root.issuer
        )))
    }

    /// Whether the newest root, if there is one, is the one that the proposal follows.
    pub(super) fn check_newest(&self, newest: Option<(u64, &[u8])>) -> Result<(), Error> {
        let follows = self.current.as_ref().map(|(_, document)| hash_of(document));
        let follows = follows.transpose()?;
        let held = newest.map(|(_, document)| hash_of(document)).transpose()?;
        if held == follows {
            return Ok(());
        }
        let version = newest.map_or(0, |(version, _)| version);
        if held == Some(self.hash()) {
            return Err(Error::ProposalBehind {
                problem: format!("root {version} was assembled of this proposal already"),
                hint: "nothing is to be done: the root is in published/",
            });
        }
        let ours = self.current.as_ref().map_or(0, |(root, _)| root.version);
        Err(Error::ProposalBehind {
            problem: format!(
                "the proposal follows root {ours}, and the newest here is another, root {version}"
            ),
            hint: "propose again with `phi root propose`, and have that signed",
        })
    }

    /// Signs the proposal.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the key is neither of the root before nor of this one.
    pub fn sign(&self, signer: &dyn Signer) -> Result<RootSignature, Error> {
        let key = signer.public_key();
        if !self.keys().any(|counts| counts == key) {
            return Err(Error::Invalid {
                what: "the key",
                problem: format!(
                    "{} is neither of the root before nor of the proposed one: it has nothing to sign",
                    key.id()
                ),
            });
        }
        let signature = signer.sign(&self.unsigned().message())?;
        Ok(RootSignature::new(self, key.id(), signature))
    }

    /// The root keys whose signatures count: of the root before, and then the others of this one.
    pub(super) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        let before = self.current().map(|root| &root.root);
        let new = move |key: &&PublicKey| before.is_none_or(|before| !before.contains(key));
        let own = self.root.root.keys().iter().filter(new);
        before.into_iter().flat_map(RoleKeys::keys).chain(own)
    }
}

/// A root document that is believed as far as it is whole.
fn current(document: Vec<u8>) -> Result<(Root, Vec<u8>), Error> {
    let trust = TrustState::from_anchor(&document)
        .map_err(|cause| invalid(format!("follows something that is no root: {cause}")))?;
    Ok((trust.root().clone(), document))
}

fn hash_of(document: &[u8]) -> Result<PayloadHash, Error> {
    let document = UntrustedDocument::parse(document).map_err(Error::NotVerified)?;
    Ok(document.payload_hash())
}

fn invalid(problem: String) -> Error {
    Error::ProposalInvalid { problem }
}

/// A hash as holders read it to each other: sixteen groups of five digits, each the decimal of two
/// of its bytes. Nothing of it is left out.
pub fn spoken(hash: &PayloadHash) -> String {
    let mut text = String::new();
    let (pairs, _) = hash.as_chunks::<2>();
    for (at, pair) in pairs.iter().enumerate() {
        let _ = match at {
            0 => Ok(()),
            _ if at % 4 == 0 => text.write_str("  "),
            _ => text.write_str(" "),
        };
        let _ = write!(text, "{:05}", u16::from_be_bytes(*pair));
    }
    text
}
