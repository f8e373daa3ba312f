//! Traces, which are sent to a collector by OTLP over gRPC.

use std::env;

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Level, Subscriber};
use tracing_subscriber::{Layer, filter::FilterFn, registry::LookupSpan};

use super::{WatchError, logs::is_ours};

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To this collector.
    Named(String),
    /// Where the standard environment says: `OTEL_EXPORTER_OTLP_ENDPOINT` and what belongs to it.
    Environment,
}

impl Destination {
    /// The collector that was named, or that of the environment. Without either there are no traces.
    pub fn of(named: Option<String>) -> Option<Self> {
        let said = |name: &str| env::var(name).is_ok_and(|value| !value.is_empty());
        let is = |name: &str, what: &str| env::var(name).is_ok_and(|value| value == what);
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let endpoints = [
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ];
        let environment = endpoints.into_iter().any(said).then_some(Self::Environment);
        named.map(Self::Named).or(environment)
    }
}

/// Sends spans in the background, and drops them when there are too many.
pub(super) fn provider(to: &Destination) -> Result<SdkTracerProvider, WatchError> {
    let builder = SpanExporter::builder().with_tonic();
    let builder = match to {
        Destination::Named(address) => builder.with_endpoint(address),
        Destination::Environment => builder,
    };
    let exporter = builder.build().map_err(WatchError::Traces)?;
    // The environment names it otherwise, if it does: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.
    let mut resource = Resource::builder();
    if env::var("OTEL_SERVICE_NAME").is_err() {
        resource = resource.with_service_name("phi-node");
    }
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}

/// Spans of requests, and what this program said within them.
pub(super) fn only_requests<S, L>(layer: L) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S> + Send + Sync,
{
    layer.with_filter(FilterFn::new(|about| {
        is_ours(about) && *about.level() <= Level::INFO
    }))
}

/// The trace that a request is part of, as its `traceparent` says (W3C Trace Context).
pub(super) fn parent(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract(&Headers(headers))
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
