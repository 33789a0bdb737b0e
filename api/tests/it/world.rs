//! What a test starts with: a migrated store, a log whose worker is played by the test, and the API's router.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::event::Millis;
use schemas::caller::Caller;
use schemas::command::{Command, Envelope, Resolution};
use schemas::event::{Arena, Decoder, Error, Record};
use schemas::judge::{Accepted, Judge, Rejected, Sent, Unavailable, Verdicts};
use schemas::log::{self, COMMANDS_TOPIC, Log, NewRecord, Position, USAGE_TOPIC};
use schemas::queries;
use schemas::registries::{Change, Stored, apply};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::engine_process::Engine;

/// An instant far enough away that no lease ends in a test.
const LEASE_END: &str = "2200-01-01 00:00:00.000";

pub(crate) struct World {
    pub(crate) client: clickhouse::Client,
    pub(crate) router: Router,
    pub(crate) worker: Arc<Worker>,
    pub(crate) admin: String,
    engine: Engine,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        // Why a call failed is in the log; a test that fails shows it.
        let _ = tracing_subscriber::fmt().with_env_filter("warn").with_test_writer().try_init();
        let engine = Engine::start()?;
        let client = engine.client();
        schemas::migrate::migrate(&client).await?;
        let worker = Arc::new(Worker::new(client.clone()));
        let api = api::Api::new(client.clone(), worker.clone(), prometheus::Registry::new())
            .with_judge(Arc::new(Decoding(Decoder::new()?)));
        let router = api::router(api, Some(intake()))?;
        let mut world = Self { client, router, worker, admin: String::new(), engine };
        world.admin = world.token("admin", &["admin"], &[], &[]).await?;
        Ok(world)
    }

    /// Url of the engine.
    pub(crate) fn engine_url(&self) -> &str {
        self.engine.url()
    }

    /// The same world behind another API; the metrics are new.
    pub(crate) fn behind(self, store: clickhouse::Client, intake: Option<Router>) -> Result<Self> {
        let api = api::Api::new(store, self.worker.clone(), prometheus::Registry::new());
        Ok(Self { router: api::router(api, intake)?, ..self })
    }

    /// The same world behind an API that waits for changes no longer than that.
    pub(crate) fn waiting(self, wait: Duration) -> Result<Self> {
        let api = api::Api::new(self.client.clone(), self.worker.clone(), prometheus::Registry::new());
        Ok(Self { router: api::router(api.with_change_wait(wait), None)?, ..self })
    }

    /// What such an API does besides answering calls.
    pub(crate) fn chores(&self) -> Result<api::Chores> {
        let api = api::Api::new(self.client.clone(), self.worker.clone(), prometheus::Registry::new())
            .with_judge(Arc::new(Decoding(Decoder::new()?)));
        Ok(api::router_and_chores(api, None)?.1)
    }

    /// The same world behind an API that audits by itself.
    pub(crate) fn auditing(self, every: Duration) -> Result<Self> {
        let api = api::Api::new(self.client.clone(), self.worker.clone(), prometheus::Registry::new());
        tokio::spawn(api.audits(every)?);
        Ok(Self { router: api::router(api, None)?, ..self })
    }

    /// Puts a token into the store, as the migration does with the first one, and answers its text.
    pub(crate) async fn token(
        &self,
        id: &str,
        scopes: &[&str],
        customers: &[&str],
        teams: &[&str],
    ) -> Result<String> {
        let text = format!("tb_{id}_{}", "A".repeat(43));
        let row = json!({
            "topic": "migrate", "token_id": id, "name": id, "secret_hash": hash_text(&text), "scopes": scopes,
            "customers": customers, "teams": teams, "created_at": "2026-01-01 00:00:00.000",
        });
        insert_token(&self.client, row).await?;
        Ok(text)
    }

    /// Posts entries: the fields given, over those of an ordinary entry. Offsets count up from 0.
    pub(crate) async fn post(&self, entries: &[Value]) -> Result<()> {
        let rows: Vec<Value> =
            (0_u64..).zip(entries).map(|(offset, entry)| over(ordinary(offset), entry)).collect();
        self.insert("entries", &rows).await
    }

    /// Inserts rows as JSON; a lease is added.
    pub(crate) async fn insert(&self, table: &str, rows: &[Value]) -> Result<()> {
        insert(&self.client, table, rows).await
    }

    /// The worker of a partition says how far it is.
    pub(crate) async fn progress(&self, partition: u32, partitions: u32, through: &str) -> Result<()> {
        let row = json!({
            "topic": USAGE_TOPIC, "partition": partition, "partitions": partitions, "next": 0, "end": 0,
            "complete_through": through, "commands_through": 0, "worker": "w", "seen_at": through,
        });
        insert_rows(&self.client, "progress", &[row]).await
    }

    /// A call with the admin token that has to succeed.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.call(Method::GET, path, &self.admin, None).await?;
        ensure!(status == StatusCode::OK, "{path}: {status} {body}");
        Ok(body)
    }

    /// A call with a token; answers status and JSON body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body)?).await?;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await?;
        let value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).with_context(|| String::from_utf8_lossy(&bytes).into_owned())?
        };
        Ok((status, value))
    }

    /// A call with the admin token and any body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
        headers: &[(&str, &str)],
    ) -> Result<axum::response::Response> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.admin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(self.router.clone().oneshot(request.body(body)?).await?)
    }

    /// Posts a text with the admin token.
    pub(crate) async fn post_text(&self, path: &str, body: &str) -> Result<(StatusCode, Value)> {
        let response = self.send(Method::POST, path, body.to_owned().into(), &[]).await?;
        let status = response.status();
        Ok((status, serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await?)?))
    }

    /// A call with the admin token as plain text.
    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        let request = Request::builder()
            .uri(path)
            .header("authorization", format!("Bearer {}", self.admin))
            .body(Body::empty())?;
        let response = self.router.clone().oneshot(request).await?;
        let status = response.status();
        let text = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await?.to_vec())?;
        ensure!(status == StatusCode::OK, "{path}: {status} {text}");
        Ok(text)
    }
}

