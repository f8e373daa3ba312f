//! What must hold in an issuer's folder after a kill.

use std::{fs, path::Path};

use phi_issuer::Issuer;
use phi_tests::{
    home::Sql,
    workshop::{PRODUCT, at, passphrase},
};
use phi_verify::{RevocationPolicy, TrustState, UnixTime, Verifier, dangerous_inspect};

/// The ledger is whole and knows every token that was given out, its tables are what its events
/// make them, and there is no half file.
#[track_caller]
pub(crate) fn check(folder: &Path, tokens: &[String]) -> Issuer {
    let mut issuer = Issuer::open(folder).unwrap();
    for token in tokens {
        let (_, claims) = dangerous_inspect::token(token).unwrap();
        assert_eq!(issuer.token(claims.token_id).unwrap().token, *token);
    }
    check_published(folder);
    check_keys(folder);
    let checkpoint = fs::read_to_string(folder.join("published/checkpoint")).ok();
    let verified = issuer.verify_ledger(checkpoint.as_deref(), |_| {});
    assert_eq!(verified.unwrap().held.is_some(), checkpoint.is_some());
    issuer
}

/// A published file is absent, or exactly a document that the ledger has.
fn check_published(folder: &Path) {
    let sql = "SELECT entry FROM events WHERE word = 'document-published'";
    let recorded = Sql::open(folder).bytes(sql);
    for entry in fs::read_dir(folder.join("published")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "phi") {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.is_empty(), "{}", path.display());
            let holds = |entry: &Vec<u8>| entry.windows(bytes.len()).any(|part| part == bytes);
            let known = recorded.iter().any(holds);
            assert!(known, "{} is no recorded document", path.display());
        }
    }
}

/// A key file is absent or whole; the file of a key that was not recorded any more is whole too.
fn check_keys(folder: &Path) {
    for entry in fs::read_dir(folder.join("keys")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "key") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.ends_with('\n'), "{} is cut short", path.display());
        }
    }
}

/// After one publication everything is whole again: applications can import the folder, and all
/// tokens verify.
pub(crate) fn check_mended(folder: &Path, now: UnixTime) {
    let mut issuer = Issuer::open(folder).unwrap();
    issuer.write_published().unwrap();
    check_published(folder);
    let before = Sql::open(folder).tables();
    issuer.rebuild().unwrap();
    assert_eq!(before, Sql::open(folder).tables());
    issuer.publish_keyset(&passphrase(), &at(now)).unwrap();
    issuer.publish_status(&passphrase(), &at(now)).unwrap();
    let trust = imported(&folder.join("published"));
    assert_eq!(trust, issuer.trust_state().unwrap());
    for license in issuer.licenses(None, None).unwrap() {
        for token in issuer.tokens_of(license.id).unwrap() {
            Verifier::new(&trust, PRODUCT, RevocationPolicy::Strict)
                .verify(&token.token, now)
                .unwrap();
        }
    }
}

/// What an application believes that imports the files of the folder.
fn imported(published: &Path) -> TrustState {
    let read = |name: &str| fs::read(published.join(name));
    let mut trust = TrustState::from_anchor(&read("root-1.phi").unwrap()).unwrap();
    let roots = (2..).map_while(|version| read(&format!("root-{version}.phi")).ok());
    let others = ["keyset.phi", "status.phi", "catalog-atlas.phi"].map(|name| read(name).unwrap());
    for document in roots.chain(others) {
        trust.import(&document).unwrap();
    }
    trust
}
