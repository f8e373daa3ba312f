//! Slips that are easily made, and the way out that is named.

use std::fs;
use std::process::Output;

use crate::run::{Folder, refusal};

/// What is said to a command that must be refused with this code.
#[track_caller]
fn refused(folder: &Folder, arguments: &str, code: (i32, &str), hint: &str) {
    let output = folder.run(&format!("--json {arguments}"));
    check(&output, code, hint);
}

#[track_caller]
fn check(output: &Output, code: (i32, &str), hint: &str) {
    assert_eq!(refusal(output), (code.0, code.1.into()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(hint), "{said}");
}

#[track_caller]
fn says(output: &Output, text: &str) {
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(text), "{said}");
}

/// The public files of three holders.
fn holders(folder: &Folder) -> Vec<String> {
    let names = ["alice", "bob", "carol"].into_iter();
    let made = names.map(|name| {
        folder.ok(&format!("root holder new {name} --out {name} --kdf fast"));
        format!("--holder {name}/{name}.pub")
    });
    made.collect()
}

#[test]
fn a_state_that_is_not_there_is_no_empty_one() {
    let (folder, _) = Folder::with_license();
    let report = "trust report --anchor published/root-1.phi --store";
    refused(
        &folder,
        &format!("{report} state"),
        (14, "trust-missing"),
        "in which the application keeps",
    );
    fs::create_dir(folder.path("state")).unwrap();
    folder.json("trust-report", &format!("{report} state"));
    // Of two copies one may be lost: that is for the report to say.
    folder.json("trust-report", &format!("{report} state --store lost"));
}

#[test]
fn a_program_that_is_named_wrongly_is_told_what_is_wrong() {
    let (folder, _) = Folder::with_license();
    let keys = folder.json("key-list", "key list");
    let public = keys["keys"][0]["public"].as_str().unwrap();
    fs::write(folder.path("public.txt"), public).unwrap();
    fs::write(folder.path("signature"), [7; 64]).unwrap();
    let new = "key new --public public.txt --exec";
    let mut quoted = folder.command(&format!("--json {new}"));
    let quoted = quoted.arg("cat signature").output().unwrap();
    check(&quoted, (22, "signer-program"), "as a word of its own");
    let signature = folder.path("signature");
    refused(
        &folder,
        &format!("{new} cat {}", signature.display()),
        (22, "sign-failed"),
        "another key than the one in --public",
    );
}

#[test]
fn thresholds_at_either_end_are_warned_of_and_the_next_step_names_its_files() {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast --root-by-ceremony");
    let holders = holders(&folder).join(" ");
    let init = |threshold: u32| {
        let output = format!("--threshold {threshold} --of 3 {holders} --out {threshold}.proposal");
        folder.run(&format!("root init {output}"))
    };
    says(&init(1), "warning: one holder alone");
    says(&init(3), "warning: every holder must sign");
    let good = init(2);
    says(
        &good,
        "phi root sign 2.proposal --key NAME.key, and you phi root assemble 2.proposal 2.NAME.sig",
    );
    assert!(!String::from_utf8_lossy(&good.stderr).contains("warning"));
}

#[test]
fn a_ceremony_with_the_wrong_file_names_the_right_one() {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast --root-by-ceremony");
    let holders = holders(&folder).join(" ");
    folder.ok(&format!(
        "root init --threshold 2 --of 3 {holders} --out one.proposal"
    ));
    let public = "root sign one.proposal --yes --key alice/alice.pub";
    refused(
        &folder,
        public,
        (14, "wrong-kind"),
        "pass --key alice/alice.key",
    );
    let elsewhere = folder.path("alice");
    let mut without = folder.command("--json root sign ../one.proposal --yes");
    let without = without.current_dir(elsewhere).output().unwrap();
    check(&without, (14, "folder-missing"), "--key NAME.key");
    for name in ["alice", "bob"] {
        let sign = format!("root sign one.proposal --yes --key {name}/{name}.key");
        folder.ok(&format!("{sign} --out {name}.sig"));
    }
    let order = "the order is PROPOSAL, then SIGNATURES";
    let wrong = (14, "ceremony-file");
    refused(
        &folder,
        "root assemble alice.sig one.proposal",
        wrong,
        order,
    );
    refused(
        &folder,
        "root assemble one.proposal one.proposal",
        wrong,
        order,
    );

    // Signatures come by mail.
    for (name, quote) in [("alice", ""), ("bob", "> ")] {
        let file = folder.path(&format!("{name}.sig"));
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().map(|line| format!("{quote}{line}")).collect();
        let lines = lines.join("\n");
        fs::write(&file, format!("Hello,\n\nmine:\n\n{lines}\nBye\n")).unwrap();
    }
    folder.ok("root assemble one.proposal alice.sig bob.sig");
}

