//! A layer that asks a gate before a service does anything, whether it speaks HTTP or gRPC.
//!
//! What a request needs is told by a function of the application, from the request's head. The
//! layer asks, answers what is refused, and passes on the rest. It asks for everything that goes
//! through it; that everything does is left to who builds the server.

mod body;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header, request};
use http_body::Body;
use phi_verify::UnixTime;
use tower_layer::Layer;
use tower_service::Service;

pub use self::body::GateBody;
use crate::{
    needs::{Demand, Needs, Undeclared},
    refusal::Refusal,
    rejection::Rejection,
};

type Declare = dyn Fn(&request::Parts) -> Demand + Send + Sync;

/// Puts a [`GateService`] before a service: before an axum `Router`, a tonic `Server`, or any other
/// service of requests and responses.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use phi_enforce::{Demand, Gate, GateLayer, Needs};
/// use phi_verify::{FlagCode, QuotaCode};
///
/// const EXPORT: FlagCode = FlagCode::new(0);
/// const CALLS: QuotaCode = QuotaCode::new(0);
///
/// fn layer(gate: Gate) -> GateLayer {
///     GateLayer::new(move |request| match request.uri.path() {
///         "/health" => Demand::Nothing,
///         "/export" => Needs::of(&gate).flag(EXPORT).units(CALLS, "calls", 10).into(),
///         path if path.starts_with("/api/") => Needs::of(&gate).units(CALLS, "calls", 1).into(),
///         _ => Demand::Undeclared, // refused
///     })
/// }
/// # Ok(())
/// # }
/// ```
///
/// What is admitted finds an [`Admitted`](crate::Admitted) among the request's extensions, and its
/// response has the `RateLimit` fields. What is refused is answered as [`Rejection`] has it: over
/// gRPC, which is told by the content type, by trailers alone. The `Rejection` is among the extensions
/// of that response, for those who log or count it.
///
/// Units are charged when the request is admitted. A client that goes away before gives up what is
/// waited for; one that goes away after has used them. A seat is held until the body of the
/// response has been sent or dropped.
///
/// A route that is added to an axum `Router` after its `layer` was called is not behind the layer.
/// Put the layer around the finished router, and nothing is beside it:
/// `Router::new().fallback_service(layer.layer(router))`.
#[derive(Clone)]
pub struct GateLayer {
    declare: Arc<Declare>,
    undeclared: Undeclared,
}

impl fmt::Debug for GateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLayer")
            .field("undeclared", &self.undeclared)
            .finish_non_exhaustive()
    }
}

impl GateLayer {
    /// With this function to tell what each request needs. It is called for every request, and
    /// must not wait for anything.
    pub fn new(declare: impl Fn(&request::Parts) -> Demand + Send + Sync + 'static) -> Self {
        Self {
            declare: Arc::new(declare),
            undeclared: Undeclared::Refuse,
        }
    }

    /// Every request needs the same.
    pub fn always(needs: Needs) -> Self {
        Self::new(move |_| needs.clone().into())
    }

    /// What becomes of a request that is [undeclared](Demand::Undeclared): it is refused, unless
    /// this says otherwise.
    #[must_use]
    pub const fn undeclared(mut self, undeclared: Undeclared) -> Self {
        self.undeclared = undeclared;
        self
    }

    /// What is to be asked: nothing, if `None`.
    fn needs(&self, request: &request::Parts) -> Result<Option<Box<Needs>>, Rejection> {
        match (self.declare)(request) {
            Demand::Needs(needs) => Ok(Some(needs)),
            Demand::Nothing => Ok(None),
            Demand::Undeclared => match self.undeclared {
                Undeclared::Serve => Ok(None),
                // No time is told by it.
                Undeclared::Refuse => Err(Rejection::new(Refusal::Undeclared, UnixTime::EPOCH)),
            },
        }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = GateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service that is asked for at a gate first.
#[derive(Clone, Debug)]
pub struct GateService<S> {
    inner: S,
    layer: GateLayer,
}

impl<S, A, B> Service<Request<A>> for GateService<S>
where
    S: Service<Request<A>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    A: Send + 'static,
    B: Body<Data = Bytes>,
{
    type Response = Response<GateBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (head, body) = request.into_parts();
        let door = Door::of(&head.headers);
        let needs = self.layer.needs(&head);
        let mut request = Request::from_parts(head, body);
        // The one that said that it is ready serves this request; its clone has yet to say so.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let admission = match needs {
                Ok(Some(needs)) => needs.ask().await,
                Ok(None) => return inner.call(request).await.map(open),
                Err(rejection) => Err(rejection),
            };
            let admission = match admission {
                Ok(admission) => admission,
                Err(rejection) => return Ok(door.rejected(rejection)),
            };
            request.extensions_mut().insert(admission.admitted.clone());
            let mut response = inner.call(request).await?;
            for limit in &admission.limits {
                limit.append_to(response.headers_mut());
            }
            let seats = admission.admitted.into_seats();
            Ok(response.map(|body| GateBody::held(body, seats)))
        })
    }
}

fn open<B>(response: Response<B>) -> Response<GateBody<B>> {
    response.map(|body| GateBody::held(body, Vec::new()))
}

/// Which protocol a client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Http,
    Grpc,
}

impl Door {
    /// `application/grpc`, alone or with a form of messages. Browsers' gRPC-Web reads the status of
    /// HTTP.
    fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(header::CONTENT_TYPE);
        let rest = kind.and_then(|kind| kind.as_bytes().strip_prefix(b"application/grpc"));
        match rest {
            Some([] | [b'+' | b';' | b' ', ..]) => Self::Grpc,
            _ => Self::Http,
        }
    }

    fn rejected<B>(self, rejection: Rejection) -> Response<GateBody<B>> {
        let mut response = match self {
            Self::Http => rejection.response::<String>(),
            Self::Grpc => rejection.grpc_response(),
        };
        response.extensions_mut().insert(rejection);
        response.map(|text| GateBody::rejected(text.into()))
    }
}
