//! Bundles by their JSON, which must fit its schema.

use std::fs;

use phi_verify::{Bundle, TrustState};

use crate::run::{Folder, check, refusal};

/// An issuer with a license of two tokens, of which the ledger has a checkpoint.
fn with_tokens() -> (Folder, String) {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --count 2"));
    folder.ok("ledger checkpoint");
    (folder, license)
}

#[test]
fn a_bundle_is_written_shown_verified_and_reported() {
    let (folder, license) = with_tokens();
    let written = folder.json(
        "bundle-write",
        &format!("bundle write --out some.phi --license {license} --proofs"),
    );
    let shown = folder.json("bundle-show", "bundle show some.phi");
    assert_eq!(written, shown);
    let tokens = shown["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);

    let choose = folder.refused("verify --bundle some.phi");
    assert_eq!(choose, (14, "bundle-choice".into()));
    let verified = folder.json("verify-bundle", "verify --bundle some.phi --all");
    assert_eq!(verified["verified"], true);
    let judged = verified["licenses"].as_array().unwrap();
    assert!(judged.iter().all(|one| one["outcome"] == "good"));
    for one in judged {
        let id = one["token"].as_str().unwrap();
        let verify = format!("verify --bundle some.phi --token {id}");
        let verified = folder.json("verify", &verify);
        assert_eq!(verified["license"]["token"], id);
    }
    folder.json(
        "trust-report",
        "trust report --bundle some.phi --anchor published/root-1.phi",
    );
}

#[test]
fn a_license_of_several_products_is_chosen_by_its_product() {
    let (folder, atlas) = with_tokens();
    let text = fs::read_to_string(folder.path("catalog.toml")).unwrap();
    let orion = text.replace("\"atlas\"", "\"orion\"");
    fs::write(folder.path("orion.toml"), orion).unwrap();
    folder.ok("catalog publish orion.toml");
    let issue = "license issue --customer globex --product orion --plan premium --expires +1y";
    let issued = folder.json("license-issue", issue);
    let orion = issued["license"].as_str().unwrap();
    folder.ok(&format!("mint {orion}"));
    folder.ok("bundle write --out both.phi --customer globex");
    let one = folder.json("verify", "verify --bundle both.phi --product orion");
    assert_eq!(one["license"]["license"], orion);
    let one = format!("verify --bundle both.phi --license {orion}");
    assert_eq!(folder.json("verify", &one)["license"]["product"], "orion");
    let all = folder.json("verify-bundle", "verify --bundle both.phi --all");
    assert_eq!(all["licenses"].as_array().unwrap().len(), 3);
    let some = format!("verify --bundle both.phi --all --license {atlas}");
    let some = folder.json("verify-bundle", &some);
    assert_eq!(some["licenses"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_refused_of_a_bundle_is_said_with_its_own_code() {
    let (folder, license) = with_tokens();
    let shown = folder.json("license-show", &format!("license show {license}"));
    let token = shown["tokens"][0]["token"].as_str().unwrap();
    folder.ok(&format!(
        "bundle write --out before.phi --license {license}"
    ));
    folder.ok(&format!("revoke token {token}"));
    folder.ok("status publish");
    folder.ok("bundle write --out news.phi");
    let output = folder.run("--json verify --bundle before.phi --all");
    assert!(output.status.success(), "the old list says nothing yet");
    let (other, _) = with_tokens();
    fs::copy(folder.path("news.phi"), other.path("news.phi")).unwrap();
    assert_eq!(
        other.refused("verify --bundle news.phi"),
        (12, "bundle-foreign".into())
    );
    let later = "--now 2029-01-01 --json verify --bundle before.phi --all --policy lenient";
    let output = folder.plain(later);
    assert_eq!(output.status.code(), Some(10));
    let value = serde_json::from_slice(&output.stdout).unwrap();
    check("verify-bundle", &value);
    assert_eq!(value["verified"], false);
    assert_eq!(value["licenses"][0]["outcome"], "expired");
    let missing = "--now 2026-06-01 --json verify --bundle news.phi --license 2222222222222222";
    assert_eq!(
        refusal(&folder.plain(missing)),
        (14, "bundle-choice".into())
    );
}

/// The license key that signs, as tokens have it.
fn signing_key(folder: &Folder) -> String {
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let signs = |key: &&serde_json::Value| key["role"] == "license" && key["state"] == "active";
    let key = keys.iter().find(signs).unwrap();
    key["key"].as_str().unwrap().to_owned()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Of a key that was cut the tokens before the cut travel with their proofs, and the others not
/// at all.
#[test]
fn a_bundle_has_what_is_worth_something_after_a_cut() {
    let (folder, license) = with_tokens();
    let stolen = signing_key(&folder);
    folder.ok(&format!("mint {license}"));
    folder.ok("key rotate");
    folder.ok("keyset publish");
    folder.ok(&format!(
        "key revoke {stolen} --cut newest --force --reason key-compromise"
    ));
    folder.ok("keyset publish");
    folder.ok("status publish");
    folder.ok(&format!("mint {license}"));
    let write = format!("bundle write --license {license}");
    let output = folder.run(&format!("{write} --out after.phi"));
    assert!(output.status.success(), "{output:?}");
    let said = said(&output);
    assert_eq!(said.matches("goes with its proof").count(), 2, "{said}");
    assert_eq!(said.matches("left out: token").count(), 1, "{said}");
    assert!(said.contains("key-compromise, with its key"), "{said}");
    let shown = folder.json("bundle-show", "bundle show after.phi");
    let proofs = shown["tokens"].as_array().unwrap().iter();
    let proofs: Vec<_> = proofs.map(|one| one["proof"].as_bool().unwrap()).collect();
    assert_eq!(proofs, [true, true, false]);
    let verified = folder.json("verify-bundle", "verify --bundle after.phi --all");
    assert_eq!(verified["verified"], true);

    // Without the rest of the key's tokens nothing is left of it.
    folder.ok(&format!("key revoke {stolen} --force"));
    let token = shown["tokens"][0]["token"].as_str().unwrap();
    let one = format!("bundle write --out one.phi --token {token}");
    assert_eq!(folder.refused(&one), (14, "bundle-without-token".into()));
    assert!(!folder.path("one.phi").exists());
}

#[test]
fn a_bundle_brings_the_newest_checkpoint_with_the_proof_that_the_ledger_only_grew() {
    let (folder, license) = with_tokens();
    let anchor = fs::read(folder.path("published/root-1.phi")).unwrap();
    let trust = TrustState::from_anchor(&anchor).unwrap();
    let root = trust.root();
    folder.ok("bundle write --out first.phi --checkpoint");
    fs::copy(folder.path("published/checkpoint"), folder.path("june")).unwrap();
    let bytes = fs::read(folder.path("first.phi")).unwrap();
    let held = Bundle::parse(&bytes).unwrap().advance(None, root).unwrap();
    let held = held.expect("the bundle has a checkpoint");

    folder.ok(&format!("mint {license}"));
    folder.ok("ledger checkpoint");
    let written = folder.json("bundle-write", "bundle write --out next.phi --since june");
    assert_eq!(written["growth"], true);
    let bytes = fs::read(folder.path("next.phi")).unwrap();
    let bundle = Bundle::parse(&bytes).unwrap();
    let next = bundle.advance(Some(&held), root).unwrap().unwrap();
    assert!(next.size() > held.size());
    let verified = folder.json("verify-bundle", "verify --bundle next.phi");
    assert_eq!(verified["ledger_events"], next.size());

    let (other, _) = with_tokens();
    other.ok("ledger checkpoint");
    fs::copy(other.path("published/checkpoint"), folder.path("foreign")).unwrap();
    let (code, word) = folder.refused("bundle write --out no.phi --since foreign");
    assert_eq!((code, word.as_str()), (14, "copy-invalid"));
}
