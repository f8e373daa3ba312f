//! Changes of licenses: their JSON, repeated requests, and what a status document says of them.

use serde_json::Value;

use crate::run::{Folder, check};

/// Every verb about licenses, by its JSON.
#[test]
fn a_license_changes_and_every_answer_fits_its_schema() {
    let (folder, license) = Folder::with_license();
    folder.ok("customer add initech");
    folder.json("customer-change", "customer change initech --name Initech");
    folder.json("license-states", "license states");
    let amend = format!("license amend {license} --plan starter --addon extra_seats");
    let tried = folder.json("license-amend", &format!("{amend} --dry-run"));
    let amended = folder.json("license-amend", &amend);
    assert_eq!(tried["differences"], amended["differences"]);
    assert_eq!(
        (&tried["dry_run"], &amended["dry_run"]),
        (&true.into(), &false.into())
    );
    assert_eq!(amended["revision"], 2);
    let waits = format!("license amend {license} --limit seats=9 --effective 2026-09-01");
    let waits = folder.json("license-amend", &waits);
    assert_eq!(waits["waiting"][0]["revision"], 3);
    folder.json("license-withdraw", &format!("license withdraw {license} 3"));
    let renewed = folder.json(
        "license-renew",
        &format!("license renew {license} --expires +2y"),
    );
    assert_eq!(renewed["expires"], "2028-06-01T00:00:00Z");
    folder.json(
        "license-rebind",
        &format!("license rebind {license} --any-machine"),
    );
    let simulate = format!("license simulate {license} --plan premium");
    let simulated = folder.json("license-simulate", &simulate);
    assert_eq!(simulated["verdict"], "upgrade");
    folder.json("license-suspend", &format!("license suspend {license}"));
    folder.json("license-reinstate", &format!("license reinstate {license}"));
    let trial = "license issue --customer globex --plan starter --trial 30d";
    let trial = folder.json("license-issue", trial);
    let id = trial["license"].as_str().unwrap();
    let convert = format!("license convert {id} --expires never");
    assert_eq!(folder.json("license-convert", &convert)["trial"], false);
    let transfer = format!("license transfer {license} --to initech");
    let tried = folder.json("license-transfer", &format!("{transfer} --dry-run"));
    assert_eq!(tried["new"]["license"], Value::Null);
    let handed = folder.json("license-transfer", &transfer);
    assert_eq!(handed["old"]["successor"], handed["new"]["license"]);
    let history = folder.json("license-history", &format!("license history {license}"));
    assert_eq!(history["moments"].as_array().unwrap().len(), 10);
    let at = folder.json("license-at", &format!("license at {license} --revision 2"));
    assert_eq!(
        (&at["entitled"], &at["because"]),
        (&true.into(), &Value::Null)
    );
    let gone = folder.json(
        "license-at",
        &format!("license at {license} --time 2026-06-01"),
    );
    assert_eq!(
        (&gone["entitled"], &gone["because"]),
        (&false.into(), &"superseded".into())
    );
    folder.json(
        "diff",
        &format!("diff {license} --from-revision 1 --to-revision 2"),
    );
    let list = folder.json("license-list", "license list --state superseded");
    assert_eq!(list["licenses"].as_array().unwrap().len(), 1);
}

/// A list may name a license twice: its tokens were cut, and it is suspended.
#[test]
fn cut_tokens_stay_cut_when_a_license_is_suspended_and_reinstated() {
    let (folder, license) = Folder::with_license();
    let cut = format!("license amend {license} --limit seats=9 --old-tokens cut");
    let nothing = folder.json("license-amend", &cut);
    assert_eq!(nothing["tokens_cut"], false, "no token was minted yet");
    assert_eq!(nothing["revoked"], Value::Null);
    let old = folder.ok(&format!("mint {license}"));
    let at = |time: &str| format!("--now 2026-06-01T{time}Z");
    let run = |time: &str, arguments: &str| {
        let output = folder.plain(&format!("{arguments} {}", at(time)));
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(
        "00:00:02",
        &format!("license amend {license} --limit seats=8 --old-tokens cut"),
    );
    let new = run("00:00:03", &format!("mint {license}"));
    let revoked = |token: &str| {
        let verified = folder.plain(&format!("verify {} {}", token.trim(), at("00:01:00")));
        verified.status.code() == Some(11)
    };
    run("00:00:10", &format!("license suspend {license}"));
    run("00:00:11", "status publish");
    assert!(revoked(&old) && revoked(&new));
    run("00:00:20", &format!("license reinstate {license}"));
    run("00:00:21", "status publish");
    assert!(revoked(&old) && !revoked(&new));
}

/// A span ahead is of the time when the request was first made.
#[test]
fn a_request_that_is_repeated_later_is_the_same_request() {
    let (folder, license) = Folder::with_license();
    let trial = "license issue --customer globex --plan starter --trial 30d --idempotency-key one";
    let first = folder.json("license-issue", trial);
    let suspend = format!("license suspend {license} --idempotency-key two");
    folder.json("license-suspend", &suspend);
    let later = |arguments: &str| {
        let output = folder.plain(&format!("--json {arguments} --now 2026-06-03"));
        assert!(output.status.success(), "{arguments}: {output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    assert_eq!(later(trial)["license"], first["license"]);
    let again = later(&suspend);
    check("license-suspend", &again);
    assert_eq!(
        (&again["repeated"], &again["revision"]),
        (&true.into(), &2.into())
    );
}
