//! Rotations and what they leave to be done, by their JSON and the next steps that are named.

use std::process::Output;

use serde_json::Value;

use crate::run::{Folder, check, refusal};

/// A command of this day of June.
fn on(folder: &Folder, day: u32, arguments: &str) -> Output {
    folder.plain(&format!("--now 2026-06-{day:02} {arguments}"))
}

#[track_caller]
fn ok(folder: &Folder, day: u32, arguments: &str) -> Output {
    let output = on(folder, day, arguments);
    assert!(output.status.success(), "phi {arguments}: {output:?}");
    output
}

#[track_caller]
fn json(folder: &Folder, day: u32, schema: &str, arguments: &str) -> Value {
    let output = ok(folder, day, &format!("--json {arguments}"));
    let value = serde_json::from_slice(&output.stdout).unwrap();
    check(schema, &value);
    value
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The key of a role that is in use.
fn key(folder: &Folder, role: &str) -> String {
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let wanted = |key: &&Value| key["role"] == role && key["state"] == "active";
    keys.iter().find(wanted).unwrap()["key"]
        .as_str()
        .unwrap()
        .into()
}

/// The findings of the check-up by their codes, whatever its exit code.
fn findings(folder: &Folder, day: u32) -> Vec<(String, String, String)> {
    let output = on(folder, day, "--json doctor --days 1");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    check("doctor", &value);
    let findings = value["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    findings
        .map(|one| (text(one, "code"), text(one, "urgency"), text(one, "what")))
        .collect()
}

#[track_caller]
fn found(folder: &Folder, day: u32, code: &str) -> Option<(String, String)> {
    let mut findings = findings(folder, day).into_iter();
    let found = findings.find(|(found, ..)| found == code);
    found.map(|(_, urgency, what)| (urgency, what))
}

/// An issuer whose first license key was cut, with a live token and its proof.
fn after_a_cut() -> (Folder, String) {
    let (folder, license) = Folder::with_license();
    ok(&folder, 1, &format!("mint {license} --out license.txt"));
    ok(&folder, 1, "ledger checkpoint");
    let stolen = key(&folder, "license");
    ok(&folder, 2, "key rotate");
    ok(&folder, 2, &format!("key revoke {stolen} --cut newest"));
    ok(&folder, 2, "keyset publish");
    ok(&folder, 2, "status publish");
    (folder, stolen)
}

#[test]
fn a_new_ledger_key_costs_the_proofs_and_says_so() {
    let (folder, stolen) = after_a_cut();
    let prove = format!("ledger prove --kept-by {stolen} --folder");
    let made = json(&folder, 2, "ledger-prove-kept-by", &format!("{prove} ."));
    let proof = made["proofs"][0]["file"].as_str().unwrap();
    let verify = format!("verify license.txt --proof {proof}");
    ok(&folder, 2, &verify);

    let tried = json(
        &folder,
        3,
        "key-rotate",
        "key rotate --role ledger --dry-run",
    );
    assert_eq!(tried["proofs"]["live_tokens"], 1);
    assert_eq!(tried["proofs"]["keys"][0], stolen.as_str());
    assert_eq!(found(&folder, 3, "checkpoint-foreign"), None);
    let rotated = ok(&folder, 3, "key rotate --role ledger");
    let next = said(&rotated);
    let steps = format!("phi: next: phi ledger checkpoint, then phi {prove} FOLDER");
    assert!(next.contains(&steps), "{next}");

    // What was given out counts no more, and nothing new can be given out before a checkpoint.
    let refused = on(&folder, 3, &format!("--json {verify}"));
    assert_eq!(refusal(&refused), (12, "signatures-missing".into()));
    let refused = on(&folder, 3, &format!("--json {prove} ."));
    assert_eq!(refusal(&refused), (20, "not-allowed".into()));
    assert!(said(&refused).contains("`phi ledger checkpoint`"));
    let refused = on(&folder, 3, &format!("{prove} again"));
    assert!(!refused.status.success() && !folder.path("again").exists());
    let (urgency, _) = found(&folder, 3, "checkpoint-foreign").unwrap();
    assert_eq!(urgency, "wrong");

    ok(&folder, 4, "ledger checkpoint");
    assert_eq!(found(&folder, 4, "checkpoint-foreign"), None);
    let (_, what) = found(&folder, 4, "proofs-needed").unwrap();
    assert!(what.contains("made since 2026-06-03"), "{what}");
    let made = json(
        &folder,
        4,
        "ledger-prove-kept-by",
        &format!("{prove} again"),
    );
    let proof = made["proofs"][0]["file"].as_str().unwrap();
    ok(&folder, 4, &format!("verify license.txt --proof {proof}"));
}

#[test]
fn a_rotation_of_another_key_says_nothing_of_proofs() {
    let (folder, _) = after_a_cut();
    let tried = json(
        &folder,
        3,
        "key-rotate",
        "key rotate --role status --dry-run",
    );
    assert_eq!(tried["proofs"], Value::Null);
    let rotated = said(&ok(&folder, 3, "key rotate --role status"));
    assert!(!rotated.contains("checkpoint"), "{rotated}");
}

/// The newest checkpoint is the latest cut there can be: what came after it is lost for that.
#[test]
fn a_cut_says_what_a_new_checkpoint_would_keep() {
    let (folder, license) = Folder::with_license();
    let stolen = key(&folder, "license");
    ok(&folder, 1, "ledger checkpoint");
    ok(&folder, 2, &format!("mint {license} --count 2"));
    let revoke = format!("key revoke {stolen} --cut newest");
    let tried = json(&folder, 3, "key-revoke", &format!("{revoke} --dry-run"));
    assert_eq!(tried["key"]["lost"]["tokens"], 2);
    assert_eq!(tried["key"]["not_covered"], 2);
    let page = ok(&folder, 3, &format!("{revoke} --dry-run")).stdout;
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("phi ledger checkpoint first"), "{page}");
    let refused = on(&folder, 3, &revoke);
    assert!(said(&refused).contains("phi ledger checkpoint"));
    ok(&folder, 3, "ledger checkpoint");
    let tried = json(&folder, 3, "key-revoke", &format!("{revoke} --dry-run"));
    assert_eq!(
        (&tried["key"]["kept"], &tried["key"]["not_covered"]),
        (&2.into(), &0.into())
    );
    ok(&folder, 3, &revoke);
}
