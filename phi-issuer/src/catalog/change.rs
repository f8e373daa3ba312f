//! [`Change`]: one difference between two revisions, as data and as a line for people.

use std::fmt;

use phi_verify::Allowance;
use serde::Serialize;

use super::name::Name;
use super::terms::Kind;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Change {
    /// The product has another title.
    ProductRetitled {
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    },
    /// A new term has a code that was never used.
    Added {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its name.
        name: Name,
        /// Its title.
        title: String,
    },
    /// A term is gone; its code and name are reserved.
    Removed {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its last name.
        name: Name,
    },
    /// A removed term is back under its code.
    Restored {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its name now.
        name: Name,
        /// Its name when it was removed.
        was: Name,
    },
    /// A term has another name and its old code.
    Renamed {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Before.
        from: Name,
        /// After.
        to: Name,
    },
    /// A term has another title.
    Retitled {
        /// Its kind.
        kind: Kind,
        /// Its code.
        code: u16,
        /// Its name.
        name: Name,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// A new plan or add-on; what it grants follows.
    OfferAdded {
        /// Plan or add-on.
        holder: Holder,
    },
    /// A plan or add-on is gone.
    OfferRemoved {
        /// Plan or add-on.
        holder: Holder,
    },
    /// A plan or add-on has another title.
    OfferRetitled {
        /// Plan or add-on.
        holder: Holder,
        /// Before.
        from: Option<String>,
        /// After.
        to: Option<String>,
    },
    /// A plan or add-on grants a flag it did not.
    FlagGranted {
        /// Plan or add-on.
        holder: Holder,
        /// The flag.
        flag: Name,
    },
    /// A plan or add-on no longer grants a flag.
    FlagWithdrawn {
        /// Plan or add-on.
        holder: Holder,
        /// The flag, by its last name.
        flag: Name,
    },
    /// A plan or add-on grants another amount; `None` is not granted at all.
    AmountChanged {
        /// Plan or add-on.
        holder: Holder,
        /// Quota or limit.
        kind: Kind,
        /// Its name.
        name: Name,
        /// Before.
        from: Option<Allowance>,
        /// After.
        to: Option<Allowance>,
    },
}

/// What grants: a plan or an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// The plan of this name.
    Plan(Name),
    /// The add-on of this name.
    Addon(Name),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, subject, name, detail) = match self {
            Self::ProductRetitled { from, to } => (
                '~',
                "product",
                "",
                format!(
                    "title {} -> {}",
                    quoted(from.as_deref()),
                    quoted(to.as_deref())
                ),
            ),
            Self::Added {
                kind,
                code,
                name,
                title,
            } => (
                '+',
                kind.word(),
                name.as_str(),
                format!("code {code}, \"{title}\""),
            ),
            Self::Removed { kind, code, name } => (
                '-',
                kind.word(),
                name.as_str(),
                format!("code {code} stays reserved"),
            ),
            Self::Restored {
                kind,
                code,
                name,
                was,
            } => (
                '+',
                kind.word(),
                name.as_str(),
                format!("code {code} restored, was {was}"),
            ),
            Self::Renamed {
                kind,
                code,
                from,
                to,
            } => (
                '~',
                kind.word(),
                to.as_str(),
                format!("renamed from {from}, code {code}"),
            ),
            Self::Retitled {
                kind,
                name,
                from,
                to,
                ..
            } => (
                '~',
                kind.word(),
                name.as_str(),
                format!("title \"{from}\" -> \"{to}\""),
            ),
            Self::OfferAdded { holder } => ('+', holder.word(), holder.name(), String::new()),
            Self::OfferRemoved { holder } => ('-', holder.word(), holder.name(), String::new()),
            Self::OfferRetitled { holder, from, to } => {
                let detail = format!(
                    "title {} -> {}",
                    quoted(from.as_deref()),
                    quoted(to.as_deref())
                );
                ('~', holder.word(), holder.name(), detail)
            }
            Self::FlagGranted { holder, flag } => {
                ('+', holder.word(), holder.name(), format!("flag {flag}"))
            }
            Self::FlagWithdrawn { holder, flag } => {
                ('-', holder.word(), holder.name(), format!("flag {flag}"))
            }
            Self::AmountChanged {
                holder,
                kind,
                name,
                from,
                to,
            } => {
                let amount = |side: &Option<Allowance>| {
                    side.map_or("none".to_owned(), |amount| amount.to_string())
                };
                let sign = match (from, to) {
                    (None, _) => '+',
                    (_, None) => '-',
                    _ => '~',
                };
                let detail = format!("{kind} {name} {} -> {}", amount(from), amount(to));
                (sign, holder.word(), holder.name(), detail)
            }
        };
        let line = format!("{sign} {subject:<7} {name:<28} {detail}");
        f.write_str(line.trim_end())
    }
}

fn quoted(title: Option<&str>) -> String {
    title.map_or("none".to_owned(), |title| format!("\"{title}\""))
}

impl Holder {
    /// The plan's or add-on's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Plan(name) | Self::Addon(name) => name,
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Addon(_) => "add-on",
        }
    }
}
