//! Every reason for which something is refused: one variant, one sentence and one stable code
//! each.

use alloc::{boxed::Box, string::String};
use core::fmt;

use crate::{
    UnixTime,
    bundle::PartName,
    clock::InstallationId,
    document::{DocumentKind, PayloadHash},
    key::KeyId,
    log::{Conflict, SplitView},
    scope::Exceeded,
    status::{Reason, RuleClass, Subject},
};

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The same key stands twice in one role.
    Duplicate,
    /// The key's order is not prime: it has a component of small order.
    MixedOrder,
    /// The text is not a key id of 12 base64url characters.
    NotAKeyId,
    /// The bytes do not decode to a point of the curve.
    NotAPoint,
    /// The bytes are a second encoding of a point.
    NotCanonical,
    /// The text is not a `k4.public` PASERK.
    NotPaserk,
    /// No set of the role's keys can meet its threshold.
    Threshold,
    /// The key has small order: a signature under it would hold for any message.
    Weak,
}

impl KeyError {
    /// The stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Duplicate => "key-duplicate",
            Self::MixedOrder => "key-mixed-order",
            Self::NotAKeyId => "key-id-invalid",
            Self::NotAPoint => "key-not-a-point",
            Self::NotCanonical => "key-not-canonical",
            Self::NotPaserk => "key-not-paserk",
            Self::Threshold => "key-threshold",
            Self::Weak => "key-weak",
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "the same key stands twice in one role",
            Self::MixedOrder => "the key is not of prime order",
            Self::NotAKeyId => "a key id is 12 base64url characters",
            Self::NotAPoint => "the key is not a point of the curve",
            Self::NotCanonical => "the key is not in its canonical encoding",
            Self::NotPaserk => "the key is not of the form k4.public.<43 base64url characters>",
            Self::Threshold => "the threshold is zero or beyond the number of keys",
            Self::Weak => "the key has small order",
        })
    }
}

impl core::error::Error for KeyError {}

/// Why signed bytes are not the object that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// A float, a tag, null or another type that Phi does not use.
    CborForbiddenType,
    /// Map keys that do not strictly ascend: out of order or twice.
    CborKeyOrder,
    /// Not the one deterministic encoding: a longer form, an indefinite length, trailing bytes.
    CborNotDeterministic,
    /// Not CBOR, or nested too deep.
    CborSyntax,
    /// A field's value breaks its rule.
    Field {
        /// The field's number.
        key: u64,
        /// The rule that is broken, as a predicate.
        problem: &'static str,
    },
    /// A key in the object is refused.
    Key {
        /// The number of the field that holds the key.
        key: u64,
        /// Why the key is refused.
        cause: KeyError,
    },
    /// The object is of another kind.
    Kind {
        /// The kind that was asked for.
        expected: u64,
        /// The kind that the object states.
        found: u64,
    },
    /// A field that must be there is not.
    MissingField {
        /// The field's number.
        key: u64,
    },
    /// A field that this version does not know and must not ignore.
    UnknownField {
        /// The field's number.
        key: u64,
    },
}

impl Malformed {
    /// The stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CborForbiddenType => "cbor-forbidden-type",
            Self::CborKeyOrder => "cbor-key-order",
            Self::CborNotDeterministic => "cbor-not-deterministic",
            Self::CborSyntax => "cbor-syntax",
            Self::Field { .. } => "field-invalid",
            Self::Key { cause, .. } => cause.code(),
            Self::Kind { .. } => "kind-mismatch",
            Self::MissingField { .. } => "field-missing",
            Self::UnknownField { .. } => "field-unknown",
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CborForbiddenType => f.write_str("holds a CBOR type that Phi does not use"),
            Self::CborKeyOrder => f.write_str("has map keys out of order or twice"),
            Self::CborNotDeterministic => f.write_str("is not in deterministic CBOR"),
            Self::CborSyntax => f.write_str("is not CBOR, or is nested too deep"),
            Self::Field { key, problem } => write!(f, "field {key} {problem}"),
            Self::Key { key, cause } => write!(f, "field {key} holds a bad key: {cause}"),
            Self::Kind { expected, found } => {
                write!(f, "is of object kind {found}, not {expected}")
            }
            Self::MissingField { key } => write!(f, "lacks field {key}"),
            Self::UnknownField { key } => write!(f, "has the unknown field {key}"),
        }
    }
}

