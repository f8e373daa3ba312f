//! What was exported can be imported into an empty issuer, and is then the same again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::run::{Folder, check};

fn empty() -> Folder {
    let folder = Folder::new();
    folder.ok("init --issuer phi.example.com --product atlas --kdf fast");
    folder.ok("catalog publish");
    folder
}

/// Every state, and every text that a spreadsheet or a list could take for something else.
fn rows(machine: &str) -> String {
    let license = |text: &str| format!("{{\"customer\":\"globex\",\"plan\":\"premium\",{text}}}\n");
    [
        "{\"ref\":\"c1\",\"customer\":\"=1+1\",\"customer_name\":\"=HYPERLINK(\\\"x\\\")\"}\n".into(),
        "{\"ref\":\"c2\",\"customer\":\"@me\",\"customer_kind\":\"user\",\"customer_name\":\"'+quoted'\"}\n"
            .into(),
        "{\"ref\":\"c3\",\"customer\":\"globex\",\"customer_name\":\" Globex, \\\"Inc.\\\" \"}\n".into(),
        license(r#""ref":"1","expires":"never","limits":{"seats":7},"flags":["sso"]"#),
        license(
            r#""ref":"2","expires":"2027-01-01T10:00:00Z","grace":"14d","trial":true,
               "begins":"2026-12-24","addons":["extra_seats","extra_seats"],
               "ext":{"-1":"a;b=c","-2":"[x","-3":"=1","-4":" blank "}"#,
        )
        .replace("\n  ", " ")
        .replace("               ", ""),
        license(r#""ref":"3","expires":"2027-01-01","begins":"2024-05-06","state":"suspended""#),
        license(r#""ref":"4","expires":"2025-01-01","quotas":{"api_calls":"unlimited"}"#),
        license(r#""ref":"5","expires":"2026-05-30","grace":"30d","max_status_age":"36h""#),
        license(r#""ref":"6","expires":"never","state":"revoked","revocation":"refund""#),
        license(r#""ref":"7","expires":"2030-01-01","state":"draft","without":["sso"]"#),
        license(&format!(
            r#""ref":"8","expires":"never","fingerprint":"{machine}","match":1"#
        )),
    ]
    .concat()
}

/// A shop with all of that.
fn full() -> Folder {
    let folder = empty();
    let request = folder.json(
        "fingerprint",
        "fingerprint --product atlas --component part=a",
    );
    let rows = rows(request["request"].as_str().unwrap());
    fs::write(folder.path("rows.jsonl"), rows).unwrap();
    let imported = folder.json("import", "import rows.jsonl");
    assert_eq!(imported["counts"]["imported"], 11);
    folder
}

/// The rows of an export without what is made anew: the ids of licenses.
fn exported(folder: &Folder) -> Vec<Value> {
    let lines = folder.ok("export --format jsonl");
    let row = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        if row.get("plan").is_some() {
            row.as_object_mut().unwrap().remove("ref");
        }
        row
    };
    lines.lines().map(row).collect()
}

#[test]
fn an_export_is_imported_and_exported_again_as_it_was() {
    let old = full();
    let before = exported(&old);
    assert_eq!(before.len(), 10);
    let states: Vec<_> = before
        .iter()
        .filter_map(|row| row["state"].as_str())
        .collect();
    let all = [
        "active",
        "active",
        "suspended",
        "expired",
        "grace",
        "revoked",
        "draft",
        "active",
    ];
    assert_eq!(states, all);
    for file in ["all.csv", "all.jsonl"] {
        let answer = old.json("export", &format!("export --out {file}"));
        assert_eq!(
            (&answer["licenses"], &answer["customers"]),
            (&8.into(), &2.into())
        );
        let new = empty();
        fs::copy(old.path(file), new.path(file)).unwrap();
        let imported = new.json("import", &format!("import {file}"));
        assert_eq!(imported["counts"]["imported"], 10, "{imported:#}");
        let after = exported(&new);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before, after, "{file}");
        }
        assert_eq!(before.len(), after.len());
        let again = new.json("import", &format!("import {file}"));
        assert_eq!(again["counts"]["repeated"], 10);
        new.ok("ledger verify");
    }
}

#[test]
fn no_cell_is_a_formula_and_files_are_the_owners() {
    let folder = full();
    folder.ok("export --out all.csv");
    let text = fs::read_to_string(folder.path("all.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut guarded = 0;
    for cell in reader.records().flat_map(|row| {
        let row = row.unwrap();
        row.iter().map(str::to_owned).collect::<Vec<_>>()
    }) {
        assert!(
            !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
            "{cell}"
        );
        guarded += usize::from(cell.starts_with('\''));
    }
    assert_eq!(guarded, 4, "{text}");
    fs::write(
        folder.path("bad.csv"),
        "ref,customer,plan\n=1,globex,none\n",
    )
    .unwrap();
    let output = folder.run("import bad.csv --report report.csv --refused refused.csv");
    assert_eq!(output.status.code(), Some(14));
    let report = fs::read_to_string(folder.path("report.csv")).unwrap();
    assert!(report.contains("\n2,'=1,refused,"), "{report}");
    for file in ["all.csv", "report.csv", "refused.csv"] {
        let mode = fs::metadata(folder.path(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn what_cannot_be_carried_over_is_refused() {
    let old = full();
    old.ok("revoke customer globex --reason breach");
    old.ok("export --out all.csv");
    let new = empty();
    fs::copy(old.path("all.csv"), new.path("all.csv")).unwrap();
    let output = new.run("--json import all.csv");
    assert_eq!(output.status.code(), Some(14));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    check("import", &answer);
    assert_eq!(answer["counts"]["refused"], 8);
    assert_eq!(answer["rows"][0]["error"]["column"], "customer_revoked");
    assert_eq!(answer["counts"]["imported"], 2);
}

#[test]
fn reports_come_in_every_form() {
    let folder = full();
    let old = fs::read_to_string(folder.path("rows.jsonl")).unwrap();
    fs::write(folder.path("rows.jsonl"), old + "{}\n").unwrap();
    for report in ["report.csv", "report.jsonl", "report.json"] {
        let output = folder.run(&format!("import rows.jsonl --dry-run --report {report}"));
        assert_eq!(output.status.code(), Some(14), "{output:?}");
    }
    let read = |file: &str| fs::read_to_string(folder.path(file)).unwrap();
    let whole: Value = serde_json::from_str(&read("report.json")).unwrap();
    check("import", &whole);
    let rows = whole["rows"].as_array().unwrap();
    let lines = read("report.jsonl");
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(lines.eq(rows.iter().cloned()));
    assert_eq!(read("report.csv").lines().count(), rows.len() + 1);
}
