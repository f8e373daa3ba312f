//! A seat that a machine takes along: a document of the site's that needs no store to be checked.
//!
//! `["borrowed-seat", payload: bstr, [[key id, signature]]]`, signed over
//! `PAE("phi.borrowed-seat.v1", payload)` (docs/spec.md, "Borrowed seat"). The payload is read when
//! the signature holds. Verifying the license, and keeping what the machine's clock has shown, are
//! left to `phi-verify`.

use std::{error::Error, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ciborium::Value;
use phi_verify::{
    Binding, ClockVerdict, ComponentDigest, Fingerprint, KeyId, License, LicenseId, LimitCode,
    NOT_BEFORE_LEEWAY, PublicKey, TrustState, UnixTime,
};

use crate::{
    site_key::SiteKey,
    store::{MAX_NAME, Occupant, Pool},
};

/// The longest document: two names of 256 bytes and a machine of sixteen components take under 1 KiB.
pub const MAX_BORROWED_SEAT: usize = 1 << 10;

const WORD: &str = "borrowed-seat";
const DOMAIN: &[u8] = b"phi.borrowed-seat.v1";
/// The number in field 0 of the payload.
const KIND: u64 = 10;

/// A seat that was taken along. It exists only as the result of [`BorrowedSeat::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BorrowedSeat {
    pub(crate) seat: Seat,
}

/// What the document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) pool: Pool,
    pub(crate) occupant: Occupant,
    pub(crate) machine: Machine,
    pub(crate) fence: u64,
    pub(crate) from: UnixTime,
    pub(crate) until: UnixTime,
}

/// The machine that takes a seat along: its components, of which some must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    required: u64,
    components: Vec<ComponentDigest>,
}

impl From<&Binding> for Machine {
    fn from(binding: &Binding) -> Self {
        Self {
            required: u64::try_from(binding.required()).unwrap_or(u64::MAX),
            components: binding.components().to_vec(),
        }
    }
}

impl Machine {
    fn is(&self, machine: &Fingerprint) -> bool {
        let present =
            |digest: &&ComponentDigest| machine.components().any(|(_, found)| found == **digest);
        let matched = self.components.iter().filter(present).count();
        self.required > 0 && u64::try_from(matched).is_ok_and(|matched| matched >= self.required)
    }

    /// The same machine has the same bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        encode(&self.value())
    }

    fn value(&self) -> Value {
        Value::Array(vec![
            self.required.into(),
            Value::Bytes(self.components.concat()),
        ])
    }
}

/// Why a borrowed seat is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BorrowError {
    /// It is not a document of this kind, or is cut short or too long.
    Malformed,
    /// No key of the site's has this id.
    UnknownKey(KeyId),
    /// The signature does not hold.
    Signature,
    /// It is of another license.
    OtherLicense(LicenseId),
    /// The license does not have the limit, or not any more.
    NotGranted,
    /// It is another machine's.
    OtherMachine,
    /// The machine's clock was set back.
    ClockRolledBack,
    /// It has not begun.
    NotYet(UnixTime),
    /// It is over.
    Ended(UnixTime),
}

impl BorrowError {
    /// The stable code of the error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "borrowed-malformed",
            Self::UnknownKey(_) => "borrowed-unknown-key",
            Self::Signature => "borrowed-signature",
            Self::OtherLicense(_) => "borrowed-other-license",
            Self::NotGranted => "borrowed-not-granted",
            Self::OtherMachine => "borrowed-other-machine",
            Self::ClockRolledBack => "borrowed-clock-rolled-back",
            Self::NotYet(_) => "borrowed-not-yet",
            Self::Ended(_) => "borrowed-ended",
        }
    }
}

impl fmt::Display for BorrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a borrowed seat"),
            Self::UnknownKey(key) => write!(
                f,
                "the borrowed seat is signed by {key}, no key of the site"
            ),
            Self::Signature => f.write_str("the signature of the borrowed seat does not hold"),
            Self::OtherLicense(license) => write!(f, "the borrowed seat is of license {license}"),
            Self::NotGranted => {
                f.write_str("the license does not have the limit of the borrowed seat")
            }
            Self::OtherMachine => f.write_str("the seat was borrowed for another machine"),
            Self::ClockRolledBack => f.write_str("the clock of this machine was set back"),
            Self::NotYet(from) => write!(f, "the seat is borrowed from {from} on"),
            Self::Ended(until) => write!(f, "the seat was borrowed until {until}"),
        }
    }
}