/// Stands for the intake's routes: shows the caller that it finds.
fn intake() -> Router {
    async fn events(axum::Extension(caller): axum::Extension<schemas::caller::Caller>) -> String {
        json!({ "customers": caller.customers }).to_string()
    }
    Router::new().route("/v1/events", axum::routing::post(events))
}

/// An entry of 10 input tokens at 2 and 5 output tokens at 4: 10 × 2 + 5 × 4 = 40.
fn ordinary(offset: u64) -> Value {
    json!({
        "event_id": format!("e{offset}"), "request_id": format!("r{offset}"),
        "occurred_at": "2026-11-10 12:00:00.000", "recorded_at": "2026-11-10 12:00:01.000",
        "log_time": "2026-11-10 12:00:00.500",
        "topic": USAGE_TOPIC, "partition": 0, "offset": offset, "ordinal": 0, "kind": "usage", "operation": 0,
        "key": "k1", "team": "search", "app": "web", "environment": "prod", "customer": "acme",
        "endpoint_family": "openai", "provider": "openai", "model": "gpt-5", "attempt": 1, "attempt_kind": "primary",
        "status": 200, "outcome": "billed", "attempts": 1, "requests": 1, "model_row": "openai/gpt-5@1",
        "matched_by": "exact", "currency": "USD",
        "input_uncached_tokens": 10, "input_uncached_price": "2", "output_text_tokens": 5, "output_text_price": "4",
        "list_cost": "40", "cost": "40", "charge": "40", "cost_avoided": "0", "usage": "{\"prompt_tokens\":10}",
    })
}

fn over(mut row: Value, fields: &Value) -> Value {
    if let (Value::Object(row), Value::Object(fields)) = (&mut row, fields) {
        row.extend(fields.clone());
    }
    row
}

async fn insert(client: &clickhouse::Client, table: &str, rows: &[Value]) -> Result<()> {
    let rows: Vec<Value> =
        rows.iter().map(|row| over(row.clone(), &json!({ "write_before": LEASE_END }))).collect();
    insert_rows(client, table, &rows).await
}

async fn insert_rows(client: &clickhouse::Client, table: &str, rows: &[Value]) -> Result<()> {
    let body: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let mut insert = client.insert_formatted_with(format!("INSERT INTO {table} FORMAT JSONEachRow"));
    insert.send(body.into()).await?;
    Ok(insert.end().await?)
}

