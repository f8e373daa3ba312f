//! Events: the facts that the ledger keeps, from which every table is derived.
//!
//! An event is written once, as deterministic CBOR (RFC 8949 section 4.2.1), and never changed.

use std::cmp::Ordering;

use ciborium::Value;
use phi_verify::{
    DocumentKind, InstallationId, KeyId, LicenseId, PublicKey, Reason, RuleClass, TokenId, UnixTime,
};
use serde::{Deserialize, Serialize};

use crate::{
    catalog::Revision,
    customer::Customer,
    error::Error,
    issuer::KEYSET,
    keys::{KeyScope, Role},
    license::{Issuance, LicenseChange},
};

/// A fact. The time, the actor and the place in the ledger stand beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// The issuer began.
    IssuerCreated {
        /// Its name.
        issuer: String,
    },
    /// A key was made.
    KeyAdded {
        /// What it signs.
        role: Role,
        /// Its public half.
        public: PublicKey,
        /// When it begins to sign; a staged key has no time yet.
        from: Option<UnixTime>,
        /// Who holds it, if that is known: a holder of the root, elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holder: Option<String>,
        /// What it may sign, if not everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<KeyScope>,
    },
    /// A staged key got its time.
    KeyActivated {
        /// The key.
        key_id: KeyId,
        /// When it begins to sign.
        from: UnixTime,
    },
    /// A key signs no more from a time on.
    KeyRetired {
        /// The key.
        key_id: KeyId,
        /// The time.
        until: UnixTime,
    },
    /// A key whose end was still ahead signs for longer: what was to succeed it was put off.
    KeyProlonged {
        /// The key.
        key_id: KeyId,
        /// When it signs no more; `None` is no time that is known.
        until: Option<UnixTime>,
    },
    /// A key that never signed was taken back, or a retired key left the keyset: nothing under it is valid any more.
    KeyDropped {
        /// The key.
        key_id: KeyId,
    },
    /// A key was given out, encrypted.
    KeyExported {
        /// The key.
        key_id: KeyId,
        /// The age recipients who can open it; none if a passphrase does.
        to: Vec<String>,
    },
    /// An edited catalog was recorded.
    CatalogRecorded {
        /// The catalog with its codes.
        revision: Revision,
        /// The text that a person wrote.
        source: String,
    },
    /// A customer was added.
    CustomerAdded {
        /// The customer.
        customer: Customer,
    },
    /// What is known of a customer changed.
    CustomerChanged {
        /// The customer as it is now.
        customer: Customer,
    },
    /// A license was written down, to be issued later.
    LicenseDrafted {
        /// The license.
        license: Issuance,
    },
    /// A license was issued.
    LicenseIssued {
        /// The license.
        license: Issuance,
    },
    /// A license was issued as a trial.
    TrialStarted {
        /// The license.
        license: Issuance,
    },
    /// A token was minted.
    TokenMinted(MintedToken),
    /// Something was revoked.
    Revoked(Revocation),
    /// A revocation was taken back.
    Unrevoked(Unrevocation),
    /// A document was signed and is to be published.
    DocumentPublished(Publication),
    /// The ledger up to here was signed.
    CheckpointSigned(SignedCheckpoint),
    /// An installation may forget what its clock has shown.
    ClockResetIssued(IssuedReset),
    /// Entries were recorded under a clock that was ahead; from here on the right time counts.
    ClockCorrected {
        /// The time of the newest entry until then.
        newest: UnixTime,
    },
    /// A license changed; the word says how.
    #[serde(untagged)]
    LicenseChanged(LicenseChange),
}

/// A signed statement of what the ledger was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedCheckpoint {
    /// How many events it covers: those before it.
    pub size: u64,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
}

/// A clock reset that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedReset {
    /// The installation that it is for.
    pub installation: InstallationId,
    /// The last second in which it can be used.
    pub not_after: UnixTime,
    /// The time at which the clock begins again; `None` is the one at which it is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<UnixTime>,
    /// The document's bytes.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
}

