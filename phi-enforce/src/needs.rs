//! What a request needs, and what was admitted for it.
//!
//! A request is asked for in the order in which least is lost: what costs nothing, then seats, then
//! units. Who is asked, and for what, is left to the application.

use std::{borrow::Cow, time::Duration};

use phi_verify::{FlagCode, LimitCode, QuotaCode};

use crate::{
    gate::{Gate, Lease, Taken},
    rate_limit::RateLimit,
    refusal::Refusal,
    rejection::Rejection,
    store::Occupant,
};

/// What a request needs, of one gate.
#[derive(Clone, Debug)]
pub struct Needs {
    gate: Gate,
    flags: Vec<FlagCode>,
    held: Vec<Lease>,
    seats: Vec<Seat>,
    units: Vec<Units>,
}

#[derive(Clone, Debug)]
struct Seat {
    limit: LimitCode,
    occupant: Occupant,
    /// How long to queue for it, if at all.
    most: Option<Duration>,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "units of a quota are its units")]
struct Units {
    quota: QuotaCode,
    name: Cow<'static, str>,
    units: u64,
}

impl Needs {
    /// Needs that the license of this gate is in force, and whatever is added.
    pub fn of(gate: &Gate) -> Self {
        Self {
            gate: gate.clone(),
            flags: Vec::new(),
            held: Vec::new(),
            seats: Vec::new(),
            units: Vec::new(),
        }
    }

    /// And that the feature is on.
    #[must_use]
    pub fn flag(mut self, flag: FlagCode) -> Self {
        self.flags.push(flag);
        self
    }

    /// And so many units of a quota; the response says by this name what is left.
    ///
    /// Of several quotas those that were named first are taken first. What was taken stays so
    /// if a later one is refused, or if the service fails.
    #[must_use]
    pub fn units(
        mut self,
        quota: QuotaCode,
        name: impl Into<Cow<'static, str>>,
        units: u64,
    ) -> Self {
        let name = name.into();
        self.units.push(Units { quota, name, units });
        self
    }

    /// And a seat, until the response has been sent. Requests of one occupant at the same time
    /// share it.
    #[must_use]
    pub fn seat(mut self, limit: LimitCode, occupant: Occupant) -> Self {
        let most = None;
        self.seats.push(Seat {
            limit,
            occupant,
            most,
        });
        self
    }

    /// As [`Needs::seat`], and waits in the queue for it, at most this long.
    #[must_use]
    pub fn seat_within(mut self, limit: LimitCode, occupant: Occupant, most: Duration) -> Self {
        let most = Some(most);
        self.seats.push(Seat {
            limit,
            occupant,
            most,
        });
        self
    }

    /// And that this seat is still held, which a session took before.
    #[must_use]
    pub fn holding(mut self, lease: &Lease) -> Self {
        self.held.push(lease.clone());
        self
    }

    /// Asks for all of it. Dropped, it gives up the seats that it has or waits for.
    pub(crate) async fn ask(self) -> Result<Admission, Rejection> {
        let mut admission = Admission::default();
        self.admit_free()
            .map_err(|refusal| self.rejection(refusal))?;
        for Seat {
            limit,
            occupant,
            most,
        } in &self.seats
        {
            let lease = match most {
                None => self.gate.lease_async(*limit, occupant).await,
                Some(most) => self.gate.lease_within_async(*limit, occupant, *most).await,
            };
            let lease = lease.map_err(|refusal| self.rejection(refusal))?;
            admission.admitted.seats.push((*limit, lease));
        }
        for Units { quota, name, units } in &self.units {
            let taken = self.gate.take_async(*quota, *units).await;
            let limit = self.gate.rate_limit(*quota, name, &taken);
            let taken =
                taken.map_err(|refusal| self.rejection(refusal).with_rate_limit(limit.clone()))?;
            admission.limits.extend(limit);
            admission.admitted.units.push((*quota, taken));
        }
        Ok(admission)
    }

    /// What needs no store.
    fn admit_free(&self) -> Result<(), Refusal> {
        self.gate.in_force()?;
        self.flags
            .iter()
            .try_for_each(|flag| self.gate.check(*flag))?;
        self.held.iter().try_for_each(Lease::check)
    }

    fn rejection(&self, refusal: Refusal) -> Rejection {
        Rejection::new(refusal, self.gate.now().second())
    }
}

/// What is to be asked before a request is served.
#[derive(Clone, Debug)]
pub enum Demand {
    /// This.
    Needs(Box<Needs>),
    /// Nothing, and that is meant: the request is served whatever the license says.
    Nothing,
    /// Nobody said: [`Undeclared`] decides.
    Undeclared,
}

impl From<Needs> for Demand {
    fn from(needs: Needs) -> Self {
        Self::Needs(Box::new(needs))
    }
}

/// What becomes of a request for which nobody said what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undeclared {
    /// It is refused.
    #[default]
    Refuse,
    /// It is served whatever the license says.
    Serve,
}

/// What was admitted for a request: among its extensions, for whoever serves it.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    seats: Vec<(LimitCode, Lease)>,
    units: Vec<(QuotaCode, Taken)>,
}

impl Admitted {
    /// The seat that is held for the request: its fence, and whether it still is. Whoever keeps a
    /// clone of it goes on holding it.
    pub fn seat(&self, limit: LimitCode) -> Option<&Lease> {
        let seats = &self.seats;
        seats
            .iter()
            .find_map(|(of, lease)| (*of == limit).then_some(lease))
    }

    /// The units that were taken, with what is left.
    pub fn taken(&self, quota: QuotaCode) -> Option<Taken> {
        let units = &self.units;
        units
            .iter()
            .find_map(|(of, taken)| (*of == quota).then_some(*taken))
    }

    /// The seats alone, for as long as the response lasts.
    pub(crate) fn into_seats(self) -> Vec<Lease> {
        self.seats.into_iter().map(|(_, lease)| lease).collect()
    }
}

/// What was admitted, and what the response says of it.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    pub(crate) admitted: Admitted,
    pub(crate) limits: Vec<RateLimit>,
}