impl core::error::Error for Malformed {}

/// Why a token, a document or a proof is refused.
///
/// [`Error::code`] is stable; the sentence says what a support engineer needs to know. Only a
/// failed signature carries nothing: there is nothing in it to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Armored text whose lines do not make one object.
    Armor(&'static str),
    /// The bytes are not a bundle.
    Bundle(Malformed),
    /// The file is larger than any bundle.
    BundleTooLarge {
        /// Its length in bytes.
        length: usize,
    },
    /// There is no room for another product's catalog: 256 of them, of 32 MiB together, are kept.
    CatalogsTooMany {
        /// The product.
        product: String,
    },
    /// The text of a signed note is not a checkpoint.
    Checkpoint(&'static str),
    /// The clock reset is past the time in which it can be used.
    ClockResetExpired {
        /// The time that was handed in, or the newest that a trusted signature proves.
        now: UnixTime,
        /// When it could last be used.
        not_after: UnixTime,
    },
    /// The machine's clock has run for longer since than the clock reset forgets.
    ClockResetOutlived {
        /// The steady floor.
        steady: UnixTime,
        /// The highest one that the reset forgets.
        up_to: UnixTime,
    },
    /// The clock reset was used before.
    ClockResetUsed,
    /// So many clock resets were used that no further one is taken.
    ClockResetsTooMany {
        /// How many are remembered.
        limit: usize,
    },
    /// The clock is behind what this machine has shown before.
    ClockRolledBack {
        /// The time that was handed in.
        now: UnixTime,
        /// The latest time that the machine has shown.
        observed: UnixTime,
    },
    /// The delta is to another full list than the one at hand.
    DeltaBase {
        /// The epoch of the full list that it is to.
        needed: u64,
        /// The epoch of the full list at hand, if there is one.
        held: Option<u64>,
    },
    /// A delta stands in a bundle in the place of the full list.
    DeltaInBundle {
        /// Its epoch.
        epoch: u64,
    },
    /// A verified document does not decode.
    Document {
        /// The kind of document.
        kind: DocumentKind,
        /// What is wrong with it.
        cause: Malformed,
    },
    /// The bytes are not a document envelope.
    DocumentEnvelope(&'static str),
    /// The document is of another kind.
    DocumentKind {
        /// The kind that was asked for.
        expected: DocumentKind,
        /// The kind that the envelope states.
        found: DocumentKind,
    },
    /// A document of this kind is not imported: it is applied at a time.
    DocumentNotImported(DocumentKind),
    /// The document is beyond its size limit.
    DocumentTooLarge {
        /// The kind of document.
        kind: DocumentKind,
        /// The limit in bytes.
        limit: usize,
    },
    /// Two documents of one version differ: their signer says two things.
    Equivocation {
        /// The kind of document.
        kind: DocumentKind,
        /// The version that both state.
        version: u64,
        /// The hash of the one at hand.
        held: PayloadHash,
        /// The hash of the other: of the one that was offered, or of the one that an offered list
        /// says came before it.
        offered: PayloadHash,
    },
    /// The license expired, and any grace is over.
    Expired {
        /// The time that was handed in.
        now: UnixTime,
        /// When the license expired.
        expires: UnixTime,
        /// When its grace ended, if it had any.
        grace_ends: Option<UnixTime>,
    },
    /// A fingerprint request does not decode.
    FingerprintRequest(&'static str),
    /// A part of a bundle is another document than the bundle says.
    IndexMismatch {
        /// What the bundle says.
        stated: PartName,
        /// What was signed.
        signed: PartName,
    },
    /// The clock reset is for another installation.
    InstallationMismatch {
        /// This installation, if it has an id.
        expected: Option<InstallationId>,
        /// The installation that the reset is for.
        found: InstallationId,
    },
    /// The object names another issuer than the trust anchor.
    IssuerMismatch {
        /// The anchor's issuer.
        expected: String,
        /// The object's issuer.
        found: String,
    },
    /// A key is refused.
    Key(KeyError),
    /// One key stands in two roles.
    KeyInTwoRoles(KeyId),
    /// The key is announced and not yet in use.
    KeyNotActive(KeyId),
    /// The token was issued outside the key's window.
    KeyOutsideWindow {
        /// The key that signed.
        key_id: KeyId,
        /// When the token says it was issued.
        issued_at: UnixTime,
        /// The first time at which the key signs.
        from: UnixTime,
        /// The time from which the key signs no more.
        until: Option<UnixTime>,
    },
    /// The keyset says that the key is revoked.
    KeyRevoked(KeyId),
    /// The license is beyond what its key may sign.
    KeyScope {
        /// The key that signed.
        key_id: KeyId,
        /// What is beyond.
        exceeded: Exceeded,
    },
    /// No keyset was imported.
    KeysetMissing,
    /// The bytes are not the data of a leaf of the log.
    Leaf(&'static str),
    /// A verified license does not decode.
    License(Malformed),
    /// The text is not a proof of the log.
    LogProof(&'static str),
    /// The license is bound to a machine, and no fingerprint was handed in.
    MachineUnknown,
    /// Too few components of the machine match.
    MachineMismatch {
        /// How many components match.
        matched: usize,
        /// How many must.
        required: usize,
        /// How many the license names.
        of: usize,
    },
    /// A status document names a keyset other than the one at hand.
    MixAndMatch {
        /// The keyset version that the status document names.
        version: u64,
    },
    /// The license is not valid yet.
    NotYetValid {
        /// The time that was handed in.
        now: UnixTime,
        /// When the license begins.
        not_before: UnixTime,
    },
    /// The proof does not show that the newer tree of the log contains the older.
    NotConsistent {
        /// The size of the older tree.
        old: u64,
        /// The size of the newer tree.
        new: u64,
    },
    /// The license is newer than the status list, which cannot speak of it.
    NotCovered {
        /// The newest status epoch when the token was minted.
        mint_epoch: u64,
        /// The epoch of the list at hand.
        epoch: u64,
    },
    /// The text is not a signed note.
    Note(&'static str),
    /// Too few of the ledger's keys signed the note.
    NoteSignatures {
        /// How many keys signed.
        valid: usize,
        /// How many must.
        threshold: usize,
    },
    /// The proof does not show that the log has the leaf.
    NotIncluded {
        /// The index that the proof states.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The checkpoint is of another log.
    OriginMismatch {
        /// The log of the trust anchor's issuer.
        expected: String,
        /// The log that the checkpoint states.
        found: String,
    },
    /// The license is for another product.
    ProductMismatch {
        /// The application's product.
        expected: String,
        /// The license's product.
        found: String,
    },
    /// The token was entered into the ledger after its key's cut, when the key was stolen already.
    ProofAfterCut {
        /// The revoked key.
        key_id: KeyId,
        /// The place of the token in the log.
        index: u64,
        /// The first place that is refused.
        cut: u64,
    },
    /// A filter of the status list that may err says that the license is revoked.
    ProbablyRevoked,
    /// A consistency proof begins at another size than the checkpoint at hand has.
    ProofBase {
        /// The size at hand.
        held: u64,
        /// The size at which the proof begins.
        found: u64,
    },
    /// The token is accepted only with a proof that it is in the ledger, and none was handed in.
    ProofNeeded {
        /// The key that signed.
        key_id: KeyId,
        /// The cut of the key, if it is revoked; else it is the application that asks.
        cut: Option<u64>,
    },
    /// The list lacks a revocation of the list at hand, and does not say that it was taken back.
    RevocationMissing {
        /// What is revoked by the list at hand.
        subject: Box<Subject>,
    },
    /// The license is revoked.
    Revoked {
        /// What was revoked.
        class: RuleClass,
        /// Why.
        reason: Reason,
    },
    /// The document is older than one that was imported, or than the root allows.
    Rollback {
        /// The kind of document.
        kind: DocumentKind,
        /// The version that was offered.
        offered: u64,
        /// The version that is needed at least.
        at_least: u64,
    },
    /// A root document is not the next of the chain.
    RootGap {
        /// The version at hand.
        current: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// The keyset was signed under a newer root.
    RootTooOld {
        /// The root version at hand.
        current: u64,
        /// The root version that is needed.
        needed: u64,
    },
    /// The signature does not hold.
    SignatureInvalid,
    /// Two signatures of one document name the same key.
    SignatureDuplicate(KeyId),
    /// Too few keys of the role signed.
    SignaturesMissing {
        /// The kind of document.
        kind: DocumentKind,
        /// How many keys signed.
        valid: usize,
        /// How many must.
        threshold: usize,
    },
    /// Two checkpoints of one log do not go together.
    SplitView(Box<SplitView>),
    /// The license needs newer trust documents.
    StaleTrust {
        /// The kind of document.
        kind: DocumentKind,
        /// The version at hand, 0 if there is none.
        current: u64,
        /// The version that is needed.
        needed: u64,
    },
    /// No status document was imported, and the policy or the license asks for one.
    StatusMissing,
    /// The status document is past the time that the policy or the license allows.
    StatusTooOld {
        /// The time that was handed in.
        now: UnixTime,
        /// When the list was to be replaced.
        limit: UnixTime,
    },
    /// The text is empty.
    TokenEmpty,
    /// The text is not a token: its prefix is another.
    TokenPrefix,
    /// The token's parts are not of the right number or length.
    TokenShape,
    /// The token is not strict base64url without padding.
    TokenEncoding,
    /// The token's payload is not the two bytes `{}`.
    TokenPayload,
    /// The token's footer does not begin with a key id.
    TokenFooter,
    /// The token is longer than 4096 characters.
    TokenTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The keyset does not name the key.
    UnknownKey(KeyId),
}

impl Error {
    /// The stable code of the error, for logs, tickets and other languages.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Armor(_) => "armor-invalid",
            Self::Bundle(_) => "bundle-invalid",
            Self::BundleTooLarge { .. } => "bundle-too-large",
            Self::CatalogsTooMany { .. } => "catalogs-too-many",
            Self::Checkpoint(_) => "checkpoint-invalid",
            Self::ClockResetExpired { .. } => "clock-reset-expired",
            Self::ClockResetOutlived { .. } => "clock-reset-outlived",
            Self::ClockResetUsed => "clock-reset-used",
            Self::ClockResetsTooMany { .. } => "clock-resets-too-many",
            Self::ClockRolledBack { .. } => "clock-rolled-back",
            Self::DeltaBase { .. } => "delta-base",
            Self::DeltaInBundle { .. } => "delta-in-bundle",
            Self::Document { cause, .. } | Self::License(cause) => cause.code(),
            Self::DocumentEnvelope(_) => "document-envelope",
            Self::DocumentKind { .. } | Self::DocumentNotImported(_) => "document-kind",
            Self::DocumentTooLarge { .. } => "document-too-large",
            Self::Equivocation { .. } => "equivocation",
            Self::Expired { .. } => "expired",
            Self::FingerprintRequest(_) => "fingerprint-invalid",
            Self::IndexMismatch { .. } => "index-mismatch",
            Self::InstallationMismatch { .. } => "installation-mismatch",
            Self::IssuerMismatch { .. } => "issuer-mismatch",
            Self::Key(cause) => cause.code(),
            Self::KeyInTwoRoles(_) => "key-in-two-roles",
            Self::KeyNotActive(_) => "key-not-active",
            Self::KeyOutsideWindow { .. } => "key-outside-window",
            Self::KeyRevoked(_) => "key-revoked",
            Self::KeyScope { .. } => "key-scope",
            Self::KeysetMissing => "keyset-missing",
            Self::Leaf(_) => "leaf-invalid",
            Self::LogProof(_) => "proof-invalid",
            Self::MachineMismatch { .. } => "machine-mismatch",
            Self::MachineUnknown => "machine-unknown",
            Self::MixAndMatch { .. } => "mix-and-match",
            Self::NotConsistent { .. } => "not-consistent",
            Self::NotCovered { .. } => "not-covered",
            Self::NotIncluded { .. } => "not-included",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Note(_) => "note-invalid",
            Self::OriginMismatch { .. } => "origin-mismatch",
            Self::ProductMismatch { .. } => "product-mismatch",
            Self::ProofAfterCut { .. } => "proof-after-cut",
            Self::ProbablyRevoked => "probably-revoked",
            Self::ProofBase { .. } => "proof-base",
            Self::ProofNeeded { .. } => "proof-needed",
            Self::RevocationMissing { .. } => "revocation-missing",
            Self::Revoked { .. } => "revoked",
            Self::Rollback { .. } => "rollback",
            Self::RootGap { .. } => "root-gap",
            Self::RootTooOld { .. } => "root-too-old",
            Self::SignatureDuplicate(_) => "signature-duplicate",
            Self::SignatureInvalid => "signature-invalid",
            Self::NoteSignatures { .. } | Self::SignaturesMissing { .. } => "signatures-missing",
            Self::SplitView(_) => "split-view",
            Self::StaleTrust { .. } => "stale-trust",
            Self::StatusMissing => "status-missing",
            Self::StatusTooOld { .. } => "status-too-old",
            Self::TokenEmpty => "token-empty",
            Self::TokenEncoding => "token-encoding",
            Self::TokenFooter => "token-footer",
            Self::TokenPayload => "token-payload",
            Self::TokenPrefix => "token-prefix",
            Self::TokenShape => "token-shape",
            Self::TokenTooLong { .. } => "token-too-long",
            Self::UnknownKey(_) => "unknown-key",
        }
    }
}

impl From<KeyError> for Error {
    fn from(cause: KeyError) -> Self {
        Self::Key(cause)
    }
}

impl fmt::Display for Error {
    #[expect(
        clippy::too_many_lines,
        reason = "one sentence a variant reads best as one list"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Armor(problem) => write!(f, "armored text {problem}"),
            Self::Bundle(cause) => write!(f, "bundle {cause}"),
            Self::BundleTooLarge { length } => write!(
                f,
                "bundle has {length} bytes, more than {}",
                crate::bundle::MAX_BUNDLE
            ),
            Self::CatalogsTooMany { product } => write!(
                f,
                "no room for the catalog of product {product}: 256 catalogs, of 32 MiB together, \
                 are kept"
            ),
            Self::Checkpoint(problem) => write!(f, "checkpoint {problem}"),
            Self::ClockResetExpired { now, not_after } => {
                write!(f, "clock reset could be used until {not_after}, now {now}")
            }
            Self::ClockResetOutlived { steady, up_to } => write!(
                f,
                "clock reset forgets a steady floor of up to {up_to}, this machine's is {steady}"
            ),
            Self::ClockResetUsed => f.write_str("clock reset was used before"),
            Self::ClockResetsTooMany { limit } => {
                write!(f, "{limit} clock resets were used and are not over yet")
            }
            Self::ClockRolledBack { now, observed } => {
                write!(
                    f,
                    "clock reads {now}, but this machine has shown {observed} before"
                )
            }
            Self::DeltaBase { needed, held: None } => write!(
                f,
                "status list is a delta to the list of epoch {needed}, none was imported"
            ),
            Self::DeltaBase {
                needed,
                held: Some(held),
            } => write!(
                f,
                "status list is a delta to {} list of epoch {needed}, at hand is that of epoch {held}",
                if needed == held { "another" } else { "the" }
            ),
            Self::DeltaInBundle { epoch } => write!(
                f,
                "status list of epoch {epoch} is a delta, and a bundle has full lists"
            ),
            Self::Document { kind, cause } => write!(f, "{kind} document {cause}"),
            Self::DocumentEnvelope(problem) => write!(f, "document envelope {problem}"),
            Self::DocumentKind { expected, found } => {
                write!(f, "document is of kind {found}, not {expected}")
            }
            Self::DocumentNotImported(kind) => {
                write!(f, "{kind} document is applied at a time, not imported")
            }
            Self::DocumentTooLarge { kind, limit } => {
                write!(f, "{kind} document is larger than {limit} bytes")
            }
            Self::Equivocation {
                kind,
                version,
                held,
                offered,
            } => {
                write!(
                    f,
                    "two different {kind} documents have version {version}: {} and {}",
                    Hex(held),
                    Hex(offered)
                )
            }
            Self::Expired {
                now,
                expires,
                grace_ends: None,
            } => {
                write!(f, "license expired at {expires}, now {now}")
            }
            Self::Expired {
                now,
                expires,
                grace_ends: Some(end),
            } => {
                write!(
                    f,
                    "license expired at {expires}, its grace ended at {end}, now {now}"
                )
            }
            Self::FingerprintRequest(problem) => write!(f, "fingerprint request {problem}"),
            Self::IndexMismatch { stated, signed } => {
                write!(f, "part of the bundle is {signed}, not {stated}")
            }
            Self::InstallationMismatch {
                expected: Some(expected),
                found,
            } => {
                write!(f, "clock reset is for installation {found}, not {expected}")
            }
            Self::InstallationMismatch {
                expected: None,
                found,
            } => write!(
                f,
                "clock reset is for installation {found}, and this one has no id"
            ),
            Self::IssuerMismatch { expected, found } => {
                write!(
                    f,
                    "issuer is {found:?}, the trust anchor is for {expected:?}"
                )
            }
            Self::Key(cause) => cause.fmt(f),
            Self::KeyInTwoRoles(key_id) => write!(f, "key {key_id} stands in two roles"),
            Self::KeyNotActive(key_id) => {
                write!(f, "key {key_id} is announced and not yet in use")
            }
            Self::KeyOutsideWindow {
                key_id,
                issued_at,
                from,
                until: None,
            } => {
                write!(
                    f,
                    "issued at {issued_at}, but key {key_id} signs from {from} on"
                )
            }
            Self::KeyOutsideWindow {
                key_id,
                issued_at,
                from,
                until: Some(until),
            } => {
                write!(
                    f,
                    "issued at {issued_at}, but key {key_id} signs from {from} until {until}"
                )
            }
            Self::KeyRevoked(key_id) => write!(f, "key {key_id} is revoked"),
            Self::KeyScope { key_id, exceeded } => {
                write!(f, "beyond the scope of key {key_id}: {exceeded}")
            }
            Self::KeysetMissing => f.write_str("no keyset was imported"),
            Self::Leaf(problem) => write!(f, "leaf of the log {problem}"),
            Self::License(cause) => write!(f, "license {cause}"),
            Self::LogProof(problem) => write!(f, "proof of the log {problem}"),
            Self::MachineMismatch {
                matched,
                required,
                of,
            } => write!(
                f,
                "{matched} of the license's {of} machine components match, {required} must"
            ),
            Self::MachineUnknown => {
                f.write_str("license is bound to a machine, and no fingerprint was handed in")
            }
            Self::MixAndMatch { version } => {
                write!(
                    f,
                    "status document names another keyset of version {version}"
                )
            }
            Self::NotConsistent { old, new } => {
                write!(
                    f,
                    "proof does not show that the log of size {new} contains that of size {old}"
                )
            }
            Self::NotCovered { mint_epoch, epoch } => write!(
                f,
                "token was minted at status epoch {mint_epoch}, the list at hand is of epoch {epoch}"
            ),
            Self::NotIncluded { index, size } => {
                write!(
                    f,
                    "proof does not show this at index {index} of the log of size {size}"
                )
            }
            Self::NotYetValid { now, not_before } => {
                write!(f, "license begins at {not_before}, now {now}")
            }
            Self::Note(problem) => write!(f, "signed note {problem}"),
            Self::NoteSignatures { valid, threshold } => {
                write!(
                    f,
                    "signed note has {valid} valid signatures, {threshold} are needed"
                )
            }
            Self::OriginMismatch { expected, found } => {
                write!(f, "checkpoint is of the log {found:?}, not {expected:?}")
            }
            Self::ProductMismatch { expected, found } => {
                write!(f, "license is for product {found:?}, not {expected:?}")
            }
            Self::ProofAfterCut { key_id, index, cut } => {
                write!(
                    f,
                    "key {key_id} is revoked from index {cut} of the log on, the token is at {index}"
                )
            }
            Self::ProbablyRevoked => {
                f.write_str("token is probably revoked: the status list has a filter that may err")
            }
            Self::ProofBase { held, found } => {
                write!(
                    f,
                    "proof begins at size {found} of the log, the checkpoint at hand has size {held}"
                )
            }
            Self::ProofNeeded {
                key_id,
                cut: Some(cut),
            } => write!(
                f,
                "key {key_id} is revoked from index {cut} of the log on, and no proof was handed in"
            ),
            Self::ProofNeeded { key_id, cut: None } => {
                write!(f, "token under key {key_id} came without a proof")
            }
            Self::RevocationMissing { subject } => write!(
                f,
                "status list no longer revokes {subject} and does not say that this was taken back"
            ),
            Self::Revoked { class, reason } => write!(f, "{class} is revoked: {reason}"),
            Self::Rollback {
                kind,
                offered,
                at_least,
            } => {
                write!(
                    f,
                    "{kind} document has version {offered}, at least {at_least} is needed"
                )
            }
            Self::RootGap { current, offered } => {
                write!(
                    f,
                    "root document has version {offered}, the next after {current} is needed"
                )
            }
            Self::RootTooOld { current, needed } => {
                write!(
                    f,
                    "keyset needs root version {needed}, at hand is {current}"
                )
            }
            Self::SignatureDuplicate(key_id) => {
                write!(f, "document has two signatures of key {key_id}")
            }
            Self::SignatureInvalid => f.write_str("signature does not hold"),
            Self::SignaturesMissing {
                kind,
                valid,
                threshold,
            } => {
                write!(
                    f,
                    "{kind} document has {valid} valid signatures, {threshold} are needed"
                )
            }
            Self::SplitView(view) => display_split_view(view, f),
            Self::StaleTrust {
                kind,
                current: 0,
                needed,
            } => {
                write!(
                    f,
                    "license needs {kind} version {needed}, none was imported"
                )
            }
            Self::StaleTrust {
                kind,
                current,
                needed,
            } => {
                write!(
                    f,
                    "license needs {kind} version {needed}, at hand is {current}"
                )
            }
            Self::StatusMissing => f.write_str("no status document was imported"),
            Self::StatusTooOld { now, limit } => {
                write!(f, "status document was good until {limit}, now {now}")
            }
            Self::TokenEmpty => f.write_str("token is empty"),
            Self::TokenEncoding => f.write_str("token is not base64url without padding"),
            Self::TokenFooter => f.write_str("token's footer does not begin with a key id"),
            Self::TokenPayload => f.write_str("token's payload is not {}"),
            Self::TokenPrefix => f.write_str("token does not begin with v4.public."),
            Self::TokenShape => f.write_str("token is cut short or has parts too many"),
            Self::TokenTooLong { length } => {
                write!(
                    f,
                    "token has {length} characters, more than {}",
                    crate::token::MAX_TOKEN
                )
            }
            Self::UnknownKey(key_id) => write!(f, "keyset does not name key {key_id}"),
        }
    }
}

/// The hash of a document, as `sha256sum` prints it.
struct Hex<'a>(&'a PayloadHash);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn display_split_view(view: &SplitView, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (held, offered) = (view.held_size, view.offered_size);
    match view.conflict {
        Conflict::Shrunk => write!(
            f,
            "log had size {held}, a checkpoint of size {offered} is offered"
        ),
        Conflict::Forked => write!(f, "two checkpoints of size {held} have different roots"),
        Conflict::Unproven => write!(
            f,
            "log of size {offered} is not shown to contain that of size {held}"
        ),
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        // The sentences above already speak for their causes, which are part of this layer.
        None
    }
}
