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

/// A license whose tokens were cut is not revoked; the tokens are.
#[test]
fn what_was_cut_is_told_from_what_is_revoked() {
    let (folder, license) = Folder::with_license();
    folder.ok(&format!("mint {license}"));
    let cut = format!("license amend {license} --limit seats=9 --old-tokens cut");
    folder.json("license-amend", &cut);
    folder.ok(&format!("mint {license}"));
    let late = format!("license amend {license} --limit seats=8 --old-tokens cut --now 2026-06-02");
    let late = folder.plain(&late);
    assert!(late.status.success(), "{late:?}");
    let minted = folder.plain(&format!("mint {license} --now 2026-06-02"));
    assert!(minted.status.success(), "at the very second: {minted:?}");
    let shown = folder.json("license-show", &format!("license show {license}"));
    assert_eq!(shown["revoked"], Value::Null);
    assert_eq!(shown["cut_before"], "2026-06-02T00:00:00Z");
    let tokens = shown["tokens"].as_array().unwrap().iter();
    let revoked: Vec<_> = tokens.map(|token| token["revoked"].as_str()).collect();
    let cut = Some("superseded, cut at 2026-06-02T00:00:00Z");
    assert_eq!(revoked, [Some("superseded"), cut, None]);
    let list = folder.json("license-list", "license list");
    assert_eq!(list["licenses"][0]["revoked"], Value::Null);
}

/// What waits beyond the expiry is for a license that is renewed until then.
#[test]
fn a_change_that_waits_beyond_the_expiry_says_so() {
    let (folder, _) = Folder::with_license();
    let issue = "license issue --customer globex --plan starter --expires 2026-12-31";
    let repeated = format!("{issue} --idempotency-key one");
    let issued = folder.json("license-issue", &repeated);
    assert_eq!(
        (&issued["repeated"], &issued["first_carried_out"]),
        (&false.into(), &Value::Null)
    );
    let again = folder.json("license-issue", &repeated);
    assert_eq!(again["repeated"], true);
    assert_eq!(again["first_carried_out"], issued["issued_at"]);
    let license = issued["license"].as_str().unwrap();
    let amend = |effective: &str| {
        format!("license amend {license} --limit seats=2 --effective {effective}")
    };
    let before = folder.json("license-amend", &amend("2026-12-31"));
    assert_eq!(before["past_expiry"], false);
    let at_it = folder.json("license-amend", &amend("2027-01-01"));
    assert_eq!(at_it["past_expiry"], true);
    assert_eq!(at_it["waiting"][0]["past_expiry"], false);
    assert_eq!(at_it["waiting"][1]["past_expiry"], true);
    let output = folder.run(&format!("{} --dry-run", amend("2027-06-01")));
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(
        note.contains("it will have expired by then unless it is renewed"),
        "{note}"
    );
    // Renewed, but not for long enough; then it is.
    let renew = |expires: &str| format!("license renew {license} --expires {expires}");
    folder.json("license-amend", &amend("2027-06-01"));
    assert_eq!(
        folder.json("license-renew", &renew("2027-02-01"))["past_expiry"],
        true
    );
    assert_eq!(
        folder.json("license-renew", &renew("2027-12-31"))["past_expiry"],
        false
    );
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
