//! Seats that machines without a network take along: lent here, signed with the site's key.
//!
//! What the document says, and how it is checked where no node is, is left to `phi_enforce`.

use std::time::Duration;

use phi_enforce::{BorrowedSeat, Occupant, Refusal, SiteKey};
use phi_verify::{Binding, Fingerprint};

use super::{BorrowedAnswer, Denied, Service, allowed, check_name, group_of, of_group};
use crate::{
    clients::{Client, Right},
    sessions::{client_session, session_parts},
    watch::decided,
};

/// A seat that is to be taken along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Borrow {
    /// The license; it may be left out where the client has one.
    pub license: Option<String>,
    /// The name or the number of the concurrency limit.
    pub limit: String,
    /// Who is on it: the client itself, unless said.
    pub holder: Option<String>,
    /// Of which group, for which a policy may keep seats: the client's, unless said.
    pub group: Option<String>,
    /// A name for this use of the seat. The same one on the same machine has the same seat.
    pub session: String,
    /// The machine, as `phi fingerprint` or [`Fingerprint::to_request`] writes it.
    pub machine: String,
    /// How many of its components have to be found again: all, unless said.
    pub required: Option<u32>,
    /// For how long: as long as the policy lets, unless said.
    pub lasts: Option<Duration>,
}

impl Service {
    /// Lends a seat to a machine that has no network.
    ///
    /// # Errors
    /// [`Denied`]: there is none, or seats are not lent, and why.
    pub async fn borrow(&self, client: &Client, asked: &Borrow) -> Result<BorrowedAnswer, Denied> {
        let answer = self.lend(client, asked).await;
        decided("borrow", &answer);
        answer
    }

    async fn lend(&self, client: &Client, asked: &Borrow) -> Result<BorrowedAnswer, Denied> {
        allowed(client, Right::Borrow)?;
        let holder = asked.holder.as_deref().unwrap_or(client.name());
        check_name("holder", holder)?;
        check_name("session", &asked.session)?;
        if !client.may_hold_as(holder) {
            return Err(Denied::Holder(holder.into()));
        }
        let group = group_of(client, asked.group.as_deref())?;
        if asked.lasts.is_some_and(|lasts| lasts.is_zero()) {
            return Err(Denied::invalid("for_s", "is at least a second"));
        }
        let entry = self.entry(client, asked.license.as_deref())?;
        let code = entry.limit(&asked.limit);
        let limit = code.ok_or_else(|| Denied::unknown("limit", &asked.limit))?;
        let machine = machine(&entry.product, asked)?;
        let key = self.site_key()?;
        self.gives_out()?;
        let gate = entry
            .gate()
            .map_err(|code| self.refused(Refusal::Unlicensed(code)))?;
        let occupant = Occupant {
            holder: holder.into(),
            session: client_session(client.name(), &asked.session),
        };
        let lasts = asked.lasts.unwrap_or(Duration::MAX).as_secs();
        let until = self.now().plus(lasts);
        let _waits = self.may_wait()?;
        let lent = of_group(gate, group)
            .borrow_async(limit, &occupant, &machine, until, key)
            .await;
        let document = lent.map_err(|refusal| self.refused(refusal))?;
        let seat = open(&document, key)?;
        Ok(BorrowedAnswer::of(&seat, &entry, document))
    }

    /// Frees a seat that was taken along, before its end. The machine has deleted its document.
    ///
    /// # Errors
    /// [`Denied`]: it is no document of this site, or no seat of this client.
    pub async fn hand_back(&self, client: &Client, document: &[u8]) -> Result<(), Denied> {
        let answer = self.take_back(client, document).await;
        decided("hand-back", &answer);
        answer
    }

    async fn take_back(&self, client: &Client, document: &[u8]) -> Result<(), Denied> {
        allowed(client, Right::Borrow)?;
        let seat = open(document, self.site_key()?)?;
        let occupant = seat.occupant();
        let (by, _) = session_parts(&occupant.session);
        if by != Some(client.name()) {
            return Err(Denied::NoSeat);
        }
        let entry = self.entry(client, Some(&seat.license().to_string()))?;
        let gate = entry
            .gate()
            .map_err(|code| self.refused(Refusal::Unlicensed(code)))?;
        let _waits = self.may_wait()?;
        let back = gate.hand_back_async(&seat).await;
        back.map_err(|refusal| self.refused(refusal))
    }

    fn site_key(&self) -> Result<&SiteKey, Denied> {
        self.site_key.as_deref().ok_or(Denied::NoSiteKey)
    }
}

fn open(document: &[u8], key: &SiteKey) -> Result<BorrowedSeat, Denied> {
    let keys = [key.public().clone()];
    BorrowedSeat::open(document, &keys).map_err(Denied::NotLentHere)
}

/// The machine as the document names it.
fn machine(product: &str, asked: &Borrow) -> Result<Binding, Denied> {
    let wrong = |error: phi_verify::Error| Denied::Machine(Box::new(error));
    let machine = Fingerprint::from_request(asked.machine.trim()).map_err(wrong)?;
    if machine.product() != product {
        // Digests are made for a product: the machine would not be found again.
        return Err(Denied::invalid(
            "machine",
            "is a fingerprint for another product",
        ));
    }
    let all = machine.components().count();
    let required = asked.required.map(usize::try_from);
    let required = required.map_or(all, |required| required.unwrap_or(usize::MAX));
    Binding::new(&machine, required).map_err(wrong)
}
