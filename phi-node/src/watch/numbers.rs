//! Numbers for Prometheus: what was decided, what is held, and how the store is.

use std::sync::{Arc, OnceLock};

use axum::{Router, extract::State, routing::get};
use http::header;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use phi_enforce::Counts;

use crate::{
    intake::Outcome,
    service::{Denied, Service},
};

/// Durations of requests are sorted into these, in seconds: from an answer out of memory to one
/// that waited in a queue.
const BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0, 60.0,
];

/// Counts for the whole process; the first call begins it.
static NUMBERS: OnceLock<PrometheusHandle> = OnceLock::new();

pub(super) fn start() -> &'static PrometheusHandle {
    NUMBERS.get_or_init(|| {
        let durations = Matcher::Suffix("_duration_seconds".into());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(durations, &BUCKETS);
        let recorder = builder.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        // A program that has numbers of its own keeps them; these are empty then.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

fn describe() {
    let count = Unit::Count;
    describe_counter!(
        "phi_node_decisions_total",
        count,
        "Decisions, by call and code; admitted has the code ok"
    );
    describe_counter!(
        "phi_node_units_taken_total",
        count,
        "Units of quotas that were admitted"
    );
    describe_counter!(
        "phi_node_documents_imported_total",
        count,
        "Signed objects that came, by outcome"
    );
    describe_counter!(
        "phi_node_connections_refused_total",
        count,
        "Connections that were not let in"
    );
    describe_counter!(
        "phi_node_connections_cut_total",
        count,
        "Connections that were ended by the node"
    );
    describe_counter!(
        "phi_node_handshakes_failed_total",
        count,
        "TLS handshakes that failed"
    );
    describe_counter!(
        "phi_node_store_requests_total",
        count,
        "Requests that were carried to the store"
    );
    describe_counter!(
        "phi_node_store_failures_total",
        count,
        "Requests that the store did not answer"
    );
    describe_gauge!(
        "phi_node_store_seconds_total",
        Unit::Seconds,
        "How long requests to the store took, together"
    );
    describe_gauge!(
        "phi_node_store_fault",
        count,
        "1 while something is wrong with the store"
    );
    describe_gauge!(
        "phi_node_store_learning",
        count,
        "1 while the store learns what nodes hold"
    );
    describe_gauge!(
        "phi_node_store_epoch",
        count,
        "The epoch of the store, which rises when it went back to an earlier state"
    );
    describe_gauge!("phi_node_connections", count, "Connections that are open");
    describe_gauge!(
        "phi_node_seats_held",
        count,
        "Seats that clients have of this node"
    );
    describe_gauge!(
        "phi_node_licenses",
        count,
        "Licenses, by whether they are in force"
    );
    describe_gauge!(
        "phi_node_policies_unmatched",
        count,
        "Policies that are not in force, because no catalog has their name"
    );
    describe_gauge!("phi_node_ready", count, "1 while the node can serve");
    describe_gauge!(
        "phi_node_trust",
        count,
        "1 for what the newest status list is: fresh, stale, expired or missing"
    );
    describe_gauge!(
        "phi_node_trust_version",
        count,
        "The versions of root, keyset and status list"
    );
    describe_histogram!(
        "phi_node_request_duration_seconds",
        Unit::Seconds,
        "How long requests took, by route, protocol and status"
    );
}

/// `/metrics`, in the text format of Prometheus.
pub fn routes(service: Arc<Service>) -> Router {
    start();
    Router::new()
        .route("/metrics", get(render))
        .with_state(service)
}

/// Numbers for Prometheus: what was decided, what is held, and how the store is. Right: `metrics`,
/// unless the node lets everybody read them.
#[utoipa::path(get, path = "/metrics", tag = "health", operation_id = "metrics", responses(
    (status = 200, description = "The numbers, in the text format of Prometheus.", body = String,
        content_type = "text/plain; version=0.0.4; charset=utf-8"),
    (status = "default", description = "Why not.", body = crate::http::Problem, content_type = "application/problem+json"),
))]
pub(crate) async fn render(
    State(service): State<Arc<Service>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    service.gauges().tell();
    let handle = start();
    handle.run_upkeep();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], handle.render())
}

/// Counts a decision.
pub fn decided<T>(call: &'static str, answer: &Result<T, Denied>) {
    let code = answer.as_ref().err().map_or("ok", Denied::code);
    counter!("phi_node_decisions_total", "call" => call, "code" => code).increment(1);
}

/// Counts a signed object that came, by whatever road.
pub fn imported(outcome: &Outcome) {
    let outcome = match outcome {
        Outcome::Updated => "updated",
        Outcome::Unchanged | Outcome::Passed => "unchanged",
        Outcome::Waiting(_) => "waiting",
        Outcome::Refused(_) => "refused",
        Outcome::NoRoom => "no-room",
    };
    counter!("phi_node_documents_imported_total", "outcome" => outcome).increment(1);
}

/// What there is at a moment.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) counts: Counts,
    pub(crate) fault: bool,
    pub(crate) learning: bool,
    pub(crate) ready: bool,
    pub(crate) seats: usize,
    pub(crate) in_force: usize,
    pub(crate) refused: usize,
    pub(crate) misfits: usize,
    pub(crate) trust: crate::licenses::Trust,
}

impl Gauges {
    fn tell(&self) {
        counter!("phi_node_store_requests_total").absolute(self.counts.requests);
        counter!("phi_node_store_failures_total").absolute(self.counts.failures);
        gauge!("phi_node_store_seconds_total").set(self.counts.took.as_secs_f64());
        if let Some(restores) = self.counts.restores {
            set("phi_node_store_epoch", restores);
        }
        set("phi_node_store_fault", u64::from(self.fault));
        set("phi_node_store_learning", u64::from(self.learning));
        set("phi_node_ready", u64::from(self.ready));
        set("phi_node_seats_held", self.seats as u64);
        let licenses = |standing| gauge!("phi_node_licenses", "standing" => standing);
        licenses("in-force").set(count(self.in_force as u64));
        licenses("refused").set(count(self.refused as u64));
        set("phi_node_policies_unmatched", self.misfits as u64);
        for freshness in ["fresh", "stale", "expired", "missing"] {
            let is = f64::from(u8::from(self.trust.freshness == freshness));
            gauge!("phi_node_trust", "status_list" => freshness).set(is);
        }
        let versions = [
            ("root", Some(self.trust.root)),
            ("keyset", self.trust.keyset),
            ("status", self.trust.status),
        ];
        for (document, version) in versions {
            let version = version.unwrap_or_default();
            gauge!("phi_node_trust_version", "document" => document).set(count(version));
        }
    }
}

fn set(name: &'static str, number: u64) {
    gauge!(name).set(count(number));
}

/// Prometheus has floating point alone, exact to 2^53.
#[expect(clippy::cast_precision_loss, reason = "its numbers are what they are")]
const fn count(number: u64) -> f64 {
    number as f64
}
