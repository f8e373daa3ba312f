//! The clock reset: a document by which an issuer lets one installation forget what its clock has
//! shown, after it ran ahead for days and was corrected.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use crate::{
    UnixTime,
    cbor::{Fields, MapBuilder},
    claims::id,
    document::{DocumentKind, UnsignedDocument, UntrustedDocument},
    error::{Error, Malformed},
    key::RoleKeys,
};

id!(
    /// The name of one installation of an application: 16 random bytes, printed as 32 hexadecimal
    /// digits. A customer reads it to the issuer to be sent a [`ClockReset`].
    InstallationId, 16
);

/// The payload of a clock-reset document (docs/spec.md, "Clock reset").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReset {
    /// The trust anchor's issuer.
    pub issuer: String,
    /// The installation that it is for.
    pub installation: InstallationId,
    /// Random bytes: a reset works once.
    pub nonce: [u8; 16],
    /// The last second in which it can be used.
    pub not_after: UnixTime,
    /// The time at which the observed floor begins again; without it, at the next reading.
    pub to: Option<UnixTime>,
    /// The highest [steady floor](crate::TrustState::steady_floor) that it forgets: one that was
    /// kept until the clock has run for longer is refused, whatever the clock shows then.
    pub steady: UnixTime,
}

/// A reset that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsedReset {
    pub(crate) reset: ClockReset,
    /// The document, which shows that it was the issuer who let the clock begin again.
    pub(crate) bytes: Vec<u8>,
}

impl UsedReset {
    pub(crate) fn is_signed_by(&self, role: &RoleKeys) -> bool {
        let document = UntrustedDocument::parse(&self.bytes);
        document.is_ok_and(|document| document.verify(role).is_ok())
    }
}

mod field {
    pub(super) const ISSUER: u64 = 1;
    pub(super) const INSTALLATION: u64 = 2;
    pub(super) const NONCE: u64 = 3;
    pub(super) const NOT_AFTER: u64 = 4;
    pub(super) const TO: u64 = 5;
    pub(super) const STEADY: u64 = 6;
}

impl ClockReset {
    /// The document, to be signed by the status role.
    pub fn unsigned(&self) -> UnsignedDocument {
        let mut map = MapBuilder::of_kind(DocumentKind::ClockReset.number());
        map.put(field::ISSUER, self.issuer.as_str());
        map.put(field::INSTALLATION, &self.installation.as_bytes()[..]);
        map.put(field::NONCE, &self.nonce[..]);
        map.put(field::NOT_AFTER, self.not_after.seconds());
        map.put_some(field::TO, self.to.map(UnixTime::seconds));
        map.put(field::STEADY, self.steady.seconds());
        UnsignedDocument::with_payload(DocumentKind::ClockReset, map.encode())
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Error> {
        let invalid = |cause| Error::Document {
            kind: DocumentKind::ClockReset,
            cause,
        };
        Self::decode_fields(payload).map_err(invalid)
    }

    fn decode_fields(payload: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::of_object(payload, DocumentKind::ClockReset.number())?;
        let reset = Self {
            issuer: fields.text(field::ISSUER)?,
            installation: InstallationId::from_bytes(fields.bytes(field::INSTALLATION)?),
            nonce: fields.bytes(field::NONCE)?,
            not_after: fields.time(field::NOT_AFTER)?,
            to: fields.optional_time(field::TO)?,
            steady: fields.time(field::STEADY)?,
        };
        fields.extensions()?;
        if reset.to.is_some_and(|to| to > reset.not_after) {
            let problem = "is after the last time at which the reset can be used";
            return Err(Malformed::Field {
                key: field::TO,
                problem,
            });
        }
        Ok(reset)
    }
}
