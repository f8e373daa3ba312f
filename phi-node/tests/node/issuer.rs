//! What an issuer hands out, as its customers get it.

use phi_tests::snakeoil::{self, Seed};
use phi_verify::{
    Allowance, BundleBuilder, Claims, LicenseId, LimitCode, Period, Quota, QuotaCode, Reason, Rule,
    Status, Subject, TokenId,
};

/// The license of most tests.
pub(crate) const LICENSE: LicenseId = LicenseId::from_bytes(*b"license1");
pub(crate) const OTHER: LicenseId = LicenseId::from_bytes(*b"license2");

/// A license for good, with these many calls in its life and these many seats.
pub(crate) fn claims(license: LicenseId, calls: u64, seats: u64) -> Claims {
    let mut claims = Claims {
        expires: None,
        grace: 0,
        license_id: license,
        token_id: TokenId::from_bytes([license.as_bytes()[7]; 16]),
        ..snakeoil::claims()
    };
    let calls = Quota {
        allowance: Allowance::Limited(calls),
        period: Period::Lifetime,
    };
    claims.terms.quotas.insert(QuotaCode::new(0), calls);
    let seats = Allowance::Limited(seats);
    claims.terms.limits.insert(LimitCode::new(0), seats);
    claims
}

/// The keyset, the catalog and these licenses.
pub(crate) fn bundle(licenses: &[Claims]) -> Vec<u8> {
    let mut bundle = BundleBuilder::new();
    let keyset = Seed::Keyset.sign(&snakeoil::keyset().unsigned());
    let catalog = Seed::Keyset.sign(&snakeoil::catalog().unsigned());
    bundle.document(&keyset).unwrap();
    bundle.document(&catalog).unwrap();
    for claims in licenses {
        bundle.token(&Seed::License.mint(claims), None);
    }
    bundle.build().unwrap()
}

/// A list of this epoch that suspends these licenses, and says that these are in force again.
pub(crate) fn list(epoch: u64, suspended: &[LicenseId], reinstated: &[LicenseId]) -> Vec<u8> {
    let base = snakeoil::status();
    let rule = |license: &LicenseId| Rule {
        subject: Subject::License(*license),
        issued_before: None,
        reason: Reason::Suspended,
        since: base.this_update,
        ends: None,
    };
    let status = Status {
        epoch,
        // Whoever holds the list just before would compare it: these leave out an epoch.
        form: snakeoil::full((epoch > 1).then(|| base.unsigned().payload_hash())),
        this_update: base.this_update.plus(epoch),
        rules: suspended.iter().map(rule).collect(),
        unrevoked: (reinstated.iter().copied()).map(Subject::License).collect(),
        ..base
    };
    Seed::Status.sign(&status.unsigned())
}
