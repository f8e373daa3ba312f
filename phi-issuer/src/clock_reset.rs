//! Clock resets: one installation may forget, once, what its clock has shown.
//!
//! What the document says and what an application makes of it is phi-verify's; here it is signed,
//! tried on, and recorded before it is given out.

use phi_verify::{ClockReset, Error as VerifyError, InstallationId, TrustState, UnixTime};

use crate::{
    Context, Issuer,
    error::Error,
    event::{Event, IssuedReset},
    issuer::{random, trust_state},
    keys::Role,
    passphrase::Unlock,
    publish::sealed,
};

/// A reset travels by mail or by courier. One that lay about for longer would be a way to set a
/// clock back that nobody remembers having given out.
pub const LONGEST_RESET: u64 = 90 * 24 * 60 * 60;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetRequest {
    /// The installation, which has read its id to the issuer.
    pub installation: InstallationId,
    /// For how many seconds it can be used.
    pub valid_for: u64,
    /// The time at which the clock begins again, which is over; without it, the next that the
    /// clock shows.
    pub to: Option<UnixTime>,
}

impl ResetRequest {
    fn check(&self, now: UnixTime) -> Result<(), Error> {
        let problem = if self.valid_for == 0 || self.valid_for > LONGEST_RESET {
            let days = LONGEST_RESET / (24 * 60 * 60);
            format!("can be used for a second at least, and for {days} days at most")
        } else if self.to.is_some_and(|to| to > now) {
            "begins at a time that is over: the clock would be behind it at once".into()
        } else {
            return Ok(());
        };
        Err(Error::Invalid {
            what: "a clock reset",
            problem,
        })
    }
}

impl Issuer {
    /// Signs a clock reset with the status role's keys. Before it is recorded it is tried on, as
    /// an installation with everything published would use it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for times that make no sense, [`Error::PublicationBehind`] if the
    /// published documents do not fit together, or if the status key cannot be opened.
    pub fn issue_clock_reset(
        &mut self,
        request: &ResetRequest,
        unlock: &dyn Unlock,
        context: &Context,
    ) -> Result<IssuedReset, Error> {
        request.check(context.now)?;
        let signers = self.signers(Role::Status, unlock)?;
        let (issuer, nonce) = (self.settings.issuer.clone(), random()?);
        self.store.write(context, |writer| {
            signers.still_in_force(&writer.query())?;
            let reset = ClockReset {
                issuer: issuer.clone(),
                installation: request.installation,
                nonce,
                not_after: writer.now().plus(request.valid_for),
                to: request.to,
            };
            let made = IssuedReset {
                installation: reset.installation,
                not_after: reset.not_after,
                to: reset.to,
                document: sealed(&reset.unsigned(), &signers.all())?,
            };
            let trust = trust_state(&writer.query())?;
            try_on(&trust, &made, writer.now()).map_err(Error::NotVerified)?;
            writer.append(&Event::ClockResetIssued(made.clone()))?;
            Ok(made)
        })
    }
}

/// What the installation takes that the reset is for, if it believes this.
pub(crate) fn try_on(
    trust: &TrustState,
    issued: &IssuedReset,
    now: UnixTime,
) -> Result<ClockReset, VerifyError> {
    let mut trust = trust.clone().with_installation(issued.installation);
    trust.reset_clock(&issued.document, now)
}
