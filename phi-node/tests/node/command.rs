//! The command: what it says when it is told wrong, and how it ends.

use std::fs;

use serde_json::Value;

use crate::{
    issuer::{LICENSE, bundle, claims},
    process::Home,
};

/// Ends with this exit code, this word, and a next step.
#[track_caller]
fn refused(home: &Home, arguments: &[&str], exit: i32, code: &str) {
    let output = home.run(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["error"]["code"], code, "{said}");
    assert!(said["error"]["hint"].is_string(), "{said}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("error:") && errors.contains("hint:"),
        "{errors}"
    );
}

#[test]
fn what_is_missing_or_wrong_is_said_with_the_next_step() {
    let home = Home::new(&bundle(&[]));
    let store = ["--store", "sqlite:usage.db"];
    let whole = [
        "run",
        "--store",
        "sqlite:usage.db",
        "--anchor",
        "root-1.phi",
    ];
    let run = |rest: &[&'static str]| [&whole[..], rest].concat();
    refused(&home, &["run"], 14, "store-address");
    refused(&home, &["run", "--store", "usage.db"], 14, "store-address");
    refused(
        &home,
        &[&["run"], &store[..]].concat(),
        14,
        "anchor-missing",
    );
    let no_anchor = [&["run", "--anchor", "none.phi"], &store[..]].concat();
    refused(&home, &no_anchor, 14, "file-failed");
    fs::write(home.path("keyset.phi"), bundle(&[])).unwrap();
    let no_root = [&["run", "--anchor", "keyset.phi"], &store[..]].concat();
    let disk = ["--dangerous-on-any-disk"];
    refused(
        &home,
        &[&no_root[..], &disk].concat(),
        12,
        "document-envelope",
    );
    refused(&home, &run(&["--tls-key", "key.pem"]), 14, "tls-incomplete");
    refused(&home, &run(&["--clients", "none.toml"]), 14, "clients-file");
    let open = ["--listen", "0.0.0.0:0", "--dangerous-on-any-disk"];
    refused(&home, &run(&open), 23, "listen-plaintext");
    let secret = ["run", "--store", "postgres://ann:secret@localhost/phi"];
    let secret = [&secret[..], &["--anchor", "root-1.phi"]].concat();
    refused(&home, &secret, 20, "store-address");
    assert_eq!(home.run(&["run", "--stor", "x"]).status.code(), Some(2));
    refused(
        &home,
        &["usage", "--store", "sqlite:none.db"],
        14,
        "store-missing",
    );
    refused(&home, &["client", "remove", "web"], 14, "client-unknown");
}

#[test]
fn a_file_of_settings_has_the_names_of_the_options_and_no_others() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 1)]));
    let config = "store = \"sqlite:usage.db\"\nanchor = \"root-1.phi\"\n";
    fs::write(
        home.path("node.toml"),
        format!("{config}listn = \"127.0.0.1:0\"\n"),
    )
    .unwrap();
    refused(
        &home,
        &["run", "--config", "node.toml"],
        14,
        "config-invalid",
    );
    // One call more than the license has, and leases of two seconds.
    let policies = "[quotas.api_calls]\nsoft = 8\nallow = 1\n[seats.seats]\nlease = 2\nextra = 1\n";
    fs::write(home.path("policy.toml"), policies).unwrap();
    fs::write(
        home.path("node.toml"),
        format!("{config}policy = \"policy.toml\"\n"),
    )
    .unwrap();
    let node = home.start(&["--config", "node.toml"]);
    assert_eq!(node.api.take(9).is(200).body["standing"], "soft");
    assert_eq!(node.api.take(2).is(200).body["standing"], "beyond");
    node.api.take(1).must_be_refused(429, "quota-exhausted");
    let seat = node.api.claim("ann").is(201);
    // Two seconds, and what the claim itself took: not the ten that are usual.
    assert!(seat.body["valid_for_ms"].as_u64().unwrap() < 5000);
    node.api.claim("bob").is(201);
    node.api.claim("eve").must_be_refused(429, "seats-full");
    // A second process does not get the file.
    let usage = [
        "usage",
        "--store",
        "sqlite:usage.db",
        "--dangerous-on-any-disk",
    ];
    refused(&home, &usage, 20, "store-in-use");
}

