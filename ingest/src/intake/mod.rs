//! Events over HTTP: `POST /v1/events` takes them, judges each as the worker will, appends them to the log, and
//! answers once they are durable. Posts nothing and knows nothing of tokens beyond what the caller may send.

mod answer;
mod body;
mod judge;
mod lines;
mod oversized;
mod owners;
mod problem;
mod replay;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use ledger::event::Millis;
use schemas::caller::Caller;
use schemas::event::Decoder;
use schemas::log::Log;
use utoipa::OpenApi;

pub use answer::{Answer, FORBIDDEN, Rejected};
pub use body::BYTES_MAX;
pub use lines::{EVENTS_MAX, Line};
pub use problem::Problem;

use body::Budget;
use judge::{Judged, UnknownSchema, judge};
use owners::Bounds;

/// Requests with more bytes are judged on a thread of their own, so that they hold up no other.
const INLINE_BYTES_MAX: usize = 256 * 1024;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// Where the decoder comes from, and the Avro schemas that it lacks.
pub trait Schemas: Send + Sync + fmt::Debug {
    /// A decoder that knows every schema fetched so far.
    fn decoder(&self) -> Arc<Decoder>;

    /// Fetches one schema; may block. A schema that does not exist is known as such afterwards.
    ///
    /// # Errors
    /// Where the registry does not answer, with what it said.
    fn fetch(&self, id: u32) -> Result<Arc<Decoder>, String>;
}

/// The schemas of a service without a registry: the built-in one.
#[derive(Clone, Debug)]
pub struct BuiltIn(pub Arc<Decoder>);

impl Schemas for BuiltIn {
    fn decoder(&self) -> Arc<Decoder> {
        self.0.clone()
    }

    fn fetch(&self, id: u32) -> Result<Arc<Decoder>, String> {
        Err(format!("there is no schema registry to ask for schema {id}; name one with --schema-registry"))
    }
}

/// What takes events in.
#[derive(Clone)]
pub struct Intake {
    log: Arc<dyn Log>,
    topic: Arc<str>,
    schemas: Arc<dyn Schemas>,
    clock: Clock,
    budget: Budget,
}

impl fmt::Debug for Intake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Intake")
            .field("log", &self.log)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Intake {
    /// An intake that appends to that topic of the log.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, topic: &str, schemas: Arc<dyn Schemas>) -> Self {
        let clock = Arc::new(|| {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
        });
        Self { log, topic: topic.into(), schemas, clock, budget: Budget::default() }
    }

    /// The same with another source of the time.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Takes events from a caller; one without a token may send for anybody. Answers once they are durable.
    ///
    /// # Errors
    /// A problem where the log or the schema registry does not answer; then nothing is acknowledged, and the sender
    /// sends all of it again.
    pub async fn take(&self, caller: Option<&Caller>, lines: Vec<Line>) -> Result<Answer, Problem> {
        let Judged { records, answer } = self.judge_lines(caller, lines).await?;
        if records.is_empty() {
            return Ok(answer);
        }
        match self.log.append(&self.topic, records).await {
            Ok(_) => Ok(answer),
            Err(error) => {
                tracing::error!(error = %error, topic = %self.topic, "Events could not be logged");
                Err(Problem::unavailable(
                    "the log did not take the events, and none is acknowledged; send all of them again, a repeat is recognized by its id",
                ))
            }
        }
    }

    async fn judge_lines(&self, caller: Option<&Caller>, lines: Vec<Line>) -> Result<Judged, Problem> {
        let bytes: usize = lines.iter().map(|line| line.value.len()).sum();
        let now = (self.clock)();
        let lines: Arc<[Line]> = lines.into();
        let mut decoder = self.schemas.decoder();
        let mut fetched = None;
        loop {
            let judged = if bytes <= INLINE_BYTES_MAX {
                judge(&lines, &decoder, caller.and_then(Bounds::of), now)
            } else {
                let (lines, decoder, caller) = (lines.clone(), decoder.clone(), caller.cloned());
                apart(move || judge(&lines, &decoder, caller.as_ref().and_then(Bounds::of), now)).await?
            };
            match judged {
                Ok(judged) => return Ok(judged),
                // A schema that was fetched and is unknown still would be fetched for ever.
                Err(UnknownSchema(id)) if fetched == Some(id) => return Err(Problem::internal()),
                Err(UnknownSchema(id)) => {
                    fetched = Some(id);
                    decoder = self.fetch(id).await?;
                }
            }
        }
    }

    async fn fetch(&self, id: u32) -> Result<Arc<Decoder>, Problem> {
        let schemas = self.schemas.clone();
        apart(move || schemas.fetch(id)).await?.map_err(|detail| {
            tracing::error!(schema = id, "A schema could not be fetched: {detail}");
            Problem::unavailable(format!(
                "Avro schema {id} cannot be fetched from the schema registry now; send the event again"
            ))
        })
    }
}

/// Runs work on a thread that may be held up.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(error = %error, "Judging events failed");
        Problem::internal()
    })
}

/// The routes of the intake. A [`Caller`] among a request's extensions bounds what it may send.
pub fn router(intake: Intake) -> Router {
    Router::new().route("/v1/events", post(events)).with_state(intake)
}

/// What the routes take and answer, for the service's OpenAPI document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[derive(OpenApi)]
#[openapi(
    paths(events),
    components(schemas(Answer, Rejected, Problem)),
    tags((name = "intake", description = "Sending usage events"))
)]
struct Document;

/// Takes usage events and answers what became of each once they are durable.
#[utoipa::path(
    post, path = "/v1/events", tag = "intake",
    request_body(
        description = "One usage event, an array of them, or NDJSON; an Avro record; CloudEvents, structured, batched or in binary mode. At most 16 MiB, also after decompression from gzip or zstd.",
        content(
            (serde_json::Value = "application/json"),
            (String = "application/x-ndjson"),
            (serde_json::Value = "application/cloudevents+json"),
            (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
            (Vec<u8> = "application/avro"),
        )
    ),
    responses(
        (status = 202, description = "Everything is durable; `accepted`, `duplicates` and the entries of `rejected` add up to the events sent", body = Answer),
        (status = 400, description = "The body as a whole is broken or empty", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is over 16 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The content encoding is not known", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The log does not take events now; nothing was acknowledged", body = Problem, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds to wait before sending again")))
    ),
    security(("token" = []))
)]
async fn events(
    State(intake): State<Intake>,
    request: Request,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let (parts, body) = request.into_parts();
    let (body, _share) = intake.budget.read(&parts.headers, body).await?;
    let lines = lines::split(&parts.headers, &body)?;
    let answer = intake.take(parts.extensions.get::<Caller>(), lines).await?;
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
