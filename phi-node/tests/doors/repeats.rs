//! Units that are taken once, however often they are asked for under one key.

use phi_node::clients::BearerKey;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};
use tonic::Code;

use crate::{
    calls::{Call, Outcome, Told, assert_same},
    node::NodeRig,
    server::{assert_status, say},
};

fn request(key: &BearerKey, name: &str) -> String {
    let body = r#"{"quota":"api_calls","units":3}"#;
    format!(
        "POST /v1/take HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\nContent-Type: application/json\r\n\
         {name}Content-Length: {}\r\n\r\n{body}",
        key.expose(),
        body.len()
    )
}

fn left(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Done(taken) => taken["left"].as_u64().unwrap(),
        Outcome::Refused(refused) => panic!("{refused:?}"),
    }
}

fn code(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(refused) => refused.code,
        Outcome::Done(done) => panic!("{done}"),
    }
}

#[tokio::test]
async fn what_was_taken_under_a_key_is_taken_once_at_both_doors() {
    let rig = NodeRig::start();
    let mut grpc = rig.grpc(&rig.web);
    let once = Call::TakeOnce("api_calls", 3, "one \"two\" \\");
    let Outcome::Done(first) = once.over_http(rig.address, &rig.web).await else {
        panic!("it is taken");
    };
    assert_eq!(first["left"], 7);
    let Outcome::Done(same) = once.over_http(rig.address, &rig.web).await else {
        panic!("it is told again");
    };
    assert_eq!(first, same);
    let Outcome::Done(same) = once.over_grpc(&mut grpc).await else {
        panic!("it is told again");
    };
    assert_same(&first, &same);
    // Anything else under it is refused, and takes nothing.
    for other in [
        Call::TakeOnce("api_calls", 2, "one \"two\" \\"),
        Call::TakeOnce("projects", 3, "one \"two\" \\"),
    ] {
        let (http, grpc) = (
            other.over_http(rig.address, &rig.web).await,
            other.over_grpc(&mut grpc).await,
        );
        let (Outcome::Refused(http), Outcome::Refused(grpc)) = (http, grpc) else {
            panic!("the key is of another call");
        };
        assert_eq!(http, grpc);
        assert_eq!(http.code, "idempotency-key-reused");
        assert!(matches!(http.status, Told::Http(422)));
        assert!(matches!(grpc.status, Told::Grpc(Code::InvalidArgument)));
    }
    // A key that was refused is free, and so is no key at all.
    let much = Call::TakeOnce("api_calls", 11, "much").over_grpc(&mut grpc);
    assert_eq!(code(much.await), "quota-exhausted");
    let less = Call::TakeOnce("api_calls", 1, "much");
    assert_eq!(left(&less.over_grpc(&mut grpc).await), 6);
    let free = Call::Take("api_calls", 1);
    assert_eq!(left(&free.over_http(rig.address, &rig.web).await), 5);
    assert_eq!(left(&free.over_http(rig.address, &rig.web).await), 4);
    // Who may not take is told nothing.
    let reader = once.over_http(rig.address, &rig.reader).await;
    assert_eq!(code(reader), "scope");
    let empty = Call::TakeOnce("api_calls", 1, "");
    let http = code(empty.over_http(rig.address, &rig.web).await);
    assert_eq!(
        (http, code(empty.over_grpc(&mut grpc).await)),
        ("invalid".into(), "invalid".into())
    );
    for wrong in [
        "one",
        "\"one",
        "\"one\\n\"",
        "\"o\"ne\"",
        "\"one\"; a=1",
        "\"one\"\r\nIdempotency-Key: \"one\"",
    ] {
        let request = request(&rig.web, &format!("Idempotency-Key: {wrong}\r\n"));
        let answer = say(rig.address, request.as_bytes()).await;
        assert_status(&answer, 400);
        assert!(answer.contains("quotation marks"), "{answer}");
    }
    assert_eq!(left(&free.over_http(rig.address, &rig.web).await), 3);
}

/// Sixteen at once, each of whom is given the one answer or told to come again; and one who hung up
/// before it was given any.
#[tokio::test]
async fn who_lost_the_answer_is_not_charged_twice() {
    let rig = NodeRig::start();
    let mut all = JoinSet::new();
    for _ in 0..16 {
        let text = request(&rig.web, "Idempotency-Key: \"all\"\r\n");
        let address = rig.address;
        all.spawn(async move { say(address, text.as_bytes()).await });
    }
    let mut given = 0;
    for answer in all.join_all().await {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        if head.starts_with("HTTP/1.1 200 ") {
            assert_eq!(body["left"], 7);
            given += 1;
        } else {
            assert_status(&answer, 409);
            assert_eq!(body["code"], "idempotency-key-in-work");
            assert!(head.contains("retry-after: 1"), "{head}");
        }
    }
    assert!(given > 0);
    let lost = request(&rig.web, "Idempotency-Key: \"lost\"\r\n");
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(lost.as_bytes()).await.unwrap();
    drop(stream);
    loop {
        let answer = say(rig.address, lost.as_bytes()).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            assert!(answer.contains("\"left\":4"), "{answer}");
            break;
        }
        assert_status(&answer, 409);
    }
    let next = Call::Take("api_calls", 1)
        .over_http(rig.address, &rig.web)
        .await;
    assert_eq!(left(&next), 3);
}