/// A token in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedToken {
    /// Its name.
    pub token_id: TokenId,
    /// The license of which it was minted.
    pub license: LicenseId,
    /// The revision of that license.
    pub license_revision: u64,
    /// The key that signed it.
    pub key_id: KeyId,
    /// When it was minted.
    pub issued_at: UnixTime,
    /// When it expires; `None` is never.
    pub expires: Option<UnixTime>,
    /// When nothing can accept it any more: its expiry and its grace.
    pub ends: Option<UnixTime>,
    /// The newest status epoch when it was minted.
    pub mint_epoch: u64,
    /// The token itself.
    pub token: String,
}

/// The revocation of everything that one name covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// What is revoked.
    pub subject: Subject,
    /// Only what was issued before this time; `None` is everything, also in the future.
    pub issued_before: Option<UnixTime>,
    /// Why.
    pub reason: Reason,
    /// When it was revoked.
    pub since: UnixTime,
    /// Of a key: how many events of the ledger, from the first, its tokens keep their validity
    /// by. `None` is none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<u64>,
}

/// The end of a revocation: what it took back counts again, as far as nothing else takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrevocation {
    /// What was revoked.
    pub subject: Subject,
    /// When the revocation ended.
    pub since: UnixTime,
    /// Of a license: the event whose cut-off stays in force, because a change made it and not
    /// somebody who can take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<u64>,
}

/// What can be revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// One token.
    Token(TokenId),
    /// A license with all its tokens.
    License(LicenseId),
    /// A customer with all its licenses.
    Customer(String),
    /// A license key with all that it signed.
    Key(KeyId),
    /// A feature of a product, by its catalog code.
    Feature {
        /// The product.
        product: String,
        /// The flag's code.
        code: u16,
    },
}

impl Subject {
    /// The class of the subject.
    pub const fn class(&self) -> RuleClass {
        match self {
            Self::Token(_) => RuleClass::Token,
            Self::License(_) => RuleClass::License,
            Self::Customer(_) => RuleClass::Customer,
            Self::Key(_) => RuleClass::Key,
            Self::Feature { .. } => RuleClass::Feature,
        }
    }

    /// The subject's id as text, within its class.
    pub fn id(&self) -> String {
        match self {
            Self::Token(id) => id.to_string(),
            Self::License(id) => id.to_string(),
            Self::Customer(id) => id.clone(),
            Self::Key(id) => id.to_string(),
            Self::Feature { product, code } => format!("{product}/{code}"),
        }
    }
}

/// A signed document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// Root, keyset, status or catalog.
    #[serde(with = "document_kind")]
    pub kind: DocumentKind,
    /// The product of a catalog; empty for the others.
    pub product: String,
    /// The version, epoch or revision.
    pub version: u64,
    /// Of a delta to a status list: the epoch of the full list that is its base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// When it was made.
    pub issued_at: UnixTime,
    /// The document's bytes.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
}

impl Publication {
    /// The file in the published folder.
    pub fn file_name(&self) -> String {
        match self.kind {
            DocumentKind::Root => format!("root-{}.phi", self.version),
            DocumentKind::Keyset => KEYSET.into(),
            DocumentKind::Status => match self.base {
                None => "status.phi".into(),
                Some(base) => format!("status-{base}-to-{}.phi", self.version),
            },
            DocumentKind::Catalog => format!("catalog-{}.phi", self.product),
            DocumentKind::ClockReset => format!("clock-reset-{}.phi", self.version),
        }
    }
}

mod document_kind {
    use phi_verify::DocumentKind;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        kind: &DocumentKind,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DocumentKind, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = DocumentKind::ALL
            .into_iter()
            .filter(|kind| *kind != DocumentKind::ClockReset)
            .find(|kind| kind.name() == name);
        known.ok_or_else(|| de::Error::custom("not a kind of document that is published"))
    }
}

