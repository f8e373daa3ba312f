//! `phi audit` in each of its formats, which say the same.

use std::process::Command;

use serde_json::Value;

use crate::run::{Folder, check, phi};

/// A folder in which one license has a token and was revoked.
fn folder() -> (Folder, String) {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license} --out token.txt"));
    folder.ok(&format!("revoke license {license} --reason refund"));
    (folder, license)
}

#[test]
fn every_format_has_the_same_events() {
    let (folder, license) = folder();
    let query = format!("audit query --license {license}");
    let found = folder.json("audit-query", &query);
    let events = found["events"].as_array().unwrap();
    let words: Vec<_> = events.iter().map(|event| &event["event"]).collect();
    assert_eq!(words, ["license-issued", "token-minted", "revoked"]);
    assert_eq!(found["more_after"], Value::Null);
    let as_asked = folder.ok(&format!("{query} --format json"));
    assert_eq!(serde_json::from_str::<Value>(&as_asked).unwrap(), found);

    let lines = folder.ok(&format!("{query} --format jsonl"));
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert_eq!(&lines, events);
    for line in &lines {
        check("audit-show", line);
    }

    let text = folder.ok(&format!("{query} --format csv"));
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let columns = table.headers().unwrap().clone();
    for (record, event) in table.records().map(Result::unwrap).zip(events) {
        for (column, cell) in columns.iter().zip(&record) {
            let expected = match &event[column] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            // A hash that begins with + is guarded from spreadsheets like any other cell.
            let cell = match cell.strip_prefix('\'') {
                Some(rest) if rest.starts_with('+') => rest,
                _ => cell,
            };
            assert_eq!(cell, expected, "{column}");
        }
    }
    assert_eq!(text.lines().count(), 1 + events.len());
    let shown = folder.json("audit-show", &format!("audit show {}", events[1]["seq"]));
    assert_eq!(shown, events[1]);
}

#[test]
fn every_event_of_an_issuer_is_shown() {
    let (folder, license) = folder();
    folder.ok("ledger checkpoint");
    folder.ok("status publish");
    let found = folder.json("audit-query", "audit query");
    let events = found["events"].as_array().unwrap();
    for (place, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], place + 1);
        assert_eq!(event["leaf_index"], place);
        assert_eq!(event["details"]["event"], event["event"]);
        assert_ne!(event["summary"], "");
        folder.ok(&format!("audit show {}", event["seq"]));
    }
    let word = |word: &str| events.iter().find(|event| event["event"] == word).unwrap();
    assert!(word("document-published")["details"]["document"].is_string());
    assert_eq!(word("revoked")["license"], license.as_str());
}

#[test]
fn answers_go_on_where_they_ended() {
    let (folder, _) = folder();
    let all = folder.json("audit-query", "audit query --reverse");
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let query = format!("audit query --reverse --limit 4 {after}");
        let page = folder.json("audit-query", &query);
        found.extend(page["events"].as_array().unwrap().clone());
        match page["more_after"].as_u64() {
            Some(last) => after = format!("--after {last}"),
            None => break,
        }
    }
    assert_eq!(all["events"], Value::Array(found));
}

#[test]
fn a_spreadsheet_computes_nothing() {
    let folder = Folder::with_license().0;
    let name = "=HYPERLINK(\"http://evil.example\")";
    let mut add = Command::new(phi());
    let add = add.current_dir(folder.path("")).args([
        "--now",
        "2026-06-01",
        "--actor",
        "+alice",
        "customer",
        "add",
        "@sum(a1)",
        "--name",
        name,
    ]);
    assert!(add.output().unwrap().status.success());
    let text = folder.ok("audit query --customer @sum(a1) --format csv");
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let record = table.records().next().unwrap().unwrap();
    assert_eq!((&record[2], &record[5]), ("'+alice", "'@sum(a1)"));
    for cell in &record {
        assert!(!cell.starts_with(['=', '+', '-', '@']), "{cell}");
    }
}

#[test]
fn what_nothing_has_is_refused() {
    let (folder, _) = folder();
    let bad = |arguments: &str, code: &str| {
        let refused = folder.refused(&format!("audit {arguments}"));
        assert_eq!(refused, (14, code.into()), "{arguments}");
    };
    bad("query --license 0000000000000000", "not-found");
    bad("query --customer umbrella", "not-found");
    bad("query --product boreas", "not-found");
    bad("query --from 2026-06-02 --to 2026-06-01", "input-invalid");
    bad("query --format csv", "input-invalid");
    bad("show 0", "not-found");
    bad("show 9999", "not-found");
    let word = folder.run("audit query --event mint");
    assert_eq!(word.status.code(), Some(2));
    let said = String::from_utf8(word.stderr).unwrap();
    assert!(said.contains("token-minted"), "{said}");
}
