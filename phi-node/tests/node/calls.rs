//! Every call: what it answers, and what it refuses.

use serde_json::json;

use crate::{
    issuer::{LICENSE, OTHER, bundle, claims},
    process::Home,
};

#[test]
fn a_node_answers_for_its_license() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 1)]));
    let node = home.start(&[]);
    let api = &node.api;
    api.get("/livez").is(200);
    api.get("/readyz").is(200);
    let served = api.get("/openapi.json");
    assert_eq!(served.body["openapi"], "3.1.0");
    let metrics = api.get("/metrics").is(200);
    assert!(metrics.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    let licenses = api.get("/v1/licenses").is(200);
    assert_eq!(licenses.body["licenses"][0]["license"], LICENSE.to_string());
    let license = api.get(&format!("/v1/licenses/{LICENSE}")).is(200);
    assert_eq!(license.body["limits"][0]["seats"], 1);

    // By name, by number, and by license.
    api.check().is(200);
    let by_number = json!({"license": LICENSE.to_string(), "flag": "0"});
    api.post("/v1/check", &by_number).is(200);
    let off = api.post("/v1/check", &json!({"flag": "9"}));
    off.must_be_refused(403, "not-granted");

    let taken = api.take(4).is(200);
    assert_eq!(taken.body["left"], 6);
    assert_eq!(taken.headers["ratelimit"], "\"api_calls\";r=6");
    let refused = api.take(7).must_be_refused(429, "quota-exhausted");
    assert_eq!(refused.body["left"], 6);
    // A refusal is kept for a moment.
    node.until(
        |api| api.take(6),
        |answer| answer.status == 200 && answer.body["left"] == 0,
    );

    let seat = api.claim("ann").is(201);
    assert!(seat.body["valid_for_ms"].as_u64().unwrap() > 5000);
    let place = seat.headers["location"].clone();
    // A client that did not hear the answer asks again, and has the same.
    let again = api.claim("ann").is(201);
    assert_eq!(again.text("seat"), seat.text("seat"));
    assert_eq!(again.body["fence"], seat.body["fence"]);
    api.claim("bob").must_be_refused(429, "seats-full");
    let renewed = api.post(&format!("{place}/renew"), &json!(null)).is(200);
    assert_eq!(renewed.body["fence"], seat.body["fence"]);
    let seats = api.get("/v1/seats?limit=seats").is(200);
    assert_eq!(seats.body["seats"][0]["holder"], "ann");
    assert_eq!(seats.body["seats"][0]["client"], "anonymous");
    api.delete(&place).is(204);
    api.delete(&place).must_be_refused(404, "seat-unknown");
    let waits = json!({"limit": "seats", "holder": "bob", "session": "1", "wait_ms": 5000});
    let bob = api.post("/v1/seats", &waits).is(201);
    api.delete(&bob.headers["location"]).is(204);

    let usage = api.get("/v1/usage").is(200);
    assert_eq!(usage.body["quotas"][0]["quota"], "api_calls");
    assert_eq!(usage.body["seats"][0]["peak"], 1);
    let report = api.get("/v1/usage/report?from=2020-01-01").is(200).body;
    let used = &report["licenses"][0];
    assert_eq!(used["license"], LICENSE.to_string());
    assert_eq!(used["quotas"][0]["name"], "api_calls");
    assert_eq!(used["quotas"][0]["periods"][0]["limit"], 10);
    let held = &used["limits"][0]["days"][0];
    assert_eq!((&held["peak"], &held["acquired"]), (&json!(1), &json!(2)));
    for span in [
        "from=now",
        "from=2020-01-01&to=2019-12-31",
        "since=2020-01-01",
    ] {
        let path = format!("/v1/usage/report?{span}");
        assert_eq!(api.get(&path).status, 400, "{span}");
    }
    node.stop();
    assert_eq!(home.charged(), 10);
    let printed = home.run(&[
        "--json",
        "usage",
        "--store",
        "sqlite:usage.db",
        "--from",
        "2020-01-01",
        "--dangerous-on-any-disk",
    ]);
    let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let period = &printed["licenses"][0]["quotas"][0]["periods"][0];
    assert_eq!(period["used"], 10);
    assert_eq!(printed["store"], report["store"]);
}

