//! Around an axum router, over HTTP/1.1.

use std::{net::SocketAddr, sync::Mutex};

use axum::{Extension, Router, body::Body, response::Response as AxumResponse, routing::any};
use http_body_util::channel::{Channel, Sender};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, task::JoinSet};

use super::*;

/// An application behind the layer, and how often it was reached.
#[derive(Clone)]
struct App {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    client: HttpClient<HttpConnector, Empty<Bytes>>,
}

impl App {
    /// Serves on the runtime of the test until that ends. Whoever asks for `/seat` or `/queue` has
    /// the next of these bodies, as far as they go.
    async fn start(gate: &Gate, bodies: Vec<Channel<Bytes>>) -> Self {
        let served = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&served);
        let bodies = Arc::new(Mutex::new(bodies.into_iter()));
        let answer = move |admitted: Option<Extension<Admitted>>| {
            count.fetch_add(1, Ordering::Relaxed);
            let seat = admitted.and_then(|Extension(found)| found.seat(SEATS).cloned());
            let next = seat.and_then(|_| bodies.lock().unwrap().next());
            ready(AxumResponse::new(next.map_or_else(Body::empty, Body::new)))
        };
        let router = Router::new()
            .route("/export", any(answer.clone()))
            .fallback(any(answer));
        let gate = gate.clone();
        let layer = GateLayer::new(move |head| {
            let user = head.headers.get("user").and_then(|user| user.to_str().ok());
            by_path(&gate, head.uri.path(), user.unwrap_or_default())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback_service(layer.layer(router));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            served,
            client: HttpClient::builder(TokioExecutor::new()).build_http(),
        }
    }

    async fn get(&self, path: &str, user: &str) -> Response<impl http_body_util::BodyExt> {
        let uri = format!("http://{}{path}", self.address);
        let request = Request::get(uri).header("user", user);
        let request = request.body(Empty::new()).unwrap();
        self.client.request(request).await.unwrap()
    }
}

fn header<'a, B>(response: &'a Response<B>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[test]
fn units_are_counted_and_the_rest_is_told() {
    let running = Running::standing_still(&claims(limited(3, phi_verify::Period::Day), 1));
    block_on(async {
        let app = App::start(&running.gate, Vec::new()).await;
        for left in [2, 1, 0] {
            let answer = app.get("/calls", "").await;
            assert_eq!(answer.status(), StatusCode::OK);
            let found = header(&answer, "ratelimit");
            let before = format!(r#""calls";r={left};t="#);
            assert!(found.starts_with(&before), "{found}");
            assert_eq!(
                header(&answer, "ratelimit-policy"),
                r#""calls";q=3;w=86400"#
            );
        }
        let refused = app.get("/calls", "").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&refused, "content-type"), "application/problem+json");
        let (wait, state) = (
            header(&refused, "retry-after"),
            header(&refused, "ratelimit"),
        );
        assert_eq!(state, format!(r#""calls";r=0;t={wait}"#));
        assert!((1..=86_400).contains(&wait.parse::<u64>().unwrap()));
        let body = refused.into_body().collect().await.ok().unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&body["code"], &body["left"]),
            (&"quota-exhausted".into(), &0.into())
        );
        assert_eq!(body["violated-policies"], serde_json::json!(["calls"]));
        assert_eq!(app.served.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn no_path_is_beside_the_layer() {
    let running = Running::new(&calls(5));
    block_on(async {
        let app = App::start(&running.gate, Vec::new()).await;
        for (path, status) in [
            ("/export", 200),
            ("/other", 403),
            ("/no-such-path", 403),
            ("/open", 200),
            ("/export/", 403),
            ("//export", 403),
            ("/both", 200),
        ] {
            assert_eq!(app.get(path, "").await.status().as_u16(), status, "{path}");
        }
        let both = app.get("/both", "").await;
        let limits: Vec<_> = both.headers().get_all("ratelimit").iter().collect();
        assert_eq!(limits, [r#""calls";r=1"#, r#""projects";r=8"#]);
        running.gate.refuse("revoked");
        for (path, status) in [("/export", 403), ("/both", 403), ("/open", 200)] {
            assert_eq!(app.get(path, "").await.status().as_u16(), status, "{path}");
        }
    });
}

#[test]
fn connections_at_once_are_admitted_as_often_as_there_are_units() {
    let running = Running::new(&calls(100));
    block_on(async {
        let app = App::start(&running.gate, Vec::new()).await;
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let app = app.clone();
            clients.spawn(async move {
                let mut admitted = 0;
                for _ in 0..10 {
                    let status = app.get("/calls", "").await.status();
                    admitted += usize::from(status == StatusCode::OK);
                    let known = [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS];
                    assert!(known.contains(&status), "{status}");
                }
                admitted
            });
        }
        let admitted: usize = clients.join_all().await.into_iter().sum();
        assert_eq!((admitted, app.served.load(Ordering::Relaxed)), (100, 100));
    });
}

/// Two seats; the first two responses end when the test says so.
fn two_streams() -> ([Sender<Bytes>; 2], Vec<Channel<Bytes>>) {
    let (first, body) = Channel::new(1);
    let (second, other) = Channel::new(1);
    ([first, second], vec![body, other])
}

#[test]
fn a_seat_is_held_until_the_response_has_been_sent() {
    let running = Running::new(&calls(1));
    block_on(async {
        let ([mut first, second], bodies) = two_streams();
        let app = App::start(&running.gate, bodies).await;
        let one = app.get("/seat", "ann").await;
        let two = app.get("/seat", "bob").await;
        assert_eq!(
            (one.status(), two.status()),
            (StatusCode::OK, StatusCode::OK)
        );
        let refused = app.get("/seat", "cid").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&refused, "retry-after"), "1");
        // Another request of somebody who sits needs no other seat.
        assert_eq!(app.get("/seat", "ann").await.status(), StatusCode::OK);
        first.send_data(Bytes::from_static(b"all")).await.unwrap();
        let waits = app.get("/queue", "cid");
        let ends = async {
            drop(first);
            one.into_body().collect().await.ok().unwrap().to_bytes()
        };
        let (after, all) = tokio::join!(waits, ends);
        assert_eq!((after.status(), &all[..]), (StatusCode::OK, &b"all"[..]));
        drop((second, two, after));
    });
    assert_eq!(running.seats_at_the_end(), 0);
}

#[test]
fn a_client_that_goes_away_takes_no_seat_along() {
    let running = Running::new(&calls(1));
    block_on(async {
        let (senders, bodies) = two_streams();
        let app = App::start(&running.gate, bodies).await;
        let one = app.get("/seat", "ann").await;
        let two = app.get("/seat", "bob").await;
        let mut other = Client::new(running.rig.store(), 8);
        // It waits in the queue, and is first there.
        let gone = app.get("/queue", "cid");
        tokio::select! {
            _ = gone => panic!("every seat is taken"),
            () = queued(&mut other, 1) => {}
        }
        // Its connection is closed with it, and so is its claim.
        queued(&mut other, 0).await;
        drop((one, two));
        let after = app.get("/queue", "dan").await;
        assert_eq!(after.status(), StatusCode::OK);
        drop((senders, after));
    });
    assert_eq!(running.seats_at_the_end(), 0);
}

/// Waits until so many are in the queue.
async fn queued(other: &mut Client, count: usize) {
    while other.queued() != count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
