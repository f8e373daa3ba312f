//! The calls of a node over HTTP, in JSON.
//!
//! Every request is strict: a field or a parameter that is not known is refused, so that a slip of
//! the hand is not a decision. Every refusal is problem details (RFC 9457). Who asks was found out
//! before: a route finds the [`Client`] in the request's extensions.

mod body;
pub mod openapi;
mod problem;

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header};
use phi_enforce::{UsageReport, borrowed_from_text};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::body::{Asked, Key, Segment, Strict};
pub use self::problem::Problem;
use crate::{
    clients::Client,
    service::{
        Borrow, BorrowedAnswer, Checked, Claim, Denied, DocumentAnswer, LicenseAnswer,
        LicensesAnswer, Limited, Occupied, Readiness, SeatAnswer, Service, Take, TakenAnswer,
        UsageAnswer,
    },
};

/// The routes of a node.
pub fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/openapi.json", get(openapi::serve))
        .route("/v1/licenses", get(licenses))
        .route("/v1/licenses/{license}", get(license))
        .route("/v1/check", post(check))
        .route("/v1/take", post(take))
        .route("/v1/seats", get(seats).post(claim))
        .route("/v1/seats/borrow", post(borrow))
        .route("/v1/seats/hand-back", post(hand_back))
        .route("/v1/seats/{seat}", axum::routing::delete(release))
        .route("/v1/seats/{seat}/renew", post(renew))
        .route("/v1/documents", post(documents))
        .route("/v1/usage", get(usage))
        .route("/v1/usage/report", get(usage_report))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .with_state(service)
}

type Node = State<Arc<Service>>;
type From = Extension<Client>;

