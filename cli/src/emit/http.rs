//! Traffic to the HTTP API: batches of NDJSON over several connections. What the service cannot take now is sent
//! again, and everything that it answers is counted.
//!
//! Each request of an application stays on one connection, so that what repeats or contradicts an event never
//! overtakes it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use ::api::answers::Problem;
use anyhow::{Context, ensure};
use ingest::intake::Answer;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::counted;
use super::flow::Flow;
use crate::service::Service;

/// Events of a request at most.
const BATCH_EVENTS_MAX: u64 = 500;
/// Bytes after which a request is not filled any further; an event adds 300 KiB at most, and 16 MiB are allowed.
const BATCH_BYTES: usize = 4 << 20;
/// Age at which a request is sent though it could be filled.
const BATCH_AGE_MAX: Duration = Duration::from_millis(500);
/// Requests that wait for their turn on each connection.
const WAITING_MAX: usize = 2;
/// Pause before a request is sent again, doubled each time up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a request is sent again and again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What the service answered, added up.
#[derive(Debug, Default)]
pub(super) struct Receipt {
    accepted: u64,
    duplicates: u64,
    /// By reason.
    rejected: BTreeMap<String, u64>,
    /// Events of requests that had to be sent again; the log may have them twice.
    pub(super) resent: u64,
}

/// Sends everything, on so many connections; answers once all of it is acknowledged.
///
/// # Errors
/// Where the service refuses, or for too long takes nothing.
pub(super) fn send(flow: &mut Flow, service: &Service, connections: u16) -> anyhow::Result<Receipt> {
    let runtime = Runtime::new()?;
    let poster = Poster {
        http: Client::builder().timeout(ANSWER_WITHIN).build()?,
        url: format!("{}/v1/events", service.url.trim_end_matches('/')),
        token: service.token.clone(),
    };
    let mut lanes: Vec<Lane> = (0..connections).map(|_| Lane::open(&runtime, poster.clone())).collect();
    for event in flow {
        let mut hasher = DefaultHasher::new();
        event.request_id().hash(&mut hasher);
        let chosen = usize::try_from(hasher.finish() % u64::from(connections))?;
        lanes[chosen].batch.push(|body| event.append_json(body).map(drop))?;
        // A lane that takes no more has failed; its own error says why.
        if !lanes.iter_mut().all(Lane::hand_over) {
            break;
        }
    }
    let mut receipt = Receipt::default();
    for lane in lanes {
        receipt.add(lane.close(&runtime)?);
    }
    Ok(receipt)
}

/// The body of a request.
#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    events: u64,
    since: Option<Instant>,
}

impl Batch {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) -> serde_json::Result<()> {
        write(&mut self.body)?;
        self.body.push(b'\n');
        self.events += 1;
        self.since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.events >= BATCH_EVENTS_MAX
            || self.body.len() >= BATCH_BYTES
            || self.since.is_some_and(|since| since.elapsed() >= BATCH_AGE_MAX)
    }
}

/// One connection with the batch that is being filled for it.
struct Lane {
    batch: Batch,
    batches: mpsc::Sender<Batch>,
    sending: JoinHandle<anyhow::Result<Receipt>>,
}

impl Lane {
    fn open(runtime: &Runtime, poster: Poster) -> Self {
        let (batches, waiting) = mpsc::channel(WAITING_MAX);
        Self { batch: Batch::default(), batches, sending: runtime.spawn(poster.post_all(waiting)) }
    }

    /// Hands the batch over where it is due, and waits where others wait already; `false` where nobody sends any more.
    fn hand_over(&mut self) -> bool {
        !self.batch.is_due() || self.batches.blocking_send(std::mem::take(&mut self.batch)).is_ok()
    }

    /// Sends the rest and waits for the last answer.
    fn close(self, runtime: &Runtime) -> anyhow::Result<Receipt> {
        if self.batch.events > 0 {
            // Where nobody sends any more, the error comes with the end.
            let _ = self.batches.blocking_send(self.batch);
        }
        drop(self.batches);
        runtime.block_on(self.sending).context("a sender ended early")?
    }
}

/// Posts batches.
#[derive(Clone)]
struct Poster {
    http: Client,
    url: String,
    token: SecretString,
}

impl Poster {
    async fn post_all(self, mut batches: mpsc::Receiver<Batch>) -> anyhow::Result<Receipt> {
        let mut receipt = Receipt::default();
        while let Some(batch) = batches.recv().await {
            let answer = self.post(&batch, &mut receipt.resent).await?;
            receipt.count(&answer);
        }
        Ok(receipt)
    }

    /// Sends one batch until it is acknowledged.
    async fn post(&self, batch: &Batch, resent: &mut u64) -> anyhow::Result<Answer> {
        let (begun, mut pause) = (Instant::now(), PAUSE_MIN);
        loop {
            let (why, wait) = match self.try_post(batch).await {
                Ok(response) if is_passing(response.status()) => {
                    let wait = retry_after(&response);
                    (self.refusal(response).await, wait)
                }
                Ok(response) => return self.read(batch, response).await,
                Err(error) => (error.into(), None),
            };
            if begun.elapsed() >= PATIENCE {
                return Err(why.context(format!(
                    "{} took no events for {} s; what it has acknowledged is in the log, and the same traffic can be sent again",
                    self.url,
                    PATIENCE.as_secs()
                )));
            }
            *resent += batch.events;
            tokio::time::sleep(wait.unwrap_or(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn try_post(&self, batch: &Batch) -> reqwest::Result<Response> {
        let request = self.http.post(&self.url).bearer_auth(self.token.expose_secret());
        request.header(CONTENT_TYPE, "application/x-ndjson").body(batch.body.clone()).send().await
    }

    async fn read(&self, batch: &Batch, response: Response) -> anyhow::Result<Answer> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let answer: Answer = response.json().await.with_context(|| {
            format!(
                "{} answered with what is no answer of this API; is it the address of a tollbook?",
                self.url
            )
        })?;
        let spoken_of = u64::try_from(answer.events())?;
        ensure!(
            spoken_of == batch.events,
            "{} was sent {} events and answered of {spoken_of}",
            self.url,
            batch.events
        );
        Ok(answer)
    }

    /// What the service says against it.
    async fn refusal(&self, response: Response) -> anyhow::Error {
        let status = response.status();
        let problem = response.json::<Problem>().await.map(|problem| problem.detail);
        anyhow::anyhow!(
            "{} answered {status}: {}",
            self.url,
            problem.as_deref().unwrap_or("without a reason")
        )
    }
}

/// Whether the same request may be taken later.
fn is_passing(status: StatusCode) -> bool {
    [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ]
    .contains(&status)
}

/// The seconds that the service asks to wait, within reason.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(PAUSE_MIN, PAUSE_MAX))
}

impl Receipt {
    fn count(&mut self, answer: &Answer) {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.accepted += wide(answer.accepted);
        self.duplicates += wide(answer.duplicates);
        for rejected in &answer.rejected {
            *self.rejected.entry(rejected.reason.to_string()).or_default() += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.resent += other.resent;
        for (reason, count) in other.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected = self.rejected.values().sum();
        write!(
            f,
            "it accepted {}, saw {} and rejected {}",
            counted(self.accepted, "event"),
            counted(self.duplicates, "duplicate"),
            counted(rejected, "event")
        )?;
        if self.resent > 0 {
            write!(f, "; {} had to be sent again", counted(self.resent, "event"))?;
        }
        Ok(())
    }
}
