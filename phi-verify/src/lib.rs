//! Verify Phi license tokens offline.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use phi_verify::{RevocationPolicy, TrustState, UnixTime, Verifier, armor};
//!
//! let mut trust = TrustState::from_anchor(include_bytes!("../../keys/demo/root-1.phi"))?;
//! trust.import(include_bytes!("../../keys/demo/keyset.phi"))?;
//! let file = include_str!("../../keys/demo/license.txt");
//!
//! let verifier = Verifier::new(&trust, "demo-app", RevocationPolicy::Lenient);
//! let now = UnixTime::from(std::time::SystemTime::now());
//! let license = verifier.verify(&armor::unwrap(file)?, now)?;
//! assert_eq!(license.plan(), "pro");
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//! Length and shape, then the key, then the signature, and only then what the license says: its
//! issuer and product, its key's window and scope, its proof where one is needed, its time, its
//! machine and its revocation. The first check that fails is the [`Error`]; `docs/spec.md` has the
//! order.
//!
//! # What travels together
//! A [`Bundle`] is one file with the roots, the keyset, the status list, the catalogs and the
//! tokens of an application. [`TrustState::import_bundle`] takes its documents, each for itself.
//!
//! # The ledger
//! [`log`] says whether a token was minted in the issuer's published ledger, and whether that
//! ledger only grows. A license key that was stolen can be revoked from a place in the ledger on:
//! tokens that a proof shows before it stay good ([`Verifier::verify_with_proof`]).
//!
//! # Between runs
//! [`TrustState::observe`] judges the machine's clock, [`TrustState::to_bytes`] and `store` keep what
//! is believed, and [`TrustState::report`] says it for a support ticket.
//!
//! # What is left to you
//! The clock and the network: time, bytes and the machine's components are handed in. Files are
//! touched by the module `store` alone, for applications that want it.
//! What happens to a user whose license is in [grace](Validity::Grace) or was refused is the
//! application's decision.
//!
//! # Features
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `std` | yes | [`UnixTime`] from [`std::time::SystemTime`], and `store`; without it the crate is `no_std` with `alloc` |
//! | `serde` | no | text forms of ids, words and times, and of [`TrustReport`] |
//! | `inspect` | no | `dangerous_inspect`: reading objects that nobody verified |
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod bundle;
mod catalog;
mod cbor;
mod claims;
mod clock;
mod document;
mod error;
mod fingerprint;
mod key;
mod keyset;
mod pae;
mod report;
mod root;
mod scope;
#[cfg(feature = "serde")]
mod serde;
mod status;
mod terms;
mod time;
mod token;
mod trust;
mod verifier;

pub mod armor;
#[cfg(feature = "inspect")]
pub mod dangerous_inspect;
pub mod filter;
pub mod log;
#[cfg(feature = "std")]
pub mod store;

pub use bundle::{
    Bundle, BundleBuilder, BundledToken, MAX_BUNDLE, MAX_BUNDLE_CATALOGS, MAX_BUNDLE_TOKENS,
    MAX_ROOT_CHAIN, PartName, PartOutcome, PartReport,
};
pub use catalog::{Catalog, Name};
pub use claims::{Claims, Extension, LicenseId, Minimum, NotAnId, TokenId};
pub use clock::{
    AGREEING_DAYS, CLOCK_TOLERANCE, ClockPolicy, ClockReset, ClockVerdict, InstallationId,
    JUMP_LIMIT, OBSERVED_STEP, SIGNED_LEAD,
};
pub use document::{DocumentKind, PayloadHash, UnsignedDocument, UntrustedDocument};
pub use error::{Error, KeyError, Malformed};
pub use fingerprint::{Binding, ComponentDigest, Fingerprint, MAX_COMPONENTS};
pub use key::{KeyId, MAX_SIGNERS, PublicKey, RoleKeys};
pub use keyset::{KeyState, Keyset, LicenseKey};
pub use report::{
    ClockReport, DocumentReport, FindingReport, KeyReport, ListsReport, RoleReport, SectionReport,
    TrustReport,
};
pub use root::{Floors, Root};
pub use scope::{Exceeded, Scope};
pub use status::{
    Form, Freshness, ListId, Reason, Revocation, Rule, RuleClass, Sections, Status, StatusLists,
    Subject, Verdict,
};
pub use terms::{
    Allowance, FLAG_CODES, FlagCode, FlagSet, LIMIT_CODES, LimitCode, Period, QUOTA_CODES, Quota,
    QuotaCode, Terms,
};
pub use time::UnixTime;
pub use token::{MAX_TOKEN, UnsignedToken};
pub use trust::{Imported, Refused, Restored, StateError, TrustState};
pub use verifier::{License, NOT_BEFORE_LEEWAY, ProofPolicy, RevocationPolicy, Validity, Verifier};

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    /// A key that anyone can make.
    pub(crate) fn snakeoil(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }
}
