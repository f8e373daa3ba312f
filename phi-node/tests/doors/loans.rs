//! Seats that are taken along, through both doors.

use phi_enforce::{BorrowedSeat, borrowed_from_text};
use phi_node::licenses::Standing;
use phi_tests::snakeoil::{self, NOW, PRODUCT};
use phi_verify::Fingerprint;
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    calls::{Call, Outcome, Told, assert_same},
    node::{NodeRig, site_key},
};

/// One of the two seats may be away.
const LENT: &str = "[seats.seats]\nborrow = { days = 7, percent = 50 }\n";

fn machine(product: &str, name: &str) -> Fingerprint {
    Fingerprint::new(product)
        .with("machine-id", name)
        .with("board", name)
}

fn request(name: &str) -> Value {
    json!({
        "limit": "seats", "session": "away",
        "machine": machine(PRODUCT, name).to_request().unwrap(),
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Call {
    body[field] = value;
    Call::Borrow(body)
}

#[tokio::test]
async fn a_seat_is_taken_along_and_handed_back() {
    let rig = NodeRig::with_policy(LENT);
    let mut grpc = rig.grpc(&rig.web);
    let laptop = Call::Borrow(request("laptop"));
    let Outcome::Done(lent) = laptop.over_http(rig.address, &rig.web).await else {
        panic!("a seat is lent");
    };
    assert_eq!(lent["holder"], "web");
    // The same machine has the same seat, whichever way it asks.
    let Outcome::Done(same) = laptop.over_grpc(&mut grpc).await else {
        panic!("the seat is lent again");
    };
    assert_eq!(same["fence"], lent["fence"]);

    // The machine has it without a node.
    let word = lent["document"].as_str().unwrap();
    let document = borrowed_from_text(word).unwrap();
    let seat = BorrowedSeat::open(&document, &[site_key().public().clone()]).unwrap();
    let shelf = rig.service.books().shelf();
    let entry = shelf.licenses.values().next().unwrap();
    let Standing::InForce(license) = &entry.standing else {
        panic!("the license is in force");
    };
    let (here, trust) = (machine(PRODUCT, "laptop"), snakeoil::trust());
    assert_eq!(seat.check(license, &here, &trust, NOW.plus(60)), Ok(()));
    assert_eq!(seat.occupant().session, "web/away");

    // It counts, and one more may not be away.
    let desk = Call::Borrow(request("desk"));
    refused_alike(&rig, &desk, "loans-full", 429, Code::ResourceExhausted).await;
    let own = Call::Claim("seats", None, "here")
        .over_grpc(&mut grpc)
        .await;
    assert!(matches!(own, Outcome::Done(_)), "{own:?}");
    let other = Call::Claim("seats", Some("team-a"), "1");
    let full = other.over_http(rig.address, &rig.team).await;
    assert!(matches!(&full, Outcome::Refused(refused) if refused.code == "seats-full"));

    // Nobody but who borrowed it hands it back, and then it is free.
    let back = Call::HandBack(word.into());
    let stranger = back.over_http(rig.address, &rig.other).await;
    assert!(matches!(&stranger, Outcome::Refused(refused) if refused.code == "seat-unknown"));
    for again in [0, 1] {
        let done = back.over_grpc(&mut grpc).await;
        assert!(matches!(done, Outcome::Done(_)), "{again}: {done:?}");
    }
    let free = other.over_http(rig.address, &rig.team).await;
    assert!(matches!(free, Outcome::Done(_)), "{free:?}");
}

#[track_caller]
fn told(outcome: Outcome) -> (String, String, Told) {
    match outcome {
        Outcome::Refused(refused) => (refused.code, refused.detail, refused.status),
        Outcome::Done(done) => panic!("{done}"),
    }
}

async fn refused_alike(rig: &NodeRig, call: &Call, code: &str, status: u16, number: Code) {
    let (http, about, is) = told(call.over_http(rig.address, &rig.web).await);
    assert_eq!(http, code, "{about}");
    assert!(
        matches!(is, Told::Http(is) if is == status),
        "{code}: {is:?}"
    );
    let (grpc, same, is) = told(call.over_grpc(&mut rig.grpc(&rig.web)).await);
    assert_eq!((grpc, same), (http, about));
    assert!(
        matches!(is, Told::Grpc(is) if is == number),
        "{code}: {is:?}"
    );
}

#[tokio::test]
async fn a_seat_that_cannot_be_lent_says_why() {
    let rig = NodeRig::with_policy(LENT);
    let laptop = || request("laptop");
    let other = machine("another", "laptop").to_request().unwrap();
    let (bad, denied) = (Code::InvalidArgument, Code::PermissionDenied);
    for (call, code, status, number) in [
        (
            with(laptop(), "holder", json!("ann")),
            "holder-not-allowed",
            403,
            denied,
        ),
        (
            with(laptop(), "group", json!("ops")),
            "group-not-allowed",
            403,
            denied,
        ),
        (with(laptop(), "session", json!("")), "invalid", 400, bad),
        (with(laptop(), "for_s", json!(0)), "invalid", 400, bad),
        (with(laptop(), "machine", json!(other)), "invalid", 400, bad),
        (
            with(laptop(), "machine", json!("laptop")),
            "fingerprint-invalid",
            400,
            bad,
        ),
        (
            with(laptop(), "required", json!(3)),
            "fingerprint-invalid",
            400,
            bad,
        ),
        (
            with(laptop(), "required", json!(0)),
            "fingerprint-invalid",
            400,
            bad,
        ),
        (
            with(laptop(), "limit", json!("chairs")),
            "unknown",
            404,
            Code::NotFound,
        ),
        (
            Call::HandBack("phi.borrowed-seat.".into()),
            "borrowed-malformed",
            422,
            bad,
        ),
        (
            Call::HandBack("word".into()),
            "borrowed-malformed",
            422,
            bad,
        ),
    ] {
        refused_alike(&rig, &call, code, status, number).await;
    }
    let call = Call::Borrow(laptop());
    let (code, _, _) = told(call.over_http(rig.address, &rig.team).await);
    assert_eq!(code, "scope");
    // A document of another site's is none of this one's.
    let strict = NodeRig::with_policy("[seats.seats]\nlease = 5\n");
    refused_alike(&strict, &call, "not-borrowable", 403, denied).await;
    let keyless = NodeRig::start();
    refused_alike(&keyless, &call, "no-site-key", 403, denied).await;
    let Outcome::Done(lent) = call.over_http(rig.address, &rig.web).await else {
        panic!("a seat is lent");
    };
    let mut altered = borrowed_from_text(lent["document"].as_str().unwrap()).unwrap();
    *altered.last_mut().unwrap() ^= 1;
    let altered = Call::HandBack(phi_enforce::borrowed_to_text(&altered));
    refused_alike(&rig, &altered, "borrowed-signature", 422, bad).await;
    let again = call.over_grpc(&mut rig.grpc(&rig.web)).await;
    assert!(matches!(&again, Outcome::Done(again) if again["fence"] == lent["fence"]));
    // For as long as was asked, where the policy lets it.
    let hour = with(request("laptop"), "for_s", json!(3600));
    let rig = NodeRig::with_policy(LENT);
    let (http, grpc) = (
        hour.over_http(rig.address, &rig.web).await,
        hour.over_grpc(&mut rig.grpc(&rig.web)).await,
    );
    let (Outcome::Done(http), Outcome::Done(grpc)) = (http, grpc) else {
        panic!("a seat is lent");
    };
    let lasts = |lent: &Value| {
        let document = borrowed_from_text(lent["document"].as_str().unwrap()).unwrap();
        let seat = BorrowedSeat::open(&document, &[site_key().public().clone()]).unwrap();
        seat.until().seconds() - NOW.seconds()
    };
    assert!((3600..7200).contains(&lasts(&http)), "{http}");
    assert_same(&http["fence"], &grpc["fence"]);
}
