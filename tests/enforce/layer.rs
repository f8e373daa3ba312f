//! The layer before real servers: what is admitted, what is refused and how, and that nothing is
//! asked twice, lost or passed by.

mod grpc;
mod web;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use phi_enforce::{
    Admitted, Demand, Gate, GateLayer, HandClock, Lease, Needs, Node, Patience, Policy, Refusal,
    Rejection, Undeclared,
};
use phi_verify::{Claims, FlagCode};
use tonic::codegen::http::{Request, Response, StatusCode};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::{
    awaited::block_on,
    client::Client,
    gate::{Desk, calls, occupant, threaded},
    licenses::{CALLS, PROJECTS, SEATS, claims, limited, verify},
    rig::{Rig as _, SqliteRig},
};

const EXPORT: FlagCode = FlagCode::new(0);
const OTHER: FlagCode = FlagCode::new(9);
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);

/// A node with a thread, and a gate of it.
struct Running {
    rig: SqliteRig,
    gate: Gate,
    node: Node,
}

impl Running {
    fn new(claims: &Claims) -> Self {
        let rig = SqliteRig::new();
        let node = threaded(&rig, "server");
        Self::with(rig, node, claims)
    }

    /// With the clock of the tests, which stands still.
    fn standing_still(claims: &Claims) -> Self {
        let rig = SqliteRig::new();
        let clock = Arc::<HandClock>::clone(rig.clock());
        let node = Node::start(rig.store(), clock, "server").unwrap();
        Self::with(rig, node, claims)
    }

    fn with(rig: SqliteRig, node: Node, claims: &Claims) -> Self {
        let gate = node.gate(&verify(claims), Policy::default());
        Self { rig, gate, node }
    }

    /// Who sits, once everything that was given up has been told to the store.
    fn seats_at_the_end(self) -> u64 {
        drop((self.gate, self.node));
        Client::new(self.rig.store(), 9).taken()
    }
}

/// What a path of the tests' servers needs.
fn by_path(gate: &Gate, path: &str, user: &str) -> Demand {
    let needs = Needs::of(gate);
    match path {
        "/open" => Demand::Nothing,
        "/export" => needs.flag(EXPORT).into(),
        "/other" => needs.flag(OTHER).into(),
        "/calls" => needs.units(CALLS, "calls", 1).into(),
        "/both" => needs
            .flag(EXPORT)
            .units(CALLS, "calls", 2)
            .units(PROJECTS, "projects", 1)
            .into(),
        "/seat" => needs.seat(SEATS, occupant(user)).into(),
        "/queue" => needs.seat_within(SEATS, occupant(user), LONG).into(),
        _ => Demand::Undeclared,
    }
}

/// A service that fails if it is called without having said that it is ready.
#[derive(Debug, Default)]
struct Strict {
    ready: bool,
    served: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            served: Arc::clone(&self.served),
        }
    }
}

impl Service<Request<Empty<Bytes>>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it is ready");
        self.served.fetch_add(1, Ordering::Relaxed);
        let mut response = Response::new(Full::from("served"));
        // Whoever drives the service sees what was admitted.
        response
            .extensions_mut()
            .extend(request.extensions().clone());
        ready(Ok(response))
    }
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

/// The layer over a service in memory.
fn stack(layer: &GateLayer) -> (phi_enforce::GateService<Strict>, Arc<AtomicUsize>) {
    let inner = Strict::default();
    let served = Arc::clone(&inner.served);
    (layer.layer(inner), served)
}

#[test]
fn what_nobody_declared_is_refused_unless_that_is_said() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let layer = GateLayer::new(move |head| by_path(&gate, head.uri.path(), ""));
    block_on(async {
        let (service, served) = stack(&layer);
        let refused = service.oneshot(request("/unheard-of")).await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let rejection = refused.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.refusal(), Refusal::Undeclared);
        assert_eq!(served.load(Ordering::Relaxed), 0);
        let (service, _) = stack(&layer.clone().undeclared(Undeclared::Serve));
        let answer = service.oneshot(request("/unheard-of")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    });
}

