//! JSON bodies, strictly: what a call does not know is a mistake, and the problem names the place.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use schemas::event::secret::redact_text;
use serde::de::DeserializeOwned;

use crate::error::Problem;

/// Bytes that a body may have, after decompression.
pub(crate) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large()
            } else {
                Problem::body(format!("the body cannot be read: {}", rejection.body_text()))
            }
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Problem::body(redact_text(&format!("the body is not valid: {error}"))))
    }
}

/// The problem of a body over the limit.
pub(crate) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The body is too large",
        format!("a body may have {} MiB; send it in parts", BYTES_MAX / 1024 / 1024),
    )
}
