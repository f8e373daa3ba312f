//! Why the issuer refuses something: one sentence, one stable code and, where there is one, the
//! way out.

use std::{collections::BTreeMap, error::Error as StdError, fmt, io, path::PathBuf};

use phi_verify::{Exceeded, KeyId, LicenseId, TokenId, UnixTime};

use crate::{
    catalog::{Diagnostics, EntitlementError},
    ceremony::Need,
    custody::SignerError,
    durable::FileError,
    issuer,
    keyfile::{KeyError, SignError},
    keys::Role,
    ledger::Divergence,
    license::{Act, State},
    passphrase::PassphraseError,
    store::StoreError,
};

/// Why the issuer refuses something.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Something with this name is there already.
    AlreadyExists {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// What was handed in is no backup, export or checkpoint that can be used here.
    BadCopy {
        /// The thing, by its path if that is known.
        what: String,
        /// What is wrong with it, as a predicate.
        problem: String,
        /// The way out.
        hint: &'static str,
    },
    /// A batch row was carried out before with other contents.
    BatchConflict {
        /// The row's reference.
        reference: String,
    },
    /// A file of rows cannot be read.
    BatchFile {
        /// What is wrong, and where.
        problem: String,
    },
    /// The catalog text is refused; each diagnostic has its line and column.
    Catalog(Diagnostics),
    /// A file that a holder carries does not read.
    CeremonyFile {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it, as a predicate.
        problem: String,
    },
    /// The clock stands before the newest entry of the ledger.
    ClockBehind {
        /// What the clock says.
        now: UnixTime,
        /// When the newest entry was recorded.
        newest: UnixTime,
    },
    /// No entry of the ledger is ahead of the clock.
    ClockRight {
        /// What the clock says.
        now: UnixTime,
        /// When the newest entry was recorded.
        newest: UnixTime,
    },
    /// The license was changed by somebody else since it was looked at.
    Conflict {
        /// The license.
        license: LicenseId,
        /// The revision that was looked at.
        expected: u64,
        /// The revision that it has.
        found: u64,
    },
    /// The store is not what its events make it.
    Diverged(Divergence),
    /// The plan, add-ons and overrides do not fit the catalog.
    Entitlement(EntitlementError),
    /// An entry of the ledger was written by a newer Phi.
    EntryNewer {
        /// The version of the entry.
        found: u64,
        /// The newest version that this Phi reads.
        known: u64,
    },
    /// An event in the store does not read.
    EventDamaged {
        /// What is wrong with it.
        problem: String,
    },
    /// A file cannot be read or written.
    File(FileError),
    /// A checkpoint is of another ledger.
    ForeignCheckpoint {
        /// The log that it is of.
        origin: String,
        /// The log of this ledger.
        ours: String,
    },
    /// There is no issuer in the folder.
    FolderMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds something that `init` would write.
    FolderInUse {
        /// What is in the way.
        path: PathBuf,
    },
    /// Another request was made under this idempotency key.
    IdempotencyConflict {
        /// The key.
        key: String,
    },
    /// What was asked for breaks a rule.
    Invalid {
        /// The thing.
        what: &'static str,
        /// The rule that is broken, as a predicate.
        problem: String,
    },
    /// A key file or passphrase is refused.
    Key(KeyError),
    /// The key's file is not in the folder.
    KeyFileMissing {
        /// The key's role.
        role: Role,
        /// The key.
        key_id: KeyId,
        /// Where its file should be.
        path: PathBuf,
    },
    /// A key would be published for the first time whose private half is not in the folder and
    /// for which nobody answers.
    KeyNotKnown {
        /// The key's role.
        role: Role,
        /// The key.
        key_id: KeyId,
        /// Who brought it into the ledger, as the store says.
        actor: String,
        /// When that was, as the store says.
        added: UnixTime,
    },
    /// The license never had this revision.
    NoRevision {
        /// The license.
        license: LicenseId,
        /// The revision that was asked for.
        asked: u64,
        /// The newest one.
        newest: u64,
    },
    /// The state does not allow what was asked for.
    NotAllowed {
        /// The thing.
        what: String,
        /// Why not.
        problem: &'static str,
        /// The way out.
        hint: &'static str,
    },
    /// The newest checkpoint is older than what is to be proven.
    NotCovered {
        /// The event, or the size of the older checkpoint.
        seq: u64,
        /// How many events the newest checkpoint covers.
        size: u64,
    },
    /// No license key in use may sign the license.
    NoKeyFits {
        /// The keys in use, and what of the license is beyond each one's scope.
        beyond: Vec<(KeyId, Exceeded)>,
    },
    /// There is nothing of this name.
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The way out.
        hint: &'static str,
    },
    /// The license was not there yet.
    NotThen {
        /// The license.
        license: LicenseId,
        /// When it was recorded.
        since: UnixTime,
    },
    /// A filter of a list could not be made.
    Filter(crate::filter::BuildError),
    /// A list that was about to be signed says of a token what the ledger does not.
    ListWrong {
        /// The list or the delta.
        list: String,
        /// The token.
        token: TokenId,
        /// What the list says of it.
        says: String,
        /// What the ledger says of it.
        ledger: String,
    },
    /// A list would not take back what the list before it did, and no event says why.
    RevocationsLost {
        /// The list before.
        epoch: u64,
        /// How many subjects it took back.
        count: usize,
        /// The first of them.
        first: Vec<String>,
    },
    /// The store is older than what its folder has published.
    OlderThanPublished {
        /// What was published beyond it.
        ahead: String,
        /// A document among it that the store cannot take up, by its file.
        fixed: Option<String>,
    },
    /// The ledger's checkpoints do not reach the cut of a key that was published: tokens that the
    /// cut keeps would be lost.
    CutLost {
        /// The key.
        key_id: phi_verify::KeyId,
        /// How many events of the ledger the published cut leaves to the key.
        cut: u64,
        /// How many of them the newest checkpoint covers.
        covered: u64,
        /// How many live tokens stand between the two.
        tokens: u64,
    },
    /// A token that was handed in is not one that was minted here.
    NotGenuine {
        /// The token of the ledger that has its id, if there is one.
        known: Option<phi_verify::TokenId>,
        /// What phi-verify says of it.
        cause: phi_verify::Error,
    },
    /// What was just made does not pass phi-verify, and was not given out.
    NotVerified(phi_verify::Error),
    /// A proposal was made at a time that has not come.
    ProposalAhead {
        /// When it says that it was made.
        made: UnixTime,
        /// The clock here.
        now: UnixTime,
    },
    /// The newest root is not the one that a proposal follows.
    ProposalBehind {
        /// What happened meanwhile.
        problem: String,
        /// The way out.
        hint: &'static str,
    },
    /// A proposal is not one that can be signed here.
    ProposalInvalid {
        /// What is wrong with it, as a predicate.
        problem: String,
    },
    /// The published documents are behind the ledger.
    PublicationBehind {
        /// What is missing.
        problem: String,
        /// The command that publishes it.
        hint: &'static str,
    },
    /// The ledger has the document, but its file could not be written.
    PublicationUnwritten(FileError),
    /// A signature does not count for a proposal.
    RootSignature {
        /// The key that it says has signed.
        key_id: KeyId,
        /// Why not, as a predicate.
        problem: String,
    },
    /// Too few holders signed a proposal.
    RootUnsigned {
        /// What the two roots ask for.
        needs: Vec<Need>,
        /// The names of holders that are known.
        holders: BTreeMap<KeyId, String>,
    },
    /// A signer failed.
    Sign(SignError),
    /// A passphrase is missing or refused.
    Passphrase(PassphraseError),
    /// The token or the program that has a key cannot be used.
    Signer(SignerError),
    /// Too few keys of a role are at hand for it to sign.
    SignersMissing {
        /// The role.
        role: Role,
        /// How many of its keys must sign.
        threshold: usize,
        /// How many are at hand.
        here: usize,
        /// Those that are not.
        missing: Vec<KeyId>,
    },
    /// The store cannot be used.
    Store(StoreError),
    /// The store was written by a newer Phi.
    StoreNewer {
        /// The version of the store.
        found: u32,
        /// The newest version that this Phi reads.
        known: u32,
    },
    /// There is a store already, which is not to be replaced.
    StoreInUse {
        /// Where it is.
        place: String,
        /// The way out.
        hint: &'static str,
    },
    /// There is an issuer in the folder, but its store is gone.
    StoreMissing {
        /// Where it should be.
        place: String,
        /// The way out.
        hint: &'static str,
    },
    /// The file or database is not a Phi store.
    StoreForeign {
        /// Where it is.
        place: String,
        /// The way out.
        hint: &'static str,
    },
    /// The database does not keep what it is told to keep.
    StoreUnfit {
        /// Where it is.
        place: String,
        /// Why not, as a predicate.
        problem: &'static str,
        /// The way out.
        hint: &'static str,
    },
    /// The system refused something.
    System {
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The license's state does not allow the act.
    Transition {
        /// The license.
        license: LicenseId,
        /// Its state.
        state: State,
        /// What was asked for.
        act: Act,
        /// When it will be in that state, if the change was to wait until then.
        then: Option<UnixTime>,
    },
    /// The change fits the license now, but not when a change that waits takes effect.
    WaitingMisfit {
        /// The license.
        license: LicenseId,
        /// The revision that the waiting change made.
        revision: u64,
        /// When it takes effect.
        effective: UnixTime,
        /// What does not fit then.
        cause: Box<Self>,
    },
}