impl Event {
    /// Every word that an event can have.
    pub const WORDS: [&str; 29] = [
        "issuer-created",
        "key-added",
        "key-activated",
        "key-retired",
        "key-prolonged",
        "key-dropped",
        "key-exported",
        "catalog-recorded",
        "customer-added",
        "customer-changed",
        "license-drafted",
        "license-issued",
        "trial-started",
        "draft-issued",
        "license-amended",
        "license-renewed",
        "license-suspended",
        "license-reinstated",
        "trial-converted",
        "license-transferred",
        "license-rebound",
        "change-withdrawn",
        "token-minted",
        "revoked",
        "unrevoked",
        "document-published",
        "checkpoint-signed",
        "clock-reset-issued",
        "clock-corrected",
    ];

    /// The event's word, for queries and audits.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::IssuerCreated { .. } => "issuer-created",
            Self::KeyAdded { .. } => "key-added",
            Self::KeyActivated { .. } => "key-activated",
            Self::KeyRetired { .. } => "key-retired",
            Self::KeyProlonged { .. } => "key-prolonged",
            Self::KeyDropped { .. } => "key-dropped",
            Self::KeyExported { .. } => "key-exported",
            Self::CatalogRecorded { .. } => "catalog-recorded",
            Self::CustomerAdded { .. } => "customer-added",
            Self::CustomerChanged { .. } => "customer-changed",
            Self::LicenseDrafted { .. } => "license-drafted",
            Self::LicenseIssued { .. } => "license-issued",
            Self::TrialStarted { .. } => "trial-started",
            Self::LicenseChanged(change) => change.change.word(),
            Self::CheckpointSigned(_) => "checkpoint-signed",
            Self::ClockResetIssued(_) => "clock-reset-issued",
            Self::ClockCorrected { .. } => "clock-corrected",
            Self::TokenMinted(_) => "token-minted",
            Self::Revoked(_) => "revoked",
            Self::Unrevoked(_) => "unrevoked",
            Self::DocumentPublished(_) => "document-published",
        }
    }

    /// The event as CBOR, its maps in deterministic order.
    pub(crate) fn to_value(&self) -> Value {
        sorted(self)
    }

    /// Reads an event as stores of version 1 have it: in the one deterministic encoding.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |problem: String| Error::EventDamaged { problem };
        let value: Value =
            ciborium::from_reader(bytes).map_err(|error| damaged(error.to_string()))?;
        let event = Self::from_value(&value)?;
        if encode_sorted(&event) != bytes {
            return Err(damaged("it is not in deterministic CBOR".into()));
        }
        Ok(event)
    }

    /// Reads an event. That its bytes were in the one deterministic encoding shows when they are
    /// made again.
    pub(crate) fn from_value(value: &Value) -> Result<Self, Error> {
        value.deserialized().map_err(|error| Error::EventDamaged {
            problem: error.to_string(),
        })
    }
}

/// A value in deterministic CBOR.
pub(crate) fn encode_sorted(value: &impl Serialize) -> Vec<u8> {
    encode(&sorted(value))
}

fn sorted(value: &impl Serialize) -> Value {
    let mut value = Value::serialized(value).expect("what the ledger keeps has a CBOR form");
    sort(&mut value);
    value
}

/// Writes CBOR.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing into memory cannot fail");
    bytes
}

/// Map keys ascend by their encodings.
fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(sort),
        Value::Map(entries) => {
            for (_, value) in entries.iter_mut() {
                sort(value);
            }
            entries.sort_by(|(one, _), (two, _)| order(one, two));
        }
        _ => {}
    }
}

/// The order of two keys' encodings. That of texts, which nearly all keys are, shows without
/// encoding them: the length comes first.
fn order(one: &Value, two: &Value) -> Ordering {
    match (one, two) {
        (Value::Text(one), Value::Text(two)) => {
            one.len().cmp(&two.len()).then_with(|| one.cmp(two))
        }
        _ => encode(one).cmp(&encode(two)),
    }
}
