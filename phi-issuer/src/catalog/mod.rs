//! The catalog: what a product sells, named once, with codes that never change their meaning.
//!
//! `catalog.toml` is text a person edits ([`Source`]). Recording it gives a [`Revision`], in which
//! every flag, quota and concurrency limit has its code and every plan is resolved. Everything
//! later (licenses, signed catalog documents, generated constants) is derived from a revision.
//!
//! Nothing here reads a file or prints: text and values come in, values and text go out.
//!
//! ```
//! use phi_issuer::catalog::{Overrides, Revision, Source};
//!
//! let source = Source::parse(
//!     r#"
//!     product = "atlas"
//!     [flags]
//!     sso = "Single sign-on"
//!     [plans.team]
//!     flags = ["sso"]
//!     "#,
//! )?;
//! let revision = Revision::first(&source)?;
//! let granted = revision.entitlements("team", &[], &Overrides::default())?;
//! assert!(granted.flags.contains(&0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod change;
mod codegen;
mod codes;
mod diagnostic;
mod diff;
mod document;
mod entitlements;
mod import;
mod name;
mod plans;
mod reader;
mod revision;
mod source;
mod template;
mod terms;

pub use change::{Change, Holder};
pub use codegen::{Lang, UnknownLang, codegen};
pub use diagnostic::{Diagnostic, Diagnostics, Position};
pub(crate) use diagnostic::{nearest, position};
pub use diff::diff;
pub use entitlements::{EntitlementError, Entitlements, Overrides};
pub use import::from_tsv;
pub use name::{InvalidName, MAX_NAME_BYTES, Name};
pub use revision::{Grants, Offer, Revision, Term, Terms};
pub use source::{MAX_SOURCE_BYTES, Source};
pub use template::template;
pub use terms::{Kind, Meaning};

#[cfg(test)]
mod properties;
