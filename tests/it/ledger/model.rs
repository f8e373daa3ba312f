//! A license as its rules say in words, without a line of phi-issuer: what random sequences are
//! judged by. Times are seconds since the workshop's beginning.

/// Where each act leads from each state; `-` is refused.
const TABLE: &str = "
    act      draft    active      grace      suspended  expired  revoked  superseded
    issue    active   -           -          -          -        -        -
    amend    draft    active      grace      suspended  expired  -        -
    renew    -        active      active     -          active   -        -
    suspend  -        suspended   suspended  -          -        -        -
    reinstate -       -           -          active     -        -        -
    convert  -        active      active     -          active   -        -
    transfer -        superseded  -          -          -        -        -
    rebind   draft    active      grace      -          -        -        -
    withdraw draft    active      grace      suspended  expired  -        -
    revoke   revoked  revoked     revoked    revoked    revoked  -        -
    unrevoke -        -           -          -          -        active   -
";

fn leads(state: &str, act: &str) -> Option<&'static str> {
    let row = |line: &'static str| line.split_whitespace();
    let mut lines = TABLE
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(row);
    let column = lines.next()?.position(|name| name == state)?;
    let mut found = lines.find(|line| line.clone().next() == Some(act))?;
    found.nth(column).filter(|to| *to != "-")
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct License {
    pub(super) revision: u64,
    /// By what somebody did; a license whose time is up stands as active.
    standing: &'static str,
    /// The state in which it was taken back.
    was: &'static str,
    pub(super) customer: usize,
    pub(super) catalog: u64,
    pub(super) trial: bool,
    pub(super) expires: Option<u64>,
    pub(super) grace: u64,
    pub(super) plan: &'static str,
    /// How often the add-on of ten seats is in it.
    pub(super) packs: u64,
    /// The seats that were agreed upon beside plan and add-ons.
    seats: Option<u64>,
    pub(super) machine: Option<usize>,
    pub(super) waiting: Vec<Waiting>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) revision: u64,
    pub(super) effective: u64,
    /// The newest catalog when it was decided.
    catalog: u64,
    ask: Ask,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ask {
    Issue,
    Amend(Amend),
    Renew(Option<u64>),
    Suspend,
    Reinstate,
    Convert(Option<u64>, Amend),
    Rebind(Option<usize>),
    Withdraw(u64),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Amend {
    pub(super) plan: Option<&'static str>,
    pub(super) add: u64,
    pub(super) remove: u64,
    pub(super) seats: Option<Seats>,
    pub(super) grace: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Seats {
    Agreed(u64),
    AsPlanned,
}

/// What a license begins as.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) draft: bool,
    pub(super) trial: bool,
    pub(super) customer: usize,
    pub(super) plan: &'static str,
    pub(super) expires: Option<u64>,
    pub(super) grace: u64,
}

/// A refusal's code.
type Refusal = &'static str;

impl License {
    pub(super) fn begin(now: u64, catalog: u64, start: &Start) -> Result<Self, Refusal> {
        if start.expires.is_some_and(|expires| expires <= now) {
            return Err("input-invalid");
        }
        let license = Self {
            revision: 1,
            standing: if start.draft { "draft" } else { "active" },
            was: "",
            customer: start.customer,
            catalog,
            trial: start.trial,
            expires: start.expires,
            grace: start.grace,
            plan: start.plan,
            packs: 0,
            seats: None,
            machine: None,
            waiting: Vec::new(),
        };
        license.sense()?;
        Ok(license)
    }

    /// The license after a change; it was decided on the revision `base`.
    pub(super) fn change(
        &self,
        now: u64,
        catalog: u64,
        base: u64,
        ask: &Ask,
        effective: Option<u64>,
    ) -> Result<Self, Refusal> {
        if base != self.revision {
            return Err("revision-conflict");
        }
        let mut after = self.at(now);
        let then = self.at(effective.unwrap_or(now));
        let past = |expires: &Option<u64>| expires.is_some_and(|expires| expires <= now);
        match ask {
            Ask::Issue if after.standing == "draft" && past(&then.expires) => {
                return Err("not-allowed");
            }
            Ask::Amend(amend) if *amend == Amend::default() => return Err("input-invalid"),
            Ask::Renew(expires) | Ask::Convert(expires, _) if past(expires) => {
                return Err("input-invalid");
            }
            Ask::Amend(amend) | Ask::Convert(_, amend) if !then.has(amend) => {
                return Err("input-invalid");
            }
            _ => {}
        }
        after.revision += 1;
        match effective {
            None => after.carry_out(now, catalog, after.revision, ask)?,
            Some(effective) => after.wait(now, catalog, ask, effective)?,
        }
        after.sense()?;
        for waiting in &after.waiting {
            let then = after.at(waiting.effective).sense();
            then.map_err(|_| "waiting-misfit")?;
        }
        Ok(after)
    }

    /// The license after it is taken back.
    pub(super) fn revoked(&self, now: u64) -> Result<Self, Refusal> {
        let mut after = self.at(now);
        after.was = after.state_now(now);
        after.standing = leads(after.was, "revoke").ok_or("not-allowed")?;
        after.waiting.clear();
        after.revision += 1;
        Ok(after)
    }

    /// The license after its revocation is taken back, and after the suspension that it found.
    pub(super) fn unrevoked(&self, now: u64) -> Result<Vec<Self>, Refusal> {
        let mut after = self.at(now);
        after.standing = leads(after.state_now(now), "unrevoke").ok_or("not-allowed")?;
        after.revision += 1;
        let mut steps = vec![after.clone()];
        match self.was {
            // What was never issued is not issued by this.
            "draft" => return Err("not-allowed"),
            "suspended" if after.state_now(now) != "expired" => {
                after.standing = "suspended";
                after.revision += 1;
                steps.push(after);
            }
            _ => {}
        }
        Ok(steps)
    }

    /// The license after it is handed over, the same after the revocation that goes with it, and
    /// the one that takes its place.
    pub(super) fn transferred(
        &self,
        now: u64,
        catalog: u64,
        base: u64,
        customer: usize,
    ) -> Result<[Self; 3], Refusal> {
        let mut old = self.at(now);
        if old.customer == customer {
            return Err("input-invalid");
        }
        if base != old.revision {
            return Err("revision-conflict");
        }
        old.standing = leads(old.state_now(now), "transfer").ok_or("transition-refused")?;
        old.waiting.clear();
        old.revision += 1;
        let new = Self {
            revision: 1,
            standing: "active",
            customer,
            catalog,
            machine: None,
            waiting: Vec::new(),
            ..self.at(now)
        };
        let revoked = Self {
            revision: old.revision + 1,
            ..old.clone()
        };
        Ok([old, revoked, new])
    }

    /// The license at a time that is not before its last change.
    pub(super) fn at(&self, now: u64) -> Self {
        let mut then = self.clone();
        while then
            .waiting
            .first()
            .is_some_and(|first| first.effective <= now)
        {
            let first = then.waiting.remove(0);
            let mut after = then.clone();
            // What is not allowed by then is void.
            if after
                .carry_out(first.effective, first.catalog, first.revision, &first.ask)
                .is_ok()
            {
                then = after;
            }
        }
        then
    }

    pub(super) fn state(&self, now: u64) -> &'static str {
        self.at(now).state_now(now)
    }

    fn state_now(&self, now: u64) -> &'static str {
        match (self.standing, self.expires) {
            ("active", Some(expires)) if now >= expires + self.grace => "expired",
            ("active", Some(expires)) if now >= expires => "grace",
            (standing, _) => standing,
        }
    }

    pub(super) fn seats(&self) -> u64 {
        let planned = match self.plan {
            "team" => 5,
            _ => 50,
        };
        self.seats
            .unwrap_or(planned * self.catalog + 10 * self.packs)
    }

    fn wait(&mut self, now: u64, catalog: u64, ask: &Ask, effective: u64) -> Result<(), Refusal> {
        let act = match ask {
            Ask::Amend(_) => "amend",
            Ask::Suspend => "suspend",
            Ask::Reinstate => "reinstate",
            _ => return Err("not-allowed"),
        };
        if effective <= now {
            return Err("not-allowed");
        }
        // What it finds then is what must allow it.
        leads(self.state(effective), act).ok_or("transition-refused")?;
        self.waiting.push(Waiting {
            revision: self.revision,
            effective,
            catalog,
            ask: ask.clone(),
        });
        // Those of one time take effect in the order in which they were decided.
        self.waiting.sort_by_key(|waiting| waiting.effective);
        Ok(())
    }

    fn carry_out(
        &mut self,
        now: u64,
        catalog: u64,
        revision: u64,
        ask: &Ask,
    ) -> Result<(), Refusal> {
        let act = match ask {
            Ask::Issue => "issue",
            Ask::Amend(_) => "amend",
            Ask::Renew(_) => "renew",
            Ask::Suspend => "suspend",
            Ask::Reinstate => "reinstate",
            Ask::Convert(..) => "convert",
            Ask::Rebind(_) => "rebind",
            Ask::Withdraw(_) => "withdraw",
        };
        let to = leads(self.state_now(now), act).ok_or("transition-refused")?;
        match ask {
            Ask::Issue => self.catalog = self.catalog.max(catalog),
            Ask::Amend(amend) => self.amend(catalog, amend),
            Ask::Renew(expires) => {
                let current = self.expires.ok_or("not-allowed")?;
                if expires.is_some_and(|expires| expires <= current) {
                    return Err("not-allowed");
                }
                self.expires = *expires;
            }
            Ask::Convert(expires, amend) => {
                if !self.trial {
                    return Err("not-allowed");
                }
                self.trial = false;
                self.expires = *expires;
                self.amend(catalog, amend);
            }
            Ask::Rebind(machine) => self.machine = *machine,
            Ask::Withdraw(revision) => {
                let before = self.waiting.len();
                self.waiting.retain(|waiting| waiting.revision != *revision);
                if self.waiting.len() == before {
                    return Err("not-allowed");
                }
            }
            // A reinstatement that was planned before does not know of it, and is void.
            Ask::Suspend => self
                .waiting
                .retain(|waiting| waiting.ask != Ask::Reinstate || waiting.revision > revision),
            Ask::Reinstate => {}
        }
        self.standing = match to {
            "grace" | "expired" => "active",
            to => to,
        };
        Ok(())
    }

    fn amend(&mut self, catalog: u64, amend: &Amend) {
        self.catalog = self.catalog.max(catalog);
        self.plan = amend.plan.unwrap_or(self.plan);
        self.packs = self.packs.saturating_sub(amend.remove) + amend.add;
        match amend.seats {
            Some(Seats::Agreed(seats)) => self.seats = Some(seats),
            Some(Seats::AsPlanned) => self.seats = None,
            None => {}
        }
        self.grace = amend.grace.unwrap_or(self.grace);
    }

    /// Whether what the amendment takes away is there.
    fn has(&self, amend: &Amend) -> bool {
        let own = self.seats.is_some() || amend.seats != Some(Seats::AsPlanned);
        amend.remove <= self.packs && own
    }

    fn sense(&self) -> Result<(), Refusal> {
        match (self.plan, self.expires) {
            (_, None) if self.grace > 0 || self.trial => Err("input-invalid"),
            ("team" | "pro", _) => Ok(()),
            _ => Err("entitlement-invalid"),
        }
    }
}

#[test]
fn the_models_table_is_phi_issuers() {
    use phi_issuer::{Act, State};

    let mut compared = 0;
    for state in State::ALL {
        for act in Act::ALL.into_iter().filter(|act| act.is_somebodys()) {
            let word = if act == Act::ConvertTrial {
                "convert"
            } else {
                act.name()
            };
            let theirs = state.after(act).map(State::name);
            assert_eq!(leads(state.name(), word), theirs, "{state} {act}");
            compared += 1;
        }
    }
    assert_eq!(compared, 7 * 13);
}
