//! Handing a license over: another customer's license takes the place of it.

use phi_verify::{LicenseId, Reason};

use super::{
    Change, LicenseChange, LicenseRecord, NewLicense, Times, find, issue::begin, issue::issuing,
    order::changed,
};
use crate::{Context, Issuer, Revocation, Subject, error::Error, event::Event, store::Writer};

impl Issuer {
    /// Hands a license over to another customer: a new license takes the place of the old one,
    /// whose tokens the next status list takes back. The old license and the new one.
    ///
    /// # Errors
    /// As [`Issuer::change_license`], and [`Error::NotFound`] for an unknown customer.
    pub fn transfer_license(
        &mut self,
        license: LicenseId,
        base: u64,
        customer: &str,
        context: &Context,
    ) -> Result<(LicenseRecord, LicenseRecord), Error> {
        self.store.write(context, |writer| {
            let request = ("transfer", license, customer);
            if let Some(earlier) = writer.repeated(&request)? {
                let new = earlier.license(writer)?;
                return Ok((find(&writer.query(), license)?, new));
            }
            writer.answers(&request);
            transfer(writer, license, base, customer)
        })
    }

    /// The old license and the new one after a transfer that is not made; the new one's id is
    /// not the one that it will have.
    ///
    /// # Errors
    /// As [`Issuer::transfer_license`].
    pub fn preview_transfer(
        &mut self,
        license: LicenseId,
        base: u64,
        customer: &str,
        context: &Context,
    ) -> Result<(LicenseRecord, LicenseRecord), Error> {
        self.store
            .rehearse(context, |writer| transfer(writer, license, base, customer))
    }
}

fn transfer(
    writer: &mut Writer<'_>,
    license: LicenseId,
    base: u64,
    customer: &str,
) -> Result<(LicenseRecord, LicenseRecord), Error> {
    let now = writer.now();
    let old = find(&writer.query(), license)?.at(now);
    if old.customer == customer {
        return Err(Error::Invalid {
            what: "a transfer",
            problem: format!("is to another customer, and {customer} has the license"),
        });
    }
    let event = |successor| LicenseChange {
        license,
        revision: base.saturating_add(1),
        effective: None,
        change: Change::Transfer { successor },
    };
    // Asked before anything is recorded: a license that cannot go keeps its customer.
    changed(&writer.query(), &old, &event(license), now)?;
    let mut order = NewLicense {
        customer: customer.into(),
        ..old.order.clone()
    };
    order.not_before = order.not_before.filter(|begins| *begins > now);
    let new = begin(writer, issuing(&order), order, Some(license), Times::Ahead)?;
    writer.append(&Event::LicenseChanged(event(new.id)))?;
    writer.append(&Event::Revoked(Revocation {
        subject: Subject::License(license),
        issued_before: None,
        reason: Reason::Superseded,
        since: now,
        cut: None,
    }))?;
    Ok((find(&writer.query(), license)?, new))
}
