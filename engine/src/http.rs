//! ClickHouse's HTTP interface: one handler that reads a request, runs its statement on a worker thread
//! and turns what comes of it into the answer. Knows nothing of the engine's C interface.

use crate::{
    blocks,
    body::{self, Pieces},
    exception::{Exception, code},
    format,
    lanes::Lanes,
    library::Counts,
    registry::{CancelOnDrop, Registry},
    request::Request,
    session::{Connector, Sessions},
    sql::{self, Lane},
    statement,
    worker::{Data, Event, Job},
};
use axum::{
    Router,
    body::Body,
    extract::{Request as HttpRequest, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use secrecy::SecretString;
use std::{
    fmt::Write as _,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// So much of a body is read on for a client that is still sending when its statement has failed.
const DRAIN_BYTES_MAX: usize = 256 << 20;
/// Pieces under way between the worker and the answer.
const PIECES_UNDER_WAY: usize = 4;
const COMPRESSED_PIECE_BYTES: usize = 1 << 20;

/// What all requests share.
pub(crate) struct Service {
    connector: Arc<Connector>,
    registry: Arc<Registry>,
    sessions: Arc<Sessions>,
    secret: SecretString,
    lanes: Lanes,
    timezone: String,
    stopping: AtomicBool,
}

impl Service {
    pub(crate) fn new(
        connector: Arc<Connector>,
        registry: Arc<Registry>,
        secret: SecretString,
        timezone: String,
        lanes: Lanes,
    ) -> Arc<Self> {
        Arc::new(Self {
            connector,
            registry,
            sessions: Arc::default(),
            secret,
            lanes,
            timezone,
            stopping: AtomicBool::new(false),
        })
    }

    /// From now on statements are refused; those under way go on.
    pub(crate) fn refuse_new(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.sessions.close_idle();
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/ping", get(ping))
            .route("/", get(handle).post(handle))
            .with_state(Arc::clone(self))
    }
}

/// What the answer needs to know of its request.
#[derive(Debug, Clone)]
struct Reply {
    query_id: String,
    format: String,
    timezone: String,
    compress: bool,
}

async fn ping(State(service): State<Arc<Service>>) -> Response {
    match service.stopping.load(Ordering::SeqCst) {
        true => (StatusCode::SERVICE_UNAVAILABLE, "Stopping.\n").into_response(),
        false => "Ok.\n".into_response(),
    }
}

async fn handle(State(service): State<Arc<Service>>, http: HttpRequest) -> Response {
    let (parts, body) = http.into_parts();
    let request = match Request::parse(&parts.uri, &parts.headers) {
        Ok(request) => request,
        Err(exception) => return refusal(&exception, None),
    };
    if let Err(exception) = request.authenticate(&service.secret) {
        return refusal(&exception, None);
    }
    let asks_nothing = request.query.is_none() && parts.method == Method::GET;
    if asks_nothing {
        return "Ok.\n".into_response();
    }
    let mut reply = Reply {
        query_id: request.query_id.clone().unwrap_or_else(|| Uuid::new_v4().to_string()),
        format: "TabSeparated".into(),
        timezone: service.timezone.clone(),
        compress: request.compress,
    };
    let mut pieces = body::pieces(body, request.packing);
    match answer(&service, request, &parts.method, &parts.headers, &mut pieces, &mut reply).await {
        Ok(response) => response,
        Err(exception) => {
            body::drain(&mut pieces, DRAIN_BYTES_MAX).await;
            refusal(&exception, Some(&reply))
        }
    }
}

async fn answer(
    service: &Arc<Service>,
    mut request: Request,
    method: &Method,
    headers: &HeaderMap,
    pieces: &mut Pieces,
    reply: &mut Reply,
) -> Result<Response, Exception> {
    if service.stopping.load(Ordering::SeqCst) {
        return Err(Exception::stopping());
    }
    if let Some(boundary) = statement::boundary(headers) {
        let form = std::mem::replace(pieces, stream::empty().boxed());
        statement::read_form(form, boundary, &mut request).await?;
    }
    let statement = statement::read(request.query.take(), pieces).await?;
    let lane = sql::lane(&statement.text);
    let reads = matches!(lane, Lane::Select | Lane::Control) && sql::kill(&statement.text).is_none();
    if method == Method::GET && !reads {
        let text = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies \
                    readonly. You should use method POST for modifying queries";
        return Err(Exception::new(code::READONLY, "READONLY", text));
    }
    let running = service.registry.enter(&reply.query_id, &statement.text, kind(lane))?;
    let cancel = (lane != Lane::Change).then(|| running.cancel_on_drop());
    let permit = service.lanes.enter(lane, &running).await?;
    let default_format = request.default_format.take().unwrap_or_else(|| "TabSeparated".into());
    reply.format = sql::output_format(&statement.text).unwrap_or_else(|| default_format.clone());

    let (events_in, mut events) = mpsc::channel(PIECES_UNDER_WAY);
    let (action, data) = statement.into_action();
    let entry = Arc::clone(&running.entry);
    let job = Job {
        action,
        running,
        lease: request.session.as_ref().map(|session| service.sessions.take(session)).transpose()?,
        database: request.database,
        settings: request.settings,
        parameters: request.parameters,
        default_format,
        whole: request.wait_end_of_query,
        events: events_in,
    };
    let worker = Arc::clone(service);
    tokio::task::spawn_blocking(move || {
        job.run(&worker.connector);
        drop(permit);
    });

    let first = match data {
        Some((first_piece, sender)) => {
            tokio::select! {
                biased;
                () = send_data(first_piece, pieces, &sender) => {}
                () = entry.cancelled.cancelled() => return Err(Exception::cancelled()),
            }
            drop(sender);
            events.recv().await
        }
        None => events.recv().await,
    };
    match first {
        Some(Event::Begin(counts)) => Ok(begin(reply, counts, events, cancel)),
        Some(Event::Failed(exception)) => Err(exception),
        Some(Event::Piece(_) | Event::End) | None => {
            Err(Exception::new(code::LOGICAL_ERROR, "LOGICAL_ERROR", "The statement ended without an answer"))
        }
    }
}

/// Hands the body to the worker; leaves early when the worker has ended.
async fn send_data(first: Bytes, pieces: &mut Pieces, worker: &mpsc::Sender<Data>) {
    if !first.is_empty() && worker.send(Data::Piece(first)).await.is_err() {
        return;
    }
    loop {
        let data = match pieces.next().await {
            Some(Ok(piece)) => Data::Piece(piece),
            Some(Err(exception)) => Data::Broken(exception),
            None => Data::End,
        };
        let last = !matches!(data, Data::Piece(_));
        if worker.send(data).await.is_err() || last {
            return;
        }
    }
}

fn begin(
    reply: &Reply,
    counts: Option<Counts>,
    events: mpsc::Receiver<Event>,
    cancel: Option<CancelOnDrop>,
) -> Response {
    let tag = Uuid::new_v4().simple().to_string()[..16].to_owned();
    let mut response = Response::new(Body::empty());
    set_headers(response.headers_mut(), reply);
    put(response.headers_mut(), "x-clickhouse-summary", &summary(counts.unwrap_or_default()));
    put(response.headers_mut(), "x-clickhouse-exception-tag", &tag);
    let state = (events, cancel, false);
    let compress = reply.compress;
    *response.body_mut() = Body::from_stream(stream::unfold(state, move |(mut events, cancel, ended)| {
        let tag = tag.clone();
        async move {
            if ended {
                return None;
            }
            let (piece, ended) = match events.recv().await {
                Some(Event::Piece(piece)) => (pack(piece, compress), false),
                Some(Event::End) => return None,
                Some(Event::Failed(exception)) => (pack(exception.frame(&tag).into(), compress), true),
                Some(Event::Begin(_)) => (Ok(Bytes::new()), false),
                // The worker is gone without an end: the client must not take this for one.
                None => (Err(io::Error::other("the statement broke off")), true),
            };
            Some((piece, (events, cancel, ended)))
        }
    }));
    response
}

fn pack(piece: Bytes, compress: bool) -> io::Result<Bytes> {
    if !compress {
        return Ok(piece);
    }
    let mut packed = Vec::new();
    for part in piece.chunks(COMPRESSED_PIECE_BYTES) {
        packed.extend(blocks::pack(part).ok_or_else(|| io::Error::other("cannot compress the answer"))?);
    }
    Ok(packed.into())
}

fn refusal(exception: &Exception, reply: Option<&Reply>) -> Response {
    let text = Bytes::from(format!("{exception}\n"));
    let body = match reply {
        Some(reply) => pack(text.clone(), reply.compress).unwrap_or(text),
        None => text,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = exception.status();
    if let Some(reply) = reply {
        set_headers(response.headers_mut(), reply);
    }
    put(response.headers_mut(), "content-type", "text/plain; charset=UTF-8");
    put(response.headers_mut(), "x-clickhouse-exception-code", &exception.code.to_string());
    response
}

fn set_headers(headers: &mut HeaderMap, reply: &Reply) {
    put(headers, "content-type", format::content_type(&reply.format));
    put(headers, "x-clickhouse-query-id", &reply.query_id);
    put(headers, "x-clickhouse-format", &reply.format);
    put(headers, "x-clickhouse-server-display-name", "engine");
    put(headers, "x-clickhouse-timezone", &reply.timezone);
}

/// Sets a header, unless the client's own text cannot stand in one.
fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn summary(counts: Counts) -> String {
    let mut text = String::from("{");
    for (name, value) in [
        ("read_rows", counts.rows_read),
        ("read_bytes", counts.bytes_read),
        ("written_rows", counts.rows_written),
        ("written_bytes", counts.bytes_written),
        ("result_rows", counts.rows),
    ] {
        let _ = write!(text, "\"{name}\":\"{value}\",");
    }
    text.push_str("\"total_rows_to_read\":\"0\"}");
    text
}

fn kind(lane: Lane) -> &'static str {
    match lane {
        Lane::Select | Lane::Control => "Select",
        Lane::Insert => "Insert",
        Lane::Change => "Other",
    }
}
