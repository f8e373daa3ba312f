//! The one way in: who asks is known, and how much they may send is bounded, before any route.
//!
//! The listener puts every request through here, of HTTP and of gRPC, so that no route can be added
//! that forgets it. A route finds the [`Client`] in the request's extensions; what it may do beyond
//! that is compared by the service.
//!
//! Without a client there are `/livez`, `/readyz` and the health check of gRPC, which are asked by what
//! starts and stops nodes. `/metrics` needs the right
//! `metrics`, because it names clients and counts what they use. Everything else needs a client,
//! `/openapi.json` and the reflection of gRPC too: whoever has no key has nothing to read there.

mod answer;
mod body;
mod credentials;
mod deadline;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body as _;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tower::{Layer, Service};

pub use self::credentials::Peer;
use self::{
    answer::{Answer, Door},
    body::{Bounded, Fate},
    deadline::Until,
};
use crate::{
    clients::{Client, Clients, ClientsError, Right, Scopes},
    limits::Limits,
};

/// Who is let in.
#[derive(Clone, Debug)]
pub enum Who {
    /// The clients of a file.
    Listed(Clients),
    /// Anybody on this machine, as the client `anonymous` with every right and in every name: for
    /// trying out. Requests from elsewhere are refused, and so are those that a web page could
    /// have made a browser send.
    AnyoneOnLoopback,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metrics {
    /// Clients with the right.
    #[default]
    ByRight,
    /// Everybody, for collectors without a key on a network of their own.
    Anyone,
}

/// The layer before all routes.
#[derive(Clone, Debug)]
pub struct Entry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    who: Who,
    metrics: Metrics,
    anonymous: Client,
    limits: Limits,
    documents: Semaphore,
}

impl Entry {
    /// Lets these in, within these limits.
    pub fn new(who: Who, metrics: Metrics, limits: Limits) -> Self {
        let every = || "*".parse().expect("the star stands for every name");
        let scopes = Scopes::new(Right::ALL)
            .with_holders([every()])
            .with_groups([every()]);
        let anonymous = Client::new("anonymous", scopes).expect("the name has letters only");
        Self(Arc::new(Inner {
            documents: Semaphore::new(limits.documents),
            who,
            metrics,
            anonymous,
            limits,
        }))
    }

    /// The limits that it holds to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Reads the file of clients again, if there is one.
    ///
    /// # Errors
    /// As [`Clients::reload`].
    pub(crate) fn reload(&self) -> Result<(), ClientsError> {
        match &self.0.who {
            Who::Listed(clients) => clients.reload().map(drop),
            Who::AnyoneOnLoopback => Ok(()),
        }
    }
}

impl<S> Layer<S> for Entry {
    type Service = Guarded<S>;

    fn layer(&self, routes: S) -> Guarded<S> {
        Guarded {
            entry: self.clone(),
            routes,
        }
    }
}

/// Routes behind the [`Entry`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    entry: Entry,
    routes: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.routes.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready is used, and the copy is for the next request.
        let next = self.routes.clone();
        let routes = std::mem::replace(&mut self.routes, next);
        let entry = self.entry.clone();
        Box::pin(async move {
            let door = Door::of(request.headers());
            let answer = entry.0.enter(routes, request, door).await;
            let mut response = answer.unwrap_or_else(|answer| answer.response(door));
            say_not_to_keep(response.headers_mut());
            Ok(response)
        })
    }
}

/// What a path needs, before its route is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Open,
    Metrics,
    Documents,
    Other,
}

impl Place {
    fn of(path: &str) -> Self {
        match path {
            // To watch is to keep a node busy, and needs a client.
            "/livez" | "/readyz" | "/grpc.health.v1.Health/Check" => Self::Open,
            "/metrics" => Self::Metrics,
            "/v1/documents" | "/phi.enforce.v1.Enforcement/ImportDocument" => Self::Documents,
            _ => Self::Other,
        }
    }
}

impl Inner {
    async fn enter<S>(
        &self,
        mut routes: S,
        mut request: Request<Body>,
        door: Door,
    ) -> Result<Response<Body>, Answer>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    {
        if request.headers().len() > self.limits.headers {
            return Err(Answer::TooManyHeaders(self.limits.headers));
        }
        let began = Instant::now();
        let told = match door {
            Door::Grpc => deadline::told(request.headers())?,
            Door::Http => None,
        };
        let place = Place::of(request.uri().path());
        let client = self.client(place, &request)?;
        // Nothing behind this needs the key, and what is not there cannot be logged.
        request.headers_mut().remove(header::AUTHORIZATION);
        let documents = place == Place::Documents
            && client
                .as_ref()
                .is_some_and(|client| client.scopes().allow(Right::Push));
        if let Some(client) = client {
            request.extensions_mut().insert(client);
        }
        let most = if documents {
            self.limits.document_bytes
        } else {
            self.limits.body_bytes
        };
        let announced = request.body().size_hint().lower();
        if usize::try_from(announced).map_or(true, |announced| announced > most) {
            return Err(Answer::BodyTooLarge(most));
        }
        let fate = Fate::new();
        let within = self.limits.body_time;
        let answered = async {
            let _turn = if documents {
                self.documents.acquire().await.ok()
            } else {
                None
            };
            let request = request.map(|body| Body::new(Bounded::new(body, most, within, &fate)));
            routes.call(request).await
        };
        // Who does not wait any more is answered, and what was begun for it is given up.
        let shorter = told.filter(|told| *told < self.limits.request_time);
        let until = began + shorter.unwrap_or(self.limits.request_time);
        let answer = timeout_at(until, answered).await;
        match (answer, fate.get()) {
            (_, body::TOO_LARGE) => Err(Answer::BodyTooLarge(most)),
            (_, body::TOO_SLOW) => Err(Answer::BodyTooSlow),
            (Ok(Ok(response)), _) => Ok(match told {
                Some(told) => response.map(|body| Body::new(Until::new(body, began + told))),
                None => response,
            }),
            (Err(_), _) if shorter.is_some() => Err(Answer::Deadline),
            (Err(_), _) => Err(Answer::TooLate),
        }
    }

    /// Who asks, where that matters.
    fn client(&self, place: Place, request: &Request<Body>) -> Result<Option<Client>, Answer> {
        match (place, self.metrics) {
            (Place::Open, _) | (Place::Metrics, Metrics::Anyone) => return Ok(None),
            (Place::Metrics | Place::Documents | Place::Other, _) => {}
        }
        let client = match &self.who {
            Who::Listed(clients) => credentials::listed(clients, request)?,
            Who::AnyoneOnLoopback => credentials::anyone_on_loopback(&self.anonymous, request)?,
        };
        if place == Place::Metrics && !client.scopes().allow(Right::Metrics) {
            return Err(Answer::NoRight(Right::Metrics));
        }
        Ok(Some(client))
    }
}

/// Answers are about this moment, and nothing in between may keep or reinterpret them.
fn say_not_to_keep(headers: &mut HeaderMap) {
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    let as_it_says = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, as_it_says);
}