/// Classes of errors, for exit codes and dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// What was handed in is wrong.
    Input,
    /// A key or a passphrase is missing or wrong.
    Key,
    /// The published documents are behind.
    Publication,
    /// The store refuses, or cannot be used.
    Store,
    /// The machine refuses.
    System,
}

impl Error {
    /// The stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists { .. } => "already-exists",
            Self::BadCopy { .. } => "copy-invalid",
            Self::BatchConflict { .. } => "batch-conflict",
            Self::BatchFile { .. } => "batch-file",
            Self::Catalog(_) => "catalog-invalid",
            Self::CeremonyFile { .. } => "ceremony-file",
            Self::ClockBehind { .. } => "ledger-clock-behind",
            Self::ClockRight { .. } => "ledger-clock-right",
            Self::Conflict { .. } => "revision-conflict",
            Self::Diverged(_) => "ledger-diverged",
            Self::Entitlement(_) => "entitlement-invalid",
            Self::EntryNewer { .. } => "entry-newer",
            Self::EventDamaged { .. } => "event-damaged",
            Self::File(error) | Self::PublicationUnwritten(error) => error.code(),
            Self::ForeignCheckpoint { .. } => "checkpoint-foreign",
            Self::FolderInUse { .. } => "folder-in-use",
            Self::FolderMissing { .. } => "folder-missing",
            Self::IdempotencyConflict { .. } => "idempotency-conflict",
            Self::Invalid { .. } => "input-invalid",
            Self::Key(error) => error.code(),
            Self::KeyFileMissing { .. } => "key-file-missing",
            Self::KeyNotKnown { .. } => "key-not-known",
            Self::NoRevision { .. } => "no-such-revision",
            Self::NotAllowed { .. } => "not-allowed",
            Self::NotCovered { .. } => "checkpoint-behind",
            Self::NoKeyFits { .. } => "no-key-fits",
            Self::NotFound { .. } => "not-found",
            Self::NotThen { .. } => "not-there-then",
            Self::CutLost { .. } => "would-orphan",
            Self::NotGenuine { cause, .. } => cause.code(),
            Self::NotVerified(_) => "not-verified",
            Self::Filter(_) => "filter-not-built",
            Self::ListWrong { .. } => "list-wrong",
            Self::RevocationsLost { .. } => "revocations-lost",
            Self::OlderThanPublished { .. } => "older-than-published",
            Self::ProposalAhead { .. } => "proposal-ahead",
            Self::ProposalBehind { .. } => "proposal-behind",
            Self::ProposalInvalid { .. } => "proposal-invalid",
            Self::PublicationBehind { .. } => "publication-behind",
            Self::RootSignature { .. } => "root-signature-refused",
            Self::RootUnsigned { .. } => "root-signatures-missing",
            Self::Passphrase(error) => error.code(),
            Self::Sign(error) => error.code(),
            Self::Signer(error) => error.code(),
            Self::SignersMissing { .. } => "signers-missing",
            Self::Store(error) => error.code(),
            Self::StoreForeign { .. } => "store-foreign",
            Self::StoreInUse { .. } => "store-in-use",
            Self::StoreMissing { .. } => "store-missing",
            Self::StoreNewer { .. } => "store-newer",
            Self::StoreUnfit { .. } => "store-unfit",
            Self::System { .. } => "system",
            Self::Transition { .. } => "transition-refused",
            Self::WaitingMisfit { .. } => "waiting-misfit",
        }
    }

    /// Whether what was asked for may have been recorded after all.
    pub(crate) fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_outcome_unknown())
    }

    /// The class of the error.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::AlreadyExists { .. }
            | Self::BadCopy { .. }
            | Self::BatchConflict { .. }
            | Self::BatchFile { .. }
            | Self::Catalog(_)
            | Self::CeremonyFile { .. }
            | Self::Entitlement(_)
            | Self::FolderInUse { .. }
            | Self::FolderMissing { .. }
            | Self::ForeignCheckpoint { .. }
            | Self::IdempotencyConflict { .. }
            | Self::Invalid { .. }
            | Self::NoRevision { .. }
            | Self::NotCovered { .. }
            | Self::NoKeyFits { .. }
            | Self::NotFound { .. }
            | Self::NotThen { .. }
            | Self::ProposalAhead { .. }
            | Self::ProposalBehind { .. }
            | Self::ProposalInvalid { .. }
            | Self::RootSignature { .. }
            | Self::StoreInUse { .. }
            | Self::WaitingMisfit { .. } => ErrorClass::Input,
            Self::Key(_)
            | Self::KeyFileMissing { .. }
            | Self::Passphrase(_)
            | Self::RootUnsigned { .. }
            | Self::Sign(_)
            | Self::Signer(_)
            | Self::SignersMissing { .. } => ErrorClass::Key,
            Self::KeyNotKnown { .. }
            | Self::PublicationBehind { .. }
            | Self::PublicationUnwritten(_)
            | Self::Filter(_)
            | Self::ListWrong { .. }
            | Self::NotVerified(_) => ErrorClass::Publication,
            Self::ClockBehind { .. }
            | Self::ClockRight { .. }
            | Self::Conflict { .. }
            | Self::CutLost { .. }
            | Self::Diverged(_)
            | Self::EntryNewer { .. }
            | Self::EventDamaged { .. }
            | Self::NotAllowed { .. }
            | Self::OlderThanPublished { .. }
            | Self::RevocationsLost { .. }
            | Self::Store(_)
            | Self::StoreForeign { .. }
            | Self::StoreMissing { .. }
            | Self::StoreNewer { .. }
            | Self::StoreUnfit { .. }
            | Self::Transition { .. } => ErrorClass::Store,
            Self::File(_) | Self::NotGenuine { .. } | Self::System { .. } => ErrorClass::System,
        }
    }

    /// The next step, where there is one.
    #[expect(clippy::too_many_lines, reason = "a sentence for each variant")]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::AlreadyExists { .. } => "choose another name".into(),
            Self::BatchConflict { .. } => {
                "give the row a new ref, or restore the row as it was".into()
            }
            Self::ClockBehind { .. } => "set this machine's clock; if it is right, an entry was \
                 recorded under one that was ahead: run `phi ledger correct-clock`"
                .into(),
            Self::ClockRight { .. } => "nothing is to be done".into(),
            Self::Conflict { license, .. } => {
                format!("look at it again with `phi license show {license}`, then decide anew")
            }
            Self::Diverged(_) => {
                "keep the store as it is for the inquiry; `phi ledger restore` brings a \
                 backup back"
                    .into()
            }
            Self::ForeignCheckpoint { .. } => "hand in a checkpoint of this issuer's ledger".into(),
            Self::NotCovered { .. } => "sign a new one with `phi ledger checkpoint`".into(),
            Self::IdempotencyConflict { .. } => {
                "repeat the request as it was, or give the new one a key of its own".into()
            }
            Self::NoRevision { license, .. } | Self::NotThen { license, .. } => {
                format!("run `phi license history {license}`")
            }
            Self::Transition { state, then, .. } => allowed(*state, *then),
            Self::WaitingMisfit {
                license, revision, ..
            } => {
                format!(
                    "call the waiting change off with `phi license withdraw {license} {revision}`"
                )
            }
            Self::EventDamaged { .. } => {
                "nothing was changed; restore the store from a backup".into()
            }
            Self::Store(error) => error.hint().into(),
            Self::FolderInUse { path } if path.ends_with(issuer::SCRATCH) => {
                "an interrupted `phi init` left it, and issued nothing: remove it and run the \
                 command again, unless another is at work here"
                    .into()
            }
            Self::FolderInUse { .. } => {
                "choose another folder with --dir, or move what is there away".into()
            }
            Self::FolderMissing { .. } => {
                "run `phi init` here, or name the issuer's folder with --dir".into()
            }
            Self::KeyFileMissing { .. } => {
                "bring the key file back into keys/ (from its offline place or a backup)".into()
            }
            Self::SignersMissing { .. } => {
                "bring as many of the missing keys' files into keys/ as must sign".into()
            }
            Self::KeyNotKnown { actor, key_id, .. } => format!(
                "ask {actor} on another way whether the key is theirs, and compare the id; if it \
                 is, pass --accept-key {key_id}; if nobody made it, keep the store for the \
                 inquiry and run `phi ledger verify`"
            ),
            Self::RevocationsLost { .. } => {
                "run `phi ledger verify`; if the store is an older copy, restore a newer one. What \
                 is to count again says so: `phi unrevoke`, or for a suspended license `phi \
                 license suspend` and `reinstate` when it is published"
                    .into()
            }
            Self::ListWrong { .. } => {
                "nothing was signed: run `phi ledger verify`; if it finds nothing, report this as \
                 a defect of Phi"
                    .into()
            }
            Self::OlderThanPublished { fixed: None, .. } => {
                "restore a newer backup; if there is none, `phi ledger restore` with \
                 --older-than-published goes on after what was published (docs/ledger.md, \
                 \"Backups\")"
                    .into()
            }
            Self::OlderThanPublished {
                fixed: Some(file), ..
            } => format!(
                "restore a newer backup: what {file} rests on is in the newer ledger only \
                 (docs/ledger.md, \"Backups\")"
            ),
            Self::BadCopy { hint, .. }
            | Self::NotAllowed { hint, .. }
            | Self::NotFound { hint, .. }
            | Self::ProposalBehind { hint, .. }
            | Self::PublicationBehind { hint, .. }
            | Self::StoreForeign { hint, .. }
            | Self::StoreInUse { hint, .. }
            | Self::StoreMissing { hint, .. }
            | Self::StoreUnfit { hint, .. } => (*hint).into(),
            Self::NoKeyFits { .. } => {
                "make a key for it with `phi key new`, bring it in with `phi key rotate --like KEY` \
                 and publish the keyset"
                    .into()
            }
            Self::CutLost { cut, .. } => format!(
                "restore a backup that was made after a checkpoint of event {cut} or later; if there \
                 is none, --force goes on, and what is lost is to be minted again"
            ),
            Self::NotGenuine {
                known: Some(id), ..
            } => format!(
                "it was changed or forged, and has the id of a token of the ledger: ask for the \
                 whole text again; {id} alone names the one that was minted"
            ),
            Self::NotVerified(_) => {
                "nothing was given out; publish the keyset and try again".into()
            }
            Self::PublicationUnwritten(_) => {
                "mend the folder and run the publish command again; the ledger has the document"
                    .into()
            }
            Self::EntryNewer { .. } | Self::StoreNewer { .. } => {
                "use the newer phi that wrote it".into()
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Error {
    #[expect(clippy::too_many_lines, reason = "a sentence for each variant")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyExists { what, name } => write!(f, "{what} {name} exists already"),
            Self::BatchConflict { reference } => {
                write!(
                    f,
                    "row {reference:?} was carried out before with other contents"
                )
            }
            Self::Catalog(_) => f.write_str("the catalog is refused"),
            Self::ClockBehind { now, newest } => write!(
                f,
                "the clock says {now}, and the newest entry of the ledger is of {newest}"
            ),
            Self::ClockRight { now, newest } => write!(
                f,
                "the newest entry of the ledger is of {newest}, not after {now}"
            ),
            Self::Conflict {
                license,
                expected,
                found,
            } => write!(
                f,
                "license {license} was changed meanwhile: it has revision {found}, not {expected}"
            ),
            Self::Diverged(divergence) => write!(f, "the ledger diverges at {divergence}"),
            Self::Entitlement(error) => error.fmt(f),
            Self::EntryNewer { found, known } => {
                write!(
                    f,
                    "an entry of the ledger has version {found}, this phi reads up to {known}"
                )
            }
            Self::EventDamaged { problem } => {
                write!(f, "an event in the store is damaged: {problem}")
            }
            Self::File(error) => error.fmt(f),
            Self::ForeignCheckpoint { origin, ours } => {
                write!(
                    f,
                    "the checkpoint is of {origin}, and this ledger is {ours}"
                )
            }
            Self::FolderInUse { path } => write!(f, "{} is in the way", path.display()),
            Self::FolderMissing { folder } => {
                write!(f, "there is no issuer in {}", folder.display())
            }
            Self::IdempotencyConflict { key } => {
                write!(
                    f,
                    "another request was made under the idempotency key {key:?}"
                )
            }
            Self::BadCopy { what, problem, .. } => write!(f, "{what} {problem}"),
            Self::CeremonyFile { what, problem } | Self::Invalid { what, problem } => {
                write!(f, "{what} {problem}")
            }
            Self::Key(error) => error.fmt(f),
            Self::KeyFileMissing { role, key_id, path } => {
                write!(
                    f,
                    "the file of {role} key {key_id} is not at {}",
                    path.display()
                )
            }
            Self::KeyNotKnown {
                role,
                key_id,
                actor,
                added,
            } => write!(
                f,
                "{role} key {key_id} would be published for the first time and is not in keys/ \
                 here: {actor} added it on {added}"
            ),
            Self::NoRevision {
                license,
                asked,
                newest,
            } => write!(
                f,
                "license {license} has no revision {asked}: they are 1 to {newest}"
            ),
            Self::NotAllowed { what, problem, .. } => write!(f, "{what} {problem}"),
            Self::NotCovered { seq, size } => write!(
                f,
                "the newest checkpoint covers {size} events, and this is about event {seq}"
            ),
            Self::NoKeyFits { beyond } => {
                f.write_str("the license is beyond the scope of every license key in use")?;
                beyond
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, (key_id, exceeded))| {
                        let before = if at == 0 { ": " } else { "; " };
                        write!(f, "{before}key {key_id}: {exceeded}")
                    })
            }
            Self::NotFound { what, name, .. } => write!(f, "there is no {what} {name}"),
            Self::NotThen { license, since } => {
                write!(f, "license {license} was not there yet: it is of {since}")
            }
            Self::Filter(error) => error.fmt(f),
            Self::ListWrong {
                list,
                token,
                says,
                ledger,
            } => write!(
                f,
                "{list} says of token {token} {says} and the ledger {ledger}"
            ),
            Self::RevocationsLost {
                epoch,
                count,
                first,
            } => {
                let named = first.join(", ");
                let more = match count.saturating_sub(first.len()) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                write!(
                    f,
                    "the ledger has lost what list {epoch} revokes: {named}{more}"
                )
            }
            Self::OlderThanPublished { ahead, .. } => {
                write!(
                    f,
                    "the ledger is older than what was published of it: {ahead}"
                )
            }
            Self::CutLost {
                key_id,
                cut,
                covered,
                tokens,
            } => write!(
                f,
                "key {key_id} was cut after event {cut}, and the checkpoints of this ledger cover \
                 {covered} events: {tokens} live tokens that the cut keeps would be lost"
            ),
            Self::NotGenuine { .. } => f.write_str("this is no token that was minted here"),
            Self::NotVerified(_) => f.write_str("what was made does not pass verification"),
            Self::BatchFile { problem }
            | Self::ProposalBehind { problem, .. }
            | Self::PublicationBehind { problem, .. } => f.write_str(problem),
            Self::ProposalAhead { made, now } => write!(
                f,
                "the proposal was made at {made}, and the clock here says {now}: applications \
                 would take the one for the other"
            ),
            Self::ProposalInvalid { problem } => write!(f, "the proposal {problem}"),
            Self::PublicationUnwritten(_) => f.write_str("a published file could not be written"),
            Self::Passphrase(error) => error.fmt(f),
            Self::RootSignature { key_id, problem } => {
                write!(f, "the signature of key {key_id} {problem}")
            }
            Self::RootUnsigned { needs, holders } => unsigned(f, needs, holders),
            Self::Sign(error) => error.fmt(f),
            Self::Signer(error) => error.fmt(f),
            Self::SignersMissing {
                role,
                threshold,
                here,
                missing,
            } => {
                let missing: Vec<_> = missing.iter().map(KeyId::to_string).collect();
                let missing = missing.join(", ");
                write!(
                    f,
                    "{threshold} {role} keys must sign, and {here} of them are at hand; missing: {missing}"
                )
            }
            Self::Store(error) => error.fmt(f),
            Self::StoreMissing { place, .. } => write!(f, "the store {place} is missing"),
            Self::StoreForeign { place, .. } => write!(f, "{place} is not a Phi store"),
            Self::StoreInUse { place, .. } => write!(f, "there is a store at {place}"),
            Self::StoreUnfit { place, problem, .. } => write!(f, "{place} {problem}"),
            Self::StoreNewer { found, known } => {
                write!(
                    f,
                    "the store has version {found}, this phi reads up to {known}"
                )
            }
            Self::System { step, .. } => write!(f, "the system refused {step}"),
            Self::Transition {
                license,
                state,
                act,
                then: None,
            } => write!(
                f,
                "license {license} is {}: {act} is not allowed",
                phrase(*state)
            ),
            Self::Transition {
                license,
                state,
                act,
                then: Some(then),
            } => write!(
                f,
                "license {license} will be {} at {then}: {act} is not allowed then",
                phrase(*state)
            ),
            Self::WaitingMisfit {
                license,
                revision,
                effective,
                cause,
            } => write!(
                f,
                "the change of revision {revision} that license {license} waits for would not fit at \
                 {effective}: {cause}"
            ),
        }
    }
}

