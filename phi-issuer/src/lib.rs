//! Issue, mint, rotate, revoke and publish Phi licenses.
//!
//! The library decides, records, signs and writes; it prints nothing and reads no clock. The
//! `phi` command is built on it and on nothing else.
//!
//! An [`Issuer`] is a folder: settings, an append-only ledger with the tables derived from it,
//! encrypted key files, and the published documents that applications import. Every change is an
//! event that is durable before anything is given out.

#[macro_use]
mod failpoint;

pub mod catalog;
pub mod custody;
pub mod durable;
pub mod filter;
pub mod keyfile;
pub mod machine;
pub mod passphrase;
pub mod qr;
pub mod when;

mod audit;
mod batch;
mod ceremony;
mod clock_reset;
mod customer;
mod doctor;
mod dossier;
mod entry;
mod error;
mod event;
mod export;
mod import;
mod issuer;
mod keys;
mod ledger;
mod license;
pub mod line;
mod mint;
mod publish;
mod revoke;
mod revoked;
mod root;
mod rows;
mod rule;
mod signers;
mod status;
mod store;
mod tree;
mod unrevoke;

pub use audit::{AuditFilter, AuditOrder, AuditRow};
pub use batch::{BatchMode, Row, RowRequest, RowResult, majority, read_rows};
pub use ceremony::{
    Assembled, Holder, HolderFiles, MAX_CEREMONY_FILE, Need, PRACTICE, Proposal, RootChange,
    RootSignature, Tally, is_practice, spoken,
};
pub use clock_reset::{LONGEST_RESET, ResetRequest};
pub use customer::{Customer, CustomerKind};
pub use doctor::{Finding, Urgency};
pub use dossier::{
    Dossier, DossierRequest, Interval, LicenseDossier, Occurrence, TokenDossier, TokenStanding,
};
pub use entry::Entry;
pub use error::{Error, ErrorClass};
pub use event::{
    Event, IssuedReset, MintedToken, Publication, Revocation, SignedCheckpoint, Subject,
    Unrevocation,
};
pub use export::{EXPORT_COLUMNS, ExportFilter, ExportedRows, write_record};
#[cfg(feature = "failpoints")]
pub use failpoint::FAIL_POINTS;
pub use import::{
    ImportFile, ImportMap, ImportResult, ImportWay, Imported, MAX_MAP_BYTES, RowProblem,
    example_map,
};
pub use issuer::{Context, FirstRoot, InitOptions, Issuer, Settings, StatusTimes, StoreOptions};
pub use keys::{
    KeyLife, KeyRecord, KeyScope, KeyStep, NextRoot, Orphan, Orphans, PlannedStep, RevocationPlan,
    Role, Rotation, RotationPlan, StepTime,
};
pub use ledger::{
    Checkpointed, ClockCorrection, Divergence, EntryProof, Export, Exported, Older, Place,
    Progress, Proven, Replace, Verified,
};
pub use license::{
    Act, Amendment, Change, ChangeRequest, Difference, DifferenceSubject, Direction, Happening,
    Issuance, LicenseAt, LicenseChange, LicenseOrder, LicenseRecord, Machine, Misfit, Moment,
    NewLicense, OldTokens, Past, Settled, SettledEarly, State, TRANSITIONS, Transition, Waiting,
    direction,
};
pub use mint::{MAX_TOKENS, MintRequest};
pub use publish::Published;
pub use revoke::{RevocationReach, RevokeRequest};
pub use rows::{MAX_ROWS_BYTES, RowFormat};
pub use status::{
    ByLedger, ByList, Filters, Gap, ListDiff, ListName, Numbers, Padding, PolicyAnswer, RuleChange,
    Side, StatusPublished, StatusReport, StatusRequest, TokenChange, TokenCheck,
};
pub use store::StoreError;
pub use unrevoke::Unrevoked;