impl Error for BorrowError {}

impl BorrowedSeat {
    /// Reads a document that one of the site's keys has signed. The keys are the application's to
    /// pin: a document brings none.
    ///
    /// # Errors
    /// [`BorrowError::Malformed`], [`BorrowError::UnknownKey`] or [`BorrowError::Signature`].
    pub fn open(document: &[u8], keys: &[PublicKey]) -> Result<Self, BorrowError> {
        if document.len() > MAX_BORROWED_SEAT {
            return Err(BorrowError::Malformed);
        }
        let (payload, key_id, signature) = split(document).ok_or(BorrowError::Malformed)?;
        let key = keys.iter().find(|key| key.id() == key_id);
        let key = key.ok_or(BorrowError::UnknownKey(key_id))?;
        if !key.verify(&message(payload), &signature) {
            return Err(BorrowError::Signature);
        }
        let seat = Seat::decode(payload).ok_or(BorrowError::Malformed)?;
        Ok(Self { seat })
    }

    /// Whether this machine has the seat at this time. Ask before each thing that only a holder may
    /// do, with the license that was verified for it and the trust state with which it was.
    ///
    /// # Errors
    /// Why it does not, or not any more.
    pub fn check(
        &self,
        license: &License,
        machine: &Fingerprint,
        trust: &TrustState,
        now: UnixTime,
    ) -> Result<(), BorrowError> {
        let seat = &self.seat;
        if license.claims().license_id != seat.pool.license {
            return Err(BorrowError::OtherLicense(seat.pool.license));
        }
        let limit = license.limit(seat.pool.limit);
        if !limit.is_some_and(|limit| limit.covers(1)) {
            return Err(BorrowError::NotGranted);
        }
        if !seat.machine.is(machine) {
            return Err(BorrowError::OtherMachine);
        }
        if matches!(trust.clock(now), ClockVerdict::RolledBack { .. }) {
            return Err(BorrowError::ClockRolledBack);
        }
        // The latest that was ever shown or signed: a clock that is set back by a little gains
        // nothing of the seat's time.
        let floors = [trust.observed_floor(), trust.steady_floor()];
        let now = floors
            .into_iter()
            .flatten()
            .fold(trust.effective_time(now), UnixTime::max);
        if now < seat.from.minus(NOT_BEFORE_LEEWAY) {
            return Err(BorrowError::NotYet(seat.from));
        }
        if now >= seat.until {
            return Err(BorrowError::Ended(seat.until));
        }
        Ok(())
    }

    /// The limit of which it is a seat.
    pub const fn limit(&self) -> LimitCode {
        self.seat.pool.limit
    }

    /// The license of which it is a seat.
    pub const fn license(&self) -> LicenseId {
        self.seat.pool.license
    }

    /// Who is on it.
    pub const fn occupant(&self) -> &Occupant {
        &self.seat.occupant
    }

    /// The number of the seat, as that of a [`Lease`](crate::Lease).
    pub const fn fence(&self) -> u64 {
        self.seat.fence
    }

    /// When it begins.
    pub const fn from(&self) -> UnixTime {
        self.seat.from
    }

    /// When it ends.
    pub const fn until(&self) -> UnixTime {
        self.seat.until
    }
}

/// What the word of a document begins with.
const TEXT: &str = "phi.borrowed-seat.";

/// The document of a borrowed seat as one word: `phi.borrowed-seat.` and its bytes in base64url.
pub fn borrowed_to_text(document: &[u8]) -> String {
    let mut text = String::from(TEXT);
    URL_SAFE_NO_PAD.encode_string(document, &mut text);
    text
}

/// The bytes of such a word. Whether it is a borrowed seat is for [`BorrowedSeat::open`] to say.
///
/// # Errors
/// [`BorrowError::Malformed`] if the text is no such word.
pub fn borrowed_from_text(text: &str) -> Result<Vec<u8>, BorrowError> {
    let encoded = text.trim().strip_prefix(TEXT);
    let encoded = encoded.filter(|encoded| encoded.len() <= 2 * MAX_BORROWED_SEAT);
    let bytes = encoded.and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok());
    bytes.ok_or(BorrowError::Malformed)
}

