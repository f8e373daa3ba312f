//! The states of a license and the one table of what leads from each to which.
//!
//! The table is the whole of it: the ledger refuses what it does not list, the documentation
//! prints it, and the tests walk it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a license is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// Written down and not in force: no tokens are minted of it.
    Draft,
    /// In force.
    Active,
    /// Past its expiry and still working, for the seconds of its grace.
    Grace,
    /// Taken out of force for a while: its tokens are on the status list.
    Suspended,
    /// Past its expiry and its grace.
    Expired,
    /// Taken back, until somebody says that it should not have been.
    Revoked,
    /// Replaced by another license, which took over what it granted.
    Superseded,
}

/// What happens to a license.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Act {
    /// It is written down, to be issued later.
    Draft,
    /// It comes into force.
    Issue,
    /// It comes into force as a trial.
    StartTrial,
    /// What it grants changes: an upgrade, a downgrade, an add-on, another amount.
    Amend,
    /// It expires later than it did.
    Renew,
    /// It is taken out of force for a while.
    Suspend,
    /// It is in force again.
    Reinstate,
    /// A trial becomes an ordinary license.
    ConvertTrial,
    /// Another customer's license takes its place.
    Transfer,
    /// It is bound to another machine, or to none.
    Rebind,
    /// A change that waits for its time is called off.
    Withdraw,
    /// It is taken back.
    Revoke,
    /// Its revocation is taken back.
    Unrevoke,
    /// Its time is up and its grace begins: nobody does it, the time does.
    Lapse,
    /// Its time and its grace are up: nobody does it, the time does.
    Expire,
}

/// One line of the table: in this state the act leads to that state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before; `None` is a license that is not there yet.
    pub from: Option<State>,
    /// What happens.
    pub act: Act,
    /// The state after, at that moment.
    pub to: State,
}

const fn begins(act: Act, to: State) -> Transition {
    let from = None;
    Transition { from, act, to }
}

const fn leads(from: State, act: Act, to: State) -> Transition {
    let from = Some(from);
    Transition { from, act, to }
}

/// Every transition there is.
pub const TRANSITIONS: &[Transition] = &[
    begins(Act::Draft, State::Draft),
    begins(Act::Issue, State::Active),
    begins(Act::StartTrial, State::Active),
    leads(State::Draft, Act::Issue, State::Active),
    leads(State::Draft, Act::Amend, State::Draft),
    leads(State::Draft, Act::Rebind, State::Draft),
    leads(State::Draft, Act::Withdraw, State::Draft),
    leads(State::Draft, Act::Revoke, State::Revoked),
    leads(State::Active, Act::Amend, State::Active),
    leads(State::Active, Act::Renew, State::Active),
    leads(State::Active, Act::Suspend, State::Suspended),
    leads(State::Active, Act::ConvertTrial, State::Active),
    leads(State::Active, Act::Transfer, State::Superseded),
    leads(State::Active, Act::Rebind, State::Active),
    leads(State::Active, Act::Withdraw, State::Active),
    leads(State::Active, Act::Revoke, State::Revoked),
    leads(State::Active, Act::Lapse, State::Grace),
    leads(State::Active, Act::Expire, State::Expired),
    leads(State::Grace, Act::Amend, State::Grace),
    leads(State::Grace, Act::Renew, State::Active),
    leads(State::Grace, Act::Suspend, State::Suspended),
    leads(State::Grace, Act::ConvertTrial, State::Active),
    leads(State::Grace, Act::Rebind, State::Grace),
    leads(State::Grace, Act::Withdraw, State::Grace),
    leads(State::Grace, Act::Revoke, State::Revoked),
    leads(State::Grace, Act::Expire, State::Expired),
    leads(State::Suspended, Act::Amend, State::Suspended),
    leads(State::Suspended, Act::Reinstate, State::Active),
    leads(State::Suspended, Act::Withdraw, State::Suspended),
    leads(State::Suspended, Act::Revoke, State::Revoked),
    leads(State::Expired, Act::Amend, State::Expired),
    leads(State::Expired, Act::Renew, State::Active),
    leads(State::Expired, Act::ConvertTrial, State::Active),
    leads(State::Expired, Act::Withdraw, State::Expired),
    leads(State::Expired, Act::Revoke, State::Revoked),
    leads(State::Revoked, Act::Unrevoke, State::Active),
];

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Draft,
        Self::Active,
        Self::Grace,
        Self::Suspended,
        Self::Expired,
        Self::Revoked,
        Self::Superseded,
    ];

    /// The state's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
        }
    }

    /// The state with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state to which the act leads, if it is allowed.
    pub fn after(self, act: Act) -> Option<Self> {
        let mut rules = TRANSITIONS.iter();
        let rule = rules.find(|rule| rule.from == Some(self) && rule.act == act);
        rule.map(|rule| rule.to)
    }

    /// What somebody may do in this state; what only time does is not among it.
    pub fn allows(self) -> impl Iterator<Item = Act> {
        let rules = TRANSITIONS.iter();
        let here = rules.filter(move |rule| rule.from == Some(self) && rule.act.is_somebodys());
        here.map(|rule| rule.act)
    }

    /// Whether nothing that waits can ever find the license in another state: at most its
    /// revocation is taken back, and what waited went with it.
    pub(super) fn is_last(self) -> bool {
        self.allows().all(|act| act == Act::Unrevoke)
    }

    /// Whether the license grants anything in this state.
    pub const fn entitles(self) -> bool {
        matches!(self, Self::Active | Self::Grace)
    }
}

