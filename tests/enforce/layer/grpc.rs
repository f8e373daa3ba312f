//! Around a tonic server. The service is gRPC's own health service: one call with one answer, and
//! one whose answers go on.

use tokio::net::TcpListener;
use tonic::{
    Code, Status,
    transport::{Channel, Server, server::TcpIncoming},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::*;

/// A client of a server behind the layer. What a call needs is in its metadata.
async fn start(gate: &Gate) -> HealthClient<Channel> {
    let gate = gate.clone();
    let layer = GateLayer::new(move |head| {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        by_path(
            &gate,
            text("needs").unwrap_or_default(),
            text("user").unwrap_or_default(),
        )
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().layer(layer).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(channel.connect().await.unwrap())
}

fn asks(needs: &'static str, user: &'static str) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request
        .metadata_mut()
        .insert("needs", needs.parse().unwrap());
    request.metadata_mut().insert("user", user.parse().unwrap());
    request
}

fn said<'a>(status: &'a Status, name: &str) -> &'a str {
    let value = status.metadata().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[test]
fn what_is_refused_is_a_status_with_its_reasons() {
    let running = Running::new(&calls(1));
    block_on(async {
        let mut client = start(&running.gate).await;
        let admitted = client.check(asks("/calls", "")).await.unwrap();
        assert_eq!(
            admitted.metadata().get("ratelimit").unwrap(),
            r#""calls";r=0"#
        );
        let refused = client.check(asks("/calls", "")).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.message(), "the quota has 0 left");
        assert_eq!(said(&refused, "phi-code"), "quota-exhausted");
        assert_eq!(said(&refused, "ratelimit"), r#""calls";r=0"#);
        assert_eq!(said(&refused, "grpc-retry-pushback-ms"), "-1");
        for (needs, code) in [("/other", "not-granted"), ("/unheard-of", "undeclared")] {
            let refused = client.check(asks(needs, "")).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied);
            assert_eq!(said(&refused, "phi-code"), code);
        }
        client.check(asks("/open", "")).await.unwrap();
        running.gate.refuse("suspended");
        let refused = client.check(asks("/export", "")).await.unwrap_err();
        assert_eq!(refused.message(), "there is no license in force: suspended");
    });
}

#[test]
fn a_stream_holds_its_seat_until_it_ends() {
    let running = Running::new(&calls(1));
    block_on(async {
        let mut client = start(&running.gate).await;
        let mut streams = Vec::new();
        for user in ["ann", "bob"] {
            let mut stream = client
                .watch(asks("/seat", user))
                .await
                .unwrap()
                .into_inner();
            assert!(stream.message().await.unwrap().is_some());
            streams.push(stream);
        }
        let refused = client.check(asks("/seat", "cid")).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(said(&refused, "phi-code"), "seats-full");
        assert_eq!(said(&refused, "grpc-retry-pushback-ms"), "1000");
        drop(streams.pop());
        client.check(asks("/queue", "cid")).await.unwrap();
    });
    assert_eq!(running.seats_at_the_end(), 0);
}