#[test]
fn what_is_revoked_is_found_by_the_word_that_people_look_for() {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("revoke license {license}"));
    let events = folder.json("audit-query", "audit query --event revoked");
    assert_eq!(events["events"].as_array().unwrap().len(), 1);
    let found = folder.json("audit-query", "audit query --event key-revoked");
    assert_eq!(found, events);
    let words = folder.run(&format!("revoke license {license} --reason fraud"));
    assert_eq!(words.status.code(), Some(2));
    let said = String::from_utf8_lossy(&words.stderr);
    assert!(said.contains("your own words go into --note"), "{said}");
}

#[test]
fn a_key_that_is_revoked_already_is_carried_out_by_keyset_and_list() {
    let (folder, _) = Folder::with_license();
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["role"] == "license").unwrap();
    let revoke = format!("key revoke {}", key["key"].as_str().unwrap());
    folder.ok(&revoke);
    let next = "`phi keyset publish`, then `phi status publish`";
    refused(&folder, &revoke, (20, "not-allowed"), next);
}

#[test]
fn an_actor_without_a_name_is_known_by_number() {
    let (folder, _) = Folder::with_license();
    let mut add = std::process::Command::new(crate::run::phi());
    add.current_dir(folder.path("")).env_clear();
    let added = add.args(["--now", "2026-06-01", "customer", "add", "initech"]);
    assert!(added.output().unwrap().status.success());
    let trail = folder.json(
        "audit-query",
        "audit query --event customer-added --reverse",
    );
    let actor = trail["events"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("uid-"), "{actor}");
}

#[test]
fn the_timeline_shows_what_a_cut_keeps() {
    let (folder, license) = Folder::with_license();
    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["role"] == "license").unwrap();
    let key = key["key"].as_str().unwrap();
    folder.ok(&format!("mint {license}"));
    folder.ok("ledger checkpoint");
    folder.ok(&format!("mint {license}"));
    folder.ok(&format!("key revoke {key} --cut newest --force"));
    let timeline = folder.json("key-timeline", "key timeline");
    let lives = timeline["keys"].as_array().unwrap();
    let life = lives.iter().find(|life| life["key"] == key).unwrap();
    assert_eq!(life["live_tokens"], 1);
    let drawn = folder.ok("key timeline");
    let bar = drawn.lines().find(|line| line.contains(key)).unwrap();
    assert!(bar.contains("x---"), "{bar}");
}

/// Files of a ceremony are known for what they are, holders by their names, and a rotation that
/// needs a ceremony says so before.
#[test]
fn a_root_in_other_hands_is_told_by_their_names() {
    let (folder, _) = Folder::with_license();
    let here = folder.json("key-rotate", "key rotate --role status --dry-run");
    assert_eq!(here["proposal"], serde_json::Value::Null);
    let holders = holders(&folder).join(" ");
    folder.ok(&format!("root init --threshold 2 --of 3 {holders}"));
    let inspected = folder.json("inspect", "inspect root-2.proposal");
    assert_eq!(inspected["kind"], "root-proposal");
    assert!(
        folder
            .ok("inspect root-2.proposal")
            .contains("phi root show")
    );
    for name in ["alice", "bob"] {
        let root = "--root published/root-1.phi";
        folder.ok(&format!(
            "root sign root-2.proposal {root} --key {name}/{name}.key --yes"
        ));
    }
    let inspected = folder.json("inspect", "inspect root-2.alice.sig");
    assert_eq!(inspected["kind"], "root-signature");
    assert_eq!(inspected["object"]["version"], 2);
    folder.ok("root sign root-2.proposal --yes --out root-2.issuer.sig");
    folder.ok("root assemble root-2.proposal root-2.alice.sig root-2.bob.sig root-2.issuer.sig");

    let keys = folder.json("key-list", "key list");
    let keys = keys["keys"].as_array().unwrap().iter();
    let named: Vec<_> = keys.filter_map(|key| key["holder"].as_str()).collect();
    assert_eq!(named.len(), 3);
    assert!(folder.ok("key list").contains("carol's"));
    let away = folder.json("key-rotate", "key rotate --role status --dry-run");
    assert_eq!(away["proposal"], "root-3.proposal");
    assert!(!folder.path("root-3.proposal").exists());
}
