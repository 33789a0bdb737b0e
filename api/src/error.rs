//! Errors on the wire: every refusal and every failure is one problem document (RFC 9457) that names the thing
//! and the remedy. Knows nothing of routes.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ledger::reject::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of problem documents.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem; stable, made for machines.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// The kind in words, the same for each problem of the kind.
    #[schema(value_type = String)]
    pub title: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong here, and what to do about it.
    pub detail: String,
    /// Why an event would go to quarantine, from the closed list of reasons.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "reason_by_name")]
    #[schema(value_type = Option<String>)]
    pub reason: Option<Reason>,
    /// The parameter or field that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What the parameter may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// What speaks against it, by account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub blockers: Option<Box<serde_json::Value>>,
}

/// A reason on the wire: its name.
mod reason_by_name {
    use ledger::reject::Reason;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        reason: &Option<Reason>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        reason.map(Reason::name).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Reason>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        name.map(|name| {
            Reason::parse(&name).ok_or_else(|| D::Error::custom(format_args!("there is no reason `{name}`")))
        })
        .transpose()
    }
}

impl Problem {
    /// A problem of a kind: `kind` is the last part of its type, for example `unknown-parameter`.
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:tollbook:problem:{kind}").into(),
            title: title.into(),
            status: status.as_u16(),
            detail: detail.into(),
            reason: None,
            parameter: None,
            allowed: Vec::new(),
            blockers: None,
        }
    }

    /// A parameter or field that cannot be what it is.
    #[must_use]
    pub fn parameter(parameter: &str, detail: impl Into<String>) -> Self {
        let mut problem =
            Self::new(StatusCode::BAD_REQUEST, "invalid-parameter", "A parameter is not valid", detail);
        problem.parameter = Some(parameter.to_owned());
        problem
    }

    /// The body is not what the call takes.
    #[must_use]
    pub fn body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-body", "The body is not valid", detail)
    }

    /// There is no such thing, or it is not the caller's to see; the two are told apart by nothing.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            "Not found",
            format!("there is no {what}, or this token may not see it"),
        )
    }

    /// Something failed here; the log has the cause.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The service failed",
            "the request failed inside the service; its log names the cause",
        )
    }

    /// A dependency cannot be reached now.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A dependency is not available", detail)
    }

    /// The same problem with the values that are allowed.
    #[must_use]
    pub fn allowed<T: Into<String>>(mut self, allowed: impl IntoIterator<Item = T>) -> Self {
        self.allowed = allowed.into_iter().map(Into::into).collect();
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status_code();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tollbook\""));
        }
        response
    }
}
