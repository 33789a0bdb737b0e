//! Reads a request's body, bounded in bytes here and over all requests.

use std::error::Error;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Bytes that a body may have, after decompression.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that all bodies under way may have together.
const ALL_BYTES_MAX: usize = 128 * 1024 * 1024;
/// What a body over its limit is refused with by layers before this one.
const LIMIT_EXCEEDED: &str = "length limit exceeded";

/// The memory that all bodies under way share.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

impl Default for Budget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES_MAX)))
    }
}

impl Budget {
    /// Reads a body. The second value holds its share of the memory until it is dropped.
    pub(super) async fn read(&self, headers: &HeaderMap, body: Body) -> Result<(Bytes, Share), Problem> {
        let encoding = headers.get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Problem::encoding());
        }
        let length =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if length.is_some_and(|length: u64| u64::try_from(BYTES_MAX).is_ok_and(|max| length > max)) {
            return Err(too_large());
        }
        let mut share = Share::default();
        let mut stream = body.into_data_stream();
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| unreadable(&error))?;
            if first.len() + rest.len() + chunk.len() > BYTES_MAX {
                return Err(too_large());
            }
            share.add(self, chunk.len())?;
            if first.is_empty() {
                first = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        if rest.is_empty() {
            return Ok((first, share));
        }
        Ok(([first, rest.freeze()].concat().into(), share))
    }
}

/// A body's share of the budget.
#[derive(Debug, Default)]
pub(super) struct Share(Option<OwnedSemaphorePermit>);

impl Share {
    /// Does not wait for memory: bodies that wait for each other would do so for good.
    fn add(&mut self, budget: &Budget, bytes: usize) -> Result<(), Problem> {
        let permit =
            u32::try_from(bytes).ok().and_then(|bytes| budget.0.clone().try_acquire_many_owned(bytes).ok());
        let Some(permit) = permit else {
            return Err(Problem::unavailable(
                "too many bodies are being read now; nothing of this one was taken, send it again",
            ));
        };
        match &mut self.0 {
            Some(held) => held.merge(permit),
            None => self.0 = Some(permit),
        }
        Ok(())
    }
}

fn too_large() -> Problem {
    Problem::too_large(format!("a body may have {} MiB; send it in parts", BYTES_MAX / 1024 / 1024))
}

/// A body that ended in an error: too large for a layer before, badly compressed, or cut off.
fn unreadable(error: &axum::Error) -> Problem {
    let mut cause: Option<&dyn Error> = Some(error);
    let mut text = String::new();
    while let Some(error) = cause {
        text = error.to_string();
        if text == LIMIT_EXCEEDED {
            return too_large();
        }
        cause = error.source();
    }
    Problem::body(format!("the body cannot be read: {text}"))
}
