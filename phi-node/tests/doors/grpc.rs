//! What gRPC has beside the calls: health, reflection, certificates, and its own ways to be abused.

use std::time::Duration;

use phi_node::{
    clients,
    grpc::v1,
    listener::{Drained, Protection},
    tls::{ClientCertificates, Tls},
};
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
