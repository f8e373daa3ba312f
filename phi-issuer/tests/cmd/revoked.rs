//! Revocations by their JSON: what is asked of a token that somebody hands in, and what a
//! revocation would hit.

use std::fs;

use crate::run::{Folder, check};

/// A license with a token in a file, published.
fn with_token() -> (Folder, String) {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --out honest.txt"));
    folder.ok("status publish");
    let checked = folder.json("status-check", "status check honest.txt");
    let token = checked["token"].as_str().unwrap().to_owned();
    (folder, token)
}

/// Writes the honest token with a character of its signature changed.
fn forge(folder: &Folder) {
    let honest = fs::read_to_string(folder.path("honest.txt")).unwrap();
    let at = "v4.public.".len() + 20;
    let other = if &honest[at..=at] == "A" { "B" } else { "A" };
    let forged = format!("{}{other}{}", &honest[..at], &honest[at + 1..]);
    fs::write(folder.path("forged.txt"), forged).unwrap();
}

#[test]
fn a_changed_token_is_neither_checked_nor_revoked() {
    let (folder, token) = with_token();
    forge(&folder);
    for command in [
        "status check forged.txt",
        "revoke token forged.txt",
        "revoke token forged.txt --dry-run",
        "unrevoke token forged.txt --dry-run",
        "verify forged.txt",
    ] {
        let refused = folder.refused(command);
        assert_eq!(refused, (12, "signature-invalid".into()), "{command}");
    }
    let hint = String::from_utf8(folder.run("status check forged.txt").stderr).unwrap();
    assert!(hint.contains(&token), "{hint}");

    let by_text = folder.json("status-check", "status check honest.txt");
    assert_eq!(by_text["genuine"], true);
    let by_id = folder.json("status-check", &format!("status check {token}"));
    assert!(by_id["genuine"].is_null());
    assert_eq!(by_id["ledger"]["verdict"], "good");
}

#[test]
fn a_token_of_another_issuer_is_not_taken_for_one_of_the_ledger() {
    let (folder, _) = with_token();
    let (other, _) = with_token();
    fs::copy(other.path("honest.txt"), folder.path("other.txt")).unwrap();
    let refused = folder.refused("status check other.txt");
    assert_eq!(refused, (12, "unknown-key".into()));
    let refused = folder.refused("revoke token other.txt");
    assert_eq!(refused, (12, "unknown-key".into()));
}

/// A token that the issuer's key signed and the ledger does not have is a thief's, or the ledger
/// lost it.
#[test]
fn a_signed_token_that_is_not_in_the_ledger_is_said_to_be_one() {
    let (folder, license) = Folder::with_license();
    folder.ok("ledger backup before.db");
    folder.ok(&format!("mint {license} --out lost.txt"));
    folder.ok("ledger restore before.db --replace");
    let (code, word) = folder.refused("status check lost.txt");
    assert_eq!((code, word.as_str()), (14, "not-found"));
    let hint = String::from_utf8(folder.run("revoke token lost.txt").stderr).unwrap();
    assert!(hint.contains("did not mint it"), "{hint}");
}

#[test]
fn a_feature_hits_the_tokens_that_grant_it() {
    let (folder, premium) = Folder::with_license();
    folder.ok("customer add initech");
    let issue = "license issue --customer initech --plan starter --expires +1y";
    let issued = folder.json("license-issue", issue);
    let starter = issued["license"].as_str().unwrap();
    folder.ok(&format!("mint {premium} --count 2"));
    folder.ok(&format!("mint {starter}"));
    let dry = folder.json("revoke", "revoke feature audit_log --dry-run");
    assert_eq!(dry["live_tokens"], 2);
    assert_eq!(
        (&dry["name"], &dry["subject"]),
        (&"audit_log".into(), &"atlas/1".into())
    );
    // By the name that answers and lists have for it.
    let revoked = folder.json("revoke", "revoke feature atlas/1");
    assert_eq!(revoked["live_tokens"], 2);
    let back = folder.json("unrevoke", "unrevoke feature audit_log");
    assert_eq!(
        (&back["live_tokens"], &back["name"]),
        (&2.into(), &"audit_log".into())
    );
}

