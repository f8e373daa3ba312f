//! What happens to a node: licenses that change, and its end, told and untold.

use std::fs;

use serde_json::json;

use crate::{
    issuer::{LICENSE, OTHER, bundle, claims, list},
    process::Home,
};

#[test]
fn a_license_that_is_suspended_by_push_ends_at_once_and_counts_on() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 5)]));
    let node = home.start(&[]);
    let api = &node.api;
    api.take(4).is(200);
    let seat = api.claim("ann").is(201);
    let renew = format!("{}/renew", seat.headers["location"]);

    let pushed = api.push(&list(2, &[LICENSE], &[])).is(200);
    assert_eq!(pushed.body["parts"][0]["outcome"], "updated");
    let refused = api.check().must_be_refused(403, "unlicensed");
    assert_eq!(refused.body["reason"], "suspended");
    api.take(1).must_be_refused(403, "unlicensed");
    api.post(&renew, &json!(null))
        .must_be_refused(409, "seat-lost");
    let ready = api.get("/readyz").is(503);
    assert_eq!(ready.body["reasons"][0]["code"], "no-license");
    let license = &api.get("/v1/licenses").body["licenses"][0];
    assert_eq!(license["in_force"], false);

    // An older list brings nothing back; a newer one does, and nothing is counted anew.
    let older = api.push(&list(1, &[], &[])).is(200);
    assert_eq!(older.body["parts"][0]["outcome"], "passed");
    api.check().must_be_refused(403, "unlicensed");
    let text = phi_verify::armor::document_to_text(&list(4, &[], &[LICENSE])).unwrap();
    api.push(phi_verify::armor::wrap("STATUS", &text).as_bytes())
        .is(200);
    api.check().is(200);
    assert_eq!(api.take(1).is(200).body["left"], 5);
    let log = fs::read_to_string(home.path("node.log")).unwrap();
    for words in [
        "anonymous handed in ",
        "license 0000000000000007 is not in force any more: license is revoked: suspended",
        "license 0000000000000007 revision 1 of",
    ] {
        let words = words.replace("0000000000000007", &LICENSE.to_string());
        assert!(log.contains(&words), "{words} in\n{log}");
    }
}

#[test]
fn an_older_revision_of_a_license_is_passed() {
    let newer = phi_verify::Claims {
        license_revision: 2,
        ..claims(LICENSE, 10, 5)
    };
    let home = Home::new(&bundle(&[newer]));
    let node = home.start(&[]);
    let older = phi_verify::Claims {
        license_revision: 1,
        ..claims(LICENSE, 1000, 5)
    };
    let token = phi_tests::snakeoil::Seed::License.mint(&older);
    let pushed = node.api.push(token.as_bytes()).is(200);
    assert_eq!(pushed.body["parts"][0]["outcome"], "passed");
    assert_eq!(node.api.take(1).is(200).body["left"], 9);
}

#[test]
fn files_that_are_put_beside_a_node_are_in_force_without_a_restart() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 5)]));
    let node = home.start(&[]);
    node.api.check().is(200);
    fs::write(home.path("watched/status.phi"), list(2, &[LICENSE], &[])).unwrap();
    node.until(|api| api.check(), |answer| answer.code() == "unlicensed");
    fs::write(home.path("watched/status.phi"), list(4, &[], &[LICENSE])).unwrap();
    node.until(|api| api.check(), |answer| answer.status == 200);
    // What is broken is said, and changes nothing.
    fs::write(home.path("watched/broken.phi"), "broken by hand").unwrap();
    fs::write(
        home.path("watched/acme.bundle"),
        bundle(&[claims(OTHER, 10, 5)]),
    )
    .unwrap();
    let licenses = |answer: &crate::api::Answer| answer.body["licenses"].as_array().unwrap().len();
    node.until(
        |api| api.get("/v1/licenses"),
        |answer| licenses(answer) == 2,
    );
    let other = json!({"license": OTHER.to_string(), "flag": "export"});
    node.api.post("/v1/check", &other).is(200);
}

#[test]
fn a_node_that_is_killed_goes_on_where_it_was() {
    let home = Home::new(&bundle(&[]));
    let node = home.start(&[]);
    assert_eq!(
        node.api.get("/readyz").is(503).body["reasons"][0]["code"],
        "no-license"
    );
    node.api.check().must_be_refused(404, "no-license");
    let token = phi_tests::snakeoil::Seed::License.mint(&claims(LICENSE, 1000, 1));
    let pushed = node.api.push(token.as_bytes()).is(200);
    assert_eq!(pushed.body["good"], true);
    node.api.take(400).is(200);
    let seat = node.api.claim("ann").is(201);
    node.api.push(&list(2, &[OTHER], &[])).is(200);
    node.kill();

    // What was pushed is there again; who had the seat has it again, and it is another's number.
    let node = home.start(&[]);
    let left = node.api.take(1).is(200).body["left"].as_u64().unwrap();
    // What was taken stays taken, and the dead node took along no more than a call had asked for.
    assert!((199..600).contains(&left), "{left}");
    let again = node.api.claim("ann").is(201);
    assert!(again.body["fence"].as_u64() > seat.body["fence"].as_u64());
    let trust = &node.api.get("/v1/licenses").body["trust"];
    assert_eq!(trust["status"], 2);
}

#[test]
fn a_node_that_hears_a_hangup_reads_its_clients_again() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 1)]));
    home.add_client("web", &["--scope", "check"]);
    let node = home.start(&["--clients", "clients.toml"]);
    let logged = |words: &str| {
        node.until(
            |api| api.get("/livez"),
            |_| {
                fs::read_to_string(home.path("node.log"))
                    .unwrap()
                    .contains(words)
            },
        );
    };
    let key = home.add_client("more", &["--scope", "check"]);
    node.tell_to_read_again();
    logged("told to: the files");
    node.api.with(&key).check().is(200);
    // What is broken is said, and locks nobody out.
    fs::write(home.path("clients.toml"), "[[client]]\n").unwrap();
    node.tell_to_read_again();
    logged("told to read files again");
    node.api.with(&key).check().is(200);
    node.stop();
}

#[test]
fn a_node_that_is_told_to_stop_gives_everything_back() {
    let home = Home::new(&bundle(&[claims(LICENSE, 100_000, 1)]));
    let node = home.start(&[]);
    for _ in 0..7 {
        node.api.take(1).is(200);
    }
    let seat = node.api.claim("ann").is(201);
    let place = seat.headers["location"].clone();
    node.tell_to_stop();
    // It waits for whoever may be on a seat, and says so to everybody.
    node.until(|api| api.get("/readyz"), |answer| answer.status == 503);
    let ready = node.api.get("/readyz");
    assert_eq!(ready.body["reasons"][0]["code"], "node-stopping");
    let renewed = node.api.post(&format!("{place}/renew"), &json!(null));
    renewed.must_be_refused(503, "node-stopping");
    node.api.claim("bob").must_be_refused(503, "node-stopping");
    node.api.delete(&place).is(204);
    assert_eq!(node.ended(), Some(0));
    assert_eq!(home.charged(), 7);
}
