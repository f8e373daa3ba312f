//! The reasons that rules give.

use core::fmt;

/// Why something is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No reason is given.
    #[default]
    Unspecified = 0,
    /// A signing key was stolen or lost.
    KeyCompromise = 1,
    /// The customer did not pay.
    Nonpayment = 2,
    /// The sale was undone.
    Refund = 3,
    /// The customer broke the agreement.
    Breach = 4,
    /// Another license took its place.
    Superseded = 5,
    /// It should not have been issued.
    IssuedInError = 6,
    /// It is out of force for a while: a later list may not have it any more.
    Suspended = 7,
}

impl Reason {
    /// Every reason, in the order of its wire number.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::Nonpayment,
        Self::Refund,
        Self::Breach,
        Self::Superseded,
        Self::IssuedInError,
        Self::Suspended,
    ];

    /// The reason's word in commands and in print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::Nonpayment => "nonpayment",
            Self::Refund => "refund",
            Self::Breach => "breach",
            Self::Superseded => "superseded",
            Self::IssuedInError => "issued-in-error",
            Self::Suspended => "suspended",
        }
    }

    /// The reason with this word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    pub(super) const fn number(self) -> u64 {
        self as u64
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
