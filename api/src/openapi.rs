//! `GET /openapi.json`: the OpenAPI 3.1 description, made from the handlers.

use axum::Json;
use axum::extract::State;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::router::Service;

/// The description of every call.
#[derive(OpenApi)]
#[openapi(
    info(title = "Tollbook", description = "A usage and billing ledger for AI model traffic."),
    paths(
        crate::spend::spend,
        crate::requests::request,
        crate::entries::entries,
        crate::models::list,
        crate::models::publish,
        crate::quarantine::list,
        crate::registries::markups::list,
        crate::registries::markups::set,
        crate::registries::accounts::list,
        crate::registries::accounts::set,
        crate::registries::owners::list,
        crate::registries::owners::set,
        crate::quarantine::show,
        crate::quarantine::raw,
        crate::quarantine::resolve::replay,
        crate::quarantine::resolve::discard,
        crate::quarantine::bulk::replay,
        crate::quarantine::bulk::discard,
        crate::tokens::list,
        crate::tokens::mint,
        crate::tokens::revoke,
        crate::tokens::rotate,
        crate::audit_log::list,
        crate::invoices::list,
        crate::invoices::one,
        crate::invoices::close,
        crate::export::export,
        crate::invoices::entries,
        crate::invoices::all_entries,
        crate::operations::operation,
        crate::operations::ask::reprice,
        crate::operations::ask::revert_repricing,
        crate::operations::ask::correct,
        crate::operations::ask::revert_correction,
        crate::audit::audit,
        crate::audit::audit_and_reverse,
        crate::health::healthz,
        crate::health::readyz,
        crate::metrics::metrics,
        openapi,
    ),
    components(schemas(crate::error::Problem)),
    modifiers(&Token)
)]
struct Description;

/// Bearer tokens.
struct Token;

impl Modify for Token {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_with(Default::default);
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        components.add_security_scheme("token", scheme);
    }
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "operation", responses((status = 200, body = Object)))]
pub(crate) async fn openapi(State(service): State<Service>) -> Json<utoipa::openapi::OpenApi> {
    Json(service.description.as_ref().clone())
}

/// The description of the API's own calls and of those that are merged into it.
pub(crate) fn describe(merged: Option<utoipa::openapi::OpenApi>) -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    if let Some(merged) = merged {
        description.merge(merged);
    }
    for item in description.paths.paths.values_mut() {
        operations(item).into_iter().flatten().for_each(describe_problems);
    }
    description
}

fn operations(item: &mut PathItem) -> [Option<&mut Operation>; 5] {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].map(Option::as_mut)
}

/// Every call answers with the same document where it fails, so it is described here and not call by call.
fn describe_problems(operation: &mut Operation) {
    let is_secured = operation.security.is_some();
    let mut add = |status: &str, what: &str| {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(problem(what)));
    };
    add("400", "A parameter or the body is not valid; `parameter` names it");
    add("default", "A problem document of RFC 9457, which names what is wrong and the remedy");
    if is_secured {
        add("401", "No token, or one that is revoked or expired");
        add("403", "The token's scopes or bounds do not allow it");
    }
}

fn problem(what: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(what).content("application/problem+json", content).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_openapi_3_1_and_names_every_call() {
        let text = Description::openapi().to_json().unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json["openapi"].as_str().unwrap().starts_with("3.1"));
        for path in [
            "/v1/spend",
            "/v1/requests/{request_id}",
            "/v1/entries",
            "/v1/models",
            "/v1/quarantine",
            "/v1/markups",
            "/v1/accounts",
            "/v1/owners",
            "/v1/quarantine/{id}",
            "/v1/quarantine/{id}/raw",
            "/v1/quarantine/{id}/replay",
            "/v1/quarantine/{id}/discard",
            "/v1/quarantine/replay",
            "/v1/quarantine/discard",
            "/v1/tokens",
            "/v1/tokens/{id}",
            "/v1/tokens/{id}/rotate",
            "/v1/audit-log",
            "/v1/operations/{id}",
            "/v1/reprice",
            "/v1/reprice/{id}/revert",
            "/v1/corrections",
            "/v1/corrections/{id}/revert",
            "/v1/audit",
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
        ] {
            assert!(json["paths"][path].is_object(), "{path}");
        }
        assert_eq!(json["components"]["securitySchemes"]["token"]["scheme"], "bearer");
    }

    #[test]
    fn every_call_says_that_it_fails_with_a_problem_document() {
        let json = serde_json::to_value(describe(None)).unwrap();
        for (path, item) in json["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let other = &operation["responses"]["default"]["content"];
                assert!(other["application/problem+json"].is_object(), "{method} {path}");
                assert_eq!(
                    operation["responses"]["401"].is_object(),
                    operation["security"].is_array(),
                    "{method} {path}"
                );
            }
        }
    }
}