/// Which root lacks which holders.
fn unsigned(
    f: &mut fmt::Formatter<'_>,
    needs: &[Need],
    holders: &BTreeMap<KeyId, String>,
) -> fmt::Result {
    let who = |key_id: &KeyId| match holders.get(key_id) {
        Some(name) => format!("{name} ({key_id})"),
        None => key_id.to_string(),
    };
    let lacking = needs.iter().filter(|need| need.lacks() > 0);
    let sentences: Vec<_> = lacking
        .map(|need| {
            let missing: Vec<_> = need.missing.iter().map(who).collect();
            format!(
                "{} of the keys of root {} must sign, and {} did; missing: {}",
                need.threshold,
                need.version,
                need.present.len(),
                missing.join(", ")
            )
        })
        .collect();
    f.write_str(&sentences.join("; "))
}

/// The state as it is said of a license.
const fn phrase(state: State) -> &'static str {
    match state {
        State::Draft => "a draft",
        State::Grace => "in its grace",
        state => state.name(),
    }
}

/// The commands for what can be done in a state, or for what may wait for the time when the
/// license will be in it.
fn allowed(state: State, then: Option<UnixTime>) -> String {
    if state == State::Revoked {
        return "nothing can be done with a revoked license: issue a new one, or take its \
                revocation back with `phi unrevoke license`"
            .into();
    }
    let acts = state
        .allows()
        .filter(|act| then.is_none() || act.may_wait());
    let verbs: Vec<_> = acts.filter_map(verb).collect();
    let verbs = match verbs.split_last() {
        None => return format!("nothing can be done with a {state} license: issue a new one"),
        Some((last, [])) => format!("`phi license` {last}"),
        Some((last, others)) => format!("`phi license` {} or {last}", others.join(", ")),
    };
    match then {
        None => format!("allowed now: {verbs}; `phi revoke license`"),
        Some(_) => format!("allowed at that time: {verbs}"),
    }
}

