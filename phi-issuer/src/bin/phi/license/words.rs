//! Changes of a license in words.

use std::fmt::Display;

use phi_issuer::{Act, Amendment, Change};
use phi_verify::UnixTime;

use phi_issuer::when::Length;

/// What an act is called when it is done.
pub(crate) const fn done(act: Act) -> &'static str {
    match act {
        Act::Draft => "drafted",
        Act::Issue => "issued",
        Act::StartTrial => "trial started",
        Act::Amend => "amended",
        Act::Renew => "renewed",
        Act::Suspend => "suspended",
        Act::Reinstate => "reinstated",
        Act::ConvertTrial => "trial converted",
        Act::Transfer => "transferred",
        Act::Rebind => "rebound",
        Act::Withdraw => "withdrawn",
        Act::Revoke => "revoked",
        Act::Unrevoke => "unrevoked",
        Act::Lapse => "lapsed",
        Act::Expire => "expired",
        _ => "changed",
    }
}

/// What is particular about a change; empty if its act says all.
pub(crate) fn detail(change: &Change) -> String {
    match change {
        Change::Amend { amendment, .. } => amended(amendment),
        Change::Renew { expires } => until(*expires),
        Change::Suspend { voids } if !voids.is_empty() => {
            let voids: Vec<_> = voids.iter().map(u64::to_string).collect();
            format!("voids the reinstatement of revision {}", voids.join(", "))
        }
        Change::ConvertTrial {
            expires, amendment, ..
        } if amendment.is_empty() => until(*expires),
        Change::ConvertTrial {
            expires, amendment, ..
        } => format!("{}, {}", until(*expires), amended(amendment)),
        Change::Transfer { successor } => format!("to license {successor}"),
        Change::Rebind { machine } => match machine {
            Some(_) => "to a machine".into(),
            None => "to no machine".into(),
        },
        Change::Withdraw { withdrawn } => format!("the change of revision {withdrawn}"),
        _ => String::new(),
    }
}

fn until(expires: Option<UnixTime>) -> String {
    match expires {
        Some(expires) => format!("until {expires}"),
        None => "without an end".into(),
    }
}

/// What an amendment changes, one after the other.
fn amended(amendment: &Amendment) -> String {
    let mut parts = Vec::new();
    parts.extend(amendment.plan.iter().map(|plan| format!("plan {plan}")));
    parts.extend(named("add-on", &amendment.add));
    parts.extend(named("no add-on", &amendment.remove));
    parts.extend(named("flag", &amendment.flags));
    parts.extend(named("without", &amendment.without));
    for (name, amount) in amendment.quotas.iter().chain(&amendment.limits) {
        parts.push(format!("{name} {amount}"));
    }
    parts.extend(named("reset", &amendment.reset));
    parts.extend(
        amendment
            .grace
            .map(|grace| format!("grace {}", Length(grace))),
    );
    parts.extend(amendment.max_status_age.map(|age| match age {
        0 => "status of any age".to_owned(),
        age => format!("status age {}", Length(age)),
    }));
    parts.join(", ")
}

fn named(word: &str, names: impl IntoIterator<Item = impl Display>) -> Vec<String> {
    names
        .into_iter()
        .map(|name| format!("{word} {name}"))
        .collect()
}
