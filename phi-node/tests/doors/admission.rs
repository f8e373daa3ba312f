//! Who is let in, and as whom.

use phi_node::{
    clients::{self, Clients, Right, Scopes},
    entry::{Metrics, Who},
    listener::{Drained, ListenError, Listener, Protection},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::server::{Server, assert_status, limits, rest_of, within};

#[tokio::test]
async fn a_key_is_its_clients() {
    let server = Server::start(limits());
    let answer = server.ask("POST /v1/echo", "hello").await;
    assert_status(&answer, 200);
    assert!(answer.ends_with("web sent 5"), "{answer}");
    assert!(answer.contains("cache-control: no-store"), "{answer}");
    let key = server.key.expose();
    for header in [
        format!("authorization: bearer {key}"),
        format!("AUTHORIZATION: BEARER   {key}"),
    ] {
        let answer = server
            .ask_with("POST /v1/echo", &format!("{header}\r\n"), "")
            .await;
        assert_status(&answer, 200);
    }
}

/// What is shown, and what is answered to it.
#[tokio::test]
async fn everybody_else_is_refused() {
    let server = Server::start(limits());
    let key = server.key.expose().to_owned();
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let cases = [
        (String::new(), "credentials-missing"),
        (bearer(""), "credentials-unknown"),
        (bearer(&key[..key.len() - 1]), "credentials-unknown"),
        (bearer(&format!("{key}0")), "credentials-unknown"),
        (bearer(&key.replace("phi_key_", "")), "credentials-unknown"),
        (bearer(&"a".repeat(8000)), "credentials-unknown"),
        (bearer("phi_key_é"), "credentials-unknown"),
        (format!("Authorization: {key}\r\n"), "credentials-unknown"),
        (
            format!("Authorization: Basic {key}\r\n"),
            "credentials-unknown",
        ),
        (bearer(&key) + &bearer(&key), "credentials-conflict"),
        (format!("X-Api-Key: {key}\r\n"), "credentials-missing"),
    ];
    for (headers, code) in cases {
        for path in [
            "POST /v1/echo",
            "GET /metrics",
            "GET /openapi.json",
            "GET /no/such/path",
        ] {
            let answer = server.ask_with(path, &headers, "").await;
            assert_status(&answer, 401);
            assert!(
                answer.contains("www-authenticate: Bearer realm=\"phi-node\""),
                "{answer}"
            );
            assert!(
                answer.contains("content-type: application/problem+json"),
                "{answer}"
            );
            assert!(
                answer.contains(&format!("\"code\":\"{code}\"")),
                "{headers}: {answer}"
            );
            assert!(!answer.contains(&key), "{answer}");
        }
        let grpc = format!("{headers}Content-Type: application/grpc\r\n");
        let answer = server
            .ask_with("POST /phi.enforce.v1.Enforcement/Check", &grpc, "")
            .await;
        assert_status(&answer, 200);
        assert!(answer.contains("grpc-status: 16\r\n"), "{answer}");
        assert!(
            answer.contains(&format!("phi-code: {code}\r\n")),
            "{answer}"
        );
    }
    let answer = server.ask_with("GET /livez", "", "").await;
    assert_status(&answer, 200);
}

#[tokio::test]
async fn metrics_need_the_right_unless_said() {
    let mut server = Server::start(limits());
    assert_status(&server.ask("GET /metrics", "").await, 200);
    let others = Scopes::new(
        Right::ALL
            .into_iter()
            .filter(|right| *right != Right::Metrics),
    );
    server.key = clients::add(&server.clients, "other", &others).unwrap();
    let others = Clients::load(&server.clients).unwrap();
    let mut server = Server::letting(
        Protection::PlaintextOnLoopback,
        limits(),
        Some(Who::Listed(others)),
        Metrics::ByRight,
    )
    .keyed(server.key);
    let answer = server.ask("GET /metrics", "").await;
    assert_status(&answer, 403);
    assert!(answer.contains("\"code\":\"scope\""), "{answer}");
    assert_status(&server.ask("POST /v1/echo", "").await, 200);
    server.stop();
    let open = Metrics::Anyone;
    let server = Server::letting(Protection::PlaintextOnLoopback, limits(), None, open);
    assert_status(&server.ask_with("GET /metrics", "", "").await, 200);
    assert_status(&server.ask_with("POST /v1/echo", "", "").await, 401);
}

/// On a connection that stays open.
#[tokio::test]
async fn a_client_that_is_removed_is_refused_from_then_on() {
    let server = Server::start(limits());
    let key = server.key.expose();
    let request = format!(
        "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
         Authorization: Bearer {key}\r\n\r\n"
    );
    let mut stream = server.connect().await;
    let mut answers = 0;
    let mut bytes = [0; 4096];
    let mut ask = async || {
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = within(stream.read(&mut bytes)).await.unwrap();
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    };
    assert_status(&ask().await, 200);
    clients::remove(&server.clients, "web").unwrap();
    loop {
        let answer = ask().await;
        if answer.starts_with("HTTP/1.1 401 ") {
            break;
        }
        assert_status(&answer, 200);
        answers += 1;
        assert!(answers < 100_000, "the file is not read again");
    }
}

#[tokio::test]
async fn anybody_is_somebody_on_this_machine() {
    let who = Some(Who::AnyoneOnLoopback);
    let protection = Protection::PlaintextOnLoopback;
    let server = Server::letting(protection, limits(), who, Metrics::ByRight);
    let echo = async |host: &str, more: &str| {
        let text = format!(
            "POST /v1/echo HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: 0\r\n{more}\r\n"
        );
        server.say(text.as_bytes()).await
    };
    for host in [
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1:9",
        "[::1]:9",
        "127.1.2.3",
    ] {
        let answer = echo(&format!("Host: {host}\r\n"), "").await;
        assert_status(&answer, 200);
        assert!(answer.ends_with("anonymous sent 0"), "{answer}");
    }
    // A page in a browser here, somebody behind a proxy here, and a name that was made to lead here.
    for page in [
        "Origin: https://example.com\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "X-Forwarded-For: 203.0.113.9\r\n",
        "Forwarded: for=203.0.113.9\r\n",
    ] {
        assert_status(&echo("Host: localhost\r\n", page).await, 403);
    }
    for host in [
        "example.com",
        "localhost.example.com",
        "10.0.0.1",
        "127.0.0.1.example.com",
    ] {
        assert_status(&echo(&format!("Host: {host}\r\n"), "").await, 403);
    }
    assert_status(&echo("", "").await, 403);
}

#[tokio::test]
async fn plaintext_is_for_loopback_unless_said() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let address = address.parse().unwrap();
        let error = Listener::bind(address, Protection::PlaintextOnLoopback).unwrap_err();
        assert!(matches!(error, ListenError::Plaintext { .. }), "{error}");
        assert_eq!(error.code(), "listen-plaintext");
    }
    let address = "0.0.0.0:0".parse().unwrap();
    assert!(Listener::bind(address, Protection::PlaintextAnywhere).is_ok());
    let taken = Server::start(limits());
    let error = Listener::bind(taken.address, Protection::PlaintextOnLoopback).unwrap_err();
    assert_eq!(error.code(), "listen-failed");
}

