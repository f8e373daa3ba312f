//! What the HTTP API is, for programs: OpenAPI 3.1. Published as `docs/openapi.json`.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    response::{IntoResponse, Response},
};
use http::header;
use utoipa::{
    Modify, OpenApi as _,
    openapi::{
        OpenApi, SecurityRequirement,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "phi-node",
        description = "Enforces Phi licenses: flags, quotas and seats. Every refusal is problem \
                       details, RFC 9457, with a stable `code`.",
    ),
    paths(
        super::livez,
        super::readyz,
        serve,
        crate::watch::numbers::render,
        super::licenses,
        super::license,
        super::documents,
        super::check,
        super::take,
        super::claim,
        super::seats,
        super::borrow,
        super::hand_back,
        super::renew,
        super::release,
        super::usage,
        super::usage_report,
    ),
    tags(
        (name = "decisions", description = "Flags and quotas."),
        (name = "seats", description = "So many at once."),
        (name = "licenses", description = "What there is, and what is handed in."),
        (name = "usage", description = "What was used."),
        (name = "health", description = "For whoever starts, stops and watches nodes."),
    ),
    modifiers(&Keys),
)]
struct Api;

/// The scheme's name within the document.
const KEY: &str = "key";

struct Keys;

impl Modify for Keys {
    fn modify(&self, api: &mut OpenApi) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some(
            "The key that `phi-node client add` printed. A client certificate does as well.",
        ));
        if let Some(components) = &mut api.components {
            components.add_security_scheme(KEY, SecurityScheme::Http(bearer.build()));
        }
        let required = SecurityRequirement::new(KEY, Vec::<String>::new());
        api.security = Some(vec![required]);
    }
}

/// The document, as it is published and served.
pub fn document() -> String {
    let api = Api::openapi().to_pretty_json();
    api.expect("the document has text keys alone") + "\n"
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "health", operation_id = "openapi", responses(
    (status = 200, description = "The document, in OpenAPI 3.1.", body = Object, content_type = "application/json"),
    (status = "default", description = "Why not.", body = super::Problem, content_type = "application/problem+json"),
))]
pub(super) async fn serve() -> Response {
    // Making it takes milliseconds, and anybody may ask.
    static MADE: LazyLock<Bytes> = LazyLock::new(|| document().into());
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, MADE.clone()).into_response()
}