/// What is taken back already is not hit again.
#[test]
fn a_revocation_counts_what_it_changes() {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --count 2 --out two.txt"));
    let tokens = fs::read_to_string(folder.path("two.txt")).unwrap();
    fs::write(folder.path("one.txt"), tokens.lines().next().unwrap()).unwrap();
    folder.ok("revoke token one.txt");
    let whole = format!("revoke license {license} --dry-run");
    let dry = folder.json("revoke", &whole);
    assert_eq!(
        (&dry["live_tokens"], &dry["already_revoked"]),
        (&2.into(), &1.into())
    );
    let said = folder.ok(&whole);
    assert!(
        said.contains("1 of 2 live tokens; 1 taken back already"),
        "{said}"
    );
}

/// A site that has list 2, and a delta from it that revokes the honest token; ids of both.
fn with_delta() -> (Folder, String) {
    let (folder, token) = with_token();
    fs::create_dir(folder.path("site")).unwrap();
    for name in [
        "root-1.phi",
        "keyset.phi",
        "status.phi",
        "catalog-atlas.phi",
    ] {
        let published = folder.path(&format!("published/{name}"));
        fs::copy(published, folder.path(&format!("site/{name}"))).unwrap();
    }
    folder.ok(&format!("revoke token {token}"));
    folder.ok("status publish --delta-from 2 --armor delta.txt");
    folder.ok("verify honest.txt --trust site");
    (folder, token)
}

const REVOKED: (i32, &str) = (11, "revoked");

#[track_caller]
fn refuses(folder: &Folder, arguments: &str) {
    let (code, word) = folder.refused(arguments);
    assert_eq!((code, word.as_str()), REVOKED, "{arguments}");
}

#[test]
fn a_delta_in_the_trust_folder_counts() {
    let (folder, _) = with_delta();
    let delta = "status-2-to-3.phi";
    fs::copy(
        folder.path(&format!("published/{delta}")),
        folder.path(&format!("site/{delta}")),
    )
    .unwrap();
    refuses(&folder, "verify honest.txt --trust site");
    let report = folder.json("trust-report", "trust report --trust site");
    assert_eq!(
        (&report["lists"]["epoch"], &report["lists"]["base"]),
        (&3.into(), &2.into())
    );
    // Beside the list that it stands for it says nothing new.
    fs::copy(
        folder.path("published/status.phi"),
        folder.path("site/status.phi"),
    )
    .unwrap();
    let said = folder.run("verify honest.txt --trust site");
    assert_eq!(said.status.code(), Some(11));
    assert!(!String::from_utf8_lossy(&said.stderr).contains("warning"));
}