/// Whether the process runs.
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses(
    (status = 200, description = "It runs.", body = Alive),
))]
async fn livez() -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Whether this node can serve, and why not.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "It can.", body = Readiness),
    (status = 503, description = "It cannot.", body = Readiness),
))]
async fn readyz(State(service): Node) -> Response {
    let readiness = service.ready();
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

/// What the node believes, and every license that the client may use.
#[utoipa::path(get, path = "/v1/licenses", tag = "licenses", responses(
    (status = 200, description = "The licenses.", body = LicensesAnswer),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn licenses(
    State(service): Node,
    Extension(client): From,
) -> Result<Json<LicensesAnswer>, Denied> {
    service.licenses(&client).map(Json)
}

/// One license.
#[utoipa::path(get, path = "/v1/licenses/{license}", tag = "licenses",
    params(("license" = String, Path, description = "The id of the license.")),
    responses(
        (status = 200, description = "The license.", body = LicenseAnswer),
        (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn license(
    State(service): Node,
    Extension(client): From,
    Segment(license): Segment,
) -> Result<Json<LicenseAnswer>, Denied> {
    service.license(&client, &license).map(Json)
}

/// Whether a flag is on: refused with `not-granted` if it is not.
#[utoipa::path(post, path = "/v1/check", tag = "decisions", request_body = Check, responses(
    (status = 200, description = "It is on.", body = Checked),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn check(
    State(service): Node,
    Extension(client): From,
    Strict(check): Strict<Check>,
) -> Result<Json<Checked>, Denied> {
    let answer = service.check(&client, check.license.as_deref(), &check.flag);
    answer.map(Json)
}

/// Takes units of a quota, all of them or none. A request that is sent again takes again, unless it
/// has a key: then this node gives the answer that it gave.
#[utoipa::path(post, path = "/v1/take", tag = "decisions", request_body = TakeUnits,
    params(("Idempotency-Key" = Option<String>, Header, description =
        "A name for this request, as a string of structured fields: `\"8e03978e-40d5-43dd\"`. For five \
         minutes whoever sends the same to the same node under it has the same answer: 409 while the \
         first is not answered, 422 for another request. A refusal is not remembered, and no other \
         node knows it.")),
    responses(
        (status = 200, description = "They were taken.", body = TakenAnswer, headers(
            ("RateLimit-Policy" = String, description = "The limit, if there is one."),
            ("RateLimit" = String, description = "What is left of it."),
        )),
        (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn take(
    State(service): Node,
    Extension(client): From,
    Key(key): Key,
    Strict(asked): Strict<TakeUnits>,
) -> Result<Response, Denied> {
    let take = Take {
        license: asked.license,
        quota: asked.quota,
        units: asked.units,
        key,
    };
    let Limited { answer, limit } = service.take(&client, &take).await?;
    let mut response = Json(answer).into_response();
    if let Some(limit) = limit {
        limit.append_to(response.headers_mut());
    }
    Ok(response)
}

/// Takes a seat, or waits in the queue for one. The same claim again has the same seat.
#[utoipa::path(post, path = "/v1/seats", tag = "seats", request_body = ClaimSeat, responses(
    (status = 201, description = "The seat.", body = SeatAnswer, headers(
        ("Location" = String, description = "Where the seat is given back."),
    )),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn claim(
    State(service): Node,
    Extension(client): From,
    Strict(claim): Strict<ClaimSeat>,
) -> Result<Response, Denied> {
    let claim = Claim {
        license: claim.license,
        limit: claim.limit,
        holder: claim.holder,
        group: claim.group,
        session: claim.session,
        wait: claim.wait_ms.map(Duration::from_millis),
    };
    let seat = service.claim(&client, &claim).await?;
    let location = HeaderValue::try_from(format!("/v1/seats/{}", seat.seat));
    let mut response = (StatusCode::CREATED, Json(seat)).into_response();
    let location = location.expect("the name of a seat has digits alone");
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// A sign of life from whoever has a seat. If it is refused, stop using the seat.
#[utoipa::path(post, path = "/v1/seats/{seat}/renew", tag = "seats",
    params(("seat" = String, Path, description = "The name of the seat.")),
    responses(
        (status = 200, description = "It is held on.", body = SeatAnswer),
        (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn renew(
    State(service): Node,
    Extension(client): From,
    Segment(seat): Segment,
) -> Result<Json<SeatAnswer>, Denied> {
    service.renew(&client, &seat).map(Json)
}

/// Gives a seat back: the client has stopped using it.
#[utoipa::path(delete, path = "/v1/seats/{seat}", tag = "seats",
    params(("seat" = String, Path, description = "The name of the seat.")),
    responses(
        (status = 204, description = "It is free."),
        (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn release(
    State(service): Node,
    Extension(client): From,
    Segment(seat): Segment,
) -> Result<StatusCode, Denied> {
    service.release(&client, &seat)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a seat along, for a machine that has no network until then. The seat counts as taken until
/// it is handed back, or two days and an hour after its end. The same request again has the same seat.
#[utoipa::path(post, path = "/v1/seats/borrow", tag = "seats", request_body = BorrowSeat, responses(
    (status = 201, description = "The seat, with the document that the machine takes along.", body = BorrowedAnswer),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn borrow(
    State(service): Node,
    Extension(client): From,
    Strict(asked): Strict<BorrowSeat>,
) -> Result<Response, Denied> {
    let asked = Borrow {
        license: asked.license,
        limit: asked.limit,
        holder: asked.holder,
        group: asked.group,
        session: asked.session,
        machine: asked.machine,
        required: asked.required,
        lasts: asked.for_s.map(Duration::from_secs),
    };
    let lent = service.borrow(&client, &asked).await?;
    Ok((StatusCode::CREATED, Json(lent)).into_response())
}

/// Hands a seat back that was taken along. Delete its document before: nobody sees a copy that is
/// kept.
#[utoipa::path(post, path = "/v1/seats/hand-back", tag = "seats", request_body = HandBack, responses(
    (status = 204, description = "It is free."),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn hand_back(
    State(service): Node,
    Extension(client): From,
    Strict(asked): Strict<HandBack>,
) -> Result<StatusCode, Denied> {
    let document = borrowed_from_text(&asked.document).map_err(Denied::NotLentHere)?;
    service.hand_back(&client, &document).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who is on the seats of a limit, at any node, and who waits: those first that were silent
/// longest, at most a thousand.
#[utoipa::path(get, path = "/v1/seats", tag = "seats", params(OfLimit), responses(
    (status = 200, description = "Who is there.", body = Seats),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn seats(
    State(service): Node,
    Extension(client): From,
    Asked(of): Asked<OfLimit>,
) -> Result<Json<Seats>, Denied> {
    let seats = service.seats(&client, of.license.as_deref(), &of.limit);
    Ok(Json(Seats {
        seats: seats.await?,
    }))
}

/// Takes signed bytes: a root, a keyset, a status list or a delta, a catalog, a bundle or a
/// license; as bytes, as a word, or armored. What holds is in force when this is answered.
#[utoipa::path(post, path = "/v1/documents", tag = "licenses",
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes."),
    responses(
        (status = 200, description = "What became of each part.", body = DocumentAnswer),
        (status = 422, description = "What became of each part, of which some were refused.", content(
            (DocumentAnswer = "application/json"),
            (Problem = "application/problem+json"),
        )),
        (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn documents(
    State(service): Node,
    Extension(client): From,
    bytes: Bytes,
) -> Result<Response, Denied> {
    let answer = service.import(&client, bytes.into()).await?;
    let status = if answer.good {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok((status, Json(answer)).into_response())
}

/// What was used of the licenses that the client may use, at all nodes.
#[utoipa::path(get, path = "/v1/usage", tag = "usage", responses(
    (status = 200, description = "What was used.", body = UsageAnswer),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn usage(State(service): Node, Extension(client): From) -> Result<Json<UsageAnswer>, Denied> {
    service.usage(&client).await.map(Json)
}

/// What was used in a span of time, made of the usage log alone: the same log and the same span have
/// the same report.
#[utoipa::path(get, path = "/v1/usage/report", tag = "usage", params(Span), responses(
    (status = 200, description = "The report.", body = UsageReport),
    (status = "default", description = "Why not.", body = Problem, content_type = "application/problem+json"),
))]
async fn usage_report(
    State(service): Node,
    Extension(client): From,
    Asked(span): Asked<Span>,
) -> Result<Json<UsageReport>, Denied> {
    let report = service.usage_report(&client, &span.from, span.to.as_deref());
    report.await.map(Json)
}

/// That the process runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Alive {
    /// It does.
    alive: bool,
}

/// Which flag is asked for.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The id of the license; it may be left out where the client has one.
    license: Option<String>,
    /// The name of the flag, or its number.
    flag: String,
}

/// What is taken of which quota.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TakeUnits {
    /// The id of the license; it may be left out where the client has one.
    license: Option<String>,
    /// The name of the quota, or its number.
    quota: String,
    /// How many units.
    #[schema(minimum = 1)]
    units: u64,
}

/// Which seat is claimed, and for whom.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClaimSeat {
    /// The id of the license; it may be left out where the client has one.
    license: Option<String>,
    /// The name of the concurrency limit, or its number.
    limit: String,
    /// Who is counted: a user, a machine, a process. The client itself, unless said.
    holder: Option<String>,
    /// Of which group, for which a policy may keep seats: the client's own, unless said. Its scopes say
    /// which it may name. A holder that has a seat is of the group with which it took it.
    group: Option<String>,
    /// A name for this use of the seat. Whoever claims again with the same one has the same seat.
    session: String,
    /// How long to wait in the queue if every seat is taken, in milliseconds.
    #[schema(maximum = 60_000)]
    wait_ms: Option<u64>,
}

/// Which seat is taken along, by whom, and where to.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BorrowSeat {
    /// The id of the license; it may be left out where the client has one.
    license: Option<String>,
    /// The name of the concurrency limit, or its number.
    limit: String,
    /// Who is on it: the client itself, unless said.
    holder: Option<String>,
    /// Of which group, for which a policy may keep seats: the client's own, unless said.
    group: Option<String>,
    /// A name for this use of the seat. The same one on the same machine has the same seat.
    session: String,
    /// The machine, as `phi fingerprint` prints it there: `phi.fingerprint.…`.
    machine: String,
    /// How many of its components have to be found again: all, unless said.
    #[schema(minimum = 1, maximum = 16)]
    required: Option<u32>,
    /// For how long, in seconds: as long as the policy lets, unless said, and no longer.
    #[schema(minimum = 1)]
    for_s: Option<u64>,
}

/// Which seat is handed back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HandBack {
    /// Its document: `phi.borrowed-seat.…`.
    document: String,
}

/// Whose seats are listed.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfLimit {
    /// The id of the license; it may be left out where the client has one.
    license: Option<String>,
    /// The name of the concurrency limit, or its number.
    limit: String,
}

/// A span of time.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Span {
    /// From then on: a time of RFC 3339 in UTC, or a day.
    from: String,
    /// And before then; now, unless it is said.
    to: Option<String>,
}

/// Who is on seats, and who waits.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Seats {
    /// Those on seats first.
    seats: Vec<Occupied>,
}