impl Act {
    /// Every act, in the order of a life.
    pub const ALL: [Self; 15] = [
        Self::Draft,
        Self::Issue,
        Self::StartTrial,
        Self::Amend,
        Self::Renew,
        Self::Suspend,
        Self::Reinstate,
        Self::ConvertTrial,
        Self::Transfer,
        Self::Rebind,
        Self::Withdraw,
        Self::Revoke,
        Self::Unrevoke,
        Self::Lapse,
        Self::Expire,
    ];

    /// The act's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Issue => "issue",
            Self::StartTrial => "start-trial",
            Self::Amend => "amend",
            Self::Renew => "renew",
            Self::Suspend => "suspend",
            Self::Reinstate => "reinstate",
            Self::ConvertTrial => "convert-trial",
            Self::Transfer => "transfer",
            Self::Rebind => "rebind",
            Self::Withdraw => "withdraw",
            Self::Revoke => "revoke",
            Self::Unrevoke => "unrevoke",
            Self::Lapse => "lapse",
            Self::Expire => "expire",
        }
    }

    /// Whether somebody does it; the others are done by time alone.
    pub const fn is_somebodys(self) -> bool {
        !matches!(self, Self::Lapse | Self::Expire)
    }

    /// Whether it may be recorded ahead, to take effect at a later time.
    pub const fn may_wait(self) -> bool {
        matches!(self, Self::Amend | Self::Suspend | Self::Reinstate)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_state_has_two_ways_for_one_act() {
        let ways: BTreeSet<_> = TRANSITIONS
            .iter()
            .map(|rule| (rule.from, rule.act))
            .collect();
        assert_eq!(ways.len(), TRANSITIONS.len());
    }

    #[test]
    fn every_state_is_reached_and_only_two_are_last() {
        let reached: BTreeSet<_> = TRANSITIONS.iter().map(|rule| rule.to).collect();
        assert_eq!(reached, BTreeSet::from(State::ALL));
        let last = State::ALL.into_iter().filter(|state| state.is_last());
        assert_eq!(
            last.collect::<Vec<_>>(),
            [State::Revoked, State::Superseded]
        );
        assert_eq!(State::Superseded.allows().next(), None);
    }

    #[test]
    fn every_act_and_state_has_its_own_word() {
        for act in Act::ALL {
            assert!(TRANSITIONS.iter().any(|rule| rule.act == act), "{act}");
        }
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
        let words: BTreeSet<_> = Act::ALL.iter().map(|act| act.name()).collect();
        assert_eq!(words.len(), Act::ALL.len());
    }

    #[test]
    fn only_time_lapses_and_expires() {
        for state in State::ALL {
            assert!(state.allows().all(Act::is_somebodys), "{state}");
        }
    }
}
