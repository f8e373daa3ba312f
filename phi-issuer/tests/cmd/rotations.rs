//! Rotations and what they leave to be done, by their JSON and the next steps that are named.

use std::fs;
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
    let words: Vec<_> = page.split_whitespace().collect();
    let words = words.join(" ");
    assert!(
        words.contains("2 since the newest checkpoint (event 13): phi ledger checkpoint first"),
        "{page}"
    );
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

#[test]
fn between_a_rotation_and_its_publication_there_are_findings_and_no_error() {
    let (folder, _) = Folder::with_license();
    let green = on(&folder, 1, "doctor");
    assert!(green.status.success(), "red on the first day: {green:?}");
    ok(&folder, 2, "key rotate --role keyset");
    let output = on(&folder, 2, "doctor");
    assert_eq!(output.status.code(), Some(30), "{output:?}");
    for code in ["keyset-missing", "status-missing"] {
        let (urgency, _) = found(&folder, 2, code).unwrap();
        assert_eq!(urgency, "wrong", "{code}");
    }
    ok(&folder, 2, "keyset publish");
    assert_eq!(found(&folder, 2, "keyset-missing"), None);
    ok(&folder, 2, "status publish");
    assert_eq!(found(&folder, 2, "status-missing"), None);
    assert!(on(&folder, 2, "doctor").status.success());
}

#[test]
fn an_issuer_without_a_root_is_told_what_comes_first() {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast --root-by-ceremony");
    let (urgency, _) = found(&folder, 1, "root-missing").unwrap();
    assert_eq!(urgency, "wrong");
}

#[test]
fn a_status_key_that_is_away_is_wanted_before_the_next_list() {
    let (folder, _) = Folder::with_license();
    for (role, urgency) in [("keyset", "note"), ("status", "soon")] {
        let file = format!("keys/{role}-{}.key", key(&folder, role));
        fs::rename(folder.path(&file), folder.path("away.key")).unwrap();
        let (found, what) = found(&folder, 1, "key-away").unwrap();
        assert_eq!(found, urgency, "{what}");
        assert!(what.contains(role), "{what}");
        fs::rename(folder.path("away.key"), folder.path(&file)).unwrap();
    }
    assert_eq!(found(&folder, 1, "key-away"), None);
}

#[test]
fn a_backup_is_remembered_until_more_has_happened() {
    let (folder, _) = Folder::with_license();
    assert_eq!(found(&folder, 1, "backups-unknown").unwrap().0, "note");
    ok(&folder, 1, "ledger backup one.db");
    assert_eq!(found(&folder, 1, "backups-unknown"), None);
    assert_eq!(found(&folder, 1, "backup-behind"), None);
    ok(&folder, 2, "customer add initech");
    let (urgency, what) = found(&folder, 2, "backup-behind").unwrap();
    assert_eq!(
        (&*urgency, &*what),
        ("note", "events since the newest backup: 1")
    );
    let later = folder.plain("--now 2026-07-02 --json doctor");
    let later: Value = serde_json::from_slice(&later.stdout).unwrap();
    let later = later["findings"].as_array().unwrap().iter();
    let behind = later.filter(|one| one["code"] == "backup-behind");
    assert!(behind.clone().count() == 1 && behind.clone().all(|one| one["urgency"] == "wrong"));
    ok(&folder, 3, "ledger backup two.db");
    assert_eq!(found(&folder, 3, "backup-behind"), None);
}

/// The license keys in the order in which they were made: their ids and states.
fn license_keys(folder: &Folder, day: u32) -> Vec<(String, String)> {
    let keys = json(folder, day, "key-list", "key list");
    let keys = keys["keys"].as_array().unwrap().iter();
    let of_license = keys.filter(|key| key["role"] == "license");
    let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    of_license
        .map(|key| (text(key, "key"), text(key, "state")))
        .collect()
}

/// The key under which a token is minted on that day, which must verify.
#[track_caller]
fn minted_under(folder: &Folder, day: u32, license: &str) -> String {
    let minted = json(folder, day, "mint", &format!("mint {license}"));
    let token = &minted["tokens"][0];
    ok(
        folder,
        day,
        &format!("verify {}", token["token"].as_str().unwrap()),
    );
    token["key"].as_str().unwrap().into()
}

fn scheduled(day: u32) -> (Folder, String, String, String) {
    let (folder, license) = Folder::with_license();
    let old = key(&folder, "license");
    let rotate = format!("key rotate --from 2026-06-{day}");
    let rotated = json(&folder, 1, "key-rotate", &rotate);
    let new = rotated["new"].as_str().unwrap().to_owned();
    ok(&folder, 1, "keyset publish");
    ok(&folder, 1, "status publish");
    (folder, license, old, new)
}