/// What lies in the trust folder and is not used, is said not to be used.
#[test]
fn a_delta_that_does_not_fit_is_named() {
    let (folder, _) = with_delta();
    let delta = folder.path("published/status-2-to-3.phi");
    fs::copy(&delta, folder.path("site/status-9-to-12.phi")).unwrap();
    fs::copy(folder.path("delta.txt"), folder.path("site/delta.txt")).unwrap();
    fs::write(folder.path("site/notes.txt"), "two words").unwrap();
    let said = folder.run("verify honest.txt --trust site").stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("site/status-9-to-12.phi is not used"),
        "{said}"
    );
    assert!(
        said.contains("site/delta.txt is a status document"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    // One that says another base than its name is no reason to go on without it.
    fs::copy(&delta, folder.path("site/status-2-to-4.phi")).unwrap();
    refuses(&folder, "verify honest.txt --trust site");
}

/// What of a delta comes by hand: a file, armored text, or what a camera reads.
#[test]
fn a_status_document_is_handed_in() {
    let (folder, _) = with_delta();
    let text = fs::read_to_string(folder.path("delta.txt")).unwrap();
    let word = phi_verify::armor::unwrap(&text).unwrap();
    for status in ["published/status-2-to-3.phi", "delta.txt", word.as_str()] {
        refuses(
            &folder,
            &format!("verify honest.txt --trust site --status {status}"),
        );
    }
    let report = format!("trust report --trust site --status {word}");
    assert_eq!(folder.json("trust-report", &report)["lists"]["epoch"], 3);
    let keyset = "verify honest.txt --trust site --status published/keyset.phi";
    assert_eq!(folder.refused(keyset).1, "document-kind");
    let other = "verify honest.txt --trust site --status honest.txt";
    assert_eq!(folder.refused(other).1, "wrong-kind");
}

#[test]
fn a_delta_reaches_the_state_that_an_application_keeps() {
    let (folder, _) = with_delta();
    let kept = "--store state --anchor site/root-1.phi";
    let verify = format!("verify honest.txt {kept}");
    assert_eq!(folder.refused(&verify).1, "trust-missing");
    // The delta needs its base, and whatever else is there is taken.
    let early = format!("--json trust import delta.txt site/keyset.phi {kept}");
    let early = folder.run(&early);
    assert_eq!(early.status.code(), Some(12));
    let early: serde_json::Value = serde_json::from_slice(&early.stdout).unwrap();
    check("trust-import", &early);
    assert_eq!(early["documents"][0]["outcome"], "taken");
    assert_eq!(early["documents"][1]["outcome"], "refused");
    // In any order.
    let site = "site/catalog-atlas.phi site/status.phi site/keyset.phi";
    let first = folder.json("trust-import", &format!("trust import {site} {kept}"));
    assert_eq!((&first["epoch"], &first["kept"]), (&2.into(), &true.into()));
    folder.ok(&verify);
    let text = fs::read_to_string(folder.path("delta.txt")).unwrap();
    let word = phi_verify::armor::unwrap(&text).unwrap();
    let second = folder.json("trust-import", &format!("trust import {word} {kept}"));
    assert_eq!(
        (&second["epoch"], &second["documents"][0]["base"]),
        (&3.into(), &2.into())
    );
    refuses(&folder, &verify);
    // An older list does not take its place.
    let report = format!("trust report {kept} --status site/status.phi");
    assert_eq!(folder.json("trust-report", &report)["lists"]["epoch"], 3);
}

/// A file as `phi mint --count 2 --out` makes it.
#[test]
fn of_several_tokens_one_is_to_be_named() {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --count 2 --out two.txt"));
    for command in [
        "status check two.txt",
        "verify two.txt",
        "revoke token two.txt",
    ] {
        let refused = folder.refused(command);
        assert_eq!(refused, (14, "tokens-several".into()), "{command}");
    }
}

#[test]
fn options_of_another_class_are_refused() {
    let (folder, license) = Folder::with_license();
    for options in [
        "--product atlas",
        "--force",
        "--list 3",
        "--cut newest",
        "--issued-before 2026-06-01 --reason superseded",
    ] {
        let refused = folder.refused(&format!("revoke license {license} {options}"));
        assert_eq!(refused, (14, "input-invalid".into()), "{options}");
    }
}

/// That a key was revoked is not said of one that was not.
#[test]
fn a_key_that_was_not_revoked_is_said_not_to_be() {
    let (folder, _) = Folder::with_license();
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["role"] == "license").unwrap();
    let key = key["key"].as_str().unwrap();
    let said = String::from_utf8(folder.run(&format!("unrevoke key {key}")).stderr).unwrap();
    assert!(said.contains("is not revoked"), "{said}");
}

#[test]
fn a_license_that_is_revoked_with_its_customer_comes_back_with_it() {
    let (folder, license) = Folder::with_license();
    folder.ok("revoke customer globex");
    let said = folder.run(&format!("mint {license}")).stderr;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("phi unrevoke customer"), "{said}");
}

/// A list that is published without its QR code would be published again for it.
#[test]
fn where_a_qr_code_goes_is_asked_before_publishing() {
    let (folder, _) = with_token();
    let nowhere = folder.refused("status publish --qr nowhere/x.png");
    assert_eq!(nowhere, (14, "file-missing".into()));
    let twice = folder.refused("status publish --qr x.svg --armor x.svg");
    assert_eq!(twice, (14, "input-invalid".into()));
    // Neither was published.
    assert_eq!(
        folder.json("status-show", "status show")["status"]["epoch"],
        2
    );
    // What only the system knows is said when the list is out, and once.
    let name = "x".repeat(300);
    let output = folder.run(&format!("--json status publish --armor {name}"));
    assert_eq!(output.status.code(), Some(21));
    let published: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    check("status-publish", &published);
    assert_eq!(published["status"]["epoch"], 3);
}
