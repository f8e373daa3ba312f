//! Peers that want too much, or nothing that can be had.

use std::time::Duration;

use h2::Reason;
use phi_node::{
    clients::{self, Right, Scopes},
    limits::Limits,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::server::{Server, assert_status, limits, rest_of, within};

const SHORT: Duration = Duration::from_millis(60);

fn limited(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = limits();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn headers_have_a_limit() {
    let server = Server::start(limits());
    let many = "x: y\r\n".repeat(80);
    assert_status(&server.ask("GET /livez", "").await, 200);
    assert_status(&server.ask_with("GET /livez", &many, "").await, 431);
    let large = format!("x: {}\r\n", "y".repeat(40_000));
    assert_status(&server.ask_with("GET /livez", &large, "").await, 431);
    let long = format!("GET /{}", "y".repeat(40_000));
    let answer = server.ask_with(&long, "", "").await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    // What is within them is read whole.
    let some = "x: y\r\n".repeat(50);
    assert_status(&server.ask_with("GET /livez", &some, "").await, 200);
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let server = Server::start(limited(|limits| limits.header_time = SHORT));
    let texts: [&[u8]; 9] = [
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ];
    for text in texts {
        let answer = server.say(text).await;
        assert!(
            !answer.contains(" 200 ") && !answer.contains(" 5"),
            "{text:?}: {answer:?}"
        );
    }
    assert_status(&server.ask("GET /livez", "").await, 200);
}

/// A request that two readers of it take for two different ones.
#[tokio::test]
async fn a_second_request_is_not_smuggled_in() {
    let server = Server::start(limits());
    let key = server.key.expose();
    let text = format!(
        "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n\
         Host: localhost\r\n\r\n"
    );
    let mut stream = server.connect().await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest_of(&mut stream).await;
    assert!(!answer.contains("alive"), "{answer}");
}

#[tokio::test]
async fn who_sends_slowly_is_not_waited_for() {
    let server = Server::start(limited(|limits| {
        limits.header_time = SHORT;
        limits.body_time = SHORT;
    }));
    // Nothing; the beginning of HTTP/2; the beginning of a header.
    for beginning in ["", "PRI * HT", "GET / HTTP/1.1\r\nx-slow: "] {
        let mut stream = server.connect().await;
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let answer = rest_of(&mut stream).await;
        assert!(!answer.contains("200"), "{beginning}: {answer}");
    }
    let key = server.key.expose();
    for body in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        let mut stream = server.connect().await;
        let text = format!(
            "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let answer = rest_of(&mut stream).await;
        assert_status(&answer, 408);
        assert!(answer.contains("\"code\":\"body-too-slow\""), "{answer}");
    }
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let mut server = Server::start(limited(|limits| {
        limits.body_bytes = 1000;
        limits.document_bytes = 5000;
    }));
    let body = |length| "b".repeat(length);
    assert_status(&server.ask("POST /v1/echo", &body(1000)).await, 200);
    let answer = server.ask("POST /v1/echo", &body(1001)).await;
    assert_status(&answer, 413);
    assert!(answer.contains("\"code\":\"body-too-large\""), "{answer}");
    assert_status(&server.ask("POST /v1/documents", &body(5000)).await, 200);
    assert_status(&server.ask("POST /v1/documents", &body(5001)).await, 413);
    // One that does not say how long it is.
    let key = server.key.expose();
    let text = format!(
        "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        format!("200\r\n{}\r\n", body(0x200)).repeat(3)
    );
    assert_status(&server.say(text.as_bytes()).await, 413);
    // Much is for those who may push documents.
    let may = Scopes::new([Right::Check]);
    server.key = clients::add(&server.clients, "checker", &may).unwrap();
    while !server
        .ask("POST /v1/echo", "")
        .await
        .starts_with("HTTP/1.1 200 ")
    {}
    assert_status(&server.ask("POST /v1/documents", &body(1001)).await, 413);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let server = Server::start(limited(|limits| limits.request_time = SHORT));
    let answer = server.ask("GET /v1/wait", "").await;
    assert_status(&answer, 503);
    assert!(answer.contains("\"code\":\"no-answer\""), "{answer}");
}

#[tokio::test]
async fn one_address_has_not_every_place() {
    let server = Server::start(limited(|limits| limits.connections_each = 2));
    let mut first = server.connect().await;
    let second = server.connect().await;
    // Refused without a word, as soon as it is seen.
    assert_eq!(rest_of(&mut server.connect().await).await, "");
    let text = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    first.write_all(text).await.unwrap();
    assert_status(&rest_of(&mut first).await, 200);
    drop((first, second));
    while !server.say(text).await.starts_with("HTTP/1.1 200 ") {}
}

#[tokio::test]
async fn who_comes_when_all_is_full_waits() {
    let server = Server::start(limited(|limits| limits.connections = 1));
    let first = server.connect().await;
    let mut second = server.connect().await;
    let text = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    second.write_all(text).await.unwrap();
    drop(first);
    assert_status(&rest_of(&mut second).await, 200);
}

/// Each on a connection of its own, all at once, three times.
#[tokio::test]
async fn a_thousand_clients_are_served() {
    const CLIENTS: usize = 1024;
    let server = Server::start(limits());
    let key = server.key.expose().to_owned();
    let address = server.address;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let text = format!(
            "POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
             Content-Length: 2\r\n\r\nhi"
        );
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut bytes = [0; 1024];
            for _ in 0..3 {
                stream.write_all(text.as_bytes()).await.unwrap();
                let read = stream.read(&mut bytes).await.unwrap();
                let answer = String::from_utf8_lossy(&bytes[..read]).into_owned();
                assert_status(&answer, 200);
            }
        });
    }
    let answered = within(clients.join_all()).await;
    assert_eq!(answered.len(), CLIENTS);
}