#[test]
fn what_is_not_a_request_is_refused_with_its_place() {
    let home = Home::new(&bundle(&[claims(LICENSE, 10, 1)]));
    let node = home.start(&[]);
    let api = &node.api;
    let kind = Some("application/json");
    for body in [
        "",
        "{",
        "[]",
        "{\"quota\":\"api_calls\"}",
        "{\"quota\":\"api_calls\",\"units\":-1}",
        "{\"quota\":\"api_calls\",\"units\":1.5}",
        "{\"quota\":\"api_calls\",\"units\":\"1\"}",
        "{\"quota\":\"api_calls\",\"units\":1,\"unit\":1}",
        "{\"quota\":\"api_calls\",\"units\":1,\"units\":1}",
        "{\"quota\":\"api_calls\",\"units\":1} {}",
        "{\"quota\":\"\\ud800\",\"units\":1}",
    ] {
        let answer = api.ask("POST", "/v1/take", kind, body.as_bytes());
        let answer = answer.must_be_refused(400, "malformed");
        assert!(answer.text("detail").contains("line 1"), "{answer:?}");
    }
    let not_json = api.ask("POST", "/v1/take", Some("text/plain"), b"{}");
    not_json.must_be_refused(415, "not-json");
    api.take(0).must_be_refused(400, "invalid");
    api.take(u64::MAX).must_be_refused(400, "invalid");
    for (claim, code) in [
        (json!({"limit": "seats", "session": ""}), "invalid"),
        (json!({"limit": "seats", "session": "a\nb"}), "invalid"),
        (
            json!({"limit": "seats", "session": "a".repeat(257)}),
            "invalid",
        ),
        (
            json!({"limit": "seats", "session": "a".repeat(256)}),
            "name-too-long",
        ),
        (
            json!({"limit": "seats", "session": "a", "wait_ms": 60_001}),
            "invalid",
        ),
    ] {
        api.post("/v1/seats", &claim).must_be_refused(400, code);
    }
    let flag = api.post("/v1/check", &json!({"flag": "teleport"}));
    flag.must_be_refused(404, "unknown");
    let license = json!({"license": "ffffffffffffffff", "flag": "export"});
    api.post("/v1/check", &license)
        .must_be_refused(404, "unknown");
    api.get("/v1/seats").must_be_refused(400, "malformed");
    api.get("/v1/seats?limit=seats&page=2")
        .must_be_refused(400, "malformed");
    api.get("/v1/licenses/%ff")
        .must_be_refused(400, "malformed");
    api.get("/v2").must_be_refused(404, "no-route");
    api.delete("/v1/take").must_be_refused(405, "no-method");
    api.post("/v1/seats/none/renew", &json!(null))
        .must_be_refused(404, "seat-unknown");
    for bytes in [
        &b""[..],
        b"\xff\xfe",
        b"hello world",
        b"v4.public.e30",
        b"{}",
    ] {
        let refused = api.push(bytes);
        assert_eq!(refused.status, 422, "{refused:?}");
    }
    // None of it took anything.
    assert_eq!(api.take(10).is(200).body["left"], 0);
}

#[test]
fn a_client_does_what_its_scopes_say_and_no_more() {
    let licenses = [claims(LICENSE, 10, 5), claims(OTHER, 10, 5)];
    let home = Home::new(&bundle(&licenses));
    let license = LICENSE.to_string();
    let web = home.add_client(
        "web",
        &[
            "--scope",
            "check,seats",
            "--holder",
            "team-*",
            "--license",
            &license,
        ],
    );
    let worker = home.add_client("worker", &["--scope", "seats,take"]);
    let node = home.start(&["--clients", "clients.toml"]);
    node.api.check().is(401);
    node.api.with("phi_key_0").check().is(401);
    node.api.get("/readyz").is(200);
    let (web, worker) = (node.api.with(&web), node.api.with(&worker));

    // Confined to one license, it need not name it; the other one is not there for it.
    web.check().is(200);
    let other = json!({"license": OTHER.to_string(), "flag": "export"});
    web.post("/v1/check", &other)
        .must_be_refused(404, "unknown");
    web.take(1).must_be_refused(403, "scope");
    web.push(b"").must_be_refused(403, "scope");
    web.get("/v1/usage").must_be_refused(403, "scope");
    web.get("/v1/licenses").must_be_refused(403, "scope");
    worker.take(1).must_be_refused(400, "license-ambiguous");
    let named = json!({"license": OTHER.to_string(), "quota": "api_calls", "units": 1});
    worker.post("/v1/take", &named).is(200);

    // In nobody's name but those that it may.
    let seat = web.claim("team-red").is(201);
    web.claim("ann").must_be_refused(403, "holder-not-allowed");
    web.claim("web").must_be_refused(403, "holder-not-allowed");
    let own = json!({"license": license, "limit": "seats", "session": "1"});
    assert_eq!(
        worker.post("/v1/seats", &own).is(201).text("holder"),
        "worker"
    );
    let place = &seat.headers["location"];
    worker
        .post(&format!("{place}/renew"), &json!(null))
        .must_be_refused(404, "seat-unknown");
    worker.delete(place).must_be_refused(404, "seat-unknown");
    web.delete(place).is(204);
}
