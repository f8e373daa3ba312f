//! The demo files of `keys/demo/`: documents and a license that anyone can make again, for the
//! examples in the documentation. They are good for a century, so that no example expires.

use std::collections::BTreeMap;

use phi_verify::{Claims, LicenseId, Status, TokenId, armor};

use crate::{
    log::Log,
    snakeoil::{self, DAY, Seed},
};

/// The perpetual license of `license.txt`.
pub fn claims() -> Claims {
    Claims {
        expires: None,
        grace: 0,
        token_id: TokenId::from_bytes(*b"demo app token 1"),
        license_id: LicenseId::from_bytes(*b"demo-001"),
        ..snakeoil::claims()
    }
}

/// The license token.
pub fn token() -> String {
    Seed::License.mint(&claims())
}

/// A status list that revokes nothing and is fresh for a century.
pub fn status() -> Status {
    let status = snakeoil::status();
    let century = 36_525 * DAY;
    Status {
        next_update: status.this_update.plus(century),
        hard_expiry: status.this_update.plus(2 * century),
        ..status
    }
}

/// The files by their names in `keys/demo/`.
pub fn files() -> BTreeMap<&'static str, Vec<u8>> {
    let mut files = documents();
    files.insert("license.tlog-proof", Log::sample().proof(3, 5).into_bytes());
    files
}

/// The files that stand for themselves; the proof is made of some of them.
pub(crate) fn documents() -> BTreeMap<&'static str, Vec<u8>> {
    BTreeMap::from([
        ("root-1.phi", snakeoil::anchor()),
        (
            "keyset.phi",
            Seed::Keyset.sign(&snakeoil::keyset().unsigned()),
        ),
        ("status.phi", Seed::Status.sign(&status().unsigned())),
        (
            "catalog-demo-app.phi",
            Seed::Keyset.sign(&snakeoil::catalog().unsigned()),
        ),
        ("license.txt", armor::wrap("LICENSE", &token()).into_bytes()),
    ])
}
