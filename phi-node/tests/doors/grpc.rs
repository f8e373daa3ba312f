//! What gRPC has beside the calls: health, reflection, certificates, and its own ways to be abused.

use std::time::Duration;

use phi_node::{
    clients,
    grpc::v1,
    listener::{Drained, Protection},
    tls::{ClientCertificates, Tls},
};
use prost::Message;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    node::{Bearer, NodeRig, documents, license},
    server::{limits, say, within},
    tls::{Files, identity},
};

const SERVICE: &str = "phi.enforce.v1.Enforcement";

fn asked(service: &str) -> HealthCheckRequest {
    let service = service.into();
    HealthCheckRequest { service }
}

/// Health tells the truth at the moment, and watching it ends when the node stops.
#[tokio::test]
async fn health_is_readiness() {
    let mut rig = NodeRig::empty(Protection::PlaintextOnLoopback, limits());
    let mut open = HealthClient::new(rig.channel());
    let mut is = async |service: &str| {
        let answer = open.check(asked(service)).await;
        answer.map(|answer| answer.into_inner().status())
    };
    assert_eq!(is("").await.unwrap(), ServingStatus::NotServing);
    assert_eq!(is(SERVICE).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(is("other").await.unwrap_err().code(), Code::NotFound);

    // Watching needs a client.
    let mut nobody = HealthClient::new(rig.channel());
    assert_eq!(
        nobody.watch(asked("")).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let known = InterceptedService::new(rig.channel(), Bearer::of(&rig.web));
    let mut watching = HealthClient::new(known)
        .watch(asked(SERVICE))
        .await
        .unwrap()
        .into_inner();
    let mut next = async || {
        within(watching.next())
            .await
            .map(|told| told.unwrap().status())
    };
    assert_eq!(next().await, Some(ServingStatus::NotServing));

    for document in documents() {
        rig.service.books().import(&document).unwrap();
    }
    rig.service.books().import(license().as_bytes()).unwrap();
    assert_eq!(is("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(next().await, Some(ServingStatus::Serving));

    rig.service.drain();
    assert_eq!(is(SERVICE).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(next().await, Some(ServingStatus::NotServing));
    assert_eq!(next().await, None);
    rig.stop();
    assert_eq!(rig.drained().await, Drained::Wholly);
}

#[tokio::test]
async fn reflection_tells_the_interface() {
    let rig = NodeRig::start();
    let ask = |request| {
        let host = String::new();
        let message_request = Some(request);
        let request = ServerReflectionRequest {
            host,
            message_request,
        };
        tokio_stream::once(request)
    };
    let mut nobody = ServerReflectionClient::new(rig.channel());
    let list = ask(MessageRequest::ListServices(String::new()));
    let refused = nobody.server_reflection_info(list).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    let known = InterceptedService::new(rig.channel(), Bearer::of(&rig.reader));
    let mut client = ServerReflectionClient::new(known);
    let mut tell = async |request| {
        let mut answers = client
            .server_reflection_info(ask(request))
            .await
            .unwrap()
            .into_inner();
        within(answers.next())
            .await
            .unwrap()
            .unwrap()
            .message_response
            .unwrap()
    };
    let MessageResponse::ListServicesResponse(list) =
        tell(MessageRequest::ListServices(String::new())).await
    else {
        panic!("services are listed");
    };
    let mut names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        SERVICE,
    ];
    assert_eq!(names, expected);
    let symbol = MessageRequest::FileContainingSymbol(SERVICE.into());
    let MessageResponse::FileDescriptorResponse(file) = tell(symbol).await else {
        panic!("the interface is told");
    };
    let bytes = file.file_descriptor_proto.concat();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("ImportDocument") && holds("Gives a seat back"));
}

async fn over_tls(
    rig: &NodeRig,
    files: &Files,
    shown: Option<&crate::tls::Identity>,
) -> Option<Channel> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(files.authority.pem()))
        .domain_name("localhost");
    if let Some(shown) = shown {
        let key = shown.key.serialize_pem();
        tls = tls.identity(Identity::from_pem(shown.certificate.pem(), key));
    }
    let endpoint = Endpoint::try_from(format!("https://{}", rig.address)).unwrap();
    within(endpoint.tls_config(tls).unwrap().connect())
        .await
        .ok()
}

#[tokio::test]
async fn a_certificate_is_its_client() {
    let files = Files::new();
    let tls = Tls::load(files.tls(ClientCertificates::Optional)).unwrap();
    let rig = NodeRig::empty(Protection::Tls(tls), limits());
    let scopes = clients::Scopes::new([clients::Right::Read]);
    let name = "reader.example".parse().unwrap();
    clients::add_certificate(&rig.clients, "certified", &name, &scopes).unwrap();
    let shown = identity(&files.authority, "reader.example");
    let channel = over_tls(&rig, &files, Some(&shown)).await.unwrap();
    let mut client = v1::enforcement_client::EnforcementClient::new(channel);
    let mut list = async || client.list_licenses(v1::ListLicensesRequest {}).await;
    // The file is read again within moments.
    let mut tries = 0;
    while list()
        .await
        .is_err_and(|status| status.code() == Code::Unauthenticated)
    {
        tries += 1;
        assert!(tries < 100_000, "the client is not known");
    }
    assert!(list().await.is_ok());
    let stranger = identity(&files.authority, "stranger.example");
    for nobody in [None, Some(&stranger)] {
        let channel = over_tls(&rig, &files, nobody).await.unwrap();
        let mut client = v1::enforcement_client::EnforcementClient::new(channel);
        let refused = client
            .list_licenses(v1::ListLicensesRequest {})
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
    // And with a key over TLS, as anywhere.
    let channel = over_tls(&rig, &files, None).await.unwrap();
    let known = InterceptedService::new(channel, Bearer::of(&rig.reader));
    let mut client = v1::enforcement_client::EnforcementClient::new(known);
    assert!(
        client
            .list_licenses(v1::ListLicensesRequest {})
            .await
            .is_ok()
    );
}

/// A claim that is given up while it waits takes no seat.
#[tokio::test]
async fn who_gives_up_a_claim_has_no_seat() {
    let rig = NodeRig::start();
    let claim = |session: &str, wait_ms| v1::ClaimRequest {
        license: None,
        limit: "seats".into(),
        holder: Some(format!("team-{session}")),
        session: session.into(),
        wait_ms,
        group: None,
    };
    let mut client = rig.grpc(&rig.team);
    let first = client
        .claim(claim("a", None))
        .await
        .unwrap()
        .into_inner()
        .seat
        .unwrap();
    client.claim(claim("b", None)).await.unwrap();
    let mut late = Request::new(claim("c", Some(60_000)));
    late.set_timeout(Duration::from_millis(50));
    let given_up = client.claim(late).await.unwrap_err();
    assert!(
        matches!(given_up.code(), Code::Cancelled | Code::DeadlineExceeded),
        "{given_up}"
    );
    client
        .release(v1::ReleaseRequest { seat: first.seat })
        .await
        .unwrap();
    // The seat is free for who still wants it.
    let waiting = claim("d", Some(10_000));
    let seat = within(client.claim(waiting))
        .await
        .unwrap()
        .into_inner()
        .seat
        .unwrap();
    assert_eq!(seat.holder, "team-d");
}

/// What a claim, encoded, is answered over a connection of its own, with a caller that says how long
/// it waits and does not hang up by itself.
async fn told_in(rig: &NodeRig, method: &str, timeout: &str, message: impl Message) -> Told {
    let stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let _connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://localhost/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .header("authorization", format!("Bearer {}", rig.web.expose()))
        .body(())
        .unwrap();
    let mut sender = within(sender.ready()).await.unwrap();
    let (answer, mut body) = sender.send_request(request, false).unwrap();
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], &length[..], &message].concat();
    body.send_data(frame.into(), true).unwrap();
    let answer = within(answer).await.unwrap();
    let mut told = answer.headers().clone();
    let mut frames = 0;
    if !told.contains_key("grpc-status") {
        let mut body = answer.into_body();
        while within(body.data()).await.is_some() {
            frames += 1;
        }
        told = within(body.trailers()).await.unwrap().unwrap();
    }
    let word = |name: &str| {
        told.get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    (word("grpc-status").unwrap(), word("phi-code"), frames)
}

/// The status, the code, and the frames before it.
type Told = (String, Option<String>, usize);

/// Whoever says how long it waits is answered then, and what it asked for is given up.
#[tokio::test]
async fn a_call_ends_when_its_caller_does_not_wait_any_more() {
    let rig = NodeRig::start();
    let claim = |holder: &str, wait_ms| v1::ClaimRequest {
        limit: "seats".into(),
        holder: Some(holder.into()),
        session: "1".into(),
        wait_ms,
        ..v1::ClaimRequest::default()
    };
    let mut team = rig.grpc(&rig.team);
    for holder in ["team-a", "team-b"] {
        team.claim(claim(holder, None)).await.unwrap();
    }
    let call = |name: &str| format!("{SERVICE}/{name}");
    let late = Some("deadline-exceeded".to_owned());
    let waiting = claim("web", Some(60_000));
    let told = told_in(&rig, &call("Claim"), "100m", waiting).await;
    assert_eq!(told, ("4".into(), late.clone(), 0));
    // It left the queue, and so does a claim whose own wait is over.
    let short = rig.grpc(&rig.web).claim(claim("web", Some(50))).await;
    assert_eq!(short.unwrap_err().code(), Code::ResourceExhausted);
    let list = v1::ListSeatsRequest {
        license: None,
        limit: "seats".into(),
    };
    let mut tries = 0;
    loop {
        let seats = rig.grpc(&rig.web).list_seats(list.clone()).await;
        let seats = seats.unwrap().into_inner().seats;
        if seats.iter().all(|seat| seat.place() == v1::Place::Seat) {
            assert_eq!(seats.len(), 2);
            break;
        }
        tries += 1;
        assert!(tries < 10_000, "{seats:?}");
    }
    // What goes on ends then too, with its own end.
    let watch = told_in(&rig, "grpc.health.v1.Health/Watch", "100m", asked("")).await;
    assert_eq!(watch, ("4".into(), late, 1));
    let check = |flag: &str| v1::CheckRequest {
        license: None,
        flag: flag.into(),
    };
    let told = told_in(&rig, &call("Check"), "99999999H", check("sso")).await;
    assert_eq!(told, ("0".into(), None, 1));
    for wrong in ["5", "1s", "123456789S"] {
        let told = told_in(&rig, &call("Check"), wrong, check("sso")).await;
        let code = Some("timeout-malformed".to_owned());
        assert_eq!(told, ("3".into(), code, 0), "{wrong}");
    }
}

/// Frames and messages that are none.
#[tokio::test]
async fn what_is_no_message_is_refused() {
    let rig = NodeRig::start();
    let (mut sender, _connection) = {
        let stream = tokio::net::TcpStream::connect(rig.address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        (sender, tokio::spawn(connection))
    };
    let frames: [(&[u8], &str); 6] = [
        (b"", "empty"),
        (b"\x00\x00\x00", "cut"),
        (b"\x00\x00\x00\x00\x09\x01", "cut message"),
        (b"\x00\xff\xff\xff\xff", "announced and never sent"),
        (b"\x01\x00\x00\x00\x01\x00", "compressed"),
        (b"\x00\x00\x00\x00\x02\xff\xff", "not protobuf"),
    ];
    for (bytes, about) in frames {
        let request = http::Request::post("http://localhost/phi.enforce.v1.Enforcement/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {}", rig.web.expose()))
            .body(())
            .unwrap();
        sender = within(sender.ready()).await.unwrap();
        let (answer, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(axum::body::Bytes::copy_from_slice(bytes), true)
            .unwrap();
        let answer = within(answer).await.unwrap();
        let mut status = answer.headers().get("grpc-status").cloned();
        if status.is_none() {
            let mut body = answer.into_body();
            while within(body.data()).await.is_some() {}
            let trailers = within(body.trailers()).await.unwrap();
            status = trailers.and_then(|trailers| trailers.get("grpc-status").cloned());
        }
        let status = status.unwrap_or_else(|| panic!("{about}: there is no status"));
        assert_ne!(status, "0", "{about}");
    }
    let get = "GET /phi.enforce.v1.Enforcement/Check HTTP/1.1\r\nHost: localhost\r\n\
               Connection: close\r\n\r\n";
    let answer = say(rig.address, get.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(
        rig.grpc(&rig.web)
            .check(v1::CheckRequest {
                license: None,
                flag: "sso".into()
            })
            .await
            .is_ok()
    );
}