/// `secret_hash` is 32 bytes, which JSON cannot carry: it is named in hexadecimal and decoded by the store.
async fn insert_token(client: &clickhouse::Client, row: Value) -> Result<()> {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let values: Vec<String> =
            row[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        values
    };
    client
        .query(
            "INSERT INTO api_tokens (topic, partition, offset, ordinal, token_id, name, secret_hash, scopes, customers, \
             teams, created_at, revoked, write_before) SELECT {topic:String}, 0, {offset:UInt64}, 0, {id:String}, \
             {name:String}, unhex({hash:String}), {scopes:Array(String)}, {customers:Array(String)}, \
             {teams:Array(String)}, '2026-01-01', {revoked:UInt8}, '2200-01-01'",
        )
        .param("topic", text("topic"))
        .param("offset", row["offset"].as_u64().unwrap_or_default())
        .param("id", text("token_id"))
        .param("name", text("name"))
        .param("hash", text("secret_hash"))
        .param("scopes", list("scopes"))
        .param("customers", list("customers"))
        .param("teams", list("teams"))
        .param("revoked", row["revoked"].as_u64().unwrap_or_default())
        .execute()
        .await?;
    Ok(())
}

fn hash_text(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Judges events by decoding them, as if they were logged in November 2026.
#[derive(Debug)]
struct Decoding(Decoder);

impl Judge for Decoding {
    fn topic(&self) -> &str {
        USAGE_TOPIC
    }

    fn judge<'a>(&'a self, _: &'a Caller, events: Vec<Sent>) -> BoxFuture<'a, Result<Verdicts, Unavailable>> {
        let verdict = |event: Sent| {
            let record = Record {
                value: Some(&event.value),
                content_type: event.content_type.as_deref(),
                log_time: Millis(1_794_000_000_000),
            };
            let event_id = match self.0.decode(record, &Arena::new()) {
                Ok(event) => event.event_id.to_owned(),
                Err(Error::Reject(reject)) => {
                    return Err(Rejected { reason: reject.reason.name().into(), detail: reject.detail });
                }
                Err(Error::UnknownSchema(id)) => {
                    return Err(Rejected { reason: "decode".into(), detail: format!("schema {id}") });
                }
            };
            Ok(Accepted { event_id, record: NewRecord { value: Some(event.value), ..NewRecord::default() } })
        };
        let verdicts = events.into_iter().map(verdict).collect();
        async { Ok(verdicts) }.boxed()
    }
}

/// The log, and the worker that carries commands out as they are appended.
#[derive(Debug)]
pub(crate) struct Worker {
    client: clickhouse::Client,
    next: AtomicU64,
    /// Commands are logged and nobody carries them out.
    pub(crate) is_away: AtomicBool,
    /// Commands are carried out as refused.
    pub(crate) refuses: AtomicBool,
    /// The log time of what is published.
    pub(crate) known_from: Mutex<String>,
    /// The log takes no usage.
    pub(crate) takes_no_usage: AtomicBool,
    /// The usage that was logged.
    pub(crate) usage: Mutex<Vec<NewRecord>>,
}

impl Worker {
    fn new(client: clickhouse::Client) -> Self {
        Self {
            client,
            next: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            known_from: Mutex::new("2026-11-10 12:00:00.000".to_owned()),
            takes_no_usage: AtomicBool::new(false),
            usage: Mutex::default(),
        }
    }

    /// Carries out the command of one record.
    async fn carry_out(&self, offset: u64, record: &NewRecord) -> Result<()> {
        let envelope = Envelope::parse(record.value.as_deref().unwrap_or_default())?;
        let (mut refusal, mut result) = (None, String::new());
        if self.refuses.load(Ordering::SeqCst) {
            refusal = Some("the price book has changed".to_owned());
        } else {
            match self
                .apply(offset, &envelope.command_id, Command::from_parts(&envelope.name, &envelope.body)?)
                .await?
            {
                Ok(text) => result = text,
                Err(detail) => refusal = Some(detail),
            }
        }
        let outcome = if refusal.is_some() { "refused" } else { "applied" };
        let row = json!({
            "topic": COMMANDS_TOPIC, "partition": 0, "offset": offset, "ordinal": 0,
            "command_id": envelope.command_id, "name": envelope.name, "actor": envelope.actor,
            "log_time": "2026-11-10 12:00:00.000", "recorded_at": "2026-11-10 12:00:00.000",
            "part": envelope.part, "parts": envelope.parts, "body": envelope.body, "outcome": outcome,
            "detail": refusal.unwrap_or_default(), "result": result,
        });
        insert(&self.client, "commands", &[row]).await?;
        let progress = json!({
            "topic": USAGE_TOPIC, "partition": 0, "partitions": 1, "next": 0, "end": 0,
            "complete_through": "2026-11-10 12:00:00.000", "commands_through": offset + 1, "worker": "w",
            "seen_at": "2026-11-10 12:00:00.000",
        });
        insert_rows(&self.client, "progress", &[progress]).await
    }

    /// What a command does: the worker's result, or why it refuses.
    async fn apply(&self, offset: u64, command_id: &str, command: Command) -> Result<Result<String, String>> {
        match command {
            Command::SetMarkups(set) => return self.set(offset, &set.rows).await,
            Command::SetAccounts(set) => return self.set(offset, &set.rows).await,
            Command::SetOwners(set) => return self.set(offset, &set.rows).await,
            other => self.apply_plain(offset, command_id, other).await?,
        }
        Ok(Ok(String::new()))
    }

    async fn set<C: Change>(&self, offset: u64, changes: &[C]) -> Result<Result<String, String>> {
        let query = queries::REGISTRY_ALL.text().replace("{{table}}", C::TABLE);
        let stored: Vec<Stored> = self.client.query(&query).fetch_all().await?;
        // Ten minutes before all that the test's worker says of time.
        let outcome = match apply(&stored, changes, ledger::event::Millis(1_794_312_000_000)) {
            Ok(outcome) => outcome,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let time = |millis: i64| {
            jiff::Timestamp::from_millisecond(millis).unwrap_or_default().strftime("%F %T%.3f").to_string()
        };
        let rows = (0_u64..).zip(&outcome.set).map(|(ordinal, set)| {
            json!({
                "topic": COMMANDS_TOPIC, "partition": 0, "offset": offset, "ordinal": ordinal, "id": set.id,
                "kind": set.kind, "version": set.version, "effective_from": set.effective_from.map(|from| time(from.0)),
                "known_from": "2026-11-10 12:00:00.000", "ended": u8::from(set.is_ended), "customer": set.customer,
                "team": set.team, "body": set.body,
            })
        });
        let rows: Vec<Value> = rows.collect();
        if !rows.is_empty() {
            insert(&self.client, C::TABLE, &rows).await?;
        }
        let shown: Vec<Value> = outcome
            .set
            .iter()
            .map(|set| {
                json!({"id": set.id, "kind": set.kind, "version": set.version,
                       "effective_from_ms": set.effective_from.map(|from| from.0)})
            })
            .collect();
        Ok(Ok(json!({"set": shown, "unchanged": outcome.unchanged}).to_string()))
    }

    async fn apply_plain(&self, offset: u64, command_id: &str, command: Command) -> Result<()> {
        match command {
            Command::ReverseRepeats(_) => Ok(()),
            // A close needs a worker that bills.
            Command::CloseMonth(_) => Ok(()),
            Command::MintToken(mint) => {
                let row = json!({
                    "topic": COMMANDS_TOPIC, "offset": offset, "token_id": mint.token_id, "name": mint.name,
                    "secret_hash": mint.secret_hash, "scopes": mint.scopes, "customers": mint.customers,
                    "teams": mint.teams,
                });
                insert_token(&self.client, row).await
            }
            Command::RotateToken(rotate) => {
                for (id, hash, expires) in [
                    (&rotate.new_token_id, Some(&rotate.secret_hash), rotate.expires_at),
                    (&rotate.token_id, None, Some(rotate.old_expires_at)),
                ] {
                    self.client
                        .query(
                            "INSERT INTO api_tokens SELECT {topic:String}, 0, {offset:UInt64}, 0, {id:String}, name, \
                             if({hash:String} = '', secret_hash, unhex({hash:String})), scopes, customers, teams, \
                             created_at, if({expires:Int64} < 0, NULL, fromUnixTimestamp64Milli({expires:Int64})), 0, \
                             '2200-01-01' FROM api_tokens WHERE token_id = {old:String} LIMIT 1",
                        )
                        .param("topic", COMMANDS_TOPIC)
                        .param("offset", offset)
                        .param("id", id)
                        .param("hash", hash.map_or("", String::as_str))
                        .param("expires", expires.unwrap_or(-1))
                        .param("old", &rotate.token_id)
                        .execute()
                        .await?;
                }
                Ok(())
            }
            Command::RevokeToken(revoke) => {
                self.client
                    .query(
                        "INSERT INTO api_tokens SELECT {topic:String}, 0, {offset:UInt64}, 0, token_id, name, \
                         secret_hash, scopes, customers, teams, created_at, expires_at, 1, '2200-01-01' \
                         FROM api_tokens WHERE token_id = {id:String} LIMIT 1",
                    )
                    .param("topic", COMMANDS_TOPIC)
                    .param("offset", offset)
                    .param("id", revoke.token_id)
                    .execute()
                    .await?;
                Ok(())
            }
            Command::ResolveQuarantine(resolve) => {
                let rows = (0_u64..).zip(resolve.records).map(|(ordinal, record)| {
                    json!({
                        "topic": COMMANDS_TOPIC, "partition": 0, "offset": offset, "ordinal": ordinal,
                        "record_topic": record.record.topic, "record_partition": record.record.partition,
                        "record_offset": record.record.offset, "event": record.event.unwrap_or_default(),
                        "state": match resolve.resolution {
                            Resolution::Replay => "replayed",
                            Resolution::Discard => "discarded",
                        },
                        "command_id": command_id, "actor": "admin", "note": resolve.note,
                        "resolved_at": "2020-01-01 00:00:00.000",
                    })
                });
                insert(&self.client, "quarantine_resolutions", &rows.collect::<Vec<_>>()).await
            }
            Command::ConfirmReplays(confirm) => {
                let rows = (0_u64..).zip(confirm.replays).map(|(ordinal, replay)| {
                    json!({
                        "topic": COMMANDS_TOPIC, "partition": 0, "offset": offset, "ordinal": ordinal,
                        "record_topic": replay.record.topic, "record_partition": replay.record.partition,
                        "record_offset": replay.record.offset, "state": "logged",
                        "logged_topic": replay.logged.topic, "logged_partition": replay.logged.partition,
                        "logged_offset": replay.logged.offset, "command_id": command_id, "actor": "admin",
                        "resolved_at": "2020-01-01 00:00:00.000",
                    })
                });
                insert(&self.client, "quarantine_resolutions", &rows.collect::<Vec<_>>()).await
            }
            Command::RecordRepair(_) => Ok(()),
            Command::PublishPrices(publish) => {
                let rows = (0_u64..).zip(publish.rows).map(|(ordinal, text)| {
                    // As the worker does: what is published is what was read, and a time of the row's own.
                    let row = schemas::prices::from_json(&text)?;
                    let from = row.effective_from.map(|from| from.0.to_string());
                    Ok(json!({
                        "topic": COMMANDS_TOPIC, "partition": 0, "offset": offset, "ordinal": ordinal,
                        "row_id": row.id, "provider": row.provider, "model": row.model, "currency": row.currency,
                        "effective_from": from.map(|from| format!("{}.{}", &from[..from.len() - 3], &from[from.len() - 3..])),
                        "known_from": *self.known_from.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
                        "source": "test", "source_version": "1", "body": schemas::prices::to_json(&row)?,
                    }))
                });
                insert(&self.client, "model_rows", &rows.collect::<Result<Vec<_>>>()?).await
            }
            Command::SetMarkups(_)
            | Command::SetAccounts(_)
            | Command::SetOwners(_)
            | Command::StartOperation(_)
            | Command::StepOperation(_) => Ok(()),
        }
    }
}

impl Log for Worker {
    fn append<'a>(
        &'a self,
        topic: &'a str,
        records: Vec<NewRecord>,
    ) -> BoxFuture<'a, Result<Vec<Position>, log::Error>> {
        async move {
            let mut positions = Vec::new();
            if topic == USAGE_TOPIC {
                if self.takes_no_usage.load(Ordering::SeqCst) {
                    return Err(log::Error::Unavailable { detail: "down".to_owned() });
                }
                let mut usage = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
                usage.extend(records.iter().cloned());
            }
            for record in records {
                let offset = self.next.fetch_add(1, Ordering::SeqCst);
                positions.push(Position { partition: 0, offset });
                if topic == COMMANDS_TOPIC && !self.is_away.load(Ordering::SeqCst) {
                    self.carry_out(offset, &record)
                        .await
                        .map_err(|error| log::Error::Unavailable { detail: format!("{error:#}") })?;
                }
            }
            Ok(positions)
        }
        .boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Result<(), log::Error>> {
        async { Ok(()) }.boxed()
    }
}