#[test]
fn a_scheduled_rotation_is_put_off_without_a_third_key() {
    let (folder, license, old, new) = scheduled(10);
    let later = on(&folder, 5, "--json key rotate --from 2026-06-20");
    assert_eq!(refusal(&later), (20, "not-allowed".into()));
    assert!(said(&later).contains("phi key reschedule"));
    for try_only in ["--plan", "--dry-run"] {
        let later = on(
            &folder,
            5,
            &format!("--json key rotate --from 2026-06-20 {try_only}"),
        );
        assert_eq!(refusal(&later), (20, "not-allowed".into()));
    }
    let moved = format!("key reschedule {new} --from 2026-06-20");
    let moved = json(&folder, 5, "key-reschedule", &moved);
    assert_eq!(
        (&moved["old"], &moved["new"]),
        (&old.as_str().into(), &new.as_str().into())
    );
    ok(&folder, 5, "keyset publish");
    assert_eq!(minted_under(&folder, 15, &license), old);
    // And a little forward again.
    ok(
        &folder,
        16,
        &format!("key reschedule {new} --from 2026-06-18"),
    );
    ok(&folder, 16, "keyset publish");
    assert_eq!(minted_under(&folder, 17, &license), old);
    assert_eq!(minted_under(&folder, 19, &license), new);
    let states = license_keys(&folder, 19);
    assert_eq!(
        states,
        [(old, "retired".into()), (new.clone(), "active".into())]
    );
    // What has begun is not put off.
    let begun = on(
        &folder,
        19,
        &format!("--json key reschedule {new} --from 2026-06-25"),
    );
    assert_eq!(refusal(&begun), (20, "not-allowed".into()));
    ok(&folder, 20, "ledger verify");
}

#[test]
fn a_scheduled_key_is_taken_back_and_the_one_before_it_goes_on() {
    let (folder, license, old, new) = scheduled(10);
    ok(&folder, 5, &format!("key retire {new}"));
    ok(&folder, 5, "keyset publish");
    assert_eq!(minted_under(&folder, 15, &license), old);
    let states = license_keys(&folder, 15);
    assert_eq!(
        states,
        [(old, "active".into()), (new.clone(), "dropped".into())]
    );
    let again = on(&folder, 15, &format!("--json key retire {new}"));
    assert_eq!(refusal(&again), (20, "not-allowed".into()));
    ok(&folder, 15, "ledger verify");
    ok(&folder, 15, "ledger rebuild");
}

#[test]
fn a_rotation_is_not_planned_for_the_past() {
    let (folder, _) = Folder::with_license();
    for way in ["", "--plan", "--dry-run"] {
        let rotate = format!("--json key rotate --from 2026-05-01 {way}");
        let refused = on(&folder, 1, &rotate);
        assert_eq!(refusal(&refused), (14, "input-invalid".into()), "{way}");
    }
    let drop = "--json key rotate --from 2026-06-10 --plan --drop 2026-06-05";
    assert_eq!(refusal(&on(&folder, 1, drop)), (14, "input-invalid".into()));
}

/// What a keyset says of a key is shown, whole.
#[test]
fn a_keyset_is_shown_with_scopes_and_cuts() {
    let (folder, stolen) = after_a_cut();
    let made = json(
        &folder,
        3,
        "key-new",
        "key new --product atlas --longest 31d",
    );
    let narrow = made["key"].as_str().unwrap();
    ok(&folder, 3, "keyset publish");
    let shown = json(&folder, 3, "keyset-show", "keyset show");
    let keys = shown["keyset"]["keys"].as_array().unwrap();
    let find = |id: &str| keys.iter().find(|key| key["key"] == id).unwrap();
    assert_eq!(find(&stolen)["cut"], 14);
    assert_eq!(find(&stolen)["scope"], Value::Null);
    assert_eq!(find(narrow)["scope"]["words"], "atlas, at most 31d");
    let page = String::from_utf8(ok(&folder, 3, "keyset show").stdout).unwrap();
    assert!(page.contains("its tokens of the first 14 events"), "{page}");
    let inspected = json(&folder, 3, "inspect", "inspect published/keyset.phi");
    assert_eq!(&inspected["object"]["keys"], &shown["keyset"]["keys"]);
}

#[test]
fn a_key_for_everything_is_retired_beside_keys_for_less() {
    let (folder, license) = Folder::with_license();
    let wide = key(&folder, "license");
    let alone = on(&folder, 1, &format!("--json key retire {wide}"));
    assert_eq!(refusal(&alone), (20, "not-allowed".into()));
    let made = json(&folder, 1, "key-new", "key new --product atlas");
    let narrow = made["key"].as_str().unwrap();
    ok(&folder, 1, &format!("key rotate --like {narrow}"));
    ok(&folder, 2, &format!("key retire {wide}"));
    ok(&folder, 2, "keyset publish");
    assert_eq!(minted_under(&folder, 3, &license), narrow);
    let states = license_keys(&folder, 3);
    assert_eq!(states[0], (wide, "retired".into()));
    ok(&folder, 3, "ledger verify");
}
