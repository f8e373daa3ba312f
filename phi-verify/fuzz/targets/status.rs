//! A status document, revocation list included, over anchor and keyset, and over a full list as well: as bytes, and as a payload that the right key has signed. Before that as a payload that nobody signed: what is read is written again as the same list, and answers without a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use phi_verify::{
    DocumentKind, Status, StatusLists, TrustState,
    dangerous_inspect::{self, Document},
};
use phi_verify_fuzz::{import_both_ways, seal, snakeoil};

static BEFORE: LazyLock<TrustState> = LazyLock::new(snakeoil::trust);

static LIST: LazyLock<Status> = LazyLock::new(snakeoil::status);

static WITH_LIST: LazyLock<TrustState> = LazyLock::new(|| {
    let mut trust = BEFORE.clone();
    let list = seal(DocumentKind::Status, &LIST.unsigned());
    trust.import(&list).expect("the list is signed");
    trust
});

static CLAIMS: LazyLock<phi_verify::Claims> = LazyLock::new(snakeoil::claims);

fuzz_target!(|bytes: &[u8]| {
    if let Some(status) = read(bytes) {
        assert_eq!(read(status.unsigned().payload()).as_ref(), Some(&status));
        let pairs = [(&status, None), (&*LIST, Some(&status))];
        for (base, delta) in pairs {
            if let Ok(lists) = StatusLists::new(base, delta) {
                let key_id = base.covered_keys.first().copied();
                let key_id = key_id.unwrap_or(LIST.covered_keys[0]);
                let _ = lists.verdict(&CLAIMS, key_id);
                let _ = lists.missing(&LIST, WITH_LIST.keyset()).count();
            }
        }
    }
    import_both_ways(DocumentKind::Status, bytes, &BEFORE);
    import_both_ways(DocumentKind::Status, bytes, &WITH_LIST);
});

/// The list in a payload, whoever signed it.
fn read(payload: &[u8]) -> Option<Status> {
    match dangerous_inspect::payload(DocumentKind::Status, payload) {
        Ok(Document::Status(status)) => Some(status),
        _ => None,
    }
}
