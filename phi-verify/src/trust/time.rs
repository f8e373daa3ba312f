//! The times of a trust state: what trusted signatures prove to be past, and what the machine's
//! clock has shown. The rules for a clock are those of `clock.rs`.

use super::TrustState;
use crate::{
    ClockReset, ClockVerdict, InstallationId, License, UnixTime,
    clock::{SIGNED_LEAD, UsedReset},
    document::{DocumentKind, UntrustedDocument, same_issuer},
    error::Error,
    key::KeyId,
    keyset::KeyState,
};

impl TrustState {
    /// When this build of the application was made: no time before it is ever believed. It is
    /// part of the binary, and so is not stored with the state.
    #[must_use]
    pub fn built_at(mut self, built: UnixTime) -> Self {
        self.clock.built = Some(built);
        self
    }

    /// Gives the installation its id, if it has none yet. A clock reset is issued for one
    /// installation.
    #[must_use]
    pub fn with_installation(mut self, id: InstallationId) -> Self {
        self.clock.installation.get_or_insert(id);
        self
    }

    /// The id of this installation.
    pub const fn installation(&self) -> Option<InstallationId> {
        self.clock.installation
    }

    /// Takes notice of the time that the machine's clock shows: at the start, and about once an
    /// hour. What changes is to be stored with the state.
    pub fn observe(&mut self, now: UnixTime) -> ClockVerdict {
        let (verdict, seen) = self.clock.seen.after(now, self.signed_floor());
        self.clock.seen = seen;
        verdict
    }

    /// What the clock is worth, without taking notice of it.
    pub fn clock(&self, now: UnixTime) -> ClockVerdict {
        self.clock.seen.after(now, self.signed_floor()).0
    }

    /// The time by which licenses are judged: the clock's, or the [signed
    /// floor](Self::signed_floor) if the clock is behind that.
    pub fn effective_time(&self, now: UnixTime) -> UnixTime {
        now.max(self.signed_floor())
    }

    /// The newest time that a trusted signature, or the build of the application, proves to be
    /// past.
    ///
    /// The times of a status list and of a license count up to [`SIGNED_LEAD`] past the newest
    /// root and keyset: a thief of their keys must not be able to move the clock at will.
    pub fn signed_floor(&self) -> UnixTime {
        let issued = self.issued_floor();
        let status = self.status().map(|status| status.this_update);
        let leading = status.max(self.license_floor());
        let catalogs = self.catalogs.values().map(|held| held.document.issued_at);
        let times = catalogs.chain(self.clock.built);
        times.fold(
            leading.map_or(issued, |time| issued.max(time.min(self.lead()))),
            UnixTime::max,
        )
    }

    /// The latest time that the machine's clock has shown and that is believed.
    pub const fn observed_floor(&self) -> Option<UnixTime> {
        self.clock.seen.observed
    }

    /// What was proved to be past when the clock was first read, and the time for which it has run
    /// since, whatever date it showed: no list and no correction lowers it, and a
    /// [`ClockReset`] names it.
    pub fn steady_floor(&self) -> Option<UnixTime> {
        self.clock.seen.run.map(|run| run.steady)
    }

    /// Lets the time of issue of a verified license raise the signed floor: it was minted by then.
    /// And whatever status list the issuer had then is one that there is, should it be newer than
    /// the one at hand ([`TrustState::newer_list`]). A key that the keyset no longer trusts takes
    /// back what it raised.
    ///
    /// # Errors
    /// [`Error::IssuerMismatch`] for a license of another trust anchor.
    pub fn remember(&mut self, license: &License) -> Result<(), Error> {
        same_issuer(&self.root().issuer, &license.claims().issuer)?;
        let (claims, key_id) = (license.claims(), license.key_id());
        self.raise_license_floor((claims.issued_at, key_id));
        self.raise_known_epoch((claims.mint_epoch, key_id));
        Ok(())
    }

    /// Forgets what the machine's clock has shown, as a clock-reset document allows once.
    ///
    /// # Errors
    /// Why the document is refused: [`Error::InstallationMismatch`], [`Error::ClockResetExpired`],
    /// [`Error::ClockResetUsed`], [`Error::ClockResetOutlived`] and [`Error::ClockResetsTooMany`]
    /// are its own reasons.
    pub fn reset_clock(&mut self, document: &[u8], now: UnixTime) -> Result<ClockReset, Error> {
        let used = self.verified_reset(document)?;
        let reset = used.reset.clone();
        let (signed, lead) = (self.signed_floor(), self.lead());
        self.clock.take(used, now, signed, lead)?;
        Ok(reset)
    }

    /// A clock reset that the status role has signed, whomever it is for.
    pub(super) fn verified_reset(&self, bytes: &[u8]) -> Result<UsedReset, Error> {
        let document = UntrustedDocument::parse(bytes)?;
        let (expected, found) = (DocumentKind::ClockReset, document.kind());
        if expected != found {
            return Err(Error::DocumentKind { expected, found });
        }
        let reset = ClockReset::decode(document.verify(&self.root().status)?)?;
        same_issuer(&self.root().issuer, &reset.issuer)?;
        Ok(UsedReset {
            reset,
            bytes: bytes.into(),
        })
    }

    /// The newest of the documents that are made rarely, under keys that are well kept.
    fn issued_floor(&self) -> UnixTime {
        let keyset = self.keyset().map(|keyset| keyset.issued_at);
        keyset.map_or(self.root().issued_at, |time| {
            time.max(self.root().issued_at)
        })
    }

    /// The latest time that a status list, a license or a clock reset can prove.
    pub(super) fn lead(&self) -> UnixTime {
        self.issued_floor().plus(SIGNED_LEAD)
    }

    fn license_floor(&self) -> Option<UnixTime> {
        let (issued_at, key_id) = self.clock.license?;
        self.trusts(key_id).then_some(issued_at)
    }

    pub(super) fn raise_license_floor(&mut self, offered: (UnixTime, KeyId)) {
        let higher = self.license_floor().is_none_or(|floor| floor < offered.0);
        if higher && self.trusts(offered.1) {
            self.clock.license = Some(offered);
        }
    }

    pub(super) fn trusts(&self, key_id: KeyId) -> bool {
        let Some(entry) = self.keyset().and_then(|keyset| keyset.key(key_id)) else {
            return false;
        };
        matches!(
            entry.state,
            KeyState::Active { .. } | KeyState::Retired { .. }
        )
    }
}