#[test]
fn a_service_is_called_once_it_is_ready_and_once_for_each_request() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let layer = GateLayer::new(move |head| by_path(&gate, head.uri.path(), ""));
    let (mut service, served) = stack(&layer);
    block_on(async {
        for round in 1..=3 {
            for path in ["/open", "/export"] {
                let answer = service.ready().await.unwrap().call(request(path)).await;
                assert_eq!(answer.unwrap().status(), StatusCode::OK);
            }
            let answer = service.ready().await.unwrap().call(request("/other"));
            assert_eq!(answer.await.unwrap().status(), StatusCode::FORBIDDEN);
            assert_eq!(served.load(Ordering::Relaxed), 2 * round);
        }
    });
}

#[test]
fn a_license_that_is_refused_closes_what_asks_for_it_at_once() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let (mut service, _) = stack(&GateLayer::always(Needs::of(&gate)));
    block_on(async {
        let answer = service.ready().await.unwrap().call(request("/")).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        gate.refuse("revoked");
        let answer = service.ready().await.unwrap().call(request("/")).await;
        let refused = answer.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        assert!(body.windows(9).any(|part| part == b"\"revoked\""));
    });
}

#[test]
fn what_was_admitted_is_among_the_extensions_and_the_seat_ends_with_the_body() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let needs = Needs::of(&gate)
        .seat(SEATS, occupant("ann"))
        .units(CALLS, "calls", 2);
    let (service, _) = stack(&GateLayer::always(needs));
    let mut other = Client::new(desk.rig.store(), 9);
    block_on(async {
        let carry = async {
            // Once for the seat, and once for the units.
            for _ in 0..4 {
                desk.settle();
                tokio::task::yield_now().await;
            }
        };
        let (answer, ()) = tokio::join!(service.oneshot(request("/")), carry);
        let mut answer = answer.unwrap();
        let admitted: Admitted = answer.extensions_mut().remove().unwrap();
        assert_eq!(admitted.taken(CALLS).unwrap().left, 3);
        assert!(admitted.taken(PROJECTS).is_none());
        assert_eq!(admitted.seat(SEATS).map(Lease::check), Some(Ok(())));
        assert_eq!(answer.headers()["ratelimit"], r#""calls";r=3"#);
        assert_eq!(answer.headers()["ratelimit-policy"], r#""calls";q=5"#);
        drop(admitted);
        desk.settle();
        assert_eq!(other.taken(), 1, "the body is still there");
        assert_eq!(
            answer.into_body().collect().await.unwrap().to_bytes(),
            "served"
        );
        desk.settle();
        assert_eq!(other.taken(), 0);
    });
}

#[test]
fn a_request_that_is_dropped_leaves_no_claim_behind() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let ann = Needs::of(&gate).seat_within(SEATS, occupant("ann"), LONG);
    let (service, served) = stack(&GateLayer::always(ann));
    block_on(async {
        let answer = service.oneshot(request("/"));
        tokio::select! {
            biased;
            _ = answer => panic!("the store has not been asked"),
            () = async { desk.settle() } => {}
        }
    });
    desk.settle();
    let mut other = Client::new(desk.rig.store(), 9);
    assert_eq!((other.taken(), served.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn a_session_that_lost_its_seat_is_refused() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let claim = || gate.try_lease(SEATS, &occupant("ann"), Patience::Leave);
    claim().unwrap_err();
    desk.settle();
    let lease = claim().unwrap();
    let (mut service, _) = stack(&GateLayer::always(Needs::of(&gate).holding(&lease)));
    block_on(async {
        let answer = service.ready().await.unwrap().call(request("/")).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        desk.rig.pass(Duration::from_secs(11));
        let answer = service.ready().await.unwrap().call(request("/")).await;
        assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    });
}

/// On one thread: while one request waits for the store, others are served.
#[test]
fn a_request_that_waits_holds_up_no_other() {
    let desk = Desk::new();
    let gate = desk.gate(&calls(5));
    let layer = GateLayer::new(move |head| by_path(&gate, head.uri.path(), ""));
    let (service, _) = stack(&layer);
    block_on(async {
        let mut waits = pin!(service.clone().oneshot(request("/calls")));
        let poll = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll.is_pending());
        let answer = service.clone().oneshot(request("/export")).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        desk.settle();
        assert_eq!(waits.await.unwrap().status(), StatusCode::OK);
    });
}