type Sender = h2::client::SendRequest<axum::body::Bytes>;

async fn http2(server: &Server) -> (Sender, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let (sender, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn request(server: &Server, path: &str) -> http::Request<()> {
    let key = format!("Bearer {}", server.key.expose());
    let request = http::Request::get(format!("http://localhost{path}"));
    request.header("authorization", key).body(()).unwrap()
}

/// Requests that are reset as soon as they are made, as many as get through (CVE-2023-44487).
#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let server = Server::start(limited(|limits| limits.abandoned = 50));
    let (mut sender, connection) = http2(&server).await;
    let mut sent = 0;
    while let Ok(ready) = within(sender.clone().ready()).await {
        sender = ready;
        let Ok((answer, mut stream)) = sender.send_request(request(&server, "/v1/wait"), true)
        else {
            break;
        };
        stream.send_reset(Reason::CANCEL);
        drop(answer);
        tokio::task::yield_now().await;
        sent += 1;
        assert!(sent < 100_000, "resets are taken without end");
    }
    let _ = within(connection).await;
    // Others do not notice.
    assert_status(&server.ask("GET /livez", "").await, 200);
}

/// Requests that get through to a route before they are reset.
#[tokio::test]
async fn requests_are_not_given_up_without_end() {
    let server = Server::start(limited(|limits| limits.abandoned = 9));
    let (mut sender, connection) = http2(&server).await;
    for _ in 0..10 {
        sender = within(sender.ready()).await.unwrap();
        let (answer, mut stream) = sender
            .send_request(request(&server, "/v1/wait"), true)
            .unwrap();
        within(server.waiting.acquire()).await.unwrap().forget();
        stream.send_reset(Reason::CANCEL);
        drop(answer);
    }
    let _ = within(connection).await;
    assert!(sender.ready().await.is_err());
}

/// A client that gives up a request now and then stays.
#[tokio::test]
async fn requests_may_be_given_up() {
    let server = Server::start(limited(|limits| limits.abandoned = 3));
    let (mut sender, _connection) = http2(&server).await;
    for _ in 0..20 {
        sender = within(sender.ready()).await.unwrap();
        let (answer, mut stream) = sender
            .send_request(request(&server, "/v1/wait"), true)
            .unwrap();
        within(server.waiting.acquire()).await.unwrap().forget();
        stream.send_reset(Reason::CANCEL);
        drop(answer);
        let (answer, _) = sender
            .send_request(request(&server, "/livez"), true)
            .unwrap();
        assert_eq!(within(answer).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn headers_of_http2_have_a_limit() {
    let server = Server::start(limits());
    let (mut sender, _connection) = http2(&server).await;
    let mut many = request(&server, "/livez");
    for number in 0..100 {
        let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
        many.headers_mut()
            .insert(name, http::HeaderValue::from_static("y"));
    }
    sender = within(sender.ready()).await.unwrap();
    let (answer, _) = sender.send_request(many, true).unwrap();
    assert_eq!(within(answer).await.unwrap().status(), 431);
    let mut large = request(&server, "/livez");
    let value = http::HeaderValue::try_from("y".repeat(40_000)).unwrap();
    large.headers_mut().insert("x", value);
    sender = within(sender.ready()).await.unwrap();
    if let Ok((answer, _)) = sender.send_request(large, true)
        && let Ok(answer) = within(answer).await
    {
        assert_eq!(answer.status(), 431);
    }
    assert_status(&server.ask("GET /livez", "").await, 200);
}

#[tokio::test]
async fn a_connection_of_http2_ends_when_nothing_is_asked() {
    let server = Server::start(limited(|limits| limits.idle = SHORT));
    let (mut sender, connection) = http2(&server).await;
    sender = within(sender.ready()).await.unwrap();
    let (answer, _) = sender
        .send_request(request(&server, "/livez"), true)
        .unwrap();
    assert_eq!(within(answer).await.unwrap().status(), 200);
    assert!(within(connection).await.unwrap().is_ok());
    assert!(sender.ready().await.is_err());
}

#[tokio::test]
async fn a_connection_ends_when_it_is_old() {
    let server = Server::start(limited(|limits| limits.age = SHORT));
    let (sender, connection) = http2(&server).await;
    let mut sender = within(sender.ready()).await.unwrap();
    let (answer, _) = sender
        .send_request(request(&server, "/v1/wait"), true)
        .unwrap();
    within(server.waiting.acquire()).await.unwrap().forget();
    // Told to go; what is under way is answered first.
    let told = async {
        while sender.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    within(told).await;
    server.answers.add_permits(1);
    assert_eq!(within(answer).await.unwrap().status(), 200);
    assert!(within(connection).await.unwrap().is_ok());
}

/// Whoever asks and does not take the answer.
#[tokio::test]
async fn who_takes_nothing_is_cut_off() {
    let server = Server::start(limited(|limits| limits.stall = SHORT));
    let mut stream = server.connect().await;
    let key = server.key.expose();
    let text =
        format!("GET /v1/wait HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    within(server.waiting.acquire()).await.unwrap().forget();
    assert_eq!(rest_of(&mut stream).await, "");
}

/// Over HTTP/2 pings go on while an answer is not taken.
#[tokio::test]
async fn who_takes_no_answer_of_http2_is_cut_off() {
    let server = Server::start(limited(|limits| {
        limits.stall = SHORT;
        limits.ping = SHORT / 5;
    }));
    let mut without_room = h2::client::Builder::new();
    without_room.initial_window_size(0);
    let opened = without_room.handshake::<_, axum::body::Bytes>(server.connect().await);
    let (sender, connection) = opened.await.unwrap();
    let connection = tokio::spawn(connection);
    let mut sender = within(sender.ready()).await.unwrap();
    let asked = sender.send_request(request(&server, "/livez"), true);
    let (answer, _) = asked.unwrap();
    let answer = within(answer).await.unwrap();
    let _ = within(connection).await;
    drop(answer);
    assert!(sender.ready().await.is_err());
}
