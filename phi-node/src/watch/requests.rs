//! Every request: how long it took and how it ended, as numbers, as a line of the log and as a span.
//!
//! Requests are named by their route and never by their path, of which there is no end.

use std::time::Instant;

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use tracing::{Instrument as _, Span, debug, field, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::traces;
use crate::clients::Client;

/// A route that there is not, whatever was asked for.
const NONE: &str = "none";
/// The status of gRPC for a method that there is not.
const UNIMPLEMENTED: &str = "12";

/// Watches every request to these routes.
pub fn watched(routes: Router) -> Router {
    routes.layer(middleware::from_fn(watch))
}

async fn watch(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let protocol = protocol(request.headers());
    let named = route(&request);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let client = request.extensions().get::<Client>().map(Client::name);
    let span = info_span!(
        target: "phi_node::request",
        "request",
        otel.name = named,
        otel.kind = "server",
        protocol,
        client = client.unwrap_or_default(),
        status = field::Empty,
    );
    // A parent is not taken where there are no traces.
    let _ = span.set_parent(traces::parent(request.headers()));
    let response = next.run(request).instrument(span.clone()).await;
    let status = status(&response, protocol);
    let exists = exists(&response, matched.as_ref());
    let route = if exists { named } else { NONE.into() };
    let took = began.elapsed();
    record(&span, &status, &route);
    span.in_scope(|| {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        debug!(target: "phi_node::request", route, status, micros, "answered");
    });
    metrics::histogram!(
        "phi_node_request_duration_seconds",
        "route" => route,
        "protocol" => protocol,
        "status" => status,
    )
    .record(took);
    response
}

fn record(span: &Span, status: &str, route: &str) {
    span.record("status", status);
    span.record("otel.name", route);
}

fn protocol(headers: &HeaderMap) -> &'static str {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    if kind.starts_with(b"application/grpc") {
        "grpc"
    } else {
        "http"
    }
}

/// The route as it was written down; of gRPC, whose routes are whole services, the method. The path
/// of any other route is not a name: it has what clients make up.
fn route(request: &Request<Body>) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    match matched.map(MatchedPath::as_str) {
        None => NONE.into(),
        Some(service) if is_service(service) => request.uri().path().into(),
        Some(route) => route.into(),
    }
}

/// Whether a route is a service of gRPC, with whatever methods it has.
fn is_service(route: &str) -> bool {
    route.contains("{*")
}

/// Whether there is such a route: a method that a client made up is no name of a series.
fn exists(response: &Response, matched: Option<&MatchedPath>) -> bool {
    let service = matched.is_some_and(|matched| is_service(matched.as_str()));
    let refused = grpc_status(response) == Some(UNIMPLEMENTED);
    !service || !(refused || response.status() != StatusCode::OK)
}

/// The status of HTTP; of gRPC its own, if the answer is that alone.
fn status(response: &Response, protocol: &str) -> String {
    let status = response.status();
    match grpc_status(response) {
        Some(status) => status.into(),
        None if protocol == "grpc" && status == StatusCode::OK => "0".into(),
        None => status.as_str().into(),
    }
}

fn grpc_status(response: &Response) -> Option<&str> {
    response.headers().get("grpc-status")?.to_str().ok()
}
