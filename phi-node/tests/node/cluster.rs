//! Two nodes on one database: one limit.

use std::thread;

use phi_tests::postgres::Schema;
use serde_json::json;

use crate::{
    issuer::{LICENSE, bundle, claims},
    process::Home,
};

#[test]
fn nodes_on_one_database_share_every_limit() {
    let Some(schema) = Schema::create() else {
        return;
    };
    let schema = schema.unwrap();
    let store = schema.url();
    let bundle = bundle(&[claims(LICENSE, 500, 1)]);
    let homes = [Home::new(&bundle), Home::new(&bundle)];
    let nodes = homes.each_ref().map(|home| home.start_on(&store, &[]));
    let [one, two] = nodes.each_ref().map(|node| node.api.clone());

    // Both take as long as there is something; what one of them holds and does not spend comes back.
    let admitted: u64 = thread::scope(|scope| {
        let take = |api: crate::api::Api| {
            scope.spawn(move || {
                let mut taken = 0;
                while api.take(5).status == 200 {
                    taken += 5;
                }
                taken
            })
        };
        let takers = [take(one.clone()), take(two.clone())];
        takers.map(|taker| taker.join().unwrap()).iter().sum()
    });
    assert!(admitted <= 500, "{admitted}");
    let mut rest = 500 - admitted;
    while rest > 0 {
        nodes[0].until(|api| api.take(1), |answer| answer.status == 200);
        rest -= 1;
    }
    for api in [&one, &two] {
        api.take(1).must_be_refused(429, "quota-exhausted");
    }

    // One seat: given up at one node, it is taken at the other.
    let ann = one.claim("ann").is(201);
    two.claim("bob").must_be_refused(429, "seats-full");
    let listed = two.get("/v1/seats?limit=seats").is(200);
    assert_eq!(listed.body["seats"][0]["holder"], "ann");
    // By the same name it moves to another node at once.
    let moved = two.claim("ann").is(201);
    assert!(moved.body["fence"].as_u64() > ann.body["fence"].as_u64());
    let renew = format!("{}/renew", ann.headers["location"]);
    nodes[0].until(
        |api| api.post(&renew, &json!(null)),
        |answer| answer.code() == "seat-lost",
    );
    one.delete(&ann.headers["location"]).is(204);
    two.delete(&moved.headers["location"]).is(204);
    let waits = json!({"limit": "seats", "holder": "bob", "session": "1", "wait_ms": 10_000});
    let bob = one.post("/v1/seats", &waits).is(201);
    one.delete(&bob.headers["location"]).is(204);
    for node in nodes {
        node.stop();
    }
}