#[tokio::test]
async fn who_stops_answers_what_is_under_way() {
    let mut server = Server::start(limits());
    let mut idle = server.connect().await;
    let mut waiting = server.connect().await;
    let key = server.key.expose();
    let text =
        format!("GET /v1/wait HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    waiting.write_all(text.as_bytes()).await.unwrap();
    within(server.waiting.acquire()).await.unwrap().forget();
    server.stop();
    assert_eq!(rest_of(&mut idle).await, "");
    server.answers.add_permits(1);
    let answer = rest_of(&mut waiting).await;
    assert_status(&answer, 200);
    assert!(
        answer.ends_with("waited") && answer.contains("connection: close"),
        "{answer}"
    );
    let address = server.address;
    assert_eq!(server.drained().await, Drained::Wholly);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn who_stops_does_not_wait_for_ever() {
    let mut limits = limits();
    limits.drain = std::time::Duration::from_millis(50);
    let mut server = Server::start(limits);
    let mut waiting = server.connect().await;
    let key = server.key.expose();
    let text =
        format!("GET /v1/wait HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    waiting.write_all(text.as_bytes()).await.unwrap();
    within(server.waiting.acquire()).await.unwrap().forget();
    server.stop();
    assert_eq!(rest_of(&mut waiting).await, "");
    within(server.drained()).await;
}