impl Seat {
    pub(crate) fn sealed(&self, key: &SiteKey) -> Vec<u8> {
        let payload = self.encode();
        let signature = key.sign(&message(&payload));
        sealed(payload, key.public().id(), &signature)
    }

    fn encode(&self) -> Vec<u8> {
        let entries: [Value; 9] = [
            KIND.into(),
            self.pool.license.as_bytes()[..].into(),
            self.pool.limit.get().into(),
            self.occupant.holder.as_str().into(),
            self.occupant.session.as_str().into(),
            self.machine.value(),
            self.fence.into(),
            self.from.seconds().into(),
            self.until.seconds().into(),
        ];
        let entries = (0_u64..)
            .zip(entries)
            .map(|(key, value)| (key.into(), value));
        encode(&Value::Map(entries.collect()))
    }

    /// Whatever is not the one encoding of a seat is none.
    fn decode(payload: &[u8]) -> Option<Self> {
        let value: Value = ciborium::from_reader(payload).ok()?;
        let mut fields = value.into_map().ok()?.into_iter().map(|(_, value)| value);
        let mut next = || fields.next();
        let uint = |value: Value| u64::try_from(value.into_integer().ok()?).ok();
        let time = |value: Value| UnixTime::new(uint(value)?);
        if uint(next()?)? != KIND {
            return None;
        }
        let license = next()?.into_bytes().ok()?;
        let limit = LimitCode::checked(uint(next()?)?)?;
        let holder = next()?.into_text().ok()?;
        let session = next()?.into_text().ok()?;
        let [required, digests] = <[Value; 2]>::try_from(next()?.into_array().ok()?).ok()?;
        let digests = digests.into_bytes().ok()?;
        let (components, []) = digests.as_chunks() else {
            return None;
        };
        let seat = Self {
            pool: Pool {
                license: LicenseId::from_bytes(license.try_into().ok()?),
                limit,
            },
            occupant: Occupant { holder, session },
            machine: Machine {
                required: uint(required)?,
                components: components.to_vec(),
            },
            fence: uint(next()?)?,
            from: time(next()?)?,
            until: time(next()?)?,
        };
        let names = [&seat.occupant.holder, &seat.occupant.session];
        let fits = names.iter().all(|name| name.len() <= MAX_NAME);
        (fits && seat.encode() == payload).then_some(seat)
    }
}

/// The payload, and who signed it. Of the envelope there is one encoding: it is written again and
/// compared.
fn split(document: &[u8]) -> Option<(&[u8], KeyId, [u8; 64])> {
    /// Before the signature of 64 bytes: the heads of a list of one, of its pair, and the key id.
    const TAIL: usize = 3 + KeyId::LENGTH + 2 + 64;
    let body = document.len().checked_sub(TAIL)?;
    let (front, tail) = document.split_at(body);
    let key_id = KeyId::from_bytes(tail[3..3 + KeyId::LENGTH].try_into().ok()?);
    let signature: [u8; 64] = tail[TAIL - 64..].try_into().ok()?;
    let rest = front
        .strip_prefix(&[0x83, 0x6d])?
        .strip_prefix(WORD.as_bytes())?;
    // The head of a byte string has one to three bytes here.
    let payload = (1..=3)
        .filter_map(|head| rest.get(head..))
        .find(|payload| sealed(payload.to_vec(), key_id, &signature) == document);
    Some((payload?, key_id, signature))
}

fn sealed(payload: Vec<u8>, key: KeyId, signature: &[u8; 64]) -> Vec<u8> {
    let entry = Value::Array(vec![key.as_bytes()[..].into(), signature[..].into()]);
    encode(&Value::Array(vec![
        WORD.into(),
        Value::Bytes(payload),
        Value::Array(vec![entry]),
    ]))
}

fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing into memory cannot fail");
    bytes
}

/// What is signed: PASETO's pre-authentication encoding of the domain and the payload.
fn message(payload: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes();
    [
        &2_u64.to_le_bytes()[..],
        &length(DOMAIN),
        DOMAIN,
        &length(payload),
        payload,
    ]
    .concat()
}
