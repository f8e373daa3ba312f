//! Licenses with many quotas, and one with seats.

use std::collections::BTreeMap;

use phi_tests::snakeoil::{self, NOW, PRODUCT, Seed};
use phi_verify::{
    Allowance, Claims, License, LicenseId, LimitCode, Period, Quota, QuotaCode, RevocationPolicy,
    Terms, Verifier,
};

pub(crate) const SEATS: LimitCode = LimitCode::new(0);
/// Seats of which there are few.
pub(crate) const SCARCE: LimitCode = LimitCode::new(1);
const FEW: u64 = 100;
/// Quotas of one license: a product has a handful.
pub(crate) const QUOTAS: u16 = 20;

/// So many licenses, each with its quotas.
pub(crate) fn many(count: usize, allowance: Allowance, seats: u64) -> Vec<License> {
    let trust = snakeoil::trust();
    let verifier = Verifier::new(&trust, PRODUCT, RevocationPolicy::Lenient);
    let license = |number: usize| {
        let claims = Claims {
            license_id: LicenseId::from_bytes((number as u64 + 1).to_be_bytes()),
            terms: terms(allowance, seats),
            expires: None,
            grace: 0,
            ..snakeoil::claims()
        };
        let token = Seed::License.mint(&claims);
        verifier.verify(&token, NOW).expect("the license is valid")
    };
    (0..count).map(license).collect()
}

/// What each of them allows.
pub(crate) fn terms(allowance: Allowance, seats: u64) -> Terms {
    let quota = Quota {
        allowance,
        period: Period::Lifetime,
    };
    Terms {
        flags: snakeoil::terms().flags,
        quotas: (0..QUOTAS)
            .map(|code| (QuotaCode::new(code), quota))
            .collect(),
        limits: BTreeMap::from([
            (SEATS, Allowance::Limited(seats)),
            (SCARCE, Allowance::Limited(FEW)),
        ]),
    }
}