/// The verb of `phi license` for an act; what is revoked need not be a license.
const fn verb(act: Act) -> Option<&'static str> {
    match act {
        Act::Revoke | Act::Unrevoke => None,
        Act::Issue => Some("issue --from-draft"),
        Act::ConvertTrial => Some("convert"),
        act => Some(act.name()),
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // A variant that prints its cause's sentence passes on the cause's own source, so that
        // a chain never says one thing twice.
        match self {
            Self::Catalog(error) => Some(error),
            Self::Entitlement(error) => error.source(),
            Self::File(error) => error.source(),
            Self::Key(error) => error.source(),
            Self::NotGenuine { cause, .. } => Some(cause),
            Self::NotVerified(error) => Some(error),
            Self::PublicationUnwritten(error) => Some(error),
            Self::Passphrase(error) => error.source(),
            Self::Sign(error) => error.source(),
            Self::Signer(error) => error.source(),
            Self::Store(error) => error.source(),
            Self::System { source, .. } => Some(source),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($cause:ty => $variant:ident;)*) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::$variant(cause)
            }
        }
    )*};
}

from! {
    Diagnostics => Catalog;
    EntitlementError => Entitlement;
    FileError => File;
    KeyError => Key;
    PassphraseError => Passphrase;
    SignError => Sign;
    SignerError => Signer;
}