#[test]
fn a_policy_about_nothing_that_there_is_is_refused() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 1)]));
    let whole = "run --store sqlite:usage.db --anchor root-1.phi --dangerous-on-any-disk";
    let whole: Vec<_> = whole.split(' ').collect();
    let run = |rest: &[&'static str]| [&whole[..], rest].concat();
    let policy = ["--policy", "policy.toml"];
    refused(&home, &run(&policy), 14, "policy-file");
    fs::write(home.path("policy.toml"), "[seats.seats]\nlease = 31\n").unwrap();
    refused(&home, &run(&policy), 14, "policy-invalid");
    fs::write(home.path("policy.toml"), "[quotas.calls]\nallow = 1\n").unwrap();
    let known = ["--policy", "policy.toml", "--bundle", "watched"];
    refused(&home, &run(&known), 14, "policy-unknown");

    // Where no catalog is there to tell, it is said, and nothing is admitted beyond the license.
    let home = Home::new(&bundle(&[]));
    fs::remove_file(home.path("watched/acme.bundle")).unwrap();
    fs::write(home.path("policy.toml"), "[quotas.calls]\nallow = 1\n").unwrap();
    let node = home.start(&["--policy", "policy.toml"]);
    let log = || fs::read_to_string(home.path("node.log")).unwrap();
    assert!(log().contains("policy.toml, line 1: there is no quota"));
    node.api.push(&bundle(&[claims(LICENSE, 10, 1)])).is(200);
    node.api.take(10).is(200);
    node.api.take(1).must_be_refused(429, "quota-exhausted");
    drop(node);

    // What comes with the first look was never missing.
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 1)]));
    fs::write(home.path("policy.toml"), "[quotas.projects]\nallow = 1\n").unwrap();
    let node = home.start(&["--policy", "policy.toml"]);
    let log = fs::read_to_string(home.path("node.log")).unwrap();
    assert!(!log.contains("policy.toml"), "{log}");
    node.stop();
}

#[test]
fn clients_are_added_listed_and_removed() {
    let home = Home::new(&bundle(&[]));
    let key = home.add_client("web-1", &["--scope", "check,take", "--holder", "team-*"]);
    assert!(key.starts_with("phi_key_"));
    let file = fs::read_to_string(home.path("clients.toml")).unwrap();
    assert!(!file.contains(&key), "the hash is kept and not the key");
    refused(
        &home,
        &["client", "add", "web-1", "--scope", "take"],
        14,
        "client-exists",
    );
    let output = home.run(&["client", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["clients"][0]["client"], "web-1");
    assert_eq!(listed["clients"][0]["holders"][0], "team-*");
    let groups = ["--group", "ops", "--also-group", "support-*"];
    home.add_client("web-2", &[&["--scope", "seats"], &groups[..]].concat());
    let output = home.run(&["client", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["clients"][1]["group"], "ops");
    assert_eq!(listed["clients"][1]["groups"][0], "support-*");
    let empty = ["client", "add", "web-3", "--scope", "seats", "--group", ""];
    assert_eq!(home.run(&empty).status.code(), Some(2));
    assert!(home.run(&["client", "remove", "web-1"]).status.success());
    refused(&home, &["client", "remove", "web-1"], 14, "client-unknown");
}

#[test]
fn the_manual_and_the_completions_are_written() {
    let home = Home::new(&bundle(&[]));
    assert!(home.run(&["man", "man1"]).status.success());
    let page = fs::read_to_string(home.path("man1/phi-node-run.1")).unwrap();
    assert!(page.contains("\\-\\-store"));
    let output = home.run(&["completions", "bash"]);
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("--anchor")
    );
}
