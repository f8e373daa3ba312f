//! Verified licenses, of which a gate is made.

use std::collections::BTreeMap;

use phi_tests::snakeoil::{self, NOW, PRODUCT, Seed};
use phi_verify::{
    Allowance, Claims, License, LimitCode, Period, Quota, QuotaCode, RevocationPolicy, Terms,
    Verifier,
};

pub(crate) const CALLS: QuotaCode = QuotaCode::new(0);
pub(crate) const PROJECTS: QuotaCode = QuotaCode::new(1);
pub(crate) const SEATS: LimitCode = LimitCode::new(0);

pub(crate) const fn limited(limit: u64, period: Period) -> Quota {
    Quota {
        allowance: Allowance::Limited(limit),
        period,
    }
}

/// Claims with these many calls, and seats.
pub(crate) fn claims(calls: Quota, seats: u64) -> Claims {
    Claims {
        terms: Terms {
            flags: snakeoil::terms().flags,
            quotas: BTreeMap::from([(CALLS, calls), (PROJECTS, limited(10, Period::Lifetime))]),
            limits: BTreeMap::from([(SEATS, Allowance::Limited(seats))]),
        },
        ..snakeoil::claims()
    }
}

pub(crate) fn verify(claims: &Claims) -> License {
    let token = Seed::License.mint(claims);
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    verifier.verify(&token, NOW).unwrap()
}
